/* SPDX-License-Identifier: MIT
 * Processors beside each other in the bare-metal kernel's memory, on a host: threads are
 * processors (kmem_machine.h). Shootdowns, faults on one page, frames that wait.
 * Floor: tests. Source: SPEC BM-26, BM-28; BOOT.md section 4. */
#include "kmem_env.h"

#include "../arch/x86_64/memory/shoot.h"

/* Shootdown. -------------------------------------------------------------------------- */

static uint32_t n_forgot;

static void forget_nothing(const tlb_range_t *ranges, uint32_t n)
{
    (void)ranges;
    n_forgot += n;
}

/* BM-28; BOOT.md section 4: two shootdowns wait for each other with interrupts off. */
GMK_TEST(kmem_shoot_two_initiators_serve_each_other)
{
    tlb_range_t r[2] = {{0x1000, 1}, {0x2000, 1}};
    static shoot_t box;

    n_forgot = 0;
    shoot_online(&box, 1);
    shoot_online(&box, 2);
    gmk_test_assert_eq(shoot_post(&box, 1, r, 2), 1u << 2);
    gmk_test_assert_eq(shoot_post(&box, 2, r, 1), 1u << 1);
    gmk_test_assert(!shoot_is_done(&box, 1) && !shoot_is_done(&box, 2));
    shoot_serve(&box, 1, forget_nothing); /* 1 waits, and serves meanwhile */
    gmk_test_assert(!shoot_is_done(&box, 1) && shoot_is_done(&box, 2));
    shoot_serve(&box, 2, forget_nothing);
    gmk_test_assert(shoot_is_done(&box, 1));
    gmk_test_assert_eq(n_forgot, 3); /* two ranges and one */
    shoot_serve(&box, 2, forget_nothing);
    gmk_test_assert_eq(n_forgot, 3);
}

GMK_TEST(kmem_shoot_leaves_out_who_is_not_online)
{
    tlb_range_t r = {0x1000, 1};
    static shoot_t box;

    shoot_online(&box, 1);
    shoot_online(&box, 2);
    gmk_test_assert_eq(shoot_post(&box, 1, &r, 1), 1u << 2);
    gmk_test_assert(!shoot_is_done(&box, 1));
    gmk_test_assert_eq(shoot_post(&box, 3, &r, 1), 1u << 1); /* 2 has one under way */
    shoot_offline(&box, 2);                                  /* it halts, and answers nobody */
    gmk_test_assert(shoot_is_done(&box, 1));
    shoot_serve(&box, 1, forget_nothing);
    gmk_test_assert(shoot_is_done(&box, 3));
}

/* Threads as processors. -------------------------------------------------------------- */

enum { CPUS = 4, SHARED = 8, ROUNDS = 250 };

/* Areas that processors hand to each other: each is owned by who takes it out of its place. */
static gmk_a64_t shared[SHARED];
static gmk_a32_t n_ready, n_done, go;
static uint32_t first_cpu;
static uint64_t stress_seed;
static gmk_a32_t n_wrong;

static void wrong(void) { gmk_add_rlx(&n_wrong, 1, GMK_DEV); /* relaxed: a statistic */ }

/* Waits as a processor does: answering. */
static void wait_for(gmk_a32_t *word, uint32_t least)
{
    while (gmk_load_acq(word, GMK_DEV) < least) { /* sync: test.kmem_word */
        tlb_poll();
        gmk_hal_relax();
    }
}

static void raise(gmk_a32_t *word) { gmk_add_ar(word, 1, GMK_DEV); /* sync: test.kmem_word */ }

static uint64_t sized(uint64_t r) { return 1 + r % 5; }

/* Checks an area as its last owner left it: pages * 2 in the lowest bits, its address above. */
static void check_and_free(uint64_t v)
{
    uintptr_t at = v & ~0xfffull;
    uint64_t pages = v & 0xfff;

    for (uint64_t i = 0; i < pages; i++)
        if (!holds(at + i * MEM_PAGE, at + i) || !holds(at + i * MEM_PAGE + 8, 0))
            wrong();
    if (vmm_area_free((void *)at, pages * MEM_PAGE) != 0)
        wrong();
}

static uint64_t make_area(uint64_t r)
{
    uint64_t pages = sized(r);
    uintptr_t at = (uintptr_t)vmm_area_alloc(pages * MEM_PAGE, 0, (uint32_t)(r >> 8 & 3));

    for (uint64_t i = 0; at != 0 && i < pages; i++)
        if (!holds(at + i * MEM_PAGE, 0) || !put(at + i * MEM_PAGE, at + i))
            wrong();
    return at == 0 ? 0 : at | pages;
}

static void stress_step(uint64_t r)
{
    gmk_a64_t *place = &shared[r >> 16 & (SHARED - 1)];
    /* sync: test.kmem_word */
    uint64_t v = gmk_xchg_ar(place, (r & 3) == 0 ? 0 : make_area(r >> 20), GMK_DEV);

    if (v != 0)
        check_and_free(v);
    if ((r & 0x700) == 0)
        vmm_reap();
}

static void *stress_cpu(void *arg)
{
    uint64_t seed = stress_seed + (uintptr_t)arg;

    kmem_cpu = first_cpu + (uint32_t)(uintptr_t)arg;
    tlb_cpu_online();
    raise(&n_ready);
    wait_for(&n_ready, CPUS);
    for (uint32_t i = 0; i < ROUNDS; i++)
        stress_step(gmk_rand_next(&seed));
    raise(&n_done);
    wait_for(&n_done, CPUS); /* answering until nobody asks */
    tlb_cpu_offline();
    return NULL;
}

