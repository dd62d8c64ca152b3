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
#include "slot.h"

/* How often a producer without room looks for dead consumers. */
#define PROBE_NS 10000000u

/* The lines that consumers on other processors wrote then come together: with 64 of them publishing takes 2 % longer
 * than with none, and 6 % without this (mapring-bench attached). */
static void prefetch_slots(const struct ring *ring, uint64_t used)
{
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        if ((used >> i / SLOTS_PER_BIT & 1) == 0)
            i |= SLOTS_PER_BIT - 1;
        else
            PREFETCH(&ring->readers->slots[i]);
    }
}

/* The least position that some group or consumer still needs, at most `least`. */
static uint64_t look_at_cursors(const struct mapring_producer *producer, uint64_t least)
{
    const struct ring *ring = &producer->ring;
    uint64_t position = least;
    /* One below what was acted on belongs to a joiner who came too late, and will find out. */
    uint64_t floor = overwritten_below(producer->acted, ring->geometry.capacity);

    /* Groups first: who takes from one says so in its slot before it moves the group's mark on. */
    uint64_t groups = load64_relaxed(&ring->readers->groups_used);
    for (uint32_t i = 0; i < GROUPS_MAX && groups >> i != 0; i++) {
        if ((groups >> i & 1) == 0)
            continue;
        /* Pairs with the compare-and-swap in take(). */
        uint64_t taken = mark_position_until(load64_acquire(&ring->readers->groups[i].mark), position);
        if (taken >= floor && taken < least)
            least = taken;
    }

    /* Pairs, as the cursors do, with the fence in slot_place_at(). */
    uint64_t used = load64_relaxed(&ring->readers->used);
    prefetch_slots(ring, used);
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        if ((used >> i / SLOTS_PER_BIT & 1) == 0) {
            i |= SLOTS_PER_BIT - 1;
            continue;
        }
        const struct slot *slot = &ring->readers->slots[i];
        uint64_t cursor = load64_relaxed(&slot->cursor);
        if (cursor >= floor && cursor < least && slot_counts(slot))
            least = cursor;
    }
    return least & ~(uint64_t)7; /* whatever a peer stored */
}

/* How often places may move meanwhile: a peer may change the count for ever. */
#define MOVES_MAX 1000

uint64_t least_cursor(const struct mapring_producer *producer)
{
    const shared64 *moves = &producer->ring.readers->moves;
    for (int round = 0;; round++) {
        /* Pairs with the update of it in inherit_from() and its like: what moved before is seen where it went. */
        uint64_t before = load64_acquire(moves);
        uint64_t least = look_at_cursors(producer, producer_position(producer));
        /* Who saw the place that was left sees the count. */
        fence_acquire();
        if (load64_relaxed(moves) == before || round == MOVES_MAX)
            return least;
    }
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
    if (frontier < end || (frontier > producer->durable && !secure_frontier(producer, frontier)))
        return false;

    store64_relaxed(&stream->frontier, frontier);
    /* Pairs with the fence in slot_place_at(): either we see the joiner's cursor, or it sees our frontier. And as an
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
    /* Before anything is overwritten under it: pairs with the fence in is_lapped(), and is for the takeover after our
     * death. */
    fence_release();
    return end <= frontier;
}

static int32_t sleep_for_readers(struct mapring_producer *producer, uint64_t deadline)
{
    struct sleeper *sleeper = &producer->sleeper;
    for (;;) {
        enum wait_result result = wait_once(sleeper, deadline);
        if (result == WAIT_READY)
            return MAPRING_OK;
        if (result == WAIT_CANCELLED)
            return MAPRING_CANCELLED;
        /* The dead may be all that is in the way. */
        if (reclaim_dead(producer) > 0 && sleeper->ready(producer))
            return MAPRING_OK;
        if (result == WAIT_DEADLINE)
            return MAPRING_TIMEOUT;
    }
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
    int32_t status = wait_begin(&producer->sleeper);
    if (status < 0)
        return status;
    producer->sleeper.ready = ready;
    status = sleep_for_readers(producer, deadline_after(timeout_ns));
    wait_end(&producer->sleeper);
    return status;
}

static bool room_is_there(void *context)
{
    struct mapring_producer *producer = context;
    /* A disk that failed is nothing to wait for. */
    return advance_frontier(producer, producer->wanted_end) || producer->failure < 0;
}

/*
 * Who writes where a consumer has read not long ago takes the lines out of that processor's cache, and both crawl: a
 * ring that is nearly full is slower than one that is half full, and stays nearly full, as the consumer is the slower
 * of the two there. So while the slowest is far behind the producer goes no faster than this, which lets those catch up
 * who can; it gives up when they do not come on, which they tell once per eighth of the capacity. What it brings:
 * docs/benchmarks.md.
 */
#define PACE_BYTES_PER_NS 6u
#define PAUSE_MAX_NS 20000u
#define PACED_CAPACITY_MIN ((uint64_t)4 << 20)

static bool is_paced(const struct mapring_producer *producer, uint64_t position)
{
    uint64_t capacity = producer->ring.geometry.capacity;
    return position - producer->least > capacity / 8 * 5 && capacity >= PACED_CAPACITY_MIN &&
           producer->ring.geometry.slow_policy != MAPRING_SLOW_FAIL && producer->sleeper.waiting != MAPRING_WAIT_PARK;
}

