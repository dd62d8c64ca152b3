#include <errno.h>
#include <math.h>
#include <string.h>

#include "plot.h"
#include "report.h"

static const char style[] =
    ":root{--paper:#fff;--ink:#1b1f24;--dim:#59636e;--line:#d8dee4;--bad:#b42318;\n"
    "--c0:#1f6feb;--c1:#d1242f;--c2:#1a7f37;--c3:#9a6700;--c4:#8250df;--c5:#0e7490;--c6:#bf3989;--c7:#57606a;\n"
    "--c8:#bc4c00;--c9:#4d7c0f;--c10:#3730a3;--c11:#1b1f24;--c12:#7c2d12;--c13:#db2777}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#0d1117;--ink:#e6edf3;--dim:#9198a1;--line:#30363d;--bad:#ff7b72;"
    "\n"
    "--c0:#58a6ff;--c1:#ff7b72;--c2:#56d364;--c3:#e3b341;--c4:#bc8cff;--c5:#39c5cf;--c6:#f778ba;--c7:#b1bac4;\n"
    "--c8:#ffa657;--c9:#a5d6a7;--c10:#a5b4fc;--c11:#e6edf3;--c12:#c08457;--c13:#f9a8d4}}\n"
    "body{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif;margin:2rem auto;\n"
    "max-width:980px;padding:0 1rem}\n"
    "h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem;border-bottom:1px solid var(--line)}h3{font-size:1rem}\n"
    "p.dim,td.dim{color:var(--dim)}.bad{color:var(--bad)}\n"
    "figure{margin:1.5rem 0}figcaption{font-weight:600}\n"
    "svg.plot{width:100%;height:auto}svg text{fill:var(--dim);font-size:12px;font-family:inherit}\n"
    "svg .grid{stroke:var(--line);stroke-width:1}\n"
    "svg polyline{fill:none;stroke-width:2;stroke:currentColor}svg circle{fill:currentColor}\n"
    "svg .limit polyline{stroke-dasharray:5 4}\n"
    ".s0{color:var(--c0)}.s1{color:var(--c1)}.s2{color:var(--c2)}.s3{color:var(--c3)}.s4{color:var(--c4)}\n"
    ".s5{color:var(--c5)}.s6{color:var(--c6)}.s7{color:var(--c7)}.s8{color:var(--c8)}.s9{color:var(--c9)}\n"
    ".s10{color:var(--c10)}.s11{color:var(--c11)}.s12{color:var(--c12)}.s13{color:var(--c13)}\n"
    "ul.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;margin:.3rem 0;padding:0;font-size:13px}\n"
    "ul.legend svg{width:26px;height:10px;margin-right:.4rem;vertical-align:middle}\n"
    ".table{overflow-x:auto;margin-bottom:1rem}table{border-collapse:collapse;width:100%;font-size:13px;font-variant-"
    "numeric:tabular-nums}"
    "\n"
    "th,td{padding:.2rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}\n"
    "th:first-child,td:first-child{text-align:left}td.why{text-align:left;white-space:normal;color:var(--bad)}\n"
    "details{margin:.6rem 0}summary{cursor:pointer}\n";

static const char *bytes_tick(double value, char text[32])
{
    return size_text((uint64_t)(value + 0.5), text);
}

static const char *plain_tick(double value, char text[32])
{
    snprintf(text, 32, "%.4g", value);
    return text;
}

static const char *time_tick(double ns, char text[32])
{
    const char *unit = ns < 1e3 ? "ns" : ns < 1e6 ? "us" : "ms";
    snprintf(text, 32, "%.4g %s", ns < 1e3 ? ns : ns < 1e6 ? ns / 1e3 : ns / 1e6, unit);
    return text;
}

/* x counts how far from certainty a share is: 1/(1 - share). */
static const char *share_tick(double value, char text[32])
{
    snprintf(text, 32, value <= 1 ? "0 %%" : "%.6g %%", 100 - 100 / value);
    return text;
}

/* What the plots of one title at one distance have in common. */
struct view {
    const struct plan *plan;
    enum distance distance;
    FILE *file;
};

static bool has_figure(const struct view *view, const struct comparison *comparison, unsigned subject,
                       struct summary *figure)
{
    *figure = comparison_figure(view->plan, comparison, subject, view->distance);
    return figure->count >= ROUNDS_FEWEST;
}

static bool same_title(const struct comparison *one, const struct comparison *other)
{
    return strcmp(one->title, other->title) == 0 && one->unit == other->unit;
}

static bool is_first_of_title(const struct plan *plan, unsigned number)
{
    for (unsigned i = 0; i < number; i++)
        if (same_title(&plan->comparisons[i], &plan->comparisons[number]))
            return false;
    return true;
}

