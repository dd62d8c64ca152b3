#include "pingpong.h"

#include "bare.h"
#include "payload.h"
#include "rings.h"
#include "work.h"

static void send(const struct payload *payload, uint64_t sequence)
{
    check(mapring_publish(rings.sent, payload_source(payload, sequence), payload->words * 8, 0, 0, WAIT_NS),
          "mapring_publish");
    payload_sent(payload, sequence);
}

static int64_t timeout_of(const struct job *job)
{
    return job->variant == PINGPONG_SLEEPING ? WAIT_NS : 0;
}

/* False when everything is to end. Who answers quickly releases afterwards. */
static bool await(const struct payload *payload, uint64_t sequence, int64_t timeout_ns)
{
    mapring_message message;
    while (check(mapring_read(rings.got, &message, 1, timeout_ns), "mapring_read") == 0)
        if (stopping())
            return false;
    if (!payload_is(payload, message.data, message.length, sequence))
        fail("ping-pong: a wrong byte in message %llu", (unsigned long long)sequence);
    return true;
}

double pingpong_driver(const struct job *job)
{
    struct payload payload;
    int64_t timeout_ns = timeout_of(job);
    payload_prepare(&payload, job->size);
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        send(&payload, i);
        if (!await(&payload, i, timeout_ns))
            return 0;
        check(mapring_release(rings.got, 1), "mapring_release");
    }
    return (double)(now_ns() - begin) / (double)job->count;
}

double pingpong_timed_driver(const struct job *job)
{
    struct payload payload;
    struct histogram *histogram = crew_histogram();
    int64_t timeout_ns = timeout_of(job);
    payload_prepare(&payload, job->size);
    uint64_t before = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        send(&payload, i);
        if (!await(&payload, i, timeout_ns))
            return 0;
        check(mapring_release(rings.got, 1), "mapring_release");
        uint64_t now = now_ns();
        histogram_record(histogram, now - before);
        before = now;
    }
    return histogram_quantile(histogram, 0.5);
}

void pingpong_partner(const struct job *job)
{
    struct payload payload;
    int64_t timeout_ns = timeout_of(job);
    payload_prepare(&payload, job->size);
    for (uint64_t i = 0; i < job->count && await(&payload, i, timeout_ns); i++) {
        send(&payload, i);
        check(mapring_release(rings.got, 1), "mapring_release");
    }
}

void pingpong_plan(struct plan *plan, const struct options *options)
{
    static const uint64_t sizes[] = {8, 64};
    const uint64_t *chosen = options->size_count > 0 ? options->sizes : sizes;
    unsigned count = options->size_count > 0 ? options->size_count : sizeof sizes / sizeof *sizes;
    for (unsigned i = 0; i < count; i++) {
        struct comparison *comparison =
            plan_compare(plan, "ping-pong round trip", UNIT_TIME, chosen[i], options->capacity);
        comparison_add(comparison, "two cache lines", plan_pair(options),
                       (struct job){.driver = bare_pingpong_driver, .partner = bare_pingpong_partner, .size = 8})
            ->is_limit = true;
        struct subject *subject = comparison_add(comparison, "mapring", plan_pair(options),
                                                 (struct job){.driver = pingpong_driver, .partner = pingpong_partner});
        if (chosen[i] <= 64)
            subject->at_most = 1.1;
        if (chosen[i] + 8 <= 64 || chosen[i] > 64)
            continue;
        comparison_add(
            comparison, "two lines each way", plan_pair(options),
            (struct job){
                .driver = bare_pingpong_driver, .partner = bare_pingpong_partner, .size = 8, .variant = LINES_TWO});
    }
}
