/* SPDX-License-Identifier: MIT
 * The virtio block driver.
 * Floor: drivers. Each request in flight has a slot: a header, a status byte and a table of
 * parts in DMA memory. A device that answers what it was not asked, twice, with nonsense or
 * without a status is broken: its bus mastering is taken away and all requests end.
 * On a deadline the device is reset. The ring and the slots' memory exist twice and change
 * places at each reset (a generation), so that what a device still writes into the old ones is
 * seen, counted, and confused with no later request.
 * Source: SPEC BM-36, BM-37; Virtual I/O Device 1.2 sections 2.7, 5.2. */
#include "drivers/virtio/virtio_blk.h"

#include "drivers/drivers.h"

#include "drivers/virtio/virtio.h"

#define F_SIZE_MAX ((uint64_t)1 << 1)
#define F_SEG_MAX ((uint64_t)1 << 2)
#define F_RO ((uint64_t)1 << 5)
#define F_BLK_SIZE ((uint64_t)1 << 6)
#define F_FLUSH ((uint64_t)1 << 9)
#define F_WANTED (F_SIZE_MAX | F_SEG_MAX | F_RO | F_BLK_SIZE | F_FLUSH)

enum { CFG_CAPACITY = 0, CFG_SIZE_MAX = 8, CFG_SEG_MAX = 12, CFG_BLK_SIZE = 20 };
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2, S_NONE = 0xff };

#define DEPTH 256u
#define SEGS 33u /* parts of the data: 128 KiB of pages that begin anywhere */
#define HEAD_BYTES 16u
#define ID_BYTES 20u
#define MAX_BLOCK 65536u
#define MAX_FRUITLESS 8u /* resets without one answer between them */
#define LOOK_EVERY 16u   /* polls of a busy device between two looks at the clock */
#define NO_SLOT 0xffffu
#define ID_NS 500000000ull /* for the serial number, at start */
#define OP_GET_ID 0x100u   /* our own request, beside enum blk_op */

/* What the device sees of a slot. */
typedef struct vblk_shared {
    uint32_t type, reserved;
    uint64_t sector;
    uint8_t status;
    uint8_t pad[15];
    vring_desc_t table[SEGS + 2];
} vblk_shared_t;

GMK_STATIC_ASSERT(sizeof(vblk_shared_t) == 32 + 16 * (SEGS + 2), "tables are aligned to 16");

typedef struct vblk_slot {
    blk_req_t *req; /* null: free */
    uint64_t deadline_ns;
    uint32_t bytes; /* of data */
    uint16_t next;  /* of the free ones */
    bool again;     /* it was in flight when the device was reset */
} vblk_slot_t;

typedef struct vblk {
    blk_dev_t blk; /* first: the ops cast */
    virtio_pci_t v;
    vring_t ring;
    uint64_t features;
    uint32_t size_max, segs, ring_size;
    uint16_t vector;
    bool armed;
    gmk_a32_t irqs; /* since it was armed */
    uint32_t fruitless, polls;

    struct {
        void *mem;
        uint64_t phys;
    } area[2];
    size_t area_bytes;
    uint32_t generation;
    const vring_used_area_t *old_used; /* of the generation before; null: there is none */
    uint16_t old_idx;

    vblk_shared_t *shared;
    uint64_t shared_phys;
    vblk_slot_t slot[DEPTH];
    uint16_t slot_of[VRING_MAX]; /* of a head */
    uint16_t free_slot;
    blk_list_t ready;         /* ended, done not yet called; status is set */
    vblk_slot_t again[DEPTH]; /* of on_timeout: 8 KiB are too much for a stack */
} vblk_t;

static vblk_t devs[VIRTIO_BLK_DEVS];
static uint32_t n_devs;

static vblk_t *vblk_of(blk_dev_t *d) { return (vblk_t *)(void *)d; }

/* sync: blk.broken */
static bool is_broken(const vblk_t *d) { return gmk_load_acq(&d->blk.broken, GMK_DEV) != 0; }

