/* SPDX-License-Identifier: MIT
 * The MPMC ring: prim/mpmc.h, prim/cells.h and the seed's copying calls.
 * Floor: tests. Source: SPEC; ARCHITECTURE R2. */
#include "alloc_env.h"

#include "ggmk/prim/cells.h"
#include "ggmk/ring_mpmc.h"

static gmk_ring_mpmc_t ring;
GMK_ALIGNAS(64) static unsigned char storage[65536];

static bool push64(uint64_t v) { return gmk_ring_mpmc_push(&ring, &v) == 0; }

/* The popped value; UINT64_MAX: empty. */
static uint64_t pop64(void)
{
    uint64_t v;

    return gmk_ring_mpmc_pop(&ring, &v) == 0 ? v : UINT64_MAX;
}

/* Moves an empty ring to another first position: turns preset, as setup asks. */
static void ring_restart(gmk_mpmc_t *r, void *buf, uint32_t stride, uint32_t start)
{
    uint32_t cap = r->mask_p + 1;

    gmk_mpmc_setup(r, cap, start);
    for (uint32_t i = 0; i < cap; i++)
        *gmk_mpmc_turn(buf, cap - 1, i, stride) = start;
}

/* */
GMK_TEST(ring_mpmc_init_bad_arguments_refused)
{
    static const uint32_t caps[] = {0, 1, 3, 5, 6, 7, 9, 100, 0x80000001u, UINT32_MAX};
    size_t need = gmk_ring_mpmc_bytes(8, 8);

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(caps); i++) {
        gmk_test_assert_eq(gmk_ring_mpmc_bytes(caps[i], 8), 0);
        gmk_test_assert(gmk_ring_mpmc_init(&ring, caps[i], 8) == -1);
        gmk_test_assert(gmk_ring_mpmc_init_buf(&ring, caps[i], 8, storage, 65536) == -1);
    }
    gmk_test_assert(gmk_ring_mpmc_init(&ring, 8, 0) == -1);
    gmk_test_assert(gmk_ring_mpmc_init(&ring, 8, UINT32_MAX) == -1);
    gmk_test_assert(gmk_ring_mpmc_init(NULL, 8, 8) == -1);
    gmk_test_assert(gmk_ring_mpmc_init_buf(&ring, 8, 0, storage, need) == -1);
    gmk_test_assert(gmk_ring_mpmc_init_buf(NULL, 8, 8, storage, need) == -1);
    gmk_test_assert(gmk_ring_mpmc_init_buf(&ring, 8, 8, NULL, need) == -1);
    gmk_test_assert(gmk_ring_mpmc_init_buf(&ring, 8, 8, storage, need - 1) == -1);
    gmk_test_assert(gmk_ring_mpmc_init_buf(&ring, 8, 8, storage, 0) == -1);
    gmk_test_assert(gmk_ring_mpmc_init_buf(&ring, 8, 8, storage + 1, need) == -1);
    gmk_test_assert(gmk_ring_mpmc_init_buf(&ring, 8, 8, storage + 2, need) == -1);
    gmk_test_assert(gmk_ring_mpmc_init_buf(&ring, 8, 8, storage, need) == 0);
    gmk_ring_mpmc_destroy(&ring);
    gmk_ring_mpmc_destroy(NULL);
}

GMK_TEST(ring_mpmc_bytes_holds_turn_and_element)
{
    gmk_test_assert_eq(gmk_ring_mpmc_bytes(2, 1), 2 * 32);
    gmk_test_assert_eq(gmk_ring_mpmc_bytes(4, 16), 4 * 32);
    gmk_test_assert_eq(gmk_ring_mpmc_bytes(4, 17), 4 * 48);
    gmk_test_assert_eq(gmk_ring_mpmc_bytes(8, 48), 8 * 64);
    gmk_test_assert_eq(gmk_ring_mpmc_bytes(8, 64), 8 * 80);
}

