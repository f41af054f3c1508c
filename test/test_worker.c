/* SPDX-License-Identifier: MIT
 * Workers: dispatch, yields, the circuit breaker, retries, failures, budgets, parking
 * and waking, what they tell about themselves.
 * Floor: tests. Source: SPEC T-9 to T-12, EQ-4 to EQ-8, SC-13, SC-16, ACC-5, ACC-8,
 * ACC-12; ARCHITECTURE R7, R8, R9; PEERS.md "Failures seen". */
#include "kernel_env.h"

enum { FIRST = 1, N_TYPES = 16 }; /* 1..16: one handler each */
enum { YIELDER = 20, PHASES, ENDLESS, NEVER, RETRIER, FAILER, BUDGET, EMITTER, PAYLOAD, GATE };
enum { AHEAD = 30 };
enum { WHO = 60 };
#define RECORDS 64u

typedef struct record {
    gmk_task_t task;
    uint32_t reason, code, type;
} record_t;

typedef struct load {
    gmk_a32_t runs, wrong, open, entered, spent;
    gmk_a32_t by_type[N_TYPES + 1];
    gmk_a32_t ticks[RECORDS]; /* when a retried task ran */
    gmk_a32_t n_ticks;
    uint32_t retries;     /* how often the retrier asks */
    uint32_t n_records;   /* serial: written by the error handler alone */
    record_t records[RECORDS];
    gmk_a32_t reported;
} load_t;

static load_t load;
static gmk_kernel_t kernel;

static int on_typed(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    uint32_t type = ctx->task->type;

    if (ctx->task->meta0 != type * 3ull || ctx->alloc == NULL || ctx->chan == NULL ||
        ctx->trace == NULL || ctx->metrics == NULL || ctx->sched == NULL ||
        ctx->kernel != &kernel || ctx->worker_id >= gmk_worker_count(&kernel) ||
        ctx->agent == NULL || gmk_self_worker(ctx) != ctx->worker_id)
        kit_add(&l->wrong, 1);
    kit_add(&l->by_type[type], 1);
    return GMK_OK;
}

/* One function a type, so that a wrong dispatch shows. */
#define TYPED(n)                                                                                   \
    static int on_type_##n(gmk_ctx_t *ctx)                                                         \
    {                                                                                              \
        if (ctx->task->type != n)                                                                  \
            kit_add(&((load_t *)ctx->user)->wrong, 1);                                             \
        return on_typed(ctx);                                                                      \
    }
TYPED(1) TYPED(2) TYPED(3) TYPED(4) TYPED(5) TYPED(6) TYPED(7) TYPED(8)
TYPED(9) TYPED(10) TYPED(11) TYPED(12) TYPED(13) TYPED(14) TYPED(15) TYPED(16)

/* Yields 3 times and sums in meta1. */
static int on_yielder(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    ctx->task->meta1 += ctx->task->meta0 + ctx->task->yield_count;
    if (ctx->task->yield_count < 3) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    if (ctx->task->meta0 != 1000 || ctx->task->meta1 != 4 * 1000 + 0 + 1 + 2 + 3)
        kit_add(&l->wrong, 1);
    kit_add(&l->runs, 1);
    return GMK_OK;
}

/* A machine of three phases: meta0 is the phase, meta1 the partial result. */
static int on_phases(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    gmk_task_t *t = ctx->task;

    if (t->meta0 != t->yield_count)
        kit_add(&l->wrong, 1);
    t->meta1 = t->meta1 * 10 + t->meta0;
    if (t->meta0 < 3) {
        gmk_yield_at(ctx, (uint32_t)t->meta0 + 1);
        return GMK_OK;
    }
    if (t->meta1 != 70123)
        kit_add(&l->wrong, 1);
    kit_add(&l->runs, 1);
    return GMK_OK;
}

static int on_endless(gmk_ctx_t *ctx)
{
    kit_add(&((load_t *)ctx->user)->runs, 1);
    gmk_yield(ctx);
    return GMK_OK;
}

static int on_retrier(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    uint32_t n = kit_add(&l->n_ticks, 1);

    if (n < RECORDS)
        kit_set(&l->ticks[n], gmk_tick(ctx));
    if (gmk_retries(ctx) < l->retries)
        return GMK_RETRY;
    kit_add(&l->runs, 1);
    return GMK_OK;
}

