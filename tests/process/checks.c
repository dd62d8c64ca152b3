/*
 * Looking for damage in rings in which consumers come and go all the time: there is none, and mapring_check() says so.
 */
#include <inttypes.h>

#include "atomic.h"
#include "traffic.h"

#define CAPACITY 4096u
#define LENGTH 1000u
#define CHECKS 20000u
#define CHECKING (2 * SECOND)

static struct {
    shared64 stop;
    shared64 rounds;
} * shared;

static mapring_producer *open_that_does_not_wait(void)
{
    mapring_producer *producer;
    mapring_producer_options options = {
        .struct_size = sizeof options, .capacity = CAPACITY, .max_consumers = 4, .slow_policy = MAPRING_SLOW_EVICT};
    CHECK_STATUS(mapring_producer_open(RING, &options, &producer), MAPRING_OK);
    return producer;
}

/* More than the ring holds. */
static void publish_round(mapring_producer *producer)
{
    static const uint8_t bytes[LENGTH];
    for (int i = 0; i < 5; i++)
        CHECK_STATUS(mapring_publish(producer, bytes, LENGTH, 0, 0, 0), MAPRING_OK);
}

static bool goes_on(void)
{
    add64(&shared->rounds, 1);
    return load64_relaxed(&shared->stop) == 0;
}

static mapring_consumer *open_as(mapring_consumer_options options)
{
    mapring_consumer *consumer;
    options.struct_size = sizeof options;
    int32_t status = mapring_consumer_open(RING, &options, &consumer);
    CHECK(status >= 0, "joining: %s", mapring_status_name(status));
    return consumer;
}

/* Let go in every round, its place overwritten. */
static void rejoin(void *ready)
{
    mapring_producer *producer = open_that_does_not_wait();
    mapring_consumer *consumer = open_as((mapring_consumer_options){0});
    gate_open(*(struct gate *)ready);
    while (goes_on()) {
        mapring_message message;
        publish_round(producer);
        CHECK_STATUS(mapring_read(consumer, &message, 1, 0), MAPRING_EVICTED);
        CHECK_STATUS(mapring_rejoin(consumer), MAPRING_OK);
    }
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
}

/* The same, but it has left meanwhile. */
static void come_back(void *ready)
{
    mapring_producer *producer = open_that_does_not_wait();
    gate_open(*(struct gate *)ready);
    while (goes_on()) {
        mapring_consumer_close(open_as((mapring_consumer_options){.own_name = "n"}));
        publish_round(producer);
    }
    mapring_producer_close(producer);
}

/* Each where the last one's mark is overwritten. */
static void make_groups(void *ready)
{
    mapring_producer *producer = open_that_does_not_wait();
    gate_open(*(struct gate *)ready);
    uint64_t random = 5;
    while (goes_on()) {
        mapring_consumer_options options = {
            .kind = MAPRING_MEMBER, .group = "g", .start = random_next(&random) % 2 ? MAPRING_FROM_NEWEST : 0};
        mapring_consumer *member = open_as(options);
        mapring_message message;
        if (options.start == 0 && load64_relaxed(&shared->rounds) > 2) {
            CHECK_STATUS(mapring_read(member, &message, 1, 0), 1);
            CHECK_STATUS(mapring_release(member, 1), MAPRING_OK);
        }
        mapring_consumer_close(member);
        CHECK_STATUS(mapring_forget(RING, "g"), MAPRING_OK);
        publish_round(producer);
    }
    mapring_producer_close(producer);
}

static void check_while(void (*busy)(void *ready))
{
    shared = shared_memory(sizeof *shared);
    struct gate ready = gate_new();
    pid_t child = spawn(busy, &ready);
    gate_pass(ready);
    int64_t end = now_ns() + CHECKING * (int64_t)test_length();
    uint64_t checked = 0, overtaken = 0;
    while (now_ns() < end && checked < CHECKS * test_length()) {
        mapring_check_report report = {.struct_size = sizeof report};
        int32_t status = mapring_check(RING, NULL, &report);
        overtaken += status == MAPRING_BUSY;
        CHECK(status == MAPRING_OK || status == MAPRING_BUSY, "%s", mapring_status_name(status));
        CHECK(status != MAPRING_OK || report.problems == 0,
              "check %" PRIu64 " finds %u problems, the first at %" PRIu64
              ": %u records, %u of the index, %u cursors, %u groups, %u limits",
              checked, report.problems, report.problem_position, report.bad_records, report.bad_index,
              report.bad_cursors, report.bad_groups, report.bad_limits);
        checked++;
    }
    store64_relaxed(&shared->stop, 1);
    join(child);
    uint64_t rounds = load64_relaxed(&shared->rounds);
    CHECK(checked > 100 && rounds > 100 && overtaken < checked / 2,
          "%" PRIu64 " checks, %" PRIu64 " overtaken, %" PRIu64 " rounds", checked, overtaken, rounds);
}

static void while_one_rejoins(void)
{
    check_while(rejoin);
}

static void while_one_comes_back(void)
{
    check_while(come_back);
}

static void while_groups_are_made(void)
{
    check_while(make_groups);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"while_one_rejoins", while_one_rejoins},
        {"while_one_comes_back", while_one_comes_back},
        {"while_groups_are_made", while_groups_are_made},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
