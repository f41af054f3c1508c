/* SPDX-License-Identifier: MIT
 * What threads outside the workers do: submit, tick, wait, attach.
 * Floor: F8. Source: SPEC SYS-12, V-23; ARCHITECTURE R15, R21. */
#include "kernel/kernel.h"

/* Takes back a step through a shut gate, unless a boot has cleared it meanwhile. */
static void back_out(gmki_handle_t *h, uint64_t was)
{
    uint64_t v = gmk_load_acq(&h->gate, GMK_DEV); /* sync: kernel.gate */

    while (((v ^ was) & GMKI_GATE_BOOT) == 0)
        if (gmk_cas_ar(&h->gate, &v, v - 1, GMK_DEV)) /* sync: kernel.gate */
            return;
}

/* Goes in to the kernel behind a handle, which halt frees only once all have come out.
 * *seq: the first of n numbers of this caller's alone. Null: *rc says why not. */
gmki_kernel_t *gmki_go_in(gmk_kernel_t *handle, uint32_t n, uint32_t *seq, int *rc)
{
    gmki_handle_t *h = (gmki_handle_t *)handle;
    uint64_t magic = h != NULL ? gmk_load_acq(&h->magic, GMK_DEV) : 0; /* sync: kernel.magic */
    uint64_t was;

    *rc = magic == GMKI_MAGIC || magic == GMKI_MAGIC_ENDED ? GMK_E_HALTING : GMK_E_INVALID;
    if (magic != GMKI_MAGIC)
        return NULL;
    if ((gmk_load_acq(&h->gate, GMK_DEV) & GMKI_GATE_OPEN) == 0) /* sync: kernel.gate */
        return NULL;
    gmk_hal_guard_hold(); /* a handler may call another kernel: torn out, it would stay inside */
    was = gmk_add_sc(&h->gate, (uint64_t)n << GMKI_GATE_SEQ | 1, GMK_DEV); /* sync: kernel.gate */
    if (GMK_LIKELY((was & GMKI_GATE_OPEN) != 0)) {
        *seq = 0x80000000u | (uint32_t)(was >> GMKI_GATE_SEQ);
        *rc = GMK_OK;
        return h->k;
    }
    back_out(h, was);
    gmk_hal_guard_drop();
    return NULL;
}

void gmki_come_out(gmk_kernel_t *handle)
{
    gmk_sub_ar(&((gmki_handle_t *)handle)->gate, 1, GMK_DEV); /* sync: kernel.gate */
    gmk_hal_guard_drop();
}

/* Submits tasks of which some may be deterministic. returns: as gmki_submit. */
static uint32_t submit(gmki_agent_t *a, const gmk_task_t *t, uint32_t n, uint32_t seq, int *why)
{
    uint16_t flags = 0;
    uint32_t done = 0;

    for (uint32_t i = 0; i < n; i++)
        flags |= t[i].flags;
    if (GMK_LIKELY((flags & GMK_TF_DETERMINISTIC) == 0))
        return gmki_submit(a, t, n, seq, why);
    *why = GMK_OK;
    while (done < n && *why == GMK_OK) {
        if ((t[done].flags & GMK_TF_DETERMINISTIC) == 0)
            gmki_submit(a, &t[done], 1, seq + done, why);
        else if ((*why = gmki_check_task(a->sched, &t[done])) == GMK_OK)
            *why = gmki_det_direct(a, &t[done], 0);
        done += *why == GMK_OK;
    }
    return done;
}

int gmk_submit_batch(gmk_kernel_t *handle, gmk_task_t *t, uint32_t n)
{
    gmki_kernel_t *k;
    uint32_t done;
    uint32_t seq;
    int why;

    if (t == NULL || n > INT32_MAX)
        return GMK_E_INVALID;
    if (n != 0) {
        gmki_touch(&t[0]);
        gmki_touch(&t[n - 1]);
    }
    k = gmki_go_in(handle, n, &seq, &why);
    if (k == NULL)
        return why;
    done = n != 0 ? submit(gmki_outside(k), t, n, seq, &why) : 0;
    if (done == 0)
        gmki_answer(gmki_outside(k), t, why);
    gmki_come_out(handle);
    return done != 0 ? (int)done : why;
}

int gmk_submit(gmk_kernel_t *handle, gmk_task_t *t)
{
    int rc = gmk_submit_batch(handle, t, 1);

    return rc == 1 ? GMK_OK : rc;
}

int gmk_submit_to(gmk_kernel_t *handle, gmk_task_t *t, uint32_t worker)
{
    gmki_kernel_t *k;
    uint32_t seq;
    int rc;

    gmki_touch(t);
    k = gmki_go_in(handle, 1, &seq, &rc);
    if (k == NULL)
        return rc;
    rc = worker < k->cfg.n_workers ? gmki_check_task(&k->core.sched, t) : (int)GMK_E_INVALID;
    if (rc == GMK_OK && (t->flags & GMK_TF_DETERMINISTIC) != 0)
        rc = GMK_E_INVALID;
    if (rc == GMK_OK)
        rc = gmki_send_worker(gmki_outside(k), t, worker, seq);
    gmki_answer(gmki_outside(k), t, rc);
    gmki_come_out(handle);
    return rc;
}