static int on_failer(gmk_ctx_t *ctx)
{
    kit_add(&((load_t *)ctx->user)->runs, 1);
    return (int)(int64_t)ctx->task->meta0;
}

/* Works until its budget is spent, then yields once. */
static int on_budget(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    uint64_t looks = gmk_test_scale(1000000000, 10000000);

    if (ctx->task->yield_count == 0) {
        while (!gmk_budget_spent(ctx) && --looks != 0)
            gmk_pause();
        kit_add(&l->spent, looks != 0);
        gmk_yield(ctx);
        return GMK_OK;
    }
    kit_add(&l->runs, 1);
    return GMK_OK;
}

/* The worker's time at the batch's edge may be ahead of the machine's clock a little. */
static int on_ahead(gmk_ctx_t *ctx)
{
    uint64_t now = ctx->agent->obs.now;

    ctx->agent->obs.now = gmk_hal_now_ns() + 1000000000;
    kit_add(&((load_t *)ctx->user)->spent, gmk_budget_spent(ctx));
    ctx->agent->obs.now = now;
    kit_add(&((load_t *)ctx->user)->runs, 1);
    return GMK_OK;
}

static int on_emitter(gmk_ctx_t *ctx)
{
    gmk_task_t t = kit_task(FIRST, GMK_PRIO_NORMAL, 3);

    if (gmk_emit(ctx, &t) != GMK_OK)
        kit_add(&((load_t *)ctx->user)->wrong, 1);
    return GMK_OK;
}

/* A payload must outlive every yield and retry of its task. */
static int on_payload(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    const uint32_t *p = (const uint32_t *)(uintptr_t)ctx->task->payload_ptr;

    for (uint32_t i = 0; i < ctx->task->payload_len / 4; i++)
        if (p[i] != (uint32_t)ctx->task->meta0 + i)
            kit_add(&l->wrong, 1);
    if (ctx->task->yield_count < 2) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    if (gmk_retries(ctx) < 2)
        return GMK_RETRY;
    kit_add(&l->runs, 1);
    return ctx->task->meta0 & 1 ? GMK_FAIL(3) : GMK_OK;
}

static int on_gate(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    kit_add(&l->entered, 1);
    kit_until(&l->open, 1);
    return GMK_OK;
}

#define T(n) {.type = n, .fn = on_type_##n, .name = "type"}
static gmk_handler_reg_t handlers[] = {
    T(1), T(2), T(3), T(4), T(5), T(6), T(7), T(8), T(9), T(10), T(11), T(12), T(13), T(14),
    T(15), T(16),
    {.type = YIELDER, .fn = on_yielder},
    {.type = PHASES, .fn = on_phases},
    {.type = ENDLESS, .fn = on_endless},
    {.type = NEVER, .fn = on_endless, .max_yields = GMK_YIELD_NEVER},
    {.type = RETRIER, .fn = on_retrier},
    {.type = FAILER, .fn = on_failer},
    {.type = BUDGET, .fn = on_budget, .budget_ns = 1000},
    {.type = EMITTER, .fn = on_emitter},
    {.type = PAYLOAD, .fn = on_payload},
    {.type = GATE, .fn = on_gate, .name = "gate"},
    {.type = AHEAD, .fn = on_ahead, .budget_ns = 1000000}};
static gmk_module_t module = {.name = "worker",
                              .handlers = handlers,
                              .n_handlers = GMK_ARRAY_LEN(handlers),
                              .user = &load};

/* The subscriber of sys.error. */
static int on_error(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    record_t *r = &l->records[l->n_records % RECORDS];

    r->task = *(const gmk_task_t *)(uintptr_t)ctx->task->payload_ptr;
    r->reason = (uint32_t)ctx->task->meta0 & 0xffff;
    r->code = (uint32_t)ctx->task->meta0 >> 16;
    r->type = (uint32_t)(ctx->task->meta0 >> 32);
    l->n_records++;
    kit_add(&l->reported, 1);
    return GMK_OK;
}

