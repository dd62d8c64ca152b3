/*
 * What the dead and the slow leave: docs/design.md P7 and P11. Only when there is no room.
 */
#include <mapring/mapring.h>

#include "life.h"
#include "producer.h"
#include "record.h"
#include "registry.h"
#include "slot.h"

static void count_one(shared64 *counter)
{
    store64_relaxed(counter, load64_relaxed(counter) + 1);
}

/* Whether a place without a process has left the producer without room for as long as it may. */
static bool is_overdue(const struct mapring_producer *producer, uint64_t *dead_since, uint64_t now)
{
    if (*dead_since == 0)
        *dead_since = now;
    return producer->full_since != 0 &&
           now - max64(*dead_since, producer->full_since) >= producer->ring.geometry.hold_ns;
}

/* Returns whether the slot counts no longer. */
static bool reclaim_slot(struct mapring_producer *producer, uint32_t number, uint64_t now)
{
    struct ring *ring = &producer->ring;
    struct slot *slot = &ring->readers->slots[number];
    uint64_t *dead_since = &producer->dead_since[number];
    uint64_t before = load64_relaxed(&slot->state);
    if (before == 0 && load64_relaxed(&slot->cursor) == NO_POSITION)
        return false;
    enum slot_life life = slot_examine(ring, number);
    uint64_t state = load64_relaxed(&slot->state);
    /* An orphan's lock is not ours: it may be somebody else's slot by now. */
    if (life == SLOT_LIVES || (life == SLOT_ORPHANED && state != before)) {
        *dead_since = 0;
        return false;
    }
    bool named = (state & SLOT_NAMED) != 0;
    bool kept = slot_is_kept(slot);
    bool freed = (state & SLOT_LET_GO) == 0 && (!kept || (named && is_overdue(producer, dead_since, now)));
    /* What a member had waits for another member; group_drop() ends it. */
    if (freed && (named || life == SLOT_ORPHANED)) {
        if (compare_and_swap64(&slot->state, state, state | SLOT_LET_GO) && named)
            count_one(&ring->stream->evictions);
    }
    if (life == SLOT_DEAD)
        slot_leave(ring, number, named || kept);
    return freed;
}

static bool reclaim_group(struct mapring_producer *producer, uint32_t group, uint64_t now)
{
    struct ring *ring = &producer->ring;
    uint64_t *dead_since = &producer->dead_since[ring->geometry.slot_count + group];
    if (group_lives(ring, group, NO_SLOT)) {
        *dead_since = 0;
        return false;
    }
    if (!is_overdue(producer, dead_since, now) || !registry_try_lock(ring))
        return false;
    bool dead = !group_lives(ring, group, NO_SLOT);
    if (dead) {
        group_drop(ring, group);
        count_one(&ring->stream->evictions);
    }
    registry_unlock(ring);
    *dead_since = 0;
    return dead;
}

uint32_t reclaim_dead(struct mapring_producer *producer)
{
    struct ring *ring = &producer->ring;
    uint64_t now = platform_clock_ns();
    uint32_t count = 0;
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++)
        count += reclaim_slot(producer, i, now);
    uint64_t groups = load64_relaxed(&ring->readers->groups_used);
    for (uint32_t i = 0; i < GROUPS_MAX; i++)
        if ((groups >> i & 1) != 0)
            count += reclaim_group(producer, i, now);
    return count;
}

/* Also who finds its place again, after it was let go or under its name, and stands still or died: slot_announce() sees
 * it. A state of 0 may become a member's. */
static bool may_be_let_go(uint64_t state)
{
    uint64_t kind = state & SLOT_KIND_MASK;
    return (state & SLOT_LET_GO) == 0 && (kind == MAPRING_RELIABLE || (kind == 0 && state != 0));
}

uint32_t let_go_slow(struct mapring_producer *producer, uint64_t end)
{
    struct ring *ring = &producer->ring;
    uint64_t capacity = ring->geometry.capacity;
    bool evict = ring->geometry.slow_policy == MAPRING_SLOW_EVICT;
    uint32_t count = 0;
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        struct slot *slot = &ring->readers->slots[i];
        uint64_t state = load64_relaxed(&slot->state);
        uint64_t cursor = load64_relaxed(&slot->cursor);
        /* Below what was acted on it does not count: one that comes back has not found out yet. */
        if (!may_be_let_go(state) || cursor < overwritten_below(producer->acted, capacity) ||
            cursor >= overwritten_below(end, capacity))
            continue;
        uint64_t kind = evict ? MAPRING_RELIABLE : MAPRING_LOSSY;
        /* Its owner may change the state, and is then not slow. */
        if (!compare_and_swap64(&slot->state, state, (state & ~SLOT_KIND_MASK) | kind | SLOT_LET_GO))
            continue;
        count_one(evict ? &ring->stream->evictions : &ring->stream->demotions);
        count++;
    }
    /* Who sleeps looks why it is woken. */
    if (count > 0)
        wake_all(producer);
    return count;
}
