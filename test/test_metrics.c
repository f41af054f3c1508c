/* SPDX-License-Identifier: MIT
 * Counters: they equal what was done, for tenants, workers and readers without a kernel,
 * whatever is traced.
 * Floor: tests. Source: SPEC OBS-1 to OBS-4, OBS-16, ACC-9; ARCHITECTURE R10. */
#include "kernel_env.h"

enum { OK = 1, YIELDER, RETRIER, FAILER, SPAWNER, COUNTER, MSG, EMIT, GATE };

typedef struct load {
    gmk_a32_t runs, open, entered;
    uint32_t chan;
} load_t;

static load_t load;
static gmk_kernel_t kernel;

static int on_ok(gmk_ctx_t *ctx)
{
    kit_add(&((load_t *)ctx->user)->runs, 1);
    return GMK_OK;
}

static int on_yielder(gmk_ctx_t *ctx)
{
    if (ctx->task->yield_count < 3)
        gmk_yield(ctx);
    return GMK_OK;
}

static int on_retrier(gmk_ctx_t *ctx) { return gmk_retries(ctx) < 2 ? GMK_RETRY : GMK_OK; }

static int on_failer(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_FAIL;
}

static int on_spawner(gmk_ctx_t *ctx)
{
    gmk_task_t t = kit_task(OK, GMK_PRIO_NORMAL, 0);

    t.tenant = ctx->task->tenant;
    for (uint32_t i = 0; i < 5; i++)
        if (gmk_emit(ctx, &t) != GMK_OK)
            return GMK_FAIL;
    t.type = 200;
    return gmk_emit(ctx, &t) == GMK_E_NO_HANDLER ? GMK_OK : GMK_FAIL;
}

static int on_counter(gmk_ctx_t *ctx)
{
    gmk_metric_inc(ctx, GMK_METRIC_CHAN_DROPS, 7);
    gmk_metric_inc(ctx, GMK_METRIC_COUNT, 1000);
    gmk_metric_inc(ctx, UINT32_MAX, 1000);
    gmk_metric_inc(NULL, GMK_METRIC_CHAN_DROPS, 1000);
    return GMK_OK;
}

/* Ten messages to a channel of four slots whose consumer waits for this handler. */
static int on_emit(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    gmk_task_t t = kit_task(MSG, GMK_PRIO_NORMAL, 0);

    for (uint32_t i = 0; i < 10; i++)
        (void)!gmk_chan_emit(ctx, l->chan, &t);
    return GMK_OK;
}

static int on_gate(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    kit_add(&l->entered, 1);
    kit_until(&l->open, 1);
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {
    {.type = OK, .fn = on_ok},           {.type = YIELDER, .fn = on_yielder},
    {.type = RETRIER, .fn = on_retrier}, {.type = FAILER, .fn = on_failer},
    {.type = SPAWNER, .fn = on_spawner}, {.type = COUNTER, .fn = on_counter},
    {.type = EMIT, .fn = on_emit},       {.type = GATE, .fn = on_gate}};

static int init(gmk_ctx_t *ctx)
{
    int id = gmk_chan_find(ctx, "c");

    ((load_t *)ctx->user)->chan = (uint32_t)id;
    return id > 0 ? GMK_OK : id;
}

static gmk_module_t module = {.name = "metrics",
                              .handlers = handlers,
                              .n_handlers = GMK_ARRAY_LEN(handlers),
                              .init = init,
                              .user = &load};
static gmk_handler_reg_t sink_handlers[] = {{.type = MSG, .fn = on_ok}};
static gmk_chan_decl_t sink_chans[] = {
    {.name = "c", .direction = GMK_CHAN_CONSUME, .msg_type = MSG, .slots = 4}};
static gmk_module_t sink = {.name = "sink",
                            .handlers = sink_handlers,
                            .n_handlers = 1,
                            .channels = sink_chans,
                            .n_channels = 1,
                            .user = &load};

static bool begin(const gmk_boot_cfg_t *cfg)
{
    gmk_module_t *mods[] = {&module, &sink};

    gmk_hal_memset(&load, 0, sizeof(load));
    return kit_boot_mods(&kernel, cfg, mods, 2);
}

static uint64_t get(uint32_t id) { return gmk_metric_get(&kernel, id); }

static void submit(uint32_t type, uint32_t tenant)
{
    gmk_task_t t = kit_task(type, GMK_PRIO_NORMAL, 0);

    t.tenant = (uint16_t)tenant;
    kit_submit(&kernel, t);
}

/* A known amount of each kind of work for each of two tenants: n, and twice as much. */
static void work(uint32_t n)
{
    gmk_tick_advance(&kernel); /* from the first tick on, retries wait for one */
    for (uint32_t i = 0; i < 3 * n; i++) {
        uint32_t tenant = i % 3 != 0;

        submit(OK, tenant);
        submit(YIELDER, tenant);
        submit(RETRIER, tenant);
        if (i < 24) /* fewer than poison a type */
            submit(FAILER, tenant);
        submit(SPAWNER, tenant);
    }
    while (get(GMK_METRIC_TASKS_COMPLETED) < 3 * n * 9) {
        gmk_tick_advance(&kernel);
        kit_idle(&kernel);
    }
}

static void check_sums(uint32_t n, uint32_t failed)
{
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_ACCEPTED), 3 * n * 9 + failed);
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_COMPLETED), 3 * n * 9);
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_FAILED), failed);
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_YIELDED), 9 * n);
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_RETRIED), 6 * n);
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_DEAD), 0);
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_REJECTED), 3 * n);
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_ENQUEUED), get(GMK_METRIC_TASKS_ACCEPTED) +
                                                           get(GMK_METRIC_TASKS_YIELDED) +
                                                           get(GMK_METRIC_TASKS_RETRIED));
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_DEQUEUED), get(GMK_METRIC_TASKS_ENQUEUED));
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_DISPATCHED), get(GMK_METRIC_TASKS_ENQUEUED));
    gmk_test_assert_eq(get(GMK_METRIC_ENVELOPES_LOST), failed);
    gmk_test_assert_eq(get(GMK_METRIC_TIMERS_SET), get(GMK_METRIC_TIMERS_FIRED));
}

