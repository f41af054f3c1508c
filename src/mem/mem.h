/* SPDX-License-Identifier: MIT
 * Memory of one kernel: an arena, a cache of free objects for each agent, payloads.
 * Floor: F3.
 * Invariants: arena = 12 block bins 68% | task slab 10% | traces 2% | bump 20%. A bin's
 *   n_objs objects are each fresh (number >= carved), live, in one cache, or in one
 *   full batch of the depot; a node of the depot stands for `batch` free objects, so
 *   n_objs / batch nodes always suffice.
 * Threads: a cache has one owner at a time (handed over with a happens-before edge);
 *   free takes objects of any cache; statistics are read by anybody.
 * Order: labels mem.caches and payload.refs; those of prim/freelist.h and prim/bump.h.
 * Source: SPEC E, CH-38 to CH-47; Bonwick and Adams, Magazines and Vmem (2001). */
#ifndef GMKI_MEM_H
#define GMKI_MEM_H

#include "ggmk/alloc.h"
#include "ggmk/prim/bump.h"
#include "ggmk/prim/freelist.h"
#include "obs/obs.h"

/* A class is a set of objects of one size. Classes 0..11 serve the requests of up to
 * 32 << class bytes; 64-byte requests find the task slab there, and the block bin of
 * 64 bytes, which they fall through to, is number 12. */
#define GMKI_CLASS_TASK 1u
#define GMKI_CLASS_BLOCK64 12u
#define GMKI_CLASSES 13u

#define GMKI_BATCH_MAX 64u                   /* objects that move at once */
#define GMKI_BATCH_BYTES 262144u             /* at most */
#define GMKI_CACHE_MAX (2u * GMKI_BATCH_MAX) /* free objects of a class in a cache */

#define GMKI_ARENA_MIN 65536u /* the smallest arena; bins above 2 KiB are empty in it */
#define GMKI_ARENA_MAX ((uint64_t)1 << 36)
#define GMKI_POOLS 8u /* number 0 is the arena */

GMK_STATIC_ASSERT(GMKI_CLASSES == GMK_BLOCK_BINS + 1, "the bins and the task slab");
GMK_STATIC_ASSERT(GMKI_CACHE_MAX < 255, "a stack's height is a byte");

/* What an object is. The states of a class stand side by side, by number, eight in a line: those
 * that an agent works with stay in its cache. Bytes, 64 in a line, were a third slower across
 * far cores, where one agent allocates neighbours of what another frees. Fresh: never handed out.
 */
typedef gmk_a64_t gmki_state_t;
enum { GMKI_FRESH, GMKI_LIVE, GMKI_FREED };

/* The spans of the block bins have equal length, and the task slab behind them is less than
 * three such: which span an address lies in is a multiplication. With recip = ceil(2^60 / span),
 *   offset * recip >> 60 == offset / span   for every object of an arena of 16 GiB or less:
 * what recip is too large by adds less than offset / 2^60 spans, offset * span / 2^60 < 32 bytes,
 * and an object ends, so begins, at least 32 bytes before the next span. Larger arenas leave
 * GMKI_SPAN_SLACK bytes at the end of each span free. An address outside the objects selects
 * some span; the bin's own check refuses it. */
#define GMKI_SPANS 16u
#define GMKI_SPAN_SLAB GMK_BLOCK_BINS /* the first of the slab's */
#define GMKI_SPAN_EXACT ((uint64_t)1 << 34)
#define GMKI_SPAN_SLACK 512u
GMK_STATIC_ASSERT(GMK_ARENA_TASK_PCT *GMK_BLOCK_BINS <
                      (GMKI_SPANS - GMK_BLOCK_BINS - 1) * GMK_ARENA_BLOCK_PCT,
                  "the slab fits into the spans that are left");

GMK_FN uint64_t gmki_span_recip(uint64_t span) { return (((uint64_t)1 << 60) + span - 1) / span; }

