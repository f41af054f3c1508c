/* SPDX-License-Identifier: MIT
 * Agents: workers, attached threads, the outside; their rows, rings and contexts.
 * Floor: F8. Source: SPEC T-9, T-10, V-14; ARCHITECTURE R10, R21. */
#include "kernel/kernel.h"

static int rows_init(gmki_kernel_t *k)
{
    uint32_t tenants = k->cfg.n_tenants;
    uint32_t n_rings = (k->n_agents - 1) * tenants;
    size_t bytes;
    char *region = gmki_mem_trace_region(&k->core.mem, &bytes);
    uint32_t slots = k->cfg.trace_slots != 0 ? k->cfg.trace_slots : GMK_TRACE_DEFAULT_CAP;

    slots = gmk_pow2_ceil(slots);
    while (slots > 2 && (uint64_t)slots * n_rings * sizeof(gmk_trace_ev_t) > bytes)
        slots /= 2;
    k->trace_slots = slots;
    k->rows = gmk_hal_calloc((size_t)k->n_agents * tenants, GMKI_ROW_WORDS * 8);
    k->handler_rows = gmk_hal_calloc((size_t)k->n_agents * GMK_MAX_HANDLERS, GMKI_HROW_WORDS * 8);
    k->rings = gmk_hal_calloc(n_rings, sizeof(*k->rings));
    k->agents = gmk_hal_calloc(k->n_agents, sizeof(gmki_agent_t *));
    if (k->rows == NULL || k->handler_rows == NULL || k->rings == NULL || k->agents == NULL)
        return GMK_ALLOC_FAIL;
    if ((uint64_t)slots * n_rings * sizeof(gmk_trace_ev_t) > bytes)
        return GMK_ALLOC_FAIL;
    for (uint32_t i = 0; i < n_rings; i++) {
        gmk_spsc_setup(&k->rings[i].ring, slots, 0);
        k->rings[i].recs = (gmk_trace_ev_t *)region + (size_t)i * slots;
    }
    for (uint32_t i = 0; i <= GMKI_LEVEL_KERNEL; i++)
        k->trace_cfg.level[i] = GMK_TRACE_DEFAULT_LEVEL;
    k->trace_cfg.max_level = GMK_TRACE_DEFAULT_LEVEL;
    k->trace_cfg.sample_rate = GMK_TRACE_SAMPLE_RATE;
    return GMK_OK;
}

gmki_agent_t *gmki_agent_make(gmki_kernel_t *k, uint32_t number, gmki_wq_t *wq)
{
    gmki_agent_t *a = gmk_hal_calloc(1, sizeof(*a));
    bool outside = number == k->n_agents - 1;

    if (a == NULL)
        return NULL;
    a->sched = &k->core.sched;
    a->wq = wq;
    a->priority = GMK_N_PRIO;
    a->obs.rows = k->rows + (size_t)number * k->cfg.n_tenants * GMKI_ROW_WORDS;
    a->obs.rings = outside ? NULL : k->rings + (size_t)number * k->cfg.n_tenants;
    a->obs.cfg = &k->trace_cfg;
    a->obs.agent = number;
    a->obs.module = GMKI_LEVEL_KERNEL;
    a->obs.rng = 0x2545f4914f6cdd1dull * (number + 1);
    a->obs.shared = outside;
    a->guarded = k->guards != NULL;
    a->time_rng = 0xd1342543de82ef95ull * (number + 1);
    a->time_in = gmki_time_gap(&a->time_rng);
    a->edge_in = a->time_in;
    a->handler_rows = k->handler_rows + (size_t)number * GMK_MAX_HANDLERS * GMKI_HROW_WORDS;
    gmki_cache_setup(&a->cache, &k->core.mem, &a->obs);
    a->ctx.alloc = &k->core.mem;
    a->ctx.chan = &k->core.chan;
    a->ctx.trace = (gmk_trace_t *)&a->obs;
    a->ctx.metrics = (gmk_metrics_t *)&a->obs;
    a->ctx.sched = &k->core.sched;
    a->ctx.kernel = k->handle;
    a->ctx.worker_id = wq != NULL ? number : GMK_NO_WORKER;
    a->ctx.agent = a;
    k->agents[number] = a;
    if (wq == NULL && !outside)
        gmk_store_rel(&k->n_hosts, number - k->cfg.n_workers + 1, GMK_DEV); /* sync: host.made */
    return a;
}

/* The core is the first member of a kernel. */
GMK_STATIC_ASSERT(offsetof(gmki_kernel_t, core) == 0, "a kernel is found from its core");

bool gmki_hosts_inside(const gmk_sched_t *s, const gmki_agent_t *me)
{
    const gmki_kernel_t *k = (const gmki_kernel_t *)gmki_core(s);

    uint32_t n = gmk_load_acq(&k->n_hosts, GMK_DEV); /* sync: host.made */

    for (uint32_t i = k->cfg.n_workers; i < k->cfg.n_workers + n; i++)
        if (k->agents[i] != me &&
            gmk_load_sc(&k->agents[i]->busy, GMK_DEV) != 0) /* sync: host.busy */
            return true;
    return false;
}

int gmki_agents_init(gmki_kernel_t *k)
{
    int rc = rows_init(k);

    if (rc != GMK_OK)
        return rc;
    for (uint32_t w = 0; w < k->cfg.n_workers; w++)
        if (gmki_agent_make(k, w, &k->core.sched.wq[w]) == NULL)
            return GMK_ALLOC_FAIL;
    return gmki_agent_make(k, k->n_agents - 1, NULL) != NULL ? GMK_OK : GMK_ALLOC_FAIL;
}

void gmki_agents_fini(gmki_kernel_t *k)
{
    for (uint32_t i = 0; k->agents != NULL && i < k->n_agents; i++)
        gmk_hal_free(k->agents[i]);
    gmk_hal_free(k->agents);
    gmk_hal_free(k->rows);
    gmk_hal_free(k->handler_rows);
    gmk_hal_free(k->rings);
}
