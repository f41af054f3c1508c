/* SPDX-License-Identifier: MIT
 * Deterministic work: the canonical key and its sort, the trace hash, the pool and the
 * drain, without a kernel.
 * Floor: tests. Source: SPEC DET-1 to DET-9, V-68, ACC-7; ARCHITECTURE R8, R15. */
#include "det_env.h"

static rig_t rig;

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(gmk_rand_next(state) >> 32) % n;
}

/* The key. ---------------------------------------------------------------------- */

static gmk_canon_key_t random_key(uint64_t *rand)
{
    static const uint64_t seqs[] = {0, 1, UINT32_MAX, (uint64_t)UINT32_MAX + 1,
                                    GMK_CANON_SEQ_END - 1};
    static const uint64_t ticks[] = {0, 1, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX};

    return (gmk_canon_key_t){.tick = ticks[below(rand, 5)],
                             .priority = below(rand, 4),
                             .type = below(rand, 2) * 255,
                             .seq = seqs[below(rand, 5)]};
}

/* DET-1: by tick, then priority, then type, then seq; past the 32 bits of either. */
GMK_TEST(det_canon_key_orders_as_its_packed_words)
{
    uint64_t rand = gmk_test_seed();
    uint32_t bad = 0;

    for (uint32_t i = 0; i < 20000; i++) {
        gmk_canon_key_t a = random_key(&rand), b = random_key(&rand);
        gmk_canon_node_t x, y;
        int c = gmk_canon_cmp(&a, &b);
        int naive = a.tick != b.tick           ? (a.tick < b.tick ? -1 : 1)
                    : a.priority != b.priority ? (a.priority < b.priority ? -1 : 1)
                    : a.type != b.type         ? (a.type < b.type ? -1 : 1)
                    : a.seq != b.seq           ? (a.seq < b.seq ? -1 : 1)
                                               : 0;
        gmk_canon_pack(&a, &x.hi, &x.lo);
        gmk_canon_pack(&b, &y.hi, &y.lo);
        bad += c != naive || c != -gmk_canon_cmp(&b, &a);
        bad += gmk_canon_below(&x, &y) != (c < 0) || gmk_canon_below(&y, &x) != (c > 0);
    }
    gmk_test_assert_eq(bad, 0);
}

/* The sort. --------------------------------------------------------------------- */

#define SORT_MAX 70000u

typedef struct item {
    gmk_canon_node_t node;
    uint32_t index; /* where it stood */
} item_t;

static item_t items[SORT_MAX];

enum { SORTED, REVERSED, EQUAL, SAW, PIPE, FEW, RANDOM, PATTERNS };

static void fill(uint32_t n, uint32_t pattern, uint64_t *rand)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t k = pattern == SORTED     ? i
                     : pattern == REVERSED ? n - i
                     : pattern == EQUAL    ? 7
                     : pattern == SAW      ? i % 5
                     : pattern == PIPE     ? (i < n / 2 ? i : n - i)
                     : pattern == FEW      ? below(rand, 4)
                                           : gmk_rand_next(rand);
        items[i].node.hi = pattern == RANDOM ? k >> 62 : k / 3;
        items[i].node.lo = pattern == RANDOM ? k : k % 3;
        items[i].index = i;
        items[i].node.next = i + 1 < n ? &items[i + 1].node : NULL;
    }
}

/* Nodes out of order, equal ones that changed places, and nodes lost. */
static uint32_t misplaced(const gmk_canon_node_t *list, uint32_t n)
{
    uint32_t bad = 0, count = 0;

    for (; list != NULL && count <= n; list = list->next, count++) {
        const gmk_canon_node_t *b = list->next;

        if (b != NULL && gmk_canon_below(b, list))
            bad++;
        if (b != NULL && b->hi == list->hi && b->lo == list->lo &&
            ((const item_t *)b)->index < ((const item_t *)list)->index)
            bad++;
    }
    return bad + (count != n);
}

/* DET-1: a stable sort; sizes at the seams and inputs that hurt merges. */
GMK_TEST(det_canon_sort_is_stable_for_all_sizes_and_patterns)
{
    static const uint32_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 1000};
    uint64_t rand = gmk_test_seed();

    for (uint32_t s = 0; s < GMK_ARRAY_LEN(sizes); s++)
        for (uint32_t p = 0; p < PATTERNS; p++) {
            fill(sizes[s], p, &rand);
            gmk_test_assert_eq(
                misplaced(gmk_canon_sort(sizes[s] != 0 ? &items[0].node : NULL), sizes[s]), 0);
        }
    for (uint32_t p = 0; p < PATTERNS; p++) {
        fill(SORT_MAX, p, &rand);
        gmk_test_assert_eq(misplaced(gmk_canon_sort(&items[0].node), SORT_MAX), 0);
    }
}

/* The same against an insertion sort of an array. */
GMK_TEST(det_canon_sort_agrees_with_a_naive_sort)
{
    static uint32_t naive[300];
    uint64_t rand = gmk_test_seed();
    uint32_t bad = 0;

    for (uint32_t round = 0; round < 50; round++) {
        uint32_t n = 1 + below(&rand, 300);
        gmk_canon_node_t *list;

        fill(n, round % 2 != 0 ? FEW : RANDOM, &rand);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t at = i;

            for (; at > 0 && gmk_canon_below(&items[i].node, &items[naive[at - 1]].node); at--)
                naive[at] = naive[at - 1];
            naive[at] = i;
        }
        list = gmk_canon_sort(&items[0].node);
        for (uint32_t i = 0; i < n; i++, list = list->next)
            bad += list == NULL || ((item_t *)list)->index != naive[i];
    }
    gmk_test_assert_eq(bad, 0);
}

/* The hash. --------------------------------------------------------------------- */

