/*
 * Waiting: how a handle waits, who is woken when, and how a wait is ended from outside.
 *
 * Whatever the way, an idle ring costs nobody anything, and a producer pays for a wakeup only when somebody sleeps.
 * No wait hangs: who sleeps looks for itself every 0.1 s, and finds out that the other side died.
 * Signals neither end nor shorten a wait; mapring_consumer_cancel() does.
 */
#ifndef MAPRING_WAIT_H
#define MAPRING_WAIT_H

#include <stdint.h>

#include "consumer.h"
#include "export.h"
#include "producer.h"
#include "status.h"

MAPRING_BEGIN

/* How calls of a handle wait. */
enum {
    MAPRING_WAIT_ADAPTIVE = 0, /* the default: spins for up to 20 us while that pays, then sleeps */
    MAPRING_WAIT_SPIN = 1,     /* never sleeps: the shortest latency, for the price of a processor */
    MAPRING_WAIT_PARK = 2      /* sleeps at once, and never spins: for who shares its processor with others */
};

/*
 * Sets how the handle waits from now on. By the thread that uses the handle.
 *
 * Returns MAPRING_OK; MAPRING_INVALID_ARGUMENT (no such way). Does not block.
 */
MAPRING_API int32_t mapring_consumer_set_waiting(mapring_consumer *consumer, uint32_t waiting);
MAPRING_API int32_t mapring_producer_set_waiting(mapring_producer *producer, uint32_t waiting);

/*
 * A call that finds nothing and has to wait returns when `bytes` of messages (with their headers, 8 bytes each, and
 * padding) lie there, or when `delay_ns` have passed since there was the first, or since the wait began; so a stream of
 * small messages wakes its consumer once for many. A call that finds messages returns them at once, however few. At
 * most an eighth of the capacity; 0 bytes: as soon as there is a message, which is the default.
 *
 * Returns MAPRING_OK; MAPRING_INVALID_ARGUMENT (too many bytes, negative time, bytes without time or the reverse, or a
 * member of a group). By the thread that uses the handle. Does not block.
 */
MAPRING_API int32_t mapring_consumer_set_watermark(mapring_consumer *consumer, uint64_t bytes, int64_t delay_ns);

/*
 * Ends the wait that another thread is in with this handle, or if there is none the next one that it begins, with
 * MAPRING_CANCELLED: mapring_read(), mapring_receive(), or one of the calls in which a producer waits. Nothing is lost:
 * called again, they go on. A call that need not wait is not affected. An observer notices within 10 ms.
 *
 * Returns MAPRING_OK. Any thread, and any signal handler, while the handle is open; does not block.
 */
MAPRING_API int32_t mapring_consumer_cancel(mapring_consumer *consumer);
MAPRING_API int32_t mapring_producer_cancel(mapring_producer *producer);

/*
 * Wakes every consumer that sleeps, also those whose watermark is not reached: for who published with
 * MAPRING_WAKE_NEVER, or knows that nothing more will come for a while.
 *
 * Returns MAPRING_OK. By the thread that uses the handle. Does not block.
 */
MAPRING_API int32_t mapring_wake(mapring_producer *producer);

/* How a descriptor is made ready. */
enum {
    MAPRING_DESCRIPTOR_ANY = 0,
    MAPRING_DESCRIPTOR_FUTEX = 1, /* by the kernel, when the producer wakes sleepers: io_uring, where the kernel has its
                                     futex operations (Linux 6.7) and allows them, and the library was built with
                                     liburing */
    MAPRING_DESCRIPTOR_WAKE = 2   /* by the producer: with a FIFO in the folder of names; on Windows a timer object */
};

