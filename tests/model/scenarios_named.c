/*
 * Consumers with a name, which come back: DESIGN P6, P7.
 */
#include "core.h"
#include "fixture.h"
#include "ring.h"
#include "scenarios.h"

enum { PRODUCER, CONSUMER, HEIR };

#define BIT(thread) (1u << (thread))
#define HOLD_NS 200000000u
#define NAMED ((mapring_consumer_options){.start = MAPRING_FROM_OLDEST, .own_name = "n"})

static uint64_t published;

static void fill(void)
{
    model_act_as(PRODUCER);
    for (published = 0; published < 4; published++)
        must(publish(published, published < 3 ? 1016 : 1000, 0, 0), "filling the ring");
}

/* A named consumer has read the first message, and not released it. The producer is without room. */
static void held_setup(void)
{
    create_ring_as(PRODUCER, (mapring_producer_options){.max_consumers = 2, .hold_ns = HOLD_NS});
    model_act_as(CONSUMER);
    must(open_consumer_as(NAMED), "attaching");
    fill();
    model_act_as(CONSUMER);
    must(read_and_check(1, 0), "reading in setup");
    model_act_as(PRODUCER);
}

static void die(void)
{
    model_die();
}

static void publish_at_last(void)
{
    must_publish(published, 504, 0);
    published++;
}

static void publish_if_room(void)
{
    int32_t status = publish(published, 504, 0, 0);
    if (status == MAPRING_OK)
        published++;
    else if (status != MAPRING_FULL)
        must(status, "publishing");
}

/* Who comes back is told what it lost, and what it gets is whole; or it has lost nothing. */
static void read_on(void)
{
    uint32_t self = model_self();
    expected[self] = 0;
    int32_t status = read_and_check(1, 0);
    if (status == MAPRING_LAPPED) {
        expected[self] = progress().lost_messages;
        status = read_and_check(1, 0);
    }
    must(status, "reading");
    if (status == 0)
        model_fail("there is no message where it comes back");
    look_at_subject(expected[self] - 1);
    must(mapring_release(consumers[self], 1), "releasing");
}

static void come_back(void)
{
    int32_t status = open_consumer_as(NAMED);
    if (status == MAPRING_NAME_IN_USE)
        return;
    if (status != MAPRING_RESUMED)
        model_fail("it comes back: %s", mapring_status_name(status));
    read_on();
}

static void come_back_to_lock(void)
{
    model_await_lock(SLOT_NUMBER(0));
    come_back();
}

/* All else that was published comes too. */
static void rest_comes(void)
{
    model_act_as(HEIR);
    if (consumers[HEIR] == NULL)
        come_back();
    if (consumers[HEIR] == NULL)
        return; /* it is not known that the other is dead */
    while (expected[HEIR] < published)
        if (receive_and_check(8, 0) <= 0)
            model_fail("%llu messages of %llu came", (unsigned long long)expected[HEIR], (unsigned long long)published);
    /* Nothing else keeps the producer back. */
    for (int i = 0; i < 5; i++) {
        model_act_as(PRODUCER);
        must(publish(published++, 1000, 0, 0), "publishing");
        model_act_as(HEIR);
        if (receive_and_check(8, 0) != 1)
            model_fail("a message did not come");
    }
}

/* The producer has waited for long enough, and next lets the place go. */
static void overdue_setup(void)
{
    held_setup();
    mapring_consumer_close(consumers[CONSUMER]);
    must(publish(published, 504, 0, 0) == MAPRING_FULL ? MAPRING_OK : MAPRING_CORRUPT, "finding no room");
    run.now_ns += HOLD_NS;
}

/* Its process is known to be gone: whoever holds its lock now is another. */
static void overdue_setup_gone(void)
{
    overdue_setup();
    store64_relaxed(&ring_readers()->slots[0].start, 1);
}

/* The first slot is free, the second that of the dead, whose child keeps the lock. */
static void orphan_setup(void)
{
    create_ring(PRODUCER, 0, 2);
    attach_consumer(HEIR);
    model_act_as(CONSUMER);
    must(open_consumer_as(NAMED), "attaching");
    model_act_as(PRODUCER);
    must(publish(0, 8, 0, 0), "publishing in setup");
    published = 1;
    model_act_as(CONSUMER);
    must(read_and_check(1, 0), "reading in setup");
    model_act_as(HEIR);
    mapring_consumer_close(consumers[HEIR]);
    consumers[HEIR] = NULL;
}

static void drain(void)
{
    int32_t status = mapring_drain(producers[PRODUCER], 0);
    if (status == MAPRING_TIMEOUT)
        return;
    must(status, "draining");
    for (uint64_t i = 0; i < published; i++)
        change_subject(i);
}

/* Before the other comes, or after. */
static void drain_twice(void)
{
    model_await_lock(REGISTRY_NUMBER);
    drain();
    drain();
}

#define NAMES(title, text, ...)                                                                                        \
    {                                                                                                                  \
        .name = title, .invariant = text, .thread_count = 3, .thread_names = {"producer", "consumer", "heir"},         \
        .name_word = name_ring_word, __VA_ARGS__                                                                       \
    }

const struct model_program named_scenarios[] = {
    NAMES("named, waited for",
          "A producer does not wait for ever for a named consumer; who comes back is told what is "
          "lost.",
          .threads = {publish_at_last, die, NULL}, .setup = held_setup, .finish = rest_comes),
    NAMES("named, comes back", "Who comes back while the producer lets it go is told what is lost, or nothing is.",
          .threads = {publish_if_room, NULL, come_back_to_lock}, .setup = overdue_setup, .finish = rest_comes),
    NAMES("named, comes back, gone", "The same where the producer knows that the process of before is gone.",
          .threads = {publish_if_room, NULL, come_back_to_lock}, .setup = overdue_setup_gone, .finish = rest_comes,
          .gone_shows = true),
    NAMES("named, orphan", "The place of one whose child keeps its lock moves: it is at no time taken for released.",
          .threads = {drain_twice, die, come_back}, .setup = orphan_setup, .finish = rest_comes, .gone_shows = true,
          .forked = BIT(CONSUMER)),
    {.name = NULL},
};
