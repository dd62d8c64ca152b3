/*
 * Names: of rings, segments, events, semaphores and mutexes, which share one name space.
 *
 * A name is 1 to MAPRING_NAME_MAX bytes of UTF-8 without '/', '\' and control
 * characters, and does not start with '.'. In front of it may stand `Local\`, which says the
 * same as nothing, the caller's own, or `Global\`, of the whole machine. Every call
 * that takes a name takes both.
 *
 *            Linux                                           Windows
 * local      a file in /dev/shm/mapring-UID (MAPRING_DIR)    an object of the session
 * global     a file in /dev/shm/mapring-global               an object of the machine
 *            (MAPRING_GLOBAL_DIR)
 *
 * On Linux the folder for global names is taken only if it belongs to root or to the caller, and nobody but an
 * entry's owner can replace it: mode 1777, as /tmp. Root makes it on the first use; others cannot.
 *
 * A name is in use as long as somebody who holds it lives, and is free to be used again once all have closed it or
 * died, however they died. Persistent segments are the exception.
 */
#ifndef MAPRING_NAMES_H
#define MAPRING_NAMES_H

#include <stdint.h>

#include "export.h"
#include "status.h"

MAPRING_BEGIN

/* How calls that open treat a name that exists, or does not. */
enum {
    MAPRING_CREATE_OR_OPEN = 0, /* open it, or create it */
    MAPRING_CREATE_NEW = 1,     /* fail with MAPRING_EXISTS if there is one */
    MAPRING_OPEN_EXISTING = 2   /* fail with MAPRING_NOT_FOUND if there is none */
};

/* What a name can belong to. */
enum {
    MAPRING_KIND_RING = 1,
    MAPRING_KIND_SEGMENT = 2,
    MAPRING_KIND_EVENT = 3,
    MAPRING_KIND_SEMAPHORE = 4,
    MAPRING_KIND_MUTEX = 5
};

/* Flags; each call says which it knows. */
enum {
    MAPRING_READ_ONLY = 0x100,    /* without the right to write */
    MAPRING_OTHER_OWNERS = 0x200, /* also what another user made, who can write anything into it, and read it */
    MAPRING_PERSISTENT = 0x400,   /* stays until it is removed, without anybody who holds it */
    MAPRING_GROW_FILE = 0x800,    /* a file that is too small may be made larger */
    MAPRING_LARGE_PAGES = 0x1000, /* in large pages where the system gives any */
    MAPRING_PREFAULT = 0x2000,    /* all pages are there when the call returns */
    MAPRING_LOCK_PAGES = 0x4000,  /* the pages stay in memory */
    MAPRING_INHERITABLE = 0x8000  /* programs that this one starts get it too */
};

/*
 * What the name belongs to.
 *
 * Returns MAPRING_KIND_RING, ...; MAPRING_INVALID_ARGUMENT (NULL), MAPRING_INVALID_NAME; MAPRING_NOT_FOUND;
 * MAPRING_FOREIGN (not made by this library), MAPRING_WRONG_KIND (one that this version does not know),
 * MAPRING_WRONG_VERSION, MAPRING_UNTRUSTED; MAPRING_PERMISSION, MAPRING_NO_MEMORY, MAPRING_NO_DESCRIPTORS,
 * MAPRING_UNSUPPORTED, MAPRING_SYSTEM_ERROR. Any thread; does not block.
 */
MAPRING_API int32_t mapring_kind(const char *name);

/*
 * Removes what the dead left: names, and the memory behind them, that nobody holds and that are not persistent, and
 * segments that were never completed. Whoever next uses such a name does the same for this one name; this call does
 * it for all of the caller's own, local and global. On Windows the system sees to it, and there is nothing to do.
 *
 * Returns how many names were removed; MAPRING_UNTRUSTED, MAPRING_PERMISSION, MAPRING_NO_MEMORY,
 * MAPRING_NO_DESCRIPTORS, MAPRING_UNSUPPORTED, MAPRING_SYSTEM_ERROR. Any thread; does not block.
 */
MAPRING_API int32_t mapring_sweep(void);

MAPRING_END

#endif
