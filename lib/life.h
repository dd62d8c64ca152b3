/*
 * Who is alive, and who may act for the dead: docs/design.md P7.
 *
 * A process lives while its lock is held, and it itself is not known to be gone: a child of fork() keeps the locks of
 * its dead parent.
 */
#ifndef MAPRING_LIB_LIFE_H
#define MAPRING_LIB_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

/* Whether the ring has a producer that lives. */
bool producer_lives(const struct ring *ring);

/* The process of the producer, as the stream says; its pid is 0 while there is none. */
struct platform_process producer_process(const struct ring *ring);

/* Becomes the ring's producer: 1, 0 if there is one that lives, or a status. Says in the stream who it is. */
int32_t producer_lock(struct ring *ring);

/* The same without waiting: 0 also if somebody else is about to become it, or has the registry for another reason. */
int32_t producer_try_lock(struct ring *ring);
void producer_unlock(struct ring *ring);

/* Says in the stream of a new ring, whose lock came with its creation, who the producer is. */
void producer_announce(struct ring *ring);

/* What can be done about a slot. */
enum slot_life {
    SLOT_LIVES,
    SLOT_DEAD,    /* its lock is ours now: to be given up with platform_unlock() */
    SLOT_ORPHANED /* its consumer is dead, but a child of that one keeps the lock: only its state may change, by
                     compare-and-swap */
};

/* Not for a slot whose lock this handle holds. */
enum slot_life slot_examine(const struct ring *ring, uint32_t slot);

/* The same, but sure that it lives: others hold a dead one's lock for a moment when they examine it. */
enum slot_life slot_examine_again(const struct ring *ring, uint32_t slot);

/* The same without taking the lock. */
bool slot_lives(const struct ring *ring, uint32_t slot);

/* How long it may take somebody else to look up a name and change it, or to become the producer. */
#define REGISTRY_NS 1000000000u

/* For looking up and changing names. MAPRING_BUSY after that time, or after a try that comes behind the deadline. */
int32_t registry_lock(struct ring *ring);
int32_t registry_lock_until(struct ring *ring, uint64_t deadline);
bool registry_try_lock(struct ring *ring);
void registry_unlock(struct ring *ring);

#endif
