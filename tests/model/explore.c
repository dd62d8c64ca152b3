/*
 * Which executions are tried.
 *
 * A depth-first search over choices, run from the start each time. Partial-order
 * reduction (source sets with sleep sets): what commutes is tried in one
 * order only. Here, since a load may also read older stores and a store may go
 * in the middle of its word's order, only this does not commute:
 *
 *   - a load, and a store that comes later but that it might have read,
 *   - two uses of the same object: full fences, locks, queues of sleepers.
 *
 * So a store never waits: it is done together with the load or fence before
 * it. A thread whose load was tried, and is tried again after others went on,
 * reads only what was stored meanwhile.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "search.h"

#define NODES_MAX 200000u

struct run run;

struct search search;

static struct model_result *result;
static enum run_end run_end;
static bool all_take_turns;

static uint64_t random_state;
static char choices[65536];
static uint32_t choice_count;

uint64_t random_word(void)
{
    /* splitmix64 */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void run_over(enum run_end end)
{
    run_end = end;
    coroutine_leave();
}

void model_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->failure, sizeof result->failure, format, arguments);
    va_end(arguments);
    run_over(RUN_FAILED);
}

/* The choices of an execution as text, one character each. */

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* The first character says whether all accesses take turns. */
#define TURNS_FOR_ALL '+'
#define TURNS_FOR_SOME '-'

void record(uint32_t choice)
{
    if (choice_count + 4 >= sizeof choices)
        run_over(RUN_BOUND);
    while (choice >= sizeof digits - 2) {
        choices[choice_count++] = digits[sizeof digits - 2];
        choice -= (uint32_t)sizeof digits - 2;
    }
    choices[choice_count++] = digits[choice];
}

uint32_t next_recorded(uint32_t otherwise)
{
    uint32_t choice = 0;
    for (;;) {
        const char *digit = *search.replay == 0 ? NULL : strchr(digits, *search.replay);
        if (digit == NULL)
            return otherwise;
        search.replay++;
        choice += (uint32_t)(digit - digits);
        if (digit - digits < (ptrdiff_t)sizeof digits - 2)
            return choice;
    }
}

/* Choices. */

struct node *push(enum node_kind kind)
{
    if (search.node_count == NODES_MAX)
        run_over(RUN_BOUND);
    struct node *node = &search.nodes[search.node_count++];
    memset(node, 0, sizeof *node);
    node->kind = (uint8_t)kind;
    search.depth++;
    return node;
}

const struct node *next_node(enum node_kind kind)
{
    const struct node *node = &search.nodes[search.depth++];
    if (node->kind != kind) {
        fprintf(stderr, "%s does not repeat itself: it depends on more than the choices made for it\n",
                run.program->name);
        abort();
    }
    return node;
}

uint32_t choose_among(const bool *allowed, uint32_t count)
{
    uint32_t first = count, possible = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (allowed[i] && first == count)
            first = i;
        possible += allowed[i];
    }
    uint32_t chosen = first;
    if (search.replay != NULL && count > 1) {
        chosen = next_recorded(first);
        if (chosen >= count || !allowed[chosen])
            model_fail("these choices are not of this program");
    } else if (search.options->random && possible > 1) {
        uint32_t skip = random_word() % 2 == 0 ? 0 : (uint32_t)(random_word() % possible);
        for (chosen = first; skip > 0; skip -= allowed[chosen])
            chosen++;
    } else if (possible > 1) {
        uint32_t skip;
        if (search.depth < search.node_count) {
            skip = next_node(NODE_CHOICE)->chosen;
        } else {
            push(NODE_CHOICE)->count = (uint8_t)possible;
            skip = 0;
        }
        while (skip > 0)
            skip -= allowed[++chosen];
    }
    if (count > 1)
        record(chosen);
    return chosen;
}

uint32_t model_choose(uint32_t count)
{
    bool allowed[64];
    memset(allowed, true, sizeof allowed);
    return run.alone ? 0 : choose_among(allowed, count < 64 ? count : 64);
}

/* One execution. */

void thread_ends(void)
{
    self_thread()->state = THREAD_FINISHED;
    run.self = turn_pick();
    coroutine_start(run.self);
}

static void thread_body(uint32_t number)
{
    turn_begin();
    if (run.program->threads[number] != NULL)
        run.program->threads[number]();
    memory_flush();
    thread_ends();
}

static void start_threads(void)
{
    run.alone = false;
    run.self = turn_pick();
    coroutine_start(run.self);
}

static void set_up(void)
{
    if (run.program->setup != NULL)
        run.program->setup();
}

static void finish(void)
{
    if (run.program->finish != NULL)
        run.program->finish();
    if (search.options->done != NULL)
        search.options->done(search.options->context);
}

