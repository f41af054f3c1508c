/* SPDX-License-Identifier: MIT
 * Traces: levels, forcing, sampling, full rings, reading, and every event provoked.
 * Floor: tests. Source: SPEC OBS-5 to OBS-17, ACC-9; ARCHITECTURE R10. */
#include "kernel_env.h"

enum { LOUD = 1, RETRIER, FAILER, YIELDER, USER, ALLOC, EMIT, MSG, HOG, SPIN, STAY, KEPT };
enum { ECHO = 40 };
#define EVENTS 256u

typedef struct load {
    gmk_a32_t runs, stays, go_on;
    uint32_t chan;
    uint32_t fini_seen[EVENTS]; /* events read in fini, when nobody runs any more */
    void *blocks[4096];
} load_t;

static load_t load;
static gmk_kernel_t kernel;
static uint32_t seen[EVENTS];

static int on_plain(gmk_ctx_t *ctx)
{
    kit_add(&((load_t *)ctx->user)->runs, 1);
    return GMK_OK;
}

static int on_retrier(gmk_ctx_t *ctx) { return gmk_retries(ctx) == 0 ? GMK_RETRY : GMK_OK; }

/* A marked message is retried until the test lets it go. */
static int on_kept(gmk_ctx_t *ctx)
{
    return ctx->task->meta0 != 0 && kit_get(&load.go_on) == 0 ? GMK_RETRY : GMK_OK;
}

static int on_failer(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_FAIL(4);
}

static int on_yielder(gmk_ctx_t *ctx)
{
    if (ctx->task->yield_count < ctx->task->meta0)
        gmk_yield(ctx);
    return GMK_OK;
}

static int on_user(gmk_ctx_t *ctx)
{
    gmk_trace(ctx, GMK_EV_USER + 5, 11, 22);
    gmk_trace(ctx, GMK_EV_TASK_FAIL, 1, 2); /* a module may use the kernel's, at their level */
    return GMK_OK;
}

static int on_alloc(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    uint32_t n = 0;

    while (n < GMK_ARRAY_LEN(l->blocks) && (l->blocks[n] = gmk_alloc(ctx, GMK_BLOCK_MAX)) != NULL)
        n++;
    while (n-- != 0)
        gmk_free(ctx, l->blocks[n]);
#ifndef GMK_DEBUG /* a bad free is a panic there */
    gmk_free(ctx, l);
#endif
    return GMK_OK;
}

static int on_emit(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    gmk_task_t t = kit_task(MSG, GMK_PRIO_NORMAL, 0);

    for (uint32_t i = 0; i < 8; i++)
        (void)!gmk_chan_emit(ctx, l->chan, &t);
    return GMK_OK;
}

/* Takes all blocks that a spill could use, until the next call gives them back. */
static int on_hog(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    uint32_t n = 0;

    if (ctx->task->meta0 == 0)
        while (n < GMK_ARRAY_LEN(l->blocks) && (l->blocks[n] = gmk_alloc(ctx, 4096)) != NULL)
            n++;
    else
        for (; n < GMK_ARRAY_LEN(l->blocks) && l->blocks[n] != NULL; n++) {
            gmk_free(ctx, l->blocks[n]);
            l->blocks[n] = NULL;
        }
    kit_add(&l->runs, 1);
    return GMK_OK;
}

/* Says for itself who runs it and what number it has. */
static int on_echo(gmk_ctx_t *ctx)
{
    gmk_trace(ctx, GMK_EV_USER, gmk_self_worker(ctx), ctx->task->seq);
    return GMK_OK;
}

static int on_spin(gmk_ctx_t *ctx)
{
    uint64_t begin = gmk_hal_now_ns();

    /* Far beyond: the worker's own clock may lag a little. */
    while (!gmk_budget_spent(ctx) || gmk_hal_now_ns() - begin < 20000)
        gmk_hal_relax();
    return GMK_OK;
}

static int on_stay(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    kit_add(&l->stays, 1);
    kit_until(&l->go_on, 1);
    return GMK_OK;
}

