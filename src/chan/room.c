/* SPDX-License-Identifier: MIT
 * Room on a channel: credit from the slowest cursor, drop-slow, retention for replay.
 * Floor: F5. Who finds no credit looks at the cursors itself, about once a lap. On a
 * lossless channel without replay that takes no lock; where cells must be read before they
 * are given away (skipped messages, references of the replay buffer) it does.
 * Source: SPEC CH-13 to CH-21, CH-42; ARCHITECTURE R5, R7. */
#include "chan/chan.h"

#define SKIP_MAX 8u /* messages of one slow subscriber that one emit drops at most */

/* Everybody whose cursor stands before cells that must not be overwritten. */
static uint32_t gating(const gmki_chan_t *c, uint64_t word)
{
    /* After the readers: who leaves is in here before it is out of there. */
    return gmk_credit_readers(word) | gmk_load_acq(&c->leaving, GMK_DEV); /* sync: chan.leaving */
}

/* The slowest cursor of a set, the tail if it is empty; *who is its slot. */
static uint64_t slowest(const gmki_chan_t *c, uint32_t set, uint32_t *who)
{
    uint64_t low = gmki_chan_tail(c);

    *who = GMK_MAX_CHAN_SUBS;
    while (set != 0) {
        uint32_t i = gmk_lowest_bit(set);
        uint64_t at = gmk_cursor_next(&gmki_chan_sub(c, i)->cursor, GMK_DEV);

        set &= set - 1;
        if (at <= low) {
            low = at;
            *who = i;
        }
    }
    return low;
}

uint64_t gmki_chan_slowest(const gmki_chan_t *c)
{
    uint32_t who;

    return slowest(c, gating(c, gmk_credit_word(&c->ring, GMK_DEV)), &who);
}

gmki_sub_t *gmki_chan_slow_sub(const gmki_chan_t *c)
{
    uint32_t who;

    slowest(c, gating(c, gmk_credit_word(&c->ring, GMK_DEV)), &who);
    return who < GMK_MAX_CHAN_SUBS ? gmki_chan_sub(c, who) : NULL;
}

/* Lossless, nothing kept: the rule of prim/credit.h. */
static bool give(gmki_chan_t *c)
{
    uint64_t word = gmk_credit_word(&c->ring, GMK_DEV);

    for (;;) {
        uint32_t who;
        uint64_t low = slowest(c, gating(c, word), &who);
        uint64_t again = gmk_credit_word(&c->ring, GMK_DEV);

        if (gmk_credit_readers(again) == gmk_credit_readers(word))
            return gmk_credit_give(&c->ring, low + c->slots, GMK_DEV);
        word = again;
    }
}

/* Replay. ---------------------------------------------------------------------------- */

/* Who has not settled everything before first, though it is about to be evicted. */
static void lag(gmki_agent_t *a, gmki_chan_t *c, uint64_t first)
{
    uint64_t word = gmk_credit_word(&c->ring, GMK_DEV);

    for (uint32_t i = 0; i < GMK_MAX_CHAN_SUBS; i++) {
        bool behind =
            (gating(c, word) >> i & 1) != 0 && gmki_sub_acked(gmki_chan_sub(c, i)) < first;

        if (behind && (c->lagging >> i & 1) == 0) {
            c->lagging |= 1u << i;
            gmki_trace(&a->obs, CHAN_REPLAY_OVERFLOW, NULL, GMK_CHAN_INDEX(gmki_chan_id(c)), i);
        } else if (!behind) {
            c->lagging &= ~(1u << i);
        }
    }
}

/* The first position that is kept: what somebody has not settled, but no more than the
 * replay buffer holds beyond what is unread. */
static uint64_t keep_from(gmki_agent_t *a, gmki_chan_t *c, uint64_t low)
{
    uint32_t set = gating(c, gmk_credit_word(&c->ring, GMK_DEV));
    uint64_t settled = low;
    uint64_t oldest = low > c->replay ? low - c->replay : 0;

    for (; set != 0; set &= set - 1)
        settled = gmk_min64(settled, gmki_sub_acked(gmki_chan_sub(c, gmk_lowest_bit(set))));
    if (settled < oldest || c->lagging != 0)
        lag(a, c, oldest);
    return gmk_max64(settled, oldest);
}

