/* SPDX-License-Identifier: MIT
 * Memory of the bare-metal kernel, inside it: its page tables, faults, heap, shootdowns.
 * Floor: tests. `memory_seconds=60` on the command line makes the storms last that long.
 * Source: SPEC BM-22 to BM-29, ACC-25; BOOT.md section 4. */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/cpu/lock.h"
#include "arch/x86_64/memory/boot_alloc.h"
#include "arch/x86_64/memory/paging.h"
#include "arch/x86_64/memory/pmm.h"
#include "arch/x86_64/memory/tlb.h"
#include "arch/x86_64/memory/vmm.h"
#include "ggmk/base/bits.h"
#include "ggmk/hal.h"
#include "ggmk/test.h"

#define MIB 0x100000ull

/* Faults, as codes of the fault guard. ------------------------------------------------------ */

static void read_at(void *p) { (void)*(volatile uint8_t *)p; }
static void write_at(void *p) { *(volatile uint8_t *)p = *(volatile uint8_t *)p; }
static void run_at(void *p) { ((void (*)(void))(uintptr_t)p)(); }

static uint32_t fault_of(void (*fn)(void *), const void *p)
{
    static const volatile uint32_t inside;

    return gmk_hal_guard_call(fn, (void *)(uintptr_t)p, &inside);
}

static bool fails(void (*fn)(void *), const void *p)
{
    return fault_of(fn, p) == GMK_HAL_FAULT_MEMORY;
}

static const char constant[] = "constant";
static uint8_t data_page[2 * MEM_PAGE];

GMK_TEST(memory_forbidden_accesses_fault)
{
    uint8_t *code = data_page;

    GMK_REQUIRE(gmk_hal_guard_open() == 0);
    code[0] = 0xc3; /* ret */
    gmk_test_assert(fails(read_at, NULL) && fails(write_at, NULL) && fails(run_at, NULL));
    gmk_test_assert(fails(read_at, (void *)8) && fails(read_at, (void *)(MEM_HALF - 1)));
    gmk_test_assert(fails(write_at, __text_start) && fails(write_at, constant));
    gmk_test_assert(fails(run_at, code) && fails(run_at, constant));
    gmk_test_assert(fails(read_at, __text_end) && fails(read_at, __rodata_end)); /* guards */
    gmk_test_assert(fails(read_at, __kernel_end));
    gmk_test_assert_eq(fault_of(read_at, __text_start), 0);
    gmk_test_assert_eq(fault_of(read_at, constant), 0);
    gmk_test_assert_eq(fault_of(write_at, code), 0);
    gmk_test_assert_str_eq(vmm_describe(8), "null pointer");
    gmk_test_assert_str_eq(vmm_describe((uintptr_t)constant), "a page that is read only");
    gmk_test_assert_str_eq(vmm_describe((uintptr_t)__text_end), "guard page of the kernel's image");
    gmk_hal_guard_close();
}

/* The image is read only where the direct map shows it, too. */
GMK_TEST(memory_text_cannot_be_written_by_another_address)
{
    GMK_REQUIRE(gmk_hal_guard_open() == 0);
    gmk_test_assert(fails(write_at, phys_to_virt(virt_to_phys(__text_start))));
    gmk_test_assert(fails(write_at, phys_to_virt(virt_to_phys(constant))));
    gmk_test_assert(fails(run_at, phys_to_virt(virt_to_phys(__text_start))));
    gmk_test_assert_eq(fault_of(write_at, phys_to_virt(virt_to_phys(data_page))), 0);
    gmk_hal_guard_close();
}

/* Page tables. --------------------------------------------------------------------------------- */

typedef struct tally {
    uint64_t pages, both, low, executable, outside_text;
} tally_t;

static bool count_leaf(void *ctx, const ptable_leaf_t *leaf)
{
    tally_t *t = ctx;
    bool in_text = leaf->virt >= (uintptr_t)__text_start && leaf->virt < (uintptr_t)__text_end;

    t->pages++;
    t->both += leaf->writable && leaf->executable;
    t->low += leaf->virt < MEM_HALF;
    t->executable += leaf->executable ? leaf->bytes : 0;
    t->outside_text += leaf->executable && !in_text;
    return true;
}

