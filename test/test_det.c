/* SPDX-License-Identifier: MIT
 * Deterministic work in a whole kernel: the same results and trace hash on any number of
 * workers, ticks that begin and end, recording and replay.
 * Floor: tests. Source: SPEC DET-1 to DET-9, CH-54, ACC-7; ARCHITECTURE R15. */
#include "kernel_env.h"

#include "ggmk/sdk.h"

enum { T_IN = 1, T_MID, T_OUT, T_LATER, T_PLAIN, T_MIX, T_FULL, T_SLOW };
#define TICKS 12u
#define RECORD_BYTES (256u << 10)

typedef struct part {
    uint64_t sum; /* over what it saw, in order */
    uint64_t n;
    gmk_a32_t inside;
} part_t;

static struct det {
    gmk_kernel_t k;
    gmk_host_t host;
    gmk_ctx_t *ctx;
    part_t part[4]; /* source, left, right, sink */
    gmk_a64_t broken;
    uint64_t hash;
    uint32_t n_ticks;
} det;

static uint8_t record_bytes[RECORD_BYTES];
static size_t record_n, record_at, record_cap;

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x7fb5d329728ea185ull;
    x ^= x >> 27;
    return x * 0x81dadef4bc2dd44dull;
}

static void broken(void) { gmk_add_rlx(&det.broken, 1, GMK_DEV); } /* relaxed: a count */

static void saw(part_t *p, gmk_ctx_t *ctx)
{
    const gmk_task_t *t = ctx->task;

    if (gmk_add_rlx(&p->inside, 1, GMK_DEV) != 0) /* relaxed: it must order nothing */
        broken();
    p->sum = mix(p->sum + t->meta0 + t->meta1 * 3 + t->type * 5 + t->seq * 7 + ctx->tick * 11);
    if (t->payload_len != 0)
        p->sum = mix(p->sum + *(const uint8_t *)(uintptr_t)t->payload_ptr);
    p->n++;
    gmk_hal_relax();
    gmk_sub_rlx(&p->inside, 1, GMK_DEV); /* relaxed: as above */
}

static int send(gmk_ctx_t *ctx, const char *name, gmk_task_t t)
{
    return gmk_chan_emit(ctx, (uint32_t)gmk_chan_find(ctx, name), &t);
}

/* Emits to both sides, and itself for a later tick; yields, retries or fails now and then. */
static int on_in(gmk_ctx_t *ctx)
{
    uint64_t dna = ctx->task->meta0;
    gmk_task_t later = {.type = T_LATER, .flags = GMK_TF_DETERMINISTIC | (uint16_t)(dna & 3)};

    saw(&det.part[0], ctx);
    if ((dna & 0x70) == 0 && ctx->task->yield_count < 2) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    if ((dna & 0x700) == 0 && gmk_retries(ctx) < 2)
        return GMK_RETRY;
    for (uint64_t i = 0; i < (dna >> 12 & 3); i++) {
        uint64_t x = mix(dna + i);
        gmk_task_t t = {.type = T_MID, .flags = (uint16_t)(x & 3), .meta0 = x};

        if (send(ctx, "det.mid", t) != GMK_OK)
            broken();
    }
    later.meta0 = dna;
    if ((dna & 0x3000000) == 0 && gmk_emit_at_tick(ctx, &later, ctx->tick + 3) != GMK_OK)
        broken();
    return (dna & 0xf0000) == 0 ? GMK_FAIL(4) : GMK_OK;
}

static int on_mid(gmk_ctx_t *ctx)
{
    gmk_task_t t = {.type = T_OUT, .meta0 = mix(ctx->task->meta0)};
    part_t *p = ctx->user;

    saw(p, ctx);
    if (ctx->task->meta0 & 1 && send(ctx, "det.out", t) != GMK_OK)
        broken();
    return GMK_OK;
}

static int on_out(gmk_ctx_t *ctx)
{
    saw(&det.part[3], ctx);
    return GMK_OK;
}

static int on_later(gmk_ctx_t *ctx)
{
    saw(&det.part[0], ctx);
    return GMK_OK;
}

static int on_plain(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_OK;
}

#define DET_HANDLER(t, f)                                                                          \
    {                                                                                              \
        .type = (t), .fn = (f), .name = #f, .flags = GMK_HF_DETERMINISTIC                          \
    }
#define DET_CHAN(n, d, t, m)                                                                       \
    {                                                                                              \
        .name = (n), .direction = (d), .msg_type = (t), .mode = (m) | GMK_CHAN_DETERMINISTIC       \
    }

static gmk_handler_reg_t source_h[] = {DET_HANDLER(T_IN, on_in), DET_HANDLER(T_LATER, on_later)};
static gmk_handler_reg_t mid_h[] = {DET_HANDLER(T_MID, on_mid)};
static gmk_handler_reg_t sink_h[] = {DET_HANDLER(T_OUT, on_out),
                                     {.type = T_PLAIN, .fn = on_plain, .name = "plain"}};
static gmk_chan_decl_t source_c[] = {DET_CHAN("det.in", GMK_CHAN_CONSUME, T_IN, GMK_CHAN_P2P),
                                     DET_CHAN("det.mid", GMK_CHAN_PRODUCE, T_MID, GMK_CHAN_FANOUT)};
