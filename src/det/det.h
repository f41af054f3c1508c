/* SPDX-License-Identifier: MIT
 * Deterministic work: ticks, the pool of what is due, canonical order, the trace hash.
 * Floor: F4, above sched, below chan.
 * Invariants:
 *   an entry is in one place: an agent's list, the external list, soon, later, held, a
 *   module's list, or in the hands of one agent; each counts as one accepted delivery;
 *   every entry is due after d->tick, so what a tick begins with was fixed before it;
 *   ready is GMKI_NEVER while a tick is open, else the earliest tick that is due;
 *   outstanding counts the deliveries of the open tick that are not settled.
 * Threads: an agent's list is its own; a module's list is of the holder of its token
 *   while it is given, else of the drain;
 *   the external list is under the lock; soon, later and held belong to whoever opens
 *   or ends a tick, which the lock makes one at a time.
 * Order: det.ready, det.outstanding and det.given of docs/ATOMICS.md.
 * Source: SPEC DET-1 to DET-9, V-68, CH-54; ARCHITECTURE R15. */
#ifndef GMKI_DET_H
#define GMKI_DET_H

#include "ggmk/chan.h"
#include "ggmk/prim/canon.h"
#include "sched/sched.h"

/* The books. Before its tick begins an entry is one accepted delivery, whatever number
 * of subscribers it will find: gmki_det_emit accepts it. The drain that splits it among
 * n subscribers accepts n - 1 more, takes one back and counts chan.unheard if n is 0, or
 * has it lost by sched->lose (dead). A yield or a retry changes nothing. So
 *   accepted = completed + failed + dead + queued
 * with gmki_det_count() in `queued` holds at each instant that no call is under way,
 * however often the number of subscribers changes before the drain. */

/* One arena block: an emission before its tick, a delivery from then on. */
typedef struct gmki_det_entry {
    gmk_cell_t cell;              /* run in place; the turn word is not used */
    gmk_canon_node_t node;        /* link of the list that holds it, and sort key */
    struct gmki_det_entry *kid;   /* in later: the first below it */
    struct gmki_det_entry *spare; /* blocks for further deliveries, by node.next */
    uint64_t due;                 /* tick */
    uint64_t position; /* arrival number, or the emitter's canonical position; then its own */
    uint32_t emission; /* number among the emitter's emissions; then the next of its own */
    uint16_t module;   /* of a delivery */
    uint8_t internal;  /* made by a deterministic task */
    uint8_t fate;      /* enum gmki_det_fate */
} gmki_det_entry_t;

GMK_STATIC_ASSERT(sizeof(gmki_det_entry_t) == 128, "an entry fills a block of the arena");

enum gmki_det_fate {
    GMKI_DET_OPEN,    /* the drain will ask for its targets */
    GMKI_DET_BOUND,   /* a delivery, first run or retried */
    GMKI_DET_SPLIT,   /* the drain under way has them */
    GMKI_DET_UNHEARD, /* has none */
    GMKI_DET_CLOSED,  /* is lost */
    GMKI_DET_HELD     /* waits for a subscriber */
};

typedef struct gmki_det_list {
    gmk_canon_node_t *first, *last;
    uint64_t count;
} gmki_det_list_t;

/* An agent's part. */
typedef struct gmki_det_agent {
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmki_det_entry_t *current; /* what it runs, or null */
    gmki_det_list_t made; /* emitted by deterministic tasks in the open tick */
} gmki_det_agent_t;

/* A module's part: what it has to do in the open tick, in canonical order, then yields. */
typedef struct gmki_det_module {
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmki_det_list_t work;
    gmk_a32_t given; /* work is not empty, and the holder's; else the next drain's */
    gmk_a64_t hash;  /* chain over its events: one writer, who holds the token */
} gmki_det_module_t;

/* Who gets a delivery. */
typedef struct gmki_det_target {
    uint16_t sub; /* of the cell; 0: direct */
    uint16_t module;
} gmki_det_target_t;

#define GMKI_DET_MAX_TARGETS GMK_MAX_CHAN_SUBS
/* What targets returns beside a number. */
#define GMKI_DET_HOLD (-1) /* keep it until gmki_det_unhold */
#define GMKI_DET_LOSE (-2) /* its channel is closed */

/* What the floors above register. */
typedef struct gmki_det_ops {
    /* Fills to[0..n) with the deliveries of c in a fixed order (subscription index) and
     * returns n <= GMKI_DET_MAX_TARGETS, or GMKI_DET_HOLD or GMKI_DET_LOSE. Changes
     * nothing; may be asked again for the same c. threads: the drainer. */
    int (*targets)(void *arg, const gmk_cell_t *c, gmki_det_target_t *to);
    /* An emission on a channel becomes deliveries, or none; in canonical emission order.
     * task.seq is that of the first. May set c->chan_seq. May be null. */
    void (*begun)(void *arg, gmk_cell_t *c);
    /* External input is taken on, in arrival order, and will land at tick; tick begins.
     * Called under the lock: a recorder. Both may be null. */
    void (*input)(void *arg, const gmk_cell_t *c, uint64_t tick);
    void (*begin)(void *arg, uint64_t tick);
    void *arg;
} gmki_det_ops_t;

