/*
 * How far the run is, on a terminal; nothing in a pipe.
 */
#ifndef MAPRING_BENCH_PROGRESS_H
#define MAPRING_BENCH_PROGRESS_H

#include "rounds.h"

void progress_begin(void);

/* `within`: the share of the round that is done. */
void progress_show(const struct plan *plan, const struct options *options, const char *doing, double within);
void progress_clear(void);

#endif
