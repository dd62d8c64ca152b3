/*
 * Power cuts: docs/design.md P12. What a flush leaves on the disk, and how a ring is
 * restored from it when the machine has stopped.
 *
 * The disk may hold any mixture of what the pages were at different times. A
 * checkpoint says which part of the data was complete on the disk when it was written, and is not overwritten before a
 * later checkpoint is there.
 */
#include <string.h>

#include <mapring/mapring.h>

#include "index.h"
#include "producer.h"
#include "record.h"
#include "slot.h"

/* A checkpoint in private memory; its fields are words of struct checkpoint, in its order, up to the checksum. */
struct snapshot {
    uint64_t number;
    struct {
        uint64_t position;
        uint64_t sequence;
    } end, oldest;
    uint64_t frontier;
    uint64_t boot_id[2];
};

#define SNAPSHOT_WORDS (sizeof(struct snapshot) / 8)

/* FNV-1a (Fowler, Noll, Vo), word by word. */
static uint64_t checksum_of(const struct snapshot *snapshot)
{
    uint64_t words[SNAPSHOT_WORDS];
    memcpy(words, snapshot, sizeof words);
    uint64_t sum = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < SNAPSHOT_WORDS; i++)
        for (uint32_t byte = 0; byte < 8; byte++)
            sum = (sum ^ (words[i] >> 8 * byte & 0xff)) * 0x100000001b3u;
    return sum;
}

static bool read_checkpoint(const struct checkpoint *checkpoint, struct snapshot *snapshot)
{
    *snapshot = (struct snapshot){
        .number = load64_relaxed(&checkpoint->number),
        .end = {load64_relaxed(&checkpoint->position), load64_relaxed(&checkpoint->sequence)},
        .oldest = {load64_relaxed(&checkpoint->oldest_position), load64_relaxed(&checkpoint->oldest_sequence)},
        .frontier = load64_relaxed(&checkpoint->frontier),
        .boot_id = {load64_relaxed(&checkpoint->boot_id[0]), load64_relaxed(&checkpoint->boot_id[1])},
    };
    return snapshot->number != 0 && load64_relaxed(&checkpoint->checksum) == checksum_of(snapshot);
}

/* The later of the two that are whole. */
static bool last_checkpoint(const struct ring *ring, struct snapshot *snapshot)
{
    struct snapshot other;
    bool found = read_checkpoint(&ring->stream->checkpoints[0], snapshot);
    bool found_other = read_checkpoint(&ring->stream->checkpoints[1], &other);
    if (found_other && (!found || other.number > snapshot->number))
        *snapshot = other;
    return found || found_other;
}

bool checkpoints_are_sound(const struct ring *ring)
{
    struct snapshot snapshot;
    const struct checkpoint *checkpoints = ring->stream->checkpoints;
    bool none = load64_relaxed(&checkpoints[0].number) == 0 && load64_relaxed(&checkpoints[1].number) == 0;
    return none || last_checkpoint(ring, &snapshot);
}

uint64_t last_durable_frontier(const struct ring *ring, struct mark *flushed)
{
    struct snapshot snapshot;
    if ((ring->geometry.flags & MAPRING_DURABLE) == 0 || !last_checkpoint(ring, &snapshot))
        return UINT64_MAX;
    *flushed = (struct mark){snapshot.end.position, snapshot.end.sequence, 0};
    return snapshot.frontier;
}

/* Flushing. */

/* The first record from `position` on, which some consumer may not have released. */
static bool first_kept(const struct mapring_producer *producer, const struct snapshot *last, uint64_t position,
                       struct mark *mark)
{
    const struct ring *ring = &producer->ring;
    /* Nothing is overwritten yet that the last checkpoint keeps, or that the index finds. */
    bool found = index_find(ring, producer->acted, (struct start){AT_POSITION, position}, mark);
    if (last != NULL && (!found || mark->position > position || mark->position < last->oldest.position)) {
        *mark = (struct mark){last->oldest.position, last->oldest.sequence, 0};
        found = true;
    }
    return found && walk_until(ring, mark, UINT64_MAX, position, false) == MAPRING_OK;
}

/* Writes a checkpoint that says: `end` is where the flushed messages end, and nothing is overwritten beyond what
 * `frontier` allows. */
