/*
 * What threads do to shared memory, one access at a time; mutations of it; and plain accesses.
 */
#include <string.h>

#include "memory.h"

/* A pause takes this long by the thread's clock. */
#define PAUSE_NS 20u

/* What a thread is in the middle of. */
struct local {
    uint64_t window;        /* counted up by all that a loop that waits does not do */
    uint64_t paused_window; /* in which the thread waits */
    bool after_full_fence;
    bool delayed;  /* for MUTATE_DELAY: what is still to be done */
    bool delaying; /* it is being done now */
    bool delayed_is_update;
    void *address;
    uint32_t size;
    enum model_update update;
    uint64_t value;
    enum model_order order;
    const struct model_site *site;

    /* For MUTATE_LATE: a load that is still to be done, and what it was said to have read. */
    bool late;
    const void *late_address;
    uint32_t late_size;
    uint64_t late_value;
    const struct model_site *late_site;
};

static struct local locals[MODEL_THREADS_MAX];

static enum model_mutation mutation;
static const struct model_site *mutated;

bool model_same_site(const struct model_site *one, const struct model_site *other)
{
    return one == other || (one->line == other->line && one->access == other->access &&
                            strcmp(one->text, other->text) == 0 && strcmp(one->file, other->file) == 0);
}

void model_mutate(enum model_mutation what, const struct model_site *site)
{
    mutation = what;
    mutated = site;
}

/* A function in line has its sites once in each file that it is used in, or more often. */
static bool is_mutated(const struct model_site *site, enum model_mutation what)
{
    return mutation == what && mutated != NULL && site != NULL && model_same_site(mutated, site);
}

bool memory_is_mutated(enum model_mutation what)
{
    return mutation == what;
}

void accesses_reset(void)
{
    for (uint32_t t = 0; t < MODEL_THREADS_MAX; t++)
        locals[t] = (struct local){.window = 1};
}

/* Loads. */

static struct operation operation_on(const void *address)
{
    return (struct operation){.objects = {OBJECT_THREAD + run.self}, .address = address};
}

/* All that a loop which only waits does not do. */
static void leave_window(void)
{
    locals[run.self].window++;
}

static void trace_load(uint8_t access, const struct word *word, const struct store *store, uint64_t value,
                       enum model_order order, const struct model_site *site)
{
    if (run.tracing)
        trace_add((struct event){.thread = (uint8_t)run.self,
                                 .access = access,
                                 .order = (uint8_t)order,
                                 .site = site,
                                 .offset = word->offset,
                                 .value = value,
                                 .source = store->event,
                                 .position = store->position,
                                 .of = word->count});
}

static uint64_t read_in_turn(const void *address, uint32_t size, enum model_order order, const struct reading *reading,
                             const struct model_site *site, const void *floor)
{
    struct word *word = word_of(offset_of(address));
    const struct store *store = &stores[read_store(word, order, reading, floor, locals[run.self].window, site)];
    uint64_t value = size == 4 ? (uint32_t)store->value : store->value;
    trace_load(MODEL_LOAD, word, store, value, order, site);
    return value;
}

uint64_t memory_read_in_turn(const void *address, uint32_t size, enum model_order order, const struct model_site *site,
                             const void *floor)
{
    return read_in_turn(address, size, order, &(struct reading){0}, site, floor);
}

static uint64_t load(const void *address, uint32_t size, enum model_order order, const struct reading *reading,
                     const struct model_site *site)
{
    last_site = site;
    if (run.alone)
        return raw_read(offset_of(address), size);
    if (is_mutated(site, MUTATE_RELAX))
        order = MODEL_RELAXED;
    struct local *local = &locals[run.self];
    struct word *word = word_of(offset_of(address));
    const struct memo *memo = memo_of(word, site);
    bool again = memo->store != 0 && memo->window == local->window;
    uint64_t known = size == 4 ? (uint32_t)stores[memo->store].value : stores[memo->store].value;
    if (local->paused_window == local->window) {
        if (again)
            return known;
        leave_window();
    }
    if (local->after_full_fence && memo->store != 0 && is_mutated(site, MUTATE_NO_LOOK))
        return known;
    if (is_mutated(site, MUTATE_LATE)) {
        /* What it will read is guessed: what is there now, or the next numbers. */
        local->late = true;
        local->late_address = address;
        local->late_size = size;
        local->late_site = site;
        local->late_value = raw_read(offset_of(address), size) + model_choose(3);
        return local->late_value;
    }
    struct operation operation = operation_on(address);
    operation.yields = memo->repeats >= REPEATS_MAX;
    turn_await(&operation);
    uint64_t value = read_in_turn(address, size, order, reading, site, NULL);
    turn_taken();
    return value;
}

