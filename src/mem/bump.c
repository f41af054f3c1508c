/* SPDX-License-Identifier: MIT
 * The bump allocator: one offset that all agents raise, emptied at once.
 * Floor: F3.
 * Invariants: 0 <= used <= size, a multiple of 16, also under contention and refused
 *   requests (prim/bump.h).
 * Threads: any; a reset when no bump pointer is in use and nobody bumps.
 * Source: SPEC AL-6 to AL-8. */
#include "mem/mem.h"

void *gmki_bump(gmki_cache_t *c, uint32_t size)
{
    gmk_alloc_t *m = c->m;
    uint64_t bytes = gmk_align_up(size, 16);
    uint64_t at;

    if (size == 0 || GMK_UNLIKELY(GMK_FAULT(GMK_FAULT_ALLOC)))
        return gmki_mem_failed(c, GMK_ALLOC_BUMP, size);
    at = gmk_bumpoff_take(&m->bump_off, bytes, 16, GMK_DEV);
    if (GMK_UNLIKELY(at == GMK_BUMPOFF_NONE))
        return gmki_mem_failed(c, GMK_ALLOC_BUMP, size);
    gmk_count_add(&c->n_bumps, 1);
    gmk_count_add(&c->n_bump_bytes, bytes);
    gmk_count_add(c->n_bytes, bytes);
    return m->bump + at;
}

void gmki_bump_reset(gmk_alloc_t *m)
{
    gmk_bumpoff_reset(&m->bump_off, GMK_DEV);
    gmk_count_add(&m->n_resets, 1);
}
