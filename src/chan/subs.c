/* SPDX-License-Identifier: MIT
 * Subscriptions: who reads a channel, joining and leaving while others emit.
 * Floor: F5. Changed under the registry's lock, and a channel's set of cursors under the
 * channel's; a subscription that leaves is unlinked by its own group's drainer, so the
 * drainer walks its list without a lock.
 * Source: SPEC CH-9, CH-10, CH-12, CH-28, CH-31, V-24, V-58; ARCHITECTURE R4 to R6. */
#include "chan/chan.h"

/* Sends of one call that wait for room, and before them what a stage may leave there. */
#define OUTBOX_CELLS (2 * GMK_GROUP_OUTBOX_CAP)
GMK_STATIC_ASSERT(GMKI_STAGE <= GMK_GROUP_OUTBOX_CAP, "a stage fits an outbox");

/* Groups. -------------------------------------------------------------------------- */

static gmki_group_t *group_new(gmk_chan_reg_t *r, bool extra)
{
    gmki_group_t *g = gmk_hal_calloc(1, sizeof(*g));

    if (g == NULL)
        return NULL;
    g->index = r->n_groups;
    g->extra = extra;
    if (!extra) {
        if (gmki_lq_init(&g->outbox, OUTBOX_CELLS) != GMK_OK ||
            gmki_queue_init(&g->resume, GMK_GROUP_RESUME_CAP) != GMK_OK) {
            gmki_lq_fini(&g->outbox);
            gmk_hal_free(g);
            return NULL;
        }
    }
    r->groups[r->n_groups++] = g;
    return g;
}

gmki_group_t *gmki_group_make(gmk_chan_reg_t *r, uint32_t module, bool extra)
{
    gmki_group_t *g = NULL;

    if (extra && r->free_groups != 0) {
        g = r->groups[r->free_groups - 1];
        r->free_groups = g->next_free;
    } else if (r->n_groups < GMKI_MAX_GROUPS) {
        g = group_new(r, extra);
    }
    if (g == NULL)
        return NULL;
    g->module = module;
    g->used = true;
    gmk_store_rel(&g->worker, GMK_NO_WORKER, GMK_DEV); /* sync: chan.bind */
    return g;
}

/* A notice that came too late may bring the token of an ended group back: it finds nothing,
 * and the group is not ended twice. */
void gmki_group_end(gmk_chan_reg_t *r, gmki_group_t *g)
{
    gmk_hal_lock_acquire(&r->lock);
    /* relaxed: the lock is held */
    if (g->used && gmk_load_rlx(&g->first_sub, GMK_DEV) == 0) {
        g->used = false;
        g->next_free = r->free_groups;
        r->free_groups = g->index + 1;
    }
    gmk_hal_lock_release(&r->lock);
}

/* The group that will serve a subscription. pre: the lock is held. */
static gmki_group_t *group_for(gmk_chan_reg_t *r, const gmki_sub_req_t *q)
{
    gmki_group_t *g;

    if (!q->parallel && q->sink == NULL)
        return r->groups[q->module];
    g = gmki_group_make(r, q->module, true);
    if (g != NULL)
        gmk_store_rlx(&g->parallel, q->parallel, GMK_DEV); /* relaxed: as chan.slot orders */
    return g;
}

/* Records. ------------------------------------------------------------------------- */

/* Clears a record for its next use, but for the words that somebody may read too late. */
static void renew(gmki_sub_t *s)
{
    gmk_cursor_pass(&s->cursor, 0, GMK_DEV);
    s->blocked = false;
    s->n_away = 0;
    s->gap = 0;
    gmk_hal_memset(&s->latency, 0, sizeof(s->latency));
    gmk_store_rlx(&s->expected, 0, GMK_DEV);   /* relaxed: the join publishes them */
    gmk_store_rlx(&s->acked, 0, GMK_DEV);      /* relaxed: as above */
    gmk_store_rlx(&s->drops, 0, GMK_DEV);      /* relaxed: as above */
    gmk_store_rlx(&s->sink_ready, 0, GMK_DEV); /* relaxed: as above */
}