/* */
GMK_TEST(ring_mpmc_fills_and_empties_in_order)
{
    for (uint32_t cap = 2; cap <= 64; cap *= 2) {
        GMK_REQUIRE(gmk_ring_mpmc_init(&ring, cap, 8) == 0);
        gmk_test_assert(pop64() == UINT64_MAX);
        for (uint32_t round = 0; round < 3; round++) {
            for (uint32_t i = 0; i < cap; i++) {
                gmk_test_assert(push64(round * 1000 + i));
                gmk_test_assert_eq(gmk_ring_mpmc_count(&ring), i + 1);
            }
            gmk_test_assert(!push64(9));
            gmk_test_assert(!push64(9));
            for (uint32_t i = 0; i < cap; i++)
                gmk_test_assert(pop64() == round * 1000 + i);
            gmk_test_assert(pop64() == UINT64_MAX);
            gmk_test_assert_eq(gmk_ring_mpmc_count(&ring), 0);
        }
        gmk_ring_mpmc_destroy(&ring);
        gmk_ring_mpmc_destroy(&ring); /* twice is harmless */
        gmk_test_assert(ring.buf == NULL);
    }
}

/* */
GMK_TEST(ring_mpmc_every_element_size_is_copied_exactly)
{
    unsigned char in[132];
    unsigned char out[132];

    for (uint32_t size = 1; size <= 130; size++) {
        uint32_t wrong = 0;
        size_t need = gmk_ring_mpmc_bytes(4, size);

        gmk_hal_memset(storage, 0xee, sizeof(storage));
        GMK_REQUIRE(gmk_ring_mpmc_init_buf(&ring, 4, size, storage, need) == 0);
        for (uint32_t round = 0; round < 9; round++) {
            for (uint32_t i = 0; i < sizeof(in); i++) {
                in[i] = (unsigned char)(i * 7 + round + size);
                out[i] = 0xee;
            }
            wrong += gmk_ring_mpmc_push(&ring, in + 1) != 0; /* at an odd address */
            wrong += gmk_ring_mpmc_pop(&ring, out + 1) != 0;
            for (uint32_t i = 0; i < sizeof(in); i++)
                wrong += out[i] != (i >= 1 && i <= size ? in[i] : 0xee);
        }
        wrong += storage[need] != 0xee; /* nothing beyond */
        gmk_test_assert_eq(wrong, 0);
        gmk_ring_mpmc_destroy(&ring);
    }
}

GMK_TEST(ring_mpmc_zeroed_storage_is_a_valid_ring)
{
    static gmk_mpmc_t r;
    GMK_ALIGNAS(64) static gmk_cell_t cells[8];
    gmk_cell_t c = {.sub = 0};
    uint32_t pos = 0;

    gmk_hal_memset(&r, 0, sizeof(r));
    gmk_hal_memset(cells, 0, sizeof(cells));
    r.mask_p = 7;
    r.mask_c = 7;
    gmk_test_assert(!gmk_cells_ready(&r, cells, GMK_DEV));
    gmk_test_assert(gmk_cells_pop(&r, cells, &c, 1, GMK_DEV) == 0);
    gmk_test_assert(gmk_mpmc_claim(&r, cells, GMK_CELL_STRIDE, 100, &pos, GMK_DEV) == 8);
    gmk_test_assert_eq(pos, 0);
    gmk_test_assert(gmk_mpmc_take(&r, cells, GMK_CELL_STRIDE, 1, &pos, GMK_DEV) == 0);
    gmk_mpmc_publish(&r, cells, GMK_CELL_STRIDE, 0, 8, GMK_DEV);
    gmk_test_assert(gmk_cells_ready(&r, cells, GMK_DEV));
    gmk_test_assert(gmk_mpmc_claim(&r, cells, GMK_CELL_STRIDE, 1, &pos, GMK_DEV) == 0);
    gmk_test_assert(gmk_mpmc_take(&r, cells, GMK_CELL_STRIDE, 100, &pos, GMK_DEV) == 8);
}

