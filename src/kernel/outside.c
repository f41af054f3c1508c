/* SPDX-License-Identifier: MIT
 * What threads outside the workers do: submit, tick, wait, attach.
 * Floor: F8. Source: SPEC SYS-12, V-23; ARCHITECTURE R15, R21. */
#include "kernel/kernel.h"

static bool is_running(const gmki_kernel_t *k)
{
    return gmk_load_acq(&k->state, GMK_DEV) == GMKI_RUNNING; /* sync: kernel.state */
}

int gmk_submit_batch(gmk_kernel_t *handle, gmk_task_t *t, uint32_t n)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    uint32_t done;
    int why;

    if (k == NULL || t == NULL || n > INT32_MAX)
        return GMK_E_INVALID;
    if (n == 0)
        return 0;
    done = gmki_submit(gmki_outside(k), t, n, &why);
    return done != 0 ? (int)done : why;
}

int gmk_submit(gmk_kernel_t *handle, gmk_task_t *t)
{
    int rc = gmk_submit_batch(handle, t, 1);

    return rc == 1 ? GMK_OK : rc;
}

int gmk_submit_to(gmk_kernel_t *handle, gmk_task_t *t, uint32_t worker)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    int rc;

    if (k == NULL || worker >= k->cfg.n_workers)
        return GMK_E_INVALID;
    rc = gmki_check_task(&k->core.sched, t);
    return rc == GMK_OK ? gmki_send_worker(gmki_outside(k), t, worker) : rc;
}

int gmk_submit_after(gmk_kernel_t *handle, gmk_task_t *t, uint64_t delay_ns)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    uint64_t now = gmk_hal_now_ns();
    int rc;

    if (k == NULL)
        return GMK_E_INVALID;
    rc = gmki_check_task(&k->core.sched, t);
    if (rc != GMK_OK)
        return rc;
    return gmki_set_timer(gmki_outside(k), t,
                          delay_ns < GMKI_NEVER - 1 - now ? now + delay_ns : GMKI_NEVER - 1, false);
}

int gmk_submit_at_tick(gmk_kernel_t *handle, gmk_task_t *t, uint32_t tick)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    int rc;

    if (k == NULL)
        return GMK_E_INVALID;
    rc = gmki_check_task(&k->core.sched, t);
    if (rc != GMK_OK)
        return rc;
    return gmki_set_timer(gmki_outside(k), t,
                          gmki_tick_widen(&k->core.sched, gmk_hal_now_ns(), tick), true);
}

void gmk_tick_advance(gmk_kernel_t *handle)
{
    gmki_kernel_t *k = gmki_kernel(handle);

    if (k == NULL)
        return;
    gmk_add_ar(&k->core.sched.tick_base, 1, GMK_DEV); /* sync: sched.tick */
    if (gmki_evq_due(&k->core.sched, gmk_hal_now_ns()))
        gmki_wake_one(&k->core.sched);
}

uint32_t gmk_tick_now(const gmk_kernel_t *handle)
{
    const gmki_kernel_t *k = gmki_kernel(handle);

    return k != NULL ? (uint32_t)gmki_tick(&k->core.sched, gmk_hal_now_ns()) : 0;
}

/* In this order: an event that comes due in between leaves a worker awake. */
static bool at_rest(const gmk_sched_t *s)
{
    return !gmki_evq_due(s, gmk_hal_now_ns()) && gmki_all_parked(s);
}

int gmk_wait_idle(gmk_kernel_t *handle, uint64_t timeout_ns)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    uint64_t start = gmk_hal_now_ns();
    gmk_sched_t *s;
    int rc;

    if (k == NULL)
        return GMK_E_INVALID;
    s = &k->core.sched;
    gmk_hal_lock_acquire(&k->lock); /* one waiter at a time on the quiet word */
    gmk_xchg_sc(&s->waiting, 1, GMK_DEV); /* sync: sched.waiting */
    for (;;) {
        uint32_t seen = gmk_hal_park_word(&s->quiet);
        uint64_t spent = gmk_hal_now_ns() - start;

        rc = at_rest(s) ? GMK_OK : (int)GMK_E_TIMEOUT;
        if (rc == GMK_OK || spent >= timeout_ns)
            break;
        gmk_hal_park_wait(&s->quiet, seen, timeout_ns - spent);
    }
    gmk_xchg_sc(&s->waiting, 0, GMK_DEV); /* sync: sched.waiting */
    gmk_hal_lock_release(&k->lock);
    return rc;
}

/* The private contents of gmk_host_t. */
typedef struct host {
    gmki_kernel_t *k;
    gmki_agent_t *agent;
    gmk_task_t none; /* ctx->task: contexts hold no null pointer */
} host_t;

GMK_STATIC_ASSERT(sizeof(host_t) <= sizeof(gmk_host_t), "the public storage suffices");
GMK_STATIC_ASSERT(__alignof__(host_t) <= __alignof__(gmk_host_t), "and is aligned");

gmk_ctx_t *gmk_host_attach(gmk_kernel_t *handle, gmk_host_t *storage)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    host_t *h = (host_t *)storage;
    gmki_agent_t *a = NULL;

    if (k == NULL || storage == NULL || !is_running(k))
        return NULL;
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
    if (a == NULL)
        return NULL;
    h->k = k;
    h->agent = a;
    h->none = (gmk_task_t){.type = 0};
    a->ctx.task = &h->none;
    a->ctx.tick = (uint32_t)gmki_tick(&k->core.sched, gmk_hal_now_ns());
    a->obs.now = gmk_hal_now_ns();
    return &a->ctx;
}

int gmk_host_detach(gmk_host_t *storage)
{
    host_t *h = (host_t *)storage;

    if (h == NULL || h->agent == NULL || gmki_kernel(h->k->handle) != h->k)
        return GMK_E_INVALID;
    gmk_hal_lock_acquire(&h->k->lock);
    gmk_store_rlx(&h->agent->attached, 0, GMK_DEV); /* relaxed: the lock is held */
    gmk_hal_lock_release(&h->k->lock);
    h->agent = NULL;
    return GMK_OK;
}
