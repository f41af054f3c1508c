/* SPDX-License-Identifier: MIT
 * Values with defaults and other names. */
#ifndef GMK_X_MAX
#define GMK_X_MAX 4
#endif
#ifdef GMK_X_OLD
#undef GMK_X_MAX
#endif
