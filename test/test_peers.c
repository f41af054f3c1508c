/* SPDX-License-Identifier: MIT
 * Failures seen in systems of this kind, each as a test by name, on the whole kernel.
 * The units have closer tests of most of them; these say that the product as a whole
 * does not do it.
 * Floor: tests. Source: SPEC ACC-2, ACC-6, ACC-10, ACC-14, ACC-28; ARCHITECTURE R3 to R9,
 * R12, R19. */
#include "chan_parts.h"
#include "kernel/kernel.h"

enum { T_JOB = 50, T_JOB2, T_JOB3 };

static env_t env;
static part_t part[3];
static watch_t watch;
static gmk_module_t plumber;

/* What the handler of T_JOB.. works on. */
static struct {
    gmk_a64_t runs;
    gmk_a32_t inside, most;
    gmk_a32_t stop;
    uint64_t last, wrong;
    gmk_a32_t *seen; /* of a tree, by node: its number of runs */
} job;

static int (*job_fn)(gmk_ctx_t *ctx);

static int on_job(gmk_ctx_t *ctx) { return job_fn(ctx); }

static gmk_handler_reg_t job_handlers[] = {
    {.type = T_JOB, .fn = on_job, .name = "job", .max_yields = 1000},
    {.type = T_JOB2, .fn = on_job, .name = "job2"},
    {.type = T_JOB3, .fn = on_job, .name = "job3"}};
static gmk_module_t worker_mod = {.name = "jobs", .handlers = job_handlers, .n_handlers = 3};

/* A kernel with part 0 on the channel "t.msg", job handlers, a watcher. */
static bool boot(uint32_t n_workers, uint32_t flags, uint32_t mode, uint32_t slots)
{
    gmk_module_t *mods[] = {part_make(&part[0], &env, 0, on_part), &worker_mod,
                            plumber_make(&plumber, &env), watch_make(&watch, "watch")};
    int id;

    gmk_hal_memset(&env, 0, sizeof(env));
    gmk_hal_memset(&job, 0, sizeof(job));
    part_consume(&part[0], "t.msg", mode, slots);
    if (!env_boot(&env, n_workers, flags, mods, GMK_ARRAY_LEN(mods)))
        return false;
    id = gmk_chan_find(env.ctx, "t.msg");
    env.chan = id > 0 ? (uint32_t)id : 0;
    return gmk_test_assert_gt(id, 0);
}

static void submit(gmk_task_t t)
{
    uint64_t begin = gmk_hal_now_ns();
    int rc;

    while ((rc = gmk_submit(&env.kernel, &t)) == GMK_E_FULL &&
           gmk_hal_now_ns() - begin < ENV_PATIENCE_NS)
        gmk_hal_relax();
    gmk_test_assert_eq(rc, GMK_OK);
}

static int job_count(gmk_ctx_t *ctx)
{
    (void)ctx;
    gmk_add_rlx(&job.runs, 1, GMK_DEV); /* relaxed: a count */
    return GMK_OK;
}

static uint64_t runs(void) { return gmk_load_rlx(&job.runs, GMK_DEV); } /* relaxed: a count */

/* Queues. ---------------------------------------------------------------------------------- */

/* "single-producer queue with two producers loses accepted tasks": ACC-2. One worker's
 * inbox, fed by two threads. */
static void *send_to_worker(void *arg)
{
    uint64_t n = *(const uint64_t *)arg;

    for (uint64_t i = 0; i < n; i++) {
        gmk_task_t t = env_msg(T_JOB, i, 0);
        int rc;

        while ((rc = gmk_submit_to(&env.kernel, &t, 1)) == GMK_E_FULL)
            gmk_hal_relax();
        gmk_test_assert_eq(rc, GMK_OK);
    }
    return NULL;
}

