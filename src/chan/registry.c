/* SPDX-License-Identifier: MIT
 * The channel registry: names, identifiers, rings, closing and reuse.
 * Floor: F5. Changed under the registry's lock; an identifier, once given out, leads to
 * its channel without it. The place of a closed channel is used again only when all its
 * deliveries are settled and nobody can be inside an emit that began before.
 * Source: SPEC CH-1 to CH-9, CH-18, CH-26, CH-30, V-19, V-45, V-65; ARCHITECTURE R5, R6. */
#include "chan/chan.h"

static size_t name_len(const char *s)
{
    size_t n = 0;

    while (n < GMK_MAX_CHAN_NAME && s[n] != '\0')
        n++;
    return n;
}

static const struct {
    const char *name;
    uint32_t id, type, guarantee;
} system_chans[GMK_N_SYS_CHANNELS] = {
    {"sys.dropped", GMK_CHAN_SYS_DROPPED, GMK_TYPE_SYS_DROPPED, GMK_CHAN_LOSSY},
    {"sys.error", GMK_CHAN_SYS_ERROR, GMK_TYPE_SYS_ERROR, GMK_CHAN_LOSSY},
    {"sys.trace", GMK_CHAN_SYS_TRACE, GMK_TYPE_SYS_TRACE, GMK_CHAN_LOSSY},
    {"sys.tick", GMK_CHAN_SYS_TICK, GMK_TYPE_SYS_TICK, GMK_CHAN_LOSSLESS},
    {"sys.heartbeat", GMK_CHAN_SYS_HEARTBEAT, GMK_TYPE_SYS_HEARTBEAT, GMK_CHAN_LOSSY},
};

gmki_chan_t *gmki_chan_at(const gmk_chan_reg_t *r, uint32_t id)
{
    gmki_chan_t *c = gmki_chan_place(r, id);

    return c != NULL && (id == GMK_CHAN_INDEX(id) || gmki_chan_id(c) == id) ? c : NULL;
}

gmki_chan_t *gmki_chan_known(const gmk_chan_reg_t *r, uint32_t id)
{
    gmki_chan_t *c = gmki_chan_place(r, id);

    /* The state first: of what was opened since, the identifier is another. */
    if (c == NULL || gmki_chan_state(c) == GMKI_CHAN_DEAD ||
        gmk_load_acq(&c->id, GMK_DEV) != id) /* sync: chan.open */
        return NULL;
    return c;
}

/* pre: the lock is held. */
static gmki_chan_t *find_open(const gmk_chan_reg_t *r, const char *name)
{
    uint32_t n = gmk_load_rlx(&r->n_chans, GMK_DEV); /* relaxed: the lock is held */

    for (uint32_t i = 1; i <= n; i++)
        if (gmki_chan_state(r->chans[i]) == GMKI_CHAN_OPEN && gmki_text_eq(r->chans[i]->name, name))
            return r->chans[i];
    return NULL;
}

