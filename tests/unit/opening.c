/*
 * Options, arguments and modes of the calls that open.
 */
#include <string.h>

#include "rings.h"

TestSuite(opening, .timeout = 20);

static mapring_producer_options producer_options(void)
{
    return (mapring_producer_options){.struct_size = sizeof(mapring_producer_options), .capacity = 4096};
}

static void refuse_producer(const char *name, const mapring_producer_options *options, int32_t expected)
{
    char untouched;
    mapring_producer *producer = (mapring_producer *)(void *)&untouched;
    cr_assert_status(mapring_producer_open(name, options, &producer), expected);
    cr_assert_eq((void *)producer, (void *)&untouched, "the result is stored on success only");
}

static void refuse_consumer(const char *name, const mapring_consumer_options *options, int32_t expected)
{
    char untouched;
    mapring_consumer *consumer = (mapring_consumer *)(void *)&untouched;
    cr_assert_status(mapring_consumer_open(name, options, &consumer), expected);
    cr_assert_eq((void *)consumer, (void *)&untouched, "the result is stored on success only");
}

Test(opening, producer_options_are_checked)
{
    char name[64];
    unique_name(name);
    mapring_producer_options options = producer_options();
    options.struct_size = 0;
    refuse_producer(name, &options, MAPRING_INVALID_OPTIONS);
    options.struct_size = sizeof options - 8;
    refuse_producer(name, &options, MAPRING_INVALID_OPTIONS);
    options.struct_size = sizeof options + 8;
    refuse_producer(name, &options, MAPRING_INVALID_OPTIONS);

    options = producer_options();
    options.mode = MAPRING_OPEN_EXISTING + 1;
    refuse_producer(name, &options, MAPRING_INVALID_OPTIONS);
    options = producer_options();
    options.permissions = 01000;
    refuse_producer(name, &options, MAPRING_INVALID_OPTIONS);
    options = producer_options();
    options.waiting = MAPRING_WAIT_PARK + 1;
    refuse_producer(name, &options, MAPRING_INVALID_OPTIONS);
    options = producer_options();
    options.reserved0 = 1;
    refuse_producer(name, &options, MAPRING_INVALID_OPTIONS);
    for (int i = 0; i < 3; i++) {
        options = producer_options();
        options.reserved[i] = (uint64_t)1 << 63;
        refuse_producer(name, &options, MAPRING_INVALID_OPTIONS);
    }

    const uint64_t capacities[] = {1, 2048, 4095, 4097, 12288, (uint64_t)32 << 30, (uint64_t)1 << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        options = producer_options();
        options.capacity = capacities[i];
        refuse_producer(name, &options, MAPRING_INVALID_CAPACITY);
    }

    options = producer_options();
    options.max_consumers = mapring_consumers_max() + 1;
    refuse_producer(name, &options, MAPRING_INVALID_ARGUMENT);
    options = producer_options();
    options.first_position = 4;
    refuse_producer(name, &options, MAPRING_INVALID_ARGUMENT);
    options.first_position = UINT64_MAX - 7;
    refuse_producer(name, &options, MAPRING_INVALID_ARGUMENT);
    options = producer_options();
    options.file = "";
    refuse_producer(name, &options, MAPRING_INVALID_ARGUMENT);

    options = producer_options();
    refuse_producer("a/b", &options, MAPRING_INVALID_NAME);
    refuse_producer("", &options, MAPRING_INVALID_NAME);
    refuse_producer(NULL, &options, MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_producer_open(name, &options, NULL), MAPRING_INVALID_ARGUMENT);

    refuse_consumer(name, NULL, MAPRING_NOT_FOUND);
}

Test(opening, consumer_options_are_checked)
{
    char name[64];
    unique_name(name);
    const mapring_consumer_options good = {.struct_size = sizeof good};
    mapring_consumer_options options = good;
    options.struct_size = sizeof options - 8;
    refuse_consumer(name, &options, MAPRING_INVALID_OPTIONS);
    options = good;
    options.start = MAPRING_FROM_TIME + 1;
    refuse_consumer(name, &options, MAPRING_INVALID_OPTIONS);
    options = good;
    options.waiting = MAPRING_WAIT_PARK + 1;
    refuse_consumer(name, &options, MAPRING_INVALID_OPTIONS);
    options = good;
    options.reserved0 = 1;
    refuse_consumer(name, &options, MAPRING_INVALID_OPTIONS);
    for (int i = 0; i < 3; i++) {
        options = good;
        options.reserved[i] = 1;
        refuse_consumer(name, &options, MAPRING_INVALID_OPTIONS);
    }
    options = good;
    options.timeout_ns = -1;
    refuse_consumer(name, &options, MAPRING_INVALID_ARGUMENT);
    options.timeout_ns = INT64_MIN;
    refuse_consumer(name, &options, MAPRING_INVALID_ARGUMENT);
    refuse_consumer("..", &good, MAPRING_INVALID_NAME);
    refuse_consumer(NULL, &good, MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_consumer_open(name, &good, NULL), MAPRING_INVALID_ARGUMENT);
}

