/*
 * Competing consumers: DESIGN P9.
 */
#include <string.h>

#include "core.h"
#include "fixture.h"
#include "platform.h"
#include "ring.h"
#include "scenarios.h"

enum { PRODUCER, FIRST, SECOND, THIRD };

#define BIT(thread) (1u << (thread))
#define MESSAGES_MAX 32u

/* What became of each message: handed out, handed out as redelivered, released. */
static uint32_t given[MESSAGES_MAX], again[MESSAGES_MAX];
static bool being_released[MESSAGES_MAX], done[MESSAGES_MAX];
static uint64_t record_bytes; /* of each message from position 0 on; 0: they differ */
static uint64_t published;
static uint32_t deaths; /* that may have happened */

static void join_group(void)
{
    must(open_consumer_as((mapring_consumer_options){.kind = MAPRING_MEMBER, .group = "g"}), "joining the group");
}

static void add_member(uint32_t thread)
{
    model_act_as(thread);
    join_group();
}

static void reset(uint32_t slot_count)
{
    memset(given, 0, sizeof given);
    memset(again, 0, sizeof again);
    memset(done, 0, sizeof done);
    memset(being_released, 0, sizeof being_released);
    published = record_bytes = 0;
    deaths = 0;
    create_ring(PRODUCER, 0, slot_count);
}

static void publish_next(uint64_t length)
{
    must_publish(published, length, 0);
    published++;
}

static void take_note(const mapring_message *message)
{
    uint64_t number = message->sequence;
    if (number >= MESSAGES_MAX || message->tag != (uint32_t)number || message->length > 1024)
        model_fail("message %llu of %llu bytes has the number %u in its tag", (unsigned long long)number,
                   (unsigned long long)message->length, message->tag);
    uint8_t bytes[1024];
    model_read(bytes, message->data, message->length, MODEL_SITE("a message in place", MODEL_COPY, 0));
    for (uint64_t i = 0; i < message->length; i++)
        if (bytes[i] != (uint8_t)(number * 31 + i + 1))
            model_fail("the contents of message %llu are not its own", (unsigned long long)number);
    bool redelivered = (message->flags & MAPRING_REDELIVERED) != 0;
    model_note("gets message %llu%s", (unsigned long long)number, redelivered ? ", redelivered" : "");
    /* Of one that died before it moved the mark on, another may have released the same: then it comes twice, marked. */
    if (done[number] && !redelivered)
        model_fail("message %llu comes again, and it was released", (unsigned long long)number);
    if (redelivered)
        again[number]++;
    else
        given[number]++;
    if (given[number] > 1)
        model_fail("message %llu went to two members", (unsigned long long)number);
    if (again[number] > deaths)
        model_fail("message %llu came again %u times, and %u members died", (unsigned long long)number, again[number],
                   deaths);
}

/* Gets up to `max` messages; returns the number of the first, or UINT64_MAX. */
static int32_t get(uint32_t max, int64_t timeout_ns, uint64_t *first)
{
    mapring_message messages[4];
    int32_t count = mapring_read(consumers[model_self()], messages, max, timeout_ns);
    model_told();
    for (int32_t i = 0; i < count; i++)
        take_note(&messages[i]);
    if (count > 0 && record_bytes > 0) {
        mapring_consumer_progress now = progress();
        if (now.position != record_bytes * (messages[count - 1].sequence + 1))
            model_fail("behind message %llu it takes itself to be at position %llu",
                       (unsigned long long)messages[count - 1].sequence, (unsigned long long)now.position);
    }
    *first = count > 0 ? messages[0].sequence : UINT64_MAX;
    return count;
}

static void give_back(uint64_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        being_released[first + i] = true;
    must(mapring_release(consumers[model_self()], count), "releasing");
    model_told();
    for (uint32_t i = 0; i < count; i++)
        done[first + i] = true;
}

static int32_t work(uint32_t max, int64_t timeout_ns)
{
    uint64_t first;
    int32_t count = get(max, timeout_ns, &first);
    if (count > 0)
        give_back(first, (uint32_t)count);
    return count;
}

static void work_once(void)
{
    must(work(1, 0), "working");
}

static void work_twice(void)
{
    work_once();
    work_once();
}

/* One that lives gets all that is left; nothing is missing. */
static void nothing_is_missing(uint32_t thread)
{
    model_act_as(thread);
    for (uint32_t look = 0; look <= MESSAGES_MAX; look++) {
        int32_t count = work(4, 0);
        must(count, "working");
        if (count == 0)
            break;
    }
    for (uint64_t i = 0; i < published; i++)
        if (given[i] + again[i] == 0 && !done[i])
            model_fail("nobody got message %llu of %llu", (unsigned long long)i, (unsigned long long)published);
}

static void first_finishes(void)
{
    nothing_is_missing(FIRST);
}

static void second_finishes(void)
{
    nothing_is_missing(SECOND);
}

