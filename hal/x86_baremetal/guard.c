/* SPDX-License-Identifier: MIT
 * Bare-metal fault guard: the trap puts the thread back behind its guarded call.
 * Floor: HAL. Source: SPEC FM-11, V-73. */
#include "arch/x86_64/smp/runq.h"

int gmk_hal_guard_open(void) { return 0; }
void gmk_hal_guard_close(void) {}
void gmk_hal_guard_enter(gmk_hal_guard_t *g) { g->entered = true; }
void gmk_hal_guard_leave(gmk_hal_guard_t *g) { g->entered = false; }

uint32_t gmk_hal_guard_call(void (*fn)(void *), void *arg, const volatile uint32_t *inside)
{
    x86_thread_t *me = x86_thread_self();
    x86_guard_t g;
    uint32_t fault;

    g.outer = me->guard;
    g.inside = inside;
    g.holds = me->holds;
    me->guard = &g;
    fault = x86_guard_enter(&g, fn, arg);
    me->guard = g.outer;
    return fault;
}

void gmk_hal_guard_hold(void) { x86_hold(); }
void gmk_hal_guard_drop(void) { x86_drop(); }
