/* SPDX-License-Identifier: MIT
 * The NVMe block device: requests on the I/O queue pair of a controller.
 * Floor: drivers. Each request in flight has a slot; its identifier is slot | sequence << 8.
 * The sequence moves with each use: an answer to an earlier command is no answer to this one.
 * Under load the queue is polled: arm unmasks the interrupt, and it is masked again only when
 * it came MASK_AFTER times though nobody slept, since each change is a slow access.
 * The doorbell is rung once a submit or poll, also for what done callbacks submit. (Ringing for
 * each 8 or 16 commands: 12% more under QEMU on two cores, 18% less on two threads of one.)
 * A dropped interrupt costs LOOK_NS, not a deadline: poll is due that soon.
 * Source: SPEC BM-36, BM-37; NVM Express 1.4 sections 4.2 (commands), 4.3 (pages), 4.6, 6.
 */
#include "drivers/nvme/nvme.h"

#include "drivers/drivers.h"

#include "drivers/nvme/nvme_ctrl.h"

enum { OP_FLUSH = 0, OP_WRITE = 1, OP_READ = 2 };

#define MAX_FRUITLESS 8u /* resets without one answer between them */
#define LOOK_EVERY 16u   /* polls of a busy device between two looks at the clock */
#define LOOK_NS 20000000ull
#define MASK_AFTER 4u
#define NO_SLOT 0xffffu
#define SLOT_BITS 8u
#define LATE 0x10000u

GMK_STATIC_ASSERT(NVME_DEPTH < 1u << SLOT_BITS, "a slot fits an identifier");

typedef struct nvme_slot {
    blk_req_t *req; /* null: free */
    uint64_t deadline_ns;
    uint32_t late; /* LATE | the identifier of a command that a reset ended; 0: none */
    uint16_t next; /* of the free ones */
    uint8_t sequence;
    bool again; /* it was in flight when the device was reset */
} nvme_slot_t;

typedef struct nvme {
    blk_dev_t blk; /* first: the ops cast */
    nvme_ctrl_t c;
    nvme_facts_t facts;
    uint32_t shift; /* sectors of a block, as a power of two */
    bool armed, masked, polling;
    gmk_a32_t irqs;
    uint32_t seen_irqs; /* when it was armed last, or masked */
    uint32_t fruitless, polls;

    nvme_slot_t slot[NVME_DEPTH];
    uint16_t free_slot;
    blk_list_t ready; /* ended, done not yet called; status is set */

    nvme_pair_t old;               /* the queue of the generation before; cq null: there is none */
    nvme_slot_t again[NVME_DEPTH]; /* of restart: too much for a stack */
} nvme_t;

static nvme_t devs[NVME_DEVS];
static uint32_t n_devs;

static nvme_t *nvme_of(blk_dev_t *d) { return (nvme_t *)(void *)d; }

static bool is_broken(const nvme_t *d)
{
    return gmk_load_acq(&d->blk.broken, GMK_DEV) != 0; /* sync: blk.broken */
}

/* Slots. ------------------------------------------------------------------------------- */

static void free_slot(nvme_t *d, uint16_t s)
{
    d->slot[s].req = NULL;
    d->slot[s].next = d->free_slot;
    d->free_slot = s;
}

static void free_all_slots(nvme_t *d)
{
    d->free_slot = NO_SLOT;
    for (uint32_t i = d->blk.depth; i-- > 0;)
        free_slot(d, (uint16_t)i);
}

static uint32_t id_of(const nvme_t *d, uint32_t s)
{
    return (uint32_t)d->slot[s].sequence << SLOT_BITS | s;
}

/* Ends a request: done is called by the next poll. */
static void end(nvme_t *d, blk_req_t *r, int status)
{
    r->status = (int16_t)status;
    blk_list_add(&d->ready, r);
}