static gmk_handler_reg_t err_handlers[] = {{.type = GMK_TYPE_SYS_ERROR, .fn = on_error}};
static gmk_chan_decl_t err_chans[] = {
    {.name = "sys.error", .direction = GMK_CHAN_CONSUME, .msg_type = GMK_TYPE_SYS_ERROR}};
static gmk_module_t err_module = {.name = "errors",
                                  .handlers = err_handlers,
                                  .n_handlers = 1,
                                  .channels = err_chans,
                                  .n_channels = 1,
                                  .user = &load};

static bool begin(const gmk_boot_cfg_t *cfg)
{
    gmk_module_t *mods[] = {&module, &err_module};

    gmk_hal_memset(&load, 0, sizeof(load));
    return kit_boot_mods(&kernel, cfg, mods, 2);
}

static gmk_task_t task(uint32_t type, uint64_t meta0, uint64_t meta1)
{
    gmk_task_t t = kit_task(type, GMK_PRIO_NORMAL, meta0);

    t.meta1 = meta1;
    return t;
}

/* Dispatch. ----------------------------------------------------------------------- */

typedef struct sender {
    uint32_t each;
} sender_t;

static void *send_mixed(void *arg)
{
    kit_thread_t *t = arg;
    const sender_t *s = t->user;

    kit_until(t->go, 1);
    for (uint32_t i = 0; i < s->each; i++) {
        uint32_t type = FIRST + (i * 7 + t->index) % N_TYPES;

        kit_submit(&kernel, kit_task(type, i & 3, type * 3ull));
    }
    return NULL;
}

/* T-10, MOD-12, ACC-5. */
GMK_TEST(worker_acc5_16_handlers_mixed_types_each_reaches_its_own)
{
    static kit_thread_t threads[4];
    gmk_boot_cfg_t cfg = {.n_workers = 4};
    sender_t s = {.each = (uint32_t)gmk_test_scale(160000, 1600)};
    gmk_a32_t go;

    GMK_REQUIRE(begin(&cfg));
    kit_start(threads, 4, &go, send_mixed, &s);
    kit_join(threads, 4);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    for (uint32_t i = FIRST; i <= N_TYPES; i++)
        gmk_test_assert_eq(kit_get(&load.by_type[i]), 4 * s.each / N_TYPES);
    for (uint32_t i = 0; i < N_TYPES; i++) {
        gmk_handler_info_t info;

        gmk_test_assert_eq(gmk_handler_get_info(&kernel, i, &info), GMK_OK);
        gmk_test_assert_eq(info.type, FIRST + i);
        gmk_test_assert_eq(info.completed, 4 * s.each / N_TYPES);
    }
    gmk_test_assert_eq(kit_halt(&kernel).completed, 4 * s.each);
}

/* Yields. ------------------------------------------------------------------------- */

/* EQ-4, EQ-5, ACC-8. */
GMK_TEST(worker_acc8_handler_yields_3_times_and_keeps_its_numbers)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < 500; i++)
        kit_submit(&kernel, task(YIELDER, 1000, 0));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 500);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_TASKS_YIELDED), 1500);
    kit_halt(&kernel);
}

/* EQ-4, EQ-5, ACC-8. */
GMK_TEST(worker_acc8_yield_at_stores_the_phase)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .lq_slots = 8};

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < 500; i++)
        kit_submit(&kernel, task(PHASES, 0, 7));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 500);
    kit_halt(&kernel);
}

/* T-4, EQ-7, ACC-12. */
GMK_TEST(worker_yield_17th_trips_breaker)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    gmk_audit_report_t r;

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, task(ENDLESS, 0x1122334455667788ull, 0x99aabbccddeeff00ull));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), GMK_DEFAULT_MAX_YIELDS + 1);
    GMK_REQUIRE(gmk_test_assert_eq(load.n_records, 1));
    gmk_test_assert_eq(load.records[0].reason, GMK_ERR_YIELD_LIMIT);
    gmk_test_assert_eq(load.records[0].type, ENDLESS);
    gmk_test_assert_eq(load.records[0].task.type, ENDLESS);
    gmk_test_assert_eq(load.records[0].task.yield_count, GMK_DEFAULT_MAX_YIELDS + 1);
    gmk_test_assert_eq(load.records[0].task.meta0, 0x1122334455667788ull);
    gmk_test_assert_eq(load.records[0].task.meta1, 0x99aabbccddeeff00ull);
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_YIELD_LIMITS), 1);
    r = kit_halt(&kernel);
    gmk_test_assert_eq(r.failed, 1);
    gmk_test_assert_eq(r.completed, 1); /* the report */
}

