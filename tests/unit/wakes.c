/*
 * Who is woken when: wake policies, watermarks; and waits that are ended from outside.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "kinds.h"

TestSuite(wakes, .timeout = 30);

#define CAPACITY 65536u

/* A consumer that waits, in a thread of its own. */
struct waiter {
    pthread_t thread;
    mapring_consumer *consumer;
    int64_t timeout_ns;
    int32_t status;
    int64_t ended_ns;
};

static void *wait_for_messages(void *argument)
{
    struct waiter *waiter = argument;
    mapring_message messages[64];
    waiter->status = mapring_read(waiter->consumer, messages, 64, waiter->timeout_ns);
    waiter->ended_ns = now_ns();
    return NULL;
}

static uint64_t parks_of(const char *name, uint32_t index)
{
    mapring_consumer_info info[8];
    mapring_ring_info ring = {.struct_size = sizeof ring};
    cr_assert_gt(mapring_stat(name, NULL, &ring, info, 8), (int32_t)index);
    return info[index].parks;
}

/* Returns when it sleeps. */
static void start_waiting(const struct stream *stream, struct waiter *waiter, uint32_t index)
{
    uint64_t before = parks_of(stream->name, index);
    cr_assert_eq(pthread_create(&waiter->thread, NULL, wait_for_messages, waiter), 0);
    int64_t start = now_ns();
    while (parks_of(stream->name, index) == before)
        cr_assert_lt(now_ns() - start, 10000 * MS, "it does not go to sleep");
}

static int64_t end_waiting(struct waiter *waiter)
{
    pthread_join(waiter->thread, NULL);
    return waiter->ended_ns;
}

/* A sleeper that was woken at once, and not because it looked by itself after 0.1 s. */
#define AT_ONCE (50 * MS)

/* Whoever had the slot before left when it was about to sleep. The quantum hides what is wrong with it, but not always.
 */
Test(wakes, who_comes_into_a_slot_that_somebody_left_asleep)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    int late = 0;
    for (int round = 0; round < 5; round++) {
        mapring_consumer *first = stream_join(&stream, CONSUMER(.start = MAPRING_FROM_NEWEST), MAPRING_OK);
        mapring_message message;
        cr_assert_status(mapring_read(first, &message, 1, MS), 0);
        mapring_consumer_close(first);
        stream_put(&stream, 1);
        struct waiter waiter = {.timeout_ns = 10000 * MS};
        waiter.consumer = stream_join(&stream, CONSUMER(.start = MAPRING_FROM_NEWEST), MAPRING_OK);
        while (try_read(waiter.consumer) == 1)
            cr_assert_status(mapring_release(waiter.consumer, 1), MAPRING_OK);
        start_waiting(&stream, &waiter, 0);
        int64_t start = now_ns();
        stream_put(&stream, 1);
        late += end_waiting(&waiter) - start > AT_ONCE;
        cr_assert_status(waiter.status, 1);
        mapring_consumer_close(waiter.consumer);
    }
    cr_assert_lt(late, 3, "woken late %d times of 5", late);
    stream_close(&stream);
}

static mapring_consumer *join_at_newest(const struct stream *stream)
{
    return stream_join(stream, CONSUMER(.start = MAPRING_FROM_NEWEST), MAPRING_OK);
}

/* One message, published with these flags. */
static void publish_with(struct stream *stream, uint32_t flags)
{
    cr_assert_status(mapring_publish(stream->producer, "12345678", 8, 0, flags, 0), MAPRING_OK);
}

