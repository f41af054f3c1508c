/* SPDX-License-Identifier: MIT
 * Channels, subscriptions and serial groups, private side.
 * Floor: F5.
 * A channel is one credit ring (prim/credit.h); a subscription is a cursor on it. A P2P
 * channel has one cursor from the start, which a subscriber takes over; a fan-out channel
 * has one a subscriber.
 * A group is who drains: one per module for its serial subscriptions, one per parallel
 * subscription or sink. Its token exists while pending > 0, once: as a queued activation,
 * in the hands of a drainer, as the group's bit in a full channel's waiter word, or as its
 * stalled mark. pending counts notices: a subscription that was idle got a message, a
 * message came back, a subscription changed. A drainer reads pending, looks at everything
 * the group has, and only when nothing is left to do takes off what it had read; if more
 * came meanwhile it goes on.
 * Source: SPEC H; ARCHITECTURE R4 to R7, R16, R19. */
#ifndef GMKI_CHAN_H
#define GMKI_CHAN_H

#include "det/det.h"
#include "ggmk/chan.h"
#include "ggmk/prim/credit.h"
#include "ggmk/prim/freelist.h"
#include "ggmk/prim/hist.h"
#include "sched/sched.h"

#define GMKI_MAX_EXTRA_GROUPS GMK_MAX_CHANNELS /* of parallel subscriptions and sinks */
#define GMKI_MAX_GROUPS (GMK_MAX_MODULES + GMKI_MAX_EXTRA_GROUPS)
#define GMKI_MAX_SUBS 4096u /* subscriptions and P2P cursors of a kernel at one time */
#define GMKI_ANY_TYPE 0u
#define GMKI_KEEP_WORKER (UINT32_MAX - 1) /* a request that leaves its module's binding alone */
#define GMKI_MAX_SLOTS (1u << 24)
#define GMKI_END_UNKNOWN UINT64_MAX
#define GMKI_ERROR_SLOTS 256u        /* of a channel's mailbox for failed messages */
#define GMKI_TYPE_ERROR_HANDLER 255u /* dispatch entries made by gmk_chan_on_error */

typedef struct gmki_chan gmki_chan_t;

typedef struct gmki_group {
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t pending;
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t worker; /* bound to, or GMK_NO_WORKER */
    gmk_a32_t waits_at;  /* index of the full channel that may hold the token */
    gmk_a32_t first_sub; /* list of subscription indices; 0 ends; changed under the lock */
    uint32_t index;
    uint32_t module;    /* GMK_MAX_MODULES: a sink's */
    gmk_a32_t parallel; /* hands its messages out */
    bool extra;         /* serves one subscription and ends with it */
    bool used;          /* extra: serves one now */
    uint32_t next_free;
    /* The token holder's own. */
    uint32_t next_sub; /* where the next turn begins; 0: at the first */
    uint32_t away;     /* messages yielded or waiting for a back-off: resume has room for all */
    bool owes_room;    /* who waits for room was not told of what the last turns took */
    uint64_t owes_at;  /* since when, by the worker's time */
    gmk_lq_t outbox;
    uint32_t outbox_earlier; /* there is so much more room: for what came from a stage */
    gmki_queue_t resume;     /* yielded and returned messages: many put, the holder takes */
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t stalled; /* the token waits for a return */
} gmki_group_t;

enum gmki_sub_state {
    GMKI_SUB_FREE,
    GMKI_SUB_DETACHED, /* the cursor of a P2P channel without a subscriber */
    GMKI_SUB_LIVE,
    GMKI_SUB_LEAVING /* takes no more; its group's drainer settles what is left */
};

