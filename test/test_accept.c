/* SPDX-License-Identifier: MIT
 * Acceptance of channels at full size, where the units' tests are smaller than it asks.
 * Floor: tests. Source: SPEC ACC-6, ACC-13; ARCHITECTURE R4, R5. */
#include "chan_parts.h"

#include "ggmk/base/bits.h"

#define LOSSLESS (GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS)

static env_t env;
static part_t part[3];
static gmk_a32_t gate; /* handlers on_gated pass when it is not 0 */

static bool boot(uint32_t n_parts, uint32_t n_workers, gmk_handler_fn fn, gmk_chan_decl_t like)
{
    gmk_module_t *mods[GMK_ARRAY_LEN(part)];
    int id;

    gmk_hal_memset(&env, 0, sizeof(env));
    for (uint32_t i = 0; i < n_parts; i++) {
        gmk_chan_decl_t *d;

        mods[i] = part_make(&part[i], &env, i, fn);
        d = part_consume(&part[i], "t.msg", like.mode, like.slots);
        d->replay_slots = like.replay_slots;
    }
    if (!env_boot(&env, n_workers, 0, mods, n_parts))
        return false;
    id = gmk_chan_find(env.ctx, "t.msg");
    env.chan = id > 0 ? (uint32_t)id : 0;
    return gmk_test_assert_gt(id, 0);
}

/* Lossless. ------------------------------------------------------------------------------ */

#define SLOTS 256u
#define REPLAY 64u

/* Positions from the oldest kept one on are all that holds a payload, beside what a handler
 * has in its hands; whoever has not settled a message can still have it. */
static void check_kept(uint64_t sent)
{
    uint64_t oldest = chan_info(&env, env.chan).oldest_seq;
    uint64_t least = sent;

    gmk_test_assert_le(env_live(&env), SLOTS + REPLAY + GMK_ARRAY_LEN(part));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(part); i++)
        least = gmk_min64(least, chan_sub_of(&env, env.chan, &part[i]).acked_seq);
    if (oldest != 0)
        gmk_test_assert_le(oldest, least + 1); /* it was read before the others went on */
}

static int act_replay_first(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_replay(ctx, env.chan, 1), GMK_E_NOT_FOUND);
    return GMK_OK;
}

static void million(uint32_t n_workers)
{
    gmk_chan_decl_t like = {.mode = LOSSLESS, .slots = SLOTS, .replay_slots = REPLAY};
    uint64_t n = env_scale(1000000, 3000);

    GMK_REQUIRE(boot(3, n_workers, on_part, like));
    for (uint64_t i = 0; i < n; i++) {
        env_send(&env, env.chan, part_payload(env.ctx, T_MSG, i));
        if (i % (n / 50) == 0)
            check_kept(i + 1);
    }
    env_idle(&env);
    for (uint32_t i = 0; i < 3; i++) {
        part_check(&part[i], n, 0);
        gmk_test_assert_eq(part[i].first_seq, 1);
        gmk_test_assert_eq(part[i].last_seq, n);
        gmk_test_assert_eq(part[i].next[0], n);
        gmk_test_assert_eq(chan_sub_of(&env, env.chan, &part[i]).acked_seq, n);
    }
    gmk_test_assert_eq(chan_info(&env, env.chan).oldest_seq, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    part_act(&part[1], 1, act_replay_first);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_DROPS), 0);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, 3 * n + 1);
}

/* ACC-13, CH-20: 1M messages with payloads to three subscribers, in sequence; the replay
 * buffer lets go of what all have passed, all the time and at the end. */
GMK_TEST(accept_lossless_million_leaves_the_replay_buffer) { million(2); }
GMK_TEST(accept_lossless_million_leaves_the_replay_buffer_one_worker) { million(1); }

/* Back-pressure. ------------------------------------------------------------------------- */

#define FULL_SLOTS 1024u
#define ROOM (FULL_SLOTS - FULL_SLOTS / 10) /* the last tenth is for priority 0 */

/* Sends what the channel takes with nobody who drains it; then it refuses, again and again. */
static uint64_t fill(uint64_t from)
{
    uint64_t n = env_burst(&env, from, from + 2 * ROOM, true);

    gmk_test_assert_eq(n, ROOM);
    for (uint32_t i = 0; i < 10; i++)
        gmk_test_assert_eq(env_burst(&env, from + n, from + n + 1, true), 0);
    return from + n;
}

/* ACC-6c: a full P2P channel, drained, takes as much again, a hundred times. */
GMK_TEST(accept_full_p2p_channel_takes_again_after_a_drain)
{
    gmk_chan_decl_t like = {.mode = GMK_CHAN_P2P, .slots = FULL_SLOTS};
    uint64_t n = 0;

    GMK_REQUIRE(boot(1, 2, on_part, like));
    for (uint32_t round = 0; round < env_scale(100, 5); round++) {
        part_act(&part[0], 0, act_part_unsub);
        n = fill(n);
        gmk_test_assert_eq(env_live(&env), ROOM);
        part_act(&part[0], 0, act_part_sub);
        part_check(&part[0], n, 0);
        gmk_test_assert_eq(env_live(&env), 0);
    }
    gmk_test_assert_eq(part[0].last_seq, n);
    env_end(&env);
}

/* Part 2 has worker 1 for itself, so that who stays in its handler holds up nobody else. */
static int act_bind(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_sub_worker(ctx, env.chan, ctx->user == &part[2]), GMK_OK);
    return GMK_OK;
}