/* */
GMK_TEST(ring_mpmc_positions_wrap)
{
    for (uint32_t cap = 2; cap <= 64; cap *= 4) {
        for (uint32_t k = 1; k <= 3; k++) {
            GMK_REQUIRE(gmk_ring_mpmc_init(&ring, cap, 8) == 0);
            ring_restart(&ring.ring, ring.buf, ring.stride, 0u - k * cap);
            gmk_test_assert(pop64() == UINT64_MAX);
            for (uint32_t round = 0; round < 6; round++) {
                for (uint32_t i = 0; i < cap; i++)
                    gmk_test_assert(push64(round * 100 + i));
                gmk_test_assert(!push64(1));
                gmk_test_assert_eq(gmk_ring_mpmc_count(&ring), cap);
                for (uint32_t i = 0; i < cap; i++)
                    gmk_test_assert(pop64() == round * 100 + i);
                gmk_test_assert(pop64() == UINT64_MAX);
            }
            gmk_test_assert_eq(ring.ring.tail, (6 - k) * cap); /* it did wrap */
            gmk_ring_mpmc_destroy(&ring);
        }
    }
}

/* A full ring at the wrap, drained by halves: partial rounds cross the wrap too. */
GMK_TEST(ring_mpmc_half_full_ring_wraps)
{
    uint64_t in = 0;
    uint64_t out = 0;

    GMK_REQUIRE(gmk_ring_mpmc_init(&ring, 8, 8) == 0);
    ring_restart(&ring.ring, ring.buf, ring.stride, 0u - 16);
    for (uint32_t i = 0; i < 5; i++)
        gmk_test_assert(push64(in++));
    for (uint32_t round = 0; round < 40; round++) {
        for (uint32_t i = 0; i < 3; i++)
            gmk_test_assert(push64(in++));
        gmk_test_assert(!push64(0));
        for (uint32_t i = 0; i < 3; i++)
            gmk_test_assert(pop64() == out++);
    }
    gmk_ring_mpmc_destroy(&ring);
}

#define CELLS 16u

static gmk_mpmc_t cells_ring;
GMK_ALIGNAS(64) static gmk_cell_t cells[CELLS];

static void cells_begin(uint32_t start)
{
    gmk_hal_memset(cells, 0, sizeof(cells));
    gmk_mpmc_setup(&cells_ring, CELLS, 0);
    ring_restart(&cells_ring, cells, GMK_CELL_STRIDE, start);
}

static uint32_t claim(uint32_t want, uint32_t *pos)
{
    return gmk_mpmc_claim(&cells_ring, cells, GMK_CELL_STRIDE, want, pos, GMK_DEV);
}

static uint32_t take(uint32_t want, uint32_t *pos)
{
    return gmk_mpmc_take(&cells_ring, cells, GMK_CELL_STRIDE, want, pos, GMK_DEV);
}

static void publish(uint32_t pos, uint32_t n)
{
    gmk_mpmc_publish(&cells_ring, cells, GMK_CELL_STRIDE, pos, n, GMK_DEV);
}

static void release(uint32_t pos, uint32_t n)
{
    gmk_mpmc_release(&cells_ring, cells, GMK_CELL_STRIDE, pos, n, GMK_DEV);
}