static gmk_chan_decl_t mid_c[] = {DET_CHAN("det.mid", GMK_CHAN_CONSUME, T_MID, GMK_CHAN_FANOUT),
                                  DET_CHAN("det.out", GMK_CHAN_PRODUCE, T_OUT, GMK_CHAN_P2P)};
static gmk_chan_decl_t sink_c[] = {DET_CHAN("det.out", GMK_CHAN_CONSUME, T_OUT, GMK_CHAN_P2P)};

static gmk_module_t mods[] = {
    {.name = "source",
     .handlers = source_h,
     .n_handlers = 2,
     .channels = source_c,
     .n_channels = 2},
    {.name = "left", .handlers = mid_h, .n_handlers = 1, .channels = mid_c, .n_channels = 2},
    {.name = "right", .handlers = mid_h, .n_handlers = 1, .channels = mid_c, .n_channels = 2},
    {.name = "sink", .handlers = sink_h, .n_handlers = 2, .channels = sink_c, .n_channels = 1}};

static bool begin(uint32_t workers)
{
    gmk_module_t *all[] = {&mods[0], &mods[1], &mods[2], &mods[3]};
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)8 << 20,
                          .n_workers = workers,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS,
                          .spin_ns = 2000};

    gmk_hal_memset(&det, 0, sizeof(det));
    mods[1].user = &det.part[1];
    mods[2].user = &det.part[2];
    if (!kit_boot_mods(&det.k, &cfg, all, 4))
        return false;
    det.ctx = gmk_host_attach(&det.k, &det.host);
    return gmk_test_assert(det.ctx != NULL);
}

static void tick(void)
{
    gmk_tick_advance(&det.k);
    gmk_test_assert_eq(gmk_tick_wait(&det.k, KIT_WAIT_NS), GMK_OK);
    det.n_ticks++;
}

/* Input of a tick, drawn from a seed: messages, with and without payload, and direct tasks. */
static void input(uint64_t seed)
{
    for (uint32_t i = 0; i < 5 + (mix(seed) & 7); i++) {
        uint64_t dna = mix(seed * 31 + i);
        gmk_task_t t = {.type = T_IN, .flags = (uint16_t)(dna >> 3 & 3), .meta0 = dna};
        uint8_t *p;

        if ((dna & 0x8) != 0 && (p = gmk_payload_alloc(det.ctx, 40)) != NULL) {
            *p = (uint8_t)dna;
            gmk_task_set_payload(&t, p);
        }
        if ((dna & 0x4) == 0) {
            gmk_test_assert_eq(send(det.ctx, "det.in", t), GMK_OK);
        } else {
            t.flags |= GMK_TF_DETERMINISTIC;
            gmk_test_assert_eq(dna & 0x2 ? gmk_emit(det.ctx, &t) : gmk_submit(&det.k, &t), GMK_OK);
        }
    }
}

static void end(void)
{
    det.hash = gmk_trace_hash(&det.k);
    gmk_test_assert_eq(gmk_host_detach(&det.host), GMK_OK);
    kit_halt(&det.k);
    gmk_test_assert_eq(gmk_load_acq(&det.broken, GMK_DEV), 0); /* sync: test.kit */
}

static void run_all(uint64_t seed)
{
    for (uint32_t t = 0; t < TICKS; t++) {
        input(seed + t);
        tick();
    }
    for (uint32_t t = 0; t < 40; t++) /* back-offs and what was put off come to their end */
        tick();
}

/* ACC-7, DET-1, DET-2, DET-7, DET-9: identical results and hash for any number of workers. */
GMK_TEST(det_same_results_and_hash_on_any_number_of_workers)
{
    static const uint32_t workers[] = {1, 1, 2, 3, 8};
    struct det first = {.hash = 0};
    uint64_t seed = gmk_test_seed() * 1000;

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(workers); i++) {
        GMK_REQUIRE(begin(workers[i]));
        run_all(seed);
        end();
        if (i == 0)
            first = det;
        gmk_test_assert_gt(det.part[3].n, 0);
        gmk_test_assert_ne(det.hash, 0);
        gmk_test_assert_eq(det.hash, first.hash);
        for (uint32_t p = 0; p < 4; p++) {
            gmk_test_assert_eq(det.part[p].sum, first.part[p].sum);
            gmk_test_assert_eq(det.part[p].n, first.part[p].n);
        }
    }
    GMK_REQUIRE(begin(2));
    run_all(seed + 1);
    end();
    gmk_test_assert_ne(det.hash, first.hash); /* other input, other hash */
}

/* DET-4, DET-5, CH-54: what comes during a tick waits for the next one; nothing runs
 * without an advance. */
GMK_TEST(det_emission_lands_in_the_next_tick)
{
    gmk_task_t t = {.type = T_MID, .meta0 = 1};
    gmk_audit_report_t books;

    GMK_REQUIRE(begin(2));
    gmk_test_assert_eq(send(det.ctx, "det.mid", t), GMK_OK);
    GMK_REQUIRE(kit_idle(&det.k));
    gmk_test_assert_eq(det.part[1].n, 0);
    gmk_test_assert_eq(gmk_audit(&det.k, &books), GMK_OK);
    gmk_test_assert_eq(books.queued, 1);
    tick();
    gmk_test_assert_eq(det.part[1].n, 1);
    gmk_test_assert_eq(det.part[2].n, 1);
    gmk_test_assert_eq(det.part[3].n, 0);
    tick();
    gmk_test_assert_eq(det.part[3].n, 2);
    gmk_test_assert_eq(gmk_audit(&det.k, &books), GMK_OK);
    gmk_test_assert_eq(books.queued, 0);
    end();
}

