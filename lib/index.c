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

static bool read_entry(const struct index_entry *entry, struct mark *mark)
{
    /* Pairs with the release store in index_note(). */
    mark->position = load64_acquire(&entry->position);
    mark->sequence = load64_relaxed(&entry->sequence);
    /* Pairs with the release fence in index_note(). */
    fence_acquire();
    return load64_relaxed(&entry->position) == mark->position;
}

/* A claim at `position` was made under a frontier beyond it. */
static bool is_intact(const struct ring *ring, uint64_t position, uint64_t frontier)
{
    return position % 8 == 0 && position <= frontier &&
           position >= overwritten_below(frontier, ring->geometry.capacity);
}

bool index_find(const struct ring *ring, uint64_t frontier, enum index_end end, struct mark *mark)
{
    bool found = false;
    for (uint32_t i = 0; i < STRIDE_COUNT; i++) {
        struct mark next;
        if (!read_entry(&ring->stream->index[i], &next) || !is_intact(ring, next.position, frontier))
            continue;
        if (!found || (end == OLDEST ? next.position < mark->position : next.position > mark->position))
            *mark = next;
        found = true;
    }
    return found;
}

int32_t walk_to_newest(const struct ring *ring, struct mark *mark)
{
    uint64_t capacity = ring->geometry.capacity;
    uint64_t start = mark->position;
    while (mark->position - start < capacity) {
        /* Pairs with the release store of a header in producer.c: the next header is there. */
        uint64_t header = load64_acquire(ring_header(ring, mark->position));
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
