/* SPDX-License-Identifier: MIT
 * Linux processors: threads, pinned on request.
 * Floor: HAL. Source: SPEC HAL-2. */
#define _GNU_SOURCE
#include "ggmk/hal.h"

#include <sched.h>
#include <unistd.h>

static void *thread_entry(void *arg)
{
    gmk_hal_thread_t *t = arg;

    return t->fn(t->arg);
}

/* The n-th processor that this process may use. */
static int nth_cpu(uint32_t n)
{
    cpu_set_t set;
    int cpu = 0;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return (int)n;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &set))
            continue;
        cpu = i;
        if (n-- == 0)
            break;
    }
    return cpu;
}

int gmk_hal_cpu_start(gmk_hal_thread_t *t, uint32_t cpu, void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    int rc;

    t->fn = fn;
    t->arg = arg;
    t->started = false;
    if (pthread_attr_init(&attr) != 0)
        return -1;
    if (cpu != GMK_HAL_ANY_CPU) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(nth_cpu(cpu % gmk_hal_cpu_count()), &set);
        pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
    }
    rc = pthread_create(&t->id, &attr, thread_entry, t);
    pthread_attr_destroy(&attr);
    t->started = rc == 0;
    return rc == 0 ? 0 : -1;
}

int gmk_hal_thread_join(gmk_hal_thread_t *t)
{
    if (!t->started)
        return -1;
    t->started = false;
    return pthread_join(t->id, NULL) == 0 ? 0 : -1;
}

uint32_t gmk_hal_cpu_count(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
    return 1;
}

void gmk_hal_relax(void) { sched_yield(); }
