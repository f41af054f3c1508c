/* SPDX-License-Identifier: MIT
 * The public calls in any order, with any arguments, on one kernel of the simulated machine.
 * The bytes choose the schedule, the kernel, and what three kinds of caller do: the main
 * thread from outside and through attached contexts, a second thread beside it and beside
 * the halt, and handlers, each of which reads its deeds at the offset that its task names.
 * Every code must be one that the header names for the call; reports of bad memory must be
 * as many as were provoked; at the end all memory is given back and the books balance.
 * Floor: tests. Source: ARCHITECTURE R8, R11, R12, R14; SPEC AL-13, SDK-3. */
#include "fuzz_world.h"

#include "kernel/kernel.h"

#define MAX_IDS 8u
#define MAX_MEM 8u
#define MAX_HOSTS 3u
#define MAX_SINKS 3u
#define MAX_STASH 16u
#define MOST_DEEDS 600u /* of handlers in one run */

typedef struct world world_t;

typedef struct sink {
    gmk_chan_sink_t k;
    world_t *w;
    uint8_t room; /* cells it takes before it wants to be told again */
} sink_t;

struct world {
    gmk_kernel_t *k;
    const uint8_t *data;
    size_t n;
    uint32_t deeds; /* left to handlers */
    bool release;   /* no handler may linger */
    bool init_fails;
    bool wild_tasks; /* some payload pointers were made up */
    uint64_t bad;    /* frees and references of what is none, on purpose */
    uint32_t ids[MAX_IDS];
    uint32_t n_ids;
    void *mem[MAX_MEM], *pay[MAX_MEM];
    void *stash[MAX_STASH]; /* references that sinks took */
    uint32_t n_stash;
    bool envelopes; /* some of them are of envelopes, which hold payloads too */
    sink_t sinks[MAX_SINKS];
    gmk_host_t host[MAX_HOSTS];
    gmk_ctx_t *ctx[MAX_HOSTS];
    bool recorded; /* a recording was begun */
    bytes_t aside; /* the second thread's */
    draft_t d;
};

/* Arguments. ------------------------------------------------------------------------------- */

static uint32_t take_chan(world_t *w, bytes_t *b)
{
    uint8_t x = take8(b);

    if (x < 160)
        return w->ids[x % MAX_IDS];
    return x < 240 ? x & 15 : take32(b);
}

static uint64_t take_ns(bytes_t *b)
{
    uint8_t x = take8(b);

    return x < 64 ? x : x < 128 ? (x & 63) * 1000ull : (x & 63) * 500000ull;
}

static void note_id(world_t *w, int id)
{
    if (id > 0)
        w->ids[w->n_ids++ % MAX_IDS] = (uint32_t)id;
}

/* No other thread runs from here to the end of the calm: what was freed stays free. */
static uint32_t calm(void)
{
    uint32_t was = gmk_sim_countdown;

    gmk_sim_countdown = 1u << 20;
    return was;
}

/* A payload of the context's, or one more reference to a kept one; null: none. */
static void *take_payload(world_t *w, gmk_ctx_t *ctx, bytes_t *b)
{
    uint8_t x = take8(b);
    void **kept = &w->pay[x % MAX_MEM];
    uint32_t len = x & 0x80 ? take16(b) : x & 0x3f;
    uint8_t *p;

    if ((x & 0x40) != 0 && *kept != NULL) {
        uint32_t was = calm(); /* its keeper must not let it go meanwhile */

        p = *kept;
        gmk_payload_retain_ptr(ctx, p);
        gmk_sim_countdown = was;
        return p;
    }
    p = gmk_payload_alloc(ctx, len);
    if (p != NULL) {
        p[0] = x;
        p[len - 1] = x;
    }
    return p;
}

/* A task. *owned: its payload's reference is ours until it is taken. */
static gmk_task_t take_task(world_t *w, gmk_ctx_t *ctx, bytes_t *b, void **owned)
{
    uint8_t how = take8(b);
    gmk_task_t t = {.type = 1 + how % N_TYPES, .flags = how >> 5 & 3, .meta0 = take16(b)};

    *owned = NULL;
    if ((how & 0x18) == 0x18) { /* whatever it is */
        t.type = take8(b) & 1 ? take8(b) : take32(b);
        t.flags = (uint16_t)(take16(b) & ~GMK_TF_PAYLOAD_RC);
        t.tenant = take8(b) & 1 ? take8(b) & 7 : take16(b);
        t.channel = t.seq = take32(b);
        t.yield_count = t._pad = take16(b);
        t.payload_ptr = take64(b);
        t.payload_len = take8(b);
        if (w->recorded) /* a recording reads it */
            t.payload_len = 0;
        if (take8(b) == 0xff) {
            t.flags |= GMK_TF_PAYLOAD_RC;
            t.payload_ptr = take8(b) & 1 ? (uintptr_t)&t : t.payload_ptr;
            w->wild_tasks = true;
        }
    } else if ((how & 0x18) == 0x10) {
        t.flags |= (uint16_t)(take8(b) & 0x3c);
    } else if ((how & 0x18) == 0x08 && ctx != NULL && (*owned = take_payload(w, ctx, b)) != NULL) {
        gmk_task_set_payload(&t, *owned);
    }
    return t;
}

