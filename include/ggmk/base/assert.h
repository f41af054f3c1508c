/* SPDX-License-Identifier: MIT
 * Assertions guard internal invariants and are always on; a wrong argument to a
 * public function is a return code instead.
 * Floor: F0. Source: ARCHITECTURE R12. */
#ifndef GGMK_BASE_ASSERT_H
#define GGMK_BASE_ASSERT_H

#include "ggmk/base/compiler.h"

GMK_EXTERN_C_BEGIN

/* Prints file, line, text and the last trace events of the kernels of this
 * process, then ends the process (hosted) or halts the machine (bare metal).
 * threads: any. Source: SPEC BM-12, ARCHITECTURE R12. */
GMK_NORETURN void gmk_panic(const char *file, int line, const char *text);

GMK_EXTERN_C_END

#if defined(__CUDA_ARCH__)
#define GMK_ASSERT(cond, text)                                                                     \
    do {                                                                                           \
        if (GMK_UNLIKELY(!(cond)))                                                                 \
            __trap();                                                                              \
    } while (0)
#else
#define GMK_ASSERT(cond, text)                                                                     \
    do {                                                                                           \
        if (GMK_UNLIKELY(!(cond)))                                                                 \
            gmk_panic(__FILE__, __LINE__, text);                                                   \
    } while (0)
#endif

#endif
