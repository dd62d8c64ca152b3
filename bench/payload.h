/*
 * What the messages hold: a sequence number, then words that differ from message to
 * message, whose sum the reader knows. All sizes are multiples of 8.
 */
#ifndef MAPRING_BENCH_PAYLOAD_H
#define MAPRING_BENCH_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

#define PAYLOAD_MAX ((uint64_t)1 << 20)

/* Several messages ready to be copied: the number of one is written long before it is copied, as stores that are
 * read again at once in larger pieces would cost more than the copy. */
#define PAYLOAD_SOURCES 16u

struct payload {
    uint64_t words; /* in a message */
    uint64_t mask;  /* sources in use, less one */
    uint64_t sums[PAYLOAD_SOURCES];
    uint64_t *sources;
};

/* Gets the messages of this size ready, numbered from 0. There is one payload in a thread. */
void payload_prepare(struct payload *payload, uint64_t size);

static inline uint64_t payload_seed(uint64_t source)
{
    return (source + 1) * 0x9e3779b97f4a7c15u;
}

/* The message with this number; each is asked for once, in order. */
static inline const void *payload_source(const struct payload *payload, uint64_t sequence)
{
    return payload->sources + (sequence & payload->mask) * payload->words;
}

/* After it was copied: the source will be the message `mask + 1` later. */
static inline void payload_sent(const struct payload *payload, uint64_t sequence)
{
    payload->sources[(sequence & payload->mask) * payload->words] = sequence + payload->mask + 1;
}

/* A line's words, stored at once as far as the processor can. */
#define PAYLOAD_STEP 8u
typedef uint64_t payload_line __attribute__((vector_size(8 * PAYLOAD_STEP), aligned(8), may_alias));

/* Writes the message without a copy, with few and wide stores: what is stored fills the processor's store buffer by the
 * number of stores, and not by their size. */
static inline void payload_compose(const struct payload *payload, uint64_t *words, uint64_t sequence)
{
    uint64_t seed = payload_seed(sequence & payload->mask), i = 0;
    payload_line line = {seed, seed + 1, seed + 2, seed + 3, seed + 4, seed + 5, seed + 6, seed + 7};
    for (; i + PAYLOAD_STEP <= payload->words; i += PAYLOAD_STEP, line += PAYLOAD_STEP)
        *(payload_line *)(words + i) = line;
    for (; i < payload->words; i++)
        words[i] = seed + i;
    words[0] = sequence;
}

/* Four sums: one would wait for itself. */
static inline uint64_t payload_sum(const uint64_t *words, uint64_t count)
{
    uint64_t a = 0, b = 0, c = 0, d = 0, i = 0;
    for (; i + 4 <= count; i += 4) {
        a += words[i];
        b += words[i + 1];
        c += words[i + 2];
        d += words[i + 3];
    }
    for (; i < count; i++)
        a += words[i];
    return a + b + c + d;
}

/* Reads every byte. */
static inline bool payload_is(const struct payload *payload, const void *data, uint64_t length, uint64_t sequence)
{
    const uint64_t *words = data;
    return length == payload->words * 8 && words[0] == sequence &&
           payload_sum(words + 1, payload->words - 1) == payload->sums[sequence & payload->mask];
}

#endif
