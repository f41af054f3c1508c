/* SPDX-License-Identifier: MIT
 * IDT and what each vector does.
 * Floor: arch.
 * Invariants: an exception ends in demand paging, in a guarded call, or in the panic; an
 * interrupt is acknowledged before its thread may be switched; a vector that nobody waits for
 * is counted and reported once. Source: SPEC BM-13 to BM-19. */
#include "arch/x86_64/cpu/clock.h"
#include "arch/x86_64/cpu/lapic.h"
#include "arch/x86_64/cpu/lock.h"
#include "arch/x86_64/cpu/panic.h"
#include "arch/x86_64/cpu/pic.h"
#include "arch/x86_64/cpu/tables.h"
#include "arch/x86_64/memory/tlb.h"
#include "arch/x86_64/memory/vmm.h"
#include "arch/x86_64/serial/kprintf.h"
#include "arch/x86_64/smp/thread.h"

#define N_VECTORS 256u
#define INTERRUPT_GATE 0x8eull
#define PRESENT 1u /* bits of a page fault's error code */
#define WRITE 2u
#define RESERVED 8u
#define FETCH 16u

typedef struct gate {
    uint64_t low, high;
} gate_t;

typedef struct handler {
    void (*fn)(void *);
    void *arg;
} handler_t;

extern const uintptr_t idt_stubs[N_VECTORS];
void x86_trap(x86_frame_t *f); /* called by idt_stubs.S */

static gate_t idt[N_VECTORS];
static handler_t handlers[N_VECTORS];
static gmk_a32_t reported[N_VECTORS / 32];
static gmk_a64_t n_unhandled;
static x86_lock_t lock;
static gmk_a64_t shutdown_at; /* milliseconds; 0: none */
static gmk_a32_t *shutdown_flag;

/* The interrupt stack of a vector: 0 for the one that it finds. */
static uint64_t stack_of(uint32_t vector)
{
    switch (vector) {
    case X86_VECTOR_DOUBLE_FAULT:
        return 1;
    case X86_VECTOR_NMI:
        return 2;
    case 18: /* machine check */
        return 3;
    case X86_VECTOR_PAGE_FAULT:
        return 4;
    default:
        return 0;
    }
}

static void fill(void)
{
    for (uint32_t v = 0; v < N_VECTORS; v++) {
        uint64_t at = idt_stubs[v];

        idt[v].low = (at & 0xffff) | (uint64_t)X86_CODE << 16 | stack_of(v) << 32 |
                     INTERRUPT_GATE << 40 | (at >> 16 & 0xffff) << 48;
        idt[v].high = at >> 32;
    }
}

void idt_init(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        const void *base;
    } p = {.limit = sizeof(idt) - 1, .base = idt};

    if (idt[0].low == 0)
        fill();
    __asm__ volatile("lidt %0" : : "m"(p));
}

void idt_break_divide(void) { idt[0] = (gate_t){.low = 0}; }

int x86_irq_alloc(void (*fn)(void *), void *arg)
{
    uint64_t flags = x86_lock_irq(&lock);
    uint32_t v = X86_VECTOR_DEVICES;

    while (v < X86_PIC_VECTOR && handlers[v].fn != NULL)
        v++;
    if (v < X86_PIC_VECTOR) {
        handlers[v].arg = arg;
        handlers[v].fn = fn;
    }
    x86_unlock_irq(&lock, flags);
    return v < X86_PIC_VECTOR ? (int)v : -1;
}

void x86_irq_free(int vector)
{
    uint64_t flags = x86_lock_irq(&lock);

    handlers[vector].fn = NULL;
    x86_unlock_irq(&lock, flags);
}

uint64_t x86_irq_unhandled(void)
{
    return gmk_load_rlx(&n_unhandled, GMK_DEV); /* relaxed: a statistic */
}
uint64_t idt_get_timer_count(void) { return clock_now_ns() / 1000000; }

void idt_set_shutdown_timer(uint32_t ticks, gmk_a32_t *running)
{
    shutdown_flag = running;
    gmk_store_rlx(&shutdown_at, ticks != 0 ? idt_get_timer_count() + ticks : 0,
                  GMK_DEV); /* relaxed: read by timer interrupts of this processor */
    if (ticks != 0)
        x86_timer_within((uint64_t)ticks * 1000000);
}

static void check_shutdown(void)
{
    uint64_t at = gmk_load_rlx(&shutdown_at, GMK_DEV); /* relaxed: of this processor */
    uint64_t now;

    if (at == 0 || x86_cpu_self()->index != 0)
        return;
    now = idt_get_timer_count();
    if (now < at) {
        x86_timer_within((at - now) * 1000000);
        return;
    }
    gmk_store_rlx(&shutdown_at, 0, GMK_DEV);  /* relaxed: of this processor */
    gmk_store_rel(shutdown_flag, 0, GMK_DEV); /* sync: x86.shutdown */
}

