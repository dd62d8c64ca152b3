/*
 * Too little space: a full tmpfs, for names and for files. What cannot be had is refused when it is created; what was
 * created never faults.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "segments.h"

#define PAGE ((uint64_t)4096)
#define PAGES ((uint64_t)64)
#define NAME "large"

static const char *folder(void)
{
    return getenv("MAPRING_DIR");
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        skip("no user namespaces here");
    close(fd);
}

/* A small tmpfs in the place of the folder of names, which only this process has. */
static void mount_small(void)
{
    char users[64], groups[64], options[64];
    snprintf(users, sizeof users, "0 %lu 1", (unsigned long)geteuid());
    snprintf(groups, sizeof groups, "0 %lu 1", (unsigned long)getegid());
    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            skip("no mounts of its own are permitted here");
        write_file("/proc/self/uid_map", users);
        write_file("/proc/self/setgroups", "deny");
        write_file("/proc/self/gid_map", groups);
    }
    snprintf(options, sizeof options, "size=%" PRIu64 ",mode=700", PAGES * PAGE);
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("tmpfs", folder(), "tmpfs", 0, options) != 0)
        skip("no tmpfs can be mounted here");
}

static uint64_t free_pages(void)
{
    struct statvfs status;
    CHECK(statvfs(folder(), &status) == 0, "statvfs: %s", strerror(errno));
    return status.f_bfree * status.f_bsize / PAGE;
}

static void full_memory(void)
{
    mount_small();
    for (uint64_t size = 1; size <= 2 * PAGES * PAGE; size += PAGE / 2 + 7) {
        mapring_segment_options options = segment_options(MAPRING_CREATE_NEW, size);
        mapring_segment *segment;
        int32_t status = mapring_segment_open(NAME, &options, &segment);
        if (size > (PAGES - 1) * PAGE) {
            CHECK_STATUS(status, MAPRING_NO_SPACE);
        } else {
            CHECK_STATUS(status, 0);
            /* Every byte is there. */
            memset(map_segment(segment), 1, size);
            mapring_segment_close(segment);
        }
        CHECK(free_pages() == PAGES && count_names() == 0, "something is left of %" PRIu64 " bytes", size);
    }
}

static void full_for_all(void)
{
    mount_small();
    mapring_segment *segment = create_segment(NAME, (PAGES - 1) * PAGE, 0);
    CHECK(free_pages() == 0, "%" PRIu64 " pages are free", free_pages());
    mapring_event *event;
    mapring_semaphore *semaphore;
    mapring_mutex *mutex;
    CHECK_STATUS(mapring_event_open("event", NULL, &event), MAPRING_NO_SPACE);
    CHECK_STATUS(mapring_semaphore_open("semaphore", NULL, &semaphore), MAPRING_NO_SPACE);
    CHECK_STATUS(mapring_mutex_open("mutex", NULL, &mutex), MAPRING_NO_SPACE);
    /* Not even the name of a file has room. */
    mapring_segment_options options = segment_options(MAPRING_CREATE_NEW, 1000);
    options.file = case_file();
    CHECK_STATUS(status_of_open("file", &options), MAPRING_NO_SPACE);
    CHECK(access(case_file(), F_OK) != 0, "the file is left");
    CHECK(count_names() == 1, "%d names", count_names());
    memset(map_segment(segment), 1, (PAGES - 1) * PAGE);
    mapring_segment_close(segment);
    CHECK(count_names() == 0, "%d names are left", count_names());
}

static void full_disk(void)
{
    mount_small();
    char path[256];
    snprintf(path, sizeof path, "%s/a.file", folder());
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, "contents", 8) == 8, "a file: %s", strerror(errno));
    uint64_t free_before = free_pages();
    mapring_segment_options options = segment_options(MAPRING_CREATE_NEW, 2 * PAGES * PAGE);
    options.flags = MAPRING_GROW_FILE;
    options.file = path;
    CHECK_STATUS(status_of_open("file", &options), MAPRING_NO_SPACE);
    struct stat status;
    CHECK(fstat(fd, &status) == 0 && status.st_size == 8, "the file was changed");
    CHECK(free_pages() == free_before, "space is lost");
    char other[256];
    snprintf(other, sizeof other, "%s/b.file", folder());
    options.file = other;
    CHECK_STATUS(status_of_open("file", &options), MAPRING_NO_SPACE);
    CHECK(access(other, F_OK) != 0, "a file is left");
    close(fd);
    unlink(path);
    CHECK(count_names() == 0, "%d names are left", count_names());
}

/* A hole of a file that was there is found out by prefaulting, as a status. */
static void holes(void)
{
    mount_small();
    char path[256];
    snprintf(path, sizeof path, "%s/a.file", folder());
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)(2 * PAGES * PAGE)) == 0, "a file: %s", strerror(errno));
    mapring_segment_options options = segment_options(MAPRING_CREATE_NEW, 0);
    options.file = path;
    mapring_segment *segment;
    CHECK_STATUS(mapring_segment_open("file", &options, &segment), 0);
    void *address;
    CHECK_STATUS(mapring_segment_map(segment, 0, 0, MAPRING_PREFAULT, NULL, &address), MAPRING_NO_SPACE);
    CHECK(stat_segment(segment).views == 0, "a view is left");
    mapring_segment_close(segment);
    close(fd);
    unlink(path);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"full_memory", full_memory},
        {"full_for_all", full_for_all},
        {"full_disk", full_disk},
        {"holes", holes},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
