/* SPDX-License-Identifier: MIT
 * Boot options and module declarations of any kind: a boot is refused by a code and a story, or
 * gives a kernel that halts clean; the same storage serves for the next.
 * Floor: tests. Source: SPEC MOD-2 to MOD-10, CH-4, SYS-11; ARCHITECTURE R11. */
#include "fuzz_world.h"

typedef struct trial {
    bytes_t b;
    gmk_kernel_t k;
    draft_t d;
    uint32_t inits, finis;
} trial_t;

static int on_task(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_OK;
}

static int on_init(gmk_ctx_t *ctx)
{
    trial_t *t = ctx->user;

    t->inits++;
    return take8(&t->b) == 0xff ? GMK_FAIL(3) : GMK_OK;
}

static int on_fini(gmk_ctx_t *ctx)
{
    ((trial_t *)ctx->user)->finis++;
    return GMK_OK;
}

static void run(void *arg)
{
    trial_t *t = arg;
    gmk_audit_report_t r;
    int rc;

    for (uint32_t i = 0; i < 3 && more(&t->b); i++) {
        take_draft(&t->b, &t->d, on_task, t);
        for (uint32_t m = 0; m < t->d.n_mods; m++) {
            t->d.mod[m].init = on_init;
            t->d.mod[m].fini = on_fini;
        }
        t->inits = t->finis = 0;
        rc = boot(&t->k, &t->d);
        FUZZ_CHECK(rc != GMK_E_INIT || t->inits != 0);
        FUZZ_CHECK(rc == GMK_OK || rc == GMK_E_INIT || t->inits == t->finis);
        FUZZ_CHECK(rc != GMK_E_INIT || t->inits == t->finis + 1);
        if (rc != GMK_OK) {
            FUZZ_CHECK(gmk_halt(&t->k) == GMK_E_INVALID);
            continue;
        }
        FUZZ_CHECK(t->inits == t->d.n_mods);
        FUZZ_CHECK(gmk_halt_timeout(&t->k, 60000000000ull, &r) == GMK_OK);
        FUZZ_CHECK(r.balanced && r.accepted == 0 && r.payloads_live == 0 && t->finis == t->inits);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    trial_t *t = calloc(1, sizeof(*t));
    gmk_sim_cfg_t cfg = {.max_switches = 3000000};

    FUZZ_CHECK(t != NULL);
    t->b = (bytes_t){data, n, 0};
    cfg.seed = take16(&t->b);
    gmk_sim_run(&cfg, run, t);
    free(t);
    return 0;
}