/* What was not taken goes back. */
static void settle(gmk_ctx_t *ctx, void *owned, bool taken)
{
    if (owned != NULL && !taken)
        gmk_payload_release_ptr(ctx, owned);
}

/* Calls that a context makes. ---------------------------------------------------------------- */

#define EMIT_CODES                                                                                 \
    (C(GMK_OK) | C(GMK_E_INVALID) | C(GMK_E_NO_HANDLER) | C(GMK_E_TENANT) | C(GMK_E_WIRING) |      \
     C(GMK_ALLOC_FAIL))
#define OUTSIDE_CODES (EMIT_CODES | C(GMK_E_FULL) | C(GMK_E_HALTING))
#define SEND_CODES                                                                                 \
    (C(GMK_OK) | C(GMK_CHAN_FULL) | C(GMK_CHAN_CLOSED) | C(GMK_CHAN_TYPE_MISMATCH) |               \
     C(GMK_E_TENANT) | C(GMK_E_INVALID) | C(GMK_ALLOC_FAIL))
#define SUB_CODES                                                                                  \
    (C(GMK_OK) | C(GMK_CHAN_CLOSED) | C(GMK_CHAN_ALREADY_BOUND) | C(GMK_CHAN_TYPE_MISMATCH) |      \
     C(GMK_E_INVALID) | C(GMK_E_LIMIT) | C(GMK_E_WIRING) | C(GMK_ALLOC_FAIL))
#define HALTS(ctx) (is_host(ctx) ? C(GMK_E_HALTING) : 0)

static bool is_host(const gmk_ctx_t *ctx) { return ctx->worker_id == GMK_NO_WORKER; }

static void do_emit(world_t *w, gmk_ctx_t *ctx, bytes_t *b)
{
    void *owned;
    gmk_task_t t = take_task(w, ctx, b, &owned);
    uint64_t codes = is_host(ctx) ? OUTSIDE_CODES : EMIT_CODES;
    uint8_t how = take8(b);
    int rc;

    switch (how & 3) {
    case 0:
        rc = HEARD(gmk_emit(how == 0xfc ? NULL : ctx, &t), codes);
        break;
    case 1:
        rc = HEARD(gmk_emit_to(ctx, &t, how < 224 ? (how >> 2) % 5 : take32(b)),
                   codes | C(GMK_E_FULL));
        break;
    case 2:
        rc = HEARD(gmk_emit_after(ctx, &t, how < 224 ? take_ns(b) : take64(b)),
                   codes | C(GMK_E_FULL));
        break;
    default:
        rc = HEARD(gmk_emit_at_tick(ctx, &t, how < 224 ? gmk_tick(ctx) + (how >> 4) : take32(b)),
                   codes | C(GMK_E_FULL));
    }
    settle(ctx, owned, rc == GMK_OK);
}

static void do_send(world_t *w, gmk_ctx_t *ctx, bytes_t *b)
{
    void *owned;
    gmk_task_t t = take_task(w, ctx, b, &owned);
    uint32_t chan = take_chan(w, b);
    uint8_t how = take8(b);
    int rc;

    if (how & 4) /* its own type, or what it finds */
        t.type = 1 + (how >> 3) % N_TYPES;
    if ((how & 3) == 0)
        rc = HEARD(gmk_chan_emit(ctx, chan, how == 0xfc ? NULL : &t), SEND_CODES | HALTS(ctx));
    else if ((how & 3) == 1)
        rc = HEARD(gmk_chan_emit_wait(ctx, chan, &t), SEND_CODES | HALTS(ctx));
    else if ((how & 3) == 2)
        rc = HEARD(gmk_sdk_chan_send_task(ctx, chan, &t), SEND_CODES | HALTS(ctx));
    else
        rc = HEARD(gmk_sdk_chan_send_inline(ctx, chan, t.type, t.meta0, 1),
                   SEND_CODES | HALTS(ctx)) != GMK_OK; /* the payload did not go */
    settle(ctx, owned, rc == GMK_OK && (how & 3) != 3);
}

static void do_send_many(world_t *w, gmk_ctx_t *ctx, bytes_t *b)
{
    uint8_t how = take8(b);
    uint32_t n = how & 7, chan = take_chan(w, b);
    gmk_task_t t[8];
    gmk_cell_t cells[8];
    void *owned[8];
    int rc;

    for (uint32_t i = 0; i < n; i++) {
        t[i] = take_task(w, ctx, b, &owned[i]);
        if (how & 8)
            t[i].type = 1 + (how >> 5) % N_TYPES;
        cells[i] = (gmk_cell_t){.turn = 1, .sub = how, .retries = how, .chan_seq = how};
        cells[i].task = t[i];
    }
    rc = how & 16 ? HEARD_N(gmk_chan_emit_cells(ctx, chan, cells, n), SEND_CODES | HALTS(ctx))
                  : HEARD_N(gmk_chan_emit_batch(ctx, chan, t, n), SEND_CODES | HALTS(ctx));
    FUZZ_CHECK(rc <= (int)n);
    for (uint32_t i = 0; i < n; i++)
        settle(ctx, owned[i], (int)i < rc);
}

