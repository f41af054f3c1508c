/* SPDX-License-Identifier: MIT
 * The random storm: every kind of work at once, then the books.
 * A run draws a kernel (workers, capacities, arena, ticks) and a load (submits from
 * outside, spawns, trees, yields, retries, failures, timers, bound tasks, payloads, a
 * chain of channels) from one seed, drains or halts in the middle, and checks:
 * conservation, no payload left, each accepted delivery ran to one end and none in the place
 * of another, one worker at a time in a serial module, channel order a producer.
 * On threads: --seconds S [--seed N]. Simulated: --sim-seeds FIRST COUNT.
 * Source: SPEC ACC-2, AL-13, CH-42; ARCHITECTURE R8, R14. */
#include "ggmk/ggmk.h"
#include "ggmk/hal.h"
#include "ggmk/sdk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "storm_main.h"

enum { T_LEAF = 1, T_TREE, T_YIELD, T_RETRY, T_FAIL, T_TIMER, T_PAYLOAD, T_BOUND, T_FEED, T_MAX };
enum { T_CH1 = 20, T_CH2, T_CH3 };
#define MAX_SUBMITTERS 8u
#define ORDER_SLOTS 16u

typedef struct storm {
    gmk_kernel_t kernel;
    uint64_t seed;
    uint32_t n_submitters;
    uint32_t per_submitter;
    uint32_t flags;
    bool manual;
    bool drain;
    uint32_t ch1;
    gmk_a64_t begun[T_CH3 + 1];     /* deliveries the kernel took on, by type */
    gmk_a64_t ended[T_CH3 + 1];     /* deliveries whose handler came to its end */
    gmk_a64_t begun_ids, ended_ids; /* sums over the direct tasks among them */
    uint64_t unrun;                 /* deliveries failed before their handler's end */
    gmk_a64_t wrong;                /* broken promises seen by handlers */
    /* Serial state: plain memory, so TSan watches the serial promise too. */
    uint32_t inside1, inside3;
    uint64_t last_from[ORDER_SLOTS];
    uint64_t last_seq1;
} storm_t;

/* What tells a direct task from others: 0 for a message. */
static uint64_t id_of(const gmk_task_t *t) { return t->type < T_MAX ? mix(t->meta0 ^ t->type) : 0; }

static void begun(storm_t *s, const gmk_task_t *t, int rc)
{
    if (rc != GMK_OK)
        return;
    gmk_add_rlx(&s->begun[t->type], 1, GMK_DEV);
    gmk_add_rlx(&s->begun_ids, id_of(t), GMK_DEV);
}

static int ended(gmk_ctx_t *ctx)
{
    storm_t *s = ctx->user;

    gmk_add_rlx(&s->ended[ctx->task->type], 1, GMK_DEV);
    gmk_add_rlx(&s->ended_ids, id_of(ctx->task), GMK_DEV);
    return GMK_OK;
}

static void broken(storm_t *s, uint32_t where)
{
    if (gmk_add_rlx(&s->wrong, 1, GMK_DEV) == 0)
        printf("storm: promise %u broken, seed %llu\n", where, (unsigned long long)s->seed);
}

/* Spawns a task drawn from dna; depth bounds the family, of which some are alike. */
static void spawn(gmk_ctx_t *ctx, uint64_t dna, uint32_t depth, bool alike)
{
    storm_t *s = ctx->user;
    gmk_task_t t = {.meta0 = mix(dna), .meta1 = depth};
    int rc;

    t.type = alike ? (uint32_t)T_TREE : T_LEAF + (uint32_t)(dna % (T_MAX - 1));
    t.flags = alike ? ctx->task->flags & 3 : (uint16_t)(dna >> 20 & 3);
    t.tenant = ctx->task->tenant;
    if (t.type == T_BOUND)
        rc = gmk_emit_to(ctx, &t, (uint32_t)(dna >> 30) % gmk_worker_count(ctx->kernel));
    else if (t.type == T_TIMER && (dna >> 24 & 1))
        rc = gmk_emit_after(ctx, &t, dna >> 40 & 0xffff);
    else if (t.type == T_TIMER)
        rc = gmk_emit_at_tick(ctx, &t, ctx->tick + (uint32_t)(dna >> 40 & 7));
    else
        rc = gmk_emit(ctx, &t);
    begun(s, &t, rc);
}

