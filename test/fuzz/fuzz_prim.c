/* SPDX-License-Identifier: MIT
 * The primitives as data structures: random calls on each beside a model of it that is
 * too simple to be wrong. The first byte names the structure.
 * Floor: tests. Source: SPEC, AL-6, SC-5, DET-1; ARCHITECTURE R2, R3, R5. */
#include "ggmk/prim/bump.h"
#include "ggmk/prim/canon.h"
#include "ggmk/prim/credit.h"
#include "ggmk/prim/freelist.h"
#include "ggmk/prim/heap.h"
#include "ggmk/prim/hist.h"
#include "ggmk/prim/lq.h"
#include "ggmk/prim/spsc.h"
#include "ggmk/ring_mpmc.h"
#include "ggmk/ring_spsc.h"

#include "fuzz.h"

#define MOST 64u

/* Heap. ------------------------------------------------------------------------------- */

typedef struct heap_model {
    gmk_heap_t h;
    gmk_heap_node_t nodes[MOST];
    gmk_heap_node_t kept[MOST]; /* in no order */
    uint32_t n;
} heap_model_t;

static void heap_gone(heap_model_t *m, const gmk_heap_node_t *out)
{
    uint32_t i = 0;

    while (i < m->n && m->kept[i].order != out->order)
        i++;
    FUZZ_CHECK(i < m->n && m->kept[i].due == out->due && m->kept[i].value == out->value);
    m->kept[i] = m->kept[--m->n];
}

static void heap_pop(heap_model_t *m)
{
    const gmk_heap_node_t *first = gmk_heap_peek(&m->h, m->nodes);
    gmk_heap_node_t out;

    FUZZ_CHECK((first != NULL) == (m->n != 0));
    FUZZ_CHECK(gmk_heap_pop_min(&m->h, m->nodes, &out) == (m->n != 0));
    if (m->n == 0)
        return;
    for (uint32_t i = 0; i < m->n; i++)
        FUZZ_CHECK(!gmk_heap_before(&m->kept[i], &out));
    heap_gone(m, &out);
}

static void heap_remove(heap_model_t *m, uint32_t value, uint32_t index)
{
    uint32_t found = gmk_heap_find(&m->h, m->nodes, value);
    uint32_t n = m->n;
    gmk_heap_node_t out;

    for (uint32_t i = 0; i < m->n && found == GMK_HEAP_NONE; i++)
        FUZZ_CHECK(m->kept[i].value != value);
    index = found != GMK_HEAP_NONE ? found : index;
    if (gmk_heap_remove(&m->h, m->nodes, index, &out)) {
        FUZZ_CHECK(found == GMK_HEAP_NONE || out.value == value);
        heap_gone(m, &out);
    } else {
        FUZZ_CHECK(index >= n);
    }
}

static void fuzz_heap(bytes_t *b)
{
    heap_model_t m = {.n = 0};
    uint32_t cap = take8(b) % (MOST + 1);
    uint64_t born = 0;

    gmk_heap_setup(&m.h, cap);
    while (more(b)) {
        uint8_t op = take8(b);

        if ((op & 3) < 2) {
            gmk_heap_node_t k = {.due = op & 4 ? take8(b) & 3 : take_wide(b), .value = op >> 3};

            k.order = gmk_heap_order(op >> 3 & 3, born++);
            FUZZ_CHECK(gmk_heap_push(&m.h, m.nodes, k.due, k.order, k.value) == (m.n < cap));
            if (m.n < cap)
                m.kept[m.n++] = k;
        } else if ((op & 3) == 2) {
            heap_pop(&m);
        } else {
            heap_remove(&m, op >> 3, take8(b));
        }
        FUZZ_CHECK(gmk_heap_count(&m.h) == m.n);
        for (uint32_t i = 1; i < m.n; i++)
            FUZZ_CHECK(!gmk_heap_before(&m.nodes[i], &m.nodes[(i - 1) / 2]));
    }
    while (m.n != 0)
        heap_pop(&m);
}

/* Cells by number. ---------------------------------------------------------------------- */

static gmk_cell_t cell_of(uint64_t v)
{
    gmk_cell_t c = {.turn = 0x55, .sub = (uint16_t)v, .retries = (uint16_t)(v >> 3)};

    c.chan_seq = v * 7;
    c.task = (gmk_task_t){.type = (uint32_t)v, .payload_ptr = ~v, .meta0 = v, .meta1 = v ^ 1};
    return c;
}

