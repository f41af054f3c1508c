/* SPDX-License-Identifier: MIT
 * Parts: modules that tests put together around one channel, each with state of its own
 * in plain memory (TSan watches the serial promise); a plug, which stops a part without
 * keeping a worker busy; a watcher of sys.dropped and sys.error.
 * Floor: tests. Source: SPEC H; ARCHITECTURE R4 to R7. */
#ifndef TEST_CHAN_PARTS_H
#define TEST_CHAN_PARTS_H

#include "chan_env.h"

#define PART_MAX 34u
#define PART_NEVER UINT64_MAX
/* T_PART + i runs part i's script; T_PLUG stops up the outboxes of parts that pause. */
enum { T_PLUG = 30, T_PART = 100 };

typedef struct part {
    gmk_module_t m;
    gmk_handler_reg_t h[4];
    gmk_chan_decl_t d[4];
    char name[8];
    env_t *env;
    int (*act)(gmk_ctx_t *ctx);
    uint64_t pause_at; /* takes no message after the one of this number */
    uint64_t fail_at;  /* fails this number with code 42 */
    /* What it has seen. */
    uint64_t got;
    uint64_t next[ENV_MAX_FROM]; /* by producer */
    uint64_t first_seq, last_seq;
    uint64_t gaps;  /* messages lost before those it got */
    uint64_t wrong; /* out of order, damaged, or beside another one */
    gmk_a32_t inside;
} part_t;

/* What was said on sys.dropped and sys.error. */
typedef struct watch {
    gmk_module_t m;
    gmk_handler_reg_t h[2];
    gmk_chan_decl_t d[2];
    uint64_t n_dropped, n_error;
    uint64_t by_reason[GMK_REASON_COUNT];
    uint64_t bad; /* envelopes that contradict themselves */
    uint64_t sum; /* of the records' numbers */
    uint32_t last_code, last_type, last_chan;
} watch_t;

/* Payloads. -------------------------------------------------------------------------- */

/* Message number n with a payload that says so. */
GMK_FN gmk_task_t part_payload(gmk_ctx_t *ctx, uint32_t type, uint64_t n)
{
    gmk_task_t t = env_msg(type, n, 0);
    uint32_t len = 1 + (uint32_t)(n % 300);
    void *p = gmk_payload_alloc(ctx, len);

    if (gmk_test_assert(p != NULL)) {
        gmk_hal_memset(p, (int)(n & 0xff), len);
        gmk_task_set_payload(&t, p);
    }
    return t;
}

GMK_FN bool part_intact(const gmk_task_t *t)
{
    const unsigned char *p = (const unsigned char *)(uintptr_t)t->payload_ptr;

    if (p == NULL)
        return t->payload_len == 0;
    if (t->payload_len != 1 + (uint32_t)(t->meta0 % 300))
        return false;
    for (uint32_t i = 0; i < t->payload_len; i++)
        if (p[i] != (t->meta0 & 0xff))
            return false;
    return true;
}

GMK_FN uint32_t part_refs(uint64_t payload)
{
    const gmk_payload_hdr_t *h = (const gmk_payload_hdr_t *)(uintptr_t)payload - 1;

    return gmk_load_acq(&h->refs, GMK_DEV); /* sync: payload.refs */
}

/* Parts. ----------------------------------------------------------------------------- */

GMK_FN void part_enter(part_t *p)
{
    if (gmk_add_rlx(&p->inside, 1, GMK_DEV) != 0) /* relaxed: must not order the part's state */
        p->wrong++;
}

GMK_FN void part_leave(part_t *p)
{
    gmk_sub_rlx(&p->inside, 1, GMK_DEV); /* relaxed: as above */
}

/* Number meta0 of producer meta1, in order, alone, whole, and every gap is told. */
static inline int on_part(gmk_ctx_t *ctx)
{
    part_t *p = ctx->user;
    const gmk_task_t *t = ctx->task;
    uint64_t seq = gmk_chan_seq(ctx);
    uint64_t gap = gmk_chan_gap(ctx);
    int rc = t->meta0 == p->fail_at ? GMK_FAIL(42) : GMK_OK;

    part_enter(p);
    if (p->got++ == 0)
        p->first_seq = seq;
    else
        p->wrong += seq != p->last_seq + 1 + gap;
    p->last_seq = seq;
    p->gaps += gap;
    p->wrong += t->meta0 < p->next[t->meta1 % ENV_MAX_FROM] || !part_intact(t);
    p->next[t->meta1 % ENV_MAX_FROM] = t->meta0 + 1;
    if (t->meta0 == p->pause_at)
        gmk_test_assert_eq(gmk_sdk_chan_send_inline(ctx, p->env->chan2, T_PLUG, 0, 0), GMK_OK);
    part_leave(p);
    return rc;
}

