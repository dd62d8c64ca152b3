/*
 * Random deaths under load: producers, consumers of every kind, members of a group. Every message tells by its contents
 * whether it is the right one and whole; what was delivered is noted in memory that outlives the dead.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "atomic.h"
#include "traffic.h"

#define CAPACITY 65536u
#define MAX 1024u
#define SLOTS 12u
#define BATCH 8u
#define MESSAGES_MAX ((uint64_t)1 << 28)

enum role { PRODUCER, NAMED, MEMBER, PLAIN, LOSSY, ROLE_COUNT };
static const char *const role_names[] = {"producers", "named", "members", "plain", "lossy"};

/* What has happened to a message in the group. */
#define DELIVERED 1u
#define RELEASING 2u

struct named {
    shared64 known;     /* 1: it was there before */
    shared64 released;  /* up to here for certain, */
    shared64 releasing; /* and perhaps up to here */
};

#define NAMED_COUNT 2u

static struct {
    shared64 committed; /* messages published for certain; at most one more was */
    shared64 read;      /* by the reliable consumer that is never killed */
    shared64 position;
    shared64 ending;
    shared64 redelivered;
    shared64 twice; /* of those, such as died while they were released */
    shared64 lost;
    struct named named[NAMED_COUNT];
} * shared;

static uint8_t *fates; /* of each message in the group; a byte is changed by who has the message */

struct actor {
    enum role role;
    uint32_t number;
    uint64_t seed;
    pid_t pid;
};

static void produce(void *unused)
{
    (void)unused;
    mapring_producer_options options = {.struct_size = sizeof options, .timeout_ns = 5 * SECOND};
    mapring_producer *producer;
    CHECK_STATUS(mapring_producer_open(RING, &options, &producer), 1);
    uint64_t sequence = stat_ring().messages;
    uint64_t committed = load64_acquire(&shared->committed);
    CHECK(sequence == committed || sequence == committed + 1, "%" PRIu64 " messages of %" PRIu64, sequence, committed);
    while (load64_relaxed(&shared->ending) == 0) {
        CHECK(sequence < MESSAGES_MAX, "too many messages");
        store64_release(&shared->committed, sequence);
        publish_message(producer, sequence++, MAX);
    }
    store64_release(&shared->committed, sequence);
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    CHECK_STATUS(mapring_drain(producer, 10 * SECOND), MAPRING_OK);
    mapring_producer_close(producer);
}

/* Reads until the end of the stream, by `step`, which returns what a read gave. */
static void read_on(int32_t (*step)(void *reader), void *reader)
{
    int32_t status;
    do
        status = step(reader);
    while (status >= 0 || status == MAPRING_NO_PRODUCER);
    CHECK_STATUS(status, MAPRING_STREAM_ENDED);
}

static mapring_consumer *open_kind(const mapring_consumer_options *options, int32_t also)
{
    mapring_consumer *consumer;
    int32_t status = mapring_consumer_open(RING, options, &consumer);
    CHECK(status == MAPRING_OK || status == also, "opening a consumer: %s", mapring_status_name(status));
    return consumer;
}

/* Never killed. */
static int32_t step_reliable(void *argument)
{
    struct reader *reader = argument;
    int32_t status = reader_step(reader, 100 * MS);
    mapring_consumer_progress progress = {.struct_size = sizeof progress};
    CHECK_STATUS(mapring_progress(reader->consumer, &progress), MAPRING_OK);
    store64_release(&shared->read, reader->sequence);
    store64_release(&shared->position, progress.position);
    return status;
}

static void read_reliably(void *argument)
{
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, MAX, 1);
    reader.sequence = 0;
    gate_open(*(struct gate *)argument);
    read_on(step_reliable, &reader);
    CHECK(reader.sequence == load64_acquire(&shared->committed), "%" PRIu64 " messages of %" PRIu64, reader.sequence,
          load64_acquire(&shared->committed));
    reader_close(&reader);
}

struct named_reader {
    mapring_consumer *consumer;
    struct named *named;
    uint64_t sequence;
    uint64_t random;
};

