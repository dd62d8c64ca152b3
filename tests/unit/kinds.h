/*
 * What the tests of the kinds of consumer share: streams whose messages are made of their numbers, and whose positions
 * are reckoned here, apart from the library.
 */
#ifndef MAPRING_TESTS_KINDS_H
#define MAPRING_TESTS_KINDS_H

#include "rings.h"

#define STREAM_MAX 100000u

struct stream {
    char name[64];
    mapring_producer *producer;
    uint64_t capacity;
    uint64_t sequence; /* of the next message */
    uint64_t position; /* where the last record ends */
    uint64_t *starts;  /* of each message's record, padding before it not included */
};

/* Options that name what differs from the defaults. */
#define PRODUCER(...) (&(mapring_producer_options){.struct_size = sizeof(mapring_producer_options), __VA_ARGS__})
#define CONSUMER(...) (&(mapring_consumer_options){.struct_size = sizeof(mapring_consumer_options), __VA_ARGS__})

struct stream stream_open(const mapring_producer_options *options);
void stream_close(struct stream *stream);

/* Closes the producer and opens another, which must continue. */
void stream_take_over(struct stream *stream);

/* Publishes so many messages, for which there must be room; or as many as there is room for, and returns how many. */
void stream_put(struct stream *stream, uint64_t count);
uint64_t stream_fill(struct stream *stream);

/* One message, with the status of the call. */
int32_t stream_try(struct stream *stream, int64_t timeout_ns);

uint64_t stream_length(uint64_t sequence);
uint32_t stream_tag(uint64_t sequence);

/* Opens with this status. */
mapring_consumer *stream_join(const struct stream *stream, const mapring_consumer_options *options, int32_t status);

/* A consumer that cannot be opened: with this status. */
void stream_refuses(const struct stream *stream, const mapring_consumer_options *options, int32_t status);

bool is_message(const mapring_message *message, uint64_t sequence);

/* The next message, copied or in place, must be this one, and is released. */
void expect(mapring_consumer *consumer, uint64_t sequence);
void expect_copy(mapring_consumer *consumer, uint64_t sequence);

/* All messages from this one up to the end of the stream. */
void expect_rest(const struct stream *stream, mapring_consumer *consumer, uint64_t sequence);

/* What a read without waiting gives, of one message. */
int32_t try_read(mapring_consumer *consumer);

mapring_consumer_progress progress_of(mapring_consumer *consumer);

/* Sees that `lost` messages and bytes lie between `from` and where the consumer reads next. */
void expect_lost(const struct stream *stream, mapring_consumer *consumer, uint64_t from, uint64_t lost_before);

#endif
