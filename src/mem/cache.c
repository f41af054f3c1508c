/* SPDX-License-Identifier: MIT
 * Objects of fixed classes: each agent's stacks of free objects and the shared depot
 * that whole batches travel through.
 * Floor: F3.
 * Invariants: memory of a free object is never written (but by DEBUG's fill); an
 *   object on a stack or in the depot is not live, or it was freed twice at once.
 * Threads: c's owner; the depot is lock-free.
 * Order: objects and node contents go with the depot's lists (freelist.head).
 * Source: SPEC AL-3 to AL-7, AL-11; Bonwick and Adams (2001); ARCHITECTURE R12. */
#include "mem/mem.h"

#include "ggmk/base/assert.h"
#include "ggmk/base/bits.h"

/* The class that a request falls through to; GMKI_CLASSES: none is left. */
static uint32_t class_after(uint32_t k)
{
    if (k == GMK_BLOCK_BINS - 1)
        return GMKI_CLASSES;
    if (k == GMKI_CLASS_BLOCK64)
        return 2;
    return k < 2 ? GMKI_CLASS_BLOCK64 : k + 1;
}

/* DEBUG fills. ------------------------------------------------------------------ */

#if defined(GMK_DEBUG)
#define FILL_NEW 0xcd
#define FILL_FREED 0xdd

GMK_NORETURN static void panic_at(const char *what, const void *p)
{
    static const char hex[] = "0123456789abcdef";
    char text[96];
    uint32_t n = 0;

    while (what[n] != '\0' && n < sizeof(text) - 20) {
        text[n] = what[n];
        n++;
    }
    for (uint32_t i = 0; i < 16; i++)
        text[n++] = hex[(uintptr_t)p >> (60 - 4 * i) & 15];
    text[n] = '\0';
    gmk_panic(__FILE__, __LINE__, text);
}

static void debug_alloc(char *at, uint64_t bytes, const gmki_state_t *state)
{
    /* relaxed: the object is ours, and its state came with it */
    bool freed = gmk_load_rlx(state, GMK_DEV) == GMKI_FREED;
    const unsigned char *p = (const unsigned char *)at;

    for (uint64_t i = 0; freed && i < bytes; i++) {
        if (p[i] != FILL_FREED)
            panic_at("memory was written after it was freed, at 0x", &p[i]);
    }
    gmk_hal_memset(at, FILL_NEW, bytes);
}

static void debug_free(void *p, uint64_t bytes) { gmk_hal_memset(p, FILL_FREED, bytes); }
#define DEBUG_BAD_FREE(p) panic_at("free of foreign or free memory: 0x", (p))
#else
#define debug_alloc(p, bytes, state) ((void)0)
#define debug_free(p, bytes) ((void)0)
#define DEBUG_BAD_FREE(p) ((void)0)
#endif

/* Failures. --------------------------------------------------------------------- */

GMK_NOINLINE void *gmki_mem_failed(gmki_cache_t *c, enum gmk_alloc_kind kind, uint32_t size)
{
    gmk_count_add(&c->n_fails[kind], 1);
    gmki_count(c->obs, 0, GMK_METRIC_ALLOC_FAILS, 1);
    gmki_trace(c->obs, ALLOC_FAIL, NULL, size, c->obs->agent);
    return NULL;
}

GMK_NOINLINE void gmki_mem_bad_free(gmki_cache_t *c, const void *p)
{
    uintptr_t off = (uintptr_t)p - (uintptr_t)c->arena;
    enum gmk_alloc_kind kind = GMK_ALLOC_BLOCK;

    if ((uintptr_t)p - (uintptr_t)c->m->bump < c->m->bump_off.size)
        kind = GMK_ALLOC_BUMP;
    else if (off < (uintptr_t)c->m->classes[GMKI_CLASS_TASK].n_objs << 6)
        kind = GMK_ALLOC_TASK_SLAB;
    gmk_count_add(&c->n_bad_frees[kind], 1);
    gmki_count(c->obs, 0, GMK_METRIC_ALLOC_BAD_FREES, 1);
    gmki_trace(c->obs, BAD_FREE, NULL, c->obs->agent, (uint32_t)(uintptr_t)p);
    DEBUG_BAD_FREE(p);
}

GMK_FN void *object_at(const gmki_cache_t *c, uint32_t granule)
{
    return c->arena + ((size_t)granule << GMKI_GRANULE_SHIFT);
}

/* The depot. -------------------------------------------------------------------- */

/* Up to a batch of objects that were never handed out. The cursor never passes the
 * end: no overshoot to undo. */
