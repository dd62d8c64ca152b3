/*
 * Where consumers start, and which messages they ask for.
 */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "kinds.h"

TestSuite(starts, .timeout = 20);

#define CAPACITY 4096u

static const uint32_t kinds[] = {MAPRING_RELIABLE, MAPRING_LOSSY, MAPRING_MEMBER, MAPRING_OBSERVER};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static mapring_consumer_options start_at(uint32_t kind, uint32_t start, uint64_t value)
{
    static char group[32];
    static int groups;
    snprintf(group, sizeof group, "group-%d", groups++);
    return (mapring_consumer_options){
        .struct_size = sizeof(mapring_consumer_options),
        .kind = kind,
        .start = start,
        .start_value = value,
        .group = kind == MAPRING_MEMBER ? group : NULL,
    };
}

static uint64_t utc_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Ends a group that a test has made, so that there is room for others. */
static void leave(const struct stream *stream, mapring_consumer *consumer, const mapring_consumer_options *options)
{
    mapring_consumer_close(consumer);
    if (options->group != NULL)
        cr_assert_status(mapring_forget(stream->name, options->group), MAPRING_OK);
}

static void starts_as(const struct stream *stream, uint32_t start, uint64_t value, int32_t status, uint64_t sequence)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        mapring_consumer_options options = start_at(kinds[i], start, value);
        mapring_consumer *consumer = stream_join(stream, &options, status);
        if (sequence != UINT64_MAX)
            cr_assert_eq(progress_of(consumer).sequence, sequence, "kind %u starts at %lu instead of %lu", kinds[i],
                         progress_of(consumer).sequence, sequence);
        expect_rest(stream, consumer, progress_of(consumer).sequence);
        leave(stream, consumer, &options);
    }
}

static void is_refused(const struct stream *stream, uint32_t start, uint64_t value)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        mapring_consumer_options options = start_at(kinds[i], start, value);
        stream_refuses(stream, &options, MAPRING_START_AHEAD);
    }
    cr_assert_eq(stat_of(stream->name).consumers, 0);
    cr_assert_eq(stat_of(stream->name).groups, 0);
}

Test(starts, in_an_empty_ring)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    starts_as(&stream, MAPRING_FROM_OLDEST, 0, MAPRING_OK, 0);
    starts_as(&stream, MAPRING_FROM_NEWEST, 0, MAPRING_OK, 0);
    starts_as(&stream, MAPRING_FROM_SEQUENCE, 0, MAPRING_OK, 0);
    starts_as(&stream, MAPRING_FROM_TIME, 0, MAPRING_OK, 0);
    starts_as(&stream, MAPRING_FROM_TIME, 1, MAPRING_OK, 0);
    is_refused(&stream, MAPRING_FROM_SEQUENCE, 1);
    is_refused(&stream, MAPRING_FROM_SEQUENCE, UINT64_MAX);
    is_refused(&stream, MAPRING_FROM_TIME, utc_ns() + 3600000000000u);
    is_refused(&stream, MAPRING_FROM_TIME, UINT64_MAX);
    stream_close(&stream);
}

Test(starts, in_a_ring_that_has_everything)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY, .first_position = 5 * 4096 - 64));
    uint64_t before = utc_ns();
    stream_put(&stream, 20);
    starts_as(&stream, MAPRING_FROM_OLDEST, 0, MAPRING_OK, 0);
    starts_as(&stream, MAPRING_FROM_NEWEST, 0, MAPRING_OK, 20);
    for (uint64_t sequence = 0; sequence <= 20; sequence++)
        starts_as(&stream, MAPRING_FROM_SEQUENCE, sequence, MAPRING_OK, sequence);
    is_refused(&stream, MAPRING_FROM_SEQUENCE, 21);
    starts_as(&stream, MAPRING_FROM_TIME, 1, MAPRING_OK, 0);
    starts_as(&stream, MAPRING_FROM_TIME, before, MAPRING_OK, 0);
    starts_as(&stream, MAPRING_FROM_TIME, utc_ns(), MAPRING_OK, UINT64_MAX);
    stream_close(&stream);
}