Test(wakes, policies_of_one_message)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    struct waiter waiter = {.consumer = join_at_newest(&stream), .timeout_ns = 10000 * MS};
    start_waiting(&stream, &waiter, 0);
    uint64_t wakes = stat_of(stream.name).wakes;
    publish_with(&stream, MAPRING_WAKE_NEVER);
    cr_assert_eq(stat_of(stream.name).wakes, wakes, "it was to wake nobody");
    cr_assert_status(mapring_wake(stream.producer), MAPRING_OK);
    cr_assert_eq(stat_of(stream.name).wakes, wakes + 1);
    end_waiting(&waiter);
    cr_assert_status(waiter.status, 1);
    cr_assert_status(mapring_release(waiter.consumer, 1), MAPRING_OK);

    start_waiting(&stream, &waiter, 0);
    publish_with(&stream, MAPRING_WAKE_ALWAYS);
    int64_t published = now_ns();
    cr_assert_lt(end_waiting(&waiter) - published, AT_ONCE);
    cr_assert_status(waiter.status, 1);

    const uint32_t both = MAPRING_WAKE_NEVER | MAPRING_WAKE_ALWAYS;
    cr_assert_status(mapring_publish(stream.producer, "12345678", 8, 0, both, 0), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_wake(NULL), MAPRING_INVALID_ARGUMENT);
    mapring_consumer_close(waiter.consumer);
    stream_close(&stream);
}

/* Nobody sleeps: a publish costs no system call, however often. */
Test(wakes, nobody_who_is_awake)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = stream_join(&stream, NULL, MAPRING_OK);
    uint64_t wakes = stat_of(stream.name).wakes;
    for (int i = 0; i < 1000; i++) {
        publish_with(&stream, 0);
        cr_assert_status(try_read(consumer), 1);
        cr_assert_status(mapring_release(consumer, 1), MAPRING_OK);
    }
    cr_assert_eq(stat_of(stream.name).wakes, wakes);
    cr_assert_eq(parks_of(stream.name, 0), 0);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

/* Watermarks. A message of 8 bytes takes 16. */

Test(wakes, when_the_watermark_is_reached)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    struct waiter waiter = {.consumer = join_at_newest(&stream), .timeout_ns = 20000 * MS};
    cr_assert_status(mapring_consumer_set_watermark(waiter.consumer, 10 * 16, 20000 * MS), MAPRING_OK);
    start_waiting(&stream, &waiter, 0);
    uint64_t wakes = stat_of(stream.name).wakes;
    for (int i = 0; i < 9; i++)
        publish_with(&stream, 0);
    cr_assert_eq(stat_of(stream.name).wakes, wakes, "it was woken before it was due");
    publish_with(&stream, 0);
    int64_t reached = now_ns();
    cr_assert_lt(end_waiting(&waiter) - reached, AT_ONCE);
    cr_assert_status(waiter.status, 10);
    cr_assert_eq(stat_of(stream.name).wakes, wakes + 1);
    mapring_consumer_close(waiter.consumer);
    stream_close(&stream);
}

/* One message of a run, and a claim behind it. Then the run is ended: who sleeps is looked at while the claim is open.
 */
static void look_with_open_claim(struct stream *stream, uint64_t claimed)
{
    void *payload;
    publish_with(stream, MAPRING_MORE);
    cr_assert_status(mapring_claim(stream->producer, claimed, 0, &payload), MAPRING_OK);
    memset(payload, 0, claimed);
    uint64_t wakes = stat_of(stream->name).wakes;
    cr_assert_status(mapring_end_run(stream->producer), MAPRING_OK);
    cr_assert_eq(stat_of(stream->name).wakes, wakes, "it was woken before it was due");
}

/* A watermark of 10 messages that is reached behind a claim, which is committed (here of 8 bytes) or abandoned; or by
 * what was claimed, exactly or by far. */
