/*
 * Parking on a futex: the doorbell itself is what sleepers wait on, so nobody needs anything of his own.
 */
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "linux.h"

int32_t platform_parking_open(const uint64_t ring_id[2], uint32_t self, struct platform_parking **out)
{
    (void)ring_id;
    (void)self;
    *out = NULL;
    return MAPRING_OK;
}

void platform_parking_close(struct platform_parking *parking)
{
    (void)parking;
}

void platform_park(struct platform_parking *parking, const shared32 *doorbell, uint32_t remembered,
                   uint64_t deadline_ns)
{
    (void)parking;
    struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / 1000000000u),
        .tv_nsec = (long)(deadline_ns % 1000000000u),
    };
    /* FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, so a signal does not prolong the wait. */
    syscall(SYS_futex, &doorbell->word, FUTEX_WAIT_BITSET, remembered, &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}

void platform_wake(struct platform_parking *parking, const shared32 *doorbell, uint64_t sleepers, uint32_t first,
                   uint32_t last)
{
    (void)parking;
    (void)sleepers;
    (void)first;
    (void)last;
    syscall(SYS_futex, &doorbell->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
