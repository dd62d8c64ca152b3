/*
 * Segments: named blocks of shared memory, in memory or in a file on disk. No ring is needed to use one.
 *
 * A handle belongs to the process that opened it and is used by one thread at a time; the
 * bytes of its views may be used by any. After fork() the child may only close the handle, which frees the child's
 * copies: every other call returns MAPRING_INVALID_ARGUMENT there, and views are not inherited.
 *
 * Every call also returns MAPRING_INVALID_ARGUMENT for a NULL handle or a NULL result pointer.
 */
#ifndef MAPRING_SEGMENT_H
#define MAPRING_SEGMENT_H

#include <stdint.h>

#include "export.h"
#include "message.h"
#include "names.h"
#include "status.h"

MAPRING_BEGIN

typedef struct mapring_segment mapring_segment;

typedef struct mapring_segment_options {
    uint32_t struct_size; /* sizeof(mapring_segment_options) */
    uint32_t mode;        /* MAPRING_CREATE_OR_OPEN, ... */
    uint64_t size;        /* bytes, exactly; 0: of the file, or whatever an existing segment has */
    const char *file;     /* UTF-8 path of the file that is the segment, opened as it is given; NULL: memory */
    uint32_t flags;       /* MAPRING_READ_ONLY, _OTHER_OWNERS, _PERSISTENT, _GROW_FILE, _LARGE_PAGES */
    uint32_t permissions; /* who may open it: mode bits within 0666, all set whatever the umask; 0: 0600, the owner
                             alone. Windows: the group's bits mean nothing */
    uint64_t reserved[4]; /* 0 */
} mapring_segment_options;

/*
 * Opens the segment of that name, or creates it, zeroed, with `size` bytes; `options` may be NULL
 * only to open an existing one with the defaults. Of those who race to create a name one does, and the others open
 * it complete. Its memory is allocated here: no later access can lack it (save for holes of a sparse file that was
 * there before).
 *
 * The name and the memory go with the last handle, also when its process is killed; with MAPRING_PERSISTENT only
 * with mapring_segment_remove(). A child of fork() that lives on without exec() keeps what its parent held.
 *
 * With `file`: the file is the segment, with no byte added. If it exists, its contents are the initial contents and its
 * size is the default size; a smaller one needs MAPRING_GROW_FILE. If it does not exist, it is created with `size`
 * bytes. It stays when the segment goes. While the segment is open nobody else gets the file
 * through this library: MAPRING_BUSY. On Windows the system keeps all other programs from it (writing, and opening it
 * without leave to share); on Linux they are only asked to, by flock(2).
 *
 * MAPRING_READ_ONLY opens without the right to write, and needs none; without `file` it goes only with
 * MAPRING_OPEN_EXISTING, and with it creates a read-only segment of an existing file. MAPRING_LARGE_PAGES counts for
 * who creates; see mapring_segment_info for what was obtained. What another user made is refused, unless
 * MAPRING_OTHER_OWNERS allows it; who allows it must trust that user not to truncate it.
 *
 * `name` is NULL for a segment without a name, in memory only, to be handed over by mapring_segment_export(); on Linux
 * it is sealed, so that nobody can truncate it.
 *
 * Returns 0 if it created the segment (for one with a file: the name), 1 if it opened one; else
 * MAPRING_INVALID_ARGUMENT, MAPRING_INVALID_OPTIONS, MAPRING_INVALID_NAME, MAPRING_INVALID_SIZE (none or more than
 * can be); MAPRING_EXISTS, MAPRING_NOT_FOUND as `mode` asks (or: no folder for the file); MAPRING_TOO_SMALL (the
 * segment or file has less than `size` bytes); MAPRING_WRONG_KIND (mapring_kind() says which it is);
 * MAPRING_WRONG_GEOMETRY (an existing segment is not in this file); MAPRING_BUSY (the file is in use);
 * MAPRING_FOREIGN (a folder, a device, a FIFO, or nothing of this library's), MAPRING_WRONG_VERSION,
 * MAPRING_WRONG_NAME, MAPRING_TRUNCATED, MAPRING_CORRUPT, MAPRING_UNTRUSTED; MAPRING_PERMISSION,
 * MAPRING_NO_SPACE, MAPRING_NO_MEMORY, MAPRING_NO_DESCRIPTORS, MAPRING_UNSUPPORTED, MAPRING_SYSTEM_ERROR. Nothing is
 * left behind on failure, and a file that was there is as it was. Blocks only while it allocates, and up to about 0.1 s
 * while another one creates the same name, or has the file.
 */
MAPRING_API int32_t mapring_segment_open(const char *name, const mapring_segment_options *options,
                                         mapring_segment **segment);

/* Unmaps all views of the handle, gives up the name, and frees the handle. A file has all that was written when this
 * returns, though perhaps not yet on the disk: see mapring_segment_flush(). NULL is allowed. Does not block. */
MAPRING_API void mapring_segment_close(mapring_segment *segment);

/* Where the bytes of a segment are kept. */
enum {
    MAPRING_IN_MEMORY = 0, /* tmpfs, paging file */
    MAPRING_IN_FILE = 1
};

typedef struct mapring_segment_info {
    uint32_t struct_size; /* set by the caller: sizeof(mapring_segment_info) */
    uint32_t flags;       /* MAPRING_READ_ONLY: of the handle; MAPRING_PERSISTENT: of the segment */
    uint64_t size;        /* bytes */
    uint64_t allocated;   /* bytes of memory or disk allocated to it */
    uint64_t large_pages; /* bytes of this handle's views that are in large pages at this moment */
    uint64_t created_ns;  /* UTC since 1970; of one in a file: when it was given its name */
    uint32_t created;     /* 1: this handle created it; 0: it opened it */
    uint32_t backing;     /* MAPRING_IN_MEMORY or MAPRING_IN_FILE */
    uint32_t views;       /* of this handle */
    uint32_t reserved0;
    char name[MAPRING_NAME_MAX + 8]; /* with `Global\` if it is; empty for none; ends with a zero */
    uint64_t reserved[4];
} mapring_segment_info;