/* DET-9: every field counts, and nothing else is there to count. */
GMK_TEST(det_hash_event_sees_each_bit_of_each_field)
{
    gmk_canon_event_t e = {.ev_type = 1, .tenant = 2, .type = 3, .tick = 4, .arg0 = 5, .arg1 = 6};
    uint64_t h = gmk_canon_hash_event(GMK_CANON_HASH_SEED, &e);
    uint8_t *bytes = (uint8_t *)&e;
    uint32_t same = 0;

    gmk_test_assert_eq(sizeof(e), 24);
    for (uint32_t i = 0; i < sizeof(e) * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        same += gmk_canon_hash_event(GMK_CANON_HASH_SEED, &e) == h;
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    gmk_test_assert_eq(same, 0);
    gmk_test_assert(gmk_canon_hash_event(GMK_CANON_HASH_SEED, &e) == h);
}

/* Runs events of two modules: an order is a string of module digits; `swap` exchanges
 * two events of module 0. */
static uint64_t hash_of(const char *order, bool swap)
{
    gmki_det_entry_t e = {.due = 0};
    uint32_t next[2] = {0, 0};
    uint64_t h;

    if (!rig_begin(&rig, RIG_ARENA))
        return 0;
    for (; *order != '\0'; order++) {
        uint32_t m = (uint32_t)(*order - '0');
        uint32_t arg = next[m]++;

        e.module = (uint16_t)m;
        if (swap && m == 0 && arg < 2)
            arg = 1 - arg;
        gmki_det_event(&rig.det, &e, GMK_EV_TASK_START, arg, 0);
    }
    h = gmki_det_hash(&rig.det);
    rig_end(&rig);
    return h;
}

/* DET-9, DET-7: modules may run beside each other; within one the order counts. */
GMK_TEST(det_hash_ignores_the_interleaving_of_modules_but_not_their_order)
{
    uint64_t h = hash_of("000111", false);

    gmk_test_assert(hash_of("010101", false) == h);
    gmk_test_assert(hash_of("111000", false) == h);
    gmk_test_assert(hash_of("000111", true) != h);
    gmk_test_assert(hash_of("00111", false) != h);
    gmk_test_assert(hash_of("000011", false) != h);
    gmk_test_assert(hash_of("111100", false) != h);
}

/* The drain. -------------------------------------------------------------------- */

/* Takes and settles the deliveries of a module: their meta0 and seq in order. */
static uint32_t run_module(uint32_t m, uint64_t *metas, uint32_t *seqs, uint32_t cap)
{
    gmki_det_entry_t *e;
    uint32_t n = 0;

    for (; (e = gmki_det_take(&rig.det, &rig.agent[0], m)) != NULL && n < cap; n++) {
        metas[n] = e->cell.task.meta0;
        seqs[n] = e->cell.task.seq;
        (void)rig_settle(&rig, 0);
    }
    return n;
}

/* DET-4, DET-8, V-68: direct work first, then channels by index, external input before
 * what deterministic tasks made, those by position and emission; seq rises in that order. */
GMK_TEST(det_drain_numbers_by_channel_origin_position_and_emission)
{
    uint64_t metas[16];
    uint32_t seqs[16];
    gmk_cell_t c;

    GMK_REQUIRE(rig_begin(&rig, RIG_ARENA));
    /* Two tasks of tick 1, positions 0 (agent 2) and 1 (agent 1). */
    c = rig_cell(5, 0, 0, 1);
    gmk_test_assert_eq(rig_send(&rig, RIG_OUTSIDE, &c, 0), GMK_OK);
    c = rig_cell(6, 0, 0, 2);
    gmk_test_assert_eq(rig_send(&rig, RIG_OUTSIDE, &c, 0), GMK_OK);
    gmk_test_assert_eq(rig_open(&rig), 1u << 0 | 1u << 1);
    gmk_test_assert_eq(gmki_det_take(&rig.det, &rig.agent[2], 0)->position, 0);
    gmk_test_assert_eq(gmki_det_take(&rig.det, &rig.agent[1], 1)->position, 1);
    /* All of one type and module, so that seq alone decides their order. */
    c = rig_cell(5, 0, 5, 8); /* channel 5, position 1, emission 0 */
    gmk_test_assert_eq(rig_send(&rig, 1, &c, 0), GMK_OK);
    c = rig_cell(5, 0, 0, 4); /* direct, position 1, emission 1 */
    gmk_test_assert_eq(rig_send(&rig, 1, &c, 0), GMK_OK);
    c = rig_cell(5, 0, 5, 6);
    gmk_test_assert_eq(rig_send(&rig, 2, &c, 0), GMK_OK);
    c = rig_cell(5, 0, 5, 7);
    gmk_test_assert_eq(rig_send(&rig, 2, &c, 0), GMK_OK);
    c = rig_cell(5, 0, 0, 3);
    gmk_test_assert_eq(rig_send(&rig, 2, &c, 0), GMK_OK);
    c = rig_cell(5, 0, 5, 5); /* external, the last to arrive */
    gmk_test_assert_eq(rig_send(&rig, 3, &c, 0), GMK_OK);
    c = rig_cell(5, 0, 0, 2);
    gmk_test_assert_eq(rig_send(&rig, RIG_OUTSIDE, &c, 0), GMK_OK);
    gmk_test_assert(!rig_settle(&rig, 1));
    gmk_test_assert(!gmki_det_due(&rig.det, RIG_NOW));
    gmk_test_assert(rig_settle(&rig, 2));
    gmk_test_assert_eq(rig_open(&rig), 1u << 0);
    gmk_test_assert_eq(run_module(0, metas, seqs, 16), 7);
    for (uint32_t i = 0; i < 7; i++) {
        gmk_test_assert_eq(metas[i], i + 2);
        gmk_test_assert_eq(seqs[i], i + 2); /* 0 and 1 were tick 1's */
    }
    gmk_test_assert_eq(gmki_det_count(&rig.det), 0);
    gmk_test_assert_eq(rig_live(&rig), 0);
    rig_end(&rig);
}

/* DET-1: run by priority, then type, then seq, whatever the order of arrival. */
GMK_TEST(det_drain_runs_in_canonical_order)
{
    uint64_t metas[8];
    uint32_t seqs[8];
    static const struct {
        uint32_t type, prio, place;
    } in[] = {{10, 2, 5}, {5, 2, 3}, {5, 0, 0}, {10, 1, 2}, {5, 2, 4}, {10, 0, 1}};

    GMK_REQUIRE(rig_begin(&rig, RIG_ARENA));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(in); i++) {
        gmk_cell_t c = rig_cell(in[i].type, in[i].prio, 0, in[i].place);

        gmk_test_assert_eq(rig_send(&rig, 1, &c, 0), GMK_OK);
    }
    gmk_test_assert_eq(rig_open(&rig), 1);
    gmk_test_assert_eq(run_module(0, metas, seqs, 8), 6);
    for (uint32_t i = 0; i < 6; i++) {
        gmk_test_assert_eq(metas[i], i);
        gmk_test_assert_eq(in[seqs[i]].place, i);
    }
    rig_end(&rig);
}

