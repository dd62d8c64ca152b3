/*
 * The limit for small messages: a stream of cache lines, of which each is a message and says itself that it is there.
 */
#ifndef MAPRING_BENCH_LINES_H
#define MAPRING_BENCH_LINES_H

#include "crew.h"

#define LINE_BYTES 64u

/* For capacities up to this one; by the conductor. */
void lines_prepare(uint64_t capacity);

/* One line: the writer's number of it last, with release. */
struct line {
    uint64_t words[LINE_BYTES / 8 - 1];
    shared64 number; /* from 1 on */
};

struct lines_end {
    struct line *lines;
    uint64_t mask;
    uint64_t position; /* own: lines written or read so far */
    uint64_t taken;    /* writer: as last seen; reader: as last told */
    uint64_t known;    /* reader: lines that are there */
};

struct lines_end lines_begin(const struct job *job);

/* Room for the next line, or NULL. */
struct line *lines_room(struct lines_end *end);
void lines_written(struct lines_end *end, struct line *line);

/* The next line, or NULL. The reader looks at the line `ahead` further on, so as to stay behind the writer. */
const struct line *lines_next(struct lines_end *end, uint64_t ahead);

/* How many are there to be read, up to `most`. */
unsigned lines_there(const struct lines_end *end, unsigned most);
void lines_read(struct lines_end *end);

/* By the reader, before crew_done(). */
void lines_end_job(const struct lines_end *end);

/* Throughput: job.count messages of a line each. */
double lines_driver(const struct job *job);
void lines_partner(const struct job *job);

#endif
