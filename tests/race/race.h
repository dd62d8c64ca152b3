/*
 * Threads over one ring, under ThreadSanitizer: each has handles of its own, and all see the ring at one address.
 */
#ifndef MAPRING_TESTS_RACE_H
#define MAPRING_TESTS_RACE_H

#include <mapring/mapring.h>

#define RING "race"

/* Ends the program if the status is an error. Returns it. */
int32_t must(int32_t status, const char *what);

/* Runs these at the same time, and waits for them; ends with NULL. */
typedef void (*role)(void);
void run_together(const role *roles);

/* Opens the ring. */
mapring_producer *create(mapring_producer_options options);
mapring_producer *take_over(void);
mapring_consumer *attach(mapring_consumer_options options);

/* Message `number`, of a length that follows from it. */
void publish(mapring_producer *producer, uint64_t number, uint32_t flags);

/* Reads up to 8 messages where they lie or by copying, checks what they hold, and releases them. What a read returns;
 * the number behind the last one in `next`. */
int32_t read_in_place(mapring_consumer *consumer, uint64_t *next, int64_t timeout_ns);
int32_t read_copies(mapring_consumer *consumer, uint64_t *next, int64_t timeout_ns);

/* The same where the producer may overwrite them meanwhile: nobody watches the reading in place. */
int32_t read_lossy(mapring_consumer *consumer, uint64_t *next, int64_t timeout_ns);

#endif