static int32_t step_named(void *argument)
{
    struct named_reader *reader = argument;
    struct named *named = reader->named;
    mapring_message messages[BATCH];
    static uint64_t buffer[2 * MAX / 8];
    bool copy = random_next(&reader->random) % 4 == 0;
    if (copy)
        store64_release(&named->releasing, reader->sequence + BATCH);
    int32_t count = copy ? mapring_receive(reader->consumer, buffer, sizeof buffer, messages, BATCH, 100 * MS)
                         : mapring_read(reader->consumer, messages, BATCH, 100 * MS);
    for (int32_t i = 0; i < count; i++)
        check_message(&messages[i], reader->sequence + (uint64_t)i, MAX);
    if (random_next(&reader->random) % 16 == 0)
        sleep_random(&reader->random, 1000000);
    for (int32_t done = 0; done < count;) {
        uint32_t part = copy ? (uint32_t)count : 1 + (uint32_t)random_next(&reader->random) % (uint32_t)(count - done);
        reader->sequence += part;
        if (!copy) {
            check_message(&messages[done], messages[done].sequence, MAX);
            store64_release(&named->releasing, reader->sequence);
            CHECK_STATUS(mapring_release(reader->consumer, part), MAPRING_OK);
        }
        done += (int32_t)part;
    }
    store64_release(&named->released, reader->sequence);
    return count;
}

static void read_named(void *argument)
{
    const struct actor *actor = argument;
    struct named *named = &shared->named[actor->number];
    char name[8] = {'n', (char)('0' + actor->number)};
    mapring_consumer_options options = {.struct_size = sizeof options, .own_name = name};
    mapring_consumer *consumer;
    int32_t status = mapring_consumer_open(RING, &options, &consumer);
    bool known = load64_acquire(&named->known) != 0;
    CHECK(status == MAPRING_RESUMED || (!known && status >= 0), "coming back: %s", mapring_status_name(status));
    mapring_consumer_progress progress = {.struct_size = sizeof progress};
    CHECK_STATUS(mapring_progress(consumer, &progress), MAPRING_OK);
    uint64_t released = load64_acquire(&named->released), releasing = load64_acquire(&named->releasing);
    CHECK(!known || (progress.sequence >= released && progress.sequence <= releasing),
          "continues at %" PRIu64 " instead of %" PRIu64 " to %" PRIu64, progress.sequence, released, releasing);
    CHECK(progress.lost_messages == 0, "lost %" PRIu64, progress.lost_messages);
    struct named_reader reader = {consumer, named, progress.sequence, actor->seed};
    store64_release(&named->released, reader.sequence);
    store64_release(&named->releasing, reader.sequence);
    store64_release(&named->known, 1);
    read_on(step_named, &reader);
    CHECK(reader.sequence == load64_acquire(&shared->committed), "a named consumer ends at %" PRIu64, reader.sequence);
    mapring_consumer_close(consumer);
}

struct member_reader {
    mapring_consumer *consumer;
    uint64_t random;
};

static int32_t step_member(void *argument)
{
    struct member_reader *reader = argument;
    mapring_message messages[BATCH];
    uint32_t max = 1 + (uint32_t)random_next(&reader->random) % BATCH;
    int32_t count = mapring_read(reader->consumer, messages, max, 100 * MS);
    for (int32_t i = 0; i < count; i++) {
        uint64_t sequence = messages[i].sequence;
        check_message(&messages[i], sequence, MAX);
        uint8_t fate = __atomic_fetch_or(&fates[sequence], DELIVERED, __ATOMIC_RELAXED);
        if (messages[i].flags == MAPRING_REDELIVERED) {
            add64(&shared->redelivered, 1);
            add64(&shared->twice, (fate & RELEASING) != 0);
        } else {
            CHECK(fate == 0, "message %" PRIu64 " comes again, unmarked", sequence);
        }
    }
    /* So that many die with messages in hand. */
    if (random_next(&reader->random) % 16 == 0)
        sleep_random(&reader->random, 1000000);
    for (int32_t done = 0; done < count;) {
        uint32_t part = 1 + (uint32_t)random_next(&reader->random) % (uint32_t)(count - done);
        for (uint32_t i = 0; i < part; i++) {
            const mapring_message *message = &messages[done + (int32_t)i];
            check_message(message, message->sequence, MAX);
            __atomic_fetch_or(&fates[message->sequence], RELEASING, __ATOMIC_RELAXED);
        }
        CHECK_STATUS(mapring_release(reader->consumer, part), MAPRING_OK);
        done += (int32_t)part;
    }
    return count;
}

