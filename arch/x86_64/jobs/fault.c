/* SPDX-License-Identifier: MIT
 * run=fault fault=NAME: provokes a fault, to see what becomes of it (faults.def says what).
 * Floor: arch. Every provoking function is a call of its own, since its name must stand in the
 * dump. Source: SPEC BM-12, BM-13, ACC-27. */
#include "arch/x86_64/jobs/fault.h"

#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/lapic.h"
#include "arch/x86_64/cpu/lock.h"
#include "arch/x86_64/cpu/panic.h"
#include "arch/x86_64/cpu/pic.h"
#include "arch/x86_64/cpu/tables.h"
#include "arch/x86_64/jobs/jobs.h"
#include "arch/x86_64/memory/memops.h"
#include "arch/x86_64/memory/vmm.h"
#include "arch/x86_64/serial/kprintf.h"
#include "arch/x86_64/serial/serial.h"
#include "arch/x86_64/smp/thread.h"

#define FREE_VECTOR 0x77u /* nobody's */
#define NOT_CANONICAL 0x1000deadbeef0000ull
#define WILD 0xffffffffc0dec0d8ull
#define LARGE_FRAME (3 * X86_THREAD_STACK)

static const uint32_t constant[4] = {1, 2, 3, 4};
static uint8_t data_code[16] = {0xc3}; /* ret */
static volatile uint32_t zero, sum;
static x86_lock_t some_lock;

static void write_to(uintptr_t at) { *(volatile uint32_t *)at = 1; }

/* Bad memory. ------------------------------------------------------------------------ */

int provoke_null(void)
{
    write_to(8 + zero);
    return 1;
}

int provoke_text(void)
{
    write_to((uintptr_t)provoke_text);
    return 1;
}

int provoke_rodata(void)
{
    write_to((uintptr_t)constant);
    return 1;
}

int provoke_exec(void)
{
    ((void (*)(void))(uintptr_t)data_code)();
    return 1;
}

/* Frames without end, without recursion. */
int provoke_stack(void)
{
    while (zero == 0) {
        volatile char *p = __builtin_alloca(512);

        p[0] = 1;
    }
    return 1;
}

int provoke_frame(void)
{
    volatile char large[LARGE_FRAME];

    large[zero] = 1; /* its lowest byte: far below the guard page */
    return 1 + large[zero];
}

int provoke_freed(void)
{
    volatile uint32_t *p = vmm_area_alloc(16384, 0, 0);

    if (p == NULL)
        return 1;
    (void)vmm_area_free((void *)(uintptr_t)p, 16384);
    sum = *p;
    return 1;
}

int provoke_wild(void)
{
    sum = *(volatile uint32_t *)(WILD + zero);
    return 1;
}

/* Bad instructions. ------------------------------------------------------------------- */

int provoke_double(void)
{
    idt_break_divide(); /* so that the divide error finds no gate */
    sum = 7 / zero;
    return 1;
}

int provoke_divide(void)
{
    sum = 7 / zero;
    return 1;
}

int provoke_opcode(void)
{
    __asm__ volatile("ud2");
    return 1;
}

int provoke_gp(void)
{
    sum = *(volatile uint32_t *)(NOT_CANONICAL + zero);
    return 1;
}

int provoke_nmi(void)
{
    __asm__ volatile("int $2");
    return 1;
}

/* Interrupts. ------------------------------------------------------------------------- */

static void wait_until_over(const uint64_t *count, uint64_t least)
{
    while (*(const volatile uint64_t *)count < least)
        x86_relax();
}

int provoke_interrupt(void)
{
    uint64_t before = x86_irq_unhandled();
    uint32_t to = x86_cpus[x86_n_cpus - 1].apic_id;

    for (uint64_t i = 1; i <= 3; i++) {
        lapic_send_ipi(to, FREE_VECTOR);
        while (x86_irq_unhandled() < before + i)
            x86_relax();
    }
    __asm__ volatile("int $0x78");
    kprintf("fault: %lu interrupts came that nobody waits for\n", x86_irq_unhandled() - before);
    return x86_irq_unhandled() != before + 4;
}

int provoke_spurious(void)
{
    x86_cpu_t *cpu = x86_cpu_self();
    uint64_t before = cpu->n_spurious;

    __asm__ volatile("int $0xff"); /* as the APIC does it: nothing is in service */
    __asm__ volatile("int $0xe7"); /* line 7 of the first PIC, and of the second */
    __asm__ volatile("int $0xef");
    wait_until_over(&cpu->n_spurious, before + 3);
    kprintf("fault: %lu spurious interrupts counted\n", cpu->n_spurious - before);
    return 0;
}

