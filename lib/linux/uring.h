/*
 * Waiting on a futex by io_uring, which makes an eventfd readable when it is over: uring.c if the library is built with
 * liburing, else uring_absent.c.
 */
#ifndef MAPRING_LIB_LINUX_URING_H
#define MAPRING_LIB_LINUX_URING_H

#include <stdbool.h>
#include <stdint.h>

#include "../platform.h"

struct linux_uring;

/* MAPRING_UNSUPPORTED if the kernel does not allow it, or the library was built without liburing. */
int32_t linux_uring_open(int event_fd, struct linux_uring **out);
void linux_uring_close(struct linux_uring *uring);

/* Waits until the word is rung with one of these bits, unless such a wait is under way. It is over at once if the word
 * does not read as remembered. */
int32_t linux_uring_park(struct linux_uring *uring, const shared32 *word, uint32_t remembered, uint32_t bits,
                         int event_fd);

/* Whether a wait was over. That makes the eventfd readable twice: when it is over, and when this finds it. */
bool linux_uring_reap(struct linux_uring *uring);

/* uring_entry.c */

/* Fills an entry of a submission queue with such a wait. */
void linux_uring_fill(void *entry, const shared32 *word, uint32_t remembered, uint32_t bits);

/* Whether the kernel of this io_uring knows it. */
bool linux_uring_has_futex(int ring_fd);

#endif
