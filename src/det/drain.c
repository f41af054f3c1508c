/* SPDX-License-Identifier: MIT
 * The tick drain: everything due, in one order, numbered, split by module.
 * Floor: F4. Until every emission has its targets and memory for them nothing is
 * changed that cannot be put back; from then on nothing can fail.
 * Invariants: order of emission is (channel, external first, position, emission), channel
 *   0 being direct work; seq rises in that order; order of running is (tick, priority,
 *   type, seq), and the position is the running number of that. Positions rise over
 *   ticks too, so of two emissions due at one tick the earlier one stands first.
 * Source: SPEC DET-1, DET-4, DET-8, V-68; ARCHITECTURE R15. */
#include "det/det.h"

/* The emissions of one drain. */
typedef struct batch {
    gmki_det_list_t in;  /* taken, then in order of emission */
    gmki_det_list_t out; /* deliveries, then in canonical order */
    uint64_t tick;
} batch_t;

static gmk_canon_node_t *next_of(const gmki_det_entry_t *e) { return e->node.next; }

/* Makes the caller the one who opens a tick. False: none is due, or somebody else did.
 * *revisit: what is held is to be asked for. */
static bool open_tick(gmki_det_t *d, uint64_t now, batch_t *b, bool *revisit)
{
    gmki_det_list_t ext;
    gmki_det_entry_t *e;
    bool ok;

    gmk_hal_lock_acquire(&d->lock);
    b->tick = gmk_load_rlx(&d->ready, GMK_DEV); /* relaxed: written under the lock alone */
    ok = !d->open && b->tick != GMKI_NEVER && b->tick <= now;
    if (!ok) {
        gmk_hal_lock_release(&d->lock);
        return false;
    }
    d->open = true;
    gmk_store_rel(&d->ready, GMKI_NEVER, GMK_DEV); /* sync: det.ready */
    if (b->tick == d->tick + 1) {
        b->in = d->soon;
        d->soon = (gmki_det_list_t){.first = NULL};
    }
    d->tick = b->tick;
    ext = d->ext;
    d->ext = (gmki_det_list_t){.first = NULL};
    d->ext_due = GMKI_NEVER;
    *revisit = d->unhold_due <= b->tick;
    if (*revisit)
        d->unhold_due = GMKI_NEVER;
    gmk_hal_lock_release(&d->lock);
    while ((e = gmki_det_pop(&ext)) != NULL) {
        if (e->due <= b->tick)
            gmki_det_append(&b->in, e);
        else
            gmki_det_keep(d, e);
    }
    return true;
}

/* Takes the rest of what is due, and puts it in order of emission. */
static void gather(gmki_det_t *d, batch_t *b, bool revisit)
{
    gmki_det_entry_t *e;

    while (d->later != NULL && d->later->due <= b->tick)
        gmki_det_append(&b->in, gmki_det_later_take(d));
    if (revisit)
        gmk_hal_memset(d->held_chans, 0, sizeof(d->held_chans));
    while (revisit && (e = gmki_det_pop(&d->held)) != NULL) {
        e->due = b->tick;
        gmki_det_append(&b->in, e);
    }
    for (gmk_canon_node_t *n = b->in.first; n != NULL; n = n->next) {
        e = gmki_det_of(n);
        n->hi = (uint64_t)GMK_CHAN_INDEX(e->cell.task.channel) << 48 | (uint64_t)e->internal << 47 |
                e->position >> 32;
        n->lo = e->position << 32 | e->emission;
    }
    b->in.first = gmk_canon_sort(b->in.first);
}

/* Gives e `want` blocks beside itself. False: no memory; those it has are its own. */
static bool provide(gmki_agent_t *a, gmki_det_entry_t *e, uint32_t want)
{
    gmki_det_entry_t *s;
    uint32_t have = 0;

    for (gmk_canon_node_t *n = e->spare != NULL ? &e->spare->node : NULL; n != NULL; n = n->next)
        have++;
    for (; have < want; have++) {
        s = gmki_alloc(&a->cache, sizeof(*s));
        if (s == NULL)
            return false;
        gmk_hal_memset(s, 0, sizeof(*s));
        s->node.next = e->spare != NULL ? &e->spare->node : NULL;
        e->spare = s;
    }
    for (; have > want; have--) {
        s = e->spare;
        e->spare = next_of(s) != NULL ? gmki_det_of(next_of(s)) : NULL;
        gmki_free(&a->cache, s);
    }
    return true;
}

