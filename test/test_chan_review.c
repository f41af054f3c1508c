/* SPDX-License-Identifier: MIT
 * What a review has found in the channels, each by name.
 * Floor: tests. Source: SPEC CH-6, CH-14, CH-20, CH-22, CH-26, CH-31; ARCHITECTURE R5, R7,
 * R8, R16. */
#include "chan_parts.h"

#define LOSSLESS (GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS)

static env_t env;
static part_t part[2];
static watch_t watch;
static gmk_module_t plumber;

/* Two parts, a plumber and a watcher on two workers with ticks by hand; a channel "t.chan". */
static bool boot(uint32_t mode, uint32_t slots, uint32_t replay, gmk_handler_fn fn)
{
    gmk_chan_opts_t o = {.mode = mode, .slots = slots, .replay_slots = replay, .msg_type = T_MSG};
    gmk_module_t *mods[4];
    int id;

    gmk_hal_memset(&env, 0, sizeof(env));
    for (uint32_t i = 0; i < 2; i++)
        mods[i] = part_make(&part[i], &env, i, fn);
    part_consume(&part[1], "t.other", GMK_CHAN_FANOUT, 4); /* so that they may share a type */
    mods[2] = plumber_make(&plumber, &env);
    mods[3] = watch_make(&watch, "watch");
    if (!env_boot(&env, 2, GMK_BOOT_MANUAL_TICKS, mods, 4))
        return false;
    gmk_tick_advance(&env.kernel);
    id = gmk_chan_open_with(env.ctx, "t.chan", &o);
    env.chan = id > 0 ? (uint32_t)id : 0;
    return gmk_test_assert_gt(id, 0);
}

static void end(void) { env_end_within(&env, ENV_PATIENCE_NS); }

/* CH-26: an identifier is a positive number, however often its place has been used. */
GMK_TEST(chan_identifier_stays_positive_when_a_place_is_used_33000_times)
{
    uint32_t rounds = (1u << 15) + 200;
    uint32_t wrong = 0;

    GMK_REQUIRE(boot(GMK_CHAN_P2P, 2, 0, on_part));
    for (uint32_t i = 0; i < rounds; i++) {
        int id = gmk_chan_open(env.ctx, "t.again", GMK_CHAN_P2P, 2);

        wrong += id <= 0 || gmk_chan_find(env.ctx, "t.again") != id;
        wrong += id > 0 && gmk_chan_close(env.ctx, (uint32_t)id) != GMK_OK;
        if (i % 100 == 0)
            env_idle(&env);
    }
    gmk_test_assert_eq(wrong, 0);
    end();
}

/* CH-31: who registers an error handler beside a close gets a code, and no mailbox stays. */
static gmk_a32_t racing;

static void *opens_and_closes(void *arg)
{
    gmk_host_t host;
    gmk_ctx_t *ctx = gmk_host_attach(arg, &host);

    while (ctx != NULL && gmk_load_acq(&racing, GMK_DEV) != 0) { /* sync: test.env */
        int id = gmk_chan_open(ctx, "t.race", GMK_CHAN_P2P, 2);

        if (id > 0)
            (void)!gmk_chan_close(ctx, (uint32_t)id);
        gmk_hal_relax();
    }
    if (ctx != NULL)
        gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    return NULL;
}

static int act_on_errors(gmk_ctx_t *ctx)
{
    for (uint32_t i = 0; i < gmk_test_scale(3000, 60); i++) {
        int id = gmk_chan_find(ctx, "t.race");

        if (id > 0)
            (void)!gmk_chan_on_error(ctx, (uint32_t)id, on_part);
        gmk_hal_relax();
    }
    return GMK_OK;
}

GMK_TEST(chan_on_error_beside_close_leaves_no_mailbox)
{
    gmk_hal_thread_t thread;
    uint32_t boxes = 0;

    GMK_REQUIRE(boot(GMK_CHAN_P2P, 2, 0, on_part));
    gmk_store_rel(&racing, 1, GMK_DEV); /* sync: test.env */
    gmk_test_assert_eq(gmk_hal_thread_create(&thread, opens_and_closes, &env.kernel), 0);
    part_act(&part[0], 0, act_on_errors);
    gmk_store_rel(&racing, 0, GMK_DEV); /* sync: test.env */
    gmk_test_assert_eq(gmk_hal_thread_join(&thread), 0);
    env_idle(&env);
    for (uint32_t i = 1; i <= GMK_MAX_CHANNELS; i++) {
        gmk_chan_info_t info;

        boxes += gmk_chan_get_info(&env.kernel, i, &info) == GMK_OK && info.name[0] == '!';
    }
    gmk_test_assert_eq(boxes, 0);
    end();
}

