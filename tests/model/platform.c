/*
 * lib/platform.h for threads that are simulated: one segment, and a handle to it for each process.
 *
 * No more is promised here than there. A park and a wake of the same doorbell
 * come one after the other; a park that comes second does not read a doorbell
 * older than the waker knew, which is all that it learns. Only those who were
 * asked for are woken. Time stands still until all sleep.
 *
 * Taking a lock, and finding it free, happen after the lock was given up.
 */
#include <string.h>

#include <mapring/mapring.h>

#include "core.h"
#include "layout.h"
#include "platform.h"
#include "ring.h"
#include "wait.h"

#define LOCKS 16u
#define QUEUES 3u /* two more for descriptors (descriptors.c) */

/* Who sleeps for less than this sleeps to look again, and is not to be woken. */
#define POLL_NS 10000000u

struct platform_segment {
    uint32_t owner; /* a thread */
    uint64_t size;
};

struct platform_parking {
    uint32_t self;
};

struct lock {
    const struct platform_segment *holder;
    struct view view;
};

struct queue {
    const shared32 *doorbell;
    const void *floor; /* what a park reads at least */
};

static struct lock locks[LOCKS];
static struct lock lives[MODEL_THREADS_MAX]; /* what a thread knew when it died */
static bool gone[MODEL_THREADS_MAX];
static struct queue queues[QUEUES];
static char segment_name[256];
static uint64_t segment_size; /* 0: there is none */
static bool published;

void platform_reset(void)
{
    memset(locks, 0, sizeof locks);
    memset(lives, 0, sizeof lives);
    memset(gone, 0, sizeof gone);
    memset(queues, 0, sizeof queues);
    segment_size = 0;
    published = false;
    descriptors_reset();
}

/* Segments. */

static int32_t new_handle(struct platform_segment **out)
{
    struct platform_segment *segment = model_allocate(1, sizeof *segment);
    segment->owner = run.self;
    segment->size = segment_size;
    *out = segment;
    return MAPRING_OK;
}

/* Names are one lock more: who finds a name that was published sees what was done before. */
#define NAME_LOCK (LOCKS - 1)

static void await_names(void)
{
    struct operation operation = {.objects = {OBJECT_THREAD + run.self, OBJECT_LOCK + NAME_LOCK}};
    if (!run.alone)
        turn_await(&operation);
}

static void leave_names(void)
{
    if (!run.alone)
        turn_taken();
}

int32_t platform_segment_create(const struct platform_target *target, uint64_t size,
                                const struct platform_extent *extents, uint32_t count, struct platform_segment **out)
{
    await_names();
    bool exists = target->file != NULL || segment_size != 0;
    if (!exists) {
        strncpy(segment_name, target->name, sizeof segment_name - 1);
        segment_size = size;
        published = run.program->early_name;
        for (uint32_t i = 0; i < count; i++)
            model_shared_used(extents[i].offset, extents[i].size);
    }
    leave_names();
    return exists ? MAPRING_EXISTS : new_handle(out);
}

int32_t platform_segment_publish(struct platform_segment *segment, const struct segment_header *header)
{
    (void)segment;
    (void)header;
    await_names();
    if (!published)
        locks[NAME_LOCK].view = self_thread()->current;
    published = true;
    leave_names();
    return MAPRING_OK;
}

int32_t platform_segment_open(const struct platform_target *target, enum platform_access access,
                              struct platform_segment **out)
{
    (void)access;
    *out = NULL;
    await_names();
    bool found = target->file == NULL && published && strcmp(target->name, segment_name) == 0;
    if (found)
        view_join(&self_thread()->current, &locks[NAME_LOCK].view);
    leave_names();
    return found ? new_handle(out) : MAPRING_NOT_FOUND;
}

void platform_segment_close(struct platform_segment *segment)
{
    for (uint32_t i = 0; segment != NULL && i < LOCKS; i++)
        if (locks[i].holder == segment)
            platform_unlock(segment, i);
}

bool platform_segment_is_ours(const struct platform_segment *segment)
{
    return segment != NULL;
}

uint64_t platform_segment_size(const struct platform_segment *segment)
{
    return segment->size;
}

uint64_t platform_segment_allocated(const struct platform_segment *segment)
{
    return segment->size;
}

/* The identity is plain memory, and the accesses to it are not seen. They lie between mapping and unmapping: so it
 * counts as written when it was mapped for that, and as read when it is unmapped by others. What is behind its first
 * word is meant, which is atomic. */
