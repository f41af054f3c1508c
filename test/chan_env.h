/* SPDX-License-Identifier: MIT
 * What the tests of channels and modules stand on: a small kernel, an attached thread,
 * a script to run on a worker, a feed and a sink that check order and seriality.
 * Floor: tests. Source: SPEC S.5; ARCHITECTURE R4. */
#ifndef TEST_CHAN_ENV_H
#define TEST_CHAN_ENV_H

#include "ggmk/ggmk.h"
#include "ggmk/hal.h"
#include "ggmk/sdk.h"
#include "ggmk/test.h"

#define ENV_PATIENCE_NS 100000000000ull /* longer than any wait; ends a hang */
#define ENV_MAX_FROM 16u

/* Task types. T_ACT runs env->act as module "actor", T_ACT_SINK as module "sink". */
enum { T_MSG = 1, T_MSG2, T_FEED, T_ACT, T_ACT_SINK, T_LAST };

typedef struct env {
    gmk_kernel_t kernel;
    gmk_audit_report_t report; /* of the halt */
    gmk_host_t host;
    gmk_ctx_t *ctx; /* of the test's own thread */
    int (*act)(gmk_ctx_t *ctx);
    uint32_t chan, chan2;
    uint64_t per_from; /* messages each producer sends */
    gmk_a64_t n_full;  /* emissions refused for want of room */
    /* The sink's own state: plain memory, so that TSan watches the serial promise. */
    uint64_t next[ENV_MAX_FROM]; /* by producer: the number due */
    uint64_t got;
    uint64_t last_seq[4]; /* by channel identifier */
    uint64_t out_of_order;
    uint64_t seq_gaps;
    uint64_t overlaps;
    gmk_a32_t inside;    /* relaxed, so that it orders nothing */
    void *more;          /* of one test */
    uint32_t batch_size; /* at boot; 0: the default */
} env_t;

/* n messages, the smaller m on the simulated machine; a tenth of n under TSan, which takes 50
 * times as long, and longer yet on a loaded machine. */
GMK_FN uint64_t env_scale(uint64_t n, uint64_t m)
{
#ifdef __SANITIZE_THREAD__
    n = n / 10 > m ? n / 10 : m;
#endif
    return gmk_test_scale(n, m);
}

/* A kernel of n_workers with small queues and a thread of the test attached. */
GMK_FN bool env_boot(env_t *e, uint32_t n_workers, uint32_t flags, gmk_module_t **mods, uint32_t n)
{
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)4 << 20,
                          .n_workers = n_workers,
                          .flags = flags | GMK_BOOT_NO_LINKED_MODULES,
                          .rq_slots = 256,
                          .lq_slots = 64,
                          .evq_slots = 1024,
                          .overflow_slots = 64,
                          .trace_slots = 16,
                          .batch_size = e->batch_size,
                          .spin_ns = 2000};
    int rc = gmk_boot(&e->kernel, &cfg, mods, n);

    gmk_test_assert_str_eq(gmk_boot_error(&e->kernel), "");
    if (!gmk_test_assert_eq(rc, GMK_OK))
        return false;
    e->ctx = gmk_host_attach(&e->kernel, &e->host);
    return gmk_test_assert(e->ctx != NULL);
}

GMK_FN void env_idle(env_t *e)
{
    gmk_test_assert_eq(gmk_wait_idle(&e->kernel, ENV_PATIENCE_NS), GMK_OK);
}

/* Ends the kernel; the books must balance and no payload be left. */
GMK_FN void env_end_within(env_t *e, uint64_t timeout_ns)
{
    gmk_test_assert_eq(gmk_metric_get(&e->kernel, GMK_METRIC_ALLOC_BAD_FREES), 0);
    gmk_test_assert_eq(gmk_host_detach(&e->host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&e->kernel, timeout_ns, &e->report), GMK_OK);
    gmk_test_assert(e->report.balanced);
    gmk_test_assert_eq(e->report.queued, 0);
    gmk_test_assert_eq(e->report.payloads_live, 0);
}

/* The same for a kernel that has done all its work. */
GMK_FN void env_end(env_t *e)
{
    env_idle(e);
    env_end_within(e, ENV_PATIENCE_NS);
    gmk_test_assert_eq(e->report.dead, 0);
    gmk_test_assert_str_eq(e->report.stuck, "");
}

/* The books now; nobody runs. */
GMK_FN gmk_audit_report_t env_books(env_t *e)
{
    gmk_audit_report_t r = {.balanced = false};

    gmk_test_assert_eq(gmk_audit(&e->kernel, &r), GMK_OK);
    return r;
}

GMK_FN uint64_t env_live(env_t *e) { return env_books(e).payloads_live; }

/* Runs act on a worker, as the module that has a handler of the type on_act, and waits. */
GMK_FN void env_act_as(env_t *e, uint32_t type, int (*act)(gmk_ctx_t *ctx))
{
    gmk_task_t t = {.type = type, .flags = GMK_PRIO_NORMAL};

    e->act = act;
    gmk_test_assert_eq(gmk_submit(&e->kernel, &t), GMK_OK);
    env_idle(e);
}

GMK_FN void env_act(env_t *e, int (*act)(gmk_ctx_t *ctx)) { env_act_as(e, T_ACT, act); }

static inline int on_act(gmk_ctx_t *ctx) { return ((env_t *)ctx->user)->act(ctx); }