static void cell_is(const gmk_cell_t *c, uint64_t v)
{
    gmk_cell_t want = cell_of(v);

    FUZZ_CHECK(c->sub == want.sub && c->retries == want.retries && c->chan_seq == want.chan_seq);
    FUZZ_CHECK(memcmp(&c->task, &want.task, sizeof(want.task)) == 0);
}

/* A start near the end of the circle, or 0. */
static uint32_t ring_start(bytes_t *b, uint32_t cap)
{
    uint8_t x = take8(b);

    return x & 1 ? (uint32_t)0 - cap * (1 + (x >> 1) % 4) : 0;
}

/* Local queue, and what it moves to a turn ring. ---------------------------------------- */

typedef struct lq_model {
    gmk_lq_t q;
    gmk_mpmc_t r;
    gmk_cell_t cells[MOST + 1], to[16];
    gmk_cell_t *order[MOST];
    const gmk_cell_t *taken; /* the last one, in place */
    uint64_t taken_v;
    uint64_t kept[MOST], moved[16]; /* oldest first */
    uint32_t n, cap, n_moved;
} lq_model_t;

static void lq_drop_oldest(lq_model_t *m)
{
    memmove(m->kept, m->kept + 1, --m->n * sizeof(m->kept[0]));
}

static void lq_push(lq_model_t *m, uint64_t v, bool newest)
{
    gmk_cell_t c = cell_of(v);
    bool ok = newest ? gmk_lq_push_newest(&m->q, &c) : gmk_lq_push_oldest(&m->q, &c);

    FUZZ_CHECK(ok == (m->n < m->cap));
    if (!ok)
        return;
    if (!newest)
        memmove(m->kept + 1, m->kept, m->n * sizeof(m->kept[0]));
    m->kept[newest ? m->n : 0] = v;
    m->n++;
}

/* Copied out, or taken in place: then it stands until the next is taken. */
static void lq_pop(lq_model_t *m, bool newest, bool copy)
{
    gmk_cell_t out;
    const gmk_cell_t *c;

    if (copy) {
        newest = false;
        c = gmk_lq_pop_oldest(&m->q, &out) ? &out : NULL;
    } else {
        if (m->taken != NULL)
            cell_is(m->taken, m->taken_v);
        c = newest ? gmk_lq_take_newest(&m->q) : gmk_lq_take_oldest(&m->q);
    }
    FUZZ_CHECK((c != NULL) == (m->n != 0));
    if (c == NULL)
        return;
    if (!copy) {
        m->taken = c;
        m->taken_v = m->kept[newest ? m->n - 1 : 0];
    }
    cell_is(c, m->kept[newest ? m->n - 1 : 0]);
    if (newest)
        m->n--;
    else
        lq_drop_oldest(m);
}

static void lq_move(lq_model_t *m, uint32_t want)
{
    uint32_t k = gmk_lq_move_oldest(&m->q, &m->r, m->to, want);

    FUZZ_CHECK(k == gmk_min32(gmk_min32(want, m->n), 16 - m->n_moved));
    for (uint32_t i = 0; i < k; i++) {
        m->moved[m->n_moved++] = m->kept[0];
        lq_drop_oldest(m);
    }
}

static void lq_steal(lq_model_t *m, uint32_t want)
{
    gmk_cell_t c[16];
    uint32_t k = gmk_cells_pop(&m->r, m->to, c, gmk_min32(want, 16), GMK_DEV);

    FUZZ_CHECK(k == gmk_min32(gmk_min32(want, 16), m->n_moved));
    for (uint32_t i = 0; i < k; i++)
        cell_is(&c[i], m->moved[i]);
    m->n_moved -= k;
    memmove(m->moved, m->moved + k, m->n_moved * sizeof(m->moved[0]));
}

static void fuzz_lq(bytes_t *b)
{
    lq_model_t m = {.n = 0};
    uint64_t v = 0;

    m.cap = 1u << take8(b) % 7;
    gmk_lq_setup(&m.q, m.cells, m.order, m.cap, take8(b) & 1 ? (uint32_t)0 - take8(b) : 0);
    gmk_mpmc_setup(&m.r, 16, 0);
    while (more(b)) {
        uint8_t op = take8(b);

        if ((op & 7) < 4)
            lq_push(&m, v++, (op & 1) == 0);
        else if ((op & 7) < 6)
            lq_pop(&m, (op & 1) == 0, (op & 8) != 0);
        else if ((op & 7) == 6)
            lq_move(&m, op >> 3);
        else
            lq_steal(&m, op >> 3);
        FUZZ_CHECK(gmk_lq_count(&m.q) == m.n && gmk_lq_room(&m.q) == m.cap - m.n);
        FUZZ_CHECK(gmk_cells_ready(&m.r, m.to, GMK_DEV) == (m.n_moved != 0));
    }
}

