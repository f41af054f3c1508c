/* SPDX-License-Identifier: MIT
 * What the specification fixes by number and no unit's test has: layouts, values,
 * prototypes, the port, and a few rules that cross units.
 * Floor: tests. Source: SPEC groups A to C, F, G, I, N; docs/requirements.tsv. */
#include "ggmk/alloc.h"
#include "ggmk/boot.h"
#include "ggmk/chan.h"
#include "ggmk/error.h"
#include "ggmk/ggmk.h"
#include "ggmk/hal.h"
#include "ggmk/lock.h"
#include "ggmk/metrics.h"
#include "ggmk/module.h"
#include "ggmk/platform.h"
#include "ggmk/ring_mpmc.h"
#include "ggmk/ring_spsc.h"
#include "ggmk/sched.h"
#include "ggmk/trace.h"
#include "ggmk/types.h"
#include "ggmk/worker.h"

#include "kernel_env.h"

/* Layouts. ------------------------------------------------------------------------ */

#define HAS_TYPE(S, field, type) _Generic(&((S *)0)->field, type * : true, default : false)
#define CHECK_FIELD(S, field, type) gmk_test_assert_named(HAS_TYPE(S, field, type), #S "." #field)
#define CHECK_AT(S, field, type, at)                                                               \
    do {                                                                                           \
        CHECK_FIELD(S, field, type);                                                               \
        gmk_test_assert_eq(offsetof(S, field), at);                                                \
    } while (0)

/* SYS-20: this file includes each public header by its name, and uses them. T-1. */
GMK_TEST(requirements_task_record_layout)
{
    GMK_STATIC_ASSERT(sizeof(gmk_task_t) == 48 && _Alignof(gmk_task_t) == 16, "T-1");
    gmk_test_assert_eq(offsetof(gmk_task_t, type), 0);
    CHECK_AT(gmk_task_t, type, uint32_t, 0);
    CHECK_AT(gmk_task_t, flags, uint16_t, 4);
    CHECK_AT(gmk_task_t, tenant, uint16_t, 6);
    CHECK_AT(gmk_task_t, channel, uint32_t, 8);
    CHECK_AT(gmk_task_t, seq, uint32_t, 12);
    CHECK_AT(gmk_task_t, payload_ptr, uint64_t, 16);
    CHECK_AT(gmk_task_t, payload_len, uint32_t, 24);
    CHECK_AT(gmk_task_t, yield_count, uint16_t, 28);
    CHECK_AT(gmk_task_t, _pad, uint16_t, 30);
    CHECK_AT(gmk_task_t, meta0, uint64_t, 32);
    CHECK_AT(gmk_task_t, meta1, uint64_t, 40);
}

/* T-6, T-7. */
GMK_TEST(requirements_task_flags_and_priorities)
{
    gmk_test_assert_eq(GMK_TF_PRIORITY_MASK, 0x0003);
    gmk_test_assert_eq(GMK_TF_DETERMINISTIC, 0x0004);
    gmk_test_assert_eq(GMK_TF_IDEMPOTENT, 0x0008);
    gmk_test_assert_eq(GMK_TF_EMIT_TRACE, 0x0010);
    gmk_test_assert_eq(GMK_TF_CHANNEL_MSG, 0x0020);
    gmk_test_assert_eq(GMK_TF_PAYLOAD_RC, 0x0040);
    gmk_test_assert_eq(GMK_PRIO_CRITICAL, 0);
    gmk_test_assert_eq(GMK_PRIO_HIGH, 1);
    gmk_test_assert_eq(GMK_PRIO_NORMAL, 2);
    gmk_test_assert_eq(GMK_PRIO_LOW, 3);
    for (uint32_t p = 0; p < 4; p++) {
        gmk_test_assert_eq(GMK_PRIORITY(0xfffc | p), p);
        gmk_test_assert_eq(GMK_SET_PRIORITY(0xffff, p), 0xfffc | p);
        gmk_test_assert_eq(GMK_SET_PRIORITY(GMK_TF_EMIT_TRACE | 1, p), GMK_TF_EMIT_TRACE | p);
    }
}

/* T-9, T-11. */
GMK_TEST(requirements_context_fields_and_handler_type)
{
    CHECK_FIELD(gmk_ctx_t, task, gmk_task_t *);
    CHECK_FIELD(gmk_ctx_t, alloc, gmk_alloc_t *);
    CHECK_FIELD(gmk_ctx_t, chan, gmk_chan_reg_t *);
    CHECK_FIELD(gmk_ctx_t, chan, gmk_chan_t *);
    CHECK_FIELD(gmk_ctx_t, trace, gmk_trace_t *);
    CHECK_FIELD(gmk_ctx_t, metrics, gmk_metrics_t *);
    CHECK_FIELD(gmk_ctx_t, sched, gmk_sched_t *);
    CHECK_FIELD(gmk_ctx_t, kernel, gmk_kernel_t *);
    CHECK_FIELD(gmk_ctx_t, worker_id, uint32_t);
    CHECK_FIELD(gmk_ctx_t, tick, uint32_t);
    CHECK_FIELD(gmk_handler_reg_t, fn, gmk_handler_fn);
    gmk_test_assert(_Generic((gmk_handler_fn)NULL, int (*)(gmk_ctx_t *) : true, default : false));
}

