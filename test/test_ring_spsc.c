/* SPDX-License-Identifier: MIT
 * The SPSC ring: prim/spsc.h and the seed's copying calls.
 * Floor: tests. Source: SPEC. */
#include "alloc_env.h"

#include "ggmk/ring_spsc.h"

static gmk_ring_spsc_t ring;
static uint64_t storage[1024];

static bool push64(gmk_ring_spsc_t *r, uint64_t v) { return gmk_ring_spsc_push(r, &v) == 0; }

/* The popped value; UINT64_MAX: empty. */
static uint64_t pop64(gmk_ring_spsc_t *r)
{
    uint64_t v;

    return gmk_ring_spsc_pop(r, &v) == 0 ? v : UINT64_MAX;
}

/* */
GMK_TEST(ring_spsc_init_bad_arguments_refused)
{
    static const uint32_t caps[] = {0, 3, 5, 6, 7, 9, 100, 0x80000001u, UINT32_MAX};

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(caps); i++) {
        gmk_test_assert(gmk_ring_spsc_init(&ring, caps[i], 8) == -1);
        gmk_test_assert(gmk_ring_spsc_init_buf(&ring, caps[i], 8, storage) == -1);
    }
    gmk_test_assert(gmk_ring_spsc_init(&ring, 8, 0) == -1);
    gmk_test_assert(gmk_ring_spsc_init(NULL, 8, 8) == -1);
    gmk_test_assert(gmk_ring_spsc_init_buf(&ring, 8, 0, storage) == -1);
    gmk_test_assert(gmk_ring_spsc_init_buf(&ring, 8, 8, NULL) == -1);
    gmk_test_assert(gmk_ring_spsc_init_buf(NULL, 8, 8, storage) == -1);
    gmk_ring_spsc_destroy(NULL);
}

/* */
GMK_TEST(ring_spsc_fills_and_empties_in_order)
{
    for (uint32_t cap = 1; cap <= 64; cap *= 2) {
        gmk_test_assert(gmk_ring_spsc_init(&ring, cap, 8) == 0);
        gmk_test_assert(gmk_ring_spsc_empty(&ring));
        gmk_test_assert(!gmk_ring_spsc_full(&ring));
        gmk_test_assert(pop64(&ring) == UINT64_MAX);
        for (uint32_t round = 0; round < 3; round++) {
            for (uint32_t i = 0; i < cap; i++) {
                gmk_test_assert(push64(&ring, round * 1000 + i));
                gmk_test_assert_eq(gmk_ring_spsc_count(&ring), i + 1);
            }
            gmk_test_assert(!push64(&ring, 9));
            gmk_test_assert(gmk_ring_spsc_full(&ring));
            gmk_test_assert(!gmk_ring_spsc_empty(&ring));
            for (uint32_t i = 0; i < cap; i++)
                gmk_test_assert(pop64(&ring) == round * 1000 + i);
            gmk_test_assert(pop64(&ring) == UINT64_MAX);
            gmk_test_assert_eq(gmk_ring_spsc_count(&ring), 0);
        }
        gmk_ring_spsc_destroy(&ring);
        gmk_ring_spsc_destroy(&ring); /* twice is harmless */
        gmk_test_assert(ring.buf == NULL);
    }
}

/* Every size is copied whole and no byte beyond it. */
GMK_TEST(ring_spsc_every_element_size_is_copied_exactly)
{
    unsigned char in[132];
    unsigned char out[132];

    for (uint32_t size = 1; size <= 130; size++) {
        uint32_t wrong = 0;

        GMK_REQUIRE(gmk_ring_spsc_init(&ring, 4, size) == 0);
        for (uint32_t round = 0; round < 9; round++) {
            for (uint32_t i = 0; i < sizeof(in); i++) {
                in[i] = (unsigned char)(i * 7 + round + size);
                out[i] = 0xee;
            }
            wrong += gmk_ring_spsc_push(&ring, in + 1) != 0; /* at an odd address */
            wrong += gmk_ring_spsc_pop(&ring, out + 1) != 0;
            for (uint32_t i = 0; i < sizeof(in); i++)
                wrong += out[i] != (i >= 1 && i <= size ? in[i] : 0xee);
        }
        gmk_test_assert_eq(wrong, 0);
        gmk_ring_spsc_destroy(&ring);
    }
}

