/* SPDX-License-Identifier: MIT
 * What becomes of a message: it yields, is retried, fails, is left over; and of its payload,
 * from the emit to its one free.
 * Floor: tests. Source: SPEC CH-38 to CH-47, V-59, V-63; ARCHITECTURE R4, R7, R8, R19. */
#include "chan_mods.h"
#include "kernel/kernel.h"

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