/* Three producers have claimed; the middle one publishes first, the first one last. */
GMK_TEST(ring_mpmc_batches_published_out_of_order_are_seen_in_order)
{
    static const uint32_t starts[] = {0, 0u - CELLS, 0u - 2 * CELLS};

    for (uint32_t s = 0; s < GMK_ARRAY_LEN(starts); s++) {
        uint32_t a, b, c, d, x;
        uint32_t n;

        cells_begin(starts[s]);
        n = claim(3, &a) + claim(5, &b) + claim(4, &c);
        gmk_test_assert_eq(n, 12);
        gmk_test_assert_eq(b, a + 3);
        gmk_test_assert_eq(c, b + 5);
        n = claim(100, &d);
        gmk_test_assert_eq(n, 4); /* what is left */
        gmk_test_assert(claim(1, &x) == 0);
        publish(b, 5);
        gmk_test_assert(!gmk_cells_ready(&cells_ring, cells, GMK_DEV));
        gmk_test_assert(take(100, &x) == 0);
        publish(a, 2); /* in two parts */
        n = take(100, &x);
        gmk_test_assert_eq(n, 2);
        gmk_test_assert_eq(x, a);
        publish(a + 2, 1);
        n = take(100, &x);
        gmk_test_assert_eq(n, 6);
        gmk_test_assert_eq(x, a + 2);
        publish(d, 4);
        gmk_test_assert(take(1, &x) == 0);
        publish(c, 4);
        n = take(3, &x);
        gmk_test_assert_eq(n, 3);
        n = take(100, &x);
        gmk_test_assert_eq(n, 5);
        gmk_test_assert(take(1, &x) == 0);
    }
}

/* Consumers give cells back in another order than they took them. */
GMK_TEST(ring_mpmc_batches_released_out_of_order_are_claimed_in_order)
{
    uint32_t p, a, b, x;
    uint32_t n;

    cells_begin(0u - CELLS);
    n = claim(CELLS, &p);
    gmk_test_assert_eq(n, CELLS);
    publish(p, CELLS);
    n = take(4, &a);
    gmk_test_assert_eq(n, 4);
    n = take(4, &b);
    gmk_test_assert_eq(n, 4);
    release(b, 4);
    gmk_test_assert(claim(1, &x) == 0); /* the cell at the tail is still read */
    release(a, 1);
    n = claim(100, &x);
    gmk_test_assert_eq(n, 1);
    gmk_test_assert_eq(x, p + CELLS);
    release(a + 1, 3);
    n = claim(100, &x);
    gmk_test_assert_eq(n, 7);
    gmk_test_assert_eq(gmk_mpmc_count(&cells_ring, GMK_DEV), 16);
}

GMK_TEST(ring_mpmc_cells_keep_what_they_carry)
{
    gmk_cell_t in[5];
    gmk_cell_t out[5];
    uint32_t n;

    cells_begin(0);
    gmk_hal_memset(in, 0x77, sizeof(in));
    for (uint32_t i = 0; i < 5; i++) {
        in[i].sub = (uint16_t)i;
        in[i].retries = (uint16_t)(i + 1);
        in[i].chan_seq = 1000 + i;
        in[i].task.type = i + 1;
        in[i].task.meta1 = i * 3;
    }
    for (uint32_t round = 0; round < 20; round++) {
        bool sc = round % 2 == 0;

        n = gmk_cells_push(&cells_ring, cells, in, 5, GMK_DEV);
        gmk_test_assert_eq(n, 5);
        gmk_hal_memset(out, 0, sizeof(out));
        n = sc ? gmk_cells_pop_sc(&cells_ring, cells, out, 5, GMK_DEV)
               : gmk_cells_pop(&cells_ring, cells, out, 5, GMK_DEV);
        gmk_test_assert_eq(n, 5);
        for (uint32_t i = 0; i < 5; i++) {
            gmk_test_assert_eq(out[i].turn, 0); /* not copied */
            gmk_test_assert_eq(out[i].sub, i);
            gmk_test_assert_eq(out[i].retries, i + 1);
            gmk_test_assert_eq(out[i].chan_seq, 1000 + i);
            gmk_test_assert_eq(out[i].task.type, i + 1);
            gmk_test_assert_eq(out[i].task.meta1, i * 3);
            gmk_test_assert_eq(out[i].task.seq, in[i].task.seq);
        }
    }
}

