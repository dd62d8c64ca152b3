/*
 * How long a segment is there: as long as somebody has it, however he ends; or for as long as it is to persist.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "segments.h"

#define NAME "lived"
#define SIZE ((uint64_t)1 << 20)

static bool folder_is_empty(void)
{
    return count_names() == 0 && count_global_names() == 0;
}

struct party {
    struct gate ready;
    struct gate leave;
    const char *name;
};

static void hold(void *argument)
{
    const struct party *party = argument;
    mapring_segment *segment = open_segment(party->name);
    uint64_t *words = map_segment(segment);
    words[1] = (uint64_t)getpid();
    gate_open(party->ready);
    gate_pass(party->leave);
    CHECK(words[0] == 7, "the bytes have changed");
    mapring_segment_close(segment);
}

/* Whichever of the children ends first. */
static int await_one(const pid_t *children, int count)
{
    int status;
    pid_t child = wait(&status);
    for (int i = 0; i < count; i++)
        if (children[i] == child) {
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child failed");
            return i;
        }
    CHECK(false, "an unknown child");
    return -1;
}

static void goes_with_the_last(void)
{
    struct party party = {gate_new(), gate_new(), NAME};
    mapring_segment *segment = create_segment(NAME, SIZE, 0);
    *(uint64_t *)map_segment(segment) = 7;
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = spawn(hold, &party);
        gate_pass(party.ready);
    }
    mapring_segment_close(segment);
    CHECK(segment_exists(NAME), "it went with its creator");
    kill_child(children[0]);
    CHECK(segment_exists(NAME), "it went with one that was killed");
    gate_open(party.leave);
    int first = await_one(children + 1, 2);
    CHECK(segment_exists(NAME), "it went with one that left");
    gate_open(party.leave);
    join(children[first == 0 ? 2 : 1]);
    CHECK(folder_is_empty(), "it stays when all have left");
    CHECK(!segment_exists(NAME), "it stays when all have left");
}

/* Leaves NAME to the dead: created by this process's child, held by several, killed at once. */
static void leave_to_the_dead(const char *name)
{
    struct party party = {gate_new(), gate_new(), name};
    mapring_segment *segment = create_segment(name, SIZE, 0);
    *(uint64_t *)map_segment(segment) = 7;
    pid_t children[4];
    for (int i = 0; i < 4; i++) {
        children[i] = spawn(hold, &party);
        gate_pass(party.ready);
    }
    mapring_segment_close(segment);
    for (int i = 0; i < 4; i++)
        kill(children[i], SIGKILL);
    for (int i = 0; i < 4; i++)
        join_killed(children[i], SIGKILL);
    gate_close(party.ready);
    gate_close(party.leave);
}

static void all_die_at_once(void)
{
    leave_to_the_dead(NAME);
    CHECK_STATUS(status_of_open(NAME, NULL), MAPRING_NOT_FOUND);
    CHECK(folder_is_empty(), "the next use did not clear it away");

    leave_to_the_dead(NAME);
    mapring_segment *segment = create_segment(NAME, 2 * SIZE, 0);
    CHECK(*(uint64_t *)map_segment(segment) == 0, "the new one has the old bytes");
    mapring_segment_close(segment);

    /* As another kind. */
    leave_to_the_dead(NAME);
    mapring_event *event;
    CHECK_STATUS(mapring_event_open(NAME, NULL, &event), 0);
    mapring_event_close(event);
}

static void sweeping(void)
{
    leave_to_the_dead("one");
    leave_to_the_dead("two");
    leave_to_the_dead("Global\\three");
    mapring_segment *alive = create_segment("alive", SIZE, 0);
    mapring_segment_close(create_segment("kept", SIZE, MAPRING_PERSISTENT));
    CHECK_STATUS(mapring_sweep(), 3);
    CHECK_STATUS(mapring_sweep(), 0);
    CHECK(segment_exists("alive") && segment_exists("kept"), "too much was swept");
    mapring_segment_close(alive);
    CHECK_STATUS(mapring_segment_remove("kept"), 0);
    CHECK(folder_is_empty(), "something is left");
}