/* DET-8: the 32 bits of a task's seq wrap, the order does not. */
GMK_TEST(det_drain_keeps_order_where_seq_wraps)
{
    uint64_t metas[8];
    uint32_t seqs[8];

    GMK_REQUIRE(rig_begin(&rig, RIG_ARENA));
    gmk_test_assert(gmki_det_restart(&rig.det, (uint64_t)UINT32_MAX, (uint64_t)UINT32_MAX - 1));
    for (uint32_t i = 0; i < 6; i++) {
        gmk_cell_t c = rig_cell(5, 0, 0, i);

        gmk_test_assert_eq(rig_send(&rig, 1, &c, 0), GMK_OK);
    }
    gmk_test_assert_eq(rig_open(&rig), 1);
    gmk_test_assert_eq(rig.last_begin, (uint64_t)UINT32_MAX + 1);
    gmk_test_assert_eq(run_module(0, metas, seqs, 8), 6);
    for (uint32_t i = 0; i < 6; i++) {
        gmk_test_assert_eq(metas[i], i);
        gmk_test_assert_eq(seqs[i], UINT32_MAX - 1 + i);
    }
    rig_end(&rig);
}

/* V-68, R8: one entry becomes n deliveries in the order of the callback, each with a seq
 * and a payload reference; the books hold before and after. */
GMK_TEST(det_drain_splits_a_message_among_its_subscribers)
{
    gmk_cell_t c;
    gmki_det_entry_t *e;
    void *payload;

    GMK_REQUIRE(rig_begin(&rig, RIG_ARENA));
    rig.n_subs[3] = 3;
    rig.subs[3][0] = 4;
    rig.subs[3][1] = 2;
    rig.subs[3][2] = 0;
    payload = gmki_payload_alloc(&rig.agent[0].cache, 100);
    GMK_REQUIRE(payload != NULL);
    c = rig_cell(9, 1, 3, 77);
    c.task.flags |= GMK_TF_PAYLOAD_RC;
    c.task.payload_ptr = (uintptr_t)payload;
    c.task.payload_len = 100;
    gmk_test_assert_eq(rig_send(&rig, 0, &c, 0), GMK_OK);
    gmk_test_assert_eq(gmki_det_count(&rig.det), 1);
    gmk_test_assert(rig_balanced(&rig));
    gmk_test_assert_eq(rig_open(&rig), 1u << 4 | 1u << 2 | 1u << 0);
    gmk_test_assert_eq(gmki_det_count(&rig.det), 3);
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TASKS_ACCEPTED), 3);
    gmk_test_assert(rig_balanced(&rig));
    for (uint32_t i = 0; i < 3; i++) {
        e = gmki_det_take(&rig.det, &rig.agent[i], rig.subs[3][i]);
        GMK_REQUIRE(e != NULL);
        gmk_test_assert_eq(e->cell.task.seq, i);
        gmk_test_assert_eq(e->cell.sub, 3 * 32 + i);
        gmk_test_assert_eq(e->cell.chan_seq, 1);
        gmk_test_assert_eq(e->cell.task.meta0, 77);
        gmk_test_assert_eq(e->position, i);
        gmk_test_assert_eq(gmki_payloads_live(&rig.m), 1);
        gmki_payload_release(&rig.agent[i].cache, payload);
        gmk_test_assert_eq(rig_settle(&rig, i), i == 2);
    }
    gmk_test_assert_eq(gmki_payloads_live(&rig.m), 0);
    gmk_test_assert_eq(rig_live(&rig), 0);
    gmk_test_assert(rig_balanced(&rig));
    rig_end(&rig);
}