/* DET-1, DET-4, DET-7: ticks that are all owed begin the moment the one before ends, while
 * the worker that ended it still looks for more: it must not find the next one half handed
 * out (TSan watches, too). What a task puts off counts from its own tick, however many
 * have been advanced to. */
GMK_TEST(det_ticks_that_follow_at_once_are_the_same_on_any_workers)
{
    static const uint32_t workers[] = {1, 2, 4, 8};
    uint32_t n = (uint32_t)gmk_test_scale(400, 40);
    struct det first = {.hash = 0};

    for (uint32_t w = 0; w < GMK_ARRAY_LEN(workers); w++) {
        GMK_REQUIRE(begin(workers[w]));
        for (uint32_t i = 0; i < 2 * n; i++) {
            gmk_task_t t = {.type = T_IN,
                            .flags = GMK_TF_DETERMINISTIC,
                            .meta0 = mix(gmk_test_seed() * 7919 + i)};

            gmk_test_assert_eq(gmk_submit_at_tick(&det.k, &t, 1 + i / 2), GMK_OK);
        }
        for (uint32_t i = 0; i < n + 40; i++)
            gmk_tick_advance(&det.k);
        gmk_test_assert_eq(gmk_tick_wait(&det.k, KIT_WAIT_NS), GMK_OK);
        end();
        if (w == 0)
            first = det;
        gmk_test_assert_gt(det.part[3].n, 0);
        gmk_test_assert_eq(det.hash, first.hash);
        for (uint32_t p = 0; p < 4; p++)
            gmk_test_assert_eq(det.part[p].sum, first.part[p].sum);
    }
}

/* A message that comes back may use up the module's turn; the module's part of the tick is
 * then run by the next turn, though no message gives notice. */
static gmk_a32_t runs;

static int on_back(gmk_ctx_t *ctx)
{
    kit_add(&runs, 1);
    return gmk_retries(ctx) == 0 ? (int)GMK_RETRY : GMK_OK;
}

GMK_TEST(det_runs_after_a_turn_spent_on_a_retry)
{
    gmk_handler_reg_t h[] = {DET_HANDLER(T_OUT, on_out),
                             {.type = T_PLAIN, .fn = on_back, .name = "back"}};
    gmk_chan_decl_t c[] = {
        DET_CHAN("det.out", GMK_CHAN_CONSUME, T_OUT, GMK_CHAN_P2P),
        {.name = "det.plain", .direction = GMK_CHAN_CONSUME, .msg_type = T_PLAIN}};
    gmk_module_t m = {
        .name = "mixed", .handlers = h, .n_handlers = 2, .channels = c, .n_channels = 2};
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)8 << 20,
                          .n_workers = 1,
                          .batch_size = 1,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};
    gmk_task_t plain = {.type = T_PLAIN}, out = {.type = T_OUT};

    gmk_hal_memset(&det, 0, sizeof(det));
    kit_set(&runs, 0);
    GMK_REQUIRE(kit_boot(&det.k, &cfg, &m));
    det.ctx = gmk_host_attach(&det.k, &det.host);
    GMK_REQUIRE(det.ctx != NULL);
    tick();
    for (uint32_t i = 1; i <= 20; i++) {
        gmk_test_assert_eq(send(det.ctx, "det.plain", plain), GMK_OK);
        gmk_test_assert(kit_idle(&det.k));
        gmk_test_assert_eq(kit_get(&runs), 2 * i - 1); /* it waits for the next tick */
        gmk_test_assert_eq(send(det.ctx, "det.out", out), GMK_OK);
        tick();
        gmk_test_assert_eq(det.part[3].n, i);
        gmk_test_assert(kit_idle(&det.k));
        gmk_test_assert_eq(kit_get(&runs), 2 * i);
    }
    end();
}

static gmk_a32_t slow_in, slow_go;

static int on_slow(gmk_ctx_t *ctx)
{
    (void)ctx;
    kit_set(&slow_in, 1);
    gmk_test_assert(kit_meet(&slow_go, 1));
    return GMK_OK;
}

/* R15: gmk_tick_wait waits for the ticks up to now, not for later ones, and not for ever. */
GMK_TEST(det_tick_wait_ends_with_the_tick_or_its_time)
{
    static gmk_handler_reg_t h[] = {DET_HANDLER(T_SLOW, on_slow)};
    gmk_module_t m = {.name = "slow", .handlers = h, .n_handlers = 1};
    gmk_module_t *one = &m;
    gmk_boot_cfg_t cfg = {.n_workers = 1,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};
    gmk_task_t t = {.type = T_SLOW, .flags = GMK_TF_DETERMINISTIC};
    gmk_kernel_t k;

    slow_in = slow_go = 0;
    GMK_REQUIRE(kit_boot_mods(&k, &cfg, &one, 1));
    gmk_test_assert_eq(gmk_tick_wait(&k, 0), GMK_OK); /* nothing is due */
    gmk_test_assert_eq(gmk_submit(&k, &t), GMK_OK);
    gmk_test_assert_eq(gmk_tick_wait(&k, 0), GMK_OK); /* it lands in tick 1 */
    gmk_tick_advance(&k);
    gmk_test_assert(kit_until(&slow_in, 1));
    gmk_test_assert_eq(gmk_tick_wait(&k, 1000), GMK_E_TIMEOUT);
    kit_set(&slow_go, 1);
    gmk_test_assert_eq(gmk_tick_wait(&k, KIT_WAIT_NS), GMK_OK);
    gmk_test_assert_eq(gmk_metric_get(&k, GMK_METRIC_TASKS_COMPLETED), 1);
    kit_halt(&k);
}