static void third_finishes(void)
{
    nothing_is_missing(THIRD);
}

static void publish_one(void)
{
    publish_next(8);
}

static void publish_two(void)
{
    publish_one();
    publish_one();
}

/* Each message to one. */

static void members(uint32_t count)
{
    reset(count);
    for (uint32_t t = FIRST; t < FIRST + count; t++)
        add_member(t);
    model_act_as(PRODUCER);
}

static void two_setup(void)
{
    members(2);
}

static void publish_two_setup(void)
{
    two_setup();
    record_bytes = 16;
}

static void three_setup(void)
{
    members(3);
    publish_one();
    publish_one();
}

/* Room: what is taken is not overwritten before it is released. */

static void fill(void)
{
    for (uint64_t i = 0; i < 3; i++)
        publish_next(1016);
    publish_next(1000);
}

static void full_setup(void)
{
    members(1);
    fill();
}

static void full_setup_two(void)
{
    members(2);
    fill();
}

static void publish_if_room(void)
{
    int32_t status = publish(published, 504, 0, 0);
    if (status == MAPRING_OK)
        published++;
    else if (status != MAPRING_FULL)
        must(status, "publishing");
}

static void publish_twice_if_room(void)
{
    publish_if_room();
    publish_if_room();
}

/* A second lap: what lies behind the newest message is no message. */

static void lap_setup(void)
{
    members(1);
    for (uint64_t i = 0; i < 3; i++)
        publish_next(1016);
    publish_next(960);
    for (uint64_t i = 0; i < 5; i++)
        publish_next(0); /* headers alone, up to the end of the data */
    model_act_as(FIRST);
    while (work(4, 0) > 0)
        ;
    model_act_as(PRODUCER);
    for (uint64_t i = 0; i < 3; i++)
        publish_next(1016);
    publish_next(960);
    model_act_as(FIRST);
    while (work(4, 0) > 0)
        ;
}

static void publish_headers(void)
{
    for (uint64_t i = 0; i < 2; i++)
        publish_next(0);
}

static void work_on_many(void)
{
    for (int i = 0; i < 2; i++)
        must(work(4, 0), "working");
}

/* The one that dies has taken everything, and has released the first. */
static void take_all_as(uint32_t thread)
{
    uint64_t first;
    model_act_as(thread);
    int32_t count = get(4, 0, &first);
    if (count != (int32_t)published)
        model_fail("not all was taken in setup");
    if (count > 1)
        give_back(first, 1);
    deaths = 1;
}

/* Draining: the producer is told that all is released when all is. */

static void drain_setup(void)
{
    members(1);
    publish_one();
}

static void drain_with_heir_setup(void)
{
    members(2);
    publish_one();
    take_all_as(SECOND);
}

static void drain(void)
{
    int32_t status = mapring_drain(producers[PRODUCER], 0);
    if (status == MAPRING_TIMEOUT)
        return;
    must(status, "draining");
    for (uint64_t i = 0; i < published; i++)
        if (!being_released[i])
            model_fail("it is drained, and message %llu is not released", (unsigned long long)i);
}

static void drain_twice(void)
{
    drain();
    drain();
}

/* The group is made by its first member, while the producer goes on. */

static void no_group_setup(void)
{
    reset(1);
    model_act_as(PRODUCER);
    fill();
}

static void make_group_and_work(void)
{
    join_group();
    uint64_t first;
    if (get(1, 0, &first) != 1)
        model_fail("there is no message where the oldest was");
    give_back(first, 1);
    for (uint64_t i = 0; i < first; i++)
        done[i] = true; /* was there before the group */
}

/* Dying. */

static void death_setup(void)
{
    two_setup();
    publish_one();
    publish_one();
    deaths = 1;
}

static void work_and_die(void)
{
    uint64_t first;
    int32_t count = get(2, 0, &first);
    must(count, "working");
    if (count > 0)
        give_back(first, 1);
    if (count > 1)
        give_back(first + 1, 1);
    model_die();
}

static void full_death_setup(void)
{
    full_setup_two();
    take_all_as(FIRST);
}

static void die(void)
{
    model_die();
}

static void inherit_first(void)
{
    model_await_lock(SLOT_NUMBER(0));
    work_once();
}

static void two_heirs_setup(void)
{
    members(3);
    publish_one();
    take_all_as(FIRST);
}

static void inherit_and_die(void)
{
    model_await_lock(SLOT_NUMBER(0));
    uint64_t first;
    deaths = 2;
    if (get(1, 0, &first) == 1)
        give_back(first, 1);
    model_die();
}

static void leaving_setup(void)
{
    two_setup();
    publish_one();
    deaths = 1;
}

/* Leaving without having released. */

static void take_and_leave(void)
{
    uint64_t first;
    must(get(1, 0, &first), "working");
    mapring_consumer_close(consumers[model_self()]);
}

/* The end. */

static bool holds[MODEL_THREADS_MAX];