/*
 * A descriptor for an event loop (epoll, poll, select, libuv, asyncio): it is readable while mapring_read() has
 * something to say, messages, the end of the stream or a loss, and not otherwise. On Windows it is a HANDLE for
 * WaitForMultipleObjects() and the like, signalled while that is so, and nothing else may be done with it.
 *
 * Whoever finds it readable calls mapring_read() or mapring_receive() with a timeout of 0 until that returns 0. What
 * makes it unreadable, and has the next message make it readable again, is the call that finds nothing, or the
 * mapring_release() that gives back the last message there was; not the call that hands messages out, which would delay
 * them by the 2 to 3 us that it takes. It is never to be read or closed by the
 * caller: it belongs to the consumer, and is closed with it.
 *
 * Nobody is relied on for ever: so it is also readable for a moment, with nothing to read, after 1 s of silence; after
 * 0.1 s for a member of a group, while there is no producer, and where the system cannot watch the producer's process
 * (another name space of process ids, Linux before 5.3, Windows); after 1 to 8 ms where membarrier(2) is refused, until
 * the producer has published something; and for a message that a filter keeps away. What was published with
 * MAPRING_WAKE_NEVER shows then, too.
 *
 * When the producer is gone, the call that finds nothing returns MAPRING_NO_PRODUCER, even with a timeout of 0: at once
 * when its process ended, and else after at most 1 s; then again every 0.1 s, until there is another one.
 *
 * A watermark counts: the descriptor is readable when it is reached, or when its time is over; after a longer silence,
 * with the first message. mapring_consumer_cancel() makes it readable, and the call that then finds nothing returns
 * MAPRING_CANCELLED.
 *
 * An io_uring that is closed, as happens with the consumer or when it turns out to be of no use, may interrupt a system
 * call of the thread a moment later (EINTR).
 *
 * `method` is MAPRING_DESCRIPTOR_ANY, or says that it must be that one. Asked again, it gives the same descriptor.
 *
 * Returns the method, MAPRING_DESCRIPTOR_FUTEX or MAPRING_DESCRIPTOR_WAKE; MAPRING_INVALID_ARGUMENT (no such method, or
 * it has a descriptor by another); MAPRING_UNSUPPORTED (an observer, which nobody can wake; or the method is not to be
 * had here); MAPRING_BUSY (the consumer is in a wait set); MAPRING_NO_DESCRIPTORS (it takes up to 6),
 * MAPRING_NO_MEMORY, MAPRING_PERMISSION, MAPRING_NO_SPACE, MAPRING_SYSTEM_ERROR. By the thread that uses the handle.
 * Does not block. After a failure the consumer is as it was.
 *
 * On Linux it needs epoll_create1(2), epoll_ctl(2), eventfd2(2), timerfd_create(2) and timerfd_settime(2), and
 * mknodat(2) for MAPRING_DESCRIPTOR_WAKE. Where a sandbox refuses one of them it returns MAPRING_PERMISSION (EPERM,
 * EACCES) or MAPRING_UNSUPPORTED (ENOSYS). If that is so only later, of timerfd_settime(2), or of io_uring_enter(2)
 * together with mknodat(2), the call that finds nothing, or the mapring_release() that gives back the last message,
 * returns the same status each time, having done the rest: messages still come, but in the latter case up to 0.1 s
 * late.
 */
MAPRING_API int32_t mapring_consumer_descriptor(mapring_consumer *consumer, uint32_t method, int64_t *descriptor);

/*
 * For programs that have an io_uring of their own: fills `entry`, a struct io_uring_sqe of its submission queue, with a
 * wait that is completed when there may be something to read. The caller then sets the entry's user_data and flags, and
 * submits it. On completion, whatever its result, the caller calls mapring_read() with a timeout of 0, and this again
 * when that returns 0.
 *
 * A link with a timeout of 0.1 s (IORING_OP_LINK_TIMEOUT; 1 ms while membarrier(2) is refused) does what the library's
 * own waits do against the death of a producer, which wakes nobody; mapring_read() with a timeout of 1 ns then tells of
 * it. A watermark does not count. The ring stays mapped until the consumer is closed; cancel the wait before that.
 *
 * Returns MAPRING_OK: the entry is filled; 1: there is something to read already, and the entry is as it was;
 * MAPRING_CANCELLED (mapring_consumer_cancel(), which also completes a wait); MAPRING_UNSUPPORTED (not Linux 6.7 or
 * later, io_uring refused, an observer). By the thread that uses the handle. Does not block.
 */
MAPRING_API int32_t mapring_consumer_prepare_wait(mapring_consumer *consumer, void *entry);

MAPRING_END

#endif