/* A cursor on a channel and who reads by it. */
typedef struct gmki_sub {
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a64_t cursor; /* next to read; see prim/credit.h */
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t state;
    gmk_a32_t next; /* in its group's list */
    gmki_chan_t *chan;
    gmk_a64_t group; /* gmki_sub_group; the last one, when it has none */
    const gmk_chan_sink_t *sink;
    uint32_t index; /* in the registry, and gmk_cell_t.sub */
    uint32_t slot;  /* its bit in the channel's words */
    uint32_t handler;
    uint32_t module;
    uint32_t next_free;
    gmk_a64_t end;    /* leaving: first position that is not for it, or GMKI_END_UNKNOWN */
    gmk_a32_t reason; /* leaving: gmki_sub_reason */
    /* The token holder's own; atomic where others read. */
    gmk_a64_t expected; /* where the cursor stands if nobody skipped */
    gmk_a64_t acked;    /* everything before is settled */
    uint64_t gap;       /* messages lost just before the latest one */
    bool blocked;       /* a sink without room */
    uint32_t n_away;
    uint64_t away[GMK_GROUP_RESUME_CAP];     /* positions begun and not settled */
    uint32_t away_why[GMK_GROUP_RESUME_CAP]; /* of a mailbox: the failures' reasons and codes */
    gmk_hist_t latency;
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t in_flight; /* parallel: handed out, not settled */
    gmk_a32_t sink_ready;
    gmk_a64_t drops; /* skipped by producers */
} gmki_sub_t;

enum gmki_chan_state { GMKI_CHAN_OPEN = 1, GMKI_CHAN_CLOSED, GMKI_CHAN_DEAD };
enum gmki_chan_kind { GMKI_CHAN_USER, GMKI_CHAN_SYSTEM, GMKI_CHAN_ERRORS };

struct gmki_chan {
    gmk_a32_t id;    /* index | generation << 16 */
    gmk_a32_t state; /* enum gmki_chan_state */
    char name[GMK_MAX_CHAN_NAME];
    uint32_t mode;
    uint32_t slots;  /* how far a subscriber may be behind */
    uint32_t replay; /* handled messages kept at most */
    uint32_t spare;  /* slots for priority 0 alone */
    enum gmki_chan_kind kind;
    gmk_a32_t msg_type; /* GMKI_ANY_TYPE: not fixed yet */
    gmk_a32_t errors;   /* identifier of the mailbox for failed messages; 0: none */
    gmk_cell_t *cells;
    uint32_t cap;
    bool used;                         /* its place had an earlier channel */
    uint32_t n_left;                   /* closed: subscriptions not yet settled */
    uint32_t taken;                    /* slots in use; under the registry's lock */
    gmk_a64_t subs[GMK_MAX_CHAN_SUBS]; /* gmki_chan_sub; the last one, when it has none */
    gmk_credit_t ring;
    gmk_hal_lock_t lock; /* joins, leaves, skips, evictions */
    uint64_t floor;      /* replay: the first position kept; under the lock */
    uint32_t lagging;    /* replay: subscribers that lost messages from it; under the lock */
    uint64_t beats[GMK_MAX_WORKERS];               /* dead: of the workers, when it died */
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t idle; /* subscriptions that want a notice */
    gmk_a32_t leaving; /* cursors that left the ring's readers and still read */
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a64_t waiters; /* groups whose outbox wants room */
    gmk_a64_t fulls;
    gmk_a64_t drops;
    gmk_a64_t det_emits; /* deterministic: messages that have landed, the drainer's count */
};

/* A record on its way to the subscribers of sys.error or sys.dropped. */
typedef struct gmki_envelope {
    gmk_payload_hdr_t hdr;
    gmk_task_t record; /* the payload: the task as it was, with its payload reference */
} gmki_envelope_t;

