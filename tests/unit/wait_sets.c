/*
 * Wait sets: many consumers, producers without room, and descriptors, in one wait.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "rings.h"

TestSuite(wait_sets, .timeout = 60);

static mapring_wait_set *open_set(void)
{
    mapring_wait_set *set = NULL;
    cr_assert_status(mapring_wait_set_open(&set), MAPRING_OK);
    cr_assert_not_null(set);
    return set;
}

/* Several rings, each of whose consumers is in the set with its number as token. */
struct rings {
    mapring_wait_set *set;
    struct ends *ends;
    uint64_t count;
};

static struct rings open_rings(uint64_t count)
{
    struct rings rings = {open_set(), calloc(count, sizeof(struct ends)), count};
    for (uint64_t i = 0; i < count; i++) {
        rings.ends[i] = open_ends(4096);
        cr_assert_status(mapring_wait_set_add_consumer(rings.set, rings.ends[i].consumer, i), MAPRING_OK);
    }
    return rings;
}

static void close_rings(struct rings *rings)
{
    mapring_wait_set_close(rings->set);
    for (uint64_t i = 0; i < rings->count; i++)
        close_ends(&rings->ends[i]);
    free(rings->ends);
}

static mapring_ready only_ready(mapring_wait_set *set)
{
    mapring_ready ready[4];
    cr_assert_status(mapring_wait_set_wait(set, ready, 4, 10000 * MS), 1);
    return ready[0];
}

static void nobody_is_ready(mapring_wait_set *set)
{
    mapring_ready ready[4];
    cr_assert_status(mapring_wait_set_wait(set, ready, 4, 0), 0);
}

Test(wait_sets, tells_who_has_messages)
{
    struct rings rings = open_rings(3);
    nobody_is_ready(rings.set);
    put(&rings.ends[1], 8, 1);
    for (int i = 0; i < 3; i++) {
        mapring_ready ready = only_ready(rings.set);
        cr_assert(ready.token == 1 && ready.events == MAPRING_EVENT_READABLE);
    }
    put(&rings.ends[2], 8, 2);
    mapring_ready ready[3];
    cr_assert_status(mapring_wait_set_wait(rings.set, ready, 3, 0), 2);
    take(&rings.ends[1], 8, 1);
    cr_assert_eq(only_ready(rings.set).token, 2);
    take(&rings.ends[2], 8, 2);
    nobody_is_ready(rings.set);
    cr_assert_status(mapring_end(rings.ends[0].producer), MAPRING_OK);
    cr_assert_eq(only_ready(rings.set).token, 0);
    cr_assert_status(mapring_wait_set_remove_consumer(rings.set, rings.ends[0].consumer), MAPRING_OK);
    nobody_is_ready(rings.set);
    close_rings(&rings);
}

Test(wait_sets, waits_as_long_as_asked)
{
    struct rings rings = open_rings(2);
    mapring_ready ready;
    const int64_t timeouts[] = {1, MS, 30 * MS, 250 * MS};
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        int64_t start = now_ns();
        cr_assert_status(mapring_wait_set_wait(rings.set, &ready, 1, timeouts[i]), 0);
        int64_t waited = now_ns() - start;
        cr_assert(waited >= timeouts[i] && waited < timeouts[i] + 2000 * MS, "%lld ns", (long long)waited);
    }
    close_rings(&rings);
}

/* Counts. */

static mapring_consumer_info info_of(const struct ends *ends)
{
    mapring_consumer_info info[4];
    mapring_ring_info ring = {.struct_size = sizeof ring};
    cr_assert_status(mapring_stat(ends->name, NULL, &ring, info, 4), 1);
    return info[0];
}

static uint64_t useful_parks_of(const struct ends *ends)
{
    mapring_consumer_info info = info_of(ends);
    return info.parks - info.spurious_wakes;
}

/* Publishes when the consumer sleeps. */
static void *put_when_parked(void *argument)
{
    struct ends *ends = argument;
    int64_t end = now_ns() + 10000 * MS;
    while (useful_parks_of(ends) == 0)
        if (now_ns() > end)
            return "it does not sleep";
    put(ends, 8, 1);
    return NULL;
}

