/* SPDX-License-Identifier: MIT
 * Physical memory. See pmm.h.
 * Floor: port.
 * Frames are numbers here; 0 is never one of the pool's, so it means none.
 * Lock order: a cache's, then the pool's; never two caches'. */
#include "pmm.h"

#include "frames.h"
#include "machine.h"

#define CACHE_MAX 64u  /* frames of a cache, */
#define CACHE_MOVE 32u /* and how many go from and to the pool at once */
#define TAKE_ROUNDS 1024u

/* Frames at hand for one processor, the last freed first. */
typedef struct pmm_cache {
    GMK_ALIGNAS(GMK_FALSE_SHARING) mem_lock_t lock;
    uint32_t n;
    uint32_t frame[CACHE_MAX];
} pmm_cache_t;

static struct {
    mem_lock_t lock; /* of pool */
    frames_t pool;
    gmk_a64_t *used; /* a bit a frame: handed out */
    uint64_t usable; /* frames */
    const mem_region_t *map;
    uint32_t n_map;
    uint64_t n_held; /* frames of the bitmaps */
    gmk_a64_t avail;
    gmk_a64_t reclaimed;
    gmk_a64_t n_refused;
    gmk_a64_t n_bad_frees;
    gmk_a32_t use_caches;
    pmm_cache_t cache[MEM_MAX_CPUS];
} pmm;

/* Start. --------------------------------------------------------------------------------- */

static uint64_t frame_end(const mem_region_t *map, uint32_t n)
{
    uint64_t end = 0;

    for (uint32_t i = 0; i < n; i++)
        if (map[i].type == MEM_USABLE || map[i].type == MEM_LOADER)
            end = (map[i].base + map[i].bytes) / MEM_PAGE;
    return end;
}

/* A usable place for the bitmaps, above 1 MiB if possible: below, memory is dear. */
static uint64_t place_for(const mem_region_t *map, uint32_t n, uint64_t bytes)
{
    uint64_t found = 0;

    for (uint32_t i = 0; i < n && found < 0x100000; i++) {
        uint64_t base = map[i].base < 0x100000 && map[i].base + map[i].bytes > 0x100000 + bytes
                            ? 0x100000
                            : map[i].base;

        if (map[i].type == MEM_USABLE && map[i].base + map[i].bytes - base >= bytes)
            found = base;
    }
    return found;
}

static uint64_t give_regions(uint64_t type, uint64_t skip, uint64_t skip_end)
{
    uint64_t given = 0;

    for (uint32_t i = 0; i < pmm.n_map; i++) {
        uint64_t first = pmm.map[i].base / MEM_PAGE;
        uint64_t end = first + pmm.map[i].bytes / MEM_PAGE;

        if (pmm.map[i].type != type)
            continue;
        if (first <= skip && skip_end <= end) {
            frames_set(&pmm.pool, first, skip - first);
            given += skip - first;
            first = skip_end;
        }
        frames_set(&pmm.pool, first, end - first);
        given += end - first;
    }
    return given;
}

const char *pmm_init(const mem_region_t *map, uint32_t n)
{
    uint64_t n_frames = frame_end(map, n);
    uint64_t used_bytes = (n_frames + 63) / 64 * 8;
    uint64_t held = gmk_align_up(frames_bytes(n_frames) + used_bytes, MEM_PAGE) / MEM_PAGE;
    uint64_t place = place_for(map, n, held * MEM_PAGE);
    char *mem = phys_to_virt(place);

    if (n_frames > UINT32_MAX)
        return "there is memory above 16 TiB";
    if (place == 0)
        return "no usable memory is large enough for the bitmap of frames";
    pmm.map = map;
    pmm.n_map = n;
    pmm.n_held = held;
    frames_init(&pmm.pool, mem, n_frames);
    pmm.used = (gmk_a64_t *)(mem + frames_bytes(n_frames));
    for (uint64_t w = 0; w < used_bytes / 8; w++)
        pmm.used[w] = 0;
    pmm.avail = give_regions(MEM_USABLE, place / MEM_PAGE, place / MEM_PAGE + held);
    pmm.usable = pmm.avail + held;
    for (uint32_t i = 0; i < n; i++)
        pmm.usable += map[i].type == MEM_LOADER ? map[i].bytes / MEM_PAGE : 0;
    return NULL;
}

uint64_t pmm_reclaim(void)
{
    uint64_t flags, given;

    /* sync: x86_pmm.avail */
    if (gmk_xchg_ar(&pmm.reclaimed, 1, GMK_DEV) != 0)
        return 0;
    flags = mem_lock(&pmm.lock);
    given = give_regions(MEM_LOADER, FRAMES_NONE, FRAMES_NONE);
    mem_unlock(&pmm.lock, flags);
    pmm_uncommit(given);
    return given;
}

void pmm_use_caches(void) { gmk_store_rel(&pmm.use_caches, 1, GMK_DEV); /* sync: x86_pmm.caches */ }

/* Promises. ------------------------------------------------------------------------------ */

