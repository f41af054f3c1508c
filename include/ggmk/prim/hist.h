/* SPDX-License-Identifier: MIT
 * Log-linear histogram of 64-bit values: 16 buckets for each power of two.
 * Floor: F1. One block of words, no pointers: all-zero memory is an empty histogram.
 * Invariants: bucket b < 16 holds the value b alone. Bucket b >= 16, with e = b / 16 + 3
 *   and s = b % 16, holds (16 + s) << (e - 4) .. ((17 + s) << (e - 4)) - 1; its width
 *   2^(e-4) is at most 1/16 of its least value, so an upper bound is less than 1/16 of
 *   the value above it. The last bucket ends at 2^64 - 1.
 * Threads: record, merge into and setup by the one writer, or record_shared by any
 *   number of them (one kind of record for a histogram's life); every other call from
 *   any thread meanwhile: each word is then a recent value, and the words need not be of
 *   one instant. Wait-free but for record_shared's extremes, which are lock-free.
 * Source: G. Tene, HdrHistogram (the bucket layout); ARCHITECTURE R10. */
#ifndef GGMK_PRIM_HIST_H
#define GGMK_PRIM_HIST_H

#include "ggmk/base/atomic.h"
#include "ggmk/base/bits.h"

#define GMK_HIST_SUB_LOG2 4u
#define GMK_HIST_SUB (1u << GMK_HIST_SUB_LOG2)
#define GMK_HIST_BUCKETS ((64u - GMK_HIST_SUB_LOG2 + 1u) * GMK_HIST_SUB)

typedef struct gmk_hist {
    GMK_ALIGNAS(GMK_CACHE_LINE) gmk_a64_t count;
    gmk_a64_t sum;       /* modulo 2^64 */
    gmk_a64_t max;       /* 0 while empty */
    gmk_a64_t min_compl; /* ~min, so that 0 stands for "none yet" */
    gmk_a64_t bucket[GMK_HIST_BUCKETS];
} gmk_hist_t;

GMK_STATIC_ASSERT(GMK_HIST_BUCKETS == 976, "16 exact values and 60 powers of two of 16");

/* Makes h empty. threads: the writer, before others read; zeroed memory needs none. */
GMK_FN void gmk_hist_setup(gmk_hist_t *h)
{
    h->count = 0;
    h->sum = 0;
    h->max = 0;
    h->min_compl = 0;
    for (uint32_t b = 0; b < GMK_HIST_BUCKETS; b++)
        h->bucket[b] = 0;
}

/* The bucket of a value. */
GMK_FN uint32_t gmk_hist_bucket(uint64_t value)
{
    uint32_t e;

    if (value < GMK_HIST_SUB)
        return (uint32_t)value;
    e = 63u - (uint32_t)__builtin_clzll(value);
    /* value >> (e - 4) is 16 + s, and the 16 is the step from e - 4 to e - 3 */
    return (e - GMK_HIST_SUB_LOG2) * GMK_HIST_SUB + (uint32_t)(value >> (e - GMK_HIST_SUB_LOG2));
}

/* The greatest value of a bucket. pre: b < GMK_HIST_BUCKETS. */
GMK_FN uint64_t gmk_hist_upper(uint32_t b)
{
    if (b < GMK_HIST_SUB)
        return b;
    /* the last bucket shifts 32 by 59: 2^64 is 0, and 0 - 1 is the greatest value */
    return ((uint64_t)(GMK_HIST_SUB + b % GMK_HIST_SUB + 1) << (b / GMK_HIST_SUB - 1)) - 1;
}

/* Raises a single-writer word to v, if it is below. */
GMK_FN void gmk_hist_raise(gmk_a64_t *word, uint64_t v)
{
    if (v > gmk_load_rlx(word, GMK_DEV)) /* relaxed: the writer's own */
        gmk_store_rlx(word, v, GMK_DEV); /* relaxed: a statistic */
}

