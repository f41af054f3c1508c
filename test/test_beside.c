/* SPDX-License-Identifier: MIT
 * Calls beside one another: what the storms have found between two workers, or between the
 * workers and an attached thread, each by name. Many rounds of the same two calls: the
 * simulated machine switches between their steps, and on threads TSan watches them.
 * Floor: tests. Source: SPEC CH-9, CH-12, CH-18, CH-24, CH-30, CH-31; ARCHITECTURE R4, R5, R8. */
#include "chan_parts.h"

#include "ggmk/base/bits.h"
#include "kernel/kernel.h"

#define LOSSLESS (GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS)
#define HOSTS 2u
#define BATCH 8u

static env_t env;
static part_t part[3];
static gmk_module_t plumber;

static uint32_t open_chan(const char *name, uint32_t mode, uint32_t replay_slots)
{
    gmk_chan_opts_t o = {
        .mode = mode, .slots = 1024, .replay_slots = replay_slots, .msg_type = T_MSG};
    int id = gmk_chan_open_with(env.ctx, name, &o);

    gmk_test_assert_gt(id, 0);
    return id > 0 ? (uint32_t)id : 0;
}

/* Three parts that subscribe to nothing yet, two workers. */
static bool boot(void)
{
    gmk_module_t *mods[4];

    gmk_hal_memset(&env, 0, sizeof(env));
    for (uint32_t i = 0; i < 3; i++) {
        mods[i] = part_make(&part[i], &env, i, on_part);
        part_consume(&part[i], "t.kind", GMK_CHAN_FANOUT, 4); /* T_MSG is of messages */
    }
    mods[3] = plumber_make(&plumber, &env);
    return env_boot(&env, 2, 0, mods, 4);
}

/* Parts a and b run their scripts, a's on worker 0 and b's on worker 1. meta0: which. They take
 * turns to be the first: where both workers share a processor, that is who runs first. */
static void start_both(uint32_t a, uint32_t b)
{
    static uint32_t first;

    first ^= 1;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t w = i ^ first;
        gmk_task_t t = env_msg(T_PART + (w == 0 ? a : b), w, 0);

        gmk_test_assert_eq(gmk_submit_to(&env.kernel, &t, w), GMK_OK);
    }
}

static int on_error(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_OK;
}

/* An error handler beside a binding. -------------------------------------------------------- */

static int act_bind(gmk_ctx_t *ctx)
{
    if (ctx->task->meta0 == 0)
        gmk_test_assert_eq(gmk_chan_on_error(ctx, env.chan, on_error), GMK_OK);
    else
        gmk_test_assert_eq(gmk_chan_sub_worker(ctx, env.chan2, 1), GMK_OK);
    return GMK_OK;
}

/* All as before: no handler, no subscription, bound to nobody. */
static int act_unbind(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_on_error(ctx, env.chan, NULL), GMK_OK);
    gmk_test_assert_eq(gmk_chan_unsub(ctx, env.chan2), GMK_OK);
    gmk_test_assert_eq(gmk_chan_sub(ctx, env.chan2), GMK_OK);
    gmk_test_assert_eq(gmk_chan_unsub(ctx, env.chan2), GMK_OK);
    return GMK_OK;
}

/* CH-12, CH-31: a module that asks for failed messages while it binds a subscription to a
 * worker stays bound: its mailbox takes no part in that. */
GMK_TEST(beside_error_handler_leaves_the_binding_alone)
{
    uint64_t rounds = gmk_test_scale(1000, 150);

    GMK_REQUIRE(boot());
    env.chan = open_chan("t.fails", GMK_CHAN_P2P, 0);
    env.chan2 = open_chan("t.bound", GMK_CHAN_P2P, 0);
    for (uint64_t i = 0; i < rounds; i++) {
        gmk_sub_info_t sub = {.worker = GMK_NO_WORKER};

        part[0].act = act_bind;
        start_both(0, 0);
        env_idle(&env);
        gmk_test_assert_eq(gmk_chan_get_sub(&env.kernel, env.chan2, 0, &sub), GMK_OK);
        gmk_test_assert_eq(sub.worker, 1);
        part_act(&part[0], 0, act_unbind);
    }
    env_end(&env);
}