/* R5, CH-14: a dead subscriber blocks nobody, also while a message of his is in back-off. */
static int on_first_retries(gmk_ctx_t *ctx)
{
    part_t *p = ctx->user;

    if (p == &part[0] && gmk_retries(ctx) == 0)
        return GMK_RETRY;
    p->got++;
    return GMK_OK;
}

GMK_TEST(chan_unsub_with_a_message_in_back_off_blocks_no_producer)
{
    GMK_REQUIRE(boot(LOSSLESS, 4, 0, on_first_retries));
    part_act(&part[0], 0, act_part_sub);
    part_act(&part[1], 1, act_part_sub);
    gmk_test_assert_eq(env_burst(&env, 0, 1, false), 1);
    env_idle(&env);
    part_act(&part[0], 0, act_part_unsub);
    for (uint64_t i = 1; i < 20; i++) {
        gmk_test_assert_eq(env_burst(&env, i, i + 1, false), 1);
        env_idle(&env);
    }
    gmk_test_assert_eq(part[0].got, 0);
    gmk_test_assert_eq(part[1].got, 20);
    for (uint32_t i = 0; i < 4; i++) {
        gmk_tick_advance(&env.kernel);
        env_idle(&env);
    }
    gmk_test_assert_eq(part[0].got, 1); /* it had begun: it ends */
    gmk_test_assert_eq(chan_info(&env, env.chan).n_subs, 1);
    end();
}

/* R7: what only the one who has left could ask for again is not kept. */
GMK_TEST(chan_unsub_of_the_last_subscriber_empties_the_replay_buffer)
{
    GMK_REQUIRE(boot(LOSSLESS, 64, 16, on_part));
    part_act(&part[0], 0, act_part_sub);
    plug_in(&env);
    part[0].pause_at = 0;
    gmk_test_assert_eq(env_burst(&env, 0, 10, true), 10);
    env_idle(&env);
    part_act(&part[0], 0, act_part_unsub);
    gmk_test_assert_eq(watch.by_reason[GMK_ERR_NO_SUBSCRIBER], 9);
    gmk_test_assert_eq(chan_info(&env, env.chan).n_subs, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    plug_out(&env);
    end();
}

/* CH-31: the reason of a failure stays with the message when its handler asks for a retry
 * or yields. */
static struct {
    uint32_t n, wrong;
} told;

static int on_error_again(gmk_ctx_t *ctx)
{
    told.n++;
    told.wrong += gmk_error_reason(ctx) != (GMK_ERR_HANDLER | 42u << 16);
    if (ctx->task->yield_count == 0) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    return gmk_retries(ctx) == 0 ? (int)GMK_RETRY : GMK_OK;
}

static int act_on_error(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_on_error(ctx, env.chan, on_error_again), GMK_OK);
    return GMK_OK;
}

GMK_TEST(chan_error_reason_comes_back_with_a_retried_message)
{
    told.n = told.wrong = 0;
    GMK_REQUIRE(boot(GMK_CHAN_P2P, 16, 0, on_part));
    part_act(&part[0], 0, act_part_sub);
    part_act(&part[1], 1, act_on_error);
    part[0].fail_at = 3;
    gmk_test_assert_eq(env_burst(&env, 0, 6, true), 6);
    env_idle(&env);
    for (uint32_t i = 0; i < 4; i++) {
        gmk_tick_advance(&env.kernel);
        env_idle(&env);
    }
    gmk_test_assert_eq(told.n, 3); /* first, after the yield, after the retry */
    gmk_test_assert_eq(told.wrong, 0);
    end();
}

/* CH-22, R16: an urgent cell at the head of others gives them no right to the reserve, and an
 * ordinary one takes none from those behind it. */
static gmk_cell_t cell_of(uint32_t type, uint32_t priority, uint64_t n)
{
    gmk_cell_t c = {.sub = 0};

    c.task = env_msg(type, n, 0);
    c.task.flags = (uint16_t)priority;
    return c;
}

GMK_TEST(chan_emit_cells_of_mixed_priority_respect_the_reserve)
{
    gmk_cell_t cells[24];

    GMK_REQUIRE(boot(GMK_CHAN_P2P, 32, 0, on_part));
    for (uint32_t i = 0; i < 24; i++)
        cells[i] = cell_of(T_MSG, i % 8 == 0 ? GMK_PRIO_CRITICAL : GMK_PRIO_NORMAL, i);
    gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, env.chan, cells, 24), 24);
    /* 8 are left: 5 for anybody, 3 for priority 0 alone. */
    gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, env.chan, cells, 8), 5);
    cells[0] = cell_of(T_MSG, GMK_PRIO_NORMAL, 0);
    gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, env.chan, cells, 1), 0);
    for (uint32_t i = 0; i < 8; i++)
        cells[i] = cell_of(T_MSG, GMK_PRIO_CRITICAL, i);
    gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, env.chan, cells, 8), 3);
    end();
}

