/*
 * Groups: competing consumers, each message to one of them (docs/design.md P9).
 *
 * A group has a mark, the next message to be taken. A member stores in its slot
 * what it is about to take, cursor and end, then moves the mark on. Between the
 * group's mark and the members' cursors nothing is overwritten that is not
 * released. What a dead member had, another moves into its own slot.
 */
#include "consumer.h"
#include "life.h"
#include "registry.h"
#include "slot.h"

/* How often a member that always finds messages looks for what the dead left. */
#define INHERIT_TAKES 64u
#define INHERIT_NS 100000000u

static struct slot *own_slot(struct mapring_consumer *consumer)
{
    return &consumer->ring.readers->slots[consumer->slot];
}

/* Joining. */

/* Finds the first message of a new group. Nobody takes from it yet, and the producer waits for its mark from the first
 * store on. */
static int32_t place(struct mapring_consumer *consumer, struct start start)
{
    struct ring *ring = &consumer->ring;
    struct mark mark;
    /* The member's own slot protects what is walked over. */
    int32_t status = slot_place(ring, consumer->slot, start, &mark);
    if (status < 0)
        return status;
    status = walk_to_start(ring, start, &mark, false);
    if (status < 0)
        return status;
    store64_relaxed(&consumer->group->mark, mark_word(mark));
    consumer->released = mark;
    return status;
}

int32_t group_join(struct mapring_consumer *consumer, const char *name, struct start start)
{
    struct readers *readers = consumer->ring.readers;
    uint64_t filter = (uint64_t)consumer->tag_value << 32 | consumer->tag_mask;
    uint32_t number;
    if (registry_find_group(&consumer->ring, name, &number)) {
        consumer->group_number = number;
        consumer->group = &readers->groups[number];
        return load64_relaxed(&consumer->group->filter) == filter ? MAPRING_RESUMED : MAPRING_GROUP_DIFFERS;
    }
    uint64_t used = load64_relaxed(&readers->groups_used);
    for (number = 0; (used >> number & 1) != 0; number++)
        if (number + 1 == GROUPS_MAX)
            return MAPRING_NO_GROUP;
    consumer->group_number = number;
    consumer->group = &readers->groups[number];
    own_name_store(consumer->group->name, name);
    store64_relaxed(&consumer->group->filter, filter);
    int32_t status = place(consumer, start);
    if (status < 0)
        return status;
    /* Pairs with the acquire load in gather_groups(): who sees that the group is there sees its mark. */
    fence_release();
    /* From the slot to the group, as in inherit_from(). */
    or64(&readers->groups_used, (uint64_t)1 << number);
    add64(&readers->moves, 1);
    store64_release(&own_slot(consumer)->cursor, NO_POSITION);
    return status;
}

/* Taking. */

/* What a mark says now, completed from the frontier, which is less than 2^35 bytes beyond it, and from the last message
 * that we know of. */
static struct mark read_mark(struct mapring_consumer *consumer, uint64_t word, uint64_t frontier)
{
    struct mark mark = {.position = mark_position_until(word, frontier)};
    struct mark known = consumer->released;
    if (mark.position - known.position >= CAPACITY_MAX / 2)
        index_find(&consumer->ring, frontier, (struct start){NEWEST, 0}, &known);
    mark.sequence = mark_sequence_near(word, known.sequence);
    return mark;
}

/* Walks over what can be taken: padding, then up to `max` messages one behind the other. */
static int32_t measure(struct mapring_consumer *consumer, struct mark *from, struct mark *end, uint32_t max)
{
    /* Both: next_message() takes a whole capacity between the two for nonsense. */
    consumer->released = *from;
    move_to(consumer, from->position);
    uint64_t header;
    int32_t found = next_message(consumer, &header);
    from->position = position_of(consumer);
    *end = *from;
    for (uint32_t count = 0; found == 1 && count < max; count++) {
        uint64_t offset = end->position & (consumer->capacity - 1);
        /* Pairs with the release store of a header in producer.c. */
        header = load64_acquire((const shared64 *)(const void *)(consumer->data + offset));
        if (!header_is_message(header, offset, consumer->capacity))
            break;
        end->position += record_size(header_length(header));
        end->sequence++;
    }
    return found;
}