/* pre: the registry's lock, here and below. */
gmki_sub_t *gmki_sub_make(gmk_chan_reg_t *r, gmki_chan_t *c, uint32_t slot)
{
    gmki_sub_t *s;
    uint32_t index = r->free_subs;

    if (index != 0) {
        s = r->subs[index];
        r->free_subs = s->next_free;
        renew(s);
    } else if (r->n_subs < GMKI_MAX_SUBS) {
        s = gmk_hal_calloc(1, sizeof(*s));
        if (s == NULL)
            return NULL;
        index = r->n_subs++;
        r->subs[index] = s;
    } else {
        return NULL;
    }
    s->index = index;
    s->chan = c;
    s->slot = slot;
    s->sink = NULL;
    gmki_sub_set_reason(s, GMK_ERR_NONE);
    s->module = GMK_MAX_MODULES;
    c->taken |= 1u << slot;
    gmk_store_rel(&c->subs[slot], (uint64_t)(uintptr_t)s, GMK_DEV); /* sync: chan.slot */
    return s;
}

gmki_sub_t *gmki_sub_of(gmki_chan_t *c, uint32_t module, const gmk_chan_sink_t *sink)
{
    for (uint32_t i = 0; i < GMK_MAX_CHAN_SUBS; i++) {
        gmki_sub_t *s = gmki_chan_sub(c, i);

        if ((c->taken >> i & 1) != 0 && gmki_sub_state(s) == GMKI_SUB_LIVE && s->sink == sink &&
            (sink != NULL || s->module == module))
            return s;
    }
    return NULL;
}

static void list_add(gmki_group_t *g, gmki_sub_t *s)
{
    uint32_t first = gmk_load_rlx(&g->first_sub, GMK_DEV); /* relaxed: the lock is held */

    gmk_store_rel(&s->next, first, GMK_DEV);         /* sync: chan.bind */
    gmk_store_rel(&g->first_sub, s->index, GMK_DEV); /* sync: chan.bind */
}

static void list_remove(gmk_chan_reg_t *r, gmki_group_t *g, const gmki_sub_t *s)
{
    gmk_a32_t *at = &g->first_sub;
    uint32_t i;

    /* relaxed: the lock is held, and the list's one reader is the caller */
    while ((i = gmk_load_rlx(at, GMK_DEV)) != s->index && i != 0)
        at = &r->subs[i]->next;
    GMK_ASSERT(i != 0, "a subscription stands in its group's list");
    i = gmk_load_rlx(&s->next, GMK_DEV); /* relaxed: as above */
    gmk_store_rel(at, i, GMK_DEV);       /* sync: chan.bind */
    g->next_sub = 0;
}

/* Joining. ------------------------------------------------------------------------- */

static int free_slot(const gmki_chan_t *c)
{
    uint32_t all = UINT32_MAX >> (32 - GMK_MAX_CHAN_SUBS);

    return c->taken != all ? (int)gmk_lowest_bit(~c->taken) : (int)GMK_E_LIMIT;
}

/* The handler of the request, checked. */
static int handler_for(const gmk_chan_reg_t *r, gmki_chan_t *c, const gmki_sub_req_t *q,
                       uint32_t *handler)
{
    uint32_t type = gmk_load_acq(&c->msg_type, GMK_DEV); /* sync: chan.type */

    *handler = q->handler;
    if (q->sink != NULL)
        return c->mode & GMK_CHAN_DETERMINISTIC ? (int)GMK_E_UNSUPPORTED : GMK_OK;
    if (*handler == GMKI_NO_HANDLER)
        *handler = r->handler_of(r->modules, q->module, type);
    if (*handler == GMKI_NO_HANDLER)
        return GMK_CHAN_TYPE_MISMATCH;
    if ((c->mode & GMK_CHAN_DETERMINISTIC) != 0 &&
        (q->parallel || !r->is_deterministic(r->modules, *handler)))
        return GMK_E_WIRING;
    return GMK_OK;
}