/* Gives back the buffer's references up to the first position kept. pre: c's lock. */
static void evict(gmki_agent_t *a, gmki_chan_t *c, uint64_t low)
{
    uint64_t first = keep_from(a, c, low);

    for (; c->floor < first; c->floor++)
        gmki_drop_payload(a, &c->cells[c->floor & (c->cap - 1)].task);
}

void gmki_chan_retain(gmki_agent_t *a, gmki_chan_t *c)
{
    gmk_hal_lock_acquire(&c->lock);
    evict(a, c, gmki_chan_slowest(c));
    gmk_hal_lock_release(&c->lock);
}

static bool give_kept(gmki_agent_t *a, gmki_chan_t *c)
{
    uint64_t low;
    bool moved;

    gmk_hal_lock_acquire(&c->lock);
    low = gmki_chan_slowest(c);
    evict(a, c, low);
    moved = gmk_credit_give(&c->ring, low + c->slots, GMK_DEV);
    gmk_hal_lock_release(&c->lock);
    return moved;
}

/* Drop-slow. ------------------------------------------------------------------------- */

/* Moves the slowest cursor on by up to n and copies what it skipped of its own; of one that
 * leaves, the last may be for others. pre: c's lock.
 * returns: how far; 0: its owner is copying, or a message there is being written. */
static uint32_t skip(gmki_chan_t *c, gmki_sub_t *s, uint32_t n, gmk_cell_t *out, uint32_t *lost)
{
    uint64_t next = gmk_cursor_next(&s->cursor, GMK_DEV);
    uint32_t k = gmk_credit_ready(c->cells, c->cap - 1, GMK_CELL_STRIDE, (uint32_t)next,
                                  gmk_min32(n, SKIP_MAX), GMK_DEV);
    uint64_t limit = gmki_sub_limit(s);

    *lost = 0;
    if (k == 0 || limit == 0 || !gmk_cursor_skip(&s->cursor, next, k, GMK_DEV))
        return 0;
    *lost = (uint32_t)gmk_min64(k, limit > next ? limit - next : 0);
    for (uint32_t i = 0; i < *lost; i++) {
        gmk_cell_copy(&out[i], &c->cells[(next + i) & (c->cap - 1)]);
        out[i].sub = 0;
        out[i].chan_seq = next + i + 1;
    }
    gmk_count_add(&s->drops, *lost);
    return k;
}

static bool make_room_lossy(gmki_agent_t *a, gmki_chan_t *c, uint32_t n)
{
    gmk_cell_t lost[SKIP_MAX];
    uint32_t n_lost = 0;
    uint32_t k = 0;
    uint32_t who;
    uint64_t low;
    bool moved;

    gmk_hal_lock_acquire(&c->lock);
    low = slowest(c, gating(c, gmk_credit_word(&c->ring, GMK_DEV)), &who);
    moved = gmk_credit_give(&c->ring, low + c->slots, GMK_DEV);
    if (!moved && who < GMK_MAX_CHAN_SUBS) {
        k = skip(c, gmki_chan_sub(c, who), n, lost, &n_lost);
        low = gmki_chan_slowest(c);
        gmk_credit_give(&c->ring, low + c->slots, GMK_DEV);
    }
    gmk_hal_lock_release(&c->lock);
    for (uint32_t i = 0; i < n_lost; i++)
        a->sched->lose(a, &lost[i], GMK_ERR_LAPPED);
    return moved || k != 0;
}

bool gmki_chan_make_room(gmki_agent_t *a, gmki_chan_t *c, uint32_t n)
{
    if (gmki_chan_lossy(c))
        return make_room_lossy(a, c, n);
    return c->replay != 0 ? give_kept(a, c) : give(c);
}

void gmki_chan_room(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c)
{
    uint64_t w = gmk_xchg_sc(&c->waiters, 0, GMK_DEV); /* sync: chan.waiters */

    while (w != 0) {
        uint32_t m = gmk_lowest_bit64(w);

        w &= w - 1;
        gmki_group_activate(a, r->groups[m], GMK_PRIO_HIGH);
    }
    if (c->kind == GMKI_CHAN_SYSTEM && gmki_chan_id(c) == GMK_CHAN_SYS_TICK)
        gmki_ticks_room(r);
}
