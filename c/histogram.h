/*
 * histogram.h: times counted in constant memory, each to within a thousandth of it: the layout of
 * HdrHistogram with three digits. Below 1024 ns a bucket is one nanosecond wide; above, each power
 * of two has 1024 buckets.
 */
#ifndef ZC_HISTOGRAM_H
#define ZC_HISTOGRAM_H

#include <stdint.h>

#include "zc.h"

static inline void histogram_add(uint64_t *counts, int64_t ns)
{
    counts[zc_histogram_bucket(ns)]++;
}

#endif
