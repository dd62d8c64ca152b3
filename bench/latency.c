#include "bare.h"
#include "lines.h"
#include "payload.h"
#include "pingpong.h"
#include "rings.h"
#include "stream.h"
#include "work.h"

#define SIZE 64u

/* Without a pace, the clock is read once for so many messages, as often as a paced sender comes to it. */
#define CLOCK_EVERY 16u

enum { MEASURE_RATE, MEASURE_LATENCY };

/*
 * A message says when it was to be sent, by a schedule that does not wait for anybody: if the
 * sender is late, because the ring was full or its processor was away, that counts as the message's delay.
 */
struct schedule {
    uint64_t begin_ns, now_ns;
    double interval_ns;
};

static struct schedule schedule_begin(const struct job *job)
{
    uint64_t now = now_ns();
    return (struct schedule){.begin_ns = now, .now_ns = now, .interval_ns = job->interval_ns};
}

/* Waits until it is time for the message; gives that time. */
static uint64_t schedule_await(struct schedule *schedule, uint64_t sequence)
{
    if (schedule->interval_ns <= 0) {
        if (sequence % CLOCK_EVERY == 0)
            schedule->now_ns = now_ns();
        return schedule->now_ns;
    }
    uint64_t due = schedule->begin_ns + (uint64_t)((double)sequence * schedule->interval_ns);
    while (schedule->now_ns < due && !stopping())
        schedule->now_ns = now_ns();
    return due;
}

static void compose(uint64_t *words, uint64_t count, uint64_t sequence, uint64_t due_ns)
{
    words[0] = sequence;
    words[1] = due_ns;
    for (uint64_t i = 2; i < count; i++)
        words[i] = sequence + i;
}

static bool is_sound(const uint64_t *words, uint64_t count, uint64_t sequence)
{
    uint64_t wrong = words[0] ^ sequence;
    for (uint64_t i = 2; i < count; i++)
        wrong |= words[i] ^ (sequence + i);
    return wrong == 0;
}

static void record(struct histogram *histogram, uint64_t now, uint64_t due)
{
    histogram_record(histogram, now > due ? now - due : 0);
}

static double result(const struct job *job, uint64_t begin)
{
    uint64_t done = crew_await_done();
    return job->variant == MEASURE_RATE ? (double)(done - begin) / (double)job->count
                                        : histogram_quantile(crew_histogram(), 0.5);
}

static double ring_driver(const struct job *job)
{
    struct schedule schedule = schedule_begin(job);
    for (uint64_t i = 0; i < job->count; i++) {
        uint64_t due = schedule_await(&schedule, i);
        void *room;
        int32_t status;
        while ((status = mapring_claim(rings.sent, job->size, WAIT_NS, &room)) == MAPRING_FULL)
            if (stopping())
                return 0;
        check(status, "mapring_claim");
        compose(room, job->size / 8, i, due);
        check(mapring_commit(rings.sent, job->size, 0, 0), "mapring_commit");
    }
    return result(job, schedule.begin_ns);
}

static void ring_partner(const struct job *job)
{
    mapring_message messages[READ_BATCH];
    struct histogram *histogram = crew_histogram();
    uint32_t batch = read_batch(job->capacity, job->size);
    for (uint64_t received = 0; received < job->count;) {
        int32_t count = check(mapring_read(rings.got, messages, batch, 0), "mapring_read");
        if (count == 0) {
            if (stopping())
                return;
            spin_pause();
            continue;
        }
        uint64_t now = now_ns();
        for (int32_t i = 0; i < count; i++, received++) {
            const uint64_t *words = messages[i].data;
            if (messages[i].length != job->size || !is_sound(words, job->size / 8, received))
                fail("latency: a wrong byte in message %llu", (unsigned long long)received);
            record(histogram, now, words[1]);
        }
        check(mapring_release(rings.got, (uint32_t)count), "mapring_release");
    }
    crew_done(now_ns());
}

