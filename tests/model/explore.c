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

#include "core.h"

#define TRANSITIONS_MAX 100000u
#define NODES_MAX 200000u

/* So often everybody waits for somebody else to do something, or sleeps for a time, before that counts as for ever. */
#define IDLE_MAX 20000u
#define SLEEPS_MAX 40u

enum node_kind { NODE_THREAD, NODE_CHOICE };

/* One choice of the current execution. Sets of threads are bits. */
struct node {
    uint8_t kind;
    uint8_t chosen;
    uint8_t count; /* of a choice */

    /* Of the next thread: */
    uint8_t enabled;
    uint8_t backtrack; /* to be tried, */
    uint8_t done;      /* and tried */
    uint8_t asleep;    /* tried elsewhere; only what was stored after the watermark is new */
    uint8_t barred;    /* asleep, and nothing is new */
    uint64_t serial;   /* of the next store at this point */
    uint64_t watermark[MODEL_THREADS_MAX];
};

/* What a thread did in one turn. */
struct transition {
    uint8_t thread;
    uint32_t turn;
    uint32_t node;
    struct clocks cause;
};

/* Who used an object last. */
struct object_use {
    bool used;
    uint32_t thread;
    uint32_t turn;
    uint32_t transition;
    struct clocks cause;
};

struct run run;

static const struct model_options *options;
static struct model_result *result;

static struct node *nodes;
static uint32_t node_count;
static uint32_t depth;

static struct transition *transitions;
static uint32_t transition_count;
static struct object_use objects[OBJECT_COUNT];

static uint8_t asleep;
static uint64_t watermark[MODEL_THREADS_MAX];
static uint32_t idle, sleeps;
static enum run_end run_end;
static bool all_take_turns;

static uint64_t random_state;
static char choices[65536];
static uint32_t choice_count;
static const char *replay;

static bool reduces(void)
{
    return !options->no_reduction && !options->random && replay == NULL;
}

static uint64_t random_word(void)
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

static void record(uint32_t choice)
{
    if (choice_count + 4 >= sizeof choices)
        run_over(RUN_BOUND);
    while (choice >= sizeof digits - 2) {
        choices[choice_count++] = digits[sizeof digits - 2];
        choice -= (uint32_t)sizeof digits - 2;
    }
    choices[choice_count++] = digits[choice];
}

static uint32_t next_recorded(uint32_t otherwise)
{
    uint32_t choice = 0;
    for (;;) {
        const char *digit = *replay == 0 ? NULL : strchr(digits, *replay);
        if (digit == NULL)
            return otherwise;
        replay++;
        choice += (uint32_t)(digit - digits);
        if (digit - digits < (ptrdiff_t)sizeof digits - 2)
            return choice;
    }
}

/* Choices. */

static struct node *push(enum node_kind kind)
{
    if (node_count == NODES_MAX)
        run_over(RUN_BOUND);
    struct node *node = &nodes[node_count++];
    memset(node, 0, sizeof *node);
    node->kind = (uint8_t)kind;
    depth++;
    return node;
}

