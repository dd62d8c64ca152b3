/*
 * What producers do about consumers that are too slow for them.
 */
#include <pthread.h>

#include "kinds.h"

TestSuite(policies, .timeout = 30);

#define CAPACITY 4096u

static struct stream open_with_policy(uint32_t policy, int64_t slow_ns)
{
    return stream_open(PRODUCER(.capacity = CAPACITY, .slow_policy = policy, .slow_ns = slow_ns));
}

Test(policies, bad_ones)
{
    mapring_producer *producer = NULL;
    char name[64];
    unique_name(name);
    cr_assert_status(mapring_producer_open(name, PRODUCER(.slow_policy = 4), &producer), MAPRING_INVALID_OPTIONS);
    cr_assert_status(mapring_producer_open(name, PRODUCER(.slow_ns = -1), &producer), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_producer_open(name, PRODUCER(.hold_ns = -1), &producer), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_producer_open(name, PRODUCER(.timeout_ns = -1), &producer), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_producer_open(name, PRODUCER(.flags = MAPRING_DURABLE), &producer),
                     MAPRING_INVALID_OPTIONS);
    cr_assert_status(mapring_producer_open(name, PRODUCER(.flags = 2), &producer), MAPRING_INVALID_OPTIONS);
    cr_assert_null(producer);
}

Test(policies, are_the_rings_own)
{
    struct stream stream = open_with_policy(MAPRING_SLOW_EVICT, 7);
    mapring_consumer *keeper = stream_join(&stream, NULL, MAPRING_OK);
    mapring_producer_close(stream.producer);
    cr_assert_status(
        mapring_producer_open(stream.name, PRODUCER(.slow_policy = MAPRING_SLOW_FAIL, .slow_ns = 9), &stream.producer),
        1);
    mapring_ring_info info = stat_of(stream.name);
    cr_assert_eq(info.slow_policy, MAPRING_SLOW_EVICT);
    cr_assert_eq(info.slow_ns, 7);
    cr_assert_eq(info.hold_ns, 60000000000u);
    cr_assert_eq(info.evictions, 0);
    cr_assert_eq(info.demotions, 0);
    mapring_consumer_close(keeper);
    stream_close(&stream);
}