/* A record for the subscription, of a P2P channel the one it has. */
static int record_for(gmk_chan_reg_t *r, gmki_chan_t *c, const gmki_sub_req_t *q, gmki_sub_t **out)
{
    gmki_sub_t *s = gmki_chan_sub(c, 0);
    int slot;

    if (c->mode & GMK_CHAN_P2P) {
        *out = s;
        return gmki_sub_state(s) == GMKI_SUB_DETACHED ? GMK_OK : (int)GMK_CHAN_ALREADY_BOUND;
    }
    if (gmki_sub_of(c, q->module, q->sink) != NULL)
        return GMK_CHAN_ALREADY_BOUND;
    slot = free_slot(c);
    if (slot < 0)
        return slot;
    s = gmki_sub_make(r, c, (uint32_t)slot);
    *out = s;
    if (s != NULL)
        return GMK_OK;
    return r->n_subs == GMKI_MAX_SUBS ? GMK_E_LIMIT : GMK_ALLOC_FAIL;
}

/* The group is served by the request's worker from now on. */
static void bind_group(gmki_group_t *g, const gmki_sub_req_t *q)
{
    if (!g->extra && q->worker != GMKI_KEEP_WORKER)
        gmk_store_rel(&g->worker, q->worker, GMK_DEV); /* sync: chan.bind */
}

static void release_record(gmk_chan_reg_t *r, gmki_sub_t *s)
{
    s->chan->taken &= ~(1u << s->slot);
    gmk_store_rel(&s->state, GMKI_SUB_FREE, GMK_DEV); /* sync: chan.sub */
    s->next_free = r->free_subs;
    r->free_subs = s->index;
}

/* pre: the lock is held, c is open. */
static int subscribe(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c, const gmki_sub_req_t *q)
{
    gmki_sub_t *s = NULL;
    gmki_group_t *g;
    uint32_t handler;
    int rc = handler_for(r, c, q, &handler);

    if (rc == GMK_OK)
        rc = record_for(r, c, q, &s);
    if (rc != GMK_OK)
        return rc;
    g = group_for(r, q);
    if (g == NULL) {
        if (c->mode & GMK_CHAN_FANOUT)
            release_record(r, s);
        return r->n_groups == GMKI_MAX_GROUPS ? GMK_E_LIMIT : GMK_ALLOC_FAIL;
    }
    bind_group(g, q);
    gmk_store_rel(&s->group, (uint64_t)(uintptr_t)g, GMK_DEV); /* sync: chan.slot */
    s->sink = q->sink;
    s->module = q->module;
    s->handler = handler;
    gmki_sub_set_reason(s, GMK_ERR_NONE);
    s->blocked = false;
    gmk_hal_lock_acquire(&c->lock);
    if (c->mode & GMK_CHAN_FANOUT) {
        gmk_credit_join(&c->ring, s->slot, &s->cursor, GMK_DEV);
        gmki_sub_set_expected(s, gmk_cursor_next(&s->cursor, GMK_DEV));
        gmki_sub_set_acked(s, gmk_cursor_next(&s->cursor, GMK_DEV));
    }
    gmk_store_rel(&s->state, GMKI_SUB_LIVE, GMK_DEV); /* sync: chan.sub */
    gmk_hal_lock_release(&c->lock);
    list_add(g, s);
    gmki_group_notice(a, g, GMK_PRIO_HIGH);
    if (c->mode & GMK_CHAN_DETERMINISTIC)
        gmki_det_revisit(r->sched, r->det);
    if (gmki_chan_id(c) == GMK_CHAN_SYS_TICK)
        gmki_ticks_listen(r);
    return GMK_OK;
}

