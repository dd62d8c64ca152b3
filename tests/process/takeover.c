/*
 * Producers that are killed at random moments in full traffic, and their successors. Consumers that live through all of
 * it must get each message once, in order and whole; and what a producer had committed when it died must be there.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomic.h"
#include "traffic.h"

#define BATCH_MAX 8u

struct relay {
    uint64_t capacity;
    uint64_t max;
    struct gate attached; /* a consumer, */
    struct gate opened;   /* a producer */
    struct gate finished; /* the consumers: the last producer may close, and the ring with it */
    /* Written by the producer of the moment. */
    shared64 *committed; /* messages that are visible for sure, */
    shared64 *attempted; /* and those that may be */
    uint64_t seed;
};

struct author {
    const struct relay *relay;
    mapring_producer *producer;
    uint64_t sequence; /* of the next message */
    uint64_t random;
    uint8_t *bytes;
};

static uint64_t below(struct author *author, uint64_t limit)
{
    return random_next(&author->random) % limit;
}

/* Before a call that may make messages visible up to here; and after it did. */
static void attempt(struct author *author, uint64_t end)
{
    store64_release(author->relay->attempted, end);
}

static void committed(struct author *author, uint64_t count, bool visible)
{
    author->sequence += count;
    if (visible)
        store64_release(author->relay->committed, author->sequence);
}

static bool is_refused(int32_t status)
{
    CHECK(status >= 0 || status == MAPRING_FULL, "publishing: %s", mapring_status_name(status));
    return status == MAPRING_FULL;
}

static int64_t some_timeout(struct author *author)
{
    return below(author, 4) == 0 ? 0 : MAPRING_FOREVER;
}

static void publish_one(struct author *author, uint32_t flags)
{
    uint64_t length = message_length(author->sequence, author->relay->max);
    payload_fill(author->bytes, length, author->sequence);
    attempt(author, author->sequence + 1);
    if (!is_refused(mapring_publish(author->producer, author->bytes, length, message_tag(author->sequence), flags,
                                    some_timeout(author))))
        committed(author, 1, flags == 0);
}

static void publish_run(struct author *author)
{
    for (uint64_t i = below(author, 20); i > 0; i--)
        publish_one(author, MAPRING_MORE);
    if (below(author, 2) == 0) {
        CHECK_STATUS(mapring_end_run(author->producer), MAPRING_OK);
        committed(author, 0, true);
    }
}

static void claim_one(struct author *author, uint32_t flags)
{
    uint64_t length = message_length(author->sequence, author->relay->max);
    uint64_t claimed = length + below(author, author->relay->max - length + 1);
    void *payload;
    if (is_refused(mapring_claim(author->producer, claimed, some_timeout(author), &payload)))
        return;
    memset(payload, 0xee, claimed);
    payload_fill(payload, length, author->sequence);
    if (below(author, 4) == 0) {
        CHECK_STATUS(mapring_abandon(author->producer), MAPRING_OK);
        return;
    }
    attempt(author, author->sequence + 1);
    CHECK_STATUS(mapring_commit(author->producer, length, message_tag(author->sequence), flags), MAPRING_OK);
    committed(author, 1, flags == 0);
}

static void publish_batch(struct author *author)
{
    mapring_message messages[BATCH_MAX];
    uint32_t count = 1 + (uint32_t)below(author, BATCH_MAX);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t sequence = author->sequence + i;
        uint8_t *bytes = author->bytes + i * author->relay->max;
        messages[i] = (mapring_message){
            .data = bytes, .length = message_length(sequence, author->relay->max), .tag = message_tag(sequence)};
        payload_fill(bytes, messages[i].length, sequence);
    }
    attempt(author, author->sequence + count);
    int32_t status = mapring_publish_batch(author->producer, messages, count, some_timeout(author));
    if (!is_refused(status))
        committed(author, (uint64_t)status, true);
}

static void claim_batch(struct author *author)
{
    mapring_message messages[BATCH_MAX];
    uint32_t count = 1 + (uint32_t)below(author, BATCH_MAX);
    for (uint32_t i = 0; i < count; i++)
        messages[i].length = message_length(author->sequence + i, author->relay->max) + below(author, 2) * 8;
    for (uint32_t i = 0; i < count; i++)
        messages[i].length = messages[i].length < author->relay->max ? messages[i].length : author->relay->max;
    int32_t granted = mapring_claim_batch(author->producer, messages, count, some_timeout(author));
    if (is_refused(granted))
        return;
    for (int32_t i = 0; i < granted; i++) {
        uint64_t sequence = author->sequence + (uint64_t)i;
        messages[i].length = message_length(sequence, author->relay->max);
        messages[i].tag = message_tag(sequence);
        payload_fill((void *)(uintptr_t)messages[i].data, messages[i].length, sequence);
    }
    count = (uint32_t)below(author, (uint64_t)granted + 1);
    attempt(author, author->sequence + count);
    CHECK_STATUS(mapring_commit_batch(author->producer, messages, count), MAPRING_OK);
    /* A run that was open before goes with it, but not if nothing was committed. */
    committed(author, count, count > 0);
}

static void write_on(struct author *author)
{
    switch (below(author, 8)) {
    case 0:
        publish_run(author);
        break;
    case 1:
        claim_one(author, 0);
        break;
    case 2:
        claim_one(author, MAPRING_MORE);
        break;
    case 3:
        publish_batch(author);
        break;
    case 4:
        claim_batch(author);
        break;
    default:
        publish_one(author, 0);
    }
}

