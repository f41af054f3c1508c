/* SPDX-License-Identifier: MIT
 * sys.tick: one message a tick while somebody subscribes.
 * Floor: F5. Ticks are told by whichever worker sees that one is owed; one tells at a time,
 * in order. A full channel defers them until its slowest subscriber has made room: none is
 * lost. Whether anybody listens decides if workers look at ticks at all.
 * Source: SPEC V-65, V-66, CH-15. */
#include "chan/chan.h"

static bool begin_telling(gmk_chan_reg_t *r)
{
    uint32_t nobody = 0;

    return gmk_cas_ar(&r->telling, &nobody, 1, GMK_DEV); /* sync: chan.telling */
}

static void end_telling(gmk_chan_reg_t *r)
{
    gmk_store_rel(&r->telling, 0, GMK_DEV); /* sync: chan.telling */
}

static void watch(gmk_sched_t *s, uint32_t on)
{
    gmk_xchg_sc(&s->ticks_watched, on, GMK_DEV); /* sync: sched.watched */
}

/* The first subscriber hears the ticks after this one. */
void gmki_ticks_listen(gmk_chan_reg_t *r)
{
    gmk_sched_t *s = r->sched;
    uint64_t word = gmk_credit_word(&r->chans[GMK_CHAN_SYS_TICK]->ring, GMK_DEV);

    if (gmk_popcount32(gmk_credit_readers(word)) != 1)
        return;
    while (!begin_telling(r))
        gmk_hal_relax();
    gmk_store_rel(&s->ticks_told, gmki_tick(s, gmk_hal_now_ns()), GMK_DEV); /* sync: sched.told */
    watch(s, 1);
    end_telling(r);
    gmki_wake_keeper(s);
}

/* A subscriber has made room; were ticks waiting for it? */
void gmki_ticks_room(gmk_chan_reg_t *r)
{
    if (gmk_xchg_sc(&r->ticks_wait, 0, GMK_DEV) == 0) /* sync: chan.waiters */
        return;
    watch(r->sched, 1);
    gmki_wake_keeper(r->sched);
}

static bool heard(const gmki_chan_t *c)
{
    return gmk_credit_readers(gmk_credit_word(&c->ring, GMK_DEV)) != 0;
}

static bool tell(gmki_agent_t *a, gmk_chan_reg_t *r, uint64_t tick)
{
    gmki_chan_t *c = r->chans[GMK_CHAN_SYS_TICK];
    gmk_task_t t = {.type = GMK_TYPE_SYS_TICK, .meta0 = tick};

    return heard(c) && gmki_chan_push(a, c, &t, 1) != 0;
}

/* The same once more after it was announced that a tick waits: either this sees the room or
 * the subscriber, or they see the announcement. */
static bool tell_or_wait(gmki_agent_t *a, gmk_chan_reg_t *r, uint64_t tick)
{
    if (tell(a, r, tick))
        return true;
    watch(r->sched, 0);
    gmk_xchg_sc(&r->ticks_wait, 1, GMK_DEV); /* sync: chan.waiters */
    if (!tell(a, r, tick))
        return false;
    gmk_xchg_sc(&r->ticks_wait, 0, GMK_DEV); /* sync: chan.waiters */
    watch(r->sched, 1);
    return true;
}

void gmki_ticks_tell(gmki_agent_t *a)
{
    gmk_sched_t *s = a->sched;
    gmk_chan_reg_t *r = a->ctx.chan;

    if (!begin_telling(r))
        return;
    while (gmki_tick_owed(s, gmk_hal_now_ns())) {
        uint64_t next = gmk_load_acq(&s->ticks_told, GMK_DEV) + 1; /* sync: sched.told */

        if (!tell_or_wait(a, r, next))
            break;
        gmk_store_rel(&s->ticks_told, next, GMK_DEV); /* sync: sched.told */
    }
    end_telling(r);
}
