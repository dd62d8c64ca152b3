/*
 * What attached consumers cost the producer that they do not compete with for a processor: a
 * partner holds them all, and polls each once between the bursts that are timed. With fewer consumers there are as many
 * more observers, whom the producer does not know of: so the bytes travel equally often in every case.
 */
#include <stdlib.h>

#include "payload.h"
#include "rings.h"
#include "work.h"

#define CONSUMERS_MAX 64u
#define SIZE 64u
#define READ_AT_ONCE 256u

static _Thread_local mapring_producer *producer;
static _Thread_local mapring_consumer *readers[CONSUMERS_MAX]; /* consumers first, then observers */

static unsigned attached(const struct crew *crew)
{
    return *(const unsigned *)crew->context;
}

static void open_producer(const struct crew *crew, const char *name)
{
    mapring_producer_options options = {
        .struct_size = sizeof options, .capacity = crew->capacity, .max_consumers = CONSUMERS_MAX};
    check_able(mapring_producer_open(name, &options, &producer), "mapring_producer_open");
    check(mapring_wait_consumers(producer, attached(crew), 60 * (int64_t)1000000000), "mapring_wait_consumers");
}

static mapring_consumer *open_consumer(const char *name, uint32_t kind)
{
    mapring_consumer *consumer;
    mapring_consumer_options options = {
        .struct_size = sizeof options, .kind = kind, .timeout_ns = 20 * (int64_t)1000000000};
    check_able(mapring_consumer_open(name, &options, &consumer), "mapring_consumer_open");
    return consumer;
}

static void open_member(const struct crew *crew, unsigned member)
{
    char name[RING_NAME_BYTES];
    rings_name(name, crew, "attached");
    if (member == 0) {
        open_producer(crew, name);
        return;
    }
    for (unsigned i = 0; i < CONSUMERS_MAX; i++)
        readers[i] = open_consumer(name, i < attached(crew) ? MAPRING_RELIABLE : MAPRING_OBSERVER);
}

static void close_member(const struct crew *crew, unsigned member)
{
    (void)crew, (void)member;
    mapring_producer_close(producer);
    for (unsigned i = 0; i < CONSUMERS_MAX; i++)
        mapring_consumer_close(readers[i]);
}

static uint64_t burst_of(const struct job *job)
{
    return job->capacity / 2 / (job->size + 16);
}

static bool await_word(unsigned member, uint64_t wanted)
{
    while (load64_acquire(&crew_words(member)[WORD_COUNT]) < wanted) {
        if (stopping())
            return false;
        spin_pause();
    }
    return true;
}

static double publish_bursts(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t spent = 0, bursts = 0;
    for (uint64_t sent = 0; sent < job->count; bursts++) {
        uint64_t left = job->count - sent, burst = left < burst_of(job) ? left : burst_of(job);
        uint64_t begin = now_ns();
        for (uint64_t i = 0; i < burst; i++)
            check(mapring_publish(producer, payload.sources, job->size, 0, 0, 0), "mapring_publish");
        spent += now_ns() - begin;
        sent += burst;
        store64_release(&crew_words(0)[WORD_COUNT], sent);
        if (!await_word(1, sent))
            return 0;
    }
    return (double)spent / (double)job->count;
}

/* Everything that there is. */
static uint64_t poll(mapring_consumer *consumer)
{
    mapring_message messages[READ_AT_ONCE];
    uint64_t total = 0;
    for (;;) {
        int32_t count = mapring_read(consumer, messages, READ_AT_ONCE, 0);
        if (check(count, "mapring_read") == 0)
            return total;
        for (int32_t i = 0; i < count; i++)
            if (messages[i].length == 0)
                fail("attached: a wrong message");
        total += (uint64_t)count;
        check(mapring_release(consumer, (uint32_t)count), "mapring_release");
    }
}

static void poll_all(const struct job *job)
{
    for (uint64_t got = 0; got < job->count;) {
        uint64_t left = job->count - got, burst = left < burst_of(job) ? left : burst_of(job);
        got += burst;
        if (!await_word(0, got))
            return;
        for (unsigned i = 0; i < CONSUMERS_MAX; i++)
            if (poll(readers[i]) != burst)
                fail("attached: a reader missed messages");
        store64_release(&crew_words(1)[WORD_COUNT], got);
    }
}

void attached_plan(struct plan *plan, const struct options *options)
{
    static const unsigned usual[] = {0, 1, 16, 64};
    static const char *const names[] = {"none", "1 consumer", "16 consumers", "64 consumers"};
    uint64_t size = options->size_count > 0 ? options->sizes[0] : SIZE;
    struct comparison *comparison =
        plan_compare(plan, "publish, consumers attached", UNIT_TIME, size, options->capacity);
    comparison->note = "in bursts; another process holds the consumers, and each reads once between them";
    for (unsigned i = 0; i < sizeof usual / sizeof *usual; i++) {
        struct crew *crew = plan_crew((struct crew){.members = 2,
                                                    .capacity = options->capacity,
                                                    .context = &usual[i],
                                                    .open = open_member,
                                                    .close = close_member,
                                                    .clear = rings_sweep});
        struct subject *subject =
            comparison_add(comparison, names[i], crew, (struct job){.driver = publish_bursts, .partner = poll_all});
        if (i > 0)
            subject->at_most = 1.05;
    }
}