/* A module that changes its mind before its drainer has let go of the channel. */
static bool revive(gmki_agent_t *a, gmki_chan_t *c, const gmki_sub_req_t *q)
{
    gmki_sub_t *s = gmki_chan_sub(c, 0);
    uint32_t leaving = GMKI_SUB_LEAVING;

    if ((c->mode & GMK_CHAN_P2P) == 0 || gmki_sub_reason(s) != GMK_ERR_NONE || q->sink != NULL ||
        s->module != q->module || gmki_is_parallel(gmki_sub_group(s)) != q->parallel ||
        !gmk_cas_ar(&s->state, &leaving, GMKI_SUB_LIVE, GMK_DEV)) /* sync: chan.sub */
        return false;
    bind_group(gmki_sub_group(s), q);
    gmki_group_notice(a, gmki_sub_group(s), GMK_PRIO_HIGH);
    return true;
}

int gmki_chan_subscribe(gmki_agent_t *a, gmk_chan_reg_t *r, const gmki_sub_req_t *q)
{
    int rc = GMK_CHAN_CLOSED;
    gmki_chan_t *c;

    gmk_hal_lock_acquire(&r->lock);
    c = gmki_chan_get(r, q->chan);
    if (c != NULL)
        rc = revive(a, c, q) ? GMK_OK : subscribe(a, r, c, q);
    gmk_hal_lock_release(&r->lock);
    return rc;
}

/* Leaving. ------------------------------------------------------------------------- */

static void set_end(gmki_chan_t *c, uint32_t set, uint64_t end)
{
    for (; set != 0; set &= set - 1) {
        gmki_sub_t *s = gmki_chan_sub(c, gmk_lowest_bit(set));

        gmk_store_rel(&s->end, end, GMK_DEV); /* sync: chan.end */
    }
}

/* pre: the lock is held, all of set are live. */
void gmki_subs_leave(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c, uint32_t set,
                     uint32_t reason)
{
    set_end(c, set, GMKI_END_UNKNOWN);
    for (uint32_t left = set; left != 0; left &= left - 1) {
        gmki_sub_t *s = gmki_chan_sub(c, gmk_lowest_bit(left));

        gmki_sub_set_reason(s, reason);
        gmk_store_rel(&s->state, GMKI_SUB_LEAVING, GMK_DEV); /* sync: chan.sub */
    }
    if (reason != GMK_ERR_NONE) {
        gmk_hal_lock_acquire(&c->lock);
        gmk_or_ar(&c->leaving, set, GMK_DEV); /* sync: chan.leaving */
        set_end(c, set, gmk_credit_leave(&c->ring, set, GMK_DEV));
        gmk_hal_lock_release(&c->lock);
    }
    /* A drainer that waits for room itself settles them all the same: nobody else can. */
    for (; set != 0; set &= set - 1) {
        gmki_group_t *g = gmki_sub_group(gmki_chan_sub(c, gmk_lowest_bit(set)));

        gmki_group_notice(a, g, GMK_PRIO_HIGH);
        gmki_group_unpark(a, r, g);
    }
}

/* Dead-letters what a closed P2P channel holds for nobody; an emit under way is waited for:
 * it does nothing between its claim and its publishing. */
static void purge(gmki_agent_t *a, gmki_chan_t *c, gmki_sub_t *s)
{
    uint64_t next = gmk_cursor_next(&s->cursor, GMK_DEV);
    uint64_t end = gmk_credit_leave(&c->ring, 1u << s->slot, GMK_DEV);
    gmk_cell_t cell;

    while (next < end) {
        if (gmki_sub_peek(s, &cell, 1) == 0) {
            gmk_hal_relax();
            continue;
        }
        gmki_sub_pass(s, 1);
        next++;
        a->sched->lose(a, &cell, GMK_ERR_CLOSED);
    }
}

bool gmki_sub_let_go(const gmki_sub_t *s)
{
    gmki_chan_t *c = s->chan;
    uint32_t bit = 1u << s->slot;
    bool stood;

    gmk_hal_lock_acquire(&c->lock);
    stood = (gmk_and_ar(&c->leaving, ~bit, GMK_DEV) & bit) != 0; /* sync: chan.leaving */
    c->lagging &= ~bit;
    gmk_hal_lock_release(&c->lock);
    return stood;
}

