/*
 * A ring and both its ends, for the tests of descriptors and wait sets.
 */
#ifndef MAPRING_TESTS_WINDOWS_ENDS_H
#define MAPRING_TESTS_WINDOWS_ENDS_H

#include <stdbool.h>
#include <stdint.h>

#include <mapring/mapring.h>

#include "harness.h"

#define PATIENCE_NS ((int64_t)60 * 1000000000)
#define PATIENCE_MS 60000u
#define MS ((int64_t)1000000)

struct ends {
    char name[NAME_SIZE];
    mapring_producer *producer;
    mapring_consumer *consumer;
};

mapring_producer *open_producer(const char *name);
/* Waits for the ring. */
mapring_consumer *open_consumer(const char *name);

struct ends open_ends(const char *use);
void close_ends(struct ends *ends);

/* Publishes a number, or reads it and releases it. */
void put(struct ends *ends, uint64_t number);
void take(struct ends *ends, uint64_t number);

/* A child that publishes `count` numbers in the rings `names`, in turn, of which the consumers are there already, with
 * pauses in between, and ends them. */
struct child start_publisher(const char *const *names, uint32_t rings, const char *count);
int publish_to(int rings, char **names, const char *count);

/* A child that is the only producer of a ring, until it is killed. */
struct child start_holder(const char *name);
int hold(const char *name);

/* Runs `call` with `argument` in a thread. */
HANDLE start_thread(LPTHREAD_START_ROUTINE call, void *argument);
void end_thread(HANDLE thread);

#endif