GMK_TEST(peers_two_producers_on_one_queue_lose_no_accepted_task)
{
    uint64_t n = gmk_test_scale(100000, 1000);
    gmk_hal_thread_t threads[2];

    job_fn = job_count;
    GMK_REQUIRE(boot(2, 0, GMK_CHAN_P2P, 16));
    for (uint32_t i = 0; i < 2; i++)
        gmk_test_assert_eq(gmk_hal_cpu_start(&threads[i], GMK_HAL_ANY_CPU, send_to_worker, &n), 0);
    for (uint32_t i = 0; i < 2; i++)
        gmk_test_assert_eq(gmk_hal_thread_join(&threads[i]), 0);
    env_idle(&env);
    gmk_test_assert_eq(runs(), 2 * n);
    env_end(&env);
}

/* "lossless channel that accepts 500,000 and runs 162,065": ACC-6, CH-14. */
GMK_TEST(peers_lossless_channel_runs_all_it_accepts)
{
    uint64_t n = gmk_test_scale(500000, 2000);

    GMK_REQUIRE(boot(2, 0, GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS, 64));
    for (uint64_t i = 0; i < n; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, 0));
    env_idle(&env);
    gmk_test_assert_eq(chan_info(&env, env.chan).emits, n);
    part_check(&part[0], n, 0);
    gmk_test_assert_eq(part[0].next[0], n);
    env_end(&env);
}

/* "full because a consumer was preempted in mid-cell, then dropped": ACC-6c. Here the
 * consumer stays in the handler of one message: who emits is told so, and nothing is lost.
 * In mid-cell itself, on the ring: prim_cursor_held_is_not_skipped. */
static int on_stay(gmk_ctx_t *ctx)
{
    gmk_store_rel(&job.inside, 1, GMK_DEV);                                /* sync: test.kit */
    while (ctx->task->meta0 == 0 && gmk_load_acq(&job.stop, GMK_DEV) == 0) /* sync: test.kit */
        gmk_hal_relax();
    return on_part(ctx);
}

static void held_consumer(uint32_t mode)
{
    gmk_module_t *mods[] = {part_make(&part[0], &env, 0, on_stay)};
    uint64_t begin;
    uint64_t n;

    gmk_hal_memset(&env, 0, sizeof(env));
    gmk_hal_memset(&job, 0, sizeof(job));
    part_consume(&part[0], "t.msg", mode, 4);
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 1));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.msg");
    gmk_test_assert_eq(env_burst(&env, 0, 1, true), 1);
    begin = gmk_hal_now_ns();
    while (gmk_load_acq(&job.inside, GMK_DEV) == 0 && /* sync: test.kit */
           gmk_hal_now_ns() - begin < ENV_PATIENCE_NS)
        gmk_hal_relax();
    n = 1 + env_burst(&env, 1, 100, true);
    gmk_test_assert_le(n, 5);
    for (uint32_t i = 0; i < 50; i++)
        gmk_test_assert_eq(env_burst(&env, n, n + 1, true), 0);
    gmk_store_rel(&job.stop, 1, GMK_DEV); /* sync: test.kit */
    for (; n < 20; n++)
        env_send(&env, env.chan, part_payload(env.ctx, T_MSG, n));
    env_idle(&env);
    part_check(&part[0], 20, 0);
    gmk_test_assert_eq(part[0].next[0], 20);
    env_end(&env);
}

GMK_TEST(peers_full_because_of_a_consumer_held_in_its_handler_drops_nothing)
{
    held_consumer(GMK_CHAN_P2P);
    held_consumer(GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS);
}

/* "workers deadlocked inside handlers that wait for queue room": R19. Every worker is in
 * a handler that spawns more tasks than all queues hold, which need a worker to run. */
static int job_flood(gmk_ctx_t *ctx)
{
    for (uint32_t i = 0; i < 300; i++) {
        gmk_task_t t = env_msg(T_JOB2, i, 0);

        gmk_test_assert_eq(gmk_emit(ctx, &t), GMK_OK);
    }
    gmk_add_rlx(&job.runs, 1, GMK_DEV); /* relaxed: a count */
    return GMK_OK;
}

