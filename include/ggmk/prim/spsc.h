/* SPDX-License-Identifier: MIT
 * Bounded ring of one producer and one consumer, elements of any fixed size.
 * Floor: F1. No storage of its own, no pointers: all-zero memory with `mask` set is
 * a valid empty ring that works at two addresses.
 * Invariants: 0 <= tail - head <= mask + 1 on the 32-bit circle;
 *   head_copy is never after head, tail_copy never after tail.
 * Threads: claim/publish/push by the producer, take/release/pop by the consumer,
 *   count by anybody. Each call is wait-free.
 * Order: GMK_PUBLISH of tail pairs with GMK_POLL of tail (spsc.tail); likewise head.
 * Source: SPEC; each side keeping a copy of the other's index is
 *   the technique of Lee et al., MCRingBuffer (2009). */
#ifndef GGMK_PRIM_SPSC_H
#define GGMK_PRIM_SPSC_H

#include "ggmk/base/atomic.h"
#include "ggmk/base/bits.h"

typedef struct gmk_spsc {
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t tail; /* next position to fill; producer writes */
    uint32_t head_copy;                            /* producer's last sight of head */
    uint32_t mask_p;
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t head; /* next position to take; consumer writes */
    uint32_t tail_copy;                            /* consumer's last sight of tail */
    uint32_t mask_c;
} gmk_spsc_t;

/* Makes r an empty ring of cap elements. pre: cap is a power of two; r is not in use. */
GMK_FN void gmk_spsc_setup(gmk_spsc_t *r, uint32_t cap, uint32_t start)
{
    r->tail = start;
    r->head = start;
    r->head_copy = start;
    r->tail_copy = start;
    r->mask_p = cap - 1;
    r->mask_c = cap - 1;
}

/* Producer: positions *pos .. *pos + n - 1 may be written; returns n <= want. */
GMK_FN uint32_t gmk_spsc_claim(gmk_spsc_t *r, uint32_t want, uint32_t *pos, int scope)
{
    uint32_t tail = gmk_load_rlx(&r->tail, scope); /* relaxed: the producer's own */
    uint32_t room = r->mask_p + 1 - (tail - r->head_copy);

    if (room < want) {
        r->head_copy = GMK_POLL(&r->head, scope); /* sync: spsc.head */
        GMK_TAKE_FENCE(scope);
        room = r->mask_p + 1 - (tail - r->head_copy);
    }
    *pos = tail;
    return gmk_min32(room, want);
}

/* Producer: hands the first n claimed positions over. */
GMK_FN void gmk_spsc_publish(gmk_spsc_t *r, uint32_t pos, uint32_t n, int scope)
{
    GMK_PUBLISH_FENCE(scope);
    GMK_PUBLISH(&r->tail, pos + n, scope); /* sync: spsc.tail */
}

/* Consumer: positions *pos .. *pos + n - 1 may be read; returns n <= want. */
GMK_FN uint32_t gmk_spsc_take(gmk_spsc_t *r, uint32_t want, uint32_t *pos, int scope)
{
    uint32_t head = gmk_load_rlx(&r->head, scope); /* relaxed: the consumer's own */
    uint32_t have = r->tail_copy - head;

    if (have < want) {
        r->tail_copy = GMK_POLL(&r->tail, scope); /* sync: spsc.tail */
        GMK_TAKE_FENCE(scope);
        have = r->tail_copy - head;
    }
    *pos = head;
    return gmk_min32(have, want);
}

/* Consumer: gives the first n taken positions back. */
GMK_FN void gmk_spsc_release(gmk_spsc_t *r, uint32_t pos, uint32_t n, int scope)
{
    GMK_PUBLISH_FENCE(scope);
    GMK_PUBLISH(&r->head, pos + n, scope); /* sync: spsc.head */
}

/* Elements in the ring: exact for its two threads at rest, else a recent value. */
GMK_FN uint32_t gmk_spsc_count(const gmk_spsc_t *r, int scope)
{
    uint32_t head = GMK_POLL(&r->head, scope); /* sync: spsc.head */
    uint32_t tail = GMK_POLL(&r->tail, scope); /* sync: spsc.tail */
    uint32_t n = tail - head;

    return n > r->mask_p + 1 ? r->mask_p + 1 : n;
}

/* Address of position pos. */
GMK_FN void *gmk_spsc_at(void *base, uint32_t mask, uint32_t pos, uint32_t stride)
{
    return (char *)base + (size_t)(pos & mask) * stride;
}

#endif