/* EQ-7. */
GMK_TEST(worker_yield_never_trips_at_the_first)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, task(NEVER, 1, 2));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 1);
    gmk_test_assert_eq(load.n_records, 1);
    gmk_test_assert_eq(load.records[0].reason, GMK_ERR_YIELD_LIMIT);
    gmk_test_assert_eq(load.records[0].task.yield_count, 1);
    kit_halt(&kernel);
}

/* Retries. ------------------------------------------------------------------------ */

/* FM-2, ACC-10. */
GMK_TEST(worker_retry_backs_off_1_2_4_to_64_ticks_and_ends_at_16)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .flags = GMK_BOOT_MANUAL_TICKS};
    uint32_t wait = 1;

    GMK_REQUIRE(begin(&cfg));
    load.retries = UINT32_MAX;
    gmk_tick_advance(&kernel);
    kit_idle(&kernel); /* no batch is under way that began at tick 0 */
    kit_submit(&kernel, task(RETRIER, 5, 6));
    for (uint32_t i = 0; i < 1000; i++) {
        kit_idle(&kernel);
        gmk_tick_advance(&kernel);
    }
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.n_ticks), GMK_MAX_RETRIES + 1);
    for (uint32_t i = 1; i <= GMK_MAX_RETRIES; i++) {
        gmk_test_assert_eq(kit_get(&load.ticks[i]) - kit_get(&load.ticks[i - 1]), wait);
        wait = gmk_min32(2 * wait, GMK_RETRY_MAX_TICKS);
    }
    GMK_REQUIRE(gmk_test_assert_eq(load.n_records, 1));
    gmk_test_assert_eq(load.records[0].reason, GMK_ERR_RETRY_LIMIT);
    gmk_test_assert_eq(load.records[0].task.meta0, 5);
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_TASKS_RETRIED), GMK_MAX_RETRIES);
    gmk_test_assert_eq(kit_halt(&kernel).failed, 1);
}

/* FM-2. */
GMK_TEST(worker_retry_before_the_first_manual_tick_runs_again)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .flags = GMK_BOOT_MANUAL_TICKS};

    GMK_REQUIRE(begin(&cfg));
    load.retries = 3;
    kit_submit(&kernel, task(RETRIER, 0, 0));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 1);
    gmk_test_assert_eq(kit_get(&load.n_ticks), 4);
    kit_halt(&kernel);
}

/* FM-2. */
GMK_TEST(worker_retry_by_the_clock_ends_well)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};

    GMK_REQUIRE(begin(&cfg));
    load.retries = 3;
    for (uint32_t i = 0; i < 100; i++)
        kit_submit(&kernel, task(RETRIER, 0, 0));
    gmk_test_assert(kit_until(&load.runs, 100));
    kit_idle(&kernel);
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_TASKS_RETRIED), 300);
    gmk_test_assert_eq(kit_halt(&kernel).completed, 100);
}

/* FM-2. */
GMK_TEST(worker_retry_with_full_event_queue_is_not_lost)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .flags = GMK_BOOT_MANUAL_TICKS, .evq_slots = 4};

    GMK_REQUIRE(begin(&cfg));
    load.retries = 5;
    gmk_tick_advance(&kernel);
    for (uint32_t i = 0; i < 200; i++)
        kit_submit(&kernel, task(RETRIER, 0, 0));
    for (uint32_t i = 0; i < 2000 && kit_get(&load.runs) < 200; i++) {
        kit_idle(&kernel);
        gmk_tick_advance(&kernel);
    }
    gmk_test_assert_eq(kit_get(&load.runs), 200);
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_TASKS_RETRIED), 1000);
    gmk_test_assert_eq(load.n_records, 0);
    gmk_test_assert_eq(kit_halt(&kernel).completed, 200);
}

/* Failures. ----------------------------------------------------------------------- */

