#include "bare.h"
#include "control.h"
#include "payload.h"
#include "rings.h"
#include "work.h"

#include <stdlib.h>

#define BATCH 16u
#define STREAM_CHUNK 4096u
#define RECEIVE_BYTES 65536u

/* What the partner does with the messages. */
enum { READ_IN_PLACE, RECEIVE_COPIES };

static uint8_t *copies; /* the partner's, for what it receives */

/* Room may be long in coming when the consumer's processor is taken away: only then is there time to look whether
 * everything is to end. */
static bool again(int32_t status)
{
    return status == MAPRING_FULL && !stopping();
}

static double per_message(const struct job *job, uint64_t begin)
{
    return (double)(pair_await_done() - begin) / (double)job->count;
}

static double publish(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        int32_t status;
        do
            status = mapring_publish(rings.sent, payload_source(&payload, i), job->size, 0, 0, WAIT_NS);
        while (again(status));
        if (status == MAPRING_FULL)
            return 0;
        check(status, "mapring_publish");
        payload_sent(&payload, i);
    }
    return per_message(job, begin);
}

static double publish_batch(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    mapring_message messages[BATCH];
    /* As many as are ready: a large message has one source only. */
    uint64_t step = payload.mask + 1 < BATCH ? payload.mask + 1 : BATCH;
    uint64_t begin = now_ns();
    for (uint64_t sent = 0; sent < job->count;) {
        uint64_t count = job->count - sent < step ? job->count - sent : step;
        for (uint64_t i = 0; i < count; i++)
            messages[i] = (mapring_message){.data = payload_source(&payload, sent + i), .length = job->size};
        int32_t status;
        do
            status = mapring_publish_batch(rings.sent, messages, (uint32_t)count, WAIT_NS);
        while (again(status));
        if (status == MAPRING_FULL)
            return 0;
        for (int32_t i = check(status, "mapring_publish_batch"); i > 0; i--)
            payload_sent(&payload, sent++);
    }
    return per_message(job, begin);
}

static double compose(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        void *room;
        int32_t status;
        do
            status = mapring_claim(rings.sent, job->size, WAIT_NS, &room);
        while (again(status));
        if (status == MAPRING_FULL)
            return 0;
        check(status, "mapring_claim");
        payload_compose(&payload, room, i);
        check(mapring_commit(rings.sent, job->size, 0, 0), "mapring_commit");
    }
    return per_message(job, begin);
}

static void verify(const struct payload *payload, const mapring_message *messages, int32_t count, uint64_t first)
{
    for (int32_t i = 0; i < count; i++)
        if (!payload_is(payload, messages[i].data, messages[i].length, first + (uint64_t)i))
            fail("throughput: a wrong byte in message %llu", (unsigned long long)first + (unsigned long long)i);
}

static int32_t take_in_place(const struct payload *payload, uint64_t first, uint32_t batch)
{
    mapring_message messages[READ_BATCH];
    int32_t count = check(mapring_read(rings.got, messages, batch, WAIT_NS), "mapring_read");
    verify(payload, messages, count, first);
    check(mapring_release(rings.got, (uint32_t)count), "mapring_release");
    return count;
}

static int32_t take_copies(const struct payload *payload, uint64_t first, uint32_t batch)
{
    mapring_message messages[READ_BATCH];
    int32_t count =
        check(mapring_receive(rings.got, copies, RECEIVE_BYTES, messages, batch, WAIT_NS), "mapring_receive");
    verify(payload, messages, count, first);
    return count;
}

static void partner(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    if (copies == NULL && (copies = aligned_alloc(4096, RECEIVE_BYTES)) == NULL)
        fail("no memory for %u bytes of received messages", RECEIVE_BYTES);
    uint32_t batch = read_batch(rings_capacity(), job->size);
    uint64_t received = 0;
    while (received < job->count) {
        int32_t count = job->variant == RECEIVE_COPIES ? take_copies(&payload, received, batch)
                                                       : take_in_place(&payload, received, batch);
        if (count == 0 && stopping())
            return;
        received += (uint64_t)count;
    }
    pair_done(now_ns());
}

static void compare_size(struct plan *plan, uint64_t size)
{
    struct comparison *comparison = plan_compare(plan, "throughput, one consumer", UNIT_RATE, size);
    comparison_add(comparison, "control ring",
                   (struct job){.driver = control_driver, .partner = control_partner, .size = size});
    struct subject *subject =
        comparison_add(comparison, "publish, read", (struct job){.driver = publish, .partner = partner, .size = size});
    if (size == 64)
        subject->at_least = 1.5;
    comparison_add(comparison, "publish 16 at once, read",
                   (struct job){.driver = publish_batch, .partner = partner, .size = size});
    comparison_add(comparison, "publish, receive",
                   (struct job){.driver = publish, .partner = partner, .size = size, .variant = RECEIVE_COPIES});
    comparison_add(comparison, "claim, read", (struct job){.driver = compose, .partner = partner, .size = size});
    comparison_add(comparison, "streamed copy",
                   (struct job){.driver = bare_stream_driver, .partner = bare_stream_partner, .size = STREAM_CHUNK});
}

void throughput_plan(struct plan *plan, const struct options *options)
{
    static const uint64_t sizes[] = {8, 64, 512, 4096, 65536};
    if (options->size_count == 0)
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
            compare_size(plan, sizes[i]);
    for (unsigned i = 0; i < options->size_count; i++)
        compare_size(plan, options->sizes[i]);
}