uint64_t model_load(const void *address, uint32_t size, enum model_order order, const struct model_site *site)
{
    return load(address, size, order, &(struct reading){0}, site);
}

uint64_t model_load_racing(const void *address, uint32_t size, enum model_order order, const struct model_site *site)
{
    return load(address, size, order, &(struct reading){.races = true}, site);
}

void model_pause(const struct model_site *site)
{
    (void)site;
    locals[run.self].paused_window = locals[run.self].window;
    self_thread()->paused_ns += PAUSE_NS;
}

/* Stores and updates. */

static void leave_waiting(void)
{
    leave_window();
    locals[run.self].after_full_fence = false;
}

static bool releases(enum model_order order)
{
    return order == MODEL_RELEASE || order == MODEL_ACQUIRE_RELEASE;
}

/* A store commutes with all that others do, until somebody reads it; so it needs no turn of its own, unless a fence may
 * be caused in its thread at any point. */
static void await_turn_if_all_do(void)
{
    if (run.all_take_turns) {
        struct operation operation = operation_on(NULL);
        turn_await(&operation);
        turn_taken();
    }
}

static void await_local_turn(void)
{
    leave_waiting();
    await_turn_if_all_do();
}

static bool late_value_is_there(void *context)
{
    const struct local *local = context;
    return memory_can_read_value((uint32_t)(local - locals), local->late_address, local->late_size, local->late_value);
}

/* Executions in which it reads something else than was guessed did not happen. */
static void do_late(void)
{
    struct local *local = &locals[run.self];
    if (!local->late)
        return;
    local->late = false;
    struct operation operation = operation_on(local->late_address);
    operation.enabled = late_value_is_there;
    operation.context = local;
    operation.guesses = true;
    turn_await(&operation);
    uint64_t value = memory_read_in_turn(local->late_address, local->late_size, MODEL_RELAXED, local->late_site, NULL);
    turn_taken();
    if (value != local->late_value)
        run_over(RUN_REDUNDANT);
}

static void do_delayed(void)
{
    struct local *local = &locals[run.self];
    do_late();
    if (!local->delayed)
        return;
    local->delayed = false;
    local->delaying = true;
    if (local->delayed_is_update)
        model_update(local->address, local->size, local->update, local->value, local->order, local->site);
    else
        model_store(local->address, local->size, local->value, local->order, local->site);
    local->delaying = false;
}

static bool is_delayed(void *address, uint32_t size, bool is_update, enum model_update update, uint64_t value,
                       enum model_order order, const struct model_site *site)
{
    struct local *local = &locals[run.self];
    if (!is_mutated(site, MUTATE_DELAY) || local->delaying)
        return false;
    do_delayed();
    local->delayed = true;
    local->delayed_is_update = is_update;
    local->address = address;
    local->size = size;
    local->update = update;
    local->value = value;
    local->order = order;
    local->site = site;
    return true;
}

static void trace_store(uint8_t access, const struct word *word, uint32_t number, uint64_t value,
                        enum model_order order, enum model_update update, uint32_t source,
                        const struct model_site *site)
{
    if (run.tracing)
        stores[number].event = trace_add((struct event){.thread = (uint8_t)run.self,
                                                        .access = access,
                                                        .order = (uint8_t)order,
                                                        .update = (uint8_t)update,
                                                        .site = site,
                                                        .offset = word->offset,
                                                        .value = value,
                                                        .source = source,
                                                        .position = stores[number].position,
                                                        .of = word->count});
}