static int job_flood_or_count(gmk_ctx_t *ctx)
{
    return ctx->task->type == T_JOB ? job_flood(ctx) : job_count(ctx);
}

GMK_TEST(peers_handlers_that_need_queue_room_do_not_deadlock)
{
    uint64_t n = gmk_test_scale(12, 10);

    job_fn = job_flood_or_count;
    GMK_REQUIRE(boot(2, 0, GMK_CHAN_P2P, 16));
    for (uint64_t i = 0; i < n; i++)
        submit(env_msg(T_JOB, i, 0));
    env_idle(&env);
    gmk_test_assert_eq(runs(), n * 301);
    env_end(&env);
}

/* "2^20-task tree refused because queues are bounded": R19. The queues are small enough that
 * it meets full ones, and goes on through the arena. */
static int job_tree(gmk_ctx_t *ctx)
{
    uint64_t depth = ctx->task->meta0, node = ctx->task->meta1;

    gmk_add_rlx(&job.runs, 1, GMK_DEV);       /* relaxed: a count */
    gmk_add_rlx(&job.seen[node], 1, GMK_DEV); /* relaxed: a count */
    for (uint32_t i = 0; i < 2 && depth != 0; i++) {
        gmk_task_t t = env_msg(T_JOB, depth - 1, 0);

        t.meta1 = 2 * node + i;
        gmk_test_assert_eq(gmk_emit(ctx, &t), GMK_OK);
    }
    return GMK_OK;
}

GMK_TEST(peers_tree_of_a_million_tasks_runs_through_bounded_queues)
{
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)16 << 20,
                          .n_workers = 2,
                          .flags = GMK_BOOT_NO_LINKED_MODULES,
                          .rq_slots = 8,
                          .lq_slots = 8,
                          .overflow_slots = 2};
    gmk_module_t *mods[] = {&worker_mod};
    uint64_t depth = gmk_test_scale(19, 10), nodes = 2ull << depth, wrong = 0;
    gmk_task_t root = env_msg(T_JOB, depth, 0);

    job_fn = job_tree;
    gmk_hal_memset(&env, 0, sizeof(env));
    gmk_hal_memset(&job, 0, sizeof(job));
    job.seen = gmk_hal_calloc(nodes, sizeof(job.seen[0]));
    GMK_REQUIRE(job.seen != NULL && gmk_boot(&env.kernel, &cfg, mods, 1) == GMK_OK);
    env.ctx = gmk_host_attach(&env.kernel, &env.host);
    root.meta1 = 1;
    submit(root);
    env_idle(&env);
    gmk_test_assert_eq(runs(), nodes - 1);
    for (uint64_t i = 1; i < nodes; i++)                   /* no node in the place of another */
        wrong += gmk_load_rlx(&job.seen[i], GMK_DEV) != 1; /* relaxed: the kernel is at rest */
    gmk_test_assert_eq(wrong, 0);
    gmk_test_assert_gt(env_metric(&env, GMK_METRIC_TASKS_SPILLED), 0);
    env_end(&env);
    gmk_hal_free(job.seen);
}

/* Scheduling. ------------------------------------------------------------------------------ */

/* "self-respawning local work starves a critical submit and a due timer". */
static int job_respawn(gmk_ctx_t *ctx)
{
    gmk_task_t t = *ctx->task;

    if (t.type != T_JOB) {
        gmk_or_rlx(&job.stop, t.type == T_JOB2 ? 1 : 2, GMK_DEV); /* relaxed: a mark */
        return GMK_OK;
    }
    if (++t.meta0 == 20000000) {
        gmk_test_assert_named(false, "urgent work runs beside work that respawns itself");
        return GMK_OK;
    }
    job.last = t.meta0;
    if (gmk_load_rlx(&job.stop, GMK_DEV) != 3) /* relaxed: a mark */
        gmk_test_assert_eq(gmk_emit(ctx, &t), GMK_OK);
    return GMK_OK;
}

