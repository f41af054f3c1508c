/* SPDX-License-Identifier: MIT
 * Local queue: a double-ended ring of 64-byte task cells that one worker alone uses.
 * Floor: F1. The storage is the caller's: cap + 1 cells and cap pointers to them. A cell
 * that is taken stays where it is and is read in place until the next take: the pointers
 * move, the cells do not. Turn words are neither read nor written, there are no atomics.
 * Invariants: capacity = mask + 1 is a power of two; on the 32-bit circle
 *   0 <= newest - oldest <= mask + 1; positions oldest .. newest - 1 hold the cells,
 *   position p in *order[p & mask]. order and spare name each cell exactly once.
 *   Both indices run free and wrap: the capacity divides 2^32.
 * Threads: the owner, every call. What others may steal is moved to a turn ring first.
 * Source: ARCHITECTURE R3 (the private part of a local queue). */
#ifndef GGMK_PRIM_LQ_H
#define GGMK_PRIM_LQ_H

#include "ggmk/prim/cells.h"

/* Never seen by another kernel, so it may hold pointers. */
typedef struct gmk_lq {
    uint32_t newest; /* one after the newest cell */
    uint32_t oldest; /* the oldest cell */
    uint32_t mask;
    gmk_cell_t **order;
    gmk_cell_t *spare; /* the cell taken last */
} gmk_lq_t;

/* Makes q an empty queue of cap cells whose first position is start (0 but in tests
 * of the wrap). pre: cap is a power of two; cells has cap + 1, order cap entries. */
GMK_FN void gmk_lq_setup(gmk_lq_t *q, gmk_cell_t *cells, gmk_cell_t **order, uint32_t cap,
                         uint32_t start)
{
    q->newest = start;
    q->oldest = start;
    q->mask = cap - 1;
    q->order = order;
    q->spare = &cells[cap];
    for (uint32_t i = 0; i < cap; i++)
        order[i] = &cells[i];
}

/* Cells in the queue. */
GMK_FN uint32_t gmk_lq_count(const gmk_lq_t *q) { return q->newest - q->oldest; }

/* Cells that can still be pushed. */
GMK_FN uint32_t gmk_lq_room(const gmk_lq_t *q) { return q->mask + 1 - gmk_lq_count(q); }

/* The cell of position p; that of the newest index is the one that a push would fill. */
GMK_FN gmk_cell_t *gmk_lq_at(const gmk_lq_t *q, uint32_t p) { return q->order[p & q->mask]; }

/* Pushes a copy at the newest end. returns: false if full. cost: O(1), one line. */
GMK_FN bool gmk_lq_push_newest(gmk_lq_t *q, const gmk_cell_t *from)
{
    if (GMK_UNLIKELY(gmk_lq_count(q) > q->mask))
        return false;
    gmk_cell_copy(gmk_lq_at(q, q->newest), from);
    q->newest++;
    return true;
}

/* Pushes a copy at the oldest end: it is the next of take_oldest and the last of
 * take_newest. returns: false if full. */
GMK_FN bool gmk_lq_push_oldest(gmk_lq_t *q, const gmk_cell_t *from)
{
    if (GMK_UNLIKELY(gmk_lq_count(q) > q->mask))
        return false;
    q->oldest--;
    gmk_cell_copy(gmk_lq_at(q, q->oldest), from);
    return true;
}

/* Private: the cell at position p, just taken, is the caller's; the spare one takes its place. */
GMK_FN gmk_cell_t *gmk_lq_swap(gmk_lq_t *q, uint32_t p)
{
    gmk_cell_t **at = &q->order[p & q->mask];
    gmk_cell_t *c = *at;

    *at = q->spare;
    q->spare = c;
    return c;
}

/* Drops the newest cell and hands it out in place. It is the caller's until the next take,
 * whatever is pushed meanwhile. returns: null if empty. cost: O(1), no copy. */
GMK_FN gmk_cell_t *gmk_lq_take_newest(gmk_lq_t *q)
{
    uint32_t p = q->newest;

    if (p == q->oldest)
        return NULL;
    q->newest = p - 1;
    return gmk_lq_swap(q, p - 1);
}

/* The same with the oldest cell. */
GMK_FN gmk_cell_t *gmk_lq_take_oldest(gmk_lq_t *q)
{
    uint32_t p = q->oldest;

    if (p == q->newest)
        return NULL;
    q->oldest = p + 1;
    return gmk_lq_swap(q, p);
}

/* Copies the oldest cell out and drops it: for who may be inside a take's cell. returns:
 * false if empty. */
GMK_FN bool gmk_lq_pop_oldest(gmk_lq_t *q, gmk_cell_t *to)
{
    if (q->newest == q->oldest)
        return false;
    gmk_cell_copy(to, gmk_lq_at(q, q->oldest));
    q->oldest++;
    return true;
}

/* Moves up to n of the oldest cells, oldest first, to the turn ring r with its cells `to`.
 * pre: the owner is the one producer of r; r is not used across kernels (a local queue
 * never leaves its kernel, so the scope is GMK_DEV).
 * returns: how many moved; 0: nothing here or no room there. */
GMK_FN uint32_t gmk_lq_move_oldest(gmk_lq_t *q, gmk_mpmc_t *r, gmk_cell_t *to, uint32_t n)
{
    uint32_t pos;
    uint32_t want = gmk_min32(n, gmk_lq_count(q));
    uint32_t k = gmk_mpmc_claim_sp(r, to, GMK_CELL_STRIDE, want, &pos, GMK_DEV);

    for (uint32_t i = 0; i < k; i++)
        gmk_cell_copy(&to[(pos + i) & r->mask_p], gmk_lq_at(q, q->oldest + i));
    if (k != 0)
        gmk_mpmc_publish(r, to, GMK_CELL_STRIDE, pos, k, GMK_DEV);
    q->oldest += k;
    return k;
}

#endif
