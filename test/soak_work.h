/* SPDX-License-Identifier: MIT
 * The work of the mixed load: modules for every kind of task and channel, each of which
 * counts what came to its end and checks what it was given. The load itself, its phases and
 * the verdict are in soak_mixed.c.
 * State of a serial handler is plain memory, so that TSan watches the serial promise too.
 * Floor: tests, on the public interface alone. Source: SPEC ACC-1, H; ARCHITECTURE R4, R8. */
#ifndef TEST_SOAK_WORK_H
#define TEST_SOAK_WORK_H

#include "ggmk/base/bits.h"
#include "ggmk/ggmk.h"
#include "ggmk/hal.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"

/* Direct work, then messages. */
#define MIX_TYPES(X)                                                                               \
    X(LEAF, 1)                                                                                     \
    X(TREE, 2)                                                                                     \
    X(CHAIN, 3)                                                                                    \
    X(YIELD, 4)                                                                                    \
    X(STUBBORN, 5)                                                                                 \
    X(RETRY, 6)                                                                                    \
    X(FAIL, 7)                                                                                     \
    X(POISON, 8)                                                                                   \
    X(TIMER, 9)                                                                                    \
    X(TICK, 10)                                                                                    \
    X(BOUND, 11)                                                                                   \
    X(BLOCK, 12)                                                                                   \
    X(PAYLOAD, 13)                                                                                 \
    X(DET, 14)                                                                                     \
    X(CHURN, 15)                                                                                   \
    X(REJOIN, 16)                                                                                  \
    X(TICKS, 17)                                                                                   \
    X(ONE, 18)                                                                                     \
    X(TWO, 19)                                                                                     \
    X(THREE, 20)                                                                                   \
    X(PAR, 21)                                                                                     \
    X(FAN, 22)                                                                                     \
    X(LOSSY, 23)                                                                                   \
    X(SHORT, 24)

enum mix_type {
#define X(name, number) T_##name = number,
    MIX_TYPES(X)
#undef X
        T_END
};

#define MAX_YIELDS 4u
#define PRODUCERS 8u
#define SLOTS 8u
#define FAIL_TICKS (GMK_POISON_WINDOW / GMK_POISON_RATE + 1) /* so often it may, unpoisoned */

/* Of one type: deliveries that the kernel took on, and that came to their handler's end. */
typedef struct tally {
    GMK_ALIGNAS(64) gmk_a64_t begun;
    gmk_a64_t ended;
} tally_t;

/* A serial module. */
typedef struct serial {
    uint32_t inside;
    uint64_t last[PRODUCERS]; /* pipeline: of each producer, the number it came to */
    uint64_t top;             /* fan-out: the last position it has come to */
    uint64_t seen, again, lossy;
    uint64_t asked;  /* the position at which it asked for a replay last */
    uint32_t failed; /* the tick in which it failed last */
} serial_t;

typedef struct slot {
    gmk_a32_t busy;
    gmk_a32_t id; /* of its channel, 0: closed */
} slot_t;

typedef struct mix {
    gmk_kernel_t kernel;
    uint64_t seed;
    uint32_t n_workers;
    uint32_t one, two, three, par, fan, lossy; /* channels that stay open */
    gmk_a32_t drag;                            /* how slow the slow ones are */
    gmk_a32_t wrong;
    gmk_a32_t epoch; /* odd: the load runs */
    gmk_a32_t phase;
    gmk_a32_t stop;
    tally_t n[T_END];
    serial_t stage[3], fast, slow, dying, short_lived;
    slot_t slots[SLOTS];
    gmk_a64_t boxed; /* failures that came to the channel's own error handler */
    gmk_a64_t ticks;
    uint64_t next_tick;
    uint64_t dropped[256]; /* reports on sys.dropped by type */
    uint64_t errors;
    gmk_a64_t audits;
    gmk_a64_t looks;
} mix_t;

