/*
 * 64 consumers of every kind on one ring, under load: all counts add up exactly.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "atomic.h"
#include "traffic.h"

#define CAPACITY (1u << 18)
#define MAX 1024u
#define BATCH 32u
#define CONSUMERS 64u
#define GROUPS 3u
#define NO_GROUP GROUPS

enum kind { RELIABLE, NAMED, LOSSY, OBSERVER, MEMBER, KIND_COUNT };
static const char *const kind_names[] = {"reliable", "named", "lossy", "observers", "members"};
/* 16 reliable ones, 8 of them named; 12 lossy, 8 observers, 28 members. */
static const uint32_t kind_ends[] = {8, 16, 28, 36, 64};

/* What a consumer has had, in memory that outlives it. */
struct account {
    uint64_t delivered;
    uint64_t lost;
    uint64_t torn;
    uint64_t redelivered;
    uint64_t started; /* the first message that it could have had */
};

static struct {
    shared64 ending;
    shared64 published;
    shared64 wanted; /* of those published, that the filters ask for */
    struct account accounts[CONSUMERS];
} * shared;

static struct gate attached;

struct consumer {
    uint32_t number;
    enum kind kind;
    uint32_t group;
    bool filters;
    bool dawdles; /* sleeps now and then, so that it is lapped if it can be */
    bool copies;
};

static struct consumer consumer_of(uint32_t number)
{
    struct consumer consumer = {.number = number, .group = NO_GROUP};
    while (number >= kind_ends[consumer.kind])
        consumer.kind++;
    if (consumer.kind == MEMBER)
        consumer.group = number % GROUPS;
    /* The members of a group filter alike. */
    consumer.filters = consumer.kind == MEMBER ? consumer.group == 0 : consumer.kind <= NAMED && number % 4 == 1;
    consumer.dawdles = number % 3 == 0;
    consumer.copies = number % 2 == 0;
    return consumer;
}

static bool is_wanted(uint64_t sequence)
{
    return (message_tag(sequence) & 3) == 2;
}

static mapring_consumer *open_as(const struct consumer *consumer)
{
    static const uint32_t kinds[] = {MAPRING_RELIABLE, MAPRING_RELIABLE, MAPRING_LOSSY, MAPRING_OBSERVER,
                                     MAPRING_MEMBER};
    char name[16], group[16];
    snprintf(name, sizeof name, "named-%u", consumer->number);
    snprintf(group, sizeof group, "group-%u", consumer->group);
    mapring_consumer_options options = {
        .struct_size = sizeof options,
        .kind = kinds[consumer->kind],
        .tag_mask = consumer->filters ? 3 : 0,
        .tag_value = consumer->filters ? 2 : 0,
        .own_name = consumer->kind == NAMED ? name : NULL,
        .group = consumer->kind == MEMBER ? group : NULL,
    };
    mapring_consumer *opened;
    int32_t status = mapring_consumer_open(RING, &options, &opened);
    CHECK(status == MAPRING_OK || (status == MAPRING_RESUMED && consumer->kind == MEMBER), "opening: %s",
          mapring_status_name(status));
    return opened;
}

static mapring_consumer_progress progress_of(mapring_consumer *consumer)
{
    mapring_consumer_progress progress = {.struct_size = sizeof progress};
    CHECK_STATUS(mapring_progress(consumer, &progress), MAPRING_OK);
    return progress;
}

/* In place what it reads may tear while it is looked at; then the release says so, and nothing of it counts. */
static void read_once(const struct consumer *self, mapring_consumer *consumer, uint64_t *next, int32_t *status)
{
    static uint64_t buffer[BATCH * (MAX + 8) / 8];
    mapring_message messages[BATCH];
    struct account *account = &shared->accounts[self->number];
    bool lossy = self->kind == LOSSY || self->kind == OBSERVER;
    *status = self->copies ? mapring_receive(consumer, buffer, sizeof buffer, messages, BATCH, 100 * MS)
                           : mapring_read(consumer, messages, BATCH, 100 * MS);
    if (*status == MAPRING_LAPPED && lossy) {
        *next = progress_of(consumer).sequence;
        *status = 0;
    }
    if (*status <= 0)
        return;
    uint32_t count = (uint32_t)*status;
    bool whole[BATCH];
    for (uint32_t i = 0; i < count; i++) {
        uint64_t sequence = messages[i].sequence;
        if (self->kind == MEMBER)
            CHECK(messages[i].flags == 0, "redelivered, though nobody left");
        else if (!self->filters)
            CHECK(sequence == (*next)++, "message %" PRIu64 " instead of %" PRIu64, sequence, *next - 1);
        CHECK(!self->filters || is_wanted(sequence), "message %" PRIu64 " was not asked for", sequence);
        whole[i] = messages[i].length == message_length(sequence, MAX) && messages[i].tag == message_tag(sequence) &&
                   payload_matches(messages[i].data, messages[i].length, sequence);
    }
    int32_t released = self->copies ? MAPRING_OK : mapring_release(consumer, count);
    CHECK(released == MAPRING_OK || (lossy && released == MAPRING_LAPPED), "releasing: %s",
          mapring_status_name(released));
    account->delivered += count;
    for (uint32_t i = 0; i < count && released == MAPRING_OK; i++)
        CHECK(whole[i], "message %" PRIu64 " is torn or another", messages[i].sequence);
}

