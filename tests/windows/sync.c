/*
 * Events, semaphores and mutexes, between threads and between processes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mapring/mapring.h>

#include "harness.h"
#include "opening.h"

#define SECOND_NS ((int64_t)1000000000)
#define PATIENCE_NS (60 * SECOND_NS)
#define MOMENT_NS (SECOND_NS / 20)

static mapring_event *open_event(const char *name, uint32_t manual_reset, uint32_t set, int32_t wanted)
{
    mapring_event_options options = {.struct_size = sizeof options, .manual_reset = manual_reset, .set = set};
    mapring_event *event = NULL;
    CHECK_IS(mapring_event_open(name, &options, &event), wanted);
    return event;
}

static mapring_semaphore *open_semaphore(const char *name, uint32_t initial, uint32_t maximum, int32_t wanted)
{
    mapring_semaphore_options options = {.struct_size = sizeof options, .initial = initial, .maximum = maximum};
    mapring_semaphore *semaphore = NULL;
    CHECK_IS(mapring_semaphore_open(name, &options, &semaphore), wanted);
    return semaphore;
}

static mapring_mutex *open_mutex(const char *name, uint32_t mode, int32_t wanted)
{
    mapring_mutex_options options = {.struct_size = sizeof options, .mode = mode};
    mapring_mutex *mutex = NULL;
    CHECK_IS(mapring_mutex_open(name, &options, &mutex), wanted);
    return mutex;
}

/* Events. */

static void events(void)
{
    char name[NAME_SIZE];
    unique_name(name, "event");
    mapring_event *event = open_event(name, 0, 1, 0), *other = open_event(name, 1, 0, 1);
    CHECK_IS(mapring_event_wait(other, 0), MAPRING_OK);
    CHECK_IS(mapring_event_wait(event, 0), MAPRING_TIMEOUT);
    ULONGLONG start = GetTickCount64();
    CHECK_IS(mapring_event_wait(event, SECOND_NS / 5), MAPRING_TIMEOUT);
    CHECK(GetTickCount64() - start >= 150);
    CHECK_IS(mapring_event_set(other), MAPRING_OK);
    CHECK_IS(mapring_event_set(other), MAPRING_OK);
    CHECK_IS(mapring_event_wait(event, PATIENCE_NS), MAPRING_OK);
    CHECK_IS(mapring_event_wait(event, 0), MAPRING_TIMEOUT);
    CHECK_IS(mapring_event_set(other), MAPRING_OK);
    CHECK_IS(mapring_event_reset(event), MAPRING_OK);
    CHECK_IS(mapring_event_wait(event, 0), MAPRING_TIMEOUT);
    CHECK_IS(mapring_event_wait(event, -1), MAPRING_INVALID_ARGUMENT);
    CHECK_IS(mapring_event_wait(NULL, 0), MAPRING_INVALID_ARGUMENT);
    mapring_event_close(event);
    CHECK_IS(mapring_kind(name), MAPRING_KIND_EVENT);
    mapring_event_close(other);
    mapring_event_close(NULL);
    CHECK(is_free(name));

    event = open_event(name, 1, 0, 0);
    CHECK_IS(mapring_event_wait(event, 0), MAPRING_TIMEOUT);
    CHECK_IS(mapring_event_set(event), MAPRING_OK);
    CHECK_IS(mapring_event_wait(event, 0), MAPRING_OK);
    CHECK_IS(mapring_event_wait(event, 0), MAPRING_OK);
    CHECK_IS(mapring_event_reset(event), MAPRING_OK);
    CHECK_IS(mapring_event_wait(event, 0), MAPRING_TIMEOUT);
    mapring_event_close(event);

    mapring_event_options options = {.struct_size = sizeof options, .mode = MAPRING_OPEN_EXISTING};
    CHECK_IS(mapring_event_open(name, &options, &event), MAPRING_NOT_FOUND);
    event = open_event(name, 0, 0, 0);
    options.mode = MAPRING_CREATE_NEW;
    CHECK_IS(mapring_event_open(name, &options, &other), MAPRING_EXISTS);
    mapring_event_close(event);
}

/* A child: waits for the event, and says what came of it. */
static int await_event(const char *name, const char *timeout_ms)
{
    mapring_event *event = open_event(name, 0, 0, 1);
    tell("waiting");
    tell(mapring_status_name(mapring_event_wait(event, atoi(timeout_ms) * (int64_t)1000000)));
    mapring_event_close(event);
    return 0;
}

#define WAITERS 3

static bool has_told(const struct child *child)
{
    DWORD there = 0;
    return PeekNamedPipe(child->output, NULL, 0, NULL, &there, NULL) && there > 0;
}

