/* SPDX-License-Identifier: MIT
 * The shim's part that touches the machine: ports, registers, the serial port, waiting.
 * Floor: arch. Runs on the boot page tables: physical address p is at p and at SHIM_HHDM + p.
 * Source: Intel SDM; 8254 and 8259 data sheets. */
#ifndef X86_64_SHIM_MACHINE_H
#define X86_64_SHIM_MACHINE_H

#include "acpi.h"

#include "../../limine/limine.h"

static inline void shim_out8(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint8_t shim_in8(uint16_t port)
{
    uint8_t v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline uint64_t shim_rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void shim_wrmsr(uint32_t msr, uint64_t v)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

/* Where physical memory below 4 GiB is now and will be for the kernel. */
static inline void *shim_virt(uint64_t phys) { return (void *)(SHIM_HHDM + phys); }
static inline uint64_t shim_phys_of(const void *p) { return (uint64_t)p & (SHIM_HHDM - 1); }

/* What a CPU takes along; entry.S knows the order. */
typedef struct shim_handoff {
    uint64_t cr3;
    const void *gdtr;
    uint64_t stack_end;
    uint64_t entry_or_count; /* where to go; for a waiting CPU, the count of those that wait */
    limine_smp_info_t *info;
} shim_handoff_t;

void shim_serial_init(void);
void shim_say(const char *text);
void shim_say_hex(uint64_t x);

/* Says the error as one line, then goes on (warn) or halts (die). The detail is a number. */
void shim_warn(int error, uint64_t detail);
void shim_die(int error, uint64_t detail) __attribute__((noreturn));

/* Starts a window of 10 ms on PIT channel 2, and tells whether it is over. */
void shim_timer_start(void);
bool shim_timer_over(void);

/* Seconds since 1970 by the CMOS clock. */
int64_t shim_clock_seconds(void);

/* PAT as the protocol has it, on this CPU. */
void shim_set_pat(void);

/* This CPU's IDT: exceptions are told of and end the boot; SHIM_VECTOR_TIMER ends a nap. */
enum { SHIM_VECTOR_TIMER = 0x40 };
void shim_set_idt(void);

/* Interrupt controllers: all inputs masked. */
void shim_mask_pic(void);
void shim_mask_ioapic(uint64_t phys);

#endif
