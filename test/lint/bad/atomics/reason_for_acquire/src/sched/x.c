/* SPDX-License-Identifier: MIT
 * A reason where a label is due. */
int get(gmk_a32_t *w) { return gmk_load_acq(w, GMK_DEV); } /* relaxed: an estimate */
