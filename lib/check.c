/*
 * Verifying a ring: walks over everything that it retains, and sees whether all that points into it points at a record.
 */
#include <stdlib.h>
#include <string.h>

#include <mapring/mapring.h>

#include "index.h"
#include "life.h"
#include "producer.h"
#include "record.h"
#include "slot.h"
#include "validate.h"

/* How often a fast producer may overtake the walk. */
#define ROUNDS 100

/* Of a claim that says nothing of it. */
#define ANY_SEQUENCE UINT64_MAX

/* A MARK lies beyond its cursor: it is about to be told, or its consumer died before that. */
enum claimant { INDEX, CURSOR, MARK, GROUP };

/* Something that says: at this position a record begins, and the next message has this number. */
struct claim {
    struct mark mark;
    enum claimant claimant;
};

struct claims {
    struct claim *list;
    uint32_t count;
};

static void add(struct claims *claims, struct mark mark, enum claimant claimant)
{
    claims->list[claims->count++] = (struct claim){mark, claimant};
}

static void object(mapring_check_report *report, uint32_t *kind, uint64_t position)
{
    ++*kind;
    if (report->problems++ == 0 || position < report->problem_position)
        report->problem_position = position;
}

/* Entries stay when what they point at is overwritten, but never leave their stride. */
static void gather_index(const struct ring *ring, struct claims *claims, mapring_check_report *report)
{
    uint64_t stride = ring->geometry.capacity / STRIDE_COUNT;
    for (uint32_t i = 0; i < STRIDE_COUNT; i++) {
        struct mark mark;
        if (!index_read(ring, i, &mark) || mark.position == NO_POSITION)
            continue;
        report->index_entries++;
        if (mark.position % 8 == 0 && mark.position / stride % STRIDE_COUNT == i)
            add(claims, mark, INDEX);
        else
            object(report, &report->bad_index, mark.position);
    }
}

/* Not if nobody is waited for there, or if it is on the move. */
static void gather_cursor(const struct slot *slot, uint64_t capacity, struct claims *claims)
{
    uint64_t state = load64_relaxed(&slot->state);
    uint64_t kind = state & SLOT_KIND_MASK;
    if ((kind != MAPRING_RELIABLE && kind != MAPRING_MEMBER) || (state & SLOT_LET_GO) != 0)
        return;
    /* Pairs with the release store in slot_tell(): we find the headers before it, and no older mark. */
    uint64_t cursor = load64_acquire(&slot->cursor);
    /* What a member says before it took anything may be long out of date. */
    if (cursor == NO_POSITION || (kind == MAPRING_MEMBER && load64_relaxed(&slot->end) == 0))
        return;
    uint64_t word = load64_relaxed(&slot->mark);
    uint64_t sequence = mark_sequence_near(word, load64_relaxed(&slot->sequence));
    /* Pairs with the release store in slot_announce(), and with the full fence in slot_place_at() before a member
     * stores the end: a cursor that was not in its place yet has changed. */
    fence_acquire();
    if (load64_relaxed(&slot->cursor) != cursor || load64_relaxed(&slot->state) != state)
        return;
    struct mark mark = {mark_position_from(word, cursor), sequence, 0};
    if (cursor >= NO_POSITION - 2 * CAPACITY_MAX || cursor % 8 != 0 || mark.position - cursor > capacity) {
        add(claims, (struct mark){NO_POSITION, 0, 0}, CURSOR); /* nothing begins there */
    } else if (mark.position == cursor) {
        add(claims, mark, CURSOR);
    } else {
        add(claims, (struct mark){cursor, ANY_SEQUENCE, 0}, CURSOR);
        add(claims, mark, MARK);
    }
}

static void gather_cursors(const struct ring *ring, struct claims *claims)
{
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++)
        gather_cursor(&ring->readers->slots[i], ring->geometry.capacity, claims);
}

static void gather_groups(const struct ring *ring, uint64_t near, struct claims *claims)
{
    /* Pairs with the fence in group_join(): a mark that we find is the group's own. */
    uint64_t groups = load64_acquire(&ring->readers->groups_used);
    for (uint32_t i = 0; i < GROUPS_MAX; i++) {
        if ((groups >> i & 1) == 0)
            continue;
        /* Pairs with the compare-and-swap in take(): what was acted on lies beyond the mark. */
        uint64_t word = load64_acquire(&ring->readers->groups[i].mark);
        uint64_t position = mark_position_until(word, load64_relaxed(&ring->stream->acted));
        add(claims, (struct mark){position, mark_sequence_near(word, near), 0}, GROUP);
    }
}