/* Turn ring: claims and takes may stand open, and end in any order. ----------------------- */

typedef struct span {
    uint32_t pos, n;
} span_t;

typedef struct mpmc_model {
    gmk_mpmc_t r;
    gmk_cell_t cells[MOST];
    uint32_t cap, start;
    uint32_t head, tail;        /* positions, from 0 */
    uint8_t state[MOST];        /* of a slot */
    span_t claims[8], takes[8]; /* open; n 0: none */
} mpmc_model_t;

enum { FREE, CLAIMED, FULL, TAKEN };

static void mpmc_claim(mpmc_model_t *m, span_t *s, uint32_t want, bool single)
{
    uint32_t pos, k;
    uint32_t room = 0;

    while (room < want && room < m->cap && m->state[(m->tail + room) % m->cap] == FREE)
        room++;
    k = single ? gmk_mpmc_claim_sp(&m->r, m->cells, 64, want, &pos, GMK_DEV)
               : gmk_mpmc_claim(&m->r, m->cells, 64, want, &pos, GMK_DEV);
    FUZZ_CHECK(k == room && (k == 0 || pos == m->start + m->tail));
    *s = (span_t){m->tail, k};
    for (uint32_t i = 0; i < k; i++, m->tail++) {
        gmk_cell_t c = cell_of(m->tail);

        m->state[m->tail % m->cap] = CLAIMED;
        gmk_cell_copy(&m->cells[(pos + i) & (m->cap - 1)], &c);
    }
}

static void mpmc_take(mpmc_model_t *m, span_t *s, uint32_t want, bool single)
{
    uint32_t pos, k;
    uint32_t have = 0;

    while (have < want && have < m->cap && m->state[(m->head + have) % m->cap] == FULL)
        have++;
    FUZZ_CHECK(gmk_mpmc_ready(&m->r, m->cells, 64, GMK_DEV) ==
               (m->state[m->head % m->cap] == FULL));
    k = single ? gmk_mpmc_take_sc(&m->r, m->cells, 64, want, &pos, GMK_DEV)
               : gmk_mpmc_take(&m->r, m->cells, 64, want, &pos, GMK_DEV);
    FUZZ_CHECK(k == have && (k == 0 || pos == m->start + m->head));
    *s = (span_t){m->head, k};
    for (uint32_t i = 0; i < k; i++, m->head++) {
        m->state[m->head % m->cap] = TAKEN;
        cell_is(&m->cells[(pos + i) & (m->cap - 1)], m->head);
    }
}

/* Publishes a claim, or releases a take. */
static void mpmc_end(mpmc_model_t *m, span_t *s, uint8_t to)
{
    if (s->n == 0)
        return;
    if (to == FULL)
        gmk_mpmc_publish(&m->r, m->cells, 64, m->start + s->pos, s->n, GMK_DEV);
    else
        gmk_mpmc_release(&m->r, m->cells, 64, m->start + s->pos, s->n, GMK_DEV);
    for (uint32_t i = 0; i < s->n; i++)
        m->state[(s->pos + i) % m->cap] = to;
    s->n = 0;
}

static void fuzz_mpmc(bytes_t *b)
{
    mpmc_model_t m = {.head = 0};

    m.cap = 2u << take8(b) % 6;
    m.start = ring_start(b, m.cap);
    gmk_mpmc_setup(&m.r, m.cap, m.start);
    for (uint32_t i = 0; i < m.cap; i++)
        m.cells[i].turn = m.start;
    while (more(b)) {
        uint8_t op = take8(b);
        uint32_t i = op >> 2 & 7;

        if ((op & 3) == 0 && m.claims[i].n == 0)
            mpmc_claim(&m, &m.claims[i], take8(b), op >> 5 & 1);
        else if ((op & 3) == 1)
            mpmc_end(&m, &m.claims[i], FULL);
        else if ((op & 3) == 2 && m.takes[i].n == 0)
            mpmc_take(&m, &m.takes[i], take8(b), op >> 5 & 1);
        else if ((op & 3) == 3)
            mpmc_end(&m, &m.takes[i], FREE);
        FUZZ_CHECK(gmk_mpmc_count(&m.r, GMK_DEV) == m.tail - m.head);
    }
}

