/* SPDX-License-Identifier: MIT
 * gmk_why: what keeps queued work from running.
 * Floor: F8. Looks at outboxes and back-offs only while the workers stand still.
 * Source: ARCHITECTURE R8, R19. */
#include "ggmk/why.h"

#include "kernel/kernel.h"

typedef struct list {
    gmk_wait_t *out;
    uint32_t max;
    uint32_t n;
} list_t;

static void put(list_t *l, const gmk_wait_t *w, const gmki_chan_t *c)
{
    if (l->n < l->max) {
        l->out[l->n] = *w;
        if (c != NULL) {
            l->out[l->n].chan = gmki_chan_id(c);
            gmk_hal_memcpy(l->out[l->n].chan_name, c->name, sizeof(c->name));
        }
    }
    l->n++;
}

static void handlers(const gmki_kernel_t *k, list_t *l)
{
    uint64_t parked = gmk_load_sc(&k->core.sched.idle, GMK_DEV); /* sync: sched.idle */

    for (uint32_t w = 0; w < k->cfg.n_workers; w++) {
        const gmki_wq_t *q = &k->core.sched.wq[w];
        uint32_t h = gmk_load_rlx(&q->current, GMK_DEV); /* relaxed: for a person to read */
        gmk_wait_t e = {.kind = GMK_WAIT_HANDLER, .worker = w, .count = 1};

        if (h == 0 || (parked >> w & 1) != 0 ||
            gmk_load_sc(&q->frozen, GMK_DEV) != 0) /* sync: sched.frozen */
            continue;
        e.who =
            gmki_module_name((void *)(uintptr_t)&k->core.mods, k->core.mods.handlers[h - 1].module);
        e.whom = k->core.mods.handlers[h - 1].name;
        put(l, &e, NULL);
    }
}

/* pre: the workers stand still. */
static void groups(const gmki_kernel_t *k, list_t *l)
{
    const gmk_chan_reg_t *r = &k->core.chan;

    for (uint32_t m = 0; m < k->core.mods.n_mods; m++) {
        const gmki_group_t *g = r->groups[m];
        gmk_wait_t e = {.who = k->core.mods.mods[m]->name, .worker = GMK_NO_WORKER};
        uint32_t waiting = gmk_lq_count(&g->outbox);
        uint32_t back = gmk_mpmc_count(&g->resume.ring, GMK_DEV);

        if (waiting != 0) {
            const gmk_cell_t *first = gmk_lq_at(&g->outbox, g->outbox.oldest);
            const gmki_chan_t *c = gmki_chan_get(r, first->task.channel);
            const gmki_sub_t *s = c != NULL ? gmki_chan_slow_sub(c) : NULL;

            e.kind = GMK_WAIT_ROOM;
            e.count = waiting;
            e.whom = s != NULL ? gmki_module_name(r->modules, s->module) : NULL;
            put(l, &e, c);
        }
        if (g->away > back) {
            e.kind = GMK_WAIT_BACKOFF;
            e.whom = NULL;
            e.count = g->away - back;
            put(l, &e, NULL);
        }
    }
}

/* Deterministic messages that wait for a subscriber. pre: the workers stand still. */
static void held(gmki_kernel_t *k, gmki_chan_t *c, list_t *l)
{
    gmk_wait_t e = {.kind = GMK_WAIT_SUBSCRIBER, .worker = GMK_NO_WORKER};

    e.count = gmki_det_held(&k->core.det, gmki_chan_id(c));
    if (e.count != 0)
        put(l, &e, c);
}

static void channels(gmki_kernel_t *k, list_t *l, bool still)
{
    gmk_chan_reg_t *r = &k->core.chan;

    gmk_hal_lock_acquire(&r->lock);
    for (uint32_t i = 1; i <= GMK_MAX_CHANNELS && r->chans[i] != NULL; i++) {
        gmki_chan_t *c = r->chans[i];

        if (still && (c->mode & GMK_CHAN_DETERMINISTIC) != 0)
            held(k, c, l);
        for (uint32_t set = c->taken; set != 0; set &= set - 1) {
            const gmki_sub_t *s = gmki_chan_sub(c, gmk_lowest_bit(set));
            gmk_wait_t e = {.worker = GMK_NO_WORKER, .count = gmki_sub_lag(s)};

            if (e.count == 0)
                continue;
            e.kind = s->sink != NULL ? GMK_WAIT_SINK : GMK_WAIT_SUBSCRIBER;
            if (s->sink != NULL || gmki_sub_state(s) == GMKI_SUB_DETACHED)
                put(l, &e, c);
        }
    }
    gmk_hal_lock_release(&r->lock);
}

