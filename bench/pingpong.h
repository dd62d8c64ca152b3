/*
 * There and back over two rings: both sides poll.
 */
#ifndef MAPRING_BENCH_PINGPONG_H
#define MAPRING_BENCH_PINGPONG_H

#include "crew.h"

double pingpong_driver(const struct job *job);
void pingpong_partner(const struct job *job);

/* The same, each round trip timed and recorded; gives the median. */
double pingpong_timed_driver(const struct job *job);

#endif
