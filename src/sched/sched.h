/* SPDX-License-Identifier: MIT
 * The scheduler's private parts: agents, queues, event queue, idle word.
 * Floor: F4.
 * Invariants:
 *   a task is in one queue, or in the hands of one agent;
 *   stack, fifo and spill of a worker are touched by its owner alone;
 *   bit w of the idle word is set while worker w is parked or about to be; the count
 *   above it is of the workers that search, those just woken included.
 * Source: SPEC F.1, G; ARCHITECTURE R3, R9, R10, R19. */
#ifndef GMKI_SCHED_H
#define GMKI_SCHED_H

#include "ggmk/base/assert.h"
#include "ggmk/boot.h"
#include "ggmk/prim/cells.h"
#include "ggmk/prim/heap.h"
#include "ggmk/prim/lq.h"
#include "ggmk/sched.h"
#include "mem/mem.h"
#include "obs/obs.h"

#define GMKI_NO_HANDLER UINT16_MAX
#define GMKI_TYPES 256u
#define GMKI_NEVER UINT64_MAX

/* A shared queue of cells. */
typedef struct gmki_queue {
    gmk_mpmc_t ring;
    gmk_cell_t *cells;
    uint32_t cap;
    gmk_a32_t seen_head; /* of an inbox: its head as a producer has last read it */
} gmki_queue_t;

/* Arena-backed overflow: a list of blocks of cells, first in, first out. */
typedef struct gmki_spill_block {
    struct gmki_spill_block *next;
    uint32_t head, tail;
    gmk_cell_t cells[]; /* 64-aligned: the block begins a line before */
} gmki_spill_block_t;

typedef struct gmki_spill {
    gmki_spill_block_t *first, *last;
    uint32_t count;
} gmki_spill_t;

/* The queues of one worker. */
typedef struct gmki_wq {
    /* The owner's own. */
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_lq_t stack; /* spawned tasks, run newest first */
    gmk_lq_t fifo;        /* yields, activations, gathered and stolen tasks */
    uint32_t spawn_to;    /* stack.newest at which a spawn looks closer: gmki_spawn_bound */
    uint32_t spawn_most;  /* it is no further from it than this when a handler begins */
    uint32_t limit;       /* of stack + fifo, for ordinary tasks: the yield watermark */
    uint32_t cap;         /* of stack + fifo */
    uint32_t older_in;    /* takes until the next look at older queues */
    bool gave_way;        /* something yielded: that look may come sooner */
    uint32_t nearer;      /* takes by which it has come nearer */
    uint32_t since_whole; /* takes since one that looked everywhere */
    uint32_t oldest_in;   /* looks until one at the oldest spawned task */
    uint32_t oldest_every;
    uint32_t rq_turn;    /* position in the weighted round over priorities */
    uint32_t batch;      /* tasks a batch, adapted to their length */
    uint32_t offer_from; /* private tasks from which on a spawn offers some: 1, or 0 if long */
    uint32_t emptied;    /* tasks of the last look at a ready queue, if it left none */
    uint32_t left;       /* tasks that it has left there, until they are shared */
    uint32_t rest;       /* pauses after such a look */
    uint32_t last_n;     /* tasks of the last batch; 0 after a pause */
    uint64_t clock_ns;   /* the machine's clock when it was read last, */
    uint64_t clock_at;   /* and the cycle counter just after */
    uint64_t rng;
    gmki_spill_t spill;
    /* Everybody's. */
    gmki_queue_t shared; /* stealable part: the owner puts, anybody takes */
    gmki_queue_t inbox;  /* anybody puts, the owner takes */
    gmk_hal_park_t park;
    /* The owner sleeps or is about to. Who has put something into its inbox asks here: the
     * line is his alone while the owner is awake, not all senders' as the idle word's. */
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t dozes;
    /* Written by the owner, read by anybody. */
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a64_t heartbeat;
    gmk_a32_t current; /* index + 1 of the handler that runs or ran last; 0: idle */
    gmk_a32_t exited;
    gmk_a32_t frozen;
    gmk_a32_t rq_high[GMK_N_PRIO]; /* depths seen before taking: high-water marks */
    gmk_a32_t overflow_high;
    gmk_a32_t local_high; /* at batch edges */
} gmki_wq_t;

