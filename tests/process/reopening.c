/*
 * Every process dead, the ring alive: a ring in a file whose processes were all killed at once is opened again with its
 * messages, its named places and its groups.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "atomic.h"
#include "traffic.h"

#define CAPACITY 32768u
#define MAX 512u
#define MESSAGES_MAX ((uint64_t)1 << 28)

#define DELIVERED 1u
#define RELEASING 2u

static struct {
    shared64 committed;
    shared64 released[2];  /* by the named consumers, for certain, */
    shared64 releasing[2]; /* and perhaps */
    shared64 running;      /* processes that work */
} * shared;

static uint8_t *fates;

static mapring_producer *open_in_file(int32_t expected)
{
    mapring_producer_options options = {
        .struct_size = sizeof options, .capacity = CAPACITY, .max_consumers = 8, .file = case_file()};
    mapring_producer *producer;
    CHECK_STATUS(mapring_producer_open(RING, &options, &producer), expected);
    return producer;
}

static void produce(void *unused)
{
    (void)unused;
    mapring_producer *producer = open_in_file(1);
    uint64_t sequence = stat_ring().messages, committed = load64_acquire(&shared->committed);
    CHECK(sequence == committed || sequence == committed + 1, "%" PRIu64 " messages of %" PRIu64, sequence, committed);
    add64(&shared->running, 1);
    for (;;) {
        CHECK(sequence < MESSAGES_MAX, "too many messages");
        store64_release(&shared->committed, sequence);
        publish_message(producer, sequence++, MAX);
    }
}

static mapring_consumer *open_named(uint32_t number, int32_t expected)
{
    char name[8] = {'n', (char)('0' + number)};
    mapring_consumer_options options = {.struct_size = sizeof options, .own_name = name, .timeout_ns = 10 * SECOND};
    mapring_consumer *consumer;
    CHECK_STATUS(mapring_consumer_open(RING, &options, &consumer), expected);
    return consumer;
}

static mapring_consumer *open_member(int32_t expected)
{
    mapring_consumer_options options = {
        .struct_size = sizeof options, .kind = MAPRING_MEMBER, .group = "g", .timeout_ns = 10 * SECOND};
    mapring_consumer *consumer;
    CHECK_STATUS(mapring_consumer_open(RING, &options, &consumer), expected);
    return consumer;
}

static uint64_t sequence_of(mapring_consumer *consumer)
{
    mapring_consumer_progress progress = {.struct_size = sizeof progress};
    CHECK_STATUS(mapring_progress(consumer, &progress), MAPRING_OK);
    CHECK(progress.lost_messages == 0, "lost %" PRIu64, progress.lost_messages);
    return progress.sequence;
}

/* Reads what there is, or for ever. */
static void read_named(mapring_consumer *consumer, uint32_t number, bool forever)
{
    uint64_t next = sequence_of(consumer);
    uint64_t released = load64_acquire(&shared->released[number]),
             releasing = load64_acquire(&shared->releasing[number]);
    CHECK(next >= released && next <= releasing, "%" PRIu64 " instead of %" PRIu64 " to %" PRIu64, next, released,
          releasing);
    mapring_message message;
    int32_t status;
    while ((status = mapring_read(consumer, &message, 1, forever ? 100 * MS : 0)) == 1 || forever) {
        if (status != 1)
            continue;
        check_message(&message, next, MAX);
        store64_release(&shared->releasing[number], ++next);
        CHECK_STATUS(mapring_release(consumer, 1), MAPRING_OK);
        store64_release(&shared->released[number], next);
    }
    CHECK(status == 0 || status == MAPRING_NO_PRODUCER, "reading: %s", mapring_status_name(status));
}

static void come_back(void *argument)
{
    const uint32_t *number = argument;
    mapring_consumer *consumer = open_named(*number, MAPRING_RESUMED);
    add64(&shared->running, 1);
    read_named(consumer, *number, true);
}

