/* SPDX-License-Identifier: MIT
 * Channels under pressure: parallel consumers, outbox, yields and retries of messages,
 * bound groups, payloads from emit to their one free.
 * Floor: tests. Source: SPEC CH-38 to CH-47, V-24, V-59, V-63; ARCHITECTURE R4, R7, R8, R19. */
#include "chan_env.h"
#include "kernel/kernel.h"

static env_t env;

static gmk_handler_reg_t feed_handlers[] = {
    {.type = T_FEED, .fn = on_feed, .name = "feed", .max_yields = UINT32_MAX - 1}};
static gmk_module_t source = {
    .name = "source", .handlers = feed_handlers, .n_handlers = 1, .user = &env};
static gmk_handler_reg_t act_handlers[] = {{.type = T_ACT, .fn = on_act, .name = "act"}};
static gmk_module_t actor = {
    .name = "actor", .handlers = act_handlers, .n_handlers = 1, .user = &env};

/* A module of up to three handlers and three declarations. */
typedef struct mod {
    gmk_module_t m;
    gmk_handler_reg_t h[3];
    gmk_chan_decl_t d[3];
} mod_t;

static gmk_module_t *mod_make(mod_t *m, const char *name)
{
    gmk_hal_memset(m, 0, sizeof(*m));
    m->m = (gmk_module_t){.name = name, .handlers = m->h, .channels = m->d, .user = &env};
    return &m->m;
}

static gmk_handler_reg_t *mod_handle(mod_t *m, uint32_t type, gmk_handler_fn fn)
{
    gmk_handler_reg_t *h = &m->h[m->m.n_handlers++];

    *h = (gmk_handler_reg_t){.type = type, .fn = fn, .name = m->m.name};
    return h;
}

static gmk_chan_decl_t *mod_consume(mod_t *m, const char *chan, uint32_t type, uint32_t slots)
{
    gmk_chan_decl_t *d = &m->d[m->m.n_channels++];

    *d = (gmk_chan_decl_t){
        .name = chan, .direction = GMK_CHAN_CONSUME, .msg_type = type, .slots = slots};
    return d;
}

static void reset(uint64_t per_from)
{
    gmk_hal_memset(&env, 0, sizeof(env));
    env.per_from = per_from;
}

static bool boot(uint32_t n_workers, uint32_t flags, gmk_module_t **mods, uint32_t n)
{
    int id;

    if (!env_boot(&env, n_workers, flags, mods, n))
        return false;
    id = gmk_chan_find(env.ctx, "t.msg");
    env.chan = id > 0 ? (uint32_t)id : 0;
    id = gmk_chan_find(env.ctx, "t.msg2");
    env.chan2 = id > 0 ? (uint32_t)id : 0;
    return true;
}

static uint64_t metric(uint32_t id) { return gmk_metric_get(&env.kernel, id); }

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

/* Yields and retries of messages. ---------------------------------------------------- */

/* Every fifth message yields once. It must come back in a later turn of its group,
 * before any message that had not begun. */
typedef struct resume {
    uint32_t out;      /* yielded and not yet back */
    uint64_t out_turn; /* the turn they yielded in */
    uint64_t early;    /* new messages that began before them */
    uint64_t call_ns;  /* every other yielded one takes so long */
} resume_t;

static int on_resume(gmk_ctx_t *ctx)
{
    resume_t *r = env.more;
    uint64_t turn = metric(GMK_METRIC_GROUP_TURNS);
    gmk_task_t *t = ctx->task;

    env_enter(&env);
    if (t->yield_count == 0) {
        if (r->out != 0 && r->out_turn != turn)
            r->early++;
        if (t->meta0 != env.next[0]++)
            env.out_of_order++;
        if (t->meta0 % 5 == 0) {
            r->out++;
            r->out_turn = turn;
            t->meta1 = t->meta0 + 7;
            gmk_yield_at(ctx, 99);
        } else {
            env.got++;
        }
    } else {
        uint64_t until = gmk_hal_now_ns() + r->call_ns;

        while (r->call_ns != 0 && t->meta1 % 2 == 0 && gmk_hal_now_ns() < until)
            ;
        r->out--;
        if (turn == r->out_turn)
            r->early++;
        /* Phase and number are as the first run left them. */
        if (t->meta0 != 99 || t->meta1 % 5 != 2 || gmk_chan_seq(ctx) != t->meta1 - 6)
            env.seq_gaps++;
        env.got++;
    }
    env_leave(&env);
    return GMK_OK;
}

