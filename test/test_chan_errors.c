/* SPDX-License-Identifier: MIT
 * Failed and undelivered work: a channel's error handler, sys.error, sys.dropped,
 * envelopes and the payloads in them.
 * Floor: tests. Source: SPEC CH-6, CH-30 to CH-35, CH-59, CH-60, V-59, V-63, FM-1;
 * ARCHITECTURE R7, R8. */
#include "chan_parts.h"

#define LOSSLESS (GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS)

static env_t env;
static part_t part[4];
static watch_t watch;
static gmk_module_t plumber;

/* Parts 0 to n-1 consume "t.msg", a P2P channel or lossless fan-out; part 3 is the one
 * that looks after its errors; a watcher if asked for. */
static bool boot(uint32_t n, uint32_t mode, bool watched)
{
    gmk_module_t *mods[6];
    uint32_t n_mods = 0;
    int id;

    gmk_hal_memset(&env, 0, sizeof(env));
    for (uint32_t i = 0; i < n; i++) {
        mods[n_mods++] = part_make(&part[i], &env, i, on_part);
        part_consume(&part[i], "t.msg", mode, 64);
    }
    mods[n_mods++] = part_make(&part[3], &env, 3, on_part);
    mods[n_mods++] = plumber_make(&plumber, &env);
    if (watched)
        mods[n_mods++] = watch_make(&watch, "watch");
    if (!env_boot(&env, 2, 0, mods, n_mods))
        return false;
    id = gmk_chan_find(env.ctx, "t.msg");
    env.chan = id > 0 ? (uint32_t)id : 0;
    return gmk_test_assert_gt(id, 0);
}

/* A channel's error handler. ---------------------------------------------------------- */

typedef struct told {
    uint64_t n, wrong, overlaps;
    uint32_t why;
    int rc; /* what the error handler returns */
    gmk_a32_t inside;
} told_t;

static told_t told;

static int on_chan_error(gmk_ctx_t *ctx)
{
    const gmk_task_t *t = ctx->task;

    if (gmk_add_rlx(&told.inside, 1, GMK_DEV) != 0) /* relaxed: must not order anything */
        told.overlaps++;
    told.n++;
    told.why = gmk_error_reason(ctx);
    told.wrong += ctx->user != &part[3] || t->type != T_MSG || t->channel != env.chan;
    told.wrong += t->meta0 != 7 || !part_intact(t);
    gmk_sub_rlx(&told.inside, 1, GMK_DEV); /* relaxed: as above */
    return told.rc;
}

static int act_on_error(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_error_reason(ctx), 0); /* no error handler */
    gmk_test_assert_eq(gmk_chan_on_error(ctx, env.chan, on_chan_error), GMK_OK);
    return GMK_OK;
}

static int act_on_error_none(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_on_error(ctx, env.chan, NULL), GMK_OK);
    return GMK_OK;
}

static int act_on_error_taken(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_on_error(ctx, env.chan, on_chan_error), GMK_CHAN_ALREADY_BOUND);
    return GMK_OK;
}

/* n messages of number 7, which the parts fail. */
static void send_failing(uint32_t n_parts, uint32_t n)
{
    for (uint32_t i = 0; i < n_parts; i++)
        part[i].fail_at = 7;
    for (uint32_t i = 0; i < n; i++) {
        gmk_task_t t = part_payload(env.ctx, T_MSG, 7);

        t.meta1 = i % ENV_MAX_FROM;
        env_send(&env, env.chan, t);
        env_idle(&env);
    }
}

/* CH-31, FM-1: the failed message goes to the channel's error handler, not to sys.error;
 * its payload is whole and freed once. */
