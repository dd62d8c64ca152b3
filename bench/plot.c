#include "plot.h"

#include <math.h>
#include <string.h>

#define WIDTH 760.0
#define HEIGHT 360.0
#define LEFT 80.0
#define RIGHT 20.0
#define TOP 14.0
#define BOTTOM 46.0
#define COLOURS 14u

/* From values to places on the sheet. */
struct scale {
    double low, high;     /* logarithms where logarithmic */
    double begin, length; /* on the sheet */
    bool linear;
};

struct plot_series *plot_series_of(struct plot *plot, const char *name, bool dashed)
{
    for (unsigned i = 0; i < plot->count; i++)
        if (strcmp(plot->series[i].name, name) == 0)
            return &plot->series[i];
    if (plot->count == PLOT_SERIES)
        return NULL;
    struct plot_series *series = &plot->series[plot->count++];
    series->name = name;
    series->dashed = dashed;
    series->count = 0;
    return series;
}

void plot_point(struct plot_series *series, double x, double y)
{
    if (series == NULL || series->count == PLOT_POINTS || !(x > 0) || !(y > 0))
        return;
    unsigned at = series->count++;
    for (; at > 0 && series->x[at - 1] > x; at--) {
        series->x[at] = series->x[at - 1];
        series->y[at] = series->y[at - 1];
    }
    series->x[at] = x;
    series->y[at] = y;
}

void plot_text(const char *text, FILE *file)
{
    for (; *text != 0; text++) {
        if (*text == '<')
            fputs("&lt;", file);
        else if (*text == '&')
            fputs("&amp;", file);
        else if (*text == '"')
            fputs("&quot;", file);
        else
            fputc(*text, file);
    }
}

static double place(const struct scale *scale, double value)
{
    double at = scale->linear ? value : log10(value);
    return scale->begin + (at - scale->low) / (scale->high - scale->low) * scale->length;
}

static void widen(struct scale *scale, double value)
{
    double at = scale->linear ? value : log10(value);
    if (at < scale->low)
        scale->low = at;
    if (at > scale->high)
        scale->high = at;
}

static void find_scales(const struct plot *plot, struct scale *x, struct scale *y)
{
    *x = (struct scale){.low = INFINITY, .high = -INFINITY, .begin = LEFT, .length = WIDTH - LEFT - RIGHT};
    *y = (struct scale){.low = INFINITY, .high = -INFINITY, .linear = plot->y_linear};
    y->begin = HEIGHT - BOTTOM;
    y->length = TOP - y->begin;
    if (plot->y_linear)
        y->low = 0;
    for (unsigned i = 0; i < plot->count; i++)
        for (unsigned j = 0; j < plot->series[i].count; j++) {
            widen(x, plot->series[i].x[j]);
            widen(y, plot->series[i].y[j]);
        }
    if (x->low == x->high)
        x->low -= 0.5, x->high += 0.5;
    if (y->low == y->high)
        y->low -= 0.5, y->high += 0.5;
    double margin = (y->high - y->low) * 0.06;
    y->high += margin;
    if (!plot->y_linear)
        y->low -= margin;
}

static void draw_x_tick(const struct plot *plot, const struct scale *x, double value, FILE *file)
{
    char text[32];
    double at = place(x, value);
    fprintf(file, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", at, at, TOP,
            HEIGHT - BOTTOM);
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", at, HEIGHT - BOTTOM + 17);
    plot_text(plot->x_text(value, text), file);
    fputs("</text>\n", file);
}

static void draw_y_tick(const struct plot *plot, const struct scale *y, double value, FILE *file)
{
    char text[32];
    double at = place(y, value);
    fprintf(file, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH - RIGHT, at,
            at);
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 7, at + 4);
    plot_text(plot->y_text(value, text), file);
    fputs("</text>\n", file);
}

/* Ticks at powers of the base, at every so manieth if there would be too many. */
static void draw_x_ticks(const struct plot *plot, const struct scale *x, FILE *file)
{
    double step = log10(plot->x_base);
    double every = ceil((x->high - x->low) / step / 10);
    for (double power = ceil(x->low / step - 1e-9); power * step <= x->high + 1e-9; power += every < 1 ? 1 : every)
        draw_x_tick(plot, x, pow(plot->x_base, power), file);
}