/* A promise is not kept; the first few are told. */
static inline void broken(mix_t *m, const char *what)
{
    if (gmk_add_rlx(&m->wrong, 1, GMK_DEV) < 20)
        printf("[FAIL] mixed: %s; phase %u, seed %llu\n", what,
               (unsigned)gmk_load_rlx(&m->phase, GMK_DEV), (unsigned long long)m->seed);
}

GMK_FN void expect(mix_t *m, bool ok, const char *what)
{
    if (!ok)
        broken(m, what);
}

/* Counts what was taken on. */
GMK_FN bool took(mix_t *m, uint32_t type, int rc)
{
    if (rc == GMK_OK)
        gmk_add_rlx(&m->n[type].begun, 1, GMK_DEV);
    return rc == GMK_OK;
}

GMK_FN int ended(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;

    gmk_add_rlx(&m->n[ctx->task->type].ended, 1, GMK_DEV);
    return GMK_OK;
}

/* Memory is filled with what its length says, so that two owners show. */
GMK_FN void fill(void *p, uint32_t len) { memset(p, (int)(len * 31 + 7) & 0xff, len); }

GMK_FN bool whole(const void *p, uint32_t len)
{
    const unsigned char *b = p;
    unsigned char want = (unsigned char)(len * 31 + 7);

    return b[0] == want && b[len / 2] == want && b[len - 1] == want;
}

GMK_FN void check_payload(gmk_ctx_t *ctx)
{
    const gmk_task_t *t = ctx->task;

    if (t->payload_len != 0)
        expect(ctx->user, whole((const void *)(uintptr_t)t->payload_ptr, t->payload_len),
               "a payload is not what was put there");
}

/* A payload for a task, if memory allows. returns: whether it has one. */
GMK_FN bool give_payload(gmk_ctx_t *ctx, gmk_task_t *t, uint32_t len)
{
    void *p = gmk_payload_alloc(ctx, len);

    if (p == NULL)
        return false;
    fill(p, len);
    gmk_task_set_payload(t, p);
    return true;
}

GMK_FN void take_back(gmk_ctx_t *ctx, const gmk_task_t *t)
{
    if (t->payload_len != 0)
        gmk_payload_release_ptr(ctx, (void *)(uintptr_t)t->payload_ptr);
}

/* From 64 bytes to 4 KiB. */
GMK_FN uint32_t draw_len(uint64_t dna) { return 64u << (dna % 7) | (uint32_t)(dna >> 20 & 31); }

GMK_FN bool spawn(gmk_ctx_t *ctx, gmk_task_t t)
{
    t.tenant = ctx->task->tenant;
    return took(ctx->user, t.type, gmk_emit(ctx, &t));
}

/* Direct work. -------------------------------------------------------------------------- */

static inline int on_leaf(gmk_ctx_t *ctx) { return ended(ctx); }

static inline int on_tree(gmk_ctx_t *ctx)
{
    gmk_task_t t = {.type = T_TREE, .flags = GMK_PRIO_NORMAL, .meta0 = ctx->task->meta0 - 1};

    if (ctx->task->meta0 != 0) {
        spawn(ctx, t);
        spawn(ctx, t);
    }
    return ended(ctx);
}

static inline int on_chain(gmk_ctx_t *ctx)
{
    gmk_task_t t = {.type = T_CHAIN, .flags = GMK_PRIO_NORMAL, .meta0 = ctx->task->meta0 - 1};

    if (ctx->task->meta0 != 0)
        spawn(ctx, t);
    return ended(ctx);
}

static inline int on_yield(gmk_ctx_t *ctx)
{
    if (ctx->task->yield_count < (ctx->task->meta0 & 7)) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    return ended(ctx);
}

/* Yields until the breaker trips: the last yield is its end. */
static inline int on_stubborn(gmk_ctx_t *ctx)
{
    if (ctx->task->yield_count >= MAX_YIELDS)
        ended(ctx);
    gmk_yield(ctx);
    return GMK_OK;
}

