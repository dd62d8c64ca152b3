/*
 * The calls that take something from the system, each in a form that can be made again and again, with something
 * refused or not: it gives back all it takes.
 */
#ifndef MAPRING_TESTS_CALLS_H
#define MAPRING_TESTS_CALLS_H

#include "traffic.h"

struct call {
    const char *name;
    void (*prepare)(void);
    int32_t (*make)(void); /* undoes what it made if it succeeded; returns a status or a count */
    void (*clean)(void);
};

extern const struct call calls[];
extern const size_t call_count;

/* What a process can leak. */
struct possessions {
    int descriptors;
    int mappings;
    int names;
    bool file;
};

struct possessions possessions_now(void);

/* Fails unless nothing was added or lost. */
void check_possessions(struct possessions before, const char *call);

#endif
