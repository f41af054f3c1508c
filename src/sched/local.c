/* SPDX-License-Identifier: MIT
 * The owner's side of a worker's queues: gather, share, spill, steal, fire.
 * Floor: F4. The private part needs no atomics; what others may take is moved to the
 * shared ring when somebody is idle or tasks are long.
 * Source: SPEC SC-1, SC-2, SC-6, SC-8, SC-11, V-21; ARCHITECTURE R3, R19. */
#include "sched/sched.h"

#define SPILL_BLOCK_BYTES 4096u
#define SPILL_CELLS ((SPILL_BLOCK_BYTES - 128u) / sizeof(gmk_cell_t))

bool gmki_spill_put(gmki_agent_t *a, const gmk_cell_t *c)
{
    gmki_spill_t *s = &a->wq->spill;
    gmki_spill_block_t *b = s->last;

    if (b == NULL || b->tail == SPILL_CELLS) {
        b = gmki_alloc(&a->cache, SPILL_BLOCK_BYTES);
        if (b == NULL)
            return false;
        b->next = NULL;
        b->head = 0;
        b->tail = 0;
        if (s->last != NULL)
            s->last->next = b;
        else
            s->first = b;
        s->last = b;
    }
    gmk_cell_copy(&b->cells[b->tail++], c);
    s->count++;
    gmki_count(&a->obs, c->task.tenant, GMK_METRIC_TASKS_SPILLED, 1);
    return true;
}

bool gmki_spill_take(gmki_agent_t *a, gmk_cell_t *out)
{
    gmki_spill_t *s = &a->wq->spill;
    gmki_spill_block_t *b = s->first;

    if (s->count == 0)
        return false;
    gmk_cell_copy(out, &b->cells[b->head++]);
    s->count--;
    if (b->head == b->tail) {
        s->first = b->next;
        if (s->first == NULL)
            s->last = NULL;
        gmki_free(&a->cache, b);
    }
    return true;
}

void gmki_unspill(gmki_agent_t *a)
{
    gmki_wq_t *q = a->wq;
    gmk_cell_t c;

    for (uint32_t i = 0; i < SPILL_CELLS && gmki_local_count(q) < q->limit / 2; i++) {
        if (!gmki_spill_take(a, &c))
            return;
        if (!gmk_lq_push_newest(&q->fifo, &c))
            GMK_ASSERT(false, "half a local queue has room");
    }
}

void gmki_share(gmki_agent_t *a, uint32_t part)
{
    gmki_wq_t *q = a->wq;
    gmk_lq_t *from = &q->stack;
    uint32_t left = q->left;
    uint32_t k;

    if (a->sched->n_workers == 1)
        return;
    if (gmk_lq_count(from) < gmk_lq_count(&q->fifo))
        from = &q->fifo;
    /* Who is idle has as much to take where these have come from: just now, not for ever. */
    q->left = 0;
    if (left >= gmk_lq_count(from))
        return;
    /* One task left there must not keep many in here from those who are idle. */
    k = gmk_mpmc_count(&q->shared.ring, GMK_DEV);
    if (k != 0 && 4 * k > gmk_lq_count(from))
        return;
    k = gmk_lq_move_oldest(from, &q->shared.ring, q->shared.cells,
                           (gmk_lq_count(from) + part - 1) / part);
    if (k != 0) {
        gmki_count(&a->obs, 0, GMK_METRIC_TASKS_SHARED, k);
        gmki_wake_one(a->sched);
    }
}

/* Spawns until the next look that is due anyway: before one more task stands behind the
 * handler that runs, which may run on for long, then every eighth (spawn_most). A queue above the
 * watermark must first lose what it has too much: spawn_to - stack.oldest is never more than it. */
void gmki_spawn_bound(gmki_agent_t *a)
{
    gmki_wq_t *q = a->wq;
    uint32_t have = gmki_local_count(q);
    uint32_t room = q->limit - have; /* a step back on the circle where that is below zero */
    uint32_t look = have >= 2 ? q->spawn_most : have == 0 && q->offer_from != 0;

    if (a->sched->n_workers != 1 && have < q->limit)
        room = gmk_min32(room, look);
    q->spawn_to = q->stack.newest + room;
}

bool gmki_put_oldest(gmki_wq_t *q, const gmk_cell_t *c)
{
    if (!gmki_is_spawned(c) || !gmk_lq_push_oldest(&q->stack, c))
        return false;
    q->spawn_to--;
    return true;
}

