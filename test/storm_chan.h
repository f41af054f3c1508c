/* SPDX-License-Identifier: MIT
 * The oracle of the channel storm: what was promised for each message, what came of it.
 * Every attempt to emit is one record; a reader notes beginnings and ends on it. What is
 * true of one reader at a time (positions, order, a module's state) is plain memory, so
 * that TSan watches the serial promise; the rest is relaxed counts, which order nothing.
 * Of a message that was taken, the deliveries are bounded by who had surely subscribed
 * before and not begun to leave after (least), and by who may have (most).
 * Floor: tests. Source: ARCHITECTURE R4 to R8; SPEC H. */
#ifndef TEST_STORM_CHAN_H
#define TEST_STORM_CHAN_H

#include "ggmk/base/bits.h"
#include "ggmk/ggmk.h"
#include "ggmk/hal.h"

#include <stdio.h>

#include "bytes.h"
#include "storm_main.h"

#define MAX_MODS 8u  /* with handlers of messages */
#define MAX_SLOTS 8u /* channel names */
#define MAX_INCS (IS_SIM ? 64u : 160u)
#define MAX_SINKS 24u
#define MAX_PRODUCERS 32u
#define MAX_MSGS (IS_SIM ? 1200u : 16384u)
#define STASH 8u
#define LEVELS 5u
enum { LEVEL_DET = 3, LEVEL_PAR }; /* 0..2: who handles level n sends to those above */
enum { T_MSG = 20, T_FEED = 30, T_ACT = 40 };

#define PROMISES                                                                                   \
    X(ALONE, "two messages of one module ran beside each other")                                   \
    X(UNKNOWN, "a message came that nobody sent")                                                  \
    X(CONTENT, "a message or its payload was altered")                                             \
    X(POSITION, "a position does not follow the one before")                                       \
    X(LOSSLESS_GAP, "a lossless channel told of a gap")                                            \
    X(ORDER, "messages of one producer came out of order")                                         \
    X(AFTER_UNSUB, "a message began after the module's own unsubscription")                        \
    X(ELSEWHERE, "a message of a bound module ran on another worker")                              \
    X(AGAIN, "a message came again, without a replay")                                             \
    X(EMIT_CODE, "an emission gave a code without a cause")                                        \
    X(EMIT_CLOSED, "a closed channel took a message")                                              \
    X(CALL_CODE, "open, close, subscribe or unsubscribe gave a code without a cause")              \
    X(SAME_ID, "a new channel has an old one's identifier")                                        \
    X(REPLAY_CODE, "a replay gave a code without a cause")                                         \
    X(REPLAY_GONE, "what was not settled could not be had again")                                  \
    X(SINK_CALLED, "a sink without room was called again")                                         \
    X(ENVELOPE, "an envelope contradicts itself or names a reason without a cause")                \
    X(ERROR_HANDLER, "an error handler was called without a reason")                               \
    X(TICK, "ticks do not follow one another")                                                     \
    X(BOOKS, "the books do not balance in mid-run")                                                \
    X(CYCLE, "a circular wait is told of where there is none")                                     \
    X(STALLED, "what is queued does not run")                                                      \
    X(LEFT_OVER, "drained, and a subscription has not acknowledged everything")                    \
    X(INFO, "a reader tells what is not so")                                                       \
    X(REFUSED_SEEN, "a message that was refused was delivered all the same")                       \
    X(TOO_MANY, "a message was delivered more often than it had subscribers")                      \
    X(LOST, "messages were lost without a word")                                                   \
    X(DROP_COUNT, "a channel's drop counter differs from what was dropped")                        \
    X(LAP_COUNT, "subscriptions lost other numbers than were reported")                            \
    X(EMIT_COUNT, "a channel counts other emissions than it took")                                 \
    X(REPLAY_COUNT, "other replays were made than asked for")                                      \
    X(BOX_COUNT, "what failed in an error handler did not all come to sys.error")                  \
    X(BAD_FREE, "memory was freed twice")                                                          \
    X(HALT, "the halt did not end well: books, time or payloads")                                  \
    X(DETACH, "a thread could not detach")
