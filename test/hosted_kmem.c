/* SPDX-License-Identifier: MIT
 * Memory of the bare-metal kernel, on a host, as one processor sees it: frames, page tables,
 * areas, the heap.
 * Floor: tests. Source: SPEC BM-22 to BM-27; BOOT.md section 4. */
#include "kmem_env.h"

/* Frames. ----------------------------------------------------------------------------- */

/* BM-22: figures are of usable memory. */
GMK_TEST(kmem_pmm_counts_usable_memory)
{
    uint64_t usable = 0;

    GMK_REQUIRE(start());
    for (uint32_t i = 0; i < n_map; i++)
        if (map[i].type == MEM_USABLE || map[i].type == MEM_LOADER)
            usable += map[i].bytes / MEM_PAGE;
    gmk_test_assert_eq(pmm_usable_count(), usable); /* holes are not RAM: not the span */
    gmk_test_assert_eq(pmm_total_count(), 62 * MIB / MEM_PAGE);
    gmk_test_assert(pmm_audit());
}

GMK_TEST(kmem_pmm_double_and_foreign_frees_are_refused)
{
    uint64_t bad, n, a;

    GMK_REQUIRE(start());
    bad = pmm_stats().n_bad_frees;
    n = pmm_free_count();
    a = pmm_alloc_pages(1);
    GMK_REQUIRE(a != 0);
    gmk_test_assert_eq(pmm_free_pages(a | PTE_NX, 1), -1); /* an entry's flags are no address */
    gmk_test_assert_eq(pmm_free_pages(a | PTE_W, 1), -1);
    gmk_test_assert_eq(pmm_free_pages(a, 1), 0);
    gmk_test_assert_eq(pmm_free_pages(a, 1), -1);
    gmk_test_assert_eq(pmm_free_pages(0, 1), -1);
    gmk_test_assert_eq(pmm_free_pages(9 * MIB, 1), -1);  /* a hole */
    gmk_test_assert_eq(pmm_free_pages(63 * MIB, 1), -1); /* the kernel */
    gmk_test_assert_eq(pmm_free_pages(1ull << 40, 1), -1);
    gmk_test_assert_eq(pmm_free_pages(a, UINT64_MAX), -1);
    gmk_test_assert_eq(pmm_stats().n_bad_frees, bad + 8);
    gmk_test_assert_eq(pmm_free_count(), n);
    gmk_test_assert(pmm_audit());
}

/* BM-22. */
GMK_TEST(kmem_pmm_runs_are_aligned_and_in_reach)
{
    uint64_t a, b, size, n;

    GMK_REQUIRE(start());
    n = pmm_free_count();
    a = pmm_alloc_aligned(600, MEM_BIG_PAGE, PMM_ANYWHERE);
    b = pmm_alloc_aligned(3, MEM_PAGE, 1 * MIB); /* for a device of 20 address bits */
    GMK_REQUIRE(a != 0 && b != 0);
    gmk_test_assert_eq(a % MEM_BIG_PAGE, 0);
    gmk_test_assert_le(b + 3 * MEM_PAGE, 1 * MIB);
    gmk_test_assert_eq(pmm_free_pages(a, 600) | pmm_free_pages(b, 3), 0);
    gmk_test_assert_eq(pmm_alloc_aligned(1, 3 * MEM_PAGE, PMM_ANYWHERE), 0);
    gmk_test_assert_eq(pmm_alloc_aligned(1, 64, PMM_ANYWHERE), 0);
    gmk_test_assert_eq(pmm_alloc_aligned(1, MEM_PAGE, MEM_PAGE), 0);
    gmk_test_assert_eq(pmm_alloc_pages(0), 0);
    gmk_test_assert_eq(pmm_alloc_pages(1ull << 50), 0);
    a = pmm_find_contiguous(20 * MIB, &size);
    gmk_test_assert(a >= 12 * MIB && size >= 20 * MIB && a + size <= 62 * MIB);
    gmk_test_assert_eq(pmm_find_contiguous(RAM, &size) | size, 0);
    gmk_test_assert_eq(pmm_free_count(), n);
}

