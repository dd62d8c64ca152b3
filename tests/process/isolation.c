/*
 * What one process does to its own handles and mappings does not reach the others: fork, stores into messages,
 * different addresses.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "atomic.h"
#include "traffic.h"

#define CAPACITY 65536u
#define MAX 1024u

/* Publishes and reads this many, to see that both ends of a ring are well. */
static void exchange(mapring_producer *producer, struct reader *reader, uint64_t *sequence, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        publish_message(producer, (*sequence)++, MAX);
        while (reader->sequence < *sequence) {
            int32_t status = reader_step(reader, SECOND);
            CHECK(status >= 0, "reading: %s", mapring_status_name(status));
        }
    }
}

static void try_second_producer(void *unused)
{
    (void)unused;
    mapring_producer *second;
    CHECK_STATUS(mapring_producer_open(RING, NULL, &second), MAPRING_PRODUCER_EXISTS);
}

static struct {
    mapring_producer *producer;
    struct reader reader;
} ends;

static void close_copies(void *unused)
{
    (void)unused;
    int before = count_descriptors();
    mapring_producer_close(ends.producer);
    mapring_consumer_close(ends.reader.consumer);
    CHECK(count_descriptors() < before, "closing a copy keeps its descriptors");
    CHECK(count_names() == 1, "closing a copy removed the name");
}

static void leave_copies(void *unused)
{
    (void)unused;
}

/* Uses what it must not use: the mapping is not there. */
static void publish_with_copy(void *unused)
{
    (void)unused;
    mapring_publish(ends.producer, "x", 1, 0, 0, 0);
}

static void read_with_copy(void *unused)
{
    mapring_message message;
    (void)unused;
    mapring_read(ends.reader.consumer, &message, 1, 0);
}

static void forks(void)
{
    uint64_t sequence = 0;
    int descriptors = count_descriptors();
    ends.producer = open_producer(CAPACITY, 4);
    ends.reader = reader_open(MAPRING_FROM_OLDEST, MAX, 1);
    ends.reader.sequence = 0;
    for (uint64_t round = 0; round < 50 * test_length(); round++) {
        exchange(ends.producer, &ends.reader, &sequence, 100);
        join(spawn(close_copies, NULL));
        exchange(ends.producer, &ends.reader, &sequence, 100);
        join(spawn(leave_copies, NULL));
        join_killed(spawn(publish_with_copy, NULL), SIGSEGV);
        join_killed(spawn(read_with_copy, NULL), SIGSEGV);
        join(spawn(try_second_producer, NULL));
        mapring_ring_info info = stat_ring();
        CHECK(info.consumers == 1 && info.producer_alive == 1 && info.producer_pid == (uint32_t)getpid(),
              "a child changed who is attached");
    }
    /* A claim, an open run and messages in hand outlive a child that closes. */
    void *payload;
    CHECK_STATUS(mapring_publish(ends.producer, "run", 3, 1, MAPRING_MORE, 0), MAPRING_OK);
    CHECK_STATUS(mapring_claim(ends.producer, 64, 0, &payload), MAPRING_OK);
    memset(payload, 7, 64);
    join(spawn(close_copies, NULL));
    mapring_message messages[2];
    CHECK_STATUS(mapring_read(ends.reader.consumer, messages, 2, 0), 0);
    CHECK_STATUS(mapring_commit(ends.producer, 64, 2, 0), MAPRING_OK);
    CHECK_STATUS(mapring_read(ends.reader.consumer, messages, 2, 0), 2);
    CHECK(messages[0].tag == 1 && messages[1].tag == 2 && ((const uint8_t *)messages[1].data)[63] == 7,
          "other messages than were published");
    join(spawn(close_copies, NULL));
    CHECK_STATUS(mapring_release(ends.reader.consumer, 2), MAPRING_OK);
    reader_close(&ends.reader);
    mapring_producer_close(ends.producer);
    CHECK(count_descriptors() == descriptors, "descriptors are left");
}

/* A child that goes on without exec keeps descriptors open, so also the lock: the parent's orderly end suffices. */
static void wait_at_gate(void *argument)
{
    gate_pass(*(struct gate *)argument);
}