/* A timer due delay_ns from now, or at a tick. */
static int submit_timer(gmk_kernel_t *handle, gmk_task_t *t, uint64_t delay_ns,
                        const uint32_t *tick)
{
    uint64_t now = gmk_hal_now_ns();
    uint64_t due = delay_ns < GMKI_NEVER - 1 - now ? now + delay_ns : GMKI_NEVER - 1;
    gmki_kernel_t *k;
    uint32_t seq;
    int rc;

    gmki_touch(t);
    k = gmki_go_in(handle, 1, &seq, &rc);
    if (k == NULL)
        return rc;
    rc = gmki_check_task(&k->core.sched, t);
    if (tick != NULL)
        due = gmki_tick_widen(gmki_tick(&k->core.sched, now), *tick);
    if (rc == GMK_OK && (t->flags & GMK_TF_DETERMINISTIC) != 0)
        rc = tick != NULL ? gmki_det_direct(gmki_outside(k), t, due) : (int)GMK_E_INVALID;
    else if (rc == GMK_OK)
        rc = gmki_set_timer(gmki_outside(k), t, due, tick != NULL, seq);
    gmki_answer(gmki_outside(k), t, rc);
    gmki_come_out(handle);
    return rc;
}

int gmk_submit_after(gmk_kernel_t *handle, gmk_task_t *t, uint64_t delay_ns)
{
    return submit_timer(handle, t, delay_ns, NULL);
}

int gmk_submit_at_tick(gmk_kernel_t *handle, gmk_task_t *t, uint32_t tick)
{
    return submit_timer(handle, t, 0, &tick);
}

/* How long the tick lasted that ends now. */
static void time_tick(gmk_sched_t *s, uint64_t now)
{
    uint64_t began = gmk_xchg_rlx(&s->tick_at, now, GMK_DEV); /* relaxed: a statistic */
    uint64_t took = now > began ? now - began : 0;            /* two may end a tick at one time */

    if (began == 0)
        return;
    gmk_store_rlx(&s->tick_last_ns, took, GMK_DEV); /* relaxed: a statistic */
    gmk_hist_raise_shared(&s->tick_longest_ns, took);
}

void gmk_tick_advance(gmk_kernel_t *handle)
{
    uint32_t seq;
    int rc;
    gmki_kernel_t *k = gmki_go_in(handle, 0, &seq, &rc);

    if (k == NULL)
        return;
    gmk_add_ar(&k->core.sched.tick_base, 1, GMK_DEV); /* sync: sched.tick */
    time_tick(&k->core.sched, gmk_hal_now_ns());
    /* By the clock, the events of later ticks are due earlier now, too. */
    if (gmki_evq_due(&k->core.sched, gmk_hal_now_ns()))
        gmki_wake_one(&k->core.sched);
    else if (!k->core.sched.manual_ticks && gmki_evq_next_ns(&k->core.sched) != GMKI_NEVER)
        gmki_wake_keeper(&k->core.sched);
    gmki_come_out(handle);
}

uint32_t gmk_tick_now(const gmk_kernel_t *handle)
{
    const gmki_kernel_t *k = gmki_kernel(handle);

    return k != NULL ? (uint32_t)gmki_tick(&k->core.sched, gmk_hal_now_ns()) : 0;
}

/* In this order: an event that comes due in between leaves a worker awake. A tick that was put
 * off for want of memory is due, though the workers sleep until it is tried again. */
static bool at_rest(gmki_kernel_t *k)
{
    const gmk_sched_t *s = &k->core.sched;
    uint64_t now = gmk_hal_now_ns();

    return !gmki_evq_due(s, now) &&
           gmk_load_acq(s->det_ready, GMK_DEV) > gmki_tick(s, now) && /* sync: det.ready */
           gmki_all_parked(s);
}

static bool gate_open(const gmki_kernel_t *k)
{
    const gmki_handle_t *h = (const gmki_handle_t *)k->handle;

    return (gmk_load_acq(&h->gate, GMK_DEV) & GMKI_GATE_OPEN) != 0; /* sync: kernel.gate */
}