static inline int on_retry(gmk_ctx_t *ctx)
{
    return gmk_retries(ctx) < (ctx->task->meta0 & 3) ? (int)GMK_RETRY : ended(ctx);
}

static inline int on_fail(gmk_ctx_t *ctx)
{
    ended(ctx);
    return (ctx->task->meta0 & 127) == 0 ? GMK_FAIL(9) : GMK_OK;
}

static inline int on_poison(gmk_ctx_t *ctx)
{
    ended(ctx);
    return GMK_FAIL(10);
}

/* meta0: not before this moment. */
static inline int on_timer(gmk_ctx_t *ctx)
{
    expect(ctx->user, gmk_hal_now_ns() >= ctx->task->meta0, "a timer came early");
    return ended(ctx);
}

/* meta0: not before this tick. */
static inline int on_tick_due(gmk_ctx_t *ctx)
{
    expect(ctx->user, gmk_tick_now(ctx->kernel) >= ctx->task->meta0, "a tick came early");
    return ended(ctx);
}

static inline int on_bound(gmk_ctx_t *ctx)
{
    expect(ctx->user, ctx->worker_id == ctx->task->meta0, "a bound task ran elsewhere");
    return ended(ctx);
}

/* A block from another thread is freed here, and another goes to the next worker. */
static inline int on_block(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;
    gmk_task_t t = *ctx->task;
    uint32_t len = (uint32_t)t.meta1;
    uint64_t hops = t.meta1 >> 32;
    void *p = (void *)(uintptr_t)t.meta0;

    expect(m, whole(p, len), "a block is not what was put there");
    gmk_free(ctx, p);
    len = draw_len(mix(t.meta1 + hops));
    p = hops != 0 ? gmk_alloc(ctx, len) : NULL;
    if (p != NULL) {
        fill(p, len);
        t.meta0 = (uint64_t)(uintptr_t)p;
        t.meta1 = (hops - 1) << 32 | len;
        if (!took(m, T_BLOCK, gmk_emit_to(ctx, &t, (ctx->worker_id + 1) % m->n_workers)))
            gmk_free(ctx, p);
    }
    return ended(ctx);
}

/* Its payload goes round the workers; meta1: how often yet. */
static inline int on_payload(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;
    gmk_task_t t = *ctx->task;

    check_payload(ctx);
    if (t.meta1 != 0) {
        t.meta1--;
        gmk_payload_retain(ctx);
        if (!took(m, T_PAYLOAD, gmk_emit_to(ctx, &t, (ctx->worker_id + 1) % m->n_workers)))
            take_back(ctx, &t);
    }
    return ended(ctx);
}

/* Serial channel work. -------------------------------------------------------------------- */

GMK_FN void come_in(gmk_ctx_t *ctx, serial_t *s)
{
    expect(ctx->user, s->inside++ == 0, "two at a time in a serial module");
    check_payload(ctx);
}

/* Spins as long as the slow ones shall. */
GMK_FN void dawdle(const mix_t *m)
{
    uint64_t n = gmk_load_rlx(&m->drag, GMK_DEV);

    for (volatile uint64_t i = 0; i < n; i++) {
    }
}

/* A stage of the pipeline: numbers of a producer come in order, and go on. */
GMK_FN int run_stage(gmk_ctx_t *ctx, serial_t *s, uint32_t next, uint32_t type)
{
    mix_t *m = ctx->user;
    gmk_task_t t = *ctx->task;
    uint64_t *last = &s->last[t.meta0 % PRODUCERS];
    int rc;

    come_in(ctx, s);
    if (ctx->task->yield_count == 0 && gmk_retries(ctx) == 0) {
        expect(m, t.meta1 > *last, "a channel's order is broken");
        *last = t.meta1;
    }
    s->inside--;
    if (type == 0)
        return GMK_OK;
    t.type = type;
    if (t.payload_len != 0)
        gmk_payload_retain(ctx);
    rc = gmk_chan_emit_wait(ctx, next, &t);
    expect(m, took(m, type, rc), "a stage could not send on");
    if (rc != GMK_OK)
        take_back(ctx, &t);
    return ended(ctx);
}

