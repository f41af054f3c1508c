/* SPDX-License-Identifier: MIT
 * Replay: what a subscriber can have again, and how long.
 * Floor: tests. Source: SPEC CH-17 to CH-21, V-47; ARCHITECTURE R5. */
#include "chan_parts.h"

#define LOSSLESS (GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS)
#define MAX_SEEN 128u

static env_t env;
static part_t part[3];
static gmk_module_t plumber;

/* Part 0 keeps a list of the positions it was given. */
static uint64_t seen[MAX_SEEN];
static uint32_t n_seen;
static uint64_t wrong;
static uint64_t replay_from, replay_at; /* in its handler at position replay_at, once */
static int replay_rc;

static int on_seen(gmk_ctx_t *ctx)
{
    uint64_t seq = gmk_chan_seq(ctx);

    if (ctx->user != &part[0])
        return on_part(ctx);
    wrong += !part_intact(ctx->task) || ctx->task->meta0 + 1 != seq || gmk_chan_gap(ctx) != 0;
    if (n_seen < MAX_SEEN)
        seen[n_seen++] = seq;
    if (seq == replay_at) {
        replay_at = 0;
        replay_rc = gmk_chan_replay(ctx, env.chan, replay_from);
    }
    return GMK_OK;
}

static int act_replay(gmk_ctx_t *ctx)
{
    replay_rc = gmk_chan_replay(ctx, env.chan, replay_from);
    return GMK_OK;
}

/* Part 0 asks for replay from a script; nothing of it is being served. */
static int replay(uint64_t from)
{
    replay_from = from;
    replay_rc = 1;
    part_act(&part[0], 0, act_replay);
    return replay_rc;
}

/* The list goes up one by one from .. to, beginning at entry i. returns: the entry after. */
static uint32_t expect(uint32_t i, uint64_t from, uint64_t to)
{
    for (; from <= to; from++, i++)
        gmk_test_assert_eq(i < n_seen ? seen[i] : 0, from);
    return i;
}

/* Parts 0 and 1 subscribe to "t.chan", part 2 can. */
static bool boot(uint32_t mode, uint32_t slots, uint32_t replay_slots)
{
    gmk_module_t *mods[4];
    int id;

    gmk_hal_memset(&env, 0, sizeof(env));
    n_seen = 0;
    wrong = 0;
    replay_at = 0;
    for (uint32_t i = 0; i < 3; i++)
        mods[i] = part_make(&part[i], &env, i, on_seen);
    for (uint32_t i = 0; i < 2; i++)
        part_consume(&part[i], "t.chan", mode, slots)->replay_slots = replay_slots;
    mods[3] = plumber_make(&plumber, &env);
    if (!env_boot(&env, 2, 0, mods, 4))
        return false;
    id = gmk_chan_find(env.ctx, "t.chan");
    env.chan = id > 0 ? (uint32_t)id : 0;
    return gmk_test_assert_gt(id, 0);
}

/* Part 1 stands still behind message 0, position 1; n more are emitted. */
static void lag(uint64_t n)
{
    plug_in(&env);
    part[1].pause_at = 0;
    gmk_test_assert_eq(env_burst(&env, 0, 1, true), 1);
    env_idle(&env);
    gmk_test_assert_eq(env_burst(&env, 1, n + 1, true), n);
    env_idle(&env);
}

static void end_balanced(void)
{
    gmk_test_assert_eq(wrong, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

/* CH-18, V-47: what somebody has not settled can be had again, payloads whole. */
GMK_TEST(chan_replay_gives_messages_again)
{
    GMK_REQUIRE(boot(LOSSLESS, 64, 64));
    lag(11);
    gmk_test_assert_eq(n_seen, 12);
    gmk_test_assert_eq(chan_info(&env, env.chan).oldest_seq, 2);
    gmk_test_assert_eq(replay(5), GMK_OK);
    gmk_test_assert_eq(expect(expect(0, 1, 12), 5, 12), n_seen);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_REPLAYED), 8);
    gmk_test_assert_eq(replay(2), GMK_OK);
    gmk_test_assert_eq(n_seen, 12 + 8 + 11);
    part_check(&part[1], 1, 0); /* for the one who asked, alone */
    gmk_test_assert_eq(env_burst(&env, 12, 15, true), 3);
    env_idle(&env);
    gmk_test_assert_eq(expect(20, 2, 15), n_seen); /* and on with new ones */
    gmk_test_assert_eq(env_live(&env), 14);
    plug_out(&env);
    part_check(&part[1], 15, 0);
    gmk_test_assert_eq(chan_sub_of(&env, env.chan, &part[0]).acked_seq, 15);
    end_balanced();
}

