/* SPDX-License-Identifier: MIT
 * Dispatch of one delivery and its outcome.
 * Floor: F7. Every dispatch ends in exactly one of: completed, failed, yielded,
 * retried. The payload reference goes with the end of the delivery.
 * Source: SPEC T-10 to T-12, EQ-4 to EQ-8, FM-1 to FM-4, V-32, V-67; R8, R10. */
#include "worker/worker.h"

/* The mailbox for failed messages of a delivery's channel, or null: what fails in a mailbox
 * carries its first channel and must not come back to it. */
static gmki_chan_t *error_box(gmk_chan_reg_t *r, const gmk_cell_t *c)
{
    const gmki_chan_t *ch;
    uint32_t box;

    if (c->task.channel == 0 || (ch = gmki_chan_known(r, c->task.channel)) == NULL ||
        (c->sub != 0 && r->subs[c->sub]->chan->kind == GMKI_CHAN_ERRORS))
        return NULL;
    box = gmk_load_acq(&ch->errors, GMK_DEV); /* sync: chan.errors */
    return box != 0 && ch->kind == GMKI_CHAN_USER ? gmki_chan_get(r, box) : NULL;
}

void gmki_fail(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c, uint32_t reason_and_code)
{
    gmki_chan_t *box = error_box(&k->chan, c);

    gmki_trace_task(&a->obs, TASK_FAIL, &c->task, a->obs.agent, c->task.seq);
    gmki_count_settled(&a->obs, c->task.tenant, GMK_METRIC_TASKS_FAILED);
    if (box == NULL || !gmki_chan_push_failed(a, box, c, reason_and_code))
        gmki_report(a, &k->chan, GMK_CHAN_SYS_ERROR, c, reason_and_code);
}

void gmki_lose(gmki_agent_t *a, const gmk_cell_t *c, uint32_t reason)
{
    gmki_trace_task(&a->obs, DEAD, &c->task, reason, c->task.seq);
    gmki_count_settled(&a->obs, c->task.tenant, GMK_METRIC_TASKS_DEAD);
    if (c->task.channel != 0) {
        gmki_trace_task(&a->obs, CHAN_DROP, &c->task, GMK_CHAN_INDEX(c->task.channel), reason);
        gmki_count(&a->obs, c->task.tenant, GMK_METRIC_CHAN_DROPS, 1);
        gmki_chan_dropped(&gmki_core(a->sched)->chan, c->task.channel);
    }
    gmki_report(a, &gmki_core(a->sched)->chan, GMK_CHAN_SYS_DROPPED, c, reason);
}

void gmki_give_up(gmki_agent_t *a, const gmk_cell_t *c)
{
    gmk_chan_reg_t *r = &gmki_core(a->sched)->chan;

    gmki_lose(a, c, GMK_ERR_NOMEM);
    if (c->sub != 0)
        gmki_parallel_ended(a, r->subs[c->sub]);
}

/* The tick that the current task runs in. */
static uint64_t tick_of(const gmki_agent_t *a, const gmki_core_t *k)
{
    return gmki_det_current(&k->det, a) != NULL ? k->det.tick : gmki_tick(a->sched, a->obs.now);
}

static enum gmki_outcome handler_failed(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c,
                                        uint32_t reason_and_code)
{
    uint32_t handler = gmki_current(a);

    gmki_hrow_add(a, handler, GMKI_HROW_FAILED);
    if (gmki_poison_count(&k->mods, handler, tick_of(a, k))) {
        gmki_count(&a->obs, c->task.tenant, GMK_METRIC_HANDLERS_POISONED, 1);
        gmki_trace(&a->obs, POISON, &c->task, k->mods.handlers[handler].type, GMK_POISON_RATE + 1);
    }
    gmki_fail(a, k, c, reason_and_code);
    return GMKI_FAILED;
}

static enum gmki_outcome yielded(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c)
{
    const gmki_handler_t *h = &k->mods.handlers[gmki_current(a)];

    if (c->task.yield_count != UINT16_MAX)
        c->task.yield_count++;
    if (c->task.yield_count > h->max_yields) {
        gmki_trace_task(&a->obs, YIELD_LIMIT, &c->task, a->obs.agent, c->task.seq);
        gmki_count(&a->obs, c->task.tenant, GMK_METRIC_YIELD_LIMITS, 1);
        return handler_failed(a, k, c, GMK_ERR_YIELD_LIMIT);
    }
    gmki_hrow_add(a, gmki_current(a), GMKI_HROW_YIELDS);
    gmki_count(&a->obs, c->task.tenant, GMK_METRIC_TASKS_YIELDED, 1);
    gmki_trace_task(&a->obs, TASK_YIELD, &c->task, a->obs.agent, c->task.seq);
    return GMKI_AGAIN;
}

