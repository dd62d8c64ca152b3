/*
 * Sleeping on what the kernel has, and knowing that somebody sleeps.
 */
#ifndef MAPRING_BENCH_ASLEEP_H
#define MAPRING_BENCH_ASLEEP_H

#include "crew.h"

/* By the conductor, before the crews that use the jobs below. */
void asleep_prepare(void);

/*
 * Wake-ups: job.count times, all partners sleep, which the driver sees in /proc, and are woken at once. Records the
 * time from before the waking call until the last of them was awake, and gives the median; or, as job.variant says,
 * gives what the call cost the driver on average.
 */
enum { WAKE_LATENCY, WAKE_COST };
double wake_futex_driver(const struct job *job);
void wake_futex_partner(const struct job *job);
double wake_eventfd_driver(const struct job *job);
void wake_eventfd_partner(const struct job *job);
double wake_ring_driver(const struct job *job); /* a consumer that waits in mapring_read() */
void wake_ring_partner(const struct job *job);
/* An event loop that polls the consumer's descriptor, by each method; the driver is that of the ring. */
void wake_futex_descriptor_partner(const struct job *job);
void wake_descriptor_partner(const struct job *job);

/* Round trips between two processes that sleep in between, with no regard to whether they sleep already. */
double futex_pingpong_driver(const struct job *job);
void futex_pingpong_partner(const struct job *job);
double eventfd_pingpong_driver(const struct job *job);
void eventfd_pingpong_partner(const struct job *job);

#endif
