/*
 * Dying at any store, taking over, reclaiming: DESIGN P7, P8.
 */
#include "core.h"
#include "fixture.h"
#include "ring.h"
#include "scenarios.h"

enum { PRODUCER, CONSUMER, HEIR };

#define CAPACITY ((uint64_t)CAPACITY_MIN)
#define BIT(thread) (1u << (thread))

static uint64_t committed; /* messages that were certainly published */

static void setup(void)
{
    committed = 0;
    create_ring(PRODUCER, CAPACITY - 24, 1);
    attach_consumer(CONSUMER);
}

/* Two records fit into one stride, and so into one run. */
static void setup_run(void)
{
    committed = 0;
    create_ring(PRODUCER, CAPACITY - 64, 1);
    attach_consumer(CONSUMER);
}

static void publish_and_die(void)
{
    must_publish(0, 8, 0);
    committed = 1;
    must_publish(1, 12, 0);
    committed = 2;
    model_die();
}

static void publish_run_and_die(void)
{
    must_publish(0, 8, MAPRING_MORE);
    must_publish(1, 12, MAPRING_MORE);
    must(mapring_end_run(producers[PRODUCER]), "ending the run");
    committed = 2;
    model_die();
}

static void end_and_die(void)
{
    must_publish(0, 8, 0);
    committed = 1;
    must(mapring_end(producers[PRODUCER]), "ending");
    model_die();
}

/* The successor continues the stream: its messages get the numbers that follow. */
static void take_over(void)
{
    model_await_lock(PRODUCER_NUMBER);
    must(open_producer(), "taking over");
    mapring_ring_info info = {.struct_size = sizeof info};
    must(mapring_stat("model", NULL, &info, NULL, 0), "looking");
    if (info.messages < committed)
        model_fail("%llu messages were published, and %llu are left", (unsigned long long)committed,
                   (unsigned long long)info.messages);
    must_publish(info.messages, 8, 0);
    must_publish(info.messages + 1, 8, 0);
    committed = info.messages + 2;
}

static void read_along(void)
{
    for (int look = 0; look < 3; look++) {
        int32_t status = receive_and_check(8, 0);
        if (status != MAPRING_STREAM_ENDED)
            must(status, "receiving");
    }
}

static void all_came(void)
{
    model_act_as(CONSUMER);
    while (expected[CONSUMER] < committed) {
        int32_t status = receive_and_check(8, 0);
        if (status <= 0)
            model_fail("%llu messages of %llu came, then %s", (unsigned long long)expected[CONSUMER],
                       (unsigned long long)committed, mapring_status_name(status));
    }
    if (receive_and_check(8, 0) != 0)
        model_fail("more came than was published");
}

/* Nobody takes over: the sleeper is told. */
static void sleep_until_alone(void)
{
    int32_t status;
    while ((status = receive_and_check(8, MAPRING_FOREVER)) > 0)
        ;
    if (status != MAPRING_NO_PRODUCER)
        model_fail("the producer died, and reading returned %s", mapring_status_name(status));
    if (expected[CONSUMER] < committed)
        model_fail("the consumer was told that all was read, and %llu of %llu were",
                   (unsigned long long)expected[CONSUMER], (unsigned long long)committed);
}

/* A producer that needed no fences is followed by one that heavy fences do not reach, while a consumer that cannot
 * issue them sleeps. */

static void publish_one_and_die(void)
{
    must_publish(0, 8, 0);
    committed = 1;
    model_die();
}

static void take_over_only(void)
{
    model_await_lock(PRODUCER_NUMBER);
    must(open_producer(), "taking over");
}

static void sleep_for_one(void)
{
    while (expected[CONSUMER] < 1)
        if (receive_and_check(8, MAPRING_FOREVER) < 0)
            return; /* it found no producer between the two */
}

static bool sleeps_in_vain(void)
{
    return run.threads[CONSUMER].state == THREAD_PARKED && expected[CONSUMER] < committed;
}

/* A lap: the record that comes now starts in a stride that has its mark, and overwrites others that have theirs. */

static void lapped_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    pass_messages(PRODUCER, 0, 4, 1000);
    pass_messages(PRODUCER, 4, 1, 8);
    committed = 5;
}

static void overwrite_and_die(void)
{
    must_publish(5, 1000, 0);
    committed = 6;
    model_die();
}

