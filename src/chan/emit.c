/* SPDX-License-Identifier: MIT
 * Emit: onto the ring, then a notice to the subscriptions that are idle.
 * Floor: F5. A claim says for which cursors its positions are; that many deliveries are
 * accepted and that many references counted before anybody can see the message.
 * Source: SPEC CH-6, CH-9 to CH-16, CH-22, CH-24, CH-29, CH-43; ARCHITECTURE R4, R5, R19. */
#include "chan/chan.h"

#define LOSSY_ATTEMPTS 64u /* while a slow subscriber copies the message in the way */

void gmki_group_activate(gmki_agent_t *a, gmki_group_t *g, uint32_t priority)
{
    gmk_cell_t cell = {.sub = 0};

    cell.task.flags = (uint16_t)(GMK_TF_ACTIVATION | priority);
    cell.task.meta0 = g->index;
    gmki_place_activation(a, &cell, gmk_load_acq(&g->worker, GMK_DEV)); /* sync: chan.bind */
}

void gmki_group_notice(gmki_agent_t *a, gmki_group_t *g, uint32_t priority)
{
    if (gmk_add_ar(&g->pending, 1, GMK_DEV) == 0) /* sync: group.pending */
        gmki_group_activate(a, g, priority);
}

/* What a push got: positions, and for whom. */
typedef struct claim {
    uint32_t pos;
    uint32_t n;       /* 0: full, or nobody listens */
    uint32_t readers; /* 0: nobody listens */
    uint32_t priority;
} claim_t;

/* The channel was full when its tail stood there: the cursors, read later, have only moved on
 * since. Else who found no room came second to another who found it, and looks again. */
static bool was_full(const gmki_chan_t *c, uint64_t tail, uint32_t spare)
{
    return tail + spare >= gmki_chan_slowest(c) + c->slots;
}

/* Claims up to n positions for messages of a priority. */
static claim_t claim(gmki_agent_t *a, gmki_chan_t *c, uint32_t n, uint32_t priority)
{
    claim_t got = {.readers = UINT32_MAX, .priority = priority};
    uint32_t spare = priority == GMK_PRIO_CRITICAL ? 0 : c->spare;
    uint32_t attempts = 0;
    uint64_t tail;

    if (GMK_FAULT(GMK_FAULT_QUEUE))
        return got;
    for (;;) {
        got.n = gmk_credit_claim(&c->ring, n, spare, &got.pos, &got.readers, GMK_DEV);
        if (GMK_LIKELY(got.n != 0) || got.readers == 0)
            return got;
        tail = gmki_chan_tail(c);
        if (gmki_chan_make_room(a, c, n) || !was_full(c, tail, spare))
            continue;
        if (!gmki_chan_lossy(c) || ++attempts == LOSSY_ATTEMPTS)
            return got;
        gmk_hal_relax();
    }
}

/* Publishes what was claimed and written, and tells those of its readers that are idle. */
static void publish(gmki_agent_t *a, gmki_chan_t *c, const claim_t *got)
{
    uint32_t idle;

    if (got->n == 0)
        return;
    gmk_credit_publish(&c->ring, c->cells, GMK_CELL_STRIDE, got->pos, got->n, GMK_DEV);
    idle = gmk_add_sc(&c->idle, 0, GMK_DEV) & got->readers; /* sync: chan.idle */
    while (GMK_UNLIKELY(idle != 0)) {
        uint32_t bit = idle & (0u - idle);

        idle &= idle - 1;
        if ((gmk_and_sc(&c->idle, ~bit, GMK_DEV) & bit) != 0) /* sync: chan.idle */
            gmki_group_notice(a, gmki_sub_group(gmki_chan_sub(c, gmk_lowest_bit(bit))),
                              got->priority);
    }
}

/* References for all who will receive the message, and for the replay buffer. */
static void count_references(gmki_agent_t *a, const gmki_chan_t *c, const gmk_task_t *t,
                             uint32_t deliveries)
{
    uint32_t more = deliveries - 1 + (c->replay != 0);

    if (more != 0 && (t->flags & GMK_TF_PAYLOAD_RC) != 0 && t->payload_ptr != 0)
        gmki_payload_retain(&a->cache, (void *)(uintptr_t)t->payload_ptr, more);
}