static void error_handler(uint32_t n_parts, uint32_t mode)
{
    told = (told_t){.rc = GMK_OK};
    GMK_REQUIRE(boot(n_parts, mode, true));
    part_act(&part[3], 3, act_on_error);
    part_act(&part[0], 0, act_on_error_taken);
    send_failing(n_parts, 10);
    gmk_test_assert_eq(told.n, 10 * n_parts);
    gmk_test_assert_eq(told.wrong + told.overlaps, 0);
    gmk_test_assert_eq(told.why, GMK_ERR_HANDLER | 42u << 16);
    gmk_test_assert_eq(watch.n_error, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    part_act(&part[3], 3, act_on_error_none);
    send_failing(n_parts, 10);
    gmk_test_assert_eq(told.n, 10 * n_parts);
    gmk_test_assert_eq(watch.n_error, 10 * n_parts);
    gmk_test_assert_eq(watch.by_reason[GMK_ERR_HANDLER], 10 * n_parts);
    gmk_test_assert_eq(watch.last_code, 42);
    gmk_test_assert_eq(watch.bad, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    part_act(&part[0], 0, act_on_error_none); /* nobody's: anybody may take it */
    env_end(&env);
    gmk_test_assert_ge(env.report.failed, 20 * n_parts);
}

GMK_TEST(chan_on_error_takes_failed_messages_p2p) { error_handler(1, GMK_CHAN_P2P); }
GMK_TEST(chan_on_error_takes_failed_messages_fanout) { error_handler(3, LOSSLESS); }

/* CH-31: if the error handler fails too, sys.error gets the task, once. */
GMK_TEST(chan_on_error_that_fails_hands_on_to_sys_error)
{
    told = (told_t){.rc = GMK_FAIL(9)};
    GMK_REQUIRE(boot(1, GMK_CHAN_P2P, true));
    part_act(&part[3], 3, act_on_error);
    send_failing(1, 10);
    gmk_test_assert_eq(told.n, 10);
    gmk_test_assert_eq(watch.n_error, 10);
    gmk_test_assert_eq(watch.bad, 0);
    gmk_test_assert_eq(watch.last_type, T_MSG);
    gmk_test_assert_eq(watch.last_chan, env.chan);
    gmk_test_assert_eq(watch.sum, 70);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

/* An error handler of the failing module itself; the channel closes meanwhile. */
static int on_own_error(gmk_ctx_t *ctx)
{
    told.n += gmk_error_reason(ctx) == (GMK_ERR_HANDLER | 42u << 16);
    told.wrong += ctx->user != &part[0] || !part_intact(ctx->task);
    return GMK_OK;
}

static int act_on_own_error(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_on_error(ctx, env.chan, on_own_error), GMK_OK);
    return GMK_OK;
}

GMK_TEST(chan_on_error_may_be_the_failing_modules_own)
{
    told = (told_t){.rc = GMK_OK};
    GMK_REQUIRE(boot(1, GMK_CHAN_P2P, true));
    part_act(&part[0], 0, act_on_own_error);
    send_failing(1, 20);
    gmk_test_assert_eq(told.n, 20);
    gmk_test_assert_eq(told.wrong, 0);
    gmk_test_assert_eq(watch.n_error, 0);
    gmk_test_assert_eq(gmk_chan_close(env.ctx, env.chan), GMK_OK);
    env_idle(&env);
    gmk_test_assert_eq(gmk_chan_close(env.ctx, env.chan), GMK_CHAN_CLOSED);
    env_end(&env);
}

/* sys.error by hand. -------------------------------------------------------------------- */

/* CH-59, R7: what a module emits on sys.error comes in an envelope. */
GMK_TEST(chan_emit_on_sys_error_is_wrapped)
{
    gmk_task_t t;

    GMK_REQUIRE(boot(1, GMK_CHAN_P2P, true));
    t = part_payload(env.ctx, T_MSG, 33);
    gmk_test_assert_eq(gmk_chan_emit(env.ctx, GMK_CHAN_SYS_ERROR, &t), GMK_OK);
    env_idle(&env);
    gmk_test_assert_eq(watch.n_error, 1);
    gmk_test_assert_eq(watch.by_reason[GMK_ERR_REPORTED], 1);
    gmk_test_assert_eq(watch.last_type, T_MSG);
    gmk_test_assert_eq(watch.sum, 33);
    gmk_test_assert_eq(watch.bad, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    for (uint32_t i = 0; i < 3 * GMK_ENVELOPES; i++) { /* envelopes come back */
        t = part_payload(env.ctx, T_MSG, i);
        gmk_test_assert_eq(gmk_chan_emit(env.ctx, GMK_CHAN_SYS_ERROR, &t), GMK_OK);
        if (i % 64 == 0)
            env_idle(&env);
    }
    env_idle(&env);
    gmk_test_assert_eq(watch.n_error + env_metric(&env, GMK_METRIC_ENVELOPES_LOST),
                       1 + 3 * GMK_ENVELOPES);
    gmk_test_assert_eq(watch.bad, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

/* R19: a report never queues behind sends that wait for room. */
static int report_rc;

static int on_wait_and_report(gmk_ctx_t *ctx)
{
    gmk_task_t t = env_msg(T_MSG2, 5, 0);

    gmk_test_assert_eq(gmk_sdk_chan_send_inline(ctx, env.chan2, T_PLUG, 0, 0), GMK_OK);
    report_rc = gmk_chan_emit_wait(ctx, GMK_CHAN_SYS_ERROR, &t);
    return GMK_OK;
}

GMK_TEST(chan_emit_wait_on_sys_error_passes_what_waits)
{
    gmk_module_t *mods[] = {part_make(&part[0], &env, 0, on_wait_and_report),
                            plumber_make(&plumber, &env), watch_make(&watch, "watch")};

    gmk_hal_memset(&env, 0, sizeof(env));
    report_rc = 1;
    part_consume(&part[0], "t.msg", GMK_CHAN_P2P, 64);
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 3));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.msg");
    plug_in(&env);
    env_send(&env, env.chan, env_msg(T_MSG, 0, 0));
    env_idle(&env);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_OUTBOX_PARKED), 1);
    gmk_test_assert_eq(report_rc, GMK_OK);
    gmk_test_assert_eq(watch.n_error, 1);
    gmk_test_assert_eq(watch.by_reason[GMK_ERR_REPORTED], 1);
    plug_out(&env);
    env_end(&env);
}

/* R7: without a subscriber it is counted and freed at once. */
GMK_TEST(chan_emit_on_sys_error_without_a_watcher_is_counted)
{
    gmk_task_t t;

    GMK_REQUIRE(boot(1, GMK_CHAN_P2P, false));
    t = part_payload(env.ctx, T_MSG, 33);
    gmk_test_assert_eq(gmk_chan_emit(env.ctx, GMK_CHAN_SYS_ERROR, &t), GMK_OK);
    gmk_test_assert_eq(env_live(&env), 0);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ENVELOPES_LOST), 1);
    env_end(&env);
}

