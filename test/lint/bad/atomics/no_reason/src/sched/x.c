/* SPDX-License-Identifier: MIT
 * Relaxed without a reason. */
int get(gmk_a32_t *w) { return gmk_load_rlx(w, GMK_DEV); }
