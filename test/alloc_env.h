/* SPDX-License-Identifier: MIT
 * What the tests of memory stand on: a kernel's memory with caches, counters and
 * traces, without a kernel; threads through the HAL.
 * Floor: tests. Source: SPEC S.5. */
#ifndef TEST_ALLOC_ENV_H
#define TEST_ALLOC_ENV_H

#include "ggmk/base/bits.h"
#include "ggmk/hal.h"
#include "ggmk/test.h"
#include "mem/mem.h"

#define ENV_AGENTS 8u
#define ENV_EVENTS 64u

typedef struct alloc_env {
    gmk_alloc_t m;
    gmki_cache_t cache[ENV_AGENTS];
    gmki_obs_t obs[ENV_AGENTS];
    gmki_trace_cfg_t cfg;
    gmki_trace_ring_t ring[ENV_AGENTS];
    gmk_trace_ev_t recs[ENV_AGENTS][ENV_EVENTS];
    gmk_a64_t rows[ENV_AGENTS][GMKI_ROW_WORDS];
} alloc_env_t;

/* Memory of arena_bytes with n caches. returns: false (and the test fails) if not. */
GMK_FN bool env_begin(alloc_env_t *e, size_t arena_bytes, uint32_t n)
{
    gmk_hal_memset(e, 0, sizeof(*e));
    if (!gmk_test_assert(gmki_mem_init(&e->m, arena_bytes, n) == GMK_OK))
        return false;
    e->cfg.level[GMKI_LEVEL_KERNEL] = GMK_TRACE_ERROR;
    for (uint32_t i = 0; i < n; i++) {
        gmk_spsc_setup(&e->ring[i].ring, ENV_EVENTS, 0);
        e->ring[i].recs = e->recs[i];
        e->obs[i].rows = e->rows[i];
        e->obs[i].rings = &e->ring[i];
        e->obs[i].cfg = &e->cfg;
        e->obs[i].agent = i;
        e->obs[i].module = GMKI_LEVEL_KERNEL;
        e->obs[i].rng = 1;
        gmki_cache_setup(&e->cache[i], &e->m, &e->obs[i]);
    }
    return true;
}

GMK_FN void env_end(alloc_env_t *e) { gmki_mem_fini(&e->m); }

GMK_FN gmk_alloc_stats_t env_stats(const alloc_env_t *e, enum gmk_alloc_kind kind)
{
    gmk_alloc_stats_t s = {.bytes_total = 0};

    gmk_test_assert(gmki_mem_stats(&e->m, kind, &s) == GMK_OK);
    return s;
}

/* A counter summed over the agents. */
GMK_FN uint64_t env_metric(const alloc_env_t *e, uint32_t metric)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < ENV_AGENTS; i++)
        sum += gmk_count_get(&e->rows[i][metric]);
    return sum;
}

/* Takes the oldest trace record of an agent; ev_type is 0 if there is none. */
GMK_FN gmk_trace_ev_t env_event(alloc_env_t *e, uint32_t agent)
{
    gmk_trace_ev_t ev = {.tsc = 0};
    uint32_t pos;

    if (gmk_spsc_take(&e->ring[agent].ring, 1, &pos, GMK_DEV) != 0) {
        ev = e->recs[agent][pos % ENV_EVENTS];
        gmk_spsc_release(&e->ring[agent].ring, pos, 1, GMK_DEV);
    }
    return ev;
}

/* The agent's next record is ev with these arguments. Builds without traces skip it. */
GMK_FN void env_expect(alloc_env_t *e, uint32_t agent, uint32_t type, uint32_t a0, uint32_t a1)
{
#if !defined(GMK_STRIP_TRACE)
    gmk_trace_ev_t ev = env_event(e, agent);

    gmk_test_assert_eq(ev.ev_type, type);
    gmk_test_assert_eq(ev.arg0, a0);
    gmk_test_assert_eq(ev.arg1, a1);
#else
    (void)e, (void)agent, (void)type, (void)a0, (void)a1;
#endif
}

/* Where the objects of a class begin. */
GMK_FN char *env_class_base(const alloc_env_t *e, uint32_t k) { return e->m.classes[k].base; }

