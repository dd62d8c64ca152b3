/*
 * One side waits for the other: a slow consumer holds the producer back, a consumer is there before the ring.
 */
#include <inttypes.h>

#include "traffic.h"

#define CAPACITY 4096u
#define MAX 512u

struct slow {
    struct gate attached;
    struct gate may_read; /* one permit for each message, */
    struct gate has_read; /* and one that says it was used */
    uint64_t messages;
};

static void read_when_told(void *argument)
{
    const struct slow *slow = argument;
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    gate_open(slow->attached);
    for (uint64_t sequence = 0; sequence < slow->messages; sequence++) {
        mapring_message message;
        gate_pass(slow->may_read);
        CHECK_STATUS(mapring_read(consumer, &message, 1, 10 * SECOND), 1);
        check_message(&message, sequence, MAX);
        CHECK_STATUS(mapring_release(consumer, 1), MAPRING_OK);
        gate_open(slow->has_read);
        /* With nothing left to read the producer is told of everything that was released. */
        if (sequence + 1 == slow->messages)
            CHECK_STATUS(mapring_read(consumer, &message, 1, 10 * SECOND), MAPRING_STREAM_ENDED);
    }
    mapring_consumer_close(consumer);
}

static int32_t publish(mapring_producer *producer, uint64_t sequence, int64_t timeout_ns)
{
    static uint8_t bytes[MAX];
    uint64_t length = message_length(sequence, MAX);
    payload_fill(bytes, length, sequence);
    return mapring_publish(producer, bytes, length, message_tag(sequence), 0, timeout_ns);
}

static void slow_consumer(void)
{
    struct slow slow = {
        .attached = gate_new(), .may_read = gate_new(), .has_read = gate_new(), .messages = 20000 * test_length()};
    mapring_producer *producer = open_producer(CAPACITY, 2);
    pid_t child = spawn(read_when_told, &slow);
    gate_pass(slow.attached);

    uint64_t permits = 0, refused_at_once = 0, refused_later = 0;
    for (uint64_t sequence = 0; sequence < slow.messages;) {
        if (publish(producer, sequence, 0) == MAPRING_OK) {
            sequence++;
            continue;
        }
        CHECK_STATUS(publish(producer, sequence, 0), MAPRING_FULL);
        CHECK(stat_ring().messages == sequence, "a message that was refused is there");
        refused_at_once++;
        if (refused_at_once % 8 == 0) {
            int64_t start = now_ns();
            CHECK_STATUS(publish(producer, sequence, 3 * MS), MAPRING_FULL);
            CHECK(now_ns() - start >= 3 * MS, "it gave up after %" PRId64 " ns", now_ns() - start);
            CHECK(stat_ring().messages == sequence, "a message that was refused is there");
            refused_later++;
        }
        uint64_t permitted = sequence - permits;
        for (; permits < sequence; permits++)
            gate_open(slow.may_read);
        CHECK_STATUS(publish(producer, sequence, 10 * SECOND), MAPRING_OK);
        sequence++;
        /* Then the consumer stands still again, and full is full. */
        for (; permitted > 0; permitted--)
            gate_pass(slow.has_read);
    }
    CHECK(refused_at_once > 200 && refused_later > 20, "only %" PRIu64 " and %" PRIu64 " times full", refused_at_once,
          refused_later);
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    CHECK_STATUS(mapring_drain(producer, 20 * MS), MAPRING_TIMEOUT);
    for (; permits < slow.messages; permits++)
        gate_open(slow.may_read);
    CHECK_STATUS(mapring_drain(producer, 10 * SECOND), MAPRING_OK);
    join(child);
    mapring_producer_close(producer);
}

/* The producer waits for the slowest of several. */
static void read_slowly(void *argument)
{
    const uint64_t *pause_ns = argument;
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, MAX, *pause_ns);
    reader.sequence = 0;
    int32_t status = 0;
    while (status != MAPRING_STREAM_ENDED) {
        sleep_random(&reader.random, *pause_ns);
        status = reader_step(&reader, SECOND);
        CHECK(status >= 0 || status == MAPRING_STREAM_ENDED, "reading: %s", mapring_status_name(status));
    }
    CHECK(reader.sequence == 20000 * test_length(), "%" PRIu64 " messages", reader.sequence);
    reader_close(&reader);
}