static void keep_pace(struct mapring_producer *producer, int64_t timeout_ns)
{
    uint64_t position = producer_position(producer);
    uint64_t capacity = producer->ring.geometry.capacity;
    struct pace *pace = &producer->pace;
    if (!is_paced(producer, position))
        return;
    uint64_t now = platform_clock_ns();
    if (pace->least != producer->least) {
        pace->least = producer->least;
        pace->moved = position;
    }
    bool goes_on = position - pace->position <= 2 * capacity / STRIDE_COUNT;
    if (goes_on && position - pace->moved <= capacity / 16 * 3) {
        uint64_t due = pace->ns + (position - pace->position) / PACE_BYTES_PER_NS;
        uint64_t end = min64(due, now + min64(PAUSE_MAX_NS, (uint64_t)timeout_ns));
        while (now < end) {
            spin_pause();
            now = platform_clock_ns();
        }
    }
    pace->position = position;
    pace->ns = now;
}

/* Waits for room, and does what the ring's policy says about those who do not give any. */
static int32_t wait_for_room(struct mapring_producer *producer, int64_t timeout_ns)
{
    const struct geometry *geometry = &producer->ring.geometry;
    if (room_is_there(producer)) {
        producer->full_since = 0;
        keep_pace(producer, timeout_ns);
        return MAPRING_OK;
    }
    uint64_t now = platform_clock_ns();
    if (producer->full_since == 0)
        producer->full_since = now;
    if (geometry->slow_policy == MAPRING_SLOW_FAIL)
        timeout_ns = 0;
    if (geometry->slow_policy < MAPRING_SLOW_DEMOTE)
        return wait_for_readers(producer, room_is_there, timeout_ns);

    uint64_t deadline = timeout_ns == 0 ? now : deadline_after(timeout_ns);
    uint64_t let_go_at = producer->full_since + geometry->slow_ns;
    if (let_go_at > now) {
        uint64_t until = min64(deadline, let_go_at);
        int32_t status = wait_for_readers(producer, room_is_there, time_left(until, now));
        if (status != MAPRING_TIMEOUT || deadline < let_go_at)
            return status;
    }
    if (reclaim_dead(producer) == 0 || !room_is_there(producer))
        let_go_slow(producer, producer->wanted_end);
    now = platform_clock_ns();
    return wait_for_readers(producer, room_is_there, time_left(deadline, now));
}

/* Where the header behind a record of this length would end, if it came next, behind padding if it must. */
static uint64_t claim_end(const struct mapring_producer *producer, uint64_t length, uint64_t *padding)
{
    uint64_t position = producer_position(producer);
    uint64_t capacity = producer->ring.geometry.capacity;
    uint64_t to_data_end = capacity - (position & (capacity - 1));
    *padding = record_size(length) > to_data_end ? to_data_end : 0;
    return position + *padding + record_size(length) + HEADER_SIZE;
}

bool has_room(struct mapring_producer *producer, uint64_t length)
{
    if (producer->claim_count > 0 || producer->ended || producer->handed_over)
        return true;
    uint64_t padding;
    producer->wanted_end = claim_end(producer, length, &padding);
    return room_is_there(producer);
}

void press_for_room(struct mapring_producer *producer, uint64_t length)
{
    const struct geometry *geometry = &producer->ring.geometry;
    reclaim_dead(producer);
    if (has_room(producer, length)) {
        producer->full_since = 0;
        return;
    }
    uint64_t now = platform_clock_ns();
    if (producer->full_since == 0)
        producer->full_since = now;
    if (geometry->slow_policy >= MAPRING_SLOW_DEMOTE && now - producer->full_since >= geometry->slow_ns)
        let_go_slow(producer, producer->wanted_end);
}

int32_t claim_room(struct mapring_producer *producer, uint64_t length, int64_t timeout_ns, uint64_t *padding)
{
    if (producer->claim_count > 0)
        return MAPRING_CLAIM_OPEN;
    if (producer->handed_over)
        return MAPRING_HANDED_OVER;
    if (producer->ended)
        return MAPRING_STREAM_ENDED;
    uint64_t capacity = producer->ring.geometry.capacity;
    if (length > message_length_max(capacity))
        return MAPRING_MESSAGE_TOO_LARGE;
    end_run(producer);

    uint64_t position = producer_position(producer);
    producer->wanted_end = claim_end(producer, length, padding);
    producer->failure = MAPRING_OK;
    int32_t status = wait_for_room(producer, timeout_ns);
    if (status < 0)
        return status == MAPRING_TIMEOUT ? MAPRING_FULL : status;
    if (producer->failure < 0)
        return producer->failure;
    producer->full_since = 0;
    forget_undue(producer);
    if (position >= producer->indexed_end) {
        index_note(&producer->ring, (struct mark){position, producer->sequence, 0});
        producer->indexed_end = stride_end(position, capacity);
    }
    producer->limit = producer->next + (min64(producer->acted, producer->indexed_end) - position);
    return MAPRING_OK;
}