static void draw_by_size(const struct view *view, const struct comparison *first)
{
    bool rate = first->unit == UNIT_RATE;
    struct plot plot = {.title = rate ? "throughput by size" : "time by size",
                        .x_label = "bytes in a message",
                        .y_label = rate ? "GB/s" : "time",
                        .x_text = bytes_tick,
                        .y_text = rate ? plain_tick : time_tick,
                        .x_base = 2};
    for (unsigned i = 0; i < view->plan->count; i++) {
        const struct comparison *comparison = &view->plan->comparisons[i];
        unsigned limit = comparison_limit(view->plan, comparison, view->distance);
        for (unsigned j = 0; same_title(first, comparison) && j < comparison->subject_count; j++) {
            const struct subject *subject = &comparison->subjects[j];
            struct summary figure;
            /* Of the limits only the best. */
            if ((subject->is_limit && j != limit) || !has_figure(view, comparison, j, &figure))
                continue;
            const char *name = subject->is_limit ? "the limit" : subject->name;
            plot_point(plot_series_of(&plot, name, subject->is_limit), (double)comparison->size, figure.median);
        }
    }
    plot_draw(&plot, view->file);
}

static void draw_distance_to_limit(const struct view *view, const struct comparison *first)
{
    bool rate = first->unit == UNIT_RATE;
    struct plot plot = {.title = rate ? "distance to the limit: throughput, as a share of the best limit"
                                      : "distance to the limit: time, as a multiple of the best limit",
                        .x_label = "bytes in a message",
                        .y_label = rate ? "of the limit" : "times the limit",
                        .y_linear = true,
                        .x_text = bytes_tick,
                        .y_text = plain_tick,
                        .x_base = 2};
    for (unsigned i = 0; i < view->plan->count; i++) {
        const struct comparison *comparison = &view->plan->comparisons[i];
        unsigned limit = comparison_limit(view->plan, comparison, view->distance);
        if (!same_title(first, comparison) || limit == SUBJECTS_MAX)
            continue;
        for (unsigned j = 0; j < comparison->subject_count; j++) {
            struct summary ratio = comparison_ratio(view->plan, comparison, j, limit, view->distance);
            if (!comparison->subjects[j].is_limit && ratio.count >= ROUNDS_FEWEST)
                plot_point(plot_series_of(&plot, comparison->subjects[j].name, false), (double)comparison->size,
                           ratio.median);
        }
    }
    plot_draw(&plot, view->file);
}

static void draw_axis(const struct view *view, const struct comparison *comparison)
{
    char title[160], size[32];
    bool rate = comparison->unit == UNIT_RATE, bytes = strcmp(comparison->axis, "capacity") == 0;
    snprintf(title, sizeof title, "%s, %s", comparison->title, size_text(comparison->size, size));
    struct plot plot = {.title = title,
                        .x_label = comparison->axis,
                        .y_label = rate ? "million messages a second" : "time",
                        .x_text = bytes ? bytes_tick : plain_tick,
                        .y_text = rate ? plain_tick : time_tick,
                        .x_base = 2};
    static const char *const series_names[DISTANCE_COUNT] = {"processors shared", "processors: one core",
                                                             "processors near", "processors far"};
    for (int distance = 0; distance < DISTANCE_COUNT; distance++)
        for (unsigned i = 0; i < comparison->subject_count; i++) {
            struct summary figure = comparison_figure(view->plan, comparison, i, (enum distance)distance);
            const struct subject *subject = &comparison->subjects[i];
            if (figure.count < ROUNDS_FEWEST)
                continue;
            double y = rate ? figure.median * 1e3 / (double)subject->job.size : figure.median;
            plot_point(plot_series_of(&plot, series_names[distance], false), (double)subject->x, y);
        }
    plot_draw(&plot, view->file);
}

static void draw_percentiles(const struct view *view, const struct comparison *comparison)
{
    char title[160], size[32];
    snprintf(title, sizeof title, "%s, %s", comparison->title, size_text(comparison->size, size));
    struct plot plot = {.title = title,
                        .x_label = "share of all that took at most",
                        .y_label = "time",
                        .x_text = share_tick,
                        .y_text = time_tick,
                        .x_base = 10};
    for (unsigned i = 0; i < comparison->subject_count; i++) {
        const struct subject *subject = &comparison->subjects[i];
        const struct histogram *histogram = subject->recorded[view->distance];
        if (histogram == NULL || histogram->total == 0)
            continue;
        struct plot_series *series = plot_series_of(&plot, subject->name, subject->is_limit);
        double last = (double)histogram->total < 1e5 ? (double)histogram->total : 1e5;
        for (double rest = 1; rest <= last; rest *= 1.2)
            plot_point(series, rest, histogram_quantile(histogram, 1 - 1 / rest));
    }
    plot_draw(&plot, view->file);
}