/* The last frames may be in another processor's cache: they are found there. */
GMK_TEST(kmem_pmm_takes_the_last_frame_from_any_cache)
{
    static uint32_t got[RAM / MEM_PAGE];
    uint64_t n, a, k = 0;

    GMK_REQUIRE(start());
    kmem_cpu = 5;
    a = pmm_alloc_pages(1); /* fills cache 5 */
    kmem_cpu = 0;
    n = pmm_free_count();
    while (k < n) {
        uint64_t p = pmm_alloc_pages(1);

        GMK_REQUIRE(p != 0);
        got[k++] = (uint32_t)(p / MEM_PAGE);
    }
    gmk_test_assert_eq(pmm_free_count(), 0);
    gmk_test_assert_eq(pmm_alloc_pages(1), 0);
    gmk_test_assert(pmm_audit());
    while (k > 0)
        gmk_test_assert_eq(pmm_free_pages((uint64_t)got[--k] * MEM_PAGE, 1), 0);
    gmk_test_assert_eq(pmm_free_pages(a, 1), 0);
    gmk_test_assert_eq(pmm_free_count(), n + 1);
    gmk_test_assert(pmm_audit());
}

GMK_TEST(kmem_pmm_a_promise_is_kept)
{
    uint64_t n, first = 0, a;

    GMK_REQUIRE(start());
    n = pmm_commit_free();
    GMK_REQUIRE(pmm_commit(n) == 0);
    gmk_test_assert_eq(pmm_commit(1), -1);
    gmk_test_assert_eq(pmm_alloc_pages(1), 0); /* there are frames, but they are promised */
    gmk_test_assert_eq(pmm_alloc_pages(4), 0);
    gmk_test_assert_ge(pmm_free_count(), n);
    first = pmm_take();
    GMK_REQUIRE(first != 0);
    gmk_test_assert_eq(pmm_free_pages(first, 1), 0); /* freed for good: the promise is used up */
    a = pmm_alloc_pages(1);
    gmk_test_assert(a != 0 && pmm_alloc_pages(1) == 0);
    gmk_test_assert_eq(pmm_free_pages(a, 1), 0);
    a = pmm_take();
    GMK_REQUIRE(a != 0 && pmm_give(a) == 0);
    gmk_test_assert_eq(pmm_give(a), -1);
    pmm_uncommit(n - 1);
    gmk_test_assert_eq(pmm_commit_free(), n);
    gmk_test_assert(pmm_audit());
}

GMK_TEST(kmem_pmm_reclaims_once)
{
    uint64_t n;

    GMK_REQUIRE(start());
    n = pmm_free_count();
    gmk_test_assert_eq(pmm_reclaim(), 2 * MIB / MEM_PAGE);
    gmk_test_assert_eq(pmm_free_count(), n + 2 * MIB / MEM_PAGE);
    gmk_test_assert_eq(pmm_reclaim(), 0);
    gmk_test_assert(pmm_audit());
}

/* BM-23. */
GMK_TEST(kmem_boot_alloc_ends_at_8_mib)
{
    uint8_t *a, *b;
    size_t used;

    GMK_REQUIRE(start());
    a = boot_aligned_alloc(10, 16);
    b = boot_aligned_alloc(10, 4096);
    GMK_REQUIRE(a != NULL && b != NULL);
    gmk_test_assert((uintptr_t)a % 16 == 0 && (uintptr_t)b % 4096 == 0 && a[9] == 0);
    gmk_test_assert(boot_aligned_alloc(0, 16) == NULL && boot_aligned_alloc(9, 24) == NULL);
    gmk_test_assert(boot_aligned_alloc(9, 8192) == NULL && boot_aligned_alloc(9, 0) == NULL);
    gmk_test_assert(boot_calloc(SIZE_MAX / 2, 3) == NULL);
    gmk_test_assert((uintptr_t)boot_calloc(3, 5) % 64 == 0);
    boot_free(a);
    used = boot_alloc_used();
    a = boot_calloc(3, MIB);
    GMK_REQUIRE(a != NULL);
    gmk_test_assert_ge(boot_alloc_used(), used + 3 * MIB);
    while (boot_aligned_alloc(65536, 64) != NULL)
        ;
    gmk_test_assert_le(boot_alloc_used(), boot_alloc_total());
    gmk_test_assert_gt(boot_alloc_used(), boot_alloc_total() - 65536);
    gmk_test_assert_eq(boot_alloc_total(), 8 * MIB);
    gmk_test_assert(boot_aligned_alloc(65537, 1) == NULL);
}

