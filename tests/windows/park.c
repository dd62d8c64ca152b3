/*
 * Sleeping and waking, called directly: lib/windows/park.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mapring/status.h>

#include "harness.h"
#include "segments.h"

#define FOREVER (UINT64_MAX / 2)
#define SECOND 1000000000u

static struct platform_parking *open_parking(const uint64_t ring_id[2], uint32_t self)
{
    struct platform_parking *parking = NULL;
    CHECK_IS(platform_parking_open(ring_id, self, SLOTS_MAX, &parking), MAPRING_OK);
    return parking;
}

static uint64_t park_for(struct platform_parking *parking, const shared32 *doorbell, uint32_t remembered, uint64_t ns)
{
    uint64_t start = platform_clock_ns();
    platform_park(parking, doorbell, remembered, ns == FOREVER ? FOREVER : start + ns);
    return platform_clock_ns() - start;
}

static void a_sleep_ends(void)
{
    uint64_t ring_id[2];
    CHECK_IS(platform_random(ring_id), MAPRING_OK);
    struct platform_parking *sleeper = open_parking(ring_id, 2);
    struct platform_parking *waker = open_parking(ring_id, 0);
    shared32 doorbell = {5};

    /* At the deadline, also one that has passed or lies between two ticks of the clock. */
    uint64_t slept = park_for(sleeper, &doorbell, 5, 100000000u);
    CHECK(slept >= 80000000u && slept < 5 * (uint64_t)SECOND);
    CHECK(park_for(sleeper, &doorbell, 5, 1) < SECOND);
    platform_park(sleeper, &doorbell, 5, 0);
    platform_park(sleeper, &doorbell, 5, platform_clock_ns());

    /* At once when the doorbell has changed. */
    park_for(sleeper, &doorbell, 4, FOREVER);

    /* At once when woken before the sleep, once. */
    platform_wake(waker, &doorbell, 1u << 2, 1, 3);
    park_for(sleeper, &doorbell, 5, FOREVER);
    slept = park_for(sleeper, &doorbell, 5, 100000000u);
    CHECK(slept >= 80000000u);

    platform_parking_close(sleeper);
    platform_parking_close(waker);
    CHECK_IS(platform_parking_open(ring_id, SLOTS_MAX + 1, SLOTS_MAX, &sleeper), MAPRING_INVALID_ARGUMENT);
}

/* Whether the sleeper has been woken. */
static bool is_woken(struct platform_parking *sleeper)
{
    shared32 doorbell = {0};
    return park_for(sleeper, &doorbell, 0, 60000000u) < 30000000u;
}

/* Two sleepers that share a bit. */
#define FIRST PLATFORM_OWN_BITS
#define SAME_BIT (FIRST + PLATFORM_SLEEPER_BITS - PLATFORM_OWN_BITS)

static void those_are_woken_whose_bit_is_set(void)
{
    uint64_t ring_id[2], other_id[2];
    CHECK_IS(platform_random(ring_id), MAPRING_OK);
    CHECK_IS(platform_random(other_id), MAPRING_OK);
    shared32 doorbell = {0};
    struct platform_parking *waker = open_parking(ring_id, 0);
    struct platform_parking *first = open_parking(ring_id, FIRST);
    struct platform_parking *same_bit = open_parking(ring_id, SAME_BIT);
    struct platform_parking *last = open_parking(ring_id, SLOTS_MAX);
    struct platform_parking *stranger = open_parking(other_id, FIRST);

    platform_wake(waker, &doorbell, sleeper_bit(FIRST), 1, SLOTS_MAX);
    CHECK(is_woken(first));
    CHECK(is_woken(same_bit));
    CHECK(!is_woken(last));
    CHECK(!is_woken(stranger));
    platform_wake(waker, &doorbell, sleeper_bit(FIRST), FIRST + 1, SLOTS_MAX);
    CHECK(!is_woken(first));
    CHECK(is_woken(same_bit));
    platform_wake(waker, &doorbell, sleeper_bit(SLOTS_MAX), 1, SLOTS_MAX);
    CHECK(is_woken(last));

    /* Who comes after a sleeper that the waker knew, or did not find, is woken as well. */
    platform_parking_close(first);
    platform_wake(waker, &doorbell, sleeper_bit(FIRST) | sleeper_bit(9), 1, FIRST);
    first = open_parking(ring_id, FIRST);
    is_woken(first);
    struct platform_parking *ninth = open_parking(ring_id, 9);
    CHECK(!is_woken(ninth));
    platform_wake(waker, &doorbell, sleeper_bit(FIRST) | sleeper_bit(9), 1, FIRST);
    CHECK(is_woken(first));
    CHECK(is_woken(ninth));

    platform_parking_close(waker);
    platform_parking_close(first);
    platform_parking_close(same_bit);
    platform_parking_close(last);
    platform_parking_close(ninth);
    platform_parking_close(stranger);
}

/* Two processes pass a turn to and fro through two bells, and each sleeps until it has it. */

#define TURNS 500

struct table {
    struct bell bells[2];
};

static void wait_for_turn(struct platform_parking *parking, struct bell *bell, uint32_t turn, uint32_t *sleeps)
{
    uint32_t seen;
    while ((seen = load32_acquire(&bell->doorbell)) < turn) {
        platform_park(parking, &bell->doorbell, seen, FOREVER);
        *sleeps += 1;
    }
}

static uint32_t play(const char *name, uint32_t self)
{
    struct platform_segment *segment = NULL;
    CHECK_IS(platform_segment_open(RING_TARGET(name, NULL), PLATFORM_ATTACH, &segment), MAPRING_OK);
    const struct identity *identity = map_bytes(segment, 0, sizeof *identity, false);
    struct table *table = map_bytes(segment, 65536, sizeof *table, true);
    struct platform_parking *parking = open_parking(identity->ring_id, self);
    uint32_t sleeps = 0;
    uint32_t other = 1 - self;
    for (uint32_t turn = 1; turn <= TURNS; turn++) {
        if (self == 1)
            wait_for_turn(parking, &table->bells[self], turn, &sleeps);
        fetch_add32(&table->bells[other].doorbell, 1);
        platform_wake(parking, &table->bells[other].doorbell, (uint64_t)1 << other, other, other);
        if (self == 0)
            wait_for_turn(parking, &table->bells[self], turn, &sleeps);
    }
    platform_parking_close(parking);
    platform_unmap(table, sizeof *table);
    platform_segment_close(segment);
    return sleeps;
}

static void processes_wake_each_other(void)
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

int main(int argc, char **argv)
{
    start_tests(120);
    if (argc == 3 && strcmp(argv[1], "play") == 0) {
        play(argv[2], 1);
        return 0;
    }
    run_test("a sleep ends", a_sleep_ends);
    run_test("those are woken whose bit is set", those_are_woken_whose_bit_is_set);
    run_test("processes wake each other", processes_wake_each_other);
    return finish_tests();
}
