/*
 * Descriptors: not on Windows yet.
 */
#include "win32.h"

#include <mapring/mapring.h>

int32_t platform_descriptor_open(bool futex, struct platform_descriptor **out)
{
    (void)futex;
    (void)out;
    return MAPRING_UNSUPPORTED;
}

void platform_descriptor_close(struct platform_descriptor *descriptor)
{
    (void)descriptor;
}

int64_t platform_descriptor_number(const struct platform_descriptor *descriptor)
{
    (void)descriptor;
    return -1;
}

int32_t platform_descriptor_address(struct platform_descriptor *descriptor, const struct platform_segment *segment,
                                    uint64_t *address)
{
    (void)descriptor;
    (void)segment;
    (void)address;
    return MAPRING_UNSUPPORTED;
}

void platform_descriptor_set(struct platform_descriptor *descriptor)
{
    (void)descriptor;
}

int32_t platform_descriptor_park(struct platform_descriptor *descriptor, const struct platform_parking *parking,
                                 const shared32 *doorbell, uint32_t remembered)
{
    (void)descriptor;
    (void)parking;
    (void)doorbell;
    (void)remembered;
    return MAPRING_UNSUPPORTED;
}

void platform_descriptor_alarm(struct platform_descriptor *descriptor, uint64_t at_ns)
{
    (void)descriptor;
    (void)at_ns;
}

bool platform_descriptor_watch(struct platform_descriptor *descriptor, const struct platform_process *process)
{
    (void)descriptor;
    (void)process;
    return false;
}

struct platform_causes platform_descriptor_clear(struct platform_descriptor *descriptor)
{
    (void)descriptor;
    return (struct platform_causes){0};
}

void platform_descriptor_ring(struct platform_parking *parking, const struct platform_segment *segment, uint32_t number,
                              uint64_t address)
{
    (void)parking;
    (void)segment;
    (void)number;
    (void)address;
}

int32_t platform_descriptor_add(struct platform_descriptor *descriptor, int64_t other, uint32_t events, uint32_t tag)
{
    (void)descriptor;
    (void)other;
    (void)events;
    (void)tag;
    return MAPRING_UNSUPPORTED;
}

void platform_descriptor_remove(struct platform_descriptor *descriptor, int64_t other)
{
    (void)descriptor;
    (void)other;
}

uint32_t platform_descriptor_wait(struct platform_descriptor *descriptor, uint64_t deadline_ns,
                                  struct platform_ready *ready, uint32_t max)
{
    (void)descriptor;
    (void)deadline_ns;
    (void)ready;
    (void)max;
    return 0;
}

bool platform_park_any(const struct platform_doorbell *doorbells, uint32_t count, uint64_t deadline_ns)
{
    (void)doorbells;
    (void)count;
    (void)deadline_ns;
    return false;
}

void platform_unpark(const shared32 *word)
{
    (void)word;
}

bool platform_uring_is_there(void)
{
    return false;
}

void platform_uring_prepare(const struct platform_parking *parking, const shared32 *doorbell, uint32_t remembered,
                            void *entry)
{
    (void)parking;
    (void)doorbell;
    (void)remembered;
    (void)entry;
}
