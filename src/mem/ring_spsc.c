/* SPDX-License-Identifier: MIT
 * The seed's SPSC ring calls on prim/spsc.h.
 * Floor: F3.
 * Invariants: stride == elem_size; the ring owns buf only if init made it.
 * Threads: one producer, one consumer. Order: spsc.tail, spsc.head (prim/spsc.h).
 * Source: SPEC. */
#include "ggmk/ring_spsc.h"

#include "mem/elem.h"

static bool spsc_args_ok(const gmk_ring_spsc_t *r, uint32_t cap, uint32_t elem_size)
{
    return r != NULL && gmk_is_pow2(cap) && elem_size != 0;
}

int gmk_ring_spsc_init_buf(gmk_ring_spsc_t *r, uint32_t cap, uint32_t elem_size, void *buf)
{
    if (!spsc_args_ok(r, cap, elem_size) || buf == NULL)
        return -1;
    gmk_spsc_setup(&r->ring, cap, 0);
    r->buf = buf;
    r->elem_size = elem_size;
    r->stride = elem_size;
    r->owned = false;
    return 0;
}

int gmk_ring_spsc_init(gmk_ring_spsc_t *r, uint32_t cap, uint32_t elem_size)
{
    void *buf;

    if (!spsc_args_ok(r, cap, elem_size))
        return -1;
    buf = gmk_hal_calloc(cap, elem_size);
    if (buf == NULL || gmk_ring_spsc_init_buf(r, cap, elem_size, buf) != 0)
        return -1;
    r->owned = true;
    return 0;
}

void gmk_ring_spsc_destroy(gmk_ring_spsc_t *r)
{
    if (r == NULL)
        return;
    if (r->owned)
        gmk_hal_free(r->buf);
    gmk_hal_memset(r, 0, sizeof(*r));
}

int gmk_ring_spsc_push(gmk_ring_spsc_t *r, const void *elem)
{
    uint32_t pos;

    if (r == NULL || elem == NULL || gmk_spsc_claim(&r->ring, 1, &pos, GMK_DEV) == 0)
        return -1;
    gmki_elem_copy(gmk_spsc_at(r->buf, r->ring.mask_p, pos, r->stride), elem, r->elem_size);
    gmk_spsc_publish(&r->ring, pos, 1, GMK_DEV);
    return 0;
}

int gmk_ring_spsc_pop(gmk_ring_spsc_t *r, void *elem)
{
    uint32_t pos;

    if (r == NULL || elem == NULL || gmk_spsc_take(&r->ring, 1, &pos, GMK_DEV) == 0)
        return -1;
    gmki_elem_copy(elem, gmk_spsc_at(r->buf, r->ring.mask_c, pos, r->stride), r->elem_size);
    gmk_spsc_release(&r->ring, pos, 1, GMK_DEV);
    return 0;
}

uint32_t gmk_ring_spsc_count(const gmk_ring_spsc_t *r)
{
    return r != NULL ? gmk_spsc_count(&r->ring, GMK_DEV) : 0;
}

bool gmk_ring_spsc_full(const gmk_ring_spsc_t *r)
{
    return r != NULL && gmk_ring_spsc_count(r) == r->ring.mask_p + 1;
}

bool gmk_ring_spsc_empty(const gmk_ring_spsc_t *r) { return gmk_ring_spsc_count(r) == 0; }
