/*
 * Groups: each message to one member.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kinds.h"

TestSuite(groups, .timeout = 20);

#define CAPACITY 4096u
#define GROUPS_MAX 16

static mapring_consumer *join_group(const struct stream *stream, const char *group, int32_t status)
{
    return stream_join(stream, CONSUMER(.kind = MAPRING_MEMBER, .group = group), status);
}

static mapring_group_info group_of(const struct stream *stream)
{
    mapring_group_info info;
    cr_assert_status(mapring_groups(stream->name, NULL, &info, 1), 1);
    return info;
}

Test(groups, give_each_message_to_one)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY, .first_position = 3 * 4096));
    mapring_consumer *members[3];
    for (int i = 0; i < 3; i++)
        members[i] = join_group(&stream, "workers", i == 0 ? MAPRING_OK : MAPRING_RESUMED);
    mapring_consumer *plain = stream_join(&stream, NULL, MAPRING_OK);
    uint64_t random = 1, next = 0, got[3] = {0};
    for (int round = 0; round < 1000; round++) {
        stream_put(&stream, 8);
        while (next < stream.sequence) {
            uint64_t i = random_next(&random) % 3;
            mapring_message messages[5];
            uint8_t bytes[1200];
            bool copy = random_next(&random) % 2 == 0;
            uint32_t max = 1 + (uint32_t)(random_next(&random) % 5);
            int32_t count = copy ? mapring_receive(members[i], bytes, sizeof bytes, messages, max, 0)
                                 : mapring_read(members[i], messages, max, 0);
            cr_assert_gt(count, 0, "%s", mapring_status_name(count));
            for (int32_t m = 0; m < count; m++) {
                cr_assert(is_message(&messages[m], next++));
                cr_assert_eq(messages[m].flags, 0);
            }
            if (!copy)
                cr_assert_status(mapring_release(members[i], (uint32_t)count), MAPRING_OK);
            got[i] += (uint64_t)count;
        }
        for (int i = 0; i < 3; i++)
            cr_assert_status(try_read(members[i]), 0);
        for (uint64_t sequence = next - 8; sequence < next; sequence++)
            expect(plain, sequence);
        cr_assert_status(try_read(plain), 0);
    }
    cr_assert_eq(got[0] + got[1] + got[2], stream.sequence);
    cr_assert(got[0] > 1000 && got[1] > 1000 && got[2] > 1000);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(progress_of(members[i]).position, stream.position);
        cr_assert_eq(progress_of(members[i]).sequence, stream.sequence);
        cr_assert_eq(progress_of(members[i]).redelivered, 0);
        mapring_consumer_close(members[i]);
    }
    mapring_consumer_close(plain);
    stream_close(&stream);
}

Test(groups, members_release_before_they_read_on)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *member = join_group(&stream, "g", MAPRING_OK);
    stream_put(&stream, 10);
    mapring_message messages[4];
    uint8_t bytes[256];
    cr_assert_status(mapring_release(member, 0), MAPRING_OK);
    cr_assert_status(mapring_release(member, 1), MAPRING_NOT_READ);
    cr_assert_status(mapring_read(member, messages, 4, 0), 4);
    cr_assert_status(mapring_read(member, messages, 4, 0), MAPRING_UNRELEASED);
    cr_assert_status(mapring_receive(member, bytes, sizeof bytes, messages, 1, 0), MAPRING_UNRELEASED);
    cr_assert_status(mapring_release(member, 5), MAPRING_NOT_READ);
    cr_assert_status(mapring_release(member, 3), MAPRING_OK);
    cr_assert_eq(progress_of(member).unreleased, 1);
    cr_assert_status(mapring_read(member, messages, 4, 0), MAPRING_UNRELEASED);
    cr_assert_status(mapring_release(member, 1), MAPRING_OK);
    cr_assert_status(mapring_release(member, 1), MAPRING_NOT_READ);
    expect(member, 4);
    cr_assert_status(mapring_rejoin(member), MAPRING_INVALID_ARGUMENT);
    mapring_consumer_close(member);
    stream_close(&stream);
}

/* The buffer is too small: the message stays the member's, and is not another's. */
Test(groups, keep_what_does_not_fit)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *member = join_group(&stream, "g", MAPRING_OK);
    mapring_consumer *other = join_group(&stream, "g", MAPRING_RESUMED);
    uint64_t long_one = 0;
    while (stream_length(long_one) < 64)
        long_one++;
    stream_put(&stream, long_one);
    for (uint64_t i = 0; i < long_one; i++)
        expect(member, i);
    stream_put(&stream, 2);
    mapring_message message;
    uint8_t bytes[256];
    for (int i = 0; i < 3; i++) {
        cr_assert_status(mapring_receive(member, bytes, 8, &message, 1, 0), MAPRING_BUFFER_TOO_SMALL);
        cr_assert_eq(message.length, stream_length(long_one));
    }
    expect(other, long_one + 1);
    expect_copy(member, long_one);
    /* And if it goes without it, another gets it. */
    stream_put(&stream, 1);
    while (stream_length(stream.sequence - 1) < 64) {
        expect(member, stream.sequence - 1);
        stream_put(&stream, 1);
    }
    cr_assert_status(mapring_receive(member, bytes, 8, &message, 1, 0), MAPRING_BUFFER_TOO_SMALL);
    mapring_consumer_close(member);
    cr_assert_status(mapring_read(other, &message, 1, 0), 1);
    cr_assert(is_message(&message, stream.sequence - 1));
    cr_assert_eq(message.flags, MAPRING_REDELIVERED);
    mapring_consumer_close(other);
    stream_close(&stream);
}

