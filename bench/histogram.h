/*
 * Histograms of durations: buckets whose width is at most 1/128 of their values.
 */
#ifndef MAPRING_BENCH_HISTOGRAM_H
#define MAPRING_BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_HALF_BITS 7u
#define HISTOGRAM_HALF (1u << HISTOGRAM_HALF_BITS)
#define HISTOGRAM_TOP_BITS 40u /* 2^40 ns are 18 minutes */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_TOP_BITS - HISTOGRAM_HALF_BITS + 1) * HISTOGRAM_HALF)

struct histogram {
    uint64_t total;
    uint64_t longest;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

/* Values below 256 have a bucket each; above, 128 buckets share every power of two. */
static inline unsigned histogram_bucket(uint64_t ns)
{
    if (ns < 2 * HISTOGRAM_HALF)
        return (unsigned)ns;
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - HISTOGRAM_HALF_BITS;
    unsigned bucket = shift * HISTOGRAM_HALF + (unsigned)(ns >> shift);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static inline void histogram_record(struct histogram *histogram, uint64_t ns)
{
    histogram->counts[histogram_bucket(ns)]++;
    histogram->total++;
    if (ns > histogram->longest)
        histogram->longest = ns;
}

void histogram_clear(struct histogram *histogram);
void histogram_add(struct histogram *sum, const struct histogram *histogram);

/* The largest value of the bucket in which the share (0 to 1) of all values is reached, at most the longest. */
double histogram_quantile(const struct histogram *histogram, double share);

/* The percentile distribution in the text format of HdrHistogram, in microseconds, for its plotter. */
void histogram_write(const struct histogram *histogram, FILE *file);

#endif
