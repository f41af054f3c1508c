/* SPDX-License-Identifier: MIT
 * Virtual memory: areas and the kernel heap, both demand paged under strict commit.
 * Floor: port.
 * Strict commit: memory is charged against the frames when it is reserved, page tables are made
 *   at once; so out of memory is a null return here, counted, and never a page fault.
 * A freed page is unmapped at once: the processor that frees it faults on it from then on,
 *   others may see the old page a while. Its frame, and its address, are used again only after
 *   all processors have acknowledged a shootdown, which is done for many pages together.
 * Threads: any processor, any context but an interrupt that may have cut into these calls (they
 *   hold their locks with interrupts off, so none can). Freeing may wait for other processors:
 *   never with a lock held that they take with interrupts off and without tlb_poll.
 * Source: SPEC BM-26, BM-27; BOOT.md section 4. */
#ifndef X86_VMM_H
#define X86_VMM_H

#include "mem.h"

/* pre: mem_init. Called on the boot processor before the others start. */
void vmm_init(void);

/* The processors that there are, 1 to MEM_MAX_CPUS: from here on frames go through the caches
 * of processors. pre: x86_cpu_self() works on this one. */
void vmm_set_cpu_count(uint32_t n);

/* Areas. ------------------------------------------------------------------------- */

#define VMM_GUARD 1u    /* a page below that is never mapped: for stacks */
#define VMM_POPULATE 2u /* all frames at once: what an interrupt may touch */

/* Zeroed memory in the area window, at a multiple of align (a power of two; 0: a page). Rounded
 * up to pages. returns: null if frames, address space or arguments do not allow it (counted).
 * cost: grows with the pages (8 bytes each are written) and the number of areas. */
GMK_NODISCARD void *vmm_area_alloc(size_t bytes, size_t align, uint32_t flags);

/* Gives an area back. returns: 0, or -1 if p and bytes are no area as allocated: counted and
 * ignored. cost: as alloc; every so often a shootdown, always after 1 MiB. */
int vmm_area_free(void *p, size_t bytes);

/* Maps physical memory (RAM or not) into the area window by PAGING_* rights, for vmm_unmap.
 * returns: the address of phys, or null. */
GMK_NODISCARD void *vmm_map(uint64_t phys, size_t bytes, uint32_t rights);

/* Ends a mapping of vmm_map; at return no processor has a translation of it left. The frames
 * are the caller's. returns: 0, or -1: no such mapping. */
int vmm_unmap(void *virt, size_t bytes);

/* Heap. -------------------------------------------------------------------------- */

/* Memory of the 128 MiB heap, not zeroed: up to 2048 bytes from slabs, at a multiple of
 * min(64, size rounded up to a power of two); more by pages, at a page. returns: null if bytes
 * is 0 or too many, or memory is spent (counted). */
GMK_NODISCARD void *kmalloc(size_t bytes);

/* Gives memory back: bytes as asked for. Null has no effect. What is no such object (freed
 * twice, another size, not of the heap) is counted and ignored. */
void kfree(void *p, size_t bytes);

/* Bytes that kmalloc has handed out, rounded up as they take space. */
size_t vmm_get_heap_used(void);

/* Faults and shootdown. ------------------------------------------------------------ */

/* Maps a zeroed page at addr if one was reserved there. Called by the page fault handler for
 * faults on a page that is not present; takes no lock that the interrupted code may hold.
 * Two processors that fault on one page get the same frame, so neither's write is lost.
 * returns: 0 mapped (by this call or another), -1 nothing is reserved there: a real fault. */
int vmm_demand_page(uintptr_t addr);

/* What an address belongs to, for the fault report: a constant text like "guard page below an
 * area", "freed memory", "null pointer". */
const char *vmm_describe(uintptr_t addr);

/* All processors forget addr's page; at return they have. */
void vmm_tlb_shootdown(uintptr_t addr);

/* Frees now what waits for a shootdown. */
void vmm_reap(void);

/* Bytes that can still be reserved. */
uint64_t vmm_commit_free(void);

typedef struct vmm_stats {
    uint64_t n_faults;      /* pages mapped on demand */
    uint64_t n_fault_races; /* faults that found the page just mapped by another */
    uint64_t n_oom;         /* reservations refused */
    uint64_t n_bad_frees;   /* frees refused: heap, areas, mappings */
    uint64_t n_reaps;       /* shootdowns for freed memory */
    uint64_t area_pages;    /* reserved in areas */
    uint64_t heap_pages;    /* reserved in the heap, slabs included */
    uint64_t pending_pages; /* freed, waiting for a shootdown */
} vmm_stats_t;

vmm_stats_t vmm_stats(void);

#endif
