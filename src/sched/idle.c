/* SPDX-License-Identifier: MIT
 * Idle workers: searching, parking, waking.
 * Floor: F4.
 * One word holds the mask of parked workers and, above it, how many search and how many
 * of the parked still look once more before they sleep: the kernel is at rest only when
 * the word is the full mask and nothing else. Every step is a sequentially consistent
 * read-modify-write of it, so the steps have one order.
 * A producer publishes, then reads the word by such a step:
 *   a worker that parks later in that order re-checks after its step and sees the work;
 *   a worker parked earlier is seen, and woken unless somebody searches;
 *   a searcher's own later step (found work, or parks) is followed by a look at all
 *   queues, so it takes over the duty to wake.
 * Hence nobody sleeps through published work. One wake a parked worker, none while
 * another searches; the last searcher to find work wakes the next. A sleeper that has only
 * slept for long looks, and stays in the mask: it has no step.
 * Source: ARCHITECTURE R9; the searching rule is that of Go's scheduler. */
#include "sched/sched.h"

static void unpark(gmk_sched_t *s, uint32_t worker) { gmk_hal_park_wake(&s->wq[worker].park); }

void gmki_wake_one(gmk_sched_t *s)
{
    uint64_t v = gmk_add_sc(&s->idle, 0, GMK_DEV); /* sync: sched.idle */

    while ((uint32_t)v != 0 && gmki_searching(v) == 0) {
        uint32_t mask = (uint32_t)v;
        /* relaxed: a preference, to let the one who keeps the time sleep on */
        uint32_t keeper = gmk_load_rlx(&s->timekeeper, GMK_DEV);
        uint32_t others = keeper != 0 ? mask & ~(1u << (keeper - 1)) : mask;
        uint32_t w = gmk_lowest_bit(others != 0 ? others : mask);

        /* sync: sched.idle */
        if (gmk_cas_sc(&s->idle, &v, (v & ~(1ull << w)) + GMKI_SEARCH_ONE, GMK_DEV)) {
            unpark(s, w);
            return;
        }
    }
}

void gmki_wake_owner(gmk_sched_t *s, uint32_t worker)
{
    if (GMK_UNLIKELY(gmk_add_sc(&s->wq[worker].dozes, 0, GMK_DEV) != 0)) /* sync: sched.dozes */
        gmki_wake_worker(s, worker);
}

void gmki_wake_worker(gmk_sched_t *s, uint32_t worker)
{
    uint64_t v = gmk_add_sc(&s->idle, 0, GMK_DEV); /* sync: sched.idle */
    uint64_t bit = 1ull << worker;

    while ((v & bit) != 0) {
        /* sync: sched.idle */
        if (gmk_cas_sc(&s->idle, &v, (v & ~bit) + GMKI_SEARCH_ONE, GMK_DEV)) {
            unpark(s, worker);
            return;
        }
    }
}

void gmki_wake_all(gmk_sched_t *s)
{
    for (uint32_t w = 0; w < s->n_workers; w++)
        gmki_wake_worker(s, w);
}

bool gmki_work_visible(const gmk_sched_t *s, const gmki_wq_t *own)
{
    for (uint32_t p = 0; p < GMK_N_PRIO; p++)
        if (gmk_cells_ready(&s->rq[p].ring, s->rq[p].cells, GMK_DEV))
            return true;
    if (gmk_cells_ready(&s->overflow.ring, s->overflow.cells, GMK_DEV) ||
        gmk_cells_ready(&s->acts.ring, s->acts.cells, GMK_DEV) ||
        gmk_cells_ready(&own->inbox.ring, own->inbox.cells, GMK_DEV))
        return true;
    for (uint32_t w = 0; w < s->n_workers; w++)
        if (gmk_cells_ready(&s->wq[w].shared.ring, s->wq[w].shared.cells, GMK_DEV))
            return true;
    return false;
}

/* An event waits and nobody sleeps towards it. */
static bool time_unkept(const gmk_sched_t *s)
{
    return gmki_evq_next_ns(s) != GMKI_NEVER &&
           gmk_load_acq(&s->timekeeper, GMK_DEV) == 0; /* sync: sched.timekeeper */
}