/* MOD-1, MOD-2, MOD-4. */
GMK_TEST(requirements_module_structures)
{
    CHECK_FIELD(gmk_module_t, name, const char *);
    CHECK_FIELD(gmk_module_t, version, uint32_t);
    CHECK_FIELD(gmk_module_t, handlers, gmk_handler_reg_t *);
    CHECK_FIELD(gmk_module_t, n_handlers, uint32_t);
    CHECK_FIELD(gmk_module_t, channels, gmk_chan_decl_t *);
    CHECK_FIELD(gmk_module_t, n_channels, uint32_t);
    CHECK_FIELD(gmk_module_t, init, gmk_handler_fn);
    CHECK_FIELD(gmk_module_t, fini, gmk_handler_fn);
    CHECK_FIELD(gmk_handler_reg_t, type, uint32_t);
    CHECK_FIELD(gmk_handler_reg_t, name, const char *);
    CHECK_FIELD(gmk_handler_reg_t, flags, uint32_t);
    CHECK_FIELD(gmk_handler_reg_t, shared_bytes, uint32_t);
    CHECK_FIELD(gmk_handler_reg_t, max_yields, uint32_t);
    CHECK_FIELD(gmk_chan_decl_t, name, const char *);
    CHECK_FIELD(gmk_chan_decl_t, direction, uint32_t);
    CHECK_FIELD(gmk_chan_decl_t, msg_type, uint32_t);
    CHECK_FIELD(gmk_chan_decl_t, mode, uint32_t);
    CHECK_FIELD(gmk_chan_decl_t, guarantee, uint32_t);
}

/* each side's index has a line of its own, of the size of T-19. */
GMK_TEST(requirements_ring_indices_lie_on_lines_of_their_own)
{
    gmk_test_assert_eq(GMK_CACHE_LINE, 64);
    CHECK_FIELD(gmk_spsc_t, tail, gmk_a32_t);
    CHECK_FIELD(gmk_mpmc_t, head, gmk_a32_t);
    gmk_test_assert_eq(sizeof(gmk_a32_t), 4);
    gmk_test_assert_ge(offsetof(gmk_spsc_t, head) - offsetof(gmk_spsc_t, tail), GMK_CACHE_LINE);
    gmk_test_assert_ge(offsetof(gmk_mpmc_t, head) - offsetof(gmk_mpmc_t, tail), GMK_CACHE_LINE);
    gmk_test_assert_eq(_Alignof(gmk_spsc_t) % GMK_CACHE_LINE, 0);
    gmk_test_assert_eq(_Alignof(gmk_mpmc_t) % GMK_CACHE_LINE, 0);
    gmk_test_assert_ge(sizeof(gmk_spsc_t) - offsetof(gmk_spsc_t, head), GMK_CACHE_LINE);
    gmk_test_assert_ge(sizeof(gmk_mpmc_t) - offsetof(gmk_mpmc_t, head), GMK_CACHE_LINE);
}

/* Values. ------------------------------------------------------------------------- */

/* T-15, T-16: bare GMK_FAIL is a constant, with an argument a macro. */
GMK_TEST(requirements_return_codes)
{
    static const int failures[] = {GMK_FAIL, GMK_FAIL(1), GMK_FAIL(99)};

    gmk_test_assert_eq(GMK_OK, 0);
    gmk_test_assert_eq(GMK_RETRY, 1);
    gmk_test_assert_eq(GMK_CHAN_FULL, -100);
    gmk_test_assert_eq(GMK_CHAN_CLOSED, -101);
    gmk_test_assert_eq(GMK_CHAN_TYPE_MISMATCH, -102);
    gmk_test_assert_eq(GMK_CHAN_ALREADY_BOUND, -103);
    gmk_test_assert_eq(GMK_ALLOC_FAIL, -200);
    gmk_test_assert_eq(failures[0], -1);
    gmk_test_assert_eq(failures[1], -1);
    gmk_test_assert_eq(failures[2], -99);
    for (int code = 1; code < 100; code++)
        gmk_test_assert_eq(GMK_ERR_CODE(GMK_FAIL(code)), code);
}

