/*
 * The memory model: RC11 without load buffering, as steps.
 *
 * Each word has an order of its stores. A thread may read any store that is
 * not behind what it knows of: what it has read or stored, what happened before
 * that, and what full fences passed on. It may put a store anywhere in the
 * order where that is so, but not between an update and the store it read. A
 * store carries what its thread knew if it is a release, else what that knew at
 * its last release fence; an update passes on what it read besides. An acquire
 * gains what the store carries, a later acquire fence gains it for a relaxed
 * load. Full fences are passed in some order, and each knows what the ones
 * before it knew.
 *
 * Loads read stores that were done before them: no load buffering. Release
 * sequences are those of C++20: continued by updates alone, and not by plain
 * stores of the same thread as in RC11, which allows more behaviours.
 */
#include <string.h>

#include "memory.h"

#define WORDS (MODEL_SHARED_SIZE / 8)
#define STORES_MAX 65536u
#define ACCESSES_MAX 262144u
#define ORDERS_MAX 262144u
#define LOCATIONS_MAX 16384u
#define MEMOS 4096u

struct store stores[STORES_MAX];
static uint32_t store_count;
static struct access accesses[ACCESSES_MAX];
static uint32_t access_count;
static uint32_t orders[ORDERS_MAX];
static uint32_t order_count;
static struct word words[LOCATIONS_MAX];
static uint32_t word_count;
static uint32_t word_at[WORDS];
static uint64_t word_execution[WORDS];
static struct memo memos[MODEL_THREADS_MAX][MEMOS];
static uint64_t execution;
static struct clocks fences_seen; /* what the full fences so far knew */

void memory_reset(void)
{
    shared_reset();
    accesses_reset();
    execution++;
    store_count = access_count = 1; /* 0 is none */
    order_count = word_count = 0;
    memset(&fences_seen, 0, sizeof fences_seen);
}

/* Words, their stores, and who did what to them. */

static uint32_t *order_room(uint32_t count)
{
    if (order_count + count > ORDERS_MAX)
        run_over(RUN_BOUND);
    order_count += count;
    return &orders[order_count - count];
}

uint32_t new_store(uint64_t value)
{
    if (store_count == STORES_MAX)
        run_over(RUN_BOUND);
    struct store *store = &stores[store_count];
    memset(store, 0, sizeof *store);
    store->value = value;
    return store_count++;
}

struct word *word_of(uint64_t offset)
{
    uint64_t number = offset / 8;
    if (word_execution[number] == execution)
        return &words[word_at[number]];
    if (word_count == LOCATIONS_MAX)
        run_over(RUN_BOUND);
    struct word *word = &words[word_count];
    memset(word, 0, sizeof *word);
    word->offset = offset & ~(uint64_t)7;
    word->room = 4;
    word->order = order_room(word->room);
    word->order[word->count++] = new_store(raw_read(word->offset, 8)); /* from before the threads */
    word_at[number] = word_count++;
    word_execution[number] = execution;
    return word;
}

void note_access(struct word *word, uint32_t store, bool reads)
{
    const struct thread *self = self_thread();
    if (access_count == ACCESSES_MAX)
        run_over(RUN_BOUND);
    accesses[access_count] = (struct access){
        .previous = word->last[run.self],
        .store = store,
        .step = self->step,
        .turn = self->turn,
        .transition = self->transition,
        .reads = reads,
    };
    word->last[run.self] = access_count++;
}

/* The position of the newest store that the thread may not go behind. */
uint32_t floor_of(const struct thread *thread, const struct word *word)
{
    uint32_t floor = 0;
    for (uint32_t t = 0; t < run.program->thread_count; t++) {
        for (uint32_t a = word->last[t]; a != 0; a = accesses[a].previous) {
            const struct store *store = &stores[accesses[a].store];
            if (accesses[a].step <= thread->current.seen.at[t] && !store->lost) {
                if (store->position > floor)
                    floor = store->position;
                break;
            }
        }
    }
    return floor;
}

bool memory_can_read(const struct thread *thread, uint64_t watermark)
{
    const struct operation *operation = &thread->operation;
    const struct word *word = word_of(offset_of(operation->address));
    uint32_t floor = floor_of(thread, word);
    const struct store *least = operation->floor;
    if (least != NULL && least->position > floor)
        floor = least->position;
    for (uint32_t p = word->count; p-- > floor;) {
        const struct store *store = &stores[word->order[p]];
        if (store->serial >= watermark && !(store->taken && is_updated(store, &operation->reading)))
            return true;
    }
    return false;
}

bool memory_can_read_value(uint32_t thread, const void *address, uint32_t size, uint64_t value)
{
    const struct word *word = word_of(offset_of(address));
    for (uint32_t p = floor_of(&run.threads[thread], word); p < word->count; p++) {
        uint64_t stored = stores[word->order[p]].value;
        if ((size == 4 ? (uint32_t)stored : stored) == value)
            return true;
    }
    return false;
}

const void *memory_latest_known(const void *address)
{
    const struct word *word = word_of(offset_of(address));
    return &stores[word->order[floor_of(self_thread(), word)]];
}

const void *memory_newer(const void *store, const void *other)
{
    const struct store *a = store, *b = other;
    return b == NULL || (a != NULL && a->position > b->position) ? a : b;
}

void count_step(void)
{
    struct thread *self = self_thread();
    self->step++;
    self->current.seen.at[run.self] = self->current.before.at[run.self] = self->step;
    run.accesses++;
}

/* Data races. */

void check_race(const struct word *word, const struct clocks *others, const char *what, const char *mine,
                const struct model_site *site)
{
    const struct thread *self = self_thread();
    for (uint32_t t = 0; t < run.program->thread_count; t++)
        if (t != run.self && others->at[t] > self->current.before.at[t])
            model_fail("data race: %s at offset %llu (%s:%u, %s) with the %s of thread %u", mine,
                       (unsigned long long)word->offset, site->file, site->line, site->text, what, t);
}

