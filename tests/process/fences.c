/*
 * Where membarrier(2) is refused, to one side or to both: nothing else changes, save the mode of the fences.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "layout.h"
#include "race.h"
#include "refuse.h"

#define ROUNDS 5000u

static void race_all(bool producer_refused, bool consumer_refused)
{
    static const uint32_t ways[] = {MAPRING_WAIT_ADAPTIVE, MAPRING_WAIT_PARK};
    for (int i = 0; i < 2; i++) {
        struct race race = {.rounds = ROUNDS * test_length(),
                            .waiting = ways[i],
                            .producer_refused = producer_refused,
                            .consumer_refused = consumer_refused};
        race_for_news(&race);
        race_for_room(&race);
    }
}

static void all_allowed(void)
{
    race_all(false, false);
}

static void consumer_refused(void)
{
    race_all(false, true);
}

static void producer_refused(void)
{
    race_all(true, false);
}

static void both_refused(void)
{
    race_all(true, true);
}

/* Of several consumers one asks for fences, when it first sleeps; a successor of the producer keeps to it. */

static void read_to_the_end(void *argument)
{
    const bool *refused = argument;
    if (*refused)
        refuse(SYS_membarrier);
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, 512, 3);
    reader.sequence = 0;
    reader_finish(&reader);
    CHECK(reader.sequence == 40001, "%" PRIu64 " messages", reader.sequence);
    reader_close(&reader);
}

static void one_of_three_refused(void)
{
    bool refused[] = {false, true, false};
    pid_t children[3];
    mapring_producer *producer = open_producer(1 << 14, 3);
    CHECK(stat_ring().fence == MAPRING_FENCE_ASYMMETRIC, "fence %" PRIu32, stat_ring().fence);
    for (int i = 0; i < 3; i++)
        children[i] = spawn(read_to_the_end, &refused[i]);
    CHECK_STATUS(mapring_wait_consumers(producer, 3, 10 * SECOND), MAPRING_OK);
    /* Not one of them sleeps for sure before the stream pauses. */
    uint64_t sequence = 0;
    uint64_t random = 5;
    int64_t end = now_ns() + 20 * SECOND;
    while (stat_ring().fence == MAPRING_FENCE_ASYMMETRIC) {
        CHECK(now_ns() < end && sequence < 20000, "the producer does not take to fences");
        sleep_random(&random, 2000000);
        publish_message(producer, sequence++, 512);
    }
    for (; sequence < 20000; sequence++)
        publish_message(producer, sequence, 512);
    mapring_producer_close(producer);

    producer = open_producer(0, 0);
    CHECK(stat_ring().epoch == 2, "epoch %" PRIu64, stat_ring().epoch);
    CHECK(stat_ring().fence == MAPRING_FENCE_FULL, "the successor does not fence");
    for (; sequence < 40001; sequence++)
        publish_message(producer, sequence, 512);
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    for (int i = 0; i < 3; i++)
        join(children[i]);
    mapring_producer_close(producer);
}

/* A takeover that is given up at the last moment. The stream lies in a file, its name was removed by somebody, and who
 * would continue it, with fences in each publish, cannot make the name again. */

#define GIVEN_UP_ROUNDS 20

/* What the two tell each other. */
static struct {
    struct gate start;
    struct gate has_lock; /* the successor, which then waits */
    struct gate go_on;
    struct gate gave_up;
} gates;

/* The file of the name cannot be made as long as it must be; the write fails when this returns. */
static void hold_lock(int signal)
{
    (void)signal;
    gate_open(gates.has_lock);
    gate_pass(gates.go_on);
}

static void limit_files(rlim_t bytes)
{
    CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = bytes, .rlim_max = RLIM_INFINITY}) == 0, "no limit");
}

static void come_once(int32_t expected)
{
    char name[256];
    snprintf(name, sizeof name, "%s/%s", getenv("MAPRING_DIR"), RING);
    mapring_producer_options options = {.struct_size = sizeof options, .file = case_file(), .timeout_ns = 10 * SECOND};
    mapring_producer *producer;
    gate_pass(gates.start);
    unlink(name);
    CHECK_STATUS(mapring_producer_open(RING, &options, &producer), expected);
    gate_open(gates.gave_up);
    if (expected < 0)
        return;
    gate_pass(gates.go_on);
    mapring_producer_close(producer);
}

static void give_up(void *unused)
{
    (void)unused;
    refuse(SYS_membarrier);
    limit_files(0);
    for (int round = 0; round < GIVEN_UP_ROUNDS; round++)
        come_once(MAPRING_NO_SPACE);
}

/* And comes at last. */
static void give_up_and_come(void *unused)
{
    give_up(unused);
    limit_files(RLIM_INFINITY);
    come_once(1);
}

static mapring_ring_info stat_file(void)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    CHECK_STATUS(mapring_stat(NULL, case_file(), &info, NULL, 0), 0);
    return info;
}

/* What sleepers of the ring in the file are promised. */
static uint64_t promised(void)
{
    struct identity identity;
    uint64_t word = 2;
    int fd = open(case_file(), O_RDONLY | O_CLOEXEC);
    bool got =
        fd >= 0 && pread(fd, &identity, sizeof identity, 0) == (ssize_t)sizeof identity &&
        pread(fd, &word, sizeof word,
              (off_t)(identity.readers_offset + offsetof(struct readers, news) + offsetof(struct bell, fencing))) ==
            (ssize_t)sizeof word;
    CHECK(got, "no file");
    close(fd);
    return word;
}