/* Slots. ------------------------------------------------------------------------------- */

static void free_slot(vblk_t *d, uint16_t s)
{
    d->slot[s].req = NULL;
    d->slot[s].next = d->free_slot;
    d->free_slot = s;
}

static void free_all_slots(vblk_t *d)
{
    d->free_slot = NO_SLOT;
    for (uint32_t i = d->blk.depth; i-- > 0;)
        free_slot(d, (uint16_t)i);
}

/* Ends a request: done is called by the next poll. */
static void end(vblk_t *d, blk_req_t *r, int status)
{
    r->status = (int16_t)status;
    blk_list_add(&d->ready, r);
}

/* Starting. ----------------------------------------------------------------------------- */

/* A ring and slots in the memory of this generation. */
static void lay_out(vblk_t *d)
{
    uint32_t i = d->generation & 1;
    size_t ring_bytes = vring_bytes(d->ring_size);

    gmk_hal_memset(d->area[i].mem, 0, d->area_bytes);
    vring_init(&d->ring, d->ring_size, d->area[i].mem, d->area[i].phys);
    d->ring.event_idx = (d->features & VIRTIO_F_EVENT_IDX) != 0;
    d->shared = (void *)((char *)d->area[i].mem + ring_bytes);
    d->shared_phys = d->area[i].phys + ring_bytes;
    free_all_slots(d);
}

/* Hands the ring over. pre: the device was reset and has its features. */
static int hand_over(vblk_t *d)
{
    lay_out(d);
    if (virtio_pci_setup_queue(&d->v, 0, &d->ring, d->vector) != 0)
        return BLK_E_BROKEN;
    vring_quiet(&d->ring);
    d->armed = false;
    virtio_pci_set_status(&d->v, virtio_pci_get_status(&d->v) | VIRTIO_S_DRIVER_OK);
    return BLK_OK;
}

/* Resets and starts with the other memory; the slots' requests must be taken out before. */
static int restart(vblk_t *d)
{
    gmk_count_add(&d->blk.stats.resets, 1);
    d->old_used = d->ring.used;
    d->old_idx = d->ring.last_used;
    d->generation++;
    if (virtio_pci_reset(&d->v) != 0)
        return BLK_E_BROKEN;
    /* What it answered before it stopped is no late answer. */
    d->old_idx = gmk_load_acq(&d->old_used->idx, GMK_SYS); /* sync: virtio.used */
    virtio_pci_enable_bus_master(&d->v);
    virtio_pci_set_status(&d->v, VIRTIO_S_ACKNOWLEDGE);
    virtio_pci_set_status(&d->v, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER);
    if (virtio_pci_set_features(&d->v, d->features) != 0)
        return BLK_E_BROKEN;
    return hand_over(d);
}

/* Answers that the device wrote into the memory of the generation before. */
static void count_late(vblk_t *d)
{
    uint16_t idx, late;

    if (d->old_used == NULL)
        return;
    idx = gmk_load_acq(&d->old_used->idx, GMK_SYS); /* sync: virtio.used */
    late = (uint16_t)(idx - d->old_idx);
    d->old_idx = idx;
    gmk_count_add(&d->blk.stats.spurious, late <= d->ring_size ? late : 1);
}

/* No longer used: it cannot write to memory, and every request ends. */
static void give_up(vblk_t *d)
{
    gmk_store_rel(&d->blk.broken, 1, GMK_DEV); /* sync: blk.broken */
    pci_disable(d->v.pci, PCI_CMD_MASTER);
    virtio_pci_set_status(&d->v, 0);
    for (uint16_t i = 0; i < d->blk.depth; i++)
        if (d->slot[i].req != NULL) {
            end(d, d->slot[i].req, BLK_E_BROKEN);
            free_slot(d, i);
        }
}

/* Submitting. ---------------------------------------------------------------------------- */

/* Adds the pages of n bytes at p, joined where they are neighbours. returns: the number of
 * parts; 0: not mapped, or too many. */
