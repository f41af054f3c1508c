/* SPDX-License-Identifier: MIT
 * Linux clocks. The cycle counter is the processor's where it has one.
 * Floor: HAL. Source: SPEC HAL-2, T-19. */
#define _GNU_SOURCE
#include "ggmk/hal.h"

#include <time.h>

uint64_t gmk_hal_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

uint64_t gmk_hal_cycles(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return gmk_hal_now_ns();
#endif
}

uint64_t gmk_hal_cycles_hz(void)
{
    uint64_t c0 = gmk_hal_cycles();
    uint64_t t0 = gmk_hal_now_ns();
    uint64_t t1;

    do
        t1 = gmk_hal_now_ns();
    while (t1 - t0 < 2000000);
    return (gmk_hal_cycles() - c0) * 1000 / (t1 - t0) * 1000000;
}
