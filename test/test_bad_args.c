/* SPDX-License-Identifier: MIT
 * Wrong arguments to every public function give what its header says, and change nothing. A
 * table a header; tools/bad_args.py sees that none is missing.
 * Floor: tests. Source: SPEC T-15, CH-25, MOD-24, OBS-1; ARCHITECTURE R11, R12. */
#include "chan_parts.h"

#include "ggmk/determinism.h"
#include "ggmk/metrics.h"
#include "ggmk/ring_mpmc.h"
#include "ggmk/ring_spsc.h"
#include "ggmk/trace.h"
#include "ggmk/why.h"
#include "ggmk/worker.h"

#define BIG "0123456789012345678901234567890123456789012345678901234567890123"

typedef struct bad_case {
    const char *what;
    int64_t got, want;
} bad_case_t;

/* Every call is made where its table is initialised. */
#define BAD(call, code)                                                                            \
    {                                                                                              \
#call, (int64_t)(call), (int64_t)(code)                                                    \
    }
/* A call that returns nothing does nothing: what it must not change is looked at after it. */
#define NOTHING(call) call

static env_t env;
static part_t part[2];
static gmk_kernel_t never; /* was never booted */

static void check(const bad_case_t *c, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        gmk_test_assert_named(c[i].got == c[i].want, c[i].what);
}

#define CHECK(table) check(table, GMK_ARRAY_LEN(table))

static bool boot(void)
{
    gmk_module_t *mods[] = {part_make(&part[0], &env, 0, on_part),
                            part_make(&part[1], &env, 1, on_part)};
    int id;

    gmk_hal_memset(&env, 0, sizeof(env));
    part_consume(&part[0], "t.fan", GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS, 8);
    if (!env_boot(&env, 2, GMK_BOOT_MANUAL_TICKS, mods, 2))
        return false;
    id = gmk_chan_find(env.ctx, "t.fan");
    env.chan = id > 0 ? (uint32_t)id : 0;
    return gmk_test_assert_gt(id, 0);
}

/* Nothing has been taken on or handed out by all that. */
static void end_untouched(uint64_t accepted)
{
    env_idle(&env);
    gmk_test_assert_eq(env_books(&env).accepted, accepted);
    env_end(&env);
    gmk_test_assert_eq(part[0].got + part[1].got, 0);
}

/* boot.h. ---------------------------------------------------------------------------------- */

GMK_TEST(bad_args_boot_h)
{
    gmk_task_t t = env_msg(T_PART, 0, 0);
    gmk_task_t alien = env_msg(99, 0, 0);
    gmk_task_t tenant = t;
    gmk_audit_report_t r;
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)4 << 20, .n_workers = GMK_MAX_WORKERS + 1};
    gmk_boot_cfg_t tenants = {.n_workers = 1, .n_tenants = GMK_MAX_TENANTS + 1};
    static gmk_kernel_t other;
    gmk_module_t *none[] = {NULL};

    tenant.tenant = 1;
    GMK_REQUIRE(boot());
    {
        const bad_case_t cases[] = {
            BAD(gmk_boot(NULL, NULL, NULL, 0), GMK_E_INVALID),
            BAD(gmk_boot(&other, NULL, NULL, 1), GMK_E_INVALID),
            BAD(gmk_boot(&other, NULL, none, 1), GMK_E_WIRING),
            BAD(gmk_boot(&other, &cfg, NULL, 0), GMK_E_LIMIT),
            BAD(gmk_boot(&other, &tenants, NULL, 0), GMK_E_LIMIT),
            BAD(gmk_halt(NULL), GMK_E_INVALID),
            BAD(gmk_halt(&never), GMK_E_INVALID),
            BAD(gmk_halt_timeout(NULL, 1, &r), GMK_E_INVALID),
            BAD(gmk_halt_timeout(&never, 1, &r), GMK_E_INVALID),
            BAD(gmk_submit(NULL, &t), GMK_E_INVALID),
            BAD(gmk_submit(&never, &t), GMK_E_INVALID),
            BAD(gmk_submit(&env.kernel, NULL), GMK_E_INVALID),
            BAD(gmk_submit(&env.kernel, &alien), GMK_E_NO_HANDLER),
            BAD(gmk_submit(&env.kernel, &tenant), GMK_E_TENANT),
            BAD(gmk_submit_batch(NULL, &t, 1), GMK_E_INVALID),
            BAD(gmk_submit_batch(&never, &t, 1), GMK_E_INVALID),
            BAD(gmk_submit_batch(&env.kernel, NULL, 1), GMK_E_INVALID),
            BAD(gmk_submit_batch(&env.kernel, &alien, 1), GMK_E_NO_HANDLER),
            BAD(gmk_submit_batch(&env.kernel, &tenant, 1), GMK_E_TENANT),
            BAD(gmk_submit_batch(&env.kernel, &t, 0), 0),
            BAD(gmk_submit_to(NULL, &t, 0), GMK_E_INVALID),
            BAD(gmk_submit_to(&never, &t, 0), GMK_E_INVALID),
            BAD(gmk_submit_to(&env.kernel, NULL, 0), GMK_E_INVALID),
            BAD(gmk_submit_to(&env.kernel, &t, 2), GMK_E_INVALID),
            BAD(gmk_submit_to(&env.kernel, &t, GMK_NO_WORKER), GMK_E_INVALID),
            BAD(gmk_submit_to(&env.kernel, &alien, 0), GMK_E_NO_HANDLER),
            BAD(gmk_submit_to(&env.kernel, &tenant, 0), GMK_E_TENANT),
            BAD(gmk_submit_after(NULL, &t, 1), GMK_E_INVALID),
            BAD(gmk_submit_after(&never, &t, 1), GMK_E_INVALID),
            BAD(gmk_submit_after(&env.kernel, NULL, 1), GMK_E_INVALID),
            BAD(gmk_submit_after(&env.kernel, &alien, 1), GMK_E_NO_HANDLER),
            BAD(gmk_submit_after(&env.kernel, &tenant, 1), GMK_E_TENANT),
            BAD(gmk_submit_at_tick(NULL, &t, 1), GMK_E_INVALID),
            BAD(gmk_submit_at_tick(&never, &t, 1), GMK_E_INVALID),
            BAD(gmk_submit_at_tick(&env.kernel, NULL, 1), GMK_E_INVALID),
            BAD(gmk_submit_at_tick(&env.kernel, &alien, 1), GMK_E_NO_HANDLER),
            BAD(gmk_submit_at_tick(&env.kernel, &tenant, 1), GMK_E_TENANT),
        };

        CHECK(cases);
    }
    end_untouched(0);
}

