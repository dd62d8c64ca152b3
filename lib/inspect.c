/*
 * Looking at a ring from outside: mapped read-only, as a lossy reader would.
 */
#include <string.h>

#include <mapring/mapring.h>

#include "index.h"
#include "record.h"
#include "validate.h"

/* How often a fast producer may overtake the walk to the end of the stream. */
#define LOOKS 100

/* Finds the oldest mark and the end of the stream; or, if the producer is too fast for that, the newest mark. */
static int32_t survey(const struct ring *ring, struct mark *oldest, struct mark *newest)
{
    const struct stream *stream = ring->stream;
    struct mark first, last;
    bool found = false;
    for (int look = 0; look < LOOKS; look++) {
        uint64_t frontier = load64_relaxed(&stream->frontier);
        if (!index_find(ring, frontier, OLDEST, &first) || !index_find(ring, frontier, NEWEST, &last))
            continue;
        found = true;
        *oldest = first;
        *newest = last;
        int32_t status = walk_to_newest(ring, &last);
        /* The walk loads with acquire: if it read what was written under a new frontier, we see that frontier now.
         * Pairs with the fence in advance_frontier(). */
        frontier = load64_relaxed(&stream->frontier);
        if (newest->position < overwritten_below(frontier, ring->geometry.capacity))
            continue;
        *newest = last;
        return status;
    }
    return found ? MAPRING_OK : MAPRING_CORRUPT;
}

static uint64_t distance(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

static bool describe_consumer(const struct ring *ring, uint32_t number, struct mark newest, mapring_consumer_info *info)
{
    const struct slot *slot = &ring->readers->slots[number];
    uint64_t state = load64_relaxed(&slot->state);
    if (state == 0)
        return false;
    uint64_t position = load64_relaxed(&slot->cursor);
    *info = (mapring_consumer_info){
        .slot = number,
        .pid = (uint32_t)(state >> SLOT_PID_SHIFT),
        .alive = platform_lock_held(ring->segment, SLOT_NUMBER(number)) == 1,
        .kind = (uint32_t)(state & SLOT_KIND_MASK),
        .position = position,
        .lag_bytes = distance(position, newest.position),
        .lag_messages = distance(load64_relaxed(&slot->sequence), newest.sequence),
    };
    return true;
}

int32_t mapring_stat(const char *name, const char *file, mapring_ring_info *info, mapring_consumer_info *consumers,
                     uint32_t max)
{
    if (info == NULL || (consumers == NULL && max > 0))
        return MAPRING_INVALID_ARGUMENT;
    if (info->struct_size != sizeof *info)
        return MAPRING_INVALID_OPTIONS;
    struct ring ring;
    struct identity identity;
    int32_t status = file == NULL ? validate_name(name) : MAPRING_OK;
    if (status == MAPRING_OK)
        status = ring_open(file == NULL ? name : NULL, file, ROLE_OBSERVER, &ring, &identity);
    if (status < 0)
        return status;

    struct mark oldest, newest;
    status = survey(&ring, &oldest, &newest);
    if (status == MAPRING_OK) {
        const struct stream *stream = ring.stream;
        *info = (mapring_ring_info){
            .struct_size = sizeof *info,
            .max_consumers = ring.geometry.slot_count,
            .capacity = ring.geometry.capacity,
            .memory = platform_segment_allocated(ring.segment),
            .position = newest.position,
            .messages = newest.sequence,
            .oldest = oldest.sequence,
            .epoch = load64_relaxed(&stream->epoch),
            .producer_pid = (uint32_t)load64_relaxed(&stream->producer_pid),
            .ended = load64_relaxed(&stream->end) != NO_POSITION,
            .fence = (uint32_t)load64_relaxed(&stream->fence),
        };
        memcpy(info->name, identity.name, strlen(identity.name));
        if (info->producer_pid != 0)
            info->producer_alive = platform_lock_held(ring.segment, PRODUCER_NUMBER) == 1;
        for (uint32_t i = 0; i < ring.geometry.slot_count; i++) {
            mapring_consumer_info consumer;
            if (!describe_consumer(&ring, i, newest, &consumer))
                continue;
            if (info->consumers < max)
                consumers[info->consumers] = consumer;
            info->consumers++;
        }
        status = (int32_t)(info->consumers < max ? info->consumers : max);
    }
    ring_close(&ring);
    return status;
}

/* Listing. */

struct name_list {
    char *names;
    uint64_t size;
    uint64_t used;
    uint64_t needed;
    int32_t count;
};

static int32_t add_name(void *context, const char *name)
{
    struct name_list *list = context;
    uint64_t bytes = strlen(name) + 1;
    list->needed += bytes;
    if (bytes <= list->size - list->used) {
        memcpy(list->names + list->used, name, bytes);
        list->used += bytes;
        list->count++;
    }
    return MAPRING_OK;
}

int32_t mapring_list(char *names, uint64_t size, uint64_t *needed)
{
    if (needed == NULL || (names == NULL && size > 0))
        return MAPRING_INVALID_ARGUMENT;
    struct name_list list = {.names = names, .size = size};
    int32_t status = platform_segment_list(add_name, &list);
    *needed = list.needed;
    return status < 0 ? status : list.count;
}
