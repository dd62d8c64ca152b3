/*
 * Looking at a ring from outside: mapped read-only, as a lossy reader would.
 */
#include <string.h>

#include <mapring/mapring.h>

#include "index.h"
#include "life.h"
#include "producer.h"
#include "record.h"
#include "registry.h"
#include "slot.h"
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
        if (!index_find(ring, frontier, (struct start){OLDEST, 0}, &first) ||
            !index_find(ring, frontier, (struct start){NEWEST, 0}, &last))
            continue;
        found = true;
        *oldest = first;
        *newest = last;
        int32_t status = walk_to_newest(ring, &last, true);
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

/* Where a consumer is, as far as it has said so. */
static struct mark place_of(const struct slot *slot, uint64_t kind, struct mark newest)
{
    struct mark mark;
    if (kind != MAPRING_LOSSY)
        return slot_told(slot, &mark) ? mark : newest;
    uint64_t word = load64_relaxed(&slot->mark);
    return (struct mark){mark_position_until(word, newest.position),
                         mark_sequence_near(word, load64_relaxed(&slot->sequence)), 0};
}

static bool describe_consumer(const struct ring *ring, uint32_t number, struct mark newest, mapring_consumer_info *info)
{
    const struct slot *slot = &ring->readers->slots[number];
    uint64_t state = load64_relaxed(&slot->state);
    if (state == 0)
        return false;
    uint64_t kind = state & SLOT_KIND_MASK;
    struct mark place = place_of(slot, kind, newest);
    *info = (mapring_consumer_info){
        .slot = number,
        .pid = (uint32_t)(state >> SLOT_PID_SHIFT),
        .alive = slot_lives(ring, number),
        .kind = (uint32_t)kind,
        .position = place.position,
        .lag_bytes = distance(place.position, newest.position),
        .lag_messages = distance(place.sequence, newest.sequence),
        .lost = load64_relaxed(&slot->lost),
        .redelivered = load64_relaxed(&slot->redelivered),
        .let_go = (state & SLOT_LET_GO) != 0,
        .waiting = (uint32_t)(load64_relaxed(&slot->waiting) & 0xff),
        .parks = load64_relaxed(&slot->counts.parks),
        .wakes = load64_relaxed(&slot->counts.wakes),
        .wakes_avoided = load64_relaxed(&slot->counts.avoided),
        .spurious_wakes = load64_relaxed(&slot->counts.spurious),
        .descriptor = (uint32_t)(load64_relaxed(&slot->waiting) >> SLOT_METHOD_SHIFT & 0xff),
    };
    uint64_t group = load64_relaxed(&slot->group);
    if ((state & SLOT_NAMED) != 0)
        own_name_load(slot->name, info->own_name);
    else if (kind == MAPRING_MEMBER && group < GROUPS_MAX)
        own_name_load(ring->readers->groups[group].name, info->own_name);
    return true;
}

static uint32_t count_groups(const struct ring *ring)
{
    uint64_t used = load64_relaxed(&ring->readers->groups_used);
    uint32_t count = 0;
    for (uint32_t i = 0; i < GROUPS_MAX; i++)
        count += (used >> i & 1) != 0;
    return count;
}

/* Opens a ring to look at it, and finds where its stream stands. */
static int32_t look_at(const char *name, const char *file, struct ring *ring, struct identity *identity,
                       struct mark *oldest, struct mark *newest)
{
    int32_t status = file == NULL ? validate_name(name) : MAPRING_OK;
    struct platform_target target = ring_target(name, file);
    if (status == MAPRING_OK)
        status = ring_open(&target, ROLE_OBSERVER, ring, identity);
    if (status < 0)
        return status;
    status = survey(ring, oldest, newest);
    if (status < 0)
        ring_close(ring);
    return status;
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
    struct mark oldest, newest, flushed = {0};
    int32_t status = look_at(name, file, &ring, &identity, &oldest, &newest);
    if (status == MAPRING_OK) {
        const struct stream *stream = ring.stream;
        last_durable_frontier(&ring, &flushed);
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
            .groups = count_groups(&ring),
            .slow_policy = ring.geometry.slow_policy,
            .flags = ring.geometry.flags,
            .slow_ns = ring.geometry.slow_ns,
            .hold_ns = ring.geometry.hold_ns,
            .evictions = load64_relaxed(&stream->evictions),
            .demotions = load64_relaxed(&stream->demotions),
            .flushed = flushed.position,
            .parks = load64_relaxed(&stream->counts.parks),
            .wakes = load64_relaxed(&stream->counts.wakes),
            .wakes_avoided = load64_relaxed(&stream->counts.avoided),
            .spurious_wakes = load64_relaxed(&stream->counts.spurious),
        };
        memcpy(info->name, identity.name, strlen(identity.name));
        if (info->producer_pid != 0)
            info->producer_alive = producer_lives(&ring);
        for (uint32_t i = 0; i < ring.geometry.slot_count; i++) {
            mapring_consumer_info consumer;
            if (!describe_consumer(&ring, i, newest, &consumer))
                continue;
            if (info->consumers < max)
                consumers[info->consumers] = consumer;
            info->consumers++;
        }
        status = (int32_t)(info->consumers < max ? info->consumers : max);
        ring_close(&ring);
    }
    return status;
}

static mapring_group_info describe_group(const struct ring *ring, uint32_t number, struct mark newest)
{
    const struct group *group = &ring->readers->groups[number];
    uint64_t word = load64_relaxed(&group->mark);
    uint64_t filter = load64_relaxed(&group->filter);
    uint64_t position = mark_position_until(word, newest.position);
    mapring_group_info info = {
        .tag_mask = (uint32_t)filter,
        .tag_value = (uint32_t)(filter >> 32),
        .position = position,
        .lag_bytes = distance(position, newest.position),
        .lag_messages = distance(mark_sequence_near(word, newest.sequence), newest.sequence),
    };
    own_name_load(group->name, info.name);
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        const struct slot *slot = &ring->readers->slots[i];
        if ((load64_relaxed(&slot->state) & SLOT_KIND_MASK) != MAPRING_MEMBER || load64_relaxed(&slot->group) != number)
            continue;
        bool alive = slot_lives(ring, i);
        info.members += alive;
        info.dead += !alive && slot_is_kept(slot);
    }
    return info;
}

int32_t mapring_groups(const char *name, const char *file, mapring_group_info *groups, uint32_t max)
{
    if (groups == NULL && max > 0)
        return MAPRING_INVALID_ARGUMENT;
    struct ring ring;
    struct identity identity;
    struct mark oldest, newest;
    int32_t status = look_at(name, file, &ring, &identity, &oldest, &newest);
    if (status < 0)
        return status;
    uint64_t used = load64_relaxed(&ring.readers->groups_used);
    uint32_t count = 0;
    for (uint32_t i = 0; i < GROUPS_MAX; i++) {
        if ((used >> i & 1) == 0)
            continue;
        if (count < max)
            groups[count] = describe_group(&ring, i, newest);
        count++;
    }
    ring_close(&ring);
    return (int32_t)count;
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
