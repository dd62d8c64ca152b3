/*
 * A consumer's descriptor: signalled while there is something to read, and otherwise for a moment every 0.1 s.
 */
#include <stdio.h>
#include <string.h>

#include "ends.h"

static HANDLE describe(mapring_consumer *consumer)
{
    int64_t descriptor = 0;
    CHECK_IS(mapring_consumer_descriptor(consumer, MAPRING_DESCRIPTOR_ANY, &descriptor), MAPRING_DESCRIPTOR_WAKE);
    return (HANDLE)(intptr_t)descriptor;
}

static bool is_readable(HANDLE descriptor)
{
    return WaitForSingleObject(descriptor, 0) == WAIT_OBJECT_0;
}

static bool becomes_readable(HANDLE descriptor)
{
    return WaitForSingleObject(descriptor, PATIENCE_MS) == WAIT_OBJECT_0;
}

/* Whether it comes to rest when there is nothing to read: at most every 0.1 s it is readable all the same. */
static bool is_quiet(mapring_consumer *consumer, HANDLE descriptor)
{
    mapring_message message;
    for (int i = 0; i < 20; i++) {
        if (!is_readable(descriptor))
            return true;
        CHECK_IS(mapring_read(consumer, &message, 1, 0), 0);
    }
    return false;
}

static void readable_while_there_are_messages(void)
{
    struct ends ends = open_ends("readable");
    HANDLE descriptor = describe(ends.consumer);
    CHECK(is_quiet(ends.consumer, descriptor));
    for (uint64_t i = 0; i < 200; i += 2) {
        put(&ends, i);
        CHECK(is_readable(descriptor));
        put(&ends, i + 1);
        CHECK(is_readable(descriptor));
        take(&ends, i);
        CHECK(is_readable(descriptor));
        take(&ends, i + 1);
        CHECK(is_quiet(ends.consumer, descriptor));
    }
    close_ends(&ends);
}

static void readable_before_it_was_asked_for_and_at_the_end(void)
{
    struct ends ends = open_ends("end");
    put(&ends, 7);
    HANDLE descriptor = describe(ends.consumer);
    CHECK(is_readable(descriptor));
    take(&ends, 7);
    CHECK(is_quiet(ends.consumer, descriptor));
    CHECK_IS(mapring_end(ends.producer), MAPRING_OK);
    mapring_message message;
    for (int i = 0; i < 3; i++) {
        CHECK(is_readable(descriptor));
        CHECK_IS(mapring_read(ends.consumer, &message, 1, 0), MAPRING_STREAM_ENDED);
    }
    close_ends(&ends);
}

static void silence_is_cheap(void)
{
    struct ends ends = open_ends("silence");
    HANDLE descriptor = describe(ends.consumer);
    unsigned looks = 0;
    ULONGLONG start = GetTickCount64(), now;
    while ((now = GetTickCount64()) < start + 1500) {
        mapring_message message;
        if (WaitForSingleObject(descriptor, (DWORD)(start + 1500 - now)) != WAIT_OBJECT_0)
            continue;
        looks++;
        CHECK_IS(mapring_read(ends.consumer, &message, 1, 0), 0);
    }
    printf("in 1.5 s of silence readable %u times\n", looks);
    /* An alarm may come a tick early. */
    CHECK(looks >= 1 && looks <= 20);
    close_ends(&ends);
}

