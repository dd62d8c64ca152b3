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
    uint64_t time_ns; /* when it was noted; of marks from the index */
};

/*
 * The same in one word, and what it says again, given the least or greatest position that it can be, and a number that
 * is at most 2^31 from its own.
 */
uint64_t mark_word(struct mark mark);
uint64_t mark_position_from(uint64_t word, uint64_t least);
uint64_t mark_position_until(uint64_t word, uint64_t greatest);
uint64_t mark_sequence_near(uint64_t word, uint64_t near);

/* The producer is about to claim at this mark, the first in its stride; all before it is committed. */
void index_note(struct ring *ring, struct mark mark);

/* Where somebody would like to start. */
enum start_at { OLDEST, NEWEST, AT_SEQUENCE, AT_TIME, AT_POSITION };

struct start {
    enum start_at at;
    uint64_t value;
};

/* Reads one entry; its position is NO_POSITION if there is none. False if it was changed meanwhile. */
bool index_read(const struct ring *ring, uint32_t entry, struct mark *mark);

/*
 * The noted mark to look from for a start: the oldest or the newest that `frontier` leaves intact, or the newest that
 * is not behind the sequence number, time or position; the oldest if all are. False if there is none: the stream is
 * damaged, or was overwritten while we looked.
 */
bool index_find(const struct ring *ring, uint64_t frontier, struct start start, struct mark *mark);

/*
 * Moves the mark over committed records to the end of the stream, but not beyond message `sequence` or `position`,
 * whichever comes first. MAPRING_CORRUPT if what is there is no sequence of records.
 *
 * `racing`: the caller protects nothing, and checks the frontier afterwards. Else it cannot be overtaken: the mark is
 * protected by its cursor, or it is the producer.
 */
int32_t walk_until(const struct ring *ring, struct mark *mark, uint64_t sequence, uint64_t position, bool racing);

/* Goes on from the mark that index_find() gave for a start. MAPRING_OK; MAPRING_START_GONE if that was older, and the
 * mark is where to begin; MAPRING_START_AHEAD, MAPRING_CORRUPT. */
int32_t walk_to_start(const struct ring *ring, struct start start, struct mark *mark, bool racing);

static inline int32_t walk_to_newest(const struct ring *ring, struct mark *mark, bool racing)
{
    return walk_until(ring, mark, UINT64_MAX, UINT64_MAX, racing);
}

#endif
