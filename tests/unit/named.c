/*
 * Consumers with names of their own, which come back.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kinds.h"

TestSuite(named, .timeout = 20);

#define CAPACITY 4096u

static mapring_consumer *join_named(const struct stream *stream, int32_t status)
{
    return stream_join(stream, CONSUMER(.own_name = "n"), status);
}

Test(named, continue_where_they_were)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY, .first_position = 7 * 4096 - 24));
    mapring_consumer *keeper = stream_join(&stream, CONSUMER(.kind = MAPRING_LOSSY), MAPRING_OK);
    mapring_consumer *consumer = join_named(&stream, MAPRING_OK);
    uint64_t random = 9, next = 0;
    for (int round = 0; round < 1000; round++) {
        stream_fill(&stream);
        mapring_message messages[16];
        uint32_t max = 1 + (uint32_t)(random_next(&random) % 16);
        int32_t count = mapring_read(consumer, messages, max, 0);
        cr_assert_gt(count, 0);
        for (int32_t i = 0; i < count; i++)
            cr_assert(is_message(&messages[i], next + (uint64_t)i));
        uint32_t released = (uint32_t)(random_next(&random) % ((uint64_t)count + 1));
        cr_assert_status(mapring_release(consumer, released), MAPRING_OK);
        next += released;
        if (round % 3 == 0)
            stream_take_over(&stream);
        mapring_consumer_close(consumer);
        if (round % 5 == 0)
            stream_take_over(&stream);
        consumer = join_named(&stream, MAPRING_RESUMED);
        cr_assert_eq(progress_of(consumer).sequence, next);
        cr_assert_eq(progress_of(consumer).lost_messages, 0);
    }
    expect_rest(&stream, consumer, next);
    mapring_consumer_close(consumer);
    mapring_consumer_close(keeper);
    stream_close(&stream);
}

Test(named, hold_their_place_while_they_are_away)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = join_named(&stream, MAPRING_OK);
    stream_put(&stream, 3);
    expect(consumer, 0);
    mapring_consumer_close(consumer);
    stream_fill(&stream);
    for (int i = 0; i < 5; i++)
        cr_assert_status(stream_try(&stream, 15 * MS), MAPRING_FULL);
    cr_assert_status(mapring_drain(stream.producer, 20 * MS), MAPRING_TIMEOUT);
    cr_assert_status(mapring_wait_consumers(stream.producer, 1, 0), MAPRING_TIMEOUT);
    mapring_consumer_info info;
    mapring_ring_info ring = {.struct_size = sizeof ring};
    cr_assert_status(mapring_stat(stream.name, NULL, &ring, &info, 1), 1);
    cr_assert_eq(info.alive, 0);
    cr_assert_eq(info.let_go, 0);
    cr_assert_str_eq(info.own_name, "n");
    cr_assert_eq(info.position, stream.starts[1]);
    cr_assert_eq(info.lag_messages, stream.sequence - 1);
    consumer = join_named(&stream, MAPRING_RESUMED);
    expect_rest(&stream, consumer, 1);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

Test(named, are_one_at_a_time)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = join_named(&stream, MAPRING_OK);
    stream_refuses(&stream, CONSUMER(.own_name = "n"), MAPRING_NAME_IN_USE);
    cr_assert_status(mapring_forget(stream.name, "n"), MAPRING_NAME_IN_USE);
    mapring_consumer *other = stream_join(&stream, CONSUMER(.own_name = "m"), MAPRING_OK);
    cr_assert_eq(stat_of(stream.name).consumers, 2);
    stream_put(&stream, 1);
    expect(consumer, 0);
    expect(other, 0);
    mapring_consumer_close(consumer);
    mapring_consumer_close(other);
    cr_assert_status(mapring_forget(stream.name, "n"), MAPRING_OK);
    cr_assert_status(mapring_forget(stream.name, "n"), MAPRING_NOT_FOUND);
    cr_assert_eq(stat_of(stream.name).consumers, 1);
    /* Who comes under a forgotten name starts anew. */
    consumer = stream_join(&stream, CONSUMER(.own_name = "n", .start = MAPRING_FROM_NEWEST), MAPRING_OK);
    cr_assert_eq(progress_of(consumer).sequence, 1);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

