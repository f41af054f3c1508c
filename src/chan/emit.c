/* SPDX-License-Identifier: MIT
 * Emit: onto the ring, then the token protocol of chan.h.
 * Floor: F5. Source: SPEC CH-9, CH-24, CH-29; ARCHITECTURE R4, R19. */
#include "chan/chan.h"

void gmki_group_activate(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_group_t *g)
{
    uint32_t id = gmk_load_acq(&g->first_chan, GMK_DEV); /* sync: chan.bind */
    gmki_chan_t *c = r->chans[id];
    gmk_cell_t cell = {.sub = (uint16_t)c->sub};

    cell.task.type = gmk_load_rlx(&c->msg_type, GMK_DEV); /* relaxed: fixed before a message */
    cell.task.flags = GMK_TF_ACTIVATION;
    cell.task.flags |= (uint16_t)(a->priority < GMK_N_PRIO ? a->priority : GMK_PRIO_HIGH);
    cell.task.channel = id;
    cell.task.meta0 = g->index;
    gmki_place_activation(a, &cell, gmk_load_acq(&g->worker, GMK_DEV)); /* sync: chan.bind */
}

void gmki_group_add(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_group_t *g, uint32_t n)
{
    if (gmk_add_ar(&g->pending, n, GMK_DEV) == 0) /* sync: group.pending */
        gmki_group_activate(a, r, g);
}

/* Tells the consumer of n messages just published, or leaves them to whoever will be. */
static void notify(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c, uint32_t n)
{
    uint32_t g = gmk_load_acq(&c->group, GMK_DEV); /* sync: chan.orphans */

    if (GMK_UNLIKELY(g == 0)) {
        gmk_add_sc(&c->orphans, n, GMK_DEV);   /* sync: chan.orphans */
        g = gmk_load_sc(&c->group, GMK_DEV);   /* sync: chan.orphans */
        if (g == 0)
            return;
        n = gmk_xchg_sc(&c->orphans, 0, GMK_DEV); /* sync: chan.orphans */
        if (n == 0)
            return;
    }
    gmki_group_add(a, r, r->groups[g - 1], n);
}

static int check(const gmk_sched_t *s, gmki_chan_t *c, const gmk_task_t *t)
{
    uint32_t type = gmk_load_acq(&c->msg_type, GMK_DEV); /* sync: chan.type */

    if (GMK_UNLIKELY(t->tenant >= s->n_tenants))
        return GMK_E_TENANT;
    if (GMK_UNLIKELY(t->type == 0 || t->type >= GMKI_TYPES))
        return GMK_E_INVALID;
    if (GMK_UNLIKELY(type != t->type))
        return type == GMKI_ANY_TYPE ? gmki_chan_fix_type(c, t->type)
                                     : (int)GMK_CHAN_TYPE_MISMATCH;
    return GMK_OK;
}

static void fill(gmki_agent_t *a, const gmki_chan_t *c, gmk_cell_t *cell, const gmk_task_t *t)
{
    gmki_stamp(a, cell, t);
    cell->task.channel = c->id;
    cell->task.flags |= GMK_TF_CHANNEL_MSG;
    gmki_trace_task(&a->obs, CHAN_EMIT, &cell->task, c->id, cell->task.seq);
}

uint32_t gmki_chan_push(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c, const gmk_task_t *t,
                        uint32_t n)
{
    uint32_t pos;
    uint32_t k = GMK_FAULT(GMK_FAULT_QUEUE) ? 0
                                            : gmk_mpmc_claim(&c->q.ring, c->q.cells,
                                                             GMK_CELL_STRIDE, n, &pos, GMK_DEV);

    for (uint32_t i = 0; i < k; i++) {
        gmki_accept(a, t[i].tenant, 1);
        gmki_count(&a->obs, t[i].tenant, GMK_METRIC_CHAN_EMITS, 1);
        fill(a, c, &c->q.cells[(pos + i) & c->q.ring.mask_p], &t[i]);
    }
    if (k != 0) {
        gmk_mpmc_publish(&c->q.ring, c->q.cells, GMK_CELL_STRIDE, pos, k, GMK_DEV);
        notify(a, r, c, k);
    }
    return k;
}

