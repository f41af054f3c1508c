/* SPDX-License-Identifier: MIT
 * A small real module, compiled by test/headers.sh under every compiler present: counts
 * words that arrive on one channel and sends a sum on another.
 * Floor: tests. Public headers only; fields of initialisers in declaration order, so
 * that C++17 compilers with designated initialisers take it too. Source: ARCHITECTURE R1. */
#include "ggmk/ggmk.h"
#include "ggmk/sdk.h"

#define TYPE_WORD 10u
#define TYPE_SUM 11u
#define TYPE_FLUSH 12u

typedef struct counter {
    uint64_t words;
    int sums; /* channel */
} counter_t;

GMK_HANDLER(on_word)
{
    counter_t *c = (counter_t *)ctx->user;

    c->words += ctx->task->meta0;
    if (c->words % 64 != 0)
        return GMK_OK;
    gmk_task_t flush = {.type = TYPE_FLUSH, .meta0 = c->words};
    return gmk_emit(ctx, &flush) == GMK_OK ? GMK_OK : GMK_RETRY;
}

GMK_HANDLER(on_flush)
{
    counter_t *c = (counter_t *)ctx->user;
    gmk_task_t sum = {.type = TYPE_SUM, .meta0 = ctx->task->meta0, .meta1 = ctx->tick};
    int rc = gmk_chan_emit(ctx, (uint32_t)c->sums, &sum);

    if (rc == GMK_CHAN_FULL)
        return GMK_RETRY;
    return rc == GMK_OK ? GMK_OK : GMK_FAIL(1);
}

static int counter_init(gmk_ctx_t *ctx)
{
    counter_t *c = (counter_t *)ctx->user;
    int words = gmk_chan_open(ctx, "counter.words", GMK_CHAN_P2P | GMK_CHAN_LOSSLESS, 64);

    if (words < 0)
        return words;
    c->sums = gmk_sdk_chan_open(ctx, "counter.sums", GMK_CHAN_P2P | GMK_CHAN_LOSSLESS, TYPE_SUM);
    if (c->sums < 0)
        return c->sums;
    return gmk_chan_sub(ctx, (uint32_t)words);
}

static counter_t counter;

static gmk_handler_reg_t counter_handlers[] = {
    {.type = TYPE_WORD, .fn = on_word, .name = "word"},
    {.type = TYPE_FLUSH, .fn = on_flush, .name = "flush", .flags = GMK_HF_DETERMINISTIC},
};

static gmk_chan_decl_t counter_channels[] = {
    {.name = "counter.words", .direction = GMK_CHAN_CONSUME, .msg_type = TYPE_WORD},
    {.name = "counter.sums", .direction = GMK_CHAN_PRODUCE, .msg_type = TYPE_SUM},
};

GMK_MODULE(counter) = {
    .name = "counter",
    .version = GMK_VERSION(1, 0, 0),
    .handlers = counter_handlers,
    .n_handlers = GMK_ARRAY_LEN(counter_handlers),
    .channels = counter_channels,
    .n_channels = GMK_ARRAY_LEN(counter_channels),
    .init = counter_init,
    .user = &counter,
};