static void a_child_that_stays(void)
{
    struct gate gate = gate_new();
    mapring_producer *producer = open_producer(CAPACITY, 4);
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, MAX, 1);
    reader.sequence = 0;
    pid_t child = spawn(wait_at_gate, &gate);
    uint64_t sequence = 0;
    exchange(producer, &reader, &sequence, 10);
    mapring_producer_close(producer);
    reader_step(&reader, 0); /* releases what is held */
    CHECK_STATUS(reader_step(&reader, SECOND), MAPRING_NO_PRODUCER);
    producer = open_producer(CAPACITY, 4);
    exchange(producer, &reader, &sequence, 10);
    reader_close(&reader);
    CHECK(stat_ring().consumers == 0, "the consumer is still there");
    mapring_producer_close(producer);
    gate_open(gate);
    join(child);
    /* The child had the last descriptor of the name, and a child removes nothing; whoever comes next does. */
    mapring_producer_close(open_producer(CAPACITY, 4));
}

/* Stores. */

static void store_into_message(void *argument)
{
    const uint64_t *place = argument;
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    mapring_message message;
    CHECK_STATUS(mapring_read(consumer, &message, 1, SECOND), 1);
    ((volatile uint8_t *)(uintptr_t)message.data)[*place] ^= 1;
}

static void a_store_harms_only_its_process(void)
{
    /* Relative to the first message, which lies at the start of the data: into it, its header, the room for others, the
     * index and the producer's own lines. */
    static uint64_t places[] = {0, (uint64_t)-8, 3, CAPACITY - 16, (uint64_t)-64, (uint64_t)-4096};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        mapring_producer *producer = open_producer(CAPACITY, 4);
        struct reader reader = reader_open(MAPRING_FROM_OLDEST, MAX, 1);
        reader.sequence = 0;
        uint64_t sequence = 0;
        publish_message(producer, sequence++, MAX);
        join_killed(spawn(store_into_message, &places[i]), SIGSEGV);
        exchange(producer, &reader, &sequence, 500);
        CHECK_STATUS(mapring_wait_consumers(producer, 2, 0), MAPRING_TIMEOUT);
        reader_close(&reader);
        mapring_producer_close(producer);
    }
}

/* Addresses. */

enum { PLACES = 3 };

struct place {
    int opened_first;  /* consumers of the same ring, which lie where this one would */
    shared64 *address; /* of the first message */
    struct gate gate;
};

static void note_address(void *argument)
{
    const struct place *place = argument;
    mapring_consumer *others[PLACES];
    for (int i = 0; i < place->opened_first; i++)
        others[i] = open_consumer(MAPRING_FROM_NEWEST);
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, MAX, 1);
    for (int i = 0; i < place->opened_first; i++)
        mapring_consumer_close(others[i]);
    mapring_message message;
    CHECK_STATUS(mapring_read(reader.consumer, &message, 1, 10 * SECOND), 1);
    check_message(&message, 0, MAX);
    store64_relaxed(place->address, (uint64_t)(uintptr_t)message.data);
    CHECK_STATUS(mapring_release(reader.consumer, 1), MAPRING_OK);
    gate_open(place->gate);
    reader.sequence = 1;
    reader_finish(&reader);
    CHECK(reader.sequence == 10000, "%" PRIu64 " messages", reader.sequence);
    reader_close(&reader);
}

static void other_addresses(void)
{
    struct place places[PLACES];
    pid_t children[PLACES];
    struct gate gate = gate_new();
    shared64 *addresses = shared_memory(4096);
    mapring_producer *producer = open_producer(CAPACITY, 8);
    for (int i = 0; i < PLACES; i++) {
        places[i] = (struct place){.opened_first = i, .address = &addresses[i], .gate = gate};
        children[i] = spawn(note_address, &places[i]);
    }
    publish_message(producer, 0, MAX);
    for (int i = 0; i < PLACES; i++)
        gate_pass(gate);
    for (int i = 0; i < PLACES; i++)
        for (int j = 0; j < i; j++)
            CHECK(load64_relaxed(&addresses[i]) != load64_relaxed(&addresses[j]),
                  "two processes map at the same address, and nothing is tested");
    for (uint64_t sequence = 1; sequence < 10000; sequence++)
        publish_message(producer, sequence, MAX);
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    for (int i = 0; i < PLACES; i++)
        join(children[i]);
    mapring_producer_close(producer);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"forks", forks},
        {"a_child_that_stays", a_child_that_stays},
        {"a_store_harms_only_its_process", a_store_harms_only_its_process},
        {"other_addresses", other_addresses},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
