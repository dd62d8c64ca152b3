/*
 * What the library needs of the operating system: the whole of it. One
 * implementation in linux/, one in windows/.
 *
 * Functions that can fail return a status of <mapring/status.h>.
 */
#ifndef MAPRING_LIB_PLATFORM_H
#define MAPRING_LIB_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "atomic.h"
#include "namespace.h"

/* Segments: named blocks of shared memory (linux/segment.c, windows/segment.c). */

/* A handle to a segment. Each has an identity of its own for locks, also within one process. */
struct platform_segment;

struct segment_header;

/* What is to be created or opened. */
struct platform_target {
    const char *name;     /* valid, with or without `Local\` or `Global\` in front; NULL: none */
    const char *file;     /* a path; NULL: memory */
    uint32_t kind;        /* MAPRING_KIND_RING, ... */
    uint32_t flags;       /* MAPRING_READ_ONLY, MAPRING_OTHER_OWNERS, MAPRING_PERSISTENT, ... (names.h) */
    uint32_t permissions; /* of what is created, within 0666; 0: 0600 */
};

/* A part of a segment that is really used, and so gets its space when the segment is created. */
struct platform_extent {
    uint64_t offset;
    uint64_t size;
};

enum platform_access {
    PLATFORM_ATTACH, /* read and write; keeps the name alive; takes a name that only the dead held as not found */
    PLATFORM_OBSERVE /* read only; leaves names and locks as they are */
};

/*
 * Makes a segment of `size` bytes, zeroed, with space for the extents; a ring in the file at the target's path if
 * that is not NULL. Nobody can use it before platform_segment_publish(): on Linux it has no name yet; on Windows the
 * name is taken, and what makes the contents valid is stored last. Closing it unpublished leaves nothing behind.
 * MAPRING_EXISTS if the file (on Windows, or the name) is there already.
 */
int32_t platform_segment_create(const struct platform_target *target, uint64_t size,
                                const struct platform_extent *extents, uint32_t count, struct platform_segment **out);

/*
 * Opens the target's file as the bytes of a segment, or makes it if it is not there, so that nobody else gets it:
 * MAPRING_BUSY if somebody has. Makes it `size` bytes large if it is smaller and MAPRING_GROW_FILE allows that, else
 * MAPRING_TOO_SMALL; size 0 takes it as it is (not there: MAPRING_NOT_FOUND; empty: MAPRING_INVALID_SIZE). Closing it
 * unpublished leaves the file as it was.
 */
int32_t platform_segment_open_file(const struct platform_target *target, uint64_t size, struct platform_segment **out);

/*
 * Gives a segment its name that was created, or opened by its file: MAPRING_EXISTS if another came first; the caller
 * then closes its own. A ring has written its identity, and `header` is NULL; of all else it is what the name is to
 * say.
 */
int32_t platform_segment_publish(struct platform_segment *segment, const struct segment_header *header);

/*
 * Opens what the target's name belongs to, of the target's kind; or, if its file is not NULL, the ring in that file,
 * which others can find by the name once it is published. The name is NULL only to observe a file. Whether a ring
 * makes sense is for the caller to see; all else is valid.
 */
int32_t platform_segment_open(const struct platform_target *target, enum platform_access access,
                              struct platform_segment **out);

/* What the name says of a segment that was published or opened and is no ring: a private copy, found valid. */
const struct segment_header *platform_segment_header(const struct platform_segment *segment);

/* 1 if the segment is in the file at this path, 0 if not, or a status. */
int32_t platform_segment_is_in_file(const struct platform_segment *segment, const char *file);

/* The kind that a name belongs to, alive or not; and ending the persistence of a segment: 0 if it is gone, 1 if
 * somebody has it still. */
int32_t platform_name_kind(const struct platform_target *target);
int32_t platform_segment_remove(const struct platform_target *target);

/* Removes what the dead left, local and global. Returns how many names. */
int32_t platform_sweep(void);