GMK_FN gmk_task_t env_msg(uint32_t type, uint64_t meta0, uint64_t meta1)
{
    gmk_task_t t = {.type = type, .flags = GMK_PRIO_NORMAL};

    t.meta0 = meta0;
    t.meta1 = meta1;
    return t;
}

/* Emits from the test's own thread, waiting for room, but not for ever. */
GMK_FN void env_send(env_t *e, uint32_t chan, gmk_task_t t)
{
    uint64_t begin = gmk_hal_now_ns();
    int rc;

    while ((rc = gmk_chan_emit(e->ctx, chan, &t)) == GMK_CHAN_FULL &&
           gmk_hal_now_ns() - begin < ENV_PATIENCE_NS)
        gmk_hal_relax();
    gmk_test_assert_eq(rc, GMK_OK);
}

/* Two at a time in here are counted. */
GMK_FN void env_enter(env_t *e)
{
    if (gmk_add_rlx(&e->inside, 1, GMK_DEV) != 0) /* relaxed: must not order the sink's state */
        e->overlaps++;
}

GMK_FN void env_leave(env_t *e) { gmk_sub_rlx(&e->inside, 1, GMK_DEV); /* relaxed: as above */ }

/* The sink: number meta0 of producer meta1, in order, alone, without gaps. */
static inline int on_msg(gmk_ctx_t *ctx)
{
    env_t *e = ctx->user;
    const gmk_task_t *t = ctx->task;

    env_enter(e);
    if (t->meta0 != e->next[t->meta1 % ENV_MAX_FROM]++)
        e->out_of_order++;
    if (gmk_chan_seq(ctx) != ++e->last_seq[t->channel % 4])
        e->seq_gaps++;
    if ((++e->got & 255) == 0)
        gmk_hal_relax();
    env_leave(e);
    return GMK_OK;
}

/* Producer meta1 sends from number meta0 on; a full channel makes it yield: that lets go first
 * what drains it. It gives up no processor: on a loaded machine that costs milliseconds. */
static inline int on_feed(gmk_ctx_t *ctx)
{
    env_t *e = ctx->user;
    uint64_t at = ctx->task->meta0;
    uint32_t chan = ctx->task->meta1 & 1 && e->chan2 != 0 ? e->chan2 : e->chan;
    gmk_task_t batch[8];

    for (uint32_t round = 0; round < 8 && at < e->per_from; round++) {
        uint32_t n = 0;
        int rc;

        for (; n < 8 && at + n < e->per_from; n++)
            batch[n] = env_msg(chan == e->chan2 ? T_MSG2 : T_MSG, at + n, ctx->task->meta1);
        rc = gmk_chan_emit_batch(ctx, chan, batch, n);
        gmk_test_assert_ge(rc, 0);
        at += rc > 0 ? (uint32_t)rc : 0;
        if (rc < (int)n) {
            gmk_add_rlx(&e->n_full, 1, GMK_DEV); /* relaxed: a count */
            break;
        }
    }
    if (at < e->per_from)
        gmk_yield_at(ctx, at & 0xffffffffu);
    return GMK_OK;
}

/* Starts producer number `from` on the workers. */
GMK_FN void env_feed(env_t *e, uint32_t from)
{
    gmk_task_t t = env_msg(T_FEED, 0, from);

    gmk_test_assert_eq(gmk_submit(&e->kernel, &t), GMK_OK);
}

/* What the sink must have seen of n_from producers. */
GMK_FN void env_check_order(const env_t *e, uint32_t first, uint32_t n_from)
{
    gmk_test_assert_eq(e->got, n_from * e->per_from);
    gmk_test_assert_eq(e->out_of_order, 0);
    gmk_test_assert_eq(e->seq_gaps, 0);
    gmk_test_assert_eq(e->overlaps, 0);
    for (uint32_t i = first; i < first + n_from; i++)
        gmk_test_assert_eq(e->next[i], e->per_from);
}

/* Attached producers. -------------------------------------------------------------- */

typedef struct env_host {
    gmk_hal_thread_t thread;
    env_t *e;
    uint32_t from;
} env_host_t;

static inline void *env_host_main(void *arg)
{
    env_host_t *h = arg;
    env_t *e = h->e;
    gmk_host_t storage;
    gmk_ctx_t *ctx = gmk_host_attach(&e->kernel, &storage);
    uint32_t chan = h->from & 1 && e->chan2 != 0 ? e->chan2 : e->chan;

    if (!gmk_test_assert(ctx != NULL))
        return NULL;
    for (uint64_t i = 0; i < e->per_from; i++) {
        gmk_task_t t = env_msg(chan == e->chan2 ? T_MSG2 : T_MSG, i, h->from);
        int rc;

        while ((rc = gmk_chan_emit(ctx, chan, &t)) == GMK_CHAN_FULL)
            gmk_hal_relax();
        gmk_test_assert_eq(rc, GMK_OK);
    }
    gmk_test_assert_eq(gmk_host_detach(&storage), GMK_OK);
    return NULL;
}

GMK_FN void env_host_start(env_host_t *h, env_t *e, uint32_t from)
{
    h->e = e;
    h->from = from;
    gmk_test_assert_eq(gmk_hal_cpu_start(&h->thread, GMK_HAL_ANY_CPU, env_host_main, h), 0);
}

GMK_FN void env_hosts_join(env_host_t *h, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        gmk_test_assert_eq(gmk_hal_thread_join(&h[i].thread), 0);
}

#endif