static enum run_end execute(const struct model_program *program, bool tracing)
{
    memset(&run, 0, sizeof run);
    run.program = program;
    run.alone = true;
    run.tracing = tracing;
    run.all_take_turns = all_take_turns;
    run.now_ns = 1000000000u;
    run.stores = 1;
    search.depth = choice_count = 0;
    turns_reset();
    if (tracing)
        trace_reset();
    heap_reset();
    memory_reset();
    platform_reset();
    deaths_reset();
    coroutines_reset(thread_body);
    choices[choice_count++] = all_take_turns ? TURNS_FOR_ALL : TURNS_FOR_SOME;
    run_end = RUN_COMPLETE;
    coroutines_try(set_up);
    if (run_end == RUN_COMPLETE)
        coroutines_try(start_threads);
    run.alone = true;
    if (run_end == RUN_COMPLETE)
        coroutines_try(finish);
    choices[choice_count] = 0;
    return run_end;
}

/* The search. */

/* Moves on to the next execution. False when there is none. */
static bool next_execution(void)
{
    for (; search.node_count > 0; search.node_count--) {
        struct node *node = &search.nodes[search.node_count - 1];
        if (node->kind == NODE_CHOICE) {
            if (++node->chosen < node->count)
                return true;
            continue;
        }
        node->done |= (uint8_t)(1u << node->chosen);
        if (!search.options->no_reduction) {
            node->asleep |= (uint8_t)(1u << node->chosen);
            node->watermark[node->chosen] = node->serial;
        }
        uint32_t left = node->backtrack & ~(uint32_t)node->done & ~(uint32_t)node->barred;
        if (left != 0) {
            node->chosen = (uint8_t)lowest(left);
            return true;
        }
    }
    return false;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Runs the failed execution once more, and says what happened in it. */
static void explain(const struct model_program *program)
{
    static char again[sizeof choices];
    memcpy(again, result->choices, sizeof again);
    char failure[sizeof result->failure];
    memcpy(failure, result->failure, sizeof failure);
    search.replay = again + 1;
    enum run_end end = execute(program, true);
    search.replay = NULL;
    printf("%s FAILED: %s\n", program->name, failure);
    if (end != RUN_FAILED || strcmp(failure, result->failure) != 0)
        printf("(this did not happen again: the program depends on more than its choices)\n");
    trace_print();
}

static void count_end(enum run_end end)
{
    switch (end) {
    case RUN_COMPLETE:
        result->executions++;
        break;
    case RUN_REDUNDANT:
        result->redundant++;
        break;
    case RUN_BOUND:
        result->bounded++;
        break;
    case RUN_AGAIN:
        break;
    case RUN_FAILED:
        result->failed = true;
        memcpy(result->choices, choices, sizeof choices);
        break;
    }
    result->impatient += run.impatient;
    if (result->longest < run.accesses)
        result->longest = run.accesses;
}

void model_explore(const struct model_program *program, const struct model_options *how, struct model_result *found)
{
    if (search.nodes == NULL) {
        search.nodes = malloc(NODES_MAX * sizeof *search.nodes);
        if (search.nodes == NULL)
            abort();
    }
    search.options = how;
    result = found;
    memset(result, 0, sizeof *result);
    search.node_count = 0;
    double start = seconds_now();
    all_take_turns = how->no_reduction;
    if (how->replay != NULL) {
        all_take_turns = *how->replay == TURNS_FOR_ALL;
        search.replay = how->replay + (*how->replay != 0);
        count_end(execute(program, true));
        if (!how->quiet) {
            printf("%s %s%s\n", program->name, result->failed ? "FAILED: " : "does not fail", result->failure);
            trace_print();
        }
        search.replay = NULL;
        result->seconds = seconds_now() - start;
        return;
    }
    for (uint64_t round = 0;; round++) {
        if (how->executions != 0 && round == how->executions)
            break;
        if (how->seconds > 0 && round % 256 == 0 && seconds_now() - start > how->seconds)
            break;
        random_state = how->seed + round;
        random_word();
        enum run_end end = execute(program, false);
        if (end == RUN_AGAIN) {
            /* There are heavy fences: from the start, with turns for everything. */
            all_take_turns = true;
            search.node_count = 0;
            memset(result, 0, sizeof *result);
            continue;
        }
        count_end(end);
        if (result->failed)
            break;
        if (!how->random && !next_execution()) {
            result->exhausted = true;
            break;
        }
    }
    result->seconds = seconds_now() - start;
    if (result->failed && !how->quiet)
        explain(program);
}

uint32_t model_self(void)
{
    return run.self;
}

void model_act_as(uint32_t thread)
{
    run.self = thread;
}
