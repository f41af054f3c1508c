/* SPDX-License-Identifier: MIT
 * Areas, mappings and demand paging. See vmm.h. Floor: port. */
#include "vmm.h"

#include "backing.h"
#include "heap.h"
#include "machine.h"
#include "memops.h"
#include "pmm.h"
#include "vspace.h"

#define FIRST_PAGE (MEM_AREA_BASE / MEM_PAGE)
#define N_PAGES (MEM_AREA_BYTES / MEM_PAGE)
#define DEMAND_ROUNDS 1000000u

/* Counted where it happens, by processor. */
typedef struct fault_row {
    GMK_ALIGNAS(GMK_CACHE_LINE) gmk_a64_t n_faults;
    gmk_a64_t n_races;
} fault_row_t;

static struct {
    mem_lock_t lock;
    vspace_t space;
    vrange_t whole;
    gmk_a32_t n_cpus; /* 0: x86_cpu_self() does not work yet */
    gmk_a64_t area_pages;
    gmk_a64_t n_oom;
    gmk_a64_t n_bad_frees;
    fault_row_t row[MEM_MAX_CPUS];
} vmm;

void vmm_init(void)
{
    vspace_init(&vmm.space, &vmm.whole, FIRST_PAGE, N_PAGES);
    heap_init();
}

void vmm_set_cpu_count(uint32_t n)
{
    pmm_use_caches();
    gmk_store_rel(&vmm.n_cpus, n, GMK_DEV); /* sync: x86_vmm.cpus */
}

/* Address space. ------------------------------------------------------------------------------ */

/* A range of the window, or null: no address space, or no memory to describe it. */
static vrange_t *take_space(vspace_want_t want)
{
    uint64_t flags = mem_lock(&vmm.lock);
    vrange_t *r = NULL;

    if (vmm.space.n_spare < VSPACE_SPARE) {
        uint64_t phys = pmm_alloc_pages(1);

        if (phys != 0)
            vspace_give(&vmm.space, phys_to_virt(phys), MEM_PAGE);
    }
    if (vmm.space.n_spare >= VSPACE_SPARE)
        r = vspace_take(&vmm.space, want);
    mem_unlock(&vmm.lock, flags);
    return r;
}

static void put_space(vrange_t *r)
{
    uint64_t flags = mem_lock(&vmm.lock);

    vspace_put(&vmm.space, r);
    mem_unlock(&vmm.lock, flags);
}

static uintptr_t address_of(const vrange_t *r) { return (r->first + r->skip) * MEM_PAGE; }

/* Marks the range of that kind, place and size as dying: the caller frees it, nobody else.
 * returns: null if there is none. */
static vrange_t *claim(uintptr_t virt, uint64_t pages, uint32_t kind)
{
    uint64_t flags = mem_lock(&vmm.lock);
    vrange_t *r = virt % MEM_PAGE != 0 ? NULL : vspace_find(&vmm.space, virt / MEM_PAGE, kind);

    if (r != NULL && r->n - r->skip == pages)
        r->kind = VSPACE_DYING;
    else
        r = NULL;
    mem_unlock(&vmm.lock, flags);
    return r;
}

void vmm_space_back(const backing_range_t *b)
{
    uint64_t flags = mem_lock(&vmm.lock);
    vrange_t *r = vspace_find(&vmm.space, b->virt / MEM_PAGE, VSPACE_DYING);

    vspace_put(&vmm.space, r);
    mem_unlock(&vmm.lock, flags);
}

static void count_oom(void) { gmk_add_rlx(&vmm.n_oom, 1, GMK_DEV); /* relaxed: a statistic */ }

static int refuse(void)
{
    gmk_add_rlx(&vmm.n_bad_frees, 1, GMK_DEV); /* relaxed: a statistic */
    return -1;
}

/* Areas. ------------------------------------------------------------------- */

static void *try_area(vspace_want_t want, bool populate)
{
    vrange_t *r = take_space(want);
    backing_range_t b;

    if (r == NULL)
        return NULL;
    b = (backing_range_t){address_of(r), want.n, want.skip, false};
    if (backing_reserve(&b, populate) != 0) {
        put_space(r);
        return NULL;
    }
    gmk_add_rlx(&vmm.area_pages, want.n, GMK_DEV); /* relaxed: a statistic */
    return (void *)b.virt;
}

