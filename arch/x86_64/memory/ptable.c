/* SPDX-License-Identifier: MIT
 * Page tables. See ptable.h. Floor: port. */
#include "ptable.h"

#include "memops.h"
#include "pmm.h"

#define TOP 4u        /* the level of the root */
#define ENTRIES 512u  /* of a table */
#define INDEX_BITS 9u /* of an address, a level */

/* Tables point to tables with all rights; the last entry of a walk decides. */
#define TO_TABLE (PTE_P | PTE_W | PTE_A)

static uint32_t shift_of(uint32_t level) { return MEM_PAGE_SHIFT + INDEX_BITS * (level - 1); }

static gmk_a64_t *entry_in(uint64_t table, uintptr_t virt, uint32_t level)
{
    return (gmk_a64_t *)phys_to_virt(table) + (virt >> shift_of(level) & (ENTRIES - 1));
}

uint64_t paging_alloc_table(void)
{
    uint64_t phys = pmm_alloc_pages(1);

    if (phys != 0)
        memset(phys_to_virt(phys), 0, MEM_PAGE);
    return phys;
}

gmk_a64_t *ptable_walk(uint64_t root, uintptr_t virt, uint32_t *level)
{
    uint64_t table = root;

    for (uint32_t l = TOP;; l--) {
        gmk_a64_t *e = entry_in(table, virt, l);
        uint64_t v = gmk_load_acq(e, GMK_DEV); /* sync: x86_pte.table */

        if (l == 1 || (v & PTE_P) == 0 || (v & PTE_PS) != 0) {
            if (level != NULL)
                *level = l;
            return e;
        }
        table = pte_phys(v);
    }
}

/* The table below e, made if there is none. returns: its address, or 0. */
static uint64_t table_below(gmk_a64_t *e)
{
    uint64_t v = gmk_load_acq(e, GMK_DEV); /* sync: x86_pte.table */
    uint64_t made;

    if (v == 0) {
        made = paging_alloc_table();
        if (made == 0)
            return 0;
        if (gmk_cas_ar(e, &v, made | TO_TABLE, GMK_DEV)) /* sync: x86_pte.table */
            return made;
        pmm_free_pages(made, 1); /* another processor was faster: v is its entry */
    }
    return (v & PTE_PS) != 0 ? 0 : pte_phys(v);
}

/* The entry of virt at a level, tables made on the way; null if that cannot be. */
static gmk_a64_t *entry_at(uint64_t root, uintptr_t virt, uint32_t level)
{
    uint64_t table = root;

    for (uint32_t l = TOP; l > level; l--) {
        table = table_below(entry_in(table, virt, l));
        if (table == 0)
            return NULL;
    }
    return entry_in(table, virt, level);
}

gmk_a64_t *ptable_entry(uint64_t root, uintptr_t virt) { return entry_at(root, virt, 1); }

int ptable_map_run(uint64_t root, const ptable_run_t *run)
{
    const uint64_t big = MEM_BIG_PAGE - 1;

    if (((run->virt | run->phys | run->bytes) & (MEM_PAGE - 1)) != 0 ||
        (run->phys & ~PTE_ADDR) != 0 || (~run->rights & (PAGING_WRITE | PAGING_EXEC)) == 0)
        return -2;
    for (uint64_t at = 0, step; at < run->bytes; at += step) {
        uintptr_t virt = run->virt + at;
        uint64_t phys = run->phys + at, expected = 0;
        uint64_t entry = pte_make(phys, run->rights);
        gmk_a64_t *e;

        step = MEM_PAGE;
        if (((virt | phys) & big) == 0 && run->bytes - at >= MEM_BIG_PAGE) {
            step = MEM_BIG_PAGE;
            entry |= PTE_PS;
        }
        e = entry_at(root, virt, step == MEM_PAGE ? 1 : 2);
        if (e == NULL)
            return -1;
        if (!gmk_cas_ar(e, &expected, entry, GMK_DEV)) /* sync: x86_pte.table */
            return -2;
    }
    return 0;
}

/* An entry, and the rights that the tables above it leave. */
typedef struct step {
    uint64_t entry;
    uint64_t w;  /* PTE_W or 0 */
    uint64_t nx; /* PTE_NX or 0 */
} step_t;

static step_t look(const step_t *above, uint32_t level, uintptr_t virt)
{
    gmk_a64_t *e = entry_in(pte_phys(above->entry), virt, level);
    uint64_t v = gmk_load_acq(e, GMK_DEV); /* sync: x86_pte.table */

    return (step_t){v, above->w & v, above->nx | (v & PTE_NX)};
}

/* An address of 48 bits with the upper ones made equal to bit 47. */
static uintptr_t canonical(uint64_t virt) { return (uintptr_t)((int64_t)(virt << 16) >> 16); }

void ptable_visit(uint64_t root, bool (*fn)(void *ctx, const ptable_leaf_t *leaf), void *ctx)
{
    const uint64_t all = 1ull << 48;
    step_t steps[TOP + 1] = {[TOP] = {root, PTE_W, 0}};

    /* Goes to the next address each turn, by as much as the entry found there covers. */
    for (uint64_t virt = 0, step; virt < all; virt = (virt / step + 1) * step) {
        uint32_t level = TOP;
        step_t s = look(&steps[TOP], TOP, virt);

        while (level > 1 && (s.entry & PTE_P) != 0 && (s.entry & PTE_PS) == 0) {
            steps[level - 1] = s;
            level--;
            s = look(&steps[level], level, virt);
        }
        step = 1ull << shift_of(level);
        if ((s.entry & PTE_P) != 0) {
            ptable_leaf_t leaf = {canonical(virt), pte_phys(s.entry),  step,
                                  s.entry,         (s.w & PTE_W) != 0, (s.nx & PTE_NX) == 0};

            if (!fn(ctx, &leaf))
                return;
        }
    }
}