/* Decides what becomes of an emission. False: no memory. */
static bool bind(gmki_det_t *d, gmki_agent_t *a, gmki_det_entry_t *e)
{
    gmki_det_target_t to[GMKI_DET_MAX_TARGETS];
    gmk_canon_node_t *n;
    int k;

    if (e->fate == GMKI_DET_BOUND)
        return true;
    k = d->ops.targets(d->ops.arg, &e->cell, to);
    GMK_ASSERT(k <= (int)GMKI_DET_MAX_TARGETS, "an emission has so many targets at most");
    if (k <= 0) {
        e->fate = k == 0 ? GMKI_DET_UNHEARD : k == GMKI_DET_HOLD ? GMKI_DET_HELD : GMKI_DET_CLOSED;
        return true;
    }
    if (!provide(a, e, (uint32_t)k - 1))
        return false;
    e->fate = GMKI_DET_SPLIT;
    n = &e->node;
    for (int i = 0; i < k; i++) {
        gmki_det_entry_t *t = gmki_det_of(n);

        GMK_ASSERT(to[i].module < d->n_modules, "a target is a module of this kernel");
        t->cell.sub = to[i].sub;
        t->module = to[i].module;
        n = i == 0 ? (e->spare != NULL ? &e->spare->node : NULL) : n->next;
    }
    return true;
}

/* Of a channel nothing overtakes what is held, also if somebody has subscribed since: that
 * is held too, and all of it asked for at the next tick. */
static void hold_behind(gmki_det_t *d, batch_t *b)
{
    bool again = false;

    for (gmk_canon_node_t *n = b->in.first; n != NULL; n = n->next) {
        gmki_det_entry_t *e = gmki_det_of(n);
        uint32_t at = GMK_CHAN_INDEX(e->cell.task.channel);
        uint64_t bit = 1ull << (at & 63);

        if (e->fate == GMKI_DET_HELD) {
            d->held_chans[at / 64] |= bit;
        } else if (e->fate == GMKI_DET_SPLIT && (d->held_chans[at / 64] & bit) != 0) {
            e->fate = GMKI_DET_HELD;
            again = true;
        }
    }
    if (again)
        gmki_det_unhold(d, b->tick + 1);
}

/* Decides all; false: no memory, and everything is due as before. */
static bool bind_all(gmki_det_t *d, gmki_agent_t *a, batch_t *b)
{
    gmki_det_entry_t *e;
    bool ok = true;

    for (gmk_canon_node_t *n = b->in.first; n != NULL && ok; n = n->next)
        ok = bind(d, a, gmki_det_of(n));
    if (ok) {
        hold_behind(d, b);
        return true;
    }
    while ((e = gmki_det_pop(&b->in)) != NULL) {
        if (e->fate != GMKI_DET_BOUND)
            e->fate = GMKI_DET_OPEN;
        gmki_det_later_put(d, e);
    }
    return false;
}

static void deliver(gmki_det_t *d, batch_t *b, gmki_det_entry_t *e)
{
    gmk_canon_key_t key = {.tick = b->tick,
                           .priority = GMK_PRIORITY(e->cell.task.flags),
                           .type = e->cell.task.type,
                           .seq = d->seq};

    e->fate = GMKI_DET_BOUND;
    e->cell.task.seq = (uint32_t)d->seq++;
    gmk_canon_pack(&key, &e->node.hi, &e->node.lo);
    gmki_det_append(&b->out, e);
}