/* W^X, by looking at every page that is mapped. */
GMK_TEST(memory_no_page_is_both_writable_and_executable)
{
    tally_t t = {0};

    gmk_test_assert_eq(paging_read_cr3(), paging_root()); /* nothing of the loader's */
    ptable_visit(paging_read_cr3(), count_leaf, &t);
    gmk_test_assert_gt(t.pages, 100);
    gmk_test_assert_eq(t.both, 0);
    gmk_test_assert_eq(t.low, 0); /* the null page is among them */
    gmk_test_assert_eq(t.outside_text, 0);
    gmk_test_assert_eq(t.executable, (uintptr_t)__text_end - (uintptr_t)__text_start);
}

/* BM-24, BM-25. */
GMK_TEST(memory_paging_maps_single_pages)
{
    uintptr_t at = MEM_AREA_BASE + MEM_AREA_BYTES - 2 * MEM_PAGE; /* the far end: unused */
    uint64_t phys = pmm_alloc_pages(1);
    uint32_t level;

    GMK_REQUIRE(phys != 0);
    gmk_test_assert_eq(paging_map(at, phys | PTE_NX, PAGING_WRITE), -2); /* no address */
    gmk_test_assert_eq(paging_map(at + 8, phys, PAGING_WRITE), -2);
    gmk_test_assert_eq(paging_map(at, phys, PAGING_WRITE | PAGING_EXEC), -2);
    gmk_test_assert_eq(paging_map(0, phys, PAGING_WRITE), -2);
    GMK_REQUIRE(paging_map(at, phys, PAGING_WRITE) == 0);
    gmk_test_assert_eq(paging_map(at, phys, PAGING_WRITE), -2);
    *(volatile uint64_t *)at = 99;
    gmk_test_assert_eq(*(volatile uint64_t *)phys_to_virt(phys), 99);
    gmk_test_assert_eq(paging_phys((void *)(at + 5)), phys + 5);
    gmk_test_assert((paging_walk(at, &level), level) == 1);
    gmk_test_assert_eq(paging_unmap(at), 0);
    gmk_test_assert_eq(paging_unmap(at), -2);
    gmk_test_assert_eq(paging_phys((void *)at), 0);
    gmk_test_assert_eq(paging_unmap((uintptr_t)phys_to_virt(4 * MIB)), -2); /* a large page */
    gmk_test_assert_eq(pmm_free_pages(phys, 1), 0);
}

/* BM-24. */
GMK_TEST(memory_devices_are_uncached_and_ram_is_none)
{
    volatile uint32_t *lapic = map_mmio(0xfee00000, 0x400);
    uint64_t ram = pmm_alloc_pages(1);
    uint32_t level;
    uint64_t e;

    GMK_REQUIRE(lapic != NULL && ram != 0);
    e = *paging_walk((uintptr_t)lapic, &level);
    gmk_test_assert((e & (PTE_PCD | PTE_PWT | PTE_NX | PTE_W)) ==
                    (PTE_PCD | PTE_PWT | PTE_NX | PTE_W));
    gmk_test_assert(map_mmio(0xfee00020, 4) == lapic + 8);
    gmk_test_assert(map_mmio(ram, 4) == NULL && map_mmio(0xfee00000, 0) == NULL);
    gmk_test_assert(map_mmio(1ull << 46, 1) == NULL && map_mmio(9, SIZE_MAX) == NULL);
    gmk_test_assert_eq(pmm_free_pages(ram, 1), 0);
}

GMK_TEST(memory_firmware_tables_are_read_only)
{
    const char *rom = map_firmware(0xffff0, 16); /* the reset vector of every PC */

    GMK_REQUIRE(rom != NULL && gmk_hal_guard_open() == 0);
    gmk_test_assert_eq(fault_of(read_at, rom), 0);
    gmk_test_assert(fails(write_at, rom) && fails(run_at, rom));
    gmk_test_assert(map_firmware(0x400, 2) != NULL); /* page 0: in no map of RAM */
    gmk_test_assert(map_firmware(0, 0) == NULL && map_firmware(1ull << 43, 1) == NULL);
    gmk_hal_guard_close();
}

