/* SPDX-License-Identifier: MIT
 * Deterministic work on workers: who gets an emission, a module's part of a tick, the
 * drain that begins one.
 * Floor: F7. Source: SPEC DET-1 to DET-9, CH-54; ARCHITECTURE R15. */
#include "worker/worker.h"

/* Who gets it. ----------------------------------------------------------------------- */

static uint32_t handler_for(const gmki_core_t *k, uint32_t module, uint32_t type)
{
    uint32_t direct = k->sched.type_handler[type];

    if (direct != GMKI_NO_HANDLER && k->mods.handlers[direct].module == module)
        return direct;
    return gmki_handler_of((void *)(uintptr_t)&k->mods, module, type);
}

/* The modules that subscribe, in ascending order. pre: the registry's lock. */
static int subscribers(gmki_chan_t *c, gmki_det_target_t *to)
{
    int n = 0;

    for (uint32_t set = c->taken; set != 0; set &= set - 1) {
        const gmki_sub_t *s = gmki_chan_sub(c, gmk_lowest_bit(set));
        int at = n;

        if (gmki_sub_state(s) != GMKI_SUB_LIVE)
            continue;
        while (at > 0 && to[at - 1].module > s->module) {
            to[at] = to[at - 1];
            at--;
        }
        to[at] = (gmki_det_target_t){.sub = 0, .module = (uint16_t)s->module};
        n++;
    }
    return n;
}

int gmki_det_targets(void *arg, const gmk_cell_t *cell, gmki_det_target_t *to)
{
    gmki_core_t *k = arg;
    gmki_chan_t *c;
    int n = GMKI_DET_LOSE;

    if (cell->task.channel == 0) {
        uint32_t h = k->sched.type_handler[cell->task.type];

        to[0] = (gmki_det_target_t){.sub = 0, .module = (uint16_t)k->mods.handlers[h].module};
        return 1;
    }
    gmk_hal_lock_acquire(&k->chan.lock);
    c = gmki_chan_get(&k->chan, cell->task.channel);
    if (c != NULL) {
        n = subscribers(c, to);
        if (n == 0 && (c->mode & GMK_CHAN_P2P) != 0)
            n = GMKI_DET_HOLD;
    }
    gmk_hal_lock_release(&k->chan.lock);
    return n;
}

/* The position of a message in its channel. */
void gmki_det_begun(void *arg, gmk_cell_t *cell)
{
    gmki_core_t *k = arg;
    gmki_chan_t *c = gmki_chan_known(&k->chan, cell->task.channel); /* closed since, it may be */

    if (c == NULL)
        return;
    gmk_count_add(&c->det_emits, 1);
    cell->chan_seq = gmk_count_get(&c->det_emits);
}

/* Emission. -------------------------------------------------------------------------- */

int gmki_det_direct(gmki_agent_t *a, const gmk_task_t *t, uint64_t due)
{
    gmki_core_t *k = gmki_core(a->sched);
    gmk_cell_t cell = {.sub = 0};

    if (!gmki_is_deterministic(&k->mods, k->sched.type_handler[t->type]))
        return GMK_E_WIRING;
    gmki_stamp_seq(&cell, t, 0);
    return gmki_det_input(a, k->chan.det, &cell, due, 1);
}

/* Running. --------------------------------------------------------------------------- */

/* A tick has ended: wakes who waits for it. */
static void tell_ended(gmk_sched_t *s)
{
    if (gmk_add_sc(&s->waiting, 0, GMK_DEV) != 0) /* sync: sched.waiting */
        gmk_hal_park_wake(&s->quiet);
}

/* A number that tells two tasks' contents apart, of the 32 bits an event's argument has. */
static uint32_t digest(const gmk_task_t *t)
{
    uint64_t h = gmk_canon_chain(t->meta0, t->meta1);

    h = gmk_canon_chain(h, t->payload_len | (uint64_t)GMK_CHAN_INDEX(t->channel) << 32);
    return (uint32_t)(h ^ h >> 32);
}

static void run_one(gmki_agent_t *a, gmki_core_t *k, gmki_det_t *d, gmki_det_entry_t *e)
{
    gmk_task_t *t = &e->cell.task;
    uint64_t failed = e->emission;
    bool ended = false;

    t->flags |= GMK_TF_DETERMINISTIC;
    gmki_det_event(d, e, GMK_EV_TASK_START, t->seq, digest(t));
    switch (gmki_dispatch(a, k, &e->cell, handler_for(k, e->module, t->type))) {
    case GMKI_COMPLETED:
        gmki_det_event(d, e, GMK_EV_TASK_END, t->seq, e->emission);
        ended = gmki_det_settled(d, a);
        break;
    case GMKI_FAILED:
        gmki_det_event(d, e, GMK_EV_TASK_FAIL, t->seq, (uint32_t)failed);
        ended = gmki_det_settled(d, a);
        break;
    case GMKI_AGAIN:
        gmki_det_event(d, e, GMK_EV_TASK_YIELD, t->seq, digest(t));
        gmki_det_yield(d, a);
        break;
    case GMKI_LATER:
        gmki_det_event(d, e, GMK_EV_TASK_RETRY, t->seq, e->cell.retries);
        ended = gmki_det_retry(d, a, a->det_due);
        break;
    }
    if (ended)
        tell_ended(a->sched);
}

uint32_t gmki_det_run(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, uint32_t budget)
{
    gmki_det_t *d = k->chan.det;
    uint32_t tick = a->ctx.tick;
    uint32_t n = 0;

    a->group = g;
    while (n < budget && gmk_lq_count(&g->outbox) == 0 && !gmki_is_elsewhere(a, g)) {
        gmki_det_entry_t *e = gmki_det_take(d, a, g->module);

        if (e == NULL)
            break;
        a->ctx.tick = (uint32_t)d->tick;
        a->chan_gap = 0;
        run_one(a, k, d, e);
        n++;
    }
    a->group = NULL;
    a->ctx.tick = tick;
    return n;
}

/* No memory to begin a tick: it is tried again a tick's time later, by the clock, for which
 * somebody keeps the time; ticks moved by hand may not move until then. */
static void put_off(gmk_sched_t *s)
{
    gmk_store_rel(&s->det_again, gmk_hal_now_ns() + GMK_TICK_NS, GMK_DEV); /* sync: det.again */
    gmki_wake_keeper(s);
}

/* Begins the ticks that are due and not hindered by an earlier one. */
void gmki_det_begin_ticks(gmki_agent_t *a)
{
    gmki_core_t *k = gmki_core(a->sched);
    uint64_t now = gmki_tick(a->sched, gmk_hal_now_ns());
    int64_t n = 0;
    uint64_t modules;

    while (n == 0 && gmki_det_due(k->chan.det, now))
        n = gmki_det_drain(k->chan.det, a, now, &modules);
    if (n < 0)
        put_off(a->sched);
    if (n == 0) /* nothing came of what was due */
        tell_ended(a->sched);
    if (n <= 0)
        return;
    for (; modules != 0; modules &= modules - 1) {
        gmki_group_t *g = k->chan.groups[gmk_lowest_bit64(modules)];

        gmki_group_notice(a, g, GMK_PRIO_CRITICAL);
        gmki_group_unpark(a, &k->chan, g); /* a tick waits for no message that is to return */
    }
}
