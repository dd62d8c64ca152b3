/*
 * Many processes that create, open, use and leave the same name, and are killed at any moment.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "atomic.h"
#include "traffic.h"

#define PROCESSES 8u
#define CAPACITY 4096u
#define MAX 512u

/* Each process that is started has a number, and never the same again. */
#define INSTANCES_MAX 100000u

struct arena {
    uint64_t instance;
    uint64_t place;     /* of PROCESSES */
    uint64_t pause_ns;  /* between one use and the next, at most */
    shared64 *owner;    /* one more than the instance that is the producer; 0: none, or it has closed */
    shared64 *rounds;   /* of all instances, for each of the PROCESSES */
    shared64 *outcomes; /* how often each of enum outcome came */
    uint8_t *condemned; /* instances that are being killed */
};

enum outcome { CREATED, CONTINUED, REFUSED, CONSUMED, ABSENT, OUTCOMES };

static void count(const struct arena *arena, enum outcome outcome)
{
    shared64 *word = &arena->outcomes[arena->place * OUTCOMES + outcome];
    store64_relaxed(word, load64_relaxed(word) + 1);
}

/* The word is checked without locks: if two were producers at once, one of them would see the other's number. */
static void be_producer(const struct arena *arena, mapring_producer *producer, bool taken_over, uint64_t *random)
{
    uint64_t before = load64_acquire(arena->owner);
    CHECK(before == 0 || arena->condemned[before - 1] != 0,
          "two producers at once: instance %" PRIu64 " %s, and instance %" PRIu64, arena->instance,
          taken_over ? "took over" : "created", before - 1);
    store64_release(arena->owner, arena->instance + 1);

    mapring_ring_info info = stat_ring();
    CHECK(strcmp(info.name, RING) == 0 && info.capacity == CAPACITY && info.max_consumers == PROCESSES,
          "another ring than was made");
    CHECK(info.producer_pid == (uint32_t)getpid() && info.producer_alive == 1, "another producer");
    uint64_t sequence = info.messages;
    for (uint64_t left = random_next(random) % 50; left > 0; left--) {
        static uint8_t bytes[MAX];
        uint64_t length = message_length(sequence, MAX);
        payload_fill(bytes, length, sequence);
        int32_t status = mapring_publish(producer, bytes, length, message_tag(sequence), 0, MS / 2);
        CHECK(status == MAPRING_OK || status == MAPRING_FULL, "publishing: %s", mapring_status_name(status));
        sequence += status == MAPRING_OK;
    }
    CHECK(stat_ring().messages == sequence, "somebody else published");
    CHECK(load64_acquire(arena->owner) == arena->instance + 1, "two producers at once");
    store64_release(arena->owner, 0);
    mapring_producer_close(producer);
}

static void try_to_produce(const struct arena *arena, uint32_t mode, uint64_t *random)
{
    mapring_producer_options options = {
        .struct_size = sizeof options, .mode = mode, .capacity = CAPACITY, .max_consumers = PROCESSES};
    mapring_producer *producer = NULL;
    int32_t status = mapring_producer_open(RING, &options, &producer);
    if (status >= 0) {
        CHECK(mode != MAPRING_CREATE_NEW || status == 0, "continued instead of created");
        CHECK(mode != MAPRING_OPEN_EXISTING || status == 1, "created instead of continued");
        count(arena, status == 0 ? CREATED : CONTINUED);
        be_producer(arena, producer, status == 1, random);
        return;
    }
    bool expected = (status == MAPRING_EXISTS && mode == MAPRING_CREATE_NEW) ||
                    (status == MAPRING_NOT_FOUND && mode == MAPRING_OPEN_EXISTING) ||
                    (status == MAPRING_PRODUCER_EXISTS && mode != MAPRING_CREATE_NEW);
    CHECK(expected, "opening in mode %" PRIu32 ": %s", mode, mapring_status_name(status));
    count(arena, status == MAPRING_NOT_FOUND ? ABSENT : REFUSED);
}

static void try_to_consume(const struct arena *arena, uint64_t *random)
{
    mapring_consumer_options options = {.struct_size = sizeof options, .start = (uint32_t)(random_next(random) % 2)};
    struct reader reader = {.sequence = UINT64_MAX, .max = MAX, .random = *random};
    uint8_t buffer[2 * MAX];
    reader.buffer = buffer;
    int32_t status = mapring_consumer_open(RING, &options, &reader.consumer);
    if (status < 0) {
        CHECK_STATUS(status, MAPRING_NOT_FOUND);
        count(arena, ABSENT);
        return;
    }
    for (uint64_t left = random_next(random) % 20; left > 0; left--) {
        status = reader_step(&reader, MS / 2);
        CHECK(status >= 0 || status == MAPRING_NO_PRODUCER, "reading: %s", mapring_status_name(status));
    }
    mapring_consumer_close(reader.consumer);
    count(arena, CONSUMED);
}

static void look(void)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    int32_t status = mapring_stat(RING, NULL, &info, NULL, 0);
    CHECK(status >= 0 || status == MAPRING_NOT_FOUND, "stat: %s", mapring_status_name(status));
    char names[256];
    uint64_t needed;
    status = mapring_list(names, sizeof names, &needed);
    CHECK(status == 0 || (status == 1 && strcmp(names, RING) == 0), "a list of %" PRId32, status);
}

