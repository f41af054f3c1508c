/* SPDX-License-Identifier: MIT
 * What the memory parts want from the processor, in one place: a host test that defines
 * X86_MEM_MACHINE_H brings its own and runs the same code with threads.
 * Floor: port. Source: arch/x86_64/cpu/cpu.h. */
#ifndef X86_MEM_MACHINE_H
#define X86_MEM_MACHINE_H

#include "arch/x86_64/cpu/lapic.h"
#include "arch/x86_64/cpu/lock.h"
#include "arch/x86_64/cpu/panic.h"
#include "paging.h"
#include "tlb.h"

GMK_STATIC_ASSERT(X86_MAX_CPUS <= MEM_MAX_CPUS, "a set of processors is one word");

typedef x86_lock_t mem_lock_t;

/* Locks are taken with interrupts off. */
#define mem_lock(l) x86_lock_irq(l)
#define mem_unlock(l, flags) x86_unlock_irq(l, flags)
#define mem_irq_off() x86_irq_save()
#define mem_irq_back(flags) x86_irq_restore(flags)

/* 0 .. MEM_MAX_CPUS - 1. */
static inline uint32_t mem_cpu(void) { return x86_cpu_self()->index; }
static inline uint32_t mem_apic_id(void) { return x86_cpu_self()->apic_id; }

#define mem_flush_page(virt) paging_invlpg(virt)
#define mem_flush_all() paging_flush_all()
#define mem_ipi(apic_id) lapic_send_ipi(apic_id, TLB_VECTOR)
#define mem_ipi_others() lapic_send_ipi_all_but_self(TLB_VECTOR)

static inline uint32_t mem_n_cpus(void) { return x86_n_cpus; }

#define mem_dead(text) PANIC("%s", text)

static inline uint64_t mem_cycles(void) { return __builtin_ia32_rdtsc(); }

#endif
