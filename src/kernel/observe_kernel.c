/* SPDX-License-Identifier: MIT
 * The kernel as a whole, from outside: depths, high-water marks, ticks; the watchdog.
 * Floor: F8. Readers only load, but for the locks named in the headers, which no worker
 * holds while it runs a handler.
 * Source: SPEC OBS-1, OBS-6, FM-8; ARCHITECTURE R10. */
#include "kernel/kernel.h"

/* Workers whose bit is set sleep. */
static uint32_t parked_mask(const gmk_sched_t *s)
{
    return (uint32_t)gmk_load_sc(&s->idle, GMK_DEV); /* sync: sched.idle */
}

static uint32_t mark(const gmk_a32_t *high)
{
    return gmk_load_rlx(high, GMK_DEV); /* relaxed: a statistic */
}

/* Each worker's marks, and what stands in the queues now. */
static void queue_marks(const gmk_sched_t *s, gmk_kernel_info_t *out)
{
    for (uint32_t p = 0; p < GMK_N_PRIO; p++) {
        out->ready[p] = gmk_mpmc_count(&s->rq[p].ring, GMK_DEV);
        out->ready_high[p] = out->ready[p];
    }
    out->ready_slots = s->rq[0].cap;
    out->overflow = gmk_mpmc_count(&s->overflow.ring, GMK_DEV);
    out->overflow_high = out->overflow;
    for (uint32_t w = 0; w < s->n_workers; w++) {
        const gmki_wq_t *q = &s->wq[w];

        for (uint32_t p = 0; p < GMK_N_PRIO; p++)
            out->ready_high[p] = gmk_max32(out->ready_high[p], mark(&q->rq_high[p]));
        out->overflow_high = gmk_max32(out->overflow_high, mark(&q->overflow_high));
        out->local_high = gmk_max32(out->local_high, mark(&q->local_high));
    }
}

int gmk_kernel_get_info(const gmk_kernel_t *handle, gmk_kernel_info_t *out)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    uint64_t now = gmk_hal_now_ns();
    gmk_sched_t *s;

    if (k == NULL || out == NULL)
        return GMK_E_INVALID;
    s = &k->core.sched;
    *out = (gmk_kernel_info_t){.uptime_ns = now - s->boot_ns,
                               .tick = gmki_tick(s, now),
                               .tick_last_ns = gmk_count_get(&s->tick_last_ns),
                               .tick_longest_ns = gmk_count_get(&s->tick_longest_ns)};
    queue_marks(s, out);
    out->timers = gmki_evq_count(&s->evq);
    out->timers_high = gmki_evq_high(&s->evq); /* later: not below the count */
    out->parked = gmk_popcount32(parked_mask(s));
    out->block_frag_permille = gmki_mem_frag(&k->core.mem);
    return GMK_OK;
}

/* A worker that need not beat now: asleep, stopped by an audit, or gone at halt. */
static bool rests(const gmk_sched_t *s, uint32_t w)
{
    return (parked_mask(s) >> w & 1) != 0 ||
           gmk_load_sc(&s->wq[w].frozen, GMK_DEV) != 0 || /* sync: sched.frozen */
           gmk_load_acq(&s->wq[w].exited, GMK_DEV) != 0;  /* sync: worker.exited */
}

uint32_t gmk_watchdog_scan(gmk_ctx_t *ctx)
{
    gmki_agent_t *a = ctx != NULL ? ctx->agent : NULL;
    uint32_t late = 0;
    gmki_kernel_t *k;

    if (a == NULL || !gmki_enter(a))
        return 0;
    k = gmki_kernel(ctx->kernel);
    gmk_hal_lock_acquire(&k->watch_lock);
    for (uint32_t w = 0; w < k->cfg.n_workers; w++) {
        gmki_watch_t *seen = &k->watch[w];
        uint64_t beat = gmk_count_get(&k->core.sched.wq[w].heartbeat) + 1;

        if (w == ctx->worker_id || rests(&k->core.sched, w)) {
            *seen = (gmki_watch_t){.seen = 0};
            continue;
        }
        seen->missed = beat == seen->seen ? seen->missed + 1 : 0;
        seen->seen = beat;
        if (seen->missed == 0)
            continue;
        gmki_count(&a->obs, 0, GMK_METRIC_WATCHDOG_MISSES, 1);
        if (seen->missed < GMK_WATCHDOG_MISSES)
            continue;
        late |= 1u << w;
        gmki_trace(&a->obs, WATCHDOG, NULL, w, seen->missed);
    }
    gmk_hal_lock_release(&k->watch_lock);
    gmki_leave(a);
    return late;
}
