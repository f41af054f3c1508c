/* SPDX-License-Identifier: MIT
 * A row without code. */
void put(gmk_a32_t *w) { gmk_store_rel(w, 1, GMK_DEV); } /* sync: x.word */
int get(gmk_a32_t *w) { return gmk_load_acq(w, GMK_DEV); } /* sync: x.word */
