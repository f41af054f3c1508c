/* SPDX-License-Identifier: MIT
 * The pool of deterministic work: emissions in, deliveries out, the end of a tick.
 * Floor: F4. Emissions of deterministic tasks go to their agent's own list, without a
 * lock; external input has one list and a number by arrival, under the lock.
 * Source: SPEC DET-4, DET-5, V-68; ARCHITECTURE R8, R15. */
#include "det/det.h"

GMK_STATIC_ASSERT(GMK_MAX_MODULES <= 64, "a drain names the modules in one word");

int gmki_det_init(gmki_det_t *d, const gmki_det_ops_t *ops, uint32_t n_agents, uint32_t n_modules)
{
    gmk_hal_memset(d, 0, sizeof(*d));
    d->ops = *ops;
    d->n_agents = n_agents;
    d->n_modules = n_modules;
    d->ext_due = GMKI_NEVER;
    d->unhold_due = GMKI_NEVER;
    d->ready = GMKI_NEVER;
    d->agents = gmk_hal_calloc(n_agents, sizeof(*d->agents));
    d->modules = gmk_hal_calloc(n_modules != 0 ? n_modules : 1, sizeof(*d->modules));
    if (d->agents == NULL || d->modules == NULL) {
        gmk_hal_free(d->agents);
        gmk_hal_free(d->modules);
        d->agents = NULL;
        d->modules = NULL;
        return GMK_ALLOC_FAIL;
    }
    gmk_hal_lock_init(&d->lock);
    return GMK_OK;
}

void gmki_det_fini(gmki_det_t *d)
{
    if (d->agents == NULL)
        return;
    gmk_hal_lock_destroy(&d->lock);
    gmk_hal_free(d->agents);
    gmk_hal_free(d->modules);
    d->agents = NULL;
    d->modules = NULL;
}

void gmki_det_free(gmki_agent_t *a, gmki_det_entry_t *e)
{
    while (e->spare != NULL) {
        gmki_det_entry_t *s = e->spare;

        e->spare = s->node.next != NULL ? gmki_det_of(s->node.next) : NULL;
        gmki_free(&a->cache, s);
    }
    gmki_free(&a->cache, e);
}

gmki_det_entry_t *gmki_det_make(gmki_agent_t *a, const gmk_cell_t *c, uint32_t n)
{
    gmki_det_entry_t *e = gmki_alloc(&a->cache, sizeof(*e));

    if (e == NULL)
        return NULL;
    gmk_hal_memset(e, 0, sizeof(*e));
    gmk_cell_copy(&e->cell, c);
    for (uint32_t i = 1; i < gmk_min32(n, GMKI_DET_MAX_TARGETS); i++) {
        gmki_det_entry_t *s = gmki_alloc(&a->cache, sizeof(*s));

        if (s == NULL) {
            gmki_det_free(a, e);
            return NULL;
        }
        gmk_hal_memset(s, 0, sizeof(*s));
        s->node.next = e->spare != NULL ? &e->spare->node : NULL;
        e->spare = s;
    }
    return e;
}

/* The earliest tick that is due. pre: the lock, no tick is open. */
static uint64_t earliest(const gmki_det_t *d)
{
    uint64_t due = gmk_min64(d->ext_due, d->unhold_due);

    if (d->soon.first != NULL)
        due = gmk_min64(due, d->tick + 1);
    return d->later != NULL ? gmk_min64(due, d->later->due) : due;
}

/* External input that is due at `due` has come. pre: the lock. */
static void owe(gmki_det_t *d, uint64_t due)
{
    /* relaxed: written under the lock alone */
    if (!d->open && due < gmk_load_rlx(&d->ready, GMK_DEV))
        gmk_store_rel(&d->ready, due, GMK_DEV); /* sync: det.ready */
}

