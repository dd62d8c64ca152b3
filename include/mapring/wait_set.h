/*
 * Wait sets: one wait over many consumers, producers without room, and descriptors (Windows: HANDLEs) of the program.
 *
 * There is no limit to the number of members; a wait looks at each of them, which takes some 10 ns for a consumer or
 * producer, and none is preferred: each wait begins with another member. A set has no thread and costs
 * producers nothing while its members have messages.
 *
 * A set, and the consumers and producers in it, are used by one thread at a time. A member that is closed leaves the
 * set by itself; a descriptor of the caller's must be removed before it is closed. After fork() the child may only
 * close the set.
 *
 * Every call also returns MAPRING_INVALID_ARGUMENT for a NULL handle or a NULL result pointer.
 */
#ifndef MAPRING_WAIT_SET_H
#define MAPRING_WAIT_SET_H

#include <stdint.h>

#include "consumer.h"
#include "export.h"
#include "producer.h"
#include "status.h"

MAPRING_BEGIN

typedef struct mapring_wait_set mapring_wait_set;

/* What has happened to a member. */
enum {
    MAPRING_EVENT_READABLE = 1, /* mapring_read() has something to say: messages, the end, a loss; a descriptor can be
                                   read, or a HANDLE is signalled */
    MAPRING_EVENT_WRITABLE = 2, /* there is room for the producer's next message; a descriptor can be written */
    MAPRING_EVENT_ERROR = 4,    /* of a descriptor, whatever was asked for */
    MAPRING_EVENT_ALONE = 8 /* of a consumer: its producer is gone. Told every 0.1 s, less often where there are more
                               than 16 members; who waits for another producer ignores it */
};

typedef struct mapring_ready {
    uint64_t token;  /* the caller's, as given when the member was added */
    uint32_t events; /* MAPRING_EVENT_* */
    uint32_t reserved;
} mapring_ready;

/*
 * Makes a set without members, which the caller closes. Members are not closed with it. Closing NULL is allowed.
 *
 * Returns MAPRING_OK, MAPRING_NO_MEMORY. Does not block.
 */
MAPRING_API int32_t mapring_wait_set_open(mapring_wait_set **set);
MAPRING_API void mapring_wait_set_close(mapring_wait_set *set);

/*
 * Adds a consumer of any kind. An observer in a set is looked at every 10 ms, since nobody can wake it. A watermark
 * does not count in a set: a consumer is ready with its first message.
 *
 * Returns MAPRING_OK; MAPRING_BUSY (it is in a set already, or has a descriptor of its own); MAPRING_NO_MEMORY; and,
 * where the set already waits on descriptors, what a descriptor may be refused with (wait.h).
 */
MAPRING_API int32_t mapring_wait_set_add_consumer(mapring_wait_set *set, mapring_consumer *consumer, uint64_t token);

/*
 * Adds a producer, which is ready when a message of `length` bytes can be published without waiting. What the ring's
 * policy does about slow consumers happens in the wait, too.
 *
 * Returns as above, and MAPRING_MESSAGE_TOO_LARGE. Added again, it gets the new length and token.
 */
MAPRING_API int32_t mapring_wait_set_add_producer(mapring_wait_set *set, mapring_producer *producer, uint64_t length,
                                                  uint64_t token);

/*
 * Adds a file descriptor that can be polled, or a HANDLE that can be waited on and is not changed by that (no mutex, no
 * auto-reset event), until it is removed. `events` is MAPRING_EVENT_READABLE, MAPRING_EVENT_WRITABLE (not on Windows)
 * or both. On Windows, where there are more than 63, each may be reported up to 16 ms late.
 *
 * Returns MAPRING_OK; MAPRING_INVALID_ARGUMENT (it is none, or is in the set already); MAPRING_UNSUPPORTED (a
 * plain file, which is always ready); MAPRING_NO_MEMORY, MAPRING_NO_DESCRIPTORS, MAPRING_SYSTEM_ERROR; and where a
 * sandbox refuses epoll_create1(2), epoll_ctl(2) or eventfd2(2) MAPRING_PERMISSION (EPERM, EACCES) or
 * MAPRING_UNSUPPORTED (ENOSYS).
 */
MAPRING_API int32_t mapring_wait_set_add_descriptor(mapring_wait_set *set, int64_t descriptor, uint32_t events,
                                                    uint64_t token);

/* Takes a member out. Returns MAPRING_OK; MAPRING_NOT_FOUND. Not while a thread waits on the set. */
MAPRING_API int32_t mapring_wait_set_remove_consumer(mapring_wait_set *set, mapring_consumer *consumer);
MAPRING_API int32_t mapring_wait_set_remove_producer(mapring_wait_set *set, mapring_producer *producer);
MAPRING_API int32_t mapring_wait_set_remove_descriptor(mapring_wait_set *set, int64_t descriptor);

/* As mapring_consumer_set_waiting(), for the set. */
MAPRING_API int32_t mapring_wait_set_set_waiting(mapring_wait_set *set, uint32_t waiting);

/*
 * Waits until some member is ready, and fills up to `max` entries of `ready`, one for each that is.
 * A member stays ready until the caller has dealt with what made it so: readiness is a state, not an edge.
 *
 * Returns how many entries were filled; 0 when `timeout_ns` passed (0: only looks; MAPRING_FOREVER);
 * MAPRING_CANCELLED; MAPRING_BUSY (another thread waits on the set); MAPRING_INVALID_ARGUMENT (max is 0, negative
 * time); and what descriptors may be refused with (wait.h), when the set needs them first: for more than 127 consumers
 * and producers, for descriptors of the caller's, or on a system without futex_waitv(2). That takes a descriptor for
 * each folder of names and three more; of system calls what adding a descriptor takes, epoll_wait(2), and mknodat(2)
 * for its consumers and producers: MAPRING_PERMISSION or MAPRING_UNSUPPORTED where a sandbox refuses them. It can be
 * called again when the cause is gone; its members can also be waited on one by one meanwhile.
 */
MAPRING_API int32_t mapring_wait_set_wait(mapring_wait_set *set, mapring_ready *ready, uint32_t max,
                                          int64_t timeout_ns);

/*
 * Ends the wait that another thread is in, or the next one, with MAPRING_CANCELLED. Any thread, and any signal handler,
 * while the set is open.
 */
MAPRING_API int32_t mapring_wait_set_cancel(mapring_wait_set *set);

MAPRING_END

#endif
