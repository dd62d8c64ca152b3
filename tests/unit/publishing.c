/*
 * Publishing: copying, in place, in batches.
 */
#include <string.h>

#include "rings.h"

TestSuite(publishing, .timeout = 20);

Test(publishing, a_message_arrives_as_it_was_sent)
{
    struct ends ends = open_ends(4096);
    char bytes[] = "a message";
    cr_assert_status(mapring_publish(ends.producer, bytes, sizeof bytes, 0xfedcba98u, 0, 0), MAPRING_OK);
    memset(bytes, 0, sizeof bytes);
    mapring_message message;
    cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), 1);
    cr_assert_str_eq(message.data, "a message");
    cr_assert_eq(message.length, sizeof bytes);
    cr_assert_eq(message.tag, 0xfedcba98u);
    cr_assert_eq(message.sequence, 0);
    cr_assert_eq(message.flags, 0);
    cr_assert_eq((uintptr_t)message.data % 8, 0);
    close_ends(&ends);
}

Test(publishing, zero_length_messages)
{
    struct ends ends = open_ends(4096);
    for (uint64_t i = 0; i < 1000; i++) {
        cr_assert_status(mapring_publish(ends.producer, i % 2 == 0 ? NULL : "", 0, (uint32_t)i, 0, 0), MAPRING_OK);
        mapring_message message;
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), 1);
        cr_assert_eq(message.length, 0);
        cr_assert_eq(message.sequence, i);
        cr_assert_eq(message.tag, i);
        cr_assert_not_null(message.data);
        cr_assert_status(mapring_release(ends.consumer, 1), MAPRING_OK);
    }
    close_ends(&ends);
}

Test(publishing, the_longest_message_and_one_byte_more)
{
    struct ends ends = open_ends(8192);
    static char bytes[4096];
    void *payload;
    mapring_message messages[2] = {{.data = bytes, .length = 1}, {.data = bytes, .length = 2049}};
    uint64_t longest = mapring_message_max(8192);
    cr_assert_eq(longest, 2048);
    cr_assert_status(mapring_publish(ends.producer, bytes, longest + 1, 0, 0, MAPRING_FOREVER),
                     MAPRING_MESSAGE_TOO_LARGE);
    cr_assert_status(mapring_publish(ends.producer, bytes, UINT64_MAX, 0, 0, 0), MAPRING_MESSAGE_TOO_LARGE);
    cr_assert_status(mapring_publish(ends.producer, bytes, (uint64_t)1 << 32, 0, 0, 0), MAPRING_MESSAGE_TOO_LARGE);
    cr_assert_status(mapring_claim(ends.producer, longest + 1, 0, &payload), MAPRING_MESSAGE_TOO_LARGE);
    cr_assert_status(mapring_claim(ends.producer, UINT64_MAX - 6, 0, &payload), MAPRING_MESSAGE_TOO_LARGE);
    cr_assert_status(mapring_publish_batch(ends.producer, messages, 2, 0), 1);
    mapring_message message;
    cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), 1);
    cr_assert_status(mapring_release(ends.consumer, 1), MAPRING_OK);
    cr_assert_status(mapring_publish_batch(ends.producer, messages + 1, 1, 0), MAPRING_MESSAGE_TOO_LARGE);
    cr_assert_status(mapring_claim_batch(ends.producer, messages + 1, 1, 0), MAPRING_MESSAGE_TOO_LARGE);
    cr_assert_status(mapring_abandon(ends.producer), MAPRING_NO_CLAIM);
    for (int i = 0; i < 20; i++) {
        put(&ends, longest, 5);
        take(&ends, longest, 5);
    }
    close_ends(&ends);
}

