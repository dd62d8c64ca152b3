/*
 * What the messages hold: a sequence number, then words that differ from message to
 * message and that the reader knows. All sizes are multiples of 8.
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

/* A line's words, loaded and stored at once as far as the processor can. */
#define PAYLOAD_STEP 8u
typedef uint64_t payload_line __attribute__((vector_size(8 * PAYLOAD_STEP), aligned(8), may_alias));

/* The words that follow each other from this one on. */
static inline void payload_line_set(payload_line *line, uint64_t word)
{
    *line = (payload_line){word, word + 1, word + 2, word + 3, word + 4, word + 5, word + 6, word + 7};
}

/* Writes the message without a copy, with few and wide stores: what is stored fills the processor's store buffer by the
 * number of stores, and not by their size. */
static inline void payload_compose(const struct payload *payload, uint64_t *words, uint64_t sequence)
{
    uint64_t seed = payload_seed(sequence & payload->mask), i = 0;
    payload_line line;
    payload_line_set(&line, seed);
    for (; i + PAYLOAD_STEP <= payload->words; i += PAYLOAD_STEP, line += PAYLOAD_STEP)
        *(payload_line *)(words + i) = line;
    for (; i < payload->words; i++)
        words[i] = seed + i;
    words[0] = sequence;
}

/* Looks at every byte. */
static inline bool payload_is(const struct payload *payload, const void *data, uint64_t length, uint64_t sequence)
{
    const uint64_t *words = data;
    if (length != payload->words * 8)
        return false;
    uint64_t seed = payload_seed(sequence & payload->mask), i = 1;
    uint64_t wrong = words[0] ^ sequence;
    if (length >= sizeof(payload_line)) {
        payload_line line;
        payload_line_set(&line, seed);
        payload_line differing = *(const payload_line *)words ^ line;
        differing[0] = 0; /* there the number is */
        for (i = PAYLOAD_STEP; i + PAYLOAD_STEP <= payload->words; i += PAYLOAD_STEP)
            differing |= *(const payload_line *)(words + i) ^ (line += PAYLOAD_STEP);
        for (unsigned word = 0; word < PAYLOAD_STEP; word++)
            wrong |= differing[word];
    }
    for (; i < payload->words; i++)
        wrong |= words[i] ^ (seed + i);
    return wrong == 0;
}

#endif
