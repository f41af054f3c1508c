/* SPDX-License-Identifier: MIT
 * Commands that show the kernel: workers, handlers, channels, traces, counters, memory.
 * Floor: modules. Public calls only, all of them allowed in handlers.
 * Source: SPEC BM-38, OBS-1 to OBS-17. */
#include "command.h"

#define PULL 32u           /* trace records a call takes */
#define MAX_PULLS 65536u   /* workers may go on writing */
#define DEFAULT_EVENTS 20u /* that trace shows */

static const char *const states[] = {[GMK_WORKER_RUNNING] = "runs",
                                     [GMK_WORKER_SEARCHING] = "looks",
                                     [GMK_WORKER_PARKED] = "sleeps"};

/* The handler of a type: the first module's that has one. */
static const char *handler_name(const gmk_kernel_t *k, uint32_t type)
{
    gmk_handler_info_t h;

    for (uint32_t i = 0; type != 0 && gmk_handler_get_info(k, i, &h) == GMK_OK; i++)
        if (h.type == type)
            return h.handler;
    return NULL;
}

void mon_do_ps(mon_call_t *c)
{
    const gmk_kernel_t *k = c->ctx->kernel;
    gmk_worker_info_t w;

    mon_print(
        c, "worker state  handler          type queued      tasks    yields    stolen     naps\n");
    for (uint32_t i = 0; gmk_worker_get_info(k, i, &w) == GMK_OK; i++) {
        mon_print(c, "%6u %-6s %-16s %4u %6u %10lu", i, states[w.state],
                  handler_name(k, w.current_type), w.current_type, w.queued,
                  gmk_metric_get_worker(k, GMK_METRIC_TASKS_DISPATCHED, i));
        mon_print(c, " %9lu %9lu %8lu\n", gmk_metric_get_worker(k, GMK_METRIC_TASKS_YIELDED, i),
                  gmk_metric_get_worker(k, GMK_METRIC_TASKS_STOLEN, i),
                  gmk_metric_get_worker(k, GMK_METRIC_WORKER_PARKS, i));
    }
    if (c->mon->ops->line != NULL)
        mon_list(c, MON_THREADS);
}

void mon_do_tasks(mon_call_t *c)
{
    const gmk_kernel_t *k = c->ctx->kernel;
    gmk_kernel_info_t info;
    gmk_handler_info_t h;

    if (gmk_kernel_get_info(k, &info) == GMK_OK)
        mon_print(c, "ready %u %u %u %u of %u each, overflow %u, timers %u, workers asleep %u\n",
                  info.ready[0], info.ready[1], info.ready[2], info.ready[3], info.ready_slots,
                  info.overflow, info.timers, info.parked);
    mon_print(c, "module           handler          type  completed   failed   yields  retries  "
                 "p50 ns   p99 ns\n");
    for (uint32_t i = 0; gmk_handler_get_info(k, i, &h) == GMK_OK; i++) {
        mon_print(c, "%-16s %-16s %4u %10lu %8lu", h.module, h.handler, h.type, h.completed,
                  h.failed);
        mon_print(c, " %8lu %8lu %7lu %8lu%s\n", h.yields, h.retries, h.runtime.p50_ns,
                  h.runtime.p99_ns, h.poisoned ? "  poisoned" : "");
    }
}

void mon_do_mod(mon_call_t *c)
{
    const char *last = NULL;
    gmk_handler_info_t h;

    for (uint32_t i = 0; gmk_handler_get_info(c->ctx->kernel, i, &h) == GMK_OK; i++) {
        if (last == NULL || !mon_same(last, h.module))
            mon_print(c, "%s%s:", last != NULL ? "\n" : "", h.module);
        mon_print(c, " %s(%u)", h.handler, h.type);
        last = h.module;
    }
    mon_print(c, "\n");
}

/* Channels. ----------------------------------------------------------------------------- */

static void show_subs(mon_call_t *c, uint32_t id)
{
    gmk_sub_info_t s;

    for (uint32_t i = 0; gmk_chan_get_sub(c->ctx->kernel, id, i, &s) == GMK_OK; i++) {
        mon_print(c, "  subscriber %s%s: %u waiting, settled up to %lu, %lu lost",
                  s.module != NULL ? s.module : "(sink)", s.parallel ? " (parallel)" : "", s.lag,
                  s.acked_seq, s.drops);
        mon_print(c, ", emit to handler p50 %lu p99 %lu ns\n", s.latency.p50_ns, s.latency.p99_ns);
    }
}

