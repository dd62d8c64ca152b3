#include "report.h"

static void print_machine(const struct report *report)
{
    const struct machine *machine = report->machine;
    const struct options *options = report->options;
    char capacity[32];
    printf("%s, %d cores%s, %s, clock %s, huge pages for shared memory: %s\n", machine->model, machine->cores,
           machine->virtualised ? " (virtual)" : "", machine->caches, machine->clock, machine->huge_pages);
    printf("%s, mitigations: %s\n", machine->kernel, machine->mitigations[0] == 0 ? "none" : machine->mitigations);
    printf("mapring %s, ring of %s", mapring_version(), size_text(options->capacity, capacity));
    if (run_unpinned() != NULL) {
        printf(", NOT PINNED (%s): processors may change within a sample\n", run_unpinned());
    } else {
        printf(", pinned to processor%s", options->cpu_count == 1 ? "" : "s");
        for (unsigned i = 0; i < options->cpu_count; i++)
            printf("%s%d", i == 0 ? " " : ", ", options->cpus[i]);
        putchar('\n');
    }
    if (is_alone(options))
        puts("One processor only: what takes two was not measured.");
}

static void print_figure(enum unit unit, uint64_t size, struct summary figure)
{
    char rate[32], median[32], q1[32], q3[32];
    if (unit == UNIT_RATE)
        printf("%9s M/s %6s GB/s (%s to %s)", value_text(figure.median * 1e3 / (double)size, rate),
               value_text(figure.median, median), value_text(figure.q1, q1), value_text(figure.q3, q3));
    else
        printf("%9.1f ns (%.1f to %.1f)", figure.median, figure.q1, figure.q3);
}

static void print_ratio(const struct subject *subject, const char *baseline, struct summary ratio)
{
    char median[32], q1[32], q3[32];
    printf("   %s of %s (%s to %s)", value_text(ratio.median, median), baseline, value_text(ratio.q1, q1),
           value_text(ratio.q3, q3));
    if (has_target(subject))
        printf("   target %s %.2f: %s",
               subject->at_most > 0 ? "<=" : ">=", subject->at_most > 0 ? subject->at_most : subject->at_least,
               reached(subject, ratio.median) ? "reached" : "MISSED");
}

static void print_features(const struct subject *subject)
{
    char features[FEATURE_LETTERS];
    features_text(subject->features, features);
    printf("  %s", subject->features & FEATURES_KNOWN ? features : "     ");
}

