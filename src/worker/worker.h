/* SPDX-License-Identifier: MIT
 * The worker: gather, dispatch, account; then search and park.
 * Floor: F7. One step is the same on every machine; the machine only decides who calls
 * the loop.
 * Source: SPEC SC-9, SC-10, SC-16, EQ-4 to EQ-8; ARCHITECTURE sections 1, 2. */
#ifndef GMKI_WORKER_H
#define GMKI_WORKER_H

#include "ggmk/worker.h"
#include "module/module.h"

/* What all workers of a kernel share. */
typedef struct gmki_core {
    gmk_sched_t sched;
    gmk_chan_reg_t chan;
    gmki_mod_reg_t mods;
    gmki_det_t det;
    gmk_alloc_t mem;
} gmki_core_t;

enum gmki_outcome {
    GMKI_COMPLETED,
    GMKI_FAILED, /* as much over as the other */
    GMKI_AGAIN,  /* to be placed again at once */
    GMKI_LATER   /* in the event queue */
};

/* dispatch.c: all ends of a delivery but the plain good one. c is in the hands of a. */
enum gmki_outcome gmki_uncommon(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c, int rc);
enum gmki_outcome gmki_skip_poisoned(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c);
/* Calls the handler of c between two looks at the clock. */
int gmki_call_timed(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c, uint32_t handler);
/* With the fault guard, the fn of every handler: calls the one that runs. */
int gmki_call_guarded(gmk_ctx_t *ctx);
/* A call took longer than its budget. */
void gmki_overrun(gmki_agent_t *a, const gmk_task_t *t, uint64_t took_ns);
void gmki_fail(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c, uint32_t reason_and_code);
void gmki_lose(gmki_agent_t *a, const gmk_cell_t *c, uint32_t reason);
void gmki_give_up(gmki_agent_t *a, const gmk_cell_t *c); /* begun, and no memory to go on */

/* turn.c: drains a group whose token the caller holds. Returns how many ran. */
uint32_t gmki_turn(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, uint32_t budget);
void gmki_return_message(gmki_agent_t *a, const gmk_cell_t *c);
bool gmki_is_serial(const gmk_sched_t *s, uint16_t sub);

/* deterministic.c */
int gmki_det_targets(void *core, const gmk_cell_t *cell, gmki_det_target_t *to);
void gmki_det_begun(void *core, gmk_cell_t *cell);
/* A deterministic task, checked, for a tick (0: the next). */
int gmki_det_direct(gmki_agent_t *a, const gmk_task_t *t, uint64_t due);
/* Runs a module's part of the open tick while its token is held; returns how many ran. */
uint32_t gmki_det_run(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, uint32_t budget);
void gmki_det_begin_ticks(gmki_agent_t *a);

/* step.c */
uint32_t gmki_worker_step(gmki_agent_t *a, gmki_core_t *k);
void *gmki_worker_loop(void *agent);

GMK_FN gmki_core_t *gmki_core(const gmk_sched_t *s) { return (gmki_core_t *)s->owner; }

GMK_FN void gmki_hrow_add(gmki_agent_t *a, uint32_t handler, uint32_t what)
{
    gmk_count_add(&a->handler_rows[handler * GMKI_HROW_WORDS + what], 1);
}

/* The group is another worker's, since this turn began or before. */
GMK_FN bool gmki_is_elsewhere(const gmki_agent_t *a, const gmki_group_t *g)
{
    uint32_t worker = gmk_load_acq(&g->worker, GMK_DEV); /* sync: chan.bind */

    return worker != GMK_NO_WORKER && worker != a->obs.agent;
}

/* The handler that runs or ran last on a worker; GMKI_IDLE after a pause. */
#define GMKI_IDLE UINT32_MAX
GMK_FN uint32_t gmki_current(const gmki_agent_t *a)
{
    return gmk_load_rlx(&a->wq->current, GMK_DEV) - 1; /* relaxed: the worker's own */
}

/* Makes the context that of a task about to run. */
GMK_FN void gmki_enter_task(gmki_agent_t *a, gmk_cell_t *c, uint32_t handler,
                            const gmki_handler_t *h)
{
    a->ctx.task = &c->task;
    a->ctx.user = h->user;
    a->obs.module = h->module;
    gmki_set_priority(a, GMK_PRIORITY(c->task.flags));
    gmk_store_rlx(&a->wq->current, handler + 1, GMK_DEV); /* relaxed: for a person to read */
}

/* Counts a delivery that ended in a row of the worker's own. */
GMK_FN void gmki_settle(gmk_a64_t *n)
{
    /* relaxed: the row has one writer */
    gmk_store_rel(n, gmk_load_rlx(n, GMK_DEV) + 1, GMK_DEV); /* sync: obs.settled */
}

/* Accounts for a delivery that ended well on a worker. */
GMK_FN void gmki_completed(gmki_agent_t *a, const gmk_cell_t *c, uint32_t handler)
{
    if (GMK_UNLIKELY(c->task.flags & GMK_TF_PAYLOAD_RC))
        gmki_drop_payload(a, &c->task);
    gmki_hrow_add(a, handler, GMKI_HROW_COMPLETED);
    gmki_settle(&a->obs.rows[c->task.tenant * GMKI_ROW_WORDS + GMK_METRIC_TASKS_COMPLETED]);
}

/* What of a task's flags wants more than the plain way. */
#define GMKI_TF_SPECIAL (GMK_TF_RUNTIME_MASK | GMK_TF_EMIT_TRACE)

/* Runs one delivery that is not traced, and accounts for it. */
GMK_FN enum gmki_outcome gmki_dispatch_plain(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c,
                                             uint32_t handler)
{
    const gmki_handler_t *h = &k->mods.handlers[handler];
    int rc;

    gmki_enter_task(a, c, handler, h);
    if (GMK_UNLIKELY(gmk_load_acq(&h->poisoned, GMK_DEV) != 0)) /* sync: module.poison */
        return gmki_skip_poisoned(a, k, c);
    if (GMK_UNLIKELY(--a->time_in == 0))
        rc = gmki_call_timed(a, k, c, handler);
    else
        rc = h->fn(&a->ctx);
    if (GMK_UNLIKELY(rc != GMK_OK || a->yielded))
        return gmki_uncommon(a, k, c, rc);
    gmki_completed(a, c, handler);
    return GMKI_COMPLETED;
}

/* Runs one delivery, traced if it should be. */
GMK_FN enum gmki_outcome gmki_dispatch(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c,
                                       uint32_t handler)
{
    enum gmki_outcome out;

    a->obs.module = k->mods.handlers[handler].module;
    gmki_trace_task(&a->obs, TASK_START, &c->task, a->obs.agent, c->task.seq);
    out = gmki_dispatch_plain(a, k, c, handler);
    if (out == GMKI_COMPLETED)
        gmki_trace_task(&a->obs, TASK_END, &c->task, a->obs.agent, c->task.seq);
    return out;
}

#endif