/* Credit ring. -------------------------------------------------------------------------- */

typedef struct credit_model {
    gmk_credit_t r;
    gmk_cell_t cells[MOST];
    uint32_t cap, set;
    uint64_t tail, limit;
    uint64_t begun[GMK_CREDIT_READERS]; /* cursors */
    gmk_a64_t cursor[GMK_CREDIT_READERS];
    bool held[GMK_CREDIT_READERS];
    bool open[MOST]; /* claimed, not published */
    span_t claims[8];
} credit_model_t;

static void credit_claim(credit_model_t *m, span_t *s, uint32_t want, uint32_t spare)
{
    uint64_t end = m->limit > m->tail + spare ? m->limit - spare : m->tail;
    uint32_t room = m->set != 0 ? (uint32_t)gmk_min64(end - m->tail, want) : 0;
    uint32_t pos, readers;
    uint32_t k = gmk_credit_claim(&m->r, want, spare, &pos, &readers, GMK_DEV);

    FUZZ_CHECK(k == room && readers == m->set);
    if (k == 0)
        return;
    FUZZ_CHECK(pos == (uint32_t)m->tail);
    *s = (span_t){pos, k};
    for (uint32_t i = 0; i < k; i++, m->tail++) {
        gmk_cell_t c = cell_of(m->tail);

        m->open[m->tail % m->cap] = true;
        gmk_cell_copy(&m->cells[m->tail % m->cap], &c);
    }
}

static void credit_publish(credit_model_t *m, span_t *s)
{
    gmk_credit_publish(&m->r, m->cells, 64, s->pos, s->n, GMK_DEV);
    for (uint32_t i = 0; i < s->n; i++)
        m->open[(s->pos + i) % m->cap] = false;
    s->n = 0;
}

static void credit_read(credit_model_t *m, uint32_t i, uint32_t want, bool held)
{
    uint64_t at = m->begun[i];
    uint32_t have = 0, k;

    FUZZ_CHECK(gmk_cursor_next(&m->cursor[i], GMK_DEV) == at);
    while (have < want && at + have < m->tail && !m->open[(at + have) % m->cap])
        have++;
    k = gmk_credit_ready(m->cells, m->cap - 1, 64, (uint32_t)at, want, GMK_DEV);
    FUZZ_CHECK(k == have);
    for (uint32_t j = 0; j < k; j++)
        cell_is(&m->cells[(at + j) % m->cap], at + j);
    if (held && !m->held[i]) {
        FUZZ_CHECK(gmk_cursor_hold(&m->cursor[i], &at, GMK_DEV));
        m->held[i] = true;
        return; /* the pass comes later, or never */
    }
    m->held[i] = false;
    m->begun[i] += k;
    gmk_cursor_pass(&m->cursor[i], m->begun[i], GMK_DEV);
}

/* The first position from `at` on that is not published. */
static uint64_t credit_whole(const credit_model_t *m, uint64_t at)
{
    while (at < m->tail && !m->open[at % m->cap])
        at++;
    return at;
}

/* A producer moves a slow reader, and copies what it skips: published cells only. */
static void credit_skip(credit_model_t *m, uint32_t i, uint32_t n)
{
    n = (uint32_t)gmk_min64(n, credit_whole(m, m->begun[i]) - m->begun[i]);
    FUZZ_CHECK(gmk_cursor_skip(&m->cursor[i], m->begun[i], n, GMK_DEV) == !m->held[i]);
    if (!m->held[i])
        m->begun[i] += n;
    FUZZ_CHECK(!gmk_cursor_skip(&m->cursor[i], m->begun[i] + 1, n, GMK_DEV));
}

static void credit_give(credit_model_t *m, uint32_t less)
{
    uint64_t to = m->tail; /* nobody: the next to join begins there */

    for (uint32_t i = 0; i < GMK_CREDIT_READERS; i++)
        if (m->set >> i & 1)
            to = gmk_min64(to, m->begun[i]);
    to = to + m->cap - less % (m->cap + 1);
    FUZZ_CHECK(gmk_credit_give(&m->r, to, GMK_DEV) == (to > m->limit));
    m->limit = gmk_max64(m->limit, to);
}