/* T-17. */
GMK_TEST(requirements_fault_reasons)
{
    static const uint32_t reasons[] = {
#define X(name, number, text) number,
#include "ggmk/reasons.def"
#undef X
    };

    gmk_test_assert_eq(GMK_ERR_NOMEM, 1);
    gmk_test_assert_eq(GMK_ERR_FULL, 2);
    gmk_test_assert_eq(GMK_ERR_EMPTY, 3);
    gmk_test_assert_eq(GMK_ERR_INVALID, 4);
    gmk_test_assert_eq(GMK_ERR_NOT_FOUND, 5);
    gmk_test_assert_eq(GMK_ERR_EXISTS, 6);
    gmk_test_assert_eq(GMK_ERR_CLOSED, 7);
    gmk_test_assert_eq(GMK_ERR_POISONED, 8);
    gmk_test_assert_eq(GMK_ERR_YIELD_OVERFLOW, 9);
    gmk_test_assert_eq(GMK_ERR_YIELD_LIMIT, 10);
    gmk_test_assert_eq(GMK_ERR_TYPE_MISMATCH, 11);
    gmk_test_assert_eq(GMK_ERR_ALREADY_BOUND, 12);
    for (uint32_t i = 1; i < GMK_ARRAY_LEN(reasons); i++)
        for (uint32_t j = 0; j < i; j++)
            gmk_test_assert_named(gmk_reason_text(reasons[i]) != gmk_reason_text(reasons[j]),
                                  gmk_reason_text(reasons[i]));
    gmk_test_assert_str_eq(gmk_reason_text(GMK_ERR_FULL), "unknown reason");
}

/* T-18. */
GMK_TEST(requirements_version_packing)
{
    gmk_test_assert_eq(GMK_VERSION(1, 2, 3), 0x010203);
    gmk_test_assert_eq(GMK_VERSION(0x1234, 0x56, 0x78), 0x12345678);
    gmk_test_assert_eq(sizeof(GMK_VERSION(1, 2, 3)), 4);
    gmk_test_assert_eq(gmk_version(), GMK_VERSION(0, 5, 1));
}

/* SYS-21. */
GMK_TEST(requirements_system_limits)
{
    gmk_test_assert_eq(GMK_MAX_CHANNELS, 256);
    gmk_test_assert_eq(GMK_MAX_CHAN_NAME, 64);
    gmk_test_assert_eq(GMK_MAX_CHAN_SUBS, 32);
    gmk_test_assert_eq(GMK_CHAN_MAX_SUBS, 32);
    gmk_test_assert_eq(GMK_MAX_MODULES, 64);
    gmk_test_assert_eq(GMK_MAX_HANDLERS, 256);
    gmk_test_assert_eq(GMK_MAX_WORKERS, 32);
    gmk_test_assert_eq(GMK_MAX_TENANTS, 16);
    gmk_test_assert_eq(GMK_CHAN_DEFAULT_SLOTS, 1024);
    gmk_test_assert_eq(GMK_RQ_DEFAULT_CAP, 4096);
    gmk_test_assert_eq(GMK_LQ_DEFAULT_CAP, 1024);
    gmk_test_assert_eq(GMK_EVQ_DEFAULT_CAP, 65536);
    gmk_test_assert_eq(GMK_OVERFLOW_CAP, 4096);
}

/* MOD-3, CH-11. */
GMK_TEST(requirements_module_and_channel_bits)
{
    gmk_test_assert_eq(GMK_HF_SCALAR, 0x0000);
    gmk_test_assert_eq(GMK_HF_WARP, 0x0001);
    gmk_test_assert_eq(GMK_HF_BLOCK, 0x0002);
    gmk_test_assert_eq(GMK_HF_DETERMINISTIC, 0x0004);
    gmk_test_assert_eq(GMK_HF_NEEDS_SHARED, 0x0008);
    gmk_test_assert_eq(GMK_CHAN_P2P, 0x0001);
    gmk_test_assert_eq(GMK_CHAN_FANOUT, 0x0002);
    gmk_test_assert_eq(GMK_CHAN_LOSSY, 0x0000);
    gmk_test_assert_eq(GMK_CHAN_LOSSLESS, 0x0010);
    gmk_test_assert_eq(GMK_CHAN_PRODUCE, 0x0100);
    gmk_test_assert_eq(GMK_CHAN_CONSUME, 0x0200);
}

/* SYS-12: gmk_halt returns a code since no function that can fail is void (R11). */
GMK_TEST(requirements_boot_interface)
{
    int (*boot)(gmk_kernel_t *, const gmk_boot_cfg_t *, gmk_module_t **, uint32_t) = gmk_boot;
    int (*halt)(gmk_kernel_t *) = gmk_halt;
    int (*submit)(gmk_kernel_t *, gmk_task_t *) = gmk_submit;
    void (*tick_advance)(gmk_kernel_t *) = gmk_tick_advance;
    gmk_boot_cfg_t cfg = {.n_workers = 1, .flags = GMK_BOOT_MANUAL_TICKS};
    gmk_task_t t = {.type = 1};
    static gmk_kernel_t k;

    gmk_test_assert_eq(boot(&k, &cfg, NULL, 0), GMK_OK);
    gmk_test_assert_eq(submit(&k, &t), GMK_E_NO_HANDLER);
    tick_advance(&k);
    tick_advance(&k);
    gmk_test_assert_eq(gmk_tick_now(&k), 2);
    gmk_test_assert_eq(halt(&k), GMK_OK);
}

