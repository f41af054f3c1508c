/* SPDX-License-Identifier: MIT
 * The channel storm: channels open, close and open again under the same names while
 * modules subscribe, leave, dawdle, fail, ask for replay and forward through outboxes,
 * sinks fill up and get room again, threads and tasks emit; then the oracle's verdict.
 * A run draws all of it from one seed. When the threads have sent all and gone, as a halt
 * demands, it drains, or it halts while tasks and messages are still at work. The books are
 * checked at drawn moments in mid-run, while the threads stand still, and at the end.
 * On threads: --seconds S [--seed N]. Simulated: --sim-seeds FIRST COUNT.
 * Source: SPEC H, ACC-6, ACC-13, AL-13; ARCHITECTURE R4 to R8, R14, R16. */
#include "storm_chan.h"

#include <stdlib.h>
#include <string.h>

enum habit {
    H_YIELD = 1,     /* one message in four yields, up to three times */
    H_RETRY = 2,     /* the same with retries */
    H_SPIN = 4,      /* is slow in its handler */
    H_FAIL = 8,      /* fails one in eight */
    H_DOOMED = 16,   /* fails three in four: it will be poisoned */
    H_LEAVE = 32,    /* unsubscribes in mid-stream */
    H_REPLAY = 64,   /* asks for messages again */
    H_FORWARD = 128, /* sends on, and waits for room */
    H_STUBBORN = 256 /* some messages yield until the breaker trips */
};

static totals_t total;

/* Emitting. -------------------------------------------------------------------------- */

typedef struct sender {
    storm_t *s;
    gmk_ctx_t *ctx;
    uint32_t producer;
    bool waits;
} sender_t;

/* A message of the sender for a channel, its record kept; payload: none, fresh, or *with. */
static bool make_message(const sender_t *f, uint32_t inc, uint64_t dna, const gmk_task_t *with,
                         gmk_task_t *t)
{
    storm_t *s = f->s;
    uint32_t i = gmk_add_rlx(&s->n_msgs, 1, GMK_DEV);
    const inc_t *c = &s->incs[inc];
    msg_t *m = &s->msgs[i];
    void *p;

    if (i >= MAX_MSGS)
        return false;
    m->inc = inc;
    m->producer = f->producer;
    m->waits = f->waits;
    m->ins = marked(&c->ins);
    m->outs = marked(&c->outs);
    *t = (gmk_task_t){.type = T_MSG + c->level, .flags = (uint16_t)(dna >> 8 & 3), .meta0 = i};
    if (c->mode & GMK_CHAN_DETERMINISTIC)
        t->flags = GMK_PRIO_NORMAL; /* order of one producer is that of a priority */
    if (with != NULL && (with->flags & GMK_TF_PAYLOAD_RC) != 0) {
        m->key = (uint32_t)with->meta1;
        p = (void *)(uintptr_t)with->payload_ptr;
        gmk_payload_retain_ptr(f->ctx, p);
        gmk_task_set_payload(t, p);
    } else if (dna >> 10 & 1) {
        m->key = 1 + (uint32_t)(dna >> 11 & 0xffff);
        p = gmk_payload_alloc(f->ctx, payload_len(m->key));
        if (p != NULL) {
            payload_fill(p, m->key);
            gmk_task_set_payload(t, p);
        }
    }
    t->meta1 = seal(i, m->key);
    return true;
}

/* The answer to an attempt. closed: the channel had been closed before it. */
static void judge(const sender_t *f, const gmk_task_t *t, int rc, bool closed)
{
    storm_t *s = f->s;
    msg_t *m = &s->msgs[t->meta0];
    const inc_t *c = &s->incs[m->inc];
    bool ring = (c->mode & GMK_CHAN_DETERMINISTIC) == 0;

    m->ins_after = marked(&c->ins_begun);
    m->outs_after = marked(&c->outs_begun);
    m->state = rc == GMK_OK ? M_TAKEN : M_REFUSED;
    if (rc == GMK_OK) {
        expect(s, !closed, P_EMIT_CLOSED);
        return;
    }
    if (t->flags & GMK_TF_PAYLOAD_RC)
        gmk_payload_release_ptr(f->ctx, (void *)(uintptr_t)t->payload_ptr);
    if (rc == GMK_CHAN_CLOSED)
        expect(s, marked(&c->closing) != 0, P_EMIT_CODE);
    else
        expect(s, rc == (ring ? GMK_CHAN_FULL : GMK_ALLOC_FAIL), P_EMIT_CODE);
}

/* Several in one push: how many are taken is known only after it. */
static void send_batch(const sender_t *f, uint32_t inc, uint64_t dna)
{
    const inc_t *c = &f->s->incs[inc];
    bool closed = marked(&c->closed) != 0;
    gmk_task_t t[4];
    gmk_cell_t cells[4];
    uint32_t n = 0;
    int full = GMK_OK;
    int rc;

    while (n < 2 + (dna >> 40 & 1) && make_message(f, inc, mix(dna + n), NULL, &t[n]))
        n++;
    if (n == 0)
        return;
    for (uint32_t i = 0; i < n; i++) {
        cells[i] = (gmk_cell_t){.sub = 77, .retries = 3, .chan_seq = 99};
        cells[i].task = t[i];
    }
    rc = dna >> 41 & 1 ? gmk_chan_emit_cells(f->ctx, marked(&c->id), cells, n)
                       : gmk_chan_emit_batch(f->ctx, marked(&c->id), t, n);
    if (rc >= 0 && rc < (int)n) /* why not the rest is not said */
        full = c->mode & GMK_CHAN_DETERMINISTIC ? GMK_ALLOC_FAIL : GMK_CHAN_FULL;
    for (uint32_t i = 0; i < n; i++)
        judge(f, &t[i], (int)i < rc ? (int)GMK_OK : rc >= 0 ? full : rc, closed);
}

/* One message to what is, or was, open under a name; with: its payload goes along. */
static void send(const sender_t *f, uint32_t slot, uint64_t dna, const gmk_task_t *with)
{
    storm_t *s = f->s;
    uint32_t at = marked((dna & 31) == 0 ? &s->past[slot] : &s->cur[slot]);
    gmk_task_t t;
    bool closed;
    int rc;

    if (at == 0 || now_of(&s->n_msgs) >= MAX_MSGS)
        return;
    if (!f->waits && with == NULL && (dna >> 5 & 7) == 0) {
        send_batch(f, at - 1, dna);
        return;
    }
    closed = marked(&s->incs[at - 1].closed) != 0;
    if (!make_message(f, at - 1, dna, with, &t))
        return;
    rc = f->waits ? gmk_chan_emit_wait(f->ctx, marked(&s->incs[at - 1].id), &t)
                  : gmk_chan_emit(f->ctx, marked(&s->incs[at - 1].id), &t);
    judge(f, &t, rc, closed);
}

/* A task of another type than the channel's is refused, and stays the caller's. */
static void send_wrong(const sender_t *f, uint32_t slot)
{
    uint32_t at = marked(&f->s->cur[slot]);
    gmk_task_t t = {.type = T_FEED};
    int rc;

    if (at == 0)
        return;
    rc = gmk_chan_emit(f->ctx, marked(&f->s->incs[at - 1].id), &t);
    expect(f->s, rc == GMK_CHAN_TYPE_MISMATCH || rc == GMK_CHAN_CLOSED, P_EMIT_CODE);
}