/* R8: no subscriber, a closed channel, one that waits for a subscriber. */
GMK_TEST(det_drain_keeps_the_books_of_what_has_no_subscriber)
{
    uint64_t log[4];

    GMK_REQUIRE(rig_begin(&rig, RIG_ARENA));
    rig.n_subs[1] = 0;
    rig.n_subs[2] = GMKI_DET_LOSE;
    rig.n_subs[3] = GMKI_DET_HOLD;
    for (uint32_t chan = 1; chan <= 3; chan++) {
        gmk_cell_t c = rig_cell(9, 1, chan, chan);

        gmk_test_assert_eq(rig_send(&rig, 0, &c, 0), GMK_OK);
    }
    gmk_test_assert_eq(rig_open(&rig), 0);
    gmk_test_assert(!gmki_det_due(&rig.det, RIG_NOW));
    gmk_test_assert_eq(rig.last_begin, 1);
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_CHAN_UNHEARD), 1);
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_CHAN_UNHEARD), 1);
    gmk_test_assert_eq(rig.lost, 1);
    gmk_test_assert_eq(gmki_det_count(&rig.det), 1);
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TASKS_ACCEPTED), 2);
    gmk_test_assert(rig_balanced(&rig));
    /* Looked at again: still nobody; then somebody. */
    gmki_det_unhold(&rig.det, 5);
    gmk_test_assert_eq(gmki_det_next(&rig.det), 5);
    gmk_test_assert_eq(rig_open(&rig), 0);
    gmk_test_assert_eq(gmki_det_count(&rig.det), 1);
    rig.n_subs[3] = 1;
    gmk_test_assert_eq(rig_open(&rig), 0);
    gmki_det_unhold(&rig.det, 0);
    gmk_test_assert_eq(rig_open(&rig), 1u << 3);
    gmk_test_assert_eq(rig.last_begin, 6);
    gmk_test_assert_eq(rig_run(&rig, log, 4), 1);
    gmk_test_assert_eq(log[0], 3);
    gmk_test_assert(rig_balanced(&rig));
    gmk_test_assert_eq(rig_live(&rig), 0);
    rig_end(&rig);
}

/* R15: a yield stays in the tick, behind the module's other work; emissions count on. */
GMK_TEST(det_yield_stays_in_its_tick_behind_the_others)
{
    gmki_agent_t *a = &rig.agent[1];
    gmk_cell_t c;
    gmki_det_entry_t *e;
    uint64_t log[4];

    GMK_REQUIRE(rig_begin(&rig, RIG_ARENA));
    for (uint32_t i = 0; i < 2; i++) {
        c = rig_cell(5, 0, 0, i);
        gmk_test_assert_eq(rig_send(&rig, 0, &c, 0), GMK_OK);
    }
    (void)rig_open(&rig);
    e = gmki_det_take(&rig.det, a, 0);
    c = rig_cell(5, 0, 0, 10);
    gmk_test_assert_eq(rig_send(&rig, 1, &c, 0), GMK_OK);
    gmki_det_yield(&rig.det, a);
    gmk_test_assert_eq(gmki_det_take(&rig.det, a, 0)->cell.task.meta0, 1);
    c = rig_cell(5, 0, 0, 12); /* of position 1: after both of position 0 */
    gmk_test_assert_eq(rig_send(&rig, 1, &c, 0), GMK_OK);
    gmk_test_assert(!rig_settle(&rig, 1));
    gmk_test_assert(gmki_det_take(&rig.det, &rig.agent[3], 0) == e);
    gmk_test_assert_eq(e->position, 0);
    c = rig_cell(5, 0, 0, 11);
    gmk_test_assert_eq(rig_send(&rig, 3, &c, 0), GMK_OK);
    gmk_test_assert_eq(e->emission, 2);
    gmk_test_assert_eq(gmki_det_unfinished(&rig.det), 1);
    gmk_test_assert(rig_settle(&rig, 3));
    gmk_test_assert_eq(gmki_det_unfinished(&rig.det), 2);
    (void)rig_open(&rig);
    gmk_test_assert_eq(rig_run(&rig, log, 4), 3);
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert_eq(log[i], 10 + i);
    gmk_test_assert_eq(gmki_det_unfinished(&rig.det), GMKI_NEVER);
    rig_end(&rig);
}

/* R15, T-11: a retry lands in tick + back-off, once, and is not accepted again. */
GMK_TEST(det_retry_lands_after_its_back_off)
{
    gmk_cell_t c;
    gmki_det_entry_t *e;

    GMK_REQUIRE(rig_begin(&rig, RIG_ARENA));
    rig.n_subs[3] = 2; /* a message with two subscribers: one retries, for itself alone */
    rig.subs[3][0] = 1;
    rig.subs[3][1] = 2;
    c = rig_cell(7, 0, 3, 42);
    gmk_test_assert_eq(rig_send(&rig, 0, &c, 0), GMK_OK);
    (void)rig_open(&rig);
    (void)gmki_det_take(&rig.det, &rig.agent[0], 1);
    gmk_test_assert(!rig_settle(&rig, 0));
    e = gmki_det_take(&rig.det, &rig.agent[0], 2);
    e->cell.retries++;
    rig.n_subs[3] = 0; /* whoever unsubscribes now does not change it */
    gmk_test_assert(gmki_det_retry(&rig.det, &rig.agent[0], rig.det.tick + 4));
    gmk_test_assert(rig_balanced(&rig));
    gmk_test_assert_eq(gmki_det_next(&rig.det), 5);
    gmk_test_assert(!gmki_det_due(&rig.det, 4));
    gmk_test_assert(gmki_det_due(&rig.det, 5));
    gmk_test_assert_eq(rig_open(&rig), 1u << 2);
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TASKS_ACCEPTED), 2);
    e = gmki_det_take(&rig.det, &rig.agent[4], 2);
    GMK_REQUIRE(e != NULL);
    gmk_test_assert_eq(e->cell.retries, 1);
    gmk_test_assert_eq(e->cell.sub, 3 * 32 + 1);
    gmk_test_assert_eq(e->cell.task.seq, 2);
    gmk_test_assert(rig_settle(&rig, 4));
    gmk_test_assert(rig_balanced(&rig));
    gmk_test_assert_eq(rig_live(&rig), 0);
    rig_end(&rig);
}

