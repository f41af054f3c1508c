/* SPDX-License-Identifier: MIT
 * The three modules of the pipeline and the four channels between them:
 *
 *    start ─▶ ingest ──pipeline.chunks──▶ transform ──pipeline.counts──▶ store
 *                ▲                        (all workers)                     │
 *                └────────────────────pipeline.credits──────────────────────┘
 *
 * Back-pressure, twice:
 * 1. A chunk may be read only for a credit. PL_CREDITS of them go round: ingest takes
 *    one and sends a chunk, store gives it back when the chunk's counts are added. So
 *    at most PL_CREDITS chunks or counts exist, whatever the length of the text, and a
 *    channel of twice as many slots is never full (twice, because a message keeps its
 *    slot while its handler runs). transform needs that: a parallel handler has no
 *    order to keep and hence no outbox to wait in; it never meets a full channel, so it
 *    never retries, waits or loses work.
 * 2. pipeline.chunks is shorter than that on purpose. When the workers fall behind, it
 *    is full before the credits are spent; ingest's send then parks in the outbox of
 *    its serial group, and ingest reads nothing more until there is room.
 * At the end of the text ingest keeps the credits it gets, and all comes to rest.
 * ticks.c wires the same work up so that it can be recorded and replayed. */
#include "pipeline.h"

#define PL_CREDITS 48u
#define CHUNK_SLOTS 16u
#define LOOP_SLOTS (2 * PL_CREDITS)

#define ENTRY_HEAD 4u /* length u16, count u16, then the letters */
#define INDEX_SLOTS (PL_INDEX_BYTES / 2)

GMK_STATIC_ASSERT(PL_COUNTS_BYTES + sizeof(gmk_payload_hdr_t) <= 2 * PL_BLOCK_BYTES,
                  "the counts of a chunk fit two blocks");
GMK_STATIC_ASSERT(PL_COUNTS_BYTES < UINT16_MAX, "the index holds offsets of 16 bits");
GMK_STATIC_ASSERT(INDEX_SLOTS > PL_CHUNK_BYTES / 4 + 702, "the index is never full");

/* Memory for all of it at once. */
GMK_STATIC_ASSERT((PL_CREDITS + GMK_MAX_WORKERS) * PL_BLOCK_BYTES <= PL_BIN_BYTES,
                  "a chunk for each credit and an index for each worker");
GMK_STATIC_ASSERT(PL_CREDITS * 2 * PL_BLOCK_BYTES <= PL_BIN_BYTES, "counts for each credit");

/* The letter in lower case; 0: no letter. */
static uint8_t letter(uint8_t c)
{
    uint8_t low = c | 0x20;

    return (uint8_t)(low - 'a') < 26 ? low : 0;
}

static bool same(const uint8_t *a, const uint8_t *b, uint32_t n)
{
    uint32_t i = 0;

    while (i < n && a[i] == b[i])
        i++;
    return i == n;
}

#define HASH_SEED 2166136261u
#define HASH_STEP(h, c) (((h) ^ (c)) * 16777619u) /* FNV-1a */
#define HASH_END(h) ((h) ^ (h) >> 15)

static void put16(uint8_t *to, uint32_t v)
{
    to[0] = (uint8_t)v;
    to[1] = (uint8_t)(v >> 8);
}

static uint32_t get16(const uint8_t *from) { return from[0] | (uint32_t)from[1] << 8; }

int pl_channel(gmk_ctx_t *ctx, const char *name, uint32_t *id)
{
    int rc = gmk_chan_find(ctx, name);

    *id = rc > 0 ? (uint32_t)rc : 0;
    return rc > 0 ? GMK_OK : rc;
}

/* ingest. ------------------------------------------------------------------------ */

static int ingest_init(gmk_ctx_t *ctx)
{
    pl_ingest_t *in = ctx->user;
    int rc = pl_channel(ctx, "pipeline.credits", &in->credits);

    return rc == GMK_OK ? pl_channel(ctx, "pipeline.chunks", &in->chunks) : rc;
}

