/*
 * One producer after another: waiting for the one before to leave, and handing over.
 */
#include <pthread.h>

#include "kinds.h"

TestSuite(succession, .timeout = 30);

#define CAPACITY 4096u

struct successor {
    const char *name;
    int64_t timeout_ns;
    int32_t status;
    mapring_producer *producer;
    pthread_t thread;
};

static void *come(void *argument)
{
    struct successor *successor = argument;
    mapring_producer_options options = {.struct_size = sizeof options, .timeout_ns = successor->timeout_ns};
    successor->status = mapring_producer_open(successor->name, &options, &successor->producer);
    return NULL;
}

static void send_for(struct successor *successor, const struct stream *stream, int64_t timeout_ns)
{
    *successor = (struct successor){.name = stream->name, .timeout_ns = timeout_ns};
    cr_assert_eq(pthread_create(&successor->thread, NULL, come, successor), 0);
}

Test(succession, waits_for_the_one_before)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = stream_join(&stream, NULL, MAPRING_OK);
    stream_put(&stream, 3);
    mapring_producer *other = NULL;
    cr_assert_status(mapring_producer_open(stream.name, NULL, &other), MAPRING_PRODUCER_EXISTS);
    int64_t start = now_ns();
    cr_assert_status(mapring_producer_open(stream.name, PRODUCER(.timeout_ns = 100 * MS), &other),
                     MAPRING_PRODUCER_EXISTS);
    cr_assert(now_ns() - start >= 100 * MS && now_ns() - start < 1000 * MS);
    cr_assert_null(other);
    struct successor successor;
    send_for(&successor, &stream, 10000 * MS);
    stream_put(&stream, 3);
    start = now_ns();
    mapring_producer_close(stream.producer);
    pthread_join(successor.thread, NULL);
    cr_assert_lt(now_ns() - start, 1000 * MS);
    cr_assert_status(successor.status, 1);
    stream.producer = successor.producer;
    stream_put(&stream, 3);
    expect_rest(&stream, consumer, 0);
    cr_assert_eq(progress_of(consumer).epoch, 2);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

Test(succession, by_handing_over)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = stream_join(&stream, NULL, MAPRING_OK);
    mapring_consumer *lossy = stream_join(&stream, CONSUMER(.kind = MAPRING_LOSSY), MAPRING_OK);
    uint64_t next = 0;
    for (uint64_t epoch = 2; epoch < 30; epoch++) {
        struct successor successor;
        if (epoch % 2 == 0)
            send_for(&successor, &stream, 10000 * MS);
        stream_put(&stream, 5);
        /* A run is made visible. */
        cr_assert_status(mapring_publish(stream.producer, "", 0, 0, MAPRING_MORE, 0), MAPRING_OK);
        if (epoch % 2 == 0) {
            cr_assert_status(mapring_handover(stream.producer, 10000 * MS), MAPRING_OK);
            pthread_join(successor.thread, NULL);
            cr_assert_status(successor.status, 1);
        } else {
            /* The other way round: who leaves waits for who comes. */
            cr_assert_status(mapring_handover(stream.producer, 20 * MS), MAPRING_TIMEOUT);
            cr_assert_status(mapring_handover(stream.producer, 0), MAPRING_TIMEOUT);
            mapring_producer_close(stream.producer);
            cr_assert_status(mapring_producer_open(stream.name, NULL, &successor.producer), 1);
        }
        mapring_producer *old = stream.producer;
        stream.producer = successor.producer;
        for (uint64_t i = 0; i < 5; i++) {
            expect(consumer, next + i);
            expect(lossy, next + i);
        }
        next += 6;
        mapring_message message;
        cr_assert_status(mapring_read(consumer, &message, 1, 0), 1);
        cr_assert_eq(message.length, 0);
        cr_assert_eq(message.sequence, next - 1);
        cr_assert_status(mapring_release(consumer, 1), MAPRING_OK);
        cr_assert_status(mapring_read(lossy, &message, 1, 0), 1);
        cr_assert_status(mapring_release(lossy, 1), MAPRING_OK);
        stream.sequence++;
        stream.position += 8;
        cr_assert_eq(progress_of(consumer).epoch, epoch);
        cr_assert_eq(stat_of(stream.name).epoch, epoch);
        if (epoch % 2 != 0)
            continue;

        /* The old one has done its work. */
        void *payload;
        mapring_message batch = {.data = "", .length = 0};
        cr_assert_status(mapring_publish(old, "x", 1, 0, 0, 0), MAPRING_HANDED_OVER);
        cr_assert_status(mapring_publish(old, "", 0, 0, 0, 0), MAPRING_HANDED_OVER);
        cr_assert_status(mapring_publish(old, "", 0, 0, MAPRING_MORE, 50 * MS), MAPRING_HANDED_OVER);
        cr_assert_status(mapring_publish_batch(old, &batch, 1, 0), MAPRING_HANDED_OVER);
        cr_assert_status(mapring_claim(old, 0, 0, &payload), MAPRING_HANDED_OVER);
        cr_assert_status(mapring_claim_batch(old, &batch, 1, 0), MAPRING_HANDED_OVER);
        cr_assert_status(mapring_commit(old, 0, 0, 0), MAPRING_NO_CLAIM);
        cr_assert_status(mapring_end(old), MAPRING_HANDED_OVER);
        cr_assert_status(mapring_flush(old), MAPRING_HANDED_OVER);
        cr_assert_status(mapring_handover(old, 0), MAPRING_HANDED_OVER);
        mapring_producer_close(old);
        cr_assert_eq(stat_of(stream.name).producer_alive, 1);
        cr_assert_eq(stat_of(stream.name).ended, 0);
        cr_assert_status(try_read(consumer), 0);
    }
    mapring_consumer_close(consumer);
    mapring_consumer_close(lossy);
    stream_close(&stream);
}