static void use_the_name(void *argument)
{
    const struct arena *arena = argument;
    uint64_t random = arena->instance;
    for (;;) {
        sleep_random(&random, arena->pause_ns);
        switch (random_next(&random) % 8) {
        case 0:
            try_to_produce(arena, MAPRING_CREATE_NEW, &random);
            break;
        case 1:
            try_to_produce(arena, MAPRING_OPEN_EXISTING, &random);
            break;
        case 2:
        case 3:
            try_to_consume(arena, &random);
            break;
        case 4:
            look();
            break;
        default:
            try_to_produce(arena, MAPRING_CREATE_OR_OPEN, &random);
        }
        store64_relaxed(&arena->rounds[arena->place], load64_relaxed(&arena->rounds[arena->place]) + 1);
    }
}

static void run_arena(uint64_t pause_ns)
{
    struct arena arena = {.pause_ns = pause_ns,
                          .owner = shared_memory(4096),
                          .rounds = shared_memory(4096),
                          .outcomes = shared_memory(4096),
                          .condemned = shared_memory(INSTANCES_MAX)};
    int descriptors = count_descriptors();
    pid_t children[PROCESSES];
    uint64_t instances[PROCESSES];
    for (uint64_t i = 0; i < PROCESSES; i++) {
        arena.place = i;
        instances[i] = arena.instance;
        children[i] = spawn(use_the_name, &arena);
        arena.instance++;
    }
    uint64_t random = 1;
    uint64_t kills = 1000 * test_length();
    CHECK(kills < INSTANCES_MAX - PROCESSES, "too many instances");
    for (uint64_t killed = 0; killed < kills; killed++) {
        uint64_t i = random_next(&random) % PROCESSES;
        sleep_random(&random, 4000000);
        arena.condemned[instances[i]] = 1;
        kill_child(children[i]);
        arena.place = i;
        instances[i] = arena.instance;
        children[i] = spawn(use_the_name, &arena);
        arena.instance++;
    }
    for (uint64_t i = 0; i < PROCESSES; i++) {
        arena.condemned[instances[i]] = 1;
        kill_child(children[i]);
    }
    CHECK(count_names() <= 1, "%d names are left", count_names());
    mapring_producer_close(open_producer(CAPACITY, PROCESSES));
    CHECK(count_names() == 0, "%d names are left", count_names());
    CHECK(count_descriptors() == descriptors, "descriptors are left");

    uint64_t rounds = 0, outcomes[OUTCOMES] = {0};
    for (uint64_t i = 0; i < PROCESSES; i++) {
        rounds += load64_relaxed(&arena.rounds[i]);
        for (uint64_t j = 0; j < OUTCOMES; j++)
            outcomes[j] += load64_relaxed(&arena.outcomes[i * OUTCOMES + j]);
    }
    printf("%" PRIu64 " rounds: %" PRIu64 " created, %" PRIu64 " continued, %" PRIu64 " refused, %" PRIu64
           " consumers, %" PRIu64 " found nothing\n",
           rounds, outcomes[CREATED], outcomes[CONTINUED], outcomes[REFUSED], outcomes[CONSUMED], outcomes[ABSENT]);
    for (uint64_t j = 0; j < OUTCOMES; j++)
        CHECK(outcomes[j] > 10, "outcome %" PRIu64 " came %" PRIu64 " times only", j, outcomes[j]);
}

/* Always held by several; often held by nobody, so that it comes and goes. */
static void crowded_name(void)
{
    run_arena(0);
}

static void lonely_name(void)
{
    run_arena(4000000);
}

/* Many names at once, each with its own processes: they do not get in each other's way. */
static void use_own_name(void *argument)
{
    const uint64_t *number = argument;
    char name[32];
    snprintf(name, sizeof name, "name-%" PRIu64, *number);
    int descriptors = count_descriptors();
    for (uint64_t round = 0; round < 300 * test_length(); round++) {
        mapring_producer_options options = {
            .struct_size = sizeof options, .mode = MAPRING_CREATE_NEW, .capacity = CAPACITY};
        mapring_producer *producer;
        mapring_consumer *consumer;
        CHECK_STATUS(mapring_producer_open(name, &options, &producer), MAPRING_OK);
        CHECK_STATUS(mapring_consumer_open(name, NULL, &consumer), MAPRING_OK);
        CHECK_STATUS(mapring_publish(producer, number, sizeof *number, 0, 0, 0), MAPRING_OK);
        mapring_message message;
        CHECK_STATUS(mapring_read(consumer, &message, 1, 0), 1);
        CHECK(memcmp(message.data, number, sizeof *number) == 0, "a message of another ring");
        if (round % 2 == 0)
            mapring_producer_close(producer);
        mapring_consumer_close(consumer);
        if (round % 2 != 0)
            mapring_producer_close(producer);
    }
    CHECK(count_descriptors() == descriptors, "descriptors are left");
}

static void many_names(void)
{
    uint64_t numbers[PROCESSES];
    pid_t children[PROCESSES];
    for (uint64_t i = 0; i < PROCESSES; i++) {
        numbers[i] = i;
        children[i] = spawn(use_own_name, &numbers[i]);
    }
    for (uint64_t i = 0; i < PROCESSES; i++)
        join(children[i]);
    CHECK(count_names() == 0, "%d names are left", count_names());
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"crowded_name", crowded_name},
        {"lonely_name", lonely_name},
        {"many_names", many_names},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