/* DET-5: input from outside waits for a boundary, at the earliest the next one. */
GMK_TEST(det_external_input_waits_for_the_next_tick)
{
    gmk_cell_t c = rig_cell(5, 0, 0, 1);
    uint64_t log[4];

    GMK_REQUIRE(rig_begin(&rig, RIG_ARENA));
    gmk_test_assert_eq(rig_send(&rig, 0, &c, 3), GMK_OK);
    gmk_test_assert(!gmki_det_due(&rig.det, 2));
    gmk_test_assert_eq(rig_open(&rig), 1);
    gmk_test_assert_eq(rig.last_begin, 3);
    c.task.meta0 = 2;
    gmk_test_assert_eq(rig_send(&rig, 1, &c, 3), GMK_OK); /* too late for 3 */
    c.task.meta0 = 3;
    gmk_test_assert_eq(rig_send(&rig, 1, &c, 100), GMK_OK);
    gmk_test_assert(!gmki_det_due(&rig.det, RIG_NOW));
    gmk_test_assert_eq(rig_run(&rig, log, 4), 1);
    gmk_test_assert_eq(gmki_det_next(&rig.det), 4);
    gmk_test_assert_eq(rig_open(&rig), 1);
    gmk_test_assert_eq(rig_run(&rig, log, 4), 1);
    gmk_test_assert_eq(log[0], 2);
    gmk_test_assert_eq(gmki_det_next(&rig.det), 100);
    gmk_test_assert_eq(rig.n_inputs, 3);
    rig_end(&rig);
}

/* R15: ticks are opened in order, each once it is due, though given in any order. */
GMK_TEST(det_later_ticks_come_in_order)
{
    enum { MANY = 3000 };
    uint64_t rand = gmk_test_seed(), tick = 0;
    uint32_t n = 0, bad = 0;
    gmki_det_entry_t *e;

    GMK_REQUIRE(rig_begin(&rig, RIG_ARENA));
    for (uint32_t i = 0; i < MANY; i++) {
        uint64_t due = 1 + below(&rand, 500);
        gmk_cell_t c = rig_cell(5, 0, 0, due);

        bad += rig_send(&rig, i % 4, &c, due) != GMK_OK;
    }
    for (uint32_t n_ended = 0; rig_open(&rig) != 0; n_ended = 0) {
        bad += rig.det.tick <= tick;
        tick = rig.det.tick;
        while ((e = gmki_det_take(&rig.det, &rig.agent[0], 0)) != NULL) {
            /* One in four asks for a later tick again. */
            bad += e->cell.task.meta0 != tick;
            if (below(&rand, 4) == 0) {
                e->cell.task.meta0 = tick + 1 + below(&rand, 90);
                n_ended += gmki_det_retry(&rig.det, &rig.agent[0], e->cell.task.meta0);
            } else {
                n_ended += rig_settle(&rig, 0);
                n++;
            }
        }
        bad += n_ended != 1;
    }
    gmk_test_assert_eq(n, MANY);
    gmk_test_assert_eq(bad, 0);
    gmk_test_assert_eq(rig_live(&rig), 0);
    rig_end(&rig);
}

/* Want of memory. --------------------------------------------------------------- */

/* Takes all blocks that an entry could be; a list of them. */
static void *starve(void)
{
    void *list = NULL, *p;

    for (uint32_t size = GMK_BLOCK_MAX; size >= 128; size /= 2)
        while ((p = gmki_alloc(&rig.agent[0].cache, size)) != NULL) {
            *(void **)p = list;
            list = p;
        }
    return list;
}

static void feed(void *list)
{
    while (list != NULL) {
        void *p = list;

        list = *(void **)p;
        gmki_free(&rig.agent[0].cache, p);
    }
}

/* R8, R19: an emission without memory is refused whole, from inside and outside. */
GMK_TEST(det_emit_without_memory_changes_nothing)
{
    gmk_cell_t c = rig_cell(5, 0, 0, 1);
    gmki_det_entry_t *e;
    void *list;

    GMK_REQUIRE(rig_begin(&rig, 1u << 20));
    gmk_test_assert_eq(rig_send(&rig, 0, &c, 0), GMK_OK);
    (void)rig_open(&rig);
    e = gmki_det_take(&rig.det, &rig.agent[0], 0);
    GMK_REQUIRE(e != NULL);
    list = starve();
    gmk_test_assert_eq(rig_send(&rig, 0, &c, 0), GMK_ALLOC_FAIL);
    gmk_test_assert_eq(e->emission, 0);
    gmk_test_assert_eq(rig_send(&rig, 1, &c, 0), GMK_ALLOC_FAIL);
    gmk_test_assert_eq(rig_send(&rig, RIG_OUTSIDE, &c, 0), GMK_ALLOC_FAIL);
    gmk_test_assert_eq(gmki_det_count(&rig.det), 1);
    gmk_test_assert_eq(rig.n_inputs, 1);
    gmk_test_assert(rig_balanced(&rig));
    /* Memory for three subscribers and there are two blocks: all or nothing. */
    rig.n_subs[3] = 3;
    c = rig_cell(5, 0, 3, 1);
    for (uint32_t i = 0; i < 2; i++) {
        void *p = list;

        GMK_REQUIRE(p != NULL);
        list = *(void **)p;
        gmki_free(&rig.agent[0].cache, p);
    }
    gmk_test_assert_eq(rig_send(&rig, 0, &c, 0), GMK_ALLOC_FAIL);
    gmk_test_assert_eq(e->emission, 0);
    c = rig_cell(5, 0, 0, 9);
    gmk_test_assert_eq(rig_send(&rig, 0, &c, 0), GMK_OK); /* the blocks came back */
    gmk_test_assert_eq(e->emission, 1);
    feed(list);
    gmk_test_assert(rig_settle(&rig, 0));
    gmk_test_assert_eq(gmki_det_count(&rig.det), 1);
    gmk_test_assert(rig_balanced(&rig));
    rig_end(&rig);
}