static void die_holding(void *argument)
{
    create_segment(argument, SIZE, MAPRING_PERSISTENT);
    kill(getpid(), SIGKILL);
}

static void persistence(void)
{
    /* Without anybody, and with a maker that died. */
    static char name[] = "kept";
    join_killed(spawn(die_holding, name), SIGKILL);
    mapring_segment *segment = open_segment(name);
    CHECK((stat_segment(segment).flags & MAPRING_PERSISTENT) != 0, "it does not say that it persists");
    memcpy(map_segment(segment), "to be kept", 11);
    mapring_segment_close(segment);
    CHECK_STATUS(mapring_sweep(), 0);
    segment = open_segment(name);
    CHECK(memcmp(map_segment(segment), "to be kept", 11) == 0, "other bytes");

    /* Removed while somebody has it: the name is in use until he has left. */
    CHECK_STATUS(mapring_segment_remove(name), 1);
    CHECK(segment_exists(name), "it went while somebody had it");
    mapring_segment_options options = segment_options(MAPRING_CREATE_NEW, SIZE);
    CHECK_STATUS(status_of_open(name, &options), MAPRING_EXISTS);
    mapring_segment_close(segment);
    CHECK(!segment_exists(name), "it was not removed");
    CHECK_STATUS(mapring_segment_remove(name), MAPRING_NOT_FOUND);

    /* Of a name for a file, the name. */
    options.file = case_file();
    options.flags = MAPRING_PERSISTENT;
    CHECK_STATUS(status_of_open("file", &options), 0);
    segment = open_segment("file");
    CHECK(stat_segment(segment).backing == MAPRING_IN_FILE, "not in the file");
    CHECK_STATUS(status_of_open("other name", &options), MAPRING_BUSY);
    mapring_segment_close(segment);
    CHECK_STATUS(mapring_segment_remove("file"), 0);
    CHECK(access(case_file(), F_OK) == 0, "the file went too");

    /* A name whose file somebody took away is free. */
    CHECK_STATUS(status_of_open("file", &options), 0);
    unlink(case_file());
    CHECK_STATUS(status_of_open("file", NULL), MAPRING_NOT_FOUND);
    CHECK(folder_is_empty(), "something is left");

    mapring_mutex *mutex;
    CHECK_STATUS(mapring_mutex_open("mutex", NULL, &mutex), 0);
    CHECK_STATUS(mapring_segment_remove("mutex"), MAPRING_WRONG_KIND);
    mapring_mutex_close(mutex);
}

/* A file that was put in the place of a segment's is none of its holders'. */
static void replaced_file(void)
{
    mapring_segment_options options = segment_options(MAPRING_CREATE_NEW, SIZE);
    options.file = case_file();
    mapring_segment *segment;
    CHECK_STATUS(mapring_segment_open("file", &options, &segment), 0);
    CHECK(unlink(case_file()) == 0, "unlink: %s", strerror(errno));
    int fd = open(case_file(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)SIZE) == 0, "a file: %s", strerror(errno));
    close(fd);
    CHECK_STATUS(status_of_open("file", NULL), MAPRING_CORRUPT);
    mapring_segment_close(segment);
    CHECK_STATUS(status_of_open("file", NULL), MAPRING_NOT_FOUND);
    unlink(case_file());
}

/* Containers. */

static void fork_in_another_container(void *argument)
{
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
        skip("no right to make another container");
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        hold(argument);
        _exit(0);
    }
    join(child);
}

static void holder_in_another_container(void)
{
    struct party party = {gate_new(), gate_new(), NAME};
    mapring_segment *segment = create_segment(NAME, SIZE, 0);
    *(uint64_t *)map_segment(segment) = 7;
    pid_t child = spawn(fork_in_another_container, &party);
    gate_pass(party.ready);
    mapring_segment_close(segment);
    CHECK_STATUS(mapring_sweep(), 0);
    CHECK(segment_exists(NAME), "its holder in another container does not count");
    gate_open(party.leave);
    join(child);
    CHECK(folder_is_empty(), "it stays");
}

