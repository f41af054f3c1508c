/* SPDX-License-Identifier: MIT
 * Workers as seen from outside: what each does now.
 * Floor: F2. Source: SPEC SC-16, CLI-16. */
#ifndef GGMK_WORKER_H
#define GGMK_WORKER_H

#include "ggmk/types.h"

enum gmk_worker_state { GMK_WORKER_RUNNING, GMK_WORKER_SEARCHING, GMK_WORKER_PARKED };

typedef struct gmk_worker_info {
    uint32_t id;
    enum gmk_worker_state state;
    uint32_t current_type; /* type of the task being run, 0 if none */
    uint32_t queued;       /* in its inbox and stealable part, a recent value */
    uint64_t heartbeat;    /* loop passes */
} gmk_worker_info_t;

GMK_EXTERN_C_BEGIN

uint32_t gmk_worker_count(const gmk_kernel_t *k);

/* returns: GMK_OK, GMK_E_INVALID, GMK_E_NOT_FOUND. threads: any. */
GMK_NODISCARD int gmk_worker_get_info(const gmk_kernel_t *k, uint32_t worker,
                                      gmk_worker_info_t *out);

GMK_EXTERN_C_END

#endif
