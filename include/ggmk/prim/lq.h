/* SPDX-License-Identifier: MIT
 * Local queue: a double-ended ring of 64-byte task cells that one worker alone uses.
 * Floor: F1. No storage of its own, no pointers, no atomics: all-zero memory with the
 * mask set is a valid empty queue over any cells. Turn words are neither read nor written.
 * Invariants: capacity = mask + 1 is a power of two; on the 32-bit circle
 *   0 <= newest - oldest <= mask + 1, and positions oldest .. newest - 1 hold the cells,
 *   position p in cells[p & mask]. Both indices run free and wrap: the capacity divides
 *   2^32, so p & mask goes on without a seam.
 * Threads: the owner, every call. What others may steal is moved to a turn ring first.
 * Source: ARCHITECTURE R3 (the private part of a local queue). */
#ifndef GGMK_PRIM_LQ_H
#define GGMK_PRIM_LQ_H

#include "ggmk/prim/cells.h"

typedef struct gmk_lq {
    uint32_t newest; /* one after the newest cell */
    uint32_t oldest; /* the oldest cell */
    uint32_t mask;
} gmk_lq_t;

/* Makes q an empty queue of cap cells whose first position is start (0 but in tests
 * of the wrap). pre: cap is a power of two. */
GMK_FN void gmk_lq_setup(gmk_lq_t *q, uint32_t cap, uint32_t start)
{
    q->newest = start;
    q->oldest = start;
    q->mask = cap - 1;
}

/* Cells in the queue. */
GMK_FN uint32_t gmk_lq_count(const gmk_lq_t *q) { return q->newest - q->oldest; }

/* Cells that can still be pushed. */
GMK_FN uint32_t gmk_lq_room(const gmk_lq_t *q) { return q->mask + 1 - gmk_lq_count(q); }

/* Pushes a copy at the newest end. returns: false if full. cost: O(1), one line. */
GMK_FN bool gmk_lq_push_newest(gmk_lq_t *q, gmk_cell_t *cells, const gmk_cell_t *from)
{
    if (GMK_UNLIKELY(gmk_lq_count(q) > q->mask))
        return false;
    gmk_cell_copy(&cells[q->newest & q->mask], from);
    q->newest++;
    return true;
}

/* Copies the newest cell out and drops it. returns: false if empty. cost: as push. */
GMK_FN bool gmk_lq_pop_newest(gmk_lq_t *q, const gmk_cell_t *cells, gmk_cell_t *to)
{
    if (q->newest == q->oldest)
        return false;
    q->newest--;
    gmk_cell_copy_fresh(to, &cells[q->newest & q->mask]);
    return true;
}

/* Pushes a copy at the oldest end: it is the next of pop_oldest and the last of
 * pop_newest. returns: false if full. */
GMK_FN bool gmk_lq_push_oldest(gmk_lq_t *q, gmk_cell_t *cells, const gmk_cell_t *from)
{
    if (GMK_UNLIKELY(gmk_lq_count(q) > q->mask))
        return false;
    q->oldest--;
    gmk_cell_copy(&cells[q->oldest & q->mask], from);
    return true;
}

/* Copies the oldest cell out and drops it. returns: false if empty. */
GMK_FN bool gmk_lq_pop_oldest(gmk_lq_t *q, const gmk_cell_t *cells, gmk_cell_t *to)
{
    if (q->newest == q->oldest)
        return false;
    gmk_cell_copy(to, &cells[q->oldest & q->mask]);
    q->oldest++;
    return true;
}

/* Moves up to n of the oldest cells, oldest first, to the turn ring r with its cells `to`.
 * pre: the owner is the one producer of r; r is not used across kernels (a local queue
 * never leaves its kernel, so the scope is GMK_DEV).
 * returns: how many moved; 0: nothing here or no room there. */
GMK_FN uint32_t gmk_lq_move_oldest(gmk_lq_t *q, const gmk_cell_t *cells, gmk_mpmc_t *r,
                                   gmk_cell_t *to, uint32_t n)
{
    uint32_t pos;
    uint32_t want = gmk_min32(n, gmk_lq_count(q));
    uint32_t k = gmk_mpmc_claim_sp(r, to, GMK_CELL_STRIDE, want, &pos, GMK_DEV);

    for (uint32_t i = 0; i < k; i++)
        gmk_cell_copy(&to[(pos + i) & r->mask_p], &cells[(q->oldest + i) & q->mask]);
    if (k != 0)
        gmk_mpmc_publish(r, to, GMK_CELL_STRIDE, pos, k, GMK_DEV);
    q->oldest += k;
    return k;
}

#endif
