/* SPDX-License-Identifier: MIT
 * Fan-out: every subscriber gets every message; lossless admission, drop-slow of lossy
 * channels, payload references, seriality and order of each subscriber.
 * Floor: tests. Source: SPEC CH-9 to CH-23, CH-38 to CH-43, V-24, V-58, V-62 to V-64;
 * ARCHITECTURE R4, R5, R8. */
#include "chan_parts.h"

#define LOSSLESS (GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS)

static env_t env;
static part_t part[PART_MAX];
static watch_t watch;
static gmk_module_t plumber;

/* A fan-out channel "t.fan" with n parts subscribed from boot, a plumber, a watcher. */
typedef struct plan {
    uint32_t n_parts, n_workers, mode, slots, replay, direction, flags;
    gmk_handler_fn fn;
    bool watched;
} plan_t;

static bool boot(const plan_t *p)
{
    gmk_module_t *mods[PART_MAX + 2];
    uint32_t n = 0;
    int id;

    gmk_hal_memset(&env, 0, sizeof(env));
    for (uint32_t i = 0; i < p->n_parts; i++) {
        gmk_chan_decl_t *d;

        mods[n++] = part_make(&part[i], &env, i, p->fn != NULL ? p->fn : on_part);
        d = part_consume(&part[i], "t.fan", p->mode, p->slots);
        d->direction |= p->direction;
        d->replay_slots = p->replay;
        part[i].h[0].max_yields = 100;
    }
    mods[n++] = plumber_make(&plumber, &env);
    if (p->watched)
        mods[n++] = watch_make(&watch, "watch");
    if (!env_boot(&env, p->n_workers, p->flags, mods, n))
        return false;
    id = gmk_chan_find(env.ctx, "t.fan");
    env.chan = id > 0 ? (uint32_t)id : 0;
    return gmk_test_assert_gt(id, 0);
}

static void check_all(uint32_t n_parts, uint64_t n, uint64_t lost)
{
    for (uint32_t i = 0; i < n_parts; i++)
        part_check(&part[i], n, lost);
}

/* ACC-6b, CH-10: each of three subscribers gets every message; CH-50: it is written once (1000
 * positions), and who subscribes drains it. */
GMK_TEST(chan_fanout_three_subscribers_get_every_message)
{
    plan_t p = {.n_parts = 3, .n_workers = 2, .mode = GMK_CHAN_FANOUT, .slots = 1024};

    GMK_REQUIRE(boot(&p));
    gmk_test_assert_eq(env_burst(&env, 0, 1000, false), 1000);
    env_idle(&env);
    check_all(3, 1000, 0);
    for (uint32_t i = 0; i < 3; i++) {
        gmk_test_assert_eq(part[i].first_seq, 1);
        gmk_test_assert_eq(part[i].last_seq, 1000);
    }
    gmk_test_assert_eq(chan_info(&env, env.chan).emits, 1000);
    gmk_test_assert_eq(chan_info(&env, env.chan).n_subs, 3);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_DROPS), 0);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, 3000);
}

/* 1M messages to three subscribers, all of them, in sequence, from two threads; R4: order of each
 * producer, one worker a subscriber at a time. */
static void one_million(uint32_t n_workers)
{
    plan_t p = {.n_parts = 3, .n_workers = n_workers, .mode = LOSSLESS, .slots = 256};
    env_host_t hosts[2];

    GMK_REQUIRE(boot(&p));
    env.per_from = env_scale(500000, 1500);
    for (uint32_t i = 0; i < 2; i++)
        env_host_start(&hosts[i], &env, i);
    env_hosts_join(hosts, 2);
    env_idle(&env);
    check_all(3, 2 * env.per_from, 0);
    for (uint32_t i = 0; i < 3; i++) {
        gmk_sub_info_t s = chan_sub_of(&env, env.chan, &part[i]);

        gmk_test_assert_eq(part[i].first_seq, 1);
        gmk_test_assert_eq(part[i].last_seq, 2 * env.per_from);
        gmk_test_assert_eq(part[i].next[0], env.per_from);
        gmk_test_assert_eq(part[i].next[1], env.per_from);
        gmk_test_assert_eq(s.acked_seq, 2 * env.per_from);
        gmk_test_assert_eq(s.next_seq, 2 * env.per_from + 1);
        gmk_test_assert_eq(s.lag, 0);
    }
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_DROPS), 0);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, 6 * env.per_from);
}

/* ACC-13, CH-17: positions 1, 2, 3 and so on, without a gap. */
GMK_TEST(chan_fanout_lossless_one_million_in_sequence) { one_million(2); }
GMK_TEST(chan_fanout_lossless_one_million_eight_workers) { one_million(8); }

