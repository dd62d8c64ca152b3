/*
 * Views of a segment in one process.
 */
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "unit.h"

TestSuite(segment_views, .timeout = 60);

static mapring_segment *new_segment(uint64_t size, uint32_t flags)
{
    char name[64];
    unique_name(name);
    mapring_segment_options options = new_options(size);
    options.flags = flags;
    return open_with(name, &options, 0);
}

Test(segment_views, show_the_same_bytes)
{
    mapring_segment *segment = new_segment(MIB, 0);
    uint8_t *views[100];
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t offset = i % 16 * 64 * KIB;
        cr_assert_status(mapring_segment_map(segment, offset, i % 2 == 0 ? 0 : 4096 + i, 0, NULL, (void **)&views[i]),
                         MAPRING_OK);
        views[i][0] = (uint8_t)i;
    }
    cr_assert_eq(info_of(segment).views, 100);
    uint8_t *all = map_all(segment);
    for (uint64_t i = 0; i < 16; i++)
        cr_assert_eq(all[i * 64 * KIB], i + 16 * ((99 - i) / 16));
    for (uint64_t i = 0; i < 100; i += 2)
        cr_assert_status(mapring_segment_unmap(segment, views[i]), MAPRING_OK);
    cr_assert_status(mapring_segment_unmap(segment, views[0]), MAPRING_NOT_MAPPED);
    cr_assert_status(mapring_segment_unmap(segment, NULL), MAPRING_NOT_MAPPED);
    cr_assert_status(mapring_segment_unmap(segment, views[1] + 1), MAPRING_NOT_MAPPED);
    cr_assert_eq(info_of(segment).views, 51);
    cr_assert_eq(views[99][0], 99);
    mapring_segment_close(segment);
    /* Nothing is mapped any more. */
    unsigned char resident;
    cr_assert_eq(mincore(all, 4096, &resident), -1);
}

Test(segment_views, refused)
{
    mapring_segment *segment = new_segment(100000, 0);
    void *address = NULL;
    cr_assert_status(mapring_segment_map(segment, 4096, 0, 0, NULL, &address), MAPRING_MISALIGNED);
    cr_assert_status(mapring_segment_map(segment, 1, 0, 0, NULL, &address), MAPRING_MISALIGNED);
    cr_assert_status(mapring_segment_map(segment, 0, 100001, 0, NULL, &address), MAPRING_INVALID_SIZE);
    cr_assert_status(mapring_segment_map(segment, 0, UINT64_MAX, 0, NULL, &address), MAPRING_INVALID_SIZE);
    cr_assert_status(mapring_segment_map(segment, 65536, 100000 - 65536 + 1, 0, NULL, &address), MAPRING_INVALID_SIZE);
    cr_assert_status(mapring_segment_map(segment, 131072, 0, 0, NULL, &address), MAPRING_INVALID_SIZE);
    cr_assert_status(mapring_segment_map(segment, UINT64_MAX - 65535, 65536, 0, NULL, &address), MAPRING_INVALID_SIZE);
    cr_assert_status(mapring_segment_map(segment, 0, 0, MAPRING_PERSISTENT, NULL, &address), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_segment_map(segment, 0, 0, 0, NULL, NULL), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_segment_map(NULL, 0, 0, 0, NULL, &address), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_segment_map(segment, 0, 0, 0, (void *)(uintptr_t)1001, &address), MAPRING_MISALIGNED);
    cr_assert_null(address);
    cr_assert_status(mapring_segment_map(segment, 65536, 100000 - 65536, 0, NULL, &address), MAPRING_OK);
    cr_assert_eq(info_of(segment).views, 1);
    cr_assert_eq(mapring_view_alignment(), 65536);
    mapring_segment_close(segment);
}

