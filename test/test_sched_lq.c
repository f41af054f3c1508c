/* SPDX-License-Identifier: MIT
 * Local queues: watermark, orders, overflow and spill, ageing, trees, stealing, bound
 * tasks.
 * Floor: tests. Source: SPEC SC-3, SC-4, SC-8, SC-11, SC-12, ACC-2, ACC-8, ACC-28;
 * ARCHITECTURE R3, R19; PEERS.md "Failures seen". */
#include "kernel_env.h"

static rig_t rig;
static gmk_kernel_t kernel;

static int spawn(uint32_t prio, uint64_t n)
{
    gmk_task_t t = kit_task(1, prio, n);

    return gmki_spawn_again(&rig.a, &t) ? (int)GMK_OK : gmki_spawn(&rig.a, &t);
}

static uint32_t queued(const gmki_queue_t *q) { return gmk_mpmc_count(&q->ring, GMK_DEV); }

/* Watermark, overflow, spill: on a bare scheduler. -------------------------------- */

/* SC-3, SC-4, EQ-3. */
GMK_TEST(sched_lq_spawn_stops_at_watermark_and_goes_to_ready_queue)
{
    gmki_wq_t *q;

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.lq_slots = 16, .rq_slots = 4}));
    q = rig.a.wq;
    for (uint32_t i = 0; i < 12; i++) {
        gmk_test_assert_eq(spawn(GMK_PRIO_NORMAL, i), GMK_OK);
        gmk_test_assert_eq(gmki_local_count(q), i + 1);
    }
    gmk_test_assert_eq(spawn(GMK_PRIO_NORMAL, 12), GMK_OK);
    gmk_test_assert_eq(gmki_local_count(q), 12);
    gmk_test_assert_eq(queued(&rig.s.rq[GMK_PRIO_NORMAL]), 1);
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TASKS_ACCEPTED), 13);
    rig_end(&rig);
}

/* SC-4, EQ-6, ACC-8. */
GMK_TEST(sched_lq_yields_fill_the_reserve_then_overflow)
{
    gmk_cell_t c = kit_cell(GMK_PRIO_LOW, 0);
    gmki_wq_t *q;

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.lq_slots = 16, .overflow_slots = 4}));
    q = rig.a.wq;
    for (uint32_t i = 0; i < 12; i++)
        gmk_test_assert_eq(spawn(0, i), GMK_OK);
    for (uint32_t i = 0; i < 4; i++)
        gmk_test_assert(gmki_place_yield(&rig.a, &c));
    gmk_test_assert_eq(gmki_local_count(q), 16);
    gmk_test_assert_eq(gmk_lq_count(&q->fifo), 4);
    gmk_test_assert(gmki_place_yield(&rig.a, &c));
    gmk_test_assert_eq(gmki_local_count(q), 16);
    gmk_test_assert_eq(queued(&rig.s.overflow), 1);
    gmk_test_assert_eq(queued(&rig.s.rq[GMK_PRIO_LOW]), 0);
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TASKS_OVERFLOWED), 1);
    rig_end(&rig);
}

/* A spawn that is alike the last one takes a short way, which must know each thing that the long
 * one looks at: the priority of the parent, the task's own head, the watermark. */
GMK_TEST(sched_lq_alike_spawns_are_checked_anew_when_something_changes)
{
    gmk_task_t t = kit_task(1, GMK_PRIO_LOW, 0);

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.lq_slots = 16, .rq_slots = 16}));
    gmki_set_priority(&rig.a, GMK_PRIO_NORMAL);
    gmk_test_assert(!gmki_spawn_again(&rig.a, &t)); /* nothing is known yet */
    gmk_test_assert_eq(gmki_spawn(&rig.a, &t), GMK_OK);
    gmk_test_assert(gmki_spawn_again(&rig.a, &t));
    gmk_test_assert_eq(gmki_local_count(rig.a.wq), 2);
    t.flags |= GMK_TF_IDEMPOTENT;
    gmk_test_assert(!gmki_spawn_again(&rig.a, &t));
    t.flags &= (uint16_t)~GMK_TF_IDEMPOTENT;
    t.tenant = 1;
    gmk_test_assert(!gmki_spawn_again(&rig.a, &t));
    t.tenant = 0;
    gmk_test_assert(gmki_spawn_again(&rig.a, &t));
    gmki_set_priority(&rig.a, GMK_N_PRIO); /* every spawn is more urgent than no parent */
    gmk_test_assert(!gmki_spawn_again(&rig.a, &t));
    gmk_test_assert_eq(gmki_spawn(&rig.a, &t), GMK_OK);
    gmk_test_assert_eq(queued(&rig.s.rq[GMK_PRIO_LOW]), 1);
    gmk_test_assert(!gmki_spawn_again(&rig.a, &t));
    gmki_set_priority(&rig.a, GMK_PRIO_LOW);
    for (uint32_t i = 0; i < 9; i++)
        gmk_test_assert_eq(spawn(GMK_PRIO_LOW, i), GMK_OK);
    gmk_test_assert_eq(gmki_local_count(rig.a.wq), 12);
    gmk_test_assert(!gmki_spawn_again(&rig.a, &t));
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TASKS_ACCEPTED), 13);
    rig_end(&rig);
}