static void put_row(const struct view *view, const struct comparison *comparison, unsigned number)
{
    const struct subject *subject = &comparison->subjects[number];
    FILE *file = view->file;
    struct summary figure;
    char features[FEATURE_LETTERS], text[32], median[32], q1[32], q3[32];
    features_text(subject->features, features);
    fputs("<tr><td>", file);
    plot_text(subject->name, file);
    fprintf(file, "</td><td>%s</td>", subject->features & FEATURES_KNOWN ? features : "");
    if (!has_figure(view, comparison, number, &figure)) {
        const char *reason = subject_reason(subject);
        fputs("<td class=\"why\" colspan=\"5\">not measured", file);
        if (reason != NULL) {
            fputs(": ", file);
            plot_text(reason, file);
        }
        fputs("</td></tr>\n", file);
        return;
    }
    struct summary ratio = comparison_ratio(view->plan, comparison, number, 0, view->distance);
    unsigned limit = comparison_limit(view->plan, comparison, view->distance);
    if (comparison->unit == UNIT_RATE)
        fprintf(file, "<td>%s M/s</td><td>%s GB/s (%s to %s)</td>",
                value_text(figure.median * 1e3 / (double)subject->job.size, text), value_text(figure.median, median),
                value_text(figure.q1, q1), value_text(figure.q3, q3));
    else
        fprintf(file, "<td>%s</td><td>%.1f to %.1f ns</td>", time_text(figure.median, text), figure.q1, figure.q3);
    if (number > 0 && ratio.count >= ROUNDS_FEWEST)
        fprintf(file, "<td>%s (%s to %s)</td>", value_text(ratio.median, median), value_text(ratio.q1, q1),
                value_text(ratio.q3, q3));
    else
        fputs("<td></td>", file);
    struct summary of_limit = {0};
    if (limit != SUBJECTS_MAX && limit != number)
        of_limit = comparison_ratio(view->plan, comparison, number, limit, view->distance);
    if (of_limit.count >= ROUNDS_FEWEST)
        fprintf(file, "<td>%s</td>", value_text(of_limit.median, text));
    else
        fputs("<td></td>", file);
    struct summary lost = comparison_lost(view->plan, comparison, number, view->distance);
    if (lost.q3 > 0)
        fprintf(file, "<td class=\"dim\">%u, lost %.2g %%</td></tr>\n", figure.count, 100 * lost.median);
    else
        fprintf(file, "<td class=\"dim\">%u</td></tr>\n", figure.count);
}

static void put_percentile_table(const struct view *view, const struct comparison *comparison)
{
    FILE *file = view->file;
    fputs("<div class=\"table\"><table><tr><th></th>", file);
    for (unsigned i = 0; i < PERCENTILES; i++)
        fprintf(file, "<th>%s</th>", percentile_names[i]);
    fputs("<th>rate</th><th>values</th></tr>\n", file);
    for (unsigned i = 0; i < comparison->subject_count; i++) {
        const struct subject *subject = &comparison->subjects[i];
        const struct histogram *histogram = subject->recorded[view->distance];
        char text[32];
        if (histogram == NULL || histogram->total == 0)
            continue;
        fputs("<tr><td>", file);
        plot_text(subject->name, file);
        fputs("</td>", file);
        for (unsigned p = 0; p < PERCENTILES; p++)
            fprintf(file, "<td>%s</td>", time_text(histogram_quantile(histogram, percentiles[p]), text));
        if (subject->job.interval_ns > 0)
            fprintf(file, "<td>%.2f M/s</td>", 1e3 / subject->job.interval_ns);
        else
            fputs("<td></td>", file);
        fprintf(file, "<td class=\"dim\">%llu</td></tr>\n", (unsigned long long)histogram->total);
    }
    fputs("</table></div>\n", file);
}

static void put_table(const struct view *view, const struct comparison *comparison)
{
    FILE *file = view->file;
    char size[32];
    fputs("<h3>", file);
    plot_text(comparison->title, file);
    fprintf(file, ", %s%s</h3>\n", comparison->size > 0 ? "" : "ring of ",
            size_text(comparison->size > 0 ? comparison->size : comparison->capacity, size));
    if (comparison->note != NULL) {
        fputs("<p class=\"dim\">", file);
        plot_text(comparison->note, file);
        fputs("</p>\n", file);
    }
    if (comparison_tells_features(comparison))
        fprintf(file, "<p class=\"dim\">%s</p>\n", features_legend);
    fputs("<div class=\"table\"><table><tr><th></th><th></th><th>median</th><th>quartiles</th><th>of ", file);
    plot_text(comparison->subjects[0].name, file);
    fputs("</th><th>of the limit</th><th>rounds</th></tr>\n", file);
    for (unsigned i = 0; i < comparison->subject_count; i++)
        if (comparison_tells(view->plan, comparison, i, view->distance))
            put_row(view, comparison, i);
    fputs("</table></div>\n", file);
    if (comparison->unit == UNIT_LATENCY)
        put_percentile_table(view, comparison);
}

