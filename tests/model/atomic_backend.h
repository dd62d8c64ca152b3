/*
 * lib/atomic.h for the model checker: every access goes there, with the place in the source that it stands in.
 */
#ifndef MAPRING_MODEL_ATOMIC_BACKEND_H
#define MAPRING_MODEL_ATOMIC_BACKEND_H

#include <stdlib.h>

#include "model.h"

#define MODEL_ACCESS_LOAD(size, shared, order, written)                                                                \
    model_load(shared, size, order, MODEL_SITE(written, MODEL_LOAD, order))
#define MODEL_ACCESS_STORE(size, shared, value, order, written)                                                        \
    model_store(shared, size, value, order, MODEL_SITE(written, MODEL_STORE, order))
#define MODEL_ACCESS_UPDATE(size, shared, update, operand, order, written)                                             \
    model_update(shared, size, update, operand, order, MODEL_SITE(written, MODEL_UPDATE, order))

/* A word of the right type, and nothing else. */
static inline const void *model_word64(const shared64 *shared)
{
    return shared;
}

static inline const void *model_word32(const shared32 *shared)
{
    return shared;
}

static inline void *model_writable64(shared64 *shared)
{
    return shared;
}

static inline void *model_writable32(shared32 *shared)
{
    return shared;
}

#define load64_relaxed(shared) MODEL_ACCESS_LOAD(8, model_word64(shared), MODEL_RELAXED, "load64_relaxed(" #shared ")")
#define load64_acquire(shared) MODEL_ACCESS_LOAD(8, model_word64(shared), MODEL_ACQUIRE, "load64_acquire(" #shared ")")
#define load32_relaxed(shared)                                                                                         \
    ((uint32_t)MODEL_ACCESS_LOAD(4, model_word32(shared), MODEL_RELAXED, "load32_relaxed(" #shared ")"))
#define load32_acquire(shared)                                                                                         \
    ((uint32_t)MODEL_ACCESS_LOAD(4, model_word32(shared), MODEL_ACQUIRE, "load32_acquire(" #shared ")"))

#define store64_relaxed(shared, value)                                                                                 \
    MODEL_ACCESS_STORE(8, model_writable64(shared), value, MODEL_RELAXED, "store64_relaxed(" #shared ", " #value ")")
#define store64_release(shared, value)                                                                                 \
    MODEL_ACCESS_STORE(8, model_writable64(shared), value, MODEL_RELEASE, "store64_release(" #shared ", " #value ")")

/* Nothing may rely on these for order: so they have none. */
#define or64(shared, bits)                                                                                             \
    ((void)MODEL_ACCESS_UPDATE(8, model_writable64(shared), MODEL_OR, bits, MODEL_RELAXED,                             \
                               "or64(" #shared ", " #bits ")"))
#define and64(shared, bits)                                                                                            \
    ((void)MODEL_ACCESS_UPDATE(8, model_writable64(shared), MODEL_AND, bits, MODEL_RELAXED,                            \
                               "and64(" #shared ", " #bits ")"))

#define and64_acquire(shared, bits)                                                                                    \
    ((void)MODEL_ACCESS_UPDATE(8, model_writable64(shared), MODEL_AND, bits, MODEL_ACQUIRE,                            \
                               "and64_acquire(" #shared ", " #bits ")"))

/* It acquires too, which nothing relies on. */
#define add64(shared, value)                                                                                           \
    ((void)MODEL_ACCESS_UPDATE(8, model_writable64(shared), MODEL_ADD, value, MODEL_RELEASE,                           \
                               "add64(" #shared ", " #value ")"))

/* So does this. */
static inline uint32_t model_fetch_add32(shared32 *shared, uint32_t value, const struct model_site *site)
{
    return (uint32_t)model_update(shared, 4, MODEL_ADD, value, MODEL_RELEASE, site);
}

/* One that does not store is an acquire load. */
#define compare_and_swap64(shared, expected, desired)                                                                  \
    model_compare_and_swap(model_writable64(shared), expected, desired, MODEL_ACQUIRE_RELEASE,                         \
                           MODEL_SITE("compare_and_swap64(" #shared ", " #expected ", " #desired ")", MODEL_UPDATE,    \
                                      MODEL_ACQUIRE_RELEASE))

#define fetch_add32(shared, value)                                                                                     \
    model_fetch_add32(shared, value, MODEL_SITE("fetch_add32(" #shared ", " #value ")", MODEL_UPDATE, MODEL_RELEASE))

/* Nothing is decided by such a figure, so nothing is explored. */
#define count64(shared) ((void)model_writable64(shared))
#define count64_clear(shared) ((void)model_writable64(shared))

#define fence_acquire() model_fence(MODEL_ACQUIRE, MODEL_SITE("fence_acquire()", MODEL_FENCE, MODEL_ACQUIRE))
#define fence_release() model_fence(MODEL_RELEASE, MODEL_SITE("fence_release()", MODEL_FENCE, MODEL_RELEASE))
#define fence_full() model_fence_full(MODEL_SITE("fence_full()", MODEL_FENCE_FULL, MODEL_RELAXED))

#define spin_pause() model_pause(MODEL_SITE("spin_pause()", MODEL_PAUSE, MODEL_RELAXED))

/* Payload: plain, so that a race is found. Their addresses are taken, so these are functions. */
static inline void copy_to_shared(void *shared, const void *bytes, uint64_t length)
{
    model_write(shared, bytes, length, MODEL_SITE("copy_to_shared()", MODEL_COPY, MODEL_RELAXED));
}

static inline void copy_short_to_shared(void *shared, const void *bytes, uint64_t length)
{
    model_write(shared, bytes, length, MODEL_SITE("copy_short_to_shared()", MODEL_COPY, MODEL_RELAXED));
}

static inline void copy_from_shared(void *bytes, const void *shared, uint64_t length)
{
    model_read(bytes, shared, length, MODEL_SITE("copy_from_shared()", MODEL_COPY, MODEL_RELAXED));
}

/* A header that payload may be written over, and payload: for who checks afterwards. */
#define load64_racing(shared)                                                                                          \
    model_load_racing(model_word64(shared), 8, MODEL_ACQUIRE,                                                          \
                      MODEL_SITE("load64_racing(" #shared ")", MODEL_LOAD, MODEL_ACQUIRE))

#define peek64(shared)                                                                                                 \
    model_load_racing(model_word64(shared), 8, MODEL_RELAXED,                                                          \
                      MODEL_SITE("peek64(" #shared ")", MODEL_LOAD, MODEL_RELAXED))

static inline void copy_racing(void *bytes, const void *shared, uint64_t length)
{
    model_read_racing(bytes, shared, length, MODEL_SITE("copy_racing()", MODEL_COPY, MODEL_RELAXED));
}

/* Handles are private memory: it goes with the execution. */
#define calloc(count, size) model_allocate(count, size)
#define free(memory) ((void)(memory))

#endif