GMK_TEST(peers_respawning_work_starves_neither_urgent_work_nor_timers)
{
    gmk_task_t urgent = env_msg(T_JOB2, 0, 0);
    gmk_task_t timer = env_msg(T_JOB3, 0, 0);

    job_fn = job_respawn;
    urgent.flags = GMK_PRIO_CRITICAL;
    timer.flags = GMK_PRIO_LOW;
    GMK_REQUIRE(boot(1, 0, GMK_CHAN_P2P, 16));
    submit(env_msg(T_JOB, 0, 0));
    submit(urgent);
    gmk_test_assert_eq(gmk_submit_after(&env.kernel, &timer, 100000), GMK_OK);
    env_idle(&env);
    gmk_test_assert_eq(job.stop, 3);
    env_end(&env);
}

/* "timer order wrong after 65,536 events (sequence overflows into priority)": SC-5. On
 * the queue itself, since what runs first is also a matter of the workers' queues. */
GMK_TEST(peers_timer_order_holds_after_65536_events)
{
    gmki_evq_t q = {.cap = 0};
    uint64_t next = 1;
    uint32_t wrong = 0;
    bool earliest;

    GMK_REQUIRE(gmki_evq_init(&q, 16) == GMK_OK);
    for (uint64_t i = 1; i <= 70000; i++) {
        gmk_cell_t c = {.task = env_msg(T_JOB, i, 0)};

        wrong += !gmki_evq_insert(&q, &c, 5, true, &earliest);
        if (i % 7 != 0)
            continue;
        c.task.flags = GMK_PRIO_HIGH; /* the last, but more urgent */
        c.task.meta0 = 0;
        wrong += !gmki_evq_insert(&q, &c, 5, true, &earliest);
        wrong += gmki_evq_take_due(&q, 0, 5, &c, 1) != 1 || c.task.meta0 != 0;
        while (gmki_evq_take_due(&q, 0, 5, &c, 1) == 1)
            wrong += c.task.meta0 != next++;
    }
    gmk_test_assert_eq(next, 70001);
    gmk_test_assert_eq(wrong, 0);
    gmki_evq_fini(&q);
}

/* "eight 50 ms tasks take 400 ms on two workers (no stealing)": ACC-28. All are spawned
 * on one worker; each stays until two run at one time. */
static int job_stay(gmk_ctx_t *ctx)
{
    if (ctx->task->type == T_JOB) {
        for (uint32_t i = 0; i < 8; i++) {
            gmk_task_t t = env_msg(T_JOB2, i, 0);

            gmk_test_assert_eq(gmk_emit(ctx, &t), GMK_OK);
        }
        return GMK_OK;
    }
    gmk_add_rlx(&job.inside, 1, GMK_DEV); /* relaxed: a count */
    for (uint64_t i = 0; i < 100000000 && gmk_load_rlx(&job.most, GMK_DEV) == 0; i++) {
        if (gmk_load_rlx(&job.inside, GMK_DEV) >= 2) /* relaxed: a count */
            gmk_store_rlx(&job.most, 2, GMK_DEV);    /* relaxed: a mark */
        gmk_hal_relax();
    }
    gmk_sub_rlx(&job.inside, 1, GMK_DEV); /* relaxed: a count */
    gmk_add_rlx(&job.runs, 1, GMK_DEV);   /* relaxed: a count */
    return GMK_OK;
}

GMK_TEST(peers_long_tasks_of_one_worker_are_stolen)
{
    job_fn = job_stay;
    GMK_REQUIRE(boot(2, 0, GMK_CHAN_P2P, 16));
    submit(env_msg(T_JOB, 0, 0));
    env_idle(&env);
    gmk_test_assert_eq(runs(), 8);
    gmk_test_assert_eq(job.most, 2);
    gmk_test_assert_gt(env_metric(&env, GMK_METRIC_TASKS_STOLEN), 0);
    env_end(&env);
}

/* "emit wakes nobody (358 us)": R9. A sleeping kernel runs what is emitted, and no
 * periodic wake-up helps. */
