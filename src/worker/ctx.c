/* SPDX-License-Identifier: MIT
 * Tier 1: the calls that take a context.
 * Floor: F7. A thin cover: checks arguments, brackets what is done (for the fault guard, and
 * for halt where an attached thread calls), and calls the floor that does the work.
 * Source: SPEC SDK-3 to SDK-7, V-42, V-44. */
#include "worker/worker.h"

/* The brackets of a call; of a worker's in place. */
GMK_FN bool enter(gmki_agent_t *a)
{
    if (GMK_UNLIKELY(a->wq == NULL))
        return gmki_enter(a);
    gmki_core_begin(a);
    return true;
}

GMK_FN void leave(gmki_agent_t *a)
{
    if (GMK_UNLIKELY(a->wq == NULL))
        gmki_leave(a);
    else
        gmki_core_end(a);
}

/* gmk_emit of an attached thread. */
static GMK_NOINLINE int emit_host(gmki_agent_t *a, gmk_task_t *t)
{
    int rc;

    if (!gmki_enter(a))
        return GMK_E_HALTING;
    gmki_submit(a, t, 1, 0, &rc);
    gmki_answer(a, t, rc);
    gmki_leave(a);
    return rc;
}

static GMK_NOINLINE int emit_deterministic(gmki_agent_t *a, gmk_task_t *t, uint64_t due)
{
    int rc;

    gmki_touch(t);
    if (!gmki_enter(a))
        return GMK_E_HALTING;
    rc = gmki_answer(a, t, gmki_det_direct(a, t, due));
    gmki_leave(a);
    return rc;
}

static GMK_NOINLINE int emit_checked(gmki_agent_t *a, gmk_task_t *t)
{
    int rc = gmki_check_task(a->sched, t);

    if (GMK_UNLIKELY(rc != GMK_OK))
        return gmki_answer(a, t, rc);
    if (GMK_UNLIKELY((t->flags & GMK_TF_DETERMINISTIC) != 0))
        return emit_deterministic(a, t, 0);
    if (GMK_LIKELY(a->wq != NULL))
        return gmki_spawn(a, t);
    return emit_host(a, t);
}

int gmk_emit(gmk_ctx_t *ctx, gmk_task_t *t)
{
    if (GMK_UNLIKELY(ctx == NULL))
        return GMK_E_INVALID;
    if (GMK_LIKELY(t != NULL && gmki_spawn_again(ctx->agent, t)))
        return GMK_OK;
    return emit_checked(ctx->agent, t);
}

int gmk_emit_to(gmk_ctx_t *ctx, gmk_task_t *t, uint32_t worker)
{
    gmki_agent_t *a;
    int rc;

    if (ctx == NULL || worker >= ctx->agent->sched->n_workers)
        return GMK_E_INVALID;
    a = ctx->agent;
    rc = gmki_check_task(a->sched, t);
    if (rc == GMK_OK && (t->flags & GMK_TF_DETERMINISTIC) != 0)
        rc = GMK_E_INVALID; /* bound to a worker, it would not run in order */
    if (rc != GMK_OK)
        return gmki_answer(a, t, rc);
    gmki_touch(t);
    if (!gmki_enter(a))
        return GMK_E_HALTING;
    rc = gmki_answer(a, t, gmki_send_worker(a, t, worker, 0));
    gmki_leave(a);
    return rc;
}

static int set_timer(gmk_ctx_t *ctx, gmk_task_t *t, uint64_t due, bool is_tick)
{
    gmki_agent_t *a = ctx->agent;
    int rc = gmki_check_task(a->sched, t);

    if (rc == GMK_OK && (t->flags & GMK_TF_DETERMINISTIC) != 0 && !is_tick)
        rc = GMK_E_INVALID; /* the clock has no place in its order */
    if (rc != GMK_OK)
        return gmki_answer(a, t, rc);
    if (t->flags & GMK_TF_DETERMINISTIC)
        return emit_deterministic(a, t, due);
    gmki_touch(t);
    if (!gmki_enter(a))
        return GMK_E_HALTING;
    rc = gmki_answer(a, t, gmki_set_timer(a, t, due, is_tick, 0));
    gmki_leave(a);
    return rc;
}