/*
 * Describes the segment, and looks whether its file still has its size.
 *
 * Returns MAPRING_OK; MAPRING_INVALID_OPTIONS (unknown struct_size); MAPRING_TRUNCATED (somebody cut its file off,
 * and an access behind the end may end the process; `info` is filled); MAPRING_SYSTEM_ERROR. Does not block.
 */
MAPRING_API int32_t mapring_segment_stat(mapring_segment *segment, mapring_segment_info *info);

/*
 * Maps `size` bytes from `offset` on, or all to the end when `size` is 0; the view is good to the last of them. A
 * handle may have any number of views, and all views of a segment show the same memory. `flags`: MAPRING_READ_ONLY (a
 * store then faults), MAPRING_PREFAULT, MAPRING_LOCK_PAGES. `wanted` is the address to map it at, or NULL for any: it
 * never replaces anything that is mapped already. Addresses differ between processes, and pointers into the
 * segment have no meaning in another one, unless all map it at the same wanted address.
 *
 * `offset` is a multiple of mapring_view_alignment(), which is 64 KiB; so is the wanted address, unless another process
 * got it for a view of its own.
 *
 * Returns MAPRING_OK and stores the address; MAPRING_INVALID_ARGUMENT (unknown flags), MAPRING_MISALIGNED,
 * MAPRING_INVALID_SIZE (beyond the end); MAPRING_ADDRESS_TAKEN (or never to be had); MAPRING_PERMISSION (to
 * write, through a handle that is read-only; or to lock pages); MAPRING_TRUNCATED (the file has been cut off);
 * MAPRING_NO_SPACE, MAPRING_NO_MEMORY (also: more locked pages than the system allows), MAPRING_SYSTEM_ERROR.
 * Blocks only to read the pages in that were to be.
 */
MAPRING_API int32_t mapring_segment_map(mapring_segment *segment, uint64_t offset, uint64_t size, uint32_t flags,
                                        void *wanted, void **address);

/* Unmaps the view that begins at `address`. Returns MAPRING_OK; MAPRING_NOT_MAPPED (this handle has no such view). */
MAPRING_API int32_t mapring_segment_unmap(mapring_segment *segment, void *address);

/*
 * Brings a segment's file up to date on the disk: `size` bytes from `address` on, which lie in a view of this
 * handle; or all that was written through any view when `address` is NULL and `size` is 0. With `wait` 1 it returns
 * when the disk has them; with 0 it only starts. Nothing for a segment in memory.
 *
 * Returns MAPRING_OK; MAPRING_INVALID_ARGUMENT (`wait` is neither), MAPRING_NOT_MAPPED; MAPRING_PERMISSION (a read-only
 * handle), MAPRING_TRUNCATED; MAPRING_NO_SPACE, MAPRING_SYSTEM_ERROR (the disk did not take it: not all of it is
 * there, and what is not may be lost). Blocks while the disk is written, if `wait` is 1.
 */
MAPRING_API int32_t mapring_segment_flush(mapring_segment *segment, const void *address, uint64_t size, uint32_t wait);

/*
 * Ends the persistence of a segment: it goes with its last holder, at once if there is none. A file stays.
 *
 * Returns 0 if it is gone, 1 if somebody has it open still; MAPRING_INVALID_ARGUMENT (NULL), MAPRING_INVALID_NAME,
 * MAPRING_NOT_FOUND, and what mapring_segment_open() can return. Does not block.
 */
MAPRING_API int32_t mapring_segment_remove(const char *name);

/*
 * Stores a descriptor (Windows: a HANDLE) of a segment without a name, for other processes to import: by
 * inheritance with MAPRING_INHERITABLE, over a UNIX socket, by DuplicateHandle(). With MAPRING_READ_ONLY it gives no
 * right to write; on Linux the same user can still get that through /proc. It is the caller's to close.
 *
 * Returns MAPRING_OK; MAPRING_INVALID_ARGUMENT (unknown flags); MAPRING_UNSUPPORTED (the segment has a name or a file);
 * MAPRING_PERMISSION (to write, from a read-only handle); MAPRING_NO_DESCRIPTORS, MAPRING_SYSTEM_ERROR. Does not block.
 */
MAPRING_API int32_t mapring_segment_export(mapring_segment *segment, uint32_t flags, int64_t *descriptor);

/*
 * Opens a segment by such a descriptor, which stays the caller's and may be closed afterwards. `flags`:
 * MAPRING_READ_ONLY, also implied by a descriptor that gives no right to write.
 *
 * Returns MAPRING_OK; MAPRING_INVALID_ARGUMENT (unknown flags, no descriptor); MAPRING_FOREIGN (no segment of this
 * library), MAPRING_UNTRUSTED (it is not sealed against truncation), MAPRING_WRONG_VERSION, MAPRING_TRUNCATED,
 * MAPRING_CORRUPT; MAPRING_NO_MEMORY, MAPRING_NO_DESCRIPTORS, MAPRING_SYSTEM_ERROR. Does not block.
 */
MAPRING_API int32_t mapring_segment_import(int64_t descriptor, uint32_t flags, mapring_segment **segment);

/* What offsets and wanted addresses are multiples of: 65536. */
MAPRING_API uint64_t mapring_view_alignment(void);

MAPRING_END

#endif
