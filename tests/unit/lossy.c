/*
 * Consumers that do not hold the producer back: lossy ones and observers.
 */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kinds.h"

TestSuite(lossy, .timeout = 20);

#define CAPACITY 4096u

static mapring_consumer *join_lossy(const struct stream *stream)
{
    return stream_join(stream, CONSUMER(.kind = MAPRING_LOSSY), MAPRING_OK);
}

/* Overwrites all that the ring has, from wherever it is. */
static void go_round(struct stream *stream)
{
    uint64_t end = stream->position + 2 * CAPACITY;
    while (stream->position < end)
        stream_put(stream, 1);
}

Test(lossy, gets_everything_if_it_keeps_up)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = join_lossy(&stream);
    for (uint64_t sequence = 0; sequence < 1000; sequence++) {
        stream_put(&stream, 1);
        if (sequence % 2 == 0)
            expect(consumer, sequence);
        else
            expect_copy(consumer, sequence);
    }
    cr_assert_status(try_read(consumer), 0);
    cr_assert_eq(progress_of(consumer).lost_messages, 0);
    cr_assert_eq(progress_of(consumer).lost_bytes, 0);
    cr_assert_eq(progress_of(consumer).torn_messages, 0);
    cr_assert_eq(progress_of(consumer).position, stream.position);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

Test(lossy, is_told_exactly_what_it_lost)
{
    for (int copy = 0; copy < 2; copy++) {
        struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
        mapring_consumer *consumer = join_lossy(&stream);
        uint64_t random = 17, next = 0, got = 0;
        for (int round = 0; round < 200; round++) {
            stream_put(&stream, random_next(&random) % 120);
            mapring_consumer_progress before = progress_of(consumer);
            mapring_message message;
            uint8_t bytes[256];
            int32_t status = copy ? mapring_receive(consumer, bytes, sizeof bytes, &message, 1, 0)
                                  : mapring_read(consumer, &message, 1, 0);
            mapring_consumer_progress after = progress_of(consumer);
            if (status == MAPRING_LAPPED) {
                expect_lost(&stream, consumer, next, before.lost_messages);
                cr_assert_eq(after.lost_bytes - before.lost_bytes, after.position - before.position);
                cr_assert_gt(after.sequence, next);
                /* The oldest that is there, to within a stride and a message. */
                cr_assert_leq(stream.position - after.position, CAPACITY);
                cr_assert_geq(stream.position - after.position, CAPACITY - CAPACITY / 64 - 3 * 208);
                next = after.sequence;
                expect(consumer, next++);
                got++;
            } else if (status == 1) {
                cr_assert(is_message(&message, next));
                cr_assert_status(mapring_release(consumer, copy ? 0 : 1), MAPRING_OK);
                next++;
                got++;
            } else {
                cr_assert_status(status, 0);
                cr_assert_eq(next, stream.sequence);
            }
        }
        uint64_t left = stream.sequence - next;
        if (try_read(consumer) == MAPRING_LAPPED)
            left = stream.sequence - progress_of(consumer).sequence;
        cr_assert_eq(got + progress_of(consumer).lost_messages + left, stream.sequence);
        cr_assert_gt(progress_of(consumer).lost_messages, 100);
        mapring_consumer_info info[2];
        mapring_ring_info ring = {.struct_size = sizeof ring};
        cr_assert_status(mapring_stat(stream.name, NULL, &ring, info, 2), 1);
        cr_assert_eq(info[0].kind, MAPRING_LOSSY);
        cr_assert_eq(info[0].lost, progress_of(consumer).lost_messages);
        mapring_consumer_close(consumer);
        stream_close(&stream);
    }
}

Test(lossy, what_it_holds_in_place_may_tear_and_release_says_so)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = join_lossy(&stream);
    stream_put(&stream, 10);
    mapring_message messages[32];
    cr_assert_status(mapring_read(consumer, messages, 4, 0), 4);
    cr_assert_status(mapring_release(consumer, 1), MAPRING_OK);
    cr_assert_eq(progress_of(consumer).unreleased, 3);
    for (int i = 1; i < 4; i++)
        cr_assert(is_message(&messages[i], (uint64_t)i));
    go_round(&stream);
    cr_assert_status(mapring_release(consumer, 4), MAPRING_NOT_READ);
    cr_assert_status(mapring_release(consumer, 1), MAPRING_LAPPED);
    mapring_consumer_progress progress = progress_of(consumer);
    cr_assert_eq(progress.torn_messages, 3);
    cr_assert_eq(progress.unreleased, 0);
    cr_assert_eq(progress.lost_messages, 0);
    cr_assert_status(mapring_release(consumer, 1), MAPRING_NOT_READ);
    cr_assert_status(try_read(consumer), MAPRING_LAPPED);
    expect_lost(&stream, consumer, 4, 0);
    expect_rest(&stream, consumer, progress_of(consumer).sequence);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