static void credit_member(credit_model_t *m, uint32_t i)
{
    /* A joiner begins behind open claims: of others, who stay until these are published. */
    if (m->set >> i & 1) {
        if (credit_whole(m, m->begun[i]) != m->tail)
            return; /* who leaves waits for what was claimed for it */
        FUZZ_CHECK(gmk_credit_leave(&m->r, 1u << i, GMK_DEV) == m->tail);
    } else {
        gmk_credit_join(&m->r, i, &m->cursor[i], GMK_DEV);
        m->begun[i] = m->tail;
        m->held[i] = false;
    }
    m->set ^= 1u << i;
}

/* One call. No cursor is ever past a gap, so a give overtakes no open claim. */
static void credit_step(credit_model_t *m, bytes_t *b)
{
    uint8_t op = take8(b);
    uint32_t i = op >> 3;

    switch (op & 7) {
    case 0:
    case 1:
        if (m->claims[i % 8].n == 0)
            credit_claim(m, &m->claims[i % 8], take8(b), op & 1 ? take8(b) % (m->cap + 1) : 0);
        break;
    case 2:
        if (m->claims[i % 8].n != 0)
            credit_publish(m, &m->claims[i % 8]);
        break;
    case 3:
    case 4:
        if (m->set >> i & 1)
            credit_read(m, i, take8(b), op & 1);
        break;
    case 5:
        if (m->set >> i & 1)
            credit_skip(m, i, take8(b) % (m->cap + 1));
        break;
    case 6:
        credit_give(m, i);
        break;
    default:
        credit_member(m, i);
    }
}

static void fuzz_credit(bytes_t *b)
{
    credit_model_t m = {.set = 0};

    m.cap = 2u << take8(b) % 6;
    m.tail = ring_start(b, m.cap);
    m.limit = m.tail + m.cap;
    gmk_credit_setup(&m.r, m.cap, m.tail);
    while (more(b)) {
        credit_step(&m, b);
        FUZZ_CHECK(gmk_credit_tail(&m.r, GMK_DEV) == m.tail);
        FUZZ_CHECK(gmk_credit_readers(gmk_credit_word(&m.r, GMK_DEV)) == m.set);
        FUZZ_CHECK(gmk_credit_room(&m.r, GMK_DEV) == gmk_min64(m.limit - m.tail, m.cap));
    }
}

/* Free lists that share an array. --------------------------------------------------------- */

static void fuzz_freelist(bytes_t *b)
{
    gmk_freelist_t f[2] = {{.head = 0}, {.head = (uint64_t)(uint32_t)-2 << 32}};
    gmk_a32_t next[MOST];
    uint32_t stack[2][MOST], mine[MOST];
    uint32_t n[2] = {take8(b) % (MOST + 1), 0}, n_mine = 0;

    gmk_freelist_fill(&f[0], next, n[0]);
    for (uint32_t i = 0; i < n[0]; i++)
        stack[0][i] = n[0] - 1 - i;
    while (more(b)) {
        uint8_t op = take8(b);
        uint32_t l = op & 1;

        if (op & 2 && n_mine != 0) {
            uint32_t k = (op >> 2) % n_mine;

            gmk_freelist_push(&f[l], next, mine[k], GMK_DEV);
            stack[l][n[l]++] = mine[k];
            mine[k] = mine[--n_mine];
        } else if ((op & 2) == 0) {
            uint32_t i = gmk_freelist_pop(&f[l], next, GMK_DEV);

            FUZZ_CHECK(i == (n[l] != 0 ? stack[l][n[l] - 1] : GMK_FREELIST_NONE));
            if (i != GMK_FREELIST_NONE) {
                n[l]--;
                mine[n_mine++] = i;
            }
        }
        FUZZ_CHECK(gmk_freelist_empty(&f[0], GMK_DEV) == (n[0] == 0));
        FUZZ_CHECK(gmk_freelist_empty(&f[1], GMK_DEV) == (n[1] == 0));
    }
}

/* Bump. ------------------------------------------------------------------------------------ */

