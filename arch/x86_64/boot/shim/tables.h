/* SPDX-License-Identifier: MIT
 * Four-level page tables, built in a pool of pages.
 * Floor: arch, plain C. Invariants: every table lies in the pool; table 0 is the root; pages are
 * never mapped twice with another address.
 * Source: Intel SDM volume 3, section 4.5. */
#ifndef X86_64_SHIM_TABLES_H
#define X86_64_SHIM_TABLES_H

#include "elf.h"
#include "memmap.h"

#define SHIM_PTE_P 1ull
#define SHIM_PTE_W 2ull
#define SHIM_PTE_LARGE 0x80ull
#define SHIM_PTE_NX (1ull << 63)
#define SHIM_PTE_ADDRESS 0x000ffffffffff000ull

typedef struct shim_tables {
    uint64_t *pool; /* where the pages can be written */
    uint64_t phys;  /* where they are */
    uint32_t n;     /* in use */
    uint32_t cap;
} shim_tables_t;

/* The pages that shim_tables_hhdm and shim_tables_kernel need at most. */
uint64_t shim_tables_need(const shim_map_t *m, const shim_elf_t *e);

/* The root. pre: cap > 0 */
void shim_tables_start(shim_tables_t *t);

/* Large pages where both addresses and the length allow; flags are P, W and NX.
 * pre: all three are page aligned. returns: 0, SHIM_E_TABLES. */
int shim_tables_map(shim_tables_t *t, uint64_t virt, shim_range_t phys, uint64_t flags);

/* 0 to 4 GiB and all memory above, at SHIM_HHDM; writable, not executable, but for one page,
 * which is executable and not writable. */
int shim_tables_hhdm(shim_tables_t *t, const shim_map_t *m, uint64_t run_page);

/* Each segment with its own permissions. */
int shim_tables_kernel(shim_tables_t *t, const shim_elf_t *e, uint64_t phys);

/* returns: the entry that maps virt, 0 where nothing does. */
uint64_t shim_tables_entry(const shim_tables_t *t, uint64_t virt);

#endif
