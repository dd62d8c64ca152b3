/*
 * Wait sets: consumers of other processes' rings, producers without room, and handles, in one wait.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ends.h"

static mapring_wait_set *open_set(void)
{
    mapring_wait_set *set = NULL;
    CHECK_IS(mapring_wait_set_open(&set), MAPRING_OK);
    return set;
}

static mapring_ready only_ready(mapring_wait_set *set)
{
    mapring_ready ready[4] = {{0, 0, 0}};
    CHECK_IS(mapring_wait_set_wait(set, ready, 4, PATIENCE_NS), 1);
    return ready[0];
}

static void nobody_is_ready(mapring_wait_set *set)
{
    mapring_ready ready[4];
    CHECK_IS(mapring_wait_set_wait(set, ready, 4, 0), 0);
}

static int64_t handle_number(HANDLE handle)
{
    return (int64_t)(intptr_t)handle;
}

/* An event that stays set until it is reset. */
static HANDLE add_event(mapring_wait_set *set, uint64_t token)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    CHECK(event != NULL);
    CHECK_IS(mapring_wait_set_add_descriptor(set, handle_number(event), MAPRING_EVENT_READABLE, token), MAPRING_OK);
    return event;
}

static void remove_event(mapring_wait_set *set, HANDLE event)
{
    CHECK_IS(mapring_wait_set_remove_descriptor(set, handle_number(event)), MAPRING_OK);
    CloseHandle(event);
}

static void tells_who_is_ready(void)
{
    mapring_wait_set *set = open_set();
    struct ends ends[2] = {open_ends("first"), open_ends("second")};
    for (uint64_t i = 0; i < 2; i++)
        CHECK_IS(mapring_wait_set_add_consumer(set, ends[i].consumer, i), MAPRING_OK);
    nobody_is_ready(set);
    put(&ends[1], 1);
    for (int i = 0; i < 3; i++)
        CHECK_IS((int64_t)only_ready(set).token, 1);
    put(&ends[0], 2);
    mapring_ready ready[4];
    CHECK_IS(mapring_wait_set_wait(set, ready, 4, 0), 2);
    take(&ends[1], 1);
    CHECK_IS((int64_t)only_ready(set).token, 0);
    take(&ends[0], 2);
    nobody_is_ready(set);
    uint64_t start = GetTickCount64();
    CHECK_IS(mapring_wait_set_wait(set, ready, 4, 300 * MS), 0);
    CHECK(GetTickCount64() - start >= 250);
    CHECK_IS(mapring_end(ends[0].producer), MAPRING_OK);
    CHECK_IS((int64_t)only_ready(set).token, 0);
    mapring_consumer_close(ends[0].consumer);
    ends[0].consumer = NULL;
    nobody_is_ready(set);
    mapring_wait_set_close(set);
    close_ends(&ends[0]);
    close_ends(&ends[1]);
}

#define RINGS 3u
#define COUNT 3000u
#define COUNT_TEXT "3000"

/* Another process publishes to several rings. */
static void hear_of_every_message(uint64_t events)
{
    char names[RINGS][NAME_SIZE];
    for (uint32_t i = 0; i < RINGS; i++)
        unique_name(names[i], (const char *[]){"one", "two", "three"}[i]);
    struct child publisher = start_publisher((const char *[]){names[0], names[1], names[2]}, RINGS, COUNT_TEXT);
    mapring_wait_set *set = open_set();
    mapring_consumer *consumers[RINGS];
    HANDLE handles[200];
    for (uint64_t i = 0; i < RINGS; i++) {
        consumers[i] = open_consumer(names[i]);
        CHECK_IS(mapring_wait_set_add_consumer(set, consumers[i], i), MAPRING_OK);
    }
    for (uint64_t i = 0; i < events; i++)
        handles[i] = add_event(set, 1000 + i);
    CHECK(write_child(&publisher, "\n", 1));
    uint64_t expected[RINGS] = {0, 1, 2};
    uint64_t got = 0;
    unsigned waits = 0;
    for (uint32_t ended = 0; ended < RINGS;) {
        mapring_ready ready;
        if (!CHECK_IS(mapring_wait_set_wait(set, &ready, 1, PATIENCE_NS), 1) || !CHECK(ready.token < RINGS))
            break;
        waits++;
        mapring_consumer *consumer = consumers[ready.token];
        mapring_message messages[16];
        int32_t count = mapring_read(consumer, messages, 16, 0);
        if (count == MAPRING_STREAM_ENDED) {
            CHECK_IS(mapring_wait_set_remove_consumer(set, consumer), MAPRING_OK);
            ended++;
        }
        for (int32_t i = 0; i < count; i++, got++) {
            CHECK(memcmp(messages[i].data, &expected[ready.token], sizeof expected[0]) == 0);
            expected[ready.token] += RINGS;
        }
        if (count > 0)
            CHECK_IS(mapring_release(consumer, (uint32_t)count), MAPRING_OK);
    }
    printf("%u messages in %u waits\n", (unsigned)got, waits);
    CHECK_IS((int64_t)got, COUNT);
    CHECK_IS(end_child(&publisher), 0);
    mapring_wait_set_close(set);
    for (uint32_t i = 0; i < RINGS; i++)
        mapring_consumer_close(consumers[i]);
    for (uint64_t i = 0; i < events; i++)
        CloseHandle(handles[i]);
}

