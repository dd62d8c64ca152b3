#include "rings.h"

#include <unistd.h>

#define SLOTS_MANY 1024u
#define SLOTS_FEW 64u

struct rings rings;

static char names[3][64];
static uint64_t ring_capacity;

void refused(int32_t status, const char *call)
{
    fail("%s: %s: %s", call, mapring_status_name(status), mapring_status_text(status));
}

static mapring_producer *produce(const char *name)
{
    mapring_producer_options options = {
        .struct_size = sizeof options, .mode = MAPRING_CREATE_NEW, .capacity = ring_capacity};
    mapring_producer *producer;
    check(mapring_producer_open(name, &options, &producer), "mapring_producer_open");
    return producer;
}

static mapring_consumer *consume(const char *name)
{
    mapring_consumer_options options = {.struct_size = sizeof options, .start = MAPRING_FROM_OLDEST};
    mapring_consumer *consumer;
    check(mapring_consumer_open(name, &options, &consumer), "mapring_consumer_open");
    return consumer;
}

static void partner_open(void)
{
    rings.got = consume(names[1]);
    rings.sent = produce(names[2]);
}

static void close_own(void)
{
    mapring_producer_close(rings.idle);
    mapring_producer_close(rings.sent);
    mapring_consumer_close(rings.got);
    rings = (struct rings){0};
}

void rings_prepare(const struct options *options)
{
    static const char *const purposes[3] = {"idle", "away", "back"};
    for (unsigned i = 0; i < 3; i++)
        snprintf(names[i], sizeof names[i], "mapring-bench-%d-%s", (int)getpid(), purposes[i]);
    ring_capacity = options->capacity;
}

void rings_open(const struct options *options)
{
    rings.idle = produce(names[0]);
    if (options->alone)
        return;
    rings.sent = produce(names[1]);
    pair_call(partner_open);
    if (!stopping())
        rings.got = consume(names[2]);
}

uint64_t rings_capacity(void)
{
    return ring_capacity;
}

void rings_close(void)
{
    pair_call(close_own);
    pair_stop();
    close_own();
}

static uint64_t memory_with(const struct options *options, uint32_t slots)
{
    char name[64];
    snprintf(name, sizeof name, "mapring-bench-%d-memory", (int)getpid());
    mapring_producer_options asked = {
        .struct_size = sizeof asked, .mode = MAPRING_CREATE_NEW, .capacity = options->capacity, .max_consumers = slots};
    mapring_producer *producer;
    check(mapring_producer_open(name, &asked, &producer), "mapring_producer_open");
    mapring_ring_info info = {.struct_size = sizeof info};
    int32_t status = mapring_stat(name, NULL, &info, NULL, 0);
    mapring_producer_close(producer);
    check(status, "mapring_stat");
    return info.memory;
}

struct ring_memory rings_memory(const struct options *options)
{
    uint64_t few = memory_with(options, SLOTS_FEW), many = memory_with(options, SLOTS_MANY);
    return (struct ring_memory){
        .capacity = options->capacity,
        .slots = SLOTS_FEW,
        .memory = few,
        .per_slot = (double)(many - few) / (SLOTS_MANY - SLOTS_FEW),
    };
}