/* Runtime flags are not the caller's: they never get by on the short way. */
GMK_TEST(sched_lq_alike_spawns_keep_no_runtime_flag)
{
    gmk_task_t t = kit_task(1, GMK_PRIO_LOW, 0);
    gmki_wq_t *q;

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.lq_slots = 16}));
    q = rig.a.wq;
    gmki_set_priority(&rig.a, GMK_PRIO_LOW);
    t.flags |= GMK_TF_ACTIVATION | GMK_TF_CHANNEL_MSG;
    for (uint32_t i = 0; i < 3; i++) {
        gmk_test_assert(!gmki_spawn_again(&rig.a, &t));
        gmk_test_assert_eq(gmki_spawn(&rig.a, &t), GMK_OK);
    }
    for (uint32_t p = q->stack.oldest; p != q->stack.newest; p++)
        gmk_test_assert_eq(gmk_lq_at(&q->stack, p)->task.flags, GMK_PRIO_LOW);
    rig_end(&rig);
}

GMK_TEST(sched_lq_more_urgent_spawn_goes_to_ready_queue)
{
    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.lq_slots = 16}));
    gmki_set_priority(&rig.a, GMK_PRIO_NORMAL);
    gmk_test_assert_eq(spawn(GMK_PRIO_HIGH, 1), GMK_OK);
    gmk_test_assert_eq(queued(&rig.s.rq[GMK_PRIO_HIGH]), 1);
    gmk_test_assert_eq(spawn(GMK_PRIO_NORMAL, 2), GMK_OK);
    gmk_test_assert_eq(spawn(GMK_PRIO_LOW, 3), GMK_OK);
    gmk_test_assert_eq(gmki_local_count(rig.a.wq), 2);
    rig_end(&rig);
}

GMK_TEST(sched_lq_spills_to_arena_when_all_is_full_and_comes_back)
{
    gmk_boot_cfg_t cfg = {.lq_slots = 8, .rq_slots = 2, .overflow_slots = 2};
    gmk_alloc_stats_t st;
    gmk_cell_t c = {.sub = 0};
    uint64_t seen = 0;
    uint32_t n = 0;
    gmki_wq_t *q;

    GMK_REQUIRE(rig_begin(&rig, cfg));
    q = rig.a.wq;
    for (uint32_t i = 0; i < 60; i++)
        gmk_test_assert_eq(spawn(GMK_PRIO_LOW, i), GMK_OK);
    gmk_test_assert_eq(gmki_local_count(q), 6);
    gmk_test_assert_eq(queued(&rig.s.rq[GMK_PRIO_LOW]), 2);
    gmk_test_assert_eq(queued(&rig.s.overflow), 2);
    gmk_test_assert_eq(q->spill.count, 50);
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TASKS_SPILLED), 50);
    while (gmk_lq_pop_oldest(&q->stack, &c) || gmk_lq_pop_oldest(&q->fifo, &c) ||
           gmki_gather(&rig.a, 4) != 0) {
        if (c.task.type != 1)
            continue;
        seen |= 1ull << c.task.meta0;
        n++;
        c.task.type = 0; /* gather leaves it alone */
    }
    gmk_test_assert_eq(n, 60);
    gmk_test_assert_eq(seen, (1ull << 60) - 1);
    gmk_test_assert_eq(q->spill.count, 0);
    gmk_test_assert_eq(gmki_mem_stats(&rig.mem, GMK_ALLOC_BLOCK, &st), GMK_OK);
    gmk_test_assert_eq(st.n_allocs, st.n_frees);
    rig_end(&rig);
}

GMK_TEST(sched_lq_spill_is_first_in_first_out_over_blocks)
{
    gmk_cell_t c = {.sub = 0};

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.lq_slots = 8}));
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 200; i++) {
            c = kit_cell(0, i);
            gmk_test_assert(gmki_spill_put(&rig.a, &c));
        }
        for (uint32_t i = 0; i < 200; i++) {
            GMK_REQUIRE(gmki_spill_take(&rig.a, &c));
            gmk_test_assert_eq(c.task.meta0, i);
        }
        gmk_test_assert(!gmki_spill_take(&rig.a, &c));
    }
    rig_end(&rig);
}

