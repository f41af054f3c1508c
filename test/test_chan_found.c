/* SPDX-License-Identifier: MIT
 * What the channel storm has found in the engine, each by name and without the storm.
 * Floor: tests. Source: SPEC CH-20, CH-24, CH-30, CH-31, CH-42, CH-46; ARCHITECTURE
 * R4, R5, R8, R15, R16. */
#include "chan_env.h"

enum { T_DET = 50, T_RUN, T_PAR };

static env_t env;
static int (*script)(gmk_ctx_t *ctx);
static uint32_t n_retries, to_retry;
static bool again;

static int on_run(gmk_ctx_t *ctx) { return script(ctx); }

/* The first to_retry runs of a message are retried; number 7 asks for all once more, and then
 * nothing is retried that comes anew. */
static int on_found(gmk_ctx_t *ctx)
{
    if (ctx->task->meta0 == 7 && !again) {
        again = true;
        gmk_test_assert_eq(gmk_chan_replay(ctx, env.chan, 1), GMK_OK);
    }
    if (gmk_retries(ctx) < to_retry && !again) {
        n_retries++;
        return GMK_RETRY;
    }
    return GMK_OK;
}

static int on_det(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {
    {.type = T_MSG, .fn = on_found, .name = "msg"},
    {.type = T_DET, .fn = on_det, .name = "det", .flags = GMK_HF_DETERMINISTIC},
    {.type = T_RUN, .fn = on_run, .name = "run"},
    {.type = T_PAR, .fn = on_found, .name = "par"}};
static gmk_chan_decl_t decls[] = {{.name = "t.par",
                                   .direction = GMK_CHAN_CONSUME | GMK_CHAN_PARALLEL,
                                   .msg_type = T_PAR,
                                   .mode = GMK_CHAN_FANOUT,
                                   .slots = 4}};
static gmk_module_t module = {
    .name = "found", .handlers = handlers, .n_handlers = 4, .channels = decls, .n_channels = 1};

/* One worker with ticks by hand, a channel "t.c". */
static bool boot(uint32_t mode, uint32_t replay, uint32_t type)
{
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)1 << 20,
                          .n_workers = 1,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS,
                          .trace_slots = 16};
    gmk_chan_opts_t o = {.mode = mode, .slots = 8, .replay_slots = replay, .msg_type = type};
    gmk_module_t *mods[] = {&module};
    int id;

    gmk_hal_memset(&env, 0, sizeof(env));
    n_retries = 0;
    to_retry = 0;
    again = false;
    if (!gmk_test_assert_eq(gmk_boot(&env.kernel, &cfg, mods, 1), GMK_OK))
        return false;
    env.ctx = gmk_host_attach(&env.kernel, &env.host);
    if (!gmk_test_assert(env.ctx != NULL))
        return false;
    id = gmk_chan_open_with(env.ctx, "t.c", &o);
    env.chan = id > 0 ? (uint32_t)id : 0;
    return gmk_test_assert_gt(id, 0);
}

static void run(int (*fn)(gmk_ctx_t *ctx))
{
    gmk_task_t t = {.type = T_RUN, .flags = GMK_PRIO_NORMAL};

    script = fn;
    gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK);
    env_idle(&env);
}

static void tick(void)
{
    gmk_tick_advance(&env.kernel);
    env_idle(&env);
}

static int act_sub(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_sub(ctx, env.chan), GMK_OK);
    return GMK_OK;
}

static int act_unsub(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_unsub(ctx, env.chan), GMK_OK);
    return GMK_OK;
}

static void send_payload(uint32_t chan)
{
    gmk_task_t t = env_msg(T_MSG, 1, 0);
    void *p = gmk_payload_alloc(env.ctx, 40);

    GMK_REQUIRE(p != NULL);
    gmk_task_set_payload(&t, p);
    gmk_test_assert_eq(gmk_chan_emit(env.ctx, chan, &t), GMK_OK);
}

