/* SPDX-License-Identifier: MIT
 * Credit ring: many producers, up to 32 reading cursors, cells that only producers write.
 * Channel, replay and bridge rings are made of it.
 * Floor: F1. No storage of its own, no pointers; cells lie `stride` bytes apart from `base`,
 * each beginning with its turn word; all-zero cells are a valid empty ring after setup.
 * Invariants: capacity cap = mask + 1 is a power of two, 2 <= cap <= 2^30. Positions are
 *   64-bit counts that never wrap; claim word and turn words keep their low 32 bits.
 *   tail <= limit <= slowest cursor + cap, and every cursor <= tail.
 * Turns: publishing p writes T(p) = (low(p) & ~mask) | 1, and nothing else writes a turn.
 *   A cursor c waits for T(c). Claim of c needs c < limit, so c - cap < slowest cursor: every
 *   cursor has passed c - cap, hence the cell holds 0, T(c - cap) or T(c), and T(c - cap) =
 *   T(c) - cap != T(c) (mod 2^32). 0 is even and T odd, as mask has bit 0 set.
 * Source: ARCHITECTURE R2, R5. Use and order: below. */
#ifndef GGMK_PRIM_CREDIT_H
#define GGMK_PRIM_CREDIT_H

#include "ggmk/base/atomic.h"
#include "ggmk/base/bits.h"

/* Who may call what
 *   producer, any thread   claim, then publish of all that was claimed, and no blocking
 *                          between the two. A producer that stops between them delays every
 *                          cursor at that position; it corrupts nothing.
 *   cursor owner           ready on its own position. It needs base, mask and stride, not the
 *                          gmk_credit_t, which may lie in memory of the producers' kernel.
 *   giver, any thread      give(new_limit), having seen by acquire every cursor at or past
 *                          new_limit - cap.
 *   joiner, leaver         one at a time, under the owner's lock.
 * Readers: the set of cursors is part of the claim word, so that a claim learns exactly which
 * cursors its positions are for: those that joined before, and have not left. A claim by
 * nobody's account (the set is empty) takes nothing.
 * Giving: producers that find no credit load the set, then the cursors of all in it, by
 * acquire, then the set again: if it is the same, slowest + cap may be given, since a cursor
 * that joins later begins at a tail no less than any of these. Or each owner gives.
 * A cursor that a slow reader's producers may move (lossy) is held by its owner for the copy:
 * hold, copy, pass. Nobody moves a held cursor, and whoever moves one copies what it skipped
 * before anybody gives: those givers exclude one another by a lock.
 *
 * Order
 *   credit.turn    publish -> ready: what a producer wrote is seen by every cursor.
 *   credit.limit   give -> claim: what cursors read, and then showed to the giver, is read
 *                  before it is overwritten. Givers that swap in turn extend each other's
 *                  release sequence; a give that finds the limit further on adds nothing,
 *                  because who put it there has itself seen all cursors that far.
 *   credit.readers join, leave -> claim: a reader's record before a producer finds it in the
 *                  set; who leaves knows the last position that was claimed for it.
 *   credit.cursor  an owner's pass -> giver; a mover's skip -> owner. */
typedef struct gmk_credit {
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a64_t claim; /* low tail | readers << 32 */
    uint32_t mask;
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a64_t limit; /* first position not to be written yet */
} gmk_credit_t;

#define GMK_CREDIT_READERS 32u

/* Makes r an empty ring without readers whose first position is start (0 but in tests of the
 * wrap). pre: cap is a power of two, 2 <= cap <= 2^30; start is a multiple of cap; no turn
 * word holds low(start) | 1 (zeroed cells do not); nobody uses r. */
GMK_FN void gmk_credit_setup(gmk_credit_t *r, uint32_t cap, uint64_t start)
{
    r->claim = (uint32_t)start;
    r->mask = cap - 1;
    r->limit = start + cap;
}

/* The turn word, and with it the cell, of position pos. */
GMK_FN gmk_a32_t *gmk_credit_turn(const void *base, uint32_t mask, uint32_t pos, uint32_t stride)
{
    return (gmk_a32_t *)((char *)base + (size_t)(pos & mask) * stride);
}

GMK_FN uint32_t gmk_credit_readers(uint64_t claim_word) { return (uint32_t)(claim_word >> 32); }

/* The set of readers now. threads: any. order: credit.readers. */
GMK_FN uint64_t gmk_credit_word(const gmk_credit_t *r, int scope)
{
    return gmk_load_acq(&r->claim, scope); /* sync: credit.readers */
}

/* The 64-bit position whose low half is pos, of those up to the limit. pre: pos comes from a
 * claim word that was loaded by acquire. */
GMK_FN uint64_t gmk_credit_extend(const gmk_credit_t *r, uint32_t pos, int scope)
{
    uint64_t limit = gmk_load_rlx(&r->limit, scope); /* relaxed: pos came with its limit */

    return limit - (uint32_t)((uint32_t)limit - pos);
}

/* The next position to claim. A recent value. */
GMK_FN uint64_t gmk_credit_tail(const gmk_credit_t *r, int scope)
{
    return gmk_credit_extend(r, (uint32_t)gmk_credit_word(r, scope), scope);
}

