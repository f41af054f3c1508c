/* SPDX-License-Identifier: MIT
 * Memory of the bare-metal kernel: the address space, the way from physical to virtual and
 * back, and the start of the parts below it.
 * Floor: port. Parts, each using those above it in this list only:
 *   frames carve vspace slab shoot   plain logic, no machine in it: tested on a host too
 *   pmm       frames of RAM, and the promises made on them
 *   boot_alloc, ptable, paging       kernel-lifetime objects; page tables, the kernel's own map
 *   tlb       shootdown
 *   vmm heap  areas, demand paging, kmalloc
 * Lock order: the lock of vmm and that of heap come first (never both), then a frame cache's,
 *   then the pool's. Page tables have none: their entries are changed by compare-and-swap.
 *   All are taken with interrupts off. Nobody waits for a shootdown with any of them held.
 * Source: SPEC BM-22 to BM-29, BOOT.md sections 1, 3 and 4. */
#ifndef X86_MEM_H
#define X86_MEM_H

#include "ggmk/base/atomic.h"

#define MEM_PAGE 4096ull
#define MEM_PAGE_SHIFT 12u
#define MEM_BIG_PAGE 0x200000ull /* one entry of the second level */
#define MEM_MAX_CPUS 64u         /* sets of processors are 64-bit words */

/* Windows of the upper half. The direct map (HHDM) is where the loader put it: at or above
 * MEM_HALF and below MEM_AREA_BASE, which mem_init checks. */
#define MEM_HALF 0xffff800000000000ull
#define MEM_AREA_BASE 0xffffa00000000000ull
#define MEM_AREA_BYTES 0x10000000000ull /* 1 TiB */
#define MEM_MMIO_BASE 0xffffb00000000000ull
#define MEM_MMIO_BYTES 0x400000000000ull /* device p is at base + p: 46 bits */
#define MEM_FIRMWARE_BASE 0xfffff00000000000ull
#define MEM_FIRMWARE_BYTES 0x80000000000ull /* tables of the firmware, read only: 43 bits */
#define MEM_KERNEL_BASE 0xffffffff80000000ull
#define MEM_HEAP_BASE 0xffffffff88000000ull
#define MEM_HEAP_BYTES 0x8000000ull /* 128 MiB */

GMK_STATIC_ASSERT(MEM_AREA_BASE + MEM_AREA_BYTES <= MEM_MMIO_BASE, "windows do not meet");
GMK_STATIC_ASSERT(MEM_MMIO_BASE + MEM_MMIO_BYTES <= MEM_FIRMWARE_BASE, "windows do not meet");
GMK_STATIC_ASSERT(MEM_FIRMWARE_BASE + MEM_FIRMWARE_BYTES <= MEM_KERNEL_BASE, "nor these");

/* Types of memory, as the Limine protocol numbers them. */
enum {
    MEM_USABLE = 0,
    MEM_RESERVED = 1,
    MEM_ACPI = 2,
    MEM_ACPI_NVS = 3,
    MEM_BAD = 4,
    MEM_LOADER = 5, /* the loader's: usable after pmm_reclaim */
    MEM_KERNEL = 6, /* the kernel's image and modules */
    MEM_FRAMEBUFFER = 7,
    MEM_TYPES
};

/* A part of the memory map; laid out as a struct of the Limine protocol is. */
typedef struct mem_region {
    uint64_t base;
    uint64_t bytes;
    uint64_t type;
} mem_region_t;

/* What the loader said. The map is an array of pointers, as in its response: pass
 * (const mem_region_t *const *)response->entries. */
typedef struct mem_boot {
    const mem_region_t *const *map;
    uint64_t n_map;
    uint64_t hhdm;        /* where physical address 0 is seen */
    uint64_t kernel_phys; /* physical and virtual address of __kernel_start */
    uint64_t kernel_virt;
} mem_boot_t;

extern uint64_t mem_hhdm; /* set by mem_init, then constant */

/* Where the direct map shows a physical address. pre: RAM (types usable, loader, kernel; ACPI
 * tables are there too, to be read); anything else is seen by map_mmio or map_firmware. */
static inline void *phys_to_virt(uint64_t phys) { return (void *)(uintptr_t)(phys + mem_hhdm); }

/* The physical address behind an address of the direct map or of the kernel's image; 0 for any
 * other: paging_walk knows those. */
uint64_t virt_to_phys(const void *virt);

/* Starts pmm, boot_alloc and the kernel's own page tables, and runs on these: after it nothing
 * of the loader's tables is in use, and address 0 is unmapped. The map and the numbers are
 * copied; what the response points to is not needed again.
 * pre: the boot processor, once, interrupts off, kernel log ready.
 * returns: null, or what is wrong with what the loader said, for a person. */
const char *mem_init(const mem_boot_t *boot);

/* The memory map as copied, sorted: *n parts. threads: any, after mem_init. */
const mem_region_t *mem_map(uint32_t *n);

#endif