static void poisoned(const gmki_kernel_t *k, list_t *l)
{
    uint32_t n = gmk_load_acq(&k->core.mods.n_handlers, GMK_DEV); /* sync: module.handlers */

    for (uint32_t i = 0; i < n; i++) {
        const gmki_handler_t *h = &k->core.mods.handlers[i];
        gmk_wait_t e = {.kind = GMK_WAIT_POISONED, .worker = GMK_NO_WORKER};

        if (gmk_load_acq(&h->poisoned, GMK_DEV) == 0) /* sync: module.poison */
            continue;
        e.who = k->core.mods.mods[h->module]->name;
        e.whom = h->name;
        put(l, &e, NULL);
    }
}

static void timers(gmki_kernel_t *k, list_t *l)
{
    gmk_wait_t e = {.kind = GMK_WAIT_TIMER,
                    .worker = GMK_NO_WORKER,
                    .count = gmki_evq_count(&k->core.sched.evq)};

    if (e.count != 0)
        put(l, &e, NULL);
}

/* pre: the workers stand still. */
static void ticks(gmki_kernel_t *k, list_t *l)
{
    gmk_wait_t e = {
        .kind = GMK_WAIT_TICK, .worker = GMK_NO_WORKER, .count = gmki_det_waiting(&k->core.det)};

    if (e.count != 0)
        put(l, &e, NULL);
}

int gmk_why(gmk_kernel_t *handle, gmk_wait_t *out, uint32_t max)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    list_t l = {.out = out, .max = max};
    bool still;

    if (k == NULL || (out == NULL && max != 0))
        return GMK_E_INVALID;
    gmk_hal_lock_acquire(&k->lock);
    still = gmki_freeze(&k->core.sched, GMK_WHY_TIMEOUT_NS);
    if (still) { /* attached threads go on, and may close and subscribe */
        gmk_hal_lock_acquire(&k->core.chan.lock);
        groups(k, &l);
        gmk_hal_lock_release(&k->core.chan.lock);
    } else {
        handlers(k, &l);
    }
    channels(k, &l, still);
    poisoned(k, &l);
    timers(k, &l);
    if (still)
        ticks(k, &l);
    gmki_thaw(&k->core.sched);
    gmk_hal_lock_release(&k->lock);
    return (int)l.n;
}

/* Text. ------------------------------------------------------------------------------ */

static void name(char *story, const char *before, const char *what, const char *nobody)
{
    gmki_error_text(story, before);
    gmki_error_text(story, what != NULL ? "'" : "");
    gmki_error_text(story, what != NULL ? what : nobody);
    gmki_error_text(story, what != NULL ? "'" : "");
}

static void count(char *story, const gmk_wait_t *w, const char *what)
{
    gmki_error_text(story, ": ");
    gmki_error_u32(story, (uint32_t)w->count);
    gmki_error_text(story, what);
}

static void tell(const gmk_wait_t *w, char *s)
{
    switch (w->kind) {
    case GMK_WAIT_ROOM:
        name(s, "module ", w->who, "?");
        name(s, " waits for room on channel ", w->chan_name, "?");
        name(s, ", whose slowest subscriber is ", w->whom, "nobody");
        count(s, w, " sends in its outbox");
        break;
    case GMK_WAIT_BACKOFF:
        name(s, "module ", w->who, "?");
        count(s, w, " retried messages wait for their back-off");
        break;
    case GMK_WAIT_SUBSCRIBER:
        name(s, "channel ", w->chan_name, "?");
        gmki_error_text(s, " has no subscriber");
        count(s, w, " messages wait for one");
        break;
    case GMK_WAIT_SINK:
        name(s, "channel ", w->chan_name, "?");
        count(s, w, " messages wait until its sink has room");
        break;
    case GMK_WAIT_POISONED:
        name(s, "handler ", w->whom, "?");
        name(s, " of module ", w->who, "?");
        gmki_error_text(s, " is poisoned: gmk_mod_reset lets it run again");
        break;
    case GMK_WAIT_TIMER:
        gmki_error_text(s, "the event queue");
        count(s, w, " timers and back-offs are due later");
        break;
    case GMK_WAIT_HANDLER:
        gmki_error_text(s, "worker ");
        gmki_error_u32(s, w->worker);
        name(s, " is in handler ", w->whom, "?");
        name(s, " of module ", w->who, "?");
        break;
    case GMK_WAIT_TICK:
        gmki_error_text(s, "deterministic work");
        count(s, w, " tasks wait for the next tick");
        break;
    }
}

size_t gmk_wait_text(const gmk_wait_t *w, char *out, size_t bytes)
{
    char story[GMKI_ERROR_BYTES] = "";
    size_t n = 0;

    if (w == NULL || out == NULL || bytes == 0)
        return 0;
    tell(w, story);
    while (n + 1 < bytes && story[n] != '\0')
        n++;
    gmk_hal_memcpy(out, story, n);
    out[n] = '\0';
    return n;
}
