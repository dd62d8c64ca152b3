/*
 * Somebody writes into what the names of segments, events, semaphores and mutexes say of themselves: whoever opens them
 * gets a status, or something that can be used to its last byte; and who has them open notices nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "foreign.h"
#include "layout.h"
#include "rings.h"

TestSuite(hostile_segments, .timeout = 120);

#define SIZE 100000u
#define ROUNDS 3000u

/* What a name can belong to, and one more: a segment in a file. */
enum { IN_FILE = MAPRING_KIND_MUTEX + 1 };

static char file[128];

static int32_t open_one(int32_t kind, const char *name, void **handle)
{
    mapring_segment_options segment = {.struct_size = sizeof segment, .size = SIZE};
    if (kind == IN_FILE)
        segment.file = file;
    mapring_producer_options ring = {.struct_size = sizeof ring, .capacity = 4096};
    *handle = NULL;
    switch (kind) {
    case MAPRING_KIND_RING:
        return mapring_producer_open(name, &ring, (mapring_producer **)handle);
    case MAPRING_KIND_SEGMENT:
    case IN_FILE:
        return mapring_segment_open(name, &segment, (mapring_segment **)handle);
    case MAPRING_KIND_EVENT:
        return mapring_event_open(name, NULL, (mapring_event **)handle);
    case MAPRING_KIND_SEMAPHORE:
        return mapring_semaphore_open(name, NULL, (mapring_semaphore **)handle);
    default:
        return mapring_mutex_open(name, NULL, (mapring_mutex **)handle);
    }
}

static void use_segment(mapring_segment *segment)
{
    mapring_segment_info info = {.struct_size = sizeof info};
    cr_assert_status(mapring_segment_stat(segment, &info), MAPRING_OK);
    cr_assert_leq(info.size, 2 * SIZE);
    void *address;
    int32_t status = mapring_segment_map(segment, 0, 0, 0, NULL, &address);
    if (status == MAPRING_PERMISSION) /* it says that it is read-only */
        return;
    cr_assert_status(status, MAPRING_OK);
    for (uint64_t i = 0; i < info.size; i += 1000)
        ((uint8_t *)address)[i] = 1;
    ((uint8_t *)address)[info.size - 1] = 1;
    mapring_segment_flush(segment, NULL, 0, 0);
}

static void use_and_close(int32_t kind, void *handle)
{
    if (handle == NULL)
        return;
    switch (kind) {
    case MAPRING_KIND_RING:
        mapring_producer_close(handle);
        break;
    case MAPRING_KIND_SEGMENT:
    case IN_FILE:
        use_segment(handle);
        mapring_segment_close(handle);
        break;
    case MAPRING_KIND_EVENT:
        mapring_event_set(handle);
        mapring_event_wait(handle, 1000);
        mapring_event_reset(handle);
        mapring_event_close(handle);
        break;
    case MAPRING_KIND_SEMAPHORE:
        mapring_semaphore_release(handle, 1);
        mapring_semaphore_wait(handle, 1000);
        mapring_semaphore_close(handle);
        break;
    default:
        if (mapring_mutex_lock(handle, 1000) >= 0)
            mapring_mutex_unlock(handle);
        mapring_mutex_close(handle);
    }
}

static void remove_file(void)
{
    unlink(file);
}

static void spoil(int32_t kind)
{
    char name[64], path[512];
    unique_name(name);
    path_of_name(path, name);
    const char *folder = getenv("TMPDIR");
    snprintf(file, sizeof file, "%s/mapring-%s", folder != NULL ? folder : "/tmp", name);
    void *held;
    cr_assert_status(open_one(kind, name, &held), 0);

    int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    struct stat status;
    cr_assert_eq(fstat(fd, &status), 0);
    uint64_t *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq((void *)words, MAP_FAILED);
    uint64_t before[4096 / 8];
    memcpy(before, words, sizeof before);
    uint64_t random = (uint64_t)kind;
    uint32_t opened = 0, refused = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint64_t changes = 1 + random_next(&random) % 3;
        for (uint64_t i = 0; i < changes; i++) {
            uint64_t place = random_next(&random) % (i == 0 ? 16 : sizeof before / 8);
            uint64_t shift = random_next(&random) % 64;
            words[place] =
                random_next(&random) % 2 == 0 ? words[place] ^ (uint64_t)1 << shift : evil_word(&random, SIZE, 4096);
        }
        for (int32_t other = MAPRING_KIND_RING; other <= IN_FILE; other++) {
            void *handle;
            int32_t result = open_one(other, name, &handle);
            cr_assert_eq(result < 0, handle == NULL);
            opened += result >= 0;
            refused += result < 0;
            use_and_close(other, handle);
        }
        mapring_kind(name);
        /* Other tests leave names at the same time. */
        cr_assert_geq(mapring_sweep(), 0);
        cr_assert_neq(mapring_segment_remove(name), 0);
        cr_assert_eq(access(path, F_OK), 0, "what is held was removed");
        memcpy(words, before, sizeof before);
    }
    /* As it was, it is as good as before. */
    void *handle;
    cr_assert_status(open_one(kind, name, &handle), 1);
    use_and_close(kind, handle);
    use_and_close(kind, held);
    munmap(words, 4096);
    close(fd);
    remove_file();
    cr_assert_neq(access(path, F_OK), 0, "it stays");
    cr_log_info("kind %d: opened %u times, refused %u times", (int)kind, opened, refused);
    cr_assert(opened > 100 && refused > 1000);
}

Test(hostile_segments, segments)
{
    spoil(MAPRING_KIND_SEGMENT);
}

Test(hostile_segments, segments_in_files)
{
    spoil(IN_FILE);
}

Test(hostile_segments, events)
{
    spoil(MAPRING_KIND_EVENT);
}

Test(hostile_segments, semaphores)
{
    spoil(MAPRING_KIND_SEMAPHORE);
}

Test(hostile_segments, mutexes)
{
    spoil(MAPRING_KIND_MUTEX);
}
