/* SPDX-License-Identifier: MIT
 * Linux: threads, mutexes, futex words, shared memory.
 * Floor: HAL. Source: SPEC HAL-2, HAL-4; ARCHITECTURE R9, R13. */
#ifndef GGMK_HAL_TYPES_H
#define GGMK_HAL_TYPES_H

#include <pthread.h>

typedef struct gmk_hal_thread {
    pthread_t id;
    void *(*fn)(void *);
    void *arg;
    bool started;
} gmk_hal_thread_t;

typedef struct gmk_hal_lock {
    pthread_mutex_t mutex;
} gmk_hal_lock_t;

/* The signal stack of a guarded thread, and what it had before. */
#define GMK_HAL_GUARD_STACK (64u << 10)
typedef struct gmk_hal_guard {
    char stack[GMK_HAL_GUARD_STACK];
    void *was_sp;
    size_t was_bytes;
    int was_flags;
    bool entered;
} gmk_hal_guard_t;

/* The futex word: how often it was woken. */
typedef struct gmk_hal_park {
    gmk_a32_t word;
} gmk_hal_park_t;

typedef struct gmk_hal_region {
    void *base;
    size_t bytes;
    int handle; /* a file descriptor that another process can map */
} gmk_hal_region_t;

#endif
