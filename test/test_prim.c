/* SPDX-License-Identifier: MIT
 * Prims: timer heap, histogram, bump offset, credit ring, local queue.
 * Floor: tests. Threads only through the HAL, so that the same text runs on the
 * simulated machine. Source: SPEC SC-5, SC-7, AL-6; ARCHITECTURE R2, R3, R5. */
#include "ggmk/hal.h"
#include "ggmk/prim/bump.h"
#include "ggmk/prim/credit.h"
#include "ggmk/prim/heap.h"
#include "ggmk/prim/hist.h"
#include "ggmk/prim/lq.h"
#include "ggmk/test.h"

static uint32_t rand_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(gmk_rand_next(state) >> 32) % n;
}

/* Heap. ------------------------------------------------------------------------ */

#define HEAP_MANY 70000u /* more than 65,536: an order of 16 bits would show */

/* Pushes n events whose due time is one of `dues` values and pops them all; the keys
 * (due, priority, insertion) must rise strictly. returns: how many were out of place. */
static uint32_t heap_run(gmk_heap_node_t *nodes, uint32_t n, uint32_t dues, uint64_t rand)
{
    gmk_heap_t h;
    gmk_heap_node_t node;
    uint64_t due = 0, order = 0, sum = 0;
    uint32_t bad = 0;

    gmk_heap_setup(&h, n);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t key = gmk_heap_order(rand_below(&rand, 4), i);
        if (!gmk_heap_push(&h, nodes, rand_below(&rand, dues), key, i))
            bad++;
    }
    if (gmk_heap_push(&h, nodes, 0, 0, 0) || gmk_heap_count(&h) != n)
        bad++;
    for (uint32_t i = 0; i < n; i++) {
        if (!gmk_heap_pop_min(&h, nodes, &node))
            return bad + 1;
        if (i != 0 && !(node.due > due || (node.due == due && node.order > order)))
            bad++;
        if ((node.order & (UINT64_MAX >> 2)) != node.value)
            bad++;
        due = node.due;
        order = node.order;
        sum += node.value;
    }
    if (gmk_heap_pop_min(&h, nodes, &node) || gmk_heap_peek(&h, nodes) != NULL)
        bad++;
    return bad + (sum != (uint64_t)n * (n - 1) / 2);
}

/* SC-5, SC-7. */
GMK_TEST(prim_heap_pop_orders_equal_due_by_priority_then_insertion)
{
    gmk_heap_node_t *nodes = gmk_hal_calloc(HEAP_MANY, sizeof *nodes);

    GMK_REQUIRE(nodes != NULL);
    gmk_test_assert_eq(heap_run(nodes, HEAP_MANY, 1, gmk_test_seed()), 0);
    gmk_hal_free(nodes);
}

/* SC-5. */
GMK_TEST(prim_heap_pop_orders_random_due)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 8, 9, 100, 1000};
    gmk_heap_node_t nodes[1000];

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(sizes); i++) {
        gmk_test_assert_eq(heap_run(nodes, sizes[i], 1u << 30, gmk_test_seed() + i), 0);
        gmk_test_assert_eq(heap_run(nodes, sizes[i], 5, gmk_test_seed() + i), 0);
    }
}

/* SC-7. */
GMK_TEST(prim_heap_pop_orders_equal_due_by_insertion)
{
    gmk_heap_node_t nodes[300], node;
    gmk_heap_t h = {0, 300};
    uint32_t bad = 0;

    for (uint32_t i = 0; i < 300; i++)
        bad += !gmk_heap_push(&h, nodes, 7, gmk_heap_order(2, i), i);
    for (uint32_t i = 0; i < 300; i++)
        bad += !gmk_heap_pop_min(&h, nodes, &node) || node.value != i;
    gmk_test_assert_eq(bad, 0);
}

/* SC-5. */
GMK_TEST(prim_heap_push_full_fails_and_keeps_contents)
{
    gmk_heap_node_t nodes[3] = {{0, 0, 0, 0}}, out;
    gmk_heap_t h = {0, 2};

    gmk_test_assert(gmk_heap_push(&h, nodes, 9, 0, 1));
    gmk_test_assert(gmk_heap_push(&h, nodes, UINT64_MAX, 1, 2));
    gmk_test_assert(!gmk_heap_push(&h, nodes, 1, 2, 3));
    gmk_test_assert_eq(nodes[2].value, 0);
    gmk_test_assert_eq(gmk_heap_peek(&h, nodes)->value, 1);
    gmk_test_assert(!gmk_heap_remove(&h, nodes, 2, &out));
    gmk_test_assert_eq(gmk_heap_count(&h), 2);
    gmk_heap_setup(&h, 0);
    gmk_test_assert(!gmk_heap_push(&h, nodes, 1, 2, 3));
}

/* The index of the first node of a plain array. */
static uint32_t model_first(const gmk_heap_node_t *m, uint32_t n)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < n; i++) {
        if (m[i].due < m[best].due || (m[i].due == m[best].due && m[i].order < m[best].order))
            best = i;
    }
    return best;
}

/* Random push, pop and removal by value against an array that is searched. */
GMK_TEST(prim_heap_remove_at_index_keeps_order)
{
    enum { CAP = 40 };
    gmk_heap_node_t nodes[CAP], model[CAP], out = {0, 0, 0, 0};
    gmk_heap_t h = {0, CAP};
    uint64_t rand = gmk_test_seed();
    uint32_t n = 0, bad = 0;

    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t op = rand_below(&rand, 4), at;
        if (op < 2) {
            gmk_heap_node_t node = {rand_below(&rand, 9), gmk_heap_order(op, i), i, 0};
            bad += gmk_heap_push(&h, nodes, node.due, node.order, i) != (n < CAP);
            if (n < CAP)
                model[n++] = node;
        } else if (n != 0) {
            at = op == 2 ? model_first(model, n) : rand_below(&rand, n);
            if (op == 2)
                bad += !gmk_heap_pop_min(&h, nodes, &out);
            else
                bad += !gmk_heap_remove(&h, nodes, gmk_heap_find(&h, nodes, model[at].value), &out);
            bad += out.value != model[at].value || out.order != model[at].order;
            model[at] = model[--n];
        }
        bad += gmk_heap_count(&h) != n;
        bad += n != 0 && gmk_heap_peek(&h, nodes)->value != model[model_first(model, n)].value;
    }
    gmk_test_assert_eq(bad, 0);
    gmk_test_assert_eq(gmk_heap_find(&h, nodes, UINT32_MAX), GMK_HEAP_NONE);
}

