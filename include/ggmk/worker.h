/* SPDX-License-Identifier: MIT
 * Workers as seen from outside: what each does now.
 * Floor: F2. Source: SPEC SC-16, CLI-16, FM-8. */
#ifndef GGMK_WORKER_H
#define GGMK_WORKER_H

#include "ggmk/types.h"

enum gmk_worker_state { GMK_WORKER_RUNNING, GMK_WORKER_SEARCHING, GMK_WORKER_PARKED };

typedef struct gmk_worker_info {
    uint32_t id;
    enum gmk_worker_state state;
    uint32_t current_type; /* type of the task being run, 0 if none */
    uint32_t queued;       /* in its inbox and stealable part, a recent value */
    uint64_t heartbeat;    /* batches and looks for work; stands still while it sleeps */
} gmk_worker_info_t;

GMK_EXTERN_C_BEGIN

uint32_t gmk_worker_count(const gmk_kernel_t *k);

/* returns: GMK_OK, GMK_E_INVALID, GMK_E_NOT_FOUND. threads: any. */
GMK_NODISCARD int gmk_worker_get_info(const gmk_kernel_t *k, uint32_t worker,
                                      gmk_worker_info_t *out);

/* Looks at every worker's heartbeat; to be called again and again, every 100 ms say, by a
 * handler or an attached thread. A worker that is neither asleep nor stopped by an audit,
 * nor the caller's own, and whose heartbeat has not moved since the last scan has missed
 * one (metric WATCHDOG_MISSES): it is in a handler for that long, or its processor does
 * not run it. A heartbeat, sleep or stop clears its count. From GMK_WATCHDOG_MISSES (2)
 * misses in a row on, each scan traces WATCHDOG with the worker and the count.
 * returns: bit w is set if worker w has missed at least that many now; 0 for a null
 * context and, on an attached thread, while the kernel halts. threads: ctx's own; scans
 * exclude one another, and two scanners see a heartbeat each at half the distance. cost:
 * three loads a worker.
 * blocks: for another scan. source: OBS-6, FM-8. */
uint32_t gmk_watchdog_scan(gmk_ctx_t *ctx);

GMK_EXTERN_C_END

#endif