/* A fan-out message for nobody: it is over. */
static void unheard(gmki_agent_t *a, const gmk_task_t *t)
{
    gmki_count(&a->obs, t->tenant, GMK_METRIC_CHAN_UNHEARD, 1);
    gmki_drop_payload(a, t);
}

GMK_FN int check(const gmk_sched_t *s, gmki_chan_t *c, const gmk_task_t *t)
{
    uint32_t type = gmk_load_acq(&c->msg_type, GMK_DEV); /* sync: chan.type */

    if (GMK_UNLIKELY(t->tenant >= s->n_tenants))
        return GMK_E_TENANT;
    if (GMK_UNLIKELY(t->type == 0 || t->type >= GMKI_TYPES))
        return GMK_E_INVALID;
    if (GMK_UNLIKELY(type != t->type))
        return type == GMKI_ANY_TYPE ? gmki_chan_fix_type(c, t->type) : (int)GMK_CHAN_TYPE_MISMATCH;
    return GMK_OK;
}

/* The stamp of one message in 64, for the latency histogram; it stands where the reader
 * puts the position. */
GMK_FN uint64_t stamp(uint32_t seq) { return GMK_UNLIKELY((seq & 63) == 0) ? gmk_hal_now_ns() : 0; }

/* Writes a message of channel id. */
GMK_FN void put(gmki_agent_t *a, gmk_cell_t *cell, const gmk_task_t *t, uint32_t id)
{
    uint32_t seq = gmki_seq(a);
    uint32_t flags = t->flags & ~GMK_TF_RUNTIME_MASK;

    gmk_cell_write(cell, t, flags | GMK_TF_CHANNEL_MSG, seq);
    cell->chan_seq = stamp(seq);
    cell->task.channel = id;
}

/* flags: all that one of the messages has. */
static void trace_emits(gmki_agent_t *a, const gmki_chan_t *c, const claim_t *got, uint32_t flags)
{
    if (GMK_LIKELY((flags & GMK_TF_EMIT_TRACE) == 0 && !gmki_trace_on(&a->obs, GMKI_EVL_CHAN_EMIT)))
        return;
    for (uint32_t i = 0; i < got->n; i++) {
        const gmk_task_t *t = &c->cells[(got->pos + i) & (c->cap - 1)].task;

        gmki_trace_task(&a->obs, CHAN_EMIT, t, GMK_CHAN_INDEX(gmki_chan_id(c)), t->seq);
    }
}

uint32_t gmki_chan_push(gmki_agent_t *a, gmki_chan_t *c, const gmk_task_t *t, uint32_t n)
{
    uint32_t id = gmki_chan_id(c);
    uint32_t flags = 0;
    claim_t got = claim(a, c, n, GMK_PRIORITY(t->flags));
    uint32_t deliveries = gmk_popcount32(got.readers);

    if (GMK_UNLIKELY(got.readers == 0)) {
        if (!gmki_chan_is_open(c))
            return 0;
        for (uint32_t i = 0; i < n; i++)
            unheard(a, &t[i]);
        return n;
    }
    for (uint32_t i = 0; i < got.n; i++) {
        gmk_cell_t *cell = &c->cells[(got.pos + i) & (c->cap - 1)];

        count_references(a, c, &t[i], deliveries);
        gmki_accept(a, t[i].tenant, deliveries);
        gmki_count(&a->obs, t[i].tenant, GMK_METRIC_CHAN_EMITS, 1);
        put(a, cell, &t[i], id);
        flags |= t[i].flags;
    }
    trace_emits(a, c, &got, flags);
    publish(a, c, &got);
    return got.n;
}