/* Histogram. ------------------------------------------------------------------- */

GMK_TEST(prim_hist_buckets_tile_all_values)
{
    uint32_t bad = 0;

    for (uint32_t b = 0; b < GMK_HIST_BUCKETS; b++) {
        uint64_t low = b == 0 ? 0 : gmk_hist_upper(b - 1) + 1;
        uint64_t up = gmk_hist_upper(b);
        bad += gmk_hist_bucket(low) != b || gmk_hist_bucket(up) != b || up < low;
        bad += up - low > low / 16;
    }
    gmk_test_assert_eq(bad, 0);
    gmk_test_assert_eq(gmk_hist_bucket(UINT64_MAX), GMK_HIST_BUCKETS - 1);
    gmk_test_assert(gmk_hist_upper(GMK_HIST_BUCKETS - 1) == UINT64_MAX);
}

GMK_TEST(prim_hist_empty_reads_as_zero)
{
    static gmk_hist_t h;

    gmk_test_assert_eq(gmk_hist_count(&h), 0);
    gmk_test_assert_eq(gmk_hist_percentile(&h, 5000), 0);
    gmk_test_assert_eq(gmk_hist_max(&h), 0);
    gmk_test_assert(gmk_hist_min(&h) == UINT64_MAX);
    gmk_hist_record(&h, 0);
    gmk_test_assert_eq(gmk_hist_min(&h), 0);
    gmk_test_assert_eq(gmk_hist_count(&h), 1);
    gmk_hist_setup(&h);
    gmk_test_assert(gmk_hist_min(&h) == UINT64_MAX);
    gmk_test_assert_eq(gmk_hist_percentile(&h, 10000), 0);
}

/* A value of any magnitude: as many low bits as another draw says. */
static uint64_t hist_value(uint64_t *rand)
{
    uint64_t v = gmk_rand_next(rand);

    return v >> rand_below(rand, 64);
}

/* Percentiles of h against the sorted values. returns: how many were out of bounds. */
static uint32_t hist_check(const gmk_hist_t *h, const uint64_t *sorted, uint32_t n)
{
    static const uint32_t ps[] = {0, 1, 10, 500, 2500, 5000, 9000, 9900, 9990, 9999, 10000, 99999};
    uint32_t bad = 0;

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(ps); i++) {
        uint32_t p = ps[i] > 10000 ? 10000 : ps[i];
        uint64_t rank = ((uint64_t)n * p + 9999) / 10000;
        uint64_t exact = sorted[rank == 0 ? 0 : rank - 1];
        uint64_t got = gmk_hist_percentile(h, ps[i]);
        bad += got < exact || got - exact > exact / 16;
    }
    return bad;
}

GMK_TEST(prim_hist_percentile_is_within_a_sixteenth)
{
    enum { N = 3000 };
    static gmk_hist_t h, a, b;
    static gmk_heap_node_t nodes[N];
    static uint64_t sorted[N];
    gmk_heap_t heap = {0, N};
    gmk_heap_node_t node = {0, 0, 0, 0};
    uint64_t rand = gmk_test_seed(), sum = 0;

    for (uint32_t i = 0; i < N; i++) {
        uint64_t v = hist_value(&rand);
        gmk_hist_record(&h, v);
        gmk_hist_record(i % 3 == 0 ? &a : &b, v);
        gmk_test_assert(gmk_heap_push(&heap, nodes, v, i, i));
        sum += v;
    }
    for (uint32_t i = 0; i < N && gmk_heap_pop_min(&heap, nodes, &node); i++)
        sorted[i] = node.due;
    gmk_test_assert_eq(hist_check(&h, sorted, N), 0);
    gmk_hist_merge(&a, &b);
    gmk_test_assert_eq(hist_check(&a, sorted, N), 0);
    gmk_test_assert_eq(gmk_hist_count(&a), N);
    gmk_test_assert_eq(gmk_hist_sum(&h), sum);
    gmk_test_assert_eq(gmk_hist_sum(&a), sum);
    gmk_test_assert_eq(gmk_hist_min(&a), sorted[0]);
    gmk_test_assert_eq(gmk_hist_max(&a), sorted[N - 1]);
}

GMK_TEST(prim_hist_percentile_rank_rounds_up)
{
    static gmk_hist_t h;

    gmk_hist_setup(&h);
    for (uint64_t v = 0; v < 10; v++) /* values below 16 are exact */
        gmk_hist_record(&h, v);
    gmk_test_assert_eq(gmk_hist_percentile(&h, 0), 0);
    gmk_test_assert_eq(gmk_hist_percentile(&h, 1000), 0);
    gmk_test_assert_eq(gmk_hist_percentile(&h, 1001), 1);
    gmk_test_assert_eq(gmk_hist_percentile(&h, 9000), 8);
    gmk_test_assert_eq(gmk_hist_percentile(&h, 9001), 9);
}

GMK_TEST(prim_hist_percentile_survives_huge_counts)
{
    static gmk_hist_t h;

    h.bucket[3] = UINT64_MAX / 2 - 1; /* a product with 10000 would overflow */
    h.bucket[5] = UINT64_MAX / 2 - 1;
    gmk_test_assert_eq(gmk_hist_percentile(&h, 5000), 3);
    gmk_test_assert_eq(gmk_hist_percentile(&h, 5001), 5);
    gmk_test_assert_eq(gmk_hist_percentile(&h, 10000), 5);
}

