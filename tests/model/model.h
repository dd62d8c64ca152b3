/*
 * A model checker for the protocols of a ring.
 *
 * A program is two to four threads that share words. The checker runs it again
 * and again, each time with other choices: which thread goes on, which store a
 * load reads, where a store lies in the order of its word, whether a thread
 * dies. Either all choices that can make a difference are made once
 * (explore.c), or they are made at random.
 *
 * The memory model is RC11 without load buffering (memory.c). Programs are
 * deterministic but for these choices, keep their state in shared words, on
 * their stacks, or in memory that `setup` resets, and end.
 */
#ifndef MAPRING_MODEL_H
#define MAPRING_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_THREADS_MAX 4

struct model_program {
    const char *name;
    const char *invariant; /* in words */
    uint32_t thread_count;
    const char *thread_names[MODEL_THREADS_MAX]; /* NULL: by number */
    void (*threads[MODEL_THREADS_MAX])(void);
    void (*setup)(void);  /* before the threads, alone; may be NULL */
    void (*finish)(void); /* after them, alone; may be NULL */

    /* Whether something waits for a thread that sleeps: asked when all sleep, and then a lost wakeup. May be NULL. */
    bool (*pending)(void);

    uint32_t mortal; /* bit t: thread t may die before any of its stores */
    uint32_t forked; /* bit t: a child of thread t keeps its locks when it dies */
    bool gone_shows; /* that a process is gone can be told by its number */
    uint32_t heavy;  /* bit t: heavy fences reach thread t, and it can issue them */
    uint32_t early;  /* bit t: one sleep of thread t may end early, by chance or by its deadline */

    bool parks_on_any; /* threads can sleep on several doorbells at once */

    bool early_name; /* a segment can be opened by its name from its creation on, as on Windows */

    bool large; /* not finished in any usual time: for campaigns */
    bool dense; /* the clock says that whoever is woken is woken again sooner than that takes */

    bool oldest_first; /* of the stores that a load may read, for what takes many stale reads to see */

    /* Names a shared word for people; may be NULL. */
    const char *(*name_word)(uint64_t offset);
};

enum model_order { MODEL_RELAXED, MODEL_ACQUIRE, MODEL_RELEASE, MODEL_ACQUIRE_RELEASE };

enum model_access { MODEL_LOAD, MODEL_STORE, MODEL_UPDATE, MODEL_FENCE, MODEL_FENCE_FULL, MODEL_COPY, MODEL_PAUSE };

/* A place in the source that accesses shared memory. All of them lie in one section of the program, so that those that
 * never ran are known too. */
struct model_site {
    const char *file;
    const char *function;
    const char *text; /* as it is written there */
    uint32_t line;
    uint16_t access; /* enum model_access */
    uint16_t order;  /* enum model_order, where it has one */
};

/* Whether both are the same place in the source. */
bool model_same_site(const struct model_site *one, const struct model_site *other);

/* A site for the line that this stands in. */
#define MODEL_SITE(written, what, ordering)                                                                            \
    ({                                                                                                                 \
        static const struct model_site site_ __attribute__((used, section("model_sites"), aligned(32))) = {            \
            __FILE__, __func__, written, __LINE__, what, ordering};                                                    \
        &site_;                                                                                                        \
    })

/* Shared words: anywhere in the memory that model_shared() points to. */
#define MODEL_HEAP_OFFSET ((uint64_t)512 << 10)
#define MODEL_HEAP_SIZE ((uint64_t)256 << 10)
#define MODEL_SHARED_SIZE (MODEL_HEAP_OFFSET + MODEL_HEAP_SIZE)

/* With this status the process ends that touches shared memory otherwise than by the functions below. */
#define MODEL_CRASHED 3

/*
 * The shared memory: only for its addresses, touching it faults. It is all
 * zeros before setup, save what was declared by model_shared_used() last.
 */
void *model_shared(uint64_t offset);
bool model_is_shared(const void *address);

/* The bytes behind an address of shared memory, to read or write before the threads run. */
void *model_bytes(const void *address);

/* Declares that the program uses these bytes: they are zeroed before setup. */
void model_shared_used(uint64_t offset, uint64_t size);

/* Accesses of `size` 4 or 8. */
uint64_t model_load(const void *address, uint32_t size, enum model_order order, const struct model_site *site);
void model_store(void *address, uint32_t size, uint64_t value, enum model_order order, const struct model_site *site);

