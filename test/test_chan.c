/* SPDX-License-Identifier: MIT
 * Channels: order, seriality, room, early messages, the registry and its codes.
 * Floor: tests. Source: SPEC CH-1 to CH-30, V-24, V-45; ARCHITECTURE R4, R11. */
#include "chan_env.h"

static env_t env;

static int find_chans(gmk_ctx_t *ctx)
{
    int id = gmk_chan_find(ctx, "t.msg");
    int id2 = gmk_chan_find(ctx, "t.msg2");

    env.chan = id > 0 ? (uint32_t)id : 0;
    env.chan2 = id2 > 0 ? (uint32_t)id2 : 0;
    return GMK_OK;
}

/* A source that feeds, a sink that consumes one channel, one that consumes two, and an
 * actor without declarations. */
static gmk_handler_reg_t source_handlers[] = {
    {.type = T_FEED, .fn = on_feed, .name = "feed", .max_yields = UINT32_MAX - 1}};
static gmk_chan_decl_t source_decls[] = {
    {.name = "t.msg", .direction = GMK_CHAN_PRODUCE, .msg_type = T_MSG}};
static gmk_module_t source = {.name = "source",
                              .handlers = source_handlers,
                              .n_handlers = 1,
                              .channels = source_decls,
                              .n_channels = 1,
                              .init = find_chans,
                              .user = &env};
static gmk_handler_reg_t sink_handlers[] = {{.type = T_MSG, .fn = on_msg, .name = "msg"},
                                            {.type = T_MSG2, .fn = on_msg, .name = "msg2"},
                                            {.type = T_ACT_SINK, .fn = on_act, .name = "act"}};
static gmk_chan_decl_t sink_decls[] = {
    {.name = "t.msg", .direction = GMK_CHAN_CONSUME, .msg_type = T_MSG, .slots = 256},
    {.name = "t.msg2", .direction = GMK_CHAN_CONSUME, .msg_type = T_MSG2, .slots = 64}};
static gmk_module_t sink = {.name = "sink",
                            .handlers = sink_handlers,
                            .n_handlers = 3,
                            .channels = sink_decls,
                            .n_channels = 1,
                            .user = &env};
static gmk_module_t sink2 = {.name = "sink2",
                             .handlers = sink_handlers,
                             .n_handlers = 3,
                             .channels = sink_decls,
                             .n_channels = 2,
                             .user = &env};
static gmk_module_t sink_later = {
    .name = "sink", .handlers = sink_handlers, .n_handlers = 3, .user = &env};
static gmk_handler_reg_t actor_handlers[] = {{.type = T_ACT, .fn = on_act, .name = "act"}};
static gmk_module_t actor = {
    .name = "actor", .handlers = actor_handlers, .n_handlers = 1, .user = &env};

static gmk_module_t *pair[] = {&sink, &source};
static gmk_module_t *pair2[] = {&sink2, &source};
static gmk_module_t *later[] = {&actor, &sink_later};

static void reset(uint64_t per_from)
{
    gmk_hal_memset(&env, 0, sizeof(env));
    env.per_from = per_from;
}

static int open_slots(const char *name, uint32_t slots)
{
    return gmk_chan_open(env.ctx, name, GMK_CHAN_P2P, slots);
}

/* Order. ------------------------------------------------------------------------- */

static void one_million(uint32_t n_workers)
{
    reset(env_scale(1000000, 5000));
    GMK_REQUIRE(env_boot(&env, n_workers, 0, pair, 2));
    env_feed(&env, 0);
    env_idle(&env);
    env_check_order(&env, 0, 1);
    gmk_test_assert_eq(env.last_seq[env.chan % 4], env.per_from);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, env.per_from + 1);
}

/* ACC-6a, CH-9: 1M messages of one producer, all of them, in order, no position left out. */
GMK_TEST(chan_p2p_order_one_million) { one_million(2); }
GMK_TEST(chan_p2p_order_one_million_one_worker) { one_million(1); }
GMK_TEST(chan_p2p_order_one_million_eight_workers) { one_million(8); }

GMK_TEST(chan_order_per_producer_four_handlers)
{
    reset(env_scale(100000, 1000));
    GMK_REQUIRE(env_boot(&env, 4, 0, pair, 2));
    for (uint32_t i = 0; i < 4; i++)
        env_feed(&env, i);
    env_idle(&env);
    env_check_order(&env, 0, 4);
    env_end(&env);
}

GMK_TEST(chan_order_per_producer_four_host_threads)
{
    env_host_t hosts[4];

    reset(env_scale(100000, 1000));
    GMK_REQUIRE(env_boot(&env, 2, 0, pair, 2));
    for (uint32_t i = 0; i < 4; i++)
        env_host_start(&hosts[i], &env, i);
    env_hosts_join(hosts, 4);
    env_idle(&env);
    env_check_order(&env, 0, 4);
    env_end(&env);
}

static void mixed(uint32_t n_workers)
{
    env_host_t hosts[4];

    reset(env_scale(30000, 500));
    GMK_REQUIRE(env_boot(&env, n_workers, 0, pair, 2));
    for (uint32_t i = 0; i < 4; i++)
        env_host_start(&hosts[i], &env, i);
    for (uint32_t i = 4; i < 8; i++)
        env_feed(&env, i);
    env_hosts_join(hosts, 4);
    env_idle(&env);
    env_check_order(&env, 0, 8);
    env_end(&env);
}

