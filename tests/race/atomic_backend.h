/*
 * lib/atomic.h for ThreadSanitizer, which knows atomic accesses but no fences: what a fence orders is told to it by the
 * accesses before and behind it. Who loads relaxed and then has an acquire fence, acquires by that fence; a relaxed
 * store behind a release fence releases.
 */
#ifndef MAPRING_RACE_ATOMIC_BACKEND_H
#define MAPRING_RACE_ATOMIC_BACKEND_H

/* race.c */
void race_loaded(const void *address);
void race_stores(const void *address);
void race_fence_acquire(void);
void race_fence_release(void);
void race_writes(void);
uint64_t race_load_unwatched(const uint64_t *word);
void race_copy_unwatched(void *bytes, const void *shared, uint64_t length);

static inline uint64_t load64_relaxed(const shared64 *shared)
{
    uint64_t value = __atomic_load_n(&shared->word, __ATOMIC_RELAXED);
    race_loaded(shared);
    return value;
}

static inline uint64_t load64_acquire(const shared64 *shared)
{
    return __atomic_load_n(&shared->word, __ATOMIC_ACQUIRE);
}

static inline void store64_relaxed(shared64 *shared, uint64_t value)
{
    race_stores(shared);
    __atomic_store_n(&shared->word, value, __ATOMIC_RELAXED);
}

static inline void store64_release(shared64 *shared, uint64_t value)
{
    __atomic_store_n(&shared->word, value, __ATOMIC_RELEASE);
}

static inline void or64(shared64 *shared, uint64_t bits)
{
    race_stores(shared);
    __atomic_fetch_or(&shared->word, bits, __ATOMIC_RELAXED);
    race_loaded(shared);
}

static inline void and64(shared64 *shared, uint64_t bits)
{
    race_stores(shared);
    __atomic_fetch_and(&shared->word, bits, __ATOMIC_RELAXED);
    race_loaded(shared);
}

static inline void and64_acquire(shared64 *shared, uint64_t bits)
{
    race_stores(shared);
    __atomic_fetch_and(&shared->word, bits, __ATOMIC_ACQUIRE);
}

static inline void add64(shared64 *shared, uint64_t value)
{
    __atomic_fetch_add(&shared->word, value, __ATOMIC_RELEASE);
    race_loaded(shared);
}

static inline bool compare_and_swap64(shared64 *shared, uint64_t expected, uint64_t desired)
{
    return __atomic_compare_exchange_n(&shared->word, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline uint32_t load32_relaxed(const shared32 *shared)
{
    return __atomic_load_n(&shared->word, __ATOMIC_RELAXED);
}

static inline uint32_t load32_acquire(const shared32 *shared)
{
    return __atomic_load_n(&shared->word, __ATOMIC_ACQUIRE);
}

static inline void store32_relaxed(shared32 *shared, uint32_t value)
{
    race_stores(shared);
    __atomic_store_n(&shared->word, value, __ATOMIC_RELAXED);
}

static inline void store32_release(shared32 *shared, uint32_t value)
{
    __atomic_store_n(&shared->word, value, __ATOMIC_RELEASE);
}

static inline bool compare_and_swap32(shared32 *shared, uint32_t expected, uint32_t desired)
{
    return __atomic_compare_exchange_n(&shared->word, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline uint32_t fetch_add32(shared32 *shared, uint32_t value)
{
    return __atomic_fetch_add(&shared->word, value, __ATOMIC_ACQ_REL);
}

static inline void count64(shared64 *shared)
{
    __atomic_store_n(&shared->word, __atomic_load_n(&shared->word, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

static inline void count64_clear(shared64 *shared)
{
    __atomic_store_n(&shared->word, 0, __ATOMIC_RELAXED);
}

static inline void fence_acquire(void)
{
    race_fence_acquire();
}

static inline void fence_release(void)
{
    race_fence_release();
}

/* For the processor, an update of a word of the thread's own does it; a fence would be no use to ThreadSanitizer. */
static inline void fence_full(void)
{
    uint64_t own = 0;
    __atomic_fetch_add(&own, 1, __ATOMIC_SEQ_CST);
    race_fence_acquire();
    race_fence_release();
}

static inline void spin_pause(void)
{
}

static inline void copy_to_shared(void *shared, const void *bytes, uint64_t length)
{
    race_writes();
    memcpy(shared, bytes, (size_t)length);
}

static inline void copy_short_to_shared(void *shared, const void *bytes, uint64_t length)
{
    race_writes();
    memcpy(shared, bytes, (size_t)length);
}

static inline void copy_from_shared(void *bytes, const void *shared, uint64_t length)
{
    memcpy(bytes, shared, (size_t)length);
}

/* These three race by design, and are checked afterwards: nobody watches them. */
static inline uint64_t load64_racing(const shared64 *shared)
{
    uint64_t value = race_load_unwatched(&shared->word);
    race_loaded(shared);
    race_fence_acquire();
    return value;
}

static inline uint64_t peek64(const shared64 *shared)
{
    uint64_t value = race_load_unwatched(&shared->word);
    race_loaded(shared);
    return value;
}

static inline void copy_racing(void *bytes, const void *shared, uint64_t length)
{
    race_copy_unwatched(bytes, shared, length);
}

#endif