/* Channels. -------------------------------------------------------------------------- */

static const char *const slot_names[MAX_SLOTS] = {"storm.a", "storm.b", "storm.c", "storm.d",
                                                  "storm.e", "storm.f", "storm.g", "storm.h"};

static bool lock_slot(storm_t *s, uint32_t slot)
{
    uint32_t no = 0;

    return gmk_cas_ar(&s->busy[slot], &no, 1, GMK_DEV);
}

static void unlock_slot(storm_t *s, uint32_t slot) { gmk_store_rel(&s->busy[slot], 0, GMK_DEV); }

static void draw_channel(inc_t *c, uint64_t dna)
{
    static const uint32_t modes[] = {
        GMK_CHAN_P2P,    GMK_CHAN_P2P | GMK_CHAN_LOSSLESS,    GMK_CHAN_FANOUT,
        GMK_CHAN_FANOUT, GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS, GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS};

    c->mode = modes[dna % 6];
    c->slots = 2u << (dna >> 8 & 3) << (IS_SIM ? 0 : dna >> 10 & 1);
    if ((c->mode & GMK_CHAN_LOSSLESS) != 0)
        c->replay = (uint32_t)(dna >> 12 & 15);
    if (c->level == LEVEL_DET && (c->slot & 1) == (dna >> 18 & 1)) {
        c->mode = GMK_CHAN_DETERMINISTIC | (dna >> 17 & 1 ? GMK_CHAN_FANOUT : GMK_CHAN_P2P);
        c->replay = 0;
    }
}

/* Makes a channel known to all. pre: the slot is locked. */
static void publish_channel(storm_t *s, uint32_t slot, uint32_t i, int id)
{
    for (uint32_t k = 0; k < i; k++)
        expect(s, marked(&s->incs[k].id) != (uint32_t)id, P_SAME_ID);
    gmk_store_rel(&s->incs[i].id, (uint32_t)id, GMK_DEV);
    gmk_store_rel(&s->cur[slot], i + 1, GMK_DEV);
}

static void open_channel(gmk_ctx_t *ctx, storm_t *s, uint32_t slot, uint64_t dna)
{
    uint32_t i = gmk_add_rlx(&s->n_incs, 1, GMK_DEV);
    gmk_chan_opts_t o = {.msg_type = dna >> 20 & 1 ? T_MSG + s->level[slot] : 0};
    inc_t *c = &s->incs[i];
    int id;

    if (i >= MAX_INCS) {
        gmk_sub_rlx(&s->n_incs, 1, GMK_DEV);
        return;
    }
    c->slot = slot;
    c->level = s->level[slot];
    draw_channel(c, dna);
    o.mode = c->mode;
    o.slots = c->slots;
    o.replay_slots = c->replay;
    id = gmk_chan_open_with(ctx, slot_names[slot], &o);
    if (id < 0) {
        expect(s, id == GMK_E_LIMIT || id == GMK_ALLOC_FAIL, P_CALL_CODE);
        return;
    }
    if (o.msg_type == 0)
        expect(s, gmk_chan_fix_type(ctx, (uint32_t)id, T_MSG + c->level) == GMK_OK, P_CALL_CODE);
    publish_channel(s, slot, i, id);
}

/* Closes what is open under a name, or opens it. */
static void churn(gmk_ctx_t *ctx, storm_t *s, uint64_t dna)
{
    uint32_t slot = (uint32_t)(dna >> 32) % s->n_slots;
    uint32_t at;
    inc_t *c;

    if (!lock_slot(s, slot))
        return;
    at = marked(&s->cur[slot]);
    if (at != 0 && now_of(&s->n_incs) < MAX_INCS) {
        c = &s->incs[at - 1];
        mark(&c->closing);
        expect(s, gmk_chan_close(ctx, marked(&c->id)) == GMK_OK, P_CALL_CODE);
        mark(&c->closed);
        gmk_store_rel(&s->past[slot], at, GMK_DEV);
        gmk_store_rel(&s->cur[slot], 0, GMK_DEV);
    }
    if (at == 0 || (dna >> 40 & 3) != 0)
        open_channel(ctx, s, slot, mix(dna));
    unlock_slot(s, slot);
}

/* Subscribing. ------------------------------------------------------------------------ */

static void subscribe(gmk_ctx_t *ctx, mod_t *me, uint32_t at)
{
    inc_t *c = &me->s->incs[at];
    int rc;

    mark(&c->ins_begun);
    mark(&c->joins[me->index]);
    rc = me->worker != GMK_NO_WORKER ? gmk_chan_sub_worker(ctx, marked(&c->id), me->worker)
                                     : gmk_chan_sub(ctx, marked(&c->id));
    mark(&c->asked[me->index]);
    if (rc == GMK_OK) {
        mark(&c->ins);
        return;
    }
    unmark(&c->ins_begun);
    if (rc == GMK_CHAN_CLOSED)
        expect(me->s, marked(&c->closing) != 0, P_CALL_CODE);
    else
        expect(me->s, rc == GMK_CHAN_ALREADY_BOUND || rc == GMK_E_LIMIT || rc == GMK_ALLOC_FAIL,
               P_CALL_CODE);
}

static void unsubscribe(gmk_ctx_t *ctx, mod_t *me, uint32_t at)
{
    inc_t *c = &me->s->incs[at];
    int rc;

    mark(&c->outs_begun);
    mark(&c->leaves[me->index]);
    rc = gmk_chan_unsub(ctx, marked(&c->id));
    if (rc == GMK_OK) {
        mark(&c->outs);
        return;
    }
    unmark(&c->outs_begun);
    if (rc == GMK_CHAN_CLOSED)
        expect(me->s, marked(&c->closing) != 0, P_CALL_CODE);
    else
        expect(me->s, rc == GMK_E_NOT_FOUND, P_CALL_CODE);
}

/* Handlers of messages. ---------------------------------------------------------------- */

static void fail_counts(mod_t *me)
{
    if (++me->fails > GMK_POISON_RATE)
        mark(&me->s->poisoned[me->level]);
}

/* A message of a serial subscription begins. */
static void begin(gmk_ctx_t *ctx, mod_t *me, msg_t *m)
{
    storm_t *s = me->s;
    inc_t *c = &s->incs[m->inc];
    line_t *l = c->mode & GMK_CHAN_P2P ? &c->p2p : &me->lines[m->inc];
    line_t *own = &me->lines[m->inc];
    seen_t e = {.s = s, .c = c, .l = l, .joins = marked(&c->joins[me->index])};

    e.may_skip = marked(&s->poisoned[me->level]) != 0;
    e.tells_gap = (c->mode & GMK_CHAN_DETERMINISTIC) == 0;
    e.seq = gmk_chan_seq(ctx);
    e.gap = gmk_chan_gap(ctx);
    expect(s, me->worker == GMK_NO_WORKER || ctx->worker_id == me->worker, P_ELSEWHERE);
    expect(s, ctx->task->channel == marked(&c->id), P_CONTENT);
    if (own->has_left && e.tells_gap)
        expect(s, e.joins != own->left, P_AFTER_UNSUB);
    if (e.seq == 0 && !e.tells_gap) /* its channel was closed before its tick */
        expect(s, marked(&c->closing) != 0, P_POSITION);
    else
        follow(&e, m, (uint32_t)ctx->task->meta0);
}

