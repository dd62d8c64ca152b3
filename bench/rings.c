#include "rings.h"

#include <string.h>
#include <unistd.h>

#define SLOTS_MANY 1024u
#define SLOTS_FEW 64u
#define APPEARS_NS 10000000000

_Thread_local struct rings rings;

static pid_t conductor;

void refused(int32_t status, const char *call)
{
    fail("%s: %s: %s", call, mapring_status_name(status), mapring_status_text(status));
}

int32_t check_able(int32_t status, const char *call)
{
    if (status < 0)
        unable("%s: %s: %s", call, mapring_status_name(status), mapring_status_text(status));
    return status;
}

void rings_name(char name[RING_NAME_BYTES], const struct crew *crew, const char *purpose)
{
    snprintf(name, RING_NAME_BYTES, "mapring-bench-%d-%u-%s", (int)conductor, crew->number, purpose);
}

static mapring_producer *produce(const struct crew *crew, const char *purpose, uint32_t consumers)
{
    char name[RING_NAME_BYTES];
    rings_name(name, crew, purpose);
    mapring_producer_options options = {.struct_size = sizeof options,
                                        .mode = MAPRING_CREATE_NEW,
                                        .capacity = crew->capacity,
                                        .max_consumers = consumers};
    mapring_producer *producer;
    check_able(mapring_producer_open(name, &options, &producer), "mapring_producer_open");
    return producer;
}

static mapring_consumer *consume(const struct crew *crew, const char *purpose, uint32_t kind)
{
    char name[RING_NAME_BYTES];
    rings_name(name, crew, purpose);
    mapring_consumer_options options = {
        .struct_size = sizeof options, .kind = kind, .start = MAPRING_FROM_OLDEST, .timeout_ns = APPEARS_NS};
    options.group = kind == MAPRING_MEMBER ? "bench" : NULL;
    mapring_consumer *consumer;
    check_able(mapring_consumer_open(name, &options, &consumer), "mapring_consumer_open");
    return consumer;
}

static void open_pair(const struct crew *crew, unsigned member)
{
    if (member == 0)
        rings.idle = produce(crew, "idle", 0);
    if (crew->members == 1)
        return;
    rings.sent = produce(crew, member == 0 ? "away" : "back", 0);
    rings.got = consume(crew, member == 0 ? "back" : "away", MAPRING_RELIABLE);
}

static void open_fan(const struct crew *crew, unsigned member)
{
    if (member == 0)
        rings.sent = produce(crew, "away", crew->members - 1 > SLOTS_FEW ? crew->members - 1 : 0);
    else
        rings.got = consume(crew, "away", *(const uint32_t *)crew->context);
}

static void close_own(const struct crew *crew, unsigned member)
{
    (void)crew, (void)member;
    mapring_producer_close(rings.idle);
    mapring_producer_close(rings.sent);
    mapring_consumer_close(rings.got);
    rings = (struct rings){0};
}

static const char *remember_conductor(struct crew *crew)
{
    (void)crew;
    conductor = getpid();
    return NULL;
}

/* Whoever looks at a ring whose holders are all dead clears it away. */
void rings_sweep(struct crew *crew)
{
    static char names[1 << 16];
    char prefix[RING_NAME_BYTES];
    uint64_t needed;
    rings_name(prefix, crew, "");
    int32_t count = mapring_list(names, sizeof names, &needed);
    for (const char *name = names; count > 0; count--, name += strlen(name) + 1) {
        mapring_consumer *consumer;
        mapring_consumer_options options = {.struct_size = sizeof options};
        if (strncmp(name, prefix, strlen(prefix)) == 0 && mapring_consumer_open(name, &options, &consumer) >= 0)
            mapring_consumer_close(consumer);
    }
}

struct crew rings_pair(uint64_t capacity)
{
    return (struct crew){.members = 2,
                         .capacity = capacity,
                         .prepare = remember_conductor,
                         .open = open_pair,
                         .close = close_own,
                         .clear = rings_sweep};
}

static struct crew fan_of(uint64_t capacity, unsigned consumers, const uint32_t *kind)
{
    struct crew crew = rings_pair(capacity);
    crew.members = 1 + consumers;
    crew.open = open_fan;
    crew.context = kind;
    return crew;
}

struct crew rings_fan(uint64_t capacity, unsigned consumers)
{
    static const uint32_t kind = MAPRING_RELIABLE;
    return fan_of(capacity, consumers, &kind);
}

struct crew rings_lossy(uint64_t capacity)
{
    static const uint32_t kind = MAPRING_LOSSY;
    return fan_of(capacity, 1, &kind);
}

struct crew rings_group(uint64_t capacity, unsigned members)
{
    static const uint32_t kind = MAPRING_MEMBER;
    return fan_of(capacity, members, &kind);
}

static int32_t memory_with(uint64_t capacity, uint32_t slots, uint64_t *memory)
{
    char name[RING_NAME_BYTES];
    snprintf(name, sizeof name, "mapring-bench-%d-memory", (int)getpid());
    mapring_producer_options asked = {
        .struct_size = sizeof asked, .mode = MAPRING_CREATE_NEW, .capacity = capacity, .max_consumers = slots};
    mapring_producer *producer;
    int32_t status = mapring_producer_open(name, &asked, &producer);
    if (status < 0)
        return status;
    mapring_ring_info info = {.struct_size = sizeof info};
    status = mapring_stat(name, NULL, &info, NULL, 0);
    mapring_producer_close(producer);
    *memory = info.memory;
    return status;
}

struct ring_memory rings_memory(uint64_t capacity)
{
    struct ring_memory memory = {.capacity = capacity, .slots = SLOTS_FEW};
    uint64_t many;
    memory.status = memory_with(capacity, SLOTS_FEW, &memory.memory);
    if (memory.status >= 0)
        memory.status = memory_with(capacity, SLOTS_MANY, &many);
    if (memory.status >= 0)
        memory.per_slot = (double)(many - memory.memory) / (SLOTS_MANY - SLOTS_FEW);
    return memory;
}
