/* SPDX-License-Identifier: MIT
 * The mixed load: one kernel, from boot to halt, for as long as it is told, under every kind
 * of work at once: submits single and in batches, trees, chains, timers, ticks, retries,
 * yields, failures, poison, a pipeline under back-pressure, fan-out to slow and dying
 * subscribers, channels that come and go, memory handed from worker to worker, threads that
 * attach and detach, and readers. It goes in phases of ten seconds at most. At the edge of
 * each the load stops and all must come to rest: the books balance and agree with what the
 * program itself has counted, no payload is left, and memory has not grown. On a machine that is
 * busy with other things it takes longer than it is told, and does no less.
 * usage: soak_mixed --seconds S [--seed N]
 * Floor: tests, on the public interface alone. Source: SPEC ACC-1, ACC-2, AL-13, R8. */
#define _GNU_SOURCE
#include "soak_work.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "test_args.h"

#define N_HOSTS 4u             /* the first is not attached */
#define MS 1000000ull          /* in ns */
#define REST_NS (30000 * MS)   /* the load must come to rest in this */
#define STALL_NS (5000 * MS)   /* nothing ends for so long: it has stopped */
#define GROWTH_KIB 4096u       /* resident memory beyond that of the first round */
#define BESIDE_KIB (32u << 10) /* and beyond what boot reserved: slots, stacks, libc */
#define ARENA_BYTES (16u << 20)
#define IDLE_TASKS 64u /* at least, of an idle phase */
#define ROUNDS 2u      /* at least: the first says what memory the next may have */
#define IN_FLIGHT 64u  /* deliveries of one thread that an audit beside it may see half done */

/* Under a sanitizer shadow memory and quarantine are resident too. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_SAYS 0
#elif defined(__has_feature)
#define MEMORY_SAYS (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define MEMORY_SAYS 1
#endif

/* A thread of the load. */
typedef struct host {
    mix_t *m;
    uint32_t id;
    gmk_hal_thread_t thread;
    gmk_hal_park_t park;
    gmk_a32_t rests; /* the epoch in which it does nothing */
    gmk_host_t storage;
    gmk_ctx_t *ctx; /* null: not attached */
    uint64_t rng, sent;
} host_t;

/* Operations of the load. ------------------------------------------------------------------ */

GMK_FN uint64_t draw(host_t *h) { return h->rng = mix(h->rng + 0x9e3779b97f4a7c15ull); }

static bool submit(host_t *h, gmk_task_t t)
{
    return took(h->m, t.type, gmk_submit(&h->m->kernel, &t));
}

static gmk_task_t task(uint32_t type, uint64_t meta0)
{
    return (gmk_task_t){.type = type, .flags = GMK_PRIO_NORMAL, .meta0 = meta0};
}

static void op_leaf(host_t *h, uint64_t dna)
{
    gmk_task_t t = task(T_LEAF, dna);

    t.flags = (uint16_t)(dna & 3);
    submit(h, t);
}

static void op_batch(host_t *h, uint64_t dna)
{
    static const uint32_t types[] = {T_LEAF, T_YIELD, T_LEAF, T_RETRY,
                                     T_LEAF, T_FAIL,  T_LEAF, T_STUBBORN};
    gmk_task_t t[32];
    uint32_t n = 2 + (uint32_t)(dna % 31);
    int rc;

    for (uint32_t i = 0; i < n; i++)
        t[i] = task(types[mix(dna + i) & (dna >> 9 & 7)], mix(dna * 3 + i));
    rc = gmk_submit_batch(&h->m->kernel, t, n);
    expect(h->m, rc > 0 || rc == GMK_E_FULL, "a batch was refused by another code");
    for (int i = 0; i < rc; i++)
        took(h->m, t[i].type, GMK_OK);
}

static void op_tree(host_t *h, uint64_t dna) { submit(h, task(T_TREE, 1 + dna % 8)); }
static void op_chain(host_t *h, uint64_t dna) { submit(h, task(T_CHAIN, 1 + dna % 500)); }
static void op_poison(host_t *h, uint64_t dna) { submit(h, task(T_POISON, dna)); }
static void op_churn(host_t *h, uint64_t dna) { submit(h, task(T_CHURN, dna)); }

static void op_timer(host_t *h, uint64_t dna)
{
    uint64_t delay = dna % (50 * MS);
    gmk_task_t t = task(T_TIMER, gmk_hal_now_ns() + delay);
    uint32_t tick = gmk_tick_now(&h->m->kernel) + (uint32_t)(dna >> 32 & 31);

    if (dna >> 62 & 1) {
        took(h->m, T_TIMER, gmk_submit_after(&h->m->kernel, &t, delay));
        return;
    }
    t = task(T_TICK, tick);
    took(h->m, T_TICK, gmk_submit_at_tick(&h->m->kernel, &t, tick));
}

