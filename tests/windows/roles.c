#include "roles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mapring/mapring.h>

#include "harness.h"

#define PATIENCE_NS ((int64_t)60 * 1000000000)
#define BATCH 16

/* Ends the child with what went wrong. */
static void demand(int32_t status, const char *call)
{
    if (status >= 0)
        return;
    fprintf(stderr, "process %lu: %s: %s\n", GetCurrentProcessId(), call, mapring_status_name(status));
    exit(3);
}

/* Mostly short, some empty, some up to the longest there can be. */
static uint64_t message_length(uint64_t sequence, uint64_t longest)
{
    uint64_t mixed = (sequence + 1) * 0x9e3779b97f4a7c15u;
    mixed ^= mixed >> 32;
    mixed *= 0xd6e8feb86659fd93u;
    mixed ^= mixed >> 32;
    switch (mixed & 7) {
    case 0:
        return (mixed >> 8) % (longest + 1);
    case 1:
        return 0;
    default:
        return (mixed >> 8) % 600;
    }
}

static mapring_ring_info stat_ring(const char *name)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    demand(mapring_stat(name, NULL, &info, NULL, 0), "mapring_stat");
    return info;
}

/* In turn by each of the ways there are. */
static void publish(mapring_producer *producer, const void *data, uint64_t length, uint64_t sequence)
{
    uint32_t flags = sequence % 4 != 3 ? MAPRING_MORE : 0;
    if (sequence % 3 != 0) {
        demand(mapring_publish(producer, data, length, (uint32_t)sequence, flags, PATIENCE_NS), "mapring_publish");
        return;
    }
    void *payload;
    demand(mapring_claim(producer, length, PATIENCE_NS, &payload), "mapring_claim");
    memcpy(payload, data, (size_t)length);
    demand(mapring_commit(producer, length, (uint32_t)sequence, flags), "mapring_commit");
}

int produce(const char *name, const char *ring_file, const char *source, const char *consumers, const char *pause)
{
    mapring_producer_options options = {
        .struct_size = sizeof options,
        .capacity = 65536,
        .max_consumers = 8,
        .file = strcmp(ring_file, "-") == 0 ? NULL : ring_file,
    };
    mapring_producer *producer;
    int32_t existed = mapring_producer_open(name, &options, &producer);
    demand(existed, "mapring_producer_open");
    tell(existed == 1 ? "continued" : "created");
    demand(mapring_wait_consumers(producer, (uint32_t)atoi(consumers), PATIENCE_NS), "mapring_wait_consumers");

    FILE *file = fopen(source, "rb");
    uint64_t longest = mapring_message_max(options.capacity);
    char *buffer = malloc((size_t)longest);
    if (file == NULL || buffer == NULL)
        return 1;
    uint64_t offset = 0;
    uint64_t sequence = 0;
    for (uint64_t published = stat_ring(name).messages; sequence < published; sequence++)
        offset += message_length(sequence, longest);
    _fseeki64(file, (long long)offset, SEEK_SET);
    for (;; sequence++) {
        if (sequence > 0 && sequence == strtoull(pause, NULL, 10))
            await_parent();
        uint64_t length = message_length(sequence, longest);
        uint64_t got = fread(buffer, 1, (size_t)length, file);
        if (got < length)
            length = got;
        publish(producer, buffer, length, sequence);
        if (feof(file))
            break;
    }
    free(buffer);
    fclose(file);
    demand(mapring_end(producer), "mapring_end");
    demand(mapring_drain(producer, PATIENCE_NS), "mapring_drain");
    tell("done");
    await_parent();
    mapring_producer_close(producer);
    return 0;
}

/* Reads some messages, which stay valid until released. */
static int32_t read_some(mapring_consumer *consumer, const char *way, void *buffer, uint64_t size,
                         mapring_message messages[BATCH])
{
    if (strcmp(way, "copy") == 0)
        return mapring_receive(consumer, buffer, size, messages, BATCH, PATIENCE_NS);
    return mapring_read(consumer, messages, strcmp(way, "one") == 0 ? 1 : BATCH, PATIENCE_NS);
}

int consume(const char *name, const char *way, const char *target)
{
    mapring_consumer_options options = {.struct_size = sizeof options, .timeout_ns = PATIENCE_NS};
    mapring_consumer *consumer;
    demand(mapring_consumer_open(name, &options, &consumer), "mapring_consumer_open");
    tell("attached");
    if (strcmp(way, "never") == 0) {
        await_parent();
        mapring_consumer_close(consumer);
        return 0;
    }

    FILE *file = fopen(target, "wb");
    uint64_t size = stat_ring(name).capacity;
    void *buffer = malloc((size_t)size);
    if (file == NULL || buffer == NULL)
        return 1;
    uint64_t sequence = 0;
    for (;;) {
        mapring_message messages[BATCH];
        int32_t count = read_some(consumer, way, buffer, size, messages);
        if (count == MAPRING_STREAM_ENDED)
            break;
        if (count == MAPRING_NO_PRODUCER)
            continue;
        demand(count, "reading");
        if (count == 0)
            return 4;
        for (int32_t i = 0; i < count; i++, sequence++) {
            if (messages[i].sequence != sequence || messages[i].tag != (uint32_t)sequence)
                return 5;
            if (fwrite(messages[i].data, 1, (size_t)messages[i].length, file) != messages[i].length)
                return 6;
        }
        if (strcmp(way, "copy") != 0)
            demand(mapring_release(consumer, (uint32_t)count), "mapring_release");
    }
    if (fclose(file) != 0)
        return 7;
    free(buffer);
    char line[64];
    snprintf(line, sizeof line, "ended %llu", (unsigned long long)sequence);
    tell(line);
    mapring_consumer_close(consumer);
    return 0;
}

int apply(const char *name, const char *ring_file)
{
    mapring_producer_options options = {
        .struct_size = sizeof options,
        .capacity = 4096,
        .file = strcmp(ring_file, "-") == 0 ? NULL : ring_file,
    };
    mapring_producer *producer = NULL;
    tell("ready");
    await_parent();
    int32_t status = mapring_producer_open(name, &options, &producer);
    tell(status < 0 ? mapring_status_name(status) : status == 0 ? "created" : "continued");
    await_parent();
    mapring_producer_close(producer);
    return 0;
}

int echo(const char *name, const char *answers, const char *delay_ms)
{
    mapring_consumer_options options = {.struct_size = sizeof options, .timeout_ns = PATIENCE_NS};
    mapring_producer_options answer_options = {.struct_size = sizeof answer_options, .capacity = 4096};
    mapring_consumer *consumer;
    mapring_producer *producer = NULL;
    if (strcmp(answers, "-") != 0)
        demand(mapring_producer_open(answers, &answer_options, &producer), "mapring_producer_open");
    demand(mapring_consumer_open(name, &options, &consumer), "mapring_consumer_open");
    tell("attached");
    for (;;) {
        mapring_message message;
        int32_t count = mapring_read(consumer, &message, 1, PATIENCE_NS);
        if (count == MAPRING_STREAM_ENDED)
            break;
        demand(count, "mapring_read");
        if (producer != NULL)
            demand(mapring_publish(producer, message.data, message.length, message.tag, 0, PATIENCE_NS),
                   "mapring_publish");
        if (atoi(delay_ms) > 0)
            Sleep((DWORD)atoi(delay_ms));
        demand(mapring_release(consumer, 1), "mapring_release");
    }
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
    return 0;
}
