#include "report.h"

/* Fewer rounds than this at one distance say nothing. */
#define ROUNDS_FEWEST 3u

static const char *size_text(uint64_t bytes, char text[32])
{
    if (bytes >= 1 << 20 && bytes % (1 << 20) == 0)
        snprintf(text, 32, "%llu MiB", (unsigned long long)bytes >> 20);
    else if (bytes >= 1 << 10 && bytes % (1 << 10) == 0)
        snprintf(text, 32, "%llu KiB", (unsigned long long)bytes >> 10);
    else
        snprintf(text, 32, "%llu B", (unsigned long long)bytes);
    return text;
}

static bool has_target(const struct subject *subject)
{
    return subject->at_most > 0 || subject->at_least > 0;
}

static bool reached(const struct subject *subject, double ratio)
{
    return (subject->at_most <= 0 || ratio <= subject->at_most) &&
           (subject->at_least <= 0 || ratio >= subject->at_least);
}

static void print_machine(const struct report *report)
{
    const struct machine *machine = report->machine;
    const struct options *options = report->options;
    char capacity[32];
    printf("%s, %d cores%s, %s, clock %s, huge pages for shared memory: %s\n", machine->model, machine->cores,
           machine->virtualised ? " (virtual)" : "", machine->caches, machine->clock, machine->huge_pages);
    printf("%s, mapring %s, pinned to processor%s %d", machine->kernel, mapring_version(), options->alone ? "" : "s",
           options->cpus[0]);
    if (!options->alone)
        printf(" and %d", options->cpus[1]);
    printf(", capacity %s\n", size_text(options->capacity, capacity));
    if (options->alone)
        puts("One processor only: nothing between two processes was measured.");
}

static void print_figure(enum unit unit, uint64_t size, struct summary figure)
{
    if (unit == UNIT_TIME)
        printf("%9.1f ns (%.1f to %.1f)", figure.median, figure.q1, figure.q3);
    else
        printf("%9.2f M/s %6.2f GB/s (%.2f to %.2f)", figure.median * 1e3 / (double)size, figure.median, figure.q1,
               figure.q3);
}

static void print_ratio(const struct subject *subject, const char *baseline, struct summary ratio)
{
    printf("   %.2f of %s (%.2f to %.2f)", ratio.median, baseline, ratio.q1, ratio.q3);
    if (has_target(subject))
        printf("   target %s %.2f: %s",
               subject->at_most > 0 ? "<=" : ">=", subject->at_most > 0 ? subject->at_most : subject->at_least,
               reached(subject, ratio.median) ? "reached" : "MISSED");
}

static void print_comparison(const struct plan *plan, const struct comparison *comparison, enum distance distance)
{
    char size[32];
    printf("\n%s, %s", comparison->title, size_text(comparison->size, size));
    if (distance != DISTANCE_NONE)
        printf(" (%s)", distance_name(distance));
    putchar('\n');
    for (unsigned i = 0; i < comparison->subject_count; i++) {
        const struct subject *subject = &comparison->subjects[i];
        struct summary figure = comparison_figure(plan, comparison, i, distance);
        struct summary ratio = comparison_ratio(plan, comparison, i, 0, distance);
        printf("  %-22s", subject->name);
        if (figure.count < ROUNDS_FEWEST) {
            puts("  not measured");
            continue;
        }
        print_figure(comparison->unit, subject->job.size, figure);
        if (i > 0 && ratio.count >= ROUNDS_FEWEST)
            print_ratio(subject, comparison->subjects[0].name, ratio);
        printf("   %u rounds\n", figure.count);
    }
}

/* Whether any of its subjects has enough rounds at this distance. */
static bool measured(const struct plan *plan, const struct comparison *comparison, enum distance distance)
{
    for (unsigned i = 0; i < comparison->subject_count; i++)
        if (comparison_figure(plan, comparison, i, distance).count >= ROUNDS_FEWEST)
            return true;
    return false;
}

static void print_memory(const struct ring_memory *memory)
{
    char capacity[32];
    printf("\nmemory: a ring of %s with %llu consumer slots takes %llu bytes, %llu more than its capacity;\n",
           size_text(memory->capacity, capacity), (unsigned long long)memory->slots, (unsigned long long)memory->memory,
           (unsigned long long)(memory->memory - memory->capacity));
    printf("  a slot %.0f bytes   target <= %.0f: %s\n", memory->per_slot, SLOT_BYTES_MOST,
           memory->per_slot <= SLOT_BYTES_MOST ? "reached" : "MISSED");
}