/* CH-1: four threads and four handlers emit at once on one named, typed channel. */
GMK_TEST(chan_order_per_producer_hosts_and_handlers)
{
    mixed(1);
    mixed(2);
    mixed(8);
}

GMK_TEST(chan_two_channels_share_one_serial_group)
{
    env_host_t hosts[4];

    reset(env_scale(50000, 500));
    GMK_REQUIRE(env_boot(&env, 4, 0, pair2, 2));
    gmk_test_assert_ne(env.chan2, 0);
    for (uint32_t i = 0; i < 4; i++)
        env_host_start(&hosts[i], &env, i);
    for (uint32_t i = 4; i < 8; i++)
        env_feed(&env, i);
    env_hosts_join(hosts, 4);
    env_idle(&env);
    env_check_order(&env, 0, 8);
    gmk_test_assert_eq(env.last_seq[env.chan % 4], 4 * env.per_from);
    gmk_test_assert_eq(env.last_seq[env.chan2 % 4], 4 * env.per_from);
    env_end(&env);
}

/* One message a turn: its handler sends the next one from a direct task elsewhere. */
static int on_hop(gmk_ctx_t *ctx)
{
    env_t *e = ctx->user;
    gmk_task_t t = env_msg(T_MSG, ctx->task->meta0, 0);

    if (ctx->task->meta0 < e->per_from)
        gmk_test_assert_eq(gmk_chan_emit(ctx, e->chan, &t), GMK_OK);
    return GMK_OK;
}

static int on_msg_then_hop(gmk_ctx_t *ctx)
{
    env_t *e = ctx->user;
    uint32_t n = gmk_worker_count(ctx->kernel);
    gmk_task_t t = env_msg(T_ACT, e->got + 1, 0);

    on_msg(ctx); /* got, next, last_seq: what the turn before wrote on another worker */
    gmk_test_assert_eq(gmk_emit_to(ctx, &t, (uint32_t)(e->got % n)), GMK_OK);
    return GMK_OK;
}

GMK_TEST(chan_turn_effects_visible_to_next_turn)
{
    gmk_handler_reg_t hop = {.type = T_ACT, .fn = on_hop, .name = "hop"};
    gmk_handler_reg_t msg = {.type = T_MSG, .fn = on_msg_then_hop, .name = "msg"};
    gmk_module_t hopper = {.name = "hopper", .handlers = &hop, .n_handlers = 1, .user = &env};
    gmk_module_t teller = sink;
    gmk_module_t *mods[] = {&teller, &hopper, &source};
    gmk_task_t t = env_msg(T_ACT, 0, 0);

    teller.handlers = &msg;
    teller.n_handlers = 1;
    reset(env_scale(30000, 1000));
    GMK_REQUIRE(env_boot(&env, 4, 0, mods, 3));
    gmk_test_assert_eq(gmk_submit_to(&env.kernel, &t, 3), GMK_OK);
    env_idle(&env);
    env_check_order(&env, 0, 1);
    /* A turn may go on with a message that came while it looked for the end. */
    gmk_test_assert_gt(gmk_metric_get(&env.kernel, GMK_METRIC_GROUP_TURNS), 1);
    env_end(&env);
}

/* A message that its handler sends on for ever keeps its channel full of work. */
static int on_ring(gmk_ctx_t *ctx)
{
    env_t *e = ctx->user;
    gmk_task_t t = *ctx->task;

    if (e->got == 0)
        gmk_test_assert_eq(gmk_chan_emit(ctx, ctx->task->channel, &t), GMK_OK);
    return GMK_OK;
}

static int on_end_of_ring(gmk_ctx_t *ctx)
{
    ((env_t *)ctx->user)->got = ctx->task->meta0;
    return GMK_OK;
}

static void busy_channel(const char *busy, uint32_t busy_type, const char *quiet)
{
    gmk_handler_reg_t handlers[] = {
        {.type = T_MSG, .fn = busy_type == T_MSG ? on_ring : on_end_of_ring, .name = "a"},
        {.type = T_MSG2, .fn = busy_type == T_MSG ? on_end_of_ring : on_ring, .name = "b"}};
    gmk_module_t both = sink2;
    gmk_module_t *mods[] = {&both};
    gmk_task_t t = env_msg(busy_type, 0, 0);
    gmk_task_t last = env_msg(busy_type == T_MSG ? T_MSG2 : T_MSG, 77, 0);

    both.handlers = handlers;
    both.n_handlers = 2;
    reset(0);
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 1));
    for (uint32_t i = 0; i < 50; i++)
        env_send(&env, (uint32_t)gmk_chan_find(env.ctx, busy), t);
    env_send(&env, (uint32_t)gmk_chan_find(env.ctx, quiet), last);
    env_idle(&env);
    gmk_test_assert_eq(env.got, 77);
    env_end(&env);
}

GMK_TEST(chan_busy_channel_starves_no_other_of_its_module)
{
    busy_channel("t.msg", T_MSG, "t.msg2");
    busy_channel("t.msg2", T_MSG2, "t.msg");
}