/* CH-18: from the message handler, in the middle of a turn. */
GMK_TEST(chan_replay_from_the_message_handler)
{
    GMK_REQUIRE(boot(LOSSLESS, 64, 64));
    replay_at = 8;
    replay_from = 4;
    lag(11);
    gmk_test_assert_eq(replay_rc, GMK_OK);
    gmk_test_assert_eq(expect(expect(0, 1, 8), 4, 12), n_seen);
    plug_out(&env);
    part_check(&part[1], 12, 0);
    end_balanced();
}

/* CH-18: after a restart: the messages in between come, once. */
GMK_TEST(chan_replay_after_a_new_subscription_catches_up)
{
    GMK_REQUIRE(boot(LOSSLESS, 64, 64));
    lag(5);
    gmk_test_assert_eq(n_seen, 6);
    part_act(&part[0], 0, act_part_unsub);
    gmk_test_assert_eq(env_burst(&env, 6, 10, true), 4);
    env_idle(&env);
    gmk_test_assert_eq(replay(7), GMK_E_NOT_FOUND); /* it does not subscribe */
    part_act(&part[0], 0, act_part_sub);
    gmk_test_assert_eq(n_seen, 6);
    gmk_test_assert_eq(replay(7), GMK_OK);
    gmk_test_assert_eq(env_burst(&env, 10, 12, true), 2);
    env_idle(&env);
    gmk_test_assert_eq(expect(0, 1, 12), n_seen);
    plug_out(&env);
    part_check(&part[1], 12, 0);
    end_balanced();
}