/* Copies of outside bytes. */
static void do_send_bytes(world_t *w, gmk_ctx_t *ctx, bytes_t *b)
{
    uint32_t chan = take_chan(w, b), type = 1 + take8(b) % (N_TYPES + 1), len = take8(b);

    HEARD(gmk_sdk_chan_send(ctx, chan, type, len == 0xff ? NULL : w, len), SEND_CODES | HALTS(ctx));
}

static void do_open(world_t *w, gmk_ctx_t *ctx, bytes_t *b)
{
    static const uint32_t modes[] = {0,
                                     GMK_CHAN_P2P,
                                     GMK_CHAN_FANOUT,
                                     GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS,
                                     GMK_CHAN_P2P | GMK_CHAN_DETERMINISTIC,
                                     GMK_CHAN_FANOUT | GMK_CHAN_DETERMINISTIC,
                                     GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS,
                                     GMK_CHAN_P2P | GMK_CHAN_LOSSLESS};
    const char *name = take_name(b);
    uint8_t how = take8(b);
    gmk_chan_opts_t o = {.mode = how < 240 ? modes[how & 7] : take32(b), .slots = take_slots(b)};
    uint64_t codes = C(GMK_E_INVALID) | C(GMK_E_EXISTS) | C(GMK_CHAN_TYPE_MISMATCH) |
                     C(GMK_E_LIMIT) | C(GMK_ALLOC_FAIL) | HALTS(ctx);

    if (how & 8)
        o.replay_slots = take_slots(b);
    if (how & 16)
        o.msg_type = how & 32 ? 1 + how % N_TYPES : take8(b);
    if (how & 64)
        note_id(w, HEARD_N(gmk_chan_open_with(ctx, name, how == 0xf7 ? NULL : &o), codes));
    else if (how & 128)
        note_id(w, HEARD_N(gmk_chan_open(ctx, name, o.mode, o.slots), codes));
    else
        note_id(w, HEARD_N(gmk_sdk_chan_open(ctx, name, o.mode, o.msg_type),
                           codes | C(GMK_CHAN_CLOSED)));
}

static int on_any(gmk_ctx_t *ctx);

static uint32_t sink_take(void *arg, const gmk_cell_t *cells, uint32_t n)
{
    sink_t *s = arg;
    uint32_t i = 0;

    for (; i < n && s->room != 0; i++) {
        const gmk_task_t *t = &cells[i].task;

        if (t->flags & GMK_TF_PAYLOAD_RC) {
            if (s->w->n_stash == MAX_STASH)
                break;
            s->w->envelopes |= t->type >= GMK_TYPE_SYS_FIRST;
            s->w->stash[s->w->n_stash++] = (void *)(uintptr_t)t->payload_ptr;
        }
        s->room--;
    }
    return i;
}

static void do_sink(world_t *w, gmk_ctx_t *ctx, bytes_t *b)
{
    uint8_t how = take8(b);
    sink_t *s = &w->sinks[(how >> 2) % MAX_SINKS];
    uint32_t chan = take_chan(w, b);
    uint64_t halts = C(GMK_E_HALTING);

    if ((how & 3) < 2) {
        s->k.take = how >= 252 ? NULL : sink_take;
        HEARD(gmk_chan_sub_sink(ctx, chan, &s->k), SUB_CODES | C(GMK_E_UNSUPPORTED) | halts);
        s->k.take = sink_take;
    } else if ((how & 3) == 2) {
        s->room = take8(b);
        HEARD(gmk_chan_sink_ready(ctx, chan, &s->k),
              C(GMK_OK) | C(GMK_CHAN_CLOSED) | C(GMK_E_NOT_FOUND) | C(GMK_E_INVALID) | halts);
    } else {
        HEARD(gmk_chan_unsub_sink(ctx, chan, &s->k),
              C(GMK_OK) | C(GMK_CHAN_CLOSED) | C(GMK_E_NOT_FOUND) | C(GMK_E_INVALID) | halts);
    }
}

