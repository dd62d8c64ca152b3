/*
 * A full ring, waiting for consumers, draining. The other side, where one is needed, is a thread with a handle of its
 * own.
 */
#include <pthread.h>

#include "rings.h"

TestSuite(waiting, .timeout = 30);

static uint64_t fill_up(struct ends *ends, uint64_t length)
{
    static const char bytes[2048];
    uint64_t count = 0;
    while (mapring_publish(ends->producer, bytes, length, 0, 0, 0) == MAPRING_OK)
        count++;
    return count;
}

Test(waiting, a_full_ring_says_so_at_once)
{
    struct ends ends = open_ends(4096);
    uint64_t count = fill_up(&ends, 8);
    cr_assert_eq(count, 255, "records of 16 bytes, and one header more, fill it: %d", (int)count);
    void *payload;
    mapring_message message = {.length = 8, .data = "12345678"};
    cr_assert_status(mapring_claim(ends.producer, 8, 0, &payload), MAPRING_FULL);
    cr_assert_status(mapring_claim_batch(ends.producer, &message, 1, 0), MAPRING_FULL);
    cr_assert_status(mapring_publish_batch(ends.producer, &message, 1, 0), MAPRING_FULL);
    cr_assert_status(mapring_commit(ends.producer, 8, 0, 0), MAPRING_NO_CLAIM);
    cr_assert_eq(stat_of(ends.name).messages, 255);

    /* A smaller one may still fit. */
    cr_assert_status(mapring_publish(ends.producer, NULL, 0, 0, 0, 0), MAPRING_OK);
    cr_assert_status(mapring_publish(ends.producer, NULL, 0, 0, 0, 0), MAPRING_FULL);
    close_ends(&ends);
}

Test(waiting, a_full_ring_waits_as_long_as_asked)
{
    struct ends ends = open_ends(4096);
    fill_up(&ends, 8);
    mapring_message message = {.length = 8, .data = "12345678"};
    void *payload;
    const int64_t timeouts[] = {1, 1000, MS, 30 * MS, 150 * MS, 350 * MS};
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        int64_t start = now_ns();
        switch (i % 3) {
        case 0:
            cr_assert_status(mapring_publish(ends.producer, "12345678", 8, 0, 0, timeouts[i]), MAPRING_FULL);
            break;
        case 1:
            cr_assert_status(mapring_claim(ends.producer, 8, timeouts[i], &payload), MAPRING_FULL);
            break;
        default:
            cr_assert_status(mapring_publish_batch(ends.producer, &message, 1, timeouts[i]), MAPRING_FULL);
        }
        int64_t waited = now_ns() - start;
        cr_assert_geq(waited, timeouts[i]);
        cr_assert_lt(waited, timeouts[i] + 2000 * MS);
    }
    /* Nothing of the failures remains: it goes on as soon as there is room. */
    mapring_message messages[300];
    cr_assert_eq(read_all(ends.consumer, messages, 300), 255);
    cr_assert_status(mapring_release(ends.consumer, 255), MAPRING_OK);
    cr_assert_status(mapring_publish(ends.producer, "12345678", 8, 0, 0, 0), MAPRING_OK);
    cr_assert_status(mapring_read(ends.consumer, messages, 300, 0), 1);
    cr_assert_eq(messages[0].sequence, 255);
    close_ends(&ends);
}

Test(waiting, a_batch_waits_for_all_of_it)
{
    struct ends ends = open_ends(4096);
    mapring_message messages[20];
    static char bytes[500];
    int64_t start = now_ns();
    for (int i = 0; i < 20; i++)
        messages[i] = (mapring_message){.data = bytes, .length = sizeof bytes};
    int32_t sent = mapring_publish_batch(ends.producer, messages, 20, 50 * MS);
    cr_assert(sent > 0 && sent < 20);
    cr_assert_geq(now_ns() - start, 50 * MS, "the time is for all of the batch");
    close_ends(&ends);
}

struct reader {
    mapring_consumer *consumer;
    uint64_t count;
    pthread_t thread;
};

static void *read_to_the_end(void *context)
{
    struct reader *reader = context;
    mapring_message message;
    int32_t status;
    while ((status = mapring_read(reader->consumer, &message, 1, MAPRING_FOREVER)) == 1) {
        if (message.sequence != reader->count || !payload_matches(message.data, message.length, message.sequence))
            return "a wrong message";
        reader->count++;
        if (mapring_release(reader->consumer, 1) != MAPRING_OK)
            return "no release";
    }
    return status == MAPRING_STREAM_ENDED ? NULL : "a wrong status";
}