/* The module leaves the channel whose message it handles; it may come back. */
static void leave(gmk_ctx_t *ctx, mod_t *me, msg_t *m, uint64_t dna)
{
    inc_t *c = &me->s->incs[m->inc];
    gmk_task_t back = {.type = T_ACT + me->index, .flags = GMK_PRIO_NORMAL};
    uint32_t asked = marked(&c->asked[me->index]);

    unsubscribe(ctx, me, m->inc);
    me->lines[m->inc].left = asked;
    me->lines[m->inc].has_left = true;
    back.meta0 = m->inc;
    back.meta1 = 1;
    if (dna & 3)
        (void)!gmk_emit(ctx, &back);
}

/* Asks for some messages again. What this very handler has not settled must be there. */
static void replay(gmk_ctx_t *ctx, mod_t *me, msg_t *m, uint64_t dna)
{
    storm_t *s = me->s;
    inc_t *c = &s->incs[m->inc];
    line_t *l = c->mode & GMK_CHAN_P2P ? &c->p2p : &me->lines[m->inc];
    uint64_t seq = gmk_chan_seq(ctx);
    uint64_t from = seq - gmk_min64(dna & 7, seq - 1);
    bool sure = from == seq && !l->replayed && l->top < seq + c->replay &&
                marked(&s->poisoned[me->level]) == 0;
    int rc = gmk_chan_replay(ctx, marked(&c->id), from);

    if (rc == GMK_OK) {
        if (from > l->last) { /* nothing, unless of a new subscription that is further on */
            if (marked(&c->leaves[me->index]) != 0) {
                l->again = from;
                l->replay_to = gmk_max64(l->replay_to, l->top);
                tally(&c->replays);
                tally(&s->unsure);
            }
            return;
        }
        gmk_add_rlx(&s->replayed, l->last + 1 - from, GMK_DEV);
        l->replay_to = gmk_max64(l->replay_to, l->last);
        l->last = from - 1;
        l->replayed = true;
        tally(&c->replays);
        if (marked(&c->leaves[me->index]) != 0) /* it joined again further on, perhaps */
            tally(&s->unsure);
        return;
    }
    expect(s, rc == GMK_E_NOT_FOUND || (rc == GMK_CHAN_CLOSED && marked(&c->closing) != 0),
           P_REPLAY_CODE);
    if (sure && marked(&c->closing) == 0 && marked(&c->leaves[me->index]) == 0)
        broken(s, P_REPLAY_GONE);
}

/* Sends on, upwards: through the outbox, or as it comes. */
static void forward(gmk_ctx_t *ctx, mod_t *me, const gmk_task_t *with, uint64_t dna)
{
    storm_t *s = me->s;
    uint32_t slot = (uint32_t)(dna >> 48) % s->n_slots;
    sender_t f = {.s = s, .ctx = ctx, .waits = (dna >> 44 & 3) != 0};

    f.producer = f.waits ? me->by_wait : me->by_emit;
    if (s->level[slot] > me->level)
        for (uint32_t i = 0; i <= (dna >> 54 & 3); i++)
            send(&f, slot, mix(dna + i), dna >> 46 & 1 ? with : NULL);
}

/* Whether the message goes round once more; *rc is what the handler returns then. */
static bool dawdles(gmk_ctx_t *ctx, mod_t *me, uint64_t dna, int *rc)
{
    bool stubborn = (me->habits & H_STUBBORN) != 0 && (ctx->task->meta0 & 63) == 5;

    *rc = GMK_OK;
    if (me->habits & H_SPIN)
        for (uint64_t i = 0; i < (dna >> 12 & 7); i++)
            gmk_hal_relax();
    if (stubborn || ((me->habits & H_YIELD) != 0 && (dna & 3) == 0 && ctx->task->yield_count < 3)) {
        if (ctx->task->yield_count >= GMK_DEFAULT_MAX_YIELDS)
            fail_counts(me);
        gmk_yield(ctx);
        return true;
    }
    if ((me->habits & H_RETRY) != 0 && (dna & 7) == 7 && gmk_retries(ctx) < 3) {
        *rc = GMK_RETRY;
        return true;
    }
    return false;
}

static int fail_code(const gmk_task_t *t) { return GMK_FAIL(1 + (int)(t->meta0 % 90)); }

static bool fails(const mod_t *me, uint64_t dna)
{
    return ((me->habits & H_FAIL) != 0 && (dna >> 16 & 7) == 0) ||
           ((me->habits & H_DOOMED) != 0 && (dna >> 16 & 3) != 0);
}

/* What a module does with a message of its own that it alone handles now. */
static int behave(gmk_ctx_t *ctx, mod_t *me, msg_t *m)
{
    uint64_t dna = next(&me->rng);
    const inc_t *c = &me->s->incs[m->inc];
    int rc;

    if (dawdles(ctx, me, dna, &rc))
        return rc;
    if (marked(&me->s->quiet) == 0) {
        if ((me->habits & H_LEAVE) != 0 && (dna >> 20 & 15) == 0)
            leave(ctx, me, m, dna >> 24);
        if ((me->habits & H_REPLAY) != 0 && (dna >> 28 & 3) == 0 && c->replay != 0)
            replay(ctx, me, m, dna >> 31);
        if ((me->habits & H_FORWARD) != 0 && me->level < LEVEL_DET && (dna >> 34 & 1) != 0)
            forward(ctx, me, ctx->task, mix(dna));
    }
    if (fails(me, dna)) {
        fail_counts(me);
        return fail_code(ctx->task);
    }
    tally(&m->ok);
    return GMK_OK;
}

static int on_message(gmk_ctx_t *ctx)
{
    mod_t *me = ctx->user;
    msg_t *m = message(me->s, ctx->task);
    int rc = GMK_OK;

    expect(me->s, me->inside++ == 0, P_ALONE);
    if (m != NULL) {
        if (ctx->task->yield_count == 0 && gmk_retries(ctx) == 0)
            begin(ctx, me, m);
        rc = behave(ctx, me, m);
    }
    me->inside--;
    return rc;
}

/* Of the module whose subscription was parallel from boot: nothing of it is protected. */
static int on_parallel(gmk_ctx_t *ctx)
{
    mod_t *me = ctx->user;
    msg_t *m = message(me->s, ctx->task);
    uint64_t dna = mix(ctx->task->meta0 * 31 + gmk_retries(ctx) * 7 + ctx->task->yield_count);

    if (m == NULL)
        return GMK_OK;
    if ((dna & 7) == 0 && ctx->task->yield_count < 3) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    if ((dna & 15) == 8 && gmk_retries(ctx) < 3)
        return GMK_RETRY;
    if ((dna & 31) == 16)
        return fail_code(ctx->task);
    tally(&m->ok);
    return GMK_OK;
}

/* A channel's error handler, run beside no other handler of its module. */
static int on_failed(gmk_ctx_t *ctx)
{
    mod_t *me = ctx->user;
    msg_t *m = message(me->s, ctx->task);
    uint64_t dna = next(&me->rng);
    bool first = ctx->task->yield_count == 0 && gmk_retries(ctx) == 0;
    uint32_t reason = gmk_error_reason(ctx);
    int rc = GMK_OK;

    expect(me->s, me->inside++ == 0, P_ALONE);
    if (first)
        expect(me->s, (reason & 0xffff) != GMK_ERR_NONE, P_ERROR_HANDLER);
    if (first && (reason & 0xffff) == GMK_ERR_HANDLER && m != NULL)
        expect(me->s, (int)(reason >> 16) == GMK_ERR_CODE(fail_code(ctx->task)), P_ERROR_HANDLER);
    if ((dna & 7) == 0 && ctx->task->yield_count < 3) {
        gmk_yield(ctx);
    } else if ((dna & 7) == 1) {
        rc = GMK_FAIL(99); /* then sys.error gets the task */
        tally(&me->s->box_fails);
    } else if (m != NULL) {
        tally(&m->errs);
    }
    me->inside--;
    return rc;
}

