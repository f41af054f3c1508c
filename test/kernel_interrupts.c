/* SPDX-License-Identifier: MIT
 * Interrupts: between processors, of devices, of nobody; the millisecond count and the shutdown
 * timer. Floor: tests. Source: SPEC BM-15 to BM-20, V-77. */
#include "drivers/dev.h"
#include "machine_env.h"

static gmk_a32_t arrived[X86_MAX_CPUS];
static gmk_a32_t n_wrong;
static int vector;

static void note(void *arg)
{
    x86_cpu_t *me = x86_cpu_self();

    word_add(&n_wrong, arg != &vector || x86_irq_enabled() || me->interrupts != 1);
    word_add(&arrived[me->index], 1);
}

static gmk_a32_t sender;

static int note_all(void)
{
    gmk_hal_memset(arrived, 0, sizeof(arrived));
    word_set(&n_wrong, 0);
    word_set(&sender, 0);
    return vector = x86_irq_alloc(note, &vector);
}

/* One at a time: of two interrupts of a vector that wait, a processor keeps one. */
static void *send_to_all(void *arg)
{
    uint32_t me = x86_cpu_self()->index;

    (void)arg;
    word_until(&sender, me);
    for (uint32_t round = 0; round < 20; round++)
        for (uint32_t to = 0; to < x86_n_cpus; to++) {
            uint32_t before = word_get(&arrived[to]);

            lapic_send_ipi(x86_cpus[to].apic_id, (uint8_t)vector);
            word_add(&n_wrong, !word_until(&arrived[to], before + 1));
        }
    word_set(&sender, me + 1);
    return NULL;
}

/* BM-19, BM-20: from every processor to every processor, itself too; each comes once, to the
 * right one, with its argument, interrupts off. */
GMK_TEST(kernel_interrupts_go_from_every_processor_to_every_processor)
{
    GMK_REQUIRE(note_all() > 0);
    on_every_cpu(send_to_all, NULL);
    for (uint32_t i = 0; i < x86_n_cpus; i++)
        gmk_test_assert_eq(word_get(&arrived[i]), 20 * x86_n_cpus);
    gmk_test_assert_eq(word_get(&n_wrong), 0);
    x86_irq_free(vector);
}

GMK_TEST(kernel_interrupts_to_all_but_self_reach_all_but_self)
{
    uint32_t me = x86_cpu_self()->index;

    GMK_REQUIRE(note_all() > 0);
    lapic_send_ipi_all_but_self((uint8_t)vector);
    for (uint32_t i = 0; i < x86_n_cpus; i++)
        gmk_test_assert(i == me || word_until(&arrived[i], 1));
    gmk_test_assert_eq(word_get(&arrived[me]), 0);
    x86_irq_free(vector);
}

static void nothing(void *arg) { (void)arg; }

/* Vectors of devices: all different, then none is left, and one that was given back is found. */
GMK_TEST(kernel_interrupts_vectors_run_out_and_come_back)
{
    static uint8_t seen[256];
    static int mine[256];
    uint32_t n = 0;
    int v;

    gmk_hal_memset(seen, 0, sizeof(seen));
    while (n < 256 && (v = x86_irq_alloc(nothing, NULL)) >= 0) {
        gmk_test_assert(v >= (int)X86_VECTOR_DEVICES && v < 0xe0 && seen[v] == 0);
        seen[v] = 1;
        mine[n++] = v;
    }
    gmk_test_assert_gt(n, 100);
    gmk_test_assert_eq(x86_irq_alloc(nothing, NULL), -1);
    x86_irq_free(mine[n / 2]);
    gmk_test_assert_eq(x86_irq_alloc(nothing, NULL), mine[n / 2]);
    for (uint32_t i = 0; i < n; i++)
        x86_irq_free(mine[i]);
}

/* A message-signalled interrupt names the processor by its APIC id, never by its number. */
GMK_TEST(kernel_interrupts_a_message_names_the_apic_id)
{
    dev_msi_t m;

    for (uint32_t i = 0; i < x86_n_cpus; i++) {
        GMK_REQUIRE(dev_irq_alloc(nothing, NULL, i, &m) == 0);
        gmk_test_assert_eq(m.address, 0xfee00000u | x86_cpus[i].apic_id << 12);
        x86_irq_free((int)m.data);
    }
    gmk_test_assert_eq(dev_irq_alloc(nothing, NULL, x86_n_cpus, &m), -1);
}

