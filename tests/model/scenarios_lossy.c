/*
 * Reading what the producer may overwrite meanwhile, and being let go: DESIGN P4, P11.
 */
#include "core.h"
#include "fixture.h"
#include "scenarios.h"

#include <string.h>

enum { PRODUCER, CONSUMER, JOINER };

#define BIT(thread) (1u << (thread))

static uint64_t published;

/* A lap of messages: the first short, the last ends 8 bytes before the end of the data. */
static const uint64_t lap_lengths[] = {8, 1016, 1016, 1016, 992};
#define LAP_COUNT (sizeof lap_lengths / sizeof *lap_lengths)

/* What comes in the next lap: payload where the second header was; then a header that is 0 there. */
static const uint64_t over_payload[] = {24, 8};
static const uint64_t over_header[] = {8};

static void publish_lap(void)
{
    for (published = 0; published < LAP_COUNT; published++) {
        model_act_as(PRODUCER);
        must(publish(published, lap_lengths[published], 0, 0), "filling the ring");
    }
}

static void attach(uint32_t kind)
{
    model_act_as(CONSUMER);
    must(open_consumer_as((mapring_consumer_options){.kind = kind}), "attaching");
}

static void lossy_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    attach(MAPRING_LOSSY);
    publish_lap();
}

/* Nothing is published yet. */
static void newest_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    attach(MAPRING_LOSSY);
    published = 0;
}

static void observer_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    attach(MAPRING_OBSERVER);
    publish_lap();
}

static void publish_on(uint64_t length)
{
    int32_t status = publish(published, length, 0, 0);
    if (status == MAPRING_FULL)
        return;
    must(status, "publishing");
    published++;
}

static void overwrite_with_payload(void)
{
    publish_on(over_payload[0]);
    publish_on(over_payload[1]);
}

static void publish_two(void)
{
    publish_on(16);
    publish_on(16);
}

static void overwrite_long(void)
{
    publish_on(1016);
}

static void overwrite_with_zero(void)
{
    publish_on(over_header[0]);
}

/* The consumer was told that it was lapped, now or earlier: what is missing has been counted. */
static void count_losses(uint64_t lost_before)
{
    mapring_consumer_progress now = progress();
    uint64_t *next = &expected[model_self()];
    *next += now.lost_messages - lost_before;
    if (now.sequence != *next)
        model_fail("%llu messages were said to be lost, and %llu comes where %llu should",
                   (unsigned long long)(now.lost_messages - lost_before), (unsigned long long)now.sequence,
                   (unsigned long long)*next);
}

/* Reads one message in place: what it holds counts if the release says that it was whole. */
static int32_t look_in_place(int64_t timeout_ns)
{
    uint32_t self = model_self();
    uint64_t lost = progress().lost_messages;
    mapring_message message;
    int32_t status = mapring_read(consumers[self], &message, 1, timeout_ns);
    if (status == MAPRING_LAPPED)
        count_losses(lost);
    if (status != 1)
        return status;
    uint8_t bytes[1024];
    if (message.length > sizeof bytes || message.sequence != expected[self])
        model_fail("message %llu of %llu bytes came where %llu was next", (unsigned long long)message.sequence,
                   (unsigned long long)message.length, (unsigned long long)expected[self]);
    uint64_t shown = message.length < 32 ? message.length : 32; /* more says no more, and takes long */
    model_read_racing(bytes, message.data, shown, MODEL_SITE("a message in place", MODEL_COPY, 0));
    int32_t released = mapring_release(consumers[self], 1);
    message.length = shown;
    if (released == MAPRING_OK)
        check_message(&message, bytes);
    else
        expected[self]++;
    return released == MAPRING_OK ? status : released;
}

/* Copies one: that is whole. */
static int32_t look_for_copy(int64_t timeout_ns)
{
    uint64_t lost = progress().lost_messages;
    mapring_message message;
    uint8_t bytes[2048];
    int32_t status = mapring_receive(consumers[model_self()], bytes, sizeof bytes, &message, 1, timeout_ns);
    if (status == MAPRING_LAPPED)
        count_losses(lost);
    if (status == 1)
        check_message(&message, message.data);
    return status;
}

static void must_be_usual(int32_t status)
{
    if (status != MAPRING_LAPPED)
        must(status, "reading");
}

static void look_twice_in_place(void)
{
    for (int look = 0; look < 2; look++)
        must_be_usual(look_in_place(0));
}

static void look_twice_for_copies(void)
{
    for (int look = 0; look < 2; look++)
        must_be_usual(look_for_copy(0));
}