static uint32_t class_carve(gmki_class_t *cl, uint32_t *first)
{
    uint32_t at = gmk_load_rlx(&cl->carved, GMK_DEV); /* relaxed: only a number is shared */
    uint32_t n;

    do {
        n = gmk_min32(cl->n_objs - at, cl->batch);
        if (n == 0)
            return 0;
    } while (!gmk_cas_rlx(&cl->carved, &at, at + n, GMK_DEV)); /* relaxed: as above */
    *first = at;
    return n;
}

/* Fills an empty stack with a batch, used ones first: they may be in a cache.
 * returns: false if the class has none. */
static bool bin_refill(gmki_bin_t *b, gmki_class_t *cl)
{
    uint32_t node = gmk_freelist_pop(&cl->full, cl->next, GMK_DEV);
    uint32_t step = cl->shift - GMKI_GRANULE_SHIFT;
    uint32_t n = cl->batch;
    uint32_t first = 0;

    if (node != GMK_FREELIST_NONE) {
        gmk_hal_memcpy(b->obj + 1, &cl->slots[(size_t)node * n], n * sizeof(b->obj[0]));
        gmk_freelist_push(&cl->empty, cl->next, node, GMK_DEV);
    } else {
        n = class_carve(cl, &first);
        for (uint32_t i = 0; i < n; i++)
            b->obj[1 + i] = cl->first + ((first + n - 1 - i) << step);
    }
    gmk_store_rlx(&b->top, b->obj + n, GMK_DEV); /* relaxed: a statistic to others */
    gmk_count_add(&b->n_moved, n);
    return n != 0;
}

/* Gives the oldest batch of an overfull stack to the depot. returns: false if there is
 * no node, which proves that more objects are free than exist. */
static bool bin_flush(gmki_bin_t *b, gmki_class_t *cl)
{
    uint32_t node = gmk_freelist_pop(&cl->empty, cl->next, GMK_DEV);
    uint32_t batch = cl->batch;
    uint32_t left = gmki_bin_held(b) - batch;

    if (node == GMK_FREELIST_NONE)
        return false;
    gmk_hal_memcpy(&cl->slots[(size_t)node * batch], b->obj + 1, batch * sizeof(b->obj[0]));
    gmk_freelist_push(&cl->full, cl->next, node, GMK_DEV);
    for (uint32_t i = 1; i <= left; i++)
        b->obj[i] = b->obj[i + batch];
    gmk_store_rlx(&b->top, b->obj + left, GMK_DEV); /* relaxed: a statistic to others */
    gmk_count_add(&b->n_moved, 0 - (uint64_t)batch);
    return true;
}

/* Strikes the top entry of a stack out, which was freed twice, and that free with it. */
static GMK_NOINLINE void bin_strike(gmki_cache_t *c, gmki_bin_t *b)
{
    uint32_t *top = gmk_load_rlx(&b->top, GMK_DEV); /* relaxed: the owner's own */

    gmk_store_rlx(&b->top, top - 1, GMK_DEV); /* relaxed: a statistic to others */
    gmk_count_add(&b->kind->room, 0 - b->bytes);
    gmki_mem_bad_free(c, object_at(c, *top));
}

/* Allocation. ------------------------------------------------------------------- */

/* A top that is not live: the stack has an object, and it is free. */
GMK_FN bool top_is_free(const gmki_cache_t *c, const uint32_t *top, uint32_t k)
{
    /* relaxed: the object came by this cache or the depot, and so did its state */
    return gmk_load_rlx(&c->state[*top], GMK_DEV) != k + 1;
}

/* Makes the top free and returns it. A live object on the stack was freed by two
 * threads at one instant: this is the second entry. Null if the class is spent. */
static uint32_t *bin_ready(gmki_cache_t *c, gmki_bin_t *b, uint32_t k)
{
    for (;;) {
        uint32_t *top = gmk_load_rlx(&b->top, GMK_DEV); /* relaxed: the owner's own */

        if (top_is_free(c, top, k))
            return top;
        if (top != b->obj)
            bin_strike(c, b);
        else if (!bin_refill(b, &c->m->classes[k]))
            return NULL;
    }
}

/* Takes the top object of class k, which is free. */
GMK_FN void *bin_take(gmki_cache_t *c, gmki_bin_t *b, uint32_t k, uint32_t *top)
{
    gmki_state_t *state = &c->state[*top];
    void *p = object_at(c, *top);
    gmki_kind_t *kind = b->kind;
    uint64_t bytes = b->bytes;
    uint64_t room;

    gmk_store_rlx(&b->top, top - 1, GMK_DEV); /* relaxed: a statistic to others */
    debug_alloc(p, bytes, state);
    gmk_store_rlx(state, (gmki_state_t)(k + 1), GMK_DEV); /* relaxed: goes with the pointer */
    gmk_count_add(&b->n_allocs, 1);
    gmk_count_add(c->n_bytes, bytes);
    room = gmk_count_get(&kind->room) - bytes;
    if (GMK_UNLIKELY((int64_t)room < 0)) {
        gmk_count_add(&kind->peak, 0 - room);
        room = 0;
    }
    gmk_store_rlx(&kind->room, room, GMK_DEV); /* relaxed: a statistic */
    return p;
}

