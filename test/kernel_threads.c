/* SPDX-License-Identifier: MIT
 * Kernel threads: start and join, parking without a lost wake-up, turns, holds, sleep.
 * Floor: tests. Source: SPEC HAL-2, HAL-7, BM-8, BM-21. */
#include "arch/x86_64/smp/runq.h"
#include "machine_env.h"

#define MANY 48u

typedef struct pair {
    gmk_hal_park_t park[2];
    gmk_a32_t turn; /* whose token it is, and how often it has gone over */
    uint32_t rounds;
    uint64_t timeout_ns;
} pair_t;

/* Start and join. --------------------------------------------------------------------- */

static gmk_a32_t ran[X86_MAX_CPUS];
static gmk_a32_t misplaced;

static void *run_once(void *arg)
{
    uint32_t me = x86_cpu_self()->index;

    word_add(&misplaced, me != (uint32_t)(uintptr_t)arg % x86_n_cpus);
    word_add(&ran[me], 1);
    return NULL;
}

/* BM-21, R13: each runs once, on the processor it was started for; the books are even after. */
GMK_TEST(kernel_threads_start_and_join_many_each_where_it_belongs)
{
    x86_thread_t *t[MANY];
    x86_load_t before, after;
    uint32_t sum = 0;

    x86_get_load(x86_n_cpus - 1, &before);
    for (uint32_t round = 0; round < 8; round++) {
        for (uint32_t i = 0; i < MANY; i++)
            GMK_REQUIRE(x86_thread_start(&t[i], i % x86_n_cpus, run_once, (void *)(uintptr_t)i) ==
                        0);
        for (uint32_t i = 0; i < MANY; i++)
            x86_thread_join(t[i]);
    }
    x86_get_load(x86_n_cpus - 1, &after);
    for (uint32_t i = 0; i < x86_n_cpus; i++)
        sum += word_get(&ran[i]);
    gmk_test_assert_eq(sum, 8 * MANY);
    gmk_test_assert_eq(word_get(&misplaced), 0);
    gmk_test_assert_eq(after.n_threads, before.n_threads);
}

GMK_TEST(kernel_threads_a_processor_that_is_not_there_is_refused)
{
    x86_thread_t *t;

    gmk_test_assert_eq(x86_thread_start(&t, x86_n_cpus, run_once, NULL), -1);
    gmk_test_assert_eq(x86_thread_start(&t, UINT32_MAX, run_once, NULL), -1);
}

/* Parking. ------------------------------------------------------------------------------- */

static void *bounce(void *arg)
{
    pair_t *p = arg;
    uint32_t side = 1;

    for (uint32_t i = 0; i < p->rounds; i++) {
        uint32_t seen;

        while (seen = gmk_hal_park_word(&p->park[side]), (word_get(&p->turn) & 1) != side)
            gmk_hal_park_wait(&p->park[side], seen, p->timeout_ns);
        word_add(&p->turn, 1);
        gmk_hal_park_wake(&p->park[1 - side]);
    }
    return NULL;
}

/* The other side, on the calling thread; a wait in which nothing comes is a failure. */
static void bounce_here(pair_t *p)
{
    for (uint32_t i = 0; i < p->rounds; i++) {
        uint32_t seen;

        while (seen = gmk_hal_park_word(&p->park[0]), (word_get(&p->turn) & 1) != 0)
            gmk_hal_park_wait(&p->park[0], seen, p->timeout_ns);
        word_add(&p->turn, 1);
        gmk_hal_park_wake(&p->park[1]);
    }
}

static void bounce_with(uint32_t cpu, uint32_t rounds, uint64_t timeout_ns)
{
    static pair_t p;
    x86_thread_t *t;

    p = (pair_t){.rounds = rounds, .timeout_ns = timeout_ns};
    GMK_REQUIRE(x86_thread_start(&t, cpu, bounce, &p) == 0);
    bounce_here(&p);
    x86_thread_join(t);
    gmk_test_assert_eq(word_get(&p.turn), 2 * rounds);
}

/* HAL-2, BM-19; HAL-7: nobody's timeout would save a wake-up that was lost. To every processor,
 * which halts between two, and to a thread of the same one. */
GMK_TEST(kernel_threads_no_wake_up_is_lost_between_processors_that_halt)
{
    uint32_t rounds = (uint32_t)gmk_test_scale(2000, 300);

    for (uint32_t cpu = 0; cpu < x86_n_cpus && cpu < 4; cpu++)
        bounce_with(cpu, rounds, GMK_HAL_FOREVER);
}

/* Timeouts that end at any point of the waker's way: none loses a wake-up or is woken twice. */
GMK_TEST(kernel_threads_wake_ups_and_timeouts_that_meet_lose_nothing)
{
    for (uint64_t ns = 1000; ns <= 64000; ns *= 4)
        bounce_with(x86_n_cpus - 1, (uint32_t)gmk_test_scale(1000, 200), ns);
}