static const struct node *next_node(enum node_kind kind)
{
    const struct node *node = &nodes[depth++];
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
    if (replay != NULL && count > 1) {
        chosen = next_recorded(first);
        if (chosen >= count || !allowed[chosen])
            model_fail("these choices are not of this program");
    } else if (options->random && possible > 1) {
        uint32_t skip = random_word() % 2 == 0 ? 0 : (uint32_t)(random_word() % possible);
        for (chosen = first; skip > 0; skip -= allowed[chosen])
            chosen++;
    } else if (possible > 1) {
        uint32_t skip;
        if (depth < node_count) {
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

void death_may_come(void)
{
    if (!run.alone && (run.program->mortal & 1u << run.self) != 0 && !self_thread()->dead && model_choose(2) == 1)
        model_die();
}

/* Whose turn it is. */

static bool share_object(const struct operation *a, const struct operation *b)
{
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            if (a->objects[i] != OBJECT_NONE && a->objects[i] == b->objects[j])
                return true;
    return false;
}

static uint8_t enabled_threads(bool patient)
{
    uint8_t enabled = 0;
    for (uint32_t t = 0; t < run.program->thread_count; t++) {
        const struct thread *thread = &run.threads[t];
        const struct operation *operation = &thread->operation;
        if (thread->state == THREAD_READY && (operation->enabled == NULL || operation->enabled(operation->context)) &&
            !(patient && operation->yields && thread->stores_seen == run.stores))
            enabled |= (uint8_t)(1u << t);
    }
    return enabled;
}

static bool all_finished(void)
{
    for (uint32_t t = 0; t < run.program->thread_count; t++)
        if (run.threads[t].state != THREAD_FINISHED)
            return false;
    return true;
}

static bool is_pending(void)
{
    run.alone = true;
    bool pending = run.program->pending != NULL && run.program->pending();
    run.alone = false;
    return pending;
}

/* Nobody can go on. */
static void all_wait(void)
{
    if (all_finished())
        run_over(RUN_COMPLETE);
    for (uint32_t t = 0; t < run.program->thread_count; t++)
        if (run.threads[t].state == THREAD_READY && run.threads[t].operation.guesses)
            run_over(RUN_REDUNDANT);
    if (!platform_polls() && is_pending())
        model_fail("lost wakeup: all sleep, and something waits for one of them");
    if (++sleeps > SLEEPS_MAX || !platform_time_passes())
        model_fail("all wait, for ever");
    /* That time passes depends on everything before. */
    struct clocks all = {{0}};
    for (uint32_t t = 0; t < run.program->thread_count; t++)
        clocks_join(&all, &run.threads[t].cause);
    for (uint32_t t = 0; t < run.program->thread_count; t++)
        clocks_join(&run.threads[t].cause, &all);
}

/* Of those that are asleep, who could not do anything new. */
static uint8_t barred_threads(uint8_t enabled)
{
    uint8_t barred = 0;
    for (uint32_t t = 0; t < run.program->thread_count; t++) {
        if ((enabled & asleep & 1u << t) == 0)
            continue;
        const struct thread *thread = &run.threads[t];
        if (thread->operation.address == NULL || !memory_can_read(thread, watermark[t]))
            barred |= (uint8_t)(1u << t);
    }
    return barred;
}

static uint32_t lowest(uint32_t set)
{
    return (uint32_t)__builtin_ctz(set);
}

/* Of these, the current thread if it is among them: a switch is for others to ask for. */
static uint32_t prefer_self(uint32_t set)
{
    return (set & 1u << run.self) != 0 ? run.self : lowest(set);
}

static uint32_t choose_thread(uint8_t enabled)
{
    if (depth < node_count) {
        const struct node *node = next_node(NODE_THREAD);
        asleep = node->asleep;
        memcpy(watermark, node->watermark, sizeof watermark);
        return node->chosen;
    }
    uint8_t barred = reduces() ? barred_threads(enabled) : 0;
    uint32_t possible = enabled & ~(uint32_t)barred;
    if (possible == 0)
        run_over(RUN_REDUNDANT);
    struct node *node = push(NODE_THREAD);
    node->enabled = enabled;
    node->barred = barred;
    node->asleep = asleep;
    node->serial = run.stores;
    memcpy(node->watermark, watermark, sizeof watermark);
    uint32_t awake = possible & ~(uint32_t)asleep;
    node->chosen = (uint8_t)prefer_self(awake != 0 ? awake : possible);
    node->backtrack = reduces() ? (uint8_t)(1u << node->chosen) : enabled;
    return node->chosen;
}

static uint32_t pick(void)
{
    uint8_t enabled = enabled_threads(true);
    while (enabled == 0) {
        enabled = enabled_threads(false);
        if (enabled != 0 && ++idle > IDLE_MAX)
            model_fail("waits for ever for others that do nothing");
        if (enabled == 0) {
            all_wait();
            enabled = enabled_threads(true);
        }
    }
    uint32_t chosen;
    bool alone = (enabled & (enabled - 1)) == 0;
    if (replay != NULL) {
        chosen = alone ? lowest(enabled) : next_recorded(lowest(enabled));
        if (chosen >= MODEL_THREADS_MAX || (enabled & 1u << chosen) == 0)
            model_fail("these choices are not of this program");
    } else if (options->random) {
        bool stay = (enabled & 1u << run.self) != 0 && random_word() % 4 != 0;
        chosen = run.self;
        while (!stay && (enabled & 1u << (chosen = (uint32_t)(random_word() % MODEL_THREADS_MAX))) == 0)
            ;
    } else {
        chosen = choose_thread(enabled);
    }
    if (!alone)
        record(chosen);
    return chosen;
}

/* The turn is ours. */
static void turn_begin(void)
{
    struct thread *self = self_thread();
    const struct operation *operation = &self->operation;
    if (transition_count == TRANSITIONS_MAX)
        run_over(RUN_BOUND);
    if (reduces()) {
        self->watermark = (asleep & 1u << run.self) != 0 ? watermark[run.self] : 0;
        asleep &= (uint8_t) ~(1u << run.self);
        for (uint32_t t = 0; t < run.program->thread_count; t++)
            if ((asleep & 1u << t) != 0 && share_object(operation, &run.threads[t].operation))
                asleep &= (uint8_t) ~(1u << t);
    }
    struct transition *transition = &transitions[transition_count];
    self->transition = transition_count++;
    self->cause.at[run.self] = ++self->turn;
    *transition =
        (struct transition){.thread = (uint8_t)run.self, .turn = self->turn, .node = depth - 1, .cause = self->cause};

    for (int i = 0; i < 3; i++) {
        const struct object_use *use = &objects[operation->objects[i]];
        if (operation->objects[i] != OBJECT_NONE && use->used && use->thread != run.self &&
            self->cause.at[use->thread] < use->turn)
            turn_race(use->thread, use->turn, use->transition);
    }
    for (int i = 0; i < 3; i++)
        if (operation->objects[i] != OBJECT_NONE)
            clocks_join(&self->cause, &objects[operation->objects[i]].cause);
    turn_taken();
}

void turn_taken(void)
{
    const struct thread *self = self_thread();
    transitions[self->transition].cause = self->cause;
    for (int i = 0; i < 3; i++)
        if (self->operation.objects[i] != OBJECT_NONE)
            objects[self->operation.objects[i]] = (struct object_use){
                .used = true,
                .thread = run.self,
                .turn = self->turn,
                .transition = self->transition,
                .cause = self->cause,
            };
}

void turn_await(const struct operation *operation)
{
    struct thread *self = self_thread();
    self->operation = *operation;
    self->stores_seen = run.stores;
    uint32_t from = run.self;
    uint32_t to = pick();
    if (to != from) {
        run.self = to;
        coroutine_switch(from, to);
    }
    turn_begin();
}

void turn_race(uint32_t thread, uint32_t turn, uint32_t transition)
{
    if (!reduces())
        return;
    struct node *node = &nodes[transitions[transition].node];
    if ((node->enabled & ~node->backtrack) == 0)
        return;
    /* What came after it and does not depend on it, up to now, could have come before it. Who can begin with that? */
    transitions[transition_count - 1].cause = self_thread()->cause;
    uint32_t first_turn[MODEL_THREADS_MAX] = {0};
    uint32_t candidate = MODEL_THREADS_MAX;
    for (uint32_t i = transition + 1; i < transition_count; i++) {
        const struct transition *later = &transitions[i];
        if (later->cause.at[thread] >= turn || first_turn[later->thread] != 0)
            continue;
        bool begins = true;
        for (uint32_t t = 0; t < run.program->thread_count; t++)
            if (first_turn[t] != 0 && later->cause.at[t] >= first_turn[t])
                begins = false;
        first_turn[later->thread] = later->turn;
        if (!begins)
            continue;
        if ((node->backtrack & 1u << later->thread) != 0)
            return;
        if (candidate == MODEL_THREADS_MAX)
            candidate = later->thread;
    }
    if (candidate != MODEL_THREADS_MAX && (node->enabled & 1u << candidate) != 0)
        node->backtrack |= (uint8_t)(1u << candidate);
    else
        node->backtrack = node->enabled;
}

/* One execution. */

static void thread_ends(void)
{
    self_thread()->state = THREAD_FINISHED;
    run.self = pick();
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

void model_die(void)
{
    self_thread()->dead = true;
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "dies here");
    platform_thread_died();
    thread_ends();
    abort(); /* not reached */
}

static void start_threads(void)
{
    run.alone = false;
    run.self = pick();
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
    if (options->done != NULL)
        options->done(options->context);
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
    memset(objects, 0, sizeof objects);
    depth = transition_count = idle = sleeps = choice_count = 0;
    asleep = 0;
    transition_count = 1; /* 0 is none */
    if (tracing)
        trace_reset();
    heap_reset();
    memory_reset();
    platform_reset();
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
    for (; node_count > 0; node_count--) {
        struct node *node = &nodes[node_count - 1];
        if (node->kind == NODE_CHOICE) {
            if (++node->chosen < node->count)
                return true;
            continue;
        }
        node->done |= (uint8_t)(1u << node->chosen);
        if (!options->no_reduction) {
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
    replay = again + 1;
    enum run_end end = execute(program, true);
    replay = NULL;
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
    if (nodes == NULL) {
        nodes = malloc(NODES_MAX * sizeof *nodes);
        transitions = malloc(TRANSITIONS_MAX * sizeof *transitions);
        if (nodes == NULL || transitions == NULL)
            abort();
    }
    options = how;
    result = found;
    memset(result, 0, sizeof *result);
    node_count = 0;
    double start = seconds_now();
    all_take_turns = how->no_reduction;
    if (how->replay != NULL) {
        all_take_turns = *how->replay == TURNS_FOR_ALL;
        replay = how->replay + (*how->replay != 0);
        count_end(execute(program, true));
        if (!how->quiet) {
            printf("%s %s%s\n", program->name, result->failed ? "FAILED: " : "does not fail", result->failure);
            trace_print();
        }
        replay = NULL;
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
            node_count = 0;
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
