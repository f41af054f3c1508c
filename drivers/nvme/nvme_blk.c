/* SPDX-License-Identifier: MIT
 * The NVMe block device: requests on the I/O queue pair of a controller.
 * Floor: drivers. drivers/blk_queue.h keeps the requests; an identifier is slot | sequence << 8.
 * The sequence moves with each use: an answer to an earlier command is no answer to this one.
 * Under load the queue is polled: listen unmasks the interrupt, and it is masked again only when
 * it came MASK_AFTER times though nobody slept, since each change is a slow access.
 * The doorbell is rung once a submit or poll, also for what done callbacks submit. (Ringing for
 * each 8 or 16 commands: 12% more under QEMU on two cores, 18% less on two threads of one.)
 * Source: SPEC BM-36, BM-37; NVM Express 1.4 sections 4.2 (commands), 4.3 (pages), 4.6, 6.
 */
#include "drivers/nvme/nvme.h"

#include "drivers/blk_queue.h"
#include "drivers/drivers.h"

#include "drivers/nvme/nvme_ctrl.h"

enum { OP_FLUSH = 0, OP_WRITE = 1, OP_READ = 2 };

#define MASK_AFTER 4u
#define SLOT_BITS 8u
#define LATE 0x10000u

GMK_STATIC_ASSERT(NVME_DEPTH < 1u << SLOT_BITS, "a slot fits an identifier");
GMK_STATIC_ASSERT(NVME_DEPTH <= BLK_QUEUE_DEPTH, "a command has a slot");

typedef struct nvme {
    blk_queue_t q; /* first: the ops cast */
    nvme_ctrl_t c;
    nvme_facts_t facts;
    uint32_t shift; /* sectors of a block, as a power of two */
    bool masked;

    uint8_t sequence[NVME_DEPTH]; /* by slot */
    uint32_t late[NVME_DEPTH];    /* LATE | the identifier of a command that a reset ended; or 0 */
    nvme_pair_t old;              /* the queue of the generation before; cq null: there is none */
} nvme_t;

static nvme_t devs[NVME_DEVS];
static uint32_t n_devs;

static nvme_t *nvme_of(blk_queue_t *q) { return (nvme_t *)(void *)q; }

static uint32_t id_of(const nvme_t *d, uint32_t s)
{
    return (uint32_t)d->sequence[s] << SLOT_BITS | s;
}

/* Submitting. ---------------------------------------------------------------------------- */

/* The pages of n bytes at p. returns: how many; 0: not mapped, or too many. */
static uint32_t find_pages(uint64_t *page, const char *p, uint32_t n)
{
    uint32_t k = 0;

    while (n > 0) {
        uint32_t rest = DEV_PAGE - (uint32_t)((uintptr_t)p & (DEV_PAGE - 1));
        uint32_t len = n < rest ? n : rest;

        if (k == NVME_PAGES)
            return 0;
        page[k] = dev_phys(p);
        if (page[k++] == DEV_NO_PHYS)
            return 0;
        p += len;
        n -= len;
    }
    return k;
}

/* Where the data is: the first page, and the second or where the others are listed. */
static void put_pages(nvme_t *d, uint32_t s, nvme_cmd_t *e, const uint64_t *page, uint32_t n)
{
    uint64_t second = n > 1 ? page[1] : 0;

    if (n > 2) {
        for (uint32_t i = 1; i < n; i++)
            d->c.list[s].page[i - 1] = page[i];
        second = d->c.list_phys + s * sizeof(nvme_list_t);
    }
    e->dw[6] = (uint32_t)page[0];
    e->dw[7] = (uint32_t)(page[0] >> 32);
    e->dw[8] = (uint32_t)second;
    e->dw[9] = (uint32_t)(second >> 32);
}

static void next_sequence(nvme_t *d, uint32_t s)
{
    d->sequence[s]++;
    if (d->late[s] == (LATE | id_of(d, s))) /* its answer may still come */
        d->sequence[s]++;
}

