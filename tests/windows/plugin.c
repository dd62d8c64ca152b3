/*
 * The library as a DLL that is loaded, used and unloaded again and again in one process, as plug-ins are.
 */
#include <stdio.h>
#include <string.h>

#include <mapring/mapring.h>

#include "harness.h"

#include <tlhelp32.h>

#define ROUNDS 200
#define WARM_ROUND 20

static const char *library_path;

/* Functions of the library, by their names. */
#define LOAD(type, name) type name##_function = (type)(void (*)(void))GetProcAddress(library, #name)

typedef int32_t (*segment_open)(const char *, const mapring_segment_options *, mapring_segment **);
typedef int32_t (*segment_map)(mapring_segment *, uint64_t, uint64_t, uint32_t, void *, void **);
typedef void (*segment_close)(mapring_segment *);
typedef int32_t (*mutex_open)(const char *, const mapring_mutex_options *, mapring_mutex **);
typedef int32_t (*mutex_lock)(mapring_mutex *, int64_t);
typedef void (*mutex_close)(mapring_mutex *);
typedef int32_t (*producer_open)(const char *, const mapring_producer_options *, mapring_producer **);
typedef int32_t (*publish)(mapring_producer *, const void *, uint64_t, uint32_t, uint32_t, int64_t);
typedef void (*producer_close)(mapring_producer *);
typedef int32_t (*consumer_open)(const char *, const mapring_consumer_options *, mapring_consumer **);
typedef int32_t (*read_messages)(mapring_consumer *, mapring_message *, uint32_t, int64_t);
typedef void (*consumer_close)(mapring_consumer *);

/* False, and a failed check, if that went wrong. */
static bool use(HMODULE library, const char *name)
{
    LOAD(segment_open, mapring_segment_open);
    LOAD(segment_map, mapring_segment_map);
    LOAD(segment_close, mapring_segment_close);
    mapring_segment_options options = {.struct_size = sizeof options, .size = 1 << 20};
    mapring_segment *segment = NULL;
    void *view = NULL;
    if (!CHECK_IS(mapring_segment_open_function(name, &options, &segment), 0) ||
        !CHECK_IS(mapring_segment_map_function(segment, 0, 0, 0, NULL, &view), MAPRING_OK))
        return false;
    memset(view, 1, 1 << 20);
    mapring_segment_close_function(segment);

    LOAD(mutex_open, mapring_mutex_open);
    LOAD(mutex_lock, mapring_mutex_lock);
    LOAD(mutex_close, mapring_mutex_close);
    mapring_mutex *mutex = NULL;
    if (!CHECK_IS(mapring_mutex_open_function(name, NULL, &mutex), 0))
        return false;
    CHECK_IS(mapring_mutex_lock_function(mutex, 0), MAPRING_OK);
    mapring_mutex_close_function(mutex);

    LOAD(producer_open, mapring_producer_open);
    LOAD(publish, mapring_publish);
    LOAD(producer_close, mapring_producer_close);
    LOAD(consumer_open, mapring_consumer_open);
    LOAD(read_messages, mapring_read);
    LOAD(consumer_close, mapring_consumer_close);
    mapring_producer *producer = NULL;
    mapring_consumer *consumer = NULL;
    mapring_message message;
    if (!CHECK_IS(mapring_producer_open_function(name, NULL, &producer), 0) ||
        !CHECK_IS(mapring_publish_function(producer, "hello", 6, 0, 0, 0), MAPRING_OK) ||
        !CHECK_IS(mapring_consumer_open_function(name, NULL, &consumer), MAPRING_OK) ||
        !CHECK_IS(mapring_read_function(consumer, &message, 1, 0), 1) || !CHECK(strcmp(message.data, "hello") == 0))
        return false;
    CHECK_IS(mapring_read_function(consumer, &message, 1, 1000000), 0);
    mapring_consumer_close_function(consumer);
    mapring_producer_close_function(producer);
    return true;
}

struct footprint {
    unsigned handles;
    DWORD threads;
    DWORD views; /* pieces of shared memory in the address space */
};

static struct footprint measure(void)
{
    struct footprint now = {0, 0, 0};
    now.handles = count_handles();
    MEMORY_BASIC_INFORMATION region;
    for (const char *at = NULL; VirtualQuery(at, &region, sizeof region) != 0;
         at = (const char *)region.BaseAddress + region.RegionSize)
        now.views += region.Type == MEM_MAPPED;
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    THREADENTRY32 thread = {.dwSize = sizeof thread};
    for (BOOL there = Thread32First(all, &thread); there; there = Thread32Next(all, &thread))
        now.threads += thread.th32OwnerProcessID == GetCurrentProcessId();
    CloseHandle(all);
    return now;
}

static void loading_leaves_nothing_behind(void)
{
    char name[NAME_SIZE];
    unique_name(name, "plugin");
    struct footprint before = {0, 0, 0};
    for (int round = 0; round < ROUNDS; round++) {
        HMODULE library = LoadLibraryA(library_path);
        if (!CHECK(library != NULL))
            return;
        if (!use(library, name))
            return;
        CHECK(FreeLibrary(library));
        if (!CHECK(GetModuleHandleA(strrchr(library_path, '\\') + 1) == NULL))
            return;
        if (round == WARM_ROUND)
            before = measure();
    }
    struct footprint after = measure();
    CHECK_IS(after.handles, before.handles);
    CHECK_IS(after.threads, before.threads);
    CHECK_IS(after.views, before.views);
    printf("%u handles, %u threads, %u views after %d rounds\n", after.handles, (unsigned)after.threads,
           (unsigned)after.views, ROUNDS);
}

int main(int argc, char **argv)
{
    start_tests(120);
    static char path[PATH_SIZE];
    if (argc != 2 || GetFullPathNameA(argv[1], sizeof path, path, NULL) == 0)
        return 1;
    library_path = path;
    run_test("loading leaves nothing behind", loading_leaves_nothing_behind);
    return finish_tests();
}
