/*
 * Runs: messages published with MAPRING_MORE become visible together.
 */
#include "rings.h"

TestSuite(runs, .timeout = 20);

#define CAPACITY 65536
#define STRIDE (CAPACITY / 64)

static void publish(struct ends *ends, uint32_t tag, uint32_t flags)
{
    cr_assert_status(mapring_publish(ends->producer, "12345678", 8, tag, flags, 0), MAPRING_OK);
}

/* How many messages become readable now; they are numbered by their tags. */
static int32_t visible(struct ends *ends)
{
    static uint32_t next;
    mapring_message messages[200];
    int32_t count = read_all(ends->consumer, messages, 200);
    for (int32_t i = 0; i < count; i++)
        cr_assert_eq(messages[i].tag, next++);
    cr_assert_status(mapring_release(ends->consumer, (uint32_t)count), MAPRING_OK);
    return count;
}

Test(runs, nothing_is_visible_before_the_end)
{
    struct ends ends = open_ends(CAPACITY);
    uint32_t tag = 0;
    for (uint32_t length = 1; length < 10; length++) {
        for (uint32_t i = 0; i + 1 < length; i++) {
            publish(&ends, tag++, MAPRING_MORE);
            cr_assert_eq(visible(&ends), 0);
        }
        publish(&ends, tag++, 0);
        cr_assert_eq(visible(&ends), (int32_t)length);
    }
    close_ends(&ends);
}

Test(runs, end_run)
{
    struct ends ends = open_ends(CAPACITY);
    cr_assert_status(mapring_end_run(ends.producer), MAPRING_OK);
    cr_assert_eq(visible(&ends), 0);
    publish(&ends, 0, MAPRING_MORE);
    publish(&ends, 1, MAPRING_MORE);
    cr_assert_eq(visible(&ends), 0);
    cr_assert_status(mapring_end_run(ends.producer), MAPRING_OK);
    cr_assert_eq(visible(&ends), 2);
    cr_assert_status(mapring_end_run(ends.producer), MAPRING_OK);
    cr_assert_eq(visible(&ends), 0);
    close_ends(&ends);
}

Test(runs, a_run_ends_with_its_stride)
{
    struct ends ends = open_ends(CAPACITY);
    uint32_t tag = 0;
    for (int round = 0; round < 200; round++) {
        uint32_t held = 0;
        int32_t seen;
        do {
            publish(&ends, tag++, MAPRING_MORE);
            held++;
            seen = visible(&ends);
            cr_assert_leq(held * 16, STRIDE + 16, "a run is as long as a stride at most");
        } while (seen == 0);
        /* All but the message that went into the next stride. */
        cr_assert_eq(seen, (int32_t)held - 1);
        cr_assert_status(mapring_end_run(ends.producer), MAPRING_OK);
        cr_assert_eq(visible(&ends), 1);
    }
    close_ends(&ends);
}

Test(runs, commits_in_a_run)
{
    struct ends ends = open_ends(CAPACITY);
    void *payload;
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_status(mapring_claim(ends.producer, 100, 0, &payload), MAPRING_OK);
        cr_assert_status(mapring_commit(ends.producer, 8 * (2 - i), i, i < 2 ? MAPRING_MORE : 0), MAPRING_OK);
        cr_assert_eq(visible(&ends), i < 2 ? 0 : 3);
    }
    /* A claim that is abandoned does not end the run. */
    publish(&ends, 3, MAPRING_MORE);
    cr_assert_status(mapring_claim(ends.producer, 8, 0, &payload), MAPRING_OK);
    cr_assert_status(mapring_abandon(ends.producer), MAPRING_OK);
    cr_assert_eq(visible(&ends), 0);
    publish(&ends, 4, 0);
    cr_assert_eq(visible(&ends), 2);
    close_ends(&ends);
}

Test(runs, a_batch_behind_a_run)
{
    struct ends ends = open_ends(CAPACITY);
    publish(&ends, 0, MAPRING_MORE);
    mapring_message batch[2] = {{.tag = 1}, {.tag = 2}};
    cr_assert_status(mapring_publish_batch(ends.producer, batch, 2, 0), 2);
    cr_assert_eq(visible(&ends), 3);
    publish(&ends, 3, MAPRING_MORE);
    mapring_message claimed[2] = {{.length = 8}, {.length = 8}};
    cr_assert_status(mapring_claim_batch(ends.producer, claimed, 2, 0), 2);
    claimed[0].tag = 4;
    claimed[1].tag = 5;
    cr_assert_status(mapring_commit_batch(ends.producer, claimed, 2), MAPRING_OK);
    cr_assert_eq(visible(&ends), 3);
    close_ends(&ends);
}

Test(runs, a_run_ends_before_waiting_and_failing)
{
    struct ends ends = open_ends(4096);
    uint32_t tag = 0;
    int32_t status;
    while ((status = mapring_publish(ends.producer, "12345678", 8, tag, MAPRING_MORE, 0)) == MAPRING_OK)
        tag++;
    cr_assert_status(status, MAPRING_FULL);
    int32_t seen = visible(&ends) + visible(&ends);
    cr_assert_eq(seen, (int32_t)tag, "all that was published before the failure is visible");

    publish(&ends, tag++, MAPRING_MORE);
    cr_assert_status(mapring_drain(ends.producer, 0), MAPRING_TIMEOUT);
    cr_assert_eq(visible(&ends), 1);
    publish(&ends, tag++, MAPRING_MORE);
    cr_assert_status(mapring_wait_consumers(ends.producer, 2, 0), MAPRING_TIMEOUT);
    cr_assert_eq(visible(&ends), 1);
    publish(&ends, tag++, MAPRING_MORE);
    cr_assert_status(mapring_end(ends.producer), MAPRING_OK);
    cr_assert_eq(visible(&ends), 1);
    close_ends(&ends);
}

Test(runs, closing_shows_the_run)
{
    struct ends ends = open_ends(CAPACITY);
    publish(&ends, 0, MAPRING_MORE);
    publish(&ends, 1, MAPRING_MORE);
    mapring_producer_close(ends.producer);
    cr_assert_eq(visible(&ends), 2);
    mapring_consumer_close(ends.consumer);
}