Test(publishing, claims)
{
    struct ends ends = open_ends(4096);
    void *payload, *second;
    cr_assert_status(mapring_claim(ends.producer, 40, 0, &payload), MAPRING_OK);
    cr_assert_eq((uintptr_t)payload % 8, 0);
    payload_fill(payload, 40, 3);
    cr_assert(is_empty(&ends), "nothing is visible before the commit");

    mapring_message message = {.data = "x", .length = 1};
    cr_assert_status(mapring_claim(ends.producer, 1, 0, &second), MAPRING_CLAIM_OPEN);
    cr_assert_status(mapring_claim_batch(ends.producer, &message, 1, 0), MAPRING_CLAIM_OPEN);
    cr_assert_status(mapring_publish(ends.producer, "x", 1, 0, 0, 0), MAPRING_CLAIM_OPEN);
    cr_assert_status(mapring_publish_batch(ends.producer, &message, 1, 0), MAPRING_CLAIM_OPEN);
    cr_assert_status(mapring_end(ends.producer), MAPRING_CLAIM_OPEN);

    cr_assert_status(mapring_commit(ends.producer, 48, 0, 0), MAPRING_MESSAGE_TOO_LARGE);
    cr_assert_status(mapring_commit(ends.producer, UINT64_MAX, 0, 0), MAPRING_MESSAGE_TOO_LARGE);
    cr_assert_status(mapring_commit(ends.producer, 40, 0, 8), MAPRING_INVALID_ARGUMENT);
    cr_assert(is_empty(&ends), "a refused commit leaves the claim open");
    cr_assert_status(mapring_commit(ends.producer, 40, 3, 0), MAPRING_OK);
    cr_assert_status(mapring_commit(ends.producer, 0, 0, 0), MAPRING_NO_CLAIM);
    take(&ends, 40, 3);
    close_ends(&ends);
}

Test(publishing, no_byte_more_than_was_claimed)
{
    struct ends ends = open_ends(4096);
    for (uint64_t claimed = 0; claimed < 32; claimed++) {
        void *payload;
        cr_assert_status(mapring_claim(ends.producer, claimed, 0, &payload), MAPRING_OK);
        cr_assert_status(mapring_commit(ends.producer, claimed + 1, 0, 0), MAPRING_MESSAGE_TOO_LARGE);
        payload_fill(payload, claimed, claimed);
        cr_assert_status(mapring_commit(ends.producer, claimed, (uint32_t)claimed, 0), MAPRING_OK);
        take(&ends, claimed, claimed);
    }
    close_ends(&ends);
}

Test(publishing, committed_shorter)
{
    struct ends ends = open_ends(4096);
    for (uint64_t claimed = 0; claimed <= 1024; claimed += 31) {
        for (uint64_t length = 0; length <= claimed; length += 29) {
            void *payload;
            cr_assert_status(mapring_claim(ends.producer, claimed, 0, &payload), MAPRING_OK);
            memset(payload, 0xff, claimed); /* what is left of it must not look like a record */
            payload_fill(payload, length, length);
            cr_assert_status(mapring_commit(ends.producer, length, (uint32_t)length, 0), MAPRING_OK);
            take(&ends, length, length);
            cr_assert(is_empty(&ends));
        }
    }
    close_ends(&ends);
}

Test(publishing, an_abandoned_claim_leaves_nothing)
{
    struct ends ends = open_ends(4096);
    cr_assert_status(mapring_abandon(ends.producer), MAPRING_NO_CLAIM);
    for (uint64_t i = 0; i < 500; i++) {
        uint64_t length = i * 7 % 1025;
        void *payload;
        cr_assert_status(mapring_claim(ends.producer, length, 0, &payload), MAPRING_OK);
        memset(payload, 0xff, length);
        cr_assert_status(mapring_abandon(ends.producer), MAPRING_OK);
        cr_assert(is_empty(&ends));
        put(&ends, i % 50, i);
        take(&ends, i % 50, i);
    }
    cr_assert_eq(stat_of(ends.name).messages, 500);
    close_ends(&ends);
}

Test(publishing, batches)
{
    struct ends ends = open_ends(4096);
    static char bytes[16][64];
    uint64_t sent = 0, read = 0;
    for (uint32_t count = 0; count <= 16; count++) {
        mapring_message messages[16];
        for (uint32_t i = 0; i < count; i++) {
            uint64_t length = (sent + i) % 64;
            payload_fill(bytes[i], length, sent + i);
            messages[i] = (mapring_message){.data = bytes[i], .length = length, .tag = (uint32_t)(sent + i)};
        }
        cr_assert_status(mapring_publish_batch(ends.producer, messages, count, 0), (int32_t)count);
        sent += count;

        mapring_message got[20];
        int32_t found = read_all(ends.consumer, got, 20);
        cr_assert_eq(found, (int32_t)count);
        for (int32_t i = 0; i < found; i++, read++) {
            cr_assert_eq(got[i].sequence, read);
            cr_assert_eq(got[i].length, read % 64);
            cr_assert(payload_matches(got[i].data, read % 64, read));
        }
        cr_assert_status(mapring_release(ends.consumer, count), MAPRING_OK);
    }
    cr_assert_status(mapring_publish_batch(ends.producer, NULL, 0, 0), 0);
    close_ends(&ends);
}

