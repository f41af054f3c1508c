/* SPDX-License-Identifier: MIT
 * Boot and halt: configurations, life cycles of modules, hosts, every state to halt
 * from, and a handler that does not return.
 * Floor: tests. Source: SPEC SYS-11 to SYS-14, MOD-5 to MOD-8, ACC-22; ARCHITECTURE R8,
 * R13, R21; PEERS.md "Failures seen" (halt drops what is queued). */
#include "bytes.h"
#include "kernel_env.h"

enum { SEE = 1, RESPAWN, RETRIER, GATE, SLOW, LINKED = 50 };

typedef struct load {
    gmk_a32_t runs, open, entered, wrong, saw;
} load_t;

static load_t load;
static gmk_kernel_t kernel;

static int on_see(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    kit_set(&l->saw, (uint32_t)ctx->task->meta0);
    kit_add(&l->runs, 1);
    return GMK_OK;
}

static int on_respawn(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    gmk_task_t t = *ctx->task;

    kit_add(&l->runs, 1);
    if (gmk_emit(ctx, &t) != GMK_OK)
        kit_add(&l->wrong, 1);
    return GMK_OK;
}

static int on_retrier(gmk_ctx_t *ctx)
{
    kit_add(&((load_t *)ctx->user)->runs, 1);
    return GMK_RETRY;
}

static int on_gate(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    kit_add(&l->entered, 1);
    while (kit_get(&l->open) == 0)
        gmk_hal_relax();
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {{.type = SEE, .fn = on_see, .name = "see"},
                                       {.type = RESPAWN, .fn = on_respawn, .name = "respawn"},
                                       {.type = RETRIER, .fn = on_retrier, .name = "retrier"},
                                       {.type = GATE, .fn = on_gate, .name = "gate"}};
static gmk_module_t module = {.name = "boot", .handlers = handlers, .n_handlers = 4, .user = &load};

/* Registered by the linker in every kernel of this program that does not refuse it. */
static gmk_a32_t linked_runs;

static int on_linked(gmk_ctx_t *ctx)
{
    (void)ctx;
    kit_add(&linked_runs, 1);
    return GMK_OK;
}

static gmk_handler_reg_t linked_handlers[] = {{.type = LINKED, .fn = on_linked}};

GMK_MODULE(linked) = {.name = "linked", .handlers = linked_handlers, .n_handlers = 1};

static bool begin(const gmk_boot_cfg_t *cfg)
{
    gmk_hal_memset(&load, 0, sizeof(load));
    return kit_boot(&kernel, cfg, &module);
}

/* Boot. --------------------------------------------------------------------------- */

/* SYS-12, SYS-14, ACC-22: the minimal program. */
GMK_TEST(boot_acc22_minimal_program_sees_42)
{
    gmk_module_t *mods[] = {&module};
    gmk_task_t t = {.type = SEE, .meta0 = 42};

    gmk_hal_memset(&load, 0, sizeof(load));
    gmk_test_assert_eq(gmk_boot(&kernel, NULL, mods, 1), GMK_OK);
    gmk_test_assert_eq(gmk_submit(&kernel, &t), GMK_OK);
    gmk_test_assert_eq(gmk_halt(&kernel), GMK_OK);
    gmk_test_assert_eq(kit_get(&load.saw), 42);
}

/* SYS-13, SC-5. */
GMK_TEST(boot_defaults_fill_zero_fields)
{
    gmki_kernel_t *k;

    GMK_REQUIRE(begin(NULL));
    k = gmki_kernel(&kernel);
    gmk_test_assert_eq(gmk_worker_count(&kernel), GMK_DEFAULT_WORKERS);
    gmk_test_assert_eq(k->cfg.arena_size, GMK_DEFAULT_ARENA_BYTES);
    gmk_test_assert_eq(k->cfg.n_tenants, 1);
    gmk_test_assert_eq(k->cfg.halt_timeout_ns, GMK_HALT_TIMEOUT_NS);
    gmk_test_assert_eq(k->core.sched.rq[3].cap, GMK_RQ_DEFAULT_CAP);
    gmk_test_assert_eq(k->core.sched.wq[0].cap, GMK_LQ_DEFAULT_CAP);
    gmk_test_assert_eq(k->core.sched.wq[0].inbox.cap, GMK_INBOX_DEFAULT_CAP);
    gmk_test_assert_eq(k->core.sched.overflow.cap, GMK_OVERFLOW_CAP);
    gmk_test_assert_eq(k->core.sched.evq.cap, GMK_EVQ_DEFAULT_CAP);
    gmk_test_assert_eq(k->core.sched.max_batch, GMK_WORKER_BATCH_SIZE);
    gmk_test_assert_eq(k->core.sched.park_timeout_ns, GMK_HAL_FOREVER);
    gmk_test_assert_str_eq(gmk_boot_error(&kernel), "");
    kit_halt(&kernel);
}

GMK_TEST(boot_smallest_configuration_works)
{
    gmk_boot_cfg_t cfg = {.arena_size = 1u << 20,
                          .n_workers = 1,
                          .rq_slots = 1,
                          .lq_slots = 1,
                          .inbox_slots = 1,
                          .evq_slots = 1,
                          .overflow_slots = 1,
                          .trace_slots = 1,
                          .batch_size = 1,
                          .spin_ns = 1};

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < 100; i++)
        kit_submit(&kernel, kit_task(SEE, i & 3, i));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 100);
    kit_halt(&kernel);
}

