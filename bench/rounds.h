/*
 * Comparisons and the rounds that go through them.
 */
#ifndef MAPRING_BENCH_ROUNDS_H
#define MAPRING_BENCH_ROUNDS_H

#include "crew.h"

#define SUBJECTS_MAX 24u
#define COMPARISONS_MAX 64u

/* Fewer rounds than this at one distance say nothing. */
#define ROUNDS_FEWEST 3u

/* What one who chooses a transport asks first. */
enum {
    FEATURE_VARIABLE = 1,  /* messages of any length, without a limit set beforehand for each */
    FEATURE_BROADCAST = 2, /* every reader gets every message */
    FEATURE_RELIABLE = 4,  /* nothing is lost while the reader is slow */
    FEATURE_BLOCKING = 8,  /* who waits sleeps */
    FEATURE_IN_PLACE = 16, /* messages can be read where they lie */
    FEATURES_KNOWN = 32    /* the others say something about this one */
};

/* One way to do the work. */
struct subject {
    const char *name;
    const char *setting; /* how it was set up, or NULL */
    struct crew *crew;
    struct job job;
    double at_most, at_least; /* what its ratio to the baseline must reach; 0: nothing */
    bool is_limit;            /* of the machine: nothing of the library in it */
    unsigned features;
    uint64_t x;                  /* its place on the axis, if the subjects of the comparison make one */
    const struct subject *paced; /* job.interval_ns is taken from what this one reached ... */
    bool fixed;                  /* job.count is as planned, and not as many as fit into the time of a sample */
    double share;                /* ... times this; 0: the work is not paced */
    char absent[160];            /* why it cannot be measured at all; "": it can */
    struct reading *readings;    /* one for each round */
    struct histogram *recorded[DISTANCE_COUNT];
};

enum unit {
    UNIT_TIME,    /* nanoseconds per operation; a ratio is time over time of the baseline */
    UNIT_RATE,    /* bytes and messages per second; a ratio is rate over rate of the baseline */
    UNIT_LATENCY, /* as UNIT_TIME, by the medians of recorded durations */
};

/* The same work in several ways; the first is the baseline. */
struct comparison {
    const char *title;
    const char *note; /* how to understand it; NULL: as it says */
    const char *axis; /* what subject.x counts; NULL: the size is the axis of comparisons with the same title */
    enum unit unit;
    uint64_t size;
    uint64_t capacity;
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

struct comparison *plan_compare(struct plan *plan, const char *title, enum unit unit, uint64_t size, uint64_t capacity);

/* `crew` is copied the first time; subjects that are to share a crew share the pointer. */
struct crew *plan_crew(struct crew crew);

/* The job's size, when 0, and its capacity are those of the comparison. */
struct subject *comparison_add(struct comparison *comparison, const char *name, struct crew *crew, struct job job);

void subject_fix_count(struct subject *subject, uint64_t count);

/* A row that says why nothing was measured. */
void comparison_add_absent(struct comparison *comparison, const char *name, const char *reason);

/* Until the rounds or the time are over, or the user interrupts. */
void plan_run(struct plan *plan, const struct options *options);

/* Over the rounds at this distance: the unit's figure of a subject, and its ratio to another. */
struct summary comparison_figure(const struct plan *plan, const struct comparison *comparison, unsigned subject,
                                 enum distance distance);
struct summary comparison_ratio(const struct plan *plan, const struct comparison *comparison, unsigned subject,
                                unsigned baseline, enum distance distance);

/* What share of the messages it did not get. */
struct summary comparison_lost(const struct plan *plan, const struct comparison *comparison, unsigned subject,
                               enum distance distance);

/* The best of the subjects that are limits, by median; SUBJECTS_MAX if there is none with enough rounds. */
unsigned comparison_limit(const struct plan *plan, const struct comparison *comparison, enum distance distance);

/* Whether any subject has enough rounds at this distance. */
bool comparison_measured(const struct plan *plan, const struct comparison *comparison, enum distance distance);

/* Whether a report of this distance has anything to say of the subject: a figure, or that it has none at any. */
bool comparison_tells(const struct plan *plan, const struct comparison *comparison, unsigned subject,
                      enum distance distance);

bool comparison_tells_features(const struct comparison *comparison);

/* Why a subject has no figure; NULL if the machine was merely never quiet enough. */
const char *subject_reason(const struct subject *subject);

#endif
