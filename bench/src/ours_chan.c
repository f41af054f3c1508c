/* SPDX-License-Identifier: MIT
 * The channel rows through the public API: modules that subscribe to P2P channels and a
 * lossless fan-out one. The task record carries the message. ingest is driven by a channel
 * of its own: each message there says where to go on, and what finds no room waits in the
 * module's outbox (gmk_chan_emit_wait). Workers are not pinned, stages not bound. */
#include "bench.h"
#include "chan.h"
#include "ggmk/ggmk.h"
#include <semaphore.h>

enum { T_GO = 1, T_RAW, T_DONE, T_NEWS };
enum { LIMIT_S = 30, WARM_UP = 1000 };

/* What the handlers reach by ctx->user. */
struct state {
    uint32_t go, out; /* channels */
    uint32_t lot;     /* messages a call of ingest makes */
    uint32_t steps;
    sem_t done; /* by each subscriber, with its last message */
    _Alignas(128) uint64_t total;
    _Alignas(128) struct sums sums[FANOUT];
    _Alignas(128) uint64_t seen[FANOUT];
};
static struct state state;
static gmk_kernel_t kernel;

static gmk_task_t task(uint32_t type, uint64_t a, uint64_t b)
{
    gmk_task_t t = {
        .type = type, .flags = GMK_SET_PRIORITY(0, GMK_PRIO_NORMAL), .meta0 = a, .meta1 = b};

    return t;
}

static int channel(gmk_ctx_t *ctx, const char *name)
{
    int id = gmk_chan_find(ctx, name);

    must(id > 0, name);
    return id;
}

/* Ingest. */

GMK_HANDLER(on_go)
{
    const struct state *s = (const struct state *)ctx->user;
    uint64_t next = ctx->task->meta0;
    uint64_t left = s->total - next;
    uint32_t n = left < s->lot ? (uint32_t)left : s->lot;
    uint32_t type = (uint32_t)ctx->task->meta1;
    gmk_task_t t[CHAN_LOT];
    int done;

    for (uint32_t i = 0; i < n; i++) {
        t[i] = task(type, 0, 0);
        chan_make(&t[i].meta0, &t[i].meta1, next + i);
        chan_work(next + i, s->steps);
    }
    done = gmk_chan_emit_batch(ctx, s->out, t, n);
    if (done < 0)
        return GMK_FAIL(1);
    for (uint32_t i = (uint32_t)done; i < n; i++)
        if (gmk_chan_emit_wait(ctx, s->out, &t[i]) != GMK_OK)
            return GMK_FAIL(2);
    if (next + n < s->total) {
        t[0] = task(T_GO, next + n, type);
        if (gmk_chan_emit(ctx, s->go, &t[0]) != GMK_OK)
            return GMK_FAIL(3);
    }
    return GMK_OK;
}

/* Transform. */

static uint32_t done_chan;

GMK_HANDLER(on_raw)
{
    const struct state *s = (const struct state *)ctx->user;
    gmk_task_t t = task(T_DONE, ctx->task->meta0, ctx->task->meta1);

    chan_transform(&t.meta0, &t.meta1);
    chan_work(t.meta0, s->steps);
    return gmk_chan_emit_wait(ctx, done_chan, &t) == GMK_OK ? GMK_OK : GMK_FAIL(1);
}

/* Store, and the subscribers of the fan-out. */

static void keep(struct state *s, uint32_t who, const gmk_task_t *t)
{
    chan_work(t->meta0, s->steps);
    chan_add(&s->sums[who], t->meta0, t->meta1);
    if (++s->seen[who] == s->total)
        must(sem_post(&s->done) == 0, "sem_post");
}

GMK_HANDLER(on_done)
{
    keep((struct state *)ctx->user, 0, ctx->task);
    return GMK_OK;
}

struct listener {
    struct state *s;
    uint32_t who;
};
static struct listener listeners[FANOUT] = {{&state, 0}, {&state, 1}, {&state, 2}};

GMK_HANDLER(on_news)
{
    const struct listener *l = (const struct listener *)ctx->user;

    keep(l->s, l->who, ctx->task);
    return GMK_OK;
}

#define P2P(n, dir, type)                                                                          \
    {                                                                                              \
        .name = (n), .direction = (dir), .msg_type = (type), .slots = BENCH_RING_CAP               \
    }
#define NEWS(dir)                                                                                  \
    {                                                                                              \
        .name = "bench.news", .direction = (dir), .msg_type = T_NEWS, .mode = GMK_CHAN_FANOUT,     \
        .guarantee = GMK_CHAN_LOSSLESS, .slots = BENCH_RING_CAP                                    \
    }

static gmk_handler_reg_t go_handlers[] = {{.type = T_GO, .fn = on_go, .name = "go"}};
static gmk_handler_reg_t raw_handlers[] = {{.type = T_RAW, .fn = on_raw, .name = "raw"}};
static gmk_handler_reg_t done_handlers[] = {{.type = T_DONE, .fn = on_done, .name = "done"}};
static gmk_handler_reg_t news_handlers[] = {{.type = T_NEWS, .fn = on_news, .name = "news"}};

static gmk_chan_decl_t ingest_chans[] = {P2P("bench.go", GMK_CHAN_CONSUME | GMK_CHAN_PRODUCE, T_GO),
                                         P2P("bench.raw", GMK_CHAN_PRODUCE, T_RAW)};
static gmk_chan_decl_t transform_chans[] = {P2P("bench.raw", GMK_CHAN_CONSUME, T_RAW),
                                            P2P("bench.done", GMK_CHAN_PRODUCE, T_DONE)};
