/* SPDX-License-Identifier: MIT
 * The seed's MPMC ring: elements of a fixed size, copied in and out.
 * Floor: F3 (the allocating calls are in src/mem). Built on prim/mpmc.h.
 * Source: SPEC; ARCHITECTURE R2. */
#ifndef GGMK_RING_MPMC_H
#define GGMK_RING_MPMC_H

#include "ggmk/error.h"
#include "ggmk/prim/mpmc.h"

typedef struct gmk_ring_mpmc {
    gmk_mpmc_t ring;
    void *buf;
    uint32_t elem_size;
    uint32_t stride;
    bool owned; /* buf came from init and goes with destroy */
} gmk_ring_mpmc_t;

/* Bytes that a buffer for gmk_ring_mpmc_init_buf must have; 0 on a bad argument. */
GMK_FN size_t gmk_ring_mpmc_bytes(uint32_t cap, uint32_t elem_size)
{
    if (!gmk_is_pow2(cap) || cap < 2 || elem_size == 0 || elem_size > 0xffff0000u)
        return 0;
    return (size_t)cap * (size_t)gmk_align_up(16 + (uint64_t)elem_size, 16);
}

GMK_EXTERN_C_BEGIN

/* cap elements of elem_size bytes in memory of the machine. pre: cap is a power of two
 * >= 2, elem_size > 0. returns: 0, or -1 on a bad argument or for want of memory. */
GMK_NODISCARD int gmk_ring_mpmc_init(gmk_ring_mpmc_t *r, uint32_t cap, uint32_t elem_size);

/* The same in the caller's memory of buf_size >= gmk_ring_mpmc_bytes(cap, elem_size)
 * bytes, aligned to 4; it is zeroed. Allocates nothing. */
GMK_NODISCARD int gmk_ring_mpmc_init_buf(gmk_ring_mpmc_t *r, uint32_t cap, uint32_t elem_size,
                                         void *buf, size_t buf_size);

/* Frees what init took. pre: nobody uses r. */
void gmk_ring_mpmc_destroy(gmk_ring_mpmc_t *r);

/* Copies one element in or out. returns: 0; -1 when full or empty, or on a
 * null argument. threads: any. cost: lock-free. */
GMK_NODISCARD int gmk_ring_mpmc_push(gmk_ring_mpmc_t *r, const void *elem);
GMK_NODISCARD int gmk_ring_mpmc_pop(gmk_ring_mpmc_t *r, void *elem);

/* Approximate; 0 of null. threads: any. */
uint32_t gmk_ring_mpmc_count(const gmk_ring_mpmc_t *r);

GMK_EXTERN_C_END

#endif
