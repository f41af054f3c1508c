/* SPDX-License-Identifier: MIT
 * A block device in memory: requests go to a thread of its own, which carries them out in
 * another order and interrupts. Runs on every machine, the simulated one too.
 * Floor: tests. */
#ifndef TEST_MODEL_BLK_H
#define TEST_MODEL_BLK_H

#include "ggmk/prim/spsc.h"
#include "modules/disk/blk.h"

#define MB_DEPTH 32u
#define MB_SECTORS 1003u

typedef struct mb {
    blk_dev_t blk; /* first */
    gmk_spsc_t in, out;
    blk_req_t *in_cell[MB_DEPTH], *out_cell[MB_DEPTH];
    blk_list_t refused;
    gmk_a32_t armed, asleep, stop;
    gmk_a32_t hold;   /* not 0: nothing is answered */
    gmk_a32_t broken; /* not 0: every request fails */
    gmk_hal_park_t park;
    gmk_hal_thread_t thread;
    bool no_irq;
    uint32_t n_flushes, n_done, peak;
    uint8_t image[MB_SECTORS * BLK_SECTOR];
} mb_t;

static inline void mb_wake(mb_t *m)
{
    if (gmk_xchg_sc(&m->asleep, 0, GMK_DEV) != 0)
        gmk_hal_park_wake(&m->park);
}

static inline uint32_t mb_submit(blk_dev_t *d, blk_req_t *const *r, uint32_t n)
{
    mb_t *m = (mb_t *)(void *)d;
    uint32_t i, pos;

    for (i = 0; i < n; i++) {
        int rc = blk_check(d, r[i], gmk_hal_now_ns());

        if (rc == BLK_OK && (d->inflight == MB_DEPTH || gmk_spsc_claim(&m->in, 1, &pos, 0) == 0))
            break;
        blk_begin(d, r[i]);
        if (rc != BLK_OK) {
            r[i]->status = (int16_t)rc;
            blk_list_add(&m->refused, r[i]);
            continue;
        }
        m->in_cell[pos % MB_DEPTH] = r[i];
        gmk_spsc_publish(&m->in, pos, 1, 0);
    }
    if (d->inflight > m->peak)
        m->peak = d->inflight;
    mb_wake(m);
    return i;
}

static inline uint32_t mb_poll(blk_dev_t *d, uint32_t max)
{
    mb_t *m = (mb_t *)(void *)d;
    uint32_t n = 0, pos;
    blk_req_t *r;

    gmk_count_add(&d->stats.polls, 1);
    for (; n < max && (r = blk_list_take(&m->refused)) != NULL; n++)
        blk_finish(d, r, r->status);
    for (; n < max && gmk_spsc_take(&m->out, 1, &pos, 0) != 0; n++) {
        r = m->out_cell[pos % MB_DEPTH];
        gmk_spsc_release(&m->out, pos, 1, 0);
        blk_finish(d, r, r->status);
    }
    d->due_ns = d->inflight != 0 ? gmk_hal_now_ns() + 1000000000 : BLK_NEVER;
    return n;
}

static inline bool mb_arm(blk_dev_t *d)
{
    mb_t *m = (mb_t *)(void *)d;

    gmk_xchg_sc(&m->armed, 1, GMK_DEV);
    return m->refused.head == NULL && gmk_spsc_count(&m->out, 0) == 0;
}

static inline int mb_reset(blk_dev_t *d)
{
    (void)d;
    return BLK_OK;
}

static inline int mb_work(mb_t *m, const blk_req_t *r)
{
    uint8_t *at = m->image + r->sector * BLK_SECTOR;

    if (gmk_load_acq(&m->broken, GMK_DEV) != 0)
        return BLK_E_DEVICE;
    if (r->op == BLK_FLUSH)
        m->n_flushes++;
    else if (r->op == BLK_READ)
        gmk_hal_memcpy(r->buf, at, (size_t)r->n_sectors * BLK_SECTOR);
    else
        gmk_hal_memcpy(at, r->buf, (size_t)r->n_sectors * BLK_SECTOR);
    return BLK_OK;
}

/* Carries out what has come, the last first. returns: how many. */
static inline uint32_t mb_batch(mb_t *m)
{
    uint32_t pos, to, n = gmk_spsc_take(&m->in, MB_DEPTH, &pos, 0);
    blk_req_t *r[MB_DEPTH];

    for (uint32_t i = 0; i < n; i++)
        r[i] = m->in_cell[(pos + i) % MB_DEPTH];
    gmk_spsc_release(&m->in, pos, n, 0);
    for (uint32_t i = n; i-- > 0;) {
        r[i]->status = (int16_t)mb_work(m, r[i]);
        m->n_done++;
        if (gmk_spsc_claim(&m->out, 1, &to, 0) != 1)
            gmk_hal_abort(); /* there is room for all in flight */
        m->out_cell[to % MB_DEPTH] = r[i];
        gmk_spsc_publish(&m->out, to, 1, 0);
    }
    if (n != 0 && !m->no_irq && gmk_xchg_sc(&m->armed, 0, GMK_DEV) != 0)
        blk_irq(&m->blk);
    return n;
}

static inline void *mb_run(void *arg)
{
    mb_t *m = arg;

    while (gmk_load_acq(&m->stop, GMK_DEV) == 0) {
        uint32_t seen = gmk_hal_park_word(&m->park);

        if (gmk_load_acq(&m->hold, GMK_DEV) == 0 && mb_batch(m) != 0)
            continue;
        gmk_xchg_sc(&m->asleep, 1, GMK_DEV);
        if ((gmk_load_acq(&m->hold, GMK_DEV) != 0 || gmk_spsc_count(&m->in, 0) == 0) &&
            gmk_load_acq(&m->stop, GMK_DEV) == 0)
            gmk_hal_park_wait(&m->park, seen, GMK_HAL_FOREVER);
        gmk_xchg_sc(&m->asleep, 0, GMK_DEV);
    }
    return NULL;
}

static const blk_ops_t mb_ops = {
    .submit = mb_submit, .poll = mb_poll, .arm = mb_arm, .reset = mb_reset};

/* Starts the device. returns: 0, -1. */
static inline int mb_begin(mb_t *m)
{
    gmk_hal_memset(m, 0, sizeof(*m));
    m->blk = (blk_dev_t){.capacity = MB_SECTORS,
                         .block_bytes = BLK_SECTOR,
                         .depth = MB_DEPTH,
                         .max_sectors = 64,
                         .can_flush = true,
                         .has_irq = true};
    blk_setup(&m->blk, &mb_ops);
    gmk_spsc_setup(&m->in, MB_DEPTH, UINT32_MAX - 5);
    gmk_spsc_setup(&m->out, MB_DEPTH, UINT32_MAX - 9);
    gmk_hal_park_init(&m->park);
    return gmk_hal_cpu_start(&m->thread, GMK_HAL_ANY_CPU, mb_run, m);
}

static inline int mb_end(mb_t *m)
{
    gmk_store_rel(&m->stop, 1, GMK_DEV);
    gmk_hal_park_wake(&m->park);
    return gmk_hal_thread_join(&m->thread);
}

static inline void mb_hold(mb_t *m, bool on)
{
    gmk_xchg_sc(&m->hold, on, GMK_DEV);
    gmk_hal_park_wake(&m->park);
}

#endif