/* Direct tasks. -------------------------------------------------------------------------- */

/* Takes the module's error handler on or off a channel. */
static void mind_errors(gmk_ctx_t *ctx, mod_t *me, uint32_t at, bool on)
{
    inc_t *c = &me->s->incs[at];
    int rc;

    if (!on)
        mark(&c->boxes_ended);
    rc = gmk_chan_on_error(ctx, marked(&c->id), on ? on_failed : NULL);
    expect(me->s,
           rc == GMK_OK || rc == GMK_CHAN_ALREADY_BOUND || rc == GMK_E_LIMIT ||
               rc == GMK_ALLOC_FAIL || (rc == GMK_CHAN_CLOSED && marked(&c->closing) != 0),
           P_CALL_CODE);
}

/* Subscribes to whatever P2P channel of its level has nobody. */
static void take_all(gmk_ctx_t *ctx, mod_t *me)
{
    storm_t *s = me->s;

    for (uint32_t i = 0; i < s->n_slots; i++) {
        uint32_t at = marked(&s->cur[i]);

        if (at != 0 && s->level[i] == me->level && (s->incs[at - 1].mode & GMK_CHAN_P2P) != 0)
            subscribe(ctx, me, at - 1);
    }
}

/* Something a module does beside its messages. meta1: 0: drawn by meta0; 1: subscribe to
 * channel meta0; 2: take_all. */
static int on_act(gmk_ctx_t *ctx)
{
    mod_t *me = ctx->user;
    storm_t *s = me->s;
    uint64_t dna = ctx->task->meta0;
    uint32_t slot = (uint32_t)(dna >> 8) % s->n_slots;
    uint32_t at = ctx->task->meta1 == 1 ? (uint32_t)dna + 1 : marked(&s->cur[slot]);

    if (ctx->task->meta1 == 2) {
        take_all(ctx, me);
        return GMK_OK;
    }
    if (at == 0 || s->incs[at - 1].level != me->level || marked(&s->quiet) != 0)
        return GMK_OK;
    if (ctx->task->meta1 == 1 || (dna & 7) < 4)
        subscribe(ctx, me, at - 1);
    else if ((dna & 7) == 4)
        unsubscribe(ctx, me, at - 1);
    else if ((dna & 7) < 7)
        mind_errors(ctx, me, at - 1, (dna >> 3 & 3) != 0);
    else
        churn(ctx, s, mix(dna));
    return GMK_OK;
}

/* A producer of its own: some messages, then itself again. meta0: producer, meta1: left. */
static int on_feed(gmk_ctx_t *ctx)
{
    storm_t *s = ctx->user;
    gmk_task_t *t = ctx->task;
    sender_t f = {.s = s, .ctx = ctx, .producer = (uint32_t)t->meta0 & 0xff};
    uint64_t dna = mix(s->seed * 31 + t->meta0 * 1000 + t->meta1);

    send(&f, (uint32_t)(dna >> 33) % s->n_slots, dna, NULL);
    if (t->meta1 == 0 || now_of(&s->n_msgs) >= MAX_MSGS)
        return GMK_OK;
    t->meta1--;
    if (dna & 1) {
        gmk_yield(ctx);
    } else {
        gmk_task_t more = {.type = T_FEED, .flags = t->flags, .meta0 = t->meta0};

        more.meta1 = t->meta1;
        (void)!gmk_emit(ctx, &more);
    }
    return GMK_OK;
}

/* The watcher of the system's channels. ---------------------------------------------------- */

static void check_reason(storm_t *s, const inc_t *c, uint32_t reason)
{
    bool lossy = (c->mode & (GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS)) == GMK_CHAN_FANOUT;
    bool ok = reason == GMK_ERR_NOMEM;

    if (reason == GMK_ERR_CLOSED)
        ok = marked(&c->closing) != 0 || marked(&c->boxes_ended) != 0;
    else if (reason == GMK_ERR_NO_SUBSCRIBER)
        ok = (c->mode & GMK_CHAN_FANOUT) != 0 && marked(&c->outs_begun) != 0;
    else if (reason == GMK_ERR_LAPPED)
        ok = lossy;
    expect(s, ok, P_ENVELOPE);
}

static int on_envelope(gmk_ctx_t *ctx)
{
    storm_t *s = ctx->user;
    const gmk_task_t *t = ctx->task;
    const gmk_task_t *rec = GMK_ENVELOPE_RECORD(t);
    uint32_t reason = GMK_ENVELOPE_REASON(t);
    bool error = t->type == GMK_TYPE_SYS_ERROR;
    msg_t *m = NULL;

    expect(s, s->watch_inside++ == 0, P_ALONE);
    expect(s,
           t->payload_len == sizeof(*rec) && rec->type == GMK_ENVELOPE_TYPE(t) &&
               rec->channel == GMK_ENVELOPE_CHANNEL(t) && rec->seq == GMK_ENVELOPE_SEQ(t),
           P_ENVELOPE);
    if (rec->channel != 0 && reason != GMK_ERR_TYPE_MISMATCH)
        m = message(s, rec);
    if (m != NULL) {
        inc_t *c = &s->incs[m->inc];

        expect(s, rec->channel == marked(&c->id), P_ENVELOPE);
        tally(error ? &m->errs : &m->drops);
        if (!error) {
            tally(&c->drops);
            check_reason(s, c, reason);
        }
        if (reason == GMK_ERR_LAPPED)
            tally(&c->lapped);
        if (error && reason == GMK_ERR_HANDLER && GMK_ENVELOPE_CODE(t) == 99)
            tally(&s->box_reports);
        else if (error && reason == GMK_ERR_HANDLER)
            expect(s, (int)GMK_ENVELOPE_CODE(t) == GMK_ERR_CODE(fail_code(rec)), P_ENVELOPE);
    }
    s->watch_inside--;
    return GMK_OK;
}

static int on_tick(gmk_ctx_t *ctx)
{
    storm_t *s = ctx->user;

    expect(s, s->watch_inside++ == 0, P_ALONE);
    expect(s, s->last_tick == 0 || ctx->task->meta0 == s->last_tick + 1, P_TICK);
    s->last_tick = ctx->task->meta0;
    s->watch_inside--;
    return GMK_OK;
}

/* A second watcher that is too slow: its envelopes are lost, nobody else's. */
static int on_slow_watch(gmk_ctx_t *ctx)
{
    for (uint32_t i = 0; i < 20; i++)
        gmk_hal_relax();
    expect(ctx->user, ctx->task->payload_len == sizeof(gmk_task_t), P_ENVELOPE);
    return GMK_OK;
}

/* Sinks. ------------------------------------------------------------------------------- */

