/*
 * Events, semaphores and mutexes: a page with a name of its own, and futexes.
 *
 * What is waited for is one word. Who changes it always wakes, without looking whether anybody sleeps: a count of
 * sleepers would stay wrong when one of them is killed. Who is woken and killed before he acts has used up a
 * wakeup, so every sleep has a bounded quantum.
 *
 * A mutex is a lock of the system's on the page's file (liveness.c), which goes with its holder; the word only
 * says when to try again. A second word tells the next whether the one before gave it up or died.
 *
 * A child of fork() keeps the locks of a parent that died. So the locks are numbered, and which of them is the mutex is
 * said by a word, its turn: who finds that the owner has surely ended takes the next lock, and moves the mutex there.
 */
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "../validate.h"
#include "linux.h"

#define QUANTUM_NS 100000000u
#define PAGE_BYTES 4096u
#define MUTEX_LOCKS 1024u

/* A mutex: who had it last, for his turn. */
struct owner {
    shared64 turn; /* stored last; while it is not the page's turn, the rest means nothing */
    shared64 pid;
    shared64 place;
    shared64 start;
};

struct sync_page {
    struct segment_header header;
    uint8_t unused0[512 - sizeof(struct segment_header)];
    /*
     * A semaphore: its permits. An auto-reset event: 1 if it is set. A manual-reset event: bit 0 if it is set, and
     * above it how often it was. A mutex: changes when it is unlocked.
     */
    shared32 signal;
    uint8_t unused1[BLOCK_SIZE - 4];
    shared32 locked; /* a mutex: 1 from being locked to being unlocked */
    uint8_t unused2[4];
    shared64 turn; /* a mutex: the number of the lock that it is, and from bit 32 on how often it was locked */
    struct owner owner;
};

static_assert(offsetof(struct sync_page, signal) == 512, "format 1");
static_assert(offsetof(struct sync_page, locked) == 640, "format 1");
static_assert(offsetof(struct sync_page, turn) == 648, "format 1");
static_assert(offsetof(struct sync_page, owner) == 656, "format 1");

struct platform_sync {
    struct platform_segment *segment;
    struct sync_page *page;
    uint32_t kind;
    uint32_t maximum; /* of a semaphore; of an event 1 for manual reset */
    bool held;        /* a mutex, by this handle, */
    uint32_t lock;    /* which is this lock */
    struct platform_process self;
};

#define WORD_SET 1u
#define WORD_TIME 2u