static int on_leaf(gmk_ctx_t *ctx) { return ended(ctx); }

static int on_tree(gmk_ctx_t *ctx)
{
    uint64_t dna = ctx->task->meta0;

    if (ctx->task->meta1 < 5)
        for (uint32_t i = 0; i < 1 + (dna >> 8 & 1); i++)
            spawn(ctx, mix(dna + i), (uint32_t)ctx->task->meta1 + 1, (dna >> 9 & 3) != 0);
    return ended(ctx);
}

static int on_yield(gmk_ctx_t *ctx)
{
    if (ctx->task->yield_count < (ctx->task->meta0 & 7)) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    return ended(ctx);
}

static int on_retry(gmk_ctx_t *ctx)
{
    return gmk_retries(ctx) < (ctx->task->meta0 & 3) ? (int)GMK_RETRY : ended(ctx);
}

static int on_fail(gmk_ctx_t *ctx)
{
    ended(ctx);
    return ctx->task->meta0 & 1 ? GMK_FAIL(7) : GMK_OK;
}

static int on_payload(gmk_ctx_t *ctx)
{
    storm_t *s = ctx->user;
    gmk_task_t t = {
        .type = T_PAYLOAD, .meta0 = mix(ctx->task->meta0), .meta1 = ctx->task->meta1 + 1};
    uint32_t len = 1 + (uint32_t)(ctx->task->meta0 >> 10 & 0x3ff);
    unsigned char *p;
    int rc;

    if (ctx->task->payload_len != 0) {
        const unsigned char *q = (const unsigned char *)(uintptr_t)ctx->task->payload_ptr;

        if (q[0] != (unsigned char)ctx->task->payload_len ||
            q[ctx->task->payload_len - 1] != (unsigned char)ctx->task->payload_len)
            broken(s, 1);
    }
    if (ctx->task->meta1 < 4 && (p = gmk_payload_alloc(ctx, len)) != NULL) {
        memset(p, (unsigned char)len, len);
        t.tenant = ctx->task->tenant;
        gmk_task_set_payload(&t, p);
        rc = gmk_emit(ctx, &t);
        begun(s, &t, rc);
        if (rc != GMK_OK)
            gmk_payload_release_ptr(ctx, p);
    }
    return ended(ctx);
}

static int on_bound(gmk_ctx_t *ctx)
{
    if (ctx->task->meta0 & 1 && ctx->task->yield_count < 3) {
        if (ctx->task->yield_count == 0)
            ctx->task->meta1 = ctx->worker_id;
        else if ((ctx->task->flags & GMK_TF_BOUND) != 0 && ctx->task->meta1 != ctx->worker_id)
            broken(ctx->user, 2);
        gmk_yield(ctx);
        return GMK_OK;
    }
    return ended(ctx);
}

/* Sends on the first channel, from a direct handler. */
static int on_feed(gmk_ctx_t *ctx)
{
    const gmk_task_t t = {.type = T_CH1};
    storm_t *s = ctx->user;
    int rc = gmk_sdk_chan_send_inline(ctx, s->ch1, T_CH1, ctx->task->meta0, 0);

    begun(s, &t, rc);
    if (rc != GMK_OK && rc != GMK_CHAN_FULL)
        broken(s, 3);
    return ended(ctx);
}

/* Serial: checks order, forwards with a payload. */
static int on_ch1(gmk_ctx_t *ctx)
{
    storm_t *s = ctx->user;
    uint64_t from = ctx->task->meta1 >> 32;
    bool first = ctx->task->yield_count == 0 && gmk_retries(ctx) == 0;
    const gmk_task_t sent = {.type = T_CH2};
    char text[64];
    int rc;

    if (s->inside1++ != 0)
        broken(s, 4);
    if (first && from != 0) {
        if (ctx->task->meta1 <= s->last_from[from])
            broken(s, 5);
        s->last_from[from] = ctx->task->meta1;
    }
    if (first && gmk_chan_seq(ctx) != ++s->last_seq1)
        broken(s, 6);
    s->inside1--;
    if (first && (ctx->task->meta0 & 0xf00) == 0) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    if (gmk_retries(ctx) == 0 && (ctx->task->meta0 & 0xf000) == 0)
        return GMK_RETRY;
    memset(text, 'x', sizeof(text));
    rc = gmk_sdk_chan_send(ctx, (uint32_t)gmk_chan_find(ctx, "storm.two"), T_CH2, text,
                           1 + (uint32_t)(ctx->task->meta0 & 63));
    begun(s, &sent, rc);
    return ended(ctx);
}

