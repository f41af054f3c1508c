/* SPDX-License-Identifier: MIT
 * The seed's MPMC ring calls on prim/mpmc.h.
 * Floor: F3.
 * Invariants: a slot is its turn word, then at 16 the element; the ring owns buf only
 *   if init made it.
 * Threads: any. Order: mpmc.turn (prim/mpmc.h).
 * Source: SPEC. */
#include "ggmk/ring_mpmc.h"

#include "mem/elem.h"

#define ELEM_AT 16u

static void mpmc_begin(gmk_ring_mpmc_t *r, uint32_t cap, uint32_t elem_size, void *buf)
{
    gmk_mpmc_setup(&r->ring, cap, 0);
    r->buf = buf;
    r->elem_size = elem_size;
    r->stride = (uint32_t)gmk_align_up(ELEM_AT + elem_size, 16);
    r->owned = false;
}

int gmk_ring_mpmc_init_buf(gmk_ring_mpmc_t *r, uint32_t cap, uint32_t elem_size, void *buf,
                           size_t buf_size)
{
    size_t bytes = gmk_ring_mpmc_bytes(cap, elem_size);

    if (r == NULL || bytes == 0 || buf == NULL || buf_size < bytes ||
        (uintptr_t)buf % sizeof(gmk_a32_t) != 0)
        return -1;
    gmk_hal_memset(buf, 0, bytes);
    mpmc_begin(r, cap, elem_size, buf);
    return 0;
}

int gmk_ring_mpmc_init(gmk_ring_mpmc_t *r, uint32_t cap, uint32_t elem_size)
{
    size_t bytes = gmk_ring_mpmc_bytes(cap, elem_size);
    void *buf;

    if (r == NULL || bytes == 0)
        return -1;
    buf = gmk_hal_calloc(1, bytes);
    if (buf == NULL)
        return -1;
    mpmc_begin(r, cap, elem_size, buf);
    r->owned = true;
    return 0;
}

void gmk_ring_mpmc_destroy(gmk_ring_mpmc_t *r)
{
    if (r == NULL)
        return;
    if (r->owned)
        gmk_hal_free(r->buf);
    gmk_hal_memset(r, 0, sizeof(*r));
}

static void *mpmc_elem(const gmk_ring_mpmc_t *r, uint32_t pos)
{
    return (char *)r->buf + (size_t)(pos & r->ring.mask_p) * r->stride + ELEM_AT;
}

int gmk_ring_mpmc_push(gmk_ring_mpmc_t *r, const void *elem)
{
    uint32_t pos;

    if (r == NULL || elem == NULL ||
        gmk_mpmc_claim(&r->ring, r->buf, r->stride, 1, &pos, GMK_DEV) == 0)
        return -1;
    gmki_elem_copy(mpmc_elem(r, pos), elem, r->elem_size);
    gmk_mpmc_publish(&r->ring, r->buf, r->stride, pos, 1, GMK_DEV);
    return 0;
}

int gmk_ring_mpmc_pop(gmk_ring_mpmc_t *r, void *elem)
{
    uint32_t pos;

    if (r == NULL || elem == NULL ||
        gmk_mpmc_take(&r->ring, r->buf, r->stride, 1, &pos, GMK_DEV) == 0)
        return -1;
    gmki_elem_copy(elem, mpmc_elem(r, pos), r->elem_size);
    gmk_mpmc_release(&r->ring, r->buf, r->stride, pos, 1, GMK_DEV);
    return 0;
}

uint32_t gmk_ring_mpmc_count(const gmk_ring_mpmc_t *r)
{
    return r != NULL ? gmk_mpmc_count(&r->ring, GMK_DEV) : 0;
}
