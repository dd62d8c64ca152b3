/*
 * Segments that are files.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

TestSuite(segment_files, .timeout = 60);

static mapring_segment_options in_file(const char *path, uint64_t size)
{
    mapring_segment_options options = new_options(size);
    options.file = path;
    return options;
}

static void check_bytes(const char *path, uint64_t from, uint64_t to, uint8_t byte)
{
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, (long)from, SEEK_SET), 0);
    for (uint64_t i = from; i < to; i++)
        cr_assert_eq(fgetc(file), byte, "byte %lu", (unsigned long)i);
    fclose(file);
}

Test(segment_files, existing_contents_are_the_initial_ones)
{
    char name[64], path[128];
    unique_name(name);
    const uint64_t sizes[] = {1, 100, 4096, 65537, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        make_file(path, sizes[i], 'x');
        mapring_segment_options options = in_file(path, 0);
        mapring_segment *segment = open_with(name, &options, 0);
        mapring_segment_info info = info_of(segment);
        cr_assert_eq(info.size, sizes[i]);
        cr_assert_eq(info.backing, MAPRING_IN_FILE);
        char *bytes = map_all(segment);
        for (uint64_t j = 0; j < sizes[i]; j++)
            cr_assert_eq(bytes[j], 'x');
        memset(bytes, 'y', sizes[i]);
        mapring_segment_close(segment);
        /* Up to date after the last view, without a flush, and not one byte longer. */
        cr_assert_eq(size_of_file(path), sizes[i]);
        check_bytes(path, 0, sizes[i], 'y');
        unlink(path);
    }
}

Test(segment_files, new_ones)
{
    char name[64], path[128];
    unique_name(name);
    make_file(path, 0, 0);
    unlink(path);
    mapring_segment_options options = in_file(path, 0);
    cr_assert_status(try_open(name, &options), MAPRING_NOT_FOUND);
    cr_assert_neq(access(path, F_OK), 0);
    options.size = 100001;
    options.flags = MAPRING_READ_ONLY;
    cr_assert_status(try_open(name, &options), MAPRING_NOT_FOUND);
    options.flags = 0;
    mapring_segment *segment = open_with(name, &options, 0);
    cr_assert_eq(size_of_file(path), 100001);
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(status.st_mode & 0777, 0600);
    memset(map_all(segment), 'z', 100001);
    mapring_segment *again = open_with(name, NULL, 1);
    cr_assert_eq(((char *)map_all(again))[100000], 'z');
    mapring_segment_close(segment);
    mapring_segment_close(again);
    check_bytes(path, 0, 100001, 'z');
    options.permissions = 0640;
    unlink(path);
    mapring_segment_close(open_with(name, &options, 0));
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(status.st_mode & 0777, 0640);
    unlink(path);
    cr_assert_status(mapring_kind(name), MAPRING_NOT_FOUND);
}

Test(segment_files, growing)
{
    char name[64], path[128];
    unique_name(name);
    make_file(path, 1000, 'x');
    mapring_segment_options options = in_file(path, 1001);
    cr_assert_status(try_open(name, &options), MAPRING_TOO_SMALL);
    cr_assert_eq(size_of_file(path), 1000);
    options.flags = MAPRING_GROW_FILE;
    options.size = 200000;
    mapring_segment *segment = open_with(name, &options, 0);
    char *bytes = map_all(segment);
    cr_assert(bytes[999] == 'x' && bytes[1000] == 0 && bytes[199999] == 0);
    mapring_segment_close(segment);
    cr_assert_eq(size_of_file(path), 200000);
    /* Less than it has: the segment is its beginning, and the rest is left. */
    options.size = 10;
    segment = open_with(name, &options, 0);
    cr_assert_eq(info_of(segment).size, 10);
    mapring_segment_close(segment);
    cr_assert_eq(size_of_file(path), 200000);
    unlink(path);
}

/* What cannot become a segment is left as it was, also when it was grown already. */
Test(segment_files, failed_growth_is_undone)
{
    char name[64], path[128], folder[512];
    unique_name(name);
    make_file(path, 1000, 'x');
    mapring_segment_options options = in_file(path, 200000);
    options.flags = MAPRING_GROW_FILE;
    options.mode = MAPRING_CREATE_NEW;
    /* Something that is none of ours has the name. */
    snprintf(folder, sizeof folder, "%s/%s", getenv("MAPRING_DIR"), name);
    cr_assert_eq(mkdir(folder, 0700), 0);
    cr_assert_status(try_open(name, &options), MAPRING_FOREIGN);
    cr_assert_eq(rmdir(folder), 0);
    cr_assert_eq(size_of_file(path), 1000);
    /* More than there is. */
    options.size = (uint64_t)1 << 45;
    int32_t status = try_open(name, &options);
    cr_assert(status == MAPRING_NO_SPACE || status == MAPRING_INVALID_SIZE, "%s", mapring_status_name(status));
    cr_assert_eq(size_of_file(path), 1000);
    check_bytes(path, 0, 1000, 'x');
    unlink(path);
}