/* Whatever time the call has. */
Test(policies, fail)
{
    struct stream stream = open_with_policy(MAPRING_SLOW_FAIL, 0);
    mapring_consumer *consumer = stream_join(&stream, NULL, MAPRING_OK);
    stream_fill(&stream);
    int64_t start = now_ns();
    cr_assert_status(stream_try(&stream, 5000 * MS), MAPRING_FULL);
    cr_assert_lt(now_ns() - start, 1000 * MS);
    expect_rest(&stream, consumer, 0);
    cr_assert_status(stream_try(&stream, 0), MAPRING_OK);
    cr_assert_status(mapring_rejoin(consumer), MAPRING_INVALID_ARGUMENT);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

/* The producer fills the ring, then gets room by force. Returns after how long. */
static int64_t force(struct stream *stream)
{
    stream_fill(stream);
    int64_t start = now_ns();
    cr_assert_status(stream_try(stream, 10000 * MS), MAPRING_OK);
    return now_ns() - start;
}

Test(policies, wait_as_long_as_they_say)
{
    static const uint32_t policies[] = {MAPRING_SLOW_DEMOTE, MAPRING_SLOW_EVICT};
    for (int i = 0; i < 2; i++) {
        struct stream stream = open_with_policy(policies[i], 200 * MS);
        mapring_consumer *consumer = stream_join(&stream, NULL, MAPRING_OK);
        int64_t waited = force(&stream);
        cr_assert(waited >= 190 * MS && waited < 500 * MS, "after %ld us", waited / 1000);
        mapring_consumer_close(consumer);

        /* A call that has less time fails before, and calls without time add up. */
        consumer = stream_join(&stream, CONSUMER(.start = MAPRING_FROM_NEWEST), MAPRING_OK);
        stream_fill(&stream);
        int64_t start = now_ns();
        cr_assert_status(stream_try(&stream, 50 * MS), MAPRING_FULL);
        cr_assert_geq(now_ns() - start, 50 * MS);
        while (stream_try(&stream, 0) == MAPRING_FULL)
            cr_assert_lt(now_ns() - start, 1000 * MS);
        cr_assert_geq(now_ns() - start, 150 * MS);
        mapring_consumer_close(consumer);

        /* Room in between: from the start. */
        consumer = stream_join(&stream, CONSUMER(.start = MAPRING_FROM_NEWEST), MAPRING_OK);
        uint64_t next = stream.sequence;
        for (int round = 0; round < 3; round++) {
            stream_fill(&stream);
            cr_assert_status(stream_try(&stream, 120 * MS), MAPRING_FULL);
            for (; next < stream.sequence; next++)
                expect(consumer, next);
            cr_assert_status(try_read(consumer), 0);
        }
        cr_assert_eq(stat_of(stream.name).evictions + stat_of(stream.name).demotions, 2);
        mapring_consumer_close(consumer);
        stream_close(&stream);
    }
}

Test(policies, evict)
{
    struct stream stream = open_with_policy(MAPRING_SLOW_EVICT, 0);
    mapring_consumer *slow = stream_join(&stream, NULL, MAPRING_OK);
    mapring_consumer *fast = stream_join(&stream, NULL, MAPRING_OK);
    stream_put(&stream, 10);
    for (uint64_t i = 0; i < 10; i++)
        expect(fast, i);
    expect(slow, 0);
    mapring_message held;
    cr_assert_status(mapring_read(slow, &held, 1, 0), 1);
    cr_assert_status(try_read(fast), 0);
    uint64_t before = stream.sequence;
    while (stat_of(stream.name).evictions == 0)
        stream_put(&stream, 1);
    cr_assert_eq(stat_of(stream.name).evictions, 1);
    cr_assert_eq(stat_of(stream.name).demotions, 0);
    expect_rest(&stream, fast, before);
    mapring_consumer_info info[2];
    mapring_ring_info ring = {.struct_size = sizeof ring};
    cr_assert_status(mapring_stat(stream.name, NULL, &ring, info, 2), 2);
    cr_assert_eq(info[0].let_go, 1);
    cr_assert_eq(info[0].alive, 1);
    cr_assert_eq(info[1].let_go, 0);

    /* It learns of it, and nothing else, whatever it calls. */
    mapring_message message;
    uint8_t bytes[256];
    for (int i = 0; i < 3; i++)
        cr_assert_status(mapring_read(slow, &message, 1, 1000 * MS), MAPRING_EVICTED);
    stream_put(&stream, 10);
    cr_assert_status(mapring_receive(slow, bytes, sizeof bytes, &message, 1, 0), MAPRING_UNRELEASED);
    int32_t status = mapring_release(slow, 1);
    cr_assert(status == MAPRING_EVICTED || (status == MAPRING_OK && is_message(&held, 1)), "%s",
              mapring_status_name(status));
    cr_assert_status(mapring_release(slow, 1), MAPRING_NOT_READ);
    cr_assert_status(mapring_receive(slow, bytes, sizeof bytes, &message, 1, 1000 * MS), MAPRING_EVICTED);
    stream_put(&stream, 200);
    cr_assert_status(mapring_read(slow, &message, 1, 0), MAPRING_EVICTED);

    /* It comes back. */
    mapring_consumer_progress was = progress_of(slow);
    cr_assert_eq(was.sequence, 2);
    cr_assert_status(mapring_rejoin(slow), MAPRING_OK);
    cr_assert_status(mapring_rejoin(slow), MAPRING_INVALID_ARGUMENT);
    expect_lost(&stream, slow, 2, was.lost_messages);
    cr_assert_eq(progress_of(slow).lost_bytes, progress_of(slow).position - was.position);
    cr_assert_eq(progress_of(slow).kind, MAPRING_RELIABLE);
    expect_rest(&stream, slow, progress_of(slow).sequence);
    cr_assert_status(mapring_stat(stream.name, NULL, &ring, info, 2), 2);
    cr_assert_eq(info[0].let_go, 0);
    cr_assert_eq(info[0].lost, progress_of(slow).lost_messages);
    mapring_consumer_close(slow);
    mapring_consumer_close(fast);
    cr_assert_eq(stat_of(stream.name).consumers, 0);
    stream_close(&stream);
}

Test(policies, evict_and_what_is_held_tears)
{
    struct stream stream = open_with_policy(MAPRING_SLOW_EVICT, 0);
    mapring_consumer *consumer = stream_join(&stream, NULL, MAPRING_OK);
    stream_put(&stream, 5);
    mapring_message messages[5];
    cr_assert_status(mapring_read(consumer, messages, 5, 0), 5);
    stream_put(&stream, 200);
    /* The release is the first that it hears. */
    cr_assert_status(mapring_release(consumer, 2), MAPRING_EVICTED);
    cr_assert_eq(progress_of(consumer).torn_messages, 5);
    cr_assert_eq(progress_of(consumer).unreleased, 0);
    cr_assert_status(try_read(consumer), MAPRING_EVICTED);
    cr_assert_status(mapring_rejoin(consumer), MAPRING_OK);
    expect_lost(&stream, consumer, 5, 0);
    expect_rest(&stream, consumer, progress_of(consumer).sequence);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

Test(policies, demote)
{
    struct stream stream = open_with_policy(MAPRING_SLOW_DEMOTE, 0);
    mapring_consumer *consumer = stream_join(&stream, NULL, MAPRING_OK);
    stream_put(&stream, 5);
    expect(consumer, 0);
    while (stat_of(stream.name).demotions == 0)
        stream_put(&stream, 1);
    cr_assert_eq(stat_of(stream.name).evictions, 0);
    mapring_consumer_info info[1];
    mapring_ring_info ring = {.struct_size = sizeof ring};
    cr_assert_status(mapring_stat(stream.name, NULL, &ring, info, 1), 1);
    cr_assert_eq(info[0].kind, MAPRING_LOSSY);
    cr_assert_eq(info[0].let_go, 1);
    stream_put(&stream, 100);
    /* Once; then as any lossy one. */
    cr_assert_status(try_read(consumer), MAPRING_DEMOTED);
    cr_assert_eq(progress_of(consumer).kind, MAPRING_LOSSY);
    cr_assert_status(try_read(consumer), MAPRING_LAPPED);
    expect_lost(&stream, consumer, 1, 0);
    expect_rest(&stream, consumer, progress_of(consumer).sequence);
    uint64_t next = stream.sequence;
    stream_put(&stream, 300);
    uint64_t lost = progress_of(consumer).lost_messages;
    cr_assert_status(try_read(consumer), MAPRING_LAPPED);
    expect_lost(&stream, consumer, next, lost);
    uint64_t reached = progress_of(consumer).sequence;
    expect(consumer, reached++);
    /* It comes back without loss, while its messages are there. */
    lost = progress_of(consumer).lost_messages;
    cr_assert_status(mapring_rejoin(consumer), MAPRING_OK);
    cr_assert_eq(progress_of(consumer).lost_messages, lost);
    cr_assert_eq(progress_of(consumer).sequence, reached);
    expect(consumer, reached);
    cr_assert_eq(stat_of(stream.name).demotions, 1);
    stream_put(&stream, 300);
    cr_assert_eq(stat_of(stream.name).demotions, 2);
    cr_assert_status(try_read(consumer), MAPRING_DEMOTED);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

/* Before it noticed. */
Test(policies, rejoin_at_once)
{
    static const uint32_t policies[] = {MAPRING_SLOW_DEMOTE, MAPRING_SLOW_EVICT};
    for (int i = 0; i < 2; i++) {
        struct stream stream = open_with_policy(policies[i], 0);
        mapring_consumer *consumer = stream_join(&stream, NULL, MAPRING_OK);
        stream_put(&stream, 300);
        cr_assert_status(mapring_rejoin(consumer), MAPRING_OK);
        expect_lost(&stream, consumer, 0, 0);
        expect_rest(&stream, consumer, progress_of(consumer).sequence);
        mapring_consumer_close(consumer);
        stream_close(&stream);
    }
}

/* Groups are waited for, and named ones come back as they left. */
Test(policies, do_not_concern_groups)
{
    struct stream stream = open_with_policy(MAPRING_SLOW_EVICT, 0);
    mapring_consumer *member = stream_join(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "g"), MAPRING_OK);
    stream_put(&stream, 2);
    mapring_message message;
    cr_assert_status(mapring_read(member, &message, 1, 0), 1);
    stream_fill(&stream);
    cr_assert_status(stream_try(&stream, 150 * MS), MAPRING_FULL);
    cr_assert(is_message(&message, 0));
    cr_assert_status(mapring_release(member, 1), MAPRING_OK);
    expect_rest(&stream, member, 1);
    cr_assert_eq(stat_of(stream.name).evictions, 0);
    mapring_consumer_close(member);
    stream_close(&stream);
}

Test(policies, named_consumers_that_were_demoted_come_back_where_they_left)
{
    struct stream stream = open_with_policy(MAPRING_SLOW_DEMOTE, 0);
    mapring_consumer *consumer = stream_join(&stream, CONSUMER(.own_name = "n"), MAPRING_OK);
    stream_put(&stream, 300);
    cr_assert_status(try_read(consumer), MAPRING_DEMOTED);
    cr_assert_status(try_read(consumer), MAPRING_LAPPED);
    uint64_t next = progress_of(consumer).sequence;
    for (int i = 0; i < 3; i++)
        expect(consumer, next++);
    mapring_consumer_close(consumer);
    consumer = stream_join(&stream, CONSUMER(.own_name = "n"), MAPRING_RESUMED);
    mapring_consumer_progress progress = progress_of(consumer);
    cr_assert_eq(progress.sequence, next + progress.lost_messages);
    cr_assert_eq(progress.lost_messages, 0);
    expect_rest(&stream, consumer, next);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

Test(policies, named_consumers_that_were_evicted_come_back_to_what_is_there)
{
    struct stream stream = open_with_policy(MAPRING_SLOW_EVICT, 0);
    mapring_consumer *consumer = stream_join(&stream, CONSUMER(.own_name = "n"), MAPRING_OK);
    stream_put(&stream, 3);
    expect(consumer, 0);
    stream_put(&stream, 300);
    cr_assert_status(try_read(consumer), MAPRING_EVICTED);
    mapring_consumer_close(consumer);
    stream_put(&stream, 50);
    consumer = stream_join(&stream, CONSUMER(.own_name = "n"), MAPRING_RESUMED);
    cr_assert_status(try_read(consumer), MAPRING_LAPPED);
    expect_lost(&stream, consumer, 1, 0);
    expect_rest(&stream, consumer, progress_of(consumer).sequence);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

/* One that sleeps is told as well. */
struct sleeper {
    mapring_consumer *consumer;
    int32_t status;
};

static void *sleep_on(void *argument)
{
    struct sleeper *sleeper = argument;
    mapring_message message;
    sleeper->status = mapring_read(sleeper->consumer, &message, 1, 10000 * MS);
    return NULL;
}

Test(policies, tell_who_sleeps_with_messages_in_hand)
{
    struct stream stream = open_with_policy(MAPRING_SLOW_EVICT, 20 * MS);
    struct sleeper sleeper = {.consumer = stream_join(&stream, NULL, MAPRING_OK)};
    /* One that is held, and then nothing more that it wants. */
    mapring_consumer_close(sleeper.consumer);
    sleeper.consumer = stream_join(&stream, CONSUMER(.tag_mask = UINT32_MAX), MAPRING_OK);
    stream_put(&stream, 1);
    mapring_message message;
    cr_assert_status(mapring_read(sleeper.consumer, &message, 1, 0), 1);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, sleep_on, &sleeper), 0);
    int64_t start = now_ns();
    while (stat_of(stream.name).evictions == 0)
        cr_assert_status(stream_try(&stream, 5000 * MS), MAPRING_OK);
    pthread_join(thread, NULL);
    cr_assert_lt(now_ns() - start, 2000 * MS);
    cr_assert_status(sleeper.status, MAPRING_EVICTED);
    mapring_consumer_close(sleeper.consumer);
    stream_close(&stream);
}