void model_store(void *address, uint32_t size, uint64_t value, enum model_order order, const struct model_site *site)
{
    last_site = site;
    if (run.alone) {
        raw_write(offset_of(address), size, value);
        return;
    }
    if (is_mutated(site, MUTATE_OMIT) || is_delayed(address, size, false, MODEL_ADD, value, order, site))
        return;
    if (is_mutated(site, MUTATE_RELAX))
        order = MODEL_RELAXED;
    await_local_turn();
    death_may_come();
    struct word *word = word_of(offset_of(address));
    uint32_t floor = floor_of(self_thread(), word);
    /* The last place first: that of the newest store. */
    uint32_t count = word->count - floor;
    uint32_t position = word->count;
    if (count > 1) {
        bool allowed[OPTIONS_MAX];
        if (count > OPTIONS_MAX)
            run_over(RUN_BOUND);
        for (uint32_t i = 0; i < count; i++)
            allowed[i] = !stores[word->order[word->count - 1 - i]].taken;
        position = word->count - choose_among(allowed, count);
    }
    count_step();
    check_race(word, &word->plain_writes, "plain write", "atomic write", site);
    check_race(word, &word->plain_reads, "plain read", "atomic write", site);
    word->atomic_writes.at[run.self] = self_thread()->step;
    uint32_t number = new_store(value);
    note_access(word, number, false);
    race_with_readers(word);
    place_store(word, position, number, size, order);
    if (releases(order))
        stores_ordered();
    stores_done(number, number);
    trace_store(MODEL_STORE, word, number, value, order, MODEL_ADD, 0, site);
    do_delayed();
}

static uint64_t updated(uint64_t old, enum model_update update, uint64_t operand)
{
    switch (update) {
    case MODEL_ADD:
        return old + operand;
    case MODEL_OR:
        return old | operand;
    case MODEL_AND:
        return old & operand;
    case MODEL_EXCHANGE:
        break;
    }
    return operand;
}

/* The order that is left to an update after its mutation. */
static enum model_order order_of_update(enum model_order order, const struct model_site *site)
{
    if (is_mutated(site, MUTATE_RELAX))
        return MODEL_RELAXED;
    if (is_mutated(site, MUTATE_NO_ACQUIRE) && order == MODEL_ACQUIRE_RELEASE)
        return MODEL_RELEASE;
    if (is_mutated(site, MUTATE_NO_RELEASE) && order == MODEL_ACQUIRE_RELEASE)
        return MODEL_ACQUIRE;
    return order;
}

/* Others that were here first might come later, and read what is about to be stored: asked before it is read whether
 * anything is stored at all, since that too may depend on who comes first. */
static struct word *begin_update(void *address, const struct reading *reading, const struct model_site *site)
{
    leave_waiting();
    struct operation operation = operation_on(address);
    struct word *word = word_of(offset_of(address));
    operation.reading = *reading;
    operation.yields = reading->compares && memo_of(word, site)->repeats >= REPEATS_MAX;
    turn_await(&operation);
    death_may_come();
    race_with_readers(word);
    return word;
}

/* Follows directly what it read. */
static void end_update(struct word *word, uint32_t read, uint64_t value, uint32_t size, enum model_order order,
                       enum model_update update, const struct model_site *site)
{
    check_race(word, &word->plain_reads, "plain read", "atomic write", site);
    word->atomic_writes.at[run.self] = self_thread()->step;
    uint32_t number = new_store(value);
    stores[number].view = stores[read].view;
    stores[read].taken = true;
    note_access(word, number, false);
    place_store(word, stores[read].position + 1, number, size, order);
    if (releases(order))
        stores_ordered();
    trace_store(MODEL_UPDATE, word, number, value, order, update, stores[read].event, site);
    turn_taken();
    do_delayed();
}

