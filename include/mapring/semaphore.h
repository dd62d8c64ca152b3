/*
 * Named semaphores: a count of permits that threads of several processes take and give back.
 *
 * A permit that somebody took and died with is not given back by itself: where that matters, use a mutex.
 *
 * A handle belongs to the process that opened it; any number of its threads may use it at once, but for closing it.
 * After fork() the child may only close it. Every call also returns MAPRING_INVALID_ARGUMENT for a NULL handle.
 *
 * A semaphore goes with its last handle, also when its process is killed. Who may open it can also change it.
 */
#ifndef MAPRING_SEMAPHORE_H
#define MAPRING_SEMAPHORE_H

#include <stdint.h>

#include "export.h"
#include "message.h"
#include "names.h"
#include "status.h"

MAPRING_BEGIN

typedef struct mapring_semaphore mapring_semaphore;

typedef struct mapring_semaphore_options {
    uint32_t struct_size; /* sizeof(mapring_semaphore_options) */
    uint32_t mode;        /* MAPRING_CREATE_OR_OPEN, ... */
    uint32_t initial;     /* permits at first. Of an existing one: ignored */
    uint32_t maximum;     /* permits at most, up to INT32_MAX; 0: INT32_MAX. Of an existing one: ignored */
    uint32_t flags;       /* MAPRING_OTHER_OWNERS */
    uint32_t permissions; /* as in mapring_segment_options */
    uint64_t reserved[4]; /* 0 */
} mapring_semaphore_options;

/* Opens the semaphore of that name, or creates it. `options` may be NULL for the defaults: no permits yet. Returns as
 * mapring_event_open(), and MAPRING_INVALID_ARGUMENT if `initial` is more than `maximum`. Does not block. */
MAPRING_API int32_t mapring_semaphore_open(const char *name, const mapring_semaphore_options *options,
                                           mapring_semaphore **semaphore);

/* NULL is allowed. Does not block. */
MAPRING_API void mapring_semaphore_close(mapring_semaphore *semaphore);

/* Gives `count` permits. What was written before is seen by whom that lets go. Returns how many there were before;
 * MAPRING_INVALID_ARGUMENT (`count` is 0), MAPRING_FULL (it would be more than the maximum; nothing was changed),
 * MAPRING_SYSTEM_ERROR. Does not block. */
MAPRING_API int32_t mapring_semaphore_release(mapring_semaphore *semaphore, uint32_t count);

/* Takes a permit, and waits for one up to `timeout_ns`. Returns MAPRING_OK; MAPRING_TIMEOUT;
 * MAPRING_INVALID_ARGUMENT (a negative time), MAPRING_SYSTEM_ERROR. */
MAPRING_API int32_t mapring_semaphore_wait(mapring_semaphore *semaphore, int64_t timeout_ns);

MAPRING_END

#endif