Test(waiting, a_producer_waits_for_its_consumers)
{
    struct ends ends = open_ends(4096);
    struct reader readers[3] = {{.consumer = ends.consumer}};
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            readers[i].consumer = open_consumer(ends.name, MAPRING_FROM_OLDEST);
        cr_assert_eq(pthread_create(&readers[i].thread, NULL, read_to_the_end, &readers[i]), 0);
    }
    uint64_t random = 5;
    static char bytes[1024];
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t length = random_next(&random) % (i % 100 == 0 ? 1025 : 65);
        payload_fill(bytes, length, i);
        cr_assert_status(
            mapring_publish(ends.producer, bytes, length, 0, i % 3 == 0 ? MAPRING_MORE : 0, MAPRING_FOREVER),
            MAPRING_OK);
    }
    cr_assert_status(mapring_end(ends.producer), MAPRING_OK);
    cr_assert_status(mapring_drain(ends.producer, MAPRING_FOREVER), MAPRING_OK);
    for (int i = 0; i < 3; i++) {
        void *complaint;
        cr_assert_eq(pthread_join(readers[i].thread, &complaint), 0);
        cr_assert_null(complaint, "reader %d: %s", i, (const char *)complaint);
        cr_assert_eq(readers[i].count, 5000);
    }
    mapring_consumer_close(readers[1].consumer);
    mapring_consumer_close(readers[2].consumer);
    close_ends(&ends);
}

Test(waiting, for_consumers)
{
    char name[64];
    unique_name(name);
    mapring_producer *producer = open_producer(name, 4096);
    cr_assert_status(mapring_wait_consumers(producer, 0, 0), MAPRING_OK);
    cr_assert_status(mapring_wait_consumers(producer, 1, 0), MAPRING_TIMEOUT);
    int64_t start = now_ns();
    cr_assert_status(mapring_wait_consumers(producer, 1, 30 * MS), MAPRING_TIMEOUT);
    cr_assert_geq(now_ns() - start, 30 * MS);
    mapring_consumer *consumer = open_consumer(name, MAPRING_FROM_OLDEST);
    cr_assert_status(mapring_wait_consumers(producer, 1, 0), MAPRING_OK);
    cr_assert_status(mapring_wait_consumers(producer, 2, 0), MAPRING_TIMEOUT);
    mapring_consumer_close(consumer);
    cr_assert_status(mapring_wait_consumers(producer, 1, 0), MAPRING_TIMEOUT);
    mapring_producer_close(producer);
}

static void *join_and_stay(void *name)
{
    mapring_consumer *consumer = NULL;
    mapring_consumer_open(name, NULL, &consumer);
    return consumer;
}

Test(waiting, for_consumers_that_come_later)
{
    char name[64];
    unique_name(name);
    mapring_producer *producer = open_producer(name, 4096);
    for (int round = 0; round < 50; round++) {
        pthread_t threads[3];
        for (int i = 0; i < 3; i++)
            cr_assert_eq(pthread_create(&threads[i], NULL, join_and_stay, name), 0);
        cr_assert_status(mapring_wait_consumers(producer, 3, MAPRING_FOREVER), MAPRING_OK);
        for (int i = 0; i < 3; i++) {
            void *consumer;
            cr_assert_eq(pthread_join(threads[i], &consumer), 0);
            cr_assert_not_null(consumer);
            mapring_consumer_close(consumer);
        }
    }
    mapring_producer_close(producer);
}

Test(waiting, draining)
{
    struct ends ends = open_ends(4096);
    cr_assert_status(mapring_drain(ends.producer, 0), MAPRING_OK);
    put(&ends, 8, 0);
    cr_assert_status(mapring_drain(ends.producer, 0), MAPRING_TIMEOUT);
    mapring_message message;
    cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), 1);
    int64_t start = now_ns();
    cr_assert_status(mapring_drain(ends.producer, 20 * MS), MAPRING_TIMEOUT);
    cr_assert_geq(now_ns() - start, 20 * MS);
    cr_assert_status(mapring_release(ends.consumer, 1), MAPRING_OK);
    cr_assert(is_empty(&ends));
    cr_assert_status(mapring_drain(ends.producer, 0), MAPRING_OK);

    put(&ends, 8, 1);
    mapring_consumer_close(ends.consumer);
    cr_assert_status(mapring_drain(ends.producer, 0), MAPRING_OK);
    mapring_producer_close(ends.producer);
}

static void *wait_for_the_ring(void *name)
{
    mapring_consumer_options options = {
        .struct_size = sizeof options, .start = MAPRING_FROM_OLDEST, .timeout_ns = MAPRING_FOREVER};
    mapring_consumer *consumer;
    mapring_message message;
    if (mapring_consumer_open(name, &options, &consumer) != MAPRING_OK)
        return "did not open";
    if (mapring_read(consumer, &message, 1, MAPRING_FOREVER) != 1)
        return "did not read";
    if (mapring_release(consumer, 1) != MAPRING_OK)
        return "did not release";
    mapring_consumer_close(consumer);
    return NULL;
}

Test(waiting, for_the_ring_to_appear)
{
    char name[64];
    for (int round = 0; round < 20; round++) {
        unique_name(name);
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, wait_for_the_ring, name), 0);
        mapring_producer *producer = open_producer(name, 4096);
        cr_assert_status(mapring_publish(producer, "here", 4, 0, 0, 0), MAPRING_OK);
        void *complaint;
        cr_assert_eq(pthread_join(thread, &complaint), 0);
        cr_assert_null(complaint, "%s", (const char *)complaint);
        mapring_producer_close(producer);
    }
}
