/* SPDX-License-Identifier: MIT
 * What the machine itself takes for the steps that every row is made of: no runtime can
 * beat these. Prints a line each: what <TAB> ns, of the quickest of a few runs. */
#include "bench.h"
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>

enum { TRIPS = 400000, LINES = 512, LAPS = 400, OPS = 1000000, CALLS = 100000, WAKES = 600 };

static _Alignas(128) _Atomic uint64_t word;
static _Alignas(128) _Atomic uint64_t turn;
static _Alignas(128) _Atomic uint64_t lines[LINES][8];
static pthread_barrier_t bar;

static void say(const char *what, double ns)
{
    printf("%-52s\t%.1f\n", what, ns);
    fflush(stdout);
}

static void beside(pthread_t *t, void *(*fn)(void *), void *arg)
{
    must(pthread_barrier_init(&bar, NULL, 2) == 0, "barrier");
    must(pthread_create(t, NULL, fn, arg) == 0, "thread");
    pin(0);
    pthread_barrier_wait(&bar);
}

/* A line goes to and fro. ------------------------------------------------------------ */

static void swap_step(uint64_t from)
{
    for (uint64_t e = from; !atomic_compare_exchange_weak(&word, &e, from + 1); e = from) {
    }
}

static void store_step(uint64_t from)
{
    while (atomic_load_explicit(&word, memory_order_acquire) != from) {
    }
    atomic_store_explicit(&word, from + 1, memory_order_release);
}

static void *bounce(void *step)
{
    pin(1);
    pthread_barrier_wait(&bar);
    for (uint64_t i = 0; i < TRIPS; i++)
        ((void (*)(uint64_t))step)(2 * i + 1);
    return NULL;
}

static double one_way(void (*step)(uint64_t))
{
    uint64_t t0;
    pthread_t t;

    atomic_store(&word, 0);
    beside(&t, bounce, (void *)step);
    t0 = now_ns();
    for (uint64_t i = 0; i < TRIPS; i++)
        step(2 * i);
    t0 = now_ns() - t0;
    pthread_join(t, NULL);
    return (double)t0 / (2.0 * TRIPS);
}

/* Many lines at once, written on one core and read on the other. ------------------------ */

static uint64_t read_ns, write_ns;

static void *reader(void *arg)
{
    uint64_t sum = 0;

    (void)arg;
    pin(1);
    pthread_barrier_wait(&bar);
    for (uint64_t lap = 1; lap < 2 * LAPS; lap += 2) {
        uint64_t t0;

        while (atomic_load_explicit(&turn, memory_order_acquire) != lap)
            relax();
        t0 = now_ns();
        for (int i = 0; i < LINES; i++)
            sum += atomic_load_explicit(&lines[i][0], memory_order_relaxed);
        read_ns += now_ns() - t0;
        atomic_store_explicit(&turn, lap + 1, memory_order_release);
    }
    return (void *)(uintptr_t)sum;
}

static void stream(void)
{
    pthread_t t;

    read_ns = write_ns = 0;
    atomic_store(&turn, 0);
    beside(&t, reader, NULL);
    for (uint64_t lap = 0; lap < 2 * LAPS; lap += 2) {
        uint64_t t0 = now_ns();

        for (int i = 0; i < LINES; i++)
            for (int k = 0; k < 8; k++)
                atomic_store_explicit(&lines[i][k], lap, memory_order_relaxed);
        write_ns += now_ns() - t0;
        atomic_store_explicit(&turn, lap + 1, memory_order_release);
        while (atomic_load_explicit(&turn, memory_order_acquire) != lap + 2)
            relax();
    }
    pthread_join(t, NULL);
}

/* Steps of one core. --------------------------------------------------------------- */

static void add(void) { atomic_fetch_add(&word, 1); }
static void fence(void)
{
    atomic_store_explicit(&word, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}
static void clock_read(void) { (void)now_ns(); }
#if defined(__x86_64__)
static void cycles(void)
{
    uint64_t c = __builtin_ia32_rdtsc();

    __asm__ volatile("" ::"r"(c));
}
#endif
static void null_call(void) { syscall(SYS_getppid); }
static void wake_nobody(void) { syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }
static void yield(void) { sched_yield(); }

static void step_cost(const char *what, void (*fn)(void), int n)
{
    double best = 1e9;

    for (int run = 0; run < 3; run++) {
        uint64_t t0 = now_ns();
        double ns;

        for (int i = 0; i < n; i++)
            fn();
        ns = (double)(now_ns() - t0) / n;
        best = ns < best ? ns : best;
    }
    say(what, best);
}

static void *adder(void *arg)
{
    (void)arg;
    pin(1);
    pthread_barrier_wait(&bar);
    for (int i = 0; i < OPS; i++)
        add();
    return NULL;
}

static void contended_add(void)
{
    uint64_t t0;
    pthread_t t;

    beside(&t, adder, NULL);
    t0 = now_ns();
    for (int i = 0; i < OPS; i++)
        add();
    pthread_join(t, NULL);
    say("locked add, two cores at one line, each", (double)(now_ns() - t0) / (2.0 * OPS));
}

/* A sleeper is woken. -------------------------------------------------------------- */

static _Atomic uint32_t bell;
static _Atomic uint64_t rung_at;
static uint64_t woke[WAKES], cost[WAKES];

static void *sleeper(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&bar);
    for (uint32_t i = 0; i < WAKES; i++) {
        while (atomic_load(&bell) == i)
            syscall(SYS_futex, &bell, FUTEX_WAIT_PRIVATE, i, NULL, NULL, 0);
        woke[i] = now_ns() - atomic_load(&rung_at);
    }
    return NULL;
}

static void wakes(void)
{
    struct timespec pause = {0, BENCH_IDLE_NS};
    pthread_t t;

    beside(&t, sleeper, NULL);
    for (uint32_t i = 0; i < WAKES; i++) {
        uint64_t t0;

        nanosleep(&pause, NULL);
        t0 = now_ns();
        atomic_store(&rung_at, t0);
        atomic_store(&bell, i + 1);
        syscall(SYS_futex, &bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        cost[i] = now_ns() - t0;
    }
    pthread_join(t, NULL);
    say("futex wake of a sleeper, for the waker, p50", (double)percentile(cost, WAKES, .5));
    say("futex wake until the sleeper runs, p50", (double)percentile(woke, WAKES, .5));
    say("futex wake until the sleeper runs, p99", (double)percentile(woke, WAKES, .99));
}

int main(void)
{
    say("line to the other core and seen there, by CAS", one_way(swap_step));
    say("line to the other core and seen there, by store", one_way(store_step));
    stream();
    say("line read that the other core wrote, in a stream", (double)read_ns / LAPS / LINES);
    say("line written that the other core read, in a stream", (double)write_ns / LAPS / LINES);
    step_cost("locked add, alone", add, OPS);
    contended_add();
    step_cost("store and full fence", fence, OPS);
    step_cost("pause", relax, OPS);
#if defined(__x86_64__)
    step_cost("cycle counter", cycles, OPS);
#endif
    step_cost("clock_gettime", clock_read, OPS);
    step_cost("null system call", null_call, CALLS);
    step_cost("futex wake, nobody sleeps", wake_nobody, CALLS);
    step_cost("sched_yield, nobody else", yield, CALLS);
    wakes();
    return 0;
}