/* T-19: alignment, padding, atomics, cycle counter, powers of two, branch hints. */
GMK_TEST(requirements_platform_header)
{
    GMK_ALIGNAS(GMK_CACHE_LINE) char line[2] = {1, 2};
    gmk_a32_t w = 5;
    uint64_t cycles = gmk_hal_cycles();

    gmk_test_assert_eq((uintptr_t)line % GMK_CACHE_LINE, 0);
    gmk_test_assert_eq(gmk_add_ar(&w, 2, GMK_DEV), 5); /* sync: test.kit */
    gmk_test_assert_eq(kit_get(&w), 7);
    gmk_test_assert(gmk_is_pow2(1) && gmk_is_pow2(1u << 31));
    gmk_test_assert(!gmk_is_pow2(0) && !gmk_is_pow2(3) && !gmk_is_pow2(UINT32_MAX));
    gmk_test_assert_eq(gmk_pow2_ceil(1000), 1024);
    gmk_test_assert_eq(gmk_pow2_ceil(1024), 1024);
    gmk_test_assert_eq(gmk_pow2_floor(1023), 512);
    gmk_test_assert_eq(gmk_align_up(65, GMK_CACHE_LINE), 128);
    gmk_test_assert(GMK_LIKELY(w == 7) && !GMK_UNLIKELY(w == 5));
    gmk_test_assert(gmk_hal_cycles() >= cycles);
    gmk_test_assert_gt(gmk_hal_cycles_hz(), 0);
    gmk_test_assert_eq(gmk_hal_cycles_hz(), gmk_hal_cycles_hz()); /* measured once */
    gmk_test_assert_eq(gmk_mul_shift32(UINT64_MAX >> 8, 1ull << 32), UINT64_MAX >> 8);
    gmk_test_assert_eq(gmk_mul_shift32(3000000001ull, 1431655766), 1000000000ull);
}

/* The port. ----------------------------------------------------------------------- */

#define HAL_THREADS 4u

typedef struct counted {
    gmk_lock_t lock;
    uint64_t n; /* plain: the lock guards it */
    uint64_t each;
} counted_t;

static void *count(void *arg)
{
    kit_thread_t *t = arg;
    counted_t *c = t->user;

    kit_until(t->go, 1);
    for (uint64_t i = 0; i < c->each; i++) {
        uint64_t n;

        gmk_lock_acquire(&c->lock);
        n = c->n;
        if (i % 16 == 0)
            gmk_hal_relax(); /* another may run, but not between these two */
        c->n = n + 1;
        gmk_lock_release(&c->lock);
    }
    return NULL;
}

/* HAL-2, HAL-4, HAL-5: threads, and locks by the names of lock.h. */
GMK_TEST(requirements_hal_lock_excludes)
{
    static kit_thread_t t[HAL_THREADS];
    static counted_t c;
    gmk_a32_t go;

    gmk_test_assert(_Generic(&c.lock, gmk_hal_lock_t * : true, default : false));
    c.n = 0;
    c.each = gmk_test_scale(50000, 500);
    gmk_lock_init(&c.lock);
    kit_start(t, HAL_THREADS, &go, count, &c);
    kit_join(t, HAL_THREADS);
    gmk_test_assert_eq(c.n, HAL_THREADS * c.each);
    gmk_lock_destroy(&c.lock);
}

static void *add_seven(void *arg)
{
    kit_add(arg, 7);
    return arg;
}

/* HAL-3: the prototypes, the sleep's with the word it has seen (R9). */
GMK_TEST(requirements_hal_prototypes)
{
    int (*create)(gmk_hal_thread_t *, void *(*)(void *), void *) = gmk_hal_thread_create;
    int (*join)(gmk_hal_thread_t *) = gmk_hal_thread_join;
    void (*lock[])(gmk_hal_lock_t *) = {gmk_hal_lock_init, gmk_hal_lock_acquire,
                                        gmk_hal_lock_release, gmk_hal_lock_destroy};
    void (*park[])(gmk_hal_park_t *) = {gmk_hal_park_init, gmk_hal_park_wake,
                                        gmk_hal_park_destroy};
    void (*wait)(gmk_hal_park_t *, uint32_t, uint64_t) = gmk_hal_park_wait;
    void *(*take)(size_t, size_t) = gmk_hal_calloc;
    gmk_hal_thread_t thread;
    gmk_hal_lock_t l;
    gmk_hal_park_t p;
    gmk_a32_t word = 0;
    uint32_t seen;
    void *mem = take(1, 1);

    gmk_test_assert_eq(create(&thread, add_seven, &word), 0);
    gmk_test_assert_eq(join(&thread), 0);
    gmk_test_assert_eq(kit_get(&word), 7);
    for (uint32_t i = 0; i < 4; i++)
        lock[i](&l);
    park[0](&p);
    seen = gmk_hal_park_word(&p);
    park[1](&p);
    gmk_test_assert_ne(gmk_hal_park_word(&p), seen);
    wait(&p, seen, 1000);
    park[2](&p);
    gmk_test_assert(mem != NULL);
    gmk_hal_free(mem);
}

