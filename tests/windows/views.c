/*
 * Views of segments in memory, their pages, and segments without a name that are handed over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mapring/mapring.h>

#include "harness.h"
#include "opening.h"

#include <psapi.h>

/* Views. */

static void views(void)
{
    char name[NAME_SIZE];
    unique_name(name, "views");
    mapring_segment *segment;
    if (!CHECK_IS(open_with(name, MAPRING_CREATE_NEW, MEBIBYTE + 100, 0, &segment), 0))
        return;
    uint8_t *whole = map_all(segment, 0), *again = map_all(segment, MAPRING_READ_ONLY);
    CHECK(whole != again);
    CHECK_IS(protection_of(whole), PAGE_READWRITE);
    CHECK_IS(protection_of(again), PAGE_READONLY);
    void *part = NULL, *end = NULL, *none = NULL;
    CHECK_IS(mapring_segment_map(segment, 131072, 10, 0, NULL, &part), MAPRING_OK);
    CHECK_IS(mapring_segment_map(segment, MEBIBYTE, 0, 0, NULL, &end), MAPRING_OK);
    whole[131072 + 9] = 7;
    whole[MEBIBYTE + 99] = 8;
    CHECK(((uint8_t *)part)[9] == 7 && ((uint8_t *)end)[99] == 8 && again[131072 + 9] == 7);
    CHECK_IS(stat_of(segment).views, 4);

    CHECK_IS(mapring_segment_map(segment, 4096, 10, 0, NULL, &none), MAPRING_MISALIGNED);
    CHECK_IS(mapring_segment_map(segment, 0, MEBIBYTE + 101, 0, NULL, &none), MAPRING_INVALID_SIZE);
    CHECK_IS(mapring_segment_map(segment, MEBIBYTE, 101, 0, NULL, &none), MAPRING_INVALID_SIZE);
    CHECK_IS(mapring_segment_map(segment, 2 * MEBIBYTE, 0, 0, NULL, &none), MAPRING_INVALID_SIZE);
    CHECK_IS(mapring_segment_map(segment, UINT64_MAX - 65535, 65536, 0, NULL, &none), MAPRING_INVALID_SIZE);
    CHECK_IS(mapring_segment_map(segment, 0, 0, 0x1, NULL, &none), MAPRING_INVALID_ARGUMENT);
    CHECK_IS(mapring_segment_unmap(segment, part), MAPRING_OK);
    CHECK_IS(mapring_segment_unmap(segment, part), MAPRING_NOT_MAPPED);
    CHECK_IS(mapring_segment_unmap(segment, whole + 65536), MAPRING_NOT_MAPPED);
    CHECK_IS(protection_of(part), 0);
    CHECK_IS(stat_of(segment).views, 3);
    CHECK(none == NULL);
    mapring_segment_close(segment);
    CHECK_IS(protection_of(whole), 0);
    CHECK_IS(protection_of(end), 0);
    CHECK_IS((int64_t)mapring_view_alignment(), 65536);
}

