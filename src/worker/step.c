/* SPDX-License-Identifier: MIT
 * The worker's step and loop.
 * Floor: F7. A step is one batch: clock, due events, inbox, local queue, then what the
 * shared queues give. Newest spawned tasks go first; every GMK_AGING_INTERVAL takes the
 * older queues get one task each, so nothing starves. The batch shrinks to one task
 * when tasks are long, so that little is stuck behind a long handler.
 * Source: SPEC SC-9 to SC-14, CH-51; ARCHITECTURE R3, R9, R10. */
#include "worker/worker.h"

#define LINGER_LOOKS 32u
#define RUN_LOOK 32u     /* tasks between two looks at who is idle */
#define LINGER_HEARS 16u /* at its own inbox, for each of those */
#define HEAR_LOOKS 128u  /* at its own inbox, some nanoseconds each */
#define REST_MOST 63u    /* pauses of the longest rest between two looks at a stream */
#define YIELD_TAKES 8u   /* behind a yield, until the next look at the older queues */

/* A task bound to another worker, which found no room in that one's inbox. */
static GMK_NOINLINE uint32_t astray(gmki_agent_t *a, gmk_cell_t *c)
{
    if (!gmki_place(a, c))
        gmki_give_up(a, c);
    return 0;
}

/* Puts a yielded or retried task back into a queue; false: none took it, it has failed. */
static GMK_NOINLINE bool place_again(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c)
{
    a->wq->gave_way = true;
    if (gmki_place_yield(a, c))
        return true;
    gmki_trace_task(&a->obs, YIELD_OVERFLOW, &c->task, a->obs.agent, c->task.seq);
    gmki_count(&a->obs, c->task.tenant, GMK_METRIC_YIELD_OVERFLOWS, 1);
    gmki_fail(a, k, c, GMK_ERR_YIELD_OVERFLOW);
    return false;
}

/* Runs what a cell holds; returns how many deliveries ran. */
static GMK_NOINLINE uint32_t run_cell(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c,
                                      uint32_t budget)
{
    enum gmki_outcome out;
    uint32_t handler;

    if (c->task.flags & GMK_TF_ACTIVATION)
        return gmki_turn(a, k, k->chan.groups[c->task.meta0], budget);
    if (GMK_UNLIKELY(c->task.flags & GMK_TF_BOUND) && c->chan_seq != a->obs.agent + 1)
        return astray(a, c);
    handler = c->sub != 0 ? k->chan.subs[c->sub]->handler : k->sched.type_handler[c->task.type];
    out = gmki_dispatch(a, k, c, handler);
    if (out == GMKI_AGAIN && !place_again(a, k, c))
        out = GMKI_FAILED;
    if (c->sub != 0 && (out == GMKI_COMPLETED || out == GMKI_FAILED))
        gmki_parallel_ended(a, k->chan.subs[c->sub]);
    return 1;
}

/* The oldest spawned task. In a tree it begins a branch before others have ended, which
 * takes memory: such looks become rarer while they breed more than they end. */
static uint32_t run_oldest(gmki_agent_t *a, gmki_core_t *k)
{
    gmki_wq_t *q = a->wq;
    uint32_t before = gmk_lq_count(&q->stack);
    gmk_cell_t *c;
    uint32_t n;

    if (q->oldest_in > 1) {
        q->oldest_in--;
        return 0;
    }
    c = gmk_lq_take_oldest(&q->stack);
    if (c == NULL)
        return 0;
    n = run_cell(a, k, c, 1);
    if (gmk_lq_count(&q->stack) > before)
        q->oldest_every = gmk_min32(2 * gmk_max32(q->oldest_every, 1), GMK_AGING_BACKOFF);
    else
        q->oldest_every /= 2;
    q->oldest_in = q->oldest_every;
    return n;
}

/* A look that a yield has brought nearer leaves the local queue's order alone, until as many
 * takes as between two others have passed. */
static bool whole_look(gmki_wq_t *q)
{
    q->since_whole += GMK_AGING_INTERVAL - q->nearer;
    q->nearer = 0;
    if (q->since_whole < GMK_AGING_INTERVAL)
        return false;
    q->since_whole = 0;
    return true;
}