static void fast_and_slow_consumers(void)
{
    static uint64_t pauses_ns[] = {0, 10000, 300000};
    enum { COUNT = sizeof pauses_ns / sizeof pauses_ns[0] };
    pid_t children[COUNT];
    mapring_producer *producer = open_producer(CAPACITY * 4, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        children[i] = spawn(read_slowly, &pauses_ns[i]);
    CHECK_STATUS(mapring_wait_consumers(producer, COUNT, 10 * SECOND), MAPRING_OK);
    for (uint64_t sequence = 0; sequence < 20000 * test_length(); sequence++)
        CHECK_STATUS(publish(producer, sequence, 10 * SECOND), MAPRING_OK);
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    for (size_t i = 0; i < COUNT; i++)
        join(children[i]);
    mapring_producer_close(producer);
}

/* A consumer before the ring. */

static void wait_for_ring(void *argument)
{
    struct gate *running = argument;
    gate_open(*running);
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, MAX, 1);
    reader.sequence = 0;
    reader_finish(&reader);
    CHECK(reader.sequence == 10, "%" PRIu64 " messages", reader.sequence);
    reader_close(&reader);
}

static void consumer_before_ring(void)
{
    struct gate running = gate_new();
    uint64_t random = 1;
    for (uint64_t round = 0; round < 100 * test_length(); round++) {
        pid_t children[3];
        for (int i = 0; i < 3; i++)
            children[i] = spawn(wait_for_ring, &running);
        for (int i = 0; i < 3; i++)
            gate_pass(running);
        /* They look for the name, wait for the folder to change, or are just about to. */
        sleep_random(&random, 1000000);
        mapring_producer *producer = open_producer(CAPACITY * 16, 3);
        for (uint64_t sequence = 0; sequence < 10; sequence++)
            CHECK_STATUS(publish(producer, sequence, 0), MAPRING_OK);
        CHECK_STATUS(mapring_end(producer), MAPRING_OK);
        /* The name would go with its last holder: those who are still looking for it need it. */
        for (int i = 0; i < 3; i++)
            join(children[i]);
        mapring_producer_close(producer);
    }
}

static void no_ring_comes(void)
{
    mapring_consumer *consumer;
    CHECK_STATUS(mapring_consumer_open(RING, NULL, &consumer), MAPRING_NOT_FOUND);
    static const int64_t timeouts[] = {1, MS, 50 * MS, 350 * MS};
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        mapring_consumer_options options = {.struct_size = sizeof options, .timeout_ns = timeouts[i]};
        int64_t start = now_ns();
        CHECK_STATUS(mapring_consumer_open(RING, &options, &consumer), MAPRING_TIMEOUT);
        int64_t waited = now_ns() - start;
        CHECK(waited >= timeouts[i] && waited < timeouts[i] + 600 * MS, "waited %" PRId64 " instead of %" PRId64 " ns",
              waited, timeouts[i]);
    }
    /* A ring of another name, and one whose holders are gone, are not the one waited for. */
    mapring_producer *other;
    CHECK_STATUS(mapring_producer_open("another", NULL, &other), MAPRING_OK);
    mapring_consumer_options options = {.struct_size = sizeof options, .timeout_ns = 20 * MS};
    CHECK_STATUS(mapring_consumer_open(RING, &options, &consumer), MAPRING_TIMEOUT);
    mapring_producer_close(other);
    CHECK_STATUS(mapring_consumer_open("another", &options, &consumer), MAPRING_TIMEOUT);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"slow_consumer", slow_consumer},
        {"fast_and_slow_consumers", fast_and_slow_consumers},
        {"consumer_before_ring", consumer_before_ring},
        {"no_ring_comes", no_ring_comes},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