/* Parallel: forwards its own payload. */
static int on_ch2(gmk_ctx_t *ctx)
{
    storm_t *s = ctx->user;
    gmk_task_t t = *ctx->task;
    int rc;

    t.type = T_CH3;
    if (gmk_retries(ctx) == 0 && (mix(t.seq) & 15) == 0)
        return GMK_RETRY;
    gmk_payload_retain(ctx);
    rc = gmk_chan_emit(ctx, (uint32_t)gmk_chan_find(ctx, "storm.three"), &t);
    begun(s, &t, rc);
    if (rc != GMK_OK)
        gmk_payload_release_ptr(ctx, (void *)(uintptr_t)t.payload_ptr); /* the extra reference */
    return ended(ctx);
}

static int on_ch3(gmk_ctx_t *ctx)
{
    storm_t *s = ctx->user;

    if (s->inside3++ != 0)
        broken(s, 7);
    s->inside3--;
    ended(ctx);
    return (ctx->task->seq & 31) == 0 ? GMK_FAIL(3) : GMK_OK;
}

static int on_report(gmk_ctx_t *ctx)
{
    if (ctx->task->payload_len != sizeof(gmk_task_t))
        broken(ctx->user, 8);
    return GMK_OK;
}

static gmk_handler_reg_t mix_handlers[] = {
    {.type = T_LEAF, .fn = on_leaf, .name = "leaf"},
    {.type = T_TREE, .fn = on_tree, .name = "tree"},
    {.type = T_YIELD, .fn = on_yield, .name = "yield"},
    {.type = T_RETRY, .fn = on_retry, .name = "retry"},
    {.type = T_FAIL, .fn = on_fail, .name = "fail"},
    {.type = T_TIMER, .fn = on_tree, .name = "timer"},
    {.type = T_PAYLOAD, .fn = on_payload, .name = "payload"},
    {.type = T_BOUND, .fn = on_bound, .name = "bound"},
    {.type = T_FEED, .fn = on_feed, .name = "feed"},
};
static gmk_handler_reg_t one_handlers[] = {{.type = T_CH1, .fn = on_ch1, .name = "one"}};
static gmk_handler_reg_t two_handlers[] = {{.type = T_CH2, .fn = on_ch2, .name = "two"}};
static gmk_handler_reg_t three_handlers[] = {{.type = T_CH3, .fn = on_ch3, .name = "three"}};
static gmk_handler_reg_t report_handlers[] = {
    {.type = GMK_TYPE_SYS_ERROR, .fn = on_report, .name = "error"},
    {.type = GMK_TYPE_SYS_DROPPED, .fn = on_report, .name = "dropped"}};
static gmk_chan_decl_t report_chans[] = {
    {.name = "sys.error", .direction = GMK_CHAN_CONSUME, .msg_type = GMK_TYPE_SYS_ERROR},
    {.name = "sys.dropped", .direction = GMK_CHAN_CONSUME, .msg_type = GMK_TYPE_SYS_DROPPED}};

/* One submitter: from outside, and as an attached thread. */
typedef struct submitter {
    storm_t *s;
    uint32_t id;
} submitter_t;

static void submit_one(storm_t *s, uint64_t dna)
{
    gmk_task_t t[4];
    uint32_t n = 1 + (uint32_t)(dna >> 50 & 3);
    int rc;

    for (uint32_t i = 0; i < n; i++)
        t[i] = (gmk_task_t){.type = T_LEAF + (uint32_t)(mix(dna + i) % (T_MAX - 1)),
                            .flags = (uint16_t)(dna >> 7 & 3),
                            .meta0 = mix(dna + i)};
    if (n == 1 && t[0].type == T_BOUND)
        rc = gmk_submit_to(&s->kernel, t, 0) == GMK_OK;
    else if (n == 1 && t[0].type == T_TIMER)
        rc = gmk_submit_after(&s->kernel, t, dna & 0xffff) == GMK_OK;
    else
        rc = gmk_submit_batch(&s->kernel, t, n);
    for (int i = 0; i < rc; i++)
        begun(s, &t[i], GMK_OK);
}

