/* SPDX-License-Identifier: MIT
 * A turn: one worker drains a group while it holds the group's token.
 * Floor: F7. Order of a turn: the outbox, resumed messages, new messages subscription by
 * subscription. A message is copied, its cell passed, then it runs. A parallel group only
 * hands its messages out, and passes the token on before they run; a sink gets its cells
 * whole. The token is let go only after a look at everything found nothing.
 * Source: SPEC CH-19, CH-29, CH-38, V-24; ARCHITECTURE R4, R5, R16, R19. */
#include "worker/worker.h"

#define SINK_BATCH 8u
#define ROOM_LOT 256u /* places that one who waits for room is told of at once, */
#define ROOM_LATE_NS (10ull * GMK_BATCH_TARGET_NS) /* but before they have taken so long */

/* What one turn did, and whether something is left to do. */
typedef struct turn {
    uint32_t budget; /* messages it may still start */
    uint64_t until;  /* and until when some more, if a batch holds few; 0: none */
    uint32_t ran;
    bool more;
    bool owes; /* who waits for room was not told of what it took */
    gmki_chan_t *blocked;
} turn_t;

bool gmki_is_serial(const gmk_sched_t *s, uint16_t sub)
{
    return !gmki_is_parallel(gmki_sub_group(gmki_core(s)->chan.subs[sub]));
}

/* Puts a message of the group back before its new ones. */
static void resume_push(gmki_group_t *g, const gmk_cell_t *c)
{
    if (gmk_cells_push(&g->resume.ring, g->resume.cells, c, 1, GMK_DEV) == 0)
        GMK_ASSERT(false, "the resume queue has room for every message away");
}

void gmki_return_message(gmki_agent_t *a, const gmk_cell_t *c)
{
    gmk_chan_reg_t *r = &gmki_core(a->sched)->chan;
    gmki_group_t *g = gmki_sub_group(r->subs[c->sub]);

    resume_push(g, c);
    gmki_group_notice(a, g, GMK_PRIORITY(c->task.flags));
    if (gmk_xchg_sc(&g->stalled, 0, GMK_DEV) != 0) /* sync: group.stalled */
        gmki_group_activate(a, g, GMK_PRIORITY(c->task.flags));
}

/* A message was begun, and goes on later. */
static GMK_NOINLINE void went(gmki_agent_t *a, gmki_group_t *g, gmki_sub_t *s, const gmk_cell_t *c,
                              enum gmki_outcome out)
{
    g->away++;
    gmki_sub_went(s, c->chan_seq - 1, a->error_reason);
    if (out == GMKI_AGAIN)
        resume_push(g, c); /* else it comes back by a notice */
}

/* It starts no more messages. */
static void end_turn(turn_t *t)
{
    t->budget = 0;
    t->until = 0;
}

/* A batch holds few because some calls are long, but the messages' need not be: one a turn,
 * and between two turns a long call, would make all who wait for room wait for that. So such a
 * turn goes on until it has taken what a batch may. */
static GMK_NOINLINE bool goes_on(gmki_agent_t *a, turn_t *t)
{
    if (t->until == 0 || gmki_clock(a) >= t->until)
        return false;
    t->budget = 1;
    return true;
}

static void run_message(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, gmk_cell_t *c, turn_t *t)
{
    gmki_sub_t *s = k->chan.subs[c->sub];
    enum gmki_outcome out;

    t->ran++;
    t->budget--;
    a->group = g;
    out = gmki_dispatch(a, k, c, s->handler);
    if (out == GMKI_COMPLETED || out == GMKI_FAILED)
        gmki_sub_ended(s);
    else
        went(a, g, s, c, out);
    a->group = NULL;
    if (gmk_lq_count(&g->outbox) != 0)
        end_turn(t);
}

static void run_resumed(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, turn_t *t)
{
    uint32_t n = gmk_mpmc_count(&g->resume.ring, GMK_DEV);
    gmk_cell_t c;

    /* For its time, as new ones: what it leaves here would come after those. */
    while (n-- > 0 && (GMK_LIKELY(t->budget != 0) || goes_on(a, t)) && !gmki_is_elsewhere(a, g) &&
           gmk_cells_pop_sc(&g->resume.ring, g->resume.cells, &c, 1, GMK_DEV) != 0) {
        gmki_chan_t *ch = k->chan.subs[c.sub]->chan;

        g->away--;
        a->error_reason = gmki_sub_came(k->chan.subs[c.sub], c.chan_seq - 1);
        a->chan_gap = 0;
        run_message(a, k, g, &c, t);
        a->error_reason = 0;
        if (ch->replay != 0) /* it may have been what kept the others */
            gmki_chan_retain(a, ch);
    }
}