/* Page tables. ------------------------------------------------------------------------ */

typedef struct seen {
    uint32_t n;
    ptable_leaf_t leaf[8];
} seen_t;

static bool see(void *ctx, const ptable_leaf_t *leaf)
{
    seen_t *s = ctx;

    if (s->n < GMK_ARRAY_LEN(s->leaf))
        s->leaf[s->n] = *leaf;
    return ++s->n < 100;
}

GMK_TEST(kmem_ptable_maps_by_large_pages_where_it_can)
{
    ptable_run_t run = {MEM_HALF + MEM_BIG_PAGE - MEM_PAGE, MEM_BIG_PAGE - MEM_PAGE,
                        MEM_BIG_PAGE + 2 * MEM_PAGE, PAGING_WRITE};
    uint64_t own;
    uint32_t level;
    seen_t s = {0};

    GMK_REQUIRE(start());
    own = paging_alloc_table();
    GMK_REQUIRE(own != 0 && ptable_map_run(own, &run) == 0);
    ptable_visit(own, see, &s);
    GMK_REQUIRE(s.n == 3);
    gmk_test_assert(s.leaf[0].virt == run.virt && s.leaf[0].phys == run.phys);
    gmk_test_assert(s.leaf[1].bytes == MEM_BIG_PAGE && s.leaf[1].phys == MEM_BIG_PAGE);
    gmk_test_assert(s.leaf[2].bytes == MEM_PAGE && s.leaf[2].phys == 2 * MEM_BIG_PAGE);
    gmk_test_assert(s.leaf[1].writable && !s.leaf[1].executable);
    gmk_test_assert((ptable_walk(own, run.virt + MEM_PAGE, &level), level) == 2);
    gmk_test_assert((ptable_walk(own, run.virt, &level), level) == 1);
    gmk_test_assert((ptable_walk(own, 0, &level), level) == 4);
    gmk_test_assert(ptable_entry(own, run.virt + MEM_PAGE) == NULL); /* a large page is there */
    gmk_test_assert_eq(ptable_map_run(own, &run), -2);
}

GMK_TEST(kmem_ptable_refuses_write_and_execute_and_bad_addresses)
{
    ptable_run_t both = {MEM_HALF, 0, MEM_PAGE, PAGING_WRITE | PAGING_EXEC};
    ptable_run_t odd = {MEM_HALF + 8, 0, MEM_PAGE, 0};
    ptable_run_t flag = {MEM_HALF, PTE_NX | MEM_PAGE, MEM_PAGE, 0};

    GMK_REQUIRE(start());
    gmk_test_assert_eq(ptable_map_run(root, &both), -2);
    gmk_test_assert_eq(ptable_map_run(root, &odd), -2);
    gmk_test_assert_eq(ptable_map_run(root, &flag), -2);
}

/* BOOT.md section 4: the NX bit left in a physical address. */
GMK_TEST(kmem_ptable_no_flag_is_left_in_an_address)
{
    uint64_t e = pte_make(0x1234567000 | PTE_NX | PTE_PCD, PAGING_WRITE);

    gmk_test_assert_eq(pte_phys(e), 0x1234567000);
    gmk_test_assert((e & PTE_NX) != 0 && (e & PTE_PCD) == 0);
    gmk_test_assert_eq(pte_phys(PTE_NX | PTE_DEMAND | PTE_ZOMBIE | PTE_PS), 0);
}

/* Areas and the heap. ----------------------------------------------------------------- */