Test(wakes, when_the_watermark_is_reached_after_a_look_with_an_open_claim)
{
    static const struct {
        uint64_t claimed, committed;
        int more; /* messages behind it until the watermark is reached */
    } ways[] = {{8, 8, 8}, {2000, 8, 8}, {8, UINT64_MAX, 9}, {136, 136, 0}, {144, 136, 0}, {2000, 2000, 0}};
    for (uint32_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY * 4));
        struct waiter waiter = {.consumer = join_at_newest(&stream), .timeout_ns = 20000 * MS};
        cr_assert_status(mapring_consumer_set_watermark(waiter.consumer, 10 * 16, 20000 * MS), MAPRING_OK);
        start_waiting(&stream, &waiter, 0);
        look_with_open_claim(&stream, ways[way].claimed);
        uint64_t wakes = stat_of(stream.name).wakes;
        int32_t closed = ways[way].committed == UINT64_MAX ? mapring_abandon(stream.producer)
                                                           : mapring_commit(stream.producer, ways[way].committed, 0, 0);
        cr_assert_status(closed, MAPRING_OK);
        for (int i = 0; i < ways[way].more; i++) {
            cr_assert_eq(stat_of(stream.name).wakes, wakes, "way %u: woken before it was due", way);
            publish_with(&stream, 0);
        }
        int64_t reached = now_ns();
        cr_assert_eq(stat_of(stream.name).wakes, wakes + 1, "way %u: not woken", way);
        cr_assert_lt(end_waiting(&waiter) - reached, AT_ONCE);
        cr_assert_gt(waiter.status, 0);
        mapring_consumer_close(waiter.consumer);
        stream_close(&stream);
    }
}

Test(wakes, when_the_watermark_has_waited_long_enough)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    struct waiter waiter = {.consumer = join_at_newest(&stream), .timeout_ns = 20000 * MS};
    cr_assert_status(mapring_consumer_set_watermark(waiter.consumer, 4096, 250 * MS), MAPRING_OK);
    int64_t start = now_ns();
    start_waiting(&stream, &waiter, 0);
    publish_with(&stream, 0);
    publish_with(&stream, 0);
    int64_t waited = end_waiting(&waiter) - start;
    cr_assert(waited >= 250 * MS && waited < 2000 * MS, "after %d ms", (int)(waited / MS));
    cr_assert_status(waiter.status, 2);

    /* mapring_wake() is for who knows that no more will come. */
    cr_assert_status(mapring_release(waiter.consumer, 2), MAPRING_OK);
    cr_assert_status(mapring_consumer_set_watermark(waiter.consumer, 4096, 600 * MS), MAPRING_OK);
    start_waiting(&stream, &waiter, 0);
    publish_with(&stream, 0);
    cr_assert_status(mapring_wake(stream.producer), MAPRING_OK);
    end_waiting(&waiter);
    cr_assert_status(waiter.status, 1);
    mapring_consumer_close(waiter.consumer);
    stream_close(&stream);
}

Test(wakes, watermarks_that_make_no_sense)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = join_at_newest(&stream);
    mapring_consumer *member = stream_join(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "g"), MAPRING_OK);
    cr_assert_status(mapring_consumer_set_watermark(NULL, 0, 0), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_consumer_set_watermark(consumer, 8, 0), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_consumer_set_watermark(consumer, 0, 1), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_consumer_set_watermark(consumer, 8, -1), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_consumer_set_watermark(consumer, CAPACITY / 8 + 1, 1), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_consumer_set_watermark(member, 8, 1), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_consumer_set_watermark(consumer, CAPACITY / 8, 1), MAPRING_OK);
    cr_assert_status(mapring_consumer_set_watermark(consumer, 0, 0), MAPRING_OK);
    cr_assert_status(mapring_consumer_set_waiting(consumer, MAPRING_WAIT_PARK + 1), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_consumer_set_waiting(NULL, 0), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_producer_set_waiting(stream.producer, MAPRING_WAIT_PARK + 1), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_producer_set_waiting(NULL, 0), MAPRING_INVALID_ARGUMENT);
    mapring_consumer_close(member);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

/* Waits that are ended. */

static const uint32_t ways[] = {MAPRING_WAIT_ADAPTIVE, MAPRING_WAIT_SPIN, MAPRING_WAIT_PARK};

