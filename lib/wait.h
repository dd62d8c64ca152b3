/*
 * Sleeping until the other side does something, and waking it: docs/design.md P5.
 */
#ifndef MAPRING_LIB_WAIT_H
#define MAPRING_LIB_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

/*
 * One handle's way to wait. `ready` says whether what is waited for is there;
 * `peer_fences` whether everybody who could bring it fences between bringing it
 * and looking for sleepers.
 */
struct sleeper {
    struct bell *bell; /* NULL: an observer, which nobody can wake, or a wait set */
    uint32_t number;
    struct platform_parking *parking;
    shared64 *address; /* where its shared word says at what descriptor it waits */
    bool (*ready)(void *context);
    bool (*peer_fences)(void *context);
    void *context;
    struct wait_counts *counts;

    uint32_t waiting;     /* MAPRING_WAIT_ADAPTIVE, ... */
    uint32_t spin_ns;     /* how long it spins when it is adaptive, which may be not at all, */
    uint32_t parks;       /* and how often it slept since it last tried again */
    uint64_t unfenced_ns; /* how long it slept last that was not covered; 0: it was */

    shared64 busy;       /* 1: a thread is in a wait */
    shared64 cancelled;  /* 1: the wait, or the next one, is to end */
    shared64 descriptor; /* address of the struct platform_descriptor that a program waits on; 0: none */
};

enum wait_result {
    WAIT_READY,
    WAIT_DEADLINE, /* the deadline passed */
    WAIT_QUANTUM,  /* nothing happened for a while: see whether the other side lives, then wait on */
    WAIT_CANCELLED
};

/* Nobody sleeps for longer without looking: the death of a waker loses its wakeups. */
#define QUANTUM_NS 100000000u

/* The same while the other side is not known to fence, so that a wakeup can be missed: at first, and as it goes on. */
#define UNFENCED_QUANTUM_NS 1000000u
#define UNFENCED_QUANTUM_MAX_NS 8000000u

/* Sets how the sleeper waits; false if there is no such way. */
bool sleeper_set_waiting(struct sleeper *sleeper, uint32_t waiting);

/* Spins or sleeps, as the sleeper is set. */
enum wait_result wait_once(struct sleeper *sleeper, uint64_t deadline_ns);

/*
 * The steps of falling asleep, for who does it elsewhere. wait_raise() says that the sleeper is about to, and gives the
 * doorbell to sleep on; what comes then, it is woken for. wait_fence() says whether it is sure to be; if not it sleeps
 * for wait_unfenced_ns() at most. Then it looks whether it is ready, and only then sleeps. Who waits for several things
 * at once fences for all, and has wait_is_covered() say the same of each.
 */
uint32_t wait_raise(struct sleeper *sleeper);
bool wait_fence(struct sleeper *sleeper);

/* `fenced`: all others fence, or a heavy fence has reached them. */
bool wait_is_covered(struct sleeper *sleeper, bool fenced);

/* How long one that is not covered may sleep: longer from time to time, until it is. */
uint64_t wait_unfenced_ns(struct sleeper *sleeper);

/* Whether nobody has woken the sleeper since it raised its bit. */
bool wait_is_raised(const struct sleeper *sleeper);

/* Spins as the sleeper is set, before it would sleep: whether that brought what is waited for. */
bool wait_spin(struct sleeper *sleeper);

/* Says where the sleeper's descriptor is, which is made ready whenever it is woken; 0: it has none any longer. What it
 * raises from then on counts. */
void wait_at_address(struct sleeper *sleeper, uint64_t address);

/* Whether the wait was cancelled; the cancellation is used up then. */
bool wait_take_cancel(struct sleeper *sleeper);

/* Ends a wait of the sleeper, from another thread or a signal handler. */
void wait_cancel(struct sleeper *sleeper);

/*
 * Wakes those consumers, or the producer, that have raised one of the bits `which`. The caller has stored with release
 * what they wait for, and fenced if its side is not reached by heavy fences.
 */
void wake_consumers(const struct ring *ring, struct platform_parking *parking, uint64_t which);
void wake_producer(const struct ring *ring, struct platform_parking *parking);

/* Every sleeper that there may be. */
#define ALL_SLEEPERS (((uint64_t)1 << PLATFORM_SLEEPER_BITS) - 1)

/* wait_guard.c */

/* Around the waits of one call: MAPRING_BUSY if another thread is in one with this handle. */
int32_t wait_begin(struct sleeper *sleeper);
void wait_end(struct sleeper *sleeper);

/* Cancels for good, before the handle is closed: returns when no thread is in a wait any longer. */
void wait_shut(struct sleeper *sleeper);

/* Now plus a timeout of the interface, for ever if that is out of range. */
uint64_t deadline_after(int64_t timeout_ns);

/* 0 if it is over. */
static inline int64_t time_left(uint64_t deadline, uint64_t now)
{
    return deadline > now ? (int64_t)(deadline - now) : 0;
}

#endif
