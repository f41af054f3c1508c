/* SPDX-License-Identifier: MIT
 * Envelopes: failed and lost deliveries on sys.error and sys.dropped.
 * Floor: F5. An envelope holds the record and its payload reference, and drops that
 * when its last subscriber has released it. Without a subscriber, room or envelope the loss
 * is counted and the payload released at once. Reporting never recurses.
 * Source: SPEC CH-32 to CH-35, V-59, V-63; ARCHITECTURE R7. */
#include "chan/chan.h"

/* As many as the two channels hold, and some in the hands of their subscribers. */
#define ENVELOPES (2 * GMK_ENVELOPES + 64u)

void gmki_drop_payload(gmki_agent_t *a, const gmk_task_t *t)
{
    if ((t->flags & GMK_TF_PAYLOAD_RC) != 0 && t->payload_ptr != 0)
        gmki_payload_release(&a->cache, (void *)(uintptr_t)t->payload_ptr);
}

static void envelope_free(void *ctx, gmki_cache_t *cache, void *payload)
{
    gmk_chan_reg_t *r = ctx;
    gmk_task_t *rec = payload;
    gmki_envelope_t *e = (gmki_envelope_t *)((char *)payload - offsetof(gmki_envelope_t, record));

    if ((rec->flags & GMK_TF_PAYLOAD_RC) != 0 && rec->payload_ptr != 0)
        gmki_payload_release(cache, (void *)(uintptr_t)rec->payload_ptr);
    gmk_freelist_push(&r->envelope_free, r->envelope_next, (uint32_t)(e - r->envelopes), GMK_DEV);
}

int gmki_envelopes_init(gmk_chan_reg_t *r, gmk_alloc_t *mem)
{
    int pool;

    r->envelopes = gmk_hal_calloc(ENVELOPES, sizeof(*r->envelopes));
    r->envelope_next = gmk_hal_calloc(ENVELOPES, sizeof(*r->envelope_next));
    if (r->envelopes == NULL || r->envelope_next == NULL)
        return GMK_ALLOC_FAIL;
    for (uint32_t i = ENVELOPES; i-- > 0;)
        gmk_freelist_push(&r->envelope_free, r->envelope_next, i, GMK_DEV);
    pool = gmki_pool_add(mem, r->envelopes, ENVELOPES * sizeof(*r->envelopes), envelope_free, r);
    if (pool < 0)
        return pool;
    r->envelope_pool = (uint32_t)pool;
    return GMK_OK;
}

static void report_lost(gmki_agent_t *a, const gmk_cell_t *c)
{
    gmki_count(&a->obs, c->task.tenant, GMK_METRIC_ENVELOPES_LOST, 1);
    gmki_drop_payload(a, &c->task);
}

void gmki_report(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t chan, const gmk_cell_t *c,
                 uint32_t reason_and_code)
{
    gmki_chan_t *ch = r->chans[chan];
    gmk_task_t t = {.type = gmk_load_rlx(&ch->msg_type, GMK_DEV)}; /* relaxed: fixed at boot */
    gmki_envelope_t *e;
    uint32_t i;

    /* A failing report is not reported. */
    if (c->task.type >= GMK_TYPE_SYS_FIRST ||
        gmk_credit_readers(gmk_credit_word(&ch->ring, GMK_DEV)) == 0) {
        report_lost(a, c);
        return;
    }
    i = gmk_freelist_pop(&r->envelope_free, r->envelope_next, GMK_DEV);
    if (i == GMK_FREELIST_NONE) {
        report_lost(a, c);
        return;
    }
    e = &r->envelopes[i];
    gmki_payload_hdr_init(&e->hdr, r->envelope_pool, 0, sizeof(e->record));
    e->record = c->task;
    t.tenant = c->task.tenant;
    t.flags = GMK_TF_PAYLOAD_RC;
    t.payload_ptr = (uint64_t)(uintptr_t)&e->record;
    t.payload_len = sizeof(e->record);
    t.meta0 = reason_and_code | (uint64_t)c->task.type << 32;
    t.meta1 = c->task.channel | (uint64_t)c->task.seq << 32;
    if (gmki_chan_push(a, ch, &t, 1) == 0) {
        gmki_count(&a->obs, c->task.tenant, GMK_METRIC_ENVELOPES_LOST, 1);
        gmki_payload_release(&a->cache, &e->record);
    }
}
