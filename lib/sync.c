/*
 * Events, semaphores and mutexes as callers see them. The handles are the platform's own.
 */
#include <mapring/mapring.h>

#include "foreign.h"
#include "options.h"
#include "platform.h"
#include "validate.h"
#include "wait.h"

static struct platform_sync *of_event(mapring_event *event)
{
    return (struct platform_sync *)(void *)event;
}

static struct platform_sync *of_semaphore(mapring_semaphore *semaphore)
{
    return (struct platform_sync *)(void *)semaphore;
}

static struct platform_sync *of_mutex(mapring_mutex *mutex)
{
    return (struct platform_sync *)(void *)mutex;
}

/* A handle that this process may use. */
static bool is_usable(const struct platform_sync *sync)
{
    return sync != NULL && platform_sync_is_ours(sync);
}

static int32_t open_sync(const struct platform_target *target, uint32_t mode, struct platform_sync_start start,
                         struct platform_sync **out)
{
    if (mode > MAPRING_OPEN_EXISTING || (target->flags & ~(uint32_t)MAPRING_OTHER_OWNERS) != 0 ||
        (target->permissions & ~0666u) != 0)
        return MAPRING_INVALID_OPTIONS;
    int32_t status = validate_name(target->name);
    return status < 0 ? status : foreign(platform_sync_open(target, mode, &start, out));
}

static int32_t wait_for(struct platform_sync *sync, int64_t timeout_ns)
{
    if (!is_usable(sync) || timeout_ns < 0)
        return MAPRING_INVALID_ARGUMENT;
    return platform_sync_wait(sync, deadline_after(timeout_ns));
}

/* Events. */

int32_t mapring_event_open(const char *name, const mapring_event_options *options, mapring_event **event)
{
    static const mapring_event_options defaults = {.struct_size = sizeof defaults};
    if (event == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (options == NULL)
        options = &defaults;
    if (options->struct_size != sizeof *options || options->manual_reset > 1 || options->set > 1 ||
        !all_zero(options->reserved, sizeof options->reserved))
        return MAPRING_INVALID_OPTIONS;
    struct platform_target target = {
        .name = name,
        .kind = MAPRING_KIND_EVENT,
        .flags = options->flags,
        .permissions = options->permissions,
    };
    struct platform_sync_start start = {.count = options->set, .maximum = options->manual_reset};
    struct platform_sync *sync;
    int32_t status = open_sync(&target, options->mode, start, &sync);
    if (status >= 0)
        *event = (mapring_event *)(void *)sync;
    return status;
}

void mapring_event_close(mapring_event *event)
{
    platform_sync_close(of_event(event));
}

int32_t mapring_event_set(mapring_event *event)
{
    return is_usable(of_event(event)) ? platform_sync_signal(of_event(event), 1) : MAPRING_INVALID_ARGUMENT;
}

int32_t mapring_event_reset(mapring_event *event)
{
    return is_usable(of_event(event)) ? platform_sync_reset(of_event(event)) : MAPRING_INVALID_ARGUMENT;
}

int32_t mapring_event_wait(mapring_event *event, int64_t timeout_ns)
{
    return wait_for(of_event(event), timeout_ns);
}

/* Semaphores. */

int32_t mapring_semaphore_open(const char *name, const mapring_semaphore_options *options,
                               mapring_semaphore **semaphore)
{
    static const mapring_semaphore_options defaults = {.struct_size = sizeof defaults};
    if (semaphore == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (options == NULL)
        options = &defaults;
    if (options->struct_size != sizeof *options || !all_zero(options->reserved, sizeof options->reserved))
        return MAPRING_INVALID_OPTIONS;
    struct platform_sync_start start = {
        .count = options->initial,
        .maximum = options->maximum != 0 ? options->maximum : INT32_MAX,
    };
    if (start.maximum > INT32_MAX || start.count > start.maximum)
        return MAPRING_INVALID_ARGUMENT;
    struct platform_target target = {
        .name = name,
        .kind = MAPRING_KIND_SEMAPHORE,
        .flags = options->flags,
        .permissions = options->permissions,
    };
    struct platform_sync *sync;
    int32_t status = open_sync(&target, options->mode, start, &sync);
    if (status >= 0)
        *semaphore = (mapring_semaphore *)(void *)sync;
    return status;
}

void mapring_semaphore_close(mapring_semaphore *semaphore)
{
    platform_sync_close(of_semaphore(semaphore));
}

int32_t mapring_semaphore_release(mapring_semaphore *semaphore, uint32_t count)
{
    if (!is_usable(of_semaphore(semaphore)) || count == 0)
        return MAPRING_INVALID_ARGUMENT;
    return platform_sync_signal(of_semaphore(semaphore), count);
}

int32_t mapring_semaphore_wait(mapring_semaphore *semaphore, int64_t timeout_ns)
{
    return wait_for(of_semaphore(semaphore), timeout_ns);
}

/* Mutexes. */

int32_t mapring_mutex_open(const char *name, const mapring_mutex_options *options, mapring_mutex **mutex)
{
    static const mapring_mutex_options defaults = {.struct_size = sizeof defaults};
    if (mutex == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (options == NULL)
        options = &defaults;
    if (options->struct_size != sizeof *options || !all_zero(options->reserved, sizeof options->reserved))
        return MAPRING_INVALID_OPTIONS;
    struct platform_target target = {
        .name = name,
        .kind = MAPRING_KIND_MUTEX,
        .flags = options->flags,
        .permissions = options->permissions,
    };
    struct platform_sync *sync;
    int32_t status = open_sync(&target, options->mode, (struct platform_sync_start){0}, &sync);
    if (status >= 0)
        *mutex = (mapring_mutex *)(void *)sync;
    return status;
}

void mapring_mutex_close(mapring_mutex *mutex)
{
    platform_sync_close(of_mutex(mutex));
}

int32_t mapring_mutex_lock(mapring_mutex *mutex, int64_t timeout_ns)
{
    return wait_for(of_mutex(mutex), timeout_ns);
}

int32_t mapring_mutex_unlock(mapring_mutex *mutex)
{
    return is_usable(of_mutex(mutex)) ? platform_sync_signal(of_mutex(mutex), 1) : MAPRING_INVALID_ARGUMENT;
}
