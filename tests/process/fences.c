/*
 * Where membarrier(2) is refused, to one side or to both: nothing else changes, save the mode of the fences.
 */
#include <fcntl.h>
#include <inttypes.h>
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

static void give_up(void *gates)
{
    struct gate *start = gates;
    char name[256];
    snprintf(name, sizeof name, "%s/%s", getenv("MAPRING_DIR"), RING);
    refuse(SYS_membarrier);
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 8, .rlim_max = RLIM_INFINITY}) == 0, "no limit");
    mapring_producer_options options = {.struct_size = sizeof options, .file = case_file(), .timeout_ns = 10 * SECOND};
    for (int round = 0; round < GIVEN_UP_ROUNDS; round++) {
        mapring_producer *producer;
        gate_pass(*start);
        unlink(name);
        CHECK_STATUS(mapring_producer_open(RING, &options, &producer), MAPRING_NO_SPACE);
    }
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

static void a_successor_that_gives_up(void)
{
    struct gate start = gate_new();
    mapring_producer *producer;
    mapring_producer_options options = {.struct_size = sizeof options, .file = case_file(), .capacity = 4096};
    CHECK_STATUS(mapring_producer_open(RING, &options, &producer), 0);
    if (stat_ring().fence != MAPRING_FENCE_ASYMMETRIC)
        skip("no heavy fences here");
    pid_t child = spawn(give_up, &start);
    for (int round = 0; round < GIVEN_UP_ROUNDS; round++) {
        gate_open(start);
        CHECK_STATUS(mapring_handover(producer, 30 * MS), MAPRING_TIMEOUT);
        mapring_ring_info info = stat_file();
        CHECK(info.epoch == 1 && info.producer_pid == (uint32_t)getpid() && !info.ended, "epoch %" PRIu64, info.epoch);
        CHECK(info.fence == MAPRING_FENCE_ASYMMETRIC, "the mode of the other is left");
        CHECK(promised() == 0, "the promise of the other is left");
        publish_message(producer, (uint64_t)round, 64);
    }
    join(child);
    CHECK(stat_file().messages == GIVEN_UP_ROUNDS, "%" PRIu64 " messages", stat_file().messages);
    mapring_producer_close(producer);
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
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 120);
}
