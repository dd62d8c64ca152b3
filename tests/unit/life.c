/*
 * The life of a ring: who holds it, takeover, what stat and list tell.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rings.h"

TestSuite(life, .timeout = 20);

static bool is_listed(const char *name)
{
    char names[4096];
    uint64_t needed;
    int32_t count = mapring_list(names, sizeof names, &needed);
    cr_assert(count >= 0 && needed <= sizeof names);
    const char *next = names;
    for (int32_t i = 0; i < count; i++, next += strlen(next) + 1)
        if (strcmp(next, name) == 0)
            return true;
    return false;
}

Test(life, a_ring_lives_as_long_as_somebody_holds_it)
{
    struct ends ends = open_ends(4096);
    cr_assert(is_listed(ends.name));
    mapring_producer_close(ends.producer);
    cr_assert(is_listed(ends.name));
    mapring_consumer *second = open_consumer(ends.name, MAPRING_FROM_OLDEST);
    mapring_consumer_close(ends.consumer);
    cr_assert(is_listed(ends.name));
    mapring_consumer_close(second);
    cr_assert_not(is_listed(ends.name));
    mapring_ring_info info = {.struct_size = sizeof info};
    cr_assert_status(mapring_stat(ends.name, NULL, &info, NULL, 0), MAPRING_NOT_FOUND);
}

Test(life, lists_tell_how_much_they_need)
{
    char name[3][64];
    mapring_producer *producers[3];
    uint64_t needed, all = 0;
    for (int i = 0; i < 3; i++) {
        unique_name(name[i]);
        all += strlen(name[i]) + 1;
        producers[i] = open_producer(name[i], 4096);
    }
    uint64_t others = 0; /* Criterion runs several tests at once */
    cr_assert_status(mapring_list(NULL, 0, &needed), 0);
    cr_assert_geq(needed, all + others);
    char *names = malloc(needed + 1000);
    uint64_t size = strlen(name[0]) + 1;
    memset(names, 0x55, needed + 1000);
    int32_t count = mapring_list(names, size, &needed);
    cr_assert_leq(count, 1);
    cr_assert_geq(needed, all);
    cr_assert_eq(names[size], 0x55);
    free(names);
    for (int i = 0; i < 3; i++) {
        cr_assert(is_listed(name[i]));
        mapring_producer_close(producers[i]);
    }
}

