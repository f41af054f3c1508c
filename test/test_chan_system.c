/* SPDX-License-Identifier: MIT
 * System channels: which there are, who may listen, what they say; the ticks.
 * Floor: tests. Source: SPEC CH-32 to CH-36, CH-56, V-59, V-65, V-66; ARCHITECTURE R7,
 * R15. */
#include "chan_parts.h"

static env_t env;
static watch_t watch[2];
static part_t part[2];
static gmk_module_t plumber;

/* V-65: five, fan-out, with these names and numbers; sys.tick is lossless. */
GMK_TEST(chan_system_channels_exist_from_boot)
{
    static const struct {
        uint32_t id;
        const char *name;
        uint32_t mode, type;
    } want[] = {
        {GMK_CHAN_SYS_DROPPED, "sys.dropped", GMK_CHAN_FANOUT, GMK_TYPE_SYS_DROPPED},
        {GMK_CHAN_SYS_ERROR, "sys.error", GMK_CHAN_FANOUT, GMK_TYPE_SYS_ERROR},
        {GMK_CHAN_SYS_TRACE, "sys.trace", GMK_CHAN_FANOUT, GMK_TYPE_SYS_TRACE},
        {GMK_CHAN_SYS_TICK, "sys.tick", GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS, GMK_TYPE_SYS_TICK},
        {GMK_CHAN_SYS_HEARTBEAT, "sys.heartbeat", GMK_CHAN_FANOUT, GMK_TYPE_SYS_HEARTBEAT}};
    gmk_module_t *mods[] = {plumber_make(&plumber, &env)};

    gmk_hal_memset(&env, 0, sizeof(env));
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 1));
    gmk_test_assert_eq(GMK_ARRAY_LEN(want), GMK_N_SYS_CHANNELS);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(want); i++) {
        gmk_chan_info_t info = chan_info(&env, want[i].id);

        gmk_test_assert_eq(want[i].id, i + 1);
        gmk_test_assert_eq(gmk_chan_find(env.ctx, want[i].name), want[i].id);
        gmk_test_assert_eq(info.id, want[i].id);
        gmk_test_assert_str_eq(info.name, want[i].name);
        gmk_test_assert_eq(info.mode, want[i].mode);
        gmk_test_assert_eq(info.msg_type, want[i].type);
        gmk_test_assert_eq(info.n_subs, 0);
        gmk_test_assert(info.consumer == NULL);
    }
    env_end(&env);
}

/* V-59: what the macros of an envelope say is what happened. */
static gmk_task_t failing;
static uint64_t n_env, bad_env;

static int on_fail(gmk_ctx_t *ctx)
{
    failing = *ctx->task;
    return GMK_FAIL(17);
}

static int on_envelope(gmk_ctx_t *ctx)
{
    const gmk_task_t *t = ctx->task;
    const gmk_task_t *rec = GMK_ENVELOPE_RECORD(t);

    n_env++;
    bad_env += GMK_ENVELOPE_REASON(t) != GMK_ERR_HANDLER || GMK_ENVELOPE_CODE(t) != 17;
    bad_env += GMK_ENVELOPE_TYPE(t) != T_MSG || GMK_ENVELOPE_CHANNEL(t) != env.chan;
    bad_env += GMK_ENVELOPE_SEQ(t) != failing.seq || rec->seq != failing.seq;
    bad_env += rec->type != T_MSG || rec->channel != env.chan;
    bad_env += rec->meta0 != 0x1234567890abcdefull || rec->meta1 != 0xfedcba0987654321ull;
    bad_env += t->type != GMK_TYPE_SYS_ERROR || (t->flags & GMK_TF_CHANNEL_MSG) == 0;
    return GMK_OK;
}