Test(segment_files, exclusive)
{
    char name[64], other[64], path[128];
    unique_name(name);
    unique_name(other);
    make_file(path, 5000, 'x');
    mapring_segment_options options = in_file(path, 0);
    mapring_segment *segment = open_with(name, &options, 0);
    cr_assert_status(try_open(other, &options), MAPRING_BUSY);
    cr_assert_status(mapring_kind(other), MAPRING_NOT_FOUND);
    /* Under its name, with its file or without. */
    cr_assert_status(try_open(name, &options), 1);
    cr_assert_status(try_open(name, NULL), 1);
    /* As the file of a ring. */
    mapring_producer_options ring = {.struct_size = sizeof ring, .file = path};
    mapring_producer *producer;
    cr_assert_lt(mapring_producer_open(other, &ring, &producer), 0);

    char wrong[128];
    make_file(wrong, 5000, 'w');
    options.file = wrong;
    cr_assert_status(try_open(name, &options), MAPRING_WRONG_GEOMETRY);
    options.file = "/nonexistent/file";
    cr_assert_status(try_open(name, &options), MAPRING_WRONG_GEOMETRY);
    mapring_segment_close(segment);

    /* A lock that others can take too. */
    int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    options.file = path;
    cr_assert_status(try_open(name, &options), MAPRING_BUSY);
    close(fd);
    cr_assert_status(try_open(name, &options), 0);
    /* One in memory is in no file. */
    mapring_segment_options memory = new_options(5000);
    segment = open_with(name, &memory, 0);
    cr_assert_status(try_open(name, &options), MAPRING_WRONG_GEOMETRY);
    mapring_segment_close(segment);
    unlink(path);
    unlink(wrong);
}

Test(segment_files, rings_in_files)
{
    char name[64], other[64], path[128];
    unique_name(name);
    unique_name(other);
    make_file(path, 0, 0);
    unlink(path);
    mapring_producer_options ring = {.struct_size = sizeof ring, .capacity = 4096, .file = path};
    mapring_producer *producer;
    cr_assert_status(mapring_producer_open(name, &ring, &producer), 0);
    mapring_segment_options options = in_file(path, 0);
    cr_assert_status(try_open(other, &options), MAPRING_BUSY);
    cr_assert_status(try_open(name, &options), MAPRING_WRONG_KIND);
    cr_assert_status(mapring_kind(name), MAPRING_KIND_RING);
    mapring_producer_close(producer);
    unlink(path);
}

Test(segment_files, what_is_no_file)
{
    char name[64], path[128], link[160];
    unique_name(name);
    const char *const things[] = {"/", "/tmp", "/tmp/", "/dev/null", "/dev/zero", "/proc/self/mem"};
    for (size_t i = 0; i < sizeof things / sizeof things[0]; i++) {
        for (uint64_t size = 0; size <= 1; size++) {
            mapring_segment_options options = in_file(things[i], size);
            int32_t status = try_open(name, &options);
            cr_assert(status == MAPRING_FOREIGN || (i == 5 && status < 0), "%s: %s", things[i],
                      mapring_status_name(status));
        }
    }
    make_file(path, 0, 0);
    mapring_segment_options options = in_file(path, 0);
    cr_assert_status(try_open(name, &options), MAPRING_INVALID_SIZE);
    cr_assert_status(mapring_kind(name), MAPRING_NOT_FOUND);
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_status(try_open(name, &options), MAPRING_FOREIGN);
    options.size = 100;
    cr_assert_status(try_open(name, &options), MAPRING_FOREIGN);
    unlink(path);
    /* A link that the caller names is the caller's to follow. One that leads nowhere is not made a file. */
    make_file(path, 100, 'x');
    snprintf(link, sizeof link, "%s.link", path);
    cr_assert_eq(symlink(path, link), 0);
    options.file = link;
    cr_assert_status(try_open(name, &options), 0);
    unlink(path);
    int32_t status = try_open(name, &options);
    cr_assert(status == MAPRING_EXISTS || status == MAPRING_NOT_FOUND, "%s", mapring_status_name(status));
    cr_assert_neq(access(path, F_OK), 0, "it was created through the link");
    unlink(link);
    options.file = "/nonexistent/folder/file";
    cr_assert_status(try_open(name, &options), MAPRING_NOT_FOUND);
    options.file = "/etc/passwd/file";
    cr_assert_status(try_open(name, &options), MAPRING_FOREIGN);
    cr_assert_status(mapring_kind(name), MAPRING_NOT_FOUND);
}