static bool is_leaving(const gmki_sub_t *s) { return gmki_sub_state(s) == GMKI_SUB_LEAVING; }

/* Nobody gives it a notice for what it has: it was found empty, and that still holds. */
static bool is_idle(const gmki_sub_t *s)
{
    return (gmk_load_acq(&s->chan->idle, GMK_DEV) >> s->slot & 1) != 0; /* sync: chan.idle */
}

/* What a subscription that leaves has left goes to sys.dropped; then it is gone. */
static void settle_leaving(gmki_agent_t *a, gmki_core_t *k, gmki_sub_t *s, turn_t *t)
{
    uint32_t reason = gmki_sub_reason(s);
    gmk_cell_t c;
    uint64_t stamp;

    /* On P2P they stay; and the module may come back meanwhile, and have them. */
    while (reason != GMK_ERR_NONE && gmki_sub_take(s, &c, &stamp)) {
        gmki_sub_ended(s);
        gmki_lose(a, &c, reason);
        t->ran++;
    }
    if (reason != GMK_ERR_NONE && gmki_sub_lag(s) != 0) {
        t->more = !gmki_sub_idles(s) || t->more; /* an emit that is under way gives notice */
        return;
    }
    if (gmki_sub_settled(s)) {
        gmki_sub_drained(a, &k->chan, s);
    } else if (reason != GMK_ERR_NONE) { /* what is away holds up no producer */
        if (gmki_sub_let_go(s))
            gmki_chan_room(a, &k->chan, s->chan);
    }
}

static void note_latency(gmki_sub_t *s, uint64_t stamp)
{
    uint64_t now = gmk_hal_now_ns();

    gmk_hist_record(&s->latency, now > stamp ? now - stamp : 0);
}

/* After messages were taken: what the replay buffer may drop. */
static void took(gmki_agent_t *a, gmki_chan_t *c, uint32_t n)
{
    if (n == 0)
        return;
    gmki_trace(&a->obs, CHAN_DRAIN, NULL, GMK_CHAN_INDEX(gmki_chan_id(c)), n);
    if (c->replay != 0)
        gmki_chan_retain(a, c);
}

/* Calls have been so short that a lot of them takes no longer than a batch may. */
static bool is_short(const gmki_agent_t *a)
{
    return a->wq->batch >= gmk_min32(GMKI_STAGE, a->sched->max_batch);
}

/* Who waits for room gets it in lots, where that does not take long: the turn has ended for want
 * of budget alone, calls are short, and the next turn goes on here at once. */
static bool room_waits(const gmki_agent_t *a, const gmki_group_t *g, const gmki_chan_t *c,
                       const turn_t *t)
{
    uint32_t lot = gmk_min32(c->slots / 4, ROOM_LOT);

    return t->budget == 0 && t->ran != 0 && is_short(a) && !g->extra &&
           gmk_lq_count(&g->outbox) == 0 && c->kind == GMKI_CHAN_USER &&
           gmki_chan_tail(c) + lot > gmki_chan_slowest(c) + c->slots;
}

static void tell_all_room(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g)
{
    uint32_t id = gmk_load_acq(&g->first_sub, GMK_DEV); /* sync: chan.bind */

    g->owes_room = false;
    while (id != 0) {
        gmki_sub_t *s = k->chan.subs[id];

        id = gmk_load_acq(&s->next, GMK_DEV); /* sync: chan.bind */
        gmki_chan_room(a, &k->chan, s->chan);
    }
}

/* Tells who waits for room on c, now or when the group next does something else than to make
 * more: a turn of messages that come back only to yield again makes none. */
static void tell_room(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, gmki_chan_t *c, turn_t *t)
{
    bool late = g->owes_room && a->obs.now - g->owes_at >= ROOM_LATE_NS;

    if (late) {
        tell_all_room(a, k, g);
    } else if (room_waits(a, g, c, t)) {
        if (!g->owes_room)
            g->owes_at = a->obs.now;
        g->owes_room = true;
        t->owes = true;
    } else {
        gmki_chan_room(a, &k->chan, c);
    }
}