/* Has nothing any longer. */
static void let_range_go(struct mapring_consumer *consumer)
{
    struct slot *slot = own_slot(consumer);
    /* Pairs with the fence in advance_frontier(): our reads are over. */
    store64_release(&slot->cursor, NO_POSITION);
    store64_relaxed(&slot->end, 0);
    consumer->range_end = position_of(consumer);
    look_for_producer(consumer);
    /* At the end of the stream the others wait for this, even if there was nothing in it for us. Pairs with the fence
     * in wait_fence(), in whatever way the producer fences. */
    fence_full();
    struct bell *news = &consumer->ring.readers->news;
    if (load64_relaxed(&consumer->ring.stream->end) != NO_POSITION &&
        (load64_relaxed(&news->sleepers) & ALL_SLEEPERS) != 0)
        wake_consumers(&consumer->ring, consumer->sleeper.parking, ALL_SLEEPERS);
}

static void begin_range(struct mapring_consumer *consumer, struct mark from, uint64_t end, bool inherited)
{
    move_to(consumer, from.position);
    consumer->sequence = from.sequence;
    consumer->released = from;
    consumer->range_end = end;
    consumer->inherited = inherited;
}

/* A place that cannot be protected is one that the mark has left. If it has not, after so many looks, somebody put it
 * where no message is. */
#define REFUSALS_MAX 10000u

struct refusals {
    uint64_t mark;
    uint32_t count;
};

static bool is_nonsense(struct refusals *refusals, uint64_t word)
{
    refusals->count = word == refusals->mark ? refusals->count + 1 : 0;
    refusals->mark = word;
    return refusals->count == REFUSALS_MAX;
}

/* Takes up to `max` messages: 1 if it got some, 0 if there are none, or MAPRING_CORRUPT. */
static int32_t take(struct mapring_consumer *consumer, uint32_t max)
{
    struct slot *slot = own_slot(consumer);
    struct group *group = consumer->group;
    const struct stream *stream = consumer->ring.stream;
    bool placed = false;
    struct refusals refusals = {0, 0};
    for (;;) {
        /* Pairs with the compare-and-swap below: who sees the mark of another sees a frontier beyond it. */
        uint64_t word = load64_acquire(&group->mark);
        struct mark from = read_mark(consumer, word, load64_relaxed(&stream->frontier));
        /* Nothing there: not worth a fence. It may be what was written over a message that others have taken, and the
         * mark that of before; group_news() looks again. */
        if (peek64(ring_header(&consumer->ring, from.position)) == 0 && load64_relaxed(&group->mark) == word) {
            move_to(consumer, from.position);
            consumer->sequence = from.sequence;
            if (placed)
                let_range_go(consumer);
            return 0;
        }

        /* 0 first: should we die from here on, what the slot says is not ours yet. */
        store64_relaxed(&slot->end, 0);
        placed = true;
        if (!slot_place_at(&consumer->ring, consumer->slot, from)) {
            if (!is_nonsense(&refusals, word))
                continue;
            let_range_go(consumer);
            return MAPRING_CORRUPT;
        }
        if (load64_relaxed(&group->mark) != word)
            continue;
        /* From here on nothing behind the mark is overwritten, so it cannot come round to the same word. */
        struct mark end;
        int32_t found = measure(consumer, &from, &end, max);
        if (found != 1 || end.position == from.position) {
            let_range_go(consumer);
            return found == 1 ? MAPRING_CORRUPT : found;
        }
        store64_relaxed(&slot->end, end.position);
        /* Pairs with the acquire loads of the mark here and in least_cursor(): who sees it sees our slot. */
        if (compare_and_swap64(&group->mark, word, mark_word(end))) {
            begin_range(consumer, from, end.position, false);
            return 1;
        }
    }
}