static gmk_chan_decl_t store_chans[] = {P2P("bench.done", GMK_CHAN_CONSUME, T_DONE)};
static gmk_chan_decl_t source_chans[] = {P2P("bench.go", GMK_CHAN_CONSUME | GMK_CHAN_PRODUCE, T_GO),
                                         NEWS(GMK_CHAN_PRODUCE)};
static gmk_chan_decl_t news_chans[] = {NEWS(GMK_CHAN_CONSUME)};

#define MODULE(n, h, c, k, u)                                                                      \
    {                                                                                              \
        .name = (n), .handlers = (h), .n_handlers = 1, .channels = (c), .n_channels = (k),         \
        .user = (u)                                                                                \
    }

static gmk_module_t ingest = MODULE("ingest", go_handlers, ingest_chans, 2, &state);
static gmk_module_t transform = MODULE("transform", raw_handlers, transform_chans, 2, &state);
static gmk_module_t store = MODULE("store", done_handlers, store_chans, 1, &state);
static gmk_module_t source = MODULE("source", go_handlers, source_chans, 2, &state);
static gmk_module_t news[FANOUT] = {
    MODULE("news0", news_handlers, news_chans, 1, &listeners[0]),
    MODULE("news1", news_handlers, news_chans, 1, &listeners[1]),
    MODULE("news2", news_handlers, news_chans, 1, &listeners[2]),
};
static gmk_module_t *pipeline_modules[] = {&ingest, &transform, &store};
static gmk_module_t *fanout_modules[] = {&source, &news[0], &news[1], &news[2]};

/* The thread that waits sleeps, as those do that join the peers' threads. */
static void wait_done(uint32_t subs)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += LIMIT_S;
    for (uint32_t i = 0; i < subs; i++)
        must(sem_timedwait(&state.done, &end) == 0, "messages lost: the count was not reached");
}

/* n messages from the first to the last subscriber. returns: ns. */
static uint64_t run(gmk_ctx_t *host, uint32_t type, uint32_t subs, uint64_t n)
{
    gmk_task_t t = task(T_GO, 0, type);
    uint64_t t0;

    must(gmk_wait_idle(&kernel, LIMIT_S * 1000000000ull) == GMK_OK, "wait_idle");
    memset(state.seen, 0, sizeof state.seen);
    memset(state.sums, 0, sizeof state.sums);
    state.total = n;
    t0 = now_ns();
    must(gmk_chan_emit(host, state.go, &t) == GMK_OK, "start");
    wait_done(subs);
    return now_ns() - t0;
}

static void boot(gmk_module_t **modules, uint32_t n)
{
    gmk_boot_cfg_t cfg = {.arena_size = 64u << 20, .n_workers = 2, .n_tenants = 1};
    int rc;

    cfg.flags = GMK_BOOT_NO_LINKED_MODULES;
    memset(&state, 0, sizeof state);
    must(sem_init(&state.done, 0, 0) == 0, "sem_init");
    rc = gmk_boot(&kernel, &cfg, modules, n);
    if (rc != GMK_OK)
        fprintf(stderr, "gmk_boot: %s: %s\n", gmk_strerror(rc), gmk_boot_error(&kernel));
    must(rc == GMK_OK, "boot");
}

/* The checksums have counted; the books must balance too. */
static void halt(gmk_host_t *h)
{
    gmk_audit_report_t r;

    must(gmk_wait_idle(&kernel, LIMIT_S * 1000000000ull) == GMK_OK, "wait_idle");
    must(gmk_host_detach(h) == GMK_OK, "detach");
    must(gmk_halt_timeout(&kernel, LIMIT_S * 1000000000ull, &r) == GMK_OK, "halt");
    must(r.balanced && r.failed == 0 && r.dead == 0, "the books do not balance");
}

static void pipeline_row(const char *name, uint64_t n, uint32_t steps, uint32_t lot)
{
    gmk_host_t h;
    gmk_ctx_t *ctx;
    uint64_t dt;

    if (!bench_wants(name))
        return;
    boot(pipeline_modules, 3);
    ctx = gmk_host_attach(&kernel, &h);
    must(ctx != NULL, "attach");
    state.go = (uint32_t)channel(ctx, "bench.go");
    state.out = (uint32_t)channel(ctx, "bench.raw");
    done_chan = (uint32_t)channel(ctx, "bench.done");
    state.steps = steps;
    state.lot = lot;
    run(ctx, T_RAW, 1, WARM_UP);
    dt = run(ctx, T_RAW, 1, n);
    chan_check_pipeline(state.sums[0], n);
    halt(&h);
    result(name, "GGMK", m_per_s(n, dt), "M msg/s");
}

static void fanout_row(void)
{
    gmk_host_t h;
    gmk_ctx_t *ctx;
    uint64_t dt;

    if (!bench_wants(ROW_FANOUT))
        return;
    boot(fanout_modules, 1 + FANOUT);
    ctx = gmk_host_attach(&kernel, &h);
    must(ctx != NULL, "attach");
    state.go = (uint32_t)channel(ctx, "bench.go");
    state.out = (uint32_t)channel(ctx, "bench.news");
    state.lot = CHAN_LOT;
    run(ctx, T_NEWS, FANOUT, WARM_UP);
    dt = run(ctx, T_NEWS, FANOUT, CHAN_MSGS);
    for (uint32_t i = 0; i < FANOUT; i++)
        chan_check_fanout(state.sums[i], CHAN_MSGS);
    halt(&h);
    result(ROW_FANOUT, "GGMK", m_per_s((uint64_t)FANOUT * CHAN_MSGS, dt), "M msg/s");
}

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    pipeline_row(ROW_PIPELINE, CHAN_MSGS, 0, CHAN_LOT);
    pipeline_row(ROW_PIPELINE_1US, CHAN_MSGS_1US, CHAN_STEPS, 1);
    fanout_row();
    return 0;
}