/* ACC-13, CH-20: what all have passed leaves the replay buffer, and its payload goes. */
GMK_TEST(chan_fanout_replay_entries_are_evicted_once_all_have_passed)
{
    plan_t p = {.n_parts = 3, .n_workers = 2, .mode = LOSSLESS, .slots = 64, .replay = 32};

    GMK_REQUIRE(boot(&p));
    plug_in(&env);
    part[1].pause_at = 4;
    gmk_test_assert_eq(env_burst(&env, 0, 20, true), 20);
    env_idle(&env);
    part_check(&part[0], 20, 0);
    part_check(&part[1], 5, 0);
    /* The slow one has settled 1 to 5: the others wait for it, 6 is the oldest. */
    gmk_test_assert_eq(env_live(&env), 15);
    gmk_test_assert_eq(chan_info(&env, env.chan).oldest_seq, 6);
    plug_out(&env);
    check_all(3, 20, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    gmk_test_assert_eq(chan_info(&env, env.chan).oldest_seq, 0);
    env_end(&env);
}

/* CH-14, CH-16, V-64: one subscriber that stands still is enough for GMK_CHAN_FULL, and
 * then nobody has got a copy: a retry makes no duplicate. */
GMK_TEST(chan_fanout_lossless_admission_is_all_or_nothing)
{
    plan_t p = {.n_parts = 3, .n_workers = 2, .mode = LOSSLESS, .slots = 8};

    GMK_REQUIRE(boot(&p));
    plug_in(&env);
    part[2].pause_at = 0;
    gmk_test_assert_eq(env_burst(&env, 0, 1, true), 1);
    env_idle(&env);
    gmk_test_assert_eq(env_burst(&env, 1, 30, true), 8);
    env_idle(&env);
    part_check(&part[0], 9, 0);
    part_check(&part[1], 9, 0);
    part_check(&part[2], 1, 0);
    for (uint32_t i = 0; i < 5; i++)
        gmk_test_assert_eq(env_burst(&env, 9, 10, true), 0);
    env_idle(&env);
    part_check(&part[0], 9, 0);
    gmk_test_assert_eq(chan_info(&env, env.chan).emits, 9);
    gmk_test_assert_eq(chan_info(&env, env.chan).fulls, 6);
    gmk_test_assert_eq(chan_info(&env, env.chan).depth, 8);
    gmk_test_assert_eq(env_books(&env).queued, 8 + 2 + 1); /* and what fills the plug */
    gmk_test_assert_eq(env_live(&env), 8);
    plug_out(&env);
    gmk_test_assert_eq(env_burst(&env, 9, 13, true), 4);
    env_idle(&env);
    check_all(3, 13, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

/* Drop-slow. --------------------------------------------------------------------------- */

/* Part 1 stands still after its first message, seven slots and 20 messages follow. */
static void drop_slow(bool watched)
{
    plan_t p = {
        .n_parts = 3, .n_workers = 2, .mode = GMK_CHAN_FANOUT, .slots = 8, .watched = watched};
    gmk_sub_info_t s;

    GMK_REQUIRE(boot(&p));
    plug_in(&env);
    part[1].pause_at = 0;
    for (uint64_t i = 0; i < 21; i++) { /* the others are never a ring behind */
        gmk_test_assert_eq(env_burst(&env, i, i + 1, true), 1);
        env_idle(&env);
    }
    part_check(&part[0], 21, 0);
    part_check(&part[2], 21, 0);
    part_check(&part[1], 1, 0);
    s = chan_sub_of(&env, env.chan, &part[1]);
    gmk_test_assert_eq(s.lag, 8);
    gmk_test_assert_eq(s.drops, 12);
    gmk_test_assert_eq(s.next_seq, 14);
    gmk_test_assert_eq(env_live(&env), 8); /* CH-42: the lost ones have given theirs back */
    gmk_test_assert_eq(chan_sub_of(&env, env.chan, &part[0]).drops, 0);
    gmk_test_assert_eq(chan_info(&env, env.chan).drops, 12);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_DROPS), 12);
    gmk_test_assert_eq(chan_info(&env, env.chan).fulls, 0);
    plug_out(&env);
    part_check(&part[1], 9, 12);
    gmk_test_assert_eq(part[1].last_seq, 21);
    gmk_test_assert_eq(part[1].next[0], 21);
    gmk_test_assert_eq(env_live(&env), 0);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ENVELOPES_LOST), watched ? 0 : 12);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, 12);
}

