/* SPDX-License-Identifier: MIT
 * Jobs of the kernel image, and what they share.
 * Floor: arch. Source: SPEC BM-7. */
#ifndef X86_JOBS_H
#define X86_JOBS_H

#include "ggmk/ggmk.h"
#include "ggmk/hal.h"

#define JOB(name, text) int job_##name(void);
#include "arch/x86_64/jobs/jobs.def"
#undef JOB

/* The smoke tests: echo on every worker, work that is stolen, memory that is paged on demand,
 * the disk if there is one. Prints a line for each. returns: how many failed. */
uint32_t smoke_run(uint32_t *passed);

#endif