uint64_t model_update(void *address, uint32_t size, enum model_update update, uint64_t operand, enum model_order order,
                      const struct model_site *site)
{
    last_site = site;
    uint64_t mask = size == 4 ? UINT32_MAX : UINT64_MAX;
    if (run.alone) {
        uint64_t old = raw_read(offset_of(address), size);
        raw_write(offset_of(address), size, updated(old, update, operand) & mask);
        return old;
    }
    if (is_mutated(site, MUTATE_OMIT) || is_delayed(address, size, true, update, operand, order, site))
        return 0;
    order = order_of_update(order, site);
    const struct reading reading = {.updates = true};
    struct word *word = begin_update(address, &reading, site);
    uint32_t read = read_store(word, order, &reading, NULL, locals[run.self].window, site);
    uint64_t old = stores[read].value & mask;
    end_update(word, read, updated(old, update, operand) & mask, size, order, update, site);
    return old;
}

bool model_compare_and_swap(void *address, uint64_t expected, uint64_t desired, enum model_order order,
                            const struct model_site *site)
{
    last_site = site;
    if (run.alone) {
        bool stores_it = raw_read(offset_of(address), 8) == expected;
        if (stores_it)
            raw_write(offset_of(address), 8, desired);
        return stores_it;
    }
    if (is_mutated(site, MUTATE_OMIT))
        return true;
    if (is_mutated(site, MUTATE_SPLIT)) {
        bool stores_it = model_load(address, 8, MODEL_ACQUIRE, site) == expected;
        if (stores_it)
            model_store(address, 8, desired, MODEL_RELEASE, site);
        return stores_it;
    }
    order = order_of_update(order, site);
    const struct reading reading = {.updates = true, .compares = true, .expected = expected};
    struct word *word = begin_update(address, &reading, site);
    uint32_t read = read_store(word, order, &reading, NULL, locals[run.self].window, site);
    if (is_updated(&stores[read], &reading)) {
        end_update(word, read, desired, 8, order, MODEL_EXCHANGE, site);
        return true;
    }
    trace_load(MODEL_LOAD, word, &stores[read], stores[read].value, order, site);
    turn_taken();
    return false;
}

/* Fences. */

void model_fence(enum model_order order, const struct model_site *site)
{
    if (run.alone || is_mutated(site, MUTATE_RELAX))
        return;
    if (order == MODEL_ACQUIRE) {
        /* A loop that waits has it too; what it reads again it has acquired in the pass before. */
        if (locals[run.self].paused_window == locals[run.self].window)
            return;
        await_turn_if_all_do();
    } else {
        await_local_turn();
    }
    struct thread *self = self_thread();
    if (order == MODEL_ACQUIRE || order == MODEL_ACQUIRE_RELEASE)
        view_join(&self->current, &self->acquired);
    if (releases(order)) {
        self->released = self->current;
        stores_ordered();
    }
    if (run.tracing)
        trace_add(
            (struct event){.thread = (uint8_t)run.self, .access = MODEL_FENCE, .order = (uint8_t)order, .site = site});
}

static void fence_full_in_turn(const struct model_site *site)
{
    leave_window();
    memory_fence_in(run.self, !is_mutated(site, MUTATE_NO_ACQUIRE), !is_mutated(site, MUTATE_NO_RELEASE));
    stores_ordered();
    locals[run.self].after_full_fence = true;
    if (run.tracing)
        trace_add((struct event){.thread = (uint8_t)run.self, .access = MODEL_FENCE_FULL, .site = site});
}

void model_fence_full(const struct model_site *site)
{
    if (run.alone)
        return;
    if (is_mutated(site, MUTATE_RELAX)) {
        model_fence(MODEL_ACQUIRE_RELEASE, site);
        return;
    }
    struct operation operation = {.objects = {OBJECT_THREAD + run.self, OBJECT_FENCES}};
    turn_await(&operation);
    fence_full_in_turn(site);
    turn_taken();
}

