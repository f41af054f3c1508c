/* SPDX-License-Identifier: MIT
 * Backing of reserved pages. See backing.h.
 * Floor: port.
 * A batch of freed ranges is taken out under the lock, and worked on without it. */
#include "backing.h"

#include "machine.h"
#include "memops.h"
#include "pmm.h"

#define PENDING_MAX 32u    /* ranges */
#define PENDING_PAGES 256u /* 1 MiB */
#define WAIT_ROUNDS 1000000u

typedef struct batch {
    uint32_t n;
    uint64_t pages;
    backing_range_t range[PENDING_MAX];
} batch_t;

static struct {
    mem_lock_t lock;
    batch_t pending;
    gmk_a32_t n_reaping; /* batches under way */
    gmk_a64_t n_reaps;
} backing;

/* Entries. ---------------------------------------------------------------------------------- */

gmk_a64_t *backing_next(backing_cursor_t *c)
{
    if (c->entry == NULL || (c->virt >> MEM_PAGE_SHIFT) % 512 == 0)
        c->entry = ptable_entry(paging_root(), c->virt);
    else
        c->entry++;
    c->virt += MEM_PAGE;
    return c->entry;
}

static backing_cursor_t first_of(const backing_range_t *r)
{
    return (backing_cursor_t){r->virt - r->skip * MEM_PAGE, NULL};
}

/* Makes all tables of r, so that no step after this one can fail for lack of them. */
static bool make_tables(const backing_range_t *r)
{
    uintptr_t end = r->virt + r->pages * MEM_PAGE;
    uintptr_t at = r->virt - r->skip * MEM_PAGE;

    for (; at < end; at = (at / MEM_BIG_PAGE + 1) * MEM_BIG_PAGE)
        if (ptable_entry(paging_root(), at) == NULL)
            return false;
    return true;
}

static uint64_t zeroed_frame(void)
{
    uint64_t phys = pmm_take();

    if (phys != 0)
        memset(phys_to_virt(phys), 0, MEM_PAGE);
    return phys;
}

/* Writes the entry of each page. The range is its owner's alone: nobody else writes them. */
static bool write_entries(const backing_range_t *r, bool populate)
{
    backing_cursor_t c = first_of(r);

    for (uint64_t i = 0; i < r->skip; i++)
        gmk_store_rel(backing_next(&c), PTE_GUARD, GMK_DEV); /* sync: x86_pte.table */
    for (uint64_t i = 0; i < r->pages; i++) {
        uint64_t phys = populate ? zeroed_frame() : 0;

        if (populate && phys == 0)
            return false;
        /* sync: x86_pte.table */
        gmk_store_rel(backing_next(&c), populate ? pte_make(phys, PAGING_WRITE) : PTE_DEMAND,
                      GMK_DEV);
    }
    return true;
}

/* Makes entries 0 and gives their frames back; all processors have forgotten them. */
static void clear_entries(const backing_range_t *r)
{
    backing_cursor_t c = first_of(r);

    for (uint64_t i = 0; i < r->skip + r->pages; i++) {
        uint64_t v = gmk_xchg_ar(backing_next(&c), 0, GMK_DEV); /* sync: x86_pte.table */

        if ((v & (PTE_ZOMBIE | PTE_P)) != 0)
            pmm_give(pte_phys(v));
    }
}

int backing_reserve(const backing_range_t *r, bool populate)
{
    if (pmm_commit(r->pages) != 0)
        return -1;
    if (!make_tables(r)) {
        pmm_uncommit(r->pages);
        return -1;
    }
    if (!write_entries(r, populate)) { /* promised, so this does not happen; nobody saw them */
        clear_entries(r);
        pmm_uncommit(r->pages);
        return -1;
    }
    return 0;
}

/* Present pages become zombies: no processor can load their translation any more.
 * returns: whether there was one, so that a processor may have a translation. */
static bool unmap(const backing_range_t *r)
{
    backing_cursor_t c = first_of(r);
    bool any = false;

    for (uint64_t i = 0; i < r->skip + r->pages; i++) {
        gmk_a64_t *e = backing_next(&c);
        uint64_t v = gmk_xchg_ar(e, 0, GMK_DEV); /* sync: x86_pte.table */

        if ((v & PTE_P) == 0)
            continue;
        any = true;
        if (r->pages < PENDING_PAGES) /* this processor finds out about a use at once */
            mem_flush_page(c.virt - MEM_PAGE);
        gmk_store_rel(e, pte_phys(v) | PTE_ZOMBIE, GMK_DEV); /* sync: x86_pte.table */
    }
    return any;
}

/* Freed ranges. ----------------------------------------------------------------------------- */

static void give_back(const backing_range_t *r)
{
    clear_entries(r);
    pmm_uncommit(r->pages);
    if (r->is_heap)
        heap_space_back(r);
    else
        vmm_space_back(r);
}

static void reap(const batch_t *b)
{
    tlb_range_t ranges[PENDING_MAX];

    for (uint32_t i = 0; i < b->n; i++)
        ranges[i] = (tlb_range_t){b->range[i].virt, b->range[i].pages};
    tlb_shootdown(ranges, b->n);
    for (uint32_t i = 0; i < b->n; i++)
        give_back(&b->range[i]);
    gmk_add_rlx(&backing.n_reaps, 1, GMK_DEV);  /* relaxed: a statistic */
    gmk_sub_ar(&backing.n_reaping, 1, GMK_DEV); /* sync: x86_backing.reaping */
}

/* Takes what is pending. pre: the lock is held. */
static void take_batch(batch_t *to)
{
    *to = backing.pending;
    backing.pending.n = 0;
    backing.pending.pages = 0;
    if (to->n != 0)
        gmk_add_ar(&backing.n_reaping, 1, GMK_DEV); /* sync: x86_backing.reaping */
}

void backing_free(const backing_range_t *r)
{
    batch_t b = {.n = 0};
    uint64_t flags;

    if (!unmap(r)) { /* never touched: nobody has anything to forget */
        give_back(r);
        return;
    }
    flags = mem_lock(&backing.lock);
    backing.pending.range[backing.pending.n++] = *r;
    backing.pending.pages += r->pages;
    if (backing.pending.n == PENDING_MAX || backing.pending.pages >= PENDING_PAGES)
        take_batch(&b);
    mem_unlock(&backing.lock, flags);
    if (b.n != 0)
        reap(&b);
}

/* Another processor's batch may hold what the caller needs: gives it time, but not for ever,
 * since a thread of this very processor may be the one. */
static bool wait_for_others(void)
{
    bool any = false;

    for (uint32_t i = 0; i < WAIT_ROUNDS; i++) {
        if (gmk_load_acq(&backing.n_reaping, GMK_DEV) == 0) /* sync: x86_backing.reaping */
            break;
        any = true;
        tlb_poll();
        gmk_pause();
    }
    return any;
}

bool backing_reap(void)
{
    uint64_t flags = mem_lock(&backing.lock);
    bool others;
    batch_t b;

    take_batch(&b);
    mem_unlock(&backing.lock, flags);
    if (b.n != 0)
        reap(&b);
    others = wait_for_others();
    return b.n != 0 || others;
}

backing_stats_t backing_stats(void)
{
    uint64_t flags = mem_lock(&backing.lock);
    uint64_t pages = backing.pending.pages;

    mem_unlock(&backing.lock, flags);
    /* relaxed: a statistic */
    return (backing_stats_t){gmk_load_rlx(&backing.n_reaps, GMK_DEV), pages};
}
