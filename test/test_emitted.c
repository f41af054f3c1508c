/* SPDX-License-Identifier: MIT
 * What is declared is produced: every reason of reasons.def reaches a subscriber of sys.error
 * or sys.dropped, every code of errors.def is the answer to some call, every fault of
 * record_faults.def is found in some recording. (Metrics: test_observe; events: test_trace.)
 * Floor: tests. Source: SPEC T-15, T-17; ARCHITECTURE R10, R11. */
#include "bytes.h"
#include "chan_parts.h"
#include "ggmk/determinism.h"
#include "guard_env.h"
#include "kernel/kernel.h"

#define RQ_SLOTS 64u

static env_t env;
static part_t part[2];
static watch_t watch;
static gmk_module_t plumber;

/* Direct work: a type a failure. ----------------------------------------------------- */

enum { T_FAILS = 50, T_RETRIES, T_YIELDS, T_BAD, T_FINE, T_DET, T_HOLD, T_HOG, T_CRASH };

static gmk_a32_t held, let_go;
static bool det_fails;
static void *blocks[32768];
static uint32_t n_blocks;

static int on_fails(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_FAIL(7);
}

static int on_retries(gmk_ctx_t *ctx)
{
    return ctx->task->meta0 != 0 && gmk_retries(ctx) != 0 ? GMK_OK : GMK_RETRY;
}

static int on_yields(gmk_ctx_t *ctx)
{
    if (ctx->task->meta0 == 0 || ctx->task->yield_count < ctx->task->meta0)
        gmk_yield(ctx);
    return GMK_OK;
}

static int on_fine(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_OK;
}

static int on_det(gmk_ctx_t *ctx)
{
    (void)ctx;
    return det_fails ? GMK_FAIL(1) : GMK_OK;
}

static int on_hold(gmk_ctx_t *ctx)
{
    (void)ctx;
    gmk_store_rel(&held, 1, GMK_DEV);           /* sync: test.kit */
    while (gmk_load_acq(&let_go, GMK_DEV) == 0) /* sync: test.kit */
        gmk_hal_relax();
    return GMK_OK;
}

static int on_crash(gmk_ctx_t *ctx)
{
    (void)ctx;
    crash(BY_NULL);
    return GMK_OK;
}

static int on_hog(gmk_ctx_t *ctx)
{
    while (ctx->task->meta0 != 0 && n_blocks < GMK_ARRAY_LEN(blocks) &&
           (blocks[n_blocks] = gmk_alloc(ctx, 65)) != NULL)
        n_blocks++;
    gmk_test_assert_lt(n_blocks, GMK_ARRAY_LEN(blocks));
    while (ctx->task->meta0 == 0 && n_blocks != 0)
        gmk_free(ctx, blocks[--n_blocks]);
    return GMK_OK;
}

static gmk_handler_reg_t doer_handlers[] = {
    {.type = T_FAILS, .fn = on_fails, .name = "fails"},
    {.type = T_RETRIES, .fn = on_retries, .name = "retries"},
    {.type = T_YIELDS, .fn = on_yields, .name = "yields", .max_yields = 5000},
    {.type = T_BAD, .fn = on_fails, .name = "bad"},
    {.type = T_FINE, .fn = on_fine, .name = "fine"},
    {.type = T_DET, .fn = on_det, .name = "det", .flags = GMK_HF_DETERMINISTIC},
    {.type = T_HOG, .fn = on_hog, .name = "hog"},
    {.type = T_CRASH, .fn = on_crash, .name = "crash"},
    {.type = T_HOLD, .fn = on_hold, .name = "hold"}};
static gmk_chan_decl_t doer_chans[] = {{.name = "t.det",
                                        .direction = GMK_CHAN_CONSUME,
                                        .msg_type = T_DET,
                                        .mode = GMK_CHAN_DETERMINISTIC}};
static gmk_module_t doer = {.name = "doer",
                            .handlers = doer_handlers,
                            .n_handlers = GMK_ARRAY_LEN(doer_handlers),
                            .channels = doer_chans,
                            .n_channels = 1};

