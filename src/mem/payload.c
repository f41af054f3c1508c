/* SPDX-License-Identifier: MIT
 * Payloads: memory with a reference count in a header before it, of several pools.
 * Floor: F3.
 * Invariants: refs >= 1 and the canary stands from the hand-out to the last release,
 *   which clears the canary before the memory goes back to its pool.
 * Threads: any agent, through its own cache.
 * Order: payload.refs: every release happens before the free.
 * Source: SPEC CH-38 to CH-47, AL-10; ARCHITECTURE R12. */
#include "mem/mem.h"

#define HDR_BYTES ((uint32_t)sizeof(gmk_payload_hdr_t))

void *gmki_payload_alloc(gmki_cache_t *c, uint32_t len)
{
    gmk_payload_hdr_t *h;

    if (len == 0 || len > GMK_PAYLOAD_MAX)
        return gmki_mem_failed(c, GMK_ALLOC_BLOCK, len);
    h = gmki_alloc(c, len + HDR_BYTES);
    if (h == NULL)
        return NULL;
    gmki_payload_hdr_init(h, 0, gmki_mem_bin(c, h)->class, len);
    gmk_count_add(&c->n_payloads, 1);
    return h + 1;
}

/* Number of the pool that holds address at; GMKI_POOLS: none. */
static uint32_t payload_pool(const gmki_cache_t *c, uintptr_t at)
{
    const gmk_alloc_t *m = c->m;

    if (at - (uintptr_t)c->arena < m->objects_bytes)
        return 0;
    for (uint32_t i = 1; i < m->n_pools; i++) {
        if (at - (uintptr_t)m->pools[i].base < m->pools[i].bytes)
            return i;
    }
    return GMKI_POOLS;
}

/* The header of a live payload; null, and counted, for anything else. The range is
 * checked before the header is read, so no pointer is followed blindly. */
static gmk_payload_hdr_t *payload_hdr(gmki_cache_t *c, void *payload)
{
    uintptr_t at = (uintptr_t)payload - HDR_BYTES;
    uint32_t pool = payload_pool(c, at);
    gmk_payload_hdr_t *h = (gmk_payload_hdr_t *)at;

    if (GMK_LIKELY(pool != GMKI_POOLS && at % 16 == 0 && h->canary == GMK_PAYLOAD_CANARY &&
                   h->pool == pool))
        return h;
    if (payload != NULL)
        gmki_mem_bad_free(c, payload);
    return NULL;
}

void gmki_payload_retain(gmki_cache_t *c, void *payload, uint32_t n)
{
    gmk_payload_hdr_t *h = payload_hdr(c, payload);

    if (h != NULL)
        gmk_add_rlx(&h->refs, n, GMK_DEV); /* relaxed: the caller's own reference holds it */
}

void gmki_payload_release(gmki_cache_t *c, void *payload)
{
    gmk_payload_hdr_t *h = payload_hdr(c, payload);

    if (h == NULL)
        return;
    /* One reference left is the caller's: nobody can add or drop another, no atomic
     * read-modify-write is needed. */
    if (gmk_load_acq(&h->refs, GMK_DEV) != 1) {          /* sync: payload.refs */
        uint32_t had = gmk_sub_ar(&h->refs, 1, GMK_DEV); /* sync: payload.refs */

        if (had == 0)
            gmki_mem_bad_free(c, payload);
        if (had != 1)
            return;
    }
    h->canary = 0;
    if (h->pool != 0) {
        const gmki_pool_t *pool = &c->m->pools[h->pool];

        pool->fn(pool->ctx, c, payload);
        return;
    }
    if (gmki_free_checked(c, h))
        gmk_count_add(&c->n_payloads, (uint64_t)-1);
}