typedef struct hist_reader {
    const gmk_hist_t *h;
    gmk_a32_t *stop;
    uint32_t bad;
} hist_reader_t;

static void *hist_read(void *arg)
{
    hist_reader_t *r = arg;
    uint64_t last = 0;

    while (gmk_load_rlx(r->stop, GMK_DEV) == 0) { /* relaxed: a flag to end the loop */
        uint64_t n = gmk_hist_count(r->h);
        uint64_t p = gmk_hist_percentile(r->h, 9000);
        r->bad += n < last || (p != 0 && (p < 100 || p > 1100));
        last = n;
        gmk_hal_relax();
    }
    return NULL;
}

GMK_TEST(prim_hist_reader_beside_writer_sees_sane_values)
{
    static gmk_hist_t h;
    gmk_hal_thread_t thread;
    gmk_a32_t stop = 0;
    hist_reader_t reader = {&h, &stop, 0};
    uint64_t rand = gmk_test_seed();

    gmk_hist_setup(&h);
    GMK_REQUIRE(gmk_hal_cpu_start(&thread, GMK_HAL_ANY_CPU, hist_read, &reader) == 0);
    for (uint64_t i = 0; i < gmk_test_scale(50000, 500); i++)
        gmk_hist_record(&h, 100 + rand_below(&rand, 900));
    gmk_store_rlx(&stop, 1, GMK_DEV); /* relaxed: the join orders */
    gmk_test_assert(gmk_hal_thread_join(&thread) == 0);
    gmk_test_assert_eq(reader.bad, 0);
}

/* Bump offset. ----------------------------------------------------------------- */

/* The offset of a piece, as one value: the assertions evaluate their operands twice. */
static uint64_t bump_take(gmk_bumpoff_t *b, uint64_t size, uint64_t align)
{
    return gmk_bumpoff_take(b, size, align, GMK_DEV);
}

/* AL-6. */
GMK_TEST(prim_bump_take_aligns_and_ends_exactly)
{
    gmk_bumpoff_t b;

    gmk_bumpoff_setup(&b, 100);
    gmk_test_assert(bump_take(&b, 3, 1) == 0);
    gmk_test_assert(bump_take(&b, 10, 16) == 16);
    gmk_test_assert_eq(gmk_bumpoff_used(&b, GMK_DEV), 26);
    gmk_test_assert(bump_take(&b, 37, 64) == GMK_BUMPOFF_NONE);
    gmk_test_assert_eq(gmk_bumpoff_used(&b, GMK_DEV), 26);
    gmk_test_assert(bump_take(&b, 36, 64) == 64);
    gmk_test_assert(bump_take(&b, 1, 1) == GMK_BUMPOFF_NONE);
    gmk_test_assert(bump_take(&b, 0, 4) == 100);
    gmk_test_assert(bump_take(&b, 0, 8) == GMK_BUMPOFF_NONE);
    gmk_test_assert_eq(gmk_bumpoff_used(&b, GMK_DEV), 100);
}

GMK_TEST(prim_bump_take_huge_sizes_fail_without_overflow)
{
    gmk_bumpoff_t b;

    gmk_bumpoff_setup(&b, UINT64_MAX - 1);
    gmk_test_assert(bump_take(&b, UINT64_MAX, 1) == GMK_BUMPOFF_NONE);
    gmk_test_assert(bump_take(&b, 1, 1) == 0);
    gmk_test_assert(bump_take(&b, UINT64_MAX - 1, 1) == GMK_BUMPOFF_NONE);
    gmk_test_assert(bump_take(&b, UINT64_MAX - 4, 4) == GMK_BUMPOFF_NONE);
    gmk_test_assert(bump_take(&b, UINT64_MAX - 1, 4) == GMK_BUMPOFF_NONE); /* size + pad is 1 */
    gmk_test_assert(bump_take(&b, 8, 1ull << 63) == 1ull << 63);
    gmk_test_assert(bump_take(&b, 8, 1ull << 63) == GMK_BUMPOFF_NONE);
    gmk_bumpoff_setup(&b, 0);
    gmk_test_assert(bump_take(&b, 1, 1) == GMK_BUMPOFF_NONE);
}

/* AL-6. */
GMK_TEST(prim_bump_reset_keeps_high_water)
{
    gmk_bumpoff_t b = {0, 0, 64};

    gmk_test_assert(bump_take(&b, 40, 8) == 0);
    gmk_test_assert_eq(gmk_bumpoff_high(&b, GMK_DEV), 40);
    gmk_bumpoff_reset(&b, GMK_DEV);
    gmk_test_assert_eq(gmk_bumpoff_used(&b, GMK_DEV), 0);
    gmk_test_assert(bump_take(&b, 8, 8) == 0);
    gmk_test_assert_eq(gmk_bumpoff_high(&b, GMK_DEV), 40);
    gmk_test_assert(bump_take(&b, 50, 2) == 8);
    gmk_bumpoff_reset(&b, GMK_DEV);
    gmk_test_assert_eq(gmk_bumpoff_high(&b, GMK_DEV), 58);
}

enum { BUMP_BYTES = 1024 * 1024, BUMP_AGENTS = 3 };

typedef struct bump_agent {
    gmk_bumpoff_t *b;
    gmk_a32_t *ready; /* agents that have come to the start line */
    uint8_t *map;     /* one byte a byte of the region: how often it was given */
    uint64_t rand;
    uint64_t bytes;
    uint32_t bad;
} bump_agent_t;