static bool any_at(const struct view *view, const struct comparison *first, unsigned *count)
{
    bool any = false;
    *count = 0;
    for (unsigned i = 0; i < view->plan->count; i++)
        if (same_title(first, &view->plan->comparisons[i])) {
            any |= comparison_measured(view->plan, &view->plan->comparisons[i], view->distance);
            *count += 1;
        }
    return any;
}

/* A plot over subjects shows all distances, once. */
static bool is_first_distance(const struct view *view, const struct comparison *comparison)
{
    for (int distance = 0; distance < (int)view->distance; distance++)
        if (comparison_measured(view->plan, comparison, (enum distance)distance))
            return false;
    return true;
}

static void put_title(const struct view *view, const struct comparison *first)
{
    unsigned count;
    FILE *file = view->file;
    if (!any_at(view, first, &count))
        return;
    fputs("<h2>", file);
    plot_text(first->title, file);
    if (view->distance != DISTANCE_NONE)
        fprintf(file, " (processors %s)", distance_name(view->distance));
    fputs("</h2>\n", file);
    if (count > 1 && first->axis == NULL && first->unit != UNIT_LATENCY) {
        draw_by_size(view, first);
        draw_distance_to_limit(view, first);
    }
    for (unsigned i = 0; i < view->plan->count; i++) {
        const struct comparison *comparison = &view->plan->comparisons[i];
        if (!same_title(first, comparison))
            continue;
        if (comparison->axis != NULL && is_first_distance(view, comparison))
            draw_axis(view, comparison);
        if (comparison->unit == UNIT_LATENCY)
            draw_percentiles(view, comparison);
        put_table(view, comparison);
    }
}

static void put_head(const struct report *report, FILE *file)
{
    const struct machine *machine = report->machine;
    const struct options *options = report->options;
    char capacity[32];
    fprintf(file,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" "
            "content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\n"
            "<title>mapring-bench %s</title>\n<style>\n%s</style></head><body>\n<h1>mapring-bench %s</h1>\n<p>",
            report->command, style, report->command);
    plot_text(machine->model, file);
    fprintf(file, ", %d cores%s, %s, clock %s. %s, mitigations: %s. ", machine->cores,
            machine->virtualised ? " (virtual)" : "", machine->caches, machine->clock, machine->kernel,
            machine->mitigations[0] == 0 ? "none" : machine->mitigations);
    fprintf(file, "mapring %s, ring of %s, ", mapring_version(), size_text(options->capacity, capacity));
    if (run_unpinned() != NULL) {
        fprintf(file, "<span class=\"bad\">not pinned (%s)</span>.</p>\n", run_unpinned());
    } else {
        fputs("processes pinned to processors", file);
        for (unsigned i = 0; i < options->cpu_count; i++)
            fprintf(file, "%s %d", i == 0 ? "" : ",", options->cpus[i]);
        fputs(".</p>\n", file);
    }
    fprintf(file,
            "<p class=\"dim\">Medians of %u rounds in random order, quartiles beside them; ratios are taken "
            "within a round. Dashed: what the machine does without mapring. %u samples are good; dropped were "
            "%u whose processors moved, and %u that waited for one.%s</p>\n",
            report->plan->rounds_begun, report->plan->samples[OUTCOME_GOOD], report->plan->samples[OUTCOME_MOVED],
            report->plan->samples[OUTCOME_DISTURBED], run_interrupted() ? " The run was interrupted." : "");
}

bool report_html(const struct report *report, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file != NULL) {
        put_head(report, file);
        for (unsigned i = 0; i < report->plan->count; i++)
            for (int distance = 0; distance < DISTANCE_COUNT && is_first_of_title(report->plan, i); distance++) {
                struct view view = {.plan = report->plan, .distance = (enum distance)distance, .file = file};
                put_title(&view, &report->plan->comparisons[i]);
            }
        fputs("</body></html>\n", file);
    }
    if (file != NULL && fclose(file) == 0)
        return true;
    fprintf(stderr, "mapring-bench: cannot write %s: %s\n", path, strerror(errno));
    return false;
}
