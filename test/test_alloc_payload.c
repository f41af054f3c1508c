/* SPDX-License-Identifier: MIT
 * Payloads: header, references, pools, bad pointers, release by many agents.
 * Floor: tests. Source: SPEC CH-38 to CH-47, AL-10, V-44, V-75; ARCHITECTURE R12. */
#include "alloc_env.h"

static alloc_env_t env;

#define MIB ((size_t)1 << 20)

static gmk_payload_hdr_t *hdr_of(void *payload) { return (gmk_payload_hdr_t *)payload - 1; }

/* AL-10, CH-47. */
GMK_TEST(alloc_payload_header_says_what_was_asked)
{
    static const uint32_t lens[] = {1, 15, 16, 17, 48, 49, 100, 1000, 4080, 4081, 65520};
    gmki_cache_t *c = &env.cache[0];

    GMK_REQUIRE(env_begin(&env, 64 * MIB, 1));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(lens); i++) {
        char *p = gmki_payload_alloc(c, lens[i]);

        GMK_REQUIRE(p != NULL);
        gmk_test_assert_eq((uintptr_t)p % 16, 0);
        gmk_test_assert_eq(hdr_of(p)->refs, 1);
        gmk_test_assert_eq(hdr_of(p)->pool, 0);
        gmk_test_assert_eq(hdr_of(p)->bin, env_class_of(lens[i] + 16));
        gmk_test_assert_eq(hdr_of(p)->length, lens[i]);
        gmk_test_assert_eq(hdr_of(p)->canary, GMK_PAYLOAD_CANARY);
        gmk_hal_memset(p, 0x5a, lens[i]);
        gmk_test_assert_eq(gmki_payloads_live(&env.m), 1);
        gmki_payload_release(c, p);
        gmk_test_assert_eq(gmki_payloads_live(&env.m), 0);
    }
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).bytes_free,
                       env_stats(&env, GMK_ALLOC_BLOCK).bytes_total);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), 0);
    env_end(&env);
}

/* AL-9. */
GMK_TEST(alloc_payload_bad_lengths_fail)
{
    static const uint32_t lens[] = {0, GMK_PAYLOAD_MAX + 1, GMK_BLOCK_MAX, UINT32_MAX - 15,
                                    UINT32_MAX};

    GMK_REQUIRE(env_begin(&env, 4 * MIB, 1));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(lens); i++) {
        gmk_test_assert(gmki_payload_alloc(&env.cache[0], lens[i]) == NULL);
        env_expect(&env, 0, GMK_EV_ALLOC_FAIL, lens[i], 0);
        gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_FAILS), i + 1);
    }
    gmk_test_assert_eq(gmki_payloads_live(&env.m), 0);
    env_end(&env);
}

/* AL-10, CH-40. */
GMK_TEST(alloc_payload_last_release_frees)
{
    gmki_cache_t *a = &env.cache[0];
    gmki_cache_t *b = &env.cache[1];
    void *p;

    GMK_REQUIRE(env_begin(&env, MIB, 2));
    p = gmki_payload_alloc(a, 200);
    GMK_REQUIRE(p != NULL);
    gmki_payload_retain(a, p, 5);
    gmk_test_assert_eq(hdr_of(p)->refs, 6);
    gmki_payload_retain(b, p, 0);
    gmk_test_assert_eq(hdr_of(p)->refs, 6);
    for (uint32_t refs = 6; refs > 1; refs--) {
        gmki_payload_release(refs % 2 == 0 ? a : b, p);
        gmk_test_assert_eq(hdr_of(p)->refs, refs - 1);
        gmk_test_assert_eq(gmki_payloads_live(&env.m), 1);
        gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_frees, 0);
    }
    gmki_payload_release(b, p);
    gmk_test_assert_eq(gmki_payloads_live(&env.m), 0);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_frees, 1);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).bytes_free,
                       env_stats(&env, GMK_ALLOC_BLOCK).bytes_total);
    gmki_payload_release(a, NULL); /* harmless */
    gmki_payload_retain(a, NULL, 1);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), 0);
    env_end(&env);
}