/* No longer used: it cannot write to memory, and every request ends. */
static void give_up(nvme_t *d)
{
    gmk_store_rel(&d->blk.broken, 1, GMK_DEV); /* sync: blk.broken */
    pci_disable(d->c.pci, PCI_CMD_MASTER);
    (void)nvme_ctrl_stop(&d->c); /* at most CAP.TO; it may be gone */
    for (uint16_t i = 0; i < d->blk.depth; i++)
        if (d->slot[i].req != NULL) {
            end(d, d->slot[i].req, BLK_E_BROKEN);
            free_slot(d, i);
        }
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
static void put_pages(nvme_t *d, uint16_t s, nvme_cmd_t *e, const uint64_t *page, uint32_t n)
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

/* Puts a request that blk_check has passed on the queue, in slot s.
 * returns: BLK_OK, or a status to end it with. */
static int put(nvme_t *d, uint16_t s, const blk_req_t *r)
{
    uint64_t page[NVME_PAGES];
    uint64_t block = r->sector >> d->shift;
    uint32_t n = 0;
    nvme_cmd_t *e;

    if (r->op != BLK_FLUSH) {
        n = find_pages(page, r->buf, r->n_sectors * BLK_SECTOR);
        if (n == 0)
            return BLK_E_INVALID;
    }
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
    return BLK_OK;
}

/* One request into a slot. returns: 1: on the queue; 0: no room; negative: a status to end
 * it with. */
static int start(nvme_t *d, blk_req_t *r, uint64_t deadline_ns, bool again)
{
    uint16_t s = d->free_slot;
    int rc;

    if (s == NO_SLOT)
        return 0;
    d->slot[s].sequence++;
    if (d->slot[s].late == (LATE | id_of(d, s))) /* its answer may still come */
        d->slot[s].sequence++;
    rc = put(d, s, r);
    if (rc != BLK_OK)
        return rc;
    d->free_slot = d->slot[s].next;
    d->slot[s].req = r;
    d->slot[s].deadline_ns = deadline_ns;
    d->slot[s].again = again;
    if (deadline_ns < d->blk.due_ns)
        d->blk.due_ns = deadline_ns;
    return 1;
}

static void publish(nvme_t *d)
{
    if (nvme_ring(&d->c.io))
        gmk_count_add(&d->blk.stats.kicks, 1);
}

static uint32_t nvme_submit(blk_dev_t *blk, blk_req_t *const *r, uint32_t n)
{
    nvme_t *d = nvme_of(blk);
    uint64_t now = dev_now_ns();
    uint32_t i;

    for (i = 0; i < n; i++) {
        uint64_t deadline = r[i]->deadline_ns != 0 ? r[i]->deadline_ns : now + BLK_TIMEOUT_NS;
        int rc = blk_check(blk, r[i], now);

        if (rc == BLK_OK && (r[i]->op != BLK_FLUSH || blk->can_flush)) {
            rc = start(d, r[i], deadline, false);
            if (rc == 0)
                break;
        }
        blk_begin(blk, r[i]);
        if (rc <= 0)
            end(d, r[i], rc);
    }
    if (blk->due_ns != BLK_NEVER && blk->due_ns > now + LOOK_NS)
        blk->due_ns = now + LOOK_NS;
    if (!d->polling)
        publish(d);
    return i;
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

    if (s >= d->blk.depth || d->slot[s].late != (LATE | id))
        return false;
    d->slot[s].late = 0;
    gmk_count_add(&d->blk.stats.spurious, 1);
    return true;
}

/* Takes one answer. returns: the request and how it ended; null: there is none, or the
 * device is broken now. */
static blk_req_t *next_answer(nvme_t *d, int *status)
{
    nvme_answer_t a;
    blk_req_t *r;
    uint32_t s;
    int rc;

    do { /* late ones are at most as many as slots */
        rc = nvme_take(&d->c.io, &a);
        if (rc == 0)
            return NULL;
        s = a.id & ((1u << SLOT_BITS) - 1);
    } while (rc > 0 && is_late(d, a.id));
    if (rc < 0 || s >= d->blk.depth || d->slot[s].req == NULL || a.id != id_of(d, s)) {
        gmk_count_add(&d->blk.stats.spurious, 1);
        give_up(d);
        return NULL;
    }
    *status = nvme_status_of(a.status);
    d->fruitless = 0;
    r = d->slot[s].req;
    free_slot(d, (uint16_t)s);
    return r;
}

/* Resets. ------------------------------------------------------------------------------------ */

/* Answers that the device writes into the queue of the generation before. */
static uint32_t skip_old(nvme_t *d)
{
    nvme_answer_t a;
    uint32_t n = 0;

    while (d->old.cq != NULL && n < d->old.cq_n && nvme_take(&d->old, &a) != 0)
        n++;
    return n;
}

static void count_late(nvme_t *d) { gmk_count_add(&d->blk.stats.spurious, skip_old(d)); }

/* Resets and starts with the other memory. Requests must have been taken out before. */
static int restart(nvme_t *d)
{
    int rc;

    gmk_count_add(&d->blk.stats.resets, 1);
    nvme_ctrl_retire(&d->c);
    d->old = d->c.io;
    rc = nvme_ctrl_stop(&d->c);
    if (rc != BLK_OK)
        return rc;
    (void)skip_old(d); /* what it answered before it stopped is not late */
    rc = nvme_ctrl_start(&d->c);
    free_all_slots(d);
    return rc == BLK_OK ? nvme_ctrl_queues(&d->c) : rc;
}

/* Takes all requests out of their slots: those that are late, or have been through a reset
 * before, end; the others stand in d->again. returns: how many those are. */
static uint32_t take_out(nvme_t *d, uint64_t now)
{
    uint32_t n = 0;

    for (uint16_t i = 0; i < d->blk.depth; i++) {
        nvme_slot_t *s = &d->slot[i];

        if (s->req == NULL)
            continue;
        s->late = LATE | id_of(d, i);
        if (s->deadline_ns <= now)
            end(d, s->req, BLK_E_TIMEOUT);
        else if (s->again)
            end(d, s->req, BLK_E_RESET);
        else
            d->again[n++] = *s;
        s->req = NULL;
    }
    return n;
}

/* Resets the controller, for a deadline or because it stopped by itself. */
static void recover(nvme_t *d, uint64_t now)
{
    uint32_t n = take_out(d, now);
    int rc = ++d->fruitless > MAX_FRUITLESS ? BLK_E_BROKEN : restart(d);

    if (rc != BLK_OK)
        give_up(d);
    for (uint32_t i = 0; i < n; i++) {
        blk_req_t *r = d->again[i].req;

        if (rc == BLK_OK && start(d, r, d->again[i].deadline_ns, true) == 1)
            gmk_count_add(&d->blk.stats.requeued, 1);
        else
            end(d, r, rc == BLK_OK ? BLK_E_RESET : BLK_E_BROKEN);
    }
    if (rc == BLK_OK)
        publish(d);
}

static uint64_t first_deadline(const nvme_t *d)
{
    uint64_t due = BLK_NEVER;

    for (uint32_t i = 0; i < d->blk.depth; i++)
        if (d->slot[i].req != NULL && d->slot[i].deadline_ns < due)
            due = d->slot[i].deadline_ns;
    return due;
}

/* Looks at the device's state and the deadlines when it is time to. Answers that are there
 * count before both. pre: not broken. */
static void look(nvme_t *d)
{
    uint64_t now = dev_now_ns();
    enum nvme_health health;
    uint64_t due;
    blk_req_t *r;
    int status;

    count_late(d);
    if (now < d->blk.due_ns)
        return;
    while ((r = next_answer(d, &status)) != NULL)
        end(d, r, status);
    if (is_broken(d))
        return;
    health = nvme_ctrl_health(&d->c);
    if (health == NVME_GONE)
        give_up(d);
    else if (health == NVME_FATAL || first_deadline(d) <= now)
        recover(d, now);
    due = first_deadline(d);
    now = dev_now_ns();
    d->blk.due_ns = due < now + LOOK_NS || due == BLK_NEVER ? due : now + LOOK_NS;
}

/* The rest of the interface. ------------------------------------------------------------------ */

static uint32_t give_ready(nvme_t *d, uint32_t max)
{
    uint32_t n = 0;
    blk_req_t *r;

    while (n < max && (r = blk_list_take(&d->ready)) != NULL) {
        blk_finish(&d->blk, r, r->status);
        n++;
    }
    return n;
}

/* Poll has begun: nobody sleeps. */
static void disarm(nvme_t *d)
{
    uint32_t irqs = gmk_load_acq(&d->irqs, GMK_DEV); /* sync: nvme.irqs */

    if (d->armed && irqs == d->seen_irqs && nvme_pending(&d->c.io) && dev_now_ns() >= d->blk.due_ns)
        gmk_count_add(&d->blk.stats.lost_irqs, 1);
    if (d->armed) {
        d->armed = false;
        d->seen_irqs = irqs;
    } else if (!d->masked && irqs - d->seen_irqs >= MASK_AFTER) {
        nvme_ctrl_mask(&d->c, true);
        d->masked = true;
    }
}

/* Answers, deadlines. returns: how many done calls. */
static uint32_t work(nvme_t *d, uint32_t max)
{
    uint32_t n = 0;
    blk_req_t *r;
    int status;

    disarm(d);
    for (; n < max && (r = next_answer(d, &status)) != NULL; n++)
        blk_finish(&d->blk, r, status);
    if (!is_broken(d) && (n == 0 || ++d->polls % LOOK_EVERY == 0))
        look(d);
    return n;
}

static uint32_t nvme_poll(blk_dev_t *blk, uint32_t max)
{
    nvme_t *d = nvme_of(blk);
    uint32_t n;

    gmk_count_add(&blk->stats.polls, 1);
    d->polling = true;
    n = give_ready(d, max);
    if (!is_broken(d))
        n += work(d, max - n);
    n += give_ready(d, max - n);
    d->polling = false;
    if (!is_broken(d)) {
        /* The queue has room for all that can be in flight and this many more. */
        if (2 * d->c.io.untold > d->c.cq_n - d->c.sq_n)
            nvme_told(&d->c.io);
        publish(d);
    }
    if (blk->inflight == 0)
        blk->due_ns = BLK_NEVER;
    return n;
}

static bool nvme_arm(blk_dev_t *blk)
{
    nvme_t *d = nvme_of(blk);

    if (d->ready.head != NULL)
        return false;
    if (is_broken(d))
        return true;
    nvme_told(&d->c.io);
    d->seen_irqs = gmk_load_acq(&d->irqs, GMK_DEV); /* sync: nvme.irqs */
    d->armed = true;
    if (d->masked) {
        /* What came while it was masked interrupts now. */
        nvme_ctrl_mask(&d->c, false);
        d->masked = false;
    }
    if (!nvme_pending(&d->c.io))
        return true;
    d->armed = false;
    return false;
}

static int nvme_reset(blk_dev_t *blk)
{
    nvme_t *d = nvme_of(blk);
    int rc;

    for (uint16_t i = 0; i < blk->depth; i++)
        if (d->slot[i].req != NULL) {
            d->slot[i].late = LATE | id_of(d, i);
            end(d, d->slot[i].req, BLK_E_RESET);
            d->slot[i].req = NULL;
        }
    rc = restart(d);
    d->fruitless = 0;
    blk->due_ns = BLK_NEVER;
    if (rc == BLK_OK) {
        gmk_store_rel(&blk->broken, 0, GMK_DEV); /* sync: blk.broken */
    } else {
        give_up(d);
        rc = BLK_E_BROKEN;
    }
    return rc;
}

static const blk_ops_t nvme_ops = {
    .submit = nvme_submit, .poll = nvme_poll, .arm = nvme_arm, .reset = nvme_reset};

static void on_interrupt(void *arg)
{
    nvme_t *d = arg;

    gmk_add_ar(&d->irqs, 1, GMK_DEV); /* sync: nvme.irqs */
    blk_irq(&d->blk);
}

/* Setting up a device. ------------------------------------------------------------------------- */

static int fill_in(nvme_t *d)
{
    const nvme_facts_t *f = &d->facts;
    uint32_t most = (NVME_PAGES - 1) * (DEV_PAGE / BLK_SECTOR);

    d->shift = f->block_bits - 9;
    d->blk.capacity = f->blocks << d->shift;
    d->blk.block_bytes = 1u << f->block_bits;
    d->blk.depth = d->c.sq_n - 1;
    d->blk.max_sectors = most;
    if (f->max_pages < most / (DEV_PAGE / BLK_SECTOR))
        d->blk.max_sectors = f->max_pages * (DEV_PAGE / BLK_SECTOR);
    d->blk.read_only = f->read_only;
    d->blk.can_flush = f->cache;
    gmk_hal_memcpy(d->blk.serial, f->serial, sizeof(f->serial));
    free_all_slots(d);
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
    d->blk.has_irq = dev_irq_alloc(on_interrupt, d, 0, &msi) == 0 && nvme_ctrl_use_irq(&d->c, &msi);
    d->masked = d->blk.has_irq;
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
    gmk_hal_memcpy(d->blk.name, "nvme0", sizeof("nvme0"));
    d->blk.name[4] = (char)('0' + n_devs);
    blk_setup(&d->blk, &nvme_ops);
    rc = set_up(d, pci);
    if (rc == BLK_OK)
        rc = blk_register(&d->blk) == 0 ? BLK_OK : BLK_E_UNSUPPORTED;
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
