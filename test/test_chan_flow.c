/* SPDX-License-Identifier: MIT
 * Channels under pressure: parallel consumers, the outbox, what a turn holds back, bound
 * groups.
 * Floor: tests. Source: SPEC CH-38 to CH-47, V-24, V-59, V-63; ARCHITECTURE R4, R7, R8, R19. */
#include "chan_mods.h"
#include "kernel/kernel.h"

/* Parallel consumers. -------------------------------------------------------------- */

typedef struct tally {
    gmk_a32_t seen[20000]; /* runs of each message that came to their end */
    gmk_a32_t inside, most;
    gmk_a32_t workers; /* mask */
    bool several;      /* more than one at a time is expected */
} tally_t;

static tally_t *tally;

static int on_parallel(gmk_ctx_t *ctx)
{
    uint32_t now = gmk_add_rlx(&tally->inside, 1, GMK_DEV) + 1; /* relaxed: a count */
    uint64_t what = ctx->task->meta1;
    int rc = GMK_OK;

    gmk_or_rlx(&tally->workers, 1u << gmk_self_worker(ctx), GMK_DEV); /* relaxed: a set */
    /* Stays a while until another one is in here too: once is enough. */
    for (uint32_t i = 0; tally->several && i < 1000; i++) {
        if (gmk_load_rlx(&tally->most, GMK_DEV) == 2) /* relaxed: a mark */
            break;
        now = gmk_load_rlx(&tally->inside, GMK_DEV); /* relaxed: a count */
        if (now > 1)
            gmk_or_rlx(&tally->most, 2, GMK_DEV); /* relaxed: a mark */
        gmk_hal_relax();
    }
    if (what == 1 && ctx->task->yield_count < 3)
        gmk_yield(ctx);
    else if (what == 2 && gmk_retries(ctx) < 2)
        rc = GMK_RETRY;
    else
        gmk_add_rlx(&tally->seen[ctx->task->meta0], 1, GMK_DEV); /* relaxed: a count */
    gmk_sub_rlx(&tally->inside, 1, GMK_DEV);                     /* relaxed: a count */
    return rc;
}

/* Every message once; `kinds` of them: plain, yielding, retrying. */
static void parallel(uint32_t n_workers, uint32_t kinds, bool several)
{
    uint64_t n = gmk_test_scale(19998, 501);
    uint64_t wrong = 0;
    mod_t m;
    gmk_module_t *mods[] = {mod_make(&m, "parallel")};

    mod_handle(&m, T_MSG, on_parallel);
    mod_consume(&m, "t.msg", T_MSG, 128)->direction |= GMK_CHAN_PARALLEL;
    tally = gmk_hal_calloc(1, sizeof(*tally));
    GMK_REQUIRE(tally != NULL);
    tally->several = several;
    reset(0);
    GMK_REQUIRE(boot(n_workers, 0, mods, 1));
    for (uint64_t i = 0; i < n; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, i % kinds));
    do
        env_idle(&env); /* returns also when nothing is due yet */
    while (env_books(&env).queued != 0);
    for (uint64_t i = 0; i < n; i++)
        wrong += tally->seen[i] != 1;
    gmk_test_assert_eq(wrong, 0);
    if (several) {
        gmk_test_assert_eq(tally->most, 2);
        gmk_test_assert_ne(tally->workers & (tally->workers - 1), 0);
    }
    gmk_test_assert_eq(metric(GMK_METRIC_TASKS_YIELDED), kinds > 1 ? n / kinds * 3 : 0);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, n);
    gmk_hal_free(tally);
}

GMK_TEST(chan_parallel_each_message_once_on_several_workers) { parallel(4, 1, true); }
GMK_TEST(chan_parallel_on_one_worker) { parallel(1, 1, false); }

GMK_TEST(chan_parallel_yields_and_retries) { parallel(4, 3, false); }