/* AL-7. Only when memory is spent the caller hears of it, and then nothing is half done. */
GMK_TEST(sched_lq_spawn_alloc_fail_only_when_memory_is_spent)
{
    gmk_boot_cfg_t cfg = {
        .lq_slots = 8, .rq_slots = 2, .overflow_slots = 2, .arena_size = 256 << 10};
    uint32_t n = 0;
    gmk_cell_t c = {.sub = 0};
    uint32_t count;

    GMK_REQUIRE(rig_begin(&rig, cfg));
    while (spawn(0, n) == GMK_OK)
        n++;
    gmk_test_assert_eq(spawn(0, n), GMK_ALLOC_FAIL);
    gmk_test_assert(gmki_alloc(&rig.a.cache, 4096) == NULL);
    gmk_test_assert_gt(n, 200);
    count = rig.a.wq->spill.count;
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TASKS_ACCEPTED), n);
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TASKS_SPILLED), count);
    gmk_test_assert_eq(count + 6 + 2 + 2, n);
    gmk_test_assert_gt(rig_metric(&rig, GMK_METRIC_ALLOC_FAILS), 0);
    for (uint32_t i = 0; i < 200; i++)
        gmk_test_assert(gmki_spill_take(&rig.a, &c));
    for (uint32_t i = 0; i < 100; i++)
        gmk_test_assert_eq(spawn(0, n + i), GMK_OK);
    gmk_test_assert_eq(rig.a.wq->spill.count, count - 100);
    rig_end(&rig);
}

GMK_TEST(sched_lq_share_moves_half_of_the_oldest)
{
    gmk_cell_t c = {.sub = 0};
    gmki_wq_t *q;

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.lq_slots = 32, .n_workers = 2}));
    q = rig.a.wq;
    for (uint32_t i = 0; i < 10; i++) {
        c = kit_cell(0, i);
        gmk_test_assert(gmk_lq_push_newest(&q->stack, &c));
    }
    gmki_share(&rig.a, 2);
    gmk_test_assert_eq(queued(&q->shared), 5);
    gmk_test_assert_eq(gmk_lq_count(&q->stack), 5);
    gmki_share(&rig.a, 2); /* there is something to steal already */
    gmk_test_assert_eq(queued(&q->shared), 5);
    for (uint32_t i = 0; i < 5; i++) {
        GMK_REQUIRE(gmk_cells_pop(&q->shared.ring, q->shared.cells, &c, 1, GMK_DEV) == 1);
        gmk_test_assert_eq(c.task.meta0, i);
    }
    rig_end(&rig);
}

/* Fills the stack with what was stolen, beyond the watermark, and counts that as a look. */
static void fill_stack(gmki_wq_t *q, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        gmk_cell_t c = kit_cell(GMK_PRIO_NORMAL, i);

        gmk_test_assert(gmk_lq_push_newest(&q->stack, &c));
    }
    gmki_spawn_bound(&rig.a);
}

/* A place below the newest, from which spawns went on unseen, was one above the watermark. */
GMK_TEST(sched_lq_spawns_into_a_queue_above_the_watermark_stop_at_it)
{
    gmki_wq_t *q;

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.lq_slots = 8, .n_workers = 2}));
    q = rig.a.wq;
    gmk_test_assert_eq(spawn(GMK_PRIO_NORMAL, 0), GMK_OK); /* those to come are like this one */
    gmk_test_assert(gmk_lq_take_newest(&q->stack) != NULL);
    fill_stack(q, 8);
    for (uint32_t i = 0; i < 3; i++) {
        gmk_test_assert(gmk_lq_take_newest(&q->stack) != NULL);
        gmki_spawn_nearer(q);
    }
    for (uint32_t i = 0; i < 4; i++)
        gmk_test_assert_eq(spawn(GMK_PRIO_NORMAL, i), GMK_OK);
    gmk_test_assert_eq(gmk_lq_count(&q->stack), 6);
    gmk_test_assert_eq(queued(&rig.s.rq[GMK_PRIO_NORMAL]), 3);
    rig_end(&rig);
}

/* "a task that comes back behind the oldest is overwritten by the newest, which runs twice". */
GMK_TEST(sched_lq_task_put_back_behind_the_oldest_takes_a_place_from_spawns)
{
    gmk_cell_t back = kit_cell(GMK_PRIO_NORMAL, 77);
    gmk_cell_t yielded = back;
    const gmk_cell_t *c;
    gmki_wq_t *q;

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.lq_slots = 8, .n_workers = 2}));
    q = rig.a.wq;
    gmk_test_assert_eq(spawn(GMK_PRIO_NORMAL, 0), GMK_OK);
    fill_stack(q, 4); /* 5: one more, unseen */
    yielded.task.yield_count = 1;
    gmk_test_assert(!gmki_put_oldest(q, &yielded));
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert(gmki_put_oldest(q, &back));
    gmk_test_assert(!gmki_put_oldest(q, &back));
    gmk_test_assert_eq(spawn(GMK_PRIO_NORMAL, 1), GMK_OK);
    gmk_test_assert_eq(gmk_lq_count(&q->stack), 8);
    for (uint32_t i = 0; i < 3; i++) {
        c = gmk_lq_take_oldest(&q->stack);
        GMK_REQUIRE(c != NULL);
        gmk_test_assert_eq(c->task.meta0, 77);
    }
    rig_end(&rig);
}

/* In a kernel. -------------------------------------------------------------------- */

enum { ROOT = 1, LEAF, YIELDER, RESPAWN, LATE, TREE, MEET, BOUND, BOUND_ROOT, MANY, KEEP, SPLIT };
#define ORDER 64u
#define LEAVES 200u
#define BOUND_MAX 4096u