/* Two modules and one error handler. ----------------------------------------------------------- */

static gmk_a32_t holder;
static gmk_a32_t n_held;

static int act_contend(gmk_ctx_t *ctx)
{
    int rc = gmk_chan_on_error(ctx, env.chan, on_error);

    if (rc == GMK_OK) {
        gmk_test_assert_eq(gmk_xchg_ar(&holder, 1, GMK_DEV), 0);
        gmk_add_rlx(&n_held, 1, GMK_DEV); /* relaxed: a count */
        gmk_test_assert_eq(gmk_xchg_ar(&holder, 0, GMK_DEV), 1);
        gmk_test_assert_eq(gmk_chan_on_error(ctx, env.chan, NULL), GMK_OK);
        return GMK_OK;
    }
    gmk_test_assert_eq(rc, GMK_CHAN_ALREADY_BOUND);
    rc = gmk_chan_on_error(ctx, env.chan, NULL); /* the other's, or nobody's by now */
    gmk_test_assert(rc == GMK_CHAN_ALREADY_BOUND || rc == GMK_OK);
    return GMK_OK;
}

/* CH-31: whose the mailbox is, is asked while its owner gives it up: one has it at a time. And
 * who comes while it ends gets a new one: it took the old one for its own, and found it closed. */
GMK_TEST(beside_error_handler_has_one_owner)
{
    uint64_t rounds = gmk_test_scale(1000, 150);

    GMK_REQUIRE(boot());
    env.chan = open_chan("t.fails", GMK_CHAN_P2P, 0);
    gmk_store_rlx(&holder, 0, GMK_DEV); /* relaxed: no worker has work */
    gmk_store_rlx(&n_held, 0, GMK_DEV); /* relaxed: as above */
    part[0].act = act_contend;
    part[1].act = act_contend;
    for (uint64_t i = 0; i < rounds; i++) {
        start_both(0, 1);
        env_idle(&env);
    }
    gmk_test_assert_ge(gmk_load_rlx(&n_held, GMK_DEV), rounds); /* relaxed: all sleep */
    env_end(&env);
}

/* A replay from outside beside the end of its subscription. ---------------- */

static gmk_a32_t n_replays;

/* On worker 0 the part leaves the channel, on worker 1 it asks for its messages again. */
static int act_replay_or_leave(gmk_ctx_t *ctx)
{
    int rc;

    if (ctx->task->meta0 == 1) {
        rc = gmk_chan_replay(ctx, env.chan, 2);
        gmk_test_assert(rc == GMK_OK || rc == GMK_E_NOT_FOUND || rc == GMK_E_BUSY);
        if (rc == GMK_OK)
            gmk_add_rlx(&n_replays, 1, GMK_DEV); /* relaxed: a count */
        return GMK_OK;
    }
    gmk_test_assert_eq(gmk_chan_unsub(ctx, env.chan), GMK_OK);
    return GMK_OK;
}

static uint32_t other;

/* On worker 0 part 2 takes the record that part 0 has left, as soon as it is free. */
static int act_take_record(gmk_ctx_t *ctx)
{
    gmk_chan_info_t info;
    gmk_task_t t = *ctx->task;

    gmk_test_assert_eq(gmk_chan_get_info(ctx->kernel, env.chan, &info), GMK_OK);
    if (info.n_subs > 1) {
        gmk_test_assert_eq(gmk_emit_to(ctx, &t, 0), GMK_OK);
        return GMK_OK;
    }
    gmk_test_assert_eq(gmk_chan_sub(ctx, other), GMK_OK);
    return GMK_OK;
}

static int act_take_other(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_sub(ctx, other), GMK_OK);
    return GMK_OK;
}

static int act_leave_other(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_unsub(ctx, other), GMK_OK);
    return GMK_OK;
}

/* Sends one on the other channel: whoever subscribes gets it, at the place it stands at. */
static void send_other(void)
{
    gmk_task_t t = part_payload(env.ctx, T_MSG, part[2].next[1]);

    t.meta1 = 1;
    env_send(&env, other, t);
}

/* CH-18: a replay that a direct handler asks for, while the subscription ends and its record
 * becomes another's, moves nobody else's place. */
