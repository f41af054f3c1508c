/* SPDX-License-Identifier: MIT
 * The bump allocator: alignment, exhaustion, reset, high-water mark, contention.
 * Floor: tests. Source: SPEC AL-6 to AL-9, AL-11; PEERS "race on a bump high-water". */
#include "alloc_env.h"

static alloc_env_t env;

#define MIB ((size_t)1 << 20)

/* AL-6, AL-11. */
GMK_TEST(alloc_bump_pieces_are_aligned_and_follow_one_another)
{
    char *expected;
    uint64_t used = 0;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    expected = env.m.bump;
    for (uint32_t size = 1; size <= 100; size++) {
        char *p = gmki_bump(&env.cache[0], size);

        gmk_test_assert(p == expected);
        gmk_test_assert_eq((uintptr_t)p % 16, 0);
        expected += (size + 15) / 16 * 16;
        used += (size + 15) / 16 * 16;
    }
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).n_allocs, 100);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).bytes_free,
                       env_stats(&env, GMK_ALLOC_BUMP).bytes_total - used);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).bytes_high_water, used);
    gmk_test_assert_eq(gmki_mem_bytes(&env.m), used);
    env_end(&env);
}

/* AL-7, AL-9. */
GMK_TEST(alloc_bump_bad_sizes_fail_and_take_nothing)
{
    static const uint32_t sizes[] = {0, UINT32_MAX, UINT32_MAX - 15, 0x80000000u, MIB};
    gmki_cache_t *c = &env.cache[0];

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    gmk_test_assert(gmki_bump(c, 16) != NULL);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(sizes); i++) {
        gmk_test_assert(gmki_bump(c, sizes[i]) == NULL);
        env_expect(&env, 0, GMK_EV_ALLOC_FAIL, sizes[i], 0);
        gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).n_fails, i + 1);
        gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_FAILS), i + 1);
        gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).bytes_high_water, 16);
    }
    env_end(&env);
}

/* AL-6, AL-7. */
GMK_TEST(alloc_bump_spent_region_fails_until_reset)
{
    gmki_cache_t *c = &env.cache[0];
    uint64_t total;
    char *first;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    total = env_stats(&env, GMK_ALLOC_BUMP).bytes_total;
    first = gmki_bump(c, (uint32_t)total - 32);
    gmk_test_assert(first == env.m.bump);
    gmk_test_assert(gmki_bump(c, 33) == NULL);
    gmk_test_assert(gmki_bump(c, 17) == first + total - 32); /* a refusal took nothing */
    gmk_test_assert(gmki_bump(c, 1) == NULL);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).bytes_free, 0);
    gmki_bump_reset(&env.m);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).bytes_free, total);
    gmk_test_assert(gmki_bump(c, (uint32_t)total) == first);
    gmk_test_assert(gmki_bump(c, 1) == NULL);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).n_fails, 3);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).n_frees, 1);
    env_end(&env);
}

/* AL-8. */
GMK_TEST(alloc_bump_high_water_survives_resets)
{
    static const uint32_t sizes[] = {100, 5000, 300, 4999, 6000, 16};
    gmki_cache_t *c = &env.cache[0];
    uint64_t peak = 0;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(sizes); i++) {
        gmk_test_assert(gmki_bump(c, sizes[i]) != NULL);
        peak = gmk_max64(peak, gmk_align_up(sizes[i], 16));
        gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).bytes_high_water, peak);
        gmki_bump_reset(&env.m);
        gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).bytes_high_water, peak);
    }
    env_end(&env);
}

/* AL-8. */
GMK_TEST(alloc_bump_random_work_equals_model)
{
    uint64_t seed = gmk_test_seed();
    uint64_t used = 0, peak = 0, allocs = 0, fails = 0, resets = 0, total;
    uint32_t wrong = 0;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    total = env_stats(&env, GMK_ALLOC_BUMP).bytes_total;
    for (uint64_t i = 0; i < gmk_test_scale(20000, 2000); i++) {
        uint32_t size = env_rand_size(&seed, 16);
        uint64_t bytes = gmk_align_up(size, 16);
        char *p = gmki_bump(&env.cache[0], size);

        wrong += p != (bytes <= total - used ? env.m.bump + used : NULL);
        if (p == NULL) {
            fails++;
        } else {
            allocs++;
            used += bytes;
            peak = gmk_max64(peak, used);
        }
        if (env_rand(&seed, 100) == 0) {
            gmki_bump_reset(&env.m);
            resets++;
            used = 0;
        }
    }
    gmk_test_assert_eq(wrong, 0);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).n_allocs, allocs);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).n_fails, fails);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).n_frees, resets);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).bytes_free, total - used);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BUMP).bytes_high_water, peak);
    env_end(&env);
}

#define PIECES 4096u

typedef struct bumped {
    uint32_t *piece[PIECES];
    uint32_t words[PIECES];
    uint32_t n;
} bumped_t;

/* Takes and stamps pieces until the region is spent. */
static void *bump_worker(void *arg)
{
    env_thread_t *t = arg;
    bumped_t *b = t->user;

    env_wait(t->go, 1);
    for (b->n = 0; b->n < PIECES; b->n++) {
        uint32_t size = 4 * (1 + env_rand(&t->seed, 100));

        b->piece[b->n] = gmki_bump(&t->env->cache[t->index], size);
        if (b->piece[b->n] == NULL) {
            t->fails++;
            break;
        }
        b->words[b->n] = size / 4;
        t->allocs[0] += gmk_align_up(size, 16);
        for (uint32_t i = 0; i < size / 4; i++)
            b->piece[b->n][i] = t->index * PIECES + b->n;
    }
    return NULL;
}

/* AL-6, AL-7, AL-8. */
GMK_TEST(alloc_bump_contention_pieces_disjoint_statistics_exact)
{
    static env_thread_t t[ENV_THREADS];
    static bumped_t b[ENV_THREADS];
    gmk_alloc_stats_t s;
    uint64_t used = 0, n = 0, fails = 0;
    uint32_t wrong = 0;

    GMK_REQUIRE(env_begin(&env, 2 * MIB, ENV_THREADS));
    for (uint32_t round = 0; round < gmk_test_scale(4, 1); round++) {
        used = 0;
        for (uint32_t i = 0; i < ENV_THREADS; i++)
            t[i] = (env_thread_t){.env = &env, .user = &b[i]};
        gmki_bump_reset(&env.m);
        env_run(t, ENV_THREADS, bump_worker, NULL);
        for (uint32_t i = 0; i < ENV_THREADS; i++) {
            for (uint32_t k = 0; k < b[i].n; k++) {
                for (uint32_t w = 0; w < b[i].words[k]; w++)
                    wrong += b[i].piece[k][w] != i * PIECES + k;
            }
            used += t[i].allocs[0];
            n += b[i].n;
            fails += t[i].fails;
        }
    }
    s = env_stats(&env, GMK_ALLOC_BUMP);
    gmk_test_assert_eq(wrong, 0);
    gmk_test_assert_eq(s.bytes_free, s.bytes_total - used);
    gmk_test_assert_ge(s.bytes_high_water, used);
    gmk_test_assert_le(s.bytes_high_water, s.bytes_total);
    gmk_test_assert_eq(s.n_allocs, n);
    gmk_test_assert_eq(s.n_fails, fails);
    gmk_test_assert_lt(s.bytes_free, 416);
    env_end(&env);
}
