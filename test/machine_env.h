/* SPDX-License-Identifier: MIT
 * What the tests of the machine itself stand on: they run in the kernel alone.
 * Floor: tests. Source: SPEC O.3, O.5. */
#ifndef TEST_MACHINE_ENV_H
#define TEST_MACHINE_ENV_H

#include "arch/x86_64/cpu/clock.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/lapic.h"
#include "arch/x86_64/cpu/tables.h"
#include "arch/x86_64/smp/thread.h"
#include "ggmk/hal.h"
#include "ggmk/test.h"

/* A test that waits this long has found something lost; nothing is measured by it. */
#define WAIT_NS 60000000000ull

/* sync: test.machine */
GMK_FN uint32_t word_add(gmk_a32_t *w, uint32_t n) { return gmk_add_sc(w, n, GMK_DEV); }
/* sync: test.machine */
GMK_FN uint32_t word_get(gmk_a32_t *w) { return gmk_load_acq(w, GMK_DEV); }
/* sync: test.machine */
GMK_FN void word_set(gmk_a32_t *w, uint32_t v) { gmk_store_rel(w, v, GMK_DEV); }

/* Waits until *w >= least. returns: false if that never comes. */
GMK_FN bool word_until(gmk_a32_t *w, uint32_t least)
{
    uint64_t end = clock_now_ns() + WAIT_NS;

    while (word_get(w) < least) {
        if (clock_now_ns() > end)
            return false;
        x86_relax();
    }
    return true;
}

/* The same without letting another thread run. */
GMK_FN bool word_spin(gmk_a32_t *w, uint32_t least)
{
    uint64_t end = clock_now_ns() + WAIT_NS;

    while (word_get(w) < least) {
        if (clock_now_ns() > end)
            return false;
        x86_pause();
    }
    return true;
}

/* fn(arg) as a thread of every processor, at one time; returns when all have ended. */
GMK_FN void on_every_cpu(void *(*fn)(void *), void *arg)
{
    static x86_thread_t *threads[X86_MAX_CPUS];

    for (uint32_t i = 0; i < x86_n_cpus; i++)
        GMK_REQUIRE(x86_thread_start(&threads[i], i, fn, arg) == 0);
    for (uint32_t i = 0; i < x86_n_cpus; i++)
        x86_thread_join(threads[i]);
}

#endif
