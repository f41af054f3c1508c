/* SPDX-License-Identifier: MIT
 * A store that stands in for kv, and keeps payloads: with a reference, or by mistake without.
 * usage: canary good|read|write: a mistaken store finds the fill of freed memory where its
 * value was, or writes there, which a debug build's next allocation must notice.
 * Floor: tests. Source: test/canary.sh, which runs it. */
#include <stdio.h>
#include <string.h>

#include "ggmk/ggmk.h"
#include "ggmk/sdk.h"

enum { PUT = 1, CHECK, SCRIBBLE, CHURN, DROP };
#define N 64u
#define BYTES 200u

static struct {
    unsigned char *value[N];
    bool retains;
    unsigned wrong;  /* bytes that are not what was stored */
    unsigned filled; /* bytes that a debug build fills freed memory with */
} store;

static int on_put(gmk_ctx_t *ctx)
{
    if (store.retains)
        gmk_payload_retain(ctx);
    store.value[ctx->task->meta0] = (unsigned char *)(uintptr_t)ctx->task->payload_ptr;
    return GMK_OK;
}

static int on_check(gmk_ctx_t *ctx)
{
    (void)ctx;
    for (unsigned k = 0; k < N; k++)
        for (unsigned i = 0; i < BYTES; i++)
            if (store.value[k][i] != (unsigned char)k) {
                store.wrong++;
                store.filled += store.value[k][i] == 0xdd;
            }
    return GMK_OK;
}

static int on_scribble(gmk_ctx_t *ctx)
{
    (void)ctx;
    store.value[N / 2][BYTES / 2] = 1;
    return GMK_OK;
}

/* Takes what was freed, and more. */
static int on_churn(gmk_ctx_t *ctx)
{
    void *p[4 * N];

    for (unsigned i = 0; i < 4 * N; i++)
        p[i] = gmk_payload_alloc(ctx, BYTES);
    for (unsigned i = 0; i < 4 * N; i++)
        gmk_payload_release_ptr(ctx, p[i]);
    return GMK_OK;
}

static int on_drop(gmk_ctx_t *ctx)
{
    for (unsigned i = 0; i < N; i++)
        gmk_payload_release_ptr(ctx, store.value[i]);
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {{.type = PUT, .fn = on_put, .name = "put"},
                                       {.type = CHECK, .fn = on_check, .name = "check"},
                                       {.type = SCRIBBLE, .fn = on_scribble, .name = "scribble"},
                                       {.type = CHURN, .fn = on_churn, .name = "churn"},
                                       {.type = DROP, .fn = on_drop, .name = "drop"}};
static gmk_chan_decl_t chans[] = {
    {.name = "kv.put", .direction = GMK_CHAN_CONSUME, .msg_type = PUT, .slots = 2 * N}};
static gmk_module_t kv = {
    .name = "kv", .handlers = handlers, .n_handlers = 5, .channels = chans, .n_channels = 1};

static gmk_kernel_t kernel;

static bool run(uint32_t type)
{
    gmk_task_t t = {.type = type};

    return gmk_submit(&kernel, &t) == GMK_OK && gmk_wait_idle(&kernel, 10000000000ull) == GMK_OK;
}

static bool put_all(gmk_ctx_t *ctx)
{
    unsigned char bytes[BYTES];
    int chan = gmk_chan_find(ctx, "kv.put");

    for (unsigned k = 0; k < N; k++) {
        gmk_task_t t = {.type = PUT, .meta0 = k};
        void *p = gmk_payload_alloc(ctx, BYTES);

        memset(bytes, (int)k, sizeof(bytes));
        if (p == NULL)
            return false;
        memcpy(p, bytes, sizeof(bytes));
        gmk_task_set_payload(&t, p);
        if (gmk_chan_emit(ctx, (uint32_t)chan, &t) != GMK_OK)
            return false;
    }
    return gmk_wait_idle(&kernel, 10000000000ull) == GMK_OK;
}

static uint64_t live(void)
{
    gmk_audit_report_t r = {.payloads_live = UINT64_MAX};

    return gmk_audit(&kernel, &r) == GMK_OK ? r.payloads_live : UINT64_MAX;
}

int main(int argc, char **argv)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .arena_size = 4u << 20};
    gmk_module_t *mods[] = {&kv};
    const char *how = argc > 1 ? argv[1] : "";
    gmk_audit_report_t report;
    gmk_host_t host;
    gmk_ctx_t *ctx;
    bool ok;

    store.retains = strcmp(how, "good") == 0;
    if (gmk_boot(&kernel, &cfg, mods, 1) != GMK_OK ||
        (ctx = gmk_host_attach(&kernel, &host)) == NULL)
        return 2;
    ok = put_all(ctx) && live() == (store.retains ? N : 0);
    if (strcmp(how, "write") == 0)
        ok = ok && run(SCRIBBLE) && run(CHURN); /* does not come back from here in DEBUG */
    else
        ok = ok && run(CHECK) && (!store.retains || (run(CHURN) && run(CHECK) && run(DROP)));
    printf("%s: %u filled bytes of %u, %llu payloads live\n", how, store.filled, N * BYTES,
           (unsigned long long)live());
    if (gmk_host_detach(&host) != GMK_OK ||
        gmk_halt_timeout(&kernel, 10000000000ull, &report) != GMK_OK)
        return 2;
    return ok && (store.wrong == 0) == store.retains && report.payloads_live == 0 ? 0 : 1;
}