static void wanted_addresses(void)
{
    char name[NAME_SIZE];
    unique_name(name, "address");
    mapring_segment *segment;
    if (!CHECK_IS(open_with(name, MAPRING_CREATE_NEW, 3 * 65536, 0, &segment), 0))
        return;
    uint8_t *taken = VirtualAlloc(NULL, 4 * 65536, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    taken[65536] = 5;
    void *view = NULL;
    CHECK_IS(mapring_segment_map(segment, 0, 0, 0, taken, &view), MAPRING_ADDRESS_TAKEN);
    CHECK_IS(mapring_segment_map(segment, 0, 0, 0, taken + 65536, &view), MAPRING_ADDRESS_TAKEN);
    CHECK_IS(mapring_segment_map(segment, 0, 0, 0, taken + 1, &view), MAPRING_MISALIGNED);
    CHECK_IS(mapring_segment_map(segment, 0, 0, 0, (void *)(uintptr_t)0xffff800000000000u, &view),
             MAPRING_ADDRESS_TAKEN);
    CHECK_IS(mapring_segment_map(segment, 0, 0, 0, (void *)(uintptr_t)0x00007fffffff0000u, &view),
             MAPRING_ADDRESS_TAKEN);
    CHECK(view == NULL && taken[65536] == 5);
    CHECK(VirtualFree(taken, 0, MEM_RELEASE));
    CHECK_IS(mapring_segment_map(segment, 65536, 0, 0, taken, &view), MAPRING_OK);
    CHECK(view == taken);
    mapring_segment_close(segment);
}

/* A child: takes the parent's address for something else, maps the segment, and says where; then adds one to a number.
 */
static int elsewhere(const char *name, const char *address)
{
    void *parents = (void *)(uintptr_t)strtoull(address, NULL, 16);
    VirtualAlloc(parents, 65536, MEM_RESERVE, PAGE_NOACCESS);
    mapring_segment *segment;
    void *view = NULL;
    if (open_with(name, MAPRING_OPEN_EXISTING, 0, 0, &segment) != 1)
        return 1;
    tell(mapring_segment_map(segment, 0, 0, 0, parents, &view) == MAPRING_ADDRESS_TAKEN ? "taken" : "free");
    if (mapring_segment_map(segment, 0, 0, 0, NULL, &view) != MAPRING_OK)
        return 2;
    tell(view == parents ? "same" : "different");
    ++*(int *)view;
    mapring_segment_close(segment);
    return 0;
}

static void addresses_differ_between_processes(void)
{
    char name[NAME_SIZE], address[32];
    unique_name(name, "differ");
    mapring_segment *segment;
    if (!CHECK_IS(open_with(name, MAPRING_CREATE_NEW, 4096, 0, &segment), 0))
        return;
    int *view = (int *)(void *)map_all(segment, 0);
    *view = 41;
    snprintf(address, sizeof address, "%llx", (unsigned long long)(uintptr_t)view);
    const char *arguments[] = {"elsewhere", name, address, NULL};
    struct child child = start_child(NULL, arguments);
    expect_line(&child, "taken");
    expect_line(&child, "different");
    CHECK_IS(end_child(&child), 0);
    CHECK_IS(*view, 42);
    mapring_segment_close(segment);
}

static uint64_t resident(const uint8_t *view, uint64_t size)
{
    uint64_t pages = 0;
    for (uint64_t offset = 0; offset < size; offset += 4096) {
        PSAPI_WORKING_SET_EX_INFORMATION told = {.VirtualAddress = (void *)(uintptr_t)(view + offset)};
        pages += QueryWorkingSetEx(GetCurrentProcess(), &told, sizeof told) && told.VirtualAttributes.Valid;
    }
    return pages;
}

static void pages_by_request(void)
{
    mapring_segment *segment;
    if (!CHECK_IS(open_with(NULL, MAPRING_CREATE_NEW, MEBIBYTE, 0, &segment), 0))
        return;
    CHECK_IS((int64_t)resident(map_all(segment, 0), MEBIBYTE), 0);
    CHECK_IS((int64_t)resident(map_all(segment, MAPRING_PREFAULT), MEBIBYTE), 256);
    CHECK_IS((int64_t)resident(map_all(segment, MAPRING_PREFAULT | MAPRING_READ_ONLY), MEBIBYTE), 256);
    void *locked = NULL;
    int32_t status = mapring_segment_map(segment, 0, 0, MAPRING_LOCK_PAGES, NULL, &locked);
    if (status == MAPRING_OK)
        CHECK_IS((int64_t)resident(locked, MEBIBYTE), 256);
    else if (CHECK(status == MAPRING_NO_MEMORY || status == MAPRING_PERMISSION))
        printf("not tested: locked pages, which this user may not have\n");
    CHECK_IS((int64_t)stat_of(segment).large_pages, 0);
    mapring_segment_close(segment);
}

static void large_pages_fall_back(void)
{
    char name[NAME_SIZE];
    unique_name(name, "large");
    mapring_segment *segment, *other;
    if (!CHECK_IS(open_with(name, MAPRING_CREATE_NEW, 3 * MEBIBYTE + 1, MAPRING_LARGE_PAGES, &segment), 0))
        return;
    CHECK_IS(open_with(name, MAPRING_OPEN_EXISTING, 0, 0, &other), 1);
    uint8_t *view = map_all(segment, 0), *seen = map_all(other, MAPRING_READ_ONLY);
    memset(view, 3, 3 * MEBIBYTE + 1);
    CHECK(seen[0] == 3 && seen[3 * MEBIBYTE] == 3);
    void *part = NULL;
    CHECK_IS(mapring_segment_map(other, MEBIBYTE, 0, 0, NULL, &part), MAPRING_OK);
    CHECK(((uint8_t *)part)[2 * MEBIBYTE] == 3);
    mapring_segment_info info = stat_of(segment);
    CHECK(info.size == 3 * MEBIBYTE + 1 && info.large_pages <= 4 * MEBIBYTE);
    printf("%llu bytes are in large pages\n", (unsigned long long)info.large_pages);
    mapring_segment_close(other);
    mapring_segment_close(segment);
    CHECK(is_free(name));
}

/* Handing over. */

/* A child: gets the segment by the number of a handle that it inherited. */
static int inherit(const char *number)
{
    int64_t handle = strtoll(number, NULL, 10);
    mapring_segment *segment = NULL;
    int32_t status = mapring_segment_import(handle, 0, &segment);
    tell(mapring_status_name(status));
    if (status < 0)
        return 1;
    CloseHandle((HANDLE)(intptr_t)handle);
    void *view = NULL;
    mapring_segment_info info = {.struct_size = sizeof info};
    status = mapring_segment_stat(segment, &info);
    bool reads_only = (info.flags & MAPRING_READ_ONLY) != 0;
    if (status < 0 || info.size != ODD_SIZE ||
        mapring_segment_map(segment, 0, 0, reads_only ? MAPRING_READ_ONLY : 0, NULL, &view) < 0)
        return 2;
    tell(reads_only ? "to read" : "to write");
    if (!reads_only)
        strcpy(view, "from the child");
    tell(view);
    mapring_segment_close(segment);
    return 0;
}

static void hand_over(mapring_segment *segment, uint32_t flags, const char *rights, const char *text)
{
    int64_t handle = 0;
    char number[32];
    CHECK_IS(mapring_segment_export(segment, flags | MAPRING_INHERITABLE, &handle), MAPRING_OK);
    snprintf(number, sizeof number, "%lld", (long long)handle);
    const char *arguments[] = {"inherit", number, NULL};
    struct child child = start_child(NULL, arguments);
    expect_line(&child, "MAPRING_OK");
    expect_line(&child, rights);
    expect_line(&child, text);
    CHECK_IS(end_child(&child), 0);
    CHECK(CloseHandle((HANDLE)(intptr_t)handle));
}

static void segments_without_a_name(void)
{
    mapring_segment *segment, *imported = NULL;
    if (!CHECK_IS(open_with(NULL, MAPRING_CREATE_NEW, ODD_SIZE, 0, &segment), 0))
        return;
    char *view = (char *)map_all(segment, 0);
    hand_over(segment, 0, "to write", "from the child");
    CHECK(strcmp(view, "from the child") == 0);
    strcpy(view, "from the parent");
    hand_over(segment, MAPRING_READ_ONLY, "to read", "from the parent");
    CHECK(stat_of(segment).name[0] == 0);

    /* Without leave to inherit, and within the process. */
    int64_t handle = 0;
    DWORD inherited = 1;
    CHECK_IS(mapring_segment_export(segment, MAPRING_READ_ONLY, &handle), MAPRING_OK);
    CHECK(GetHandleInformation((HANDLE)(intptr_t)handle, &inherited) && (inherited & HANDLE_FLAG_INHERIT) == 0);
    CHECK(MapViewOfFile((HANDLE)(intptr_t)handle, FILE_MAP_WRITE, 0, 0, 4096) == NULL);
    CHECK_IS(mapring_segment_import(handle, 0, &imported), MAPRING_OK);
    void *none = NULL;
    CHECK_IS(mapring_segment_map(imported, 0, 0, 0, NULL, &none), MAPRING_PERMISSION);
    CHECK_IS(mapring_segment_export(imported, 0, &(int64_t){0}), MAPRING_PERMISSION);
    mapring_segment_close(segment);
    CHECK(strcmp((char *)map_all(imported, MAPRING_READ_ONLY), "from the parent") == 0);
    mapring_segment_close(imported);
    CHECK(CloseHandle((HANDLE)(intptr_t)handle));
}

static void what_is_no_segment_is_not_imported(void)
{
    mapring_segment *segment = NULL;
    HANDLE event = CreateEventA(NULL, FALSE, FALSE, NULL);
    HANDLE section = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 4096, NULL);
    CHECK_IS(mapring_segment_import((int64_t)(intptr_t)event, 0, &segment), MAPRING_FOREIGN);
    CHECK_IS(mapring_segment_import((int64_t)(intptr_t)section, 0, &segment), MAPRING_FOREIGN);
    CloseHandle(event);
    CloseHandle(section);
    const int64_t bad[] = {0, -1, -2, INT64_MIN, 0x7ffffff4, (int64_t)(intptr_t)event};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_IS(mapring_segment_import(bad[i], 0, &segment), MAPRING_INVALID_ARGUMENT);
    CHECK(segment == NULL);
    char name[NAME_SIZE];
    unique_name(name, "named");
    CHECK_IS(open_with(name, MAPRING_CREATE_NEW, 4096, 0, &segment), 0);
    CHECK_IS(mapring_segment_export(segment, 0, &(int64_t){0}), MAPRING_UNSUPPORTED);
    mapring_segment_close(segment);
}

