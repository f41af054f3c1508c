/* SPDX-License-Identifier: MIT
 * Ways to crash, and a module that counts what sys.error says of it.
 * Floor: tests. Source: SPEC FM-11, V-73. */
#ifndef TEST_GUARD_ENV_H
#define TEST_GUARD_ENV_H

#include "kernel_env.h"

/* The sanitizers must leave the crash to the processor. */
#define CRASHES                                                                                    \
    GMK_NOINLINE                                                                                   \
    __attribute__((no_sanitize("address"), no_sanitize("undefined"), no_sanitize("thread")))

/* TSan keeps the jump buffers of a thread in one list that it sorts by stack address: with
 * fibers it loses some, and the jump out of the fault handler ends the program. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GUARD_TSAN 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define GUARD_TSAN 1
#endif
#if defined(GUARD_TSAN) && defined(GMK_SIM)
#define GUARD_WORKS 0
#else
#define GUARD_WORKS 1
#endif

enum { BY_NULL, BY_READ_ONLY, BY_DIVISION, BY_INSTRUCTION, BY_STACK, N_CRASHES };

static const uint32_t crash_constant[4] = {1, 2, 3, 4};
static volatile uint32_t crash_zero;
static volatile uint32_t crash_sum;

static CRASHES __attribute__((unused)) void crash_null(void)
{
    volatile uint32_t *volatile p = NULL;

    *p = 1;
}

static CRASHES __attribute__((unused)) void crash_read_only(void)
{
    volatile uint32_t *volatile p = (volatile uint32_t *)(uintptr_t)crash_constant;

    *p = 2;
}

static CRASHES __attribute__((unused)) void crash_division(void) { crash_sum = 7 / crash_zero; }

static CRASHES __attribute__((unused)) void crash_instruction(void)
{
    if (crash_zero == 0)
        __builtin_trap();
}

/* Frames without end, without recursion. */
static CRASHES __attribute__((unused)) void crash_stack(void)
{
    while (crash_zero == 0) {
        volatile char *p = __builtin_alloca(512);

        p[0] = 1;
    }
}

static __attribute__((unused)) void crash(uint32_t how)
{
    switch (how) {
    case BY_READ_ONLY:
        crash_read_only();
        break;
    case BY_DIVISION:
        crash_division();
        break;
    case BY_INSTRUCTION:
        crash_instruction();
        break;
    case BY_STACK:
        crash_stack();
        break;
    default:
        crash_null();
    }
}

#endif
