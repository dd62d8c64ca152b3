/*
 * Random operations against a simple model: a queue of (length, seed), and per consumer how much of it was read and
 * released.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rings.h"

TestSuite(property, .timeout = 120);

#define QUEUE_MAX 8192u
#define CONSUMERS_MAX 4

struct sent {
    uint64_t length;
    uint32_t tag;
};

struct reader {
    mapring_consumer *consumer; /* NULL: not attached */
    uint64_t read;              /* sequence number of the next message to read */
    uint64_t held;              /* read in place and not released */
};

struct model {
    uint64_t random;
    char name[64];
    uint64_t longest;
    mapring_producer *producer;
    uint64_t published; /* messages that were published, the open run included */
    uint64_t visible;   /* those that are known to be visible */
    struct sent queue[QUEUE_MAX];
    struct reader readers[CONSUMERS_MAX];
};

static uint64_t below(struct model *model, uint64_t bound)
{
    return random_next(&model->random) % bound;
}

/* Mostly short, sometimes as long as can be. */
static uint64_t some_length(struct model *model)
{
    switch (below(model, 8)) {
    case 0:
        return below(model, model->longest + 1);
    case 1:
        return model->longest - below(model, 16);
    case 2:
        return 0;
    default:
        return below(model, 100);
    }
}

static void note_sent(struct model *model, uint64_t length, uint32_t tag)
{
    model->queue[model->published++ % QUEUE_MAX] = (struct sent){length, tag};
}

/* How a publishing call ended: sent, or there was no room, which shows an open run. */
static bool went_through(struct model *model, int32_t status)
{
    if (status >= 0)
        return true;
    cr_assert_status(status, MAPRING_FULL);
    model->visible = model->published;
    return false;
}

static void publish_one(struct model *model)
{
    static char bytes[65536];
    uint64_t length = some_length(model);
    uint32_t tag = (uint32_t)random_next(&model->random);
    uint32_t flags = below(model, 3) == 0 ? MAPRING_MORE : 0;
    if (below(model, 2) == 0) {
        payload_fill(bytes, length, model->published);
        if (!went_through(model, mapring_publish(model->producer, bytes, length, tag, flags, 0)))
            return;
    } else {
        uint64_t claimed = length + below(model, model->longest - length + 1);
        void *payload;
        if (!went_through(model, mapring_claim(model->producer, claimed, 0, &payload)))
            return;
        memset(payload, 0xff, claimed);
        if (below(model, 5) == 0) {
            cr_assert_status(mapring_abandon(model->producer), MAPRING_OK);
            return;
        }
        payload_fill(payload, length, model->published);
        cr_assert_status(mapring_commit(model->producer, length, tag, flags), MAPRING_OK);
    }
    note_sent(model, length, tag);
    if (flags == 0)
        model->visible = model->published;
}

static void publish_batch(struct model *model)
{
    static char bytes[16][65536];
    mapring_message batch[16];
    uint32_t count = (uint32_t)below(model, 16) + 1;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t length = some_length(model);
        payload_fill(bytes[i], length, model->published + i);
        batch[i] = (mapring_message){.data = bytes[i], .length = length, .tag = (uint32_t)random_next(&model->random)};
    }
    int32_t sent = mapring_publish_batch(model->producer, batch, count, 0);
    cr_assert_leq(sent, (int32_t)count);
    if (!went_through(model, sent))
        return;
    for (int32_t i = 0; i < sent; i++)
        note_sent(model, batch[i].length, batch[i].tag);
    model->visible = model->published;
}

static void claim_batch(struct model *model)
{
    mapring_message batch[16];
    uint32_t count = (uint32_t)below(model, 16) + 1;
    for (uint32_t i = 0; i < count; i++)
        batch[i] = (mapring_message){.length = some_length(model)};
    int32_t granted = mapring_claim_batch(model->producer, batch, count, 0);
    cr_assert_leq(granted, (int32_t)count);
    if (!went_through(model, granted))
        return;
    uint32_t committed = (uint32_t)below(model, (uint64_t)granted + 1);
    for (uint32_t i = 0; i < committed; i++) {
        void *payload = (void *)(uintptr_t)batch[i].data;
        memset(payload, 0xff, batch[i].length);
        batch[i].length = below(model, batch[i].length + 1);
        batch[i].tag = (uint32_t)random_next(&model->random);
        payload_fill(payload, batch[i].length, model->published + i);
    }
    cr_assert_status(mapring_commit_batch(model->producer, batch, committed), MAPRING_OK);
    for (uint32_t i = 0; i < committed; i++)
        note_sent(model, batch[i].length, batch[i].tag);
    if (committed > 0)
        model->visible = model->published;
}

static void check_messages(struct model *model, struct reader *reader, const mapring_message *messages, int32_t count)
{
    for (int32_t i = 0; i < count; i++, reader->read++) {
        cr_assert_lt(reader->read, model->published);
        const struct sent *sent = &model->queue[reader->read % QUEUE_MAX];
        cr_assert_eq(messages[i].sequence, reader->read);
        cr_assert_eq(messages[i].length, sent->length);
        cr_assert_eq(messages[i].tag, sent->tag);
        cr_assert(payload_matches(messages[i].data, sent->length, reader->read));
    }
    /* A run may show itself at any stride, but then for everybody. */
    if (reader->read > model->visible)
        model->visible = reader->read;
}