static inline int on_one(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;

    return run_stage(ctx, &m->stage[0], m->two, T_TWO);
}

static inline int on_two(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;

    dawdle(m);
    return run_stage(ctx, &m->stage[1], m->three, T_THREE);
}

/* The last stage yields and retries now and then. */
static inline int on_three(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;
    bool first = ctx->task->yield_count == 0 && gmk_retries(ctx) == 0;

    run_stage(ctx, &m->stage[2], 0, 0);
    if (first && (ctx->task->meta1 & 255) == 1) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    if (first && (ctx->task->meta1 & 1023) == 2)
        return GMK_RETRY;
    return ended(ctx);
}

/* Counts a fan-out message by its position: a replay counts once. */
GMK_FN void count_fan(gmk_ctx_t *ctx, serial_t *s)
{
    uint64_t seq = gmk_chan_seq(ctx);

    come_in(ctx, s);
    if (ctx->task->yield_count != 0) {
        s->inside--;
        return;
    }
    if (seq > s->top) {
        expect(ctx->user, s->top == 0 || seq == s->top + 1, "a lossless channel has a gap");
        s->top = seq;
        s->seen++;
    } else {
        s->again++;
    }
    s->inside--;
}

static inline int on_fast(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;

    count_fan(ctx, &m->fast);
    return GMK_OK;
}

/* Dawdles, yields, and asks for the last few again. */
static inline int on_slow(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;
    uint64_t seq = gmk_chan_seq(ctx);
    int rc;

    dawdle(m);
    count_fan(ctx, &m->slow);
    if ((seq & 511) == 7 && ctx->task->yield_count == 0) {
        gmk_yield(ctx);
    } else if ((seq & 1023) == 99 && seq != m->slow.asked) {
        m->slow.asked = seq;
        rc = gmk_chan_replay(ctx, m->fan, seq - 3);
        expect(m, rc == GMK_OK || rc == GMK_E_NOT_FOUND, "a replay gave another code");
    }
    return GMK_OK;
}

/* Leaves after a while, and comes back; fails now and then, but not so often that its type is
 * poisoned: what is skipped then could not be told from that of other types. */
static inline int on_dying(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;
    gmk_task_t t = {.type = T_REJOIN, .flags = GMK_PRIO_NORMAL};

    come_in(ctx, &m->dying);
    m->dying.seen++;
    m->dying.inside--;
    if (m->dying.seen % 100 == 0) {
        expect(m, gmk_chan_unsub(ctx, m->fan) == GMK_OK, "a subscriber could not leave");
        spawn(ctx, t);
    }
    if (m->dying.seen % 257 != 0 || ctx->tick - m->dying.failed < FAIL_TICKS)
        return GMK_OK;
    m->dying.failed = ctx->tick;
    return GMK_FAIL(11);
}

static inline int on_rejoin(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;

    expect(m, gmk_chan_sub(ctx, m->fan) == GMK_OK, "a subscriber could not come back");
    return ended(ctx);
}

static inline int on_box(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;

    expect(m, gmk_error_reason(ctx) != 0, "a failed message has no reason");
    gmk_add_rlx(&m->boxed, 1, GMK_DEV);
    return GMK_OK;
}

static inline int on_lossy_fast(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;

    come_in(ctx, &m->fast);
    m->fast.lossy++;
    m->fast.inside--;
    return GMK_OK;
}

static inline int on_lossy_slow(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;

    dawdle(m);
    come_in(ctx, &m->slow);
    m->slow.lossy++;
    m->slow.inside--;
    return GMK_OK;
}

/* Channels that come and go. ---------------------------------------------------------------- */

static const char *const slot_names[SLOTS] = {"mix.a", "mix.b", "mix.c", "mix.d",
                                              "mix.e", "mix.f", "mix.g", "mix.h"};

