/*
 * Too few descriptors: for each call that opens something, with none left, one, two, ... until it succeeds.
 */
#include <errno.h>
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

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"every_call", every_call},
        {"an_open_ring", an_open_ring},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 30);
}