/* BM-22, BM-23. */
GMK_TEST(memory_frames_for_devices_are_contiguous)
{
    uint64_t n = pmm_free_count();
    uint64_t a = pmm_alloc_aligned(64, 64 * MEM_PAGE, 1ull << 32);

    GMK_REQUIRE(a != 0);
    gmk_test_assert(a % (64 * MEM_PAGE) == 0 && a + 64 * MEM_PAGE <= 1ull << 32);
    gmk_test_assert_eq(pmm_free_count(), n - 64);
    gmk_test_assert_eq(pmm_free_pages(a, 64), 0);
    gmk_test_assert_eq(pmm_free_pages(a, 64), -1); /* twice */
    gmk_test_assert_eq(pmm_free_count(), n);
    gmk_test_assert_le(pmm_usable_count(), pmm_total_count());
    gmk_test_assert_le(boot_alloc_used(), boot_alloc_total());
}

/* Demand paging. ----------------------------------------------------------- */

static bool is_present(const void *p) { return paging_phys(p) != 0; }

/* BM-26, BM-27, HAL-8; ACC-25, and out of it the cost of a fault, printed for a person. */
GMK_TEST(memory_first_touch_of_a_heap_page_maps_it)
{
    enum { BYTES = 256 * 4096 };
    uint64_t faults = vmm_stats().n_faults, used = vmm_get_heap_used(), cycles;
    char *p = kmalloc(BYTES);
    bool zero = true;

    GMK_REQUIRE(p != NULL);
    gmk_test_assert_eq(vmm_get_heap_used(), used + BYTES);
    gmk_test_assert(!is_present(p) && !is_present(p + BYTES - 1));
    cycles = gmk_hal_cycles();
    for (uint32_t i = 0; i < BYTES; i += 4096)
        zero = zero && ((volatile char *)p)[i] == 0;
    cycles = gmk_hal_cycles() - cycles;
    gmk_test_print_u64("  demand fault with zeroing, ns: ",
                       cycles * 1000 / (gmk_hal_cycles_hz() / 1000000) / (BYTES / 4096));
    gmk_test_assert(zero && is_present(p) && is_present(p + BYTES - 1));
    gmk_test_assert_ge(vmm_stats().n_faults, faults + 256);
    gmk_test_assert_eq(vmm_demand_page((uintptr_t)p), 0); /* mapped already */
    gmk_test_assert_eq(vmm_demand_page((uintptr_t)constant), -1);
    kfree(p, BYTES);
    gmk_test_assert_eq(vmm_get_heap_used(), used);
    GMK_REQUIRE(gmk_hal_guard_open() == 0);
    gmk_test_assert(fails(read_at, p));
    vmm_reap();
    gmk_test_assert(fails(read_at, p));
    gmk_hal_guard_close();
}

GMK_TEST(memory_areas_are_aligned_guarded_and_populated)
{
    char *a = vmm_area_alloc(3 * MIB, 4 * MIB, VMM_GUARD);
    char *b = vmm_area_alloc(5 * MEM_PAGE, 0, VMM_GUARD | VMM_POPULATE);
    uint64_t faults;

    GMK_REQUIRE(a != NULL && b != NULL && gmk_hal_guard_open() == 0);
    gmk_test_assert_eq((uintptr_t)a % (4 * MIB), 0);
    gmk_test_assert(fails(write_at, a - 1) && fails(read_at, b - 1));
    gmk_test_assert_str_eq(vmm_describe((uintptr_t)b - 1), "guard page below an area");
    faults = vmm_stats().n_faults;
    for (uint32_t i = 0; i < 5 * MEM_PAGE; i++)
        gmk_test_assert_eq(b[i], 0);
    gmk_test_assert_eq(vmm_stats().n_faults, faults); /* an interrupt may push there */
    gmk_test_assert_eq(vmm_area_free(a, 3 * MIB), 0);
    gmk_test_assert_eq(vmm_area_free(b, 5 * MEM_PAGE), 0);
    gmk_test_assert(fails(read_at, b));
    gmk_test_assert_eq(vmm_area_free(b, 5 * MEM_PAGE), -1);
    gmk_hal_guard_close();
}