int gmk_emit_after(gmk_ctx_t *ctx, gmk_task_t *t, uint64_t delay_ns)
{
    uint64_t now = gmk_hal_now_ns();

    if (ctx == NULL)
        return GMK_E_INVALID;
    return set_timer(ctx, t, delay_ns < GMKI_NEVER - 1 - now ? now + delay_ns : GMKI_NEVER - 1,
                     false);
}

int gmk_emit_at_tick(gmk_ctx_t *ctx, gmk_task_t *t, uint32_t tick)
{
    const gmki_agent_t *a;
    const gmki_det_t *d;
    uint64_t now;

    if (ctx == NULL)
        return GMK_E_INVALID;
    a = ctx->agent;
    d = &gmki_core(a->sched)->det;
    /* A deterministic task knows its own tick alone: more may have been advanced to. */
    now = gmki_det_current(d, a) != NULL ? d->tick : gmki_tick(a->sched, gmk_hal_now_ns());
    return set_timer(ctx, t, gmki_tick_widen(now, tick), true);
}

void gmk_yield(gmk_ctx_t *ctx)
{
    if (ctx != NULL)
        ctx->agent->yielded = ctx->agent->in_task;
}

void gmk_yield_at(gmk_ctx_t *ctx, uint32_t phase)
{
    if (ctx == NULL)
        return;
    ctx->task->meta0 = phase;
    gmk_yield(ctx);
}

bool gmk_budget_spent(gmk_ctx_t *ctx)
{
    const gmki_agent_t *a = ctx != NULL ? ctx->agent : NULL;
    uint64_t now;

    if (a == NULL || !a->in_task)
        return false;
    now = gmk_hal_now_ns();
    /* A worker's own time may be a little ahead. */
    return now > a->obs.now &&
           now - a->obs.now >= gmki_core(a->sched)->mods.handlers[gmki_current(a)].budget_ns;
}

/* The cell around ctx->task, null where no task runs. */
static const gmk_cell_t *current_cell(const gmk_ctx_t *ctx)
{
    if (ctx == NULL || !ctx->agent->in_task)
        return NULL;
    return (const gmk_cell_t *)((const char *)ctx->task - offsetof(gmk_cell_t, task));
}

uint32_t gmk_retries(const gmk_ctx_t *ctx)
{
    const gmk_cell_t *c = current_cell(ctx);

    return c != NULL ? c->retries : 0;
}

uint64_t gmk_chan_seq(const gmk_ctx_t *ctx)
{
    const gmk_cell_t *c = current_cell(ctx);

    return c != NULL && (c->task.flags & GMK_TF_CHANNEL_MSG) != 0 ? c->chan_seq : 0;
}

/* A message handler of a serial group runs. */
static bool in_group(const gmk_ctx_t *ctx)
{
    return ctx != NULL && ctx->agent->in_task && ctx->agent->group != NULL;
}

uint64_t gmk_chan_gap(const gmk_ctx_t *ctx) { return in_group(ctx) ? ctx->agent->chan_gap : 0; }

uint32_t gmk_error_reason(const gmk_ctx_t *ctx)
{
    return in_group(ctx) ? ctx->agent->error_reason : 0;
}

uint32_t gmk_self_tenant(const gmk_ctx_t *ctx) { return ctx != NULL ? ctx->task->tenant : 0; }

uint32_t gmk_self_worker(const gmk_ctx_t *ctx)
{
    return ctx != NULL ? ctx->worker_id : GMK_NO_WORKER;
}

uint32_t gmk_tick(const gmk_ctx_t *ctx) { return ctx != NULL ? ctx->tick : 0; }

/* Memory. --------------------------------------------------------------------- */