/* One worker with queues of a few places, manual ticks, a watcher, parts 0 and 1. */
static bool boot(void)
{
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)2 << 20,
                          .n_workers = 1,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS |
                                   GMK_BOOT_FAULT_GUARD * GUARD_WORKS,
                          .rq_slots = RQ_SLOTS,
                          .lq_slots = 8,
                          .evq_slots = 256,
                          .overflow_slots = 4,
                          .batch_size = 1};
    gmk_module_t *mods[] = {&doer, part_make(&part[0], &env, 0, on_part),
                            part_make(&part[1], &env, 1, on_part), plumber_make(&plumber, &env),
                            watch_make(&watch, "watch")};
    int id;

    gmk_hal_memset(&env, 0, sizeof(env));
    part_consume(&part[0], "t.msg", GMK_CHAN_FANOUT, 4);
    if (!gmk_test_assert_eq(gmk_boot(&env.kernel, &cfg, mods, GMK_ARRAY_LEN(mods)), GMK_OK))
        return false;
    env.ctx = gmk_host_attach(&env.kernel, &env.host);
    if (!gmk_test_assert(env.ctx != NULL))
        return false;
    id = gmk_chan_find(env.ctx, "t.msg");
    env.chan = id > 0 ? (uint32_t)id : 0;
    gmk_tick_advance(&env.kernel);
    return gmk_test_assert_gt(id, 0);
}

static void run(uint32_t type, uint64_t meta0)
{
    gmk_task_t t = env_msg(type, meta0, 0);

    gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK);
    env_idle(&env);
}

/* The worker takes all memory, its own cache's too; asked again, it gives it back. */
static void hog(bool take)
{
    run(T_HOG, take);
    gmk_test_assert_eq(n_blocks != 0, take);
}

/* The worker stays in a handler until it is let go. */
static void hold(void)
{
    gmk_task_t t = env_msg(T_HOLD, 0, 0);
    uint64_t begin = gmk_hal_now_ns();

    gmk_store_rel(&held, 0, GMK_DEV);   /* sync: test.kit */
    gmk_store_rel(&let_go, 0, GMK_DEV); /* sync: test.kit */
    gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK);
    while (gmk_load_acq(&held, GMK_DEV) == 0 && /* sync: test.kit */
           gmk_hal_now_ns() - begin < ENV_PATIENCE_NS)
        gmk_hal_relax();
}

static void release(void)
{
    gmk_store_rel(&let_go, 1, GMK_DEV); /* sync: test.kit */
    env_idle(&env);
}

/* Timers that come due together and find no room anywhere: they wait for it. */
static void timers_without_room(void)
{
    uint64_t dead = env_metric(&env, GMK_METRIC_TASKS_DEAD);
    uint64_t fired = env_metric(&env, GMK_METRIC_TIMERS_FIRED);
    gmk_task_t t = env_msg(T_FINE, 0, 0);

    for (uint32_t i = 0; i < 200; i++)
        gmk_test_assert_eq(gmk_submit_at_tick(&env.kernel, &t, gmk_tick_now(&env.kernel) + 1),
                           GMK_OK);
    hog(true);
    gmk_tick_advance(&env.kernel);
    env_idle(&env);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_TIMERS_FIRED), fired + 200);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_TASKS_DEAD), dead);
    hog(false);
}

/* More yields at one time than the queues take. */
static void provoke_yield_overflow(void)
{
    gmk_task_t t = env_msg(T_YIELDS, gmk_test_scale(3000, 300), 0);

    hog(true);
    hold();
    for (uint32_t i = 0; i < RQ_SLOTS; i++)
        gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK);
    release();
    hog(false);
}

/* A slow subscriber is a ring behind, leaves what it has not begun, joins again; then the
 * channel closes under it. */