static int on_parallel_wait(gmk_ctx_t *ctx)
{
    gmk_task_t t = env_msg(T_MSG2, 0, 0);

    gmk_test_assert_eq(gmk_chan_emit_wait(ctx, env.chan2, &t), GMK_OK);
    gmk_test_assert_eq(gmk_chan_emit_wait(ctx, env.chan2, &t), GMK_OK);
    gmk_test_assert_eq(gmk_chan_emit_wait(ctx, env.chan2, &t), GMK_CHAN_FULL);
    env.got++;
    return GMK_OK;
}

GMK_TEST(chan_parallel_handler_has_no_outbox)
{
    mod_t m;
    gmk_module_t *mods[] = {mod_make(&m, "parallel")};

    mod_handle(&m, T_MSG, on_parallel_wait);
    mod_consume(&m, "t.msg", T_MSG, 8)->direction |= GMK_CHAN_PARALLEL;
    mod_consume(&m, "t.msg2", T_MSG2, 2)->direction = GMK_CHAN_PRODUCE;
    reset(0);
    GMK_REQUIRE(boot(2, 0, mods, 1));
    env_send(&env, env.chan, env_msg(T_MSG, 0, 0));
    env_idle(&env);
    gmk_test_assert_eq(env.got, 1);
    gmk_test_assert_eq(metric(GMK_METRIC_OUTBOX_PARKED), 0);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, 2);
}

/* Outbox. -------------------------------------------------------------------------- */

/* Sends until refused; then each later run sends nothing. */
static int on_flood(gmk_ctx_t *ctx)
{
    uint64_t sent = 0;
    int rc = GMK_OK;

    env.n_full++;
    if (env.n_full > 1)
        return GMK_OK;
    while (rc == GMK_OK) {
        gmk_task_t t = env_msg(T_MSG2, sent, 0);

        rc = gmk_chan_emit_wait(ctx, env.chan2, &t);
        sent += rc == GMK_OK;
    }
    gmk_test_assert_eq(rc, GMK_CHAN_FULL);
    env.per_from = sent;
    return GMK_OK;
}

static int act_sub2(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_sub(ctx, env.chan2), GMK_OK);
    return GMK_OK;
}

/* The second channel has two slots and nobody yet who drains it. */
static bool flood_boot(mod_t *m, gmk_module_t **mods)
{
    mods[0] = mod_make(&m[0], "flood");
    mods[1] = mod_make(&m[1], "drain");
    mods[2] = &actor;
    mod_handle(&m[0], T_MSG, on_flood);
    mod_consume(&m[0], "t.msg", T_MSG, 16);
    mod_consume(&m[0], "t.msg2", T_MSG2, 2)->direction = GMK_CHAN_PRODUCE;
    mod_handle(&m[1], T_MSG2, on_msg);
    mod_handle(&m[1], T_ACT_SINK, on_act);
    return boot(2, 0, mods, 3);
}

GMK_TEST(chan_outbox_is_bounded_and_pauses_its_module)
{
    mod_t m[2];
    gmk_module_t *mods[3];
    gmk_audit_report_t r;

    reset(0);
    GMK_REQUIRE(flood_boot(m, mods));
    for (uint32_t i = 0; i < 5; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, 0));
    env_idle(&env); /* at rest: a group that waits for room costs nothing */
    gmk_test_assert_eq(env.per_from, 2 + GMK_GROUP_OUTBOX_CAP);
    gmk_test_assert_eq(env.n_full, 1); /* the module takes no further message */
    gmk_test_assert_eq(metric(GMK_METRIC_OUTBOX_PARKED), GMK_GROUP_OUTBOX_CAP);
    r = env_books(&env);
    gmk_test_assert_eq(r.queued, 4 + 2 + GMK_GROUP_OUTBOX_CAP);
    gmk_test_assert_str_eq(r.stuck, "");
    env_act_as(&env, T_ACT_SINK, act_sub2);
    env_check_order(&env, 0, 1);
    gmk_test_assert_eq(env.n_full, 5);
    env_end(&env);
}

/* The same within one turn: what follows the flood in its batch waits too. */
static int on_flood_in_batch(gmk_ctx_t *ctx)
{
    if (ctx->task->meta0 == 0)
        return GMK_OK;
    return on_flood(ctx);
}