/* Sends up to 8 on a channel that has one subscriber at most, in one push. */
GMK_FN void send_short(gmk_ctx_t *ctx, mix_t *m, uint32_t id, uint64_t dna)
{
    gmk_task_t t[8];
    uint32_t n = 1 + (uint32_t)(dna & 7);
    int rc;

    for (uint32_t i = 0; i < n; i++) {
        t[i] = (gmk_task_t){.type = T_SHORT, .flags = GMK_PRIO_NORMAL};
        if (dna >> (8 + i) & 1)
            give_payload(ctx, &t[i], draw_len(mix(dna + i)));
    }
    rc = gmk_chan_emit_batch(ctx, id, t, n);
    expect(m, rc >= 0, "a channel that is open refused");
    for (uint32_t i = 0; i < n; i++)
        if (!took(m, T_SHORT, (int)i < rc ? (int)GMK_OK : (int)GMK_CHAN_FULL))
            take_back(ctx, &t[i]);
}

GMK_FN int open_short(gmk_ctx_t *ctx, const char *name, uint64_t dna)
{
    static const uint32_t modes[] = {GMK_CHAN_P2P, GMK_CHAN_P2P | GMK_CHAN_LOSSLESS,
                                     GMK_CHAN_FANOUT, GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS};
    gmk_chan_opts_t o = {
        .mode = modes[dna >> 30 & 3], .slots = 4u << (dna >> 34 & 3), .msg_type = T_SHORT};

    return gmk_chan_open_with(ctx, name, &o);
}

/* Opens a place's channel, or closes it. */
static inline int on_churn(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;
    uint64_t dna = ctx->task->meta0;
    slot_t *s = &m->slots[dna >> 40 & (SLOTS - 1)];
    uint32_t no = 0;
    int id;

    if (!gmk_cas_ar(&s->busy, &no, 1, GMK_DEV))
        return ended(ctx);
    id = (int)gmk_load_acq(&s->id, GMK_DEV);
    if (id != 0) {
        if (dna >> 50 & 1)
            send_short(ctx, m, (uint32_t)id, dna);
        expect(m, gmk_chan_close(ctx, (uint32_t)id) == GMK_OK, "an open channel did not close");
        id = 0;
    } else {
        id = open_short(ctx, slot_names[s - m->slots], dna);
        expect(m, id > 0 || id == GMK_E_LIMIT || id == GMK_ALLOC_FAIL, "a channel did not open");
        if (id > 0 && gmk_chan_sub(ctx, (uint32_t)id) == GMK_OK) {
            send_short(ctx, m, (uint32_t)id, dna);
        } else if (id > 0) {
            expect(m, gmk_chan_close(ctx, (uint32_t)id) == GMK_OK, "it did not close");
            id = 0;
        }
    }
    gmk_store_rel(&s->id, id > 0 ? (uint32_t)id : 0, GMK_DEV);
    gmk_store_rel(&s->busy, 0, GMK_DEV);
    return ended(ctx);
}

static inline int on_short(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;

    come_in(ctx, &m->short_lived);
    m->short_lived.inside--;
    return ended(ctx);
}

/* What the kernel tells. ------------------------------------------------------------------ */

static inline int on_dropped(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;

    m->dropped[GMK_ENVELOPE_TYPE(ctx->task) & 255]++;
    return GMK_OK;
}

static inline int on_error(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;

    expect(m, ctx->task->payload_len == sizeof(gmk_task_t), "a report is cut");
    m->errors++;
    return GMK_OK;
}

/* meta0: 1 listens to ticks, 0 leaves. */
static inline int on_ticks(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;
    int rc = ctx->task->meta0 != 0 ? gmk_chan_sub(ctx, GMK_CHAN_SYS_TICK)
                                   : gmk_chan_unsub(ctx, GMK_CHAN_SYS_TICK);

    expect(m, rc == GMK_OK || rc == GMK_CHAN_ALREADY_BOUND || rc == GMK_E_NOT_FOUND,
           "sys.tick gave another code");
    return ended(ctx);
}