GMK_TEST(metrics_equal_what_was_done)
{
    gmk_boot_cfg_t cfg = {.n_workers = 3, .n_tenants = 2, .flags = GMK_BOOT_MANUAL_TICKS};
    gmk_audit_report_t r;

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t id = 0; id < GMK_METRIC_COUNT; id++)
        if (id != GMK_METRIC_WORKER_PARKS && id != GMK_METRIC_WORKER_WAKES &&
            id != GMK_METRIC_GROUP_TURNS) /* a new subscription has a look at its channel */
            gmk_test_assert_named(get(id) == 0, gmk_metric_key(id));
    work(100);
    check_sums(100, 24);
    r = kit_halt(&kernel);
    gmk_test_assert_eq(r.completed, 2700);
    gmk_test_assert_eq(r.failed, 24);
}

/* OBS-4: gmk_metric_get, _get_tenant, _get_worker. */
GMK_TEST(metrics_of_tenants_and_workers_add_up)
{
    gmk_boot_cfg_t cfg = {.n_workers = 3, .n_tenants = 3, .flags = GMK_BOOT_MANUAL_TICKS};

    GMK_REQUIRE(begin(&cfg));
    work(50);
    kit_idle(&kernel);
    gmk_test_assert_eq(gmk_metric_get_tenant(&kernel, GMK_METRIC_TASKS_COMPLETED, 0), 450);
    gmk_test_assert_eq(gmk_metric_get_tenant(&kernel, GMK_METRIC_TASKS_COMPLETED, 1), 900);
    gmk_test_assert_eq(gmk_metric_get_tenant(&kernel, GMK_METRIC_TASKS_COMPLETED, 2), 0);
    gmk_test_assert_eq(gmk_metric_get_tenant(&kernel, GMK_METRIC_TASKS_YIELDED, 0), 150);
    gmk_test_assert_eq(gmk_metric_get_tenant(&kernel, GMK_METRIC_TASKS_RETRIED, 1), 200);
    for (uint32_t id = 0; id < GMK_METRIC_COUNT; id++) {
        uint64_t tenants = 0, workers = 0;

        for (uint32_t i = 0; i < 3; i++) {
            tenants += gmk_metric_get_tenant(&kernel, id, i);
            workers += gmk_metric_get_worker(&kernel, id, i);
        }
        gmk_test_assert_eq(tenants, get(id));
        /* What is counted outside is in no worker's row. */
        if (id == GMK_METRIC_TASKS_COMPLETED || id == GMK_METRIC_TASKS_YIELDED ||
            id == GMK_METRIC_TASKS_RETRIED || id == GMK_METRIC_TIMERS_SET)
            gmk_test_assert_eq(workers, get(id));
        else
            gmk_test_assert_le(workers, get(id));
    }
    gmk_test_assert_eq(gmk_metric_get_worker(&kernel, GMK_METRIC_TASKS_ACCEPTED, 0) +
                           gmk_metric_get_worker(&kernel, GMK_METRIC_TASKS_ACCEPTED, 1) +
                           gmk_metric_get_worker(&kernel, GMK_METRIC_TASKS_ACCEPTED, 2),
                       750); /* the spawned ones */
    kit_halt(&kernel);
}