/* SYS-12, SYS-21. */
GMK_TEST(boot_bad_arguments_are_refused_and_undone)
{
    gmk_module_t *mods[] = {&module};
    static const struct {
        gmk_boot_cfg_t cfg;
        int rc;
    } bad[] = {{{.n_workers = GMK_MAX_WORKERS + 1}, GMK_E_LIMIT},
               {{.n_workers = UINT32_MAX}, GMK_E_LIMIT},
               {{.n_tenants = GMK_MAX_TENANTS + 1}, GMK_E_LIMIT},
               {{.arena_size = 1}, GMK_E_INVALID},
               {{.arena_size = 65535}, GMK_E_INVALID},
               {{.rq_slots = (1u << 24) + 1}, GMK_E_INVALID},
               {{.lq_slots = UINT32_MAX}, GMK_E_INVALID},
               {{.inbox_slots = UINT32_MAX}, GMK_E_INVALID},
               {{.evq_slots = UINT32_MAX}, GMK_E_INVALID},
               {{.overflow_slots = UINT32_MAX}, GMK_E_INVALID},
               {{.trace_slots = UINT32_MAX}, GMK_E_INVALID}};

    gmk_test_assert_eq(gmk_boot(NULL, NULL, mods, 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_boot(&kernel, NULL, NULL, 1), GMK_E_INVALID);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(bad); i++) {
        gmk_test_assert_eq(gmk_boot(&kernel, &bad[i].cfg, mods, 1), bad[i].rc);
        gmk_test_assert_ne(gmk_boot_error(&kernel)[0], '\0');
        gmk_test_assert_eq(gmk_halt(&kernel), GMK_E_INVALID);
    }
    gmk_test_assert_eq(gmk_boot(&kernel, &(gmk_boot_cfg_t){.arena_size = (size_t)1 << 60}, mods, 1),
                       GMK_E_INVALID);
    GMK_REQUIRE(begin(NULL));
    gmk_test_assert_str_eq(gmk_boot_error(&kernel), "");
    kit_halt(&kernel);
    gmk_test_assert_str_eq(gmk_boot_error(NULL), "");
}

GMK_TEST(boot_without_modules_boots_and_halts)
{
    gmk_boot_cfg_t cfg = {.flags = GMK_BOOT_NO_LINKED_MODULES};

    GMK_REQUIRE(kit_boot_mods(&kernel, &cfg, NULL, 0));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_halt(&kernel).accepted, 0);
}

#ifdef __SANITIZE_THREAD__
#define ROUNDS 50 /* TSan takes 40 to 120 ms for two threads' beginning and end */
#else
#define ROUNDS 1000
#endif

