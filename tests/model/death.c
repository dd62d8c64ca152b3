/*
 * Dying: between any two stores; and what the dead leave.
 *
 * A processor has done, when a process is killed, all that came before in its program, and the locks of the dead pass
 * that on. But the program is the compiler's: it may have put a store behind later ones. So of the stores that nothing
 * held in their place, one may be missing although others followed.
 */
#include <stdlib.h>
#include <string.h>

#include "core.h"

#define LOOSE_MAX 64u

/* The stores of one access that the compiler could still put off. */
struct loose {
    uint32_t first;
    uint32_t last;
};

static struct loose loose[MODEL_THREADS_MAX][LOOSE_MAX];
static uint32_t loose_count[MODEL_THREADS_MAX];

void deaths_reset(void)
{
    memset(loose_count, 0, sizeof loose_count);
}

static bool is_mortal(void)
{
    return !run.alone && (run.program->mortal & 1u << run.self) != 0 && !self_thread()->dead;
}

void stores_done(uint32_t first, uint32_t last)
{
    if (!is_mortal() || last == 0)
        return;
    if (loose_count[run.self] == LOOSE_MAX)
        run_over(RUN_BOUND);
    loose[run.self][loose_count[run.self]++] = (struct loose){first, last};
}

void stores_ordered(void)
{
    loose_count[run.self] = 0;
}

void model_told(void)
{
    stores_ordered();
}

void death_may_come(void)
{
    if (is_mortal() && model_choose(2) == 1)
        model_die();
}

static bool can_lose(const struct loose *access)
{
    for (uint32_t i = access->first; i <= access->last; i++)
        if (!memory_can_lose(i))
            return false;
    return true;
}

/* The last access is not among those to lose: that would be a death before it. */
static void lose_one(void)
{
    bool allowed[LOOSE_MAX] = {true}; /* the first: none */
    uint32_t count = loose_count[run.self];
    for (uint32_t i = 0; i + 1 < count; i++)
        allowed[i + 1] = can_lose(&loose[run.self][i]);
    uint32_t chosen = choose_among(allowed, count > 0 ? count : 1);
    if (chosen == 0)
        return;
    const struct loose *access = &loose[run.self][chosen - 1];
    for (uint32_t i = access->first; i <= access->last; i++)
        memory_lose(i);
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "has not done %u of its last accesses to memory, counted from the end",
                   count - chosen);
}

void model_die(void)
{
    if (is_mortal())
        lose_one();
    self_thread()->dead = true;
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "dies here");
    platform_thread_died();
    thread_ends();
    abort(); /* not reached */
}
