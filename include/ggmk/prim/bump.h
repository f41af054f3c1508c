/* SPDX-License-Identifier: MIT
 * Bump offset: hands out aligned pieces of a region of `size` bytes, all freed at once.
 * Floor: F1. Offsets only, no pointers: all-zero memory with `size` set is an unused
 * region. The caller adds the offset to the region's base wherever it is mapped.
 * Invariants: 0 <= used <= size < 2^64 - 1; pieces given since the last reset are
 *   disjoint and within [0, used). used never passes size, not even for a moment.
 * Threads: take, used and high from any thread; setup and reset while nobody takes.
 *   take is lock-free.
 * Order: take orders nothing, the caller hands contents over by other means; reset's
 *   store of `used` pairs with the load in high (bump.reset).
 * Source: SPEC AL-6. */
#ifndef GGMK_PRIM_BUMP_H
#define GGMK_PRIM_BUMP_H

#include "ggmk/base/atomic.h"
#include "ggmk/base/bits.h"

/* gmk_bump and gmk_bump_reset are calls of ggmk/alloc.h; these are gmk_bumpoff. */
typedef struct gmk_bumpoff {
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a64_t used; /* bytes gone, padding included */
    gmk_a64_t high;                                /* greatest `used` of earlier lives */
    uint64_t size;
} gmk_bumpoff_t;

#define GMK_BUMPOFF_NONE UINT64_MAX

/* Makes b an unused region. pre: size < UINT64_MAX; nobody uses b. */
GMK_FN void gmk_bumpoff_setup(gmk_bumpoff_t *b, uint64_t size)
{
    b->used = 0;
    b->high = 0;
    b->size = size;
}

/* Takes size bytes at a multiple of align. pre: align is a power of two.
 * returns: the offset, or GMK_BUMPOFF_NONE if no room is left (nothing is taken then).
 * cost: one compare-and-swap. */
GMK_FN uint64_t gmk_bumpoff_take(gmk_bumpoff_t *b, uint64_t size, uint64_t align, int scope)
{
    uint64_t used = gmk_load_rlx(&b->used, scope); /* relaxed: the swap decides */

    for (;;) {
        uint64_t pad = (0 - used) & (align - 1);
        uint64_t room = b->size - used;
        if (pad > room || size > room - pad)
            return GMK_BUMPOFF_NONE;
        /* relaxed: a piece is nobody's before, and handed over by other means after */
        if (gmk_cas_rlx(&b->used, &used, used + pad + size, scope))
            return used + pad;
        gmk_lost_race();
        used = gmk_load_rlx(&b->used, scope); /* relaxed: as above */
    }
}

/* Bytes gone since the last reset, padding included. */
GMK_FN uint64_t gmk_bumpoff_used(const gmk_bumpoff_t *b, int scope)
{
    return gmk_load_rlx(&b->used, scope); /* relaxed: an estimate */
}

/* The greatest `used` since setup; it never goes down. order: who sees a later life of
 * `used` also sees the high of the lives before it. */
GMK_FN uint64_t gmk_bumpoff_high(const gmk_bumpoff_t *b, int scope)
{
    uint64_t used = gmk_load_acq(&b->used, scope); /* sync: bump.reset */
    uint64_t high = gmk_load_rlx(&b->high, scope); /* relaxed: ordered by the line above */

    return gmk_max64(used, high);
}

/* Frees all pieces. pre: no piece is in use and nobody takes: the caller has seen the
 * last use of each happen before, and the next take happens after. */
GMK_FN void gmk_bumpoff_reset(gmk_bumpoff_t *b, int scope)
{
    uint64_t high = gmk_bumpoff_high(b, scope);

    gmk_store_rlx(&b->high, high, scope); /* relaxed: the store below orders it */
    gmk_store_rel(&b->used, 0, scope);    /* sync: bump.reset */
}

#endif