void *gmk_alloc(gmk_ctx_t *ctx, uint32_t size)
{
    void *p;

    if (ctx == NULL)
        return NULL;
    if (GMK_LIKELY(!ctx->agent->guarded)) /* a jump: the brackets would cost a fifth */
        return gmki_alloc(&ctx->agent->cache, size);
    gmki_core_begin(ctx->agent);
    p = gmki_alloc(&ctx->agent->cache, size);
    gmki_core_end(ctx->agent);
    return p;
}

void gmk_free(gmk_ctx_t *ctx, void *p)
{
    if (ctx == NULL)
        return;
    if (GMK_LIKELY(!ctx->agent->guarded)) {
        gmki_free(&ctx->agent->cache, p);
        return;
    }
    gmki_core_begin(ctx->agent);
    gmki_free(&ctx->agent->cache, p);
    gmki_core_end(ctx->agent);
}

void *gmk_bump(gmk_ctx_t *ctx, uint32_t size)
{
    void *p;

    if (ctx == NULL)
        return NULL;
    gmki_core_begin(ctx->agent);
    p = gmki_bump(&ctx->agent->cache, size);
    gmki_core_end(ctx->agent);
    return p;
}

void gmk_bump_reset(gmk_ctx_t *ctx)
{
    if (ctx == NULL)
        return;
    gmki_core_begin(ctx->agent);
    gmki_bump_reset(ctx->alloc);
    gmki_core_end(ctx->agent);
}

void *gmk_payload_alloc(gmk_ctx_t *ctx, uint32_t len)
{
    void *p;

    if (ctx == NULL)
        return NULL;
    gmki_core_begin(ctx->agent);
    p = gmki_payload_alloc(&ctx->agent->cache, len);
    gmki_core_end(ctx->agent);
    return p;
}

void gmk_task_set_payload(gmk_task_t *t, void *p)
{
    if (t == NULL || p == NULL)
        return;
    t->payload_ptr = (uint64_t)(uintptr_t)p;
    t->payload_len = ((const gmk_payload_hdr_t *)p - 1)->length;
    t->flags |= GMK_TF_PAYLOAD_RC;
}

void gmk_payload_release(gmk_ctx_t *ctx)
{
    gmk_task_t *t = ctx != NULL ? ctx->task : NULL;

    if (t == NULL || (t->flags & GMK_TF_PAYLOAD_RC) == 0)
        return;
    gmki_core_begin(ctx->agent); /* a crash later on must not give it back again */
    gmki_drop_payload(ctx->agent, t);
    t->flags &= (uint16_t)~GMK_TF_PAYLOAD_RC;
    t->payload_ptr = 0;
    t->payload_len = 0;
    gmki_core_end(ctx->agent);
}

void gmk_payload_retain(gmk_ctx_t *ctx)
{
    if (ctx != NULL && (ctx->task->flags & GMK_TF_PAYLOAD_RC) != 0)
        gmk_payload_retain_ptr(ctx, (void *)(uintptr_t)ctx->task->payload_ptr);
}

void gmk_payload_retain_ptr(gmk_ctx_t *ctx, void *p)
{
    if (ctx == NULL)
        return;
    gmki_core_begin(ctx->agent);
    gmki_payload_retain(&ctx->agent->cache, p, 1);
    gmki_core_end(ctx->agent);
}

void gmk_payload_release_ptr(gmk_ctx_t *ctx, void *p)
{
    if (ctx == NULL)
        return;
    gmki_core_begin(ctx->agent);
    gmki_payload_release(&ctx->agent->cache, p);
    gmki_core_end(ctx->agent);
}

/* Channels. ------------------------------------------------------------------- */

int gmk_chan_find(gmk_ctx_t *ctx, const char *name)
{
    return ctx != NULL && name != NULL ? gmki_chan_find(ctx->chan, name) : (int)GMK_E_INVALID;
}

int gmk_chan_open_with(gmk_ctx_t *ctx, const char *name, const gmk_chan_opts_t *opts)
{
    int rc;

    if (ctx == NULL || opts == NULL || opts->msg_type >= GMK_TYPE_SYS_FIRST)
        return GMK_E_INVALID;
    gmki_core_begin(ctx->agent);
    rc = gmki_chan_open(ctx->agent, ctx->chan, name, opts);
    gmki_core_end(ctx->agent);
    return rc;
}

