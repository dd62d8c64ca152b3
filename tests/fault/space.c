/*
 * Too little space: a full tmpfs, for names and for files, and capacities that no machine has. What cannot be had is
 * refused at creation; what was created never faults.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "calls.h"

#define PAGE 4096u
#define SLOTS 16u

/* Mounts. */

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        skip("no user namespaces here");
    close(fd);
}

/* From now on mounts of this process are its own. */
static void own_mounts(void)
{
    char users[64], groups[64];
    snprintf(users, sizeof users, "0 %lu 1", (unsigned long)geteuid());
    snprintf(groups, sizeof groups, "0 %lu 1", (unsigned long)getegid());
    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            skip("no mounts of its own are permitted here");
        write_file("/proc/self/uid_map", users);
        write_file("/proc/self/setgroups", "deny");
        write_file("/proc/self/gid_map", groups);
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        skip("no mounts of its own are permitted here");
}

static void mount_tmpfs(const char *path, uint64_t pages, unsigned long flags)
{
    char options[64];
    snprintf(options, sizeof options, "size=%" PRIu64 ",mode=700", pages * PAGE);
    if (mount("tmpfs", path, "tmpfs", flags, options) != 0)
        skip("no tmpfs can be mounted here");
}

static uint64_t free_pages(const char *path)
{
    struct statvfs status;
    CHECK(statvfs(path, &status) == 0, "%s: %s", path, strerror(errno));
    return status.f_bfree * status.f_bsize / PAGE;
}

static const char *names_folder(void)
{
    return getenv("MAPRING_DIR");
}

/* Rings that just fit. */

static int32_t create(uint64_t capacity, const char *file, mapring_producer **producer)
{
    mapring_producer_options options = {.struct_size = sizeof options,
                                        .mode = MAPRING_CREATE_NEW,
                                        .capacity = capacity,
                                        .max_consumers = SLOTS,
                                        .file = file};
    *producer = NULL;
    return mapring_producer_open(RING, &options, producer);
}

/* Writes every page that a ring has: all slots, and the data more than once. A page that is missing raises SIGBUS. */
static void use_all_of_it(mapring_producer *producer, uint64_t capacity)
{
    mapring_consumer *others[SLOTS - 1];
    uint64_t max = mapring_message_max(capacity);
    for (uint32_t i = 0; i < SLOTS - 1; i++)
        others[i] = open_consumer(MAPRING_FROM_NEWEST);
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, max, 1);
    reader.sequence = 0;
    mapring_consumer *none;
    CHECK_STATUS(mapring_consumer_open(RING, NULL, &none), MAPRING_NO_SLOT);
    for (uint32_t i = 0; i < SLOTS - 1; i++)
        mapring_consumer_close(others[i]);
    uint64_t sequence = 0;
    for (uint64_t bytes = 0; bytes < 3 * capacity; bytes += message_length(sequence, max) + 8, sequence++) {
        publish_message(producer, sequence, max);
        while (reader.sequence <= sequence)
            CHECK(reader_step(&reader, SECOND) >= 0, "reading fails");
    }
    while (mapring_publish(producer, reader.buffer, max, 0, 0, 0) == MAPRING_OK)
        ;
    mapring_producer_close(producer);
    producer = open_producer(0, 0);
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    reader_close(&reader);
    mapring_producer_close(producer);
}

/* Grows a file system at `path` page by page, until a ring fits. */
static void grow_until_it_fits(const char *path, uint64_t start, uint64_t capacity, const char *file)
{
    mapring_producer *producer;
    uint64_t refusals = 0;
    for (uint64_t pages = start;; pages++) {
        mount_tmpfs(path, pages, MS_REMOUNT);
        struct possessions before = possessions_now();
        uint64_t free_before = free_pages(path);
        int32_t status = create(capacity, file, &producer);
        if (status >= 0)
            break;
        CHECK_STATUS(status, MAPRING_NO_SPACE);
        CHECK(producer == NULL, "a handle of nothing");
        check_possessions(before, "creation");
        CHECK(file == NULL || access(file, F_OK) != 0, "the file is left");
        CHECK(free_pages(path) == free_before, "space is not given back");
        CHECK(pages < start + 64, "it never fits");
        refusals++;
    }
    CHECK(refusals > 0, "it fits at once: nothing is tested");
    CHECK(free_pages(path) == 0, "%" PRIu64 " pages more than needed", free_pages(path));
    use_all_of_it(producer, capacity);
}

static void small_folder_of_names(void)
{
    static const uint64_t capacities[] = {4096, 65536, 1 << 20};
    own_mounts();
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        mount_tmpfs(names_folder(), 1, 0);
        grow_until_it_fits(names_folder(), i == 0 ? 1 : capacities[i] / PAGE, capacities[i], NULL);
        CHECK(count_names() == 0, "the name is left");
        CHECK(umount(names_folder()) == 0, "umount: %s", strerror(errno));
    }
}

/* The file has no space; then its name, which takes some of its own. */
#define ELSEWHERE "/mnt"

static void small_folder_of_files(void)
{
    own_mounts();
    mount_tmpfs(ELSEWHERE, 1, 0);
    grow_until_it_fits(ELSEWHERE, 16, 65536, ELSEWHERE "/ring");
    CHECK(unlink(ELSEWHERE "/ring") == 0, "there is no file");
    CHECK(count_names() == 0, "the name is left");
}