Test(segment_files, flushing)
{
    char name[64], path[128];
    unique_name(name);
    make_file(path, 300000, 'x');
    mapring_segment_options options = in_file(path, 0);
    mapring_segment *segment = open_with(name, &options, 0);
    char *bytes = map_all(segment), *part;
    cr_assert_status(mapring_segment_map(segment, 65536, 1000, 0, NULL, (void **)&part), MAPRING_OK);
    memset(bytes, 'f', 300000);
    for (uint32_t wait = 0; wait <= 1; wait++) {
        cr_assert_status(mapring_segment_flush(segment, NULL, 0, wait), MAPRING_OK);
        cr_assert_status(mapring_segment_flush(segment, bytes, 0, wait), MAPRING_OK);
        cr_assert_status(mapring_segment_flush(segment, bytes + 12345, 6789, wait), MAPRING_OK);
        cr_assert_status(mapring_segment_flush(segment, bytes + 299999, 1, wait), MAPRING_OK);
        cr_assert_status(mapring_segment_flush(segment, part, 1000, wait), MAPRING_OK);
        cr_assert_status(mapring_segment_flush(segment, part, 1001, wait), MAPRING_NOT_MAPPED);
        cr_assert_status(mapring_segment_flush(segment, bytes + 299999, 2, wait), MAPRING_NOT_MAPPED);
        cr_assert_status(mapring_segment_flush(segment, bytes, UINT64_MAX, wait), MAPRING_NOT_MAPPED);
        cr_assert_status(mapring_segment_flush(segment, name, 1, wait), MAPRING_NOT_MAPPED);
        cr_assert_status(mapring_segment_flush(segment, NULL, 1, wait), MAPRING_INVALID_ARGUMENT);
    }
    cr_assert_status(mapring_segment_flush(segment, NULL, 0, 2), MAPRING_INVALID_ARGUMENT);
    mapring_segment_close(segment);
    unlink(path);

    mapring_segment_options memory = new_options(5000);
    segment = open_with(name, &memory, 0);
    bytes = map_all(segment);
    cr_assert_status(mapring_segment_flush(segment, bytes, 0, 1), MAPRING_OK);
    cr_assert_status(mapring_segment_flush(segment, NULL, 0, 1), MAPRING_OK);
    mapring_segment_close(segment);
}

/* Somebody who does not use the library cuts the file off: told wherever the library looks. */
Test(segment_files, cut_off)
{
    char name[64], path[128];
    unique_name(name);
    make_file(path, 300000, 'x');
    mapring_segment_options options = in_file(path, 0);
    mapring_segment *segment = open_with(name, &options, 0);
    char *bytes = map_all(segment);
    cr_assert_eq(truncate(path, 100000), 0);
    mapring_segment_info info = {.struct_size = sizeof info};
    cr_assert_status(mapring_segment_stat(segment, &info), MAPRING_TRUNCATED);
    cr_assert_eq(info.size, 300000);
    void *address;
    cr_assert_status(mapring_segment_map(segment, 0, 0, 0, NULL, &address), MAPRING_TRUNCATED);
    cr_assert_status(mapring_segment_flush(segment, NULL, 0, 1), MAPRING_TRUNCATED);
    cr_assert_status(mapring_segment_flush(segment, bytes, 1, 1), MAPRING_TRUNCATED);
    cr_assert_status(try_open(name, NULL), MAPRING_TRUNCATED);
    /* What is there can be used still. */
    cr_assert_status(mapring_segment_map(segment, 0, 65536, MAPRING_PREFAULT, NULL, &address), MAPRING_OK);
    mapring_segment_close(segment);
    unlink(path);
    cr_assert_status(mapring_kind(name), MAPRING_NOT_FOUND);
}

Test(segment_files, read_only)
{
    char name[64], path[128];
    unique_name(name);
    make_file(path, 5000, 'x');
    mapring_segment_options options = in_file(path, 0);
    options.flags = MAPRING_READ_ONLY;
    mapring_segment *segment = open_with(name, &options, 0);
    void *address;
    cr_assert_status(mapring_segment_map(segment, 0, 0, 0, NULL, &address), MAPRING_PERMISSION);
    cr_assert_status(mapring_segment_map(segment, 0, 0, MAPRING_READ_ONLY, NULL, &address), MAPRING_OK);
    cr_assert_eq(*(char *)address, 'x');
    /* Who opens it by its name reads only, too. */
    mapring_segment *again = open_with(name, NULL, 1);
    cr_assert_eq(info_of(again).flags, MAPRING_READ_ONLY);
    cr_assert_status(mapring_segment_map(again, 0, 0, 0, NULL, &address), MAPRING_PERMISSION);
    mapring_segment_close(again);
    mapring_segment_close(segment);
    unlink(path);
}