/* CH-54, R15: ticks have been moved past the one that input is for: nobody advances again,
 * so who brings it wakes who runs it. */
GMK_TEST(det_input_for_a_tick_that_has_passed_runs_at_once)
{
    gmk_task_t t = {.type = T_LATER, .flags = GMK_TF_DETERMINISTIC};

    GMK_REQUIRE(begin(1));
    for (uint32_t i = 0; i < 5; i++)
        gmk_tick_advance(&det.k);
    GMK_REQUIRE(kit_idle(&det.k));
    gmk_test_assert_eq(gmk_submit_at_tick(&det.k, &t, 5), GMK_OK);
    gmk_test_assert_eq(gmk_tick_wait(&det.k, KIT_WAIT_NS), GMK_OK);
    gmk_test_assert_eq(det.part[0].n, 1);
    end();
}

static void *advance_once(void *arg)
{
    (void)kit_meet(((kit_thread_t *)arg)->go, 1);
    gmk_tick_advance(&det.k);
    return NULL;
}

/* The same with the advance beside the input: one of the two finds the other. */
GMK_TEST(det_input_beside_an_advance_is_not_slept_through)
{
    gmk_task_t t = {.type = T_LATER, .flags = GMK_TF_DETERMINISTIC};
    uint32_t n = (uint32_t)gmk_test_scale(1000, 400);
    kit_thread_t thread;
    gmk_a32_t go;

    GMK_REQUIRE(begin(1));
    for (uint32_t i = 0; i < n; i++) {
        GMK_REQUIRE(kit_idle(&det.k)); /* nobody looks about by himself */
        kit_start(&thread, 1, &go, advance_once, NULL);
        for (uint32_t wait = i % 40; wait != 0; wait--) /* so that they meet at some time */
            gmk_hal_relax();
        gmk_test_assert_eq(gmk_submit(&det.k, &t), GMK_OK);
        kit_join(&thread, 1);
        if (!gmk_test_assert_eq(gmk_tick_wait(&det.k, KIT_WAIT_NS), GMK_OK))
            break;
    }
    tick();
    gmk_test_assert_eq(det.part[0].n, n);
    end();
}

/* R15: a tick that came to nothing has ended, too: who waits for it is woken, while another
 * worker is busy for as long as that takes. */
GMK_TEST(det_tick_wait_ends_with_a_tick_that_came_to_nothing)
{
    static gmk_handler_reg_t h[] = {{.type = T_SLOW, .fn = on_slow, .name = "slow"}};
    gmk_module_t m = {.name = "slow", .handlers = h, .n_handlers = 1};
    gmk_module_t *one = &m;
    gmk_boot_cfg_t cfg = {.n_workers = 2,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};
    gmk_task_t slow = {.type = T_SLOW}, t = {.type = T_MID};
    int chan;

    slow_in = slow_go = 0;
    gmk_hal_memset(&det, 0, sizeof(det));
    GMK_REQUIRE(kit_boot_mods(&det.k, &cfg, &one, 1));
    det.ctx = gmk_host_attach(&det.k, &det.host);
    GMK_REQUIRE(gmk_test_assert(det.ctx != NULL));
    chan = gmk_chan_open(det.ctx, "det.nobody", GMK_CHAN_FANOUT | GMK_CHAN_DETERMINISTIC, 4);
    GMK_REQUIRE(gmk_test_assert_gt(chan, 0));
    gmk_test_assert_eq(gmk_submit(&det.k, &slow), GMK_OK);
    gmk_test_assert(kit_until(&slow_in, 1));
    for (uint32_t i = 1; i <= 20; i++) {
        gmk_test_assert_eq(gmk_chan_emit(det.ctx, (uint32_t)chan, &t), GMK_OK);
        tick();
        gmk_test_assert_eq(gmk_metric_get(&det.k, GMK_METRIC_CHAN_UNHEARD), i);
    }
    kit_set(&slow_go, 1);
    end();
}

static int on_never(gmk_ctx_t *ctx)
{
    (void)ctx;
    kit_add(&runs, 1);
    return GMK_RETRY;
}

/* R15, R16: as many of a module's messages are away for a retry as may be: its part of a
 * tick begins all the same. */