Test(life, stat)
{
    char name[64];
    unique_name(name);
    mapring_producer_options options = {.struct_size = sizeof options, .capacity = 65536, .max_consumers = 9};
    mapring_producer *producer;
    cr_assert_status(mapring_producer_open(name, &options, &producer), 0);
    mapring_ring_info info = stat_of(name);
    cr_assert_str_eq(info.name, name);
    cr_assert_eq(info.capacity, 65536);
    cr_assert_eq(info.max_consumers, 9);
    cr_assert_eq(info.position, 0);
    cr_assert_eq(info.messages, 0);
    cr_assert_eq(info.oldest, 0);
    cr_assert_eq(info.epoch, 1);
    cr_assert_eq(info.producer_pid, (uint32_t)getpid());
    cr_assert_eq(info.producer_alive, 1);
    cr_assert_eq(info.consumers, 0);
    cr_assert_eq(info.ended, 0);
    cr_assert(info.fence == MAPRING_FENCE_FULL || info.fence == MAPRING_FENCE_ASYMMETRIC);
    /* Identity and stream head a page each, the data, 512 bytes at most for each slot, on a page boundary. */
    cr_assert_geq(info.memory, 65536 + 2 * 4096);
    cr_assert_leq(info.memory, 65536 + 2 * 4096 + (9 * 512 + 4095) / 4096 * 4096);

    mapring_consumer *consumers[3];
    for (int i = 0; i < 3; i++)
        consumers[i] = open_consumer(name, MAPRING_FROM_OLDEST);
    for (int i = 0; i < 4; i++)
        cr_assert_status(mapring_publish(producer, "123", 3, 0, 0, 0), MAPRING_OK);
    mapring_message messages[4];
    cr_assert_status(mapring_read(consumers[1], messages, 3, 0), 3);
    cr_assert_status(mapring_release(consumers[1], 3), MAPRING_OK);
    cr_assert_status(mapring_read(consumers[1], messages, 4, 0), 1);
    cr_assert_status(mapring_read(consumers[1], messages, 4, 0), 0);

    mapring_consumer_info consumer[4];
    memset(consumer, 0x66, sizeof consumer);
    cr_assert_status(mapring_stat(name, NULL, &info, consumer, 4), 3);
    cr_assert_eq(info.consumers, 3);
    cr_assert_eq(info.messages, 4);
    cr_assert_eq(info.position, 64);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(consumer[i].slot, i);
        cr_assert_eq(consumer[i].pid, (uint32_t)getpid());
        cr_assert_eq(consumer[i].alive, 1);
        cr_assert_eq(consumer[i].kind, MAPRING_RELIABLE);
        cr_assert_eq(consumer[i].lag_messages, i == 1 ? 1 : 4);
        cr_assert_eq(consumer[i].lag_bytes, i == 1 ? 16 : 64);
        cr_assert_eq(consumer[i].position, 64 - consumer[i].lag_bytes);
    }
    cr_assert_eq(consumer[3].slot, 0x66666666u);
    /* Fewer entries than consumers. */
    cr_assert_status(mapring_stat(name, NULL, &info, consumer, 2), 2);
    cr_assert_eq(info.consumers, 3);

    for (int i = 0; i < 3; i++)
        mapring_consumer_close(consumers[i]);
    info = stat_of(name);
    cr_assert_eq(info.consumers, 0);
    mapring_consumer *last = open_consumer(name, MAPRING_FROM_NEWEST);
    mapring_producer_close(producer);
    info = stat_of(name);
    cr_assert_eq(info.producer_pid, 0);
    cr_assert_eq(info.producer_alive, 0);
    mapring_consumer_close(last);
}

Test(life, a_producer_goes_on_where_the_last_stopped)
{
    struct ends ends = open_ends(4096);
    uint64_t sent = 0, read = 0;
    for (uint64_t epoch = 1; epoch < 200; epoch++) {
        cr_assert_eq(stat_of(ends.name).epoch, epoch);
        cr_assert_eq(stat_of(ends.name).messages, sent);
        for (uint64_t i = 0; i < epoch % 40; i++, sent++)
            put(&ends, sent % 90, sent);
        /* What is open is not part of the stream. */
        void *payload;
        if (epoch % 3 == 0) {
            cr_assert_status(mapring_claim(ends.producer, 200, 0, &payload), MAPRING_OK);
            memset(payload, 0xff, 200);
        }
        uint64_t behind = epoch % 7;
        while (read + behind < sent)
            take(&ends, read % 90, read), read++;
        mapring_producer_close(ends.producer);
        mapring_message message;
        if (read == sent)
            cr_assert_status(mapring_read(ends.consumer, &message, 1, MAPRING_FOREVER), MAPRING_NO_PRODUCER);
        mapring_producer_options options = {.struct_size = sizeof options};
        cr_assert_status(mapring_producer_open(ends.name, &options, &ends.producer), 1);
    }
    while (read < sent)
        take(&ends, read % 90, read), read++;
    cr_assert(is_empty(&ends));
    close_ends(&ends);
}

Test(life, an_ended_stream_goes_on_with_the_next_producer)
{
    struct ends ends = open_ends(4096);
    put(&ends, 8, 0);
    cr_assert_status(mapring_end(ends.producer), MAPRING_OK);
    mapring_producer_close(ends.producer);
    take(&ends, 8, 0);
    mapring_message message;
    cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), MAPRING_STREAM_ENDED);
    cr_assert_status(mapring_producer_open(ends.name, NULL, &ends.producer), 1);
    cr_assert_eq(stat_of(ends.name).ended, 0);
    cr_assert(is_empty(&ends));
    put(&ends, 8, 1);
    take(&ends, 8, 1);
    close_ends(&ends);
}