void gmki_sub_gone(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_sub_t *s)
{
    gmki_chan_t *c = s->chan;
    bool open = gmki_chan_is_open(c);

    if (gmki_sub_state(s) == GMKI_SUB_LEAVING)
        list_remove(r, gmki_sub_group(s), s);
    s->sink = NULL;
    s->module = GMK_MAX_MODULES;
    gmk_and_sc(&c->idle, ~(1u << s->slot), GMK_DEV); /* sync: chan.idle */
    /* As long as producers may skip for it, it is leaving: else what is past its end would be
     * skipped, and lost, for it too. */
    if (gmki_sub_reason(s) != GMK_ERR_NONE)
        gmki_sub_let_go(s);
    else
        gmki_sub_set_acked(s, gmki_sub_expected(s));      /* nothing of it is under way */
    gmk_store_rel(&s->state, GMKI_SUB_DETACHED, GMK_DEV); /* sync: chan.sub */
    if (gmki_sub_reason(s) == GMK_ERR_NONE) {
        if (open)
            return;
        purge(a, c, s);
        gmki_sub_let_go(s);
    }
    release_record(r, s);
    if (!open)
        c->n_left--;
}

void gmki_sub_drained(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_sub_t *s)
{
    gmki_chan_t *c = s->chan;

    gmk_hal_lock_acquire(&r->lock);
    /* It may have come back, and left for another reason: then its notice is still to be seen. */
    if (gmki_sub_state(s) == GMKI_SUB_LEAVING &&
        (gmki_sub_reason(s) == GMK_ERR_NONE || gmki_sub_lag(s) == 0)) {
        gmki_sub_gone(a, r, s);
        if (gmk_load_acq(&c->state, GMK_DEV) == GMKI_CHAN_CLOSED) /* sync: chan.open */
            gmki_chan_died(a, r, c);
        else
            gmki_chan_room(a, r, c);
        if (c->replay != 0) /* what was kept for it alone */
            gmki_chan_retain(a, c);
    }
    gmk_hal_lock_release(&r->lock);
}

int gmki_chan_unsubscribe(gmki_agent_t *a, gmk_chan_reg_t *r, const gmki_sub_req_t *q)
{
    int rc = GMK_CHAN_CLOSED;
    gmki_chan_t *c;
    gmki_sub_t *s;

    gmk_hal_lock_acquire(&r->lock);
    c = gmki_chan_get(r, q->chan);
    if (c != NULL) {
        s = gmki_sub_of(c, q->module, q->sink);
        if (s != NULL)
            gmki_subs_leave(a, r, c, 1u << s->slot,
                            c->mode & GMK_CHAN_P2P ? GMK_ERR_NONE : GMK_ERR_NO_SUBSCRIBER);
        rc = s != NULL ? GMK_OK : (int)GMK_E_NOT_FOUND;
    }
    gmk_hal_lock_release(&r->lock);
    return rc;
}

int gmki_chan_sink_ready(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id,
                         const gmk_chan_sink_t *sink)
{
    int rc = GMK_CHAN_CLOSED;
    gmki_chan_t *c;
    gmki_sub_t *s;

    gmk_hal_lock_acquire(&r->lock);
    c = gmki_chan_get(r, id);
    if (c != NULL) {
        s = gmki_sub_of(c, GMK_MAX_MODULES, sink);
        rc = s != NULL ? GMK_OK : (int)GMK_E_NOT_FOUND;
        if (s != NULL) {
            gmk_xchg_sc(&s->sink_ready, 1, GMK_DEV); /* sync: chan.sink */
            gmki_group_notice(a, gmki_sub_group(s), GMK_PRIO_HIGH);
        }
    }
    gmk_hal_lock_release(&r->lock);
    return rc;
}

/* Failed messages. ------------------------------------------------------------------- */

