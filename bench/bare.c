#include "bare.h"

#include <string.h>

#include "atomic.h"
#include "payload.h"
#include "work.h"

/* Where a line lies decides which way it goes between the processors: bursts take turns on lines of many pages, as the
 * records of a ring do. */
#define LINE_PAIRS 1024u
#define PAGE 4096u
#define BURST 200u
#define PROBE_BURSTS 9u

struct line_pair {
    shared64 there;
    uint8_t unused0[120];
    shared64 back;
    uint8_t unused1[PAGE - 136];
};

struct stream_buffer {
    shared64 written; /* bytes, by the writer */
    uint8_t unused0[120];
    shared64 taken; /* bytes, by the reader */
    uint8_t unused1[120];
    _Alignas(4096) uint8_t data[];
};

static struct line_pair *pairs;
static struct stream_buffer *buffer;
static uint64_t capacity;
static uint64_t driver_turn, partner_turn; /* bursts so far; the same on both sides */

void bare_prepare(uint64_t buffer_capacity)
{
    capacity = buffer_capacity;
    pairs = pair_memory(LINE_PAIRS * sizeof *pairs);
    memset(pairs, 0, LINE_PAIRS * sizeof *pairs);
    buffer = pair_memory(sizeof *buffer + capacity);
}

/* The pair's words go on counting from burst to burst, so that none has to be reset. */
static void burst_driver(void)
{
    struct line_pair *pair = &pairs[driver_turn % LINE_PAIRS];
    uint64_t first = driver_turn / LINE_PAIRS * BURST;
    driver_turn++;
    for (uint64_t i = first + 1; i <= first + BURST; i++) {
        store64_release(&pair->there, i);        /* with the partner's load */
        while (load64_acquire(&pair->back) != i) /* with the partner's store */
            if (stopping())
                return;
    }
}

static void burst_partner(void)
{
    struct line_pair *pair = &pairs[partner_turn % LINE_PAIRS];
    uint64_t first = partner_turn / LINE_PAIRS * BURST;
    partner_turn++;
    for (uint64_t i = first + 1; i <= first + BURST; i++) {
        while (load64_acquire(&pair->there) != i) /* with the driver's store */
            if (stopping())
                return;
        store64_release(&pair->back, i); /* with the driver's load */
    }
}

double bare_probe_driver(void)
{
    double bursts[PROBE_BURSTS];
    for (unsigned i = 0; i < PROBE_BURSTS; i++) {
        uint64_t begin = now_ns();
        burst_driver();
        bursts[i] = (double)(now_ns() - begin) / BURST;
    }
    return summarise(bursts, PROBE_BURSTS).median;
}

void bare_probe_partner(void)
{
    for (unsigned i = 0; i < PROBE_BURSTS; i++)
        burst_partner();
}

double bare_pingpong_driver(const struct job *job)
{
    uint64_t bursts = job->count / BURST + 1;
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < bursts; i++)
        burst_driver();
    return (double)(now_ns() - begin) / (double)(bursts * BURST);
}

void bare_pingpong_partner(const struct job *job)
{
    uint64_t bursts = job->count / BURST + 1;
    for (uint64_t i = 0; i < bursts; i++)
        burst_partner();
}

/* Both sides go on where the last job ended, at a place where no chunk reaches beyond the end. */
static uint64_t first_position(const struct job *job)
{
    return (load64_relaxed(&buffer->taken) + job->size - 1) / job->size * job->size;
}

double bare_stream_driver(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t written = first_position(job), taken = written;
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        while (written + job->size - taken > capacity) {
            if (stopping())
                return 0;
            spin_pause();
            taken = load64_acquire(&buffer->taken); /* with the reader's store: it has read them */
        }
        memcpy(buffer->data + (written & (capacity - 1)), payload_source(&payload, i), job->size);
        payload_sent(&payload, i);
        written += job->size;
        store64_release(&buffer->written, written); /* with the reader's load */
    }
    return (double)(pair_await_done() - begin) / (double)job->count;
}

void bare_stream_partner(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t taken = first_position(job), written = taken;
    uint64_t end = taken + job->count * job->size;
    for (uint64_t i = 0; i < job->count; i++) {
        uint64_t wanted = taken + job->size + job->distance < end ? taken + job->size + job->distance : end;
        while (written < wanted) {
            if (stopping())
                return;
            spin_pause();
            written = load64_acquire(&buffer->written); /* with the writer's store */
        }
        if (!payload_is(&payload, buffer->data + (taken & (capacity - 1)), job->size, i))
            fail("streamed copy: a wrong byte in chunk %llu", (unsigned long long)i);
        taken += job->size;
        store64_release(&buffer->taken, taken); /* with the writer's load */
    }
    pair_done(now_ns());
}

struct bare_buffer bare_buffer(void)
{
    return (struct bare_buffer){.data = buffer->data, .capacity = capacity};
}

void bare_copy(struct bare_buffer *bare, const void *bytes, uint64_t length)
{
    if (bare->offset + length > bare->capacity)
        bare->offset = 0;
    memcpy(bare->data + bare->offset, bytes, length);
    bare->offset += length;
}

static void compare_chunk(struct plan *plan, const struct options *options, uint64_t chunk)
{
    static const char *const names[] = {"at once", "1/8 behind", "1/2 behind"};
    struct comparison *comparison = plan_compare(plan, "streamed copy, reader close and behind", UNIT_RATE, chunk);
    for (unsigned i = 0; i < 3; i++) {
        struct job job = {.driver = bare_stream_driver, .partner = bare_stream_partner, .size = chunk};
        job.distance = i == 0 ? 0 : i == 1 ? options->capacity / 8 : options->capacity / 2;
        comparison_add(comparison, names[i], job);
    }
}

void limits_plan(struct plan *plan, const struct options *options)
{
    static const uint64_t chunks[] = {1024, 4096, 16384, 65536};
    struct comparison *lines = plan_compare(plan, "round trip of a cache line", UNIT_TIME, 8);
    comparison_add(lines, "two cache lines",
                   (struct job){.driver = bare_pingpong_driver, .partner = bare_pingpong_partner, .size = 8});
    for (unsigned i = 0; i < sizeof chunks / sizeof *chunks; i++)
        if (chunks[i] * 4 <= options->capacity)
            compare_chunk(plan, options, chunks[i]);
}