static int32_t write_checkpoint(struct mapring_producer *producer, struct mark end, uint64_t frontier)
{
    struct ring *ring = &producer->ring;
    struct snapshot last;
    bool first = !last_checkpoint(ring, &last);
    uint64_t number = first ? 1 : last.number + 1;
    struct mark oldest;
    /* If all that was flushed has been given up since, the stream is empty where it goes on. */
    if (!first_kept(producer, first ? NULL : &last, overwritten_below(frontier, ring->geometry.capacity), &oldest))
        oldest = (struct mark){producer_position(producer), producer->sequence, 0};
    if (end.position < oldest.position)
        end = oldest;
    struct snapshot snapshot = {
        .number = number,
        .end = {end.position, end.sequence},
        .oldest = {oldest.position, oldest.sequence},
        .frontier = frontier,
    };
    platform_boot_id(snapshot.boot_id);
    struct checkpoint *checkpoint = &ring->stream->checkpoints[number % 2];
    store64_relaxed(&checkpoint->number, snapshot.number);
    store64_relaxed(&checkpoint->position, snapshot.end.position);
    store64_relaxed(&checkpoint->sequence, snapshot.end.sequence);
    store64_relaxed(&checkpoint->oldest_position, snapshot.oldest.position);
    store64_relaxed(&checkpoint->oldest_sequence, snapshot.oldest.sequence);
    store64_relaxed(&checkpoint->frontier, snapshot.frontier);
    store64_relaxed(&checkpoint->boot_id[0], snapshot.boot_id[0]);
    store64_relaxed(&checkpoint->boot_id[1], snapshot.boot_id[1]);
    store64_relaxed(&checkpoint->checksum, checksum_of(&snapshot));
    int32_t status = platform_flush(ring->segment, ring->stream, STREAM_HEAD_SIZE);
    if (status < 0) {
        /* Not to be found by who counts on; the one before is whole. */
        store64_relaxed(&checkpoint->number, 0);
        return status;
    }
    producer->flushed = end;
    producer->durable = frontier;
    return MAPRING_OK;
}

/* Some way ahead, so that the disk is waited for seldom; but what a consumer has not released stays. */
static uint64_t frontier_ahead(const struct mapring_producer *producer, uint64_t frontier)
{
    uint64_t capacity = producer->ring.geometry.capacity;
    return max64(frontier, min64(frontier + capacity / 4, producer->least + capacity));
}

bool secure_frontier(struct mapring_producer *producer, uint64_t frontier)
{
    producer->failure = write_checkpoint(producer, producer->flushed, frontier_ahead(producer, frontier));
    return producer->failure == MAPRING_OK;
}

int32_t mapring_flush(mapring_producer *producer)
{
    if (producer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (producer->handed_over)
        return MAPRING_HANDED_OVER;
    struct ring *ring = &producer->ring;
    if ((ring->geometry.flags & MAPRING_DURABLE) == 0)
        return MAPRING_UNSUPPORTED;
    end_run(producer);
    struct mark end = {producer_position(producer), producer->sequence, 0};
    int32_t status = platform_flush(ring->segment, ring->stream, ring->geometry.stream_size);
    if (status == MAPRING_OK)
        status = platform_flush(ring->segment, ring->readers, ring->geometry.readers_size);
    if (status < 0)
        return status;
    producer->least = least_cursor(producer);
    return write_checkpoint(producer, end, frontier_ahead(producer, producer->acted));
}

/* Recovery. Nobody else has anything of the ring: all its processes ended with the machine. */

static bool is_plausible(const struct ring *ring, const struct snapshot *snapshot)
{
    uint64_t capacity = ring->geometry.capacity;
    return ((snapshot->end.position | snapshot->oldest.position | snapshot->frontier) & 7) == 0 &&
           snapshot->frontier < NO_POSITION - 2 * CAPACITY_MAX && snapshot->end.position <= snapshot->frontier &&
           snapshot->oldest.position <= snapshot->end.position &&
           snapshot->oldest.position >= overwritten_below(snapshot->frontier, capacity);
}

/* Writes the index anew, along what is trusted, and sees whether that is a sequence of records. */
static int32_t rebuild_index(struct ring *ring, const struct snapshot *trusted)
{
    struct stream *stream = ring->stream;
    uint64_t stride = ring->geometry.capacity / STRIDE_COUNT;
    struct mark mark = {trusted->oldest.position, trusted->oldest.sequence, 0};
    uint64_t times[STRIDE_COUNT], positions[STRIDE_COUNT];
    uint64_t time = 0;
    for (uint32_t i = 0; i < STRIDE_COUNT; i++) {
        positions[i] = load64_relaxed(&stream->index[i].position);
        times[i] = load64_relaxed(&stream->index[i].time_ns);
        store64_relaxed(&stream->index[i].position, NO_POSITION);
    }
    for (uint64_t noted = NO_POSITION;;) {
        if (mark.position / stride != noted) {
            noted = mark.position / stride;
            uint32_t i = (uint32_t)(noted % STRIDE_COUNT);
            if (positions[i] == mark.position)
                time = times[i];
            store64_relaxed(&stream->index[i].sequence, mark.sequence);
            store64_relaxed(&stream->index[i].time_ns, time);
            store64_relaxed(&stream->index[i].position, mark.position);
        }
        if (mark.position == trusted->end.position)
            break;
        uint64_t before = mark.position;
        int32_t status = walk_until(ring, &mark, UINT64_MAX, before + 1, false);
        if (status < 0 || mark.position == before || mark.position > trusted->end.position)
            return MAPRING_CORRUPT;
    }
    return mark.sequence == trusted->end.sequence ? MAPRING_OK : MAPRING_CORRUPT;
}

/* The boundary at a position that was stored at some time, or the oldest, so that nothing is missed. */
static struct mark trusted_mark(const struct ring *ring, const struct snapshot *trusted, uint64_t position)
{
    struct mark oldest = {trusted->oldest.position, trusted->oldest.sequence, 0};
    struct mark end = {trusted->end.position, trusted->end.sequence, 0};
    if (position >= end.position)
        return end;
    struct mark mark = oldest;
    if (position <= oldest.position || walk_until(ring, &mark, UINT64_MAX, position, false) < 0 ||
        mark.position != position)
        return oldest;
    return mark;
}

/* A position near the trusted ones. */
static uint64_t position_near(uint64_t word, uint64_t near)
{
    int32_t distance = (int32_t)((uint32_t)word - (uint32_t)(near / 8));
    return distance < 0 && near < (uint64_t)(-(int64_t)distance) * 8 ? 0 : near + (uint64_t)(int64_t)distance * 8;
}

/* What the members of a group had when the machine stopped goes back to the group. */
static void restore_group(struct ring *ring, const struct snapshot *trusted, uint32_t number)
{
    struct group *group = &ring->readers->groups[number];
    uint64_t position = position_near(load64_relaxed(&group->mark), trusted->end.position);
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        const struct slot *slot = &ring->readers->slots[i];
        uint64_t state = load64_relaxed(&slot->state);
        if ((state & SLOT_KIND_MASK) == MAPRING_MEMBER && load64_relaxed(&slot->group) == number)
            position = min64(position, load64_relaxed(&slot->cursor));
    }
    store64_relaxed(&group->mark, mark_word(trusted_mark(ring, trusted, position)));
}