typedef struct gmki_evq {
    gmk_hal_lock_t lock;
    gmk_heap_t wall, tick;
    gmk_heap_node_t *wall_nodes, *tick_nodes;
    gmk_cell_t *cells; /* of both heaps */
    uint32_t *free;    /* stack of unused cells */
    uint32_t n_free;
    uint32_t n_kept;     /* free ones that belong to events being fired: they may come back */
    uint32_t least_free; /* low-water mark of the others */
    uint32_t cap;
    uint64_t inserted;
    gmk_a64_t next_wall; /* earliest due time, GMKI_NEVER if none */
    gmk_a64_t next_tick;
} gmki_evq_t;

struct gmk_sched {
    uint32_t n_workers;
    uint32_t n_tenants;
    uint32_t max_batch;
    bool manual_ticks;
    uint64_t spin_ns;
    uint64_t ns_per_cycle; /* in 1/2^32 */
    uint64_t clock_cycles; /* so long a worker reckons its time by the cycle counter */
    uint64_t park_timeout_ns;
    uint64_t boot_ns;
    gmk_alloc_t *mem;
    gmki_wq_t *wq;
    uint16_t type_handler[GMKI_TYPES]; /* direct submits: handler index */
    /* Up-calls, registered by the floors above. */
    void (*return_message)(gmki_agent_t *a, const gmk_cell_t *c);        /* a due mailbox message */
    void (*lose)(gmki_agent_t *a, const gmk_cell_t *c, uint32_t reason); /* dead-letters */
    bool (*is_serial)(const gmk_sched_t *s, uint16_t sub);
    bool (*hosts_inside)(const gmk_sched_t *s, const gmki_agent_t *me); /* attached threads */
    void (*begin_ticks)(gmki_agent_t *a); /* deterministic ones that are due */
    const gmk_a64_t *det_ready;           /* the earliest that may begin; GMKI_NEVER: none */
    gmk_a64_t no_tick;                    /* what it points to without such work */
    gmk_a64_t det_again;                  /* and not before, in time: the last found no memory */
    void (*tell_ticks)(gmki_agent_t *a);  /* a tick has passed that somebody listens to */
    void *owner;

    gmki_queue_t rq[GMK_N_PRIO];
    gmki_queue_t overflow;
    gmki_queue_t acts; /* activations that found no other room: one a group at most */
    gmki_evq_t evq;
    /* Parked mask, searching count << 32, count of the parked still checking << 48. */
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a64_t idle;
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t seq_blocks;
    gmk_a64_t tick_base;  /* manual ticks, or ticks added to the clock's */
    gmk_a64_t ticks_told; /* the last tick that sys.tick has, while it is watched */
    gmk_a32_t ticks_watched;
    gmk_a64_t tick_at;                       /* when the last one was added; 0: none yet */
    gmk_a64_t tick_last_ns, tick_longest_ns; /* between two of them */
    gmk_a32_t timekeeper; /* worker + 1 that sleeps until the next event; 0: none */
    gmk_a32_t closed;     /* no more work from outside */
    gmk_a32_t control;    /* GMKI_STOP, GMKI_FREEZE: seen by workers between batches */
    gmk_a32_t waiting;    /* somebody waits for all workers to be parked */
    gmk_hal_park_t quiet;
};

#define GMKI_SEARCH_ONE (1ull << 32)
#define GMKI_STOP 1u   /* leave */
#define GMKI_FREEZE 2u /* stand still until it is cleared */
#define GMKI_CHECK_ONE (1ull << 48)

/* How many workers search, by a value of the idle word. */
GMK_FN uint32_t gmki_searching(uint64_t idle) { return (uint32_t)(idle >> 32) & 0xffff; }

/* What the handlers of a turn under way have sent to one P2P channel: accepted, and put on its
 * ring together. Empty between turns. */