static inline int on_part_act(gmk_ctx_t *ctx)
{
    part_t *p = ctx->user;

    return p->act != NULL ? p->act(ctx) : GMK_OK;
}

/* Part i: fn handles T_MSG, T_PART + i runs p->act. */
GMK_FN gmk_module_t *part_make(part_t *p, env_t *e, uint32_t i, gmk_handler_fn fn)
{
    gmk_hal_memset(p, 0, sizeof(*p));
    p->name[0] = 'p';
    p->name[1] = (char)('0' + i / 10);
    p->name[2] = (char)('0' + i % 10);
    p->env = e;
    p->pause_at = PART_NEVER;
    p->fail_at = PART_NEVER;
    p->h[0] = (gmk_handler_reg_t){.type = T_MSG, .fn = fn, .name = "msg"};
    p->h[1] = (gmk_handler_reg_t){.type = T_PART + i, .fn = on_part_act, .name = "act"};
    p->m = (gmk_module_t){
        .name = p->name, .handlers = p->h, .n_handlers = 2, .channels = p->d, .user = p};
    return &p->m;
}

/* Declares a channel of T_MSG that the part consumes. mode: with its guarantee. */
GMK_FN gmk_chan_decl_t *part_consume(part_t *p, const char *chan, uint32_t mode, uint32_t slots)
{
    gmk_chan_decl_t *d = &p->d[p->m.n_channels++];

    *d = (gmk_chan_decl_t){.name = chan, .direction = GMK_CHAN_CONSUME, .msg_type = T_MSG};
    d->mode = mode & ~GMK_CHAN_LOSSLESS;
    d->guarantee = mode & GMK_CHAN_LOSSLESS;
    d->slots = slots;
    return d;
}

/* Runs act as part i. */
GMK_FN void part_act(part_t *p, uint32_t i, int (*act)(gmk_ctx_t *ctx))
{
    gmk_task_t t = env_msg(T_PART + i, 0, 0);

    p->act = act;
    gmk_test_assert_eq(gmk_submit(&p->env->kernel, &t), GMK_OK);
    env_idle(p->env);
}

/* What a part must have seen: n messages, `lost` before them or between. */
GMK_FN void part_check(const part_t *p, uint64_t n, uint64_t lost)
{
    gmk_test_assert_eq(p->got, n);
    gmk_test_assert_eq(p->gaps, lost);
    gmk_test_assert_eq(p->wrong, 0);
}

/* Channel scripts of a part, or of the plumber. */
static inline int act_part_sub(gmk_ctx_t *ctx)
{
    part_t *p = ctx->user;

    gmk_test_assert_eq(gmk_chan_sub(ctx, p->env->chan), GMK_OK);
    return GMK_OK;
}

static inline int act_part_unsub(gmk_ctx_t *ctx)
{
    part_t *p = ctx->user;

    gmk_test_assert_eq(gmk_chan_unsub(ctx, p->env->chan), GMK_OK);
    return GMK_OK;
}

/* The plug: a channel of two slots, full, and a module that drains it when told to. --- */

static inline int on_plug(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_OK;
}

static gmk_handler_reg_t plumber_handlers[] = {{.type = T_ACT, .fn = on_act, .name = "act"},
                                               {.type = T_PLUG, .fn = on_plug, .name = "plug"}};
static gmk_chan_decl_t plumber_chans[] = {
    {.name = "t.plug", .direction = GMK_CHAN_PRODUCE, .msg_type = T_PLUG, .slots = 2}};

/* The module, for the array of gmk_boot. */
GMK_FN gmk_module_t *plumber_make(gmk_module_t *m, env_t *e)
{
    *m = (gmk_module_t){.name = "plumber",
                        .handlers = plumber_handlers,
                        .n_handlers = GMK_ARRAY_LEN(plumber_handlers),
                        .channels = plumber_chans,
                        .n_channels = 1,
                        .user = e};
    return m;
}

/* From now on parts can pause. */
GMK_FN void plug_in(env_t *e)
{
    int id = gmk_chan_find(e->ctx, "t.plug");

    gmk_test_assert_gt(id, 0);
    e->chan2 = (uint32_t)id;
    env_send(e, e->chan2, env_msg(T_PLUG, 0, 0));
    env_send(e, e->chan2, env_msg(T_PLUG, 0, 0));
}

static inline int act_unplug(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_sub(ctx, ((env_t *)ctx->user)->chan2), GMK_OK);
    return GMK_OK;
}

