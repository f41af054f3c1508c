/* SPDX-License-Identifier: MIT
 * The task slab, and what the whole of memory does at init: arguments, split, fini.
 * Floor: tests. Source: SPEC AL-1 to AL-4, AL-7 to AL-11, AL-13, ACC-4. */
#include "alloc_env.h"

static alloc_env_t env;
static void *held[65536];

#define MIB ((size_t)1 << 20)

GMK_TEST(alloc_slab_init_bad_arguments_refused)
{
    static gmk_alloc_t m;

    gmk_test_assert_eq(gmki_mem_init(NULL, MIB, 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmki_mem_init(&m, MIB, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmki_mem_init(&m, MIB, UINT32_MAX), GMK_E_INVALID);
    gmk_test_assert_eq(gmki_mem_init(&m, 0, 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmki_mem_init(&m, GMKI_ARENA_MIN - 1, 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmki_mem_init(&m, (size_t)GMKI_ARENA_MAX + 1, 1), GMK_E_INVALID);
    gmki_mem_fini(&m); /* harmless on what was never set up */
    gmk_test_assert(gmki_mem_init(&m, GMKI_ARENA_MIN, 1) == GMK_OK);
    gmki_mem_fini(&m);
    gmki_mem_fini(&m);
    gmk_test_assert(m.arena == NULL);
}

/* AL-1. */
GMK_TEST(alloc_slab_arena_split_is_10_2_68_20)
{
    static const size_t arenas[] = {GMKI_ARENA_MIN, 256 << 10, MIB, 3 * MIB + 4321, 64 * MIB};

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(arenas); i++) {
        size_t bytes = arenas[i];
        size_t trace_bytes;
        gmk_alloc_stats_t s;
        char *trace;

        GMK_REQUIRE(env_begin(&env, bytes, 1));
        trace = gmki_mem_trace_region(&env.m, &trace_bytes);
        s = env_stats(&env, GMK_ALLOC_TASK_SLAB);
        gmk_test_assert_le(s.bytes_total, bytes / 10);
        gmk_test_assert_ge(s.bytes_total, bytes / 10 - bytes / 100);
        gmk_test_assert_eq(s.bytes_free, s.bytes_total);
        gmk_test_assert_eq(s.bytes_high_water, 0);
        s = env_stats(&env, GMK_ALLOC_BLOCK);
        gmk_test_assert_le(s.bytes_total, bytes * 68 / 100);
        if (bytes >= 4 * MIB)
            gmk_test_assert_ge(s.bytes_total, bytes * 66 / 100);
        gmk_test_assert_eq(s.bytes_free, s.bytes_total);
        s = env_stats(&env, GMK_ALLOC_BUMP);
        gmk_test_assert_eq(s.bytes_total, bytes / 5 / 64 * 64);
        gmk_test_assert_eq(trace_bytes, bytes / 50 / 64 * 64);
        gmk_test_assert_eq((uintptr_t)trace % 64, 0);
        gmk_test_assert_eq((uintptr_t)env.m.bump % 64, 0);
        gmk_test_assert(trace >= env.m.arena + env.m.objects_bytes);
        gmk_test_assert(env.m.bump >= trace + trace_bytes);
        gmk_test_assert(env.m.bump + s.bytes_total <= env.m.arena + bytes);
        env_end(&env);
    }
}

/* The first and the last object of each span select it, whatever the arena's size. */
GMK_TEST(alloc_slab_span_of_an_address_is_exact)
{
    uint64_t wrong = 0;

    for (uint32_t log = 16; log <= 36; log++) {
        for (uint64_t less = 0; less < 100000; less += 997) {
            uint64_t arena = gmk_max64(GMKI_ARENA_MIN, ((uint64_t)1 << log) - less * less);
            uint64_t span = arena * GMK_ARENA_BLOCK_PCT / 100 / GMK_BLOCK_BINS / 64 * 64;
            uint64_t slack = arena > GMKI_SPAN_EXACT ? GMKI_SPAN_SLACK : 0;
            uint64_t recip = gmki_span_recip(span);

            if (less * less >= ((uint64_t)1 << log) / 2)
                break;
            for (uint32_t i = 0; i < GMKI_SPAN_SLAB; i++) {
                wrong += gmki_span_of(i * span, recip) != i;
                wrong += gmki_span_of((i + 1) * span - slack - GMK_BLOCK_MIN, recip) != i;
            }
            wrong += gmki_span_of(GMKI_SPAN_SLAB * span, recip) < GMKI_SPAN_SLAB;
            wrong += gmki_span_of(GMKI_SPAN_SLAB * span + arena * GMK_ARENA_TASK_PCT / 100 - 1,
                                  recip) < GMKI_SPAN_SLAB;
        }
    }
    gmk_test_assert_eq(wrong, 0);
}

/* A reader may see one counter of a cache before a step of its owner and another after it. */
GMK_TEST(alloc_slab_stats_beside_a_step_stay_within_the_arena)
{
    gmki_bin_t *b;
    gmk_alloc_stats_t s;
    void *p;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    p = gmki_alloc(&env.cache[0], 64);
    GMK_REQUIRE(p != NULL);
    b = &env.cache[0].bin[env_class(&env, p)];
    gmk_count_add(&b->word, 64); /* the batch that it gives away is still on its stack */
    s = env_stats(&env, GMK_ALLOC_TASK_SLAB);
    gmk_test_assert_eq(s.bytes_free, s.bytes_total);
    gmk_test_assert_le(gmki_mem_frag(&env.m), 1000);
    gmk_count_add(&b->word, (uint64_t)-64);
    gmk_count_add(&b->n_moved, b->n_objs); /* or has come already */
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).bytes_free, 0);
    gmk_count_add(&b->n_moved, 0 - b->n_objs);
    s = env_stats(&env, GMK_ALLOC_TASK_SLAB);
    gmk_test_assert_eq(s.bytes_free, s.bytes_total - 64);
    gmki_free(&env.cache[0], p);
    env_end(&env);
}

GMK_TEST(alloc_slab_stats_bad_arguments_refused)
{
    gmk_alloc_stats_t s;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    gmk_test_assert_eq(gmki_mem_stats(NULL, GMK_ALLOC_BLOCK, &s), GMK_E_INVALID);
    gmk_test_assert_eq(gmki_mem_stats(&env.m, GMK_ALLOC_BLOCK, NULL), GMK_E_INVALID);
    gmk_test_assert_eq(gmki_mem_stats(&env.m, GMK_ALLOC_KINDS, &s), GMK_E_INVALID);
    gmk_test_assert_eq(gmki_mem_stats(&env.m, (enum gmk_alloc_kind)77, &s), GMK_E_INVALID);
    env_end(&env);
}

/* AL-3, AL-11. */
GMK_TEST(alloc_slab_size_selects_slab_or_block)
{
    GMK_REQUIRE(env_begin(&env, MIB, 1));
    for (uint32_t size = 1; size <= 200; size++) {
        void *p = gmki_alloc(&env.cache[0], size);

        GMK_REQUIRE(p != NULL);
        gmk_test_assert_eq(env_class(&env, p) == GMKI_CLASS_TASK, size > 32 && size <= 64);
        gmk_test_assert_eq((uintptr_t)p % (size > 32 ? 64 : 32), 0);
        gmki_free(&env.cache[0], p);
    }
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).n_allocs, 32);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).n_frees, 32);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_allocs, 168);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_frees, 168);
    env_end(&env);
}