GMK_TEST(bad_args_boot_h_ticks_books_and_threads)
{
    static gmk_host_t unused;
    gmk_audit_report_t r;

    GMK_REQUIRE(boot());
    {
        const bad_case_t cases[] = {
            BAD(gmk_tick_now(NULL), 0),
            BAD(gmk_tick_now(&never), 0),
            BAD(gmk_wait_idle(NULL, 1), GMK_E_INVALID),
            BAD(gmk_wait_idle(&never, 1), GMK_E_INVALID),
            BAD(gmk_audit(NULL, &r), GMK_E_INVALID),
            BAD(gmk_audit(&never, &r), GMK_E_INVALID),
            BAD(gmk_audit(&env.kernel, NULL), GMK_E_INVALID),
            BAD(gmk_host_attach(NULL, &unused) != NULL, 0),
            BAD(gmk_host_attach(&never, &unused) != NULL, 0),
            BAD(gmk_host_attach(&env.kernel, NULL) != NULL, 0),
            BAD(gmk_host_detach(NULL), GMK_E_INVALID),
            BAD(gmk_host_detach(&unused), GMK_E_INVALID),
            BAD(gmk_boot_error(NULL)[0], '\0'),
            BAD(gmk_boot_error(&never)[0], '\0'),
            BAD(gmk_boot_error(&env.kernel)[0], '\0'),
            BAD(gmk_boot_warnings(NULL)[0], '\0'),
            BAD(gmk_boot_warnings(&never)[0], '\0'),
        };

        CHECK(cases);
    }
    NOTHING(gmk_tick_advance(NULL));
    NOTHING(gmk_tick_advance(&never));
    end_untouched(0);
}

/* sched.h, alloc.h. ------------------------------------------------------------------------ */

GMK_TEST(bad_args_sched_h)
{
    gmk_task_t t = env_msg(T_PART, 0, 0);
    gmk_task_t alien = env_msg(99, 0, 0);
    gmk_task_t zero = env_msg(0, 0, 0);
    gmk_task_t huge = env_msg(UINT32_MAX, 0, 0);
    gmk_task_t tenant = t;

    tenant.tenant = 1;
    GMK_REQUIRE(boot());
    {
        const bad_case_t cases[] = {
            BAD(gmk_emit(NULL, &t), GMK_E_INVALID),
            BAD(gmk_emit(env.ctx, NULL), GMK_E_INVALID),
            BAD(gmk_emit(env.ctx, &alien), GMK_E_NO_HANDLER),
            BAD(gmk_emit(env.ctx, &zero), GMK_E_NO_HANDLER),
            BAD(gmk_emit(env.ctx, &huge), GMK_E_NO_HANDLER),
            BAD(gmk_emit(env.ctx, &tenant), GMK_E_TENANT),
            BAD(gmk_emit_to(NULL, &t, 0), GMK_E_INVALID),
            BAD(gmk_emit_to(env.ctx, NULL, 0), GMK_E_INVALID),
            BAD(gmk_emit_to(env.ctx, &t, 2), GMK_E_INVALID),
            BAD(gmk_emit_to(env.ctx, &alien, 0), GMK_E_NO_HANDLER),
            BAD(gmk_emit_to(env.ctx, &tenant, 0), GMK_E_TENANT),
            BAD(gmk_emit_after(NULL, &t, 1), GMK_E_INVALID),
            BAD(gmk_emit_after(env.ctx, NULL, 1), GMK_E_INVALID),
            BAD(gmk_emit_after(env.ctx, &alien, 1), GMK_E_NO_HANDLER),
            BAD(gmk_emit_after(env.ctx, &tenant, 1), GMK_E_TENANT),
            BAD(gmk_emit_at_tick(NULL, &t, 1), GMK_E_INVALID),
            BAD(gmk_emit_at_tick(env.ctx, NULL, 1), GMK_E_INVALID),
            BAD(gmk_emit_at_tick(env.ctx, &alien, 1), GMK_E_NO_HANDLER),
            BAD(gmk_emit_at_tick(env.ctx, &tenant, 1), GMK_E_TENANT),
            /* No task runs on an attached thread. */
            BAD(gmk_budget_spent(env.ctx), false),
            BAD(gmk_retries(env.ctx), 0),
            BAD(gmk_chan_seq(env.ctx), 0),
            BAD(gmk_chan_gap(env.ctx), 0),
            BAD(gmk_error_reason(env.ctx), 0),
            BAD(gmk_self_worker(env.ctx), GMK_NO_WORKER),
            BAD(gmk_self_tenant(env.ctx), 0),
            BAD(gmk_budget_spent(NULL), false),
            BAD(gmk_retries(NULL), 0),
            BAD(gmk_chan_seq(NULL), 0),
            BAD(gmk_chan_gap(NULL), 0),
            BAD(gmk_error_reason(NULL), 0),
            BAD(gmk_self_worker(NULL), GMK_NO_WORKER),
            BAD(gmk_self_tenant(NULL), 0),
            BAD(gmk_tick(NULL), 0),
        };

        CHECK(cases);
    }
    NOTHING(gmk_yield(env.ctx)); /* without meaning there */
    NOTHING(gmk_yield_at(env.ctx, 1));
    NOTHING(gmk_yield(NULL));
    NOTHING(gmk_yield_at(NULL, 1));
    end_untouched(0);
}

GMK_TEST(bad_args_alloc_h)
{
    gmk_alloc_stats_t s;
    gmk_task_t t = env_msg(T_MSG, 0, 0);

    GMK_REQUIRE(boot());
    {
        const bad_case_t cases[] = {
            BAD(gmk_alloc(NULL, 8) != NULL, 0),
            BAD(gmk_alloc(env.ctx, 0) != NULL, 0),
            BAD(gmk_alloc(env.ctx, GMK_BLOCK_MAX + 1) != NULL, 0),
            BAD(gmk_alloc(env.ctx, UINT32_MAX) != NULL, 0),
            BAD(gmk_bump(NULL, 8) != NULL, 0),
            BAD(gmk_bump(env.ctx, 0) != NULL, 0),
            BAD(gmk_bump(env.ctx, UINT32_MAX) != NULL, 0),
            BAD(gmk_payload_alloc(NULL, 8) != NULL, 0),
            BAD(gmk_payload_alloc(env.ctx, 0) != NULL, 0),
            BAD(gmk_payload_alloc(env.ctx, GMK_PAYLOAD_MAX + 1) != NULL, 0),
            BAD(gmk_payload_alloc(env.ctx, UINT32_MAX) != NULL, 0),
            BAD(gmk_alloc_get_stats(NULL, GMK_ALLOC_BLOCK, &s), GMK_E_INVALID),
            BAD(gmk_alloc_get_stats(&never, GMK_ALLOC_BLOCK, &s), GMK_E_INVALID),
            BAD(gmk_alloc_get_stats(&env.kernel, GMK_ALLOC_KINDS, &s), GMK_E_INVALID),
            BAD(gmk_alloc_get_stats(&env.kernel, GMK_ALLOC_BLOCK, NULL), GMK_E_INVALID),
        };

        CHECK(cases);
    }
    NOTHING(gmk_free(NULL, &t));
    NOTHING(gmk_free(env.ctx, NULL));
    NOTHING(gmk_bump_reset(NULL));
    NOTHING(gmk_task_set_payload(NULL, NULL));
    NOTHING(gmk_task_set_payload(&t, NULL));
    gmk_test_assert_eq(t.flags & GMK_TF_PAYLOAD_RC, 0);
    NOTHING(gmk_payload_retain_ptr(env.ctx, NULL));
    NOTHING(gmk_payload_release_ptr(env.ctx, NULL));
    NOTHING(gmk_payload_release(env.ctx));
    NOTHING(gmk_payload_retain(env.ctx));
    NOTHING(gmk_payload_retain_ptr(NULL, &t));
    NOTHING(gmk_payload_release_ptr(NULL, &t));
    NOTHING(gmk_payload_release(NULL));
    NOTHING(gmk_payload_retain(NULL));
    end_untouched(0);
}

