/*
 * What the machine can do at best, with nothing of the library in between.
 */
#ifndef MAPRING_BENCH_BARE_H
#define MAPRING_BENCH_BARE_H

#include "crew.h"

/* Makes the shared memory, for capacities up to this one; by the conductor. */
void bare_prepare(uint64_t capacity);

/* The round trip of a cache line, in nanoseconds: the median of short bursts, so that an interrupt does not show. */
double bare_probe_driver(void);
void bare_probe_partner(void);

/* Ping-pong between two cache lines; job.count is in round trips. As job.variant says, one line goes each way, with one
 * word, or two with nine: as many as a message of 64 B and its header take. */
enum { LINES_ONE, LINES_TWO };

double bare_pingpong_driver(const struct job *job);
void bare_pingpong_partner(const struct job *job);

/* The same, each round trip timed and recorded; gives the median. */
double bare_pingpong_timed_driver(const struct job *job);
void bare_pingpong_timed_partner(const struct job *job);

/*
 * Streamed copy: the writer copies chunks of job.size bytes into a buffer of the capacity,
 * the reader reads every byte, job.lag behind; each tells the other once per chunk. As job.variant says, a chunk is
 * copied by one memcpy(), or piece by piece: what memcpy() does with long blocks is not always best.
 */
enum { STREAM_WHOLE, STREAM_PIECES };
#define STREAM_PIECE ((uint64_t)1024)

double bare_stream_driver(const struct job *job);
void bare_stream_partner(const struct job *job);

/* Copies into a buffer of the capacity, one piece behind the other and round again: one call, as publishing is. */
struct bare_buffer {
    uint8_t *data;
    uint64_t capacity;
    uint64_t offset;
};

struct bare_buffer bare_buffer(uint64_t capacity);
void bare_copy(struct bare_buffer *bare, const void *bytes, uint64_t length);

#endif
