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

/* Waits with interrupts off: it answers nobody. */
static void wait_deaf(gmk_a32_t *word, uint32_t least)
{
    while (gmk_load_acq(word, GMK_DEV) < least) /* sync: test.kmem_word */
        gmk_hal_relax();
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

/* Two shootdowns that wait for each other. ------------------------------------------------ */

static uintptr_t crossed_area;
static gmk_a32_t n_posted;
static _Thread_local uint32_t n_waits;

static bool knows(uintptr_t virt)
{
    return kmem_cpus[kmem_cpu].page[virt / MEM_PAGE % KMEM_TLB] == virt / MEM_PAGE + 1;
}

static uint32_t n_known(void)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < CPUS; i++)
        n += knows(crossed_area + i * MEM_PAGE);
    return n;
}

/* First all post, then all wait: none is done before another has answered while it waits. */
static void crossed_wait(void)
{
    if (n_waits++ == 0) {
        raise(&n_posted);
        wait_deaf(&n_posted, CPUS);
    } else if (n_known() != 0) { /* many turns, and it has not answered what was posted before */
        wrong();
        tlb_poll(); /* so that the test ends */
    }
}

static void *crossed_cpu(void *arg)
{
    kmem_cpu = first_cpu + (uint32_t)(uintptr_t)arg;
    tlb_cpu_online();
    for (uint32_t i = 0; i < CPUS; i++)
        touch(crossed_area + i * MEM_PAGE);
    if (n_known() != CPUS)
        wrong();
    raise(&n_ready);
    wait_deaf(&n_ready, CPUS);
    kmem_at_wait = crossed_wait;
    vmm_tlb_shootdown(crossed_area + MEM_PAGE * (uintptr_t)arg);
    raise(&n_done);
    wait_for(&n_done, CPUS);
    if (n_known() != 0 || n_waits == 0)
        wrong();
    tlb_cpu_offline();
    return NULL;
}

/* BM-28; BOOT.md section 4. */
GMK_TEST(kmem_initiators_answer_while_they_wait)
{
    GMK_REQUIRE(start());
    n_posted = 0;
    crossed_area = (uintptr_t)vmm_area_alloc(CPUS * MEM_PAGE, 0, 0);
    GMK_REQUIRE(crossed_area != 0);
    gmk_test_assert(run_cpus(28, crossed_cpu));
    gmk_test_assert_eq(n_posted, CPUS);
    gmk_test_assert_eq(vmm_area_free((void *)crossed_area, CPUS * MEM_PAGE), 0);
    vmm_reap();
    gmk_test_assert(pmm_audit());
}

/* Faults on one page. --------------------------------------------------------------------- */

static uintptr_t late_area;
static gmk_a32_t late_state;

/* Between its look at the entry and its frame: until another has the page, and has written. */
static void late_in_window(void)
{
    kmem_at_lock = NULL;
    if (*ptable_walk(root, late_area, NULL) != PTE_DEMAND)
        wrong();
    raise(&late_state);
    wait_for(&late_state, 2);
}

static void *late_cpu(void *arg)
{
    (void)arg;
    kmem_cpu = 20;
    kmem_at_lock = late_in_window;
    if (!put(late_area + 64, 2))
        wrong();
    return NULL;
}

/* BOOT.md section 4: the second of two faults replaces the frame of the first. */
GMK_TEST(kmem_late_fault_on_a_page_loses_no_write)
{
    gmk_hal_thread_t late;
    vmm_stats_t before;

    GMK_REQUIRE(start());
    n_wrong = late_state = 0;
    late_area = (uintptr_t)vmm_area_alloc(MEM_PAGE, 0, 0);
    before = vmm_stats();
    GMK_REQUIRE(late_area != 0 && gmk_hal_thread_create(&late, late_cpu, NULL) == 0);
    wait_for(&late_state, 1);
    gmk_test_assert(put(late_area, 1));
    raise(&late_state);
    gmk_hal_thread_join(&late);
    gmk_test_assert_eq(n_wrong, 0);
    gmk_test_assert(holds(late_area, 1) && holds(late_area + 64, 2));
    kmem_cpu = 21; /* it has no translation yet */
    gmk_test_assert(holds(late_area, 1) && holds(late_area + 64, 2));
    kmem_cpu = 0;
    gmk_test_assert_eq(vmm_stats().n_faults, before.n_faults + 1);
    gmk_test_assert_eq(vmm_stats().n_fault_races, before.n_fault_races + 1);
    gmk_test_assert_eq(vmm_area_free((void *)late_area, MEM_PAGE), 0);
    vmm_reap();
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

/* Frames that wait. ----------------------------------------------------------------------- */

static uintptr_t held_area;
static gmk_a32_t held_state, n_held_turns;

/* Has a page in its TLB and does not answer until told. */
static void *deaf_cpu(void *arg)
{
    (void)arg;
    kmem_cpu = 24;
    tlb_cpu_online();
    if (!put(held_area, 5))
        wrong();
    raise(&held_state);
    wait_deaf(&held_state, 2);
    /* Its stale translation still shows the frame: nobody else may have it. */
    if (*(uint64_t *)(mem_hhdm + pte_phys(kmem_cpus[24].entry[held_area / MEM_PAGE % KMEM_TLB])) !=
        5)
        wrong();
    wait_for(&held_state, 3);
    if (touch(held_area) != NULL) /* it has answered, so it has forgotten */
        wrong();
    tlb_cpu_offline();
    return NULL;
}

/* The second call comes many turns after the first: it does wait. */
static void freeing_wait(void)
{
    if (++n_waits == 2)
        raise(&n_held_turns);
}

static void *freeing_cpu(void *arg)
{
    (void)arg;
    kmem_cpu = 25;
    kmem_at_wait = freeing_wait;
    if (vmm_area_free((void *)held_area, MEM_PAGE) != 0)
        wrong();
    vmm_reap();
    raise(&n_held_turns); /* or it did not wait */
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
    n_wrong = held_state = n_held_turns = 0;
    held_area = (uintptr_t)vmm_area_alloc(MEM_PAGE, 0, 0);
    GMK_REQUIRE(held_area != 0 && gmk_hal_thread_create(&deaf, deaf_cpu, NULL) == 0);
    wait_for(&held_state, 1);
    frames = pmm_free_count();
    GMK_REQUIRE(gmk_hal_thread_create(&freeing, freeing_cpu, NULL) == 0);
    wait_for(&n_held_turns, 1);
    gmk_test_assert_eq(pmm_free_count(), frames); /* unmapped, not acknowledged */
    gmk_test_assert_eq(touch(held_area) == NULL, 1);
    gmk_test_assert_str_eq(vmm_describe(held_area), "freed memory");
    raise(&held_state);
    gmk_hal_thread_join(&freeing);
    gmk_hal_thread_join(&deaf);
    gmk_test_assert_eq(pmm_free_count(), frames + 1);
    gmk_test_assert_eq(n_wrong, 0);
}