static void do_chan(world_t *w, gmk_ctx_t *ctx, bytes_t *b)
{
    uint32_t chan = take_chan(w, b);
    uint8_t how = take8(b);
    const char *name;

    switch (how % 10) {
    case 0:
        HEARD(gmk_chan_close(ctx, chan),
              C(GMK_OK) | C(GMK_CHAN_CLOSED) | C(GMK_E_INVALID) | HALTS(ctx));
        break;
    case 1:
        HEARD(gmk_chan_fix_type(ctx, chan, how < 200 ? 1 + (how >> 4) % N_TYPES : take16(b)),
              C(GMK_OK) | C(GMK_CHAN_TYPE_MISMATCH) | C(GMK_CHAN_CLOSED) | C(GMK_E_INVALID) |
                  HALTS(ctx));
        break;
    case 2:
    case 3:
        HEARD(gmk_chan_sub(ctx, chan), SUB_CODES | HALTS(ctx));
        break;
    case 4:
        HEARD(gmk_chan_sub_worker(ctx, chan, how < 200 ? (how >> 3) % 5 : take32(b)),
              SUB_CODES | HALTS(ctx));
        break;
    case 5:
        HEARD(gmk_chan_unsub(ctx, chan),
              C(GMK_OK) | C(GMK_CHAN_CLOSED) | C(GMK_E_NOT_FOUND) | C(GMK_E_INVALID) | HALTS(ctx));
        break;
    case 6:
        HEARD(gmk_chan_on_error(ctx, chan, how & 0x30 ? on_any : NULL),
              C(GMK_OK) | C(GMK_CHAN_CLOSED) | C(GMK_CHAN_ALREADY_BOUND) | C(GMK_E_INVALID) |
                  C(GMK_E_LIMIT) | C(GMK_ALLOC_FAIL) | HALTS(ctx));
        break;
    case 7:
    case 8:
        HEARD(gmk_chan_replay(ctx, chan, how < 200 ? how >> 4 : take_wide(b)),
              C(GMK_OK) | C(GMK_CHAN_CLOSED) | C(GMK_E_NOT_FOUND) | C(GMK_E_INVALID) |
                  C(GMK_E_BUSY) | HALTS(ctx));
        break;
    default:
        name = take_name(b);
        note_id(w, HEARD_N(gmk_chan_find(ctx, name),
                           C(GMK_E_INVALID) | C(GMK_E_NOT_FOUND) | HALTS(ctx)));
    }
}

/* What is no memory of ours to free: it must be counted and ignored. */
static void free_wrong(world_t *w, gmk_ctx_t *ctx, bytes_t *b)
{
    uint8_t how = take8(b);
    uint64_t local[4] = {0};
    uint8_t *p = how & 1 ? (uint8_t *)local : (uint8_t *)(uintptr_t)(take64(b) | 1);
    uint32_t was = calm();

    if ((how & 6) == 2 && (p = gmk_alloc(ctx, 64 + how)) != NULL) {
        memset(p, 0, 64);
        gmk_free(ctx, p);
    } else if ((how & 6) == 4 && w->mem[how % MAX_MEM] != NULL) {
        p = (uint8_t *)w->mem[how % MAX_MEM] + 16;
    } else if ((how & 6) == 6 && (p = gmk_payload_alloc(ctx, 1 + how)) != NULL) {
        gmk_payload_release_ptr(ctx, p);
        w->bad++;
        gmk_payload_release_ptr(ctx, p);
    }
    w->bad += p != NULL;
    if (how & 0x80)
        gmk_free(ctx, p);
    else if ((how & 0x40) == 0)
        gmk_payload_release_ptr(ctx, p);
    else
        gmk_payload_retain_ptr(ctx, p);
    gmk_sim_countdown = was;
}

static void do_memory(world_t *w, gmk_ctx_t *ctx, bytes_t *b)
{
    uint8_t how = take8(b);
    void **mem = &w->mem[how >> 3 & 7], **pay = &w->pay[how >> 3 & 7];
    uint32_t size = how & 0x40 ? (uint32_t)take_wide(b) : 16u + take8(b);
    void *was;

    switch (how & 7) {
    case 0:
    case 1:
        was = *mem;
        *mem = NULL; /* before the call, in which others run */
        gmk_free(ctx, was);
        was = gmk_alloc(ctx, size);
        FUZZ_CHECK(was == NULL || (size != 0 && size <= GMK_BLOCK_MAX && (uintptr_t)was % 16 == 0));
        if (was != NULL)
            memset(was, 0, size);
        if (*mem == NULL)
            *mem = was;
        else
            gmk_free(ctx, was);
        break;
    case 2:
    case 3:
        was = *pay;
        *pay = NULL;
        if (was != NULL)
            gmk_payload_release_ptr(ctx, was);
        was = gmk_payload_alloc(ctx, size);
        if (was != NULL && *pay == NULL)
            *pay = was;
        else if (was != NULL)
            gmk_payload_release_ptr(ctx, was);
        break;
    case 4:
        was = gmk_bump(ctx, size);
        FUZZ_CHECK(was == NULL || (uintptr_t)was % 16 == 0);
        break;
    case 5:
        gmk_bump_reset(ctx);
        break;
    default:
        free_wrong(w, ctx, b);
    }
}