/* T-12, FM-1. */
GMK_TEST(worker_failure_codes_reach_sys_error)
{
    static const int rcs[] = {GMK_FAIL, GMK_FAIL(2), GMK_FAIL(99), GMK_ALLOC_FAIL, 7};
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    gmk_audit_report_t r;

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(rcs); i++) {
        kit_submit(&kernel, task(FAILER, (uint64_t)(int64_t)rcs[i], i));
        kit_idle(&kernel);
        GMK_REQUIRE(gmk_test_assert_eq(load.n_records, i + 1));
        gmk_test_assert_eq(load.records[i].reason, GMK_ERR_HANDLER);
        gmk_test_assert_eq(load.records[i].code, rcs[i] < 0 ? -rcs[i] : rcs[i]);
        gmk_test_assert_eq(load.records[i].type, FAILER);
        gmk_test_assert_eq(load.records[i].task.meta1, i);
        gmk_test_assert_eq(load.records[i].task.yield_count, 0);
    }
    r = kit_halt(&kernel);
    gmk_test_assert_eq(r.failed, GMK_ARRAY_LEN(rcs));
    gmk_test_assert_eq(r.completed, GMK_ARRAY_LEN(rcs));
}

GMK_TEST(worker_failures_without_a_subscriber_are_counted)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};

    gmk_hal_memset(&load, 0, sizeof(load));
    GMK_REQUIRE(kit_boot(&kernel, &cfg, &module));
    for (uint32_t i = 0; i < 20; i++)
        kit_submit(&kernel, task(FAILER, (uint64_t)-1, i));
    kit_idle(&kernel);
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_ENVELOPES_LOST), 20);
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_TASKS_FAILED), 20);
    gmk_test_assert_eq(kit_halt(&kernel).failed, 20);
}

/* CH-41. Freed neither before a yielded or retried handler resumes nor left behind. */
GMK_TEST(worker_payload_lives_through_yields_and_retries)
{
    gmk_boot_cfg_t cfg = {.n_workers = 3};
    gmk_host_t host;
    gmk_ctx_t *ctx;

    GMK_REQUIRE(begin(&cfg));
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    for (uint32_t i = 0; i < 30; i++) {
        gmk_task_t t = task(PAYLOAD, i, 0);
        uint32_t *p = gmk_payload_alloc(ctx, 40 + i * 8);

        GMK_REQUIRE(p != NULL);
        for (uint32_t w = 0; w < 10 + i * 2; w++)
            p[w] = i + w;
        gmk_task_set_payload(&t, p);
        gmk_test_assert_eq(gmk_emit(ctx, &t), GMK_OK);
    }
    gmk_test_assert(kit_until(&load.runs, 30));
    gmk_test_assert(kit_until(&load.reported, 15));
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    kit_halt(&kernel);
}

/* Budgets. ------------------------------------------------------------------------ */

/* EQ-8. */
GMK_TEST(worker_budget_spent_tells_a_handler_to_yield)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < 10; i++)
        kit_submit(&kernel, task(BUDGET, 0, 0));
    kit_idle(&kernel);
    kit_submit(&kernel, task(FIRST, 3, 0)); /* one more batch edge, to account the last */
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.spent), 10);
    gmk_test_assert_eq(kit_get(&load.runs), 10);
    gmk_test_assert_ge(gmk_metric_get(&kernel, GMK_METRIC_BUDGET_OVERRUNS), 1);
    kit_halt(&kernel);
}

GMK_TEST(worker_budget_is_not_spent_while_the_workers_time_is_ahead)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, task(AHEAD, 0, 0));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 1);
    gmk_test_assert_eq(kit_get(&load.spent), 0);
    kit_halt(&kernel);
}

/* Parking and waking. ------------------------------------------------------------- */

static uint32_t count_parked(uint32_t workers)
{
    uint32_t n = 0;

    for (uint32_t w = 0; w < workers; w++) {
        gmk_worker_info_t info;

        gmk_test_assert_eq(gmk_worker_get_info(&kernel, w, &info), GMK_OK);
        n += info.state == GMK_WORKER_PARKED;
    }
    return n;
}

