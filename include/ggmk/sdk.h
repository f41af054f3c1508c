/* SPDX-License-Identifier: MIT
 * Tier 2: channel calls with guard rails, on tier 1 only.
 * Floor: above the kernel. Source: SPEC Q.2, V-49, V-50; ARCHITECTURE R19. */
#ifndef GGMK_SDK_H
#define GGMK_SDK_H

#include "ggmk/ggmk.h"

GMK_EXTERN_C_BEGIN

/* Opens a channel and fixes its message type. returns: as gmk_chan_open, and
 * GMK_CHAN_TYPE_MISMATCH; GMK_CHAN_CLOSED: somebody has closed it again meanwhile. source:
 * SDK-9. */
GMK_NODISCARD int gmk_sdk_chan_open(gmk_ctx_t *ctx, const char *name, uint32_t mode,
                                    uint32_t msg_type);

/* Copies len bytes into a new payload and emits it with the priority and tenant of the
 * current task. On a full channel a channel handler's message waits in its module's
 * outbox: the call returns GMK_OK, the module takes no further message until the
 * outbox has drained, and nothing is sent twice. A parallel or direct handler, or an
 * attached thread, gets GMK_CHAN_FULL.
 * ownership: payload stays the caller's. returns: as gmk_chan_emit, and GMK_ALLOC_FAIL,
 * GMK_CHAN_FULL also when the outbox is full. source: SDK-10, R19. */
GMK_NODISCARD int gmk_sdk_chan_send(gmk_ctx_t *ctx, uint32_t chan, uint32_t type,
                                    const void *payload, uint32_t len);

/* The same for a message of two numbers, without allocation.
 * returns: as gmk_sdk_chan_send. source: SDK-11. */
GMK_NODISCARD int gmk_sdk_chan_send_inline(gmk_ctx_t *ctx, uint32_t chan, uint32_t type,
                                           uint64_t val0, uint64_t val1);

/* The same for a task made by hand, its payload included: on success, also when it
 * waits in the outbox, the payload reference is gone; on failure it stays.
 * returns: as gmk_sdk_chan_send. */
GMK_NODISCARD int gmk_sdk_chan_send_task(gmk_ctx_t *ctx, uint32_t chan, gmk_task_t *t);

GMK_EXTERN_C_END

#endif
