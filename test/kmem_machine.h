/* SPDX-License-Identifier: MIT
 * A machine for the kernel's memory parts on a host: threads are processors, a buffer is RAM,
 * and each processor remembers translations as a TLB does until it is told to forget them.
 * A test that must stand in a window between two steps has the processor call it there.
 * Floor: tests. Stands in for arch/x86_64/memory/machine.h. */
#define X86_MEM_MACHINE_H
#ifndef TEST_KMEM_MACHINE_H
#define TEST_KMEM_MACHINE_H

#include "../arch/x86_64/memory/paging.h"
#include "../arch/x86_64/memory/tlb.h"
#include "ggmk/hal.h"

/* What this processor calls before it takes a lock, and while its shootdown waits for answers: at
 * once and then every so many turns. null: nothing. */
extern _Thread_local void (*kmem_at_lock)(void);
extern _Thread_local void (*kmem_at_wait)(void);

typedef gmk_a32_t mem_lock_t;

static inline uint64_t mem_lock(mem_lock_t *l)
{
    uint32_t is_free = 0;

    if (kmem_at_lock != NULL)
        kmem_at_lock();
    while (!gmk_cas_acq(l, &is_free, 1, GMK_DEV)) { /* sync: test.kmem_lock */
        is_free = 0;
        tlb_poll(); /* as the kernel's locks do while they wait */
        gmk_hal_relax();
    }
    return 0;
}

static inline void mem_unlock(mem_lock_t *l, uint64_t flags)
{
    (void)flags;
    gmk_store_rel(l, 0, GMK_DEV); /* sync: test.kmem_lock */
}

/* No interrupts: processors call tlb_poll. */
#define mem_irq_off() 0u
#define mem_irq_back(flags) ((void)(flags))

/* The TLB of a processor: direct mapped, so small that it also forgets by itself. */
#define KMEM_TLB 64u

typedef struct kmem_cpu {
    uint64_t page[KMEM_TLB]; /* virtual page + 1; 0: none */
    uint64_t entry[KMEM_TLB];
} kmem_cpu_t;

extern _Thread_local uint32_t kmem_cpu;
extern kmem_cpu_t kmem_cpus[MEM_MAX_CPUS];
extern uint32_t kmem_n_cpus;
extern gmk_a64_t kmem_n_ipis;

static inline uint32_t mem_cpu(void) { return kmem_cpu; }
static inline uint32_t mem_apic_id(void) { return kmem_cpu + 100; } /* never used as an index */
static inline uint32_t mem_n_cpus(void) { return kmem_n_cpus; }

static inline void mem_flush_page(uintptr_t virt)
{
    uint64_t *page = &kmem_cpus[kmem_cpu].page[virt / MEM_PAGE % KMEM_TLB];

    if (*page == virt / MEM_PAGE + 1)
        *page = 0;
}

static inline void mem_flush_all(void)
{
    for (uint32_t i = 0; i < KMEM_TLB; i++)
        kmem_cpus[kmem_cpu].page[i] = 0;
}

/* relaxed: a statistic */
#define mem_ipi(apic_id) ((void)(apic_id), (void)gmk_add_rlx(&kmem_n_ipis, 1, GMK_DEV))
#define mem_ipi_others() ((void)gmk_add_rlx(&kmem_n_ipis, 1, GMK_DEV)) /* relaxed: the same */
#define mem_dead(text) gmk_hal_abort()

/* Only waits for answers read the clock; no time passes, so nobody is held to be dead. */
static inline uint64_t mem_cycles(void)
{
    if (kmem_at_wait != NULL)
        kmem_at_wait();
    gmk_hal_relax(); /* who must answer may want this very core */
    return 0;
}

#endif