/* A segment without a name, as a descriptor or handle that the caller owns; and back, of which the caller keeps its
 * own. */
int32_t platform_segment_export(const struct platform_segment *segment, uint32_t flags, int64_t *descriptor);
int32_t platform_segment_import(int64_t descriptor, uint32_t flags, struct platform_segment **out);

/* Releases the handle, its locks, and with the last handle the name (a file stays). Views stay until unmapped. NULL is
 * allowed. In a child of fork() it only frees the child's copies. */
void platform_segment_close(struct platform_segment *segment);

/* Whether this is still the process that opened the handle, and not a child of fork(). */
bool platform_segment_is_ours(const struct platform_segment *segment);

/* The size in bytes at this moment (Windows: rounded up to pages), and the bytes of memory or disk allocated to it. */
uint64_t platform_segment_size(const struct platform_segment *segment);
uint64_t platform_segment_allocated(const struct platform_segment *segment);

/* Maps part of a segment; `offset` is a multiple of 64 KiB. Not inherited by children of fork(). */
int32_t platform_map(const struct platform_segment *segment, uint64_t offset, uint64_t size, bool writable,
                     void **address);
void platform_unmap(void *address, uint64_t size);

/*
 * The same as MAPRING_READ_ONLY, MAPRING_PREFAULT and MAPRING_LOCK_PAGES ask for, at `wanted` if that is not NULL,
 * never replacing what is mapped there: MAPRING_ADDRESS_TAKEN, MAPRING_MISALIGNED. MAPRING_TRUNCATED if the segment is
 * shorter by now.
 */
int32_t platform_map_view(const struct platform_segment *segment, uint64_t offset, uint64_t size, uint32_t flags,
                          void *wanted, void **address);

/* How many bytes of a view are in large pages at this moment. */
uint64_t platform_large_pages(const void *address, uint64_t size);

/* Writes this part of a view, which starts on a multiple of 4 KiB, to the segment's file, and waits until it is there.
 * Nothing for a segment in memory. */
int32_t platform_flush(const struct platform_segment *segment, void *address, uint64_t size);

/* The same of any part of a view, waiting for the disk or not; with `address` NULL, all that was written to the file.
 */
int32_t platform_flush_view(const struct platform_segment *segment, const void *address, uint64_t size, bool wait);

/* Waits until a segment of that name may have appeared, the deadline passed, or a moment (at most 0.1 s) is over. */
void platform_segment_await(const char *name, uint64_t deadline_ns);

/* Calls `each` with every name in use, global ones with `Global\` in front, until it returns something other than
 * MAPRING_OK, and returns that. */
int32_t platform_segment_list(int32_t (*each)(void *context, const char *name), void *context);

/* Liveness: locks that die with their holder (linux/liveness.c, windows/liveness.c). */

/* Locks are numbered from 0 to below this. */
#define PLATFORM_LOCKS 1040u

/* Takes lock `number` of the segment for as long as the handle lives. Returns 1 if taken, 0 if somebody else holds it,
 * or a status. */
int32_t platform_lock(struct platform_segment *segment, uint32_t number);
void platform_unlock(struct platform_segment *segment, uint32_t number);

/* Whether somebody other than this handle holds the lock: 1, 0 or a status. */
int32_t platform_lock_held(struct platform_segment *segment, uint32_t number);

/* A process, as others can tell whether it is gone. */
struct platform_process {
    uint32_t pid;
    uint64_t place; /* where that number means this process: the same boot, the same name space of pids; 0: unknown */
    uint64_t start; /* when it began, by which it is told from a later one of the same number */
};

void platform_process_self(struct platform_process *self);

/* The number of this process, by which a child of fork() tells that it is one. */
uint32_t platform_process_number(void);

/* Whether the process has surely ended; false if that cannot be told from here. A child of fork() keeps the locks of
 * its parent: this tells of the parent alone. */
bool platform_process_gone(const struct platform_process *process);

/* Parking (linux/park.c, windows/park.c). */