static uint32_t not_zero(const unsigned char *p, size_t n)
{
    uint32_t bad = 0;

    for (size_t i = 0; i < n; i++)
        bad += p[i] != 0;
    return bad;
}

/* HAL-6, HAL-2: pages and blocks are zeroed, also those that were used before. */
GMK_TEST(requirements_hal_memory_is_zeroed)
{
    static const size_t aligns[] = {1, 64, 4096, 65536, 1u << 21};
    size_t bytes = 100000;
    unsigned char *p;
    unsigned char *q;

    for (uint32_t round = 0; round < 3; round++)
        for (uint32_t i = 0; i < GMK_ARRAY_LEN(aligns); i++) {
            p = gmk_hal_page_alloc(bytes, aligns[i]);
            q = gmk_hal_calloc(100, 7);
            GMK_REQUIRE(p != NULL && q != NULL);
            gmk_test_assert_eq((uintptr_t)p % aligns[i], 0);
            gmk_test_assert_eq((uintptr_t)q % 64, 0);
            gmk_test_assert_eq(not_zero(p, bytes), 0);
            gmk_test_assert_eq(not_zero(q, 700), 0);
            gmk_test_assert(gmk_hal_memset(p, 0x5a, bytes) == p);
            gmk_test_assert(gmk_hal_memcpy(q, p, 700) == q);
            gmk_test_assert(q[0] == 0x5a && q[699] == 0x5a && p[bytes - 1] == 0x5a);
            gmk_hal_free(q);
            gmk_hal_page_free(p, bytes);
        }
    gmk_test_assert(gmk_hal_page_alloc(0, 64) == NULL);
    gmk_test_assert(gmk_hal_page_alloc(64, 3) == NULL);
    gmk_test_assert(gmk_hal_calloc(SIZE_MAX, 16) == NULL);
}

/* HAL-2: a clock that never goes back. */
GMK_TEST(requirements_hal_clock_never_goes_back)
{
    uint64_t last = gmk_hal_now_ns(), begin = last;
    uint32_t bad = 0;

    for (uint32_t i = 0; i < 10000; i++) {
        uint64_t now = gmk_hal_now_ns();

        bad += now < last;
        last = now;
    }
    gmk_test_assert_eq(bad, 0);
    gmk_test_assert_gt(last, begin);
}

typedef struct rally {
    gmk_hal_park_t park[2];
    gmk_a32_t ball; /* whose turn it is: odd is side 1 */
    uint32_t rounds;
    gmk_a32_t lost;
} rally_t;

/* Sleeps until the ball comes, without a look at the clock but to end a hang. */
static void rally_side(rally_t *r, uint32_t side)
{
    for (uint32_t i = 0; i < r->rounds; i++) {
        uint64_t begin = gmk_hal_now_ns();

        for (;;) {
            uint32_t seen = gmk_hal_park_word(&r->park[side]);

            if (kit_get(&r->ball) == 2 * i + side || kit_get(&r->lost) != 0)
                break;
            gmk_hal_park_wait(&r->park[side], seen, KIT_WAIT_NS);
            if (gmk_hal_now_ns() - begin >= KIT_WAIT_NS)
                kit_add(&r->lost, 1);
        }
        kit_add(&r->ball, 1);
        gmk_hal_park_wake(&r->park[1 - side]);
    }
}

static void *rally_other(void *arg)
{
    kit_thread_t *t = arg;

    rally_side(t->user, 1);
    return NULL;
}

/* HAL-7: a wake between the last look and the sleep ends the sleep. */
GMK_TEST(requirements_hal_wake_before_the_sleep_is_not_lost)
{
    static kit_thread_t t[1];
    static rally_t r;
    uint64_t begin = gmk_hal_now_ns();
    uint32_t seen;
    gmk_a32_t go;

    gmk_hal_memset(&r, 0, sizeof(r));
    gmk_hal_park_init(&r.park[0]);
    gmk_hal_park_init(&r.park[1]);
    for (uint32_t i = 0; i < 100 && gmk_hal_now_ns() - begin < KIT_WAIT_NS; i++) {
        seen = gmk_hal_park_word(&r.park[0]);
        gmk_hal_park_wake(&r.park[0]);
        gmk_hal_park_wait(&r.park[0], seen, KIT_WAIT_NS);
    }
    gmk_test_assert(gmk_hal_now_ns() - begin < KIT_WAIT_NS);
    r.rounds = (uint32_t)gmk_test_scale(20000, 1000);
    kit_start(t, 1, &go, rally_other, &r);
    rally_side(&r, 0);
    kit_join(t, 1);
    gmk_test_assert_eq(kit_get(&r.lost), 0);
    gmk_test_assert_eq(kit_get(&r.ball), 2 * r.rounds);
    gmk_hal_park_destroy(&r.park[0]);
    gmk_hal_park_destroy(&r.park[1]);
}

/* In a kernel. -------------------------------------------------------------------- */

enum { NOTE = 1, FAILER, RETRIER, TICKER, GATE, KEEP, DROP, SEE, HOG, YIELDER };
#define BLOCKS 2048u