Test(segment_views, wanted_addresses)
{
    mapring_segment *segment = new_segment(MIB, 0);
    /* A place that is free. */
    uint8_t *hole = mmap(NULL, 3 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq((void *)hole, MAP_FAILED);
    uint8_t *place = (uint8_t *)(((uintptr_t)hole + 65535) / 65536 * 65536);
    cr_assert_eq(munmap(hole, 3 * MIB), 0);
    void *address = NULL;
    cr_assert_status(mapring_segment_map(segment, 0, 0, 0, place, &address), MAPRING_OK);
    cr_assert_eq(address, place);
    *place = 7;
    /* Taken, in whole or in part, by a view of ours or anything else. */
    void *other = NULL;
    cr_assert_status(mapring_segment_map(segment, 0, 0, 0, place, &other), MAPRING_ADDRESS_TAKEN);
    cr_assert_status(mapring_segment_map(segment, 0, 0, 0, place - 65536, &other), MAPRING_ADDRESS_TAKEN);
    uint8_t *strange =
        mmap(place + 2 * MIB, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    *strange = 9;
    cr_assert_status(mapring_segment_map(segment, 0, 0, 0, place + MIB + 65536, &other), MAPRING_ADDRESS_TAKEN);
    cr_assert(*place == 7 && *strange == 9, "something was replaced");
    cr_assert_status(mapring_segment_map(segment, 0, 0, 0, place + MIB, &other), MAPRING_OK);
    /* Never to be had. */
    const uintptr_t nowhere[] = {(uintptr_t)1 << 62, UINTPTR_MAX / 65536 * 65536, (uintptr_t)1 << 47};
    for (size_t i = 0; i < 3; i++)
        cr_assert_status(mapring_segment_map(segment, 0, 0, 0, (void *)nowhere[i], &other), MAPRING_ADDRESS_TAKEN);
    mapring_segment_close(segment);
    munmap(strange, 4096);
}

static void store_into_read_only_view(void)
{
    /* Without a name, which it could not give up. */
    mapring_segment_options options = new_options(100);
    mapring_segment *segment = open_with(NULL, &options, 0);
    void *address;
    cr_assert_status(mapring_segment_map(segment, 0, 0, MAPRING_READ_ONLY, NULL, &address), MAPRING_OK);
    *(volatile char *)address = 1;
}

Test(segment_views, read_only_faults, .signal = SIGSEGV)
{
    store_into_read_only_view();
}

Test(segment_views, read_only)
{
    char name[64];
    unique_name(name);
    mapring_segment_options options = new_options(100);
    mapring_segment *writer = open_with(name, &options, 0);
    options.mode = MAPRING_OPEN_EXISTING;
    options.flags = MAPRING_READ_ONLY;
    mapring_segment *reader = open_with(name, &options, 1);
    cr_assert_eq(info_of(reader).flags, MAPRING_READ_ONLY);
    void *address;
    cr_assert_status(mapring_segment_map(reader, 0, 0, 0, NULL, &address), MAPRING_PERMISSION);
    cr_assert_status(mapring_segment_map(reader, 0, 0, MAPRING_READ_ONLY, NULL, &address), MAPRING_OK);
    *(char *)map_all(writer) = 'w';
    cr_assert_eq(*(char *)address, 'w');
    mapring_segment_close(writer);
    /* Who only reads is a holder too. */
    cr_assert_status(mapring_kind(name), MAPRING_KIND_SEGMENT);
    mapring_segment_close(reader);
    cr_assert_status(mapring_kind(name), MAPRING_NOT_FOUND);
}

Test(segment_views, prefault_and_lock)
{
    mapring_segment *segment = new_segment(MIB, 0);
    uint8_t *address;
    cr_assert_status(mapring_segment_map(segment, 0, 0, MAPRING_PREFAULT, NULL, (void **)&address), MAPRING_OK);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (uint64_t i = 0; i < MIB; i += 4096)
        ((volatile uint8_t *)address)[i] = 1;
    getrusage(RUSAGE_SELF, &after);
    cr_assert_leq(after.ru_minflt - before.ru_minflt, 16, "pages were missing");

    struct rlimit limit = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
    cr_assert_status(mapring_segment_map(segment, 0, 65536, MAPRING_LOCK_PAGES, NULL, (void **)&address), MAPRING_OK);
    cr_assert_eq(info_of(segment).views, 2);
    if (geteuid() != 0 && setrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
        int32_t status = mapring_segment_map(segment, 0, 0, MAPRING_LOCK_PAGES, NULL, (void **)&address);
        cr_assert(status == MAPRING_NO_MEMORY || status == MAPRING_PERMISSION);
        cr_assert_eq(info_of(segment).views, 2);
    }
    mapring_segment_close(segment);
}

/* The system gives large pages or not; what it gave is told, and the bytes are there in any case. */
Test(segment_views, large_pages)
{
    mapring_segment *segment = new_segment(8 * MIB + 5, MAPRING_LARGE_PAGES);
    uint8_t *bytes = map_all(segment);
    for (uint64_t i = 0; i < 8 * MIB + 5; i += 997)
        cr_assert_eq(bytes[i], 0);
    memset(bytes, 3, 8 * MIB + 5);
    uint64_t large = info_of(segment).large_pages;
    cr_assert_leq(large, 8 * MIB);
    cr_assert_eq(large % (2 * MIB), 0);
    void *part;
    cr_assert_status(mapring_segment_map(segment, 65536, 0, MAPRING_READ_ONLY, NULL, &part), MAPRING_OK);
    cr_assert_eq(*(uint8_t *)part, 3);
    mapring_segment_close(segment);
    segment = new_segment(8 * MIB, 0);
    map_all(segment);
    cr_log_info("%lu bytes in large pages", (unsigned long)large);
    mapring_segment_close(segment);
}

/* Without a name. */

Test(segment_views, exported_and_imported)
{
    mapring_segment_options options = new_options(100001);
    mapring_segment *first = open_with(NULL, &options, 0);
    cr_assert_str_eq(info_of(first).name, "");
    strcpy(map_all(first), "anonymous");
    int64_t descriptor, read_only;
    cr_assert_status(mapring_segment_export(first, 0, &descriptor), MAPRING_OK);
    cr_assert_status(mapring_segment_export(first, MAPRING_READ_ONLY, &read_only), MAPRING_OK);
    mapring_segment_close(first);

    mapring_segment *second = NULL, *reader = NULL;
    cr_assert_status(mapring_segment_import(descriptor, 0, &second), MAPRING_OK);
    cr_assert_status(mapring_segment_import(read_only, 0, &reader), MAPRING_OK);
    cr_assert_eq(info_of(second).size, 100001);
    cr_assert_str_eq(map_all(second), "anonymous");
    void *address;
    cr_assert_status(mapring_segment_map(reader, 0, 0, 0, NULL, &address), MAPRING_PERMISSION);
    cr_assert_status(mapring_segment_map(reader, 0, 0, MAPRING_READ_ONLY, NULL, &address), MAPRING_OK);
    cr_assert_status(mapring_segment_export(reader, 0, &(int64_t){0}), MAPRING_PERMISSION);

    /* Nobody can cut it off. */
    cr_assert_eq(ftruncate((int)descriptor, 0), -1);
    cr_assert_eq(ftruncate((int)descriptor, (off_t)(10 * MIB)), -1);
    close((int)descriptor);
    close((int)read_only);
    mapring_segment_close(second);
    mapring_segment_close(reader);
}

Test(segment_views, descriptors_that_are_none)
{
    mapring_segment *segment = NULL;
    const int64_t numbers[] = {-1, INT64_MIN, 1 << 20, INT64_MAX, (int64_t)1 << 32};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        cr_assert_status(mapring_segment_import(numbers[i], 0, &segment), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_segment_import(0, 1, &segment), MAPRING_INVALID_ARGUMENT);
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    cr_assert_status(mapring_segment_import(pipes[0], 0, &segment), MAPRING_FOREIGN);
    int memory = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert_status(mapring_segment_import(memory, 0, &segment), MAPRING_FOREIGN);
    cr_assert_eq(ftruncate(memory, 200000), 0);
    cr_assert_status(mapring_segment_import(memory, 0, &segment), MAPRING_FOREIGN);

    /* A copy of one, byte for byte, that its owner can cut off. */
    mapring_segment_options options = new_options(1000);
    mapring_segment *real = open_with(NULL, &options, 0);
    int64_t descriptor;
    cr_assert_status(mapring_segment_export(real, 0, &descriptor), MAPRING_OK);
    char header[4096];
    cr_assert_eq(pread((int)descriptor, header, sizeof header, 0), (ssize_t)sizeof header);
    cr_assert_eq(pwrite(memory, header, sizeof header, 0), (ssize_t)sizeof header);
    cr_assert_status(mapring_segment_import(memory, 0, &segment), MAPRING_UNTRUSTED);
    cr_assert_eq(ftruncate(memory, 65536), 0);
    cr_assert_status(mapring_segment_import(memory, 0, &segment), MAPRING_TRUNCATED);
    close((int)descriptor);
    mapring_segment_close(real);

    char name[64];
    unique_name(name);
    real = open_with(name, &options, 0);
    cr_assert_status(mapring_segment_export(real, 0, &descriptor), MAPRING_UNSUPPORTED);
    mapring_segment_close(real);
    cr_assert_null(segment);
}
