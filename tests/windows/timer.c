/*
 * Descriptors, called directly: lib/windows/descriptor.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mapring/mapring.h>

#include "harness.h"
#include "segments.h"

#define FOREVER (UINT64_MAX / 2)
#define SECOND 1000000000u
#define PATIENCE_MS 60000u

static struct platform_descriptor *open_descriptor(void)
{
    struct platform_descriptor *descriptor = NULL;
    CHECK_IS(platform_descriptor_open(false, &descriptor), MAPRING_OK);
    return descriptor;
}

static uint64_t address_of(struct platform_descriptor *descriptor)
{
    uint64_t address = 0;
    CHECK_IS(platform_descriptor_address(descriptor, NULL, &address), MAPRING_OK);
    CHECK(address != 0);
    return address;
}

static HANDLE handle_of(const struct platform_descriptor *descriptor)
{
    return (HANDLE)(intptr_t)platform_descriptor_number(descriptor);
}

static bool is_ready(const struct platform_descriptor *descriptor)
{
    return WaitForSingleObject(handle_of(descriptor), 0) == WAIT_OBJECT_0;
}

static bool becomes_ready(const struct platform_descriptor *descriptor)
{
    return WaitForSingleObject(handle_of(descriptor), PATIENCE_MS) == WAIT_OBJECT_0;
}

static void ring(uint64_t address)
{
    platform_descriptor_ring(NULL, NULL, 1, address);
}

static void ready_until_cleared(void)
{
    struct platform_descriptor *descriptor = open_descriptor();
    struct platform_descriptor *other = open_descriptor();
    struct platform_descriptor *none = NULL;
    CHECK_IS(platform_descriptor_open(true, &none), MAPRING_UNSUPPORTED);
    CHECK(address_of(descriptor) != address_of(other));
    for (int i = 0; i < 50; i++) {
        CHECK(!is_ready(descriptor));
        CHECK(!platform_descriptor_clear(descriptor).rung);
        if (i % 2 == 0)
            platform_descriptor_set(descriptor);
        else
            ring(address_of(descriptor));
        CHECK(is_ready(descriptor));
        CHECK(is_ready(descriptor));
        struct platform_causes causes = platform_descriptor_clear(descriptor);
        CHECK(causes.rung && !causes.alarmed && !causes.bereft);
    }
    CHECK(!is_ready(other));
    /* One that is not there any longer. */
    uint64_t address = address_of(other);
    platform_descriptor_close(other);
    ring(address);
    CHECK(!is_ready(descriptor));
    platform_descriptor_close(descriptor);
    platform_descriptor_close(NULL);
}

static void ready_at_the_alarm(void)
{
    struct platform_descriptor *descriptor = open_descriptor();
    uint64_t start = platform_clock_ns();
    platform_descriptor_alarm(descriptor, start + SECOND / 5);
    CHECK(!is_ready(descriptor));
    CHECK(becomes_ready(descriptor));
    CHECK(platform_clock_ns() - start >= SECOND / 10);
    CHECK(platform_descriptor_clear(descriptor).alarmed);
    CHECK(!is_ready(descriptor));
    CHECK(!platform_descriptor_clear(descriptor).alarmed);

    /* The last one counts. */
    platform_descriptor_alarm(descriptor, platform_clock_ns() + 1000 * (uint64_t)SECOND);
    platform_descriptor_alarm(descriptor, platform_clock_ns() + SECOND / 10);
    CHECK(becomes_ready(descriptor));
    CHECK(platform_descriptor_clear(descriptor).alarmed);
    platform_descriptor_alarm(descriptor, platform_clock_ns() + SECOND / 10);
    platform_descriptor_alarm(descriptor, platform_clock_ns() + 1000 * (uint64_t)SECOND);
    CHECK_IS(WaitForSingleObject(handle_of(descriptor), 500), WAIT_TIMEOUT);
    platform_descriptor_alarm(descriptor, 1);
    CHECK(becomes_ready(descriptor));
    CHECK(platform_descriptor_clear(descriptor).alarmed);

    /* Rung before it. */
    platform_descriptor_alarm(descriptor, platform_clock_ns() + 1000 * (uint64_t)SECOND);
    ring(address_of(descriptor));
    CHECK(is_ready(descriptor));
    struct platform_causes causes = platform_descriptor_clear(descriptor);
    CHECK(causes.rung && !causes.alarmed);
    platform_descriptor_close(descriptor);
}

static void no_process_is_watched(void)
{
    struct platform_descriptor *descriptor = open_descriptor();
    struct platform_process self;
    platform_process_self(&self);
    CHECK(!platform_descriptor_watch(descriptor, &self));
    CHECK(platform_descriptor_watch(descriptor, NULL));
    platform_descriptor_close(descriptor);
}

/* Two processes pass a turn to and fro, and each sleeps on its descriptor until it has it. */

#define TURNS 500

struct table {
    shared64 addresses[2];
    shared32 turns[2];
};