static void end(void) { env_end_within(&env, ENV_PATIENCE_NS); }

/* Sinks. -------------------------------------------------------------------------------- */

static uint32_t calls, room;

static uint32_t take(void *arg, const gmk_cell_t *cells, uint32_t n)
{
    (void)arg;
    (void)cells;
    n = n < room ? n : room;
    calls++;
    room -= n;
    return n;
}

/* CH-38: "is ready" said before a refusal says nothing of the room after it. */
GMK_TEST(chan_found_sink_told_before_its_refusal_is_not_called)
{
    const gmk_chan_sink_t sink = {.take = take};

    GMK_REQUIRE(boot(GMK_CHAN_P2P, 0, T_MSG));
    calls = 0;
    room = 1;
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &sink), GMK_OK);
    env_send(&env, env.chan, env_msg(T_MSG, 0, 0));
    env_idle(&env);
    gmk_test_assert_eq(calls, 1);
    gmk_test_assert_eq(gmk_chan_sink_ready(env.ctx, env.chan, &sink), GMK_OK);
    env_idle(&env);
    env_send(&env, env.chan, env_msg(T_MSG, 1, 0));
    env_idle(&env);
    gmk_test_assert_eq(calls, 2); /* it had no room */
    room = 8;
    gmk_test_assert_eq(gmk_chan_sink_ready(env.ctx, env.chan, &sink), GMK_OK);
    env_idle(&env);
    gmk_test_assert_eq(calls, 3);
    end();
}

/* Deterministic channels. ------------------------------------------------------------------ */

/* CH-30: what a closed channel holds for a subscriber to come is told of, not kept. */
GMK_TEST(chan_found_closed_deterministic_channel_gives_up_what_it_holds)
{
    GMK_REQUIRE(boot(GMK_CHAN_P2P | GMK_CHAN_DETERMINISTIC, 0, T_DET));
    env_send(&env, env.chan, env_msg(T_DET, 0, 0));
    env_send(&env, env.chan, env_msg(T_DET, 1, 0));
    tick();
    gmk_test_assert_eq(env_books(&env).queued, 2);
    gmk_test_assert_eq(gmk_chan_close(env.ctx, env.chan), GMK_OK);
    tick();
    gmk_test_assert_eq(env_books(&env).queued, 0);
    gmk_test_assert_eq(env_books(&env).dead, 2);
    end();
}

/* CH-7: losses of a channel are not counted on the one that has its place now. */
GMK_TEST(chan_found_drops_are_not_counted_on_the_successor)
{
    gmk_chan_info_t info;
    int id;

    GMK_REQUIRE(boot(GMK_CHAN_P2P | GMK_CHAN_DETERMINISTIC, 0, T_DET));
    env_send(&env, env.chan, env_msg(T_DET, 0, 0));
    gmk_test_assert_eq(gmk_chan_close(env.ctx, env.chan), GMK_OK);
    env_idle(&env);
    run(on_found); /* the worker passes a batch */
    run(on_found);
    id = gmk_chan_open(env.ctx, "t.next", GMK_CHAN_P2P, 8);
    gmk_test_assert_gt(id, 0);
    gmk_test_assert_eq(GMK_CHAN_INDEX((uint32_t)id), GMK_CHAN_INDEX(env.chan));
    tick();
    gmk_test_assert_eq(env_books(&env).dead, 1);
    gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, (uint32_t)id, &info), GMK_OK);
    gmk_test_assert_eq(info.drops, 0);
    end();
}

/* Replay buffers. ---------------------------------------------------------------------------- */

static int act_unsub_par(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_unsub(ctx, (uint32_t)gmk_chan_find(ctx, "t.par")), GMK_OK);
    return GMK_OK;
}

/* CH-42: the buffer of a P2P channel without subscriber, whose record a parallel subscription
 * had before, gives its payloads back. */
