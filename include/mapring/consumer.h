/*
 * Consumers: processes that read the messages of a ring.
 *
 * Every consumer gets every message from where it starts on, and holds the
 * producer back: a message that it has not released is not overwritten. It maps
 * the messages read-only, so it cannot damage them for others.
 *
 * A handle belongs to the process that opened it and is used by one thread at
 * a time; threads that want to read the same ring open a handle each. After
 * fork() the child may only close it, which frees the child's copies and leaves
 * the ring alone; any other call there faults, since the mapping is not
 * inherited.
 *
 * Every call also returns MAPRING_INVALID_ARGUMENT for a NULL handle or a NULL
 * result pointer.
 */
#ifndef MAPRING_CONSUMER_H
#define MAPRING_CONSUMER_H

#include <stdint.h>

#include "export.h"
#include "message.h"
#include "status.h"

MAPRING_BEGIN

typedef struct mapring_consumer mapring_consumer;

/* Where a consumer starts. */
enum {
    MAPRING_FROM_OLDEST = 0, /* the oldest message retained, to within 1/64 of the capacity */
    MAPRING_FROM_NEWEST = 1  /* the first message published after the call */
};

typedef struct mapring_consumer_options {
    uint32_t struct_size; /* sizeof(mapring_consumer_options) */
    uint32_t start;       /* MAPRING_FROM_OLDEST or MAPRING_FROM_NEWEST */
    int64_t timeout_ns;   /* how long to wait for the ring to appear; 0: not at all */
    uint64_t reserved[4]; /* 0 */
} mapring_consumer_options;

/*
 * Attaches to a ring by name. `options` may be NULL for the defaults.
 *
 * Returns MAPRING_OK; MAPRING_INVALID_ARGUMENT, MAPRING_INVALID_OPTIONS, MAPRING_INVALID_NAME; MAPRING_NOT_FOUND (no
 * such ring, and no waiting was asked for), MAPRING_TIMEOUT (none appeared in time); MAPRING_NO_SLOT (as many consumers
 * as the ring was made for); MAPRING_WRONG_KIND, MAPRING_NOT_A_RING, MAPRING_WRONG_VERSION,
 * MAPRING_WRONG_NAME, MAPRING_TRUNCATED, MAPRING_CORRUPT, MAPRING_UNTRUSTED; MAPRING_PERMISSION, MAPRING_NO_MEMORY,
 * MAPRING_NO_DESCRIPTORS, MAPRING_UNSUPPORTED, MAPRING_SYSTEM_ERROR.
 */
MAPRING_API int32_t mapring_consumer_open(const char *name, const mapring_consumer_options *options,
                                          mapring_consumer **consumer);

/* Detaches and frees the handle; what was read in place is no longer valid. NULL is allowed. Does not block. */
MAPRING_API void mapring_consumer_close(mapring_consumer *consumer);

/*
 * Reads up to `max` messages in place: `messages[i].data` points into the ring
 * and stays valid and unchanged until mapring_release(). Takes what is there; waits up to `timeout_ns` only for
 * the first. Messages may be read on before earlier ones are released.
 *
 * Returns how many were read; 0 when none came in time; MAPRING_STREAM_ENDED (all was read and the producer ended
 * the stream); MAPRING_NO_PRODUCER (all was read, and the producer died or closed without ending: found out
 * by calls that wait, when their time is over or within 0.2 s; call again to wait for its successor); MAPRING_CORRUPT
 * (the stream makes no sense here; the position does not move); MAPRING_INVALID_ARGUMENT (max is 0, negative time).
 */
MAPRING_API int32_t mapring_read(mapring_consumer *consumer, mapring_message *messages, uint32_t max,
                                 int64_t timeout_ns);

/*
 * Releases the `count` oldest messages that were read in place and not yet released, so that the producer may reuse
 * their room. The producer is told in steps of up to 1/8 of the capacity, and at once while the last read
 * found nothing new.
 *
 * Returns MAPRING_OK; MAPRING_NOT_READ (fewer than `count` are unreleased; nothing was released). Does not block.
 */
MAPRING_API int32_t mapring_release(mapring_consumer *consumer, uint32_t count);

/*
 * Reads up to `max` messages into the caller's `buffer` of `size` bytes and releases them: copied one
 * behind the other, each starting at a multiple of 8 from the start of the buffer, with `messages[i].data` pointing to
 * the copies. Takes what is there and fits; waits up to `timeout_ns` only for the first.
 *
 * Returns as mapring_read(), and MAPRING_BUFFER_TOO_SMALL (the next message needs `messages[0].length` bytes; it was
 * not consumed); MAPRING_UNRELEASED (release first what was read in place).
 */
MAPRING_API int32_t mapring_receive(mapring_consumer *consumer, void *buffer, uint64_t size, mapring_message *messages,
                                    uint32_t max, int64_t timeout_ns);

MAPRING_END

#endif
