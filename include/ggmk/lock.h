/* SPDX-License-Identifier: MIT
 * The seed's names of the HAL lock. Floor: F2. Source: SPEC HAL-5. */
#ifndef GGMK_LOCK_H
#define GGMK_LOCK_H

#include "ggmk/hal.h"

typedef gmk_hal_lock_t gmk_lock_t;

static inline void gmk_lock_init(gmk_lock_t *l) { gmk_hal_lock_init(l); }
static inline void gmk_lock_acquire(gmk_lock_t *l) { gmk_hal_lock_acquire(l); }
static inline void gmk_lock_release(gmk_lock_t *l) { gmk_hal_lock_release(l); }
static inline void gmk_lock_destroy(gmk_lock_t *l) { gmk_hal_lock_destroy(l); }

#endif