static int act_sub1(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_sub(ctx, env.chan), GMK_OK);
    return GMK_OK;
}

GMK_TEST(chan_outbox_pauses_its_module_within_a_turn)
{
    mod_t m[2];
    gmk_module_t *mods[] = {mod_make(&m[0], "flood"), mod_make(&m[1], "drain")};

    mod_handle(&m[0], T_MSG, on_flood_in_batch);
    mod_handle(&m[0], T_ACT, on_act);
    mod_consume(&m[0], "t.msg", T_MSG, 512)->direction = GMK_CHAN_PRODUCE;
    mod_consume(&m[0], "t.msg2", T_MSG2, 2)->direction = GMK_CHAN_PRODUCE;
    mod_handle(&m[1], T_MSG2, on_msg);
    mod_handle(&m[1], T_ACT_SINK, on_act);
    reset(0);
    GMK_REQUIRE(boot(1, 0, mods, 2));
    /* Enough short messages that turns have grown when the flood comes. */
    for (uint32_t i = 0; i < 400; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i >= 300, 0));
    env_act(&env, act_sub1);
    gmk_test_assert_eq(env.n_full, 1);
    gmk_test_assert_eq(env_books(&env).queued, 99 + 2 + GMK_GROUP_OUTBOX_CAP);
    env_act_as(&env, T_ACT_SINK, act_sub2);
    env_check_order(&env, 0, 1);
    gmk_test_assert_eq(env.n_full, 100);
    env_end(&env);
}

/* Room that appears while a message waits is not for a later one. The third or, if the first
 * one has been taken by then, the fourth message waits. */
static int on_outrun(gmk_ctx_t *ctx)
{
    gmk_chan_info_t info = {.depth = 1};
    uint64_t begin = gmk_hal_now_ns();

    for (uint64_t i = 0; i < 5; i++) {
        gmk_task_t t = env_msg(T_MSG2, i, 0);

        gmk_test_assert_eq(gmk_chan_emit_wait(ctx, env.chan2, &t), GMK_OK);
        while (metric(GMK_METRIC_OUTBOX_PARKED) != 0 && info.depth != 0 &&
               gmk_hal_now_ns() - begin < ENV_PATIENCE_NS) {
            gmk_test_assert_eq(gmk_chan_get_info(ctx->kernel, env.chan2, &info), GMK_OK);
            gmk_hal_relax();
        }
    }
    gmk_test_assert_eq(info.depth, 0);
    return GMK_OK;
}

/* Not until the sender has a message waiting. */
static int on_msg_late(gmk_ctx_t *ctx)
{
    uint64_t begin = gmk_hal_now_ns();

    while (gmk_metric_get(ctx->kernel, GMK_METRIC_OUTBOX_PARKED) == 0 &&
           gmk_hal_now_ns() - begin < ENV_PATIENCE_NS)
        gmk_hal_relax();
    gmk_test_assert_gt(gmk_metric_get(ctx->kernel, GMK_METRIC_OUTBOX_PARKED), 0);
    return on_msg(ctx);
}

static int init_bind_own(gmk_ctx_t *ctx)
{
    int id = gmk_chan_find(ctx, "t.msg2");

    gmk_test_assert_eq(gmk_chan_sub_worker(ctx, (uint32_t)id, 1), GMK_OK);
    return GMK_OK;
}

static int init_bind_first(gmk_ctx_t *ctx)
{
    int id = gmk_chan_find(ctx, "t.msg");

    gmk_test_assert_eq(gmk_chan_sub_worker(ctx, (uint32_t)id, 0), GMK_OK);
    return GMK_OK;
}

