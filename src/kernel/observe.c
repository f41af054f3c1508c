/* SPDX-License-Identifier: MIT
 * Readers: metrics, channels, handlers, workers; and the panic.
 * Floor: F8. Readers never hold a writer up. The list of kernels to show in a panic is
 * the one thing shared between kernels, and nothing else uses it.
 * Source: SPEC OBS-1, OBS-4, OBS-16; ARCHITECTURE R10, R12. */
#include "kernel/kernel.h"

static uint64_t base_metric(const gmki_kernel_t *k, uint32_t id, uint32_t row)
{
    return gmk_load_acq(&k->rows[row * GMKI_ROW_WORDS + id], GMK_DEV); /* sync: obs.settled */
}

/* One counter of one row; three follow from others (metrics.h). The allocators' bytes do
 * not come from here. */
static uint64_t row_metric(const gmki_kernel_t *k, uint32_t id, uint32_t row)
{
    uint64_t again = base_metric(k, GMK_METRIC_TASKS_YIELDED, row) +
                     base_metric(k, GMK_METRIC_TASKS_RETRIED, row);
    uint64_t ended = base_metric(k, GMK_METRIC_TASKS_COMPLETED, row) +
                     base_metric(k, GMK_METRIC_TASKS_FAILED, row);

    switch (id) {
    case GMK_METRIC_TASKS_ENQUEUED:
        return base_metric(k, GMK_METRIC_TASKS_ACCEPTED, row) + again;
    case GMK_METRIC_TASKS_DEQUEUED:
        return ended + again;
    case GMK_METRIC_TASKS_DISPATCHED:
        return ended + again - base_metric(k, GMK_METRIC_POISON_SKIPS, row);
    default:
        return base_metric(k, id, row);
    }
}

uint64_t gmk_metric_get_tenant(const gmk_kernel_t *handle, uint32_t id, uint32_t tenant)
{
    const gmki_kernel_t *k = gmki_kernel(handle);
    uint64_t n = 0;

    if (k == NULL || id >= GMK_METRIC_COUNT || tenant >= k->cfg.n_tenants)
        return 0;
    if (id == GMK_METRIC_ALLOC_BYTES)
        return tenant == 0 ? gmki_mem_bytes(&k->core.mem) : 0;
    for (uint32_t a = 0; a < k->n_agents; a++)
        n += row_metric(k, id, a * k->cfg.n_tenants + tenant);
    return n;
}

uint64_t gmk_metric_get(const gmk_kernel_t *handle, uint32_t id)
{
    const gmki_kernel_t *k = gmki_kernel(handle);
    uint64_t n = 0;

    for (uint32_t t = 0; k != NULL && t < k->cfg.n_tenants; t++)
        n += gmk_metric_get_tenant(handle, id, t);
    return n;
}

uint64_t gmk_metric_get_worker(const gmk_kernel_t *handle, uint32_t id, uint32_t worker)
{
    const gmki_kernel_t *k = gmki_kernel(handle);
    uint64_t n = 0;

    if (k == NULL || id >= GMK_METRIC_COUNT || worker >= k->cfg.n_workers)
        return 0;
    if (id == GMK_METRIC_ALLOC_BYTES)
        return gmki_cache_bytes(&k->agents[worker]->cache);
    for (uint32_t t = 0; t < k->cfg.n_tenants; t++)
        n += row_metric(k, id, worker * k->cfg.n_tenants + t);
    return n;
}

int gmk_metrics_map(const gmk_kernel_t *handle, gmk_metrics_map_t *out)
{
    const gmki_kernel_t *k = gmki_kernel(handle);

    if (k == NULL || out == NULL)
        return GMK_E_INVALID;
    *out = (gmk_metrics_map_t){.base = k->rows,
                               .stride = GMKI_ROW_WORDS * 8,
                               .n_rows = k->n_agents * k->cfg.n_tenants,
                               .count = GMK_METRIC_COUNT};
    return GMK_OK;
}

int gmk_handler_get_info(const gmk_kernel_t *handle, uint32_t idx, gmk_handler_info_t *out)
{
    const gmki_kernel_t *k = gmki_kernel(handle);
    const gmki_handler_t *h;

    if (k == NULL || out == NULL)
        return GMK_E_INVALID;
    if (idx >= gmk_load_acq(&k->core.mods.n_handlers, GMK_DEV)) /* sync: module.handlers */
        return GMK_E_NOT_FOUND;
    h = &k->core.mods.handlers[idx];
    *out = (gmk_handler_info_t){
        .module = k->core.mods.mods[h->module]->name, .handler = h->name, .type = h->type};
    out->poisoned = gmk_load_acq(&h->poisoned, GMK_DEV) != 0; /* sync: module.poison */
    for (uint32_t a = 0; a < k->n_agents; a++) {
        size_t row = (size_t)a * GMK_MAX_HANDLERS + idx;
        const gmk_a64_t *r = k->handler_rows + row * GMKI_HROW_WORDS;

        out->completed += gmk_count_get(&r[GMKI_HROW_COMPLETED]);
        out->failed += gmk_count_get(&r[GMKI_HROW_FAILED]);
        out->yields += gmk_count_get(&r[GMKI_HROW_YIELDS]);
        out->retries += gmk_count_get(&r[GMKI_HROW_RETRIES]);
    }
    if (h->runtime != NULL)
        gmki_latency(h->runtime, &out->runtime);
    return GMK_OK;
}

int gmk_alloc_get_stats(const gmk_kernel_t *handle, enum gmk_alloc_kind kind,
                        gmk_alloc_stats_t *out)
{
    const gmki_kernel_t *k = gmki_kernel(handle);

    return k != NULL ? gmki_mem_stats(&k->core.mem, kind, out) : (int)GMK_E_INVALID;
}