GMK_TEST(det_tick_runs_beside_messages_that_are_all_away)
{
    gmk_handler_reg_t h[] = {DET_HANDLER(T_OUT, on_out),
                             {.type = T_PLAIN, .fn = on_never, .name = "never"}};
    gmk_chan_decl_t c[] = {
        DET_CHAN("det.out", GMK_CHAN_CONSUME, T_OUT, GMK_CHAN_P2P),
        {.name = "det.plain", .direction = GMK_CHAN_CONSUME, .msg_type = T_PLAIN, .slots = 256}};
    gmk_module_t m = {
        .name = "away", .handlers = h, .n_handlers = 2, .channels = c, .n_channels = 2};
    gmk_boot_cfg_t cfg = {.n_workers = 1,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};
    gmk_task_t plain = {.type = T_PLAIN}, out = {.type = T_OUT};
    uint32_t ran;

    gmk_hal_memset(&det, 0, sizeof(det));
    kit_set(&runs, 0);
    GMK_REQUIRE(kit_boot(&det.k, &cfg, &m));
    det.ctx = gmk_host_attach(&det.k, &det.host);
    GMK_REQUIRE(gmk_test_assert(det.ctx != NULL));
    tick();
    for (uint32_t i = 0; i < GMK_GROUP_RESUME_CAP + 20; i++)
        gmk_test_assert_eq(send(det.ctx, "det.plain", plain), GMK_OK);
    for (uint32_t i = 0; i < 3; i++) { /* the back-off grows beyond a tick */
        GMK_REQUIRE(kit_idle(&det.k));
        tick();
    }
    GMK_REQUIRE(kit_idle(&det.k));
    ran = kit_get(&runs);
    gmk_test_assert_ge(ran, GMK_GROUP_RESUME_CAP);
    gmk_test_assert_eq(send(det.ctx, "det.out", out), GMK_OK);
    tick();
    gmk_test_assert_eq(det.part[3].n, 1);
    gmk_test_assert_eq(kit_get(&runs), ran); /* none came back meanwhile */
    gmk_test_assert_eq(gmk_host_detach(&det.host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&det.k, KIT_HALT_NS, NULL), GMK_OK);
}

/* A module whose outbox waits for room on another channel. */
static int on_mix(gmk_ctx_t *ctx)
{
    gmk_task_t full = {.type = T_FULL, .flags = GMK_PRIO_NORMAL};
    gmk_task_t mid = {.type = T_MID, .flags = GMK_PRIO_NORMAL, .meta0 = 2};
    uint32_t to = (uint32_t)gmk_chan_find(ctx, "mix.full");

    for (uint32_t i = 0; i < 3; i++) /* two slots: the third waits */
        gmk_test_assert_eq(gmk_chan_emit_wait(ctx, to, &full), GMK_OK);
    gmk_test_assert_eq(gmk_chan_emit_wait(ctx, (uint32_t)gmk_chan_find(ctx, "det.mid"), &mid),
                       GMK_OK);
    return GMK_OK;
}

static gmk_handler_reg_t mix_h[] = {{.type = T_MIX, .fn = on_mix, .name = "mix"}};
static gmk_chan_decl_t mix_c[] = {
    {.name = "mix.in", .direction = GMK_CHAN_CONSUME, .msg_type = T_MIX},
    {.name = "mix.full", .direction = GMK_CHAN_PRODUCE, .msg_type = T_FULL, .slots = 2},
    DET_CHAN("det.mid", GMK_CHAN_PRODUCE, T_MID, GMK_CHAN_FANOUT)};
static gmk_module_t mixer = {
    .name = "mixer", .handlers = mix_h, .n_handlers = 1, .channels = mix_c, .n_channels = 3};

/* DET-4, CH-54, R19: a deterministic message lands in the next tick also when its sender's
 * outbox waits for another channel: it is on no ring and needs no room. */
GMK_TEST(det_emission_does_not_queue_behind_an_outbox)
{
    gmk_module_t *all[] = {&mods[0], &mods[1], &mods[2], &mods[3], &mixer};
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)8 << 20,
                          .n_workers = 2,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};
    gmk_task_t t = {.type = T_MIX, .flags = GMK_PRIO_NORMAL};
    gmk_audit_report_t r;

    gmk_hal_memset(&det, 0, sizeof(det));
    mods[1].user = &det.part[1];
    mods[2].user = &det.part[2];
    GMK_REQUIRE(kit_boot_mods(&det.k, &cfg, all, 5));
    det.ctx = gmk_host_attach(&det.k, &det.host);
    GMK_REQUIRE(gmk_test_assert(det.ctx != NULL));
    gmk_test_assert_eq(send(det.ctx, "mix.in", t), GMK_OK);
    GMK_REQUIRE(kit_idle(&det.k));
    gmk_test_assert_eq(gmk_metric_get(&det.k, GMK_METRIC_OUTBOX_PARKED), 1);
    gmk_test_assert_eq(det.part[1].n, 0);
    tick();
    gmk_test_assert_eq(det.part[1].n, 1);
    gmk_test_assert_eq(det.part[2].n, 1);
    gmk_test_assert_eq(gmk_host_detach(&det.host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&det.k, KIT_HALT_NS, &r), GMK_OK);
    gmk_test_assert(r.balanced);
    gmk_test_assert_eq(r.dead, 3);
}

