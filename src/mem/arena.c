/* SPDX-License-Identifier: MIT
 * The arena: its split, the tables beside it, registration of caches, statistics.
 * Floor: F3.
 * Invariants: each class has a span of whole lines, the twelve of blocks have equal
 *   length, the task slab stands behind them.
 * Threads: init and fini alone; the rest from any thread.
 * Source: SPEC AL-1, AL-5, AL-8; ARCHITECTURE R12. */
#include "mem/mem.h"

#include "ggmk/base/assert.h"
#include "ggmk/base/bits.h"

#define ARENA_ALIGN ((size_t)2 << 20) /* so that the machine may use large pages */
#define SPAN_ALIGN ((size_t)64)

/* The class that span i is of: the bins by size, then the task slab. */
static uint32_t span_class(uint32_t i)
{
    return i == 1 ? GMKI_CLASS_BLOCK64 : i < GMKI_SPAN_SLAB ? i : GMKI_CLASS_TASK;
}

/* What gmki_mem_init decides before it asks for memory. */
typedef struct plan {
    size_t span[GMKI_CLASSES];
    size_t slack; /* bytes at the end of a span that no object has */
    size_t objects_bytes;
    size_t trace_bytes;
    size_t bump_bytes;
    size_t meta_bytes;
} plan_t;

static uint32_t class_shift(uint32_t k)
{
    return k == GMKI_CLASS_BLOCK64 ? 6 : k + gmk_log2_floor(GMK_BLOCK_MIN);
}

/* A share of the arena, in whole lines. */
static size_t percent(size_t bytes, uint32_t pct)
{
    return (size_t)((uint64_t)bytes * pct / 100) & ~(SPAN_ALIGN - 1);
}

/* Bytes of n words, so that what follows shares no line with them. */
static size_t table_bytes(size_t n)
{
    return (size_t)gmk_align_up(n * sizeof(uint32_t), GMK_FALSE_SHARING);
}

/* Words of n states. */
static size_t state_words(size_t n) { return n * (sizeof(gmki_state_t) / sizeof(uint32_t)); }

/* Objects of class k in a span. */
static size_t span_objects(const plan_t *p, uint32_t k)
{
    return (p->span[k] - p->slack) >> class_shift(k);
}

static void plan_make(plan_t *p, size_t arena_bytes, uint32_t n_agents)
{
    size_t share = percent(arena_bytes, GMK_ARENA_BLOCK_PCT) / GMK_BLOCK_BINS;

    p->objects_bytes = 0;
    p->slack = arena_bytes > GMKI_SPAN_EXACT ? GMKI_SPAN_SLACK : 0;
    p->meta_bytes = table_bytes(2 * (size_t)n_agents);
    for (uint32_t k = 0; k < GMKI_CLASSES; k++) {
        size_t n;

        p->span[k] = k == GMKI_CLASS_TASK ? percent(arena_bytes, GMK_ARENA_TASK_PCT)
                                          : share & ~(SPAN_ALIGN - 1);
        p->objects_bytes += p->span[k];
        n = span_objects(p, k);
        p->meta_bytes += 2 * table_bytes(n) + table_bytes(state_words(n));
    }
    p->trace_bytes = percent(arena_bytes, GMK_ARENA_TRACE_PCT);
    p->bump_bytes = percent(arena_bytes, GMK_ARENA_BUMP_PCT);
}

/* Batch and cache sizes: bounded in objects and bytes, and such that the caches of
 * all agents together hold at most about half of a class. */
static void class_setup(gmki_class_t *cl, uint32_t k, uint32_t n_objs, uint32_t n_agents)
{
    uint32_t batch = gmk_min32(GMKI_BATCH_BYTES >> class_shift(k), GMKI_BATCH_MAX);
    uint32_t fair = n_objs / 2 / n_agents;

    cl->shift = class_shift(k);
    cl->n_objs = n_objs;
    cl->batch = gmk_max32(gmk_min32(gmk_max32(batch, 1), fair / 2), 1);
    cl->cap = gmk_min32(2 * cl->batch, fair);
    gmk_freelist_fill(&cl->empty, cl->next, n_objs / cl->batch);
}

/* The next table of n words. */
static void *meta_take(char **meta, size_t n)
{
    void *p = *meta;

    *meta += table_bytes(n);
    return p;
}

static void arena_lay_out(gmk_alloc_t *m, const plan_t *p)
{
    char *meta = m->meta;
    size_t at = 0;

    m->caches = meta_take(&meta, 2 * (size_t)m->n_agents);
    m->span_bytes = p->span[0];
    m->objects_bytes = p->objects_bytes;
    for (uint32_t i = 0; i < GMKI_CLASSES; i++) {
        uint32_t k = span_class(i);
        gmki_class_t *cl = &m->classes[k];
        size_t n = span_objects(p, k);

        cl->base = m->arena + at;
        cl->state = meta_take(&meta, state_words(n));
        cl->next = meta_take(&meta, n);
        cl->slots = meta_take(&meta, n);
        class_setup(cl, k, (uint32_t)n, m->n_agents);
        at += p->span[k];
    }
    m->trace = m->arena + at;
    m->trace_bytes = p->trace_bytes;
    m->bump = m->trace + p->trace_bytes;
    gmk_bumpoff_setup(&m->bump_off, p->bump_bytes);
}

