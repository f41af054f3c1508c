/* SPDX-License-Identifier: MIT
 * The scheduler's storage: made at boot, freed after the last worker has left.
 * Floor: F4. Source: SPEC SC-1 to SC-5, SC-15, V-16. */
#include "sched/sched.h"

int gmki_queue_init(gmki_queue_t *q, uint32_t cap)
{
    q->cap = gmk_max32(gmk_pow2_ceil(cap), 2);
    q->cells = gmk_hal_calloc(q->cap, sizeof(gmk_cell_t));
    gmk_mpmc_setup(&q->ring, q->cap, 0);
    return q->cells != NULL ? GMK_OK : GMK_ALLOC_FAIL;
}

void gmki_queue_fini(gmki_queue_t *q)
{
    gmk_hal_free(q->cells);
    q->cells = NULL;
}

/* The cells and, behind them, the pointers to them. */
int gmki_lq_init(gmk_lq_t *q, uint32_t cap)
{
    size_t bytes = (cap + 1) * sizeof(gmk_cell_t) + cap * sizeof(gmk_cell_t *);
    gmk_cell_t *cells = gmk_hal_calloc(1, bytes);

    if (cells == NULL)
        return GMK_ALLOC_FAIL;
    gmk_lq_setup(q, cells, (gmk_cell_t **)(cells + cap + 1), cap, 0);
    return GMK_OK;
}

void gmki_lq_fini(gmk_lq_t *q)
{
    if (q->order != NULL)
        gmk_hal_free((gmk_cell_t *)q->order - (q->mask + 2));
    q->order = NULL;
}

#define SPAWN_LOOK 8u /* spawns between two looks at who is idle, where there are others */

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return gmk_pow2_ceil(value != 0 ? value : fallback);
}

static int wq_init(gmki_wq_t *q, const gmk_boot_cfg_t *cfg, uint32_t id)
{
    uint32_t cap = gmk_max32(or_default(cfg->lq_slots, GMK_LQ_DEFAULT_CAP), 8);
    uint32_t inbox = gmk_max32(or_default(cfg->inbox_slots, GMK_INBOX_DEFAULT_CAP),
                               gmk_pow2_ceil(8 * GMK_MAX_MODULES));

    q->cap = cap;
    q->limit = cap - cap * GMK_LQ_YIELD_RESERVE / 100;
    q->spawn_most = cfg->n_workers != 1 ? SPAWN_LOOK : q->limit;
    q->batch = 1;
    q->older_in = GMK_AGING_INTERVAL;
    q->rng = 0x9e3779b97f4a7c15ull * (id + 1);
    gmk_hal_park_init(&q->park);
    if (gmki_lq_init(&q->stack, cap) != GMK_OK || gmki_lq_init(&q->fifo, cap) != GMK_OK ||
        gmki_queue_init(&q->shared, gmk_min32(cap, GMK_SHARED_CAP)) != GMK_OK ||
        gmki_queue_init(&q->inbox, inbox) != GMK_OK)
        return GMK_ALLOC_FAIL;
    return GMK_OK;
}

static void wq_fini(gmki_wq_t *q)
{
    gmki_lq_fini(&q->stack);
    gmki_lq_fini(&q->fifo);
    gmki_queue_fini(&q->shared);
    gmki_queue_fini(&q->inbox);
    gmk_hal_park_destroy(&q->park);
}

int gmki_sched_init(gmk_sched_t *s, const gmk_boot_cfg_t *cfg, gmk_alloc_t *mem)
{
    s->mem = mem;
    s->n_workers = cfg->n_workers;
    s->n_tenants = cfg->n_tenants;
    s->max_batch = cfg->batch_size != 0 ? cfg->batch_size : GMK_WORKER_BATCH_SIZE;
    s->manual_ticks = (cfg->flags & GMK_BOOT_MANUAL_TICKS) != 0;
    s->spin_ns = cfg->spin_ns != 0 ? cfg->spin_ns : GMK_SPIN_NS;
    s->park_timeout_ns = cfg->park_timeout_ns != 0 ? cfg->park_timeout_ns : GMK_HAL_FOREVER;
    s->ns_per_cycle = (1000000000ull << 32) / gmk_hal_cycles_hz();
    s->clock_cycles = gmk_hal_cycles_hz() / 1000000 * GMK_CLOCK_SYNC_US;
    s->boot_ns = gmk_hal_now_ns();
    s->no_tick = GMKI_NEVER;
    s->det_ready = &s->no_tick;
    for (uint32_t i = 0; i < GMKI_TYPES; i++)
        s->type_handler[i] = GMKI_NO_HANDLER;
    gmk_hal_park_init(&s->quiet);
    for (uint32_t p = 0; p < GMK_N_PRIO; p++)
        if (gmki_queue_init(&s->rq[p], or_default(cfg->rq_slots, GMK_RQ_DEFAULT_CAP)) != GMK_OK)
            return GMK_ALLOC_FAIL;
    if (gmki_queue_init(&s->overflow, or_default(cfg->overflow_slots, GMK_OVERFLOW_CAP)) !=
            GMK_OK ||
        gmki_queue_init(&s->acts, GMK_MAX_MODULES + GMK_MAX_CHANNELS) != GMK_OK ||
        gmki_evq_init(&s->evq, cfg->evq_slots != 0 ? cfg->evq_slots : GMK_EVQ_DEFAULT_CAP) !=
            GMK_OK)
        return GMK_ALLOC_FAIL;
    s->wq = gmk_hal_calloc(s->n_workers, sizeof(*s->wq));
    if (s->wq == NULL)
        return GMK_ALLOC_FAIL;
    for (uint32_t w = 0; w < s->n_workers; w++)
        if (wq_init(&s->wq[w], cfg, w) != GMK_OK)
            return GMK_ALLOC_FAIL;
    return GMK_OK;
}