Test(groups, who_leaves_leaves_what_it_had_to_the_others)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *leaver = join_group(&stream, "g", MAPRING_OK);
    mapring_consumer *heir = join_group(&stream, "g", MAPRING_RESUMED);
    stream_put(&stream, 10);
    mapring_message messages[10];
    cr_assert_status(mapring_read(leaver, messages, 6, 0), 6);
    cr_assert_status(mapring_release(leaver, 2), MAPRING_OK);
    cr_assert_eq(group_of(&stream).members, 2);
    mapring_consumer_close(leaver);
    cr_assert_eq(group_of(&stream).members, 1);
    cr_assert_eq(group_of(&stream).dead, 1);
    cr_assert_eq(group_of(&stream).lag_messages, 4);
    /* In whatever order. */
    bool seen[10] = {false};
    uint64_t redelivered = 0;
    for (int i = 0; i < 8; i++) {
        cr_assert_status(mapring_read(heir, messages, 1, 0), 1);
        uint64_t sequence = messages[0].sequence;
        cr_assert(sequence >= 2 && sequence < 10 && !seen[sequence]);
        cr_assert(is_message(&messages[0], sequence));
        cr_assert_eq(messages[0].flags, sequence < 6 ? MAPRING_REDELIVERED : 0);
        seen[sequence] = true;
        redelivered += messages[0].flags == MAPRING_REDELIVERED;
        cr_assert_status(mapring_release(heir, 1), MAPRING_OK);
    }
    cr_assert_status(try_read(heir), 0);
    cr_assert_eq(redelivered, 4);
    cr_assert_eq(progress_of(heir).redelivered, 4);
    cr_assert_eq(group_of(&stream).dead, 0);
    mapring_consumer_info info[4];
    mapring_ring_info ring = {.struct_size = sizeof ring};
    cr_assert_status(mapring_stat(stream.name, NULL, &ring, info, 4), 1);
    cr_assert_eq(info[0].redelivered, 4);
    cr_assert_eq(info[0].kind, MAPRING_MEMBER);
    cr_assert_str_eq(info[0].own_name, "g");
    cr_assert_status(mapring_drain(stream.producer, 0), MAPRING_OK);
    mapring_consumer_close(heir);
    stream_close(&stream);
}