GMK_TEST(boot_after_halt_and_many_times_in_a_row)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .arena_size = 1u << 20};

    for (uint32_t i = 0; i < gmk_test_scale(ROUNDS, 20); i++) {
        gmk_audit_report_t r;

        GMK_REQUIRE(begin(&cfg));
        kit_submit(&kernel, kit_task(SEE, 0, i));
        r = kit_halt(&kernel);
        if (!gmk_test_assert_eq(r.completed, 1) || kit_get(&load.saw) != i)
            break;
        gmk_test_assert_eq(gmk_halt(&kernel), GMK_E_INVALID);
    }
}

/* A kernel on the stack: its storage may still hold the magic of the one that ended there
 * before, and other data in place of the rest. No word of it is believed. */
GMK_TEST(boot_where_an_ended_kernel_was_partly_written_over)
{
    static const uint8_t bytes[] = {0x55, 0xff, 0x01};
    static gmk_kernel_t storage;
    gmk_boot_cfg_t cfg = {.n_workers = 1, .arena_size = 1u << 20};
    gmki_handle_t *h = (gmki_handle_t *)&storage;
    gmk_task_t t = kit_task(SEE, 0, 1);

    for (uint32_t i = 0; i <= GMK_ARRAY_LEN(bytes); i++) {
        GMK_REQUIRE(kit_boot_mods(&storage, &cfg, NULL, 0));
        kit_halt(&storage);
        gmk_test_assert_eq(gmk_submit(&storage, &t), GMK_E_HALTING); /* its magic stands */
        for (uint32_t k = 0; k < sizeof(*h) && i < GMK_ARRAY_LEN(bytes); k++)
            if (k / 8 != offsetof(gmki_handle_t, magic) / 8)
                ((uint8_t *)h)[k] = bytes[i];
    }
}

/* T-8. */
GMK_TEST(boot_two_kernels_at_once_keep_apart)
{
    static gmk_kernel_t other;
    static load_t other_load;
    static gmk_module_t second;
    gmk_boot_cfg_t cfg = {.n_workers = 2, .n_tenants = 2};
    gmk_boot_cfg_t cfg2 = {.n_workers = 3};
    gmk_task_t t = kit_task(SEE, 0, 5);

    second = module;
    second.user = &other_load;
    gmk_hal_memset(&other_load, 0, sizeof(other_load));
    GMK_REQUIRE(begin(&cfg));
    GMK_REQUIRE(kit_boot(&other, &cfg2, &second));
    for (uint32_t i = 0; i < 1000; i++) {
        kit_submit(&kernel, kit_task(SEE, 0, 1));
        if (i & 1)
            kit_submit(&other, kit_task(SEE, 0, 2));
    }
    t.tenant = 1;
    gmk_test_assert_eq(gmk_submit(&kernel, &t), GMK_OK);
    gmk_test_assert_eq(gmk_submit(&other, &t), GMK_E_TENANT);
    gmk_test_assert_eq(kit_halt(&kernel).completed, 1001);
    kit_submit(&other, kit_task(SEE, 0, 2));
    gmk_test_assert_eq(gmk_worker_count(&other), 3);
    gmk_test_assert_eq(kit_halt(&other).completed, 501);
    gmk_test_assert_eq(kit_get(&load.runs), 1001);
    gmk_test_assert_eq(kit_get(&other_load.runs), 501);
}

/* SYS-21. */
GMK_TEST(boot_every_number_of_workers)
{
    gmk_boot_cfg_t cfg = {.arena_size = 16u << 20};

    for (uint32_t w = 1; w <= GMK_MAX_WORKERS; w++) {
        cfg.n_workers = w;
        cfg.flags = w & 1 ? GMK_BOOT_PIN_WORKERS : 0;
        GMK_REQUIRE(begin(&cfg));
        for (uint32_t i = 0; i < w; i++) {
            gmk_task_t t = kit_task(SEE, 0, i);

            gmk_test_assert_eq(gmk_submit_to(&kernel, &t, i), GMK_OK);
        }
        kit_idle(&kernel);
        gmk_test_assert_eq(kit_get(&load.runs), w);
        for (uint32_t i = 0; i < w; i++)
            gmk_test_assert_eq(gmk_metric_get_worker(&kernel, GMK_METRIC_TASKS_COMPLETED, i), 1);
        kit_halt(&kernel);
    }
}

/* Modules. ------------------------------------------------------------------------ */