static int emit_external(gmki_det_t *d, gmki_agent_t *a, const gmk_cell_t *c, uint64_t due,
                         uint32_t n)
{
    gmki_det_entry_t *e = NULL;

    if (!a->obs.shared && (e = gmki_det_make(a, c, n)) == NULL)
        return GMK_ALLOC_FAIL;
    gmk_hal_lock_acquire(&d->lock);
    if (e == NULL && (e = gmki_det_make(a, c, n)) == NULL) {
        gmk_hal_lock_release(&d->lock);
        return GMK_ALLOC_FAIL;
    }
    e->due = gmk_max64(due, d->tick + 1);
    e->position = d->arrivals++;
    gmki_accept(a, c->task.tenant, 1);
    gmki_det_append(&d->ext, e);
    d->ext_due = gmk_min64(d->ext_due, e->due);
    if (d->ops.input != NULL)
        d->ops.input(d->ops.arg, c, e->due);
    owe(d, e->due);
    gmk_hal_lock_release(&d->lock);
    return GMK_OK;
}

int gmki_det_emit(gmki_det_t *d, gmki_agent_t *a, const gmk_cell_t *c, uint64_t due, uint32_t n)
{
    gmki_det_agent_t *mine = &d->agents[a->obs.agent];
    gmki_det_entry_t *e;

    if (mine->current == NULL)
        return emit_external(d, a, c, due, n);
    e = gmki_det_make(a, c, n);
    if (e == NULL)
        return GMK_ALLOC_FAIL;
    e->due = gmk_max64(due, d->tick + 1);
    e->internal = 1;
    e->position = mine->current->position;
    e->emission = mine->current->emission++;
    gmki_accept(a, c->task.tenant, 1);
    gmki_det_append(&mine->made, e);
    return GMK_OK;
}

void gmki_det_unhold(gmki_det_t *d, uint64_t due)
{
    gmk_hal_lock_acquire(&d->lock);
    due = gmk_max64(due, d->tick + 1);
    d->unhold_due = gmk_min64(d->unhold_due, due);
    owe(d, due);
    gmk_hal_lock_release(&d->lock);
}

void gmki_det_end(gmki_det_t *d)
{
    gmki_det_entry_t *e;

    gmk_hal_lock_acquire(&d->lock);
    for (uint32_t i = 0; i < d->n_agents; i++)
        while ((e = gmki_det_pop(&d->agents[i].made)) != NULL)
            gmki_det_keep(d, e);
    d->open = false;
    gmk_store_rel(&d->ready, earliest(d), GMK_DEV); /* sync: det.ready */
    gmk_hal_lock_release(&d->lock);
}

gmki_det_entry_t *gmki_det_take(gmki_det_t *d, gmki_agent_t *a, uint32_t module)
{
    gmki_det_agent_t *mine = &d->agents[a->obs.agent];
    gmki_det_module_t *m = &d->modules[module];

    GMK_ASSERT(mine->current == NULL, "an agent runs one deterministic task at a time");
    if (!gmki_det_has(d, module))
        return NULL;
    mine->current = gmki_det_pop(&m->work);
    /* Once the last task is settled the next drain may fill the list. */
    if (m->work.first == NULL)
        gmk_store_rlx(&m->given, 0, GMK_DEV); /* relaxed: det.outstanding orders it */
    return mine->current;
}

/* What a runs, which it runs no longer. */
static gmki_det_entry_t *leave(gmki_det_t *d, gmki_agent_t *a)
{
    gmki_det_agent_t *mine = &d->agents[a->obs.agent];
    gmki_det_entry_t *e = mine->current;

    GMK_ASSERT(e != NULL, "the agent has a deterministic task in its hands");
    mine->current = NULL;
    return e;
}

void gmki_det_yield(gmki_det_t *d, gmki_agent_t *a)
{
    gmki_det_entry_t *e = leave(d, a);
    gmki_det_module_t *m = &d->modules[e->module];

    gmki_det_append(&m->work, e);
    gmk_store_rel(&m->given, 1, GMK_DEV); /* sync: det.given */
}

/* One delivery of the open tick less. returns: true: the tick has ended. */
static bool one_less(gmki_det_t *d)
{
    if (gmk_sub_ar(&d->outstanding, 1, GMK_DEV) != 1) /* sync: det.outstanding */
        return false;
    gmki_det_end(d);
    return true;
}

bool gmki_det_retry(gmki_det_t *d, gmki_agent_t *a, uint64_t due)
{
    gmki_det_entry_t *e = leave(d, a);

    /* Its own next emission, to one target that is known: position and emission stand. */
    e->internal = 1;
    e->due = gmk_max64(due, d->tick + 1);
    gmki_det_append(&d->agents[a->obs.agent].made, e);
    return one_less(d);
}