GMK_TEST(peers_emit_wakes_a_parked_worker)
{
    GMK_REQUIRE(boot(2, GMK_BOOT_MANUAL_TICKS, GMK_CHAN_P2P, 16));
    for (uint64_t i = 0; i < 50; i++) {
        env_idle(&env); /* all are parked */
        env_send(&env, env.chan, env_msg(T_MSG, i, 0));
        env_idle(&env);
        gmk_test_assert_eq(part[0].got, i + 1);
    }
    env_end(&env);
}

/* "RETRY lost when the queue is full": ACC-10. */
static int job_retry(gmk_ctx_t *ctx) { return gmk_retries(ctx) < 3 ? GMK_RETRY : job_count(ctx); }

GMK_TEST(peers_retry_with_full_queues_is_not_lost)
{
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)4 << 20,
                          .n_workers = 2,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS,
                          .rq_slots = 16,
                          .lq_slots = 16,
                          .evq_slots = 4,
                          .overflow_slots = 4};
    gmk_module_t *mods[] = {&worker_mod};

    job_fn = job_retry;
    gmk_hal_memset(&env, 0, sizeof(env));
    gmk_hal_memset(&job, 0, sizeof(job));
    GMK_REQUIRE(gmk_boot(&env.kernel, &cfg, mods, 1) == GMK_OK);
    env.ctx = gmk_host_attach(&env.kernel, &env.host);
    gmk_tick_advance(&env.kernel);
    for (uint32_t i = 0; i < 100; i++)
        submit(env_msg(T_JOB, i, 0));
    for (uint32_t i = 0; i < 2000 && runs() < 100; i++) {
        env_idle(&env);
        gmk_tick_advance(&env.kernel);
    }
    gmk_test_assert_eq(runs(), 100);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, 100);
}

/* "halt drops what is queued": SYS-13, R8. */
GMK_TEST(peers_halt_runs_what_is_queued)
{
    job_fn = job_count;
    GMK_REQUIRE(boot(1, 0, GMK_CHAN_P2P, 256));
    for (uint64_t i = 0; i < 200; i++) {
        submit(env_msg(T_JOB, i, 0));
        env_send(&env, env.chan, part_payload(env.ctx, T_MSG, i));
    }
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(runs(), 200);
    part_check(&part[0], 200, 0);
    gmk_test_assert_eq(env.report.dead, 0);
    gmk_test_assert_eq(env.report.completed, 400);
}

/* Priorities under load from several sides: the shared credits must not lose a turn.
 * "race on shared priority credits": SC-2. */
static void *send_all_priorities(void *arg)
{
    uint64_t n = *(const uint64_t *)arg;

    for (uint64_t i = 0; i < n; i++) {
        gmk_task_t t = env_msg(T_JOB, i, 0);

        t.flags = (uint16_t)(i % GMK_N_PRIO);
        submit(t);
    }
    return NULL;
}

GMK_TEST(peers_priorities_from_several_threads_lose_no_turn)
{
    uint64_t n = gmk_test_scale(50000, 500);
    gmk_hal_thread_t threads[3];

    job_fn = job_count;
    GMK_REQUIRE(boot(3, 0, GMK_CHAN_P2P, 16));
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(gmk_hal_cpu_start(&threads[i], GMK_HAL_ANY_CPU, send_all_priorities, &n),
                           0);
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(gmk_hal_thread_join(&threads[i]), 0);
    env_idle(&env);
    gmk_test_assert_eq(runs(), 3 * n);
    env_end(&env);
}

/* Channels. -------------------------------------------------------------------------------- */

