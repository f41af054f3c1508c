/* SPDX-License-Identifier: MIT
 * gmk_why names who waits for whom, in each way that something can wait.
 * Floor: tests. Source: ARCHITECTURE R8, R19. */
#include "kernel_env.h"

#include "ggmk/sdk.h"

enum { T_IN = 1, T_OUT, T_STUCK, T_FAIL, T_RETRY, T_DET };

static struct {
    gmk_kernel_t k;
    uint32_t in, out;
    gmk_a32_t go, begun;
    gmk_wait_t waits[8];
} w;

static int on_in(gmk_ctx_t *ctx)
{
    for (uint64_t i = 0; i < 6; i++)
        gmk_test_assert_eq(gmk_sdk_chan_send_inline(ctx, w.out, T_OUT, i, 0), GMK_OK);
    return GMK_OK;
}

static int on_out(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_OK;
}

static int on_stuck(gmk_ctx_t *ctx)
{
    (void)ctx;
    kit_set(&w.begun, 1);
    gmk_test_assert(kit_meet(&w.go, 1));
    return GMK_OK;
}

static int on_fail(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_FAIL(1);
}

static int on_retry(gmk_ctx_t *ctx)
{
    (void)ctx;
    return kit_get(&w.go) != 0 ? GMK_OK : GMK_RETRY;
}

static int init_sender(gmk_ctx_t *ctx)
{
    int id = gmk_sdk_chan_open(ctx, "why.in", GMK_CHAN_P2P, T_IN);

    w.in = (uint32_t)id;
    gmk_test_assert_eq(gmk_chan_sub(ctx, w.in), GMK_OK);
    id = gmk_chan_open(ctx, "why.out", GMK_CHAN_P2P, 4);
    w.out = (uint32_t)id;
    return gmk_chan_fix_type(ctx, w.out, T_OUT);
}

static int init_retry(gmk_ctx_t *ctx)
{
    int id = gmk_sdk_chan_open(ctx, "why.retry", GMK_CHAN_P2P, T_RETRY);

    return gmk_chan_sub(ctx, (uint32_t)id);
}

static gmk_handler_reg_t det_handlers[] = {
    {.type = T_DET, .fn = on_out, .name = "det", .flags = GMK_HF_DETERMINISTIC}};
static gmk_module_t det = {.name = "det", .handlers = det_handlers, .n_handlers = 1};

static gmk_handler_reg_t sender_handlers[] = {{.type = T_IN, .fn = on_in, .name = "in"}};
static gmk_handler_reg_t taker_handlers[] = {{.type = T_OUT, .fn = on_out, .name = "out"},
                                             {.type = T_STUCK, .fn = on_stuck, .name = "stuck"},
                                             {.type = T_FAIL, .fn = on_fail, .name = "fails"}};
static gmk_handler_reg_t retry_handlers[] = {{.type = T_RETRY, .fn = on_retry, .name = "again"}};
static gmk_module_t sender = {
    .name = "sender", .handlers = sender_handlers, .n_handlers = 1, .init = init_sender};
static gmk_module_t taker = {.name = "taker", .handlers = taker_handlers, .n_handlers = 3};
static gmk_module_t retrier = {
    .name = "retrier", .handlers = retry_handlers, .n_handlers = 1, .init = init_retry};

static bool begin(void)
{
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)4 << 20,
                          .n_workers = 2,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};
    gmk_module_t *mods[] = {&sender, &taker, &retrier, &det};

    gmk_hal_memset(&w, 0, sizeof(w));
    return kit_boot_mods(&w.k, &cfg, mods, 4);
}

/* The wait of a kind, or null; all kinds there are must be among those named. */
static const gmk_wait_t *find(int n, enum gmk_wait_kind kind)
{
    for (int i = 0; i < n && i < (int)GMK_ARRAY_LEN(w.waits); i++)
        if (w.waits[i].kind == kind)
            return &w.waits[i];
    return NULL;
}

static void text_is(const gmk_wait_t *wait, const char *text)
{
    char line[256];

    if (!gmk_test_assert(wait != NULL))
        return;
    gmk_test_assert_eq(gmk_wait_text(wait, line, sizeof(line)) > 0, true);
    gmk_test_assert_str_eq(line, text);
}

static int why(void) { return gmk_why(&w.k, w.waits, GMK_ARRAY_LEN(w.waits)); }

/* OBS-1: nothing waits in a kernel that has nothing to do. */
GMK_TEST(why_says_nothing_when_nothing_waits)
{
    GMK_REQUIRE(begin());
    GMK_REQUIRE(kit_idle(&w.k));
    gmk_test_assert_eq(why(), 0);
    gmk_test_assert_eq(gmk_why(&w.k, NULL, 0), 0);
    gmk_test_assert_eq(gmk_why(&w.k, NULL, 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_why(NULL, w.waits, 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_wait_text(NULL, NULL, 0), 0);
    kit_halt(&w.k);
}

/* CH-14, R19: a send that waits for room, and the channel nobody reads. */
GMK_TEST(why_names_an_outbox_and_its_channel)
{
    gmk_audit_report_t r;
    gmk_host_t host;
    gmk_ctx_t *ctx;
    char line[16];
    int n;

    GMK_REQUIRE(begin());
    ctx = gmk_host_attach(&w.k, &host);
    gmk_test_assert_eq(gmk_sdk_chan_send_inline(ctx, w.in, T_IN, 0, 0), GMK_OK);
    GMK_REQUIRE(kit_idle(&w.k));
    n = why();
    gmk_test_assert_eq(n, 2);
    text_is(find(n, GMK_WAIT_ROOM), "module 'sender' waits for room on channel 'why.out', whose "
                                    "slowest subscriber is nobody: 2 sends in its outbox");
    text_is(find(n, GMK_WAIT_SUBSCRIBER),
            "channel 'why.out' has no subscriber: 4 messages wait for one");
    gmk_test_assert_eq(gmk_why(&w.k, w.waits, 1), 2);
    gmk_test_assert_eq(gmk_wait_text(&w.waits[0], line, sizeof(line)), 15);
    gmk_test_assert_str_eq(line, "module 'sender'");
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&w.k, KIT_HALT_NS, &r), GMK_OK);
    gmk_test_assert(r.balanced);
}