Test(publishing, a_batch_that_does_not_fit)
{
    struct ends ends = open_ends(4096);
    static char bytes[500];
    mapring_message messages[10];
    for (int i = 0; i < 10; i++)
        messages[i] = (mapring_message){.data = bytes, .length = sizeof bytes, .tag = (uint32_t)i};
    int32_t sent = mapring_publish_batch(ends.producer, messages, 10, 0);
    cr_assert_eq(sent, 7, "of 8 records of 512 bytes the last has no room for the header behind it");
    close_ends(&ends);
}

Test(publishing, an_unfit_message_in_a_batch)
{
    struct ends ends = open_ends(4096);
    mapring_message messages[3] = {{.data = "a", .length = 1}, {.data = NULL, .length = 1}, {.data = "c", .length = 1}};
    cr_assert_status(mapring_publish_batch(ends.producer, messages, 3, 0), 1);
    cr_assert_status(mapring_publish_batch(ends.producer, messages + 1, 2, 0), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_publish_batch(ends.producer, messages + 2, 1, 0), 1);
    mapring_message got[3];
    cr_assert_status(mapring_read(ends.consumer, got, 3, 0), 2);
    cr_assert_eq(*(const char *)got[0].data, 'a');
    cr_assert_eq(*(const char *)got[1].data, 'c');
    close_ends(&ends);
}

Test(publishing, batches_of_claims)
{
    struct ends ends = open_ends(65536);
    uint64_t random = 4, sent = 0, read = 0;
    for (int round = 0; round < 3000; round++) {
        mapring_message messages[8];
        uint32_t asked = (uint32_t)(random_next(&random) % 8) + 1;
        for (uint32_t i = 0; i < asked; i++)
            messages[i] = (mapring_message){.length = random_next(&random) % 200};
        int32_t granted = mapring_claim_batch(ends.producer, messages, asked, 0);
        cr_assert(granted >= 1 && granted <= (int32_t)asked);
        cr_assert(is_empty(&ends));
        /* Some are committed shorter, and some at the end not at all. */
        uint32_t committed = (uint32_t)(random_next(&random) % ((uint64_t)granted + 1));
        for (int32_t i = 0; i < granted; i++) {
            memset((void *)(uintptr_t)messages[i].data, 0xff, messages[i].length);
            cr_assert_eq((uintptr_t)messages[i].data % 8, 0);
        }
        for (uint32_t i = 0; i < committed; i++, sent++) {
            messages[i].length = random_next(&random) % (messages[i].length + 1);
            messages[i].tag = (uint32_t)messages[i].length;
            payload_fill((void *)(uintptr_t)messages[i].data, messages[i].length, sent);
        }
        cr_assert_status(mapring_commit_batch(ends.producer, messages, committed), MAPRING_OK);
        cr_assert_status(mapring_abandon(ends.producer), MAPRING_NO_CLAIM);

        mapring_message got[9];
        int32_t found = read_all(ends.consumer, got, 9);
        cr_assert_eq(found, (int32_t)committed);
        for (int32_t i = 0; i < found; i++, read++) {
            cr_assert_eq(got[i].sequence, read);
            cr_assert_eq(got[i].length, got[i].tag);
            cr_assert(payload_matches(got[i].data, got[i].length, read));
        }
        cr_assert_status(mapring_release(ends.consumer, committed), MAPRING_OK);
    }
    cr_assert_status(mapring_claim_batch(ends.producer, NULL, 0, 0), 0);
    cr_assert_status(mapring_abandon(ends.producer), MAPRING_NO_CLAIM);
    close_ends(&ends);
}

