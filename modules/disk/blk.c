/* SPDX-License-Identifier: MIT
 * What all block devices share: ownership, checks, counting, the synchronous call.
 * Floor: modules. Source: SPEC BM-36, BM-37. */
#include "blk.h"

const char *blk_status_text(int status)
{
    switch (status) {
#define X(name, number, text)                                                                      \
    case name:                                                                                     \
        return text;
#include "blk_status.def"
#undef X
    default:
        return "unknown status";
    }
}

int blk_claim(blk_dev_t *d)
{
    uint32_t none = 0;

    /* acquires what the last owner released */
    return gmk_cas_acq(&d->owned, &none, 1, GMK_DEV) ? BLK_OK : BLK_E_BUSY;
}

void blk_release(blk_dev_t *d) { gmk_store_rel(&d->owned, 0, GMK_DEV); /* to the next blk_claim */ }

/* The device's blocks: sector and n_sectors are multiples of them. */
static bool whole_blocks(const blk_dev_t *d, const blk_req_t *r)
{
    uint64_t unit = d->block_bytes / BLK_SECTOR;

    return unit <= 1 || (r->sector % unit == 0 && r->n_sectors % unit == 0);
}

int blk_check(const blk_dev_t *d, const blk_req_t *r, uint64_t now_ns)
{
    if (gmk_load_acq(&d->broken, GMK_DEV) != 0) /* set by whoever drives it */
        return BLK_E_BROKEN;
    if (r->deadline_ns != 0 && r->deadline_ns <= now_ns) /* not a device's fault: no reset */
        return BLK_E_TIMEOUT;
    if (r->op == BLK_FLUSH)
        return r->n_sectors == 0 ? BLK_OK : BLK_E_INVALID;
    if (r->op > BLK_FLUSH || r->buf == NULL || (uintptr_t)r->buf % BLK_BUF_ALIGN != 0 ||
        r->n_sectors == 0 || r->n_sectors > d->max_sectors || !whole_blocks(d, r))
        return BLK_E_INVALID;
    if (r->n_sectors > d->capacity || r->sector > d->capacity - r->n_sectors)
        return BLK_E_RANGE;
    return r->op == BLK_WRITE && d->read_only ? BLK_E_READ_ONLY : BLK_OK;
}

static gmk_a64_t *counter_of(blk_stats_t *s, int status)
{
    switch (status) {
    case BLK_E_INVALID:
    case BLK_E_RANGE:
    case BLK_E_READ_ONLY:
    case BLK_E_UNSUPPORTED:
        return &s->refused;
    case BLK_E_TIMEOUT:
        return &s->timeouts;
    case BLK_E_DEVICE:
        return &s->device;
    default:
        return &s->aborted;
    }
}

void blk_setup(blk_dev_t *d, const blk_ops_t *ops)
{
    d->ops = ops;
    d->due_ns = BLK_NEVER;
    gmk_hal_park_init(&d->park);
}

void blk_irq(blk_dev_t *d)
{
    gmk_count_add(&d->stats.interrupts, 1);
    gmk_hal_park_wake(&d->park);
}

void blk_begin(blk_dev_t *d, blk_req_t *r)
{
    r->next = NULL;
    d->inflight++;
    gmk_count_add(&d->stats.submitted, 1);
}

void blk_list_add(blk_list_t *l, blk_req_t *r)
{
    r->next = NULL;
    if (l->head == NULL)
        l->head = r;
    else
        l->tail->next = r;
    l->tail = r;
}

blk_req_t *blk_list_take(blk_list_t *l)
{
    blk_req_t *r = l->head;

    if (r != NULL)
        l->head = r->next;
    return r;
}

void blk_finish(blk_dev_t *d, blk_req_t *r, int status)
{
    d->inflight--;
    gmk_count_add(&d->stats.completed, 1);
    if (status != BLK_OK) {
        gmk_count_add(&d->stats.errors, 1);
        gmk_count_add(counter_of(&d->stats, status), 1);
    }
    r->next = NULL;
    r->status = (int16_t)status;
    r->done(r);
}

static void sync_done(blk_req_t *r) { *(bool *)r->user = true; }

int blk_sync(blk_dev_t *d, enum blk_op op, uint64_t sector, uint32_t n_sectors, void *buf)
{
    bool done = false;
    blk_req_t r = {.op = (uint16_t)op,
                   .sector = sector,
                   .n_sectors = n_sectors,
                   .buf = buf,
                   .done = sync_done,
                   .user = &done};
    blk_req_t *list = &r;
    int rc = blk_claim(d);

    if (rc != BLK_OK)
        return rc;
    /* A device that nobody drove has room; each poll looks at the deadline. */
    while (d->ops->submit(d, &list, 1) == 0)
        d->ops->poll(d, 1);
    while (!done)
        if (d->ops->poll(d, 1) == 0)
            gmk_hal_relax();
    blk_release(d);
    return r.status;
}