typedef struct load {
    gmk_a32_t runs, retried, entered, open, wrong, overflows, reported;
    uint32_t tick, in_batch, longest; /* one worker's */
    gmk_task_t task;                  /* as the handler saw it */
    void *blocks[BLOCKS];
} load_t;

static load_t load;
static gmk_kernel_t kernel;

static int on_note(gmk_ctx_t *ctx)
{
    kit_add(&((load_t *)ctx->user)->runs, 1);
    return GMK_OK;
}

/* For kernels of one worker. */
static int on_see(gmk_ctx_t *ctx)
{
    ((load_t *)ctx->user)->task = *ctx->task;
    return on_note(ctx);
}

static int on_failer(gmk_ctx_t *ctx) { return ctx->task->meta0 != 0 ? GMK_FAIL(5) : on_note(ctx); }

static int on_retrier(gmk_ctx_t *ctx)
{
    if (gmk_retries(ctx) == 0)
        return GMK_RETRY;
    kit_add(&((load_t *)ctx->user)->retried, 1);
    return GMK_OK;
}

/* The tick of a context is that of the batch's begin. */
static int on_ticker(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    l->in_batch = gmk_tick(ctx) == l->tick ? l->in_batch + 1 : 1;
    l->tick = gmk_tick(ctx);
    l->longest = gmk_max32(l->longest, l->in_batch);
    gmk_tick_advance(ctx->kernel);
    kit_add(&l->runs, 1);
    return GMK_OK;
}

static int on_gate(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    kit_add(&l->entered, 1);
    kit_until(&l->open, 1);
    return GMK_OK;
}

static int on_keep(gmk_ctx_t *ctx)
{
    gmk_payload_retain(ctx);
    return on_note(ctx);
}

static int on_drop(gmk_ctx_t *ctx)
{
    gmk_payload_release(ctx);
    gmk_payload_release(ctx); /* there is none any more: harmless */
    return GMK_OK;
}

/* Takes the blocks that a spill could use; the next call gives them back. */
static int on_hog(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    for (uint32_t i = 0; i < BLOCKS; i++) {
        if (ctx->task->meta0 != 0)
            gmk_free(ctx, l->blocks[i]);
        l->blocks[i] = ctx->task->meta0 == 0 ? gmk_alloc(ctx, 4096) : NULL;
    }
    kit_add(&l->runs, 1);
    return GMK_OK;
}

static int on_yielder(gmk_ctx_t *ctx)
{
    if (ctx->task->yield_count < 1000)
        gmk_yield(ctx);
    return GMK_OK;
}

static int on_error(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    if (GMK_ENVELOPE_REASON(ctx->task) == GMK_ERR_YIELD_OVERFLOW) {
        if (GMK_ENVELOPE_TYPE(ctx->task) != YIELDER)
            kit_add(&l->wrong, 1);
        kit_add(&l->overflows, 1);
    }
    kit_add(&l->reported, 1);
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {
    {.type = NOTE, .fn = on_note},       {.type = FAILER, .fn = on_failer},
    {.type = RETRIER, .fn = on_retrier}, {.type = TICKER, .fn = on_ticker},
    {.type = GATE, .fn = on_gate},       {.type = KEEP, .fn = on_keep},
    {.type = DROP, .fn = on_drop},       {.type = SEE, .fn = on_see},
    {.type = HOG, .fn = on_hog},         {.type = YIELDER, .fn = on_yielder, .max_yields = 5000}};
static gmk_module_t module = {.name = "requirements",
                              .handlers = handlers,
                              .n_handlers = GMK_ARRAY_LEN(handlers),
                              .user = &load};
static gmk_handler_reg_t error_handlers[] = {{.type = GMK_TYPE_SYS_ERROR, .fn = on_error}};
static gmk_chan_decl_t error_chans[] = {
    {.name = "sys.error", .direction = GMK_CHAN_CONSUME, .msg_type = GMK_TYPE_SYS_ERROR}};
static gmk_module_t errors = {.name = "errors",
                              .handlers = error_handlers,
                              .n_handlers = 1,
                              .channels = error_chans,
                              .n_channels = 1,
                              .user = &load};

static bool begin(const gmk_boot_cfg_t *cfg)
{
    gmk_module_t *mods[] = {&module, &errors};

    gmk_hal_memset(&load, 0, sizeof(load));
    return kit_boot_mods(&kernel, cfg, mods, 2);
}

/* T-2, T-5: nothing but a type, then the 16 bytes of an inline message. */
GMK_TEST(requirements_zeroed_record_and_inline_message)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    gmk_task_t t;

    GMK_REQUIRE(begin(&cfg));
    gmk_hal_memset(&t, 0, sizeof(t));
    t.type = SEE;
    gmk_test_assert_eq(gmk_submit(&kernel, &t), GMK_OK);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 1);
    gmk_test_assert_eq(load.task.channel, 0);
    gmk_test_assert_eq(load.task.tenant, 0);
    gmk_test_assert_eq(GMK_PRIORITY(load.task.flags), GMK_PRIO_CRITICAL);
    gmk_test_assert_eq(load.task.payload_len, 0);
    gmk_test_assert_eq(load.task.yield_count, 0);
    t.meta0 = 0x0123456789abcdefull;
    t.meta1 = 0xfedcba9876543210ull;
    gmk_test_assert_eq(gmk_submit(&kernel, &t), GMK_OK);
    kit_idle(&kernel);
    gmk_test_assert_eq(load.task.meta0, t.meta0);
    gmk_test_assert_eq(load.task.meta1, t.meta1);
    kit_halt(&kernel);
}

