/* SPDX-License-Identifier: MIT
 * Bounded ring of many producers and many consumers, with a turn word in each slot.
 * Floor: F1. No storage of its own, no pointers: slots lie `stride` bytes apart from
 * `base`, each beginning with its turn word; all-zero memory with the masks set is a
 * valid empty ring.
 * Invariants: capacity = mask + 1 is a power of two >= 2. The slot of position p has
 *   turn == (p & ~mask) when free for p, and that | 1 when full for p. The head is
 *   never after the tail, the tail never more than the capacity after the head.
 * Threads: every call from any thread, but the _sp forms from the one producer and
 *   the _sc forms from the one consumer. Lock-free; a thread that stops between claim
 *   and publish delays those after it (they see "empty" or "full"), never corrupts.
 * Order: GMK_PUBLISH of a turn pairs with GMK_POLL of it (mpmc.turn), in both
 *   directions: contents written before publish are seen after take, and reads done
 *   before release happen before the next producer's writes.
 * A position comes round after 2^32 operations: a thread must not sleep that long
 * between its look at the index and its compare-and-swap.
 * Source: SPEC; D. Vyukov's bounded queue; ARCHITECTURE R2. */
#ifndef GGMK_PRIM_MPMC_H
#define GGMK_PRIM_MPMC_H

#include "ggmk/base/atomic.h"
#include "ggmk/base/bits.h"

typedef struct gmk_mpmc {
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t tail; /* next position to fill */
    uint32_t mask_p;
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t head; /* next position to take */
    uint32_t mask_c;
} gmk_mpmc_t;

/* Makes r an empty ring whose first position is start (0 but in tests of the wrap).
 * pre: cap is a power of two >= 2; start is a multiple of cap and, unless start is 0,
 * every turn word already holds start; nobody uses r. */
GMK_FN void gmk_mpmc_setup(gmk_mpmc_t *r, uint32_t cap, uint32_t start)
{
    r->tail = start;
    r->head = start;
    r->mask_p = cap - 1;
    r->mask_c = cap - 1;
}

GMK_FN gmk_a32_t *gmk_mpmc_turn(const void *base, uint32_t mask, uint32_t pos, uint32_t stride)
{
    return (gmk_a32_t *)((char *)base + (size_t)(pos & mask) * stride);
}

/* How many slots from pos on, at most want, are free for their position. */
GMK_FN uint32_t gmk_mpmc_free(const void *base, uint32_t mask, uint32_t pos, uint32_t stride,
                              uint32_t want, int scope)
{
    uint32_t n = 0;

    while (n < want && GMK_POLL(gmk_mpmc_turn(base, mask, pos + n, stride), scope) ==
                           ((pos + n) & ~mask)) /* sync: mpmc.turn */
        n++;
    return n;
}

/* How many slots from pos on, at most want, are full for their position. */
GMK_FN uint32_t gmk_mpmc_full(const void *base, uint32_t mask, uint32_t pos, uint32_t stride,
                              uint32_t want, int scope)
{
    uint32_t n = 0;

    while (n < want && GMK_POLL(gmk_mpmc_turn(base, mask, pos + n, stride), scope) ==
                           (((pos + n) & ~mask) | 1)) /* sync: mpmc.turn */
        n++;
    return n;
}

/* Producer: claims up to want free slots, *pos on. Returns how many; 0: full. The
 * caller writes them and must publish all of them.
 * cost: one compare-and-swap a call, not a slot. */
GMK_FN uint32_t gmk_mpmc_claim(gmk_mpmc_t *r, const void *base, uint32_t stride, uint32_t want,
                               uint32_t *pos, int scope)
{
    uint32_t mask = r->mask_p;
    uint32_t p = gmk_load_rlx(&r->tail, scope); /* relaxed: the turn word decides */

    for (;;) {
        uint32_t n = gmk_mpmc_free(base, mask, p, stride, want, scope);
        if (n == 0) {
            uint32_t now = gmk_load_rlx(&r->tail, scope); /* relaxed: as above */
            if (now == p)
                return 0;
            p = now;
            continue;
        }
        if (gmk_cas_rlx(&r->tail, &p, p + n, scope)) { /* relaxed: the turn word orders */
            GMK_TAKE_FENCE(scope);
            *pos = p;
            return n;
        }
        gmk_lost_batch(want);
        p = gmk_load_rlx(&r->tail, scope); /* relaxed: as above */
    }
}

/* As gmk_mpmc_claim for a ring with one producer: no compare-and-swap. */
GMK_FN uint32_t gmk_mpmc_claim_sp(gmk_mpmc_t *r, const void *base, uint32_t stride, uint32_t want,
                                  uint32_t *pos, int scope)
{
    uint32_t p = gmk_load_rlx(&r->tail, scope); /* relaxed: the producer's own */
    uint32_t n = gmk_mpmc_free(base, r->mask_p, p, stride, want, scope);

    if (n != 0) {
        gmk_store_rlx(&r->tail, p + n, scope); /* relaxed: the turn word orders */
        GMK_TAKE_FENCE(scope);
    }
    *pos = p;
    return n;
}

