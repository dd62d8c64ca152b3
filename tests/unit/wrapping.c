/*
 * Wrap-around: of the data at every alignment, of positions at 2^32 and 2^63.
 */
#include "rings.h"

TestSuite(wrapping, .timeout = 60);

#define SMALLEST 4096u

/* Publishes and reads messages until the next record starts at this offset of the data. */
static void go_to(struct ends *ends, uint64_t offset, uint64_t *position)
{
    while (*position % SMALLEST != offset) {
        uint64_t here = *position % SMALLEST;
        uint64_t size = (here < offset ? offset : SMALLEST) - here;
        if (size > 1016)
            size = 1016;
        put(ends, size - 8, *position);
        take(ends, size - 8, *position);
        *position += size;
    }
}

/* What a record of this length that starts at this position ends at, padding included. */
static uint64_t end_of(uint64_t position, uint64_t length)
{
    uint64_t size = 8 + (length + 7) / 8 * 8;
    uint64_t left = SMALLEST - position % SMALLEST;
    return position + (size > left ? left : 0) + size;
}

Test(wrapping, every_length_at_every_offset_before_the_end)
{
    struct ends ends = open_ends(SMALLEST);
    uint64_t position = 0;
    for (uint64_t before = 8; before <= 320; before += 8) {
        for (uint64_t length = 0; length <= 330; length += length < 80 || length + 24 > before ? 1 : 7) {
            go_to(&ends, SMALLEST - before, &position);
            put(&ends, length, position);
            take(&ends, length, position);
            position = end_of(position, length);
            /* The next one must be found, too. */
            put(&ends, 1, position);
            take(&ends, 1, position);
            position = end_of(position, 1);
            if (length % 64 == 0)
                cr_assert_eq(stat_of(ends.name).position, position);
        }
    }
    cr_assert_eq(stat_of(ends.name).position, position);
    close_ends(&ends);
}

Test(wrapping, every_length_in_the_smallest_ring)
{
    struct ends ends = open_ends(SMALLEST);
    for (uint64_t length = 0; length <= mapring_message_max(SMALLEST); length++) {
        const uint64_t lengths[] = {length, length % 19, length};
        for (uint64_t i = 0; i < 3; i++)
            put(&ends, lengths[i], i);
        for (uint64_t i = 0; i < 3; i++)
            take(&ends, lengths[i], i);
    }
    cr_assert_eq(stat_of(ends.name).messages, 3 * (mapring_message_max(SMALLEST) + 1));
    close_ends(&ends);
}

Test(wrapping, sampled_lengths_in_larger_rings)
{
    for (uint64_t capacity = 8192; capacity <= (uint64_t)4 << 20; capacity *= 8) {
        struct ends ends = open_ends(capacity);
        uint64_t longest = mapring_message_max(capacity), random = capacity;
        for (uint64_t i = 0; i < 300; i++) {
            uint64_t length = i < 10 ? longest - i : random_next(&random) % (longest >> random_next(&random) % 10);
            put(&ends, length, i);
            take(&ends, length, i);
        }
        close_ends(&ends);
    }
}

/* A full ring is emptied and filled, with every length of message in turn, so that the end of the data is met with
 * claims, copies, batches and runs. */
Test(wrapping, full_and_empty)
{
    struct ends ends = open_ends(SMALLEST);
    static char bytes[1024];
    uint64_t sent = 0, read = 0;
    for (uint64_t length = 0; length <= 1024; length += 3) {
        payload_fill(bytes, length, length);
        mapring_message batch[3];
        for (int i = 0; i < 3; i++)
            batch[i] = (mapring_message){.data = bytes, .length = length, .tag = (uint32_t)length};
        for (;;) {
            int32_t done;
            if (length % 4 == 0)
                done = mapring_publish_batch(ends.producer, batch, 3, 0);
            else if ((done = mapring_publish(ends.producer, bytes, length, (uint32_t)length,
                                             length % 4 == 1 ? MAPRING_MORE : 0, 0)) == MAPRING_OK)
                done = 1;
            if (done < 0) {
                cr_assert_status(done, MAPRING_FULL);
                break;
            }
            sent += (uint64_t)done;
        }
        static mapring_message messages[600];
        int32_t found = read_all(ends.consumer, messages, 600);
        cr_assert_gt(found, 0);
        for (int32_t i = 0; i < found; i++, read++) {
            cr_assert_eq(messages[i].sequence, read);
            cr_assert_eq(messages[i].length, length);
            cr_assert(payload_matches(messages[i].data, length, length));
        }
        cr_assert_eq(read, sent);
        cr_assert_status(mapring_release(ends.consumer, (uint32_t)found), MAPRING_OK);
        cr_assert(is_empty(&ends));
    }
    close_ends(&ends);
}

/* Crosses `boundary` from just below, with every start up to a lap before it, and with everything a ring can do. */
static void cross(uint64_t boundary)
{
    for (uint64_t before = 8; before <= 2 * SMALLEST; before += before < 256 ? 8 : 1000) {
        uint64_t first = boundary - before / 8 * 8;
        struct ends ends = open_ends_at(SMALLEST, first);
        mapring_ring_info info = stat_of(ends.name);
        cr_assert_eq(info.position, first);
        cr_assert_eq(info.messages, 0);
        uint64_t position = first, sent = 0;
        while (position < boundary + 2 * SMALLEST) {
            uint64_t length = sent * 37 % 1025;
            put(&ends, length, sent);
            position = end_of(position, length);
            if (sent % 5 == 0) {
                mapring_consumer *late = open_consumer(ends.name, MAPRING_FROM_OLDEST);
                mapring_message message;
                cr_assert_status(mapring_read(late, &message, 1, 0), 1);
                cr_assert_leq(message.sequence, sent);
                mapring_consumer_close(late);
            }
            if (sent % 7 == 0) {
                mapring_producer_close(ends.producer);
                cr_assert_status(mapring_producer_open(ends.name, NULL, &ends.producer), 1);
            }
            take(&ends, length, sent);
            sent++;
            info = stat_of(ends.name);
            cr_assert_eq(info.position, position);
            cr_assert_eq(info.messages, sent);
        }
        cr_assert(is_empty(&ends)); /* so that the producer knows of every release */
        uint64_t full = 0;
        while (mapring_publish(ends.producer, "12345678", 8, 0, 0, 0) == MAPRING_OK)
            full++;
        cr_assert_geq(full, 254);
        for (uint64_t i = 0; i < full; i++) {
            mapring_message message;
            cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), 1);
            cr_assert_eq(message.sequence, sent + i);
            cr_assert_status(mapring_release(ends.consumer, 1), MAPRING_OK);
        }
        cr_assert(is_empty(&ends));
        close_ends(&ends);
    }
}

Test(wrapping, positions_at_2_32)
{
    cross((uint64_t)1 << 32);
}

Test(wrapping, positions_at_2_63)
{
    cross((uint64_t)1 << 63);
}