/* PR-5: failures, retries and a poisoned type leave the work of others alone, and the
 * kernel takes that type again once its mark is cleared. */
GMK_TEST(requirements_failures_do_not_stop_the_system)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    uint32_t n = (uint32_t)gmk_test_scale(1000, 100);

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t type = NOTE; type <= RETRIER; type++)
            kit_submit(&kernel, kit_task(type, i & 3, 1));
    gmk_test_assert(kit_until(&load.retried, n));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), n);
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_TASKS_FAILED), n);
    gmk_test_assert_gt(gmk_metric_get(&kernel, GMK_METRIC_POISON_SKIPS), 0);
    gmk_test_assert_eq(gmk_mod_reset(&kernel, FAILER), GMK_OK);
    kit_submit(&kernel, kit_task(FAILER, 0, 0));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), n + 1);
    kit_halt(&kernel);
}

/* AL-3: each kind by its public call. */
GMK_TEST(requirements_allocators_by_public_calls)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    gmk_alloc_stats_t s[GMK_ALLOC_KINDS];
    gmk_host_t host;
    gmk_ctx_t *ctx;
    char *small, *large, *bump;

    GMK_REQUIRE(begin(&cfg));
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    small = gmk_alloc(ctx, 64);
    large = gmk_alloc(ctx, 5000);
    bump = gmk_bump(ctx, 100);
    GMK_REQUIRE(small != NULL && large != NULL && bump != NULL);
    for (uint32_t i = 0; i < GMK_ALLOC_KINDS; i++) {
        gmk_test_assert_eq(gmk_alloc_get_stats(&kernel, (enum gmk_alloc_kind)i, &s[i]), GMK_OK);
        gmk_test_assert_eq(s[i].n_allocs, 1);
    }
    gmk_test_assert_eq(s[GMK_ALLOC_BLOCK].bytes_total - s[GMK_ALLOC_BLOCK].bytes_free, 8192);
    gmk_test_assert(gmk_bump(ctx, 100) != bump);
    gmk_bump_reset(ctx);
    gmk_test_assert(gmk_bump(ctx, 100) == bump);
    gmk_free(ctx, small);
    gmk_free(ctx, large);
    for (uint32_t i = 0; i < GMK_ALLOC_BUMP; i++) {
        gmk_test_assert_eq(gmk_alloc_get_stats(&kernel, (enum gmk_alloc_kind)i, &s[i]), GMK_OK);
        gmk_test_assert_eq(s[i].n_frees, 1);
        gmk_test_assert_eq(s[i].bytes_free, s[i].bytes_total);
    }
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    kit_halt(&kernel);
}

/* What a look at the older queues may add to a batch, once in GMK_AGING_INTERVAL. */
#define LOOK 6u

static void batches(uint32_t batch_size, uint32_t size)
{
    gmk_boot_cfg_t cfg = {
        .n_workers = 1, .flags = GMK_BOOT_MANUAL_TICKS, .batch_size = batch_size};
    uint32_t n = 2000;

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, kit_task(GATE, 0, 0));
    gmk_test_assert(kit_until(&load.entered, 1));
    for (uint32_t i = 0; i < n; i++)
        kit_submit(&kernel, kit_task(TICKER, GMK_PRIO_NORMAL, i));
    kit_set(&load.open, 1);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), n);
    gmk_test_assert_le(load.longest, size + LOOK);
    if (gmk_test_simulated()) /* elsewhere long tasks may keep batches small */
        gmk_test_assert_ge(load.longest, size);
    kit_halt(&kernel);
}

/* SC-10. */
GMK_TEST(requirements_batch_is_32_at_most_and_configurable)
{
    batches(0, 32);
    batches(4, 4);
    batches(1, 1);
}

/* SC-14. */
GMK_TEST(requirements_parking_and_waking_are_traced_and_counted)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    uint32_t parks = 0, wakes = 0;
    gmk_trace_ev_t ev;

#ifdef GMK_STRIP_TRACE
    gmk_test_skip("this build has no traces");
    return;
