/* SPDX-License-Identifier: MIT
 * The task rows through the public API: gmk_boot, gmk_submit, gmk_submit_batch, gmk_emit.
 * The handlers count per worker, as the peers do per thread; every row ends with the
 * exact count, then gmk_wait_idle and a halt whose books balance. Workers are not pinned.
 * Beside the row rtt stands what the machine charges for three transfers of a line between
 * its cores, which bounds it, measured in the same run. */
#include "bench.h"
#include "ggmk/ggmk.h"
#include "line.h"

enum { T_PLAIN = 1, T_CHAIN, T_TREE, T_STAMP, T_RTT };
enum { WARM_UP = 1000, BATCH = 32, LIMIT_S = 30 };

struct count {
    _Alignas(128) uint64_t n;
};
/* What the handlers reach by ctx->user. */
struct state {
    struct count ran[GMK_MAX_WORKERS];
    _Alignas(128) uint64_t started_at; /* or ended, in the row rtt */
};
static struct state state;

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

GMK_HANDLER(on_plain)
{
    count(ctx);
    return GMK_OK;
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

GMK_HANDLER(on_stamp)
{
    struct state *s = (struct state *)ctx->user;

    __atomic_store_n(&s->started_at, now_ns(), __ATOMIC_RELEASE);
    return GMK_OK;
}

/* To the other worker, as often as meta0 says. */
GMK_HANDLER(on_rtt)
{
    count(ctx);
    if (ctx->task->meta0 > 1) {
        gmk_task_t t = task(T_RTT, ctx->task->meta0 - 1);
        return gmk_emit_to(ctx, &t, 1 - ctx->worker_id) == GMK_OK ? GMK_OK : GMK_FAIL(1);
    }
    __atomic_store_n(&((struct state *)ctx->user)->started_at, now_ns(), __ATOMIC_RELEASE);
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {
    {.type = T_PLAIN, .fn = on_plain, .name = "plain"},
    {.type = T_CHAIN, .fn = on_chain, .name = "chain"},
    {.type = T_TREE, .fn = on_tree, .name = "tree"},
    {.type = T_STAMP, .fn = on_stamp, .name = "stamp"},
    {.type = T_RTT, .fn = on_rtt, .name = "rtt"},
};
static gmk_module_t module = {
    .name = "bench", .handlers = handlers, .n_handlers = 5, .user = &state};
static gmk_module_t *modules[] = {&module};

static gmk_kernel_t kernel;

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

static void submit(uint32_t type, uint64_t arg)
{
    gmk_task_t t = task(type, arg);
    int rc;

    while ((rc = gmk_submit(&kernel, &t)) == GMK_E_FULL)
        sched_yield();
    must(rc == GMK_OK, "gmk_submit");
}

static void submit_batches(uint32_t total)
{
    gmk_task_t t[BATCH];

    for (uint32_t i = 0; i < total;) {
        uint32_t n = total - i < BATCH ? total - i : BATCH;
        for (uint32_t k = 0; k < n; k++)
            t[k] = task(T_PLAIN, i + k);
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

static void boot(uint32_t workers)
{
    gmk_boot_cfg_t cfg = {.arena_size = 256u << 20, .n_workers = workers, .n_tenants = 1};
    int rc;

    cfg.flags = GMK_BOOT_NO_LINKED_MODULES;
    memset(&state, 0, sizeof state);
    rc = gmk_boot(&kernel, &cfg, modules, 1);
    if (rc != GMK_OK)
        fprintf(stderr, "gmk_boot: %s: %s\n", gmk_strerror(rc), gmk_boot_error(&kernel));
    must(rc == GMK_OK, "boot");
    for (uint32_t i = 0; i < WARM_UP; i++)
        submit(T_PLAIN, i);
    wait_ran(WARM_UP);
    must(gmk_wait_idle(&kernel, LIMIT_S * 1000000000ull) == GMK_OK, "wait_idle");
    usleep(20000); /* the workers are parked */
    memset(state.ran, 0, sizeof state.ran);
}

static void halt(uint64_t total)
{
    gmk_audit_report_t r;

    must(gmk_wait_idle(&kernel, LIMIT_S * 1000000000ull) == GMK_OK, "wait_idle");
    must(ran() == total, "task count: tasks lost or doubled");
    must(gmk_halt_timeout(&kernel, LIMIT_S * 1000000000ull, &r) == GMK_OK, "halt");
    must(r.balanced && r.failed == 0 && r.dead == 0, "the books do not balance");
}

static void submit_singles(uint32_t total)
{
    for (uint32_t i = 0; i < total; i++)
        submit(T_PLAIN, i);
}

static void start_chain(uint32_t total) { submit(T_CHAIN, total); }

static void start_tree(uint32_t total)
{
    (void)total;
    submit(T_TREE, BENCH_TREE_DEPTH);
}

static void row(const char *name, uint32_t workers, uint32_t total, void (*start)(uint32_t))
{
    uint64_t t0, dt;

    if (!bench_wants(name))
        return;
    boot(workers);
    t0 = now_ns();
    start(total);
    wait_ran(total);
    dt = now_ns() - t0;
    halt(total);
    result(name, "GGMK", m_per_s(total, dt), "M tasks/s");
}

static void start_row(void)
{
    static uint64_t lat[BENCH_STARTS];

    if (!bench_wants(ROW_START))
        return;
    boot(2);
    for (int i = 0; i < BENCH_STARTS; i++) {
        struct timespec idle = {0, BENCH_IDLE_NS};
        uint64_t t0, at;
        nanosleep(&idle, NULL);
        __atomic_store_n(&state.started_at, 0, __ATOMIC_RELAXED);
        t0 = now_ns();
        submit(T_STAMP, 0);
        while ((at = __atomic_load_n(&state.started_at, __ATOMIC_ACQUIRE)) == 0)
            sched_yield();
        lat[i] = at - t0;
    }
    halt(0);
    result(ROW_START, "GGMK", (double)percentile(lat, BENCH_STARTS, .5), "ns");
}

/* Beside it what the machine charges for three transfers of a line, measured just before. */
static void rtt_row(void)
{
    gmk_task_t t = task(T_RTT, 2 * BENCH_TRIPS);
    double cas, plain;
    uint64_t dt, at;

    if (!bench_wants(ROW_RTT))
        return;
    cas = line_cas_ns();
    plain = line_plain_ns();
    boot(2);
    dt = now_ns();
    must(gmk_submit_to(&kernel, &t, 0) == GMK_OK, "gmk_submit_to");
    while ((at = __atomic_load_n(&state.started_at, __ATOMIC_ACQUIRE)) == 0) {
        must(now_ns() - dt < LIMIT_S * 1000000000ull, "the message was lost");
        usleep(1000); /* the workers have both processors */
    }
    dt = at - dt;
    halt(2 * BENCH_TRIPS);
    result(ROW_RTT, "GGMK", (double)dt / BENCH_TRIPS, "ns");
    result(ROW_RTT, "3 line transfers (CAS)", 3 * cas, "ns");
    result(ROW_RTT, "3 line transfers (load and store)", 3 * plain, "ns");
}

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    row(ROW_SUBMIT, 2, BENCH_TASKS, submit_singles);
    row(ROW_SUBMIT_BATCH, 2, BENCH_TASKS, submit_batches);
    row(ROW_CHAIN, 2, BENCH_TASKS, start_chain);
    row(ROW_TREE2, 2, BENCH_TREE_TASKS, start_tree);
    row(ROW_TREE1, 1, BENCH_TREE_TASKS, start_tree);
    start_row();
    rtt_row();
    return 0;
}
