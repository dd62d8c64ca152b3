/*
 * What the parts of the checker know of each other: the state of one execution.
 */
#ifndef MAPRING_MODEL_CORE_H
#define MAPRING_MODEL_CORE_H

#include "model.h"

/* A count of something for each thread. */
struct clocks {
    uint32_t at[MODEL_THREADS_MAX];
};

static inline void clocks_join(struct clocks *into, const struct clocks *other)
{
    for (uint32_t t = 0; t < MODEL_THREADS_MAX; t++)
        if (into->at[t] < other->at[t])
            into->at[t] = other->at[t];
}

/*
 * What is known of the steps of each thread. `before` happened before, which
 * makes plain accesses safe; `seen` includes what full fences order besides,
 * which a load may not go behind.
 */
struct view {
    struct clocks seen;
    struct clocks before;
};

static inline void view_join(struct view *into, const struct view *other)
{
    clocks_join(&into->seen, &other->seen);
    clocks_join(&into->before, &other->before);
}

/*
 * Things that threads use in turn, so that the order of use matters: full
 * fences, locks, queues of sleepers, a thread itself, for fences that others
 * cause in it, and whether it lives.
 */
enum object {
    OBJECT_NONE,
    OBJECT_FENCES,
    OBJECT_THREAD,
    OBJECT_LOCK = OBJECT_THREAD + MODEL_THREADS_MAX,
    OBJECT_QUEUE = OBJECT_LOCK + 16,
    OBJECT_LIFE = OBJECT_QUEUE + 5,
    OBJECT_COUNT = OBJECT_LIFE + MODEL_THREADS_MAX
};

enum thread_state { THREAD_READY, THREAD_PARKED, THREAD_FINISHED };

/* What is done with the store that is read. */
struct reading {
    bool updates;  /* writes in the same step */
    bool compares; /* but only if it reads this; else it is a load: */
    uint64_t expected;
    bool races; /* perhaps with a plain write: the thread checks afterwards (DESIGN P4) */
};

/* What a thread is about to do, when it is not its turn. */
struct operation {
    enum object objects[3]; /* that it uses, or OBJECT_NONE */
    const void *address;    /* of the word that it reads, or NULL */
    struct reading reading;
    const void *floor;       /* the store that it reads at least, or NULL (memory.c) */
    bool (*enabled)(void *); /* or NULL: always */
    void *context;           /* for enabled */
    bool guesses;            /* when it is never enabled, a guess was wrong (access.c) */
    bool yields;             /* it has read all this before: let others do something first */
};

struct thread {
    enum thread_state state;
    bool dead;
    struct operation operation;
    uint32_t turn;        /* transitions begun */
    struct clocks cause;  /* turns of others that it depends on */
    uint32_t transition;  /* the current one, in the order of all */
    uint32_t step;        /* accesses done */
    struct view current;  /* what its accesses know, */
    struct view acquired; /* and would know after an acquire fence */
    struct view released; /* what it knew at its last release fence */
    uint64_t watermark;   /* a load reads stores from this serial number on (explore.c) */
    uint64_t stores_seen; /* by all, when it last yielded */

    /* Parking (platform.c). */
    const void *doorbell;
    const void *other_doorbell; /* it sleeps on both, and whoever is woken on either wakes it; or NULL */
    uint32_t sleeper;
    uint64_t deadline_ns;
    bool writes_identity; /* it has mapped the identity of a ring to write it */
    uint32_t polls;       /* sleeps that were only for a moment */
    bool was_early;       /* a sleep ended early */
    uint64_t paused_ns;   /* how far its clock is ahead by what it spent in pauses */
    uint64_t clock_looks; /* how often it read the clock, in dense programs */
};

struct run {
    const struct model_program *program;
    struct thread threads[MODEL_THREADS_MAX];
    uint32_t self;
    bool alone;          /* before and after the threads */
    bool tracing;        /* keep a log of events */
    bool impatient;      /* some load had to read a newer store, after the same one so often */
    bool all_take_turns; /* also what commutes with everything else's accesses (explore.c) */
    uint64_t now_ns;
    uint64_t stores; /* done so far: the serial number of the next */
    uint64_t accesses;
};