/* BM-26. */
GMK_TEST(kmem_area_is_zeroed_guarded_and_given_back)
{
    uint64_t free_before, frames;
    uintptr_t a;

    GMK_REQUIRE(start());
    vmm_reap();
    GMK_REQUIRE(vmm_area_free(vmm_area_alloc(8 * MIB, 0, 0), 8 * MIB) == 0); /* tables stay */
    vmm_reap();
    free_before = vmm_commit_free();
    frames = pmm_free_count();
    a = (uintptr_t)vmm_area_alloc(3 * MIB, MEM_BIG_PAGE, VMM_GUARD);
    GMK_REQUIRE(a != 0);
    gmk_test_assert_eq(a % MEM_BIG_PAGE, 0);
    gmk_test_assert_eq(vmm_commit_free(), free_before - 3 * MIB); /* charged, */
    gmk_test_assert_eq(pmm_free_count(), frames);                 /* not taken */
    gmk_test_assert(touch(a - 8) == NULL);
    gmk_test_assert_str_eq(vmm_describe(a - 8), "guard page below an area");
    gmk_test_assert(holds(a, 0) && holds(a + 3 * MIB - 8, 0) && put(a, 77) && holds(a, 77));
    gmk_test_assert(touch(a + 3 * MIB) == NULL);
    gmk_test_assert_eq(pmm_free_count(), frames - 2);
    gmk_test_assert_eq(vmm_area_free((void *)a, 3 * MIB), 0);
    vmm_reap();
    gmk_test_assert(touch(a) == NULL);
    gmk_test_assert_eq(vmm_commit_free(), free_before);
    gmk_test_assert_eq(pmm_free_count(), frames);
    a = (uintptr_t)vmm_area_alloc(3 * MIB, MEM_BIG_PAGE, VMM_GUARD);
    gmk_test_assert(holds(a, 0)); /* the frame held 77 */
    gmk_test_assert_eq(vmm_area_free((void *)a, 3 * MIB), 0);
    gmk_test_assert(pmm_audit());
}

GMK_TEST(kmem_area_bad_frees_are_counted)
{
    uint64_t bad;
    char *a;

    GMK_REQUIRE(start());
    bad = vmm_stats().n_bad_frees;
    a = vmm_area_alloc(5 * MEM_PAGE, 0, 0);
    GMK_REQUIRE(a != NULL);
    gmk_test_assert_eq(vmm_area_free(a, 4 * MEM_PAGE), -1);
    gmk_test_assert_eq(vmm_area_free(a, 6 * MEM_PAGE), -1);
    gmk_test_assert_eq(vmm_area_free(a + MEM_PAGE, 4 * MEM_PAGE), -1);
    gmk_test_assert_eq(vmm_area_free(a + 8, 5 * MEM_PAGE), -1);
    gmk_test_assert_eq(vmm_area_free(NULL, 0), -1);
    gmk_test_assert_eq(vmm_area_free(a, SIZE_MAX), -1);
    gmk_test_assert_eq(vmm_unmap(a, 5 * MEM_PAGE), -1);
    gmk_test_assert_eq(vmm_area_free(a, 5 * MEM_PAGE), 0);
    gmk_test_assert_eq(vmm_area_free(a, 5 * MEM_PAGE), -1); /* twice */
    gmk_test_assert_eq(vmm_stats().n_bad_frees, bad + 8);
}