static void begin_waiting(struct waiter *waiter)
{
    cr_assert_eq(pthread_create(&waiter->thread, NULL, wait_for_messages, waiter), 0);
}

Test(wakes, a_wait_that_is_cancelled)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    for (int way = 0; way < 3; way++) {
        struct waiter waiter = {.consumer = join_at_newest(&stream), .timeout_ns = MAPRING_FOREVER};
        cr_assert_status(mapring_consumer_set_waiting(waiter.consumer, ways[way]), MAPRING_OK);
        if (ways[way] == MAPRING_WAIT_SPIN)
            begin_waiting(&waiter);
        else
            start_waiting(&stream, &waiter, 0);
        int64_t cancelled = now_ns();
        cr_assert_status(mapring_consumer_cancel(waiter.consumer), MAPRING_OK);
        int64_t took = end_waiting(&waiter) - cancelled;
        cr_assert_status(waiter.status, MAPRING_CANCELLED);
        cr_assert_lt(took, AT_ONCE, "it took %d ms", (int)(took / MS));

        /* Before it begins; once; and nothing is lost by it. */
        cr_assert_status(mapring_consumer_cancel(waiter.consumer), MAPRING_OK);
        publish_with(&stream, 0);
        cr_assert_status(try_read(waiter.consumer), 1);
        cr_assert_status(mapring_release(waiter.consumer, 1), MAPRING_OK);
        mapring_message message;
        cr_assert_status(mapring_read(waiter.consumer, &message, 1, 10000 * MS), MAPRING_CANCELLED);
        cr_assert_status(mapring_read(waiter.consumer, &message, 1, MS), 0);
        mapring_consumer_close(waiter.consumer);
    }
    cr_assert_status(mapring_consumer_cancel(NULL), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_producer_cancel(NULL), MAPRING_INVALID_ARGUMENT);
    stream_close(&stream);
}

Test(wakes, an_observer_that_is_cancelled)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    struct waiter waiter = {.consumer = stream_join(&stream, CONSUMER(.kind = MAPRING_OBSERVER), MAPRING_OK),
                            .timeout_ns = MAPRING_FOREVER};
    begin_waiting(&waiter);
    int64_t cancelled = now_ns();
    cr_assert_status(mapring_consumer_cancel(waiter.consumer), MAPRING_OK);
    cr_assert_lt(end_waiting(&waiter) - cancelled, 10 * MS + AT_ONCE);
    cr_assert_status(waiter.status, MAPRING_CANCELLED);
    mapring_consumer_close(waiter.consumer);
    stream_close(&stream);
}

/* A producer without room, one that drains, and one that waits for consumers. */
struct blocked {
    struct stream *stream;
    int way;
    int32_t status;
    pthread_t thread;
};

static void *wait_as_producer(void *argument)
{
    struct blocked *blocked = argument;
    mapring_producer *producer = blocked->stream->producer;
    blocked->status = blocked->way == 0   ? stream_try(blocked->stream, MAPRING_FOREVER)
                      : blocked->way == 1 ? mapring_drain(producer, MAPRING_FOREVER)
                                          : mapring_wait_consumers(producer, 5, MAPRING_FOREVER);
    return NULL;
}

