/* SPDX-License-Identifier: MIT
 * Blocks of 12 bins, the caches and the depot behind all of them: sizes, exhaustion,
 * bad frees, frees on other agents, contention, and random work against a model.
 * Floor: tests. Source: SPEC AL-4, AL-5, AL-7 to AL-11, AL-13, V-43, ACC-4. */
#include "alloc_env.h"

static alloc_env_t env;
static void *held[65536];

#define MIB ((size_t)1 << 20)

/* Takes blocks of size until none of the class is left, into held; returns how many. */
static uint32_t take_class(gmki_cache_t *c, uint32_t size, uint32_t k)
{
    uint32_t n = 0;

    while (n < env.m.classes[k].n_objs && (held[n] = gmki_alloc(c, size)) != NULL &&
           env_class(&env, held[n]) == k)
        n++;
    return n;
}

/* AL-4, AL-11. */
GMK_TEST(alloc_block_size_rounds_up_to_its_bin)
{
    static const uint32_t sizes[] = {1,    2,    31,   32,   65,    100,   127,   128,
                                     129,  255,  256,  257,  1000,  1024,  1025,  2048,
                                     4095, 4096, 4097, 8192, 16384, 30000, 32769, 65535};
    gmki_cache_t *c = &env.cache[0];
    uint64_t expected = 0;

    GMK_REQUIRE(env_begin(&env, 64 * MIB, 1));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(sizes); i++) {
        uint32_t k = env_class_of(sizes[i]);
        void *p = gmki_alloc(c, sizes[i]);

        GMK_REQUIRE(p != NULL);
        gmk_test_assert_eq(env_class(&env, p), k);
        gmk_test_assert_eq((uintptr_t)p % (k == 0 ? 32 : 64), 0);
        env_stamp(p, GMK_BLOCK_MIN << k, i);
        expected += GMK_BLOCK_MIN << k;
        gmk_test_assert_eq(gmki_mem_bytes(&env.m), expected);
        held[i] = p;
    }
    held[GMK_ARRAY_LEN(sizes)] = gmki_alloc(c, GMK_BLOCK_MAX);
    gmk_test_assert_eq(env_class(&env, held[GMK_ARRAY_LEN(sizes)]), 11);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(sizes); i++) {
        gmk_test_assert(env_stamped(held[i], GMK_BLOCK_MIN << env_class_of(sizes[i]), i));
        gmki_free(c, held[i]);
    }
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_bad_frees, 0);
    env_end(&env);
}

/* AL-4, AL-9. */
GMK_TEST(alloc_block_zero_and_oversize_fail)
{
    static const uint32_t sizes[] = {0, GMK_BLOCK_MAX + 1, 1u << 20, 0x80000000u, UINT32_MAX};
    gmki_cache_t *c = &env.cache[0];

    GMK_REQUIRE(env_begin(&env, 4 * MIB, 1));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(sizes); i++) {
        gmk_test_assert(gmki_alloc(c, sizes[i]) == NULL);
        gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_fails, i + 1);
        gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_FAILS), i + 1);
        env_expect(&env, 0, GMK_EV_ALLOC_FAIL, sizes[i], 0);
    }
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_allocs, 0);
    gmk_test_assert_eq(gmki_mem_bytes(&env.m), 0);
    env_end(&env);
}

/* OBS-1: what the row lags by is made up for when the cache meets the depot. */
GMK_TEST(alloc_block_bytes_of_a_row_lag_until_the_depot_is_met)
{
    gmki_cache_t *c = &env.cache[0];
    uint32_t n = 0;

    GMK_REQUIRE(env_begin(&env, 4 * MIB, 1));
    do {
        gmk_test_assert_le(env_metric(&env, GMK_METRIC_ALLOC_BYTES), 256ull * n);
        gmk_test_assert_eq(gmki_mem_bytes(&env.m), 256ull * n);
        gmk_test_assert_eq(gmki_cache_bytes(c), 256ull * n);
        held[n++] = gmki_alloc(c, 256);
    } while (n <= env.m.classes[3].batch);
    /* The second refill told of the first batch. */
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BYTES), 256ull * env.m.classes[3].batch);
    for (uint32_t i = 0; i < n; i++)
        gmki_free(c, held[i]);
    env_end(&env);
}

