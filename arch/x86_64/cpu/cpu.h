/* SPDX-License-Identifier: MIT
 * A processor: instructions that C has no words for, and the record that each has of itself.
 * Floor: arch. The record is found through GS, whose base each processor sets once; there is
 * no user mode, so nothing ever swaps it. Source: SPEC O.3, O.5; Intel SDM volume 3. */
#ifndef X86_CPU_H
#define X86_CPU_H

#include "ggmk/base/atomic.h"
#include "ggmk/config.h"

#define X86_MAX_CPUS GMK_MAX_WORKERS

/* Ports. ------------------------------------------------------------------------- */

static inline void x86_out8(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}
static inline void x86_out16(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}
static inline void x86_out32(uint16_t port, uint32_t v)
{
    __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}
static inline uint8_t x86_in8(uint16_t port)
{
    uint8_t v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline uint16_t x86_in16(uint16_t port)
{
    uint16_t v;

    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline uint32_t x86_in32(uint16_t port)
{
    uint32_t v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

/* Registers. --------------------------------------------------------------------- */

#define X86_MSR_APIC_BASE 0x1bu
#define X86_MSR_EFER 0xc0000080u
#define X86_MSR_GS_BASE 0xc0000101u
#define X86_MSR_PAT 0x277u
#define X86_RFLAGS_IF 0x200ull

static inline uint64_t x86_rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}
static inline void x86_wrmsr(uint32_t msr, uint64_t v)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}
static inline uint64_t x86_rdtsc(void) { return __builtin_ia32_rdtsc(); }
static inline uint64_t x86_cr0(void)
{
    uint64_t v;

    __asm__ volatile("mov %%cr0, %0" : "=r"(v));
    return v;
}
static inline uint64_t x86_cr2(void)
{
    uint64_t v;

    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}

typedef struct x86_cpuid {
    uint32_t a, b, c, d;
} x86_cpuid_t;

static inline x86_cpuid_t x86_cpuid(uint32_t leaf)
{
    x86_cpuid_t r;

    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(0));
    return r;
}

/* Interrupts. -------------------------------------------------------------------- */

static inline void x86_cli(void) { __asm__ volatile("cli" : : : "memory"); }
static inline void x86_sti(void) { __asm__ volatile("sti" : : : "memory"); }
static inline void x86_pause(void) { __asm__ volatile("pause" : : : "memory"); }
/* Interrupts on and sleep until one comes, with no gap between the two; then off again. */
static inline void x86_halt_once(void) { __asm__ volatile("sti; hlt; cli" : : : "memory"); }

/* Interrupts off. returns: what x86_irq_restore wants. Pairs nest. */
static inline uint64_t x86_irq_save(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return flags;
}
static inline void x86_irq_restore(uint64_t flags)
{
    if ((flags & X86_RFLAGS_IF) != 0)
        x86_sti();
}
static inline bool x86_irq_enabled(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq; popq %0" : "=r"(flags));
    return (flags & X86_RFLAGS_IF) != 0;
}

/* The record of a processor. ------------------------------------------------------ */

struct x86_thread;
struct x86_tables; /* its GDT, TSS and interrupt stacks: tables.h */
struct x86_runq;   /* its threads: smp/thread.c */

typedef struct x86_cpu {
    struct x86_cpu *self;       /* at GS:0 */
    struct x86_thread *current; /* at GS:8 */
    uint32_t index;             /* worker number; 0 is the BSP */
    uint32_t apic_id;           /* never used as an index */
    struct x86_tables *tables;
    struct x86_runq *runq;
    uint32_t interrupts; /* depth of interrupt handlers under way */
    gmk_a32_t online;    /* it takes interrupts and runs threads */
    uint32_t spins;      /* x86_spin */
    uint64_t n_timer, n_wake, n_tlb, n_device, n_spurious; /* interrupts, by kind */
} x86_cpu_t;

extern x86_cpu_t x86_cpus[X86_MAX_CPUS];
extern uint32_t x86_n_cpus; /* processors that run; fixed before the first thread starts */

/* pre: x86_cpu_enter has run here. */
static inline x86_cpu_t *x86_cpu_self(void)
{
    x86_cpu_t *cpu;

    __asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
    return cpu;
}
static inline struct x86_thread *x86_thread_self(void)
{
    struct x86_thread *t;

    __asm__ volatile("movq %%gs:8, %0" : "=r"(t));
    return t;
}

/* One step of a wait that spins. The processor's own hint is given once in a while only: an
 * emulator leaves its code for each and takes its big lock, which device models need. */
static inline void x86_spin(void)
{
    if (x86_cpu_self()->spins++ % 64 == 0)
        x86_pause();
    else
        __asm__ volatile("" : : : "memory");
}

/* Makes x86_cpus[index] the calling processor's record. threads: each processor, first. */
void x86_cpu_enter(uint32_t index, uint32_t apic_id);

/* Turns on what the processor offers and the kernel uses: write protection, NX, and, where
 * there, SMEP, SMAP and UMIP. threads: each processor. */
void x86_cpu_protect(void);

/* Stops every other processor for good (NMI), and waits until they stand. Used by the panic
 * and the end. */
void x86_stop_others(void);
/* What the NMI does: returns if nobody has sent it for that. */
void x86_stop_if_told(void);

#endif