Test(wakes, a_producer_that_is_cancelled)
{
    struct stream stream = stream_open(PRODUCER(.capacity = 4096));
    mapring_consumer *consumer = stream_join(&stream, NULL, MAPRING_OK);
    stream_fill(&stream);
    for (int way = 0; way < 3; way++) {
        struct blocked blocked = {.stream = &stream, .way = way};
        uint64_t before = stat_of(stream.name).parks;
        cr_assert_eq(pthread_create(&blocked.thread, NULL, wait_as_producer, &blocked), 0);
        int64_t start = now_ns();
        while (stat_of(stream.name).parks == before)
            cr_assert_lt(now_ns() - start, 10000 * MS, "it does not go to sleep");
        int64_t cancelled = now_ns();
        cr_assert_status(mapring_producer_cancel(stream.producer), MAPRING_OK);
        pthread_join(blocked.thread, NULL);
        cr_assert_status(blocked.status, MAPRING_CANCELLED);
        cr_assert_lt(now_ns() - cancelled, AT_ONCE);
    }
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

static mapring_consumer *to_cancel;

static void cancel_from_handler(int signal)
{
    (void)signal;
    mapring_consumer_cancel(to_cancel);
}

Test(wakes, a_wait_that_its_own_signal_handler_cancels)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    struct waiter waiter = {.consumer = join_at_newest(&stream), .timeout_ns = MAPRING_FOREVER};
    to_cancel = waiter.consumer;
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = cancel_from_handler}, NULL);
    start_waiting(&stream, &waiter, 0);
    cr_assert_eq(pthread_kill(waiter.thread, SIGUSR1), 0);
    end_waiting(&waiter);
    cr_assert_status(waiter.status, MAPRING_CANCELLED);
    mapring_consumer_close(waiter.consumer);
    stream_close(&stream);
}

Test(wakes, one_thread_at_a_time_waits_with_a_handle)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    struct waiter waiter = {.consumer = join_at_newest(&stream), .timeout_ns = 10000 * MS};
    start_waiting(&stream, &waiter, 0);
    mapring_message message;
    cr_assert_status(mapring_read(waiter.consumer, &message, 1, 10000 * MS), MAPRING_BUSY);
    publish_with(&stream, 0);
    end_waiting(&waiter);
    cr_assert_status(waiter.status, 1);
    mapring_consumer_close(waiter.consumer);
    stream_close(&stream);
}

/* Who waits with a handle that another thread closes is told, and does not touch it any longer. */
Test(wakes, a_handle_that_is_closed_while_a_thread_waits)
{
    struct stream stream = stream_open(PRODUCER(.capacity = 4096));
    struct waiter waiter = {.consumer = join_at_newest(&stream), .timeout_ns = MAPRING_FOREVER};
    start_waiting(&stream, &waiter, 0);
    mapring_consumer_close(waiter.consumer);
    end_waiting(&waiter);
    cr_assert_status(waiter.status, MAPRING_CANCELLED);
    mapring_consumer *consumer = stream_join(&stream, NULL, MAPRING_OK);
    stream_fill(&stream);
    struct blocked blocked = {.stream = &stream};
    uint64_t before = stat_of(stream.name).parks;
    cr_assert_eq(pthread_create(&blocked.thread, NULL, wait_as_producer, &blocked), 0);
    int64_t start = now_ns();
    while (stat_of(stream.name).parks == before)
        cr_assert_lt(now_ns() - start, 10000 * MS);
    mapring_producer_close(stream.producer);
    pthread_join(blocked.thread, NULL);
    cr_assert_status(blocked.status, MAPRING_CANCELLED);
    stream.producer = NULL;
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

/* As the header says: at the latest 0.1 s after it left, and what a machine that is busy takes. */
Test(wakes, who_waits_when_its_producer_leaves_is_told)
{
    for (int way = 0; way < 3; way++) {
        struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
        struct waiter waiter = {.consumer = join_at_newest(&stream), .timeout_ns = MAPRING_FOREVER};
        cr_assert_status(mapring_consumer_set_waiting(waiter.consumer, ways[way]), MAPRING_OK);
        if (ways[way] == MAPRING_WAIT_SPIN)
            begin_waiting(&waiter);
        else
            start_waiting(&stream, &waiter, 0);
        int64_t left = now_ns();
        mapring_producer_close(stream.producer);
        int64_t took = end_waiting(&waiter) - left;
        cr_assert_status(waiter.status, MAPRING_NO_PRODUCER);
        cr_assert_lt(took, 100 * MS + AT_ONCE, "it took %d ms", (int)(took / MS));
        stream.producer = NULL;
        mapring_consumer_close(waiter.consumer);
        stream_close(&stream);
    }
}