/* What a tick runs when 40 messages found more subscribers than they were made for;
 * starved: the drain fails at first. */
static uint64_t grown_tick(bool starved)
{
    uint64_t log[256], h = 0, modules;
    uint32_t n;
    void *list;

    if (!rig_begin(&rig, 1u << 20))
        return 0;
    for (uint32_t i = 0; i < 40; i++) {
        gmk_cell_t c = rig_cell(5 + i % 7, i % 4, i % 3 != 0 ? 3 : 0, i);

        gmk_test_assert_eq(rig_send(&rig, i % 5, &c, 1 + i % 2), GMK_OK);
    }
    rig.n_subs[3] = 4;
    for (uint32_t i = 0; i < 4; i++)
        rig.subs[3][i] = (uint16_t)i;
    if (starved) {
        uint64_t accepted = rig_metric(&rig, GMK_METRIC_TASKS_ACCEPTED);

        list = starve();
        for (uint32_t i = 0; i < 3; i++) {
            gmk_test_assert_eq(gmki_det_drain(&rig.det, &rig.agent[1], RIG_NOW, &modules),
                               GMK_ALLOC_FAIL);
            gmk_test_assert_eq(modules, 0);
            gmk_test_assert_eq(gmki_det_count(&rig.det), 40);
            gmk_test_assert_eq(gmki_det_next(&rig.det), 1);
            gmk_test_assert_eq(rig.last_begin, 0);
        }
        gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TASKS_ACCEPTED), accepted);
        gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TICKS_LATE), 1); /* one tick */
        gmk_test_assert(rig_balanced(&rig));
        feed(list);
    }
    while (rig_open(&rig) != 0) {
        h = gmk_canon_chain(h, rig.det.tick);
        n = rig_run(&rig, log, 256);
        for (uint32_t i = 0; i < n; i++)
            h = gmk_canon_chain(h, log[i]);
    }
    gmk_test_assert(rig_balanced(&rig));
    gmk_test_assert_eq(rig_live(&rig), 0);
    rig_end(&rig);
    return h;
}

/* DET-7, R8: a drain without memory comes late, not different. */
GMK_TEST(det_drain_without_memory_is_taken_back_whole)
{
    uint64_t h = grown_tick(false);

    gmk_test_assert(h != 0);
    gmk_test_assert(grown_tick(true) == h);
}

/* Halt. ------------------------------------------------------------------------- */

/* R8: whatever stands anywhere is found, once, with what it was made of. */
GMK_TEST(det_any_takes_everything_from_everywhere)
{
    gmk_cell_t c, out;
    uint64_t seen = 0;
    uint32_t n = 0;

    GMK_REQUIRE(rig_begin(&rig, RIG_ARENA));
    rig.n_subs[3] = GMKI_DET_HOLD;
    rig.n_subs[4] = 3;
    c = rig_cell(5, 0, 3, 1); /* held */
    gmk_test_assert_eq(rig_send(&rig, 0, &c, 0), GMK_OK);
    c = rig_cell(5, 0, 0, 2); /* will emit */
    gmk_test_assert_eq(rig_send(&rig, 0, &c, 0), GMK_OK);
    c = rig_cell(6, 0, 0, 4); /* stays in its module's list */
    gmk_test_assert_eq(rig_send(&rig, 0, &c, 0), GMK_OK);
    c = rig_cell(6, 0, 0, 8); /* later */
    gmk_test_assert_eq(rig_send(&rig, 0, &c, 9), GMK_OK);
    (void)rig_open(&rig);
    (void)gmki_det_take(&rig.det, &rig.agent[2], 0);
    c = rig_cell(6, 0, 4, 16); /* an agent's own list, with spares */
    gmk_test_assert_eq(rig_send(&rig, 2, &c, 0), GMK_OK);
    gmki_det_yield(&rig.det, &rig.agent[2]);
    c = rig_cell(6, 0, 0, 32); /* external */
    gmk_test_assert_eq(rig_send(&rig, RIG_OUTSIDE, &c, 0), GMK_OK);
    gmk_test_assert_eq(gmki_det_count(&rig.det), 6);
    gmk_test_assert(rig_balanced(&rig));
    for (; gmki_det_any(&rig.det, &rig.agent[0], &out); n++) {
        seen += out.task.meta0;
        rig_lose(&rig.agent[0], &out, GMK_ERR_CLOSED);
        gmk_test_assert(rig_balanced(&rig));
    }
    gmk_test_assert_eq(n, 6);
    gmk_test_assert_eq(seen, 63);
    gmk_test_assert_eq(gmki_det_count(&rig.det), 0);
    gmk_test_assert_eq(gmki_det_unfinished(&rig.det), GMKI_NEVER);
    gmk_test_assert(!gmki_det_due(&rig.det, RIG_NOW));
    gmk_test_assert_eq(rig_live(&rig), 0);
    rig_end(&rig);
}

/* A small world, run in any interleaving. ---------------------------------------- */

#define WORLD_TICKS 60u
#define WORLD_INPUTS 150u

typedef struct hand { /* what an agent is in the middle of */
    gmki_det_entry_t *e;
    uint64_t h;
    uint32_t left; /* emissions to come */
} hand_t;

static struct {
    uint64_t state[RIG_MODULES];
    bool taken[RIG_MODULES]; /* its token */
    uint32_t yields[RIG_MODULES];
    hand_t hand[RIG_AGENTS];
    uint64_t n_run;
    uint32_t ends; /* ticks that the end of a delivery ended */
    uint32_t bad;
} world;

