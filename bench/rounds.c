#include "rounds.h"

#include <stdlib.h>
#include <string.h>

#include "progress.h"

/* Long enough for several laps, short enough to stay at one distance and to find a moment without other processes. */
#define SAMPLE_TIME_NS 8e6
#define SAMPLE_RATE_NS 25e6
#define SAMPLE_LATENCY_NS 40e6
#define COUNT_MIN 16u
#define COUNT_FIRST 1024u
#define COUNT_FIRST_BYTES ((uint64_t)4 << 20)
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

struct comparison *plan_compare(struct plan *plan, const char *title, enum unit unit, uint64_t size, uint64_t capacity)
{
    if (plan->count == COMPARISONS_MAX)
        fail("more than %u comparisons; ask for fewer sizes", COMPARISONS_MAX);
    struct comparison *comparison = &plan->comparisons[plan->count++];
    *comparison = (struct comparison){.title = title, .unit = unit, .size = size, .capacity = capacity};
    return comparison;
}

struct crew *plan_crew(struct crew crew)
{
    struct crew *kept = malloc(sizeof *kept);
    if (kept == NULL)
        fail("no memory for the plan");
    *kept = crew;
    return kept;
}

static struct subject *add(struct comparison *comparison, const char *name)
{
    if (comparison->subject_count == SUBJECTS_MAX)
        fail("more than %u ways to compare", SUBJECTS_MAX);
    struct subject *subject = &comparison->subjects[comparison->subject_count++];
    *subject = (struct subject){.name = name};
    return subject;
}

struct subject *comparison_add(struct comparison *comparison, const char *name, struct crew *crew, struct job job)
{
    struct subject *subject = add(comparison, name);
    subject->crew = crew;
    subject->job = job;
    subject->job.capacity = comparison->capacity;
    if (job.size == 0)
        subject->job.size = comparison->size;
    return subject;
}

void subject_fix_count(struct subject *subject, uint64_t count)
{
    subject->job.count = count;
    subject->fixed = true;
}

void comparison_add_absent(struct comparison *comparison, const char *name, const char *reason)
{
    struct subject *subject = add(comparison, name);
    snprintf(subject->absent, sizeof subject->absent, "%s", reason);
}

const char *subject_reason(const struct subject *subject)
{
    if (subject->absent[0] != 0)
        return subject->absent;
    return subject->crew->failed && subject->crew->reason[0] != 0 ? subject->crew->reason : NULL;
}

/* Members that share processors take turns of some milliseconds: a sample is to see several from each. */
static double sample_length(const struct comparison *comparison, const struct subject *subject, unsigned cpus)
{
    static const double lengths[] = {
        [UNIT_TIME] = SAMPLE_TIME_NS, [UNIT_RATE] = SAMPLE_RATE_NS, [UNIT_LATENCY] = SAMPLE_LATENCY_NS};
    unsigned members = subject->crew == NULL ? 1 : subject->crew->members;
    return lengths[comparison->unit] * (members > cpus ? members / cpus : 1);
}

/* What one operation takes from the next on: a paced one takes its interval, however fast it arrives. */
static double time_taken(const struct subject *subject, double ns)
{
    return subject->job.interval_ns > ns ? subject->job.interval_ns : ns;
}

static void set_count(struct subject *subject, double sample_ns, double ns)
{
    if (subject->fixed)
        return;
    double count = sample_ns / time_taken(subject, ns);
    subject->job.count = count < COUNT_MIN ? COUNT_MIN : (uint64_t)count;
}

/* A pace comes from what the faster subject reached when it was calibrated. */
static void set_pace(struct subject *subject)
{
    double ns = subject->paced->readings[0].ns;
    if (ns > 0)
        subject->job.interval_ns = ns / subject->share;
    else
        snprintf(subject->absent, sizeof subject->absent, "no peak was measured to take the rate from");
}

