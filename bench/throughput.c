#include <stdlib.h>

#include "bare.h"
#include "control.h"
#include "lines.h"
#include "rings.h"
#include "stream.h"
#include "work.h"

/* Fewer messages than this in a ring make it a hand-over, and it takes none longer than a quarter of it. */
#define MESSAGES_FEWEST 8u

/* The best of these is the limit: which one it is depends on where the processors are. */
void add_stream_limits(struct comparison *comparison, struct crew *crew)
{
    static const struct {
        const char *name;
        uint64_t chunk;
        unsigned part; /* of the capacity that the reader stays behind; 0: nothing */
        unsigned variant;
    } streams[] = {
        {"streamed copy, 1 KiB", 1024, 0, STREAM_WHOLE},
        {"1 KiB, 1/2 behind", 1024, 2, STREAM_WHOLE},
        {"4 KiB", 4096, 0, STREAM_WHOLE},
        {"4 KiB, 1/2 behind", 4096, 2, STREAM_WHOLE},
        {"16 KiB", 16384, 0, STREAM_WHOLE},
        {"16 KiB in pieces", 16384, 0, STREAM_PIECES},
        {"16 KiB in pieces, behind", 16384, 8, STREAM_PIECES},
    };
    for (unsigned i = 0; i < sizeof streams / sizeof *streams; i++) {
        if (streams[i].chunk * MESSAGES_FEWEST > comparison->capacity)
            continue;
        struct job job = {.driver = bare_stream_driver, .partner = bare_stream_partner, .size = streams[i].chunk};
        job.lag = streams[i].part == 0 ? 0 : comparison->capacity / streams[i].part;
        job.variant = streams[i].variant;
        comparison_add(comparison, streams[i].name, crew, job)->is_limit = true;
    }
    if (comparison->size != LINE_BYTES)
        return;
    struct job lines = {.driver = lines_driver, .partner = lines_partner};
    comparison_add(comparison, "lines", crew, lines)->is_limit = true;
    lines.lag = comparison->capacity / 2;
    comparison_add(comparison, "lines, 1/2 behind", crew, lines)->is_limit = true;
}

static struct crew *lossy_pair(const struct options *options, bool threads)
{
    static struct crew *crews[2];
    if (crews[threads] == NULL) {
        struct crew crew = rings_lossy(options->capacity);
        crew.threads = threads;
        crews[threads] = plan_crew(crew);
    }
    return crews[threads];
}

static struct comparison *compare_size(struct plan *plan, const struct options *options, struct crew *crew,
                                       const char *title, uint64_t size)
{
    struct comparison *comparison = plan_compare(plan, title, UNIT_RATE, size, options->capacity);
    if (size * MESSAGES_FEWEST > options->capacity) {
        comparison_add_absent(comparison, "mapring", "the ring is too small for such messages; see --capacity");
        return comparison;
    }
    comparison_add(comparison, "control ring", crew,
                   (struct job){.driver = control_driver, .partner = control_partner});
    struct subject *subject = comparison_add(comparison, "publish, read", crew,
                                             (struct job){.driver = stream_publish, .partner = stream_read});
    if (size == 64)
        subject->at_least = 1.5;
    comparison_add(comparison, "publish 16 at once, read", crew,
                   (struct job){.driver = stream_publish_batch, .partner = stream_read});
    comparison_add(comparison, "publish, receive", crew,
                   (struct job){.driver = stream_publish, .partner = stream_receive});
    comparison_add(comparison, "claim, read", crew, (struct job){.driver = stream_compose, .partner = stream_read});
    comparison_add(comparison, "publish, lossy read", lossy_pair(options, crew->threads),
                   (struct job){.driver = stream_publish, .partner = stream_read_lossy});
    add_stream_limits(comparison, crew);
    return comparison;
}

static void compare_sizes(struct plan *plan, const struct options *options, const uint64_t *sizes, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        compare_size(plan, options, plan_pair(options), "throughput, one consumer", sizes[i]);
}

void steer_throughput_plan(struct plan *plan, const struct options *options)
{
    static const uint64_t sizes[] = {8, 64, 512, 4096, 65536};
    if (options->size_count > 0)
        compare_sizes(plan, options, options->sizes, options->size_count);
    else
        compare_sizes(plan, options, sizes, sizeof sizes / sizeof *sizes);
}

static void compare_capacities(struct plan *plan, const struct options *options, uint64_t size)
{
    static const struct {
        const char *name;
        uint64_t capacity;
    } capacities[] = {{"64 KiB", 1 << 16}, {"256 KiB", 1 << 18}, {"1 MiB", 1 << 20},
                      {"4 MiB", 1 << 22},  {"16 MiB", 1 << 24},  {"64 MiB", 1 << 26}};
    struct comparison *comparison =
        plan_compare(plan, "throughput by capacity, publish and read", UNIT_RATE, size, options->capacity);
    comparison->axis = "capacity";
    struct job job = {.driver = stream_publish, .partner = stream_read};
    comparison_add(comparison, "as chosen", plan_pair(options), job)->x = options->capacity;
    for (unsigned i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        if (capacities[i].capacity == options->capacity || capacities[i].capacity < size * MESSAGES_FEWEST)
            continue;
        struct subject *subject =
            comparison_add(comparison, capacities[i].name, plan_crew(rings_pair(capacities[i].capacity)), job);
        subject->job.capacity = subject->x = capacities[i].capacity;
    }
}

static struct crew *thread_pair(const struct options *options)
{
    struct crew crew = rings_pair(options->capacity);
    crew.threads = true;
    return plan_crew(crew);
}

void throughput_plan(struct plan *plan, const struct options *options)
{
    static const uint64_t sizes[] = {8, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576};
    static const uint64_t few[] = {64, 4096};
    const uint64_t *chosen = options->size_count > 0 ? options->sizes : sizes;
    unsigned count = options->size_count > 0 ? options->size_count : sizeof sizes / sizeof *sizes;
    compare_sizes(plan, options, chosen, count);
    struct crew *threads = thread_pair(options);
    for (unsigned i = 0; i < sizeof few / sizeof *few && options->size_count == 0; i++) {
        compare_capacities(plan, options, few[i]);
        compare_size(plan, options, threads, "throughput, threads of one process", few[i]);
    }
}