GMK_FN uint32_t gmki_span_of(uint64_t off, uint64_t recip) { return (uint32_t)(off * recip >> 60); }

/* A class as all agents share it. */
typedef struct gmki_class {
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_freelist_t full; /* nodes that hold a batch */
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_freelist_t empty;
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t carved; /* objects ever taken from fresh memory */
    uint32_t n_objs;
    char *base;          /* object 0 */
    gmki_state_t *state; /* by object */
    uint32_t shift;      /* an object has 1 << shift bytes */
    uint32_t batch;
    uint32_t cap;    /* of a cache: 0 (none), 1, or 2 * batch */
    gmk_a32_t *next; /* by node */
    uint32_t *slots; /* node n holds slots[n * batch ...] */
} gmki_class_t;

/* Bytes of a kind: this agent's live bytes, allocated minus freed (below zero if it
 * frees what others took), are peak - room. Room falls with each allocation, and what
 * would take it below zero raises peak instead. */
typedef struct gmki_kind {
    gmk_a64_t room;
    gmk_a64_t peak;
} gmki_kind_t;

/* A class in one agent's cache: a stack of free objects, the newest on top. One word says how
 * many it has allocated and how many it holds, so that a call writes one.
 *   held <= limit between two calls.
 *   live == n_moved - held: what this agent took less what it freed, so frees need no counter. */
typedef struct gmki_bin {
    GMK_ALIGNAS(GMK_CACHE_LINE) gmk_a64_t word; /* n_allocs << 8 | held */
    char *base;                                 /* object 0 */
    gmki_state_t *state;                        /* by object */
    uint64_t bytes;                             /* of an object: 1 << shift */
    uint64_t n_objs;                            /* 0: the bin of sizes that there are not */
    gmki_kind_t *kind;
    uint8_t shift;
    uint8_t limit;
    uint8_t class;
    uint32_t obj[GMKI_CACHE_MAX + 1];
    gmk_a64_t n_moved; /* objects taken from the depot minus given to it */
    uint64_t n_told;   /* allocations that GMK_METRIC_ALLOC_BYTES has */
} gmki_bin_t;

/* One agent's memory. Counters have one writer, the owner. */
typedef struct gmki_cache {
    GMK_ALIGNAS(GMK_FALSE_SHARING) char *arena;
    uint64_t recip;                  /* offset * recip >> 60 is the span's number */
    gmki_bin_t *by_span[GMKI_SPANS]; /* whose objects lie there */
    gmki_bin_t *by_log[32];          /* that serve sizes - 1 of this logarithm */
    GMK_ALIGNAS(GMK_CACHE_LINE) gmk_alloc_t *m;
    gmki_obs_t *obs;
    gmk_a64_t *n_bytes;   /* GMK_METRIC_ALLOC_BYTES in obs's row: no other cache adds to it */
    gmki_kind_t kind[2];  /* GMK_ALLOC_TASK_SLAB, GMK_ALLOC_BLOCK */
    gmk_a64_t n_payloads; /* made here minus freed here */
    gmk_a64_t n_fails[GMK_ALLOC_KINDS];
    gmk_a64_t n_bad_frees[GMK_ALLOC_KINDS];
    gmk_a64_t n_bumps;
    gmk_a64_t n_bump_bytes;
    gmki_bin_t bin[GMKI_CLASSES + 1]; /* the last is empty, for what is of no class */
} gmki_cache_t;

/* Frees a payload of another pool than the arena. */
typedef void (*gmki_pool_free_fn)(void *pool_ctx, gmki_cache_t *c, void *payload);

typedef struct gmki_pool {
    char *base;
    size_t bytes;
    gmki_pool_free_fn fn;
    void *ctx;
} gmki_pool_t;