/* A budget that no pause of the machine outruns: where records are counted. */
#define LONG (1ull << 50)

static gmk_handler_reg_t loud_handlers[] = {
    {.type = LOUD, .fn = on_plain, .budget_ns = LONG},
    {.type = RETRIER, .fn = on_retrier, .budget_ns = LONG},
    {.type = FAILER, .fn = on_failer, .budget_ns = LONG},
    {.type = USER, .fn = on_user, .budget_ns = LONG},
    {.type = ALLOC, .fn = on_alloc},
    {.type = EMIT, .fn = on_emit},
    {.type = HOG, .fn = on_hog},
    {.type = SPIN, .fn = on_spin, .budget_ns = 100},
    {.type = STAY, .fn = on_stay},
    {.type = ECHO, .fn = on_echo, .budget_ns = LONG},
    {.type = YIELDER, .fn = on_yielder, .max_yields = 5000, .budget_ns = LONG}};
static gmk_module_t loud = {.name = "loud",
                            .handlers = loud_handlers,
                            .n_handlers = GMK_ARRAY_LEN(loud_handlers),
                            .user = &load};

static gmk_handler_reg_t sink_handlers[] = {{.type = MSG, .fn = on_plain},
                                            {.type = KEPT, .fn = on_kept}};
static gmk_chan_decl_t sink_chans[] = {
    {.name = "sink", .direction = GMK_CHAN_CONSUME, .msg_type = MSG, .slots = 4},
    {.name = "kept",
     .direction = GMK_CHAN_CONSUME,
     .msg_type = KEPT,
     .guarantee = GMK_CHAN_LOSSLESS,
     .slots = 4,
     .replay_slots = 4}};

static int sink_init(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    l->chan = (uint32_t)gmk_chan_find(ctx, "sink");
    return gmk_trace_set_level(ctx->kernel, NULL, GMK_TRACE_ALL);
}

static void drain(gmk_kernel_t *k, uint32_t *count)
{
    gmk_trace_ev_t ev;

    while (gmk_trace_read(k, &ev) == GMK_OK)
        count[ev.ev_type % EVENTS]++;
}

static int sink_fini(gmk_ctx_t *ctx)
{
    drain(ctx->kernel, ((load_t *)ctx->user)->fini_seen);
    return GMK_OK;
}

static gmk_module_t sink = {.name = "sink",
                            .handlers = sink_handlers,
                            .n_handlers = 2,
                            .channels = sink_chans,
                            .n_channels = 2,
                            .init = sink_init,
                            .fini = sink_fini,
                            .user = &load};

static bool begin(const gmk_boot_cfg_t *cfg)
{

#ifdef GMK_STRIP_TRACE
    gmk_test_skip("this build has no traces");
    return false;
#endif
    gmk_hal_memset(&load, 0, sizeof(load));
    gmk_hal_memset(seen, 0, sizeof(seen));
    return kit_boot(&kernel, cfg, &loud);
}

/* No warnings of the kernel's own, of a batch that took long, say. */
static void calm(void)
{
    gmk_test_assert_eq(gmk_trace_set_level(&kernel, NULL, GMK_TRACE_ERROR), GMK_OK);
}

static void run(uint32_t type, uint32_t flags, uint64_t meta0)
{
    gmk_task_t t = kit_task(type, GMK_PRIO_NORMAL | flags, meta0);

    kit_submit(&kernel, t);
    kit_idle(&kernel);
}

static void read_all(void)
{
    gmk_hal_memset(seen, 0, sizeof(seen));
    drain(&kernel, seen);
}

/* Levels. ------------------------------------------------------------------------- */