int gmk_chan_open(gmk_ctx_t *ctx, const char *name, uint32_t mode, uint32_t slots)
{
    gmk_chan_opts_t o = {.mode = mode, .slots = slots};

    return gmk_chan_open_with(ctx, name, &o);
}

int gmk_chan_close(gmk_ctx_t *ctx, uint32_t chan)
{
    int rc;

    if (ctx == NULL)
        return GMK_E_INVALID;
    if (!gmki_enter(ctx->agent))
        return GMK_E_HALTING;
    if (ctx->agent->stage.n != 0) /* sent before the end */
        gmki_stage_flush(ctx->agent, ctx->agent->group);
    rc = gmki_chan_close(ctx->agent, ctx->chan, chan);
    gmki_leave(ctx->agent);
    return rc;
}

int gmk_chan_fix_type(gmk_ctx_t *ctx, uint32_t chan, uint32_t type)
{
    gmki_chan_t *c;
    int rc;

    if (ctx == NULL || type == 0 || type >= GMKI_TYPES)
        return GMK_E_INVALID;
    if (!gmki_enter(ctx->agent))
        return GMK_E_HALTING;
    c = gmki_chan_get(ctx->chan, chan);
    rc =
        c == NULL || c->kind != GMKI_CHAN_USER ? (int)GMK_CHAN_CLOSED : gmki_chan_fix_type(c, type);
    gmki_leave(ctx->agent);
    return rc;
}

/* A request of the module whose init, fini or handler runs; false: there is none. */
static bool module_request(const gmk_ctx_t *ctx, uint32_t chan, gmki_sub_req_t *q)
{
    if (ctx == NULL || ctx->agent->obs.module >= GMK_MAX_MODULES)
        return false;
    *q = (gmki_sub_req_t){.chan = chan,
                          .module = ctx->agent->obs.module,
                          .worker = GMK_NO_WORKER,
                          .handler = GMKI_NO_HANDLER};
    return true;
}

int gmk_chan_sub(gmk_ctx_t *ctx, uint32_t chan)
{
    return gmk_chan_sub_worker(ctx, chan, GMK_NO_WORKER);
}

int gmk_chan_sub_worker(gmk_ctx_t *ctx, uint32_t chan, uint32_t worker)
{
    gmki_sub_req_t q;
    int rc;

    if (!module_request(ctx, chan, &q) ||
        (worker != GMK_NO_WORKER && worker >= ctx->agent->sched->n_workers))
        return GMK_E_INVALID;
    q.worker = worker;
    gmki_core_begin(ctx->agent);
    rc = gmki_chan_subscribe(ctx->agent, ctx->chan, &q);
    gmki_core_end(ctx->agent);
    return rc;
}

int gmk_chan_unsub(gmk_ctx_t *ctx, uint32_t chan)
{
    gmki_sub_req_t q;
    int rc;

    if (!module_request(ctx, chan, &q))
        return GMK_E_INVALID;
    gmki_core_begin(ctx->agent);
    rc = gmki_chan_unsubscribe(ctx->agent, ctx->chan, &q);
    gmki_core_end(ctx->agent);
    return rc;
}

int gmk_chan_on_error(gmk_ctx_t *ctx, uint32_t chan, gmk_handler_fn fn)
{
    gmki_sub_req_t q;
    int rc;

    if (!module_request(ctx, chan, &q))
        return GMK_E_INVALID;
    gmki_core_begin(ctx->agent);
    rc = gmki_chan_on_error(ctx->agent, ctx->chan, chan, fn);
    gmki_core_end(ctx->agent);
    return rc;
}