static void op_bound(host_t *h, uint64_t dna)
{
    uint32_t w = (uint32_t)(dna >> 8) % h->m->n_workers;
    gmk_task_t t = task(T_BOUND, w);

    took(h->m, T_BOUND, gmk_submit_to(&h->m->kernel, &t, w));
}

static void op_det(host_t *h, uint64_t dna)
{
    gmk_task_t t = task(T_DET, dna);

    t.flags |= GMK_TF_DETERMINISTIC;
    submit(h, t);
}

/* From here on they need a context. */
static void op_block(host_t *h, uint64_t dna)
{
    uint32_t len = draw_len(dna);
    void *p = gmk_alloc(h->ctx, len);
    gmk_task_t t = task(T_BLOCK, (uint64_t)(uintptr_t)p);

    if (p == NULL)
        return;
    fill(p, len);
    t.meta1 = (dna >> 40 & 7) << 32 | len;
    if (!submit(h, t))
        gmk_free(h->ctx, p);
}

static void op_payload(host_t *h, uint64_t dna)
{
    gmk_task_t t = task(T_PAYLOAD, dna);

    t.meta1 = dna >> 40 & 7;
    if (give_payload(h->ctx, &t, draw_len(dna)) && !took(h->m, T_PAYLOAD, gmk_emit(h->ctx, &t)))
        take_back(h->ctx, &t);
}

/* One message; it and what it carries go, or stay here. */
static void emit(host_t *h, uint32_t chan, gmk_task_t *t, uint64_t dna)
{
    int rc;

    if (dna >> 60 & 1)
        give_payload(h->ctx, t, draw_len(dna));
    rc = gmk_chan_emit(h->ctx, chan, t);
    expect(h->m, rc == GMK_OK || rc == GMK_CHAN_FULL, "an emit gave another code");
    if (!took(h->m, t->type, rc))
        take_back(h->ctx, t);
}

static void op_pipe(host_t *h, uint64_t dna)
{
    for (uint32_t i = 0; i < 1 + (dna & 7); i++) {
        gmk_task_t t = task(T_ONE, h->id);

        t.meta1 = ++h->sent;
        emit(h, h->m->one, &t, mix(dna + i));
    }
}

static void op_fan(host_t *h, uint64_t dna)
{
    gmk_task_t t = task(T_FAN, dna);

    emit(h, h->m->fan, &t, dna);
}

static void op_lossy(host_t *h, uint64_t dna)
{
    for (uint32_t i = 0; i < 1 + (dna & 15); i++) {
        gmk_task_t t = task(T_LOSSY, dna);

        emit(h, h->m->lossy, &t, mix(dna + i));
    }
}

static void op_par(host_t *h, uint64_t dna)
{
    gmk_task_t t = task(T_PAR, dna);

    emit(h, h->m->par, &t, dna);
}

/* A channel that nobody subscribes to: what it holds is told of when it closes. */
static void op_orphan(host_t *h, uint64_t dna)
{
    char name[] = "mix.host0";
    gmk_chan_opts_t o = {.slots = 16, .msg_type = T_SHORT};
    int id;

    name[sizeof(name) - 2] = (char)('0' + h->id);
    id = gmk_chan_open_with(h->ctx, name, &o);
    expect(h->m, id > 0 || id == GMK_E_LIMIT || id == GMK_ALLOC_FAIL, "a channel did not open");
    if (id <= 0)
        return;
    send_short(h->ctx, h->m, (uint32_t)id, dna);
    expect(h->m, gmk_chan_close(h->ctx, (uint32_t)id) == GMK_OK, "it did not close");
}

static void op_attach(host_t *h, uint64_t dna)
{
    (void)dna;
    expect(h->m, gmk_host_detach(&h->storage) == GMK_OK, "a thread could not detach");
    h->ctx = gmk_host_attach(&h->m->kernel, &h->storage);
    expect(h->m, h->ctx != NULL, "a thread could not attach");
}

typedef void (*op_fn)(host_t *h, uint64_t dna);

/* In the order of the weights below. */
static const op_fn ops[] = {op_leaf,  op_batch, op_tree, op_chain,  op_poison,  op_churn,
                            op_timer, op_bound, op_det,  op_block,  op_payload, op_pipe,
                            op_fan,   op_lossy, op_par,  op_orphan, op_attach};
#define N_OPS GMK_ARRAY_LEN(ops)
#define N_PLAIN 9u /* the first ones need no context */

/* Phases. ----------------------------------------------------------------------------------- */

typedef struct phase {
    const char *name;
    uint32_t between; /* operations between two naps */
    uint32_t nap_us;
    uint32_t drag;  /* of the slow handlers */
    uint32_t looks; /* of the reader between two naps */
    uint8_t weight[N_OPS];
} phase_t;

/*                            leaf tree poison timer det  payload fan  par  attach
 *                               batch chain churn bound block pipe lossy orphan     */