/* What init and fini may do (when they are called is in test_module.c): memory, tasks to be run
 * once the workers are there. */
static int working_init(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    gmk_task_t t = kit_task(SEE, 0, 7);
    void *p = gmk_alloc(ctx, 100);

    if (p == NULL || gmk_emit(ctx, &t) != GMK_OK || gmk_emit_after(ctx, &t, 1000) != GMK_OK ||
        gmk_emit_to(ctx, &t, 0) != GMK_OK || gmk_submit(ctx->kernel, &t) != GMK_OK)
        kit_add(&l->wrong, 1);
    gmk_free(ctx, p);
    return GMK_OK;
}

static int working_fini(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    gmk_task_t t = kit_task(SEE, 0, 8);

    if (kit_get(&l->runs) != 4)
        kit_add(&l->wrong, 1);
    gmk_task_set_payload(&t, gmk_payload_alloc(ctx, 64));
    if (gmk_emit(ctx, &t) != GMK_OK)
        kit_add(&l->wrong, 1);
    return GMK_OK;
}

/* SYS-11. */
GMK_TEST(boot_tasks_of_init_run_and_tasks_of_fini_are_dead_lettered)
{
    static gmk_module_t m;
    gmk_audit_report_t r;

    m = module;
    m.init = working_init;
    m.fini = working_fini;
    gmk_hal_memset(&load, 0, sizeof(load));
    GMK_REQUIRE(kit_boot(&kernel, NULL, &m));
    gmk_test_assert(kit_until(&load.runs, 4));
    r = kit_halt(&kernel);
    gmk_test_assert_eq(r.completed, 4);
    gmk_test_assert_eq(r.dead, 1);
    gmk_test_assert_eq(kit_get(&load.runs), 4);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
}

/* MOD-5, MOD-6. */
GMK_TEST(boot_linked_module_is_registered_unless_refused)
{
    gmk_boot_cfg_t cfg = {.flags = GMK_BOOT_NO_LINKED_MODULES};
    gmk_module_t *twice[] = {&module, &gmk_module_linked};
    gmk_task_t t = kit_task(LINKED, 0, 0);

    kit_set(&linked_runs, 0);
    GMK_REQUIRE(begin(NULL));
    gmk_test_assert_eq(gmk_submit(&kernel, &t), GMK_OK);
    kit_halt(&kernel);
    gmk_test_assert_eq(kit_get(&linked_runs), 1);
    GMK_REQUIRE(begin(&cfg));
    gmk_test_assert_eq(gmk_submit(&kernel, &t), GMK_E_NO_HANDLER);
    kit_halt(&kernel);
    GMK_REQUIRE(kit_boot_mods(&kernel, NULL, twice, 2)); /* once, though named twice */
    gmk_test_assert_eq(gmk_submit(&kernel, &t), GMK_OK);
    kit_halt(&kernel);
    gmk_test_assert_eq(kit_get(&linked_runs), 2);
}

/* Halt. --------------------------------------------------------------------------- */

/* R8: an empty book balances. */
GMK_TEST(boot_halt_with_nothing_run)
{
    GMK_REQUIRE(begin(NULL));
    gmk_test_assert_eq(kit_halt(&kernel).accepted, 0);
}

/* SYS-12. */
GMK_TEST(boot_halt_drains_what_is_queued)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    gmk_audit_report_t r;

    for (uint32_t i = 0; i < 20; i++) {
        GMK_REQUIRE(begin(&cfg));
        for (uint32_t n = 0; n < 3000; n++)
            kit_submit(&kernel, kit_task(SEE, n & 3, 1));
        r = kit_halt(&kernel);
        gmk_test_assert_eq(r.completed, 3000);
        gmk_test_assert_eq(r.dead, 0);
        gmk_test_assert_eq(kit_get(&load.runs), 3000);
    }
}

/* A load without an end takes most of it, and what is left bears a busy machine. The simulated one
 * is never busy, and makes a step of each 20 ns: 20 s under TSan of five seconds. */
#define ENDLESS_HALT_NS (gmk_test_simulated() ? 100000000 : gmk_test_scale(5000000000, 2000000000))

/* The load never ends; what is left when time is up is dead-lettered, not lost. */