GMK_TEST(kernel_threads_a_wake_before_the_wait_ends_it_at_once)
{
    gmk_hal_park_t p;
    uint32_t seen;

    gmk_hal_park_init(&p);
    seen = gmk_hal_park_word(&p);
    gmk_hal_park_wake(&p);
    gmk_hal_park_wait(&p, seen, GMK_HAL_FOREVER);
    gmk_test_assert_ne(gmk_hal_park_word(&p), seen);
    gmk_hal_park_wait(&p, gmk_hal_park_word(&p), 1000000); /* nobody wakes it: the time does */
    gmk_hal_park_wait(&p, gmk_hal_park_word(&p), 0);
    gmk_hal_park_destroy(&p);
}

/* "Until the clock ends" is for ever, whatever the time is now: it is no place among sleepers. */
GMK_TEST(kernel_threads_a_timeout_at_the_end_of_time_is_for_ever)
{
    for (uint64_t less = 0; less < 3; less++) {
        uint64_t now = clock_now_ns();

        bounce_with(x86_n_cpus - 1, 50, UINT64_MAX - less);
        bounce_with(x86_n_cpus - 1, 50, UINT64_MAX - now - less);
    }
}

/* From interrupts. */
static gmk_hal_park_t rung;
static gmk_a32_t n_rings;

static void ring(void *arg)
{
    (void)arg;
    word_add(&n_rings, 1);
    gmk_hal_park_wake(&rung);
}

/* HAL-7: what an interrupt wakes runs, on whichever processor the interrupt came. */
GMK_TEST(kernel_threads_an_interrupt_wakes_a_thread_that_waits_for_ever)
{
    int vector = x86_irq_alloc(ring, NULL);

    GMK_REQUIRE(vector > 0);
    for (uint32_t i = 0; i < 500; i++) {
        uint32_t seen = gmk_hal_park_word(&rung), before = word_get(&n_rings);

        lapic_send_ipi(x86_cpus[i % x86_n_cpus].apic_id, (uint8_t)vector);
        while (word_get(&n_rings) == before) {
            gmk_hal_park_wait(&rung, seen, GMK_HAL_FOREVER);
            seen = gmk_hal_park_word(&rung);
        }
    }
    gmk_test_assert_eq(word_get(&n_rings), 500);
    x86_irq_free(vector);
}

/* A storm: all wait on all, on every processor more than one. */
#define STORM_PARKS 4u

static gmk_hal_park_t storm_parks[STORM_PARKS];
static gmk_a32_t tokens, taken, storm_over;

static void *storm_taker(void *arg)
{
    gmk_hal_park_t *p = &storm_parks[(uintptr_t)arg % STORM_PARKS];

    for (;;) {
        uint32_t seen = gmk_hal_park_word(p), have = word_get(&tokens);

        if (have == 0 && word_get(&storm_over) != 0)
            return NULL;
        if (have == 0) {
            gmk_hal_park_wait(p, seen, GMK_HAL_FOREVER);
            continue;
        }
        if (gmk_cas_sc(&tokens, &have, have - 1, GMK_DEV)) /* sync: test.machine */
            word_add(&taken, 1);
        x86_relax(); /* a switch, while others make threads of this processor ready */
    }
}

/* Threads give up their turn while other processors make more of them ready: nobody is left
 * out of the queue. (One was, when the queue filled between two holds of its lock.) */
GMK_TEST(kernel_threads_nobody_is_lost_in_a_storm_of_wakes_and_yields)
{
    x86_thread_t *t[MANY];
    uint32_t n = 4 * x86_n_cpus < MANY ? 4 * x86_n_cpus : MANY;
    uint32_t sent = (uint32_t)gmk_test_scale(20000, 5000);

    for (uint32_t i = 0; i < n; i++)
        GMK_REQUIRE(x86_thread_start(&t[i], i % x86_n_cpus, storm_taker, (void *)(uintptr_t)i) ==
                    0);
    for (uint32_t i = 0; i < sent; i++) {
        word_add(&tokens, 1);
        gmk_hal_park_wake(&storm_parks[i % STORM_PARKS]);
        if (i % 8 == 0)
            x86_relax();
    }
    gmk_test_assert(word_until(&taken, sent));
    word_set(&storm_over, 1);
    for (uint32_t i = 0; i < STORM_PARKS; i++)
        gmk_hal_park_wake(&storm_parks[i]);
    for (uint32_t i = 0; i < n; i++)
        x86_thread_join(t[i]);
    gmk_test_assert_eq(word_get(&taken), sent);
}

/* Turns. ----------------------------------------------------------------------------------- */

static gmk_a32_t step;

static void *set_step(void *arg)
{
    word_set(&step, (uint32_t)(uintptr_t)arg);
    return NULL;
}