static void read_some(struct model *model, struct reader *reader)
{
    static char buffer[65536];
    mapring_message messages[40];
    uint32_t max = (uint32_t)below(model, 40) + 1;
    bool copying = below(model, 2) == 0;
    uint64_t size = below(model, sizeof buffer);
    int32_t found = copying ? mapring_receive(reader->consumer, buffer, size, messages, max, 0)
                            : mapring_read(reader->consumer, messages, max, 0);
    if (copying && reader->held > 0) {
        cr_assert_status(found, MAPRING_UNRELEASED);
    } else if (found == MAPRING_BUFFER_TOO_SMALL) {
        cr_assert(copying);
        cr_assert_eq(messages[0].length, model->queue[reader->read % QUEUE_MAX].length);
        cr_assert_gt(messages[0].length, size);
    } else {
        cr_assert_geq(found, 0);
        cr_assert_leq(found, (int32_t)max);
        cr_assert(found > 0 || reader->read == model->visible, "visible, but not read");
        check_messages(model, reader, messages, found);
        if (!copying)
            reader->held += (uint64_t)found;
    }
}

static void release_some(struct model *model, struct reader *reader)
{
    uint64_t count = below(model, reader->held + 2);
    cr_assert_status(mapring_release(reader->consumer, (uint32_t)count),
                     count <= reader->held ? MAPRING_OK : MAPRING_NOT_READ);
    if (count <= reader->held)
        reader->held -= count;
}

static void come_or_go(struct model *model, struct reader *reader)
{
    if (reader->consumer != NULL) {
        mapring_consumer_close(reader->consumer);
        *reader = (struct reader){0};
        return;
    }
    bool newest = below(model, 2) == 0;
    uint64_t oldest = stat_of(model->name).oldest;
    reader->consumer = open_consumer(model->name, newest ? MAPRING_FROM_NEWEST : MAPRING_FROM_OLDEST);
    if (!newest) {
        reader->read = oldest;
    } else {
        /* What a run has shown by itself is told apart from what it has not. */
        reader->read = stat_of(model->name).messages;
        cr_assert_geq(reader->read, model->visible);
        cr_assert_leq(reader->read, model->published);
        model->visible = reader->read;
    }
}

static void change_producer(struct model *model)
{
    mapring_producer_close(model->producer);
    model->visible = model->published;
    bool held = false;
    for (int i = 0; i < CONSUMERS_MAX; i++)
        held = held || model->readers[i].consumer != NULL;
    if (!held) {
        /* Nobody kept the ring: the next one is new. */
        model->published = model->visible = 0;
    }
    mapring_producer_options options = {.struct_size = sizeof options, .capacity = model->longest * 4};
    cr_assert_status(mapring_producer_open(model->name, &options, &model->producer), held ? 1 : 0);
    cr_assert_eq(stat_of(model->name).messages, model->published);
}

static void step(struct model *model)
{
    struct reader *reader = &model->readers[below(model, CONSUMERS_MAX)];
    switch (below(model, 16)) {
    case 0:
        publish_batch(model);
        break;
    case 1:
        claim_batch(model);
        break;
    case 2:
        cr_assert_status(mapring_end_run(model->producer), MAPRING_OK);
        model->visible = model->published;
        break;
    case 3:
        if (below(model, 10) == 0)
            come_or_go(model, reader);
        break;
    case 4:
        if (below(model, 50) == 0)
            change_producer(model);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        publish_one(model);
        break;
    case 9:
    case 10:
    case 11:
    case 12:
        if (reader->consumer != NULL)
            read_some(model, reader);
        break;
    default:
        if (reader->consumer != NULL)
            release_some(model, reader);
    }
}

static void run(uint64_t capacity, uint64_t first_position, uint64_t steps, uint64_t seed)
{
    static struct model model;
    model = (struct model){.random = seed, .longest = capacity / 4};
    unique_name(model.name);
    mapring_producer_options options = {
        .struct_size = sizeof options, .capacity = capacity, .first_position = first_position};
    cr_assert_status(mapring_producer_open(model.name, &options, &model.producer), 0);
    for (uint64_t i = 0; i < steps; i++)
        step(&model);
    for (int i = 0; i < CONSUMERS_MAX; i++)
        mapring_consumer_close(model.readers[i].consumer);
    mapring_producer_close(model.producer);
}

/* MAPRING_TEST_SEED repeats a run that failed. */
static uint64_t some_seed(void)
{
    const char *given = getenv("MAPRING_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)now_ns();
    fprintf(stderr, "MAPRING_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

Test(property, the_smallest_ring)
{
    uint64_t seed = some_seed();
    for (uint64_t i = 0; i < 10 * test_length(); i++)
        run(4096, 0, 30000, seed + i);
}

Test(property, a_larger_ring)
{
    run(262144, 0, 150000 * test_length(), some_seed());
}

Test(property, beyond_2_32)
{
    run(8192, ((uint64_t)1 << 32) - 100000, 100000 * test_length(), some_seed());
}

Test(property, beyond_2_63)
{
    run(16384, ((uint64_t)1 << 63) - 100000, 100000 * test_length(), some_seed());
}