int gmki_mem_init(gmk_alloc_t *m, size_t arena_bytes, uint32_t n_agents)
{
    plan_t p;

    if (m == NULL || n_agents == 0 || n_agents > UINT32_MAX / 16 || arena_bytes < GMKI_ARENA_MIN ||
        arena_bytes > GMKI_ARENA_MAX)
        return GMK_E_INVALID;
    gmk_hal_memset(m, 0, sizeof(*m));
    plan_make(&p, arena_bytes, n_agents);
    m->arena = gmk_hal_page_alloc(arena_bytes, ARENA_ALIGN);
    m->arena_bytes = arena_bytes;
    m->meta = gmk_hal_page_alloc(p.meta_bytes, GMK_FALSE_SHARING);
    m->meta_bytes = p.meta_bytes;
    if (m->arena == NULL || m->meta == NULL) {
        gmki_mem_fini(m);
        return GMK_ALLOC_FAIL;
    }
    m->n_agents = n_agents;
    m->n_pools = 1;
    arena_lay_out(m, &p);
    return GMK_OK;
}

void gmki_mem_fini(gmk_alloc_t *m)
{
    if (m->arena != NULL)
        gmk_hal_page_free(m->arena, m->arena_bytes);
    if (m->meta != NULL)
        gmk_hal_page_free(m->meta, m->meta_bytes);
    gmk_hal_memset(m, 0, sizeof(*m));
}

/* c's tables: which of its bins serves a size, and takes an address. */
static void cache_lay_out(gmki_cache_t *c, const gmk_alloc_t *m)
{
    c->arena = m->arena;
    c->recip = gmki_span_recip(m->span_bytes);
    for (uint32_t i = 0; i < 32; i++)
        c->by_log[i] = &c->bin[GMKI_CLASSES];
    for (uint32_t k = 0; k < GMK_BLOCK_BINS; k++)
        c->by_log[k + gmk_log2_floor(GMK_BLOCK_MIN) - 1] = &c->bin[k];
    for (uint32_t i = 0; i < GMKI_SPANS; i++)
        c->by_span[i] = &c->bin[span_class(i)];
    for (uint32_t k = 0; k < GMKI_CLASSES; k++) {
        const gmki_class_t *cl = &m->classes[k];

        c->bin[k].base = cl->base;
        c->bin[k].state = cl->state;
        c->bin[k].bytes = (uint64_t)1 << cl->shift;
        c->bin[k].shift = (uint8_t)cl->shift;
        c->bin[k].n_objs = cl->n_objs;
        c->bin[k].class = (uint8_t)k;
        c->bin[k].limit = (uint8_t)cl->cap;
        c->bin[k].kind = &c->kind[gmki_class_kind(k)];
    }
}

void gmki_cache_setup(gmki_cache_t *c, gmk_alloc_t *m, gmki_obs_t *obs)
{
    uint32_t slot;

    for (uint32_t i = 0; i < m->n_agents; i++) {
        if (gmki_mem_cache(m, i) == c) {
            c->obs = obs;
            c->n_bytes = &obs->rows[GMK_METRIC_ALLOC_BYTES];
            return;
        }
    }
    gmk_hal_memset(c, 0, sizeof(*c));
    c->m = m;
    c->obs = obs;
    c->n_bytes = &obs->rows[GMK_METRIC_ALLOC_BYTES];
    cache_lay_out(c, m);
    slot = gmk_add_rlx(&m->n_caches, 1, GMK_DEV); /* relaxed: a number of one's own */
    GMK_ASSERT(slot < m->n_agents, "more caches than gmki_mem_init was told of");
    gmk_store_rel(&m->caches[slot], (uint64_t)(uintptr_t)c, GMK_DEV); /* sync: mem.caches */
}

void *gmki_mem_trace_region(gmk_alloc_t *m, size_t *bytes)
{
    *bytes = m->trace_bytes;
    return m->trace;
}

int gmki_pool_add(gmk_alloc_t *m, void *base, size_t bytes, gmki_pool_free_fn fn, void *pool_ctx)
{
    if (m == NULL || base == NULL || bytes == 0 || fn == NULL)
        return GMK_E_INVALID;
    if (m->n_pools == GMKI_POOLS)
        return GMK_E_LIMIT;
    m->pools[m->n_pools] = (gmki_pool_t){.base = base, .bytes = bytes, .fn = fn, .ctx = pool_ctx};
    return (int)m->n_pools++;
}

/* Statistics. ------------------------------------------------------------------- */

/* Bytes or objects that callers hold, of counters that may move while they are read: one
 * may be seen after a step and the other before it. */
static uint64_t within(uint64_t n, uint64_t most)
{
    return (int64_t)n < 0 ? 0 : gmk_min64(n, most);
}