/* Through several hands, around the end of the data, with filters, and released in parts. */
Test(groups, leave_again_and_again)
{
    for (int filtered = 0; filtered < 2; filtered++) {
        struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
        mapring_consumer_options *options = CONSUMER(.kind = MAPRING_MEMBER, .group = "g");
        options->tag_mask = filtered ? 1 : 0;
        uint64_t random = 3, done = 0;
        uint8_t *times = calloc(STREAM_MAX, 1);
        mapring_consumer *member = stream_join(&stream, options, MAPRING_OK);
        for (int round = 0; round < 2000; round++) {
            stream_fill(&stream);
            mapring_message messages[12];
            int32_t count = mapring_read(member, messages, 1 + (uint32_t)(random_next(&random) % 12), 0);
            cr_assert_geq(count, 0);
            uint32_t released = count == 0 ? 0 : (uint32_t)(random_next(&random) % ((uint64_t)count + 1));
            for (int32_t i = 0; i < count; i++) {
                uint64_t sequence = messages[i].sequence;
                cr_assert(is_message(&messages[i], sequence), "message %lu is another", sequence);
                cr_assert(!filtered || sequence % 2 == 0);
                cr_assert_eq(messages[i].flags == MAPRING_REDELIVERED, times[sequence] > 0 && times[sequence] < 100);
                cr_assert_lt(times[sequence], 100, "message %lu comes after it was released", sequence);
                times[sequence] = (uint8_t)(times[sequence] + (times[sequence] < 50));
                if ((uint32_t)i < released) {
                    times[sequence] = 100;
                    done++;
                }
            }
            cr_assert_status(mapring_release(member, released), MAPRING_OK);
            if (released < (uint32_t)count || random_next(&random) % 8 == 0) {
                mapring_consumer_close(member);
                member = stream_join(&stream, options, MAPRING_RESUMED);
            }
        }
        cr_assert_status(mapring_end(stream.producer), MAPRING_OK);
        mapring_message message;
        int32_t status;
        while ((status = mapring_read(member, &message, 1, 0)) == 1) {
            cr_assert_lt(times[message.sequence], 100);
            done++;
            cr_assert_status(mapring_release(member, 1), MAPRING_OK);
        }
        cr_assert_status(status, MAPRING_STREAM_ENDED);
        cr_assert_eq(done, filtered ? (stream.sequence + 1) / 2 : stream.sequence);
        mapring_consumer_close(member);
        free(times);
        stream_close(&stream);
    }
}

Test(groups, keep_their_place_without_members)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *member = join_group(&stream, "g", MAPRING_OK);
    stream_put(&stream, 3);
    expect(member, 0);
    mapring_consumer_close(member);
    cr_assert_eq(group_of(&stream).members, 0);
    cr_assert_gt(stream_fill(&stream), 0);
    cr_assert_status(mapring_drain(stream.producer, 0), MAPRING_TIMEOUT);
    /* A start is for new groups. */
    member = stream_join(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "g", .start = MAPRING_FROM_NEWEST),
                         MAPRING_RESUMED);
    expect(member, 1);
    mapring_consumer_close(member);
    member = stream_join(
        &stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "g", .start = MAPRING_FROM_TIME, .start_value = UINT64_MAX),
        MAPRING_RESUMED);
    expect(member, 2);
    mapring_consumer_close(member);
    cr_assert_status(mapring_forget(stream.name, "g"), MAPRING_OK);
    cr_assert_status(mapring_forget(stream.name, "g"), MAPRING_NOT_FOUND);
    cr_assert_status(mapring_drain(stream.producer, 0), MAPRING_OK);
    stream_put(&stream, 100);
    stream_close(&stream);
}

