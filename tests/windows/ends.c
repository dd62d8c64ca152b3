#include "ends.h"

#include <stdlib.h>
#include <string.h>

#define RINGS_MAX 8

mapring_producer *open_producer(const char *name)
{
    mapring_producer_options options = {.struct_size = sizeof options, .capacity = 4096};
    mapring_producer *producer = NULL;
    CHECK(mapring_producer_open(name, &options, &producer) >= 0);
    return producer;
}

mapring_consumer *open_consumer(const char *name)
{
    mapring_consumer_options options = {.struct_size = sizeof options, .timeout_ns = PATIENCE_NS};
    mapring_consumer *consumer = NULL;
    CHECK_IS(mapring_consumer_open(name, &options, &consumer), MAPRING_OK);
    return consumer;
}

struct ends open_ends(const char *use)
{
    struct ends ends;
    unique_name(ends.name, use);
    ends.producer = open_producer(ends.name);
    ends.consumer = open_consumer(ends.name);
    return ends;
}

void close_ends(struct ends *ends)
{
    mapring_consumer_close(ends->consumer);
    mapring_producer_close(ends->producer);
}

void put(struct ends *ends, uint64_t number)
{
    CHECK_IS(mapring_publish(ends->producer, &number, sizeof number, 0, 0, 0), MAPRING_OK);
}

void take(struct ends *ends, uint64_t number)
{
    mapring_message message;
    if (!CHECK_IS(mapring_read(ends->consumer, &message, 1, 0), 1))
        return;
    CHECK(message.length == sizeof number && memcmp(message.data, &number, sizeof number) == 0);
    CHECK_IS(mapring_release(ends->consumer, 1), MAPRING_OK);
}

struct child start_publisher(const char *const *names, uint32_t rings, const char *count)
{
    const char *arguments[RINGS_MAX + 3] = {"publish", count};
    for (uint32_t i = 0; i < rings; i++)
        arguments[i + 2] = names[i];
    struct child child = start_child(NULL, arguments);
    expect_line(&child, "ready");
    return child;
}

int publish_to(int rings, char **names, const char *count)
{
    mapring_producer *producers[RINGS_MAX] = {NULL};
    for (int i = 0; i < rings; i++)
        producers[i] = open_producer(names[i]);
    tell("ready");
    await_parent();
    uint64_t numbers = strtoull(count, NULL, 10);
    for (uint64_t number = 0; number < numbers; number++) {
        if (mapring_publish(producers[number % (uint64_t)rings], &number, sizeof number, 0, 0, PATIENCE_NS) < 0)
            return 1;
        /* So that readers fall asleep now and then. */
        if (number % 16 == 0)
            Sleep(1);
    }
    for (int i = 0; i < rings; i++)
        if (mapring_end(producers[i]) < 0 || mapring_drain(producers[i], PATIENCE_NS) < 0)
            return 2;
    for (int i = 0; i < rings; i++)
        mapring_producer_close(producers[i]);
    return 0;
}

struct child start_holder(const char *name)
{
    const char *arguments[] = {"hold", name, NULL};
    struct child child = start_child(NULL, arguments);
    expect_line(&child, "holds");
    return child;
}

int hold(const char *name)
{
    mapring_producer *producer = open_producer(name);
    tell("holds");
    await_parent();
    mapring_producer_close(producer);
    return 0;
}

HANDLE start_thread(LPTHREAD_START_ROUTINE call, void *argument)
{
    HANDLE thread = CreateThread(NULL, 0, call, argument, 0, NULL);
    CHECK(thread != NULL);
    return thread;
}

void end_thread(HANDLE thread)
{
    CHECK_IS(WaitForSingleObject(thread, PATIENCE_MS), WAIT_OBJECT_0);
    CloseHandle(thread);
}