/* Once in a while: what newest-first would starve. At most six tasks. */
static GMK_NOINLINE uint32_t run_older(gmki_agent_t *a, gmki_core_t *k)
{
    gmki_wq_t *q = a->wq;
    bool whole = whole_look(q);
    gmk_cell_t c;
    uint32_t n = 0;

    if (gmki_evq_due(&k->sched, a->obs.now))
        gmki_fire(a, a->obs.now);
    /* One of each: work that keeps the bucket full must not hide the ready queue. */
    if (gmki_overflow_pop(&k->sched, q, &c))
        n += run_cell(a, k, &c, 1);
    if (gmki_rq_pop(&k->sched, q, &c))
        n += run_cell(a, k, &c, 1);
    /* What was put there for others to steal, if they are as busy. */
    if (gmk_cells_pop(&q->shared.ring, q->shared.cells, &c, 1, GMK_DEV) != 0 &&
        !gmki_put_oldest(q, &c))
        n += run_cell(a, k, &c, 1);
    if (whole && gmk_lq_pop_oldest(&q->fifo, &c))
        n += run_cell(a, k, &c, 1);
    if (whole)
        n += run_oldest(a, k);
    if (gmki_spill_take(a, &c))
        n += run_cell(a, k, &c, 1);
    return n;
}

/* Runs up to n tasks of the local queue where they stand. Of a task whose head is that of the
 * one before, all that follows from it is known. *odd: the one taken last wants run_cell.
 * Fewer than n, and no odd one: the queue is empty. */
static uint32_t run_plain(gmki_agent_t *a, gmki_core_t *k, uint32_t n, gmk_cell_t **odd)
{
    gmki_wq_t *q = a->wq;
    const gmki_handler_t *h = NULL;
    gmk_a64_t *handler_row = NULL;
    gmk_a64_t *tenant_row = NULL;
    uint64_t last = UINT64_MAX; /* no task's: its type would not be one */

    *odd = NULL;
    for (uint32_t i = 0; i < n; i++) {
        gmk_cell_t *c = gmk_lq_take_newest(&q->stack);
        uint64_t head;
        int rc;

        if (c == NULL && (c = gmk_lq_take_oldest(&q->fifo)) == NULL)
            return i;
        gmki_spawn_nearer(q);
        head = gmk_task_word(&c->task, 0);
        if (GMK_UNLIKELY(head != last)) {
            uint32_t handler = k->sched.type_handler[c->task.type];

            if (c->task.flags & (GMKI_TF_SPECIAL | GMK_TF_CHANNEL_MSG)) {
                *odd = c;
                return i;
            }
            h = &k->mods.handlers[handler];
            handler_row = &a->handler_rows[handler * GMKI_HROW_WORDS + GMKI_HROW_COMPLETED];
            tenant_row = &a->obs.rows[c->task.tenant * GMKI_ROW_WORDS + GMK_METRIC_TASKS_COMPLETED];
            gmki_enter_task(a, c, handler, h);
            last = head;
        }
        a->ctx.task = &c->task;
        if (GMK_UNLIKELY(gmk_load_acq(&h->poisoned, GMK_DEV) != 0)) { /* sync: module.poison */
            gmki_skip_poisoned(a, k, c);
            continue;
        }
        if (GMK_UNLIKELY(--a->time_in == 0))
            rc = gmki_call_timed(a, k, c, (uint32_t)(h - k->mods.handlers));
        else
            rc = h->fn(&a->ctx);
        if (GMK_UNLIKELY(rc != GMK_OK || a->yielded)) {
            if (gmki_uncommon(a, k, c, rc) == GMKI_AGAIN)
                (void)place_again(a, k, c);
            continue;
        }
        if (GMK_UNLIKELY(c->task.flags & GMK_TF_PAYLOAD_RC))
            gmki_drop_payload(a, &c->task);
        gmk_count_add(handler_row, 1);
        gmki_settle(tenant_row);
    }
    return n;
}

/* Behind a handler that takes long, some must be stealable: a few always, half if somebody is
 * idle or tasks are long. relaxed: a hint; work that stays private is still run here. */
static void offer(gmki_agent_t *a, const gmki_core_t *k, bool always)
{
    gmki_wq_t *q = a->wq;
    bool idle = gmk_load_rlx(&k->sched.idle, GMK_DEV) != 0; /* relaxed: as above */

    if (gmki_local_count(q) > 1 && (always || idle))
        gmki_share(a, idle || q->batch == 1 ? 2 : 4);
    gmki_spawn_bound(a);
}

/* Who yields lets others go first: those in the older queues, too. If all that is here yields
 * again and again, the way to what it waits for may lead through them. So that look comes soon,
 * where calls are long after one more. */
static GMK_NOINLINE void give_way(gmki_wq_t *q)
{
    uint32_t in = gmk_min32(q->older_in, gmk_min32(q->batch, YIELD_TAKES));

    q->gave_way = false;
    q->nearer += q->older_in - in;
    q->older_in = in;
}