static void *submitter(void *arg)
{
    submitter_t *me = arg;
    storm_t *s = me->s;
    uint64_t dna = mix(s->seed * 977 + me->id);
    gmk_host_t host;
    gmk_ctx_t *ctx = me->id & 1 ? gmk_host_attach(&s->kernel, &host) : NULL;
    uint64_t sent = 0;

    if (me->id & 1 && ctx == NULL)
        storm_give_up("no room to attach", s->seed);
    for (uint32_t i = 0; i < s->per_submitter; i++) {
        dna = mix(dna + i);
        if (ctx != NULL && (dna >> 60) < 8) {
            gmk_task_t t = {.type = T_CH1, .meta0 = dna};

            t.meta1 = (uint64_t)(me->id + 1) << 32 | ++sent;
            begun(s, &t, gmk_chan_emit(ctx, s->ch1, &t));
        } else {
            submit_one(s, dna);
        }
        if ((dna & 63) == 0)
            gmk_hal_relax();
    }
    if (ctx != NULL && gmk_host_detach(&host) != GMK_OK)
        broken(s, 9);
    return NULL;
}

/* Lets everything come to its end, timers and back-offs too: in as many ticks as they
 * need, or in the time that clock ticks give them. */
static void drain(storm_t *s)
{
    uint64_t end = gmk_hal_now_ns() + (IS_SIM ? 500000000ull : 20000000000ull);
    gmk_audit_report_t books;

    for (uint32_t i = 0; s->manual ? i < 4000 : gmk_hal_now_ns() < end; i++) {
        if (gmk_wait_idle(&s->kernel, 20000000000ull) != GMK_OK)
            broken(s, 10);
        if (gmk_audit(&s->kernel, &books) == GMK_OK && books.queued == 0)
            return;
        if (s->manual)
            gmk_tick_advance(&s->kernel);
        else
            gmk_hal_relax();
    }
    broken(s, 11);
}

static void check(storm_t *s, int rc, const gmk_audit_report_t *books)
{
    uint64_t missing = 0;

    if (rc != GMK_OK || !books->balanced || books->queued != 0)
        broken(s, 12);
    if (books->payloads_live != 0)
        broken(s, 13);
    /* Tasks that failed without coming to their handler's end: poisoned, no memory. */
    for (uint32_t t = 0; t <= T_CH3; t++)
        missing += s->begun[t] - s->ended[t];
    if (s->drain && books->dead == 0 && missing != s->unrun)
        broken(s, 14);
    if (s->drain && books->dead == 0 && missing == 0 && s->begun_ids != s->ended_ids)
        broken(s, 15);
    if (gmk_load_acq(&s->wrong, GMK_DEV) != 0)
        printf("storm: rc %d accepted %llu completed %llu failed %llu dead %llu queued %llu "
               "payloads %llu\n",
               rc, (unsigned long long)books->accepted, (unsigned long long)books->completed,
               (unsigned long long)books->failed, (unsigned long long)books->dead,
               (unsigned long long)books->queued, (unsigned long long)books->payloads_live);
}

static gmk_boot_cfg_t draw_cfg(storm_t *s)
{
    uint64_t d = mix(s->seed ^ 0x5eed);
    uint32_t small = (uint32_t)(d >> 8 & 3);
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)1 << 20, .flags = GMK_BOOT_NO_LINKED_MODULES};

    cfg.n_workers = 1 + (uint32_t)(d % (IS_SIM ? 6 : 32));
    cfg.rq_slots = 4u << (2 * small);
    cfg.lq_slots = 8u << small;
    cfg.overflow_slots = 4u << small;
    cfg.evq_slots = 16u << (2 * small);
    cfg.trace_slots = 16;
    cfg.batch_size = 1 + (uint32_t)(d >> 16 & 31);
    cfg.spin_ns = IS_SIM ? 200 : 20000;
    s->manual = (d >> 24 & 1) != 0;
    if (s->manual)
        cfg.flags |= GMK_BOOT_MANUAL_TICKS;
    s->drain = (d >> 25 & 3) != 0;
    s->n_submitters = IS_SIM ? 1 + (uint32_t)(d >> 32 & 3) : MAX_SUBMITTERS;
    s->per_submitter = IS_SIM ? 6 + (uint32_t)(d >> 40 & 15) : 2000;
    return cfg;
}

