/*
 * Who is woken when: wake policies, watermarks; and waits that are ended: docs/design.md P5.
 */
#include "core.h"
#include "fixture.h"
#include "platform.h"
#include "scenarios.h"

enum { PRODUCER, CONSUMER, OTHER };

#define BIT(thread) (1u << (thread))

/* What the consumer must have got, or heard of, when everybody sleeps. */
static uint64_t due;
static bool cancelled, told;

static bool is_asleep(void)
{
    return run.threads[CONSUMER].state == THREAD_PARKED && (expected[CONSUMER] < due || (cancelled && !told));
}

static void setup(void)
{
    due = 0;
    cancelled = told = false;
    create_ring(PRODUCER, 0, 1);
    attach_consumer(CONSUMER);
}

static void sleep_for(uint64_t end)
{
    while (expected[CONSUMER] < end) {
        int32_t status = read_and_check(8, MAPRING_FOREVER);
        if (status <= 0)
            model_fail("waiting for ever for a message returned %d", (int)status);
    }
}

static void sleep_for_two(void)
{
    sleep_for(2);
}

static void publish_always(void)
{
    for (uint64_t i = 0; i < 2; i++) {
        must_publish(i, 8, MAPRING_WAKE_ALWAYS);
        due = i + 1;
    }
}

static void publish_and_wake_later(void)
{
    for (uint64_t i = 0; i < 2; i++) {
        must_publish(i, 8, MAPRING_WAKE_NEVER);
        must(mapring_wake(producers[PRODUCER]), "waking");
        due = i + 1;
    }
}

/* Watermarks. A message of 8 bytes takes 16. */

static void set_watermark(uint64_t bytes)
{
    must(mapring_consumer_set_watermark(consumers[CONSUMER], bytes, bytes == 0 ? 0 : 1000000000),
         "setting a watermark");
}

static void sleep_with_watermark(void)
{
    set_watermark(32);
    must(read_and_check(8, MAPRING_FOREVER), "waiting for two messages");
    set_watermark(0);
    sleep_for(2);
}

/* The consumer is to be woken for both together. */
static void publish_two(void)
{
    must_publish(0, 8, 0);
    must_publish(1, 8, 0);
    due = 2;
}

static void publish_one(void)
{
    must_publish(0, 8, 0);
    due = 1;
}

/* Waits with a watermark for a moment. */
static void wait_with(uint64_t bytes)
{
    set_watermark(bytes);
    must(read_and_check(8, 1), "waiting for a moment");
}

/* The producer has seen that the consumer is not due for long, and looks no more; the bit stays up. */
static void setup_undue(void)
{
    setup();
    wait_with(256);
    model_act_as(PRODUCER);
    must_publish(0, 8, 0);
    model_act_as(CONSUMER);
    must(read_and_check(8, 0), "reading in setup");
}

static void publish_next(void)
{
    must_publish(1, 8, 0);
    due = 2;
}

static void publish_next_two(void)
{
    publish_next();
    must_publish(2, 8, 0);
    due = 3;
}

static void lower_watermark(void)
{
    set_watermark(0);
    sleep_for(2);
}

static void lower_watermark_for_two(void)
{
    lower_watermark();
    sleep_for(3);
}

static void lower_watermark_twice(void)
{
    wait_with(64);
    lower_watermark_for_two();
}

/* Somebody else ends the wait. */

static void cancel(void)
{
    must(mapring_consumer_cancel(consumers[CONSUMER]), "cancelling");
    cancelled = true;
}

static void sleep_until_cancelled(void)
{
    int32_t status = read_and_check(8, MAPRING_FOREVER);
    if (status != MAPRING_CANCELLED)
        model_fail("a cancelled wait returned %s", mapring_status_name(status));
    told = true;
}

static void get_one_and_be_cancelled(void)
{
    int32_t status = read_and_check(8, MAPRING_FOREVER);
    if (status == 1)
        status = read_and_check(8, MAPRING_FOREVER);
    if (status != MAPRING_CANCELLED)
        model_fail("a cancelled wait returned %s", mapring_status_name(status));
    told = true;
    sleep_for(1);
}

/* Descriptors and wait sets. */

