/*
 * Locks that die with their holder, called directly: lib/windows/liveness.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mapring/status.h>

#include "harness.h"
#include "segments.h"

static struct platform_segment *open_segment(const char *name, const char *file, enum platform_access access)
{
    struct platform_segment *segment = NULL;
    CHECK_IS(platform_segment_open(RING_TARGET(name, file), access, &segment), MAPRING_OK);
    return segment;
}

static void two_handles_exclude_each_other(void)
{
    char name[NAME_SIZE];
    unique_name(name, "locks");
    struct platform_segment *one = create_ring_segment(name, NULL);
    struct platform_segment *two = open_segment(name, NULL, PLATFORM_ATTACH);
    struct platform_segment *observer = open_segment(name, NULL, PLATFORM_OBSERVE);

    CHECK_IS(platform_lock_held(one, 0), 0);
    CHECK_IS(platform_lock(one, 0), 1);
    CHECK_IS(platform_lock(one, 0), 1);
    CHECK_IS(platform_lock_held(one, 0), 0);
    CHECK_IS(platform_lock_held(two, 0), 1);
    CHECK_IS(platform_lock_held(observer, 0), 1);
    CHECK_IS(platform_lock(two, 0), 0);
    CHECK_IS(platform_lock(two, 1), 1);
    CHECK_IS(platform_lock(two, PLATFORM_LOCKS - 1), 1);
    CHECK_IS(platform_lock_held(one, PLATFORM_LOCKS - 1), 1);
    CHECK_IS(platform_lock(one, PLATFORM_LOCKS), MAPRING_INVALID_ARGUMENT);
    CHECK_IS(platform_lock_held(one, PLATFORM_LOCKS), MAPRING_INVALID_ARGUMENT);

    platform_unlock(two, 0);
    CHECK_IS(platform_lock(two, 0), 0);
    platform_unlock(one, 0);
    CHECK_IS(platform_lock_held(observer, 0), 0);
    CHECK_IS(platform_lock(two, 0), 1);
    CHECK_IS(platform_lock(one, 0), 0);
    platform_segment_close(two);
    CHECK_IS(platform_lock_held(one, 0), 0);
    CHECK_IS(platform_lock_held(one, 1), 0);
    CHECK_IS(platform_lock_held(one, PLATFORM_LOCKS - 1), 0);
    CHECK_IS(platform_lock(one, 0), 1);
    platform_segment_close(observer);
    platform_segment_close(one);
}

static void rings_do_not_share_locks(void)
{
    char name[NAME_SIZE], other_name[NAME_SIZE];
    unique_name(name, "ring");
    unique_name(other_name, "another");
    struct platform_segment *one = create_ring_segment(name, NULL);
    struct platform_segment *other = create_ring_segment(other_name, NULL);
    CHECK_IS(platform_lock(one, 5), 1);
    CHECK_IS(platform_lock_held(other, 5), 0);
    CHECK_IS(platform_lock(other, 5), 1);
    platform_segment_close(one);
    CHECK_IS(platform_lock(other, 5), 1);
    platform_segment_close(other);
}

/* Without an id there is no telling whose lock it would be. */
static void a_segment_without_an_id_has_no_locks(void)
{
    char name[NAME_SIZE];
    unique_name(name, "anonymous");
    struct platform_segment *segment = NULL;
    CHECK_IS(platform_segment_create(RING_TARGET(name, NULL), 65536, NULL, 0, &segment), MAPRING_OK);
    CHECK_IS(platform_lock(segment, 0), MAPRING_CORRUPT);
    CHECK_IS(platform_lock_held(segment, 0), MAPRING_CORRUPT);
    platform_segment_close(segment);
}

static void who_looks_at_the_file_sees_the_locks(void)
{
    char name[NAME_SIZE], path[PATH_SIZE];
    unique_name(name, "file");
    unique_path(path, "locks");
    struct platform_segment *owner = create_ring_segment(name, path);
    struct platform_segment *by_name = open_segment(name, NULL, PLATFORM_ATTACH);
    struct platform_segment *by_file = open_segment(NULL, path, PLATFORM_OBSERVE);
    CHECK_IS(platform_lock(owner, 0), 1);
    CHECK_IS(platform_lock(by_name, 1), 1);
    CHECK_IS(platform_lock_held(by_file, 0), 1);
    CHECK_IS(platform_lock_held(by_file, 1), 1);
    platform_segment_close(by_name);
    platform_segment_close(owner);
    CHECK_IS(platform_lock_held(by_file, 0), 0);
    CHECK_IS(platform_lock_held(by_file, 1), 0);
    platform_segment_close(by_file);
    CHECK(delete_file(path));
}

/* A child: takes the lock and keeps it. */
static int hold(const char *name, const char *number)
{
    struct platform_segment *segment = open_segment(name, NULL, PLATFORM_ATTACH);
    tell(platform_lock(segment, (uint32_t)atoi(number)) == 1 ? "held" : "not held");
    await_parent();
    return 0;
}