uint32_t gmki_chan_push_cells(gmki_agent_t *a, gmki_chan_t *c, const gmk_cell_t *cells, uint32_t n)
{
    claim_t got = claim(a, c, n, GMK_PRIORITY(cells->task.flags));
    uint32_t deliveries = gmk_popcount32(got.readers);
    uint32_t flags = 0;

    if (GMK_UNLIKELY(got.readers == 0)) {
        if (!gmki_chan_is_open(c))
            return 0;
        for (uint32_t i = 0; i < n; i++) {
            gmki_unaccept(a, cells[i].task.tenant, 1);
            unheard(a, &cells[i].task);
        }
        return n;
    }
    for (uint32_t i = 0; i < got.n; i++) {
        gmk_cell_t *cell = &c->cells[(got.pos + i) & (c->cap - 1)];

        count_references(a, c, &cells[i].task, deliveries);
        if (GMK_UNLIKELY(deliveries != 1))
            gmki_accept(a, cells[i].task.tenant, deliveries - 1);
        gmki_count(&a->obs, cells[i].task.tenant, GMK_METRIC_CHAN_EMITS, 1);
        gmk_cell_copy(cell, &cells[i]);
        if (GMK_LIKELY(c->kind != GMKI_CHAN_ERRORS)) /* there the failed task stays as it was */
            cell->task.channel = gmki_chan_id(c);
        cell->task.flags |= GMK_TF_CHANNEL_MSG;
        flags |= cell->task.flags;
    }
    trace_emits(a, c, &got, flags);
    publish(a, c, &got);
    return got.n;
}

bool gmki_chan_push_failed(gmki_agent_t *a, gmki_chan_t *box, const gmk_cell_t *c,
                           uint32_t reason_and_code)
{
    gmk_cell_t cell = {.chan_seq = reason_and_code, .task = c->task};

    cell.task.yield_count = 0;
    cell.task.flags &= (uint16_t)~GMK_TF_RUNTIME_MASK;
    gmki_accept(a, cell.task.tenant, 1);
    if (gmki_chan_push_cells(a, box, &cell, 1) == 1)
        return true;
    gmki_unaccept(a, cell.task.tenant, 1);
    return false;
}

void gmki_chan_dropped(gmk_chan_reg_t *r, uint32_t id)
{
    gmki_chan_t *c = gmki_chan_known(r, id);

    if (c != NULL)
        gmk_add_rlx(&c->drops, 1, GMK_DEV); /* relaxed: a statistic, off the fast path */
}

/* What a refused message leaves behind: the caller keeps the task, sys.dropped is told of a
 * mismatch by a record without the payload. */
static int refuse(gmki_agent_t *a, gmk_chan_reg_t *r, const gmki_chan_t *c, const gmk_task_t *t,
                  int rc)
{
    gmk_cell_t cell = {.sub = 0};

    if (rc != GMK_CHAN_TYPE_MISMATCH)
        return rc;
    cell.task = *t;
    cell.task.flags &= (uint16_t)~GMK_TF_PAYLOAD_RC;
    cell.task.payload_ptr = 0;
    cell.task.payload_len = 0;
    cell.task.channel = gmki_chan_id(c);
    gmki_count(&a->obs, t->tenant, GMK_METRIC_TASKS_REJECTED, 1);
    gmki_report(a, r, GMK_CHAN_SYS_DROPPED, &cell, GMK_ERR_TYPE_MISMATCH);
    return rc;
}

static void full(gmki_agent_t *a, gmki_chan_t *c, const gmk_task_t *t)
{
    gmk_add_rlx(&c->fulls, 1, GMK_DEV); /* relaxed: a statistic, off the fast path */
    gmki_count(&a->obs, t->tenant, GMK_METRIC_CHAN_FULL_COUNT, 1);
    gmki_trace(&a->obs, CHAN_FULL, t, GMK_CHAN_INDEX(gmki_chan_id(c)), c->slots);
}

