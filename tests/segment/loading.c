/*
 * The library as part of a plug-in: loaded, used and unloaded again and again in one process, it leaves nothing.
 *
 * Usage: loading LIBRARY
 */
#include <dirent.h>
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mapring/mapring.h>

#define ROUNDS 1000

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

struct possessions {
    int descriptors;
    int threads;
    int mappings;
    size_t heap;
};

static int count_entries(const char *path)
{
    DIR *folder = opendir(path);
    CHECK(folder != NULL);
    int count = 0;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static struct possessions possessions_now(void)
{
    struct possessions now = {
        .descriptors = count_entries("/proc/self/fd"),
        .threads = count_entries("/proc/self/task"),
        .heap = mallinfo2().uordblks,
    };
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    for (int c; (c = fgetc(maps)) != EOF;)
        now.mappings += c == '\n';
    fclose(maps);
    return now;
}

/* A function of the library, by its own type. */
#define FIND(library, function)                                                                                        \
    __typeof__(&function) use_##function;                                                                              \
    do {                                                                                                               \
        void *symbol = dlsym(library, #function);                                                                      \
        CHECK(symbol != NULL);                                                                                         \
        memcpy(&use_##function, &symbol, sizeof symbol);                                                               \
    } while (0)

static void use_segment(void *library)
{
    FIND(library, mapring_segment_open);
    FIND(library, mapring_segment_map);
    FIND(library, mapring_segment_close);
    mapring_segment_options options = {.struct_size = sizeof options, .mode = MAPRING_CREATE_NEW, .size = 100000};
    mapring_segment *segment, *again;
    void *view;
    CHECK(use_mapring_segment_open("plug-in", &options, &segment) == 0);
    CHECK(use_mapring_segment_open("plug-in", NULL, &again) == 1);
    CHECK(use_mapring_segment_map(segment, 0, 0, 0, NULL, &view) == 0);
    memset(view, 1, 100000);
    CHECK(use_mapring_segment_map(again, 65536, 0, MAPRING_READ_ONLY, NULL, &view) == 0);
    use_mapring_segment_close(again);
    use_mapring_segment_close(segment);
}

static void use_others(void *library)
{
    FIND(library, mapring_event_open);
    FIND(library, mapring_event_wait);
    FIND(library, mapring_event_close);
    FIND(library, mapring_mutex_open);
    FIND(library, mapring_mutex_lock);
    FIND(library, mapring_mutex_close);
    FIND(library, mapring_producer_open);
    FIND(library, mapring_publish);
    FIND(library, mapring_producer_close);
    FIND(library, mapring_sweep);
    mapring_event *event;
    CHECK(use_mapring_event_open("plug-in event", NULL, &event) == 0);
    CHECK(use_mapring_event_wait(event, 1000) == MAPRING_TIMEOUT);
    use_mapring_event_close(event);
    mapring_mutex *mutex;
    CHECK(use_mapring_mutex_open("plug-in mutex", NULL, &mutex) == 0);
    CHECK(use_mapring_mutex_lock(mutex, 0) == 0);
    use_mapring_mutex_close(mutex);
    mapring_producer_options options = {.struct_size = sizeof options, .capacity = 4096};
    mapring_producer *producer;
    CHECK(use_mapring_producer_open("plug-in ring", &options, &producer) == 0);
    CHECK(use_mapring_publish(producer, "message", 7, 0, 0, 0) == 0);
    use_mapring_producer_close(producer);
    CHECK(use_mapring_sweep() == 0);
}

static void load_and_use(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    use_segment(library);
    use_others(library);
    CHECK(dlclose(library) == 0);
    CHECK(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL); /* it is really gone */
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    /* The system's own loader and heap make themselves at home first. */
    for (int round = 0; round < 100; round++)
        load_and_use(argv[1]);
    struct possessions before = possessions_now();
    for (int round = 0; round < ROUNDS; round++)
        load_and_use(argv[1]);
    struct possessions after = possessions_now();
    printf("%d rounds: %d descriptors, %d threads, %d mappings, %zu bytes of heap; before: %d, %d, %d, %zu\n", ROUNDS,
           after.descriptors, after.threads, after.mappings, after.heap, before.descriptors, before.threads,
           before.mappings, before.heap);
    CHECK(after.descriptors == before.descriptors && after.threads == before.threads);
    CHECK(after.mappings <= before.mappings && after.heap <= before.heap + 8 * ROUNDS);
    return 0;
}