/* AL-7. */
GMK_TEST(alloc_payload_spent_memory_is_null)
{
    gmki_cache_t *c = &env.cache[0];
    static void *held[64];
    uint32_t n = 0;

    GMK_REQUIRE(env_begin(&env, 4 * MIB, 1));
    while (n < 64 && (held[n] = gmki_payload_alloc(c, GMK_PAYLOAD_MAX)) != NULL)
        n++;
    gmk_test_assert_eq(n, env.m.classes[11].n_objs);
    gmk_test_assert_eq(gmki_payloads_live(&env.m), n);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_fails, 1);
    for (uint32_t i = 0; i < n; i++)
        gmki_payload_release(c, held[i]);
    gmk_test_assert_eq(gmki_payloads_live(&env.m), 0);
    env_end(&env);
}

/* Bad pointers. ----------------------------------------------------------------------- */

#if !defined(GMK_DEBUG)

static void check_bad_payload(gmki_cache_t *c, void *p)
{
    uint64_t bad = env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES);
    uint64_t frees = env_stats(&env, GMK_ALLOC_BLOCK).n_frees;

    gmki_payload_release(c, p);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), bad + 1);
    env_expect(&env, c->obs->agent, GMK_EV_BAD_FREE, c->obs->agent, (uint32_t)(uintptr_t)p);
    gmki_payload_retain(c, p, 1);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), bad + 2);
    env_expect(&env, c->obs->agent, GMK_EV_BAD_FREE, c->obs->agent, (uint32_t)(uintptr_t)p);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_frees, frees);
}

/* AL-11. */
GMK_TEST(alloc_payload_bad_pointers_ignored)
{
    GMK_ALIGNAS(16) static char outside[64];
    gmki_cache_t *c = &env.cache[0];
    char *p;
    char *q;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    p = gmki_payload_alloc(c, 200);
    q = gmki_alloc(c, 200);
    GMK_REQUIRE(p != NULL && q != NULL);
    gmk_hal_memset(q, 0, 200);
    gmk_hal_memset(p, 0, 200);
    *(gmk_payload_hdr_t *)(void *)outside = *hdr_of(p); /* looks right, lies elsewhere */
    check_bad_payload(c, outside + 16);
    check_bad_payload(c, (void *)1);
    check_bad_payload(c, (void *)8);
    check_bad_payload(c, (void *)UINTPTR_MAX);
    check_bad_payload(c, env.m.arena);
    check_bad_payload(c, p + 8);
    check_bad_payload(c, p + 32);
    check_bad_payload(c, q + 16);
    check_bad_payload(c, q);
    gmk_test_assert_eq(hdr_of(p)->refs, 1);
    gmki_payload_release(c, p);
    check_bad_payload(c, p); /* released once too often */
    gmk_test_assert_eq(gmki_payloads_live(&env.m), 0);
    env_end(&env);
}

/* A copied header inside a live payload passes the canary but never frees. */
GMK_TEST(alloc_payload_copied_header_inside_does_not_free)
{
    gmki_cache_t *c = &env.cache[0];
    char *p;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    p = gmki_payload_alloc(c, 200);
    GMK_REQUIRE(p != NULL);
    *(gmk_payload_hdr_t *)(void *)(p + 48) = *hdr_of(p);
    gmki_payload_release(c, p + 64);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), 1);
    gmk_test_assert_eq(gmki_payloads_live(&env.m), 1);
    gmki_payload_release(c, p);
    gmk_test_assert_eq(gmki_payloads_live(&env.m), 0);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), 1);
    env_end(&env);
}

GMK_TEST(alloc_payload_reference_underflow_is_counted)
{
    gmki_cache_t *c = &env.cache[0];
    void *p;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    p = gmki_payload_alloc(c, 10);
    GMK_REQUIRE(p != NULL);
    hdr_of(p)->refs = 0; /* as if another agent is between its release and its free */
    gmki_payload_release(c, p);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_ALLOC_BAD_FREES), 1);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_TASK_SLAB).n_frees, 0);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).n_frees, 0);
    env_end(&env);
}