/* D4: a vector that nobody waits for is counted, and the machine goes on. */
GMK_TEST(kernel_interrupts_that_nobody_waits_for_are_counted)
{
    uint64_t before = x86_irq_unhandled();
    int v = x86_irq_alloc(nothing, NULL);
    uint64_t end = clock_now_ns() + WAIT_NS;

    GMK_REQUIRE(v > 0);
    x86_irq_free(v);
    for (uint32_t i = 1; i <= 5; i++) {
        lapic_send_ipi(x86_cpus[x86_n_cpus - 1].apic_id, (uint8_t)v);
        while (x86_irq_unhandled() < before + i && clock_now_ns() < end)
            x86_relax();
    }
    gmk_test_assert_eq(x86_irq_unhandled(), before + 5);
    gmk_test_assert_eq(lapic_in_service(), 0);
}

/* The millisecond count. ------------------------------------------------------------------- */

static gmk_a32_t holder, n_back;
static uint64_t last_count; /* of whoever holds the turn */

static void *count_in_turn(void *arg)
{
    uint32_t me = x86_cpu_self()->index, rounds = *(const uint32_t *)arg;

    for (uint32_t round = 0; round < rounds; round++) {
        uint64_t now;

        if (!word_until(&holder, round * x86_n_cpus + me))
            return NULL;
        now = idt_get_timer_count();
        word_add(&n_back, now < last_count);
        last_count = now;
        word_add(&holder, 1);
    }
    return NULL;
}

/* BM-18, V-77: one count for all processors, a millisecond each, that never goes back. */
GMK_TEST(kernel_interrupts_the_timer_count_is_the_same_everywhere)
{
    uint64_t ms = idt_get_timer_count(), ns = clock_now_ns(), ms_after;
    uint32_t rounds = (uint32_t)gmk_test_scale(200, 50);

    gmk_test_assert(ms <= ns / 1000000 && ms + 1 >= 1);
    on_every_cpu(count_in_turn, &rounds);
    gmk_test_assert_eq(word_get(&holder), rounds * x86_n_cpus);
    gmk_test_assert_eq(word_get(&n_back), 0);
    ms = idt_get_timer_count();
    while ((ms_after = idt_get_timer_count()) < ms + 3)
        x86_pause();
    gmk_test_assert(ms_after <= clock_now_ns() / 1000000);
}

/* BM-17 wants the BSP. */
static void *shutdown(void *arg)
{
    uint64_t began = idt_get_timer_count();
    gmk_a32_t running = 1, kept = 1;

    (void)arg;
    idt_set_shutdown_timer(5, &running);
    while (word_get(&running) != 0) /* nothing here but the interrupt can end it */
        x86_pause();
    gmk_test_assert_ge(idt_get_timer_count(), began + 5);
    idt_set_shutdown_timer(3, &kept);
    idt_set_shutdown_timer(0, NULL);
    x86_sleep_ns(10000000);
    gmk_test_assert_eq(word_get(&kept), 1);
    return NULL;
}

/* BM-17. */
GMK_TEST(kernel_interrupts_the_shutdown_timer_clears_its_flag_or_is_forgotten)
{
    x86_thread_t *t;

    GMK_REQUIRE(x86_thread_start(&t, 0, shutdown, NULL) == 0);
    x86_thread_join(t);
}

/* BM-20: the timer can ring by itself; no earlier than it was told to. */
GMK_TEST(kernel_interrupts_the_periodic_timer_rings_until_it_is_stopped)
{
    const volatile uint64_t *n = &x86_cpu_self()->n_timer;
    uint64_t flags = x86_irq_save(), first = *n, began = clock_now_ns(), last;

    lapic_timer_init(1000);
    x86_irq_restore(flags);
    while (*n < first + 6 && clock_now_ns() - began < WAIT_NS)
        x86_pause();
    last = clock_now_ns();
    flags = x86_irq_save();
    lapic_timer_arm(0);
    x86_irq_restore(flags);
    gmk_test_assert(*n >= first + 6);
    gmk_test_assert(last - began >= 4000000); /* of 6 ms, however late the first was taken */
    x86_sleep_ns(1000000);                    /* and it serves sleepers again */
    gmk_test_assert(clock_now_ns() - last >= 1000000);
}
