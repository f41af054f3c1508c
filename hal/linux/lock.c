/* SPDX-License-Identifier: MIT
 * Linux locks: mutexes.
 * Floor: HAL. Source: SPEC HAL-2. */
#define _GNU_SOURCE
#include "ggmk/hal.h"

void gmk_hal_lock_init(gmk_hal_lock_t *l) { pthread_mutex_init(&l->mutex, NULL); }
void gmk_hal_lock_acquire(gmk_hal_lock_t *l) { pthread_mutex_lock(&l->mutex); }
void gmk_hal_lock_release(gmk_hal_lock_t *l) { pthread_mutex_unlock(&l->mutex); }
void gmk_hal_lock_destroy(gmk_hal_lock_t *l) { pthread_mutex_destroy(&l->mutex); }