static void provoke_channel_losses(void)
{
    gmk_task_t wrong = env_msg(T_MSG2, 0, 0);
    gmk_task_t error = env_msg(T_MSG, 0, 0);

    plug_in(&env);
    part[0].pause_at = 0;
    gmk_test_assert_eq(env_burst(&env, 0, 1, true), 1);
    env_idle(&env);
    gmk_test_assert_eq(env_burst(&env, 1, 9, true), 8);
    part_act(&part[0], 0, act_part_unsub);
    part_act(&part[0], 0, act_part_sub);
    gmk_test_assert_eq(env_burst(&env, 9, 12, true), 3);
    gmk_test_assert_eq(gmk_chan_emit(env.ctx, env.chan, &wrong), GMK_CHAN_TYPE_MISMATCH);
    gmk_test_assert_eq(gmk_chan_emit(env.ctx, GMK_CHAN_SYS_ERROR, &error), GMK_OK);
    env_idle(&env);
    gmk_test_assert_eq(gmk_chan_close(env.ctx, env.chan), GMK_OK);
    plug_out(&env);
}

/* T-17, R10: each reason reaches a subscriber of sys.error or sys.dropped. GMK_ERR_NONE is
 * what gmk_error_reason says where there is none. */
GMK_TEST(emitted_every_reason_reaches_a_subscriber)
{
    static const struct {
        const char *name;
        uint32_t number;
    } all[] = {
#define X(name, number, text) {#name, number},
#include "ggmk/reasons.def"
#undef X
    };

    GMK_REQUIRE(boot());
    watch.by_reason[GMK_ERR_NONE] = gmk_error_reason(env.ctx) == GMK_ERR_NONE;
    run(T_FAILS, 0);
    if (GUARD_WORKS)
        run(T_CRASH, 0);
    run(T_RETRIES, 0);
    for (uint32_t i = 0; i < 2000 && watch.by_reason[GMK_ERR_RETRY_LIMIT] == 0; i++) {
        gmk_tick_advance(&env.kernel);
        env_idle(&env);
    }
    run(T_YIELDS, 6000);
    for (uint32_t i = 0; i < GMK_POISON_RATE + 2; i++)
        run(T_BAD, 0);
    provoke_yield_overflow();
    timers_without_room();
    provoke_channel_losses();
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(all); i++) {
        /* Without memory, only a task sent to a worker whose inbox is full can be lost, in the
         * moment between two of a spill's blocks: no test gets there. */
        bool expected =
            all[i].number != GMK_ERR_NOMEM && (all[i].number != GMK_ERR_CRASHED || GUARD_WORKS);

        gmk_test_assert_named((watch.by_reason[all[i].number] != 0) == expected, all[i].name);
    }
    gmk_test_assert_eq(watch.bad, 0);
    env_end_within(&env, ENV_PATIENCE_NS);
}

/* Codes. ----------------------------------------------------------------------------- */

typedef struct answer {
    const char *call;
    int64_t got;
    int want;
} answer_t;

/* Every call is made where its table is initialised. */
#define SAYS(call, code)                                                                           \
    {                                                                                              \
#call, (int64_t)(call), (code)                                                             \
    }
#define LOWEST 256

static bool answered[LOWEST + 1];

static void note_code(int code) { answered[1 - code] = true; }

static void note_all(const answer_t *a, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (gmk_test_assert_named(a[i].got == a[i].want, a[i].call))
            note_code(a[i].want);
}

#define NOTE(table) note_all(table, GMK_ARRAY_LEN(table))

static int init_fails(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_FAIL(1);
}

