/*
 * Descriptors of lib/platform.h for threads that are simulated. One is ready or not; ringing, clearing and waiting come
 * one after the other, and who finds it ready sees what came before that: systems have a lock there. Its number is its
 * address.
 */
#include <mapring/mapring.h>

#include "core.h"
#include "layout.h"
#include "platform.h"

struct platform_descriptor {
    uint32_t number; /* from 0 on, in the order in which they were opened */
    bool ready;
    struct view view; /* what those knew who made it ready */
    uint64_t alarm_ns;
    uint64_t contents; /* stands for what opening it fills, and who has its address reads */
};

/* The queues of doorbells come first (platform.c). */
#define FIRST_QUEUE 3u
#define DESCRIPTORS 2u

static struct platform_descriptor *descriptors[DESCRIPTORS];

void descriptors_reset(void)
{
    for (uint32_t i = 0; i < DESCRIPTORS; i++)
        descriptors[i] = NULL;
}

static void await_turn(const struct platform_descriptor *descriptor)
{
    struct operation operation = {
        .objects = {OBJECT_THREAD + run.self, (enum object)(OBJECT_QUEUE + FIRST_QUEUE + descriptor->number)}};
    if (!run.alone)
        turn_await(&operation);
}

static void leave_turn(void)
{
    if (!run.alone)
        turn_taken();
}

static const struct model_site contents_site = {"", "platform_descriptor", "a descriptor", 0, MODEL_COPY, 0};

static void fill(struct platform_descriptor *descriptor)
{
    const uint64_t one = 1;
    if (!run.alone)
        model_write(&descriptor->contents, &one, sizeof one, &contents_site);
}

/* A data race, if nothing orders it behind the opening. */
static void use(struct platform_descriptor *descriptor)
{
    uint64_t contents;
    if (!run.alone)
        model_read(&contents, &descriptor->contents, sizeof contents, &contents_site);
}

int32_t platform_descriptor_open(bool futex, struct platform_descriptor **out)
{
    if (futex)
        return MAPRING_UNSUPPORTED;
    struct platform_descriptor *descriptor = model_allocate(1, sizeof *descriptor);
    descriptor->alarm_ns = UINT64_MAX;
    while (descriptors[descriptor->number] != NULL)
        if (++descriptor->number == DESCRIPTORS)
            model_fail("more descriptors than the model has");
    descriptors[descriptor->number] = descriptor;
    fill(descriptor);
    *out = descriptor;
    return MAPRING_OK;
}

void platform_descriptor_close(struct platform_descriptor *descriptor)
{
    (void)descriptor;
}

int64_t platform_descriptor_number(const struct platform_descriptor *descriptor)
{
    return (int64_t)(intptr_t)descriptor;
}

int32_t platform_descriptor_address(struct platform_descriptor *descriptor, const struct platform_segment *segment,
                                    uint64_t *address)
{
    (void)segment;
    *address = descriptor->number + 1;
    return MAPRING_OK;
}

static void make_ready(struct platform_descriptor *descriptor)
{
    await_turn(descriptor);
    descriptor->ready = true;
    view_join(&descriptor->view, &self_thread()->current);
    for (uint32_t t = 0; t < run.program->thread_count; t++) {
        struct thread *thread = &run.threads[t];
        if (thread->state != THREAD_PARKED || thread->doorbell != descriptor)
            continue;
        thread->state = THREAD_READY;
        clocks_join(&thread->cause, &self_thread()->cause);
    }
    leave_turn();
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "descriptor %u: ready", descriptor->number);
}

void platform_descriptor_set(struct platform_descriptor *descriptor)
{
    use(descriptor);
    make_ready(descriptor);
}

void platform_descriptor_ring(struct platform_parking *parking, const struct platform_segment *segment, uint32_t number,
                              uint64_t address)
{
    (void)parking;
    (void)segment;
    (void)number;
    if (memory_is_mutated(MUTATE_NO_WAKE) || address - 1 >= DESCRIPTORS || descriptors[address - 1] == NULL)
        return;
    if (!run.alone) {
        stores_ordered();
        death_may_come();
    }
    make_ready(descriptors[address - 1]);
}

struct platform_causes platform_descriptor_clear(struct platform_descriptor *descriptor)
{
    if (!run.alone)
        memory_flush();
    await_turn(descriptor);
    struct platform_causes causes = {.rung = descriptor->ready, .alarmed = descriptor->alarm_ns <= run.now_ns};
    descriptor->ready = false;
    if (causes.rung)
        view_join(&self_thread()->current, &descriptor->view);
    if (causes.alarmed)
        descriptor->alarm_ns = UINT64_MAX;
    leave_turn();
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "descriptor %u: cleared%s", descriptor->number, causes.rung ? ", was ready" : "");
    return causes;
}

int32_t platform_descriptor_wait(struct platform_descriptor *descriptor, uint64_t deadline_ns,
                                 struct platform_ready *ready, uint32_t max)
{
    (void)ready;
    (void)max;
    if (run.alone)
        model_fail("a wait before or after the threads would last for ever");
    memory_flush();
    await_turn(descriptor);
    bool is_ready = descriptor->ready;
    leave_turn();
    uint64_t until = deadline_ns < descriptor->alarm_ns ? deadline_ns : descriptor->alarm_ns;
    if (is_ready || until <= run.now_ns)
        return 0;
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "sleeps until descriptor %u is ready", descriptor->number);
    struct thread *self = self_thread();
    self->state = THREAD_PARKED;
    self->doorbell = descriptor;
    self->deadline_ns = until;
    struct operation wakes = {.objects = {OBJECT_THREAD + run.self}};
    turn_await(&wakes);
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "wakes up");
    return 0;
}

int32_t platform_descriptor_alarm(struct platform_descriptor *descriptor, uint64_t at_ns)
{
    /* It is ready no longer, as on Windows. */
    if (!run.alone)
        memory_flush();
    await_turn(descriptor);
    descriptor->ready = false;
    view_join(&self_thread()->current, &descriptor->view);
    leave_turn();
    descriptor->alarm_ns = at_ns;
    return MAPRING_OK;
}

bool platform_descriptor_watch(struct platform_descriptor *descriptor, const struct platform_process *process)
{
    (void)descriptor;
    (void)process;
    return true;
}

/* What scenarios have none of. */

int32_t platform_descriptor_park(struct platform_descriptor *descriptor, const struct platform_parking *parking,
                                 const shared32 *doorbell, uint32_t remembered)
{
    (void)descriptor;
    (void)parking;
    (void)doorbell;
    (void)remembered;
    return MAPRING_OK;
}

int32_t platform_descriptor_add(struct platform_descriptor *descriptor, int64_t other, uint32_t events, uint32_t tag)
{
    (void)descriptor;
    (void)other;
    (void)events;
    (void)tag;
    return MAPRING_UNSUPPORTED;
}

void platform_descriptor_remove(struct platform_descriptor *descriptor, int64_t other)
{
    (void)descriptor;
    (void)other;
}

bool platform_uring_is_there(void)
{
    return false;
}

void platform_uring_prepare(const struct platform_parking *parking, const shared32 *doorbell, uint32_t remembered,
                            void *entry)
{
    (void)parking;
    (void)doorbell;
    (void)remembered;
    (void)entry;
}