/* Inheriting. */

/* What a dead member had taken and not released. */
static bool read_range(const struct mapring_consumer *consumer, const struct slot *dead, struct mark *from,
                       uint64_t *end)
{
    *end = load64_relaxed(&dead->end);
    if (*end == 0 || !slot_told(dead, from))
        return false;
    /* It may have died before it moved the mark: then it had nothing, unless another took the same. */
    uint64_t word = load64_acquire(&consumer->group->mark);
    *end = min64(*end, mark_position_until(word, load64_relaxed(&consumer->ring.stream->frontier)));
    return from->position < *end && *end - from->position <= consumer->capacity;
}

/* Moves the range of a dead member, or of one that left, into our slot. The producer sees it in one of the two, or
 * looks again. `state` was that of its slot. */
static bool inherit_from(struct mapring_consumer *consumer, uint32_t number, uint64_t state)
{
    struct ring *ring = &consumer->ring;
    struct slot *dead = &ring->readers->slots[number];
    enum slot_life life = slot_examine(ring, number);
    if (life == SLOT_LIVES)
        return false;
    if (load64_relaxed(&dead->state) != state) {
        /* Somebody else's by now. */
        if (life == SLOT_DEAD)
            platform_unlock(ring->segment, SLOT_NUMBER(number));
        return false;
    }
    struct mark from;
    uint64_t end;
    bool got = read_range(consumer, dead, &from, &end);
    if (got) {
        store64_relaxed(&own_slot(consumer)->end, end);
        /* Nothing of it was overwritten while its own slot kept it; but that may be a slot of one who was late, below,
         * and died before it let go what another had got. */
        got = slot_place_at(ring, consumer->slot, from);
        /* Pairs with the loads of it in least_cursor() and others_have_messages(). */
        add64(&ring->readers->moves, 1);
        if (!got)
            let_range_go(consumer);
    }
    /* Decides between two who found it dead in different ways, one by the lock and one by the process. */
    if (!compare_and_swap64(&dead->state, state, state | SLOT_LET_GO) && got) {
        let_range_go(consumer);
        got = false;
    }
    if (life == SLOT_DEAD)
        slot_leave(ring, number, false);
    if (got)
        begin_range(consumer, from, end, true);
    return got;
}

/* Whether this is the state of another member of our group, whose messages count. */
static bool is_fellow(const struct mapring_consumer *consumer, uint32_t number, uint64_t state)
{
    return number != consumer->slot && (state & SLOT_KIND_MASK) == MAPRING_MEMBER && (state & SLOT_LET_GO) == 0 &&
           load64_relaxed(&consumer->ring.readers->slots[number].group) == consumer->group_number;
}

static bool inherit(struct mapring_consumer *consumer)
{
    const struct ring *ring = &consumer->ring;
    consumer->takes = 0;
    consumer->inherited_ns = platform_clock_ns();
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        const struct slot *slot = &ring->readers->slots[i];
        uint64_t state = load64_relaxed(&slot->state);
        if (is_fellow(consumer, i, state) && load64_relaxed(&slot->cursor) != NO_POSITION &&
            inherit_from(consumer, i, state))
            return true;
    }
    return false;
}

bool group_has_heritage(const struct mapring_consumer *consumer)
{
    const struct ring *ring = &consumer->ring;
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        const struct slot *slot = &ring->readers->slots[i];
        if (is_fellow(consumer, i, load64_relaxed(&slot->state)) && load64_relaxed(&slot->cursor) != NO_POSITION &&
            !slot_lives(ring, i))
            return true;
    }
    return false;
}

static bool is_time_to_inherit(struct mapring_consumer *consumer)
{
    return ++consumer->takes >= INHERIT_TAKES && platform_clock_ns() - consumer->inherited_ns >= INHERIT_NS;
}

/* Reading. */