bool gmki_search_begin(gmk_sched_t *s)
{
    uint64_t v = gmk_add_sc(&s->idle, GMKI_SEARCH_ONE, GMK_DEV); /* sync: sched.idle */

    return gmki_searching(v) * 2 < s->n_workers;
}

void gmki_search_end(gmki_agent_t *a)
{
    gmk_sched_t *s = a->sched;
    uint64_t v = gmk_sub_sc(&s->idle, GMKI_SEARCH_ONE, GMK_DEV); /* sync: sched.idle */

    if (gmki_searching(v) == 1 && (uint32_t)v != 0 &&
        (gmki_work_visible(s, a->wq) || time_unkept(s)))
        gmki_wake_one(s);
}

/* Tells who waits for the kernel to be at rest, if all workers are parked. */
static void tell_quiet(gmk_sched_t *s)
{
    if (gmki_all_parked(s) && gmk_add_sc(&s->waiting, 0, GMK_DEV) != 0) /* sync: sched.waiting */
        gmk_hal_park_wake(&s->quiet);
}

bool gmki_all_parked(const gmk_sched_t *s)
{
    uint64_t all = (s->n_workers == 32 ? UINT32_MAX : (1u << s->n_workers) - 1);

    return gmk_load_sc(&s->idle, GMK_DEV) == all; /* sync: sched.idle */
}

/* Takes this worker's bit back, as one that searches; false: a waker has done so. */
static bool reclaim(gmk_sched_t *s, uint64_t bit)
{
    uint64_t v = gmk_load_sc(&s->idle, GMK_DEV); /* sync: sched.idle */

    while ((v & bit) != 0)
        if (gmk_cas_sc(&s->idle, &v, (v & ~bit) + GMKI_SEARCH_ONE, GMK_DEV)) /* sync: sched.idle */
            return true;
    return false;
}

/* How long the one who keeps the time may sleep; 0: an event is due. */
static uint64_t until_next(const gmk_sched_t *s)
{
    uint64_t next = gmki_evq_next_ns(s);
    uint64_t now = gmk_hal_now_ns();

    if (next == GMKI_NEVER)
        return s->park_timeout_ns;
    return gmk_min64(s->park_timeout_ns, next > now ? next - now : 0);
}

/* How long to sleep, and whether this worker keeps the time meanwhile. */
static uint64_t sleep_ns(gmk_sched_t *s, uint32_t me, bool *keeper)
{
    uint64_t limit = s->park_timeout_ns;
    uint64_t next = gmki_evq_next_ns(s);
    uint32_t nobody = 0;

    *keeper = false;
    if (next == GMKI_NEVER)
        return limit;
    /* A tick moved by hand makes an event due while its keeper sleeps towards another. */
    if (!gmk_cas_sc(&s->timekeeper, &nobody, me + 1, GMK_DEV)) /* sync: sched.timekeeper */
        return next > gmk_hal_now_ns() ? limit : 0;
    *keeper = true;
    return until_next(s);
}

/* Sleeps until it is woken, or there is a reason to wake though nobody has said so. Who only
 * finds that it has slept for long sleeps on, and stays in the mask: many workers that look up
 * often would else be at no time parked together, and the kernel never seen at rest. */
static void doze(gmki_agent_t *a, uint32_t seen, uint64_t ns, bool keeper)
{
    gmk_sched_t *s = a->sched;
    uint64_t asleep = 1ull << a->obs.agent;
    bool due;

    do {
        gmk_hal_park_wait(&a->wq->park, seen, ns);
        seen = gmk_hal_park_word(&a->wq->park);
        if (keeper)
            ns = until_next(s);
        due = keeper ? ns == 0 : time_unkept(s);
    } while (!due && (gmk_load_sc(&s->idle, GMK_DEV) & asleep) != 0 && /* sync: sched.idle */
             gmk_load_sc(&s->control, GMK_DEV) == 0 &&                 /* sync: sched.control */
             !gmki_work_visible(s, a->wq));
}

