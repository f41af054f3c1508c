/* SPDX-License-Identifier: MIT
 * The enqueue core: every code of every call that takes work, seq, flags, full queues,
 * submission while the kernel halts.
 * Floor: tests. Source: SPEC EQ-1, EQ-3, T-3, T-8, V-22; ARCHITECTURE R8, R10, R11,
 * R19; PEERS.md "Failures seen" (two producers, full queues). */
#include "kernel_env.h"

enum { LEAF = 1, GATE, CALLER, SILENT = 9 };
#define SEQS 100000u

typedef struct load {
    gmk_a32_t runs, open, entered, wrong, flags;
    gmk_a32_t *seqs; /* by meta0 */
    gmk_a32_t *seen;
} load_t;

static load_t load;
static gmk_kernel_t kernel;

static int on_leaf(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    kit_or(&l->flags, ctx->task->flags);
    if (l->seqs != NULL)
        kit_set(&l->seqs[ctx->task->meta0], ctx->task->seq);
    if (l->seen != NULL)
        kit_add(&l->seen[ctx->task->meta0], 1);
    kit_add(&l->runs, 1);
    return GMK_OK;
}

static int on_gate(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    kit_add(&l->entered, 1);
    kit_until(&l->open, 1);
    return GMK_OK;
}

/* Bad arguments of the calls that take a context; the same for handlers and hosts. */
static uint32_t bad_calls(gmk_ctx_t *ctx, uint32_t tenants, uint32_t workers)
{
    gmk_task_t none = kit_task(SILENT, 0, 0), zero = kit_task(0, 0, 0);
    gmk_task_t big = kit_task(256, 0, 0), huge = kit_task(UINT32_MAX, 0, 0);
    gmk_task_t sys = kit_task(GMK_TYPE_SYS_ERROR, 0, 0);
    gmk_task_t good = kit_task(LEAF, 0, 0), tenant = good;
    gmk_task_t *no_handler[] = {&none, &zero, &big, &huge, &sys};
    uint32_t bad = 0;

    tenant.tenant = (uint16_t)tenants;
    bad += gmk_emit(NULL, &good) != GMK_E_INVALID;
    bad += gmk_emit(ctx, NULL) != GMK_E_INVALID;
    bad += gmk_emit_to(NULL, &good, 0) != GMK_E_INVALID;
    bad += gmk_emit_to(ctx, NULL, 0) != GMK_E_INVALID;
    bad += gmk_emit_to(ctx, &good, workers) != GMK_E_INVALID;
    bad += gmk_emit_to(ctx, &good, GMK_NO_WORKER) != GMK_E_INVALID;
    bad += gmk_emit_after(NULL, &good, 0) != GMK_E_INVALID;
    bad += gmk_emit_after(ctx, NULL, 0) != GMK_E_INVALID;
    bad += gmk_emit_at_tick(NULL, &good, 0) != GMK_E_INVALID;
    bad += gmk_emit_at_tick(ctx, NULL, 0) != GMK_E_INVALID;
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(no_handler); i++) {
        bad += gmk_emit(ctx, no_handler[i]) != GMK_E_NO_HANDLER;
        bad += gmk_emit_to(ctx, no_handler[i], 0) != GMK_E_NO_HANDLER;
        bad += gmk_emit_after(ctx, no_handler[i], 0) != GMK_E_NO_HANDLER;
        bad += gmk_emit_at_tick(ctx, no_handler[i], 0) != GMK_E_NO_HANDLER;
    }
    bad += gmk_emit(ctx, &tenant) != GMK_E_TENANT;
    bad += gmk_emit_to(ctx, &tenant, 0) != GMK_E_TENANT;
    bad += gmk_emit_after(ctx, &tenant, 0) != GMK_E_TENANT;
    bad += gmk_emit_at_tick(ctx, &tenant, 0) != GMK_E_TENANT;
    return bad;
}

