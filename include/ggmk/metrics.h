/* SPDX-License-Identifier: MIT
 * Counters. Each worker and attached thread writes rows of its own; a reader sums.
 * Floor: F2. Updates are unconditional: no trace level or sampling changes them.
 * Source: SPEC OBS-1 to OBS-4; ARCHITECTURE R10. */
#ifndef GGMK_METRICS_H
#define GGMK_METRICS_H

#include "ggmk/types.h"

enum gmk_metric {
#define X(name, number, key, text) GMK_METRIC_##name = number,
#include "ggmk/metrics.def"
#undef X
    GMK_METRIC_COUNT
};

/* Times in ns, of a sample of one in GMK_TIME_SAMPLE (64). count is of the sample.
 * Percentiles are upper bounds less than 1/16 above the value. */
typedef struct gmk_latency {
    uint64_t count, p50_ns, p90_ns, p99_ns, max_ns;
} gmk_latency_t;

/* State of a kernel. Depths are recent values. High-water marks are since boot and kept
 * where nothing more than the depth is read or written for it:
 *   ready, overflow   by each worker just before it takes from the queue. Depth falls by
 *                     takes alone, so one worker's mark is exact; with several, what others
 *                     add or take between its two loads may be missed or doubled
 *   timers            exact: under the event queue's lock
 *   local             at batch edges: a peak inside a batch is missed */
typedef struct gmk_kernel_info {
    uint64_t uptime_ns;
    uint64_t tick; /* logical tick, not cut to 32 bits */
    /* Wall time from one gmk_tick_advance to the next, the last and the longest; 0 until
     * there were two. A tick of the clock lasts GMK_TICK_NS. */
    uint64_t tick_last_ns, tick_longest_ns;
    uint32_t ready[GMK_N_PRIO], ready_high[GMK_N_PRIO], ready_slots;
    uint32_t overflow, overflow_high;
    uint32_t timers, timers_high;
    uint32_t local_high; /* private tasks of the worker that had most */
    uint32_t parked;     /* workers that sleep */
    /* Estimate of the block allocator's fragmentation, in 1/1000: 1 - least / all, where
     * all is the share of its bytes that is free, and least the smallest such share among
     * "bins of b bytes and more" for each bin size b, which is what requests of that size
     * can use. 0: no size is worse off than the whole, or nothing is free. 1000: some
     * size has nothing left while smaller bins have. */
    uint32_t block_frag_permille;
} gmk_kernel_info_t;

GMK_EXTERN_C_BEGIN

/* Adds delta to one of the caller's counters, for the current task's tenant. Nothing
 * happens for a bad number, and for the counters of tasks that the audit lives on
 * (ENQUEUED to YIELDED, ACCEPTED, COMPLETED, DEAD, POISON_SKIPS), and for ALLOC_BYTES, which
 * the allocators keep. threads: ctx's own.
 * cost: one store. source: SDK-3. */
void gmk_metric_inc(gmk_ctx_t *ctx, uint32_t metric_id, uint32_t delta);

/* The sum over all workers and tenants (or of one tenant). 0 for a bad argument or a
 * kernel that is not booted. What is offered counts as accepted until a full queue refuses
 * it: beside submitters, TASKS_ACCEPTED may go back by that.
 * threads: any, while workers run. cost: one load a row. */
uint64_t gmk_metric_get(const gmk_kernel_t *k, uint32_t metric_id);
uint64_t gmk_metric_get_tenant(const gmk_kernel_t *k, uint32_t metric_id, uint32_t tenant);

/* The same for one worker. */
uint64_t gmk_metric_get_worker(const gmk_kernel_t *k, uint32_t metric_id, uint32_t worker);

/* returns: GMK_OK, GMK_E_INVALID. threads: any, while workers run. blocks: for the event
 * queue's lock. source: OBS-1. */
GMK_NODISCARD int gmk_kernel_get_info(const gmk_kernel_t *k, gmk_kernel_info_t *out);

/* Key ("tasks.enqueued") and text of a metric; null for a bad number. */
const char *gmk_metric_key(uint32_t metric_id);
const char *gmk_metric_text(uint32_t metric_id);

/* Where the rows lie, for readers without a kernel: row r of n_rows begins at
 * base + r * stride and has count 64-bit words; row = agent * n_tenants + tenant.
 * Three words are not kept but follow from others, so that the hot path writes less:
 *   ENQUEUED = ACCEPTED + YIELDED + RETRIED
 *   DISPATCHED = COMPLETED + FAILED + YIELDED + RETRIED - POISON_SKIPS
 *   DEQUEUED = DISPATCHED + POISON_SKIPS
 * ALLOC_BYTES in the rows lags: what an agent has allocated of a size is added when its cache
 * of that size takes memory from the others, or gives it. gmk_metric_get is exact. */
typedef struct gmk_metrics_map {
    const void *base;
    uint64_t stride;
    uint32_t n_rows;
    uint32_t count;
} gmk_metrics_map_t;

/* returns: GMK_OK, GMK_E_INVALID. */
GMK_NODISCARD int gmk_metrics_map(const gmk_kernel_t *k, gmk_metrics_map_t *out);

GMK_EXTERN_C_END

#endif