enum model_update { MODEL_ADD, MODEL_OR, MODEL_AND, MODEL_EXCHANGE };
uint64_t model_update(void *address, uint32_t size, enum model_update update, uint64_t operand, enum model_order order,
                      const struct model_site *site);

/* Stores `desired` if it reads `expected`. If not, it is no more than a load: an acquire, where it acquires. */
bool model_compare_and_swap(void *address, uint64_t expected, uint64_t desired, enum model_order order,
                            const struct model_site *site);

void model_fence(enum model_order order, const struct model_site *site);
void model_fence_full(const struct model_site *site);

/* A full fence here and in every thread that heavy fences reach. */
void model_fence_heavy(void);

/* Accesses that are not atomic: a data race is a failure. */
void model_write(void *address, const void *bytes, uint64_t length, const struct model_site *site);
void model_read(void *bytes, const void *address, uint64_t length, const struct model_site *site);

/*
 * Reads of what others may write meanwhile, for who checks afterwards whether
 * that happened (DESIGN P4): no race. Each word of 8 bytes is a load of its own,
 * so old and new contents come mixed. A word is written as a whole: contents mixed within it are not tried.
 */
uint64_t model_load_racing(const void *address, uint32_t size, enum model_order order, const struct model_site *site);
void model_read_racing(void *bytes, const void *address, uint64_t length, const struct model_site *site);

/* The thread waits for another: until it does something else, it reads at the same places what it read there. */
void model_pause(const struct model_site *site);

/* The invariant is broken: ends this execution, and the exploration. */
void model_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* For lines of the interleaving that is printed for a failure. */
void model_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The thread that runs; before and after the threads, the one that model_act_as() said. */
uint32_t model_self(void);
void model_act_as(uint32_t thread);

/* One of `count` possibilities, 0 first. */
uint32_t model_choose(uint32_t count);

/*
 * The thread stops here, and what it holds is freed. The compiler may have put
 * off a store until behind later ones, but not behind a release, a fence that releases, or a call of the system: so
 * one such store may be lost that others followed.
 */
void model_die(void) __attribute__((noreturn));

/* What the thread did is known outside: none of it can be lost any more. */
void model_told(void);

/* Waits until nobody holds this lock of lib/platform.h. */
void model_await_lock(uint32_t number);

/* Private memory that is freed by itself when the execution ends. Zeroed. */
void *model_allocate(uint64_t count, uint64_t size);

/* Exploration. */

struct model_options {
    bool no_reduction;    /* try every interleaving, as a check of the reduction */
    bool random;          /* make the choices at random, `executions` times, from `seed` on */
    uint64_t executions;  /* at most so many; 0: no limit */
    double seconds;       /* at most so long; 0: no limit */
    uint64_t seed;        /* of the first random execution; the next has the next */
    const char *replay;   /* choices of one execution: run that alone */
    bool quiet;           /* print no failure */
    void (*done)(void *); /* after each complete execution; may be NULL */
    void *context;        /* for done */
};

struct model_result {
    bool failed;
    bool exhausted;      /* all choices were made, within the bounds below */
    uint64_t executions; /* complete ones */
    uint64_t redundant;  /* begun, and found to be like one before */
    uint64_t bounded;    /* cut off by a bound */
    uint64_t impatient;  /* in which some thread was made to read a newer store; see REPEATS_MAX */
    uint64_t longest;    /* accesses in one execution */
    double seconds;
    char failure[512];
    char choices[65536]; /* of the failed execution */
};

void model_explore(const struct model_program *program, const struct model_options *options,
                   struct model_result *result);

/* Mutation: one site does less than is written there. */
enum model_mutation {
    MUTATE_NOTHING,
    MUTATE_RELAX,       /* a load, store or update loses its order; a fence is left out; a full fence is no more than
                           acquire and release */
    MUTATE_NO_ACQUIRE,  /* an update or full fence loses its acquire, */
    MUTATE_NO_RELEASE,  /* or its release */
    MUTATE_OMIT,        /* a store is left out */
    MUTATE_DELAY,       /* a store or update is done after the thread's next one, */
    MUTATE_LATE,        /* a load is done after the thread's next store or update */
    MUTATE_SPLIT,       /* a compare-and-swap is a load, then a store */
    MUTATE_NO_LOOK,     /* a load that follows a full fence repeats what was read before the fence */
    MUTATE_LIGHT_FENCE, /* heavy fences are full fences of the caller alone; no site */
    MUTATE_NO_WAKE      /* whoever wakes, wakes nobody; no site */
};
void model_mutate(enum model_mutation mutation, const struct model_site *site);

#endif
