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

enum claimant { INDEX, CURSOR, GROUP };

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

static void gather(const struct ring *ring, struct mark newest, struct claims *claims)
{
    claims->count = 0;
    for (uint32_t i = 0; i < STRIDE_COUNT; i++) {
        struct mark mark;
        if (index_read(ring, i, &mark) && mark.position != NO_POSITION)
            add(claims, mark, INDEX);
    }
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        const struct slot *slot = &ring->readers->slots[i];
        uint64_t state = load64_relaxed(&slot->state);
        uint64_t kind = state & SLOT_KIND_MASK;
        struct mark mark;
        if ((kind != MAPRING_RELIABLE && kind != MAPRING_MEMBER) || !slot_counts(slot) ||
            load64_relaxed(&slot->cursor) == NO_POSITION)
            continue;
        if (!slot_told(slot, &mark))
            mark = (struct mark){NO_POSITION, 0, 0}; /* nothing begins there */
        add(claims, mark, CURSOR);
    }
    uint64_t groups = load64_relaxed(&ring->readers->groups_used);
    for (uint32_t i = 0; i < GROUPS_MAX; i++) {
        uint64_t word = load64_relaxed(&ring->readers->groups[i].mark);
        if ((groups >> i & 1) != 0)
            add(claims,
                (struct mark){mark_position_until(word, newest.position), mark_sequence_near(word, newest.sequence), 0},
                GROUP);
    }
}

static int compare(const void *left, const void *right)
{
    uint64_t one = ((const struct claim *)left)->mark.position, other = ((const struct claim *)right)->mark.position;
    return one < other ? -1 : one > other;
}

static void object(mapring_check_report *report, uint32_t *kind, uint64_t position)
{
    ++*kind;
    if (report->problems++ == 0 || position < report->problem_position)
        report->problem_position = position;
}

static void judge(mapring_check_report *report, const struct claim *claim, bool right)
{
    uint32_t *const kinds[] = {
        [INDEX] = &report->bad_index, [CURSOR] = &report->bad_cursors, [GROUP] = &report->bad_groups};
    if (claim->claimant == INDEX)
        report->index_entries++;
    if (!right)
        object(report, kinds[claim->claimant], claim->mark.position);
}

/* Walks from `mark` to the end of the stream, past all claims. */
static void walk(const struct ring *ring, struct mark *mark, const struct claims *claims, mapring_check_report *report)
{
    uint64_t capacity = ring->geometry.capacity, start = mark->position;
    uint32_t next = 0;
    /* What lies before the oldest entry of the index cannot be told, or was overwritten since. */
    while (next < claims->count && claims->list[next].mark.position < start)
        next++;
    for (;;) {
        for (; next < claims->count && claims->list[next].mark.position <= mark->position; next++)
            judge(report, &claims->list[next],
                  claims->list[next].mark.position == mark->position &&
                      claims->list[next].mark.sequence == mark->sequence);
        uint64_t offset = mark->position & (capacity - 1);
        /* Pairs with the release store of a header in producer.c. */
        uint64_t header = load64_racing(ring_header(ring, mark->position));
        if (header == 0)
            break;
        uint64_t size = record_size(header_length(header));
        if (!header_is_sound(header, offset, capacity) || mark->position + size - start >= capacity) {
            object(report, &report->bad_records, mark->position);
            break;
        }
        report->bytes += size;
        if ((header & HEADER_PADDING) != 0)
            report->padding++;
        else
            mark->sequence++;
        mark->position += size;
    }
    report->messages = mark->sequence;
    for (; next < claims->count; next++)
        judge(report, &claims->list[next], false);
}

static void check_limits(const struct ring *ring, struct mark end, mapring_check_report *report)
{
    const struct stream *stream = ring->stream;
    uint64_t ended = load64_relaxed(&stream->end);
    uint64_t acted = load64_relaxed(&stream->acted);
    if (acted % 8 != 0 || acted < end.position || acted - end.position > ring->geometry.capacity)
        object(report, &report->bad_limits, end.position);
    if (ended != NO_POSITION && (ended > acted || ended < ring->geometry.first_position))
        object(report, &report->bad_limits, end.position);
    if ((ring->geometry.flags & MAPRING_DURABLE) != 0 && !checkpoints_are_sound(ring))
        object(report, &report->bad_checkpoints, end.position);
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

static int32_t check(const struct ring *ring, struct claims *claims, mapring_check_report *report)
{
    const struct stream *stream = ring->stream;
    uint64_t capacity = ring->geometry.capacity;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        *report = (mapring_check_report){.struct_size = sizeof *report, .capacity = capacity};
        uint64_t acted = load64_relaxed(&stream->acted);
        struct mark oldest, newest;
        /* Farther from being overwritten, each time that it was. */
        uint64_t ahead = min64(round, STRIDE_COUNT - 2) * (capacity / STRIDE_COUNT);
        if (!index_find(ring, acted, (struct start){NEWEST, 0}, &newest)) {
            object(report, &report->bad_index, acted);
            return MAPRING_OK;
        }
        if (!index_find(ring, acted + ahead, (struct start){OLDEST, 0}, &oldest))
            oldest = newest;
        /* Marks of groups are told from the end, so that is looked for first. */
        struct mark end = newest;
        walk_to_newest(ring, &end, true);
        gather(ring, end, claims);
        qsort(claims->list, claims->count, sizeof *claims->list, compare);
        report->oldest = oldest.sequence;
        walk(ring, &oldest, claims, report);
        check_limits(ring, oldest, report);
        check_holders(ring, report);
        /* Pairs with the release fence in advance_frontier(), as in is_lapped(). */
        fence_acquire();
        if (load64_relaxed(&stream->acted) == acted || report->problems == 0)
            return MAPRING_OK;
    }
    return MAPRING_OK;
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
    claims.list = calloc(STRIDE_COUNT + ring.geometry.slot_count + GROUPS_MAX, sizeof *claims.list);
    status = claims.list == NULL ? MAPRING_NO_MEMORY : check(&ring, &claims, report);
    free(claims.list);
    ring_close(&ring);
    return status;
}