GMK_TEST(trace_default_level_is_warn)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};

    if (!begin(&cfg))
        return;
    run(LOUD, 0, 0);
    run(FAILER, 0, 0);
    run(RETRIER, 0, 0);
    gmk_test_assert(kit_idle(&kernel));
    gmk_test_assert(kit_until_metric(&kernel, GMK_METRIC_TASKS_COMPLETED, 2));
    kit_idle(&kernel);
    read_all();
    gmk_test_assert_eq(seen[GMK_EV_TASK_FAIL], 1);
    gmk_test_assert_eq(seen[GMK_EV_TASK_RETRY], 1);
    gmk_test_assert_eq(seen[GMK_EV_TASK_START] + seen[GMK_EV_TASK_END], 0);
    gmk_test_assert_eq(seen[GMK_EV_WORKER_PARK] + seen[GMK_EV_BOOT], 0);
    kit_halt(&kernel);
}

/* Events of the kernel's own have a level of their own, whatever ran last. */
GMK_TEST(trace_kernel_events_do_not_follow_the_last_module)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};

    if (!begin(&cfg))
        return;
    gmk_test_assert_eq(gmk_trace_set_level(&kernel, "loud", GMK_TRACE_ALL), GMK_OK);
    run(LOUD, 0, 0);
    read_all();
    gmk_test_assert_eq(seen[GMK_EV_TASK_END], 1);
    gmk_test_assert_eq(seen[GMK_EV_WORKER_PARK], 0);
    gmk_test_assert_eq(gmk_trace_set_level(&kernel, NULL, GMK_TRACE_INFO), GMK_OK);
    gmk_test_assert_eq(gmk_trace_set_level(&kernel, "loud", GMK_TRACE_OFF), GMK_OK);
    run(LOUD, 0, 0);
    read_all();
    gmk_test_assert_eq(seen[GMK_EV_TASK_END], 0);
    gmk_test_assert_ge(seen[GMK_EV_WORKER_PARK], 1);
    kit_halt(&kernel);
}

GMK_TEST(trace_flag_of_a_task_forces_its_events)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    gmk_trace_ev_t ev;
    uint32_t n = 0;

    if (!begin(&cfg))
        return;
    gmk_test_assert_eq(gmk_trace_set_level(&kernel, NULL, GMK_TRACE_OFF), GMK_OK);
    gmk_test_assert_eq(gmk_trace_set_sample_rate(&kernel, 0), GMK_OK);
    run(YIELDER, GMK_TF_EMIT_TRACE, 1);
    run(YIELDER, 0, 1);
    run(FAILER, GMK_TF_EMIT_TRACE, 0);
    run(FAILER, 0, 0);
    run(USER, GMK_TF_EMIT_TRACE, 0);
    run(USER, 0, 0);
    while (gmk_trace_read(&kernel, &ev) == GMK_OK) {
        gmk_test_assert_eq(ev.flags, 0);
        gmk_test_assert_eq(ev.sample_rate, GMK_TRACE_RATE_ONE);
        if (ev.ev_type < EVENTS)
            seen[ev.ev_type]++;
        n++;
    }
    gmk_test_assert_eq(seen[GMK_EV_TASK_YIELD], 1);
    gmk_test_assert_eq(seen[GMK_EV_TASK_START], 4);
    gmk_test_assert_eq(seen[GMK_EV_TASK_END], 2);
    gmk_test_assert_eq(seen[GMK_EV_TASK_FAIL], 2); /* one is the user handler's own */
    gmk_test_assert_eq(n, 10);
    kit_halt(&kernel);
}

/* Records. ------------------------------------------------------------------------ */

/* OBS-5: 32 bytes, aligned to 16, each field where readers of other kernels look for it. */
GMK_TEST(trace_record_layout)
{
    gmk_test_assert_eq(sizeof(gmk_trace_ev_t), 32);
    gmk_test_assert_eq(__alignof__(gmk_trace_ev_t), 16);
    gmk_test_assert_eq(offsetof(gmk_trace_ev_t, tsc), 0);
    gmk_test_assert_eq(offsetof(gmk_trace_ev_t, ev_type), 8);
    gmk_test_assert_eq(offsetof(gmk_trace_ev_t, tenant), 12);
    gmk_test_assert_eq(offsetof(gmk_trace_ev_t, type), 14);
    gmk_test_assert_eq(offsetof(gmk_trace_ev_t, arg0), 16);
    gmk_test_assert_eq(offsetof(gmk_trace_ev_t, arg1), 20);
    gmk_test_assert_eq(offsetof(gmk_trace_ev_t, flags), 24);
    gmk_test_assert_eq(offsetof(gmk_trace_ev_t, sample_rate), 28);
    gmk_test_assert_eq(sizeof(((gmk_trace_ev_t *)NULL)->tsc), 8);
    gmk_test_assert_eq(sizeof(((gmk_trace_ev_t *)NULL)->tenant), 2);
}

