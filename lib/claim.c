/*
 * Getting room: docs/design.md P3. Out of line, entered once or twice per stride and
 * when the ring is full.
 *
 * The frontier says how far the producer may write; everything below frontier -
 * capacity may be overwritten. It moves only after two looks at the consumers'
 * cursors, with the announcement and a full fence between them.
 */
#include <mapring/mapring.h>

#include "index.h"
#include "producer.h"
#include "record.h"

/* How often a producer without room looks for dead consumers. */
#define PROBE_NS 10000000u

/* The least position that some consumer still needs; that of the producer if there is none. */
static uint64_t least_cursor(const struct mapring_producer *producer)
{
    const struct ring *ring = &producer->ring;
    uint64_t floor = overwritten_below(producer->acted, ring->geometry.capacity);
    uint64_t least = producer_position(producer);
    /* Pairs, as the cursors do, with the fence in place_cursor(). */
    uint64_t used = load64_relaxed(&ring->readers->used);
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        if ((used >> i / SLOTS_PER_BIT & 1) == 0) {
            i |= SLOTS_PER_BIT - 1;
            continue;
        }
        uint64_t cursor = load64_relaxed(&ring->readers->slots[i].cursor);
        /* One below what was acted on belongs to a joiner who came too late, and will find out. */
        if (cursor >= floor && cursor < least)
            least = cursor;
    }
    return least & ~(uint64_t)7; /* whatever a peer stored */
}

/* Tries to move the frontier to where a claim up to `end` needs it, and on to the end of the stride. */
static bool advance_frontier(struct mapring_producer *producer, uint64_t end)
{
    struct stream *stream = producer->ring.stream;
    uint64_t capacity = producer->ring.geometry.capacity;
    if (end <= producer->acted)
        return true;
    /* Cursors only move on, and who joins shows in the second look: what was least then serves as first look while it
     * lasts. */
    if (producer->least + capacity < end)
        producer->least = least_cursor(producer);
    uint64_t frontier = min64(stride_end(end - 1, capacity), producer->least + capacity);
    if (frontier < end)
        return false;

    store64_relaxed(&stream->frontier, frontier);
    /* Pairs with the fence in place_cursor(): either we see the joiner's cursor, or it sees our frontier. And as an
     * acquire fence with the release stores of cursors: the reads before those that we saw are over. The second look
     * only lowers the frontier, and so needs no fence. */
    fence_full();
    producer->least = least_cursor(producer);
    uint64_t allowed = producer->least + capacity;
    if (allowed < frontier) {
        frontier = max64(producer->acted, allowed);
        store64_relaxed(&stream->frontier, frontier);
    }
    producer->acted = frontier;
    store64_relaxed(&stream->acted, frontier);
    /* Before anything is overwritten under it, for the takeover after our death. It matters to the compiler alone: the
     * processor's order comes with the lock of the dead. */
    fence_release();
    return end <= frontier;
}

uint32_t reclaim_dead(struct mapring_producer *producer)
{
    struct ring *ring = &producer->ring;
    uint32_t count = 0;
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        struct slot *slot = &ring->readers->slots[i];
        if (load64_relaxed(&slot->state) == 0 && load64_relaxed(&slot->cursor) == NO_POSITION)
            continue;
        if (platform_lock(ring->segment, SLOT_NUMBER(i)) != 1)
            continue;
        store64_relaxed(&slot->cursor, NO_POSITION);
        store64_relaxed(&slot->state, 0);
        platform_unlock(ring->segment, SLOT_NUMBER(i));
        count++;
    }
    return count;
}

int32_t wait_for_readers(struct mapring_producer *producer, bool (*ready)(void *producer), int64_t timeout_ns)
{
    if (ready(producer))
        return MAPRING_OK;
    uint64_t now = platform_clock_ns();
    if (now - producer->probed_ns >= PROBE_NS) {
        producer->probed_ns = now;
        if (reclaim_dead(producer) > 0 && ready(producer))
            return MAPRING_OK;
    }
    if (timeout_ns == 0)
        return MAPRING_TIMEOUT;
    uint64_t deadline = deadline_after(timeout_ns);
    producer->sleeper.ready = ready;
    for (;;) {
        enum wait_result result = wait_once(&producer->sleeper, deadline);
        if (result == WAIT_READY)
            return MAPRING_OK;
        /* The dead may be all that is in the way. */
        if (reclaim_dead(producer) > 0 && ready(producer))
            return MAPRING_OK;
        if (result == WAIT_DEADLINE)
            return MAPRING_TIMEOUT;
    }
}

static bool room_is_there(void *context)
{
    struct mapring_producer *producer = context;
    return advance_frontier(producer, producer->wanted_end);
}

int32_t claim_room(struct mapring_producer *producer, uint64_t length, int64_t timeout_ns, uint64_t *padding)
{
    if (producer->claim_count > 0)
        return MAPRING_CLAIM_OPEN;
    if (producer->ended)
        return MAPRING_STREAM_ENDED;
    uint64_t capacity = producer->ring.geometry.capacity;
    if (length > message_length_max(capacity))
        return MAPRING_MESSAGE_TOO_LARGE;
    end_run(producer);

    uint64_t position = producer_position(producer);
    uint64_t to_data_end = capacity - (position & (capacity - 1));
    *padding = record_size(length) > to_data_end ? to_data_end : 0;
    uint64_t end = position + *padding + record_size(length) + HEADER_SIZE;

    producer->wanted_end = end;
    if (wait_for_readers(producer, room_is_there, timeout_ns) < 0)
        return MAPRING_FULL;
    if (position >= producer->indexed_end) {
        index_note(&producer->ring, (struct mark){position, producer->sequence});
        producer->indexed_end = stride_end(position, capacity);
    }
    producer->limit = producer->next + (min64(producer->acted, producer->indexed_end) - position);
    return MAPRING_OK;
}
