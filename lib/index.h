/*
 * The sparse index of a stream, and walking it record by record.
 */
#ifndef MAPRING_LIB_INDEX_H
#define MAPRING_LIB_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

/* A record boundary, and the sequence number of the first message at or after it. */
struct mark {
    uint64_t position;
    uint64_t sequence;
};

/* The producer is about to claim at this mark, the first in its stride; all before it is committed. */
void index_note(struct ring *ring, struct mark mark);

enum index_end { OLDEST, NEWEST };

/* The oldest or newest noted mark that `frontier` leaves intact. False if there is none: the stream is damaged, or was
 * overwritten while we looked. */
bool index_find(const struct ring *ring, uint64_t frontier, enum index_end end, struct mark *mark);

/*
 * Moves the mark over committed records to the end of the stream. For who cannot be overtaken: the mark is protected by
 * the caller's cursor, or the caller is the producer; an observer checks the frontier afterwards.
 * MAPRING_CORRUPT if what is there is no sequence of records.
 */
int32_t walk_to_newest(const struct ring *ring, struct mark *mark);

#endif
