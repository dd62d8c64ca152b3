/*
 * Named events: something that happened, for threads of several processes to wait for.
 *
 * An event is set or not. While a manual-reset event is set every wait returns at once; setting it lets go all
 * who wait, even if it is reset right behind. An auto-reset event lets one wait return, which resets it.
 *
 * A handle belongs to the process that opened it; any number of its threads may use it at once, but for closing it.
 * After fork() the child may only close it. Every call also returns MAPRING_INVALID_ARGUMENT for a NULL handle.
 *
 * An event goes with its last handle, also when its process is killed. Who may open it can also change it.
 */
#ifndef MAPRING_EVENT_H
#define MAPRING_EVENT_H

#include <stdint.h>

#include "export.h"
#include "message.h"
#include "names.h"
#include "status.h"

MAPRING_BEGIN

typedef struct mapring_event mapring_event;

typedef struct mapring_event_options {
    uint32_t struct_size;  /* sizeof(mapring_event_options) */
    uint32_t mode;         /* MAPRING_CREATE_OR_OPEN, ... */
    uint32_t manual_reset; /* 1: stays set until it is reset; 0: until one wait returns. Of an existing one: ignored */
    uint32_t set;          /* 1: created as set. Of an existing one: ignored */
    uint32_t flags;        /* MAPRING_OTHER_OWNERS */
    uint32_t permissions;  /* as in mapring_segment_options */
    uint64_t reserved[4];  /* 0 */
} mapring_event_options;

/*
 * Opens the event of that name, or creates it. `options` may be NULL for the defaults.
 *
 * Returns 0 if it created it and 1 if it opened it; else MAPRING_INVALID_ARGUMENT, MAPRING_INVALID_OPTIONS,
 * MAPRING_INVALID_NAME; MAPRING_EXISTS, MAPRING_NOT_FOUND as `mode` asks; MAPRING_WRONG_KIND, MAPRING_FOREIGN,
 * MAPRING_WRONG_VERSION, MAPRING_WRONG_NAME, MAPRING_TRUNCATED, MAPRING_CORRUPT, MAPRING_UNTRUSTED;
 * MAPRING_PERMISSION, MAPRING_NO_SPACE, MAPRING_NO_MEMORY, MAPRING_NO_DESCRIPTORS, MAPRING_UNSUPPORTED,
 * MAPRING_SYSTEM_ERROR. Does not block.
 */
MAPRING_API int32_t mapring_event_open(const char *name, const mapring_event_options *options, mapring_event **event);

/* NULL is allowed. Does not block. */
MAPRING_API void mapring_event_close(mapring_event *event);

/* Set it, and reset it. What was written before setting it is seen by whom that lets go. Return MAPRING_OK;
 * MAPRING_SYSTEM_ERROR. Do not block. */
MAPRING_API int32_t mapring_event_set(mapring_event *event);
MAPRING_API int32_t mapring_event_reset(mapring_event *event);

/* Waits until the event is set, for up to `timeout_ns`. Returns MAPRING_OK; MAPRING_TIMEOUT; MAPRING_INVALID_ARGUMENT
 * (a negative time), MAPRING_SYSTEM_ERROR. */
MAPRING_API int32_t mapring_event_wait(mapring_event *event, int64_t timeout_ns);

MAPRING_END

#endif