/* One waiter parks; others, which are rare, look again and again. */
static int wait_for(gmki_kernel_t *k, gmki_wait_fn met, uint64_t timeout_ns, bool outside)
{
    gmk_sched_t *s = &k->core.sched;
    uint64_t start = gmk_hal_now_ns();
    bool parks = false;
    int rc;

    gmk_add_sc(&s->waiting, 1, GMK_DEV); /* sync: sched.waiting */
    for (;;) {
        uint32_t seen = gmk_hal_park_word(&s->quiet);
        uint64_t spent = gmk_hal_now_ns() - start;
        uint32_t nobody = 0;

        rc = met(k) ? GMK_OK : (int)GMK_E_TIMEOUT;
        if (rc == GMK_OK || spent >= timeout_ns)
            break;
        rc = GMK_E_HALTING;
        if (outside && !gate_open(k))
            break;
        parks = parks || gmk_cas_ar(&k->parker, &nobody, 1, GMK_DEV); /* sync: kernel.parker */
        if (parks)
            gmk_hal_park_wait(&s->quiet, seen, timeout_ns - spent);
        else
            gmk_hal_relax();
    }
    if (parks)
        gmk_store_rel(&k->parker, 0, GMK_DEV); /* sync: kernel.parker */
    gmk_sub_sc(&s->waiting, 1, GMK_DEV);       /* sync: sched.waiting */
    return rc;
}

int gmki_wait_rest(gmki_kernel_t *k, uint64_t timeout_ns)
{
    return wait_for(k, at_rest, timeout_ns, false);
}

int gmki_wait_outside(gmk_kernel_t *handle, gmki_wait_fn met, uint64_t timeout_ns)
{
    uint32_t seq;
    int rc;
    gmki_kernel_t *k = gmki_go_in(handle, 0, &seq, &rc);

    if (k == NULL)
        return rc;
    rc = wait_for(k, met, timeout_ns, true);
    gmki_come_out(handle);
    return rc;
}

int gmk_wait_idle(gmk_kernel_t *handle, uint64_t timeout_ns)
{
    return gmki_wait_outside(handle, at_rest, timeout_ns);
}

/* The private contents of gmk_host_t. */
typedef struct host {
    gmk_kernel_t *handle;
    gmki_kernel_t *k;
    gmki_agent_t *agent;
    uint64_t born;   /* of the kernel, which another may follow in the same storage */
    gmk_task_t none; /* ctx->task: contexts hold no null pointer */
} host_t;

GMK_STATIC_ASSERT(sizeof(host_t) <= sizeof(gmk_host_t), "the public storage suffices");
GMK_STATIC_ASSERT(__alignof__(host_t) <= __alignof__(gmk_host_t), "and is aligned");

/* An agent that nobody uses, from now on the caller's; null if there is none. */
static gmki_agent_t *free_agent(gmki_kernel_t *k)
{
    gmki_agent_t *a = NULL;

    gmk_hal_lock_acquire(&k->lock);
    for (uint32_t i = k->cfg.n_workers; i + 1 < k->n_agents && a == NULL; i++) {
        if (k->agents[i] == NULL)
            a = gmki_agent_make(k, i, NULL);
        else if (gmk_load_rlx(&k->agents[i]->attached, GMK_DEV) == 0) /* relaxed: lock held */
            a = k->agents[i];
    }
    if (a != NULL)
        gmk_store_rlx(&a->attached, 1, GMK_DEV); /* relaxed: the lock is held */
    gmk_hal_lock_release(&k->lock);
    return a;
}

gmk_ctx_t *gmk_host_attach(gmk_kernel_t *handle, gmk_host_t *storage)
{
    host_t *h = (host_t *)storage;
    gmki_agent_t *a = NULL;
    gmki_kernel_t *k;
    uint32_t seq;
    int rc;

    k = storage != NULL ? gmki_go_in(handle, 0, &seq, &rc) : NULL;
    if (k == NULL)
        return NULL;
    a = free_agent(k);
    if (a != NULL) {
        h->handle = handle;
        h->k = k;
        h->agent = a;
        h->born = ((gmki_handle_t *)handle)->born;
        h->none = (gmk_task_t){.type = 0};
        a->ctx.task = &h->none;
        a->ctx.tick = (uint32_t)gmki_tick(&k->core.sched, gmk_hal_now_ns());
        a->obs.now = gmk_hal_now_ns();
    }
    gmki_come_out(handle);
    return a != NULL ? &a->ctx : NULL;
}

int gmk_host_detach(gmk_host_t *storage)
{
    host_t *h = (host_t *)storage;
    gmki_kernel_t *k;
    uint32_t seq;
    bool same;
    int rc;

    if (h == NULL || h->agent == NULL)
        return GMK_E_INVALID;
    k = gmki_go_in(h->handle, 0, &seq, &rc);
    same = k != NULL && h->k == k && h->born == ((gmki_handle_t *)h->handle)->born;
    if (same) {
        gmk_hal_lock_acquire(&k->lock);
        gmk_store_rlx(&h->agent->attached, 0, GMK_DEV); /* relaxed: the lock is held */
        gmk_hal_lock_release(&k->lock);
    }
    if (k != NULL)
        gmki_come_out(h->handle);
    h->agent = NULL;
    return same ? GMK_OK : (int)GMK_E_INVALID;
}