/* DET-6: a deterministic task or channel wants a handler that may be one. */
GMK_TEST(det_refuses_what_cannot_be_deterministic)
{
    gmk_task_t t = {.type = T_PLAIN, .flags = GMK_TF_DETERMINISTIC};
    gmk_task_t in = {.type = T_IN, .flags = GMK_TF_DETERMINISTIC};
    gmk_chan_decl_t c = DET_CHAN("det.plain", GMK_CHAN_CONSUME, T_PLAIN, GMK_CHAN_P2P);
    gmk_module_t m = {
        .name = "plain", .handlers = &sink_h[1], .n_handlers = 1, .channels = &c, .n_channels = 1};
    gmk_module_t *one = &m;
    gmk_kernel_t k;

    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_emit(det.ctx, &t), GMK_E_WIRING);
    gmk_test_assert_eq(gmk_submit(&det.k, &t), GMK_E_WIRING);
    gmk_test_assert_eq(gmk_emit_to(det.ctx, &in, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_emit_after(det.ctx, &in, 5), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_to(&det.k, &in, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_after(&det.k, &in, 5), GMK_E_INVALID);
    end();
    gmk_test_assert_eq(gmk_boot(&k, NULL, &one, 1), GMK_E_WIRING);
}

/* R8, DET-4: halt dead-letters what no tick will run, and the books balance. */
GMK_TEST(det_halt_accounts_for_work_of_later_ticks)
{
    gmk_audit_report_t r;

    GMK_REQUIRE(begin(2));
    input(7);
    tick();
    input(8);
    gmk_test_assert_eq(gmk_host_detach(&det.host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&det.k, KIT_HALT_NS, &r), GMK_OK);
    gmk_test_assert(r.balanced);
    gmk_test_assert_gt(r.dead, 0);
    gmk_test_assert_eq(r.payloads_live, 0);
}

/* Recording. -------------------------------------------------------------------------- */

static int write_bytes(void *arg, const void *bytes, size_t n)
{
    (void)arg;
    if (n > record_cap - record_n)
        return -1;
    gmk_hal_memcpy(record_bytes + record_n, bytes, n);
    record_n += n;
    return 0;
}

static int64_t read_bytes(void *arg, void *bytes, size_t n)
{
    uint64_t *rand = arg;

    n = gmk_min64(n, 1 + mix(++*rand) % 300);
    n = gmk_min64(n, record_n - record_at);
    gmk_hal_memcpy(bytes, record_bytes + record_at, n);
    record_at += n;
    return (int64_t)n;
}

static bool make_recording(uint32_t workers)
{
    uint32_t fault = 99;

    record_n = 0;
    record_cap = RECORD_BYTES;
    if (!begin(workers))
        return false;
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_OK);
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_E_BUSY);
    run_all(gmk_test_seed());
    gmk_test_assert_eq(gmk_record_stop(&det.k, &fault), GMK_OK);
    gmk_test_assert_eq(fault, GMK_RECORD_SOUND);
    gmk_test_assert_eq(gmk_record_stop(&det.k, NULL), GMK_E_NOT_FOUND);
    end();
    return true;
}

/* DET-7, DET-8, ACC-7: a recording replays to the same hash and results, whatever the
 * number of workers. */
GMK_TEST(det_recording_replays_on_any_number_of_workers)
{
    static const uint32_t workers[] = {1, 2, 8};
    struct det first;

    GMK_REQUIRE(make_recording(2));
    first = det;
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(workers); i++) {
        gmk_replay_report_t report = {.fault = 99};
        uint64_t rand = i;

        record_at = 0;
        GMK_REQUIRE(begin(workers[i]));
        gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_OK);
        gmk_test_assert_eq(report.hash, first.hash);
        gmk_test_assert_eq(report.fault, GMK_RECORD_SOUND);
        gmk_test_assert_gt(report.n_inputs, TICKS);
        end();
        gmk_test_assert_eq(det.hash, first.hash);
        for (uint32_t p = 0; p < 4; p++)
            gmk_test_assert_eq(det.part[p].sum, first.part[p].sum);
    }
}

/* DET-7: a handler that acts otherwise than it did is found out, at its tick. */
GMK_TEST(det_replay_names_the_tick_where_it_diverges)
{
    gmk_replay_report_t report;
    uint64_t rand = 1;

    GMK_REQUIRE(make_recording(1));
    record_at = 0;
    GMK_REQUIRE(begin(1));
    sink_h[0].fn = on_plain; /* the same events: not seen */
    mid_h[0].fn = on_plain;  /* sends nothing on: seen */
    gmk_test_assert_eq(gmk_host_detach(&det.host), GMK_OK);
    kit_halt(&det.k);
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_E_DIVERGED);
    gmk_test_assert_gt(report.tick, 1);
    gmk_test_assert_lt(report.tick, TICKS);
    mid_h[0].fn = on_mid;
    sink_h[0].fn = on_out;
    gmk_test_assert_eq(gmk_host_detach(&det.host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&det.k, KIT_HALT_NS, NULL), GMK_OK);
}

/* What differs in the last tick alone is found at the end: before the tick after it. */
static int on_out_other(gmk_ctx_t *ctx)
{
    (void)on_out(ctx);
    return ctx->tick == 2 ? GMK_FAIL(9) : GMK_OK;
}

