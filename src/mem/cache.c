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

static void debug_alloc(char *at, uint64_t bytes, uint32_t state)
{
    const unsigned char *p = (const unsigned char *)at;

    for (uint64_t i = 0; state == GMKI_FREED && i < bytes; i++) {
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
    else if (off < c->m->objects_bytes && gmki_mem_bin(c, p)->class == GMKI_CLASS_TASK)
        kind = GMK_ALLOC_TASK_SLAB;
    gmk_count_add(&c->n_bad_frees[kind], 1);
    gmki_count(c->obs, 0, GMK_METRIC_ALLOC_BAD_FREES, 1);
    gmki_trace(c->obs, BAD_FREE, NULL, c->obs->agent, (uint32_t)(uintptr_t)p);
    DEBUG_BAD_FREE(p);
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

/* Brings the counter of bytes handed out up to date. */
static void bin_tell(const gmki_cache_t *c, gmki_bin_t *b)
{
    uint64_t n = gmki_bin_allocs(b);

    gmk_count_add(c->n_bytes, (n - b->n_told) * b->bytes);
    b->n_told = n;
}

/* Fills an empty stack with a batch, used ones first: they may be in a cache.
 * returns: false if the class has none. */
static bool bin_refill(const gmki_cache_t *c, gmki_bin_t *b)
{
    gmki_class_t *cl = &c->m->classes[b->class];
    uint32_t node = gmk_freelist_pop(&cl->full, cl->next, GMK_DEV);
    uint32_t n = cl->batch;
    uint32_t first = 0;

    if (node != GMK_FREELIST_NONE) {
        gmk_hal_memcpy(b->obj, &cl->slots[(size_t)node * n], n * sizeof(b->obj[0]));
        gmk_freelist_push(&cl->empty, cl->next, node, GMK_DEV);
    } else {
        n = class_carve(cl, &first);
        for (uint32_t i = 0; i < n; i++)
            b->obj[i] = first + n - 1 - i;
    }
    gmk_count_add(&b->word, n);
    gmk_count_add(&b->n_moved, n);
    bin_tell(c, b);
    return n != 0;
}

/* Gives the oldest batch of an overfull stack to the depot. returns: false if there is
 * no node, which proves that more objects are free than exist. */
static bool bin_flush(const gmki_cache_t *c, gmki_bin_t *b)
{
    gmki_class_t *cl = &c->m->classes[b->class];
    uint32_t node = gmk_freelist_pop(&cl->empty, cl->next, GMK_DEV);
    uint32_t batch = cl->batch;
    uint32_t left = gmki_bin_held(b) - batch;

    if (node == GMK_FREELIST_NONE)
        return false;
    gmk_hal_memcpy(&cl->slots[(size_t)node * batch], b->obj, batch * sizeof(b->obj[0]));
    gmk_freelist_push(&cl->full, cl->next, node, GMK_DEV);
    for (uint32_t i = 0; i < left; i++)
        b->obj[i] = b->obj[i + batch];
    gmk_count_add(&b->word, 0 - (uint64_t)batch);
    gmk_count_add(&b->n_moved, 0 - (uint64_t)batch);
    bin_tell(c, b);
    return true;
}

/* Strikes the top entry of a stack out, which was freed twice, and that free with it. */
static GMK_NOINLINE void bin_strike(gmki_cache_t *c, gmki_bin_t *b)
{
    uint32_t held = gmki_bin_held(b);

    gmk_count_add(&b->word, (uint64_t)-1);
    gmk_count_add(&b->kind->room, 0 - b->bytes);
    gmki_mem_bad_free(c, b->base + (size_t)b->obj[held - 1] * b->bytes);
}

/* Allocation. ------------------------------------------------------------------- */

/* A live object on a stack was freed by two threads at one instant: this is the second entry. */
GMK_FN bool is_live(const gmki_bin_t *b, uint64_t at)
{
    /* relaxed: the object came by this cache or the depot, and so did its state */
    return gmk_load_rlx(&b->state[at], GMK_DEV) == GMKI_LIVE;
}

/* Readies a stack: it has an object, and the top one is free. returns: false if the class is
 * spent. */
static bool bin_ready(gmki_cache_t *c, gmki_bin_t *b)
{
    for (;;) {
        uint32_t held = gmki_bin_held(b);

        if (held != 0 && !is_live(b, b->obj[held - 1]))
            return true;
        if (held != 0)
            bin_strike(c, b);
        else if (!bin_refill(c, b))
            return false;
    }
}

/* Takes object `at`, the top one. */
GMK_FN void *bin_take(gmki_bin_t *b, uint64_t word, uint64_t at)
{
    void *p = b->base + at * b->bytes;
    gmki_kind_t *kind = b->kind;
    uint64_t room;

    debug_alloc(p, b->bytes, gmk_load_rlx(&b->state[at], GMK_DEV)); /* relaxed: it is ours */
    gmk_store_rlx(&b->state[at], GMKI_LIVE, GMK_DEV);      /* relaxed: goes with the pointer */
    gmk_store_rlx(&b->word, word + (1 << 8) - 1, GMK_DEV); /* relaxed: a statistic to others */
    room = gmk_count_get(&kind->room) - b->bytes;
    if (GMK_UNLIKELY((int64_t)room < 0)) {
        gmk_count_add(&kind->peak, 0 - room);
        room = 0;
    }
    gmk_store_rlx(&kind->room, room, GMK_DEV); /* relaxed: a statistic */
    return p;
}

static GMK_NOINLINE void *alloc_slow(gmki_cache_t *c, uint32_t size)
{
    uint32_t first;

    if (size - 1 >= GMK_BLOCK_MAX)
        return gmki_mem_failed(c, GMK_ALLOC_BLOCK, size);
    first = c->by_log[gmk_log2_floor((size - 1) | (GMK_BLOCK_MIN - 1))]->class;
    for (uint32_t k = first; k != GMKI_CLASSES; k = class_after(k)) {
        gmki_bin_t *b = &c->bin[k];

        if (bin_ready(c, b)) {
            uint64_t word = gmk_count_get(&b->word);

            return bin_take(b, word, b->obj[(uint8_t)word - 1]);
        }
    }
    return gmki_mem_failed(c, gmki_class_kind(first), size);
}

void *gmki_alloc(gmki_cache_t *c, uint32_t size)
{
    gmki_bin_t *b = c->by_log[gmk_log2_floor((size - 1) | (GMK_BLOCK_MIN - 1))];
    uint64_t word = gmk_count_get(&b->word);
    uint64_t at;

    if (GMK_UNLIKELY(GMK_FAULT(GMK_FAULT_ALLOC)) && size - 1 < GMK_BLOCK_MAX)
        return gmki_mem_failed(c, gmki_class_kind(b->class), size);
    if (GMK_UNLIKELY((uint8_t)word == 0))
        return alloc_slow(c, size);
    at = *(b->obj + (size_t)(uint8_t)word - 1);
    if (GMK_UNLIKELY(is_live(b, at)))
        return alloc_slow(c, size);
    return bin_take(b, word, at);
}

/* Freeing. ---------------------------------------------------------------------- */

/* Marks an object free. returns: it was live. */
GMK_FN bool object_free(gmki_state_t *state)
{
#if defined(GMK_DEBUG)
    gmki_state_t was = GMKI_LIVE;

    return gmk_cas_rlx(state, &was, GMKI_FREED, GMK_DEV); /* relaxed: only who wins matters */
#else
    if (GMK_UNLIKELY(gmk_load_rlx(state, GMK_DEV) != GMKI_LIVE)) /* relaxed: as the store */
        return false;
    gmk_store_rlx(state, GMKI_FREED, GMK_DEV); /* relaxed: goes with the depot */
    return true;
#endif
}

static GMK_NOINLINE bool free_bad(gmki_cache_t *c, const void *p)
{
    if (p != NULL)
        gmki_mem_bad_free(c, p);
    return false;
}

/* The stack is overfull. Without a node for the batch the last free was a bad one. */
static GMK_NOINLINE bool free_overfull(gmki_cache_t *c, gmki_bin_t *b)
{
    if (bin_flush(c, b))
        return true;
    bin_strike(c, b);
    return false;
}

bool gmki_free_checked(gmki_cache_t *c, void *p)
{
    gmki_bin_t *b = gmki_mem_bin(c, p);
    uint64_t off = (uint64_t)((uintptr_t)p - (uintptr_t)b->base);
    /* Rotated, an offset that is below the class, beyond it, or not a multiple of the
     * size is a number beyond the last object: one comparison. */
    uint64_t at = off >> b->shift | off << (-b->shift & 63);
    uint64_t word;

    if (GMK_UNLIKELY(at >= b->n_objs) || GMK_UNLIKELY(!object_free(&b->state[at])))
        return free_bad(c, p);
    debug_free(p, b->bytes);
    word = gmk_count_get(&b->word);
    b->obj[(size_t)(uint8_t)word] = (uint32_t)at;
    gmk_store_rlx(&b->word, word + 1, GMK_DEV); /* relaxed: a statistic to others */
    gmk_count_add(&b->kind->room, b->bytes);
    if (GMK_UNLIKELY((uint8_t)word >= b->limit))
        return free_overfull(c, b);
    return true;
}
