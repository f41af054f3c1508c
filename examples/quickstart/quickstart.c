/* SPDX-License-Identifier: MIT
 * The smallest program: one module, one handler, one task. Source: SPEC SYS-14. */
#include <ggmk/ggmk.h>
#include <stdio.h>

static int on_hello(gmk_ctx_t *ctx)
{
    printf("worker %u got %llu\n", ctx->worker_id, (unsigned long long)ctx->task->meta0);
    return GMK_OK;
}

int main(void)
{
    gmk_handler_reg_t handlers[] = {{.type = 1, .fn = on_hello, .name = "hello"}};
    gmk_module_t hello = {
        .name = "hello", .version = GMK_VERSION(1, 0, 0), .handlers = handlers, .n_handlers = 1};
    gmk_module_t *mods[] = {&hello};
    gmk_boot_cfg_t cfg = {.arena_size = 64 << 20, .n_workers = 4, .n_tenants = 1};
    gmk_kernel_t kernel;

    if (gmk_boot(&kernel, &cfg, mods, 1) != GMK_OK) {
        fprintf(stderr, "boot: %s\n", gmk_boot_error(&kernel));
        return 1;
    }
    gmk_task_t task = {.type = 1, .meta0 = 42};
    gmk_submit(&kernel, &task);
    gmk_halt(&kernel);
    return 0;
}