static void hears_of_every_message(void)
{
    hear_of_every_message(0);
}

static void hears_of_every_message_beside_handles(void)
{
    hear_of_every_message(130);
}

#define HANDLES 150u

static DWORD WINAPI set_soon(void *event)
{
    Sleep(50);
    return SetEvent(event) ? 0 : 1;
}

static void many_handles(void)
{
    mapring_wait_set *set = open_set();
    struct ends ends = open_ends("beside");
    HANDLE events[HANDLES];
    CHECK_IS(mapring_wait_set_add_consumer(set, ends.consumer, HANDLES), MAPRING_OK);
    for (uint64_t i = 0; i < HANDLES; i++)
        events[i] = add_event(set, i);
    nobody_is_ready(set);
    for (uint64_t i = 0; i < HANDLES; i += 7) {
        SetEvent(events[i]);
        mapring_ready ready = only_ready(set);
        CHECK_IS((int64_t)ready.token, (int64_t)i);
        CHECK_IS(ready.events, MAPRING_EVENT_READABLE);
        ResetEvent(events[i]);
        nobody_is_ready(set);
    }
    /* Asleep, on whichever group it may be. */
    for (uint64_t i = 0; i < HANDLES; i += 40) {
        HANDLE thread = start_thread(set_soon, events[i]);
        CHECK_IS((int64_t)only_ready(set).token, (int64_t)i);
        end_thread(thread);
        ResetEvent(events[i]);
    }
    put(&ends, 5);
    CHECK_IS((int64_t)only_ready(set).token, HANDLES);
    take(&ends, 5);

    /* All of them are, and each is told as often as any other. */
    unsigned told[HANDLES] = {0};
    for (uint64_t i = 0; i < HANDLES; i++)
        SetEvent(events[i]);
    for (unsigned got = 0; got < 10 * HANDLES;) {
        mapring_ready ready[16];
        int32_t count = mapring_wait_set_wait(set, ready, 10, 0);
        if (!CHECK(count > 0))
            break;
        for (int32_t i = 0; i < count; i++)
            told[ready[i].token]++;
        got += (unsigned)count;
    }
    unsigned least = told[0], most = told[0];
    for (uint64_t i = 0; i < HANDLES; i++) {
        least = told[i] < least ? told[i] : least;
        most = told[i] > most ? told[i] : most;
    }
    printf("told %u to %u times\n", least, most);
    CHECK(least >= 5 && most <= 20);

    for (uint64_t i = 0; i < HANDLES; i++) {
        ResetEvent(events[i]);
        if (i % 2 == 0)
            remove_event(set, events[i]);
    }
    for (uint64_t i = 1; i < HANDLES; i += 2) {
        SetEvent(events[i]);
        CHECK_IS((int64_t)only_ready(set).token, (int64_t)i);
        remove_event(set, events[i]);
    }
    nobody_is_ready(set);
    mapring_wait_set_close(set);
    close_ends(&ends);
}

static void the_end_of_a_process(void)
{
    char name[NAME_SIZE];
    unique_name(name, "process");
    mapring_wait_set *set = open_set();
    struct child child = start_holder(name);
    CHECK_IS(mapring_wait_set_add_descriptor(set, handle_number(child.process), MAPRING_EVENT_READABLE, 1), MAPRING_OK);
    nobody_is_ready(set);
    close_input(&child);
    CHECK_IS((int64_t)only_ready(set).token, 1);
    mapring_wait_set_close(set);
    CHECK_IS(end_child(&child), 0);
}

static void fill_up(mapring_producer *producer)
{
    static const char bytes[64];
    while (mapring_publish(producer, bytes, sizeof bytes, 0, 0, 0) == MAPRING_OK)
        ;
}

/* A child: releases all there is whenever the parent says so. */
static int drain(const char *name, const char *rounds)
{
    mapring_consumer *consumer = open_consumer(name);
    tell("attached");
    for (int round = atoi(rounds); round > 0; round--) {
        await_parent();
        mapring_message messages[128];
        int32_t count = mapring_read(consumer, messages, 128, PATIENCE_NS);
        if (count <= 0 || mapring_release(consumer, (uint32_t)count) < 0)
            return 1;
    }
    /* Without a consumer there is room for ever. */
    await_parent();
    mapring_consumer_close(consumer);
    return 0;
}

