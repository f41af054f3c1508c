/* SPDX-License-Identifier: MIT
 * What the tests of deterministic work stand on: memory, agents and a table of
 * subscribers, without a kernel; books; a way to run a tick in a given order.
 * Floor: tests. Source: SPEC DET-1 to DET-9; ARCHITECTURE R15. */
#ifndef TEST_DET_ENV_H
#define TEST_DET_ENV_H

#include "det/det.h"
#include "ggmk/test.h"

#define RIG_AGENTS 6u /* the last one is shared: the outside */
#define RIG_OUTSIDE (RIG_AGENTS - 1)
#define RIG_MODULES 5u
#define RIG_CHANNELS 8u
#define RIG_ARENA (8u << 20)
#define RIG_NOW (GMKI_NEVER - 1) /* every tick is owed */

typedef struct rig {
    gmk_alloc_t m;
    gmk_sched_t sched;
    gmki_trace_cfg_t cfg;
    gmki_trace_ring_t ring[RIG_AGENTS];
    gmk_trace_ev_t recs[RIG_AGENTS][64];
    gmk_a64_t rows[RIG_AGENTS][GMKI_ROW_WORDS];
    gmki_agent_t agent[RIG_AGENTS];
    gmki_det_t det;
    /* Modules that subscribe to a channel; n < 0: GMKI_DET_HOLD or GMKI_DET_LOSE. */
    int n_subs[RIG_CHANNELS];
    uint16_t subs[RIG_CHANNELS][GMKI_DET_MAX_TARGETS];
    /* What the callbacks saw. */
    uint64_t n_begun, n_inputs, last_begin;
    uint64_t lost;
} rig_t;

static rig_t *rig_lost_to; /* sched->lose has no argument of its own */

GMK_FN int rig_targets(void *arg, const gmk_cell_t *c, gmki_det_target_t *to)
{
    rig_t *r = arg;
    uint32_t chan = GMK_CHAN_INDEX(c->task.channel);

    if (chan == 0) {
        to[0].sub = 0;
        to[0].module = (uint16_t)(c->task.type % RIG_MODULES);
        return 1;
    }
    for (int i = 0; i < r->n_subs[chan]; i++) {
        to[i].sub = (uint16_t)(chan * 32 + (uint32_t)i);
        to[i].module = r->subs[chan][i];
    }
    return r->n_subs[chan];
}

GMK_FN void rig_begun(void *arg, gmk_cell_t *c) { c->chan_seq = ++((rig_t *)arg)->n_begun; }

GMK_FN void rig_input(void *arg, const gmk_cell_t *c, uint64_t tick)
{
    (void)c, (void)tick;
    ((rig_t *)arg)->n_inputs++;
}

GMK_FN void rig_begin_tick(void *arg, uint64_t tick) { ((rig_t *)arg)->last_begin = tick; }

static void rig_lose(gmki_agent_t *a, const gmk_cell_t *c, uint32_t reason)
{
    (void)reason;
    gmki_count(&a->obs, c->task.tenant, GMK_METRIC_TASKS_DEAD, 1);
    rig_lost_to->lost++;
}

/* returns: false (and the test fails) if there is no such memory. */
GMK_FN bool rig_begin(rig_t *r, size_t arena_bytes)
{
    gmki_det_ops_t ops = {.targets = rig_targets,
                          .begun = rig_begun,
                          .input = rig_input,
                          .begin = rig_begin_tick,
                          .arg = r};

    gmk_hal_memset(r, 0, sizeof(*r));
    rig_lost_to = r;
    if (!gmk_test_assert(gmki_mem_init(&r->m, arena_bytes, RIG_AGENTS) == GMK_OK))
        return false;
    r->sched.lose = rig_lose;
    r->cfg.level[GMKI_LEVEL_KERNEL] = GMK_TRACE_OFF;
    for (uint32_t i = 0; i < RIG_AGENTS; i++) {
        gmki_agent_t *a = &r->agent[i];

        gmk_spsc_setup(&r->ring[i].ring, 64, 0);
        r->ring[i].recs = r->recs[i];
        a->sched = &r->sched;
        a->obs.rows = r->rows[i];
        a->obs.rings = i == RIG_OUTSIDE ? NULL : &r->ring[i];
        a->obs.cfg = &r->cfg;
        a->obs.agent = i;
        a->obs.module = GMKI_LEVEL_KERNEL;
        a->obs.rng = 1;
        a->obs.shared = i == RIG_OUTSIDE;
        gmki_cache_setup(&a->cache, &r->m, &a->obs);
    }
    for (uint32_t c = 1; c < RIG_CHANNELS; c++) {
        r->n_subs[c] = 1;
        r->subs[c][0] = (uint16_t)(c % RIG_MODULES);
    }
    return gmk_test_assert(gmki_det_init(&r->det, &ops, RIG_AGENTS, RIG_MODULES) == GMK_OK);
}

