/* SPDX-License-Identifier: MIT
 * Target macros are allowed here. */
#if defined(__cplusplus) || defined(__CUDA_ARCH__)
#define GMK_FN static inline
#else
#define GMK_FN static inline __attribute__((always_inline))
#endif
