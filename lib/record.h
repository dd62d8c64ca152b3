/*
 * Arithmetic of records and positions.
 */
#ifndef MAPRING_LIB_RECORD_H
#define MAPRING_LIB_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

/* Hints for hot paths, which stay on one screen and free of calls. */
#if defined(__GNUC__)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define UNLIKELY(condition) (condition)
#define NOINLINE
#define ALWAYS_INLINE inline
#define PREFETCH(address) ((void)(address))
#endif

static inline uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Bytes that a record with a payload of `length` takes in the ring. */
static inline uint64_t record_size(uint64_t length)
{
    return (length + HEADER_SIZE + 7) & ~(uint64_t)7;
}

static inline uint64_t message_header(uint64_t length, uint32_t tag)
{
    return (uint64_t)tag << HEADER_TAG_SHIFT | HEADER_COMMITTED | length;
}

/* A padding record of `size` bytes, at least HEADER_SIZE. */
static inline uint64_t padding_header(uint64_t size)
{
    return HEADER_COMMITTED | HEADER_PADDING | (size - HEADER_SIZE);
}

static inline uint64_t header_length(uint64_t header)
{
    return header & HEADER_LENGTH_MASK;
}

/* Whether this header, read at this offset of the data, describes a record that lies within the data. */
static inline bool header_is_sound(uint64_t header, uint64_t offset, uint64_t capacity)
{
    return (header & HEADER_COMMITTED) != 0 && record_size(header_length(header)) <= capacity - offset;
}

/* The length of a committed message; more than HEADER_LENGTH_MASK for every other header. */
static inline uint64_t message_length(uint64_t header)
{
    return (uint32_t)header ^ HEADER_COMMITTED;
}

/* Whether this header is a message's, as sound as the above. */
static inline bool header_is_message(uint64_t header, uint64_t offset, uint64_t capacity)
{
    uint64_t length = message_length(header);
    return length <= HEADER_LENGTH_MASK && offset + record_size(length) <= capacity;
}

static inline uint64_t message_length_max(uint64_t capacity)
{
    return min64(capacity / 4, MESSAGE_LENGTH_MAX);
}

/* The end of the stride that holds this position. */
static inline uint64_t stride_end(uint64_t position, uint64_t capacity)
{
    uint64_t stride = capacity / STRIDE_COUNT;
    return (position & ~(stride - 1)) + stride;
}

/* The position below which a frontier allows overwriting. */
static inline uint64_t overwritten_below(uint64_t frontier, uint64_t capacity)
{
    return frontier > capacity ? frontier - capacity : 0;
}

#endif