/* It reads on to the newest message, and what it got and what it was told to have lost is all there was. */
static void all_is_accounted_for(void)
{
    model_act_as(CONSUMER);
    for (uint64_t look = 0; expected[CONSUMER] < published; look++) {
        int32_t status = look_for_copy(0);
        must_be_usual(status);
        if (status == 0 || look > 2 * LAP_COUNT)
            model_fail("it is stuck at message %llu of %llu", (unsigned long long)expected[CONSUMER],
                       (unsigned long long)published);
    }
    if (look_for_copy(0) != 0)
        model_fail("more came than was published");
}

/* A header that is 0 because it was lapped is nothing to wait for. */

static void zero_setup(void)
{
    lossy_setup();
    model_act_as(CONSUMER);
    if (look_for_copy(0) != 1)
        model_fail("the first message did not come");
}

static void wait_for_two(void)
{
    for (int look = 0; look < 2; look++)
        must_be_usual(look_in_place(MAPRING_FOREVER));
}

static bool waits_in_vain(void)
{
    return run.threads[CONSUMER].state == THREAD_PARKED && expected[CONSUMER] < published;
}

/* A frontier that is announced and taken back, since somebody joined. */

static void retreat_setup(void)
{
    create_ring(PRODUCER, 0, 2);
    attach(MAPRING_LOSSY);
    publish_lap();
    model_act_as(CONSUMER);
    if (look_for_copy(0) != 1)
        model_fail("the first message did not come");
}

static void join_oldest(void)
{
    must(open_consumer(MAPRING_FROM_OLDEST), "joining");
}

static void look_once(void)
{
    must_be_usual(look_for_copy(0));
}

/* Reliable consumers that the producer may let go. */

static void setup_with_policy(uint32_t policy)
{
    create_ring_as(PRODUCER, (mapring_producer_options){.max_consumers = 1, .slow_policy = policy});
}

static void joiner_may_be_let_go_setup(void)
{
    setup_with_policy(MAPRING_SLOW_EVICT);
    publish_lap();
}

static void evict_setup(void)
{
    setup_with_policy(MAPRING_SLOW_EVICT);
    attach(MAPRING_RELIABLE);
    publish_lap();
}

static void publish_another(void)
{
    must_publish(published, 8, 0);
}

/* It was let go, and knows it. */
static void evicted_setup(void)
{
    evict_setup();
    model_act_as(PRODUCER);
    publish_on(over_header[0]);
    model_act_as(CONSUMER);
    if (look_in_place(0) != MAPRING_EVICTED)
        model_fail("it was not let go");
    model_act_as(PRODUCER);
}

/* One with a name left its place. */
#define NAMED ((mapring_consumer_options){.start = MAPRING_FROM_OLDEST, .own_name = "n"})

static void left_setup(void)
{
    setup_with_policy(MAPRING_SLOW_EVICT);
    model_act_as(CONSUMER);
    must(open_consumer_as(NAMED), "attaching");
    mapring_consumer_close(consumers[CONSUMER]);
    publish_lap();
}

static void evict_asleep_setup(void)
{
    evict_setup();
    mapring_message messages[4];
    must(mapring_read(consumers[CONSUMER], messages, 4, 0), "reading in setup");
}

/* Nothing is published that would wake anybody. */
static void claim_only(void)
{
    void *message;
    must(mapring_claim(producers[PRODUCER], 8, 0, &message), "claiming");
}

static void sleep_until_let_go(void)
{
    mapring_message messages[4];
    int32_t status;
    while ((status = mapring_read(consumers[CONSUMER], messages, 4, MAPRING_FOREVER)) > 0)
        ;
    if (status != MAPRING_EVICTED)
        model_fail("who is evicted while it waits is told %s", mapring_status_name(status));
}

static bool sleeps_though_let_go(void)
{
    return run.threads[CONSUMER].state == THREAD_PARKED;
}

static void demote_setup(void)
{
    setup_with_policy(MAPRING_SLOW_DEMOTE);
    attach(MAPRING_RELIABLE);
    publish_lap();
}

/* Reads, and comes back if it was let go. */
static void look_and_rejoin(void)
{
    uint32_t self = model_self();
    for (int look = 0; look < 2; look++) {
        int32_t status = look_in_place(0);
        if (status == MAPRING_EVICTED || status == MAPRING_DEMOTED) {
            uint64_t lost = progress().lost_messages;
            status = mapring_rejoin(consumers[self]);
            if (status < 0)
                model_fail("it was told that it was let go, and may not rejoin: %s", mapring_status_name(status));
            count_losses(lost);
        } else {
            must_be_usual(status);
        }
    }
}

static void join_and_look(void)
{
    must(open_consumer(MAPRING_FROM_OLDEST), "joining");
    expected[CONSUMER] = progress().sequence;
    look_and_rejoin();
}

static void rejoin(void)
{
    uint64_t lost = progress().lost_messages;
    must(mapring_rejoin(consumers[CONSUMER]), "rejoining");
    count_losses(lost);
}

