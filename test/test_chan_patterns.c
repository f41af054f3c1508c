/* SPDX-License-Identifier: MIT
 * Patterns put together from channels: scatter and gather, request and reply, and a store
 * that keeps payloads.
 * Floor: tests. Source: SPEC CH-44, CH-45, CH-57, CH-58, ACC-14; ARCHITECTURE R4, R5. */
#include "chan_parts.h"

enum { T_CHUNK = 40, T_RESULT, T_GO, T_ASK, T_ANSWER, T_PUT, T_TAKE };

#define N_WORKERS_OF 4u
#define N_KEYS 64u

static env_t env;

static gmk_chan_decl_t decl(const char *name, uint32_t direction, uint32_t type, uint32_t mode)
{
    gmk_chan_decl_t d = {.name = name, .direction = direction, .msg_type = type};

    d.mode = mode & ~GMK_CHAN_LOSSLESS;
    d.guarantee = mode & GMK_CHAN_LOSSLESS;
    return d;
}

static uint32_t chan_of(gmk_ctx_t *ctx, const char *name)
{
    int id = gmk_chan_find(ctx, name);

    gmk_test_assert_gt(id, 0);
    return id > 0 ? (uint32_t)id : 0;
}

/* Scatter and gather. -------------------------------------------------------------------- */

/* Worker i takes every N-th number of a chunk; the gate counts results and starts the
 * reducer when all of a round have come. */
typedef struct gather {
    gmk_module_t m;
    gmk_handler_reg_t h[2];
    gmk_chan_decl_t d[2];
    uint32_t index;
} gather_t;

static gather_t worker_of[N_WORKERS_OF];
static gather_t gate;
static uint64_t n_results, total, n_reduced, reduced, early;

static int on_chunk(gmk_ctx_t *ctx)
{
    const gather_t *w = ctx->user;
    uint64_t sum = 0;

    for (uint64_t i = w->index; i < ctx->task->meta0; i += N_WORKERS_OF)
        sum += i * i;
    return gmk_sdk_chan_send_inline(ctx, chan_of(ctx, "work.result"), T_RESULT, sum, 0) == GMK_OK
               ? GMK_OK
               : GMK_FAIL(1);
}

static int on_result(gmk_ctx_t *ctx)
{
    total += ctx->task->meta0;
    if (++n_results % N_WORKERS_OF != 0)
        return GMK_OK;
    return gmk_emit(ctx, &(gmk_task_t){.type = T_GO, .meta0 = n_results, .meta1 = total}) == GMK_OK
               ? GMK_OK
               : GMK_FAIL(2);
}

static int on_reduce(gmk_ctx_t *ctx)
{
    n_reduced++;
    early += ctx->task->meta0 % N_WORKERS_OF != 0;
    reduced = ctx->task->meta1;
    return GMK_OK;
}

/* CH-57: N modules get each chunk on a fan-out channel, their results come on a P2P one, and
 * the reducer runs once all N are there. */