struct gmk_alloc {
    gmki_class_t classes[GMKI_CLASSES];
    gmk_bumpoff_t bump_off;
    gmk_a64_t n_resets;
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t n_caches;
    uint32_t n_agents;
    gmk_a64_t *caches; /* addresses of gmki_cache_t; 0: not yet */
    char *arena;
    size_t arena_bytes;
    char *meta; /* caches, states and nodes, outside the arena */
    size_t meta_bytes;
    size_t span_bytes;    /* of a block bin */
    size_t objects_bytes; /* of blocks and task slab, from the arena's start */
    uint32_t n_pools;
    char *trace;
    size_t trace_bytes;
    char *bump; /* bump_off.size bytes */
    gmki_pool_t pools[GMKI_POOLS];
};

/* Reserves the arena and makes every object free. n_agents: how many caches there
 * will be. returns: GMK_OK; GMK_E_INVALID: null, no agent, or not GMKI_ARENA_MIN <=
 * arena_bytes <= GMKI_ARENA_MAX; GMK_ALLOC_FAIL: the machine has no such memory. */
GMK_NODISCARD int gmki_mem_init(gmk_alloc_t *m, size_t arena_bytes, uint32_t n_agents);

/* Gives the arena back. Harmless on a zeroed m. pre: nobody uses m or its memory. */
void gmki_mem_fini(gmk_alloc_t *m);

/* Makes c an empty cache of m. For a c that is a cache of m already only obs changes:
 * objects and counters stay. pre: n_agents is not exceeded; c outlives m's use; obs is
 * the owner's. threads: the owner, beside others that set up or use theirs. */
void gmki_cache_setup(gmki_cache_t *c, gmk_alloc_t *m, gmki_obs_t *obs);

/* size bytes, aligned to 16 (64 from 64 bytes on, 32 below), uninitialised. Null: size
 * is 0 or above GMK_BLOCK_MAX, or its bin and all larger ones are spent (of what this
 * cache and the depot hold: other caches keep up to two batches). Null is counted for
 * the allocator that the size selects, and traced. threads: c's owner.
 * cost: a dozen instructions; every batch-th call a compare-and-swap or two. */
void *gmki_alloc(gmki_cache_t *c, uint32_t size);

/* Gives memory of any cache back. Null is harmless. Foreign, interior and free
 * pointers are counted, traced and ignored (panic in DEBUG). Two frees of one object
 * at the same instant may both pass here; the copy is then found before the object is
 * handed out again, unless two caches take both copies at one instant too. threads: c's
 * owner. cost: as gmki_alloc. */
GMK_FN void gmki_free(gmki_cache_t *c, void *p);

/* The same; returns false if p was bad. */
bool gmki_free_checked(gmki_cache_t *c, void *p);

GMK_FN void gmki_free(gmki_cache_t *c, void *p) { (void)gmki_free_checked(c, p); }

/* size bytes aligned to 16 until the next reset; null when size is 0 or does not fit.
 * threads: c's owner; the region is shared by all. cost: one compare-and-swap. */
void *gmki_bump(gmki_cache_t *c, uint32_t size);

/* Empties the bump region. pre: no bump pointer is in use and nobody bumps. */
void gmki_bump_reset(gmk_alloc_t *m);

/* A payload of len bytes (1..GMK_PAYLOAD_MAX), aligned to 16, with one reference. */
void *gmki_payload_alloc(gmki_cache_t *c, uint32_t len);

/* n more references. pre: the caller holds one. A pointer that is no live payload is
 * counted as a bad free, traced and ignored (panic in DEBUG); null is harmless. */
void gmki_payload_retain(gmki_cache_t *c, void *payload, uint32_t n);

/* One reference less; the last one frees. Bad pointers as in retain. threads: any
 * cache's owner. order: what one holder did before its release happens before the
 * memory is used again (payload.refs). */
void gmki_payload_release(gmki_cache_t *c, void *payload);

