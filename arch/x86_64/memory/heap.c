/* SPDX-License-Identifier: MIT
 * Kernel heap: small objects from slabs, large ones by pages. See vmm.h.
 * Floor: port.
 * Invariants: kinds[i] says what page i of the window is; `space` has a bit for each page that
 *   is HEAP_FREE. A slab stands in its class's list while it has both live and free objects,
 *   and one empty slab of a class may.
 * Pages are reserved and freed without the lock; kinds says whose they are meanwhile. */
#include "heap.h"

#include "backing.h"
#include "frames.h"
#include "machine.h"
#include "slab.h"
#include "vmm.h"

#define PAGES (MEM_HEAP_BYTES / MEM_PAGE)
#define SLAB_PAGES (SLAB_BYTES / MEM_PAGE)

enum { HEAP_FREE, HEAP_SLAB, HEAP_LARGE, HEAP_REST, HEAP_DYING };

static struct {
    mem_lock_t lock;
    frames_t space;
    slab_t *partial[SLAB_CLASSES];
    uint64_t words[PAGES / 64 + PAGES / 4096]; /* of space */
    uint8_t kinds[PAGES];                      /* of the first page; HEAP_REST behind it */
    gmk_a64_t used;                            /* bytes */
    gmk_a64_t pages;
    gmk_a64_t n_oom;
    gmk_a64_t n_bad_frees;
} heap;

GMK_STATIC_ASSERT(PAGES % 4096 == 0, "words holds the maps of PAGES");

void heap_init(void)
{
    frames_init(&heap.space, heap.words, PAGES);
    frames_set(&heap.space, 0, PAGES);
}

/* Pages. ------------------------------------------------------------------------------------- */

static void *at_page(uint64_t page) { return (void *)(MEM_HEAP_BASE + page * MEM_PAGE); }

static uint64_t page_of(const void *p) { return ((uintptr_t)p - MEM_HEAP_BASE) / MEM_PAGE; }

static bool in_heap(const void *p)
{
    return (uintptr_t)p >= MEM_HEAP_BASE && (uintptr_t)p - MEM_HEAP_BASE < MEM_HEAP_BYTES;
}

static uint64_t take_space(uint64_t pages, uint64_t align, uint8_t kind)
{
    uint64_t flags = mem_lock(&heap.lock);
    uint64_t first = frames_take_run(&heap.space, (frames_want_t){pages, align, PAGES});

    for (uint64_t i = 0; first != FRAMES_NONE && i < pages; i++)
        heap.kinds[first + i] = i == 0 ? kind : HEAP_REST;
    mem_unlock(&heap.lock, flags);
    return first;
}

static void put_space(uint64_t first, uint64_t pages)
{
    uint64_t flags = mem_lock(&heap.lock);

    for (uint64_t i = first; i < first + pages; i++)
        heap.kinds[i] = HEAP_FREE;
    frames_set(&heap.space, first, pages);
    mem_unlock(&heap.lock, flags);
}

void heap_space_back(const backing_range_t *r)
{
    put_space(page_of((const void *)r->virt), r->pages);
}

static backing_range_t range_of(uint64_t first, uint64_t pages)
{
    return (backing_range_t){(uintptr_t)at_page(first), pages, 0, true};
}

static void *try_pages(uint64_t pages, uint64_t align, uint8_t kind)
{
    uint64_t first = take_space(pages, align, kind);
    backing_range_t r = range_of(first, pages);

    if (first == FRAMES_NONE)
        return NULL;
    if (backing_reserve(&r, false) != 0) {
        put_space(first, pages);
        return NULL;
    }
    gmk_add_rlx(&heap.pages, pages, GMK_DEV); /* relaxed: a statistic */
    return at_page(first);
}

/* Demand-zero pages. What has been freed and waits for its shootdown is used at need. */
static void *alloc_pages(uint64_t pages, uint64_t align, uint8_t kind)
{
    void *p = try_pages(pages, align, kind);

    if (p == NULL && backing_reap())
        p = try_pages(pages, align, kind);
    if (p == NULL)
        gmk_add_rlx(&heap.n_oom, 1, GMK_DEV); /* relaxed: a statistic */
    return p;
}

/* pre: kinds of the first page is HEAP_DYING, so that nobody else frees it. */
static void free_pages(const void *p, uint64_t pages)
{
    backing_range_t r = range_of(page_of(p), pages);

    gmk_sub_rlx(&heap.pages, pages, GMK_DEV); /* relaxed: a statistic */
    backing_free(&r);
}

/* Small objects. ------------------------------------------------------------------------------- */

static void link_slab(slab_t *s)
{
    slab_t **head = &heap.partial[s->class];

    s->prev = NULL;
    s->next = *head;
    if (*head != NULL)
        (*head)->prev = s;
    *head = s;
}

static void unlink_slab(slab_t *s)
{
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        heap.partial[s->class] = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
}