typedef struct load {
    gmk_a32_t entered, open, stop, runs, done, mask, wrong, arrived;
    gmk_a32_t late_at; /* value of runs when the late task ran, plus 1 */
    gmk_a32_t due;     /* runs since the late task was due */
    gmk_a64_t due_ns;
    uint64_t call_ns; /* a yielder's call takes so long */
    gmk_a32_t order[ORDER];
    gmk_a32_t seen[BOUND_MAX];
} load_t;

static load_t load;

static int mark(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    uint32_t n = kit_add(&l->runs, 1);

    if (n < ORDER)
        kit_set(&l->order[n], (uint32_t)ctx->task->meta0);
    return GMK_OK;
}

/* meta0: handler of the children, meta1: how many. */
static int on_root(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    for (uint64_t i = 0; i < ctx->task->meta1; i++) {
        gmk_task_t t = kit_task((uint32_t)ctx->task->meta0, GMK_PRIORITY(ctx->task->flags), i);

        if (gmk_emit(ctx, &t) != GMK_OK)
            kit_add(&l->wrong, 1);
    }
    return GMK_OK;
}

static int on_yielder(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    uint64_t begin = gmk_hal_now_ns();

    while (gmk_hal_now_ns() - begin < l->call_ns)
        ;

    if (ctx->task->yield_count == 10) {
        kit_add(&l->done, 1);
        return mark(ctx);
    }
    gmk_yield(ctx);
    return ctx->task->yield_count == 0 ? mark(ctx) : GMK_OK;
}

static int on_respawn(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    gmk_task_t t = *ctx->task;
    uint64_t due = gmk_load_acq(&l->due_ns, GMK_DEV); /* sync: test.kit */

    kit_add(&l->runs, 1);
    if (due != 0 && gmk_hal_now_ns() >= due)
        kit_add(&l->due, 1);
    if (kit_get(&l->stop) == 0 && gmk_emit(ctx, &t) != GMK_OK)
        kit_add(&l->wrong, 1);
    return GMK_OK;
}

static int on_late(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    kit_set(&l->late_at, kit_get(&l->runs) + 1);
    kit_set(&l->stop, 1);
    return GMK_OK;
}

/* meta0: levels below this node. */
static int on_tree(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    gmk_task_t t = kit_task(TREE, GMK_PRIO_NORMAL, ctx->task->meta0 - 1);

    kit_add(&l->runs, 1);
    if (ctx->task->meta0 == 0)
        return GMK_OK;
    if (gmk_emit(ctx, &t) != GMK_OK || gmk_emit(ctx, &t) != GMK_OK)
        kit_add(&l->wrong, 1);
    return GMK_OK;
}

/* Waits in a handler until all workers of the mask in order[0] have come. */
static int on_meet(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    uint64_t looks = gmk_test_scale(200000000, 2000000);

    kit_or(&l->mask, 1u << ctx->worker_id);
    kit_add(&l->runs, 1);
    while (kit_get(&l->mask) != kit_get(&l->order[0]) && kit_get(&l->wrong) == 0) {
        gmk_hal_relax();
        if (looks-- == 0)
            kit_add(&l->wrong, 1);
    }
    return GMK_OK;
}

/* meta0: where it must run, meta1: its number. Yields once, retries once. */
static int on_bound(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    if (ctx->worker_id != ctx->task->meta0)
        kit_add(&l->wrong, 1);
    if (gmk_retries(ctx) == 0)
        return GMK_RETRY;
    if (ctx->task->yield_count == 0) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    kit_add(&l->seen[ctx->task->meta1], 1);
    kit_add(&l->runs, 1);
    return GMK_OK;
}

static int on_bound_root(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    uint32_t n = gmk_worker_count(ctx->kernel);

    for (uint32_t i = 0; i < LEAVES; i++) {
        gmk_task_t t = kit_task(BOUND, GMK_PRIO_NORMAL, i % n);

        t.meta1 = i;
        if (gmk_emit_to(ctx, &t, i % n) != GMK_OK)
            kit_add(&l->wrong, 1);
    }
    return GMK_OK;
}

/* Two long tasks that need each other: the 2n-th waits for the 2n+1-th. */
static int on_pair(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    uint32_t n = kit_add(&l->arrived, 1) + 1;
    uint64_t begin = gmk_hal_now_ns();

    if (!kit_meet(&l->arrived, n + (n & 1)))
        kit_add(&l->wrong, 1);
    while (gmk_hal_now_ns() - begin < 5 * GMK_BATCH_TARGET_NS)
        gmk_hal_relax();
    kit_or(&l->mask, 1u << ctx->worker_id);
    return GMK_OK;
}

/* A spawn that is offered to nobody, as when all are busy. */
static void keep(gmki_agent_t *a, uint32_t type)
{
    gmk_task_t t = kit_task(type, GMK_PRIO_NORMAL, 0);

    gmki_stamp(a, gmk_lq_at(&a->wq->stack, a->wq->stack.newest), &t);
    a->wq->stack.newest++;
    gmki_accept(a, t.tenant, 1);
}

