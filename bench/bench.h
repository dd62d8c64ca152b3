/*
 * mapring-bench: how near the ring comes to the limits of the machine, and where others are.
 *
 * The process that the user started is the conductor. Crews of other processes, each pinned to a
 * processor, work through comparisons: the same work done in several ways. Rounds take every
 * way once, in random order, and only figures of the same round are divided by each other.
 */
#ifndef MAPRING_BENCH_H
#define MAPRING_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SIZES_MAX 20u
#define CPUS_MAX 64u
#define COUNTS_MAX 16u

struct options {
    int cpus[CPUS_MAX];
    unsigned cpu_count;
    bool cpus_chosen; /* by the user: not to be pinned to them is an error */
    unsigned rounds;
    double seconds; /* then it ends */
    bool quick;
    bool json;
    const char *html; /* file; NULL: none */
    const char *hdr;  /* folder; NULL: none */
    uint64_t capacity;
    uint64_t sizes[SIZES_MAX]; /* 0 sizes: each comparison takes its own */
    unsigned size_count;
    uint64_t consumers[COUNTS_MAX]; /* 0: each comparison takes its own */
    unsigned consumer_count;
};

/* There is only one processor: nothing that spins can be measured between two. */
static inline bool is_alone(const struct options *options)
{
    return options->cpu_count < 2;
}

/* Ends the whole run with one line on standard error, from the conductor or a member of a crew. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* For a member: its crew cannot do this work here, for the reason given; the rest of the run goes on. */
void unable(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Nanoseconds of a clock that all processes share. */
uint64_t now_ns(void);

/* stats.c */

struct summary {
    unsigned count;
    double q1, median, q3;
};

/* Sorts `values`. */
struct summary summarise(double *values, unsigned count);

/* machine.c */

struct machine {
    char model[128];
    char kernel[128];
    char caches[128]; /* of the first processor */
    char clock[32];
    char huge_pages[32]; /* of shared memory */
    char mitigations[512];
    int cores;
    bool virtualised;
};

void machine_describe(struct machine *machine);

#endif
