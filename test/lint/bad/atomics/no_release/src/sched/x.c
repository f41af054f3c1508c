/* SPDX-License-Identifier: MIT
 * An acquire without a partner. */
int get(gmk_a32_t *w) { return gmk_load_acq(w, GMK_DEV); } /* sync: x.word */
