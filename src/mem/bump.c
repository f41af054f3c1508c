/* SPDX-License-Identifier: MIT
 * The bump allocator: one offset that all agents raise, emptied at once.
 * Floor: F3.
 * Invariants: 0 <= bump_used <= bump_bytes, a multiple of 16, also under contention
 *   and refused requests; it only rises between two resets.
 * Threads: any; a reset when no bump pointer is in use.
 * Order: mem.bump: reset writes the peak before it clears the offset, so a reader that
 *   sees the offset small sees the peak.
 * Source: SPEC AL-6 to AL-8. */
#include "mem/mem.h"

#include "ggmk/base/bits.h"

void *gmki_bump(gmki_cache_t *c, uint32_t size)
{
    gmk_alloc_t *m = c->m;
    uint64_t bytes = gmk_align_up(size, 16);
    uint64_t at = gmk_load_rlx(&m->bump_used, GMK_DEV); /* relaxed: the add below decides */

    do {
        if (size == 0 || bytes > m->bump_bytes - at || GMK_UNLIKELY(GMK_FAULT(GMK_FAULT_ALLOC)))
            return gmki_mem_failed(c, GMK_ALLOC_BUMP, size);
    } while (!gmk_cas_acq(&m->bump_used, &at, at + bytes, GMK_DEV)); /* sync: mem.bump */
    gmk_count_add(&c->n_bumps, 1);
    gmki_count(c->obs, 0, GMK_METRIC_ALLOC_BYTES, bytes);
    return m->bump + at;
}

static void bump_note_peak(gmk_alloc_t *m, uint64_t used)
{
    uint64_t peak = gmk_load_rlx(&m->bump_peak, GMK_DEV); /* relaxed: only ever raised */

    while (used > peak) {
        if (gmk_cas_rlx(&m->bump_peak, &peak, used, GMK_DEV)) /* relaxed: as above */
            return;
    }
}

void gmki_bump_reset(gmk_alloc_t *m)
{
    uint64_t used = gmk_load_rlx(&m->bump_used, GMK_DEV); /* relaxed: pre: nobody bumps */

    bump_note_peak(m, used);
    bump_note_peak(m, gmk_xchg_ar(&m->bump_used, 0, GMK_DEV)); /* sync: mem.bump */
    gmk_add_rlx(&m->n_resets, 1, GMK_DEV); /* relaxed: a statistic */
}