/* What boot says, and an ended kernel. */
static void codes_of_boot(void)
{
    static gmk_kernel_t k, ended;
    gmk_module_t failing = {.name = "failing", .init = init_fails};
    gmk_module_t *fails[] = {&failing}, *null[] = {NULL};
    gmk_task_t t = env_msg(T_FINE, 0, 0);
    gmk_boot_cfg_t few = {.arena_size = 1u << 20, .n_workers = 1},
                   many = {.n_workers = GMK_MAX_WORKERS + 1};

    GMK_REQUIRE(gmk_boot(&ended, &few, NULL, 0) == GMK_OK);
    {
        const answer_t says[] = {SAYS(gmk_boot(&k, &many, NULL, 0), GMK_E_LIMIT),
                                 SAYS(gmk_boot(&k, &few, null, 1), GMK_E_WIRING),
                                 SAYS(gmk_boot(&k, &few, fails, 1), GMK_E_INIT),
                                 SAYS(gmk_halt(&k), GMK_E_INVALID),
                                 SAYS(gmk_halt(&ended), GMK_OK),
                                 SAYS(gmk_submit(&ended, &t), GMK_E_HALTING)};

        NOTE(says);
    }
}

/* Run as part 1: subscriptions. */
static int act_codes(gmk_ctx_t *ctx)
{
    int p2p = gmk_sdk_chan_open(ctx, "t.p2p", GMK_CHAN_P2P, T_MSG);

    if (gmk_test_assert(p2p > 0)) {
        const answer_t says[] = {
            SAYS(gmk_chan_sub(ctx, (uint32_t)p2p), GMK_OK),
            SAYS(gmk_chan_sub(ctx, (uint32_t)p2p), GMK_CHAN_ALREADY_BOUND),
            SAYS(gmk_chan_open(ctx, "t.p2p", GMK_CHAN_FANOUT, 0), GMK_E_EXISTS)};

        NOTE(says);
    }
    return GMK_OK;
}

static uint32_t take_none(void *arg, const gmk_cell_t *cells, uint32_t n)
{
    (void)arg;
    (void)cells;
    (void)n;
    return 0;
}

static void codes_of_calls(void)
{
    gmk_chan_sink_t sink = {.take = take_none};
    gmk_task_t fine = env_msg(T_FINE, 0, 0), alien = env_msg(99, 0, 0), tenant = fine;
    gmk_task_t msg = env_msg(T_MSG, 0, 0), other = env_msg(T_MSG2, 0, 0);
    gmk_task_t plain = env_msg(T_FINE, 0, 0);
    int box = gmk_sdk_chan_open(env.ctx, "t.box", GMK_CHAN_P2P, T_MSG);
    uint32_t c = box > 0 ? (uint32_t)box : 0;
    uint32_t det = (uint32_t)gmk_chan_find(env.ctx, "t.det");

    tenant.tenant = 1;
    plain.flags |= GMK_TF_DETERMINISTIC;
    for (uint32_t i = 0; i < GMK_CHAN_DEFAULT_SLOTS; i++)
        (void)!gmk_chan_emit(env.ctx, c, &msg);
    {
        const answer_t says[] = {
            SAYS(gmk_submit(&env.kernel, NULL), GMK_E_INVALID),
            SAYS(gmk_submit(&env.kernel, &alien), GMK_E_NO_HANDLER),
            SAYS(gmk_submit(&env.kernel, &tenant), GMK_E_TENANT),
            SAYS(gmk_submit(&env.kernel, &plain), GMK_E_WIRING),
            SAYS(gmk_chan_find(env.ctx, "nobody"), GMK_E_NOT_FOUND),
            SAYS(gmk_chan_emit(env.ctx, c, &msg), GMK_CHAN_FULL),
            SAYS(gmk_chan_emit(env.ctx, c, &other), GMK_CHAN_TYPE_MISMATCH),
            SAYS(gmk_chan_sub_sink(env.ctx, det, &sink), GMK_E_UNSUPPORTED),
            SAYS(gmk_chan_close(env.ctx, c), GMK_OK),
            SAYS(gmk_chan_emit(env.ctx, c, &msg), GMK_CHAN_CLOSED),
            SAYS(gmk_sdk_chan_send(env.ctx, env.chan, T_MSG, &env, GMK_PAYLOAD_MAX + 1),
                 GMK_ALLOC_FAIL)};

        NOTE(says);
    }
}