int gmk_mod_reset(gmk_kernel_t *handle, uint32_t type)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    bool found = false;

    if (k == NULL)
        return GMK_E_INVALID;
    gmk_hal_lock_acquire(&k->core.mods.lock);
    for (uint32_t i = 0; i < k->core.mods.n_handlers; i++) {
        gmki_handler_t *h = &k->core.mods.handlers[i];

        if (h->type != type)
            continue;
        k->core.mods.fails[i].n = 0;
        gmk_store_rel(&h->poisoned, 0, GMK_DEV); /* sync: module.poison */
        found = true;
    }
    gmk_hal_lock_release(&k->core.mods.lock);
    return found ? GMK_OK : GMK_E_NOT_FOUND;
}

uint32_t gmk_worker_count(const gmk_kernel_t *handle)
{
    const gmki_kernel_t *k = gmki_kernel(handle);

    return k != NULL ? k->cfg.n_workers : 0;
}

int gmk_worker_get_info(const gmk_kernel_t *handle, uint32_t worker, gmk_worker_info_t *out)
{
    const gmki_kernel_t *k = gmki_kernel(handle);
    const gmki_wq_t *q;
    uint32_t current;
    uint64_t idle;

    if (k == NULL || out == NULL)
        return GMK_E_INVALID;
    if (worker >= k->cfg.n_workers)
        return GMK_E_NOT_FOUND;
    q = &k->core.sched.wq[worker];
    current = gmk_load_rlx(&q->current, GMK_DEV);     /* relaxed: for a person to read */
    idle = gmk_load_sc(&k->core.sched.idle, GMK_DEV); /* sync: sched.idle */
    *out = (gmk_worker_info_t){.id = worker, .heartbeat = gmk_count_get(&q->heartbeat)};
    out->queued =
        gmk_mpmc_count(&q->inbox.ring, GMK_DEV) + gmk_mpmc_count(&q->shared.ring, GMK_DEV);
    out->current_type = current != 0 ? k->core.mods.handlers[current - 1].type : 0;
    out->state = idle >> worker & 1 ? GMK_WORKER_PARKED
                 : current != 0     ? GMK_WORKER_RUNNING
                                    : GMK_WORKER_SEARCHING;
    return GMK_OK;
}

/* Panic. ----------------------------------------------------------------------- */

#define PANIC_KERNELS 8u
#define PANIC_EVENTS 8u

static gmk_a64_t panic_kernels[PANIC_KERNELS];

void gmki_panic_watch(gmki_kernel_t *k)
{
    for (uint32_t i = 0; i < PANIC_KERNELS; i++) {
        uint64_t none = 0;

        /* sync: panic.kernels */
        if (gmk_cas_ar(&panic_kernels[i], &none, (uint64_t)(uintptr_t)k, GMK_DEV))
            return;
    }
}

void gmki_panic_unwatch(gmki_kernel_t *k)
{
    for (uint32_t i = 0; i < PANIC_KERNELS; i++) {
        uint64_t me = (uint64_t)(uintptr_t)k;

        if (gmk_cas_ar(&panic_kernels[i], &me, 0, GMK_DEV)) /* sync: panic.kernels */
            return;
    }
}

static void say(char *line, const char *text) { gmki_error_text(line, text); }

static void say_end(char *line)
{
    size_t n = 0;

    say(line, "\n");
    while (line[n] != '\0')
        n++;
    gmk_hal_console_write(line, n);
    line[0] = '\0';
}

/* The last records of a ring, read without taking them. */
static void panic_ring(const gmki_trace_ring_t *r, uint32_t agent)
{
    uint32_t tail = gmk_load_rlx(&r->ring.tail, GMK_DEV); /* relaxed: the kernel is lost anyway */
    uint64_t written = gmk_count_get(&r->written) - gmk_count_get(&r->dropped);
    uint32_t n = (uint32_t)gmk_min64(written, PANIC_EVENTS);
    char line[GMKI_ERROR_BYTES] = "";

    for (uint32_t i = n; i > 0; i--) {
        const gmk_trace_ev_t *e = &r->recs[(tail - i) & r->ring.mask_p];
        const char *name = gmk_trace_event_name(e->ev_type);

        say(line, "  agent ");
        gmki_error_u32(line, agent);
        say(line, ": ");
        say(line, name != NULL ? name : "user event");
        say(line, " type ");
        gmki_error_u32(line, e->type);
        say(line, " args ");
        gmki_error_u32(line, e->arg0);
        say(line, " ");
        gmki_error_u32(line, e->arg1);
        say_end(line);
    }
}

void gmk_panic(const char *file, int line_no, const char *text)
{
    char line[GMKI_ERROR_BYTES] = "";

    say(line, "PANIC ");
    say(line, file);
    say(line, ":");
    gmki_error_u32(line, (uint32_t)line_no);
    say(line, ": ");
    say(line, text);
    say_end(line);
    for (uint32_t i = 0; i < PANIC_KERNELS; i++) {
        uint64_t at = gmk_load_acq(&panic_kernels[i], GMK_DEV); /* sync: panic.kernels */
        const gmki_kernel_t *k = (const gmki_kernel_t *)(uintptr_t)at;

        if (k == NULL)
            continue;
        say(line, "last trace events of a kernel:");
        say_end(line);
        for (uint32_t r = 0; r < gmki_n_rings(k); r++)
            panic_ring(&k->rings[r], r / k->cfg.n_tenants);
    }
    gmk_hal_abort();
}