static const phase_t phases[] = {
    {"calm", 4, 2000, 50, 1, {8, 2, 1, 1, 0, 1, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1, 1}},
    {"steady", 64, 200, 200, 4, {8, 4, 2, 1, 1, 1, 2, 2, 2, 4, 4, 8, 4, 4, 4, 1, 1}},
    {"burst", 100000, 1, 20, 4, {8, 9, 3, 2, 1, 1, 2, 4, 2, 4, 4, 8, 6, 4, 6, 0, 0}},
    {"pressure", 256, 100, 20000, 4, {2, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 20, 20, 20, 4, 1, 0}},
    {"churn", 64, 100, 500, 8, {4, 2, 1, 1, 1, 30, 1, 1, 1, 2, 2, 4, 4, 2, 2, 20, 10}},
    {"memory", 1000, 50, 100, 8, {1, 1, 4, 0, 0, 2, 1, 1, 1, 40, 40, 8, 4, 4, 2, 2, 1}},
    {"timers", 32, 500, 100, 8, {2, 4, 0, 0, 8, 1, 40, 4, 20, 1, 1, 2, 2, 2, 2, 1, 1}},
    {"idle", 0, 0, 0, 0, {0}}};
#define N_PHASES GMK_ARRAY_LEN(phases)

static void nap(gmk_hal_park_t *p, uint64_t ns) { gmk_hal_park_wait(p, gmk_hal_park_word(p), ns); }

static uint32_t pick(const uint8_t *weight, uint32_t n, uint64_t dna)
{
    uint32_t all = 0;
    uint32_t at;

    for (uint32_t i = 0; i < n; i++)
        all += weight[i];
    at = (uint32_t)(dna % (all != 0 ? all : 1));
    for (uint32_t i = 0; i < n; i++) {
        if (at < weight[i])
            return i;
        at -= weight[i];
    }
    return 0;
}

/* Stands still while the load does. returns: false: it is over. */
static bool may_run(host_t *h)
{
    uint32_t epoch;

    while (((epoch = gmk_load_acq(&h->m->epoch, GMK_DEV)) & 1) == 0) {
        if (gmk_load_acq(&h->m->stop, GMK_DEV) != 0)
            return false;
        gmk_store_rel(&h->rests, epoch, GMK_DEV);
        nap(&h->park, 10 * MS);
    }
    return true;
}

static void *host_main(void *arg)
{
    host_t *h = arg;

    if (h->id != 0) {
        h->ctx = gmk_host_attach(&h->m->kernel, &h->storage);
        expect(h->m, h->ctx != NULL, "a thread could not attach");
    }
    while (may_run(h)) {
        const phase_t *p = &phases[gmk_load_acq(&h->m->phase, GMK_DEV)];

        for (uint32_t i = 0; i < p->between && (gmk_load_acq(&h->m->epoch, GMK_DEV) & 1); i++)
            ops[pick(p->weight, h->ctx != NULL ? N_OPS : N_PLAIN, draw(h))](h, draw(h));
        nap(&h->park, p->nap_us * 1000ull);
    }
    if (h->ctx != NULL)
        expect(h->m, gmk_host_detach(&h->storage) == GMK_OK, "a thread could not detach");
    return NULL;
}

static void tell_books(const gmk_audit_report_t *b)
{
    printf("  accepted %llu completed %llu failed %llu dead %llu queued %llu payloads %llu '%s'\n",
           (unsigned long long)b->accepted, (unsigned long long)b->completed,
           (unsigned long long)b->failed, (unsigned long long)b->dead,
           (unsigned long long)b->queued, (unsigned long long)b->payloads_live, b->stuck);
}

/* Readers. ------------------------------------------------------------------------------------ */

static void look_metrics(host_t *h)
{
    static const uint32_t ids[] = {GMK_METRIC_TASKS_COMPLETED, GMK_METRIC_CHAN_EMITS,
                                   GMK_METRIC_GROUP_TURNS}; /* ACCEPTED may, by a refusal */
    static uint64_t was[GMK_ARRAY_LEN(ids)];                /* of the one reader */

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(ids); i++) {
        uint64_t now = gmk_metric_get(&h->m->kernel, ids[i]);

        expect(h->m, now >= was[i], "a counter went back");
        was[i] = now;
    }
    for (uint32_t i = 0; i < GMK_METRIC_COUNT; i++)
        (void)gmk_metric_get_worker(&h->m->kernel, i, 0);
}

static void look_traces(host_t *h)
{
    gmk_trace_ev_t ev[64];
    int n = gmk_trace_read_batch(&h->m->kernel, ev, 64);

    expect(h->m, n >= 0 && n <= 64, "traces could not be read");
    for (int i = 0; i < n; i++)
        expect(h->m, gmk_trace_event_name(ev[i].ev_type) != NULL, "a trace record is damaged");
    gmk_trace_set_level(&h->m->kernel, NULL, (uint32_t)(draw(h) % (GMK_TRACE_ALL + 1)));
}

