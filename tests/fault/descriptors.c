/*
 * Too few descriptors: for each call that opens something, with none left, one, two, ... until it succeeds.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "calls.h"

static void limit_descriptors(rlim_t count)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = count;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit: %s", strerror(errno));
}

static void starve(const struct call *call)
{
    call->prepare();
    struct possessions before = possessions_now();
    struct rlimit usual;
    getrlimit(RLIMIT_NOFILE, &usual);
    int32_t status = MAPRING_NO_DESCRIPTORS;
    int lowest = dup(0);
    close(lowest);
    int failures = -1;
    for (rlim_t count = 0; status < 0; count++) {
        CHECK(count < usual.rlim_cur, "%s: never succeeds", call->name);
        CHECK_STATUS(status, MAPRING_NO_DESCRIPTORS);
        limit_descriptors(count);
        status = call->make();
        limit_descriptors(usual.rlim_cur);
        check_possessions(before, call->name);
        failures++;
    }
    CHECK(failures > lowest, "%s: it did not need any", call->name);
    call->clean();
}

static void every_call(void)
{
    for (size_t i = 0; i < call_count; i++)
        starve(&calls[i]);
}

/* A ring that is open needs none. */
static void an_open_ring(void)
{
    mapring_producer *producer = open_producer(4096, 2);
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, 512, 1);
    reader.sequence = 0;
    limit_descriptors(0);
    for (uint64_t sequence = 0; sequence < 1000; sequence++) {
        publish_message(producer, sequence, 512);
        while (reader.sequence <= sequence)
            CHECK(reader_step(&reader, SECOND) >= 0, "reading fails");
    }
    while (mapring_publish(producer, "x", 1, 0, 0, 5 * MS) == MAPRING_OK)
        ;
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    reader_close(&reader);
    mapring_producer_close(producer);
    limit_descriptors(64);
}

/* Refused, then given more and more, until it works. */
static void get_some_later(int32_t (*call)(void *context), void *context)
{
    int32_t status = MAPRING_NO_DESCRIPTORS;
    for (rlim_t count = 0; status < 0; count++) {
        CHECK_STATUS(status, MAPRING_NO_DESCRIPTORS);
        limit_descriptors(count);
        status = call(context);
    }
    limit_descriptors(64);
}

static int64_t descriptor;

static int32_t get_descriptor(void *consumer)
{
    return mapring_consumer_descriptor(consumer, MAPRING_DESCRIPTOR_WAKE, &descriptor);
}

/* The same consumer goes on; and when none is left again, to those who would make it ready either, it looks by itself.
 */
static void a_descriptor_later(void)
{
    mapring_producer *producer = open_producer(4096, 2);
    struct possessions before = possessions_now();
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    get_some_later(get_descriptor, consumer);
    for (uint64_t sequence = 0; sequence < 3; sequence++) {
        mapring_message message;
        limit_descriptors(0);
        CHECK_STATUS(mapring_read(consumer, &message, 1, 0), 0);
        publish_message(producer, sequence, 64);
        limit_descriptors(64);
        struct pollfd poller = {.fd = (int)descriptor, .events = POLLIN};
        CHECK(poll(&poller, 1, 5000) == 1, "message %d is not heard of", (int)sequence);
        limit_descriptors(0);
        CHECK_STATUS(mapring_read(consumer, &message, 1, 0), 1);
        CHECK_STATUS(mapring_release(consumer, 1), MAPRING_OK);
        limit_descriptors(64);
    }
    mapring_consumer_close(consumer);
    check_possessions(before, "a descriptor");
    mapring_producer_close(producer);
}

struct set {
    mapring_wait_set *set;
    int other;
    bool has_other;
};

static int32_t wait_on_set(void *context)
{
    struct set *set = context;
    mapring_ready ready;
    int32_t status = MAPRING_OK;
    if (!set->has_other)
        status = mapring_wait_set_add_descriptor(set->set, set->other, MAPRING_EVENT_READABLE, 2);
    set->has_other = status == MAPRING_OK;
    return status == MAPRING_OK ? mapring_wait_set_wait(set->set, &ready, 1, 0) : status;
}

static void a_wait_set_later(void)
{
    mapring_producer *producer = open_producer(4096, 2);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    int ends[2];
    CHECK(pipe(ends) == 0, "pipe: %s", strerror(errno));
    struct possessions before = possessions_now();
    struct set set = {.other = ends[0]};
    mapring_ready ready;
    CHECK_STATUS(mapring_wait_set_open(&set.set), MAPRING_OK);
    CHECK_STATUS(mapring_wait_set_add_consumer(set.set, consumer, 1), MAPRING_OK);
    get_some_later(wait_on_set, &set);
    limit_descriptors(0);
    CHECK_STATUS(mapring_wait_set_wait(set.set, &ready, 1, 5 * MS), 0);
    publish_message(producer, 0, 64);
    CHECK_STATUS(mapring_wait_set_wait(set.set, &ready, 1, 5 * SECOND), 1);
    CHECK(ready.token == 1, "token %d", (int)ready.token);
    limit_descriptors(64);
    mapring_wait_set_close(set.set);
    check_possessions(before, "a wait set");
    close(ends[0]);
    close(ends[1]);
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"every_call", every_call},
        {"an_open_ring", an_open_ring},
        {"a_descriptor_later", a_descriptor_later},
        {"a_wait_set_later", a_wait_set_later},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 30);
}
