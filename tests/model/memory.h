/*
 * The parts of the memory model: words with their stores (memory.c), accesses to them (access.c), and the bytes behind
 * (shared.c).
 */
#ifndef MAPRING_MODEL_MEMORY_H
#define MAPRING_MODEL_MEMORY_H

#include "core.h"

#define OPTIONS_MAX 200u

struct word;

struct store {
    uint64_t value;
    struct word *word;
    struct view view; /* what an acquire gains */
    struct clocks cause;
    uint64_t serial;
    uint32_t event;
    uint32_t position; /* in the order of its word */
    uint32_t thread;
    bool taken; /* an update read it, and follows it directly */
    bool seen;  /* another thread read it */
    bool lost;  /* its thread died before it was done */
};

/* What a thread did to a word, newest first. */
struct access {
    uint32_t previous;
    uint32_t store; /* read or written */
    uint32_t step;
    uint32_t turn;
    uint32_t transition;
    bool reads;
};

struct word {
    uint64_t offset;
    uint32_t *order;
    uint32_t count;
    uint32_t room;
    uint32_t last[MODEL_THREADS_MAX]; /* access of each thread */

    /* For data races: the last step of each thread that did this. */
    struct clocks plain_writes;
    struct clocks plain_reads;
    struct clocks atomic_writes;
    struct clocks atomic_reads;
};

/* What a thread read last at one place from one word. */
struct memo {
    uint64_t execution;
    const struct model_site *site;
    const struct word *word;
    uint32_t store;
    uint32_t repeats;
    uint64_t window;
};

/* shared.c */
extern const struct model_site *last_site; /* the last access, for who crashes behind it */
void shared_reset(void);
uint64_t offset_of(const void *address);
uint64_t raw_read(uint64_t offset, uint32_t size);
void raw_write(uint64_t offset, uint32_t size, uint64_t value);

/* memory.c */
extern struct store stores[];

struct word *word_of(uint64_t offset);
uint32_t new_store(uint64_t value);
uint32_t floor_of(const struct thread *thread, const struct word *word);
void note_access(struct word *word, uint32_t store, bool reads);
void count_step(void);
struct memo *memo_of(const struct word *word, const struct model_site *site);
void check_race(const struct word *word, const struct clocks *others, const char *what, const char *mine,
                const struct model_site *site);

/* Reads a store that is chosen, at least the floor. In the thread's window. */
uint32_t read_store(struct word *word, enum model_order order, const struct reading *reading, const void *floor,
                    uint64_t window, const struct model_site *site);

/* Whether who reads the store writes in the same step. */
static inline bool is_updated(const struct store *store, const struct reading *reading)
{
    return reading->updates && (!reading->compares || store->value == reading->expected);
}

/* Others have read the word before, and might read what the current thread is about to store. An update asks before it
 * reads: it might be the one that comes first. */
void race_with_readers(const struct word *word);

/* Puts a store at this position of its word. */
void place_store(struct word *word, uint32_t position, uint32_t number, uint32_t size, enum model_order order);

/* After reading the same store so often at one place, a thread reads a newer one, or lets others do something. */
#define REPEATS_MAX 8u

/* access.c */
void accesses_reset(void);

#endif