void mon_do_chan(mon_call_t *c)
{
    const char *only = c->n > 1 ? c->word[1] : NULL;
    bool found = false;
    gmk_chan_info_t i;

    for (uint32_t at = 1; at <= GMK_MAX_CHANNELS; at++) {
        if (gmk_chan_get_info(c->ctx->kernel, at, &i) != GMK_OK ||
            (only != NULL && !mon_same(only, i.name)))
            continue;
        if (!found)
            mon_print(c,
                      "id name             kind           type slots waiting     emits    full    "
                      "lost subs\n");
        found = true;
        mon_print(c, "%2u %-16s %-6s %-8s %4u %5u %7u", at, i.name,
                  (i.mode & GMK_CHAN_FANOUT) != 0 ? "fanout" : "p2p",
                  (i.mode & (GMK_CHAN_LOSSLESS | GMK_CHAN_FANOUT)) == GMK_CHAN_FANOUT ? "lossy"
                                                                                      : "lossless",
                  i.msg_type, i.slots, i.depth);
        mon_print(c, " %9lu %7lu %7lu %4u\n", i.emits, i.fulls, i.drops, i.n_subs);
        if (only != NULL)
            show_subs(c, at);
    }
    if (!found)
        mon_refuse(c, "there is no channel '%s'; 'chan' lists those there are", only);
}

/* Traces. ------------------------------------------------------------------------------- */

/* Takes what the rings hold into the monitor's own. */
static void pull(mon_exec_t *x, gmk_kernel_t *k)
{
    for (uint32_t i = 0; i < MAX_PULLS; i++) {
        uint32_t at = (uint32_t)(x->n_trace % MON_TRACE);
        uint32_t room = MON_TRACE - at < PULL ? MON_TRACE - at : PULL;
        int n = gmk_trace_read_batch(k, x->trace + at, room);

        if (n <= 0)
            return;
        x->n_trace += (uint32_t)n;
    }
}

/* Copies the next name of an argument from an event's text ("...: worker, seq"). */
static const char *argument(const char *p, char *to, size_t bytes)
{
    size_t n = 0;

    while (*p == ',' || *p == ' ' || *p == ':')
        p++;
    for (; *p != '\0' && *p != ','; p++)
        if (n + 1 < bytes)
            to[n++] = *p;
    to[n] = '\0';
    return p;
}

static void argument_names(uint32_t ev, char names[2][24])
{
    const char *p = gmk_trace_event_text(ev);

    names[0][0] = names[1][0] = '\0';
    while (p != NULL && *p != '\0' && *p != ':')
        p++;
    for (uint32_t i = 0; i < 2 && p != NULL; i++)
        p = argument(p, names[i], sizeof(names[i]));
}

/* The worker that a record tells of; GMK_NO_WORKER: it tells of none. */
static uint32_t worker_of(const gmk_trace_ev_t *ev)
{
    char names[2][24];

    argument_names(ev->ev_type, names);
    if (mon_same(names[0], "worker"))
        return ev->arg0;
    return mon_same(names[1], "worker") ? ev->arg1 : GMK_NO_WORKER;
}

static void show_event(mon_call_t *c, const gmk_trace_ev_t *ev)
{
    const char *name = gmk_trace_event_name(ev->ev_type);
    uint32_t worker = worker_of(ev);
    char names[2][24];

    argument_names(ev->ev_type, names);
    mon_print(c, "%6lu.%06lu ", ev->tsc / 1000000000, ev->tsc / 1000 % 1000000);
    if (worker != GMK_NO_WORKER)
        mon_print(c, "w%-2u ", worker);
    else
        mon_print(c, "-   ");
    if (name != NULL)
        mon_print(c, "%-20s", name);
    else
        mon_print(c, "event 0x%-12x", ev->ev_type);
    mon_print(c, " type %u", ev->type);
    for (uint32_t i = 0; i < 2; i++)
        if (!mon_same(names[i], "0")) /* such an argument means nothing */
            mon_print(c, ", %s %u",
                      names[i][0] != '\0' ? names[i]
                      : i == 0            ? "a"
                                          : "b",
                      i == 0 ? ev->arg0 : ev->arg1);
    mon_print(c, "\n");
}

/* Whether record number n is kept, and is of this worker, if one is asked for. */
static bool wanted(const mon_exec_t *x, uint64_t n, uint64_t worker)
{
    return worker == GMK_NO_WORKER || worker_of(&x->trace[n % MON_TRACE]) == worker;
}

