/* SPDX-License-Identifier: MIT
 * Release without a label. */
void put(gmk_a32_t *w) { GMK_PUBLISH(w, 1, GMK_DEV); }