/* BM-1: on one processor too, a thread that only spins does not keep another from running. */
GMK_TEST(kernel_threads_a_spinning_thread_is_preempted)
{
    x86_thread_t *t;

    word_set(&step, 0);
    GMK_REQUIRE(x86_thread_start(&t, x86_cpu_self()->index, set_step, (void *)1) == 0);
    gmk_test_assert(word_spin(&step, 1));
    x86_thread_join(t);
}

/* Spins until the timer has said so, and some turns more. */
static bool turn_is_over(void)
{
    const volatile bool *over = &x86_cpu_self()->runq->turn_over;
    uint64_t end = clock_now_ns() + WAIT_NS, timer = x86_cpu_self()->n_timer;

    while (!*over || *(volatile uint64_t *)&x86_cpu_self()->n_timer < timer + 3)
        if (clock_now_ns() > end)
            return false;
    return true;
}

/* Within a hold nobody else of the processor runs, however long; at its end it is due. */
GMK_TEST(kernel_threads_a_hold_keeps_the_processor)
{
    x86_thread_t *t;

    word_set(&step, 0);
    x86_hold();
    GMK_REQUIRE(x86_thread_start(&t, x86_cpu_self()->index, set_step, (void *)1) == 0);
    x86_hold();
    gmk_test_assert(turn_is_over());
    x86_drop();
    gmk_test_assert_eq(word_get(&step), 0);
    x86_drop();
    gmk_test_assert_eq(word_get(&step), 1);
    x86_thread_join(t);
}

/* A lock is a hold: its holder is never switched away from. */
GMK_TEST(kernel_threads_the_holder_of_a_lock_keeps_the_processor)
{
    gmk_hal_lock_t lock;
    x86_thread_t *t;

    gmk_hal_lock_init(&lock);
    word_set(&step, 0);
    gmk_hal_lock_acquire(&lock);
    GMK_REQUIRE(x86_thread_start(&t, x86_cpu_self()->index, set_step, (void *)1) == 0);
    gmk_test_assert(turn_is_over());
    gmk_test_assert_eq(word_get(&step), 0);
    gmk_hal_lock_release(&lock);
    gmk_test_assert_eq(word_get(&step), 1);
    x86_thread_join(t);
    gmk_hal_lock_destroy(&lock);
}

/* Sleep. ------------------------------------------------------------------------------------ */

#define SLEEPERS 4u

static uint64_t sleep_of[SLEEPERS] = {32000000, 8000000, 24000000, 16000000};
static gmk_a32_t n_woken, n_early, go;
static uint32_t woken[SLEEPERS];

static void *sleeper(void *arg)
{
    uint32_t i = (uint32_t)(uintptr_t)arg;
    uint64_t due;

    word_until(&go, 1);
    due = clock_now_ns() + sleep_of[i];
    x86_sleep_ns(sleep_of[i]);
    word_add(&n_early, clock_now_ns() < due);
    woken[word_add(&n_woken, 1)] = i;
    return NULL;
}

static bool sleep_in_order(void)
{
    x86_thread_t *t[SLEEPERS];
    bool ordered = true;

    word_set(&n_woken, 0);
    word_set(&go, 0);
    for (uint32_t i = 0; i < SLEEPERS; i++)
        if (!gmk_test_assert(
                x86_thread_start(&t[i], x86_n_cpus - 1, sleeper, (void *)(uintptr_t)i) == 0))
            return false;
    word_set(&go, 1);
    for (uint32_t i = 0; i < SLEEPERS; i++)
        x86_thread_join(t[i]);
    for (uint32_t i = 1; i < SLEEPERS; i++)
        ordered &= sleep_of[woken[i - 1]] < sleep_of[woken[i]];
    return ordered;
}

/* Sleepers of one processor share its timer: none is early; the shortest comes first. (The host
 * may stop the processor between two of them, so the order has several goes.) */
GMK_TEST(kernel_threads_sleepers_wake_in_order_and_none_is_early)
{
    bool ordered = false;

    for (uint32_t i = 0; i < 10 && !ordered; i++)
        ordered = sleep_in_order();
    gmk_test_assert(ordered);
    gmk_test_assert_eq(word_get(&n_early), 0);
}

static void *sleep_a_little(void *arg)
{
    for (uint32_t i = 0; i < 50; i++) {
        uint64_t due = clock_now_ns() + 100000 + i * 10000;

        x86_sleep_ns(100000 + i * 10000);
        word_add(arg, clock_now_ns() < due);
    }
    return NULL;
}

/* BM-20: the timer of every processor rings, by the one measurement of the BSP. */
GMK_TEST(kernel_threads_the_timer_of_every_processor_rings)
{
    gmk_a32_t early = 0;

    on_every_cpu(sleep_a_little, &early);
    gmk_test_assert_eq(word_get(&early), 0);
}
