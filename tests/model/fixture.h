/*
 * A ring, its processes and its messages, for scenarios. The ring is the smallest that there can be, its memory the
 * model's.
 */
#ifndef MAPRING_MODEL_FIXTURE_H
#define MAPRING_MODEL_FIXTURE_H

#include <mapring/mapring.h>

#include "layout.h"
#include "model.h"

#define RING_NAME "model"

/* Handles, by the thread that uses them; opened in setup or by the thread itself. */
extern mapring_producer *producers[MODEL_THREADS_MAX];
extern mapring_consumer *consumers[MODEL_THREADS_MAX];

/* How far each thread's consumer has come: the sequence number it expects next. */
extern uint64_t expected[MODEL_THREADS_MAX];

/* Creates the ring with the thread as its producer. */
void create_ring(uint32_t thread, uint64_t first_position, uint32_t slot_count);

/* The same with options of the creator's. */
void create_ring_as(uint32_t thread, mapring_producer_options options);

/* Opens the ring, which exists, for the current thread. Returns the status. */
int32_t open_producer(void);
int32_t open_consumer(uint32_t start);
int32_t open_consumer_as(mapring_consumer_options options);

/* Of the current thread's consumer. */
mapring_consumer_progress progress(void);

/* For setup: the same for another thread, and nothing may go wrong. */
void attach_consumer(uint32_t thread);

/* Message `sequence` holds `length` bytes that follow from its number. */
int32_t publish(uint64_t sequence, uint64_t length, uint32_t flags, int64_t timeout_ns);
void must_publish(uint64_t sequence, uint64_t length, uint32_t flags);

/* In setup: publishes messages of this length, and has all consumers read and release them. */
void pass_messages(uint32_t thread, uint64_t first_sequence, uint32_t count, uint64_t length);

/* Checks that it is the next message for the current thread, and that these are its contents. */
void check_message(const mapring_message *message, const uint8_t *bytes);

/* Reads up to `max` messages in place, and checks number, order and contents. Returns as mapring_read(). */
int32_t read_and_check(uint32_t max, int64_t timeout_ns);

/* The same by copying. */
int32_t receive_and_check(uint32_t max, int64_t timeout_ns);

/*
 * What a message stands for, outside the ring: who has the message looks at it, and who was told that everybody is done
 * with the message changes it. If that was not so, it is a data race. (A variable of the checker's own would not do:
 * its order among the threads is not explored.)
 */
void look_at_subject(uint64_t sequence);
void change_subject(uint64_t sequence);

/* Fails unless the status is a success or the one given. */
void must(int32_t status, const char *what);

/* For setup: what its consumers write. */
struct readers *ring_readers(void);

/* For finish(): what lies in the ring now. */
uint64_t stream_word(uint64_t offset_in_stream);

const char *name_ring_word(uint64_t offset);

#endif