/* SC-13. */
GMK_TEST(worker_8_idle_workers_park)
{
    gmk_boot_cfg_t cfg = {.n_workers = 8};

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < 5; i++) {
        kit_idle(&kernel);
        gmk_test_assert_eq(count_parked(8), 8);
        kit_submit(&kernel, task(FIRST, 3, 0));
    }
    kit_idle(&kernel);
    gmk_test_assert_eq(count_parked(8), 8);
    gmk_test_assert_ge(gmk_metric_get(&kernel, GMK_METRIC_WORKER_PARKS), 8);
    gmk_test_assert_ge(gmk_metric_get(&kernel, GMK_METRIC_WORKER_WAKES), 1);
    kit_halt(&kernel);
}

/* SC-13, R9. Looks that follow one another faster than all workers can look are no reason never
 * to see them all asleep. */
GMK_TEST(worker_many_that_look_up_often_are_seen_at_rest)
{
    gmk_boot_cfg_t cfg = {.n_workers = 29, .spin_ns = 1540, .park_timeout_ns = 24000};
    gmk_task_t far = task(FIRST, 3, 0);

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < 20; i++) {
        kit_submit(&kernel, task(FIRST, 3, 0));
        kit_idle(&kernel);
        gmk_test_assert_eq(kit_get(&load.by_type[FIRST]), i + 1);
        if (i == 10) /* from here on one of them keeps the time */
            gmk_test_assert_eq(gmk_submit_after(&kernel, &far, 3600000000000ull), GMK_OK);
    }
    gmk_test_assert_eq(kit_halt(&kernel).dead, 1);
}

/* SC-13, EQ-1. No time-outs exist, so a path that does not wake would never end. */
GMK_TEST(worker_every_path_wakes_a_sleeping_kernel)
{
    gmk_boot_cfg_t cfg = {.n_workers = 4};
    uint32_t runs = 0;
    gmk_host_t host;
    gmk_ctx_t *ctx;

    GMK_REQUIRE(begin(&cfg));
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    load.retries = 1;
    for (uint32_t i = 0; i < 9 * 4; i++) {
        gmk_task_t t = task(FIRST, 3, 0), r = task(RETRIER, 0, 0), e = task(EMITTER, 0, 0);

        kit_idle(&kernel);
        gmk_test_assert_eq(i % 9 == 0   ? gmk_submit(&kernel, &t)
                           : i % 9 == 1 ? gmk_submit_to(&kernel, &t, i % 4)
                           : i % 9 == 2 ? gmk_submit_after(&kernel, &t, 50000)
                           : i % 9 == 3 ? gmk_submit_at_tick(&kernel, &t, gmk_tick_now(&kernel) + 1)
                           : i % 9 == 4 ? gmk_emit(ctx, &t)
                           : i % 9 == 5 ? gmk_emit_to(ctx, &t, i % 4)
                           : i % 9 == 6 ? gmk_emit_after(ctx, &t, 50000)
                           : i % 9 == 7 ? gmk_submit(&kernel, &e)
                                        : gmk_submit(&kernel, &r),
                           GMK_OK);
        if (i % 9 != 8)
            gmk_test_assert(kit_until(&load.by_type[FIRST], ++runs));
        else
            gmk_test_assert(kit_until(&load.runs, i / 9 + 1));
    }
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    kit_halt(&kernel);
}

/* SC-13. A worker told to by its inbox wakes, whoever else is awake or asleep. */
GMK_TEST(worker_inbox_wakes_its_own_worker_beside_a_busy_one)
{
    gmk_boot_cfg_t cfg = {.n_workers = 4};

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < 200; i++) {
        gmk_task_t t = task(FIRST, 3, 0), g = task(GATE, 0, 0);

        kit_idle(&kernel);
        kit_set(&load.open, 0);
        gmk_test_assert_eq(gmk_submit_to(&kernel, &g, i % 4), GMK_OK);
        gmk_test_assert(kit_until(&load.entered, i + 1));
        for (uint32_t w = 1; w < 4; w++)
            gmk_test_assert_eq(gmk_submit_to(&kernel, &t, (i + w) % 4), GMK_OK);
        gmk_test_assert(kit_until(&load.by_type[FIRST], 3 * i + 3));
        kit_set(&load.open, 1);
    }
    kit_idle(&kernel);
    kit_halt(&kernel);
}

