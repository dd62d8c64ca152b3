/*
 * What the unit tests share: both ends of a ring in one process.
 */
#ifndef MAPRING_TESTS_RINGS_H
#define MAPRING_TESTS_RINGS_H

#include <criterion/criterion.h>

#include <mapring/mapring.h>

#include "payload.h"

#define MS ((int64_t)1000000)

struct ends {
    char name[64];
    mapring_producer *producer;
    mapring_consumer *consumer;
};

/* Statuses are compared by name, so that a failure says which came. */
#define cr_assert_status(call, expected)                                                                               \
    do {                                                                                                               \
        int32_t status_ = (call);                                                                                      \
        cr_assert(status_ == (expected), "%s: %s (%d) instead of %s", #call, mapring_status_name(status_),             \
                  (int)status_, #expected);                                                                            \
    } while (0)

/* A name that no other test uses. */
void unique_name(char name[64]);

/* A new ring with a producer and a consumer that has all of it before it. */
struct ends open_ends(uint64_t capacity);
struct ends open_ends_at(uint64_t capacity, uint64_t first_position);
void close_ends(struct ends *ends);

mapring_producer *open_producer(const char *name, uint64_t capacity);
mapring_consumer *open_consumer(const char *name, uint32_t start);

/* Publishes a message made of this seed, or reads one in place and releases it. */
void put(struct ends *ends, uint64_t length, uint64_t seed);
void take(struct ends *ends, uint64_t length, uint64_t seed);

/* Reads in place all that is there, which is at most `max` messages. A single call may stop short of it. */
int32_t read_all(mapring_consumer *consumer, mapring_message *messages, uint32_t max);

/* Whether the consumer finds nothing to read at this moment. */
bool is_empty(struct ends *ends);

mapring_ring_info stat_of(const char *name);

/* Nanoseconds that only run forward. */
int64_t now_ns(void);

#endif
