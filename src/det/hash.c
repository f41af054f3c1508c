/* SPDX-License-Identifier: MIT
 * The trace hash: a chain of events a module, a chain of chains over all.
 * Floor: F4. Left out: time, worker, levels, sampling. A module's events are serial, so
 * its chain is the same on any number of workers.
 * Source: SPEC DET-7, DET-9. */
#include "det/det.h"

void gmki_det_event(gmki_det_t *d, const gmki_det_entry_t *e, uint32_t ev_type, uint32_t arg0,
                    uint32_t arg1)
{
    gmk_a64_t *hash = &d->modules[e->module].hash;
    gmk_canon_event_t ev = {.ev_type = ev_type,
                            .tenant = e->cell.task.tenant,
                            .type = (uint16_t)e->cell.task.type,
                            .tick = d->tick,
                            .arg0 = arg0,
                            .arg1 = arg1};
    uint64_t h = gmk_load_rlx(hash, GMK_DEV); /* relaxed: the token orders the writers */

    /* relaxed: a reader that wants it exact waits for the end of the tick */
    gmk_store_rlx(hash, gmk_canon_hash_event(h, &ev), GMK_DEV);
}

void gmki_det_rehash(gmki_det_t *d)
{
    for (uint32_t m = 0; m < d->n_modules; m++)
        gmk_store_rlx(&d->modules[m].hash, 0, GMK_DEV); /* relaxed: no tick has begun */
}

uint64_t gmki_det_hash(const gmki_det_t *d)
{
    uint64_t h = GMK_CANON_HASH_SEED;

    for (uint32_t m = 0; m < d->n_modules; m++)
        h = gmk_canon_chain(h, gmk_load_rlx(&d->modules[m].hash, GMK_DEV)); /* relaxed: as above */
    return h;
}