static void manual_reset_lets_all_go(void)
{
    char name[NAME_SIZE];
    unique_name(name, "manual");
    mapring_event *event = open_event(name, 1, 0, 0);
    const char *arguments[] = {"event", name, "60000", NULL};
    struct child waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = start_child(NULL, arguments);
        expect_line(&waiters[i], "waiting");
    }
    /* Reset right behind: those who wait are let go all the same. They said that they wait a moment before they did. */
    for (int i = 0; i < WAITERS; i++) {
        while (!has_told(&waiters[i])) {
            CHECK_IS(mapring_event_set(event), MAPRING_OK);
            CHECK_IS(mapring_event_reset(event), MAPRING_OK);
            Sleep(20);
        }
        expect_line(&waiters[i], "MAPRING_OK");
        CHECK_IS(end_child(&waiters[i]), 0);
    }
    CHECK_IS(mapring_event_wait(event, 0), MAPRING_TIMEOUT);
    mapring_event_close(event);
}

static void auto_reset_lets_one_go(void)
{
    char name[NAME_SIZE];
    unique_name(name, "auto");
    mapring_event *event = open_event(name, 0, 0, 0);
    const char *arguments[] = {"event", name, "2000", NULL};
    struct child waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = start_child(NULL, arguments);
        expect_line(&waiters[i], "waiting");
    }
    CHECK_IS(mapring_event_set(event), MAPRING_OK);
    int let_go = 0;
    for (int i = 0; i < WAITERS; i++) {
        char line[LINE_SIZE];
        read_line(&waiters[i], line);
        let_go += strcmp(line, "MAPRING_OK") == 0;
        CHECK_IS(end_child(&waiters[i]), 0);
    }
    CHECK_IS(let_go, 1);
    mapring_event_close(event);
}

/* Semaphores. */

static void semaphores(void)
{
    char name[NAME_SIZE];
    unique_name(name, "semaphore");
    mapring_semaphore *semaphore = open_semaphore(name, 2, 3, 0), *other = open_semaphore(name, 0, 0, 1);
    CHECK_IS(mapring_semaphore_wait(other, 0), MAPRING_OK);
    CHECK_IS(mapring_semaphore_wait(semaphore, PATIENCE_NS), MAPRING_OK);
    CHECK_IS(mapring_semaphore_wait(other, MOMENT_NS), MAPRING_TIMEOUT);
    CHECK_IS(mapring_semaphore_release(semaphore, 1), 0);
    CHECK_IS(mapring_semaphore_release(semaphore, 3), MAPRING_FULL);
    CHECK_IS(mapring_semaphore_release(semaphore, UINT32_MAX), MAPRING_FULL);
    CHECK_IS(mapring_semaphore_release(semaphore, 2), 1);
    CHECK_IS(mapring_semaphore_release(semaphore, 1), MAPRING_FULL);
    CHECK_IS(mapring_semaphore_release(semaphore, 0), MAPRING_INVALID_ARGUMENT);
    for (int i = 0; i < 3; i++)
        CHECK_IS(mapring_semaphore_wait(other, 0), MAPRING_OK);
    CHECK_IS(mapring_semaphore_wait(other, 0), MAPRING_TIMEOUT);
    CHECK_IS(mapring_semaphore_wait(other, -1), MAPRING_INVALID_ARGUMENT);
    mapring_semaphore_close(semaphore);
    mapring_semaphore_close(other);
    mapring_semaphore_close(NULL);
    CHECK(is_free(name));

    mapring_semaphore_options options = {.struct_size = sizeof options, .initial = 2, .maximum = 1};
    CHECK_IS(mapring_semaphore_open(name, &options, &semaphore), MAPRING_INVALID_ARGUMENT);
    options.initial = 0;
    options.maximum = 0x80000000u;
    CHECK_IS(mapring_semaphore_open(name, &options, &semaphore), MAPRING_INVALID_ARGUMENT);
    semaphore = open_semaphore(name, 0, 0, 0);
    CHECK_IS(mapring_semaphore_release(semaphore, INT32_MAX), 0);
    CHECK_IS(mapring_semaphore_release(semaphore, 1), MAPRING_FULL);
    mapring_semaphore_close(semaphore);
}

/* Mutexes. */

