/*
 * A producer that does not wait: who is too slow is demoted or evicted under load, comes back, and is never handed a
 * message that is not what it says.
 */
#include <inttypes.h>
#include <stdio.h>

#include "atomic.h"
#include "traffic.h"

#define CAPACITY 16384u
#define MAX 512u
#define BATCH 16u
#define CONSUMERS 6u

struct account {
    uint64_t delivered;
    uint64_t lost;
    uint64_t torn;
    uint64_t notices;
    uint64_t laps;
};

static struct {
    shared64 published;
    struct account accounts[CONSUMERS];
} * shared;

static struct gate attached;

struct consumer {
    uint32_t number;
    uint32_t policy;
};

static mapring_consumer_progress progress_of(mapring_consumer *consumer)
{
    mapring_consumer_progress progress = {.struct_size = sizeof progress};
    CHECK_STATUS(mapring_progress(consumer, &progress), MAPRING_OK);
    return progress;
}

/* Whether the status is one that says that messages were lost or may be torn. */
static bool is_notice(int32_t status)
{
    return status == MAPRING_LAPPED || status == MAPRING_DEMOTED || status == MAPRING_EVICTED;
}

static void note(const struct consumer *self, mapring_consumer *consumer, int32_t status, uint64_t *random)
{
    struct account *account = &shared->accounts[self->number];
    account->laps += status == MAPRING_LAPPED;
    if (status == MAPRING_LAPPED) {
        CHECK(progress_of(consumer).kind == MAPRING_LOSSY, "lapped while it is waited for");
        if (random_next(random) % 8 == 0)
            CHECK_STATUS(mapring_rejoin(consumer), MAPRING_OK);
        return;
    }
    CHECK(status == (self->policy == MAPRING_SLOW_EVICT ? MAPRING_EVICTED : MAPRING_DEMOTED), "%s",
          mapring_status_name(status));
    account->notices++;
    if (status == MAPRING_EVICTED || random_next(random) % 2 == 0)
        CHECK_STATUS(mapring_rejoin(consumer), MAPRING_OK);
}

static void consume(void *argument)
{
    const struct consumer *self = argument;
    struct account *account = &shared->accounts[self->number];
    static uint64_t buffer[BATCH * (MAX + 8) / 8];
    char name[8] = {'n', (char)('0' + self->number)};
    mapring_consumer_options options = {.struct_size = sizeof options, .own_name = self->number % 3 == 0 ? name : NULL};
    mapring_consumer *consumer;
    CHECK_STATUS(mapring_consumer_open(RING, &options, &consumer), MAPRING_OK);
    gate_open(attached);
    uint64_t random = self->number, next = 0;
    for (;;) {
        mapring_message messages[BATCH];
        bool copy = random_next(&random) % 2 == 0;
        uint32_t max = 1 + (uint32_t)random_next(&random) % BATCH;
        int32_t status = copy ? mapring_receive(consumer, buffer, sizeof buffer, messages, max, 100 * MS)
                              : mapring_read(consumer, messages, max, 100 * MS);
        if (status == MAPRING_STREAM_ENDED)
            break;
        if (is_notice(status)) {
            note(self, consumer, status, &random);
            mapring_consumer_progress progress = progress_of(consumer);
            CHECK(progress.sequence - next == progress.lost_messages - account->lost,
                  "%" PRIu64 " lost, but %" PRIu64 " passed over", progress.lost_messages - account->lost,
                  progress.sequence - next);
            account->lost = progress.lost_messages;
            next = progress.sequence;
            continue;
        }
        CHECK(status >= 0, "reading: %s", mapring_status_name(status));
        if (random_next(&random) % 32 == 0)
            sleep_random(&random, 3000000);
        bool whole[BATCH];
        for (int32_t i = 0; i < status; i++) {
            CHECK(messages[i].sequence == next, "message %" PRIu64 " instead of %" PRIu64, messages[i].sequence, next);
            whole[i] = messages[i].length == message_length(next, MAX) && messages[i].tag == message_tag(next) &&
                       payload_matches(messages[i].data, messages[i].length, next);
            next++;
        }
        account->delivered += (uint64_t)status;
        int32_t released = copy ? MAPRING_OK : mapring_release(consumer, (uint32_t)status);
        for (int32_t i = 0; i < status && released == MAPRING_OK; i++)
            CHECK(whole[i], "message %" PRIu64 " is torn", messages[i].sequence);
        if (released != MAPRING_OK) {
            CHECK(is_notice(released), "releasing: %s", mapring_status_name(released));
            note(self, consumer, released, &random);
            mapring_consumer_progress progress = progress_of(consumer);
            CHECK(progress.sequence - next == progress.lost_messages - account->lost, "a wrong count after release");
            account->lost = progress.lost_messages;
            next = progress.sequence;
        }
    }
    account->torn = progress_of(consumer).torn_messages;
    CHECK(next == load64_acquire(&shared->published), "it ends at %" PRIu64 " of %" PRIu64, next,
          load64_acquire(&shared->published));
    mapring_consumer_close(consumer);
}

static void overrun(uint32_t policy)
{
    shared = shared_memory(sizeof *shared);
    attached = gate_new();
    mapring_producer_options options = {.struct_size = sizeof options,
                                        .capacity = CAPACITY,
                                        .max_consumers = CONSUMERS,
                                        .slow_policy = policy,
                                        .slow_ns = 200000};
    mapring_producer *producer;
    CHECK_STATUS(mapring_producer_open(RING, &options, &producer), 0);
    static struct consumer consumers[CONSUMERS];
    pid_t children[CONSUMERS];
    for (uint32_t i = 0; i < CONSUMERS; i++) {
        consumers[i] = (struct consumer){i, policy};
        children[i] = spawn(consume, &consumers[i]);
        gate_pass(attached);
    }
    uint64_t sequence = 0;
    for (int64_t end = now_ns() + 2 * SECOND * (int64_t)test_length(); sequence % 64 != 0 || now_ns() < end;)
        publish_message(producer, sequence++, MAX);
    store64_release(&shared->published, sequence);
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    for (uint32_t i = 0; i < CONSUMERS; i++)
        join(children[i]);
    struct account sum = {0};
    for (uint32_t i = 0; i < CONSUMERS; i++) {
        const struct account *account = &shared->accounts[i];
        CHECK(account->delivered + account->lost == sequence, "%" PRIu64 " and %" PRIu64 " of %" PRIu64,
              account->delivered, account->lost, sequence);
        sum.delivered += account->delivered;
        sum.lost += account->lost;
        sum.torn += account->torn;
        sum.notices += account->notices;
        sum.laps += account->laps;
    }
    mapring_ring_info info = stat_ring();
    CHECK(info.evictions + info.demotions >= sum.notices, "%" PRIu64 " let go, but %" PRIu64 " told",
          info.evictions + info.demotions, sum.notices);
    printf("%" PRIu64 " messages to %u: %" PRIu64 " delivered, %" PRIu64 " of them torn in their hands, %" PRIu64
           " lost; let go %" PRIu64 " times, lapped %" PRIu64 " times\n",
           sequence, CONSUMERS, sum.delivered, sum.torn, sum.lost, info.evictions + info.demotions, sum.laps);
    CHECK(sum.notices > 0 && sum.lost > 0, "nobody was too slow");
    mapring_producer_close(producer);
}

static void demoted(void)
{
    overrun(MAPRING_SLOW_DEMOTE);
}

static void evicted(void)
{
    overrun(MAPRING_SLOW_EVICT);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {{"demoted", demoted}, {"evicted", evicted}};
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
