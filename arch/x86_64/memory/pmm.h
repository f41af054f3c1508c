/* SPDX-License-Identifier: MIT
 * Physical memory: a bitmap over 4 KiB frames, a cache of frames for each processor, and the
 * promises that make a page fault never find memory empty.
 * Floor: port.
 * Invariants, at rest:
 *   usable = held + used + pool + cached      (held: the bitmaps themselves)
 *   avail  = pool + cached - promised >= 0    promised: committed, not yet taken
 *   a frame is in at most one of: used, pool, one cache. Address 0 is never handed out.
 * Threads: all calls from any processor, in any context (interrupts, faults) after pmm_init.
 * Source: SPEC BM-22. */
#ifndef X86_PMM_H
#define X86_PMM_H

#include "mem.h"

#define PMM_ANYWHERE UINT64_MAX

/* Takes the usable parts of a map that mem_carve has checked. pre: once, mem_hhdm is set.
 * returns: null, or what is wrong. */
const char *pmm_init(const mem_region_t *map, uint32_t n);

/* Gives the loader's memory (type 5) to the pool; a second call gives nothing. pre: nothing of
 * the loader's is in use any more: its tables, responses, GDT, and the stacks of all
 * processors. returns: frames given. */
uint64_t pmm_reclaim(void);

/* From here on single frames go through the caches. pre: mem_cpu() is right on every processor
 * that calls in here. */
void pmm_use_caches(void);

/* count frames, contiguous, not zeroed. returns: their physical address, or 0: no such run, or
 * the rest of memory is promised (counted: pmm_stats). cost: count 1: a lock and an atomic of
 * this processor's own; else a search of the bitmap. */
GMK_NODISCARD uint64_t pmm_alloc_pages(uint64_t count);

/* As that, at a multiple of align (a power of two, at least MEM_PAGE) and ending at or below
 * `below` (PMM_ANYWHERE: no limit): for devices. */
GMK_NODISCARD uint64_t pmm_alloc_aligned(uint64_t count, uint64_t align, uint64_t below);

/* Gives frames back. returns: 0, or -1: some of them are not allocated (freed twice, never
 * handed out, not RAM) or addr has bits that are no address (an entry's flags): those are
 * refused and counted, the others are free. */
int pmm_free_pages(uint64_t addr, uint64_t count);

/* Frames that nobody has; promised ones are among them. */
uint64_t pmm_free_count(void);
/* Frames from address 0 to the end of the highest RAM; holes are among them. */
uint64_t pmm_total_count(void);
/* Frames of usable RAM, free or not: what figures for people are based on. */
uint64_t pmm_usable_count(void);

/* The first run of free frames of at least min_size bytes: its address, and its bytes in *size;
 * 0 if there is none. Nothing is allocated: a hint, old at once. */
uint64_t pmm_find_contiguous(uint64_t min_size, uint64_t *size);

/* Promises. A promise sets n frames aside; each can then be taken once, and never in vain. */

/* Promises n frames. returns: 0, or -1: there are not so many (counted). */
GMK_NODISCARD int pmm_commit(uint64_t n);
/* Ends the promise of n frames that were not taken, or were given back. */
void pmm_uncommit(uint64_t n);
/* One promised frame, not zeroed. returns: its address; 0 only if more was taken than promised. */
GMK_NODISCARD uint64_t pmm_take(void);
/* Gives a taken frame back; its promise stands. returns: as pmm_free_pages. */
int pmm_give(uint64_t addr);
/* Frames that can still be promised or allocated. */
uint64_t pmm_commit_free(void);

typedef struct pmm_stats {
    uint64_t n_refused;   /* allocations and promises that found no memory */
    uint64_t n_bad_frees; /* frames given back that were not allocated */
} pmm_stats_t;

pmm_stats_t pmm_stats(void);

/* True if the invariants above hold; for tests, at rest: no other processor is in here. */
bool pmm_audit(void);

#endif