static bool sink_takes(sink_t *k, const gmk_cell_t *cell)
{
    storm_t *s = k->s;
    inc_t *c = &s->incs[k->inc];
    uint32_t put = now_of(&k->put);
    seen_t e = {.s = s, .c = c, .joins = 1};
    msg_t *m;

    if (marked(&k->shut) != 0 || put - marked(&k->got) == STASH || (next(&k->rng) & 7) == 0)
        return false;
    e.l = c->mode & GMK_CHAN_P2P ? &c->p2p : &k->line;
    e.tells_gap = (c->mode & (GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS)) != GMK_CHAN_FANOUT;
    e.may_skip = marked(&s->poisoned[c->level]) != 0;
    e.seq = cell->chan_seq;
    m = message(s, &cell->task);
    if (m == NULL)
        return true;
    if (c->level != LEVEL_PAR || (c->mode & GMK_CHAN_P2P) == 0) /* whose module keeps no line */
        follow(&e, m, (uint32_t)cell->task.meta0);
    tally(&m->ok);
    if (cell->task.flags & GMK_TF_PAYLOAD_RC) {
        k->stash[put % STASH] = cell->task;
        gmk_store_rel(&k->put, put + 1, GMK_DEV);
    }
    return true;
}

static uint32_t on_cells(void *arg, const gmk_cell_t *cells, uint32_t n)
{
    sink_t *k = arg;
    uint32_t i = 0;

    expect(k->s, k->inside++ == 0, P_ALONE);
    if (k->refused)
        expect(k->s, marked(&k->told) != k->heard_then, P_SINK_CALLED);
    while (i < n && sink_takes(k, &cells[i]))
        i++;
    k->refused = i < n;
    k->heard_then = k->heard_last; /* what is told just before a call may be heard after it */
    k->heard_last = marked(&k->heard);
    k->inside--;
    return i;
}

/* Releases what a sink holds, or sends it on as a bridge would. */
static void empty_stash(gmk_ctx_t *ctx, sink_t *k, const sender_t *f, uint64_t dna)
{
    while (now_of(&k->got) != marked(&k->put)) {
        gmk_task_t t = k->stash[now_of(&k->got) % STASH];

        if (f != NULL && marked(&k->s->quiet) == 0)
            send(f, (uint32_t)(dna >> 20) % k->s->n_slots, dna, &t);
        gmk_payload_release_ptr(ctx, (void *)(uintptr_t)t.payload_ptr);
        gmk_store_rel(&k->got, now_of(&k->got) + 1, GMK_DEV);
        dna = mix(dna);
    }
}

static void tell_ready(gmk_ctx_t *ctx, sink_t *k)
{
    inc_t *c = &k->s->incs[k->inc];
    int rc;

    mark(&k->told);
    rc = gmk_chan_sink_ready(ctx, marked(&c->id), &k->k);
    mark(&k->heard);
    if (rc == GMK_OK)
        return;
    expect(k->s, rc == GMK_CHAN_CLOSED && marked(&c->closing) != 0, P_CALL_CODE);
    k->live = false;
}

static void end_sink(gmk_ctx_t *ctx, sink_t *k)
{
    inc_t *c = &k->s->incs[k->inc];
    int rc;

    mark(&c->outs_begun);
    rc = gmk_chan_unsub_sink(ctx, marked(&c->id), &k->k);
    if (rc == GMK_OK) {
        mark(&c->outs);
    } else {
        unmark(&c->outs_begun);
        expect(k->s, rc == GMK_CHAN_CLOSED && marked(&c->closing) != 0, P_CALL_CODE);
    }
    k->live = false;
}

static void start_sink(gmk_ctx_t *ctx, storm_t *s, uint64_t dna)
{
    uint32_t at = marked(&s->cur[(uint32_t)(dna >> 8) % s->n_slots]);
    sink_t *k = &s->sinks[s->n_sinks];
    inc_t *c;
    int rc;

    if (at == 0 || s->n_sinks == MAX_SINKS)
        return;
    c = &s->incs[at - 1];
    *k = (sink_t){.k = {.take = on_cells, .arg = k}, .s = s, .inc = at - 1, .rng = dna};
    mark(&c->ins_begun);
    rc = gmk_chan_sub_sink(ctx, marked(&c->id), &k->k);
    if (rc == GMK_OK) {
        mark(&c->ins);
        k->live = true;
        s->n_sinks++;
        return;
    }
    unmark(&c->ins_begun);
    expect(s,
           rc == GMK_CHAN_ALREADY_BOUND || rc == GMK_E_UNSUPPORTED || rc == GMK_E_LIMIT ||
               rc == GMK_ALLOC_FAIL || (rc == GMK_CHAN_CLOSED && marked(&c->closing) != 0),
           P_CALL_CODE);
}

static void mind_sinks(const sender_t *f, uint64_t dna)
{
    storm_t *s = f->s;

    for (uint32_t i = 0; i < s->n_sinks; i++) {
        sink_t *k = &s->sinks[i];

        empty_stash(f->ctx, k, f, mix(dna + i));
        if (k->live && (dna >> i & 1) != 0)
            tell_ready(f->ctx, k);
        else if (k->live && (dna >> (i + 24) & 15) == 0)
            end_sink(f->ctx, k);
    }
}

/* Threads. ------------------------------------------------------------------------------- */

typedef struct host {
    storm_t *s;
    uint32_t producer;
    gmk_hal_thread_t thread;
} host_t;

/* Stands still between two calls while the books are looked at. */
static void pause_point(storm_t *s)
{
    if (marked(&s->pause) == 0)
        return;
    mark(&s->paused);
    while (marked(&s->pause) != 0)
        gmk_hal_relax();
    unmark(&s->paused);
}

static void look_up(const sender_t *f, uint32_t slot)
{
    int id = gmk_chan_find(f->ctx, slot_names[slot]);

    expect(f->s, id > 0 || id == GMK_E_NOT_FOUND, P_CALL_CODE);
}

static void *host_main(void *arg)
{
    host_t *h = arg;
    storm_t *s = h->s;
    uint64_t rng = s->seed * 977 + h->producer;
    gmk_host_t storage;
    sender_t f = {.s = s, .producer = h->producer};

    f.ctx = gmk_host_attach(&s->kernel, &storage);
    if (f.ctx == NULL)
        storm_give_up("no room for a thread to attach", s->seed);
    for (uint32_t i = 0; i < s->per_host; i++) {
        uint64_t dna = next(&rng);
        uint32_t slot = (uint32_t)(dna >> 50) % s->n_slots;

        pause_point(s);
        if ((dna >> 44 & 31) == 0)
            churn(f.ctx, s, dna);
        else if ((dna >> 44 & 31) == 1)
            send_wrong(&f, slot);
        else if ((dna >> 44 & 31) == 2)
            look_up(&f, slot);
        else
            send(&f, slot, dna, NULL);
        if ((dna >> 40 & 3) == 0)
            gmk_hal_relax();
    }
    expect(s, gmk_host_detach(&storage) == GMK_OK, P_DETACH);
    mark(&s->ended);
    return NULL;
}

/* The main thread. -------------------------------------------------------------------------- */

