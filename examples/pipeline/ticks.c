/* SPDX-License-Identifier: MIT
 * The pipeline in deterministic ticks, for recording and replay:
 *
 *  from outside ──pipeline.text──▶ ingest ──pipeline.lane0──▶ transform0 ──┐
 *                                         └─pipeline.lane1──▶ ...        ──┴─▶ store
 *
 * The text is what comes from outside, so the thread that drives the pipeline reads it
 * and sends it as messages; in a replay they come from the recording, and nothing is
 * read. What is made in a tick runs in the next one, so a text passes the stages in
 * PL_TICKS_DEEP ticks. Within a tick a module's tasks run one after another and modules
 * beside one another: hence a module for each of PL_LANES lanes, which chunks take in
 * turn, on however many workers.
 * Each tick is waited for before more text is sent, so memory has a bound. A handler
 * that finds no memory fails: to try again would be another order.
 * A payload is not part of the trace hash; a message's numbers are, so each message
 * carries a digest of its payload. */
#include "pipeline.h"

#define TICK_TEXTS 16u                            /* messages from outside in a tick */
#define PL_TICKS_DEEP 3u                          /* stages that a text passes */
#define TEXT_BYTES (PL_CHUNK_BYTES - PL_MAX_WORD) /* with what was carried, a chunk */
#define WORD_BITS 0xffffffffu /* of meta1 of counts: words; above them: the digest */

/* In a tick: what it was brought and what it makes, which the next one runs. */
GMK_STATIC_ASSERT((3 * TICK_TEXTS + PL_LANES) * PL_BLOCK_BYTES <= PL_BIN_BYTES,
                  "texts, chunks made and chunks run, and an index for each lane");
GMK_STATIC_ASSERT(2 * TICK_TEXTS * 2 * PL_BLOCK_BYTES <= PL_BIN_BYTES,
                  "counts made and counts taken");

static const char *const lane_names[PL_LANES] = {"pipeline.lane0", "pipeline.lane1",
                                                 "pipeline.lane2", "pipeline.lane3"};
static const char *const transform_names[PL_LANES] = {"transform0", "transform1", "transform2",
                                                      "transform3"};