/* Two workers with work that never ends, once a message has been sent: it ends with the
 * message, or after so many tasks that no pause of a worker's thread hides a starved one. */
#define LONG_ENOUGH gmk_test_scale(8000000, 2000000)
#define N_URGENT 200u

static int on_endless(gmk_ctx_t *ctx)
{
    env_t *e = ctx->user;
    gmk_task_t again = *ctx->task;

    /* relaxed: it ends soon after */
    if (gmk_load_rlx(&e->n_full, GMK_DEV) == 0 && again.meta0-- > 0)
        gmk_test_assert_eq(gmk_emit(ctx, &again), GMK_OK);
    return GMK_OK;
}

static int on_end_of_endless(gmk_ctx_t *ctx)
{
    env_t *e = ctx->user;

    gmk_add_rlx(&e->n_full, 1, GMK_DEV); /* relaxed: tells the others to end */
    e->got = ctx->task->meta0;
    return GMK_OK;
}

/* The activation goes where the idle worker may steal it, but that one takes the urgent
 * tasks, which never end; and neither does the one left here. */
static int act_send_then_never_end(gmk_ctx_t *ctx)
{
    gmk_task_t msg = env_msg(T_MSG, 1, 0);
    gmk_task_t urgent = env_msg(T_FEED, LONG_ENOUGH / N_URGENT, 0);
    gmk_task_t here = urgent;

    urgent.flags = GMK_PRIO_HIGH;
    gmk_test_assert_eq(gmk_chan_emit(ctx, env.chan, &msg), GMK_OK);
    for (uint32_t i = 0; i < N_URGENT; i++)
        gmk_test_assert_eq(gmk_emit(ctx, &urgent), GMK_OK);
    gmk_test_assert_eq(gmk_emit(ctx, &here), GMK_OK);
    return GMK_OK;
}

GMK_TEST(chan_activation_is_not_starved_by_work_that_never_ends)
{
    gmk_handler_reg_t msg = {.type = T_MSG, .fn = on_end_of_endless, .name = "msg"};
    gmk_handler_reg_t endless = {.type = T_FEED, .fn = on_endless, .name = "endless"};
    gmk_module_t m = sink;
    gmk_module_t s = source;
    gmk_module_t *mods[] = {&m, &s, &actor};
    uint64_t spawned;

    m.handlers = &msg;
    m.n_handlers = 1;
    s.handlers = &endless;
    reset(0);
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 3));
    env_idle(&env);
    env_act(&env, act_send_then_never_end);
    gmk_test_assert_eq(env.got, 1);
    spawned = env_books(&env).accepted;
    gmk_test_assert_lt(spawned, LONG_ENOUGH / 2);
    env_end(&env);
}

/* Room. -------------------------------------------------------------------------- */

static int act_sub(gmk_ctx_t *ctx)
{
    env_t *e = ctx->user;

    gmk_test_assert_eq(gmk_chan_sub(ctx, e->chan), GMK_OK);
    return GMK_OK;
}

GMK_TEST(chan_full_refuses_then_accepts_after_drain)
{
    gmk_task_t t = env_msg(T_MSG, 0, 0);
    gmk_chan_info_t info;

    reset(10);
    GMK_REQUIRE(env_boot(&env, 2, 0, later, 2));
    env.chan = (uint32_t)open_slots("t.msg", 4);
    for (uint32_t i = 0; i < 4; i++, t.meta0++)
        gmk_test_assert_eq(gmk_chan_emit(env.ctx, env.chan, &t), GMK_OK);
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(gmk_chan_emit(env.ctx, env.chan, &t), GMK_CHAN_FULL);
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, &t, 1), 0);
    gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, env.chan, &info), GMK_OK);
    gmk_test_assert_eq(info.depth, 4);
    gmk_test_assert_eq(info.emits, 4);
    gmk_test_assert_eq(info.fulls, 4);
    gmk_test_assert_eq(gmk_metric_get(&env.kernel, GMK_METRIC_CHAN_FULL_COUNT), 4);
    gmk_test_assert_eq(env_books(&env).queued, 4);
    env_act_as(&env, T_ACT_SINK, act_sub);
    gmk_test_assert_eq(env.got, 4);
    for (; t.meta0 < 10; t.meta0++)
        env_send(&env, env.chan, t);
    env_idle(&env);
    env_check_order(&env, 0, 1);
    env_end(&env);
}

GMK_TEST(chan_emit_batch_takes_what_fits)
{
    gmk_task_t t[12];

    reset(8);
    GMK_REQUIRE(env_boot(&env, 1, 0, later, 2));
    env.chan = (uint32_t)open_slots("t.msg", 8);
    for (uint32_t i = 0; i < 12; i++)
        t[i] = env_msg(T_MSG, i, 0);
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, t, 0), 0);
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, t, 3), 3);
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, t + 3, 9), 5);
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, t + 8, 4), 0);
    env_act_as(&env, T_ACT_SINK, act_sub);
    env_check_order(&env, 0, 1);
    env_end(&env);
}