Test(wait_sets, counts_sleeps_of_each_member)
{
    /* With a descriptor in the set it sleeps in another way. */
    for (int with_descriptor = 0; with_descriptor < 2; with_descriptor++) {
        struct rings rings = open_rings(3);
        int ends[2];
        cr_assert_eq(pipe(ends), 0);
        if (with_descriptor == 1)
            cr_assert_status(mapring_wait_set_add_descriptor(rings.set, ends[0], MAPRING_EVENT_READABLE, 9),
                             MAPRING_OK);
        cr_assert_status(mapring_wait_set_set_waiting(rings.set, MAPRING_WAIT_PARK), MAPRING_OK);
        nobody_is_ready(rings.set);
        for (int i = 0; i < 3; i++)
            cr_assert_eq(info_of(&rings.ends[i]).parks, 0, "a look is no sleep");

        mapring_ready ready;
        cr_assert_status(mapring_wait_set_wait(rings.set, &ready, 1, 250 * MS), 0);
        uint64_t parks[3];
        for (int i = 0; i < 3; i++) {
            mapring_consumer_info info = info_of(&rings.ends[i]);
            parks[i] = info.parks;
            cr_assert_geq(info.parks, 2, "one in 0.1 s");
            cr_assert_eq(info.spurious_wakes, info.parks, "all for nothing");
            cr_assert(info.wakes_avoided == 0 && info.parks == parks[0]);
        }

        pthread_t thread;
        void *failure;
        cr_assert_eq(pthread_create(&thread, NULL, put_when_parked, &rings.ends[1]), 0);
        cr_assert_eq(only_ready(rings.set).token, 1);
        pthread_join(thread, &failure);
        cr_assert_null(failure);
        for (int i = 0; i < 3; i++) {
            cr_assert_gt(info_of(&rings.ends[i]).parks, parks[i]);
            /* Between two sleeps it may have come, too. */
            cr_assert_eq(useful_parks_of(&rings.ends[i]) + info_of(&rings.ends[i]).wakes_avoided, i == 1, "ring %d", i);
        }
        close_rings(&rings);
        close(ends[0]);
        close(ends[1]);
    }
}

/* What comes while the set spins, or is about to sleep, saves the sleep of that member. */
static void *put_soon(void *argument)
{
    put(argument, 8, 1);
    return NULL;
}

Test(wait_sets, counts_sleeps_avoided)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        cr_skip_test("what comes while it spins comes from another processor");
    struct rings rings = open_rings(2);
    uint64_t useful = 0, avoided = 0;
    for (uint64_t told = 0; avoided == 0; told++) {
        cr_assert_lt(told, 100000, "never");
        pthread_t thread;
        cr_assert_status(mapring_wait_set_set_waiting(rings.set, MAPRING_WAIT_ADAPTIVE), MAPRING_OK);
        cr_assert_eq(pthread_create(&thread, NULL, put_soon, &rings.ends[1]), 0);
        cr_assert_eq(only_ready(rings.set).token, 1);
        pthread_join(thread, NULL);
        take(&rings.ends[1], 8, 1);
        uint64_t now_useful = useful_parks_of(&rings.ends[1]);
        avoided = info_of(&rings.ends[1]).wakes_avoided;
        cr_assert_leq(now_useful + avoided, useful + 1, "both slept and not");
        useful = now_useful;
    }
    cr_assert_eq(info_of(&rings.ends[0]).wakes_avoided, 0);
    cr_assert_eq(useful_parks_of(&rings.ends[0]), 0);
    close_rings(&rings);
}

Test(wait_sets, is_fair)
{
    struct rings rings = open_rings(5);
    unsigned told[5] = {0};
    for (uint64_t i = 0; i < rings.count; i++)
        put(&rings.ends[i], 8, i);
    for (int round = 0; round < 50; round++) {
        mapring_ready ready[2];
        int32_t count = mapring_wait_set_wait(rings.set, ready, 2, 0);
        cr_assert_eq(count, 2);
        for (int32_t i = 0; i < count; i++)
            told[ready[i].token]++;
    }
    for (int i = 0; i < 5; i++)
        cr_assert_eq(told[i], 20, "ring %d: %u", i, told[i]);
    close_rings(&rings);
}

