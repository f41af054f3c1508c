/* SPDX-License-Identifier: MIT
 * The seed's SPSC ring: elements of a fixed size, copied in and out.
 * Floor: F3 (the allocating calls are in src/mem). Built on prim/spsc.h.
 * Source: SPEC; ARCHITECTURE R2. */
#ifndef GGMK_RING_SPSC_H
#define GGMK_RING_SPSC_H

#include "ggmk/error.h"
#include "ggmk/prim/spsc.h"

typedef struct gmk_ring_spsc {
    gmk_spsc_t ring;
    void *buf;
    uint32_t elem_size;
    uint32_t stride;
    bool owned; /* buf came from init and goes with destroy */
} gmk_ring_spsc_t;

GMK_EXTERN_C_BEGIN

/* cap elements of elem_size bytes in memory of the machine. pre: cap is a power of two,
 * elem_size > 0. returns: 0, or -1 on a bad argument or for want of memory. */
GMK_NODISCARD int gmk_ring_spsc_init(gmk_ring_spsc_t *r, uint32_t cap, uint32_t elem_size);

/* The same in the caller's memory: cap * elem_size bytes. Allocates nothing. */
GMK_NODISCARD int gmk_ring_spsc_init_buf(gmk_ring_spsc_t *r, uint32_t cap, uint32_t elem_size,
                                         void *buf);

/* Frees what init took. pre: nobody uses r. */
void gmk_ring_spsc_destroy(gmk_ring_spsc_t *r);

/* Copies one element in (producer) or out (consumer). returns: 0; -1 when full or empty,
 * or on a null argument. threads: one producer, one consumer. cost: wait-free. */
GMK_NODISCARD int gmk_ring_spsc_push(gmk_ring_spsc_t *r, const void *elem);
GMK_NODISCARD int gmk_ring_spsc_pop(gmk_ring_spsc_t *r, void *elem);

/* A recent value; exact when the other side rests; of null, an empty ring's that is not full.
 * threads: any. */
uint32_t gmk_ring_spsc_count(const gmk_ring_spsc_t *r);
bool gmk_ring_spsc_full(const gmk_ring_spsc_t *r);
bool gmk_ring_spsc_empty(const gmk_ring_spsc_t *r);

GMK_EXTERN_C_END

#endif