/* Splits an emission into its deliveries, and keeps the books. */
static void split(gmki_det_t *d, gmki_agent_t *a, batch_t *b, gmki_det_entry_t *e)
{
    gmki_det_entry_t *spare = e->spare;
    const gmk_task_t *t = &e->cell.task;
    uint32_t n = 1;

    for (gmk_canon_node_t *s = spare != NULL ? &spare->node : NULL; s != NULL; s = s->next)
        n++;
    e->spare = NULL;
    e->cell.task.seq = (uint32_t)d->seq;
    if (t->channel != 0 && d->ops.begun != NULL)
        d->ops.begun(d->ops.arg, &e->cell);
    if (n > 1) {
        gmki_accept(a, t->tenant, n - 1);
        if (t->flags & GMK_TF_PAYLOAD_RC)
            gmki_payload_retain(&a->cache, (void *)(uintptr_t)t->payload_ptr, n - 1);
    }
    deliver(d, b, e);
    while (spare != NULL) {
        gmki_det_entry_t *s = spare;
        uint16_t sub = s->cell.sub;

        spare = next_of(s) != NULL ? gmki_det_of(next_of(s)) : NULL;
        gmk_cell_copy(&s->cell, &e->cell);
        s->cell.sub = sub;
        deliver(d, b, s);
    }
}

/* Nobody subscribes: the delivery it was taken on as is none. */
static void unheard(gmki_det_t *d, gmki_agent_t *a, gmki_det_entry_t *e)
{
    const gmk_task_t *t = &e->cell.task;

    if (d->ops.begun != NULL)
        d->ops.begun(d->ops.arg, &e->cell);
    gmki_unaccept(a, t->tenant, 1);
    gmki_count(&a->obs, t->tenant, GMK_METRIC_CHAN_UNHEARD, 1);
    if (t->flags & GMK_TF_PAYLOAD_RC)
        gmki_payload_release(&a->cache, (void *)(uintptr_t)t->payload_ptr);
    gmki_det_free(a, e);
}

/* Does what bind decided, in order of emission. */
static void begin(gmki_det_t *d, gmki_agent_t *a, batch_t *b, gmki_det_entry_t *e)
{
    switch (e->fate) {
    case GMKI_DET_SPLIT:
        split(d, a, b, e);
        break;
    case GMKI_DET_BOUND:
        deliver(d, b, e);
        break;
    case GMKI_DET_UNHEARD:
        unheard(d, a, e);
        break;
    case GMKI_DET_CLOSED:
        a->sched->lose(a, &e->cell, GMK_ERR_CLOSED);
        gmki_det_free(a, e);
        break;
    default:
        gmki_det_append(&d->held, e);
    }
}

/* Numbers the deliveries in canonical order and puts them into their modules' lists. */
static void hand_out(gmki_det_t *d, batch_t *b, uint64_t *modules)
{
    gmki_det_entry_t *e;

    GMK_ASSERT(d->seq < GMK_CANON_SEQ_END, "the key holds every number");
    b->out.first = gmk_canon_sort(b->out.first);
    /* relaxed: det.given publishes it */
    gmk_store_rlx(&d->outstanding, b->out.count, GMK_DEV);
    while ((e = gmki_det_pop(&b->out)) != NULL) {
        e->position = d->position++;
        e->emission = 0;
        gmki_det_append(&d->modules[e->module].work, e);
        *modules |= 1ull << e->module;
    }
    for (uint64_t m = *modules; m != 0; m &= m - 1)
        gmk_store_rel(&d->modules[gmk_lowest_bit64(m)].given, 1, GMK_DEV); /* sync: det.given */
}

int64_t gmki_det_drain(gmki_det_t *d, gmki_agent_t *a, uint64_t now, uint64_t *modules)
{
    batch_t b = {.tick = 0};
    gmki_det_entry_t *e;
    int64_t n;
    bool revisit;

    *modules = 0;
    if (!open_tick(d, now, &b, &revisit))
        return 0;
    gather(d, &b, revisit);
    if (!bind_all(d, a, &b)) {
        if (d->late != b.tick)
            gmki_count(&a->obs, 0, GMK_METRIC_TICKS_LATE, 1);
        d->late = b.tick;
        gmki_det_end(d);
        return GMK_ALLOC_FAIL;
    }
    if (d->ops.begin != NULL) {
        gmk_hal_lock_acquire(&d->lock);
        d->ops.begin(d->ops.arg, b.tick);
        gmk_hal_lock_release(&d->lock);
    }
    while ((e = gmki_det_pop(&b.in)) != NULL)
        begin(d, a, &b, e);
    n = (int64_t)b.out.count;
    hand_out(d, &b, modules);
    if (n == 0)
        gmki_det_end(d);
    return n;
}
