/*
 * The producer's private state, shared by producer.c (publishing), claim.c (the
 * slow path: room) and producer_open.c (creation, takeover, the end).
 */
#ifndef MAPRING_LIB_PRODUCER_H
#define MAPRING_LIB_PRODUCER_H

#include <stdbool.h>
#include <stdint.h>

#include <mapring/producer.h>

#include "index.h"
#include "ring.h"
#include "wait.h"

/* Of a producer whose slowest consumer is far behind; see keep_pace(). */
struct pace {
    uint64_t position; /* at the last look, */
    uint64_t ns;       /* and when that was */
    uint64_t least;    /* least cursor then, */
    uint64_t moved;    /* and the position at which it was seen to have changed */
};

struct mapring_producer {
    /* What every publish touches. */
    uint8_t *next;        /* where the next record goes */
    uint8_t *limit;       /* a record and the header behind it may go up to here without asking, within the stride */
    uint64_t sequence;    /* of the next message */
    uint64_t run_header;  /* of the first record of an open run, still to be stored; 0: no run is open */
    shared64 *sleepers;   /* of the consumers' bell */
    uint64_t no_sleepers; /* what *sleepers reads when there is nothing to do after a publish; ALWAYS_LOOK */

    uint64_t prefetch_distance; /* from the end of a message to the lines that are fetched for writing */

    /* The open run, the open claim. */
    uint8_t *run_start;
    uint32_t claim_count;   /* of messages claimed; 0: no claim is open */
    uint64_t claim_padding; /* bytes of padding before the first */
    uint64_t claim_size;    /* bytes of their records */
    uint64_t claim_length;  /* bytes of the first message, as asked for */
    uint8_t *claim_limit;   /* `limit` once the claim is closed */

    /* Slow paths. */
    bool ended;
    bool handed_over;     /* or is to be: the lock is given up */
    bool fences;          /* publishes fence at present: it must, or has promised to */
    bool must_fence;      /* for good: heavy fences do not reach it, or some sleeper cannot send any */
    uint64_t left;        /* the epoch in which it gave up the lock and has not seen yet who has it; 0: it has not */
    uint64_t lap;         /* position of the start of the data in this lap: that of `next` is lap + (next - data) */
    uint64_t acted;       /* as in the stream */
    uint64_t least;       /* least cursor when last looked */
    uint64_t indexed_end; /* end of the stride that was noted last */
    struct pace pace;
    uint64_t probed_ns;   /* when the dead were last looked for */
    uint64_t full_since;  /* since when there was no room; 0: there was */
    uint64_t durable;     /* the frontier that a power cut leaves; UINT64_MAX: no matter */
    struct mark flushed;  /* where what was flushed ends */
    int32_t failure;      /* why the disk could not be written to; MAPRING_OK: it could */
    uint64_t woke_ns;     /* when it had woken others last, */
    uint64_t waking_ns;   /* and how long that had taken */
    uint64_t undue;       /* the bits of sleepers who are not to be woken yet */
    uint64_t *dead_since; /* of each slot, then each group, when it was found without a process; 0: it was not */
    struct ring ring;
    struct sleeper sleeper;
    uint64_t wanted_end;          /* what is waited for: room up to here, */
    uint32_t wanted_consumers;    /* or so many consumers */
    struct mapring_wait_set *set; /* that it is in; NULL: none */
};

/* 0: publishing does as if nobody ever slept, for mapring-bench to measure what the look costs. */
#if !defined(LOOKS_FOR_SLEEPERS)
#define LOOKS_FOR_SLEEPERS 1
#endif

/* A value of `no_sleepers` that *sleepers never has (bit 60 is nobody's), for a producer that must fence first. */
#define ALWAYS_LOOK UINT64_MAX

/* How far ahead of the producer lines are fetched for writing. In a small ring that is where a consumer still reads: of
 * 64 KiB, 4 KiB ahead makes 64 B messages 1.8 times slower. */
#define PREFETCH_PART 256u
#define PREFETCH_DISTANCE_MAX 4096u

static inline uint64_t producer_position(const struct mapring_producer *producer)
{
    return producer->lap + (uint64_t)(producer->next - producer->ring.data);
}

/* claim.c */

/*
 * Secures room for a record of this length, waiting for as long as `timeout_ns` says. On success the claim starts
 * behind `*padding` bytes of padding, and `limit` is set. Ends an open run.
 */
int32_t claim_room(struct mapring_producer *producer, uint64_t length, int64_t timeout_ns, uint64_t *padding);

/* Whether a record of this length could be claimed without waiting; true if it would not be for room that it cannot. */
bool has_room(struct mapring_producer *producer, uint64_t length);

/* Does what a producer does that has waited for room for a while: for it is that others hold it back, dead or slow. */
void press_for_room(struct mapring_producer *producer, uint64_t length);

/* reclaim.c */

/* Makes good what the dead left: frees their slots, and ends named places that were held for too long. Returns how many
 * hold the producer back no longer. */
uint32_t reclaim_dead(struct mapring_producer *producer);

/* Lets go those consumers that hold the producer back before `end`, as the ring's policy says. Returns how many. */
uint32_t let_go_slow(struct mapring_producer *producer, uint64_t end);

/* recover.c */

/* Restores a ring whose machine stopped, from its last checkpoint. */
int32_t recover(struct ring *ring);

/* The frontier of the last checkpoint of a durable ring, and where what was flushed ends; UINT64_MAX if there is none.
 */
uint64_t last_durable_frontier(const struct ring *ring, struct mark *flushed);

/* Whether there is no checkpoint, or one that is whole. */
bool checkpoints_are_sound(const struct ring *ring);

/* Sees to it that a power cut leaves this frontier, before it is acted on. False if the disk failed. */
bool secure_frontier(struct mapring_producer *producer, uint64_t frontier);

/* claim.c */

/* The least position that some group or consumer still needs; that of the producer if there is none. */
uint64_t least_cursor(const struct mapring_producer *producer);

/* Sleeps until `ready`. Looks for the dead while it waits. MAPRING_OK or MAPRING_TIMEOUT. */
int32_t wait_for_readers(struct mapring_producer *producer, bool (*ready)(void *producer), int64_t timeout_ns);

/* producer.c */

/* Makes an open run visible. */
void end_run(struct mapring_producer *producer);

/* producer_wake.c */

/* After a publish, when *sleepers does not read `no_sleepers`: fences if it must, and wakes who sleeps and is due. */
void look_closer(struct mapring_producer *producer);

/* Wakes all consumers that sleep, and does what they ask for; also if it seems that there are none. */
void wake_all(struct mapring_producer *producer);

/* Says whether publishes fence, before the first, and wakes all. */
void tell_fences(struct mapring_producer *producer);

/* The same with regard to MAPRING_WAKE_NEVER and MAPRING_WAKE_ALWAYS. */
void look_as_asked(struct mapring_producer *producer, uint32_t flags);

/* From here on the next publish looks at all sleepers, also those that were not due. */
void forget_undue(struct mapring_producer *producer);

#endif