static uint32_t add_pages(const vblk_t *d, vring_seg_t *seg, const char *p, uint32_t n, bool in)
{
    uint32_t k = 0;

    while (n > 0) {
        uint32_t page = DEV_PAGE - (uint32_t)((uintptr_t)p & (DEV_PAGE - 1));
        uint32_t len = n < page ? n : page;
        uint64_t at = dev_phys(p);

        if (at == DEV_NO_PHYS)
            return 0;
        if (k > 0 && seg[k - 1].addr + seg[k - 1].len == at &&
            (uint64_t)seg[k - 1].len + len <= d->size_max) {
            seg[k - 1].len += len;
        } else {
            if (k == d->segs)
                return 0;
            seg[k++] = (vring_seg_t){.addr = at, .len = len, .in = in};
        }
        p += len;
        n -= len;
    }
    return k;
}

static uint32_t type_of(const blk_req_t *r)
{
    switch (r->op) {
    case BLK_READ:
        return T_IN;
    case BLK_WRITE:
        return T_OUT;
    case BLK_FLUSH:
        return T_FLUSH;
    default:
        return T_GET_ID;
    }
}

/* Puts a request that blk_check has passed on the ring, in slot s.
 * returns: 1 on the ring; 0 no room; negative: a status to end it with. */
static int put(vblk_t *d, uint16_t s, blk_req_t *r)
{
    vblk_shared_t *sh = &d->shared[s];
    uint64_t phys = d->shared_phys + (uint64_t)s * sizeof(*sh);
    uint32_t bytes = r->op == OP_GET_ID ? ID_BYTES : r->n_sectors * BLK_SECTOR;
    bool indirect = (d->features & VIRTIO_F_INDIRECT) != 0;
    vring_seg_t seg[SEGS + 2];
    uint32_t n = 0;
    int head;

    if (bytes != 0) {
        n = add_pages(d, seg + 1, r->buf, bytes, r->op != BLK_WRITE);
        if (n == 0)
            return BLK_E_INVALID;
    }
    sh->type = type_of(r);
    sh->sector = r->op == BLK_FLUSH ? 0 : r->sector;
    sh->status = S_NONE;
    seg[0] = (vring_seg_t){.addr = phys, .len = HEAD_BYTES};
    seg[n + 1] =
        (vring_seg_t){.addr = phys + offsetof(vblk_shared_t, status), .len = 1, .in = true};
    head = vring_add(&d->ring, seg, n + 2, indirect ? sh->table : NULL,
                     phys + offsetof(vblk_shared_t, table));
    if (head < 0)
        return 0;
    d->slot_of[head] = s;
    d->slot[s].bytes = bytes;
    return 1;
}

/* One request into a slot. returns: as put. */
static int start(vblk_t *d, blk_req_t *r, uint64_t deadline_ns, bool again)
{
    uint16_t s = d->free_slot;
    int rc;

    if (s == NO_SLOT)
        return 0;
    rc = put(d, s, r);
    if (rc <= 0)
        return rc;
    d->free_slot = d->slot[s].next;
    d->slot[s].req = r;
    d->slot[s].deadline_ns = deadline_ns;
    d->slot[s].again = again;
    if (deadline_ns < d->blk.due_ns)
        d->blk.due_ns = deadline_ns;
    return 1;
}

static void ring_bell(vblk_t *d)
{
    gmk_count_add(&d->blk.stats.kicks, 1);
    virtio_pci_notify(&d->v, 0, &d->ring);
}

static void publish(vblk_t *d)
{
    if (vring_publish(&d->ring))
        ring_bell(d);
}