GMK_TEST(boot_halt_of_a_self_respawning_load_ends_in_time)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .lq_slots = 8, .rq_slots = 8};
    gmk_audit_report_t r = {.accepted = 0};

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < 50; i++)
        kit_submit(&kernel, kit_task(RESPAWN, i & 3, i));
    gmk_test_assert(kit_until(&load.runs, 1000));
    gmk_test_assert_eq(gmk_halt_timeout(&kernel, ENDLESS_HALT_NS, &r), GMK_OK);
    gmk_test_assert(r.balanced);
    gmk_test_assert_eq(r.dead, 50);
    gmk_test_assert_eq(r.completed, kit_get(&load.runs));
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
}

GMK_TEST(boot_halt_with_no_time_dead_letters_what_is_queued)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    gmk_audit_report_t r = {.accepted = 0};

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, kit_task(RESPAWN, 0, 0));
    gmk_test_assert(kit_until(&load.runs, 100));
    for (uint32_t i = 0; i < 1000; i++)
        kit_submit(&kernel, kit_task(SEE, GMK_PRIO_LOW, 0));
    gmk_test_assert_eq(gmk_halt_timeout(&kernel, ENDLESS_HALT_NS, &r), GMK_OK);
    gmk_test_assert(r.balanced);
    gmk_test_assert_eq(r.completed + r.dead, r.accepted);
    gmk_test_assert_ge(r.dead, 1);
}

GMK_TEST(boot_halt_with_retries_and_timers_pending)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .flags = GMK_BOOT_MANUAL_TICKS};
    gmk_audit_report_t r;

    GMK_REQUIRE(begin(&cfg));
    gmk_tick_advance(&kernel);
    for (uint32_t i = 0; i < 100; i++) {
        gmk_task_t t = kit_task(SEE, 0, i);

        kit_submit(&kernel, kit_task(RETRIER, i & 3, i));
        gmk_test_assert_eq(gmk_submit_at_tick(&kernel, &t, 5 + i), GMK_OK);
        gmk_test_assert_eq(gmk_submit_after(&kernel, &t, 1ull << 50), GMK_OK);
    }
    kit_idle(&kernel);
    r = kit_halt(&kernel);
    gmk_test_assert_eq(r.accepted, 300);
    gmk_test_assert_eq(r.dead, 300);
}

GMK_TEST(boot_halt_from_a_manual_clock_at_zero_with_retries)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .flags = GMK_BOOT_MANUAL_TICKS};

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < 20; i++)
        kit_submit(&kernel, kit_task(RETRIER, i & 3, i));
    gmk_test_assert_eq(kit_halt(&kernel).failed, 20);
}

GMK_TEST(boot_halt_bad_arguments)
{
    static gmk_kernel_t never;
    gmk_audit_report_t r;

    gmk_test_assert_eq(gmk_halt(NULL), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_halt(&never), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_halt_timeout(NULL, 1, &r), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_audit(NULL, &r), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_audit(&never, &r), GMK_E_INVALID);
    GMK_REQUIRE(begin(NULL));
    gmk_test_assert_eq(gmk_audit(&kernel, NULL), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_audit(&kernel, &r), GMK_OK);
    gmk_test_assert(r.balanced);
    gmk_test_assert_eq(gmk_halt_timeout(&kernel, UINT64_MAX, NULL), GMK_OK);
}

/* Hosts. -------------------------------------------------------------------------- */