/* The only worker is in a handler: nothing is taken, nothing rests, nothing stands still. */
static void codes_of_a_busy_kernel(void)
{
    gmk_task_t fine = env_msg(T_FINE, 0, 0);
    gmk_audit_report_t r;

    hold();
    for (uint32_t i = 0; i < RQ_SLOTS; i++)
        gmk_test_assert_eq(gmk_submit(&env.kernel, &fine), GMK_OK);
    {
        const answer_t says[] = {SAYS(gmk_submit(&env.kernel, &fine), GMK_E_FULL),
                                 SAYS(gmk_wait_idle(&env.kernel, 1000), GMK_E_TIMEOUT),
                                 SAYS(gmk_audit(&env.kernel, &r), GMK_E_BUSY)};

        NOTE(says);
    }
    release();
}

/* A retry is the one code that a handler gives to the kernel. */
static void code_of_handlers(void)
{
    uint64_t before = env_metric(&env, GMK_METRIC_TASKS_RETRIED);

    run(T_RETRIES, 1);
    gmk_tick_advance(&env.kernel);
    env_idle(&env);
    if (gmk_test_assert_eq(env_metric(&env, GMK_METRIC_TASKS_RETRIED), before + 1))
        note_code(GMK_RETRY);
}

/* Recordings. */
static uint8_t tape[4096];
static size_t tape_n, tape_at;

static int tape_write(void *arg, const void *bytes, size_t n)
{
    (void)arg;
    if (n > sizeof(tape) - tape_n)
        return -1;
    gmk_hal_memcpy(tape + tape_n, bytes, n);
    tape_n += n;
    return 0;
}

static int64_t tape_read(void *arg, void *bytes, size_t n)
{
    (void)arg;
    n = n < tape_n - tape_at ? n : tape_n - tape_at;
    gmk_hal_memcpy(bytes, tape + tape_at, n);
    tape_at += n;
    return (int64_t)n;
}

static void det_tick(void)
{
    gmk_tick_advance(&env.kernel);
    gmk_test_assert_eq(gmk_tick_wait(&env.kernel, ENV_PATIENCE_NS), GMK_OK);
}

static void make_tape(void)
{
    gmk_task_t t = env_msg(T_DET, 0, 0);
    uint32_t det = (uint32_t)gmk_chan_find(env.ctx, "t.det");

    tape_n = 0;
    gmk_test_assert_eq(gmk_record_start(&env.kernel, tape_write, NULL), GMK_OK);
    for (uint32_t i = 0; i < 3; i++) {
        gmk_test_assert_eq(gmk_chan_emit(env.ctx, det, &t), GMK_OK);
        det_tick();
    }
    gmk_test_assert_eq(gmk_record_stop(&env.kernel, NULL), GMK_OK);
}

/* The replaying kernel's handler does what the recorded one did not; then the tape is cut. */
static void codes_of_replay(void)
{
    gmk_replay_report_t r;

    for (uint32_t cut = 0; cut < 2; cut++) {
        env_end_within(&env, ENV_PATIENCE_NS);
        GMK_REQUIRE(boot());
        gmk_test_assert_eq(gmk_tick_wait(&env.kernel, ENV_PATIENCE_NS), GMK_OK);
        det_fails = cut == 0;
        tape_at = 0;
        tape_n -= cut;
        {
            const answer_t says[] = {
                SAYS(gmk_replay(&env.kernel, tape_read, NULL, ENV_PATIENCE_NS, &r),
                     cut == 0 ? GMK_E_DIVERGED : GMK_E_RECORD)};

            NOTE(says);
        }
        det_fails = false;
    }
}

/* Faults of recordings. -------------------------------------------------------------- */

static bool faulted[64];

static void note_fault(uint32_t fault)
{
    if (gmk_test_assert_lt(fault, GMK_ARRAY_LEN(faulted)))
        faulted[fault] = true;
}

/* A header (40 bytes), an input (68), another with a name and a payload (76), a tick (28),
 * the end (36). */
#define SMALL_END 212u
#define SMALL_BYTES 248u

