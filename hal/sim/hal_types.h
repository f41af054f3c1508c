/* SPDX-License-Identifier: MIT
 * The simulated machine: fibers, flags, counters.
 * Floor: HAL. Source: ARCHITECTURE R14. */
#ifndef GGMK_HAL_TYPES_H
#define GGMK_HAL_TYPES_H

typedef struct gmk_hal_thread {
    uint32_t fiber; /* index + 1; 0: never started */
} gmk_hal_thread_t;

typedef struct gmk_hal_lock {
    bool held;
} gmk_hal_lock_t;

typedef struct gmk_hal_guard {
    bool entered;
} gmk_hal_guard_t;

typedef struct gmk_hal_park {
    uint32_t word;
} gmk_hal_park_t;

typedef struct gmk_hal_region {
    void *base;
    size_t bytes;
    int handle;
} gmk_hal_region_t;

#endif