GMK_TEST(chan_system_envelope_says_what_happened)
{
    gmk_module_t *mods[2];

    gmk_hal_memset(&env, 0, sizeof(env));
    n_env = 0;
    bad_env = 0;
    mods[0] = part_make(&part[0], &env, 0, on_fail);
    part_consume(&part[0], "t.msg", GMK_CHAN_P2P, 16);
    mods[1] = watch_make(&watch[0], "watch");
    watch[0].h[1].fn = on_envelope;
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 2));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.msg");
    for (uint32_t i = 0; i < 20; i++) {
        env_send(&env, env.chan, env_msg(T_MSG, 0x1234567890abcdefull, 0xfedcba0987654321ull));
        env_idle(&env);
    }
    gmk_test_assert_eq(n_env, 20);
    gmk_test_assert_eq(bad_env, 0);
    env_end(&env);
}

/* CH-32, CH-60: three listeners, one of which comes late and one leaves. */
static int act_watch_off(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_unsub(ctx, GMK_CHAN_SYS_ERROR), GMK_OK);
    return GMK_OK;
}

static int act_watch_on(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_sub(ctx, GMK_CHAN_SYS_ERROR), GMK_OK);
    return GMK_OK;
}

/* Part 1 listens to sys.error as well. */
static int on_part_error(gmk_ctx_t *ctx)
{
    part_t *p = ctx->user;

    p->got++;
    p->wrong += !part_intact(GMK_ENVELOPE_RECORD(ctx->task));
    return GMK_OK;
}

static void fail_some(uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        gmk_task_t t = part_payload(env.ctx, T_MSG, i);

        part[0].fail_at = i;
        env_send(&env, env.chan, t);
        env_idle(&env);
    }
}

GMK_TEST(chan_system_error_has_several_subscribers)
{
    gmk_module_t *mods[4];

    gmk_hal_memset(&env, 0, sizeof(env));
    mods[0] = part_make(&part[0], &env, 0, on_part);
    part_consume(&part[0], "t.msg", GMK_CHAN_P2P, 16);
    mods[1] = part_make(&part[1], &env, 1, on_part);
    part[1].h[0] =
        (gmk_handler_reg_t){.type = GMK_TYPE_SYS_ERROR, .fn = on_part_error, .name = "error"};
    part_consume(&part[1], "sys.error", GMK_CHAN_FANOUT, 0)->msg_type = GMK_TYPE_SYS_ERROR;
    mods[2] = watch_make(&watch[0], "watch0");
    mods[3] = watch_make(&watch[1], "watch1");
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 4));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.msg");
    gmk_test_assert_eq(chan_info(&env, GMK_CHAN_SYS_ERROR).n_subs, 3);
    part_act(&part[1], 1, act_watch_off);
    gmk_test_assert_eq(chan_info(&env, GMK_CHAN_SYS_ERROR).n_subs, 2);
    fail_some(0, 10);
    part_act(&part[1], 1, act_watch_on);
    fail_some(10, 20);
    part_act(&part[1], 1, act_watch_off);
    fail_some(20, 25);
    gmk_test_assert_eq(watch[0].n_error, 25);
    gmk_test_assert_eq(watch[1].n_error, 25);
    gmk_test_assert_eq(watch[0].bad + watch[1].bad, 0);
    gmk_test_assert_eq(part[1].got, 10);
    gmk_test_assert_eq(part[1].wrong, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ENVELOPES_LOST), 0);
    env_end(&env);
}

/* Ticks. ----------------------------------------------------------------------------------- */

typedef struct clock {
    gmk_module_t m;
    gmk_handler_reg_t h[2];
    gmk_chan_decl_t d[1];
    uint64_t first, last, wrong;
    gmk_a64_t got;
    gmk_a32_t closed; /* its handler waits until this is 0 */
} clock_mod_t;

enum { T_CLOCK = 60 };
static clock_mod_t clocks[2];