/* The module's serial subscription to a channel that keeps messages. */
static int replay_sub(const gmk_ctx_t *ctx, const gmki_sub_req_t *q, gmki_sub_t **s)
{
    gmki_chan_t *c;
    int rc = GMK_OK;

    gmk_hal_lock_acquire(&ctx->chan->lock);
    c = gmki_chan_get(ctx->chan, q->chan);
    *s = c != NULL ? gmki_sub_of(c, q->module, NULL) : NULL;
    if (c == NULL)
        rc = GMK_CHAN_CLOSED;
    else if (c->replay == 0)
        rc = GMK_E_INVALID;
    else if (*s == NULL)
        rc = GMK_E_NOT_FOUND;
    else if (gmki_is_parallel(gmki_sub_group(*s)))
        rc = GMK_E_INVALID;
    gmk_hal_lock_release(&ctx->chan->lock);
    return rc;
}

static int replay(const gmk_ctx_t *ctx, uint32_t chan, uint64_t from_seq)
{
    gmki_sub_req_t q;
    uint32_t nobody = 0;
    gmki_group_t *g;
    gmki_sub_t *s;
    int rc;

    if (!module_request(ctx, chan, &q) || from_seq == 0)
        return GMK_E_INVALID;
    rc = replay_sub(ctx, &q, &s);
    if (rc != GMK_OK)
        return rc;
    g = ctx->chan->groups[q.module];
    /* Nobody else moves its cursor: this is its drainer, or nobody runs yet. */
    if (ctx->agent->group == g || (ctx->agent->wq != NULL && !ctx->agent->in_task))
        return gmki_sub_replay(ctx->agent, s, from_seq - 1);
    /* Or nobody has the token: then it is taken for a moment, and passed on. Only under it
     * does the subscription stay what it is. */
    if (!gmk_cas_ar(&g->pending, &nobody, 1, GMK_DEV)) /* sync: group.pending */
        return GMK_E_BUSY;
    rc = replay_sub(ctx, &q, &s);
    if (rc == GMK_OK)
        rc = gmki_sub_replay(ctx->agent, s, from_seq - 1);
    gmki_group_activate(ctx->agent, g, GMK_PRIO_HIGH);
    return rc;
}

int gmk_chan_replay(gmk_ctx_t *ctx, uint32_t chan, uint64_t from_seq)
{
    int rc;

    if (ctx == NULL)
        return GMK_E_INVALID;
    gmki_core_begin(ctx->agent);
    rc = replay(ctx, chan, from_seq);
    gmki_core_end(ctx->agent);
    return rc;
}

/* A request of a bridge. returns: GMK_OK: gmki_leave must follow. */
static int sink_enter(const gmk_ctx_t *ctx, uint32_t chan, const gmk_chan_sink_t *sink,
                      gmki_sub_req_t *q)
{
    *q = (gmki_sub_req_t){.chan = chan,
                          .module = GMK_MAX_MODULES,
                          .worker = GMK_NO_WORKER,
                          .handler = GMKI_NO_HANDLER,
                          .sink = sink};
    if (ctx == NULL || sink == NULL || sink->take == NULL)
        return GMK_E_INVALID;
    return gmki_enter(ctx->agent) ? GMK_OK : (int)GMK_E_HALTING;
}

int gmk_chan_sub_sink(gmk_ctx_t *ctx, uint32_t chan, const gmk_chan_sink_t *sink)
{
    gmki_sub_req_t q;
    int rc = sink_enter(ctx, chan, sink, &q);

    if (rc != GMK_OK)
        return rc;
    rc = gmki_chan_subscribe(ctx->agent, ctx->chan, &q);
    gmki_leave(ctx->agent);
    return rc;
}

int gmk_chan_unsub_sink(gmk_ctx_t *ctx, uint32_t chan, const gmk_chan_sink_t *sink)
{
    gmki_sub_req_t q;
    int rc = sink_enter(ctx, chan, sink, &q);

    if (rc != GMK_OK)
        return rc;
    rc = gmki_chan_unsubscribe(ctx->agent, ctx->chan, &q);
    gmki_leave(ctx->agent);
    return rc;
}

int gmk_chan_sink_ready(gmk_ctx_t *ctx, uint32_t chan, const gmk_chan_sink_t *sink)
{
    gmki_sub_req_t q;
    int rc = sink_enter(ctx, chan, sink, &q);

    if (rc != GMK_OK)
        return rc;
    rc = gmki_chan_sink_ready(ctx->agent, ctx->chan, chan, sink);
    gmki_leave(ctx->agent);
    return rc;
}

