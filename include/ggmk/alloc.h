/* SPDX-License-Identifier: MIT
 * Memory for handlers: task slab, blocks of 12 power-of-two bins, bump, payloads.
 * Floor: F2. All of it comes from the arena that boot reserved. Nothing here blocks:
 * exhaustion is a null pointer, a counter and GMK_EV_ALLOC_FAIL.
 * Source: SPEC E, CH-38 to CH-47; ARCHITECTURE R12. */
#ifndef GGMK_ALLOC_H
#define GGMK_ALLOC_H

#include "ggmk/types.h"

/* Statistics of one allocator. bytes_free counts memory that a cache holds as free.
 * high_water_bytes is exact while one thread allocates, an upper bound otherwise. */
typedef struct gmk_alloc_stats {
    uint64_t bytes_total;
    uint64_t bytes_free;
    uint64_t bytes_high_water;
    uint64_t n_allocs;
    uint64_t n_frees;
    uint64_t n_fails;
    uint64_t n_bad_frees;
} gmk_alloc_stats_t;

enum gmk_alloc_kind { GMK_ALLOC_TASK_SLAB, GMK_ALLOC_BLOCK, GMK_ALLOC_BUMP, GMK_ALLOC_KINDS };

/* Stands before every payload. */
typedef struct gmk_payload_hdr {
    GMK_ALIGNAS(16) gmk_a32_t refs; /* deliveries and holders */
    uint16_t pool;                  /* which pool frees it */
    uint16_t bin;
    uint32_t length; /* bytes asked for */
    uint32_t canary;
} gmk_payload_hdr_t;

GMK_STATIC_ASSERT(sizeof(gmk_payload_hdr_t) == 16, "the payload header is 16 bytes");

#define GMK_PAYLOAD_CANARY 0x9a710ad5u
#define GMK_PAYLOAD_MAX (GMK_BLOCK_MAX - 16u)

GMK_EXTERN_C_BEGIN

/* size bytes aligned to 16 (to 64 from 64 bytes on), uninitialised; null when size is
 * 0, above GMK_BLOCK_MAX, or memory is spent. threads: ctx's own. Free from any.
 * cost: about a dozen instructions from the caller's cache. source: AL-3, AL-7. */
void *gmk_alloc(gmk_ctx_t *ctx, uint32_t size);

/* Gives memory of gmk_alloc back; null is harmless; a foreign or free pointer is
 * counted, traced and ignored (a panic in DEBUG builds). threads: any ctx. */
void gmk_free(gmk_ctx_t *ctx, void *p);

/* size bytes that live until the next reset, aligned to 16; null when spent. */
void *gmk_bump(gmk_ctx_t *ctx, uint32_t size);

/* Empties the bump region. pre: no bump pointer is in use by anybody. */
void gmk_bump_reset(gmk_ctx_t *ctx);

/* A payload of len bytes (1..GMK_PAYLOAD_MAX) with one reference, the caller's, or
 * null. Put it into a task by gmk_task_set_payload. */
void *gmk_payload_alloc(gmk_ctx_t *ctx, uint32_t len);

/* Makes p (from gmk_payload_alloc) the payload of t; the reference goes with it. */
void gmk_task_set_payload(gmk_task_t *t, void *p);

/* Drops the current task's reference early; the release after the handler then does
 * nothing. Nothing happens for a task without GMK_TF_PAYLOAD_RC. source: SDK-5. */
void gmk_payload_release(gmk_ctx_t *ctx);

/* Takes one more reference on the current task's payload: before its pointer is
 * stored or the payload is emitted again. source: CH-44. */
void gmk_payload_retain(gmk_ctx_t *ctx);

/* The same for any payload pointer. A bad pointer is counted, traced and ignored. */
void gmk_payload_retain_ptr(gmk_ctx_t *ctx, void *p);
void gmk_payload_release_ptr(gmk_ctx_t *ctx, void *p);

/* Statistics of one allocator. returns: GMK_OK, GMK_E_INVALID. threads: any. */
GMK_NODISCARD int gmk_alloc_get_stats(const gmk_kernel_t *k, enum gmk_alloc_kind kind,
                                      gmk_alloc_stats_t *out);

GMK_EXTERN_C_END

#endif
