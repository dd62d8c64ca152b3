#include "rings.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void unique_name(char name[64])
{
    static int count;
    snprintf(name, 64, "unit-%d-%d", (int)getpid(), count++);
}

mapring_producer *open_producer(const char *name, uint64_t capacity)
{
    mapring_producer_options options = {.struct_size = sizeof options, .capacity = capacity};
    mapring_producer *producer = NULL;
    cr_assert_geq(mapring_producer_open(name, &options, &producer), 0);
    cr_assert_not_null(producer);
    return producer;
}

mapring_consumer *open_consumer(const char *name, uint32_t start)
{
    mapring_consumer_options options = {.struct_size = sizeof options, .start = start};
    mapring_consumer *consumer = NULL;
    cr_assert_status(mapring_consumer_open(name, &options, &consumer), MAPRING_OK);
    cr_assert_not_null(consumer);
    return consumer;
}

struct ends open_ends_at(uint64_t capacity, uint64_t first_position)
{
    struct ends ends;
    unique_name(ends.name);
    mapring_producer_options options = {
        .struct_size = sizeof options, .capacity = capacity, .first_position = first_position};
    cr_assert_status(mapring_producer_open(ends.name, &options, &ends.producer), MAPRING_OK);
    ends.consumer = open_consumer(ends.name, MAPRING_FROM_OLDEST);
    return ends;
}

struct ends open_ends(uint64_t capacity)
{
    return open_ends_at(capacity, 0);
}

void close_ends(struct ends *ends)
{
    mapring_producer_close(ends->producer);
    mapring_consumer_close(ends->consumer);
}

void put(struct ends *ends, uint64_t length, uint64_t seed)
{
    void *payload;
    cr_assert_status(mapring_claim(ends->producer, length, 0, &payload), MAPRING_OK);
    payload_fill(payload, length, seed);
    cr_assert_status(mapring_commit(ends->producer, length, (uint32_t)seed, 0), MAPRING_OK);
}

void take(struct ends *ends, uint64_t length, uint64_t seed)
{
    mapring_message message;
    cr_assert_status(mapring_read(ends->consumer, &message, 1, 0), 1);
    cr_assert_eq(message.length, length);
    cr_assert_eq(message.tag, (uint32_t)seed);
    cr_assert(payload_matches(message.data, length, seed));
    cr_assert_status(mapring_release(ends->consumer, 1), MAPRING_OK);
}

int32_t read_all(mapring_consumer *consumer, mapring_message *messages, uint32_t max)
{
    int32_t count = 0, found = 0;
    do {
        count += found;
        found = (uint32_t)count < max ? mapring_read(consumer, messages + count, max - (uint32_t)count, 0) : 0;
    } while (found > 0);
    cr_assert(found == 0 || (found == MAPRING_STREAM_ENDED && count > 0), "%s", mapring_status_name(found));
    return count;
}

bool is_empty(struct ends *ends)
{
    mapring_message message;
    return mapring_read(ends->consumer, &message, 1, 0) == 0;
}

mapring_ring_info stat_of(const char *name)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    cr_assert_status(mapring_stat(name, NULL, &info, NULL, 0), 0);
    return info;
}

int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
