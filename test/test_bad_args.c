/* SPDX-License-Identifier: MIT
 * Wrong arguments to every public function that returns a code give the documented one,
 * and change nothing. A table a header.
 * Floor: tests. Source: SPEC T-15, CH-25, MOD-24, OBS-1; ARCHITECTURE R11, R12. */
#include "chan_parts.h"

#include "ggmk/metrics.h"
#include "ggmk/trace.h"
#include "ggmk/worker.h"

#define REFUSED INT64_MAX /* any negative code: the header does not say which */
#define BIG "0123456789012345678901234567890123456789012345678901234567890123"

typedef struct bad_case {
    const char *what;
    int64_t got, want;
} bad_case_t;

/* Every call is made where its table is initialised. */
#define BAD(call, code) {#call, (int64_t)(call), (int64_t)(code)}

static env_t env;
static part_t part[2];
static gmk_kernel_t never; /* was never booted */

static void check(const bad_case_t *c, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        gmk_test_assert_named(c[i].want == REFUSED ? c[i].got < 0 : c[i].got == c[i].want,
                              c[i].what);
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
    static gmk_host_t unused;
    static char story;
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
            BAD(gmk_boot(&other, NULL, none, 1), REFUSED),
            BAD(gmk_boot(&other, &cfg, NULL, 0), REFUSED),
            BAD(gmk_boot(&other, &tenants, NULL, 0), REFUSED),
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
        };

        CHECK(cases);
    }
    gmk_tick_advance(NULL);
    gmk_tick_advance(&never);
    story = gmk_boot_error(&env.kernel)[0];
    gmk_test_assert_eq(story, '\0');
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
        };

        CHECK(cases);
    }
    gmk_yield(env.ctx); /* without meaning there */
    gmk_yield_at(env.ctx, 1);
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
    gmk_free(NULL, &t);
    gmk_free(env.ctx, NULL);
    gmk_bump_reset(NULL);
    gmk_task_set_payload(NULL, NULL);
    gmk_task_set_payload(&t, NULL);
    gmk_test_assert_eq(t.flags & GMK_TF_PAYLOAD_RC, 0);
    gmk_payload_retain_ptr(env.ctx, NULL);
    gmk_payload_release_ptr(env.ctx, NULL);
    gmk_payload_release(env.ctx);
    gmk_payload_retain(env.ctx);
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
    end_untouched(0);
}

GMK_TEST(bad_args_metrics_module_worker_h)
{
    gmk_metrics_map_t map;
    gmk_handler_info_t h;
    gmk_worker_info_t w;

    GMK_REQUIRE(boot());
    {
        const bad_case_t cases[] = {
            BAD(gmk_metric_get(NULL, 0), 0),
            BAD(gmk_metric_get(&never, 0), 0),
            BAD(gmk_metric_get(&env.kernel, GMK_METRIC_COUNT), 0),
            BAD(gmk_metric_get_tenant(NULL, 0, 0), 0),
            BAD(gmk_metric_get_tenant(&env.kernel, 0, 1), 0),
            BAD(gmk_metric_get_tenant(&env.kernel, UINT32_MAX, 0), 0),
            BAD(gmk_metric_get_worker(NULL, 0, 0), 0),
            BAD(gmk_metric_get_worker(&env.kernel, 0, 2), 0),
            BAD(gmk_metric_get_worker(&env.kernel, GMK_METRIC_COUNT, 0), 0),
            BAD(gmk_metric_key(GMK_METRIC_COUNT) != NULL, 0),
            BAD(gmk_metric_text(UINT32_MAX) != NULL, 0),
            BAD(gmk_metrics_map(NULL, &map), GMK_E_INVALID),
            BAD(gmk_metrics_map(&never, &map), GMK_E_INVALID),
            BAD(gmk_metrics_map(&env.kernel, NULL), GMK_E_INVALID),
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
    gmk_metric_inc(NULL, GMK_METRIC_CHAN_DROPS, 1);
    gmk_metric_inc(env.ctx, GMK_METRIC_COUNT, 1);
    gmk_metric_inc(env.ctx, GMK_METRIC_TASKS_ACCEPTED, 1); /* the audit's */
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

/* Identifiers that mean no channel. */
static const uint32_t bad_ids[] = {0, 77, GMK_MAX_CHANNELS, GMK_MAX_CHANNELS + 1, 0xffff,
                                   0x10000, 0x10001, 0x7fff0001, UINT32_MAX};

/* CH-25, CH-30: from an attached thread. */
GMK_TEST(bad_args_chan_h_no_such_channel)
{
    gmk_task_t t = env_msg(T_MSG, 0, 0);
    gmk_cell_t cell = {.task = t};
    gmk_chan_sink_t sink = {.take = NULL};
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
            BAD(gmk_chan_sink_ready(env.ctx, c, &sink), REFUSED),
            BAD(gmk_chan_unsub_sink(env.ctx, c, &sink), REFUSED),
            BAD(gmk_chan_sub_sink(env.ctx, c, &sink), REFUSED),
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
            BAD(gmk_chan_emit(x, GMK_CHAN_SYS_DROPPED, &sys), REFUSED),
            BAD(gmk_chan_emit(x, GMK_CHAN_SYS_DROPPED, &good), REFUSED),
            BAD(gmk_chan_emit(x, GMK_CHAN_SYS_TICK, &good), REFUSED),
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
        BAD(gmk_chan_replay(x, (uint32_t)alien, 1), REFUSED),
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
static uint32_t take_nothing(void *arg, const gmk_cell_t *cells, uint32_t n)
{
    (void)arg;
    (void)cells;
    (void)n;
    return 0;
}

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
    static const int codes[] = {0,    1,    2,    -1,        -99,      -100,
                                -125, -199, -200, -201, INT32_MAX, INT32_MIN};

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(codes); i++)
        gmk_test_assert(gmk_strerror(codes[i]) != NULL && gmk_strerror(codes[i])[0] != '\0');
    gmk_test_assert(gmk_reason_text(GMK_REASON_COUNT) != NULL);
    gmk_test_assert(gmk_reason_text(UINT32_MAX) != NULL);
    gmk_test_assert_eq(gmk_version(), GMK_VERSION_CURRENT);
}