/* AL-5. */
GMK_TEST(alloc_block_bins_divide_the_region_evenly)
{
    uint64_t share;

    GMK_REQUIRE(env_begin(&env, 64 * MIB, 4));
    share = (uint64_t)env.m.classes[0].n_objs << env.m.classes[0].shift;
    gmk_test_assert_ge(share * 12, 64 * MIB * 67 / 100);
    for (uint32_t k = 0; k < GMKI_CLASSES; k++) {
        const gmki_class_t *cl = &env.m.classes[k];
        uint64_t bytes = (uint64_t)cl->n_objs << cl->shift;

        if (k == GMKI_CLASS_TASK)
            continue;
        gmk_test_assert_le(bytes, share);
        gmk_test_assert_gt(bytes + ((uint64_t)1 << cl->shift), share);
    }
    env_end(&env);
}

/* AL-5, AL-7. */
GMK_TEST(alloc_block_spent_bin_falls_through_to_larger)
{
    gmki_cache_t *c = &env.cache[0];

    GMK_REQUIRE(env_begin(&env, 8 * MIB, 1));
    for (uint32_t k = 2; k < 12; k++) {
        uint32_t size = GMK_BLOCK_MIN << k;
        uint32_t n = take_class(c, size, k);
        void *p;

        gmk_test_assert_eq(n, env.m.classes[k].n_objs);
        p = gmki_alloc(c, size);
        gmk_test_assert_eq(env_class(&env, p), k == 11 ? GMKI_CLASSES : k + 1);
        gmki_free(c, p);
        for (uint32_t i = 0; i < n; i++)
            gmki_free(c, held[i]);
        p = gmki_alloc(c, size);
        gmk_test_assert_eq(env_class(&env, p), k);
        gmki_free(c, p);
    }
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_fails, 1);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).bytes_free,
                       env_stats(&env, GMK_ALLOC_BLOCK).bytes_total);
    env_end(&env);
}

GMK_TEST(alloc_block_small_arenas_give_every_object)
{
    static const size_t arenas[] = {GMKI_ARENA_MIN, 100000, 256 << 10, MIB, 3 * MIB};

    for (uint32_t a = 0; a < GMK_ARRAY_LEN(arenas); a++) {
        GMK_REQUIRE(env_begin(&env, arenas[a], 1 + a));
        for (uint32_t k = 0; k < 12; k++) {
            uint32_t n = take_class(&env.cache[a], GMK_BLOCK_MIN << k, k);

            gmk_test_assert_eq(n, env.m.classes[k].n_objs);
            for (uint32_t i = 0; i < n; i++)
                env_stamp(held[i], GMK_BLOCK_MIN << k, k);
            for (uint32_t i = 0; i < n; i++) {
                if (!env_stamped(held[i], GMK_BLOCK_MIN << k, k))
                    gmk_test_assert_named(false, "objects overlap");
            }
            for (uint32_t i = 0; i < n; i++)
                gmki_free(&env.cache[a], held[i]);
        }
        gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).bytes_free,
                           env_stats(&env, GMK_ALLOC_BLOCK).bytes_total);
        env_end(&env);
    }
}

/* The smaller the arena and the more agents, the less a cache may keep. */
GMK_TEST(alloc_block_caches_hold_half_a_bin_at_most)
{
    static const size_t arenas[] = {GMKI_ARENA_MIN, 256 << 10, MIB, 4 * MIB, 64 * MIB};

    for (uint32_t a = 0; a < GMK_ARRAY_LEN(arenas); a++) {
        for (uint32_t agents = 1; agents <= ENV_AGENTS; agents++) {
            GMK_REQUIRE(env_begin(&env, arenas[a], agents));
            for (uint32_t k = 0; k < GMKI_CLASSES; k++) {
                const gmki_class_t *cl = &env.m.classes[k];

                gmk_test_assert_le(cl->cap * agents, cl->n_objs / 2);
                gmk_test_assert_le(cl->cap, GMKI_CACHE_MAX);
                gmk_test_assert_ge(cl->batch, 1);
                gmk_test_assert(cl->cap == 2 * cl->batch || cl->batch == 1 ||
                                cl->cap == 2 * cl->batch + 1);
            }
            env_end(&env);
        }
    }
}