/* CH-20: what all have settled is gone. */
GMK_TEST(chan_replay_of_what_all_have_settled_is_not_found)
{
    GMK_REQUIRE(boot(LOSSLESS, 64, 64));
    lag(5);
    gmk_test_assert_eq(replay(1), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(replay(2), GMK_OK);
    plug_out(&env);
    part_check(&part[1], 6, 0);
    gmk_test_assert_eq(chan_info(&env, env.chan).oldest_seq, 0);
    gmk_test_assert_eq(replay(6), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(replay(2), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(n_seen, 6 + 5);
    end_balanced();
}

/* CH-19, CH-20: a message that comes back later keeps what follows it. */
static int on_hold(gmk_ctx_t *ctx)
{
    if (ctx->user == &part[1] && ctx->task->meta0 == 2 && gmk_retries(ctx) == 0)
        return GMK_RETRY;
    return on_seen(ctx);
}

GMK_TEST(chan_replay_keeps_what_follows_a_retried_message)
{
    gmk_module_t *mods[2];

    gmk_hal_memset(&env, 0, sizeof(env));
    n_seen = 0;
    wrong = 0;
    replay_at = 0;
    for (uint32_t i = 0; i < 2; i++) {
        mods[i] = part_make(&part[i], &env, i, on_hold);
        part_consume(&part[i], "t.chan", LOSSLESS, 64)->replay_slots = 64;
    }
    GMK_REQUIRE(env_boot(&env, 2, GMK_BOOT_MANUAL_TICKS, mods, 2));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.chan");
    gmk_tick_advance(&env.kernel);
    gmk_test_assert_eq(env_burst(&env, 0, 10, true), 10);
    env_idle(&env);
    gmk_test_assert_eq(chan_info(&env, env.chan).oldest_seq, 3);
    gmk_test_assert_eq(replay(2), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(replay(3), GMK_OK);
    gmk_test_assert_eq(expect(expect(0, 1, 10), 3, 10), n_seen);
    gmk_tick_advance(&env.kernel);
    env_idle(&env);
    gmk_test_assert_eq(part[1].got, 10);
    gmk_test_assert_eq(chan_info(&env, env.chan).oldest_seq, 0);
    end_balanced();
}

#ifdef GMK_STRIP_TRACE
#define TRACED 0 /* nothing is told; all else is the same */
#else
#define TRACED 1
#endif

static uint32_t overflows(uint32_t chan)
{
    gmk_trace_ev_t ev;
    uint32_t n = 0;

    while (gmk_trace_read(&env.kernel, &ev) == GMK_OK)
        n += ev.ev_type == GMK_EV_CHAN_REPLAY_OVERFLOW && ev.arg0 == chan;
    return n;
}

static int on_hold_first(gmk_ctx_t *ctx)
{
    if (ctx->user == &part[1] && ctx->task->meta0 == 0 && gmk_retries(ctx) == 0)
        return GMK_RETRY;
    return on_seen(ctx);
}

/* CH-21: a full replay buffer: an event, the oldest leave it, no delivery is lost.
 * What lags is a message that part 1 has begun and not settled: what is unread lies in the
 * ring anyhow. */
GMK_TEST(chan_replay_overflow_is_told_and_loses_no_delivery)
{
    gmk_module_t *mods[2];
    uint64_t kept;

    gmk_hal_memset(&env, 0, sizeof(env));
    n_seen = 0;
    wrong = 0;
    replay_at = 0;
    for (uint32_t i = 0; i < 2; i++) {
        mods[i] = part_make(&part[i], &env, i, on_hold_first);
        part_consume(&part[i], "t.chan", LOSSLESS, 64)->replay_slots = 8;
    }
    GMK_REQUIRE(env_boot(&env, 2, GMK_BOOT_MANUAL_TICKS, mods, 2));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.chan");
    gmk_tick_advance(&env.kernel);
    kept = chan_info(&env, env.chan).replay_slots;
    gmk_test_assert_eq(kept, 8);
    gmk_test_assert_eq(env_burst(&env, 0, kept, true), kept);
    env_idle(&env);
    gmk_test_assert_eq(overflows(env.chan), 0); /* just full */
    gmk_test_assert_eq(chan_info(&env, env.chan).oldest_seq, 1);
    gmk_test_assert_eq(env_burst(&env, kept, 31, true), 31 - kept);
    env_idle(&env);
    gmk_test_assert_ge(overflows(env.chan), TRACED);
    gmk_test_assert_eq(chan_info(&env, env.chan).oldest_seq, 31 - kept + 1);
    gmk_test_assert_eq(n_seen, 31);
    gmk_test_assert_eq(part[1].got, 30);
    gmk_test_assert_eq(env_live(&env), kept + 1); /* the held message has its own reference */
    gmk_test_assert_eq(replay(2), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(replay(31 - kept), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(replay(31 - kept + 1), GMK_OK);
    gmk_test_assert_eq(expect(31, 31 - kept + 1, 31), n_seen);
    gmk_tick_advance(&env.kernel);
    env_idle(&env);
    gmk_test_assert_eq(part[1].got, 31);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_DROPS), 0);
    /* Once it has caught up all is as before. */
    gmk_test_assert_eq(chan_info(&env, env.chan).oldest_seq, 0);
    gmk_test_assert_eq(env_burst(&env, 31, 35, true), 4);
    env_idle(&env);
    gmk_test_assert_eq(part[1].got, 35);
    gmk_test_assert_eq(overflows(env.chan), 0);
    end_balanced();
}

/* V-46: a P2P channel that is lossless has it, too: the subscriber's own message that is
 * away for a retry keeps what follows it. */
static int on_hold_own(gmk_ctx_t *ctx)
{
    if (ctx->task->meta0 == 2 && gmk_retries(ctx) == 0)
        return GMK_RETRY;
    return on_seen(ctx);
}

GMK_TEST(chan_replay_of_a_lossless_p2p_channel)
{
    gmk_module_t *mods[1];
    uint32_t at;

    gmk_hal_memset(&env, 0, sizeof(env));
    n_seen = 0;
    wrong = 0;
    replay_at = 0;
    mods[0] = part_make(&part[0], &env, 0, on_hold_own);
    part_consume(&part[0], "t.chan", GMK_CHAN_P2P | GMK_CHAN_LOSSLESS, 64)->replay_slots = 32;
    GMK_REQUIRE(env_boot(&env, 2, GMK_BOOT_MANUAL_TICKS, mods, 1));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.chan");
    gmk_tick_advance(&env.kernel);
    gmk_test_assert_eq(env_burst(&env, 0, 10, true), 10);
    env_idle(&env);
    gmk_test_assert_eq(chan_info(&env, env.chan).oldest_seq, 3);
    gmk_test_assert_eq(replay(2), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(replay(4), GMK_OK);
    at = expect(expect(expect(0, 1, 2), 4, 10), 4, 10);
    gmk_test_assert_eq(at, n_seen);
    gmk_tick_advance(&env.kernel);
    env_idle(&env);
    gmk_test_assert_eq(expect(at, 3, 3), n_seen);
    gmk_test_assert_eq(chan_info(&env, env.chan).oldest_seq, 0);
    end_balanced();
}

/* V-47: every code that the header names. */
GMK_TEST(chan_replay_codes)
{
    gmk_chan_opts_t lossy = {.mode = GMK_CHAN_FANOUT, .replay_slots = 8};

    GMK_REQUIRE(boot(LOSSLESS, 64, 64));
    lag(5);
    gmk_test_assert_eq(gmk_chan_open_with(env.ctx, "t.lossy", &lossy), GMK_E_INVALID);
    gmk_test_assert_eq(replay(100), GMK_E_INVALID); /* ahead of the channel */
    gmk_test_assert_eq(replay(UINT64_MAX), GMK_E_INVALID);
    gmk_test_assert_lt(replay(0), 0);
    gmk_test_assert_eq(gmk_chan_replay(NULL, env.chan, 1), GMK_E_INVALID);
    gmk_test_assert_lt(gmk_chan_replay(env.ctx, env.chan, 2), 0); /* a thread is no module */
    plug_out(&env);
    gmk_test_assert_eq(gmk_chan_close(env.ctx, env.chan), GMK_OK);
    env_idle(&env);
    gmk_test_assert_eq(replay(2), GMK_CHAN_CLOSED);
    end_balanced();

    GMK_REQUIRE(boot(LOSSLESS, 64, 0));
    lag(5);
    gmk_test_assert_eq(replay(2), GMK_E_INVALID); /* no replay buffer */
    gmk_test_assert_eq(chan_info(&env, env.chan).oldest_seq, 0);
    plug_out(&env);
    end_balanced();
}

/* A parallel subscription has no place to go back to. */
GMK_TEST(chan_replay_of_a_parallel_subscription_is_refused)
{
    gmk_module_t *mods[1];

    gmk_hal_memset(&env, 0, sizeof(env));
    n_seen = 0;
    wrong = 0;
    replay_at = 0;
    mods[0] = part_make(&part[0], &env, 0, on_seen);
    part_consume(&part[0], "t.chan", LOSSLESS, 64)->replay_slots = 16;
    part[0].d[0].direction |= GMK_CHAN_PARALLEL;
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 1));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.chan");
    env_send(&env, env.chan, env_msg(T_MSG, 0, 0));
    env_idle(&env);
    gmk_test_assert_eq(replay(1), GMK_E_INVALID);
    end_balanced();
}

/* CH-18 under load: a subscriber asks again and again while threads emit; it misses
 * nothing, and whatever comes twice comes in order. */
static uint64_t top, again;

static int on_restless(gmk_ctx_t *ctx)
{
    uint64_t seq = gmk_chan_seq(ctx);
    int rc;

    if (ctx->user != &part[0])
        return on_part(ctx);
    if (seq <= top) {
        again++;
        return GMK_OK;
    }
    wrong += seq != top + 1;
    top = seq;
    if (seq % 97 == 0) {
        rc = gmk_chan_replay(ctx, env.chan, seq - seq % 7);
        wrong += rc != GMK_OK && rc != GMK_E_NOT_FOUND;
    }
    return GMK_OK;
}

GMK_TEST(chan_replay_storm_misses_nothing)
{
    gmk_module_t *mods[2];
    env_host_t hosts[2];

    gmk_hal_memset(&env, 0, sizeof(env));
    wrong = 0;
    top = 0;
    again = 0;
    for (uint32_t i = 0; i < 2; i++) {
        mods[i] = part_make(&part[i], &env, i, on_restless);
        part_consume(&part[i], "t.chan", LOSSLESS, 64)->replay_slots = 64;
    }
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 2));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.chan");
    env.per_from = gmk_test_scale(50000, 1000);
    for (uint32_t i = 0; i < 2; i++)
        env_host_start(&hosts[i], &env, i);
    env_hosts_join(hosts, 2);
    env_idle(&env);
    gmk_test_assert_eq(top, 2 * env.per_from);
    part_check(&part[1], 2 * env.per_from, 0);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_REPLAYED), again);
    end_balanced();
}