static int compare(const void *left, const void *right)
{
    uint64_t one = ((const struct claim *)left)->mark.position, other = ((const struct claim *)right)->mark.position;
    return one < other ? -1 : one > other;
}

static void judge(mapring_check_report *report, const struct claim *claim, bool right)
{
    uint32_t *const kinds[] = {[INDEX] = &report->bad_index,
                               [CURSOR] = &report->bad_cursors,
                               [MARK] = &report->bad_cursors,
                               [GROUP] = &report->bad_groups};
    if (!right)
        object(report, kinds[claim->claimant], claim->mark.position);
}

static bool is_at(const struct claim *claim, struct mark mark)
{
    return claim->mark.position == mark.position &&
           (claim->mark.sequence == mark.sequence || claim->mark.sequence == ANY_SEQUENCE);
}

/* Behind a record that is none the next place where one begins is told by the index. Claims between them cannot be
 * judged. */
static bool find_next(const struct claims *claims, uint32_t *next, uint64_t limit, struct mark *mark)
{
    uint32_t i = *next;
    while (i < claims->count && claims->list[i].claimant != INDEX)
        i++;
    if (i == claims->count || claims->list[i].mark.position >= limit)
        return false;
    *next = i;
    *mark = claims->list[i].mark;
    return true;
}

/* Walks from `mark` to the end of the stream, past all claims. Before `intact` anything may be overwritten. */
static void walk(const struct ring *ring, struct mark *mark, uint64_t intact, const struct claims *claims,
                 mapring_check_report *report)
{
    uint64_t capacity = ring->geometry.capacity, start = mark->position;
    uint32_t next = 0;
    /* Who counts is not overwritten. Of the index, and up to its oldest entry, nothing more can be told. */
    for (; next < claims->count && claims->list[next].mark.position < start; next++)
        judge(report, &claims->list[next],
              claims->list[next].claimant == INDEX || claims->list[next].mark.position >= intact);
    bool lost = false;
    while (!lost) {
        for (; next < claims->count && claims->list[next].mark.position <= mark->position; next++)
            judge(report, &claims->list[next], is_at(&claims->list[next], *mark));
        uint64_t offset = mark->position & (capacity - 1);
        /* Pairs with the release store of a header in producer.c. */
        uint64_t header = load64_racing(ring_header(ring, mark->position));
        if (header == 0)
            break;
        uint64_t size = record_size(header_length(header));
        if (!header_is_sound(header, offset, capacity) || mark->position + size - start >= capacity) {
            object(report, &report->bad_records, mark->position);
            lost = !find_next(claims, &next, start + capacity, mark);
            continue;
        }
        report->bytes += size;
        if ((header & HEADER_PADDING) != 0)
            report->padding++;
        else
            mark->sequence++;
        mark->position += size;
    }
    report->messages = mark->sequence;
    /* A mark that is not told yet may come before its headers. */
    for (; next < claims->count; next++)
        judge(report, &claims->list[next],
              claims->list[next].claimant == MARK || (lost && claims->list[next].mark.position < start + capacity));
}

/* `acted` and `ended` were read before the walk, which then came to `newest`. */
static void check_limits(const struct ring *ring, uint64_t acted, uint64_t ended, struct mark newest,
                         mapring_check_report *report)
{
    const struct stream *stream = ring->stream;
    uint64_t capacity = ring->geometry.capacity;
    /* A takeover goes on behind the end, and takes it away first. */
    if (ended != NO_POSITION && ended != newest.position && report->bad_records == 0 &&
        load64_relaxed(&stream->end) == ended)
        object(report, &report->bad_limits, newest.position);
    /* Announced before it is acted on, and never more than a capacity beyond what was acted on before. Pairs with the
     * release fence in advance_frontier(): we find that. */
    uint64_t frontier = load64_acquire(&stream->frontier);
    uint64_t acted_by_now = load64_relaxed(&stream->acted);
    if (acted_by_now % 8 != 0 || acted_by_now < newest.position || frontier % 8 != 0 || frontier < acted ||
        frontier > acted_by_now + capacity)
        object(report, &report->bad_limits, newest.position);
    if ((ring->geometry.flags & MAPRING_DURABLE) != 0 && !checkpoints_are_sound(ring))
        object(report, &report->bad_checkpoints, newest.position);
}

