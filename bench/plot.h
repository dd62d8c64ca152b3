/*
 * Plots in SVG, to stand in an HTML page that defines the colours.
 */
#ifndef MAPRING_BENCH_PLOT_H
#define MAPRING_BENCH_PLOT_H

#include <stdbool.h>
#include <stdio.h>

#define PLOT_POINTS 128u
#define PLOT_SERIES 24u

struct plot_series {
    const char *name;
    bool dashed; /* a limit */
    unsigned count;
    double x[PLOT_POINTS], y[PLOT_POINTS];
};

struct plot {
    const char *title;
    const char *x_label, *y_label;
    bool y_linear; /* from 0; else logarithmic, as x always is */
    const char *(*x_text)(double value, char text[32]);
    const char *(*y_text)(double value, char text[32]);
    double x_base; /* ticks at its powers */
    unsigned count;
    struct plot_series series[PLOT_SERIES];
};

/* The series of this name, made if need be; NULL if there is no room for another. */
struct plot_series *plot_series_of(struct plot *plot, const char *name, bool dashed);
/* Points may come in any order. */
void plot_point(struct plot_series *series, double x, double y);

/* Nothing if there are no points. */
void plot_draw(const struct plot *plot, FILE *file);

/* Text as HTML. */
void plot_text(const char *text, FILE *file);

#endif