static void restore_readers(struct ring *ring, const struct snapshot *trusted)
{
    struct readers *readers = ring->readers;
    store64_relaxed(&readers->news.sleepers, 0);
    store64_relaxed(&readers->room.sleepers, 0);
    uint64_t groups = load64_relaxed(&readers->groups_used);
    for (uint32_t i = 0; i < GROUPS_MAX; i++)
        if ((groups >> i & 1) != 0)
            restore_group(ring, trusted, i);
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        struct slot *slot = &readers->slots[i];
        uint64_t state = load64_relaxed(&slot->state);
        struct mark told;
        if ((state & SLOT_NAMED) != 0 && slot_told(slot, &told)) {
            slot_tell(slot, trusted_mark(ring, trusted, told.position));
            /* Nobody else has the ring. */
            store64_relaxed(&readers->used, load64_relaxed(&readers->used) | (uint64_t)1 << i / SLOTS_PER_BIT);
        } else {
            store64_relaxed(&slot->cursor, NO_POSITION);
            store64_relaxed(&slot->state, 0);
        }
    }
}

int32_t recover(struct ring *ring)
{
    struct stream *stream = ring->stream;
    uint64_t boot_id[2];
    platform_boot_id(boot_id);
    uint64_t last[2] = {load64_relaxed(&stream->boot_id[0]), load64_relaxed(&stream->boot_id[1])};
    bool unknown = (boot_id[0] | boot_id[1]) == 0 || (last[0] | last[1]) == 0;
    if ((ring->geometry.flags & MAPRING_DURABLE) == 0 || unknown || memcmp(boot_id, last, sizeof last) == 0)
        return MAPRING_OK;

    uint64_t first = ring->geometry.first_position;
    struct snapshot trusted = {.end = {first, 0}, .oldest = {first, 0}, .frontier = first};
    if (last_checkpoint(ring, &trusted) && !is_plausible(ring, &trusted))
        return MAPRING_CORRUPT;
    store64_relaxed((shared64 *)(void *)(ring->data + (trusted.end.position & (ring->geometry.capacity - 1))), 0);
    int32_t status = rebuild_index(ring, &trusted);
    if (status < 0)
        return status;
    store64_relaxed(&stream->frontier, trusted.frontier);
    store64_relaxed(&stream->acted, trusted.frontier);
    store64_relaxed(&stream->end, NO_POSITION);
    restore_readers(ring, &trusted);
    return MAPRING_OK;
}
