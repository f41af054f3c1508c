/* SPDX-License-Identifier: MIT
 * Deterministic modules in a whole kernel: they send on, yield, retry, fail and put off as
 * the numbers of their messages say, and sum up what they have seen, in order.
 * Floor: tests. Source: SPEC DET-1 to DET-9, CH-54; ARCHITECTURE R15. */
#ifndef TEST_DET_WORK_H
#define TEST_DET_WORK_H

#include "kernel_env.h"

#include "ggmk/sdk.h"

enum { T_IN = 1, T_MID, T_OUT, T_LATER, T_PLAIN, T_MIX, T_FULL, T_SLOW };
#define TICKS 12u

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

GMK_FN uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x7fb5d329728ea185ull;
    x ^= x >> 27;
    return x * 0x81dadef4bc2dd44dull;
}

GMK_FN void broken(void) { gmk_add_rlx(&det.broken, 1, GMK_DEV); } /* relaxed: a count */

GMK_FN void saw(part_t *p, gmk_ctx_t *ctx)
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

GMK_FN int send(gmk_ctx_t *ctx, const char *name, gmk_task_t t)
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

GMK_FN bool begin(uint32_t workers)
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

GMK_FN void tick(void)
{
    gmk_tick_advance(&det.k);
    gmk_test_assert_eq(gmk_tick_wait(&det.k, KIT_WAIT_NS), GMK_OK);
    det.n_ticks++;
}

/* Input of a tick, drawn from a seed: messages, with and without payload, and direct tasks. */
GMK_FN void input(uint64_t seed)
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

GMK_FN void end(void)
{
    det.hash = gmk_trace_hash(&det.k);
    gmk_test_assert_eq(gmk_host_detach(&det.host), GMK_OK);
    kit_halt(&det.k);
    gmk_test_assert_eq(gmk_load_acq(&det.broken, GMK_DEV), 0); /* sync: test.kit */
}

GMK_FN void run_all(uint64_t seed)
{
    for (uint32_t t = 0; t < TICKS; t++) {
        input(seed + t);
        tick();
    }
    for (uint32_t t = 0; t < 40; t++) /* back-offs and what was put off come to their end */
        tick();
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

#endif
