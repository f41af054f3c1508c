/* SPDX-License-Identifier: MIT
 * Processors: starting the others.
 * Floor: arch. The loader has them wait; each says itself that it runs. One that stays silent
 * is reported and left out, not waited for for ever. Source: SPEC BM-30, BM-31. */
#ifndef X86_SMP_H
#define X86_SMP_H

#include "arch/x86_64/cpu/cpu.h"

/* Starts every processor of boot_info and says what became of it. Each is then online, its
 * idle thread running. Those that it has no place for stand still, in the kernel's memory.
 * pre: vmm_init, x86_threads_init. threads: BSP. returns: false if one may still run in the
 * loader's memory, which then must not be taken. */
GMK_NODISCARD bool smp_start(void);

/* The seed's calls, of which smp_start is made. response is the loader's list; smp_init
 * returns how many processors there are; smp_start_aps has each run entry(arg) on a stack of
 * its own and returns how many have started. */
uint32_t smp_init(const void *response);
uint32_t smp_start_aps(void (*entry)(void *), void *arg);
uint32_t smp_bsp_lapic_id(void);
uint32_t smp_cpu_count(void);
uint32_t smp_lapic_id(uint32_t index);

#endif