static enum gmki_outcome retried(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c)
{
    uint64_t tick = tick_of(a, k);
    uint64_t delay = GMK_RETRY_MAX_TICKS;

    if (c->retries >= GMK_MAX_RETRIES)
        return handler_failed(a, k, c, GMK_ERR_RETRY_LIMIT);
    if (c->retries < 6)
        delay = gmk_min64(delay, 1ull << c->retries);
    c->retries++;
    gmki_hrow_add(a, gmki_current(a), GMKI_HROW_RETRIES);
    gmki_count(&a->obs, c->task.tenant, GMK_METRIC_TASKS_RETRIED, 1);
    gmki_trace_task(&a->obs, TASK_RETRY, &c->task, a->obs.agent, c->task.seq);
    if (gmki_det_current(&k->det, a) != NULL) {
        a->det_due = tick + delay;
        return GMKI_LATER;
    }
    /* A still tick never comes due; a full event queue must not lose the task. */
    if ((a->sched->manual_ticks && tick == 0) || !gmki_place_event(a, c, tick + delay, true))
        return GMKI_AGAIN;
    return GMKI_LATER;
}

int gmki_call_guarded(gmk_ctx_t *ctx)
{
    gmki_agent_t *a = ctx->agent;
    int rc;

    a->crashed = gmki_guard_call(a, gmki_core(a->sched)->mods.handlers[gmki_current(a)].inner, &rc);
    return GMK_LIKELY(a->crashed == GMK_HAL_FAULT_NONE) ? rc : (int)GMK_FAIL;
}

/* What the handler has done until then stands; what it asked for at its end does not. */
static enum gmki_outcome crashed(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c)
{
    gmki_count(&a->obs, c->task.tenant, GMK_METRIC_HANDLER_CRASHES, 1);
    return handler_failed(a, k, c, GMK_ERR_CRASHED | a->crashed << 16);
}

/* All ends but the plain good one. */
enum gmki_outcome gmki_uncommon(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c, int rc)
{
    a->yielded = false;
    if (GMK_UNLIKELY(a->crashed != GMK_HAL_FAULT_NONE))
        return crashed(a, k, c);
    if (rc == GMK_OK)
        return yielded(a, k, c);
    if (rc == GMK_RETRY)
        return retried(a, k, c);
    return handler_failed(a, k, c,
                          GMK_ERR_HANDLER | ((uint32_t)(rc < 0 ? -rc : rc) & 0xffff) << 16);
}

void gmki_overrun(gmki_agent_t *a, const gmk_task_t *t, uint64_t took_ns)
{
    gmki_count(&a->obs, t->tenant, GMK_METRIC_BUDGET_OVERRUNS, 1);
    gmki_trace_task(&a->obs, BUDGET_OVERRUN, t, a->obs.agent,
                    (uint32_t)gmk_min64(took_ns / 1000, UINT32_MAX));
}

int gmki_call_timed(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c, uint32_t handler)
{
    const gmki_handler_t *h = &k->mods.handlers[handler];
    uint64_t start = gmk_hal_cycles();
    int rc = h->fn(&a->ctx);
    uint64_t cycles = gmk_hal_cycles() - start;
    uint64_t took = (int64_t)cycles > 0 ? gmki_cycles_ns(a->sched, cycles) : 0;

    /* Not every 64th: what comes by turns would be seen on the same turn for ever. */
    a->time_in = gmki_time_gap(&a->time_rng);
    a->timed = true;
    if (GMK_LIKELY(h->runtime != NULL))
        gmk_hist_record_shared(h->runtime, took);
    if (took > h->budget_ns)
        gmki_overrun(a, &c->task, took);
    return rc;
}

enum gmki_outcome gmki_skip_poisoned(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c)
{
    gmki_count(&a->obs, c->task.tenant, GMK_METRIC_POISON_SKIPS, 1);
    gmki_fail(a, k, c, GMK_ERR_POISONED);
    return GMKI_FAILED;
}
