#include "calls.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CAPACITY 65536u
#define SLOTS 4u

static mapring_producer *producer;
static mapring_consumer *consumer;

static void nothing(void)
{
}

static void remove_file(void)
{
    CHECK(unlink(case_file()) == 0, "%s: %s", case_file(), strerror(errno));
}

static void close_ring(void)
{
    mapring_producer_close(producer);
    mapring_consumer_close(consumer);
    producer = NULL;
    consumer = NULL;
}

static int32_t open_as_producer(uint32_t mode, const char *file)
{
    mapring_producer_options options = {
        .struct_size = sizeof options, .mode = mode, .capacity = CAPACITY, .max_consumers = SLOTS, .file = file};
    mapring_producer *opened = NULL;
    int32_t status = mapring_producer_open(RING, &options, &opened);
    CHECK((opened != NULL) == (status >= 0), "a handle does not go with %s", mapring_status_name(status));
    mapring_producer_close(opened);
    return status;
}

static void make_ring(void)
{
    producer = open_producer(CAPACITY, SLOTS);
}

static void make_ring_without_producer(void)
{
    make_ring();
    consumer = open_consumer(MAPRING_FROM_OLDEST);
    mapring_producer_close(producer);
    producer = NULL;
}

static void make_file(void)
{
    mapring_producer_options options = {
        .struct_size = sizeof options, .capacity = CAPACITY, .max_consumers = SLOTS, .file = case_file()};
    CHECK_STATUS(mapring_producer_open(RING, &options, &producer), MAPRING_OK);
}

static void make_file_without_holder(void)
{
    make_file();
    close_ring();
}

static void make_file_without_producer(void)
{
    make_file();
    consumer = open_consumer(MAPRING_FROM_OLDEST);
    mapring_producer_close(producer);
    producer = NULL;
}

static void close_ring_and_remove_file(void)
{
    close_ring();
    remove_file();
}

static int32_t create(void)
{
    return open_as_producer(MAPRING_CREATE_NEW, NULL);
}

static int32_t create_in_file(void)
{
    int32_t status = open_as_producer(MAPRING_CREATE_NEW, case_file());
    if (status >= 0)
        remove_file(); /* which stays otherwise */
    return status;
}

static int32_t continue_ring(void)
{
    return open_as_producer(MAPRING_CREATE_OR_OPEN, NULL);
}

static int32_t continue_file(void)
{
    return open_as_producer(MAPRING_OPEN_EXISTING, case_file());
}

static int32_t consume(void)
{
    mapring_consumer *opened = NULL;
    int32_t status = mapring_consumer_open(RING, NULL, &opened);
    CHECK((opened != NULL) == (status >= 0), "a handle does not go with %s", mapring_status_name(status));
    mapring_consumer_close(opened);
    return status;
}

/* Succeeds by waiting in vain. */
static int32_t await_ring(void)
{
    mapring_consumer_options options = {.struct_size = sizeof options, .timeout_ns = 10 * MS};
    mapring_consumer *opened = NULL;
    int32_t status = mapring_consumer_open(RING, &options, &opened);
    CHECK(status < 0 && opened == NULL, "there is no such ring");
    return status == MAPRING_TIMEOUT ? MAPRING_OK : status;
}

static int32_t look_at(const char *name, const char *file)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    mapring_consumer_info consumers[SLOTS];
    return mapring_stat(name, file, &info, consumers, SLOTS);
}

static int32_t look_at_name(void)
{
    return look_at(RING, NULL);
}

static int32_t look_at_file(void)
{
    return look_at(NULL, case_file());
}

static int32_t list(void)
{
    char names[256];
    uint64_t needed;
    int32_t count = mapring_list(names, sizeof names, &needed);
    CHECK(count < 0 || count == 1, "%d names instead of 1", (int)count);
    return count;
}

/* Event loops and wait sets. */

static int pipe_ends[2];

static int32_t use_descriptor(uint32_t method)
{
    mapring_consumer *opened;
    int64_t descriptor;
    int32_t status = mapring_consumer_open(RING, NULL, &opened);
    if (status < 0)
        return status;
    status = mapring_consumer_descriptor(opened, method, &descriptor);
    mapring_consumer_close(opened);
    return status;
}

static int32_t use_any_descriptor(void)
{
    return use_descriptor(MAPRING_DESCRIPTOR_ANY);
}

