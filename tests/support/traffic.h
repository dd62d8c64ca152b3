/*
 * A stream in which every message is made of its sequence number: length, tag and content. Who reads it can tell
 * whether it is the right message and whole, whoever published it.
 */
#ifndef MAPRING_TESTS_TRAFFIC_H
#define MAPRING_TESTS_TRAFFIC_H

#include <mapring/mapring.h>

#include "cases.h"
#include "payload.h"

#define RING "traffic"

/* The length of the message with this number, at most `max`: short ones mostly, and some of any length. */
uint64_t message_length(uint64_t sequence, uint64_t max);
uint32_t message_tag(uint64_t sequence);

/* Checks that it is the message with this number. */
void check_message(const mapring_message *message, uint64_t sequence, uint64_t max);

/* Opens that must succeed, of the ring named RING. A capacity of 0: whatever there is. */
mapring_producer *open_producer(uint64_t capacity, uint32_t max_consumers);
mapring_consumer *open_consumer(uint32_t start);

/* Publishes the message with this number, waiting for room as long as needed. */
void publish_message(mapring_producer *producer, uint64_t sequence, uint64_t max);

#define READ_MAX 32u
#define HELD_MAX 48u

/* A consumer that reads and releases by random calls, and checks each message when it reads it and when it releases it.
 */
struct reader {
    mapring_consumer *consumer;
    uint64_t sequence; /* of the next message; UINT64_MAX: the first will tell */
    uint64_t max;      /* length of a message */
    uint64_t random;
    mapring_message held[HELD_MAX]; /* read in place and not yet released */
    uint32_t held_count;
    void *buffer; /* of 2 * max bytes */
};

struct reader reader_open(uint32_t start, uint64_t max, uint64_t seed);

/* Reads what is there, once. Returns how many messages, or what mapring_read() returns. */
int32_t reader_step(struct reader *reader, int64_t timeout_ns);

/* Reads on to the end of the stream; a producer that is gone is waited for. */
void reader_finish(struct reader *reader);
void reader_close(struct reader *reader);

mapring_ring_info stat_ring(void);

#endif