/*
 * Sleepers are numbered: 0 is the producer, 1 + slot a consumer. In a word of sleepers the first have a bit of their
 * own each, and the others share what is left.
 */
#define PLATFORM_SLEEPER_BITS 60
#define PLATFORM_OWN_BITS 44u

static inline uint64_t sleeper_bit(uint32_t number)
{
    uint32_t shared = PLATFORM_OWN_BITS + number % (PLATFORM_SLEEPER_BITS - PLATFORM_OWN_BITS);
    return (uint64_t)1 << (number < PLATFORM_OWN_BITS ? number : shared);
}

/* What one handle needs to sleep and to wake others. */
struct platform_parking;

/* `ring_id` is the same for all handles of one ring and for no other ring. `self` is the number of the sleeper that
 * this handle is, which is its own by a lock; it wakes others up to number `last`. */
int32_t platform_parking_open(const uint64_t ring_id[2], uint32_t self, uint32_t last, struct platform_parking **out);
void platform_parking_close(struct platform_parking *parking);

/* Sleeps while the doorbell reads `remembered`, until woken or the deadline. May return early. */
void platform_park(struct platform_parking *parking, const shared32 *doorbell, uint32_t remembered,
                   uint64_t deadline_ns);

/* Wakes those of sleepers `first` to `last` whose bit is set in `sleepers` and who sleep on this doorbell, which the
 * caller has changed. May wake more. */
void platform_wake(struct platform_parking *parking, const shared32 *doorbell, uint64_t sleepers, uint32_t first,
                   uint32_t last);

/* A doorbell as it is to be remembered. */
struct platform_doorbell {
    const shared32 *doorbell;
    uint32_t remembered;
};

/* As many as platform_park_any() takes. */
#define PLATFORM_DOORBELLS_MAX 128u

/* Sleeps while all doorbells read as remembered, until woken or the deadline, and may return early. False, at once, if
 * the system cannot do that: then only a descriptor can wait for several. */
bool platform_park_any(const struct platform_doorbell *doorbells, uint32_t count, uint64_t deadline_ns);

/* Wakes who sleeps on this word of its own process. In any thread or signal handler. */
void platform_unpark(const shared32 *word);

/* Descriptors (linux/descriptor.c, windows/descriptor.c): what a program waits on in an event loop of its own, a file
 * descriptor or a HANDLE, and other processes make ready. */
struct platform_descriptor;

/*
 * Opens one that is not ready. By `futex` whoever wakes a sleeper makes it ready, as platform_descriptor_park() says;
 * MAPRING_UNSUPPORTED where the system has no such thing. Else others need its address.
 */
int32_t platform_descriptor_open(bool futex, struct platform_descriptor **out);
void platform_descriptor_close(struct platform_descriptor *descriptor);

/* What the caller of the library waits on. */
int64_t platform_descriptor_number(const struct platform_descriptor *descriptor);

/* An address, not 0, by which those who have this segment can make it ready; the same for all segments whose names lie
 * in one folder. Good until it is closed. */
int32_t platform_descriptor_address(struct platform_descriptor *descriptor, const struct platform_segment *segment,
                                    uint64_t *address);

/* Makes it ready. In any thread or signal handler. */
void platform_descriptor_set(struct platform_descriptor *descriptor);

/* Makes it ready when the doorbell is rung for this sleeper, if it was opened for that: MAPRING_UNSUPPORTED if the
 * system does not do it any longer; from then on it does nothing. */
int32_t platform_descriptor_park(struct platform_descriptor *descriptor, const struct platform_parking *parking,
                                 const shared32 *doorbell, uint32_t remembered);

/* Makes it ready at this time as well, instead of when that was said last; or says why the system does not. Until then
 * it may not be ready any longer, as after clearing it. */
int32_t platform_descriptor_alarm(struct platform_descriptor *descriptor, uint64_t at_ns);

/* Makes it ready as well when this process ends, instead of who was said last; NULL: nobody. False if that cannot be
 * told. */
