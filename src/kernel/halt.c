/* SPDX-License-Identifier: MIT
 * Halt: close, drain, stop, dead-letter, fini, audit, free, within a deadline.
 * Floor: F8. Source: SPEC SYS-11, SYS-12; ARCHITECTURE R8. */
#include "kernel/kernel.h"

void gmki_gate_shut(gmki_handle_t *h)
{
    gmk_and_sc(&h->gate, ~(uint64_t)GMKI_GATE_OPEN, GMK_DEV);          /* sync: kernel.gate */
    while ((gmk_load_sc(&h->gate, GMK_DEV) & GMKI_GATE_INSIDE) != 0) { /* sync: kernel.gate */
        gmk_hal_park_wake(&h->k->core.sched.quiet); /* who waits for rest gives up */
        gmk_hal_relax();
    }
}

/* Refuses work from outside from here on, and waits for the calls inside. */
static void close_outside(gmki_kernel_t *k)
{
    gmki_gate_shut((gmki_handle_t *)k->handle);
    gmk_xchg_sc(&k->core.sched.closed, 1, GMK_DEV); /* sync: sched.closed */
    for (uint32_t i = k->cfg.n_workers; i + 1 < k->n_agents; i++)
        while (k->agents[i] != NULL &&
               gmk_add_sc(&k->agents[i]->busy, 0, GMK_DEV) != 0) /* sync: host.busy */
            gmk_hal_relax();
}

/* Waits until all workers are parked with nothing due, or the deadline. */
static bool drain(gmki_kernel_t *k, uint64_t deadline)
{
    uint64_t now = gmk_hal_now_ns();

    return now < deadline && gmki_wait_rest(k, deadline - now) == GMK_OK;
}

static uint32_t count_exited(const gmki_kernel_t *k)
{
    uint32_t n = 0;

    for (uint32_t w = 0; w < k->n_started; w++)
        if (gmk_load_acq(&k->core.sched.wq[w].exited, GMK_DEV) != 0) /* sync: worker.exited */
            n++;
    return n;
}

/* Tells the workers to leave; true if all did before the deadline. */
static bool stop(gmki_kernel_t *k, uint64_t deadline)
{
    gmk_sched_t *s = &k->core.sched;

    gmk_or_sc(&s->control, GMKI_STOP, GMK_DEV); /* sync: sched.control */
    gmki_wake_all(s);
    for (;;) {
        uint32_t seen = gmk_hal_park_word(&s->quiet);
        uint64_t now = gmk_hal_now_ns();

        if (count_exited(k) == k->n_started)
            break;
        if (now >= deadline)
            return false;
        gmk_hal_park_wait(&s->quiet, seen, deadline - now);
    }
    for (uint32_t w = 0; w < k->n_started; w++)
        gmk_hal_thread_join(&k->threads[w]);
    k->n_started = 0;
    return true;
}

void gmki_stop_workers(gmki_kernel_t *k)
{
    if (k->n_started != 0)
        (void)stop(k, GMKI_NEVER);
}

void gmki_kernel_free(gmki_kernel_t *k)
{
    gmki_panic_unwatch(k);
    gmki_chan_reg_fini(&k->core.chan);
    gmki_det_fini(&k->core.det);
    gmki_mod_fini(&k->core.mods);
    if (k->core.mods.error != NULL)
        gmk_hal_lock_destroy(&k->core.mods.lock);
    gmki_agents_fini(k);
    gmki_sched_fini(&k->core.sched);
    gmki_mem_fini(&k->core.mem);
    gmk_hal_free(k->threads);
    if (k->guards != NULL)
        gmk_hal_guard_close();
    gmk_hal_free(k->guards);
    gmk_hal_lock_destroy(&k->lock);
    gmk_hal_lock_destroy(&k->read_lock);
    gmk_hal_lock_destroy(&k->watch_lock);
    gmk_hal_free(k);
}

/* The worker that did not leave: the first that is in a handler, else the first at all, which
 * may only have had no processor yet. returns: n_started if all have. */