/* Adds a pool of payloads in [base, base + bytes): releasing the last reference of a
 * payload whose header stands there and names the pool calls fn. Its owner writes the
 * header by gmki_payload_hdr_init each time it hands a payload out.
 * returns: the pool's number, from 1; GMK_E_LIMIT; GMK_E_INVALID. threads: boot only. */
GMK_NODISCARD int gmki_pool_add(gmk_alloc_t *m, void *base, size_t bytes, gmki_pool_free_fn fn,
                                void *pool_ctx);

/* Writes the header of a payload with one reference. */
GMK_FN void gmki_payload_hdr_init(gmk_payload_hdr_t *h, uint32_t pool, uint32_t bin, uint32_t len)
{
    gmk_store_rlx(&h->refs, 1, GMK_DEV); /* relaxed: whatever hands the payload on orders */
    h->pool = (uint16_t)pool;
    h->bin = (uint16_t)bin;
    h->length = len;
    h->canary = GMK_PAYLOAD_CANARY;
}

/* The arena's share for trace rings, aligned to 64. */
void *gmki_mem_trace_region(gmk_alloc_t *m, size_t *bytes);

/* Exact when no agent is inside a call, else recent. Fails are calls that returned
 * null, each counted once, so their sum over the kinds is what callers saw. Bad frees
 * are counted for the slab or the bump region if the pointer lies there, else for the
 * blocks. n_frees of the bump allocator counts resets. bytes_high_water is exact while
 * one thread allocates and frees, otherwise an upper bound.
 * returns: GMK_OK, GMK_E_INVALID. threads: any. */
GMK_NODISCARD int gmki_mem_stats(const gmk_alloc_t *m, enum gmk_alloc_kind kind,
                                 gmk_alloc_stats_t *out);

/* Fragmentation of the blocks in 1/1000, by the formula at gmk_kernel_info_t. threads:
 * any; as exact as gmki_mem_stats. */
uint32_t gmki_mem_frag(const gmk_alloc_t *m);

/* Bytes handed out, rounded to their bins: what GMK_METRIC_ALLOC_BYTES will say when each bin
 * has met the depot. Exact when no agent is inside a call. threads: any. */
uint64_t gmki_cache_bytes(const gmki_cache_t *c);
uint64_t gmki_mem_bytes(const gmk_alloc_t *m); /* of all caches */

/* Payloads of the arena that have not been freed. As exact as gmki_mem_stats. */
uint64_t gmki_payloads_live(const gmk_alloc_t *m);

/* Private to src/mem: counts and traces a refused request, a bad pointer. */
void *gmki_mem_failed(gmki_cache_t *c, enum gmk_alloc_kind kind, uint32_t size);
void gmki_mem_bad_free(gmki_cache_t *c, const void *p);

/* Private to src/mem: the allocator that a class belongs to. */
GMK_FN enum gmk_alloc_kind gmki_class_kind(uint32_t k)
{
    return k == GMKI_CLASS_TASK ? GMK_ALLOC_TASK_SLAB : GMK_ALLOC_BLOCK;
}

/* Private to src/mem: the bin that an object at p would belong to. */
GMK_FN gmki_bin_t *gmki_mem_bin(gmki_cache_t *c, const void *p)
{
    return c->by_span[gmki_span_of((uintptr_t)p - (uintptr_t)c->arena, c->recip)];
}

/* Private to src/mem: the parts of a bin's word, a recent value to others. */
GMK_FN uint32_t gmki_bin_held(const gmki_bin_t *b) { return gmk_count_get(&b->word) & 0xff; }
GMK_FN uint64_t gmki_bin_allocs(const gmki_bin_t *b) { return gmk_count_get(&b->word) >> 8; }

/* Private to src/mem: the i-th registered cache, or null. */
GMK_FN gmki_cache_t *gmki_mem_cache(const gmk_alloc_t *m, uint32_t i)
{
    return (gmki_cache_t *)(uintptr_t)gmk_load_acq(&m->caches[i], GMK_DEV); /* sync: mem.caches */
}

#endif