struct gmk_chan_reg {
    gmk_sched_t *sched;
    gmk_hal_lock_t lock; /* names, subscriptions, groups; before a channel's */
    gmki_chan_t *chans[GMK_MAX_CHANNELS + 1];
    gmk_a32_t n_chans;
    gmki_group_t *groups[GMKI_MAX_GROUPS];
    bool system_made;
    uint32_t n_groups;
    uint32_t free_groups; /* list by index + 1 */
    gmki_sub_t *subs[GMKI_MAX_SUBS];
    uint32_t n_subs; /* 0 stands for direct work */
    uint32_t free_subs;
    /* Registered by the module floor. */
    uint32_t (*handler_of)(void *modules, uint32_t module, uint32_t type);
    uint32_t (*add_handler)(void *modules, uint32_t module, gmk_handler_fn fn);
    bool (*is_deterministic)(void *modules, uint32_t handler);
    void *modules;
    gmki_det_t *det;
    /* sys.tick */
    gmk_a32_t telling;
    gmk_a32_t ticks_wait; /* sys.tick is full */
    /* Envelopes. */
    gmki_envelope_t *envelopes;
    gmk_a32_t *envelope_next;
    gmk_freelist_t envelope_free;
    uint32_t envelope_pool;
};

/* registry.c: names and rings. */
int gmki_chan_reg_init(gmki_agent_t *a, gmk_chan_reg_t *r, gmk_sched_t *s, uint32_t n_modules);
void gmki_chan_reg_fini(gmk_chan_reg_t *r);
int gmki_chan_open(gmki_agent_t *a, gmk_chan_reg_t *r, const char *name, const gmk_chan_opts_t *o);
int gmki_chan_open_kind(gmki_agent_t *a, gmk_chan_reg_t *r, const char *name,
                        const gmk_chan_opts_t *o, enum gmki_chan_kind kind);
int gmki_chan_find(gmk_chan_reg_t *r, const char *name);
gmki_chan_t *gmki_chan_at(const gmk_chan_reg_t *r, uint32_t id); /* also by index; or null */
/* Open, or closed and not yet dead; else null: its place may become another's at any time. */
gmki_chan_t *gmki_chan_known(const gmk_chan_reg_t *r, uint32_t id);
int gmki_chan_fix_type(gmki_chan_t *c, uint32_t type);
int gmki_chan_close(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id);
void gmki_chan_shut_errors(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t box); /* a mailbox */
/* Ends the mailbox of channel id, unless it has another one, or none, by now. */
void gmki_chan_end_errors(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, uint32_t box);
/* A closed channel whose subscriptions are settled gives its place back. lock held. */
void gmki_chan_died(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c);

/* subs.c: who reads, and how. */
typedef struct gmki_sub_req {
    uint32_t chan;
    uint32_t module;
    uint32_t worker;  /* bound to, or GMK_NO_WORKER; GMKI_KEEP_WORKER */
    uint32_t handler; /* GMKI_NO_HANDLER: the module's, of the channel's type */
    bool parallel;
    const gmk_chan_sink_t *sink;
} gmki_sub_req_t;
int gmki_chan_subscribe(gmki_agent_t *a, gmk_chan_reg_t *r, const gmki_sub_req_t *q);
int gmki_chan_unsubscribe(gmki_agent_t *a, gmk_chan_reg_t *r, const gmki_sub_req_t *q);
int gmki_chan_sink_ready(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id,
                         const gmk_chan_sink_t *sink);
gmki_group_t *gmki_group_make(gmk_chan_reg_t *r, uint32_t module, bool extra);
gmki_sub_t *gmki_sub_make(gmk_chan_reg_t *r, gmki_chan_t *c, uint32_t slot); /* lock held */
/* The live ones of c in a set of slots leave together: no message is for some of them only. */
void gmki_subs_leave(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c, uint32_t set,
                     uint32_t reason);
void gmki_sub_gone(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_sub_t *s); /* lock held */
/* The cursor of one that leaves stands before nothing that it will read. returns: until now it
 * has stood in the way. */
bool gmki_sub_let_go(const gmki_sub_t *s);
/* The drainer has settled what a leaving subscription had left. */
void gmki_sub_drained(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_sub_t *s);
void gmki_group_end(gmk_chan_reg_t *r, gmki_group_t *g); /* of an extra group, its token gone */
gmki_sub_t *gmki_sub_of(gmki_chan_t *c, uint32_t module, const gmk_chan_sink_t *sink);
int gmki_chan_on_error(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, gmk_handler_fn fn);