static struct platform_descriptor *describe(void)
{
    int64_t number = 0;
    must(mapring_consumer_descriptor(consumers[CONSUMER], MAPRING_DESCRIPTOR_ANY, &number), "a descriptor");
    return (struct platform_descriptor *)(intptr_t)number;
}

/* As an event loop does: reads until there is nothing, then waits. */
static void loop_for(struct platform_descriptor *descriptor, uint64_t end)
{
    while (expected[CONSUMER] < end)
        if (read_and_check(1, 0) == 0)
            platform_descriptor_wait(descriptor, UINT64_MAX, NULL, 0);
}

static void loop_for_two(void)
{
    loop_for(describe(), 2);
}

static void loop_until_cancelled(void)
{
    struct platform_descriptor *descriptor = describe();
    int32_t status;
    while ((status = read_and_check(1, 0)) == 0)
        platform_descriptor_wait(descriptor, UINT64_MAX, NULL, 0);
    if (status != MAPRING_CANCELLED)
        model_fail("a cancelled wait returned %s", mapring_status_name(status));
    told = true;
}

static mapring_wait_set *set;

static void setup_set(void)
{
    setup();
    must(mapring_wait_set_open(&set), "a wait set");
    must(mapring_wait_set_set_waiting(set, MAPRING_WAIT_PARK), "how it waits");
    must(mapring_wait_set_add_consumer(set, consumers[CONSUMER], 7), "a member");
}

static int32_t wait_on_set(void)
{
    mapring_ready ready;
    int32_t status = mapring_wait_set_wait(set, &ready, 1, MAPRING_FOREVER);
    if (status == 1 && (ready.token != 7 || ready.events != MAPRING_EVENT_READABLE))
        model_fail("member %d, events %u", (int)ready.token, ready.events);
    return status;
}

static void wait_set_for_two(void)
{
    while (expected[CONSUMER] < 2) {
        must(wait_on_set(), "waiting");
        if (read_and_check(1, 0) != 1)
            model_fail("ready for nothing");
    }
}

static void wait_set_until_cancelled(void)
{
    int32_t status = wait_on_set();
    if (status != MAPRING_CANCELLED)
        model_fail("a cancelled wait returned %s", mapring_status_name(status));
    told = true;
}

static void cancel_set(void)
{
    must(mapring_wait_set_cancel(set), "cancelling");
    cancelled = true;
}

/* A producer without room, in a set. */
static bool released;

static bool producer_is_asleep(void)
{
    return run.threads[PRODUCER].state == THREAD_PARKED && released;
}

static void setup_full(void)
{
    setup();
    released = false;
    model_act_as(PRODUCER);
    for (uint64_t i = 0; i < 4; i++)
        must_publish(i, 1000, 0);
    model_act_as(CONSUMER);
    must(read_and_check(8, 0), "reading in setup");
    model_act_as(PRODUCER);
    must(mapring_wait_set_open(&set), "a wait set");
    must(mapring_wait_set_set_waiting(set, MAPRING_WAIT_PARK), "how it waits");
    must(mapring_wait_set_add_producer(set, producers[PRODUCER], 1000, 8), "a member");
}

static void wait_for_room_in_set(void)
{
    mapring_ready ready;
    must(mapring_wait_set_wait(set, &ready, 1, MAPRING_FOREVER), "waiting");
    if (ready.token != 8 || ready.events != MAPRING_EVENT_WRITABLE)
        model_fail("member %d, events %u", (int)ready.token, ready.events);
}

static void release_all(void)
{
    mapring_consumer_progress now = progress();
    must(mapring_release(consumers[CONSUMER], (uint32_t)now.unreleased), "releasing");
    released = true;
}

#define TWO(title, text, produce, consume, prepare, reached)                                                           \
    {                                                                                                                  \
        .name = title, .invariant = text, .thread_count = 2, .thread_names = {"producer", "consumer"},                 \
        .threads = {produce, consume}, .setup = prepare, .pending = is_asleep, .heavy = reached,                       \
        .name_word = name_ring_word                                                                                    \
    }