GMK_TEST(chan_found_buffer_lets_go_after_a_parallel_subscription)
{
    gmk_chan_opts_t o = {
        .mode = GMK_CHAN_P2P | GMK_CHAN_LOSSLESS, .slots = 8, .replay_slots = 4, .msg_type = T_MSG};
    int id;

    GMK_REQUIRE(boot(GMK_CHAN_P2P, 0, T_MSG));
    run(act_unsub_par);
    id = gmk_chan_open_with(env.ctx, "t.buffer", &o);
    gmk_test_assert_gt(id, 0);
    send_payload((uint32_t)id);
    send_payload((uint32_t)id);
    gmk_test_assert_eq(env_live(&env), 2);
    end();
    gmk_test_assert_eq(env.report.dead, 2);
}

/* CH-42: and so does that of a channel that somebody is leaving, with a message away. */
GMK_TEST(chan_found_buffer_lets_go_of_what_is_not_for_who_leaves)
{
    const gmk_chan_sink_t sink = {.take = take};

    GMK_REQUIRE(boot(GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS, 4, T_MSG));
    room = 0;
    to_retry = 1;
    tick();
    run(act_sub);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &sink), GMK_OK);
    send_payload(env.chan);
    env_idle(&env);
    gmk_test_assert_eq(n_retries, 1);
    run(act_unsub);
    send_payload(env.chan);
    send_payload(env.chan);
    gmk_test_assert_eq(env_live(&env), 3);
    end();
}

/* CH-20: a message that was retried is not settled when its replay has ended. */
GMK_TEST(chan_found_replayed_message_is_still_away)
{
    gmk_sub_info_t sub = {.lag = 1};

    GMK_REQUIRE(boot(GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS, 4, T_MSG));
    to_retry = 1;
    tick();
    run(act_sub);
    env_send(&env, env.chan, env_msg(T_MSG, 6, 0));
    env_idle(&env);
    gmk_test_assert_eq(n_retries, 1);
    env_send(&env, env.chan, env_msg(T_MSG, 7, 0));
    env_idle(&env);
    gmk_test_assert(again);
    gmk_test_assert_eq(env_books(&env).queued, 1);
    gmk_test_assert_eq(gmk_chan_get_sub(&env.kernel, env.chan, 0, &sub), GMK_OK);
    gmk_test_assert_eq(sub.lag, 0);
    gmk_test_assert_eq(sub.acked_seq, 0);
    tick();
    tick();
    gmk_test_assert_eq(gmk_chan_get_sub(&env.kernel, env.chan, 0, &sub), GMK_OK);
    gmk_test_assert_eq(sub.acked_seq, 2);
    end();
}

/* Error handlers. ------------------------------------------------------------------------------ */

static int on_error(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_OK;
}

static int act_on_error(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_on_error(ctx, env.chan, on_error), GMK_OK);
    return GMK_OK;
}

/* CH-31: the mailbox of a closed channel whose last message is away is not in the way of that
 * of the next channel of its name. */
GMK_TEST(chan_found_error_handler_of_a_name_opened_again)
{
    gmk_chan_opts_t o = {.mode = GMK_CHAN_P2P, .slots = 8, .msg_type = T_MSG};
    int id;

    GMK_REQUIRE(boot(GMK_CHAN_P2P, 0, T_MSG));
    to_retry = 1;
    tick();
    run(act_sub);
    run(act_on_error);
    env_send(&env, env.chan, env_msg(T_MSG, 0, 0));
    env_idle(&env);
    gmk_test_assert_eq(n_retries, 1);
    gmk_test_assert_eq(gmk_chan_close(env.ctx, env.chan), GMK_OK);
    id = gmk_chan_open_with(env.ctx, "t.c", &o);
    gmk_test_assert_gt(id, 0);
    env.chan = (uint32_t)id;
    run(act_on_error);
    tick();
    tick();
    gmk_test_assert_eq(env_books(&env).queued, 0);
    end();
}
