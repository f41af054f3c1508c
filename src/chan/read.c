/* SPDX-License-Identifier: MIT
 * The drainer's side of a subscription: take, go idle, acknowledge, replay.
 * Floor: F5. A message is copied before its cell is passed, so that producers never wait
 * for a handler and each subscriber has a record of its own. On a lossy channel the cursor
 * is held for the copy, since producers may move it.
 * Acknowledged is the settled prefix: everything before the first message that was begun
 * and has not ended.
 * Source: SPEC CH-10, CH-17 to CH-21, V-39, V-47; ARCHITECTURE R4, R5. */
#include "chan/chan.h"

/* How many messages stand ready at position next, at most n. */
static uint32_t ready_at(const gmki_sub_t *s, uint64_t next, uint32_t n)
{
    const gmki_chan_t *c = s->chan;
    uint64_t limit;

    n = gmk_credit_ready(c->cells, c->cap - 1, GMK_CELL_STRIDE, (uint32_t)next, n, GMK_DEV);
    limit = gmki_sub_limit(s);
    return (uint32_t)gmk_min64(n, limit > next ? limit - next : 0);
}

static void copy_out(const gmki_sub_t *s, gmk_cell_t *out, uint64_t pos)
{
    gmk_cell_copy(out, &s->chan->cells[pos & (s->chan->cap - 1)]);
    out->sub = (uint16_t)s->index;
    out->chan_seq = pos + 1;
}

/* Notes what was skipped since the last message, and moves on past pos. */
static void went_past(gmki_sub_t *s, uint64_t pos)
{
    s->gap = pos - s->expected;
    gmki_sub_set_expected(s, pos + 1);
    if (s->gap != 0 && s->n_away == 0)
        gmki_sub_set_acked(s, pos);
}

bool gmki_sub_take(gmki_sub_t *s, gmk_cell_t *out, uint64_t *stamp)
{
    const gmki_chan_t *c = s->chan;
    uint64_t next = gmk_cursor_next(&s->cursor, GMK_DEV);

    do {
        if (ready_at(s, next, 1) == 0)
            return false;
    } while (gmki_chan_lossy(c) && !gmk_cursor_hold(&s->cursor, &next, GMK_DEV));
    *stamp = c->cells[next & (c->cap - 1)].chan_seq;
    copy_out(s, out, next);
    gmk_cursor_pass(&s->cursor, next + 1, GMK_DEV);
    went_past(s, next);
    return true;
}

/* On a lossy channel one at most: the cursor is held until the pass. */
uint32_t gmki_sub_peek(gmki_sub_t *s, gmk_cell_t *out, uint32_t n)
{
    uint64_t next = gmk_cursor_next(&s->cursor, GMK_DEV);
    uint32_t k;

    if (gmki_chan_lossy(s->chan))
        n = 1;
    do {
        k = ready_at(s, next, n);
        if (k == 0)
            return 0;
    } while (gmki_chan_lossy(s->chan) && !gmk_cursor_hold(&s->cursor, &next, GMK_DEV));
    for (uint32_t i = 0; i < k; i++)
        copy_out(s, &out[i], next + i);
    return k;
}

void gmki_sub_pass(gmki_sub_t *s, uint32_t n)
{
    uint64_t next = gmk_cursor_next(&s->cursor, GMK_DEV);

    gmk_cursor_pass(&s->cursor, next + n, GMK_DEV);
    gmki_sub_set_expected(s, next + n);
    if (s->n_away == 0)
        gmki_sub_set_acked(s, next + n);
}

bool gmki_sub_idles(gmki_sub_t *s)
{
    uint32_t bit = 1u << s->slot;

    gmk_or_sc(&s->chan->idle, bit, GMK_DEV); /* sync: chan.idle */
    if (ready_at(s, gmk_cursor_next(&s->cursor, GMK_DEV), 1) == 0)
        return true;
    gmk_and_sc(&s->chan->idle, ~bit, GMK_DEV); /* sync: chan.idle */
    return false;
}

/* Acknowledgement. ------------------------------------------------------------------- */

static void acknowledge(gmki_sub_t *s)
{
    uint64_t first = gmki_sub_expected(s);

    for (uint32_t i = 0; i < s->n_away; i++)
        first = gmk_min64(first, s->away[i]);
    gmki_sub_set_acked(s, first);
}