/* Finds how many operations make a sample, and by the way touches all memory once. */
static void calibrate(struct subject *subject, double sample_ns)
{
    if (subject->share > 0)
        set_pace(subject);
    if (subject->absent[0] != 0)
        return;
    if (subject->share > 0 || subject->fixed) {
        set_count(subject, sample_ns, 0);
        return;
    }
    uint64_t fits = COUNT_FIRST_BYTES / (subject->job.size + 1);
    subject->job.count = fits > COUNT_FIRST ? COUNT_FIRST : fits < COUNT_MIN ? COUNT_MIN : fits;
    for (;;) {
        struct reading reading = crew_measure(subject->crew, &subject->job);
        if (reading.outcome == OUTCOME_STOPPED || reading.outcome == OUTCOME_FAILED)
            return;
        subject->readings[0].ns = reading.ns;
        if (reading.ns * (double)subject->job.count > sample_ns / 4) {
            set_count(subject, sample_ns, reading.ns);
            return;
        }
        subject->job.count *= 4;
    }
}

/* A crew that has just started has not yet touched its memory. */
static void warm_up(struct subject *subject)
{
    if (subject->crew->running || subject->job.count < 2)
        return;
    struct job job = subject->job;
    job.count = job.count / 2;
    crew_measure(subject->crew, &job);
}

static void keep_recorded(struct subject *subject, const struct reading *reading)
{
    struct histogram **kept = &subject->recorded[reading->distance];
    if (*kept == NULL && (*kept = calloc(1, sizeof **kept)) == NULL)
        fail("no memory for a histogram");
    histogram_add(*kept, crew_recorded());
}

static struct reading sample(struct plan *plan, const struct comparison *comparison, struct subject *subject,
                             const struct options *options)
{
    struct reading reading = {.outcome = OUTCOME_FAILED};
    if (subject->absent[0] != 0 || subject->crew->failed)
        return reading;
    warm_up(subject);
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        reading = crew_measure(subject->crew, &subject->job);
        plan->samples[reading.outcome]++;
        if (reading.outcome == OUTCOME_GOOD && comparison->unit == UNIT_LATENCY)
            keep_recorded(subject, &reading);
        if (reading.outcome == OUTCOME_GOOD && subject->share == 0)
            set_count(subject, sample_length(comparison, subject, options->cpu_count), reading.ns);
        if (reading.outcome != OUTCOME_MOVED && reading.outcome != OUTCOME_DISTURBED)
            break;
    }
    return reading;
}

static bool is_over(const struct plan *plan)
{
    return run_interrupted() || run_failed() || now_ns() > plan->deadline_ns;
}

/* A crew that is not to stay ends when it had its turn: idle threads of others would disturb the next. */
static void dismiss(struct subject *subject)
{
    if (subject->crew != NULL && !subject->crew->resident)
        crew_end(subject->crew);
}

/* A round that is cut short counts for the comparisons that it got to. */
static void run_round(struct plan *plan, const struct options *options, unsigned round)
{
    unsigned comparisons[COMPARISONS_MAX], subjects[SUBJECTS_MAX];
    shuffle(comparisons, plan->count);
    for (unsigned i = 0; i < plan->count && !is_over(plan); i++) {
        struct comparison *comparison = &plan->comparisons[comparisons[i]];
        progress_show(plan, options, comparison->title, (double)i / plan->count);
        shuffle(subjects, comparison->subject_count);
        for (unsigned j = 0; j < comparison->subject_count; j++) {
            struct subject *subject = &comparison->subjects[subjects[j]];
            subject->readings[round] = sample(plan, comparison, subject, options);
            dismiss(subject);
        }
    }
}

static void prepare_subject(const struct comparison *comparison, struct subject *subject, const struct options *options)
{
    unsigned rounds = options->rounds;
    subject->readings = calloc(rounds, sizeof *subject->readings);
    if (subject->readings == NULL)
        fail("no memory for %u rounds; ask for fewer with --rounds", rounds);
    calibrate(subject, sample_length(comparison, subject, options->cpu_count));
    dismiss(subject);
    /* A round that was interrupted has no reading. */
    for (unsigned round = 0; round < rounds; round++)
        subject->readings[round].outcome = OUTCOME_STOPPED;
}

