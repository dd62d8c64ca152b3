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

#endif