static struct author author_open(const struct relay *relay)
{
    struct author author = {.relay = relay, .random = relay->seed, .bytes = malloc(BATCH_MAX * relay->max)};
    CHECK(author.bytes != NULL, "no memory");
    author.producer = open_producer(0, 0);
    mapring_ring_info info = stat_ring();
    uint64_t least = load64_acquire(relay->committed), most = load64_acquire(relay->attempted);
    CHECK(info.messages >= least, "%" PRIu64 " messages, but %" PRIu64 " had been committed", info.messages, least);
    CHECK(info.messages <= most, "%" PRIu64 " messages, but only %" PRIu64 " were ever published", info.messages, most);
    author.sequence = info.messages;
    store64_release(relay->attempted, info.messages);
    store64_release(relay->committed, info.messages);
    return author;
}

static void write_for_ever(void *argument)
{
    struct author author = author_open(argument);
    gate_open(author.relay->opened);
    for (;;)
        write_on(&author);
}

static void write_and_close(void *argument)
{
    struct author author = author_open(argument);
    for (int i = 0; i < 20; i++)
        write_on(&author);
    mapring_producer_close(author.producer);
    /* An open run became visible. */
    store64_release(author.relay->committed, author.sequence);
}

static void write_and_end(void *argument)
{
    struct author author = author_open(argument);
    for (int i = 0; i < 1000; i++)
        write_on(&author);
    CHECK_STATUS(mapring_end(author.producer), MAPRING_OK);
    store64_release(author.relay->committed, author.sequence);
    CHECK_STATUS(mapring_drain(author.producer, 30 * SECOND), MAPRING_OK);
    gate_pass(author.relay->finished);
    mapring_producer_close(author.producer);
}

static void stay(void *argument)
{
    const struct relay *relay = argument;
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, relay->max, 7);
    reader.sequence = 0;
    gate_open(relay->attached);
    reader_finish(&reader);
    CHECK(reader.sequence == load64_acquire(relay->committed), "%" PRIu64 " messages of %" PRIu64, reader.sequence,
          load64_acquire(relay->committed));
    reader_close(&reader);
}

static void come_and_go(void *argument)
{
    const struct relay *relay = argument;
    uint64_t random = 11;
    for (bool ended = false; !ended;) {
        bool newest = random_next(&random) % 2 == 0;
        struct reader reader =
            reader_open(newest ? MAPRING_FROM_NEWEST : MAPRING_FROM_OLDEST, relay->max, random_next(&random));
        for (uint64_t steps = random_next(&random) % 100; steps > 0 && !ended; steps--) {
            int32_t status = reader_step(&reader, 5 * MS);
            ended = status == MAPRING_STREAM_ENDED;
            CHECK(ended || status >= 0 || status == MAPRING_NO_PRODUCER, "reading: %s", mapring_status_name(status));
        }
        reader_close(&reader);
    }
}

static void run_relay(uint64_t capacity, uint64_t rounds, uint64_t seed)
{
    struct relay relay = {.capacity = capacity,
                          .max = mapring_message_max(capacity),
                          .attached = gate_new(),
                          .finished = gate_new(),
                          .committed = shared_memory(4096),
                          .attempted = shared_memory(4096)};
    mapring_producer *first = open_producer(capacity, 4);
    pid_t readers[3];
    for (int i = 0; i < 2; i++) {
        readers[i] = spawn(stay, &relay);
        gate_pass(relay.attached);
    }
    readers[2] = spawn(come_and_go, &relay);
    mapring_producer_close(first);

    uint64_t random = seed;
    uint64_t epochs = 1, killed = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        relay.seed = random_next(&random);
        relay.opened = gate_new();
        uint64_t kind = random_next(&random) % 16;
        if (kind == 0) {
            join(spawn(write_and_close, &relay));
        } else {
            /* While it opens the ring, or up to some laps later. */
            pid_t author = spawn(write_for_ever, &relay);
            if (kind >= 6)
                gate_pass(relay.opened);
            sleep_random(&random, kind < 6 ? 1000000 : 3000000);
            kill_child(author);
            killed++;
        }
        gate_close(relay.opened);
        uint64_t epoch = stat_ring().epoch;
        CHECK(epoch == epochs || epoch == epochs + 1, "epoch %" PRIu64 " after %" PRIu64, epoch, epochs);
        epochs = epoch;
    }
    CHECK(epochs > rounds / 2, "only %" PRIu64 " of %" PRIu64 " producers opened the ring before they were killed",
          epochs, rounds);
    relay.seed = seed;
    pid_t last = spawn(write_and_end, &relay);
    for (int i = 0; i < 3; i++)
        join(readers[i]);
    gate_open(relay.finished);
    join(last);
    printf("capacity %" PRIu64 ": %" PRIu64 " takeovers, %" PRIu64 " producers killed, %" PRIu64 " messages\n",
           capacity, epochs, killed, load64_acquire(relay.committed));
}

static void smallest_ring(void)
{
    run_relay(mapring_capacity_min(), 800 * test_length(), 1);
}

static void small_ring(void)
{
    run_relay(1 << 16, 800 * test_length(), 2);
}

static void ring_with_room(void)
{
    run_relay(1 << 22, 300 * test_length(), 3);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"smallest_ring", smallest_ring},
        {"small_ring", small_ring},
        {"ring_with_room", ring_with_room},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