#define TOUCH (512 * MIB) /* of a large machine's memory no more is touched */

/* Out of memory: a null return, counted. All that was promised can be touched. */
GMK_TEST(memory_out_of_memory_is_a_null_return)
{
    uint64_t oom = vmm_stats().n_oom, left, bytes, used = vmm_get_heap_used(), n = 0;
    char *chunk[128], *a;

    vmm_reap();
    left = vmm_commit_free();
    gmk_test_assert(vmm_area_alloc(left + MEM_PAGE, 0, 0) == NULL);
    gmk_test_assert(vmm_area_alloc(left + MEM_PAGE, 0, VMM_POPULATE) == NULL);
    bytes = vmm_commit_free() - vmm_commit_free() / 64; /* some for tables */
    a = vmm_area_alloc(bytes, 0, 0);
    GMK_REQUIRE(a != NULL);
    left = vmm_commit_free();
    for (uint64_t i = 0; i < gmk_min64(bytes, TOUCH); i += MEM_PAGE)
        a[i] = (char)(i >> 12);
    for (uint64_t i = 0; i < gmk_min64(bytes, TOUCH); i += MEM_PAGE)
        GMK_REQUIRE(a[i] == (char)(i >> 12));
    gmk_test_assert_eq(vmm_commit_free(), left); /* it was charged when it was promised */
    gmk_test_assert_eq(vmm_area_free(a, bytes), 0);
    while (n < 128 && (chunk[n] = kmalloc(2 * MIB)) != NULL)
        n++;
    gmk_test_assert_lt(n, 64); /* the window has 128 MiB, less what is in use */
    gmk_test_assert_gt(n, 0);
    gmk_test_assert_eq(vmm_stats().n_oom, oom + 3);
    gmk_test_assert(kmalloc(SIZE_MAX) == NULL);
    while (n > 0)
        kfree(chunk[--n], 2 * MIB);
    gmk_test_assert_eq(vmm_get_heap_used(), used);
    a = kmalloc(2 * MIB);
    gmk_test_assert(a != NULL);
    kfree(a, 2 * MIB);
}

/* Small objects. ----------------------------------------------------------- */

/* BOOT.md section 4: freeing 16 bytes unmaps the neighbour's page. */
GMK_TEST(memory_freeing_16_bytes_leaves_the_neighbours)
{
    enum { N = 1500 }; /* more than one slab */
    uint64_t bad = vmm_stats().n_bad_frees;
    uint64_t **p = kmalloc(N * sizeof(*p));

    GMK_REQUIRE(p != NULL);
    for (uint32_t i = 0; i < N; i++) {
        p[i] = kmalloc(16);
        GMK_REQUIRE(p[i] != NULL && (uintptr_t)p[i] % 16 == 0);
        p[i][0] = p[i][1] = i;
    }
    for (uint32_t i = 0; i < N; i += 2)
        kfree(p[i], 16);
    vmm_reap();
    for (uint32_t i = 1; i < N; i += 2)
        gmk_test_assert(p[i][0] == i && p[i][1] == i);
    kfree(p[0], 16);    /* twice */
    kfree(p[1], 32);    /* another size */
    kfree(&p[1][1], 8); /* the inside */
    gmk_test_assert_eq(vmm_stats().n_bad_frees, bad + 3);
    for (uint32_t i = 1; i < N; i += 2)
        kfree(p[i], 16);
    kfree(p, N * sizeof(*p));
}

enum { HEAP_LIVE = 256 };

typedef struct object {
    uint64_t *p;
    size_t bytes; /* 8 or more */
} object_t;

static bool object_new(object_t *o, uint64_t r)
{
    o->bytes = (r & 7) != 0 ? 8 + (r >> 8) % 3000 : 8 + (r >> 8) % 40000;
    o->p = kmalloc(o->bytes);
    if (o->p == NULL)
        return false;
    o->p[0] = r;
    o->p[o->bytes / 8 - 1] = r;
    return true;
}