/* A module's own report: an envelope around the task it gives. */
static int emit_error(gmki_agent_t *a, gmk_chan_reg_t *r, const gmk_task_t *t)
{
    gmk_cell_t cell = {.task = *t};

    if (t->tenant >= r->sched->n_tenants)
        return GMK_E_TENANT;
    if (t->type >= GMK_TYPE_SYS_FIRST)
        return GMK_E_INVALID;
    cell.task.channel = 0;
    gmki_report(a, r, GMK_CHAN_SYS_ERROR, &cell, GMK_ERR_REPORTED);
    return 1;
}

/* Something has become due at a tick. Ticks moved by hand need nobody who keeps the time, but
 * an advance since may have found it nowhere. A step of the word: else the advance finds it. */
static void wake_for_tick(gmk_sched_t *s, const gmki_det_t *d)
{
    if (!s->manual_ticks ||
        gmki_det_due(d, gmk_add_sc(&s->tick_base, 0, GMK_DEV))) /* sync: sched.tick */
        gmki_wake_keeper(s);
}

void gmki_det_revisit(gmk_sched_t *s, gmki_det_t *d)
{
    gmki_det_unhold(d, gmki_tick(s, gmk_hal_now_ns()) + 1);
    wake_for_tick(s, d);
}

int gmki_det_input(gmki_agent_t *a, gmki_det_t *d, const gmk_cell_t *cell, uint64_t due, uint32_t n)
{
    gmk_sched_t *s = a->sched;
    bool inside = gmki_det_current(d, a) != NULL;
    int rc;

    if (!inside && due == 0)
        due = gmki_tick(s, gmk_hal_now_ns()) + 1;
    rc = gmki_det_emit(d, a, cell, due, n);
    if (rc == GMK_OK && !inside)
        wake_for_tick(s, d);
    return rc;
}

/* A message of a deterministic channel waits for its tick, in no ring. */
int gmki_chan_det_input(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c, const gmk_task_t *t,
                        uint64_t due)
{
    uint32_t subs = gmk_popcount32(gmk_credit_readers(gmk_credit_word(&c->ring, GMK_DEV)));
    gmk_cell_t cell = {.sub = 0};
    int rc = check(r->sched, c, t);

    if (rc != GMK_OK)
        return rc;
    gmki_stamp_seq(&cell, t, 0);
    cell.task.channel = gmki_chan_id(c);
    cell.task.flags |= GMK_TF_CHANNEL_MSG | GMK_TF_DETERMINISTIC;
    rc = gmki_det_input(a, r->det, &cell, due, gmk_max32(subs, 1));
    if (rc != GMK_OK)
        return rc;
    gmki_count(&a->obs, t->tenant, GMK_METRIC_CHAN_EMITS, 1);
    gmki_trace_task(&a->obs, CHAN_EMIT, &cell.task, GMK_CHAN_INDEX(gmki_chan_id(c)), 0);
    return GMK_OK;
}

static int emit_deterministic(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c,
                              const gmk_task_t *t, uint32_t n)
{
    uint32_t done = 0;
    int rc = GMK_OK;

    while (done < n && (rc = gmki_chan_det_input(a, r, c, &t[done], 0)) == GMK_OK)
        done++;
    return done != 0 ? (int)done : refuse(a, r, c, t, rc);
}

/* The channel if a task may be put on it by a module; else *rc. */
static gmki_chan_t *target(gmk_chan_reg_t *r, uint32_t id, int *rc)
{
    gmki_chan_t *c = gmki_chan_get(r, id);
    bool open = c != NULL && (GMK_LIKELY(c->kind == GMKI_CHAN_USER) || id == GMK_CHAN_SYS_TRACE ||
                              id == GMK_CHAN_SYS_HEARTBEAT);

    *rc = open ? GMK_OK : (int)GMK_CHAN_CLOSED;
    return open ? c : NULL;
}

