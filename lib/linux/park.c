/*
 * Parking on a futex: the doorbell itself is what sleepers wait on, each with a bit by which it can be woken alone.
 */
#include "park.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "futexes.h"
#include "linux.h"

static uint32_t futex_bits(uint64_t sleepers)
{
    return (uint32_t)(sleepers | sleepers >> 32);
}

int32_t platform_parking_open(const uint64_t ring_id[2], uint32_t self, uint32_t last, struct platform_parking **out)
{
    (void)ring_id;
    uint32_t link_count = last < LINUX_LINKS_MAX ? last + 1 : LINUX_LINKS_MAX;
    struct platform_parking *parking = calloc(1, sizeof *parking + link_count * sizeof parking->links[0]);
    if (parking == NULL)
        return MAPRING_NO_MEMORY;
    parking->bit = futex_bits(sleeper_bit(self));
    parking->link_count = link_count;
    for (uint32_t i = 0; i < parking->link_count; i++)
        parking->links[i].fd = -1;
    *out = parking;
    return MAPRING_OK;
}

void platform_parking_close(struct platform_parking *parking)
{
    for (uint32_t i = 0; parking != NULL && i < parking->link_count; i++)
        if (parking->links[i].fd >= 0)
            close(parking->links[i].fd);
    free(parking);
}

#define REFUSED_PAUSE_NS 1000000u

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

void linux_futex_wait(const shared32 *word, uint32_t remembered, uint64_t deadline_ns, uint32_t bits)
{
    struct timespec deadline = timespec_of(deadline_ns);
    /* FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, so a signal does not prolong the wait. */
    if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, remembered, &deadline, NULL, bits) != 0 && errno != EAGAIN &&
        errno != ETIMEDOUT && errno != EINTR)
        /* Refused, or the page is gone. The caller looks again, but not without pause. */
        platform_sleep(REFUSED_PAUSE_NS);
}

void platform_park(struct platform_parking *parking, const shared32 *doorbell, uint32_t remembered,
                   uint64_t deadline_ns)
{
    linux_futex_wait(doorbell, remembered, deadline_ns, parking->bit);
}

static void wake(const shared32 *word, uint32_t bits)
{
    /* For signal handlers (mapring_consumer_cancel()). */
    int saved_errno = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, bits);
    errno = saved_errno;
}

void platform_wake(struct platform_parking *parking, const shared32 *doorbell, uint64_t sleepers, uint32_t first,
                   uint32_t last)
{
    (void)parking;
    (void)first;
    (void)last;
    if (sleepers != 0)
        wake(doorbell, futex_bits(sleepers));
}

void platform_unpark(const shared32 *word)
{
    wake(word, FUTEX_BITSET_MATCH_ANY);
}

bool platform_park_any(const struct platform_doorbell *doorbells, uint32_t count, uint64_t deadline_ns)
{
    struct linux_futex_waitv waiters[PLATFORM_DOORBELLS_MAX];
    if (count > PLATFORM_DOORBELLS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++)
        waiters[i] = (struct linux_futex_waitv){
            .value = doorbells[i].remembered,
            .address = (uint64_t)(uintptr_t)doorbells[i].doorbell,
            .flags = LINUX_FUTEX_32,
        };
    /* The kernel takes the structure of 64-bit time, which timespec is here. */
    struct timespec deadline = timespec_of(deadline_ns);
    long woken = syscall(LINUX_SYS_FUTEX_WAITV, waiters, count, 0, &deadline, CLOCK_MONOTONIC);
    return woken >= 0 || errno == EAGAIN || errno == ETIMEDOUT || errno == EINTR;
}
