/*
 * Results, for people and for programs.
 */
#ifndef MAPRING_BENCH_REPORT_H
#define MAPRING_BENCH_REPORT_H

#include "rings.h"
#include "rounds.h"

struct report {
    const char *command;
    const struct options *options;
    const struct machine *machine;
    const struct plan *plan;
    const struct ring_memory *memory; /* NULL: not looked at */
};

/* Most a consumer slot may cost, in bytes. */
#define SLOT_BYTES_MOST 512.0

void report_text(const struct report *report);
void report_json(const struct report *report);

/* These say on standard error why they cannot write, and give false. */
bool report_html(const struct report *report, const char *path);
bool report_hdr(const struct report *report, const char *folder);

/* What the reports share. */

const char *size_text(uint64_t bytes, char text[32]);

/* "1.5 us" and the like. */
const char *time_text(double ns, char text[32]);

/* Two digits behind the point, or of a small value two that say something. */
const char *value_text(double value, char text[32]);

bool has_target(const struct subject *subject);
bool reached(const struct subject *subject, double ratio);

/* The shares that are reported of every histogram, and their names. */
#define PERCENTILES 6u
extern const double percentiles[PERCENTILES];
extern const char *const percentile_names[PERCENTILES];

/* One letter for each feature, '-' for those that it has not. */
#define FEATURE_LETTERS 6
void features_text(unsigned features, char text[FEATURE_LETTERS]);
extern const char features_legend[];

#endif