int gmki_chan_emit(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, const gmk_task_t *t, uint32_t n)
{
    uint32_t ok = 0;
    uint32_t done;
    int rc;
    gmki_chan_t *c = target(r, id, &rc);

    if (GMK_UNLIKELY(a->stage.n != 0)) /* it was sent before */
        gmki_stage_flush(a, a->group);
    if (GMK_UNLIKELY(c == NULL))
        return id == GMK_CHAN_SYS_ERROR ? emit_error(a, r, t) : rc;
    if (GMK_UNLIKELY((c->mode & GMK_CHAN_DETERMINISTIC) != 0))
        return emit_deterministic(a, r, c, t, n);
    /* One push for what is alike in its right to the reserve. */
    while (ok < n && (GMK_PRIORITY(t[ok].flags) == 0) == (GMK_PRIORITY(t->flags) == 0) &&
           (rc = check(r->sched, c, &t[ok])) == GMK_OK)
        ok++;
    if (GMK_UNLIKELY(ok == 0))
        return refuse(a, r, c, t, rc);
    done = gmki_chan_push(a, c, t, ok);
    if (GMK_UNLIKELY(done == 0)) {
        if (!gmki_chan_is_open(c))
            return GMK_CHAN_CLOSED;
        full(a, c, t);
    }
    return (int)done;
}

/* A peer's cells on their way into a ring. */
typedef struct clean {
    gmk_cell_t cells[8];
    uint32_t n;
    int rc; /* what is wrong with the next one */
} clean_t;

/* Cleans and accepts the first cells that are valid and alike in their right to the reserve, as
 * many as one push takes. */
static void clean_cells(gmki_agent_t *a, gmki_chan_t *c, const gmk_cell_t *cells, uint32_t n,
                        clean_t *out)
{
    bool urgent = GMK_PRIORITY(cells->task.flags) == GMK_PRIO_CRITICAL;

    n = gmk_min32(n, GMK_ARRAY_LEN(out->cells));
    for (out->n = 0; out->n < n; out->n++) {
        const gmk_cell_t *from = &cells[out->n];
        gmk_cell_t *to = &out->cells[out->n];

        if ((GMK_PRIORITY(from->task.flags) == GMK_PRIO_CRITICAL) != urgent ||
            (out->rc = check(a->sched, c, &from->task)) != GMK_OK)
            return;
        gmk_cell_copy(to, from);
        to->sub = 0;
        to->retries = 0;
        to->chan_seq = 0;
        to->task.flags &= (uint16_t)~GMK_TF_RUNTIME_MASK;
        gmki_accept(a, to->task.tenant, 1);
    }
}

int gmki_chan_emit_cells(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, const gmk_cell_t *cells,
                         uint32_t n)
{
    clean_t clean = {.n = 0};
    uint32_t done = 0;
    int rc;
    gmki_chan_t *c = target(r, id, &rc);
    bool in_ring = c != NULL && (c->mode & GMK_CHAN_DETERMINISTIC) == 0;

    if (a->stage.n != 0) /* as in gmki_chan_emit */
        gmki_stage_flush(a, a->group);
    while (c != NULL && !in_ring && done < n &&
           (rc = gmki_chan_det_input(a, r, c, &cells[done].task, 0)) == GMK_OK)
        done++;
    while (in_ring && done < n) {
        uint32_t took = 0;

        clean_cells(a, c, &cells[done], n - done, &clean);
        if (clean.n != 0)
            took = gmki_chan_push_cells(a, c, clean.cells, clean.n);
        for (uint32_t i = took; i < clean.n; i++)
            gmki_unaccept(a, clean.cells[i].task.tenant, 1);
        done += took;
        if (took < clean.n)
            full(a, c, &cells[done].task);
        if (clean.n == 0 || took < clean.n)
            break;
    }
    rc = clean.rc != GMK_OK ? clean.rc : rc;
    return done != 0 || rc == GMK_OK ? (int)done : refuse(a, r, c, &cells->task, rc);
}

/* Outboxes. -------------------------------------------------------------------------- */

static void to_outbox(gmki_agent_t *a, gmki_group_t *g, const gmk_cell_t *cell)
{
    if (!gmk_lq_push_newest(&g->outbox, cell))
        GMK_ASSERT(false, "an outbox has room for a stage beyond what its sends may fill");
    gmki_count(&a->obs, cell->task.tenant, GMK_METRIC_OUTBOX_PARKED, 1);
}