/* trace.h, metrics.h, module.h, worker.h. -------------------------------------------------- */

GMK_TEST(bad_args_trace_h)
{
    gmk_trace_ev_t ev;

    GMK_REQUIRE(boot());
    {
        const bad_case_t cases[] = {
            BAD(gmk_trace_set_level(NULL, NULL, 1), GMK_E_INVALID),
            BAD(gmk_trace_set_level(&never, NULL, 1), GMK_E_INVALID),
            BAD(gmk_trace_set_level(&env.kernel, NULL, GMK_TRACE_ALL + 1), GMK_E_INVALID),
            BAD(gmk_trace_set_level(&env.kernel, "nobody", 1), GMK_E_NOT_FOUND),
            BAD(gmk_trace_set_level(&env.kernel, "", 1), GMK_E_NOT_FOUND),
            BAD(gmk_trace_set_sample_rate(NULL, 1), GMK_E_INVALID),
            BAD(gmk_trace_set_sample_rate(&never, 1), GMK_E_INVALID),
            BAD(gmk_trace_read(NULL, &ev), GMK_E_INVALID),
            BAD(gmk_trace_read(&never, &ev), GMK_E_INVALID),
            BAD(gmk_trace_read(&env.kernel, NULL), GMK_E_INVALID),
            BAD(gmk_trace_read_batch(NULL, &ev, 1), GMK_E_INVALID),
            BAD(gmk_trace_read_batch(&never, &ev, 1), GMK_E_INVALID),
            BAD(gmk_trace_read_batch(&env.kernel, NULL, 1), GMK_E_INVALID),
            BAD(gmk_trace_read_batch(&env.kernel, &ev, UINT32_MAX), GMK_E_INVALID),
            BAD(gmk_trace_read_batch(&env.kernel, NULL, 0), 0),
            BAD(gmk_trace_total(NULL), 0),
            BAD(gmk_trace_total(&never), 0),
            BAD(gmk_trace_dropped(NULL), 0),
            BAD(gmk_trace_dropped(&never), 0),
            BAD(gmk_trace_event_name(0) != NULL, 0),
            BAD(gmk_trace_event_name(GMK_EV_USER) != NULL, 0),
            BAD(gmk_trace_event_text(UINT32_MAX) != NULL, 0),
            BAD(gmk_trace_event_level(UINT32_MAX), GMK_TRACE_INFO),
        };

        CHECK(cases);
    }
    NOTHING(gmk_trace(NULL, GMK_EV_USER, 0, 0));
    gmk_test_assert_eq(gmk_trace_dropped(&env.kernel), 0);
    end_untouched(0);
}

GMK_TEST(bad_args_metrics_module_worker_h)
{
    gmk_metrics_map_t map;
    gmk_kernel_info_t info;
    gmk_handler_info_t h;
    gmk_worker_info_t w;

    GMK_REQUIRE(boot());
    {
        const bad_case_t cases[] = {
            BAD(gmk_metric_get(NULL, 0), 0),
            BAD(gmk_metric_get(&never, 0), 0),
            BAD(gmk_metric_get(&env.kernel, GMK_METRIC_COUNT), 0),
            BAD(gmk_metric_get_tenant(NULL, 0, 0), 0),
            BAD(gmk_metric_get_tenant(&never, 0, 0), 0),
            BAD(gmk_metric_get_tenant(&env.kernel, 0, 1), 0),
            BAD(gmk_metric_get_tenant(&env.kernel, UINT32_MAX, 0), 0),
            BAD(gmk_metric_get_worker(NULL, 0, 0), 0),
            BAD(gmk_metric_get_worker(&never, 0, 0), 0),
            BAD(gmk_metric_get_worker(&env.kernel, 0, 2), 0),
            BAD(gmk_metric_get_worker(&env.kernel, GMK_METRIC_COUNT, 0), 0),
            BAD(gmk_metric_key(GMK_METRIC_COUNT) != NULL, 0),
            BAD(gmk_metric_text(UINT32_MAX) != NULL, 0),
            BAD(gmk_metrics_map(NULL, &map), GMK_E_INVALID),
            BAD(gmk_metrics_map(&never, &map), GMK_E_INVALID),
            BAD(gmk_metrics_map(&env.kernel, NULL), GMK_E_INVALID),
            BAD(gmk_kernel_get_info(NULL, &info), GMK_E_INVALID),
            BAD(gmk_kernel_get_info(&never, &info), GMK_E_INVALID),
            BAD(gmk_kernel_get_info(&env.kernel, NULL), GMK_E_INVALID),
            BAD(gmk_watchdog_scan(NULL), 0),
            BAD(gmk_mod_reset(NULL, T_MSG), GMK_E_INVALID),
            BAD(gmk_mod_reset(&never, T_MSG), GMK_E_INVALID),
            BAD(gmk_mod_reset(&env.kernel, 99), GMK_E_NOT_FOUND),
            BAD(gmk_mod_reset(&env.kernel, 0), GMK_E_NOT_FOUND),
            BAD(gmk_handler_get_info(NULL, 0, &h), GMK_E_INVALID),
            BAD(gmk_handler_get_info(&never, 0, &h), GMK_E_INVALID),
            BAD(gmk_handler_get_info(&env.kernel, 0, NULL), GMK_E_INVALID),
            BAD(gmk_handler_get_info(&env.kernel, 200, &h), GMK_E_NOT_FOUND),
            BAD(gmk_worker_count(NULL), 0),
            BAD(gmk_worker_count(&never), 0),
            BAD(gmk_worker_get_info(NULL, 0, &w), GMK_E_INVALID),
            BAD(gmk_worker_get_info(&never, 0, &w), GMK_E_INVALID),
            BAD(gmk_worker_get_info(&env.kernel, 0, NULL), GMK_E_INVALID),
            BAD(gmk_worker_get_info(&env.kernel, 2, &w), GMK_E_NOT_FOUND),
        };

        CHECK(cases);
    }
    NOTHING(gmk_metric_inc(NULL, GMK_METRIC_CHAN_DROPS, 1));
    NOTHING(gmk_metric_inc(env.ctx, GMK_METRIC_COUNT, 1));
    NOTHING(gmk_metric_inc(env.ctx, GMK_METRIC_TASKS_ACCEPTED, 1)); /* the audit's */
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_DROPS), 0);
    end_untouched(0);
}