Test(opening, there_is_no_ring)
{
    char name[64];
    unique_name(name);
    refuse_consumer(name, NULL, MAPRING_NOT_FOUND);
    mapring_consumer_options options = {.struct_size = sizeof options, .timeout_ns = 30 * MS};
    int64_t start = now_ns();
    refuse_consumer(name, &options, MAPRING_TIMEOUT);
    cr_assert_geq(now_ns() - start, 30 * MS);

    mapring_producer_options existing = producer_options();
    existing.mode = MAPRING_OPEN_EXISTING;
    refuse_producer(name, &existing, MAPRING_NOT_FOUND);
    mapring_ring_info info = {.struct_size = sizeof info};
    cr_assert_status(mapring_stat(name, NULL, &info, NULL, 0), MAPRING_NOT_FOUND);
    cr_assert_status(mapring_stat(NULL, "/nonexistent/ring", &info, NULL, 0), MAPRING_NOT_FOUND);
}

Test(opening, defaults)
{
    char name[64];
    unique_name(name);
    mapring_producer *producer;
    cr_assert_status(mapring_producer_open(name, NULL, &producer), 0);
    mapring_consumer *consumer;
    cr_assert_status(mapring_consumer_open(name, NULL, &consumer), MAPRING_OK);
    mapring_ring_info info = stat_of(name);
    cr_assert_eq(info.capacity, mapring_capacity_default());
    cr_assert_eq(info.max_consumers, mapring_consumers_default());
    cr_assert_eq(info.consumers, 1);
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
}

Test(opening, modes)
{
    char name[64];
    unique_name(name);
    mapring_producer_options options = producer_options();
    options.mode = MAPRING_CREATE_NEW;
    options.max_consumers = 3;
    mapring_producer *producer;
    cr_assert_status(mapring_producer_open(name, &options, &producer), 0);
    refuse_producer(name, &options, MAPRING_EXISTS);
    options.mode = MAPRING_CREATE_OR_OPEN;
    refuse_producer(name, &options, MAPRING_PRODUCER_EXISTS);
    options.mode = MAPRING_OPEN_EXISTING;
    refuse_producer(name, &options, MAPRING_PRODUCER_EXISTS);

    /* The ring lives on with its consumer; now another geometry can be told from a living producer. */
    mapring_consumer *consumer = open_consumer(name, MAPRING_FROM_OLDEST);
    mapring_producer_close(producer);
    options.mode = MAPRING_CREATE_NEW;
    refuse_producer(name, &options, MAPRING_EXISTS);
    options.mode = MAPRING_CREATE_OR_OPEN;
    options.capacity = 8192;
    refuse_producer(name, &options, MAPRING_WRONG_GEOMETRY);
    options.capacity = 4096;
    options.max_consumers = 4;
    refuse_producer(name, &options, MAPRING_WRONG_GEOMETRY);
    options.max_consumers = 3;
    options.file = "/tmp/another";
    refuse_producer(name, &options, MAPRING_WRONG_GEOMETRY);

    options = (mapring_producer_options){.struct_size = sizeof options, .mode = MAPRING_OPEN_EXISTING};
    cr_assert_status(mapring_producer_open(name, &options, &producer), 1);
    mapring_producer_close(producer);
    cr_assert_status(mapring_producer_open(name, NULL, &producer), 1);
    mapring_producer_close(producer);
    mapring_consumer_close(consumer);

    refuse_producer(name, &options, MAPRING_NOT_FOUND);
}

Test(opening, all_slots)
{
    const uint32_t counts[] = {1, 2, 63, 64, 1024};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        char name[64];
        unique_name(name);
        mapring_producer_options options = producer_options();
        options.max_consumers = counts[i];
        mapring_producer *producer;
        cr_assert_status(mapring_producer_open(name, &options, &producer), 0);
        static mapring_consumer *consumers[1024];
        for (uint32_t j = 0; j < counts[i]; j++)
            consumers[j] = open_consumer(name, MAPRING_FROM_NEWEST);
        refuse_consumer(name, NULL, MAPRING_NO_SLOT);
        cr_assert_status(mapring_wait_consumers(producer, counts[i], 0), MAPRING_OK);

        cr_assert_status(mapring_publish(producer, "all", 3, 0, 0, 0), MAPRING_OK);
        for (uint32_t j = 0; j < counts[i]; j++) {
            mapring_message message;
            cr_assert_status(mapring_read(consumers[j], &message, 1, 0), 1);
            cr_assert_eq(memcmp(message.data, "all", 3), 0);
        }
        mapring_consumer_close(consumers[0]);
        consumers[0] = open_consumer(name, MAPRING_FROM_NEWEST);
        for (uint32_t j = 0; j < counts[i]; j++)
            mapring_consumer_close(consumers[j]);
        mapring_producer_close(producer);
    }
}