static void no_space_for_the_name(void)
{
    mapring_producer *producer;
    own_mounts();
    mount_tmpfs(ELSEWHERE, 64, 0);
    mount_tmpfs(names_folder(), 1, 0);
    uint64_t free_before = free_pages(ELSEWHERE);
    CHECK_STATUS(create(65536, ELSEWHERE "/ring", &producer), MAPRING_NO_SPACE);
    CHECK(access(ELSEWHERE "/ring", F_OK) != 0, "the file is left");
    CHECK(count_names() == 0, "the name is left");
    CHECK(free_pages(ELSEWHERE) == free_before && free_pages(names_folder()) == 1, "space is not given back");
    mount_tmpfs(names_folder(), 2, MS_REMOUNT);
    CHECK_STATUS(create(65536, ELSEWHERE "/ring", &producer), MAPRING_OK);
    use_all_of_it(producer, 65536);
}

/* Others have filled it, and make room again. */
static void a_full_folder(void)
{
    char filler[128];
    mapring_producer *producer;
    own_mounts();
    mount_tmpfs(names_folder(), 300, 0);
    snprintf(filler, sizeof filler, "%s/.filler", names_folder());
    int fd = open(filler, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && posix_fallocate(fd, 0, 300 * PAGE) == 0, "%s: %s", filler, strerror(errno));
    CHECK_STATUS(create(1 << 20, NULL, &producer), MAPRING_NO_SPACE);
    CHECK(ftruncate(fd, 0) == 0, "%s: %s", filler, strerror(errno));
    CHECK_STATUS(create(1 << 20, NULL, &producer), MAPRING_OK);
    /* Full again with somebody else's, the ring has what it needs. */
    CHECK(posix_fallocate(fd, 0, (off_t)(free_pages(names_folder()) * PAGE)) == 0, "%s: %s", filler, strerror(errno));
    CHECK(free_pages(names_folder()) == 0, "it is not full");
    use_all_of_it(producer, 1 << 20);
    close(fd);
    unlink(filler);
}

/* More than there can be. */

static void largest_capacity_in_small_folder(void)
{
    mapring_producer *producer;
    own_mounts();
    mount_tmpfs(names_folder(), 64, 0);
    int32_t status = create(mapring_capacity_max(), NULL, &producer);
    CHECK(status == MAPRING_NO_SPACE || status == MAPRING_NO_MEMORY, "%s", mapring_status_name(status));
    CHECK(count_names() == 0 && free_pages(names_folder()) == 64, "something is left");
}

/* A machine with as much memory as a test says: the linker puts this in the place of sysinfo(2). */
static uint64_t memory;

int __real_sysinfo(struct sysinfo *info);
int __wrap_sysinfo(struct sysinfo *info);

int __wrap_sysinfo(struct sysinfo *info)
{
    int result = __real_sysinfo(info);
    if (memory > 0) {
        info->totalram = memory / PAGE;
        info->totalswap = 0;
        info->mem_unit = PAGE;
    }
    return result;
}

static void more_than_the_machine_has(void)
{
    mapring_producer *producer;
    struct possessions before = possessions_now();
    memory = 64 << 20;
    CHECK_STATUS(create(64 << 20, NULL, &producer), MAPRING_NO_MEMORY);
    CHECK_STATUS(create(mapring_capacity_max(), NULL, &producer), MAPRING_NO_MEMORY);
    check_possessions(before, "creation");
    CHECK_STATUS(create(1 << 20, NULL, &producer), MAPRING_OK);
    mapring_producer_close(producer);
    check_possessions(before, "creation");
}

/* Limits of the process. */

static void too_small_an_address_space(void)
{
    mapring_producer *producer = open_producer(16 << 20, SLOTS);
    mapring_consumer *consumer;
    struct possessions before = possessions_now();
    struct rlimit limit = {.rlim_cur = 8 << 20, .rlim_max = RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit: %s", strerror(errno));
    mapring_producer *second;
    mapring_ring_info info = {.struct_size = sizeof info};
    int32_t consuming = mapring_consumer_open(RING, NULL, &consumer);
    int32_t looking = mapring_stat(RING, NULL, &info, NULL, 0);
    mapring_producer_options options = {.struct_size = sizeof options, .capacity = 16 << 20};
    int32_t creating = mapring_producer_open("another", &options, &second);
    limit.rlim_cur = RLIM_INFINITY;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit: %s", strerror(errno));
    CHECK_STATUS(consuming, MAPRING_NO_MEMORY);
    CHECK_STATUS(looking, MAPRING_NO_MEMORY);
    CHECK_STATUS(creating, MAPRING_NO_MEMORY);
    check_possessions(before, "what was refused");
    CHECK(stat_ring().consumers == 0, "a consumer that does not exist");
    mapring_producer_close(producer);
}

static void too_small_files(void)
{
    mapring_producer *producer;
    struct possessions before = possessions_now();
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0, "setrlimit: %s", strerror(errno));
    CHECK_STATUS(create(1 << 20, NULL, &producer), MAPRING_NO_SPACE);
    check_possessions(before, "creation");
    CHECK_STATUS(create(1 << 20, case_file(), &producer), MAPRING_NO_SPACE);
    check_possessions(before, "creation in a file");
    CHECK_STATUS(create(1 << 18, NULL, &producer), MAPRING_OK);
    mapring_producer_close(producer);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"small_folder_of_names", small_folder_of_names},
        {"small_folder_of_files", small_folder_of_files},
        {"no_space_for_the_name", no_space_for_the_name},
        {"a_full_folder", a_full_folder},
        {"largest_capacity_in_small_folder", largest_capacity_in_small_folder},
        {"more_than_the_machine_has", more_than_the_machine_has},
        {"too_small_an_address_space", too_small_an_address_space},
        {"too_small_files", too_small_files},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 30);
}