static void resume(uint32_t n_workers, uint64_t call_ns)
{
    uint64_t n = call_ns == 0 ? gmk_test_scale(20000, 500) : 500;
    resume_t r = {.call_ns = call_ns};
    mod_t m;
    gmk_module_t *mods[] = {mod_make(&m, "resume")};

    mod_handle(&m, T_MSG, on_resume);
    mod_consume(&m, "t.msg", T_MSG, 64);
    reset(n);
    env.more = &r;
    GMK_REQUIRE(boot(n_workers, 0, mods, 1));
    for (uint64_t i = 0; i < n; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, 0));
    env_idle(&env);
    gmk_test_assert_eq(env.got, n);
    gmk_test_assert_eq(r.out, 0);
    gmk_test_assert_eq(r.early, 0);
    gmk_test_assert_eq(env.out_of_order + env.seq_gaps + env.overlaps, 0);
    gmk_test_assert_eq(metric(GMK_METRIC_TASKS_YIELDED), (n + 4) / 5);
    env_end(&env);
}

GMK_TEST(chan_yielded_message_resumes_before_new_ones)
{
    resume(1, 0);
    resume(2, 0);
    resume(8, 0);
}

/* Where calls are long a batch holds one, and a turn goes on for its time: with those that came
 * back, too, before it begins a new one. */
GMK_TEST(chan_yielded_messages_resume_before_new_ones_where_calls_are_long)
{
    resume(1, GMK_BATCH_TARGET_NS + GMK_BATCH_TARGET_NS / 4);
    resume(2, 2 * GMK_BATCH_TARGET_NS);
}

static int on_spin_yield(gmk_ctx_t *ctx)
{
    env_enter(&env);
    env.got++;
    gmk_yield(ctx);
    env_leave(&env);
    return GMK_OK;
}

GMK_TEST(chan_message_that_yields_for_ever_trips_the_breaker)
{
    mod_t m;
    gmk_module_t *mods[] = {mod_make(&m, "spin")};

    mod_handle(&m, T_MSG, on_spin_yield)->max_yields = 5;
    mod_consume(&m, "t.msg", T_MSG, 64);
    reset(0);
    GMK_REQUIRE(boot(2, 0, mods, 1));
    for (uint64_t i = 0; i < 20; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, 0));
    env_idle(&env);
    gmk_test_assert_eq(env.got, 20 * 6);
    gmk_test_assert_eq(env.overlaps, 0);
    gmk_test_assert_eq(metric(GMK_METRIC_YIELD_LIMITS), 20);
    env_end(&env);
    gmk_test_assert_eq(env.report.failed, 20);
}

/* Message meta0 asks for meta1 retries; n_full counts runs. */
static int on_retry(gmk_ctx_t *ctx)
{
    const gmk_task_t *t = ctx->task;

    env_enter(&env);
    env.n_full++;
    if (gmk_chan_seq(ctx) != t->meta0 + 1)
        env.seq_gaps++;
    env_leave(&env);
    if (gmk_retries(ctx) < t->meta1)
        return GMK_RETRY;
    env.next[t->meta0 % ENV_MAX_FROM]++;
    env.got++;
    return GMK_OK;
}

static bool retry_boot(mod_t *m, uint32_t n_workers, uint32_t flags)
{
    gmk_module_t *mods[] = {mod_make(m, "retry")};

    mod_handle(m, T_MSG, on_retry);
    mod_consume(m, "t.msg", T_MSG, 1024);
    reset(0);
    return boot(n_workers, flags, mods, 1);
}

static void tick(void)
{
    gmk_tick_advance(&env.kernel);
    env_idle(&env);
}

GMK_TEST(chan_retried_message_backs_off_by_ticks)
{
    static const uint32_t runs_at[] = {3, 4, 4, 5, 5, 5, 5, 6}; /* delays 1, 2, 4 */
    mod_t m;

    GMK_REQUIRE(retry_boot(&m, 2, GMK_BOOT_MANUAL_TICKS));
    gmk_tick_advance(&env.kernel);
    for (uint64_t i = 0; i < 3; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, i == 0 ? 3 : 0));
    env_idle(&env);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(runs_at); i++) {
        gmk_test_assert_eq(env.n_full, runs_at[i]);
        gmk_test_assert_eq(env_books(&env).queued, env.n_full < 6);
        tick();
    }
    gmk_test_assert_eq(env.got, 3);
    gmk_test_assert_eq(env.next[0], 1);
    gmk_test_assert_eq(env.seq_gaps + env.overlaps, 0);
    env_end(&env);
}