GMK_FN void rig_end(rig_t *r)
{
    gmki_det_fini(&r->det);
    gmki_mem_fini(&r->m);
}

GMK_FN uint64_t rig_metric(const rig_t *r, uint32_t metric)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < RIG_AGENTS; i++)
        sum += gmk_count_get(&r->rows[i][metric]);
    return sum;
}

/* accepted = completed + failed + dead + queued. */
GMK_FN bool rig_balanced(rig_t *r)
{
    return rig_metric(r, GMK_METRIC_TASKS_ACCEPTED) ==
           rig_metric(r, GMK_METRIC_TASKS_COMPLETED) + rig_metric(r, GMK_METRIC_TASKS_DEAD) +
               gmki_det_count(&r->det);
}

/* Blocks and payloads that are not freed. */
GMK_FN uint64_t rig_live(const rig_t *r)
{
    gmk_alloc_stats_t s = {.bytes_total = 0};

    gmk_test_assert(gmki_mem_stats(&r->m, GMK_ALLOC_BLOCK, &s) == GMK_OK);
    return s.n_allocs - s.n_frees;
}

GMK_FN gmk_cell_t rig_cell(uint32_t type, uint32_t prio, uint32_t chan, uint64_t meta0)
{
    gmk_cell_t c = {.sub = 0};

    c.task.type = type;
    c.task.flags = (uint16_t)(GMK_TF_DETERMINISTIC | prio | (chan != 0 ? GMK_TF_CHANNEL_MSG : 0));
    c.task.channel = chan;
    c.task.meta0 = meta0;
    return c;
}

/* As external input, from agent a, with memory for its subscribers now. */
GMK_FN int rig_send(rig_t *r, uint32_t a, const gmk_cell_t *c, uint64_t due)
{
    int n = c->task.channel == 0 ? 1 : r->n_subs[GMK_CHAN_INDEX(c->task.channel)];

    return gmki_det_emit(&r->det, &r->agent[a], c, due, n > 0 ? (uint32_t)n : 1);
}

/* Opens the next tick that is owed; the modules that have work, 0: nothing. */
GMK_FN uint64_t rig_open(rig_t *r)
{
    uint64_t modules = 0;
    int64_t n = 0;

    while (n == 0 && gmki_det_due(&r->det, RIG_NOW))
        n = gmki_det_drain(&r->det, &r->agent[0], RIG_NOW, &modules);
    gmk_test_assert_ge(n, 0);
    return modules;
}

GMK_FN bool rig_settle(rig_t *r, uint32_t a)
{
    gmki_count(&r->agent[a].obs, 0, GMK_METRIC_TASKS_COMPLETED, 1);
    return gmki_det_settled(&r->det, &r->agent[a]);
}

/* Runs the whole open tick on agent 0, module by module, writing down meta0 of each
 * delivery. returns: how many. */
GMK_FN uint32_t rig_run(rig_t *r, uint64_t *log, uint32_t cap)
{
    uint32_t n = 0;

    for (uint32_t m = 0; m < RIG_MODULES; m++) {
        gmki_det_entry_t *e;

        while ((e = gmki_det_take(&r->det, &r->agent[0], m)) != NULL) {
            if (n < cap)
                log[n] = e->cell.task.meta0;
            n++;
            (void)rig_settle(r, 0);
        }
    }
    return n;
}

#endif