void report_text(const struct report *report)
{
    const struct plan *plan = report->plan;
    print_machine(report);
    printf("medians of %u rounds in random order, quartiles in brackets; ratios are taken within a round\n",
           plan->rounds_begun);
    if (!report->options->alone)
        printf("distance of the processors by round trip of a cache line: same core below %.0f ns, far from %.0f ns\n",
               SAME_CORE_BELOW_NS, FAR_FROM_NS);
    for (unsigned i = 0; i < plan->count; i++)
        for (int distance = 0; distance < DISTANCE_COUNT; distance++)
            if (measured(plan, &plan->comparisons[i], (enum distance)distance))
                print_comparison(plan, &plan->comparisons[i], (enum distance)distance);
    if (report->memory != NULL)
        print_memory(report->memory);
    printf("\nsamples: %u good; dropped: %u whose distance changed, %u that waited for a processor\n",
           plan->samples[OUTCOME_GOOD], plan->samples[OUTCOME_MOVED], plan->samples[OUTCOME_DISTURBED]);
}

/* What the kernel says of the machine holds no character that would end a string, save a stray quote. */
static void json_string(const char *key, const char *value)
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

static void json_summary(const char *key, struct summary summary)
{
    printf("\"%s\": {\"rounds\": %u", key, summary.count);
    if (summary.count > 0)
        printf(", \"median\": %.6g, \"q1\": %.6g, \"q3\": %.6g", summary.median, summary.q1, summary.q3);
    putchar('}');
}

static void json_subject(const struct plan *plan, const struct comparison *comparison, unsigned number,
                         enum distance distance)
{
    const struct subject *subject = &comparison->subjects[number];
    struct summary ratio = comparison_ratio(plan, comparison, number, 0, distance);
    printf("        {");
    json_string("name", subject->name);
    printf(", ");
    json_summary(comparison->unit == UNIT_TIME ? "ns" : "gigabytes_per_second",
                 comparison_figure(plan, comparison, number, distance));
    if (number > 0) {
        printf(", ");
        json_summary("ratio", ratio);
    }
    if (has_target(subject)) {
        printf(", \"target\": {\"%s\": %.2f, \"reached\": ", subject->at_most > 0 ? "at_most" : "at_least",
               subject->at_most > 0 ? subject->at_most : subject->at_least);
        printf("%s}", ratio.count < ROUNDS_FEWEST ? "null" : reached(subject, ratio.median) ? "true" : "false");
    }
    putchar('}');
}

static void json_comparison(const struct plan *plan, const struct comparison *comparison, enum distance distance)
{
    printf("    {");
    json_string("title", comparison->title);
    printf(", \"bytes\": %llu, ", (unsigned long long)comparison->size);
    json_string("distance", distance_name(distance));
    printf(", \"subjects\": [\n");
    for (unsigned i = 0; i < comparison->subject_count; i++) {
        json_subject(plan, comparison, i, distance);
        puts(i + 1 < comparison->subject_count ? "," : "");
    }
    printf("    ]}");
}

void report_json(const struct report *report)
{
    const struct machine *machine = report->machine;
    const struct plan *plan = report->plan;
    printf("{\n  ");
    json_string("command", report->command);
    printf(",\n  ");
    json_string("version", mapring_version());
    printf(",\n  \"machine\": {");
    json_string("model", machine->model);
    printf(", \"cores\": %d, \"virtual\": %s, ", machine->cores, machine->virtualised ? "true" : "false");
    json_string("caches", machine->caches);
    printf(", ");
    json_string("kernel", machine->kernel);
    printf(", ");
    json_string("clock", machine->clock);
    printf(", ");
    json_string("huge_pages", machine->huge_pages);
    printf("},\n  \"cpus\": [%d", report->options->cpus[0]);
    if (!report->options->alone)
        printf(", %d", report->options->cpus[1]);
    printf("],\n  \"capacity\": %llu,\n  \"rounds\": %u,\n", (unsigned long long)report->options->capacity,
           plan->rounds_begun);
    printf("  \"samples\": {\"good\": %u, \"moved\": %u, \"disturbed\": %u},\n", plan->samples[OUTCOME_GOOD],
           plan->samples[OUTCOME_MOVED], plan->samples[OUTCOME_DISTURBED]);
    if (report->memory != NULL)
        printf("  \"memory\": {\"capacity\": %llu, \"slots\": %llu, \"bytes\": %llu, \"bytes_per_slot\": %.1f},\n",
               (unsigned long long)report->memory->capacity, (unsigned long long)report->memory->slots,
               (unsigned long long)report->memory->memory, report->memory->per_slot);
    printf("  \"comparisons\": [");
    const char *separator = "\n";
    for (unsigned i = 0; i < plan->count; i++)
        for (int distance = 0; distance < DISTANCE_COUNT; distance++) {
            if (!measured(plan, &plan->comparisons[i], (enum distance)distance))
                continue;
            fputs(separator, stdout);
            json_comparison(plan, &plan->comparisons[i], (enum distance)distance);
            separator = ",\n";
        }
    printf("\n  ]\n}\n");
}
