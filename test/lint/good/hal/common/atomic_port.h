/* SPDX-License-Identifier: MIT
 * Definitions need no label. */
#define gmk_load_acq(p, sc) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define GMK_AT_PEEK(p) gmk_load_acq((p), GMK_DEV)
