/*
 * What callgrind counts the instructions of: so many messages of 8 bytes, published and read in one of the ways.
 */
#include <mapring/mapring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Messages that lie in the ring at once. */
#define HELD 1024u
#define BATCH 64u

static void check(int32_t status, const char *call)
{
    if (status >= 0)
        return;
    fprintf(stderr, "%s: %s\n", call, mapring_status_name(status));
    exit(1);
}

static void publish(mapring_producer *producer, uint64_t first)
{
    for (uint64_t i = first; i < first + HELD; i++)
        check(mapring_publish(producer, &i, sizeof i, 0, 0, 0), "mapring_publish");
}

static void publish_batch(mapring_producer *producer, uint64_t first)
{
    uint64_t numbers[BATCH];
    mapring_message messages[BATCH];
    for (uint64_t i = first; i < first + HELD; i += BATCH) {
        for (unsigned j = 0; j < BATCH; j++) {
            numbers[j] = i + j;
            messages[j] = (mapring_message){.data = &numbers[j], .length = sizeof numbers[j]};
        }
        check(mapring_publish_batch(producer, messages, BATCH, 0) - (int32_t)BATCH, "mapring_publish_batch");
    }
}

static void verify(const mapring_message *message, uint64_t number)
{
    if (message->length == sizeof number && memcmp(message->data, &number, sizeof number) == 0)
        return;
    fprintf(stderr, "a wrong message instead of %llu\n", (unsigned long long)number);
    exit(1);
}

static void read_in_place(mapring_consumer *consumer, uint64_t first, uint32_t batch)
{
    mapring_message messages[BATCH];
    for (uint64_t i = first; i < first + HELD; i += batch) {
        check(mapring_read(consumer, messages, batch, 0) - (int32_t)batch, "mapring_read");
        for (unsigned j = 0; j < batch; j++)
            verify(&messages[j], i + j);
        check(mapring_release(consumer, batch), "mapring_release");
    }
}

static void receive(mapring_consumer *consumer, uint64_t first, uint32_t batch)
{
    uint64_t buffer[BATCH];
    mapring_message messages[BATCH];
    for (uint64_t i = first; i < first + HELD; i += batch) {
        check(mapring_receive(consumer, buffer, sizeof buffer, messages, batch, 0) - (int32_t)batch, "mapring_receive");
        for (unsigned j = 0; j < batch; j++)
            verify(&messages[j], i + j);
    }
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fputs("usage: instructions single|batch|copy|copy-batch MESSAGES\n", stderr);
        return 2;
    }
    char name[64];
    snprintf(name, sizeof name, "instructions-%d", (int)getpid());
    mapring_producer_options options = {.struct_size = sizeof options, .mode = MAPRING_CREATE_NEW};
    mapring_consumer_options joining = {.struct_size = sizeof joining};
    mapring_producer *producer;
    mapring_consumer *consumer;
    check(mapring_producer_open(name, &options, &producer), "mapring_producer_open");
    check(mapring_consumer_open(name, &joining, &consumer), "mapring_consumer_open");

    const char *way = arguments[1];
    uint64_t messages = strtoull(arguments[2], NULL, 10);
    for (uint64_t i = 0; i < messages; i += HELD) {
        if (strcmp(way, "batch") == 0)
            publish_batch(producer, i);
        else
            publish(producer, i);
        if (strcmp(way, "single") == 0)
            read_in_place(consumer, i, 1);
        else if (strcmp(way, "batch") == 0)
            read_in_place(consumer, i, BATCH);
        else
            receive(consumer, i, strcmp(way, "copy") == 0 ? 1 : BATCH);
    }
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
    return 0;
}
