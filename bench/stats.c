#include <stdlib.h>

#include "bench.h"

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Between the two values nearest to the place. */
static double quantile(const double *sorted, unsigned count, double share)
{
    double place = share * (count - 1);
    unsigned below = (unsigned)place;
    unsigned above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

struct summary summarise(double *values, unsigned count)
{
    if (count == 0)
        return (struct summary){0};
    qsort(values, count, sizeof *values, by_value);
    return (struct summary){
        .count = count,
        .q1 = quantile(values, count, 0.25),
        .median = quantile(values, count, 0.5),
        .q3 = quantile(values, count, 0.75),
    };
}