GMK_TEST(chan_emit_batch_stops_at_the_first_bad_task)
{
    gmk_task_t t[4];

    reset(2);
    GMK_REQUIRE(env_boot(&env, 1, 0, later, 2));
    env.chan = (uint32_t)open_slots("t.msg", 8);
    for (uint32_t i = 0; i < 4; i++)
        t[i] = env_msg(i == 2 ? T_MSG2 : T_MSG, i, 0);
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, t, 4), 2);
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, t + 2, 2), GMK_CHAN_TYPE_MISMATCH);
    t[3].tenant = 1;
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, t + 3, 1), GMK_E_TENANT);
    env_act_as(&env, T_ACT_SINK, act_sub);
    env_check_order(&env, 0, 1);
    env_end(&env);
}

/* CH-22: what may use the reserve and what may not goes in by pushes of its own. */
GMK_TEST(chan_emit_batch_ends_where_priorities_meet)
{
    gmk_task_t t[6];

    reset(6);
    GMK_REQUIRE(env_boot(&env, 1, 0, later, 2));
    env.chan = (uint32_t)open_slots("t.msg", 8);
    for (uint32_t i = 0; i < 6; i++) {
        t[i] = env_msg(T_MSG, i, 0);
        t[i].flags = i == 2 || i == 3 ? GMK_PRIO_CRITICAL : GMK_PRIO_LOW;
    }
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, t, 6), 2);
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, t + 2, 4), 2);
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, t + 4, 2), 2);
    env_act_as(&env, T_ACT_SINK, act_sub);
    env_check_order(&env, 0, 1);
    env_end(&env);
}

static void smallest(uint32_t n_workers)
{
    gmk_chan_decl_t decls[] = {sink_decls[0]};
    gmk_module_t narrow = sink;
    gmk_module_t *mods[] = {&narrow, &source};

    decls[0].slots = 2;
    narrow.channels = decls;
    reset(env_scale(50000, 1000));
    GMK_REQUIRE(env_boot(&env, n_workers, 0, mods, 2));
    env_feed(&env, 0);
    env_feed(&env, 1);
    env_idle(&env);
    env_check_order(&env, 0, 2);
    gmk_test_assert_gt(env.n_full, 0);
    env_end(&env);
}

GMK_TEST(chan_smallest_ring_of_two_slots)
{
    smallest(1);
    smallest(4);
}

/* CH-8: 1024 slots unless told otherwise, other sizes rounded up. */
GMK_TEST(chan_slots_are_rounded_up_to_powers_of_two)
{
    static const struct {
        const char *name;
        uint32_t slots, want;
    } cases[] = {{"s.0", 0, GMK_CHAN_DEFAULT_SLOTS},
                 {"s.1", 1, 2},
                 {"s.2", 2, 2},
                 {"s.3", 3, 4},
                 {"s.5", 5, 8},
                 {"s.64", 64, 64},
                 {"s.1000", 1000, 1024},
                 {"s.4097", 4097, 8192}};
    gmk_chan_info_t info;

    reset(0);
    GMK_REQUIRE(env_boot(&env, 1, 0, later, 2));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        int id = open_slots(cases[i].name, cases[i].slots);
        gmk_task_t t = env_msg(T_MSG, 0, 0);
        uint32_t n = 0;

        gmk_test_assert_gt(id, 0);
        gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, (uint32_t)id, &info), GMK_OK);
        gmk_test_assert_eq(info.slots, cases[i].want);
        while (gmk_chan_emit(env.ctx, (uint32_t)id, &t) == GMK_OK)
            n++;
        gmk_test_assert_eq(n, cases[i].want - cases[i].want * GMK_CHAN_PRIORITY_RESERVE / 100);
        t.flags = GMK_PRIO_CRITICAL; /* CH-22: the rest is for it */
        while (gmk_chan_emit(env.ctx, (uint32_t)id, &t) == GMK_OK)
            n++;
        gmk_test_assert_eq(n, cases[i].want);
    }
    gmk_test_assert_eq(open_slots("s.big", (1u << 24) + 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_find(env.ctx, "s.big"), GMK_E_NOT_FOUND);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_gt(env.report.dead, 0);
}

/* Messages before the subscriber. --------------------------------------------------- */

static int init_open_and_emit(gmk_ctx_t *ctx)
{
    env_t *e = ctx->user;
    int id = gmk_chan_open(ctx, "t.msg", GMK_CHAN_P2P, 32);

    gmk_test_assert_gt(id, 0);
    e->chan = (uint32_t)id;
    for (uint64_t i = 0; i < e->per_from; i++) {
        gmk_task_t t = env_msg(T_MSG, i, 0);

        gmk_test_assert_eq(gmk_chan_emit(ctx, e->chan, &t), GMK_OK);
    }
    return GMK_OK;
}

GMK_TEST(chan_messages_before_subscriber_from_init_to_init)
{
    gmk_module_t first = actor;
    gmk_module_t second = sink_later;
    gmk_module_t *mods[] = {&first, &second};

    first.init = init_open_and_emit;
    second.init = act_sub;
    reset(16);
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 2));
    env_idle(&env);
    env_check_order(&env, 0, 1);
    env_end(&env);
}

GMK_TEST(chan_messages_before_subscriber_from_init_to_handler)
{
    gmk_module_t first = actor;
    gmk_module_t *mods[] = {&first, &sink_later};

    first.init = init_open_and_emit;
    reset(16);
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 2));
    env_idle(&env);
    gmk_test_assert_eq(env.got, 0);
    gmk_test_assert_eq(env_books(&env).queued, 16);
    env_act_as(&env, T_ACT_SINK, act_sub);
    env_check_order(&env, 0, 1);
    env_end(&env);
}

