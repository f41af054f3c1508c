/* SPDX-License-Identifier: MIT
 * Tier 2 channel calls, on tier 1 alone.
 * Floor: above the kernel. Source: SPEC SDK-9 to SDK-11, V-34; ARCHITECTURE R19. */
#include "ggmk/sdk.h"

#include "ggmk/hal.h"

int gmk_sdk_chan_open(gmk_ctx_t *ctx, const char *name, uint32_t mode, uint32_t msg_type)
{
    int id = gmk_chan_open(ctx, name, mode, 0);
    int rc;

    if (id < 0)
        return id;
    rc = gmk_chan_fix_type(ctx, (uint32_t)id, msg_type);
    return rc < 0 ? rc : id;
}

int gmk_sdk_chan_send_task(gmk_ctx_t *ctx, uint32_t chan, gmk_task_t *t)
{
    return gmk_chan_emit_wait(ctx, chan, t);
}

/* A message with the priority and tenant of the current task. */
static gmk_task_t message(const gmk_ctx_t *ctx, uint32_t type)
{
    gmk_task_t t = {.type = type};

    t.flags = (uint16_t)GMK_PRIORITY(ctx->task->flags);
    t.tenant = ctx->task->tenant;
    return t;
}

int gmk_sdk_chan_send(gmk_ctx_t *ctx, uint32_t chan, uint32_t type, const void *payload,
                      uint32_t len)
{
    gmk_task_t t;
    void *copy;
    int rc;

    if (ctx == NULL || (payload == NULL && len != 0))
        return GMK_E_INVALID;
    if (len == 0)
        return gmk_sdk_chan_send_inline(ctx, chan, type, 0, 0);
    copy = gmk_payload_alloc(ctx, len);
    if (copy == NULL)
        return GMK_ALLOC_FAIL;
    gmk_hal_memcpy(copy, payload, len);
    t = message(ctx, type);
    gmk_task_set_payload(&t, copy);
    rc = gmk_chan_emit_wait(ctx, chan, &t);
    if (rc != GMK_OK)
        gmk_payload_release_ptr(ctx, copy);
    return rc;
}

int gmk_sdk_chan_send_inline(gmk_ctx_t *ctx, uint32_t chan, uint32_t type, uint64_t val0,
                             uint64_t val1)
{
    gmk_task_t t;

    if (ctx == NULL)
        return GMK_E_INVALID;
    t = message(ctx, type);
    t.meta0 = val0;
    t.meta1 = val1;
    return gmk_chan_emit_wait(ctx, chan, &t);
}