struct publishing {
    struct rings *rings;
    uint64_t messages;
};

static void *publish_to_some(void *argument)
{
    const struct publishing *publishing = argument;
    uint64_t random = 7;
    for (uint64_t i = 0; i < publishing->messages; i++) {
        uint64_t which = random_next(&random) % publishing->rings->count;
        if (mapring_publish(publishing->rings->ends[which].producer, &which, sizeof which, 0, 0, 10000 * MS) !=
            MAPRING_OK)
            return "publishing failed";
        if (random_next(&random) % 4 == 0)
            for (uint64_t spins = random_next(&random) % 20000; spins > 0; spins--)
                __asm__ __volatile__("");
    }
    return NULL;
}

/* Another thread publishes to rings at random, and every message is heard of. */
static void hear_of_all(struct rings *rings, uint64_t messages)
{
    struct publishing publishing = {rings, messages};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, publish_to_some, &publishing), 0);
    for (uint64_t got = 0; got < messages;) {
        mapring_ready ready[16];
        int32_t count = mapring_wait_set_wait(rings->set, ready, 16, 10000 * MS);
        cr_assert(count > 0, "%s after %d messages", mapring_status_name(count), (int)got);
        for (int32_t i = 0; i < count; i++) {
            mapring_consumer *consumer = rings->ends[ready[i].token].consumer;
            mapring_message in[16];
            int32_t found = mapring_read(consumer, in, 16, 0);
            cr_assert(found > 0, "ready for nothing: %s", mapring_status_name(found));
            for (int32_t m = 0; m < found; m++)
                cr_assert_eq(*(const uint64_t *)in[m].data, ready[i].token);
            cr_assert_status(mapring_release(consumer, (uint32_t)found), MAPRING_OK);
            got += (uint64_t)found;
        }
    }
    void *failure;
    pthread_join(thread, &failure);
    cr_assert_null(failure);
}

Test(wait_sets, hears_of_every_message)
{
    struct rings rings = open_rings(4);
    hear_of_all(&rings, 20000);
    cr_assert_status(mapring_wait_set_set_waiting(rings.set, MAPRING_WAIT_PARK), MAPRING_OK);
    hear_of_all(&rings, 5000);
    close_rings(&rings);
}

Test(wait_sets, hears_of_every_message_of_many)
{
    struct rings rings = open_rings(200);
    hear_of_all(&rings, 5000);
    close_rings(&rings);
}

Test(wait_sets, hears_of_every_message_beside_descriptors)
{
    struct rings rings = open_rings(3);
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert_status(mapring_wait_set_add_descriptor(rings.set, ends[0], MAPRING_EVENT_READABLE, 99), MAPRING_OK);
    cr_assert_status(mapring_wait_set_set_waiting(rings.set, MAPRING_WAIT_PARK), MAPRING_OK);
    hear_of_all(&rings, 5000);
    close(ends[1]);
    mapring_ready ready = only_ready(rings.set);
    cr_assert_eq(ready.token, 99);
    cr_assert_status(mapring_wait_set_remove_descriptor(rings.set, ends[0]), MAPRING_OK);
    close(ends[0]);
    nobody_is_ready(rings.set);
    close_rings(&rings);
}