static uint32_t run_local(gmki_agent_t *a, gmki_core_t *k, uint32_t limit)
{
    gmki_wq_t *q = a->wq;
    /* relaxed: a setting that may take effect late */
    bool traced = gmk_load_rlx(&a->obs.cfg->max_level, GMK_DEV) >= GMK_TRACE_ALL;
    gmk_cell_t *c = NULL;
    uint32_t n = 0;
    uint32_t ran;

    for (bool first = true; n < limit; first = false) {
        uint32_t some;

        if (GMK_UNLIKELY(q->gave_way))
            give_way(q);
        some = gmk_min32(gmk_min32(limit - n, RUN_LOOK), q->older_in);
        if (some == 0) {
            n += run_older(a, k);
            q->older_in = GMK_AGING_INTERVAL;
            continue;
        }
        offer(a, k, first);
        ran = run_plain(a, k, traced ? 0 : some, &c);
        if (traced && (c = gmk_lq_take_newest(&q->stack)) == NULL)
            c = gmk_lq_take_oldest(&q->fifo);
        n += ran;
        q->older_in -= ran + (c != NULL);
        if (c != NULL)
            n += run_cell(a, k, c, limit - gmk_min32(n, limit - 1));
        else if (ran < some)
            break;
    }
    return n;
}

static uint32_t run_inbox(gmki_agent_t *a, gmki_core_t *k, uint32_t limit)
{
    gmki_queue_t *in = &a->wq->inbox;
    gmk_cell_t c;
    uint32_t n = 0;

    while (n < limit && gmk_cells_pop_sc(&in->ring, in->cells, &c, 1, GMK_DEV) != 0)
        n += gmk_max32(run_cell(a, k, &c, limit - n), 1);
    return n;
}

/* The worker is between two batches, or looks for work: it is inside no call. */
static void beat(gmki_wq_t *q)
{
    /* relaxed: the worker's own */
    gmk_store_rel(&q->heartbeat, gmk_load_rlx(&q->heartbeat, GMK_DEV) + 1,
                  GMK_DEV); /* sync: worker.heartbeat */
}

/* Of a batch with one call, that was not timed by itself, the batch's time tells if it was
 * too long. The worker's own few hundred nanoseconds are in it. */
static void check_budget(gmki_agent_t *a, const gmki_core_t *k, uint64_t spent)
{
    if (!a->timed && a->edge_in - a->time_in == 1 && gmki_current(a) != GMKI_IDLE) {
        const gmki_handler_t *h = &k->mods.handlers[gmki_current(a)];

        if (GMK_UNLIKELY(spent > h->budget_ns)) {
            const gmk_task_t t = {.type = h->type};

            gmki_overrun(a, &t, spent);
        }
    }
    a->timed = false;
    a->edge_in = a->time_in;
}

/* At a batch edge: the clock, and what the last batch says about the next one's size. */
static void batch_edge(gmki_agent_t *a, gmki_core_t *k)
{
    gmki_wq_t *q = a->wq;
    uint64_t now = gmki_clock(a);
    uint64_t spent = now - a->obs.now;

    if (q->last_n != 0) {
        uint64_t fits = (uint64_t)q->last_n * GMK_BATCH_TARGET_NS / (spent + 1);

        q->batch = (uint32_t)gmk_min64(gmk_min64(fits, 2 * (uint64_t)q->batch), k->sched.max_batch);
        q->batch = gmk_max32(q->batch, 1);
        q->offer_from = q->batch > 1;
        check_budget(a, k, spent);
    }
    gmki_raise(&q->local_high, gmki_local_count(q));
    a->obs.now = now;
    a->obs.module = GMKI_LEVEL_KERNEL; /* whose events are traced until a handler runs */
    a->ctx.tick = (uint32_t)gmki_tick(&k->sched, now);
    beat(q);
}

uint32_t gmki_worker_step(gmki_agent_t *a, gmki_core_t *k)
{
    gmki_wq_t *q = a->wq;
    uint32_t heard;
    uint32_t n;

    batch_edge(a, k);
    if (gmki_evq_due(&k->sched, a->obs.now))
        gmki_fire(a, a->obs.now);
    heard = run_inbox(a, k, gmk_max32(q->batch / 2, 1));
    n = heard + run_local(a, k, q->batch);
    /* An inbox that is never empty must not hide the others, even if a batch is one task. */
    if ((n < q->batch || n == heard) && gmki_gather(a, q->batch - gmk_min32(n, q->batch - 1)) != 0)
        n += gmk_max32(run_local(a, k, q->batch - gmk_min32(n, q->batch - 1)), 1);
    if (n == 0 && gmki_steal(a) != 0)
        n = gmk_max32(run_local(a, k, q->batch), 1);
    if (GMK_UNLIKELY(n == 0))
        gmk_store_rlx(&q->current, 0, GMK_DEV); /* relaxed: for a person to read */
    q->last_n = n;
    return n;
}

/* Looks everywhere once; true if there is something to run. */
static bool find(gmki_agent_t *a, gmki_core_t *k, uint64_t now)
{
    const gmki_queue_t *in = &a->wq->inbox;

    if (gmki_evq_due(&k->sched, now))
        gmki_fire(a, now); /* may put activations into the local queue */
    return gmki_local_count(a->wq) != 0 || gmk_cells_ready(&in->ring, in->cells, GMK_DEV) ||
           gmki_gather(a, a->wq->batch) != 0 || gmki_steal(a) != 0;
}

