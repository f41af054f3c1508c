/* SPDX-License-Identifier: MIT
 * Every place where a label or a reason may stand. */
#include "sched/sched.h"

void pair_put(gmk_a32_t *w, gmk_a32_t *v)
{
    gmk_store_rel(w, 1, GMK_DEV); /* sync: pair.word */
    /* sync: pair.state */
    gmk_add_ar(v, 1, GMK_DEV);
    GMK_PUBLISH(v, gmk_load_rlx(w, GMK_DEV), GMK_DEV); /* relaxed: own; sync: pair.turn */
}

int pair_get(gmk_a32_t *w, gmk_a32_t *v)
{
    uint32_t n = 0;

    while (n < 8 && GMK_POLL(w, GMK_DEV) ==
                        n) /* sync: pair.word, pair.turn */
        n++;
    for (uint32_t i = gmk_load_rlx(v, GMK_DEV); i < n; i++) /* relaxed: a hint,
                                                             * no more */
        n--;
    /* relaxed: the word decides,
     * this is a first look */
    if (gmk_load_rlx(v, GMK_DEV) == 0 &&
        n == 0)
        return 0;
    return gmk_cas_sc(v, &n, 0, GMK_DEV); /* sync: pair.state */
}

/* Sequentially consistent operations are partners on either side. */
int pair_flip(gmk_a32_t *w, gmk_a32_t *v)
{
    gmk_or_sc(w, 1, GMK_DEV);     /* sync: flip.to */
    GMK_PUBLISH(w, 2, GMK_DEV);   /* sync: flip.on */
    gmk_xchg_ar(w, 3, GMK_DEV);   /* sync: flip.on */
    gmk_store_rel(v, 1, GMK_DEV); /* sync: flip.back */
    return gmk_load_acq(w, GMK_DEV) + /* sync: flip.to */
           gmk_load_sc(v, GMK_DEV);   /* sync: flip.back */
}
