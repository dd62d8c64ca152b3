/*
 * Where membarrier(2) is refused, to one side or to both: nothing else changes, save the mode of the fences.
 */
#include <inttypes.h>

#include <sys/syscall.h>

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

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"all_allowed", all_allowed},
        {"consumer_refused", consumer_refused},
        {"producer_refused", producer_refused},
        {"both_refused", both_refused},
        {"one_of_three_refused", one_of_three_refused},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 120);
}
