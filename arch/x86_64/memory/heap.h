/* SPDX-License-Identifier: MIT
 * What vmm wants from the heap; its public calls are in vmm.h.
 * Floor: port. */
#ifndef X86_HEAP_H
#define X86_HEAP_H

#include "ggmk/base/compiler.h"

void heap_init(void);

typedef struct heap_stats {
    uint64_t n_oom;
    uint64_t n_bad_frees;
    uint64_t pages;
} heap_stats_t;

heap_stats_t heap_stats(void);

#endif
