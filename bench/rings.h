/*
 * The rings that are measured.
 */
#ifndef MAPRING_BENCH_RINGS_H
#define MAPRING_BENCH_RINGS_H

#include <mapring/mapring.h>

#include "crew.h"

/* Waiting in the library ends now and then, to look at stopping(). */
#define WAIT_NS 500000000

struct rings {
    mapring_producer *idle; /* the driver's: a ring without consumers */
    mapring_producer *sent; /* the driver's: on the ring "away"; the partner's: on the ring "back" */
    mapring_consumer *got;  /* the other way */
};

/* Each member has its own. */
extern _Thread_local struct rings rings;

/* A driver and its partner, with all three rings. */
struct crew rings_pair(uint64_t capacity);

/* A driver and consumers of its ring "away". */
struct crew rings_fan(uint64_t capacity, unsigned consumers);

/* The same with one consumer that is lossy. */
struct crew rings_lossy(uint64_t capacity);

/* The same with members of one group. */
struct crew rings_group(uint64_t capacity, unsigned members);

/* A name of a ring that no other crew has, and that is swept away when the run ends however it does. */
#define RING_NAME_BYTES 64
void rings_name(char name[RING_NAME_BYTES], const struct crew *crew, const char *purpose);

/* By the conductor: takes away the names that members left behind which could not close. */
void rings_sweep(struct crew *crew);

/* Ends the run when what a call of the library returned is an error. Returns it otherwise. In line, as the time of
 * a call more would be counted as the library's. */
void refused(int32_t status, const char *call) __attribute__((noreturn, cold));
static inline int32_t check(int32_t status, const char *call)
{
    if (status < 0)
        refused(status, call);
    return status;
}

/* The same for what may be for want of room on the machine: ends the crew only. */
int32_t check_able(int32_t status, const char *call);

/* What a ring costs in memory. */
struct ring_memory {
    int32_t status; /* negative: it could not be measured */
    uint64_t capacity;
    uint64_t slots;
    uint64_t memory;
    double per_slot; /* by making two rings that differ in their slots only */
};

struct ring_memory rings_memory(uint64_t capacity);

#endif