static void look_infos(host_t *h)
{
    const gmk_kernel_t *k = &h->m->kernel;
    gmk_kernel_info_t info;
    gmk_worker_info_t w;
    gmk_handler_info_t f;
    gmk_alloc_stats_t a;

    expect(h->m, gmk_kernel_get_info(k, &info) == GMK_OK, "no kernel info");
    for (uint32_t i = 0; i < h->m->n_workers; i++)
        expect(h->m, gmk_worker_get_info(k, i, &w) == GMK_OK && w.id == i, "no worker info");
    for (uint32_t i = 0; gmk_handler_get_info(k, i, &f) == GMK_OK; i++)
        expect(h->m, f.module != NULL, "a handler without a module");
    for (uint32_t i = 0; i < GMK_ALLOC_KINDS; i++)
        expect(h->m, gmk_alloc_get_stats(k, i, &a) == GMK_OK && a.n_bad_frees == 0, "a bad free");
}

static void look_channels(host_t *h)
{
    const gmk_kernel_t *k = &h->m->kernel;
    gmk_chan_info_t c;
    gmk_sub_info_t s;

    for (uint32_t id = 1; id <= GMK_MAX_CHANNELS; id++)
        if (gmk_chan_get_info(k, id, &c) == GMK_OK)
            for (uint32_t i = 0; gmk_chan_get_sub(k, id, i, &s) == GMK_OK; i++)
                expect(h->m, i < GMK_MAX_CHAN_SUBS, "more subscribers than there can be");
}

static void look_why(host_t *h)
{
    gmk_wait_t waits[16];
    char text[256];
    int n = gmk_why(&h->m->kernel, waits, 16);

    expect(h->m, n >= 0, "gmk_why refused");
    for (int i = 0; i < n && i < 16; i++)
        expect(h->m, gmk_wait_text(&waits[i], text, sizeof(text)) != 0, "a wait without text");
}

/* Beside the load, the books are off by no more than what is taken on meanwhile, and what the
 * threads have half done. */
static void look_books(host_t *h)
{
    uint64_t before = gmk_metric_get(&h->m->kernel, GMK_METRIC_TASKS_ACCEPTED);
    gmk_audit_report_t b;
    int rc = gmk_audit(&h->m->kernel, &b);
    uint64_t meanwhile;
    uint64_t ends;
    uint64_t off;

    if (rc == GMK_E_BUSY)
        return;
    meanwhile = gmk_metric_get(&h->m->kernel, GMK_METRIC_TASKS_ACCEPTED);
    meanwhile = meanwhile > before ? meanwhile - before : 0;
    ends = b.completed + b.failed + b.dead + b.queued;
    off = b.accepted > ends ? b.accepted - ends : ends - b.accepted;
    expect(h->m, rc == GMK_OK || rc == GMK_E_UNBALANCED, "the audit gave another code");
    gmk_add_rlx(&h->m->audits, 1, GMK_DEV);
    if (off <= meanwhile + (uint64_t)N_HOSTS * IN_FLIGHT)
        return;
    broken(h->m, "the books are off by more than was under way");
    printf("  by %llu, taken on meanwhile %llu\n", (unsigned long long)off,
           (unsigned long long)meanwhile);
    tell_books(&b);
}

static void *reader_main(void *arg)
{
    static void (*const looks[])(host_t *) = {look_metrics,  look_traces, look_infos,
                                              look_channels, look_why,    look_books};
    host_t *h = arg;

    while (may_run(h)) {
        const phase_t *p = &phases[gmk_load_acq(&h->m->phase, GMK_DEV)];

        h->ctx = gmk_host_attach(&h->m->kernel, &h->storage);
        expect(h->m, h->ctx != NULL, "the reader could not attach");
        for (uint32_t i = 0; i < p->looks; i++) {
            looks[draw(h) % GMK_ARRAY_LEN(looks)](h);
            gmk_add_rlx(&h->m->looks, 1, GMK_DEV);
        }
        if (h->ctx != NULL) {
            gmk_watchdog_scan(h->ctx);
            expect(h->m, gmk_host_detach(&h->storage) == GMK_OK, "the reader could not detach");
        }
        nap(&h->park, MS);
    }
    return NULL;
}

/* The run. ----------------------------------------------------------------- */

typedef struct run {
    mix_t *m;
    host_t hosts[N_HOSTS + 1]; /* the last is the reader */
    gmk_hal_park_t park;
    uint64_t begin, seconds, minute;
    uint64_t n_phases, n_bad, rounds;
    uint64_t audits;        /* at edges, all balanced */
    uint64_t longest_rest;  /* ns from the end of a load to its rest */
    uint64_t longest_stall; /* ns in which nothing ended, under load */
    uint64_t boot_kib, first_kib, last_kib, most_kib;
    uint64_t idle_ns, idle_cpu_ns;
} run_t;