/* sdk.h. ----------------------------------------------------------------------------------- */

GMK_TEST(bad_args_sdk_h)
{
    gmk_task_t wrong = env_msg(T_MSG2, 0, 0);
    uint32_t c;

    GMK_REQUIRE(boot());
    c = env.chan;
    {
        const bad_case_t cases[] = {
            BAD(gmk_sdk_chan_open(NULL, "x", GMK_CHAN_P2P, T_MSG), GMK_E_INVALID),
            BAD(gmk_sdk_chan_open(env.ctx, NULL, GMK_CHAN_P2P, T_MSG), GMK_E_INVALID),
            BAD(gmk_sdk_chan_open(env.ctx, "", GMK_CHAN_P2P, T_MSG), GMK_E_INVALID),
            BAD(gmk_sdk_chan_open(env.ctx, BIG, GMK_CHAN_P2P, T_MSG), GMK_E_INVALID),
            BAD(gmk_sdk_chan_open(env.ctx, "x", 0x8000, T_MSG), GMK_E_INVALID),
            BAD(gmk_sdk_chan_open(env.ctx, "t.fan", GMK_CHAN_P2P, T_MSG), GMK_E_EXISTS),
            BAD(gmk_sdk_chan_open(env.ctx, "t.fan", GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS, T_MSG2),
                GMK_CHAN_TYPE_MISMATCH),
            BAD(gmk_sdk_chan_send(NULL, c, T_MSG, "x", 1), GMK_E_INVALID),
            BAD(gmk_sdk_chan_send(env.ctx, c, T_MSG, NULL, 1), GMK_E_INVALID),
            BAD(gmk_sdk_chan_send(env.ctx, 0, T_MSG, "x", 1), GMK_CHAN_CLOSED),
            BAD(gmk_sdk_chan_send(env.ctx, c, T_MSG2, "x", 1), GMK_CHAN_TYPE_MISMATCH),
            BAD(gmk_sdk_chan_send(env.ctx, c, T_MSG, &env, GMK_PAYLOAD_MAX + 1), GMK_ALLOC_FAIL),
            BAD(gmk_sdk_chan_send_inline(NULL, c, T_MSG, 0, 0), GMK_E_INVALID),
            BAD(gmk_sdk_chan_send_inline(env.ctx, 0, T_MSG, 0, 0), GMK_CHAN_CLOSED),
            BAD(gmk_sdk_chan_send_inline(env.ctx, c, T_MSG2, 0, 0), GMK_CHAN_TYPE_MISMATCH),
            BAD(gmk_sdk_chan_send_inline(env.ctx, c, 0, 0, 0), GMK_E_INVALID),
            BAD(gmk_sdk_chan_send_task(NULL, c, &wrong), GMK_E_INVALID),
            BAD(gmk_sdk_chan_send_task(env.ctx, c, NULL), GMK_E_INVALID),
            BAD(gmk_sdk_chan_send_task(env.ctx, c, &wrong), GMK_CHAN_TYPE_MISMATCH),
            BAD(gmk_sdk_chan_send_task(env.ctx, UINT32_MAX, &wrong), GMK_CHAN_CLOSED),
        };

        CHECK(cases);
    }
    gmk_test_assert_eq(env_live(&env), 0);
    end_untouched(0);
}

/* chan.h. ---------------------------------------------------------------------------------- */

/* CH-24 to CH-26. */
GMK_TEST(bad_args_chan_h_open)
{
    gmk_chan_opts_t both = {.mode = GMK_CHAN_P2P | GMK_CHAN_FANOUT};
    gmk_chan_opts_t lossy_replay = {.mode = GMK_CHAN_FANOUT, .replay_slots = 8};
    gmk_chan_opts_t sys_type = {.msg_type = GMK_TYPE_SYS_FIRST};
    gmk_chan_opts_t type = {.msg_type = 256};
    gmk_chan_opts_t slots = {.slots = UINT32_MAX};
    gmk_chan_opts_t other = {.mode = GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS, .slots = 64};
    gmk_chan_opts_t good = {.msg_type = T_MSG};

    GMK_REQUIRE(boot());
    {
        const bad_case_t cases[] = {
            BAD(gmk_chan_find(NULL, "t.fan"), GMK_E_INVALID),
            BAD(gmk_chan_find(env.ctx, NULL), GMK_E_INVALID),
            BAD(gmk_chan_find(env.ctx, "x"), GMK_E_NOT_FOUND),
            BAD(gmk_chan_find(env.ctx, ""), GMK_E_NOT_FOUND),
            BAD(gmk_chan_find(env.ctx, BIG), GMK_E_NOT_FOUND),
            BAD(gmk_chan_open(NULL, "x", GMK_CHAN_P2P, 0), GMK_E_INVALID),
            BAD(gmk_chan_open(env.ctx, NULL, GMK_CHAN_P2P, 0), GMK_E_INVALID),
            BAD(gmk_chan_open(env.ctx, "", GMK_CHAN_P2P, 0), GMK_E_INVALID),
            BAD(gmk_chan_open(env.ctx, BIG, GMK_CHAN_P2P, 0), GMK_E_INVALID),
            BAD(gmk_chan_open(env.ctx, "x", both.mode, 0), GMK_E_INVALID),
            BAD(gmk_chan_open(env.ctx, "x", GMK_CHAN_PARALLEL, 0), GMK_E_INVALID),
            BAD(gmk_chan_open(env.ctx, "x", GMK_CHAN_P2P | GMK_CHAN_CONSUME, 0), GMK_E_INVALID),
            BAD(gmk_chan_open(env.ctx, "x", 0x10000, 0), GMK_E_INVALID),
            BAD(gmk_chan_open(env.ctx, "x", GMK_CHAN_P2P, UINT32_MAX), GMK_E_INVALID),
            BAD(gmk_chan_open(env.ctx, "t.fan", GMK_CHAN_P2P, 0), GMK_E_EXISTS),
            BAD(gmk_chan_open(env.ctx, "t.fan", GMK_CHAN_FANOUT, 0), GMK_E_EXISTS),
            BAD(gmk_chan_open(env.ctx, "sys.tick", GMK_CHAN_P2P, 0), GMK_E_EXISTS),
            BAD(gmk_chan_open_with(NULL, "x", &good), GMK_E_INVALID),
            BAD(gmk_chan_open_with(env.ctx, NULL, &good), GMK_E_INVALID),
            BAD(gmk_chan_open_with(env.ctx, "x", NULL), GMK_E_INVALID),
            BAD(gmk_chan_open_with(env.ctx, "", &good), GMK_E_INVALID),
            BAD(gmk_chan_open_with(env.ctx, BIG, &good), GMK_E_INVALID),
            BAD(gmk_chan_open_with(env.ctx, "x", &both), GMK_E_INVALID),
            BAD(gmk_chan_open_with(env.ctx, "x", &lossy_replay), GMK_E_INVALID),
            BAD(gmk_chan_open_with(env.ctx, "x", &sys_type), GMK_E_INVALID),
            BAD(gmk_chan_open_with(env.ctx, "x", &type), GMK_E_INVALID),
            BAD(gmk_chan_open_with(env.ctx, "x", &slots), GMK_E_INVALID),
            BAD(gmk_chan_open_with(env.ctx, "t.fan", &other), GMK_E_EXISTS),
            BAD(gmk_chan_find(env.ctx, "x"), GMK_E_NOT_FOUND),
        };

        CHECK(cases);
    }
    end_untouched(0);
}

