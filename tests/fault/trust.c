/*
 * Folders that are not ours or not ours alone, and what somebody planted under a name: refused, and left as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calls.h"

#define STRANGER 65534

static const char *folder(void)
{
    return getenv("MAPRING_DIR");
}

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder(), name);
    return path;
}

static int32_t produce(const char *name, uint32_t mode)
{
    mapring_producer_options options = {.struct_size = sizeof options, .mode = mode, .capacity = 4096};
    mapring_producer *producer = NULL;
    int32_t status = mapring_producer_open(name, &options, &producer);
    mapring_producer_close(producer);
    return status;
}

static int32_t consume(const char *name)
{
    mapring_consumer *consumer = NULL;
    int32_t status = mapring_consumer_open(name, NULL, &consumer);
    mapring_consumer_close(consumer);
    return status;
}

static int32_t look_at(const char *name)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    return mapring_stat(name, NULL, &info, NULL, 0);
}

static int32_t list(void)
{
    uint64_t needed;
    return mapring_list(NULL, 0, &needed);
}

/* Every call answers the same. */
static void check_all(int32_t expected)
{
    int descriptors = count_descriptors();
    CHECK_STATUS(produce(RING, MAPRING_CREATE_OR_OPEN), expected);
    CHECK_STATUS(produce(RING, MAPRING_CREATE_NEW), expected);
    CHECK_STATUS(produce(RING, MAPRING_OPEN_EXISTING), expected);
    CHECK_STATUS(consume(RING), expected);
    CHECK_STATUS(look_at(RING), expected);
    CHECK(count_descriptors() == descriptors, "descriptors are left");
}

static void become_stranger(void)
{
    if (geteuid() == 0)
        CHECK(setgid(STRANGER) == 0 && setuid(STRANGER) == 0, "setuid: %s", strerror(errno));
}

static void set_mode(const char *path, mode_t mode)
{
    CHECK(chmod(path, mode) == 0, "%s: %s", path, strerror(errno));
}

static void set_owner(const char *path, uid_t owner)
{
    CHECK(lchown(path, owner, owner) == 0, "%s: %s", path, strerror(errno));
}

static void need_root(void)
{
    if (geteuid() != 0)
        skip("only root can give files away");
}

/* Folders. */

static void folder_others_can_write(void)
{
    static const mode_t modes[] = {0777, 0770, 0720, 0702, 01777};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        set_mode(folder(), modes[i]);
        check_all(MAPRING_UNTRUSTED);
        CHECK_STATUS(list(), MAPRING_UNTRUSTED);
    }
    /* Who can only read cannot plant. */
    set_mode(folder(), 0755);
    CHECK_STATUS(produce(RING, MAPRING_CREATE_NEW), MAPRING_OK);
    CHECK_STATUS(list(), 0);
}

static void folder_of_somebody_else(void)
{
    if (geteuid() == 0) {
        set_owner(folder(), STRANGER);
        check_all(MAPRING_UNTRUSTED);
        CHECK_STATUS(list(), MAPRING_UNTRUSTED);
        set_owner(folder(), 0);
    } else {
        setenv("MAPRING_DIR", "/usr", 1);
        check_all(MAPRING_UNTRUSTED);
        CHECK_STATUS(list(), MAPRING_UNTRUSTED);
    }
}

static void use_closed_folder(void *unused)
{
    (void)unused;
    become_stranger();
    set_mode(folder(), 0500);
    CHECK_STATUS(produce(RING, MAPRING_CREATE_NEW), MAPRING_PERMISSION);
    CHECK_STATUS(produce(RING, MAPRING_CREATE_OR_OPEN), MAPRING_PERMISSION);
    CHECK_STATUS(consume(RING), MAPRING_NOT_FOUND);
    CHECK_STATUS(list(), 0);
    set_mode(folder(), 0000);
    check_all(MAPRING_PERMISSION);
    CHECK_STATUS(list(), MAPRING_PERMISSION);
    set_mode(folder(), 0700);
    CHECK_STATUS(produce(RING, MAPRING_CREATE_OR_OPEN), MAPRING_OK);
}

static void folder_without_permission(void)
{
    if (geteuid() == 0)
        set_owner(folder(), STRANGER);
    join(spawn(use_closed_folder, NULL));
}

