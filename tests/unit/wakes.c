/*
 * Who is woken when: wake policies, watermarks; and waits that are ended from outside.
 */
#include <pthread.h>

#include "kinds.h"

TestSuite(wakes, .timeout = 30);

#define CAPACITY 65536u

/* A consumer that waits, in a thread of its own. */
struct waiter {
    pthread_t thread;
    mapring_consumer *consumer;
    int64_t timeout_ns;
    int32_t status;
    int64_t ended_ns;
};

static void *wait_for_messages(void *argument)
{
    struct waiter *waiter = argument;
    mapring_message messages[64];
    waiter->status = mapring_read(waiter->consumer, messages, 64, waiter->timeout_ns);
    waiter->ended_ns = now_ns();
    return NULL;
}

static uint64_t parks_of(const char *name, uint32_t index)
{
    mapring_consumer_info info[8];
    mapring_ring_info ring = {.struct_size = sizeof ring};
    cr_assert_gt(mapring_stat(name, NULL, &ring, info, 8), (int32_t)index);
    return info[index].parks;
}

/* Returns when it sleeps. */
static void start_waiting(const struct stream *stream, struct waiter *waiter, uint32_t index)
{
    uint64_t before = parks_of(stream->name, index);
    cr_assert_eq(pthread_create(&waiter->thread, NULL, wait_for_messages, waiter), 0);
    int64_t start = now_ns();
    while (parks_of(stream->name, index) == before)
        cr_assert_lt(now_ns() - start, 10000 * MS, "it does not go to sleep");
}

static int64_t end_waiting(struct waiter *waiter)
{
    pthread_join(waiter->thread, NULL);
    return waiter->ended_ns;
}

/* A sleeper that was woken at once, and not because it looked by itself after 0.1 s. */
#define AT_ONCE (50 * MS)

/* Whoever had the slot before left when it was about to sleep. The quantum hides what is wrong with it, but not always.
 */
Test(wakes, who_comes_into_a_slot_that_somebody_left_asleep)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    int late = 0;
    for (int round = 0; round < 5; round++) {
        mapring_consumer *first = stream_join(&stream, CONSUMER(.start = MAPRING_FROM_NEWEST), MAPRING_OK);
        mapring_message message;
        cr_assert_status(mapring_read(first, &message, 1, MS), 0);
        mapring_consumer_close(first);
        stream_put(&stream, 1);
        struct waiter waiter = {.timeout_ns = 10000 * MS};
        waiter.consumer = stream_join(&stream, CONSUMER(.start = MAPRING_FROM_NEWEST), MAPRING_OK);
        while (try_read(waiter.consumer) == 1)
            cr_assert_status(mapring_release(waiter.consumer, 1), MAPRING_OK);
        start_waiting(&stream, &waiter, 0);
        int64_t start = now_ns();
        stream_put(&stream, 1);
        late += end_waiting(&waiter) - start > AT_ONCE;
        cr_assert_status(waiter.status, 1);
        mapring_consumer_close(waiter.consumer);
    }
    cr_assert_lt(late, 3, "woken late %d times of 5", late);
    stream_close(&stream);
}