GMK_TEST(chan_outbox_keeps_order_when_room_appears_in_the_handler)
{
    mod_t m[2];
    gmk_module_t *mods[] = {mod_make(&m[0], "sender"), mod_make(&m[1], "drain")};

    mod_handle(&m[0], T_MSG, on_outrun);
    mod_consume(&m[0], "t.msg", T_MSG, 8)->direction = GMK_CHAN_PRODUCE;
    mod_consume(&m[0], "t.msg2", T_MSG2, 2)->direction = GMK_CHAN_PRODUCE;
    mod_handle(&m[1], T_MSG2, on_msg_late);
    m[0].m.init = init_bind_first;
    m[1].m.init = init_bind_own;
    reset(5);
    GMK_REQUIRE(boot(2, 0, mods, 2));
    env_send(&env, env.chan, env_msg(T_MSG, 0, 0));
    env_idle(&env);
    env_check_order(&env, 0, 1);
    gmk_test_assert_ge(metric(GMK_METRIC_OUTBOX_PARKED), 2);
    env_end(&env);
}

/* What a turn holds back: with batches of one, calls always count as short. ------------- */

static uint32_t depth_of(uint32_t chan)
{
    gmk_chan_info_t info = {.depth = UINT32_MAX};

    gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, chan, &info), GMK_OK);
    return info.depth;
}

/* Two that may be held back, and one that may not. */
static int on_mixed(gmk_ctx_t *ctx)
{
    gmk_task_t t[] = {env_msg(T_MSG2, 0, 0), env_msg(T_MSG2, 1, 0), env_msg(T_MSG2, 2, 0)};

    gmk_test_assert_eq(gmk_chan_emit_wait(ctx, env.chan2, &t[0]), GMK_OK);
    gmk_test_assert_eq(gmk_chan_emit_wait(ctx, env.chan2, &t[1]), GMK_OK);
    gmk_test_assert_eq(depth_of(env.chan2), 0); /* its own worker is the only one */
    gmk_test_assert_eq(gmk_chan_emit(ctx, env.chan2, &t[2]), GMK_OK);
    gmk_test_assert_eq(depth_of(env.chan2), 3);
    return GMK_OK;
}

GMK_TEST(chan_emit_goes_behind_what_its_turn_holds_back)
{
    mod_t m[2];
    gmk_module_t *mods[] = {mod_make(&m[0], "sender"), mod_make(&m[1], "drain")};

    mod_handle(&m[0], T_MSG, on_mixed);
    mod_consume(&m[0], "t.msg", T_MSG, 8);
    mod_consume(&m[0], "t.msg2", T_MSG2, 8)->direction = GMK_CHAN_PRODUCE;
    mod_handle(&m[1], T_MSG2, on_msg);
    mod_consume(&m[1], "t.msg2", T_MSG2, 8);
    reset(3);
    env.batch_size = 1;
    GMK_REQUIRE(boot(1, 0, mods, 2));
    env_send(&env, env.chan, env_msg(T_MSG, 0, 0));
    env_idle(&env);
    env_check_order(&env, 0, 1);
    env_end(&env);
}

/* Sends three that are held back, and waits for another sender. */
static int on_hold(gmk_ctx_t *ctx)
{
    gmk_task_t t = env_msg(T_MSG2, 0, 0);
    uint64_t begin = gmk_hal_now_ns();

    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(gmk_chan_emit_wait(ctx, env.chan2, &t), GMK_OK);
    gmk_add_sc(&env.n_full, 1, GMK_DEV);              /* sync: test.kit */
    while (gmk_load_acq(&env.n_full, GMK_DEV) != 2 && /* sync: test.kit */
           gmk_hal_now_ns() - begin < ENV_PATIENCE_NS)
        gmk_hal_relax();
    return GMK_OK;
}

static int on_any(gmk_ctx_t *ctx)
{
    ((env_t *)ctx->user)->got++;
    return GMK_OK;
}

