/* SPDX-License-Identifier: MIT
 * Readers of channels and subscriptions.
 * Floor: F8. Under the registry's lock, so that what is read is one channel's; the workers
 * take that lock only to open, subscribe and close.
 * Source: SPEC CH-7, CH-17 to CH-19, OBS-1. */
#include "kernel/kernel.h"

static void fill_chan(const gmki_kernel_t *k, gmki_chan_t *c, gmk_chan_info_t *out)
{
    *out = (gmk_chan_info_t){.id = gmki_chan_id(c),
                             .mode = c->mode,
                             .msg_type = gmk_load_acq(&c->msg_type, GMK_DEV), /* sync: chan.type */
                             .slots = c->slots,
                             .replay_slots = c->replay,
                             .emits = gmki_chan_tail(c),
                             .fulls = gmk_count_get(&c->fulls),
                             .drops = gmk_count_get(&c->drops)};
    gmk_hal_memcpy(out->name, c->name, sizeof(out->name));
    if (c->mode & GMK_CHAN_DETERMINISTIC)
        out->emits = gmk_count_get(&c->det_emits);
    for (uint32_t set = c->taken; set != 0; set &= set - 1) {
        gmki_sub_t *s = gmki_chan_sub(c, gmk_lowest_bit(set));

        out->depth = gmk_max32(out->depth, (uint32_t)gmki_sub_lag(s));
        if (gmki_sub_state(s) != GMKI_SUB_LIVE)
            continue;
        out->n_subs++;
        if (out->consumer == NULL)
            out->consumer = gmki_module_name(k->core.chan.modules, s->module);
    }
    gmk_hal_lock_acquire(&c->lock);
    if (c->replay != 0 && c->floor < out->emits)
        out->oldest_seq = c->floor + 1;
    gmk_hal_lock_release(&c->lock);
}

/* The open channel of an identifier or index. pre: the registry's lock. */
static gmki_chan_t *open_chan(gmk_chan_reg_t *r, uint32_t id)
{
    gmki_chan_t *c = gmki_chan_at(r, id);

    return c != NULL && gmki_chan_is_open(c) ? c : NULL;
}

int gmk_chan_get_info(const gmk_kernel_t *handle, uint32_t id, gmk_chan_info_t *out)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    gmki_chan_t *c;

    if (k == NULL || out == NULL)
        return GMK_E_INVALID;
    gmk_hal_lock_acquire(&k->core.chan.lock);
    c = open_chan(&k->core.chan, id);
    if (c != NULL)
        fill_chan(k, c, out);
    gmk_hal_lock_release(&k->core.chan.lock);
    return c != NULL ? GMK_OK : (int)GMK_E_NOT_FOUND;
}

/* The i-th live subscription, or null. */
static gmki_sub_t *live_sub(gmki_chan_t *c, uint32_t i)
{
    for (uint32_t set = c->taken; set != 0; set &= set - 1) {
        gmki_sub_t *s = gmki_chan_sub(c, gmk_lowest_bit(set));

        if (gmki_sub_state(s) == GMKI_SUB_LIVE && i-- == 0)
            return s;
    }
    return NULL;
}

int gmk_chan_get_sub(const gmk_kernel_t *handle, uint32_t id, uint32_t i, gmk_sub_info_t *out)
{
    gmki_kernel_t *k = gmki_kernel(handle);
    gmki_sub_t *s = NULL;
    gmki_chan_t *c;

    if (k == NULL || out == NULL)
        return GMK_E_INVALID;
    gmk_hal_lock_acquire(&k->core.chan.lock);
    c = open_chan(&k->core.chan, id);
    if (c != NULL)
        s = live_sub(c, i);
    if (s != NULL) {
        const gmki_group_t *g = gmki_sub_group(s);

        *out = (gmk_sub_info_t){.module = gmki_module_name(k->core.chan.modules, s->module),
                                .worker = gmk_load_acq(&g->worker, GMK_DEV), /* sync: chan.bind */
                                .parallel = gmki_is_parallel(g),
                                .lag = (uint32_t)gmki_sub_lag(s),
                                .next_seq = gmk_cursor_next(&s->cursor, GMK_DEV) + 1,
                                .acked_seq = gmki_sub_acked(s),
                                .drops = gmk_count_get(&s->drops)};
        gmki_latency(&s->latency, &out->latency);
    }
    gmk_hal_lock_release(&k->core.chan.lock);
    return s != NULL ? GMK_OK : (int)GMK_E_NOT_FOUND;
}
