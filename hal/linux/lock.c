/* SPDX-License-Identifier: MIT
 * Linux locks: mutexes.
 * Floor: HAL. Source: SPEC HAL-2. */
#define _GNU_SOURCE
#include "guard.h"

void gmk_hal_lock_init(gmk_hal_lock_t *l) { pthread_mutex_init(&l->mutex, NULL); }

/* Counted from before it is taken until after it is given back: a fault in between is not
 * the guard's. */
void gmk_hal_lock_acquire(gmk_hal_lock_t *l)
{
    gmk_guard_self.holds++;
    pthread_mutex_lock(&l->mutex);
}

void gmk_hal_lock_release(gmk_hal_lock_t *l)
{
    pthread_mutex_unlock(&l->mutex);
    gmk_guard_self.holds--;
}

void gmk_hal_lock_destroy(gmk_hal_lock_t *l) { pthread_mutex_destroy(&l->mutex); }