/* Credit is handed out about once a lap: what another sender leaves of it is not all the room. */
GMK_TEST(chan_stage_finds_the_room_that_another_sender_left)
{
    mod_t m[2];
    gmk_module_t *mods[] = {mod_make(&m[0], "sender"), mod_make(&m[1], "drain")};
    uint64_t begin;

    mod_handle(&m[0], T_MSG, on_hold);
    mod_consume(&m[0], "t.msg", T_MSG, 8);
    mod_consume(&m[0], "t.msg2", T_MSG2, 16)->direction = GMK_CHAN_PRODUCE;
    mod_handle(&m[1], T_MSG2, on_any);
    mod_consume(&m[1], "t.msg2", T_MSG2, 16);
    reset(0);
    env.batch_size = 1;
    GMK_REQUIRE(boot(1, 0, mods, 2));
    for (uint32_t i = 0; i < 8; i++)
        env_send(&env, env.chan2, env_msg(T_MSG2, 0, 0));
    env_idle(&env);
    env_send(&env, env.chan, env_msg(T_MSG, 0, 0));
    begin = gmk_hal_now_ns();
    while (gmk_load_acq(&env.n_full, GMK_DEV) == 0 && /* sync: test.kit */
           gmk_hal_now_ns() - begin < ENV_PATIENCE_NS)
        gmk_hal_relax();
    for (uint32_t i = 0; i < 6; i++) /* leaves one place of the credit but for the reserve */
        env_send(&env, env.chan2, env_msg(T_MSG2, 0, 0));
    gmk_add_sc(&env.n_full, 1, GMK_DEV); /* sync: test.kit */
    env_idle(&env);
    gmk_test_assert_eq(env.got, 8 + 3 + 6);
    gmk_test_assert_eq(metric(GMK_METRIC_CHAN_FULL_COUNT), 0);
    gmk_test_assert_eq(metric(GMK_METRIC_OUTBOX_PARKED), 0);
    env_end(&env);
}

/* As many as a channel of 256 takes of these, and one that waits. */
#define FILL (256 - 25 + 1)

/* The first message makes it fill the other's channel. */
static int on_fill(gmk_ctx_t *ctx)
{
    for (uint64_t i = 0; i < FILL && ctx->task->meta1 == 1; i++) {
        gmk_task_t t = env_msg(T_MSG, i, 0);

        gmk_test_assert_eq(gmk_chan_emit_wait(ctx, env.chan, &t), GMK_OK);
    }
    return GMK_OK;
}

/* Its first message has its module send more than the one's channel takes, in the next turn. */
static int on_count(gmk_ctx_t *ctx)
{
    int third = gmk_chan_find(ctx, "t.third");
    gmk_task_t t = env_msg(T_ACT, 0, 0);

    if (env.got++ == 0)
        gmk_test_assert_eq(gmk_chan_emit(ctx, (uint32_t)third, &t), GMK_OK);
    return GMK_OK;
}

static int on_third(gmk_ctx_t *ctx)
{
    gmk_task_t t = env_msg(T_MSG2, 0, 0);

    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(gmk_chan_emit_wait(ctx, env.chan2, &t), GMK_OK);
    return GMK_OK;
}

/* The one waits for room that the other's first turn has made, the other for the one. */
GMK_TEST(chan_room_is_told_of_before_its_maker_waits)
{
    mod_t m[2];
    gmk_module_t *mods[] = {mod_make(&m[0], "one"), mod_make(&m[1], "other")};

    mod_handle(&m[0], T_MSG2, on_fill);
    mod_consume(&m[0], "t.msg2", T_MSG2, 2);
    mod_consume(&m[0], "t.msg", T_MSG, 256)->direction = GMK_CHAN_PRODUCE;
    mod_handle(&m[1], T_MSG, on_count);
    mod_handle(&m[1], T_ACT, on_third);
    mod_consume(&m[1], "t.msg", T_MSG, 256);
    mod_consume(&m[1], "t.third", T_ACT, 2);
    mod_consume(&m[1], "t.msg2", T_MSG2, 2)->direction = GMK_CHAN_PRODUCE;
    reset(0);
    env.batch_size = 1;
    GMK_REQUIRE(boot(1, 0, mods, 2));
    env_send(&env, env.chan2, env_msg(T_MSG2, 0, 1));
    env_idle(&env);
    gmk_test_assert_eq(metric(GMK_METRIC_OUTBOX_PARKED), 2); /* one each */
    gmk_test_assert_eq(env.got, FILL);
    env_end(&env);
}

