/*
 * What members of a group that die, or leave, have not released: DESIGN P9, P7.
 */
#include "core.h"
#include "members.h"
#include "ring.h"
#include "scenarios.h"

/* Dying. */

static void death_setup(void)
{
    create_members(2);
    publish_two();
    tally.deaths = 1;
}

static void death_setup_three(void)
{
    create_members(3);
    publish_two();
    tally.deaths = 1;
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
    create_members(2);
    fill();
    take_all_as(FIRST);
}

static void inherit_first(void)
{
    model_await_lock(SLOT_NUMBER(0));
    work_once();
}

static void two_heirs_setup(void)
{
    create_members(3);
    publish_one();
    take_all_as(FIRST);
}

static void inherit_and_die(void)
{
    model_await_lock(SLOT_NUMBER(0));
    uint64_t first;
    tally.deaths = 2;
    if (get(1, 0, &first) == 1)
        give_back(first, 1);
    model_die();
}

/* Far on in the stream, where a mark says less than all; and each message moves the frontier. */

static void far_setup(void)
{
    begin_tally(3, (mapring_producer_options){.first_position = (uint64_t)1 << 40});
    for (uint32_t t = FIRST; t <= THIRD; t++)
        add_member(t);
    model_act_as(PRODUCER);
    publish_next(120);
    take_all_as(FIRST);
}

static void publish_stride(void)
{
    publish_next(120);
}

/* Leaving without having released. */

static void leaving_setup(void)
{
    create_members(2);
    publish_one();
    tally.deaths = 1;
}

static void take_and_leave(void)
{
    uint64_t first;
    must(get(1, 0, &first), "working");
    mapring_consumer_close(consumers[model_self()]);
    consumers[model_self()] = NULL;
}

/* The end. The second is the one that dies: the first, who may inherit, is looked at before it, the third looks. */

static void inherited_end_setup(void)
{
    create_members(3);
    publish_one();
    must(mapring_end(producers[PRODUCER]), "ending");
    take_all_as(SECOND);
}

static void work_if_not_ended(void)
{
    int32_t status = work(1, 0);
    if (status != MAPRING_STREAM_ENDED)
        must(status, "working");
}

static void work_to_the_end(void)
{
    int32_t status = work(1, 0);
    if (status == MAPRING_STREAM_ENDED)
        all_are_done();
    else
        must(status, "working");
}

/* Somebody else joins, and gets the slot of the dead. */
static void take_slot(void)
{
    model_await_lock(SLOT_NUMBER(1));
    int32_t status = open_consumer_as((mapring_consumer_options){.kind = MAPRING_LOSSY});
    if (status != MAPRING_NO_SLOT)
        must(status, "joining");
}

/* A consumer with a name, whose process is gone though its lock is held, and that the producer has let go. */
static void named_orphan_setup(void)
{
    begin_tally(4, (mapring_producer_options){0});
    for (uint32_t t = FIRST; t <= THIRD; t++)
        add_member(t);
    model_act_as(PRODUCER);
    must(open_consumer_as((mapring_consumer_options){.own_name = "n"}), "attaching");
    consumers[PRODUCER] = NULL; /* its handle stays with the child */
    struct slot *orphan = &ring_readers()->slots[3];
    store64_relaxed(&orphan->start, 1);
    store64_relaxed(&orphan->state, load64_relaxed(&orphan->state) | SLOT_LET_GO);
    publish_one();
    must(mapring_end(producers[PRODUCER]), "ending");
    take_all_as(SECOND);
}

/* Not while somebody is about to find its name. */
static void work_to_the_end_later(void)
{
    model_await_lock(REGISTRY_NUMBER);
    work_to_the_end();
}

static void resume_in_slot(void)
{
    model_await_lock(SLOT_NUMBER(1));
    int32_t status = open_consumer_as((mapring_consumer_options){.own_name = "n"});
    if (status != MAPRING_NO_SLOT)
        must(status, "resuming");
}

/* A group that nobody is in any longer. */

static void abandoned_setup(void)
{
    begin_tally(2, (mapring_producer_options){.hold_ns = 200000000});
    add_member(FIRST);
    model_act_as(PRODUCER);
    fill();
    model_act_as(FIRST);
    uint64_t first;
    if (get(1, 0, &first) != 1)
        model_fail("the first message did not come");
}

static void publish_at_last(void)
{
    publish_next(1000);
    publish_next(1000); /* for the first what the member had is to go, for this what nobody has taken */
}

const struct model_program heir_scenarios[] = {
    GROUP("group, death", "A member dies between any two stores: another gets what it had not released, marked.", 3,
          .threads = {NULL, work_and_die, work_once}, .setup = death_setup, .finish = members_finish,
          .mortal = BIT(FIRST)),
    GROUP("group of three, death", "The same while two others work.", 4,
          .threads = {NULL, work_and_die, work_once, work_once}, .setup = death_setup_three, .finish = members_finish,
          .mortal = BIT(FIRST)),
    GROUP("group, heir", "What a dead member had is not overwritten while another inherits it.", 3,
          .threads = {publish_if_room, die, inherit_first}, .setup = full_death_setup, .finish = members_finish),
    GROUP("group, heir dies", "The same if the heir dies too.", 4, .threads = {NULL, die, inherit_and_die, work_once},
          .setup = two_heirs_setup, .finish = members_finish, .mortal = BIT(SECOND)),
    GROUP("group, two heirs", "What a dead member had goes to one of two heirs.", 4,
          .threads = {NULL, die, work_once, work_once}, .setup = two_heirs_setup, .finish = members_finish,
          .gone_shows = true),
    GROUP("group, orphan", "The same when a child of the dead keeps its lock.", 4,
          .threads = {NULL, die, work_once, work_once}, .setup = two_heirs_setup, .finish = members_finish,
          .gone_shows = true, .forked = BIT(FIRST)),
    GROUP("group, heir far on", "The same far on in the stream, while another takes what comes.", 4,
          .threads = {publish_stride, die, work_once, inherit_first}, .setup = far_setup, .finish = members_finish),
    GROUP("group, leaving", "What a member leaves unreleased goes to another.", 3,
          .threads = {NULL, take_and_leave, work_once}, .setup = leaving_setup, .finish = members_finish),
    GROUP("group, inherited end", "A member sees the end when no other has a message, though one inherits.", 4,
          .threads = {NULL, work_if_not_ended, die, work_to_the_end}, .setup = inherited_end_setup),
    GROUP("group, end, slot taken", "The same when the slot of the dead is another's by then.", 4,
          .threads = {take_slot, work_if_not_ended, die, work_to_the_end}, .setup = inherited_end_setup),
    GROUP("group, end, slot resumed", "The same when the other has a place from elsewhere.", 4,
          .threads = {resume_in_slot, work_if_not_ended, die, work_to_the_end_later}, .setup = named_orphan_setup,
          .gone_shows = true),
    GROUP("group, abandoned", "A producer does not wait for ever for a group without members.", 2,
          .threads = {publish_at_last, die}, .setup = abandoned_setup),
    GROUP("group, abandoned orphan", "The same when a child of the last keeps its lock.", 2,
          .threads = {publish_at_last, die}, .setup = abandoned_setup, .gone_shows = true, .forked = BIT(FIRST)),
    {.name = NULL},
};
