/*
 * Message contents that tell where they came from: bytes made of a seed, so that a message of another seed, a torn one
 * or a shifted one is told apart.
 */
#ifndef MAPRING_TESTS_PAYLOAD_H
#define MAPRING_TESTS_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

void payload_fill(void *to, uint64_t length, uint64_t seed);
bool payload_matches(const void *data, uint64_t length, uint64_t seed);

/* The next of a series of random numbers; `state` is any number to start with. */
uint64_t random_next(uint64_t *state);

/* How much longer than usual tests that repeat something are to run: MAPRING_TEST_LENGTH, by default 1. */
uint64_t test_length(void);

#endif