/* The second message says that its module goes on. */
static int on_fill_and_tell(gmk_ctx_t *ctx)
{
    env.n_full += ctx->task->meta1 == 2;
    return on_fill(ctx);
}

/* Looks again and again whether the other module goes on. */
static int on_poll(gmk_ctx_t *ctx)
{
    if (env.n_full == 0)
        gmk_yield(ctx);
    else
        env.got++;
    return GMK_OK;
}

/* What is taken and yields makes room as much as what ends; who waits for it must not wait for
 * more of it. */
GMK_TEST(chan_room_is_told_of_before_its_maker_polls)
{
    mod_t m[2];
    gmk_module_t *mods[] = {mod_make(&m[0], "one"), mod_make(&m[1], "other")};

    mod_handle(&m[0], T_MSG2, on_fill_and_tell);
    mod_consume(&m[0], "t.msg2", T_MSG2, 2);
    mod_consume(&m[0], "t.msg", T_MSG, 256)->direction = GMK_CHAN_PRODUCE;
    mod_handle(&m[1], T_MSG, on_poll)->max_yields = 1000;
    mod_consume(&m[1], "t.msg", T_MSG, 256);
    reset(0);
    env.batch_size = 1;
    GMK_REQUIRE(boot(1, 0, mods, 2));
    env_send(&env, env.chan2, env_msg(T_MSG2, 0, 1));
    env_send(&env, env.chan2, env_msg(T_MSG2, 1, 2));
    env_idle(&env);
    gmk_test_assert_eq(metric(GMK_METRIC_TASKS_FAILED), 0);
    gmk_test_assert_eq(env.got, FILL);
    env_end(&env);
}

/* Takes long, and notes how many there were before the other module went on. */
static int on_count_long(gmk_ctx_t *ctx)
{
    uint64_t begin = gmk_hal_now_ns();

    (void)ctx;
    env.got++;
    if (env.n_full == 0)
        env.next[0] = env.got;
    while (env.n_full == 0 && gmk_hal_now_ns() - begin < 20ull * GMK_BATCH_TARGET_NS)
        gmk_hal_relax();
    return GMK_OK;
}

/* Room is given in lots only while that takes no time. */
GMK_TEST(chan_room_is_told_of_soon_by_a_maker_of_long_calls)
{
    mod_t m[2];
    gmk_module_t *mods[] = {mod_make(&m[0], "one"), mod_make(&m[1], "other")};

    mod_handle(&m[0], T_MSG2, on_fill_and_tell);
    mod_consume(&m[0], "t.msg2", T_MSG2, 2);
    mod_consume(&m[0], "t.msg", T_MSG, 256)->direction = GMK_CHAN_PRODUCE;
    mod_handle(&m[1], T_MSG, on_count_long);
    mod_consume(&m[1], "t.msg", T_MSG, 256);
    reset(0);
    env.batch_size = 1;
    GMK_REQUIRE(boot(1, 0, mods, 2));
    env_send(&env, env.chan2, env_msg(T_MSG2, 0, 1));
    env_send(&env, env.chan2, env_msg(T_MSG2, 1, 2));
    env_idle(&env);
    gmk_test_assert_eq(env.got, FILL);
    gmk_test_assert_lt(env.next[0], 8);
    env_end(&env);
}

GMK_TEST(chan_outbox_waiting_at_halt_is_dead_lettered)
{
    mod_t m[2];
    gmk_module_t *mods[3];

    reset(0);
    GMK_REQUIRE(flood_boot(m, mods));
    for (uint32_t i = 0; i < 5; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, 0));
    env_idle(&env);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, 4 + 2 + GMK_GROUP_OUTBOX_CAP);
    gmk_test_assert_eq(env.report.completed, 1);
}