static void rejoin_and_read(void)
{
    rejoin();
    if (look_in_place(0) != 1)
        model_fail("nobody let it go again, and it does not read on");
}

static void come_back_and_look(void)
{
    if (open_consumer_as(NAMED) != MAPRING_RESUMED)
        model_fail("it is not known");
    expected[CONSUMER] = progress().sequence;
    look_and_rejoin();
}

/* It is let go while it reads, and goes on as a lossy one. */
static void look_on_when_demoted(void)
{
    for (int look = 0; look < 3; look++) {
        int32_t status = look_in_place(0);
        if (status != MAPRING_DEMOTED)
            must_be_usual(status);
    }
}

static void rest_is_accounted_for(void)
{
    model_act_as(CONSUMER);
    for (uint64_t look = 0; expected[CONSUMER] < published; look++) {
        int32_t status = look_for_copy(0);
        if (status == MAPRING_EVICTED) {
            uint64_t lost = progress().lost_messages;
            must(mapring_rejoin(consumers[CONSUMER]), "rejoining");
            count_losses(lost);
        } else if (status != MAPRING_DEMOTED) {
            must_be_usual(status);
        }
        if (status == 0 || look > 2 * LAP_COUNT + 2)
            model_fail("it is stuck at message %llu of %llu", (unsigned long long)expected[CONSUMER],
                       (unsigned long long)published);
    }
}

#define TWO(title, text, produce, consume, prepare, done)                                                              \
    {                                                                                                                  \
        .name = title, .invariant = text, .thread_count = 2, .thread_names = {"producer", "consumer"},                 \
        .threads = {produce, consume}, .setup = prepare, .finish = done, .name_word = name_ring_word                   \
    }

const struct model_program lossy_scenarios[] = {
    TWO("lossy", "What a lossy consumer is told to be whole is whole; what it loses is counted; it reaches the end.",
        overwrite_with_payload, look_twice_in_place, lossy_setup, all_is_accounted_for),
    TWO("lossy, copying", "The same for copies.", overwrite_with_payload, look_twice_for_copies, lossy_setup,
        all_is_accounted_for),
    TWO("lossy, observer", "The same for an observer, who writes nothing.", overwrite_with_payload,
        look_twice_for_copies, observer_setup, all_is_accounted_for),
    TWO("lossy, newest", "The same for who has come to the newest message.", publish_two, look_twice_for_copies,
        newest_setup, all_is_accounted_for),
    TWO("lossy, zero", "Who was lapped is not stuck at a header that reads 0.", overwrite_with_zero,
        look_twice_in_place, zero_setup, all_is_accounted_for),
    {
        .name = "lossy, asleep",
        .invariant = "Who was lapped does not sleep at a header that reads 0.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {overwrite_with_zero, wait_for_two},
        .setup = zero_setup,
        .finish = all_is_accounted_for,
        .pending = waits_in_vain,
        .name_word = name_ring_word,
    },
    {
        .name = "lossy, retreat",
        .invariant = "Who looks at a frontier that is then taken back loses nothing that is still there.",
        .thread_count = 3,
        .thread_names = {"producer", "consumer", "joiner"},
        .threads = {overwrite_with_zero, look_once, join_oldest},
        .setup = retreat_setup,
        .finish = all_is_accounted_for,
        .name_word = name_ring_word,
    },
    TWO("let go, joiner", "Who joins while a frontier is announced is not taken for one that was let go.",
        overwrite_with_zero, join_and_look, joiner_may_be_let_go_setup, NULL),
    TWO("evicted", "Who is evicted is told so, gets nothing torn as whole, and counts what it lost when it rejoins.",
        overwrite_with_payload, look_and_rejoin, evict_setup, rest_is_accounted_for),
    TWO("evicted, is back", "Who rejoins is waited for, and reads on.", NULL, rejoin_and_read, evicted_setup,
        rest_is_accounted_for),
    TWO("evicted, rejoins", "Who is let go while it rejoins is told so, and may rejoin.", overwrite_long, rejoin,
        evicted_setup, rest_is_accounted_for),
    TWO("evicted, comes back", "The same of one that comes back under its name.", overwrite_with_payload,
        come_back_and_look, left_setup, rest_is_accounted_for),
    TWO("evicted, waited for", "A producer that may evict does not wait for ever.", publish_another, NULL, evict_setup,
        NULL),
    {
        .name = "evicted, asleep",
        .invariant = "Who sleeps with messages that it does not release is told that it was evicted.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {claim_only, sleep_until_let_go},
        .setup = evict_asleep_setup,
        .pending = sleeps_though_let_go,
        .name_word = name_ring_word,
    },
    TWO("demoted", "Who is demoted is told so, and goes on as a lossy consumer.", overwrite_with_payload,
        look_on_when_demoted, demote_setup, rest_is_accounted_for),
    {.name = NULL},
};