static void mutexes(void)
{
    char name[NAME_SIZE];
    unique_name(name, "mutex");
    CHECK(open_mutex(name, MAPRING_OPEN_EXISTING, MAPRING_NOT_FOUND) == NULL);
    CHECK(is_free(name));
    mapring_mutex *mutex = open_mutex(name, MAPRING_CREATE_OR_OPEN, 0), *other = open_mutex(name, 0, 1);
    CHECK(open_mutex(name, MAPRING_CREATE_NEW, MAPRING_EXISTS) == NULL);
    CHECK_IS(mapring_mutex_unlock(mutex), MAPRING_NOT_LOCKED);
    CHECK_IS(mapring_mutex_lock(mutex, 0), MAPRING_OK);
    CHECK_IS(mapring_mutex_lock(mutex, 0), MAPRING_LOCKED);
    CHECK_IS(mapring_mutex_unlock(other), MAPRING_NOT_LOCKED);
    /* Another handle of the same thread is another one. */
    ULONGLONG start = GetTickCount64();
    CHECK_IS(mapring_mutex_lock(other, 0), MAPRING_TIMEOUT);
    CHECK_IS(mapring_mutex_lock(other, SECOND_NS / 5), MAPRING_TIMEOUT);
    CHECK(GetTickCount64() - start >= 150);
    CHECK_IS(mapring_mutex_unlock(mutex), MAPRING_OK);
    CHECK_IS(mapring_mutex_unlock(mutex), MAPRING_NOT_LOCKED);
    CHECK_IS(mapring_mutex_lock(other, PATIENCE_NS), MAPRING_OK);
    CHECK_IS(mapring_mutex_lock(mutex, MOMENT_NS), MAPRING_TIMEOUT);
    CHECK_IS(mapring_mutex_lock(mutex, -1), MAPRING_INVALID_ARGUMENT);

    /* Closed while it is locked: the next is told, once. */
    mapring_mutex_close(other);
    CHECK_IS(mapring_mutex_lock(mutex, PATIENCE_NS), MAPRING_ABANDONED);
    CHECK_IS(mapring_mutex_unlock(mutex), MAPRING_OK);
    CHECK_IS(mapring_mutex_lock(mutex, 0), MAPRING_OK);
    CHECK_IS(mapring_mutex_unlock(mutex), MAPRING_OK);
    mapring_mutex_close(mutex);
    mapring_mutex_close(NULL);
    CHECK(is_free(name));

    /* A new one of the name knows nothing of that. */
    mutex = open_mutex(name, 0, 0);
    CHECK_IS(mapring_mutex_lock(mutex, 0), MAPRING_OK);
    mapring_mutex_close(mutex);
    mutex = open_mutex(name, 0, 0);
    CHECK_IS(mapring_mutex_lock(mutex, 0), MAPRING_OK);
    mapring_mutex_close(mutex);
}

/* A child: locks the mutex and stays. */
static int hold_mutex(const char *name)
{
    mapring_mutex *mutex = open_mutex(name, 0, 1);
    tell(mapring_mutex_lock(mutex, PATIENCE_NS) >= 0 ? "locked" : "not locked");
    await_parent();
    CHECK_IS(mapring_mutex_unlock(mutex), MAPRING_OK);
    tell("unlocked");
    await_parent();
    mapring_mutex_close(mutex);
    return 0;
}

static void the_next_is_told_of_a_death(void)
{
    char name[NAME_SIZE];
    unique_name(name, "death");
    mapring_mutex *mutex = open_mutex(name, 0, 0);
    const char *arguments[] = {"mutex", name, NULL};
    for (int round = 0; round < 5; round++) {
        struct child holder = start_child(NULL, arguments);
        expect_line(&holder, "locked");
        CHECK_IS(mapring_mutex_lock(mutex, MOMENT_NS), MAPRING_TIMEOUT);
        bool killed = round % 2 == 0;
        if (killed) {
            kill_child(&holder);
        } else {
            CHECK(write_child(&holder, "\n", 1));
            expect_line(&holder, "unlocked");
        }
        CHECK_IS(mapring_mutex_lock(mutex, PATIENCE_NS), killed ? MAPRING_ABANDONED : MAPRING_OK);
        CHECK_IS(mapring_mutex_unlock(mutex), MAPRING_OK);
        CHECK_IS(end_child(&holder), killed ? 99 : 0);
    }
    mapring_mutex_close(mutex);
}

/* Several writers in turn. */

#define WRITERS 4
#define ADDITIONS 500

struct account {
    uint64_t sum;
    uint64_t twice; /* of what the sum was: not so while somebody writes, or died writing */
};

/* A child: adds one many times, and with `dies` ends itself in the middle of it. */
static int add(const char *name, const char *mutex_name, const char *dies)
{
    mapring_segment *segment;
    if (open_with(name, MAPRING_OPEN_EXISTING, 0, 0, &segment) != 1)
        return 1;
    volatile struct account *account = (void *)map_all(segment, 0);
    mapring_mutex *mutex = open_mutex(mutex_name, 0, 1);
    for (int i = 0; i < ADDITIONS; i++) {
        int32_t status = mapring_mutex_lock(mutex, PATIENCE_NS);
        if (status < 0)
            return 2;
        if (status == MAPRING_ABANDONED)
            account->twice = 2 * account->sum;
        if (account->twice != 2 * account->sum)
            return 3;
        account->sum++;
        if (atoi(dies) && i == ADDITIONS / 2)
            TerminateProcess(GetCurrentProcess(), 98);
        account->twice += 2;
        if (mapring_mutex_unlock(mutex) != MAPRING_OK)
            return 4;
    }
    mapring_mutex_close(mutex);
    mapring_segment_close(segment);
    return 0;
}

