/* SPDX-License-Identifier: MIT
 * What a processor offers against the kernel's own mistakes.
 * Floor: arch. Source: Intel SDM volume 3, 2.5 and 4.6. */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/panic.h"

#define CR0_WRITE_PROTECT (1ull << 16)
#define CR4_UMIP (1ull << 11)
#define CR4_SMEP (1ull << 20)
#define CR4_SMAP (1ull << 21)
#define EFER_NX (1ull << 11)
#define PAT_DEFAULT 0x0007040600070406ull

void x86_cpu_protect(void)
{
    x86_cpuid_t seven = x86_cpuid(0).a >= 7 ? x86_cpuid(7) : (x86_cpuid_t){0};
    uint64_t cr4;

    if ((x86_cpuid(0x80000001u).d & 1u << 20) == 0)
        PANIC("this processor cannot forbid the execution of data (NX): GGMK wants it");
    x86_wrmsr(X86_MSR_EFER, x86_rdmsr(X86_MSR_EFER) | EFER_NX);
    x86_wrmsr(X86_MSR_PAT, PAT_DEFAULT);
    __asm__ volatile("mov %0, %%cr0" : : "r"(x86_cr0() | CR0_WRITE_PROTECT) : "memory");
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    cr4 |= (seven.b & 1u << 7) != 0 ? CR4_SMEP : 0;
    cr4 |= (seven.b & 1u << 20) != 0 ? CR4_SMAP : 0;
    cr4 |= (seven.c & 1u << 2) != 0 ? CR4_UMIP : 0;
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}
