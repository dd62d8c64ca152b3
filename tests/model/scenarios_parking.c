/*
 * Sleeping and waking: DESIGN P5, with a fence in every publish, with heavy fences, and across a change of mode.
 */
#include "core.h"
#include "fixture.h"
#include "scenarios.h"

enum { PRODUCER, CONSUMER, OTHER };

#define CAPACITY ((uint64_t)CAPACITY_MIN)
#define BIT(thread) (1u << (thread))

/* Whether some consumer has not got all that was published or ended. */
static uint64_t published;
static bool ended;

static bool consumer_waits(uint32_t thread)
{
    return consumers[thread] != NULL && run.threads[thread].state == THREAD_PARKED &&
           (expected[thread] < published || ended);
}

static bool news_wait(void)
{
    return consumer_waits(CONSUMER) || consumer_waits(OTHER);
}

/* A consumer that sleeps, and a publish. */

static void news_setup(void)
{
    published = 0;
    ended = false;
    create_ring(PRODUCER, 0, 2);
    attach_consumer(CONSUMER);
}

/* Somebody has asked for fences, and sleeps no more. */
static void news_setup_asked(void)
{
    news_setup();
    or64(&ring_readers()->news.sleepers, SLEEPERS_WANT_FENCES);
}

static void news_setup_two(void)
{
    news_setup();
    attach_consumer(OTHER);
}

/* One message has woken the consumer: the producer fences for now. */
static void news_setup_promised(void)
{
    news_setup();
    must(read_and_check(8, 1), "waiting for a moment");
    model_act_as(PRODUCER);
    must_publish(0, 8, 0);
    if (load64_relaxed(&ring_readers()->news.fencing) == 0)
        model_fail("the producer does not fence");
    model_act_as(CONSUMER);
    must(read_and_check(8, 0), "reading in setup");
    published = 1;
}

static void publish_more(void)
{
    for (uint64_t i = 1; i < 3; i++) {
        must_publish(i, 8, 0);
        published = i + 1;
    }
}

static void publish_one(void)
{
    must_publish(0, 8, 0);
    published = 1;
}

static void publish_two(void)
{
    must_publish(0, 8, 0);
    published = 1;
    must_publish(1, 8, 0);
    published = 2;
}

static void publish_and_end(void)
{
    publish_one();
    must(mapring_end(producers[PRODUCER]), "ending");
    ended = true;
}

static void publish_to_nobody_and_close(void)
{
    must_publish(1, 8, MAPRING_WAKE_NEVER);
    mapring_producer_close(producers[PRODUCER]);
    published = 2;
}

static void publish_run_and_close(void)
{
    must_publish(0, 8, MAPRING_MORE);
    mapring_producer_close(producers[PRODUCER]);
    published = 1;
}

static void sleep_for(uint64_t end)
{
    while (expected[model_self()] < end) {
        int32_t status = read_and_check(8, MAPRING_FOREVER);
        if (status <= 0)
            model_fail("waiting for ever for a message returned %d", (int)status);
    }
}

static void sleep_for_one(void)
{
    sleep_for(1);
}

static void sleep_for_two(void)
{
    sleep_for(2);
}

static void sleep_for_three(void)
{
    sleep_for(3);
}

static void sleep_until_end(void)
{
    int32_t status;
    while ((status = read_and_check(8, MAPRING_FOREVER)) > 0)
        ;
    if (status != MAPRING_STREAM_ENDED)
        model_fail("the stream ended with %s", mapring_status_name(status));
    if (expected[model_self()] != 1)
        model_fail("the stream ended before its last message");
}

/* Whoever slept only for moments has asked for fences: the next publish makes the producer fence. */
static void fences_now(void)
{
    if (run.threads[CONSUMER].polls == 0)
        return;
    model_act_as(PRODUCER);
    must_publish(published, 8, 0);
    if (stream_word(offsetof(struct stream, fence)) != MAPRING_FENCE_FULL)
        model_fail("a sleeper asked for fences, and the producer does not fence");
}

/* A producer that sleeps, and a release. */

static void room_setup(void)
{
    published = 4;
    ended = false;
    create_ring(PRODUCER, 0, 2);
    attach_consumer(CONSUMER);
    model_act_as(PRODUCER);
    for (uint64_t i = 0; i < 4; i++)
        must(publish(i, i < 3 ? 1016 : 1000, 0, 0), "filling the ring");
    model_act_as(CONSUMER);
    must(read_and_check(2, 0), "reading in setup");
}

static uint64_t released;
static uint32_t free_cursors; /* of two consumers, how many have released */

/* There is room for another once the first message, of 1024 bytes, is released and that is told. */
static bool room_waits(void)
{
    return run.threads[PRODUCER].state == THREAD_PARKED && released > 0;
}

static void room_setup_unread(void)
{
    room_setup();
    mapring_consumer_close(consumers[CONSUMER]);
    expected[CONSUMER] = 0;
    attach_consumer(CONSUMER);
    released = 0;
}

