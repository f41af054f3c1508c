/* SPDX-License-Identifier: MIT
 * What stands behind reserved pages: demand entries, frames, and their way back.
 * Floor: port; vmm and heap are written on it.
 * The life of a page: 0 -> DEMAND (reserved, charged) -> present -> ZOMBIE (unmapped, its frame
 *   waits for the shootdown) -> 0 (frame and charge given back). A range has one owner, who
 *   alone takes the steps but the second; that is anybody's fault, by compare-and-swap.
 * Source: SPEC BM-26; BOOT.md section 4. */
#ifndef X86_BACKING_H
#define X86_BACKING_H

#include "ptable.h"

#define PTE_GUARD 0x800ull /* ours, where P is 0: never mapped */

typedef struct backing_range {
    uintptr_t virt; /* of the first page for the user */
    uint64_t pages;
    uint32_t skip; /* guard pages below */
    bool is_heap;  /* whose address space it is */
} backing_range_t;

/* Charges the frames, makes the tables, writes the entries; with populate the frames too.
 * pre: the caller owns the range. returns: 0, or -1 with nothing done but tables made. */
GMK_NODISCARD int backing_reserve(const backing_range_t *r, bool populate);

/* Unmaps a range and hands it over: its frames, its charge and its address space are given
 * back after a shootdown, by this call or a later one. threads: no lock held. */
void backing_free(const backing_range_t *r);

/* Does so now for all ranges handed over. returns: false if there were none, here or under way
 * on another processor. */
bool backing_reap(void);

/* Entries of a range, one after the other. */
typedef struct backing_cursor {
    uintptr_t virt;
    gmk_a64_t *entry;
} backing_cursor_t;

/* The entry of the next page; null if there is no table and none can be made. At first virt is
 * the first page and entry null. */
gmk_a64_t *backing_next(backing_cursor_t *c);

typedef struct backing_stats {
    uint64_t n_reaps;
    uint64_t pending_pages;
} backing_stats_t;

backing_stats_t backing_stats(void);

/* Implemented by the owners of address space: r is free. */
void vmm_space_back(const backing_range_t *r);
void heap_space_back(const backing_range_t *r);

#endif