typedef struct gmki_det {
    gmki_det_ops_t ops;
    uint32_t n_agents;
    uint32_t n_modules;
    gmki_det_agent_t *agents; /* by number */
    gmki_det_module_t *modules;
    uint64_t tick; /* the open tick, or the last one; written under the lock */
    /* Of whoever opens or ends a tick. */
    gmki_det_list_t soon;    /* due at tick + 1 */
    gmki_det_entry_t *later; /* heap by due */
    uint64_t n_later;
    gmki_det_list_t held;
    uint64_t held_chans[GMK_MAX_CHANNELS / 64 + 1]; /* by index: some of it may be held */
    uint64_t position; /* deliveries ever numbered: the next canonical position */
    uint64_t seq;      /* the next seq */
    uint64_t late;     /* the last tick that was put off */
    /* Under the lock. */
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_hal_lock_t lock;
    gmki_det_list_t ext; /* external input, in arrival order */
    uint64_t ext_due;    /* the earliest of it */
    uint64_t unhold_due; /* held entries are asked for again at this tick */
    uint64_t arrivals;   /* the next arrival number */
    bool open;
    gmk_a64_t ready; /* read by anybody */
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a64_t outstanding;
} gmki_det_t;

/* pool.c ------------------------------------------------------------------------ */

/* Makes d empty, before tick 1. n_modules <= 64. returns: GMK_OK, GMK_ALLOC_FAIL. */
GMK_NODISCARD int gmki_det_init(gmki_det_t *d, const gmki_det_ops_t *ops, uint32_t n_agents,
                                uint32_t n_modules);
/* Harmless on a zeroed d. Entries go with the arena. */
void gmki_det_fini(gmki_det_t *d);

/* No tick is open, and nothing waits for one. pre: the lock. threads: any. */
bool gmki_det_empty(const gmki_det_t *d);

/* Begins the trace hash anew. pre: as gmki_det_empty, which is true. */
void gmki_det_rehash(gmki_det_t *d);

/* Sets where a replay begins: the last tick over, the next seq, a new trace hash.
 * returns: false, nothing done, if d is not empty. threads: any. */
GMK_NODISCARD bool gmki_det_restart(gmki_det_t *d, uint64_t tick, uint64_t seq);

/* Takes a copy of c, with its payload reference, to land at tick `due`, at the earliest
 * the one after d->tick (0: that one). While a runs a deterministic task it is that
 * task's next emission, otherwise external input, for which the caller names the next
 * tick boundary and then wakes whoever drains if gmki_det_due. c has channel, flags and,
 * if direct, sub as they will be delivered; n: subscribers now, 1 if direct: memory for
 * so many deliveries is taken with it, so that the drain wants none.
 * returns: GMK_OK, the delivery accepted; GMK_ALLOC_FAIL, nothing done.
 * threads: a's own; the shared agent: any (its cache is used here alone). */
GMK_NODISCARD int gmki_det_emit(gmki_det_t *d, gmki_agent_t *a, const gmk_cell_t *c, uint64_t due,
                                uint32_t n);

/* Messages that waited for a subscriber are looked at again at tick due, or the next.
 * threads: any, after a subscription was made; then as after external input. */
void gmki_det_unhold(gmki_det_t *d, uint64_t due);

/* The next delivery of a module, in a's hands from now on; null: none, for now or for
 * this tick. pre: a holds the module's token and nothing of d. */
gmki_det_entry_t *gmki_det_take(gmki_det_t *d, gmki_agent_t *a, uint32_t module);

/* Three ways out of a's hands. A yield goes behind the module's other work of the tick.
 * A retry lands at tick due, at the earliest the next; its cell is as the caller left
 * it. A settled one is freed (the caller has counted its end and dropped its payload).
 * The last two return true if the tick has ended by it: look at gmki_det_due again and
 * wake who waits for ticks. */
void gmki_det_yield(gmki_det_t *d, gmki_agent_t *a);
GMK_NODISCARD bool gmki_det_retry(gmki_det_t *d, gmki_agent_t *a, uint64_t due);
GMK_NODISCARD bool gmki_det_settled(gmki_det_t *d, gmki_agent_t *a);

/* The tick that must end before later ones may begin: the open one, else the earliest
 * due; GMKI_NEVER if there is neither. threads: any. blocks: for a lock. */
uint64_t gmki_det_unfinished(gmki_det_t *d);

