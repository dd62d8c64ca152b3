/*
 * The rings that are measured.
 */
#ifndef MAPRING_BENCH_RINGS_H
#define MAPRING_BENCH_RINGS_H

#include <mapring/mapring.h>

#include "pair.h"

/* Waiting in the library ends now and then, to look at stopping(). */
#define WAIT_NS 500000000

struct rings {
    mapring_producer *idle; /* the driver's: a ring without consumers */
    mapring_producer *sent; /* the driver's: on the ring "away"; the partner's: on the ring "back" */
    mapring_consumer *got;  /* the other way */
};

/* Each process has its own. */
extern struct rings rings;

/* Before pair_start(), then opening after it. */
void rings_prepare(const struct options *options);
void rings_open(const struct options *options);
uint64_t rings_capacity(void);
/* Ends the partner first, however it ends: the last to close a ring takes its name away. */
void rings_close(void);

void refused(int32_t status, const char *call) __attribute__((noreturn, cold));

/* Ends the program when what a call of the library returned is an error. Returns it otherwise. In line, as the time of
 * a call more would be counted as the library's. */
static inline int32_t check(int32_t status, const char *call)
{
    if (status < 0)
        refused(status, call);
    return status;
}

/* What a ring costs in memory. */
struct ring_memory {
    uint64_t capacity;
    uint64_t slots;
    uint64_t memory;
    double per_slot; /* by making two rings that differ in their slots only */
};

struct ring_memory rings_memory(const struct options *options);

#endif
