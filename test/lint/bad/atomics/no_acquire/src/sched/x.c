/* SPDX-License-Identifier: MIT
 * A release without a partner. */
void put(gmk_a32_t *w) { gmk_store_rel(w, 1, GMK_DEV); } /* sync: x.word */