/* Leaves short tasks of its own above a long one that spawns. */
static int on_keep(gmk_ctx_t *ctx)
{
    gmk_task_t t = kit_task(LEAF, GMK_PRIO_NORMAL, 0);

    if (gmk_emit(ctx, &t) != GMK_OK) /* the next ones are alike */
        kit_add(&((load_t *)ctx->user)->wrong, 1);
    keep(ctx->agent, SPLIT);
    for (uint32_t i = 0; i < 12; i++)
        keep(ctx->agent, LEAF);
    gmki_spawn_bound(ctx->agent);
    return GMK_OK;
}

/* Spawns some while another worker is idle, and waits until one of them has run. */
static int on_split(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    uint64_t looks = gmk_test_scale(2000000, 200000);
    gmk_task_t t = kit_task(LEAF, GMK_PRIO_NORMAL, 0);
    uint32_t runs;

    while (gmk_load_sc(&ctx->agent->sched->idle, GMK_DEV) == 0) /* sync: sched.idle */
        gmk_hal_relax();
    runs = kit_get(&l->runs);
    for (uint32_t i = 0; i < 16; i++)
        if (gmk_emit(ctx, &t) != GMK_OK)
            kit_add(&l->wrong, 1);
    while (kit_get(&l->runs) == runs && looks-- != 0)
        gmk_hal_relax();
    kit_add(&l->arrived, kit_get(&l->runs) != runs);
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {
    {.type = ROOT, .fn = on_root},       {.type = LEAF, .fn = mark},
    {.type = YIELDER, .fn = on_yielder}, {.type = RESPAWN, .fn = on_respawn},
    {.type = LATE, .fn = on_late},       {.type = TREE, .fn = on_tree},
    {.type = MEET, .fn = on_meet},       {.type = BOUND, .fn = on_bound},
    {.type = MANY, .fn = on_pair},       {.type = BOUND_ROOT, .fn = on_bound_root},
    {.type = KEEP, .fn = on_keep},       {.type = SPLIT, .fn = on_split},
};
static gmk_module_t module = {
    .name = "lq", .handlers = handlers, .n_handlers = GMK_ARRAY_LEN(handlers), .user = &load};

static bool begin(const gmk_boot_cfg_t *cfg)
{
    gmk_hal_memset(&load, 0, sizeof(load));
    return kit_boot(&kernel, cfg, &module);
}

static gmk_task_t root(uint32_t child, uint64_t n)
{
    gmk_task_t t = kit_task(ROOT, GMK_PRIO_NORMAL, child);

    t.meta1 = n;
    return t;
}

GMK_TEST(sched_lq_spawns_of_one_worker_run_newest_first)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, root(LEAF, 20));
    kit_idle(&kernel);
    for (uint32_t i = 0; i < 20; i++)
        gmk_test_assert_eq(kit_get(&load.order[i]), 19 - i);
    kit_halt(&kernel);
}

static void yields_in_order(uint64_t call_ns)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    uint32_t n = 8;

    GMK_REQUIRE(begin(&cfg));
    load.call_ns = call_ns;
    kit_submit(&kernel, root(YIELDER, 1)); /* from here on a batch suits such calls */
    kit_idle(&kernel);
    kit_set(&load.runs, 0);
    kit_submit(&kernel, root(YIELDER, n));
    kit_idle(&kernel);
    for (uint32_t i = 0; i < n; i++) {
        gmk_test_assert_eq(kit_get(&load.order[i]), n - 1 - i);
        gmk_test_assert_eq(kit_get(&load.order[n + i]), n - 1 - i);
    }
    kit_halt(&kernel);
}

/* Long calls, too: looks at the older queues, which yields bring nearer, are none at these. */
GMK_TEST(sched_lq_yields_of_one_worker_run_first_in_first_out)
{
    yields_in_order(0);
    yields_in_order(3 * GMK_BATCH_TARGET_NS);
}

/* SC-8, EQ-6, ACC-8 c: under stress the overflow bucket fills and drains without loss. */
GMK_TEST(sched_lq_overflow_bucket_fills_and_drains)
{
    gmk_boot_cfg_t cfg = {.lq_slots = 8, .rq_slots = 64, .overflow_slots = 16};
    gmk_audit_report_t r;

    for (uint32_t w = 1; w <= 4; w *= 2) {
        cfg.n_workers = w;
        GMK_REQUIRE(begin(&cfg));
        kit_submit(&kernel, root(YIELDER, 500));
        for (uint32_t i = 0; i < 500; i++)
            kit_submit(&kernel, kit_task(YIELDER, i & 3, i));
        kit_idle(&kernel);
        gmk_test_assert_eq(kit_get(&load.done), 1000);
        gmk_test_assert_eq(kit_get(&load.wrong), 0);
        gmk_test_assert_gt(gmk_metric_get(&kernel, GMK_METRIC_TASKS_OVERFLOWED), 0);
        gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_TASKS_YIELDED), 10000);
        gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_YIELD_OVERFLOWS), 0);
        r = kit_halt(&kernel);
        gmk_test_assert_eq(r.completed, 1001);
    }
}

/* Ageing. ------------------------------------------------------------------------- */

