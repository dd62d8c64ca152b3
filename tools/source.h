/*
 * A consumer as mapring sub reads it: what happened to it is said on standard error, and what may be overwritten is
 * copied, so that nothing torn is ever written.
 */
#ifndef MAPRING_TOOLS_SOURCE_H
#define MAPRING_TOOLS_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include <mapring/mapring.h>

struct source {
    const char *name;
    mapring_consumer_options options;
    bool rejoin; /* when evicted or demoted */
    bool quiet;
    bool verbose;

    mapring_consumer *consumer;
    bool copies; /* messages lie in the buffer, and are released */
    unsigned char *buffer;
    uint64_t size;
    uint64_t epoch;
};

/* One attempt; returns as mapring_consumer_open(). */
int32_t source_open(struct source *source);
void source_close(struct source *source);

/* As mapring_read(). What was read before is no longer valid if source_is_moved(). */
int32_t source_read(struct source *source, mapring_message *messages, uint32_t max, int64_t timeout_ns);

/* Whether a message is valid only until the next read, and has to be released before. */
bool source_is_moved(const struct source *source);

/* Returns as mapring_release(). */
int32_t source_release(struct source *source, uint32_t count);

#endif
