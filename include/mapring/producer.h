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

/* What a producer does that has no room because reliable consumers are slow. Groups are always waited for. */
enum {
    MAPRING_SLOW_WAIT = 0,   /* waits, as long as the call says */
    MAPRING_SLOW_FAIL = 1,   /* does not wait: MAPRING_FULL */
    MAPRING_SLOW_DEMOTE = 2, /* after `slow_ns` without room, makes those lossy that are in the way */
    MAPRING_SLOW_EVICT = 3   /* after `slow_ns` without room, detaches them */
};

/* Flags of mapring_producer_options. */
enum {
    /* For a ring in a file: what mapring_flush() wrote is there after a power cut. Without it nothing is promised then.
     */
    MAPRING_DURABLE = 1
};

typedef struct mapring_producer_options {
    uint32_t struct_size;    /* sizeof(mapring_producer_options) */
    uint32_t mode;           /* MAPRING_CREATE_OR_OPEN (or take over one whose producer is gone), ... */
    uint64_t capacity;       /* bytes of data, a power of two; 0: the default, or whatever an existing ring has */
    uint32_t max_consumers;  /* consumer slots; 0: the default, or whatever an existing ring has */
    uint32_t slow_policy;    /* MAPRING_SLOW_WAIT, ...; of an existing ring: as it was created */
    const char *file;        /* UTF-8 path of a file to keep the ring in, opened as it is given; NULL: memory */
    uint64_t first_position; /* position of the first message, a multiple of 8; for tests of wrap-around, else 0 */
    int64_t slow_ns;         /* for MAPRING_SLOW_DEMOTE and MAPRING_SLOW_EVICT; of an existing ring: as created */
    int64_t hold_ns;         /* how long a dead named consumer, or a group without members, may leave the producer
                                without room; 0: one minute; of an existing ring: as created */
    int64_t timeout_ns;      /* how long to wait for a living producer of the ring to leave; 0: not at all */
    uint32_t flags;          /* MAPRING_DURABLE, of an existing ring: as created; MAPRING_OTHER_OWNERS (names.h) */
    uint32_t permissions;    /* who may open it, as in segment.h; 0: the owner alone */
    uint32_t waiting;        /* MAPRING_WAIT_ADAPTIVE, ... (wait.h) */
    uint32_t reserved0;      /* 0 */
    uint64_t reserved[3];    /* 0 */
} mapring_producer_options;

/* Flags of mapring_publish() and mapring_commit(). */
enum {
    /* More messages follow at once: consumers may see this one only together with the next (a run). A run becomes
     * visible with the first message published without the flag, with mapring_end_run(), and by itself at the latest
     * after 1/64 of the capacity, and before the producer waits, fails for want of room, ends or closes. */
    MAPRING_MORE = 1,