/* It learns of it by reading on, while it holds messages. */
Test(lossy, reads_on_over_torn_messages)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = join_lossy(&stream);
    stream_put(&stream, 10);
    mapring_message messages[8];
    cr_assert_status(mapring_read(consumer, messages, 3, 0), 3);
    go_round(&stream);
    cr_assert_status(mapring_receive(consumer, NULL, 0, messages, 1, 0), MAPRING_UNRELEASED);
    cr_assert_status(mapring_read(consumer, messages, 8, 0), MAPRING_LAPPED);
    expect_lost(&stream, consumer, 3, 0);
    cr_assert_eq(progress_of(consumer).unreleased, 3);
    uint64_t next = progress_of(consumer).sequence;
    cr_assert_status(mapring_read(consumer, messages, 2, 0), 2);
    cr_assert(is_message(&messages[0], next) && is_message(&messages[1], next + 1));
    cr_assert_status(mapring_release(consumer, 3), MAPRING_LAPPED);
    cr_assert_geq(progress_of(consumer).torn_messages, 3);
    cr_assert_eq(progress_of(consumer).unreleased, 0);
    expect_rest(&stream, consumer, next + 2);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

/* With most of the ring still intact a partial release goes through. */
Test(lossy, releases_in_parts)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = join_lossy(&stream);
    stream_put(&stream, 12);
    mapring_message messages[12];
    int32_t count = read_all(consumer, messages, 12);
    cr_assert_eq(count, 12);
    cr_assert_status(mapring_release(consumer, 0), MAPRING_OK);
    for (uint32_t i = 0; i < 12; i++)
        cr_assert_status(mapring_release(consumer, 1), MAPRING_OK);
    cr_assert_status(mapring_release(consumer, 1), MAPRING_NOT_READ);
    cr_assert_eq(progress_of(consumer).torn_messages, 0);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

/* Copies that end within a batch: those before are delivered, the loss is told next. */
Test(lossy, batches_of_copies_add_up)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = join_lossy(&stream);
    static uint8_t bytes[2 * CAPACITY];
    mapring_message messages[64];
    uint64_t random = 5, got = 0, next = 0;
    for (int round = 0; round < 300; round++) {
        stream_put(&stream, random_next(&random) % 60);
        uint32_t max = 1 + (uint32_t)(random_next(&random) % 64);
        uint64_t size = 256 + random_next(&random) % sizeof bytes / 2;
        int32_t count = mapring_receive(consumer, bytes, size, messages, max, 0);
        if (count == MAPRING_LAPPED) {
            next = progress_of(consumer).sequence;
            continue;
        }
        cr_assert_geq(count, 0);
        for (int32_t i = 0; i < count; i++)
            cr_assert(is_message(&messages[i], next++));
        got += (uint64_t)count;
        cr_assert_eq(got + progress_of(consumer).lost_messages, progress_of(consumer).sequence);
    }
    cr_assert_gt(progress_of(consumer).lost_messages, 0);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

Test(lossy, sees_the_end_also_when_it_was_lapped)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumer = join_lossy(&stream);
    go_round(&stream);
    cr_assert_status(mapring_end(stream.producer), MAPRING_OK);
    cr_assert_status(try_read(consumer), MAPRING_LAPPED);
    for (uint64_t next = progress_of(consumer).sequence; next < stream.sequence; next++)
        expect(consumer, next);
    cr_assert_status(try_read(consumer), MAPRING_STREAM_ENDED);
    cr_assert_status(try_read(consumer), MAPRING_STREAM_ENDED);
    mapring_consumer_close(consumer);
    stream_close(&stream);
}

Test(lossy, never_counts_for_the_producer)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *consumers[3];
    for (int i = 0; i < 3; i++)
        consumers[i] = join_lossy(&stream);
    stream_put(&stream, 50);
    mapring_message message;
    cr_assert_status(mapring_read(consumers[0], &message, 1, 0), MAPRING_LAPPED);
    cr_assert_status(mapring_drain(stream.producer, 0), MAPRING_OK);
    cr_assert_status(mapring_wait_consumers(stream.producer, 3, 0), MAPRING_OK);
    stream_take_over(&stream);
    stream_put(&stream, 500);
    cr_assert_status(mapring_rejoin(consumers[0]), MAPRING_INVALID_ARGUMENT);
    for (int i = 0; i < 3; i++)
        mapring_consumer_close(consumers[i]);
    cr_assert_eq(stat_of(stream.name).consumers, 0);
    stream_close(&stream);
}

/* Observers. */

TestSuite(observers, .timeout = 20);