#define GMKI_STAGE 16u
typedef struct gmki_stage {
    void *chan;
    uint32_t id; /* its identifier */
    uint32_t n;
    bool open;        /* a turn is under way in which something may be held back */
    uint32_t lot;     /* of what is held back, as many at most: for so many was room */
    uint32_t earlier; /* of n, what earlier calls than the running one have sent */
    gmk_cell_t cells[GMKI_STAGE];
} gmki_stage_t;

/* The cycle counter's speed is measured, and the machine's clock may be slewed: both are less
 * than one part in so many off. */
#define GMKI_CLOCK_DOUBT 1024u

/* Who acts: a worker, an attached thread, or (shared) any thread from outside. */
struct gmki_agent {
    gmk_ctx_t ctx;
    gmk_sched_t *sched;
    gmki_wq_t *wq; /* null: not a worker */
    uint32_t seq_next, seq_end;
    uint32_t time_in; /* a worker's handler calls until one is timed, that one included */
    uint32_t edge_in; /* time_in at the last batch edge */
    /* What the running handler asked for; set by the worker floor. */
    bool yielded;      /* set by a yield, cleared when it is honoured */
    bool timed;        /* a call of this batch was timed */
    uint32_t priority; /* of the current task; GMK_N_PRIO: none, so spawns are shared */
    /* The latest head that a spawn was checked by, with this priority, and the counter of its
     * tenant's accepted tasks; null: none. */
    uint64_t spawn_head;
    gmk_a64_t *spawn_row;
    void *group;           /* serial group being drained, null for direct and parallel work */
    bool in_task;          /* ctx.task stands in a cell */
    uint64_t chan_gap;     /* messages lost before the current one */
    uint64_t det_due;      /* a deterministic task asked for a retry in this tick */
    uint32_t error_reason; /* of the current one, in a channel's error handler */
    gmki_obs_t obs;
    gmki_cache_t cache;
    gmk_a64_t *handler_rows; /* by handler index, GMKI_HROW_WORDS each */
    uint64_t time_rng;
    uint32_t crashed; /* what fault ended the call that has just ended; 0: none */
    /* A call of the core acts for the handler: its faults are not the handler's. Read by the
     * fault guard of the same thread, hence volatile. */
    volatile uint32_t in_core;
    bool guarded; /* the kernel has a fault guard */
    gmki_stage_t stage;
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t busy; /* an attached thread is inside a call */
    gmk_a32_t attached;
};

enum { GMKI_HROW_COMPLETED, GMKI_HROW_FAILED, GMKI_HROW_YIELDS, GMKI_HROW_RETRIES };
#define GMKI_HROW_WORDS 4u

/* sched.c */
int gmki_queue_init(gmki_queue_t *q, uint32_t cap);
void gmki_queue_fini(gmki_queue_t *q);
int gmki_lq_init(gmk_lq_t *q, uint32_t cap);
void gmki_lq_fini(gmk_lq_t *q); /* harmless on a zeroed one */
int gmki_sched_init(gmk_sched_t *s, const gmk_boot_cfg_t *cfg, gmk_alloc_t *mem);
void gmki_sched_fini(gmk_sched_t *s);
/* A worker's time at a batch's edge: never ahead of the machine's clock, since a timer must
 * not fire early, and never back. */
uint64_t gmki_clock(gmki_agent_t *a);
uint64_t gmki_tick(const gmk_sched_t *s, uint64_t now_ns);
/* A 32-bit tick of the API as the nearest 64-bit one. */
uint64_t gmki_tick_widen(uint64_t now, uint32_t tick); /* seen from tick `now` */
/* Who could be inside a call now: a snapshot of the workers' heartbeats, and whether all
 * that were have come out since (but for me). */
void gmki_beats_now(const gmk_sched_t *s, uint64_t *then);
bool gmki_beats_passed(const gmki_agent_t *me, const uint64_t *then);
/* A tick has passed that sys.tick does not have. */
bool gmki_tick_owed(const gmk_sched_t *s, uint64_t now_ns);
/* Brackets calls: those of a worker's handler for the fault guard, as below; those of an
 * attached thread so that halt can wait for them, too. */
