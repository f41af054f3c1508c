/* SPDX-License-Identifier: MIT
 * Traces from outside: levels, sampling, and the readers of the rings.
 * Floor: F8. A reader takes the lock that excludes other readers; writers take none, so
 * a reader that stands still for ever makes rings drop records, and no worker wait.
 * Source: SPEC OBS-8 to OBS-12, OBS-16, OBS-17; ARCHITECTURE R10. */
#include "kernel/kernel.h"

static uint32_t max_level(const gmki_kernel_t *k)
{
    uint32_t max = 0;

    for (uint32_t m = 0; m <= GMKI_LEVEL_KERNEL; m++) /* relaxed: a setting */
        max = gmk_max32(max, gmk_load_rlx(&k->trace_cfg.level[m], GMK_DEV));
    return max;
}

int gmk_trace_set_level(gmk_kernel_t *handle, const char *module, uint32_t level)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    bool found = module == NULL;

    if (k == NULL || level > GMK_TRACE_ALL)
        return GMK_E_INVALID;
    gmk_hal_lock_acquire(&k->lock);
    for (uint32_t m = 0; m <= GMKI_LEVEL_KERNEL; m++) {
        if (module != NULL &&
            (m >= k->core.mods.n_mods || !gmki_text_eq(k->core.mods.mods[m]->name, module)))
            continue;
        gmk_store_rlx(&k->trace_cfg.level[m], level, GMK_DEV); /* relaxed: may take effect late */
        found = true;
    }
    gmk_store_rlx(&k->trace_cfg.max_level, max_level(k), GMK_DEV); /* relaxed: as above */
    gmk_hal_lock_release(&k->lock);
    return found ? GMK_OK : GMK_E_NOT_FOUND;
}

int gmk_trace_set_sample_rate(gmk_kernel_t *handle, uint32_t rate)
{
    gmki_kernel_t *k = gmki_kernel(handle);

    if (k == NULL)
        return GMK_E_INVALID;
    gmk_store_rlx(&k->trace_cfg.sample_rate, rate, GMK_DEV); /* relaxed: may take effect late */
    return GMK_OK;
}

/* The ring whose oldest record is the earliest, or null; *until: the time of the earliest
 * record of any other ring. pre: the lock is held. */
static gmki_trace_ring_t *earliest(gmki_kernel_t *k, uint64_t *until)
{
    gmki_trace_ring_t *best = NULL;
    uint64_t when = UINT64_MAX;

    *until = UINT64_MAX;
    for (uint32_t i = 0; i < gmki_n_rings(k); i++) {
        gmki_trace_ring_t *r = &k->rings[i];
        uint64_t tsc;
        uint32_t pos;

        if (gmk_spsc_take(&r->ring, 1, &pos, GMK_DEV) == 0)
            continue;
        tsc = r->recs[pos & r->ring.mask_c].tsc;
        if (best == NULL || tsc < when) {
            *until = when;
            best = r;
            when = tsc;
        } else {
            *until = gmk_min64(*until, tsc);
        }
    }
    return best;
}

/* Takes up to n records of r that are not later than until. pre: the lock is held. */
static uint32_t take_run(gmki_trace_ring_t *r, uint64_t until, gmk_trace_ev_t *out, uint32_t n)
{
    uint32_t k = 0;
    uint32_t pos;

    while (k < n && gmk_spsc_take(&r->ring, 1, &pos, GMK_DEV) != 0) {
        const gmk_trace_ev_t *ev = &r->recs[pos & r->ring.mask_c];

        if (ev->tsc > until)
            break;
        out[k++] = *ev;
        gmk_spsc_release(&r->ring, pos, 1, GMK_DEV);
    }
    return k;
}

int gmk_trace_read_batch(gmk_kernel_t *handle, gmk_trace_ev_t *out, uint32_t n)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    uint32_t done = 0;

    if (k == NULL || (out == NULL && n != 0) || n > INT32_MAX)
        return GMK_E_INVALID;
    gmk_hal_lock_acquire(&k->read_lock);
    while (done < n) {
        uint64_t until;
        gmki_trace_ring_t *r = earliest(k, &until);

        if (r == NULL)
            break;
        done += take_run(r, until, out + done, n - done);
    }
    gmk_hal_lock_release(&k->read_lock);
    return (int)done;
}

int gmk_trace_read(gmk_kernel_t *handle, gmk_trace_ev_t *out)
{
    int n = gmk_trace_read_batch(handle, out, 1);

    return n == 1 ? GMK_OK : n == 0 ? (int)GMK_E_NOT_FOUND : n;
}

uint64_t gmk_trace_total(const gmk_kernel_t *handle)
{
    const gmki_kernel_t *k = gmki_kernel(handle);
    uint64_t n = 0;

    for (uint32_t i = 0; k != NULL && i < gmki_n_rings(k); i++)
        n += gmk_count_get(&k->rings[i].written);
    return n;
}

uint64_t gmk_trace_dropped(const gmk_kernel_t *handle)
{
    const gmki_kernel_t *k = gmki_kernel(handle);
    uint64_t n = 0;

    for (uint32_t i = 0; k != NULL && i < gmki_n_rings(k); i++)
        n += gmk_count_get(&k->rings[i].dropped);
    return n;
}
