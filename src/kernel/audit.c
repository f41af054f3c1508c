/* SPDX-License-Identifier: MIT
 * The books: accepted = completed + failed + dead + queued, in deliveries.
 * Floor: F8. Exact when nobody runs. Source: ARCHITECTURE R8. */
#include "kernel/kernel.h"

static uint64_t sum(const gmki_kernel_t *k, uint32_t metric)
{
    uint64_t n = 0;

    for (uint32_t r = 0; r < k->n_agents * k->cfg.n_tenants; r++)
        n += gmk_load_acq(&k->rows[r * GMKI_ROW_WORDS + metric], GMK_DEV); /* sync: obs.settled */
    return n;
}

static bool is_work(const gmk_cell_t *c) { return (c->task.flags & GMK_TF_ACTIVATION) == 0; }

/* All that stands in a queue; a producer under way holds no other's work up. */
static uint64_t in_queue(const gmki_queue_t *q)
{
    uint32_t tail = gmk_load_rlx(&q->ring.tail, GMK_DEV); /* relaxed: the turn word decides */
    uint64_t work = 0;

    if (q->cells == NULL)
        return 0;
    /* relaxed: no consumer runs */
    for (uint32_t p = gmk_load_rlx(&q->ring.head, GMK_DEV); p != tail; p++)
        work += gmk_mpmc_full(q->cells, q->ring.mask_c, p, GMK_CELL_STRIDE, 1, GMK_DEV) != 0 &&
                is_work(&q->cells[p & q->ring.mask_c]);
    return work;
}

static uint64_t in_local(const gmk_lq_t *lq)
{
    uint64_t work = 0;

    for (uint32_t p = lq->oldest; p != lq->newest; p++)
        work += is_work(gmk_lq_at(lq, p));
    return work;
}

static uint64_t in_workers(const gmk_sched_t *s)
{
    uint64_t n = 0;

    for (uint32_t w = 0; w < s->n_workers; w++) {
        const gmki_wq_t *q = &s->wq[w];

        n += in_local(&q->stack) + in_local(&q->fifo);
        n += in_queue(&q->shared) + in_queue(&q->inbox);
        for (const gmki_spill_block_t *b = q->spill.first; b != NULL; b = b->next)
            for (uint32_t i = b->head; i < b->tail; i++)
                n += is_work(&b->cells[i]);
    }
    return n;
}

static uint64_t in_channels(const gmk_chan_reg_t *r)
{
    uint64_t n = 0;

    for (uint32_t i = 1; i <= GMK_MAX_CHANNELS && r->chans[i] != NULL; i++)
        for (uint32_t set = r->chans[i]->taken; set != 0; set &= set - 1)
            n += gmki_sub_lag(gmki_chan_sub(r->chans[i], gmk_lowest_bit(set)));
    for (uint32_t i = 0; i < r->n_groups; i++)
        if (!r->groups[i]->extra)
            n += in_queue(&r->groups[i]->resume) + gmk_lq_count(&r->groups[i]->outbox);
    return n;
}

static void append(char *out, size_t bytes, const char *text)
{
    char story[GMKI_ERROR_BYTES] = "";

    gmki_error_text(story, out);
    gmki_error_text(story, text);
    story[bytes - 1] = '\0';
    gmk_hal_memcpy(out, story, bytes);
}

/* The module whose outbox waits for c's consumer, or GMK_MAX_MODULES. */
static uint32_t waits_for(const gmk_chan_reg_t *r, uint32_t m)
{
    const gmki_group_t *g = r->groups[m];
    const gmki_chan_t *c;
    const gmki_sub_t *s;

    if (gmk_lq_count(&g->outbox) == 0)
        return GMK_MAX_MODULES;
    c = gmki_chan_get(r, gmk_lq_at(&g->outbox, g->outbox.oldest)->task.channel);
    s = c != NULL ? gmki_chan_slow_sub(c) : NULL;
    return s != NULL ? s->module : GMK_MAX_MODULES;
}

/* Names a cycle of modules whose outboxes wait for one another. */
static void find_cycle(const gmki_core_t *c, gmk_audit_report_t *out)
{
    for (uint32_t m = 0; m < c->mods.n_mods; m++) {
        uint32_t at = m;

        for (uint32_t steps = 0; steps <= c->mods.n_mods; steps++) {
            at = waits_for(&c->chan, at);
            if (at == GMK_MAX_MODULES)
                break;
            if (at != m)
                continue;
            append(out->stuck, sizeof(out->stuck), "circular wait:");
            do {
                append(out->stuck, sizeof(out->stuck), " ");
                append(out->stuck, sizeof(out->stuck), c->mods.mods[at]->name);
                append(out->stuck, sizeof(out->stuck), " ->");
                at = waits_for(&c->chan, at);
            } while (at != m);
            append(out->stuck, sizeof(out->stuck), " ");
            append(out->stuck, sizeof(out->stuck), c->mods.mods[m]->name);
            return;
        }
    }
}

void gmki_books(const gmki_kernel_t *k, gmk_audit_report_t *out)
{
    *out = (gmk_audit_report_t){.completed = sum(k, GMK_METRIC_TASKS_COMPLETED),
                                .failed = sum(k, GMK_METRIC_TASKS_FAILED),
                                .dead = sum(k, GMK_METRIC_TASKS_DEAD)};
    out->accepted = sum(k, GMK_METRIC_TASKS_ACCEPTED);
    out->payloads_live = gmki_payloads_live(&k->core.mem);
}