/* AL-13. */
GMK_TEST(alloc_block_memory_freed_elsewhere_comes_home)
{
    gmki_cache_t *a = &env.cache[0];
    gmki_cache_t *b = &env.cache[1];

    GMK_REQUIRE(env_begin(&env, 4 * MIB, 2));
    for (uint32_t k = 2; k < 11; k++) {
        uint32_t cap = env.m.classes[k].cap;
        uint32_t size = GMK_BLOCK_MIN << k;
        uint32_t n = 0;
        uint32_t again;

        for (uint32_t round = 0; round < 5; round++) {
            n = take_class(a, size, k);
            gmk_test_assert_ge(n + cap, env.m.classes[k].n_objs);
            if (held[n] != NULL && n < env.m.classes[k].n_objs)
                gmki_free(a, held[n]); /* the first that fell through */
            for (uint32_t i = 0; i < n; i++)
                gmki_free(b, held[i]);
        }
        again = take_class(b, size, k);
        gmk_test_assert_ge(again + cap, env.m.classes[k].n_objs);
        if (held[again] != NULL && again < env.m.classes[k].n_objs)
            gmki_free(b, held[again]);
        for (uint32_t i = 0; i < again; i++)
            gmki_free(b, held[i]);
    }
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).bytes_free,
                       env_stats(&env, GMK_ALLOC_BLOCK).bytes_total);
    env_end(&env);
}

GMK_TEST(alloc_block_cache_set_up_twice_keeps_its_objects)
{
    gmki_cache_t *c = &env.cache[0];
    void *p;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    p = gmki_alloc(c, 100);
    gmki_cache_setup(c, &env.m, &env.obs[0]);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_allocs, 1);
    gmki_free(c, p);
    gmk_test_assert(gmki_alloc(c, 100) == p);
    env_end(&env);
}

/* Bad frees. In DEBUG builds they panic, so these run in the others. --------------- */

#if !defined(GMK_DEBUG)

/* Frees p, which must be refused: counted once for kind, traced, nothing else changed. */
static void check_bad_free(gmki_cache_t *c, void *p, enum gmk_alloc_kind kind)
{
    gmk_alloc_stats_t was[GMK_ALLOC_KINDS];
    uint64_t metric = env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES);

    for (uint32_t i = 0; i < GMK_ALLOC_KINDS; i++)
        was[i] = env_stats(&env, (enum gmk_alloc_kind)i);
    gmki_free(c, p);
    for (uint32_t i = 0; i < GMK_ALLOC_KINDS; i++) {
        gmk_alloc_stats_t now = env_stats(&env, (enum gmk_alloc_kind)i);

        gmk_test_assert_eq(now.n_bad_frees, was[i].n_bad_frees + (i == (uint32_t)kind));
        gmk_test_assert_eq(now.n_frees, was[i].n_frees);
        gmk_test_assert_eq(now.bytes_free, was[i].bytes_free);
    }
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), metric + 1);
    env_expect(&env, c->obs->agent, GMK_EV_BAD_FREE, c->obs->agent, (uint32_t)(uintptr_t)p);
}

/* AL-11. */
GMK_TEST(alloc_block_double_free_ignored_and_not_handed_out_twice)
{
    gmki_cache_t *a = &env.cache[0];
    gmki_cache_t *b = &env.cache[1];
    uint32_t twice = 0;

    GMK_REQUIRE(env_begin(&env, MIB, 2));
    for (uint32_t size = 32; size <= 32768; size *= 2) {
        enum gmk_alloc_kind kind = size == 64 ? GMK_ALLOC_TASK_SLAB : GMK_ALLOC_BLOCK;
        void *p = gmki_alloc(a, size);

        GMK_REQUIRE(p != NULL);
        gmki_free(a, p);
        check_bad_free(a, p, kind);
        check_bad_free(b, p, kind);
    }
    for (uint32_t i = 0; i < 200; i++)
        held[i] = gmki_alloc(i % 2 == 0 ? a : b, 512);
    for (uint32_t i = 0; i < 200; i++) {
        for (uint32_t k = 0; k < i; k++)
            twice += held[i] != NULL && held[i] == held[k];
    }
    gmk_test_assert_eq(twice, 0);
    env_end(&env);
}

