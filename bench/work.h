/*
 * The comparisons: what is measured.
 */
#ifndef MAPRING_BENCH_WORK_H
#define MAPRING_BENCH_WORK_H

#include "rounds.h"

/* Publishing with nobody attached, beside copying the same bytes. */
void publish_plan(struct plan *plan, const struct options *options);

/* There and back over two rings, beside two cache lines. */
void pingpong_plan(struct plan *plan, const struct options *options);

/* To a consumer that reads every byte, beside a plain ring and a streamed copy. */
void throughput_plan(struct plan *plan, const struct options *options);

/* The machine alone: a line there and back, streamed copies over chunk sizes. */
void limits_plan(struct plan *plan, const struct options *options);

#endif