static uint32_t vblk_submit(blk_dev_t *blk, blk_req_t *const *r, uint32_t n)
{
    vblk_t *d = vblk_of(blk);
    uint64_t now = dev_now_ns();
    uint32_t i;

    for (i = 0; i < n; i++) {
        uint64_t deadline = r[i]->deadline_ns != 0 ? r[i]->deadline_ns : now + BLK_TIMEOUT_NS;
        int rc = r[i]->op == OP_GET_ID ? BLK_OK : blk_check(blk, r[i], now);

        if (rc == BLK_OK && (r[i]->op != BLK_FLUSH || blk->can_flush)) {
            rc = start(d, r[i], deadline, false);
            if (rc == 0)
                break;
        }
        blk_begin(blk, r[i]);
        if (rc <= 0)
            end(d, r[i], rc);
    }
    publish(d);
    return i;
}

/* Answers. --------------------------------------------------------------------------------- */

/* How a request ended; 1: the answer is nonsense. */
static int judge(const vblk_t *d, uint16_t s, uint32_t len)
{
    const vblk_slot_t *slot = &d->slot[s];
    uint8_t status = gmk_load_rlx(&d->shared[s].status, GMK_SYS); /* relaxed: acquired by idx */

    /* Some legacy devices count the header. */
    if (status == S_NONE || len > HEAD_BYTES + slot->bytes + 1)
        return 1;
    if (status == S_UNSUPP)
        return BLK_E_UNSUPPORTED;
    if (status != S_OK || (slot->req->op == BLK_READ && len < slot->bytes + 1))
        return BLK_E_DEVICE;
    return BLK_OK;
}

/* Takes one answer off the ring. returns: the request and how it ended; null: there is
 * none, or the device is broken now. */
static blk_req_t *next_answer(vblk_t *d, int *status)
{
    vring_used_t u;
    blk_req_t *r;
    uint16_t s;
    int rc = vring_take(&d->ring, &u);

    if (rc == 0)
        return NULL;
    s = rc > 0 ? d->slot_of[u.id] : NO_SLOT;
    *status = s != NO_SLOT ? judge(d, s, u.len) : 1;
    if (*status > 0) {
        gmk_count_add(&d->blk.stats.spurious, 1);
        give_up(d);
        return NULL;
    }
    d->fruitless = 0;
    r = d->slot[s].req;
    free_slot(d, s);
    return r;
}

/* Deadlines. --------------------------------------------------------------------------------- */

/* Takes all requests out of their slots: those that are late or have been through a reset
 * before end, the others stand in d->again. returns: how many those are. */
