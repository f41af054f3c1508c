/* SPDX-License-Identifier: MIT
 * Trace writer and the names of events.
 * Floor: F2. One writer a ring; a full ring drops and counts.
 * Source: SPEC OBS-5 to OBS-17; ARCHITECTURE R10. */
#include "obs/obs.h"

static void trace_put(gmki_obs_t *o, uint32_t tenant, const gmk_trace_ev_t *ev)
{
    gmki_trace_ring_t *r;
    uint32_t pos;

    if (o->rings == NULL)
        return;
    r = &o->rings[tenant];
    gmk_count_add(&r->written, 1);
    if (gmk_spsc_claim(&r->ring, 1, &pos, GMK_DEV) == 0) {
        gmk_count_add(&r->dropped, 1);
        return;
    }
    r->recs[pos & r->ring.mask_p] = *ev;
    gmk_spsc_publish(&r->ring, pos, 1, GMK_DEV);
}

static gmk_trace_ev_t trace_make(const gmki_obs_t *o, uint32_t ev, const gmk_task_t *t, uint32_t a0,
                                 uint32_t a1)
{
    gmk_trace_ev_t r = {.tsc = o->now,
                        .ev_type = ev,
                        .tenant = t != NULL ? t->tenant : (uint16_t)0,
                        .type = t != NULL ? (uint16_t)t->type : (uint16_t)0,
                        .arg0 = a0,
                        .arg1 = a1,
                        .flags = 0,
                        .sample_rate = GMK_TRACE_RATE_ONE};
    return r;
}

void gmki_trace_write(gmki_obs_t *o, uint32_t ev, const gmk_task_t *t, uint32_t a0, uint32_t a1)
{
    gmk_trace_ev_t r = trace_make(o, ev, t, a0, a1);

    trace_put(o, r.tenant, &r);
}

void gmki_trace_sampled(gmki_obs_t *o, uint32_t ev, const gmk_task_t *t, uint32_t a0, uint32_t a1)
{
    /* relaxed: a setting that may take effect late */
    uint32_t rate = gmk_load_rlx(&o->cfg->sample_rate, GMK_DEV);
    gmk_trace_ev_t r;

    if (rate != GMK_TRACE_RATE_ONE && (uint32_t)(gmk_rand_next(&o->rng) >> 32) >= rate)
        return;
    r = trace_make(o, ev, t, a0, a1);
    if (rate != GMK_TRACE_RATE_ONE) {
        r.flags = GMK_TRACE_SAMPLED;
        r.sample_rate = rate;
    }
    trace_put(o, r.tenant, &r);
}

static const struct {
    uint32_t number;
    uint32_t level;
    const char *name;
    const char *text;
} trace_events[] = {
#define X(name, number, level, text) {number, GMK_TRACE_##level, #name, text},
#include "ggmk/trace_events.def"
#undef X
};

static size_t trace_event_index(uint32_t ev)
{
    size_t i = 0;

    while (i < GMK_ARRAY_LEN(trace_events) && trace_events[i].number != ev)
        i++;
    return i;
}

const char *gmk_trace_event_name(uint32_t ev)
{
    size_t i = trace_event_index(ev);

    return i < GMK_ARRAY_LEN(trace_events) ? trace_events[i].name : NULL;
}

const char *gmk_trace_event_text(uint32_t ev)
{
    size_t i = trace_event_index(ev);

    return i < GMK_ARRAY_LEN(trace_events) ? trace_events[i].text : NULL;
}

uint32_t gmk_trace_event_level(uint32_t ev)
{
    size_t i = trace_event_index(ev);

    return i < GMK_ARRAY_LEN(trace_events) ? trace_events[i].level : (uint32_t)GMK_TRACE_INFO;
}