static void consume(void *argument)
{
    const struct consumer *self = argument;
    struct account *account = &shared->accounts[self->number];
    mapring_consumer *consumer = open_as(self);
    uint64_t next = progress_of(consumer).sequence;
    account->started = next;
    uint64_t random = self->number;
    gate_open(attached);
    int32_t status;
    do {
        read_once(self, consumer, &next, &status);
        CHECK(status >= 0 || status == MAPRING_STREAM_ENDED, "reading: %s", mapring_status_name(status));
        if (self->dawdles && random_next(&random) % 64 == 0)
            sleep_random(&random, self->kind == LOSSY || self->kind == OBSERVER ? 50000000 : 1000000);
    } while (status != MAPRING_STREAM_ENDED);
    mapring_consumer_progress progress = progress_of(consumer);
    account->lost = progress.lost_messages;
    account->torn = progress.torn_messages;
    account->redelivered = progress.redelivered;
    mapring_consumer_close(consumer);
}

static void produce(mapring_producer *producer, int64_t duration)
{
    int64_t end = now_ns() + duration;
    uint64_t sequence = 0, wanted = 0;
    while (sequence % 64 != 0 || now_ns() < end) {
        wanted += is_wanted(sequence);
        publish_message(producer, sequence++, MAX);
    }
    store64_relaxed(&shared->published, sequence);
    store64_relaxed(&shared->wanted, wanted);
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
}

static void check_accounts(void)
{
    uint64_t published = load64_relaxed(&shared->published), wanted = load64_relaxed(&shared->wanted);
    uint64_t delivered[KIND_COUNT] = {0}, lost[KIND_COUNT] = {0}, groups[GROUPS] = {0}, torn = 0;
    for (uint32_t i = 0; i < CONSUMERS; i++) {
        struct consumer consumer = consumer_of(i);
        const struct account *account = &shared->accounts[i];
        CHECK(account->started == 0 && account->redelivered == 0, "consumer %u", i);
        if (consumer.kind == MEMBER)
            groups[consumer.group] += account->delivered;
        else
            CHECK(account->delivered + account->lost == (consumer.filters ? wanted : published),
                  "consumer %u (%s): %" PRIu64 " delivered, %" PRIu64 " lost of %" PRIu64, i, kind_names[consumer.kind],
                  account->delivered, account->lost, published);
        CHECK(consumer.kind == LOSSY || consumer.kind == OBSERVER || account->lost + account->torn == 0,
              "consumer %u lost something", i);
        delivered[consumer.kind] += account->delivered;
        lost[consumer.kind] += account->lost;
        torn += account->torn;
    }
    for (uint32_t i = 0; i < GROUPS; i++)
        CHECK(groups[i] == (i == 0 ? wanted : published), "group %u: %" PRIu64 " of %" PRIu64, i, groups[i],
              i == 0 ? wanted : published);
    printf("%" PRIu64 " messages; delivered:", published);
    for (uint32_t i = 0; i < KIND_COUNT; i++)
        printf(" %" PRIu64 " to %s%s", delivered[i], kind_names[i], i + 1 < KIND_COUNT ? "," : "\n");
    printf("lost: %" PRIu64 " by lossy ones, %" PRIu64 " by observers; %" PRIu64 " torn in their hands\n", lost[LOSSY],
           lost[OBSERVER], torn);
    CHECK(lost[LOSSY] > 0 && lost[OBSERVER] > 0, "nobody was lapped");
}

static void all_counts_add_up(void)
{
    shared = shared_memory(sizeof *shared);
    attached = gate_new();
    mapring_producer *producer = open_producer(CAPACITY, CONSUMERS);
    pid_t children[CONSUMERS];
    static struct consumer consumers[CONSUMERS];
    for (uint32_t i = 0; i < CONSUMERS; i++) {
        consumers[i] = consumer_of(i);
        children[i] = spawn(consume, &consumers[i]);
    }
    for (uint32_t i = 0; i < CONSUMERS; i++)
        gate_pass(attached);
    CHECK(stat_ring().consumers == CONSUMERS - (kind_ends[OBSERVER] - kind_ends[LOSSY]), "%u consumers",
          stat_ring().consumers);
    CHECK(stat_ring().groups == GROUPS, "%u groups", stat_ring().groups);
    produce(producer, 5 * SECOND * (int64_t)test_length());
    for (uint32_t i = 0; i < CONSUMERS; i++)
        join(children[i]);
    check_accounts();
    mapring_ring_info info = stat_ring();
    CHECK(info.consumers == kind_ends[NAMED] - kind_ends[RELIABLE], "%u consumers are left", info.consumers);
    CHECK(info.evictions == 0 && info.demotions == 0, "somebody was let go");
    mapring_producer_close(producer);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {{"all_counts_add_up", all_counts_add_up}};
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