/* From the oldest mark that is intact, everything is there. */
static void rest_is_whole(void)
{
    model_act_as(CONSUMER);
    must(open_consumer(MAPRING_FROM_OLDEST), "joining");
    mapring_message first;
    if (mapring_read(consumers[CONSUMER], &first, 1, 0) != 1)
        model_fail("there is no message where the oldest was");
    mapring_consumer_close(consumers[CONSUMER]);
    consumers[CONSUMER] = NULL;
    expected[CONSUMER] = first.sequence;
    must(open_consumer(MAPRING_FROM_OLDEST), "joining again");
    all_came();
}

/* A consumer that dies. */

static void full_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    attach_consumer(CONSUMER);
    model_act_as(PRODUCER);
    for (uint64_t i = 0; i < 4; i++)
        must(publish(i, i < 3 ? 1016 : 1000, 0, 0), "filling the ring");
}

static void publish_more(void)
{
    must_publish(4, 1000, 0);
    must_publish(5, 1000, 0);
}

static void read_release_and_die(void)
{
    must(read_and_check(2, 0), "reading");
    must(mapring_release(consumers[CONSUMER], 2), "releasing");
    model_die();
}

static void publish_another(void)
{
    must_publish(4, 1000, 0);
}

static void publish_if_room(void)
{
    int32_t status = publish(4, 1000, 0, 0);
    if (status != MAPRING_FULL)
        must(status, "publishing");
}

/* Another holds nothing back: a group, that has nothing to do. */
static void full_setup_with_group(void)
{
    create_ring(PRODUCER, 0, 3);
    model_act_as(HEIR);
    must(open_consumer_as((mapring_consumer_options){.kind = MAPRING_MEMBER, .group = "g"}), "joining the group");
    attach_consumer(CONSUMER);
    model_act_as(PRODUCER);
    for (uint64_t i = 0; i < 4; i++)
        must(publish(i, i < 3 ? 1016 : 1000, 0, 0), "filling the ring");
    mapring_message messages[4];
    model_act_as(HEIR);
    must(mapring_read(consumers[HEIR], messages, 4, 0), "reading in setup");
    must(mapring_release(consumers[HEIR], 4), "releasing in setup");
    model_act_as(CONSUMER);
}

/* Takes the slot, finds that it is not as the others of the group, and leaves. */
static void join_in_vain(void)
{
    model_await_lock(SLOT_NUMBER(1));
    int32_t status = open_consumer_as(
        (mapring_consumer_options){.kind = MAPRING_MEMBER, .group = "g", .tag_mask = 1, .tag_value = 1});
    if (status != MAPRING_GROUP_DIFFERS && status != MAPRING_NO_SLOT)
        must(status >= 0 ? MAPRING_CORRUPT : status, "joining in vain");
}

static void read_release_and_leave(void)
{
    must(read_and_check(2, 0), "reading");
    must(mapring_release(consumers[CONSUMER], 2), "releasing");
    mapring_consumer_close(consumers[CONSUMER]);
}

/* The slot is taken again, by one that joins, perhaps while the producer reclaims it. */
static void rejoin(void)
{
    model_await_lock(SLOT_NUMBER(0));
    int32_t status = open_consumer(MAPRING_FROM_NEWEST);
    if (status == MAPRING_NO_SLOT)
        return;
    must(status, "joining");
    mapring_message message;
    int32_t count = mapring_read(consumers[HEIR], &message, 1, 0);
    must(count, "reading");
    if (count == 1) {
        uint8_t bytes[1024];
        model_read(bytes, message.data, message.length, MODEL_SITE("a message in place", MODEL_COPY, 0));
        if (message.tag != (uint32_t)message.sequence || bytes[0] != (uint8_t)(message.sequence * 31 + 1))
            model_fail("message %llu is not itself", (unsigned long long)message.sequence);
    }
}

/* Somebody joins in a slot that another process had: what is said of the two does not mix. */

static void held_before_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    attach_consumer(HEIR);
    mapring_consumer_close(consumers[HEIR]);
    consumers[HEIR] = NULL;
    model_act_as(PRODUCER);
    for (uint64_t i = 0; i < 4; i++)
        must(publish(i, i < 3 ? 1016 : 1000, 0, 0), "filling the ring");
}

static void join_and_read(void)
{
    must(open_consumer(MAPRING_FROM_OLDEST), "joining");
    mapring_message message;
    if (mapring_read(consumers[CONSUMER], &message, 1, 0) != 1)
        model_fail("there is no message where the oldest was");
    expected[CONSUMER] = message.sequence + 1;
    uint8_t bytes[1024];
    model_read(bytes, message.data, message.length, MODEL_SITE("a message in place", MODEL_COPY, 0));
    if (message.tag != (uint32_t)message.sequence || bytes[0] != (uint8_t)(message.sequence * 31 + 1))
        model_fail("message %llu is not itself", (unsigned long long)message.sequence);
}