static void room_setup_released(void)
{
    room_setup();
    released = 0;
}

static void room_setup_asked(void)
{
    room_setup_released();
    or64(&ring_readers()->room.sleepers, SLEEPERS_WANT_FENCES);
}

static void publish_when_room(void)
{
    must_publish(4, 504, 0);
    published = 5;
}

static void release_one(void)
{
    must(mapring_release(consumers[CONSUMER], 1), "releasing");
    released = 1;
}

static void leave(void)
{
    must(read_and_check(1, 0), "reading");
    mapring_consumer_close(consumers[CONSUMER]);
    released = 1;
}

/* Two consumers hold the producer back: it waits for both. */
static void room_setup_two(void)
{
    create_ring(PRODUCER, 0, 2);
    attach_consumer(CONSUMER);
    attach_consumer(OTHER);
    model_act_as(PRODUCER);
    for (uint64_t i = 0; i < 4; i++)
        must(publish(i, i < 3 ? 1016 : 1000, 0, 0), "filling the ring");
    for (uint32_t t = CONSUMER; t <= OTHER; t++) {
        model_act_as(t);
        must(read_and_check(1, 0), "reading in setup");
    }
    free_cursors = 0;
}

static void release_as_one_of_two(void)
{
    must(mapring_release(consumers[model_self()], 1), "releasing");
    free_cursors++;
}

static bool room_waits_for_none(void)
{
    return run.threads[PRODUCER].state == THREAD_PARKED && free_cursors == 2;
}

static void drain(void)
{
    must(mapring_drain(producers[PRODUCER], MAPRING_FOREVER), "draining");
    change_subject(0);
}

static void release_all(void)
{
    sleep_for(4);
    look_at_subject(0);
    must(mapring_release(consumers[CONSUMER], 4), "releasing");
    /* A read that finds nothing tells the producer all. */
    must(mapring_read(consumers[CONSUMER], &(mapring_message){0}, 1, 0), "reading");
    released = 1;
}

/* Somebody joins, at the oldest message, and is the one that the producer waits for. */

static void joiner_setup(void)
{
    create_ring(PRODUCER, 0, 2);
    for (uint64_t i = 0; i < 4; i++)
        must(publish(i, i < 3 ? 1016 : 1000, 0, 0), "filling the ring");
    released = 0;
    model_act_as(CONSUMER); /* goes first: this is about what the producer sees of it */
}

static void join_and_release(void)
{
    must(open_consumer(MAPRING_FROM_OLDEST), "joining");
    mapring_message message;
    if (mapring_read(consumers[CONSUMER], &message, 1, 0) == 1)
        must(mapring_release(consumers[CONSUMER], 1), "releasing");
    released = 1;
}

static void wait_for_one(void)
{
    must(mapring_wait_consumers(producers[PRODUCER], 1, MAPRING_FOREVER), "waiting for consumers");
}

static void wait_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    released = 0;
}

static void join_group(void)
{
    must(open_consumer_as((mapring_consumer_options){.kind = MAPRING_MEMBER, .group = "g"}), "joining the group");
    released = 1;
}

static void join_as_lossy(void)
{
    must(open_consumer_as((mapring_consumer_options){.kind = MAPRING_LOSSY}), "joining");
    released = 1;
}

static void join(void)
{
    must(open_consumer(MAPRING_FROM_NEWEST), "joining");
    released = 1;
}

#define NEWS(title, text, produce, consume, prepare, reached)                                                          \
    {                                                                                                                  \
        .name = title, .invariant = text, .thread_count = 2, .thread_names = {"producer", "consumer"},                 \
        .threads = {produce, consume}, .setup = prepare, .pending = news_wait, .heavy = reached,                       \
        .name_word = name_ring_word                                                                                    \
    }

#define ROOM(title, text, produce, consume, prepare, reached)                                                          \
    {                                                                                                                  \
        .name = title, .invariant = text, .thread_count = 2, .thread_names = {"producer", "consumer"},                 \
        .threads = {produce, consume}, .setup = prepare, .pending = room_waits, .heavy = reached,                      \
        .name_word = name_ring_word                                                                                    \
    }