int gmki_chan_emit(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, const gmk_task_t *t,
                   uint32_t n)
{
    gmki_chan_t *c = gmki_chan_get(r, id);
    uint32_t ok = 0;
    int rc = GMK_OK;

    if (c == NULL || c->system)
        return GMK_CHAN_CLOSED;
    while (ok < n && (rc = check(r->sched, c, &t[ok])) == GMK_OK)
        ok++;
    if (ok == 0)
        return rc;
    ok = gmki_chan_push(a, r, c, t, ok);
    if (ok == 0) {
        gmk_add_rlx(&c->fulls, 1, GMK_DEV); /* relaxed: a statistic, off the fast path */
        gmki_count(&a->obs, t->tenant, GMK_METRIC_CHAN_FULL_COUNT, 1);
        gmki_trace(&a->obs, CHAN_FULL, t, id, c->q.cap);
    }
    return (int)ok;
}

int gmki_chan_emit_wait(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, const gmk_task_t *t)
{
    gmki_group_t *g = a->group;
    gmki_chan_t *c = gmki_chan_get(r, id);
    gmk_cell_t cell;
    int rc;

    /* Behind messages that wait already, so that their order stands. */
    if (g == NULL || gmk_lq_count(&g->outbox) == 0) {
        rc = gmki_chan_emit(a, r, id, t, 1);
        if (rc != 0)
            return rc > 0 ? GMK_OK : rc;
        if (g == NULL)
            return GMK_CHAN_FULL;
    } else {
        rc = c == NULL || c->system ? (int)GMK_CHAN_CLOSED : check(r->sched, c, t);
        if (rc != GMK_OK)
            return rc;
    }
    gmki_stamp(a, &cell, t);
    cell.task.channel = id;
    cell.task.flags |= GMK_TF_CHANNEL_MSG;
    if (!gmk_lq_push_newest(&g->outbox, g->outbox_cells, &cell))
        return GMK_CHAN_FULL;
    gmki_accept(a, t->tenant, 1);
    gmki_count(&a->obs, t->tenant, GMK_METRIC_OUTBOX_PARKED, 1);
    return GMK_OK;
}

bool gmki_outbox_flush(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_group_t *g, gmki_chan_t **blocked)
{
    gmk_lq_t *box = &g->outbox;

    while (gmk_lq_count(box) != 0) {
        const gmk_cell_t *cell = &g->outbox_cells[box->oldest & box->mask];
        gmki_chan_t *c = r->chans[cell->task.channel];
        gmki_queue_t *q = &c->q;

        if (GMK_FAULT(GMK_FAULT_QUEUE) ||
            gmk_cells_push(&q->ring, q->cells, cell, 1, GMK_DEV) == 0) {
            *blocked = c;
            return false;
        }
        gmki_count(&a->obs, cell->task.tenant, GMK_METRIC_CHAN_EMITS, 1);
        gmki_trace_task(&a->obs, CHAN_EMIT, &cell->task, c->id, cell->task.seq);
        box->oldest++;
        notify(a, r, c, 1);
    }
    return true;
}

/* There is a free slot for the next producer. */
static bool has_room(const gmki_chan_t *c)
{
    uint32_t pos = gmk_load_rlx(&c->q.ring.tail, GMK_DEV); /* relaxed: the turn word decides */

    return gmk_mpmc_free(c->q.cells, c->q.ring.mask_p, pos, GMK_CELL_STRIDE, 1, GMK_DEV) != 0;
}

bool gmki_group_wait(gmk_chan_reg_t *r, gmki_group_t *g, gmki_chan_t *full)
{
    uint64_t bit = 1ull << g->module;

    (void)r;
    gmk_or_sc(&full->waiters, bit, GMK_DEV); /* sync: chan.waiters */
    if (!has_room(full))
        return false;
    return (gmk_and_sc(&full->waiters, ~bit, GMK_DEV) & bit) != 0; /* sync: chan.waiters */
}

void gmki_chan_room(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c)
{
    uint64_t w = gmk_xchg_sc(&c->waiters, 0, GMK_DEV); /* sync: chan.waiters */

    while (w != 0) {
        uint32_t m = gmk_lowest_bit64(w);

        w &= w - 1;
        gmki_group_activate(a, r, r->groups[m]);
    }
}