static int put(blk_queue_t *q, uint32_t s, const blk_req_t *r)
{
    nvme_t *d = nvme_of(q);
    uint64_t page[NVME_PAGES];
    uint64_t block = r->sector >> d->shift;
    uint32_t n = 0;
    nvme_cmd_t *e;

    if (r->op != BLK_FLUSH) {
        n = find_pages(page, r->buf, r->n_sectors * BLK_SECTOR);
        if (n == 0)
            return BLK_E_INVALID;
    }
    next_sequence(d, s);
    e = nvme_next(&d->c.io);
    e->dw[0] = id_of(d, s) << 16 | (r->op == BLK_READ    ? (uint32_t)OP_READ
                                    : r->op == BLK_WRITE ? (uint32_t)OP_WRITE
                                                         : (uint32_t)OP_FLUSH);
    e->dw[1] = d->facts.nsid;
    if (n != 0) {
        put_pages(d, s, e, page, n);
        e->dw[10] = (uint32_t)block;
        e->dw[11] = (uint32_t)(block >> 32);
        e->dw[12] = (r->n_sectors >> d->shift) - 1;
    }
    return 1;
}

static void publish(blk_queue_t *q)
{
    nvme_t *d = nvme_of(q);

    /* The queue has room for all that can be in flight and this many more. */
    if (2 * d->c.io.untold > d->c.cq_n - d->c.sq_n)
        nvme_told(&d->c.io);
    if (nvme_ring(&d->c.io))
        gmk_count_add(&q->blk.stats.kicks, 1);
}

/* Answers. --------------------------------------------------------------------------------- */

int nvme_status_of(uint32_t field)
{
    switch (field & 0x7ff) {
    case 0x000:
        return BLK_OK;
    case 0x001: /* invalid opcode */
        return BLK_E_UNSUPPORTED;
    case 0x007: /* abort requested */
    case 0x008: /* the queue was deleted */
        return BLK_E_RESET;
    case 0x020: /* the namespace is write protected */
    case 0x182: /* a range is read-only */
        return BLK_E_READ_ONLY;
    case 0x080: /* beyond the end */
        return BLK_E_RANGE;
    default:
        return BLK_E_DEVICE;
    }
}

/* An answer to a command that a reset has ended. Each counts once. */
static bool is_late(nvme_t *d, uint32_t id)
{
    uint32_t s = id & ((1u << SLOT_BITS) - 1);

    if (s >= d->q.blk.depth || d->late[s] != (LATE | id))
        return false;
    d->late[s] = 0;
    gmk_count_add(&d->q.blk.stats.spurious, 1);
    return true;
}

static int take(blk_queue_t *q, int *status)
{
    nvme_t *d = nvme_of(q);
    nvme_answer_t a;
    uint32_t s;
    int rc;

    do { /* late ones are at most as many as slots */
        rc = nvme_take(&d->c.io, &a);
        if (rc == 0)
            return BLK_QUEUE_EMPTY;
    } while (rc > 0 && is_late(d, a.id));
    s = a.id & ((1u << SLOT_BITS) - 1);
    if (rc < 0 || s >= q->blk.depth || a.id != id_of(d, s))
        return BLK_QUEUE_NONSENSE;
    *status = nvme_status_of(a.status);
    return (int)s;
}

/* Interrupts. --------------------------------------------------------------------------------- */

static void quiet(blk_queue_t *q, uint32_t n_irqs)
{
    nvme_t *d = nvme_of(q);

    if (d->masked || n_irqs < MASK_AFTER)
        return;
    nvme_ctrl_mask(&d->c, true);
    d->masked = true;
}

static bool listen(blk_queue_t *q)
{
    nvme_t *d = nvme_of(q);

    nvme_told(&d->c.io);
    if (d->masked) {
        /* What came while it was masked interrupts now. */
        nvme_ctrl_mask(&d->c, false);
        d->masked = false;
    }
    return !nvme_pending(&d->c.io);
}

/* Resets. ------------------------------------------------------------------------------------ */

/* Answers that the device writes into the queue of the generation before. */
static uint32_t skip_old(blk_queue_t *q)
{
    nvme_t *d = nvme_of(q);
    nvme_answer_t a;
    uint32_t n = 0;

    while (d->old.cq != NULL && n < d->old.cq_n && nvme_take(&d->old, &a) != 0)
        n++;
    return n;
}

static int health(blk_queue_t *q)
{
    enum nvme_health h = nvme_ctrl_health(&nvme_of(q)->c);

    return h == NVME_WELL ? BLK_OK : h == NVME_FATAL ? BLK_E_RESET : BLK_E_BROKEN;
}

/* What is in flight gets no answer in time. */
static void mark_late(nvme_t *d)
{
    for (uint32_t s = 0; s < d->q.blk.depth; s++)
        if (d->q.slot[s].req != NULL)
            d->late[s] = LATE | id_of(d, s);
}