Test(groups, do_not_hold_the_producer_back_beyond_the_time_they_may)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY, .hold_ns = 150 * MS));
    mapring_consumer *member = join_group(&stream, "g", MAPRING_OK);
    stream_put(&stream, 3);
    mapring_message messages[3];
    cr_assert_status(mapring_read(member, messages, 3, 0), 3);
    mapring_consumer_close(member);
    stream_fill(&stream);
    int64_t start = now_ns();
    cr_assert_status(stream_try(&stream, 5000 * MS), MAPRING_OK);
    cr_assert_geq(now_ns() - start, 100 * MS);
    cr_assert_lt(now_ns() - start, 1000 * MS);
    cr_assert_eq(stat_of(stream.name).groups, 0);
    cr_assert_eq(stat_of(stream.name).evictions, 1);
    /* It starts anew. */
    member =
        stream_join(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "g", .start = MAPRING_FROM_NEWEST), MAPRING_OK);
    cr_assert_status(try_read(member), 0);
    mapring_consumer_close(member);
    stream_close(&stream);
}

Test(groups, filter_alike)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *member =
        stream_join(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "g", .tag_mask = 3, .tag_value = 1), MAPRING_OK);
    stream_refuses(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "g"), MAPRING_GROUP_DIFFERS);
    stream_refuses(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "g", .tag_mask = 3, .tag_value = 2),
                   MAPRING_GROUP_DIFFERS);
    stream_refuses(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "g", .tag_mask = 7, .tag_value = 1),
                   MAPRING_GROUP_DIFFERS);
    cr_assert_eq(stat_of(stream.name).consumers, 1);
    mapring_consumer_close(member);
    stream_refuses(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "g"), MAPRING_GROUP_DIFFERS);
    mapring_group_info info = group_of(&stream);
    cr_assert_eq(info.tag_mask, 3);
    cr_assert_eq(info.tag_value, 1);
    cr_assert_str_eq(info.name, "g");
    cr_assert_status(mapring_forget(stream.name, "g"), MAPRING_OK);
    mapring_consumer_close(join_group(&stream, "g", MAPRING_OK));
    stream_close(&stream);
}

/* Only when nobody has anything any more. */
Test(groups, end_together)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *members[3];
    for (int i = 0; i < 3; i++)
        members[i] = join_group(&stream, "g", i == 0 ? MAPRING_OK : MAPRING_RESUMED);
    stream_put(&stream, 3);
    cr_assert_status(mapring_end(stream.producer), MAPRING_OK);
    mapring_message message;
    cr_assert_status(mapring_read(members[0], &message, 1, 0), 1);
    cr_assert_status(mapring_read(members[1], &message, 1, 0), 1);
    expect(members[2], 2);
    cr_assert_status(try_read(members[2]), 0);
    int64_t start = now_ns();
    cr_assert_status(mapring_read(members[2], &message, 1, 30 * MS), 0);
    cr_assert_geq(now_ns() - start, 30 * MS);
    cr_assert_status(mapring_release(members[1], 1), MAPRING_OK);
    cr_assert_status(try_read(members[1]), 0);
    cr_assert_status(try_read(members[2]), 0);
    /* The first goes without releasing. */
    mapring_consumer_close(members[0]);
    cr_assert_status(mapring_read(members[2], &message, 1, 1000 * MS), 1);
    cr_assert(is_message(&message, 0));
    cr_assert_status(try_read(members[1]), 0);
    cr_assert_status(mapring_release(members[2], 1), MAPRING_OK);
    cr_assert_status(try_read(members[1]), MAPRING_STREAM_ENDED);
    cr_assert_status(try_read(members[2]), MAPRING_STREAM_ENDED);
    /* Who joins after the end as well; and after a takeover it goes on. */
    mapring_consumer *late = join_group(&stream, "g", MAPRING_RESUMED);
    cr_assert_status(try_read(late), MAPRING_STREAM_ENDED);
    stream_take_over(&stream);
    cr_assert_status(try_read(late), 0);
    stream_put(&stream, 1);
    expect(late, 3);
    mapring_consumer_close(members[1]);
    mapring_consumer_close(members[2]);
    mapring_consumer_close(late);
    stream_close(&stream);
}