/* Out of memory is a null return, counted; what was promised can be touched to the last page. */
GMK_TEST(kmem_area_commit_is_strict)
{
    uint64_t oom, left;
    uintptr_t a;

    GMK_REQUIRE(start());
    vmm_reap();
    oom = vmm_stats().n_oom;
    left = vmm_commit_free();
    gmk_test_assert(vmm_area_alloc(left + MEM_PAGE, 0, 0) == NULL);
    gmk_test_assert(vmm_area_alloc(MEM_AREA_BYTES, 0, 0) == NULL);
    gmk_test_assert(vmm_area_alloc(SIZE_MAX, 0, 0) == NULL);
    gmk_test_assert(vmm_area_alloc(0, 0, 0) == NULL);
    gmk_test_assert(vmm_area_alloc(1, 3 * MEM_PAGE, 0) == NULL);
    gmk_test_assert_eq(vmm_stats().n_oom, oom + 5);
    left = vmm_commit_free();
    a = (uintptr_t)vmm_area_alloc(left - 40 * MEM_PAGE, 0, 0); /* 40: for tables */
    GMK_REQUIRE(a != 0);
    while (pmm_alloc_pages(1) != 0)
        ; /* all the rest is gone for good, in this test program */
    for (uintptr_t p = a; p < a + left - 40 * MEM_PAGE; p += MEM_PAGE)
        GMK_REQUIRE(put(p, p));
    gmk_test_assert_eq(pmm_free_count(), 0);
    gmk_test_assert(vmm_area_alloc(1, 0, 0) == NULL && kmalloc(5000) == NULL);
    for (uintptr_t p = a; p < a + left - 40 * MEM_PAGE; p += MEM_PAGE)
        GMK_REQUIRE(holds(p, p));
    gmk_test_assert_eq(vmm_area_free((void *)a, left - 40 * MEM_PAGE), 0);
    gmk_test_assert(pmm_audit());
}

/* BM-27. */
GMK_TEST(kmem_heap_large_objects_by_pages)
{
    uint64_t used, bad;
    char *a, *b;

    GMK_REQUIRE(start());
    used = vmm_get_heap_used();
    bad = vmm_stats().n_bad_frees;
    a = kmalloc(5000);
    b = kmalloc(2049);
    GMK_REQUIRE(a != NULL && b != NULL);
    gmk_test_assert_eq(vmm_get_heap_used(), used + 3 * MEM_PAGE);
    gmk_test_assert((uintptr_t)a >= MEM_HEAP_BASE && (uintptr_t)a % MEM_PAGE == 0);
    gmk_test_assert(put((uintptr_t)a + 4992, 1) && put((uintptr_t)b, 2));
    kfree(a, 9000);        /* a page more: the neighbour's */
    kfree(a, 4096);        /* a page less */
    kfree(a + 4096, 4096); /* the inside */
    kfree(a, 0);
    kfree(a - 1, 5000);
    kfree((void *)8, 5000);
    gmk_test_assert_eq(vmm_stats().n_bad_frees, bad + 6);
    kfree(a, 5000);
    kfree(a, 5000);
    kfree(NULL, 5000);
    gmk_test_assert_eq(vmm_stats().n_bad_frees, bad + 7);
    gmk_test_assert(holds((uintptr_t)b, 2));
    kfree(b, 2049);
    vmm_reap();
    gmk_test_assert_eq(vmm_get_heap_used(), used);
    gmk_test_assert(kmalloc(0) == NULL && kmalloc(MEM_HEAP_BYTES + 1) == NULL);
    a = kmalloc(5000);
    gmk_test_assert(a != NULL && (kfree(a, 5000), true));
}

/* BM-27. */
GMK_TEST(kmem_map_shows_physical_memory)
{
    uint64_t phys;
    char *v;

    GMK_REQUIRE(start());
    phys = pmm_alloc_pages(2);
    GMK_REQUIRE(phys != 0);
    v = vmm_map(phys + 8, MEM_PAGE, PAGING_WRITE);
    GMK_REQUIRE(v != NULL);
    gmk_test_assert(put((uintptr_t)v, 55));
    gmk_test_assert_eq(*(uint64_t *)phys_to_virt(phys + 8), 55);
    gmk_test_assert_eq(vmm_unmap(v, 16), -1);
    gmk_test_assert_eq(vmm_unmap(v, MEM_PAGE), 0);
    gmk_test_assert(touch((uintptr_t)v) == NULL);
    gmk_test_assert(vmm_map(phys, MEM_PAGE, PAGING_WRITE | PAGING_EXEC) == NULL);
    gmk_test_assert(vmm_map(phys | PTE_NX, MEM_PAGE, 0) == NULL && vmm_map(phys, 0, 0) == NULL);
    gmk_test_assert_eq(pmm_free_pages(phys, 2), 0);
}