GMK_TEST(boot_hosts_attach_up_to_the_limit_and_again)
{
    static gmk_host_t hosts[GMK_MAX_HOSTS + 1];
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    gmk_ctx_t *ctx[GMK_MAX_HOSTS];

    GMK_REQUIRE(begin(&cfg));
    gmk_test_assert(gmk_host_attach(NULL, &hosts[0]) == NULL);
    gmk_test_assert(gmk_host_attach(&kernel, NULL) == NULL);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < GMK_MAX_HOSTS; i++) {
            gmk_task_t t = kit_task(SEE, 0, i);

            ctx[i] = gmk_host_attach(&kernel, &hosts[i]);
            GMK_REQUIRE(ctx[i] != NULL);
            gmk_test_assert_eq(ctx[i]->worker_id, GMK_NO_WORKER);
            gmk_test_assert(ctx[i]->task != NULL && ctx[i]->kernel == &kernel);
            for (uint32_t j = 0; j < i; j++)
                gmk_test_assert(ctx[j] != ctx[i]);
            gmk_test_assert_eq(gmk_emit(ctx[i], &t), GMK_OK);
        }
        gmk_test_assert(gmk_host_attach(&kernel, &hosts[GMK_MAX_HOSTS]) == NULL);
        for (uint32_t i = 0; i < GMK_MAX_HOSTS; i++) {
            gmk_test_assert_eq(gmk_host_detach(&hosts[i]), GMK_OK);
            gmk_test_assert_eq(gmk_host_detach(&hosts[i]), GMK_E_INVALID);
        }
    }
    gmk_test_assert_eq(gmk_host_detach(NULL), GMK_E_INVALID);
    gmk_test_assert_eq(kit_halt(&kernel).completed, 3 * GMK_MAX_HOSTS);
}

GMK_TEST(boot_attached_thread_emits_sets_timers_and_allocates)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    gmk_task_t t = kit_task(SEE, 0, 9);
    gmk_host_t host;
    gmk_ctx_t *ctx;
    void *p;

    GMK_REQUIRE(begin(&cfg));
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    gmk_test_assert_eq(gmk_emit(ctx, &t), GMK_OK);
    gmk_test_assert_eq(gmk_emit_to(ctx, &t, 1), GMK_OK);
    gmk_test_assert_eq(gmk_emit_after(ctx, &t, 1000), GMK_OK);
    gmk_test_assert_eq(gmk_emit_at_tick(ctx, &t, gmk_tick(ctx)), GMK_OK);
    p = gmk_alloc(ctx, 200);
    gmk_test_assert(p != NULL);
    gmk_free(ctx, p);
    gmk_test_assert_eq(gmk_retries(ctx), 0);
    gmk_test_assert_eq(gmk_chan_seq(ctx), 0);
    gmk_test_assert(kit_until(&load.runs, 4));
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    kit_halt(&kernel);
}

GMK_TEST(boot_halt_with_a_host_attached_and_detach_after_it)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    gmk_host_t host;

    GMK_REQUIRE(begin(&cfg));
    GMK_REQUIRE(gmk_host_attach(&kernel, &host) != NULL);
    kit_halt(&kernel);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_E_INVALID);
    gmk_test_assert(gmk_host_attach(&kernel, &host) == NULL);
}

static void *waiter(void *arg)
{
    kit_thread_t *t = arg;

    kit_until(t->go, 1);
    kit_set(t->user, 1);
    gmk_test_assert_eq(gmk_wait_idle(&kernel, KIT_WAIT_NS), GMK_OK);
    kit_set(t->user, 2);
    return NULL;
}

/* Somebody waits for the kernel to come to rest: that holds nobody up. */
GMK_TEST(boot_attach_and_trace_do_not_wait_for_who_waits_for_rest)
{
    static kit_thread_t thread[1];
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    gmk_a32_t go, state = 0;
    gmk_trace_ev_t ev;
    gmk_host_t host;

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, kit_task(GATE, 0, 0));
    gmk_test_assert(kit_until(&load.entered, 1));
    kit_start(thread, 1, &go, waiter, &state);
    gmk_test_assert(kit_until(&state, 1));
    for (uint32_t i = 0; i < 1000; i++)
        gmk_hal_relax();
    gmk_test_assert(gmk_host_attach(&kernel, &host) != NULL);
    (void)gmk_trace_read(&kernel, &ev);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    gmk_test_assert_eq(kit_get(&state), 1);
    gmk_test_assert_eq(gmk_wait_idle(&kernel, 0) == GMK_OK, false);
    kit_set(&load.open, 1);
    kit_join(thread, 1);
    gmk_test_assert_eq(kit_get(&state), 2);
    kit_halt(&kernel);
}

/* A handler that runs on: who waits for rest, and who wants the books, is told so, and both go
 * well once it has returned. */