/* AL-11. */
GMK_TEST(alloc_block_foreign_and_interior_frees_ignored)
{
    gmki_cache_t *c = &env.cache[0];
    size_t trace_bytes;
    char *trace;
    char on_stack[256];
    char *p;
    char *slab;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    trace = gmki_mem_trace_region(&env.m, &trace_bytes);
    p = gmki_alloc(c, 1024);
    slab = gmki_alloc(c, 64);
    GMK_REQUIRE(p != NULL && slab != NULL);
    gmki_free(c, NULL); /* harmless */
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), 0);
    check_bad_free(c, on_stack, GMK_ALLOC_BLOCK);
    check_bad_free(c, &env, GMK_ALLOC_BLOCK);
    check_bad_free(c, (void *)1, GMK_ALLOC_BLOCK);
    check_bad_free(c, (void *)UINTPTR_MAX, GMK_ALLOC_BLOCK);
    check_bad_free(c, p + 1, GMK_ALLOC_BLOCK);
    check_bad_free(c, p + 16, GMK_ALLOC_BLOCK);
    check_bad_free(c, p + 32, GMK_ALLOC_BLOCK);
    check_bad_free(c, p + 512, GMK_ALLOC_BLOCK);
    check_bad_free(c, p + 1023, GMK_ALLOC_BLOCK);
    check_bad_free(c, p + 1024 * 100, GMK_ALLOC_BLOCK); /* never handed out */
    check_bad_free(c, p - 1, GMK_ALLOC_BLOCK);
    check_bad_free(c, slab + 16, GMK_ALLOC_TASK_SLAB);
    check_bad_free(c, slab + 64 * 50, GMK_ALLOC_TASK_SLAB);
    check_bad_free(c, trace, GMK_ALLOC_BLOCK);
    check_bad_free(c, env.m.arena + env.m.objects_bytes, GMK_ALLOC_BLOCK);
    check_bad_free(c, env.m.arena - 1, GMK_ALLOC_BLOCK);
    check_bad_free(c, env.m.bump, GMK_ALLOC_BUMP);
    check_bad_free(c, gmki_bump(c, 100), GMK_ALLOC_BUMP);
    gmki_free(c, p); /* the good ones still work */
    gmki_free(c, slab);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_frees, 1);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).n_frees, 1);
    env_end(&env);
}

/* AL-11. The end of each class's span, where a last piece may be no whole object. */
GMK_TEST(alloc_block_free_at_every_place_of_a_fresh_arena_refused)
{
    uint64_t n = 0;

    GMK_REQUIRE(env_begin(&env, 256 << 10, 1));
    env.cfg.level[GMKI_LEVEL_KERNEL] = GMK_TRACE_OFF;
    for (size_t off = 0; off < env.m.objects_bytes; off += 16, n++)
        gmki_free(&env.cache[0], env.m.arena + off);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), n);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_frees, 0);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).n_frees, 0);
    env_end(&env);
}

/* Two threads that free one object at one instant may both pass the check. */
static void free_as_a_racer(gmki_cache_t *c, void *p)
{
    const gmki_class_t *cl = &env.m.classes[env_class(&env, p)];

    cl->state[(size_t)((char *)p - cl->base) >> cl->shift] = GMKI_LIVE;
    gmki_free(c, p);
}

/* AL-11. */
GMK_TEST(alloc_block_racing_double_free_struck_out_at_alloc)
{
    gmki_cache_t *a = &env.cache[0];
    gmki_cache_t *b = &env.cache[1];
    gmk_alloc_stats_t s;
    void *p;
    void *q;

    GMK_REQUIRE(env_begin(&env, MIB, 2));
    p = gmki_alloc(a, 256);
    gmki_free(a, p);
    free_as_a_racer(b, p);
    gmk_test_assert(gmki_alloc(a, 256) == p);
    q = gmki_alloc(b, 256);
    gmk_test_assert(q != NULL && q != p);
    s = env_stats(&env, GMK_ALLOC_BLOCK);
    gmk_test_assert_eq(s.n_bad_frees, 1);
    gmk_test_assert_eq(s.n_allocs, 3);
    gmk_test_assert_eq(s.n_frees, 1);
    gmk_test_assert_eq(s.bytes_free, s.bytes_total - 2 * 256);
    gmki_free(a, p);
    gmki_free(a, q);
    s = env_stats(&env, GMK_ALLOC_BLOCK);
    gmk_test_assert_eq(s.n_frees, 3);
    gmk_test_assert_eq(s.bytes_free, s.bytes_total);
    env_end(&env);
}