static void every_kind_has_one_but_observers(void)
{
    struct ends ends = open_ends("kinds");
    mapring_consumer_options options[] = {
        {.struct_size = sizeof options[0], .kind = MAPRING_LOSSY},
        {.struct_size = sizeof options[0], .kind = MAPRING_MEMBER, .group = "workers"},
        {.struct_size = sizeof options[0], .own_name = "one"},
    };
    for (uint64_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        mapring_consumer *consumer = NULL;
        mapring_message message;
        options[i].start = MAPRING_FROM_NEWEST;
        if (!CHECK(mapring_consumer_open(ends.name, &options[i], &consumer) >= 0))
            continue;
        HANDLE descriptor = describe(consumer);
        while (mapring_read(consumer, &message, 1, 0) == 1)
            CHECK_IS(mapring_release(consumer, 1), MAPRING_OK);
        CHECK(is_quiet(consumer, descriptor));
        put(&ends, i);
        CHECK(is_readable(descriptor));
        CHECK_IS(mapring_read(consumer, &message, 1, 0), 1);
        CHECK_IS(mapring_release(consumer, 1), MAPRING_OK);
        CHECK(is_quiet(consumer, descriptor));
        mapring_consumer_close(consumer);
    }
    mapring_consumer_options watching = {.struct_size = sizeof watching, .kind = MAPRING_OBSERVER};
    mapring_consumer *observer = NULL;
    int64_t none;
    CHECK_IS(mapring_consumer_open(ends.name, &watching, &observer), MAPRING_OK);
    CHECK_IS(mapring_consumer_descriptor(observer, MAPRING_DESCRIPTOR_ANY, &none), MAPRING_UNSUPPORTED);
    mapring_consumer_close(observer);
    close_ends(&ends);
}

#define COUNT 4000u
#define COUNT_TEXT "4000"

static void a_loop_gets_every_message_and_the_end(void)
{
    char name[NAME_SIZE];
    unique_name(name, "loop");
    struct child publisher = start_publisher((const char *[]){name}, 1, COUNT_TEXT);
    mapring_consumer *consumer = open_consumer(name);
    HANDLE descriptor = describe(consumer);
    CHECK(write_child(&publisher, "\n", 1));
    uint64_t expected = 0;
    unsigned waits = 0;
    int32_t count = 0;
    while (count >= 0 && CHECK(becomes_readable(descriptor))) {
        waits++;
        mapring_message messages[16];
        while ((count = mapring_read(consumer, messages, 16, 0)) > 0) {
            for (int32_t i = 0; i < count; i++, expected++)
                CHECK(messages[i].sequence == expected && memcmp(messages[i].data, &expected, sizeof expected) == 0);
            CHECK_IS(mapring_release(consumer, (uint32_t)count), MAPRING_OK);
        }
    }
    printf("%u messages in %u waits\n", (unsigned)expected, waits);
    CHECK_IS(count, MAPRING_STREAM_ENDED);
    CHECK_IS((int64_t)expected, COUNT);
    mapring_consumer_close(consumer);
    CHECK_IS(end_child(&publisher), 0);
}

static void a_watermark_counts(void)
{
    struct ends ends = open_ends("watermark");
    HANDLE descriptor = describe(ends.consumer);
    mapring_message messages[4];
    CHECK_IS(mapring_consumer_set_watermark(ends.consumer, 48, 60000 * MS), MAPRING_OK);
    put(&ends, 0);
    take(&ends, 0);
    CHECK(is_quiet(ends.consumer, descriptor));
    for (uint64_t i = 1; i <= 3; i++)
        put(&ends, i);
    CHECK(is_readable(descriptor));
    CHECK_IS(mapring_read(ends.consumer, messages, 4, 0), 3);
    CHECK_IS(mapring_release(ends.consumer, 3), MAPRING_OK);

    /* Sooner than the alarm that there always is. */
    CHECK_IS(mapring_consumer_set_watermark(ends.consumer, 48, 20 * MS), MAPRING_OK);
    put(&ends, 4);
    take(&ends, 4);
    put(&ends, 5);
    CHECK(becomes_readable(descriptor));
    take(&ends, 5);
    close_ends(&ends);
}

static DWORD WINAPI cancel(void *consumer)
{
    return mapring_consumer_cancel(consumer) == MAPRING_OK ? 0 : 1;
}

static void cancelling_shows(void)
{
    struct ends ends = open_ends("cancel");
    HANDLE descriptor = describe(ends.consumer);
    for (int round = 0; round < 20; round++) {
        HANDLE thread = start_thread(cancel, ends.consumer);
        int32_t status = 0;
        mapring_message message;
        while (status == 0 && CHECK(becomes_readable(descriptor)))
            status = mapring_read(ends.consumer, &message, 1, 0);
        CHECK_IS(status, MAPRING_CANCELLED);
        end_thread(thread);
        CHECK(is_quiet(ends.consumer, descriptor));
    }
    close_ends(&ends);
}