static int act_wait_full(gmk_ctx_t *ctx)
{
    gmk_task_t t = env_msg(T_MSG2, 0, 0);

    gmk_test_assert_eq(gmk_chan_emit_wait(ctx, env.chan2, &t), GMK_CHAN_FULL);
    gmk_test_assert_eq(gmk_sdk_chan_send_inline(ctx, env.chan2, T_MSG2, 0, 0), GMK_CHAN_FULL);
    gmk_test_assert_eq(gmk_sdk_chan_send(ctx, env.chan2, T_MSG2, "abc", 3), GMK_CHAN_FULL);
    return GMK_OK;
}

GMK_TEST(chan_outbox_is_not_for_direct_handlers_and_threads)
{
    mod_t m[2];
    gmk_module_t *mods[3];

    reset(0);
    GMK_REQUIRE(flood_boot(m, mods));
    env_send(&env, env.chan2, env_msg(T_MSG2, 0, 0));
    env_send(&env, env.chan2, env_msg(T_MSG2, 1, 0));
    env_act(&env, act_wait_full);
    env.ctx->task->flags = GMK_PRIO_NORMAL;
    act_wait_full(env.ctx);
    gmk_test_assert_eq(env_live(&env), 0); /* the refused copies are freed */
    gmk_test_assert_eq(metric(GMK_METRIC_OUTBOX_PARKED), 0);
    env.per_from = 2;
    env_act_as(&env, T_ACT_SINK, act_sub2);
    env_check_order(&env, 0, 1);
    env_end(&env);
}

enum { T_PING = 20, T_PONG };
static uint32_t ch_ping, ch_pong;

/* Two for one, each to the other, with payloads: must end in a circular wait. */
static int on_double(gmk_ctx_t *ctx)
{
    uint32_t type = ctx->task->type == T_PING ? T_PONG : T_PING;
    uint32_t chan = type == T_PONG ? ch_pong : ch_ping;

    for (uint32_t i = 0; i < 2; i++) {
        int rc = gmk_sdk_chan_send(ctx, chan, type, "12345678", 8);

        gmk_test_assert(rc == GMK_OK || rc == GMK_CHAN_FULL);
    }
    return GMK_OK;
}

GMK_TEST(chan_circular_wait_is_named_and_halt_ends)
{
    mod_t m[2];
    gmk_module_t *mods[] = {mod_make(&m[0], "ping"), mod_make(&m[1], "pong")};
    gmk_audit_report_t r;

    mod_handle(&m[0], T_PING, on_double);
    mod_consume(&m[0], "c.ping", T_PING, 2)->guarantee = GMK_CHAN_LOSSLESS;
    mod_handle(&m[1], T_PONG, on_double);
    mod_consume(&m[1], "c.pong", T_PONG, 2)->guarantee = GMK_CHAN_LOSSLESS;
    reset(0);
    GMK_REQUIRE(boot(2, 0, mods, 2));
    ch_ping = (uint32_t)gmk_chan_find(env.ctx, "c.ping");
    ch_pong = (uint32_t)gmk_chan_find(env.ctx, "c.pong");
    env_send(&env, ch_ping, env_msg(T_PING, 0, 0));
    env_idle(&env); /* nobody spins on it */
    r = env_books(&env);
    gmk_test_assert(r.queued > 4 && r.payloads_live == r.queued);
    gmk_test_assert_str_eq(r.stuck, "circular wait: ping -> pong -> ping");
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, r.queued);
    gmk_test_assert_str_eq(env.report.stuck, r.stuck);
}

static int on_self(gmk_ctx_t *ctx)
{
    for (uint32_t i = 0; i < 2; i++)
        env.n_full += gmk_sdk_chan_send_inline(ctx, ctx->task->channel, T_PING, 0, 0) != GMK_OK;
    return GMK_OK;
}

GMK_TEST(chan_circular_wait_on_itself_is_named)
{
    mod_t m;
    gmk_module_t *mods[] = {mod_make(&m, "echo")};

    mod_handle(&m, T_PING, on_self);
    mod_consume(&m, "c.ping", T_PING, 2);
    reset(0);
    GMK_REQUIRE(boot(2, 0, mods, 1));
    env_send(&env, (uint32_t)gmk_chan_find(env.ctx, "c.ping"), env_msg(T_PING, 0, 0));
    env_idle(&env);
    gmk_test_assert_str_eq(env_books(&env).stuck, "circular wait: echo -> echo");
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_gt(env.report.dead, 0);
}