/* FM-2, FM-3: back-offs, timers and a poisoned handler. */
GMK_TEST(why_names_back_offs_timers_and_poison)
{
    gmk_task_t timer = kit_task(T_STUCK, GMK_PRIO_NORMAL, 0);
    gmk_audit_report_t r;
    gmk_host_t host;
    gmk_ctx_t *ctx;
    int n;

    GMK_REQUIRE(begin());
    gmk_tick_advance(&w.k);
    ctx = gmk_host_attach(&w.k, &host);
    gmk_test_assert_eq(
        gmk_sdk_chan_send_inline(ctx, (uint32_t)gmk_chan_find(ctx, "why.retry"), T_RETRY, 0, 0),
        GMK_OK);
    gmk_test_assert_eq(gmk_submit_at_tick(&w.k, &timer, 100), GMK_OK);
    for (uint32_t i = 0; i <= GMK_POISON_RATE; i++)
        GMK_REQUIRE(kit_submit(&w.k, kit_task(T_FAIL, GMK_PRIO_NORMAL, 0)));
    GMK_REQUIRE(kit_idle(&w.k));
    n = why();
    gmk_test_assert_eq(n, 3);
    text_is(find(n, GMK_WAIT_BACKOFF),
            "module 'retrier': 1 retried messages wait for their back-off");
    text_is(find(n, GMK_WAIT_TIMER), "the event queue: 2 timers and back-offs are due later");
    text_is(find(n, GMK_WAIT_POISONED),
            "handler 'fails' of module 'taker' is poisoned: gmk_mod_reset lets it run again");
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&w.k, KIT_HALT_NS, &r), GMK_OK);
    gmk_test_assert(r.balanced);
}

/* R8: a handler that does not return is named, and does not hang the question. */
GMK_TEST(why_names_a_handler_that_runs_on)
{
    const gmk_wait_t *e;
    char line[128];
    int n;

    GMK_REQUIRE(begin());
    GMK_REQUIRE(kit_submit(&w.k, kit_task(T_STUCK, GMK_PRIO_NORMAL, 0)));
    GMK_REQUIRE(gmk_test_assert(kit_until(&w.begun, 1)));
    n = why();
    e = find(n, GMK_WAIT_HANDLER);
    if (gmk_test_assert(e != NULL)) {
        gmk_test_assert_str_eq(e->who, "taker");
        gmk_test_assert_str_eq(e->whom, "stuck");
        gmk_test_assert_lt(e->worker, 2);
        gmk_test_assert_gt(gmk_wait_text(e, line, sizeof(line)), 0);
    }
    kit_set(&w.go, 1);
    GMK_REQUIRE(kit_idle(&w.k));
    gmk_test_assert_eq(why(), 0);
    kit_halt(&w.k);
}

/* DET-4: work for a tick that has not begun, and a deterministic channel without a subscriber. */
GMK_TEST(why_names_work_for_a_later_tick)
{
    gmk_task_t t = kit_task(T_DET, GMK_TF_DETERMINISTIC, 0);
    gmk_audit_report_t r;
    gmk_host_t host;
    gmk_ctx_t *ctx;
    int n;

    GMK_REQUIRE(begin());
    ctx = gmk_host_attach(&w.k, &host);
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(gmk_submit(&w.k, &t), GMK_OK);
    gmk_test_assert_eq(gmk_submit_at_tick(&w.k, &t, 7), GMK_OK);
    GMK_REQUIRE(kit_idle(&w.k));
    n = why();
    gmk_test_assert_eq(n, 1);
    text_is(find(n, GMK_WAIT_TICK), "deterministic work: 4 tasks wait for the next tick");
    gmk_tick_advance(&w.k);
    gmk_test_assert_eq(gmk_tick_wait(&w.k, KIT_WAIT_NS), GMK_OK);
    n = why();
    gmk_test_assert_eq(n, 1);
    text_is(find(n, GMK_WAIT_TICK), "deterministic work: 1 tasks wait for the next tick");
    n = gmk_chan_open(ctx, "why.det", GMK_CHAN_P2P | GMK_CHAN_DETERMINISTIC, 8);
    gmk_test_assert_gt(n, 0);
    gmk_test_assert_eq(gmk_chan_emit(ctx, (uint32_t)n, &t), GMK_OK);
    gmk_tick_advance(&w.k);
    gmk_test_assert_eq(gmk_tick_wait(&w.k, KIT_WAIT_NS), GMK_OK);
    n = why();
    gmk_test_assert_eq(n, 2);
    text_is(find(n, GMK_WAIT_SUBSCRIBER),
            "channel 'why.det' has no subscriber: 1 messages wait for one");
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&w.k, KIT_HALT_NS, &r), GMK_OK);
    gmk_test_assert(r.balanced);
    gmk_test_assert_eq(r.dead, 2);
}
