/* SPDX-License-Identifier: MIT
 * A turn: one worker drains a group while it holds the group's token.
 * Floor: F7. Order of a turn: the outbox, resumed messages, new messages channel by
 * channel. A message is run in place and its slot given back at once. A parallel group
 * only hands its messages out, and passes the token on before they run.
 * Source: SPEC CH-29, CH-38, V-24; ARCHITECTURE R4, R19. */
#include "worker/worker.h"

/* What one turn did to the group's pending count and to its channels. */
typedef struct turn {
    uint32_t budget;  /* messages it may still start */
    uint32_t ran;
    uint32_t settled; /* messages that no longer count as pending */
    gmki_chan_t *blocked;
} turn_t;

bool gmki_is_serial(const gmk_sched_t *s, uint16_t sub)
{
    return gmki_core(s)->chan.sub_serial[sub];
}

/* Puts a message of the group back before its new ones. */
static void resume_push(gmki_group_t *g, const gmk_cell_t *c)
{
    if (gmk_cells_push(&g->resume.ring, g->resume.cells, c, 1, GMK_DEV) == 0)
        GMK_ASSERT(false, "the resume queue has room for every message away");
}

void gmki_return_message(gmki_agent_t *a, const gmk_cell_t *c)
{
    gmk_chan_reg_t *r = &gmki_core(a->sched)->chan;
    gmki_chan_t *ch = r->chans[r->sub_chan[c->sub]];
    gmki_group_t *g = r->groups[gmk_load_acq(&ch->group, GMK_DEV) - 1]; /* sync: chan.orphans */

    resume_push(g, c);
    gmki_group_add(a, r, g, 1);
    if (gmk_xchg_sc(&g->stalled, 0, GMK_DEV) != 0) /* sync: group.stalled */
        gmki_group_activate(a, r, g);
}

static void run_message(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, gmk_cell_t *c, turn_t *t)
{
    t->ran++;
    t->budget--;
    a->group = g;
    switch (gmki_dispatch(a, k, c, k->chan.sub_handler[c->sub])) {
    case GMKI_COMPLETED:
    case GMKI_FAILED:
        t->settled++;
        break;
    case GMKI_AGAIN: /* still pending */
        g->away++;
        resume_push(g, c);
        break;
    case GMKI_LATER: /* pending again when it comes due */
        g->away++;
        t->settled++;
        break;
    }
    a->group = NULL;
    if (gmk_lq_count(&g->outbox) != 0)
        t->budget = 0;
}

static void run_resumed(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, turn_t *t)
{
    uint32_t n = gmk_mpmc_count(&g->resume.ring, GMK_DEV);
    gmk_cell_t c;

    while (n-- > 0 && t->budget != 0 &&
           gmk_cells_pop_sc(&g->resume.ring, g->resume.cells, &c, 1, GMK_DEV) != 0) {
        g->away--;
        run_message(a, k, g, &c, t);
    }
}

/* New messages of one channel, as long as the turn and the resume queue have room. */
static void run_channel(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, gmki_chan_t *c, turn_t *t)
{
    gmki_queue_t *q = &c->q;
    uint32_t n = 0;
    uint32_t pos;

    while (t->budget != 0 && g->away < GMK_GROUP_RESUME_CAP &&
           gmk_mpmc_take_sc(&q->ring, q->cells, GMK_CELL_STRIDE, 1, &pos, GMK_DEV) != 0) {
        gmk_cell_t *cell = &q->cells[pos & q->ring.mask_c];

        cell->sub = (uint16_t)c->sub;
        cell->chan_seq = gmk_count_get(&c->taken) + 1;
        gmk_count_add(&c->taken, 1);
        run_message(a, k, g, cell, t);
        gmk_mpmc_release(&q->ring, q->cells, GMK_CELL_STRIDE, pos, 1, GMK_DEV);
        n++;
    }
    if (n != 0) {
        gmki_trace(&a->obs, CHAN_DRAIN, NULL, c->id, n);
        gmki_chan_room(a, &k->chan, c);
    }
}

/* One round over the channels, from where the last turn's budget ended, so that a busy
 * channel starves no other. */
static void run_channels(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, uint32_t first,
                         turn_t *t)
{
    uint32_t start = g->next_chan != 0 ? g->next_chan : first;
    uint32_t id = start;

    while (t->budget != 0) {
        run_channel(a, k, g, k->chan.chans[id], t);
        id = k->chan.chans[id]->next;
        if (id == 0)
            id = first;
        if (id == start)
            break;
    }
    g->next_chan = id;
}

/* Nothing can run until a message comes back: leaves the token for its return. False:
 * there is something, or it came back meanwhile and the token is still ours. */