/* Takes n off what is available. avail says what may be taken, locks order the frames. */
static bool charge(uint64_t n)
{
    uint64_t have = gmk_load_rlx(&pmm.avail, GMK_DEV); /* relaxed: the swap below checks it */

    while (have >= n)
        if (gmk_cas_ar(&pmm.avail, &have, have - n, GMK_DEV)) /* sync: x86_pmm.avail */
            return true;
    gmk_add_rlx(&pmm.n_refused, 1, GMK_DEV); /* relaxed: a statistic */
    return false;
}

int pmm_commit(uint64_t n) { return charge(n) ? 0 : -1; }

void pmm_uncommit(uint64_t n) { gmk_add_ar(&pmm.avail, n, GMK_DEV); /* sync: x86_pmm.avail */ }

uint64_t pmm_commit_free(void)
{
    return gmk_load_rlx(&pmm.avail, GMK_DEV); /* relaxed: old at once */
}

/* The bit that says who has a frame. ------------------------------------------------------- */

static void mark_used(uint64_t frame)
{
    /* sync: x86_pmm.used */
    gmk_or_ar(&pmm.used[frame / 64], 1ull << (frame % 64), GMK_DEV);
}

/* returns: false if the frame was not handed out: then nobody may give it back. */
static bool mark_unused(uint64_t frame)
{
    uint64_t bit = 1ull << (frame % 64);

    /* sync: x86_pmm.used */
    return frame < pmm.pool.n && (gmk_and_ar(&pmm.used[frame / 64], ~bit, GMK_DEV) & bit) != 0;
}

/* Single frames. ---------------------------------------------------------------------------- */

static bool caches_on(void)
{
    return gmk_load_acq(&pmm.use_caches, GMK_DEV) != 0; /* sync: x86_pmm.caches */
}

/* pre: c's lock is held. */
static void refill(pmm_cache_t *c)
{
    uint64_t flags = mem_lock(&pmm.lock);

    while (c->n < CACHE_MOVE) {
        uint64_t frame = frames_take(&pmm.pool);

        if (frame == FRAMES_NONE)
            break;
        c->frame[c->n++] = (uint32_t)frame;
    }
    mem_unlock(&pmm.lock, flags);
}

/* Leaves n frames in c. pre: c's lock is held. */
static void drain(pmm_cache_t *c, uint32_t n)
{
    uint64_t flags = mem_lock(&pmm.lock);

    while (c->n > n)
        frames_set(&pmm.pool, c->frame[--c->n], 1);
    mem_unlock(&pmm.lock, flags);
}

/* returns: a frame of cache c or of the pool, or 0. */
static uint64_t take_from(pmm_cache_t *c, bool may_refill)
{
    uint64_t flags = mem_lock(&c->lock);
    uint64_t frame = 0;

    if (c->n == 0 && may_refill)
        refill(c);
    if (c->n > 0)
        frame = c->frame[--c->n];
    mem_unlock(&c->lock, flags);
    return frame;
}

static uint64_t take_from_pool(void)
{
    uint64_t flags = mem_lock(&pmm.lock);
    uint64_t frame = frames_take(&pmm.pool);

    mem_unlock(&pmm.lock, flags);
    return frame == FRAMES_NONE ? 0 : frame;
}

/* One frame that was charged, so there is one: here, in the pool or in another's cache. It may
 * move while this looks, hence the rounds. */
static uint64_t take_charged(void)
{
    uint64_t frame = caches_on() ? take_from(&pmm.cache[mem_cpu()], true) : take_from_pool();

    for (uint32_t round = 0; frame == 0 && round < TAKE_ROUNDS; round++) {
        for (uint32_t i = 0; frame == 0 && i < MEM_MAX_CPUS; i++)
            frame = take_from(&pmm.cache[i], false);
        if (frame == 0)
            frame = take_from_pool();
    }
    if (frame != 0)
        mark_used(frame);
    return frame;
}

static void put_one(uint64_t frame)
{
    pmm_cache_t *c;
    uint64_t flags;

    if (!caches_on()) {
        flags = mem_lock(&pmm.lock);
        frames_set(&pmm.pool, frame, 1);
        mem_unlock(&pmm.lock, flags);
        return;
    }
    c = &pmm.cache[mem_cpu()];
    flags = mem_lock(&c->lock);
    if (c->n == CACHE_MAX)
        drain(c, CACHE_MAX - CACHE_MOVE);
    c->frame[c->n++] = (uint32_t)frame;
    mem_unlock(&c->lock, flags);
}

uint64_t pmm_take(void) { return take_charged() * MEM_PAGE; }

