/* SPDX-License-Identifier: MIT
 * run=test: the smoke tests and a closing line.
 * Floor: arch. Source: SPEC BM-7. */
#include "arch/x86_64/jobs/jobs.h"
#include "arch/x86_64/serial/kprintf.h"

int job_test(void)
{
    uint32_t passed, failed = smoke_run(&passed);

    kprintf("%u passed, %u failed, 0 skipped\n", passed, failed);
    return failed != 0;
}