/* OBS-7: start and end name the worker and the task's seq, as the handler itself sees them. */
GMK_TEST(trace_task_events_carry_worker_and_seq)
{
    static const uint32_t order[] = {GMK_EV_TASK_START, GMK_EV_USER, GMK_EV_TASK_END};
    gmk_boot_cfg_t cfg = {.n_workers = 3};
    uint32_t step[3] = {0}, seq[3] = {0}, n[3] = {0}, bad = 0;
    gmk_trace_ev_t ev;

    if (!begin(&cfg))
        return;
    calm();
    for (uint32_t i = 0; i < 90; i++) {
        gmk_task_t t = kit_task(ECHO, GMK_PRIO_NORMAL | GMK_TF_EMIT_TRACE, 0);

        gmk_test_assert_eq(gmk_submit_to(&kernel, &t, i % 3), GMK_OK);
    }
    kit_idle(&kernel);
    while (gmk_trace_read(&kernel, &ev) == GMK_OK) {
        uint32_t w = ev.arg0;

        GMK_REQUIRE(gmk_test_assert_lt(w, 3));
        bad += ev.type != ECHO || ev.ev_type != order[step[w] % 3];
        if (step[w]++ % 3 == 0)
            seq[w] = ev.arg1;
        bad += ev.arg1 != seq[w]; /* the same through the three of one task */
        n[w]++;
    }
    gmk_test_assert_eq(bad, 0);
    for (uint32_t w = 0; w < 3; w++)
        gmk_test_assert_eq(n[w], 90);
    kit_halt(&kernel);
}

/* Sampling. ----------------------------------------------------------------------- */

/* OBS-12: what is below ALL is kept whole, whatever the rate. */
GMK_TEST(trace_sampling_spares_events_below_all)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    uint32_t n = 0, wrong = 0;
    gmk_trace_ev_t ev;

    if (!begin(&cfg))
        return;
    calm();
    gmk_test_assert_eq(gmk_trace_set_level(&kernel, "loud", GMK_TRACE_ALL), GMK_OK);
    gmk_test_assert_eq(gmk_trace_set_sample_rate(&kernel, 0), GMK_OK);
    for (uint32_t i = 0; i < GMK_POISON_RATE; i++) /* one more would poison it */
        run(FAILER, 0, 0);
    while (gmk_trace_read(&kernel, &ev) == GMK_OK) {
        wrong +=
            ev.ev_type != GMK_EV_TASK_FAIL || ev.flags != 0 || ev.sample_rate != GMK_TRACE_RATE_ONE;
        n++;
    }
    gmk_test_assert_eq(n, GMK_POISON_RATE);
    gmk_test_assert_eq(wrong, 0);
    kit_halt(&kernel);
}

GMK_TEST(trace_sampling_at_rate_zero_keeps_nothing)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};

    if (!begin(&cfg))
        return;
    calm();
    gmk_test_assert_eq(gmk_trace_set_level(&kernel, "loud", GMK_TRACE_ALL), GMK_OK);
    gmk_test_assert_eq(gmk_trace_set_sample_rate(&kernel, 0), GMK_OK);
    for (uint32_t i = 0; i < 100; i++)
        run(LOUD, 0, 0);
    gmk_test_assert_eq(gmk_trace_total(&kernel), 0);
    gmk_test_assert_eq(gmk_trace_set_sample_rate(&kernel, GMK_TRACE_RATE_ONE), GMK_OK);
    run(LOUD, 0, 0);
    gmk_test_assert_eq(gmk_trace_total(&kernel), 2);
    kit_halt(&kernel);
}

