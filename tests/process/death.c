/*
 * Consumers that die, and consumers that only stand still.
 */
#include <inttypes.h>
#include <signal.h>

#include "traffic.h"

#define CAPACITY 16384u
#define MAX 512u

/* Reads a few messages in place, keeps them, and says so. Then it waits for its end. */
static void hold_messages(void *argument)
{
    const struct gate *holding = argument;
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    mapring_message messages[4];
    gate_open(*holding);
    int32_t count = mapring_read(consumer, messages, 4, MAPRING_FOREVER);
    CHECK(count > 0, "reading: %s", mapring_status_name(count));
    gate_open(*holding);
    gate_pass(gate_new());
}

static void read_all(void *argument)
{
    const struct gate *attached = argument;
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, MAX, 5);
    reader.sequence = 0;
    gate_open(*attached);
    reader_finish(&reader);
    reader_close(&reader);
}

static bool publish(mapring_producer *producer, uint64_t *sequence, int64_t timeout_ns)
{
    static uint8_t bytes[MAX];
    uint64_t length = message_length(*sequence, MAX);
    payload_fill(bytes, length, *sequence);
    int32_t status = mapring_publish(producer, bytes, length, message_tag(*sequence), 0, timeout_ns);
    CHECK(status == MAPRING_OK || status == MAPRING_FULL, "publishing: %s", mapring_status_name(status));
    *sequence += status == MAPRING_OK;
    return status == MAPRING_OK;
}

static void a_killed_consumer_holds_nobody_up(void)
{
    struct gate gate = gate_new();
    mapring_producer *producer = open_producer(CAPACITY, 8);
    uint64_t sequence = 0;
    pid_t reader = spawn(read_all, &gate);
    gate_pass(gate);
    int64_t longest = 0;
    for (uint64_t round = 0; round < 12 * test_length(); round++) {
        pid_t holders[3];
        for (int i = 0; i < 3; i++) {
            holders[i] = spawn(hold_messages, &gate);
            gate_pass(gate);
        }
        publish(producer, &sequence, SECOND);
        for (int i = 0; i < 3; i++)
            gate_pass(gate);
        while (publish(producer, &sequence, round % 2 == 0 ? 0 : 50 * MS))
            ;
        for (int i = 0; i < 3; i++)
            kill(holders[i], SIGKILL);

        /* They lie there as zombies, and do not count. Without waiting it takes several calls. */
        int64_t start = now_ns();
        bool done = round % 3 == 0 ? publish(producer, &sequence, 5 * SECOND) : false;
        while (!done) {
            done = publish(producer, &sequence, 0);
            CHECK(now_ns() - start < 5 * SECOND, "the dead hold the producer up");
        }
        int64_t waited = now_ns() - start;
        longest = waited > longest ? waited : longest;
        for (int i = 0; i < 3; i++)
            join_killed(holders[i], SIGKILL);
    }
    CHECK(longest < 1300 * MS, "the dead held the producer up for %" PRId64 " ms", longest / MS);
    CHECK_STATUS(mapring_wait_consumers(producer, 1, 0), MAPRING_OK);
    CHECK_STATUS(mapring_wait_consumers(producer, 2, 150 * MS), MAPRING_TIMEOUT);
    CHECK(stat_ring().consumers == 1, "the dead still have slots");
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    join(reader);
    mapring_producer_close(producer);
}

static void kill_later(void *argument)
{
    const pid_t *victim = argument;
    uint64_t random = (uint64_t)now_ns();
    sleep_random(&random, 250000000);
    kill(*victim, SIGKILL);
}