static bool make_small(void)
{
    gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};
    gmk_task_t t = {.type = 1}, with = {.type = 2, .payload_len = 5};

    tape_n = 0;
    return gmk_test_assert_eq(gmk_record_begin(&w, tape_write, NULL, 7, 1000), GMK_OK) &&
           gmk_test_assert_eq(gmk_record_input(&w, 8, NULL, &t, NULL), GMK_OK) &&
           gmk_test_assert_eq(gmk_record_input(&w, 9, "a", &with, "12345"), GMK_OK) &&
           gmk_test_assert_eq(gmk_record_tick(&w, 8, 1), GMK_OK) &&
           gmk_test_assert_eq(gmk_record_end(&w, 2), GMK_OK) &&
           gmk_test_assert_eq(tape_n, SMALL_BYTES);
}

/* Reads n bytes of the tape with a buffer of cap bytes and notes what is wrong with them. */
static uint32_t fault_of(size_t n, uint32_t cap)
{
    GMK_ALIGNAS(16) static uint8_t buf[4096];
    gmk_record_reader_t r;
    gmk_record_t rec;
    size_t at = 0, used;

    gmk_test_assert_eq(gmk_record_open(&r, buf, cap), GMK_OK);
    while (at < n && gmk_record_feed(&r, tape + at, n - at, &used, &rec) >= 0)
        at += used;
    (void)!gmk_record_finish(&r);
    note_fault(r.fault);
    return r.fault;
}

static void faults_of_fields(void)
{
    static const struct {
        uint32_t begin, size; /* the record; size 0: its check is left as it was */
        uint32_t at, fault;
        uint8_t value;
    } cases[] = {{0, 40, 0, GMK_RECORD_BAD_MAGIC, 'g'},
                 {0, 40, 8, GMK_RECORD_BAD_ENDIAN, 1},
                 {0, 40, 12, GMK_RECORD_BAD_VERSION, 2},
                 {0, 40, 14, GMK_RECORD_BAD_HEADER, 41},
                 {40, 0, 88, GMK_RECORD_BAD_CHECK, 1},
                 {40, 68, 40, GMK_RECORD_BAD_SIZE, 72},
                 {40, 68, 44, GMK_RECORD_BAD_KIND, 4},
                 {40, 68, 46, GMK_RECORD_BAD_RESERVED, 1},
                 {40, 68, 45, GMK_RECORD_BAD_NAME, GMK_MAX_CHAN_NAME},
                 {40, 68, 48, GMK_RECORD_BAD_TICK, 7},
                 {40, 68, 56, GMK_RECORD_BAD_TASK, 0},
                 {40, 68, 82, GMK_RECORD_BAD_PAYLOAD, 1},
                 {SMALL_END, 36, SMALL_END + 24, GMK_RECORD_BAD_COUNT, 6},
                 {40, 68, 88, GMK_RECORD_SOUND, 1}};

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        GMK_REQUIRE(make_small());
        tape[cases[i].at] = cases[i].value;
        if (cases[i].size != 0)
            record_reseal(tape + cases[i].begin, cases[i].size);
        gmk_test_assert_eq(fault_of(SMALL_BYTES, sizeof(tape)), cases[i].fault);
    }
}

static void faults_of_streams(void)
{
    gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};
    gmk_task_t t = {.type = 0}, wide = {.type = 1, .payload_len = 1000};
    static uint8_t bytes[1000];

    GMK_REQUIRE(make_small());
    tape[SMALL_BYTES] = 0;
    gmk_test_assert_eq(fault_of(SMALL_BYTES + 1, sizeof(tape)), GMK_RECORD_TRAILING);
    gmk_test_assert_eq(fault_of(SMALL_END, sizeof(tape)), GMK_RECORD_NO_END);
    gmk_test_assert_eq(fault_of(SMALL_END + 1, sizeof(tape)), GMK_RECORD_TRUNCATED);
    tape_n = 0;
    gmk_test_assert_eq(gmk_record_begin(&w, tape_write, NULL, 0, 0), GMK_OK);
    gmk_test_assert_eq(gmk_record_input(&w, 1, NULL, &wide, bytes), GMK_OK);
    gmk_test_assert_eq(fault_of(tape_n, GMK_RECORD_MIN_BYTES), GMK_RECORD_NO_ROOM);
    gmk_test_assert_eq(gmk_record_input(&w, 1, NULL, &t, NULL), GMK_E_RECORD);
    note_fault(w.fault);
    tape_n = sizeof(tape) - 10;
    gmk_test_assert_eq(gmk_record_begin(&w, tape_write, NULL, 0, 0), GMK_E_RECORD);
    note_fault(w.fault);
}