/* returns: 0 or -1 as pmm_free_pages, how many frames in *given. */
static int give_frames(uint64_t addr, uint64_t count, uint64_t *given)
{
    uint64_t first = addr / MEM_PAGE, refused = 0;

    *given = 0;
    if (addr % MEM_PAGE != 0 || first >= pmm.pool.n || count > pmm.pool.n - first) {
        gmk_add_rlx(&pmm.n_bad_frees, 1, GMK_DEV); /* relaxed: a statistic */
        return -1;
    }
    for (uint64_t i = first; i < first + count; i++) {
        if (mark_unused(i)) {
            put_one(i);
            ++*given;
        } else {
            refused++;
        }
    }
    if (refused != 0)
        gmk_add_rlx(&pmm.n_bad_frees, refused, GMK_DEV); /* relaxed: a statistic */
    return refused == 0 ? 0 : -1;
}

int pmm_give(uint64_t addr)
{
    uint64_t given;

    return give_frames(addr, 1, &given);
}

/* Runs. --------------------------------------------------------------------------------------- */

static uint64_t take_run(frames_want_t want)
{
    uint64_t flags = mem_lock(&pmm.lock);
    uint64_t first = frames_take_run(&pmm.pool, want);

    mem_unlock(&pmm.lock, flags);
    return first;
}

static void drain_all(void)
{
    for (uint32_t i = 0; i < MEM_MAX_CPUS; i++) {
        uint64_t flags = mem_lock(&pmm.cache[i].lock);

        drain(&pmm.cache[i], 0);
        mem_unlock(&pmm.cache[i].lock, flags);
    }
}

uint64_t pmm_alloc_aligned(uint64_t count, uint64_t align, uint64_t below)
{
    frames_want_t want = {count, align / MEM_PAGE, below / MEM_PAGE};
    uint64_t first;

    if (count == 0 || align < MEM_PAGE || (align & (align - 1)) != 0 || !charge(count))
        return 0;
    first = take_run(want);
    if (first == FRAMES_NONE) { /* what would join two runs may lie in a cache */
        drain_all();
        first = take_run(want);
    }
    if (first == FRAMES_NONE) {
        pmm_uncommit(count);
        gmk_add_rlx(&pmm.n_refused, 1, GMK_DEV); /* relaxed: a statistic */
        return 0;
    }
    for (uint64_t i = first; i < first + count; i++)
        mark_used(i);
    return first * MEM_PAGE;
}

uint64_t pmm_alloc_pages(uint64_t count)
{
    if (count != 1)
        return pmm_alloc_aligned(count, MEM_PAGE, PMM_ANYWHERE);
    return charge(1) ? take_charged() * MEM_PAGE : 0;
}

int pmm_free_pages(uint64_t addr, uint64_t count)
{
    uint64_t given;
    int rc = give_frames(addr, count, &given);

    pmm_uncommit(given);
    return rc;
}

uint64_t pmm_find_contiguous(uint64_t min_size, uint64_t *size)
{
    uint64_t flags = mem_lock(&pmm.lock);
    uint64_t length = 0;
    uint64_t first = frames_find(&pmm.pool, (min_size + MEM_PAGE - 1) / MEM_PAGE, &length);

    mem_unlock(&pmm.lock, flags);
    *size = length * MEM_PAGE;
    return first == FRAMES_NONE ? 0 : first * MEM_PAGE;
}

/* Figures. ----------------------------------------------------------------- */

static uint64_t cached_count(void)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < MEM_MAX_CPUS; i++) {
        uint64_t flags = mem_lock(&pmm.cache[i].lock);

        n += pmm.cache[i].n;
        mem_unlock(&pmm.cache[i].lock, flags);
    }
    return n;
}

uint64_t pmm_free_count(void)
{
    uint64_t cached = cached_count();
    uint64_t flags = mem_lock(&pmm.lock);
    uint64_t n = cached + pmm.pool.n_set;

    mem_unlock(&pmm.lock, flags);
    return n;
}

uint64_t pmm_total_count(void) { return pmm.pool.n; }

uint64_t pmm_usable_count(void) { return pmm.usable; }

pmm_stats_t pmm_stats(void)
{
    /* relaxed: statistics, each on its own */
    return (pmm_stats_t){.n_refused = gmk_load_rlx(&pmm.n_refused, GMK_DEV),
                         .n_bad_frees = gmk_load_rlx(&pmm.n_bad_frees, GMK_DEV)};
}

bool pmm_audit(void)
{
    uint64_t used = 0, pool = 0, waiting = 0;
    bool apart = true;

    for (uint64_t w = 0; w * 64 < pmm.pool.n; w++) {
        uint64_t u = gmk_load_rlx(&pmm.used[w], GMK_DEV); /* relaxed: at rest */

        used += (uint64_t)__builtin_popcountll(u);
        pool += (uint64_t)__builtin_popcountll(pmm.pool.bits[w]);
        apart = apart && (u & pmm.pool.bits[w]) == 0;
    }
    for (uint32_t i = 0; i < pmm.n_map && pmm.reclaimed == 0; i++)
        waiting += pmm.map[i].type == MEM_LOADER ? pmm.map[i].bytes / MEM_PAGE : 0;
    return apart && pool == pmm.pool.n_set &&
           pmm.usable == pmm.n_held + used + pool + cached_count() + waiting &&
           pmm_commit_free() <= pool + cached_count();
}