/* "fan-out that waits for a manual drain": CH-48. */
GMK_TEST(peers_fanout_needs_no_manual_drain)
{
    GMK_REQUIRE(boot(1, GMK_BOOT_MANUAL_TICKS, GMK_CHAN_FANOUT, 64));
    gmk_test_assert_eq(env_burst(&env, 0, 50, true), 50);
    env_idle(&env);
    part_check(&part[0], 50, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

/* "messages sent before the subscriber came stay for ever": R4. */
GMK_TEST(peers_messages_before_the_subscriber_are_delivered)
{
    gmk_module_t *mods[] = {part_make(&part[0], &env, 0, on_part)};

    gmk_hal_memset(&env, 0, sizeof(env));
    GMK_REQUIRE(env_boot(&env, 2, GMK_BOOT_MANUAL_TICKS, mods, 1));
    env.chan = (uint32_t)gmk_sdk_chan_open(env.ctx, "t.early", GMK_CHAN_P2P, T_MSG);
    gmk_test_assert_eq(env_burst(&env, 0, 100, true), 100);
    env_idle(&env);
    part_act(&part[0], 0, act_part_sub);
    part_check(&part[0], 100, 0);
    env_end(&env);
}

/* "P2P out of order": ACC-6a. */
GMK_TEST(peers_p2p_stays_in_order)
{
    uint64_t n = gmk_test_scale(200000, 2000);

    GMK_REQUIRE(boot(4, 0, GMK_CHAN_P2P, 64));
    for (uint64_t i = 0; i < n; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, 0));
    env_idle(&env);
    part_check(&part[0], n, 0);
    gmk_test_assert_eq(part[0].last_seq, n);
    gmk_test_assert_eq(part[0].next[0], n);
    env_end(&env);
}

/* "channel types unchecked": CH-6, ACC-6d. */
GMK_TEST(peers_channel_types_are_checked)
{
    gmk_boot_cfg_t cfg = {
        .arena_size = (size_t)4 << 20, .n_workers = 1, .flags = GMK_BOOT_NO_LINKED_MODULES};
    gmk_module_t *mods[2];
    gmk_task_t t = env_msg(T_MSG2, 0, 0);

    GMK_REQUIRE(boot(1, 0, GMK_CHAN_P2P, 64));
    gmk_test_assert_eq(gmk_chan_emit(env.ctx, env.chan, &t), GMK_CHAN_TYPE_MISMATCH);
    env_idle(&env);
    gmk_test_assert_eq(part[0].got, 0);
    env_end(&env);

    mods[0] = part_make(&part[0], &env, 0, on_part);
    part_consume(&part[0], "t.msg", GMK_CHAN_P2P, 64);
    mods[1] = part_make(&part[1], &env, 1, on_part);
    part_consume(&part[1], "t.msg", GMK_CHAN_P2P, 64)->direction = GMK_CHAN_PRODUCE;
    part[1].d[0].msg_type = T_MSG2;
    part[1].h[0].type = T_MSG2;
    gmk_test_assert_eq(gmk_boot(&env.kernel, &cfg, mods, 2), GMK_E_WIRING);
}

/* Memory. ---------------------------------------------------------------------------------- */

/* "payload freed before a yielded handler resumes": CH-41. */
static int job_yield(gmk_ctx_t *ctx)
{
    job.wrong += !part_intact(ctx->task);
    if (ctx->task->yield_count < 10) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    return job_count(ctx);
}

GMK_TEST(peers_payload_lives_while_its_handler_yields)
{
    job_fn = job_yield;
    GMK_REQUIRE(boot(1, 0, GMK_CHAN_P2P, 16));
    for (uint64_t i = 0; i < 100; i++)
        submit(part_payload(env.ctx, T_JOB, i));
    env_idle(&env);
    gmk_test_assert_eq(runs(), 100);
    gmk_test_assert_eq(job.wrong, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

/* "blocks not 8-byte aligned": AL-3. */
GMK_TEST(peers_blocks_are_aligned)
{
    void *p[64];
    uint32_t bad = 0;

    GMK_REQUIRE(boot(1, 0, GMK_CHAN_P2P, 16));
    for (uint32_t i = 0; i < 64; i++) {
        p[i] = gmk_alloc(env.ctx, 1 + i * 17);
        bad += p[i] == NULL || (uintptr_t)p[i] % 16 != 0;
        bad += 1 + i * 17 >= 64 && (uintptr_t)p[i] % 64 != 0;
    }
    for (uint32_t i = 0; i < 64; i++)
        gmk_free(env.ctx, p[i]);
    for (uint32_t len = 1; len < 5000; len += 37) {
        void *q = gmk_payload_alloc(env.ctx, len);

        bad += (uintptr_t)q % 16 != 0;
        gmk_payload_release_ptr(env.ctx, q);
    }
    gmk_test_assert_eq(bad, 0);
    env_end(&env);
}

/* "double free accepted and the block handed out twice": AL-7, R12. */
GMK_TEST(peers_double_free_is_refused)
{
#ifdef GMK_DEBUG
    gmk_test_skip("a bad free is a panic in DEBUG builds");
#else
    void *p[65];
    uint32_t twice = 0;

    GMK_REQUIRE(boot(1, 0, GMK_CHAN_P2P, 16));
    p[0] = gmk_alloc(env.ctx, 100);
    gmk_free(env.ctx, p[0]);
    gmk_free(env.ctx, p[0]);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), 1);
    for (uint32_t i = 0; i < 64; i++)
        p[i] = gmk_alloc(env.ctx, 100);
    for (uint32_t i = 0; i < 64; i++)
        for (uint32_t j = 0; j < i; j++)
            twice += p[i] == p[j];
    gmk_test_assert_eq(twice, 0);
    for (uint32_t i = 0; i < 64; i++)
        gmk_free(env.ctx, p[i]);
    gmk_test_assert_eq(gmk_host_detach(&env.host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&env.kernel, ENV_PATIENCE_NS, &env.report), GMK_OK);
    gmk_test_assert(env.report.balanced);
#endif
}

/* "dead letter holds a freed payload": V-63. */
GMK_TEST(peers_dead_letters_hold_living_payloads)
{
    GMK_REQUIRE(boot(2, 0, GMK_CHAN_P2P, 64));
    plug_in(&env);
    part[0].pause_at = 0;
    gmk_test_assert_eq(env_burst(&env, 0, 50, true), 50);
    env_idle(&env);
    gmk_test_assert_eq(gmk_chan_close(env.ctx, env.chan), GMK_OK);
    plug_out(&env);
    gmk_test_assert_eq(watch.n_dropped, 49);
    gmk_test_assert_eq(watch.bad, 0); /* it has read every byte of them */
    gmk_test_assert_eq(env_live(&env), 0);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, 49);
}

