/* SPDX-License-Identifier: MIT
 * The task rows through the public API: gmk_boot, gmk_submit, gmk_submit_batch, gmk_emit.
 * Every row ends with the exact count, then gmk_wait_idle and a halt whose books balance.
 * Beside the row rtt stands what the machine charges for three transfers of a line between
 * its cores, which bounds it, measured in the same run. The obs rows are the chain and the
 * tree again, median of 5 in one kernel: what turning observability off gains is little, so
 * that they are measured more exactly. */
#include "ours.h"
#include "line.h"

enum { T_STAMP = T_OWN, T_RTT };
enum { OBS_TIMES = 5 };

GMK_HANDLER(on_plain)
{
    count(ctx);
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

static void boot(uint32_t workers) { boot_modules(workers, modules, 1); }

static void submit_singles(uint32_t total)
{
    for (uint32_t i = 0; i < total; i++)
        submit(T_PLAIN, i);
}

static void submit_batches(uint32_t total) { submit_all(T_PLAIN, total); }

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

static void obs_row(const char *name, uint32_t total, void (*start)(uint32_t))
{
    uint64_t ns[OBS_TIMES];

    if (!bench_wants(name))
        return;
    boot(2);
    for (uint32_t i = 0; i < OBS_TIMES; i++) {
        uint64_t t0 = now_ns();
        start(total);
        wait_ran((i + 1) * (uint64_t)total);
        ns[i] = now_ns() - t0;
        wait_idle();
    }
    halt(OBS_TIMES * (uint64_t)total);
    result(name, who(), m_per_s(total, percentile(ns, OBS_TIMES, .5)), "M tasks/s");
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
    obs_row(ROW_OBS_CHAIN, BENCH_TASKS, start_chain);
    obs_row(ROW_OBS_TREE, BENCH_TREE_TASKS, start_tree);
    return 0;
}