/* The class that p, an object or inside one, belongs to; GMKI_CLASSES: none. */
GMK_FN uint32_t env_class(const alloc_env_t *e, const void *p)
{
    uint32_t k = 0;

    while (k < GMKI_CLASSES && (uintptr_t)p - (uintptr_t)env_class_base(e, k) >=
                                   (uintptr_t)e->m.classes[k].n_objs << e->m.classes[k].shift)
        k++;
    return k;
}

/* The class that a request selects, and the one that it falls through to. */
GMK_FN uint32_t env_class_of(uint32_t size)
{
    uint32_t k = 0;

    while ((GMK_BLOCK_MIN << k) < size)
        k++;
    return k;
}

GMK_FN uint32_t env_class_after(uint32_t k)
{
    if (k == GMKI_CLASS_BLOCK64)
        return 2;
    return k < 2 ? GMKI_CLASS_BLOCK64 : k == 11 ? GMKI_CLASSES : k + 1;
}

GMK_FN uint32_t env_rand(uint64_t *state, uint32_t n)
{
    return (uint32_t)(gmk_rand_next(state) >> 32) % n;
}

/* A size whose logarithm is spread evenly: 1 .. 2^bits. */
GMK_FN uint32_t env_rand_size(uint64_t *state, uint32_t bits)
{
    uint32_t top = 1u << env_rand(state, bits + 1);

    return top - env_rand(state, top / 2 + 1);
}

/* Of large objects not every word is stamped. */
GMK_FN uint32_t env_stamp_step(uint32_t bytes) { return bytes > 256 ? bytes / 64 : 1; }

/* Writes a value that depends on p and salt all over the object; checks it. */
GMK_FN void env_stamp(void *p, uint32_t bytes, uint32_t salt)
{
    uint32_t *w = p;
    uint32_t step = env_stamp_step(bytes);

    for (uint32_t i = 0; i < bytes / 4; i += step)
        w[i] = salt ^ (uint32_t)(uintptr_t)p ^ i;
    if (bytes >= 4)
        w[bytes / 4 - 1] = salt ^ (uint32_t)(uintptr_t)p;
}

GMK_FN bool env_stamped(const void *p, uint32_t bytes, uint32_t salt)
{
    const uint32_t *w = p;
    uint32_t last = bytes / 4 - 1;
    uint32_t step = env_stamp_step(bytes);

    for (uint32_t i = 0; bytes >= 4 && i < last; i += step) {
        if (w[i] != (salt ^ (uint32_t)(uintptr_t)p ^ i))
            return false;
    }
    return bytes < 4 || w[last] == (salt ^ (uint32_t)(uintptr_t)p);
}

/* Threads. ----------------------------------------------------------------------- */

#define ENV_THREADS 8u

typedef struct env_thread {
    gmk_hal_thread_t thread;
    alloc_env_t *env;
    gmk_a32_t *go; /* all start at once */
    uint32_t index;
    uint32_t n_threads;
    uint64_t n; /* operations */
    uint64_t seed;
    uint64_t bad; /* what the thread found wrong */
    uint64_t allocs[2];
    uint64_t frees[2];
    uint64_t fails;
    void *user;
} env_thread_t;

GMK_FN void env_wait(const gmk_a32_t *word, uint32_t value)
{
    while (gmk_load_acq(word, GMK_DEV) != value) /* sync: test.go */
        gmk_hal_relax();
}

/* Runs n threads of fn(env_thread_t *), thread i with agent i. t must have n entries.
 * beside: called while they run (may be null). */
GMK_FN void env_run(env_thread_t *t, uint32_t n, void *(*fn)(void *), void (*beside)(alloc_env_t *))
{
    gmk_a32_t go = 0;

    for (uint32_t i = 0; i < n; i++) {
        t[i].go = &go;
        t[i].index = i;
        t[i].n_threads = n;
        t[i].seed = gmk_test_seed() * 0x9e3779b97f4a7c15ull + i + 1;
        gmk_test_assert(gmk_hal_cpu_start(&t[i].thread, GMK_HAL_ANY_CPU, fn, &t[i]) == 0);
    }
    gmk_store_rel(&go, 1, GMK_DEV); /* sync: test.go */
    if (beside != NULL)
        beside(t[0].env);
    for (uint32_t i = 0; i < n; i++) {
        gmk_test_assert(gmk_hal_thread_join(&t[i].thread) == 0);
        gmk_test_assert_eq(t[i].bad, 0);
    }
}

#endif
