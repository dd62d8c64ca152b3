/*
 * The ways to send and receive a stream of messages through a ring, whoever asks for it.
 */
#ifndef MAPRING_BENCH_STREAM_H
#define MAPRING_BENCH_STREAM_H

#include "crew.h"

/* Messages that the readers of all rings ask for in one call: some dozens, if that is not too much of the capacity. */
#define READ_BATCH 64u

static inline unsigned read_batch(uint64_t capacity, uint64_t size)
{
    uint64_t batch = capacity / 16 / size;
    return batch < 1 ? 1 : batch > READ_BATCH ? READ_BATCH : (unsigned)batch;
}

/* Drivers: job.count messages of job.size bytes; nanoseconds per message until the last consumer has read the last. */
double stream_publish(const struct job *job);
double stream_publish_batch(const struct job *job); /* 16 at once */
double stream_compose(const struct job *job);       /* written in place */

/* A driver that measures what publishing costs the producer: bursts of half the capacity, and not counted, the time
 * until all consumers have read each. */
double stream_publish_bursts(const struct job *job);

/* Partners: read every byte. */
void stream_read(const struct job *job);    /* in place */
void stream_receive(const struct job *job); /* copies */

/* By a lossy consumer, in place, until it has seen the last: what it gets is whole and in order, and it tells how much
 * it did not get. */
void stream_read_lossy(const struct job *job);

/* By members of a group: each message goes to one of them, and once. The driver verifies that of all together. */
double stream_publish_to_group(const struct job *job);
void stream_read_as_member(const struct job *job);

#endif