static void touch_identity(bool writes)
{
    static const struct model_site site = {"ring.c", "read_identity", "the identity", 0, MODEL_COPY, 0};
    uint8_t bytes[sizeof(struct identity) - sizeof(shared64)];
    void *behind_magic = model_shared(sizeof(shared64));
    if (run.alone)
        return;
    memcpy(bytes, model_bytes(behind_magic), sizeof bytes);
    if (writes)
        model_write(behind_magic, bytes, sizeof bytes, &site);
    else
        model_read(bytes, behind_magic, sizeof bytes, &site);
}

/* All else faults when it is touched otherwise than through lib/atomic.h. */
int32_t platform_map(const struct platform_segment *segment, uint64_t offset, uint64_t size, bool writable,
                     void **address)
{
    (void)segment;
    (void)size;
    *address = model_shared(offset);
    if (offset == 0) {
        self_thread()->writes_identity = writable;
        if (writable)
            touch_identity(true);
    }
    return MAPRING_OK;
}

void platform_unmap(void *address, uint64_t size)
{
    (void)size;
    if (address == model_shared(0) && !self_thread()->writes_identity)
        touch_identity(false);
}

/* Others do something first, if they can. */
static void let_others_go_first(void)
{
    struct operation operation = {.objects = {OBJECT_THREAD + run.self}, .yields = true};
    if (run.alone)
        return;
    turn_await(&operation);
    turn_taken();
}

void platform_segment_await(const char *name, uint64_t deadline_ns)
{
    (void)name;
    (void)deadline_ns;
    let_others_go_first();
}

int32_t platform_segment_list(int32_t (*each)(void *context, const char *name), void *context)
{
    return published ? each(context, segment_name) : MAPRING_OK;
}

/* Locks. */

/* Of the many numbers that there are, those of the producer, the first slots, the registry and a spare or two. */
static uint32_t lock_index(uint32_t number)
{
    uint32_t index = number < REGISTRY_NUMBER ? number : number - REGISTRY_NUMBER + LOCKS - 4;
    if (index >= NAME_LOCK || (number < REGISTRY_NUMBER && index >= LOCKS - 4))
        model_fail("more locks than the model has");
    return index;
}

static struct operation lock_operation(uint32_t number)
{
    return (struct operation){.objects = {OBJECT_THREAD + run.self, OBJECT_LOCK + lock_index(number)}};
}

int32_t platform_lock(struct platform_segment *segment, uint32_t number)
{
    struct operation operation = lock_operation(number);
    struct lock *lock = &locks[lock_index(number)];
    if (!run.alone)
        turn_await(&operation);
    bool taken = lock->holder == NULL || lock->holder == segment;
    if (taken) {
        lock->holder = segment;
        view_join(&self_thread()->current, &lock->view);
    }
    if (!run.alone)
        turn_taken();
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "lock %u: %s", number, taken ? "taken" : "held by another");
    return taken ? 1 : 0;
}

void platform_unlock(struct platform_segment *segment, uint32_t number)
{
    struct operation operation = lock_operation(number);
    struct lock *lock = &locks[lock_index(number)];
    stores_ordered();
    death_may_come();
    if (!run.alone)
        turn_await(&operation);
    if (lock->holder == segment) {
        lock->holder = NULL;
        lock->view = self_thread()->current;
    }
    if (!run.alone)
        turn_taken();
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "lock %u: free", number);
}

int32_t platform_lock_held(struct platform_segment *segment, uint32_t number)
{
    struct operation operation = lock_operation(number);
    const struct lock *lock = &locks[lock_index(number)];
    if (!run.alone)
        turn_await(&operation);
    bool held = lock->holder != NULL && lock->holder != segment;
    if (!held)
        view_join(&self_thread()->current, &lock->view);
    if (!run.alone)
        turn_taken();
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "lock %u: seen %s", number, held ? "held" : "free");
    return held ? 1 : 0;
}

static struct operation life_operation(uint32_t thread)
{
    return (struct operation){.objects = {OBJECT_THREAD + run.self, (enum object)(OBJECT_LIFE + thread)}};
}

void platform_thread_died(void)
{
    uint32_t self = run.self;
    if (run.program->gone_shows && !run.alone) {
        struct operation operation = life_operation(self);
        turn_await(&operation);
        gone[self] = true;
        lives[self].view = self_thread()->current;
        turn_taken();
    }
    if ((run.program->forked & 1u << self) != 0)
        return;
    for (uint32_t i = 0; i < LOCKS; i++)
        if (locks[i].holder != NULL && locks[i].holder->owner == run.self) {
            struct platform_segment *segment = (struct platform_segment *)(uintptr_t)locks[i].holder;
            platform_unlock(segment, i);
        }
}

