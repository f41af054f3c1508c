/* SPDX-License-Identifier: MIT
 * The channel registry: names, identifiers, subscriptions, groups.
 * Floor: F5. Changed under the registry's lock; an identifier, once given out, leads to
 * its channel without it.
 * Source: SPEC CH-1 to CH-9, CH-24, CH-26, V-19, V-45, V-65; ARCHITECTURE R4, R6. */
#include "chan/chan.h"

static bool name_eq(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static size_t name_len(const char *s)
{
    size_t n = 0;

    while (n < GMK_MAX_CHAN_NAME && s[n] != '\0')
        n++;
    return n;
}

static gmki_group_t *group_make(gmk_chan_reg_t *r, uint32_t module, bool parallel)
{
    gmki_group_t *g = gmk_hal_calloc(1, sizeof(*g));

    if (g == NULL)
        return NULL;
    g->index = r->n_groups;
    g->module = module;
    g->parallel = parallel;
    g->worker = GMK_NO_WORKER;
    if (!parallel) {
        g->outbox_cells = gmk_hal_calloc(GMK_GROUP_OUTBOX_CAP, sizeof(gmk_cell_t));
        gmk_lq_setup(&g->outbox, GMK_GROUP_OUTBOX_CAP, 0);
        if (g->outbox_cells == NULL ||
            gmki_queue_init(&g->resume, GMK_GROUP_RESUME_CAP) != GMK_OK) {
            gmk_hal_free(g->outbox_cells);
            gmk_hal_free(g);
            return NULL;
        }
    }
    r->groups[r->n_groups++] = g;
    return g;
}

int gmki_chan_reg_init(gmk_chan_reg_t *r, gmk_sched_t *s, uint32_t n_modules)
{
    r->sched = s;
    r->n_subs = 1;
    gmk_hal_lock_init(&r->lock);
    for (uint32_t m = 0; m < n_modules; m++)
        if (group_make(r, m, false) == NULL)
            return GMK_ALLOC_FAIL;
    if (gmki_chan_open(r, "sys.dropped", GMK_CHAN_P2P, GMK_ENVELOPES, GMK_TYPE_SYS_DROPPED) !=
            (int)GMK_CHAN_SYS_DROPPED ||
        gmki_chan_open(r, "sys.error", GMK_CHAN_P2P, GMK_ENVELOPES, GMK_TYPE_SYS_ERROR) !=
            (int)GMK_CHAN_SYS_ERROR)
        return GMK_ALLOC_FAIL;
    r->chans[GMK_CHAN_SYS_DROPPED]->system = true;
    r->chans[GMK_CHAN_SYS_ERROR]->system = true;
    return GMK_OK;
}

void gmki_chan_reg_fini(gmk_chan_reg_t *r)
{
    for (uint32_t i = 1; i <= GMK_MAX_CHANNELS && r->chans[i] != NULL; i++) {
        gmki_queue_fini(&r->chans[i]->q);
        gmk_hal_free(r->chans[i]);
        r->chans[i] = NULL;
    }
    for (uint32_t i = 0; i < r->n_groups; i++) {
        gmki_queue_fini(&r->groups[i]->resume);
        gmk_hal_free(r->groups[i]->outbox_cells);
        gmk_hal_free(r->groups[i]);
    }
    r->n_groups = 0;
    gmk_hal_free(r->envelopes);
    gmk_hal_free(r->envelope_next);
    if (r->n_subs != 0)
        gmk_hal_lock_destroy(&r->lock);
    r->n_subs = 0;
}

gmki_chan_t *gmki_chan_get(const gmk_chan_reg_t *r, uint32_t id)
{
    /* unsigned wrap makes 0 out of range */
    if (GMK_UNLIKELY(id - 1 >= gmk_load_acq(&r->n_chans, GMK_DEV))) /* sync: chan.open */
        return NULL;
    return r->chans[id];
}

int gmki_chan_find(const gmk_chan_reg_t *r, const char *name)
{
    uint32_t n = gmk_load_acq(&r->n_chans, GMK_DEV); /* sync: chan.open */

    for (uint32_t i = 1; i <= n; i++)
        if (name_eq(r->chans[i]->name, name))
            return (int)i;
    return GMK_E_NOT_FOUND;
}

int gmki_chan_fix_type(gmki_chan_t *c, uint32_t type)
{
    uint32_t have = GMKI_ANY_TYPE;

    if (type == GMKI_ANY_TYPE)
        return GMK_OK;
    if (type >= GMK_TYPE_SYS_FIRST)
        return GMK_E_INVALID;
    if (gmk_cas_ar(&c->msg_type, &have, type, GMK_DEV) || have == type) /* sync: chan.type */
        return GMK_OK;
    return GMK_CHAN_TYPE_MISMATCH;
}

/* pre: the lock is held. */
static int chan_make(gmk_chan_reg_t *r, const char *name, uint32_t mode, uint32_t slots,
                     uint32_t type)
{
    uint32_t n = gmk_load_rlx(&r->n_chans, GMK_DEV); /* relaxed: the lock is held */
    gmki_chan_t *c;

    if (n == GMK_MAX_CHANNELS)
        return GMK_E_LIMIT;
    c = gmk_hal_calloc(1, sizeof(*c));
    if (c == NULL || gmki_queue_init(&c->q, slots) != GMK_OK) {
        gmk_hal_free(c);
        return GMK_ALLOC_FAIL;
    }
    gmk_hal_memcpy(c->name, name, name_len(name));
    c->id = n + 1;
    c->mode = mode;
    c->msg_type = type;
    r->chans[n + 1] = c;
    gmk_store_rel(&r->n_chans, n + 1, GMK_DEV); /* sync: chan.open */
    return (int)(n + 1);
}

int gmki_chan_open(gmk_chan_reg_t *r, const char *name, uint32_t mode, uint32_t slots,
                   uint32_t type)
{
    int id;

    if (name == NULL || *name == '\0' || name_len(name) == GMK_MAX_CHAN_NAME || type > 255)
        return GMK_E_INVALID;
    if ((mode & ~(GMK_CHAN_P2P | GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS)) != 0 ||
        slots > GMKI_MAX_SLOTS)
        return GMK_E_INVALID;
    if (mode & GMK_CHAN_FANOUT)
        return GMK_E_UNSUPPORTED;
    mode |= GMK_CHAN_P2P;
    gmk_hal_lock_acquire(&r->lock);
    id = gmki_chan_find(r, name);
    if (id == GMK_E_NOT_FOUND)
        id = chan_make(r, name, mode, slots != 0 ? slots : GMK_CHAN_DEFAULT_SLOTS, type);
    else if (r->chans[id]->mode != mode ||
             (slots != 0 && gmk_max32(gmk_pow2_ceil(slots), 2) != r->chans[id]->q.cap))
        id = GMK_E_EXISTS;
    else if (gmki_chan_fix_type(r->chans[id], type) != GMK_OK)
        id = GMK_CHAN_TYPE_MISMATCH;
    gmk_hal_lock_release(&r->lock);
    return id;
}

/* The group that serves module's subscription. pre: the lock is held. */
static gmki_group_t *group_for(gmk_chan_reg_t *r, uint32_t module, bool parallel)
{
    if (!parallel)
        return r->groups[module];
    return r->n_groups < GMKI_MAX_GROUPS ? group_make(r, module, true) : NULL;
}

/* pre: the lock is held, nobody subscribes to c. */
static int bind(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c, const gmki_sub_t *sub)
{
    uint32_t type = gmk_load_acq(&c->msg_type, GMK_DEV); /* sync: chan.type */
    uint32_t handler = r->handler_of(r->modules, sub->module, type);
    gmki_group_t *g;
    uint32_t orphans;

    if (handler == GMKI_NO_HANDLER)
        return GMK_CHAN_TYPE_MISMATCH;
    if (r->n_subs == GMKI_MAX_SUBS)
        return GMK_E_LIMIT;
    g = group_for(r, sub->module, sub->parallel);
    if (g == NULL)
        return GMK_E_LIMIT;
    if (!sub->parallel)
        gmk_store_rel(&g->worker, sub->worker, GMK_DEV); /* sync: chan.bind */
    c->sub = r->n_subs++;
    r->sub_handler[c->sub] = (uint16_t)handler;
    r->sub_chan[c->sub] = (uint16_t)c->id;
    r->sub_serial[c->sub] = !sub->parallel;
    c->next = gmk_load_rlx(&g->first_chan, GMK_DEV);   /* relaxed: the lock is held */
    gmk_store_rel(&g->first_chan, c->id, GMK_DEV);     /* sync: chan.bind */
    gmk_xchg_sc(&c->group, g->index + 1, GMK_DEV);     /* sync: chan.orphans */
    orphans = gmk_xchg_sc(&c->orphans, 0, GMK_DEV);    /* sync: chan.orphans */
    if (orphans != 0)
        gmki_group_add(a, r, g, orphans);
    return GMK_OK;
}

int gmki_chan_subscribe(gmki_agent_t *a, gmk_chan_reg_t *r, const gmki_sub_t *sub)
{
    gmki_chan_t *c = gmki_chan_get(r, sub->chan);
    int rc = GMK_CHAN_ALREADY_BOUND;

    if (c == NULL)
        return GMK_CHAN_CLOSED;
    gmk_hal_lock_acquire(&r->lock);
    if (gmk_load_acq(&c->group, GMK_DEV) == 0) /* sync: chan.orphans */
        rc = bind(a, r, c, sub);
    gmk_hal_lock_release(&r->lock);
    return rc;
}
