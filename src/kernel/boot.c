/* SPDX-License-Identifier: MIT
 * Boot: arena, scheduler, channels, modules, workers, in that order; undone in reverse.
 * Floor: F8. Source: SPEC SYS-11 to SYS-13, MOD-5 to MOD-8, V-20; ARCHITECTURE R13. */
#include "kernel/kernel.h"

extern gmk_module_t *const __start_gmk_modules[] __attribute__((weak));
extern gmk_module_t *const __stop_gmk_modules[] __attribute__((weak));

static int refuse(gmki_handle_t *h, int rc, const char *story)
{
    if (h->error[0] == '\0')
        gmki_error_text(h->error, story);
    return rc;
}

static int check_cfg(gmki_handle_t *h, gmk_boot_cfg_t *cfg)
{
    if (cfg->arena_size == 0)
        cfg->arena_size = GMK_DEFAULT_ARENA_BYTES;
    if (cfg->n_workers == 0)
        cfg->n_workers = GMK_DEFAULT_WORKERS;
    if (cfg->n_tenants == 0)
        cfg->n_tenants = 1;
    if (cfg->halt_timeout_ns == 0)
        cfg->halt_timeout_ns = GMK_HALT_TIMEOUT_NS;
    if (cfg->n_workers > GMK_MAX_WORKERS)
        return refuse(h, GMK_E_LIMIT, "cfg.n_workers is above GMK_MAX_WORKERS (32)");
    if (cfg->n_tenants > GMK_MAX_TENANTS)
        return refuse(h, GMK_E_LIMIT, "cfg.n_tenants is above GMK_MAX_TENANTS (16)");
    if (cfg->arena_size < GMKI_ARENA_MIN)
        return refuse(h, GMK_E_INVALID, "cfg.arena_size is below 64 KiB: give at least 1 MiB");
    if (gmk_max32(cfg->rq_slots, gmk_max32(cfg->lq_slots, cfg->inbox_slots)) > 1u << 24 ||
        gmk_max32(cfg->evq_slots, gmk_max32(cfg->overflow_slots, cfg->trace_slots)) > 1u << 24)
        return refuse(h, GMK_E_INVALID, "a queue capacity in cfg is above 2^24");
    return GMK_OK;
}

static int add_modules(gmki_kernel_t *k, gmk_module_t **mods, uint32_t n_mods)
{
    int rc;

    for (uint32_t i = 0; i < n_mods; i++)
        if ((rc = gmki_mod_add(&k->core.mods, mods[i])) != GMK_OK)
            return rc;
    if (k->cfg.flags & GMK_BOOT_NO_LINKED_MODULES)
        return GMK_OK;
    for (gmk_module_t *const *m = __start_gmk_modules; m != __stop_gmk_modules; m++)
        if ((rc = gmki_mod_add(&k->core.mods, *m)) != GMK_OK)
            return rc;
    return GMK_OK;
}