static bool lock_is_free(void *context)
{
    const struct lock *lock = context;
    return lock->holder == NULL;
}

void model_await_lock(uint32_t number)
{
    struct operation operation = lock_operation(number);
    operation.enabled = lock_is_free;
    operation.context = &locks[lock_index(number)];
    turn_await(&operation);
    turn_taken();
}

void platform_process_self(struct platform_process *self)
{
    *self = (struct platform_process){.pid = model_self() + 1, .place = 1, .start = 100 + model_self()};
}

uint32_t platform_process_number(void)
{
    return 1;
}

bool platform_process_gone(const struct platform_process *process)
{
    if (!run.program->gone_shows || process->pid == 0 || process->pid > run.program->thread_count)
        return false;
    uint32_t thread = process->pid - 1;
    if (process->start != 100 + thread)
        return true; /* another process has its number by now */
    struct operation operation = life_operation(thread);
    if (!run.alone)
        turn_await(&operation);
    if (gone[thread])
        view_join(&self_thread()->current, &lives[thread].view);
    if (!run.alone)
        turn_taken();
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "process of thread %u: %s", thread, gone[thread] ? "gone" : "there");
    return gone[thread];
}

void platform_boot_id(uint64_t id[2])
{
    id[0] = 1;
    id[1] = 2;
}

int32_t platform_flush(const struct platform_segment *segment, void *address, uint64_t size)
{
    (void)segment;
    (void)address;
    (void)size;
    return MAPRING_OK;
}

void platform_sleep(uint64_t ns)
{
    let_others_go_first();
    self_thread()->paused_ns += ns;
}

/* Parking. */

int32_t platform_parking_open(const uint64_t ring_id[2], uint32_t self, uint32_t last, struct platform_parking **out)
{
    (void)ring_id;
    (void)last;
    *out = model_allocate(1, sizeof **out);
    (*out)->self = self;
    return MAPRING_OK;
}

void platform_parking_close(struct platform_parking *parking)
{
    (void)parking;
}

static struct queue *queue_of(const shared32 *doorbell)
{
    for (uint32_t i = 0; i < QUEUES; i++) {
        if (queues[i].doorbell == NULL)
            queues[i].doorbell = doorbell;
        if (queues[i].doorbell == doorbell)
            return &queues[i];
    }
    model_fail("more doorbells than the model has");
}

static enum object object_of(const struct queue *queue)
{
    return (enum object)(OBJECT_QUEUE + (queue - queues));
}

/* What the system reads there, in turn with those who wake on it, and on `other` if that is not NULL. */
static uint64_t read_doorbell(const shared32 *doorbell, struct queue *queue, const struct queue *other)
{
    static const struct model_site site = {"", "platform_park", "the doorbell, by the system", 0, MODEL_LOAD, 0};
    struct operation operation = {
        .objects = {OBJECT_THREAD + run.self, object_of(queue), other == NULL ? OBJECT_NONE : object_of(other)},
        .address = doorbell,
        .floor = queue->floor,
    };
    turn_await(&operation);
    uint64_t value = memory_read_in_turn(doorbell, 4, MODEL_RELAXED, &site, queue->floor);
    turn_taken();
    return value;
}

static void sleep_on(const void *doorbell, const void *other, uint64_t deadline_ns)
{
    struct thread *self = self_thread();
    self->state = THREAD_PARKED;
    self->doorbell = doorbell;
    self->other_doorbell = other;
    self->deadline_ns = deadline_ns;
    struct operation wakes = {.objects = {OBJECT_THREAD + run.self}};
    turn_await(&wakes);
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "wakes up");
}

bool platform_park_any(const struct platform_doorbell *doorbells, uint32_t count, uint64_t deadline_ns)
{
    if (!run.program->parks_on_any || count != 2)
        return false;
    const struct platform_doorbell *one = &doorbells[0], *two = &doorbells[1];
    struct queue *queue = queue_of(one->doorbell), *other = queue_of(two->doorbell);
    memory_flush();
    if (read_doorbell(one->doorbell, queue, NULL) != one->remembered)
        return true;
    /* From here on it can be woken on the first, and then does not sleep on the second. */
    const void *floor = queue->floor;
    if (read_doorbell(two->doorbell, other, queue) != two->remembered || queue->floor != floor ||
        deadline_ns <= run.now_ns)
        return true;
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "park: sleeps while two doorbells read %u and %u", one->remembered, two->remembered);
    sleep_on(one->doorbell, two->doorbell, deadline_ns);
    return true;
}

void platform_unpark(const shared32 *word)
{
    platform_wake(NULL, word, UINT64_MAX, 0, UINT32_MAX);
}

