/* SPDX-License-Identifier: MIT
 * The allocator rows. Who includes this text defines
 *   ALLOC(n), FREE(p, n)       the allocator
 *   THREAD_BEGIN(), THREAD_END()   around each thread's use of it
 * and calls alloc_rows(name). Mixed: 1024 live blocks a thread, sizes 64 B to 4 KiB,
 * one free and one allocation a step; the first pass warms up. Remote: allocated on
 * core 0, freed on core 1, pointers handed over 32 at a time. */
#include "bench.h"
#include <stdatomic.h>

enum { SLOTS = 1024, OPS = 2000000, RING = 1024, SIZES = 4096, LOT = 32 };

struct job {
    int cpu;
    uint64_t seed;
    double ns;
};
static pthread_barrier_t bar;

static uint64_t rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* 64 B .. 4 KiB: uniform over six octaves, uniform inside each. */
static uint16_t pick(uint64_t *s)
{
    uint64_t r = rnd(s);
    uint64_t b = (uint64_t)64 << (r % 6);

    return (uint16_t)(b + (r >> 8) % (b + 1));
}

static double mixed_pass(char **slot, uint16_t *len, const uint16_t *size, uint64_t *s, int n)
{
    uint64_t t0 = now_ns();

    for (int i = 0; i < n; i++) {
        unsigned k = (unsigned)rnd(s) % SLOTS;
        if (slot[k])
            FREE(slot[k], len[k]);
        len[k] = size[i & (SIZES - 1)];
        char *p = (char *)ALLOC(len[k]);
        must(p != NULL, "out of memory");
        p[0] = (char)i;
        slot[k] = p;
    }
    return (double)(now_ns() - t0) / n;
}

static void *mixed(void *arg)
{
    struct job *j = (struct job *)arg;
    uint64_t s = j->seed;
    static _Thread_local char *slot[SLOTS];
    static _Thread_local uint16_t size[SIZES], len[SLOTS];

    pin(j->cpu);
    THREAD_BEGIN();
    memset(slot, 0, sizeof slot);
    for (int i = 0; i < SIZES; i++)
        size[i] = pick(&s);
    mixed_pass(slot, len, size, &s, OPS / 10);
    pthread_barrier_wait(&bar);
    j->ns = mixed_pass(slot, len, size, &s, OPS);
    for (int i = 0; i < SLOTS; i++)
        if (slot[i])
            FREE(slot[i], len[i]);
    THREAD_END();
    return NULL;
}

static uint16_t rsize[SIZES];
static _Alignas(128) void *ring[RING];
static _Alignas(128) _Atomic uint32_t head;
static _Alignas(128) _Atomic uint32_t tail;

static void *freer(void *arg)
{
    (void)arg;
    pin(1);
    THREAD_BEGIN();
    pthread_barrier_wait(&bar);
    for (uint32_t h = 0; h < OPS;) {
        uint32_t t = atomic_load_explicit(&tail, memory_order_acquire);
        if (t == h) {
            relax();
            continue;
        }
        for (; h != t; h++)
            FREE(ring[h % RING], rsize[h & (SIZES - 1)]);
        atomic_store_explicit(&head, h, memory_order_release);
    }
    THREAD_END();
    return NULL;
}

static void *allocator(void *arg)
{
    double *ns = (double *)arg;
    pthread_t t;

    pin(0);
    THREAD_BEGIN();
    must(pthread_create(&t, NULL, freer, NULL) == 0, "thread");
    pthread_barrier_wait(&bar);
    uint64_t t0 = now_ns();
    for (uint32_t i = 0; i < OPS;) {
        while (i + LOT - atomic_load_explicit(&head, memory_order_acquire) > RING)
            relax();
        for (int k = 0; k < LOT && i < OPS; k++, i++) {
            char *p = (char *)ALLOC(rsize[i & (SIZES - 1)]);
            must(p != NULL, "out of memory");
            p[0] = 1;
            ring[i % RING] = p;
        }
        atomic_store_explicit(&tail, i, memory_order_release);
    }
    pthread_join(t, NULL);
    *ns = (double)(now_ns() - t0) / OPS;
    THREAD_END();
    return NULL;
}

static double remote(void)
{
    uint64_t s = 88172645463325252ull;
    double ns = 0;
    pthread_t t;

    for (int i = 0; i < SIZES; i++)
        rsize[i] = pick(&s);
    pthread_barrier_init(&bar, NULL, 2);
    must(pthread_create(&t, NULL, allocator, &ns) == 0, "thread");
    pthread_join(t, NULL);
    return ns;
}

/* The mean of n threads. */
static double local(unsigned n)
{
    struct job j[2] = {{0, 11400714819323198485ull, 0}, {1, 88172645463325252ull, 0}};
    pthread_t t[2];
    double sum = 0;

    pthread_barrier_init(&bar, NULL, n);
    for (unsigned i = 0; i < n; i++)
        must(pthread_create(&t[i], NULL, mixed, &j[i]) == 0, "thread");
    for (unsigned i = 0; i < n; i++) {
        pthread_join(t[i], NULL);
        sum += j[i].ns;
    }
    pthread_barrier_destroy(&bar);
    return sum / n;
}

static void alloc_rows(const char *who)
{
    if (bench_wants(ROW_ALLOC1))
        result(ROW_ALLOC1, who, local(1), "ns");
    if (bench_wants(ROW_ALLOC2))
        result(ROW_ALLOC2, who, local(2), "ns");
    if (bench_wants(ROW_ALLOC_REMOTE))
        result(ROW_ALLOC_REMOTE, who, remote(), "ns");
}