static void several_write_in_turn(void)
{
    char name[NAME_SIZE], mutex_name[NAME_SIZE];
    unique_name(name, "account");
    unique_name(mutex_name, "turn");
    mapring_segment *segment;
    if (!CHECK_IS(open_with(name, MAPRING_CREATE_NEW, sizeof(struct account), 0, &segment), 0))
        return;
    struct account *account = (void *)map_all(segment, 0);
    mapring_mutex *mutex = open_mutex(mutex_name, 0, 0);
    struct child writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        const char *arguments[] = {"add", name, mutex_name, i == 0 ? "1" : "0", NULL};
        writers[i] = start_child(NULL, arguments);
    }
    for (int i = 0; i < WRITERS; i++)
        CHECK_IS(end_child(&writers[i]), i == 0 ? 98 : 0);
    CHECK_IS((int64_t)account->sum, (WRITERS - 1) * ADDITIONS + ADDITIONS / 2 + 1);
    mapring_mutex_close(mutex);
    mapring_segment_close(segment);
}

static void bad_options(void)
{
    char name[NAME_SIZE];
    unique_name(name, "bad");
    mapring_event_options event = {.struct_size = sizeof event, .mode = 3};
    mapring_mutex_options mutex = {.struct_size = sizeof mutex, .flags = MAPRING_PERSISTENT};
    mapring_semaphore_options semaphore = {.struct_size = sizeof semaphore - 1};
    void *none = NULL;
    CHECK_IS(mapring_event_open(name, &event, (mapring_event **)&none), MAPRING_INVALID_OPTIONS);
    CHECK_IS(mapring_mutex_open(name, &mutex, (mapring_mutex **)&none), MAPRING_INVALID_OPTIONS);
    CHECK_IS(mapring_semaphore_open(name, &semaphore, (mapring_semaphore **)&none), MAPRING_INVALID_OPTIONS);
    CHECK_IS(mapring_event_open("a\\b", NULL, (mapring_event **)&none), MAPRING_INVALID_NAME);
    CHECK_IS(mapring_mutex_open(NULL, NULL, (mapring_mutex **)&none), MAPRING_INVALID_ARGUMENT);
    CHECK_IS(mapring_semaphore_open(name, NULL, NULL), MAPRING_INVALID_ARGUMENT);
    CHECK(none == NULL);
    CHECK(is_free(name));
}

static void nothing_leaks(void)
{
    char names[3][NAME_SIZE];
    for (int i = 0; i < 3; i++)
        unique_name(names[i], "leak");
    unsigned before = 0, after = 0;
    for (int round = 0; round < 60; round++) {
        mapring_event *event = open_event(names[0], 0, 1, 0);
        mapring_semaphore *semaphore = open_semaphore(names[1], 1, 1, 0);
        mapring_mutex *mutex = open_mutex(names[2], 0, 0);
        mapring_event_wait(event, 0);
        mapring_semaphore_wait(semaphore, 0);
        mapring_mutex_lock(mutex, 0);
        void *none = NULL;
        CHECK_IS(mapring_event_open(names[2], NULL, (mapring_event **)&none), MAPRING_WRONG_KIND);
        CHECK_IS(mapring_mutex_open(names[1], NULL, (mapring_mutex **)&none), MAPRING_WRONG_KIND);
        mapring_event_close(event);
        mapring_semaphore_close(semaphore);
        mapring_mutex_close(mutex);
        if (round == 9)
            before = count_handles();
    }
    after = count_handles();
    CHECK_IS(after, before);
}

int main(int argc, char **argv)
{
    start_tests(120);
    if (argc == 4 && strcmp(argv[1], "event") == 0)
        return await_event(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "mutex") == 0)
        return hold_mutex(argv[2]);
    if (argc == 5 && strcmp(argv[1], "add") == 0)
        return add(argv[2], argv[3], argv[4]);
    run_test("events", events);
    run_test("manual reset lets all go", manual_reset_lets_all_go);
    run_test("auto reset lets one go", auto_reset_lets_one_go);
    run_test("semaphores", semaphores);
    run_test("mutexes", mutexes);
    run_test("the next is told of a death", the_next_is_told_of_a_death);
    run_test("several write in turn", several_write_in_turn);
    run_test("bad options", bad_options);
    run_test("nothing leaks", nothing_leaks);
    return finish_tests();
}
