/* SPDX-License-Identifier: MIT
 * Bare-metal parking: the thread blocks; a processor with no other halts, and a wake-up from
 * another one is an interrupt (vector 0xFE).
 * Floor: HAL. Source: SPEC HAL-2, HAL-7; ARCHITECTURE R9. */
#include "arch/x86_64/smp/thread.h"

void gmk_hal_park_init(gmk_hal_park_t *p) { p->word = 0; }
void gmk_hal_park_destroy(gmk_hal_park_t *p) { (void)p; }

uint32_t gmk_hal_park_word(gmk_hal_park_t *p)
{
    return gmk_load_acq(&p->word, GMK_DEV); /* sync: hal.park */
}

void gmk_hal_park_wait(gmk_hal_park_t *p, uint32_t seen, uint64_t timeout_ns)
{
    x86_wait(&p->word, seen, timeout_ns);
}

void gmk_hal_park_wake(gmk_hal_park_t *p)
{
    gmk_add_sc(&p->word, 1, GMK_DEV); /* sync: hal.park */
    x86_wake(&p->word, UINT32_MAX);
}
