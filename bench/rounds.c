#include "rounds.h"

#include <stdlib.h>
#include <unistd.h>

/* Long enough for several laps, short enough to stay at one distance and to find a moment without other processes. */
#define SAMPLE_TIME_NS 8e6
#define SAMPLE_RATE_NS 25e6
#define COUNT_MIN 64u
#define COUNT_FIRST 1024u
#define ATTEMPTS 6u

static uint64_t random_state;

/* xorshift64 */
static uint64_t random_below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % bound;
}

static void shuffle(unsigned *order, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        order[i] = i;
    for (unsigned i = count; i > 1; i--) {
        unsigned other = (unsigned)random_below(i), kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
}

struct comparison *plan_compare(struct plan *plan, const char *title, enum unit unit, uint64_t size)
{
    if (plan->count == COMPARISONS_MAX)
        fail("more than %d comparisons; ask for fewer sizes", COMPARISONS_MAX);
    struct comparison *comparison = &plan->comparisons[plan->count++];
    *comparison = (struct comparison){.title = title, .unit = unit, .size = size};
    return comparison;
}

struct subject *comparison_add(struct comparison *comparison, const char *name, struct job job)
{
    struct subject *subject = &comparison->subjects[comparison->subject_count++];
    *subject = (struct subject){.name = name, .job = job};
    return subject;
}

static double sample_length(const struct comparison *comparison)
{
    return comparison->unit == UNIT_TIME ? SAMPLE_TIME_NS : SAMPLE_RATE_NS;
}

static void set_count(struct job *job, double sample_ns, double ns)
{
    double count = sample_ns / ns;
    job->count = count < COUNT_MIN ? COUNT_MIN : (uint64_t)count;
}

/* Finds how many operations make a sample, and by the way touches all memory once. */
static void calibrate(struct subject *subject, double sample_ns)
{
    subject->job.count = COUNT_FIRST;
    for (;;) {
        struct reading reading = pair_measure(&subject->job);
        if (reading.outcome == OUTCOME_STOPPED)
            return;
        if (reading.ns * (double)subject->job.count > sample_ns / 4) {
            set_count(&subject->job, sample_ns, reading.ns);
            return;
        }
        subject->job.count *= 4;
    }
}

static struct reading sample(struct plan *plan, struct subject *subject, double sample_ns)
{
    struct reading reading;
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        reading = pair_measure(&subject->job);
        plan->samples[reading.outcome]++;
        if (reading.outcome == OUTCOME_GOOD)
            set_count(&subject->job, sample_ns, reading.ns);
        if (reading.outcome == OUTCOME_GOOD || reading.outcome == OUTCOME_STOPPED)
            break;
    }
    return reading;
}

static void show_progress(const struct plan *plan, const struct options *options, uint64_t begin)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\rround %u of %u, %.0f s ", plan->rounds_begun, options->rounds,
                (double)(now_ns() - begin) * 1e-9);
}

static void clear_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\x1b[K", stderr);
}

static bool is_over(const struct plan *plan)
{
    return stopping() || now_ns() > plan->deadline_ns;
}

/* A round that is cut short counts for the comparisons that it got to. */
static void run_round(struct plan *plan, unsigned round)
{
    unsigned comparisons[COMPARISONS_MAX], subjects[SUBJECTS_MAX];
    shuffle(comparisons, plan->count);
    for (unsigned i = 0; i < plan->count && !is_over(plan); i++) {
        struct comparison *comparison = &plan->comparisons[comparisons[i]];
        shuffle(subjects, comparison->subject_count);
        for (unsigned j = 0; j < comparison->subject_count; j++) {
            struct subject *subject = &comparison->subjects[subjects[j]];
            subject->readings[round] = sample(plan, subject, sample_length(comparison));
        }
    }
}

void plan_run(struct plan *plan, const struct options *options)
{
    uint64_t begin = now_ns();
    random_state = begin | 1;
    for (unsigned i = 0; i < plan->count; i++) {
        for (unsigned j = 0; j < plan->comparisons[i].subject_count; j++) {
            struct subject *subject = &plan->comparisons[i].subjects[j];
            subject->readings = calloc(options->rounds, sizeof *subject->readings);
            if (subject->readings == NULL)
                fail("no memory for %u rounds; ask for fewer with --rounds", options->rounds);
            /* A round that was interrupted has no reading. */
            for (unsigned round = 0; round < options->rounds; round++)
                subject->readings[round].outcome = OUTCOME_STOPPED;
            calibrate(subject, sample_length(&plan->comparisons[i]));
        }
    }
    plan->deadline_ns = begin + (uint64_t)(options->seconds * 1e9);
    while (plan->rounds_begun < options->rounds && !is_over(plan)) {
        run_round(plan, plan->rounds_begun++);
        show_progress(plan, options, begin);
    }
    clear_progress();
}

static double figure(const struct comparison *comparison, const struct subject *subject, double ns)
{
    /* Bytes per nanosecond are GB/s. */
    return comparison->unit == UNIT_TIME ? ns : (double)subject->job.size / ns;
}

static bool good_at(const struct reading *reading, enum distance distance)
{
    return reading->outcome == OUTCOME_GOOD && reading->distance == distance;
}

struct summary comparison_figure(const struct plan *plan, const struct comparison *comparison, unsigned subject,
                                 enum distance distance)
{
    const struct subject *own = &comparison->subjects[subject];
    double *values = calloc(plan->rounds_begun + 1, sizeof *values);
    unsigned count = 0;
    for (unsigned round = 0; values != NULL && round < plan->rounds_begun; round++)
        if (good_at(&own->readings[round], distance))
            values[count++] = figure(comparison, own, own->readings[round].ns);
    struct summary summary = summarise(values, count);
    free(values);
    return summary;
}

struct summary comparison_ratio(const struct plan *plan, const struct comparison *comparison, unsigned subject,
                                unsigned baseline, enum distance distance)
{
    const struct subject *own = &comparison->subjects[subject], *base = &comparison->subjects[baseline];
    double *values = calloc(plan->rounds_begun + 1, sizeof *values);
    unsigned count = 0;
    for (unsigned round = 0; values != NULL && round < plan->rounds_begun; round++)
        if (good_at(&own->readings[round], distance) && good_at(&base->readings[round], distance) &&
            same_place(&own->readings[round], &base->readings[round]))
            values[count++] =
                figure(comparison, own, own->readings[round].ns) / figure(comparison, base, base->readings[round].ns);
    struct summary summary = summarise(values, count);
    free(values);
    return summary;
}