static uint32_t take_nothing(void *arg, const gmk_cell_t *cells, uint32_t n)
{
    (void)arg;
    (void)cells;
    (void)n;
    return 0;
}

/* Identifiers that mean no channel. */
static const uint32_t bad_ids[] = {0,         77,      GMK_MAX_CHANNELS, GMK_MAX_CHANNELS + 1,
                                   0xffff,    0x10000, 0x10001,          0x7fff0001,
                                   UINT32_MAX};

/* CH-25, CH-30: from an attached thread. */
GMK_TEST(bad_args_chan_h_no_such_channel)
{
    gmk_task_t t = env_msg(T_MSG, 0, 0);
    gmk_cell_t cell = {.task = t};
    gmk_chan_sink_t sink = {.take = take_nothing};
    gmk_chan_info_t info;
    gmk_sub_info_t sub;

    GMK_REQUIRE(boot());
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(bad_ids); i++) {
        uint32_t c = bad_ids[i];
        const bad_case_t cases[] = {
            BAD(gmk_chan_close(env.ctx, c), GMK_CHAN_CLOSED),
            BAD(gmk_chan_fix_type(env.ctx, c, T_MSG), GMK_CHAN_CLOSED),
            BAD(gmk_chan_emit(env.ctx, c, &t), GMK_CHAN_CLOSED),
            BAD(gmk_chan_emit_batch(env.ctx, c, &t, 1), GMK_CHAN_CLOSED),
            BAD(gmk_chan_emit_wait(env.ctx, c, &t), GMK_CHAN_CLOSED),
            BAD(gmk_chan_emit_cells(env.ctx, c, &cell, 1), GMK_CHAN_CLOSED),
            BAD(gmk_chan_sink_ready(env.ctx, c, &sink), GMK_CHAN_CLOSED),
            BAD(gmk_chan_unsub_sink(env.ctx, c, &sink), GMK_CHAN_CLOSED),
            BAD(gmk_chan_sub_sink(env.ctx, c, &sink), GMK_CHAN_CLOSED),
            BAD(gmk_chan_get_info(&env.kernel, c, &info), GMK_E_NOT_FOUND),
            BAD(gmk_chan_get_sub(&env.kernel, c, 0, &sub), GMK_E_NOT_FOUND),
        };

        CHECK(cases);
    }
    end_untouched(0);
}

GMK_TEST(bad_args_chan_h_emit)
{
    gmk_task_t good = env_msg(T_MSG, 0, 0);
    gmk_task_t zero = env_msg(0, 0, 0);
    gmk_task_t huge = env_msg(256, 0, 0);
    gmk_task_t wrong = env_msg(T_MSG2, 0, 0);
    gmk_task_t sys = env_msg(GMK_TYPE_SYS_DROPPED, 0, 0);
    gmk_task_t tenant = good;
    gmk_cell_t cell = {.task = good};
    gmk_ctx_t *x;
    uint32_t c, any;
    int id;

    tenant.tenant = 1;
    GMK_REQUIRE(boot());
    x = env.ctx;
    c = env.chan;
    id = gmk_chan_open(x, "t.any", GMK_CHAN_P2P, 0);
    GMK_REQUIRE(id > 0);
    any = (uint32_t)id;
    {
        const bad_case_t cases[] = {
            BAD(gmk_chan_emit(NULL, c, &good), GMK_E_INVALID),
            BAD(gmk_chan_emit(x, c, NULL), GMK_E_INVALID),
            BAD(gmk_chan_emit(x, c, &zero), GMK_E_INVALID),
            BAD(gmk_chan_emit(x, c, &huge), GMK_E_INVALID),
            BAD(gmk_chan_emit(x, c, &wrong), GMK_CHAN_TYPE_MISMATCH),
            BAD(gmk_chan_emit(x, c, &tenant), GMK_E_TENANT),
            BAD(gmk_chan_emit(x, any, &sys), GMK_E_INVALID),
            BAD(gmk_chan_emit(x, any, &zero), GMK_E_INVALID),
            /* Nobody forges the kernel's own messages. */
            BAD(gmk_chan_emit(x, GMK_CHAN_SYS_DROPPED, &sys), GMK_CHAN_CLOSED),
            BAD(gmk_chan_emit(x, GMK_CHAN_SYS_DROPPED, &good), GMK_CHAN_CLOSED),
            BAD(gmk_chan_emit(x, GMK_CHAN_SYS_TICK, &good), GMK_CHAN_CLOSED),
            BAD(gmk_chan_emit_batch(NULL, c, &good, 1), GMK_E_INVALID),
            BAD(gmk_chan_emit_batch(x, c, NULL, 1), GMK_E_INVALID),
            BAD(gmk_chan_emit_batch(x, c, &good, UINT32_MAX), GMK_E_INVALID),
            BAD(gmk_chan_emit_batch(x, c, &good, 0), 0),
            BAD(gmk_chan_emit_batch(x, c, &wrong, 1), GMK_CHAN_TYPE_MISMATCH),
            BAD(gmk_chan_emit_batch(x, c, &tenant, 1), GMK_E_TENANT),
            BAD(gmk_chan_emit_wait(NULL, c, &good), GMK_E_INVALID),
            BAD(gmk_chan_emit_wait(x, c, NULL), GMK_E_INVALID),
            BAD(gmk_chan_emit_wait(x, c, &zero), GMK_E_INVALID),
            BAD(gmk_chan_emit_wait(x, c, &wrong), GMK_CHAN_TYPE_MISMATCH),
            BAD(gmk_chan_emit_wait(x, c, &tenant), GMK_E_TENANT),
            BAD(gmk_chan_emit_cells(NULL, c, &cell, 1), GMK_E_INVALID),
            BAD(gmk_chan_emit_cells(x, c, NULL, 1), GMK_E_INVALID),
            BAD(gmk_chan_emit_cells(x, c, &cell, 0), 0),
            BAD(gmk_chan_fix_type(NULL, any, T_MSG), GMK_E_INVALID),
            BAD(gmk_chan_fix_type(x, any, 0), GMK_E_INVALID),
            BAD(gmk_chan_fix_type(x, any, 256), GMK_E_INVALID),
            BAD(gmk_chan_fix_type(x, any, GMK_TYPE_SYS_FIRST), GMK_E_INVALID),
            BAD(gmk_chan_fix_type(x, c, T_MSG2), GMK_CHAN_TYPE_MISMATCH),
            BAD(gmk_chan_fix_type(x, c, T_MSG), GMK_OK),
            BAD(gmk_chan_close(NULL, c), GMK_E_INVALID),
            BAD(gmk_chan_close(x, GMK_CHAN_SYS_ERROR), GMK_E_INVALID),
        };

        CHECK(cases);
    }
    gmk_test_assert_eq(chan_info(&env, any).msg_type, GMK_TYPE_ANY);
    end_untouched(0);
}