GMK_TEST(chan_retried_message_at_tick_zero_comes_back_at_once)
{
    mod_t m;

    GMK_REQUIRE(retry_boot(&m, 2, GMK_BOOT_MANUAL_TICKS));
    for (uint64_t i = 0; i < 100; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, 3));
    env_idle(&env);
    gmk_test_assert_eq(env.got, 100);
    gmk_test_assert_eq(env.n_full, 400);
    gmk_test_assert_eq(env.seq_gaps + env.overlaps, 0);
    env_end(&env);
}

GMK_TEST(chan_more_messages_away_than_the_resume_queue_holds)
{
    uint64_t n = 4 * GMK_GROUP_RESUME_CAP + 10;
    mod_t m;

    GMK_REQUIRE(retry_boot(&m, 2, GMK_BOOT_MANUAL_TICKS));
    gmk_tick_advance(&env.kernel);
    for (uint64_t i = 0; i < n; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, 1));
    for (uint64_t round = 0; round < 5; round++) {
        env_idle(&env); /* at rest: a stalled group costs nothing */
        gmk_test_assert_eq(env.got, round * GMK_GROUP_RESUME_CAP);
        gmk_test_assert_eq(env_books(&env).queued, n - env.got);
        gmk_tick_advance(&env.kernel);
    }
    env_idle(&env);
    gmk_test_assert_eq(env.got, n);
    gmk_test_assert_eq(env.n_full, 2 * n);
    gmk_test_assert_eq(env.seq_gaps + env.overlaps, 0);
    env_end(&env);
}

GMK_TEST(chan_more_messages_away_than_the_resume_queue_holds_by_the_clock)
{
    uint64_t n = gmk_test_scale(1000, 300);
    mod_t m;

    GMK_REQUIRE(retry_boot(&m, 4, 0));
    for (uint64_t i = 0; i < n; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, 2));
    while (env_books(&env).queued != 0)
        env_idle(&env); /* returns when nothing is due yet, too */
    gmk_test_assert_eq(env.got, n);
    gmk_test_assert_eq(env.n_full, 3 * n);
    env_end(&env);
}

GMK_TEST(chan_messages_away_at_halt_are_dead_lettered)
{
    uint64_t n = 2 * GMK_GROUP_RESUME_CAP;
    mod_t m;

    GMK_REQUIRE(retry_boot(&m, 2, GMK_BOOT_MANUAL_TICKS));
    gmk_tick_advance(&env.kernel);
    for (uint64_t i = 0; i < n; i++) {
        gmk_task_t t = env_msg(T_MSG, i, 1);

        gmk_task_set_payload(&t, gmk_payload_alloc(env.ctx, 40));
        env_send(&env, env.chan, t);
    }
    env_idle(&env);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, n);
}

GMK_TEST(chan_retry_limit_fails_the_message)
{
    mod_t m;

    GMK_REQUIRE(retry_boot(&m, 2, GMK_BOOT_MANUAL_TICKS));
    env_send(&env, env.chan, env_msg(T_MSG, 0, UINT64_MAX));
    env_idle(&env);
    gmk_test_assert_eq(env.n_full, GMK_MAX_RETRIES + 1);
    env_end(&env);
    gmk_test_assert_eq(env.report.failed, 1);
}

/* An emitter that stops between its publish and its notice: an idle consumer leaves what was
 * published alone, and the next notice finds both. */