#endif

/* Pools. -------------------------------------------------------------------------------- */

typedef struct test_pool {
    GMK_ALIGNAS(64) char mem[1024];
    uint32_t freed;
    void *last;
    gmki_cache_t *by;
} test_pool_t;

static void pool_free(void *ctx, gmki_cache_t *c, void *payload)
{
    test_pool_t *p = ctx;

    p->freed++;
    p->last = payload;
    p->by = c;
}

GMK_TEST(alloc_payload_of_another_pool_goes_back_to_it)
{
    static test_pool_t a;
    static test_pool_t b;
    gmki_cache_t *c = &env.cache[0];
    char *p;
    int pa;
    int pb;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    a = (test_pool_t){.freed = 0};
    b = (test_pool_t){.freed = 0};
    pa = gmki_pool_add(&env.m, a.mem, sizeof(a.mem), pool_free, &a);
    pb = gmki_pool_add(&env.m, b.mem, sizeof(b.mem), pool_free, &b);
    gmk_test_assert_eq(pa, 1);
    gmk_test_assert_eq(pb, 2);
    p = b.mem + 128 + 16;
    gmki_payload_hdr_init(hdr_of(p), (uint32_t)pb, 3, 48);
    gmki_payload_retain(c, p, 1);
    gmki_payload_release(c, p);
    gmk_test_assert_eq(b.freed, 0);
    gmki_payload_release(c, p);
    gmk_test_assert_eq(b.freed, 1);
    gmk_test_assert(b.last == p && b.by == c);
    gmk_test_assert_eq(a.freed, 0);
    gmk_test_assert_eq(gmki_payloads_live(&env.m), 0);
#if !defined(GMK_DEBUG)
    check_bad_payload(c, p);
    gmki_payload_hdr_init(hdr_of(p), (uint32_t)pa, 0, 48); /* lies in b, names a */
    check_bad_payload(c, p);
    gmki_payload_hdr_init(hdr_of(p), 0, 0, 48);
    check_bad_payload(c, p);
    gmk_test_assert_eq(a.freed + b.freed, 1);
#endif
    env_end(&env);
}

GMK_TEST(alloc_payload_pool_table_bad_arguments_and_limit)
{
    static test_pool_t a;
    int last = 0;

    GMK_REQUIRE(env_begin(&env, MIB, 1));
    gmk_test_assert(gmki_pool_add(NULL, a.mem, 64, pool_free, &a) == GMK_E_INVALID);
    gmk_test_assert(gmki_pool_add(&env.m, NULL, 64, pool_free, &a) == GMK_E_INVALID);
    gmk_test_assert(gmki_pool_add(&env.m, a.mem, 0, pool_free, &a) == GMK_E_INVALID);
    gmk_test_assert(gmki_pool_add(&env.m, a.mem, 64, NULL, &a) == GMK_E_INVALID);
    for (uint32_t i = 1; i < GMKI_POOLS; i++) {
        int n = gmki_pool_add(&env.m, a.mem, 64, pool_free, NULL);

        gmk_test_assert_eq(n, last + 1);
        last = n;
    }
    gmk_test_assert(gmki_pool_add(&env.m, a.mem, 64, pool_free, NULL) == GMK_E_LIMIT);
    env_end(&env);
}

/* Contention. ---------------------------------------------------------------------------- */

typedef struct shared_payload {
    gmk_a64_t p;       /* the payload of this round */
    gmk_a32_t arrived; /* threads that have released it */
} shared_payload_t;

/* Thread 0 makes a payload with a reference for each thread; all read and release it;
 * the last one's free may be anybody's. */