static bool object_end(object_t *o)
{
    bool whole = o->p[0] == o->p[o->bytes / 8 - 1];

    kfree(o->p, o->bytes);
    o->p = NULL;
    return whole;
}

GMK_TEST(memory_heap_random_objects_stay_whole)
{
    static object_t live[HEAP_LIVE];
    uint64_t seed = gmk_test_seed(), used = vmm_get_heap_used();

    for (uint32_t i = 0; i < 20000; i++) {
        uint64_t r = gmk_rand_next(&seed);
        object_t *o = &live[r % HEAP_LIVE];

        if (o->p != NULL)
            GMK_REQUIRE(object_end(o));
        else
            GMK_REQUIRE(object_new(o, r >> 8));
    }
    for (uint32_t i = 0; i < HEAP_LIVE; i++)
        if (live[i].p != NULL)
            gmk_test_assert(object_end(&live[i]));
    gmk_test_assert_eq(vmm_get_heap_used(), used);
}

/* All processors. ---------------------------------------------------------- */

static gmk_a32_t n_here, n_wrong;
static uint64_t storm_end_ns;

static void wrong(void) { gmk_add_rlx(&n_wrong, 1, GMK_DEV); /* relaxed: a statistic */ }

/* Waits until all processors have come here for the round-th time. */
static void meet(uint32_t round)
{
    gmk_add_ar(&n_here, 1, GMK_DEV);                                     /* sync: test.kmem_word */
    while (gmk_load_acq(&n_here, GMK_DEV) < round * gmk_hal_cpu_count()) /* sync: test.kmem_word */
        gmk_hal_relax();
}

/* Runs fn(cpu) on each processor. returns: whether all of it was right. */
static bool on_all(void *(*fn)(void *))
{
    static gmk_hal_thread_t t[X86_MAX_CPUS];
    uint32_t n = gmk_hal_cpu_count();
    bool ok = true;

    n_here = n_wrong = 0;
    storm_end_ns = gmk_hal_now_ns() + boot_option_u64("memory_seconds", 0) * 1000000000;
    for (uintptr_t i = 0; i < n; i++)
        ok = gmk_hal_cpu_start(&t[i], (uint32_t)i, fn, (void *)i) == 0 && ok;
    for (uint32_t i = 0; i < n; i++)
        gmk_hal_thread_join(&t[i]);
    return ok && n_wrong == 0;
}

/* True for at least n rounds, and for as long as the command line wants. */
static bool goes_on(uint64_t round, uint64_t n)
{
    return round < n || gmk_hal_now_ns() < storm_end_ns;
}

enum { FAULT_PAGES = 300 };

static char *fault_area;

/* BOOT.md section 4: two processors fault on one page and one's write is lost. */
static void *fault_together(void *arg)
{
    for (uint32_t i = 0; i < FAULT_PAGES; i++) {
        meet(i + 1);
        *(volatile uint64_t *)(fault_area + i * MEM_PAGE + 64 * (uintptr_t)arg) = i + 1;
    }
    return NULL;
}

GMK_TEST(memory_two_faults_on_one_page_lose_no_write)
{
    fault_area = vmm_area_alloc(FAULT_PAGES * MEM_PAGE, 0, 0);
    GMK_REQUIRE(fault_area != NULL);
    gmk_test_assert(on_all(fault_together));
    for (uint32_t i = 0; i < FAULT_PAGES; i++)
        for (uint32_t c = 0; c < gmk_hal_cpu_count(); c++)
            gmk_test_assert_eq(*(uint64_t *)(fault_area + i * MEM_PAGE + 64 * c), i + 1);
    gmk_test_assert_eq(vmm_area_free(fault_area, FAULT_PAGES * MEM_PAGE), 0);
}

/* Rounds; with more processors than the host has cores each takes a turn of its scheduler. */
enum { AT_ONCE = 50, UNDER_LOCK = 10 };