void plan_run(struct plan *plan, const struct options *options)
{
    uint64_t begin = now_ns();
    random_state = begin | 1;
    plan->deadline_ns = begin + (uint64_t)(options->seconds * 1e9);
    progress_begin();
    for (unsigned i = 0; i < plan->count; i++) {
        struct comparison *comparison = &plan->comparisons[i];
        progress_show(plan, options, "calibrating", (double)i / plan->count);
        for (unsigned j = 0; j < comparison->subject_count; j++)
            prepare_subject(comparison, &comparison->subjects[j], options);
    }
    while (plan->rounds_begun < options->rounds && !is_over(plan)) {
        unsigned round = plan->rounds_begun++;
        run_round(plan, options, round);
    }
    progress_clear();
}

static double figure(const struct comparison *comparison, const struct subject *subject, double ns)
{
    /* Bytes per nanosecond are GB/s. */
    return comparison->unit == UNIT_RATE ? (double)subject->job.size / ns : ns;
}

static bool good_at(const struct reading *reading, enum distance distance)
{
    return reading->outcome == OUTCOME_GOOD && reading->distance == distance;
}

static double speed_of(const struct comparison *comparison, const struct subject *subject,
                       const struct reading *reading)
{
    return figure(comparison, subject, reading->ns);
}

static double lost_of(const struct comparison *comparison, const struct subject *subject, const struct reading *reading)
{
    (void)comparison, (void)subject;
    return reading->lost;
}

typedef double aspect(const struct comparison *comparison, const struct subject *subject,
                      const struct reading *reading);

static struct summary over_rounds(const struct plan *plan, const struct comparison *comparison, unsigned subject,
                                  enum distance distance, aspect *value_of)
{
    const struct subject *own = &comparison->subjects[subject];
    double *values = calloc(plan->rounds_begun + 1, sizeof *values);
    unsigned count = 0;
    for (unsigned round = 0; values != NULL && round < plan->rounds_begun; round++)
        if (good_at(&own->readings[round], distance))
            values[count++] = value_of(comparison, own, &own->readings[round]);
    struct summary summary = summarise(values, count);
    free(values);
    return summary;
}

struct summary comparison_figure(const struct plan *plan, const struct comparison *comparison, unsigned subject,
                                 enum distance distance)
{
    return over_rounds(plan, comparison, subject, distance, speed_of);
}

struct summary comparison_lost(const struct plan *plan, const struct comparison *comparison, unsigned subject,
                               enum distance distance)
{
    return over_rounds(plan, comparison, subject, distance, lost_of);
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

unsigned comparison_limit(const struct plan *plan, const struct comparison *comparison, enum distance distance)
{
    unsigned best = SUBJECTS_MAX;
    double best_figure = 0;
    for (unsigned i = 0; i < comparison->subject_count; i++) {
        if (!comparison->subjects[i].is_limit)
            continue;
        struct summary own = comparison_figure(plan, comparison, i, distance);
        bool better = comparison->unit == UNIT_RATE ? own.median > best_figure : own.median < best_figure;
        if (own.count >= ROUNDS_FEWEST && (best == SUBJECTS_MAX || better)) {
            best = i;
            best_figure = own.median;
        }
    }
    return best;
}

bool comparison_measured(const struct plan *plan, const struct comparison *comparison, enum distance distance)
{
    for (unsigned i = 0; i < comparison->subject_count; i++)
        if (comparison_figure(plan, comparison, i, distance).count >= ROUNDS_FEWEST)
            return true;
    return false;
}

bool comparison_tells(const struct plan *plan, const struct comparison *comparison, unsigned subject,
                      enum distance distance)
{
    if (comparison_figure(plan, comparison, subject, distance).count >= ROUNDS_FEWEST)
        return true;
    for (int other = 0; other < DISTANCE_COUNT; other++)
        if (comparison_figure(plan, comparison, subject, (enum distance)other).count >= ROUNDS_FEWEST)
            return false;
    return true;
}

bool comparison_tells_features(const struct comparison *comparison)
{
    for (unsigned i = 0; i < comparison->subject_count; i++)
        if (comparison->subjects[i].features & FEATURES_KNOWN)
            return true;
    return false;
}