static uint32_t stuck_worker(const gmki_kernel_t *k)
{
    uint32_t first = k->n_started;

    for (uint32_t w = k->n_started; w-- > 0;) {
        const gmki_wq_t *q = &k->core.sched.wq[w];

        if (gmk_load_acq(&q->exited, GMK_DEV) != 0) /* sync: worker.exited */
            continue;
        if (first == k->n_started || gmk_load_rlx(&q->current, GMK_DEV) != 0 ||
            gmk_load_rlx(&k->core.sched.wq[first].current, GMK_DEV) == 0) /* relaxed: so */
            first = w;
    }
    return first;
}

/* Names that worker, and the handler it is in. */
static void name_stuck(const gmki_kernel_t *k, char *out, size_t bytes)
{
    char story[GMKI_ERROR_BYTES] = "";
    uint32_t w = stuck_worker(k), h = 0;

    if (w != k->n_started) {
        gmki_error_text(story, "worker ");
        gmki_error_u32(story, w);
        h = gmk_load_rlx(&k->core.sched.wq[w].current, GMK_DEV); /* relaxed: for a person to read */
    }
    if (h != 0) {
        const gmki_handler_t *hd = &k->core.mods.handlers[h - 1];

        gmki_error_text(story, " is in handler '");
        gmki_error_text(story, hd->name);
        gmki_error_text(story, "' of module '");
        gmki_error_text(story, k->core.mods.mods[hd->module]->name);
        gmki_error_text(story, "'");
    }
    story[bytes - 1] = '\0';
    gmk_hal_memcpy(out, story, bytes);
}

int gmk_halt_timeout(gmk_kernel_t *handle, uint64_t timeout_ns, gmk_audit_report_t *report)
{
    gmki_handle_t *h = (gmki_handle_t *)handle;
    gmki_kernel_t *k = gmki_kernel(handle);
    uint32_t running = GMKI_RUNNING;
    gmk_audit_report_t books = {.balanced = false};
    uint64_t start = gmk_hal_now_ns();
    uint64_t room = GMKI_NEVER - start > timeout_ns ? timeout_ns : GMKI_NEVER - start;
    char stuck[sizeof(books.stuck)];
    gmki_agent_t *a;

    if (k == NULL ||
        !gmk_cas_ar(&k->state, &running, GMKI_HALTING, GMK_DEV)) /* sync: kernel.state */
        return GMK_E_INVALID;
    close_outside(k);
    drain(k, start + room - room / 5);
    if (!stop(k, start + room)) {
        gmk_store_rel(&k->state, GMKI_WEDGED, GMK_DEV); /* sync: kernel.state */
        if (report != NULL) {
            gmki_books(k, report);
            report->queued = report->accepted - report->completed - report->failed - report->dead;
            name_stuck(k, report->stuck, sizeof(report->stuck));
        }
        return GMK_E_TIMEOUT;
    }
    /* Nobody runs: worker 0's agent acts for the kernel. */
    a = k->agents[0];
    gmki_trace(&a->obs, HALT, NULL, k->cfg.n_workers, 0);
    gmki_audit(k, &books);
    gmk_hal_memcpy(stuck, books.stuck, sizeof(stuck)); /* while it still is */
    gmki_lose_all(k, a);
    gmki_mod_fini_all(a, &k->core.mods);
    gmki_lose_all(k, a);
    gmki_audit(k, &books);
    gmk_hal_memcpy(books.stuck, stuck, sizeof(stuck));
    if (report != NULL)
        *report = books;
    gmk_store_rel(&h->magic, GMKI_MAGIC_ENDED, GMK_DEV); /* sync: kernel.magic */
    h->k = NULL;
    gmki_kernel_free(k);
    return books.balanced ? GMK_OK : GMK_E_UNBALANCED;
}

int gmk_halt(gmk_kernel_t *handle)
{
    const gmki_kernel_t *k = gmki_kernel(handle);

    return k != NULL ? gmk_halt_timeout(handle, k->cfg.halt_timeout_ns, NULL) : (int)GMK_E_INVALID;
}