enum promise {
#define X(name, text) P_##name,
    PROMISES
#undef X
        N_PROMISES
};

enum msg_state { M_NONE, M_TAKEN, M_REFUSED };

/* One attempt to emit. Up to `key` it is written before, then after, by its producer. */
typedef struct msg {
    uint32_t inc;
    uint32_t producer;
    uint32_t key;                   /* of the payload; 0: none was made */
    uint32_t ins;                   /* subscriptions that had surely begun before */
    uint32_t outs;                  /* and those that had surely ended */
    uint32_t ins_after, outs_after; /* that may have, after */
    uint32_t state;
    bool waits;                /* may have stood in an outbox */
    gmk_a32_t ok, errs, drops; /* ends */
    gmk_a32_t extra;           /* beginnings by replay */
} msg_t;

/* What one reader of one channel sees, a message after the other. */
typedef struct line {
    uint64_t last; /* position of the latest first run */
    uint64_t top;  /* the highest ever */
    uint64_t replay_to;
    uint64_t again; /* asked for of a subscription that may be new: may come next */
    uint32_t joins; /* subscriptions that jumps are explained by */
    uint32_t left;  /* the module's calls to subscribe when its own handler ended the last */
    bool has_left;
    bool replayed;
    uint32_t sent[MAX_PRODUCERS]; /* by producer: its latest message */
} line_t;

/* One channel from its opening to its closing. */
typedef struct inc {
    gmk_a32_t id;
    uint32_t slot, level, mode, slots, replay;
    bool parallel;              /* somebody's parallel subscription was ever on it */
    gmk_a32_t closing, closed;  /* the call has begun; has returned */
    gmk_a32_t ins_begun, ins;   /* subscriptions: asked for, and there */
    gmk_a32_t outs_begun, outs; /* the same of leaving, without those by the closing */
    gmk_a32_t boxes_ended;      /* error handlers taken away */
    gmk_a32_t replays;
    gmk_a32_t drops, lapped;                     /* envelopes about it */
    gmk_a32_t joins[MAX_MODS], leaves[MAX_MODS]; /* calls begun, by module */
    gmk_a32_t asked[MAX_MODS];                   /* calls to subscribe that have ended */
    line_t p2p;                                  /* of whoever reads it */
} inc_t;

typedef struct storm storm_t;

/* A module with handlers. */
typedef struct mod {
    storm_t *s;
    uint32_t index, level;
    uint32_t habits;
    uint32_t worker;           /* all its subscriptions are bound to, or GMK_NO_WORKER */
    uint32_t by_emit, by_wait; /* producers */
    gmk_module_t m;
    gmk_handler_reg_t h[2];
    gmk_chan_decl_t d[1];
    char name[8];
    /* Of its message handlers. */
    uint64_t rng;
    uint32_t inside;
    uint32_t fails;
    line_t lines[MAX_INCS];
} mod_t;

typedef struct sink {
    gmk_chan_sink_t k;
    storm_t *s;
    uint32_t inc;
    bool live;             /* the main thread's */
    gmk_a32_t shut;        /* takes nothing */
    gmk_a32_t told, heard; /* calls that say it is ready: begun, ended */
    gmk_a32_t put, got;    /* of the stash */
    /* Of take. */
    uint32_t inside;
    bool refused;
    uint32_t heard_last, heard_then; /* ended before the last call's end; the one before */
    uint64_t rng;
    line_t line;
    gmk_task_t stash[STASH];
} sink_t;