static uint64_t resident_kib(void)
{
    unsigned long long all = 0;
    unsigned long long now = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f == NULL || fscanf(f, "%llu %llu", &all, &now) != 2)
        now = 0;
    if (f != NULL)
        fclose(f);
    return now * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static uint64_t metric(const run_t *r, uint32_t id) { return gmk_metric_get(&r->m->kernel, id); }

/* Starts the load, or stops it and waits until every thread stands still. */
static void set_load(run_t *r, bool on)
{
    uint32_t epoch = gmk_load_acq(&r->m->epoch, GMK_DEV) + 1;
    uint64_t begin = gmk_hal_now_ns();

    gmk_store_rel(&r->m->epoch, epoch, GMK_DEV);
    for (uint32_t i = 0; i <= N_HOSTS; i++)
        gmk_hal_park_wake(&r->hosts[i].park);
    for (uint32_t i = 0; !on && i <= N_HOSTS; i++)
        while (gmk_load_acq(&r->hosts[i].rests, GMK_DEV) != epoch) {
            if (gmk_hal_now_ns() - begin > REST_NS) {
                broken(r->m, "a thread of the load hangs in a call");
                exit(1);
            }
            nap(&r->park, MS);
        }
}

static void tell_waits(run_t *r)
{
    gmk_wait_t waits[8];
    char text[256];
    int n = gmk_why(&r->m->kernel, waits, 8);

    for (int i = 0; i < n && i < 8; i++) {
        gmk_wait_text(&waits[i], text, sizeof(text));
        printf("  %s\n", text);
    }
}

/* Waits until all has come to its end, timers and back-offs too; the books at that moment. */
static void settle(run_t *r, gmk_audit_report_t *b)
{
    uint64_t begin = gmk_hal_now_ns();
    gmk_task_t leave = task(T_TICKS, 0);

    took(r->m, T_TICKS, gmk_submit(&r->m->kernel, &leave));
    *b = (gmk_audit_report_t){.queued = 1};
    while (gmk_hal_now_ns() - begin < REST_NS) {
        int rc = gmk_wait_idle(&r->m->kernel, REST_NS);

        if (rc == GMK_OK)
            rc = gmk_audit(&r->m->kernel, b);
        if (rc != GMK_OK) {
            printf("[FAIL] mixed: at rest: %s\n", gmk_strerror(rc));
            break;
        }
        r->audits++;
        if (b->queued == 0)
            break;
        nap(&r->park, MS);
    }
    if (b->queued != 0 || !b->balanced) {
        broken(r->m, "the load did not come to its end, or the books do not balance");
        tell_books(b);
        tell_waits(r);
    }
    if (gmk_hal_now_ns() - begin > r->longest_rest)
        r->longest_rest = gmk_hal_now_ns() - begin;
}

/* What is done at the edge of a phase. ------------------------------------- */

static const char *type_name(uint32_t type)
{
    switch (type) {
#define X(name, number)                                                                            \
    case number:                                                                                   \
        return #name;
        MIX_TYPES(X)
#undef X
    default:
        return "?";
    }
}

/* Each delivery came to its handler's end. Of the types that are poisoned at times, those that
 * did not are as many as the kernel says it has skipped. */
static void check_types(run_t *r)
{
    uint64_t unrun = 0;

    for (uint32_t t = T_LEAF; t <= T_PAR; t++) {
        uint64_t begun = gmk_load_acq(&r->m->n[t].begun, GMK_DEV);
        uint64_t end = gmk_load_acq(&r->m->n[t].ended, GMK_DEV);
        bool poisons = t == T_STUBBORN || t == T_FAIL || t == T_POISON;

        if (poisons)
            unrun += begun - end;
        if (poisons ? end <= begun : end == begun)
            continue;
        broken(r->m, "deliveries are lost, or run twice");
        printf("  %s: begun %llu, ended %llu, dropped %llu\n", type_name(t),
               (unsigned long long)begun, (unsigned long long)end,
               (unsigned long long)r->m->dropped[t]);
    }
    if (unrun != metric(r, GMK_METRIC_POISON_SKIPS)) {
        broken(r->m, "deliveries of poisoned types are not all counted");
        printf("  unrun %llu, skipped %llu\n", (unsigned long long)unrun,
               (unsigned long long)metric(r, GMK_METRIC_POISON_SKIPS));
    }
}

/* Messages that the module of a name lost on a channel as too slow. */
static uint64_t lapped(const run_t *r, uint32_t chan, const char *module)
{
    gmk_sub_info_t s;

    for (uint32_t i = 0; gmk_chan_get_sub(&r->m->kernel, chan, i, &s) == GMK_OK; i++)
        if (s.module != NULL && strcmp(s.module, module) == 0)
            return s.drops;
    return UINT64_MAX;
}

