/*
 * Consumers' slots: joining a ring and leaving it (docs/design.md P6).
 */
#ifndef MAPRING_LIB_SLOT_H
#define MAPRING_LIB_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "index.h"
#include "ring.h"

/* Takes a free slot, which holds nobody back. MAPRING_NO_SLOT, or a status. */
int32_t slot_take(struct ring *ring, uint32_t *slot);

/*
 * Places the cursor at the mark that index_find() gives for the start; from there on the producer overwrites nothing.
 * MAPRING_CORRUPT if the index has no mark.
 */
int32_t slot_place(struct ring *ring, uint32_t slot, struct start start, struct mark *mark);

/* The same at a mark that is known; false if it is overwritten already. */
bool slot_place_at(struct ring *ring, uint32_t slot, struct mark mark);

/* Everything before the mark is released. */
static inline void slot_tell(struct slot *slot, struct mark mark)
{
    store64_relaxed(&slot->sequence, mark.sequence);
    store64_relaxed(&slot->mark, mark_word(mark));
    /* Release: pairs with the fence in advance_frontier(); our reads before it are over. */
    store64_release(&slot->cursor, mark.position);
}

/* The mark that was told last, as who told it saw it, though it died in the middle. False if that is nonsense. */
bool slot_told(const struct slot *slot, struct mark *mark);

/* For people: how its consumer waits, and by what descriptor. */
static inline void slot_tell_waiting(struct slot *slot, uint32_t waiting, uint32_t method)
{
    store64_relaxed(&slot->waiting, waiting | (uint64_t)method << SLOT_METHOD_SHIFT);
}

/* Says who holds the slot: kind and SLOT_* flags. Name and group are stored before. If the producer let go of it in the
 * meantime, that stays. */
void slot_announce(struct slot *slot, uint64_t kind_and_flags);

/* Gives the slot up. If it is `kept`, its place stays for who comes later under its name, or inherits it. */
void slot_leave(struct ring *ring, uint32_t slot, bool kept);

/* Whether the place of a slot is still somebody's when its consumer is gone. */
bool slot_is_kept(const struct slot *slot);

/* Whether the producer waits for the slot's cursor. */
static inline bool slot_counts(const struct slot *slot)
{
    return (load64_relaxed(&slot->state) & SLOT_LET_GO) == 0;
}

#endif