static bool is_plain(const gmki_agent_t *a, const gmki_chan_t *c)
{
    /* relaxed: a setting that may take effect late */
    uint32_t level = gmk_load_rlx(&a->obs.cfg->max_level, GMK_DEV);

    return !gmki_chan_lossy(c) && c->kind != GMKI_CHAN_ERRORS && level < GMK_TRACE_ALL;
}

/* What is sent by calls of this turn is put on its ring in lots, as long as calls are so short
 * that a lot takes no longer than a batch. */
static void stage_open(gmki_agent_t *a) { a->stage.open = is_short(a); }

static void stage_shut(gmki_agent_t *a, gmki_group_t *g)
{
    a->stage.open = false;
    if (a->stage.n != 0)
        gmki_stage_flush(a, g);
}

/* The common case of run_sub: messages that are not traced, on a channel whose producers move
 * nobody's cursor. Ends where that has nothing more to do. */
static uint32_t run_plain(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, gmki_sub_t *s,
                          turn_t *t)
{
    uint32_t ran = t->ran;
    gmk_cell_t c;
    uint64_t stamp;

    a->group = g;
    a->chan_gap = 0;
    stage_open(a);
    while ((GMK_LIKELY(t->budget != 0) || goes_on(a, t)) && g->away < GMK_GROUP_RESUME_CAP &&
           !gmki_is_elsewhere(a, g) && gmki_sub_take_plain(s, &c, &stamp)) {
        enum gmki_outcome out;

        t->budget--;
        t->ran++;
        a->stage.earlier = a->stage.n;
        if (GMK_UNLIKELY(stamp != 0))
            note_latency(s, stamp);
        if (GMK_LIKELY((c.task.flags & GMKI_TF_SPECIAL) == 0))
            out = gmki_dispatch_plain(a, k, &c, s->handler);
        else
            out = gmki_dispatch(a, k, &c, s->handler);
        if (GMK_LIKELY(out == GMKI_COMPLETED || out == GMKI_FAILED))
            gmki_sub_ended(s);
        else
            went(a, g, s, &c, out);
        /* relaxed: a hint; who looks for work looks again */
        if (a->stage.n != 0 && GMK_UNLIKELY(gmk_load_rlx(&k->sched.idle, GMK_DEV) != 0))
            gmki_stage_flush(a, g);
        if (GMK_UNLIKELY(gmk_lq_count(&g->outbox) != 0))
            break;
    }
    stage_shut(a, g);
    a->group = NULL;
    if (gmk_lq_count(&g->outbox) != 0)
        end_turn(t);
    return t->ran - ran;
}

/* New messages of one subscription, as long as the turn and the resume queue have room. */
static void run_sub(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, gmki_sub_t *s, turn_t *t)
{
    bool errors = s->chan->kind == GMKI_CHAN_ERRORS;
    bool plain = is_plain(a, s->chan);
    gmk_cell_t c;
    uint64_t stamp;
    uint32_t n = 0;

    while (!is_leaving(s)) {
        if (GMK_LIKELY(plain))
            n += run_plain(a, k, g, s, t);
        if (t->budget == 0 || g->away >= GMK_GROUP_RESUME_CAP || gmki_is_elsewhere(a, g)) {
            t->more = true;
            break;
        }
        if (plain || !gmki_sub_take(s, &c, &stamp)) {
            if (is_leaving(s) || gmki_sub_idles(s))
                break;
            continue;
        }
        if (GMK_UNLIKELY(stamp != 0) && !errors)
            note_latency(s, stamp);
        a->chan_gap = s->gap;
        a->error_reason = errors ? (uint32_t)stamp : 0;
        run_message(a, k, g, &c, t);
        a->error_reason = 0;
        n++;
    }
    took(a, s->chan, n);
    if (n != 0)
        tell_room(a, k, g, s->chan, t);
    if (is_leaving(s))
        settle_leaving(a, k, s, t);
}

