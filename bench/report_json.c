#include "report.h"

/* What the kernel says of the machine holds no character that would end a string, save a stray quote. */
static void put_string(const char *key, const char *value)
{
    printf("\"%s\": \"", key);
    for (; *value != 0; value++) {
        if (*value == '"' || *value == '\\')
            putchar('\\');
        if ((unsigned char)*value >= ' ')
            putchar(*value);
    }
    putchar('"');
}

static void put_summary(const char *key, struct summary summary)
{
    printf("\"%s\": {\"rounds\": %u", key, summary.count);
    if (summary.count > 0)
        printf(", \"median\": %.6g, \"q1\": %.6g, \"q3\": %.6g", summary.median, summary.q1, summary.q3);
    putchar('}');
}

static void put_percentiles(const struct subject *subject, enum distance distance)
{
    const struct histogram *histogram = subject->recorded[distance];
    if (histogram == NULL || histogram->total == 0)
        return;
    printf(", \"durations_ns\": {\"count\": %llu", (unsigned long long)histogram->total);
    for (unsigned i = 0; i < PERCENTILES; i++)
        printf(", \"%s\": %.0f", percentile_names[i], histogram_quantile(histogram, percentiles[i]));
    putchar('}');
}

static void put_features(const struct subject *subject)
{
    static const char *const names[] = {"any_length", "broadcast", "reliable", "sleeps", "in_place"};
    if ((subject->features & FEATURES_KNOWN) == 0)
        return;
    printf(", \"features\": {");
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        printf("%s\"%s\": %s", i == 0 ? "" : ", ", names[i], subject->features & 1u << i ? "true" : "false");
    putchar('}');
}

static void put_subject(const struct plan *plan, const struct comparison *comparison, unsigned number,
                        enum distance distance)
{
    static const char *const units[] = {"ns", "gigabytes_per_second", "ns"};
    const struct subject *subject = &comparison->subjects[number];
    struct summary ratio = comparison_ratio(plan, comparison, number, 0, distance);
    unsigned limit = comparison_limit(plan, comparison, distance);
    printf("        {");
    put_string("name", subject->name);
    printf(", \"bytes\": %llu, ", (unsigned long long)subject->job.size);
    put_summary(units[comparison->unit], comparison_figure(plan, comparison, number, distance));
    if (number > 0) {
        printf(", ");
        put_summary("ratio", ratio);
    }
    if (limit != SUBJECTS_MAX && !subject->is_limit) {
        printf(", ");
        put_summary("of_limit", comparison_ratio(plan, comparison, number, limit, distance));
    }
    struct summary lost = comparison_lost(plan, comparison, number, distance);
    if (lost.q3 > 0) {
        printf(", ");
        put_summary("lost", lost);
    }
    if (subject->is_limit)
        printf(", \"limit\": true");
    if (subject->x > 0)
        printf(", \"x\": %llu", (unsigned long long)subject->x);
    if (subject->job.interval_ns > 0)
        printf(", \"messages_per_second\": %.0f", 1e9 / subject->job.interval_ns);
    put_percentiles(subject, distance);
    put_features(subject);
    if (has_target(subject)) {
        printf(", \"target\": {\"%s\": %.2f, \"reached\": ", subject->at_most > 0 ? "at_most" : "at_least",
               subject->at_most > 0 ? subject->at_most : subject->at_least);
        printf("%s}", ratio.count < ROUNDS_FEWEST ? "null" : reached(subject, ratio.median) ? "true" : "false");
    }
    if (subject_reason(subject) != NULL) {
        printf(", ");
        put_string("not_measured", subject_reason(subject));
    }
    putchar('}');
}

static void put_comparison(const struct plan *plan, const struct comparison *comparison, enum distance distance)
{
    printf("    {");
    put_string("title", comparison->title);
    printf(", \"bytes\": %llu, \"capacity\": %llu, ", (unsigned long long)comparison->size,
           (unsigned long long)comparison->capacity);
    put_string("distance", distance_name(distance));
    if (comparison->axis != NULL) {
        printf(", ");
        put_string("axis", comparison->axis);
    }
    printf(", \"subjects\": [\n");
    for (unsigned i = 0; i < comparison->subject_count; i++) {
        put_subject(plan, comparison, i, distance);
        puts(i + 1 < comparison->subject_count ? "," : "");
    }
    printf("    ]}");
}

static void put_machine(const struct machine *machine)
{
    printf("  \"machine\": {");
    put_string("model", machine->model);
    printf(", \"cores\": %d, \"virtual\": %s, ", machine->cores, machine->virtualised ? "true" : "false");
    put_string("caches", machine->caches);
    printf(", ");
    put_string("kernel", machine->kernel);
    printf(", ");
    put_string("clock", machine->clock);
    printf(", ");
    put_string("huge_pages", machine->huge_pages);
    printf(", ");
    put_string("mitigations", machine->mitigations);
    printf("},\n");
}

static void put_memory(const struct ring_memory *memory)
{
    if (memory == NULL || memory->status < 0)
        return;
    printf("  \"memory\": {\"capacity\": %llu, \"slots\": %llu, \"bytes\": %llu, \"bytes_per_slot\": %.1f},\n",
           (unsigned long long)memory->capacity, (unsigned long long)memory->slots, (unsigned long long)memory->memory,
           memory->per_slot);
}

/* At every distance at which something was measured; with nothing but its reasons, if there is none. */
static const char *put_distances(const struct plan *plan, const struct comparison *comparison, const char *separator)
{
    bool any = false;
    for (int distance = 0; distance < DISTANCE_COUNT; distance++)
        any |= comparison_measured(plan, comparison, (enum distance)distance);
    for (int distance = 0; distance < DISTANCE_COUNT; distance++) {
        if (any ? !comparison_measured(plan, comparison, (enum distance)distance) : distance != DISTANCE_NONE)
            continue;
        fputs(separator, stdout);
        put_comparison(plan, comparison, (enum distance)distance);
        separator = ",\n";
    }
    return separator;
}

void report_json(const struct report *report)
{
    const struct plan *plan = report->plan;
    const struct options *options = report->options;
    printf("{\n  ");
    put_string("command", report->command);
    printf(",\n  ");
    put_string("version", mapring_version());
    printf(",\n");
    put_machine(report->machine);
    printf("  \"cpus\": [");
    for (unsigned i = 0; i < options->cpu_count; i++)
        printf("%s%d", i == 0 ? "" : ", ", options->cpus[i]);
    printf("],\n  \"pinned\": %s,\n  \"interrupted\": %s,\n", run_unpinned() == NULL ? "true" : "false",
           run_interrupted() ? "true" : "false");
    printf("  \"capacity\": %llu,\n  \"rounds\": %u,\n", (unsigned long long)options->capacity, plan->rounds_begun);
    printf("  \"samples\": {\"good\": %u, \"moved\": %u, \"disturbed\": %u},\n", plan->samples[OUTCOME_GOOD],
           plan->samples[OUTCOME_MOVED], plan->samples[OUTCOME_DISTURBED]);
    put_memory(report->memory);
    printf("  \"comparisons\": [");
    const char *separator = "\n";
    for (unsigned i = 0; i < plan->count; i++)
        separator = put_distances(plan, &plan->comparisons[i], separator);
    printf("\n  ]\n}\n");
}
