/* SPDX-License-Identifier: MIT
 * The enqueue core: the only place that accepts, stamps, places and wakes.
 * Floor: F4. Order of places: a spawn goes to the local queue up to the watermark, the
 * ready queue, the overflow bucket, the arena; a yield to the local queue with its
 * reserve, the overflow bucket, the arena. Work from outside is refused when the ready
 * queue is full.
 * Source: SPEC EQ-1 to EQ-6, V-22; ARCHITECTURE R3, R8, R10, R19. */
#include "sched/sched.h"

void gmki_unaccept(gmki_agent_t *a, uint32_t tenant, uint32_t n)
{
    if (n != 0)
        gmki_count(&a->obs, tenant, GMK_METRIC_TASKS_ACCEPTED, 0 - (uint64_t)n);
}

/* Pushes up to n cells of one priority to the ready queue and wakes. */
static uint32_t ready_push(gmki_agent_t *a, const gmk_cell_t *c, uint32_t n, bool wake)
{
    gmk_sched_t *s = a->sched;
    gmki_queue_t *q = &s->rq[GMK_PRIORITY(c->task.flags)];
    uint32_t k;

    if (GMK_FAULT(GMK_FAULT_QUEUE))
        return 0;
    k = gmk_cells_push(&q->ring, q->cells, c, n, GMK_DEV);
    if (k != 0 && wake)
        gmki_wake_one(s);
    return k;
}

static bool overflow_push(gmki_agent_t *a, const gmk_cell_t *c)
{
    gmki_queue_t *q = &a->sched->overflow;

    if (GMK_FAULT(GMK_FAULT_QUEUE) || gmk_cells_push(&q->ring, q->cells, c, 1, GMK_DEV) == 0)
        return false;
    gmki_count(&a->obs, c->task.tenant, GMK_METRIC_TASKS_OVERFLOWED, 1);
    gmki_wake_one(a->sched);
    return true;
}

/* A task bound to a worker goes back to its inbox. That has room for yields; more
 * retries than it holds may come due at once, which wait in the arena. */
static bool inbox_return(gmki_agent_t *a, const gmk_cell_t *c)
{
    uint32_t worker = (uint32_t)c->chan_seq - 1;
    gmki_queue_t *q = &a->sched->wq[worker].inbox;

    /* A quarter stays free for activations. Whoever takes a spilled one tries again. */
    if (gmk_mpmc_count(&q->ring, GMK_DEV) >= q->cap - q->cap / 4 ||
        gmk_cells_push(&q->ring, q->cells, c, 1, GMK_DEV) == 0)
        return a->wq != NULL && gmki_spill_put(a, c);
    gmki_wake_owner(a->sched, worker);
    return true;
}

bool gmki_place(gmki_agent_t *a, const gmk_cell_t *c)
{
    if (c->task.flags & GMK_TF_BOUND)
        return inbox_return(a, c);
    return ready_push(a, c, 1, true) != 0 || overflow_push(a, c) ||
           (a->wq != NULL && gmki_spill_put(a, c));
}

bool gmki_place_yield(gmki_agent_t *a, const gmk_cell_t *c)
{
    gmki_wq_t *q = a->wq;

    if (q == NULL)
        return gmki_place(a, c);
    if (c->task.flags & GMK_TF_BOUND)
        return inbox_return(a, c);
    if (!GMK_FAULT(GMK_FAULT_QUEUE) && gmki_local_count(q) < q->cap &&
        gmk_lq_push_newest(&q->fifo, c))
        return true;
    return overflow_push(a, c) || gmki_spill_put(a, c);
}

int gmki_answer(gmki_agent_t *a, const gmk_task_t *t, int rc)
{
    uint32_t tenant = t != NULL && t->tenant < a->sched->n_tenants ? t->tenant : 0;

    if (rc != GMK_OK)
        gmki_count(&a->obs, tenant, GMK_METRIC_TASKS_REJECTED, 1);
    return rc;
}

int gmki_spawn_shared(gmki_agent_t *a, const gmk_task_t *t)
{
    gmk_cell_t c;
    int rc = GMK_OK;

    gmki_stamp(a, &c, t);
    gmki_core_begin(a);
    gmki_accept(a, c.task.tenant, 1);
    if (!gmki_place(a, &c)) {
        gmki_unaccept(a, c.task.tenant, 1);
        rc = gmki_answer(a, &c.task, GMK_ALLOC_FAIL);
    }
    gmki_core_end(a);
    return rc;
}

/* An inbox has more than three quarters full: the rest is for activations. The head, which
 * its owner writes at each task, is read only if that could be so. */
static bool inbox_full(gmki_queue_t *q)
{
    uint32_t most = q->cap - q->cap / 4;
    /* relaxed: an estimate, as the count; a head read earlier makes it the larger */
    uint32_t tail = gmk_load_rlx(&q->ring.tail, GMK_DEV);
    uint32_t head = gmk_load_rlx(&q->seen_head, GMK_DEV); /* relaxed: as above */

    if (GMK_LIKELY(tail - head < most))
        return false;
    head = gmk_load_rlx(&q->ring.head, GMK_DEV); /* relaxed: as above */
    gmk_store_rlx(&q->seen_head, head, GMK_DEV); /* relaxed: as above */
    return gmk_mpmc_count(&q->ring, GMK_DEV) >= most;
}