extern struct run run;

static inline struct thread *self_thread(void)
{
    return &run.threads[run.self];
}

/* explore.c */

/* Waits for the turn to do this. What is read from shared memory is chosen after that, then turn_taken(). */
void turn_await(const struct operation *operation);
void turn_taken(void);

/* The current transition might have come before that one: sees to it that this is tried. */
void turn_race(uint32_t thread, uint32_t turn, uint32_t transition);

/* For choices whose possibilities are shared out among executions: `allowed` bit by bit. */
uint32_t choose_among(const bool *allowed, uint32_t count);

/* Ends the execution. */
enum run_end { RUN_AGAIN, RUN_COMPLETE, RUN_REDUNDANT, RUN_BOUND, RUN_FAILED };
void run_over(enum run_end end) __attribute__((noreturn));

/* The current thread does nothing more. */
void thread_ends(void) __attribute__((noreturn));

/* death.c */
void deaths_reset(void);

/* Before a store: whether the thread dies here. */
void death_may_come(void);

/* The current thread made the stores from `first` to `last` in one access; or came to where no store of before can be
 * put off any longer. */
void stores_done(uint32_t first, uint32_t last);
void stores_ordered(void);

/* coroutine.c */

/* Calls it, until it returns or somebody leaves. */
void coroutines_try(void (*function)(void));
void coroutine_leave(void) __attribute__((noreturn));

/* Makes the coroutines ready to call `body` with their number when they are first switched to. */
void coroutines_reset(void (*body)(uint32_t number));

/* Goes on with another coroutine; from coroutines_try(), this does not return. */
void coroutine_switch(uint32_t from, uint32_t to);
void coroutine_start(uint32_t to) __attribute__((noreturn));

/* memory.c */
void memory_reset(void);
bool memory_can_read(const struct thread *thread, uint64_t watermark);
void memory_fence_in(uint32_t thread, bool acquires, bool releases);
bool memory_can_read_value(uint32_t thread, const void *address, uint32_t size, uint64_t value);
const void *memory_latest_known(const void *address); /* the newest store that the thread knows of, as a floor */
uint64_t memory_peek(const void *address);            /* the last value in the order of the word */
uint64_t memory_read_in_turn(const void *address, uint32_t size, enum model_order order, const struct model_site *site,
                             const void *floor);
const void *memory_newer(const void *store, const void *other); /* of two stores to one word; NULL is older than all */
bool memory_can_lose(uint32_t store);                           /* nobody else has read it, nor built on it */
void memory_lose(uint32_t store);                               /* then it was never done */
bool memory_is_mutated(enum model_mutation mutation);           /* one that has no site */
void memory_flush(void);                                        /* does what a mutation has put off */

/* heap.c */
void heap_reset(void);

/* platform.c */
void platform_reset(void);
void platform_thread_died(void);
bool platform_polls(void);       /* whether somebody sleeps only for a moment, to look again */
bool platform_time_passes(void); /* until it wakes somebody; false if it never does */

/* descriptors.c */
void descriptors_reset(void);

/* trace.c */
struct event {
    uint8_t thread;
    uint8_t access; /* enum model_access, or EVENT_* */
    uint8_t order;
    uint8_t update;
    const struct model_site *site;
    uint64_t offset;
    uint64_t value;
    uint32_t source;   /* event of the store that was read; 0: from before the threads */
    uint32_t position; /* in the order of the word; of `of` */
    uint32_t of;
    const char *text;
};
enum { EVENT_NOTE = 100, EVENT_PLATFORM, EVENT_READ, EVENT_WRITE };
void trace_reset(void);
uint32_t trace_add(struct event event);
void trace_text(uint8_t kind, const char *format, ...) __attribute__((format(printf, 2, 3)));
void trace_print(void);

#endif
