/* SPDX-License-Identifier: MIT
 * Atomic operations by width and scope; the spelling is the port's.
 * Floor: F0. The port header "atomic_port.h" is found by include path: host and
 * CUDA in hal/common, the simulated machine in hal/sim; an installed tree has it
 * beside this file.
 * It defines the field types and, for scope sc in {GMK_DEV, GMK_SYS}:
 *   gmk_a32_t gmk_a64_t                 an object has one scope for life
 *   gmk_load_{rlx,acq,sc}(p, sc)        gmk_store_{rlx,rel}(p, v, sc)
 *   gmk_{add,sub,or,and,xchg}_{rlx,ar,sc}(p, v, sc)   old value; sc is seq_cst
 *   gmk_cas_{rlx,acq,rel,ar,sc}(p, &expected, v, sc)  strong; failure is relaxed
 *                                       (acquire for ar and sc)
 *   GMK_POLL GMK_TAKE_FENCE GMK_PUBLISH_FENCE GMK_PUBLISH     ring order
 *   gmk_pause()                         one spin-wait hint
 *   GMK_PREFETCH_WRITE(p)               this line is read and then written
 * Every use carries a comment "sync: label" that names the pair in
 * docs/ATOMICS.md, or "relaxed: why that is enough"; make lint checks it.
 * Source: ARCHITECTURE R1, R2. */
#ifndef GGMK_BASE_ATOMIC_H
#define GGMK_BASE_ATOMIC_H

#include "ggmk/base/compiler.h"

/* Scope: agents of one kernel, or both kernels of the machine. */
#define GMK_DEV 0
#define GMK_SYS 1

/* What the simulated machine can make fail: GMK_FAULT(kind) of the port says when. */
enum gmk_fault { GMK_FAULT_ALLOC, GMK_FAULT_QUEUE };

#include "atomic_port.h"

/* After a lost compare-and-swap the loser stays away for about a microsecond, so
 * that the winner runs a stretch of operations on lines it owns. Operations on n
 * slots at once last longer, and so does the stretch: 4.5 us for 32 slots. */
#define GMK_LOST_RACE_PAUSES 44u
#define GMK_LOST_SLOT_PAUSES 4u /* more for each slot, */
#define GMK_LOST_SLOTS_MAX 32u  /* but not for more than these */

GMK_FN void gmk_lost_batch(uint32_t n)
{
    uint32_t slots = n < GMK_LOST_SLOTS_MAX ? n : GMK_LOST_SLOTS_MAX;

    for (uint32_t i = 0; i < GMK_LOST_RACE_PAUSES + GMK_LOST_SLOT_PAUSES * slots; i++)
        gmk_pause();
}

GMK_FN void gmk_lost_race(void) { gmk_lost_batch(1); }

/* A counter with one writer and any readers: no read-modify-write. */
GMK_FN void gmk_count_add(gmk_a64_t *c, uint64_t n)
{
    /* relaxed: one writer; a reader wants a recent value, not an order */
    gmk_store_rlx(c, gmk_load_rlx(c, GMK_DEV) + n, GMK_DEV);
}

GMK_FN uint64_t gmk_count_get(const gmk_a64_t *c)
{
    return gmk_load_rlx(c, GMK_DEV); /* relaxed: a statistic */
}

#endif