/* read.c: the drainer's side of a subscription. */
bool gmki_sub_take(gmki_sub_t *s, gmk_cell_t *out, uint64_t *stamp);
uint32_t gmki_sub_peek(gmki_sub_t *s, gmk_cell_t *out, uint32_t n);
void gmki_sub_pass(gmki_sub_t *s, uint32_t n);
bool gmki_sub_idles(gmki_sub_t *s);   /* false: there is something after all */
bool gmki_sub_settled(gmki_sub_t *s); /* nothing of it is under way */
uint64_t gmki_sub_acked(const gmki_sub_t *s);
/* A message was begun, and is not settled for now; why comes back with it. */
void gmki_sub_went(gmki_sub_t *s, uint64_t pos, uint32_t why);
uint32_t gmki_sub_came(gmki_sub_t *s, uint64_t pos); /* is about to go on */
void gmki_sub_ended_among(gmki_sub_t *s);            /* gmki_sub_ended while others are away */
int gmki_sub_replay(gmki_agent_t *a, gmki_sub_t *s, uint64_t from);
void gmki_parallel_ended(gmki_agent_t *a, gmki_sub_t *s);

/* emit.c */
int gmki_chan_emit(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, const gmk_task_t *t,
                   uint32_t n);
/* Pushes checked tasks; returns how many went in. */
uint32_t gmki_chan_push(gmki_agent_t *a, gmki_chan_t *c, const gmk_task_t *t, uint32_t n);
/* Pushes whole cells that are accepted already, one delivery each; returns how many. */
uint32_t gmki_chan_push_cells(gmki_agent_t *a, gmki_chan_t *c, const gmk_cell_t *cells, uint32_t n);
/* A failed message for the channel's error handler; takes its payload reference over.
 * returns: false when the mailbox is full or closed: nothing has happened. */
bool gmki_chan_push_failed(gmki_agent_t *a, gmki_chan_t *box, const gmk_cell_t *c,
                           uint32_t reason_and_code);
void gmki_chan_dropped(gmk_chan_reg_t *r, uint32_t id); /* counts a lost delivery */
int gmki_chan_emit_cells(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, const gmk_cell_t *cells,
                         uint32_t n);
int gmki_chan_emit_wait(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, const gmk_task_t *t);
/* Puts what a turn has held back on its channel's ring; what finds no room goes into the outbox.
 * pre: a->stage.n != 0, and a drains g. */
void gmki_stage_flush(gmki_agent_t *a, gmki_group_t *g);
void gmki_group_activate(gmki_agent_t *a, gmki_group_t *g, uint32_t priority);
void gmki_group_notice(gmki_agent_t *a, gmki_group_t *g, uint32_t priority);
/* True when the outbox is empty; else *blocked is the full channel. */
bool gmki_outbox_flush(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_group_t *g, gmki_chan_t **blocked);
/* Hands the token to the full channel; true: taken back at once, since there is room or more
 * notices came than were seen. */
bool gmki_group_wait(gmki_agent_t *a, gmki_group_t *g, gmki_chan_t *full, uint32_t seen);
/* After a notice that cannot wait for room or a return: a parked token goes on. */
void gmki_group_unpark(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_group_t *g);

/* Puts a stamped cell among deterministic work, due at a tick (0: the next), and sees that
 * somebody keeps the time. n: subscribers now. returns: as gmki_det_emit. */
int gmki_det_input(gmki_agent_t *a, gmki_det_t *d, const gmk_cell_t *cell, uint64_t due,
                   uint32_t n);
/* The same with a message of a deterministic channel, checked here. returns: GMK_OK, or what
 * an emit says. */
int gmki_chan_det_input(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c, const gmk_task_t *t,
                        uint64_t due);
/* Messages that wait for a subscriber are looked at again at the next tick. */
void gmki_det_revisit(gmk_sched_t *s, gmki_det_t *d);

