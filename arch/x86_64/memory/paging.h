/* SPDX-License-Identifier: MIT
 * The kernel's own address space: what is mapped at boot, single pages, devices.
 * Floor: port.
 * Mapped by paging_init: the image as text R-X, rodata R--, data and bss RW-; the direct map
 *   (HHDM) of RAM RW-, but R-- where it shows text, rodata or ACPI tables. No page is both
 *   writable and executable, and nothing is mapped in the lower half.
 * Needs of the linker script, each at a multiple of 4096, in this order: __kernel_start,
 *   __text_start, __text_end, __rodata_start, __rodata_end, __data_start, __kernel_end (data
 *   and bss run to there). Pages of the image in none of the three stay unmapped: leave one between
 * two parts and it is a guard. Threads: any processor, after mem_init. Source: SPEC BM-24; BOOT.md
 * section 1 (attribute table: PCD and PWT select UC). */
#ifndef X86_PAGING_H
#define X86_PAGING_H

#include "ptable.h"

extern char __kernel_start[], __kernel_end[];
extern char __text_start[], __text_end[], __rodata_start[], __rodata_end[], __data_start[];

/* Builds the kernel's tables. pre: pmm_init; mem_init calls it.
 * returns: null, or what is wrong. */
const char *paging_init(const mem_boot_t *boot, const mem_region_t *map, uint32_t n);

/* Runs the boot processor on the kernel's tables; the others come by smp_entry.S.
 * pre: x86_cpu_protect (they use NX); its stack is in the direct map or in the image. */
void paging_activate(void);

/* Maps the page at virt to the frame phys by PAGING_* rights. Other processors see it too: a
 * page that was not present is in no TLB.
 * returns: 0; -1 no frame for a table; -2 virt or phys is no page of the upper half or no
 * frame, both write and execute are asked for, or something is mapped there. */
GMK_NODISCARD int paging_map(uintptr_t virt, uint64_t phys, uint32_t rights);

/* Takes the page at virt away and forgets it on this processor alone: vmm_unmap and
 * tlb_shootdown are for all. The frame is the caller's.
 * returns: 0; -2 no 4 KiB page is mapped there. */
int paging_unmap(uintptr_t virt);

/* The entry that maps virt, as ptable_walk says. */
gmk_a64_t *paging_walk(uintptr_t virt, uint32_t *level);

/* The physical address behind any mapped address, or 0. */
uint64_t paging_phys(const void *virt);

/* A device's registers, uncached; any phys and bytes, the same address for the same phys.
 * returns: null if bytes is 0, the range is RAM or beyond 46 bits, or no frame for a table. */
volatile void *map_mmio(uint64_t phys, size_t bytes);

/* Tables of the firmware (ACPI, EBDA), which may lie outside of RAM: read only, cached.
 * returns: as map_mmio; the direct map's address for what that shows; 43 bits. */
const void *map_firmware(uint64_t phys, size_t bytes);

/* Physical address of the kernel's root table. */
uint64_t paging_root(void);

/* The root this processor runs on. */
static inline uint64_t paging_read_cr3(void)
{
    uint64_t cr3;

    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    return cr3 & PTE_ADDR;
}

/* This processor forgets the page of virt. */
static inline void paging_invlpg(uintptr_t virt)
{
    __asm__ volatile("invlpg (%0)" ::"r"(virt) : "memory");
}

/* This processor forgets all pages. */
static inline void paging_flush_all(void)
{
    uint64_t cr3;

    __asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(cr3)::"memory");
}

#endif