Test(observers, follow_like_lossy_consumers_and_leave_no_trace)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY, .max_consumers = 1));
    mapring_consumer *reliable = stream_join(&stream, NULL, MAPRING_OK);
    mapring_consumer *observer = stream_join(&stream, CONSUMER(.kind = MAPRING_OBSERVER), MAPRING_OK);
    cr_assert_eq(stat_of(stream.name).consumers, 1);
    for (uint64_t i = 0; i < 300; i++) {
        stream_put(&stream, 1);
        expect(observer, i);
        expect(reliable, i);
        cr_assert_status(try_read(reliable), 0);
    }
    uint64_t next = stream.sequence;
    for (int i = 0; i < 200; i++) {
        stream_put(&stream, 1);
        expect(reliable, next + (uint64_t)i);
        cr_assert_status(try_read(reliable), 0);
    }
    cr_assert_status(try_read(observer), MAPRING_LAPPED);
    expect_lost(&stream, observer, next, 0);
    expect_rest(&stream, observer, progress_of(observer).sequence);
    cr_assert_eq(progress_of(observer).kind, MAPRING_OBSERVER);
    cr_assert_status(mapring_rejoin(observer), MAPRING_INVALID_ARGUMENT);
    mapring_consumer_close(reliable);
    mapring_consumer_close(observer);
    stream_close(&stream);
}

Test(observers, wait_and_are_told_that_the_producer_is_gone)
{
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY));
    mapring_consumer *observer =
        stream_join(&stream, CONSUMER(.kind = MAPRING_OBSERVER, .start = MAPRING_FROM_NEWEST), MAPRING_OK);
    mapring_message message;
    int64_t start = now_ns();
    cr_assert_status(mapring_read(observer, &message, 1, 60 * MS), 0);
    cr_assert_geq(now_ns() - start, 60 * MS);
    /* Nobody holds the name any more, but the mapping is still there. */
    mapring_producer_close(stream.producer);
    start = now_ns();
    cr_assert_status(mapring_read(observer, &message, 1, 10000 * MS), MAPRING_NO_PRODUCER);
    cr_assert_lt(now_ns() - start, 1000 * MS);
    mapring_consumer_close(observer);
    free(stream.starts);
}

/* By a path, with nothing but permission to read: the folder and the file cannot be written. */
static int observe_as_nobody(const char *file)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
        return 77;
    if (access(file, W_OK) == 0)
        return 10;
    mapring_consumer_options options = {.struct_size = sizeof options, .kind = MAPRING_OBSERVER, .file = file};
    mapring_consumer *observer;
    int32_t status = mapring_consumer_open(NULL, &options, &observer);
    if (status != MAPRING_OK)
        return 11;
    for (uint64_t sequence = 0; sequence < 20; sequence++) {
        mapring_message message;
        if (mapring_read(observer, &message, 1, 5000 * MS) != 1)
            return 12;
        if (!is_message(&message, sequence))
            return 13;
        if (mapring_release(observer, 1) != MAPRING_OK)
            return 14;
    }
    mapring_message message;
    if (mapring_read(observer, &message, 1, 30 * MS) != 0)
        return 15;
    mapring_consumer_close(observer);
    mapring_ring_info info = {.struct_size = sizeof info};
    if (mapring_stat(NULL, file, &info, NULL, 0) != 0 || info.messages != 20 || info.producer_alive != 1)
        return 16;
    return 0;
}

Test(observers, need_no_more_than_permission_to_read)
{
    char folder[] = "/tmp/observed-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    char file[64];
    snprintf(file, sizeof file, "%s/ring", folder);
    struct stream stream = stream_open(PRODUCER(.capacity = CAPACITY, .file = file));
    cr_assert_eq(chmod(file, 0444), 0);
    cr_assert_eq(chmod(folder, 0555), 0);
    stream_put(&stream, 20);
    pid_t child = fork();
    if (child == 0)
        _exit(observe_as_nobody(file));
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    chmod(folder, 0700);
    unlink(file);
    rmdir(folder);
    stream_close(&stream);
    cr_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        cr_skip("cannot become another user");
    cr_assert_eq(WEXITSTATUS(status), 0, "the observer failed: %d", WEXITSTATUS(status));
}

Test(observers, of_a_file_that_is_no_ring)
{
    char file[] = "/tmp/no-ring-XXXXXX";
    int fd = mkstemp(file);
    cr_assert_geq(fd, 0);
    mapring_consumer *observer = NULL;
    mapring_consumer_options *options = CONSUMER(.kind = MAPRING_OBSERVER, .file = file);
    cr_assert_status(mapring_consumer_open(NULL, options, &observer), MAPRING_NOT_A_RING);
    cr_assert_eq(write(fd, "nothing of the kind", 19), 19);
    cr_assert_status(mapring_consumer_open(NULL, options, &observer), MAPRING_NOT_A_RING);
    close(fd);
    unlink(file);
    cr_assert_status(mapring_consumer_open(NULL, options, &observer), MAPRING_NOT_FOUND);
    options->timeout_ns = 50 * MS;
    int64_t start = now_ns();
    cr_assert_status(mapring_consumer_open(NULL, options, &observer), MAPRING_TIMEOUT);
    cr_assert_geq(now_ns() - start, 50 * MS);
    /* A file is for observers. */
    options->kind = MAPRING_LOSSY;
    cr_assert_status(mapring_consumer_open("x", options, &observer), MAPRING_INVALID_OPTIONS);
    cr_assert_null(observer);
}