static int on_tick(gmk_ctx_t *ctx)
{
    clock_mod_t *c = ctx->user;
    const gmk_task_t *t = ctx->task;

    while (gmk_load_acq(&c->closed, GMK_DEV) != 0) /* sync: test.kit */
        gmk_hal_relax();
    c->wrong += t->type != GMK_TYPE_SYS_TICK || t->channel != GMK_CHAN_SYS_TICK;
    if (gmk_add_rlx(&c->got, 1, GMK_DEV) == 0) /* relaxed: a count */
        c->first = t->meta0;
    else
        c->wrong += t->meta0 != c->last + 1 || gmk_chan_gap(ctx) != 0;
    c->last = t->meta0;
    return GMK_OK;
}

static int act_tick_on(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_sub(ctx, GMK_CHAN_SYS_TICK), GMK_OK);
    return GMK_OK;
}

static int act_tick_off(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_unsub(ctx, GMK_CHAN_SYS_TICK), GMK_OK);
    return GMK_OK;
}

static int (*clock_script)(gmk_ctx_t *ctx);

static int on_clock_act(gmk_ctx_t *ctx) { return clock_script(ctx); }

static void clock_act(uint32_t i, int (*script)(gmk_ctx_t *ctx))
{
    gmk_task_t t = env_msg(T_CLOCK + i, 0, 0);

    clock_script = script;
    gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK);
    env_idle(&env);
}

/* Two clocks, of which the first n listen; T_CLOCK + i runs a script as clock i. */
static bool clock_boot(uint32_t n_workers, uint32_t flags, uint32_t n)
{
    gmk_module_t *mods[2];

    gmk_hal_memset(&env, 0, sizeof(env));
    gmk_hal_memset(clocks, 0, sizeof(clocks));
    for (uint32_t i = 0; i < 2; i++) {
        clock_mod_t *c = &clocks[i];

        c->h[0] = (gmk_handler_reg_t){.type = GMK_TYPE_SYS_TICK, .fn = on_tick, .name = "tick"};
        c->h[1] = (gmk_handler_reg_t){.type = T_CLOCK + i, .fn = on_clock_act, .name = "act"};
        c->d[0] = (gmk_chan_decl_t){.name = "sys.tick",
                                    .direction = GMK_CHAN_CONSUME,
                                    .msg_type = GMK_TYPE_SYS_TICK,
                                    .mode = GMK_CHAN_FANOUT,
                                    .guarantee = GMK_CHAN_LOSSLESS};
        c->m = (gmk_module_t){.name = i == 0 ? "clock0" : "clock1",
                              .handlers = c->h,
                              .n_handlers = 2,
                              .channels = c->d,
                              .n_channels = 1,
                              .user = c};
        mods[i] = &c->m;
    }
    if (!env_boot(&env, n_workers, flags, mods, 2))
        return false;
    for (uint32_t i = n; i < 2; i++)
        clock_act(i, act_tick_off);
    return true;
}

static void check_clock(uint32_t i, uint64_t first, uint64_t n)
{
    gmk_test_assert_eq(clocks[i].got, n);
    gmk_test_assert_eq(clocks[i].wrong, 0);
    if (n == 0)
        return;
    gmk_test_assert_eq(clocks[i].first, first);
    gmk_test_assert_eq(clocks[i].last, first + n - 1);
}

/* V-66, CH-15, CH-56: each advance is one message to each subscriber, in order. */
GMK_TEST(chan_system_tick_every_advance_is_told_once)
{
    uint32_t n = (uint32_t)gmk_test_scale(2000, 200);

    GMK_REQUIRE(clock_boot(2, GMK_BOOT_MANUAL_TICKS, 1));
    for (uint32_t i = 0; i < 5; i++) {
        gmk_tick_advance(&env.kernel);
        env_idle(&env);
        gmk_test_assert_eq(clocks[0].got, i + 1);
        gmk_test_assert_eq(clocks[0].last, gmk_tick_now(&env.kernel));
    }
    check_clock(0, 1, 5);
    clock_act(1, act_tick_on);       /* from the next one on */
    for (uint32_t i = 0; i < n; i++) /* as fast as it goes */
        gmk_tick_advance(&env.kernel);
    env_idle(&env);
    check_clock(0, 1, 5 + n);
    check_clock(1, 6, n);
    clock_act(1, act_tick_off);
    gmk_tick_advance(&env.kernel);
    env_idle(&env);
    check_clock(0, 1, 6 + n);
    check_clock(1, 6, n);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_DROPS), 0);
    env_end(&env);
}