static int act_open_small(gmk_ctx_t *ctx)
{
    int id = gmk_sdk_chan_open(ctx, "t.msg", GMK_CHAN_P2P, T_MSG);

    gmk_test_assert_gt(id, 0);
    env.chan = (uint32_t)id;
    return GMK_OK;
}

/* Producers on threads and workers race with the subscription, many times. */
GMK_TEST(chan_subscription_races_with_emitters)
{
    gmk_module_t *mods[] = {&source, &actor, &sink_later};
    gmk_module_t *undeclared = mods[0];
    uint64_t rounds = env_scale(60, 20);
    gmk_module_t bare = source;

    undeclared = &bare;
    bare.channels = NULL;
    bare.n_channels = 0;
    mods[0] = undeclared;
    for (uint64_t i = 0; i < rounds; i++) {
        env_host_t host;

        reset(200);
        GMK_REQUIRE(env_boot(&env, 2, 0, mods, 3));
        env_act(&env, act_open_small);
        env_host_start(&host, &env, 0);
        env_feed(&env, 2);
        for (uint64_t spin = 0; spin < i; spin++)
            gmk_hal_relax();
        env_act_as(&env, T_ACT_SINK, act_sub);
        env_hosts_join(&host, 1);
        env_idle(&env);
        gmk_test_assert_eq(env.got, 400);
        gmk_test_assert_eq(env.out_of_order + env.seq_gaps + env.overlaps, 0);
        env_end(&env);
    }
}

/* The registry. ---------------------------------------------------------------------- */

GMK_TEST(chan_open_same_properties_same_channel)
{
    int id;

    reset(0);
    GMK_REQUIRE(env_boot(&env, 1, 0, later, 2));
    id = open_slots("a.b", 100);
    gmk_test_assert_gt(id, (int)GMK_CHAN_SYS_ERROR);
    gmk_test_assert_eq(open_slots("a.b", 100), id);
    gmk_test_assert_eq(open_slots("a.b", 128), id);
    gmk_test_assert_eq(open_slots("a.b", 65), id);
    gmk_test_assert_eq(open_slots("a.b", 0), id);
    gmk_test_assert_eq(gmk_chan_open(env.ctx, "a.b", 0, 0), id); /* 0 is P2P */
    gmk_test_assert_eq(gmk_chan_find(env.ctx, "a.b"), id);
    gmk_test_assert_eq(open_slots("a.b", 64), GMK_E_EXISTS);
    gmk_test_assert_eq(open_slots("a.b", 129), GMK_E_EXISTS);
    gmk_test_assert_eq(gmk_chan_open(env.ctx, "a.b", GMK_CHAN_LOSSLESS, 0), GMK_E_EXISTS);
    gmk_test_assert_eq(open_slots("a.c", 0), id + 1);
    gmk_test_assert_eq(open_slots("a", 0), id + 2); /* a beginning of another name */
    gmk_test_assert_eq(gmk_sdk_chan_open(env.ctx, "a.b", GMK_CHAN_P2P, T_MSG), id);
    gmk_test_assert_eq(gmk_sdk_chan_open(env.ctx, "a.b", GMK_CHAN_P2P, T_MSG), id);
    gmk_test_assert_eq(gmk_sdk_chan_open(env.ctx, "a.b", GMK_CHAN_P2P, T_MSG2),
                       GMK_CHAN_TYPE_MISMATCH);
    env_end(&env);
}

#define NAME_63 "n234567890123456789012345678901234567890123456789012345678901.3"
#define NAME_64 NAME_63 "4"

GMK_TEST(chan_open_refuses_bad_names_and_modes)
{
    static const struct {
        const char *what, *name;
        uint32_t mode, slots;
        int want;
    } cases[] = {{"no name", NULL, GMK_CHAN_P2P, 0, GMK_E_INVALID},
                 {"empty name", "", GMK_CHAN_P2P, 0, GMK_E_INVALID},
                 {"64 characters", NAME_64, GMK_CHAN_P2P, 0, GMK_E_INVALID},
                 {"a direction as mode", "x", GMK_CHAN_P2P | GMK_CHAN_PRODUCE, 0, GMK_E_INVALID},
                 {"parallel as mode", "x", GMK_CHAN_PARALLEL, 0, GMK_E_INVALID},
                 {"unknown mode", "x", 0x8000, 0, GMK_E_INVALID},
                 {"too many slots", "x", GMK_CHAN_P2P, UINT32_MAX, GMK_E_INVALID},
                 {"both modes", "x", GMK_CHAN_P2P | GMK_CHAN_FANOUT, 0, GMK_E_INVALID}};
    gmk_chan_info_t info;
    int id;

    reset(0);
    GMK_REQUIRE(env_boot(&env, 1, 0, later, 2));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        int rc = gmk_chan_open(env.ctx, cases[i].name, cases[i].mode, cases[i].slots);

        gmk_test_assert_named(rc == cases[i].want, cases[i].what);
    }
    gmk_test_assert_eq(gmk_chan_open(NULL, "x", GMK_CHAN_P2P, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_find(env.ctx, "x"), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(sizeof(NAME_63), GMK_MAX_CHAN_NAME);
    id = open_slots(NAME_63, 0);
    gmk_test_assert_gt(id, 0);
    gmk_test_assert_eq(gmk_chan_find(env.ctx, NAME_63), id);
    gmk_test_assert_eq(gmk_chan_find(env.ctx, NAME_64), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, (uint32_t)id, &info), GMK_OK);
    gmk_test_assert_str_eq(info.name, NAME_63);
    env_end(&env);
}

