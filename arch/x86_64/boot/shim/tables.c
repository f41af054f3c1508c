/* SPDX-License-Identifier: MIT
 * Page tables: see tables.h.
 * Floor: arch, plain C. */
#include "tables.h"

#define TABLE_ENTRIES 512u
#define GIB 0x40000000ull

static uint64_t *page_of(const shim_tables_t *t, uint64_t phys)
{
    return t->pool + (phys - t->phys) / sizeof(uint64_t);
}

void shim_tables_start(shim_tables_t *t)
{
    t->n = 1;
    shim_zero((uint8_t *)t->pool, SHIM_PAGE);
}

/* A table below, made when there is none. returns: null when the pool is used up. */
static uint64_t *below(shim_tables_t *t, uint64_t *entry)
{
    if ((*entry & SHIM_PTE_P) == 0) {
        if (t->n == t->cap)
            return NULL;
        *entry = (t->phys + t->n * SHIM_PAGE) | SHIM_PTE_P | SHIM_PTE_W;
        t->n++;
        shim_zero((uint8_t *)page_of(t, *entry & SHIM_PTE_ADDRESS), SHIM_PAGE);
    }
    return page_of(t, *entry & SHIM_PTE_ADDRESS);
}

static uint32_t index_at(uint64_t virt, uint32_t level)
{
    return (uint32_t)(virt >> (12 + 9 * level)) & (TABLE_ENTRIES - 1);
}

int shim_tables_map(shim_tables_t *t, uint64_t virt, shim_range_t phys, uint64_t flags)
{
    while (phys.base < phys.end) {
        bool large = ((virt | phys.base) & (SHIM_2M - 1)) == 0 && phys.end - phys.base >= SHIM_2M;
        uint64_t *table = t->pool, step = large ? SHIM_2M : SHIM_PAGE;

        for (uint32_t level = 3; level > (large ? 1u : 0u); level--) {
            table = below(t, &table[index_at(virt, level)]);
            if (table == NULL)
                return SHIM_E_TABLES;
        }
        table[index_at(virt, large ? 1 : 0)] = phys.base | flags | (large ? SHIM_PTE_LARGE : 0);
        virt += step;
        phys.base += step;
    }
    return SHIM_OK;
}

/* The large pages that a range touches, above 4 GiB; empty when there are none. */
static shim_range_t high_part(const shim_range_t *r)
{
    shim_range_t h = {shim_down(r->base, SHIM_2M), 0, r->type};

    h.end = r->end < SHIM_PHYS_END ? shim_up(r->end, SHIM_2M) : SHIM_PHYS_END;
    if (h.base < SHIM_4G)
        h.base = SHIM_4G;
    if (!shim_range_is_ram(r) || h.base >= h.end)
        h.base = h.end = 0;
    return h;
}

int shim_tables_hhdm(shim_tables_t *t, const shim_map_t *m, uint64_t run_page)
{
    const uint64_t data = SHIM_PTE_P | SHIM_PTE_W | SHIM_PTE_NX;
    uint64_t around = shim_down(run_page, SHIM_2M), next = run_page + SHIM_PAGE;
    const struct {
        uint64_t base, end, flags;
    } low[] = {{0, around, data},
               {around, run_page, data},
               {run_page, next, SHIM_PTE_P},
               {next, around + SHIM_2M, data},
               {around + SHIM_2M, SHIM_4G, data}};
    int rc = SHIM_OK;

    for (uint32_t i = 0; rc == SHIM_OK && i < sizeof(low) / sizeof(low[0]); i++)
        rc = shim_tables_map(t, SHIM_HHDM + low[i].base, (shim_range_t){low[i].base, low[i].end, 0},
                             low[i].flags);
    for (uint32_t i = 0; rc == SHIM_OK && i < m->n; i++) {
        shim_range_t h = high_part(&m->r[i]);

        rc = shim_tables_map(t, SHIM_HHDM + h.base, h, data);
    }
    return rc;
}

int shim_tables_kernel(shim_tables_t *t, const shim_elf_t *e, uint64_t phys)
{
    int rc = SHIM_OK;

    for (uint32_t i = 0; rc == SHIM_OK && i < e->n_segments; i++) {
        const shim_segment_t *s = &e->seg[i];
        uint64_t virt = shim_down(s->virt, SHIM_PAGE);
        uint64_t end = shim_up(s->virt + s->mem_bytes, SHIM_PAGE), at = phys + (virt - e->first);
        uint64_t flags = SHIM_PTE_P | ((s->flags & SHIM_SEG_W) != 0 ? SHIM_PTE_W : 0) |
                         ((s->flags & SHIM_SEG_X) != 0 ? 0 : SHIM_PTE_NX);

        rc = shim_tables_map(t, virt, (shim_range_t){at, at + (end - virt), 0}, flags);
    }
    return rc;
}

uint64_t shim_tables_need(const shim_map_t *m, const shim_elf_t *e)
{
    /* The root; one table of 512 GiB and four of 1 GiB below 4 GiB; one that splits a page; for
     * the kernel one of 512 GiB, and what its span can touch of 1 GiB and 2 MiB. */
    uint64_t n = 1 + 1 + 4 + 1 + 1 + e->span / GIB + 2 + e->span / SHIM_2M + 2;

    for (uint32_t i = 0; i < m->n; i++) {
        shim_range_t h = high_part(&m->r[i]);

        if (h.base < h.end)
            n += (h.end - h.base) / GIB + 2 + (h.end - h.base) / (GIB * TABLE_ENTRIES) + 2;
    }
    return n;
}

uint64_t shim_tables_entry(const shim_tables_t *t, uint64_t virt)
{
    const uint64_t *table = t->pool;

    for (uint32_t level = 3; level > 0; level--) {
        uint64_t entry = table[index_at(virt, level)];

        if ((entry & SHIM_PTE_P) == 0 || (entry & SHIM_PTE_LARGE) != 0)
            return entry;
        table = page_of(t, entry & SHIM_PTE_ADDRESS);
    }
    return table[index_at(virt, 0)];
}