static void panic_now(void *arg)
{
    (void)arg;
    PANIC("a device has asked for it");
}

GMK_NOINLINE static void interrupted_here(void)
{
    for (;;)
        x86_pause();
}

int provoke_irq(void)
{
    int vector = x86_irq_alloc(panic_now, NULL);

    lapic_send_ipi(x86_cpu_self()->apic_id, (uint8_t)vector);
    interrupted_here();
    return 1;
}

/* Panics. ------------------------------------------------------------------------------ */

static void *fault_on_a_processor(void *arg)
{
    write_to((uintptr_t)arg);
    return NULL;
}

int provoke_ap(void)
{
    x86_thread_t *t;

    if (x86_thread_start(&t, x86_n_cpus - 1, fault_on_a_processor, (void *)16) == 0)
        x86_thread_join(t);
    return 1;
}

static void fault_again(void)
{
    kprintf("fault: the last words begin\n");
    write_to(24 + zero);
}

int provoke_nested(void)
{
    panic_tell(fault_again);
    PANIC("a fault will cut this short");
}

static gmk_a32_t n_there;

static void *panic_with_all(void *arg)
{
    gmk_add_ar(&n_there, 1, GMK_DEV);                    /* sync: job.there */
    while (gmk_load_acq(&n_there, GMK_DEV) < x86_n_cpus) /* sync: job.there */
        x86_pause();
    PANIC("processor %u", (uint32_t)(uintptr_t)arg);
}

int provoke_both(void)
{
    x86_thread_t *t;

    for (uint32_t i = 1; i < x86_n_cpus; i++)
        if (x86_thread_start(&t, i, panic_with_all, (void *)(uintptr_t)i) != 0)
            return 1;
    panic_with_all(NULL);
    return 1;
}

#define ENDLESS (4u << 20)

static void *hold_the_console(void *text)
{
    gmk_add_ar(&n_there, 1, GMK_DEV); /* sync: job.there */
    serial_write(text, ENDLESS);
    return NULL;
}

/* On one processor the fault is in the writing itself: the bytes are at no address. */
int provoke_lock(void)
{
    char *text = vmm_area_alloc(ENDLESS, 0, VMM_POPULATE);
    x86_thread_t *t;

    if (text == NULL)
        return 1;
    if (x86_n_cpus == 1)
        serial_write((const char *)WILD, 8);
    memset(text, '.', ENDLESS);
    if (x86_thread_start(&t, 1, hold_the_console, text) != 0)
        return 1;
    while (gmk_load_acq(&n_there, GMK_DEV) == 0) /* sync: job.there */
        x86_relax();
    x86_sleep_ns(10000000); /* it has begun, and goes on for seconds */
    PANIC("the console is taken");
}

static void fault_with_a_lock(void *arg)
{
    x86_lock_irq(&some_lock);
    write_to((uintptr_t)arg);
}

int provoke_guarded_lock(void)
{
    uint32_t inside = 0;

    return 10 + (int)gmk_hal_guard_call(fault_with_a_lock, (void *)32, &inside);
}

static void fault_in_interrupt(void *arg) { write_to((uintptr_t)arg); }

static void be_interrupted(void *arg)
{
    lapic_send_ipi(x86_cpu_self()->apic_id, (uint8_t)(uintptr_t)arg);
    interrupted_here();
}

int provoke_guarded_irq(void)
{
    int vector = x86_irq_alloc(fault_in_interrupt, (void *)40);
    uint32_t inside = 0;

    return 10 + (int)gmk_hal_guard_call(be_interrupted, (void *)(uintptr_t)vector, &inside);
}

/* The job. ------------------------------------------------------------------------------ */

static const struct fault {
    const char *name, *text;
    int (*provoke)(void);
} faults[] = {
#define FAULT(name, text) {#name, text, provoke_##name},
#include "arch/x86_64/jobs/faults.def"
#undef FAULT
};

int job_fault(void)
{
    char name[24];
    int rc;

    boot_option("fault", name, sizeof(name));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(faults); i++) {
        if (strncmp(faults[i].name, name, sizeof(name)) != 0)
            continue;
        kprintf("fault: %s: %s\n", name, faults[i].text);
        rc = faults[i].provoke();
        kprintf("fault: the machine goes on (%d)\n", rc);
        return rc;
    }
    kprintf("ggmk: there is no fault=%s; there are:\n", name);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(faults); i++)
        kprintf("  fault=%-12s %s\n", faults[i].name, faults[i].text);
    return 2;
}
