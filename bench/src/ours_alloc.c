/* SPDX-License-Identifier: MIT
 * The allocator rows through gmk_alloc and gmk_free from attached threads. */
#include "bench.h"
#include "ggmk/ggmk.h"

static gmk_kernel_t kernel;
static _Thread_local gmk_ctx_t *self;
static _Thread_local gmk_host_t self_host;

#define ALLOC(n) gmk_alloc(self, (n))
#define FREE(p, n) ((void)(n), gmk_free(self, (p)))
#define THREAD_BEGIN()                                                                             \
    do {                                                                                           \
        self = gmk_host_attach(&kernel, &self_host);                                               \
        must(self != NULL, "gmk_host_attach");                                                     \
    } while (0)
#define THREAD_END() must(gmk_host_detach(&self_host) == GMK_OK, "gmk_host_detach")
#include "alloc_loop.h"

int main(int argc, char **argv)
{
    gmk_boot_cfg_t cfg = {.arena_size = 256u << 20, .n_workers = 1, .n_tenants = 1};
    gmk_alloc_stats_t st;
    int rc;

    bench_args(argc, argv);
    cfg.flags = GMK_BOOT_NO_LINKED_MODULES;
    rc = gmk_boot(&kernel, &cfg, NULL, 0);
    if (rc != GMK_OK)
        fprintf(stderr, "gmk_boot: %s: %s\n", gmk_strerror(rc), gmk_boot_error(&kernel));
    must(rc == GMK_OK, "boot");
    alloc_rows("GGMK");
    must(gmk_alloc_get_stats(&kernel, GMK_ALLOC_BLOCK, &st) == GMK_OK, "statistics");
    must(st.n_fails == 0 && st.n_bad_frees == 0, "failed allocations or bad frees");
    must(st.n_allocs == st.n_frees, "blocks not freed");
    must(gmk_halt(&kernel) == GMK_OK, "halt");
    return 0;
}