static void *bump_fill(void *arg)
{
    bump_agent_t *a = arg;

    gmk_add_rlx(a->ready, 1, GMK_DEV);                     /* relaxed: only that all run */
    while (gmk_load_rlx(a->ready, GMK_DEV) != BUMP_AGENTS) /* relaxed: as above */
        gmk_hal_relax();
    for (;;) {
        uint64_t size = 1 + rand_below(&a->rand, 12);
        uint64_t align = 1ull << rand_below(&a->rand, 4);
        uint64_t at = gmk_bumpoff_take(a->b, size, align, GMK_SYS);
        if (at == GMK_BUMPOFF_NONE)
            return NULL;
        a->bad += at % align != 0 || at + size > a->b->size;
        for (uint64_t i = at; i < at + size && i < a->b->size; i++)
            a->map[i]++; /* plain: a shared byte is a race that the sanitizer reports */
        a->bytes += size;
    }
}

static void bump_round(uint8_t *map, uint64_t size, uint64_t seed)
{
    gmk_bumpoff_t b;
    gmk_hal_thread_t threads[BUMP_AGENTS];
    bump_agent_t agents[BUMP_AGENTS];
    uint64_t given = 0, bytes = 0, started = 0;
    gmk_a32_t ready = 0;

    gmk_hal_memset(map, 0, size);
    gmk_bumpoff_setup(&b, size);
    for (uint32_t i = 0; i < BUMP_AGENTS; i++) {
        agents[i] = (bump_agent_t){&b, &ready, map, seed + i, 0, 0};
        started += gmk_hal_cpu_start(&threads[i], GMK_HAL_ANY_CPU, bump_fill, &agents[i]) == 0;
    }
    gmk_test_assert_eq(started, BUMP_AGENTS);
    for (uint32_t i = 0; i < started; i++) {
        gmk_test_assert(gmk_hal_thread_join(&threads[i]) == 0);
        gmk_test_assert_eq(agents[i].bad, 0);
        bytes += agents[i].bytes;
    }
    for (uint64_t i = 0; i < size; i++)
        given += map[i] <= 1 ? map[i] : size;
    gmk_test_assert_eq(given, bytes);
    gmk_test_assert_le(gmk_bumpoff_used(&b, GMK_SYS), size);
    gmk_test_assert_gt(gmk_bumpoff_used(&b, GMK_SYS), size - 20);
}

/* AL-6. */
GMK_TEST(prim_bump_take_contended_gives_disjoint_pieces)
{
    uint64_t size = gmk_test_scale(BUMP_BYTES, 4096);
    uint8_t *map = gmk_hal_calloc(size, 1);

    GMK_REQUIRE(map != NULL);
    for (uint64_t i = 0; i < gmk_test_scale(8, 1); i++)
        bump_round(map, size, gmk_test_seed() + i * BUMP_AGENTS);
    gmk_hal_free(map);
}

/* Credit ring. ----------------------------------------------------------------- */

enum { CREDIT_CAP = 16, CREDIT_AGENTS = 3 };

typedef struct credit_bed {
    gmk_cell_t cells[CREDIT_CAP];
    gmk_credit_t ring;
    gmk_a64_t shown[CREDIT_AGENTS]; /* how far each cursor has read */
    uint64_t each;                  /* messages a producer */
    bool owners_give;               /* else a producer without credit gives */
} credit_bed_t;

/* A position whose low half is about to wrap. */
#define CREDIT_WRAP(laps) (((uint64_t)1 << 32) - (uint64_t)(laps)*CREDIT_CAP)

static void credit_bed_setup(credit_bed_t *bed, uint64_t start)
{
    gmk_hal_memset(bed, 0, sizeof *bed);
    gmk_credit_setup(&bed->ring, CREDIT_CAP, start);
    for (uint32_t i = 0; i < CREDIT_AGENTS; i++)
        gmk_credit_join(&bed->ring, i, &bed->shown[i], GMK_DEV);
}

/* The slowest cursor. A sequentially consistent read here follows the owner's own
 * read-modify-write; for a producer its acquire half is what counts. */
static uint64_t credit_slowest(credit_bed_t *bed)
{
    uint64_t low = gmk_load_sc(&bed->shown[0], GMK_DEV); /* sync: test.cursor */

    for (uint32_t i = 1; i < CREDIT_AGENTS; i++) {
        low = gmk_min64(low, gmk_load_sc(&bed->shown[i], GMK_DEV)); /* sync: test.cursor */
    }
    return low;
}

static uint32_t credit_ready(credit_bed_t *bed, uint32_t cursor, uint32_t want)
{
    return gmk_credit_ready(bed->cells, CREDIT_CAP - 1, GMK_CELL_STRIDE, cursor, want, GMK_DEV);
}

static uint32_t credit_claim(credit_bed_t *bed, uint32_t want, uint32_t *pos)
{
    uint32_t readers = 0;

    return gmk_credit_claim(&bed->ring, want, 0, pos, &readers, GMK_DEV);
}

/* Claims and publishes up to want messages of one producer, from number `from` on. */
static uint32_t credit_send(credit_bed_t *bed, uint32_t who, uint64_t from, uint32_t want)
{
    uint32_t pos = 0;
    uint32_t n = credit_claim(bed, want, &pos);

    for (uint32_t i = 0; i < n; i++) {
        gmk_cell_t *c = &bed->cells[(pos + i) & (CREDIT_CAP - 1)];
        c->task.type = who;
        c->task.meta0 = from + i;
        c->task.meta1 = ~(from + i);
    }
    if (n != 0)
        gmk_credit_publish(&bed->ring, bed->cells, GMK_CELL_STRIDE, pos, n, GMK_DEV);
    return n;
}