    /* Who is to be woken by this message, or this run: MAPRING_WAKE_NEVER nobody, so that whoever sleeps sees it with a
     * later message, mapring_wake(), or after 0.1 s; MAPRING_WAKE_ALWAYS everybody who sleeps, even if its watermark
     * (wait.h) is not reached. Without either: who sleeps and is due. */
    MAPRING_WAKE_NEVER = 2,
    MAPRING_WAKE_ALWAYS = 4
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
 * MAPRING_INVALID_CAPACITY; MAPRING_PRODUCER_EXISTS (mapring_stat() tells who it is; after
 * `timeout_ns`, if that is not 0); MAPRING_BUSY (somebody else has been attaching for more than a second);
 * MAPRING_EXISTS, MAPRING_NOT_FOUND as `mode` asks; MAPRING_WRONG_GEOMETRY (an existing ring has another capacity,
 * slot count or file than asked), MAPRING_WRONG_KIND, MAPRING_NOT_A_RING, MAPRING_WRONG_VERSION, MAPRING_WRONG_NAME,
 * MAPRING_TRUNCATED, MAPRING_CORRUPT, MAPRING_UNTRUSTED; MAPRING_PERMISSION, MAPRING_NO_SPACE, MAPRING_NO_MEMORY,
 * MAPRING_NO_DESCRIPTORS, MAPRING_UNSUPPORTED, MAPRING_SYSTEM_ERROR. Nothing is left behind on failure.
 *
 * Does not wait for other processes, except for as long as `timeout_ns` says, and briefly for one that is creating the
 * same name at this moment.
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
 * When there is room, but a consumer is more than 5/8 of the capacity behind and messages come faster than 6 GB/s, may
 * spin for up to 20 us of that time, once per 64th of the capacity, so that the consumer comes closer: a ring that is
 * nearly full is slower than one that is half full. Not in rings of less than 4 MiB, nor when the producer waits by
 * MAPRING_WAIT_PARK or the ring's policy is MAPRING_SLOW_FAIL, nor for long when the consumer does not come on.
 *
 * Returns MAPRING_OK; MAPRING_FULL (no room in that time; nothing was published); MAPRING_MESSAGE_TOO_LARGE (longer
 * than mapring_message_max()); MAPRING_CLAIM_OPEN; MAPRING_STREAM_ENDED (after mapring_end());
 * MAPRING_HANDED_OVER (after mapring_handover()); MAPRING_SYSTEM_ERROR (a durable ring's disk failed);
 * MAPRING_CANCELLED (wait.h; nothing was published); MAPRING_INVALID_ARGUMENT (NULL data, unknown flag or both flags of
 * waking, negative time).
 */
MAPRING_API int32_t mapring_publish(mapring_producer *producer, const void *data, uint64_t length, uint32_t tag,
                                    uint32_t flags, int64_t timeout_ns);

/*
 * Publishes `count` messages in order, as runs. Waits up to `timeout_ns` for
 * room, in all; as mapring_publish() does.
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
 * Returns MAPRING_OK; MAPRING_TIMEOUT; MAPRING_CANCELLED; MAPRING_INVALID_ARGUMENT (more than the ring has slots,
 * negative time).
 */
MAPRING_API int32_t mapring_wait_consumers(mapring_producer *producer, uint32_t count, int64_t timeout_ns);

/*
 * Waits until every attached reliable consumer has released every published message, and told so (see
 * mapring_release(): at the latest when its next read finds nothing new). A consumer that detaches or dies
 * no longer counts; without consumers it returns at once.
 *
 * Returns MAPRING_OK; MAPRING_TIMEOUT (mapring_stat() tells who lags); MAPRING_CANCELLED; MAPRING_INVALID_ARGUMENT.
 */
MAPRING_API int32_t mapring_drain(mapring_producer *producer, int64_t timeout_ns);

/*
 * Hands the stream over to another producer, which waits in mapring_producer_open() with a `timeout_ns`, or comes in
 * time. Consumers notice the new epoch, and nothing else. On success this handle has done its work: it may only be
 * closed. If nobody came, it goes on as before.
 *
 * Somebody who has begun to take over when `timeout_ns` ends, or the call is cancelled, may still come or give up, and
 * is waited for, for up to a second more. If it does neither, as one that is stopped, MAPRING_BUSY says so: whose the
 * stream is remains to be seen, publishing returns MAPRING_HANDED_OVER, and another call of this function finds out.
 *
 * Returns MAPRING_OK; MAPRING_TIMEOUT; MAPRING_CANCELLED; MAPRING_CLAIM_OPEN; MAPRING_STREAM_ENDED;
 * MAPRING_HANDED_OVER (before already); MAPRING_PERMISSION, MAPRING_UNSUPPORTED, ... (a sandbox has come to refuse
 * locks; the stream stays here); MAPRING_BUSY (as above; or, for as long as `timeout_ns` but at most a second, somebody
 * kept others from joining and leaving, and the stream stays here); MAPRING_INVALID_ARGUMENT (negative time).
 */
MAPRING_API int32_t mapring_handover(mapring_producer *producer, int64_t timeout_ns);

/*
 * Writes everything that was published to the file of a ring that was created with MAPRING_DURABLE, and waits until it
 * is there.
 *
 * If the machine stops (power cut, crash of the system), whoever opens the ring afterwards finds the messages up to
 * the last flush, whole, and none that was published later; back to the oldest that a consumer had not
 * released, and at least as far as 3/4 of the capacity allow. Named consumers and groups continue where they were at
 * some time since the flush before the last. To keep this promise the producer waits for the disk, besides in this
 * call, once per quarter of the capacity that it publishes, and more often while consumers leave it little room. It
 * relies on the disk to keep what it says is written. The death of processes needs no flush: what they published is in
 * the file as others see it.
 *
 * Returns MAPRING_OK; MAPRING_UNSUPPORTED (the ring was not created with MAPRING_DURABLE); MAPRING_HANDED_OVER;
 * MAPRING_PERMISSION (Windows: no handle to the file was to be had); MAPRING_NO_SPACE, MAPRING_SYSTEM_ERROR (the disk
 * failed: the flush before is still good). Waits for the disk.
 */
MAPRING_API int32_t mapring_flush(mapring_producer *producer);

MAPRING_END

#endif
