/* SPDX-License-Identifier: MIT
 * What the programs of our own task rows share, all of it through the public API: a kernel
 * whose handlers count per worker, as the peers do per thread; submission with back-off;
 * a boot that warms up, and a halt that checks the exact count and the books. Workers are
 * not pinned. BENCH_TRACE=off in the environment turns traces off, BENCH_WHO renames us. */
#ifndef BENCH_OURS_H
#define BENCH_OURS_H
#include "bench.h"
#include "ggmk/ggmk.h"

/* Rows that no peer has. */
#define ROW_OBS_CHAIN "obs-off-chain"
#define ROW_OBS_TREE "obs-off-tree"
#define ROW_SIZE_TASKS "size-tasks"
#define ROW_SIZE_CHANNELS "size-channels"
#define ROW_SIZE_WORKERS "size-workers"
#define ROW_MEMORY_RESIDENT "memory-resident"
#define ROW_MEMORY_MAPPED "memory-mapped"

enum { T_PLAIN = 1, T_CHAIN, T_TREE, T_OWN }; /* a program's own types: T_OWN and more */
enum { WARM_UP = 1000, BATCH = 32, LIMIT_S = 30 };

struct count {
    _Alignas(128) uint64_t n;
    uint64_t last_ns; /* when one of the last tasks of a burst ran here */
};
/* What the handlers reach by ctx->user. */
struct state {
    struct count ran[GMK_MAX_WORKERS];
    _Alignas(128) uint64_t started_at;
};
static struct state state;
static gmk_kernel_t kernel;

static void count(gmk_ctx_t *ctx)
{
    struct state *s = (struct state *)ctx->user;
    uint64_t *n = &s->ran[ctx->worker_id].n;

    __atomic_store_n(n, *n + 1, __ATOMIC_RELAXED);
}

static gmk_task_t task(uint32_t type, uint64_t arg)
{
    gmk_task_t t = {.type = type, .flags = GMK_SET_PRIORITY(0, GMK_PRIO_NORMAL), .meta0 = arg};

    return t;
}

GMK_HANDLER(on_chain)
{
    count(ctx);
    if (ctx->task->meta0 > 1) {
        gmk_task_t t = task(T_CHAIN, ctx->task->meta0 - 1);
        return gmk_emit(ctx, &t) == GMK_OK ? GMK_OK : GMK_FAIL(1);
    }
    return GMK_OK;
}

GMK_HANDLER(on_tree)
{
    count(ctx);
    if (ctx->task->meta0 > 0) {
        gmk_task_t t = task(T_TREE, ctx->task->meta0 - 1);
        if (gmk_emit(ctx, &t) != GMK_OK || gmk_emit(ctx, &t) != GMK_OK)
            return GMK_FAIL(1);
    }
    return GMK_OK;
}

static uint64_t ran(void)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < GMK_MAX_WORKERS; i++)
        n += __atomic_load_n(&state.ran[i].n, __ATOMIC_RELAXED);
    return n;
}

static void wait_ran(uint64_t total)
{
    uint64_t end = now_ns() + LIMIT_S * 1000000000ull;

    while (ran() < total) {
        must(now_ns() < end, "tasks lost: the count was not reached");
        usleep(20);
    }
}

static void wait_idle(void)
{
    must(gmk_wait_idle(&kernel, LIMIT_S * 1000000000ull) == GMK_OK, "wait_idle");
}

static void submit(uint32_t type, uint64_t arg)
{
    gmk_task_t t = task(type, arg);
    int rc;

    while ((rc = gmk_submit(&kernel, &t)) == GMK_E_FULL)
        sched_yield();
    must(rc == GMK_OK, "gmk_submit");
}

/* Tasks of one type, with arguments from total - 1 down to 0, 32 a call. */
static void submit_all(uint32_t type, uint32_t total)
{
    gmk_task_t t[BATCH];

    for (uint32_t i = 0; i < total;) {
        uint32_t n = total - i < BATCH ? total - i : BATCH;
        for (uint32_t k = 0; k < n; k++)
            t[k] = task(type, total - 1 - i - k);
        for (uint32_t d = 0; d < n;) {
            int k = gmk_submit_batch(&kernel, t + d, n - d);
            must(k >= 0 || k == GMK_E_FULL, "gmk_submit_batch");
            if (k > 0)
                d += (uint32_t)k;
            else
                sched_yield();
        }
        i += n;
    }
}

/* One of mods must have a handler of T_PLAIN and &state for its user pointer. */
static void boot_modules(uint32_t workers, gmk_module_t **mods, uint32_t n_mods)
{
    gmk_boot_cfg_t cfg = {.arena_size = 256u << 20, .n_workers = workers, .n_tenants = 1};
    const char *trace = getenv("BENCH_TRACE");
    int rc;

    cfg.flags = GMK_BOOT_NO_LINKED_MODULES;
    memset(&state, 0, sizeof state);
    rc = gmk_boot(&kernel, &cfg, mods, n_mods);
    if (rc != GMK_OK)
        fprintf(stderr, "gmk_boot: %s: %s\n", gmk_strerror(rc), gmk_boot_error(&kernel));
    must(rc == GMK_OK, "boot");
    if (trace && strcmp(trace, "off") == 0)
        must(gmk_trace_set_level(&kernel, NULL, GMK_TRACE_OFF) == GMK_OK, "trace level");
    for (uint32_t i = 0; i < WARM_UP; i++)
        submit(T_PLAIN, WARM_UP + i);
    wait_ran(WARM_UP);
    wait_idle();
    usleep(20000); /* the workers are parked */
    memset(state.ran, 0, sizeof state.ran);
}

static void halt(uint64_t total)
{
    gmk_audit_report_t r;

    wait_idle();
    must(ran() == total, "task count: tasks lost or doubled");
    must(gmk_halt_timeout(&kernel, LIMIT_S * 1000000000ull, &r) == GMK_OK, "halt");
    must(r.balanced && r.failed == 0 && r.dead == 0, "the books do not balance");
}

static inline const char *who(void)
{
    const char *w = getenv("BENCH_WHO");

    return w ? w : "GGMK";
}
#endif