GMK_TEST(prim_credit_slow_cursor_blocks_producers)
{
    static credit_bed_t bed;
    uint32_t fast = CREDIT_CAP, slow = 5;

    credit_bed_setup(&bed, 0);
    gmk_test_assert(credit_send(&bed, 0, 0, 100) == CREDIT_CAP);
    gmk_test_assert(credit_send(&bed, 0, 0, 1) == 0);
    gmk_test_assert_eq(credit_ready(&bed, 0, 100), CREDIT_CAP);
    /* the slowest has not moved: the limit stays */
    gmk_test_assert(!gmk_credit_give(&bed.ring, CREDIT_CAP, GMK_DEV));
    gmk_test_assert(credit_send(&bed, 0, 0, 1) == 0);
    gmk_test_assert(gmk_credit_give(&bed.ring, slow + CREDIT_CAP, GMK_DEV));
    gmk_test_assert_eq(gmk_credit_room(&bed.ring, GMK_DEV), slow);
    gmk_test_assert(credit_send(&bed, 0, CREDIT_CAP, 100) == slow);
    gmk_test_assert_eq(credit_ready(&bed, fast, 100), slow);
    gmk_test_assert_eq(credit_ready(&bed, slow, 100), CREDIT_CAP);
    gmk_test_assert_eq(gmk_credit_room(&bed.ring, GMK_DEV), 0);
}

GMK_TEST(prim_credit_give_never_goes_back)
{
    static credit_bed_t bed;
    uint64_t wrap = CREDIT_WRAP(0); /* the limit is given across the wrap of its low half */

    credit_bed_setup(&bed, CREDIT_WRAP(1));
    gmk_test_assert_eq(bed.ring.limit, wrap);
    gmk_test_assert(gmk_credit_give(&bed.ring, wrap + 3, GMK_DEV));
    gmk_test_assert(!gmk_credit_give(&bed.ring, wrap + 3, GMK_DEV));
    gmk_test_assert(!gmk_credit_give(&bed.ring, wrap, GMK_DEV));
    gmk_test_assert(!gmk_credit_give(&bed.ring, wrap - 1, GMK_DEV));
    gmk_test_assert_eq(bed.ring.limit, wrap + 3);
}

/* A published cell is ready for its own lap and for no other, unpublished for none. */
GMK_TEST(prim_credit_ready_rejects_the_lap_before)
{
    static credit_bed_t bed;
    uint64_t start = CREDIT_WRAP(2);
    uint32_t bad = 0;

    credit_bed_setup(&bed, start);
    gmk_test_assert_eq(credit_ready(&bed, (uint32_t)start, 4), 0);
    for (uint32_t i = 0; i < 4 * CREDIT_CAP; i++) {
        uint32_t p = (uint32_t)start + i;
        bad += credit_ready(&bed, p, 1) != 0;
        bad += credit_send(&bed, 1, i, 1) != 1;
        bad += credit_ready(&bed, p, CREDIT_CAP) != 1;
        bad += credit_ready(&bed, p + CREDIT_CAP, 1) != 0;
        bad += credit_ready(&bed, p - CREDIT_CAP, 1) != 0;
        bad += !gmk_credit_give(&bed.ring, start + i + 1 + CREDIT_CAP, GMK_DEV);
    }
    gmk_test_assert_eq(bad, 0);
    gmk_test_assert_eq(gmk_credit_tail(&bed.ring, GMK_DEV), start + 4 * CREDIT_CAP);
}

GMK_TEST(prim_credit_cells_stop_at_a_gap)
{
    static credit_bed_t bed;
    uint32_t a = 0, b = 0;

    credit_bed_setup(&bed, 0);
    gmk_test_assert(credit_claim(&bed, 2, &a) == 2);
    gmk_test_assert(credit_claim(&bed, 3, &b) == 3);
    gmk_credit_publish(&bed.ring, bed.cells, GMK_CELL_STRIDE, b, 3, GMK_DEV);
    gmk_test_assert_eq(credit_ready(&bed, a, 10), 0);
    gmk_test_assert_eq(credit_ready(&bed, b, 10), 3);
    gmk_credit_publish(&bed.ring, bed.cells, GMK_CELL_STRIDE, a, 2, GMK_DEV);
    gmk_test_assert_eq(credit_ready(&bed, a, 10), 5);
    gmk_test_assert_eq(credit_ready(&bed, a, 4), 4);
    gmk_test_assert(credit_claim(&bed, 0, &a) == 0);
}

/* R5: a claim is for exactly those that have joined and not left. */
GMK_TEST(prim_credit_claim_knows_its_readers)
{
    static credit_bed_t bed;
    gmk_a64_t late = 0;
    uint32_t pos, readers = 0;

    credit_bed_setup(&bed, CREDIT_WRAP(1));
    gmk_test_assert_eq(gmk_credit_claim(&bed.ring, 2, 0, &pos, &readers, GMK_DEV), 2);
    gmk_test_assert_eq(readers, 7);
    gmk_credit_join(&bed.ring, 31, &late, GMK_DEV);
    gmk_test_assert_eq(late, CREDIT_WRAP(1) + 2);
    gmk_test_assert_eq(gmk_credit_claim(&bed.ring, 1, 0, &pos, &readers, GMK_DEV), 1);
    gmk_test_assert_eq(readers, 0x80000007u);
    gmk_test_assert_eq(gmk_credit_leave(&bed.ring, 0x80000006u, GMK_DEV), CREDIT_WRAP(1) + 3);
    gmk_test_assert_eq(gmk_credit_claim(&bed.ring, 1, 0, &pos, &readers, GMK_DEV), 1);
    gmk_test_assert_eq(readers, 1);
    gmk_test_assert_eq(gmk_credit_leave(&bed.ring, 1, GMK_DEV), CREDIT_WRAP(1) + 4);
    gmk_test_assert_eq(gmk_credit_claim(&bed.ring, 1, 0, &pos, &readers, GMK_DEV), 0);
    gmk_test_assert_eq(readers, 0);
    gmk_test_assert_eq(gmk_credit_tail(&bed.ring, GMK_DEV), CREDIT_WRAP(1) + 4);
}