/* What the running task alone may do. */
static void do_self(world_t *w, gmk_ctx_t *ctx, bytes_t *b)
{
    uint8_t how = take8(b);

    (void)w;
    switch (how & 7) {
    case 0:
        gmk_payload_release(ctx);
        break;
    case 1:
        if (ctx->task != NULL && (ctx->task->flags & GMK_TF_PAYLOAD_RC) != 0 && !w->wild_tasks) {
            void *p = (void *)(uintptr_t)ctx->task->payload_ptr;

            gmk_payload_retain(ctx);
            gmk_payload_release_ptr(ctx, p);
        }
        break;
    case 2:
        gmk_metric_inc(ctx, how & 8 ? take32(b) : how, take32(b) & 0xff);
        break;
    case 3:
        gmk_trace(ctx, how & 8 ? take32(b) : GMK_EV_USER + how, how, 0);
        break;
    case 4:
        (void)gmk_watchdog_scan(ctx);
        break;
    case 5:
        for (uint32_t i = 0; i < how && !w->release; i++)
            gmk_hal_relax();
        break;
    default:
        (void)gmk_budget_spent(ctx);
        (void)gmk_error_reason(ctx);
        (void)gmk_chan_gap(ctx);
        FUZZ_CHECK(gmk_self_worker(ctx) == ctx->worker_id);
        FUZZ_CHECK(gmk_retries(ctx) <= GMK_MAX_RETRIES);
    }
}

static void do_one(world_t *w, gmk_ctx_t *ctx, bytes_t *b)
{
    static void (*const deeds[])(world_t *, gmk_ctx_t *, bytes_t *) = {
        do_emit, do_emit, do_send, do_send,   do_send,       do_send_many, do_chan,
        do_chan, do_chan, do_open, do_memory, do_send_bytes, do_sink,      do_self,
    };

    deeds[take8(b) % GMK_ARRAY_LEN(deeds)](w, ctx, b);
}

/* Handlers. ------------------------------------------------------------------------------------ */

static void crash(const world_t *w)
{
    if (w->d.cfg.flags & GMK_BOOT_FAULT_GUARD)
        __builtin_trap();
}

static int on_any(gmk_ctx_t *ctx)
{
    world_t *w = ctx->user;
    const gmk_task_t *t = ctx->task;
    bytes_t b = {w->data, w->n, w->n != 0 ? (uint32_t)t->meta0 % w->n : 0};
    uint8_t how = take8(&b);

    FUZZ_CHECK(t->type != 0 && t->type < 256 && (t->flags & GMK_TF_ACTIVATION) == 0);
    for (uint32_t i = 0; i < (how & 3u) && w->deeds != 0; i++) {
        w->deeds--;
        do_one(w, ctx, &b);
    }
    switch (how >> 2 & 31) {
    case 1:
        gmk_yield(ctx);
        return GMK_OK;
    case 2:
        gmk_yield_at(ctx, how);
        return GMK_OK;
    case 3:
    case 4:
        return GMK_RETRY;
    case 5:
    case 6:
        return GMK_FAIL(1 + how % 99);
    case 7:
        return GMK_FAIL;
    case 8:
        for (uint32_t i = 0; i < 3000 && !w->release; i++)
            gmk_hal_relax();
        return GMK_OK;
    case 9:
        crash(w);
        return GMK_OK;
    default:
        return GMK_OK;
    }
}

/* Init and fini read their deeds behind the draft. */
static int on_init(gmk_ctx_t *ctx)
{
    world_t *w = ctx->user;
    bytes_t b = {w->data, w->n, w->n / 2};

    for (uint32_t i = 0; i < 3 && w->deeds != 0; i++, w->deeds--)
        do_one(w, ctx, &b);
    return w->init_fails ? -1 - take8(&b) % 99 : GMK_OK;
}

static int on_fini(gmk_ctx_t *ctx)
{
    world_t *w = ctx->user;
    bytes_t b = {w->data, w->n, w->n / 3};

    for (uint32_t i = 0; i < 2 && w->deeds != 0; i++, w->deeds--)
        do_one(w, ctx, &b);
    return GMK_OK;
}

/* Calls on the kernel, from outside. --------------------------------------- */

/* The second thread, which has no context, runs beside the halt: it may not ask. */
static uint32_t tick_now(const world_t *w, const gmk_ctx_t *ctx)
{
    return ctx != NULL ? gmk_tick_now(w->k) : 0;
}

static void do_submit(world_t *w, gmk_ctx_t *ctx, bytes_t *b)
{
    uint8_t how = take8(b);
    uint32_t n = (how & 7) < 6 ? 1 : how >> 5;
    gmk_task_t t[8];
    void *owned[8];
    int rc = 0;

    for (uint32_t i = 0; i < n; i++)
        t[i] = take_task(w, ctx, b, &owned[i]);
    switch (how & 7) {
    case 0:
    case 1:
    case 2:
        rc = HEARD(gmk_submit(w->k, t), OUTSIDE_CODES) == GMK_OK;
        break;
    case 3:
        rc = HEARD(gmk_submit_to(w->k, t, how < 224 ? how >> 3 & 3 : take32(b)), OUTSIDE_CODES) ==
             GMK_OK;
        break;
    case 4:
        rc = HEARD(gmk_submit_after(w->k, t, how < 224 ? take_ns(b) : take64(b)), OUTSIDE_CODES) ==
             GMK_OK;
        break;
    case 5:
        rc = HEARD(gmk_submit_at_tick(w->k, t,
                                      how < 224 ? tick_now(w, ctx) + (how >> 3 & 3) : take32(b)),
                   OUTSIDE_CODES) == GMK_OK;
        break;
    default:
        rc = HEARD_N(gmk_submit_batch(w->k, t, n), OUTSIDE_CODES);
        FUZZ_CHECK(rc <= (int)n);
    }
    for (uint32_t i = 0; i < n; i++)
        settle(ctx, owned[i], (int)i < rc);
}