static void folder_is_no_folder(void)
{
    char usual[64], other[96];
    snprintf(usual, sizeof usual, "%s", folder());
    snprintf(other, sizeof other, "%s", case_file());

    /* A link, also to a folder that would do, and a file. */
    CHECK(symlink(usual, other) == 0, "%s: %s", other, strerror(errno));
    setenv("MAPRING_DIR", other, 1);
    check_all(MAPRING_UNTRUSTED);
    CHECK_STATUS(list(), MAPRING_UNTRUSTED);
    CHECK(unlink(other) == 0, "%s: %s", other, strerror(errno));
    int fd = open(other, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    check_all(MAPRING_UNTRUSTED);
    close(fd);
    CHECK(unlink(other) == 0, "%s: %s", other, strerror(errno));

    /* None: it is made where something is to be created, and only there. */
    CHECK_STATUS(consume(RING), MAPRING_NOT_FOUND);
    CHECK_STATUS(look_at(RING), MAPRING_NOT_FOUND);
    CHECK_STATUS(list(), 0);
    CHECK(access(other, F_OK) != 0, "somebody who only looked made the folder");
    CHECK_STATUS(produce(RING, MAPRING_CREATE_OR_OPEN), MAPRING_OK);
    struct stat status;
    CHECK(stat(other, &status) == 0 && (status.st_mode & 0777) == 0700, "not a folder of our own");
    CHECK(rmdir(other) == 0, "%s: %s", other, strerror(errno));
    setenv("MAPRING_DIR", usual, 1);
}

/* What lies under a name. */

struct witness {
    struct stat status;
    char bytes[4096];
    ssize_t size;
};

static struct witness look_closely(const char *path)
{
    struct witness witness;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && fstat(fd, &witness.status) == 0, "%s: %s", path, strerror(errno));
    witness.size = read(fd, witness.bytes, sizeof witness.bytes);
    close(fd);
    return witness;
}

static void check_untouched(const char *path, const struct witness *before)
{
    struct witness now = look_closely(path);
    CHECK(now.status.st_ino == before->status.st_ino && now.status.st_mode == before->status.st_mode &&
              now.status.st_uid == before->status.st_uid && now.status.st_nlink == before->status.st_nlink &&
              now.status.st_size == before->status.st_size && now.size == before->size &&
              now.status.st_mtim.tv_sec == before->status.st_mtim.tv_sec &&
              now.status.st_mtim.tv_nsec == before->status.st_mtim.tv_nsec &&
              memcmp(now.bytes, before->bytes, (size_t)before->size) == 0,
          "%s was touched", path);
}

static void write_target(const char *path)
{
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, "dear diary", 10) == 10, "%s: %s", path, strerror(errno));
    close(fd);
}

static void a_link_under_the_name(void)
{
    const char *link = in_folder(RING);
    write_target(case_file());
    struct witness before = look_closely(case_file());
    CHECK(symlink(case_file(), link) == 0, "%s: %s", link, strerror(errno));
    check_all(MAPRING_UNTRUSTED);
    check_untouched(case_file(), &before);
    CHECK(unlink(link) == 0, "the link is gone");
    CHECK(unlink(case_file()) == 0, "the target is gone");

    /* It leads nowhere: nothing is made there. */
    CHECK(symlink(case_file(), link) == 0, "%s: %s", link, strerror(errno));
    check_all(MAPRING_UNTRUSTED);
    CHECK(access(case_file(), F_OK) != 0, "its target was made");
    CHECK(unlink(link) == 0, "the link is gone");

    /* It leads to a ring that would do. */
    mapring_producer *producer;
    CHECK_STATUS(mapring_producer_open("other", NULL, &producer), MAPRING_OK);
    CHECK(symlink("other", link) == 0, "%s: %s", link, strerror(errno));
    check_all(MAPRING_UNTRUSTED);
    CHECK(look_at("other") >= 0, "the other ring is gone");
    CHECK(unlink(link) == 0, "the link is gone");
    mapring_producer_close(producer);
}

static void something_else_under_the_name(void)
{
    const char *path = in_folder(RING);
    CHECK(mkdir(path, 0700) == 0, "%s: %s", path, strerror(errno));
    check_all(MAPRING_NOT_A_RING);
    CHECK(rmdir(path) == 0, "the folder is gone");

    CHECK(mkfifo(path, 0600) == 0, "%s: %s", path, strerror(errno));
    check_all(MAPRING_NOT_A_RING);
    CHECK(unlink(path) == 0, "the FIFO is gone");

    /* Files: empty, short, long. */
    write_target(path);
    static const off_t sizes[] = {0, 1, 10, 8192, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CHECK(truncate(path, sizes[i]) == 0, "%s: %s", path, strerror(errno));
        struct witness before = look_closely(path);
        check_all(MAPRING_NOT_A_RING);
        check_untouched(path, &before);
    }
    CHECK(unlink(path) == 0, "the file is gone");
    CHECK_STATUS(produce(RING, MAPRING_CREATE_NEW), MAPRING_OK);
}

