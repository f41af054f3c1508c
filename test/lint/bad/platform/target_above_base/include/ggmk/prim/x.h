/* SPDX-License-Identifier: MIT
 * A target macro outside ggmk/base. */
#ifdef __CUDA_ARCH__
#endif
