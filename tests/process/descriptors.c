/*
 * Event loops and wait sets over processes: what wakes them, who dies beside them, and what the killed leave.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "atomic.h"
#include "traffic.h"

#define MAX 512u

/* Whoever waits longer than this was not woken. */
#define LONG_MS 20000

static int open_descriptor(mapring_consumer *consumer, uint32_t method)
{
    int64_t descriptor = -1;
    int32_t status = mapring_consumer_descriptor(consumer, method, &descriptor);
    if (status == MAPRING_UNSUPPORTED)
        skip("this way is not to be had here");
    CHECK_STATUS(status, (int32_t)method);
    return (int)descriptor;
}

static bool becomes_readable(int descriptor, int timeout_ms)
{
    struct pollfd poller = {.fd = descriptor, .events = POLLIN};
    int count;
    while ((count = poll(&poller, 1, timeout_ms)) < 0)
        CHECK(errno == EINTR, "poll: %s", strerror(errno));
    return count == 1;
}

/* Reads all that is there. What ends that: 0, or a status. */
static int32_t read_all(mapring_consumer *consumer, uint64_t *sequence)
{
    mapring_message messages[16];
    int32_t count;
    while ((count = mapring_read(consumer, messages, 16, 0)) > 0) {
        for (int32_t i = 0; i < count; i++)
            check_message(&messages[i], (*sequence)++, MAX);
        CHECK_STATUS(mapring_release(consumer, (uint32_t)count), MAPRING_OK);
    }
    return count;
}

struct stream {
    uint64_t messages;
    uint64_t pause_ns;
    uint32_t method;
    struct gate ready;
};

static void publish_stream(void *argument)
{
    const struct stream *stream = argument;
    mapring_producer *producer = open_producer(1 << 14, 2);
    uint64_t random = 3;
    CHECK_STATUS(mapring_wait_consumers(producer, 1, 20 * SECOND), MAPRING_OK);
    for (uint64_t sequence = 0; sequence < stream->messages; sequence++) {
        if (sequence % 4 == 0)
            spin_ns((int64_t)(random_next(&random) % stream->pause_ns));
        publish_message(producer, sequence, MAX);
    }
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    CHECK_STATUS(mapring_drain(producer, 20 * SECOND), MAPRING_OK);
    mapring_producer_close(producer);
}

static void loop_over_stream(uint32_t method)
{
    struct stream stream = {.messages = 20000 * test_length(), .pause_ns = 30000, .method = method};
    pid_t child = spawn(publish_stream, &stream);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    int descriptor = open_descriptor(consumer, method);
    uint64_t sequence = 0;
    int32_t status = 0;
    while (status != MAPRING_STREAM_ENDED) {
        CHECK(becomes_readable(descriptor, LONG_MS), "asleep before message %" PRIu64, sequence);
        status = read_all(consumer, &sequence);
        CHECK(status == 0 || status == MAPRING_STREAM_ENDED, "%s", mapring_status_name(status));
    }
    CHECK(sequence == stream.messages, "%" PRIu64 " messages", sequence);
    mapring_consumer_close(consumer);
    join(child);
}

static void loop_by_futex(void)
{
    loop_over_stream(MAPRING_DESCRIPTOR_FUTEX);
}

static void loop_by_waking(void)
{
    loop_over_stream(MAPRING_DESCRIPTOR_WAKE);
}

/* Producers that are killed in the middle, one after the other. */

#define PRODUCERS 10

struct relay {
    struct gate opened;
    shared64 *published;
};

static void publish_until_killed(void *argument)
{
    const struct relay *relay = argument;
    mapring_producer *producer = open_producer(1 << 14, 2);
    gate_open(relay->opened);
    for (uint64_t sequence = load64_relaxed(relay->published);; sequence = stat_ring().messages)
        publish_message(producer, sequence, MAX);
}