Test(publishing, a_batch_is_committed_as_granted)
{
    struct ends ends = open_ends(65536);
    mapring_message granted[3] = {{.length = 16}, {.length = 16}, {.length = 16}};
    cr_assert_status(mapring_commit_batch(ends.producer, granted, 1), MAPRING_NO_CLAIM);
    cr_assert_status(mapring_claim_batch(ends.producer, granted, 3, 0), 3);
    cr_assert_status(mapring_commit(ends.producer, 1, 0, 0), MAPRING_INVALID_ARGUMENT);

    mapring_message changed[4] = {granted[0], granted[1], granted[2], granted[2]};
    cr_assert_status(mapring_commit_batch(ends.producer, changed, 4), MAPRING_INVALID_ARGUMENT);
    changed[1].data = "elsewhere";
    cr_assert_status(mapring_commit_batch(ends.producer, changed, 3), MAPRING_INVALID_ARGUMENT);
    changed[1].data = (const char *)granted[1].data + 4;
    cr_assert_status(mapring_commit_batch(ends.producer, changed, 3), MAPRING_INVALID_ARGUMENT);
    changed[1] = granted[2];
    changed[2] = granted[1];
    cr_assert_status(mapring_commit_batch(ends.producer, changed, 3), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_commit_batch(ends.producer, granted + 1, 2), MAPRING_INVALID_ARGUMENT);
    changed[1] = granted[1];
    changed[2] = granted[2];
    changed[1].length = 24;
    cr_assert_status(mapring_commit_batch(ends.producer, changed, 3), MAPRING_MESSAGE_TOO_LARGE);
    changed[1].length = UINT64_MAX;
    cr_assert_status(mapring_commit_batch(ends.producer, changed, 3), MAPRING_MESSAGE_TOO_LARGE);
    cr_assert(is_empty(&ends));

    for (int i = 0; i < 3; i++)
        memset((void *)(uintptr_t)granted[i].data, 'a' + i, 16);
    cr_assert_status(mapring_commit_batch(ends.producer, granted, 3), MAPRING_OK);
    mapring_message got[3];
    cr_assert_status(mapring_read(ends.consumer, got, 3, 0), 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(*(const char *)got[i].data, 'a' + i);
    close_ends(&ends);
}

/* Fills a ring with messages too long to be fetched before they are written, of which only the headers are. Returns how
 * long the part took where a consumer is far behind. */
static int64_t time_to_fill(struct ends *ends, uint64_t capacity, int64_t timeout_ns)
{
    const uint64_t size = capacity / 512, count = 500;
    int64_t begin = 0;
    for (uint64_t i = 0; i < count; i++) {
        void *payload;
        if (i == count / 3 * 2)
            begin = now_ns();
        cr_assert_status(mapring_claim(ends->producer, size - 8, timeout_ns, &payload), MAPRING_OK);
        cr_assert_status(mapring_commit(ends->producer, size - 8, 0, 0), MAPRING_OK);
    }
    int64_t taken = now_ns() - begin;
    mapring_message messages[64];
    for (int32_t got = 1; got > 0;) {
        got = mapring_read(ends->consumer, messages, 64, 0);
        cr_assert(got >= 0);
        cr_assert_status(mapring_release(ends->consumer, (uint32_t)got), MAPRING_OK);
    }
    return taken;
}

/* The fastest of some attempts: what is paced never is fast, and what is not is not slow each time. */
static int64_t fastest_fill(struct ends *ends, uint64_t capacity, int64_t timeout_ns)
{
    int64_t fastest = INT64_MAX;
    for (int attempt = 0; attempt < 50; attempt++) {
        int64_t taken = time_to_fill(ends, capacity, timeout_ns);
        fastest = taken < fastest ? taken : fastest;
    }
    return fastest;
}

/* A consumer that does not come on is waited for during 3/16 of the capacity; this is half of that at the pace. */
#define PACED_NS(capacity) ((int64_t)(capacity) / 32 * 3 / 6)

static void assert_is_not_paced(mapring_producer_options options, uint64_t capacity, int64_t timeout_ns)
{
    struct ends ends = {0};
    unique_name(ends.name);
    options.struct_size = sizeof options;
    options.capacity = capacity;
    cr_assert_status(mapring_producer_open(ends.name, &options, &ends.producer), MAPRING_OK);
    ends.consumer = open_consumer(ends.name, MAPRING_FROM_OLDEST);
    cr_assert_lt(fastest_fill(&ends, capacity, timeout_ns), PACED_NS(capacity));
    close_ends(&ends);
}

#define PACED_CAPACITY ((uint64_t)8 << 20)

Test(publishing, is_paced_while_a_consumer_is_far_behind)
{
    struct ends ends = open_ends(PACED_CAPACITY);
    cr_assert_gt(fastest_fill(&ends, PACED_CAPACITY, MAPRING_FOREVER), PACED_NS(PACED_CAPACITY));
    close_ends(&ends);
}

Test(publishing, is_not_paced_when_it_may_not_wait_or_is_to_sleep_or_in_a_small_ring)
{
    assert_is_not_paced((mapring_producer_options){0}, PACED_CAPACITY, 0);
    assert_is_not_paced((mapring_producer_options){.slow_policy = MAPRING_SLOW_FAIL}, PACED_CAPACITY, MAPRING_FOREVER);
    assert_is_not_paced((mapring_producer_options){.waiting = MAPRING_WAIT_PARK}, PACED_CAPACITY, MAPRING_FOREVER);
    assert_is_not_paced((mapring_producer_options){0}, (uint64_t)1 << 20, MAPRING_FOREVER);
}