void mon_do_trace(mon_call_t *c)
{
    mon_exec_t *x = &c->mon->exec;
    uint64_t count = DEFAULT_EVENTS, worker = GMK_NO_WORKER, first, from;

    if (c->n > 1 && !mon_number(c, 1, MON_TRACE, &count))
        return;
    if (c->n > 2 && !mon_number(c, 2, gmk_worker_count(c->ctx->kernel) - 1, &worker))
        return;
    pull(x, c->ctx->kernel);
    first = x->n_trace > MON_TRACE ? x->n_trace - MON_TRACE : 0;
    for (from = x->n_trace; from > first && count != 0; from--)
        count -= wanted(x, from - 1, worker);
    for (uint64_t n = from; n < x->n_trace; n++)
        if (wanted(x, n, worker))
            show_event(c, &x->trace[n % MON_TRACE]);
    mon_print(c, "%lu events since boot, %lu dropped by full rings; 'level' says what is traced\n",
              gmk_trace_total(c->ctx->kernel), gmk_trace_dropped(c->ctx->kernel));
}

void mon_do_level(mon_call_t *c)
{
    static const char *const levels[] = {[GMK_TRACE_OFF] = "off",
                                         [GMK_TRACE_ERROR] = "error",
                                         [GMK_TRACE_WARN] = "warn",
                                         [GMK_TRACE_INFO] = "info",
                                         [GMK_TRACE_ALL] = "all"};
    const char *module = c->n > 2 ? c->word[2] : NULL;
    uint32_t level = 0;

    while (level < GMK_ARRAY_LEN(levels) && !mon_same(levels[level], c->word[1]))
        level++;
    if (level == GMK_ARRAY_LEN(levels))
        mon_refuse(c, "there is no level '%s'; give off, error, warn, info or all", c->word[1]);
    else if (gmk_trace_set_level(c->ctx->kernel, module, level) != GMK_OK)
        mon_refuse(c, "there is no module '%s'; 'mod' lists those there are", module);
    else
        mon_print(c, "%s: %s\n", module != NULL ? module : "all modules", levels[level]);
}

/* Counters and memory. ------------------------------------------------------------------- */

static bool begins(const char *text, const char *with)
{
    while (*with != '\0' && *text == *with) {
        text++;
        with++;
    }
    return *with == '\0';
}

void mon_do_metrics(mon_call_t *c)
{
    const char *prefix = c->n > 1 ? c->word[1] : NULL;
    bool found = false;

    for (uint32_t i = 0; i < GMK_METRIC_COUNT; i++) {
        uint64_t v = gmk_metric_get(c->ctx->kernel, i);

        if (prefix != NULL ? !begins(gmk_metric_key(i), prefix) : v == 0)
            continue;
        found = true;
        mon_print(c, "%-20s %12lu  %s\n", gmk_metric_key(i), v, gmk_metric_text(i));
    }
    if (!found)
        mon_refuse(c, "no counter begins with '%s'; try: metrics tasks", prefix);
}

void mon_do_uptime(mon_call_t *c)
{
    gmk_kernel_info_t info = {.uptime_ns = 0};

    if (gmk_kernel_get_info(c->ctx->kernel, &info) != GMK_OK)
        return;
    mon_print(c, "up %lu.%06lu s, tick %lu, %u workers, GGMK %s\n", info.uptime_ns / 1000000000,
              info.uptime_ns / 1000 % 1000000, info.tick, gmk_worker_count(c->ctx->kernel),
              GMK_VERSION_TEXT);
}

void mon_do_mem(mon_call_t *c)
{
    static const char *const names[] = {[GMK_ALLOC_TASK_SLAB] = "task slab",
                                        [GMK_ALLOC_BLOCK] = "blocks",
                                        [GMK_ALLOC_BUMP] = "bump"};
    gmk_alloc_stats_t s;

    if (c->mon->ops->line != NULL)
        mon_list(c, MON_MEMORY);
    mon_print(c, "arena           KiB   free KiB   most KiB     allocs      fails  bad frees\n");
    for (int i = 0; i < GMK_ALLOC_KINDS; i++) {
        if (gmk_alloc_get_stats(c->ctx->kernel, (enum gmk_alloc_kind)i, &s) != GMK_OK)
            continue;
        mon_print(c, "%-9s %9lu %10lu %10lu", names[i], s.bytes_total / 1024, s.bytes_free / 1024,
                  s.bytes_high_water / 1024);
        mon_print(c, " %10lu %10lu %10lu\n", s.n_allocs, s.n_fails, s.n_bad_frees);
    }
}