/* The mailbox's name: an exclamation mark, the channel's identifier, since the mailbox of an
 * earlier channel of its name may still be open, and its name, cut if need be. */
static void box_name(char *out, const gmki_chan_t *c)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t n = 0;

    out[n++] = '!';
    for (uint32_t shift = 32; shift != 0; shift -= 4)
        out[n++] = digits[gmki_chan_id(c) >> (shift - 4) & 15];
    out[n++] = '.';
    for (uint32_t i = 0; n + 1 < GMK_MAX_CHAN_NAME && c->name[i] != '\0'; i++)
        out[n++] = c->name[i];
    out[n] = '\0';
}

/* Opens the mailbox and subscribes the module to it with a dispatch entry for fn. */
static int box_open(gmki_agent_t *a, gmk_chan_reg_t *r, const gmki_chan_t *c, gmk_handler_fn fn)
{
    gmk_chan_opts_t o = {.mode = GMK_CHAN_P2P, .slots = GMKI_ERROR_SLOTS};
    gmki_sub_req_t q = {.module = a->obs.module, .worker = GMKI_KEEP_WORKER};
    char name[GMK_MAX_CHAN_NAME];
    int id;
    int rc;

    box_name(name, c);
    q.handler = r->add_handler(r->modules, q.module, fn);
    if (q.handler == GMKI_NO_HANDLER)
        return GMK_E_LIMIT;
    id = gmki_chan_open_kind(a, r, name, &o, GMKI_CHAN_ERRORS);
    if (id < 0)
        return id;
    q.chan = (uint32_t)id;
    rc = gmki_chan_subscribe(a, r, &q);
    if (rc == GMK_OK)
        return id;
    gmki_chan_shut_errors(a, r, q.chan);
    return rc;
}

/* Gives a channel that has none its mailbox, under the lock: the channel's end shuts what it
 * has. */
static int box_bind(gmk_chan_reg_t *r, gmki_chan_t *c, uint32_t id, uint32_t box)
{
    int rc = GMK_CHAN_CLOSED;
    uint32_t none = 0;

    gmk_hal_lock_acquire(&r->lock);
    if (gmki_chan_get(r, id) == c)
        rc = gmk_cas_ar(&c->errors, &none, box, GMK_DEV) /* sync: chan.errors */
                 ? GMK_OK
                 : (int)GMK_CHAN_ALREADY_BOUND;
    gmk_hal_lock_release(&r->lock);
    return rc;
}

/* The channel's mailbox, 0: none; *own: it is the caller's module's. */
static uint32_t box_of(const gmki_agent_t *a, gmk_chan_reg_t *r, const gmki_chan_t *c, bool *own)
{
    uint32_t have;
    gmki_chan_t *b;

    gmk_hal_lock_acquire(&r->lock);
    have = gmk_load_acq(&c->errors, GMK_DEV); /* sync: chan.errors */
    b = have != 0 ? gmki_chan_get(r, have) : NULL;
    *own = b != NULL && gmki_chan_sub(b, 0)->module == a->obs.module;
    gmk_hal_lock_release(&r->lock);
    return have;
}

int gmki_chan_on_error(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, gmk_handler_fn fn)
{
    gmki_chan_t *c = gmki_chan_get(r, id);
    uint32_t have;
    bool own;
    int box;
    int rc;

    if (c == NULL)
        return GMK_CHAN_CLOSED;
    if (c->kind != GMKI_CHAN_USER)
        return GMK_E_INVALID;
    have = box_of(a, r, c, &own);
    if (have != 0) {
        if (!own || fn != NULL)
            return GMK_CHAN_ALREADY_BOUND;
        gmki_chan_end_errors(a, r, id, have);
        return GMK_OK;
    }
    if (fn == NULL)
        return GMK_OK;
    box = box_open(a, r, c, fn);
    if (box < 0)
        return box;
    rc = box_bind(r, c, id, (uint32_t)box);
    if (rc != GMK_OK)
        gmki_chan_shut_errors(a, r, (uint32_t)box);
    return rc;
}