void gmki_stage_flush(gmki_agent_t *a, gmki_group_t *g)
{
    gmki_stage_t *st = &a->stage;
    gmki_chan_t *c = st->chan;
    uint32_t n = st->n;
    uint32_t earlier = st->earlier;
    uint32_t k = 0;
    uint32_t took;

    st->n = 0;
    st->earlier = 0;
    do { /* a push takes what there is credit for, and looks for more when there is none */
        took = gmki_chan_push_cells(a, c, &st->cells[k], n - k);
        k += took;
    } while (GMK_UNLIKELY(k < n) && took != 0);
    if (GMK_LIKELY(k == n))
        return;
    if (gmki_chan_is_open(c))
        full(a, c, &st->cells[k].task);
    g->outbox_earlier = earlier > k ? earlier - k : 0;
    for (; k < n; k++)
        to_outbox(a, g, &st->cells[k]);
}

/* A handler's message may go on the ring with the next ones: it is not urgent, and nobody is
 * idle who could take it now. */
GMK_FN bool may_wait(const gmki_agent_t *a, const gmk_task_t *t)
{
    /* relaxed: a hint; the turn looks again after each call */
    return GMK_PRIORITY(t->flags) != GMK_PRIO_CRITICAL &&
           gmk_load_rlx(&a->sched->idle, GMK_DEV) == 0;
}

GMK_FN void stage_put(gmki_agent_t *a, const gmk_task_t *t)
{
    gmki_stage_t *st = &a->stage;

    put(a, &st->cells[st->n++], t, st->id);
    gmki_accept(a, t->tenant, 1);
}

/* A further message for the channel whose messages are held back. */
GMK_FN bool stage_next(gmki_agent_t *a, uint32_t id, const gmk_task_t *t)
{
    const gmki_stage_t *st = &a->stage;
    gmki_chan_t *c = st->chan;

    if (st->n == 0 || st->n >= st->lot || st->id != id || !may_wait(a, t) ||
        !gmki_chan_is_open(c) || check(a->sched, c, t) != GMK_OK)
        return false;
    stage_put(a, t);
    return true;
}

/* A first one, once what is held back has gone: no more than there is room for, so that it
 * parks only if other producers were faster. Only where one reader takes them in turn: of
 * a fan-out channel it matters who listens when the call returns. */
static bool stage_first(gmki_agent_t *a, const gmki_group_t *g, gmki_chan_t *c, const gmk_task_t *t)
{
    uint32_t room;

    if (!a->stage.open || (c->mode & (GMK_CHAN_FANOUT | GMK_CHAN_DETERMINISTIC)) != 0 ||
        gmk_lq_count(&g->outbox) != 0 || !may_wait(a, t) || check(a->sched, c, t) != GMK_OK)
        return false;
    room = gmk_credit_room(&c->ring, GMK_DEV);
    if (room <= c->spare)
        return false;
    a->stage.chan = c;
    a->stage.id = gmki_chan_id(c);
    a->stage.lot = gmk_min32(room - c->spare, GMKI_STAGE);
    stage_put(a, t);
    return true;
}

int gmki_chan_emit_wait(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, const gmk_task_t *t)
{
    gmki_group_t *g = a->group;
    gmki_chan_t *c;
    gmk_cell_t cell;
    int rc;

    if (stage_next(a, id, t))
        return GMK_OK;
    if (a->stage.n != 0)
        gmki_stage_flush(a, g);
    c = target(r, id, &rc);
    if (c != NULL && stage_first(a, g, c, t))
        return GMK_OK;
    /* Behind messages that wait already, so that their order stands; but what is on no ring,
     * reports and deterministic messages, never waits for room. */
    if (g == NULL || gmk_lq_count(&g->outbox) == 0 || c == NULL ||
        (c->mode & GMK_CHAN_DETERMINISTIC) != 0) {
        rc = gmki_chan_emit(a, r, id, t, 1);
        if (rc != 0)
            return rc > 0 ? GMK_OK : rc;
        if (g == NULL || g->extra)
            return GMK_CHAN_FULL;
    } else if ((rc = check(r->sched, c, t)) != GMK_OK) {
        return refuse(a, r, c, t, rc);
    }
    if (gmk_lq_count(&g->outbox) >= GMK_GROUP_OUTBOX_CAP + g->outbox_earlier)
        return GMK_CHAN_FULL;
    put(a, &cell, t, id);
    gmki_accept(a, t->tenant, 1);
    to_outbox(a, g, &cell);
    return GMK_OK;
}

