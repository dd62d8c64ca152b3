/*
 * The producer: the one process that appends messages to a ring.
 *
 * A handle belongs to the process that opened it and is used by one thread at
 * a time. After fork() the child may only close it, which frees the child's
 * copies and leaves the ring alone; any other call there faults, since the
 * mapping is not inherited.
 *
 * Every call also returns MAPRING_INVALID_ARGUMENT for a NULL handle or a NULL
 * result pointer.
 */
#ifndef MAPRING_PRODUCER_H
#define MAPRING_PRODUCER_H

#include <stdint.h>

#include "export.h"
#include "message.h"
#include "names.h"
#include "status.h"

MAPRING_BEGIN

typedef struct mapring_producer mapring_producer;

typedef struct mapring_producer_options {
    uint32_t struct_size;    /* sizeof(mapring_producer_options) */
    uint32_t mode;           /* MAPRING_CREATE_OR_OPEN (or take over one whose producer is gone), ... */
    uint64_t capacity;       /* bytes of data, a power of two; 0: the default, or whatever an existing ring has */
    uint32_t max_consumers;  /* consumer slots; 0: the default, or whatever an existing ring has */
    uint32_t reserved0;      /* 0 */
    const char *file;        /* UTF-8 path of a file to keep the ring in, opened as it is given; NULL: memory */
    uint64_t first_position; /* position of the first message, a multiple of 8; for tests of wrap-around, else 0 */
    uint64_t reserved[4];    /* 0 */
} mapring_producer_options;

/* Flags of mapring_publish() and mapring_commit(). */
enum {
    /* More messages follow at once: consumers may see this one only together with the next (a run). A run becomes
     * visible with the first message published without the flag, with mapring_end_run(), and by itself at the latest
     * after 1/64 of the capacity, and before the producer waits, fails for want of room, ends or closes. */
    MAPRING_MORE = 1
};

/*
 * Creates a ring, or continues one whose producer died or closed without
 * being replaced. Space is allocated here: later calls cannot run out of it.
 * `options` may be NULL for the defaults. A capacity that is not a power of two between mapring_capacity_min()
 * and mapring_capacity_max() is refused, never rounded. A ring in memory disappears with its last producer or
 * consumer; a ring in a file leaves the file.
 *
 * Returns 0 if it created the ring and 1 if it continued an existing one; else
 * MAPRING_INVALID_ARGUMENT, MAPRING_INVALID_OPTIONS, MAPRING_INVALID_NAME,
 * MAPRING_INVALID_CAPACITY; MAPRING_PRODUCER_EXISTS (mapring_stat() tells who it is);
 * MAPRING_EXISTS, MAPRING_NOT_FOUND as `mode` asks; MAPRING_WRONG_GEOMETRY (an existing ring has another capacity,
 * slot count or file than asked), MAPRING_WRONG_KIND, MAPRING_NOT_A_RING, MAPRING_WRONG_VERSION, MAPRING_WRONG_NAME,
 * MAPRING_TRUNCATED, MAPRING_CORRUPT, MAPRING_UNTRUSTED; MAPRING_PERMISSION, MAPRING_NO_SPACE, MAPRING_NO_MEMORY,
 * MAPRING_NO_DESCRIPTORS, MAPRING_UNSUPPORTED, MAPRING_SYSTEM_ERROR. Nothing is left behind on failure.
 *
 * Does not wait for other processes, except briefly for one that is creating the same name at this moment.
 */
MAPRING_API int32_t mapring_producer_open(const char *name, const mapring_producer_options *options,
                                          mapring_producer **producer);

/*
 * Detaches from the ring and frees the handle. A claim that was not committed
 * is abandoned; a run is made visible. The stream is not ended: another
 * producer may continue it. NULL is allowed. Does not block.
 */
MAPRING_API void mapring_producer_close(mapring_producer *producer);

/*
 * Publishes one message: copies `length` bytes from `data` (may be NULL when
 * `length` is 0). When the ring is full of messages that consumers still hold,
 * waits up to `timeout_ns` for room.
 *
 * Returns MAPRING_OK; MAPRING_FULL (no room in that time; nothing was published); MAPRING_MESSAGE_TOO_LARGE (longer
 * than mapring_message_max()); MAPRING_CLAIM_OPEN; MAPRING_STREAM_ENDED (after mapring_end());
 * MAPRING_INVALID_ARGUMENT (NULL data, unknown flag, negative time).
 */
