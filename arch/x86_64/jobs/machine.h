/* SPDX-License-Identifier: MIT
 * The machine as lines of text.
 * Floor: arch. Source: SPEC BM-38. */
#ifndef X86_JOBS_MACHINE_H
#define X86_JOBS_MACHINE_H

#include "modules/monitor/monitor.h"

/* Line i of a list, without its end; line 0 is its head. returns: its bytes, 0: there is none.
 * threads: any. */
size_t machine_line(void *arg, enum mon_list list, uint32_t i, char *to, size_t bytes);

#endif