/* One entry a delivery: a replay may have made two of one position. */
void gmki_sub_went(gmki_sub_t *s, uint64_t pos, uint32_t why)
{
    GMK_ASSERT(s->n_away < GMK_GROUP_RESUME_CAP, "a group has so many away at most");
    s->away_why[s->n_away] = why;
    s->away[s->n_away++] = pos;
    acknowledge(s);
}

uint32_t gmki_sub_came(gmki_sub_t *s, uint64_t pos)
{
    uint32_t i = 0;
    uint32_t why;

    while (i < s->n_away && s->away[i] != pos)
        i++;
    GMK_ASSERT(i < s->n_away, "what comes back has been away");
    why = s->away_why[i];
    s->n_away--;
    s->away[i] = s->away[s->n_away];
    s->away_why[i] = s->away_why[s->n_away];
    return why;
}

void gmki_sub_ended_among(gmki_sub_t *s) { acknowledge(s); }

/* A step of the count: who ends the last one later sees that the subscription leaves. */
bool gmki_sub_settled(gmki_sub_t *s)
{
    return s->n_away == 0 && gmk_add_ar(&s->in_flight, 0, GMK_DEV) == 0; /* sync: chan.flight */
}

/* Of a parallel subscription only what was handed out before a moment without work. The group
 * of a cursor without a subscriber is that of the record's last one. */
uint64_t gmki_sub_acked(const gmki_sub_t *s)
{
    const gmki_group_t *g = gmki_sub_group(s);
    uint64_t handed_out = gmki_sub_expected(s); /* each was counted before it was taken */

    if (g != NULL && gmki_is_parallel(g) && gmki_sub_state(s) != GMKI_SUB_DETACHED &&
        gmk_load_acq(&s->in_flight, GMK_DEV) == 0) /* sync: chan.flight */
        return handed_out;
    return gmk_load_acq(&s->acked, GMK_DEV); /* sync: chan.acked */
}

void gmki_parallel_ended(gmki_agent_t *a, gmki_sub_t *s)
{
    gmki_group_t *g = gmki_sub_group(s);
    gmki_chan_t *c = s->chan;
    bool last;

    /* With the count at 0 the record may become another subscription's: then its state
     * says nothing, and a notice too many does no harm. */
    last = gmk_sub_ar(&s->in_flight, 1, GMK_DEV) == 1; /* sync: chan.flight */
    if (last && gmki_sub_state(s) == GMKI_SUB_LEAVING)
        gmki_group_notice(a, g, GMK_PRIO_HIGH);
    else if (last && c->replay != 0)
        gmki_chan_retain(a, c);
}

/* Replay. ---------------------------------------------------------------------------- */

/* Counts and references for deliveries that are made again. pre: the channel's lock. */
static void redeliver(gmki_agent_t *a, gmki_sub_t *s, uint64_t from, uint64_t to)
{
    for (uint64_t p = from; p < to; p++) {
        const gmk_task_t *t = &s->chan->cells[p & (s->chan->cap - 1)].task;

        gmki_accept(a, t->tenant, 1);
        gmki_count(&a->obs, t->tenant, GMK_METRIC_CHAN_REPLAYED, 1);
        if ((t->flags & GMK_TF_PAYLOAD_RC) != 0 && t->payload_ptr != 0)
            gmki_payload_retain(&a->cache, (void *)(uintptr_t)t->payload_ptr, 1);
    }
}

int gmki_sub_replay(gmki_agent_t *a, gmki_sub_t *s, uint64_t from)
{
    gmki_chan_t *c = s->chan;
    uint64_t next;
    int rc = GMK_OK;

    gmk_hal_lock_acquire(&c->lock);
    next = gmk_cursor_next(&s->cursor, GMK_DEV);
    if (from > next) {
        rc = from > gmki_chan_tail(c) ? (int)GMK_E_INVALID : (int)GMK_OK;
    } else if (from < c->floor) {
        rc = GMK_E_NOT_FOUND;
    } else {
        redeliver(a, s, from, next);
        gmki_sub_set_expected(s, from);
        gmk_cursor_pass(&s->cursor, from, GMK_DEV);
        if (from < gmk_load_rlx(&s->acked, GMK_DEV)) /* relaxed: the drainer's own */
            gmki_sub_set_acked(s, from);
    }
    gmk_hal_lock_release(&c->lock);
    if (rc != GMK_OK)
        return rc;
    gmk_and_sc(&c->idle, ~(1u << s->slot), GMK_DEV); /* sync: chan.idle */
    gmki_group_notice(a, gmki_sub_group(s), GMK_PRIO_HIGH);
    return GMK_OK;
}