/* One that sleeps in a call when its consumers are killed. */
static void a_waiting_producer_goes_on(void)
{
    struct gate gate = gate_new();
    mapring_producer *producer = open_producer(CAPACITY, 8);
    for (int round = 0; round < 6; round++) {
        pid_t holder = spawn(hold_messages, &gate);
        gate_pass(gate);
        uint64_t sequence = 0;
        publish(producer, &sequence, SECOND);
        gate_pass(gate);
        while (publish(producer, &sequence, 0))
            ;
        pid_t killer = spawn(kill_later, &holder);
        int64_t start = now_ns();
        if (round % 3 == 0)
            CHECK(publish(producer, &sequence, 10 * SECOND), "still full");
        else if (round % 3 == 1)
            CHECK_STATUS(mapring_drain(producer, 10 * SECOND), MAPRING_OK);
        else
            CHECK_STATUS(mapring_wait_consumers(producer, 2, 250 * MS), MAPRING_TIMEOUT);
        CHECK(now_ns() - start < 1600 * MS, "it took %" PRId64 " ms", (now_ns() - start) / MS);
        join(killer);
        join_killed(holder, SIGKILL);
    }
    mapring_producer_close(producer);
}

/* SIGSTOP is not death. */

static void publish_everything(void *argument)
{
    const uint64_t *messages = argument;
    mapring_producer *producer = open_producer(0, 0);
    for (uint64_t sequence = 0; sequence < *messages;)
        publish(producer, &sequence, MAPRING_FOREVER);
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    CHECK_STATUS(mapring_drain(producer, 20 * SECOND), MAPRING_OK);
    mapring_producer_close(producer);
}

static void a_stopped_consumer_is_waited_for(void)
{
    static uint64_t messages = 100000;
    struct gate gate = gate_new();
    mapring_producer *producer = open_producer(CAPACITY, 2);
    pid_t reader = spawn(read_all, &gate);
    gate_pass(gate);
    mapring_producer_close(producer);

    pid_t publisher = spawn(publish_everything, &messages);
    uint64_t random = 3;
    for (int round = 0; round < 3; round++) {
        sleep_random(&random, 5000000);
        stop_child(reader);
        /* In time that suffices to find a dead one ten times over the producer fills the ring, and no more. */
        int64_t end = now_ns() + SECOND;
        mapring_ring_info before = stat_ring();
        mapring_consumer_info consumer;
        do {
            mapring_ring_info info = {.struct_size = sizeof info};
            CHECK_STATUS(mapring_stat(RING, NULL, &info, &consumer, 1), 1);
            CHECK(consumer.alive == 1, "a stopped consumer counts as dead");
            CHECK(info.position - consumer.position <= CAPACITY, "the producer overtook it");
            before = info;
            sleep_random(&random, 50000000);
        } while (now_ns() < end);
        CHECK(before.ended || CAPACITY - (before.position - consumer.position) < MAX + 16,
              "the producer does not use the room there is");
        kill(reader, SIGCONT);
    }
    join(reader);
    join(publisher);
}

/* A producer that stands still is not dead either. */
static void a_stopped_producer_is_waited_for(void)
{
    static uint64_t messages = 300000;
    mapring_producer *first = open_producer(CAPACITY, 2);
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, MAX, 5);
    reader.sequence = 0;
    mapring_producer_close(first);
    CHECK_STATUS(reader_step(&reader, 20 * MS), MAPRING_NO_PRODUCER);

    pid_t publisher = spawn(publish_everything, &messages);
    while (reader.sequence < 1000) {
        int32_t status = reader_step(&reader, SECOND);
        CHECK(status >= 0 || status == MAPRING_NO_PRODUCER, "reading: %s", mapring_status_name(status));
    }
    stop_child(publisher);
    int32_t status;
    do
        status = reader_step(&reader, 400 * MS);
    while (status > 0 || reader.held_count > 0);
    CHECK_STATUS(reader_step(&reader, 400 * MS), 0);
    mapring_producer *second;
    CHECK_STATUS(mapring_producer_open(RING, NULL, &second), MAPRING_PRODUCER_EXISTS);
    kill(publisher, SIGCONT);
    reader_finish(&reader);
    CHECK(reader.sequence == messages, "%" PRIu64 " messages", reader.sequence);
    join(publisher);
    reader_close(&reader);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"a_killed_consumer_holds_nobody_up", a_killed_consumer_holds_nobody_up},
        {"a_waiting_producer_goes_on", a_waiting_producer_goes_on},
        {"a_stopped_consumer_is_waited_for", a_stopped_consumer_is_waited_for},
        {"a_stopped_producer_is_waited_for", a_stopped_producer_is_waited_for},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
