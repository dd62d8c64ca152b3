/*
 * The control: a plain ring of records, as good as such a ring gets, whose consumer learns of messages
 * from a head counter that the producer stores with every message.
 *
 * Records are as in mapring, 8 bytes of length and then the payload, padded to 8, never wrapped. Each
 * side keeps a copy of the other's counter and looks again only when the copy says full or
 * empty; the counters lie on blocks of their own. The consumer stores its tail once per
 * batch: when it has used up what it knew of, or an eighth of the capacity.
 */
#ifndef MAPRING_BENCH_CONTROL_H
#define MAPRING_BENCH_CONTROL_H

#include "crew.h"

/* For capacities up to this one; by the conductor. */
void control_prepare(uint64_t capacity);

/* Throughput: job.count messages of job.size bytes; the reader checks every byte. */
double control_driver(const struct job *job);
void control_partner(const struct job *job);

#endif