static void stats_objects(const gmk_alloc_t *m, enum gmk_alloc_kind kind, gmk_alloc_stats_t *out)
{
    uint64_t carved = 0;
    uint64_t live = 0;
    uint64_t peaks = 0;

    for (uint32_t k = 0; k < GMKI_CLASSES; k++) {
        const gmki_class_t *cl = &m->classes[k];

        if (gmki_class_kind(k) != kind)
            continue;
        out->bytes_total += (uint64_t)cl->n_objs << cl->shift;
        /* relaxed: a statistic */
        carved += (uint64_t)gmk_load_rlx(&cl->carved, GMK_DEV) << cl->shift;
    }
    for (uint32_t i = 0; i < m->n_agents; i++) {
        const gmki_cache_t *c = gmki_mem_cache(m, i);

        if (c == NULL)
            continue;
        for (uint32_t k = 0; k < GMKI_CLASSES; k++) {
            const gmki_bin_t *b = &c->bin[k];

            uint64_t word = gmk_count_get(&b->word);
            uint64_t n = gmk_count_get(&b->n_moved) - (word & 0xff);

            if (gmki_class_kind(k) != kind)
                continue;
            out->n_allocs += word >> 8;
            out->n_frees += (word >> 8) - n;
            live += n * b->bytes;
        }
        peaks += gmk_count_get(&c->kind[kind].peak);
    }
    out->bytes_free = out->bytes_total - within(live, out->bytes_total);
    out->bytes_high_water = gmk_min64(peaks, carved);
}

static void stats_bump(const gmk_alloc_t *m, gmk_alloc_stats_t *out)
{
    for (uint32_t i = 0; i < m->n_agents; i++) {
        const gmki_cache_t *c = gmki_mem_cache(m, i);

        if (c != NULL)
            out->n_allocs += gmk_count_get(&c->n_bumps);
    }
    out->n_frees = gmk_count_get(&m->n_resets);
    out->bytes_total = m->bump_off.size;
    out->bytes_free = m->bump_off.size - gmk_bumpoff_used(&m->bump_off, GMK_DEV);
    out->bytes_high_water = gmk_bumpoff_high(&m->bump_off, GMK_DEV);
}

int gmki_mem_stats(const gmk_alloc_t *m, enum gmk_alloc_kind kind, gmk_alloc_stats_t *out)
{
    if (m == NULL || out == NULL || (uint32_t)kind >= GMK_ALLOC_KINDS)
        return GMK_E_INVALID;
    *out = (gmk_alloc_stats_t){.bytes_total = 0};
    for (uint32_t i = 0; i < m->n_agents; i++) {
        const gmki_cache_t *c = gmki_mem_cache(m, i);

        if (c != NULL) {
            out->n_fails += gmk_count_get(&c->n_fails[kind]);
            out->n_bad_frees += gmk_count_get(&c->n_bad_frees[kind]);
        }
    }
    if (kind == GMK_ALLOC_BUMP)
        stats_bump(m, out);
    else
        stats_objects(m, kind, out);
    return GMK_OK;
}

/* Objects of a class that callers hold. */
static uint64_t class_live(const gmk_alloc_t *m, uint32_t class)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < m->n_agents; i++) {
        const gmki_cache_t *c = gmki_mem_cache(m, i);

        if (c != NULL)
            n += gmk_count_get(&c->bin[class].n_moved) - gmki_bin_held(&c->bin[class]);
    }
    return within(n, m->classes[class].n_objs);
}

uint32_t gmki_mem_frag(const gmk_alloc_t *m)
{
    uint64_t least = UINT64_MAX; /* shares in 1/1000000; 2^36 bytes are the most */
    uint64_t free = 0;
    uint64_t total = 0;
    uint64_t share = 0;

    /* From the largest bin down: what can serve a request of each size. */
    for (uint32_t bin = GMK_BLOCK_BINS; bin-- > 0;) {
        uint32_t class = bin == GMKI_CLASS_TASK ? GMKI_CLASS_BLOCK64 : bin;
        const gmki_class_t *cl = &m->classes[class];

        total += (uint64_t)cl->n_objs << cl->shift;
        free += (cl->n_objs - class_live(m, class)) << cl->shift;
        if (total == 0)
            continue; /* a small arena has no large bins */
        share = free * 1000000 / total;
        least = gmk_min64(least, share);
    }
    return share != 0 ? 1000 - (uint32_t)(least * 1000 / share) : 0;
}

uint64_t gmki_cache_bytes(const gmki_cache_t *c)
{
    uint64_t n = gmk_count_get(&c->n_bump_bytes);

    for (uint32_t k = 0; k < GMKI_CLASSES; k++)
        n += gmki_bin_allocs(&c->bin[k]) * c->bin[k].bytes;
    return n;
}

uint64_t gmki_mem_bytes(const gmk_alloc_t *m)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < m->n_agents; i++) {
        const gmki_cache_t *c = gmki_mem_cache(m, i);

        if (c != NULL)
            n += gmki_cache_bytes(c);
    }
    return n;
}

uint64_t gmki_payloads_live(const gmk_alloc_t *m)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < m->n_agents; i++) {
        const gmki_cache_t *c = gmki_mem_cache(m, i);

        if (c != NULL)
            n += gmk_count_get(&c->n_payloads);
    }
    return n;
}