Test(wait_sets, descriptors_alone)
{
    mapring_wait_set *set = open_set();
    int ends[100][2];
    for (uint64_t i = 0; i < 100; i++) {
        cr_assert_eq(pipe(ends[i]), 0);
        cr_assert_status(mapring_wait_set_add_descriptor(set, ends[i][0], MAPRING_EVENT_READABLE, i), MAPRING_OK);
    }
    nobody_is_ready(set);
    for (uint64_t i = 0; i < 100; i += 7) {
        cr_assert_eq(write(ends[i][1], "x", 1), 1);
        mapring_ready ready = only_ready(set);
        char byte;
        cr_assert(ready.token == i && ready.events == MAPRING_EVENT_READABLE);
        cr_assert_eq(read(ends[i][0], &byte, 1), 1);
        nobody_is_ready(set);
    }
    cr_assert_status(mapring_wait_set_add_descriptor(set, ends[0][1], MAPRING_EVENT_WRITABLE, 1000), MAPRING_OK);
    mapring_ready ready = only_ready(set);
    cr_assert(ready.token == 1000 && ready.events == MAPRING_EVENT_WRITABLE);
    mapring_wait_set_close(set);
    for (uint64_t i = 0; i < 100; i++) {
        close(ends[i][0]);
        close(ends[i][1]);
    }
}

static void fill_up(struct ends *ends)
{
    static const char bytes[64];
    while (mapring_publish(ends->producer, bytes, sizeof bytes, 0, 0, 0) == MAPRING_OK)
        ;
}

static void *drain_soon(void *consumer)
{
    mapring_message messages[128];
    int32_t count = mapring_read(consumer, messages, 128, 0);
    mapring_release(consumer, (uint32_t)count);
    return NULL;
}

Test(wait_sets, a_producer_without_room)
{
    /* With a descriptor in the set it sleeps in another way. */
    for (int with_descriptor = 0; with_descriptor < 2; with_descriptor++) {
        mapring_ring_info info;
        struct ends ends = open_ends(4096);
        mapring_wait_set *set = open_set();
        int pipe_ends[2];
        cr_assert_eq(pipe(pipe_ends), 0);
        if (with_descriptor == 1)
            cr_assert_status(mapring_wait_set_add_descriptor(set, pipe_ends[0], MAPRING_EVENT_READABLE, 2), MAPRING_OK);
        cr_assert_status(mapring_wait_set_add_producer(set, ends.producer, 1025, 1), MAPRING_MESSAGE_TOO_LARGE);
        cr_assert_status(mapring_wait_set_add_producer(set, ends.producer, 64, 1), MAPRING_OK);
        mapring_ready ready = only_ready(set);
        cr_assert(ready.token == 1 && ready.events == MAPRING_EVENT_WRITABLE);
        for (int round = 0; round < 20; round++) {
            fill_up(&ends);
            nobody_is_ready(set);
            pthread_t thread;
            cr_assert_eq(pthread_create(&thread, NULL, drain_soon, ends.consumer), 0);
            cr_assert_eq(only_ready(set).events, MAPRING_EVENT_WRITABLE);
            pthread_join(thread, NULL);
            cr_assert_status(mapring_publish(ends.producer, "x", 1, 0, 0, 0), MAPRING_OK);
        }
        fill_up(&ends);
        cr_assert_status(mapring_wait_set_wait(set, &ready, 1, 5 * MS), 0);
        info = stat_of(ends.name);
        cr_assert(info.parks > 0 && info.spurious_wakes > 0 && info.spurious_wakes <= info.parks);
        mapring_wait_set_close(set);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        close_ends(&ends);
    }
}

Test(wait_sets, a_slow_consumer_is_let_go)
{
    char name[64];
    unique_name(name);
    mapring_producer_options options = {
        .struct_size = sizeof options, .capacity = 4096, .slow_policy = MAPRING_SLOW_EVICT, .slow_ns = 50 * MS};
    struct ends ends = {.consumer = NULL};
    cr_assert_status(mapring_producer_open(name, &options, &ends.producer), MAPRING_OK);
    ends.consumer = open_consumer(name, MAPRING_FROM_OLDEST);
    mapring_wait_set *set = open_set();
    cr_assert_status(mapring_wait_set_add_producer(set, ends.producer, 64, 1), MAPRING_OK);
    fill_up(&ends);
    cr_assert_eq(only_ready(set).events, MAPRING_EVENT_WRITABLE);
    cr_assert_eq(stat_of(name).evictions, 1);
    mapring_wait_set_close(set);
    close_ends(&ends);
}