static void do_time(world_t *w, bytes_t *b)
{
    uint8_t how = take8(b);

    if ((how & 3) == 0)
        for (uint32_t i = 0; i <= (uint32_t)how >> 4; i++)
            gmk_tick_advance(w->k);
    else if ((how & 3) == 1)
        HEARD(gmk_wait_idle(w->k, take_ns(b)),
              C(GMK_OK) | C(GMK_E_TIMEOUT) | C(GMK_E_INVALID) | C(GMK_E_HALTING));
    else if ((how & 3) == 2)
        HEARD(gmk_tick_wait(w->k, take_ns(b)),
              C(GMK_OK) | C(GMK_E_TIMEOUT) | C(GMK_E_INVALID) | C(GMK_E_HALTING));
    else
        for (uint32_t i = 0; i < how; i++)
            gmk_hal_relax();
}

static void do_attach(world_t *w, bytes_t *b)
{
    uint32_t i = 1 + take8(b) % (MAX_HOSTS - 1);

    if (w->ctx[i] == NULL) {
        HEARD(gmk_host_detach(&w->host[i]), C(GMK_E_INVALID));
        w->ctx[i] = gmk_host_attach(w->k, &w->host[i]);
    } else {
        HEARD(gmk_host_detach(&w->host[i]), C(GMK_OK));
        w->ctx[i] = NULL;
    }
}

#define READ_CODES (C(GMK_OK) | C(GMK_E_INVALID) | C(GMK_E_NOT_FOUND))

/* Readers of one number each; what they are given is as it comes. */
static void read_numbers(const world_t *w, bytes_t *b)
{
    uint32_t x = take8(b) & 1 ? take8(b) : take32(b), y = take8(b) & 1 ? take8(b) & 7 : take32(b);
    gmk_metrics_map_t map;
    uint64_t sum = 0;

    (void)gmk_metric_get(w->k, x);
    (void)gmk_metric_get_tenant(w->k, x, y);
    (void)gmk_metric_get_worker(w->k, x, y);
    FUZZ_CHECK((gmk_metric_key(x) != NULL) == (gmk_metric_text(x) != NULL));
    FUZZ_CHECK((gmk_trace_event_name(x) != NULL) == (gmk_trace_event_text(x) != NULL));
    FUZZ_CHECK(gmk_trace_event_level(x) <= GMK_TRACE_ALL);
    FUZZ_CHECK(gmk_strerror((int)x)[0] != '\0' && gmk_reason_text(x)[0] != '\0');
    FUZZ_CHECK(gmk_record_fault_text(x)[0] != '\0');
    FUZZ_CHECK(gmk_worker_count(w->k) == w->d.cfg.n_workers);
    (void)gmk_trace_total(w->k);
    (void)gmk_trace_dropped(w->k);
    (void)gmk_trace_hash(w->k);
    HEARD(gmk_metrics_map(w->k, &map), C(GMK_OK));
    for (uint32_t r = 0; r < map.n_rows; r++)
        for (uint32_t i = 0; i < map.count; i++) {
            const char *row = (const char *)map.base + r * map.stride;

            sum += ((const uint64_t *)(const void *)row)[i];
        }
    (void)sum;
}

static void read_states(world_t *w, bytes_t *b)
{
    uint32_t x = take8(b) & 1 ? take8(b) & 15 : take32(b);
    gmk_kernel_info_t ki;
    gmk_worker_info_t wi;
    gmk_handler_info_t hi;
    gmk_alloc_stats_t as;
    gmk_chan_info_t ci;
    gmk_sub_info_t si;
    int rc;

    HEARD(gmk_kernel_get_info(w->k, &ki), C(GMK_OK));
    FUZZ_CHECK(ki.block_frag_permille <= 1000 && ki.parked <= w->d.cfg.n_workers);
    rc = HEARD(gmk_worker_get_info(w->k, x, &wi), READ_CODES);
    FUZZ_CHECK((rc == GMK_OK) == (x < w->d.cfg.n_workers));
    HEARD(gmk_handler_get_info(w->k, x, &hi), READ_CODES);
    rc = HEARD(gmk_alloc_get_stats(w->k, (enum gmk_alloc_kind)(x & 7), &as),
               C(GMK_OK) | C(GMK_E_INVALID));
    FUZZ_CHECK(rc != GMK_OK || as.bytes_free <= as.bytes_total);
    x = take_chan(w, b);
    if (HEARD(gmk_chan_get_info(w->k, x, &ci), READ_CODES) == GMK_OK) {
        FUZZ_CHECK(memchr(ci.name, 0, sizeof(ci.name)) != NULL && ci.n_subs <= GMK_MAX_CHAN_SUBS);
        for (uint32_t i = 0; i < 3; i++)
            HEARD(gmk_chan_get_sub(w->k, x, i, &si), READ_CODES);
    }
    HEARD(gmk_chan_get_sub(w->k, x, take32(b), &si), READ_CODES);
}