/* Begins a delivery: the module's state takes in what it sees. */
static void world_start(uint32_t a, uint32_t m)
{
    hand_t *hand = &world.hand[a];
    gmki_det_entry_t *e = gmki_det_take(&rig.det, &rig.agent[a], m);

    if (e == NULL)
        return;
    world.taken[m] = true;
    world.n_run++;
    gmki_det_event(&rig.det, e, GMK_EV_TASK_START, 0, e->cell.task.seq);
    world.state[m] = gmk_canon_chain(world.state[m], e->cell.task.meta0);
    world.state[m] = gmk_canon_chain(world.state[m], e->cell.task.seq ^ rig.det.tick << 32);
    hand->e = e;
    hand->h = world.state[m];
    hand->left = e->cell.task.meta1 != 0 ? (uint32_t)(hand->h % 3) : 0;
}

/* One emission, or the end. */
static void world_step(uint32_t a)
{
    hand_t *hand = &world.hand[a];
    gmki_det_entry_t *e = hand->e;
    uint32_t m = e->module;
    uint64_t h = hand->h = gmk_canon_mix(hand->h + 1);

    if (hand->left != 0) {
        gmk_cell_t c = rig_cell(1 + (h & 31), h >> 5 & 3, h & 64 ? 1 + (h >> 7) % 5 : 0, h);

        c.task.meta1 = e->cell.task.meta1 - 1;
        world.bad += rig_send(&rig, a, &c, (h >> 12 & 7) == 0 ? rig.det.tick + 3 : 0) != GMK_OK;
        hand->left--;
        return;
    }
    hand->e = NULL;
    world.taken[m] = false;
    if ((h >> 20 & 7) == 0 && e->cell.task.yield_count < 3) {
        e->cell.task.yield_count++;
        gmki_det_event(&rig.det, e, GMK_EV_TASK_YIELD, 0, e->cell.task.seq);
        gmki_det_yield(&rig.det, &rig.agent[a]);
    } else if ((h >> 23 & 7) == 0 && e->cell.retries < 2) {
        e->cell.retries++;
        gmki_det_event(&rig.det, e, GMK_EV_TASK_RETRY, 0, e->cell.task.seq);
        world.ends += gmki_det_retry(&rig.det, &rig.agent[a],
                                     rig.det.tick + (1u << e->cell.retries));
    } else {
        gmki_det_event(&rig.det, e, GMK_EV_TASK_END, 0, e->cell.task.seq);
        world.ends += rig_settle(&rig, a);
    }
}

/* Runs the open tick with n agents that take turns by chance. */
static void world_tick(uint32_t n, uint64_t *rand)
{
    while (gmki_det_unfinished(&rig.det) == rig.det.tick) {
        uint32_t a = below(rand, n);
        uint32_t m = below(rand, RIG_MODULES);

        if (world.hand[a].e != NULL)
            world_step(a);
        else if (!world.taken[m])
            world_start(a, m);
    }
}

/* The hash and the states after all ticks. swap: two inputs arrive in the other order. */
static uint64_t world_run(uint32_t n_agents, uint64_t schedule, bool swap)
{
    uint64_t rand = schedule, inputs = 12345, h;
    uint32_t sent = 0;

    gmk_hal_memset(&world, 0, sizeof(world));
    if (!rig_begin(&rig, 32u << 20))
        return 0;
    for (uint32_t c = 1; c <= 5; c++) { /* fan-out of 0 to 4 */
        rig.n_subs[c] = (int)c - 1;
        for (uint32_t i = 0; i + 1 < c; i++)
            rig.subs[c][i] = (uint16_t)((c + i) % RIG_MODULES);
    }
    while (sent < WORLD_INPUTS || gmki_det_due(&rig.det, RIG_NOW)) {
        /* Input arrives in one order, at moments of chance, in time for its tick. */
        uint64_t next = gmki_det_next(&rig.det);
        uint64_t early = below(&rand, 3);

        while (sent < WORLD_INPUTS && 1 + sent * WORLD_TICKS / WORLD_INPUTS <=
                                          (next == GMKI_NEVER ? rig.det.tick + 1 : next) + early) {
            uint32_t as = swap && sent / 2 == 30 ? sent ^ 1 : sent;
            uint64_t x = gmk_canon_mix(inputs + as);
            gmk_cell_t c = rig_cell(1 + (x & 31), x >> 5 & 3, x & 64 ? 1 + (x >> 7) % 5 : 0, x);

            c.task.meta1 = 3;
            world.bad += rig_send(&rig, below(&rand, RIG_AGENTS), &c,
                                  1 + sent * WORLD_TICKS / WORLD_INPUTS) != GMK_OK;
            sent++;
        }
        world.ends = 0;
        if (rig_open(&rig) != 0) {
            world_tick(n_agents, &rand);
            world.bad += world.ends != 1;
        }
        world.bad += !rig_balanced(&rig);
    }
    h = gmki_det_hash(&rig.det);
    for (uint32_t m = 0; m < RIG_MODULES; m++)
        h = gmk_canon_chain(h, world.state[m]);
    gmk_test_assert_eq(world.bad, 0);
    gmk_test_assert_eq(gmki_det_count(&rig.det), 0);
    gmk_test_assert_eq(rig_live(&rig), 0);
    rig_end(&rig);
    return h;
}

/* DET-7, ACC-7: any number of agents in any interleaving: the same states and hash. */
GMK_TEST(det_world_is_the_same_for_any_workers_and_schedule)
{
    uint64_t h = world_run(1, 1, false);
    uint32_t runs = (uint32_t)gmk_test_scale(40, 10);
    uint32_t other = 0;

    gmk_test_assert_ge(world.n_run, 400);
    for (uint32_t i = 0; i < runs; i++)
        other += world_run(1 + i % RIG_OUTSIDE, gmk_test_seed() * 1000 + i + 1, false) != h;
    gmk_test_assert_eq(other, 0);
    gmk_test_assert(world_run(1, 1, true) != h);
}

/* Threads. ---------------------------------------------------------------------- */