GMK_TEST(ring_mpmc_single_sided_forms_equal_the_others)
{
    uint32_t pos;
    uint32_t n;

    cells_begin(0u - CELLS);
    n = gmk_mpmc_claim_sp(&cells_ring, cells, GMK_CELL_STRIDE, 10, &pos, GMK_DEV);
    gmk_test_assert_eq(n, 10);
    gmk_test_assert_eq(pos, 0u - CELLS);
    publish(pos, 10);
    n = gmk_mpmc_claim_sp(&cells_ring, cells, GMK_CELL_STRIDE, 10, &pos, GMK_DEV);
    gmk_test_assert_eq(n, 6);
    publish(pos, 6);
    gmk_test_assert(gmk_mpmc_claim_sp(&cells_ring, cells, GMK_CELL_STRIDE, 1, &pos, GMK_DEV) == 0);
    n = gmk_mpmc_take_sc(&cells_ring, cells, GMK_CELL_STRIDE, 7, &pos, GMK_DEV);
    gmk_test_assert_eq(n, 7);
    release(pos, 7);
    n = gmk_mpmc_take_sc(&cells_ring, cells, GMK_CELL_STRIDE, 70, &pos, GMK_DEV);
    gmk_test_assert_eq(n, 9);
    release(pos, 9);
    gmk_test_assert(gmk_mpmc_take_sc(&cells_ring, cells, GMK_CELL_STRIDE, 1, &pos, GMK_DEV) == 0);
    n = claim(100, &pos);
    gmk_test_assert_eq(n, CELLS);
    gmk_test_assert_eq(pos, 0);
}

/* */
GMK_TEST(ring_mpmc_random_batches_equal_model)
{
    uint64_t seed = gmk_test_seed();
    gmk_cell_t buf[24];
    uint64_t in = 0;
    uint64_t out = 0;
    uint32_t wrong = 0;

    cells_begin(0u - 64 * CELLS);
    for (uint64_t step = 0; step < gmk_test_scale(40000, 4000); step++) {
        uint32_t want = env_rand(&seed, 24);
        uint32_t n;

        if (env_rand(&seed, 2) == 0) {
            gmk_hal_memset(buf, 0, sizeof(buf));
            for (uint32_t i = 0; i < want; i++)
                buf[i].task.meta0 = in + i;
            n = gmk_cells_push(&cells_ring, cells, buf, want, GMK_DEV);
            wrong += n != gmk_min64(want, CELLS - (in - out));
            in += n;
        } else {
            n = gmk_cells_pop(&cells_ring, cells, buf, want, GMK_DEV);
            wrong += n != gmk_min64(want, in - out);
            for (uint32_t i = 0; i < n; i++)
                wrong += buf[i].task.meta0 != out + i;
            out += n;
        }
        wrong += gmk_mpmc_count(&cells_ring, GMK_DEV) != in - out;
        wrong += gmk_cells_ready(&cells_ring, cells, GMK_DEV) != (in != out);
    }
    gmk_test_assert_eq(wrong, 0);
}

/* Four producers, four consumers. ------------------------------------------------------ */

#define PRODUCERS 4u
#define CONSUMERS 4u

typedef struct crowd {
    gmk_a64_t taken;  /* elements popped by all */
    gmk_a64_t sum[PRODUCERS];
    uint64_t n;       /* elements a producer pushes */
    uint32_t batch;   /* 0: the seed's calls; else cells in batches */
} crowd_t;

/* Pushes (producer, number) pairs in order. */
static void crowd_produce(env_thread_t *t, crowd_t *w)
{
    gmk_cell_t buf[8];
    uint64_t v[6];
    uint64_t i = 0;

    while (i < w->n) {
        uint32_t k = 1;

        if (w->batch == 0) {
            for (uint32_t j = 0; j < 6; j++)
                v[j] = (uint64_t)t->index << 32 | i;
            while (gmk_ring_mpmc_push(&ring, v) != 0)
                gmk_hal_relax();
        } else {
            uint32_t want = (uint32_t)gmk_min64(1 + env_rand(&t->seed, w->batch), w->n - i);

            gmk_hal_memset(buf, 0, sizeof(buf));
            for (uint32_t j = 0; j < want; j++)
                buf[j].task.meta0 = (uint64_t)t->index << 32 | (i + j);
            while ((k = gmk_cells_push(&cells_ring, cells, buf, want, GMK_DEV)) == 0)
                gmk_hal_relax();
        }
        i += k;
    }
}

