#include "calls.h"

#include <errno.h>
#include <string.h>
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
    {"stat", make_ring, look_at_name, close_ring},
    {"stat of a name of a file", make_file, look_at_name, close_ring_and_remove_file},
    {"stat of a file", make_file, look_at_file, close_ring_and_remove_file},
    {"list", make_ring, list, close_ring},
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
