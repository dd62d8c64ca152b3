/*
 * Sleeping and waking in both directions, also under a storm of signals, and the time limits of calls that sleep.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/time.h>

#include "race.h"

#define MAX 512u

/* At least 100,000 in both directions; docs/waiting.md says how to get to millions. */
static void race_for_both(uint32_t waiting, uint64_t rounds)
{
    race_for_news(&(struct race){.rounds = rounds * test_length(), .waiting = waiting});
    race_for_room(&(struct race){.rounds = rounds * test_length(), .waiting = waiting});
}

static void about_to_sleep_adaptively(void)
{
    race_for_both(MAPRING_WAIT_ADAPTIVE, 30000);
}

static void about_to_park(void)
{
    race_for_both(MAPRING_WAIT_PARK, 70000);
}

/* It does not sleep, so nothing can be lost; but it must see. */
static void about_to_spin(void)
{
    race_for_both(MAPRING_WAIT_SPIN, 10000);
}

/* A storm of signals, which interrupt every system call. */

static volatile sig_atomic_t signals;

static void count_signal(int signal)
{
    (void)signal;
    signals++;
}

static void start_storm(void)
{
    /* Without SA_RESTART. */
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = count_signal}, NULL);
    struct itimerval often = {.it_interval.tv_usec = 300, .it_value.tv_usec = 300};
    setitimer(ITIMER_REAL, &often, NULL);
}

struct storm {
    uint64_t capacity;
    uint64_t messages;
    uint64_t publish_pause_ns;
    uint64_t read_pause_ns;
};

static void read_in_storm(void *argument)
{
    const struct storm *storm = argument;
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, MAX, (uint64_t)now_ns());
    reader.sequence = 0;
    start_storm();
    int32_t status = 0;
    while (status != MAPRING_STREAM_ENDED) {
        sleep_random(&reader.random, storm->read_pause_ns);
        status = reader_step(&reader, 10 * SECOND);
        /* Nothing but its deadline ends a wait without a message; a step that only releases does not wait. */
        CHECK(status > 0 || status == MAPRING_STREAM_ENDED || reader.held_count == 0, "reading: %s",
              mapring_status_name(status));
    }
    CHECK(reader.sequence == storm->messages, "%" PRIu64 " messages", reader.sequence);
    CHECK(signals > 10, "there was no storm");
    reader_close(&reader);
}

static void publish_in_storm(void *argument)
{
    const struct storm *storm = argument;
    mapring_producer *producer = open_producer(storm->capacity, 4);
    uint64_t random = 9;
    start_storm();
    CHECK_STATUS(mapring_wait_consumers(producer, 3, 20 * SECOND), MAPRING_OK);
    for (uint64_t sequence = 0; sequence < storm->messages; sequence++) {
        sleep_random(&random, storm->publish_pause_ns);
        publish_message(producer, sequence, MAX);
    }
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    CHECK_STATUS(mapring_drain(producer, 20 * SECOND), MAPRING_OK);
    CHECK(signals > 10, "there was no storm");
    mapring_producer_close(producer);
}

static void run_storm(struct storm storm)
{
    pid_t children[4];
    for (int i = 0; i < 3; i++)
        children[i] = spawn(read_in_storm, &storm);
    children[3] = spawn(publish_in_storm, &storm);
    for (int i = 0; i < 4; i++)
        join(children[i]);
}

static void storm_over_sleeping_consumers(void)
{
    run_storm((struct storm){
        .capacity = 1 << 16, .messages = 3000 * test_length(), .publish_pause_ns = 600000, .read_pause_ns = 0});
}

static void storm_over_blocked_producer(void)
{
    run_storm((struct storm){
        .capacity = 4096, .messages = 10000 * test_length(), .publish_pause_ns = 0, .read_pause_ns = 600000});
}

/* Time limits. */

#define LIMIT (300 * MS)

static void check_waited(const char *call, int64_t start)
{
    int64_t waited = now_ns() - start;
    CHECK(waited >= LIMIT && waited <= 3 * LIMIT, "%s waited %.1f ms instead of %.1f", call, (double)waited / 1e6,
          (double)LIMIT / 1e6);
}