Test(life, a_consumer_without_producer)
{
    struct ends ends = open_ends(4096);
    put(&ends, 8, 0);
    mapring_producer_close(ends.producer);
    take(&ends, 8, 0);
    mapring_message message;
    int64_t start = now_ns();
    cr_assert_status(mapring_read(ends.consumer, &message, 1, MAPRING_FOREVER), MAPRING_NO_PRODUCER);
    cr_assert_lt(now_ns() - start, 2000 * MS);
    cr_assert_status(mapring_read(ends.consumer, &message, 1, MS), MAPRING_NO_PRODUCER);
    mapring_consumer_close(ends.consumer);
}

Test(life, a_second_producer_does_no_harm)
{
    struct ends ends = open_ends(4096);
    for (uint64_t i = 0; i < 300; i++) {
        mapring_producer *second;
        cr_assert_status(mapring_producer_open(ends.name, NULL, &second), MAPRING_PRODUCER_EXISTS);
        put(&ends, i, i);
        take(&ends, i, i);
    }
    cr_assert_eq(stat_of(ends.name).epoch, 1);
    close_ends(&ends);
}

/* A ring in a file. */

static char file[256];

static void make_path(void)
{
    const char *folder = getenv("TMPDIR");
    snprintf(file, sizeof file, "%s/mapring-unit-%d", folder != NULL ? folder : "/tmp", (int)getpid());
    unlink(file);
}

static void remove_file(void)
{
    unlink(file);
}

Test(life, a_ring_in_a_file, .init = make_path, .fini = remove_file)
{
    char name[64];
    unique_name(name);
    mapring_producer_options options = {.struct_size = sizeof options, .capacity = 4096, .file = file};
    struct ends ends;
    strcpy(ends.name, name);
    cr_assert_status(mapring_producer_open(name, &options, &ends.producer), 0);
    ends.consumer = open_consumer(name, MAPRING_FROM_OLDEST);
    for (uint64_t i = 0; i < 100; i++) {
        put(&ends, i, i);
        take(&ends, i, i);
    }
    put(&ends, 100, 100);
    mapring_producer *second;
    cr_assert_status(mapring_producer_open(name, &options, &second), MAPRING_PRODUCER_EXISTS);
    close_ends(&ends);
    cr_assert_not(is_listed(name));

    /* The file stays, can be looked at, and goes on under its name, and under no other. */
    mapring_ring_info info = {.struct_size = sizeof info};
    cr_assert_status(mapring_stat(NULL, file, &info, NULL, 0), 0);
    cr_assert_str_eq(info.name, name);
    cr_assert_eq(info.messages, 101);
    cr_assert_eq(info.producer_pid, 0);
    char other[64];
    unique_name(other);
    cr_assert_status(mapring_producer_open(other, &options, &second), MAPRING_WRONG_NAME);
    cr_assert_not(is_listed(other));
    options.capacity = 8192;
    cr_assert_status(mapring_producer_open(name, &options, &second), MAPRING_WRONG_GEOMETRY);
    options.capacity = 0;
    options.mode = MAPRING_CREATE_NEW;
    cr_assert_status(mapring_producer_open(name, &options, &second), MAPRING_EXISTS);
    options.mode = MAPRING_OPEN_EXISTING;
    cr_assert_status(mapring_producer_open(name, &options, &ends.producer), 1);
    ends.consumer = open_consumer(name, MAPRING_FROM_OLDEST);
    cr_assert_status(mapring_stat(name, NULL, &info, NULL, 0), 0);
    cr_assert_eq(info.epoch, 2);
    mapring_message messages[200];
    int32_t found = read_all(ends.consumer, messages, 200);
    cr_assert_gt(found, 0);
    cr_assert_eq(messages[found - 1].sequence, 100);
    cr_assert(payload_matches(messages[found - 1].data, 100, 100));
    close_ends(&ends);
}
