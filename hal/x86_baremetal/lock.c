/* SPDX-License-Identifier: MIT
 * Bare-metal locks. A holder is not switched away from, so a waiter spins for a moment; then it
 * sleeps. First come is not first served: a place in a line that must be kept while its owner
 * sleeps holds all those behind it up.
 * Floor: HAL. Source: SPEC HAL-2; U. Drepper, Futexes Are Tricky (three states). */
#include "arch/x86_64/smp/thread.h"

enum { FREE, HELD, WANTED };

#define SPINS 64u

void gmk_hal_lock_init(gmk_hal_lock_t *l) { l->word = FREE; }

static bool take(gmk_hal_lock_t *l)
{
    uint32_t word = FREE;

    return gmk_cas_ar(&l->word, &word, HELD, GMK_DEV); /* sync: x86.hal_lock */
}

/* Counted from before it is taken until after it is given back: a fault in between is not
 * the guard's, and the turn does not end there. */
void gmk_hal_lock_acquire(gmk_hal_lock_t *l)
{
    x86_hold();
    for (uint32_t i = 0; i < SPINS; i++) {
        if (take(l))
            return;
        x86_spin();
    }
    while (gmk_xchg_ar(&l->word, WANTED, GMK_DEV) != FREE) /* sync: x86.hal_lock */
        x86_wait(&l->word, WANTED, X86_FOREVER);
}

void gmk_hal_lock_release(gmk_hal_lock_t *l)
{
    if (gmk_xchg_sc(&l->word, FREE, GMK_DEV) == WANTED) /* sync: x86.hal_lock */
        x86_wake(&l->word, 1);
    x86_drop();
}

void gmk_hal_lock_destroy(gmk_hal_lock_t *l) { (void)l; }