/* Deliveries held, for the audit. pre: nobody runs; one in an agent's hands counts. */
uint64_t gmki_det_count(gmki_det_t *d);

/* Those that wait for a tick which has not begun. pre: as gmki_det_count. */
uint64_t gmki_det_waiting(gmki_det_t *d);

/* Messages of a channel that wait for a subscriber. pre: as gmki_det_count. */
uint64_t gmki_det_held(const gmki_det_t *d, uint32_t chan);

/* Takes any delivery out, for halt. returns: false when nothing is left; then no tick is
 * open. pre: nobody runs or emits, nothing is in an agent's hands. */
bool gmki_det_any(gmki_det_t *d, gmki_agent_t *a, gmk_cell_t *out);

/* drain.c ----------------------------------------------------------------------- */

/* Opens the earliest tick that is due at tick `now` or before: orders its emissions,
 * splits them among subscribers, numbers them, and fills the modules' lists. *modules
 * gets a bit for each module that has work: the caller then activates those.
 * returns: deliveries begun; 0: nothing was due, another opened it, or nothing came of
 * what was due (then that tick is over: look at gmki_det_due again); GMK_ALLOC_FAIL: no
 * memory to split an emission among more subscribers than it was made for; all stays
 * due, and the tick comes late but not different; TICKS_LATE counts it once.
 * threads: any agent but the shared one; one at a time gets it. cost: a sort, twice. */
GMK_NODISCARD int64_t gmki_det_drain(gmki_det_t *d, gmki_agent_t *a, uint64_t now,
                                     uint64_t *modules);

/* later.c: private to src/det. ---------------------------------------------------- */
void gmki_det_later_put(gmki_det_t *d, gmki_det_entry_t *e);
gmki_det_entry_t *gmki_det_later_take(gmki_det_t *d); /* pre: not empty */

/* hash.c ------------------------------------------------------------------------ */

/* Adds an event about e to its module's chain. Not filtered by level or sampling.
 * Arguments must say nothing of time, workers or addresses. threads: the holder. */
void gmki_det_event(gmki_det_t *d, const gmki_det_entry_t *e, uint32_t ev_type, uint32_t arg0,
                    uint32_t arg1);

/* The chain over the modules' chains. Exact while no tick is open. threads: any. */
uint64_t gmki_det_hash(const gmki_det_t *d);

/* The earliest tick that may begin, for the timekeeper; GMKI_NEVER: none, or one is open. */
GMK_FN uint64_t gmki_det_next(const gmki_det_t *d)
{
    return gmk_load_acq(&d->ready, GMK_DEV); /* sync: det.ready */
}

/* A tick may begin: for a look at all queues. cost: a load. */
GMK_FN bool gmki_det_due(const gmki_det_t *d, uint64_t now) { return gmki_det_next(d) <= now; }

/* The module has something to do in the open tick, or about to. threads: its token's holder. */
GMK_FN bool gmki_det_has(const gmki_det_t *d, uint32_t module)
{
    return gmk_load_acq(&d->modules[module].given, GMK_DEV) != 0; /* sync: det.given */
}

/* The deterministic task that a runs, null if none. */
GMK_FN gmki_det_entry_t *gmki_det_current(const gmki_det_t *d, const gmki_agent_t *a)
{
    return d->agents[a->obs.agent].current;
}

/* Private to src/det. */
GMK_FN gmki_det_entry_t *gmki_det_of(gmk_canon_node_t *n)
{
    return (gmki_det_entry_t *)((char *)n - offsetof(gmki_det_entry_t, node));
}

GMK_FN void gmki_det_append(gmki_det_list_t *l, gmki_det_entry_t *e)
{
    e->node.next = NULL;
    if (l->first == NULL)
        l->first = &e->node;
    else
        l->last->next = &e->node;
    l->last = &e->node;
    l->count++;
}

GMK_FN gmki_det_entry_t *gmki_det_pop(gmki_det_list_t *l)
{
    gmk_canon_node_t *n = l->first;

    if (n == NULL)
        return NULL;
    l->first = n->next;
    l->count--;
    return gmki_det_of(n);
}

/* Where an entry of a later tick waits. pre: as soon and later. */
GMK_FN void gmki_det_keep(gmki_det_t *d, gmki_det_entry_t *e)
{
    if (e->due == d->tick + 1)
        gmki_det_append(&d->soon, e);
    else
        gmki_det_later_put(d, e);
}

void gmki_det_free(gmki_agent_t *a, gmki_det_entry_t *e); /* with its spares */
gmki_det_entry_t *gmki_det_make(gmki_agent_t *a, const gmk_cell_t *c, uint32_t n);
/* Closes the open tick. pre: nothing of it is outstanding. */
void gmki_det_end(gmki_det_t *d);

#endif