static int on_caller(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    kit_add(&l->wrong, bad_calls(ctx, 3, 2));
    kit_add(&l->runs, 1);
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {{.type = LEAF, .fn = on_leaf},
                                       {.type = GATE, .fn = on_gate},
                                       {.type = CALLER, .fn = on_caller}};
static gmk_module_t module = {
    .name = "enqueue", .handlers = handlers, .n_handlers = 3, .user = &load};

static bool begin(const gmk_boot_cfg_t *cfg)
{
    gmk_hal_memset(&load, 0, sizeof(load));
    return kit_boot(&kernel, cfg, &module);
}

static bool close_gate(void)
{
    return kit_submit(&kernel, kit_task(GATE, 0, 0)) &&
           gmk_test_assert(kit_until(&load.entered, 1));
}

/* Codes. -------------------------------------------------------------------------- */

/* T-8, MOD-13. */
GMK_TEST(enqueue_submit_bad_arguments_give_their_codes)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .n_tenants = 3};
    gmk_task_t good = kit_task(LEAF, 0, 0), tenant = good;
    uint32_t types[] = {0, SILENT, 255, 256, 1000, UINT32_MAX, GMK_TYPE_SYS_ERROR};

    tenant.tenant = 3;
    GMK_REQUIRE(begin(&cfg));
    gmk_test_assert_eq(gmk_submit(NULL, &good), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit(&kernel, NULL), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_batch(NULL, &good, 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_batch(&kernel, NULL, 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_batch(&kernel, &good, UINT32_MAX), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_batch(&kernel, &good, 0), 0);
    gmk_test_assert_eq(gmk_submit_to(NULL, &good, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_to(&kernel, NULL, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_to(&kernel, &good, 2), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_after(NULL, &good, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_after(&kernel, NULL, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_at_tick(NULL, &good, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_at_tick(&kernel, NULL, 0), GMK_E_INVALID);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(types); i++) {
        gmk_task_t t = kit_task(types[i], 0, 0);

        gmk_test_assert_eq(gmk_submit(&kernel, &t), GMK_E_NO_HANDLER);
        gmk_test_assert_eq(gmk_submit_to(&kernel, &t, 0), GMK_E_NO_HANDLER);
        gmk_test_assert_eq(gmk_submit_after(&kernel, &t, 0), GMK_E_NO_HANDLER);
        gmk_test_assert_eq(gmk_submit_at_tick(&kernel, &t, 0), GMK_E_NO_HANDLER);
    }
    gmk_test_assert_eq(gmk_submit(&kernel, &tenant), GMK_E_TENANT);
    gmk_test_assert_eq(gmk_submit_to(&kernel, &tenant, 0), GMK_E_TENANT);
    gmk_test_assert_eq(gmk_submit_after(&kernel, &tenant, 0), GMK_E_TENANT);
    gmk_test_assert_eq(gmk_submit_at_tick(&kernel, &tenant, 0), GMK_E_TENANT);
    gmk_test_assert_eq(kit_halt(&kernel).accepted, 0);
}

/* T-8, MOD-13. */
GMK_TEST(enqueue_emit_bad_arguments_give_their_codes)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .n_tenants = 3};
    gmk_host_t host;
    gmk_ctx_t *ctx;

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, kit_task(CALLER, 0, 0));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 1);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    gmk_test_assert_eq(bad_calls(ctx, 3, 2), 0);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    gmk_test_assert_eq(kit_halt(&kernel).accepted, 1);
}

GMK_TEST(enqueue_submit_without_a_running_kernel_is_refused)
{
    static gmk_kernel_t never;
    gmk_task_t t = kit_task(LEAF, 0, 0);

    for (uint32_t i = 0; i < 2; i++) {
        gmk_kernel_t *k = i == 0 ? &never : &kernel;

        gmk_test_assert_lt(gmk_submit(k, &t), 0);
        gmk_test_assert_lt(gmk_submit_to(k, &t, 0), 0);
        gmk_test_assert_lt(gmk_submit_after(k, &t, 0), 0);
        gmk_test_assert_lt(gmk_submit_at_tick(k, &t, 0), 0);
        gmk_tick_advance(k);
        gmk_test_assert_eq(gmk_tick_now(k), 0);
        gmk_test_assert_eq(gmk_wait_idle(k, 0), i == 0 ? GMK_E_INVALID : GMK_E_HALTING);
        gmk_test_assert_eq(gmk_halt(k), GMK_E_INVALID);
    }
}

/* Stamps. ------------------------------------------------------------------------- */

/* T-6. The flags that are the user's arrive, the runtime's do not. */
GMK_TEST(enqueue_runtime_flags_of_users_are_cleared)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    gmk_task_t t = kit_task(LEAF, 0, 0);
    gmk_host_t host;
    gmk_ctx_t *ctx;

    t.flags = 0xffff & ~(GMK_TF_PAYLOAD_RC | GMK_TF_DETERMINISTIC);
    t.yield_count = 77;
    t.channel = 5;
    t.seq = 12345;
    GMK_REQUIRE(begin(&cfg));
    gmk_test_assert_eq(gmk_submit(&kernel, &t), GMK_OK);
    gmk_test_assert_eq(gmk_submit_to(&kernel, &t, 0), GMK_OK);
    gmk_test_assert_eq(gmk_submit_after(&kernel, &t, 1), GMK_OK);
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    gmk_test_assert_eq(gmk_emit(ctx, &t), GMK_OK);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    gmk_test_assert(kit_until(&load.runs, 4));
    gmk_test_assert_eq(kit_get(&load.flags) & ~(GMK_TF_BOUND | GMK_TF_PRIORITY_MASK),
                       GMK_TF_IDEMPOTENT | GMK_TF_EMIT_TRACE);
    gmk_test_assert_eq(t.seq, 12345); /* the caller's record is not touched */
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_halt(&kernel).completed, 4);
}

