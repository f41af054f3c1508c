/* SPDX-License-Identifier: MIT
 * The fault guard's private side, shared by the hosted machines.
 * Floor: HAL. Source: SPEC FM-11, V-73. */
#ifndef GGMK_GUARD_H
#define GGMK_GUARD_H

#include <setjmp.h>

#include "ggmk/hal.h"

/* A guarded call under way. */
typedef struct gmk_guard_frame {
    sigjmp_buf env;
    struct gmk_guard_frame *outer;
    const volatile uint32_t *inside;
    uint32_t holds; /* when it began */
    volatile uint32_t fault;
    volatile uintptr_t low; /* how far down the stack was in use at the fault; 0: not known */
} gmk_guard_frame_t;

/* What a thread (a fiber) is in. holds: locks and gmk_hal_guard_hold. */
typedef struct gmk_guard_self {
    gmk_guard_frame_t *frame;
    uint32_t holds;
} gmk_guard_self_t;

extern __thread gmk_guard_self_t gmk_guard_self;

/* The signal actions; counted. returns: 0, or -1. threads: any. */
int gmk_guard_install(void);
void gmk_guard_remove(void);

#endif