const struct model_program waiting_scenarios[] = {
    TWO("wake, always", "Who sleeps is woken by a message that is published to wake always.", publish_always,
        sleep_for_two, setup, 0),
    TWO("wake, later", "Who sleeps is woken for messages that were to wake nobody, when the producer wakes.",
        publish_and_wake_later, sleep_for_two, setup, 0),
    TWO("watermark", "Who sleeps until there are two messages does not sleep when there are.", publish_two,
        sleep_with_watermark, setup, BIT(PRODUCER) | BIT(CONSUMER)),
    TWO("watermark, fences", "The same where the producer fences.", publish_two, sleep_with_watermark, setup, 0),
    TWO("watermark lowered", "Who wants to be woken sooner than it said when it last slept is.", publish_next,
        lower_watermark, setup_undue, BIT(PRODUCER) | BIT(CONSUMER)),
    TWO("watermark lowered, fences", "The same for one message after the other, where the producer fences.",
        publish_next_two, lower_watermark_for_two, setup_undue, 0),
    TWO("watermark lowered, two", "The same for one message after the other.", publish_next_two,
        lower_watermark_for_two, setup_undue, BIT(PRODUCER) | BIT(CONSUMER)),
    {
        .name = "watermark lowered twice",
        .invariant = "The same for who changes its mind again.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {publish_next_two, lower_watermark_twice},
        .setup = setup_undue,
        .pending = is_asleep,
        .heavy = BIT(PRODUCER) | BIT(CONSUMER),
        .large = true,
        .name_word = name_ring_word,
    },
    TWO("cancel", "A wait that is cancelled ends.", cancel, sleep_until_cancelled, setup,
        BIT(PRODUCER) | BIT(CONSUMER)),
    {
        .name = "cancel, publish",
        .invariant = "A wait that is cancelled while a message comes ends, and the message is not lost.",
        .thread_count = 3,
        .thread_names = {"producer", "consumer", "other"},
        .threads = {publish_one, get_one_and_be_cancelled, cancel},
        .setup = setup,
        .pending = is_asleep,
        .heavy = BIT(PRODUCER) | BIT(CONSUMER),
        .name_word = name_ring_word,
    },
    TWO("descriptor", "Who waits on a descriptor is woken by each message.", publish_two, loop_for_two, setup,
        BIT(PRODUCER) | BIT(CONSUMER)),
    TWO("descriptor, fences", "The same where the producer fences.", publish_two, loop_for_two, setup, 0),
    TWO("descriptor, cancelled", "A cancelled wait on a descriptor ends.", cancel, loop_until_cancelled, setup,
        BIT(PRODUCER) | BIT(CONSUMER)),
    TWO("wait set", "Who waits on a wait set is woken by each message.", publish_two, wait_set_for_two, setup_set,
        BIT(PRODUCER) | BIT(CONSUMER)),
    TWO("wait set, fences", "The same where the producer fences.", publish_two, wait_set_for_two, setup_set, 0),
    TWO("wait set, cancelled", "A cancelled wait on a wait set ends.", cancel_set, wait_set_until_cancelled, setup_set,
        0),
    {
        .name = "wait set, doorbells",
        .invariant = "Who waits on a wait set that sleeps on several doorbells is woken by each message.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {publish_two, wait_set_for_two},
        .setup = setup_set,
        .pending = is_asleep,
        .heavy = BIT(PRODUCER) | BIT(CONSUMER),
        .parks_on_any = true,
        .name_word = name_ring_word,
    },
    {
        .name = "wait set, doorbells, cancelled",
        .invariant = "A cancelled wait of such a set ends.",
        .thread_count = 2,
        .thread_names = {"other", "consumer"},
        .threads = {cancel_set, wait_set_until_cancelled},
        .setup = setup_set,
        .pending = is_asleep,
        .heavy = BIT(PRODUCER) | BIT(CONSUMER),
        .parks_on_any = true,
        .name_word = name_ring_word,
    },
    {
        .name = "wait set, room",
        .invariant = "A producer that waits for room on a wait set is woken when there is some.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {wait_for_room_in_set, release_all},
        .setup = setup_full,
        .pending = producer_is_asleep,
        .name_word = name_ring_word,
    },
    {.name = NULL},
};