/* CH-13, CH-42: a slow subscriber loses its oldest, the others nothing; CH-17: it sees how
 * many by the gap. */
GMK_TEST(chan_fanout_lossy_drops_the_slow_ones_oldest) { drop_slow(false); }

/* CH-32, CH-60, ACC-6f: every copy lost is told on sys.dropped, whole, to a module that
 * listens there. */
GMK_TEST(chan_fanout_lossy_drops_are_told_on_sys_dropped)
{
    drop_slow(true);
    gmk_test_assert_eq(watch.n_dropped, 12);
    gmk_test_assert_eq(watch.by_reason[GMK_ERR_LAPPED], 12);
    gmk_test_assert_eq(watch.bad, 0);
    gmk_test_assert_eq(watch.sum, (1 + 12) * 12 / 2); /* numbers 1 to 12 */
    gmk_test_assert_eq(watch.last_type, T_MSG);
    gmk_test_assert_eq(watch.last_chan, env.chan);
}

/* CH-13: a drop leaves a trace event with its reason. */
GMK_TEST(chan_fanout_lossy_drop_is_traced)
{
    plan_t p = {.n_parts = 1, .n_workers = 1, .mode = GMK_CHAN_FANOUT, .slots = 2};
    gmk_trace_ev_t ev;
    uint32_t n = 0;

#ifdef GMK_STRIP_TRACE
    gmk_test_skip("this build has no traces");
    return;
#endif
    GMK_REQUIRE(boot(&p));
    plug_in(&env);
    part[0].pause_at = 0;
    gmk_test_assert_eq(env_burst(&env, 0, 1, false), 1);
    env_idle(&env);
    gmk_test_assert_eq(env_burst(&env, 1, 7, false), 6); /* four more than fit */
    while (gmk_trace_read(&env.kernel, &ev) == GMK_OK)
        n += ev.ev_type == GMK_EV_CHAN_DROP && ev.arg0 == env.chan && ev.arg1 == GMK_ERR_LAPPED;
    gmk_test_assert_eq(n, 4);
    plug_out(&env);
    part_check(&part[0], 3, 4);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, 4);
}

/* CH-13, CH-42 under load: two threads overrun a small ring that parts of different speed
 * drain. Each message reaches each part or is among its losses. */
static int on_part_slowly(gmk_ctx_t *ctx)
{
    const part_t *p = ctx->user;

    for (uint32_t i = 0; i < 20 * (uint32_t)(p->name[2] - '0'); i++)
        gmk_hal_relax();
    return on_part(ctx);
}

GMK_TEST(chan_fanout_lossy_storm_accounts_for_every_copy)
{
    plan_t p = {.n_parts = 3,
                .n_workers = 3,
                .mode = GMK_CHAN_FANOUT,
                .slots = 16,
                .watched = true,
                .fn = on_part_slowly};
    uint64_t drops = 0;
    env_host_t hosts[2];

    GMK_REQUIRE(boot(&p));
    env.per_from = gmk_test_scale(50000, 500);
    for (uint32_t i = 0; i < 2; i++)
        env_host_start(&hosts[i], &env, i);
    for (uint64_t i = 0; i < env.per_from / 4; i++) {
        gmk_task_t t = part_payload(env.ctx, T_MSG, i);

        t.meta1 = 2;
        env_send(&env, env.chan, t);
    }
    env_hosts_join(hosts, 2);
    env_idle(&env);
    for (uint32_t i = 0; i < 3; i++) {
        gmk_sub_info_t s = chan_sub_of(&env, env.chan, &part[i]);
        uint64_t n = 2 * env.per_from + env.per_from / 4;

        gmk_test_assert_eq(part[i].wrong, 0);
        gmk_test_assert_eq(part[i].got + s.drops, n);
        gmk_test_assert_le(part[i].gaps, s.drops); /* the last ones lost follow no message */
        gmk_test_assert_eq(s.acked_seq, n);
        drops += s.drops;
    }
    gmk_test_assert_eq(chan_info(&env, env.chan).drops, drops);
    gmk_test_assert_eq(watch.n_dropped + env_metric(&env, GMK_METRIC_ENVELOPES_LOST), drops);
    gmk_test_assert_eq(watch.bad, 0);
    /* sys.dropped is lossy itself: what it loses is a delivery, too, but told no further. */
    drops += chan_info(&env, GMK_CHAN_SYS_DROPPED).drops;
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_DROPS), drops);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, drops);
}

/* Payloads. ---------------------------------------------------------------------------- */

/* CH-40, CH-43: references equal receivers, counted before the first of them has it, so that
 * one who is done early frees nothing; ACC-6e: the last release frees, once. */