static uint32_t play(const char *name, uint32_t self)
{
    struct platform_segment *segment = NULL;
    CHECK_IS(platform_segment_open(RING_TARGET(name, NULL), PLATFORM_ATTACH, &segment), MAPRING_OK);
    struct table *table = map_bytes(segment, 65536, sizeof *table, true);
    struct platform_descriptor *descriptor = open_descriptor();
    uint32_t sleeps = 0, other = 1 - self;
    store64_release(&table->addresses[self], address_of(descriptor));
    while (load64_acquire(&table->addresses[other]) == 0)
        platform_sleep(1000000);
    for (uint32_t turn = 1; turn <= 2 * TURNS; turn++) {
        if (turn % 2 == self) {
            store32_release(&table->turns[other], turn);
            ring(load64_relaxed(&table->addresses[other]));
            continue;
        }
        /* As who uses it does: cleared before each look. Every other time it sleeps first, since a ring takes longer
         * here than to play on. */
        bool has_turn = false;
        if (turn % 4 < 2) {
            platform_descriptor_clear(descriptor);
            has_turn = load32_acquire(&table->turns[self]) >= turn;
        }
        while (!has_turn) {
            CHECK(becomes_ready(descriptor));
            sleeps++;
            platform_descriptor_clear(descriptor);
            has_turn = load32_acquire(&table->turns[self]) >= turn;
        }
    }
    platform_descriptor_close(descriptor);
    platform_unmap(table, sizeof *table);
    platform_segment_close(segment);
    return sleeps;
}

static void processes_ring_each_other(void)
{
    char name[NAME_SIZE];
    unique_name(name, "turns");
    struct platform_segment *segment = create_ring_segment(name, NULL);
    const char *arguments[] = {"play", name, NULL};
    struct child player = start_child(NULL, arguments);
    uint64_t start = platform_clock_ns();
    uint32_t sleeps = play(name, 0);
    printf("%d turns in %u us, asleep %u times\n", TURNS, (unsigned)((platform_clock_ns() - start) / 1000u), sleeps);
    CHECK(sleeps > 0);
    CHECK_IS(end_child(&player), 0);
    platform_segment_close(segment);
}

#define OTHERS 150u

static void waits_for_others_too(void)
{
    struct platform_descriptor *descriptor = open_descriptor();
    struct platform_ready ready[8];
    HANDLE events[OTHERS];
    uint64_t start = platform_clock_ns();
    CHECK_IS(platform_descriptor_wait(descriptor, start + SECOND / 5, ready, 8), 0);
    CHECK(platform_clock_ns() - start >= SECOND / 10);
    /* With more and more of them, across the sizes of the groups. */
    for (uint32_t i = 0; i < OTHERS; i++) {
        events[i] = CreateEventW(NULL, TRUE, FALSE, NULL);
        CHECK_IS(platform_descriptor_add(descriptor, (int64_t)(intptr_t)events[i], MAPRING_EVENT_READABLE, i),
                 MAPRING_OK);
        CHECK_IS(platform_descriptor_wait(descriptor, 0, ready, 8), 0);
        SetEvent(events[i]);
        CHECK_IS(platform_descriptor_wait(descriptor, FOREVER, ready, 8), 1);
        CHECK(ready[0].tag == i && ready[0].events == MAPRING_EVENT_READABLE);
        ResetEvent(events[i]);
        ring(address_of(descriptor));
        CHECK_IS(platform_descriptor_wait(descriptor, FOREVER, ready, 8), 0);
        CHECK(!is_ready(descriptor));
    }
    start = platform_clock_ns();
    CHECK_IS(platform_descriptor_wait(descriptor, start + SECOND / 5, ready, 8), 0);
    CHECK(platform_clock_ns() - start >= SECOND / 10);

    /* One that is closed, though it should not be, keeps nobody busy for nothing. */
    CloseHandle(events[100]);
    CHECK_IS(platform_descriptor_wait(descriptor, FOREVER, ready, 8), 1);
    CHECK(ready[0].tag == 100 && ready[0].events == MAPRING_EVENT_ERROR);
    platform_descriptor_remove(descriptor, (int64_t)(intptr_t)events[100]);
    events[100] = events[OTHERS - 1];

    /* Who is set is told until he is removed. */
    for (uint32_t i = 0; i < OTHERS - 1; i++) {
        SetEvent(events[i]);
        CHECK_IS(platform_descriptor_wait(descriptor, 0, ready, 8), 1);
        platform_descriptor_remove(descriptor, (int64_t)(intptr_t)events[i]);
        CHECK_IS(platform_descriptor_wait(descriptor, 0, ready, 8), 0);
        CloseHandle(events[i]);
    }
    platform_descriptor_close(descriptor);
}

int main(int argc, char **argv)
{
    start_tests(120);
    if (argc == 3 && strcmp(argv[1], "play") == 0) {
        play(argv[2], 1);
        return 0;
    }
    run_test("ready until cleared", ready_until_cleared);
    run_test("ready at the alarm", ready_at_the_alarm);
    run_test("no process is watched", no_process_is_watched);
    run_test("processes ring each other", processes_ring_each_other);
    run_test("waits for others too", waits_for_others_too);
    return finish_tests();
}