/* Calls that are made as a module; and, by the thread, that an attached thread is none. */
static bool as_module(gmk_ctx_t *x)
{
    uint32_t c = env.chan;
    const bad_case_t cases[] = {
        BAD(gmk_chan_sub(NULL, c), GMK_E_INVALID),
        BAD(gmk_chan_sub_worker(NULL, c, 0), GMK_E_INVALID),
        BAD(gmk_chan_sub_worker(x, c, 2), GMK_E_INVALID),
        BAD(gmk_chan_unsub(NULL, c), GMK_E_INVALID),
        BAD(gmk_chan_on_error(NULL, c, on_part), GMK_E_INVALID),
        BAD(gmk_chan_replay(NULL, c, 1), GMK_E_INVALID),
    };

    CHECK(cases);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(bad_ids); i++) {
        uint32_t b = bad_ids[i];
        const bad_case_t none[] = {
            BAD(gmk_chan_sub(x, b), GMK_CHAN_CLOSED),
            BAD(gmk_chan_sub_worker(x, b, 0), GMK_CHAN_CLOSED),
            BAD(gmk_chan_unsub(x, b), GMK_CHAN_CLOSED),
            BAD(gmk_chan_on_error(x, b, on_part), GMK_CHAN_CLOSED),
            BAD(gmk_chan_replay(x, b, 1), GMK_CHAN_CLOSED),
        };

        CHECK(none);
    }
    return true;
}

static int act_codes(gmk_ctx_t *x)
{
    uint32_t c = env.chan;
    int untyped = gmk_chan_open(x, "t.untyped", GMK_CHAN_P2P, 0);
    int alien = gmk_sdk_chan_open(x, "t.alien", GMK_CHAN_P2P, 99);
    int taken = gmk_chan_find(x, "t.fan");
    const bad_case_t cases[] = {
        BAD(as_module(x), true),
        BAD(gmk_chan_sub(x, (uint32_t)taken), GMK_CHAN_ALREADY_BOUND),
        BAD(gmk_chan_sub_worker(x, (uint32_t)taken, 0), GMK_CHAN_ALREADY_BOUND),
        BAD(gmk_chan_sub(x, (uint32_t)untyped), GMK_CHAN_TYPE_MISMATCH),
        BAD(gmk_chan_sub(x, (uint32_t)alien), GMK_CHAN_TYPE_MISMATCH),
        BAD(gmk_chan_sub(x, GMK_CHAN_SYS_TICK), GMK_CHAN_TYPE_MISMATCH),
        BAD(gmk_chan_unsub(x, (uint32_t)alien), GMK_E_NOT_FOUND),
        BAD(gmk_chan_unsub(x, GMK_CHAN_SYS_ERROR), GMK_E_NOT_FOUND),
        BAD(gmk_chan_replay(x, (uint32_t)alien, 1), GMK_E_INVALID),
        BAD(gmk_chan_replay(x, c, 1), GMK_E_INVALID), /* no replay buffer */
        BAD(gmk_error_reason(x), 0),
        BAD(gmk_chan_gap(x), 0),
        BAD(gmk_chan_seq(x), 0),
    };

    CHECK(cases);
    return GMK_OK;
}

GMK_TEST(bad_args_chan_h_as_a_module)
{
    uint32_t c;

    GMK_REQUIRE(boot());
    c = env.chan;
    part_act(&part[0], 0, act_codes);
    {
        const bad_case_t thread[] = {
            BAD(gmk_chan_sub(env.ctx, c), GMK_E_INVALID),
            BAD(gmk_chan_sub_worker(env.ctx, c, 0), GMK_E_INVALID),
            BAD(gmk_chan_unsub(env.ctx, c), GMK_E_INVALID),
            BAD(gmk_chan_on_error(env.ctx, c, on_part), GMK_E_INVALID),
            BAD(gmk_chan_replay(env.ctx, c, 1), GMK_E_INVALID),
        };

        CHECK(thread);
    }
    end_untouched(1);
}