/* Bound groups. ---------------------------------------------------------------------- */

static gmk_handler_reg_t feed_handlers[] = {
    {.type = T_FEED, .fn = on_feed, .name = "feed", .max_yields = UINT32_MAX - 1}};
static gmk_module_t source = {
    .name = "source", .handlers = feed_handlers, .n_handlers = 1, .user = &env};

#define BOUND_TO 2u

static int on_bound(gmk_ctx_t *ctx)
{
    env.seq_gaps += gmk_self_worker(ctx) != BOUND_TO;
    return on_msg(ctx);
}

static int init_bound(gmk_ctx_t *ctx)
{
    int id = gmk_sdk_chan_open(ctx, "t.msg", GMK_CHAN_P2P, T_MSG);

    gmk_test_assert_eq(gmk_chan_sub_worker(ctx, (uint32_t)id, BOUND_TO), GMK_OK);
    return GMK_OK;
}

GMK_TEST(chan_bound_subscription_runs_on_its_worker)
{
    mod_t m;
    gmk_module_t *mods[] = {mod_make(&m, "bound"), &source};
    env_host_t hosts[2];
    const gmk_mpmc_t *inbox;

    mod_handle(&m, T_MSG, on_bound);
    m.m.init = init_bound;
    reset(gmk_test_scale(20000, 500));
    GMK_REQUIRE(boot(4, 0, mods, 2));
    for (uint32_t i = 0; i < 2; i++) {
        env_host_start(&hosts[i], &env, i);
        env_feed(&env, i + 2);
    }
    env_hosts_join(hosts, 2);
    env_idle(&env);
    env_check_order(&env, 0, 4);
    inbox = &env.ctx->sched->wq[BOUND_TO].inbox.ring;
    gmk_test_assert_gt(gmk_load_rlx(&inbox->head, GMK_DEV), 0); /* relaxed: nobody runs */
    env_end(&env);
}

/* The binding comes from a handler elsewhere while the group is busy. */
static int on_rebound(gmk_ctx_t *ctx)
{
    env.overlaps += gmk_self_worker(ctx) != BOUND_TO;
    env.got++;
    return GMK_OK;
}

static int act_bind2(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_sub_worker(ctx, env.chan2, BOUND_TO), GMK_OK);
    return GMK_OK;
}

static int on_nothing(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_OK;
}

GMK_TEST(chan_binding_of_a_busy_group_holds_from_its_first_message)
{
    uint64_t rounds = gmk_test_scale(200, 30);

    for (uint64_t round = 0; round < rounds; round++) {
        mod_t m;
        gmk_module_t *mods[] = {mod_make(&m, "bound")};
        gmk_task_t t = env_msg(T_ACT_SINK, 0, 0);
        int id;

        mod_handle(&m, T_MSG, on_nothing);
        mod_handle(&m, T_MSG2, on_rebound);
        mod_handle(&m, T_ACT_SINK, on_act);
        mod_consume(&m, "t.msg", T_MSG, 64);
        reset(0);
        GMK_REQUIRE(boot(3, 0, mods, 1));
        id = gmk_sdk_chan_open(env.ctx, "t.msg2", GMK_CHAN_P2P, T_MSG2);
        env.chan2 = (uint32_t)id;
        env.act = act_bind2;
        for (uint64_t i = 0; i < 10; i++)
            env_send(&env, env.chan2, env_msg(T_MSG2, i, 0));
        for (uint64_t i = 0; i < 100; i++) {
            env_send(&env, env.chan, env_msg(T_MSG, i, 0));
            if (i == round % 100)
                gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK);
        }
        env_idle(&env);
        gmk_test_assert_eq(env.got, 10);
        gmk_test_assert_eq(env.overlaps, 0);
        env_end(&env);
    }
}