GMK_TEST(det_replay_names_the_tick_after_the_last_when_that_differs)
{
    gmk_task_t t = {.type = T_MID, .meta0 = 1};
    gmk_replay_report_t report;
    uint64_t rand = 1;

    record_n = 0;
    record_cap = RECORD_BYTES;
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_OK);
    gmk_test_assert_eq(send(det.ctx, "det.mid", t), GMK_OK);
    tick();
    tick();
    gmk_test_assert_eq(gmk_record_stop(&det.k, NULL), GMK_OK);
    gmk_test_assert_eq(det.part[3].n, 2);
    end();
    record_at = 0;
    sink_h[0].fn = on_out_other;
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_E_DIVERGED);
    sink_h[0].fn = on_out;
    gmk_test_assert_eq(report.n_ticks, 2);
    gmk_test_assert_eq(report.tick, 3);
    end();
}

/* A reader that fails is no sound recording. */
static int64_t read_nothing(void *arg, void *bytes, size_t n)
{
    uint32_t *calls = arg;

    if (++*calls > 1)
        return -1;
    n = gmk_min64(n, GMK_RECORD_HEADER_BYTES + 7);
    gmk_hal_memcpy(bytes, record_bytes, n);
    return (int64_t)n;
}

GMK_TEST(det_replay_says_that_its_reader_failed)
{
    gmk_replay_report_t report = {.fault = 99};
    uint32_t calls = 0;

    GMK_REQUIRE(make_recording(1));
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_replay(&det.k, read_nothing, &calls, KIT_WAIT_NS, &report),
                       GMK_E_RECORD);
    gmk_test_assert_eq(report.fault, GMK_RECORD_READ_FAILED);
    gmk_test_assert_eq(report.offset, GMK_RECORD_HEADER_BYTES + 7);
    end();
}

/* R15: a damaged or cut recording, a full disk, a kernel that is not fresh: each is said. */
GMK_TEST(det_replay_says_what_is_wrong_with_a_recording)
{
    gmk_replay_report_t report;
    uint64_t rand = 1;
    uint32_t fault = 0;
    size_t whole;

    GMK_REQUIRE(make_recording(1));
    whole = record_n;
    GMK_REQUIRE(begin(1));
    record_at = 0;
    record_n = whole - 1;
    gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_E_RECORD);
    gmk_test_assert_eq(report.fault, GMK_RECORD_TRUNCATED);
    record_at = 0;
    record_n = whole;
    gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_E_BUSY);
    gmk_test_assert_eq(gmk_replay(NULL, read_bytes, &rand, 1, &report), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_replay(&det.k, NULL, NULL, 1, &report), GMK_E_INVALID);
    end();
    record_n = 0;
    record_cap = 200;
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_OK);
    input(3);
    tick();
    gmk_test_assert_eq(gmk_record_stop(&det.k, &fault), GMK_E_RECORD);
    gmk_test_assert_eq(fault, GMK_RECORD_WRITE_FAILED);
    gmk_test_assert_gt(gmk_metric_get(&det.k, GMK_METRIC_RECORD_FAILS), 0);
    for (uint32_t t = 0; t < 40; t++)
        tick();
    end();
}

/* A recording of one input, as anybody could write it: for the trace hash of a kernel that
 * has run nothing. */
static void forge(const char *channel, gmk_task_t t, uint64_t hash)
{
    gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};

    record_n = record_at = 0;
    record_cap = RECORD_BYTES;
    gmk_test_assert_eq(gmk_record_begin(&w, write_bytes, NULL, 0, 0), GMK_OK);
    gmk_test_assert_eq(gmk_record_input(&w, 1, channel, &t, NULL), GMK_OK);
    gmk_test_assert_eq(gmk_record_tick(&w, 1, hash), GMK_OK);
    gmk_test_assert_eq(gmk_record_end(&w, hash), GMK_OK);
}

/* Found by fuzzing: a replay took a step for every tick up to the one a recording names. */
GMK_TEST(det_replay_goes_straight_to_a_far_tick)
{
    const uint64_t far = GMK_RECORD_LIMIT - 1;
    gmk_task_t t = {.type = T_IN, .flags = GMK_TF_DETERMINISTIC};
    gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};
    gmk_replay_report_t report;
    uint64_t rand = 1;

    GMK_REQUIRE(begin(2));
    record_n = record_at = 0;
    record_cap = RECORD_BYTES;
    gmk_test_assert_eq(gmk_record_begin(&w, write_bytes, NULL, 0, 0), GMK_OK);
    gmk_test_assert_eq(gmk_record_input(&w, far, NULL, &t, NULL), GMK_OK);
    gmk_test_assert_eq(gmk_record_tick(&w, far, gmk_trace_hash(&det.k)), GMK_OK);
    gmk_test_assert_eq(gmk_record_end(&w, 0), GMK_OK);
    gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_E_DIVERGED);
    gmk_test_assert_eq(report.n_ticks, 1);
    gmk_test_assert_eq(report.tick, far + 1);
    gmk_test_assert_eq(gmk_tick_now(&det.k), (uint32_t)far);
    end();
}

/* DET-7, R15: an input of a recording is checked as an emit is: another kernel's, or one
 * that was changed, is refused, and nothing of it is done. */