Test(named, bad_input)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    char name[MAPRING_OWN_NAME_MAX + 2];
    memset(name, 'x', sizeof name);
    name[MAPRING_OWN_NAME_MAX + 1] = 0;
    stream_refuses(&stream, CONSUMER(.own_name = name), MAPRING_INVALID_NAME);
    stream_refuses(&stream, CONSUMER(.own_name = ""), MAPRING_INVALID_NAME);
    stream_refuses(&stream, CONSUMER(.own_name = "\xff"), MAPRING_INVALID_NAME);
    stream_refuses(&stream, CONSUMER(.own_name = "n", .kind = MAPRING_LOSSY), MAPRING_INVALID_OPTIONS);
    stream_refuses(&stream, CONSUMER(.own_name = "n", .kind = MAPRING_OBSERVER), MAPRING_INVALID_OPTIONS);
    stream_refuses(&stream, CONSUMER(.own_name = "n", .start = MAPRING_FROM_SEQUENCE, .start_value = 1),
                   MAPRING_START_AHEAD);
    cr_assert_eq(stat_of(stream.name).consumers, 0);
    name[MAPRING_OWN_NAME_MAX] = 0;
    mapring_consumer *consumer = stream_join(&stream, CONSUMER(.own_name = name), MAPRING_OK);
    mapring_consumer_info info;
    mapring_ring_info ring = {.struct_size = sizeof ring};
    cr_assert_status(mapring_stat(stream.name, NULL, &ring, &info, 1), 1);
    cr_assert_str_eq(info.own_name, name);
    mapring_consumer_close(consumer);
    cr_assert_status(mapring_forget(stream.name, NULL), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_forget(stream.name, ""), MAPRING_INVALID_NAME);
    cr_assert_status(mapring_forget(stream.name, "nobody"), MAPRING_NOT_FOUND);
    cr_assert_status(mapring_forget("no such ring", name), MAPRING_NOT_FOUND);
    cr_assert_status(mapring_forget(NULL, name), MAPRING_INVALID_ARGUMENT);
    stream_close(&stream);
}

/* A start is for those who come for the first time. */
Test(named, continue_whatever_start_they_ask_for)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer_close(join_named(&stream, MAPRING_OK));
    stream_put(&stream, 8);
    mapring_consumer *consumer =
        stream_join(&stream, CONSUMER(.own_name = "n", .start = MAPRING_FROM_NEWEST), MAPRING_RESUMED);
    expect(consumer, 0);
    mapring_consumer_close(consumer);
    consumer = stream_join(&stream, CONSUMER(.own_name = "n", .start = MAPRING_FROM_SEQUENCE, .start_value = 1000),
                           MAPRING_RESUMED);
    expect(consumer, 1);
    mapring_consumer_close(consumer);
    consumer = stream_join(&stream, CONSUMER(.own_name = "n", .start = MAPRING_FROM_TIME, .start_value = UINT64_MAX),
                           MAPRING_RESUMED);
    expect(consumer, 2);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

/* After the time that it may hold the producer back; it is told what it lost. */
static void expire(uint32_t policy, uint32_t mask, bool copy)
{
    struct stream stream =
        stream_open(PRODUCER(.capacity = CAPACITY, .hold_ns = 100 * MS, .slow_policy = policy, .slow_ns = 5000 * MS));
    mapring_consumer_options *options = CONSUMER(.own_name = "n");
    options->tag_mask = mask;
    mapring_consumer *consumer = stream_join(&stream, options, MAPRING_OK);
    stream_put(&stream, 4);
    expect(consumer, 0);
    expect(consumer, mask == 0 ? 1 : 2);
    uint64_t next = mask == 0 ? 2 : 3;
    mapring_consumer_close(consumer);
    stream_fill(&stream);
    int64_t start = now_ns();
    int32_t status;
    while ((status = stream_try(&stream, policy == MAPRING_SLOW_FAIL ? 0 : 2000 * MS)) == MAPRING_FULL) {
        cr_assert_eq(policy, MAPRING_SLOW_FAIL);
        cr_assert_lt(now_ns() - start, 2000 * MS);
    }
    cr_assert_status(status, MAPRING_OK);
    cr_assert_geq(now_ns() - start, 95 * MS);
    cr_assert_lt(now_ns() - start, 1000 * MS);
    cr_assert_eq(stat_of(stream.name).evictions, 1);
    stream_put(&stream, 300);

    consumer = stream_join(&stream, options, MAPRING_RESUMED);
    mapring_message message;
    uint8_t bytes[256];
    cr_assert_status(copy ? mapring_receive(consumer, bytes, sizeof bytes, &message, 1, 0) : try_read(consumer),
                     MAPRING_LAPPED);
    expect_lost(&stream, consumer, next, 0);
    uint64_t sequence = progress_of(consumer).sequence;
    cr_assert_geq(stream.position - stream.starts[sequence], CAPACITY - CAPACITY / 64 - 3 * 208);
    for (; sequence < stream.sequence; sequence++)
        if (mask == 0 || sequence % 2 == 0)
            expect(consumer, sequence);
    cr_assert_status(try_read(consumer), 0);
    /* And it is waited for again. */
    stream_fill(&stream);
    cr_assert_status(stream_try(&stream, 0), MAPRING_FULL);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

Test(named, are_let_go_after_a_time)
{
    expire(MAPRING_SLOW_WAIT, 0, false);
}

Test(named, are_let_go_after_a_time_and_copy)
{
    expire(MAPRING_SLOW_WAIT, 0, true);
}

Test(named, are_let_go_after_a_time_and_filter)
{
    expire(MAPRING_SLOW_WAIT, 1, false);
}

Test(named, are_let_go_after_a_time_by_one_that_fails)
{
    expire(MAPRING_SLOW_FAIL, 0, false);
}

Test(named, are_let_go_after_a_time_by_one_that_evicts)
{
    expire(MAPRING_SLOW_EVICT, 0, false);
}

/* Let go, but nothing of its own was overwritten yet. */
Test(named, get_nothing_twice_that_they_released)
{
    struct stream stream = stream_open(PRODUCER(.capacity = 65536, .hold_ns = 50 * MS));
    mapring_consumer *consumer = join_named(&stream, MAPRING_OK);
    stream_put(&stream, 9);
    for (uint64_t i = 0; i < 9; i++)
        expect(consumer, i);
    mapring_consumer_close(consumer);
    stream_fill(&stream);
    /* It succeeds, but is not followed by anything. */
    cr_assert_status(stream_try(&stream, 2000 * MS), MAPRING_OK);
    consumer = join_named(&stream, MAPRING_RESUMED);
    uint64_t lost = progress_of(consumer).lost_messages;
    cr_assert_eq(progress_of(consumer).sequence, 9 + lost);
    cr_assert_eq(progress_of(consumer).position, stream.starts[9 + lost]);
    if (lost > 0)
        cr_assert_status(try_read(consumer), MAPRING_LAPPED);
    expect(consumer, 9 + lost);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

/* The time begins when the producer is without room and nobody is there, each time anew. */
Test(named, have_the_whole_time_each_time)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY, .hold_ns = 300 * MS));
    mapring_consumer *consumer = join_named(&stream, MAPRING_OK);
    mapring_consumer_close(consumer);
    stream_fill(&stream);
    cr_assert_status(stream_try(&stream, 20 * MS), MAPRING_FULL);
    consumer = join_named(&stream, MAPRING_RESUMED);
    expect_rest(&stream, consumer, 0);
    uint64_t next = stream.sequence;
    stream_put(&stream, 1);
    usleep(400000);
    mapring_consumer_close(consumer);
    stream_fill(&stream);
    cr_assert_status(stream_try(&stream, 20 * MS), MAPRING_FULL);
    cr_assert_eq(stat_of(stream.name).evictions, 0);
    consumer = join_named(&stream, MAPRING_RESUMED);
    expect_rest(&stream, consumer, next);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