static void sort(uint32_t *v, uint32_t n)
{
    for (uint32_t gap = n / 2; gap != 0; gap /= 2)
        for (uint32_t i = gap; i < n; i++) {
            uint32_t x = v[i], j = i;

            for (; j >= gap && v[j - gap] > x; j -= gap)
                v[j] = v[j - gap];
            v[j] = x;
        }
}

static uint32_t doubles(uint32_t *v, uint32_t n)
{
    uint32_t d = 0;

    sort(v, n);
    for (uint32_t i = 1; i < n; i++)
        d += v[i] == v[i - 1];
    return d;
}

static uint32_t producer_each;

/* Even threads submit from outside, odd ones attach; one priority a thread. */
static void *producer(void *arg)
{
    kit_thread_t *t = arg;
    gmk_host_t host;
    gmk_ctx_t *ctx = t->index & 1 ? gmk_host_attach(&kernel, &host) : NULL;

    kit_until(t->go, 1);
    for (uint32_t i = 0; i < producer_each; i++) {
        gmk_task_t task = kit_task(LEAF, t->index & 3, t->index * producer_each + i);
        int rc;

        while ((rc = ctx != NULL ? gmk_emit(ctx, &task) : gmk_submit(&kernel, &task)) == GMK_E_FULL)
            gmk_hal_relax();
        gmk_test_assert_eq(rc, GMK_OK);
    }
    if (ctx != NULL)
        gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    return NULL;
}

/* T-3. */
GMK_TEST(enqueue_seq_is_unique_and_rises_with_each_producer)
{
    static kit_thread_t threads[8];
    gmk_boot_cfg_t cfg = {.n_workers = 4};
    uint32_t each = producer_each = (uint32_t)gmk_test_scale(SEQS / 8, 300);
    uint32_t falls = 0;
    gmk_a32_t go;

    GMK_REQUIRE(begin(&cfg));
    load.seqs = gmk_hal_calloc(8 * each, sizeof(gmk_a32_t));
    GMK_REQUIRE(load.seqs != NULL);
    kit_start(threads, 8, &go, producer, NULL);
    kit_join(threads, 8);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 8 * each);
    for (uint32_t p = 0; p < 8; p++)
        for (uint32_t i = 1; i < each; i++)
            falls += load.seqs[p * each + i] <= load.seqs[p * each + i - 1];
    gmk_test_assert_eq(falls, 0);
    gmk_test_assert_eq(doubles(load.seqs, 8 * each), 0);
    kit_halt(&kernel);
    gmk_hal_free(load.seqs);
}

/* T-3, EQ-1. One thread, every way in from outside, mixed priorities. */
GMK_TEST(enqueue_seq_from_outside_rises_over_priorities_and_calls)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    uint32_t n = 4000, falls = 0;

    GMK_REQUIRE(begin(&cfg));
    load.seqs = gmk_hal_calloc(n, sizeof(gmk_a32_t));
    GMK_REQUIRE(load.seqs != NULL);
    for (uint32_t i = 0; i < n; i++) {
        gmk_task_t t = kit_task(LEAF, (i * 7) & 3, i);
        int rc;

        do {
            rc = i % 5 == 3   ? gmk_submit_to(&kernel, &t, i & 1)
                 : i % 5 == 4 ? gmk_submit_after(&kernel, &t, 1000)
                              : gmk_submit(&kernel, &t);
            gmk_hal_relax();
        } while (rc == GMK_E_FULL);
        gmk_test_assert_eq(rc, GMK_OK);
    }
    gmk_test_assert(kit_until(&load.runs, n));
    kit_idle(&kernel);
    for (uint32_t i = 1; i < n; i++)
        falls += load.seqs[i] <= load.seqs[i - 1];
    gmk_test_assert_eq(falls, 0);
    gmk_test_assert_eq(doubles(load.seqs, n), 0);
    kit_halt(&kernel);
    gmk_hal_free(load.seqs);
}

/* Full queues. -------------------------------------------------------------------- */