static bool run_cpus(uint32_t from, void *(*fn)(void *))
{
    gmk_hal_thread_t t[CPUS];
    bool ok = true;

    first_cpu = from;
    kmem_n_cpus = CPUS;
    stress_seed = gmk_test_seed();
    n_ready = n_done = n_wrong = go = 0;
    for (uintptr_t i = 0; i < CPUS; i++)
        ok = gmk_hal_thread_create(&t[i], fn, (void *)i) == 0 && ok;
    for (uint32_t i = 0; i < CPUS; i++)
        gmk_hal_thread_join(&t[i]);
    return ok && n_wrong == 0;
}

/* Four processors map, touch, hand over, unmap and reuse pages: no stale translation, no lost
 * write, nothing lost. (The model of what the kernel's own test does on real tables.) */
GMK_TEST(kmem_stress_no_stale_translation_on_four_processors)
{
    uint64_t left;

    GMK_REQUIRE(start());
    vmm_reap();
    left = vmm_stats().area_pages;
    GMK_REQUIRE(run_cpus(8, stress_cpu));
    for (uint32_t i = 0; i < SHARED; i++)
        if (shared[i] != 0)
            check_and_free(shared[i]);
    vmm_reap();
    gmk_test_assert_eq(n_wrong, 0);
    gmk_test_assert_eq(vmm_stats().area_pages, left);
    gmk_test_assert_gt(tlb_count(), 0);
    gmk_test_assert(pmm_audit());
}

enum { PAIRS = 200 };

static uintptr_t pair_area;

/* All fault on one page at once and each writes its own word: BOOT.md section 4. */
static void *fault_cpu(void *arg)
{
    kmem_cpu = first_cpu + (uint32_t)(uintptr_t)arg;
    tlb_cpu_online();
    for (uint32_t i = 0; i < PAIRS; i++) {
        raise(&n_ready);
        wait_for(&n_ready, (i + 1) * CPUS);
        if (!put(pair_area + i * MEM_PAGE + 64 * (uintptr_t)arg, i + 1))
            wrong();
    }
    raise(&n_done);
    wait_for(&n_done, CPUS);
    tlb_cpu_offline();
    return NULL;
}

GMK_TEST(kmem_two_faults_on_one_page_lose_no_write)
{
    GMK_REQUIRE(start());
    vmm_reap();
    pair_area = (uintptr_t)vmm_area_alloc(PAIRS * MEM_PAGE, 0, 0);
    GMK_REQUIRE(pair_area != 0 && run_cpus(16, fault_cpu));
    for (uint32_t i = 0; i < PAIRS; i++)
        for (uint32_t c = 0; c < CPUS; c++)
            gmk_test_assert(holds(pair_area + i * MEM_PAGE + 64 * c, i + 1));
    gmk_test_assert_eq(vmm_area_free((void *)pair_area, PAIRS * MEM_PAGE), 0);
    vmm_reap();
    gmk_test_assert(pmm_audit());
}

static uintptr_t held_area;
static gmk_a32_t held_state;

/* Has a page in its TLB and does not answer until told. */
static void *deaf_cpu(void *arg)
{
    (void)arg;
    kmem_cpu = 24;
    tlb_cpu_online();
    if (!put(held_area, 5))
        wrong();
    raise(&held_state);
    while (gmk_load_acq(&held_state, GMK_DEV) < 2) /* sync: test.kmem_word */
        gmk_hal_relax();                           /* interrupts are off: no tlb_poll */
    /* Its stale translation still shows the frame: nobody else may have it. */
    if (*(uint64_t *)(mem_hhdm + pte_phys(kmem_cpus[24].entry[held_area / MEM_PAGE % KMEM_TLB])) !=
        5)
        wrong();
    wait_for(&held_state, 3);
    tlb_cpu_offline();
    return NULL;
}

static void *freeing_cpu(void *arg)
{
    (void)arg;
    kmem_cpu = 25;
    if (vmm_area_free((void *)held_area, MEM_PAGE) != 0)
        wrong();
    vmm_reap();
    raise(&held_state);
    return NULL;
}

/* BOOT.md section 4: frames freed before the shootdown is acknowledged. */
GMK_TEST(kmem_frames_wait_for_the_acknowledgement)
{
    gmk_hal_thread_t deaf, freeing;
    uint64_t frames;

    GMK_REQUIRE(start());
    vmm_reap();
    n_wrong = held_state = 0;
    held_area = (uintptr_t)vmm_area_alloc(MEM_PAGE, 0, 0);
    GMK_REQUIRE(held_area != 0 && gmk_hal_thread_create(&deaf, deaf_cpu, NULL) == 0);
    wait_for(&held_state, 1);
    frames = pmm_free_count();
    GMK_REQUIRE(gmk_hal_thread_create(&freeing, freeing_cpu, NULL) == 0);
    while ((gmk_load_acq(ptable_walk(root, held_area, NULL), GMK_DEV) & PTE_P) != 0 ||
           tlb_count() == 0) /* sync: x86_pte.table */
        gmk_hal_relax();
    for (uint32_t i = 0; i < 20000 && pmm_free_count() == frames; i++) /* time to do it wrong */
        gmk_hal_relax();
    gmk_test_assert_eq(pmm_free_count(), frames); /* unmapped, not acknowledged */
    gmk_test_assert_eq(touch(held_area) == NULL, 1);
    gmk_test_assert_str_eq(vmm_describe(held_area), "freed memory");
    raise(&held_state);
    gmk_hal_thread_join(&freeing);
    gmk_hal_thread_join(&deaf);
    gmk_test_assert_eq(pmm_free_count(), frames + 1);
    gmk_test_assert_eq(n_wrong, 0);
}
