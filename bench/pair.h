/*
 * The driver and its partner: two processes that do one piece of work together.
 */
#ifndef MAPRING_BENCH_PAIR_H
#define MAPRING_BENCH_PAIR_H

#include "bench.h"

/*
 * How far the two processors are apart, by the round trip of a cache line. Virtual
 * processors wander between the cores of the machine below, and figures
 * taken at different distances have nothing to do with each other.
 */
enum distance {
    DISTANCE_NONE, /* nothing crossed from one processor to another */
    DISTANCE_SAME_CORE,
    DISTANCE_NEAR,
    DISTANCE_FAR,
    DISTANCE_COUNT
};

/* Messages that the readers of all rings ask for in one call: some dozens, if that is not too much of the capacity. */
#define READ_BATCH 64u

static inline unsigned read_batch(uint64_t capacity, uint64_t size)
{
    uint64_t batch = capacity / 16 / size;
    return batch < 1 ? 1 : batch > READ_BATCH ? READ_BATCH : (unsigned)batch;
}

#define SAME_CORE_BELOW_NS 80.0
#define FAR_FROM_NS 200.0

/* Two round trips are of one place when neither is longer than the other by more than this. */
#define SAME_PLACE 1.25

const char *distance_name(enum distance distance);

/* One piece of work. The partner gets a copy: it is a fork of the driver, so functions and memory that was
 * shared before the fork have the same addresses there. */
struct job {
    double (*driver)(const struct job *job); /* nanoseconds per operation */
    void (*partner)(const struct job *job);  /* NULL: the driver works alone */
    uint64_t size;                           /* bytes of a message */
    uint64_t count;                          /* operations */
    uint64_t distance;                       /* bytes that the reader stays behind the writer */
    unsigned variant;
};

enum outcome {
    OUTCOME_GOOD,
    OUTCOME_MOVED,     /* the round trip before was not the one after */
    OUTCOME_DISTURBED, /* other processes held a processor for more than 2 % of the time */
    OUTCOME_STOPPED,
    OUTCOME_COUNT
};

struct reading {
    double ns;            /* per operation */
    double round_trip_ns; /* of a cache line, meanwhile; 0: nothing crossed */
    enum distance distance;
    enum outcome outcome;
};

/* Whether the two were taken with the processors equally far apart. */
bool same_place(const struct reading *one, const struct reading *other);

/* Memory that both processes use, zeroed; before pair_start(). */
void *pair_memory(uint64_t size);

/* Starts the partner and pins both; with options->alone only pins. */
void pair_start(const struct options *options);

/* Has the partner call this function; while the run is not stopping, returns after it did. */
void pair_call(void (*function)(void));

/* Ends the partner. */
void pair_stop(void);

/* Does the job, with the distance taken before and after if the partner has a share in it. */
struct reading pair_measure(const struct job *job);

/* For the partner's side of a job to tell, and the driver's to learn, when the last operation was done. */
void pair_done(uint64_t ns);
uint64_t pair_await_done(void);

/* Both sides wait for each other. */
void pair_meet(void);

/* Whether everything is to end now: the user interrupted, or a side failed. Every loop that waits looks at it. */
bool stopping(void);

/* Ends everything because of a fault that the caller has described on standard error. */
void pair_report_failure(void);

/* Whether a side failed, as opposed to an interruption by the user. */
bool pair_failed(void);

#endif