bool gmki_enter(gmki_agent_t *a);
void gmki_leave(gmki_agent_t *a);

/* Brackets what a call from a handler must not be torn out of: what would be left half done
 * would not be its task alone. Not nested. */
GMK_FN void gmki_core_begin(gmki_agent_t *a)
{
    a->in_core = 1;
    GMK_KEEP_ORDER();
}

GMK_FN void gmki_core_end(gmki_agent_t *a)
{
    GMK_KEEP_ORDER();
    a->in_core = 0;
}

/* Reads a task at both ends before the core begins with it: a bad pointer is a fault of the
 * caller's. */
GMK_FN void gmki_touch(const gmk_task_t *t)
{
    if (t == NULL)
        return;
    (void)*(const volatile uint32_t *)&t->type;
    (void)*(const volatile uint64_t *)&t->meta1;
}

/* enqueue.c, with the inline part below: the one place that stamps, places, wakes. */
int gmki_spawn_shared(gmki_agent_t *a, const gmk_task_t *t);
/* Counts a refusal (rc != GMK_OK) and passes rc on. */
int gmki_answer(gmki_agent_t *a, const gmk_task_t *t, int rc);
/* seq: the first number, where a is the shared agent; others have their own. */
int gmki_send_worker(gmki_agent_t *a, const gmk_task_t *t, uint32_t worker, uint32_t seq);
int gmki_set_timer(gmki_agent_t *a, const gmk_task_t *t, uint64_t due, bool is_tick, uint32_t seq);
uint32_t gmki_submit(gmki_agent_t *a, const gmk_task_t *t, uint32_t n, uint32_t seq, int *why);
void gmki_unaccept(gmki_agent_t *a, uint32_t tenant, uint32_t n);
/* Queues an accepted cell again or for the first time; never refuses for want of queue
 * room, false for want of memory. */
bool gmki_place(gmki_agent_t *a, const gmk_cell_t *c);
bool gmki_place_yield(gmki_agent_t *a, const gmk_cell_t *c);
void gmki_place_activation(gmki_agent_t *a, const gmk_cell_t *c, uint32_t worker);
bool gmki_place_event(gmki_agent_t *a, const gmk_cell_t *c, uint64_t due, bool is_tick);

/* evq.c */
int gmki_evq_init(gmki_evq_t *q, uint32_t cap);
void gmki_evq_fini(gmki_evq_t *q);
bool gmki_evq_insert(gmki_evq_t *q, const gmk_cell_t *c, uint64_t due, bool is_tick,
                     bool *earliest);
uint32_t gmki_evq_count(gmki_evq_t *q);
uint32_t gmki_evq_high(gmki_evq_t *q);
/* As gmki_evq_take_due, but the places stay those of the events taken until gmki_evq_end, which
 * puts n of those taken back, due by the clock at `due`. */
uint32_t gmki_evq_begin(gmki_evq_t *q, uint64_t now_ns, uint64_t tick, gmk_cell_t *out, uint32_t n);
void gmki_evq_end(gmki_evq_t *q, uint32_t taken, const gmk_cell_t *back, uint32_t n, uint64_t due);
uint32_t gmki_evq_take_due(gmki_evq_t *q, uint64_t now_ns, uint64_t tick, gmk_cell_t *out,
                           uint32_t n);
bool gmki_evq_any(gmki_evq_t *q, gmk_cell_t *out);
bool gmki_evq_due(const gmk_sched_t *s, uint64_t now_ns);
bool gmki_ticks_due(const gmk_sched_t *s, uint64_t now_ns); /* deterministic ones may begin */
uint64_t gmki_evq_next_ns(const gmk_sched_t *s);

/* local.c: the owner's side of a worker's queues, and thieves. */
bool gmki_spill_put(gmki_agent_t *a, const gmk_cell_t *c);
bool gmki_spill_take(gmki_agent_t *a, gmk_cell_t *out);
void gmki_unspill(gmki_agent_t *a);
/* Puts one part-th of the private tasks, the oldest, where thieves may take them, unless
 * there is enough already. */