MAPRING_API int32_t mapring_publish(mapring_producer *producer, const void *data, uint64_t length, uint32_t tag,
                                    uint32_t flags, int64_t timeout_ns);

/*
 * Publishes `count` messages in order, as runs. Waits up to `timeout_ns` for
 * room, in all.
 *
 * Returns how many were published, at least 1 (0 for a count of 0); fewer than `count` when there
 * was no more room in time or a later message is unfit. If it could not publish the first: as mapring_publish().
 */
MAPRING_API int32_t mapring_publish_batch(mapring_producer *producer, const mapring_message *messages, uint32_t count,
                                          int64_t timeout_ns);

/*
 * Claims room for a message of up to `length` bytes and stores its address in
 * `*payload`: `length` writable bytes inside the ring, 8-byte aligned, valid until the
 * claim is committed or abandoned. Nothing is visible before the commit. One claim (or one batch of claims) at a time.
 * Waits as mapring_publish() does, and returns the same.
 */
MAPRING_API int32_t mapring_claim(mapring_producer *producer, uint64_t length, int64_t timeout_ns, void **payload);

/*
 * Publishes the claimed message with its first `length` bytes, at most as
 * many as were claimed. `flags` as in mapring_publish(). Does not block.
 *
 * Returns MAPRING_OK; MAPRING_NO_CLAIM; MAPRING_MESSAGE_TOO_LARGE (longer than claimed; the claim stays open);
 * MAPRING_INVALID_ARGUMENT.
 */
MAPRING_API int32_t mapring_commit(mapring_producer *producer, uint64_t length, uint32_t tag, uint32_t flags);

/*
 * Claims room for up to `count` messages in one call: each `messages[i].length` says how much, and each
 * granted `messages[i].data` is set to writable bytes in the ring (cast the const away).
 * Waits for room for the first only; grants further ones while they fit without waiting.
 *
 * Returns how many were granted, at least 1 (0 for a count of 0), else as mapring_claim().
 */
MAPRING_API int32_t mapring_claim_batch(mapring_producer *producer, mapring_message *messages, uint32_t count,
                                        int64_t timeout_ns);

/*
 * Publishes the first `count` of the claimed messages; `messages` is the array that mapring_claim_batch() filled,
 * with `data` unchanged, `length` as it was (up to the next multiple of 8) or smaller, and `tag` set. The rest of the
 * batch is abandoned.
 *
 * Returns MAPRING_OK; MAPRING_NO_CLAIM; MAPRING_MESSAGE_TOO_LARGE or MAPRING_INVALID_ARGUMENT when an entry is not as
 * granted (nothing is published and the claim stays open).
 */
MAPRING_API int32_t mapring_commit_batch(mapring_producer *producer, const mapring_message *messages, uint32_t count);

/* Gives the claim back; nothing of it was ever visible. Returns MAPRING_OK or MAPRING_NO_CLAIM. Does not block. */
MAPRING_API int32_t mapring_abandon(mapring_producer *producer);

/* Makes visible what MAPRING_MORE held back. Returns MAPRING_OK, also when there is nothing. Does not block. */
MAPRING_API int32_t mapring_end_run(mapring_producer *producer);

/*
 * Ends the stream: consumers read what is left and then get
 * MAPRING_STREAM_ENDED. Returns MAPRING_OK; MAPRING_CLAIM_OPEN. Calling it again changes nothing. Does not block.
 */
MAPRING_API int32_t mapring_end(mapring_producer *producer);

/*
 * Waits until at least `count` consumers are attached, counting none that died.
 *
 * Returns MAPRING_OK; MAPRING_TIMEOUT; MAPRING_INVALID_ARGUMENT (more than the ring has slots, negative time).
 */
MAPRING_API int32_t mapring_wait_consumers(mapring_producer *producer, uint32_t count, int64_t timeout_ns);

/*
 * Waits until every attached reliable consumer has released every published message, and told so (see
 * mapring_release(): at the latest when its next read finds nothing new). A consumer that detaches or dies
 * no longer counts; without consumers it returns at once.
 *
 * Returns MAPRING_OK; MAPRING_TIMEOUT (mapring_stat() tells who lags); MAPRING_INVALID_ARGUMENT.
 */
MAPRING_API int32_t mapring_drain(mapring_producer *producer, int64_t timeout_ns);

MAPRING_END

#endif
