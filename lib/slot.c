#include "slot.h"

#include <mapring/mapring.h>

#include "life.h"
#include "record.h"

/* A fast producer without consumers may overtake who joins, again and again: most easily at the oldest mark. */
#define JOIN_ROUNDS 10000
#define OLDEST_ROUNDS 100

/* Others hold a slot's lock for a moment when they look whether its consumer lives. */
#define LOOKS 10
#define LOOK_PAUSE_NS 1000000u

bool slot_is_kept(const struct slot *slot)
{
    uint64_t state = load64_relaxed(&slot->state);
    if ((state & SLOT_LET_GO) != 0)
        return false;
    if ((state & SLOT_NAMED) != 0)
        return true;
    return (state & SLOT_KIND_MASK) == MAPRING_MEMBER && load64_relaxed(&slot->cursor) != NO_POSITION &&
           load64_relaxed(&slot->end) != 0;
}

/* The lock comes first: what a dead holder left is then ours to overwrite. Names of those that were let go are kept
 * for as long as there are other slots. */
static int32_t lock_free_slot(struct ring *ring, bool forget_names, uint32_t *number)
{
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        int32_t taken = platform_lock(ring->segment, SLOT_NUMBER(i));
        if (taken < 0)
            return taken;
        if (taken == 0)
            continue;
        const struct slot *slot = &ring->readers->slots[i];
        bool named = (load64_relaxed(&slot->state) & SLOT_NAMED) != 0;
        if (!slot_is_kept(slot) && (!named || forget_names)) {
            *number = i;
            return MAPRING_OK;
        }
        platform_unlock(ring->segment, SLOT_NUMBER(i));
    }
    return MAPRING_NO_SLOT;
}

/* Whether some slot is free, though its lock is held: by somebody who looks whether its consumer is dead. */
static bool is_looked_at(const struct ring *ring)
{
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++)
        if (load64_relaxed(&ring->readers->slots[i].state) == 0 || !slot_lives(ring, i))
            return true;
    return false;
}

int32_t slot_take(struct ring *ring, uint32_t *number)
{
    int32_t status = MAPRING_NO_SLOT;
    for (int look = 0; look < LOOKS && status == MAPRING_NO_SLOT; look++) {
        status = lock_free_slot(ring, false, number);
        if (status == MAPRING_NO_SLOT)
            status = lock_free_slot(ring, true, number);
        if (status != MAPRING_NO_SLOT || !is_looked_at(ring))
            break;
        platform_sleep(LOOK_PAUSE_NS);
    }
    if (status < 0)
        return status;
    struct slot *slot = &ring->readers->slots[*number];
    /* Release: pairs with the fence in advance_frontier(). The reads of who held the slot before are over, which
     * came with its lock. */
    store64_release(&slot->cursor, NO_POSITION);
    /* Release: as in slot_leave(), whose store it hides. */
    store64_release(&slot->state, 0);
    store64_relaxed(&slot->end, 0);
    store64_relaxed(&slot->lost, 0);
    store64_relaxed(&slot->redelivered, 0);
    /* Like the cursor before the fence in slot_place_at(): the producer looks only at slots with a bit. */
    or64(&ring->readers->used, (uint64_t)1 << *number / SLOTS_PER_BIT);
    return MAPRING_OK;
}

bool slot_place_at(struct ring *ring, uint32_t number, struct mark mark)
{
    slot_tell(&ring->readers->slots[number], mark);
    /* Pairs with the fence in advance_frontier(): either the producer sees our cursor and goes no further, or we
     * see its frontier. */
    fence_full();
    uint64_t frontier = load64_relaxed(&ring->stream->frontier);
    return mark.position >= overwritten_below(frontier, ring->geometry.capacity);
}

int32_t slot_place(struct ring *ring, uint32_t number, struct start start, struct mark *mark)
{
    for (int round = 0; round < JOIN_ROUNDS; round++) {
        if (round == OLDEST_ROUNDS)
            start.at = NEWEST;
        uint64_t frontier = load64_relaxed(&ring->stream->frontier);
        if (index_find(ring, frontier, start, mark) && slot_place_at(ring, number, *mark))
            return MAPRING_OK;
    }
    return MAPRING_CORRUPT;
}

bool slot_told(const struct slot *slot, struct mark *mark)
{
    uint64_t cursor = load64_relaxed(&slot->cursor);
    uint64_t word = load64_relaxed(&slot->mark);
    if (cursor >= NO_POSITION - 2 * CAPACITY_MAX || cursor % 8 != 0)
        return false;
    *mark = (struct mark){
        .position = mark_position_from(word, cursor),
        .sequence = mark_sequence_near(word, load64_relaxed(&slot->sequence)),
    };
    return true;
}

void slot_announce(struct slot *slot, uint64_t kind_and_flags)
{
    struct platform_process self;
    platform_process_self(&self);
    store64_relaxed(&slot->place, self.place);
    store64_relaxed(&slot->start, self.start);
    uint64_t taken = load64_relaxed(&slot->taken) + 1;
    store64_relaxed(&slot->taken, taken);
    uint64_t own = (uint64_t)self.pid << SLOT_PID_SHIFT | (taken << SLOT_COUNT_SHIFT & SLOT_COUNT_MASK);
    uint64_t state, announced;
    do {
        state = load64_relaxed(&slot->state);
        announced = own | kind_and_flags;
        /* Who was let go while it looked for its place is told so like any other. */
        if ((state & SLOT_LET_GO) != 0)
            announced = (announced & ~SLOT_KIND_MASK) | (state & (SLOT_KIND_MASK | SLOT_LET_GO));
        /* Pairs with the acquire loads in consumers_fence() and is_orphaned(). Fails only if the producer lets go of
         * the slot. */
    } while (!compare_and_swap64(&slot->state, state, announced));
}

void slot_leave(struct ring *ring, uint32_t number, bool kept)
{
    struct slot *slot = &ring->readers->slots[number];
    if (!kept) {
        /* Pairs with the fence in advance_frontier(): our reads are over. */
        store64_release(&slot->cursor, NO_POSITION);
        /* Release: pairs with the fence in others_have_messages(): who sees that the place is gone sees where it went.
         */
        store64_release(&slot->state, 0);
    }
    platform_unlock(ring->segment, SLOT_NUMBER(number));
}