/* Takes between two looks at the older queues, and what such a look runs itself. */
#define LOOK (GMK_AGING_INTERVAL + 8u)

/* SC-9. */
GMK_TEST(sched_lq_self_respawning_task_delays_critical_submit_by_one_look)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    uint32_t at;

    for (uint32_t i = 0; i < 10; i++) {
        GMK_REQUIRE(begin(&cfg));
        kit_submit(&kernel, kit_task(RESPAWN, GMK_PRIO_CRITICAL, 0));
        gmk_test_assert(kit_until(&load.runs, 100 + i * 7));
        kit_submit(&kernel, kit_task(LATE, GMK_PRIO_CRITICAL, 0));
        at = kit_get(&load.runs);
        gmk_test_assert(kit_until(&load.late_at, 1));
        gmk_test_assert_le((int32_t)(kit_get(&load.late_at) - 1 - at), LOOK);
        kit_idle(&kernel);
        gmk_test_assert_eq(kit_get(&load.wrong), 0);
        kit_halt(&kernel);
    }
}

/* SC-9. The clock is read at batch edges, then the task waits for the next look. */
GMK_TEST(sched_lq_self_respawning_task_delays_due_timer_by_a_batch_and_a_look)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    gmk_task_t t = kit_task(LATE, GMK_PRIO_CRITICAL, 0);

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, kit_task(RESPAWN, GMK_PRIO_CRITICAL, 0));
    gmk_test_assert(kit_until(&load.runs, 100));
    gmk_test_assert_eq(gmk_submit_after(&kernel, &t, 100000), GMK_OK);
    gmk_store_rel(&load.due_ns, gmk_hal_now_ns() + 100000, GMK_DEV); /* sync: test.kit */
    gmk_test_assert(kit_until(&load.late_at, 1));
    gmk_test_assert_le(kit_get(&load.due), GMK_WORKER_BATCH_SIZE + 2 * LOOK);
    kit_idle(&kernel);
    kit_halt(&kernel);
}

/* SC-6, SC-9. */
GMK_TEST(sched_lq_self_respawning_task_delays_due_tick_by_two_looks)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .flags = GMK_BOOT_MANUAL_TICKS};
    gmk_task_t t = kit_task(LATE, GMK_PRIO_LOW, 0);
    uint32_t at;

    GMK_REQUIRE(begin(&cfg));
    gmk_test_assert_eq(gmk_submit_at_tick(&kernel, &t, 1), GMK_OK);
    kit_submit(&kernel, kit_task(RESPAWN, GMK_PRIO_CRITICAL, 0));
    gmk_test_assert(kit_until(&load.runs, 300));
    gmk_test_assert_eq(kit_get(&load.late_at), 0);
    gmk_tick_advance(&kernel);
    at = kit_get(&load.runs);
    gmk_test_assert(kit_until(&load.late_at, 1));
    gmk_test_assert_le((int32_t)(kit_get(&load.late_at) - 1 - at), 2 * LOOK);
    kit_idle(&kernel);
    kit_halt(&kernel);
}

/* SC-9. Many that respawn keep every queue full, the overflow bucket too: an urgent submit
 * must not wait behind the bucket for ever. */
GMK_TEST(sched_lq_full_overflow_bucket_does_not_starve_critical_submit)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .lq_slots = 8, .rq_slots = 8, .overflow_slots = 8};
    uint32_t at;

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, root(RESPAWN, 60));
    gmk_test_assert(kit_until(&load.runs, 3000));
    kit_submit(&kernel, kit_task(LATE, GMK_PRIO_CRITICAL, 0));
    at = kit_get(&load.runs);
    while (kit_get(&load.late_at) == 0 && kit_get(&load.runs) - at < 200 * LOOK)
        gmk_hal_relax();
    kit_set(&load.stop, 1);
    gmk_test_assert(kit_until(&load.late_at, 1));
    gmk_test_assert_le((int32_t)(kit_get(&load.late_at) - 1 - at), 4 * LOOK);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    kit_halt(&kernel);
}

/* Trees. -------------------------------------------------------------------------- */

static void tree(uint32_t workers, uint32_t levels, gmk_boot_cfg_t cfg, uint64_t bytes)
{
    gmk_alloc_stats_t st;
    gmk_audit_report_t r;

    cfg.n_workers = workers;
    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, kit_task(TREE, GMK_PRIO_NORMAL, levels - 1));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), (1u << levels) - 1);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    gmk_test_assert_eq(gmk_alloc_get_stats(&kernel, GMK_ALLOC_BLOCK, &st), GMK_OK);
    gmk_test_assert_le(st.bytes_high_water, bytes);
    r = kit_halt(&kernel);
    gmk_test_assert_eq(r.completed, (1u << levels) - 1);
}

GMK_TEST(sched_lq_tree_of_2_20_tasks_on_1_worker_in_bounded_memory)
{
    tree(1, (uint32_t)gmk_test_scale(20, 13), (gmk_boot_cfg_t){.arena_size = 4u << 20}, 0);
}