/* AL-11. */
GMK_TEST(alloc_block_racing_double_free_without_a_node_refused)
{
    gmki_cache_t *c = &env.cache[0];
    gmk_alloc_stats_t s;
    uint32_t n;

    GMK_REQUIRE(env_begin(&env, 4 * MIB, 1));
    n = take_class(c, GMK_BLOCK_MAX, 11);
    GMK_REQUIRE(n == 3 && env.m.classes[11].batch == 1 && env.m.classes[11].cap == 1);
    for (uint32_t i = 0; i < n; i++)
        gmki_free(c, held[i]);
    free_as_a_racer(c, held[0]); /* the cache's one goes to the third and last node */
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), 0);
    free_as_a_racer(c, held[0]);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), 1);
    n = take_class(c, GMK_BLOCK_MAX, 11);
    gmk_test_assert_eq(n, 3);
    gmk_test_assert(gmki_alloc(c, GMK_BLOCK_MAX) == NULL); /* finds the other copy */
    s = env_stats(&env, GMK_ALLOC_BLOCK);
    gmk_test_assert_eq(s.n_bad_frees, 2);
    gmk_test_assert_eq(s.n_allocs - s.n_frees, 3);
    gmk_test_assert_eq(s.bytes_free, s.bytes_total - 3 * (uint64_t)GMK_BLOCK_MAX);
    env_end(&env);
}

#else

/* CH-45. */
GMK_TEST(alloc_block_debug_fills_new_and_freed_memory)
{
    gmki_cache_t *c = &env.cache[0];
    unsigned char *p;
    uint32_t bad = 0;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    for (uint32_t round = 0; round < 3; round++) {
        p = gmki_alloc(c, 1000);
        for (uint32_t i = 0; i < 1024; i++)
            bad += p[i] != 0xcd;
        env_stamp(p, 1024, round);
        gmki_free(c, p);
        for (uint32_t i = 0; i < 1024; i++)
            bad += p[i] != 0xdd;
    }
    gmk_test_assert_eq(bad, 0);
    env_end(&env);
}

#endif

/* Random work against a model. ------------------------------------------------------ */

typedef struct model {
    uint32_t left[GMKI_CLASSES]; /* free objects */
    uint64_t allocs[2];
    uint64_t frees[2];
    uint64_t fails[2];
    uint64_t live[2];
    uint64_t peak[2];
    uint64_t bytes;
} model_t;

#define MODEL_SLOTS 4096u

static uint32_t model_kind(uint32_t k)
{
    return k == GMKI_CLASS_TASK ? GMK_ALLOC_TASK_SLAB : GMK_ALLOC_BLOCK;
}

/* The class that a request must be served from; GMKI_CLASSES: it must fail. */
static uint32_t model_alloc(model_t *w, uint32_t size)
{
    uint32_t first = env_class_of(size);
    uint32_t k = first;

    while (k != GMKI_CLASSES && w->left[k] == 0)
        k = env_class_after(k);
    if (k == GMKI_CLASSES) {
        w->fails[model_kind(first)]++;
        return k;
    }
    w->left[k]--;
    w->allocs[model_kind(k)]++;
    w->live[model_kind(k)] += (uint64_t)1 << env.m.classes[k].shift;
    w->peak[model_kind(k)] = gmk_max64(w->peak[model_kind(k)], w->live[model_kind(k)]);
    w->bytes += (uint64_t)1 << env.m.classes[k].shift;
    return k;
}

static void model_free(model_t *w, uint32_t k)
{
    w->left[k]++;
    w->frees[model_kind(k)]++;
    w->live[model_kind(k)] -= (uint64_t)1 << env.m.classes[k].shift;
}

static void model_compare(const model_t *w)
{
    for (uint32_t kind = 0; kind < 2; kind++) {
        gmk_alloc_stats_t s = env_stats(&env, (enum gmk_alloc_kind)kind);

        gmk_test_assert_eq(s.n_allocs, w->allocs[kind]);
        gmk_test_assert_eq(s.n_frees, w->frees[kind]);
        gmk_test_assert_eq(s.n_fails, w->fails[kind]);
        gmk_test_assert_eq(s.n_bad_frees, 0);
        gmk_test_assert_eq(s.bytes_free, s.bytes_total - w->live[kind]);
        gmk_test_assert_eq(s.bytes_high_water, w->peak[kind]);
    }
    gmk_test_assert_eq(gmki_mem_bytes(&env.m), w->bytes);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_FAILS), w->fails[0] + w->fails[1]);
}

