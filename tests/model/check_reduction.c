/*
 * The reduction against none: small programs made at random, each explored both ways, must have the same outcomes.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "litmus.h"
#include "platform.h"

#define OPERATIONS 3
#define WORDS_USED 2
#define OUTCOMES 4096

enum kind { LOAD, STORE, ADD, SWAP, LOCK, AWAIT, FENCE_ACQUIRE, FENCE_RELEASE, FENCE_FULL, FENCE_HEAVY, KINDS };

struct operation_made {
    enum kind kind;
    uint32_t word;
    enum model_order order;
    uint64_t expected; /* of a swap */
};

static struct operation_made made[MODEL_THREADS_MAX][OPERATIONS];
static uint32_t seen[MODEL_THREADS_MAX][OPERATIONS];
static uint64_t state;

static uint32_t pick(uint32_t count)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % count);
}

static uint64_t stored_value(uint32_t thread, uint32_t operation)
{
    return 1 + thread * OPERATIONS + operation;
}

static void make_program(bool heavy, bool locks)
{
    for (uint32_t t = 0; t < MODEL_THREADS_MAX; t++)
        for (uint32_t i = 0; i < OPERATIONS; i++) {
            /* Mostly accesses. */
            uint32_t kind = pick(locks ? 16 : 12);
            made[t][i].kind = kind < 4    ? LOAD
                              : kind < 7  ? STORE
                              : kind < 8  ? ADD
                              : kind < 10 ? SWAP
                              : kind < 12 ? (enum kind)(FENCE_ACQUIRE + pick(heavy ? 4 : 3))
                              : kind < 14 ? LOCK
                                          : AWAIT;
            made[t][i].word = pick(WORDS_USED);
            made[t][i].order = pick(2) == 0               ? MODEL_RELAXED
                               : made[t][i].kind == LOAD  ? MODEL_ACQUIRE
                               : made[t][i].kind == STORE ? MODEL_RELEASE
                                                          : MODEL_ACQUIRE_RELEASE;
            /* What was there at the start, or what somebody may have stored. */
            made[t][i].expected = pick(2) == 0 ? 0 : stored_value(pick(2), pick(OPERATIONS));
        }
}

static void run_thread(void)
{
    static const struct model_site sites[MODEL_THREADS_MAX][OPERATIONS];
    uint32_t self = model_self();
    /* Only compared with others: the holder of a lock. */
    struct platform_segment *holder = (struct platform_segment *)&seen[self];
    bool locked = false;
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        const struct operation_made *operation = &made[self][i];
        const struct model_site *site = &sites[self][i];
        void *word = litmus_word(operation->word);
        switch (operation->kind) {
        case LOAD:
            seen[self][i] = litmus_load(operation->word, operation->order, site);
            break;
        case STORE:
            model_store(word, 8, stored_value(self, i), operation->order, site);
            break;
        case ADD:
            seen[self][i] = litmus_add(operation->word, 16, operation->order, site);
            break;
        case SWAP:
            seen[self][i] =
                model_compare_and_swap(word, operation->expected, stored_value(self, i), operation->order, site);
            break;
        case LOCK:
        case AWAIT:
            if (locked) {
                platform_unlock(holder, 0);
                locked = false;
            } else {
                if (operation->kind == AWAIT)
                    model_await_lock(0);
                locked = platform_lock(holder, 0) == 1;
                seen[self][i] = locked;
            }
            break;
        case FENCE_ACQUIRE:
            model_fence(MODEL_ACQUIRE, site);
            break;
        case FENCE_RELEASE:
            model_fence(MODEL_RELEASE, site);
            break;
        case FENCE_FULL:
            model_fence_full(site);
            break;
        case FENCE_HEAVY:
        case KINDS:
            model_fence_heavy();
        }
    }
    if (locked)
        platform_unlock(holder, 0);
}

static void setup(void)
{
    litmus_setup();
    memset(seen, 0, sizeof seen);
}

struct outcomes {
    uint64_t values[OUTCOMES];
    uint32_t count;
};

static void add_outcome(void *context)
{
    struct outcomes *outcomes = context;
    uint64_t hash = 1469598103934665603u;
    for (uint32_t t = 0; t < MODEL_THREADS_MAX; t++)
        for (uint32_t i = 0; i < OPERATIONS; i++)
            hash = (hash ^ seen[t][i]) * 1099511628211u;
    for (uint32_t w = 0; w < WORDS_USED; w++)
        hash = (hash ^ litmus_load(w, MODEL_RELAXED, NULL)) * 1099511628211u;
    for (uint32_t i = 0; i < outcomes->count; i++)
        if (outcomes->values[i] == hash)
            return;
    if (outcomes->count < OUTCOMES)
        outcomes->values[outcomes->count++] = hash;
}

static bool all_in(const struct outcomes *some, const struct outcomes *others)
{
    for (uint32_t i = 0; i < some->count; i++) {
        bool found = false;
        for (uint32_t j = 0; j < others->count && !found; j++)
            found = some->values[i] == others->values[j];
        if (!found)
            return false;
    }
    return true;
}

bool check_reduction(uint32_t programs, uint64_t seed)
{
    static struct outcomes reduced, all;
    static struct model_result result;
    uint64_t reduced_executions = 0, all_executions = 0, outcomes = 0;
    uint32_t compared = 0;
    bool right = true;
    for (uint32_t n = 0; n < programs; n++) {
        state = seed + n;
        bool heavy = n % 4 == 3;
        make_program(heavy, n % 2 == 1);
        struct model_program program = {
            .name = "random program",
            .thread_count = n % 3 == 2 ? 3 : 2,
            .threads = {run_thread, run_thread, run_thread},
            .setup = setup,
            .heavy = heavy ? 7 : 0,
        };
        struct model_options options = {.done = add_outcome, .context = &reduced};
        reduced.count = all.count = 0;
        model_explore(&program, &options, &result);
        bool exhausted = result.exhausted;
        reduced_executions += result.executions;
        options.context = &all;
        options.no_reduction = true;
        options.executions = 100000;
        all.count = 0;
        model_explore(&program, &options, &result);
        if (!exhausted || !result.exhausted || all.count == OUTCOMES)
            continue;
        all_executions += result.executions;
        outcomes += all.count;
        compared++;
        if (all.count != reduced.count || !all_in(&all, &reduced)) {
            printf("program %llu: %u outcomes with the reduction, %u without\n", (unsigned long long)(seed + n),
                   reduced.count, all.count);
            right = false;
        }
    }
    printf("%u programs made at random: %llu outcomes, the same with the reduction (%llu executions) as without "
           "(%llu)%s\n",
           compared, (unsigned long long)outcomes, (unsigned long long)reduced_executions,
           (unsigned long long)all_executions, right ? "" : " WRONG");
    return right && compared > programs / 2;
}
