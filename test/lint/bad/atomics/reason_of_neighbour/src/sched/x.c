/* SPDX-License-Identifier: MIT
 * The comment belongs to the statement before. */
int get(gmk_a32_t *w)
{
    int a = gmk_load_rlx(w, GMK_DEV); /* relaxed: an estimate */
    int b = gmk_load_rlx(w, GMK_DEV);
    return a + b;
}
