/*
 * mapring-bench: how near the ring comes to the limits of the machine.
 *
 * Two processes, the driver (which the user started) and its partner, each pinned to a
 * processor, work through comparisons: the same work done in several ways. Rounds take every
 * way once, in random order, and only figures of the same round are divided by each other.
 */
#ifndef MAPRING_BENCH_H
#define MAPRING_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SIZES_MAX 16

struct options {
    int cpus[2];
    bool alone; /* there is only one processor: nothing with a partner can be measured */
    unsigned rounds;
    double seconds; /* then it ends */
    bool json;
    uint64_t capacity;
    uint64_t sizes[SIZES_MAX]; /* 0 sizes: each comparison takes its own */
    unsigned size_count;
};

/* Ends the program with one line on standard error; in the partner, ends the whole run. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Nanoseconds of a clock that both processes share. */
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
    int cores;
    bool virtualised;
};

void machine_describe(struct machine *machine);

#endif
