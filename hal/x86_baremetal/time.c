/* SPDX-License-Identifier: MIT
 * Bare-metal clocks: both are the time-stamp counter.
 * Floor: HAL. Source: SPEC HAL-2, T-19. */
#include "arch/x86_64/cpu/clock.h"
#include "arch/x86_64/cpu/cpu.h"
#include "ggmk/hal.h"

uint64_t gmk_hal_now_ns(void) { return clock_now_ns(); }
uint64_t gmk_hal_cycles(void) { return x86_rdtsc(); }

/* A millionth too many: time reckoned from cycles is never ahead of the clock. */
uint64_t gmk_hal_cycles_hz(void) { return clock_hz() + clock_hz() / 1000000 + 1; }
