/* SPDX-License-Identifier: MIT
 * The memory map: from what firmware says to sorted areas without overlaps, and room taken
 * from them. Every address that the shim uses is chosen here.
 * Floor: arch, plain C. Invariants: r[i].base < r[i].end <= r[i + 1].base; usable areas are page
 * aligned, and so is all that is taken from them; page 0 is never usable. */
#ifndef X86_64_SHIM_MEMMAP_H
#define X86_64_SHIM_MEMMAP_H

#include "shim.h"

#define SHIM_RAW_MAX 512u
#define SHIM_MAP_MAX (2 * SHIM_RAW_MAX + 128u)
#define SHIM_PHYS_END (1ull << 46) /* memory above it has no place in the HHDM */

/* [base, end); type is a limine_memmap_type. */
typedef struct shim_range {
    uint64_t base;
    uint64_t end;
    uint32_t type;
} shim_range_t;

typedef struct shim_map {
    uint32_t n;
    shim_range_t r[SHIM_MAP_MAX];
    uint64_t cut[2 * SHIM_RAW_MAX]; /* of build */
} shim_map_t;

/* A range of firmware's map: cut at the end of the address space; types 1 to 5 as E820 and
 * Multiboot2 have them, all others are reserved. */
shim_range_t shim_range_of(uint64_t base, uint64_t bytes, uint32_t e820_type);

/* Sorts and merges; where ranges overlap, the one that is less free counts.
 * returns: 0, SHIM_E_NO_MAP (nothing usable), SHIM_E_MAP_FULL. */
int shim_map_build(shim_map_t *m, const shim_range_t *raw, uint32_t n_raw);

/* The usable part of the pages of [base, base + bytes) becomes of this type.
 * returns: 0, SHIM_E_MAP_FULL (the map is unchanged). */
int shim_map_take(shim_map_t *m, uint64_t base, uint64_t bytes, uint32_t type);

/* What to take: bytes > 0, align a power of two >= SHIM_PAGE, all of it below `below`. */
typedef struct shim_want {
    uint64_t bytes;
    uint64_t align;
    uint64_t below;
    uint32_t type;
} shim_want_t;

/* Takes the highest place that fits. returns: 0 and its address, or SHIM_E_NO_ROOM,
 * SHIM_E_MAP_FULL. */
int shim_map_find(shim_map_t *m, const shim_want_t *want, uint64_t *base);

/* Whether the HHDM shows the area even above 4 GiB. */
bool shim_range_is_ram(const shim_range_t *r);

/* Whether an address lies in memory of any kind: no device is there. */
bool shim_map_is_ram(const shim_map_t *m, uint64_t at);

#endif