/* */
GMK_TEST(ring_spsc_buffer_of_the_caller_is_used_and_kept)
{
    gmk_hal_memset(storage, 0xff, sizeof(storage));
    GMK_REQUIRE(gmk_ring_spsc_init_buf(&ring, 16, 8, storage) == 0);
    for (uint32_t i = 0; i < 16; i++)
        gmk_test_assert(push64(&ring, i));
    for (uint32_t i = 0; i < 16; i++)
        gmk_test_assert_eq(storage[i], i);
    gmk_test_assert(storage[16] == UINT64_MAX); /* nothing beyond */
    gmk_ring_spsc_destroy(&ring);
    gmk_test_assert_eq(storage[3], 3);
}

GMK_TEST(ring_spsc_zeroed_storage_is_a_valid_ring)
{
    static gmk_spsc_t r;
    uint32_t pos;

    gmk_hal_memset(&r, 0, sizeof(r));
    r.mask_p = 7;
    r.mask_c = 7;
    gmk_test_assert_eq(gmk_spsc_count(&r, GMK_DEV), 0);
    gmk_test_assert(gmk_spsc_take(&r, 1, &pos, GMK_DEV) == 0);
    gmk_test_assert(gmk_spsc_claim(&r, 100, &pos, GMK_DEV) == 8);
    gmk_test_assert_eq(pos, 0);
    gmk_spsc_publish(&r, 0, 8, GMK_DEV);
    gmk_test_assert(gmk_spsc_claim(&r, 1, &pos, GMK_DEV) == 0);
    gmk_test_assert(gmk_spsc_take(&r, 100, &pos, GMK_DEV) == 8);
}

/* */
GMK_TEST(ring_spsc_indices_wrap)
{
    for (uint32_t cap = 1; cap <= 64; cap *= 4) {
        uint32_t start = UINT32_MAX - 2 * cap - 1;

        GMK_REQUIRE(gmk_ring_spsc_init(&ring, cap, 8) == 0);
        gmk_spsc_setup(&ring.ring, cap, start);
        gmk_test_assert(gmk_ring_spsc_empty(&ring));
        for (uint32_t round = 0; round < 6; round++) {
            for (uint32_t i = 0; i < cap; i++)
                gmk_test_assert(push64(&ring, round * 100 + i));
            gmk_test_assert(!push64(&ring, 1));
            gmk_test_assert(gmk_ring_spsc_full(&ring));
            gmk_test_assert_eq(gmk_ring_spsc_count(&ring), cap);
            for (uint32_t i = 0; i < cap; i++)
                gmk_test_assert(pop64(&ring) == round * 100 + i);
            gmk_test_assert(pop64(&ring) == UINT64_MAX);
        }
        gmk_test_assert_lt(ring.ring.tail, start); /* it did wrap */
        gmk_ring_spsc_destroy(&ring);
    }
}