static void print_subject(const struct plan *plan, const struct comparison *comparison, unsigned number,
                          enum distance distance, bool features)
{
    const struct subject *subject = &comparison->subjects[number];
    unsigned limit = comparison_limit(plan, comparison, distance);
    struct summary figure = comparison_figure(plan, comparison, number, distance);
    struct summary ratio = comparison_ratio(plan, comparison, number, 0, distance);
    char text[32];
    printf("  %-28s", subject->name);
    if (features)
        print_features(subject);
    if (figure.count < ROUNDS_FEWEST) {
        const char *reason = subject_reason(subject);
        printf("  not measured%s%s\n", reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
        return;
    }
    print_figure(comparison->unit, subject->job.size, figure);
    if (number > 0 && ratio.count >= ROUNDS_FEWEST)
        print_ratio(subject, comparison->subjects[0].name, ratio);
    if (limit != SUBJECTS_MAX && limit != 0 && !subject->is_limit) {
        struct summary own = comparison_ratio(plan, comparison, number, limit, distance);
        if (own.count >= ROUNDS_FEWEST)
            printf("   %s of the limit (%s)", value_text(own.median, text), comparison->subjects[limit].name);
    }
    struct summary lost = comparison_lost(plan, comparison, number, distance);
    if (lost.q3 > 0)
        printf("   lost %.2g %% (%.2g to %.2g)", 100 * lost.median, 100 * lost.q1, 100 * lost.q3);
    printf("   %u rounds", figure.count);
    if (subject->setting != NULL)
        printf("   %s", subject->setting);
    putchar('\n');
}

static void print_percentiles(const struct comparison *comparison, enum distance distance)
{
    printf("  %-28s", "all rounds:");
    for (unsigned i = 0; i < PERCENTILES; i++)
        printf(" %11s", percentile_names[i]);
    putchar('\n');
    for (unsigned i = 0; i < comparison->subject_count; i++) {
        const struct subject *subject = &comparison->subjects[i];
        const struct histogram *histogram = subject->recorded[distance];
        if (histogram == NULL || histogram->total == 0)
            continue;
        char text[32];
        printf("  %-28s", subject->name);
        for (unsigned p = 0; p < PERCENTILES; p++)
            printf(" %11s", time_text(histogram_quantile(histogram, percentiles[p]), text));
        if (subject->job.interval_ns > 0)
            printf("   %.2f M/s", 1e3 / subject->job.interval_ns);
        printf("   %llu values\n", (unsigned long long)histogram->total);
    }
}

static void print_comparison(const struct plan *plan, const struct comparison *comparison, enum distance distance)
{
    char size[32];
    bool features = comparison_tells_features(comparison);
    printf("\n%s", comparison->title);
    if (comparison->size > 0)
        printf(", %s", size_text(comparison->size, size));
    else
        printf(", ring of %s", size_text(comparison->capacity, size));
    if (distance != DISTANCE_NONE)
        printf(" (%s)", distance_name(distance));
    putchar('\n');
    if (comparison->note != NULL)
        printf("  %s\n", comparison->note);
    if (features)
        printf("  %s\n", features_legend);
    for (unsigned i = 0; i < comparison->subject_count; i++)
        if (comparison_tells(plan, comparison, i, distance))
            print_subject(plan, comparison, i, distance, features);
    if (comparison->unit == UNIT_LATENCY)
        print_percentiles(comparison, distance);
}

static void print_memory(const struct ring_memory *memory)
{
    char capacity[32];
    if (memory->status < 0) {
        printf("\nmemory: not measured: %s\n", mapring_status_text(memory->status));
        return;
    }
    printf("\nmemory: a ring of %s with %llu consumer slots takes %llu bytes, %llu more than its capacity;\n",
           size_text(memory->capacity, capacity), (unsigned long long)memory->slots, (unsigned long long)memory->memory,
           (unsigned long long)(memory->memory - memory->capacity));
    printf("  a slot %.0f bytes   target <= %.0f: %s\n", memory->per_slot, SLOT_BYTES_MOST,
           memory->per_slot <= SLOT_BYTES_MOST ? "reached" : "MISSED");
}

/* Once for each distance at which something was measured; if there is none, once to say so. */
static void print_distances(const struct plan *plan, const struct comparison *comparison)
{
    bool printed = false;
    for (int distance = 0; distance < DISTANCE_COUNT; distance++)
        if (comparison_measured(plan, comparison, (enum distance)distance)) {
            print_comparison(plan, comparison, (enum distance)distance);
            printed = true;
        }
    if (!printed)
        print_comparison(plan, comparison, DISTANCE_NONE);
}

void report_text(const struct report *report)
{
    const struct plan *plan = report->plan;
    print_machine(report);
    printf("medians of %u rounds in random order, quartiles in brackets; ratios are taken within a round\n",
           plan->rounds_begun);
    if (!is_alone(report->options))
        printf("distance of the processors by round trip of a cache line: same core below %.0f ns, far from %.0f ns\n",
               SAME_CORE_BELOW_NS, FAR_FROM_NS);
    for (unsigned i = 0; i < plan->count; i++)
        print_distances(plan, &plan->comparisons[i]);
    if (report->memory != NULL)
        print_memory(report->memory);
    printf("\nsamples: %u good; dropped: %u whose distance changed, %u that waited for a processor\n",
           plan->samples[OUTCOME_GOOD], plan->samples[OUTCOME_MOVED], plan->samples[OUTCOME_DISTURBED]);
    if (run_interrupted())
        puts("interrupted: this is what was finished");
}
