/*
 * A consumer's descriptor for event loops, as its calls see it.
 */
#ifndef MAPRING_LIB_DESCRIPTOR_H
#define MAPRING_LIB_DESCRIPTOR_H

#include <stdint.h>

#include "namespace.h"

struct mapring_consumer;

/* After a call that read, of a consumer that has a descriptor: if it got nothing, makes this ready, or unready, as
 * there is something to read or not. Returns `result`, or if that is 0 why nothing will come. */
int32_t descriptor_settle(struct mapring_consumer *consumer, int32_t result);

/* The same after everything that was read is released. */
int32_t descriptor_settle_released(struct mapring_consumer *consumer);

/* The next call that finds nothing begins anew with the consumer's watermark. */
void descriptor_forget_watermark(struct mapring_consumer *consumer);

/* MAPRING_DESCRIPTOR_FUTEX, ...; 0: it has none. */
uint32_t descriptor_method(const struct mapring_consumer *consumer);

/* Before the slot is given up; then, also in a child of fork(), what is private. */
void descriptor_leave(struct mapring_consumer *consumer);
void descriptor_free(struct mapring_consumer *consumer);

#endif