/* Waits until all have begun the message at a position. */
static void until_begun(uint64_t pos)
{
    uint64_t begin = gmk_hal_now_ns();

    for (uint32_t i = 0; i < 3; i++) {
        while (chan_sub_of(&env, env.chan, &part[i]).next_seq != pos + 1 &&
               gmk_hal_now_ns() - begin < ENV_PATIENCE_NS)
            gmk_hal_relax();
        gmk_test_assert_eq(chan_sub_of(&env, env.chan, &part[i]).next_seq, pos + 1);
    }
}

static int on_gated(gmk_ctx_t *ctx)
{
    while (ctx->user == &part[2] && gmk_load_acq(&gate, GMK_DEV) == 0) /* sync: test.kit */
        gmk_hal_relax();
    return on_part(ctx);
}

/* ACC-6c, ACC-6e: the same of a lossless fan-out with one slow subscriber in three; what was
 * refused, and what only some have done, leaks nothing. */
GMK_TEST(accept_full_fanout_channel_takes_again_after_a_drain)
{
    gmk_chan_decl_t like = {.mode = LOSSLESS, .slots = FULL_SLOTS};
    uint64_t n = 0;

    GMK_REQUIRE(boot(3, 2, on_gated, like));
    for (uint32_t i = 0; i < 3; i++) {
        part_act(&part[i], i, act_part_unsub);
        part_act(&part[i], i, act_bind);
    }
    for (uint32_t round = 0; round < env_scale(100, 5); round++) {
        gmk_store_rel(&gate, 0, GMK_DEV); /* sync: test.kit */
        gmk_test_assert_eq(env_burst(&env, n, n + 1, true), 1);
        until_begun(n + 1); /* part 2 stays in it */
        n = fill(n + 1);
        gmk_store_rel(&gate, 1, GMK_DEV); /* sync: test.kit */
        env_idle(&env);
        for (uint32_t i = 0; i < 3; i++)
            part_check(&part[i], n, 0);
        gmk_test_assert_eq(env_live(&env), 0);
    }
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, 3 * n + 6);
}

/* Each message goes round, from whichever worker has it, until it has made its hops. */
static gmk_a64_t refusals;

static int on_round(gmk_ctx_t *ctx)
{
    gmk_task_t t = *ctx->task;

    if (t.meta0-- == 0)
        return GMK_OK;
    if (gmk_chan_emit(ctx, t.channel, &t) == GMK_OK)
        return GMK_OK;
    gmk_add_rlx(&refusals, 1, GMK_DEV); /* relaxed: a count */
    return GMK_OK;
}

/* ACC-6c, CH-9: full means full. With fewer messages than slots no emit is refused, not even
 * one that looks for room while another finds it. */
static void never_refused(uint32_t mode)
{
    uint64_t hops = env_scale(20000, 1000);
    gmk_module_t *mods[] = {part_make(&part[0], &env, 0, on_round)};

    gmk_hal_memset(&env, 0, sizeof(env));
    gmk_store_rlx(&refusals, 0, GMK_DEV); /* relaxed: nobody runs yet */
    part_consume(&part[0], "t.msg", mode, 16)->direction |= GMK_CHAN_PARALLEL;
    GMK_REQUIRE(env_boot(&env, 3, 0, mods, 1));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.msg");
    for (uint32_t i = 0; i < 15; i++)
        env_send(&env, env.chan, env_msg(T_MSG, hops, 0));
    env_idle(&env);
    gmk_test_assert_eq(gmk_load_acq(&refusals, GMK_DEV), 0); /* sync: test.kit */
    gmk_test_assert_eq(chan_info(&env, env.chan).emits, 15 * (hops + 1));
    env_end(&env);
}

GMK_TEST(accept_emit_with_room_is_never_refused_p2p) { never_refused(GMK_CHAN_P2P); }
GMK_TEST(accept_emit_with_room_is_never_refused_fanout) { never_refused(LOSSLESS); }

/* Payloads. ------------------------------------------------------------------------------ */

static uint64_t frees_missing(void)
{
    uint64_t missing = 0;

    for (uint32_t kind = 0; kind < GMK_ALLOC_BUMP; kind++) {
        gmk_alloc_stats_t s = {.n_allocs = 0};

        gmk_test_assert_eq(gmk_alloc_get_stats(&env.kernel, kind, &s), GMK_OK);
        missing += s.n_allocs - s.n_frees;
    }
    return missing;
}

static int on_lazy(gmk_ctx_t *ctx)
{
    for (uint32_t i = 0; ctx->user == &part[2] && i < 40; i++)
        gmk_hal_relax();
    return on_part(ctx);
}

/* ACC-6e: 200,000 payloads, one subscriber of three loses most of its copies: each payload is
 * freed once, whoever had it last. */
GMK_TEST(accept_fanout_payloads_are_freed_once_whoever_got_them)
{
    gmk_chan_decl_t like = {.mode = GMK_CHAN_FANOUT, .slots = 16};
    uint64_t n = env_scale(200000, 1000);
    uint64_t before;

    GMK_REQUIRE(boot(3, 2, on_lazy, like));
    before = frees_missing();
    for (uint64_t i = 0; i < n; i++)
        env_send(&env, env.chan, part_payload(env.ctx, T_MSG, i));
    env_idle(&env);
    for (uint32_t i = 0; i < 3; i++) {
        gmk_test_assert_eq(part[i].wrong, 0);
        gmk_test_assert_eq(part[i].got + chan_sub_of(&env, env.chan, &part[i]).drops, n);
    }
    gmk_test_assert_lt(part[2].got, n);
    gmk_test_assert_eq(env_live(&env), 0);
    gmk_test_assert_eq(frees_missing(), before);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), 0);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead + env.report.completed, 3 * n);
}