static void end_setup(void)
{
    members(2);
    publish_one();
    must(mapring_end(producers[PRODUCER]), "ending");
    memset(holds, 0, sizeof holds);
}

static void inherited_end_setup(void)
{
    members(3);
    publish_one();
    must(mapring_end(producers[PRODUCER]), "ending");
    memset(holds, 0, sizeof holds);
    take_all_as(THIRD);
}

static void hold_for_a_while(void)
{
    uint64_t first;
    int32_t count = get(1, 0, &first);
    if (count <= 0)
        return;
    holds[model_self()] = true;
    platform_sleep(1);
    holds[model_self()] = false;
    give_back(first, 1);
}

/* The stream has ended for a member when nobody has anything of it any longer. */
static void work_to_the_end(void)
{
    int32_t status = work(1, 0);
    if (status != MAPRING_STREAM_ENDED) {
        must(status, "working");
        return;
    }
    for (uint64_t i = 0; i < published; i++)
        if (given[i] + again[i] == 0)
            model_fail("the stream ended, and nobody has got message %llu", (unsigned long long)i);
    for (uint32_t t = FIRST; t <= THIRD; t++)
        if (holds[t])
            model_fail("the stream ended, and member %u has a message unreleased", t);
}

#define GROUP(title, text, count, ...)                                                                                 \
    {                                                                                                                  \
        .name = title, .invariant = text, .thread_count = count,                                                       \
        .thread_names = {"producer", "member", "second", "third"}, .name_word = name_ring_word, __VA_ARGS__            \
    }

const struct model_program group_scenarios[] = {
    GROUP("group of two", "Each message goes to one of two members, who know where they are.", 3,
          .threads = {publish_two, work_once, work_once}, .setup = publish_two_setup, .finish = second_finishes),
    GROUP("group of two, on and on", "The same for more messages.", 3, .threads = {publish_two, work_twice, work_twice},
          .setup = two_setup, .finish = second_finishes, .large = true),
    GROUP("group of three", "Each message goes to one of three members.", 4,
          .threads = {NULL, work_once, work_once, work_once}, .setup = three_setup, .finish = third_finishes),
    GROUP("group, room", "Nothing that a member has is overwritten before it is released.", 2,
          .threads = {publish_if_room, work_once}, .setup = full_setup, .finish = first_finishes),
    GROUP("group, room, two", "The same for two members.", 3, .threads = {publish_twice_if_room, work_once, work_once},
          .setup = full_setup_two, .finish = second_finishes, .large = true),
    GROUP("group, lap", "In a second lap nothing stale is taken for a message.", 2,
          .threads = {publish_headers, work_on_many}, .setup = lap_setup, .finish = first_finishes),
    GROUP("group, drain", "A producer that is told that all is released finds it so.", 2,
          .threads = {drain_twice, work_once}, .setup = drain_setup, .finish = first_finishes),
    GROUP("group, drain and heir", "The same while one inherits.", 3, .threads = {drain_twice, work_once, die},
          .setup = drain_with_heir_setup, .finish = first_finishes),
    GROUP("group, made", "Nothing is overwritten from where a new group begins.", 2,
          .threads = {publish_if_room, make_group_and_work}, .setup = no_group_setup, .finish = first_finishes),
    GROUP("group, death", "A member dies between any two stores: another gets what it had not released, marked.", 3,
          .threads = {NULL, work_and_die, work_once}, .setup = death_setup, .finish = second_finishes,
          .mortal = BIT(FIRST)),
    GROUP("group, heir", "What a dead member had is not overwritten while another inherits it.", 3,
          .threads = {publish_if_room, die, inherit_first}, .setup = full_death_setup, .finish = second_finishes),
    GROUP("group, heir dies", "The same if the heir dies too.", 4, .threads = {NULL, die, inherit_and_die, work_once},
          .setup = two_heirs_setup, .finish = third_finishes, .mortal = BIT(SECOND)),
    GROUP("group, two heirs", "What a dead member had goes to one of two heirs.", 4,
          .threads = {NULL, die, work_once, work_once}, .setup = two_heirs_setup, .finish = third_finishes,
          .gone_shows = true),
    GROUP("group, orphan", "The same when a child of the dead keeps its lock.", 4,
          .threads = {NULL, die, work_once, work_once}, .setup = two_heirs_setup, .finish = third_finishes,
          .gone_shows = true, .forked = BIT(FIRST)),
    GROUP("group, leaving", "What a member leaves unreleased goes to another.", 3,
          .threads = {NULL, take_and_leave, work_once}, .setup = leaving_setup, .finish = second_finishes),
    GROUP("group, end", "A member sees the end when no other has a message.", 3,
          .threads = {NULL, hold_for_a_while, work_to_the_end}, .setup = end_setup),
    GROUP("group, inherited end", "The same when one inherits the last message.", 4,
          .threads = {NULL, hold_for_a_while, work_to_the_end, die}, .setup = inherited_end_setup),
    {.name = NULL},
};