/* Direct work: puts the credits into circulation. */
GMK_HANDLER(on_start)
{
    const pl_ingest_t *in = ctx->user;
    gmk_task_t credit = {.type = PL_TYPE_CREDIT, .flags = GMK_PRIO_NORMAL};

    for (uint32_t i = 0; i < PL_CREDITS; i++)
        if (gmk_chan_emit(ctx, in->credits, &credit) != GMK_OK)
            return GMK_FAIL(1);
    return GMK_OK;
}

/* Drops the letters at p[from] on, which belong to a word that is long enough. */
static uint32_t skip_rest(pl_ingest_t *in, uint8_t *p, uint32_t from, uint32_t n)
{
    uint32_t i = from;

    while (i < n && letter(p[i]) != 0)
        i++;
    in->skipping = i == n && !in->end;
    for (; i < n; i++)
        p[from++] = p[i];
    return from;
}

/* Keeps the letters at the end of p for the next chunk; returns what is left. */
static uint32_t keep_tail(pl_ingest_t *in, const uint8_t *p, uint32_t n)
{
    uint32_t k = n;

    while (k > 0 && letter(p[k - 1]) != 0)
        k--;
    if (n - k > PL_MAX_WORD)
        in->skipping = true;
    in->carry_len = n - k < PL_MAX_WORD ? n - k : PL_MAX_WORD;
    gmk_hal_memcpy(in->carry, p + k, in->carry_len);
    return k;
}

uint32_t pl_whole_words(pl_ingest_t *in, uint8_t *p, uint32_t n)
{
    if (in->skipping)
        n = skip_rest(in, p, in->carry_len, n);
    return in->end ? n : keep_tail(in, p, n);
}

/* Fills p with whole words; returns how many bytes: 0 at the end of the text, after an
 * error, and when all that was read is part of one word. */
static uint32_t fill_chunk(pl_ingest_t *in, uint8_t *p)
{
    uint32_t n = in->carry_len;

    gmk_hal_memcpy(p, in->carry, n);
    while (n < PL_CHUNK_BYTES && !in->end) {
        long got = pl_read(in->source, p + n, PL_CHUNK_BYTES - n);

        in->end = got <= 0;
        if (got < 0) {
            in->error = got;
            return 0;
        }
        n += (uint32_t)got;
        in->bytes += (uint64_t)got;
    }
    return pl_whole_words(in, p, n);
}

/* A credit: read one chunk and send it on. */
GMK_HANDLER(on_credit)
{
    pl_ingest_t *in = ctx->user;
    gmk_task_t t = {.type = PL_TYPE_CHUNK, .flags = GMK_PRIO_NORMAL};
    uint8_t *p;
    int rc;

    if (in->end)
        return GMK_OK;
    p = gmk_payload_alloc(ctx, PL_CHUNK_BYTES);
    if (p == NULL)
        return GMK_RETRY;
    t.meta0 = fill_chunk(in, p);
    if (t.meta0 == 0) {
        gmk_payload_release_ptr(ctx, p);
        return in->end ? (int)GMK_OK : gmk_chan_emit(ctx, in->credits, ctx->task);
    }
    gmk_task_set_payload(&t, p);
    rc = gmk_sdk_chan_send_task(ctx, in->chunks, &t);
    if (rc != GMK_OK)
        gmk_payload_release_ptr(ctx, p);
    return rc == GMK_OK ? GMK_OK : GMK_FAIL(2);
}

/* transform. --------------------------------------------------------------------- */

static int transform_init(gmk_ctx_t *ctx)
{
    pl_transform_t *tr = ctx->user;

    return pl_channel(ctx, "pipeline.counts", &tr->counts);
}

/* Finds or adds the entry that stands at out[used]; returns the new end of out. */
static uint32_t count_word(uint16_t *index, uint8_t *out, uint32_t used, uint32_t hash)
{
    uint32_t len = get16(out + used);
    uint32_t i = HASH_END(hash) % INDEX_SLOTS;

    for (; index[i] != 0; i = (i + 1) % INDEX_SLOTS) {
        uint8_t *e = out + index[i] - 1;

        if (get16(e) == len && same(e + ENTRY_HEAD, out + used + ENTRY_HEAD, len)) {
            put16(e + 2, get16(e + 2) + 1);
            return used;
        }
    }
    index[i] = (uint16_t)(used + 1);
    put16(out + used + 2, 1);
    return used + ENTRY_HEAD + len;
}

