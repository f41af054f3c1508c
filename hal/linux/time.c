/* SPDX-License-Identifier: MIT
 * Linux clocks. The cycle counter is the processor's where it has one.
 * Floor: HAL. Source: SPEC HAL-2, T-19. */
#define _GNU_SOURCE
#include "ggmk/hal.h"

#include <pthread.h>
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

#if defined(__x86_64__)
/* One reading of both clocks, the pair closest together of a few: a thread may be
 * interrupted between the two. */
static void read_both(uint64_t *ns, uint64_t *cycles)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < 8; i++) {
        uint64_t c0 = gmk_hal_cycles();
        uint64_t t = gmk_hal_now_ns();
        uint64_t c1 = gmk_hal_cycles();

        if (c1 - c0 < best) {
            best = c1 - c0;
            *ns = t;
            *cycles = c0 + (c1 - c0) / 2;
        }
    }
}

static pthread_once_t hz_once = PTHREAD_ONCE_INIT;
static uint64_t hz;

static void measure_hz(void)
{
    uint64_t t0 = 0, c0 = 0, t1 = 0, c1 = 0;

    do { /* anew if the process was stopped meanwhile: the product would not fit */
        read_both(&t0, &c0);
        do
            read_both(&t1, &c1);
        while (t1 - t0 < 2000000);
    } while (t1 - t0 > 1000000000);
    hz = (c1 - c0) * 1000000000 / (t1 - t0);
}

uint64_t gmk_hal_cycles_hz(void)
{
    pthread_once(&hz_once, measure_hz);
    return hz;
}
#else
uint64_t gmk_hal_cycles_hz(void) { return 1000000000; }
#endif