GMK_TEST(chan_fanout_payload_count_equals_the_receivers)
{
    plan_t p = {.n_parts = 5, .n_workers = 2, .mode = LOSSLESS, .slots = 16};
    gmk_task_t t;

    GMK_REQUIRE(boot(&p));
    plug_in(&env);
    for (uint32_t i = 0; i < 5; i++)
        part[i].pause_at = 0;
    part[4].pause_at = PART_NEVER;
    env_send(&env, env.chan, env_msg(T_MSG, 0, 0));
    env_idle(&env);
    t = part_payload(env.ctx, T_MSG, 1);
    env_send(&env, env.chan, t);
    env_idle(&env);
    gmk_test_assert_eq(part_refs(t.payload_ptr), 4); /* five receivers, one is done */
    gmk_test_assert_eq(env_live(&env), 1);
    plug_out(&env);
    check_all(5, 2, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

/* CH-44: a reference kept by one subscriber outlives the delivery to all. */
static uint64_t kept;

static int on_keep(gmk_ctx_t *ctx)
{
    part_t *p = ctx->user;

    if (p == &part[1]) {
        gmk_payload_retain(ctx);
        kept = ctx->task->payload_ptr;
    } else if (p == &part[2]) {
        gmk_payload_release(ctx); /* early, perhaps the last: nothing is read after it */
        p->got++;
        return GMK_OK;
    }
    return on_part(ctx);
}

GMK_TEST(chan_fanout_payload_retained_by_one_lives_on)
{
    plan_t p = {.n_parts = 3, .n_workers = 2, .mode = LOSSLESS, .slots = 16, .fn = on_keep};

    GMK_REQUIRE(boot(&p));
    env_send(&env, env.chan, part_payload(env.ctx, T_MSG, 77));
    env_idle(&env);
    gmk_test_assert_eq(part[0].got + part[1].got + part[2].got, 3);
    gmk_test_assert_eq(env_live(&env), 1);
    gmk_test_assert_eq(part_refs(kept), 1);
    gmk_payload_release_ptr(env.ctx, (void *)(uintptr_t)kept);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

/* ACC-6e: many payloads, several subscribers, some of which yield and retry. */
static int on_again(gmk_ctx_t *ctx)
{
    part_t *p = ctx->user;
    const gmk_task_t *t = ctx->task;

    part_enter(p);
    p->wrong += !part_intact(t);
    part_leave(p);
    if (p == &part[0] && t->yield_count < 2) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    if (p == &part[1] && gmk_retries(ctx) < 2)
        return GMK_RETRY;
    p->got++;
    return GMK_OK;
}

GMK_TEST(chan_fanout_payload_lives_through_yields_and_retries_of_some)
{
    plan_t p = {.n_parts = 3,
                .n_workers = 2,
                .mode = LOSSLESS,
                .slots = 64,
                .flags = GMK_BOOT_MANUAL_TICKS,
                .fn = on_again};
    uint64_t n = gmk_test_scale(5000, 200);

    GMK_REQUIRE(boot(&p));
    for (uint64_t i = 0; i < n; i++)
        env_send(&env, env.chan, part_payload(env.ctx, T_MSG, i));
    env_settle(&env);
    check_all(3, n, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, 3 * n);
}

/* CH-39, CH-10: the header is each subscriber's own: one changes it and yields. */
static int on_private(gmk_ctx_t *ctx)
{
    part_t *p = ctx->user;
    gmk_task_t *t = ctx->task;

    p->wrong += (t->flags & GMK_TF_CHANNEL_MSG) == 0 || t->channel != env.chan;
    if (p == &part[0] && t->yield_count == 0) {
        t->meta1 = 0xbad;
        gmk_yield_at(ctx, 4711);
        return GMK_OK;
    }
    p->wrong += t->yield_count != (p == &part[0]);
    p->wrong += t->meta0 != (p == &part[0] ? 4711 : 5) || t->meta1 != (p == &part[0] ? 0xbad : 6);
    t->meta0 = 0; /* after the others, too */
    t->meta1 = 0;
    t->type = 0;
    p->got++;
    return GMK_OK;
}

GMK_TEST(chan_fanout_header_is_each_subscribers_own)
{
    plan_t p = {.n_parts = 4, .n_workers = 2, .mode = LOSSLESS, .slots = 64, .fn = on_private};

    GMK_REQUIRE(boot(&p));
    for (uint32_t i = 0; i < 50; i++)
        env_send(&env, env.chan, env_msg(T_MSG, 5, 6));
    env_idle(&env);
    check_all(4, 50, 0);
    env_end(&env);
}

/* Subscribers. ------------------------------------------------------------------------- */

/* CH-10: 32 subscribers get all; the 33rd is refused, and taken when one has left. */
static int act_sub_limit(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_sub(ctx, env.chan), GMK_E_LIMIT);
    return GMK_OK;
}

GMK_TEST(chan_fanout_thirty_two_subscribers_and_no_more)
{
    gmk_module_t *mods[PART_MAX];

    gmk_hal_memset(&env, 0, sizeof(env));
    for (uint32_t i = 0; i < 33; i++) {
        mods[i] = part_make(&part[i], &env, i, on_part);
        part_consume(&part[i], i < 32 ? "t.fan" : "t.own", i < 32 ? LOSSLESS : GMK_CHAN_P2P, 64);
    }
    GMK_REQUIRE(env_boot(&env, 3, 0, mods, 33));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.fan");
    gmk_test_assert_eq(chan_info(&env, env.chan).n_subs, 32);
    part_act(&part[32], 32, act_sub_limit);
    for (uint64_t i = 0; i < 300; i++)
        env_send(&env, env.chan, part_payload(env.ctx, T_MSG, i));
    env_idle(&env);
    check_all(32, 300, 0);
    part_check(&part[32], 0, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    part_act(&part[7], 7, act_part_unsub);
    part_act(&part[32], 32, act_part_sub);
    env_send(&env, env.chan, env_msg(T_MSG, 300, 0));
    env_idle(&env);
    part_check(&part[7], 300, 0);
    part_check(&part[32], 1, 0);
    part_check(&part[31], 301, 0);
    env_end(&env);
}

/* CH-10, OBS-1: without a subscriber a message is counted and its payload freed. */
GMK_TEST(chan_fanout_unheard_message_is_counted_and_freed)
{
    gmk_module_t *mods[] = {part_make(&part[0], &env, 0, on_part)};
    gmk_task_t t[3];
    int id;

    gmk_hal_memset(&env, 0, sizeof(env));
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 1));
    for (uint32_t m = 0; m < 2; m++) {
        id = gmk_chan_open(env.ctx, m == 0 ? "t.fan" : "t.fan2",
                           m == 0 ? GMK_CHAN_FANOUT : LOSSLESS, 4);
        GMK_REQUIRE(id > 0);
        env.chan = (uint32_t)id;
        gmk_test_assert_eq(env_burst(&env, 0, 20, true), 20); /* never full */
        for (uint32_t i = 0; i < 3; i++)
            t[i] = part_payload(env.ctx, T_MSG, i);
        gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, t, 3), 3);
        gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_UNHEARD), 23 * (m + 1));
        gmk_test_assert_eq(env_live(&env), 0);
    }
    env_end(&env);
    gmk_test_assert_eq(env.report.accepted, 0);
}

