/* SPDX-License-Identifier: MIT
 * GDT and TSS of a processor, and its record.
 * Floor: arch. Source: SPEC BM-14; Intel SDM volume 3, 3.4.5 and 8.7. */
#include "arch/x86_64/cpu/panic.h"
#include "arch/x86_64/cpu/tables.h"
#include "arch/x86_64/memory/boot_alloc.h"
#include "arch/x86_64/memory/vmm.h"

#define N_STACKS 4u
#define STACK_BYTES 16384u
#define CODE_64 0x00af9a000000ffffull
#define DATA_64 0x00cf92000000ffffull
#define USER_CODE 0x00affa000000ffffull
#define USER_DATA 0x00cff2000000ffffull

typedef struct __attribute__((packed)) tss {
    uint32_t unused0;
    uint64_t rsp[3];
    uint64_t unused1;
    uint64_t ist[7];
    uint64_t unused2;
    uint16_t unused3, io_map;
} tss_t;

typedef struct x86_tables {
    uint64_t gdt[7];
    tss_t tss;
} x86_tables_t;

typedef struct __attribute__((packed)) pointer {
    uint16_t limit;
    const void *base;
} pointer_t;

x86_cpu_t x86_cpus[X86_MAX_CPUS];
uint32_t x86_n_cpus = 1;

static x86_tables_t first_tables;
static GMK_ALIGNAS(16) uint8_t first_stacks[N_STACKS][STACK_BYTES];

void x86_cpu_enter(uint32_t index, uint32_t apic_id)
{
    x86_cpu_t *cpu = &x86_cpus[index];

    cpu->self = cpu;
    cpu->index = index;
    cpu->apic_id = apic_id;
    x86_wrmsr(X86_MSR_GS_BASE, (uintptr_t)cpu);
}

static void fill(x86_tables_t *t)
{
    uint64_t base = (uintptr_t)&t->tss;

    t->gdt[1] = CODE_64;
    t->gdt[2] = DATA_64;
    t->gdt[3] = USER_CODE;
    t->gdt[4] = USER_DATA;
    t->gdt[5] =
        (sizeof(tss_t) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    t->gdt[6] = base >> 32;
    t->tss.io_map = sizeof(tss_t);
}

/* The stacks of faults: the BSP's are in the image, so that a fault of early boot is told; the
 * others' have guard pages. */
static uint64_t stack_top(uint32_t cpu, uint32_t i)
{
    uint8_t *base;

    if (cpu == 0)
        return (uintptr_t)first_stacks[i] + STACK_BYTES;
    base = vmm_area_alloc(STACK_BYTES, 4096, VMM_GUARD | VMM_POPULATE);
    if (base == NULL)
        PANIC("no memory for the fault stacks of CPU %u: give the machine more", cpu);
    return (uintptr_t)base + STACK_BYTES;
}

static void load(const x86_tables_t *t)
{
    pointer_t p = {.limit = sizeof(t->gdt) - 1, .base = t->gdt};

    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "movl %2, %%eax\n\t"
                     "movl %%eax, %%ds\n\t"
                     "movl %%eax, %%es\n\t"
                     "movl %%eax, %%ss\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "movl %%eax, %%fs\n\t"
                     "movl %%eax, %%gs\n\t"
                     "ltr %w3"
                     :
                     : "m"(p), "i"(X86_CODE), "i"(X86_DATA), "r"(X86_TSS)
                     : "rax", "memory");
}

void gdt_init(void)
{
    x86_cpu_t *cpu = x86_cpu_self();
    x86_tables_t *t = cpu->index == 0 ? &first_tables : boot_calloc(1, sizeof(*t));

    if (t == NULL)
        PANIC("no memory for the tables of CPU %u: give the machine more", cpu->index);
    fill(t);
    for (uint32_t i = 0; i < N_STACKS; i++)
        t->tss.ist[i] = stack_top(cpu->index, i);
    cpu->tables = t;
    load(t);
    x86_wrmsr(X86_MSR_GS_BASE, (uintptr_t)cpu); /* which a load of the selector may clear */
}
