/*
 * Every access to memory that processes share.
 *
 * The only file that includes libatomic_ops, so that a model checker can stand
 * in its place: it defines MAPRING_ATOMIC_BACKEND as the header to use instead.
 *
 * Shared words have types of their own, so that a plain access to one does not
 * compile by accident. Orderings are those of C11, save that fence_acquire() orders
 * loads among each other only, and fence_release() stores. A comment beside each use with an ordering names its
 * partner.
 */
#ifndef MAPRING_LIB_ATOMIC_H
#define MAPRING_LIB_ATOMIC_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct shared64 {
    uint64_t word;
} shared64;

typedef struct shared32 {
    uint32_t word;
} shared32;

/* Up to this many bytes are copied without a call. */
#define COPY_SHORT_MAX 64

/* Has the processor fetch a line that is about to be written: no access. It does not matter what the address is. */
static inline void prefetch_to_write(const void *address)
{
#if defined(__x86_64__)
    /* The compiler's built-in function would fetch it to be read, unless compiling for newer processors only. */
    __asm__ __volatile__("prefetchw %0" : : "m"(*(const uint8_t *)address));
#elif defined(__GNUC__)
    __builtin_prefetch(address, 1);
#else
    (void)address;
#endif
}

#if defined(MAPRING_ATOMIC_BACKEND)
#include MAPRING_ATOMIC_BACKEND
#else

#define AO_REQUIRE_CAS
#include <atomic_ops.h>

static_assert(sizeof(AO_t) == 8, "AO_t holds a 64-bit word");
static_assert(sizeof(unsigned int) == 4, "AO_int_* work on 32-bit words");

/* libatomic_ops wants its own word types; the words are the same. A read-only mapping is only ever loaded from. */
static inline volatile AO_t *ao64(const shared64 *shared)
{
    return (volatile AO_t *)(uintptr_t)&shared->word;
}

static inline volatile unsigned int *ao32(const shared32 *shared)
{
    return (volatile unsigned int *)(uintptr_t)&shared->word;
}

static inline uint64_t load64_relaxed(const shared64 *shared)
{
    return AO_load(ao64(shared));
}

static inline uint64_t load64_acquire(const shared64 *shared)
{
    return AO_load_acquire(ao64(shared));
}

static inline void store64_relaxed(shared64 *shared, uint64_t value)
{
    AO_store(ao64(shared), (AO_t)value);
}

static inline void store64_release(shared64 *shared, uint64_t value)
{
    AO_store_release(ao64(shared), (AO_t)value);
}

/* Set or clear bits in one step. Not full fences, and nothing relies on them for order. */
static inline void or64(shared64 *shared, uint64_t bits)
{
    AO_or_full(ao64(shared), (AO_t)bits);
}

static inline void and64(shared64 *shared, uint64_t bits)
{
    AO_and_full(ao64(shared), (AO_t)bits);
}

/* The same, and an acquire: what came before the bits were set, and a release, is seen. */
static inline void and64_acquire(shared64 *shared, uint64_t bits)
{
    AO_and_full(ao64(shared), (AO_t)bits);
}

/* Release; not a full fence. */
static inline void add64(shared64 *shared, uint64_t value)
{
    AO_fetch_and_add_full(ao64(shared), (AO_t)value);
}

/* Acquire and release; not a full fence. Whether the word was `expected`, and is `desired` now. */
static inline bool compare_and_swap64(shared64 *shared, uint64_t expected, uint64_t desired)
{
    return AO_compare_and_swap_full(ao64(shared), (AO_t)expected, (AO_t)desired) != 0;
}

static inline uint32_t load32_relaxed(const shared32 *shared)
{
    return AO_int_load(ao32(shared));
}

static inline uint32_t load32_acquire(const shared32 *shared)
{
    return AO_int_load_acquire(ao32(shared));
}

static inline void store32_relaxed(shared32 *shared, uint32_t value)
{
    AO_int_store(ao32(shared), value);
}

static inline void store32_release(shared32 *shared, uint32_t value)
{
    AO_int_store_release(ao32(shared), value);
}

/* Acquire and release; not a full fence. Whether the word was `expected`, and is `desired` now. */
static inline bool compare_and_swap32(shared32 *shared, uint32_t expected, uint32_t desired)
{
    return AO_int_compare_and_swap_full(ao32(shared), expected, desired) != 0;
}

/* Acquire and release; not a full fence. Returns the value before. */
static inline uint32_t fetch_add32(shared32 *shared, uint32_t value)
{
    return AO_int_fetch_and_add_full(ao32(shared), value);
}

/* One more, of a figure that one process writes and people read: nothing is decided by it. */
static inline void count64(shared64 *shared)
{
    AO_store(ao64(shared), AO_load(ao64(shared)) + 1);
}

static inline void count64_clear(shared64 *shared)
{
    AO_store(ao64(shared), 0);
}

static inline void fence_acquire(void)
{
    AO_nop_read();
}

static inline void fence_release(void)
{
    AO_nop_write();
}

static inline void fence_full(void)
{
    AO_nop_full();
}

/* A pause of a few nanoseconds in a loop that waits for another processor. */
static inline void spin_pause(void)
{
#if defined(__x86_64__)
    __asm__ __volatile__("pause");
#elif defined(__aarch64__)
    __asm__ __volatile__("isb");
#endif
}

/* Payload bytes, which are not atomic: into and out of the ring. */
static inline void copy_to_shared(void *shared, const void *bytes, uint64_t length)
{
    memcpy(shared, bytes, (size_t)length);
}

/* Up to COPY_SHORT_MAX bytes without a call: two pieces, which overlap as need be, cover every length between them. */
static inline void copy_short(void *destination, const void *bytes, uint64_t length)
{
    uint8_t *to = destination;
    const uint8_t *from = bytes;
    if (length >= 8 && length <= 16) {
        uint64_t first, last;
        memcpy(&first, from, 8);
        memcpy(&last, from + length - 8, 8);
        memcpy(to, &first, 8);
        memcpy(to + length - 8, &last, 8);
    } else if (length > 32) {
        memcpy(to, from, 32);
        memcpy(to + length - 32, from + length - 32, 32);
    } else if (length > 16) {
        memcpy(to, from, 16);
        memcpy(to + length - 16, from + length - 16, 16);
    } else if (length >= 4) {
        memcpy(to, from, 4);
        memcpy(to + length - 4, from + length - 4, 4);
    } else {
        for (uint64_t i = 0; i < length; i++)
            to[i] = from[i];
    }
}

static inline void copy_short_to_shared(void *shared, const void *bytes, uint64_t length)
{
    copy_short(shared, bytes, length);
}

static inline void copy_from_shared(void *bytes, const void *shared, uint64_t length)
{
    if (length <= COPY_SHORT_MAX)
        copy_short(bytes, shared, length);
    else
        memcpy(bytes, shared, (size_t)length);
}

/* The same, and an acquire load of a header, where the producer may overwrite the bytes meanwhile: what came out counts
 * only if a look afterwards, at the frontier as a rule, says that it did not. */
static inline uint64_t load64_racing(const shared64 *shared)
{
    return load64_acquire(shared);
}

/* A header that may be overwritten, for who has a fence behind it, or reads nothing behind it and decides nothing for
 * good by it. */
static inline uint64_t peek64(const shared64 *shared)
{
    return load64_relaxed(shared);
}

static inline void copy_racing(void *bytes, const void *shared, uint64_t length)
{
    copy_from_shared(bytes, shared, length);
}

#endif

#endif