/* V-66: more ticks than a subscriber has slots while it stands still: none is lost. */
GMK_TEST(chan_system_tick_none_is_lost_when_a_subscriber_stands_still)
{
    uint32_t n = 3 * GMK_CHAN_DEFAULT_SLOTS;

    GMK_REQUIRE(clock_boot(2, GMK_BOOT_MANUAL_TICKS, 2));
    gmk_xchg_sc(&clocks[0].closed, 1, GMK_DEV); /* sync: test.kit */
    for (uint32_t i = 0; i < n; i++)
        gmk_tick_advance(&env.kernel);
    gmk_store_rel(&clocks[0].closed, 0, GMK_DEV); /* sync: test.kit */
    env_idle(&env);
    gmk_test_assert_eq(gmk_tick_now(&env.kernel), n);
    check_clock(0, 1, n);
    check_clock(1, 1, n);
    env_end(&env);
}

/* V-66: several threads move the tick; each value is told once. */
static void *advance_main(void *arg)
{
    uint32_t n = *(const uint32_t *)arg;

    for (uint32_t i = 0; i < n; i++)
        gmk_tick_advance(&env.kernel);
    return NULL;
}

GMK_TEST(chan_system_tick_of_several_threads_is_in_order)
{
    uint32_t n = (uint32_t)gmk_test_scale(3000, 200);
    gmk_hal_thread_t threads[3];

    GMK_REQUIRE(clock_boot(2, GMK_BOOT_MANUAL_TICKS, 2));
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(gmk_hal_cpu_start(&threads[i], GMK_HAL_ANY_CPU, advance_main, &n), 0);
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(gmk_hal_thread_join(&threads[i]), 0);
    env_idle(&env);
    check_clock(0, 1, 3 * n);
    check_clock(1, 1, 3 * n);
    env_end(&env);
}

/* V-66: without a subscriber nothing is emitted. */
GMK_TEST(chan_system_tick_without_subscriber_costs_nothing)
{
    GMK_REQUIRE(clock_boot(1, GMK_BOOT_MANUAL_TICKS, 0));
    for (uint32_t i = 0; i < 100; i++)
        gmk_tick_advance(&env.kernel);
    env_idle(&env);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_EMITS), 0);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_UNHEARD), 0);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_TASKS_ACCEPTED), 2); /* the scripts */
    gmk_test_assert_eq(chan_info(&env, GMK_CHAN_SYS_TICK).emits, 0);
    env_end(&env);
}

/* The clock's own ticks come without anybody's help, one after another. */
GMK_TEST(chan_system_tick_by_the_clock)
{
    uint64_t begin;

    GMK_REQUIRE(clock_boot(2, 0, 1));
    begin = gmk_hal_now_ns();
    while (gmk_load_rlx(&clocks[0].got, GMK_DEV) < 10 && /* relaxed: a count */
           gmk_hal_now_ns() - begin < ENV_PATIENCE_NS)
        gmk_hal_relax();
    clock_act(0, act_tick_off);
    gmk_test_assert_ge(clocks[0].got, 10);
    gmk_test_assert_eq(clocks[0].wrong, 0);
    gmk_test_assert_le(clocks[0].last, gmk_tick_now(&env.kernel));
    env_idle(&env);
    env_end_within(&env, ENV_PATIENCE_NS);
}

/* A kernel with a listener to its clock halts all the same. */
GMK_TEST(chan_system_tick_by_the_clock_and_halt)
{
    GMK_REQUIRE(clock_boot(2, 0, 2));
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(clocks[0].wrong + clocks[1].wrong, 0);
}