GMK_TEST(boot_wait_and_audit_of_a_busy_kernel_say_so)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    gmk_audit_report_t r = {.accepted = 77};

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, kit_task(GATE, 0, 0));
    gmk_test_assert(kit_until(&load.entered, 1));
    gmk_test_assert_eq(gmk_wait_idle(&kernel, 1000), GMK_E_TIMEOUT);
    gmk_test_assert_eq(gmk_audit(&kernel, &r), GMK_E_BUSY);
    gmk_test_assert_eq(r.accepted, 77); /* not written */
    kit_set(&load.open, 1);
    gmk_test_assert_eq(gmk_wait_idle(&kernel, KIT_WAIT_NS), GMK_OK);
    gmk_test_assert_eq(gmk_audit(&kernel, &r), GMK_OK);
    gmk_test_assert_eq(r.accepted, 1);
    gmk_test_assert_eq(r.completed, 1);
    gmk_test_assert(r.balanced);
    kit_halt(&kernel);
}

/* A waiter that would wait long neither holds the halt up nor outlives the kernel. */
static void *long_waiter(void *arg)
{
    kit_thread_t *t = arg;

    kit_until(t->go, 1);
    kit_add(t->user, 1);
    gmk_test_assert_eq(gmk_wait_idle(&kernel, UINT64_MAX), GMK_E_HALTING);
    return NULL;
}

GMK_TEST(boot_halt_sends_who_waits_for_rest_away)
{
    static kit_thread_t threads[3];
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    gmk_audit_report_t r = {.accepted = 0};
    gmk_a32_t go, inside = 0;

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, kit_task(RESPAWN, 0, 0));
    gmk_test_assert(kit_until(&load.runs, 1));
    kit_start(threads, 3, &go, long_waiter, &inside);
    gmk_test_assert(kit_until(&inside, 3));
    for (uint64_t i = 0; i < gmk_test_scale(1000, 100); i++)
        gmk_hal_relax();
    gmk_test_assert_eq(gmk_halt_timeout(&kernel, ENDLESS_HALT_NS, &r), GMK_OK);
    gmk_test_assert(r.balanced);
    kit_join(threads, 3);
}

/* A handler does not
 * return: the halt ends all the same, says who it is, and keeps the memory. The test
 * then does by the private doors what nobody else may: joins the worker and frees. */
static void stuck_halt(uint32_t workers)
{
    gmk_boot_cfg_t cfg = {.n_workers = workers};
    gmk_audit_report_t r = {.accepted = 0};
    gmk_task_t t = kit_task(SEE, 0, 0);
    gmki_kernel_t *k;

    GMK_REQUIRE(begin(&cfg));
    k = gmki_kernel(&kernel);
    kit_submit(&kernel, kit_task(GATE, 0, 0));
    gmk_test_assert(kit_until(&load.entered, 1));
    kit_submit(&kernel, kit_task(SEE, GMK_PRIO_LOW, 0));
    /* Long enough for the other workers to leave, where they are emulated: it names one. */
    gmk_test_assert_eq(gmk_halt_timeout(&kernel, gmk_test_scale(20000000, 300000000), &r),
                       GMK_E_TIMEOUT);
    gmk_test_assert(!r.balanced || r.queued != 0);
    gmk_test_assert_eq(r.accepted, 2);
    gmk_test_assert(text_has(r.stuck, "worker "));
    gmk_test_assert(text_has(r.stuck, "handler 'gate'"));
    gmk_test_assert(text_has(r.stuck, "module 'boot'"));
    gmk_test_assert_eq(gmk_submit(&kernel, &t), GMK_E_HALTING);
    gmk_test_assert_eq(gmk_halt(&kernel), GMK_E_INVALID);
    /* The memory is kept: the handler still reads it, and ends well once it may. */
    kit_set(&load.open, 1);
    gmki_stop_workers(k);
    gmk_test_assert_eq(kit_get(&load.entered), 1);
    gmki_lose_all(k, k->agents[0]);
    gmki_mod_fini_all(k->agents[0], &k->core.mods);
    gmki_audit(k, &r);
    gmk_test_assert(r.balanced);
    gmki_kernel_free(k);
    gmk_hal_memset(&kernel, 0, sizeof(kernel));
}

/* EQ-10. */
GMK_TEST(boot_halt_timeout_names_the_handler_that_does_not_return)
{
    stuck_halt(1);
    stuck_halt(3);
}
