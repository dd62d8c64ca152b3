/*
 * Whose turn it is, and what might have come in another order.
 */
#include <stdlib.h>
#include <string.h>

#include "search.h"

#define TRANSITIONS_MAX 100000u

/* So often everybody waits for somebody else to do something, or sleeps for a time, before that counts as for ever. */
#define IDLE_MAX 20000u
#define SLEEPS_MAX 40u

/* What a thread did in one turn. */
struct transition {
    uint8_t thread;
    uint32_t turn;
    uint32_t node;
    struct clocks cause;
};

/* Who used an object, and the use before. */
struct object_use {
    uint32_t thread;
    uint32_t turn;
    uint32_t transition;
    uint32_t previous; /* 0: none */
    struct clocks cause;
};

#define USES_MAX (3 * TRANSITIONS_MAX)

static struct transition transitions[TRANSITIONS_MAX];
static uint32_t transition_count;
static struct object_use uses[USES_MAX];
static uint32_t use_count;
static uint32_t last_use[OBJECT_COUNT];

/* The threads that are asleep at this point; see struct node. */
static uint8_t asleep;
static uint64_t watermark[MODEL_THREADS_MAX];

static uint32_t idle, sleeps;

void turns_reset(void)
{
    memset(last_use, 0, sizeof last_use);
    use_count = transition_count = 1; /* 0 is none */
    asleep = 0;
    idle = sleeps = 0;
}

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

/* Of these, the current thread if it is among them: a switch is for others to ask for. */
static uint32_t prefer_self(uint32_t set)
{
    return (set & 1u << run.self) != 0 ? run.self : lowest(set);
}

static uint32_t choose_thread(uint8_t enabled)
{
    if (search.depth < search.node_count) {
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

uint32_t turn_pick(void)
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
    if (search.replay != NULL) {
        chosen = alone ? lowest(enabled) : next_recorded(lowest(enabled));
        if (chosen >= MODEL_THREADS_MAX || (enabled & 1u << chosen) == 0)
            model_fail("these choices are not of this program");
    } else if (search.options->random) {
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

/* What somebody else did to an object last might have come later; not so, if it made possible what we do (gave up a
 * lock that we waited for), but then what he did before that. */
static void race_with_uses(enum object object)
{
    const struct thread *self = self_thread();
    for (uint32_t u = last_use[object]; u != 0; u = uses[u].previous) {
        /* All before one that we depend on, we depend on. */
        if (uses[u].thread == run.self || self->cause.at[uses[u].thread] >= uses[u].turn)
            return;
        turn_race(uses[u].thread, uses[u].turn, uses[u].transition);
        if (self->operation.enabled == NULL)
            return;
    }
}

/* The turn is ours. */
void turn_begin(void)
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
    *transition = (struct transition){
        .thread = (uint8_t)run.self, .turn = self->turn, .node = search.depth - 1, .cause = self->cause};

    for (int i = 0; i < 3; i++)
        if (operation->objects[i] != OBJECT_NONE)
            race_with_uses(operation->objects[i]);
    for (int i = 0; i < 3; i++)
        if (operation->objects[i] != OBJECT_NONE)
            clocks_join(&self->cause, &uses[last_use[operation->objects[i]]].cause);
    turn_taken();
}

static void note_use(enum object object)
{
    const struct thread *self = self_thread();
    struct object_use *use = &uses[last_use[object]];
    if (last_use[object] == 0 || use->transition != self->transition) {
        if (use_count == USES_MAX)
            run_over(RUN_BOUND);
        use = &uses[use_count];
        use->previous = last_use[object];
        last_use[object] = use_count++;
    }
    use->thread = run.self;
    use->turn = self->turn;
    use->transition = self->transition;
    use->cause = self->cause;
}

void turn_taken(void)
{
    const struct thread *self = self_thread();
    transitions[self->transition].cause = self->cause;
    for (int i = 0; i < 3; i++)
        if (self->operation.objects[i] != OBJECT_NONE)
            note_use(self->operation.objects[i]);
}

void turn_await(const struct operation *operation)
{
    struct thread *self = self_thread();
    self->operation = *operation;
    self->stores_seen = run.stores;
    uint32_t from = run.self;
    uint32_t to = turn_pick();
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
    struct node *node = &search.nodes[transitions[transition].node];
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