void *vmm_area_alloc(size_t bytes, size_t align, uint32_t flags)
{
    size_t at = align < MEM_PAGE ? MEM_PAGE : align;
    vspace_want_t want = {.n = gmk_align_up(bytes, MEM_PAGE) / MEM_PAGE,
                          .align = at / MEM_PAGE,
                          .skip = (flags & VMM_GUARD) != 0,
                          .kind = VSPACE_AREA};
    void *p = NULL;

    if (bytes != 0 && bytes <= MEM_AREA_BYTES && (align & (align - 1)) == 0 &&
        align <= MEM_AREA_BYTES) {
        p = try_area(want, (flags & VMM_POPULATE) != 0);
        if (p == NULL && backing_reap()) /* with what waits for its shootdown */
            p = try_area(want, (flags & VMM_POPULATE) != 0);
    }
    if (p == NULL)
        count_oom();
    return p;
}

int vmm_area_free(void *p, size_t bytes)
{
    uint64_t pages = gmk_align_up(bytes, MEM_PAGE) / MEM_PAGE;
    vrange_t *r = bytes > MEM_AREA_BYTES ? NULL : claim((uintptr_t)p, pages, VSPACE_AREA);
    backing_range_t b;

    if (r == NULL)
        return refuse();
    b = (backing_range_t){address_of(r), pages, r->skip, false};
    gmk_sub_rlx(&vmm.area_pages, pages, GMK_DEV); /* relaxed: a statistic */
    backing_free(&b);
    return 0;
}

/* Mappings of physical memory. --------------------------------------------- */

/* Ends a mapping of n pages, whose tables are there. At return nobody has a translation. */
static void unmap(uintptr_t virt, uint64_t n)
{
    backing_cursor_t c = {virt, NULL};
    tlb_range_t range = {virt, n};

    for (uint64_t i = 0; i < n; i++)
        gmk_xchg_ar(backing_next(&c), 0, GMK_DEV); /* sync: x86_pte.table */
    if (n != 0)
        tlb_shootdown(&range, 1);
}

static bool map_frames(uintptr_t virt, uint64_t phys, uint64_t n, uint32_t rights)
{
    backing_cursor_t c = {virt, NULL};

    for (uint64_t i = 0; i < n; i++) {
        gmk_a64_t *e = backing_next(&c);

        if (e == NULL) {
            unmap(virt, i);
            return false;
        }
        /* sync: x86_pte.table */
        gmk_store_rel(e, pte_make(phys + i * MEM_PAGE, rights), GMK_DEV);
    }
    return true;
}

static uint64_t pages_around(uint64_t at, size_t bytes)
{
    return gmk_align_up(at % MEM_PAGE + bytes, MEM_PAGE) / MEM_PAGE;
}

void *vmm_map(uint64_t phys, size_t bytes, uint32_t rights)
{
    vrange_t *r = NULL;
    uint64_t n;

    if (bytes == 0 || bytes > MEM_AREA_BYTES || phys > PTE_ADDR - bytes ||
        (~rights & (PAGING_WRITE | PAGING_EXEC)) == 0) {
        count_oom();
        return NULL;
    }
    n = pages_around(phys, bytes);
    r = take_space((vspace_want_t){.n = n, .align = 1, .kind = VSPACE_MAPPING});
    if (r != NULL && map_frames(address_of(r), pte_phys(phys), n, rights))
        return (char *)address_of(r) + phys % MEM_PAGE;
    if (r != NULL)
        put_space(r);
    count_oom();
    return NULL;
}

int vmm_unmap(void *virt, size_t bytes)
{
    uintptr_t at = (uintptr_t)virt & ~(uintptr_t)(MEM_PAGE - 1);
    uint64_t n;
    vrange_t *r;

    if (bytes == 0 || bytes > MEM_AREA_BYTES)
        return refuse();
    n = pages_around((uintptr_t)virt, bytes);
    r = claim(at, n, VSPACE_MAPPING);
    if (r == NULL)
        return refuse();
    unmap(at, n);
    put_space(r);
    return 0;
}

/* Faults. ------------------------------------------------------------------ */