bool gmki_det_settled(gmki_det_t *d, gmki_agent_t *a)
{
    gmki_det_free(a, leave(d, a));
    return one_less(d);
}

uint64_t gmki_det_unfinished(gmki_det_t *d)
{
    uint64_t tick;

    gmk_hal_lock_acquire(&d->lock);
    tick = d->open ? d->tick : earliest(d);
    gmk_hal_lock_release(&d->lock);
    return tick;
}

/* pre: the lock is held. */
static uint64_t waiting(const gmki_det_t *d)
{
    uint64_t n = d->soon.count + d->n_later + d->ext.count;

    for (uint32_t i = 0; i < d->n_agents; i++)
        n += d->agents[i].made.count;
    return n;
}

bool gmki_det_empty(const gmki_det_t *d)
{
    /* While a tick is open the lists are of whoever opened it, and not to be read. */
    return !d->open && waiting(d) + d->held.count == 0;
}

bool gmki_det_restart(gmki_det_t *d, uint64_t tick, uint64_t seq)
{
    bool ok;

    gmk_hal_lock_acquire(&d->lock);
    ok = gmki_det_empty(d);
    if (ok) {
        d->tick = tick;
        d->seq = seq;
        if (d->unhold_due != GMKI_NEVER) /* a subscription has asked: of no tick before this */
            d->unhold_due = gmk_max64(d->unhold_due, tick + 1);
        gmk_store_rel(&d->ready, earliest(d), GMK_DEV); /* sync: det.ready */
        gmki_det_rehash(d);
    }
    gmk_hal_lock_release(&d->lock);
    return ok;
}

uint64_t gmki_det_waiting(gmki_det_t *d)
{
    uint64_t n;

    gmk_hal_lock_acquire(&d->lock);
    n = waiting(d);
    gmk_hal_lock_release(&d->lock);
    return n;
}

uint64_t gmki_det_held(const gmki_det_t *d, uint32_t chan)
{
    uint64_t n = 0;

    for (gmk_canon_node_t *e = d->held.first; e != NULL; e = e->next)
        n += gmki_det_of(e)->cell.task.channel == chan;
    return n;
}

uint64_t gmki_det_count(gmki_det_t *d)
{
    uint64_t n;

    gmk_hal_lock_acquire(&d->lock);
    n = waiting(d) + d->held.count;
    n += gmk_load_acq(&d->outstanding, GMK_DEV); /* sync: det.outstanding */
    gmk_hal_lock_release(&d->lock);
    return n;
}

/* Some entry from anywhere, or null. */
static gmki_det_entry_t *take_any(gmki_det_t *d)
{
    gmki_det_entry_t *e = NULL;

    for (uint32_t m = 0; m < d->n_modules && e == NULL; m++)
        e = gmki_det_pop(&d->modules[m].work);
    if (e != NULL) {
        gmk_sub_ar(&d->outstanding, 1, GMK_DEV); /* sync: det.outstanding */
        return e;
    }
    for (uint32_t i = 0; i < d->n_agents && e == NULL; i++)
        e = gmki_det_pop(&d->agents[i].made);
    e = e != NULL ? e : gmki_det_pop(&d->soon);
    e = e != NULL ? e : gmki_det_pop(&d->held);
    e = e != NULL ? e : gmki_det_pop(&d->ext);
    return e == NULL && d->later != NULL ? gmki_det_later_take(d) : e;
}

bool gmki_det_any(gmki_det_t *d, gmki_agent_t *a, gmk_cell_t *out)
{
    gmki_det_entry_t *e;

    gmk_hal_lock_acquire(&d->lock);
    e = take_any(d);
    if (e == NULL) {
        d->open = false;
        d->ext_due = GMKI_NEVER;
        d->unhold_due = GMKI_NEVER;
        gmk_store_rel(&d->ready, GMKI_NEVER, GMK_DEV); /* sync: det.ready */
    }
    gmk_hal_lock_release(&d->lock);
    if (e == NULL)
        return false;
    gmk_cell_copy(out, &e->cell);
    gmki_det_free(a, e);
    return true;
}
