/*
 * Consumers' slots: joining a ring and leaving it (docs/design.md P6).
 */
#ifndef MAPRING_LIB_SLOT_H
#define MAPRING_LIB_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "index.h"
#include "ring.h"

/*
 * Takes a free slot and places its cursor at the oldest or newest mark of the index, from where on the producer
 * overwrites nothing. MAPRING_NO_SLOT, or MAPRING_CORRUPT if the index has no mark.
 */
int32_t slot_join(struct ring *ring, enum index_end start, uint32_t *slot, struct mark *mark);

/* Says who holds the slot. `fences`: its consumer fences after storing its cursor. */
void slot_announce(struct slot *slot, bool fences);

void slot_leave(struct ring *ring, uint32_t slot);

#endif
