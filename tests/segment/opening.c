/*
 * Names, modes, kinds, and what is refused.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "unit.h"

TestSuite(segment_opening, .timeout = 60);

Test(segment_opening, three_modes)
{
    char name[64];
    unique_name(name);
    mapring_segment_options options = new_options(100);
    options.mode = MAPRING_OPEN_EXISTING;
    cr_assert_status(try_open(name, &options), MAPRING_NOT_FOUND);
    cr_assert_status(try_open(name, NULL), MAPRING_NOT_FOUND);
    options.mode = MAPRING_CREATE_NEW;
    mapring_segment *first = open_with(name, &options, 0);
    cr_assert_eq(info_of(first).created, 1);
    cr_assert_status(try_open(name, &options), MAPRING_EXISTS);
    options.mode = MAPRING_CREATE_OR_OPEN;
    mapring_segment *second = open_with(name, &options, 1);
    cr_assert_eq(info_of(second).created, 0);
    options.mode = MAPRING_OPEN_EXISTING;
    mapring_segment *third = open_with(name, &options, 1);
    mapring_segment *fourth = open_with(name, NULL, 1);
    mapring_segment_close(first);
    mapring_segment_close(second);
    mapring_segment_close(third);
    cr_assert_status(mapring_kind(name), MAPRING_KIND_SEGMENT);
    mapring_segment_close(fourth);
    cr_assert_status(mapring_kind(name), MAPRING_NOT_FOUND);
    options.mode = MAPRING_CREATE_OR_OPEN;
    cr_assert_status(try_open(name, &options), 0);
}

Test(segment_opening, what_it_says_of_itself)
{
    char name[64];
    unique_name(name);
    mapring_segment_options options = new_options(100001);
    mapring_segment *segment = open_with(name, &options, 0);
    mapring_segment_info info = info_of(segment);
    cr_assert_eq(info.size, 100001);
    cr_assert_geq(info.allocated, 100001);
    cr_assert_leq(info.allocated, 100001 + 4 * 4096);
    cr_assert_eq(info.flags, 0);
    cr_assert_eq(info.backing, MAPRING_IN_MEMORY);
    cr_assert_eq(info.views, 0);
    cr_assert_gt(info.created_ns, (uint64_t)1600000000 * 1000000000);
    cr_assert_str_eq(info.name, name);
    info.struct_size = 8;
    cr_assert_status(mapring_segment_stat(segment, &info), MAPRING_INVALID_OPTIONS);
    cr_assert_status(mapring_segment_stat(segment, NULL), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_segment_stat(NULL, &info), MAPRING_INVALID_ARGUMENT);
    mapring_segment_close(segment);
    mapring_segment_close(NULL);
}

Test(segment_opening, sizes)
{
    char name[64];
    unique_name(name);
    const uint64_t sizes[] = {1, 7, 4095, 4096, 4097, 65535, 65536, 65537, MIB, 3 * MIB + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        mapring_segment_options options = new_options(sizes[i]);
        mapring_segment *segment = open_with(name, &options, 0);
        uint8_t *bytes = map_all(segment);
        for (uint64_t j = 0; j < sizes[i]; j++)
            cr_assert_eq(bytes[j], 0);
        memset(bytes, 0xff, sizes[i]);
        /* What is asked for of an existing one is at most what it has. */
        options.size = sizes[i] + 1;
        cr_assert_status(try_open(name, &options), MAPRING_TOO_SMALL);
        options.size = 0;
        mapring_segment *again = open_with(name, &options, 1);
        cr_assert_eq(info_of(again).size, sizes[i]);
        mapring_segment_close(again);
        mapring_segment_close(segment);
    }
    mapring_segment_options options = new_options(0);
    cr_assert_status(try_open(name, &options), MAPRING_INVALID_SIZE);
    const uint64_t too_much[] = {(uint64_t)1 << 45, ((uint64_t)1 << 46) + 1, (uint64_t)1 << 62, UINT64_MAX,
                                 UINT64_MAX - 65535};
    for (size_t i = 0; i < sizeof too_much / sizeof too_much[0]; i++) {
        options.size = too_much[i];
        int32_t status = try_open(name, &options);
        cr_assert(status == MAPRING_INVALID_SIZE || status == MAPRING_NO_MEMORY, "%s", mapring_status_name(status));
    }
    cr_assert_status(mapring_kind(name), MAPRING_NOT_FOUND);
}