/* R5: the last slots are for those who may use them. */
GMK_TEST(prim_credit_claim_spares_the_reserve)
{
    static credit_bed_t bed;
    uint32_t pos, readers;

    credit_bed_setup(&bed, CREDIT_WRAP(0));
    gmk_test_assert_eq(gmk_credit_claim(&bed.ring, 100, 3, &pos, &readers, GMK_DEV),
                       CREDIT_CAP - 3);
    gmk_test_assert_eq(gmk_credit_claim(&bed.ring, 1, 3, &pos, &readers, GMK_DEV), 0);
    gmk_test_assert_eq(gmk_credit_claim(&bed.ring, 2, 0, &pos, &readers, GMK_DEV), 2);
    gmk_test_assert_eq(gmk_credit_claim(&bed.ring, 1, 3, &pos, &readers, GMK_DEV), 0);
    gmk_test_assert_eq(gmk_credit_claim(&bed.ring, 2, 0, &pos, &readers, GMK_DEV), 1);
}

/* R5: nobody moves a cursor while its owner copies. */
GMK_TEST(prim_cursor_held_is_not_skipped)
{
    gmk_a64_t cursor = 5;
    uint64_t next = 5;

    gmk_test_assert(gmk_cursor_hold(&cursor, &next, GMK_DEV));
    gmk_test_assert_eq(gmk_cursor_next(&cursor, GMK_DEV), 5);
    gmk_test_assert(!gmk_cursor_skip(&cursor, 5, 1, GMK_DEV));
    gmk_cursor_pass(&cursor, 6, GMK_DEV);
    gmk_test_assert(!gmk_cursor_skip(&cursor, 5, 1, GMK_DEV));
    gmk_test_assert(gmk_cursor_skip(&cursor, 6, 3, GMK_DEV));
    next = 6;
    gmk_test_assert(!gmk_cursor_hold(&cursor, &next, GMK_DEV));
    gmk_test_assert_eq(next, 9);
}

typedef struct credit_agent {
    credit_bed_t *bed;
    uint32_t who;
    uint64_t start;
    uint32_t bad;
} credit_agent_t;

static void *credit_produce(void *arg)
{
    credit_agent_t *a = arg;
    uint64_t rand = gmk_test_seed() + a->who, sent = 0;

    while (sent < a->bed->each) {
        uint64_t left = a->bed->each - sent;
        uint32_t want = gmk_min32(1 + rand_below(&rand, 4), (uint32_t)gmk_min64(left, 4));
        uint32_t n = credit_send(a->bed, a->who, sent, want);
        sent += n;
        if (n != 0)
            continue;
        if (!a->bed->owners_give)
            gmk_credit_give(&a->bed->ring, credit_slowest(a->bed) + CREDIT_CAP, GMK_DEV);
        gmk_hal_relax();
    }
    return NULL;
}

static void *credit_consume(void *arg)
{
    credit_agent_t *a = arg;
    credit_bed_t *bed = a->bed;
    uint64_t next[CREDIT_AGENTS] = {0}, seen = 0;
    uint64_t cursor = a->start;

    while (seen < CREDIT_AGENTS * bed->each) {
        uint32_t n = credit_ready(bed, (uint32_t)cursor, 1 + a->who * 3);
        if (n == 0) {
            gmk_hal_relax();
            continue;
        }
        for (uint32_t i = 0; i < n; i++) {
            const gmk_task_t *t = &bed->cells[(cursor + i) & (CREDIT_CAP - 1)].task;
            a->bad += t->type >= CREDIT_AGENTS || t->meta0 != ~t->meta1;
            a->bad += t->meta0 != next[t->type % CREDIT_AGENTS]++;
        }
        cursor += n;
        seen += n;
        gmk_xchg_sc(&bed->shown[a->who], cursor, GMK_DEV); /* sync: test.cursor */
        if (bed->owners_give)
            gmk_credit_give(&bed->ring, credit_slowest(bed) + CREDIT_CAP, GMK_DEV);
    }
    return NULL;
}

/* Every cursor sees every message of every producer once and in the producer's order. */
static void credit_broadcast(bool owners_give)
{
    static credit_bed_t bed;
    gmk_hal_thread_t threads[2 * CREDIT_AGENTS];
    credit_agent_t agents[2 * CREDIT_AGENTS];
    uint64_t each = gmk_test_scale(10000, 100);
    uint64_t start = CREDIT_WRAP(8);
    uint32_t started = 0;

    credit_bed_setup(&bed, start);
    bed.each = each;
    bed.owners_give = owners_give;
    for (uint32_t i = 0; i < 2 * CREDIT_AGENTS; i++) {
        agents[i] = (credit_agent_t){&bed, i / 2, start, 0};
        if (gmk_hal_cpu_start(&threads[i], GMK_HAL_ANY_CPU,
                              i % 2 == 0 ? credit_produce : credit_consume, &agents[i]) == 0)
            started++;
    }
    gmk_test_assert_eq(started, 2 * CREDIT_AGENTS);
    for (uint32_t i = 0; i < started; i++) {
        gmk_test_assert(gmk_hal_thread_join(&threads[i]) == 0);
        gmk_test_assert_eq(agents[i].bad, 0);
    }
    gmk_test_assert_eq(gmk_credit_tail(&bed.ring, GMK_DEV), start + CREDIT_AGENTS * each);
}

GMK_TEST(prim_credit_broadcast_exactly_once_when_producers_give) { credit_broadcast(false); }

GMK_TEST(prim_credit_broadcast_exactly_once_when_owners_give) { credit_broadcast(true); }

/* Local queue. ----------------------------------------------------------------- */

enum { LQ_CAP = 8, LQ_RING_CAP = 4, LQ_TURN = 12345 };

typedef struct lq_bed {
    gmk_cell_t cells[LQ_CAP + 1];
    gmk_cell_t *order[LQ_CAP];
    gmk_cell_t ring_cells[LQ_RING_CAP];
    gmk_mpmc_t ring;
    gmk_lq_t q;
    uint64_t model[LQ_CAP]; /* oldest first */
    uint64_t ring_model[LQ_RING_CAP];
    uint32_t n, ring_n;
    uint64_t next;
    const gmk_cell_t *taken; /* the last one, in place */
    uint64_t taken_id;
    uint32_t bad;
} lq_bed_t;