/* Producer: hands n claimed and written slots over, the first one last: a consumer
 * that waits at it then finds all of them, and leaves the others' lines alone till
 * they are handed over. */
GMK_FN void gmk_mpmc_publish(gmk_mpmc_t *r, const void *base, uint32_t stride, uint32_t pos,
                             uint32_t n, int scope)
{
    uint32_t mask = r->mask_p;

    GMK_PUBLISH_FENCE(scope);
    for (uint32_t i = n; i-- > 0;)
        GMK_PUBLISH(gmk_mpmc_turn(base, mask, pos + i, stride), ((pos + i) & ~mask) | 1,
                    scope); /* sync: mpmc.turn */
}

/* Asks for the lines of n full slots, which their consumer reads and gives back by a
 * store: one transfer a line instead of two. For one slot it gains nothing. */
GMK_FN void gmk_mpmc_own(const void *base, uint32_t mask, uint32_t pos, uint32_t stride, uint32_t n)
{
    if (n > 1)
        for (uint32_t i = 0; i < n; i++)
            GMK_PREFETCH_WRITE(gmk_mpmc_turn(base, mask, pos + i, stride));
}

/* Consumer: takes up to want full slots, *pos on. Returns how many; 0: empty. The
 * caller reads them and must release all of them. */
GMK_FN uint32_t gmk_mpmc_take(gmk_mpmc_t *r, const void *base, uint32_t stride, uint32_t want,
                              uint32_t *pos, int scope)
{
    uint32_t mask = r->mask_c;
    uint32_t p = gmk_load_rlx(&r->head, scope); /* relaxed: the turn word decides */

    for (;;) {
        uint32_t n = gmk_mpmc_full(base, mask, p, stride, want, scope);
        if (n == 0) {
            uint32_t now = gmk_load_rlx(&r->head, scope); /* relaxed: as above */
            if (now == p)
                return 0;
            p = now;
            continue;
        }
        gmk_mpmc_own(base, mask, p, stride, n);
        if (gmk_cas_rlx(&r->head, &p, p + n, scope)) { /* relaxed: the turn word orders */
            GMK_TAKE_FENCE(scope);
            *pos = p;
            return n;
        }
        gmk_lost_batch(want);
        p = gmk_load_rlx(&r->head, scope); /* relaxed: as above */
    }
}

/* As gmk_mpmc_take for a ring with one consumer: no compare-and-swap. */
GMK_FN uint32_t gmk_mpmc_take_sc(gmk_mpmc_t *r, const void *base, uint32_t stride, uint32_t want,
                                 uint32_t *pos, int scope)
{
    uint32_t p = gmk_load_rlx(&r->head, scope); /* relaxed: the consumer's own */
    uint32_t n = gmk_mpmc_full(base, r->mask_c, p, stride, want, scope);

    gmk_mpmc_own(base, r->mask_c, p, stride, n);
    if (n != 0) {
        gmk_store_rlx(&r->head, p + n, scope); /* relaxed: the turn word orders */
        GMK_TAKE_FENCE(scope);
    }
    *pos = p;
    return n;
}

/* Consumer: gives n taken slots back, the first one last, as publish does. */
GMK_FN void gmk_mpmc_release(gmk_mpmc_t *r, const void *base, uint32_t stride, uint32_t pos,
                             uint32_t n, int scope)
{
    uint32_t mask = r->mask_c;

    GMK_PUBLISH_FENCE(scope);
    for (uint32_t i = n; i-- > 0;)
        GMK_PUBLISH(gmk_mpmc_turn(base, mask, pos + i, stride), ((pos + i) & ~mask) + mask + 1,
                    scope); /* sync: mpmc.turn */
}

/* Slots claimed and not yet taken: exact at rest, else a recent value. */
GMK_FN uint32_t gmk_mpmc_count(const gmk_mpmc_t *r, int scope)
{
    uint32_t head = gmk_load_rlx(&r->head, scope); /* relaxed: an estimate */
    uint32_t tail = gmk_load_rlx(&r->tail, scope); /* relaxed: an estimate */
    uint32_t n = tail - head;

    if ((int32_t)n < 0)
        return 0;
    return gmk_min32(n, r->mask_c + 1);
}

/* A full slot stands at the head. With the caller's own earlier sequentially
 * consistent operation this is the re-check of a parking protocol. */
GMK_FN bool gmk_mpmc_ready(const gmk_mpmc_t *r, const void *base, uint32_t stride, int scope)
{
    uint32_t p = gmk_load_rlx(&r->head, scope); /* relaxed: the turn word decides */

    for (;;) {
        if (gmk_mpmc_full(base, r->mask_c, p, stride, 1, scope) != 0)
            return true;
        uint32_t now = gmk_load_rlx(&r->head, scope); /* relaxed: as above */
        if (now == p)
            return false;
        p = now;
    }
}

#endif