/* The books while every producer outside stands still: they must balance. */
static void look_at_books(storm_t *s)
{
    gmk_audit_report_t books = {.balanced = false};
    int rc;

    mark(&s->pause);
    while (marked(&s->paused) + marked(&s->ended) != s->n_hosts)
        gmk_hal_relax();
    rc = gmk_audit(&s->kernel, &books);
    unmark(&s->pause);
    while (marked(&s->paused) != 0)
        gmk_hal_relax();
    if (rc == GMK_E_BUSY)
        return;
    total.books++;
    expect(s, rc == GMK_OK && books.balanced, P_BOOKS);
    expect(s, books.stuck[0] == '\0', P_CYCLE);
    if (!books.balanced)
        printf("accepted %llu completed %llu failed %llu dead %llu queued %llu\n",
               (unsigned long long)books.accepted, (unsigned long long)books.completed,
               (unsigned long long)books.failed, (unsigned long long)books.dead,
               (unsigned long long)books.queued);
}

static void submit_act(storm_t *s, uint32_t mod, uint64_t dna, uint32_t what)
{
    gmk_task_t t = {.type = T_ACT + mod, .flags = GMK_PRIO_NORMAL, .meta0 = dna};

    t.meta1 = what;
    (void)!gmk_submit(&s->kernel, &t);
}

static void read_info(storm_t *s, uint64_t dna)
{
    uint32_t at = marked(&s->cur[(uint32_t)(dna >> 8) % s->n_slots]);
    gmk_chan_info_t info;
    gmk_sub_info_t sub;
    gmk_wait_t waits[8];
    const inc_t *c;
    int rc;

    if (at == 0)
        return;
    c = &s->incs[at - 1];
    rc = gmk_chan_get_info(&s->kernel, marked(&c->id), &info);
    expect(s, rc == GMK_OK || marked(&c->closing) != 0, P_INFO);
    if (rc == GMK_OK && info.id == marked(&c->id)) /* else its index, used again */
        expect(s, info.mode == c->mode && info.slots >= c->slots && info.n_subs <= 32, P_INFO);
    if (gmk_chan_get_sub(&s->kernel, marked(&c->id), (uint32_t)(dna >> 20 & 3), &sub) == GMK_OK)
        expect(s, sub.lag <= 1u << 16 && sub.next_seq != 0, P_INFO);
    if ((dna & 7) == 0)
        expect(s, gmk_why(&s->kernel, waits, 8) >= 0, P_INFO);
}

static void stir(const sender_t *f, uint64_t dna)
{
    storm_t *s = f->s;

    switch (dna >> 56 & 15) {
    case 0:
    case 1:
        churn(f->ctx, s, dna);
        break;
    case 2:
    case 3:
        start_sink(f->ctx, s, dna);
        break;
    case 4:
        look_at_books(s);
        break;
    case 5:
        read_info(s, dna);
        break;
    case 6:
        (void)!gmk_mod_reset(&s->kernel, T_MSG + (uint32_t)(dna >> 20) % LEVELS);
        break;
    case 7:
    case 8:
        send(f, (uint32_t)(dna >> 20) % s->n_slots, dna, NULL);
        break;
    default:
        submit_act(s, (uint32_t)(dna >> 20) % s->n_mods, mix(dna), 0);
    }
    mind_sinks(f, mix(dna));
    if (s->manual && (dna >> 40 & 1) != 0)
        gmk_tick_advance(&s->kernel);
    if ((dna & 3) == 0)
        gmk_hal_relax();
}

/* Lets everything come to its end. */
static void drain(const sender_t *f)
{
    storm_t *s = f->s;
    gmk_audit_report_t books = {.queued = 1};

    for (uint32_t round = 0; round < 4000; round++) {
        int rc;

        for (uint32_t i = 0; i < s->n_sinks; i++) {
            empty_stash(f->ctx, &s->sinks[i], NULL, 0);
            if (s->sinks[i].live)
                tell_ready(f->ctx, &s->sinks[i]);
        }
        if (round % MAX_MODS < s->n_mods)
            submit_act(s, round % MAX_MODS, 0, 2);
        expect(s, gmk_wait_idle(&s->kernel, 60000000000ull) == GMK_OK, P_STALLED);
        rc = gmk_audit(&s->kernel, &books);
        expect(s, rc == GMK_E_BUSY || books.balanced, P_BOOKS);
        if (rc == GMK_OK && books.queued == 0)
            break;
        gmk_tick_advance(&s->kernel);
    }
    if (books.queued != 0) {
        gmk_wait_t waits[8];
        char text[160];
        int n = gmk_why(&s->kernel, waits, 8);

        broken(s, P_STALLED);
        for (int i = 0; i < n && i < 8; i++) {
            gmk_wait_text(&waits[i], text, sizeof(text));
            printf("%llu queued: %s\n", (unsigned long long)books.queued, text);
        }
    }
    for (uint32_t i = 0; i < s->n_sinks; i++)
        empty_stash(f->ctx, &s->sinks[i], NULL, 0);
}

/* Before a halt in the middle: sinks take no more and hold nothing. */
static void shut_sinks(const sender_t *f)
{
    storm_t *s = f->s;
    gmk_audit_report_t books;

    for (uint32_t i = 0; i < s->n_sinks; i++)
        mark(&s->sinks[i].shut);
    while (gmk_audit(&s->kernel, &books) == GMK_E_BUSY) /* whoever was taking has ended */
        gmk_hal_relax();
    for (uint32_t i = 0; i < s->n_sinks; i++)
        empty_stash(f->ctx, &s->sinks[i], NULL, 0);
}

/* The verdict. ------------------------------------------------------------------------------- */

static void check_subs(storm_t *s, const inc_t *c, bool exact)
{
    uint64_t lapped = 0;
    gmk_sub_info_t sub;

    for (uint32_t i = 0; gmk_chan_get_sub(&s->kernel, marked(&c->id), i, &sub) == GMK_OK; i++) {
        if ((c->mode & GMK_CHAN_DETERMINISTIC) == 0)
            expect(s, sub.lag == 0 && (sub.parallel || sub.acked_seq + 1 == sub.next_seq),
                   P_LEFT_OVER);
        lapped += sub.drops;
    }
    if (exact && now_of(&c->outs_begun) == 0)
        expect(s, lapped == now_of(&c->lapped), P_LAP_COUNT);
}

/* Drained: what readers tell of the channels that are open. */
static void check_open(storm_t *s, bool exact)
{
    uint32_t n = gmk_min32(now_of(&s->n_incs), MAX_INCS);
    uint64_t taken[MAX_INCS] = {0};
    gmk_chan_info_t info;

    for (uint32_t i = 0; i < gmk_min32(now_of(&s->n_msgs), MAX_MSGS); i++)
        taken[s->msgs[i].inc] += s->msgs[i].state == M_TAKEN;
    for (uint32_t i = 0; i < n; i++) {
        const inc_t *c = &s->incs[i];

        if (marked(&c->id) == 0 || now_of(&c->closed) != 0)
            continue;
        if (gmk_chan_get_info(&s->kernel, marked(&c->id), &info) != GMK_OK) {
            broken(s, P_INFO);
            continue;
        }
        if (exact)
            expect(s, info.drops == now_of(&c->drops), P_DROP_COUNT);
        if (c->mode & GMK_CHAN_P2P)
            expect(s, info.emits == taken[i], P_EMIT_COUNT);
        else
            expect(s, info.emits <= taken[i], P_EMIT_COUNT);
        check_subs(s, c, exact);
    }
}