static void a_lock_dies_with_its_holder(void)
{
    char name[NAME_SIZE];
    unique_name(name, "death");
    struct platform_segment *segment = create_ring_segment(name, NULL);
    const char *arguments[] = {"hold", name, "7", NULL};
    for (int round = 0; round < 5; round++) {
        struct child holder = start_child(NULL, arguments);
        expect_line(&holder, "held");
        CHECK_IS(platform_lock_held(segment, 7), 1);
        CHECK_IS(platform_lock(segment, 7), 0);
        kill_child(&holder);
        CHECK_IS(platform_lock_held(segment, 7), 0);
        CHECK_IS(platform_lock(segment, 7), 1);
        platform_unlock(segment, 7);
        end_child(&holder);
    }
    platform_segment_close(segment);
}

/* A child: looks at the lock, and tries to get another one that the parent holds, until it is ended. */
static int probe(const char *name)
{
    struct platform_segment *segment = open_segment(name, NULL, PLATFORM_ATTACH);
    tell("probing");
    for (;;) {
        platform_lock_held(segment, 0);
        if (platform_lock(segment, 1) == 1)
            return 1;
    }
}

/* Who looks must never be mistaken for a holder, or it would keep the lock of one who died at that moment. */
static void probing_keeps_no_lock(void)
{
    char name[NAME_SIZE];
    unique_name(name, "probed");
    struct platform_segment *one = create_ring_segment(name, NULL);
    struct platform_segment *two = open_segment(name, NULL, PLATFORM_ATTACH);
    CHECK_IS(platform_lock(one, 1), 1);
    const char *arguments[] = {"probe", name, NULL};
    struct child probers[2];
    for (int i = 0; i < 2; i++) {
        probers[i] = start_child(NULL, arguments);
        expect_line(&probers[i], "probing");
    }
    int refused = 0;
    for (int round = 0; round < 2000; round++) {
        struct platform_segment *claimer = round % 2 == 0 ? one : two;
        refused += platform_lock(claimer, 0) != 1;
        platform_unlock(claimer, 0);
        refused += platform_lock_held(claimer, 0) != 0;
    }
    CHECK_IS(refused, 0);
    for (int i = 0; i < 2; i++) {
        CHECK_IS(WaitForSingleObject(probers[i].process, 0), WAIT_TIMEOUT);
        kill_child(&probers[i]);
        end_child(&probers[i]);
    }
    platform_segment_close(two);
    platform_segment_close(one);
}

#define CLAIMERS 4

/* A child: tries once, when the parent says so, and keeps what it gets. */
static int claim(const char *name)
{
    struct platform_segment *segment = open_segment(name, NULL, PLATFORM_ATTACH);
    for (;;) {
        tell("ready");
        if (getchar() == EOF)
            return 0;
        tell(platform_lock(segment, 0) == 1 ? "mine" : "not mine");
        if (getchar() == EOF)
            return 0;
        platform_unlock(segment, 0);
    }
}

static void one_of_many_gets_the_lock(void)
{
    char name[NAME_SIZE];
    unique_name(name, "claimed");
    struct platform_segment *segment = create_ring_segment(name, NULL);
    const char *arguments[] = {"claim", name, NULL};
    struct child claimers[CLAIMERS];
    for (int i = 0; i < CLAIMERS; i++)
        claimers[i] = start_child(NULL, arguments);
    for (int round = 0; round < 50; round++) {
        int holders = 0;
        for (int i = 0; i < CLAIMERS; i++)
            expect_line(&claimers[i], "ready");
        for (int i = 0; i < CLAIMERS; i++)
            write_child(&claimers[i], "x", 1);
        for (int i = 0; i < CLAIMERS; i++) {
            char line[LINE_SIZE];
            read_line(&claimers[i], line);
            holders += strcmp(line, "mine") == 0;
        }
        if (!CHECK_IS(holders, 1))
            break;
        for (int i = 0; i < CLAIMERS; i++)
            write_child(&claimers[i], "x", 1);
    }
    for (int i = 0; i < CLAIMERS; i++)
        CHECK_IS(end_child(&claimers[i]), 0);
    platform_segment_close(segment);
}

int main(int argc, char **argv)
{
    start_tests(120);
    if (argc == 4 && strcmp(argv[1], "hold") == 0)
        return hold(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "probe") == 0)
        return probe(argv[2]);
    if (argc == 3 && strcmp(argv[1], "claim") == 0)
        return claim(argv[2]);
    run_test("two handles exclude each other", two_handles_exclude_each_other);
    run_test("rings do not share locks", rings_do_not_share_locks);
    run_test("a segment without an id has no locks", a_segment_without_an_id_has_no_locks);
    run_test("who looks at the file sees the locks", who_looks_at_the_file_sees_the_locks);
    run_test("a lock dies with its holder", a_lock_dies_with_its_holder);
    run_test("probing keeps no lock", probing_keeps_no_lock);
    run_test("one of many gets the lock", one_of_many_gets_the_lock);
    return finish_tests();
}
