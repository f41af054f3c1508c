/* SPDX-License-Identifier: MIT
 * run=demo: the smoke tests, then the real job.
 * Floor: arch. Source: SPEC BM-7. */
#include "arch/x86_64/jobs/jobs.h"
#include "arch/x86_64/serial/kprintf.h"

int job_demo(void)
{
    uint32_t passed, failed = smoke_run(&passed);

    kprintf("smoke: %u passed, %u failed\n", passed, failed);
    return failed != 0;
}