static void lq_bed_setup(lq_bed_t *b, uint32_t start)
{
    gmk_hal_memset(b, 0, sizeof *b);
    gmk_lq_setup(&b->q, b->cells, b->order, LQ_CAP, start);
    gmk_mpmc_setup(&b->ring, LQ_RING_CAP, 0u - 2 * LQ_RING_CAP);
    for (uint32_t i = 0; i < LQ_RING_CAP; i++)
        b->ring_cells[i].turn = 0u - 2 * LQ_RING_CAP;
    for (uint32_t i = 0; i <= LQ_CAP; i++)
        b->cells[i].turn = LQ_TURN;
}

static gmk_cell_t lq_cell(uint64_t id)
{
    gmk_cell_t c;

    gmk_hal_memset(&c, 0, sizeof c);
    c.sub = (uint16_t)id;
    c.retries = (uint16_t)(id * 3);
    c.chan_seq = id * 5;
    c.task.type = (uint32_t)id * 7;
    c.task.meta0 = id;
    c.task.meta1 = ~id;
    return c;
}

static bool lq_cell_is(const gmk_cell_t *c, uint64_t id)
{
    gmk_cell_t want = lq_cell(id);

    return c->sub == want.sub && c->retries == want.retries && c->chan_seq == want.chan_seq &&
           c->task.type == want.task.type && c->task.meta0 == id && c->task.meta1 == ~id;
}

/* Shifts model entries [0, n) so that entry `by` becomes the first. */
static void lq_drop_front(uint64_t *model, uint32_t n, uint32_t by)
{
    for (uint32_t i = by; i < n; i++)
        model[i - by] = model[i];
}

static void lq_push(lq_bed_t *b, bool newest)
{
    uint64_t id = ++b->next;
    gmk_cell_t c = lq_cell(id);
    bool ok = newest ? gmk_lq_push_newest(&b->q, &c) : gmk_lq_push_oldest(&b->q, &c);

    b->bad += ok != (b->n < LQ_CAP);
    if (!ok)
        return;
    if (!newest) {
        for (uint32_t i = b->n; i > 0; i--)
            b->model[i] = b->model[i - 1];
    }
    b->model[newest ? b->n : 0] = id;
    b->n++;
}

/* Every other cell from the oldest end is copied out, the rest are taken in place; what was
 * taken last must stand whatever was pushed since. */
static void lq_pop(lq_bed_t *b, bool newest)
{
    bool copy = !newest && b->next % 2 == 0;
    gmk_cell_t out;
    gmk_cell_t *c = NULL;

    if (!copy)
        b->bad += b->taken != NULL && !lq_cell_is(b->taken, b->taken_id);
    if (!copy)
        c = newest ? gmk_lq_take_newest(&b->q) : gmk_lq_take_oldest(&b->q);
    else if (gmk_lq_pop_oldest(&b->q, &out))
        c = &out;
    b->bad += (c != NULL) != (b->n != 0);
    if (c == NULL)
        return;
    b->bad += !lq_cell_is(c, b->model[newest ? b->n - 1 : 0]);
    if (!copy) {
        b->taken = c;
        b->taken_id = b->model[newest ? b->n - 1 : 0];
    }
    if (!newest)
        lq_drop_front(b->model, b->n, 1);
    b->n--;
}

static void lq_move(lq_bed_t *b, uint32_t want)
{
    uint32_t most = gmk_min32(gmk_min32(want, b->n), LQ_RING_CAP - b->ring_n);
    uint32_t k = gmk_lq_move_oldest(&b->q, &b->ring, b->ring_cells, want);

    b->bad += k != most;
    for (uint32_t i = 0; i < most; i++)
        b->ring_model[b->ring_n++] = b->model[i];
    lq_drop_front(b->model, b->n, most);
    b->n -= most;
}

static void lq_ring_pop(lq_bed_t *b)
{
    gmk_cell_t c;
    uint32_t k = gmk_cells_pop(&b->ring, b->ring_cells, &c, 1, GMK_DEV);

    b->bad += k != gmk_min32(b->ring_n, 1);
    if (k == 0)
        return;
    b->bad += !lq_cell_is(&c, b->ring_model[0]);
    lq_drop_front(b->ring_model, b->ring_n, 1);
    b->ring_n--;
}

GMK_TEST(prim_lq_random_operations_match_model)
{
    static const uint32_t starts[] = {0, 0u - 3, 5, 0u - 400};
    static lq_bed_t b;
    uint64_t rand = gmk_test_seed();

    for (uint32_t s = 0; s < GMK_ARRAY_LEN(starts); s++) {
        lq_bed_setup(&b, starts[s]);
        for (uint64_t i = 0; i < gmk_test_scale(20000, 2000); i++) {
            uint32_t op = rand_below(&rand, 8);
            if (op < 4)
                lq_push(&b, op != 0);
            else if (op < 6)
                lq_pop(&b, op == 4);
            else if (op == 6)
                lq_move(&b, rand_below(&rand, 6));
            else
                lq_ring_pop(&b);
            b.bad += gmk_lq_count(&b.q) != b.n || gmk_lq_room(&b.q) != LQ_CAP - b.n;
        }
        gmk_test_assert_eq(b.bad, 0);
        for (uint32_t i = 0; i <= LQ_CAP; i++)
            gmk_test_assert_eq(b.cells[i].turn, LQ_TURN);
    }
}

/* Each cell has one place: in the queue, free in it, or spare. */
GMK_TEST(prim_lq_every_cell_is_named_once_whatever_was_done)
{
    static lq_bed_t b;
    uint64_t rand = gmk_test_seed();

    lq_bed_setup(&b, 0u - 5);
    for (uint32_t i = 0; i < 500; i++) {
        uint32_t named = 1u << (b.q.spare - b.cells);

        for (uint32_t k = 0; k < LQ_CAP; k++)
            named |= 1u << (b.order[k] - b.cells);
        gmk_test_assert_eq(named, (1u << (LQ_CAP + 1)) - 1);
        if (rand_below(&rand, 2) == 0)
            lq_push(&b, rand_below(&rand, 4) != 0);
        else
            lq_pop(&b, rand_below(&rand, 2) == 0);
    }
    gmk_test_assert_eq(b.bad, 0);
}

