/* SPDX-License-Identifier: MIT
 * Compiler seam: one dialect for C11, C++17, freestanding and nvcc device code.
 * Floor: F0, includes nothing of ours.
 * Source: ARCHITECTURE R1 (dialect), SPEC T-19. */
#ifndef GGMK_BASE_COMPILER_H
#define GGMK_BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__CUDACC__)
#define GMK_FN static __host__ __device__ __forceinline__
#else
#define GMK_FN static inline __attribute__((always_inline, unused))
#endif

#if defined(__cplusplus)
#define GMK_ALIGNAS(n) alignas(n)
#define GMK_STATIC_ASSERT(cond, text) static_assert(cond, text)
#define GMK_EXTERN_C_BEGIN extern "C" {
#define GMK_EXTERN_C_END }
#else
#define GMK_ALIGNAS(n) _Alignas(n)
#define GMK_STATIC_ASSERT(cond, text) _Static_assert(cond, text)
#define GMK_EXTERN_C_BEGIN
#define GMK_EXTERN_C_END
#endif

#define GMK_NODISCARD __attribute__((warn_unused_result))
#define GMK_NORETURN __attribute__((noreturn))
#define GMK_NOINLINE __attribute__((noinline))
#define GMK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define GMK_LIKELY(x) __builtin_expect(!!(x), 1)
#define GMK_UNLIKELY(x) __builtin_expect(!!(x), 0)
/* Keeps x in a register of its own: words that were stored one by one and are loaded
 * again at once must not be merged into a wider load, which would wait for the stores
 * to reach the cache instead of being forwarded. */
#if defined(__CUDA_ARCH__)
#define GMK_KEEP_WORD(x) ((void)0)
#else
#define GMK_KEEP_WORD(x) __asm__("" : "+r"(x))
#endif
/* What stands before it is in memory, as its own thread sees it, before what stands after. */
#define GMK_KEEP_ORDER() __asm__ volatile("" ::: "memory")
/* A line that will be written here soon may come from another processor meanwhile. */
#ifdef __CUDA_ARCH__
#define GMK_WILL_WRITE(p) ((void)(p))
#else
#define GMK_WILL_WRITE(p) __builtin_prefetch((p), 1)
#endif
#define GMK_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* One line of memory, and the distance that keeps two writers apart (the
 * adjacent-line prefetcher moves lines in pairs). */
#define GMK_CACHE_LINE 64
#define GMK_FALSE_SHARING 128

#endif