/* Checks what a call returns and how long it takes. */
#define CHECK_WAITS(call, expected)                                                                                    \
    do {                                                                                                               \
        int64_t start_ = now_ns();                                                                                     \
        CHECK_STATUS(call, expected);                                                                                  \
        check_waited(#call, start_);                                                                                   \
    } while (0)

static void check_limits(void)
{
    mapring_consumer *consumer;
    mapring_consumer_options options = {.struct_size = sizeof options, .timeout_ns = LIMIT};
    CHECK_WAITS(mapring_consumer_open(RING, &options, &consumer), MAPRING_TIMEOUT);

    mapring_producer *producer = open_producer(4096, 2);
    CHECK_WAITS(mapring_wait_consumers(producer, 1, LIMIT), MAPRING_TIMEOUT);
    consumer = open_consumer(MAPRING_FROM_OLDEST);
    static uint8_t bytes[1024];
    mapring_message messages[2] = {{.data = bytes, .length = 1024}, {.data = bytes, .length = 1024}};
    void *payload;
    CHECK_WAITS(mapring_read(consumer, messages, 1, LIMIT), 0);
    CHECK_WAITS(mapring_receive(consumer, bytes, sizeof bytes, messages, 1, LIMIT), 0);
    while (mapring_publish(producer, bytes, 1024, 0, 0, 0) == MAPRING_OK)
        ;
    messages[0] = messages[1];
    CHECK_WAITS(mapring_publish(producer, bytes, 1024, 0, 0, LIMIT), MAPRING_FULL);
    CHECK_WAITS(mapring_publish_batch(producer, messages, 2, LIMIT), MAPRING_FULL);
    CHECK_WAITS(mapring_claim(producer, 1024, LIMIT, &payload), MAPRING_FULL);
    CHECK_WAITS(mapring_claim_batch(producer, messages, 2, LIMIT), MAPRING_FULL);
    CHECK_WAITS(mapring_drain(producer, LIMIT), MAPRING_TIMEOUT);

    /* Room for one of two: the limit is for both together. */
    mapring_message released;
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(mapring_read(consumer, &released, 1, 0), 1);
        CHECK_STATUS(mapring_release(consumer, 1), MAPRING_OK);
    }
    CHECK_WAITS(mapring_publish_batch(producer, messages, 2, LIMIT), 1);
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
}

static void storm_and_limits(void *unused)
{
    (void)unused;
    start_storm();
    check_limits();
    CHECK(signals > 100, "there was no storm");
}

static void limits_in_quiet(void)
{
    check_limits();
}

static void limits_in_storm(void)
{
    join(spawn(storm_and_limits, NULL));
}

/* Wakeups that bring nothing do not prolong a wait either. */
static void ring_for_nothing(void *argument)
{
    const struct gate *ringing = argument;
    for (;;) {
        mapring_consumer_close(open_consumer(MAPRING_FROM_NEWEST));
        gate_open(*ringing);
    }
}

static void limits_and_idle_wakeups(void)
{
    struct gate ringing = gate_new();
    mapring_producer *producer = open_producer(4096, 4);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    static const uint8_t bytes[1024];
    while (mapring_publish(producer, bytes, 1024, 0, 0, 0) == MAPRING_OK)
        ;
    pid_t child = spawn(ring_for_nothing, &ringing);
    for (int i = 0; i < 3; i++) {
        gate_pass(ringing);
        CHECK_WAITS(mapring_publish(producer, bytes, 1024, 0, 0, LIMIT), MAPRING_FULL);
        CHECK_WAITS(mapring_wait_consumers(producer, 4, LIMIT), MAPRING_TIMEOUT);
    }
    kill_child(child);
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"about_to_sleep_adaptively", about_to_sleep_adaptively},
        {"about_to_park", about_to_park},
        {"about_to_spin", about_to_spin},
        {"storm_over_sleeping_consumers", storm_over_sleeping_consumers},
        {"storm_over_blocked_producer", storm_over_blocked_producer},
        {"limits_in_quiet", limits_in_quiet},
        {"limits_in_storm", limits_in_storm},
        {"limits_and_idle_wakeups", limits_and_idle_wakeups},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 120);
}