/* R5, CH-10: who comes late gets what is emitted from then on. */
GMK_TEST(chan_fanout_late_joiner_gets_later_messages_alone)
{
    gmk_module_t *mods[2];

    gmk_hal_memset(&env, 0, sizeof(env));
    mods[0] = part_make(&part[0], &env, 0, on_part);
    part_consume(&part[0], "t.fan", LOSSLESS, 16);
    mods[1] = part_make(&part[1], &env, 1, on_part);
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 2));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.fan");
    gmk_test_assert_eq(env_burst(&env, 0, 10, true), 10);
    part_act(&part[1], 1, act_part_sub);
    gmk_test_assert_eq(chan_sub_of(&env, env.chan, &part[1]).next_seq, 11);
    gmk_test_assert_eq(env_burst(&env, 10, 15, true), 5);
    env_idle(&env);
    part_check(&part[0], 15, 0);
    part_check(&part[1], 5, 0);
    gmk_test_assert_eq(part[1].first_seq, 11);
    gmk_test_assert_eq(part[1].last_seq, 15);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, 10 + 2 * 5 + 1);
}

/* V-58, R6: each module's own handler of a shared type runs; a direct task goes to the
 * one that does not consume it. */
static uint64_t ran[3];

static int on_first(gmk_ctx_t *ctx)
{
    ran[0] += ctx->user == &part[0];
    return GMK_OK;
}

static int on_second(gmk_ctx_t *ctx)
{
    ran[1] += ctx->user == &part[1];
    return GMK_OK;
}

static int on_direct(gmk_ctx_t *ctx)
{
    ran[2] += ctx->user == &part[2] && (ctx->task->flags & GMK_TF_CHANNEL_MSG) == 0;
    return GMK_OK;
}