GMK_TEST(sched_lq_tree_of_2_20_tasks_on_2_workers_in_bounded_memory)
{
    tree(2, (uint32_t)gmk_test_scale(20, 13), (gmk_boot_cfg_t){.arena_size = 4u << 20}, 64 << 10);
}

/* With queues that hold next to nothing it spills, and still ends. */
GMK_TEST(sched_lq_tree_through_tiny_queues_completes)
{
    gmk_boot_cfg_t cfg = {
        .lq_slots = 8, .rq_slots = 4, .overflow_slots = 4, .arena_size = 16u << 20};

    for (uint32_t w = 1; w <= 4; w *= 2)
        tree(w, (uint32_t)gmk_test_scale(16, 10), cfg, 8u << 20);
}

GMK_TEST(sched_lq_spawn_of_thousands_from_one_handler_spills_and_completes)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .lq_slots = 8, .rq_slots = 4, .overflow_slots = 4};
    uint32_t n = (uint32_t)gmk_test_scale(100000, 2000);

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, root(LEAF, n));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), n);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    gmk_test_assert_gt(gmk_metric_get(&kernel, GMK_METRIC_TASKS_SPILLED), 0);
    kit_halt(&kernel);
}

/* Stealing. ----------------------------------------------------------------------- */

/* SC-11, ACC-28: all work lies with the worker that ran the root; each child waits until
 * every worker has run one, which only stealing can bring about. */
GMK_TEST(sched_lq_acc28_other_workers_of_4_get_work_by_stealing)
{
    gmk_boot_cfg_t cfg = {.n_workers = 4};

    GMK_REQUIRE(begin(&cfg));
    kit_set(&load.order[0], 0xf);
    kit_idle(&kernel);
    kit_submit(&kernel, root(MEET, 64));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 64);
    gmk_test_assert_eq(kit_get(&load.mask), 0xf);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    gmk_test_assert_ge(gmk_metric_get(&kernel, GMK_METRIC_TASKS_STOLEN), 3);
    gmk_test_assert_ge(gmk_metric_get(&kernel, GMK_METRIC_TASKS_SHARED), 3);
    kit_halt(&kernel);
}

/* SC-11. */
GMK_TEST(sched_lq_eight_long_tasks_on_two_workers_run_two_at_a_time)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    gmk_task_t t[8];

    for (uint32_t i = 0; i < 8; i++)
        t[i] = kit_task(MANY, GMK_PRIO_NORMAL, i);
    GMK_REQUIRE(begin(&cfg));
    kit_idle(&kernel);
    gmk_test_assert_eq(gmk_submit_batch(&kernel, t, 8), 8);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.arrived), 8);
    gmk_test_assert_eq(kit_get(&load.mask), 3);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    kit_halt(&kernel);
}

/* What short tasks have left free above a long one is not for it to fill unseen. */
GMK_TEST(sched_lq_spawns_behind_short_tasks_are_offered_to_the_idle)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, root(LEAF, 200)); /* batches have grown when it comes */
    kit_submit(&kernel, kit_task(KEEP, GMK_PRIO_NORMAL, 0));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 200 + 1 + 12 + 16);
    gmk_test_assert_eq(kit_get(&load.arrived), 1);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    kit_halt(&kernel);
}

/* Bound tasks. -------------------------------------------------------------------- */

/* SC-12. */
GMK_TEST(sched_lq_bound_tasks_run_on_their_worker_alone)
{
    gmk_boot_cfg_t cfg = {.n_workers = 4};
    uint32_t bad = 0;

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < BOUND_MAX; i++) {
        gmk_task_t t = kit_task(BOUND, i & 3, i % 4);
        int rc;

        t.meta1 = i;
        while ((rc = gmk_submit_to(&kernel, &t, i % 4)) == GMK_E_FULL)
            gmk_hal_relax();
        gmk_test_assert_eq(rc, GMK_OK);
        if (i % 64 == 0) /* something for the others to be busy with, and to steal */
            kit_submit(&kernel, root(LEAF, 32));
    }
    gmk_test_assert(kit_until(&load.runs, BOUND_MAX + BOUND_MAX / 64 * 32));
    kit_idle(&kernel);
    for (uint32_t i = 0; i < BOUND_MAX; i++)
        bad += kit_get(&load.seen[i]) != 1;
    gmk_test_assert_eq(bad, 0);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    kit_halt(&kernel);
}

/* SC-12. */
GMK_TEST(sched_lq_tasks_bound_by_a_handler_run_on_their_worker_alone)
{
    gmk_boot_cfg_t cfg = {.n_workers = 3, .flags = GMK_BOOT_MANUAL_TICKS};

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, kit_task(BOUND_ROOT, GMK_PRIO_NORMAL, 0));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), LEAVES);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    kit_halt(&kernel);
}

/* A consumer bound to worker 1. */
#define MSG 30u

static gmk_handler_reg_t sink_handlers[] = {{.type = MSG, .fn = mark}};

static int sink_init(gmk_ctx_t *ctx)
{
    int id = gmk_chan_open(ctx, "bound", GMK_CHAN_P2P, 1024);
    int rc = id < 0 ? id : gmk_chan_fix_type(ctx, (uint32_t)id, MSG);

    return rc < 0 ? rc : gmk_chan_sub_worker(ctx, (uint32_t)id, 1);
}