/* AL-7, AL-9. */
GMK_TEST(alloc_slab_spent_falls_through_to_blocks_then_fails)
{
    gmki_cache_t *c = &env.cache[0];
    uint32_t in_slab = 0;
    uint32_t n = 0;
    uint64_t total;
    uint32_t disordered = 0;
    uint32_t last = GMKI_CLASS_TASK;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    total = env_stats(&env, GMK_ALLOC_TASK_SLAB).bytes_total;
    while (n < GMK_ARRAY_LEN(held) && (held[n] = gmki_alloc(c, 48)) != NULL) {
        uint32_t k = env_class(&env, held[n]);

        in_slab += k == GMKI_CLASS_TASK;
        disordered += k != last && k != env_class_after(last);
        last = k;
        n++;
    }
    gmk_test_assert_eq(in_slab, total / 64);
    gmk_test_assert_eq(disordered, 0); /* the slab, then 64, 128, ... */
    gmk_test_assert_eq(last, 10);      /* a share of 1 MiB has no object of 64 KiB */
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).bytes_free, 0);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).n_allocs, in_slab);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).n_fails, 1);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_fails, 0);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_allocs, n - in_slab);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_FAILS), 1);
    env_expect(&env, 0, GMK_EV_ALLOC_FAIL, 48, 0);
    gmk_test_assert(env_event(&env, 0).ev_type == 0);
    gmk_test_assert(gmki_alloc(c, 32) != NULL); /* the bin of 32 is untouched */
    for (uint32_t i = 0; i < n; i++)
        gmki_free(c, held[i]);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).bytes_free, total);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).bytes_high_water, total);
    for (uint32_t i = 0; i < in_slab; i++)
        gmk_test_assert(env_class(&env, gmki_alloc(c, 64)) == GMKI_CLASS_TASK);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).bytes_free, 0);
    env_end(&env);
}

GMK_TEST(alloc_slab_objects_are_disjoint)
{
    gmki_cache_t *c = &env.cache[0];
    uint32_t n = 0;
    uint32_t bad = 0;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    while (n < GMK_ARRAY_LEN(held) && (held[n] = gmki_alloc(c, 64)) != NULL) {
        env_stamp(held[n], 64, n);
        n++;
    }
    for (uint32_t i = 0; i < n; i++)
        bad += !env_stamped(held[i], 64, i);
    gmk_test_assert_eq(bad, 0);
    gmk_test_assert_gt(n, 1000);
    env_end(&env);
}