static void read_as_member(void *argument)
{
    const struct actor *actor = argument;
    mapring_consumer_options options = {.struct_size = sizeof options, .kind = MAPRING_MEMBER, .group = "group"};
    struct member_reader reader = {open_kind(&options, MAPRING_RESUMED), actor->seed};
    read_on(step_member, &reader);
    mapring_consumer_close(reader.consumer);
}

static int32_t step_plain(void *argument)
{
    return reader_step(argument, 100 * MS);
}

static void read_plainly(void *argument)
{
    const struct actor *actor = argument;
    uint32_t start = actor->seed % 2 == 0 ? MAPRING_FROM_OLDEST : MAPRING_FROM_NEWEST;
    struct reader reader = reader_open(start, MAX, actor->seed);
    read_on(step_plain, &reader);
    reader_close(&reader);
}

struct lossy_reader {
    mapring_consumer *consumer;
    uint64_t sequence;
    uint64_t random;
};

static int32_t step_lossy(void *argument)
{
    struct lossy_reader *reader = argument;
    static uint64_t buffer[4 * MAX / 8];
    mapring_message messages[BATCH];
    int32_t count = mapring_receive(reader->consumer, buffer, sizeof buffer, messages, BATCH, 100 * MS);
    for (int32_t i = 0; i < count; i++)
        check_message(&messages[i], reader->sequence++, MAX);
    if (count != MAPRING_LAPPED)
        return count;
    mapring_consumer_progress progress = {.struct_size = sizeof progress};
    CHECK_STATUS(mapring_progress(reader->consumer, &progress), MAPRING_OK);
    add64(&shared->lost, progress.sequence - reader->sequence);
    reader->sequence = progress.sequence;
    return 0;
}

static void read_lossily(void *argument)
{
    const struct actor *actor = argument;
    mapring_consumer_options options = {.struct_size = sizeof options, .kind = MAPRING_LOSSY};
    mapring_consumer *consumer = open_kind(&options, MAPRING_OK);
    mapring_consumer_progress progress = {.struct_size = sizeof progress};
    CHECK_STATUS(mapring_progress(consumer, &progress), MAPRING_OK);
    struct lossy_reader reader = {consumer, progress.sequence, actor->seed};
    read_on(step_lossy, &reader);
    mapring_consumer_close(consumer);
}

static void start_actor(struct actor *actor, uint64_t *random)
{
    static void (*const runs[])(void *) = {produce, read_named, read_as_member, read_plainly, read_lossily};
    actor->seed = random_next(random);
    actor->pid = spawn(runs[actor->role], actor);
}

/* Until the reliable consumer is two laps on: then nobody, dead or alive, holds the ring. */
static int64_t await_recovery(uint64_t position, int64_t since)
{
    while (load64_acquire(&shared->position) < position + 2 * CAPACITY) {
        struct timespec pause = {.tv_nsec = 200000};
        nanosleep(&pause, NULL);
        CHECK(now_ns() - since < 20 * SECOND, "the stream stands still");
    }
    return now_ns() - since;
}

/* All slots can be had, so none is lost; all names can be ended. `keeper` has one, and is closed. */
static void check_slots(mapring_consumer *keeper)
{
    CHECK_STATUS(mapring_forget(RING, "group"), MAPRING_OK);
    CHECK_STATUS(mapring_forget(RING, "n0"), MAPRING_OK);
    CHECK_STATUS(mapring_forget(RING, "n1"), MAPRING_OK);
    mapring_consumer *consumers[SLOTS];
    for (uint32_t i = 1; i < SLOTS; i++) {
        mapring_consumer_options options = {.struct_size = sizeof options, .kind = MAPRING_LOSSY};
        consumers[i] = open_kind(&options, MAPRING_OK);
    }
    for (uint32_t i = 1; i < SLOTS; i++)
        mapring_consumer_close(consumers[i]);
    CHECK(stat_ring().consumers == 1 && stat_ring().groups == 0, "somebody is left");
    mapring_consumer_close(keeper);
}