/* Rings. -------------------------------------------------------------------------- */

GMK_TEST(trace_full_ring_drops_the_new_and_counts)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .trace_slots = 16};
    gmk_trace_ev_t ev;
    uint32_t first = 0;

    if (!begin(&cfg))
        return;
    calm();
    for (uint32_t round = 1; round <= 3; round++) {
        for (uint32_t i = 0; i < 50; i++)
            run(LOUD, GMK_TF_EMIT_TRACE, 0);
        gmk_test_assert_eq(gmk_trace_total(&kernel), 100 * round);
        gmk_test_assert_eq(gmk_trace_dropped(&kernel), 84 * round);
        for (uint32_t i = 0; i < 16; i++) {
            GMK_REQUIRE(gmk_test_assert_eq(gmk_trace_read(&kernel, &ev), GMK_OK));
            gmk_test_assert_eq(ev.ev_type, i & 1 ? GMK_EV_TASK_END : GMK_EV_TASK_START);
            gmk_test_assert_eq(ev.arg0, 0);
            if (i == 0)
                first = ev.arg1;
            gmk_test_assert_eq(ev.arg1, first + i / 2); /* the oldest ones are kept */
        }
        gmk_test_assert_eq(gmk_trace_read(&kernel, &ev), GMK_E_NOT_FOUND);
    }
    kit_halt(&kernel);
}

GMK_TEST(trace_read_merges_rings_in_order_of_time)
{
    gmk_boot_cfg_t cfg = {.n_workers = 4, .n_tenants = 3};
    uint32_t n = 0, tenants = 0;
    uint64_t last = 0;
    gmk_trace_ev_t ev;

    if (!begin(&cfg))
        return;
    calm();
    for (uint32_t i = 0; i < 600; i++) {
        gmk_task_t t = kit_task(LOUD, GMK_TF_EMIT_TRACE | (i & 3), 0);

        t.tenant = (uint16_t)(i % 3);
        gmk_test_assert_eq(gmk_submit_to(&kernel, &t, i % 4), GMK_OK);
        if (i % 16 == 0)
            kit_idle(&kernel);
    }
    kit_idle(&kernel);
    while (gmk_trace_read(&kernel, &ev) == GMK_OK) {
        gmk_test_assert_ge(ev.tsc, last);
        last = ev.tsc;
        gmk_test_assert_lt(ev.arg0, 4);
        tenants |= 1u << ev.tenant;
        n++;
    }
    gmk_test_assert_eq(n, 1200);
    gmk_test_assert_eq(tenants, 7);
    gmk_test_assert_eq(gmk_trace_total(&kernel), 1200);
    kit_halt(&kernel);
}

static void *reader(void *arg)
{
    kit_thread_t *t = arg;
    uint64_t *count = t->user;
    gmk_trace_ev_t ev;

    kit_until(t->go, 1);
    while (kit_get(t->go) == 1 || count[1] == 0) {
        bool stop = kit_get(t->go) != 1;

        while (gmk_trace_read(&kernel, &ev) == GMK_OK)
            count[0]++;
        count[1] = stop;
        gmk_hal_relax();
    }
    return NULL;
}

/* OBS-9: the kernel's own rings are read directly; a reader beside running workers gets every
 * record that was not dropped, once. */
GMK_TEST(trace_reader_beside_writers_gets_every_record)
{
    static kit_thread_t thread[1];
    gmk_boot_cfg_t cfg = {.n_workers = 3, .trace_slots = 64};
    uint32_t n = (uint32_t)gmk_test_scale(20000, 1000);
    uint64_t count[2] = {0};
    gmk_a32_t go;

    if (!begin(&cfg))
        return;
    calm();
    kit_start(thread, 1, &go, reader, count);
    for (uint32_t i = 0; i < n; i++)
        kit_submit(&kernel, kit_task(LOUD, GMK_TF_EMIT_TRACE | (i & 3), 0));
    kit_idle(&kernel);
    kit_set(&go, 2);
    kit_join(thread, 1);
    gmk_test_assert_eq(gmk_trace_total(&kernel), 2 * n);
    gmk_test_assert_eq(count[0] + gmk_trace_dropped(&kernel), 2 * n);
    kit_halt(&kernel);
}

