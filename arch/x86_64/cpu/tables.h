/* SPDX-License-Identifier: MIT
 * Processor tables: a GDT and a TSS of its own for each, and one IDT for all.
 * Floor: arch.
 * The GDT has the seed's five entries (null, code, data, and two that stand for what there
 * is not, user code and user data) and after them the TSS. Four faults run on stacks of their
 * own, so that a bad stack can still be told: double fault, NMI, machine check, page fault.
 * Source: SPEC BM-14 to BM-19; Intel SDM volume 3, chapters 3, 6, 8. */
#ifndef X86_TABLES_H
#define X86_TABLES_H

#include "arch/x86_64/cpu/cpu.h"

#define X86_CODE 0x08u
#define X86_DATA 0x10u
#define X86_TSS 0x28u

#define X86_VECTOR_NMI 2u
#define X86_VECTOR_DOUBLE_FAULT 8u
#define X86_VECTOR_GENERAL 13u
#define X86_VECTOR_PAGE_FAULT 14u
#define X86_VECTOR_TIMER 32u
#define X86_VECTOR_DEVICES 48u /* to X86_PIC_VECTOR - 1 */
#define X86_VECTOR_TLB 0xfdu
#define X86_VECTOR_WAKE 0xfeu
#define X86_VECTOR_SPURIOUS 0xffu

/* What a stub of idt_stubs.S leaves on the stack. */
typedef struct x86_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
} x86_frame_t;

/* Loads a new GDT and TSS on the calling processor and all segment registers.
 * pre: x86_cpu_enter. pre for index > 0: the VMM is up (its stacks have guard pages). */
void gdt_init(void);

/* Fills the IDT (once) and loads it. threads: each processor. */
void idt_init(void);

/* A vector for a device: fn(arg) runs on whichever processor gets it, in interrupt context,
 * interrupts off. It may not sleep, allocate or touch demand-paged memory; it may wake a park.
 * returns: the vector, or -1 if none is left. threads: any. */
int x86_irq_alloc(void (*fn)(void *), void *arg);

/* Gives a vector back. pre: the device does not send it any more. */
void x86_irq_free(int vector);

/* Milliseconds since boot, by the machine's clock and so the same on any number of
 * processors (V-77). */
uint64_t idt_get_timer_count(void);

/* Clears *running, a flag that loops poll, once ticks milliseconds are over; 0 forgets it.
 * threads: BSP. */
void idt_set_shutdown_timer(uint32_t ticks, gmk_a32_t *running);

/* Vectors that came and nobody waits for: counted, reported once each. */
uint64_t x86_irq_unhandled(void);

/* For a test of the double fault: leaves vector 0 without a gate. */
void idt_break_divide(void);

#endif
