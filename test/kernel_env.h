/* SPDX-License-Identifier: MIT
 * What the tests of the scheduler, the workers and the kernel stand on: boot and halt
 * with their promises, waits on a predicate, threads, and a bare scheduler with one
 * agent and no kernel around it.
 * Floor: tests. Source: SPEC S.5. */
#ifndef TEST_KERNEL_ENV_H
#define TEST_KERNEL_ENV_H

#include "ggmk/ggmk.h"
#include "ggmk/hal.h"
#include "ggmk/test.h"
#include "kernel/kernel.h"

/* A test that waits this long has found a lost wake-up; nothing is measured by it. */
#define KIT_WAIT_NS 100000000000ull
#define KIT_HALT_NS 60000000000ull

/* Words shared by handlers and tests. --------------------------------------------- */

/* sync: test.kit */
GMK_FN uint32_t kit_add(gmk_a32_t *w, uint32_t n) { return gmk_add_sc(w, n, GMK_DEV); }
/* sync: test.kit */
GMK_FN uint32_t kit_get(gmk_a32_t *w) { return gmk_load_acq(w, GMK_DEV); }
/* sync: test.kit */
GMK_FN void kit_set(gmk_a32_t *w, uint32_t v) { gmk_store_rel(w, v, GMK_DEV); }
/* sync: test.kit */
GMK_FN uint32_t kit_or(gmk_a32_t *w, uint32_t v) { return gmk_or_sc(w, v, GMK_DEV); }

/* Waits until *w >= least. returns: false if that never comes. */
GMK_FN bool kit_until(gmk_a32_t *w, uint32_t least)
{
    uint64_t begin = gmk_hal_now_ns();

    while (kit_get(w) < least) {
        if (gmk_hal_now_ns() - begin > KIT_WAIT_NS)
            return false;
        gmk_hal_relax();
    }
    return true;
}

/* Waits until the metric of all workers is at least that. returns: false if that never comes. */
GMK_FN bool kit_until_metric(const gmk_kernel_t *k, uint32_t id, uint64_t least)
{
    uint64_t begin = gmk_hal_now_ns();

    while (gmk_metric_get(k, id) < least) {
        if (gmk_hal_now_ns() - begin > KIT_WAIT_NS)
            return false;
        gmk_hal_relax();
    }
    return true;
}

/* The same with a limit of looks, for waits inside handlers. */
GMK_FN bool kit_meet(gmk_a32_t *w, uint32_t least)
{
    uint64_t looks = gmk_test_scale(200000000, 2000000);

    while (kit_get(w) < least) {
        if (looks-- == 0)
            return false;
        gmk_hal_relax();
    }
    return true;
}

GMK_FN bool kit_same(const char *a, const char *b)
{
    while (*a == *b && *a != '\0') {
        a++;
        b++;
    }
    return *a == *b;
}

/* Kernels. -------------------------------------------------------------------------- */

GMK_FN bool kit_boot_mods(gmk_kernel_t *k, const gmk_boot_cfg_t *cfg, gmk_module_t **mods,
                          uint32_t n)
{
    int rc = gmk_boot(k, cfg, mods, n);

    if (rc != GMK_OK)
        gmk_test_print(gmk_boot_error(k));
    return gmk_test_assert_eq(rc, GMK_OK);
}

GMK_FN bool kit_boot(gmk_kernel_t *k, const gmk_boot_cfg_t *cfg, gmk_module_t *m)
{
    return kit_boot_mods(k, cfg, &m, 1);
}

/* Halts and checks what every halt promises. */
GMK_FN gmk_audit_report_t kit_halt(gmk_kernel_t *k)
{
    gmk_audit_report_t r = {.accepted = 0};
    int rc = gmk_halt_timeout(k, KIT_HALT_NS, &r);

    gmk_test_assert_eq(rc, GMK_OK);
    gmk_test_assert(r.balanced);
    gmk_test_assert_eq(r.payloads_live, 0);
    gmk_test_assert_eq(r.queued, 0);
    gmk_test_assert_str_eq(r.stuck, "");
    if (rc == GMK_E_TIMEOUT)
        gmk_test_print(r.stuck);
    return r;
}

