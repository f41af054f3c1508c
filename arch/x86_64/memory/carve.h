/* SPDX-License-Identifier: MIT
 * Makes the loader's memory map fit for use: checked, copied, joined.
 * Floor: port, plain logic.
 * Source: BOOT.md section 1 (sorted; usable and loader memory page aligned, over nothing). */
#ifndef X86_CARVE_H
#define X86_CARVE_H

#include "mem.h"

#define MEM_MAP_MAX 512u /* parts of a map; OVMF has about 100 */

/* Copies n parts to `to` (MEM_MAP_MAX places), *n_to of them: empty ones are left out,
 * neighbours of one type joined, usable and loader memory cut to whole pages, and page 0 taken
 * out of them. Parts of other types may overlap each other and end anywhere; types that this
 * kernel does not know count as reserved.
 * returns: null, or what is wrong: no map, too many parts, a part that wraps, parts not sorted,
 * usable or loader memory that overlaps another part, nothing usable. */
const char *mem_carve(const mem_region_t *const *from, uint64_t n, mem_region_t *to,
                      uint32_t *n_to);

/* The next range that the direct map shows as RAM, joined over types: usable, loader, kernel;
 * with acpi, of the ACPI types instead. Rounded out to pages. *at is where to go on, 0 at first.
 * returns: false at the end. */
bool mem_carve_ram(const mem_region_t *map, uint32_t n, bool acpi, uint32_t *at,
                   mem_region_t *range);

/* True if some part of the map that is RAM overlaps the range. */
bool mem_carve_is_ram(const mem_region_t *map, uint32_t n, uint64_t base, uint64_t bytes);

#endif