GMK_TEST(ring_spsc_claims_partly_published_and_partly_taken)
{
    static gmk_spsc_t r;
    uint32_t pos;
    uint32_t n;

    gmk_spsc_setup(&r, 8, UINT32_MAX - 3);
    n = gmk_spsc_claim(&r, 6, &pos, GMK_DEV);
    gmk_test_assert_eq(n, 6);
    gmk_test_assert_eq(pos, UINT32_MAX - 3);
    gmk_spsc_publish(&r, pos, 4, GMK_DEV); /* of six claimed */
    gmk_test_assert_eq(gmk_spsc_count(&r, GMK_DEV), 4);
    n = gmk_spsc_claim(&r, 8, &pos, GMK_DEV);
    gmk_test_assert_eq(n, 4);
    gmk_test_assert_eq(pos, 0);
    n = gmk_spsc_take(&r, 8, &pos, GMK_DEV);
    gmk_test_assert_eq(n, 4);
    gmk_spsc_release(&r, pos, 1, GMK_DEV);
    n = gmk_spsc_take(&r, 8, &pos, GMK_DEV);
    gmk_test_assert_eq(n, 3);
    gmk_test_assert_eq(pos, UINT32_MAX - 2);
    n = gmk_spsc_claim(&r, 8, &pos, GMK_DEV);
    gmk_test_assert_eq(n, 5);
    gmk_test_assert(gmk_spsc_at(storage, 7, 9, 16) == (char *)storage + 16);
}

GMK_TEST(ring_spsc_random_work_equals_model)
{
    uint64_t seed = gmk_test_seed();
    uint64_t in = 0;
    uint64_t out = 0;
    uint32_t wrong = 0;

    GMK_REQUIRE(gmk_ring_spsc_init(&ring, 32, 8) == 0);
    gmk_spsc_setup(&ring.ring, 32, UINT32_MAX - 5000);
    for (uint64_t step = 0; step < gmk_test_scale(40000, 4000); step++) {
        uint32_t n = env_rand(&seed, 40);

        if (env_rand(&seed, 2) == 0) {
            for (uint32_t i = 0; i < n; i++) {
                bool fits = in - out < 32;

                wrong += push64(&ring, in) != fits;
                in += fits;
            }
        } else {
            for (uint32_t i = 0; i < n; i++) {
                wrong += pop64(&ring) != (in != out ? out : UINT64_MAX);
                out += in != out;
            }
        }
        wrong += gmk_ring_spsc_count(&ring) != in - out;
        wrong += gmk_ring_spsc_full(&ring) != (in - out == 32);
        wrong += gmk_ring_spsc_empty(&ring) != (in == out);
    }
    gmk_test_assert_eq(wrong, 0);
    gmk_ring_spsc_destroy(&ring);
}

/* Two threads. ------------------------------------------------------------------------ */

typedef struct wide {
    uint64_t w[8];
} wide_t;

static void *spsc_worker(void *arg)
{
    env_thread_t *t = arg;
    wide_t e;

    env_wait(t->go, 1);
    for (uint64_t i = 0; i < t->n; i++) {
        if (t->index == 0) {
            for (uint32_t k = 0; k < 8; k++)
                e.w[k] = i * 8 + k;
            while (gmk_ring_spsc_push(&ring, &e) != 0)
                gmk_hal_relax();
        } else {
            while (gmk_ring_spsc_pop(&ring, &e) != 0)
                gmk_hal_relax();
            for (uint32_t k = 0; k < ring.elem_size / 8; k++)
                t->bad += e.w[k] != i * 8 + k;
        }
    }
    return NULL;
}

static void spsc_watch(alloc_env_t *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t n = gmk_ring_spsc_count(&ring);

        gmk_test_assert_le(n, 16);
        gmk_hal_relax();
    }
}

/* */
GMK_TEST(ring_spsc_two_threads_exactly_once_in_order)
{
    static const uint32_t sizes[] = {8, 48, 64};
    static env_thread_t t[2];

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(sizes); i++) {
        GMK_REQUIRE(gmk_ring_spsc_init(&ring, 16, sizes[i]) == 0);
        gmk_spsc_setup(&ring.ring, 16, UINT32_MAX - 500);
        for (uint32_t k = 0; k < 2; k++)
            t[k] = (env_thread_t){.n = gmk_test_scale(30000, 1000)};
        env_run(t, 2, spsc_worker, spsc_watch);
        gmk_test_assert(gmk_ring_spsc_empty(&ring));
        gmk_ring_spsc_destroy(&ring);
    }
}
