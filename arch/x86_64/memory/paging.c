/* SPDX-License-Identifier: MIT
 * The kernel's address space. See paging.h.
 * Floor: port.
 * Built while the loader's tables are still in use: they show all RAM at the same place. */
#include "paging.h"

#include "carve.h"
#include "memops.h"
#include "pmm.h"

#include "ggmk/base/bits.h"

static struct {
    uint64_t root;
    const mem_region_t *map;
    uint32_t n_map;
    uint64_t image_phys; /* of __kernel_start */
} paging;

static const char no_memory[] = "no memory for page tables";

/* Image. ----------------------------------------------------------------------------------- */

typedef struct part {
    const char *start;
    const char *end;
    uint32_t rights;
} part_t;

static const char *map_part(part_t p)
{
    ptable_run_t run = {.virt = (uintptr_t)p.start,
                        .phys = virt_to_phys(p.start),
                        .bytes = (uintptr_t)p.end - (uintptr_t)p.start,
                        .rights = p.rights};
    int rc = ptable_map_run(paging.root, &run);

    return rc == 0 ? NULL : rc == -1 ? no_memory : "parts of the kernel's image are not apart";
}

static const char *map_image(void)
{
    const part_t parts[] = {{__text_start, __text_end, PAGING_EXEC},
                            {__rodata_start, __rodata_end, 0},
                            {__data_start, __kernel_end, PAGING_WRITE}};
    const char *wrong = NULL;

    if (&__text_start[0] > &__rodata_start[0] || &__rodata_start[0] > &__data_start[0])
        return "the kernel's image is not in the order text, rodata, data";
    for (uint32_t i = 0; wrong == NULL && i < GMK_ARRAY_LEN(parts); i++)
        wrong = map_part(parts[i]);
    return wrong;
}

/* Direct map. ------------------------------------------------------------------------------- */

static int map_direct(uint64_t base, uint64_t end, uint32_t rights)
{
    ptable_run_t run = {
        .virt = base + mem_hhdm, .phys = base, .bytes = end - base, .rights = rights};

    return base < end ? ptable_map_run(paging.root, &run) : 0;
}

/* RAM can be written, but where it shows the image's text and constants. */
static int map_ram(const mem_region_t *r)
{
    uint64_t ro = virt_to_phys(__text_start);
    uint64_t ro_end = virt_to_phys(__data_start);
    uint64_t end = r->base + r->bytes;
    int rc;

    ro = gmk_min64(gmk_max64(ro, r->base), end);
    ro_end = gmk_min64(gmk_max64(ro_end, r->base), end);
    rc = map_direct(r->base, ro, PAGING_WRITE);
    if (rc == 0)
        rc = map_direct(ro, ro_end, 0);
    return rc == 0 ? map_direct(ro_end, end, PAGING_WRITE) : rc;
}

/* ACPI tables may share a page with RAM at either end: that page is mapped already. */
static int map_acpi(const mem_region_t *r)
{
    for (uint64_t at = r->base; at < r->base + r->bytes; at += MEM_PAGE)
        if (map_direct(at, at + MEM_PAGE, 0) == -1)
            return -1;
    return 0;
}

static const char *map_all_ram(const mem_region_t *map, uint32_t n)
{
    mem_region_t r;

    for (uint32_t at = 0; mem_carve_ram(map, n, false, &at, &r);)
        if (map_ram(&r) != 0)
            return no_memory;
    for (uint32_t at = 0; mem_carve_ram(map, n, true, &at, &r);)
        if (map_acpi(&r) != 0)
            return no_memory;
    return NULL;
}

const char *paging_init(const mem_boot_t *boot, const mem_region_t *map, uint32_t n)
{
    const char *wrong;

    paging.map = map;
    paging.n_map = n;
    paging.image_phys = boot->kernel_phys;
    paging.root = paging_alloc_table();
    if (paging.root == 0)
        return no_memory;
    wrong = map_image();
    return wrong == NULL ? map_all_ram(map, n) : wrong;
}

