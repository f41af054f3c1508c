/* SPDX-License-Identifier: MIT
 * The names of the kernel's objects and the context of a handler.
 * Floor: F2. Source: SPEC T-9 to T-14, V-29; ARCHITECTURE R21, R22. */
#ifndef GGMK_TYPES_H
#define GGMK_TYPES_H

#include "ggmk/config.h"
#include "ggmk/error.h"
#include "ggmk/task.h"

typedef struct gmk_kernel gmk_kernel_t;
typedef struct gmk_alloc gmk_alloc_t;
typedef struct gmk_chan_reg gmk_chan_reg_t;
typedef gmk_chan_reg_t gmk_chan_t; /* the older name of the same pointer */
typedef struct gmk_trace gmk_trace_t;
typedef struct gmk_metrics gmk_metrics_t;
typedef struct gmk_sched gmk_sched_t;
typedef struct gmki_agent gmki_agent_t; /* private: a worker or an attached thread */

/* What a handler receives. Every pointer but user is non-null while a handler, an
 * init or a fini function runs. Use it by field; never copy or keep it: it is valid
 * until the function returns. */
typedef struct gmk_ctx {
    gmk_task_t *task;       /* the current task */
    gmk_alloc_t *alloc;     /* memory */
    gmk_chan_reg_t *chan;   /* channels */
    gmk_trace_t *trace;     /* the trace writer of this worker */
    gmk_metrics_t *metrics; /* the counters of this worker */
    gmk_sched_t *sched;     /* the scheduler */
    gmk_kernel_t *kernel;   /* the kernel that runs the task */
    uint32_t worker_id;     /* executing worker; GMK_NO_WORKER on an attached thread */
    uint32_t tick;          /* logical tick at the start of the batch */
    void *user;             /* gmk_module_t.user of the handler's module */
    gmki_agent_t *agent;    /* private */
} gmk_ctx_t;

#define GMK_NO_WORKER UINT32_MAX

/* Handles ctx->task. Bounded run time, or it yields; no effects but through ctx.
 * returns: GMK_OK, GMK_RETRY, or GMK_FAIL(code) with code 1..99. */
typedef int (*gmk_handler_fn)(gmk_ctx_t *ctx);

#endif