/* EQ-3. */
GMK_TEST(enqueue_submit_to_full_queue_is_refused_then_taken_and_nothing_lost)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .rq_slots = 16};
    gmk_task_t t = kit_task(LEAF, GMK_PRIO_NORMAL, 0);
    gmk_audit_report_t r;
    uint32_t n = 0;

    GMK_REQUIRE(begin(&cfg) && close_gate());
    while (gmk_submit(&kernel, &t) == GMK_OK)
        n++;
    gmk_test_assert_eq(n, 16);
    gmk_test_assert_eq(gmk_submit(&kernel, &t), GMK_E_FULL);
    t.flags = GMK_PRIO_LOW; /* another priority has its own room */
    gmk_test_assert_eq(gmk_submit(&kernel, &t), GMK_OK);
    t.flags = GMK_PRIO_NORMAL;
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_TASKS_ACCEPTED), 18);
    kit_set(&load.open, 1);
    kit_idle(&kernel);
    gmk_test_assert_eq(gmk_submit(&kernel, &t), GMK_OK);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 18);
    r = kit_halt(&kernel);
    gmk_test_assert_eq(r.accepted, 19);
}

GMK_TEST(enqueue_refusals_are_counted)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .rq_slots = 16};
    gmk_task_t t = kit_task(LEAF, GMK_PRIO_NORMAL, 0);
    uint32_t full = 0;

    GMK_REQUIRE(begin(&cfg) && close_gate());
    for (uint32_t i = 0; i < 20; i++)
        full += gmk_submit(&kernel, &t) == GMK_E_FULL;
    gmk_test_assert_eq(full, 4);
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_TASKS_REJECTED), 4);
    kit_set(&load.open, 1);
    kit_idle(&kernel);
    kit_halt(&kernel);
}

/* EQ-3. */
GMK_TEST(enqueue_full_inbox_refuses_and_keeps_its_reserve)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .inbox_slots = 512};
    gmk_task_t t = kit_task(LEAF, GMK_PRIO_NORMAL, 0);
    uint32_t n = 0;

    GMK_REQUIRE(begin(&cfg) && close_gate());
    while (gmk_submit_to(&kernel, &t, 0) == GMK_OK)
        n++;
    gmk_test_assert_eq(n, 384);
    gmk_test_assert_eq(gmk_submit_to(&kernel, &t, 0), GMK_E_FULL);
    kit_set(&load.open, 1);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 384);
    gmk_test_assert_eq(gmk_submit_to(&kernel, &t, 0), GMK_OK);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_halt(&kernel).completed, 386);
}

/* EQ-3. */
GMK_TEST(enqueue_batch_takes_the_first_ones_that_fit)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .rq_slots = 16, .n_tenants = 2};
    gmk_task_t t[24];

    for (uint32_t i = 0; i < 24; i++)
        t[i] = kit_task(LEAF, GMK_PRIO_NORMAL, i);
    GMK_REQUIRE(begin(&cfg));
    load.seen = gmk_hal_calloc(24, sizeof(gmk_a32_t));
    GMK_REQUIRE(load.seen != NULL && close_gate());
    gmk_test_assert_eq(gmk_submit_batch(&kernel, t, 24), 16);
    gmk_test_assert_eq(gmk_submit_batch(&kernel, t + 16, 8), GMK_E_FULL);
    kit_set(&load.open, 1);
    kit_idle(&kernel);
    for (uint32_t i = 0; i < 24; i++)
        gmk_test_assert_eq(kit_get(&load.seen[i]), i < 16);
    t[18].type = SILENT;
    t[19].tenant = 1;
    gmk_test_assert_eq(gmk_submit_batch(&kernel, t + 16, 8), 2);
    gmk_test_assert_eq(gmk_submit_batch(&kernel, t + 18, 6), GMK_E_NO_HANDLER);
    t[18].type = LEAF;
    t[20].tenant = 2;
    t[19].flags = GMK_PRIO_HIGH;
    gmk_test_assert_eq(gmk_submit_batch(&kernel, t + 18, 6), 2);
    gmk_test_assert_eq(gmk_submit_batch(&kernel, t + 20, 4), GMK_E_TENANT);
    kit_idle(&kernel);
    gmk_test_assert_eq(gmk_metric_get_tenant(&kernel, GMK_METRIC_TASKS_COMPLETED, 1), 1);
    gmk_test_assert_eq(kit_halt(&kernel).completed, 21);
    gmk_hal_free(load.seen);
}