static int32_t use_fifo(void)
{
    return use_descriptor(MAPRING_DESCRIPTOR_WAKE);
}

static void make_ring_and_pipe(void)
{
    make_ring();
    consumer = open_consumer(MAPRING_FROM_OLDEST);
    CHECK(pipe(pipe_ends) == 0, "pipe: %s", strerror(errno));
}

static void close_ring_and_pipe(void)
{
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    close_ring();
}

static int32_t use_wait_set(void)
{
    mapring_wait_set *set;
    mapring_ready ready;
    int32_t status = mapring_wait_set_open(&set);
    if (status < 0)
        return status;
    status = mapring_wait_set_add_consumer(set, consumer, 1);
    if (status == MAPRING_OK)
        status = mapring_wait_set_add_descriptor(set, pipe_ends[0], MAPRING_EVENT_READABLE, 2);
    if (status == MAPRING_OK)
        status = mapring_wait_set_wait(set, &ready, 1, 0);
    mapring_wait_set_close(set);
    return status;
}

/* Segments, and what goes with them. */

#define SEGMENT "segment"
#define SEGMENT_SIZE 100000u

static mapring_segment *segment;
static mapring_event *event;

static int32_t open_segment(const char *name, uint64_t size, const char *file, uint32_t flags, mapring_segment **out)
{
    mapring_segment_options options = {.struct_size = sizeof options, .size = size, .file = file, .flags = flags};
    *out = NULL;
    int32_t status = mapring_segment_open(name, &options, out);
    CHECK((*out != NULL) == (status >= 0), "a handle does not go with %s", mapring_status_name(status));
    return status;
}

static void make_segment(void)
{
    CHECK_STATUS(open_segment(SEGMENT, SEGMENT_SIZE, NULL, 0, &segment), 0);
}

static void make_segment_in_file(void)
{
    CHECK_STATUS(open_segment(SEGMENT, SEGMENT_SIZE, case_file(), 0, &segment), 0);
}

static void make_nameless_segment(void)
{
    CHECK_STATUS(open_segment(NULL, SEGMENT_SIZE, NULL, 0, &segment), 0);
}

static void close_segment(void)
{
    mapring_segment_close(segment);
    segment = NULL;
}

static void close_segment_and_remove_file(void)
{
    close_segment();
    remove_file();
}

static void make_small_file(void)
{
    make_segment_in_file();
    close_segment();
    CHECK(truncate(case_file(), 10) == 0, "%s: %s", case_file(), strerror(errno));
}

static int32_t open_and_map(const char *name)
{
    mapring_segment *opened;
    int32_t status = open_segment(name, SEGMENT_SIZE, NULL, 0, &opened);
    if (status < 0)
        return status;
    void *address;
    int32_t mapped = mapring_segment_map(opened, 0, 0, 0, NULL, &address);
    mapring_segment_close(opened);
    return mapped < 0 ? mapped : status;
}

static int32_t use_segment(void)
{
    return open_and_map(SEGMENT);
}

static int32_t use_nameless_segment(void)
{
    return open_and_map(NULL);
}

static int32_t create_segment_in_file(void)
{
    mapring_segment *opened;
    int32_t status = open_segment(SEGMENT, SEGMENT_SIZE, case_file(), 0, &opened);
    mapring_segment_close(opened);
    if (status >= 0)
        remove_file();
    return status;
}

/* Leaves the file as small as it was. */
static int32_t grow_file(void)
{
    mapring_segment *opened;
    int32_t status = open_segment(SEGMENT, SEGMENT_SIZE, case_file(), MAPRING_GROW_FILE, &opened);
    mapring_segment_close(opened);
    struct stat file;
    CHECK(stat(case_file(), &file) == 0 && file.st_size == (status < 0 ? 10 : SEGMENT_SIZE), "its size is %ld",
          (long)file.st_size);
    CHECK(truncate(case_file(), 10) == 0, "%s: %s", case_file(), strerror(errno));
    return status;
}

static int32_t hand_over(void)
{
    int64_t descriptor;
    int32_t status = mapring_segment_export(segment, 0, &descriptor);
    if (status < 0)
        return status;
    mapring_segment *imported = NULL;
    status = mapring_segment_import(descriptor, 0, &imported);
    CHECK((imported != NULL) == (status >= 0), "a handle does not go with %s", mapring_status_name(status));
    mapring_segment_close(imported);
    close((int)descriptor);
    return status;
}