static void check_channels(run_t *r)
{
    mix_t *m = r->m;
    uint64_t fan = m->n[T_FAN].begun;
    uint64_t lossy = m->n[T_LOSSY].begun;
    uint64_t missing = m->n[T_SHORT].begun - m->n[T_SHORT].ended - m->dropped[T_SHORT];
    uint64_t lost = metric(r, GMK_METRIC_ENVELOPES_LOST);

    expect(m, m->fast.seen == fan && m->slow.seen == fan, "a lossless subscriber missed some");
    expect(m, m->fast.lossy + lapped(r, m->lossy, "fast") == lossy, "a loss was not counted");
    expect(m, m->slow.lossy + lapped(r, m->lossy, "slow") == lossy, "a loss was not counted");
    expect(m, missing <= lost, "messages of closed channels are lost and not told of");
}

static void check_memory(run_t *r, const gmk_audit_report_t *b)
{
    uint64_t now = resident_kib();

    expect(r->m, b->payloads_live == 0, "payloads are left");
    expect(r->m, metric(r, GMK_METRIC_ALLOC_BAD_FREES) == 0, "a bad free");
    r->last_kib = now;
    if (now > r->most_kib)
        r->most_kib = now;
    if (r->rounds <= 1 || !MEMORY_SAYS) /* in the first round it finds its size */
        r->first_kib = now;
    else if (now > r->first_kib + GROWTH_KIB)
        broken(r->m, "resident memory grows");
    if (MEMORY_SAYS && now > r->boot_kib + ARENA_BYTES / 1024 + BESIDE_KIB)
        broken(r->m, "more memory is resident than boot reserved, and a bound");
}

static void tell_minute(run_t *r)
{
    uint64_t now = gmk_hal_now_ns();

    if ((now - r->begin) / (60000 * MS) == r->minute)
        return;
    r->minute = (now - r->begin) / (60000 * MS);
    printf("minute %llu: tasks %llu, messages %llu, audits %llu, resident %llu KiB\n",
           (unsigned long long)r->minute, (unsigned long long)metric(r, GMK_METRIC_TASKS_COMPLETED),
           (unsigned long long)metric(r, GMK_METRIC_CHAN_EMITS),
           (unsigned long long)(r->audits + gmk_load_rlx(&r->m->audits, GMK_DEV)),
           (unsigned long long)r->last_kib);
    fflush(stdout);
}

static void edge(run_t *r)
{
    gmk_audit_report_t b;
    uint32_t was = gmk_load_acq(&r->m->wrong, GMK_DEV);

    settle(r, &b);
    check_types(r);
    check_channels(r);
    check_memory(r, &b);
    gmk_mod_reset(&r->m->kernel, T_STUBBORN);
    gmk_mod_reset(&r->m->kernel, T_FAIL);
    gmk_mod_reset(&r->m->kernel, T_POISON);
    if (gmk_load_acq(&r->m->wrong, GMK_DEV) != was)
        tell_books(&b);
    tell_minute(r);
}

/* Phases as they go. ------------------------------------------------------- */

/* Every little while: something must have ended. */
static void watch_load(run_t *r, uint64_t end)
{
    uint64_t seen = metric(r, GMK_METRIC_TASKS_COMPLETED);
    uint64_t since = gmk_hal_now_ns();
    uint64_t now;

    while ((now = gmk_hal_now_ns()) < end) {
        uint64_t done;

        nap(&r->park, gmk_min64(20 * MS, end - now));
        done = metric(r, GMK_METRIC_TASKS_COMPLETED);
        now = gmk_hal_now_ns();
        if (done == seen && now - since <= STALL_NS)
            continue;
        if (now - since > r->longest_stall)
            r->longest_stall = now - since;
        if (done == seen) {
            broken(r->m, "nothing ends");
            tell_waits(r);
        }
        seen = done;
        since = now;
    }
}

/* Workers sleep, and one task wakes one: it is done before all sleep again. No audit here: it
 * would wake them all. */
static void idle_phase(run_t *r, uint64_t end)
{
    uint64_t parks = metric(r, GMK_METRIC_WORKER_PARKS);
    uint64_t cpu = cpu_ns();
    uint64_t begin = gmk_hal_now_ns();
    uint64_t n = 0;

    do {
        gmk_task_t t = task(n & 1 ? T_LEAF : T_BOUND, n % r->m->n_workers);
        int rc = t.type == T_BOUND
                     ? gmk_submit_to(&r->m->kernel, &t, (uint32_t)(n % r->m->n_workers))
                     : gmk_submit(&r->m->kernel, &t);

        expect(r->m, took(r->m, t.type, rc), "an idle kernel refused a task");
        expect(r->m, gmk_wait_idle(&r->m->kernel, REST_NS) == GMK_OK, "no rest after one task");
        expect(r->m,
               gmk_load_acq(&r->m->n[t.type].ended, GMK_DEV) ==
                   gmk_load_acq(&r->m->n[t.type].begun, GMK_DEV),
               "all workers sleep beside work");
        n++;
        nap(&r->park, gmk_min64(20 * MS, (end - begin) / 64));
    } while (n < IDLE_TASKS || gmk_hal_now_ns() < end); /* on a slow machine too */
    expect(r->m, metric(r, GMK_METRIC_WORKER_PARKS) > parks, "no worker went to sleep");
    r->idle_cpu_ns += cpu_ns() - cpu;
    r->idle_ns += gmk_hal_now_ns() - begin;
}