void gmki_share(gmki_agent_t *a, uint32_t part);
uint32_t gmki_gather(gmki_agent_t *a, uint32_t want);
bool gmki_overflow_pop(gmk_sched_t *s, gmki_wq_t *q, gmk_cell_t *out);
bool gmki_rq_pop(gmk_sched_t *s, gmki_wq_t *q, gmk_cell_t *out);
uint32_t gmki_steal(gmki_agent_t *a);
uint32_t gmki_fire(gmki_agent_t *a, uint64_t now_ns);

/* idle.c: wake, search, park. */
void gmki_wake_one(gmk_sched_t *s);
void gmki_wake_worker(gmk_sched_t *s, uint32_t worker);
void gmki_wake_owner(gmk_sched_t *s, uint32_t worker); /* of an inbox that has something new */
void gmki_wake_all(gmk_sched_t *s);
/* An event is due earlier than thought: somebody must sleep less. (enqueue.c) */
void gmki_wake_keeper(gmk_sched_t *s);
bool gmki_work_visible(const gmk_sched_t *s, const gmki_wq_t *own);
bool gmki_search_begin(gmk_sched_t *s); /* true: may spin */
void gmki_search_end(gmki_agent_t *a);
void gmki_park(gmki_agent_t *a);
bool gmki_all_parked(const gmk_sched_t *s);
/* Makes every worker stand still; false: one did not within timeout_ns. One caller at a
 * time. Thaw must follow either way. */
bool gmki_freeze(gmk_sched_t *s, uint64_t timeout_ns);
void gmki_thaw(gmk_sched_t *s);
void gmki_freeze_point(gmki_agent_t *a);

/* Calls until the next timed one: 1 to 2 * GMK_TIME_SAMPLE - 1, each as likely. */
GMK_FN uint32_t gmki_time_gap(uint64_t *rng)
{
    return 1 + (uint32_t)(gmk_rand_next(rng) >> 33) % (2 * GMK_TIME_SAMPLE - 1);
}

/* A task that has not run yet and drains no mailbox: newest first is its order. */
GMK_FN bool gmki_is_spawned(const gmk_cell_t *c)
{
    return (c->task.flags & GMK_TF_ACTIVATION) == 0 && c->task.yield_count == 0 && c->retries == 0;
}

/* A number of cycles below a second in nanoseconds. */
GMK_FN uint64_t gmki_cycles_ns(const gmk_sched_t *s, uint64_t cycles)
{
    return gmk_mul_shift32(cycles, s->ns_per_cycle);
}

/* Raises one of a worker's own high-water marks. */
GMK_FN void gmki_raise(gmk_a32_t *high, uint32_t v)
{
    if (GMK_UNLIKELY(v > gmk_load_rlx(high, GMK_DEV))) /* relaxed: the worker's own */
        gmk_store_rlx(high, v, GMK_DEV);               /* relaxed: a statistic */
}

GMK_FN uint32_t gmki_local_count(const gmki_wq_t *q)
{
    return gmk_lq_count(&q->stack) + gmk_lq_count(&q->fifo);
}

/* Counts the end of a delivery. The release pairs with the acquire of a reader that
 * compares settled with accepted deliveries. */
GMK_FN void gmki_count_settled(gmki_obs_t *o, uint32_t tenant, uint32_t metric)
{
    gmk_a64_t *c = &o->rows[tenant * GMKI_ROW_WORDS + metric];

    if (GMK_UNLIKELY(o->shared))
        gmk_add_ar(c, 1, GMK_DEV); /* sync: obs.settled */
    else                           /* relaxed: the row has one writer */
        gmk_store_rel(c, gmk_load_rlx(c, GMK_DEV) + 1, GMK_DEV); /* sync: obs.settled */
}

/* What gmk_emit does for every task, small enough to be inlined there. ------------ */

