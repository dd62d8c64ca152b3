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
    MAPRING_WAIT_PARK = 2      /* sleeps at once: for who shares its processor with others */
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

MAPRING_END

#endif