/* room.c: credit, drop-slow, retention. */
bool gmki_chan_make_room(gmki_agent_t *a, gmki_chan_t *c, uint32_t n);
void gmki_chan_room(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c); /* tells who waits */
void gmki_chan_retain(gmki_agent_t *a, gmki_chan_t *c); /* evicts what all have settled */
uint64_t gmki_chan_slowest(const gmki_chan_t *c);
gmki_sub_t *gmki_chan_slow_sub(const gmki_chan_t *c); /* whose cursor that is, or null */

/* report.c */
int gmki_envelopes_init(gmk_chan_reg_t *r, gmk_alloc_t *mem);
/* Reports a failed or lost delivery on sys.error or sys.dropped; takes the cell's
 * payload reference over. */
void gmki_report(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t chan, const gmk_cell_t *c,
                 uint32_t reason_and_code);
void gmki_drop_payload(gmki_agent_t *a, const gmk_task_t *t);

/* tick.c */
void gmki_ticks_tell(gmki_agent_t *a);     /* sys.tick: what is owed */
void gmki_ticks_listen(gmk_chan_reg_t *r); /* somebody has subscribed */
void gmki_ticks_room(gmk_chan_reg_t *r);

/* Records are used again and never freed, so whoever reads one too late reads another's
 * cursor, which is then only too low, or tells another's group, which finds nothing. */
GMK_FN gmki_sub_t *gmki_chan_sub(const gmki_chan_t *c, uint32_t slot)
{
    return (gmki_sub_t *)(uintptr_t)gmk_load_acq(&c->subs[slot], GMK_DEV); /* sync: chan.slot */
}

GMK_FN gmki_group_t *gmki_sub_group(const gmki_sub_t *s)
{
    return (gmki_group_t *)(uintptr_t)gmk_load_acq(&s->group, GMK_DEV); /* sync: chan.slot */
}

GMK_FN uint32_t gmki_chan_state(const gmki_chan_t *c)
{
    return gmk_load_acq(&c->state, GMK_DEV); /* sync: chan.open */
}

GMK_FN bool gmki_chan_is_open(const gmki_chan_t *c) { return gmki_chan_state(c) == GMKI_CHAN_OPEN; }

/* The place that an identifier names, or null. */
GMK_FN gmki_chan_t *gmki_chan_place(const gmk_chan_reg_t *r, uint32_t id)
{
    uint32_t n = gmk_load_acq(&r->n_chans, GMK_DEV); /* sync: chan.open */

    /* unsigned wrap makes 0 out of range */
    return GMK_LIKELY(GMK_CHAN_INDEX(id) - 1 < n) ? r->chans[GMK_CHAN_INDEX(id)] : NULL;
}

/* The open channel of that identifier, or null. The state first: who asks for a closed
 * channel must not get its successor. */
GMK_FN gmki_chan_t *gmki_chan_get(const gmk_chan_reg_t *r, uint32_t id)
{
    gmki_chan_t *c = gmki_chan_place(r, id);

    if (GMK_UNLIKELY(c == NULL || !gmki_chan_is_open(c) ||
                     gmk_load_acq(&c->id, GMK_DEV) != id)) /* sync: chan.open */
        return NULL;
    return c;
}

/* relaxed: set before the group serves anybody; who looks too late does so in vain */
GMK_FN bool gmki_is_parallel(const gmki_group_t *g) { return gmk_load_rlx(&g->parallel, GMK_DEV); }

GMK_FN uint32_t gmki_sub_state(const gmki_sub_t *s)
{
    return gmk_load_acq(&s->state, GMK_DEV); /* sync: chan.sub */
}

/* Of one that leaves: why, as its dead letters say; GMK_ERR_NONE: P2P, they stay. It may come
 * back and leave again, for another reason, while its drainer still looks at it. */
GMK_FN uint32_t gmki_sub_reason(const gmki_sub_t *s)
{
    return gmk_load_acq(&s->reason, GMK_DEV); /* sync: chan.sub */
}

