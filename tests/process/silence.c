/*
 * What waiting costs: next to nothing while nothing happens, and no latency when much does.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "atomic.h"
#include "traffic.h"

#define SILENCE (10 * SECOND)
/* One per cent of a processor. */
#define SPENT_MAX (SILENCE / 100)

static int64_t processor_time(void)
{
    struct timespec spent;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (int64_t)spent.tv_sec * SECOND + spent.tv_nsec;
}

static void check_spent(const char *what, int64_t before)
{
    int64_t spent = processor_time() - before;
    CHECK(spent < SPENT_MAX, "%s spent %.1f ms of processor time in %.0f s", what, (double)spent / 1e6,
          (double)SILENCE / 1e9);
}

static void read_in_silence(void *unused)
{
    (void)unused;
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_NEWEST);
    mapring_message message;
    int64_t before = processor_time();
    CHECK_STATUS(mapring_read(consumer, &message, 1, SILENCE), 0);
    check_spent("a consumer", before);
    mapring_consumer_close(consumer);
}

static void watch_in_silence(void *unused)
{
    (void)unused;
    mapring_consumer_options options = {
        .struct_size = sizeof options, .kind = MAPRING_OBSERVER, .timeout_ns = 20 * SECOND};
    mapring_consumer *consumer;
    mapring_message message;
    CHECK_STATUS(mapring_consumer_open(RING, &options, &consumer), MAPRING_OK);
    int64_t before = processor_time();
    CHECK_STATUS(mapring_read(consumer, &message, 1, SILENCE), 0);
    check_spent("an observer", before);
    mapring_consumer_close(consumer);
}

/* An event loop, and a wait set with a descriptor of its user's: what is called for nothing costs, too. */
static void poll_in_silence(void *unused)
{
    (void)unused;
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_NEWEST);
    mapring_message message;
    int64_t descriptor;
    CHECK(mapring_consumer_descriptor(consumer, MAPRING_DESCRIPTOR_ANY, &descriptor) > 0, "no descriptor");
    int64_t before = processor_time();
    for (int64_t now = now_ns(), end = now + SILENCE; now < end; now = now_ns()) {
        struct pollfd poller = {.fd = (int)descriptor, .events = POLLIN};
        poll(&poller, 1, (int)((end - now) / MS) + 1);
        CHECK_STATUS(mapring_read(consumer, &message, 1, 0), 0);
    }
    check_spent("an event loop", before);
    mapring_consumer_close(consumer);
}

static void wait_on_a_set_in_silence(void *unused)
{
    (void)unused;
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_NEWEST);
    mapring_wait_set *set;
    mapring_ready ready;
    int ends[2];
    CHECK(pipe(ends) == 0, "no pipe");
    CHECK_STATUS(mapring_wait_set_open(&set), MAPRING_OK);
    CHECK_STATUS(mapring_wait_set_add_consumer(set, consumer, 1), MAPRING_OK);
    CHECK_STATUS(mapring_wait_set_add_descriptor(set, ends[0], MAPRING_EVENT_READABLE, 2), MAPRING_OK);
    int64_t before = processor_time();
    CHECK_STATUS(mapring_wait_set_wait(set, &ready, 1, SILENCE), 0);
    check_spent("a wait set", before);
    mapring_wait_set_close(set);
    mapring_consumer_close(consumer);
    close(ends[0]);
    close(ends[1]);
}

/* Four consumers, an observer, an event loop and a wait set; and a producer that waits for a consumer more. */
static void consumers_in_silence(void)
{
    static void (*const ways[])(void *) = {read_in_silence,  read_in_silence, read_in_silence,         read_in_silence,
                                           watch_in_silence, poll_in_silence, wait_on_a_set_in_silence};
    enum { WAYS = sizeof ways / sizeof ways[0] };
    pid_t children[WAYS];
    mapring_producer *producer = open_producer(1 << 16, WAYS);
    for (int i = 0; i < WAYS; i++)
        children[i] = spawn(ways[i], NULL);
    int64_t before = processor_time();
    CHECK_STATUS(mapring_wait_consumers(producer, WAYS, SILENCE), MAPRING_TIMEOUT);
    check_spent("a producer that waits for consumers", before);
    for (int i = 0; i < WAYS; i++)
        join(children[i]);
    mapring_producer_close(producer);
}

static void producer_without_room(void)
{
    static const uint8_t bytes[512];
    mapring_producer *producer = open_producer(4096, 1);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    while (mapring_publish(producer, bytes, sizeof bytes, 0, 0, 0) == MAPRING_OK)
        ;
    int64_t before = processor_time();
    CHECK_STATUS(mapring_publish(producer, bytes, sizeof bytes, 0, 0, SILENCE), MAPRING_FULL);
    check_spent("a producer without room", before);
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
}

/* Under load nobody gets to sleep, so nobody needs to be woken: next to no message costs a system call. (Who sleeps at
 * once is woken for every fourth of these.) */

#define MESSAGES 20000u
#define ATTEMPTS 5
#define WAITED_MAX (5 * MS)

static void read_under_load(void *argument)
{
    shared64 *waited = argument;
    int64_t before = waited_for_processor();
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    mapring_message messages[64];
    int32_t count;
    while ((count = mapring_read(consumer, messages, 64, 10 * SECOND)) > 0)
        CHECK_STATUS(mapring_release(consumer, (uint32_t)count), MAPRING_OK);
    CHECK_STATUS(count, MAPRING_STREAM_ENDED);
    store64_relaxed(waited, (uint64_t)(waited_for_processor() - before));
    mapring_consumer_close(consumer);
}

static void sleeps_under_load(void)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        skip("two processes that are to run at the same time need two processors");
    shared64 *waited = shared_memory(sizeof *waited);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        mapring_producer *producer = open_producer(1 << 20, 1);
        pid_t child = spawn(read_under_load, waited);
        CHECK_STATUS(mapring_wait_consumers(producer, 1, 20 * SECOND), MAPRING_OK);
        uint64_t before = stat_ring().wakes;
        int64_t waited_before = waited_for_processor();
        for (uint64_t i = 0; i < MESSAGES; i++) {
            CHECK_STATUS(mapring_publish(producer, "12345678", 8, 0, 0, 20 * SECOND), MAPRING_OK);
            spin_ns(5000);
        }
        int64_t own = waited_for_processor() - waited_before;
        uint64_t wakes = stat_ring().wakes - before;
        CHECK_STATUS(mapring_end(producer), MAPRING_OK);
        join(child);
        mapring_producer_close(producer);
        printf("%" PRIu64 " of %u messages woke somebody\n", wakes, MESSAGES);
        if (wakes <= MESSAGES / 20)
            return;
        /* On a machine that is busy with something else it says nothing. */
        CHECK(own > WAITED_MAX || (int64_t)load64_relaxed(waited) > WAITED_MAX, "%" PRIu64 " messages woke somebody",
              wakes);
    }
    skip("the machine was busy all the time");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"consumers_in_silence", consumers_in_silence},
        {"producer_without_room", producer_without_room},
        {"sleeps_under_load", sleeps_under_load},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