void group_release(struct mapring_consumer *consumer)
{
    if (unreleased_of(consumer) == 0 && position_of(consumer) >= consumer->range_end) {
        let_range_go(consumer);
        return;
    }
    slot_tell(own_slot(consumer), consumer->released);
    look_for_producer(consumer);
}

/* Whether another member, dead or alive, has messages unreleased. */
static bool others_have_messages(const struct mapring_consumer *consumer)
{
    const struct readers *readers = consumer->ring.readers;
    /* As in least_cursor(): a place may move behind our back. */
    uint64_t before = load64_acquire(&readers->moves);
    for (uint32_t i = 0; i < consumer->ring.geometry.slot_count; i++) {
        const struct slot *slot = &readers->slots[i];
        if (is_fellow(consumer, i, load64_relaxed(&slot->state)) && load64_relaxed(&slot->cursor) != NO_POSITION)
            return true;
    }
    fence_acquire();
    return load64_relaxed(&readers->moves) != before;
}

int32_t group_news(struct mapring_consumer *consumer)
{
    const struct stream *stream = consumer->ring.stream;
    /* As in take(); and who sees the mark behind the last message sees the slot of who took that. */
    uint64_t word = load64_acquire(&consumer->group->mark);
    uint64_t position = mark_position_until(word, load64_relaxed(&stream->frontier));
    bool ended = load64_relaxed(&stream->end) == position;
    /* Pairs with the release store of a header in producer.c, and with the fence in advance_frontier(): who reads what
     * was written over a header sees that the mark was moved on. */
    if (load64_racing(ring_header(&consumer->ring, position)) != 0 || load64_relaxed(&consumer->group->mark) != word)
        return 1;
    return ended && !others_have_messages(consumer) ? MAPRING_STREAM_ENDED : 0;
}

/* What is left of the range, as far as it is wanted. */
static uint32_t read_range_on(struct mapring_consumer *consumer, mapring_message *messages, uint32_t max)
{
    uint32_t count = read_wanted(consumer, messages, max, consumer->range_end);
    /* An inherited range may hold padding: whatever stands there instead of a message ends it. */
    uint64_t header;
    while (count == 0 && position_of(consumer) < consumer->range_end && next_message(consumer, &header) == 1)
        count = read_wanted(consumer, messages, max, consumer->range_end);
    if (count == 0)
        consumer->range_end = position_of(consumer);
    if (!consumer->inherited)
        return count;
    for (uint32_t i = 0; i < count; i++)
        messages[i].flags = MAPRING_REDELIVERED;
    consumer->redelivered += count;
    store64_relaxed(&own_slot(consumer)->redelivered, consumer->redelivered);
    return count;
}

int32_t group_read(struct mapring_consumer *consumer, mapring_message *messages, uint32_t max, int64_t timeout_ns)
{
    if (unreleased_of(consumer) > 0)
        return MAPRING_UNRELEASED;
    uint64_t deadline = timeout_ns == 0 ? 0 : deadline_after(timeout_ns);
    uint64_t unwanted = 0; /* bytes */
    for (;;) {
        if (position_of(consumer) < consumer->range_end) {
            uint64_t start = position_of(consumer);
            uint32_t count = read_range_on(consumer, messages, max);
            if (count > 0)
                return (int32_t)count;
            /* Nobody wanted any of it. */
            consumer->released = (struct mark){position_of(consumer), consumer->sequence, 0};
            group_release(consumer);
            unwanted += position_of(consumer) - start;
            if (unwanted >= consumer->capacity && platform_clock_ns() >= deadline)
                return 0;
        }
        if (is_time_to_inherit(consumer) && inherit(consumer))
            continue;
        int32_t found = take(consumer, max);
        if (found < 0)
            return found;
        if (found == 1 || inherit(consumer))
            continue;
        uint64_t now = deadline == 0 ? 0 : platform_clock_ns();
        found = wait_for_news(consumer, time_left(deadline, now));
        if (found != 1 || (unwanted > 0 && now >= deadline))
            return found == 1 ? 0 : found;
    }
}