/* EQ-3. Two producers of one queue lose nothing. */
GMK_TEST(enqueue_two_producers_lose_no_accepted_task)
{
    static kit_thread_t threads[2];
    gmk_boot_cfg_t cfg = {.n_workers = 2, .rq_slots = 8};
    uint32_t each = producer_each = (uint32_t)gmk_test_scale(100000, 1000);
    uint32_t bad = 0;
    gmk_a32_t go;

    GMK_REQUIRE(begin(&cfg));
    load.seen = gmk_hal_calloc(2 * each, sizeof(gmk_a32_t));
    GMK_REQUIRE(load.seen != NULL);
    kit_start(threads, 2, &go, producer, NULL);
    kit_join(threads, 2);
    kit_idle(&kernel);
    for (uint32_t i = 0; i < 2 * each; i++)
        bad += kit_get(&load.seen[i]) != 1;
    gmk_test_assert_eq(bad, 0);
    gmk_test_assert_eq(kit_halt(&kernel).completed, 2 * each);
    gmk_hal_free(load.seen);
}

/* Halting. ------------------------------------------------------------------------ */

typedef struct flood {
    gmk_a32_t accepted, refused, other, far;
} flood_t;

/* Submits until it is refused for good. */
static void *flooder(void *arg)
{
    kit_thread_t *t = arg;
    flood_t *f = t->user;
    int rc = GMK_OK;

    kit_until(t->go, 1);
    for (uint32_t i = 0; rc == GMK_OK || rc == GMK_E_FULL; i++) {
        gmk_task_t task = kit_task(LEAF, i & 3, 0);

        switch ((i + t->index) % 4) {
        case 0:
            rc = gmk_submit_to(&kernel, &task, 0);
            break;
        case 1:
            rc = gmk_submit_after(&kernel, &task, i & 8 ? 1000 : 1ull << 60);
            break;
        default:
            rc = gmk_submit(&kernel, &task);
            break;
        }
        if (rc == GMK_OK)
            kit_add(&f->accepted, 1);
        else if (rc == GMK_E_FULL)
            gmk_hal_relax();
    }
    kit_add(rc == GMK_E_HALTING || rc == GMK_E_INVALID ? &f->refused : &f->other, 1);
    return NULL;
}

/* Each submit is accepted and accounted for, or refused. */
GMK_TEST(enqueue_submit_of_8_threads_while_halting_is_accounted_or_refused)
{
    static kit_thread_t threads[8];
    gmk_boot_cfg_t cfg = {.n_workers = 2, .rq_slots = 64};

    for (uint32_t i = 0; i < gmk_test_scale(100, 20); i++) {
        flood_t f = {.accepted = 0};
        gmk_audit_report_t r;
        gmk_a32_t go;

        GMK_REQUIRE(begin(&cfg));
        kit_start(threads, 8, &go, flooder, &f);
        kit_until(&load.runs, i * 3);
        r = kit_halt(&kernel);
        kit_join(threads, 8);
        gmk_test_assert_eq(kit_get(&f.refused), 8);
        gmk_test_assert_eq(kit_get(&f.other), 0);
        gmk_test_assert_eq(r.accepted, kit_get(&f.accepted));
        if (!gmk_test_assert_eq(r.completed + r.dead, r.accepted))
            break;
    }
}

GMK_TEST(enqueue_calls_of_a_halting_kernel_say_so)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    static kit_thread_t thread[1];
    flood_t f = {.accepted = 0};
    gmk_task_t t = kit_task(LEAF, 0, 0);
    gmk_host_t host, late;
    gmk_ctx_t *ctx;
    gmk_a32_t go;

    GMK_REQUIRE(begin(&cfg));
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL && close_gate());
    /* The private door, as gmk_halt shuts it: calls still reach a live kernel. */
    gmk_xchg_sc(&gmki_kernel(&kernel)->core.sched.closed, 1, GMK_DEV); /* sync: sched.closed */
    gmk_test_assert_eq(gmk_emit(ctx, &t), GMK_E_HALTING);
    gmk_test_assert_eq(gmk_emit_to(ctx, &t, 0), GMK_E_HALTING);
    gmk_test_assert_eq(gmk_emit_after(ctx, &t, 0), GMK_E_HALTING);
    gmk_test_assert_eq(gmk_emit_at_tick(ctx, &t, 0), GMK_E_HALTING);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    kit_start(thread, 1, &go, flooder, &f);
    kit_until(&f.accepted, 1);
    kit_set(&load.open, 1);
    gmk_test_assert_eq(gmk_halt(&kernel), GMK_OK);
    kit_join(thread, 1);
    gmk_test_assert(gmk_host_attach(&kernel, &late) == NULL);
    gmk_test_assert_eq(kit_get(&f.refused), 1);
}