int gmki_chan_find(gmk_chan_reg_t *r, const char *name)
{
    gmki_chan_t *c;
    int id;

    gmk_hal_lock_acquire(&r->lock);
    c = find_open(r, name);
    id = c != NULL ? (int)gmki_chan_id(c) : (int)GMK_E_NOT_FOUND;
    gmk_hal_lock_release(&r->lock);
    return id;
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

/* A place for a new channel, with storage: a dead one that nobody can still use, or a fresh
 * one. pre: the lock is held. */
static gmki_chan_t *place(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t cap, int *why)
{
    uint32_t n = gmk_load_rlx(&r->n_chans, GMK_DEV); /* relaxed: the lock is held */
    gmki_chan_t *c = NULL;

    for (uint32_t i = 1; i <= n && c == NULL; i++)
        if (gmki_chan_state(r->chans[i]) == GMKI_CHAN_DEAD &&
            gmki_beats_passed(a, r->chans[i]->beats))
            c = r->chans[i];
    *why = GMK_E_LIMIT;
    if (c == NULL && n == GMK_MAX_CHANNELS)
        return NULL;
    *why = GMK_ALLOC_FAIL;
    if (c == NULL) {
        c = gmk_hal_calloc(1, sizeof(*c));
        if (c == NULL)
            return NULL;
        gmk_hal_lock_init(&c->lock);
        c->state = GMKI_CHAN_DEAD;
        c->id = n + 1;
        r->chans[n + 1] = c;
        gmk_store_rel(&r->n_chans, n + 1, GMK_DEV); /* sync: chan.open */
    }
    if (c->cap != cap) {
        gmk_hal_free(c->cells);
        c->cells = gmk_hal_calloc(cap, sizeof(gmk_cell_t));
        c->cap = c->cells != NULL ? cap : 0;
    } else {
        gmk_hal_memset(c->cells, 0, cap * sizeof(gmk_cell_t));
    }
    return c->cells != NULL ? c : NULL;
}

static void set_up(gmki_chan_t *c, const char *name, const gmk_chan_opts_t *o, uint32_t slots)
{
    gmk_hal_memset(c->name, 0, sizeof(c->name));
    gmk_hal_memcpy(c->name, name, name_len(name));
    c->mode = o->mode;
    c->slots = slots;
    c->replay = o->replay_slots;
    c->spare = gmki_chan_lossy(c) ? 0 : slots * GMK_CHAN_PRIORITY_RESERVE / 100;
    c->msg_type = o->msg_type;
    c->errors = 0;
    c->n_left = 0;
    c->taken = 0;
    c->floor = 0;
    c->lagging = 0;
    c->idle = 0;
    c->leaving = 0;
    c->waiters = 0;
    c->fulls = 0;
    c->drops = 0;
    c->det_emits = 0;
    gmk_credit_setup(&c->ring, c->cap, 0);
    c->ring.limit = slots;
}

/* pre: the lock is held, no open channel has the name. */
static int chan_make(gmki_agent_t *a, gmk_chan_reg_t *r, const char *name, const gmk_chan_opts_t *o,
                     enum gmki_chan_kind kind)
{
    uint32_t slots = o->slots != 0 ? o->slots : GMK_CHAN_DEFAULT_SLOTS;
    gmki_sub_t *s = NULL;
    gmki_chan_t *c;
    uint32_t id;
    int why;

    slots = gmk_max32(gmk_pow2_ceil(slots), 2);
    c = place(a, r, gmk_pow2_ceil(slots + o->replay_slots), &why);
    if (c == NULL)
        return why;
    set_up(c, name, o, slots);
    c->kind = kind;
    if (o->mode & GMK_CHAN_P2P) {
        s = gmki_sub_make(r, c, 0);
        if (s == NULL)
            return GMK_ALLOC_FAIL;
        gmk_store_rel(&s->state, GMKI_SUB_DETACHED, GMK_DEV); /* sync: chan.sub */
        gmk_credit_join(&c->ring, 0, &s->cursor, GMK_DEV);
    }
    id = gmki_chan_id(c);
    if (c->used) /* another generation; an identifier is a positive int */
        id = (id + GMK_CHAN_INDEX(UINT32_MAX) + 1) & INT32_MAX;
    c->used = true;
    gmk_store_rel(&c->id, id, GMK_DEV);                /* sync: chan.open */
    gmk_store_rel(&c->state, GMKI_CHAN_OPEN, GMK_DEV); /* sync: chan.open */
    gmki_trace(&a->obs, CHAN_OPEN, NULL, GMK_CHAN_INDEX(id), slots);
    return (int)id;
}

/* The channel of that name is there: does it fit? pre: the lock is held. */
static int compare(gmki_chan_t *c, const gmk_chan_opts_t *o)
{
    uint32_t slots = gmk_max32(gmk_pow2_ceil(o->slots), 2);

    if (c->mode != o->mode || (o->slots != 0 && slots != c->slots) ||
        (o->replay_slots != 0 && o->replay_slots != c->replay))
        return GMK_E_EXISTS;
    if (c->kind != GMKI_CHAN_USER) {
        /* relaxed: fixed since boot */
        if (o->msg_type != 0 && o->msg_type != gmk_load_rlx(&c->msg_type, GMK_DEV))
            return GMK_CHAN_TYPE_MISMATCH;
        return (int)gmki_chan_id(c);
    }
    return gmki_chan_fix_type(c, o->msg_type) == GMK_OK ? (int)gmki_chan_id(c)
                                                        : (int)GMK_CHAN_TYPE_MISMATCH;
}

static int check_opts(const char *name, gmk_chan_opts_t *o)
{
    if (name == NULL || *name == '\0' || name_len(name) == GMK_MAX_CHAN_NAME)
        return GMK_E_INVALID;
    if ((o->mode &
         ~(GMK_CHAN_P2P | GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS | GMK_CHAN_DETERMINISTIC)) != 0 ||
        (o->mode & (GMK_CHAN_P2P | GMK_CHAN_FANOUT)) == (GMK_CHAN_P2P | GMK_CHAN_FANOUT))
        return GMK_E_INVALID;
    if ((o->mode & GMK_CHAN_FANOUT) == 0)
        o->mode |= GMK_CHAN_P2P;
    else if (o->replay_slots == 0 && (o->mode & GMK_CHAN_LOSSLESS) != 0)
        o->replay_slots = GMK_CHAN_REPLAY_SLOTS;
    if (o->replay_slots != 0 && (o->mode & GMK_CHAN_LOSSLESS) == 0)
        return GMK_E_INVALID;
    if (o->slots > GMKI_MAX_SLOTS || o->replay_slots > GMKI_MAX_SLOTS || o->msg_type > 255)
        return GMK_E_INVALID;
    return GMK_OK;
}

int gmki_chan_open_kind(gmki_agent_t *a, gmk_chan_reg_t *r, const char *name,
                        const gmk_chan_opts_t *o, enum gmki_chan_kind kind)
{
    gmk_chan_opts_t full = *o;
    gmki_chan_t *c;
    int rc = check_opts(name, &full);

    if (rc != GMK_OK)
        return rc;
    gmk_hal_lock_acquire(&r->lock);
    c = find_open(r, name);
    if (c != NULL) /* a mailbox is its maker's alone, who may end it at any time */
        rc = kind == GMKI_CHAN_ERRORS ? (int)GMK_CHAN_ALREADY_BOUND : compare(c, &full);
    else if (full.msg_type >= GMK_TYPE_SYS_FIRST && r->system_made)
        rc = GMK_E_INVALID;
    else
        rc = chan_make(a, r, name, &full, kind);
    gmk_hal_lock_release(&r->lock);
    return rc;
}

int gmki_chan_open(gmki_agent_t *a, gmk_chan_reg_t *r, const char *name, const gmk_chan_opts_t *o)
{
    return gmki_chan_open_kind(a, r, name, o, GMKI_CHAN_USER);
}

/* Closing. ------------------------------------------------------------------------ */

/* Shuts an open channel; its subscriptions leave. pre: the lock is held. */
static void shut(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c)
{
    uint64_t left = 0;
    uint32_t live = 0;

    gmk_store_rel(&c->state, GMKI_CHAN_CLOSED, GMK_DEV); /* sync: chan.open */
    c->n_left = gmk_popcount32(c->taken);
    for (uint32_t set = c->taken; set != 0; set &= set - 1) {
        gmki_sub_t *s = gmki_chan_sub(c, gmk_lowest_bit(set));
        uint32_t state = gmki_sub_state(s);

        left += gmki_sub_lag(s);
        if (state == GMKI_SUB_LIVE)
            live |= 1u << s->slot;
        else if (state == GMKI_SUB_DETACHED)
            gmki_sub_gone(a, r, s);
    }
    gmki_subs_leave(a, r, c, live, GMK_ERR_CLOSED);
    gmki_trace(&a->obs, CHAN_CLOSE, NULL, GMK_CHAN_INDEX(gmki_chan_id(c)), (uint32_t)left);
    gmki_chan_room(a, r, c);              /* who waits for room finds it closed */
    if (c->mode & GMK_CHAN_DETERMINISTIC) /* what it holds for a subscriber to come is settled */
        gmki_det_revisit(r->sched, r->det);
}

/* Nothing is left of a closed channel: its place is free once all have gone on. Then the
 * mailbox for its failed messages, if it had one, closes too. pre: the lock is held. */
void gmki_chan_died(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c)
{
    while (c != NULL && c->n_left == 0) {
        uint32_t box = gmk_load_rlx(&c->errors, GMK_DEV); /* relaxed: the lock is held */

        if (c->replay != 0)
            gmki_chan_retain(a, c);
        gmki_beats_now(r->sched, c->beats);
        gmk_store_rel(&c->state, GMKI_CHAN_DEAD, GMK_DEV); /* sync: chan.open */
        c = box != 0 ? gmki_chan_get(r, box) : NULL;
        if (c != NULL)
            shut(a, r, c);
    }
}

int gmki_chan_close(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id)
{
    gmki_chan_t *c;

    gmk_hal_lock_acquire(&r->lock);
    c = gmki_chan_get(r, id);
    if (c == NULL || c->kind != GMKI_CHAN_USER) {
        gmk_hal_lock_release(&r->lock);
        return c != NULL && c->kind == GMKI_CHAN_SYSTEM ? (int)GMK_E_INVALID : (int)GMK_CHAN_CLOSED;
    }
    shut(a, r, c);
    gmki_chan_died(a, r, c);
    gmk_hal_lock_release(&r->lock);
    return GMK_OK;
}

/* A mailbox without a channel that has it. pre: the lock is held. */
static void shut_errors(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t box)
{
    gmki_chan_t *c = gmki_chan_get(r, box);

    if (c != NULL && c->kind == GMKI_CHAN_ERRORS) {
        shut(a, r, c);
        gmki_chan_died(a, r, c);
    }
}

void gmki_chan_shut_errors(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t box)
{
    gmk_hal_lock_acquire(&r->lock);
    shut_errors(a, r, box);
    gmk_hal_lock_release(&r->lock);
}

/* Under one hold of the lock: a mailbox that no channel has and that is open would be found by
 * its name, and taken for a new one. */
void gmki_chan_end_errors(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, uint32_t box)
{
    uint32_t was = box;
    gmki_chan_t *c;

    gmk_hal_lock_acquire(&r->lock);
    c = gmki_chan_get(r, id);
    if (c != NULL && gmk_cas_ar(&c->errors, &was, 0, GMK_DEV)) /* sync: chan.errors */
        shut_errors(a, r, box);
    gmk_hal_lock_release(&r->lock);
}

/* Life of the registry. ------------------------------------------------------------ */

int gmki_chan_reg_init(gmki_agent_t *a, gmk_chan_reg_t *r, gmk_sched_t *s, uint32_t n_modules)
{
    r->sched = s;
    r->n_subs = 1;
    gmk_hal_lock_init(&r->lock);
    for (uint32_t m = 0; m < n_modules; m++)
        if (gmki_group_make(r, m, false) == NULL)
            return GMK_ALLOC_FAIL;
    for (uint32_t i = 0; i < GMK_N_SYS_CHANNELS; i++) {
        gmk_chan_opts_t o = {.mode = GMK_CHAN_FANOUT | system_chans[i].guarantee,
                             .slots = GMK_ENVELOPES,
                             .msg_type = system_chans[i].type};

        if (gmki_chan_open(a, r, system_chans[i].name, &o) != (int)system_chans[i].id)
            return GMK_ALLOC_FAIL;
        r->chans[system_chans[i].id]->kind = GMKI_CHAN_SYSTEM;
    }
    r->system_made = true;
    return GMK_OK;
}

void gmki_chan_reg_fini(gmk_chan_reg_t *r)
{
    for (uint32_t i = 1; i <= GMK_MAX_CHANNELS && r->chans[i] != NULL; i++) {
        gmk_hal_lock_destroy(&r->chans[i]->lock);
        gmk_hal_free(r->chans[i]->cells);
        gmk_hal_free(r->chans[i]);
        r->chans[i] = NULL;
    }
    for (uint32_t i = 1; i < r->n_subs; i++)
        gmk_hal_free(r->subs[i]);
    for (uint32_t i = 0; i < r->n_groups; i++) {
        gmki_queue_fini(&r->groups[i]->resume);
        gmki_lq_fini(&r->groups[i]->outbox);
        gmk_hal_free(r->groups[i]);
    }
    r->n_groups = 0;
    gmk_hal_free(r->envelopes);
    gmk_hal_free(r->envelope_next);
    if (r->n_subs != 0)
        gmk_hal_lock_destroy(&r->lock);
    r->n_subs = 0;
}
