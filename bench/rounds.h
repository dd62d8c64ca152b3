/*
 * Comparisons and the rounds that go through them.
 */
#ifndef MAPRING_BENCH_ROUNDS_H
#define MAPRING_BENCH_ROUNDS_H

#include "pair.h"

#define SUBJECTS_MAX 6
#define COMPARISONS_MAX 64

/* One way to do the work. */
struct subject {
    const char *name;
    struct job job;
    double at_most, at_least; /* what its ratio to the baseline must reach; 0: nothing */
    struct reading *readings; /* one for each round */
};

enum unit {
    UNIT_TIME, /* nanoseconds per operation; a ratio is time over time of the baseline */
    UNIT_RATE  /* bytes and messages per second; a ratio is rate over rate of the baseline */
};

/* The same work in several ways; the first is the baseline. */
struct comparison {
    const char *title;
    enum unit unit;
    uint64_t size;
    unsigned subject_count;
    struct subject subjects[SUBJECTS_MAX];
};

struct plan {
    struct comparison comparisons[COMPARISONS_MAX];
    unsigned count;
    unsigned rounds_begun;
    uint64_t deadline_ns;
    unsigned samples[OUTCOME_COUNT]; /* taken, by what came of them */
};

struct comparison *plan_compare(struct plan *plan, const char *title, enum unit unit, uint64_t size);
struct subject *comparison_add(struct comparison *comparison, const char *name, struct job job);

/* Until the rounds or the time are over, or the user interrupts. */
void plan_run(struct plan *plan, const struct options *options);

/* Over the rounds at this distance: the unit's figure of a subject, and its ratio to another. */
struct summary comparison_figure(const struct plan *plan, const struct comparison *comparison, unsigned subject,
                                 enum distance distance);
struct summary comparison_ratio(const struct plan *plan, const struct comparison *comparison, unsigned subject,
                                unsigned baseline, enum distance distance);

#endif