/* Choosing what to read. */

struct memo *memo_of(const struct word *word, const struct model_site *site)
{
    size_t key = ((uintptr_t)site >> 5) * 67 + (size_t)(word - words) * 3;
    for (uint32_t probe = 0; probe < MEMOS; probe++) {
        struct memo *memo = &memos[run.self][(key + probe) % MEMOS];
        if (memo->execution != execution)
            *memo = (struct memo){.execution = execution, .site = site, .word = word};
        if (memo->site == site && memo->word == word)
            return memo;
    }
    run_over(RUN_BOUND);
}

/* Chooses among the stores that the current thread may read, by default the newest first. */
static uint32_t choose_store(struct word *word, uint32_t floor, const struct reading *reading, const struct memo *memo)
{
    uint64_t watermark = self_thread()->watermark;
    uint32_t count = word->count - floor;
    if (count == 1)
        return word->order[floor];
    if (count > OPTIONS_MAX)
        run_over(RUN_BOUND);
    uint32_t options[OPTIONS_MAX];
    bool allowed[OPTIONS_MAX];
    uint32_t fresh = 0;
    for (uint32_t i = 0; i < count; i++) {
        options[i] = word->order[run.program->oldest_first ? floor + i : word->count - 1 - i];
        const struct store *store = &stores[options[i]];
        allowed[i] = store->serial >= watermark && !(store->taken && is_updated(store, reading));
        fresh += allowed[i] && options[i] != memo->store;
    }
    for (uint32_t i = 0; memo->repeats >= REPEATS_MAX && fresh > 0 && i < count; i++)
        if (options[i] == memo->store && allowed[i]) {
            allowed[i] = false;
            run.impatient = true;
        }
    return options[choose_among(allowed, count)];
}

/* What follows from reading the store. */
static void gain(const struct store *store, enum model_order order)
{
    struct thread *self = self_thread();
    clocks_join(&self->cause, &store->cause);
    if (order == MODEL_ACQUIRE || order == MODEL_ACQUIRE_RELEASE)
        view_join(&self->current, &store->view);
    else
        view_join(&self->acquired, &store->view);
}

uint32_t read_store(struct word *word, enum model_order order, const struct reading *reading, const void *least_store,
                    uint64_t window, const struct model_site *site)
{
    struct thread *self = self_thread();
    struct memo *memo = memo_of(word, site);
    const struct store *least = least_store;
    uint32_t floor = floor_of(self, word);
    if (least != NULL && least->position > floor)
        floor = least->position;
    uint32_t read = choose_store(word, floor, reading, memo);
    count_step();
    gain(&stores[read], order);
    stores[read].seen |= stores[read].thread != run.self;
    if (!reading->races) {
        check_race(word, &word->plain_writes, "plain write", "atomic read", site);
        word->atomic_reads.at[run.self] = self->step;
    }
    note_access(word, read, true);
    memo->repeats = memo->store == read ? memo->repeats + 1 : 0;
    memo->store = read;
    memo->window = window;
    return read;
}

/* Others have read the word before, and might read what the current thread is about to store. */
void race_with_readers(const struct word *word)
{
    const struct thread *self = self_thread();
    for (uint32_t t = 0; t < run.program->thread_count; t++)
        if (t != run.self)
            for (uint32_t a = word->last[t]; a != 0 && accesses[a].turn > self->cause.at[t]; a = accesses[a].previous)
                if (accesses[a].reads)
                    turn_race(t, accesses[a].turn, accesses[a].transition);
}

/* Puts a store at this position of its word. */
void place_store(struct word *word, uint32_t position, uint32_t number, uint32_t size, enum model_order order)
{
    struct thread *self = self_thread();
    if (word->count == word->room) {
        uint32_t *more = order_room(2 * word->room);
        memcpy(more, word->order, word->count * sizeof *more);
        word->order = more;
        word->room *= 2;
    }
    memmove(&word->order[position + 1], &word->order[position], (word->count - position) * sizeof *word->order);
    word->order[position] = number;
    word->count++;
    for (uint32_t p = position; p < word->count; p++)
        stores[word->order[p]].position = p;

    struct store *store = &stores[number];
    store->word = word;
    store->thread = run.self;
    view_join(&store->view,
              order == MODEL_RELEASE || order == MODEL_ACQUIRE_RELEASE ? &self->current : &self->released);
    store->cause = self->cause;
    store->serial = run.stores++;
    if (position + 1 == word->count)
        raw_write(word->offset, size, store->value);
}

/* Death. */

/* Among the stores of one access there may be what was there before, which no thread stored. */
bool memory_can_lose(uint32_t number)
{
    const struct store *store = &stores[number];
    return store->word == NULL ||
           (!store->seen && !store->taken && accesses[store->word->last[store->thread]].store == number);
}

void memory_lose(uint32_t number)
{
    struct store *store = &stores[number];
    struct word *word = store->word;
    if (word == NULL)
        return;
    store->lost = true;
    word->count--;
    for (uint32_t p = store->position; p < word->count; p++) {
        word->order[p] = word->order[p + 1];
        stores[word->order[p]].position = p;
    }
    raw_write(word->offset, 8, stores[word->order[word->count - 1]].value);
}

/* Full fences. */

void memory_fence_in(uint32_t number, bool acquires, bool releases)
{
    struct thread *thread = &run.threads[number];
    if (acquires)
        view_join(&thread->current, &thread->acquired);
    clocks_join(&thread->current.seen, &fences_seen);
    clocks_join(&fences_seen, &thread->current.seen);
    if (releases)
        thread->released = thread->current;
}
