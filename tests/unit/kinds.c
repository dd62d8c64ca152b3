#include "kinds.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_MAX 200u

uint64_t stream_length(uint64_t sequence)
{
    uint64_t state = sequence;
    return random_next(&state) % (LENGTH_MAX + 1);
}

uint32_t stream_tag(uint64_t sequence)
{
    return (uint32_t)sequence;
}

struct stream stream_open(const mapring_producer_options *options)
{
    struct stream stream = {.capacity = options->capacity, .position = options->first_position};
    unique_name(stream.name);
    stream.starts = malloc(STREAM_MAX * sizeof *stream.starts);
    cr_assert_not_null(stream.starts);
    cr_assert_status(mapring_producer_open(stream.name, options, &stream.producer), 0);
    return stream;
}

void stream_close(struct stream *stream)
{
    mapring_producer_close(stream->producer);
    free(stream->starts);
}

void stream_take_over(struct stream *stream)
{
    mapring_producer_close(stream->producer);
    cr_assert_status(mapring_producer_open(stream->name, NULL, &stream->producer), 1);
}

int32_t stream_try(struct stream *stream, int64_t timeout_ns)
{
    uint8_t bytes[LENGTH_MAX];
    uint64_t length = stream_length(stream->sequence);
    payload_fill(bytes, length, stream->sequence);
    int32_t status = mapring_publish(stream->producer, bytes, length, stream_tag(stream->sequence), 0, timeout_ns);
    if (status != MAPRING_OK)
        return status;
    uint64_t size = 8 + (length + 7) / 8 * 8;
    uint64_t room = stream->capacity - stream->position % stream->capacity;
    uint64_t start = stream->position + (size > room ? room : 0);
    cr_assert_lt(stream->sequence, STREAM_MAX);
    stream->starts[stream->sequence++] = start;
    stream->position = start + size;
    return MAPRING_OK;
}

void stream_put(struct stream *stream, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        cr_assert_status(stream_try(stream, 0), MAPRING_OK);
}

uint64_t stream_fill(struct stream *stream)
{
    uint64_t count = 0;
    int32_t status;
    while ((status = stream_try(stream, 0)) == MAPRING_OK)
        count++;
    cr_assert_status(status, MAPRING_FULL);
    return count;
}

mapring_consumer *stream_join(const struct stream *stream, const mapring_consumer_options *options, int32_t status)
{
    mapring_consumer *consumer = NULL;
    cr_assert_status(mapring_consumer_open(stream->name, options, &consumer), status);
    cr_assert_not_null(consumer);
    return consumer;
}

void stream_refuses(const struct stream *stream, const mapring_consumer_options *options, int32_t status)
{
    mapring_consumer *consumer = NULL;
    cr_assert_status(mapring_consumer_open(stream->name, options, &consumer), status);
    cr_assert_null(consumer);
}

bool is_message(const mapring_message *message, uint64_t sequence)
{
    return message->sequence == sequence && message->length == stream_length(sequence) &&
           message->tag == stream_tag(sequence) && payload_matches(message->data, message->length, sequence);
}

void expect(mapring_consumer *consumer, uint64_t sequence)
{
    mapring_message message = {0};
    cr_assert_status(mapring_read(consumer, &message, 1, 0), 1);
    cr_assert(is_message(&message, sequence), "message %" PRIu64 " instead of %" PRIu64, message.sequence, sequence);
    cr_assert_status(mapring_release(consumer, 1), MAPRING_OK);
}

void expect_copy(mapring_consumer *consumer, uint64_t sequence)
{
    uint8_t bytes[LENGTH_MAX + 8];
    mapring_message message = {0};
    cr_assert_status(mapring_receive(consumer, bytes, sizeof bytes, &message, 1, 0), 1);
    cr_assert(is_message(&message, sequence), "message %" PRIu64 " instead of %" PRIu64, message.sequence, sequence);
}

void expect_rest(const struct stream *stream, mapring_consumer *consumer, uint64_t sequence)
{
    for (; sequence < stream->sequence; sequence++) {
        if (sequence % 3 == 0)
            expect_copy(consumer, sequence);
        else
            expect(consumer, sequence);
    }
    cr_assert_status(try_read(consumer), 0);
}

int32_t try_read(mapring_consumer *consumer)
{
    mapring_message message;
    return mapring_read(consumer, &message, 1, 0);
}

mapring_consumer_progress progress_of(mapring_consumer *consumer)
{
    mapring_consumer_progress progress = {.struct_size = sizeof progress};
    cr_assert_status(mapring_progress(consumer, &progress), MAPRING_OK);
    return progress;
}

void expect_lost(const struct stream *stream, mapring_consumer *consumer, uint64_t from, uint64_t lost_before)
{
    mapring_consumer_progress progress = progress_of(consumer);
    cr_assert_geq(progress.sequence, from);
    cr_assert_eq(progress.lost_messages - lost_before, progress.sequence - from,
                 "%" PRIu64 " lost between %" PRIu64 " and %" PRIu64, progress.lost_messages - lost_before, from,
                 progress.sequence);
    /* Padding before the next message may lie before or behind the position. */
    cr_assert_leq(progress.position, stream->starts[progress.sequence]);
    cr_assert(progress.sequence == 0 || progress.position >= stream->starts[progress.sequence - 1] + 8 +
                                                                 (stream_length(progress.sequence - 1) + 7) / 8 * 8);
}