/* steps of random allocations and frees by one agent; more of the former while the
 * slots fill, so that bins are spent and requests fall through. */
static void model_run(size_t arena_bytes, uint32_t steps, uint64_t seed)
{
    static void *slot[MODEL_SLOTS];
    model_t w = {.bytes = 0};
    gmki_cache_t *c = &env.cache[0];
    uint32_t wrong = 0;

    GMK_REQUIRE(env_begin(&env, arena_bytes, 1));
    for (uint32_t k = 0; k < GMKI_CLASSES; k++)
        w.left[k] = env.m.classes[k].n_objs;
    gmk_hal_memset(slot, 0, sizeof(slot));
    for (uint32_t step = 0; step < steps; step++) {
        uint32_t i = env_rand(&seed, MODEL_SLOTS);

        if (slot[i] != NULL) {
            uint32_t k = env_class(&env, slot[i]);

            wrong += !env_stamped(slot[i], 1u << env.m.classes[k].shift, i);
            gmki_free(c, slot[i]);
            slot[i] = NULL;
            model_free(&w, k);
        } else {
            uint32_t size = env_rand_size(&seed, 16);
            uint32_t k = model_alloc(&w, size);

            slot[i] = gmki_alloc(c, size);
            wrong += k != (slot[i] == NULL ? GMKI_CLASSES : env_class(&env, slot[i]));
            if (slot[i] != NULL)
                env_stamp(slot[i], 1u << env.m.classes[env_class(&env, slot[i])].shift, i);
        }
        if (step % (steps / 8) == 0)
            model_compare(&w);
    }
    gmk_test_assert_eq(wrong, 0);
    model_compare(&w);
    for (uint32_t i = 0; i < MODEL_SLOTS; i++) {
        if (slot[i] != NULL) {
            model_free(&w, env_class(&env, slot[i]));
            gmki_free(c, slot[i]);
        }
    }
    model_compare(&w);
    env_end(&env);
}

/* AL-5, AL-8. */
GMK_TEST(alloc_block_random_work_equals_model_in_a_small_arena)
{
    model_run(512 << 10, (uint32_t)gmk_test_scale(60000, 4000), gmk_test_seed());
}

/* AL-8. */
GMK_TEST(alloc_block_random_work_equals_model_in_a_large_arena)
{
    model_run(64 * MIB, (uint32_t)gmk_test_scale(60000, 4000), gmk_test_seed() + 1);
}

/* Contention. ----------------------------------------------------------------------- */

#define SWAP_SLOTS 256u

/* All threads swap objects through shared slots, so most frees are another's. */
static void *swap_worker(void *arg)
{
    env_thread_t *t = arg;
    gmki_cache_t *c = &t->env->cache[t->index];
    gmk_a64_t *slots = t->user;

    env_wait(t->go, 1);
    for (uint64_t i = 0; i < t->n; i++) {
        uint32_t size = env_rand_size(&t->seed, 13);
        void *p = gmki_alloc(c, size);
        void *q;
        uint32_t k;

        if (p != NULL) {
            k = env_class(t->env, p);
            t->allocs[model_kind(k)]++;
            env_stamp(p, 1u << t->env->m.classes[k].shift, 77);
        } else {
            t->fails++;
        }
        q = (void *)(uintptr_t)gmk_xchg_ar(&slots[env_rand(&t->seed, SWAP_SLOTS)],
                                           (uint64_t)(uintptr_t)p, GMK_DEV); /* sync: test.slot */
        if (q != NULL) {
            k = env_class(t->env, q);
            t->bad += !env_stamped(q, 1u << t->env->m.classes[k].shift, 77);
            gmki_free(c, q);
            t->frees[model_kind(k)]++;
        }
    }
    return NULL;
}

/* A reader beside them: sums stay within the arena's bounds where they must. */
static void swap_reader(alloc_env_t *e)
{
    for (uint32_t i = 0; i < 50; i++) {
        gmk_alloc_stats_t s = env_stats(e, GMK_ALLOC_BLOCK);

        gmk_test_assert_le(s.bytes_high_water, s.bytes_total);
        gmk_hal_relax();
    }
}