/* Events. ------------------------------------------------------------------------- */

GMK_TEST(trace_every_event_has_a_name_a_text_and_a_level)
{
    static const uint32_t numbers[] = {
#define X(name, number, level, text) number,
#include "ggmk/trace_events.def"
#undef X
    };

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(numbers); i++) {
        gmk_test_assert(gmk_trace_event_name(numbers[i]) != NULL);
        gmk_test_assert(gmk_trace_event_text(numbers[i]) != NULL);
        gmk_test_assert_ge(gmk_trace_event_level(numbers[i]), GMK_TRACE_ERROR);
        gmk_test_assert_le(gmk_trace_event_level(numbers[i]), GMK_TRACE_ALL);
        for (uint32_t j = 0; j < i; j++)
            gmk_test_assert_ne(numbers[i], numbers[j]);
    }
    gmk_test_assert_str_eq(gmk_trace_event_name(GMK_EV_TASK_FAIL), "TASK_FAIL");
    gmk_test_assert(gmk_trace_event_name(0) == NULL && gmk_trace_event_text(0xffff) == NULL);
    gmk_test_assert_eq(gmk_trace_event_level(GMK_EV_USER), GMK_TRACE_INFO);
}

/* Yields that neither the local queue nor the bucket nor the arena takes. */
static void provoke_yield_overflow(void)
{
    kit_submit(&kernel, kit_task(HOG, 0, 0));
    gmk_test_assert(kit_until(&load.runs, 1));
    for (uint32_t i = 0; i < 60; i++)
        kit_submit(&kernel, kit_task(YIELDER, GMK_PRIO_NORMAL, 3000));
    kit_idle(&kernel);
    run(HOG, 0, 1);
}

/* The worker stays in a handler for some scans. */
static void provoke_watchdog(void)
{
    gmk_host_t host;
    gmk_ctx_t *ctx = gmk_host_attach(&kernel, &host);

    GMK_REQUIRE(ctx != NULL);
    kit_submit(&kernel, kit_task(STAY, GMK_PRIO_NORMAL, 0));
    gmk_test_assert(kit_until(&load.stays, 1));
    for (uint32_t i = 0; i <= GMK_WATCHDOG_MISSES; i++)
        gmk_test_assert_eq(gmk_watchdog_scan(ctx), i == GMK_WATCHDOG_MISSES);
    kit_set(&load.go_on, 1);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    kit_idle(&kernel);
}

/* A channel is opened, a message stays in it, it is closed. */
static void provoke_drop(gmk_ctx_t *ctx)
{
    gmk_task_t t = kit_task(MSG, GMK_PRIO_NORMAL, 0);
    int id = gmk_chan_open(ctx, "lost", GMK_CHAN_P2P, 4);

    GMK_REQUIRE(id > 0);
    gmk_test_assert_eq(gmk_chan_emit(ctx, (uint32_t)id, &t), GMK_OK);
    gmk_test_assert_eq(gmk_chan_close(ctx, (uint32_t)id), GMK_OK);
}

/* Waits until no task is left, not even one that waits for its retry. */
static bool until_all_settled(void)
{
    uint64_t begin_ns = gmk_hal_now_ns();

    while (gmk_metric_get(&kernel, GMK_METRIC_TASKS_COMPLETED) +
               gmk_metric_get(&kernel, GMK_METRIC_TASKS_FAILED) +
               gmk_metric_get(&kernel, GMK_METRIC_TASKS_DEAD) <
           gmk_metric_get(&kernel, GMK_METRIC_TASKS_ACCEPTED)) {
        if (gmk_hal_now_ns() - begin_ns > KIT_WAIT_NS)
            return false;
        gmk_hal_relax();
    }
    return true;
}

