/* SPDX-License-Identifier: MIT
 * Bare-metal processors: a worker is a kernel thread, spread evenly from processor 0 on.
 * Floor: HAL. Source: SPEC HAL-2, BM-1. */
#include "arch/x86_64/smp/thread.h"

int gmk_hal_cpu_start(gmk_hal_thread_t *t, uint32_t cpu, void *(*fn)(void *), void *arg)
{
    uint32_t on = cpu == GMK_HAL_ANY_CPU ? x86_least_loaded() : cpu % x86_n_cpus;

    t->thread = NULL;
    return x86_thread_start(&t->thread, on, fn, arg);
}

int gmk_hal_thread_join(gmk_hal_thread_t *t)
{
    struct x86_thread *thread = t->thread;

    if (thread == NULL)
        return -1;
    t->thread = NULL;
    x86_thread_join(thread);
    return 0;
}

uint32_t gmk_hal_cpu_count(void) { return x86_n_cpus; }
void gmk_hal_relax(void) { x86_relax(); }
