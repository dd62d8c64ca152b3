/*
 * Named mutexes: one at a time, among the threads of several processes; and when the one that has
 * it dies, the next is told.
 *
 * A mutex is locked by a handle, not by a thread: threads that exclude each other open a
 * handle each. A handle belongs to the process that opened it and is used by one thread at a time, and unlocked
 * by the thread that locked it. After fork() the child may only close it, which does not unlock it. Every call also
 * returns MAPRING_INVALID_ARGUMENT for a NULL handle.
 *
 * A mutex goes with its last handle, also when its process is killed. Who may open it can also keep it locked.
 */
#ifndef MAPRING_MUTEX_H
#define MAPRING_MUTEX_H

#include <stdint.h>

#include "export.h"
#include "message.h"
#include "names.h"
#include "status.h"

MAPRING_BEGIN

typedef struct mapring_mutex mapring_mutex;

typedef struct mapring_mutex_options {
    uint32_t struct_size; /* sizeof(mapring_mutex_options) */
    uint32_t mode;        /* MAPRING_CREATE_OR_OPEN, ... */
    uint32_t flags;       /* MAPRING_OTHER_OWNERS */
    uint32_t permissions; /* as in mapring_segment_options */
    uint64_t reserved[4]; /* 0 */
} mapring_mutex_options;

/* What mapring_mutex_lock() returns besides MAPRING_OK. */
enum {
    MAPRING_ABANDONED = 1 /* it is locked; who had it before died with it, or closed its handle */
};

/* Opens the mutex of that name, or creates it, unlocked. `options` may be NULL for the defaults. Returns as
 * mapring_event_open(). Does not block. */
MAPRING_API int32_t mapring_mutex_open(const char *name, const mapring_mutex_options *options, mapring_mutex **mutex);

/* Of a handle that has the mutex locked, this is as if its process had died. NULL is allowed. Does not block. */
MAPRING_API void mapring_mutex_close(mapring_mutex *mutex);

/*
 * Locks it, and waits up to `timeout_ns` for that. All that others wrote before they unlocked it, or died, is seen.
 *
 * Returns MAPRING_OK; MAPRING_ABANDONED (it is locked, and what it guards may be half-changed); MAPRING_TIMEOUT;
 * MAPRING_LOCKED (this handle has it already), MAPRING_INVALID_ARGUMENT (a negative time);
 * MAPRING_PERMISSION, MAPRING_UNSUPPORTED (a sandbox refuses locks, or there are none), MAPRING_SYSTEM_ERROR.
 */
MAPRING_API int32_t mapring_mutex_lock(mapring_mutex *mutex, int64_t timeout_ns);

/* Returns MAPRING_OK; MAPRING_NOT_LOCKED (not by this handle); MAPRING_PERMISSION, MAPRING_UNSUPPORTED (a sandbox has
 * come to refuse that: it is still locked), MAPRING_SYSTEM_ERROR. Does not block. */
MAPRING_API int32_t mapring_mutex_unlock(mapring_mutex *mutex);

MAPRING_END

#endif