/* The producer, and who waits for the successor in another thread meanwhile. */
static mapring_producer *predecessor;

static pid_t send_for(void (*successor)(void *unused))
{
    mapring_producer_options options = {.struct_size = sizeof options, .file = case_file(), .capacity = 4096};
    CHECK_STATUS(mapring_producer_open(RING, &options, &predecessor), 0);
    if (stat_ring().fence != MAPRING_FENCE_ASYMMETRIC)
        skip("no heavy fences here");
    gates.start = gate_new();
    gates.has_lock = gate_new();
    gates.go_on = gate_new();
    gates.gave_up = gate_new();
    signal(SIGXFSZ, hold_lock);
    return spawn(successor, NULL);
}

/* The stream is still this one's, as it was. */
static void check_that_it_goes_on(uint64_t messages)
{
    mapring_ring_info info = stat_file();
    CHECK(info.epoch == 1 && info.producer_pid == (uint32_t)getpid() && !info.ended, "epoch %" PRIu64, info.epoch);
    CHECK(info.fence == MAPRING_FENCE_ASYMMETRIC, "the mode of the other is left");
    CHECK(promised() == 0, "the promise of the other is left");
    publish_message(predecessor, messages, 64);
    CHECK(stat_file().messages == messages + 1, "%" PRIu64 " messages", stat_file().messages);
}

static void *cancel_when_it_gave_up(void *unused)
{
    (void)unused;
    gate_pass(gates.has_lock);
    gate_open(gates.go_on);
    gate_pass(gates.gave_up);
    CHECK_STATUS(mapring_producer_cancel(predecessor), MAPRING_OK);
    return NULL;
}

static void *cancel_before_it_gives_up(void *unused)
{
    (void)unused;
    gate_pass(gates.has_lock);
    CHECK_STATUS(mapring_producer_cancel(predecessor), MAPRING_OK);
    spin_ns(20 * MS);
    gate_open(gates.go_on);
    gate_pass(gates.gave_up);
    return NULL;
}

static void hand_over_while(void *(*other)(void *unused), int32_t expected)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, other, NULL) == 0, "no thread");
    gate_open(gates.start);
    CHECK_STATUS(mapring_handover(predecessor, 30 * SECOND), expected);
    pthread_join(thread, NULL);
}

static void a_successor_that_gives_up(void)
{
    pid_t child = send_for(give_up);
    for (uint64_t round = 0; round < GIVEN_UP_ROUNDS; round++) {
        hand_over_while(round % 2 == 0 ? cancel_when_it_gave_up : cancel_before_it_gives_up, MAPRING_CANCELLED);
        check_that_it_goes_on(round);
    }
    join(child);
    mapring_producer_close(predecessor);
    unlink(case_file());
}

/* One that stands still with the lock: whose the stream is cannot be said before it goes on. */

static void *cancel_alone(void *unused)
{
    (void)unused;
    gate_pass(gates.has_lock);
    CHECK_STATUS(mapring_producer_cancel(predecessor), MAPRING_OK);
    return NULL;
}

static void *let_it_come(void *unused)
{
    (void)unused;
    gate_pass(gates.gave_up);
    return NULL;
}

static void a_successor_that_stands_still(void)
{
    pid_t child = send_for(give_up_and_come);
    for (uint64_t round = 0; round < GIVEN_UP_ROUNDS; round++) {
        if (round < 2) {
            hand_over_while(cancel_alone, MAPRING_BUSY);
            CHECK_STATUS(mapring_publish(predecessor, "", 0, 0, 0, 0), MAPRING_HANDED_OVER);
            CHECK_STATUS(mapring_end(predecessor), MAPRING_HANDED_OVER);
            CHECK_STATUS(mapring_handover(predecessor, 0), MAPRING_BUSY);
            gate_open(gates.go_on);
            gate_pass(gates.gave_up);
            CHECK_STATUS(mapring_handover(predecessor, 0), MAPRING_TIMEOUT);
        } else {
            hand_over_while(cancel_when_it_gave_up, MAPRING_CANCELLED);
        }
        check_that_it_goes_on(round);
    }
    hand_over_while(let_it_come, MAPRING_OK);
    CHECK_STATUS(mapring_handover(predecessor, 0), MAPRING_HANDED_OVER);
    mapring_ring_info info = stat_file();
    CHECK(info.epoch == 2 && info.producer_pid == (uint32_t)child, "epoch %" PRIu64, info.epoch);
    gate_open(gates.go_on);
    join(child);
    mapring_producer_close(predecessor);
    unlink(case_file());
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"all_allowed", all_allowed},
        {"consumer_refused", consumer_refused},
        {"producer_refused", producer_refused},
        {"both_refused", both_refused},
        {"one_of_three_refused", one_of_three_refused},
        {"a_successor_that_gives_up", a_successor_that_gives_up},
        {"a_successor_that_stands_still", a_successor_that_stands_still},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 120);
}