/* Of a storm that has drained: everything has come to its end. */
static void check_counts(storm_t *s)
{
    uint64_t lost = gmk_metric_get(&s->kernel, GMK_METRIC_ENVELOPES_LOST);
    uint64_t missing = count_ends(s, &total);
    bool doomed = false;

    for (uint32_t i = 0; i < LEVELS; i++)
        doomed = doomed || now_of(&s->poisoned[i]) != 0;
    total.drained++;
    if (missing > lost) {
        broken(s, P_LOST);
        printf("missing %llu, reports lost %llu\n", (unsigned long long)missing,
               (unsigned long long)lost);
    }
    if (!doomed && now_of(&s->unsure) == 0)
        expect(s,
               gmk_load_rlx(&s->replayed, GMK_DEV) ==
                   gmk_metric_get(&s->kernel, GMK_METRIC_CHAN_REPLAYED),
               P_REPLAY_COUNT);
    if (lost == 0)
        expect(s, now_of(&s->box_fails) == now_of(&s->box_reports), P_BOX_COUNT);
    check_open(s, lost == 0);
}

static void sum_up(storm_t *s)
{
    for (uint32_t i = 0; i < gmk_min32(now_of(&s->n_incs), MAX_INCS); i++) {
        total.closed += now_of(&s->incs[i].closed);
        total.joins += now_of(&s->incs[i].ins);
        total.leaves += now_of(&s->incs[i].outs);
        total.incs++;
    }
    total.sinks += s->n_sinks;
}

/* Set-up. ------------------------------------------------------------------------------------- */

static gmk_handler_reg_t mix_handlers[] = {
    {.type = T_FEED, .fn = on_feed, .name = "feed", .max_yields = 1000000}};
static gmk_handler_reg_t watch_handlers[] = {
    {.type = GMK_TYPE_SYS_ERROR, .fn = on_envelope, .name = "error"},
    {.type = GMK_TYPE_SYS_DROPPED, .fn = on_envelope, .name = "dropped"},
    {.type = GMK_TYPE_SYS_TICK, .fn = on_tick, .name = "tick"}};
static gmk_chan_decl_t watch_chans[] = {
    {.name = "sys.error", .direction = GMK_CHAN_CONSUME, .msg_type = GMK_TYPE_SYS_ERROR},
    {.name = "sys.dropped", .direction = GMK_CHAN_CONSUME, .msg_type = GMK_TYPE_SYS_DROPPED},
    {.name = "sys.tick", .direction = GMK_CHAN_CONSUME, .msg_type = GMK_TYPE_SYS_TICK}};
static gmk_handler_reg_t slow_handlers[] = {
    {.type = GMK_TYPE_SYS_ERROR, .fn = on_slow_watch, .name = "error"},
    {.type = GMK_TYPE_SYS_DROPPED, .fn = on_slow_watch, .name = "dropped"}};

/* By these each module says that its type is of messages; nobody sends on them. */
static const char *const kind_names[LEVELS] = {"kind.low", "kind.mid", "kind.high", "kind.det",
                                               "storm.par"};

/* Subscribes to some of what the main module's init has opened. */
static int mod_init(gmk_ctx_t *ctx)
{
    mod_t *me = ctx->user;
    storm_t *s = me->s;

    for (uint32_t i = 0; i < s->n_slots; i++) {
        uint32_t at = marked(&s->cur[i]);

        if (at != 0 && s->level[i] == me->level && (next(&me->rng) & 3) != 0)
            subscribe(ctx, me, at - 1);
        if (at != 0 && s->level[i] == me->level && (next(&me->rng) & 3) == 0)
            mind_errors(ctx, me, at - 1, true);
    }
    return GMK_OK;
}

static int mix_init(gmk_ctx_t *ctx)
{
    storm_t *s = ctx->user;

    for (uint32_t i = 0; i < s->n_slots; i++)
        if (s->level[i] != LEVEL_PAR)
            open_channel(ctx, s, i, mix(s->seed * 131 + i));
    return GMK_OK;
}

static void make_mod(storm_t *s, uint32_t i, uint32_t level)
{
    mod_t *me = &s->mods[i];
    uint64_t dna = mix(s->seed * 17 + i + 1000);

    me->s = s;
    me->index = i;
    me->level = level;
    me->rng = dna;
    me->habits = (uint32_t)(dna & dna >> 16 & 0x1ff) | (dna >> 40 & 1 ? H_FORWARD : 0) |
                 (dna >> 50 & 1 ? H_REPLAY : 0);
    if (dna >> 41 & 3)
        me->habits &= ~(uint32_t)H_DOOMED;
    me->worker = (dna >> 44 & 3) == 0 ? (uint32_t)(dna >> 46) % s->n_workers : GMK_NO_WORKER;
    me->by_emit = 10 + 2 * i;
    me->by_wait = 11 + 2 * i;
    me->name[0] = 'm';
    me->name[1] = (char)('0' + i);
    me->h[0] = (gmk_handler_reg_t){.type = T_MSG + level,
                                   .fn = level == LEVEL_PAR ? on_parallel : on_message,
                                   .name = "message",
                                   .flags = level == LEVEL_DET ? GMK_HF_DETERMINISTIC : 0};
    me->h[1] = (gmk_handler_reg_t){.type = T_ACT + i, .fn = on_act, .name = "act"};
    me->d[0] = (gmk_chan_decl_t){.name = kind_names[level],
                                 .direction = GMK_CHAN_CONSUME,
                                 .msg_type = T_MSG + level,
                                 .mode = GMK_CHAN_FANOUT};
    if (level == LEVEL_PAR) {
        me->worker = GMK_NO_WORKER;
        me->d[0].direction |= GMK_CHAN_PARALLEL;
        me->d[0].guarantee = s->seed & 1 ? GMK_CHAN_LOSSLESS : GMK_CHAN_LOSSY;
        me->d[0].mode = s->seed & 2 ? GMK_CHAN_P2P : GMK_CHAN_FANOUT;
        me->d[0].slots = 2u << (s->seed >> 2 & 3);
    }
    me->m = (gmk_module_t){.name = me->name,
                           .handlers = me->h,
                           .n_handlers = 2,
                           .channels = me->d,
                           .n_channels = 1,
                           .init = mod_init,
                           .user = me};
}

static gmk_boot_cfg_t draw_cfg(storm_t *s)
{
    uint64_t d = mix(s->seed ^ 0xc4a9);
    uint32_t small = (uint32_t)(d >> 8 & 3);
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)1 << 20, .flags = GMK_BOOT_NO_LINKED_MODULES};

    s->n_workers = 1 + (uint32_t)(d % (IS_SIM ? 5 : 8));
    cfg.n_workers = s->n_workers;
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
    s->drains = (d >> 25 & 3) != 0;
    s->watches_ticks = (d >> 27 & 3) == 0;
    s->slow_watch = (d >> 29 & 7) == 0;
    s->n_hosts = (uint32_t)(d >> 32 & 3);
    s->n_feeds = 1 + (uint32_t)(d >> 34 & 1);
    s->per_host = IS_SIM ? 8 + (uint32_t)(d >> 40 & 31) : 1500;
    s->n_ops = IS_SIM ? 8 + (uint32_t)(d >> 45 & 31) : 400;
    return cfg;
}