/* Waits until the descriptor says that the producer is gone: by itself, since nobody publishes any longer. */
static void loop_until_alone(mapring_consumer *consumer, int descriptor, uint64_t *sequence)
{
    int64_t end = now_ns() + 20 * SECOND;
    int32_t status = 0;
    while (status != MAPRING_NO_PRODUCER) {
        CHECK(now_ns() < end && becomes_readable(descriptor, LONG_MS), "nobody told of the producer's death");
        status = read_all(consumer, sequence);
        CHECK(status == 0 || status == MAPRING_NO_PRODUCER, "%s", mapring_status_name(status));
    }
}

static void producers_are_killed(uint32_t method)
{
    struct relay relay = {gate_new(), shared_memory(4096)};
    uint64_t random = method;
    pid_t child = spawn(publish_until_killed, &relay);
    gate_pass(relay.opened);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    int descriptor = open_descriptor(consumer, method);
    uint64_t sequence = 0;
    mapring_message first;
    CHECK(becomes_readable(descriptor, LONG_MS), "nothing came");
    CHECK_STATUS(mapring_read(consumer, &first, 1, 0), 1);
    sequence = first.sequence + 1;
    CHECK_STATUS(mapring_release(consumer, 1), MAPRING_OK);
    for (int i = 0; i < PRODUCERS; i++) {
        for (int64_t end = now_ns() + (int64_t)(random_next(&random) % 5000000); now_ns() < end;) {
            CHECK(becomes_readable(descriptor, LONG_MS), "asleep before message %" PRIu64, sequence);
            read_all(consumer, &sequence);
        }
        kill_child(child);
        loop_until_alone(consumer, descriptor, &sequence);
        CHECK(sequence == stat_ring().messages, "message %" PRIu64 " of %" PRIu64, sequence, stat_ring().messages);
        store64_relaxed(relay.published, sequence);
        child = spawn(publish_until_killed, &relay);
        gate_pass(relay.opened);
    }
    kill_child(child);
    mapring_consumer_close(consumer);
}

static void killed_by_futex(void)
{
    producers_are_killed(MAPRING_DESCRIPTOR_FUTEX);
}

static void killed_by_waking(void)
{
    producers_are_killed(MAPRING_DESCRIPTOR_WAKE);
}

/* Consumers that are killed leave a FIFO, until somebody else makes one. */

static void describe_and_wait(void *argument)
{
    const struct gate *described = argument;
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    open_descriptor(consumer, MAPRING_DESCRIPTOR_WAKE);
    gate_open(*described);
    pause();
}

static void killed_consumers_leave_nothing(void)
{
    struct gate described = gate_new();
    mapring_producer *producer = open_producer(1 << 14, 8);
    int before = count_names();
    for (int i = 0; i < 5; i++) {
        pid_t child = spawn(describe_and_wait, &described);
        gate_pass(described);
        kill_child(child);
        /* Its address is still in its slot. */
        publish_message(producer, (uint64_t)i, MAX);
        CHECK_STATUS(mapring_wake(producer), MAPRING_OK);
    }
    CHECK(count_names() <= before + 1, "%d names", count_names() - before);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_NEWEST);
    int descriptor = open_descriptor(consumer, MAPRING_DESCRIPTOR_WAKE);
    CHECK(count_names() == before + 1, "%d names", count_names() - before);
    publish_message(producer, 5, MAX);
    CHECK(becomes_readable(descriptor, LONG_MS), "not woken");
    mapring_consumer_close(consumer);
    CHECK(count_names() == before, "%d names", count_names() - before);
    pid_t child = spawn(describe_and_wait, &described);
    gate_pass(described);
    kill_child(child);
    CHECK(mapring_sweep() == 1, "the FIFO is not swept away");
    CHECK(count_names() == before, "%d names", count_names() - before);
    mapring_producer_close(producer);
}

/* A child that closes its parent's handles takes nothing away from it. */

static void close_all(void *argument)
{
    void **handles = argument;
    mapring_wait_set_close(handles[0]);
    mapring_consumer_close(handles[1]);
    mapring_consumer_close(handles[2]);
}