static void run_phase(run_t *r, uint32_t p, uint64_t end)
{
    uint32_t was = gmk_load_acq(&r->m->wrong, GMK_DEV);
    gmk_task_t listen = task(T_TICKS, 1);

    gmk_store_rel(&r->m->phase, p, GMK_DEV);
    gmk_store_rlx(&r->m->drag, phases[p].drag, GMK_DEV);
    if (phases[p].between == 0) {
        idle_phase(r, end);
    } else {
        if (strcmp(phases[p].name, "timers") == 0)
            took(r->m, T_TICKS, gmk_submit(&r->m->kernel, &listen));
        set_load(r, true);
        watch_load(r, end);
        set_load(r, false);
    }
    edge(r);
    r->n_phases++;
    r->n_bad += gmk_load_acq(&r->m->wrong, GMK_DEV) != was;
}

/* Touches the arena, so that what boot reserved is resident from here on. */
static void warm_up(run_t *r, gmk_ctx_t *ctx)
{
    static void *held[ARENA_BYTES / 1024]; /* blocks of 1 KiB and more */
    uint32_t n = 0;

    for (uint32_t size = GMK_BLOCK_MAX; size >= 1024; size /= 2)
        while (n < GMK_ARRAY_LEN(held) && (held[n] = gmk_alloc(ctx, size)) != NULL)
            memset(held[n++], 1, size);
    while (n > 0)
        gmk_free(ctx, held[--n]);
    expect(r->m, gmk_metric_get(&r->m->kernel, GMK_METRIC_ALLOC_BAD_FREES) == 0, "a bad free");
}

static uint32_t find(gmk_ctx_t *ctx, const char *name)
{
    int id = gmk_chan_find(ctx, name);

    return id > 0 ? (uint32_t)id : 0;
}

static bool start(run_t *r)
{
    gmk_boot_cfg_t cfg = {.arena_size = ARENA_BYTES,
                          .n_workers = r->m->n_workers,
                          .flags = GMK_BOOT_NO_LINKED_MODULES,
                          .evq_slots = 4096};
    gmk_module_t *mods[N_MIX_MODULES];
    gmk_host_t storage;
    gmk_ctx_t *ctx;

    mix_wire(r->m, mods);
    gmk_hal_park_init(&r->park);
    if (gmk_boot(&r->m->kernel, &cfg, mods, N_MIX_MODULES) != GMK_OK) {
        printf("[FAIL] mixed: boot: %s\n", gmk_boot_error(&r->m->kernel));
        return false;
    }
    ctx = gmk_host_attach(&r->m->kernel, &storage);
    if (ctx == NULL)
        return false;
    r->m->one = find(ctx, "mix.one");
    r->m->two = find(ctx, "mix.two");
    r->m->three = find(ctx, "mix.three");
    r->m->par = find(ctx, "mix.par");
    r->m->lossy = find(ctx, "mix.lossy");
    r->boot_kib = resident_kib();
    warm_up(r, ctx);
    expect(r->m, gmk_host_detach(&storage) == GMK_OK, "a thread could not detach");
    for (uint32_t i = 0; i <= N_HOSTS; i++) {
        r->hosts[i].m = r->m;
        r->hosts[i].id = i;
        r->hosts[i].rng = mix(r->m->seed * 977 + i);
        gmk_hal_park_init(&r->hosts[i].park);
        if (gmk_hal_thread_create(&r->hosts[i].thread, i < N_HOSTS ? host_main : reader_main,
                                  &r->hosts[i]) != 0)
            return false;
    }
    return true;
}

/* What the load is there for has been done, and seen by who checks it. */
static void check_cover(run_t *r)
{
    mix_t *m = r->m;

    for (uint32_t t = T_LEAF; t < T_END; t++)
        if (t != T_FAN && t != T_LOSSY && gmk_load_acq(&m->n[t].ended, GMK_DEV) == 0) {
            broken(m, "a kind of work has not been done");
            printf("  %s\n", type_name(t));
        }
    expect(m, m->slow.seen > 0 && m->dying.seen > 0, "nothing was fanned out");
    expect(m, m->slow.again > 0, "nothing was replayed");
    expect(m, gmk_load_acq(&m->boxed, GMK_DEV) > 0, "no failed message came to its handler");
    expect(m, gmk_load_acq(&m->ticks, GMK_DEV) > 0, "no tick was told");
    expect(m, m->dropped[T_SHORT] > 0 && m->dropped[T_LOSSY] > 0, "no loss was told");
    expect(m, m->errors > 0, "no failure was told");
    expect(m, metric(r, GMK_METRIC_CHAN_FULL_COUNT) > 0, "no channel was full");
    expect(m, metric(r, GMK_METRIC_OUTBOX_PARKED) > 0, "no module waited for room");
    expect(m, metric(r, GMK_METRIC_POISON_SKIPS) > 0, "no type was poisoned");
    expect(m, metric(r, GMK_METRIC_TASKS_STOLEN) > 0, "no worker stole");
    expect(m, gmk_load_acq(&m->audits, GMK_DEV) > 0, "no audit was made beside the load");
}