Test(groups, several_side_by_side)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *members[GROUPS_MAX];
    char name[16];
    for (int i = 0; i < GROUPS_MAX; i++) {
        snprintf(name, sizeof name, "group-%d", i);
        members[i] = join_group(&stream, name, MAPRING_OK);
    }
    stream_refuses(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "one too many"), MAPRING_NO_GROUP);
    cr_assert_eq(stat_of(stream.name).consumers, GROUPS_MAX);
    cr_assert_eq(stat_of(stream.name).groups, GROUPS_MAX);
    mapring_group_info info[GROUPS_MAX];
    cr_assert_status(mapring_groups(stream.name, NULL, info, 3), GROUPS_MAX);
    cr_assert_status(mapring_groups(stream.name, NULL, info, GROUPS_MAX), GROUPS_MAX);
    for (uint64_t sequence = 0; sequence < 100; sequence++) {
        stream_put(&stream, 1);
        for (int i = 0; i < GROUPS_MAX; i++)
            expect(members[i], sequence);
    }
    mapring_consumer_close(members[7]);
    cr_assert_status(mapring_forget(stream.name, "group-8"), MAPRING_NAME_IN_USE);
    cr_assert_status(mapring_forget(stream.name, "group-7"), MAPRING_OK);
    members[7] = join_group(&stream, "one too many", MAPRING_OK);
    for (int i = 0; i < GROUPS_MAX; i++)
        mapring_consumer_close(members[i]);
    stream_close(&stream);
}

Test(groups, bad_input)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY, .max_consumers = 2));
    stream_refuses(&stream, CONSUMER(.kind = MAPRING_MEMBER), MAPRING_INVALID_OPTIONS);
    stream_refuses(&stream, CONSUMER(.group = "g"), MAPRING_INVALID_OPTIONS);
    stream_refuses(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "g", .own_name = "n"), MAPRING_INVALID_OPTIONS);
    stream_refuses(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = ""), MAPRING_INVALID_NAME);
    stream_refuses(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "a/b"), MAPRING_INVALID_NAME);
    char name[MAPRING_OWN_NAME_MAX + 2];
    memset(name, 'x', sizeof name);
    name[MAPRING_OWN_NAME_MAX + 1] = 0;
    stream_refuses(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = name), MAPRING_INVALID_NAME);
    name[MAPRING_OWN_NAME_MAX] = 0;
    mapring_consumer *member = join_group(&stream, name, MAPRING_OK);
    mapring_group_info info = group_of(&stream);
    cr_assert_str_eq(info.name, name);
    /* A name is a group's or a consumer's. */
    stream_refuses(&stream, CONSUMER(.own_name = name), MAPRING_WRONG_KIND);
    mapring_consumer *named = stream_join(&stream, CONSUMER(.own_name = "n"), MAPRING_OK);
    stream_refuses(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "n"), MAPRING_WRONG_KIND);
    stream_refuses(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "other"), MAPRING_NO_SLOT);
    cr_assert_eq(stat_of(stream.name).groups, 1);
    mapring_consumer_close(member);
    mapring_consumer_close(named);
    stream_refuses(&stream, CONSUMER(.own_name = name), MAPRING_WRONG_KIND);
    stream_refuses(&stream, CONSUMER(.kind = MAPRING_MEMBER, .group = "n"), MAPRING_WRONG_KIND);
    cr_assert_status(mapring_forget(stream.name, "n"), MAPRING_OK);
    cr_assert_status(mapring_forget(stream.name, name), MAPRING_OK);
    cr_assert_eq(stat_of(stream.name).consumers, 0);
    cr_assert_eq(stat_of(stream.name).groups, 0);
    member = join_group(&stream, "n", MAPRING_OK);
    mapring_consumer_close(member);
    stream_close(&stream);
}