static gmk_module_t sink = {
    .name = "sink", .handlers = sink_handlers, .n_handlers = 1, .init = sink_init, .user = &load};

static int on_gate(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    kit_set(&l->entered, 1);
    kit_until(&l->open, 1);
    return GMK_OK;
}

static gmk_handler_reg_t gate_handlers[] = {{.type = MSG + 1, .fn = on_gate}};
static gmk_module_t gate = {
    .name = "gate", .handlers = gate_handlers, .n_handlers = 1, .user = &load};

static bool begin_bound(const gmk_boot_cfg_t *cfg)
{
    gmk_module_t *mods[] = {&module, &sink, &gate};

    gmk_hal_memset(&load, 0, sizeof(load));
    return kit_boot_mods(&kernel, cfg, mods, 3);
}

static void submit_bound(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        gmk_task_t t = kit_task(BOUND, GMK_PRIO_NORMAL, 1);
        int rc;

        t.meta1 = i;
        while ((rc = gmk_submit_to(&kernel, &t, 1)) == GMK_E_FULL)
            gmk_hal_relax();
        gmk_test_assert_eq(rc, GMK_OK);
    }
    kit_idle(&kernel);
}

/* R-10, ACC-2, second half: deliveries of a channel through one worker's queue. */
GMK_TEST(sched_lq_acc2_deliveries_through_one_worker_exactly_once_in_order)
{
    gmk_boot_cfg_t cfg = {.n_workers = 3};
    uint32_t n = (uint32_t)gmk_test_scale(300000, 3000);
    gmk_host_t host;
    gmk_ctx_t *ctx;
    int id;

    GMK_REQUIRE(begin_bound(&cfg));
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    id = gmk_chan_find(ctx, "bound");
    GMK_REQUIRE(gmk_test_assert_gt(id, 0));
    for (uint32_t i = 0; i < n; i++) {
        gmk_task_t t = kit_task(MSG, GMK_PRIO_NORMAL, i);
        int rc;

        while ((rc = gmk_chan_emit(ctx, (uint32_t)id, &t)) == GMK_CHAN_FULL)
            gmk_hal_relax();
        if (!gmk_test_assert_eq(rc, GMK_OK))
            break;
    }
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), n);
    for (uint32_t i = 0; i < ORDER; i++)
        gmk_test_assert_eq(kit_get(&load.order[i]), i);
    gmk_test_assert_eq(gmk_metric_get_worker(&kernel, GMK_METRIC_TASKS_COMPLETED, 1), n);
    gmk_test_assert_eq(kit_halt(&kernel).completed, n);
}

/* The inbox keeps a quarter free, so that the activation of a bound consumer fits
 * however many retries come due while its worker is busy. */
GMK_TEST(sched_lq_inbox_full_of_due_retries_has_room_for_an_activation)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .flags = GMK_BOOT_MANUAL_TICKS, .inbox_slots = 512};
    gmk_task_t t = kit_task(MSG + 1, 0, 0), m = kit_task(MSG, GMK_PRIO_NORMAL, 0);
    gmki_queue_t *in;
    gmk_host_t host;
    gmk_ctx_t *ctx;

    GMK_REQUIRE(begin_bound(&cfg));
    in = &gmki_kernel(&kernel)->core.sched.wq[1].inbox;
    gmk_tick_advance(&kernel);
    submit_bound(600);
    gmk_test_assert_eq(gmk_submit_to(&kernel, &t, 1), GMK_OK);
    gmk_test_assert(kit_until(&load.entered, 1));
    gmk_tick_advance(&kernel);
    for (uint64_t begin_ns = gmk_hal_now_ns();
         queued(in) < 384 && gmk_hal_now_ns() - begin_ns < KIT_WAIT_NS;)
        gmk_hal_relax();
    for (uint32_t i = 0; i < 1000; i++)
        gmk_hal_relax();
    gmk_test_assert_eq(queued(in), 384);
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    gmk_test_assert_eq(gmk_chan_emit(ctx, (uint32_t)gmk_chan_find(ctx, "bound"), &m), GMK_OK);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    kit_set(&load.open, 1);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 601);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    gmk_test_assert_eq(kit_halt(&kernel).completed, 602);
}

/* More retries of bound tasks come due at once than the inbox holds: none is lost, and
 * none runs elsewhere. */
GMK_TEST(sched_lq_due_retries_of_bound_tasks_survive_a_full_inbox)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .flags = GMK_BOOT_MANUAL_TICKS, .inbox_slots = 256};
    uint32_t n = 1000;
    gmk_audit_report_t r;

    GMK_REQUIRE(begin(&cfg));
    gmk_tick_advance(&kernel);
    submit_bound(n);
    gmk_test_assert_eq(kit_get(&load.runs), 0);
    gmk_tick_advance(&kernel);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), n);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    r = kit_halt(&kernel);
    gmk_test_assert_eq(r.completed, n);
    gmk_test_assert_eq(r.dead, 0);
}