void paging_activate(void) { __asm__ volatile("mov %0, %%cr3" ::"r"(paging.root) : "memory"); }

uint64_t paging_root(void) { return paging.root; }

/* Addresses. --------------------------------------------------------------------------------- */

uint64_t virt_to_phys(const void *virt)
{
    const char *p = virt;
    uintptr_t v = (uintptr_t)virt;

    if (p >= __kernel_start && p < __kernel_end)
        return paging.image_phys + (uint64_t)(p - __kernel_start);
    return v >= mem_hhdm && v < MEM_AREA_BASE ? v - mem_hhdm : 0;
}

gmk_a64_t *paging_walk(uintptr_t virt, uint32_t *level)
{
    return ptable_walk(paging.root, virt, level);
}

uint64_t paging_phys(const void *virt)
{
    uint32_t level;
    gmk_a64_t *e = paging_walk((uintptr_t)virt, &level);
    uint64_t v = gmk_load_acq(e, GMK_DEV); /* sync: x86_pte.table */
    uint64_t inside = (level == 1 ? MEM_PAGE : MEM_BIG_PAGE) - 1;

    return (v & PTE_P) == 0 ? 0 : pte_phys(v) + ((uintptr_t)virt & inside);
}

/* Single pages. -------------------------------------------------------------------------------- */

int paging_map(uintptr_t virt, uint64_t phys, uint32_t rights)
{
    ptable_run_t run = {.virt = virt, .phys = phys, .bytes = MEM_PAGE, .rights = rights};

    return virt < MEM_HALF ? -2 : ptable_map_run(paging.root, &run);
}

int paging_unmap(uintptr_t virt)
{
    uint32_t level;
    gmk_a64_t *e = paging_walk(virt, &level);
    uint64_t v = gmk_load_acq(e, GMK_DEV); /* sync: x86_pte.table */

    if (virt % MEM_PAGE != 0 || level != 1 || (v & PTE_P) == 0)
        return -2;
    gmk_xchg_ar(e, 0, GMK_DEV); /* sync: x86_pte.table */
    paging_invlpg(virt);
    return 0;
}

/* Devices and firmware. ---------------------------------------------------- */

/* A window shows physical address p at its base + p. What is mapped there already is as it
 * should be, since all of a window has the same rights. */
static const volatile void *in_window(uintptr_t base, uint64_t phys, size_t bytes, uint32_t rights)
{
    uint64_t end = gmk_align_up(phys + bytes, MEM_PAGE);

    for (uint64_t p = phys & ~(MEM_PAGE - 1); p < end; p += MEM_PAGE)
        if (paging_map(base + p, p, rights) == -1)
            return NULL;
    return (const volatile char *)base + phys;
}

volatile void *map_mmio(uint64_t phys, size_t bytes)
{
    uint64_t first = phys & ~(MEM_PAGE - 1);

    if (bytes == 0 || phys >= MEM_MMIO_BYTES || bytes > MEM_MMIO_BYTES - phys ||
        mem_carve_is_ram(paging.map, paging.n_map, first, phys + bytes - first))
        return NULL;
    return (volatile void *)in_window(MEM_MMIO_BASE, phys, bytes, PAGING_WRITE | PAGING_UNCACHED);
}

/* True if the direct map shows all of the range. */
static bool is_direct(uint64_t phys, size_t bytes)
{
    for (uint64_t p = phys & ~(MEM_PAGE - 1); p < phys + bytes; p += MEM_PAGE)
        if ((*paging_walk((uintptr_t)phys_to_virt(p), NULL) & PTE_P) == 0)
            return false;
    return true;
}

const void *map_firmware(uint64_t phys, size_t bytes)
{
    if (bytes == 0 || phys >= MEM_FIRMWARE_BYTES || bytes > MEM_FIRMWARE_BYTES - phys)
        return NULL;
    if (is_direct(phys, bytes))
        return phys_to_virt(phys);
    return (const void *)in_window(MEM_FIRMWARE_BASE, phys, bytes, 0);
}
