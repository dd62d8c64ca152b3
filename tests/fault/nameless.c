/*
 * A file system that cannot make files without a name (O_TMPFILE): the linker puts a function in the place of openat()
 * that says so. Segments then have a temporary name while they are made.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calls.h"

static int refusals;

int __real_openat64(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...);
int __wrap_openat64(int folder, const char *path, int flags, ...);

static int open_at(int folder, const char *path, int flags, mode_t mode)
{
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        refusals++;
        errno = EOPNOTSUPP;
        return -1;
    }
    return __real_openat64(folder, path, flags, mode);
}

/* Which of the two is called depends on the size that file offsets are said to have. */
#define WRAP(name)                                                                                                     \
    int name(int folder, const char *path, int flags, ...)                                                             \
    {                                                                                                                  \
        va_list values;                                                                                                \
        va_start(values, flags);                                                                                       \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(values, mode_t) : 0;                               \
        va_end(values);                                                                                                \
        return open_at(folder, path, flags, mode);                                                                     \
    }
WRAP(__wrap_openat)
WRAP(__wrap_openat64)

static void every_call(void)
{
    for (size_t i = 0; i < call_count; i++) {
        calls[i].prepare();
        struct possessions before = possessions_now();
        int32_t status = calls[i].make();
        CHECK(status >= 0, "%s: %s", calls[i].name, mapring_status_name(status));
        check_possessions(before, calls[i].name);
        calls[i].clean();
    }
    CHECK(refusals > 0, "nothing was refused");
}

/* Creators that race: one wins, and the others leave nothing behind. */
struct contest {
    const char *file;
    struct gate start;
    struct gate done;
    struct gate end;
};

static void create(void *argument)
{
    const struct contest *contest = argument;
    gate_pass(contest->start);
    mapring_producer_options options = {
        .struct_size = sizeof options, .mode = MAPRING_CREATE_NEW, .capacity = 1 << 20, .file = contest->file};
    mapring_producer *producer;
    int32_t status = mapring_producer_open(RING, &options, &producer);
    CHECK(status == MAPRING_OK || status == MAPRING_EXISTS, "creating: %s", mapring_status_name(status));
    gate_open(contest->done);
    gate_pass(contest->end);
    if (status == MAPRING_OK) {
        CHECK(refusals > 0, "nothing was refused");
        CHECK_STATUS(mapring_publish(producer, "x", 1, 0, 0, 0), MAPRING_OK);
        mapring_producer_close(producer);
    }
}

static void race(const char *file)
{
    enum { COUNT = 4 };
    struct contest contest = {.file = file, .start = gate_new(), .done = gate_new(), .end = gate_new()};
    for (uint64_t round = 0; round < 150 * test_length(); round++) {
        pid_t children[COUNT];
        for (int i = 0; i < COUNT; i++)
            children[i] = spawn(create, &contest);
        for (int i = 0; i < COUNT; i++)
            gate_open(contest.start);
        for (int i = 0; i < COUNT; i++)
            gate_pass(contest.done);
        CHECK(count_names() == 1, "%d names instead of one", count_names());
        for (int i = 0; i < COUNT; i++)
            gate_open(contest.end);
        for (int i = 0; i < COUNT; i++)
            join(children[i]);
        CHECK(count_names() == 0, "%d names are left", count_names());
        CHECK(file == NULL || unlink(file) == 0, "there is no file");
    }
}

static void racing_creators(void)
{
    race(NULL);
}

static void racing_creators_in_a_file(void)
{
    race(case_file());
}

/* Killed while they make a segment under its temporary name: it is swept away, or goes when the next one is made. */

static void create_and_die(void *argument)
{
    mapring_segment_options options = {
        .struct_size = sizeof options, .mode = MAPRING_CREATE_NEW, .size = 4 << 20, .file = argument};
    for (;;) {
        mapring_segment *segment;
        int32_t status = mapring_segment_open("segment", &options, &segment);
        CHECK(status == 0, "creating: %s", mapring_status_name(status));
        mapring_segment_close(segment);
        if (argument != NULL)
            unlink(argument);
    }
}

/* Files in a folder, hidden ones too. */
static int count_files(const char *path)
{
    DIR *folder = opendir(path);
    CHECK(folder != NULL, "%s: %s", path, strerror(errno));
    int count = -2; /* itself and its parent */
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static void kill_creators(const char *folder, const char *file)
{
    char *path = file == NULL ? NULL : strdup(file);
    uint64_t random = 4, left = 0;
    for (uint64_t round = 0; round < 100 * test_length(); round++) {
        pid_t child = spawn(create_and_die, path);
        sleep_random(&random, 5000000);
        kill_child(child);
        left += count_files(folder) > 0;
        if (file == NULL || round % 2 == 0)
            CHECK(mapring_sweep() >= 0, "sweeping");
        else
            unlink(file);
        CHECK(file != NULL || count_names() == 0, "names are left");
    }
    CHECK(left > 0, "nobody was killed in the middle");
    free(path);
}

static void killed_creators(void)
{
    kill_creators(getenv("MAPRING_DIR"), NULL);
}

/* In the folder of the file they are left until the next one that is made of that name. */
static void killed_creators_in_a_file(void)
{
    char folder[128], path[256];
    snprintf(folder, sizeof folder, "%s.files", getenv("MAPRING_DIR"));
    CHECK(mkdir(folder, 0700) == 0, "%s: %s", folder, strerror(errno));
    snprintf(path, sizeof path, "%s/data", folder);
    kill_creators(folder, path);
    unlink(path);
    /* A file that only looks like one of ours is not touched. */
    char strange[256];
    snprintf(strange, sizeof strange, "%s/.data.0123456789abcdef", folder);
    int fd = open(strange, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    close(fd);
    mapring_segment_options options = {.struct_size = sizeof options, .size = 1000, .file = path};
    mapring_segment *segment;
    CHECK(mapring_segment_open("segment", &options, &segment) == 0, "creating");
    mapring_segment_close(segment);
    CHECK(unlink(path) == 0 && unlink(strange) == 0, "a file is missing");
    CHECK(rmdir(folder) == 0, "files are left: %s", strerror(errno));
    CHECK(mapring_sweep() >= 0, "sweeping");
    CHECK(count_names() == 0, "names are left");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"every_call", every_call},
        {"racing_creators", racing_creators},
        {"racing_creators_in_a_file", racing_creators_in_a_file},
        {"killed_creators", killed_creators},
        {"killed_creators_in_a_file", killed_creators_in_a_file},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 30);
}
