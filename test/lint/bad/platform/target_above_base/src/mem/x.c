/* SPDX-License-Identifier: MIT
 * A target macro outside ggmk/base. */
#if defined(__x86_64__)
#endif