static void draw_parts(storm_t *s)
{
    uint64_t d = mix(s->seed ^ 0x9a57);
    uint32_t n_ring = 2 + (uint32_t)(d & 3);
    uint32_t n_mods = 3 + (uint32_t)(d >> 4 & 3);

    for (uint32_t i = 0; i < n_ring; i++)
        s->level[s->n_slots++] = (i + (uint32_t)(d >> 20 & 1)) % 3;
    for (uint32_t i = 0; i < n_mods; i++)
        make_mod(s, s->n_mods++, i % 3);
    if (d >> 8 & 1) {
        s->level[s->n_slots++] = LEVEL_DET; /* a deterministic one and one beside it */
        s->level[s->n_slots++] = LEVEL_DET;
        make_mod(s, s->n_mods++, LEVEL_DET);
    }
    if (d >> 9 & 1) {
        s->level[s->n_slots++] = LEVEL_PAR;
        make_mod(s, s->n_mods++, LEVEL_PAR);
    }
}

/* The channel of the parallel module, which boot has opened and subscribed. */
static void find_parallel(gmk_ctx_t *ctx, storm_t *s)
{
    const mod_t *par = &s->mods[s->n_mods - 1];
    uint32_t i = gmk_add_rlx(&s->n_incs, 1, GMK_DEV);
    int id = gmk_chan_find(ctx, kind_names[LEVEL_PAR]);
    inc_t *c = &s->incs[i];

    c->slot = s->n_slots - 1;
    c->level = LEVEL_PAR;
    c->mode = par->d[0].mode | par->d[0].guarantee;
    c->slots = par->d[0].slots;
    c->parallel = true;
    c->ins_begun = 1;
    c->ins = 1;
    expect(s, id > 0, P_CALL_CODE);
    publish_channel(s, c->slot, i, id);
}

/* The books after the end balance, and nothing is left. */
static void halt_storm(storm_t *s)
{
    gmk_audit_report_t books = {.balanced = false};
    int rc = gmk_halt_timeout(&s->kernel, 60000000000ull, &books);

    if (rc != GMK_OK || !books.balanced || books.queued != 0 || books.payloads_live != 0) {
        broken(s, P_HALT);
        printf("rc %d accepted %llu completed %llu failed %llu dead %llu queued %llu payloads "
               "%llu stuck '%s'\n",
               rc, (unsigned long long)books.accepted, (unsigned long long)books.completed,
               (unsigned long long)books.failed, (unsigned long long)books.dead,
               (unsigned long long)books.queued, (unsigned long long)books.payloads_live,
               books.stuck);
    }
}

/* One kernel, from boot to halt. */
static void run_storm(storm_t *s, const gmk_boot_cfg_t *cfg)
{
    gmk_module_t mix_mod = {
        .name = "mix", .handlers = mix_handlers, .n_handlers = 1, .init = mix_init, .user = s};
    gmk_module_t watch = {
        .name = "watch", .handlers = watch_handlers, .channels = watch_chans, .user = s};
    gmk_module_t slow = {.name = "slow",
                         .handlers = slow_handlers,
                         .n_handlers = 2,
                         .channels = watch_chans,
                         .n_channels = 2,
                         .user = s};
    gmk_module_t *mods[MAX_MODS + 3] = {&mix_mod, &watch};
    host_t hosts[4];
    gmk_host_t storage;
    sender_t f = {.s = s, .producer = 0};
    uint64_t rng = s->seed * 7919;
    uint32_t n = 2;
    int rc;

    watch.n_handlers = watch.n_channels = s->watches_ticks ? 3 : 2;
    for (uint32_t i = 0; i < s->n_mods; i++)
        mods[n++] = &s->mods[i].m;
    if (s->slow_watch)
        mods[n++] = &slow;
    rc = gmk_boot(&s->kernel, cfg, mods, n);
    if (rc != GMK_OK) {
        printf("channel storm: boot %d: %s; seed %llu\n", rc, gmk_boot_error(&s->kernel),
               (unsigned long long)s->seed);
        exit(1);
    }
    f.ctx = gmk_host_attach(&s->kernel, &storage);
    if (f.ctx == NULL)
        storm_give_up("no room to attach", s->seed);
    if (s->level[s->n_slots - 1] == LEVEL_PAR)
        find_parallel(f.ctx, s);
    for (uint32_t i = 0; i < s->n_hosts; i++) {
        hosts[i] = (host_t){.s = s, .producer = 1 + i};
        if (gmk_hal_thread_create(&hosts[i].thread, host_main, &hosts[i]) != 0)
            storm_give_up("no thread", s->seed);
    }
    for (uint32_t i = 0; i < s->n_feeds; i++) {
        gmk_task_t t = {.type = T_FEED, .flags = GMK_PRIO_NORMAL, .meta0 = 5 + i};

        t.meta1 = s->per_host;
        (void)!gmk_submit(&s->kernel, &t);
    }
    for (uint32_t i = 0; i < s->n_ops; i++)
        stir(&f, next(&rng));
    for (uint32_t i = 0; i < s->n_hosts; i++)
        gmk_hal_thread_join(&hosts[i].thread);
    if (s->drains) {
        mark(&s->quiet);
        drain(&f);
    } else {
        shut_sinks(&f);
    }
    if (s->drains)
        check_counts(s);
    expect(s, gmk_metric_get(&s->kernel, GMK_METRIC_ALLOC_BAD_FREES) == 0, P_BAD_FREE);
    total.lost_reports += gmk_metric_get(&s->kernel, GMK_METRIC_ENVELOPES_LOST);
    expect(s, gmk_host_detach(&storage) == GMK_OK, P_DETACH);
    halt_storm(s);
    if (!s->drains) /* until the halt its handlers run */
        (void)count_ends(s, &total);
    sum_up(s);
}

/* One storm; returns how many promises were broken. */
static uint64_t storm(uint64_t seed)
{
    storm_t *s = gmk_hal_calloc(1, sizeof(*s));
    gmk_boot_cfg_t cfg;
    uint32_t wrong;

    if (s == NULL)
        storm_give_up("no memory", seed);
    s->seed = seed;
    cfg = draw_cfg(s);
    draw_parts(s);
    run_storm(s, &cfg);
    wrong = marked(&s->wrong);
    gmk_hal_free(s);
    return wrong;
}

/* Prints what all storms did; false if none of many had its books looked at in mid-run. */
static bool sum_of_all(uint64_t runs)
{
    printf("channels opened %llu, closed %llu; subscriptions %llu, ended %llu; sinks %llu\n",
           (unsigned long long)total.incs, (unsigned long long)total.closed,
           (unsigned long long)total.joins, (unsigned long long)total.leaves,
           (unsigned long long)total.sinks);
    printf("emissions %llu, taken %llu, refused %llu; deliveries handled %llu (%llu again), "
           "failed %llu, dropped %llu; reports lost %llu\n",
           (unsigned long long)total.msgs, (unsigned long long)total.taken,
           (unsigned long long)total.refused, (unsigned long long)total.ok,
           (unsigned long long)total.extra, (unsigned long long)total.errs,
           (unsigned long long)total.drops, (unsigned long long)total.lost_reports);
    printf("drained %llu storms; books balanced in mid-run %llu times\n",
           (unsigned long long)total.drained, (unsigned long long)total.books);
    if (runs > 50 && total.books == 0)
        printf("channel storm: no books were looked at in mid-run\n");
    return runs <= 50 || total.books != 0;
}

int main(int argc, char **argv)
{
    return storm_main(argc, argv,
                      &(storm_kind_t){.name = "channel storm", .run = storm, .sum = sum_of_all});
}
