/*
 * Rings of every capacity from the smallest to 1 GiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>

#include "rings.h"

TestSuite(capacities, .timeout = 120);

static bool memory_is_short(uint64_t needed)
{
    struct sysinfo memory;
    struct statvfs names;
    const char *folder = getenv("MAPRING_DIR");
    return sysinfo(&memory) != 0 || (uint64_t)memory.freeram * memory.mem_unit < needed ||
           (folder != NULL && (statvfs(folder, &names) != 0 || names.f_bavail * names.f_bsize < needed));
}

static void use(uint64_t capacity)
{
    struct ends ends = open_ends(capacity);
    mapring_ring_info info = stat_of(ends.name);
    cr_assert_eq(info.capacity, capacity);
    cr_assert_geq(info.memory, capacity);
    cr_assert_leq(info.memory, capacity + 65536);
    uint64_t longest = mapring_message_max(capacity);
    cr_assert_eq(longest, capacity / 4);

    /* Marks at the ends of messages that go around once: the whole of it is really there. */
    for (uint64_t i = 0; i < 7; i++) {
        void *payload;
        cr_assert_status(mapring_claim(ends.producer, longest, 0, &payload), MAPRING_OK);
        uint64_t *words = payload;
        words[0] = i;
        words[longest / 16] = i + 1;
        words[longest / 8 - 1] = i + 2;
        cr_assert_status(mapring_commit(ends.producer, longest, 0, 0), MAPRING_OK);
        mapring_message message;
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), 1);
        cr_assert_eq(message.length, longest);
        const uint64_t *got = message.data;
        cr_assert(got[0] == i && got[longest / 16] == i + 1 && got[longest / 8 - 1] == i + 2);
        cr_assert_status(mapring_release(ends.consumer, 1), MAPRING_OK);
    }
    /* Three of the longest messages fit at once wherever they start. */
    for (uint64_t i = 0; i < 2; i++) {
        void *payload;
        cr_assert_status(mapring_claim(ends.producer, longest, 0, &payload), MAPRING_OK);
        cr_assert_status(mapring_commit(ends.producer, longest, 0, 0), MAPRING_OK);
    }
    close_ends(&ends);
}

Test(capacities, from_the_smallest_on)
{
    for (uint64_t capacity = mapring_capacity_min(); capacity <= (uint64_t)64 << 20; capacity *= 2)
        use(capacity);
}

Test(capacities, large)
{
    for (uint64_t capacity = (uint64_t)128 << 20; capacity <= (uint64_t)1 << 30; capacity *= 2) {
        if (memory_is_short(capacity + ((uint64_t)512 << 20))) {
            fprintf(stderr, "not tried for want of memory: a ring of %llu MiB\n", (unsigned long long)(capacity >> 20));
            return;
        }
        use(capacity);
    }
}

Test(capacities, more_than_there_is)
{
    if (!memory_is_short(mapring_capacity_max())) {
        fprintf(stderr, "not tried: there is memory enough for the largest ring\n");
        return;
    }
    char name[64];
    unique_name(name);
    mapring_producer_options options = {.struct_size = sizeof options, .capacity = mapring_capacity_max()};
    mapring_producer *producer;
    int32_t status = mapring_producer_open(name, &options, &producer);
    cr_assert(status == MAPRING_NO_SPACE || status == MAPRING_NO_MEMORY, "%s", mapring_status_name(status));
    mapring_consumer *consumer;
    cr_assert_status(mapring_consumer_open(name, NULL, &consumer), MAPRING_NOT_FOUND);
}