int gmki_spawn(gmki_agent_t *a, const gmk_task_t *t)
{
    gmki_wq_t *q = a->wq;
    uint32_t have = gmki_local_count(q);
    gmk_cell_t *c = gmk_lq_at(&q->stack, q->stack.newest);

    if (GMK_PRIORITY(t->flags) < a->priority || have >= q->limit)
        return gmki_spawn_shared(a, t);
    GMK_ASSERT(gmk_lq_room(&q->stack) != 0, "the stack ends beyond the watermark");
    gmki_stamp(a, c, t);
    q->stack.newest++;
    a->spawn_row = NULL;
    a->spawn_head = gmk_task_word(&c->task, 0);
    if (a->spawn_head == gmk_task_word(t, 0)) /* no flag had to go */
        a->spawn_row = &a->obs.rows[t->tenant * GMKI_ROW_WORDS + GMK_METRIC_TASKS_ACCEPTED];
    gmki_accept(a, c->task.tenant, 1);
    /* One short task is run here sooner than a thief could fetch it. Of more, some are
     * offered even if nobody is idle now: this handler may run on for long.
     * relaxed: a hint; this worker is awake and looks again before every batch */
    if (have >= q->offer_from && (have != 0 || gmk_load_rlx(&a->sched->idle, GMK_DEV) != 0)) {
        gmki_core_begin(a);
        gmki_share(a, 2);
        gmki_core_end(a);
    }
    gmki_spawn_bound(a);
    return GMK_OK;
}

/* Moves up to n cells from a shared queue into the local queue: into the fifo, but a
 * spawned task from somebody's stealable part goes among the spawned again, so that
 * task trees stay depth first wherever they run. */
static uint32_t fetch(gmki_wq_t *q, gmki_queue_t *from, uint32_t n, bool local)
{
    uint32_t room = gmk_min32(gmk_lq_room(&q->fifo), gmk_lq_room(&q->stack));
    uint32_t want = gmk_min32(n, room);
    uint32_t pos;
    uint32_t k;

    if (want == 0)
        return 0;
    k = gmk_mpmc_take(&from->ring, from->cells, GMK_CELL_STRIDE, want, &pos, GMK_DEV);
    for (uint32_t i = 0; i < k; i++) {
        const gmk_cell_t *c = &from->cells[(pos + i) & from->ring.mask_c];
        bool ok = local && gmki_is_spawned(c) ? gmk_lq_push_newest(&q->stack, c)
                                              : gmk_lq_push_newest(&q->fifo, c);

        GMK_ASSERT(ok, "no more is taken than there is room");
    }
    if (k != 0)
        gmk_mpmc_release(&from->ring, from->cells, GMK_CELL_STRIDE, pos, k, GMK_DEV);
    return k;
}

/* The weighted round: 8, 4, 2, 1 of 15 turns for priorities 0..3. */
static const uint8_t rq_round[15] = {0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0};

/* The priority to serve now: the round's, or the most urgent that has work. */
static gmki_queue_t *rq_pick(gmk_sched_t *s, gmki_wq_t *q)
{
    uint32_t turn = q->rq_turn;
    gmki_queue_t *r = &s->rq[rq_round[turn]];

    q->rq_turn = turn == 14 ? 0 : turn + 1;
    if (gmk_cells_ready(&r->ring, r->cells, GMK_DEV))
        return r;
    for (uint32_t p = 0; p < GMK_N_PRIO; p++)
        if (gmk_cells_ready(&s->rq[p].ring, s->rq[p].cells, GMK_DEV))
            return &s->rq[p];
    return NULL;
}

/* The depth of the overflow bucket before k were taken, for its high-water mark. */
static bool overflow_took(gmk_sched_t *s, gmki_wq_t *q, uint32_t k)
{
    if (k != 0)
        gmki_raise(&q->overflow_high, gmk_mpmc_count(&s->overflow.ring, GMK_DEV) + k);
    return k != 0;
}

bool gmki_overflow_pop(gmk_sched_t *s, gmki_wq_t *q, gmk_cell_t *out)
{
    return overflow_took(s, q,
                         gmk_cells_pop(&s->overflow.ring, s->overflow.cells, out, 1, GMK_DEV)) ||
           gmk_cells_pop(&s->acts.ring, s->acts.cells, out, 1, GMK_DEV) != 0;
}

bool gmki_rq_pop(gmk_sched_t *s, gmki_wq_t *q, gmk_cell_t *out)
{
    gmki_queue_t *r = rq_pick(s, q);

    if (r == NULL)
        return false;
    gmki_raise(&q->rq_high[r - s->rq], gmk_mpmc_count(&r->ring, GMK_DEV));
    return gmk_cells_pop(&r->ring, r->cells, out, 1, GMK_DEV) != 0;
}