void model_fence_heavy(void)
{
    if (run.alone)
        return;
    model_fence_full(NULL);
    if (mutation == MUTATE_LIGHT_FENCE)
        return;
    for (uint32_t t = 0; t < run.program->thread_count; t++) {
        if (t == run.self || (run.program->heavy & 1u << t) == 0)
            continue;
        if (!run.all_take_turns)
            run_over(RUN_AGAIN);
        struct operation operation = {.objects = {OBJECT_THREAD + run.self, OBJECT_THREAD + t, OBJECT_FENCES}};
        turn_await(&operation);
        memory_fence_in(t, true, true);
        if (run.tracing)
            trace_text(EVENT_PLATFORM, "fence caused in thread %u", t);
        turn_taken();
    }
    model_fence_full(NULL);
}

/* Plain accesses. */

void model_write(void *address, const void *from, uint64_t length, const struct model_site *site)
{
    uint64_t offset = offset_of(address);
    if (run.alone) {
        memcpy(model_bytes(address), from, length);
        return;
    }
    await_local_turn();
    death_may_come();
    const struct thread *self = self_thread();
    uint32_t first = 0, number = 0;
    for (uint64_t done = 0; done < length;) {
        uint64_t at = offset + done;
        uint64_t piece = 8 - at % 8 < length - done ? 8 - at % 8 : length - done;
        struct word *word = word_of(at);
        count_step();
        check_race(word, &word->plain_writes, "plain write", "plain write", site);
        check_race(word, &word->plain_reads, "plain read", "plain write", site);
        check_race(word, &word->atomic_writes, "atomic write", "plain write", site);
        check_race(word, &word->atomic_reads, "atomic read", "plain write", site);
        word->plain_writes.at[run.self] = self->step;
        memcpy((uint8_t *)model_bytes(address) + done, (const uint8_t *)from + done, piece);
        number = new_store(raw_read(word->offset, 8));
        note_access(word, number, false);
        race_with_readers(word);
        place_store(word, word->count, number, 8, MODEL_RELAXED);
        first = first == 0 ? number : first;
        trace_store(EVENT_WRITE, word, number, stores[number].value, MODEL_RELAXED, MODEL_ADD, 0, site);
        done += piece;
    }
    stores_done(first, number);
}

void model_read(void *to, const void *address, uint64_t length, const struct model_site *site)
{
    uint64_t offset = offset_of(address);
    for (uint64_t done = 0; done < length && !run.alone;) {
        uint64_t at = offset + done;
        struct word *word = word_of(at);
        count_step();
        check_race(word, &word->plain_writes, "plain write", "plain read", site);
        check_race(word, &word->atomic_writes, "atomic write", "plain read", site);
        word->plain_reads.at[run.self] = self_thread()->step;
        if (run.tracing)
            trace_add((struct event){.thread = (uint8_t)run.self,
                                     .access = EVENT_READ,
                                     .site = site,
                                     .offset = word->offset,
                                     .value = raw_read(word->offset, 8),
                                     .source = stores[word->order[word->count - 1]].event});
        done += 8 - at % 8;
    }
    memcpy(to, model_bytes(address), length);
}

void model_read_racing(void *to, const void *address, uint64_t length, const struct model_site *site)
{
    last_site = site;
    if (run.alone) {
        memcpy(to, model_bytes(address), length);
        return;
    }
    leave_waiting();
    const struct reading reading = {.races = true};
    for (uint64_t done = 0; done < length;) {
        const uint8_t *at = (const uint8_t *)address + done;
        uint64_t skip = offset_of(at) % 8;
        uint64_t piece = 8 - skip < length - done ? 8 - skip : length - done;
        struct operation operation = operation_on(at);
        operation.reading = reading;
        turn_await(&operation);
        struct word *word = word_of(offset_of(at));
        const struct store *store =
            &stores[read_store(word, MODEL_RELAXED, &reading, NULL, locals[run.self].window, site)];
        memcpy((uint8_t *)to + done, (const uint8_t *)&store->value + skip, piece);
        trace_load(EVENT_READ, word, store, store->value, MODEL_RELAXED, site);
        turn_taken();
        done += piece;
    }
}

void memory_flush(void)
{
    do_delayed();
}