static inline int on_sys_tick(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;

    expect(m, ctx->task->meta0 >= m->next_tick, "a tick was told twice");
    m->next_tick = ctx->task->meta0 + 1;
    gmk_add_rlx(&m->ticks, 1, GMK_DEV);
    return GMK_OK;
}

/* Modules. ----------------------------------------------------------------------------------- */

static inline int dying_init(gmk_ctx_t *ctx)
{
    mix_t *m = ctx->user;
    int id = gmk_chan_find(ctx, "mix.fan");

    m->fan = id > 0 ? (uint32_t)id : 0;
    return gmk_chan_on_error(ctx, m->fan, on_box);
}

/* Ticks are told only when it asks for them: the workers shall sleep. */
static inline int watch_init(gmk_ctx_t *ctx) { return gmk_chan_unsub(ctx, GMK_CHAN_SYS_TICK); }

#define CONSUMES(chan, type, ...)                                                                  \
    {                                                                                              \
        .name = chan, .direction = GMK_CHAN_CONSUME, .msg_type = type, __VA_ARGS__                 \
    }

static gmk_handler_reg_t work_handlers[] = {
    {.type = T_LEAF, .fn = on_leaf, .name = "leaf"},
    {.type = T_TREE, .fn = on_tree, .name = "tree"},
    {.type = T_CHAIN, .fn = on_chain, .name = "chain"},
    {.type = T_YIELD, .fn = on_yield, .name = "yield"},
    {.type = T_STUBBORN, .fn = on_stubborn, .name = "stubborn", .max_yields = MAX_YIELDS},
    {.type = T_RETRY, .fn = on_retry, .name = "retry"},
    {.type = T_FAIL, .fn = on_fail, .name = "fail"},
    {.type = T_POISON, .fn = on_poison, .name = "poison"},
    {.type = T_TIMER, .fn = on_timer, .name = "timer"},
    {.type = T_TICK, .fn = on_tick_due, .name = "tick"},
    {.type = T_BOUND, .fn = on_bound, .name = "bound"},
    {.type = T_BLOCK, .fn = on_block, .name = "block"},
    {.type = T_PAYLOAD, .fn = on_payload, .name = "payload"},
    {.type = T_DET, .fn = on_leaf, .name = "det", .flags = GMK_HF_DETERMINISTIC}};
static gmk_handler_reg_t one_handlers[] = {{.type = T_ONE, .fn = on_one, .name = "one"}};
static gmk_handler_reg_t two_handlers[] = {{.type = T_TWO, .fn = on_two, .name = "two"}};
static gmk_handler_reg_t three_handlers[] = {{.type = T_THREE, .fn = on_three, .name = "three"}};
static gmk_handler_reg_t par_handlers[] = {{.type = T_PAR, .fn = on_leaf, .name = "par"}};
static gmk_handler_reg_t fast_handlers[] = {
    {.type = T_FAN, .fn = on_fast, .name = "fan"},
    {.type = T_LOSSY, .fn = on_lossy_fast, .name = "lossy"}};
static gmk_handler_reg_t slow_handlers[] = {
    {.type = T_FAN, .fn = on_slow, .name = "fan"},
    {.type = T_LOSSY, .fn = on_lossy_slow, .name = "lossy"}};
static gmk_handler_reg_t dying_handlers[] = {{.type = T_FAN, .fn = on_dying, .name = "fan"},
                                             {.type = T_REJOIN, .fn = on_rejoin, .name = "rejoin"}};
static gmk_handler_reg_t churn_handlers[] = {{.type = T_CHURN, .fn = on_churn, .name = "churn"},
                                             {.type = T_SHORT, .fn = on_short, .name = "short"}};