GMK_TEST(worker_info_tells_state_and_type)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    gmk_worker_info_t info, before;
    gmk_task_t t = task(GATE, 0, 0), one = task(FIRST, 3, 0);

    gmk_test_assert_eq(gmk_worker_count(&kernel), 0);
    gmk_test_assert_eq(gmk_worker_get_info(&kernel, 0, &info), GMK_E_INVALID);
    GMK_REQUIRE(begin(&cfg));
    gmk_test_assert_eq(gmk_worker_count(&kernel), 2);
    gmk_test_assert_eq(gmk_worker_get_info(&kernel, 0, NULL), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_worker_get_info(NULL, 0, &info), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_worker_get_info(&kernel, 2, &info), GMK_E_NOT_FOUND);
    kit_idle(&kernel);
    gmk_test_assert_eq(gmk_worker_get_info(&kernel, 1, &before), GMK_OK);
    gmk_test_assert_eq(before.state, GMK_WORKER_PARKED);
    gmk_test_assert_eq(before.current_type, 0);
    gmk_test_assert_eq(gmk_submit_to(&kernel, &t, 1), GMK_OK);
    gmk_test_assert(kit_until(&load.entered, 1));
    gmk_test_assert_eq(gmk_submit_to(&kernel, &one, 1), GMK_OK);
    gmk_test_assert_eq(gmk_worker_get_info(&kernel, 1, &info), GMK_OK);
    gmk_test_assert_eq(info.id, 1);
    gmk_test_assert_eq(info.state, GMK_WORKER_RUNNING);
    gmk_test_assert_eq(info.current_type, GATE);
    gmk_test_assert_eq(info.queued, 1);
    gmk_test_assert_gt(info.heartbeat, before.heartbeat);
    kit_set(&load.open, 1);
    kit_idle(&kernel);
    gmk_test_assert_eq(gmk_worker_get_info(&kernel, 1, &info), GMK_OK);
    gmk_test_assert_eq(info.state, GMK_WORKER_PARKED);
    gmk_test_assert_eq(info.current_type, 0);
    gmk_test_assert_eq(info.queued, 0);
    kit_halt(&kernel);
}

/* T-9: what a handler is told of its task and its worker. */
static gmk_a32_t told, told_wrong;

static int on_who(gmk_ctx_t *ctx)
{
    const gmk_task_t *t = ctx->task;
    bool ok = gmk_self_tenant(ctx) == t->tenant && gmk_self_tenant(ctx) == t->meta0 % 3 &&
              gmk_self_worker(ctx) == t->meta0 % 2 && gmk_tick(ctx) == t->meta1 &&
              gmk_chan_seq(ctx) == 0 && gmk_chan_gap(ctx) == 0 && gmk_error_reason(ctx) == 0;

    kit_add(&told_wrong, !ok);
    kit_add(&told, 1);
    return GMK_OK;
}

GMK_TEST(worker_identity_of_a_running_task)
{
    static gmk_handler_reg_t h[] = {{.type = WHO, .fn = on_who, .name = "who"}};
    gmk_module_t m = {.name = "who", .handlers = h, .n_handlers = 1};
    gmk_boot_cfg_t cfg = {.n_workers = 2, .n_tenants = 3, .flags = GMK_BOOT_MANUAL_TICKS};

    told = told_wrong = 0;
    GMK_REQUIRE(kit_boot(&kernel, &cfg, &m));
    kit_idle(&kernel); /* a batch that has begun keeps its tick */
    for (uint32_t i = 0; i < 60; i++) {
        gmk_task_t t = kit_task(WHO, GMK_PRIO_NORMAL, i);

        if (i % 10 == 0)
            gmk_tick_advance(&kernel);
        t.tenant = (uint16_t)(i % 3);
        t.meta1 = gmk_tick_now(&kernel);
        gmk_test_assert_eq(gmk_submit_to(&kernel, &t, i % 2), GMK_OK);
        kit_idle(&kernel);
    }
    gmk_test_assert_eq(gmk_tick_now(&kernel), 6);
    gmk_test_assert_eq(kit_get(&told), 60);
    gmk_test_assert_eq(kit_get(&told_wrong), 0);
    kit_halt(&kernel);
}