GMK_FN int gmki_check_task(const gmk_sched_t *s, const gmk_task_t *t)
{
    if (GMK_UNLIKELY(t == NULL))
        return GMK_E_INVALID;
    if (GMK_UNLIKELY(t->type >= GMKI_TYPES || s->type_handler[t->type] == GMKI_NO_HANDLER))
        return GMK_E_NO_HANDLER;
    if (GMK_UNLIKELY(t->tenant >= s->n_tenants))
        return GMK_E_TENANT;
    return GMK_OK;
}

GMK_FN uint32_t gmki_seq(gmki_agent_t *a)
{
    if (GMK_UNLIKELY(a->seq_next == a->seq_end)) {
        /* relaxed: only the number matters */
        a->seq_next = gmk_add_rlx(&a->sched->seq_blocks, 1, GMK_DEV) * GMK_SEQ_BLOCK;
        a->seq_end = a->seq_next + GMK_SEQ_BLOCK;
    }
    return a->seq_next++;
}

/* Counts n deliveries taken on. Halt has shut out whoever could still come from outside. */
GMK_FN void gmki_accept(gmki_agent_t *a, uint32_t tenant, uint32_t n)
{
    gmki_count(&a->obs, tenant, GMK_METRIC_TASKS_ACCEPTED, n);
}

/* Fills a cell from a user's task: runtime fields set, runtime flags cleared. */
GMK_FN void gmki_stamp_seq(gmk_cell_t *c, const gmk_task_t *t, uint32_t seq)
{
    gmk_cell_write(c, t, t->flags & ~(GMK_TF_RUNTIME_MASK | GMK_TF_CHANNEL_MSG), seq);
}

/* The same with the agent's next number. pre: not the shared agent. */
GMK_FN void gmki_stamp(gmki_agent_t *a, gmk_cell_t *c, const gmk_task_t *t)
{
    gmki_stamp_seq(c, t, gmki_seq(a));
}

/* A task that a worker's handler made, valid. Where it is read here, nothing is done yet: a
 * fault in reading it needs no bracket. */
int gmki_spawn(gmki_agent_t *a, const gmk_task_t *t);
/* Until the worker runs on, so many spawns need no look at limit, room and the idle. */
void gmki_spawn_bound(gmki_agent_t *a);
/* Puts a spawned task back as the oldest. returns: false: it is none, or there is no room. */
bool gmki_put_oldest(gmki_wq_t *q, const gmk_cell_t *c);

/* What gmk_emit does for most tasks: its head is that of the last one checked, and a cell is
 * free. returns: false, and nothing is done, where gmki_spawn must look closer. */
GMK_FN bool gmki_spawn_again(gmki_agent_t *a, const gmk_task_t *t)
{
    gmk_a64_t *row = a->spawn_row;
    uint64_t head = gmk_task_word(t, 0);
    gmki_wq_t *q = a->wq;
    uint32_t newest;

    if (GMK_UNLIKELY(row == NULL || head != a->spawn_head))
        return false;
    newest = q->stack.newest;
    if (GMK_UNLIKELY((int32_t)(newest - q->spawn_to) >= 0))
        return false;
    GMK_ASSERT(gmk_lq_room(&q->stack) != 0, "spawn_to is within the stack");
    gmk_cell_write_as(gmk_lq_at(&q->stack, newest), t, head, gmki_seq(a));
    q->stack.newest = newest + 1;
    gmk_count_add(row, 1);
    return true;
}

/* A task has been taken from the stack: the place that it leaves is not one more for its handler
 * to fill unseen. */
GMK_FN void gmki_spawn_nearer(gmki_wq_t *q)
{
    uint32_t to = q->stack.newest + q->spawn_most;

    if ((int32_t)(q->spawn_to - to) > 0)
        q->spawn_to = to;
}

/* The current task's priority: what a spawn is compared with. */
GMK_FN void gmki_set_priority(gmki_agent_t *a, uint32_t priority)
{
    if (GMK_UNLIKELY(priority != a->priority)) {
        a->priority = priority;
        a->spawn_row = NULL;
    }
}

#endif
