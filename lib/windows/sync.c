/*
 * Events, semaphores and mutexes: those of the system.
 */
#include <mapring/mapring.h>

#include "win32.h"

int32_t platform_sync_open(const struct platform_target *target, uint32_t mode, const struct platform_sync_start *start,
                           struct platform_sync **out)
{
    (void)target;
    (void)mode;
    (void)start;
    (void)out;
    return MAPRING_UNSUPPORTED;
}

void platform_sync_close(struct platform_sync *sync)
{
    (void)sync;
}

bool platform_sync_is_ours(const struct platform_sync *sync)
{
    (void)sync;
    return true;
}

int32_t platform_sync_wait(struct platform_sync *sync, uint64_t deadline_ns)
{
    (void)sync;
    (void)deadline_ns;
    return MAPRING_UNSUPPORTED;
}

int32_t platform_sync_signal(struct platform_sync *sync, uint32_t count)
{
    (void)sync;
    (void)count;
    return MAPRING_UNSUPPORTED;
}

int32_t platform_sync_reset(struct platform_sync *sync)
{
    (void)sync;
    return MAPRING_UNSUPPORTED;
}