/* CH-6: a mismatch is told once, of a deterministic channel, too; what follows what was
 * taken is the caller's to offer again. */
GMK_TEST(chan_emit_cells_tell_of_a_mismatch_once)
{
    gmk_cell_t cells[2];
    int det;

    GMK_REQUIRE(boot(GMK_CHAN_P2P, 32, 0, on_part));
    det = gmk_chan_open(env.ctx, "t.det", LOSSLESS | GMK_CHAN_DETERMINISTIC, 8);
    GMK_REQUIRE(det > 0);
    gmk_test_assert_eq(gmk_chan_fix_type(env.ctx, (uint32_t)det, T_MSG), GMK_OK);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t chan = i == 0 ? env.chan : (uint32_t)det;
        uint64_t before = env_metric(&env, GMK_METRIC_TASKS_REJECTED);

        cells[0] = cell_of(T_MSG2, GMK_PRIO_NORMAL, 1);
        gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, chan, cells, 1), GMK_CHAN_TYPE_MISMATCH);
        env_idle(&env);
        gmk_test_assert_eq(env_metric(&env, GMK_METRIC_TASKS_REJECTED), before + 1);
        gmk_test_assert_eq(watch.by_reason[GMK_ERR_TYPE_MISMATCH], i + 1);
        cells[0] = cell_of(T_MSG, GMK_PRIO_NORMAL, 1);
        cells[1] = cell_of(T_MSG2, GMK_PRIO_NORMAL, 2);
        gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, chan, cells, 2), 1);
        env_idle(&env);
        gmk_test_assert_eq(watch.by_reason[GMK_ERR_TYPE_MISMATCH], i + 1);
    }
    end();
}

/* R9, R19: two modules that have left a full channel with a message in back-off, and wait to
 * send on it, wait at rest; they do not wake one another for ever. */
static uint32_t sink_room;

static uint32_t take_some(void *arg, const gmk_cell_t *cells, uint32_t n)
{
    uint32_t k = n < sink_room ? n : sink_room;

    (void)arg;
    (void)cells;
    sink_room -= k;
    return k;
}

static int on_send_on(gmk_ctx_t *ctx)
{
    gmk_task_t t = env_msg(T_MSG, 100, 0);

    if (ctx->task->meta0 == 99)
        gmk_test_assert_eq(gmk_chan_emit_wait(ctx, env.chan, &t), GMK_OK);
    return ctx->task->meta0 == 0 && gmk_retries(ctx) == 0 ? (int)GMK_RETRY : GMK_OK;
}

static int act_join_other(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_sub(ctx, (uint32_t)gmk_chan_find(ctx, "t.other")), GMK_OK);
    return GMK_OK;
}

GMK_TEST(chan_two_that_left_and_wait_to_send_are_at_rest)
{
    gmk_chan_sink_t sink = {.take = take_some};
    uint32_t other;

    sink_room = 0;
    GMK_REQUIRE(boot(LOSSLESS, 4, 0, on_send_on));
    other = (uint32_t)gmk_chan_find(env.ctx, "t.other");
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &sink), GMK_OK);
    part_act(&part[0], 0, act_join_other);
    part_act(&part[0], 0, act_part_sub);
    part_act(&part[1], 1, act_part_sub);
    gmk_test_assert_eq(env_burst(&env, 0, 1, false), 1); /* both put it off */
    env_idle(&env);
    part_act(&part[0], 0, act_part_unsub);
    part_act(&part[1], 1, act_part_unsub);
    gmk_test_assert_eq(env_burst(&env, 1, 8, false), 3); /* now it is full: the sink takes none */
    env_send(&env, other, env_msg(T_MSG, 99, 0));
    env_idle(&env);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_OUTBOX_PARKED), 2);
    sink_room = 100;
    gmk_test_assert_eq(gmk_chan_sink_ready(env.ctx, env.chan, &sink), GMK_OK);
    for (uint32_t i = 0; i < 4; i++) {
        env_idle(&env);
        gmk_tick_advance(&env.kernel);
    }
    env_idle(&env);
    gmk_test_assert_eq(sink_room, 94); /* four and the two that waited */
    end();
}
