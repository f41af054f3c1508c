/* SPDX-License-Identifier: MIT
 * Every value of config.h that a build may change, changed: each has its effect.
 * Floor: tests. test/tunables.sh builds this and the library with values that are not the
 * defaults; the tests take them from the same names. Source: SPEC SYS-22. */
#include "kernel_env.h"

enum { YIELDER = 1, RETRIER, FAILER, STAY, MSG };

static gmk_kernel_t kernel;
static gmk_a32_t go, stays;

static int on_yielder(gmk_ctx_t *ctx)
{
    gmk_yield(ctx);
    return GMK_OK;
}

static int on_retrier(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_RETRY;
}

static int on_failer(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_FAIL(1);
}

static int on_stay(gmk_ctx_t *ctx)
{
    (void)ctx;
    kit_add(&stays, 1);
    kit_until(&go, 1);
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {{.type = YIELDER, .fn = on_yielder, .name = "yielder"},
                                       {.type = RETRIER, .fn = on_retrier, .name = "retrier"},
                                       {.type = FAILER, .fn = on_failer, .name = "failer"},
                                       {.type = STAY, .fn = on_stay, .name = "stay"}};
static gmk_module_t module = {.name = "tunables", .handlers = handlers, .n_handlers = 4};

static bool begin(void)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};

    go = stays = 0;
    return kit_boot(&kernel, &cfg, &module);
}

static uint64_t get(uint32_t id) { return gmk_metric_get(&kernel, id); }

static void run(uint32_t type)
{
    kit_submit(&kernel, kit_task(type, GMK_PRIO_NORMAL, 0));
    kit_idle(&kernel);
}

/* SYS-22: batch, yield reserve, handler budget. */
GMK_TEST(tunables_batch_reserve_and_budget)
{
    const gmki_core_t *c;

    GMK_REQUIRE(begin());
    c = &gmki_kernel(&kernel)->core;
    gmk_test_assert_eq(c->sched.max_batch, GMK_WORKER_BATCH_SIZE);
    gmk_test_assert_eq(c->sched.wq[0].limit,
                       GMK_LQ_DEFAULT_CAP - GMK_LQ_DEFAULT_CAP * GMK_LQ_YIELD_RESERVE / 100);
    gmk_test_assert_eq(c->mods.handlers[0].budget_ns, GMK_MAX_HANDLER_CYCLES);
    kit_halt(&kernel);
}

/* SYS-22: size of the event queue. */
GMK_TEST(tunables_event_queue_size)
{
    gmk_task_t t = kit_task(FAILER, GMK_PRIO_NORMAL, 0);
    uint32_t n = 0;

    GMK_REQUIRE(begin());
    gmk_test_assert_eq(GMK_EVQ_DEFAULT_CAP, GMK_EVQ_SIZE);
    while (n <= 2 * GMK_EVQ_SIZE && gmk_submit_at_tick(&kernel, &t, 1000) == GMK_OK)
        n++;
    gmk_test_assert_eq(n, GMK_EVQ_SIZE);
    gmk_test_assert_eq(gmk_submit_at_tick(&kernel, &t, 1000), GMK_E_FULL);
    kit_halt(&kernel);
}

/* SYS-22, SC-6: events a look; a limit that the batch of 16 does not divide holds too. */
GMK_TEST(tunables_event_queue_drain_limit)
{
    static rig_t rig;
    gmk_cell_t c = kit_cell(GMK_PRIO_NORMAL, 0);
    bool earliest;

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.flags = GMK_BOOT_MANUAL_TICKS}));
    for (uint32_t i = 0; i < 3 * GMK_EVQ_DRAIN_LIMIT; i++)
        gmk_test_assert(gmki_evq_insert(&rig.s.evq, &c, 0, true, &earliest));
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(gmki_fire(&rig.a, 0), GMK_EVQ_DRAIN_LIMIT);
    gmk_test_assert_eq(gmki_fire(&rig.a, 0), 0);
    rig_end(&rig);
}

/* SYS-22: yields and retries. */
GMK_TEST(tunables_yields_and_retries)
{
    GMK_REQUIRE(begin());
    run(YIELDER);
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_YIELDED), GMK_DEFAULT_MAX_YIELDS);
    gmk_test_assert_eq(get(GMK_METRIC_YIELD_LIMITS), 1);
    run(RETRIER);
    for (uint32_t i = 0; i < 1000; i++) {
        gmk_tick_advance(&kernel);
        kit_idle(&kernel);
    }
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_RETRIED), GMK_MAX_RETRIES);
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_FAILED), 2);
    kit_halt(&kernel);
}