GMK_TEST(prim_lq_taken_cell_stands_while_the_queue_fills)
{
    static lq_bed_t b;
    gmk_cell_t *c;

    for (uint32_t newest = 0; newest < 2; newest++) {
        lq_bed_setup(&b, 0);
        lq_push(&b, true);
        c = newest ? gmk_lq_take_newest(&b.q) : gmk_lq_take_oldest(&b.q);
        b.n = 0;
        for (uint32_t i = 0; i < LQ_CAP + 1; i++) /* the last one is refused */
            lq_push(&b, true);
        gmk_test_assert(c != NULL && lq_cell_is(c, 1));
        for (uint32_t i = 0; i < LQ_CAP; i++)
            lq_pop(&b, false);
        gmk_test_assert_eq(b.bad, 0);
    }
}

GMK_TEST(prim_lq_pop_empty_and_push_full_fail)
{
    static lq_bed_t b;
    gmk_cell_t c = lq_cell(1), out = lq_cell(2);

    lq_bed_setup(&b, 0);
    gmk_test_assert(gmk_lq_take_newest(&b.q) == NULL);
    gmk_test_assert(gmk_lq_take_oldest(&b.q) == NULL);
    gmk_test_assert(!gmk_lq_pop_oldest(&b.q, &out));
    gmk_test_assert(lq_cell_is(&out, 2));
    gmk_test_assert(gmk_lq_move_oldest(&b.q, &b.ring, b.ring_cells, 4) == 0);
    for (uint32_t i = 0; i < LQ_CAP; i++)
        gmk_test_assert(gmk_lq_push_newest(&b.q, &c));
    gmk_test_assert(!gmk_lq_push_newest(&b.q, &out));
    gmk_test_assert(!gmk_lq_push_oldest(&b.q, &out));
    gmk_test_assert_eq(gmk_lq_count(&b.q), LQ_CAP);
}

GMK_TEST(prim_lq_capacity_of_one_works)
{
    static gmk_cell_t cells[2];
    gmk_cell_t *order[1];
    gmk_lq_t q;
    gmk_cell_t c = lq_cell(9);
    const gmk_cell_t *out;

    gmk_lq_setup(&q, cells, order, 1, 0);
    gmk_test_assert(gmk_lq_push_oldest(&q, &c));
    gmk_test_assert_eq(q.oldest, UINT32_MAX);
    gmk_test_assert(!gmk_lq_push_newest(&q, &c));
    out = gmk_lq_take_newest(&q);
    gmk_test_assert(out != NULL && lq_cell_is(out, 9));
    gmk_test_assert_eq(gmk_lq_count(&q), 0);
}

enum { STEAL_THIEVES = 2 };

typedef struct steal_bed {
    gmk_cell_t cells[LQ_CAP + 1], ring_cells[LQ_RING_CAP];
    gmk_cell_t *order[LQ_CAP];
    gmk_mpmc_t ring;
    gmk_a64_t sum; /* of the ids that thieves took */
    gmk_a32_t stop;
} steal_bed_t;

static void *steal(void *arg)
{
    steal_bed_t *b = arg;
    gmk_cell_t c[2];

    for (;;) {
        bool last = gmk_load_acq(&b->stop, GMK_DEV) != 0; /* sync: test.stop */
        uint32_t n = gmk_cells_pop(&b->ring, b->ring_cells, c, 2, GMK_DEV);
        for (uint32_t i = 0; i < n; i++)
            gmk_add_rlx(&b->sum, c[i].task.meta0, GMK_DEV); /* relaxed: read after the join */
        if (n == 0 && last)
            return NULL;
        if (n == 0)
            gmk_hal_relax();
    }
}

/* The owner moves its oldest to the ring while thieves take from there: every cell goes
 * once to one side. */
GMK_TEST(prim_lq_move_oldest_feeds_thieves_exactly_once)
{
    static steal_bed_t b;
    gmk_hal_thread_t threads[STEAL_THIEVES];
    gmk_lq_t q;
    gmk_cell_t c;
    uint64_t n = gmk_test_scale(20000, 300), own = 0, want = 0;
    uint32_t started = 0;

    gmk_hal_memset(&b, 0, sizeof b);
    gmk_lq_setup(&q, b.cells, b.order, LQ_CAP, 0u - 100);
    gmk_mpmc_setup(&b.ring, LQ_RING_CAP, 0);
    for (uint32_t i = 0; i < STEAL_THIEVES; i++)
        started += gmk_hal_cpu_start(&threads[i], GMK_HAL_ANY_CPU, steal, &b) == 0;
    gmk_test_assert_eq(started, STEAL_THIEVES);
    for (uint64_t id = 1; id <= n; id++) {
        c = lq_cell(id);
        want += id;
        while (!gmk_lq_push_newest(&q, &c)) {
            const gmk_cell_t *mine;
            gmk_lq_move_oldest(&q, &b.ring, b.ring_cells, LQ_CAP / 2);
            if ((mine = gmk_lq_take_newest(&q)) != NULL)
                own += mine->task.meta0;
        }
    }
    while (gmk_lq_pop_oldest(&q, &c))
        own += c.task.meta0;
    gmk_store_rel(&b.stop, 1, GMK_DEV); /* sync: test.stop */
    for (uint32_t i = 0; i < started; i++)
        gmk_test_assert(gmk_hal_thread_join(&threads[i]) == 0);
    gmk_test_assert_eq(own + gmk_load_rlx(&b.sum, GMK_DEV), want); /* relaxed: after the join */
}