#define N_SENDERS 2u
#define N_RUNNERS 3u

typedef struct crew {
    gmk_hal_thread_t thread;
    uint32_t index;
    uint64_t n;
    uint64_t bad;
} crew_t;

static struct {
    gmk_a32_t active[RIG_MODULES]; /* a module's activation, taken once */
    gmk_a32_t token[RIG_MODULES];
    gmk_a32_t senders;             /* still at it */
    uint64_t last[RIG_MODULES][N_SENDERS]; /* plain: the token guards it */
    gmk_a64_t run;
} crowd;

static void *sender(void *arg)
{
    crew_t *c = arg;

    for (uint64_t i = 1; i <= c->n; i++) {
        /* One sender through the shared agent, the other through its own. */
        gmk_cell_t cell = rig_cell(c->index + 1, 0, i % 3 == 0 ? 3 : 0, i);

        cell.task.meta1 = c->index;
        while (rig_send(&rig, c->index == 0 ? RIG_OUTSIDE : 4, &cell, 0) != GMK_OK)
            gmk_hal_relax();
    }
    gmk_sub_ar(&crowd.senders, 1, GMK_DEV); /* sync: test.senders */
    return NULL;
}

/* Runs a module's work: a sender's direct messages must come in order. */
static void run_active(crew_t *c, uint32_t m)
{
    gmki_det_entry_t *e;

    while ((e = gmki_det_take(&rig.det, &rig.agent[c->index], m)) != NULL) {
        const gmk_task_t *t = &e->cell.task;
        gmk_cell_t child = rig_cell(t->type, 0, 0, 0);

        if (t->channel == 0 && t->meta0 != 0 && t->yield_count == 0) {
            c->bad += t->meta0 <= crowd.last[m][t->meta1];
            crowd.last[m][t->meta1] = t->meta0;
        }
        if (t->meta0 % 4 == 1 && t->yield_count == 0) {
            e->cell.task.yield_count++;
            gmki_det_yield(&rig.det, &rig.agent[c->index]);
            continue;
        }
        if (t->meta0 % 4 == 2)
            c->bad += rig_send(&rig, c->index, &child, 0) != GMK_OK;
        gmk_add_rlx(&crowd.run, 1, GMK_DEV); /* relaxed: read after the join */
        (void)rig_settle(&rig, c->index);
    }
}

/* With the module's token: who still looks for more in the next tick, which has just been
 * handed out, must not have another beside him. */
static void visit(crew_t *c, uint32_t m)
{
    if (gmk_xchg_sc(&crowd.token[m], 1, GMK_DEV) != 0) /* sync: test.active */
        return;
    if (gmk_xchg_sc(&crowd.active[m], 0, GMK_DEV) != 0) /* sync: test.active */
        run_active(c, m);
    gmk_store_rel(&crowd.token[m], 0, GMK_DEV); /* sync: test.active */
}

static void *runner(void *arg)
{
    crew_t *c = arg;

    for (;;) {
        bool over = gmk_load_acq(&crowd.senders, GMK_DEV) == 0; /* sync: test.senders */
        uint64_t modules = 0;

        if (gmki_det_drain(&rig.det, &rig.agent[c->index], RIG_NOW, &modules) < 0)
            c->bad++;
        for (uint32_t m = 0; m < RIG_MODULES; m++)
            if (modules >> m & 1)
                gmk_store_rel(&crowd.active[m], 1, GMK_DEV); /* sync: test.active */
        for (uint32_t m = 0; m < RIG_MODULES; m++)
            visit(c, m);
        if (over && gmki_det_unfinished(&rig.det) == GMKI_NEVER)
            return NULL;
        gmk_hal_relax();
    }
}

/* DET-5, R8: input beside running ticks; nothing is lost, run twice, or out of order. */
GMK_TEST(det_threads_send_and_run_without_loss)
{
    uint64_t n = gmk_test_scale(20000, 1500), expected;
    crew_t crew[N_SENDERS + N_RUNNERS];

    gmk_hal_memset(crew, 0, sizeof(crew));
    gmk_hal_memset(&crowd, 0, sizeof(crowd));
    GMK_REQUIRE(rig_begin(&rig, 64u << 20));
    rig.n_subs[3] = 2;
    rig.subs[3][0] = 4;
    rig.subs[3][1] = 2;
    gmk_store_rlx(&crowd.senders, N_SENDERS, GMK_DEV); /* relaxed: nobody runs yet */
    for (uint32_t i = 0; i < N_SENDERS + N_RUNNERS; i++) {
        bool sends = i < N_SENDERS;

        crew[i].index = sends ? i : i - N_SENDERS;
        crew[i].n = n;
        gmk_test_assert_eq(gmk_hal_cpu_start(&crew[i].thread, GMK_HAL_ANY_CPU,
                                             sends ? sender : runner, &crew[i]),
                           0);
    }
    for (uint32_t i = 0; i < N_SENDERS + N_RUNNERS; i++) {
        gmk_test_assert_eq(gmk_hal_thread_join(&crew[i].thread), 0);
        gmk_test_assert_eq(crew[i].bad, 0);
    }
    /* Each input once, each third twice, and a child for each delivery of meta0 % 4 == 2. */
    expected = 0;
    for (uint64_t i = 1; i <= n; i++)
        expected += (i % 3 == 0 ? 2 : 1) * (i % 4 == 2 ? 2 : 1);
    gmk_test_assert_eq(gmk_load_rlx(&crowd.run, GMK_DEV), /* relaxed: all were joined */
                       N_SENDERS * expected);
    gmk_test_assert(rig_balanced(&rig));
    gmk_test_assert_eq(gmki_det_count(&rig.det), 0);
    gmk_test_assert_eq(rig_live(&rig), 0);
    rig_end(&rig);
}