/* pre: the lock is held. returns: an object of a slab at hand, or null. */
static void *take_small(uint32_t class)
{
    slab_t *s = heap.partial[class];
    void *p;

    if (s == NULL)
        return NULL;
    p = slab_take(s);
    if (s->n_live == s->n_objs)
        unlink_slab(s);
    return p;
}

static void *alloc_small(uint32_t class)
{
    uint64_t flags = mem_lock(&heap.lock);
    void *p = take_small(class);
    void *mem;

    mem_unlock(&heap.lock, flags);
    if (p != NULL)
        return p;
    mem = alloc_pages(SLAB_PAGES, SLAB_PAGES, HEAP_SLAB);
    if (mem == NULL)
        return NULL;
    slab_init(mem, class);
    flags = mem_lock(&heap.lock);
    link_slab(mem);
    p = take_small(class);
    mem_unlock(&heap.lock, flags);
    return p;
}

/* pre: the lock is held. returns: false if p is no live object of the class; in *empty a slab
 * to be freed, or null. */
static bool put_small(const void *p, uint32_t class, slab_t **empty)
{
    slab_t *s = (slab_t *)((uintptr_t)p & ~(uintptr_t)(SLAB_BYTES - 1));
    bool was_full;

    *empty = NULL;
    if (heap.kinds[page_of(s)] != HEAP_SLAB)
        return false;
    was_full = s->n_live == s->n_objs;
    if (slab_put(s, class, p) != 0)
        return false;
    if (was_full)
        link_slab(s);
    if (s->n_live == 0 && (s->prev != NULL || s->next != NULL)) {
        unlink_slab(s);
        heap.kinds[page_of(s)] = HEAP_DYING;
        *empty = s;
    }
    return true;
}

static bool free_small(const void *p, uint32_t class)
{
    uint64_t flags = mem_lock(&heap.lock);
    slab_t *empty;
    bool done = put_small(p, class, &empty);

    mem_unlock(&heap.lock, flags);
    if (empty != NULL)
        free_pages(empty, SLAB_PAGES);
    return done;
}

/* Large objects. ----------------------------------------------------------- */

/* True if a large object of that many pages begins at p: it is then marked as dying. */
static bool claim_large(const void *p, uint64_t pages)
{
    uint64_t first = page_of(p);
    uint64_t flags = mem_lock(&heap.lock);
    bool is_one =
        (uintptr_t)p % MEM_PAGE == 0 && pages <= PAGES - first && heap.kinds[first] == HEAP_LARGE;

    for (uint64_t i = 1; is_one && i < pages; i++)
        is_one = heap.kinds[first + i] == HEAP_REST;
    if (is_one && first + pages < PAGES)
        is_one = heap.kinds[first + pages] != HEAP_REST;
    if (is_one)
        heap.kinds[first] = HEAP_DYING;
    mem_unlock(&heap.lock, flags);
    return is_one;
}

static bool free_large(const void *p, uint64_t pages)
{
    if (!claim_large(p, pages))
        return false;
    free_pages(p, pages);
    return true;
}

/* Both. -------------------------------------------------------------------- */

static size_t rounded(size_t bytes)
{
    return bytes <= SLAB_MAX ? slab_size(slab_class(bytes)) : gmk_align_up(bytes, MEM_PAGE);
}

void *kmalloc(size_t bytes)
{
    void *p;

    if (bytes == 0)
        return NULL;
    if (bytes > MEM_HEAP_BYTES) {
        gmk_add_rlx(&heap.n_oom, 1, GMK_DEV); /* relaxed: a statistic */
        return NULL;
    }
    p = bytes <= SLAB_MAX ? alloc_small(slab_class(bytes))
                          : alloc_pages(rounded(bytes) / MEM_PAGE, 1, HEAP_LARGE);
    if (p != NULL)
        gmk_add_rlx(&heap.used, rounded(bytes), GMK_DEV); /* relaxed: a statistic */
    return p;
}

void kfree(void *p, size_t bytes)
{
    bool done;

    if (p == NULL)
        return;
    done = in_heap(p) && bytes != 0 && bytes <= MEM_HEAP_BYTES &&
           (bytes <= SLAB_MAX ? free_small(p, slab_class(bytes))
                              : free_large(p, rounded(bytes) / MEM_PAGE));
    if (done)
        gmk_sub_rlx(&heap.used, rounded(bytes), GMK_DEV); /* relaxed: a statistic */
    else
        gmk_add_rlx(&heap.n_bad_frees, 1, GMK_DEV); /* relaxed: a statistic */
}

size_t vmm_get_heap_used(void)
{
    return gmk_load_rlx(&heap.used, GMK_DEV); /* relaxed: a statistic */
}

heap_stats_t heap_stats(void)
{
    /* relaxed: statistics, each on its own */
    return (heap_stats_t){gmk_load_rlx(&heap.n_oom, GMK_DEV),
                          gmk_load_rlx(&heap.n_bad_frees, GMK_DEV),
                          gmk_load_rlx(&heap.pages, GMK_DEV)};
}