/* Claims up to want positions below the limit less spare, *pos on, for *readers. The caller
 * writes their cells and must publish all of them. threads: any producer.
 * order: credit.limit, credit.readers.
 * returns: how many; 0: no readers (*readers is 0), or no credit as far as this thread sees.
 * cost: one compare-and-swap a call, not a cell. Lock-free. */
GMK_FN uint32_t gmk_credit_claim(gmk_credit_t *r, uint32_t want, uint32_t spare, uint32_t *pos,
                                 uint32_t *readers, int scope)
{
    uint64_t w = gmk_load_rlx(&r->claim, scope); /* relaxed: the swap decides */

    for (;;) {
        uint32_t p = (uint32_t)w;
        uint32_t limit = (uint32_t)GMK_POLL(&r->limit, scope) - spare; /* sync: credit.limit */
        uint32_t n = gmk_before32(p, limit) ? gmk_min32(limit - p, want) : 0;
        uint64_t now;

        *readers = gmk_credit_readers(w);
        if (n == 0 || *readers == 0) {
            now = gmk_load_acq(&r->claim, scope); /* sync: credit.readers */
            if (now == w || want == 0)
                return 0;
            w = now;
            continue;
        }
        /* A stale w makes limit - p too great, and the swap fails. */
        now = w;
        if (gmk_cas_ar(&r->claim, &now, (w & ~(uint64_t)UINT32_MAX) | (uint32_t)(p + n),
                       scope)) { /* sync: credit.readers */
            GMK_TAKE_FENCE(scope);
            *pos = p;
            return n;
        }
        gmk_lost_race();
        w = gmk_load_rlx(&r->claim, scope); /* relaxed: as above */
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
 * acquire. order: credit.limit.
 * returns: true if the limit moved (a waiting producer may want a wake). Lock-free. */
GMK_FN bool gmk_credit_give(gmk_credit_t *r, uint64_t new_limit, int scope)
{
    uint64_t limit = gmk_load_rlx(&r->limit, scope); /* relaxed: the swap decides */

    while (limit < new_limit) {
        if (gmk_cas_rel(&r->limit, &limit, new_limit, scope)) /* sync: credit.limit */
            return true;
    }
    return false;
}

/* Positions that may still be claimed: exact at rest, else a recent value. */
GMK_FN uint32_t gmk_credit_room(const gmk_credit_t *r, int scope)
{
    uint64_t limit = gmk_load_rlx(&r->limit, scope);          /* relaxed: an estimate */
    uint32_t tail = (uint32_t)gmk_load_rlx(&r->claim, scope); /* relaxed: an estimate */

    return gmk_before32(tail, (uint32_t)limit) ? gmk_min32((uint32_t)limit - tail, r->mask + 1)
                                               : 0;
}

/* Cursors. A shared word each: the position next to be read, and a bit while its owner
 * copies. ------------------------------------------------------------------------- */

#define GMK_CURSOR_HELD ((uint64_t)1 << 63)

GMK_FN uint64_t gmk_cursor_next(const gmk_a64_t *cursor, int scope)
{
    return gmk_load_acq(cursor, scope) & ~GMK_CURSOR_HELD; /* sync: credit.cursor */
}

/* Shows that everything before next has been read, and lets go of a hold.
 * threads: the owner. Wait-free. */
GMK_FN void gmk_cursor_pass(gmk_a64_t *cursor, uint64_t next, int scope)
{
    gmk_store_rel(cursor, next, scope); /* sync: credit.cursor */
}

/* Keeps others from moving the cursor until the pass. threads: the owner.
 * returns: false when somebody has moved it; *next is where it stands. */
GMK_FN bool gmk_cursor_hold(gmk_a64_t *cursor, uint64_t *next, int scope)
{
    return gmk_cas_ar(cursor, next, *next | GMK_CURSOR_HELD, scope); /* sync: credit.cursor */
}

/* Moves somebody else's cursor from next to next + n. returns: false when its owner holds it
 * or it stands elsewhere. */
GMK_FN bool gmk_cursor_skip(gmk_a64_t *cursor, uint64_t next, uint32_t n, int scope)
{
    return gmk_cas_ar(cursor, &next, next + n, scope); /* sync: credit.cursor */
}

/* Adds reader i, whose cursor begins at the tail. threads: joiners and leavers one at a time.
 * pre: i is not in the set; all that a producer reads of it is written. Lock-free. */
GMK_FN void gmk_credit_join(gmk_credit_t *r, uint32_t i, gmk_a64_t *cursor, int scope)
{
    uint64_t bit = (uint64_t)1 << (32 + i);
    uint64_t w = gmk_load_acq(&r->claim, scope); /* sync: credit.readers */

    do
        gmk_cursor_pass(cursor, gmk_credit_extend(r, (uint32_t)w, scope), scope);
    while (!gmk_cas_ar(&r->claim, &w, w | bit, scope)); /* sync: credit.readers */
}

/* Takes the readers of a set out. returns: the first position that is not for them. */
GMK_FN uint64_t gmk_credit_leave(gmk_credit_t *r, uint32_t set, int scope)
{
    uint64_t w = gmk_and_ar(&r->claim, ~((uint64_t)set << 32), scope); /* sync: credit.readers */

    return gmk_credit_extend(r, (uint32_t)w, scope);
}

#endif
