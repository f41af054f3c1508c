/* SPDX-License-Identifier: MIT
 * Private side of counters and traces: one gmki_obs_t an agent (worker, attached
 * thread, or the kernel's shared outside row).
 * Floor: F2.
 * Invariants: a row and a ring have one writer, the agent; readers only load. The one
 * exception is the outside row, whose counters are added atomically by any thread.
 * Source: SPEC J; ARCHITECTURE R10. */
#ifndef GMKI_OBS_H
#define GMKI_OBS_H

#include "ggmk/hal.h"
#include "ggmk/metrics.h"
#include "ggmk/prim/hist.h"
#include "ggmk/prim/spsc.h"
#include "ggmk/trace.h"

/* A row is whole lines, two lines apart from its neighbours. */
#define GMKI_ROW_WORDS 48u
GMK_STATIC_ASSERT(GMK_METRIC_COUNT <= GMKI_ROW_WORDS, "a row holds every metric");
GMK_STATIC_ASSERT(GMKI_ROW_WORDS * 8 % GMK_FALSE_SHARING == 0, "rows do not share lines");

enum gmki_event_level {
#define X(name, number, level, text) GMKI_EVL_##name = GMK_TRACE_##level,
#include "ggmk/trace_events.def"
#undef X
    GMKI_EVL_USER = GMK_TRACE_INFO
};

/* Index of the kernel's own trace level, behind those of the modules. */
#define GMKI_LEVEL_KERNEL GMK_MAX_MODULES

/* What is shared by all agents of a kernel: run-time settings of the tracer. */
typedef struct gmki_trace_cfg {
    gmk_a32_t level[GMK_MAX_MODULES + 1]; /* enum gmk_trace_level, by module */
    gmk_a32_t max_level;                  /* the largest of them, or more */
    gmk_a32_t sample_rate;                /* share of ALL events kept, in 1/2^32 */
} gmki_trace_cfg_t;

typedef struct gmki_trace_ring {
    gmk_spsc_t ring;
    gmk_trace_ev_t *recs;
    gmk_a64_t written;
    gmk_a64_t dropped;
} gmki_trace_ring_t;

typedef struct gmki_obs {
    gmk_a64_t *rows;          /* of tenant 0; tenant t is t * GMKI_ROW_WORDS further */
    gmki_trace_ring_t *rings; /* by tenant; null: no traces (the outside row) */
    const gmki_trace_cfg_t *cfg;
    uint32_t agent;  /* worker number, or a number behind the workers */
    uint32_t module; /* whose handler runs: index of the trace level */
    uint64_t now;    /* gmk_hal_now_ns at the last batch edge */
    uint64_t rng;
    bool shared; /* rows have many writers */
} gmki_obs_t;

/* Adds n to a counter of tenant. cost: a load and a store, or one atomic add if the
 * row is shared. */
GMK_FN void gmki_count(gmki_obs_t *o, uint32_t tenant, uint32_t metric, uint64_t n)
{
    gmk_a64_t *c = &o->rows[tenant * GMKI_ROW_WORDS + metric];

    if (GMK_UNLIKELY(o->shared))
        gmk_add_rlx(c, n, GMK_DEV); /* relaxed: a statistic */
    else
        gmk_count_add(c, n);
}

/* What a histogram of nanoseconds says. (names.c) */
void gmki_latency(const gmk_hist_t *h, gmk_latency_t *out);

/* Writes a record past all filters. Private to gmki_trace and gmk_trace. */
void gmki_trace_write(gmki_obs_t *o, uint32_t ev, const gmk_task_t *t, uint32_t a0, uint32_t a1);

/* As gmki_trace_write for an ALL-level event: sampled. */
void gmki_trace_sampled(gmki_obs_t *o, uint32_t ev, const gmk_task_t *t, uint32_t a0, uint32_t a1);

/* True if level passes for the running module. */
GMK_FN bool gmki_trace_on(const gmki_obs_t *o, uint32_t level)
{
    /* relaxed: a setting that may take effect late */
    return level <= gmk_load_rlx(&o->cfg->level[o->module], GMK_DEV);
}

/* Traces event EV (a name of trace_events.def) about task t (may be null).
 * cost: a branch when filtered. STRIP_TRACE builds leave nothing. */
#ifdef GMK_STRIP_TRACE
#define gmki_trace(o, EV, t, a0, a1) ((void)(o), (void)(t), (void)(a0), (void)(a1))
#define gmki_trace_task(o, EV, t, a0, a1) ((void)(o), (void)(t), (void)(a0), (void)(a1))
#else
#define gmki_trace(o, EV, t, a0, a1)                                                               \
    do {                                                                                           \
        if (GMK_UNLIKELY(gmki_trace_on((o), GMKI_EVL_##EV))) {                                     \
            if ((int)GMKI_EVL_##EV == (int)GMK_TRACE_ALL)                                          \
                gmki_trace_sampled((o), GMK_EV_##EV, (t), (a0), (a1));                             \
            else                                                                                   \
                gmki_trace_write((o), GMK_EV_##EV, (t), (a0), (a1));                               \
        }                                                                                          \
    } while (0)
/* The same, but a task with GMK_TF_EMIT_TRACE is always traced. */
#define gmki_trace_task(o, EV, t, a0, a1)                                                          \
    do {                                                                                           \
        if (GMK_UNLIKELY((t)->flags & GMK_TF_EMIT_TRACE))                                          \
            gmki_trace_write((o), GMK_EV_##EV, (t), (a0), (a1));                                   \
        else                                                                                       \
            gmki_trace((o), EV, (t), (a0), (a1));                                                  \
    } while (0)
#endif

GMK_FN bool gmki_text_eq(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

#endif
