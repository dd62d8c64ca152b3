/*
 * The comparisons: what is measured.
 */
#ifndef MAPRING_BENCH_WORK_H
#define MAPRING_BENCH_WORK_H

#include "rounds.h"

/* The crew that most works use: a driver and its partner with rings of the capacity asked for. */
struct crew *plan_pair(const struct options *options);

/* Publishing with nobody attached, beside copying the same bytes. */
void publish_plan(struct plan *plan, const struct options *options);

/* There and back over two rings, beside two cache lines. */
void pingpong_plan(struct plan *plan, const struct options *options);

/* To a consumer that reads every byte, beside a plain ring and a streamed copy. */
void steer_throughput_plan(struct plan *plan, const struct options *options); /* few sizes, the targets */
void throughput_plan(struct plan *plan, const struct options *options);       /* sizes, capacities, threads */

/* Streamed copies: the best of them is the limit of a throughput; which one it is depends on where the processors are.
 */
void add_stream_limits(struct comparison *comparison, struct crew *crew);

/* Durations: there and back, and one way at fixed rates. */
void latency_plan(struct plan *plan, const struct options *options);

/* To 1 to 64 consumers. */
void fanout_plan(struct plan *plan, const struct options *options);

/* To 1 to 16 members of a group. */
void group_plan(struct plan *plan, const struct options *options);

/* Publishing with consumers attached that do not get in the way otherwise. */
void attached_plan(struct plan *plan, const struct options *options);

/* Publishing with a consumer that is awake, beside the same without the look at sleepers. */
void awake_plan(struct plan *plan, const struct options *options);

/* Consumers that sleep. */
void wake_plan(struct plan *plan, const struct options *options);

/* Creating, joining, taking over. */
void attach_plan(struct plan *plan, const struct options *options);

/* Creating, opening, mapping and closing segments, beside bare system calls. */
void segment_plan(struct plan *plan, const struct options *options);

/* The machine alone. */
void limits_plan(struct plan *plan, const struct options *options);

/* Other transports. */
void compare_plan(struct plan *plan, const struct options *options);

#endif