struct storm {
    gmk_kernel_t kernel;
    uint64_t seed;
    uint32_t n_mods, n_slots, n_hosts, n_feeds, per_host, n_ops, n_workers;
    bool manual, drains, watches_ticks, slow_watch;
    gmk_a32_t quiet;                /* no more leaving, closing, forwarding */
    gmk_a32_t pause, paused, ended; /* threads that emit */
    gmk_a32_t wrong;
    gmk_a32_t poisoned[LEVELS];       /* some module of the level may be */
    gmk_a64_t replayed;               /* deliveries asked for again */
    gmk_a32_t box_fails, box_reports; /* of error handlers: by them, by sys.error */
    gmk_a32_t unsure;                 /* replays that may have been of more than was seen */
    gmk_a32_t n_msgs, n_incs;
    gmk_a32_t cur[MAX_SLOTS];  /* inc + 1; 0: closed */
    gmk_a32_t past[MAX_SLOTS]; /* the inc before, + 1 */
    gmk_a32_t busy[MAX_SLOTS]; /* somebody opens or closes */
    uint32_t level[MAX_SLOTS];
    uint32_t n_sinks;
    sink_t sinks[MAX_SINKS];
    uint64_t last_tick;
    uint32_t watch_inside;
    mod_t mods[MAX_MODS];
    inc_t incs[MAX_INCS];
    msg_t msgs[MAX_MSGS];
};

/* What all storms of this run did. */
typedef struct totals {
    uint64_t msgs, taken, refused, ok, errs, drops, extra, incs, closed, joins, leaves, sinks;
    uint64_t lost_reports, books, drained;
} totals_t;

GMK_FN uint64_t next(uint64_t *rng) { return *rng = mix(*rng + 0x9e3779b97f4a7c15ull); }

/* Relaxed on purpose: the oracle must not order what the kernel does not. */
GMK_FN void tally(gmk_a32_t *w) { gmk_add_rlx(w, 1, GMK_DEV); }
GMK_FN uint32_t now_of(const gmk_a32_t *w) { return gmk_load_rlx(w, GMK_DEV); }
/* Of who comes and goes: what a bound rests on. */
GMK_FN void mark(gmk_a32_t *w) { gmk_add_sc(w, 1, GMK_DEV); }
GMK_FN void unmark(gmk_a32_t *w) { gmk_sub_sc(w, 1, GMK_DEV); }
GMK_FN uint32_t marked(const gmk_a32_t *w) { return gmk_load_acq(w, GMK_DEV); }

#define broken(s, p) broken_at(s, p, __LINE__)
#define expect(s, ok, p) ((ok) ? (void)0 : broken_at(s, p, __LINE__))

GMK_FN void broken_at(storm_t *s, enum promise p, int line)
{
    static const char *const texts[] = {
#define X(name, text) text,
        PROMISES
#undef X
    };

    if (gmk_add_sc(&s->wrong, 1, GMK_DEV) == 0) {
        printf("channel storm: promise %d broken: %s (line %d); seed %llu\n", (int)p + 1, texts[p],
               line, (unsigned long long)s->seed);
        fflush(stdout);
    }
}

/* Contents. -------------------------------------------------------------------------- */

GMK_FN uint32_t payload_len(uint32_t key) { return 4 + key % 251; }

GMK_FN void payload_fill(unsigned char *p, uint32_t key)
{
    gmk_hal_memset(p, (int)(key & 0xff), payload_len(key));
    gmk_hal_memcpy(p, &key, 4);
}

GMK_FN bool payload_intact(const gmk_task_t *t)
{
    const unsigned char *p = (const unsigned char *)(uintptr_t)t->payload_ptr;
    uint32_t key;

    if ((t->flags & GMK_TF_PAYLOAD_RC) == 0 || p == NULL)
        return true;
    gmk_hal_memcpy(&key, p, 4);
    if (t->payload_len != payload_len(key) || (t->meta1 & 0xffffffffu) != key)
        return false;
    for (uint32_t i = 4; i < t->payload_len; i++)
        if (p[i] != (key & 0xff))
            return false;
    return true;
}

GMK_FN uint64_t seal(uint32_t m, uint32_t key)
{
    return (mix((uint64_t)m << 32 | key) & 0xffffffff00000000ull) | key;
}

/* The message of a task, checked; null if it is none. */
GMK_FN msg_t *message(storm_t *s, const gmk_task_t *t)
{
    if (t->meta0 >= MAX_MSGS || t->meta0 >= now_of(&s->n_msgs)) {
        broken(s, P_UNKNOWN);
        return NULL;
    }
    expect(s, t->meta1 == seal((uint32_t)t->meta0, (uint32_t)t->meta1) && payload_intact(t),
           P_CONTENT);
    return &s->msgs[t->meta0];
}