static void read_as_member(mapring_consumer *consumer, bool forever)
{
    mapring_message messages[4];
    int32_t count;
    while ((count = mapring_read(consumer, messages, 4, forever ? 100 * MS : 0)) > 0 || forever) {
        for (int32_t i = 0; i < count; i++) {
            uint64_t sequence = messages[i].sequence;
            check_message(&messages[i], sequence, MAX);
            uint8_t fate = __atomic_fetch_or(&fates[sequence], DELIVERED, __ATOMIC_RELAXED);
            CHECK(fate == 0 || messages[i].flags == MAPRING_REDELIVERED, "message %" PRIu64 " comes again, unmarked",
                  sequence);
        }
        for (int32_t i = 0; i < count; i++) {
            __atomic_fetch_or(&fates[messages[i].sequence], RELEASING, __ATOMIC_RELAXED);
            CHECK_STATUS(mapring_release(consumer, 1), MAPRING_OK);
        }
    }
}

static void be_a_member(void *unused)
{
    (void)unused;
    mapring_consumer *consumer = open_member(MAPRING_RESUMED);
    add64(&shared->running, 1);
    read_as_member(consumer, true);
}

#define ACTORS 5

static void all_are_killed_at_once(void)
{
    static uint32_t numbers[2] = {0, 1};
    shared = shared_memory(sizeof *shared);
    fates = shared_memory(MESSAGES_MAX);
    mapring_producer *first = open_in_file(0);
    for (uint32_t i = 0; i < 2; i++)
        mapring_consumer_close(open_named(i, MAPRING_OK));
    mapring_consumer_close(open_member(MAPRING_OK));
    mapring_producer_close(first);

    uint64_t random = (uint64_t)now_ns(), rounds = 30 * test_length();
    for (uint64_t round = 0; round < rounds; round++) {
        store64_relaxed(&shared->running, 0);
        pid_t actors[ACTORS];
        actors[0] = spawn(produce, NULL);
        actors[1] = spawn(come_back, &numbers[0]);
        actors[2] = spawn(come_back, &numbers[1]);
        actors[3] = spawn(be_a_member, NULL);
        actors[4] = spawn(be_a_member, NULL);
        int64_t start = now_ns();
        /* Sometimes before all of them are there. */
        while (round % 4 != 0 && load64_acquire(&shared->running) < ACTORS)
            CHECK(now_ns() - start < 10 * SECOND, "they do not come back");
        sleep_random(&random, 20000000);
        for (int i = 0; i < ACTORS; i++)
            kill(actors[(i + (int)(round % ACTORS)) % ACTORS], SIGKILL);
        for (int i = 0; i < ACTORS; i++)
            join_killed(actors[i], SIGKILL);
        /* Nobody is left, and so the name goes; the file says how it was. */
        mapring_ring_info info = {.struct_size = sizeof info};
        int32_t status = mapring_stat(NULL, case_file(), &info, NULL, 0);
        CHECK(status == 0, "stat of the file: %s", mapring_status_name(status));
        uint64_t committed = load64_acquire(&shared->committed);
        CHECK(info.messages == committed || info.messages == committed + 1, "%" PRIu64 " messages of %" PRIu64,
              info.messages, committed);
        CHECK(info.producer_alive == 0, "a dead producer counts as alive");
    }

    mapring_producer *last = open_in_file(1);
    uint64_t messages = stat_ring().messages;
    for (uint32_t i = 0; i < 2; i++) {
        mapring_consumer *consumer = open_named(i, MAPRING_RESUMED);
        read_named(consumer, i, false);
        CHECK(load64_acquire(&shared->released[i]) == messages, "it ends at %" PRIu64,
              load64_acquire(&shared->released[i]));
        mapring_consumer_close(consumer);
        char name[8] = {'n', (char)('0' + i)};
        CHECK_STATUS(mapring_forget(RING, name), MAPRING_OK);
    }
    mapring_consumer *member = open_member(MAPRING_RESUMED);
    read_as_member(member, false);
    mapring_consumer_close(member);
    for (uint64_t sequence = 0; sequence < messages; sequence++)
        CHECK(fates[sequence] == (DELIVERED | RELEASING), "message %" PRIu64 " did not reach the group", sequence);
    CHECK_STATUS(mapring_forget(RING, "g"), MAPRING_OK);
    CHECK_STATUS(mapring_wait_consumers(last, 1, 0), MAPRING_TIMEOUT);
    CHECK(stat_ring().consumers == 0 && stat_ring().groups == 0, "%u consumers are left", stat_ring().consumers);
    mapring_producer_close(last);
    unlink(case_file());
    printf("%" PRIu64 " times, %" PRIu64 " messages\n", rounds, messages);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {{"all_are_killed_at_once", all_are_killed_at_once}};
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
