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

/* What was not as it must be, in any of the messages that were compared. Who takes one at a time looks at it once for
 * so many, as often as who takes many at once. */
#define PAYLOAD_LOOK 64u

struct payload_wrong {
    payload_line lines;
    uint64_t words;
};

/* Looks at every byte. */
static inline void payload_compare(const struct payload *payload, const void *data, uint64_t length, uint64_t sequence,
                                   struct payload_wrong *wrong)
{
    const uint64_t *words = data;
    uint64_t seed = payload_seed(sequence & payload->mask), i = 1;
    if (length != payload->words * 8) {
        wrong->words = 1;
        return;
    }
    wrong->words |= words[0] ^ sequence;
    if (length >= sizeof(payload_line)) {
        payload_line line;
        payload_line_set(&line, seed);
        payload_line differing = *(const payload_line *)words ^ line;
        differing[0] = 0; /* there the number is */
        for (i = PAYLOAD_STEP; i + PAYLOAD_STEP <= payload->words; i += PAYLOAD_STEP)
            differing |= *(const payload_line *)(words + i) ^ (line += PAYLOAD_STEP);
        wrong->lines |= differing;
    }
    for (; i < payload->words; i++)
        wrong->words |= words[i] ^ (seed + i);
}

static inline bool payload_any(const struct payload_wrong *wrong)
{
    uint64_t any = wrong->words;
    for (unsigned word = 0; word < PAYLOAD_STEP; word++)
        any |= wrong->lines[word];
    return any != 0;
}

static inline bool payload_is(const struct payload *payload, const void *data, uint64_t length, uint64_t sequence)
{
    struct payload_wrong wrong = {.words = 0};
    payload_compare(payload, data, length, sequence, &wrong);
    return !payload_any(&wrong);
}

#endif
