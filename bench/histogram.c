#include "histogram.h"

#include <math.h>
#include <string.h>

/* As HdrHistogram's own writer: this many lines for every halving of what is left to 100 %. */
#define TICKS_PER_HALF 5u

void histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}

void histogram_add(struct histogram *sum, const struct histogram *histogram)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        sum->counts[i] += histogram->counts[i];
    sum->total += histogram->total;
    if (histogram->longest > sum->longest)
        sum->longest = histogram->longest;
}

static uint64_t bucket_first(unsigned bucket)
{
    if (bucket < 2 * HISTOGRAM_HALF)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_HALF - 1;
    return (uint64_t)(HISTOGRAM_HALF + bucket % HISTOGRAM_HALF) << shift;
}

static uint64_t bucket_last(const struct histogram *histogram, unsigned bucket)
{
    uint64_t last = bucket + 1 < HISTOGRAM_BUCKETS ? bucket_first(bucket + 1) - 1 : UINT64_MAX;
    return last < histogram->longest ? last : histogram->longest;
}

double histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)histogram->total), seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen > 0 && seen >= wanted)
            return (double)bucket_last(histogram, i);
    }
    return 0;
}

static void write_line(FILE *file, double us, double share, uint64_t seen)
{
    if (share < 1)
        fprintf(file, "%12.3f %2.12f %10llu %14.2f\n", us, share, (unsigned long long)seen, 1 / (1 - share));
    else
        fprintf(file, "%12.3f %2.12f %10llu\n", us, share, (unsigned long long)seen);
}

/* The next share to have a line, after this one. */
static double next_tick(double share)
{
    double half = floor(log2(1 / (1 - share))) + 1;
    return share + 1 / (TICKS_PER_HALF * exp2(half));
}

static void write_lines(const struct histogram *histogram, FILE *file)
{
    uint64_t seen = 0;
    double tick = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS && seen < histogram->total; i++) {
        if (histogram->counts[i] == 0)
            continue;
        seen += histogram->counts[i];
        double us = (double)bucket_last(histogram, i) / 1e3;
        double reached = (double)seen / (double)histogram->total;
        while (tick <= reached && seen < histogram->total) {
            write_line(file, us, tick, seen);
            tick = next_tick(tick);
        }
        if (seen == histogram->total)
            write_line(file, us, 1, seen);
    }
}

void histogram_write(const struct histogram *histogram, FILE *file)
{
    double sum = 0, squares = 0, total = (double)histogram->total;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (histogram->counts[i] == 0)
            continue;
        double us = (double)(bucket_first(i) + bucket_last(histogram, i)) / 2e3;
        sum += us * (double)histogram->counts[i];
        squares += us * us * (double)histogram->counts[i];
    }
    double mean = total > 0 ? sum / total : 0;
    double variance = total > 0 ? squares / total - mean * mean : 0;
    fprintf(file, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    write_lines(histogram, file);
    fprintf(file, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean, variance > 0 ? sqrt(variance) : 0);
    fprintf(file, "#[Max     = %12.3f, Total count    = %12llu]\n", (double)histogram->longest / 1e3,
            (unsigned long long)histogram->total);
    fprintf(file, "#[Buckets = %12u, SubBuckets     = %12u]\n", HISTOGRAM_TOP_BITS - HISTOGRAM_HALF_BITS,
            2 * HISTOGRAM_HALF);
}