/* The oldest sends that one push may take: for one channel, alike in their right to the
 * reserve, side by side in memory. pre: the outbox is not empty. */
static uint32_t outbox_run(const gmk_lq_t *box)
{
    const gmk_cell_t *first = gmk_lq_at(box, box->oldest);
    bool critical = GMK_PRIORITY(first->task.flags) == 0;
    uint32_t have = gmk_lq_count(box);
    uint32_t n = 1;

    for (; n < have; n++) {
        const gmk_cell_t *c = gmk_lq_at(box, box->oldest + n);

        if (c != first + n || c->task.channel != first->task.channel ||
            (GMK_PRIORITY(c->task.flags) == 0) != critical)
            break;
    }
    return n;
}

bool gmki_outbox_flush(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_group_t *g, gmki_chan_t **blocked)
{
    gmk_lq_t *box = &g->outbox;

    while (gmk_lq_count(box) != 0) {
        const gmk_cell_t *cell = gmk_lq_at(box, box->oldest);
        gmki_chan_t *c = gmki_chan_get(r, cell->task.channel);
        uint32_t k = c != NULL ? gmki_chan_push_cells(a, c, cell, outbox_run(box)) : 0;

        if (k == 0 && gmki_chan_get(r, cell->task.channel) != NULL) {
            *blocked = c;
            return false;
        }
        if (k == 0) {
            a->sched->lose(a, cell, GMK_ERR_CLOSED);
            k = 1;
        }
        box->oldest += k;
    }
    g->outbox_earlier = 0;
    return true;
}

bool gmki_group_wait(gmki_agent_t *a, gmki_group_t *g, gmki_chan_t *full_chan, uint32_t seen)
{
    const gmk_cell_t *cell = gmk_lq_at(&g->outbox, g->outbox.oldest);
    uint32_t spare = GMK_PRIORITY(cell->task.flags) == 0 ? 0 : full_chan->spare;
    uint32_t at = GMK_CHAN_INDEX(gmki_chan_id(full_chan));
    uint64_t bit = 1ull << g->module;

    gmk_store_rel(&g->waits_at, at, GMK_DEV);     /* sync: group.waits */
    gmk_or_sc(&full_chan->waiters, bit, GMK_DEV); /* sync: chan.waiters */
    gmki_chan_make_room(a, full_chan, 1);
    if (gmk_credit_room(&full_chan->ring, GMK_DEV) <= spare && gmki_chan_is_open(full_chan) &&
        gmk_load_acq(&g->pending, GMK_DEV) == seen) /* sync: group.pending */
        return false;
    return (gmk_and_sc(&full_chan->waiters, ~bit, GMK_DEV) & bit) != 0; /* sync: chan.waiters */
}

void gmki_group_unpark(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_group_t *g)
{
    uint32_t at = gmk_load_acq(&g->waits_at, GMK_DEV); /* sync: group.waits */
    uint64_t bit;

    if (g->extra)
        return;
    bit = 1ull << g->module;
    /* sync: chan.waiters */
    if (at != 0 && (gmk_and_sc(&r->chans[at]->waiters, ~bit, GMK_DEV) & bit) != 0)
        gmki_group_activate(a, g, GMK_PRIO_HIGH);
    else if (gmk_xchg_sc(&g->stalled, 0, GMK_DEV) != 0) /* sync: group.stalled */
        gmki_group_activate(a, g, GMK_PRIO_HIGH);
}
