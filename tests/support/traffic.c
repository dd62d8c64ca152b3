#include "traffic.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash(uint64_t sequence)
{
    uint64_t state = sequence;
    return random_next(&state);
}

uint64_t message_length(uint64_t sequence, uint64_t max)
{
    uint64_t random = hash(sequence);
    uint64_t limit = random % 64 == 0 ? max : random % 8 == 0 ? max / 16 : 64;
    return (random >> 8) % (limit + 1);
}

uint32_t message_tag(uint64_t sequence)
{
    return (uint32_t)(hash(sequence) >> 32);
}

void check_message(const mapring_message *message, uint64_t sequence, uint64_t max)
{
    CHECK(message->sequence == sequence, "message %" PRIu64 " instead of %" PRIu64, message->sequence, sequence);
    CHECK(message->length == message_length(sequence, max),
          "message %" PRIu64 " has %" PRIu64 " bytes instead of %" PRIu64, sequence, message->length,
          message_length(sequence, max));
    CHECK(message->tag == message_tag(sequence), "message %" PRIu64 " has a wrong tag", sequence);
    CHECK(payload_matches(message->data, message->length, sequence), "message %" PRIu64 " has other contents",
          sequence);
}

mapring_producer *open_producer(uint64_t capacity, uint32_t max_consumers)
{
    mapring_producer_options options = {
        .struct_size = sizeof options, .capacity = capacity, .max_consumers = max_consumers};
    mapring_producer *producer = NULL;
    int32_t status = mapring_producer_open(RING, &options, &producer);
    CHECK(status >= 0, "opening the producer: %s", mapring_status_name(status));
    return producer;
}

mapring_consumer *open_consumer(uint32_t start)
{
    mapring_consumer_options options = {.struct_size = sizeof options, .start = start, .timeout_ns = 20 * SECOND};
    mapring_consumer *consumer = NULL;
    CHECK_STATUS(mapring_consumer_open(RING, &options, &consumer), MAPRING_OK);
    return consumer;
}

void publish_message(mapring_producer *producer, uint64_t sequence, uint64_t max)
{
    void *payload;
    uint64_t length = message_length(sequence, max);
    CHECK_STATUS(mapring_claim(producer, length, MAPRING_FOREVER, &payload), MAPRING_OK);
    payload_fill(payload, length, sequence);
    CHECK_STATUS(mapring_commit(producer, length, message_tag(sequence), 0), MAPRING_OK);
}

struct reader reader_open(uint32_t start, uint64_t max, uint64_t seed)
{
    struct reader reader = {.consumer = open_consumer(start),
                            .sequence = UINT64_MAX,
                            .max = max,
                            .random = seed,
                            .buffer = malloc(2 * max)};
    CHECK(reader.buffer != NULL, "no memory");
    return reader;
}

/* What was read in place must not have changed until now. */
static void release_oldest(struct reader *reader, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        check_message(&reader->held[i], reader->held[i].sequence, reader->max);
    CHECK_STATUS(mapring_release(reader->consumer, count), MAPRING_OK);
    reader->held_count -= count;
    memmove(reader->held, reader->held + count, reader->held_count * sizeof reader->held[0]);
}

int32_t reader_step(struct reader *reader, int64_t timeout_ns)
{
    uint32_t max = 1 + (uint32_t)(random_next(&reader->random) % READ_MAX);
    bool copy = reader->held_count == 0 && random_next(&reader->random) % 4 == 0;
    mapring_message *messages = reader->held + reader->held_count;
    /* Who waits while it holds messages may be what the producer waits for. */
    if (reader->held_count > 0)
        timeout_ns = 0;
    int32_t count = copy ? mapring_receive(reader->consumer, reader->buffer, 2 * reader->max, messages, max, timeout_ns)
                         : mapring_read(reader->consumer, messages, max, timeout_ns);
    if (count > 0 && reader->sequence == UINT64_MAX)
        reader->sequence = messages[0].sequence;
    for (int32_t i = 0; i < count; i++)
        check_message(&messages[i], reader->sequence++, reader->max);
    if (count > 0 && !copy) {
        reader->held_count += (uint32_t)count;
        release_oldest(reader, (uint32_t)(random_next(&reader->random) % (reader->held_count + 1)));
    }
    if (count > 0 && reader->held_count <= HELD_MAX - READ_MAX)
        return count;
    /* What was released is told to the producer by the next read that finds nothing. */
    bool again = reader->held_count > 0;
    release_oldest(reader, reader->held_count);
    return again && count < 0 ? 0 : count;
}

void reader_finish(struct reader *reader)
{
    int32_t status;
    do {
        status = reader_step(reader, 100 * MS);
        CHECK(status >= 0 || status == MAPRING_NO_PRODUCER || status == MAPRING_STREAM_ENDED, "reading: %s",
              mapring_status_name(status));
    } while (status != MAPRING_STREAM_ENDED);
}

void reader_close(struct reader *reader)
{
    mapring_consumer_close(reader->consumer);
    free(reader->buffer);
}

mapring_ring_info stat_ring(void)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    int32_t status = mapring_stat(RING, NULL, &info, NULL, 0);
    CHECK(status >= 0, "stat: %s", mapring_status_name(status));
    return info;
}