/* CH-6, ACC-6f: a wrong type is refused, and told on sys.dropped; the payload stays the
 * caller's. */
GMK_TEST(chan_type_mismatch_is_told_on_sys_dropped)
{
    gmk_task_t t;

    GMK_REQUIRE(boot(1, GMK_CHAN_P2P, true));
    for (uint64_t i = 0; i < 5; i++) {
        t = part_payload(env.ctx, T_MSG2, i);
        gmk_test_assert_eq(gmk_chan_emit(env.ctx, env.chan, &t), GMK_CHAN_TYPE_MISMATCH);
        env_idle(&env);
        gmk_test_assert_eq(part_refs(t.payload_ptr), 1);
        gmk_test_assert(part_intact(&t));
        gmk_payload_release_ptr(env.ctx, (void *)(uintptr_t)t.payload_ptr);
    }
    gmk_test_assert_eq(watch.n_dropped, 5);
    gmk_test_assert_eq(watch.by_reason[GMK_ERR_TYPE_MISMATCH], 5);
    gmk_test_assert_eq(watch.last_type, T_MSG2);
    gmk_test_assert_eq(watch.last_chan, env.chan);
    gmk_test_assert_eq(watch.sum, 0 + 1 + 2 + 3 + 4);
    gmk_test_assert_eq(watch.bad, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
    gmk_test_assert_eq(part[0].got, 0);
}

/* CH-34, V-63, ACC-6f: sys.error and sys.dropped together tell of all that went wrong.
 * A P2P channel of which some messages fail, some are of a wrong type, and the rest are
 * caught by its end. */
GMK_TEST(chan_all_lost_and_failed_work_is_told)
{
    gmk_task_t t;

    GMK_REQUIRE(boot(1, GMK_CHAN_P2P, true));
    plug_in(&env);
    part[0].fail_at = 3;
    part[0].pause_at = 5;
    for (uint64_t i = 0; i < 20; i++) {
        env_send(&env, env.chan, part_payload(env.ctx, T_MSG, i));
        if (i % 4 != 0)
            continue;
        t = part_payload(env.ctx, T_MSG2, i);
        gmk_test_assert_eq(gmk_chan_emit(env.ctx, env.chan, &t), GMK_CHAN_TYPE_MISMATCH);
        gmk_payload_release_ptr(env.ctx, (void *)(uintptr_t)t.payload_ptr);
    }
    env_idle(&env);
    gmk_test_assert_eq(part[0].got, 6);
    gmk_test_assert_eq(gmk_chan_close(env.ctx, env.chan), GMK_OK);
    plug_out(&env);
    gmk_test_assert_eq(part[0].got, 6);
    gmk_test_assert_eq(watch.n_error, 1);
    gmk_test_assert_eq(watch.by_reason[GMK_ERR_TYPE_MISMATCH], 5);
    gmk_test_assert_eq(watch.by_reason[GMK_ERR_CLOSED], 14);
    gmk_test_assert_eq(watch.n_dropped, 19);
    gmk_test_assert_eq(watch.bad, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, 14);
    gmk_test_assert_eq(env.report.failed, 1);
}

/* CH-35, V-63: more losses than envelopes: the rest is counted, nothing leaks. */
GMK_TEST(chan_more_losses_than_envelopes_are_counted)
{
    gmk_module_t *mods[3];
    uint64_t n = 3 * GMK_ENVELOPES;

    gmk_hal_memset(&env, 0, sizeof(env));
    mods[0] = part_make(&part[0], &env, 0, on_part);
    mods[1] = watch_make(&watch, "watch");
    mods[2] = plumber_make(&plumber, &env);
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 3));
    env.chan = (uint32_t)gmk_sdk_chan_open(env.ctx, "t.own", GMK_CHAN_P2P, T_MSG);
    gmk_test_assert_eq(env_burst(&env, 0, n, true), n);
    gmk_test_assert_eq(env_live(&env), n);
    gmk_test_assert_eq(gmk_chan_close(env.ctx, env.chan), GMK_OK);
    env_idle(&env);
    gmk_test_assert_eq(env_live(&env), 0);
    gmk_test_assert_gt(watch.n_dropped, 0);
    gmk_test_assert_eq(watch.n_dropped + env_metric(&env, GMK_METRIC_ENVELOPES_LOST), n);
    gmk_test_assert_eq(watch.by_reason[GMK_ERR_CLOSED], watch.n_dropped);
    gmk_test_assert_eq(watch.bad, 0);
    n += chan_info(&env, GMK_CHAN_SYS_DROPPED).drops; /* it is lossy itself */
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, n);
}

/* CH-60, V-59: several watchers each get every envelope; the last one's release frees. */
static watch_t watch2;

GMK_TEST(chan_several_watchers_get_every_envelope)
{
    gmk_module_t *mods[5];

    gmk_hal_memset(&env, 0, sizeof(env));
    mods[0] = part_make(&part[0], &env, 0, on_part);
    part_consume(&part[0], "t.msg", GMK_CHAN_P2P, 64);
    mods[1] = watch_make(&watch, "watch");
    mods[2] = watch_make(&watch2, "watch2");
    GMK_REQUIRE(env_boot(&env, 3, 0, mods, 3));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.msg");
    send_failing(1, 30);
    gmk_test_assert_eq(watch.n_error, 30);
    gmk_test_assert_eq(watch2.n_error, 30);
    gmk_test_assert_eq(watch.bad + watch2.bad, 0);
    gmk_test_assert_eq(watch.sum, 210);
    gmk_test_assert_eq(watch2.sum, 210);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ENVELOPES_LOST), 0);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, 60);
    gmk_test_assert_eq(env.report.failed, 30);
}