/* Calls that stop the workers or take the readers' lock. */
static void read_long(world_t *w, bytes_t *b)
{
    uint8_t how = take8(b);
    uint32_t n = how >> 2 & 15;
    gmk_trace_ev_t *ev = aligned_alloc(16, n * sizeof(*ev) + 16);
    gmk_wait_t *waits = calloc(n + 1, sizeof(*waits));
    char *text = malloc(how + 1u);
    gmk_audit_report_t r;
    int rc;

    FUZZ_CHECK(ev != NULL && waits != NULL && text != NULL);
    if ((how & 3) == 0) {
        rc =
            HEARD_N(gmk_trace_read_batch(w->k, ev, how == 0xc0 ? UINT32_MAX : n), C(GMK_E_INVALID));
        FUZZ_CHECK(rc <= (int)n);
        if (n != 0)
            HEARD(gmk_trace_read(w->k, ev), C(GMK_OK) | C(GMK_E_NOT_FOUND));
    } else if ((how & 3) == 1) {
        rc = HEARD_N(gmk_why(w->k, waits, n), C(GMK_E_INVALID));
        for (int i = 0; i < rc && i < (int)n; i++)
            FUZZ_CHECK(gmk_wait_text(&waits[i], text, how) <= how);
    } else if ((how & 3) == 2) {
        rc = HEARD(gmk_audit(w->k, &r), C(GMK_OK) | C(GMK_E_UNBALANCED) | C(GMK_E_BUSY));
        if (rc != GMK_E_BUSY)
            FUZZ_CHECK(r.balanced == (rc == GMK_OK) && memchr(r.stuck, 0, sizeof(r.stuck)) != NULL);
    } else if (how & 4) {
        HEARD(gmk_trace_set_level(w->k,
                                  how & 8    ? "two"
                                  : how & 16 ? "none"
                                             : NULL,
                                  how & 32 ? take32(b) : how >> 5),
              READ_CODES);
    } else {
        HEARD(gmk_trace_set_sample_rate(w->k, take32(b)), C(GMK_OK) | C(GMK_E_INVALID));
        HEARD(gmk_mod_reset(w->k, how & 8 ? take32(b) : how >> 4), READ_CODES);
    }
    free(ev);
    free(waits);
    free(text);
}

static int no_tape(void *arg, const void *bytes, size_t n)
{
    (void)bytes;
    *(uint32_t *)arg += (uint32_t)n;
    return *(uint32_t *)arg > 2000;
}

static void do_record(world_t *w, bytes_t *b)
{
    static uint32_t written;
    uint32_t fault;

    if (take8(b) & 1) {
        written = 0;
        w->recorded = true;
        HEARD(gmk_record_start(w->k, no_tape, &written),
              C(GMK_OK) | C(GMK_E_BUSY) | C(GMK_E_RECORD) | C(GMK_E_INVALID));
    } else {
        HEARD(gmk_record_stop(w->k, &fault),
              C(GMK_OK) | C(GMK_E_NOT_FOUND) | C(GMK_E_BUSY) | C(GMK_E_RECORD) | C(GMK_E_INVALID));
    }
}

/* What sinks hold goes back. */
static void empty_stash(world_t *w, gmk_ctx_t *ctx)
{
    while (w->n_stash != 0) {
        void *p = w->stash[--w->n_stash];

        gmk_payload_release_ptr(ctx, p);
    }
    w->envelopes = false;
}

static void do_main(world_t *w, bytes_t *b)
{
    uint8_t how = take8(b);
    gmk_ctx_t *ctx = w->ctx[how >> 4 & 1 ? how >> 5 & 1 : 0];

    ctx = ctx != NULL ? ctx : w->ctx[0];
    switch (how & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
        do_submit(w, ctx, b);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        if (ctx != NULL)
            do_one(w, ctx, b);
        break;
    case 8:
    case 9:
        do_time(w, b);
        break;
    case 10:
        do_attach(w, b);
        break;
    case 11:
        read_numbers(w, b);
        break;
    case 12:
        read_states(w, b);
        break;
    case 13:
        read_long(w, b);
        break;
    case 14:
        do_record(w, b);
        break;
    default:
        if (ctx != NULL)
            empty_stash(w, ctx);
    }
}

/* Beside the main thread and the halt: what may. */
static void *beside(void *arg)
{
    world_t *w = arg;
    gmk_host_t h;

    for (uint32_t i = 0; i < 40 && more(&w->aside); i++) {
        uint8_t how = take8(&w->aside);

        if ((how & 3) < 2)
            do_submit(w, NULL, &w->aside);
        else if ((how & 3) == 2)
            do_time(w, &w->aside);
        else if (gmk_host_attach(w->k, &h) != NULL)
            HEARD(gmk_host_detach(&h), C(GMK_OK) | C(GMK_E_INVALID));
    }
    return NULL;
}

/* The end. ----------------------------------------------------------------- */