/* CH-2: 256 channels, the system's five among them; the 257th is refused. */
GMK_TEST(chan_registry_is_full_at_256)
{
    char name[] = "c.000";
    uint32_t opened = 0;
    int last = 0;
    int rc;

    reset(0);
    GMK_REQUIRE(env_boot(&env, 1, 0, later, 2));
    for (;;) {
        name[2] = (char)('0' + opened / 100);
        name[3] = (char)('0' + opened / 10 % 10);
        name[4] = (char)('0' + opened % 10);
        rc = open_slots(name, 2);
        if (rc < 0)
            break;
        last = rc;
        opened++;
    }
    gmk_test_assert_eq(rc, GMK_E_LIMIT);
    gmk_test_assert_eq(last, GMK_MAX_CHANNELS);
    gmk_test_assert_eq(opened, GMK_MAX_CHANNELS - GMK_N_SYS_CHANNELS);
    /* Those that exist are found. */
    gmk_test_assert_eq(open_slots("c.000", 2), GMK_N_SYS_CHANNELS + 1);
    env.chan = GMK_MAX_CHANNELS;
    env.per_from = 1;
    env_send(&env, env.chan, env_msg(T_MSG, 0, 0));
    env_act_as(&env, T_ACT_SINK, act_sub);
    env_check_order(&env, 0, 1);
    env_end(&env);
}

GMK_TEST(chan_info_says_what_a_channel_is)
{
    gmk_chan_info_t info;

    reset(5);
    GMK_REQUIRE(env_boot(&env, 1, 0, pair, 2));
    for (uint32_t i = 0; i < 5; i++)
        env_send(&env, env.chan, env_msg(T_MSG, i, 0));
    env_idle(&env);
    gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, env.chan, &info), GMK_OK);
    gmk_test_assert_str_eq(info.name, "t.msg");
    gmk_test_assert_str_eq(info.consumer, "sink");
    gmk_test_assert_eq(info.id, env.chan);
    gmk_test_assert_eq(info.mode, GMK_CHAN_P2P);
    gmk_test_assert_eq(info.msg_type, T_MSG);
    gmk_test_assert_eq(info.slots, 256);
    gmk_test_assert_eq(info.depth, 0);
    gmk_test_assert_eq(info.emits, 5);
    gmk_test_assert_eq(info.fulls, 0);
    gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, GMK_CHAN_SYS_DROPPED, &info), GMK_OK);
    gmk_test_assert_str_eq(info.name, "sys.dropped");
    gmk_test_assert(info.consumer == NULL);
    gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, GMK_CHAN_SYS_ERROR, &info), GMK_OK);
    gmk_test_assert_str_eq(info.name, "sys.error");
    gmk_test_assert_eq(gmk_chan_get_info(NULL, env.chan, &info), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, env.chan, NULL), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, 0, &info), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, 99, &info), GMK_E_NOT_FOUND);
    env_end(&env);
}

/* Codes. -------------------------------------------------------------------------- */

/* All three emits refuse alike. */
static void expect_emit(const char *what, uint32_t chan, gmk_task_t *t, int want)
{
    gmk_test_assert_named(gmk_chan_emit(env.ctx, chan, t) == want, what);
    gmk_test_assert_named(gmk_chan_emit_batch(env.ctx, chan, t, 1) == want, what);
    gmk_test_assert_named(gmk_chan_emit_wait(env.ctx, chan, t) == want, what);
    gmk_test_assert_named(gmk_sdk_chan_send_task(env.ctx, chan, t) == want, what);
}