/* AL-8. */
GMK_TEST(alloc_slab_high_water_is_exact_for_one_thread)
{
    gmki_cache_t *c = &env.cache[0];

    GMK_REQUIRE(env_begin(&env, MIB, 4));
    for (uint32_t i = 0; i < 10; i++)
        held[i] = gmki_alloc(c, 64);
    for (uint32_t i = 0; i < 7; i++)
        gmki_free(c, held[i]);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).bytes_high_water, 640);
    for (uint32_t i = 0; i < 7; i++)
        held[i] = gmki_alloc(c, 64);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).bytes_high_water, 640);
    held[10] = gmki_alloc(c, 64);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).bytes_high_water, 704);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).bytes_high_water, 0);
    env_end(&env);
}

GMK_TEST(alloc_slab_high_water_bounds_what_two_agents_hold)
{
    GMK_REQUIRE(env_begin(&env, MIB, 2));
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 20; i++)
            held[i] = gmki_alloc(&env.cache[0], 64);
        for (uint32_t i = 0; i < 20; i++)
            gmki_free(&env.cache[1], held[i]); /* the owner's balance rises for ever */
    }
    gmk_test_assert_ge(env_stats(&env, GMK_ALLOC_TASK_SLAB).bytes_high_water, 20 * 64);
    gmk_test_assert_le(env_stats(&env, GMK_ALLOC_TASK_SLAB).bytes_high_water, 60 * 64);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).bytes_free,
                       env_stats(&env, GMK_ALLOC_TASK_SLAB).bytes_total);
    env_end(&env);
}

/* Each thread keeps some objects of the slab and swaps them; all are stamped. */
static void *slab_worker(void *arg)
{
    env_thread_t *t = arg;
    gmki_cache_t *c = &t->env->cache[t->index];
    void *mine[64] = {NULL};

    env_wait(t->go, 1);
    for (uint64_t i = 0; i < t->n; i++) {
        uint32_t k = env_rand(&t->seed, 64);

        if (mine[k] != NULL) {
            t->bad += !env_stamped(mine[k], 64, t->index);
            gmki_free(c, mine[k]);
            t->frees[0]++;
        }
        mine[k] = gmki_alloc(c, 33 + env_rand(&t->seed, 32));
        if (mine[k] == NULL)
            t->fails++;
        else {
            t->allocs[env_class(t->env, mine[k]) == GMKI_CLASS_TASK ? 0 : 1]++;
            env_stamp(mine[k], 64, t->index);
        }
    }
    for (uint32_t k = 0; k < 64; k++) {
        if (mine[k] != NULL) {
            t->bad += !env_stamped(mine[k], 64, t->index);
            gmki_free(c, mine[k]);
            t->frees[0]++;
        }
    }
    return NULL;
}

/* AL-7, AL-8, AL-13, ACC-4. */
GMK_TEST(alloc_slab_contention_statistics_exact)
{
    static env_thread_t t[ENV_THREADS];
    gmk_alloc_stats_t slab;
    gmk_alloc_stats_t block;
    uint64_t allocs[2] = {0, 0};
    uint64_t frees = 0;
    uint64_t fails = 0;

    /* 64 KiB: 102 slab objects for eight threads that want 512: it falls through. */
    GMK_REQUIRE(env_begin(&env, GMKI_ARENA_MIN, ENV_THREADS));
    for (uint32_t i = 0; i < ENV_THREADS; i++)
        t[i] = (env_thread_t){.env = &env, .n = gmk_test_scale(20000, 300)};
    env_run(t, ENV_THREADS, slab_worker, NULL);
    for (uint32_t i = 0; i < ENV_THREADS; i++) {
        allocs[0] += t[i].allocs[0];
        allocs[1] += t[i].allocs[1];
        frees += t[i].frees[0];
        fails += t[i].fails;
    }
    slab = env_stats(&env, GMK_ALLOC_TASK_SLAB);
    block = env_stats(&env, GMK_ALLOC_BLOCK);
    gmk_test_assert_eq(slab.n_allocs, allocs[0]);
    gmk_test_assert_eq(block.n_allocs, allocs[1]);
    gmk_test_assert_eq(slab.n_frees + block.n_frees, frees);
    gmk_test_assert_eq(slab.n_frees, slab.n_allocs);
    gmk_test_assert_eq(block.n_frees, block.n_allocs);
    gmk_test_assert_eq(slab.n_fails, fails);
    gmk_test_assert_eq(slab.bytes_free, slab.bytes_total);
    gmk_test_assert_eq(block.bytes_free, block.bytes_total);
    gmk_test_assert_eq(slab.n_bad_frees + block.n_bad_frees, 0);
    gmk_test_assert_le(slab.bytes_high_water, slab.bytes_total);
    env_end(&env);
}
