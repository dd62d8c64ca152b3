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
    uint8_t *data;
    uint64_t mask;        /* capacity - 1 */
    uint64_t position;    /* of the next record */
    uint64_t limit;       /* a claim may go up to here without asking; within the stride of `position`; 0: must ask */
    uint64_t sequence;    /* of the next message */
    uint64_t run_start;   /* position of the first record of an open run */
    uint64_t run_header;  /* its header, still to be stored; 0: no run is open */
    shared64 *sleepers;   /* of the consumers' bell */
    uint64_t no_sleepers; /* what *sleepers reads when nobody is to be woken */
    bool fences;          /* fence before looking at *sleepers */

    /* The open claim. */
    bool claim_open;
    uint32_t claim_count;   /* of messages claimed */
    uint64_t claim_padding; /* bytes of padding before the first */
    uint64_t claim_end;     /* position behind the last, without the header that follows */
    uint64_t claim_limit;   /* `limit` once the claim is closed */

    /* Slow paths. */
    bool ended;
    uint64_t acted;       /* as in the stream */
    uint64_t indexed_end; /* end of the stride that was noted last */
    uint64_t probed_ns;   /* when the dead were last looked for */
    struct ring ring;
    struct sleeper sleeper;
    uint64_t wanted_end;       /* what is waited for: room up to here, */
    uint32_t wanted_consumers; /* or so many consumers */
};

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

/* Wakes consumers that sleep, and does what they ask for. */
void ring_consumers(struct mapring_producer *producer);

#endif