int gmki_send_worker(gmki_agent_t *a, const gmk_task_t *t, uint32_t worker, uint32_t seq)
{
    gmk_sched_t *s = a->sched;
    gmki_queue_t *q = &s->wq[worker].inbox;
    gmk_cell_t c;

    if (inbox_full(q))
        return GMK_E_FULL;
    gmki_accept(a, t->tenant, 1);
    gmki_stamp_seq(&c, t, a->obs.shared ? seq : gmki_seq(a));
    c.task.flags |= GMK_TF_BOUND;
    c.chan_seq = worker + 1; /* whose it is; direct work has no channel position */
    if (GMK_FAULT(GMK_FAULT_QUEUE) || gmk_cells_push(&q->ring, q->cells, &c, 1, GMK_DEV) == 0) {
        gmki_unaccept(a, t->tenant, 1);
        return GMK_E_FULL;
    }
    gmki_wake_owner(s, worker);
    /* relaxed: a hint. The next one's line comes while the receiver works. */
    GMK_WILL_WRITE(&q->cells[gmk_load_rlx(&q->ring.tail, GMK_DEV) & q->ring.mask_p]);
    return GMK_OK;
}

void gmki_wake_keeper(gmk_sched_t *s)
{
    /* A step of the word: who becomes the keeper later re-reads the due time after it. */
    uint32_t keeper = gmk_add_sc(&s->timekeeper, 0, GMK_DEV); /* sync: sched.timekeeper */

    if (keeper != 0)
        gmki_wake_worker(s, keeper - 1);
    else
        gmki_wake_one(s);
}

bool gmki_place_event(gmki_agent_t *a, const gmk_cell_t *c, uint64_t due, bool is_tick)
{
    gmk_sched_t *s = a->sched;
    bool earliest = false;

    if (GMK_FAULT(GMK_FAULT_QUEUE) || !gmki_evq_insert(&s->evq, c, due, is_tick, &earliest))
        return false;
    gmki_count(&a->obs, c->task.tenant, GMK_METRIC_TIMERS_SET, 1);
    if (earliest) {
        gmki_wake_keeper(s);
    }
    return true;
}

int gmki_set_timer(gmki_agent_t *a, const gmk_task_t *t, uint64_t due, bool is_tick, uint32_t seq)
{
    gmk_cell_t c;

    gmki_accept(a, t->tenant, 1);
    gmki_stamp_seq(&c, t, a->obs.shared ? seq : gmki_seq(a));
    if (gmki_place_event(a, &c, due, is_tick))
        return GMK_OK;
    gmki_unaccept(a, t->tenant, 1);
    return GMK_E_FULL;
}

/* How many of t[0..n) are valid and alike in priority and tenant; 0 sets *why. */
static uint32_t submit_run(const gmk_sched_t *s, const gmk_task_t *t, uint32_t n, int *why)
{
    uint32_t k = 0;

    *why = gmki_check_task(s, &t[0]);
    if (*why != GMK_OK)
        return 0;
    while (++k < n && GMK_PRIORITY(t[k].flags) == GMK_PRIORITY(t[0].flags) &&
           t[k].tenant == t[0].tenant && gmki_check_task(s, &t[k]) == GMK_OK)
        ;
    return k;
}

uint32_t gmki_submit(gmki_agent_t *a, const gmk_task_t *t, uint32_t n, uint32_t seq, int *why)
{
    gmk_sched_t *s = a->sched;
    uint32_t done = 0;

    *why = GMK_OK;
    while (done < n) {
        uint32_t run = submit_run(s, t + done, n - done, why);
        gmki_queue_t *q = &s->rq[GMK_PRIORITY(t[done].flags)];
        uint32_t pos;
        uint32_t k;

        if (run == 0)
            break;
        gmki_accept(a, t[done].tenant, run);
        k = GMK_FAULT(GMK_FAULT_QUEUE)
                ? 0
                : gmk_mpmc_claim(&q->ring, q->cells, GMK_CELL_STRIDE, run, &pos, GMK_DEV);
        for (uint32_t i = 0; i < k; i++) {
            gmk_cell_t *c = &q->cells[(pos + i) & q->ring.mask_p];

            gmki_stamp_seq(c, &t[done + i], a->obs.shared ? seq + done + i : gmki_seq(a));
        }
        if (k != 0)
            gmk_mpmc_publish(&q->ring, q->cells, GMK_CELL_STRIDE, pos, k, GMK_DEV);
        gmki_unaccept(a, t[done].tenant, run - k);
        done += k;
        if (k < run) {
            *why = GMK_E_FULL;
            break;
        }
    }
    if (done != 0)
        gmki_wake_one(s);
    return done;
}

void gmki_place_activation(gmki_agent_t *a, const gmk_cell_t *c, uint32_t worker)
{
    gmk_sched_t *s = a->sched;
    gmki_wq_t *q = a->wq;

    if (worker != GMK_NO_WORKER) {
        gmki_queue_t *in = &s->wq[worker].inbox;
        uint32_t k = gmk_cells_push(&in->ring, in->cells, c, 1, GMK_DEV);

        GMK_ASSERT(k == 1, "an inbox keeps room for one activation a module");
        gmki_wake_owner(s, worker);
        return;
    }
    if (q != NULL && gmki_local_count(q) < q->cap && gmk_lq_push_newest(&q->fifo, c)) {
        /* relaxed: a hint, as in gmki_spawn */
        if (gmki_local_count(q) > q->offer_from &&
            GMK_UNLIKELY(gmk_load_rlx(&s->idle, GMK_DEV) != 0))
            gmki_share(a, 2);
        return;
    }
    if (ready_push(a, c, 1, true) != 0)
        return;
    if (gmk_cells_push(&s->acts.ring, s->acts.cells, c, 1, GMK_DEV) == 0)
        GMK_ASSERT(false, "the activation queue holds one activation a group");
    gmki_wake_one(s);
}
