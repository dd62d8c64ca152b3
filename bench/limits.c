#include <stdlib.h>
#include <string.h>

#include "asleep.h"
#include "bare.h"
#include "lines.h"
#include "work.h"

#define COPY_BLOCK ((uint64_t)64 << 10)

/* From one private buffer into another, both of the capacity, in one block after the other. */
static double private_copy(const struct job *job)
{
    uint64_t block = job->size < job->capacity ? job->size : job->capacity;
    uint8_t *from = aligned_alloc(4096, job->capacity), *to = aligned_alloc(4096, job->capacity);
    if (from == NULL || to == NULL)
        unable("no memory for two buffers of %llu bytes", (unsigned long long)job->capacity);
    memset(from, 1, job->capacity);
    memset(to, 0, job->capacity);
    uint64_t begin = now_ns(), offset = 0;
    for (uint64_t i = 0; i < job->count; i++) {
        memcpy(to + offset, from + offset, block);
        /* Somebody may look: the copy is made. */
        __asm__ __volatile__("" : : "r"(to) : "memory");
        offset = offset + 2 * block <= job->capacity ? offset + block : 0;
    }
    uint64_t end = now_ns();
    free(from);
    free(to);
    return (double)(end - begin) / (double)job->count;
}

static double clock_reading(const struct job *job)
{
    uint64_t begin = now_ns(), last = begin;
    for (uint64_t i = 0; i < job->count; i++)
        last = now_ns();
    return (double)(last - begin) / (double)job->count;
}

static void add_round_trips(struct plan *plan, const struct options *options, struct crew *crew)
{
    struct comparison *trips = plan_compare(plan, "round trip", UNIT_TIME, 8, options->capacity);
    comparison_add(trips, "two cache lines", crew,
                   (struct job){.driver = bare_pingpong_driver, .partner = bare_pingpong_partner});
    comparison_add(trips, "futex, both sleep", crew,
                   (struct job){.driver = futex_pingpong_driver, .partner = futex_pingpong_partner, .waits = true});
    comparison_add(trips, "eventfd, both sleep", crew,
                   (struct job){.driver = eventfd_pingpong_driver, .partner = eventfd_pingpong_partner, .waits = true});
}

/* The limit is the best of all these: where a reader does best depends on the caches. */
static void add_streams(struct plan *plan, struct crew *crew, uint64_t capacity)
{
    static const struct {
        const char *name;
        uint64_t chunk;
        unsigned part; /* of the capacity that the reader stays behind; 0: nothing */
        unsigned variant;
    } streams[] = {
        {"1 KiB, at once", 1024, 0},
        {"1 KiB, 1/2 behind", 1024, 2},
        {"4 KiB, at once", 4096, 0},
        {"4 KiB, 1/8 behind", 4096, 8},
        {"4 KiB, 1/2 behind", 4096, 2},
        {"16 KiB, at once", 16384, 0},
        {"16 KiB, 1/8 behind", 16384, 8},
        {"16 KiB, 1/2 behind", 16384, 2},
        {"64 KiB, at once", 65536, 0},
        {"64 KiB, 1/8 behind", 65536, 8},
        {"64 KiB, 1/2 behind", 65536, 2},
        {"16 KiB in pieces of 1 KiB", 16384, 0, STREAM_PIECES},
        {"64 KiB in pieces of 1 KiB", 65536, 0, STREAM_PIECES},
        {"64 KiB in pieces, 1/8 behind", 65536, 8, STREAM_PIECES},
    };
    struct comparison *comparison = plan_compare(plan, "streamed copy by capacity", UNIT_RATE, capacity, capacity);
    comparison->note = "chunks, and how far the reader stays behind; every byte is read; lines: 64 B each";
    for (unsigned i = 0; i < sizeof streams / sizeof *streams; i++) {
        if (streams[i].chunk * 8 > capacity)
            continue;
        struct job job = {.driver = bare_stream_driver, .partner = bare_stream_partner, .size = streams[i].chunk};
        job.lag = streams[i].part == 0 ? 0 : capacity / streams[i].part;
        job.variant = streams[i].variant;
        comparison_add(comparison, streams[i].name, crew, job)->is_limit = true;
    }
    struct job lines = {.driver = lines_driver, .partner = lines_partner, .size = LINE_BYTES};
    comparison_add(comparison, "lines, at once", crew, lines)->is_limit = true;
    lines.lag = capacity / 2;
    comparison_add(comparison, "lines, 1/2 behind", crew, lines)->is_limit = true;
}

static void add_copies(struct plan *plan, struct crew *crew)
{
    static const struct {
        const char *name;
        uint64_t capacity;
    } buffers[] = {
        {"two of 16 KiB", 1 << 14}, {"two of 256 KiB", 1 << 18}, {"two of 4 MiB", 1 << 22}, {"two of 64 MiB", 1 << 26}};
    struct comparison *comparison = plan_compare(plan, "memcpy(), private buffers", UNIT_RATE, COPY_BLOCK, 1 << 14);
    comparison->note = "one processor alone, in blocks of at most 64 KiB";
    for (unsigned i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        struct job job = {.driver = private_copy};
        job.size = buffers[i].capacity < COPY_BLOCK ? buffers[i].capacity : COPY_BLOCK;
        comparison_add(comparison, buffers[i].name, crew, job)->job.capacity = buffers[i].capacity;
    }
}

void limits_plan(struct plan *plan, const struct options *options)
{
    static const uint64_t capacities[] = {1 << 18, 1 << 20, 1 << 22, 1 << 23, 1 << 25};
    struct crew *crew = plan_crew((struct crew){.members = is_alone(options) ? 1 : 2, .resident = true});
    if (!is_alone(options)) {
        add_round_trips(plan, options, crew);
        for (unsigned i = 0; i < sizeof capacities / sizeof *capacities; i++)
            add_streams(plan, crew, capacities[i]);
    }
    add_copies(plan, crew);
    struct comparison *clock = plan_compare(plan, "the clock", UNIT_TIME, 0, options->capacity);
    comparison_add(clock, "one reading", crew, (struct job){.driver = clock_reading});
}