Test(wait_sets, every_kind_of_consumer)
{
    struct ends ends = open_ends(1 << 16);
    mapring_consumer_options options[] = {
        {.struct_size = sizeof options[0], .kind = MAPRING_LOSSY},
        {.struct_size = sizeof options[0], .kind = MAPRING_MEMBER, .group = "workers"},
        {.struct_size = sizeof options[0], .own_name = "one"},
        {.struct_size = sizeof options[0], .kind = MAPRING_OBSERVER},
    };
    mapring_consumer *consumers[4];
    mapring_wait_set *set = open_set();
    for (uint64_t i = 0; i < 4; i++) {
        cr_assert_geq(mapring_consumer_open(ends.name, &options[i], &consumers[i]), 0);
        cr_assert_status(mapring_wait_set_add_consumer(set, consumers[i], i), MAPRING_OK);
    }
    nobody_is_ready(set);
    mapring_ready ready[8];
    cr_assert_status(mapring_wait_set_wait(set, ready, 8, 30 * MS), 0);
    put(&ends, 8, 1);
    cr_assert_status(mapring_wait_set_wait(set, ready, 8, 10000 * MS), 4);
    for (int i = 0; i < 4; i++) {
        mapring_message message;
        cr_assert_status(mapring_read(consumers[i], &message, 1, 0), 1);
        cr_assert_status(mapring_release(consumers[i], 1), MAPRING_OK);
    }
    nobody_is_ready(set);
    /* Who is closed leaves. */
    for (int i = 0; i < 4; i++)
        mapring_consumer_close(consumers[i]);
    put(&ends, 8, 1);
    nobody_is_ready(set);
    mapring_wait_set_close(set);
    close_ends(&ends);
}

Test(wait_sets, a_producer_that_leaves)
{
    struct rings rings = open_rings(2);
    mapring_producer_close(rings.ends[1].producer);
    mapring_ready ready = only_ready(rings.set);
    cr_assert(ready.token == 1 && ready.events == MAPRING_EVENT_ALONE);
    rings.ends[1].producer = open_producer(rings.ends[1].name, 0);
    put(&rings.ends[1], 8, 5);
    ready = only_ready(rings.set);
    cr_assert(ready.token == 1 && (ready.events & MAPRING_EVENT_READABLE) != 0);
    close_rings(&rings);
}

/* Waits that are shorter than what death takes to be noticed. */
Test(wait_sets, short_waits_find_the_dead_too)
{
    struct rings rings = open_rings(2);
    mapring_producer_close(rings.ends[0].producer);
    mapring_ready ready = {0};
    int64_t end = now_ns() + 10000 * MS;
    while (mapring_wait_set_wait(rings.set, &ready, 1, 10 * MS) == 0)
        cr_assert_lt(now_ns(), end);
    cr_assert(ready.token == 0 && ready.events == MAPRING_EVENT_ALONE);
    rings.ends[0].producer = NULL;
    close_rings(&rings);
}

/* What a call of before waited for does not count. */
Test(wait_sets, watermarks_do_not_count)
{
    struct rings rings = open_rings(1);
    mapring_message message;
    cr_assert_status(mapring_consumer_set_watermark(rings.ends[0].consumer, 64, 10000 * MS), MAPRING_OK);
    cr_assert_status(mapring_read(rings.ends[0].consumer, &message, 1, MS), 0);
    put(&rings.ends[0], 8, 1);
    mapring_ready ready;
    cr_assert_status(mapring_wait_set_wait(rings.set, &ready, 1, 0), 1);
    close_rings(&rings);
}

/* Everything is released and told before the set sleeps. */
static void *drain(void *producer)
{
    return mapring_drain(producer, 10000 * MS) == MAPRING_OK ? NULL : "not drained";
}

Test(wait_sets, what_was_released_is_told)
{
    struct rings rings = open_rings(1);
    struct ends *ends = &rings.ends[0];
    pthread_t thread;
    mapring_ready ready;
    put(ends, 8, 1);
    take(ends, 8, 1);
    cr_assert_eq(pthread_create(&thread, NULL, drain, ends->producer), 0);
    cr_assert_status(mapring_wait_set_wait(rings.set, &ready, 1, 200 * MS), 0);
    void *failure;
    pthread_join(thread, &failure);
    cr_assert_null(failure);
    close_rings(&rings);
}