Test(segment_opening, options)
{
    char name[64];
    unique_name(name);
    const struct {
        mapring_segment_options options;
        const char *name;
        int32_t expected;
    } wrong[] = {
        {{.struct_size = 8, .size = 1}, name, MAPRING_INVALID_OPTIONS},
        {{.struct_size = sizeof(mapring_segment_options), .size = 1, .mode = 3}, name, MAPRING_INVALID_OPTIONS},
        {{.struct_size = sizeof(mapring_segment_options), .size = 1, .flags = 1}, name, MAPRING_INVALID_OPTIONS},
        {{.struct_size = sizeof(mapring_segment_options), .size = 1, .flags = MAPRING_PREFAULT},
         name,
         MAPRING_INVALID_OPTIONS},
        {{.struct_size = sizeof(mapring_segment_options), .size = 1, .flags = MAPRING_READ_ONLY},
         name,
         MAPRING_INVALID_OPTIONS},
        {{.struct_size = sizeof(mapring_segment_options), .size = 1, .flags = MAPRING_GROW_FILE},
         name,
         MAPRING_INVALID_OPTIONS},
        {{.struct_size = sizeof(mapring_segment_options), .size = 1, .permissions = 0777},
         name,
         MAPRING_INVALID_OPTIONS},
        {{.struct_size = sizeof(mapring_segment_options), .size = 1, .permissions = 04600},
         name,
         MAPRING_INVALID_OPTIONS},
        {{.struct_size = sizeof(mapring_segment_options), .size = 1, .reserved = {0, 0, 0, 1}},
         name,
         MAPRING_INVALID_OPTIONS},
        {{.struct_size = sizeof(mapring_segment_options), .size = 1, .file = ""}, name, MAPRING_INVALID_ARGUMENT},
        {{.struct_size = sizeof(mapring_segment_options), .size = 1, .file = "/tmp/x"}, NULL, MAPRING_INVALID_OPTIONS},
        {{.struct_size = sizeof(mapring_segment_options), .size = 1, .flags = MAPRING_PERSISTENT},
         NULL,
         MAPRING_INVALID_OPTIONS},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(try_open(wrong[i].name, &wrong[i].options), wrong[i].expected, "options %zu", i);
    mapring_segment_options options = new_options(1);
    cr_assert_status(mapring_segment_open(name, &options, NULL), MAPRING_INVALID_ARGUMENT);
}

/* Names. */

Test(segment_opening, names)
{
    mapring_segment_options options = new_options(1);
    char longest[MAPRING_NAME_MAX + 16];
    memset(longest, 'n', sizeof longest);
    longest[MAPRING_NAME_MAX + 1] = 0;
    cr_assert_status(try_open(longest, &options), MAPRING_INVALID_NAME);
    longest[MAPRING_NAME_MAX] = 0;
    cr_assert_status(try_open(longest, &options), 0);
    char with_prefix[sizeof longest + 16];
    strcpy(with_prefix, "Global\\");
    strcat(with_prefix, longest);
    cr_assert_status(try_open(with_prefix, &options), 0);
    mapring_segment *segment = open_with(with_prefix, &options, 0);
    cr_assert_str_eq(info_of(segment).name, with_prefix);
    mapring_segment_close(segment);
    strcat(with_prefix, "n");
    cr_assert_status(try_open(with_prefix, &options), MAPRING_INVALID_NAME);

    const char *const wrong[] = {"",         ".hidden",      "a/b",        "a\\b",      "Locale\\a", "Global/a",
                                 "Global\\", "Local\\",      "Global\\.a", "global\\a", "a\tb",      "Local\\Global\\a",
                                 "\xff",     "Global\\a\\b", "..",         "\xc0\x80"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_assert_eq(try_open(wrong[i], &options), MAPRING_INVALID_NAME, "%s", wrong[i]);
        cr_assert_eq(mapring_kind(wrong[i]), MAPRING_INVALID_NAME, "%s", wrong[i]);
        cr_assert_eq(mapring_segment_remove(wrong[i]), MAPRING_INVALID_NAME, "%s", wrong[i]);
    }
    cr_assert_status(mapring_kind(NULL), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(try_open("Gr\xc3\xb6\xc3\x9f"
                              "e \xe2\x82\xac \xf0\x9f\x98\x80",
                              &options),
                     0);
}

Test(segment_opening, local_and_global)
{
    char name[64], local[80], global[80];
    unique_name(name);
    snprintf(local, sizeof local, "Local\\%s", name);
    snprintf(global, sizeof global, "Global\\%s", name);
    mapring_segment_options options = new_options(100);
    mapring_segment *first = open_with(name, &options, 0);
    mapring_segment *second = open_with(local, &options, 1);
    cr_assert_str_eq(info_of(second).name, name);
    mapring_segment *other = open_with(global, &options, 0);
    *(char *)map_all(first) = 'a';
    cr_assert_eq(*(char *)map_all(second), 'a');
    cr_assert_eq(*(char *)map_all(other), 0);

    char names[256];
    uint64_t needed;
    cr_assert_status(mapring_list(names, sizeof names, &needed), 2);
    cr_assert_str_eq(names, name);
    cr_assert_str_eq(names + strlen(name) + 1, global);
    mapring_segment_close(first);
    mapring_segment_close(second);
    mapring_segment_close(other);
    cr_assert_status(mapring_list(names, sizeof names, &needed), 0);
}

Test(segment_opening, global_rings)
{
    char name[64], global[80];
    unique_name(name);
    snprintf(global, sizeof global, "Global\\%s", name);
    mapring_producer *producer = open_producer(global, 4096);
    mapring_consumer *consumer = open_consumer(global, MAPRING_FROM_OLDEST);
    cr_assert_status(mapring_publish(producer, "global", 7, 0, 0, 0), MAPRING_OK);
    mapring_message message;
    cr_assert_status(mapring_read(consumer, &message, 1, 0), 1);
    cr_assert_str_eq(message.data, "global");
    cr_assert_str_eq(stat_of(global).name, global);
    cr_assert_status(mapring_kind(global), MAPRING_KIND_RING);
    cr_assert_status(mapring_kind(name), MAPRING_NOT_FOUND);
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);

    char local[80];
    snprintf(local, sizeof local, "Local\\%s", name);
    producer = open_producer(local, 4096);
    consumer = open_consumer(name, MAPRING_FROM_OLDEST);
    cr_assert_str_eq(stat_of(local).name, name);
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
}

/* Kinds. */

enum { KINDS = MAPRING_KIND_MUTEX + 1 };

static int32_t open_kind(int32_t kind, const char *name, uint32_t mode, void **handle)
{
    mapring_producer_options ring = {.struct_size = sizeof ring, .mode = mode, .capacity = 4096};
    mapring_segment_options segment = {.struct_size = sizeof segment, .mode = mode, .size = 100};
    mapring_event_options event = {.struct_size = sizeof event, .mode = mode};
    mapring_semaphore_options semaphore = {.struct_size = sizeof semaphore, .mode = mode};
    mapring_mutex_options mutex = {.struct_size = sizeof mutex, .mode = mode};
    *handle = NULL;
    switch (kind) {
    case MAPRING_KIND_RING:
        return mapring_producer_open(name, &ring, (mapring_producer **)handle);
    case MAPRING_KIND_SEGMENT:
        return mapring_segment_open(name, &segment, (mapring_segment **)handle);
    case MAPRING_KIND_EVENT:
        return mapring_event_open(name, &event, (mapring_event **)handle);
    case MAPRING_KIND_SEMAPHORE:
        return mapring_semaphore_open(name, &semaphore, (mapring_semaphore **)handle);
    default:
        return mapring_mutex_open(name, &mutex, (mapring_mutex **)handle);
    }
}

static void close_kind(int32_t kind, void *handle)
{
    switch (kind) {
    case MAPRING_KIND_RING:
        mapring_producer_close(handle);
        break;
    case MAPRING_KIND_SEGMENT:
        mapring_segment_close(handle);
        break;
    case MAPRING_KIND_EVENT:
        mapring_event_close(handle);
        break;
    case MAPRING_KIND_SEMAPHORE:
        mapring_semaphore_close(handle);
        break;
    default:
        mapring_mutex_close(handle);
    }
}

Test(segment_opening, kinds)
{
    char name[64];
    unique_name(name);
    for (int32_t kind = MAPRING_KIND_RING; kind < KINDS; kind++) {
        void *handle;
        for (uint32_t mode = MAPRING_CREATE_OR_OPEN; mode <= MAPRING_CREATE_NEW; mode++) {
            cr_assert_status(open_kind(kind, name, MAPRING_OPEN_EXISTING, &handle), MAPRING_NOT_FOUND);
            cr_assert_status(open_kind(kind, name, mode, &handle), 0);
            cr_assert_status(mapring_kind(name), kind);
            int descriptors = count_descriptors();
            for (int32_t other = MAPRING_KIND_RING; other < KINDS; other++) {
                for (uint32_t other_mode = MAPRING_CREATE_OR_OPEN; other_mode <= MAPRING_OPEN_EXISTING; other_mode++) {
                    if (other == kind)
                        continue;
                    void *none;
                    int32_t status = open_kind(other, name, other_mode, &none);
                    cr_assert(status == MAPRING_WRONG_KIND, "%d for %d: %s", (int)other, (int)kind,
                              mapring_status_name(status));
                }
            }
            mapring_consumer *consumer = NULL;
            if (kind != MAPRING_KIND_RING) {
                cr_assert_status(mapring_consumer_open(name, NULL, &consumer), MAPRING_WRONG_KIND);
                mapring_ring_info info = {.struct_size = sizeof info};
                cr_assert_status(mapring_stat(name, NULL, &info, NULL, 0), MAPRING_WRONG_KIND);
                void *again;
                cr_assert_status(open_kind(kind, name, MAPRING_CREATE_NEW, &again), MAPRING_EXISTS);
                cr_assert_status(open_kind(kind, name, MAPRING_OPEN_EXISTING, &again), 1);
                close_kind(kind, again);
            }
            cr_assert_eq(count_descriptors(), descriptors);
            close_kind(kind, handle);
            cr_assert_status(mapring_kind(name), MAPRING_NOT_FOUND);
        }
    }
}

Test(segment_opening, no_descriptors)
{
    char name[64], path[128];
    unique_name(name);
    make_file(path, 1000, 'x');
    struct rlimit limit, before;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(lowest);
    mapring_segment *segment;
    for (int kind = 0; kind < 4; kind++) {
        mapring_segment_options options = new_options(1000);
        options.file = kind == 1 ? path : NULL;
        int32_t status = MAPRING_NO_DESCRIPTORS;
        for (rlim_t more = 0; status < 0; more++) {
            limit = (struct rlimit){.rlim_cur = (rlim_t)lowest + more, .rlim_max = before.rlim_max};
            cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
            status = mapring_segment_open(kind == 2 ? NULL : name, &options, &segment);
            cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
            cr_assert(status == 0 || status == MAPRING_NO_DESCRIPTORS, "%s", mapring_status_name(status));
            cr_assert(status == 0 || kind == 2 || mapring_kind(name) == MAPRING_NOT_FOUND, "a name is left");
        }
        mapring_segment_close(segment);
    }
    cr_assert_eq(size_of_file(path), 1000);
    unlink(path);
}