/* Whole cells to a sink, which says how many it has room for. */
static void run_sink(gmki_agent_t *a, gmki_core_t *k, gmki_sub_t *s, turn_t *t)
{
    gmk_cell_t cells[SINK_BATCH];
    uint32_t n = 0;

    while (!is_leaving(s)) {
        uint32_t have;
        uint32_t took_n;
        uint32_t told;

        if (t->budget == 0) {
            t->more = true;
            break;
        }
        /* What was told before the call says nothing of the room that the call leaves. */
        told = gmk_xchg_sc(&s->sink_ready, 0, GMK_DEV); /* sync: chan.sink */
        if (s->blocked && told == 0)
            break;
        s->blocked = false;
        have = gmki_sub_peek(s, cells, gmk_min32(SINK_BATCH, t->budget));
        if (have == 0) {
            if (gmki_sub_idles(s))
                break;
            continue;
        }
        took_n = gmk_min32(s->sink->take(s->sink->arg, cells, have), have);
        gmki_sub_pass(s, took_n);
        for (uint32_t i = 0; i < took_n; i++)
            gmki_count_settled(&a->obs, cells[i].task.tenant, GMK_METRIC_TASKS_COMPLETED);
        s->blocked = took_n < have;
        t->budget -= took_n;
        n += took_n;
    }
    t->ran += n;
    took(a, s->chan, n);
    if (n != 0)
        gmki_chan_room(a, &k->chan, s->chan);
    if (is_leaving(s))
        settle_leaving(a, k, s, t);
}

static void run_one(gmki_agent_t *a, gmki_core_t *k, gmki_sub_t *s, turn_t *t)
{
    if (s->sink != NULL)
        run_sink(a, k, s, t);
    else
        run_sub(a, k, gmki_sub_group(s), s, t);
}

/* One round over the subscriptions, from where the last turn's budget ended, so that a busy
 * channel starves no other. */
static void run_subs(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, turn_t *t)
{
    gmk_chan_reg_t *r = &k->chan;
    uint32_t first = gmk_load_acq(&g->first_sub, GMK_DEV); /* sync: chan.bind */
    uint32_t start = g->next_sub != 0 ? g->next_sub : first;
    uint32_t stop = 0;

    g->next_sub = 0;
    for (uint32_t pass = 0; pass < 2; pass++) {
        uint32_t id = pass == 0 ? start : first;

        while (id != 0 && (pass == 0 || id != start)) {
            gmki_sub_t *s = r->subs[id];

            id = gmk_load_acq(&s->next, GMK_DEV);        /* sync: chan.bind */
            if (GMK_UNLIKELY(gmki_is_elsewhere(a, g))) { /* a new one is bound: none runs here */
                t->more = true;
                return;
            }
            if (stop == 0 && t->budget == 0)
                stop = s->index; /* the next turn begins here */
            if (is_leaving(s) || !is_idle(s))
                run_one(a, k, s, t);
        }
    }
    if (stop != 0 && gmki_sub_state(r->subs[stop]) == GMKI_SUB_LIVE &&
        gmki_sub_group(r->subs[stop]) == g)
        g->next_sub = stop;
}

/* Nothing can run until a message comes back: leaves the token for its return. False:
 * there is something, or it came back meanwhile and the token is still ours. */
static bool stalls(gmki_group_t *g, uint32_t seen)
{
    if (g->away < GMK_GROUP_RESUME_CAP)
        return false;
    gmk_xchg_sc(&g->stalled, 1, GMK_DEV); /* sync: group.stalled */
    if (!gmk_cells_ready(&g->resume.ring, g->resume.cells, GMK_DEV) &&
        gmk_load_acq(&g->pending, GMK_DEV) == seen) /* sync: group.pending */
        return true;
    return gmk_xchg_sc(&g->stalled, 0, GMK_DEV) == 0; /* sync: group.stalled */
}

/* Ends a turn that began with seen notices: passes the token on, or lets it go. */
static void finish(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, const turn_t *t, uint32_t seen)
{
    gmk_chan_reg_t *r = &k->chan;
    uint32_t priority = a->priority < GMK_N_PRIO ? a->priority : GMK_PRIO_HIGH;

    bool again;

    if (g->owes_room && (t->blocked != NULL || !t->more || !t->owes))
        tell_all_room(a, k, g);
    if (t->blocked != NULL) /* without again, the token is the full channel's */
        again = gmki_group_wait(a, g, t->blocked, seen);
    else if (t->more)
        again = t->ran != 0 || g->extra || !stalls(g, seen);
    else
        again = gmk_sub_ar(&g->pending, seen, GMK_DEV) != seen; /* sync: group.pending */
    /* Without again, the group is not ours any more. */
    if (again)
        gmki_group_activate(a, g, priority);
    else if (t->blocked == NULL && !t->more && g->extra)
        gmki_group_end(r, g);
    if (again && t->ran == 0)
        gmk_hal_relax(); /* a message is being published, or the outbox waits */
}