void gmki_park(gmki_agent_t *a)
{
    gmk_sched_t *s = a->sched;
    uint64_t bit = 1ull << a->obs.agent;
    uint32_t seen = gmk_hal_park_word(&a->wq->park);
    bool keeper = false;
    bool checking = true;
    uint64_t ns;

    gmk_xchg_sc(&a->wq->dozes, 1, GMK_DEV); /* sync: sched.dozes */
    /* sync: sched.idle */
    gmk_add_sc(&s->idle, bit - GMKI_SEARCH_ONE + GMKI_CHECK_ONE, GMK_DEV);
    ns = sleep_ns(s, a->obs.agent, &keeper);
    if (ns != 0 && !gmki_work_visible(s, a->wq) &&
        gmk_load_sc(&s->control, GMK_DEV) == 0) { /* sync: sched.control */
        gmki_trace(&a->obs, WORKER_PARK, NULL, a->obs.agent, 0);
        gmki_count(&a->obs, 0, GMK_METRIC_WORKER_PARKS, 1);
        gmk_sub_sc(&s->idle, GMKI_CHECK_ONE, GMK_DEV); /* sync: sched.idle */
        checking = false;
        tell_quiet(s);
        doze(a, seen, ns, keeper);
        gmki_count(&a->obs, 0, GMK_METRIC_WORKER_WAKES, 1);
        gmki_trace(&a->obs, WORKER_WAKE, NULL, a->obs.agent, 0);
    }
    if (keeper)
        gmk_store_rel(&s->timekeeper, 0, GMK_DEV); /* sync: sched.timekeeper */
    reclaim(s, bit);
    gmk_xchg_sc(&a->wq->dozes, 0, GMK_DEV); /* sync: sched.dozes */
    if (checking)                           /* after its bit: at no time does it look asleep */
        gmk_sub_sc(&s->idle, GMKI_CHECK_ONE, GMK_DEV); /* sync: sched.idle */
}

static bool freezing(const gmk_sched_t *s)
{
    return (gmk_load_sc(&s->control, GMK_DEV) & GMKI_FREEZE) != 0; /* sync: sched.control */
}

/* A worker in a batch comes here at the batch's edge; a parked one does nothing until
 * it is woken, and then comes here first: its step out of the mask is ordered with the
 * freezer's look at the mask. */
void gmki_freeze_point(gmki_agent_t *a)
{
    gmk_sched_t *s = a->sched;

    do {
        gmk_xchg_sc(&a->wq->frozen, 1, GMK_DEV); /* sync: sched.frozen */
        gmk_hal_park_wake(&s->quiet);
        for (;;) {
            uint32_t seen = gmk_hal_park_word(&a->wq->park);

            if (!freezing(s))
                break;
            gmk_hal_park_wait(&a->wq->park, seen, GMK_HAL_FOREVER);
        }
        gmk_xchg_sc(&a->wq->frozen, 0, GMK_DEV); /* sync: sched.frozen */
    } while (freezing(s)); /* the next freezer may have seen the mark of the last time */
}

static bool all_still(const gmk_sched_t *s)
{
    for (uint32_t w = 0; w < s->n_workers; w++) {
        bool parked = gmk_load_sc(&s->idle, GMK_DEV) >> w & 1; /* sync: sched.idle */

        if (!parked && gmk_load_sc(&s->wq[w].frozen, GMK_DEV) == 0) /* sync: sched.frozen */
            return false;
    }
    return true;
}

bool gmki_freeze(gmk_sched_t *s, uint64_t timeout_ns)
{
    uint64_t start = gmk_hal_now_ns();

    gmk_or_sc(&s->control, GMKI_FREEZE, GMK_DEV); /* sync: sched.control */
    for (;;) {
        uint32_t seen = gmk_hal_park_word(&s->quiet);
        uint64_t spent = gmk_hal_now_ns() - start;

        if (all_still(s))
            return true;
        if (spent >= timeout_ns)
            return false;
        gmk_hal_park_wait(&s->quiet, seen, timeout_ns - spent);
    }
}

void gmki_thaw(gmk_sched_t *s)
{
    gmk_and_sc(&s->control, ~GMKI_FREEZE, GMK_DEV); /* sync: sched.control */
    for (uint32_t w = 0; w < s->n_workers; w++)
        if (gmk_load_sc(&s->wq[w].frozen, GMK_DEV) != 0) /* sync: sched.frozen */
            gmk_hal_park_wake(&s->wq[w].park);
}
