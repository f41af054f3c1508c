/* SPDX-License-Identifier: MIT
 * Replay of outside bytes: gmk_replay takes a recording as the fuzzer gives it, its checks
 * put right, and must end with a code that it names. Two kernels with other numbers of
 * workers and other schedules must come to the same end, and both go on to work. The other
 * half of the inputs are calls that are recorded: their recording must replay without a
 * difference.
 * Floor: tests. Source: SPEC DET-5, DET-7, DET-9; ARCHITECTURE R15. */
#include "fuzz_world.h"

#define TAPE_BYTES 60000u

typedef struct stage {
    const uint8_t *data; /* of the calls to record */
    size_t n;
    uint8_t *tape;
    size_t tape_n, tape_at;
    uint32_t n_workers;
    bool records;
    gmk_kernel_t k;
    int rc;
    gmk_replay_report_t report;
    uint64_t hash;
    uint64_t short_of; /* memory: how often. What then happens need not be the same */
} stage_t;

/* Modules. ---------------------------------------------------------------------------------- */

/* Spawns, yields, retries and fails as the task says. */
static int on_task(gmk_ctx_t *ctx)
{
    gmk_task_t *t = ctx->task;
    gmk_task_t more = {.type = 2, .flags = GMK_TF_DETERMINISTIC | 1, .meta0 = t->meta0 >> 8};
    const uint8_t *p = (const uint8_t *)(uintptr_t)t->payload_ptr;
    bool first = t->yield_count == 0 && gmk_retries(ctx) == 0;
    volatile uint8_t sum = 0;

    for (uint32_t i = 0; (t->flags & GMK_TF_PAYLOAD_RC) != 0 && p != NULL && i < t->payload_len;
         i++)
        sum = (uint8_t)(sum + p[i]);
    more.meta1 = t->meta1 + 1;
    if (first && t->meta1 < 3 && (t->meta0 & 1) != 0)
        (void)!gmk_emit(ctx, &more);
    if (first && t->meta1 < 3 && (t->meta0 & 2) != 0) {
        more.type = 3;
        (void)!gmk_chan_emit(ctx, (uint32_t)gmk_chan_find(ctx, "fz.b"), &more);
    }
    if ((t->meta0 & 4) != 0 && t->yield_count < 2) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    if ((t->meta0 & 8) != 0 && gmk_retries(ctx) < 2)
        return GMK_RETRY;
    return t->meta0 & 16 ? GMK_FAIL(1 + (int)(t->meta0 % 90)) : GMK_OK;
}

#define DET GMK_HF_DETERMINISTIC
static gmk_handler_reg_t alpha_fns[] = {{.type = 1, .fn = on_task, .name = "one", .flags = DET},
                                        {.type = 2, .fn = on_task, .name = "two", .flags = DET}};
static gmk_handler_reg_t beta_fns[] = {{.type = 3, .fn = on_task, .name = "three", .flags = DET},
                                       {.type = 4, .fn = on_task, .name = "four"}};
static gmk_chan_decl_t alpha_chans[] = {{.name = "fz.a",
                                         .direction = GMK_CHAN_CONSUME,
                                         .msg_type = 1,
                                         .mode = GMK_CHAN_P2P | GMK_CHAN_DETERMINISTIC}};
static gmk_chan_decl_t beta_chans[] = {
    {.name = "fz.b",
     .direction = GMK_CHAN_CONSUME,
     .msg_type = 3,
     .mode = GMK_CHAN_FANOUT | GMK_CHAN_DETERMINISTIC},
    {.name = "fz.c", .direction = GMK_CHAN_CONSUME, .msg_type = 4}};
static gmk_module_t mods[] = {{.name = "alpha",
                               .handlers = alpha_fns,
                               .n_handlers = 2,
                               .channels = alpha_chans,
                               .n_channels = 1},
                              {.name = "beta",
                               .handlers = beta_fns,
                               .n_handlers = 2,
                               .channels = beta_chans,
                               .n_channels = 2},
                              {.name = "gamma",
                               .handlers = beta_fns,
                               .n_handlers = 1,
                               .channels = beta_chans,
                               .n_channels = 1}};

/* Tapes. -------------------------------------------------------------------------------------- */