static int core_init(gmki_kernel_t *k, gmki_handle_t *h, gmk_module_t **mods, uint32_t n_mods)
{
    gmki_core_t *c = &k->core;
    int rc;

    if ((rc = gmki_mem_init(&c->mem, k->cfg.arena_size, k->n_agents)) != GMK_OK)
        return refuse(h, rc, "no memory for the arena: lower cfg.arena_size");
    c->sched.owner = c;
    c->sched.lose = gmki_lose;
    c->sched.tell_ticks = gmki_ticks_tell;
    c->sched.hosts_inside = gmki_hosts_inside;
    c->sched.return_message = gmki_return_message;
    c->sched.is_serial = gmki_is_serial;
    if ((rc = gmki_sched_init(&c->sched, &k->cfg, &c->mem)) != GMK_OK)
        return refuse(h, rc, "no memory for the queues: lower the capacities in cfg");
    if ((rc = gmki_agents_init(k)) != GMK_OK)
        return refuse(h, rc, "no memory for traces and counters: raise cfg.arena_size");
    c->chan.det = &c->det;
    c->mods.sched = &c->sched;
    c->mods.chan = &c->chan;
    c->mods.error = h->error;
    gmk_hal_lock_init(&c->mods.lock);
    c->mods.handlers = gmk_hal_calloc(GMK_MAX_HANDLERS, sizeof(gmki_handler_t));
    c->mods.fails = gmk_hal_calloc(GMK_MAX_HANDLERS, sizeof(gmki_fails_t));
    if (c->mods.handlers == NULL || c->mods.fails == NULL)
        return refuse(h, GMK_ALLOC_FAIL, "no memory for the dispatch table");
    if ((rc = add_modules(k, mods, n_mods)) != GMK_OK ||
        (rc = gmki_mod_validate(&c->mods)) != GMK_OK)
        return rc;
    c->chan.handler_of = gmki_handler_of;
    c->chan.add_handler = gmki_add_handler;
    c->chan.is_deterministic = gmki_is_deterministic;
    c->chan.modules = &c->mods;
    if ((rc = gmki_chan_reg_init(k->agents[0], &c->chan, &c->sched, c->mods.n_mods)) != GMK_OK ||
        (rc = gmki_envelopes_init(&c->chan, &c->mem)) != GMK_OK)
        return refuse(h, rc, "no memory for the channel registry");
    if ((rc = gmki_det_boot(k)) != GMK_OK)
        return refuse(h, rc, "no memory for deterministic work");
    return gmki_mod_wire(k->agents[0], &c->mods);
}

static int guard_init(gmki_kernel_t *k, gmki_handle_t *h)
{
    if ((k->cfg.flags & GMK_BOOT_FAULT_GUARD) == 0)
        return GMK_OK;
    k->guards = gmk_hal_calloc(k->cfg.n_workers + 1, sizeof(*k->guards));
    if (k->guards == NULL)
        return refuse(h, GMK_ALLOC_FAIL, "no memory for the fault guard's stacks");
    if (gmk_hal_guard_open() != 0) {
        gmk_hal_free(k->guards);
        k->guards = NULL;
        return refuse(h, GMK_E_UNSUPPORTED,
                      "this machine has no fault guard: clear GMK_BOOT_FAULT_GUARD in cfg.flags");
    }
    k->core.mods.guard = gmki_call_guarded;
    return GMK_OK;
}

/* init runs on the thread that boots. */
static int init_modules(gmki_kernel_t *k)
{
    gmk_hal_guard_t *g = k->guards != NULL ? &k->guards[k->cfg.n_workers] : NULL;
    int rc;

    if (g != NULL)
        gmk_hal_guard_enter(g);
    rc = gmki_mod_init_all(k->agents[0], &k->core.mods);
    if (g != NULL)
        gmk_hal_guard_leave(g);
    return rc;
}

static void *guarded_worker(void *agent)
{
    gmki_agent_t *a = agent;
    gmk_hal_guard_t *g = &((gmki_kernel_t *)gmki_core(a->sched))->guards[a->obs.agent];

    gmk_hal_guard_enter(g);
    gmki_worker_loop(a);
    gmk_hal_guard_leave(g);
    return NULL;
}

static int start_workers(gmki_kernel_t *k, gmki_handle_t *h)
{
    uint32_t n = k->cfg.n_workers;
    void *(*loop)(void *) = k->guards != NULL ? guarded_worker : gmki_worker_loop;

    k->threads = gmk_hal_calloc(n, sizeof(*k->threads));
    if (k->threads == NULL)
        return refuse(h, GMK_ALLOC_FAIL, "no memory for the worker threads");
    for (uint32_t w = 0; w < n; w++) {
        uint32_t cpu = k->cfg.flags & GMK_BOOT_PIN_WORKERS ? w : GMK_HAL_ANY_CPU;

        if (gmk_hal_cpu_start(&k->threads[w], cpu, loop, k->agents[w]) != 0)
            return refuse(h, GMK_E_CPU, "the machine refused a worker: lower cfg.n_workers");
        k->n_started++;
    }
    return GMK_OK;
}