uint32_t pl_count_chunk(const gmk_task_t *t, uint16_t *index, uint8_t *out, uint64_t *words)
{
    const uint8_t *p = (const uint8_t *)(uintptr_t)t->payload_ptr;
    const uint8_t *end = p + t->meta0;
    uint32_t used = 0;

    gmk_hal_memset(index, 0, PL_INDEX_BYTES);
    while (p < end) {
        uint8_t *to = out + used + ENTRY_HEAD;
        uint32_t hash = HASH_SEED;
        uint32_t len = 0;
        uint8_t c;

        for (; p < end && (c = letter(*p)) != 0; p++)
            if (len < PL_MAX_WORD) {
                to[len++] = c;
                hash = HASH_STEP(hash, c);
            }
        if (len != 0) {
            put16(out + used, len);
            used = count_word(index, out, used, hash);
            ++*words;
        }
        p++;
    }
    return used;
}

/* A chunk: runs on any number of workers at a time, and shares nothing. */
GMK_HANDLER(on_chunk)
{
    const pl_transform_t *tr = ctx->user;
    gmk_task_t t = {.type = PL_TYPE_COUNTS, .flags = GMK_PRIO_NORMAL};
    uint16_t *index = gmk_alloc(ctx, PL_INDEX_BYTES);
    uint8_t *out = index != NULL ? gmk_payload_alloc(ctx, PL_COUNTS_BYTES) : NULL;
    int rc;

    if (out == NULL) {
        gmk_free(ctx, index);
        return GMK_RETRY;
    }
    t.meta0 = pl_count_chunk(ctx->task, index, out, &t.meta1);
    gmk_free(ctx, index);
    gmk_task_set_payload(&t, out);
    rc = gmk_chan_emit(ctx, tr->counts, &t);
    if (rc != GMK_OK)
        gmk_payload_release_ptr(ctx, out);
    return rc == GMK_OK ? GMK_OK : GMK_FAIL(3);
}

/* store. ------------------------------------------------------------------------- */

static uint32_t index_slots(uint32_t table)
{
    uint32_t n = 2 * PL_MIN_TABLE;

    while (n < 2 * table)
        n *= 2;
    return n;
}

/* Sixteen letters a word on average, and one long word. */
static uint32_t text_bytes(uint32_t table) { return table * 16 + PL_MAX_WORD; }

size_t pl_table_bytes(uint32_t table)
{
    return (size_t)table * sizeof(pl_word_t) + text_bytes(table) +
           (size_t)index_slots(table) * sizeof(uint32_t);
}

int pl_store_init(gmk_ctx_t *ctx)
{
    pl_store_t *s = ctx->user;
    uint32_t slots = index_slots(s->cap);

    s->mask = slots - 1;
    s->text_cap = text_bytes(s->cap);
    s->words = gmk_bump(ctx, s->cap * (uint32_t)sizeof(*s->words));
    s->text = gmk_bump(ctx, s->text_cap);
    s->index = gmk_bump(ctx, slots * (uint32_t)sizeof(*s->index));
    if (s->words == NULL || s->text == NULL || s->index == NULL)
        return GMK_ALLOC_FAIL;
    gmk_hal_memset(s->index, 0, slots * sizeof(*s->index));
    return GMK_OK;
}

static int store_init(gmk_ctx_t *ctx)
{
    pl_store_t *s = ctx->user;
    int rc = pl_store_init(ctx);

    return rc == GMK_OK ? pl_channel(ctx, "pipeline.credits", &s->credits) : rc;
}

/* Adds a word to the table, or to the others when the table has no room for it. */
static void add_word(pl_store_t *s, const uint8_t *letters, uint32_t len, uint32_t count)
{
    uint32_t hash = HASH_SEED;
    pl_word_t *w;
    uint32_t i;

    for (uint32_t c = 0; c < len; c++)
        hash = HASH_STEP(hash, letters[c]);
    hash = HASH_END(hash);
    for (i = hash & s->mask; s->index[i] != 0; i = (i + 1) & s->mask) {
        w = &s->words[s->index[i] - 1];
        if (w->hash == hash && w->len == len && same(s->text + w->at, letters, len)) {
            w->count += count;
            return;
        }
    }
    if (s->n == s->cap || s->text_cap - s->text_used < len) {
        s->other += count;
        return;
    }
    w = &s->words[s->n++];
    s->index[i] = s->n;
    *w = (pl_word_t){.count = count, .hash = hash, .at = s->text_used, .len = len};
    gmk_hal_memcpy(s->text + w->at, letters, len);
    s->text_used += len;
}

