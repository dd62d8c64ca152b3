/*
 * Consumers that join and leave during traffic: 1 to 16 processes. Each must see a gap-free sequence from where it
 * joined to where it left, and those that stay see everything.
 */
#include <inttypes.h>

#include "traffic.h"

struct crowd {
    uint64_t capacity;
    uint32_t comers; /* consumers that come and go; one more stays */
    uint64_t messages;
    struct gate stays; /* opened by the consumer that stays, when it is attached */
};

static void stay(void *argument)
{
    const struct crowd *crowd = argument;
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, mapring_message_max(crowd->capacity), 1);
    reader.sequence = 0;
    gate_open(crowd->stays);
    reader_finish(&reader);
    CHECK(reader.sequence == crowd->messages, "%" PRIu64 " messages of %" PRIu64, reader.sequence, crowd->messages);
    reader_close(&reader);
}

static void come_and_go(void *argument)
{
    const struct crowd *crowd = argument;
    uint64_t random = (uint64_t)now_ns();
    for (bool ended = false; !ended;) {
        bool newest = random_next(&random) % 2 == 0;
        struct reader reader = reader_open(newest ? MAPRING_FROM_NEWEST : MAPRING_FROM_OLDEST,
                                           mapring_message_max(crowd->capacity), random_next(&random));
        for (uint64_t steps = random_next(&random) % 200; steps > 0 && !ended; steps--) {
            int32_t status = reader_step(&reader, 100 * MS);
            ended = status == MAPRING_STREAM_ENDED;
            CHECK(ended || status >= 0, "reading: %s", mapring_status_name(status));
        }
        reader_close(&reader);
    }
}

static void run_crowd(uint64_t capacity, uint32_t comers, uint64_t bytes)
{
    uint64_t max = mapring_message_max(capacity);
    struct crowd crowd = {.capacity = capacity, .comers = comers, .stays = gate_new()};
    /* Of so many messages as make about so many bytes. */
    for (uint64_t total = 0; total < bytes * test_length(); crowd.messages++)
        total += message_length(crowd.messages, max) + 8;

    pid_t children[17];
    mapring_producer *producer = open_producer(capacity, 17);
    children[0] = spawn(stay, &crowd);
    gate_pass(crowd.stays);
    for (uint32_t i = 1; i <= comers; i++)
        children[i] = spawn(come_and_go, &crowd);
    for (uint64_t sequence = 0; sequence < crowd.messages; sequence++)
        publish_message(producer, sequence, max);
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    CHECK_STATUS(mapring_drain(producer, 30 * SECOND), MAPRING_OK);
    for (uint32_t i = 0; i <= comers; i++)
        join(children[i]);
    CHECK(stat_ring().messages == crowd.messages, "other than was published");
    CHECK(stat_ring().consumers == 0, "a slot is still taken");
    mapring_producer_close(producer);
}

static void smallest_ring(void)
{
    static const uint32_t comers[] = {0, 1, 3, 7, 15};
    for (size_t i = 0; i < sizeof comers / sizeof comers[0]; i++)
        run_crowd(mapring_capacity_min(), comers[i], 2 << 20);
}

static void every_capacity(void)
{
    for (uint64_t capacity = 2 * mapring_capacity_min(); capacity <= 1 << 22; capacity *= 2)
        run_crowd(capacity, 3, (1 << 21) + 4 * capacity);
}

static void sixteen_and_one(void)
{
    run_crowd(1 << 16, 16, 16 << 20);
    run_crowd(1 << 20, 16, 32 << 20);
}

/* Every slot is taken, again and again: who finds none is told so, and is served when one is free. */
static void hold_a_slot(void *argument)
{
    struct gate *gates = argument;
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_NEWEST);
    gate_open(gates[0]);
    gate_pass(gates[1]);
    mapring_consumer_close(consumer);
}

static void no_slot_left(void)
{
    enum { SLOTS = 4 };
    mapring_producer *producer = open_producer(mapring_capacity_min(), SLOTS);
    struct gate gates[] = {gate_new(), gate_new()};
    for (uint64_t round = 0; round < 10 * test_length(); round++) {
        pid_t children[SLOTS];
        for (int i = 0; i < SLOTS; i++)
            children[i] = spawn(hold_a_slot, gates);
        for (int i = 0; i < SLOTS; i++)
            gate_pass(gates[0]);
        mapring_consumer *consumer;
        CHECK_STATUS(mapring_consumer_open(RING, NULL, &consumer), MAPRING_NO_SLOT);
        /* One leaves by itself, the others die. */
        gate_open(gates[1]);
        int left = -1;
        while (left < 0) {
            mapring_consumer_info infos[SLOTS];
            mapring_ring_info info = {.struct_size = sizeof info};
            int32_t count = mapring_stat(RING, NULL, &info, infos, SLOTS);
            CHECK(count >= 0, "stat: %s", mapring_status_name(count));
            for (int i = 0; i < SLOTS && count == SLOTS - 1; i++) {
                bool found = false;
                for (int32_t j = 0; j < count; j++)
                    found = found || infos[j].pid == (uint32_t)children[i];
                left = found ? left : i;
            }
        }
        join(children[left]);
        mapring_consumer *successor = open_consumer(MAPRING_FROM_NEWEST);
        for (int i = 0; i < SLOTS; i++)
            if (i != left)
                kill_child(children[i]);
        CHECK_STATUS(mapring_consumer_open(RING, NULL, &consumer), MAPRING_OK);
        mapring_consumer_close(consumer);
        mapring_consumer_close(successor);
        CHECK_STATUS(mapring_drain(producer, SECOND), MAPRING_OK);
    }
    mapring_producer_close(producer);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"smallest_ring", smallest_ring},
        {"every_capacity", every_capacity},
        {"sixteen_and_one", sixteen_and_one},
        {"no_slot_left", no_slot_left},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
