/*
 * Competing consumers: DESIGN P9. What some leave to others is in scenarios_heirs.c.
 */
#include "core.h"
#include "members.h"
#include "ring.h"
#include "scenarios.h"

static void work_twice(void)
{
    work_once();
    work_once();
}

static void work_on_two(void)
{
    must(work(2, 0), "working");
}

/* Each message to one. */

static void two_setup(void)
{
    create_members(2);
}

static void publish_two_setup(void)
{
    two_setup();
    tally.record_bytes = 16;
}

static void three_setup(void)
{
    create_members(3);
    publish_two();
}

/* Each message begins in a stride of its own, and moves the frontier. */

static void strides_setup(void)
{
    two_setup();
    tally.record_bytes = 128;
    publish_next(120);
}

static void publish_stride(void)
{
    publish_next(120);
}

/* Room: what is taken is not overwritten before it is released. */

static void full_setup(void)
{
    create_members(1);
    fill();
}

static void full_setup_two(void)
{
    create_members(2);
    fill();
}

static void publish_twice_if_room(void)
{
    publish_if_room();
    publish_if_room();
}

/* A second lap: what lies behind the newest message is no message. */

static void lap_setup(void)
{
    create_members(1);
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

/* A member at the newest message sleeps. Meanwhile the producer, a member too, goes round once: it takes what would be
 * next itself, and then there are the zeros of a claim that is not committed. What it has not taken waits for the
 * sleeper. */

static void zero_setup(void)
{
    begin_tally(2, (mapring_producer_options){0});
    add_member(FIRST);
    add_member(PRODUCER);
    publish_one();
    model_act_as(FIRST);
    if (work(1, 0) != 1)
        model_fail("the first message did not come");
}

static void publish_unheard(uint64_t length)
{
    must_publish(tally.published, length, MAPRING_WAKE_NEVER);
    tally.published++;
}

static void go_round(void)
{
    static const uint8_t zeros[24];
    void *payload;
    publish_unheard(8);
    for (uint64_t i = 0; i < 3; i++)
        publish_unheard(1016);
    publish_unheard(976); /* leaves 8 bytes */
    must(mapring_wake(producers[PRODUCER]), "waking");
    work_on_two();
    int32_t status = mapring_claim(producers[PRODUCER], sizeof zeros, 0, &payload);
    if (status == MAPRING_OK)
        model_write(payload, zeros, sizeof zeros, MODEL_SITE("a claim that is filled", MODEL_COPY, 0));
    else if (status != MAPRING_FULL)
        must(status, "claiming");
}

static void sleep_for_one(void)
{
    if (work(1, MAPRING_FOREVER) != 1)
        model_fail("waiting for ever for a message returned without one");
}

static bool sleeps_beside_messages(void)
{
    return run.threads[FIRST].state == THREAD_PARKED && !was_given(tally.published - 1);
}

/* Draining: the producer is told that all is released when all is. */

static void drain_setup(void)
{
    create_members(1);
    publish_one();
}

static void drain(void)
{
    int32_t status = mapring_drain(producers[PRODUCER], 0);
    if (status == MAPRING_TIMEOUT)
        return;
    must(status, "draining");
    all_are_done();
}

static void drain_twice(void)
{
    drain();
    drain();
}

static void drain_with_heir_setup(void)
{
    create_members(2);
    publish_one();
    take_all_as(SECOND);
}

/* The group is made by its first member, while the producer goes on. */

static void no_group_setup(void)
{
    begin_tally(1, (mapring_producer_options){0});
    fill();
    model_act_as(FIRST); /* goes first: this is about what the producer sees of it */
}

static void make_group_and_work(void)
{
    join_group();
    uint64_t first;
    if (get(1, 0, &first) != 1)
        model_fail("there is no message where the oldest was");
    give_back(first, 1);
    group_begins_at(first);
}

/* The end. */

static void end_setup(void)
{
    create_members(2);
    publish_one();
    must(mapring_end(producers[PRODUCER]), "ending");
}

static void publish_and_end(void)
{
    publish_one();
    must(mapring_end(producers[PRODUCER]), "ending");
}

/* The first message is done with, and there is room for the next in its stride. */
static void before_end_setup(void)
{
    create_members(2);
    publish_one();
    model_act_as(FIRST);
    if (work(1, 0) != 1)
        model_fail("the first message did not come");
}

static void work_to_the_end(void)
{
    int32_t status = work(1, 0);
    if (status == MAPRING_STREAM_ENDED)
        all_are_done();
    else
        must(status, "working");
}

static void three_end_setup(void)
{
    create_members(3);
    publish_one();
    must(mapring_end(producers[PRODUCER]), "ending");
}

static void work_if_not_ended(void)
{
    int32_t status = work(1, 0);
    if (status != MAPRING_STREAM_ENDED)
        must(status, "working");
}

static void sleep_until_the_end(void)
{
    int32_t status;
    while ((status = work(1, MAPRING_FOREVER)) > 0)
        ;
    if (status != MAPRING_STREAM_ENDED)
        model_fail("the stream ended with %s", mapring_status_name(status));
    all_are_done();
}

/* One has the last message; the other was woken for it, so the producer fences for now, which members do not. */
static void promised_end_setup(void)
{
    create_members(2);
    model_act_as(FIRST);
    must(work(1, 1), "waiting for a moment");
    model_act_as(PRODUCER);
    publish_one();
    if (load64_relaxed(&ring_readers()->news.fencing) == 0)
        model_fail("the producer does not fence");
    model_act_as(SECOND);
    uint64_t first;
    must(get(1, 0, &first), "getting the message");
}

static void end_now(void)
{
    must(mapring_end(producers[PRODUCER]), "ending");
}

static void give_back_the_last(void)
{
    give_back(0, 1);
}

static bool sleeps_beside_the_end(void)
{
    return run.threads[FIRST].state == THREAD_PARKED;
}

const struct model_program group_scenarios[] = {
    GROUP("group of two", "Each message goes to one of two members, who know where they are.", 3,
          .threads = {publish_two, work_once, work_once}, .setup = publish_two_setup, .finish = members_finish),
    GROUP("group of two, on and on", "The same for more messages.", 3, .threads = {publish_two, work_twice, work_twice},
          .setup = two_setup, .finish = members_finish, .large = true),
    GROUP("group of two, strides", "The same where each message moves the frontier.", 3,
          .threads = {publish_stride, work_on_two, work_once}, .setup = strides_setup, .finish = members_finish),
    GROUP("group of three", "Each message goes to one of three members.", 4,
          .threads = {NULL, work_once, work_once, work_once}, .setup = three_setup, .finish = members_finish),
    GROUP("group, room", "Nothing that a member has is overwritten before it is released.", 2,
          .threads = {publish_if_room, work_once}, .setup = full_setup, .finish = members_finish),
    GROUP("group, room, two", "The same for two members.", 3, .threads = {publish_twice_if_room, work_once, work_once},
          .setup = full_setup_two, .finish = members_finish, .large = true),
    GROUP("group, lap", "In a second lap nothing stale is taken for a message.", 2,
          .threads = {publish_headers, work_on_many}, .setup = lap_setup, .finish = members_finish),
    GROUP("group, zero", "A member does not sleep at a header that reads 0 because it was overwritten.", 2,
          .threads = {go_round, sleep_for_one}, .setup = zero_setup, .pending = sleeps_beside_messages),
    GROUP("group, drain", "Who is told that all is released may change what the messages stood for.", 2,
          .threads = {drain_twice, work_once}, .setup = drain_setup, .finish = members_finish),
    GROUP("group, drain and heir", "The same while one inherits.", 3, .threads = {drain_twice, work_once, die},
          .setup = drain_with_heir_setup, .finish = members_finish),
    GROUP("group, made", "Nothing is overwritten from where a new group begins.", 2,
          .threads = {publish_if_room, make_group_and_work}, .setup = no_group_setup, .finish = members_finish),
    GROUP("group, end", "A member sees the end when no other has a message, and may change what they stood for.", 3,
          .threads = {NULL, work_if_not_ended, work_to_the_end}, .setup = end_setup),
    GROUP("group, end comes", "The same while the last message and the end come.", 3,
          .threads = {publish_and_end, work_if_not_ended, work_to_the_end}, .setup = before_end_setup),
    GROUP("group, end, asleep", "A member that sleeps is woken when no other has a message.", 4,
          .threads = {NULL, sleep_until_the_end, work_if_not_ended, work_if_not_ended}, .setup = three_end_setup,
          .pending = sleeps_beside_the_end),
    GROUP("group, end comes, asleep", "A member that sleeps is woken for the end, whoever comes last.", 3,
          .threads = {end_now, sleep_until_the_end, give_back_the_last}, .setup = promised_end_setup,
          .pending = sleeps_beside_the_end, .heavy = 7),
    {.name = NULL},
};