GMK_FN void gmki_sub_set_reason(gmki_sub_t *s, uint32_t reason)
{
    gmk_store_rel(&s->reason, reason, GMK_DEV); /* sync: chan.sub */
}

/* By the drainer: everything before pos is settled; pos is next if nobody skips. */
GMK_FN void gmki_sub_set_acked(gmki_sub_t *s, uint64_t pos)
{
    gmk_store_rel(&s->acked, pos, GMK_DEV); /* sync: chan.acked */
}

GMK_FN void gmki_sub_set_expected(gmki_sub_t *s, uint64_t pos)
{
    gmk_store_rel(&s->expected, pos, GMK_DEV); /* sync: chan.acked */
}

GMK_FN uint64_t gmki_sub_expected(const gmki_sub_t *s)
{
    return gmk_load_acq(&s->expected, GMK_DEV); /* sync: chan.acked */
}

/* What ran is settled, by a serial drainer. */
GMK_FN void gmki_sub_ended(gmki_sub_t *s)
{
    if (GMK_LIKELY(s->n_away == 0))
        gmki_sub_set_acked(s, gmki_sub_expected(s));
    else
        gmki_sub_ended_among(s);
}

GMK_FN bool gmki_chan_lossy(const gmki_chan_t *c)
{
    return (c->mode & (GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS)) == GMK_CHAN_FANOUT;
}

GMK_FN uint32_t gmki_chan_id(const gmki_chan_t *c)
{
    return gmk_load_rlx(&c->id, GMK_DEV); /* relaxed: who may ask keeps the channel alive */
}

GMK_FN uint64_t gmki_chan_tail(const gmki_chan_t *c) { return gmk_credit_tail(&c->ring, GMK_DEV); }

/* First position that is not for s; 0: it takes nothing more, or that is being found out.
 * pre: asked after the look at a message's turn word. Who leaves says so before the ring
 * lets it go, so whoever sees a message that is not for s sees it leaving, too. */
GMK_FN uint64_t gmki_sub_limit(const gmki_sub_t *s)
{
    uint64_t end;

    if (gmki_sub_state(s) != GMKI_SUB_LEAVING)
        return GMKI_END_UNKNOWN;
    if (gmki_sub_reason(s) == GMK_ERR_NONE)
        return 0;
    end = gmk_load_acq(&s->end, GMK_DEV); /* sync: chan.end */
    return end != GMKI_END_UNKNOWN ? end : 0;
}

/* As gmki_sub_take where nobody else moves the cursor; false, too, if s leaves.
 * pre: not a lossy channel. */
GMK_FN bool gmki_sub_take_plain(gmki_sub_t *s, gmk_cell_t *out, uint64_t *stamp)
{
    const gmki_chan_t *c = s->chan;
    uint64_t next = gmk_cursor_next(&s->cursor, GMK_DEV);
    const gmk_cell_t *cell = &c->cells[next & (c->cap - 1)];

    if (gmk_credit_ready(c->cells, c->cap - 1, GMK_CELL_STRIDE, (uint32_t)next, 1, GMK_DEV) == 0 ||
        gmki_sub_limit(s) != GMKI_END_UNKNOWN)
        return false;
    *stamp = cell->chan_seq;
    gmk_cell_copy(out, cell);
    out->sub = (uint16_t)s->index;
    out->chan_seq = next + 1;
    gmk_cursor_pass(&s->cursor, next + 1, GMK_DEV);
    gmki_sub_set_expected(s, next + 1);
    return true;
}

/* Messages that a subscription has not begun. */
GMK_FN uint64_t gmki_sub_lag(const gmki_sub_t *s)
{
    bool leaving = gmki_sub_state(s) == GMKI_SUB_LEAVING && gmki_sub_reason(s) != GMK_ERR_NONE;
    uint64_t next = gmk_cursor_next(&s->cursor, GMK_DEV);
    uint64_t end = leaving ? gmk_load_acq(&s->end, GMK_DEV) /* sync: chan.end */
                           : gmki_chan_tail(s->chan);

    return end > next ? end - next : 0;
}

#endif