/* A reader that knows the map alone. */
static uint64_t map_sum(const gmk_metrics_map_t *m, uint32_t id)
{
    uint64_t sum = 0;

    for (uint32_t r = 0; r < m->n_rows; r++) {
        gmk_a64_t *row = (gmk_a64_t *)((uintptr_t)m->base + r * (uintptr_t)m->stride);

        sum += gmk_load_acq(&row[id], GMK_DEV) & ~(1ull << 63); /* sync: obs.settled */
    }
    return sum;
}

GMK_TEST(metrics_map_reader_gets_the_same)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .n_tenants = 2, .flags = GMK_BOOT_MANUAL_TICKS};
    gmk_metrics_map_t m;
    uint64_t again;

    GMK_REQUIRE(begin(&cfg));
    work(20);
    gmk_test_assert_eq(gmk_metrics_map(NULL, &m), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_metrics_map(&kernel, NULL), GMK_E_INVALID);
    GMK_REQUIRE(gmk_metrics_map(&kernel, &m) == GMK_OK);
    gmk_test_assert_eq(m.count, GMK_METRIC_COUNT);
    gmk_test_assert_eq(m.n_rows, (2 + GMK_MAX_HOSTS + 1) * 2);
    for (uint32_t id = GMK_METRIC_TASKS_FAILED; id < GMK_METRIC_COUNT; id++) {
        if (id != GMK_METRIC_ALLOC_BYTES)
            gmk_test_assert_eq(map_sum(&m, id), get(id));
    }
    gmk_test_assert_le(map_sum(&m, GMK_METRIC_ALLOC_BYTES), get(GMK_METRIC_ALLOC_BYTES));
    again = map_sum(&m, GMK_METRIC_TASKS_YIELDED) + map_sum(&m, GMK_METRIC_TASKS_RETRIED);
    gmk_test_assert_eq(map_sum(&m, GMK_METRIC_TASKS_ACCEPTED) + again,
                       get(GMK_METRIC_TASKS_ENQUEUED));
    again += map_sum(&m, GMK_METRIC_TASKS_COMPLETED) + map_sum(&m, GMK_METRIC_TASKS_FAILED);
    gmk_test_assert_eq(again, get(GMK_METRIC_TASKS_DEQUEUED));
    gmk_test_assert_eq(again - map_sum(&m, GMK_METRIC_POISON_SKIPS),
                       get(GMK_METRIC_TASKS_DISPATCHED));
    kit_halt(&kernel);
}

GMK_TEST(metrics_do_not_depend_on_traces)
{
    static uint64_t first[GMK_METRIC_COUNT];
    gmk_boot_cfg_t cfg = {.n_workers = 1, .n_tenants = 2, .flags = GMK_BOOT_MANUAL_TICKS};

    for (uint32_t level = GMK_TRACE_OFF; level <= GMK_TRACE_ALL; level++) {
        GMK_REQUIRE(begin(&cfg));
        gmk_test_assert_eq(gmk_trace_set_level(&kernel, NULL, level), GMK_OK);
        gmk_test_assert_eq(gmk_trace_set_sample_rate(&kernel, level << 29), GMK_OK);
        work(30);
        check_sums(30, 24);
        for (uint32_t id = 0; id < GMK_METRIC_COUNT; id++) {
            if (level == GMK_TRACE_OFF)
                first[id] = get(id);
            else if (id != GMK_METRIC_WORKER_PARKS && id != GMK_METRIC_WORKER_WAKES &&
                     id != GMK_METRIC_BUDGET_OVERRUNS)
                gmk_test_assert_eq(get(id), first[id]);
        }
        kit_halt(&kernel);
    }
}

GMK_TEST(metrics_of_a_poisoned_type_count_what_was_skipped)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .flags = GMK_BOOT_MANUAL_TICKS};

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < GMK_POISON_RATE + 11; i++) {
        submit(FAILER, 0);
        kit_idle(&kernel);
    }
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_FAILED), GMK_POISON_RATE + 11);
    gmk_test_assert_eq(get(GMK_METRIC_POISON_SKIPS), 10);
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_DISPATCHED), GMK_POISON_RATE + 1);
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_DEQUEUED), GMK_POISON_RATE + 11);
    kit_halt(&kernel);
}