/* BOOT.md section 4: two shootdowns wait for each other with interrupts off. */
static void *shoot_at_once(void *arg)
{
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        uint64_t flags = x86_irq_save();

        vmm_tlb_shootdown(MEM_HEAP_BASE + (uintptr_t)arg * MEM_PAGE);
        x86_irq_restore(flags);
    }
    return NULL;
}

/* BM-28, HAL-8; */
GMK_TEST(memory_shootdowns_of_all_processors_at_once_end)
{
    uint64_t n = tlb_count();

    gmk_test_assert(on_all(shoot_at_once));
    gmk_test_assert_ge(tlb_count(), n + AT_ONCE * gmk_hal_cpu_count());
}

static x86_lock_t shared_lock;

/* A processor that waits for a lock with interrupts off answers its holder's shootdown. */
static void *shoot_under_lock(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < UNDER_LOCK; i++) {
        uint64_t flags = x86_lock_irq(&shared_lock);

        vmm_tlb_shootdown(MEM_HEAP_BASE);
        x86_unlock_irq(&shared_lock, flags);
    }
    return NULL;
}

GMK_TEST(memory_shootdown_is_answered_by_who_waits_for_a_lock)
{
    gmk_test_assert(on_all(shoot_under_lock));
}

/* BM-19, BM-28. Idle processors answer as well: they are woken. */
GMK_TEST(memory_shootdown_reaches_idle_processors)
{
    uint64_t before[X86_MAX_CPUS];

    for (uint32_t i = 0; i < gmk_hal_cpu_count(); i++)
        before[i] = x86_cpus[i].n_tlb;
    vmm_tlb_shootdown(MEM_HEAP_BASE);
    for (uint32_t i = 0; i < gmk_hal_cpu_count(); i++)
        if (i != x86_cpu_self()->index)
            gmk_test_assert_gt(x86_cpus[i].n_tlb, before[i]);
}

/* One address, other memory behind it each round, seen by all. ------------- */

static volatile uint64_t *shown; /* what CPU 0 has mapped */
static uint64_t frames[2];

static void show(uint64_t round)
{
    if (shown != NULL && vmm_unmap((void *)shown, MEM_PAGE) != 0)
        wrong();
    shown = vmm_map(frames[round % 2], MEM_PAGE, PAGING_WRITE);
    if (shown == NULL)
        wrong();
}

/* ACC-25: after unmapping with shootdown no CPU sees the old mapping. */
static void *look_at_shown(void *arg)
{
    static const volatile uint64_t *last;
    static uint64_t n_same;

    for (uint32_t round = 0; round < 300; round++) {
        if ((uintptr_t)arg == 0) {
            show(round);
            n_same += shown == last;
            last = shown;
        }
        meet(2 * round + 1);
        if (shown == NULL || *shown != round % 2 + 1)
            wrong();
        meet(2 * round + 2);
    }
    if ((uintptr_t)arg == 0 && n_same < 200) /* else this has tested nothing */
        wrong();
    return NULL;
}

/* BM-28, ACC-25. */
GMK_TEST(memory_no_processor_sees_an_old_mapping)
{
    frames[0] = pmm_alloc_pages(1);
    frames[1] = pmm_alloc_pages(1);
    GMK_REQUIRE(frames[0] != 0 && frames[1] != 0);
    *(uint64_t *)phys_to_virt(frames[0]) = 1;
    *(uint64_t *)phys_to_virt(frames[1]) = 2;
    gmk_test_assert(on_all(look_at_shown));
    gmk_test_assert_eq(vmm_unmap((void *)shown, MEM_PAGE), 0);
    gmk_test_assert_eq(pmm_free_pages(frames[0], 1) | pmm_free_pages(frames[1], 1), 0);
}

/* D5: map, touch, hand over, unmap, reuse. --------------------------------- */

enum { PLACES = 8, STORM_ROUNDS = 1500 };

static gmk_a64_t places[PLACES];  /* areas: address | pages */
static gmk_a64_t objects[PLACES]; /* heap: address of an object, whose first word is its size */

