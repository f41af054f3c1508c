/* SPDX-License-Identifier: MIT
 * Start of the memory parts. See mem.h. Floor: port. */
#include "mem.h"

#include "boot_alloc.h"
#include "carve.h"
#include "paging.h"
#include "pmm.h"

uint64_t mem_hhdm;

static mem_region_t map[MEM_MAP_MAX];
static uint32_t n_map;

static const char *check(const mem_boot_t *boot)
{
    uint64_t highest = 0;

    if (boot->hhdm % MEM_BIG_PAGE != 0 || boot->hhdm < MEM_HALF || boot->hhdm >= MEM_AREA_BASE)
        return "the direct map is not at a place that this kernel can use";
    for (uint32_t i = 0; i < n_map; i++)
        if (map[i].type == MEM_USABLE || map[i].type == MEM_LOADER)
            highest = map[i].base + map[i].bytes;
    if (highest > MEM_AREA_BASE - boot->hhdm)
        return "there is more memory than the direct map has room for";
    if (boot->kernel_virt != (uintptr_t)__kernel_start || boot->kernel_phys % MEM_PAGE != 0 ||
        boot->kernel_phys == 0)
        return "the kernel is not where it was linked to be";
    return NULL;
}

const char *mem_init(const mem_boot_t *boot)
{
    const char *wrong = mem_carve(boot->map, boot->n_map, map, &n_map);

    if (wrong == NULL)
        wrong = check(boot);
    if (wrong != NULL)
        return wrong;
    mem_hhdm = boot->hhdm;
    wrong = pmm_init(map, n_map);
    if (wrong == NULL)
        wrong = paging_init(boot, map, n_map);
    if (wrong != NULL)
        return wrong;
    paging_activate();
    boot_alloc_init();
    return NULL;
}

const mem_region_t *mem_map(uint32_t *n)
{
    *n = n_map;
    return map;
}
