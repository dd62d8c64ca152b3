#include "report.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

const double percentiles[PERCENTILES] = {0.5, 0.9, 0.99, 0.999, 0.9999, 1};
const char *const percentile_names[PERCENTILES] = {"p50", "p90", "p99", "p99.9", "p99.99", "max"};

const char features_legend[] = "v any length, b broadcast, r reliable, s sleeps while it waits, i read in place; - not";

void features_text(unsigned features, char text[FEATURE_LETTERS])
{
    static const char letters[] = "vbrsi";
    for (unsigned i = 0; i + 1 < FEATURE_LETTERS; i++)
        text[i] = features & 1u << i ? letters[i] : '-';
    text[FEATURE_LETTERS - 1] = 0;
}

const char *size_text(uint64_t bytes, char text[32])
{
    if (bytes >= 1 << 20 && bytes % (1 << 20) == 0)
        snprintf(text, 32, "%llu MiB", (unsigned long long)bytes >> 20);
    else if (bytes >= 1 << 10 && bytes % (1 << 10) == 0)
        snprintf(text, 32, "%llu KiB", (unsigned long long)bytes >> 10);
    else
        snprintf(text, 32, "%llu B", (unsigned long long)bytes);
    return text;
}

const char *time_text(double ns, char text[32])
{
    if (ns < 1e3)
        snprintf(text, 32, "%.1f ns", ns);
    else if (ns < 1e6)
        snprintf(text, 32, "%.2f us", ns / 1e3);
    else
        snprintf(text, 32, "%.2f ms", ns / 1e6);
    return text;
}

const char *value_text(double value, char text[32])
{
    snprintf(text, 32, value < 0.095 ? "%.2g" : "%.2f", value);
    return text;
}

bool has_target(const struct subject *subject)
{
    return subject->at_most > 0 || subject->at_least > 0;
}

bool reached(const struct subject *subject, double ratio)
{
    return (subject->at_most <= 0 || ratio <= subject->at_most) &&
           (subject->at_least <= 0 || ratio >= subject->at_least);
}

/* Letters and digits stay, anything else becomes one dash. */
static void append_word(char *path, size_t size, const char *text)
{
    size_t used = strlen(path);
    for (; *text != 0 && used + 2 < size; text++) {
        if (isalnum((unsigned char)*text))
            path[used++] = *text;
        else if (used > 0 && path[used - 1] != '-' && path[used - 1] != '/')
            path[used++] = '-';
    }
    while (used > 0 && path[used - 1] == '-')
        used--;
    path[used] = 0;
}

static bool write_histogram(const char *folder, const struct comparison *comparison, const struct subject *subject,
                            enum distance distance)
{
    char path[512], bytes[32];
    const char *const words[] = {comparison->title, size_text(comparison->size, bytes), subject->name,
                                 distance_name(distance)};
    snprintf(path, sizeof path, "%.300s/", folder);
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        if (i > 0)
            strcat(path, ".");
        append_word(path, sizeof path - 8, words[i]);
    }
    strcat(path, ".hgrm");
    FILE *file = fopen(path, "w");
    if (file != NULL)
        histogram_write(subject->recorded[distance], file);
    if (file != NULL && fclose(file) == 0)
        return true;
    fprintf(stderr, "mapring-bench: cannot write %s: %s\n", path, strerror(errno));
    return false;
}

bool report_hdr(const struct report *report, const char *folder)
{
    const struct plan *plan = report->plan;
    bool good = true;
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "mapring-bench: cannot make %s: %s\n", folder, strerror(errno));
        return false;
    }
    for (unsigned i = 0; i < plan->count; i++)
        for (unsigned j = 0; j < plan->comparisons[i].subject_count; j++)
            for (int distance = 0; distance < DISTANCE_COUNT; distance++)
                if (plan->comparisons[i].subjects[j].recorded[distance] != NULL)
                    good &= write_histogram(folder, &plan->comparisons[i], &plan->comparisons[i].subjects[j],
                                            (enum distance)distance);
    return good;
}