GMK_TEST(metrics_of_a_full_channel_count_emits_and_fulls)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};

    GMK_REQUIRE(begin(&cfg));
    submit(EMIT, 0);
    kit_idle(&kernel);
    gmk_test_assert_eq(get(GMK_METRIC_CHAN_EMITS), 4);
    gmk_test_assert_eq(get(GMK_METRIC_CHAN_FULL_COUNT), 6);
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_COMPLETED), 5);
    gmk_test_assert_ge(get(GMK_METRIC_GROUP_TURNS), 1);
    kit_halt(&kernel);
}

/* OBS-4: gmk_metric_inc. */
GMK_TEST(metrics_inc_of_a_module_counts_for_its_tenant)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .n_tenants = 2};
    uint64_t sum = 0;

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < 30; i++)
        submit(COUNTER, i % 3 == 0);
    kit_idle(&kernel);
    gmk_test_assert_eq(gmk_metric_get_tenant(&kernel, GMK_METRIC_CHAN_DROPS, 0), 140);
    gmk_test_assert_eq(gmk_metric_get_tenant(&kernel, GMK_METRIC_CHAN_DROPS, 1), 70);
    for (uint32_t id = 0; id < GMK_METRIC_COUNT; id++)
        sum += get(id) >= 1000;
    gmk_test_assert_eq(sum, 0);
    kit_halt(&kernel);
}

static void *read_on(void *arg)
{
    kit_thread_t *t = arg;
    uint64_t last = 0, *bad = t->user;

    kit_until(t->go, 1);
    while (kit_get(t->go) == 1) {
        uint64_t now = get(GMK_METRIC_TASKS_COMPLETED);

        *bad += now < last;
        last = now;
        gmk_hal_relax();
    }
    return NULL;
}

/* A reader beside running workers sees counts that only rise, and the right one last. */
GMK_TEST(metrics_read_beside_running_workers)
{
    static kit_thread_t thread[1];
    gmk_boot_cfg_t cfg = {.n_workers = 3};
    uint32_t n = (uint32_t)gmk_test_scale(50000, 2000);
    uint64_t bad = 0;
    gmk_a32_t go;

    GMK_REQUIRE(begin(&cfg));
    kit_start(thread, 1, &go, read_on, &bad);
    for (uint32_t i = 0; i < n; i++)
        submit(OK, 0);
    kit_idle(&kernel);
    kit_set(&go, 2);
    kit_join(thread, 1);
    gmk_test_assert_eq(bad, 0);
    gmk_test_assert_eq(get(GMK_METRIC_TASKS_COMPLETED), n);
    kit_halt(&kernel);
}

GMK_TEST(metrics_keys_and_texts_exist_and_differ)
{
    for (uint32_t i = 0; i < GMK_METRIC_COUNT; i++) {
        const char *key = gmk_metric_key(i);

        GMK_REQUIRE(key != NULL && gmk_metric_text(i) != NULL);
        for (uint32_t j = 0; j < i; j++) {
            const char *other = gmk_metric_key(j);
            size_t n = 0;

            while (key[n] != '\0' && key[n] == other[n])
                n++;
            gmk_test_assert_named(key[n] != other[n], key);
        }
    }
    gmk_test_assert(gmk_metric_key(GMK_METRIC_COUNT) == NULL);
    gmk_test_assert(gmk_metric_text(UINT32_MAX) == NULL);
    gmk_test_assert_str_eq(gmk_metric_key(GMK_METRIC_TASKS_ENQUEUED), "tasks.enqueued");
}

/* Null, a dead kernel and the like are in test_bad_args.c; here there is something to count. */
GMK_TEST(metrics_of_no_such_worker_or_tenant_are_zero)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};

    GMK_REQUIRE(begin(&cfg));
    submit(OK, 0);
    kit_idle(&kernel);
    gmk_test_assert_eq(gmk_metric_get_tenant(&kernel, GMK_METRIC_TASKS_COMPLETED, 1), 0);
    gmk_test_assert_eq(gmk_metric_get_worker(&kernel, GMK_METRIC_TASKS_COMPLETED, 1), 0);
    gmk_test_assert_eq(gmk_metric_get_worker(&kernel, GMK_METRIC_TASKS_COMPLETED, 0), 1);
    kit_halt(&kernel);
}