static void *payload_worker(void *arg)
{
    env_thread_t *t = arg;
    shared_payload_t *s = t->user;
    gmki_cache_t *c = &t->env->cache[t->index];

    env_wait(t->go, 1);
    for (uint32_t round = 1; round <= t->n; round++) {
        uint32_t *p = NULL;

        if (t->index == 0) {
            env_wait(&s->arrived, (round - 1) * t->n_threads);
            p = gmki_payload_alloc(c, 64 + round % 1000);
            if (p != NULL) {
                p[0] = round;
                gmki_payload_retain(c, p, t->n_threads - 1);
            }
            gmk_store_rel(&s->p, (uint64_t)(uintptr_t)p, GMK_DEV); /* sync: test.go */
        } else {
            env_wait(&s->arrived, (round - 1) * t->n_threads + t->index);
            p = (uint32_t *)(uintptr_t)gmk_load_acq(&s->p, GMK_DEV); /* sync: test.go */
        }
        gmk_add_ar(&s->arrived, 1, GMK_DEV); /* sync: test.go */
        t->bad += p == NULL || p[0] != round;
        gmki_payload_release(c, p);
    }
    return NULL;
}

/* AL-10, CH-40. */
GMK_TEST(alloc_payload_contention_freed_exactly_once)
{
    static env_thread_t t[4];
    static shared_payload_t s;
    gmk_alloc_stats_t block;

    GMK_REQUIRE(env_begin(&env, 16 * MIB, 4));
    s = (shared_payload_t){.p = 0};
    for (uint32_t i = 0; i < 4; i++)
        t[i] = (env_thread_t){.env = &env, .n = gmk_test_scale(3000, 50), .user = &s};
    env_run(t, 4, payload_worker, NULL);
    block = env_stats(&env, GMK_ALLOC_BLOCK);
    gmk_test_assert_eq(block.n_allocs, t[0].n);
    gmk_test_assert_eq(block.n_frees, t[0].n);
    gmk_test_assert_eq(block.n_bad_frees, 0);
    gmk_test_assert_eq(block.bytes_free, block.bytes_total);
    gmk_test_assert_eq(gmki_payloads_live(&env.m), 0);
    env_end(&env);
}

/* CH-40. Random holds and releases against a model of the counts. */
GMK_TEST(alloc_payload_random_references_equal_model)
{
    static void *p[64];
    static uint32_t refs[64];
    uint64_t seed = gmk_test_seed();
    uint64_t live = 0;
    uint32_t wrong = 0;

    GMK_REQUIRE(env_begin(&env, 4 * MIB, 3));
    gmk_hal_memset(refs, 0, sizeof(refs));
    for (uint64_t step = 0; step < gmk_test_scale(30000, 3000); step++) {
        uint32_t i = env_rand(&seed, 64);
        gmki_cache_t *c = &env.cache[env_rand(&seed, 3)];

        if (refs[i] == 0) {
            p[i] = gmki_payload_alloc(c, env_rand_size(&seed, 11));
            GMK_REQUIRE(p[i] != NULL);
            refs[i] = 1;
            live++;
        } else if (env_rand(&seed, 3) == 0) {
            uint32_t n = 1 + env_rand(&seed, 3);

            gmki_payload_retain(c, p[i], n);
            refs[i] += n;
        } else {
            gmki_payload_release(c, p[i]);
            live -= --refs[i] == 0;
        }
        wrong += refs[i] != 0 && hdr_of(p[i])->refs != refs[i];
        wrong += gmki_payloads_live(&env.m) != live;
    }
    gmk_test_assert_eq(wrong, 0);
    for (uint32_t i = 0; i < 64; i++) {
        while (refs[i] != 0) {
            gmki_payload_release(&env.cache[0], p[i]);
            refs[i]--;
        }
    }
    gmk_test_assert_eq(gmki_payloads_live(&env.m), 0);
    gmk_test_assert_eq(env_stats(&env, GMK_ALLOC_BLOCK).bytes_free,
                       env_stats(&env, GMK_ALLOC_BLOCK).bytes_total);
    env_end(&env);
}