/* Addresses. */

struct elsewhere {
    void *taken;
    struct gate ready;
};

static void map_elsewhere(void *argument)
{
    const struct elsewhere *elsewhere = argument;
    mapring_segment *segment = open_segment(NAME);
    /* Where the parent has it, this process has something else. */
    void *blocker = mmap(elsewhere->taken, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(blocker == elsewhere->taken, "the view was inherited, or something else is there");
    void *address;
    CHECK_STATUS(mapring_segment_map(segment, 0, 0, 0, elsewhere->taken, &address), MAPRING_ADDRESS_TAKEN);
    uint64_t *words = map_segment(segment);
    CHECK((void *)words != elsewhere->taken, "the same address");
    CHECK(words[0] == 7, "other bytes");
    words[1] = (uint64_t)(uintptr_t)words;
    munmap(blocker, SIZE);
    /* And where the parent has it, if that is free. */
    CHECK_STATUS(mapring_segment_map(segment, 0, 0, 0, elsewhere->taken, &address), MAPRING_OK);
    CHECK(address == elsewhere->taken, "another address than was wanted");
    ((uint64_t *)address)[2] = 9;
    CHECK(words[2] == 9, "two views are not the same memory");
    mapring_segment_close(segment);
}

static void addresses_differ(void)
{
    mapring_segment *segment = create_segment(NAME, SIZE, 0);
    struct elsewhere elsewhere = {.taken = map_segment(segment)};
    uint64_t *words = elsewhere.taken;
    words[0] = 7;
    join(spawn(map_elsewhere, &elsewhere));
    CHECK(words[1] != 0 && words[1] != (uint64_t)(uintptr_t)words && words[2] == 9, "what the other wrote is not here");
    mapring_segment_close(segment);
}

/* A child of fork() has nothing. */

static void use_after_fork(void *argument)
{
    mapring_segment *segment = argument;
    mapring_segment_info info = {.struct_size = sizeof info};
    void *address;
    int64_t descriptor;
    CHECK_STATUS(mapring_segment_stat(segment, &info), MAPRING_INVALID_ARGUMENT);
    CHECK_STATUS(mapring_segment_map(segment, 0, 0, 0, NULL, &address), MAPRING_INVALID_ARGUMENT);
    CHECK_STATUS(mapring_segment_flush(segment, NULL, 0, 1), MAPRING_INVALID_ARGUMENT);
    CHECK_STATUS(mapring_segment_export(segment, 0, &descriptor), MAPRING_INVALID_ARGUMENT);
    int descriptors = count_descriptors();
    mapring_segment_close(segment);
    CHECK(count_descriptors() < descriptors, "closing in the child leaves descriptors");
}

static void fork_children(void)
{
    mapring_segment *segment = create_segment(NAME, SIZE, 0);
    uint64_t *words = map_segment(segment);
    words[0] = 7;
    join(spawn(use_after_fork, segment));
    CHECK(words[0] == 7 && segment_exists(NAME), "the child took it along");
    mapring_segment_close(segment);
    CHECK(folder_is_empty(), "something is left");
}

/* Killed while it creates: no name, and no memory that nothing leads to. */

static void create_and_die(void *argument)
{
    (void)argument;
    for (;;)
        mapring_segment_close(create_segment(NAME, 16 * SIZE, 0));
}

static void killed_creators(void)
{
    uint64_t random = 5;
    for (uint64_t i = 0; i < 100; i++) {
        pid_t child = spawn(create_and_die, NULL);
        sleep_random(&random, 8000000);
        kill_child(child);
        CHECK(mapring_sweep() <= 1, "more than one name");
        CHECK(folder_is_empty(), "something is left");
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"goes_with_the_last", goes_with_the_last},
        {"all_die_at_once", all_die_at_once},
        {"sweeping", sweeping},
        {"persistence", persistence},
        {"replaced_file", replaced_file},
        {"holder_in_another_container", holder_in_another_container},
        {"addresses_differ", addresses_differ},
        {"fork_children", fork_children},
        {"killed_creators", killed_creators},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
