/* SPDX-License-Identifier: MIT
 * Page tables of four levels as data: entries, walks, single pages. No machine instruction.
 * Floor: port.
 * An entry that is not present is 0, or PTE_DEMAND (a zeroed page comes at the first touch), or
 * PTE_ZOMBIE with the frame that was mapped there until its shootdown is acknowledged.
 * Tables are added and never taken away, so a walk needs no lock.
 * Threads: any. An entry is changed by one atomic operation.
 * Order: installing a table is a release, following an entry an acquire (x86_pte.table).
 * Source: Intel SDM volume 3, 4.5; BM-24. */
#ifndef X86_PTABLE_H
#define X86_PTABLE_H

#include "mem.h"

#define PTE_P 1ull
#define PTE_W 2ull
#define PTE_PWT 8ull
#define PTE_PCD 16ull
#define PTE_A 32ull
#define PTE_D 64ull
#define PTE_PS 128ull
#define PTE_DEMAND 0x200ull /* ours, where P is 0 */
#define PTE_ZOMBIE 0x400ull
#define PTE_NX (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

/* Rights of a page. Readable goes without saying; both write and execute are refused. */
#define PAGING_WRITE 1u
#define PAGING_EXEC 2u
#define PAGING_UNCACHED 4u

/* The frame of an entry: no flag, the NX bit least of all, is left in it. */
static inline uint64_t pte_phys(uint64_t entry) { return entry & PTE_ADDR; }

/* A present entry of 4 KiB. Accessed and dirty are set, so that the processor need not. */
static inline uint64_t pte_make(uint64_t phys, uint32_t rights)
{
    return (phys & PTE_ADDR) | PTE_P | PTE_A | (rights & PAGING_WRITE ? PTE_W | PTE_D : 0) |
           (rights & PAGING_EXEC ? 0 : PTE_NX) | (rights & PAGING_UNCACHED ? PTE_PCD | PTE_PWT : 0);
}

/* A zeroed frame for a table. returns: its physical address, or 0. */
uint64_t paging_alloc_table(void);

/* Goes down from the root (a physical address) to what maps virt. returns: the entry, with
 * *level 1 (4 KiB) or 2 (2 MiB); or the entry where the walk ended, not present, with its
 * level 1 to 4. level may be null. */
gmk_a64_t *ptable_walk(uint64_t root, uintptr_t virt, uint32_t *level);

/* The entry of virt's 4 KiB page; makes the tables on the way.
 * returns: null if there is no frame for one, or a 2 MiB page is in the way. */
gmk_a64_t *ptable_entry(uint64_t root, uintptr_t virt);

/* Maps bytes from virt on to phys on, by 2 MiB pages where both allow it.
 * pre: multiples of MEM_PAGE; nothing is mapped there. returns: 0; -1 no frame for a table;
 * -2 something is in the way, or a bad argument. */
typedef struct ptable_run {
    uintptr_t virt;
    uint64_t phys;
    uint64_t bytes;
    uint32_t rights;
} ptable_run_t;
GMK_NODISCARD int ptable_map_run(uint64_t root, const ptable_run_t *run);

/* A page as the processor sees it: rights of all levels together. */
typedef struct ptable_leaf {
    uintptr_t virt;
    uint64_t phys;
    uint64_t bytes;
    uint64_t entry;
    bool writable;
    bool executable;
} ptable_leaf_t;

/* Shows every present page to fn, in order of address, until it returns false. */
void ptable_visit(uint64_t root, bool (*fn)(void *ctx, const ptable_leaf_t *leaf), void *ctx);

#endif