static bool in_windows(uintptr_t addr)
{
    return addr - MEM_AREA_BASE < MEM_AREA_BYTES || addr - MEM_HEAP_BASE < MEM_HEAP_BYTES;
}

static fault_row_t *row(void)
{
    /* sync: x86_vmm.cpus */
    return &vmm.row[gmk_load_acq(&vmm.n_cpus, GMK_DEV) == 0 ? 0 : mem_cpu()];
}

/* Puts a zeroed frame into e. returns: 1 done, 0 the entry changed (its value in *v), or for a
 * moment there was no frame: others that fault on the same page hold one more than promised. */
static int fill(gmk_a64_t *e, uint64_t *v)
{
    uint64_t phys = pmm_take();

    if (phys == 0) {
        *v = gmk_load_acq(e, GMK_DEV); /* sync: x86_pte.table */
        return 0;
    }
    memset(phys_to_virt(phys), 0, MEM_PAGE);
    if (gmk_cas_ar(e, v, pte_make(phys, PAGING_WRITE), GMK_DEV)) /* sync: x86_pte.table */
        return 1;
    pmm_give(phys);
    return 0;
}

int vmm_demand_page(uintptr_t addr)
{
    uint32_t level;
    gmk_a64_t *e;
    uint64_t v;

    if (!in_windows(addr))
        return -1;
    e = ptable_walk(paging_root(), addr, &level);
    v = gmk_load_acq(e, GMK_DEV); /* sync: x86_pte.table */
    for (uint32_t i = 0; level == 1 && i < DEMAND_ROUNDS; i++) {
        if ((v & PTE_P) != 0) { /* another was faster: its frame is the page */
            gmk_count_add(&row()->n_races, 1);
            return 0;
        }
        if (v != PTE_DEMAND)
            return -1;
        if (fill(e, &v) == 1) {
            gmk_count_add(&row()->n_faults, 1);
            return 0;
        }
        tlb_poll();
    }
    return -1;
}

const char *vmm_describe(uintptr_t addr)
{
    uint32_t level;
    uint64_t v;

    if (addr < MEM_PAGE)
        return "null pointer";
    if (addr < MEM_HALF)
        return "no address of the kernel";
    if (paging_root() == 0)
        return "nothing is mapped there"; /* as far as anybody knows yet */
    v = *ptable_walk(paging_root(), addr, &level);
    if ((v & PTE_P) != 0)
        return (v & PTE_W) != 0 ? "a page that is there" : "a page that is read only";
    if (in_windows(addr))
        return v == PTE_GUARD          ? "guard page below an area"
               : v == PTE_DEMAND       ? "a page that was reserved and not touched"
               : (v & PTE_ZOMBIE) != 0 ? "freed memory"
               : addr >= MEM_HEAP_BASE ? "no memory of the heap"
                                       : "no memory of an area";
    if (addr >= MEM_KERNEL_BASE && addr < MEM_HEAP_BASE)
        return "guard page of the kernel's image";
    return "nothing is mapped there";
}

void vmm_tlb_shootdown(uintptr_t addr)
{
    tlb_range_t range = {addr & ~(uintptr_t)(MEM_PAGE - 1), 1};

    tlb_shootdown(&range, 1);
}

void vmm_reap(void) { backing_reap(); }

/* Figures. ----------------------------------------------------------------- */

uint64_t vmm_commit_free(void) { return pmm_commit_free() * MEM_PAGE; }

vmm_stats_t vmm_stats(void)
{
    heap_stats_t heap = heap_stats();
    backing_stats_t back = backing_stats();
    /* relaxed: statistics, each on its own */
    vmm_stats_t s = {.n_oom = heap.n_oom + gmk_load_rlx(&vmm.n_oom, GMK_DEV),
                     .n_bad_frees = heap.n_bad_frees + gmk_load_rlx(&vmm.n_bad_frees, GMK_DEV),
                     .n_reaps = back.n_reaps,
                     .area_pages = gmk_load_rlx(&vmm.area_pages, GMK_DEV),
                     .heap_pages = heap.pages,
                     .pending_pages = back.pending_pages};

    for (uint32_t i = 0; i < MEM_MAX_CPUS; i++) {
        s.n_faults += gmk_count_get(&vmm.row[i].n_faults);
        s.n_fault_races += gmk_count_get(&vmm.row[i].n_races);
    }
    return s;
}
