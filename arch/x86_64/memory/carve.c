/* SPDX-License-Identifier: MIT
 * Memory map. See carve.h. Floor: port, plain logic. */
#include "carve.h"

#include "ggmk/base/bits.h"

static bool is_pool(uint64_t type) { return type == MEM_USABLE || type == MEM_LOADER; }

static bool is_ram(uint64_t type) { return is_pool(type) || type == MEM_KERNEL; }

static bool is_acpi(uint64_t type) { return type == MEM_ACPI || type == MEM_ACPI_NVS; }

static const char *check(const mem_region_t *r, const mem_region_t *last, uint64_t end)
{
    if (r->base + r->bytes < r->base)
        return "the memory map has a part that wraps";
    if (last != NULL && r->base < last->base)
        return "the memory map is not sorted";
    if (r->base < end && (is_pool(r->type) || is_pool(last->type)))
        return "usable memory overlaps another part of the memory map";
    return NULL;
}

/* Usable memory in whole pages, without the first. */
static mem_region_t whole_pages(mem_region_t r)
{
    uint64_t base = gmk_align_up(r.base, MEM_PAGE);
    uint64_t end = (r.base + r.bytes) & ~(MEM_PAGE - 1);

    if (!is_pool(r.type))
        return r;
    if (base == 0)
        base = MEM_PAGE;
    return (mem_region_t){base, end > base ? end - base : 0, r.type};
}

const char *mem_carve(const mem_region_t *const *from, uint64_t n, mem_region_t *to, uint32_t *n_to)
{
    const mem_region_t *last = NULL;
    uint64_t end = 0, usable = 0;
    uint32_t k = 0;

    *n_to = 0;
    if (from == NULL || n == 0)
        return "there is no memory map";
    for (uint64_t i = 0; i < n; i++) {
        mem_region_t r = *from[i];
        const char *wrong = r.bytes == 0 ? NULL : check(&r, last, end);

        if (wrong != NULL)
            return wrong;
        if (r.bytes == 0)
            continue;
        last = from[i];
        if (r.type >= MEM_TYPES)
            r.type = MEM_RESERVED;
        end = gmk_max64(end, r.base + r.bytes);
        r = whole_pages(r);
        if (r.bytes == 0)
            continue;
        usable += r.type == MEM_USABLE ? r.bytes : 0;
        if (k > 0 && to[k - 1].type == r.type && to[k - 1].base + to[k - 1].bytes == r.base) {
            to[k - 1].bytes += r.bytes;
            continue;
        }
        if (k == MEM_MAP_MAX)
            return "the memory map has too many parts";
        to[k++] = r;
    }
    *n_to = k;
    return usable == 0 ? "the memory map has no usable memory" : NULL;
}

bool mem_carve_ram(const mem_region_t *map, uint32_t n, bool acpi, uint32_t *at,
                   mem_region_t *range)
{
    uint64_t base = 0, end = 0;

    for (; *at < n; (*at)++) {
        const mem_region_t *r = &map[*at];

        if (!(acpi ? is_acpi(r->type) : is_ram(r->type)))
            continue;
        if (end != 0 && (r->base & ~(MEM_PAGE - 1)) > end)
            break;
        if (end == 0)
            base = r->base & ~(MEM_PAGE - 1);
        end = gmk_max64(end, gmk_align_up(r->base + r->bytes, MEM_PAGE));
    }
    *range = (mem_region_t){base, end - base, acpi ? MEM_ACPI : MEM_USABLE};
    return end != 0;
}

bool mem_carve_is_ram(const mem_region_t *map, uint32_t n, uint64_t base, uint64_t bytes)
{
    for (uint32_t i = 0; i < n; i++)
        if (is_ram(map[i].type) && base < map[i].base + map[i].bytes && map[i].base < base + bytes)
            return true;
    return false;
}