GMK_TEST(chan_message_without_notice_waits_for_the_next)
{
    gmk_task_t t = env_msg(T_MSG, 0, 0);
    mod_t m;
    gmk_module_t *mods[] = {mod_make(&m, "sink")};
    uint32_t readers = 0;
    uint32_t pos = 0;
    gmki_agent_t *a;
    gmki_chan_t *c;

    mod_handle(&m, T_MSG, on_msg);
    mod_consume(&m, "t.msg", T_MSG, 16);
    reset(3);
    GMK_REQUIRE(boot(2, 0, mods, 1));
    a = env.ctx->agent;
    c = gmki_chan_get(env.ctx->chan, env.chan);
    env_idle(&env);
    gmk_test_assert_eq(gmk_credit_claim(&c->ring, 1, 0, &pos, &readers, GMK_DEV), 1);
    gmki_stamp(a, &c->cells[pos], &t);
    c->cells[pos].task.channel = env.chan;
    c->cells[pos].task.flags |= GMK_TF_CHANNEL_MSG;
    gmki_accept(a, 0, 1);
    gmk_credit_publish(&c->ring, c->cells, GMK_CELL_STRIDE, pos, 1, GMK_DEV);
    env_idle(&env);
    gmk_test_assert_eq(env.got, 0);
    gmk_test_assert_eq(env_books(&env).queued, 1);
    env_send(&env, env.chan, env_msg(T_MSG, 1, 0));
    env_idle(&env);
    gmk_test_assert_eq(env.got, 2);
    env_send(&env, env.chan, env_msg(T_MSG, 2, 0));
    env_idle(&env);
    env_check_order(&env, 0, 1);
    env_end(&env);
}

/* Bound groups. ---------------------------------------------------------------------- */

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

/* Payloads. -------------------------------------------------------------------------- */

#define MARK 0xa5

static gmk_task_t with_payload(gmk_ctx_t *ctx, uint32_t type, uint32_t len)
{
    gmk_task_t t = env_msg(type, len, 0);
    void *p = gmk_payload_alloc(ctx, len);

    if (gmk_test_assert(p != NULL)) {
        gmk_hal_memset(p, MARK, len);
        gmk_task_set_payload(&t, p);
    }
    return t;
}

static bool intact(const gmk_task_t *t)
{
    const unsigned char *p = (const unsigned char *)(uintptr_t)t->payload_ptr;

    if (p == NULL || t->payload_len != (uint32_t)t->meta0)
        return false;
    for (uint32_t i = 0; i < t->payload_len; i++)
        if (p[i] != MARK)
            return false;
    return true;
}

static uint32_t refs_of(const void *p)
{
    const gmk_payload_hdr_t *h = (const gmk_payload_hdr_t *)p - 1;

    return gmk_load_acq(&h->refs, GMK_DEV); /* sync: payload.refs */
}

/* One module consumes t.msg by fn; a second one t.msg2 by fn2, if any. */
static bool payload_boot(mod_t *m, gmk_handler_fn fn, gmk_handler_fn fn2)
{
    gmk_module_t *mods[] = {mod_make(&m[0], "first"), &actor, mod_make(&m[1], "second")};

    mod_handle(&m[0], T_MSG, fn);
    mod_consume(&m[0], "t.msg", T_MSG, 64);
    if (fn2 != NULL) {
        mod_handle(&m[1], T_MSG2, fn2);
        mod_consume(&m[1], "t.msg2", T_MSG2, 64);
    }
    reset(0);
    return boot(2, 0, mods, 3);
}

static int on_payload(gmk_ctx_t *ctx)
{
    env.got += intact(ctx->task) && refs_of((void *)(uintptr_t)ctx->task->payload_ptr) == 1;
    return GMK_OK;
}