static void wake(shared32 *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

/* Opening. */

static int32_t map_page(struct platform_sync *sync)
{
    void *address;
    int32_t status = platform_map(sync->segment, 0, PAGE_BYTES, true, &address);
    if (status == MAPRING_OK)
        sync->page = address;
    return status;
}

static int32_t open_existing(const struct platform_target *target, struct platform_sync *sync)
{
    int32_t status = platform_segment_open(target, PLATFORM_ATTACH, &sync->segment);
    if (status < 0)
        return status;
    sync->maximum = (uint32_t)platform_segment_header(sync->segment)->size;
    return map_page(sync);
}

static int32_t create_new(const struct platform_target *target, const struct platform_sync_start *start,
                          struct platform_sync *sync)
{
    const char *name = canonical_name(target->name);
    struct segment_header header = {
        .magic = {IDENTITY_MAGIC},
        .kind = target->kind,
        .format_version = MAPRING_FORMAT_VERSION,
        .segment_size = PAGE_BYTES,
        .size = start->maximum,
        .created_ns = platform_time_ns(),
    };
    memcpy(header.name, name, strlen(name));
    sync->maximum = start->maximum;
    int32_t status = platform_random(header.segment_id);
    const struct platform_extent extent = {0, PAGE_BYTES};
    if (status == MAPRING_OK)
        status = platform_segment_create(target, PAGE_BYTES, &extent, 1, &sync->segment);
    if (status == MAPRING_OK)
        status = map_page(sync);
    if (status < 0)
        return status;
    /* Nobody else sees it yet. */
    store32_relaxed(&sync->page->signal, start->count);
    return platform_segment_publish(sync->segment, &header);
}

static void release(struct platform_sync *sync)
{
    if (sync->page != NULL && platform_segment_is_ours(sync->segment))
        platform_unmap(sync->page, PAGE_BYTES);
    platform_segment_close(sync->segment);
    sync->page = NULL;
    sync->segment = NULL;
}

/* Others may create, leave and clear away the same name at any moment, so that the next attempt finds something else.
 */
#define OPEN_ROUNDS 50
#define OPEN_PAUSE_NS 1000000u

static int32_t open_among_others(const struct platform_target *target, uint32_t mode,
                                 const struct platform_sync_start *start, struct platform_sync *sync)
{
    for (int round = 1;; round++) {
        int32_t status = open_existing(target, sync);
        if (status == MAPRING_OK && mode != MAPRING_CREATE_NEW)
            return 1;
        if (status == MAPRING_OK)
            status = MAPRING_EXISTS;
        release(sync);
        if (status == MAPRING_NOT_FOUND && mode != MAPRING_OPEN_EXISTING) {
            status = create_new(target, start, sync);
            if (status == MAPRING_OK)
                return 0;
            release(sync);
        }
        if (status != MAPRING_EXISTS || mode == MAPRING_CREATE_NEW || round == OPEN_ROUNDS)
            return status;
        platform_segment_await(target->name, platform_clock_ns() + OPEN_PAUSE_NS);
    }
}

int32_t platform_sync_open(const struct platform_target *target, uint32_t mode, const struct platform_sync_start *start,
                           struct platform_sync **out)
{
    struct platform_sync *sync = calloc(1, sizeof *sync);
    if (sync == NULL)
        return MAPRING_NO_MEMORY;
    sync->kind = target->kind;
    if (sync->kind == MAPRING_KIND_MUTEX)
        platform_process_self(&sync->self);
    int32_t status = open_among_others(target, mode, start, sync);
    if (status < 0) {
        free(sync);
        return status;
    }
    *out = sync;
    return status;
}

void platform_sync_close(struct platform_sync *sync)
{
    if (sync == NULL)
        return;
    /* A mutex that is held goes with its lock, as when its holder dies; but who waits can be told at once. */
    bool wakes = sync->held && platform_segment_is_ours(sync->segment);
    if (wakes) {
        platform_unlock(sync->segment, sync->lock);
        fetch_add32(&sync->page->signal, 1);
        wake(&sync->page->signal, 1);
    }
    release(sync);
    free(sync);
}

bool platform_sync_is_ours(const struct platform_sync *sync)
{
    return platform_segment_is_ours(sync->segment);
}

/* Waiting. */

/* Takes one from the word if it is not 0. */
static bool take_permit(shared32 *word)
{
    /* Pairs with the additions in give(): what was written before a permit was given is seen by who takes it. */
    uint32_t permits = load32_acquire(word);
    while (permits != 0) {
        if (compare_and_swap32(word, permits, permits - 1))
            return true;
        permits = load32_acquire(word);
    }
    return false;
}

/* Mutexes. */

#define TURN_ONE ((uint64_t)1 << 32)

static uint32_t lock_of(uint64_t turn)
{
    return (uint32_t)turn % MUTEX_LOCKS;
}

/* The turn of who takes the mutex as this lock. */
static uint64_t turn_after(uint64_t turn, uint32_t lock)
{
    return ((turn & ~(TURN_ONE - 1)) + TURN_ONE) | lock;
}

static void say_who_owns(struct platform_sync *sync, uint64_t turn)
{
    struct owner *owner = &sync->page->owner;
    store64_relaxed(&owner->turn, ~turn);
    /* Pairs with the fence in owner_is_gone(): who reads any of these does not find the turn before them. */
    fence_release();
    store64_relaxed(&owner->pid, sync->self.pid);
    store64_relaxed(&owner->place, sync->self.place);
    store64_relaxed(&owner->start, sync->self.start);
    /* Pairs with the first load in owner_is_gone(). */
    store64_release(&owner->turn, turn);
}

/* Whether who has the mutex in this turn has surely ended, and only a child of his keeps its lock. */
static bool owner_is_gone(const struct platform_sync *sync, uint64_t turn)
{
    const struct owner *owner = &sync->page->owner;
    /* Pairs with the release in say_who_owns(). */
    if (load64_acquire(&owner->turn) != turn)
        return false;
    struct platform_process process = {
        .pid = (uint32_t)load64_relaxed(&owner->pid),
        .place = load64_relaxed(&owner->place),
        .start = load64_relaxed(&owner->start),
    };
    /* Pairs with the fence in say_who_owns(). */
    fence_acquire();
    return load64_relaxed(&owner->turn) == turn && platform_process_gone(&process);
}

/* The mutex is taken with its lock, or with the next one from an owner who is gone; of two who try, one moves the turn.
 */
static int32_t try_turn(struct platform_sync *sync, bool probes, uint64_t *turn)
{
    /* Pairs with the swap below, by whoever had the turn before. */
    uint64_t before = load64_acquire(&sync->page->turn);
    uint32_t lock = lock_of(before);
    int32_t status = platform_lock(sync->segment, lock);
    if (status == 0 && probes && owner_is_gone(sync, before)) {
        lock = (lock + 1) % MUTEX_LOCKS;
        status = platform_lock(sync->segment, lock);
    }
    if (status != 1)
        return status;
    *turn = turn_after(before, lock);
    /* Pairs with the load above, of who comes next. */
    if (compare_and_swap64(&sync->page->turn, before, *turn)) {
        sync->lock = lock;
        return 1;
    }
    platform_unlock(sync->segment, lock);
    return 0;
}

/* MAPRING_OK if the mutex is ours now, MAPRING_ABANDONED if who had it did not unlock it, MAPRING_TIMEOUT if somebody
 * has it. */
static int32_t try_lock(struct platform_sync *sync, bool probes)
{
    uint64_t turn = 0;
    int32_t status = try_turn(sync, probes, &turn);
    if (status <= 0)
        return status < 0 ? status : MAPRING_TIMEOUT;
    sync->held = true;
    say_who_owns(sync, turn);
    /* Pairs with the release in unlock_mutex(), or with the death of who stored 1: the lock came after either. */
    uint32_t before = load32_acquire(&sync->page->locked);
    store32_relaxed(&sync->page->locked, 1);
    return before == 0 ? MAPRING_OK : MAPRING_ABANDONED;
}

/* One look. `first` is the word when the wait began, `*now` gets what it is; `probes`: it has been some time.
 * MAPRING_TIMEOUT: not yet. */
static int32_t look(struct platform_sync *sync, uint32_t first, bool probes, uint32_t *now)
{
    shared32 *word = &sync->page->signal;
    /* Before the look, so that a sleep on this value is none if the word changes behind it. Pairs with the changes in
     * give(), set_for_all() and unlock_mutex(). */
    *now = load32_acquire(word);
    if (sync->kind == MAPRING_KIND_MUTEX)
        return try_lock(sync, probes);
    if (sync->kind == MAPRING_KIND_EVENT && sync->maximum == 1)
        return (*now & WORD_SET) != 0 || *now / WORD_TIME != first / WORD_TIME ? MAPRING_OK : MAPRING_TIMEOUT;
    return take_permit(word) ? MAPRING_OK : MAPRING_TIMEOUT;
}

int32_t platform_sync_wait(struct platform_sync *sync, uint64_t deadline_ns)
{
    if (sync->held)
        return MAPRING_LOCKED;
    /* Pairs with set_for_all(). */
    uint32_t first = load32_acquire(&sync->page->signal);
    uint64_t quantum = 0;
    for (;;) {
        uint32_t seen;
        int32_t status = look(sync, first, quantum != 0 && platform_clock_ns() >= quantum, &seen);
        if (status != MAPRING_TIMEOUT)
            return status;
        uint64_t now = platform_clock_ns();
        if (now >= deadline_ns)
            return MAPRING_TIMEOUT;
        quantum = now + QUANTUM_NS;
        linux_futex_wait(&sync->page->signal, seen, quantum < deadline_ns ? quantum : deadline_ns,
                         FUTEX_BITSET_MATCH_ANY);
    }
}

/* Changing. */

/* Adds permits up to the maximum; an event that is set already stays so. */
static int32_t give(struct platform_sync *sync, uint32_t count)
{
    bool is_event = sync->kind == MAPRING_KIND_EVENT;
    uint32_t maximum = is_event ? 1 : sync->maximum;
    shared32 *word = &sync->page->signal;
    uint32_t before;
    do {
        /* Nothing is ordered by this look: what counts is the swap. */
        before = load32_acquire(word);
        if (before > maximum || count > maximum - before)
            return is_event ? MAPRING_OK : MAPRING_FULL;
        /* Releases what was written before to take_permit(). */
    } while (!compare_and_swap32(word, before, before + count));
    wake(word, count < INT_MAX ? (int)count : INT_MAX);
    return is_event ? MAPRING_OK : (int32_t)before;
}

static int32_t set_for_all(shared32 *word)
{
    uint32_t before;
    do {
        /* As above. */
        before = load32_acquire(word);
        if ((before & WORD_SET) != 0)
            return MAPRING_OK;
        /* Releases what was written before to look(). */
    } while (!compare_and_swap32(word, before, (before + WORD_TIME) | WORD_SET));
    wake(word, INT_MAX);
    return MAPRING_OK;
}

static int32_t unlock_mutex(struct platform_sync *sync)
{
    if (!sync->held)
        return MAPRING_NOT_LOCKED;
    /* Pairs with try_lock(), which is behind the lock that is given up next. */
    store32_release(&sync->page->locked, 0);
    int32_t status = linux_unlock(sync->segment, sync->lock);
    if (status < 0) {
        /* Refused: it is ours still, and should we die, who comes next is to be told. */
        store32_relaxed(&sync->page->locked, 1);
        return status;
    }
    sync->held = false;
    /* Who read the word before this, and found the lock taken, does not sleep. */
    fetch_add32(&sync->page->signal, 1);
    wake(&sync->page->signal, 1);
    return MAPRING_OK;
}

int32_t platform_sync_signal(struct platform_sync *sync, uint32_t count)
{
    if (sync->kind == MAPRING_KIND_MUTEX)
        return unlock_mutex(sync);
    if (sync->kind == MAPRING_KIND_EVENT && sync->maximum == 1)
        return set_for_all(&sync->page->signal);
    return give(sync, count);
}

int32_t platform_sync_reset(struct platform_sync *sync)
{
    shared32 *word = &sync->page->signal;
    uint32_t before;
    do {
        /* Nothing is ordered by resetting. */
        before = load32_acquire(word);
        if ((before & WORD_SET) == 0)
            return MAPRING_OK;
    } while (!compare_and_swap32(word, before, before & ~WORD_SET));
    return MAPRING_OK;
}