/* "race on a bump high-water mark": AL-8. */
static void *bump_main(void *arg)
{
    uint64_t n = *(const uint64_t *)arg;
    gmk_host_t storage;
    gmk_ctx_t *ctx = gmk_host_attach(&env.kernel, &storage);

    if (!gmk_test_assert(ctx != NULL))
        return NULL;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t *p = gmk_bump(ctx, 16);

        if (!gmk_test_assert(p != NULL))
            break;
        p[0] = p[1] = i; /* nobody else's, TSan says */
    }
    gmk_test_assert_eq(gmk_host_detach(&storage), GMK_OK);
    return NULL;
}

GMK_TEST(peers_bump_high_water_counts_every_thread)
{
    uint64_t n = gmk_test_scale(10000, 300);
    gmk_hal_thread_t threads[3];
    gmk_alloc_stats_t before, s;

    GMK_REQUIRE(boot(1, 0, GMK_CHAN_P2P, 16));
    gmk_test_assert_eq(gmk_alloc_get_stats(&env.kernel, GMK_ALLOC_BUMP, &before), GMK_OK);
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(gmk_hal_cpu_start(&threads[i], GMK_HAL_ANY_CPU, bump_main, &n), 0);
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(gmk_hal_thread_join(&threads[i]), 0);
    gmk_test_assert_eq(gmk_alloc_get_stats(&env.kernel, GMK_ALLOC_BUMP, &s), GMK_OK);
    gmk_test_assert_eq(before.bytes_free - s.bytes_free, 3 * n * 16);
    gmk_test_assert_eq(s.bytes_high_water, s.bytes_total - s.bytes_free);
    env_end(&env);
}
