/* SPDX-License-Identifier: MIT
 * Stack of node numbers, many pushers and poppers, linked through the caller's array.
 * Floor: F1. No storage of its own, no pointers: next[i] belongs to node i, which is
 * in one list at most; several lists may share one array. All-zero memory is a valid
 * empty list.
 * Invariants: head == tag << 32 | (1 + first node), lower half 0 when empty; next[i]
 *   holds the lower half that node i was pushed onto; every push raises the tag.
 * Threads: every call but fill from any thread. Lock-free.
 * Order: the head written by push pairs with the head read by pop (freelist.head):
 *   what a pusher wrote before, the popper of that node sees. Pops in between do not
 *   break the pair: they are read-modify-writes, part of its release sequence.
 * A tag comes round after 2^32 pushes: a popper must not sleep that long between its
 * look at the head and its compare-and-swap.
 * Source: R. K. Treiber (1986), tagged; ARCHITECTURE R1. */
#ifndef GGMK_PRIM_FREELIST_H
#define GGMK_PRIM_FREELIST_H

#include "ggmk/base/atomic.h"

typedef struct gmk_freelist {
    gmk_a64_t head;
} gmk_freelist_t;

#define GMK_FREELIST_NONE UINT32_MAX
#define GMK_FREELIST_TAG_ONE ((uint64_t)1 << 32)

/* Makes f hold the nodes 0 .. n - 1, to be popped in this order.
 * pre: n < 2^32 - 1; next has n words; nobody uses f. */
GMK_FN void gmk_freelist_fill(gmk_freelist_t *f, gmk_a32_t *next, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        next[i] = i + 1 < n ? i + 2 : 0;
    f->head = n != 0 ? 1 : 0;
}

/* Puts node i on top. pre: i is in no list and is the caller's. threads: any.
 * order: release, pairs with gmk_freelist_pop (freelist.head).
 * cost: one compare-and-swap when nobody interferes. */
GMK_FN void gmk_freelist_push(gmk_freelist_t *f, gmk_a32_t *next, uint32_t i, int scope)
{
    uint64_t h = gmk_load_rlx(&f->head, scope); /* relaxed: the compare-and-swap decides */

    for (;;) {
        uint64_t top = (h & ~(uint64_t)UINT32_MAX) + GMK_FREELIST_TAG_ONE + i + 1;

        gmk_store_rlx(&next[i], (uint32_t)h, scope); /* relaxed: the head publishes it */
        if (gmk_cas_rel(&f->head, &h, top, scope))   /* sync: freelist.head */
            return;
    }
}

/* Takes the top node, which is then the caller's; GMK_FREELIST_NONE: empty.
 * threads: any. order: acquire, pairs with gmk_freelist_push (freelist.head).
 * cost: one compare-and-swap when nobody interferes. */
GMK_FN uint32_t gmk_freelist_pop(gmk_freelist_t *f, const gmk_a32_t *next, int scope)
{
    for (;;) {
        uint64_t h = gmk_load_acq(&f->head, scope); /* sync: freelist.head */
        uint32_t i = (uint32_t)h - 1;
        uint64_t top;

        if ((uint32_t)h == 0)
            return GMK_FREELIST_NONE;
        /* relaxed: the acquired head covers it; if the node has moved on since, the
         * tag has risen and the compare-and-swap fails */
        top = (h & ~(uint64_t)UINT32_MAX) | gmk_load_rlx(&next[i], scope);
        if (gmk_cas_acq(&f->head, &h, top, scope)) /* sync: freelist.head */
            return i;
    }
}

/* No node is in f: a recent value. threads: any. */
GMK_FN bool gmk_freelist_empty(const gmk_freelist_t *f, int scope)
{
    return (uint32_t)gmk_load_rlx(&f->head, scope) == 0; /* relaxed: an estimate */
}

#endif