/* Takes from the ready queues: of tasks that are not short no more than this worker's share.
 * Notes what that leaves to others, and if it leaves nothing. Of short tasks it reads the
 * line that producers write only after a full batch. */
static uint32_t rq_gather(gmk_sched_t *s, gmki_wq_t *q, uint32_t want)
{
    gmki_queue_t *r = rq_pick(s, q);
    uint32_t depth = 0;
    uint32_t k;

    if (r == NULL)
        return 0;
    if (q->batch < s->max_batch) {
        depth = gmk_mpmc_count(&r->ring, GMK_DEV);
        want = gmk_min32(want, depth / s->n_workers + 1);
    }
    k = fetch(q, r, want, false);
    if (q->batch == s->max_batch)
        depth = k < want ? k : k + gmk_mpmc_count(&r->ring, GMK_DEV);
    gmki_raise(&q->rq_high[r - s->rq], depth);
    q->left = depth > k ? depth - k : 0;
    q->emptied = q->left == 0 ? k : 0;
    return k;
}

uint32_t gmki_gather(gmki_agent_t *a, uint32_t want)
{
    gmk_sched_t *s = a->sched;
    gmki_wq_t *q = a->wq;
    uint32_t k;

    q->emptied = 0;
    q->left = 0;
    k = fetch(q, &q->shared, want, true);
    if (k == 0 && q->spill.count != 0) {
        gmki_unspill(a);
        k = gmk_lq_count(&q->fifo);
    }
    if (k == 0) {
        k = fetch(q, &s->overflow, want, false);
        overflow_took(s, q, k);
    }
    if (k == 0)
        k = fetch(q, &s->acts, 1, false);
    return k != 0 ? k : rq_gather(s, q, want);
}

uint32_t gmki_steal(gmki_agent_t *a)
{
    gmk_sched_t *s = a->sched;
    uint32_t n = s->n_workers;
    uint32_t v = (uint32_t)(gmk_rand_next(&a->wq->rng) >> 33) % n;

    for (uint32_t i = 0; i < n; i++, v = v + 1 == n ? 0 : v + 1) {
        gmki_wq_t *victim = &s->wq[v];
        uint32_t have = gmk_mpmc_count(&victim->shared.ring, GMK_DEV);
        uint32_t k;

        if (victim == a->wq || have == 0)
            continue;
        k = fetch(a->wq, &victim->shared, gmk_min32((have + 1) / 2, GMK_STEAL_MAX), true);
        if (k != 0) {
            gmki_count(&a->obs, 0, GMK_METRIC_TASKS_STOLEN, k);
            return k;
        }
    }
    return 0;
}

/* Gives n due events to their queues. What finds no room anywhere, and no memory, is moved to the
 * front of ev: it stays an event. returns: how many those are. */
static uint32_t fire_all(gmki_agent_t *a, gmk_cell_t *ev, uint32_t n)
{
    gmk_sched_t *s = a->sched;
    uint32_t back = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (ev[i].sub != 0 && s->is_serial(s, ev[i].sub)) {
            s->return_message(a, &ev[i]);
        } else if (!gmki_place(a, &ev[i])) {
            ev[back++] = ev[i];
            continue;
        }
        gmki_count(&a->obs, ev[i].task.tenant, GMK_METRIC_TIMERS_FIRED, 1);
    }
    return back;
}

uint32_t gmki_fire(gmki_agent_t *a, uint64_t now_ns)
{
    gmk_sched_t *s = a->sched;
    uint32_t fired = 0;

    if (GMK_UNLIKELY(gmki_ticks_due(s, now_ns)))
        s->begin_ticks(a);
    if (GMK_UNLIKELY(gmki_tick_owed(s, now_ns)))
        s->tell_ticks(a);
    while (fired < GMK_EVQ_DRAIN_LIMIT && gmki_evq_due(s, now_ns)) {
        gmk_cell_t due[16];
        uint64_t tick = gmki_tick(s, now_ns);
        uint32_t most = gmk_min32(GMK_ARRAY_LEN(due), GMK_EVQ_DRAIN_LIMIT - fired);
        uint32_t n = gmki_evq_begin(&s->evq, now_ns, tick, due, most);
        uint32_t back;

        a->ctx.tick = (uint32_t)tick; /* what is due runs at no earlier tick here */
        back = fire_all(a, due, n);
        if (n != 0)
            gmki_evq_end(&s->evq, n, due, back, now_ns);
        fired += n - back;
        if (n == 0 || back != 0)
            break;
    }
    return fired;
}