Test(wait_sets, spinning)
{
    struct rings rings = open_rings(3);
    cr_assert_status(mapring_wait_set_set_waiting(rings.set, MAPRING_WAIT_SPIN), MAPRING_OK);
    mapring_ready ready;
    cr_assert_status(mapring_wait_set_wait(rings.set, &ready, 1, 5 * MS), 0);
    hear_of_all(&rings, 5000);
    cr_assert_status(mapring_wait_set_cancel(rings.set), MAPRING_OK);
    cr_assert_status(mapring_wait_set_wait(rings.set, &ready, 1, 10000 * MS), MAPRING_CANCELLED);
    close_rings(&rings);
}

static void *cancel_soon(void *set)
{
    mapring_wait_set_cancel(set);
    return NULL;
}

Test(wait_sets, cancelling)
{
    for (int with_descriptor = 0; with_descriptor < 2; with_descriptor++) {
        struct rings rings = open_rings(1);
        if (with_descriptor == 1)
            cr_assert_status(mapring_wait_set_add_descriptor(rings.set, STDIN_FILENO, MAPRING_EVENT_WRITABLE, 9) |
                                 mapring_wait_set_remove_descriptor(rings.set, STDIN_FILENO),
                             MAPRING_OK);
        for (int round = 0; round < 100; round++) {
            pthread_t thread;
            mapring_ready ready;
            cr_assert_eq(pthread_create(&thread, NULL, cancel_soon, rings.set), 0);
            cr_assert_status(mapring_wait_set_wait(rings.set, &ready, 1, 10000 * MS), MAPRING_CANCELLED);
            pthread_join(thread, NULL);
        }
        close_rings(&rings);
    }
}

Test(wait_sets, what_is_refused)
{
    struct rings rings = open_rings(1);
    struct ends *ends = &rings.ends[0];
    mapring_wait_set *other = open_set();
    mapring_ready ready;
    int64_t descriptor;
    cr_assert_status(mapring_wait_set_open(NULL), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_wait_set_wait(NULL, &ready, 1, 0), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_wait_set_wait(rings.set, NULL, 1, 0), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_wait_set_wait(rings.set, &ready, 0, 0), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_wait_set_wait(rings.set, &ready, 1, -1), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_wait_set_add_consumer(rings.set, NULL, 0), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_wait_set_add_consumer(rings.set, ends->consumer, 0), MAPRING_BUSY);
    cr_assert_status(mapring_wait_set_add_consumer(other, ends->consumer, 0), MAPRING_BUSY);
    cr_assert_status(mapring_consumer_descriptor(ends->consumer, 0, &descriptor), MAPRING_BUSY);
    cr_assert_status(mapring_wait_set_add_producer(rings.set, ends->producer, 8, 0), MAPRING_OK);
    cr_assert_status(mapring_wait_set_add_producer(other, ends->producer, 8, 0), MAPRING_BUSY);
    cr_assert_status(mapring_wait_set_add_descriptor(rings.set, -1, MAPRING_EVENT_READABLE, 0),
                     MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_wait_set_add_descriptor(rings.set, 1000000, MAPRING_EVENT_READABLE, 0),
                     MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_wait_set_add_descriptor(rings.set, STDOUT_FILENO, 0, 0), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_wait_set_add_descriptor(rings.set, STDOUT_FILENO, 64, 0), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_wait_set_remove_descriptor(rings.set, 12345), MAPRING_NOT_FOUND);
    cr_assert_status(mapring_wait_set_remove_consumer(other, ends->consumer), MAPRING_NOT_FOUND);
    cr_assert_status(mapring_wait_set_remove_producer(other, ends->producer), MAPRING_NOT_FOUND);
    cr_assert_status(mapring_wait_set_set_waiting(rings.set, 9), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_wait_set_cancel(NULL), MAPRING_INVALID_ARGUMENT);
    mapring_wait_set_close(NULL);
    mapring_wait_set_close(other);
    close_rings(&rings);
}