GMK_TEST(chan_fanout_shared_type_runs_each_modules_own_handler)
{
    gmk_task_t t = env_msg(T_MSG, 0, 0);
    gmk_module_t *mods[3];

    gmk_hal_memset(&env, 0, sizeof(env));
    gmk_hal_memset(ran, 0, sizeof(ran));
    mods[0] = part_make(&part[0], &env, 0, on_first);
    mods[1] = part_make(&part[1], &env, 1, on_second);
    mods[2] = part_make(&part[2], &env, 2, on_direct);
    part_consume(&part[0], "t.fan", LOSSLESS, 16);
    part_consume(&part[1], "t.fan", LOSSLESS, 16);
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 3));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.fan");
    for (uint32_t i = 0; i < 10; i++)
        env_send(&env, env.chan, t);
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK);
    env_idle(&env);
    gmk_test_assert_eq(ran[0], 10);
    gmk_test_assert_eq(ran[1], 10);
    gmk_test_assert_eq(ran[2], 3);
    env_end(&env);
}

static int on_bound(gmk_ctx_t *ctx)
{
    part_t *p = ctx->user;

    p->wrong += gmk_self_worker(ctx) != (uint32_t)(p->name[2] - '0');
    return on_part(ctx);
}

static int init_bound(gmk_ctx_t *ctx)
{
    const part_t *p = ctx->user;
    int id = gmk_chan_find(ctx, "t.fan");

    gmk_test_assert_eq(gmk_chan_sub_worker(ctx, (uint32_t)id, (uint32_t)(p->name[2] - '0')),
                       GMK_OK);
    return GMK_OK;
}

/* CH-12: each subscriber bound to its own worker. */
GMK_TEST(chan_fanout_bound_subscribers_run_on_their_workers)
{
    gmk_module_t *mods[4];
    uint64_t n = gmk_test_scale(5000, 300);

    gmk_hal_memset(&env, 0, sizeof(env));
    for (uint32_t i = 0; i < 4; i++) {
        mods[i] = part_make(&part[i], &env, i, on_bound);
        part_consume(&part[i], i == 3 ? "t.own" : "t.fan", i == 3 ? GMK_CHAN_P2P : LOSSLESS, 32);
        part[i].m.init = i == 3 ? init_bound : NULL;
    }
    for (uint32_t i = 0; i < 3; i++) { /* bound by init, not by declaration */
        part[i].d[0].name = i == 0 ? "t.own0" : i == 1 ? "t.own1" : "t.own2";
        part[i].d[0].mode = GMK_CHAN_P2P;
        part[i].d[0].guarantee = 0;
        part[i].m.init = init_bound;
    }
    part[3].d[1] = (gmk_chan_decl_t){.name = "t.fan",
                                     .direction = GMK_CHAN_PRODUCE,
                                     .msg_type = T_MSG,
                                     .mode = GMK_CHAN_FANOUT,
                                     .guarantee = GMK_CHAN_LOSSLESS,
                                     .slots = 32};
    part[3].m.n_channels = 2;
    GMK_REQUIRE(env_boot(&env, 4, 0, mods, 4));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.fan");
    for (uint64_t i = 0; i < n; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, 0));
    env_idle(&env);
    check_all(4, n, 0);
    for (uint32_t i = 0; i < 4; i++)
        gmk_test_assert_eq(chan_sub_of(&env, env.chan, &part[i]).worker, i);
    env_end(&env);
}

/* R4: GMK_CHAN_PARALLEL subscribers: each message once a subscriber. */
static gmk_a32_t seen[3][4000];

static int on_parallel(gmk_ctx_t *ctx)
{
    const part_t *p = ctx->user;
    const gmk_task_t *t = ctx->task;

    if (t->meta0 % 3 == 1 && t->yield_count < 2) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    if (t->meta0 % 3 == 2 && gmk_retries(ctx) < 1)
        return GMK_RETRY;
    gmk_add_rlx(&seen[p - part][t->meta0], 1, GMK_DEV); /* relaxed: a count */
    return part_intact(t) ? GMK_OK : GMK_FAIL(1);
}