/* CH-38, CH-41: the consumer's alone while it runs, released when its handler returns. */
GMK_TEST(chan_payload_is_freed_once_after_delivery)
{
    uint64_t n = gmk_test_scale(20000, 500);
    mod_t m[2];

    GMK_REQUIRE(payload_boot(m, on_payload, NULL));
    for (uint64_t i = 0; i < n; i++)
        env_send(&env, env.chan, with_payload(env.ctx, T_MSG, 1 + i % 300));
    env_idle(&env);
    gmk_test_assert_eq(env.got, n);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

static int on_release_early(gmk_ctx_t *ctx)
{
    env.got += intact(ctx->task);
    gmk_payload_release(ctx);
    gmk_test_assert_eq(ctx->task->payload_ptr, 0);
    gmk_test_assert_eq(ctx->task->payload_len, 0);
    gmk_payload_release(ctx); /* nothing happens */
    return GMK_OK;
}

/* CH-38, CH-41: the consumer may release it before. */
GMK_TEST(chan_payload_released_early_is_not_freed_again)
{
    mod_t m[2];

    GMK_REQUIRE(payload_boot(m, on_release_early, NULL));
    for (uint64_t i = 0; i < 100; i++)
        env_send(&env, env.chan, with_payload(env.ctx, T_MSG, 100));
    env_idle(&env);
    gmk_test_assert_eq(env.got, 100);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

static int on_keep(gmk_ctx_t *ctx)
{
    gmk_payload_retain(ctx);
    env.more = (void *)(uintptr_t)ctx->task->payload_ptr;
    return GMK_OK;
}

static int act_release_kept(gmk_ctx_t *ctx)
{
    gmk_payload_release_ptr(ctx, env.more);
    return GMK_OK;
}

GMK_TEST(chan_payload_retained_lives_until_released)
{
    gmk_task_t t;
    mod_t m[2];

    GMK_REQUIRE(payload_boot(m, on_keep, NULL));
    t = with_payload(env.ctx, T_MSG, 77);
    env_send(&env, env.chan, t);
    env_idle(&env);
    gmk_test_assert_eq(env_live(&env), 1);
    gmk_test_assert_eq((uintptr_t)env.more, t.payload_ptr);
    gmk_test_assert_eq(refs_of(env.more), 1);
    gmk_test_assert(intact(&t));
    env_act(&env, act_release_kept);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

static int on_forward(gmk_ctx_t *ctx)
{
    gmk_task_t t = *ctx->task;
    int rc;

    t.type = T_MSG2;
    t.meta1 = t.payload_ptr;
    gmk_payload_retain(ctx);
    rc = gmk_chan_emit_wait(ctx, env.chan2, &t);
    gmk_test_assert_eq(rc, GMK_OK);
    return GMK_OK;
}

static int on_forwarded(gmk_ctx_t *ctx)
{
    env.got += intact(ctx->task) && ctx->task->meta1 == ctx->task->payload_ptr;
    return GMK_OK;
}

GMK_TEST(chan_payload_forwarded_by_retain_and_emit)
{
    uint64_t n = gmk_test_scale(5000, 300);
    mod_t m[2];

    GMK_REQUIRE(payload_boot(m, on_forward, on_forwarded));
    for (uint64_t i = 0; i < n; i++)
        env_send(&env, env.chan, with_payload(env.ctx, T_MSG, 64));
    env_idle(&env);
    gmk_test_assert_eq(env.got, n);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

/* CH-43: a failed emit leaves the one reference with its caller. */
GMK_TEST(chan_payload_stays_the_callers_when_emit_fails)
{
    gmk_task_t t[4];
    void *p;
    mod_t m[2];
    uint32_t full;

    GMK_REQUIRE(payload_boot(m, on_payload, NULL));
    full = (uint32_t)gmk_chan_open(env.ctx, "full", GMK_CHAN_P2P, 2);
    for (uint32_t i = 0; i < 4; i++)
        t[i] = with_payload(env.ctx, T_MSG, 32);
    p = (void *)(uintptr_t)t[3].payload_ptr;
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, full, t, 4), 2);
    gmk_test_assert_eq(gmk_chan_emit(env.ctx, full, &t[3]), GMK_CHAN_FULL);
    gmk_test_assert_eq(gmk_chan_emit_wait(env.ctx, full, &t[3]), GMK_CHAN_FULL);
    gmk_test_assert_eq(gmk_chan_emit(env.ctx, 99, &t[3]), GMK_CHAN_CLOSED);
    t[3].type = T_MSG2;
    gmk_test_assert_eq(gmk_chan_emit(env.ctx, env.chan, &t[3]), GMK_CHAN_TYPE_MISMATCH);
    gmk_test_assert_eq(gmk_sdk_chan_send_task(env.ctx, full, &t[3]), GMK_CHAN_TYPE_MISMATCH);
    gmk_test_assert_eq(refs_of(p), 1);
    gmk_test_assert_eq(t[3].payload_ptr, (uintptr_t)p);
    gmk_test_assert_eq(env_live(&env), 4);
    gmk_payload_release_ptr(env.ctx, p);
    gmk_payload_release_ptr(env.ctx, (void *)(uintptr_t)t[2].payload_ptr);
    gmk_test_assert_eq(env_live(&env), 2);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, 2); /* the two in the channel nobody drains */
}

/* The payload must be there in every run, and go with the last. */
static int on_again(gmk_ctx_t *ctx)
{
    gmk_test_assert(intact(ctx->task));
    if (ctx->task->yield_count < 3) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    if (gmk_retries(ctx) < 3)
        return GMK_RETRY;
    env.got++;
    return GMK_OK;
}

GMK_TEST(chan_payload_stays_with_a_yielded_or_retried_message)
{
    mod_t m[2];

    GMK_REQUIRE(payload_boot(m, on_again, NULL));
    for (uint64_t i = 0; i < 200; i++)
        env_send(&env, env.chan, with_payload(env.ctx, T_MSG, 48));
    do
        env_idle(&env);
    while (env_books(&env).queued != 0);
    gmk_test_assert_eq(env.got, 200);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

static int act_again_direct(gmk_ctx_t *ctx)
{
    if (ctx->task->payload_ptr == 0) {
        gmk_task_t t = with_payload(ctx, T_ACT, 48);

        gmk_test_assert_eq(gmk_emit(ctx, &t), GMK_OK);
        return GMK_OK;
    }
    return on_again(ctx);
}

GMK_TEST(chan_payload_stays_with_a_yielded_or_retried_direct_task)
{
    mod_t m[2];

    GMK_REQUIRE(payload_boot(m, on_payload, NULL));
    env_act(&env, act_again_direct);
    while (env_books(&env).queued != 0)
        env_idle(&env);
    gmk_test_assert_eq(env.got, 1);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

GMK_TEST(chan_payload_of_an_undelivered_message_is_freed_by_halt)
{
    mod_t m[2];
    uint32_t nobody;

    GMK_REQUIRE(payload_boot(m, on_keep, NULL));
    nobody = (uint32_t)gmk_chan_open(env.ctx, "nobody", GMK_CHAN_P2P, 32);
    for (uint32_t i = 0; i < 16; i++)
        env_send(&env, nobody, with_payload(env.ctx, T_MSG, 128));
    gmk_test_assert_eq(env_live(&env), 16);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, 16);
}

/* Failures. -------------------------------------------------------------------------- */

static int on_fail(gmk_ctx_t *ctx)
{
    env.next[0] += intact(ctx->task);
    return GMK_FAIL(42);
}

/* A subscriber of sys.error: the record and its payload must be whole, also when it
 * yields first. */
static int on_error(gmk_ctx_t *ctx)
{
    const gmk_task_t *e = ctx->task;
    const gmk_task_t *rec = (const gmk_task_t *)(uintptr_t)e->payload_ptr;

    gmk_test_assert_eq(e->type, GMK_TYPE_SYS_ERROR);
    gmk_test_assert_eq(e->channel, GMK_CHAN_SYS_ERROR);
    gmk_test_assert_eq(e->payload_len, sizeof(*rec));
    gmk_test_assert_eq((uint32_t)e->meta0, GMK_ERR_HANDLER | 42u << 16);
    gmk_test_assert_eq(e->meta0 >> 32, T_MSG);
    gmk_test_assert_eq((uint32_t)e->meta1, env.chan);
    gmk_test_assert_eq(e->meta1 >> 32, rec->seq);
    gmk_test_assert(rec->type == T_MSG && rec->channel == env.chan && intact(rec));
    if (e->yield_count == 0 && rec->meta1 == 1) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    env.got++;
    return rec->meta1 == 2 ? GMK_FAIL(1) : GMK_OK;
}

static bool error_boot(mod_t *m, gmk_handler_fn fail, gmk_handler_fn error)
{
    gmk_module_t *mods[] = {mod_make(&m[0], "fails"), mod_make(&m[1], "watcher"), &actor};

    mod_handle(&m[0], T_MSG, fail);
    mod_consume(&m[0], "t.msg", T_MSG, 1024);
    if (error != NULL) {
        mod_handle(&m[1], GMK_TYPE_SYS_ERROR, error);
        mod_consume(&m[1], "sys.error", GMK_TYPE_SYS_ERROR, 0);
    }
    reset(0);
    return boot(2, GMK_BOOT_MANUAL_TICKS, mods, 3);
}

GMK_TEST(chan_payload_of_a_failed_message_lives_until_sys_error_is_done)
{
    mod_t m[2];

    GMK_REQUIRE(error_boot(m, on_fail, on_error));
    for (uint64_t i = 0; i < 30; i++) {
        gmk_task_t t = with_payload(env.ctx, T_MSG, 200);

        t.meta1 = i % 3; /* plain; the watcher yields; the watcher fails too */
        env_send(&env, env.chan, t);
    }
    env_idle(&env);
    gmk_test_assert_eq(env.next[0], 30);
    gmk_test_assert_eq(env.got, 30);
    gmk_test_assert_eq(env_live(&env), 0);
    gmk_test_assert_eq(metric(GMK_METRIC_ENVELOPES_LOST), 10); /* a failing report ends there */
    env_end(&env);
    gmk_test_assert_eq(env.report.failed, 40);
    gmk_test_assert_eq(env.report.completed, 20);
}

GMK_TEST(chan_payload_of_a_failed_message_without_watcher_is_freed_at_once)
{
    mod_t m[2];

    GMK_REQUIRE(error_boot(m, on_fail, NULL));
    for (uint64_t i = 0; i < 30; i++)
        env_send(&env, env.chan, with_payload(env.ctx, T_MSG, 200));
    env_idle(&env);
    gmk_test_assert_eq(env.next[0], 30);
    gmk_test_assert_eq(env_live(&env), 0);
    gmk_test_assert_eq(metric(GMK_METRIC_ENVELOPES_LOST), 30);
    env_end(&env);
    gmk_test_assert_eq(env.report.failed, 30);
}

/* A watcher that keeps every envelope. Poisoned messages are reported as well. */
#define ALL_ENVELOPES (2 * GMK_ENVELOPES + 64u) /* as chan/report.c makes them */
static void *kept[ALL_ENVELOPES];

static int on_error_keep(gmk_ctx_t *ctx)
{
    const gmk_task_t *rec = (const gmk_task_t *)(uintptr_t)ctx->task->payload_ptr;

    gmk_test_assert(intact(rec));
    if (gmk_test_assert_lt(env.got, ALL_ENVELOPES)) {
        gmk_payload_retain(ctx);
        kept[env.got++] = (void *)(uintptr_t)ctx->task->payload_ptr;
    }
    return GMK_OK;
}

static int act_give_back(gmk_ctx_t *ctx)
{
    for (uint32_t i = 0; i < ALL_ENVELOPES; i++) {
        gmk_test_assert(intact(kept[i]));
        gmk_payload_release_ptr(ctx, kept[i]);
    }
    return GMK_OK;
}

GMK_TEST(chan_more_failures_than_envelopes_are_counted_and_freed)
{
    mod_t m[2];
    uint64_t n = ALL_ENVELOPES + 100;

    GMK_REQUIRE(error_boot(m, on_fail, on_error_keep));
    for (uint32_t round = 0; round < 2; round++) { /* envelopes come back into use */
        env.got = 0;
        for (uint64_t i = 0; i < n; i++) {
            env_send(&env, env.chan, with_payload(env.ctx, T_MSG, 20));
            if (i % (GMK_ENVELOPES / 2) == 0) /* sys.error itself must not overflow */
                env_idle(&env);
        }
        env_idle(&env);
        gmk_test_assert_eq(env.got, ALL_ENVELOPES);
        gmk_test_assert_eq(metric(GMK_METRIC_ENVELOPES_LOST), 100 * (round + 1));
        gmk_test_assert_eq(env_live(&env), ALL_ENVELOPES);
        env_act(&env, act_give_back);
        gmk_test_assert_eq(env_live(&env), 0);
        gmk_test_assert_eq(gmk_mod_reset(&env.kernel, T_MSG), GMK_OK);
    }
    env_end(&env);
    gmk_test_assert_eq(env.report.failed, 2 * n);
}

/* What halt dead-letters reaches sys.dropped after the last handler has run: the
 * envelopes are themselves dead letters, and their payloads freed. */
static int on_dropped(gmk_ctx_t *ctx)
{
    (void)ctx;
    env.got++;
    return GMK_OK;
}

GMK_TEST(chan_sys_dropped_sees_nothing_of_what_halt_gives_up)
{
    gmk_module_t *mods[2];
    mod_t m[2];
    uint32_t nobody;

    reset(0);
    mods[0] = mod_make(&m[0], "watcher");
    mod_handle(&m[0], GMK_TYPE_SYS_DROPPED, on_dropped);
    mod_consume(&m[0], "sys.dropped", GMK_TYPE_SYS_DROPPED, 0);
    mods[1] = &actor;
    GMK_REQUIRE(boot(2, 0, mods, 2));
    nobody = (uint32_t)gmk_chan_open(env.ctx, "nobody", GMK_CHAN_P2P, 512);
    for (uint32_t i = 0; i < 300; i++)
        env_send(&env, nobody, with_payload(env.ctx, T_MSG, 30));
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.got, 0);
    /* Each and its envelope, which drop-slow or the end of the channel kills. */
    gmk_test_assert_eq(env.report.accepted, 2 * 300);
    gmk_test_assert_eq(env.report.dead, 2 * 300);
}