void gmki_audit(gmki_kernel_t *k, gmk_audit_report_t *out)
{
    gmk_sched_t *s = &k->core.sched;

    gmki_books(k, out);
    out->queued = in_workers(s) + in_channels(&k->core.chan);
    for (uint32_t p = 0; p < GMK_N_PRIO; p++)
        out->queued += in_queue(&s->rq[p]);
    out->queued += in_queue(&s->overflow);
    out->queued += gmki_evq_count(&s->evq);
    out->queued += gmki_det_count(&k->core.det);
    out->balanced = out->accepted == out->completed + out->failed + out->dead + out->queued;
    find_cycle(&k->core, out);
}

int gmk_audit(gmk_kernel_t *handle, gmk_audit_report_t *out)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    bool still;

    if (k == NULL || out == NULL)
        return GMK_E_INVALID;
    gmk_hal_lock_acquire(&k->lock);
    still = gmki_freeze(&k->core.sched, GMK_AUDIT_TIMEOUT_NS);
    if (still) { /* attached threads go on, and may open, close and subscribe */
        gmk_hal_lock_acquire(&k->core.chan.lock);
        gmki_audit(k, out);
        gmk_hal_lock_release(&k->core.chan.lock);
    }
    gmki_thaw(&k->core.sched);
    gmk_hal_lock_release(&k->lock);
    if (!still)
        return GMK_E_BUSY;
    return out->balanced ? GMK_OK : GMK_E_UNBALANCED;
}

static uint32_t lose_queue(gmki_agent_t *a, gmki_queue_t *q)
{
    gmk_cell_t c;
    uint32_t n = 0;

    while (q->cells != NULL && gmk_cells_pop(&q->ring, q->cells, &c, 1, GMK_DEV) != 0)
        if (is_work(&c)) {
            gmki_lose(a, &c, GMK_ERR_CLOSED);
            n++;
        }
    return n;
}

static uint32_t lose_worker(gmki_kernel_t *k, gmki_agent_t *a, uint32_t w)
{
    gmki_agent_t *owner = k->agents[w];
    gmki_wq_t *q = owner->wq;
    uint32_t n = lose_queue(a, &q->shared) + lose_queue(a, &q->inbox);
    gmk_cell_t c;

    while (gmk_lq_pop_oldest(&q->fifo, &c) || gmk_lq_pop_oldest(&q->stack, &c) ||
           gmki_spill_take(owner, &c))
        if (is_work(&c)) {
            gmki_lose(a, &c, GMK_ERR_CLOSED);
            n++;
        }
    return n;
}

static uint32_t lose_group(gmki_agent_t *a, gmki_group_t *g)
{
    uint32_t n = 0;
    gmk_cell_t c;

    if (g->extra)
        return 0;
    n += lose_queue(a, &g->resume);
    while (gmk_lq_pop_oldest(&g->outbox, &c)) {
        gmki_lose(a, &c, GMK_ERR_CLOSED);
        n++;
    }
    return n;
}

/* What a channel's subscriptions have not begun. Nobody emits any more. */
static uint32_t lose_channel(gmki_agent_t *a, gmki_chan_t *c)
{
    uint32_t n = 0;

    for (uint32_t set = c->taken; set != 0; set &= set - 1) {
        gmki_sub_t *s = gmki_chan_sub(c, gmk_lowest_bit(set));

        while (gmki_sub_lag(s) != 0) {
            uint64_t next = gmk_cursor_next(&s->cursor, GMK_DEV);
            gmk_cell_t cell;

            gmk_cell_copy(&cell, &c->cells[next & (c->cap - 1)]);
            gmk_cursor_pass(&s->cursor, next + 1, GMK_DEV);
            gmki_lose(a, &cell, GMK_ERR_CLOSED);
            n++;
        }
        /* Also of one that leaves, for which the last messages are not: it keeps none. */
        gmk_cursor_pass(&s->cursor, gmki_chan_tail(c), GMK_DEV);
        gmki_sub_set_expected(s, gmki_chan_tail(c));
        gmki_sub_set_acked(s, gmki_chan_tail(c));
    }
    if (c->replay != 0)
        gmki_chan_retain(a, c);
    return n;
}

uint32_t gmki_lose_all(gmki_kernel_t *k, gmki_agent_t *a)
{
    gmk_sched_t *s = &k->core.sched;
    gmk_chan_reg_t *r = &k->core.chan;
    uint32_t n = 0;
    gmk_cell_t c;

    for (uint32_t w = 0; w < s->n_workers; w++)
        n += lose_worker(k, a, w);
    for (uint32_t p = 0; p < GMK_N_PRIO; p++)
        n += lose_queue(a, &s->rq[p]);
    n += lose_queue(a, &s->overflow);
    n += lose_queue(a, &s->acts);
    while (gmki_det_any(&k->core.det, a, &c)) {
        gmki_lose(a, &c, GMK_ERR_CLOSED);
        n++;
    }
    while (gmki_evq_any(&s->evq, &c)) {
        gmki_lose(a, &c, GMK_ERR_CLOSED);
        n++;
    }
    for (uint32_t i = 0; i < r->n_groups; i++)
        n += lose_group(a, r->groups[i]);
    /* Reports that nobody will read go last: they are lost without a report. */
    for (uint32_t i = GMK_MAX_CHANNELS; i >= 1; i--)
        if (r->chans[i] != NULL)
            n += lose_channel(a, r->chans[i]);
    return n;
}