/* Ends the load and the kernel; the books of all of it. */
static void finish(run_t *r)
{
    gmk_audit_report_t b = {.balanced = false};
    uint32_t was = gmk_load_acq(&r->m->wrong, GMK_DEV);
    uint64_t messages = metric(r, GMK_METRIC_CHAN_EMITS);
    int rc;

    gmk_store_rel(&r->m->stop, 1, GMK_DEV);
    for (uint32_t i = 0; i <= N_HOSTS; i++) {
        gmk_hal_park_wake(&r->hosts[i].park);
        gmk_hal_thread_join(&r->hosts[i].thread);
    }
    if (r->n_bad == 0)
        check_cover(r);
    rc = gmk_halt_timeout(&r->m->kernel, REST_NS, &b);
    expect(r->m, rc == GMK_OK && b.balanced && b.queued == 0 && b.payloads_live == 0,
           "the halt did not balance");
    if (gmk_load_acq(&r->m->wrong, GMK_DEV) != was)
        tell_books(&b);
    r->n_phases++;
    r->n_bad += gmk_load_acq(&r->m->wrong, GMK_DEV) != was;
    printf("mixed: tasks %llu (failed %llu, dead-lettered %llu), messages %llu, audits %llu (%llu "
           "beside the load), looks %llu\n",
           (unsigned long long)(b.accepted), (unsigned long long)b.failed,
           (unsigned long long)b.dead, (unsigned long long)messages,
           (unsigned long long)(r->audits + r->m->audits), (unsigned long long)r->m->audits,
           (unsigned long long)r->m->looks);
}

static void sum_up(const run_t *r)
{
    printf("mixed: %llu phases, longest rest %llu ms, longest stall %llu ms, idle at %llu.%llu%% "
           "of a processor\n",
           (unsigned long long)(r->n_phases - 1), (unsigned long long)(r->longest_rest / MS),
           (unsigned long long)(r->longest_stall / MS),
           (unsigned long long)(r->idle_cpu_ns * 100 / (r->idle_ns + 1)),
           (unsigned long long)(r->idle_cpu_ns * 1000 / (r->idle_ns + 1) % 10));
    printf(
        "mixed: resident at boot %llu KiB, after a round %llu KiB, last %llu KiB, most %llu KiB\n",
        (unsigned long long)r->boot_kib, (unsigned long long)r->first_kib,
        (unsigned long long)r->last_kib, (unsigned long long)r->most_kib);
    if (!MEMORY_SAYS)
        printf("[SKIP] mixed: resident memory: a sanitizer's own is resident too\n");
    printf("%llu passed, %llu failed, %u skipped\n", (unsigned long long)(r->n_phases - r->n_bad),
           (unsigned long long)r->n_bad, MEMORY_SAYS ? 0u : 1u);
}

int main(int argc, char **argv)
{
    static run_t r;
    uint64_t seed = gmk_hal_now_ns();
    uint64_t phase_ns;

    if ((argc != 3 && argc != 5) || strcmp(argv[1], "--seconds") != 0 ||
        !test_args_u64(argv[2], &r.seconds) || r.seconds == 0 ||
        (argc == 5 && (strcmp(argv[3], "--seed") != 0 || !test_args_u64(argv[4], &seed)))) {
        fprintf(stderr, "usage: %s --seconds S [--seed N]\n", argv[0]);
        return 2;
    }
    r.m = gmk_hal_calloc(1, sizeof(*r.m));
    if (r.m == NULL)
        return 2;
    r.m->seed = seed;
    r.m->n_workers = 4;
    printf("mixed: %llu s from seed %llu\n", (unsigned long long)r.seconds,
           (unsigned long long)seed);
    if (!start(&r))
        return 1;
    r.begin = gmk_hal_now_ns();
    phase_ns = gmk_min64(10000 * MS, r.seconds * 1000 * MS / (ROUNDS * N_PHASES));
    for (uint64_t now = r.begin; r.n_bad == 0 && (r.n_phases < ROUNDS * N_PHASES ||
                                                  (now - r.begin) / 1000 < r.seconds * MS);) {
        r.rounds = 1 + r.n_phases / N_PHASES;
        run_phase(&r, (uint32_t)(r.n_phases % N_PHASES), now + phase_ns);
        now = gmk_hal_now_ns();
    }
    finish(&r);
    sum_up(&r);
    gmk_hal_free(r.m);
    return r.n_bad != 0;
}