/* Gives back what is kept. A handler that is at it now may keep something after that. */
static void give_back(world_t *w)
{
    gmk_ctx_t *ctx = w->ctx[0];

    w->deeds = 0;
    for (uint32_t i = 0; ctx != NULL && i < MAX_MEM; i++) {
        void *mem = w->mem[i], *pay = w->pay[i];

        w->mem[i] = w->pay[i] = NULL;
        gmk_free(ctx, mem);
        if (pay != NULL)
            gmk_payload_release_ptr(ctx, pay);
    }
    if (ctx != NULL)
        empty_stash(w, ctx);
}

/* A halt that ran into its deadline keeps the kernel for a handler that never returns;
 * these do return, so that the kernel can be freed, as no program could. */
static void bury(world_t *w)
{
    gmki_kernel_t *k = gmki_kernel(w->k);

    FUZZ_CHECK(k != NULL);
    for (uint32_t i = 0; i < k->n_started; i++)
        FUZZ_CHECK(gmk_hal_thread_join(&k->threads[i]) == 0);
    gmki_kernel_free(k);
}

/* Payloads that are still kept: by sinks, or by a handler that did so late. */
static uint64_t n_kept(const world_t *w)
{
    void *all[MAX_STASH + MAX_MEM];
    uint64_t n = 0, distinct = 0;

    for (uint32_t i = 0; i < w->n_stash; i++)
        all[n++] = w->stash[i];
    for (uint32_t i = 0; i < MAX_MEM; i++)
        if (w->pay[i] != NULL)
            all[n++] = w->pay[i];
    for (uint64_t i = 0; i < n; i++) {
        uint64_t k = 0;

        while (all[k] != all[i])
            k++;
        distinct += k == i;
    }
    return distinct;
}

static void end(world_t *w, bytes_t *b, gmk_hal_thread_t *second)
{
    static const uint64_t limits[] = {
        60000000000ull, 60000000000ull, 60000000000ull, 60000000000ull, 0,
        2000,           1000000,        100000000ull};
    uint64_t limit = limits[take8(b) & 7];
    gmk_audit_report_t r;
    int rc;

    w->release = limit >= 60000000000ull;
    give_back(w);
    if (!w->wild_tasks)
        FUZZ_CHECK(gmk_metric_get(w->k, GMK_METRIC_ALLOC_BAD_FREES) == w->bad);
    rc = HEARD(gmk_halt_timeout(w->k, limit, &r), C(GMK_OK) | C(GMK_E_TIMEOUT));
    w->release = true;
    FUZZ_CHECK(gmk_halt(w->k) == GMK_E_INVALID);
    FUZZ_CHECK(gmk_hal_thread_join(second) == 0);
    if (rc == GMK_E_TIMEOUT) {
        FUZZ_CHECK(limit < 60000000000ull);
        bury(w);
        return;
    }
    FUZZ_CHECK(r.balanced && r.queued == 0);
    FUZZ_CHECK(r.accepted == r.completed + r.failed + r.dead);
    if (!w->wild_tasks && !w->envelopes)
        FUZZ_CHECK(r.payloads_live == n_kept(w));
}

static void run(void *arg)
{
    world_t *w = arg;
    bytes_t b = {w->data, w->n, 8};
    gmk_hal_thread_t second;

    take_draft(&b, &w->d, on_any, w);
    for (uint32_t i = 0; i < w->d.n_mods; i++) {
        uint8_t x = take8(&b);

        w->d.mod[i].init = x & 1 ? on_init : NULL;
        w->d.mod[i].fini = x & 2 ? on_fini : NULL;
        w->init_fails = x >= 253;
    }
    for (uint32_t i = 0; i < MAX_SINKS; i++)
        w->sinks[i] = (sink_t){.k = {sink_take, &w->sinks[i]}, .w = w, .room = 4};
    for (uint32_t i = 0; i < MAX_IDS; i++)
        w->ids[i] = GMK_N_SYS_CHANNELS + 1 + i % 3;
    w->aside = (bytes_t){w->data, w->n, w->n - w->n / 4};
    if (boot(w->k, &w->d) != GMK_OK)
        return;
    w->ctx[0] = gmk_host_attach(w->k, &w->host[0]);
    FUZZ_CHECK(gmk_hal_thread_create(&second, beside, w) == 0);
    while (more(&b))
        do_main(w, &b);
    end(w, &b, &second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    bytes_t b = {data, n, 0};
    /* A worker that listens takes many switches in little virtual time: halts are long. */
    gmk_sim_cfg_t cfg = {.seed = take32(&b), .max_switches = 60000000};
    uint8_t how = take8(&b);
    world_t *w = calloc(1, sizeof(*w));

    FUZZ_CHECK(w != NULL);
    w->k = calloc(1, sizeof(*w->k));
    FUZZ_CHECK(w->k != NULL);
    w->data = data;
    w->n = n;
    w->deeds = MOST_DEEDS;
    cfg.run_length = how & 1 ? 1 + (how >> 4) * 4 : 0;
    cfg.alloc_faults = how & 2 ? 50000 : 0;
    cfg.queue_faults = how & 4 ? 50000 : 0;
    gmk_sim_run(&cfg, run, w);
    free(w->k);
    free(w);
    return 0;
}