/* Lines. ----------------------------------------------------------------------------- */

/* One beginning, as its reader sees it. */
typedef struct seen {
    storm_t *s;
    inc_t *c;
    line_t *l;
    uint32_t joins; /* of the reader, so far asked for */
    bool may_skip;  /* messages of a poisoned handler pass unseen */
    bool tells_gap;
    uint64_t seq, gap;
} seen_t;

/* A position that does not follow: by a subscription since, or messages that were failed
 * unrun, or lost where nobody tells. */
GMK_FN void jumped(const seen_t *e)
{
    line_t *l = e->l;
    bool p2p = (e->c->mode & GMK_CHAN_P2P) != 0;

    if (!p2p && e->joins > l->joins && e->seq - e->gap > l->top)
        l->joins++;
    else if (!p2p && e->joins > l->joins && e->seq == l->again)
        l->again = 0;
    else if (!((e->may_skip || !e->tells_gap) && e->seq > l->last)) {
        broken(e->s, P_POSITION);
    }
}

GMK_FN void follow(const seen_t *e, msg_t *m, uint32_t number)
{
    line_t *l = e->l;
    bool lossy = (e->c->mode & (GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS)) == GMK_CHAN_FANOUT;
    bool first = l->top == 0 && (e->c->mode & GMK_CHAN_FANOUT) != 0;

    expect(e->s, e->gap == 0 || lossy, P_LOSSLESS_GAP);
    if (first || e->seq != l->last + 1 + e->gap)
        jumped(e);
    l->last = e->seq;
    if (e->seq <= l->top) {
        expect(e->s, e->seq <= l->replay_to || e->may_skip, P_AGAIN);
        tally(&m->extra);
        return;
    }
    l->top = e->seq;
    if (l->sent[m->producer] > number)
        broken(e->s, P_ORDER);
    l->sent[m->producer] = number + 1;
}

/* The end. --------------------------------------------------------------------------- */

/* How often a message must have come to an end, and may have. */
GMK_FN void bounds(const inc_t *c, const msg_t *m, uint32_t *least, uint32_t *most)
{
    uint32_t ins = m->waits ? now_of(&c->ins_begun) : m->ins_after;
    uint32_t outs = m->waits ? now_of(&c->outs_begun) : m->outs_after;

    *least = 1;
    *most = 1;
    if (c->mode & GMK_CHAN_P2P)
        return;
    *least = m->ins > outs ? m->ins - outs : 0;
    *most = ins > m->outs ? ins - m->outs : 0;
    if (m->waits && now_of(&c->closing) != 0) {
        *least = gmk_min32(*least, 1);
        *most = gmk_max32(*most, 1);
    }
    if (c->mode & GMK_CHAN_DETERMINISTIC) { /* who subscribes when its tick begins */
        *least = 0;
        *most = UINT32_MAX;
    }
}

/* Counts the ends of all messages; returns how many are missing. */
GMK_FN uint64_t count_ends(storm_t *s, totals_t *sum)
{
    uint32_t n = gmk_min32(now_of(&s->n_msgs), MAX_MSGS);
    uint64_t missing = 0;

    for (uint32_t i = 0; i < n; i++) {
        const msg_t *m = &s->msgs[i];
        const inc_t *c = &s->incs[m->inc];
        uint32_t ends = now_of(&m->ok) + now_of(&m->errs) + now_of(&m->drops);
        uint32_t extra = now_of(&m->extra);
        uint32_t least;
        uint32_t most;

        sum->ok += now_of(&m->ok);
        sum->errs += now_of(&m->errs);
        sum->drops += now_of(&m->drops);
        sum->extra += extra;
        if (m->state != M_TAKEN) {
            sum->refused += m->state == M_REFUSED;
            expect(s, ends + extra == 0, P_REFUSED_SEEN);
            continue;
        }
        sum->taken++;
        bounds(c, m, &least, &most);
        if (ends > extra && ends - extra > most && now_of(&c->replays) == 0)
            broken(s, P_TOO_MANY);
        if (ends < least + extra)
            missing += least + extra - ends;
    }
    sum->msgs += n;
    return missing;
}

#endif