/* All parts that pause go on. */
GMK_FN void plug_out(env_t *e) { env_act(e, act_unplug); }

/* The watcher. ----------------------------------------------------------------------- */

static inline int on_watch(gmk_ctx_t *ctx)
{
    watch_t *w = ctx->user;
    const gmk_task_t *t = ctx->task;
    const gmk_task_t *rec = GMK_ENVELOPE_RECORD(t);
    uint32_t reason = GMK_ENVELOPE_REASON(t);
    bool error = t->type == GMK_TYPE_SYS_ERROR;

    w->n_error += error;
    w->n_dropped += !error;
    w->by_reason[reason < GMK_REASON_COUNT ? reason : 0]++;
    w->last_code = GMK_ENVELOPE_CODE(t);
    w->last_type = GMK_ENVELOPE_TYPE(t);
    w->last_chan = GMK_ENVELOPE_CHANNEL(t);
    w->bad += t->channel != (error ? GMK_CHAN_SYS_ERROR : GMK_CHAN_SYS_DROPPED);
    w->bad += t->payload_len != sizeof(*rec) || rec->type != w->last_type;
    w->bad += rec->seq != GMK_ENVELOPE_SEQ(t) || !part_intact(rec);
    w->sum += rec->meta0;
    return GMK_OK;
}

/* A module that listens to both system channels. */
GMK_FN gmk_module_t *watch_make(watch_t *w, const char *name)
{
    gmk_hal_memset(w, 0, sizeof(*w));
    w->h[0] = (gmk_handler_reg_t){
        .type = GMK_TYPE_SYS_DROPPED, .fn = on_watch, .name = "dropped"};
    w->h[1] = (gmk_handler_reg_t){.type = GMK_TYPE_SYS_ERROR, .fn = on_watch, .name = "error"};
    w->d[0] = (gmk_chan_decl_t){.name = "sys.dropped", .mode = GMK_CHAN_FANOUT};
    w->d[1] = (gmk_chan_decl_t){.name = "sys.error", .mode = GMK_CHAN_FANOUT};
    for (uint32_t i = 0; i < 2; i++) {
        w->d[i].direction = GMK_CHAN_CONSUME;
        w->d[i].msg_type = w->h[i].type;
    }
    w->m = (gmk_module_t){.name = name,
                          .handlers = w->h,
                          .n_handlers = 2,
                          .channels = w->d,
                          .n_channels = 2,
                          .user = w};
    return &w->m;
}

/* Readers. --------------------------------------------------------------------------- */

GMK_FN gmk_chan_info_t chan_info(const env_t *e, uint32_t chan)
{
    gmk_chan_info_t info = {.id = 0};

    gmk_test_assert_eq(gmk_chan_get_info(&e->kernel, chan, &info), GMK_OK);
    return info;
}

/* The subscription of part p, whatever its place in the list. */
GMK_FN gmk_sub_info_t chan_sub_of(const env_t *e, uint32_t chan, const part_t *p)
{
    gmk_sub_info_t info = {.module = NULL};

    for (uint32_t i = 0; i < GMK_MAX_CHAN_SUBS; i++) {
        if (gmk_chan_get_sub(&e->kernel, chan, i, &info) != GMK_OK)
            break;
        if (info.module == p->m.name)
            return info;
    }
    gmk_test_assert_named(false, "the part subscribes");
    return info;
}

GMK_FN uint64_t env_metric(const env_t *e, uint32_t id) { return gmk_metric_get(&e->kernel, id); }

/* Sends messages number from..to-1 of producer 0 from the test's thread; with payloads
 * or without. returns: how many were accepted before the first refusal. */
GMK_FN uint64_t env_burst(env_t *e, uint64_t from, uint64_t to, bool payload)
{
    uint64_t i;

    for (i = from; i < to; i++) {
        gmk_task_t t = payload ? part_payload(e->ctx, T_MSG, i) : env_msg(T_MSG, i, 0);
        int rc = gmk_chan_emit(e->ctx, e->chan, &t);

        if (rc == GMK_OK)
            continue;
        gmk_test_assert_eq(rc, GMK_CHAN_FULL);
        if (payload)
            gmk_payload_release_ptr(e->ctx, (void *)(uintptr_t)t.payload_ptr);
        break;
    }
    return i - from;
}

/* Waits also for what comes due by itself. Bounded: a lost message ends it. */
GMK_FN void env_settle(env_t *e)
{
    uint64_t begin = gmk_hal_now_ns();

    do
        env_idle(e);
    while (env_books(e).queued != 0 && gmk_hal_now_ns() - begin < ENV_PATIENCE_NS);
    gmk_test_assert_eq(env_books(e).queued, 0);
}

#endif