static uint32_t take_out(vblk_t *d, uint64_t now)
{
    uint32_t n = 0;

    for (uint16_t i = 0; i < d->blk.depth; i++) {
        vblk_slot_t *s = &d->slot[i];

        if (s->req == NULL)
            continue;
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

/* A deadline has passed. */
static void on_timeout(vblk_t *d, uint64_t now)
{
    uint32_t n = take_out(d, now);
    int rc = ++d->fruitless > MAX_FRUITLESS ? BLK_E_BROKEN : restart(d);

    d->blk.due_ns = BLK_NEVER;
    if (rc != BLK_OK)
        give_up(d);
    for (uint32_t i = 0; i < n; i++) {
        blk_req_t *r = d->again[i].req;

        if (rc == BLK_OK && start(d, r, d->again[i].deadline_ns, true) == 1)
            gmk_count_add(&d->blk.stats.requeued, 1);
        else
            end(d, r, rc == BLK_OK ? BLK_E_RESET : rc);
    }
    if (rc == BLK_OK)
        publish(d);
}

static uint64_t next_deadline(const vblk_t *d)
{
    uint64_t due = BLK_NEVER;

    for (uint32_t i = 0; i < d->blk.depth; i++)
        if (d->slot[i].req != NULL && d->slot[i].deadline_ns < due)
            due = d->slot[i].deadline_ns;
    return due;
}

/* Finds the next deadline, and acts on one that has passed. Answers that are there already
 * count: poll may have reached its limit before them. */
static void look_at_time(vblk_t *d)
{
    uint64_t now = dev_now_ns();
    blk_req_t *r;
    int status;

    count_late(d);
    if (now < d->blk.due_ns)
        return;
    d->blk.due_ns = next_deadline(d);
    if (d->blk.due_ns > now)
        return;
    while ((r = next_answer(d, &status)) != NULL)
        end(d, r, status);
    if (is_broken(d))
        return;
    d->blk.due_ns = next_deadline(d);
    if (d->blk.due_ns <= now)
        on_timeout(d, now);
}

/* The rest of the interface. ------------------------------------------------------------------ */

static uint32_t give_ready(vblk_t *d, uint32_t max)
{
    uint32_t n = 0;
    blk_req_t *r;

    while (n < max && (r = blk_list_take(&d->ready)) != NULL) {
        blk_finish(&d->blk, r, r->status);
        n++;
    }
    return n;
}

/* Interrupts are off while answers are looked for. */
static void disarm(vblk_t *d, bool found)
{
    if (d->armed && found && gmk_load_acq(&d->irqs, GMK_DEV) == 0 && /* sync: virtio.irqs */
        dev_now_ns() >= d->blk.due_ns)
        gmk_count_add(&d->blk.stats.lost_irqs, 1);
    d->armed = false;
    vring_quiet(&d->ring);
}

static uint32_t vblk_poll(blk_dev_t *blk, uint32_t max)
{
    vblk_t *d = vblk_of(blk);
    bool live = !is_broken(d);
    uint32_t n = give_ready(d, max);
    blk_req_t *r;
    int status;

    gmk_count_add(&blk->stats.polls, 1);
    if (live) {
        disarm(d, vring_pending(&d->ring));
        for (; n < max && (r = next_answer(d, &status)) != NULL; n++)
            blk_finish(blk, r, status);
        if (!is_broken(d) && (n == 0 || ++d->polls % LOOK_EVERY == 0))
            look_at_time(d);
        if (n == 0 && !is_broken(d) && vring_overslept(&d->ring))
            ring_bell(d);
        n += give_ready(d, max - n);
    }
    if (blk->inflight == 0)
        blk->due_ns = BLK_NEVER;
    return n;
}

/* Listens, and looks again after a read of the device, which no emulator carries out early: see
 * vring_overslept. returns: false: there is an answer already. */
static bool listen_well(vblk_t *d)
{
    if (!vring_listen(&d->ring))
        return false;
    (void)virtio_pci_get_status(&d->v);
    if (vring_overslept(&d->ring))
        ring_bell(d);
    return !vring_pending(&d->ring);
}

static bool vblk_arm(blk_dev_t *blk)
{
    vblk_t *d = vblk_of(blk);

    if (d->ready.head != NULL)
        return false;
    if (is_broken(d))
        return true;
    gmk_store_rel(&d->irqs, 0, GMK_DEV); /* sync: virtio.irqs */
    d->armed = true;
    if (listen_well(d))
        return true;
    d->armed = false;
    vring_quiet(&d->ring);
    return false;
}

static int vblk_reset(blk_dev_t *blk)
{
    vblk_t *d = vblk_of(blk);
    int rc;

    for (uint16_t i = 0; i < blk->depth; i++)
        if (d->slot[i].req != NULL) {
            end(d, d->slot[i].req, BLK_E_RESET);
            d->slot[i].req = NULL;
        }
    rc = restart(d);
    d->fruitless = 0;
    blk->due_ns = BLK_NEVER;
    if (rc == BLK_OK)
        gmk_store_rel(&blk->broken, 0, GMK_DEV); /* sync: blk.broken */
    else
        give_up(d);
    return rc;
}

static const blk_ops_t vblk_ops = {
    .submit = vblk_submit, .poll = vblk_poll, .arm = vblk_arm, .reset = vblk_reset};

static void on_interrupt(void *arg)
{
    vblk_t *d = arg;

    gmk_add_ar(&d->irqs, 1, GMK_DEV); /* sync: virtio.irqs */
    blk_irq(&d->blk);
}

/* Setting up a device. ---------------------------------------------------------------------------
 */

static int agree(vblk_t *d)
{
    uint64_t offered = virtio_pci_get_features(&d->v);

    d->features = offered & (F_WANTED | VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_IDX);
    if (d->v.modern) {
        if ((offered & VIRTIO_F_VERSION_1) == 0)
            return BLK_E_BROKEN;
        d->features |= VIRTIO_F_VERSION_1;
    }
    return virtio_pci_set_features(&d->v, d->features) == 0 ? BLK_OK : BLK_E_BROKEN;
}

/* What the device says of itself. returns: BLK_OK, BLK_E_UNSUPPORTED. */
static int read_limits(vblk_t *d)
{
    blk_dev_t *b = &d->blk;
    uint32_t n;

    b->capacity = virtio_pci_cfg_read64(&d->v, CFG_CAPACITY);
    b->read_only = (d->features & F_RO) != 0;
    b->can_flush = (d->features & F_FLUSH) != 0;
    b->block_bytes = BLK_SECTOR;
    if ((d->features & F_BLK_SIZE) != 0)
        b->block_bytes = virtio_pci_cfg_read32(&d->v, CFG_BLK_SIZE);
    d->size_max = UINT32_MAX;
    if ((d->features & F_SIZE_MAX) != 0)
        d->size_max = virtio_pci_cfg_read32(&d->v, CFG_SIZE_MAX);
    d->segs = SEGS;
    if ((d->features & F_SEG_MAX) != 0) {
        n = virtio_pci_cfg_read32(&d->v, CFG_SEG_MAX);
        d->segs = n < SEGS ? n : SEGS;
    }
    if (b->block_bytes < BLK_SECTOR || b->block_bytes > MAX_BLOCK ||
        (b->block_bytes & (b->block_bytes - 1)) != 0 || d->size_max < DEV_PAGE)
        return BLK_E_UNSUPPORTED;
    return BLK_OK;
}

/* How many requests, how long. */
static int choose_sizes(vblk_t *d)
{
    bool indirect = (d->features & VIRTIO_F_INDIRECT) != 0;
    uint32_t n = virtio_pci_queue_size(&d->v, 0);

    if (d->v.modern && n > DEPTH)
        n = DEPTH; /* a 1.x device takes less than it offers */
    if (n == 0 || n > VRING_MAX || (!indirect && n < 4))
        return BLK_E_UNSUPPORTED;
    d->ring_size = n;
    if (!indirect && d->segs > n - 2)
        d->segs = n - 2;
    if (d->segs < 2) /* one sector may lie on two pages */
        return BLK_E_UNSUPPORTED;
    n = indirect ? n : n / 3;
    d->blk.depth = n < DEPTH ? n : DEPTH;
    d->blk.max_sectors = (d->segs - 1) * (DEV_PAGE / BLK_SECTOR);
    return d->blk.max_sectors >= d->blk.block_bytes / BLK_SECTOR ? BLK_OK : BLK_E_UNSUPPORTED;
}

static int get_memory(vblk_t *d)
{
    d->area_bytes = vring_bytes(d->ring_size) + d->blk.depth * sizeof(vblk_shared_t);
    for (uint32_t i = 0; i < 2; i++) {
        d->area[i].mem = dev_dma_alloc(d->area_bytes, &d->area[i].phys);
        if (d->area[i].mem == NULL)
            return BLK_E_MEMORY;
    }
    return BLK_OK;
}

/* Without MSI-X the device is polled. */
static void get_interrupt(vblk_t *d)
{
    dev_msi_t msi;

    d->vector = VIRTIO_NO_VECTOR;
    if (dev_irq_alloc(on_interrupt, d, 0, &msi) == 0 && virtio_pci_use_msix(&d->v, &msi) == 0)
        d->vector = 0;
    d->blk.has_irq = d->vector == 0;
}

static void id_done(blk_req_t *r) { *(int *)r->user = r->status; }

/* The serial number; a device may not know it. */
static void read_serial(vblk_t *d)
{
    uint32_t text[(ID_BYTES + 3) / 4] = {0};
    int status = 1;
    blk_req_t r = {.op = OP_GET_ID,
                   .buf = text,
                   .done = id_done,
                   .user = &status,
                   .deadline_ns = dev_now_ns() + ID_NS};
    blk_req_t *list = &r;
    uint32_t n = 0;

    if (vblk_submit(&d->blk, &list, 1) == 0)
        return;
    while (status == 1)
        if (vblk_poll(&d->blk, 1) == 0)
            dev_relax();
    for (; status == BLK_OK && n < ID_BYTES; n++) {
        char c = ((const char *)text)[n];

        if (c == '\0')
            break;
        d->blk.serial[n] = c >= ' ' && c <= '~' ? c : '?';
    }
    d->blk.serial[n] = '\0';
}

static int set_up(vblk_t *d, const pci_device_t *pci)
{
    int rc;

    if (virtio_pci_init(&d->v, pci) != 0)
        return BLK_E_BROKEN;
    get_interrupt(d);
    rc = agree(d);
    if (rc == BLK_OK)
        rc = read_limits(d);
    if (rc == BLK_OK)
        rc = choose_sizes(d);
    if (rc == BLK_OK)
        rc = get_memory(d);
    if (rc == BLK_OK)
        rc = hand_over(d);
    if (rc != BLK_OK)
        virtio_pci_set_status(&d->v, VIRTIO_S_FAILED);
    return rc;
}

static void tear_down(vblk_t *d)
{
    if (d->v.pci != NULL)
        pci_disable(d->v.pci, PCI_CMD_MASTER);
    for (uint32_t i = 0; i < 2; i++)
        dev_dma_free(d->area[i].mem, d->area_bytes);
    d->area[0].mem = d->area[1].mem = NULL;
}

int virtio_blk_init(const pci_device_t *pci)
{
    vblk_t *d = &devs[n_devs];
    int rc;

    if (pci == NULL || pci->vendor_id != VIRTIO_VENDOR ||
        (pci->device_id != VIRTIO_BLK_LEGACY && pci->device_id != VIRTIO_BLK_MODERN))
        return BLK_E_NO_DISK;
    if (n_devs == VIRTIO_BLK_DEVS)
        return BLK_E_UNSUPPORTED;
    gmk_hal_memset(d, 0, sizeof(*d));
    gmk_hal_memcpy(d->blk.name, "virtio0", sizeof("virtio0"));
    d->blk.name[6] = (char)('0' + n_devs);
    blk_setup(&d->blk, &vblk_ops);
    rc = set_up(d, pci);
    if (rc == BLK_OK) {
        read_serial(d);
        rc = blk_register(&d->blk) == 0 ? BLK_OK : BLK_E_UNSUPPORTED;
    }
    if (rc == BLK_OK)
        n_devs++;
    else
        tear_down(d);
    return rc;
}

int drv_virtio_blk_probe(const pci_device_t *dev)
{
    int rc = virtio_blk_init(dev);

    return rc == BLK_E_NO_DISK ? (int)DRV_NOT_MINE : rc;
}

void virtio_blk_forget_all(void)
{
    for (uint32_t i = 0; i < n_devs; i++)
        tear_down(&devs[i]);
    n_devs = 0;
}

/* One sector. -------------------------------------------------------------------------------------
 */

static int one(enum blk_op op, uint64_t sector, void *buf)
{
    if (n_devs == 0)
        return BLK_E_NO_DISK;
    return blk_sync(&devs[0].blk, op, sector, 1, buf);
}

int virtio_blk_read(uint64_t sector, void *buf) { return one(BLK_READ, sector, buf); }

/* The cast is safe: the device only reads the buffer of a write. */
int virtio_blk_write(uint64_t sector, const void *buf)
{
    return one(BLK_WRITE, sector, (void *)(uintptr_t)buf);
}

uint64_t virtio_blk_capacity(void) { return n_devs != 0 ? devs[0].blk.capacity : 0; }
