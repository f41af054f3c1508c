/* SPDX-License-Identifier: MIT
 * Credit ring: many producers, any number of reading cursors, cells that only producers
 * write. Broadcast, replay and bridge rings are made of it.
 * Floor: F1. No storage of its own, no pointers; cells lie `stride` bytes apart from `base`,
 * each beginning with its turn word; all-zero cells are a valid empty ring after setup.
 * Invariants: capacity cap = mask + 1 is a power of two, 2 <= cap <= 2^30. On the 32-bit
 *   circle tail <= limit <= slowest cursor + cap, and every cursor <= tail.
 * Turns: publishing p writes T(p) = (p & ~mask) | 1, and nothing else writes a turn.
 *   A cell of p holds 0 or T(q), q the last published position with q = p (mod cap). A
 *   cursor c waits for T(c). Claim of c needs c < limit, so c - cap < slowest cursor: every
 *   cursor has passed c - cap, hence q is c - cap or c, and T(c - cap) = T(c) - cap != T(c)
 *   (mod 2^32), since 0 < cap < 2^32. 0 is even and T odd, as mask has bit 0 set (cap >= 2).
 * Source: ARCHITECTURE R2, R5. Use and order: below. */
#ifndef GGMK_PRIM_CREDIT_H
#define GGMK_PRIM_CREDIT_H

#include "ggmk/base/atomic.h"
#include "ggmk/base/bits.h"

/* Who may call what
 *   producer, any thread   claim, then publish of all that was claimed, and no blocking
 *                          between the two. A producer that stops between them delays every
 *                          cursor at that position; it corrupts nothing.
 *   cursor owner           ready on its own position, a plain uint32_t in its own memory.
 *                          It needs base, mask and stride, not the gmk_credit_t, which may
 *                          lie in memory of the producers' kernel alone.
 *   giver, any thread      give(new_limit), having seen by acquire every cursor at or past
 *                          new_limit - cap.
 * One cursor (a bridge): ready, copy out, cursor += n, give(cursor + cap).
 * Several cursors (a broadcast): each owner copies out, then shows its cursor in a shared
 * word by a release store; a giver loads all of these by acquire and gives slowest + cap.
 * Two owners may each miss the other's latest word (store-load), and then nobody gives the
 * last of the credit. So either each owner shows its cursor by a sequentially consistent
 * read-modify-write and re-reads the others sequentially consistent before its give, or a
 * producer that claims nothing reads the cursors itself and gives before it calls it full.
 * A new cursor starts at a position in [limit - cap, tail] and must be among those that
 * givers read before they may pass it. A cursor that is taken out of that set (lossy, lapped)
 * may read torn cells: ready compares turns, but the turn of a cell under the pen is old.
 * A position comes round after 2^32 claims: no thread sleeps that long inside a call.
 *
 * Order
 *   credit.turn   publish -> ready: what a producer wrote is seen by every cursor.
 *   credit.limit  give -> claim: what cursors read, and then showed to the giver, is read
 *                 before it is overwritten. Givers that swap in turn extend each other's
 *                 release sequence; a give that finds the limit further on adds nothing,
 *                 because who put it there has itself seen all cursors that far. */
typedef struct gmk_credit {
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t tail; /* next position to claim */
    uint32_t mask;
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t limit; /* first position not to be written yet */
} gmk_credit_t;

/* Makes r an empty ring whose first position is start (0 but in tests of the wrap); its
 * cursors begin at start. pre: cap is a power of two, 2 <= cap <= 2^30; start is a multiple
 * of cap; no turn word holds start | 1 (zeroed cells do not); nobody uses r. */
GMK_FN void gmk_credit_setup(gmk_credit_t *r, uint32_t cap, uint32_t start)
{
    r->tail = start;
    r->mask = cap - 1;
    r->limit = start + cap;
}

/* The turn word, and with it the cell, of position pos. */
GMK_FN gmk_a32_t *gmk_credit_turn(const void *base, uint32_t mask, uint32_t pos, uint32_t stride)
{
    return (gmk_a32_t *)((char *)base + (size_t)(pos & mask) * stride);
}

