/*
 * There and back over two rings.
 */
#ifndef MAPRING_BENCH_PINGPONG_H
#define MAPRING_BENCH_PINGPONG_H

#include "crew.h"

/* job.variant: whether waiting may sleep. */
enum { PINGPONG_POLLING, PINGPONG_SLEEPING };

double pingpong_driver(const struct job *job);
void pingpong_partner(const struct job *job);

/* The same, each round trip timed and recorded; gives the median. */
double pingpong_timed_driver(const struct job *job);

#endif