GMK_FN bool kit_idle(gmk_kernel_t *k)
{
    return gmk_test_assert_eq(gmk_wait_idle(k, KIT_WAIT_NS), GMK_OK);
}

GMK_FN gmk_task_t kit_task(uint32_t type, uint32_t prio, uint64_t meta0)
{
    gmk_task_t t = {.type = type, .flags = (uint16_t)prio, .meta0 = meta0};
    return t;
}

/* Submits, as often as the queue is full. */
GMK_FN bool kit_submit(gmk_kernel_t *k, gmk_task_t t)
{
    int rc = gmk_submit(k, &t);

    while (rc == GMK_E_FULL) {
        gmk_hal_relax();
        rc = gmk_submit(k, &t);
    }
    return rc == GMK_OK || gmk_test_assert_eq(rc, GMK_OK);
}

/* Threads. -------------------------------------------------------------------------- */

#define KIT_THREADS 16u

typedef struct kit_thread {
    gmk_hal_thread_t thread;
    gmk_a32_t *go;
    uint32_t index;
    void *user;
} kit_thread_t;

GMK_FN void kit_start(kit_thread_t *t, uint32_t n, gmk_a32_t *go, void *(*fn)(void *), void *user)
{
    kit_set(go, 0);
    for (uint32_t i = 0; i < n; i++) {
        t[i].go = go;
        t[i].index = i;
        t[i].user = user;
        gmk_test_assert(gmk_hal_cpu_start(&t[i].thread, GMK_HAL_ANY_CPU, fn, &t[i]) == 0);
    }
    kit_set(go, 1);
}

GMK_FN void kit_join(kit_thread_t *t, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        gmk_test_assert(gmk_hal_thread_join(&t[i].thread) == 0);
}

/* A scheduler with one agent, worker 0, and nothing that runs. -------------------- */

typedef struct rig {
    gmk_sched_t s;
    gmk_alloc_t mem;
    gmki_agent_t a;
    gmki_trace_cfg_t tc;
    gmk_a64_t rows[GMKI_ROW_WORDS];
} rig_t;

GMK_FN bool rig_begin(rig_t *r, gmk_boot_cfg_t cfg)
{
    gmk_hal_memset(r, 0, sizeof(*r));
    cfg.n_workers = cfg.n_workers != 0 ? cfg.n_workers : 1;
    cfg.n_tenants = 1;
    if (!gmk_test_assert_eq(gmki_mem_init(&r->mem, cfg.arena_size ? cfg.arena_size : 1u << 20, 1),
                            GMK_OK) ||
        !gmk_test_assert_eq(gmki_sched_init(&r->s, &cfg, &r->mem), GMK_OK))
        return false;
    r->s.type_handler[1] = 0;
    r->a.sched = &r->s;
    r->a.wq = &r->s.wq[0];
    r->a.obs.rows = r->rows;
    r->a.obs.cfg = &r->tc;
    r->a.obs.module = GMKI_LEVEL_KERNEL;
    gmki_cache_setup(&r->a.cache, &r->mem, &r->a.obs);
    return true;
}

GMK_FN void rig_end(rig_t *r)
{
    gmki_sched_fini(&r->s);
    gmki_mem_fini(&r->mem);
}

GMK_FN uint64_t rig_metric(const rig_t *r, uint32_t id) { return gmk_count_get(&r->rows[id]); }

GMK_FN gmk_cell_t kit_cell(uint32_t prio, uint64_t meta0)
{
    gmk_cell_t c = {.sub = 0};

    c.task = kit_task(1, prio, meta0);
    return c;
}

#endif