/* A module that waits for room blocks nobody on the channels that it has left. */
static void settle_all_leaving(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, turn_t *t)
{
    uint32_t id = gmk_load_acq(&g->first_sub, GMK_DEV); /* sync: chan.bind */

    while (id != 0) {
        gmki_sub_t *s = k->chan.subs[id];

        id = gmk_load_acq(&s->next, GMK_DEV); /* sync: chan.bind */
        if (is_leaving(s))
            settle_leaving(a, k, s, t);
    }
}

/* The module's part of a tick goes before new messages. */
static void run_deterministic(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, turn_t *t)
{
    uint32_t n = gmki_det_run(a, k, g, t->budget);

    t->ran += n;
    t->budget -= n;
    t->more = t->more || gmki_det_has(k->chan.det, g->module);
    if (gmk_lq_count(&g->outbox) != 0)
        end_turn(t);
}

static void serial_turn(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, turn_t *t)
{
    if (!g->extra && !gmki_outbox_flush(a, &k->chan, g, &t->blocked)) {
        settle_all_leaving(a, k, g, t);
        return;
    }
    if (!g->extra)
        run_resumed(a, k, g, t);
    if (!g->extra)
        run_deterministic(a, k, g, t);
    run_subs(a, k, g, t);
    if (g->extra)
        return;
    if (gmk_lq_count(&g->outbox) != 0) {
        t->more = true;
        gmki_outbox_flush(a, &k->chan, g, &t->blocked);
    } else if (gmk_cells_ready(&g->resume.ring, g->resume.cells, GMK_DEV)) {
        t->more = true;
    }
}

/* Moves messages to the worker's own queue, where they are ordinary tasks that others
 * may steal, and passes the token on before any of them runs. */
static void parallel_turn(gmki_agent_t *a, gmki_core_t *k, gmki_sub_t *s, turn_t *t)
{
    gmki_wq_t *w = a->wq;
    uint32_t share = (uint32_t)gmki_sub_lag(s) / a->sched->n_workers + 1;
    uint32_t want = gmk_min32(gmk_min32(t->budget, share), gmk_lq_room(&w->fifo));
    gmk_cell_t c;
    uint64_t stamp;

    if (gmk_load_acq(&s->in_flight, GMK_DEV) == 0) /* sync: chan.flight */
        gmki_sub_set_acked(s, gmki_sub_expected(s));
    t->more = true;
    while (t->ran < want && !is_leaving(s)) {
        gmk_add_ar(&s->in_flight, 1, GMK_DEV); /* sync: chan.flight */
        if (!gmki_sub_take(s, &c, &stamp)) {
            gmk_sub_ar(&s->in_flight, 1, GMK_DEV); /* sync: chan.flight */
            if (!gmki_sub_idles(s))
                continue;
            t->more = false;
            break;
        }
        if (GMK_UNLIKELY(stamp != 0))
            note_latency(s, stamp);
        if (!gmk_lq_push_newest(&w->fifo, &c))
            GMK_ASSERT(false, "no more is taken than there is room");
        t->ran++;
    }
    took(a, s->chan, t->ran);
    if (t->ran != 0)
        gmki_chan_room(a, &k->chan, s->chan);
    if (is_leaving(s)) {
        t->more = false;
        settle_leaving(a, k, s, t);
    }
}

uint32_t gmki_turn(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, uint32_t budget)
{
    uint32_t seen = gmk_load_acq(&g->pending, GMK_DEV);    /* sync: group.pending */
    uint32_t first = gmk_load_acq(&g->first_sub, GMK_DEV); /* sync: chan.bind */
    turn_t t = {.budget = budget};

    if (!is_short(a))
        t.until = gmki_clock(a) + GMK_BATCH_TARGET_NS;
    gmki_count(&a->obs, 0, GMK_METRIC_GROUP_TURNS, 1);
    if (GMK_UNLIKELY(gmki_is_elsewhere(a, g))) {
        gmki_group_activate(a, g, GMK_PRIO_HIGH); /* bound since it was placed */
        return 0;
    }
    if (!gmki_is_parallel(g))
        serial_turn(a, k, g, &t);
    else if (first != 0)
        parallel_turn(a, k, k->chan.subs[first], &t);
    finish(a, k, g, &t, seen);
    return t.ran;
}
