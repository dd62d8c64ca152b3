/*
 * Parking on a futex: the doorbell itself is what sleepers wait on, each with a bit by which it can be woken alone.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "linux.h"

struct platform_parking {
    uint32_t bit; /* of a futex there are 32: some sleepers share one */
};

static uint32_t futex_bits(uint64_t sleepers)
{
    return (uint32_t)(sleepers | sleepers >> 32);
}

int32_t platform_parking_open(const uint64_t ring_id[2], uint32_t self, struct platform_parking **out)
{
    (void)ring_id;
    struct platform_parking *parking = malloc(sizeof *parking);
    if (parking == NULL)
        return MAPRING_NO_MEMORY;
    parking->bit = futex_bits((uint64_t)1 << self % PLATFORM_SLEEPER_BITS);
    *out = parking;
    return MAPRING_OK;
}

void platform_parking_close(struct platform_parking *parking)
{
    free(parking);
}

void linux_futex_wait(const shared32 *word, uint32_t remembered, uint64_t deadline_ns, uint32_t bits)
{
    struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / 1000000000u),
        .tv_nsec = (long)(deadline_ns % 1000000000u),
    };
    /* FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, so a signal does not prolong the wait. */
    syscall(SYS_futex, &word->word, FUTEX_WAIT_BITSET, remembered, &deadline, NULL, bits);
}

void platform_park(struct platform_parking *parking, const shared32 *doorbell, uint32_t remembered,
                   uint64_t deadline_ns)
{
    linux_futex_wait(doorbell, remembered, deadline_ns, parking->bit);
}

void platform_wake(struct platform_parking *parking, const shared32 *doorbell, uint64_t sleepers, uint32_t first,
                   uint32_t last)
{
    (void)parking;
    (void)first;
    (void)last;
    if (sleepers == 0)
        return;
    /* For signal handlers (mapring_consumer_cancel()). */
    int saved_errno = errno;
    syscall(SYS_futex, &doorbell->word, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, futex_bits(sleepers));
    errno = saved_errno;
}