const struct model_program death_scenarios[] = {
    {
        .name = "takeover",
        .invariant = "A producer dies at any store; its successor continues, and the consumer gets every message that "
                     "was published, once, whole and in order.",
        .thread_count = 3,
        .thread_names = {"producer", "consumer", "heir"},
        .threads = {publish_and_die, read_along, take_over},
        .setup = setup,
        .finish = all_came,
        .mortal = BIT(PRODUCER),
        .name_word = name_ring_word,
    },
    {
        .name = "takeover of a run",
        .invariant = "The same when it dies in a run.",
        .thread_count = 3,
        .thread_names = {"producer", "consumer", "heir"},
        .threads = {publish_run_and_die, read_along, take_over},
        .setup = setup_run,
        .finish = all_came,
        .mortal = BIT(PRODUCER),
        .name_word = name_ring_word,
    },
    {
        .name = "takeover of an end",
        .invariant = "The same when it dies while it ends the stream: an end that is taken back loses nothing.",
        .thread_count = 3,
        .thread_names = {"producer", "consumer", "heir"},
        .threads = {end_and_die, read_along, take_over},
        .setup = setup,
        .finish = all_came,
        .mortal = BIT(PRODUCER),
        .name_word = name_ring_word,
    },
    {
        .name = "takeover, lapped",
        .invariant = "A producer dies while it overwrites the oldest messages; who joins at the oldest that are left "
                     "gets them whole.",
        .thread_count = 3,
        .thread_names = {"producer", "", "heir"},
        .threads = {overwrite_and_die, NULL, take_over_only},
        .setup = lapped_setup,
        .finish = rest_is_whole,
        .mortal = BIT(PRODUCER),
        .name_word = name_ring_word,
    },
    {
        .name = "no successor",
        .invariant = "A sleeper whose producer died at any store is told so, after it got every message.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {publish_and_die, sleep_until_alone},
        .setup = setup,
        .mortal = BIT(PRODUCER),
        .name_word = name_ring_word,
    },
    {
        .name = "takeover, change of mode",
        .invariant = "A sleeper that learns from a successor that it fences misses nothing from before.",
        .thread_count = 3,
        .thread_names = {"producer", "consumer", "heir"},
        .threads = {publish_one_and_die, sleep_for_one, take_over_only},
        .setup = setup,
        .pending = sleeps_in_vain,
        .heavy = BIT(PRODUCER),
        .early = BIT(CONSUMER),
        .name_word = name_ring_word,
    },
    {
        .name = "dead consumer",
        .invariant = "A blocked producer goes on when the consumer that held it back dies, at any store.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {publish_more, read_release_and_die},
        .setup = full_setup,
        .mortal = BIT(CONSUMER),
        .name_word = name_ring_word,
    },
    {
        .name = "slot of the dead",
        .invariant = "The slot of a dead consumer is reclaimed or taken by another; the producer goes on, and what "
                     "the other reads is whole.",
        .thread_count = 3,
        .thread_names = {"producer", "consumer", "joiner"},
        .threads = {publish_another, read_release_and_die, rejoin},
        .setup = full_setup,
        .mortal = BIT(CONSUMER),
        .name_word = name_ring_word,
    },
    {
        .name = "slot of another process",
        .invariant = "Who joins in a slot that another process had is not taken for dead.",
        .thread_count = 3,
        .thread_names = {"producer", "joiner", ""},
        .threads = {publish_if_room, join_and_read, NULL},
        .setup = held_before_setup,
        .gone_shows = true,
        .name_word = name_ring_word,
    },
    {
        .name = "slot handed over",
        .invariant = "The same for a slot whose consumer leaves.",
        .thread_count = 3,
        .thread_names = {"producer", "consumer", "joiner"},
        .threads = {publish_if_room, read_release_and_leave, rejoin},
        .setup = full_setup,
        .name_word = name_ring_word,
    },
    {
        .name = "slot taken in vain",
        .invariant = "The same for a slot that is taken after that, and given back.",
        .thread_count = 3,
        .thread_names = {"producer", "consumer", "joiner"},
        .threads = {publish_if_room, read_release_and_leave, join_in_vain},
        .setup = full_setup_with_group,
        .name_word = name_ring_word,
    },
    {.name = NULL},
};