GMK_TEST(chan_emit_refuses_bad_arguments)
{
    gmk_task_t good = env_msg(T_MSG, 0, 0);
    gmk_task_t typeless = env_msg(0, 0, 0);
    gmk_task_t huge = env_msg(256, 0, 0);
    gmk_task_t other = env_msg(T_MSG2, 0, 0);
    gmk_task_t tenant = good;

    tenant.tenant = 1;
    reset(0);
    GMK_REQUIRE(env_boot(&env, 1, 0, pair, 2));
    expect_emit("channel 0", 0, &good, GMK_CHAN_CLOSED);
    expect_emit("unopened channel", env.chan + 1, &good, GMK_CHAN_CLOSED);
    expect_emit("channel 256", 256, &good, GMK_CHAN_CLOSED);
    expect_emit("channel above the limit", 257, &good, GMK_CHAN_CLOSED);
    expect_emit("channel -1", UINT32_MAX, &good, GMK_CHAN_CLOSED);
    expect_emit("sys.dropped", GMK_CHAN_SYS_DROPPED, &good, GMK_CHAN_CLOSED);
    expect_emit("sys.tick", GMK_CHAN_SYS_TICK, &good, GMK_CHAN_CLOSED);
    expect_emit("no task", env.chan, NULL, GMK_E_INVALID);
    expect_emit("type 0", env.chan, &typeless, GMK_E_INVALID);
    expect_emit("type 256", env.chan, &huge, GMK_E_INVALID);
    expect_emit("another type", env.chan, &other, GMK_CHAN_TYPE_MISMATCH);
    expect_emit("another tenant", env.chan, &tenant, GMK_E_TENANT);
    gmk_test_assert_eq(gmk_chan_emit(NULL, env.chan, &good), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_emit_wait(NULL, env.chan, &good), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_emit_batch(env.ctx, env.chan, &good, UINT32_MAX), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_sdk_chan_send(NULL, env.chan, T_MSG, "x", 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_sdk_chan_send(env.ctx, env.chan, T_MSG, NULL, 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_sdk_chan_send(env.ctx, env.chan, T_MSG, &env, UINT32_MAX),
                       GMK_ALLOC_FAIL);
    gmk_test_assert_eq(gmk_sdk_chan_send(env.ctx, 0, T_MSG, "x", 1), GMK_CHAN_CLOSED);
    gmk_test_assert_eq(gmk_sdk_chan_send_inline(NULL, env.chan, T_MSG, 0, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_sdk_chan_send_inline(env.ctx, 0, T_MSG, 0, 0), GMK_CHAN_CLOSED);
    env_idle(&env);
    gmk_test_assert_eq(env_books(&env).accepted, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

static int act_sub_codes(gmk_ctx_t *ctx)
{
    int mine = gmk_sdk_chan_open(ctx, "mine", GMK_CHAN_P2P, T_MSG2);
    int alien = gmk_sdk_chan_open(ctx, "alien", GMK_CHAN_P2P, 99);

    gmk_test_assert_eq(gmk_chan_sub(ctx, 0), GMK_CHAN_CLOSED);
    gmk_test_assert_eq(gmk_chan_sub(ctx, 200), GMK_CHAN_CLOSED);
    gmk_test_assert_eq(gmk_chan_sub(ctx, UINT32_MAX), GMK_CHAN_CLOSED);
    gmk_test_assert_eq(gmk_chan_sub(NULL, (uint32_t)mine), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_sub_worker(NULL, (uint32_t)mine, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_sub_worker(ctx, (uint32_t)mine, 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_sub(ctx, (uint32_t)alien), GMK_CHAN_TYPE_MISMATCH);
    gmk_test_assert_eq(gmk_chan_sub(ctx, GMK_CHAN_SYS_ERROR), GMK_CHAN_TYPE_MISMATCH);
    gmk_test_assert_eq(gmk_chan_sub(ctx, (uint32_t)mine), GMK_OK);
    gmk_test_assert_eq(gmk_chan_sub(ctx, (uint32_t)mine), GMK_CHAN_ALREADY_BOUND);
    gmk_test_assert_eq(gmk_chan_sub_worker(ctx, (uint32_t)mine, 0), GMK_CHAN_ALREADY_BOUND);
    gmk_test_assert_eq(gmk_chan_sub(ctx, env.chan), GMK_CHAN_ALREADY_BOUND);
    return GMK_OK;
}

GMK_TEST(chan_sub_refuses_bad_arguments)
{
    reset(0);
    GMK_REQUIRE(env_boot(&env, 1, 0, pair, 2));
    env_act_as(&env, T_ACT_SINK, act_sub_codes);
    /* An attached thread is no module. */
    gmk_test_assert_eq(gmk_chan_sub(env.ctx, env.chan), GMK_E_INVALID);
    env_end(&env);
}

/* CH-3: names become identifiers; 0 is no channel. */
GMK_TEST(chan_find_and_fix_type_codes)
{
    uint32_t id;

    reset(0);
    GMK_REQUIRE(env_boot(&env, 1, 0, later, 2));
    gmk_test_assert_eq(gmk_chan_find(env.ctx, "sys.dropped"), GMK_CHAN_SYS_DROPPED);
    gmk_test_assert_eq(gmk_chan_find(env.ctx, "sys.error"), GMK_CHAN_SYS_ERROR);
    gmk_test_assert_eq(gmk_chan_find(env.ctx, "nobody"), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(gmk_chan_find(env.ctx, ""), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(gmk_chan_find(env.ctx, NULL), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_find(NULL, "sys.error"), GMK_E_INVALID);
    id = (uint32_t)open_slots("t", 2);
    gmk_test_assert_eq(gmk_chan_fix_type(env.ctx, id, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_fix_type(env.ctx, id, 256), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_fix_type(env.ctx, id, GMK_TYPE_SYS_FIRST), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_fix_type(NULL, id, T_MSG), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_fix_type(env.ctx, 0, T_MSG), GMK_CHAN_CLOSED);
    gmk_test_assert_eq(gmk_chan_fix_type(env.ctx, id + 1, T_MSG), GMK_CHAN_CLOSED);
    gmk_test_assert_eq(gmk_chan_fix_type(env.ctx, GMK_CHAN_SYS_ERROR, T_MSG), GMK_CHAN_CLOSED);
    gmk_test_assert_eq(gmk_chan_fix_type(env.ctx, id, T_MSG), GMK_OK);
    gmk_test_assert_eq(gmk_chan_fix_type(env.ctx, id, T_MSG), GMK_OK);
    gmk_test_assert_eq(gmk_chan_fix_type(env.ctx, id, T_MSG2), GMK_CHAN_TYPE_MISMATCH);
    env_end(&env);
}

GMK_TEST(chan_first_emit_fixes_the_type)
{
    gmk_task_t t = env_msg(T_MSG, 0, 0);
    gmk_task_t t2 = env_msg(T_MSG2, 0, 0);
    gmk_chan_info_t info;

    reset(1);
    GMK_REQUIRE(env_boot(&env, 1, 0, later, 2));
    env.chan = (uint32_t)open_slots("t.msg", 4);
    gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, env.chan, &info), GMK_OK);
    gmk_test_assert_eq(info.msg_type, GMK_TYPE_ANY);
    gmk_test_assert_eq(gmk_chan_emit(env.ctx, env.chan, &t), GMK_OK);
    gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, env.chan, &info), GMK_OK);
    gmk_test_assert_eq(info.msg_type, T_MSG);
    gmk_test_assert_eq(gmk_chan_emit(env.ctx, env.chan, &t2), GMK_CHAN_TYPE_MISMATCH);
    env_act_as(&env, T_ACT_SINK, act_sub);
    env_check_order(&env, 0, 1);
    env_end(&env);
}

static int act_emit_all_flags(gmk_ctx_t *ctx)
{
    gmk_task_t t = env_msg(T_MSG, 0, 0);

    t.flags = (uint16_t)(0xffff & ~GMK_TF_PAYLOAD_RC);
    t.channel = 9;
    t.yield_count = 7;
    gmk_test_assert_eq(gmk_chan_emit(ctx, env.chan, &t), GMK_OK);
    return GMK_OK;
}

static int on_flags(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(ctx->task->flags, GMK_PRIO_LOW | GMK_TF_DETERMINISTIC | GMK_TF_IDEMPOTENT |
                                             GMK_TF_EMIT_TRACE | GMK_TF_CHANNEL_MSG);
    gmk_test_assert_eq(ctx->task->channel, env.chan);
    gmk_test_assert_eq(ctx->task->yield_count, 0);
    gmk_test_assert_eq(gmk_retries(ctx), 0);
    gmk_test_assert_eq(gmk_chan_seq(ctx), ++env.got);
    return GMK_OK;
}

/* CH-29: a message is an ordinary call with its channel set and GMK_TF_CHANNEL_MSG on. */
GMK_TEST(chan_message_carries_only_the_users_flags)
{
    gmk_handler_reg_t h[] = {{.type = T_MSG, .fn = on_flags, .name = "flags"}};
    gmk_module_t m = sink;
    gmk_module_t *mods[] = {&m, &source, &actor};

    m.handlers = h;
    m.n_handlers = 1;
    reset(0);
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 3));
    for (uint32_t i = 0; i < 3; i++)
        env_act(&env, act_emit_all_flags);
    gmk_test_assert_eq(env.got, 3);
    env_end(&env);
}

/* An attached thread emits until the halt refuses it; a handler holds the halt till then. */
static gmk_a32_t refused;

static void *emit_until_halting(void *arg)
{
    env_t *e = arg;
    gmk_host_t storage;
    gmk_ctx_t *ctx = gmk_host_attach(&e->kernel, &storage);
    gmk_task_t t = env_msg(T_MSG, 0, 0);
    int rc = GMK_OK;

    gmk_add_rlx(&e->n_full, 1, GMK_DEV); /* relaxed: says that it is attached */
    while (ctx != NULL && (rc == GMK_OK || rc == GMK_CHAN_FULL)) {
        rc = gmk_chan_emit(ctx, e->chan, &t);
        t.meta0 += rc == GMK_OK;
        gmk_hal_relax();
    }
    gmk_test_assert_eq(rc, GMK_E_HALTING);
    e->per_from = t.meta0;
    gmk_store_rel(&refused, 1, GMK_DEV); /* sync: test.go */
    return NULL;
}

static int on_msg_held(gmk_ctx_t *ctx)
{
    while (gmk_load_acq(&refused, GMK_DEV) == 0) /* sync: test.go */
        gmk_hal_relax();
    return on_msg(ctx);
}

GMK_TEST(chan_emit_during_halt_is_refused_and_nothing_lost)
{
    gmk_handler_reg_t h[] = {{.type = T_MSG, .fn = on_msg_held, .name = "held"}};
    gmk_module_t m = sink;
    gmk_module_t *mods[] = {&m, &source};
    gmk_hal_thread_t thread;

    m.handlers = h;
    m.n_handlers = 1;
    reset(0);
    refused = 0;
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 2));
    gmk_test_assert_eq(gmk_hal_cpu_start(&thread, GMK_HAL_ANY_CPU, emit_until_halting, &env), 0);
    while (gmk_add_rlx(&env.n_full, 0, GMK_DEV) == 0) /* relaxed: a hint */
        gmk_hal_relax();
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(gmk_hal_thread_join(&thread), 0);
    gmk_test_assert_eq(env.report.dead, 0);
    env_check_order(&env, 0, 1);
}