static void swap_run(size_t arena_bytes, uint32_t n_threads)
{
    static env_thread_t t[ENV_THREADS];
    static gmk_a64_t slots[SWAP_SLOTS];
    uint64_t fails = 0;

    GMK_REQUIRE(env_begin(&env, arena_bytes, n_threads));
    gmk_hal_memset(slots, 0, sizeof(slots));
    for (uint32_t i = 0; i < n_threads; i++)
        t[i] = (env_thread_t){.env = &env, .n = gmk_test_scale(15000, 200), .user = slots};
    env_run(t, n_threads, swap_worker, swap_reader);
    for (uint32_t kind = 0; kind < 2; kind++) {
        gmk_alloc_stats_t s = env_stats(&env, (enum gmk_alloc_kind)kind);
        uint64_t allocs = 0;
        uint64_t frees = 0;

        for (uint32_t i = 0; i < n_threads; i++) {
            allocs += t[i].allocs[kind];
            frees += t[i].frees[kind];
        }
        gmk_test_assert_eq(s.n_allocs, allocs);
        gmk_test_assert_eq(s.n_frees, frees);
        gmk_test_assert_eq(s.n_bad_frees, 0);
        gmk_test_assert_le(s.bytes_high_water, s.bytes_total);
        fails += s.n_fails;
    }
    for (uint32_t i = 0; i < n_threads; i++)
        fails -= t[i].fails;
    gmk_test_assert_eq(fails, 0);
    for (uint32_t i = 0; i < SWAP_SLOTS; i++)
        gmki_free(&env.cache[i % n_threads], (void *)(uintptr_t)slots[i]);
    for (uint32_t kind = 0; kind < 2; kind++) {
        gmk_alloc_stats_t s = env_stats(&env, (enum gmk_alloc_kind)kind);

        gmk_test_assert_eq(s.bytes_free, s.bytes_total);
        gmk_test_assert_eq(s.n_allocs, s.n_frees);
    }
    env_end(&env);
}

/* AL-7, AL-13, ACC-4. */
GMK_TEST(alloc_block_contention_remote_frees_statistics_exact) { swap_run(16 * MIB, 8); }

/* AL-7, AL-13, ACC-4. */
GMK_TEST(alloc_block_contention_in_a_spent_arena_statistics_exact) { swap_run(256 << 10, 4); }

/* One agent allocates, one frees: far more passes than the arena holds. */
typedef struct stream {
    gmk_spsc_t ring;
    void *item[64];
} stream_t;

static void *stream_worker(void *arg)
{
    env_thread_t *t = arg;
    gmki_cache_t *c = &t->env->cache[t->index];
    stream_t *s = t->user;
    uint32_t pos;

    env_wait(t->go, 1);
    for (uint64_t i = 0; i < t->n; i++) {
        if (t->index == 0) {
            void *p = gmki_alloc(c, 1024);

            while (gmk_spsc_claim(&s->ring, 1, &pos, GMK_DEV) == 0)
                gmk_hal_relax();
            t->fails += p == NULL;
            if (p != NULL)
                env_stamp(p, 1024, (uint32_t)i);
            s->item[pos % 64] = p;
            gmk_spsc_publish(&s->ring, pos, 1, GMK_DEV);
        } else {
            void *p;

            while (gmk_spsc_take(&s->ring, 1, &pos, GMK_DEV) == 0)
                gmk_hal_relax();
            p = s->item[pos % 64];
            gmk_spsc_release(&s->ring, pos, 1, GMK_DEV);
            t->bad += p != NULL && !env_stamped(p, 1024, (uint32_t)i);
            gmki_free(c, p);
        }
    }
    return NULL;
}

/* AL-13, ACC-4. */
GMK_TEST(alloc_block_stream_freed_by_another_agent_never_runs_dry)
{
    static env_thread_t t[2];
    static stream_t s;

    GMK_REQUIRE(env_begin(&env, 4 * MIB, 2)); /* 238 objects, of which 64 + caches are away */
    gmk_spsc_setup(&s.ring, 64, 0);
    for (uint32_t i = 0; i < 2; i++)
        t[i] = (env_thread_t){.env = &env, .n = gmk_test_scale(50000, 1000), .user = &s};
    env_run(t, 2, stream_worker, NULL);
    gmk_test_assert_eq(t[0].fails, 0);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_allocs, t[0].n);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_frees, t[0].n);
    gmk_test_assert_le(env_stats(&env, GMK_ALLOC_BLOCK).bytes_high_water,
                       (uint64_t)env.m.classes[5].n_objs * 1024);
    env_end(&env);
}