const struct model_program parking_scenarios[] = {
    NEWS("park, fences", "No consumer sleeps while a message waits; every publish has a full fence.", publish_two,
         sleep_for_two, news_setup, 0),
    NEWS("park, heavy fences", "No consumer sleeps while a message waits; sleepers pay for both sides.", publish_two,
         sleep_for_two, news_setup, BIT(PRODUCER) | BIT(CONSUMER)),
    NEWS("park, promised", "The same where the first publish that finds nobody asleep is the last that fences.",
         publish_more, sleep_for_three, news_setup_promised, BIT(PRODUCER) | BIT(CONSUMER)),
    {
        .name = "park, dense",
        .invariant = "The same where whoever is woken again so soon is to fence by itself.",
        .dense = true,
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {publish_more, sleep_for_three},
        .setup = news_setup_promised,
        .pending = news_wait,
        .heavy = BIT(PRODUCER) | BIT(CONSUMER),
        .name_word = name_ring_word,
    },
    {
        .name = "park, change of mode",
        .invariant = "A sleeper without heavy fences makes the producer fence, and sleeps only for moments until it "
                     "does.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {publish_two, sleep_for_two},
        .setup = news_setup,
        .finish = fences_now,
        .pending = news_wait,
        .heavy = BIT(PRODUCER),
        .name_word = name_ring_word,
    },
    NEWS("park, producer not reached",
         "No consumer sleeps while a message waits; heavy fences do not reach the "
         "producer, which fences.",
         publish_two, sleep_for_two, news_setup, BIT(CONSUMER)),
    NEWS("park, fences asked for", "A sleeper that is told that the producer fences misses nothing from before.",
         publish_one, sleep_for_one, news_setup_asked, BIT(PRODUCER)),
    {
        .name = "park, change of mode, two",
        .large = true,
        .invariant = "The same for two sleepers: who is told that the producer fences misses nothing from before.",
        .thread_count = 3,
        .thread_names = {"producer", "consumer", "other"},
        .threads = {publish_one, sleep_for_one, sleep_for_one},
        .setup = news_setup_two,
        .pending = news_wait,
        .heavy = BIT(PRODUCER),
        .early = BIT(CONSUMER),
        .name_word = name_ring_word,
    },
    {
        .name = "park, two sleepers",
        .invariant = "Both of two sleeping consumers get the message.",
        .thread_count = 3,
        .thread_names = {"producer", "consumer", "other"},
        .threads = {publish_one, sleep_for_one, sleep_for_one},
        .setup = news_setup_two,
        .pending = news_wait,
        .name_word = name_ring_word,
    },
    NEWS("end, fences", "A sleeper learns that the stream ended, after it got the last message.", publish_and_end,
         sleep_until_end, news_setup, 0),
    NEWS("end, heavy fences", "A sleeper learns that the stream ended, after it got the last message.", publish_and_end,
         sleep_until_end, news_setup, BIT(PRODUCER) | BIT(CONSUMER)),
    NEWS("close ends a run", "A run that was open when its producer closed wakes who sleeps.", publish_run_and_close,
         sleep_for_one, news_setup, 0),
    NEWS("close, promised", "Closing wakes who sleeps beside a message that was to wake nobody.",
         publish_to_nobody_and_close, sleep_for_two, news_setup_promised, BIT(PRODUCER) | BIT(CONSUMER)),
    ROOM("room, fences", "The producer does not sleep while there is room; consumers fence after a release.",
         publish_when_room, release_one, room_setup_released, 0),
    ROOM("room, heavy fences", "The producer does not sleep while there is room; it pays for both sides.",
         publish_when_room, release_one, room_setup_released, BIT(PRODUCER) | BIT(CONSUMER)),
    ROOM("room, change of mode", "A producer without heavy fences makes the consumer fence.", publish_when_room,
         release_one, room_setup_released, BIT(CONSUMER)),
    ROOM("room, fences asked for", "A producer that is told that the consumer fences misses no release from before.",
         publish_when_room, release_one, room_setup_asked, BIT(CONSUMER)),
    {
        .name = "room, change of mode, two",
        .large = true,
        .invariant = "The same with two consumers: a producer that is told that they fence misses no release from "
                     "before.",
        .thread_count = 3,
        .thread_names = {"producer", "consumer", "other"},
        .threads = {publish_when_room, release_as_one_of_two, release_as_one_of_two},
        .setup = room_setup_two,
        .pending = room_waits_for_none,
        .heavy = BIT(CONSUMER) | BIT(OTHER),
        .early = BIT(PRODUCER),
        .name_word = name_ring_word,
    },
    ROOM("room, consumer leaves", "A blocked producer goes on when the consumer that held it back leaves.",
         publish_when_room, leave, room_setup_unread, 0),
    ROOM("room, joiner", "A producer that waits for one who only just joined goes on when that one releases.",
         publish_when_room, join_and_release, joiner_setup, BIT(CONSUMER)),
    ROOM("drain", "A producer that waits for its consumers goes on when the last message is released.", drain,
         release_all, room_setup_released, 0),
    ROOM("wait for consumers", "A producer that waits for a consumer goes on when one joins.", wait_for_one, join,
         wait_setup, 0),
    ROOM("wait for a member", "The same with a member of a group.", wait_for_one, join_group, wait_setup,
         BIT(PRODUCER) | BIT(CONSUMER)),
    ROOM("wait for a member, change of mode", "The same where the producer has no heavy fences.", wait_for_one,
         join_group, wait_setup, BIT(CONSUMER)),
    ROOM("wait for a lossy one", "The same with a lossy consumer.", wait_for_one, join_as_lossy, wait_setup,
         BIT(PRODUCER) | BIT(CONSUMER)),
    {.name = NULL},
};