/* Checks an area as its maker left it, and ends it. */
static void area_end(uint64_t v)
{
    char *at = (char *)(v & ~0xfffull);
    uint64_t pages = v & 0xfff;

    for (uint64_t i = 0; i < pages; i++) {
        volatile uint64_t *p = (volatile uint64_t *)(at + i * MEM_PAGE);

        if (p[0] != (uintptr_t)p || p[1] != 0 || p[511] != ~(uintptr_t)p)
            wrong();
    }
    if (vmm_area_free(at, pages * MEM_PAGE) != 0)
        wrong();
}

static uint64_t area_new(uint64_t r)
{
    uint64_t pages = 1 + r % 12;
    char *at = vmm_area_alloc(pages * MEM_PAGE, 0, (uint32_t)(r >> 8 & 3));

    for (uint64_t i = 0; at != NULL && i < pages; i++) {
        volatile uint64_t *p = (volatile uint64_t *)(at + i * MEM_PAGE);

        if (p[0] != 0 || p[1] != 0 || p[511] != 0) /* another's frame would show through */
            wrong();
        p[0] = (uintptr_t)p;
        p[511] = ~(uintptr_t)p;
    }
    if (at == NULL)
        wrong();
    return (uintptr_t)at | pages;
}

static void object_swap(uint64_t r)
{
    uint64_t bytes = 16 + (r >> 8) % ((r & 15) == 0 ? 30000 : 600);
    uint64_t *p = kmalloc(bytes), *old;

    if (p == NULL) {
        wrong();
        return;
    }
    p[0] = bytes;
    p[bytes / 8 - 1] = bytes;
    /* sync: test.kmem_word */
    old = (uint64_t *)gmk_xchg_ar(&objects[r >> 4 & (PLACES - 1)], (uintptr_t)p, GMK_DEV);
    if (old == NULL)
        return;
    if (old[0] != old[old[0] / 8 - 1])
        wrong();
    kfree(old, old[0]);
}

static void *storm(void *arg)
{
    uint64_t seed = gmk_test_seed() * 8 + (uintptr_t)arg;

    for (uint64_t i = 0; goes_on(i, STORM_ROUNDS / gmk_hal_cpu_count()); i++) {
        uint64_t r = gmk_rand_next(&seed);
        gmk_a64_t *place = &places[r >> 16 & (PLACES - 1)];
        /* sync: test.kmem_word */
        uint64_t v = gmk_xchg_ar(place, (r & 3) == 0 ? 0 : area_new(r >> 20), GMK_DEV);

        if (v != 0)
            area_end(v);
        object_swap(r >> 32);
        if ((r & 0xf00) == 0)
            vmm_reap();
    }
    return NULL;
}

GMK_TEST(memory_storm_no_stale_translation_no_lost_write)
{
    uint64_t used, pages, free_bytes;
    vmm_stats_t before, after;

    vmm_reap();
    used = vmm_get_heap_used();
    before = vmm_stats();
    pages = before.area_pages;
    free_bytes = vmm_commit_free();
    gmk_test_assert(on_all(storm));
    for (uint32_t i = 0; i < PLACES; i++) {
        if (places[i] != 0)
            area_end(places[i]);
        if (objects[i] != 0)
            kfree((void *)objects[i], *(uint64_t *)objects[i]);
        places[i] = objects[i] = 0;
    }
    vmm_reap();
    after = vmm_stats();
    gmk_test_print_u64("  faults: ", after.n_faults - before.n_faults);
    gmk_test_print_u64("  faults that another processor had served: ",
                       after.n_fault_races - before.n_fault_races);
    gmk_test_print_u64("  shootdowns for freed memory: ", after.n_reaps - before.n_reaps);
    gmk_test_assert_eq(n_wrong, 0);
    gmk_test_assert_eq(vmm_get_heap_used(), used);
    gmk_test_assert_eq(after.area_pages, pages);
    gmk_test_assert_eq(after.n_bad_frees, before.n_bad_frees);
    gmk_test_assert_ge(vmm_commit_free() + 2 * MIB, free_bytes); /* empty slabs, tables */
    gmk_test_assert(pmm_audit());
}