GMK_TEST(det_replay_refuses_input_that_an_emit_refuses)
{
    static const struct {
        const char *channel;
        gmk_task_t t;
        int rc;
    } bad[] = {{"det.mid", {.type = T_OUT}, GMK_CHAN_TYPE_MISMATCH},
               {"det.mid", {.type = 99}, GMK_CHAN_TYPE_MISMATCH},
               {"det.mid", {.type = T_MID, .tenant = GMK_MAX_TENANTS - 1}, GMK_E_TENANT},
               {"mix.in", {.type = T_MIX}, GMK_E_WIRING},
               {"det.nowhere", {.type = T_MID}, GMK_E_NOT_FOUND},
               {NULL, {.type = T_PLAIN}, GMK_E_WIRING},
               {NULL, {.type = 99}, GMK_E_NO_HANDLER},
               {NULL, {.type = T_IN, .tenant = GMK_MAX_TENANTS - 1}, GMK_E_TENANT}};
    gmk_module_t *all[] = {&mods[0], &mods[1], &mods[2], &mods[3], &mixer};
    gmk_boot_cfg_t cfg = {.n_workers = 1,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};
    gmk_replay_report_t report;
    uint64_t rand = 1;

    gmk_hal_memset(&det, 0, sizeof(det));
    GMK_REQUIRE(kit_boot_mods(&det.k, &cfg, all, 5));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(bad); i++) {
        forge(bad[i].channel, bad[i].t, gmk_trace_hash(&det.k));
        gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), bad[i].rc);
        gmk_test_assert_eq(report.n_inputs, 0);
        gmk_test_assert_eq(report.n_ticks, 0);
    }
    gmk_test_assert_eq(kit_halt(&det.k).accepted, 0);
}

/* DET-7: what fitted when it was recorded fits when it is replayed: an input takes memory
 * for the channel's subscribers, not for as many as there could be. */
GMK_TEST(det_recording_replays_in_the_arena_it_was_made_in)
{
    gmk_task_t t = {.type = T_OUT};
    gmk_replay_report_t report;
    uint64_t rand = 1;

    record_n = record_at = 0;
    record_cap = RECORD_BYTES;
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_OK);
    for (uint32_t i = 0; i < 2200; i++)
        gmk_test_assert_eq(send(det.ctx, "det.out", t), GMK_OK);
    tick();
    gmk_test_assert_eq(gmk_record_stop(&det.k, NULL), GMK_OK);
    end();
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_OK);
    gmk_test_assert_eq(report.n_inputs, 2200);
    end();
    gmk_test_assert_eq(det.part[3].n, 2200);
}

/* DET-7: a recording begun after other work replays in a kernel that did none of it: the
 * hash begins with it. A kernel that did the same work replays it as well. */
GMK_TEST(det_recording_begun_after_work_replays)
{
    gmk_task_t t = {.type = T_MID, .meta0 = 1};
    gmk_replay_report_t report;
    uint64_t rand = 1, none;

    record_n = record_at = 0;
    record_cap = RECORD_BYTES;
    GMK_REQUIRE(begin(2));
    none = gmk_trace_hash(&det.k);
    gmk_test_assert_eq(send(det.ctx, "det.mid", t), GMK_OK);
    tick();
    tick();
    gmk_test_assert_ne(gmk_trace_hash(&det.k), none);
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_OK);
    gmk_test_assert_eq(gmk_trace_hash(&det.k), none);
    gmk_test_assert_eq(send(det.ctx, "det.mid", t), GMK_OK);
    tick();
    tick();
    gmk_test_assert_eq(gmk_record_stop(&det.k, NULL), GMK_OK);
    end();
    for (uint32_t before = 0; before < 2; before++) {
        record_at = 0;
        GMK_REQUIRE(begin(1));
        if (before == 1) {
            gmk_test_assert_eq(send(det.ctx, "det.mid", t), GMK_OK);
            tick();
            tick();
            gmk_test_assert_ne(gmk_trace_hash(&det.k), none);
        }
        gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_OK);
        gmk_test_assert_eq(report.n_inputs, 1);
        end();
    }
}

/* DET-7: a recording is asked for while ticks begin and end: it looks at nobody's lists
 * meanwhile (TSan watches), and begins only where nothing is pending. */
GMK_TEST(det_record_start_beside_ticks_looks_at_no_open_one)
{
    uint32_t n = (uint32_t)gmk_test_scale(400, 40);
    uint32_t begun = 0;

    record_cap = RECORD_BYTES;
    GMK_REQUIRE(begin(3));
    for (uint32_t i = 0; i < n; i++) {
        gmk_task_t t = {.type = T_IN,
                        .flags = GMK_TF_DETERMINISTIC,
                        .meta0 = mix(gmk_test_seed() * 104729 + i)};

        gmk_test_assert_eq(gmk_submit(&det.k, &t), GMK_OK);
        gmk_tick_advance(&det.k);
        for (uint32_t look = 0; look < 20; look++) {
            int rc;

            record_n = 0;
            rc = gmk_record_start(&det.k, write_bytes, NULL);
            gmk_test_assert(rc == GMK_OK || rc == GMK_E_BUSY);
            if (rc == GMK_OK) {
                begun++;
                gmk_test_assert_eq(gmk_record_stop(&det.k, NULL), GMK_OK);
            }
        }
    }
    for (uint32_t t = 0; t < 40; t++)
        tick();
    record_n = 0;
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_OK);
    gmk_test_assert_eq(gmk_record_stop(&det.k, NULL), GMK_OK);
    gmk_test_assert_lt(begun, 20 * n); /* some found work pending */
    end();
}