static double line_driver(const struct job *job)
{
    struct schedule schedule = schedule_begin(job);
    struct lines_end end = lines_begin(job);
    for (uint64_t i = 0; i < job->count; i++) {
        uint64_t due = schedule_await(&schedule, i);
        struct line *line;
        while ((line = lines_room(&end)) == NULL) {
            if (stopping())
                return 0;
            spin_pause();
        }
        compose(line->words, LINE_BYTES / 8 - 1, i, due);
        lines_written(&end, line);
    }
    return result(job, schedule.begin_ns);
}

/* As a ring's reader: takes all that is there, and reads the clock once for it. */
static void line_partner(const struct job *job)
{
    struct histogram *histogram = crew_histogram();
    struct lines_end end = lines_begin(job);
    for (uint64_t received = 0; received < job->count;) {
        unsigned count = lines_there(&end, READ_BATCH);
        if (count == 0) {
            if (stopping())
                return;
            spin_pause();
            continue;
        }
        uint64_t now = now_ns();
        for (unsigned i = 0; i < count; i++, received++) {
            const struct line *line = lines_next(&end, 0);
            if (line == NULL || !is_sound(line->words, LINE_BYTES / 8 - 1, received))
                fail("latency: a wrong byte in line %llu", (unsigned long long)received);
            record(histogram, now, line->words[1]);
            lines_read(&end);
        }
    }
    lines_end_job(&end);
    crew_done(now_ns());
}

static const struct subject *add_peak(struct plan *plan, const struct options *options, struct crew *crew,
                                      uint64_t size)
{
    struct comparison *comparison =
        plan_compare(plan, "one way, peak that the rates refer to", UNIT_RATE, size, options->capacity);
    comparison->note = "messages written in place with the time of sending; the reader polls, and reads the clock";
    struct subject *lines = comparison_add(
        comparison, "lines", crew, (struct job){.driver = line_driver, .partner = line_partner, .size = LINE_BYTES});
    lines->is_limit = true;
    return comparison_add(comparison, "mapring", crew, (struct job){.driver = ring_driver, .partner = ring_partner});
}

static void add_rate(struct plan *plan, const struct options *options, struct crew *crew, const struct subject *peak,
                     const char *title, double share)
{
    uint64_t size = peak->job.size;
    struct comparison *comparison = plan_compare(plan, title, UNIT_LATENCY, size, options->capacity);
    comparison->note = "from the time at which a message was to be sent to the time it was read; both at the same rate";
    struct subject *lines = comparison_add(
        comparison, "lines", crew,
        (struct job){.driver = line_driver, .partner = line_partner, .size = LINE_BYTES, .variant = MEASURE_LATENCY});
    struct subject *ring =
        comparison_add(comparison, "mapring", crew,
                       (struct job){.driver = ring_driver, .partner = ring_partner, .variant = MEASURE_LATENCY});
    lines->is_limit = true;
    lines->paced = ring->paced = peak;
    lines->share = ring->share = share;
}

static void add_round_trip(struct plan *plan, const struct options *options, struct crew *crew, uint64_t size)
{
    struct comparison *comparison = plan_compare(plan, "round trip", UNIT_LATENCY, size, options->capacity);
    comparison->note = "both sides poll; each is timed, so a reading of the clock is in it";
    comparison_add(
        comparison, "two cache lines", crew,
        (struct job){.driver = bare_pingpong_timed_driver, .partner = bare_pingpong_timed_partner, .size = 8})
        ->is_limit = true;
    comparison_add(comparison, "mapring", crew,
                   (struct job){.driver = pingpong_timed_driver, .partner = pingpong_partner});
}

void latency_plan(struct plan *plan, const struct options *options)
{
    struct crew *crew = plan_pair(options);
    uint64_t size = options->size_count > 0 && options->sizes[0] >= 16 ? options->sizes[0] : SIZE;
    add_round_trip(plan, options, crew, options->size_count > 0 ? options->sizes[0] : 8);
    if (size * 8 > options->capacity)
        return;
    const struct subject *peak = add_peak(plan, options, crew, size);
    add_rate(plan, options, crew, peak, "one way at 10 % of the peak", 0.10);
    add_rate(plan, options, crew, peak, "one way at 50 % of the peak", 0.50);
    add_rate(plan, options, crew, peak, "one way at 80 % of the peak", 0.80);
    add_rate(plan, options, crew, peak, "one way at 95 % of the peak", 0.95);
}