GMK_TEST(chan_fanout_parallel_subscribers_run_each_message_once)
{
    plan_t p = {.n_parts = 3,
                .n_workers = 4,
                .mode = LOSSLESS,
                .slots = 64,
                .direction = GMK_CHAN_PARALLEL,
                .flags = GMK_BOOT_MANUAL_TICKS,
                .fn = on_parallel};
    uint64_t n = gmk_test_scale(4000, 300);
    uint64_t wrong = 0;

    gmk_hal_memset(seen, 0, sizeof(seen));
    GMK_REQUIRE(boot(&p));
    for (uint64_t i = 0; i < n; i++)
        env_send(&env, env.chan, part_payload(env.ctx, T_MSG, i));
    env_settle(&env);
    for (uint32_t s = 0; s < 3; s++) {
        gmk_sub_info_t info = chan_sub_of(&env, env.chan, &part[s]);

        gmk_test_assert(info.parallel);
        gmk_test_assert_eq(info.acked_seq, n);
        for (uint64_t i = 0; i < n; i++)
            wrong += seen[s][i] != 1;
    }
    gmk_test_assert_eq(wrong, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, 3 * n);
}

/* CH-19, R4: of a parallel subscription nothing is acknowledged while a message is under way,
 * however many after it have ended. */
static gmk_a32_t gate_open, gate_inside, others;

static int on_gated(gmk_ctx_t *ctx)
{
    if (ctx->task->meta0 == 0) {
        gmk_store_rel(&gate_inside, 1, GMK_DEV);       /* sync: test.kit */
        while (gmk_load_acq(&gate_open, GMK_DEV) == 0) /* sync: test.kit */
            gmk_hal_relax();
    } else {
        gmk_add_rlx(&others, 1, GMK_DEV); /* relaxed: a count */
    }
    return GMK_OK;
}

GMK_TEST(chan_ack_of_a_parallel_subscription_waits_for_all)
{
    plan_t p = {.n_parts = 1,
                .n_workers = 3,
                .mode = LOSSLESS,
                .slots = 64,
                .direction = GMK_CHAN_PARALLEL,
                .fn = on_gated};
    uint64_t begin = gmk_hal_now_ns();

    gate_open = gate_inside = others = 0;
    GMK_REQUIRE(boot(&p));
    env_send(&env, env.chan, env_msg(T_MSG, 0, 0));
    while (gmk_load_acq(&gate_inside, GMK_DEV) == 0 && /* sync: test.kit */
           gmk_hal_now_ns() - begin < ENV_PATIENCE_NS)
        gmk_hal_relax();
    for (uint64_t i = 1; i < 20; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, 0));
    while (gmk_load_rlx(&others, GMK_DEV) < 19 && /* relaxed: a count */
           gmk_hal_now_ns() - begin < ENV_PATIENCE_NS)
        gmk_hal_relax();
    gmk_test_assert_eq(gmk_load_rlx(&others, GMK_DEV), 19); /* relaxed: a count */
    gmk_test_assert_eq(chan_sub_of(&env, env.chan, &part[0]).acked_seq, 0);
    gmk_store_rel(&gate_open, 1, GMK_DEV); /* sync: test.kit */
    env_idle(&env);
    gmk_test_assert_eq(chan_sub_of(&env, env.chan, &part[0]).acked_seq, 20);
    env_end(&env);
}

/* Reserve, acknowledgement, latency. ---------------------------------------------------- */

/* How many messages of priority prio go in before the first refusal. */
static uint32_t fill(uint32_t chan, uint32_t prio)
{
    gmk_task_t t = env_msg(T_MSG, 0, 0);
    uint32_t n = 0;

    t.flags = GMK_SET_PRIORITY(t.flags, prio);
    while (n < 10000 && gmk_chan_emit(env.ctx, chan, &t) == GMK_OK)
        n++;
    return n;
}

/* CH-22, CH-23: the last tenth of the slots is for priority 0. */
GMK_TEST(chan_priority_reserve_of_a_p2p_channel)
{
    static const uint32_t slots[] = {8, 16, 32, 128, 1024};
    gmk_module_t *mods[] = {part_make(&part[0], &env, 0, on_part)};
    gmk_task_t batch[40];

    gmk_hal_memset(&env, 0, sizeof(env));
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 1));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(slots); i++) {
        char name[] = "t.0";
        int id;

        name[2] = (char)('0' + i);
        id = gmk_chan_open(env.ctx, name, GMK_CHAN_P2P, slots[i]);
        GMK_REQUIRE(id > 0);
        gmk_test_assert_eq(fill((uint32_t)id, GMK_PRIO_LOW), slots[i] - slots[i] / 10);
        gmk_test_assert_eq(fill((uint32_t)id, GMK_PRIO_HIGH), 0);
        gmk_test_assert_eq(fill((uint32_t)id, GMK_PRIO_CRITICAL), slots[i] / 10);
        gmk_test_assert_eq(fill((uint32_t)id, GMK_PRIO_CRITICAL), 0);
        gmk_test_assert_eq(chan_info(&env, (uint32_t)id).depth, slots[i]);
    }
    for (uint32_t i = 0; i < 40; i++)
        batch[i] = env_msg(T_MSG, i, 0);
    env.chan = (uint32_t)gmk_chan_open(env.ctx, "t.batch", GMK_CHAN_P2P, 32);
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, batch, 40), 29);
    env_end_within(&env, ENV_PATIENCE_NS);
}