/* FNV-1a: one altered byte always shows. */
static uint32_t digest(const uint8_t *p, uint32_t n)
{
    uint32_t h = 2166136261u;

    for (uint32_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 16777619u;
    return h;
}

/* Sends a message with the first meta0 bytes of its payload, or gives that back. What was
 * never written to must not get into a recording. */
static int pass_on(gmk_ctx_t *ctx, uint32_t chan, gmk_task_t *t, uint8_t *payload)
{
    int rc;

    gmk_task_set_payload(t, payload);
    t->payload_len = (uint32_t)t->meta0;
    rc = gmk_chan_emit(ctx, chan, t);
    if (rc != GMK_OK)
        gmk_payload_release_ptr(ctx, payload);
    return rc;
}

/* The modules. ------------------------------------------------------------------- */

static int ingest_init(gmk_ctx_t *ctx)
{
    pl_ingest_t *in = ctx->user;
    int rc = GMK_OK;

    for (uint32_t i = 0; i < PL_LANES && rc == GMK_OK; i++)
        rc = pl_channel(ctx, lane_names[i], &in->lanes[i]);
    return rc;
}

/* A text: cut it into whole words. */
GMK_HANDLER(on_text)
{
    pl_ingest_t *in = ctx->user;
    const void *text = (const void *)(uintptr_t)ctx->task->payload_ptr;
    uint32_t n = ctx->task->payload_len;
    gmk_task_t t = {.type = PL_TYPE_CHUNK, .flags = GMK_PRIO_NORMAL};
    uint8_t *p = n <= TEXT_BYTES ? gmk_payload_alloc(ctx, PL_CHUNK_BYTES) : NULL;

    if (p == NULL)
        return GMK_FAIL(5);
    in->end = n == 0;
    in->bytes += n;
    gmk_hal_memcpy(p, in->carry, in->carry_len);
    gmk_hal_memcpy(p + in->carry_len, text, n);
    n = pl_whole_words(in, p, in->carry_len + n);
    if (n == 0) {
        gmk_payload_release_ptr(ctx, p);
        return GMK_OK;
    }
    t.meta0 = n;
    t.meta1 = digest(p, n);
    return pass_on(ctx, in->lanes[in->n_chunks++ % PL_LANES], &t, p) == GMK_OK ? GMK_OK
                                                                               : GMK_FAIL(6);
}

static int transform_init(gmk_ctx_t *ctx)
{
    pl_transform_t *tr = ctx->user;

    return pl_channel(ctx, "pipeline.counts", &tr->counts);
}

GMK_HANDLER(on_chunk)
{
    const pl_transform_t *tr = ctx->user;
    gmk_task_t t = {.type = PL_TYPE_COUNTS, .flags = GMK_PRIO_NORMAL};
    uint16_t *index = gmk_alloc(ctx, PL_INDEX_BYTES);
    uint8_t *out = index != NULL ? gmk_payload_alloc(ctx, PL_COUNTS_BYTES) : NULL;

    if (out != NULL) {
        t.meta0 = pl_count_chunk(ctx->task, index, out, &t.meta1);
        t.meta1 |= (uint64_t)digest(out, (uint32_t)t.meta0) << 32;
    }
    gmk_free(ctx, index);
    if (out == NULL)
        return GMK_FAIL(7);
    return pass_on(ctx, tr->counts, &t, out) == GMK_OK ? GMK_OK : GMK_FAIL(8);
}

GMK_HANDLER(on_counts)
{
    pl_store_t *s = ctx->user;

    pl_add_counts(s, ctx->task);
    s->total += ctx->task->meta1 & WORD_BITS;
    s->n_counts++;
    return GMK_OK;
}

/* Wiring. ------------------------------------------------------------------------ */

#define PRODUCES(chan, type)                                                                       \
    {                                                                                              \
        .name = chan, .direction = GMK_CHAN_PRODUCE, .msg_type = type,                             \
        .mode = GMK_CHAN_P2P | GMK_CHAN_DETERMINISTIC                                              \
    }
#define CONSUMES(chan, type)                                                                       \
    {                                                                                              \
        .name = chan, .direction = GMK_CHAN_CONSUME, .msg_type = type,                             \
        .mode = GMK_CHAN_P2P | GMK_CHAN_DETERMINISTIC                                              \
    }

static gmk_handler_reg_t ingest_handlers[] = {
    {.type = PL_TYPE_TEXT, .fn = on_text, .name = "cut", .flags = GMK_HF_DETERMINISTIC},
};
static gmk_chan_decl_t ingest_channels[] = {
    CONSUMES("pipeline.text", PL_TYPE_TEXT),   PRODUCES("pipeline.lane0", PL_TYPE_CHUNK),
    PRODUCES("pipeline.lane1", PL_TYPE_CHUNK), PRODUCES("pipeline.lane2", PL_TYPE_CHUNK),
    PRODUCES("pipeline.lane3", PL_TYPE_CHUNK),
};
static gmk_handler_reg_t transform_handlers[] = {
    {.type = PL_TYPE_CHUNK, .fn = on_chunk, .name = "count", .flags = GMK_HF_DETERMINISTIC},
};
static gmk_chan_decl_t transform_channels[PL_LANES][2] = {
    {CONSUMES("pipeline.lane0", PL_TYPE_CHUNK), PRODUCES("pipeline.counts", PL_TYPE_COUNTS)},
    {CONSUMES("pipeline.lane1", PL_TYPE_CHUNK), PRODUCES("pipeline.counts", PL_TYPE_COUNTS)},
    {CONSUMES("pipeline.lane2", PL_TYPE_CHUNK), PRODUCES("pipeline.counts", PL_TYPE_COUNTS)},
    {CONSUMES("pipeline.lane3", PL_TYPE_CHUNK), PRODUCES("pipeline.counts", PL_TYPE_COUNTS)},
};
static gmk_handler_reg_t store_handlers[] = {
    {.type = PL_TYPE_COUNTS, .fn = on_counts, .name = "add", .flags = GMK_HF_DETERMINISTIC},
};
static gmk_chan_decl_t store_channels[] = {
    CONSUMES("pipeline.counts", PL_TYPE_COUNTS),
};

void pl_tick_modules_init(pl_modules_t *m, pl_pipeline_t *p)
{
    m->n = 2 + PL_LANES;
    m->module[0] = (gmk_module_t){.name = "ingest",
                                  .version = GMK_VERSION(1, 0, 0),
                                  .handlers = ingest_handlers,
                                  .n_handlers = 1,
                                  .channels = ingest_channels,
                                  .n_channels = 1 + PL_LANES,
                                  .init = ingest_init,
                                  .user = &p->ingest};
    for (uint32_t i = 0; i < PL_LANES; i++)
        m->module[1 + i] = (gmk_module_t){.name = transform_names[i],
                                          .version = GMK_VERSION(1, 0, 0),
                                          .handlers = transform_handlers,
                                          .n_handlers = 1,
                                          .channels = transform_channels[i],
                                          .n_channels = 2,
                                          .init = transform_init,
                                          .user = &p->lane[i]};
    m->module[1 + PL_LANES] = (gmk_module_t){.name = "store",
                                             .version = GMK_VERSION(1, 0, 0),
                                             .handlers = store_handlers,
                                             .n_handlers = 1,
                                             .channels = store_channels,
                                             .n_channels = 1,
                                             .init = pl_store_init,
                                             .user = &p->store};
    for (uint32_t i = 0; i < m->n; i++)
        m->list[i] = &m->module[i];
}

/* From outside. ------------------------------------------------------------------ */

/* Reads until p is full or the text is at its end, so that the same text always comes in
 * the same messages. returns: how many bytes, negative on error. */
static long read_text(void *source, uint8_t *p)
{
    long n = 0, got;

    do {
        got = pl_read(source, p + n, TEXT_BYTES - (size_t)n);
        n += got > 0 ? got : 0;
    } while (got > 0 && n < (long)TEXT_BYTES);
    return got < 0 ? got : n;
}

/* Sends the next part of the text, or that it is at its end (*end). */
static int bring(pl_pipeline_t *p, gmk_ctx_t *ctx, uint32_t chan, bool *end)
{
    gmk_task_t t = {.type = PL_TYPE_TEXT, .flags = GMK_PRIO_NORMAL};
    uint8_t *text = gmk_payload_alloc(ctx, TEXT_BYTES);
    long n;

    if (text == NULL)
        return GMK_ALLOC_FAIL;
    n = read_text(p->ingest.source, text);
    *end = n <= 0;
    p->n_inputs += n >= 0;
    if (n > 0) {
        t.meta0 = (uint64_t)n;
        t.meta1 = digest(text, (uint32_t)n);
        return pass_on(ctx, chan, &t, text);
    }
    gmk_payload_release_ptr(ctx, text);
    p->ingest.error = n;
    return n == 0 ? gmk_chan_emit(ctx, chan, &t) : (int)GMK_E_INVALID;
}

static int run_tick(gmk_kernel_t *k)
{
    gmk_tick_advance(k);
    return gmk_tick_wait(k, GMK_HAL_FOREVER);
}

/* Brings the whole text, tick by tick, until it has passed all stages. */
static int bring_all(pl_pipeline_t *p, gmk_kernel_t *k, gmk_ctx_t *ctx)
{
    uint32_t chan = 0;
    bool end = false;
    int rc = pl_channel(ctx, "pipeline.text", &chan);

    while (rc == GMK_OK && !end) {
        for (uint32_t i = 0; i < TICK_TEXTS && rc == GMK_OK && !end; i++)
            rc = bring(p, ctx, chan, &end);
        if (rc == GMK_OK)
            rc = run_tick(k);
    }
    for (uint32_t i = 1; i < PL_TICKS_DEEP && rc == GMK_OK; i++)
        rc = run_tick(k);
    return rc;
}

/* Runs it live, recording it if the tape wants that. */
static int live(pl_pipeline_t *p, const pl_tape_t *tape, gmk_kernel_t *k)
{
    gmk_host_t host;
    gmk_ctx_t *ctx = gmk_host_attach(k, &host);
    int rc = GMK_OK;

    if (ctx == NULL)
        return GMK_E_LIMIT;
    if (tape->write != NULL)
        rc = gmk_record_start(k, tape->write, tape->arg);
    if (rc == GMK_OK)
        rc = bring_all(p, k, ctx);
    if (rc == GMK_OK && tape->write != NULL)
        rc = gmk_record_stop(k, &p->replay.fault);
    if (gmk_host_detach(&host) != GMK_OK && rc == GMK_OK)
        rc = GMK_E_HALTING;
    return rc;
}

/* What went wrong, in words. */
static void explain(pl_pipeline_t *p, const pl_tape_t *tape)
{
    const gmk_replay_report_t *r = &p->replay;

    if (p->ingest.error != 0) {
        pl_fail(p, "the file cannot be read", NULL);
    } else if (p->rc == GMK_E_RECORD) {
        pl_fail(p, "recording: ", NULL);
        pl_fail(p, gmk_record_fault_text(r->fault), NULL);
        if (tape->read != NULL) {
            pl_fail(p, ", at byte ", NULL);
            pl_fail(p, NULL, &r->offset);
        }
    } else if (p->rc == GMK_E_DIVERGED) {
        pl_fail(p, "replay: other than recorded, found before tick ", NULL);
        pl_fail(p, NULL, &r->tick);
    } else if (p->rc == GMK_E_NOT_FOUND && tape->read != NULL) {
        pl_fail(p, "recording: of another program: it has a channel that is not here", NULL);
    } else {
        pl_fail(p, gmk_strerror(p->rc), NULL);
    }
}

bool pl_tick_drive(pl_pipeline_t *p, const pl_tape_t *tape, gmk_kernel_t *k)
{
    uint64_t begin = gmk_hal_now_ns();

    if (tape->read != NULL) {
        p->rc = gmk_replay(k, tape->read, tape->arg, GMK_HAL_FOREVER, &p->replay);
        p->n_inputs = p->replay.n_inputs;
    } else {
        p->rc = live(p, tape, k);
    }
    p->spent_ns = gmk_hal_now_ns() - begin;
    p->hash = gmk_trace_hash(k);
    if (p->rc != GMK_OK)
        explain(p, tape);
    else if (gmk_metric_get(k, GMK_METRIC_TASKS_FAILED) != 0)
        pl_fail(p, "a stage failed: its memory may be too small", NULL);
    else if (!p->ingest.end || p->ingest.n_chunks != p->store.n_counts)
        pl_fail(p,
                tape->read != NULL ? "recording: ends before the text does"
                                   : "the text did not pass all stages",
                NULL);
    return p->error[0] == '\0';
}