Test(named, are_not_let_go_by_who_has_room)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY, .hold_ns = 20 * MS));
    mapring_consumer_close(join_named(&stream, MAPRING_OK));
    stream_put(&stream, 5);
    cr_assert_status(mapring_drain(stream.producer, 150 * MS), MAPRING_TIMEOUT);
    cr_assert_status(mapring_wait_consumers(stream.producer, 1, 150 * MS), MAPRING_TIMEOUT);
    cr_assert_eq(stat_of(stream.name).evictions, 0);
    mapring_consumer *consumer = join_named(&stream, MAPRING_RESUMED);
    cr_assert_eq(progress_of(consumer).lost_messages, 0);
    expect_rest(&stream, consumer, 0);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

/* The slots of names that were let go are taken last. */
Test(named, keep_their_name_as_long_as_there_are_other_slots)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY, .hold_ns = 20 * MS, .max_consumers = 3));
    mapring_consumer_close(join_named(&stream, MAPRING_OK));
    stream_put(&stream, 5);
    stream_fill(&stream);
    cr_assert_status(stream_try(&stream, 2000 * MS), MAPRING_OK);
    stream_put(&stream, 100);
    mapring_consumer *others[3];
    for (int i = 0; i < 2; i++)
        others[i] = stream_join(&stream, CONSUMER(.kind = MAPRING_LOSSY), MAPRING_OK);
    mapring_consumer *consumer = join_named(&stream, MAPRING_RESUMED);
    cr_assert_eq(progress_of(consumer).lost_messages, progress_of(consumer).sequence);
    stream_refuses(&stream, NULL, MAPRING_NO_SLOT);
    mapring_consumer_close(consumer);
    /* Its place counts again, so nobody gets its slot. */
    stream_refuses(&stream, NULL, MAPRING_NO_SLOT);
    stream_fill(&stream);
    cr_assert_status(stream_try(&stream, 2000 * MS), MAPRING_OK);
    others[2] = stream_join(&stream, CONSUMER(.kind = MAPRING_LOSSY), MAPRING_OK);
    stream_refuses(&stream, CONSUMER(.own_name = "n"), MAPRING_NO_SLOT);
    mapring_consumer_close(others[2]);
    /* The name is gone with the slot. */
    mapring_consumer_close(stream_join(&stream, CONSUMER(.own_name = "n", .start = MAPRING_FROM_NEWEST), MAPRING_OK));
    mapring_consumer_close(others[0]);
    mapring_consumer_close(others[1]);
    stream_close(&stream);
}
