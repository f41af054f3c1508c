/* SPDX-License-Identifier: MIT
 * The kernel image's job.
 * Floor: arch. Source: SPEC BM-7. */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/serial/kprintf.h"
#include "ggmk/ggmk.h"
#include "ggmk/hal.h"

GMK_HANDLER(on_echo)
{
    kprintf("echo: worker %u\n", ctx->worker_id);
    return GMK_OK;
}

int kmain(void)
{
    static gmk_handler_reg_t handlers[] = {{.type = 1, .fn = on_echo, .name = "echo"}};
    gmk_module_t echo = {.name = "echo", .handlers = handlers, .n_handlers = 1};
    gmk_module_t *mods[] = {&echo};
    gmk_boot_cfg_t cfg = {.n_workers = gmk_hal_cpu_count()};
    gmk_kernel_t k;
    gmk_task_t t = {.type = 1};
    int rc = gmk_boot(&k, &cfg, mods, 1);

    kprintf("boot: gmk_boot: %d\n", rc);
    if (rc != 0)
        return 1;
    for (int i = 0; i < 4; i++)
        kprintf("submit: %d\n", gmk_submit(&k, &t));
    kprintf("idle: %d\n", gmk_wait_idle(&k, 1000000000));
    kprintf("halt: %d\n", gmk_halt(&k));
    return 0;
}