static void kill_at_random(void)
{
    shared = shared_memory(sizeof *shared);
    fates = shared_memory(MESSAGES_MAX);
    struct gate attached = gate_new();
    mapring_producer *first = open_producer(CAPACITY, SLOTS);
    pid_t reliable = spawn(read_reliably, &attached);
    gate_pass(attached);
    /* So that the group begins with the first message. */
    mapring_consumer_options options = {.struct_size = sizeof options, .kind = MAPRING_MEMBER, .group = "group"};
    mapring_consumer_close(open_kind(&options, MAPRING_OK));
    mapring_producer_close(first);

    struct actor actors[] = {{.role = PRODUCER},
                             {.role = NAMED, .number = 0},
                             {.role = NAMED, .number = 1},
                             {.role = MEMBER},
                             {.role = MEMBER},
                             {.role = MEMBER},
                             {.role = PLAIN},
                             {.role = PLAIN},
                             {.role = LOSSY}};
    const uint64_t count = sizeof actors / sizeof actors[0];
    uint64_t random = (uint64_t)now_ns();
    printf("seed %" PRIu64 "\n", random);
    for (uint64_t i = 0; i < count; i++)
        start_actor(&actors[i], &random);

    uint64_t kills = 150 * test_length(), killed[ROLE_COUNT] = {0};
    int64_t longest = 0;
    enum role slowest = PRODUCER;
    for (uint64_t i = 0; i < kills; i++) {
        /* The producer is every third. Now and then before it has opened, or two at once. */
        uint64_t victim = random_next(&random) % 3 == 0 ? 0 : random_next(&random) % count;
        sleep_random(&random, random_next(&random) % 4 == 0 ? 500000 : 10000000);
        uint64_t position = load64_acquire(&shared->position);
        int64_t since = now_ns();
        kill_child(actors[victim].pid);
        killed[actors[victim].role]++;
        start_actor(&actors[victim], &random);
        if (random_next(&random) % 8 == 0)
            continue;
        int64_t taken = await_recovery(position, since);
        if (taken > longest) {
            longest = taken;
            slowest = actors[victim].role;
        }
    }
    await_recovery(load64_acquire(&shared->position), now_ns());
    mapring_consumer_options lossy = {.struct_size = sizeof lossy, .kind = MAPRING_LOSSY};
    mapring_consumer *keeper = open_kind(&lossy, MAPRING_OK);
    store64_release(&shared->ending, 1);
    for (uint64_t i = 0; i < count; i++)
        join(actors[i].pid);
    join(reliable);

    uint64_t messages = load64_acquire(&shared->committed);
    for (uint64_t sequence = 0; sequence < messages; sequence++)
        CHECK(fates[sequence] == (DELIVERED | RELEASING), "message %" PRIu64 " did not reach the group", sequence);
    CHECK(fates[messages] == 0, "a message too many");
    check_slots(keeper);
    printf("%" PRIu64 " kills:", kills);
    for (uint32_t i = 0; i < ROLE_COUNT; i++)
        printf(" %" PRIu64 " %s%s", killed[i], role_names[i], i + 1 < ROLE_COUNT ? "," : "\n");
    printf("%" PRIu64 " messages; %" PRIu64 " redelivered, %" PRIu64 " of them perhaps released before; %" PRIu64
           " lost by lossy ones\nlongest recovery %" PRId64 " ms (%s)\n",
           messages, load64_relaxed(&shared->redelivered), load64_relaxed(&shared->twice),
           load64_relaxed(&shared->lost), longest / MS, role_names[slowest]);
    CHECK(longest < SECOND, "a recovery took too long");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {{"kill_at_random", kill_at_random}};
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