static int tape_write(void *arg, const void *bytes, size_t n)
{
    stage_t *s = arg;

    if (n > TAPE_BYTES - s->tape_n)
        return -1;
    memcpy(s->tape + s->tape_n, bytes, n);
    s->tape_n += n;
    return 0;
}

static int64_t tape_read(void *arg, void *bytes, size_t n)
{
    stage_t *s = arg;
    size_t left = s->tape_n - s->tape_at;

    n = n < left ? n : left;
    if (n != 0)
        memcpy(bytes, s->tape + s->tape_at, n);
    s->tape_at += n;
    return (int64_t)n;
}

/* Runs. --------------------------------------------------------------------------------------- */

static void start(stage_t *s)
{
    gmk_module_t *list[] = {&mods[0], &mods[1], &mods[2]};
    gmk_boot_cfg_t cfg = {.arena_size = 1u << 20,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS,
                          .n_workers = s->n_workers,
                          .trace_slots = 16,
                          .spin_ns = 200};

    FUZZ_CHECK(gmk_boot(&s->k, &cfg, list, 3) == GMK_OK);
}

static void stop(stage_t *s)
{
    gmk_audit_report_t r;

    s->short_of = gmk_metric_get(&s->k, GMK_METRIC_ALLOC_FAILS);
    FUZZ_CHECK(gmk_halt_timeout(&s->k, 10000000000ull, &r) == GMK_OK);
    FUZZ_CHECK(r.balanced && r.payloads_live == 0 && r.queued == 0);
}

#define TICK_NS 1000000000ull
#define REPLAY_CODES                                                                               \
    (C(GMK_OK) | C(GMK_E_DIVERGED) | C(GMK_E_RECORD) | C(GMK_E_NOT_FOUND) | C(GMK_E_BUSY) |        \
     C(GMK_E_TIMEOUT) | C(GMK_ALLOC_FAIL) | C(GMK_E_LIMIT) | C(GMK_E_INVALID) | C(GMK_E_HALTING) | \
     C(GMK_E_WIRING) | C(GMK_E_NO_HANDLER) | C(GMK_E_TENANT) | C(GMK_CHAN_CLOSED) |                \
     C(GMK_CHAN_TYPE_MISMATCH))

static void run_replay(void *arg)
{
    stage_t *s = arg;
    gmk_task_t t = {.type = 4};

    start(s);
    s->tape_at = 0;
    s->rc = HEARD(gmk_replay(&s->k, tape_read, s, TICK_NS, &s->report), REPLAY_CODES);
    FUZZ_CHECK(s->report.fault < GMK_RECORD_FAULTS);
    FUZZ_CHECK((s->report.fault != GMK_RECORD_SOUND) == (s->rc == GMK_E_RECORD));
    s->hash = gmk_trace_hash(&s->k);
    /* Whatever that was, the kernel works. */
    FUZZ_CHECK(gmk_submit(&s->k, &t) == GMK_OK);
    gmk_tick_advance(&s->k);
    HEARD(gmk_tick_wait(&s->k, TICK_NS), C(GMK_OK) | C(GMK_E_TIMEOUT));
    stop(s);
}

static gmk_task_t take_input(bytes_t *b)
{
    uint8_t how = take8(b);

    return (gmk_task_t){.type = 1 + (how & 1),
                        .flags = (uint16_t)(GMK_TF_DETERMINISTIC | (how >> 1 & 3)),
                        .meta0 = take32(b)};
}