static void crowd_account(env_thread_t *t, crowd_t *w, uint64_t v, uint64_t *next)
{
    uint32_t producer = (uint32_t)(v >> 32);
    uint64_t number = (uint32_t)v;

    if (producer >= PRODUCERS || number < next[producer] || number >= w->n) {
        t->bad++; /* unknown, out of order or twice */
        return;
    }
    next[producer] = number + 1;
    gmk_add_rlx(&w->sum[producer], number + 1, GMK_DEV); /* relaxed: read after the join */
}

static void crowd_consume(env_thread_t *t, crowd_t *w)
{
    uint64_t next[PRODUCERS] = {0};
    gmk_cell_t buf[8];
    uint64_t v[6];

    while (gmk_load_rlx(&w->taken, GMK_DEV) < w->n * PRODUCERS) { /* relaxed: a count */
        uint32_t n;

        if (w->batch == 0) {
            n = gmk_ring_mpmc_pop(&ring, v) == 0;
            for (uint32_t j = 1; n != 0 && j < 6; j++)
                t->bad += v[j] != v[0]; /* torn */
            if (n != 0)
                crowd_account(t, w, v[0], next);
        } else {
            n = gmk_cells_pop(&cells_ring, cells, buf, 1 + env_rand(&t->seed, w->batch), GMK_DEV);
            for (uint32_t j = 0; j < n; j++)
                crowd_account(t, w, buf[j].task.meta0, next);
        }
        if (n != 0)
            gmk_add_rlx(&w->taken, n, GMK_DEV); /* relaxed: a count */
        else
            gmk_hal_relax();
    }
}

static void *crowd_worker(void *arg)
{
    env_thread_t *t = arg;

    env_wait(t->go, 1);
    if (t->index < PRODUCERS)
        crowd_produce(t, t->user);
    else
        crowd_consume(t, t->user);
    return NULL;
}

static void crowd_run(uint32_t batch)
{
    static env_thread_t t[PRODUCERS + CONSUMERS];
    static crowd_t w;

    w = (crowd_t){.n = gmk_test_scale(10000, 250), .batch = batch};
    for (uint32_t i = 0; i < PRODUCERS + CONSUMERS; i++)
        t[i] = (env_thread_t){.user = &w};
    env_run(t, PRODUCERS + CONSUMERS, crowd_worker, NULL);
    gmk_test_assert_eq(w.taken, w.n * PRODUCERS);
    for (uint32_t i = 0; i < PRODUCERS; i++)
        gmk_test_assert_eq(w.sum[i], w.n * (w.n + 1) / 2);
}

/* */
GMK_TEST(ring_mpmc_4p4c_exactly_once_in_producer_order)
{
    GMK_REQUIRE(gmk_ring_mpmc_init(&ring, 64, 48) == 0);
    ring_restart(&ring.ring, ring.buf, ring.stride, 0u - 128);
    crowd_run(0);
    gmk_test_assert_eq(gmk_ring_mpmc_count(&ring), 0);
    gmk_ring_mpmc_destroy(&ring);
}

/* */
GMK_TEST(ring_mpmc_4p4c_two_slots)
{
    GMK_REQUIRE(gmk_ring_mpmc_init(&ring, 2, 48) == 0);
    ring_restart(&ring.ring, ring.buf, ring.stride, 0u - 4);
    crowd_run(0);
    gmk_ring_mpmc_destroy(&ring);
}

/* */
GMK_TEST(ring_mpmc_4p4c_batches_exactly_once_in_producer_order)
{
    cells_begin(0u - 8 * CELLS);
    crowd_run(8);
    gmk_test_assert_eq(gmk_mpmc_count(&cells_ring, GMK_DEV), 0);
}