/* Nobody is inside. A call that found the gate of an ended kernel shut may still be on
 * its way out, and sees by the other number that its step is gone. Nothing that stands
 * here is believed: the storage may be a stack's, with an ended kernel's magic still in it
 * and other words written over the rest. */
static void clear_gate(gmki_handle_t *h)
{
    uint64_t v = gmk_load_acq(&h->gate, GMK_DEV); /* sync: kernel.gate */

    while (!gmk_cas_ar(&h->gate, &v,
                       (v + GMKI_GATE_BOOT_ONE) & GMKI_GATE_BOOT, /* sync: kernel.gate */
                       GMK_DEV))
        continue;
}

int gmk_boot(gmk_kernel_t *handle, const gmk_boot_cfg_t *cfg, gmk_module_t **mods, uint32_t n_mods)
{
    gmki_handle_t *h = (gmki_handle_t *)handle;
    gmk_boot_cfg_t full = {.arena_size = 0};
    gmki_kernel_t *k;
    int rc;

    if (handle == NULL || (mods == NULL && n_mods != 0))
        return GMK_E_INVALID;
    h->k = NULL;
    gmk_store_rel(&h->magic, 0, GMK_DEV); /* sync: kernel.magic */
    clear_gate(h);
    h->error[0] = '\0';
    if (cfg != NULL)
        full = *cfg;
    if ((rc = check_cfg(h, &full)) != GMK_OK)
        return rc;
    k = gmk_hal_calloc(1, sizeof(*k));
    if (k == NULL)
        return refuse(h, GMK_ALLOC_FAIL, "no memory for the kernel");
    k->cfg = full;
    k->handle = handle;
    k->n_agents = full.n_workers + GMK_MAX_HOSTS + 1;
    gmk_hal_lock_init(&k->lock);
    gmk_hal_lock_init(&k->read_lock);
    gmk_hal_lock_init(&k->watch_lock);
    h->k = k;
    h->born = gmk_hal_now_ns();
    rc = guard_init(k, h);
    if (rc == GMK_OK)
        rc = core_init(k, h, mods, n_mods);
    if (rc == GMK_OK)
        gmk_store_rel(&h->magic, GMKI_MAGIC, GMK_DEV); /* sync: kernel.magic */
    /* Worker 0's agent acts for boot, then for its worker: the start orders the two. */
    if (rc == GMK_OK) {
        gmk_or_sc(&h->gate, GMKI_GATE_OPEN, GMK_DEV); /* sync: kernel.gate */
        rc = init_modules(k);
    }
    if (rc == GMK_OK) {
        gmki_trace(&k->agents[0]->obs, BOOT, NULL, full.n_workers, k->core.mods.n_mods);
        gmk_store_rel(&k->state, GMKI_RUNNING, GMK_DEV); /* sync: kernel.state */
        gmki_panic_watch(k);
        rc = start_workers(k, h);
    }
    if (rc != GMK_OK) {
        gmki_gate_shut(h);
        gmki_stop_workers(k);
        if (k->agents != NULL && k->agents[0] != NULL)
            gmki_mod_fini_all(k->agents[0], &k->core.mods);
        gmk_store_rel(&h->magic, 0, GMK_DEV); /* sync: kernel.magic */
        h->k = NULL;
        gmki_kernel_free(k);
    }
    return rc;
}

const char *gmk_boot_error(const gmk_kernel_t *handle)
{
    return handle != NULL ? ((const gmki_handle_t *)handle)->error : "";
}

const char *gmk_boot_warnings(const gmk_kernel_t *handle)
{
    const gmki_kernel_t *k = gmki_kernel(handle);

    return k != NULL ? k->core.mods.warnings.text : "";
}