/* One call of deterministic input, or a tick. */
static void bring(stage_t *s, gmk_ctx_t *ctx, bytes_t *b)
{
    uint8_t how = take8(b);
    gmk_task_t t = take_input(b);
    void *p = how & 0x80 ? gmk_payload_alloc(ctx, 1 + (how >> 3 & 15)) : NULL;
    int rc;

    if (p != NULL) {
        memset(p, how, 1 + (how >> 3 & 15));
        gmk_task_set_payload(&t, p);
    }
    switch (how & 7) {
    case 0:
    case 1:
        rc = gmk_submit(&s->k, &t);
        break;
    case 2:
        rc = gmk_emit(ctx, &t);
        break;
    case 3:
        t.type = 1;
        rc = gmk_chan_emit(ctx, (uint32_t)gmk_chan_find(ctx, "fz.a"), &t);
        break;
    case 4:
        t.type = 3;
        rc = gmk_chan_emit(ctx, (uint32_t)gmk_chan_find(ctx, "fz.b"), &t);
        break;
    case 5:
        rc = gmk_submit_at_tick(&s->k, &t, gmk_tick_now(&s->k) + (how >> 3));
        break;
    default:
        rc = GMK_E_INVALID;
        gmk_tick_advance(&s->k);
        if (how & 8)
            FUZZ_CHECK(gmk_tick_wait(&s->k, TICK_NS) == GMK_OK);
    }
    if (p != NULL && rc != GMK_OK)
        gmk_payload_release_ptr(ctx, p);
}

static void run_record(void *arg)
{
    stage_t *s = arg;
    bytes_t b = {s->data, s->n, 0};
    gmk_host_t host;
    gmk_ctx_t *ctx;

    start(s);
    ctx = gmk_host_attach(&s->k, &host);
    FUZZ_CHECK(ctx != NULL);
    for (uint32_t i = take8(&b) & 7; i != 0; i--)
        gmk_tick_advance(&s->k);
    FUZZ_CHECK(gmk_tick_wait(&s->k, TICK_NS) == GMK_OK);
    FUZZ_CHECK(gmk_record_start(&s->k, tape_write, s) == GMK_OK);
    while (more(&b) && s->tape_n < TAPE_BYTES / 2)
        bring(s, ctx, &b);
    for (uint32_t i = 0; i < 4; i++) {
        gmk_tick_advance(&s->k);
        FUZZ_CHECK(gmk_tick_wait(&s->k, TICK_NS) == GMK_OK);
    }
    s->hash = gmk_trace_hash(&s->k);
    FUZZ_CHECK(gmk_record_stop(&s->k, NULL) == GMK_OK);
    FUZZ_CHECK(gmk_host_detach(&host) == GMK_OK);
    stop(s);
}

static void play(stage_t *s, void (*fn)(void *), uint64_t seed, uint32_t workers)
{
    gmk_sim_cfg_t cfg = {.seed = seed, .max_switches = 3000000, .run_length = 30};

    s->n_workers = workers;
    gmk_sim_run(&cfg, fn, s);
}

static void same(const stage_t *a, const stage_t *b)
{
    if (a->short_of != 0 || b->short_of != 0)
        return; /* how much lies in the workers' caches differs */
    FUZZ_CHECK(a->rc == b->rc && a->hash == b->hash);
    FUZZ_CHECK(a->report.n_inputs == b->report.n_inputs && a->report.n_ticks == b->report.n_ticks);
    FUZZ_CHECK(a->report.tick == b->report.tick && a->report.offset == b->report.offset);
    FUZZ_CHECK(a->report.fault == b->report.fault && a->report.hash == b->report.hash);
}

/* The first byte: how, the second: the schedules. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    stage_t *s;

    if (n < 2 || n > TAPE_BYTES)
        return 0;
    s = calloc(3, sizeof(*s));
    FUZZ_CHECK(s != NULL);
    s[0].tape = malloc(TAPE_BYTES);
    FUZZ_CHECK(s[0].tape != NULL);
    s[0].data = data + 2;
    s[0].n = n - 2;
    s[0].records = data[0] & 1;
    if (s[0].records) {
        play(&s[0], run_record, data[1], 2);
    } else {
        memcpy(s[0].tape, data + 2, n - 2);
        s[0].tape_n = n - 2;
        put_right(s[0].tape, s[0].tape_n);
    }
    s[1].tape = s[2].tape = s[0].tape;
    s[1].tape_n = s[2].tape_n = s[0].tape_n;
    play(&s[1], run_replay, data[1] * 3 + 1ull, 1);
    play(&s[2], run_replay, data[1] * 5 + 2ull, 3);
    same(&s[1], &s[2]);
    if (s[0].records && s[0].short_of + s[1].short_of == 0)
        FUZZ_CHECK(s[1].rc == GMK_OK && s[1].hash == s[0].hash);
    free(s[0].tape);
    free(s);
    return 0;
}