static int32_t remove_one(void)
{
    int32_t status = mapring_segment_remove(SEGMENT);
    CHECK(status < 0 || status == 1, "it is gone");
    return status;
}

static int32_t tell_kind(void)
{
    return mapring_kind(SEGMENT);
}

static void make_event(void)
{
    CHECK_STATUS(mapring_event_open("event", NULL, &event), 0);
}

static void close_event(void)
{
    mapring_event_close(event);
}

static int32_t use_event(void)
{
    mapring_event *opened = NULL;
    int32_t status = mapring_event_open("event", NULL, &opened);
    CHECK((opened != NULL) == (status >= 0), "a handle does not go with %s", mapring_status_name(status));
    mapring_event_close(opened);
    return status;
}

static int32_t use_mutex(void)
{
    mapring_mutex *mutex = NULL;
    int32_t status = mapring_mutex_open("mutex", NULL, &mutex);
    CHECK((mutex != NULL) == (status >= 0), "a handle does not go with %s", mapring_status_name(status));
    if (status >= 0)
        CHECK_STATUS(mapring_mutex_lock(mutex, 0), MAPRING_OK);
    mapring_mutex_close(mutex);
    return status;
}

const struct call calls[] = {
    {"create", nothing, create, nothing},
    {"create in a file", nothing, create_in_file, nothing},
    {"continue", make_ring_without_producer, continue_ring, close_ring},
    {"continue in a file", make_file_without_holder, continue_file, close_ring_and_remove_file},
    {"continue in a file by name", make_file_without_producer, continue_ring, close_ring_and_remove_file},
    {"continue in a file by both", make_file_without_producer, continue_file, close_ring_and_remove_file},
    {"consume", make_ring, consume, close_ring},
    {"consume from a file", make_file, consume, close_ring_and_remove_file},
    {"wait for a ring", nothing, await_ring, nothing},
    {"a descriptor", make_ring, use_any_descriptor, close_ring},
    {"a descriptor by a FIFO", make_ring, use_fifo, close_ring},
    {"a wait set", make_ring_and_pipe, use_wait_set, close_ring_and_pipe},
    {"stat", make_ring, look_at_name, close_ring},
    {"stat of a name of a file", make_file, look_at_name, close_ring_and_remove_file},
    {"stat of a file", make_file, look_at_file, close_ring_and_remove_file},
    {"list", make_ring, list, close_ring},
    {"create a segment", nothing, use_segment, nothing},
    {"open a segment", make_segment, use_segment, close_segment},
    {"create a segment in a file", nothing, create_segment_in_file, nothing},
    {"open a segment in a file", make_segment_in_file, use_segment, close_segment_and_remove_file},
    {"grow a file", make_small_file, grow_file, remove_file},
    {"a segment without a name", nothing, use_nameless_segment, nothing},
    {"hand over a segment", make_nameless_segment, hand_over, close_segment},
    {"remove a segment", make_segment, remove_one, close_segment},
    {"the kind of a name", make_segment, tell_kind, close_segment},
    {"sweep", make_segment, mapring_sweep, close_segment},
    {"create an event", nothing, use_event, nothing},
    {"open an event", make_event, use_event, close_event},
    {"create a mutex", nothing, use_mutex, nothing},
};
const size_t call_count = sizeof calls / sizeof calls[0];

struct possessions possessions_now(void)
{
    return (struct possessions){
        .descriptors = count_descriptors(),
        .mappings = count_mappings(),
        .names = count_names(),
        .file = access(case_file(), F_OK) == 0,
    };
}

void check_possessions(struct possessions before, const char *call)
{
    struct possessions now = possessions_now();
    CHECK(now.descriptors == before.descriptors, "%s: %d descriptors instead of %d", call, now.descriptors,
          before.descriptors);
    CHECK(now.mappings == before.mappings, "%s: %d mappings instead of %d", call, now.mappings, before.mappings);
    CHECK(now.names == before.names, "%s: %d names instead of %d", call, now.names, before.names);
    CHECK(now.file == before.file, "%s: the file %s", call, now.file ? "is left" : "is gone");
}