GMK_TEST(beside_replay_from_outside_and_the_end_of_its_subscription)
{
    uint64_t rounds = gmk_test_scale(600, 200); /* fewer than the other has slots */

    GMK_REQUIRE(boot());
    gmk_store_rlx(&n_replays, 0, GMK_DEV); /* relaxed: no worker has work */
    env.chan = open_chan("t.chan", LOSSLESS, 16);
    other = open_chan("t.other", LOSSLESS, 16);
    plug_in(&env);
    part_act(&part[1], 1, act_part_sub);
    part_act(&part[1], 1, act_take_other); /* it stands still: the buffers keep all for it */
    part[1].pause_at = 0;
    gmk_test_assert_eq(env_burst(&env, 0, 8, true), 8);
    env_idle(&env);
    part_act(&part[0], 0, act_part_sub);
    for (uint64_t i = 0; i < rounds; i++) {
        gmk_task_t take = env_msg(T_PART + 2, 0, 0);

        part[0].act = act_replay_or_leave;
        part[2].act = act_take_record;
        start_both(0, 0);
        gmk_test_assert_eq(gmk_submit_to(&env.kernel, &take, 0), GMK_OK);
        env_idle(&env);
        send_other();
        env_idle(&env);
        gmk_test_assert_eq(part[2].got, i + 1);
        part_act(&part[2], 2, act_leave_other);
        part_act(&part[0], 0, act_part_sub);
    }
    gmk_test_assert_gt(gmk_load_rlx(&n_replays, GMK_DEV), 0); /* relaxed: all sleep */
    plug_out(&env);
    env_settle(&env);
    gmk_test_assert_eq(part[2].wrong, 0);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end_within(&env, ENV_PATIENCE_NS);
}

/* A subscriber that leaves and returns, beside the close of its channel. --- */

static int act_leave_and_return(gmk_ctx_t *ctx)
{
    int rc = gmk_chan_unsub(ctx, env.chan);

    gmk_test_assert(rc == GMK_OK || rc == GMK_CHAN_CLOSED);
    rc = gmk_chan_sub(ctx, env.chan);
    gmk_test_assert(rc == GMK_OK || rc == GMK_CHAN_CLOSED);
    return GMK_OK;
}

/* CH-9, CH-30: found by TSan: the reason for which it leaves the second time was written while
 * its drainer still read that of the first. */
GMK_TEST(beside_close_and_a_subscriber_that_returns)
{
    uint64_t rounds = gmk_test_scale(2000, 150);
    uint64_t sent = 0;

    GMK_REQUIRE(boot());
    part[0].act = act_leave_and_return;
    for (uint64_t i = 0; i < rounds; i++) {
        env.chan = open_chan("t.chan", GMK_CHAN_P2P, 0);
        part_act(&part[0], 0, act_part_sub);
        part[0].act = act_leave_and_return;
        sent += env_burst(&env, 0, 4, true);
        start_both(0, 1);
        gmk_test_assert_eq(gmk_chan_close(env.ctx, env.chan), GMK_OK);
        env_idle(&env);
    }
    env_settle(&env);
    gmk_test_assert_eq(sent, 4 * rounds);
    gmk_test_assert_eq(part[0].got + env_books(&env).dead, sent);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end_within(&env, ENV_PATIENCE_NS);
}

/* Audits beside threads that work. ----------------------------------------- */

typedef struct worker_host {
    gmk_hal_thread_t thread;
    uint64_t n;
    gmk_a32_t done;
} worker_host_t;

static worker_host_t hosts[HOSTS];

/* Submits batches, and sends messages from an attached context, until all are taken. */
static void *host_main(void *arg)
{
    worker_host_t *h = arg;
    gmk_host_t storage;
    gmk_ctx_t *ctx = gmk_host_attach(&env.kernel, &storage);
    uint64_t left = h->n;

    gmk_test_assert(ctx != NULL);
    while (left != 0 && ctx != NULL) {
        gmk_task_t t[BATCH];
        int rc;

        for (uint32_t i = 0; i < BATCH; i++)
            t[i] = env_msg(left & 1 ? T_MSG : T_PLUG, 0, 0);
        rc = left & 1 ? gmk_chan_emit_batch(ctx, env.chan, t, (uint32_t)gmk_min64(BATCH, left))
                      : gmk_submit_batch(&env.kernel, t, (uint32_t)gmk_min64(BATCH, left));
        if (rc <= 0)
            gmk_hal_relax();
        left -= rc > 0 ? (uint64_t)rc : 0;
    }
    gmk_test_assert_eq(gmk_host_detach(&storage), GMK_OK);
    gmk_store_rel(&h->done, 1, GMK_DEV);
    return NULL;
}