static void fuzz_bump(bytes_t *b)
{
    gmk_bumpoff_t r;
    uint64_t size = take_wide(b);
    uint64_t used = 0, high = 0;

    size -= size == UINT64_MAX;
    gmk_bumpoff_setup(&r, size);
    while (more(b)) {
        uint8_t op = take8(b);
        uint64_t want, align, at, to;

        if (op == 0xff) {
            gmk_bumpoff_reset(&r, GMK_DEV);
            used = 0;
            continue;
        }
        align = (uint64_t)1 << (op & 63);
        want = op & 64 ? take8(b) : take_wide(b);
        at = gmk_bumpoff_take(&r, want, align, GMK_DEV);
        to = used / align * align;
        if (to < used && __builtin_add_overflow(to, align, &to))
            to = UINT64_MAX;
        if (to > size || want > size - to) {
            FUZZ_CHECK(at == GMK_BUMPOFF_NONE);
        } else {
            FUZZ_CHECK(at == to);
            used = to + want;
        }
        high = gmk_max64(high, used);
        FUZZ_CHECK(gmk_bumpoff_used(&r, GMK_DEV) == used);
        FUZZ_CHECK(gmk_bumpoff_high(&r, GMK_DEV) == high);
    }
}

/* Histogram. ------------------------------------------------------------------------------- */

typedef struct values {
    uint64_t v[2 * MOST];
    uint32_t n;
} values_t;

static void hist_add(values_t *m, uint64_t v)
{
    uint32_t i = m->n++;

    for (; i != 0 && m->v[i - 1] > v; i--)
        m->v[i] = m->v[i - 1];
    m->v[i] = v;
}

static void hist_check(const gmk_hist_t *h, const values_t *m, uint32_t p)
{
    uint64_t sum = 0, at, got = gmk_hist_percentile(h, p);
    uint32_t rank = (m->n * gmk_min32(p, 10000) + 9999) / 10000;

    for (uint32_t i = 0; i < m->n; i++)
        sum += m->v[i];
    FUZZ_CHECK(gmk_hist_count(h) == m->n && gmk_hist_sum(h) == sum);
    FUZZ_CHECK(gmk_hist_max(h) == (m->n != 0 ? m->v[m->n - 1] : 0));
    FUZZ_CHECK(gmk_hist_min(h) == (m->n != 0 ? m->v[0] : UINT64_MAX));
    if (m->n == 0) {
        FUZZ_CHECK(got == 0);
        return;
    }
    at = m->v[gmk_max32(rank, 1) - 1];
    FUZZ_CHECK(got >= at && (got == at || got - at < at / 16 + (at % 16 != 0)));
}

static void fuzz_hist(bytes_t *b)
{
    static gmk_hist_t h[2];
    values_t m[2] = {{.n = 0}, {.n = 0}};

    gmk_hist_setup(&h[0]);
    gmk_hist_setup(&h[1]);
    while (more(b) && m[0].n < MOST) {
        uint8_t op = take8(b);
        uint32_t i = op & 1;

        if ((op & 6) != 6 && m[i].n < MOST) {
            uint64_t v = take_wide(b);

            if (op & 8)
                gmk_hist_record(&h[i], v);
            else
                gmk_hist_record_shared(&h[i], v);
            hist_add(&m[i], v);
            FUZZ_CHECK(gmk_hist_upper(gmk_hist_bucket(v)) >= v);
        }
        hist_check(&h[i], &m[i], take16(b) % 10100);
    }
    gmk_hist_merge(&h[0], &h[1]);
    for (uint32_t i = 0; i < m[1].n; i++)
        hist_add(&m[0], m[1].v[i]);
    hist_check(&h[0], &m[0], take16(b) % 10100);
}

/* Canonical order. ------------------------------------------------------------------------- */

static void fuzz_canon(bytes_t *b)
{
    gmk_canon_node_t nodes[4 * MOST];
    gmk_canon_key_t keys[4 * MOST];
    uint32_t order[4 * MOST], n = 0;
    gmk_canon_node_t *list = NULL, **end = &list;

    for (; more(b) && n < 4 * MOST; n++) {
        uint8_t how = take8(b);
        gmk_canon_key_t *k = &keys[n];
        uint32_t i = n;

        *k = (gmk_canon_key_t){.tick = how & 1, .priority = how >> 1 & 3, .type = how >> 3 & 3};
        k->seq = how >> 5 & 3;
        if (how & 128) {
            k->tick = take_wide(b);
            k->type = take8(b);
            k->seq = take_wide(b) % GMK_CANON_SEQ_END;
        }
        gmk_canon_pack(k, &nodes[n].hi, &nodes[n].lo);
        *end = &nodes[n];
        end = &nodes[n].next;
        for (; i != 0 && gmk_canon_cmp(k, &keys[order[i - 1]]) < 0; i--)
            order[i] = order[i - 1];
        order[i] = n;
    }
    *end = NULL;
    list = gmk_canon_sort(list);
    for (uint32_t i = 0; i < n; i++, list = list->next)
        FUZZ_CHECK(list == &nodes[order[i]]);
    FUZZ_CHECK(list == NULL);
}

