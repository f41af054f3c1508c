/* SPDX-License-Identifier: MIT
 * Ticket spinlock that keeps interrupts off while it is held.
 * Floor: arch. Held for tens of instructions; first come, first served. A holder takes no
 * other lock but as docs/BAREMETAL.md orders them, touches no demand-paged memory and never
 * sleeps. Source: SPEC HAL-2, BM-10. */
#ifndef X86_LOCK_H
#define X86_LOCK_H

#include "arch/x86_64/cpu/cpu.h"

typedef struct x86_lock {
    gmk_a32_t next, serving;
} x86_lock_t;

/* Called while a lock is waited for, with interrupts off: answers what others may need from
 * this processor to go on (a TLB shootdown). */
void x86_lock_waits(void);

/* returns: what x86_unlock_irq wants. threads: any, interrupts too, not the holder. */
static inline uint64_t x86_lock_irq(x86_lock_t *l)
{
    uint64_t flags = x86_irq_save();
    uint32_t ticket = gmk_add_rlx(&l->next, 1, GMK_DEV); /* relaxed: a place in the line */

    while (gmk_load_acq(&l->serving, GMK_DEV) != ticket) /* sync: x86.lock */
        x86_lock_waits();
    return flags;
}

static inline void x86_unlock_irq(x86_lock_t *l, uint64_t flags)
{
    /* relaxed: only the holder writes it */
    gmk_store_rel(&l->serving, gmk_load_rlx(&l->serving, GMK_DEV) + 1,
                  GMK_DEV); /* sync: x86.lock */
    x86_irq_restore(flags);
}

#endif