/* R16. */
GMK_TEST(bad_args_chan_h_sinks_and_readers)
{
    gmk_chan_sink_t sink = {.take = take_nothing};
    gmk_chan_sink_t empty = {.take = NULL};
    gmk_chan_info_t info;
    gmk_sub_info_t sub;
    uint32_t c;

    GMK_REQUIRE(boot());
    c = env.chan;
    {
        const bad_case_t cases[] = {
            BAD(gmk_chan_sub_sink(NULL, c, &sink), GMK_E_INVALID),
            BAD(gmk_chan_sub_sink(env.ctx, c, NULL), GMK_E_INVALID),
            BAD(gmk_chan_sub_sink(env.ctx, c, &empty), GMK_E_INVALID),
            BAD(gmk_chan_unsub_sink(NULL, c, &sink), GMK_E_INVALID),
            BAD(gmk_chan_unsub_sink(env.ctx, c, NULL), GMK_E_INVALID),
            BAD(gmk_chan_unsub_sink(env.ctx, c, &sink), GMK_E_NOT_FOUND),
            BAD(gmk_chan_sink_ready(NULL, c, &sink), GMK_E_INVALID),
            BAD(gmk_chan_sink_ready(env.ctx, c, NULL), GMK_E_INVALID),
            BAD(gmk_chan_sink_ready(env.ctx, c, &sink), GMK_E_NOT_FOUND),
            BAD(gmk_chan_get_info(NULL, c, &info), GMK_E_INVALID),
            BAD(gmk_chan_get_info(&never, c, &info), GMK_E_INVALID),
            BAD(gmk_chan_get_info(&env.kernel, c, NULL), GMK_E_INVALID),
            BAD(gmk_chan_get_sub(NULL, c, 0, &sub), GMK_E_INVALID),
            BAD(gmk_chan_get_sub(&never, c, 0, &sub), GMK_E_INVALID),
            BAD(gmk_chan_get_sub(&env.kernel, c, 0, NULL), GMK_E_INVALID),
            BAD(gmk_chan_get_sub(&env.kernel, c, 0, &sub), GMK_OK),
            BAD(gmk_chan_get_sub(&env.kernel, c, 1, &sub), GMK_E_NOT_FOUND),
            BAD(gmk_chan_get_sub(&env.kernel, c, UINT32_MAX, &sub), GMK_E_NOT_FOUND),
        };

        CHECK(cases);
    }
    end_untouched(0);
}

/* error.h, R11: texts for every number there is and every one there is not. */
GMK_TEST(bad_args_error_h)
{
    static const int codes[] = {0,    1,    2,    -1,   -99,       -100,
                                -125, -199, -200, -201, INT32_MAX, INT32_MIN};
    const bad_case_t cases[] = {
        BAD(gmk_strerror(INT32_MIN) != NULL, true),
        BAD(gmk_reason_text(GMK_REASON_COUNT) != NULL, true),
        BAD(gmk_reason_text(GMK_ERR_EMPTY) != NULL, true),
        BAD(gmk_reason_text(UINT32_MAX) != NULL, true),
        BAD(gmk_record_fault_text(UINT32_MAX) != NULL, true),
    };

    CHECK(cases);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(codes); i++)
        gmk_test_assert(gmk_strerror(codes[i]) != NULL && gmk_strerror(codes[i])[0] != '\0');
    gmk_test_assert_str_eq(gmk_reason_text(UINT32_MAX), "unknown reason");
    gmk_test_assert_eq(gmk_version(), GMK_VERSION_CURRENT);
}

/* why.h, determinism.h, record.h. ---------------------------------------------------------- */

static int no_write(void *arg, const void *bytes, size_t n)
{
    (void)arg;
    (void)bytes;
    (void)n;
    return -1;
}

static int64_t no_read(void *arg, void *bytes, size_t n)
{
    (void)arg;
    (void)bytes;
    (void)n;
    return 0;
}

GMK_TEST(bad_args_why_and_determinism_h)
{
    gmk_wait_t w = {.kind = GMK_WAIT_TIMER};
    gmk_replay_report_t r;
    char text[8];
    uint32_t fault;

    GMK_REQUIRE(boot());
    {
        const bad_case_t cases[] = {
            BAD(gmk_why(NULL, &w, 1), GMK_E_INVALID),
            BAD(gmk_why(&never, &w, 1), GMK_E_INVALID),
            BAD(gmk_why(&env.kernel, NULL, 1), GMK_E_INVALID),
            BAD(gmk_wait_text(NULL, text, sizeof(text)), 0),
            BAD(gmk_wait_text(&w, NULL, sizeof(text)), 0),
            BAD(gmk_wait_text(&w, text, 0), 0),
            BAD(gmk_tick_wait(NULL, 1), GMK_E_INVALID),
            BAD(gmk_tick_wait(&never, 1), GMK_E_INVALID),
            BAD(gmk_trace_hash(NULL), 0),
            BAD(gmk_trace_hash(&never), 0),
            BAD(gmk_record_start(NULL, no_write, NULL), GMK_E_INVALID),
            BAD(gmk_record_start(&never, no_write, NULL), GMK_E_INVALID),
            BAD(gmk_record_start(&env.kernel, NULL, NULL), GMK_E_INVALID),
            BAD(gmk_record_start(&env.kernel, no_write, NULL), GMK_E_RECORD),
            BAD(gmk_record_stop(NULL, &fault), GMK_E_INVALID),
            BAD(gmk_record_stop(&never, &fault), GMK_E_INVALID),
            BAD(gmk_replay(NULL, no_read, NULL, 1, &r), GMK_E_INVALID),
            BAD(gmk_replay(&never, no_read, NULL, 1, &r), GMK_E_INVALID),
            BAD(gmk_replay(&env.kernel, NULL, NULL, 1, &r), GMK_E_INVALID),
            BAD(gmk_replay(&env.kernel, no_read, NULL, 1, NULL), GMK_E_RECORD),
        };

        CHECK(cases);
    }
    end_untouched(0);
}

static int take_all(void *arg, const void *bytes, size_t n)
{
    (void)arg;
    (void)bytes;
    (void)n;
    return 0;
}