static void check_holders(const struct ring *ring, mapring_check_report *report)
{
    report->producer_alive = producer_lives(ring);
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        if (load64_relaxed(&ring->readers->slots[i].state) == 0)
            continue;
        report->consumers++;
        report->dead += !slot_lives(ring, i);
    }
}

/* Where to walk from. Nothing of a ring that has not come round is overwritten; but the start of one that was restored
 * after a power cut is gone. */
static bool find_start(const struct ring *ring, uint64_t acted, uint64_t ahead, struct mark newest, struct mark *mark)
{
    uint64_t first = ring->geometry.first_position;
    *mark = (struct mark){first, 0, 0};
    if ((ring->geometry.flags & MAPRING_DURABLE) == 0 &&
        first >= overwritten_below(acted + ahead, ring->geometry.capacity))
        return true;
    if (!index_find(ring, acted + ahead, (struct start){OLDEST, 0}, mark))
        *mark = newest;
    return newest.position != NO_POSITION;
}

static int32_t check(const struct ring *ring, struct claims *claims, mapring_check_report *report)
{
    const struct stream *stream = ring->stream;
    uint64_t capacity = ring->geometry.capacity;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        *report = (mapring_check_report){.struct_size = sizeof *report, .capacity = capacity};
        claims->count = 0;
        /* Cursors that are read behind it lie where this leaves them intact: index_find(), between them, has the
         * acquire fence for that. */
        uint64_t acted = load64_relaxed(&stream->acted);
        uint64_t intact = overwritten_below(acted, capacity);
        /* Farther from being overwritten, each time that it was. */
        uint64_t ahead = min64(round, STRIDE_COUNT - 2) * (capacity / STRIDE_COUNT);
        struct mark start, newest = {NO_POSITION, 0, 0};
        index_find(ring, acted, (struct start){NEWEST, 0}, &newest);
        if (!find_start(ring, acted, ahead, newest, &start)) {
            if (load64_relaxed(&stream->acted) != acted)
                continue;
            gather_index(ring, claims, report);
            bool plausible = report->index_entries > report->bad_index;
            object(report, plausible ? &report->bad_limits : &report->bad_index, acted);
            check_holders(ring, report);
            return MAPRING_OK;
        }
        gather_index(ring, claims, report);
        gather_cursors(ring, claims);
        gather_groups(ring, newest.sequence, claims);
        qsort(claims->list, claims->count, sizeof *claims->list, compare);
        /* Pairs with the release store in mapring_end(): we find the last message. */
        uint64_t ended = load64_acquire(&stream->end);
        uint64_t begun = start.position;
        report->oldest = start.sequence;
        walk(ring, &start, intact, claims, report);
        /* As in is_lapped(); but the walk acquires what it reads, and so needs no fence. */
        if (begun < overwritten_below(load64_relaxed(&stream->acted), capacity))
            continue;
        check_limits(ring, acted, ended, start, report);
        check_holders(ring, report);
        return MAPRING_OK;
    }
    return MAPRING_BUSY;
}

int32_t mapring_check(const char *name, const char *file, mapring_check_report *report)
{
    if (report == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (report->struct_size != sizeof *report)
        return MAPRING_INVALID_OPTIONS;
    int32_t status = file == NULL ? validate_name(name) : MAPRING_OK;
    if (status < 0)
        return status;
    struct ring ring;
    struct platform_target target = ring_target(name, file);
    status = ring_open(&target, ROLE_OBSERVER, &ring, NULL);
    if (status < 0)
        return status;
    struct claims claims = {0};
    claims.list = calloc(STRIDE_COUNT + 2 * ring.geometry.slot_count + GROUPS_MAX, sizeof *claims.list);
    status = claims.list == NULL ? MAPRING_NO_MEMORY : check(&ring, &claims, report);
    free(claims.list);
    ring_close(&ring);
    return status;
}