static int64_t read_fails(void *arg, void *bytes, size_t n)
{
    (void)arg;
    (void)bytes;
    (void)n;
    return -1;
}

/* DET-7, R10: each fault is found in some recording, or by its writer or reader. */
GMK_TEST(emitted_every_fault_of_a_recording_is_found)
{
    static const struct {
        const char *name;
        uint32_t number;
    } all[] = {
#define X(name, number, text) {#name, number},
#include "ggmk/record_faults.def"
#undef X
    };
    gmk_replay_report_t report;

    gmk_hal_memset(faulted, 0, sizeof(faulted));
    faults_of_fields();
    faults_of_streams();
    GMK_REQUIRE(boot());
    gmk_test_assert_eq(gmk_replay(&env.kernel, read_fails, NULL, 1, &report), GMK_E_RECORD);
    note_fault(report.fault);
    env_end(&env);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(all); i++)
        gmk_test_assert_named(faulted[all[i].number], all[i].name);
}

/* One delivery more in the books than there is. */
static void code_of_wrong_books(void)
{
    gmk_audit_report_t r;
    gmki_kernel_t *k = gmki_kernel(&env.kernel);

    gmki_accept(gmki_outside(k), 0, 1);
    {
        const answer_t says[] = {SAYS(gmk_audit(&env.kernel, &r), GMK_E_UNBALANCED)};

        NOTE(says);
    }
    gmk_test_assert(!r.balanced);
    gmk_test_assert_eq(gmk_host_detach(&env.host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&env.kernel, ENV_PATIENCE_NS, &r), GMK_E_UNBALANCED);
    gmk_test_assert(!r.balanced);
}

/* More workers than the simulated machine has processors; a machine of threads has no such
 * number. */
static void code_of_a_small_machine(void)
{
#ifdef GMK_SIM
    static gmk_kernel_t k[8];
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)1 << 20, .n_workers = GMK_MAX_WORKERS};
    uint32_t n = 0;
    int rc;

    while (n < 8 && (rc = gmk_boot(&k[n], &cfg, NULL, 0)) == GMK_OK)
        n++;
    if (gmk_test_assert_eq(rc, GMK_E_CPU))
        note_code(rc);
    gmk_test_assert_ne(gmk_boot_error(&k[n < 8 ? n : 0])[0], '\0');
    while (n-- != 0)
        gmk_test_assert_eq(gmk_halt(&k[n]), GMK_OK);
#endif
}

/* T-15, R10, R11: each code is the answer to some call. */
GMK_TEST(emitted_every_code_is_returned)
{
    static const struct {
        const char *name;
        int number;
    } all[] = {
#define X(name, number, text) {#name, number},
#include "ggmk/errors.def"
#undef X
    };

    gmk_hal_memset(answered, 0, sizeof(answered));
    codes_of_boot();
    GMK_REQUIRE(boot());
    part_act(&part[1], 1, act_codes);
    codes_of_calls();
    codes_of_a_busy_kernel();
    make_tape();
    code_of_handlers();
    codes_of_replay();
    code_of_wrong_books();
    code_of_a_small_machine();
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(all); i++) {
        bool expected = gmk_test_simulated() || all[i].number != GMK_E_CPU;

        gmk_test_assert_named(answered[1 - all[i].number] == expected, all[i].name);
    }
}
