/* SPDX-License-Identifier: MIT
 * A started memory of the bare-metal kernel on kmem_machine.h, and how a processor of it
 * touches a page.
 * Floor: tests. Source: SPEC BM-22 to BM-28; BOOT.md section 4. */
#ifndef TEST_KMEM_ENV_H
#define TEST_KMEM_ENV_H

#include "kmem_machine.h"

#include "../arch/x86_64/memory/boot_alloc.h"
#include "../arch/x86_64/memory/carve.h"
#include "../arch/x86_64/memory/pmm.h"
#include "../arch/x86_64/memory/vmm.h"
#include "ggmk/test.h"

#define MIB 0x100000ull
#define RAM (64 * MIB)

_Thread_local uint32_t kmem_cpu;
_Thread_local void (*kmem_at_lock)(void);
_Thread_local void (*kmem_at_wait)(void);
kmem_cpu_t kmem_cpus[MEM_MAX_CPUS];
uint32_t kmem_n_cpus = 1;
gmk_a64_t kmem_n_ipis;
uint64_t mem_hhdm;

static uint64_t root;

uint64_t paging_root(void) { return root; }

/* A machine with holes, memory of the loader, and an odd end of low memory. */
static const mem_region_t raw[] = {
    {0, 0x9fc00, MEM_USABLE},         {0x9fc00, 0x400, MEM_RESERVED},
    {1 * MIB, 7 * MIB, MEM_USABLE},   {8 * MIB, 4 * MIB, MEM_RESERVED},
    {12 * MIB, 48 * MIB, MEM_USABLE}, {60 * MIB, 2 * MIB, MEM_LOADER},
    {62 * MIB, 2 * MIB, MEM_KERNEL}};
static mem_region_t map[MEM_MAP_MAX];
static uint32_t n_map;

/* Starts memory once; the tests go on from there. */
GMK_FN bool start(void)
{
    const mem_region_t *list[GMK_ARRAY_LEN(raw)];

    if (root != 0)
        return true;
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(raw); i++)
        list[i] = &raw[i];
    mem_hhdm = (uintptr_t)gmk_hal_page_alloc(RAM, MEM_BIG_PAGE);
    if (mem_hhdm == 0 || mem_carve(list, GMK_ARRAY_LEN(raw), map, &n_map) != NULL ||
        pmm_init(map, n_map) != NULL)
        return false;
    boot_alloc_init();
    root = paging_alloc_table();
    vmm_init();
    vmm_set_cpu_count(8);
    return root != 0;
}

/* Where a processor finds virt: through its TLB, the tables, and the fault handler, as the
 * machine does. null: a fault that is an error. */
GMK_FN gmk_a64_t *touch(uintptr_t virt)
{
    kmem_cpu_t *c = &kmem_cpus[kmem_cpu];
    uint64_t page = virt / MEM_PAGE, slot = page % KMEM_TLB;

    tlb_poll(); /* an interrupt may come here */
    while (c->page[slot] != page + 1) {
        gmk_a64_t *e = ptable_walk(root, virt, NULL);
        uint64_t v = gmk_load_acq(e, GMK_DEV); /* sync: x86_pte.table */

        if ((v & PTE_P) != 0) {
            c->page[slot] = page + 1;
            c->entry[slot] = v;
        } else if (vmm_demand_page(virt) != 0) {
            return NULL;
        }
    }
    return (gmk_a64_t *)(mem_hhdm + pte_phys(c->entry[slot]) + virt % MEM_PAGE);
}

GMK_FN bool holds(uintptr_t virt, uint64_t v)
{
    gmk_a64_t *p = touch(virt);

    return p != NULL && *p == v;
}

GMK_FN bool put(uintptr_t virt, uint64_t v)
{
    gmk_a64_t *p = touch(virt);

    if (p != NULL)
        *p = v;
    return p != NULL;
}

#endif