static int restart(blk_queue_t *q)
{
    nvme_t *d = nvme_of(q);
    int rc;

    mark_late(d);
    nvme_ctrl_retire(&d->c);
    d->old = d->c.io;
    rc = nvme_ctrl_stop(&d->c);
    if (rc != BLK_OK)
        return rc;
    (void)skip_old(q); /* what it answered before it stopped is not late */
    rc = nvme_ctrl_start(&d->c);
    return rc == BLK_OK ? nvme_ctrl_queues(&d->c) : rc;
}

static void stop(blk_queue_t *q)
{
    nvme_t *d = nvme_of(q);

    mark_late(d);
    pci_disable(d->c.pci, PCI_CMD_MASTER);
    (void)nvme_ctrl_stop(&d->c); /* at most CAP.TO; it may be gone */
}

static const blk_queue_ops_t nvme_ops = {.put = put,
                                         .publish = publish,
                                         .take = take,
                                         .quiet = quiet,
                                         .listen = listen,
                                         .look = skip_old,
                                         .health = health,
                                         .restart = restart,
                                         .stop = stop};

/* Setting up a device. ------------------------------------------------------------------------- */

static int fill_in(nvme_t *d)
{
    const nvme_facts_t *f = &d->facts;
    uint32_t most = (NVME_PAGES - 1) * (DEV_PAGE / BLK_SECTOR);

    d->shift = f->block_bits - 9;
    d->q.blk.capacity = f->blocks << d->shift;
    d->q.blk.block_bytes = 1u << f->block_bits;
    d->q.blk.max_sectors = most;
    if (f->max_pages < most / (DEV_PAGE / BLK_SECTOR))
        d->q.blk.max_sectors = f->max_pages * (DEV_PAGE / BLK_SECTOR);
    d->q.blk.read_only = f->read_only;
    d->q.blk.can_flush = f->cache;
    gmk_hal_memcpy(d->q.blk.serial, f->serial, sizeof(f->serial));
    blk_queue_size(&d->q, d->c.sq_n - 1);
    return BLK_OK;
}

static int set_up(nvme_t *d, const pci_device_t *pci)
{
    dev_msi_t msi;
    int rc = nvme_ctrl_open(&d->c, pci);

    if (rc == BLK_OK)
        rc = nvme_ctrl_stop(&d->c);
    if (rc != BLK_OK)
        return rc;
    /* Without MSI-X the device is polled. */
    d->q.blk.has_irq =
        dev_irq_alloc(blk_queue_interrupt, &d->q, 0, &msi) == 0 && nvme_ctrl_use_irq(&d->c, &msi);
    d->masked = d->q.blk.has_irq;
    rc = nvme_ctrl_start(&d->c);
    if (rc == BLK_OK)
        rc = nvme_ctrl_ask(&d->c, &d->facts);
    if (rc == BLK_OK)
        rc = nvme_ctrl_queues(&d->c);
    return rc == BLK_OK ? fill_in(d) : rc;
}

int nvme_init(const pci_device_t *pci)
{
    nvme_t *d = &devs[n_devs];
    int rc;

    if (pci == NULL || pci->class_code != NVME_CLASS || pci->subclass != NVME_SUBCLASS ||
        pci->prog_if != NVME_PROG_IF)
        return BLK_E_NO_DISK;
    if (n_devs == NVME_DEVS)
        return BLK_E_UNSUPPORTED;
    gmk_hal_memset(d, 0, sizeof(*d));
    blk_queue_init(&d->q, &nvme_ops, "nvme", n_devs);
    rc = set_up(d, pci);
    if (rc == BLK_OK)
        rc = blk_register(&d->q.blk) == 0 ? BLK_OK : BLK_E_UNSUPPORTED;
    if (rc == BLK_OK)
        n_devs++;
    else
        nvme_ctrl_close(&d->c);
    return rc;
}

int drv_nvme_probe(const pci_device_t *dev)
{
    int rc = nvme_init(dev);

    return rc == BLK_E_NO_DISK ? (int)DRV_NOT_MINE : rc;
}

void nvme_forget_all(void)
{
    for (uint32_t i = 0; i < n_devs; i++)
        nvme_ctrl_close(&devs[i].c);
    n_devs = 0;
}
