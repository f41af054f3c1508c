/* SPDX-License-Identifier: MIT
 * Linux fault guard: a signal stack for each guarded thread, so that a handler that has
 * used up its own stack can be told so.
 * Floor: HAL. Source: SPEC FM-11, V-73; sigaltstack(2). */
#define _GNU_SOURCE
#include "guard.h"

#include <signal.h>

int gmk_hal_guard_open(void) { return gmk_guard_install(); }
void gmk_hal_guard_close(void) { gmk_guard_remove(); }

void gmk_hal_guard_enter(gmk_hal_guard_t *g)
{
    stack_t mine = {.ss_sp = g->stack, .ss_size = sizeof(g->stack)};
    stack_t was;

    g->entered = sigaltstack(&mine, &was) == 0;
    if (!g->entered)
        return;
    g->was_sp = was.ss_sp;
    g->was_bytes = was.ss_size;
    g->was_flags = was.ss_flags;
}

void gmk_hal_guard_leave(gmk_hal_guard_t *g)
{
    stack_t was = {.ss_sp = g->was_sp, .ss_size = g->was_bytes, .ss_flags = g->was_flags};

    if (g->entered)
        sigaltstack(&was, NULL);
    g->entered = false;
}