static void draw_linear_ticks(const struct plot *plot, const struct scale *y, FILE *file)
{
    double step = pow(10, floor(log10(y->high)));
    step = y->high / step < 2 ? step / 5 : y->high / step < 5 ? step / 2 : step;
    for (double value = 0; value <= y->high; value += step)
        draw_y_tick(plot, y, value, file);
}

static void draw_y_ticks(const struct plot *plot, const struct scale *y, FILE *file)
{
    static const double coarse[] = {1, 2, 5}, fine[] = {1, 1.5, 2, 3, 4, 5, 6, 8};
    if (plot->y_linear) {
        draw_linear_ticks(plot, y, file);
        return;
    }
    /* Over many powers of ten, those alone. */
    double powers = y->high - y->low;
    const double *parts = powers > 1 ? coarse : fine;
    unsigned count = powers > 2.5 ? 1 : powers > 1 ? 3 : 8;
    for (double power = floor(y->low); power <= ceil(y->high); power++)
        for (unsigned i = 0; i < count; i++) {
            double at = power + log10(parts[i]);
            if (at >= y->low && at <= y->high)
                draw_y_tick(plot, y, pow(10, at), file);
        }
}

static void draw_series(const struct plot *plot, unsigned number, const struct scale *x, const struct scale *y,
                        FILE *file)
{
    const struct plot_series *series = &plot->series[number];
    fprintf(file, "<g class=\"s%u%s\"><polyline points=\"", number % COLOURS, series->dashed ? " limit" : "");
    for (unsigned i = 0; i < series->count; i++)
        fprintf(file, "%.1f,%.1f ", place(x, series->x[i]), place(y, series->y[i]));
    fputs("\"/>\n", file);
    for (unsigned i = 0; i < series->count && series->count <= 24; i++) {
        char text[32];
        fprintf(file, "<circle r=\"3\" cx=\"%.1f\" cy=\"%.1f\"><title>", place(x, series->x[i]),
                place(y, series->y[i]));
        plot_text(series->name, file);
        fprintf(file, ", %s: ", plot->x_text(series->x[i], text));
        fprintf(file, "%s</title></circle>\n", plot->y_text(series->y[i], text));
    }
    fputs("</g>\n", file);
}

static void draw_legend(const struct plot *plot, FILE *file)
{
    fputs("<ul class=\"legend\">", file);
    for (unsigned i = 0; i < plot->count; i++) {
        if (plot->series[i].count == 0)
            continue;
        fprintf(file, "<li><svg viewBox=\"0 0 26 10\"><g class=\"s%u%s\"><polyline points=\"0,5 26,5\"/></g></svg>",
                i % COLOURS, plot->series[i].dashed ? " limit" : "");
        plot_text(plot->series[i].name, file);
        fputs("</li>", file);
    }
    fputs("</ul>\n", file);
}

void plot_draw(const struct plot *plot, FILE *file)
{
    unsigned points = 0;
    for (unsigned i = 0; i < plot->count; i++)
        points += plot->series[i].count;
    if (points == 0)
        return;
    struct scale x, y;
    find_scales(plot, &x, &y);
    fputs("<figure><figcaption>", file);
    plot_text(plot->title, file);
    fprintf(file, "</figcaption>\n<svg class=\"plot\" viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n", WIDTH, HEIGHT);
    draw_x_ticks(plot, &x, file);
    draw_y_ticks(plot, &y, file);
    for (unsigned i = 0; i < plot->count; i++)
        draw_series(plot, i, &x, &y, file);
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8);
    plot_text(plot->x_label, file);
    fprintf(file, "</text><text transform=\"translate(14 %.1f) rotate(-90)\" text-anchor=\"middle\">",
            (TOP + HEIGHT - BOTTOM) / 2);
    plot_text(plot->y_label, file);
    fputs("</text></svg>\n", file);
    draw_legend(plot, file);
    fputs("</figure>\n", file);
}
