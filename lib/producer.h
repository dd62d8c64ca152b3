/*
 * The producer's private state, shared by producer.c (publishing), claim.c (the
 * slow path: room) and producer_open.c (creation, takeover, the end).
 */
#ifndef MAPRING_LIB_PRODUCER_H
#define MAPRING_LIB_PRODUCER_H

#include <stdbool.h>
#include <stdint.h>

#include <mapring/producer.h>

#include "ring.h"
#include "wait.h"

struct mapring_producer {
    /* What every publish touches. */
    uint8_t *next;        /* where the next record goes */
    uint8_t *limit;       /* a record and the header behind it may go up to here without asking, within the stride */
    uint64_t sequence;    /* of the next message */
    uint64_t run_header;  /* of the first record of an open run, still to be stored; 0: no run is open */
    shared64 *sleepers;   /* of the consumers' bell */
    uint64_t no_sleepers; /* what *sleepers reads when there is nothing to do after a publish; ALWAYS_LOOK */

    /* The open run, the open claim. */
    uint8_t *run_start;
    uint32_t claim_count;   /* of messages claimed; 0: no claim is open */
    uint64_t claim_padding; /* bytes of padding before the first */
    uint64_t claim_size;    /* bytes of their records */
    uint64_t claim_length;  /* bytes of the first message, as asked for */
    uint8_t *claim_limit;   /* `limit` once the claim is closed */

    /* Slow paths. */
    bool ended;
    bool fences;          /* fence before looking at *sleepers */
    uint64_t lap;         /* position of the start of the data in this lap: that of `next` is lap + (next - data) */
    uint64_t acted;       /* as in the stream */
    uint64_t least;       /* least cursor when last looked */
    uint64_t indexed_end; /* end of the stride that was noted last */
    uint64_t probed_ns;   /* when the dead were last looked for */
    struct ring ring;
    struct sleeper sleeper;
    uint64_t wanted_end;       /* what is waited for: room up to here, */
    uint32_t wanted_consumers; /* or so many consumers */
};

/* A value of `no_sleepers` that *sleepers never has (bit 62 is nobody's), for a producer that must fence first. */
#define ALWAYS_LOOK UINT64_MAX

static inline uint64_t producer_position(const struct mapring_producer *producer)
{
    return producer->lap + (uint64_t)(producer->next - producer->ring.data);
}

/* claim.c */

/*
 * Secures room for a record of this length at `position`, waiting until the deadline. On success the claim starts
 * behind `*padding` bytes of padding, and `limit` is set. Ends an open run.
 */
int32_t claim_room(struct mapring_producer *producer, uint64_t length, int64_t timeout_ns, uint64_t *padding);

/* Frees the slots of consumers that died. Returns how many. */
uint32_t reclaim_dead(struct mapring_producer *producer);

/* Sleeps until `ready`. Looks for the dead while it waits. MAPRING_OK or MAPRING_TIMEOUT. */
int32_t wait_for_readers(struct mapring_producer *producer, bool (*ready)(void *producer), int64_t timeout_ns);

/* producer.c */

/* Makes an open run visible. */
void end_run(struct mapring_producer *producer);

/* Wakes consumers that sleep, and does what they ask for; also if it seems that there are none. */
void ring_consumers(struct mapring_producer *producer);

#endif
