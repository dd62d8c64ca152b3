/*
 * Verifying a ring that is in use: nothing is wrong with it, and mapring_check() says so.
 */
#include "core.h"
#include "fixture.h"
#include "scenarios.h"

enum { PRODUCER, CHECKER, JOINER };

#define BIT(thread) (1u << (thread))

static uint64_t published;

static void publish_next(uint64_t length)
{
    must(publish(published, length, 0, 0), "publishing");
    published++;
}

static void publish_many(uint64_t count, uint64_t length)
{
    for (uint64_t i = 0; i < count; i++)
        publish_next(length);
}

static void read_next(void)
{
    if (receive_and_check(1, 0) != 1)
        model_fail("a message did not come");
}

static void check(void)
{
    mapring_check_report report = {.struct_size = sizeof report};
    int32_t status = mapring_check(RING_NAME, NULL, &report);
    if (status == MAPRING_BUSY)
        return;
    must(status, "checking");
    if (report.problems != 0)
        model_fail("%u problems, the first at %llu: %u records, %u of the index, %u cursors, %u groups, %u limits",
                   report.problems, (unsigned long long)report.problem_position, report.bad_records, report.bad_index,
                   report.bad_cursors, report.bad_groups, report.bad_limits);
}

static void empty_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    published = 0;
}

/* The end of the data is reached but for 8 bytes. */
static void lap_setup(void)
{
    empty_setup();
    publish_many(3, 1016);
    publish_next(1008);
}

/* What the next lap has behind this message was payload. */
static void publish_over_payload(void)
{
    publish_next(24);
}

/* Each begins in a stride of its own, and moves the frontier. */
static void publish_strides(void)
{
    publish_many(2, 56);
}

/* The next publish does not fence: nobody was asleep at this one. */
static void one_setup(void)
{
    empty_setup();
    publish_next(8);
}

static void publish_and_end(void)
{
    publish_next(8);
    must(mapring_end(producers[PRODUCER]), "ending");
}

/* The producer reads too. */

static void reader_setup(void)
{
    empty_setup();
    attach_consumer(PRODUCER);
    publish_next(8);
}

static void publish_and_read(void)
{
    read_next();
    publish_next(8);
    read_next();
    if (receive_and_check(1, 0) != 0) /* tells what was released */
        model_fail("a message came that was not published");
}

static void full_setup(void)
{
    empty_setup();
    attach_consumer(PRODUCER);
    publish_many(3, 1016);
    publish_next(1008);
}

static void make_room_and_publish(void)
{
    read_next();
    publish_next(24);
}

static void member_setup(void)
{
    empty_setup();
    must(open_consumer_as((mapring_consumer_options){.kind = MAPRING_MEMBER, .group = "g"}), "joining the group");
    publish_next(56);
}

static void publish_and_take(void)
{
    publish_next(56);
    read_next();
    read_next();
}

/* Who joins at the oldest message may find that it is too late, and place itself again. */
static void join(void)
{
    must(open_consumer(MAPRING_FROM_OLDEST), "joining");
}

/* More than the ring holds. */
static void publish_round(void)
{
    publish_many(5, 1016);
}

/* The consumer was let go, and knows. */
static void evicted_setup(void)
{
    create_ring_as(PRODUCER, (mapring_producer_options){.max_consumers = 1, .slow_policy = MAPRING_SLOW_EVICT});
    attach_consumer(JOINER);
    model_act_as(PRODUCER);
    published = 0;
    publish_many(5, 1000);
    model_act_as(JOINER);
    if (read_and_check(1, 0) != MAPRING_EVICTED)
        model_fail("it was not let go");
    model_act_as(PRODUCER);
}

/* Needs the room of the oldest message, which the consumer may have by now. */
static void publish_if_room(void)
{
    int32_t status = publish(published, 1000, 0, 0);
    if (status != MAPRING_FULL)
        must(status, "publishing");
}

static void rejoin(void)
{
    must(mapring_rejoin(consumers[JOINER]), "rejoining");
}

/* The same of one with a name, which has left its place. */
#define NAMED ((mapring_consumer_options){.start = MAPRING_FROM_OLDEST, .own_name = "n"})

static void left_setup(void)
{
    create_ring_as(PRODUCER, (mapring_producer_options){.max_consumers = 1, .slow_policy = MAPRING_SLOW_EVICT});
    model_act_as(JOINER);
    must(open_consumer_as(NAMED), "joining");
    mapring_consumer_close(consumers[JOINER]);
    model_act_as(PRODUCER);
    published = 0;
    publish_many(5, 1000);
}

static void come_back(void)
{
    if (open_consumer_as(NAMED) != MAPRING_RESUMED)
        model_fail("it is not known");
}

/* There was a group before, whose mark is overwritten. */
static void dropped_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    model_act_as(JOINER);
    must(open_consumer_as((mapring_consumer_options){.kind = MAPRING_MEMBER, .group = "g"}), "joining a group");
    mapring_consumer_close(consumers[JOINER]);
    must(mapring_forget(RING_NAME, "g"), "forgetting it");
    model_act_as(PRODUCER);
    published = 0;
    publish_many(5, 1000);
}

static void make_group(void)
{
    must(open_consumer_as((mapring_consumer_options){.kind = MAPRING_MEMBER, .group = "h"}), "making a group");
}

static void publish_short(void)
{
    publish_next(8);
}

#define CHECK(title, text, produce, prepare, ...)                                                                      \
    {                                                                                                                  \
        .name = title, .invariant = text, .thread_count = 2, .thread_names = {"producer", "checker"},                  \
        .threads = {produce, check}, .setup = prepare, .heavy = BIT(PRODUCER), .name_word = name_ring_word,            \
        __VA_ARGS__                                                                                                    \
    }

#define JOINS(title, text, produce, join, prepare)                                                                     \
    {                                                                                                                  \
        .name = title, .invariant = text, .thread_count = 3, .thread_names = {"producer", "checker", "joiner"},        \
        .threads = {produce, check, join}, .setup = prepare, .heavy = BIT(PRODUCER), .name_word = name_ring_word,      \
    }

const struct model_program verify_scenarios[] = {
    CHECK("check, lap", "A check finds no fault with a lap that is being overwritten.", publish_over_payload,
          lap_setup, ),
    CHECK("check, strides", "Nor with a producer that goes on to new strides.", publish_strides, empty_setup, ),
    CHECK("check, end", "Nor with a stream that ends.", publish_and_end, one_setup, ),
    CHECK("check, cursor", "Nor with a consumer that reads the newest message.", publish_and_read, reader_setup, ),
    CHECK("check, room", "Nor with one that makes room for the next lap.", make_room_and_publish, full_setup, ),
    CHECK("check, group", "Nor with a group whose mark moves on.", publish_and_take, member_setup, ),
    CHECK("check, overtaken", "Nor with a stream that overtakes it.", publish_round, empty_setup, .oldest_first = true),
    JOINS("check, joiner", "Nor with one that joins while the oldest message is overwritten.", publish_over_payload,
          join, lap_setup),
    JOINS("check, rejoin", "Nor with one that joins again, whose old place is overwritten.", publish_if_room, rejoin,
          evicted_setup),
    JOINS("check, return", "Nor with one that comes back to such a place.", publish_if_room, come_back, left_setup),
    JOINS("check, new group", "Nor with a group that is being made.", publish_short, make_group, dropped_setup),
    {.name = NULL},
};