GMK_TEST(chan_pattern_scatter_and_gather)
{
    gmk_module_t *mods[N_WORKERS_OF + 1];
    static char names[N_WORKERS_OF][3];
    uint64_t rounds = gmk_test_scale(500, 30);
    uint64_t want = 0;
    uint32_t chunk;

    gmk_hal_memset(&env, 0, sizeof(env));
    n_results = total = n_reduced = reduced = early = 0;
    for (uint32_t i = 0; i < N_WORKERS_OF; i++) {
        gather_t *w = &worker_of[i];

        names[i][0] = 'w';
        names[i][1] = (char)('0' + i);
        w->index = i;
        w->h[0] = (gmk_handler_reg_t){.type = T_CHUNK, .fn = on_chunk, .name = "chunk"};
        w->d[0] =
            decl("work.chunk", GMK_CHAN_CONSUME, T_CHUNK, GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS);
        w->d[1] = decl("work.result", GMK_CHAN_PRODUCE, T_RESULT, GMK_CHAN_P2P);
        w->m = (gmk_module_t){.name = names[i],
                              .handlers = w->h,
                              .n_handlers = 1,
                              .channels = w->d,
                              .n_channels = 2,
                              .user = w};
        mods[i] = &w->m;
    }
    gate.h[0] = (gmk_handler_reg_t){.type = T_RESULT, .fn = on_result, .name = "result"};
    gate.h[1] = (gmk_handler_reg_t){.type = T_GO, .fn = on_reduce, .name = "reduce"};
    gate.d[0] = decl("work.result", GMK_CHAN_CONSUME, T_RESULT, GMK_CHAN_P2P);
    gate.m = (gmk_module_t){.name = "gate",
                            .handlers = gate.h,
                            .n_handlers = 2,
                            .channels = gate.d,
                            .n_channels = 1,
                            .user = &gate};
    mods[N_WORKERS_OF] = &gate.m;
    GMK_REQUIRE(env_boot(&env, 3, 0, mods, N_WORKERS_OF + 1));
    chunk = chan_of(env.ctx, "work.chunk");
    for (uint64_t r = 0; r < rounds; r++) {
        for (uint64_t i = 0; i < r; i++)
            want += i * i;
        env_send(&env, chunk, env_msg(T_CHUNK, r, 0));
        env_idle(&env); /* the next round begins when this one is reduced */
        gmk_test_assert_eq(n_reduced, r + 1);
        gmk_test_assert_eq(reduced, want);
    }
    gmk_test_assert_eq(n_results, rounds * N_WORKERS_OF);
    gmk_test_assert_eq(early, 0);
    env_end(&env);
}

/* Request and reply. --------------------------------------------------------------------- */

/* Two clients, each with a reply channel of its own. */
typedef struct client {
    gmk_module_t m;
    gmk_handler_reg_t h[1];
    gmk_chan_decl_t d[2];
    uint64_t n, wrong;
    uint64_t mark;
} client_t;

static client_t client[2];

static int on_ask(gmk_ctx_t *ctx)
{
    const gmk_task_t *t = ctx->task;

    return gmk_sdk_chan_send_inline(ctx, (uint32_t)t->meta0, T_ANSWER, t->meta1 * 3, t->meta1) ==
                   GMK_OK
               ? GMK_OK
               : GMK_FAIL(1);
}

static int on_answer(gmk_ctx_t *ctx)
{
    client_t *c = ctx->user;

    c->wrong += ctx->task->meta0 != 3 * ctx->task->meta1;
    c->wrong += ctx->task->meta1 != c->mark + c->n; /* its own, in the order it asked */
    c->n++;
    return GMK_OK;
}

static gmk_handler_reg_t service_handlers[] = {{.type = T_ASK, .fn = on_ask, .name = "ask"}};
static gmk_chan_decl_t service_chans[] = {
    {.name = "svc.ask", .direction = GMK_CHAN_CONSUME, .msg_type = T_ASK, .slots = 16}};
static gmk_module_t service = {.name = "service",
                               .handlers = service_handlers,
                               .n_handlers = 1,
                               .channels = service_chans,
                               .n_channels = 1};

/* CH-58: the request names the reply channel in meta0, and the service, which knows no client,
 * answers there. */
GMK_TEST(chan_pattern_request_and_reply)
{
    static const char *const reply[] = {"one.reply", "two.reply"};
    gmk_module_t *mods[] = {&service, &client[0].m, &client[1].m};
    uint64_t n = gmk_test_scale(5000, 300);
    uint32_t ask, to[2];

    gmk_hal_memset(&env, 0, sizeof(env));
    gmk_hal_memset(client, 0, sizeof(client));
    for (uint32_t i = 0; i < 2; i++) {
        client_t *c = &client[i];

        c->h[0] = (gmk_handler_reg_t){.type = T_ANSWER, .fn = on_answer, .name = "answer"};
        c->d[0] = decl(reply[i], GMK_CHAN_CONSUME, T_ANSWER, GMK_CHAN_P2P);
        c->mark = i * 1000000;
        c->m = (gmk_module_t){.name = i == 0 ? "one" : "two",
                              .handlers = c->h,
                              .n_handlers = 1,
                              .channels = c->d,
                              .n_channels = 1,
                              .user = c};
    }
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 3));
    ask = chan_of(env.ctx, "svc.ask");
    for (uint32_t i = 0; i < 2; i++)
        to[i] = chan_of(env.ctx, reply[i]);
    for (uint64_t i = 0; i < n; i++)
        for (uint32_t c = 0; c < 2; c++)
            env_send(&env, ask, env_msg(T_ASK, to[c], client[c].mark + i));
    env_idle(&env);
    for (uint32_t i = 0; i < 2; i++) {
        gmk_test_assert_eq(client[i].n, n);
        gmk_test_assert_eq(client[i].wrong, 0);
    }
    env_end(&env);
}