#endif
    GMK_REQUIRE(begin(&cfg));
    gmk_test_assert_eq(gmk_trace_set_level(&kernel, NULL, GMK_TRACE_INFO), GMK_OK);
    for (uint32_t i = 0; i < 5; i++) {
        kit_idle(&kernel);
        kit_submit(&kernel, kit_task(NOTE, 0, 0));
    }
    kit_idle(&kernel);
    while (gmk_trace_read(&kernel, &ev) == GMK_OK) {
        parks += ev.ev_type == GMK_EV_WORKER_PARK;
        wakes += ev.ev_type == GMK_EV_WORKER_WAKE;
    }
    gmk_test_assert_ge(parks, 1);
    gmk_test_assert_ge(wakes, 1);
    gmk_test_assert_ge(gmk_metric_get(&kernel, GMK_METRIC_WORKER_PARKS), parks);
    gmk_test_assert_ge(gmk_metric_get(&kernel, GMK_METRIC_WORKER_WAKES), wakes);
    kit_halt(&kernel);
}

/* EQ-6: a yield that no queue and no memory takes ends on sys.error, by its reason. */
GMK_TEST(requirements_yield_overflow_reaches_sys_error)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1,
                          .lq_slots = 8,
                          .rq_slots = 64,
                          .overflow_slots = 2,
                          .arena_size = 2u << 20};
    uint32_t n = 60;
    gmk_audit_report_t r;

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, kit_task(HOG, 0, 0));
    kit_idle(&kernel);
    gmk_test_assert(load.blocks[0] != NULL && load.blocks[BLOCKS - 1] == NULL);
    kit_submit(&kernel, kit_task(GATE, 0, 0));
    gmk_test_assert(kit_until(&load.entered, 1));
    for (uint32_t i = 0; i < n; i++)
        kit_submit(&kernel, kit_task(YIELDER, GMK_PRIO_NORMAL, i));
    kit_set(&load.open, 1);
    kit_idle(&kernel);
    gmk_test_assert_ge(kit_get(&load.overflows), 1);
    gmk_test_assert_eq(kit_get(&load.overflows),
                       gmk_metric_get(&kernel, GMK_METRIC_YIELD_OVERFLOWS));
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    kit_submit(&kernel, kit_task(HOG, 0, 1));
    r = kit_halt(&kernel);
    gmk_test_assert_eq(r.failed, kit_get(&load.reported));
    gmk_test_assert_eq(r.completed + r.failed, r.accepted);
}

/* Payloads of direct tasks. ------------------------------------------------------- */

static uint64_t live(void)
{
    gmk_audit_report_t r = {.payloads_live = UINT64_MAX};

    gmk_test_assert_eq(gmk_audit(&kernel, &r), GMK_OK);
    return r.payloads_live;
}

/* Sends a new payload with a task of this type and waits until it is done. */
static uint32_t *send(gmk_ctx_t *ctx, uint32_t type)
{
    gmk_task_t t = kit_task(type, 0, 0);
    uint32_t *p = gmk_payload_alloc(ctx, 100);

    if (!gmk_test_assert(p != NULL))
        return NULL;
    p[24] = 0xfeedbeef;
    gmk_test_assert_eq(t.flags & GMK_TF_PAYLOAD_RC, 0);
    gmk_task_set_payload(&t, p);
    gmk_test_assert_eq(t.flags & GMK_TF_PAYLOAD_RC, GMK_TF_PAYLOAD_RC);
    gmk_test_assert_eq(t.payload_ptr, (uintptr_t)p);
    gmk_test_assert_eq(t.payload_len, 100);
    gmk_test_assert_eq(((gmk_payload_hdr_t *)(void *)p - 1)->refs, 1);
    gmk_test_assert_eq(gmk_emit(ctx, &t), GMK_OK);
    kit_idle(&kernel);
    return p;
}

/* CH-41, CH-44, CH-46, CH-47. */
GMK_TEST(requirements_payload_references_of_direct_tasks)
{
    static uint64_t mine[4] = {1, 2, 3, 4};
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    gmk_task_t t = kit_task(SEE, 0, 0);
    gmk_host_t host;
    gmk_ctx_t *ctx;
    uint32_t *p;

    GMK_REQUIRE(begin(&cfg));
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    send(ctx, NOTE); /* released behind the handler */
    gmk_test_assert_eq(live(), 0);
    send(ctx, DROP); /* released by it */
    gmk_test_assert_eq(live(), 0);
    p = send(ctx, KEEP); /* retained by it: ours now */
    GMK_REQUIRE(p != NULL);
    gmk_test_assert_eq(live(), 1);
    gmk_test_assert_eq(p[24], 0xfeedbeef);
    gmk_payload_retain_ptr(ctx, p);
    gmk_payload_release_ptr(ctx, p);
    gmk_test_assert_eq(live(), 1);
    gmk_payload_release_ptr(ctx, p);
    gmk_test_assert_eq(live(), 0);
    t.payload_ptr = (uintptr_t)mine; /* without the flag nobody counts */
    t.payload_len = sizeof(mine);
    gmk_test_assert_eq(gmk_emit(ctx, &t), GMK_OK);
    kit_idle(&kernel);
    gmk_test_assert_eq(load.task.payload_ptr, (uintptr_t)mine);
    gmk_test_assert(mine[0] == 1 && mine[3] == 4);
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_ALLOC_BAD_FREES), 0);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    kit_halt(&kernel);
}