static GMK_NOINLINE void *alloc_slow(gmki_cache_t *c, uint32_t size, uint32_t first)
{
    for (uint32_t k = first; k != GMKI_CLASSES; k = class_after(k)) {
        uint32_t *top = bin_ready(c, &c->bin[k], k);

        if (top != NULL)
            return bin_take(c, &c->bin[k], k, top);
    }
    return gmki_mem_failed(c, gmki_class_kind(first), size);
}

void *gmki_alloc(gmki_cache_t *c, uint32_t size)
{
    uint32_t k = (uint32_t)__builtin_clz(((size - 1) >> 4) | 1) ^ 31u;
    gmki_bin_t *b;
    uint32_t *top;

    if (GMK_UNLIKELY(size - 1 >= GMK_BLOCK_MAX))
        return gmki_mem_failed(c, GMK_ALLOC_BLOCK, size);
    if (GMK_UNLIKELY(GMK_FAULT(GMK_FAULT_ALLOC)))
        return gmki_mem_failed(c, gmki_class_kind(k), size);
    b = &c->bin[k];
    top = gmk_load_rlx(&b->top, GMK_DEV); /* relaxed: the owner's own */
    if (GMK_UNLIKELY(!top_is_free(c, top, k)))
        return alloc_slow(c, size, k);
    return bin_take(c, b, k, top);
}

/* Freeing. ---------------------------------------------------------------------- */

/* Marks an object free. returns: what it was, 1 + class if it was live. */
GMK_FN uint32_t object_free(gmki_state_t *state)
{
#if defined(GMK_DEBUG)
    gmki_state_t was = gmk_load_rlx(state, GMK_DEV); /* relaxed: only who wins matters */

    while (was - 1u < GMKI_CLASSES && !gmk_cas_rlx(state, &was, GMKI_FREED, GMK_DEV))
        ; /* relaxed: as above */
    return was;
#else
    uint32_t was = gmk_load_rlx(state, GMK_DEV); /* relaxed: goes with the pointer */

    if (GMK_LIKELY(was - 1u < GMKI_CLASSES))
        gmk_store_rlx(state, GMKI_FREED, GMK_DEV); /* relaxed: goes with the depot */
    return was;
#endif
}

static GMK_NOINLINE bool free_bad(gmki_cache_t *c, const void *p)
{
    if (p != NULL)
        gmki_mem_bad_free(c, p);
    return false;
}

/* The stack is overfull. Without a node for the batch the last free was a bad one. */
static GMK_NOINLINE bool free_overfull(gmki_cache_t *c, uint32_t k)
{
    if (bin_flush(&c->bin[k], &c->m->classes[k]))
        return true;
    bin_strike(c, &c->bin[k]);
    return false;
}

bool gmki_free_checked(gmki_cache_t *c, void *p)
{
    /* Rotated, an offset that is below the arena, beyond it, or not a multiple of the
     * granule is a number beyond the last granule: one comparison. */
    uint64_t off = (uint64_t)((uintptr_t)p - (uintptr_t)c->arena);
    uint64_t granule = off >> GMKI_GRANULE_SHIFT | off << (64 - GMKI_GRANULE_SHIFT);
    gmki_bin_t *b;
    uint32_t *top;
    uint32_t k;

    if (GMK_UNLIKELY(granule >= c->n_granules))
        return free_bad(c, p);
    k = object_free(&c->state[granule]) - 1;
    if (GMK_UNLIKELY(k >= GMKI_CLASSES))
        return free_bad(c, p);
    b = &c->bin[k];
    debug_free(p, b->bytes);
    top = gmk_load_rlx(&b->top, GMK_DEV) + 1; /* relaxed: the owner's own */
    *top = (uint32_t)granule;
    gmk_store_rlx(&b->top, top, GMK_DEV); /* relaxed: a statistic to others */
    gmk_count_add(&b->kind->room, b->bytes);
    if (GMK_UNLIKELY(top > b->limit))
        return free_overfull(c, k);
    return true;
}

void gmki_free(gmki_cache_t *c, void *p) { (void)gmki_free_checked(c, p); }