/* Rings of elements of any size. ------------------------------------------------------------ */

typedef struct elems {
    gmk_ring_mpmc_t m;
    gmk_ring_spsc_t s;
    uint32_t cap, size;
    uint8_t tail, head; /* elements are their number in every byte */
} elems_t;

static void elems_step(elems_t *e, bool mpmc, bool push)
{
    uint8_t *x = malloc(e->size);
    uint8_t n = (uint8_t)(e->tail - e->head);
    bool can = push ? n < e->cap : n != 0;

    FUZZ_CHECK(x != NULL);
    memset(x, push ? e->tail : 0xee, e->size);
    if (push)
        FUZZ_CHECK((mpmc ? gmk_ring_mpmc_push(&e->m, x) : gmk_ring_spsc_push(&e->s, x)) ==
                   (can ? 0 : -1));
    else
        FUZZ_CHECK((mpmc ? gmk_ring_mpmc_pop(&e->m, x) : gmk_ring_spsc_pop(&e->s, x)) ==
                   (can ? 0 : -1));
    for (uint32_t i = 0; !push && can && i < e->size; i++)
        FUZZ_CHECK(x[i] == e->head);
    e->tail = (uint8_t)(e->tail + (can && push));
    e->head = (uint8_t)(e->head + (can && !push));
    n = (uint8_t)(e->tail - e->head);
    FUZZ_CHECK((mpmc ? gmk_ring_mpmc_count(&e->m) : gmk_ring_spsc_count(&e->s)) == n);
    if (!mpmc) {
        FUZZ_CHECK(gmk_ring_spsc_full(&e->s) == (n == e->cap));
        FUZZ_CHECK(gmk_ring_spsc_empty(&e->s) == (n == 0));
    }
    free(x);
}

static void fuzz_elems(bytes_t *b)
{
    elems_t e = {.cap = take8(b) % 129, .size = take8(b)};
    uint8_t how = take8(b);
    bool mpmc = how & 1, own = how & 2;
    bool good = gmk_is_pow2(e.cap) && e.size != 0 && (!mpmc || e.cap >= 2);
    size_t bytes = mpmc ? gmk_ring_mpmc_bytes(e.cap, e.size) : (size_t)e.cap * e.size;
    void *buf = NULL;
    int rc;

    if (own) {
        rc = mpmc ? gmk_ring_mpmc_init(&e.m, e.cap, e.size)
                  : gmk_ring_spsc_init(&e.s, e.cap, e.size);
    } else {
        buf = aligned_alloc(16, (bytes + 15) / 16 * 16 + 16);
        FUZZ_CHECK(buf != NULL);
        if (mpmc && (how & 12) == 12) {
            bytes -= bytes != 0;
            good = false;
        }
        rc = mpmc ? gmk_ring_mpmc_init_buf(&e.m, e.cap, e.size, buf, bytes)
                  : gmk_ring_spsc_init_buf(&e.s, e.cap, e.size, buf);
    }
    FUZZ_CHECK(rc == (good ? 0 : -1));
    while (good && more(b)) {
        uint8_t op = take8(b);

        for (uint32_t i = 0; i <= (uint32_t)op >> 4; i++)
            elems_step(&e, mpmc, op & 1);
    }
    if (good && mpmc)
        gmk_ring_mpmc_destroy(&e.m);
    else if (good)
        gmk_ring_spsc_destroy(&e.s);
    free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static void (*const kinds[])(bytes_t *) = {
        fuzz_heap, fuzz_lq,   fuzz_mpmc,  fuzz_credit, fuzz_freelist,
        fuzz_bump, fuzz_hist, fuzz_canon, fuzz_elems,
    };
    bytes_t b = {data, n, 0};

    kinds[take8(&b) % GMK_ARRAY_LEN(kinds)](&b);
    return 0;
}