int gmk_chan_emit_cells(gmk_ctx_t *ctx, uint32_t chan, const gmk_cell_t *cells, uint32_t n)
{
    int rc;

    if (ctx == NULL || cells == NULL || n > INT32_MAX)
        return GMK_E_INVALID;
    if (n != 0) {
        gmki_touch(&cells[0].task);
        gmki_touch(&cells[n - 1].task);
    }
    if (!gmki_enter(ctx->agent))
        return GMK_E_HALTING;
    rc = gmki_chan_emit_cells(ctx->agent, ctx->chan, chan, cells, n);
    gmki_leave(ctx->agent);
    return rc;
}

int gmk_chan_emit_batch(gmk_ctx_t *ctx, uint32_t chan, gmk_task_t *t, uint32_t n)
{
    int rc;

    if (ctx == NULL || t == NULL || n > INT32_MAX)
        return GMK_E_INVALID;
    if (n == 0)
        return 0;
    gmki_touch(&t[0]);
    gmki_touch(&t[n - 1]);
    if (!enter(ctx->agent))
        return GMK_E_HALTING;
    rc = gmki_chan_emit(ctx->agent, ctx->chan, chan, t, n);
    leave(ctx->agent);
    return rc;
}

int gmk_chan_emit(gmk_ctx_t *ctx, uint32_t chan, gmk_task_t *t)
{
    int rc = gmk_chan_emit_batch(ctx, chan, t, 1);

    return rc > 0 ? GMK_OK : rc == 0 ? (int)GMK_CHAN_FULL : rc;
}

int gmk_chan_emit_wait(gmk_ctx_t *ctx, uint32_t chan, gmk_task_t *t)
{
    int rc;

    if (ctx == NULL || t == NULL)
        return GMK_E_INVALID;
    gmki_touch(t);
    if (!enter(ctx->agent))
        return GMK_E_HALTING;
    rc = gmki_chan_emit_wait(ctx->agent, ctx->chan, chan, t);
    leave(ctx->agent);
    return rc;
}

/* Observability. -------------------------------------------------------------- */

/* The counters that the audit compares, those that follow from them, and the allocators'. */
static bool is_ledger(uint32_t id)
{
    return id == GMK_METRIC_ALLOC_BYTES || id <= GMK_METRIC_TASKS_YIELDED ||
           (id >= GMK_METRIC_TASKS_ACCEPTED && id <= GMK_METRIC_TASKS_DEAD) ||
           id == GMK_METRIC_POISON_SKIPS;
}

void gmk_metric_inc(gmk_ctx_t *ctx, uint32_t metric_id, uint32_t delta)
{
    if (ctx != NULL && metric_id < GMK_METRIC_COUNT && !is_ledger(metric_id))
        gmki_count(&ctx->agent->obs, ctx->task->tenant, metric_id, delta);
}

/* In parentheses: a stripped build has a macro of this name. Modules of other builds
 * find the function. */
void(gmk_trace)(gmk_ctx_t *ctx, uint32_t ev, uint32_t a0, uint32_t a1)
{
#ifdef GMK_STRIP_TRACE
    (void)ctx, (void)ev, (void)a0, (void)a1;
#else
    gmki_obs_t *o = ctx != NULL ? &ctx->agent->obs : NULL;
    uint32_t level = ev >= GMK_EV_USER ? (uint32_t)GMK_TRACE_INFO : gmk_trace_event_level(ev);
    bool forced;

    if (ctx == NULL)
        return;
    forced = (ctx->task->flags & GMK_TF_EMIT_TRACE) != 0;
    if (!forced && !gmki_trace_on(o, level))
        return;
    gmki_core_begin(ctx->agent);
    if (!forced && level == GMK_TRACE_ALL)
        gmki_trace_sampled(o, ev, ctx->task, a0, a1);
    else
        gmki_trace_write(o, ev, ctx->task, a0, a1);
    gmki_core_end(ctx->agent);
#endif
}