static void a_producer_that_is_killed_is_told(void)
{
    struct ends ends;
    unique_name(ends.name, "killed");
    struct child holder = start_holder(ends.name);
    ends.consumer = open_consumer(ends.name);
    HANDLE descriptor = describe(ends.consumer);
    CHECK(is_quiet(ends.consumer, descriptor));
    kill_child(&holder);
    end_child(&holder);
    int32_t status = 0;
    mapring_message message;
    while (status == 0 && CHECK(becomes_readable(descriptor)))
        status = mapring_read(ends.consumer, &message, 1, 0);
    CHECK_IS(status, MAPRING_NO_PRODUCER);
    ends.producer = open_producer(ends.name);
    put(&ends, 1);
    CHECK(is_readable(descriptor));
    take(&ends, 1);
    CHECK(is_quiet(ends.consumer, descriptor));
    close_ends(&ends);
}

static void what_is_refused(void)
{
    struct ends ends = open_ends("refused");
    int64_t descriptor, again;
    uint64_t entry[8];
    CHECK_IS(mapring_consumer_descriptor(ends.consumer, MAPRING_DESCRIPTOR_FUTEX, &descriptor), MAPRING_UNSUPPORTED);
    CHECK_IS(mapring_consumer_descriptor(NULL, 0, &descriptor), MAPRING_INVALID_ARGUMENT);
    CHECK_IS(mapring_consumer_descriptor(ends.consumer, 0, NULL), MAPRING_INVALID_ARGUMENT);
    CHECK_IS(mapring_consumer_descriptor(ends.consumer, 3, &descriptor), MAPRING_INVALID_ARGUMENT);
    CHECK_IS(mapring_consumer_descriptor(ends.consumer, MAPRING_DESCRIPTOR_WAKE, &descriptor), MAPRING_DESCRIPTOR_WAKE);
    CHECK_IS(mapring_consumer_descriptor(ends.consumer, MAPRING_DESCRIPTOR_ANY, &again), MAPRING_DESCRIPTOR_WAKE);
    CHECK_IS(again, descriptor);
    CHECK_IS(mapring_consumer_prepare_wait(ends.consumer, entry), MAPRING_UNSUPPORTED);
    mapring_ring_info info = {.struct_size = sizeof info};
    mapring_consumer_info consumer;
    CHECK_IS(mapring_stat(ends.name, NULL, &info, &consumer, 1), 1);
    CHECK_IS(consumer.descriptor, MAPRING_DESCRIPTOR_WAKE);
    close_ends(&ends);
}

static void nothing_is_left_open(void)
{
    struct ends ends = open_ends("left");
    unsigned handles = count_handles();
    for (int i = 0; i < 20; i++) {
        mapring_consumer *consumer = open_consumer(ends.name);
        CHECK(is_readable(describe(consumer)) == false);
        mapring_consumer_close(consumer);
    }
    CHECK_IS(count_handles(), handles);
    close_ends(&ends);
}

int main(int argc, char **argv)
{
    start_tests(240);
    if (argc > 3 && strcmp(argv[1], "publish") == 0)
        return publish_to(argc - 3, argv + 3, argv[2]);
    if (argc == 3 && strcmp(argv[1], "hold") == 0)
        return hold(argv[2]);
    run_test("readable while there are messages", readable_while_there_are_messages);
    run_test("readable before it was asked for, and at the end", readable_before_it_was_asked_for_and_at_the_end);
    run_test("silence is cheap", silence_is_cheap);
    run_test("every kind has one but observers", every_kind_has_one_but_observers);
    run_test("a loop gets every message and the end", a_loop_gets_every_message_and_the_end);
    run_test("a watermark counts", a_watermark_counts);
    run_test("cancelling shows", cancelling_shows);
    run_test("a producer that is killed is told", a_producer_that_is_killed_is_told);
    run_test("what is refused", what_is_refused);
    run_test("nothing is left open", nothing_is_left_open);
    return finish_tests();
}