Test(opening, a_consumer_waits_for_room_to_join_only_once)
{
    /* NO_SLOT is an answer, not a reason to wait. */
    char name[64];
    unique_name(name);
    mapring_producer_options options = producer_options();
    options.max_consumers = 1;
    mapring_producer *producer;
    cr_assert_status(mapring_producer_open(name, &options, &producer), 0);
    mapring_consumer *consumer = open_consumer(name, MAPRING_FROM_OLDEST);
    mapring_consumer_options waiting = {.struct_size = sizeof waiting, .timeout_ns = MAPRING_FOREVER};
    refuse_consumer(name, &waiting, MAPRING_NO_SLOT);
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
}

Test(opening, null_and_negative_everywhere)
{
    struct ends ends = open_ends(4096);
    mapring_producer *p = ends.producer;
    mapring_consumer *c = ends.consumer;
    mapring_message m = {0};
    void *payload;
    mapring_ring_info info = {.struct_size = sizeof info};
    uint64_t needed;
    char buffer[8];
#define INVALID(call) cr_assert_status(call, MAPRING_INVALID_ARGUMENT)
    INVALID(mapring_publish(NULL, "", 0, 0, 0, 0));
    INVALID(mapring_publish(p, NULL, 1, 0, 0, 0));
    INVALID(mapring_publish(p, "", 1, 0, 8, 0));
    INVALID(mapring_publish(p, "", 1, 0, 0x80000000u, 0));
    INVALID(mapring_publish(p, "", 1, 0, 0, -1));
    INVALID(mapring_publish(p, "", 1, 0, 0, INT64_MIN));
    INVALID(mapring_publish_batch(NULL, &m, 1, 0));
    INVALID(mapring_publish_batch(p, NULL, 1, 0));
    INVALID(mapring_publish_batch(p, &m, 1, -1));
    INVALID(mapring_claim(NULL, 1, 0, &payload));
    INVALID(mapring_claim(p, 1, 0, NULL));
    INVALID(mapring_claim(p, 1, -1, &payload));
    INVALID(mapring_claim_batch(NULL, &m, 1, 0));
    INVALID(mapring_claim_batch(p, NULL, 1, 0));
    INVALID(mapring_claim_batch(p, &m, 1, -1));
    INVALID(mapring_commit(NULL, 0, 0, 0));
    INVALID(mapring_commit_batch(NULL, &m, 1));
    INVALID(mapring_commit_batch(p, NULL, 1));
    INVALID(mapring_abandon(NULL));
    INVALID(mapring_end_run(NULL));
    INVALID(mapring_end(NULL));
    INVALID(mapring_wait_consumers(NULL, 1, 0));
    INVALID(mapring_wait_consumers(p, 1, -1));
    INVALID(mapring_wait_consumers(p, 65, 0));
    INVALID(mapring_drain(NULL, 0));
    INVALID(mapring_drain(p, -1));
    INVALID(mapring_read(NULL, &m, 1, 0));
    INVALID(mapring_read(c, NULL, 1, 0));
    INVALID(mapring_read(c, &m, 0, 0));
    INVALID(mapring_read(c, &m, 1, -1));
    INVALID(mapring_release(NULL, 0));
    INVALID(mapring_receive(NULL, buffer, 8, &m, 1, 0));
    INVALID(mapring_receive(c, NULL, 8, &m, 1, 0));
    INVALID(mapring_receive(c, buffer, 8, NULL, 1, 0));
    INVALID(mapring_receive(c, buffer, 8, &m, 0, 0));
    INVALID(mapring_receive(c, buffer, 8, &m, 1, INT64_MIN));
    INVALID(mapring_stat(NULL, NULL, &info, NULL, 0));
    INVALID(mapring_stat(ends.name, NULL, NULL, NULL, 0));
    INVALID(mapring_stat(ends.name, NULL, &info, NULL, 1));
    INVALID(mapring_list(NULL, 0, NULL));
    INVALID(mapring_list(NULL, 1, &needed));
    info.struct_size = 4;
    cr_assert_status(mapring_stat(ends.name, NULL, &info, NULL, 0), MAPRING_INVALID_OPTIONS);
    mapring_producer_close(NULL);
    mapring_consumer_close(NULL);

    /* Nothing of all that left a trace. */
    cr_assert(is_empty(&ends));
    put(&ends, 5, 1);
    take(&ends, 5, 1);
    close_ends(&ends);
}