static void nothing_leaks(void)
{
    char name[NAME_SIZE];
    unique_name(name, "leak");
    unsigned before = 0, after = 0;
    for (int round = 0; round < 60; round++) {
        mapring_segment *segment, *imported = NULL;
        open_with(name, MAPRING_CREATE_NEW, 65536, MAPRING_LARGE_PAGES, &segment);
        map_all(segment, MAPRING_PREFAULT);
        status_of(name, MAPRING_CREATE_NEW, 65536, 0);
        status_of(name, MAPRING_CREATE_OR_OPEN, 65537, 0);
        status_of(name, MAPRING_OPEN_EXISTING, 0, MAPRING_READ_ONLY);
        mapring_event_open(name, NULL, &(mapring_event *){NULL});
        mapring_mutex_open(name, NULL, &(mapring_mutex *){NULL});
        mapring_kind(name);
        mapring_list(NULL, 0, &(uint64_t){0});
        mapring_segment_close(segment);
        open_with(NULL, MAPRING_CREATE_NEW, 65536, 0, &segment);
        int64_t handle = 0;
        mapring_segment_export(segment, 0, &handle);
        mapring_segment_import(handle, 0, &imported);
        CloseHandle((HANDLE)(intptr_t)handle);
        mapring_segment_close(segment);
        mapring_segment_close(imported);
        mapring_kind(name);
        if (round == 9)
            before = count_handles();
    }
    after = count_handles();
    CHECK_IS(after, before);
}

int main(int argc, char **argv)
{
    start_tests(120);
    if (argc == 4 && strcmp(argv[1], "elsewhere") == 0)
        return elsewhere(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "inherit") == 0)
        return inherit(argv[2]);
    run_test("views", views);
    run_test("wanted addresses", wanted_addresses);
    run_test("addresses differ between processes", addresses_differ_between_processes);
    run_test("pages by request", pages_by_request);
    run_test("large pages fall back", large_pages_fall_back);
    run_test("segments without a name", segments_without_a_name);
    run_test("what is no segment is not imported", what_is_no_segment_is_not_imported);
    run_test("nothing leaks", nothing_leaks);
    return finish_tests();
}
