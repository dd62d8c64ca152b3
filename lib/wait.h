/*
 * Sleeping until the other side does something, and waking it: docs/design.md P5.
 */
#ifndef MAPRING_LIB_WAIT_H
#define MAPRING_LIB_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"
#include "platform.h"

/*
 * One side's way to sleep. `ready` says whether what is waited for is there;
 * `peer_fences` whether everybody who could bring it fences between bringing it
 * and looking for sleepers.
 */
struct sleeper {
    struct bell *bell;
    uint32_t number;
    struct platform_parking *parking;
    bool (*ready)(void *context);
    bool (*peer_fences)(void *context);
    void *context;
};

enum wait_result {
    WAIT_READY,
    WAIT_DEADLINE, /* the deadline passed */
    WAIT_QUANTUM   /* nothing happened for a while: see whether the other side lives, then wait on */
};

/* Spins briefly, then sleeps. */
enum wait_result wait_once(const struct sleeper *sleeper, uint64_t deadline_ns);

/*
 * Wakes those of sleepers `first` to `last` that have raised their bit. The caller has stored with release what they
 * wait for, and fenced if its side is not reached by heavy fences.
 */
void bell_ring(struct bell *bell, struct platform_parking *parking, uint32_t first, uint32_t last);

/* Now plus a timeout of the interface, for ever if that is out of range. */
uint64_t deadline_after(int64_t timeout_ns);

#endif