/* A store. ------------------------------------------------------------------------------- */

/* Stands in for kv: T_PUT keeps the payload under meta0 if meta1 says so, T_TAKE drops all. */
static struct {
    void *value[N_KEYS];
    uint64_t passing[N_KEYS]; /* addresses of those it did not keep */
    uint64_t wrong;
} store;

static int on_put(gmk_ctx_t *ctx)
{
    const gmk_task_t *t = ctx->task;
    uint64_t key = t->meta0 % N_KEYS;

    store.wrong += !part_intact(t);
    if (t->meta1 == 0) {
        store.passing[key] = t->payload_ptr;
        return GMK_OK;
    }
    gmk_payload_retain(ctx);
    store.value[key] = (void *)(uintptr_t)t->payload_ptr;
    return GMK_OK;
}

static int on_take(gmk_ctx_t *ctx)
{
    for (uint32_t i = 0; i < N_KEYS; i++)
        if (store.value[i] != NULL)
            gmk_payload_release_ptr(ctx, store.value[i]);
    return GMK_OK;
}

static gmk_handler_reg_t store_handlers[] = {{.type = T_PUT, .fn = on_put, .name = "put"},
                                             {.type = T_TAKE, .fn = on_take, .name = "take"}};
static gmk_chan_decl_t store_chans[] = {
    {.name = "store.put", .direction = GMK_CHAN_CONSUME, .msg_type = T_PUT, .slots = 128}};
static gmk_module_t store_mod = {.name = "store",
                                 .handlers = store_handlers,
                                 .n_handlers = 2,
                                 .channels = store_chans,
                                 .n_channels = 1};

/* Nothing of a payload that was freed is left to be read: debug builds fill it. */
static void check_canary(uint32_t key, uint32_t len)
{
#ifdef GMK_DEBUG
    const unsigned char *p = (const unsigned char *)(uintptr_t)store.passing[key];
    uint32_t bad = 0;

    for (uint32_t i = 0; i < len; i++)
        bad += p[i] != 0xdd;
    gmk_test_assert_eq(bad, 0);
#else
    (void)key, (void)len;
#endif
}

/* ACC-14 with a stand-in for kv, CH-44: what is retained survives the release after the handler,
 * what is not is freed; CH-45: a debug build's canary stands where it was. */
GMK_TEST(chan_pattern_store_retains_payloads)
{
    gmk_module_t *mods[] = {&store_mod};
    uint64_t wrong = 0;
    uint32_t put;

    gmk_hal_memset(&env, 0, sizeof(env));
    gmk_hal_memset(&store, 0, sizeof(store));
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 1));
    put = chan_of(env.ctx, "store.put");
    for (uint64_t i = 0; i < N_KEYS; i++) {
        gmk_task_t t = part_payload(env.ctx, T_PUT, i);

        t.meta1 = i % 2; /* every second one is kept */
        env_send(&env, put, t);
    }
    env_idle(&env);
    gmk_test_assert_eq(store.wrong, 0);
    gmk_test_assert_eq(env_live(&env), N_KEYS / 2);
    for (uint32_t i = 0; i < N_KEYS; i++) {
        gmk_task_t t = env_msg(T_PUT, i, 0);

        if (i % 2 == 0) {
            check_canary(i, 1 + i % 300);
            continue;
        }
        t.payload_ptr = (uint64_t)(uintptr_t)store.value[i];
        t.payload_len = 1 + i % 300;
        wrong += !part_intact(&t) || part_refs(t.payload_ptr) != 1;
    }
    gmk_test_assert_eq(wrong, 0);
    gmk_test_assert_eq(gmk_submit(&env.kernel, &(gmk_task_t){.type = T_TAKE}), GMK_OK);
    env_idle(&env);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}
