#include "index.h"

#include <mapring/mapring.h>

#include "record.h"

static uint64_t stride_number(const struct ring *ring, uint64_t position)
{
    return position / (ring->geometry.capacity / STRIDE_COUNT) % STRIDE_COUNT;
}

void index_note(struct ring *ring, struct mark mark)
{
    struct index_entry *entry = &ring->stream->index[stride_number(ring, mark.position)];
    store64_relaxed(&entry->position, NO_POSITION);
    /* Pairs with the acquire fence in read_entry(): who read a new sequence reads a changed position. */
    fence_release();
    store64_relaxed(&entry->sequence, mark.sequence);
    store64_relaxed(&entry->time_ns, platform_time_ns());
    /* Pairs with the acquire load in read_entry(): who reads the position sees all records before it. */
    store64_release(&entry->position, mark.position);
}

uint64_t mark_word(struct mark mark)
{
    return (mark.position / 8 & UINT32_MAX) | mark.sequence << 32;
}

uint64_t mark_position_from(uint64_t word, uint64_t least)
{
    return least + 8 * (uint64_t)(uint32_t)((uint32_t)word - (uint32_t)(least / 8));
}

uint64_t mark_position_until(uint64_t word, uint64_t greatest)
{
    return greatest - 8 * (uint64_t)(uint32_t)((uint32_t)(greatest / 8) - (uint32_t)word);
}

uint64_t mark_sequence_near(uint64_t word, uint64_t near)
{
    return near + (uint64_t)(int64_t)(int32_t)((uint32_t)(word >> 32) - (uint32_t)near);
}

static bool read_entry(const struct index_entry *entry, struct mark *mark)
{
    /* Pairs with the release store in index_note(). */
    mark->position = load64_acquire(&entry->position);
    mark->sequence = load64_relaxed(&entry->sequence);
    mark->time_ns = load64_relaxed(&entry->time_ns);
    /* Pairs with the release fence in index_note(). */
    fence_acquire();
    return load64_relaxed(&entry->position) == mark->position;
}

bool index_read(const struct ring *ring, uint32_t entry, struct mark *mark)
{
    return read_entry(&ring->stream->index[entry], mark);
}

/* A claim at `position` was made under a frontier beyond it. */
static bool is_intact(const struct ring *ring, uint64_t position, uint64_t frontier)
{
    return position % 8 == 0 && position <= frontier &&
           position >= overwritten_below(frontier, ring->geometry.capacity);
}

static bool is_behind(struct mark mark, struct start start)
{
    if (start.at == AT_SEQUENCE)
        return mark.sequence > start.value;
    if (start.at == AT_POSITION)
        return mark.position > start.value;
    return start.at == OLDEST || (start.at == AT_TIME && mark.time_ns > start.value);
}

/* Whether one is the better mark to look from than the other. */
static bool is_better(struct mark one, struct mark other, struct start start)
{
    bool behind = is_behind(one, start);
    if (behind != is_behind(other, start))
        return !behind;
    return behind ? one.position < other.position : one.position > other.position;
}

bool index_find(const struct ring *ring, uint64_t frontier, struct start start, struct mark *mark)
{
    bool found = false;
    for (uint32_t i = 0; i < STRIDE_COUNT; i++) {
        struct mark next;
        if (!read_entry(&ring->stream->index[i], &next) || !is_intact(ring, next.position, frontier))
            continue;
        if (!found || is_better(next, *mark, start))
            *mark = next;
        found = true;
    }
    return found;
}

int32_t walk_until(const struct ring *ring, struct mark *mark, uint64_t sequence, uint64_t position, bool racing)
{
    uint64_t capacity = ring->geometry.capacity;
    uint64_t start = mark->position;
    while (mark->position - start < capacity) {
        if (mark->sequence >= sequence || mark->position >= position)
            return MAPRING_OK;
        /* Pairs with the release store of a header in producer.c: the next header is there. */
        const shared64 *place = ring_header(ring, mark->position);
        uint64_t header = racing ? load64_racing(place) : load64_acquire(place);
        if (header == 0)
            return MAPRING_OK;
        if (!header_is_sound(header, mark->position & (capacity - 1), capacity))
            return MAPRING_CORRUPT;
        mark->position += record_size(header_length(header));
        if ((header & HEADER_PADDING) == 0)
            mark->sequence++;
    }
    return MAPRING_CORRUPT;
}

int32_t walk_to_start(const struct ring *ring, struct start start, struct mark *mark, bool racing)
{
    if (start.at == AT_TIME && start.value > platform_time_ns())
        return MAPRING_START_AHEAD;
    if (start.at != OLDEST && is_behind(*mark, start) && mark->position != ring->geometry.first_position)
        return MAPRING_START_GONE;
    if (start.at == NEWEST)
        return walk_to_newest(ring, mark, racing);
    if (start.at != AT_SEQUENCE)
        return MAPRING_OK;
    int32_t status = walk_until(ring, mark, start.value, UINT64_MAX, racing);
    return status == MAPRING_OK && mark->sequence < start.value ? MAPRING_START_AHEAD : status;
}
