/*
 * Places of consumers that say nonsense, or were left half-written: a group's mark, what a dead member had, a slot
 * whose consumer stood still or died while it found its place.
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "foreign.h"
#include "rings.h"

TestSuite(places, .timeout = 120);

static struct segment_view view_ring(const char *name)
{
    char path[512];
    path_of_name(path, name);
    return view_segment(path);
}

static mapring_consumer *open_member(const char *name)
{
    mapring_consumer_options options = {.struct_size = sizeof options, .kind = MAPRING_MEMBER, .group = "workers"};
    mapring_consumer *member;
    cr_assert_geq(mapring_consumer_open(name, &options, &member), 0);
    return member;
}

/* A group whose mark was set to what is overwritten long since: its members are told so, and do not try for ever. */
Test(places, a_mark_in_the_past)
{
    struct ends ends = open_ends(4096);
    struct segment_view view = view_ring(ends.name);
    mapring_consumer *member = open_member(ends.name);
    mapring_message message;
    for (uint64_t i = 0; i < 1000; i++) {
        put(&ends, 8, i);
        take(&ends, 8, i);
        cr_assert_status(mapring_read(member, &message, 1, 0), 1);
        cr_assert_status(mapring_release(member, 1), MAPRING_OK);
    }
    for (uint64_t past = 64; past < 4096; past += 1000) {
        view.readers->groups[0].mark.word = past / 8;
        cr_assert_status(mapring_read(member, &message, 1, 0), MAPRING_CORRUPT);
    }
    unview_segment(&view);
    mapring_consumer_close(member);
    close_ends(&ends);
}

/* Reads one message of the ring as a member and dies, without having released it. */
static void die_as_member(const char *name)
{
    pid_t child = fork();
    if (child == 0) {
        mapring_message message;
        _exit(mapring_read(open_member(name), &message, 1, 0) == 1 ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

/* What a dead member's slot says it had was overwritten long since: nobody gets it, and nothing else is lost. */
Test(places, a_heritage_in_the_past)
{
    struct ends ends = open_ends(4096);
    struct segment_view view = view_ring(ends.name);
    mapring_consumer *member = open_member(ends.name);
    mapring_message message;
    put(&ends, 64, 0);
    take(&ends, 64, 0);
    die_as_member(ends.name);

    shared64 *cursor = NULL;
    for (uint32_t i = 0; i < 64; i++)
        if (view.readers->slots[i].cursor.word == 0 && view.readers->slots[i].end.word != 0)
            cursor = &view.readers->slots[i].cursor;
    cr_assert_not_null(cursor);
    cursor->word = NO_POSITION;
    /* Of other lengths than the first, so that what lies there now begins elsewhere. */
    for (uint64_t i = 1; i <= 1000; i++) {
        put(&ends, 40, i);
        take(&ends, 40, i);
        cr_assert_status(mapring_read(member, &message, 1, 0), 1);
        cr_assert_eq(message.sequence, i);
        cr_assert_status(mapring_release(member, 1), MAPRING_OK);
    }
    cursor->word = 0;
    cr_assert_status(mapring_read(member, &message, 1, 0), 0);
    put(&ends, 40, 1001);
    cr_assert_status(mapring_read(member, &message, 1, 0), 1);
    cr_assert_eq(message.sequence, 1001);
    cr_assert_eq(message.flags & MAPRING_REDELIVERED, 0);
    unview_segment(&view);
    mapring_consumer_close(member);
    close_ends(&ends);
}

/* A ring whose producer does not wait for the slow, and a consumer with a name that it let go. */
static struct ends open_evicted(struct segment_view *view)
{
    struct ends ends = {0};
    unique_name(ends.name);
    mapring_producer_options options = {
        .struct_size = sizeof options, .capacity = 4096, .slow_policy = MAPRING_SLOW_EVICT};
    cr_assert_status(mapring_producer_open(ends.name, &options, &ends.producer), MAPRING_OK);
    mapring_consumer_options consumer_options = {.struct_size = sizeof consumer_options, .own_name = "n"};
    cr_assert_status(mapring_consumer_open(ends.name, &consumer_options, &ends.consumer), MAPRING_OK);
    *view = view_ring(ends.name);
    for (uint64_t i = 0; i < 300; i++)
        put(&ends, 40, i);
    mapring_message message;
    cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), MAPRING_EVICTED);
    cr_assert_eq(stat_of(ends.name).evictions, 1);
    return ends;
}

/* An index that says nothing: who rejoins is where it was before, holds nobody up, and may try again. */
Test(places, a_rejoin_that_finds_no_place)
{
    struct segment_view view;
    struct ends ends = open_evicted(&view);
    struct index_entry index[STRIDE_COUNT];
    memcpy(index, view.stream->index, sizeof index);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < STRIDE_COUNT; i++)
            view.stream->index[i].position.word = NO_POSITION;
        cr_assert_status(mapring_rejoin(ends.consumer), MAPRING_CORRUPT);
        memcpy(view.stream->index, index, sizeof index);
        mapring_message message;
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), MAPRING_EVICTED);
    }
    cr_assert_eq(stat_of(ends.name).evictions, 1);
    cr_assert_status(mapring_rejoin(ends.consumer), MAPRING_OK);
    uint64_t next = stat_of(ends.name).messages;
    mapring_message messages[300];
    int32_t count = read_all(ends.consumer, messages, 300);
    cr_assert_gt(count, 10);
    cr_assert_eq(messages[count - 1].sequence, next - 1);
    cr_assert_status(mapring_release(ends.consumer, (uint32_t)count), MAPRING_OK);
    unview_segment(&view);
    close_ends(&ends);
}

/* Fills the ring again: what is in the way is let go. */
static void expect_eviction(struct ends *ends)
{
    uint64_t evictions = stat_of(ends->name).evictions;
    for (uint64_t i = 0; i < 300; i++)
        put(ends, 40, i);
    cr_assert_eq(stat_of(ends->name).evictions, evictions + 1);
}

/* One that stands still, or died, while it finds its place again is let go like any other. */
Test(places, a_consumer_that_stops_while_it_finds_its_place)
{
    struct segment_view view;
    struct ends ends = open_evicted(&view);
    mapring_message message;
    for (int round = 0; round < 3; round++) {
        cr_assert_status(mapring_rejoin(ends.consumer), MAPRING_OK);
        view.readers->slots[0].state.word &= ~SLOT_KIND_MASK;
        expect_eviction(&ends);
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), MAPRING_EVICTED);
        cr_assert_status(mapring_rejoin(ends.consumer), MAPRING_OK);
        mapring_consumer_close(ends.consumer);
        view.readers->slots[0].state.word = SLOT_NAMED;
        expect_eviction(&ends);
        mapring_consumer_options options = {.struct_size = sizeof options, .own_name = "n"};
        cr_assert_status(mapring_consumer_open(ends.name, &options, &ends.consumer), MAPRING_RESUMED);
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), MAPRING_LAPPED);
        expect_eviction(&ends);
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), MAPRING_EVICTED);
    }
    unview_segment(&view);
    close_ends(&ends);
}