static void a_file_of_somebody_else_under_the_name(void)
{
    need_root();
    write_target(in_folder(RING));
    set_owner(in_folder(RING), STRANGER);
    struct witness before = look_closely(in_folder(RING));
    check_all(MAPRING_UNTRUSTED);
    check_untouched(in_folder(RING), &before);
    CHECK(unlink(in_folder(RING)) == 0, "the file is gone");

    /* A whole ring. */
    mapring_producer *producer = open_producer(4096, 2);
    set_owner(in_folder(RING), STRANGER);
    check_all(MAPRING_UNTRUSTED);
    set_owner(in_folder(RING), 0);
    mapring_producer_close(producer);
}

static void use_closed_ring(void *unused)
{
    (void)unused;
    become_stranger();
    mapring_producer *producer = open_producer(4096, 2);
    set_mode(in_folder(RING), 0000);
    check_all(MAPRING_PERMISSION);
    /* Who may read may look, and not take part. */
    set_mode(in_folder(RING), 0400);
    CHECK_STATUS(produce(RING, MAPRING_CREATE_OR_OPEN), MAPRING_PERMISSION);
    CHECK_STATUS(consume(RING), MAPRING_PERMISSION);
    CHECK_STATUS(look_at(RING), 0);
    set_mode(in_folder(RING), 0600);
    CHECK_STATUS(consume(RING), MAPRING_OK);
    mapring_producer_close(producer);
}

static void a_ring_without_permission(void)
{
    if (geteuid() == 0)
        set_owner(folder(), STRANGER);
    join(spawn(use_closed_ring, NULL));
}

/* A file to keep a ring in, which is something else. */
static void a_file_that_is_no_ring(void)
{
    mapring_producer *producer;
    mapring_producer_options options = {.struct_size = sizeof options, .file = case_file()};
    mapring_ring_info info = {.struct_size = sizeof info};
    write_target(case_file());
    struct witness before = look_closely(case_file());
    for (options.mode = MAPRING_CREATE_OR_OPEN; options.mode <= MAPRING_OPEN_EXISTING; options.mode++) {
        int32_t status = mapring_producer_open(RING, &options, &producer);
        CHECK(status == MAPRING_NOT_A_RING || (options.mode == MAPRING_CREATE_NEW && status == MAPRING_EXISTS),
              "mode %d: %s", (int)options.mode, mapring_status_name(status));
        CHECK(count_names() == 0, "a name is left");
    }
    CHECK_STATUS(mapring_stat(NULL, case_file(), &info, NULL, 0), MAPRING_NOT_A_RING);
    check_untouched(case_file(), &before);
    CHECK(unlink(case_file()) == 0, "the file is gone");

    /* In a folder that is not there, and one that may not be written. */
    options.mode = MAPRING_CREATE_OR_OPEN;
    options.file = "/nowhere/at/all";
    CHECK_STATUS(mapring_producer_open(RING, &options, &producer), MAPRING_NOT_FOUND);
    options.file = "/proc/ring";
    int32_t status = mapring_producer_open(RING, &options, &producer);
    CHECK(status == MAPRING_NOT_FOUND || status == MAPRING_PERMISSION || status == MAPRING_UNSUPPORTED, "%s",
          mapring_status_name(status));
    options.file = folder();
    CHECK_STATUS(mapring_producer_open(RING, &options, &producer), MAPRING_NOT_A_RING);
    CHECK(count_names() == 0, "a name is left");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"folder_others_can_write", folder_others_can_write},
        {"folder_of_somebody_else", folder_of_somebody_else},
        {"folder_without_permission", folder_without_permission},
        {"folder_is_no_folder", folder_is_no_folder},
        {"a_link_under_the_name", a_link_under_the_name},
        {"something_else_under_the_name", something_else_under_the_name},
        {"a_file_of_somebody_else_under_the_name", a_file_of_somebody_else_under_the_name},
        {"a_ring_without_permission", a_ring_without_permission},
        {"a_file_that_is_no_ring", a_file_that_is_no_ring},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 30);
}
