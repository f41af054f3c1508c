/* SPDX-License-Identifier: MIT
 * Bare metal: kernel threads, locks that wait asleep, eventcounts.
 * Floor: HAL. Source: SPEC HAL-4; ARCHITECTURE R9, R13. */
#ifndef GGMK_HAL_TYPES_H
#define GGMK_HAL_TYPES_H

struct x86_thread;

typedef struct gmk_hal_thread {
    struct x86_thread *thread; /* null: not started */
} gmk_hal_thread_t;

/* 0 free, 1 held, 2 held and somebody waits. */
typedef struct gmk_hal_lock {
    gmk_a32_t word;
} gmk_hal_lock_t;

/* Faults have a stack of their own already. */
typedef struct gmk_hal_guard {
    bool entered;
} gmk_hal_guard_t;

/* How often it was woken. */
typedef struct gmk_hal_park {
    gmk_a32_t word;
} gmk_hal_park_t;

typedef struct gmk_hal_region {
    void *base;
    size_t bytes;
    int handle; /* none: there is one address space */
} gmk_hal_region_t;

#endif