/* Between batches: stands still when told to; false: leave. */
static bool go_on(gmki_agent_t *a)
{
    uint32_t control = gmk_load_sc(&a->sched->control, GMK_DEV); /* sync: sched.control */

    if (GMK_LIKELY(control == 0))
        return true;
    if (control & GMKI_FREEZE)
        gmki_freeze_point(a);
    return (control & GMKI_STOP) == 0;
}

/* Takes from its inbox for a little longer than another worker needs to answer: the answer
 * to an answer then waits for no batch's edge. returns: how many ran, at most limit. */
static uint32_t hear(gmki_agent_t *a, gmki_core_t *k, uint32_t limit)
{
    gmki_wq_t *q = a->wq;
    const gmki_queue_t *in = &q->inbox;
    uint32_t n = 0;

    for (uint32_t i = 0; i < HEAR_LOOKS; i++) {
        if (!gmk_cells_ready(&in->ring, in->cells, GMK_DEV))
            continue;
        n += run_inbox(a, k, limit - n);
        if (n >= limit || gmki_local_count(q) != 0)
            break;
        i = 0;
    }
    return n;
}

/* A consumer at the heels of a producer takes the lines from under his hands: each then
 * waits for the other, task by task. So after a look that has emptied a ready queue the
 * worker leaves it alone for a while, the longer the more often it found some, not one, but
 * no full batch. The batch ends before: this is not its tasks' time. */
static void rest(gmki_agent_t *a, gmki_core_t *k)
{
    gmki_wq_t *q = a->wq;
    const gmki_queue_t *in = &q->inbox;

    q->rest = q->emptied > 1 ? gmk_min32(2 * q->rest + 1, REST_MOST) : q->rest / 2;
    q->emptied = 0;
    if (q->rest == 0)
        return;
    batch_edge(a, k);
    q->last_n = 0;
    for (uint32_t i = 0; i < q->rest; i++) {
        if (gmk_cells_ready(&in->ring, in->cells, GMK_DEV))
            break;
        gmk_pause();
    }
}

/* Looks at its own inbox, whose lines nobody else wants, again and again. */
static bool listen(const gmki_wq_t *q, uint32_t looks)
{
    for (uint32_t i = 0; i < looks; i++)
        if (gmk_cells_ready(&q->inbox.ring, q->inbox.cells, GMK_DEV))
            return true;
    return false;
}

/* Looks on for a few microseconds before it counts as idle: between two submits of a busy
 * sender the idle word, which every sender touches, is then left alone; and of two workers
 * that answer each other none parks because the other was interrupted. */
static bool linger(gmki_agent_t *a, const gmki_core_t *k)
{
    a->wq->rest = 0;
    for (uint32_t i = 0; i < LINGER_LOOKS; i++) {
        if (gmki_work_visible(&k->sched, a->wq))
            return true;
        if (listen(a->wq, LINGER_HEARS))
            return true;
        gmk_pause();
    }
    return false;
}

static void idle(gmki_agent_t *a, gmki_core_t *k)
{
    gmk_sched_t *s = &k->sched;
    bool spin = gmki_search_begin(s);
    uint64_t now = gmk_hal_now_ns();
    uint64_t until = now + s->spin_ns;

    while (go_on(a) && !find(a, k, now)) {
        beat(a->wq); /* it looks for work: it is well */
        if (spin && now < until) {
            if (!listen(a->wq, HEAR_LOOKS))
                gmk_hal_relax(); /* who makes work may wait for this processor */
        } else {
            gmki_park(a);
            until = gmk_hal_now_ns() + s->spin_ns;
        }
        now = gmk_hal_now_ns();
    }
    gmki_search_end(a);
    a->wq->last_n = 0;
    a->obs.now = now;
}

void *gmki_worker_loop(void *agent)
{
    gmki_agent_t *a = agent;
    gmki_core_t *k = gmki_core(a->sched);
    gmki_wq_t *q = a->wq;

    a->obs.now = gmk_hal_now_ns();
    a->in_task = true;
    while (go_on(a)) {
        uint32_t n = gmki_worker_step(a, k);

        if (n == 0) {
            if (!linger(a, k))
                idle(a, k);
        } else if (n < q->batch && gmki_local_count(q) == 0) {
            q->last_n += hear(a, k, q->batch - n);
            if (q->emptied != 0 && gmki_local_count(q) == 0)
                rest(a, k);
        }
    }
    gmk_store_rel(&q->exited, 1, GMK_DEV); /* sync: worker.exited */
    gmk_hal_park_wake(&k->sched.quiet);
    return NULL;
}
