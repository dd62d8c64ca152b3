#include "slot.h"

#include <mapring/mapring.h>

#include "record.h"

/* A fast producer without consumers may overtake who joins, again and again: most easily at the oldest mark. */
#define JOIN_ROUNDS 10000
#define OLDEST_ROUNDS 100

/* The lock comes first: what a dead holder left is then ours to overwrite. */
static int32_t lock_free_slot(struct ring *ring, uint32_t *slot)
{
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        int32_t taken = platform_lock(ring->segment, SLOT_NUMBER(i));
        if (taken < 0)
            return taken;
        if (taken == 1) {
            *slot = i;
            return MAPRING_OK;
        }
    }
    return MAPRING_NO_SLOT;
}

static int32_t place_cursor(struct ring *ring, enum index_end start, struct slot *slot, struct mark *mark)
{
    const struct stream *stream = ring->stream;
    for (int round = 0; round < JOIN_ROUNDS; round++) {
        uint64_t frontier = load64_relaxed(&stream->frontier);
        if (!index_find(ring, frontier, round < OLDEST_ROUNDS ? start : NEWEST, mark))
            continue;
        store64_relaxed(&slot->sequence, mark->sequence);
        /* As in slot_join(). */
        store64_release(&slot->cursor, mark->position);
        /* Pairs with the fence in advance_frontier(): either the producer sees our cursor and goes no further, or we
         * see its frontier. */
        fence_full();
        frontier = load64_relaxed(&stream->frontier);
        if (mark->position >= overwritten_below(frontier, ring->geometry.capacity))
            return MAPRING_OK;
    }
    return MAPRING_CORRUPT;
}

int32_t slot_join(struct ring *ring, enum index_end start, uint32_t *number, struct mark *mark)
{
    int32_t status = lock_free_slot(ring, number);
    if (status < 0)
        return status;
    struct slot *slot = &ring->readers->slots[*number];
    /* Release: pairs with the fence in advance_frontier(). The reads of who held the slot before are over, which
     * came with its lock. */
    store64_release(&slot->cursor, NO_POSITION);
    store64_relaxed(&slot->state, 0);
    /* Like the cursor before the fence in place_cursor(): the producer looks only at slots with a bit. */
    or64(&ring->readers->used, (uint64_t)1 << *number / SLOTS_PER_BIT);
    status = place_cursor(ring, start, slot, mark);
    if (status < 0)
        slot_leave(ring, *number);
    return status;
}

void slot_announce(struct slot *slot, bool fences)
{
    struct platform_process self;
    platform_process_self(&self);
    uint64_t state = (uint64_t)self.pid << SLOT_PID_SHIFT | MAPRING_RELIABLE;
    /* Pairs with the acquire load in consumers_fence(). */
    store64_release(&slot->state, fences ? state | SLOT_FENCES : state);
}

void slot_leave(struct ring *ring, uint32_t number)
{
    struct slot *slot = &ring->readers->slots[number];
    /* Pairs with the fence in advance_frontier(): our reads are over. */
    store64_release(&slot->cursor, NO_POSITION);
    store64_relaxed(&slot->state, 0);
    platform_unlock(ring->segment, SLOT_NUMBER(number));
}