void pl_add_counts(pl_store_t *s, const gmk_task_t *t)
{
    const uint8_t *e = (const uint8_t *)(uintptr_t)t->payload_ptr;
    const uint8_t *end = e + t->meta0;

    while (e < end) {
        uint32_t len = get16(e);

        add_word(s, e + ENTRY_HEAD, len, get16(e + 2));
        e += ENTRY_HEAD + len;
    }
}

/* The counts of one chunk: add them up and give the credit back. */
GMK_HANDLER(on_counts)
{
    pl_store_t *s = ctx->user;

    pl_add_counts(s, ctx->task);
    s->total += ctx->task->meta1;
    return gmk_sdk_chan_send_inline(ctx, s->credits, PL_TYPE_CREDIT, 0, 0) == GMK_OK ? GMK_OK
                                                                                  : GMK_FAIL(4);
}

/* Wiring. ------------------------------------------------------------------------ */

#define PRODUCES(chan, type, n)                                                                    \
    {.name = chan, .direction = GMK_CHAN_PRODUCE, .msg_type = type,                                \
     .guarantee = GMK_CHAN_LOSSLESS, .slots = n}
#define CONSUMES(chan, type, n, how)                                                               \
    {.name = chan, .direction = GMK_CHAN_CONSUME | (how), .msg_type = type,                        \
     .guarantee = GMK_CHAN_LOSSLESS, .slots = n}

static gmk_handler_reg_t ingest_handlers[] = {
    {.type = PL_TYPE_START, .fn = on_start, .name = "start"},
    {.type = PL_TYPE_CREDIT, .fn = on_credit, .name = "read"},
};
static gmk_chan_decl_t ingest_channels[] = {
    CONSUMES("pipeline.credits", PL_TYPE_CREDIT, LOOP_SLOTS, 0),
    PRODUCES("pipeline.chunks", PL_TYPE_CHUNK, CHUNK_SLOTS),
};
static gmk_handler_reg_t transform_handlers[] = {
    {.type = PL_TYPE_CHUNK, .fn = on_chunk, .name = "count"},
};
static gmk_chan_decl_t transform_channels[] = {
    CONSUMES("pipeline.chunks", PL_TYPE_CHUNK, CHUNK_SLOTS, GMK_CHAN_PARALLEL),
    PRODUCES("pipeline.counts", PL_TYPE_COUNTS, LOOP_SLOTS),
};
static gmk_handler_reg_t store_handlers[] = {
    {.type = PL_TYPE_COUNTS, .fn = on_counts, .name = "add"},
};
static gmk_chan_decl_t store_channels[] = {
    CONSUMES("pipeline.counts", PL_TYPE_COUNTS, LOOP_SLOTS, 0),
    PRODUCES("pipeline.credits", PL_TYPE_CREDIT, LOOP_SLOTS),
};

void pl_modules_init(pl_modules_t *m, pl_pipeline_t *p)
{
    m->module[0] = (gmk_module_t){.name = "ingest", .version = GMK_VERSION(1, 0, 0),
                                  .handlers = ingest_handlers, .n_handlers = 2,
                                  .channels = ingest_channels, .n_channels = 2,
                                  .init = ingest_init, .user = &p->ingest};
    m->module[1] = (gmk_module_t){.name = "transform", .version = GMK_VERSION(1, 0, 0),
                                  .handlers = transform_handlers, .n_handlers = 1,
                                  .channels = transform_channels, .n_channels = 2,
                                  .init = transform_init, .user = &p->transform};
    m->module[2] = (gmk_module_t){.name = "store", .version = GMK_VERSION(1, 0, 0),
                                  .handlers = store_handlers, .n_handlers = 1,
                                  .channels = store_channels, .n_channels = 2,
                                  .init = store_init, .user = &p->store};
    m->n = 3;
    for (uint32_t i = 0; i < m->n; i++)
        m->list[i] = &m->module[i];
}