GMK_TEST(chan_fanout_priority_reserve_of_a_lossless_channel)
{
    plan_t p = {.n_parts = 3, .n_workers = 2, .mode = LOSSLESS, .slots = 64};

    GMK_REQUIRE(boot(&p));
    plug_in(&env);
    part[1].pause_at = 0;
    env_send(&env, env.chan, env_msg(T_MSG, 0, 0));
    env_idle(&env);
    part[1].pause_at = PART_NEVER;
    gmk_test_assert_eq(fill(env.chan, GMK_PRIO_NORMAL), 64 - 6);
    env_idle(&env); /* the others have room: the slowest alone counts */
    gmk_test_assert_eq(fill(env.chan, GMK_PRIO_HIGH), 0);
    gmk_test_assert_eq(fill(env.chan, GMK_PRIO_CRITICAL), 6);
    gmk_test_assert_eq(fill(env.chan, GMK_PRIO_CRITICAL), 0);
    plug_out(&env);
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(part[i].got, 65);
    env_end(&env);
}

/* Message 1 is retried twice, 3 fails: acknowledged is what has ended, up to the first that
 * has not. */
static int on_hold(gmk_ctx_t *ctx)
{
    part_t *p = ctx->user;

    if (p == &part[0] && ctx->task->meta0 == 1 && gmk_retries(ctx) < 2)
        return GMK_RETRY;
    p->got++;
    return ctx->task->meta0 == 3 ? GMK_FAIL(7) : GMK_OK; /* a failed one has ended, too */
}

static void ack(uint32_t mode, uint32_t n_parts)
{
    plan_t p = {.n_parts = n_parts,
                .n_workers = 2,
                .mode = mode,
                .slots = 16,
                .flags = GMK_BOOT_MANUAL_TICKS,
                .fn = on_hold};
    gmk_sub_info_t s;

    GMK_REQUIRE(boot(&p));
    gmk_tick_advance(&env.kernel);
    gmk_test_assert_eq(env_burst(&env, 0, 5, true), 5);
    env_idle(&env);
    for (uint32_t tick = 0; tick < 3; tick++) { /* retries back off one tick, then two */
        s = chan_sub_of(&env, env.chan, &part[0]);
        gmk_test_assert_eq(part[0].got, 4);
        gmk_test_assert_eq(s.acked_seq, 1);
        gmk_test_assert_eq(s.next_seq, 6);
        gmk_test_assert_eq(s.lag, 0);
        if (n_parts > 1)
            gmk_test_assert_eq(chan_sub_of(&env, env.chan, &part[1]).acked_seq, 5);
        gmk_tick_advance(&env.kernel);
        env_idle(&env);
    }
    gmk_test_assert_eq(part[0].got, 5);
    gmk_test_assert_eq(chan_sub_of(&env, env.chan, &part[0]).acked_seq, 5);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
    gmk_test_assert_eq(env.report.failed, n_parts);
}

/* CH-19, V-47. */
GMK_TEST(chan_ack_is_the_settled_prefix_p2p) { ack(GMK_CHAN_P2P, 1); }
/* CH-19, V-47. */
GMK_TEST(chan_ack_is_the_settled_prefix_fanout) { ack(LOSSLESS, 3); }

/* CH-7, OBS-1: a latency sample of one in 64. */
GMK_TEST(chan_latency_is_sampled_one_in_64)
{
    plan_t p = {.n_parts = 2, .n_workers = 2, .mode = LOSSLESS, .slots = 64};
    uint64_t n = gmk_test_scale(64000, 6400);

    GMK_REQUIRE(boot(&p));
    for (uint64_t i = 0; i < n; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, 0));
    env_idle(&env);
    for (uint32_t i = 0; i < 2; i++) {
        gmk_latency_t l = chan_sub_of(&env, env.chan, &part[i]).latency;

        gmk_test_assert_ge(l.count, n / 64 - 4);
        gmk_test_assert_le(l.count, n / 64 + 4);
        gmk_test_assert_le(l.p50_ns, l.p90_ns);
        gmk_test_assert_le(l.p90_ns, l.p99_ns);
        gmk_test_assert_le(l.p99_ns, l.max_ns + l.max_ns / 16);
    }
    env_end(&env);
}
