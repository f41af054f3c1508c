/* SPDX-License-Identifier: MIT
 * Bare-metal locks: tickets. A holder is not switched away from; who waits lets others run.
 * Floor: HAL. Source: SPEC HAL-2. */
#include "arch/x86_64/smp/thread.h"

void gmk_hal_lock_init(gmk_hal_lock_t *l)
{
    l->next = 0;
    l->serving = 0;
}

/* Counted from before it is taken until after it is given back: a fault in between is not
 * the guard's, and the turn does not end there. */
void gmk_hal_lock_acquire(gmk_hal_lock_t *l)
{
    uint32_t ticket;

    x86_hold();
    ticket = gmk_add_rlx(&l->next, 1, GMK_DEV);          /* relaxed: a place in the line */
    while (gmk_load_acq(&l->serving, GMK_DEV) != ticket) /* sync: x86.hal_lock */
        x86_relax();
}

void gmk_hal_lock_release(gmk_hal_lock_t *l)
{
    uint32_t next = gmk_load_rlx(&l->serving, GMK_DEV) + 1; /* relaxed: only the holder writes it */

    gmk_store_rel(&l->serving, next, GMK_DEV); /* sync: x86.hal_lock */
    x86_drop();
}

void gmk_hal_lock_destroy(gmk_hal_lock_t *l) { (void)l; }