/* The first message waits for its retry while more come than its channel keeps. */
static void provoke_replay_overflow(gmk_ctx_t *ctx)
{
    gmk_task_t t = kit_task(KEPT, GMK_PRIO_NORMAL, 1);
    int id = gmk_chan_find(ctx, "kept");

    GMK_REQUIRE(id > 0);
    kit_set(&load.go_on, 0);
    for (uint32_t i = 0; i < 1000 && seen[GMK_EV_CHAN_REPLAY_OVERFLOW] == 0; i++) {
        gmk_test_assert_eq(gmk_chan_emit(ctx, (uint32_t)id, &t), GMK_OK);
        t.meta0 = 0;
        kit_idle(&kernel);
        drain(&kernel, seen);
    }
    kit_set(&load.go_on, 1);
    gmk_test_assert(until_all_settled());
    kit_set(&load.go_on, 0);
}

static void provoke_channels(void)
{
    gmk_host_t host;
    gmk_ctx_t *ctx = gmk_host_attach(&kernel, &host);

    GMK_REQUIRE(ctx != NULL);
    gmk_test_assert_eq(gmk_trace_set_level(&kernel, NULL, GMK_TRACE_INFO), GMK_OK);
    provoke_drop(ctx);
    gmk_test_assert_eq(gmk_trace_set_level(&kernel, NULL, GMK_TRACE_WARN), GMK_OK);
    provoke_replay_overflow(ctx);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    drain(&kernel, seen);
}

/* R10, OBS-6: everything that this code can emit. */
GMK_TEST(trace_every_event_is_emitted_by_something)
{
    static const uint32_t all[] = {
#define X(name, number, level, text) number,
#include "ggmk/trace_events.def"
#undef X
    };
    gmk_module_t *mods[] = {&sink, &loud};
    gmk_boot_cfg_t cfg = {.n_workers = 1,
                          .lq_slots = 8,
                          .rq_slots = 64,
                          .overflow_slots = 2,
                          .arena_size = 4u << 20,
                          .batch_size = 1};
    gmk_task_t t = kit_task(LOUD, 0, 0);

#ifdef GMK_STRIP_TRACE
    gmk_test_skip("this build has no traces");
    return;
#endif
    gmk_hal_memset(&load, 0, sizeof(load));
    gmk_hal_memset(seen, 0, sizeof(seen));
    GMK_REQUIRE(kit_boot_mods(&kernel, &cfg, mods, 2));
    kit_idle(&kernel);
    run(EMIT, 0, 0);
    run(YIELDER, 0, 1);
    drain(&kernel, seen);
    /* What follows would fill the rings with events of no interest. */
    provoke_channels();
    gmk_test_assert_eq(gmk_trace_set_level(&kernel, NULL, GMK_TRACE_WARN), GMK_OK);
    provoke_yield_overflow();
    drain(&kernel, seen);
    gmk_test_assert_ge(gmk_metric_get(&kernel, GMK_METRIC_YIELD_OVERFLOWS), 1);
    run(SPIN, 0, 0);
    run(ALLOC, 0, 0);
    run(YIELDER, 0, 6000);
    run(RETRIER, 0, 0);
    gmk_test_assert_eq(gmk_trace_set_level(&kernel, NULL, GMK_TRACE_ALL), GMK_OK);
    for (uint32_t i = 0; i < GMK_POISON_RATE + 2; i++) {
        run(FAILER, 0, 0);
        drain(&kernel, seen);
    }
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(gmk_submit_after(&kernel, &t, 1ull << 50), GMK_OK);
    provoke_watchdog();
    drain(&kernel, seen);
    kit_halt(&kernel);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(all); i++) {
        bool expected = true;

#ifdef GMK_DEBUG
        expected &= all[i] != GMK_EV_BAD_FREE;
#endif
        gmk_test_assert_named((seen[all[i]] + load.fini_seen[all[i]] != 0) == expected,
                              gmk_trace_event_name(all[i]));
    }
}