static uint32_t take_none(void *arg, const gmk_cell_t *cells, uint32_t n)
{
    (void)arg, (void)cells, (void)n;
    return 0;
}

/* SYS-22: subscribers, replay slots, priority reserve. */
GMK_TEST(tunables_channels)
{
    gmk_chan_sink_t sinks[GMK_MAX_CHAN_SUBS + 1];
    gmk_task_t t = kit_task(MSG, GMK_PRIO_LOW, 0);
    gmk_chan_info_t info;
    gmk_audit_report_t r;
    gmk_host_t host;
    gmk_ctx_t *ctx;
    uint32_t n = 0;
    int id;

    GMK_REQUIRE(begin());
    ctx = gmk_host_attach(&kernel, &host);
    id = gmk_chan_open(ctx, "t.fan", GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS, 16);
    gmk_test_assert_eq(gmk_chan_get_info(&kernel, (uint32_t)id, &info), GMK_OK);
    gmk_test_assert_eq(info.replay_slots, GMK_CHAN_REPLAY_SLOTS);
    gmk_test_assert_eq(GMK_MAX_CHAN_SUBS, GMK_CHAN_MAX_SUBS);
    for (uint32_t i = 0; i <= GMK_MAX_CHAN_SUBS; i++) {
        sinks[i] = (gmk_chan_sink_t){.take = take_none};
        gmk_test_assert_eq(gmk_chan_sub_sink(ctx, (uint32_t)id, &sinks[i]),
                           i < GMK_MAX_CHAN_SUBS ? GMK_OK : GMK_E_LIMIT);
    }
    while (n < 100 && gmk_chan_emit(ctx, (uint32_t)id, &t) == GMK_OK)
        n++;
    gmk_test_assert_eq(n, 16 - 16 * GMK_CHAN_PRIORITY_RESERVE / 100);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&kernel, KIT_HALT_NS, &r), GMK_OK);
    gmk_test_assert_eq(r.dead, n * GMK_MAX_CHAN_SUBS);
}

static bool poisoned(void)
{
    gmk_handler_info_t h;

    gmk_test_assert_eq(gmk_handler_get_info(&kernel, 2, &h), GMK_OK);
    return h.poisoned;
}

/* SYS-22: failures in a window of ticks. */
GMK_TEST(tunables_poison)
{
    GMK_REQUIRE(begin());
    for (uint32_t round = 0; round < 3; round++) { /* never one too many in a window */
        for (uint32_t i = 0; i < GMK_POISON_RATE; i++)
            run(FAILER);
        for (uint32_t i = 0; i < GMK_POISON_WINDOW; i++)
            gmk_tick_advance(&kernel);
        gmk_test_assert(!poisoned());
    }
    for (uint32_t i = 0; i <= GMK_POISON_RATE; i++)
        run(FAILER);
    gmk_test_assert(poisoned());
    kit_halt(&kernel);
}

/* SYS-22: level and share of traces from boot, misses of the watchdog. */
GMK_TEST(tunables_traces_and_watchdog)
{
    uint32_t n = 0, bad = 0;
    gmk_trace_ev_t ev;
    gmk_host_t host;
    gmk_ctx_t *ctx;

    GMK_REQUIRE(begin());
    for (uint32_t i = 0; i < 100; i++)
        run(YIELDER); /* starts are of level ALL */
    while (gmk_trace_read(&kernel, &ev) == GMK_OK) {
        n += ev.ev_type == GMK_EV_TASK_START;
        bad += ev.ev_type == GMK_EV_TASK_START &&
               (ev.flags != GMK_TRACE_SAMPLED || ev.sample_rate != GMK_TRACE_SAMPLE_RATE);
    }
    gmk_test_assert_gt(n, 0);
    gmk_test_assert_lt(n, 100 * (GMK_DEFAULT_MAX_YIELDS + 1));
    gmk_test_assert_eq(bad, 0);
    ctx = gmk_host_attach(&kernel, &host);
    kit_submit(&kernel, kit_task(STAY, GMK_PRIO_NORMAL, 0));
    gmk_test_assert(kit_until(&stays, 1));
    gmk_test_assert_eq(gmk_watchdog_scan(ctx), 0);
    for (uint32_t i = 1; i <= GMK_WATCHDOG_MISSES; i++)
        gmk_test_assert_eq(gmk_watchdog_scan(ctx), i == GMK_WATCHDOG_MISSES);
    kit_set(&go, 1);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    kit_idle(&kernel);
    kit_halt(&kernel);
}