static bool stalls(gmki_group_t *g)
{
    if (g->away < GMK_GROUP_RESUME_CAP)
        return false;
    gmk_xchg_sc(&g->stalled, 1, GMK_DEV); /* sync: group.stalled */
    if (!gmk_cells_ready(&g->resume.ring, g->resume.cells, GMK_DEV))
        return true;
    return gmk_xchg_sc(&g->stalled, 0, GMK_DEV) == 0; /* sync: group.stalled */
}

/* Ends a turn: accounts and passes the token on, or lets it go. */
static void finish(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, turn_t *t)
{
    bool waiting = gmk_lq_count(&g->outbox) != 0;
    uint32_t left;

    if (waiting && !g->held) {
        gmk_add_ar(&g->pending, 1, GMK_DEV); /* sync: group.pending */
        g->held = true;
    } else if (!waiting && g->held) {
        t->settled++;
        g->held = false;
    }
    if (waiting && t->blocked != NULL) {
        gmk_sub_ar(&g->pending, t->settled, GMK_DEV); /* sync: group.pending */
        if (!gmki_group_wait(&k->chan, g, t->blocked))
            return; /* the token is the full channel's: touch the group no more */
        gmki_group_activate(a, &k->chan, g);
        return;
    }
    left = gmk_sub_ar(&g->pending, t->settled, GMK_DEV) - t->settled; /* sync: group.pending */
    if (left != 0 && (t->ran != 0 || g->parallel || !stalls(g)))
        gmki_group_activate(a, &k->chan, g);
}

static uint32_t serial_turn(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, uint32_t budget)
{
    turn_t t = {.budget = budget};
    /* The list before the binding: a channel seen here was bound before it was listed. */
    uint32_t first = gmk_load_acq(&g->first_chan, GMK_DEV); /* sync: chan.bind */
    uint32_t worker = gmk_load_acq(&g->worker, GMK_DEV);    /* sync: chan.bind */

    if (GMK_UNLIKELY(worker != GMK_NO_WORKER && worker != a->obs.agent)) {
        gmki_group_activate(a, &k->chan, g); /* bound since it was placed */
        return 0;
    }
    if (gmki_outbox_flush(a, &k->chan, g, &t.blocked)) {
        run_resumed(a, k, g, &t);
        run_channels(a, k, g, first, &t);
        if (gmk_lq_count(&g->outbox) != 0)
            gmki_outbox_flush(a, &k->chan, g, &t.blocked);
    }
    finish(a, k, g, &t);
    return t.ran;
}

/* Moves messages to the worker's own queue, where they are ordinary tasks that others
 * may steal, and passes the token on before any of them runs. */
static uint32_t parallel_turn(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, uint32_t budget)
{
    gmki_chan_t *c = k->chan.chans[gmk_load_acq(&g->first_chan, GMK_DEV)]; /* sync: chan.bind */
    gmki_queue_t *q = &c->q;
    gmki_wq_t *w = a->wq;
    uint32_t share = gmk_mpmc_count(&q->ring, GMK_DEV) / a->sched->n_workers + 1;
    uint32_t want = gmk_min32(gmk_min32(budget, share), gmk_lq_room(&w->fifo));
    turn_t t = {.budget = budget};
    uint32_t pos;
    uint32_t n = 0;

    if (want != 0)
        n = gmk_mpmc_take_sc(&q->ring, q->cells, GMK_CELL_STRIDE, want, &pos, GMK_DEV);
    for (uint32_t i = 0; i < n; i++) {
        gmk_cell_t *cell = &q->cells[(pos + i) & q->ring.mask_c];

        cell->sub = (uint16_t)c->sub;
        cell->chan_seq = gmk_count_get(&c->taken) + 1;
        gmk_count_add(&c->taken, 1);
        if (!gmk_lq_push_newest(&w->fifo, w->fifo_cells, cell))
            GMK_ASSERT(false, "no more is taken than there is room");
    }
    if (n != 0) {
        gmk_mpmc_release(&q->ring, q->cells, GMK_CELL_STRIDE, pos, n, GMK_DEV);
        gmki_chan_room(a, &k->chan, c);
    }
    t.settled = n;
    finish(a, k, g, &t);
    return n;
}

uint32_t gmki_turn(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, uint32_t budget)
{
    /* A message is published before it is counted: starting no more than are counted
     * keeps pending from falling below zero. */
    uint32_t counted = gmk_load_acq(&g->pending, GMK_DEV); /* sync: group.pending */
    uint32_t n;

    budget = gmk_min32(budget, counted - g->held);
    gmki_count(&a->obs, 0, GMK_METRIC_GROUP_TURNS, 1);
    n = g->parallel ? parallel_turn(a, k, g, budget) : serial_turn(a, k, g, budget);
    if (n == 0)
        gmk_hal_relax(); /* a message is being published, or the outbox waits */
    return n;
}