static void producers_without_room(void)
{
    char names[2][NAME_SIZE];
    mapring_producer *producers[2];
    struct child children[2];
    mapring_wait_set *set = open_set();
    HANDLE event = add_event(set, 9);
    for (uint64_t i = 0; i < 2; i++) {
        unique_name(names[i], i == 0 ? "full" : "full-too");
        producers[i] = open_producer(names[i]);
        const char *arguments[] = {"drain", names[i], "10", NULL};
        children[i] = start_child(NULL, arguments);
        expect_line(&children[i], "attached");
        CHECK_IS(mapring_wait_set_add_producer(set, producers[i], 64, i), MAPRING_OK);
        mapring_ready ready = only_ready(set);
        CHECK(ready.token == i && ready.events == MAPRING_EVENT_WRITABLE);
        fill_up(producers[i]);
        nobody_is_ready(set);
    }
    for (int round = 0; round < 10; round++)
        for (uint64_t i = 0; i < 2; i++) {
            CHECK(write_child(&children[i], "\n", 1));
            mapring_ready ready = only_ready(set);
            CHECK(ready.token == i && ready.events == MAPRING_EVENT_WRITABLE);
            fill_up(producers[i]);
            nobody_is_ready(set);
        }
    remove_event(set, event);
    mapring_wait_set_close(set);
    for (int i = 0; i < 2; i++) {
        mapring_producer_close(producers[i]);
        CHECK_IS(end_child(&children[i]), 0);
    }
}

static void a_producer_that_is_killed_is_told(void)
{
    char name[NAME_SIZE];
    unique_name(name, "killed");
    struct child holder = start_holder(name);
    mapring_consumer *consumer = open_consumer(name);
    mapring_wait_set *set = open_set();
    CHECK_IS(mapring_wait_set_add_consumer(set, consumer, 3), MAPRING_OK);
    nobody_is_ready(set);
    kill_child(&holder);
    end_child(&holder);
    CHECK_IS(only_ready(set).events, MAPRING_EVENT_ALONE);
    mapring_wait_set_close(set);
    mapring_consumer_close(consumer);
}

static DWORD WINAPI cancel(void *set)
{
    return mapring_wait_set_cancel(set) == MAPRING_OK ? 0 : 1;
}

static void cancelling_ends_a_wait(void)
{
    struct ends ends = open_ends("cancel");
    /* With handles and without. */
    for (int with_event = 0; with_event < 2; with_event++) {
        mapring_wait_set *set = open_set();
        HANDLE event = with_event == 1 ? add_event(set, 2) : NULL;
        CHECK_IS(mapring_wait_set_add_consumer(set, ends.consumer, 1), MAPRING_OK);
        for (int round = 0; round < 20; round++) {
            mapring_ready ready;
            HANDLE thread = start_thread(cancel, set);
            CHECK_IS(mapring_wait_set_wait(set, &ready, 1, PATIENCE_NS), MAPRING_CANCELLED);
            end_thread(thread);
        }
        nobody_is_ready(set);
        mapring_wait_set_close(set);
        if (event != NULL)
            CloseHandle(event);
    }
    close_ends(&ends);
}

static void what_is_refused(void)
{
    mapring_wait_set *set = open_set();
    HANDLE event = add_event(set, 1);
    const int64_t none[] = {0, -1, -2, 0x7ffffffc};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        CHECK_IS(mapring_wait_set_add_descriptor(set, none[i], MAPRING_EVENT_READABLE, 0), MAPRING_INVALID_ARGUMENT);
    HANDLE other = CreateEventW(NULL, TRUE, TRUE, NULL);
    const uint32_t wrong[] = {0, MAPRING_EVENT_WRITABLE, MAPRING_EVENT_READABLE | MAPRING_EVENT_WRITABLE, 64};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK_IS(mapring_wait_set_add_descriptor(set, handle_number(other), wrong[i], 0), MAPRING_INVALID_ARGUMENT);
    CHECK_IS(mapring_wait_set_add_descriptor(set, handle_number(event), MAPRING_EVENT_READABLE, 0),
             MAPRING_INVALID_ARGUMENT);
    CHECK_IS(mapring_wait_set_remove_descriptor(set, handle_number(other)), MAPRING_NOT_FOUND);
    CloseHandle(other);
    nobody_is_ready(set);
    remove_event(set, event);
    mapring_wait_set_close(set);
}

static void nothing_is_left_open(void)
{
    struct ends ends = open_ends("left");
    unsigned handles = count_handles();
    for (int i = 0; i < 20; i++) {
        mapring_wait_set *set = open_set();
        HANDLE event = add_event(set, 1);
        CHECK_IS(mapring_wait_set_add_consumer(set, ends.consumer, 2), MAPRING_OK);
        nobody_is_ready(set);
        mapring_wait_set_close(set);
        CloseHandle(event);
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
    if (argc == 4 && strcmp(argv[1], "drain") == 0)
        return drain(argv[2], argv[3]);
    run_test("tells who is ready", tells_who_is_ready);
    run_test("hears of every message", hears_of_every_message);
    run_test("hears of every message beside handles", hears_of_every_message_beside_handles);
    run_test("many handles", many_handles);
    run_test("the end of a process", the_end_of_a_process);
    run_test("producers without room", producers_without_room);
    run_test("a producer that is killed is told", a_producer_that_is_killed_is_told);
    run_test("cancelling ends a wait", cancelling_ends_a_wait);
    run_test("what is refused", what_is_refused);
    run_test("nothing is left open", nothing_is_left_open);
    return finish_tests();
}