void gmki_sched_fini(gmk_sched_t *s)
{
    for (uint32_t w = 0; s->wq != NULL && w < s->n_workers; w++)
        wq_fini(&s->wq[w]);
    gmk_hal_free(s->wq);
    s->wq = NULL;
    for (uint32_t p = 0; p < GMK_N_PRIO; p++)
        gmki_queue_fini(&s->rq[p]);
    gmki_queue_fini(&s->overflow);
    gmki_queue_fini(&s->acts);
    gmki_evq_fini(&s->evq);
    gmk_hal_park_destroy(&s->quiet);
}

/* The machine's clock waits for all that the processor has under way; the cycle counter does
 * not, and is good enough for a while, if it is taken to go a little too fast. */
uint64_t gmki_clock(gmki_agent_t *a)
{
    const gmk_sched_t *s = a->sched;
    gmki_wq_t *q = a->wq;
    uint64_t since = gmk_hal_cycles() - q->clock_at; /* on another processor, perhaps a leap */

    if (GMK_UNLIKELY(since >= s->clock_cycles)) {
        q->clock_ns = gmk_hal_now_ns();
        q->clock_at = gmk_hal_cycles();
        since = 0;
    }
    return gmk_max64(q->clock_ns + gmki_cycles_ns(s, since - since / GMKI_CLOCK_DOUBT), a->obs.now);
}

uint64_t gmki_tick(const gmk_sched_t *s, uint64_t now_ns)
{
    uint64_t base = gmk_load_acq(&s->tick_base, GMK_DEV); /* sync: sched.tick */

    return s->manual_ticks ? base : base + (now_ns - s->boot_ns) / GMK_TICK_NS;
}

uint64_t gmki_tick_widen(uint64_t now, uint32_t tick)
{
    int32_t ahead = (int32_t)(tick - (uint32_t)now);

    return ahead > 0 ? now + (uint32_t)ahead : now;
}

/* A worker's beat is counted at each batch edge, so one that has moved on, sleeps, has
 * never begun or has left is out of every call that it was in. */
void gmki_beats_now(const gmk_sched_t *s, uint64_t *then)
{
    for (uint32_t w = 0; w < s->n_workers; w++)
        then[w] = gmk_load_acq(&s->wq[w].heartbeat, GMK_DEV); /* sync: worker.heartbeat */
}

bool gmki_beats_passed(const gmki_agent_t *me, const uint64_t *then)
{
    const gmk_sched_t *s = me->sched;
    uint64_t parked = gmk_load_sc(&s->idle, GMK_DEV); /* sync: sched.idle */

    for (uint32_t w = 0; w < s->n_workers; w++) {
        const gmki_wq_t *q = &s->wq[w];
        uint64_t now = gmk_load_acq(&q->heartbeat, GMK_DEV); /* sync: worker.heartbeat */

        if (q != me->wq && now == then[w] && now != 0 && (parked >> w & 1) == 0 &&
            gmk_load_acq(&q->exited, GMK_DEV) == 0) /* sync: worker.exited */
            return false;
    }
    return !s->hosts_inside(s, me);
}

bool gmki_tick_owed(const gmk_sched_t *s, uint64_t now_ns)
{
    return gmk_load_acq(&s->ticks_watched, GMK_DEV) != 0 &&              /* sync: sched.watched */
           gmki_tick(s, now_ns) > gmk_load_acq(&s->ticks_told, GMK_DEV); /* sync: sched.told */
}

bool gmki_enter(gmki_agent_t *a)
{
    if (GMK_LIKELY(a->wq != NULL)) {
        gmki_core_begin(a);
        return true;
    }
    gmk_hal_guard_hold();              /* it may be a handler that has attached to another kernel */
    gmk_xchg_sc(&a->busy, 1, GMK_DEV); /* sync: host.busy */
    if (gmk_load_sc(&a->sched->closed, GMK_DEV) == 0) { /* sync: sched.closed */
        a->obs.now = gmk_hal_now_ns();
        a->ctx.tick = (uint32_t)gmki_tick(a->sched, a->obs.now);
        return true;
    }
    gmk_store_rel(&a->busy, 0, GMK_DEV); /* sync: host.busy */
    gmk_hal_guard_drop();
    return false;
}

void gmki_leave(gmki_agent_t *a)
{
    if (GMK_LIKELY(a->wq != NULL)) {
        gmki_core_end(a);
        return;
    }
    gmk_store_rel(&a->busy, 0, GMK_DEV); /* sync: host.busy */
    gmk_hal_guard_drop();
}
