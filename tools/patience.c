/*
 * Waiting in slices.
 */
#include "system.h"
#include "tool.h"

#define SLICE_NS 100000000

uint64_t patience_end(struct patience patience)
{
    if (patience.ns == MAPRING_FOREVER)
        return UINT64_MAX;
    return system_clock_ns() + (uint64_t)patience.ns;
}

bool patience_is_over(uint64_t end)
{
    return end != UINT64_MAX && system_clock_ns() >= end;
}

int64_t patience_slice(uint64_t end)
{
    uint64_t now = system_clock_ns();
    if (now >= end)
        return 0;
    return end - now < SLICE_NS ? (int64_t)(end - now) : SLICE_NS;
}