/* One storm; returns how many promises were broken. */
static uint64_t storm(uint64_t seed)
{
    storm_t *s = gmk_hal_calloc(1, sizeof(*s));
    submitter_t who[MAX_SUBMITTERS];
    gmk_hal_thread_t threads[MAX_SUBMITTERS];
    uint32_t slots = 2u << (seed % 5);
    gmk_chan_decl_t one[] = {
        {.name = "storm.one", .direction = GMK_CHAN_CONSUME, .msg_type = T_CH1, .slots = slots}};
    gmk_chan_decl_t two[] = {{.name = "storm.two",
                              .direction = GMK_CHAN_CONSUME | GMK_CHAN_PARALLEL,
                              .msg_type = T_CH2,
                              .slots = slots}};
    gmk_chan_decl_t three[] = {
        {.name = "storm.three", .direction = GMK_CHAN_CONSUME, .msg_type = T_CH3, .slots = slots}};
    gmk_module_t m[] = {{.name = "mix", .handlers = mix_handlers, .n_handlers = 9},
                        {.name = "one", .handlers = one_handlers, .channels = one},
                        {.name = "two", .handlers = two_handlers, .channels = two},
                        {.name = "three", .handlers = three_handlers, .channels = three},
                        {.name = "report", .handlers = report_handlers, .channels = report_chans}};
    gmk_module_t *mods[] = {&m[0], &m[1], &m[2], &m[3], &m[4]};
    gmk_audit_report_t books = {.balanced = false};
    gmk_boot_cfg_t cfg;
    uint64_t wrong;
    int rc;

    if (s == NULL)
        storm_give_up("no memory", seed);
    for (uint32_t i = 0; i < 5; i++) {
        m[i].user = s;
        m[i].n_channels = i == 0 ? 0 : i == 4 ? 2 : 1;
        if (i != 0)
            m[i].n_handlers = m[i].n_channels;
    }
    s->seed = seed;
    s->ch1 = GMK_N_SYS_CHANNELS + 1; /* the first after the system's */
    cfg = draw_cfg(s);
    rc = gmk_boot(&s->kernel, &cfg, mods, seed & 8 ? 5 : 4);
    if (rc != GMK_OK) {
        printf("storm: boot %d: %s, seed %llu\n", rc, gmk_boot_error(&s->kernel),
               (unsigned long long)seed);
        exit(1);
    }
    for (uint32_t i = 0; i < s->n_submitters; i++) {
        who[i] = (submitter_t){s, i};
        if (gmk_hal_thread_create(&threads[i], submitter, &who[i]) != 0)
            storm_give_up("no thread", seed);
    }
    if (s->manual)
        for (uint32_t i = 0; i < 20; i++) {
            gmk_tick_advance(&s->kernel);
            gmk_hal_relax();
        }
    for (uint32_t i = 0; i < s->n_submitters; i++)
        gmk_hal_thread_join(&threads[i]);
    if (s->drain)
        drain(s);
    s->unrun = gmk_metric_get(&s->kernel, GMK_METRIC_POISON_SKIPS) +
               gmk_metric_get(&s->kernel, GMK_METRIC_YIELD_OVERFLOWS);
    rc = gmk_halt_timeout(&s->kernel, 60000000000ull, &books);
    check(s, rc, &books);
    wrong = gmk_load_acq(&s->wrong, GMK_DEV);
    gmk_hal_free(s);
    return wrong;
}

int main(int argc, char **argv)
{
    return storm_main(argc, argv, &(storm_kind_t){.name = "storm", .run = storm});
}