static void forked_children_take_nothing(void)
{
    mapring_producer *producer = open_producer(1 << 14, 8);
    mapring_consumer *alone = open_consumer(MAPRING_FROM_OLDEST);
    mapring_consumer *member = open_consumer(MAPRING_FROM_OLDEST);
    int descriptor = open_descriptor(alone, MAPRING_DESCRIPTOR_WAKE);
    mapring_wait_set *set = NULL;
    mapring_ready ready;
    CHECK_STATUS(mapring_wait_set_open(&set), MAPRING_OK);
    CHECK_STATUS(mapring_wait_set_add_consumer(set, member, 1), MAPRING_OK);
    int ends[2];
    CHECK(pipe(ends) == 0, "pipe: %s", strerror(errno));
    CHECK_STATUS(mapring_wait_set_add_descriptor(set, ends[0], MAPRING_EVENT_READABLE, 2), MAPRING_OK);
    CHECK_STATUS(mapring_wait_set_wait(set, &ready, 1, MS), 0);
    void *handles[] = {set, member, alone};
    join(spawn(close_all, handles));
    publish_message(producer, 0, MAX);
    CHECK(becomes_readable(descriptor, 0), "not woken");
    CHECK_STATUS(mapring_wait_set_wait(set, &ready, 1, 20 * SECOND), 1);
    uint64_t sequence = 0;
    CHECK_STATUS(read_all(alone, &sequence), 0);
    CHECK(!becomes_readable(descriptor, 0), "ready for nothing");
    /* Asleep in the set, woken at its address by another process. */
    sequence = 0;
    CHECK_STATUS(read_all(member, &sequence), 0);
    CHECK_STATUS(mapring_wait_set_wait(set, &ready, 1, MS), 0);
    publish_message(producer, 1, MAX);
    CHECK_STATUS(mapring_wait_set_wait(set, &ready, 1, 20 * SECOND), 1);
    mapring_wait_set_close(set);
    mapring_consumer_close(member);
    mapring_consumer_close(alone);
    mapring_producer_close(producer);
    close(ends[0]);
    close(ends[1]);
}

/* Silence costs nothing. */

static int64_t processor_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * SECOND +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

#define SILENCE (3 * SECOND)

static void silence_costs_nothing(void)
{
    mapring_producer *producer = open_producer(1 << 14, 8);
    mapring_consumer *alone = open_consumer(MAPRING_FROM_OLDEST);
    mapring_consumer *member = open_consumer(MAPRING_FROM_OLDEST);
    int descriptor = open_descriptor(alone, MAPRING_DESCRIPTOR_WAKE);
    int64_t before = processor_ns();
    uint64_t sequence = 0;
    for (int64_t end = now_ns() + SILENCE; now_ns() < end;)
        if (becomes_readable(descriptor, (int)((end - now_ns()) / MS) + 1))
            CHECK_STATUS(read_all(alone, &sequence), 0);
    int64_t by_descriptor = processor_ns() - before;

    mapring_wait_set *set = NULL;
    mapring_ready ready;
    CHECK_STATUS(mapring_wait_set_open(&set), MAPRING_OK);
    CHECK_STATUS(mapring_wait_set_add_consumer(set, member, 1), MAPRING_OK);
    before = processor_ns();
    CHECK_STATUS(mapring_wait_set_wait(set, &ready, 1, SILENCE), 0);
    int64_t by_set = processor_ns() - before;
    printf("of %.0f ms: %.2f ms with a descriptor, %.2f ms with a wait set\n", (double)SILENCE / 1e6,
           (double)by_descriptor / 1e6, (double)by_set / 1e6);
    CHECK(by_descriptor < SILENCE / 100 && by_set < SILENCE / 100, "waiting takes more than 1 %% of a processor");
    mapring_wait_set_close(set);
    mapring_consumer_close(member);
    mapring_consumer_close(alone);
    mapring_producer_close(producer);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"loop_by_futex", loop_by_futex},
        {"loop_by_waking", loop_by_waking},
        {"killed_by_futex", killed_by_futex},
        {"killed_by_waking", killed_by_waking},
        {"killed_consumers_leave_nothing", killed_consumers_leave_nothing},
        {"forked_children_take_nothing", forked_children_take_nothing},
        {"silence_costs_nothing", silence_costs_nothing},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 120);
}