Test(starts, in_a_ring_that_has_gone_round)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    stream_put(&stream, 500);
    uint64_t oldest = stat_of(stream.name).oldest;
    cr_assert_gt(oldest, 400);
    cr_assert_leq(stream.position - stream.starts[oldest], CAPACITY);
    cr_assert_geq(stream.position - stream.starts[oldest], CAPACITY - CAPACITY / 64 - 3 * 208);
    starts_as(&stream, MAPRING_FROM_OLDEST, 0, MAPRING_OK, oldest);
    starts_as(&stream, MAPRING_FROM_NEWEST, 0, MAPRING_OK, 500);
    starts_as(&stream, MAPRING_FROM_SEQUENCE, 0, MAPRING_START_GONE, oldest);
    starts_as(&stream, MAPRING_FROM_SEQUENCE, oldest - 1, MAPRING_START_GONE, oldest);
    for (uint64_t sequence = oldest; sequence <= 500; sequence++)
        starts_as(&stream, MAPRING_FROM_SEQUENCE, sequence, MAPRING_OK, sequence);
    is_refused(&stream, MAPRING_FROM_SEQUENCE, 501);
    starts_as(&stream, MAPRING_FROM_TIME, 1, MAPRING_START_GONE, oldest);
    starts_as(&stream, MAPRING_FROM_TIME, utc_ns(), MAPRING_OK, UINT64_MAX);
    is_refused(&stream, MAPRING_FROM_TIME, utc_ns() + 3600000000000u);
    stream_close(&stream);
}

/* Not later than the first message of that time, and not more than a stride before it. */
Test(starts, by_time)
{
    struct stream stream = stream_open(PRODUCER(.capacity = 65536));
    uint64_t times[8], first[8];
    for (int i = 0; i < 8; i++) {
        struct timespec pause = {.tv_nsec = 2 * MS};
        nanosleep(&pause, NULL);
        times[i] = utc_ns();
        nanosleep(&pause, NULL);
        first[i] = stream.sequence;
        stream_put(&stream, 70);
    }
    for (int i = 0; i < 8; i++)
        for (size_t k = 0; k < KIND_COUNT; k++) {
            mapring_consumer_options options = start_at(kinds[k], MAPRING_FROM_TIME, times[i]);
            mapring_consumer *consumer = stream_join(&stream, &options, MAPRING_OK);
            uint64_t sequence = progress_of(consumer).sequence;
            cr_assert_leq(sequence, first[i]);
            cr_assert_leq(stream.starts[first[i]] - stream.starts[sequence], 65536 / 64 + 3 * 208);
            expect(consumer, sequence);
            leave(&stream, consumer, &options);
        }
    stream_close(&stream);
}

/* Filters. */

TestSuite(filters, .timeout = 20);

/* One of the kinds with a filter, which asks for every 2^n-th message: tags are numbers. */
static mapring_consumer *filter(const struct stream *stream, uint32_t kind, uint32_t mask, uint32_t value)
{
    return stream_join(stream,
                       CONSUMER(.kind = kind, .tag_mask = mask, .tag_value = value,
                                .group = kind == MAPRING_MEMBER ? "filtered" : NULL),
                       MAPRING_OK);
}

Test(filters, deliver_what_was_asked_for)
{
    for (size_t k = 0; k < KIND_COUNT; k++) {
        struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
        mapring_consumer *consumer = filter(&stream, kinds[k], 7, 5);
        for (uint64_t next = 5; next < 2000; next += 8) {
            stream_put(&stream, next + 1 - stream.sequence);
            if (next % 16 == 5)
                expect(consumer, next);
            else
                expect_copy(consumer, next);
            cr_assert_status(try_read(consumer), 0);
        }
        cr_assert_eq(progress_of(consumer).lost_messages, 0);
        stream_put(&stream, 3);
        cr_assert_status(mapring_end(stream.producer), MAPRING_OK);
        cr_assert_status(try_read(consumer), MAPRING_STREAM_ENDED);
        mapring_consumer_close(consumer);
        stream_close(&stream);
    }
}

Test(filters, release_in_parts)
{
    for (size_t k = 0; k < KIND_COUNT; k++) {
        struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
        mapring_consumer *consumer = filter(&stream, kinds[k], 3, 1);
        uint64_t next = 1;
        for (int round = 0; round < 100; round++) {
            stream_put(&stream, 12);
            mapring_message messages[16];
            uint32_t held = 0;
            int32_t count;
            while ((count = mapring_read(consumer, messages + held, 16 - held, 0)) > 0) {
                held += (uint32_t)count;
                if (kinds[k] == MAPRING_MEMBER)
                    break; /* releases before it reads on */
            }
            for (uint32_t i = 0; i < held; i++) {
                cr_assert(is_message(&messages[i], next), "%lu instead of %lu", messages[i].sequence, next);
                next += 4;
                cr_assert_status(mapring_release(consumer, 1), MAPRING_OK);
                cr_assert_eq(progress_of(consumer).unreleased, held - i - 1);
            }
            cr_assert_status(mapring_release(consumer, 1), MAPRING_NOT_READ);
        }
        while (try_read(consumer) == 1)
            cr_assert_status(mapring_release(consumer, 1), MAPRING_OK);
        cr_assert_status(mapring_drain(stream.producer, 0), MAPRING_OK);
        mapring_consumer_close(consumer);
        stream_close(&stream);
    }
}