GMK_TEST(bad_args_record_h)
{
    GMK_ALIGNAS(16) static uint8_t buf[GMK_RECORD_MIN_BYTES + 16];
    gmk_record_writer_t idle = {.state = GMK_RECORD_IDLE}, w = idle, w2 = idle, w3 = idle;
    gmk_record_reader_t r, closed = {.buf = NULL};
    gmk_task_t good = {.type = 1}, wide = {.type = 1, .payload_len = 8};
    gmk_record_t out;
    size_t used;

    gmk_test_assert_eq(gmk_record_begin(&w, take_all, NULL, 0, 0), GMK_OK);
    gmk_test_assert_eq(gmk_record_begin(&w2, take_all, NULL, 0, 0), GMK_OK);
    gmk_test_assert_eq(gmk_record_begin(&w3, take_all, NULL, 5, 0), GMK_OK);
    GMK_REQUIRE(gmk_record_open(&r, buf, GMK_RECORD_MIN_BYTES) == GMK_OK);
    {
        const bad_case_t cases[] = {
            BAD(gmk_record_begin(NULL, take_all, NULL, 0, 0), GMK_E_INVALID),
            BAD(gmk_record_begin(&idle, NULL, NULL, 0, 0), GMK_E_INVALID),
            BAD(gmk_record_begin(&w, take_all, NULL, 0, 0), GMK_E_BUSY),
            BAD(gmk_record_input(NULL, 1, "a", &good, NULL), GMK_E_NOT_FOUND),
            BAD(gmk_record_input(&idle, 1, "a", &good, NULL), GMK_E_NOT_FOUND),
            BAD(gmk_record_input(&w, 1, "a", NULL, NULL), GMK_E_RECORD),
            BAD(gmk_record_input(&w2, 1, "a", &wide, NULL), GMK_E_RECORD),
            BAD(gmk_record_tick(NULL, 1, 0), GMK_E_NOT_FOUND),
            BAD(gmk_record_tick(&idle, 1, 0), GMK_E_NOT_FOUND),
            BAD(gmk_record_tick(&w3, 5, 0), GMK_E_RECORD),
            BAD(gmk_record_end(NULL, 0), GMK_E_NOT_FOUND),
            BAD(gmk_record_end(&idle, 0), GMK_E_NOT_FOUND),
            BAD(gmk_record_open(NULL, buf, GMK_RECORD_MIN_BYTES), GMK_E_INVALID),
            BAD(gmk_record_open(&closed, NULL, GMK_RECORD_MIN_BYTES), GMK_E_INVALID),
            BAD(gmk_record_open(&closed, buf + 8, GMK_RECORD_MIN_BYTES), GMK_E_INVALID),
            BAD(gmk_record_open(&closed, buf, GMK_RECORD_MIN_BYTES - 1), GMK_E_INVALID),
            BAD(gmk_record_feed(NULL, buf, 1, &used, &out), GMK_E_INVALID),
            BAD(gmk_record_feed(&closed, buf, 1, &used, &out), GMK_E_INVALID),
            BAD(gmk_record_feed(&r, NULL, 1, &used, &out), GMK_E_INVALID),
            BAD(gmk_record_feed(&r, buf, 1, NULL, &out), GMK_E_INVALID),
            BAD(gmk_record_feed(&r, buf, 1, &used, NULL), GMK_E_INVALID),
            BAD(gmk_record_finish(NULL), GMK_E_INVALID),
            BAD(gmk_record_finish(&closed), GMK_E_INVALID),
        };

        CHECK(cases);
    }
}

/* ring_spsc.h, ring_mpmc.h. ---------------------------------------------------------------- */

GMK_TEST(bad_args_rings_h)
{
    GMK_ALIGNAS(16) static char buf[256];
    gmk_ring_spsc_t s, none_s;
    gmk_ring_mpmc_t m, none_m;
    uint64_t v = 7;

    GMK_REQUIRE(gmk_ring_spsc_init_buf(&s, 4, 8, buf) == 0);
    GMK_REQUIRE(gmk_ring_mpmc_init_buf(&m, 4, 8, buf + 64, 128) == 0);
    {
        const bad_case_t cases[] = {
            BAD(gmk_ring_spsc_init(NULL, 4, 8), -1),
            BAD(gmk_ring_spsc_init(&none_s, 3, 8), -1),
            BAD(gmk_ring_spsc_init(&none_s, 0, 8), -1),
            BAD(gmk_ring_spsc_init(&none_s, 4, 0), -1),
            BAD(gmk_ring_spsc_init_buf(NULL, 4, 8, buf), -1),
            BAD(gmk_ring_spsc_init_buf(&none_s, 4, 8, NULL), -1),
            BAD(gmk_ring_spsc_init_buf(&none_s, 5, 8, buf), -1),
            BAD(gmk_ring_spsc_init_buf(&none_s, 4, 0, buf), -1),
            BAD(gmk_ring_spsc_push(NULL, &v), -1),
            BAD(gmk_ring_spsc_push(&s, NULL), -1),
            BAD(gmk_ring_spsc_pop(NULL, &v), -1),
            BAD(gmk_ring_spsc_pop(&s, NULL), -1),
            BAD(gmk_ring_spsc_count(NULL), 0),
            BAD(gmk_ring_spsc_full(NULL), false),
            BAD(gmk_ring_spsc_empty(NULL), true),
            BAD(gmk_ring_mpmc_init(NULL, 4, 8), -1),
            BAD(gmk_ring_mpmc_init(&none_m, 1, 8), -1),
            BAD(gmk_ring_mpmc_init(&none_m, 6, 8), -1),
            BAD(gmk_ring_mpmc_init(&none_m, 4, 0), -1),
            BAD(gmk_ring_mpmc_init_buf(NULL, 4, 8, buf, 256), -1),
            BAD(gmk_ring_mpmc_init_buf(&none_m, 4, 8, NULL, 256), -1),
            BAD(gmk_ring_mpmc_init_buf(&none_m, 4, 8, buf, 127), -1),
            BAD(gmk_ring_mpmc_init_buf(&none_m, 4, 8, buf + 1, 200), -1),
            BAD(gmk_ring_mpmc_push(NULL, &v), -1),
            BAD(gmk_ring_mpmc_push(&m, NULL), -1),
            BAD(gmk_ring_mpmc_pop(NULL, &v), -1),
            BAD(gmk_ring_mpmc_pop(&m, NULL), -1),
            BAD(gmk_ring_mpmc_count(NULL), 0),
        };

        CHECK(cases);
    }
    NOTHING(gmk_ring_spsc_destroy(NULL));
    NOTHING(gmk_ring_mpmc_destroy(NULL));
    /* The refused ones have taken nothing in and nothing out. */
    gmk_test_assert_eq(gmk_ring_spsc_count(&s) + gmk_ring_mpmc_count(&m), 0);
    gmk_test_assert_eq(gmk_ring_spsc_push(&s, &v), 0);
    gmk_test_assert_eq(gmk_ring_spsc_pop(&s, NULL), -1);
    gmk_test_assert_eq(gmk_ring_spsc_count(&s), 1);
    gmk_test_assert_eq(gmk_ring_mpmc_push(&m, &v), 0);
    gmk_test_assert_eq(gmk_ring_mpmc_pop(&m, NULL), -1);
    gmk_test_assert_eq(gmk_ring_mpmc_count(&m), 1);
    gmk_ring_spsc_destroy(&s);
    gmk_ring_mpmc_destroy(&m);
}

/* test.h: what is null prints as nothing, and two nulls are alike. */
GMK_TEST(bad_args_test_h)
{
    const gmk_test_where_t where = {.file = NULL, .line = 0};
    const bad_case_t cases[] = {
        BAD(gmk_test_check_str(NULL, NULL, NULL, NULL, where), true),
        BAD(gmk_test_check_str("", "", NULL, NULL, where), true),
    };

    CHECK(cases);
    NOTHING(gmk_test_print(NULL));
    NOTHING(gmk_test_print_u64(NULL, 0));
}
