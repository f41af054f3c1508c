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

GMK_EXTERN_C_BEGIN

/* Adds delta to one of the caller's counters, for the current task's tenant. Nothing
 * happens for a bad number, and for the counters of tasks that the audit lives on
 * (ENQUEUED to YIELDED, ACCEPTED, COMPLETED, DEAD, POISON_SKIPS). threads: ctx's own.
 * cost: one store. source: SDK-3. */
void gmk_metric_inc(gmk_ctx_t *ctx, uint32_t metric_id, uint32_t delta);

/* The sum over all workers and tenants (or of one tenant). 0 for a bad argument or a
 * kernel that is not booted. threads: any, while workers run. cost: one load a row. */
uint64_t gmk_metric_get(const gmk_kernel_t *k, uint32_t metric_id);
uint64_t gmk_metric_get_tenant(const gmk_kernel_t *k, uint32_t metric_id, uint32_t tenant);

/* The same for one worker. */
uint64_t gmk_metric_get_worker(const gmk_kernel_t *k, uint32_t metric_id, uint32_t worker);

/* Key ("tasks.enqueued") and text of a metric; null for a bad number. */
const char *gmk_metric_key(uint32_t metric_id);
const char *gmk_metric_text(uint32_t metric_id);

/* Where the rows lie, for readers without a kernel: row r of n_rows begins at
 * base + r * stride and has count 64-bit words; row = agent * n_tenants + tenant.
 * Three words are not kept but follow from others, so that the hot path writes less:
 *   ENQUEUED = ACCEPTED + YIELDED + RETRIED
 *   DISPATCHED = COMPLETED + FAILED + YIELDED + RETRIED - POISON_SKIPS
 *   DEQUEUED = DISPATCHED + POISON_SKIPS */
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