Test(filters, that_match_nothing_hold_nobody_back)
{
    for (size_t k = 0; k < KIND_COUNT; k++) {
        struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
        mapring_consumer *consumer = filter(&stream, kinds[k], UINT32_MAX, UINT32_MAX);
        for (int round = 0; round < 100; round++) {
            stream_put(&stream, 10);
            int64_t start = now_ns();
            int64_t timeout = round % 10 == 0 ? 5 * MS : 0;
            mapring_message message;
            uint8_t bytes[8];
            int32_t status = round % 2 == 0 ? mapring_read(consumer, &message, 1, timeout)
                                            : mapring_receive(consumer, bytes, 8, &message, 1, timeout);
            cr_assert_status(status, 0);
            cr_assert_geq(now_ns() - start, timeout);
        }
        cr_assert_eq(progress_of(consumer).sequence, stream.sequence);
        mapring_consumer_close(consumer);
        stream_close(&stream);
    }
}

/* Messages before and behind those that are held are released only with them. */
Test(filters, hold_what_is_held)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = filter(&stream, MAPRING_RELIABLE, UINT32_MAX, 10);
    stream_fill(&stream);
    mapring_message message;
    cr_assert_status(mapring_read(consumer, &message, 1, 0), 1);
    cr_assert_status(try_read(consumer), 0);
    stream_fill(&stream);
    for (int i = 0; i < 10; i++)
        cr_assert_status(try_read(consumer), 0);
    cr_assert(is_message(&message, 10));
    cr_assert_status(mapring_release(consumer, 1), MAPRING_OK);
    cr_assert_status(try_read(consumer), 0);
    cr_assert_status(mapring_drain(stream.producer, 0), MAPRING_OK);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

Test(filters, bad_ones)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    stream_refuses(&stream, CONSUMER(.tag_mask = 1, .tag_value = 2), MAPRING_INVALID_ARGUMENT);
    stream_refuses(&stream, CONSUMER(.tag_value = 1), MAPRING_INVALID_ARGUMENT);
    stream_refuses(&stream, CONSUMER(.start = 4), MAPRING_INVALID_OPTIONS);
    stream_refuses(&stream, CONSUMER(.start_value = 4), MAPRING_INVALID_OPTIONS);
    stream_refuses(&stream, CONSUMER(.kind = 5), MAPRING_INVALID_OPTIONS);
    stream_refuses(&stream, CONSUMER(.flags = 1), MAPRING_INVALID_OPTIONS);
    stream_refuses(&stream, CONSUMER(.reserved = {0, 0, 1}), MAPRING_INVALID_OPTIONS);
    stream_refuses(&stream, CONSUMER(.timeout_ns = -1), MAPRING_INVALID_ARGUMENT);
    stream_close(&stream);
}

/* A call ends when its time is over, however busy the producer is with what nobody wants. */
static void *publish_unwanted(void *argument)
{
    const struct stream *stream = argument;
    int64_t end = now_ns() + 300 * MS;
    while (now_ns() < end)
        mapring_publish(stream->producer, "12345678", 8, 0, 0, 10 * MS);
    return NULL;
}

Test(filters, return_in_time_while_much_is_published)
{
    for (size_t k = 0; k < KIND_COUNT; k++) {
        struct stream stream = stream_open(PRODUCER(.capacity = 1 << 20));
        mapring_consumer *consumer = filter(&stream, kinds[k], 1, 1);
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, publish_unwanted, &stream), 0);
        int64_t end = now_ns() + 250 * MS;
        uint64_t calls = 0;
        for (; now_ns() < end; calls++) {
            mapring_message message;
            int64_t timeout = calls % 2 == 0 ? 0 : MS, start = now_ns();
            int32_t status = mapring_read(consumer, &message, 1, timeout);
            cr_assert(status == 0 || (status == MAPRING_LAPPED && kinds[k] != MAPRING_RELIABLE), "%s",
                      mapring_status_name(status));
            cr_assert_lt(now_ns() - start, 100 * MS, "a call of kind %u took %ld us", kinds[k],
                         (long)(now_ns() - start) / 1000);
        }
        cr_assert_gt(calls, 5);
        pthread_join(thread, NULL);
        mapring_consumer_close(consumer);
        stream_close(&stream);
    }
}