bool platform_descriptor_watch(struct platform_descriptor *descriptor, const struct platform_process *process);

/* What made it ready. */
struct platform_causes {
    bool rung;    /* somebody set it, or a doorbell was rung */
    bool alarmed; /* the time came */
    bool bereft;  /* the process ended that is watched; it stays ready until another is */
};

/* It is not ready any longer. */
struct platform_causes platform_descriptor_clear(struct platform_descriptor *descriptor);

/* Makes the descriptor ready that sleeper `number` has at this address. */
void platform_descriptor_ring(struct platform_parking *parking, const struct platform_segment *segment, uint32_t number,
                              uint64_t address);

/* For who waits on it in the library, together with descriptors of the caller's: MAPRING_EVENT_* of wait_set.h.
 * MAPRING_UNSUPPORTED for what the system cannot wait on. */
int32_t platform_descriptor_add(struct platform_descriptor *descriptor, int64_t other, uint32_t events, uint32_t tag);
void platform_descriptor_remove(struct platform_descriptor *descriptor, int64_t other);

struct platform_ready {
    uint32_t tag;
    uint32_t events;
};

/* Waits until the descriptor is ready, which it is not any longer then, or one of the others is, or the deadline.
 * Returns how many of the others are ready, or a status, at once, if the system does not do it; may return early. */
int32_t platform_descriptor_wait(struct platform_descriptor *descriptor, uint64_t deadline_ns,
                                 struct platform_ready *ready, uint32_t max);

/* Whether who owns an io_uring can wait on a doorbell with that; and what that takes, as an entry of its submission
 * queue: 64 bytes. */
bool platform_uring_is_there(void);
void platform_uring_prepare(const struct platform_parking *parking, const shared32 *doorbell, uint32_t remembered,
                            void *entry);

/* Events, semaphores, mutexes: the native ones on Windows (linux/sync.c, windows/sync.c). */

struct platform_sync;

struct platform_sync_start {
    uint32_t count;   /* of permits; of an event: 1 if it is set */
    uint32_t maximum; /* of a semaphore; of an event: 1 for manual reset */
};

/* Opens the target, or creates it: 0 if it was created, 1 if it was opened. `mode` is MAPRING_CREATE_OR_OPEN, ... */
int32_t platform_sync_open(const struct platform_target *target, uint32_t mode, const struct platform_sync_start *start,
                           struct platform_sync **out);
void platform_sync_close(struct platform_sync *sync);

/* Whether this is still the process that opened the handle, and not a child of fork(). */
bool platform_sync_is_ours(const struct platform_sync *sync);

/* Waits for a set event, a permit, or the mutex: MAPRING_OK, MAPRING_ABANDONED, MAPRING_LOCKED, MAPRING_TIMEOUT. */
int32_t platform_sync_wait(struct platform_sync *sync, uint64_t deadline_ns);

/* Sets an event; gives `count` permits and returns those before (MAPRING_FULL); unlocks a mutex (MAPRING_NOT_LOCKED).
 */
int32_t platform_sync_signal(struct platform_sync *sync, uint32_t count);

/* Resets an event. */
int32_t platform_sync_reset(struct platform_sync *sync);

/* Time, fences, chance (linux/system.c, windows/system.c). */

/* Nanoseconds of a clock that only runs forward, the same for all processes; and UTC since 1970. */
uint64_t platform_clock_ns(void);
uint64_t platform_time_ns(void);

/* Random, and the same for all until the machine starts again. Zeros if the system does not tell. */
void platform_boot_id(uint64_t id[2]);

/* Sleeps for about so long, or less. */
void platform_sleep(uint64_t ns);

/* Registers this process, so that heavy fences of other processes reach it. False if the system has no such thing:
 * then this process must fence for itself. */
bool platform_heavy_fence_register(void);

/* A full fence here and in every registered process that runs. False if it was a full fence here only. */
bool platform_heavy_fence(void);

int32_t platform_random(uint64_t words[2]);

#endif