/* Counts a value. threads: the writer. cost: three stores, five at a new extreme. */
GMK_FN void gmk_hist_record(gmk_hist_t *h, uint64_t value)
{
    gmk_count_add(&h->bucket[gmk_hist_bucket(value)], 1);
    gmk_count_add(&h->count, 1);
    gmk_count_add(&h->sum, value);
    gmk_hist_raise(&h->max, value);
    gmk_hist_raise(&h->min_compl, ~value);
}

/* Raises a word that others raise too. A loop ends when the word is high enough, and each
 * lost race has made it higher. */
GMK_FN void gmk_hist_raise_shared(gmk_a64_t *word, uint64_t v)
{
    uint64_t have = gmk_load_rlx(word, GMK_DEV); /* relaxed: the step below decides */

    while (v > have && !gmk_cas_rlx(word, &have, v, GMK_DEV)) /* relaxed: a statistic */
        ;
}

/* As gmk_hist_record, by any number of writers. cost: three atomic additions, and a
 * compare-and-swap or more at a new extreme. */
GMK_FN void gmk_hist_record_shared(gmk_hist_t *h, uint64_t value)
{
    gmk_add_rlx(&h->bucket[gmk_hist_bucket(value)], 1, GMK_DEV); /* relaxed: a statistic */
    gmk_add_rlx(&h->count, 1, GMK_DEV);                          /* relaxed: a statistic */
    gmk_add_rlx(&h->sum, value, GMK_DEV);                        /* relaxed: a statistic */
    gmk_hist_raise_shared(&h->max, value);
    gmk_hist_raise_shared(&h->min_compl, ~value);
}

GMK_FN uint64_t gmk_hist_count(const gmk_hist_t *h) { return gmk_count_get(&h->count); }

/* The sum of all values, modulo 2^64. */
GMK_FN uint64_t gmk_hist_sum(const gmk_hist_t *h) { return gmk_count_get(&h->sum); }

/* The greatest value; 0 if empty. */
GMK_FN uint64_t gmk_hist_max(const gmk_hist_t *h) { return gmk_count_get(&h->max); }

/* The least value; UINT64_MAX if empty. */
GMK_FN uint64_t gmk_hist_min(const gmk_hist_t *h) { return ~gmk_count_get(&h->min_compl); }

/* Upper bound of the bucket that holds the value of rank ceil(n * p / 10000), at least 1,
 * among the n values in ascending order: p 5000 is the median, 9990 the p99.9. It is not
 * below that value and less than 1/16 of it above; it may be above gmk_hist_max.
 * pre: a p above 10000 counts as 10000. returns: 0 if empty. cost: two passes. */
GMK_FN uint64_t gmk_hist_percentile(const gmk_hist_t *h, uint32_t p)
{
    uint64_t n = 0;
    uint64_t seen = 0;
    uint64_t rank;
    uint32_t b;

    p = gmk_min32(p, 10000);
    for (b = 0; b < GMK_HIST_BUCKETS; b++)
        n += gmk_count_get(&h->bucket[b]);
    if (n == 0)
        return 0;
    /* n * p / 10000, rounded up, without a product above 64 bits */
    rank = gmk_max64(n / 10000 * p + (n % 10000 * p + 9999) / 10000, 1);
    /* buckets only grow, so the second pass reaches a rank of the first */
    for (b = 0; b < GMK_HIST_BUCKETS - 1; b++) {
        seen += gmk_count_get(&h->bucket[b]);
        if (seen >= rank)
            break;
    }
    return gmk_hist_upper(b);
}

/* Adds what `from` counted to h. threads: the writer of h; from may be in use.
 * cost: one pass. */
GMK_FN void gmk_hist_merge(gmk_hist_t *h, const gmk_hist_t *from)
{
    for (uint32_t b = 0; b < GMK_HIST_BUCKETS; b++) {
        uint64_t n = gmk_count_get(&from->bucket[b]);
        if (n != 0)
            gmk_count_add(&h->bucket[b], n);
    }
    gmk_count_add(&h->count, gmk_count_get(&from->count));
    gmk_count_add(&h->sum, gmk_count_get(&from->sum));
    gmk_hist_raise(&h->max, gmk_count_get(&from->max));
    gmk_hist_raise(&h->min_compl, gmk_count_get(&from->min_compl));
}

#endif