static gmk_handler_reg_t watch_handlers[] = {
    {.type = GMK_TYPE_SYS_DROPPED, .fn = on_dropped, .name = "dropped"},
    {.type = GMK_TYPE_SYS_ERROR, .fn = on_error, .name = "error"},
    {.type = GMK_TYPE_SYS_TICK, .fn = on_sys_tick, .name = "tick"},
    {.type = T_TICKS, .fn = on_ticks, .name = "ticks"}};

static gmk_chan_decl_t one_chans[] = {CONSUMES("mix.one", T_ONE, .slots = 64)};
static gmk_chan_decl_t two_chans[] = {CONSUMES("mix.two", T_TWO, .slots = 32)};
static gmk_chan_decl_t three_chans[] = {CONSUMES("mix.three", T_THREE, .slots = 64)};
static gmk_chan_decl_t par_chans[] = {{.name = "mix.par",
                                       .direction = GMK_CHAN_CONSUME | GMK_CHAN_PARALLEL,
                                       .msg_type = T_PAR,
                                       .slots = 64}};
#define FAN_CHANS                                                                                  \
    {                                                                                              \
        {.name = "mix.fan",                                                                        \
         .direction = GMK_CHAN_CONSUME,                                                            \
         .msg_type = T_FAN,                                                                        \
         .mode = GMK_CHAN_FANOUT,                                                                  \
         .guarantee = GMK_CHAN_LOSSLESS,                                                           \
         .slots = 256,                                                                             \
         .replay_slots = 16},                                                                      \
            CONSUMES("mix.lossy", T_LOSSY, .mode = GMK_CHAN_FANOUT, .slots = 64)                   \
    }
static gmk_chan_decl_t fast_chans[] = FAN_CHANS;
static gmk_chan_decl_t slow_chans[] = FAN_CHANS;
static gmk_chan_decl_t dying_chans[] = FAN_CHANS; /* the first of them alone */
static gmk_chan_decl_t churn_chans[] = {
    CONSUMES("mix.kind", T_SHORT, .mode = GMK_CHAN_FANOUT)}; /* says its type is of messages */
static gmk_chan_decl_t watch_chans[] = {
    CONSUMES("sys.dropped", GMK_TYPE_SYS_DROPPED, .mode = GMK_CHAN_FANOUT),
    CONSUMES("sys.error", GMK_TYPE_SYS_ERROR, .mode = GMK_CHAN_FANOUT),
    CONSUMES("sys.tick", GMK_TYPE_SYS_TICK, .mode = GMK_CHAN_FANOUT)};

#define MODULE(word, chans)                                                                        \
    {                                                                                              \
        .name = #word, .handlers = word##_handlers, .n_handlers = GMK_ARRAY_LEN(word##_handlers),  \
        .channels = chans                                                                          \
    }
static gmk_module_t mix_modules[] = {
    {.name = "work", .handlers = work_handlers, .n_handlers = GMK_ARRAY_LEN(work_handlers)},
    MODULE(one, one_chans),
    MODULE(two, two_chans),
    MODULE(three, three_chans),
    MODULE(par, par_chans),
    MODULE(fast, fast_chans),
    MODULE(slow, slow_chans),
    MODULE(dying, dying_chans),
    MODULE(churn, churn_chans),
    MODULE(watch, watch_chans)};
#define N_MIX_MODULES GMK_ARRAY_LEN(mix_modules)

/* Makes the modules m's; fills the array for gmk_boot. */
static inline void mix_wire(mix_t *m, gmk_module_t *mods[N_MIX_MODULES])
{
    static const uint32_t n_chans[N_MIX_MODULES] = {0, 1, 1, 1, 1, 2, 2, 1, 1, 3};

    for (uint32_t i = 0; i < N_MIX_MODULES; i++) {
        mix_modules[i].user = m;
        mix_modules[i].n_channels = n_chans[i];
        if (strcmp(mix_modules[i].name, "dying") == 0)
            mix_modules[i].init = dying_init;
        if (strcmp(mix_modules[i].name, "watch") == 0)
            mix_modules[i].init = watch_init;
        mods[i] = &mix_modules[i];
    }
}

#endif
