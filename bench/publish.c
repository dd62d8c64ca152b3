#include "bare.h"
#include "payload.h"
#include "rings.h"
#include "work.h"

#define BATCH 16u
#define SIZE_MAX_DEFAULT 4096u

static double bare(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    struct bare_buffer ring = bare_buffer(job->capacity);
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++)
        bare_copy(&ring, payload.sources, job->size);
    return (double)(now_ns() - begin) / (double)job->count;
}

static double single(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++)
        check(mapring_publish(rings.idle, payload.sources, job->size, 0, 0, WAIT_NS), "mapring_publish");
    return (double)(now_ns() - begin) / (double)job->count;
}

static double batched(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    mapring_message messages[BATCH];
    for (unsigned i = 0; i < BATCH; i++)
        messages[i] = (mapring_message){.data = payload.sources, .length = job->size};
    uint64_t published = 0;
    uint64_t begin = now_ns();
    while (published < job->count)
        published +=
            (uint64_t)check(mapring_publish_batch(rings.idle, messages, BATCH, WAIT_NS), "mapring_publish_batch");
    return (double)(now_ns() - begin) / (double)published;
}

static void compare_size(struct plan *plan, const struct options *options, uint64_t size)
{
    struct comparison *comparison = plan_compare(plan, "publish, no consumer", UNIT_TIME, size, options->capacity);
    struct crew *crew = plan_pair(options);
    comparison_add(comparison, "bare copy", crew, (struct job){.driver = bare})->is_limit = true;
    struct subject *subject = comparison_add(comparison, "publish", crew, (struct job){.driver = single});
    if (size <= SIZE_MAX_DEFAULT)
        subject->at_most = 1.25;
    subject = comparison_add(comparison, "publish, 16 at once", crew, (struct job){.driver = batched});
    if (size == 8)
        subject->at_most = 0.8;
}

void publish_plan(struct plan *plan, const struct options *options)
{
    static const uint64_t sizes[] = {8, 64, 256, 1024, SIZE_MAX_DEFAULT};
    if (options->size_count == 0)
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
            compare_size(plan, options, sizes[i]);
    for (unsigned i = 0; i < options->size_count; i++)
        compare_size(plan, options, options->sizes[i]);
}