void platform_park(struct platform_parking *parking, const shared32 *doorbell, uint32_t remembered,
                   uint64_t deadline_ns)
{
    if (run.alone)
        model_fail("a park before or after the threads would sleep for ever");
    struct thread *self = self_thread();
    struct queue *queue = queue_of(doorbell);
    memory_flush();
    uint64_t value = read_doorbell(doorbell, queue, NULL);
    if (value != remembered || deadline_ns <= run.now_ns) {
        if (run.tracing)
            trace_text(EVENT_PLATFORM, "park: returns at once");
        return;
    }
    self->polls += deadline_ns - run.now_ns < POLL_NS;
    if ((run.program->early & 1u << run.self) != 0 && !self->was_early && model_choose(2) == 1) {
        self->was_early = true;
        if (run.tracing)
            trace_text(EVENT_PLATFORM, "park: returns early");
        return;
    }
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "park: sleeps while the doorbell reads %u", remembered);
    self->sleeper = parking->self;
    sleep_on(doorbell, NULL, deadline_ns);
}

void platform_wake(struct platform_parking *parking, const shared32 *doorbell, uint64_t sleepers, uint32_t first,
                   uint32_t last)
{
    (void)parking;
    if (run.alone || memory_is_mutated(MUTATE_NO_WAKE))
        return;
    struct queue *queue = queue_of(doorbell);
    stores_ordered();
    death_may_come();
    struct operation operation = {
        .objects = {OBJECT_THREAD + run.self, (enum object)(OBJECT_QUEUE + (queue - queues))},
    };
    turn_await(&operation);
    queue->floor = memory_newer(queue->floor, memory_latest_known(doorbell));
    uint32_t count = 0;
    for (uint32_t t = 0; t < run.program->thread_count; t++) {
        struct thread *thread = &run.threads[t];
        bool by_either = thread->other_doorbell != NULL;
        if (thread->state != THREAD_PARKED || (thread->doorbell != doorbell && thread->other_doorbell != doorbell))
            continue;
        if (!by_either &&
            (thread->sleeper < first || thread->sleeper > last || (sleepers & sleeper_bit(thread->sleeper)) == 0))
            continue;
        thread->state = THREAD_READY;
        clocks_join(&thread->cause, &self_thread()->cause);
        count++;
    }
    turn_taken();
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "wakes %u sleepers", count);
}

bool platform_polls(void)
{
    for (uint32_t t = 0; t < run.program->thread_count; t++)
        if (run.threads[t].state == THREAD_PARKED && run.threads[t].deadline_ns - run.now_ns < POLL_NS)
            return true;
    return false;
}

bool platform_time_passes(void)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t t = 0; t < run.program->thread_count; t++)
        if (run.threads[t].state == THREAD_PARKED && run.threads[t].deadline_ns < next)
            next = run.threads[t].deadline_ns;
    if (next == UINT64_MAX)
        return false;
    run.now_ns = next;
    for (uint32_t t = 0; t < run.program->thread_count; t++)
        if (run.threads[t].state == THREAD_PARKED && run.threads[t].deadline_ns <= next)
            run.threads[t].state = THREAD_READY;
    if (run.tracing)
        trace_text(EVENT_PLATFORM, "all sleep: time passes");
    return true;
}

/* A handle is used by one thread in all scenarios (wait_guard.c). */

int32_t wait_begin(struct sleeper *sleeper)
{
    (void)sleeper;
    return MAPRING_OK;
}

void wait_end(struct sleeper *sleeper)
{
    (void)sleeper;
}

void wait_shut(struct sleeper *sleeper)
{
    (void)sleeper;
}

/* Time, fences, chance. */

/* In dense programs the clock is read twice around each wake: 2 ns pass between the two, and 1 ns until the next. */
uint64_t platform_clock_ns(void)
{
    struct thread *thread = self_thread();
    uint64_t steps = run.program->dense ? thread->clock_looks++ : 0;
    return run.now_ns + thread->paused_ns + steps / 2 * 3 + steps % 2 * 2;
}

uint64_t platform_time_ns(void)
{
    return run.now_ns;
}

bool platform_heavy_fence_register(void)
{
    return (run.program->heavy & 1u << run.self) != 0;
}

bool platform_heavy_fence(void)
{
    bool reaches = platform_heavy_fence_register();
    if (reaches)
        model_fence_heavy();
    else
        model_fence_full(NULL);
    return reaches;
}

int32_t platform_random(uint64_t words[2])
{
    words[0] = 1;
    words[1] = 2;
    return MAPRING_OK;
}