/* The books are off by what is taken on while they are summed, and half done, at most; and
 * gmk_why looks at the same moment. returns: whether the audit was made. */
static bool audit_beside(void)
{
    uint64_t before = env_metric(&env, GMK_METRIC_TASKS_ACCEPTED);
    gmk_audit_report_t b = {.balanced = false};
    int rc = gmk_audit(&env.kernel, &b);
    uint64_t after = env_metric(&env, GMK_METRIC_TASKS_ACCEPTED);
    uint64_t most = (after > before ? after - before : 0) + HOSTS * BATCH;
    uint64_t ends = b.completed + b.failed + b.dead + b.queued;
    gmk_wait_t waits[4];

    gmk_test_assert_ge(gmk_why(&env.kernel, waits, 4), 0);
    if (rc == GMK_E_BUSY)
        return false;
    gmk_test_assert(rc == GMK_OK || rc == GMK_E_UNBALANCED);
    gmk_test_assert_eq(b.balanced, rc == GMK_OK);
    gmk_test_assert_le(b.accepted > ends ? b.accepted - ends : ends - b.accepted, most);
    return true;
}

/* R8: attached threads and submitters go on beside an audit; one that is half way through a
 * push hides nothing of the others, and at rest the books balance. */
GMK_TEST(beside_audit_and_threads_that_work)
{
    uint64_t n = gmk_test_scale(200000, 1500);
    uint64_t audits = 0;
    bool busy = true;

    GMK_REQUIRE(boot());
    env.chan = open_chan("t.chan", GMK_CHAN_P2P, 0);
    part_act(&part[0], 0, act_part_sub);
    for (uint32_t i = 0; i < HOSTS; i++) {
        hosts[i] = (worker_host_t){.n = n};
        gmk_test_assert_eq(gmk_hal_thread_create(&hosts[i].thread, host_main, &hosts[i]), 0);
    }
    while (busy) {
        audits += audit_beside();
        busy = false;
        for (uint32_t i = 0; i < HOSTS; i++)
            busy = busy || gmk_load_acq(&hosts[i].done, GMK_DEV) == 0;
    }
    for (uint32_t i = 0; i < HOSTS; i++)
        gmk_test_assert_eq(gmk_hal_thread_join(&hosts[i].thread), 0);
    gmk_test_assert_gt(audits, 0);
    env_idle(&env);
    gmk_test_assert_ge(env_books(&env).completed, HOSTS * n);
    env_end(&env);
}

/* R8: found by the mixed load: a producer that has claimed its cell and not yet published it
 * hid all that stands behind it in the queue. */
GMK_TEST(beside_audit_counts_behind_a_producer_under_way)
{
    gmki_kernel_t *k;
    gmki_queue_t *q;
    gmk_task_t t = env_msg(T_PLUG, 0, 0);
    uint32_t pos = 0;

    GMK_REQUIRE(boot());
    env_idle(&env);
    k = gmki_kernel(&env.kernel);
    q = &k->core.sched.rq[GMK_PRIO_NORMAL];
    GMK_REQUIRE(gmk_mpmc_claim(&q->ring, q->cells, GMK_CELL_STRIDE, 1, &pos, GMK_DEV) == 1);
    for (uint32_t i = 0; i < 5; i++)
        gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK);
    gmk_test_assert_eq(env_books(&env).queued, 5);
    gmki_count(&gmki_outside(k)->obs, 0, GMK_METRIC_TASKS_ACCEPTED, 1);
    gmk_cell_write(&q->cells[pos & q->ring.mask_p], &t, t.flags, 1);
    gmk_mpmc_publish(&q->ring, q->cells, GMK_CELL_STRIDE, pos, 1, GMK_DEV);
    gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK); /* wakes a worker */
    env_idle(&env);
    gmk_test_assert_eq(env_books(&env).completed, 7);
    env_end(&env);
}