/* Claims up to want positions below the limit, *pos on. The caller writes their cells
 * and must publish all of them. threads: any producer. order: credit.limit.
 * returns: how many; 0: no credit (as far as this thread sees).
 * cost: one compare-and-swap a call, not a cell. Lock-free. */
GMK_FN uint32_t gmk_credit_claim(gmk_credit_t *r, uint32_t want, uint32_t *pos, int scope)
{
    uint32_t p = gmk_load_rlx(&r->tail, scope); /* relaxed: the swap decides */

    for (;;) {
        uint32_t limit = GMK_POLL(&r->limit, scope); /* sync: credit.limit */
        uint32_t n = gmk_before32(p, limit) ? gmk_min32(limit - p, want) : 0;
        if (n == 0) {
            uint32_t now = gmk_load_rlx(&r->tail, scope); /* relaxed: as above */
            if (now == p || want == 0)
                return 0;
            p = now;
            continue;
        }
        /* A stale p makes limit - p too great, and the swap fails. */
        if (gmk_cas_rlx(&r->tail, &p, p + n, scope)) { /* relaxed: the limit orders */
            GMK_TAKE_FENCE(scope);
            *pos = p;
            return n;
        }
        gmk_lost_race();
        p = gmk_load_rlx(&r->tail, scope); /* relaxed: as above */
    }
}

/* Hands n claimed and written cells to all cursors. threads: the one that claimed them.
 * pre: the turn word of a claimed cell was left alone. order: credit.turn. Wait-free. */
GMK_FN void gmk_credit_publish(const gmk_credit_t *r, void *base, uint32_t stride, uint32_t pos,
                               uint32_t n, int scope)
{
    uint32_t mask = r->mask;

    GMK_PUBLISH_FENCE(scope);
    for (uint32_t i = 0; i < n; i++)
        GMK_PUBLISH(gmk_credit_turn(base, mask, pos + i, stride), ((pos + i) & ~mask) | 1,
                    scope); /* sync: credit.turn */
}

/* How many published cells, at most want, stand from cursor on without a gap. They may be
 * read until the owner shows a cursor past them. threads: the cursor's owner.
 * order: credit.turn. cost: one load a cell. Wait-free. */
GMK_FN uint32_t gmk_credit_ready(const void *base, uint32_t mask, uint32_t stride, uint32_t cursor,
                                 uint32_t want, int scope)
{
    uint32_t n = 0;

    while (n < want && GMK_POLL(gmk_credit_turn(base, mask, cursor + n, stride), scope) ==
                           (((cursor + n) & ~mask) | 1)) /* sync: credit.turn */
        n++;
    if (n != 0)
        GMK_TAKE_FENCE(scope);
    return n;
}

/* Raises the limit to new_limit; never lowers it. threads: any giver.
 * pre: every cursor is at or past new_limit - cap, and this thread has seen it so by
 * acquire; new_limit is less than 2^31 from the limit. order: credit.limit.
 * returns: true if the limit moved (a waiting producer may want a wake). Lock-free. */
GMK_FN bool gmk_credit_give(gmk_credit_t *r, uint32_t new_limit, int scope)
{
    uint32_t limit = gmk_load_rlx(&r->limit, scope); /* relaxed: the swap decides */

    while (gmk_before32(limit, new_limit)) {
        if (gmk_cas_rel(&r->limit, &limit, new_limit, scope)) /* sync: credit.limit */
            return true;
    }
    return false;
}

/* The next position to claim: where a new cursor may begin. A recent value. */
GMK_FN uint32_t gmk_credit_tail(const gmk_credit_t *r, int scope)
{
    return gmk_load_rlx(&r->tail, scope); /* relaxed: an estimate */
}

/* Positions that may still be claimed: exact at rest, else a recent value. */
GMK_FN uint32_t gmk_credit_room(const gmk_credit_t *r, int scope)
{
    uint32_t tail = gmk_load_rlx(&r->tail, scope);   /* relaxed: an estimate */
    uint32_t limit = gmk_load_rlx(&r->limit, scope); /* relaxed: an estimate */

    return gmk_before32(tail, limit) ? gmk_min32(limit - tail, r->mask + 1) : 0;
}

#endif