/* Exceptions. ---------------------------------------------------------------------- */

static const char *fault_story(const x86_frame_t *f, uintptr_t at, bool on_stack)
{
    if (on_stack)
        return "the stack is used up";
    if ((f->error & RESERVED) != 0)
        return "a page table entry is damaged";
    if (at < 4096)
        return (f->error & FETCH) != 0 ? "call of null" : "null dereference";
    if ((f->error & FETCH) != 0 && (f->error & PRESENT) != 0)
        return "execution of data";
    if ((f->error & (PRESENT | WRITE)) == (PRESENT | WRITE))
        return "write to read-only memory";
    return vmm_describe(at);
}

static void interrupt(uint32_t vector);

/* An interrupt may find the end of the stack first: it was taken, but its frame could not be
 * written, and what came here is the page fault of that. Its handler runs now, or it would
 * never be acknowledged, and no other of its rank would come. */
static void interrupts_that_found_no_stack(void)
{
    x86_cpu_t *cpu = x86_cpu_self();
    uint32_t vector;

    cpu->interrupts++;
    while ((vector = lapic_in_service()) != 0)
        interrupt(vector);
    while (cpu->index == 0 && (vector = pic_in_service()) != 0)
        interrupt(vector);
    cpu->interrupts--;
}

static void page_fault(x86_frame_t *f)
{
    uintptr_t at = x86_cr2();
    bool on_stack;

    if ((f->error & PRESENT) == 0 && !panic_is_here() && vmm_demand_page(at) == 0)
        return;
    on_stack = x86_thread_overflowed(at);
    if (!x86_guard_fault(f, on_stack ? GMK_HAL_FAULT_STACK : GMK_HAL_FAULT_MEMORY))
        panic_fault(f, fault_story(f, at, on_stack));
    if (on_stack)
        interrupts_that_found_no_stack();
}

static void exception(x86_frame_t *f)
{
    switch (f->vector) {
    case X86_VECTOR_PAGE_FAULT:
        page_fault(f);
        return;
    case X86_VECTOR_NMI: /* from a panic elsewhere; or the machine has a complaint */
        x86_stop_if_told();
        break;
    case 0:
    case 4:
    case 16:
    case 19:
        if (x86_guard_fault(f, GMK_HAL_FAULT_ARITHMETIC))
            return;
        break;
    case 3:
    case 6:
        if (x86_guard_fault(f, GMK_HAL_FAULT_INSTRUCTION))
            return;
        break;
    case 12:
    case X86_VECTOR_GENERAL: /* an address that is not canonical raises it too */
        if (x86_guard_fault(f, GMK_HAL_FAULT_MEMORY))
            return;
        break;
    case X86_VECTOR_DOUBLE_FAULT:
        panic_fault(f, x86_thread_overflowed(x86_cr2()) ? "the stack is used up" : NULL);
    default:
        break;
    }
    panic_fault(f, NULL);
}

/* Interrupts. ---------------------------------------------------------------------- */

static void unhandled(uint32_t vector)
{
    uint32_t bit = 1u << vector % 32;

    gmk_add_rlx(&n_unhandled, 1, GMK_DEV);                             /* relaxed: a statistic */
    if ((gmk_or_rlx(&reported[vector / 32], bit, GMK_DEV) & bit) == 0) /* relaxed: once is enough */
        kprintf("interrupt: vector %u came and nobody waits for it: counted, ignored\n", vector);
}

static void device(uint32_t vector)
{
    handler_t h = handlers[vector];

    x86_cpu_self()->n_device++;
    if (h.fn != NULL)
        h.fn(h.arg);
    else
        unhandled(vector);
    lapic_eoi();
}

static void interrupt(uint32_t vector)
{
    x86_cpu_t *cpu = x86_cpu_self();

    if (vector == X86_VECTOR_TIMER) {
        cpu->n_timer++;
        lapic_eoi();
        check_shutdown();
        x86_thread_on_timer();
    } else if (vector == X86_VECTOR_WAKE) {
        cpu->n_wake++;
        lapic_eoi();
        x86_thread_on_wake();
    } else if (vector == X86_VECTOR_TLB) {
        cpu->n_tlb++;
        tlb_on_ipi();
        lapic_eoi();
    } else if (vector == X86_VECTOR_SPURIOUS) {
        cpu->n_spurious++; /* wants no acknowledgement */
    } else if (vector >= X86_PIC_VECTOR && vector < X86_PIC_VECTOR + 16) {
        cpu->n_device++;
        pic_interrupt(vector);
    } else {
        device(vector);
    }
}

void x86_trap(x86_frame_t *f)
{
    x86_cpu_t *cpu;

    if (f->vector < 32) {
        exception(f);
        return;
    }
    cpu = x86_cpu_self();
    cpu->interrupts++;
    interrupt((uint32_t)f->vector);
    cpu->interrupts--;
    x86_thread_after_interrupt();
}