Test(succession, goes_on_if_nobody_comes)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = stream_join(&stream, NULL, MAPRING_OK);
    int64_t start = now_ns();
    cr_assert_status(mapring_handover(stream.producer, 100 * MS), MAPRING_TIMEOUT);
    cr_assert(now_ns() - start >= 100 * MS && now_ns() - start < 1000 * MS);
    for (uint64_t i = 0; i < 300; i++) {
        stream_put(&stream, 1);
        expect(consumer, i);
        cr_assert_status(try_read(consumer), 0);
    }
    cr_assert_eq(progress_of(consumer).epoch, 1);
    cr_assert_eq(stat_of(stream.name).producer_alive, 1);
    mapring_producer *other = NULL;
    cr_assert_status(mapring_producer_open(stream.name, NULL, &other), MAPRING_PRODUCER_EXISTS);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

struct waiter {
    mapring_consumer *consumer;
    int32_t status;
};

static void *wait_for_message(void *argument)
{
    struct waiter *waiter = argument;
    mapring_message message;
    waiter->status = mapring_read(waiter->consumer, &message, 1, 20000 * MS);
    return NULL;
}

/* Consumers notice the epoch and nothing else, though they sleep while there is no producer. */
Test(succession, is_not_noticed_by_who_waits)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    struct waiter waiters[3] = {
        {.consumer = stream_join(&stream, NULL, MAPRING_OK)},
        {.consumer = stream_join(&stream, CONSUMER(.kind = MAPRING_OBSERVER), MAPRING_OK)},
        {.consumer = stream_join(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "g"), MAPRING_OK)},
    };
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, wait_for_message, &waiters[i]), 0);
    cr_assert_status(mapring_handover(stream.producer, 600 * MS), MAPRING_TIMEOUT);
    struct successor successor;
    send_for(&successor, &stream, 10000 * MS);
    cr_assert_status(mapring_handover(stream.producer, 10000 * MS), MAPRING_OK);
    pthread_join(successor.thread, NULL);
    mapring_producer_close(stream.producer);
    stream.producer = successor.producer;
    stream_put(&stream, 1);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_status(waiters[i].status, 1);
        cr_assert_eq(progress_of(waiters[i].consumer).epoch, 2);
        mapring_consumer_close(waiters[i].consumer);
    }
    stream_close(&stream);
}

Test(succession, cannot_be_in_the_middle_of_something)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    void *payload;
    cr_assert_status(mapring_claim(stream.producer, 8, 0, &payload), MAPRING_OK);
    cr_assert_status(mapring_handover(stream.producer, 0), MAPRING_CLAIM_OPEN);
    cr_assert_status(mapring_abandon(stream.producer), MAPRING_OK);
    cr_assert_status(mapring_handover(stream.producer, -1), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_handover(NULL, 0), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_flush(stream.producer), MAPRING_UNSUPPORTED);
    cr_assert_status(mapring_end(stream.producer), MAPRING_OK);
    cr_assert_status(mapring_handover(stream.producer, 0), MAPRING_STREAM_ENDED);
    stream_close(&stream);
}

Test(succession, progress_needs_a_size)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = stream_join(&stream, NULL, MAPRING_OK);
    mapring_consumer_progress progress = {.struct_size = 4};
    cr_assert_status(mapring_progress(consumer, &progress), MAPRING_INVALID_OPTIONS);
    cr_assert_status(mapring_progress(consumer, NULL), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_progress(NULL, &progress), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_rejoin(NULL), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_rejoin(consumer), MAPRING_INVALID_ARGUMENT);
    mapring_consumer_close(consumer);
    mapring_consumer_close(NULL);
    stream_close(&stream);
}
