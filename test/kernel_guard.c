/* SPDX-License-Identifier: MIT
 * The fault guard on bare metal: what test_guard.c, which is for all machines, cannot provoke.
 * Faults that are not the guard's are panics: run=fault has them. Floor: tests.
 * Source: SPEC FM-11, V-73; hal.h. */
#include "arch/x86_64/memory/vmm.h"
#include "machine_env.h"

static const uint32_t inside;
static volatile uint32_t zero, sum;
static gmk_a32_t n_rings;

static uint32_t guarded(void (*fn)(void *), void *arg)
{
    return gmk_hal_guard_call(fn, arg, &inside);
}

static void read_at(void *at) { sum = *(volatile uint32_t *)at; }
static void call_at(void *at) { ((void (*)(void))at)(); }

static void large_frame(void *arg)
{
    volatile char large[3 * X86_THREAD_STACK];

    (void)arg;
    large[zero] = 1; /* far below the guard page */
    sum += (uint32_t)large[zero];
}

static void divide(void *arg)
{
    (void)arg;
    sum = 7 / zero;
}

static void backwards(void *arg)
{
    __asm__ volatile("std");
    read_at(arg);
}

/* Kinds that only this machine can tell apart. */
GMK_TEST(kernel_guard_every_kind_of_fault_has_its_name)
{
    static uint8_t data_code[16] = {0xc3};
    char *freed = vmm_area_alloc(8192, 0, 0);

    GMK_REQUIRE(freed != NULL);
    gmk_test_assert_eq(vmm_area_free(freed, 8192), 0);
    for (uint32_t i = 0; i < 3; i++) {
        gmk_test_assert_eq(guarded(read_at, NULL), GMK_HAL_FAULT_MEMORY);
        gmk_test_assert_eq(guarded(read_at, (void *)0x1000deadbeef0000), GMK_HAL_FAULT_MEMORY);
        gmk_test_assert_eq(guarded(read_at, freed), GMK_HAL_FAULT_MEMORY);
        gmk_test_assert_eq(guarded(call_at, data_code), GMK_HAL_FAULT_MEMORY);
        gmk_test_assert_eq(guarded(divide, NULL), GMK_HAL_FAULT_ARITHMETIC);
        gmk_test_assert_eq(guarded(large_frame, NULL), GMK_HAL_FAULT_STACK);
        gmk_test_assert_eq(guarded(read_at, (void *)(uintptr_t)&inside), GMK_HAL_FAULT_NONE);
    }
}

/* The caller goes on as after any call: interrupts on, strings forwards, nothing held. */
GMK_TEST(kernel_guard_the_caller_goes_on_as_after_any_call)
{
    uint64_t flags;

    gmk_test_assert_eq(guarded(backwards, NULL), GMK_HAL_FAULT_MEMORY);
    __asm__ volatile("pushfq; popq %0" : "=r"(flags));
    gmk_test_assert_eq(flags >> 10 & 1, 0);
    gmk_test_assert_eq(flags >> 9 & 1, 1);
    gmk_test_assert_eq(x86_cpu_self()->interrupts, 0);
}

static void *fault_often(void *wrong)
{
    for (uint32_t i = 0; i < 200; i++) {
        word_add(wrong, guarded(read_at, NULL) != GMK_HAL_FAULT_MEMORY);
        word_add(wrong, guarded(large_frame, NULL) != GMK_HAL_FAULT_STACK);
    }
    return NULL;
}

/* Each processor has stacks of its own for it: all fault at one time. */
GMK_TEST(kernel_guard_all_processors_fault_at_once)
{
    gmk_a32_t wrong = 0;

    on_every_cpu(fault_often, &wrong);
    gmk_test_assert_eq(word_get(&wrong), 0);
}

static void ring(void *arg)
{
    (void)arg;
    word_add(&n_rings, 1);
}

/* Stands at the very end of the stack and turns interrupts on: the one that waits finds no room
 * for its frame. */
static void stand_at_the_end(void *end)
{
    __asm__ volatile("movq %0, %%rsp\n\t"
                     "sti\n"
                     "1: pause\n\t"
                     "jmp 1b"
                     :
                     : "r"(end)
                     : "memory");
}

static void *end_of_stack_with(void *arg)
{
    char here;
    /* The stack is 64 KiB, a guard page below it; this frame is near its top. */
    uintptr_t low = ((uintptr_t)&here & ~(uintptr_t)4095) - X86_THREAD_STACK + 4096;
    uint32_t before = word_get(&n_rings);
    uint64_t timer = x86_cpu_self()->n_timer;

    x86_cli(); /* until it stands there: it must not come before */
    if (arg != NULL)
        lapic_send_ipi(x86_cpu_self()->apic_id, (uint8_t)(uintptr_t)arg);
    else
        x86_timer_within(1000000);
    gmk_test_assert_eq(guarded(stand_at_the_end, (void *)(low + 16)), GMK_HAL_FAULT_STACK);
    if (arg != NULL)
        gmk_test_assert_eq(word_get(&n_rings), before + 1);
    else
        gmk_test_assert_gt(x86_cpu_self()->n_timer, timer);
    gmk_test_assert_eq(lapic_in_service(), 0);
    return NULL;
}

/* An interrupt that finds the stack used up is the end of the guarded call, but its own work is
 * done and acknowledged: or the processor would never take another of its rank. */
GMK_TEST(kernel_guard_an_interrupt_at_the_end_of_the_stack_is_not_lost)
{
    int vector = x86_irq_alloc(ring, NULL);
    x86_thread_t *t;

    GMK_REQUIRE(vector > 0);
    for (uint32_t i = 0; i < 20; i++) {
        void *arg = i % 2 == 0 ? (void *)(uintptr_t)vector : NULL;

        GMK_REQUIRE(x86_thread_start(&t, i % x86_n_cpus, end_of_stack_with, arg) == 0);
        x86_thread_join(t);
    }
    gmk_test_assert_eq(word_get(&n_rings), 10);
    x86_irq_free(vector);
}
