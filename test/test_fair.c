/* SPDX-License-Identifier: MIT
 * Fairness beside calls that are long, or that come back for ever: a batch is one task then.
 * One worker, so that each count is certain.
 * Floor: tests. Source: SPEC SC-9, EQ-4; ARCHITECTURE R3, R4. */
#include "kernel_env.h"

#include "ggmk/chan.h"

enum { HOG = 1, READY, MSG };
#define ROUNDS 20u
#define SLOTS 64u
#define MOST_CALLS 20000u /* of the hog: it gives up, and the test fails */

/* All of it is used on the worker alone, and by the test when that rests. */
typedef struct fair {
    gmk_kernel_t kernel;
    uint64_t call_ns; /* a call of the hog takes so long */
    int (*ask)(gmk_ctx_t *ctx);
    int chan;
    uint32_t calls;  /* of the hog */
    uint32_t rounds; /* done */
    uint32_t open;   /* what was asked for and has not run */
    uint32_t asked;  /* calls when it was asked for */
    uint32_t delay;  /* calls until it had run, summed up */
    uint32_t refused;
} fair_t;

static fair_t fair;

/* What was asked for has run when the last of it runs. */
static int on_asked(gmk_ctx_t *ctx)
{
    fair_t *f = ctx->user;

    if (--f->open != 0)
        return GMK_OK;
    f->rounds++;
    f->delay += f->calls - f->asked;
    return GMK_OK;
}

/* A task that waits in the ready queue, since it is more urgent than who sends it. */
static int ask_ready(gmk_ctx_t *ctx)
{
    gmk_task_t t = kit_task(READY, GMK_PRIO_CRITICAL, 0);

    fair.open = 1;
    return gmk_emit(ctx, &t);
}

/* As many messages as the channel takes. */
static int ask_messages(gmk_ctx_t *ctx)
{
    gmk_task_t t = kit_task(MSG, GMK_PRIO_NORMAL, 0);
    int rc;

    if (fair.chan == 0)
        fair.chan = gmk_chan_find(ctx, "fair");
    while ((rc = gmk_chan_emit(ctx, (uint32_t)fair.chan, &t)) == GMK_OK)
        fair.open++;
    fair.refused += rc == GMK_CHAN_FULL;
    return rc == GMK_CHAN_FULL ? GMK_OK : rc;
}

/* Asks for something, and comes back until it has run; then for the next. */
static int on_hog(gmk_ctx_t *ctx)
{
    uint64_t until = gmk_hal_now_ns() + fair.call_ns;

    fair.calls++;
    if (fair.open == 0 && fair.rounds < ROUNDS) {
        fair.asked = fair.calls;
        gmk_test_assert_eq(fair.ask(ctx), GMK_OK);
    }
    while (gmk_hal_now_ns() < until)
        ;
    if (fair.rounds < ROUNDS && fair.calls < MOST_CALLS)
        gmk_yield(ctx);
    return GMK_OK;
}

static gmk_handler_reg_t hog_handlers[] = {
    {.type = HOG, .fn = on_hog, .name = "hog", .max_yields = MOST_CALLS},
    {.type = READY, .fn = on_asked, .name = "ready"}};
static gmk_handler_reg_t sink_handlers[] = {{.type = MSG, .fn = on_asked, .name = "msg"}};
static gmk_chan_decl_t hog_decl = {.name = "fair",
                                   .direction = GMK_CHAN_PRODUCE,
                                   .msg_type = MSG,
                                   .guarantee = GMK_CHAN_LOSSLESS,
                                   .slots = SLOTS};
static gmk_chan_decl_t sink_decl = {.name = "fair",
                                    .direction = GMK_CHAN_CONSUME,
                                    .msg_type = MSG,
                                    .guarantee = GMK_CHAN_LOSSLESS,
                                    .slots = SLOTS};
static gmk_module_t hog = {.name = "hog",
                           .handlers = hog_handlers,
                           .n_handlers = 2,
                           .channels = &hog_decl,
                           .n_channels = 1,
                           .user = &fair};
static gmk_module_t sink = {.name = "sink",
                            .handlers = sink_handlers,
                            .n_handlers = 1,
                            .channels = &sink_decl,
                            .n_channels = 1,
                            .user = &fair};

/* Runs ROUNDS rounds. returns: calls of the hog that they waited for. */
static uint32_t beside_hog(int (*ask)(gmk_ctx_t *ctx), uint64_t call_ns, bool bound)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .flags = GMK_BOOT_NO_LINKED_MODULES};
    gmk_module_t *mods[] = {&hog, &sink};
    gmk_task_t t = kit_task(HOG, GMK_PRIO_NORMAL, 0);

    gmk_hal_memset(&fair, 0, sizeof(fair));
    fair.ask = ask;
    fair.call_ns = call_ns;
    if (!kit_boot_mods(&fair.kernel, &cfg, mods, 2))
        return UINT32_MAX;
    gmk_test_assert_eq(bound ? gmk_submit_to(&fair.kernel, &t, 0) : gmk_submit(&fair.kernel, &t),
                       GMK_OK);
    kit_idle(&fair.kernel);
    kit_halt(&fair.kernel);
    gmk_test_assert_eq(fair.rounds, ROUNDS);
    return fair.delay;
}

#define LONG_NS (3ull * GMK_BATCH_TARGET_NS)

/* R3. A yield lets go first what waits, and not only here. */
GMK_TEST(fair_long_call_that_yields_delays_a_ready_task_by_few_calls)
{
    gmk_test_assert_le(beside_hog(ask_ready, LONG_NS, false), 3 * ROUNDS);
}

GMK_TEST(fair_short_call_that_yields_delays_a_ready_task_by_a_few_calls)
{
    gmk_test_assert_le(beside_hog(ask_ready, 0, false), GMK_WORKER_BATCH_SIZE * ROUNDS);
}

/* R3. The inbox alone fills a batch of one task. */
GMK_TEST(fair_long_call_bound_to_a_worker_does_not_hide_the_ready_queue)
{
    gmk_test_assert_le(beside_hog(ask_ready, LONG_NS, true), 3 * ROUNDS);
}

GMK_TEST(fair_short_call_bound_to_a_worker_does_not_hide_the_ready_queue)
{
    gmk_test_assert_le(beside_hog(ask_ready, 0, true), GMK_WORKER_BATCH_SIZE * ROUNDS);
}

/* R4. A full channel of short messages is not drained by one message a long call. The bound
 * leaves room for turns that the machine interrupts. */
GMK_TEST(fair_turn_of_short_messages_beside_a_long_call_takes_many)
{
    gmk_test_assert_le(beside_hog(ask_messages, LONG_NS, false), ROUNDS * SLOTS / 3);
    gmk_test_assert_ge(fair.refused, ROUNDS);
}

GMK_TEST(fair_turn_of_short_messages_beside_a_long_bound_call_takes_many)
{
    gmk_test_assert_le(beside_hog(ask_messages, LONG_NS, true), ROUNDS * SLOTS / 3);
    gmk_test_assert_ge(fair.refused, ROUNDS);
}
