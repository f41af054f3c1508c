/* SPDX-License-Identifier: MIT
 * The virtio block driver.
 * Floor: drivers. drivers/blk_queue.h keeps the requests; a slot has a header, a status byte and a
 * table of parts in DMA memory. A device that answers what it was not asked, twice, with nonsense
 * or without a status is broken.
 * The ring and the slots' memory exist twice and change places at each reset (a generation), so
 * that what a device still writes into the old ones is seen, counted, and confused with no later
 * request.
 * Source: SPEC BM-36, BM-37; Virtual I/O Device 1.2 sections 2.7, 5.2. */
#include "drivers/virtio/virtio_blk.h"

#include "drivers/blk_queue.h"
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

#define SEGS 33u /* parts of the data: 128 KiB of pages that begin anywhere */
#define HEAD_BYTES 16u
#define ID_BYTES 20u
#define MAX_BLOCK 65536u
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

typedef struct vblk {
    blk_queue_t q; /* first: the ops cast */
    virtio_pci_t v;
    vring_t ring;
    uint64_t features;
    uint32_t size_max, segs, ring_size;
    uint16_t vector;

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
    uint32_t bytes[BLK_QUEUE_DEPTH]; /* of data, by slot */
    uint16_t slot_of[VRING_MAX];     /* of a head */
} vblk_t;

static vblk_t devs[VIRTIO_BLK_DEVS];
static uint32_t n_devs;

static vblk_t *vblk_of(blk_queue_t *q) { return (vblk_t *)(void *)q; }

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
}

/* Hands the ring over. pre: the device was reset and has its features. */
static int hand_over(vblk_t *d)
{
    lay_out(d);
    if (virtio_pci_setup_queue(&d->v, 0, &d->ring, d->vector) != 0)
        return BLK_E_BROKEN;
    vring_quiet(&d->ring);
    virtio_pci_set_status(&d->v, virtio_pci_get_status(&d->v) | VIRTIO_S_DRIVER_OK);
    return BLK_OK;
}

/* With the other memory. */
static int restart(blk_queue_t *q)
{
    vblk_t *d = vblk_of(q);

    d->old_used = d->ring.used;
    d->old_idx = d->ring.last_used;
    if (virtio_pci_reset(&d->v) != 0)
        return BLK_E_BROKEN;
    /* What it answered before it stopped is no late answer. */
    d->old_idx = gmk_load_acq(&d->old_used->idx, GMK_SYS); /* sync: virtio.used */
    virtio_pci_enable_bus_master(&d->v);
    virtio_pci_set_status(&d->v, VIRTIO_S_ACKNOWLEDGE);
    virtio_pci_set_status(&d->v, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER);
    if (virtio_pci_set_features(&d->v, d->features) != 0)
        return BLK_E_BROKEN;
    d->generation++; /* not before: who did not stop may still write into what it had */
    return hand_over(d);
}

static void stop(blk_queue_t *q)
{
    vblk_t *d = vblk_of(q);

    pci_disable(d->v.pci, PCI_CMD_MASTER);
    virtio_pci_set_status(&d->v, 0);
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

static int put(blk_queue_t *q, uint32_t s, const blk_req_t *r)
{
    vblk_t *d = vblk_of(q);
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
    d->slot_of[head] = (uint16_t)s;
    d->bytes[s] = bytes;
    return 1;
}

static void ring_bell(vblk_t *d)
{
    gmk_count_add(&d->q.blk.stats.kicks, 1);
    virtio_pci_notify(&d->v, 0, &d->ring);
}

static void publish(blk_queue_t *q)
{
    vblk_t *d = vblk_of(q);

    if (vring_publish(&d->ring))
        ring_bell(d);
}

/* Answers. --------------------------------------------------------------------------------- */

/* How the request of a slot ended; 1: the answer is nonsense. */
static int judge(const vblk_t *d, uint32_t s, uint32_t len)
{
    const blk_req_t *r = d->q.slot[s].req;
    uint8_t status = gmk_load_rlx(&d->shared[s].status, GMK_SYS); /* relaxed: acquired by idx */

    /* Some legacy devices count the header. */
    if (status == S_NONE || len > HEAD_BYTES + d->bytes[s] + 1)
        return 1;
    if (status == S_UNSUPP)
        return BLK_E_UNSUPPORTED;
    if (status != S_OK || (r->op == BLK_READ && len < d->bytes[s] + 1))
        return BLK_E_DEVICE;
    return BLK_OK;
}

static int take(blk_queue_t *q, int *status)
{
    vblk_t *d = vblk_of(q);
    vring_used_t u;
    int rc = vring_take(&d->ring, &u);
    uint32_t s;

    if (rc <= 0)
        return rc == 0 ? BLK_QUEUE_EMPTY : BLK_QUEUE_NONSENSE;
    s = d->slot_of[u.id];
    *status = judge(d, s, u.len);
    return *status <= 0 ? (int)s : BLK_QUEUE_NONSENSE;
}

static uint32_t look(blk_queue_t *q)
{
    vblk_t *d = vblk_of(q);
    uint16_t idx, late;

    if (vring_overslept(&d->ring))
        ring_bell(d);
    if (d->old_used == NULL)
        return 0;
    idx = gmk_load_acq(&d->old_used->idx, GMK_SYS); /* sync: virtio.used */
    late = (uint16_t)(idx - d->old_idx);
    d->old_idx = idx;
    return late <= d->ring_size ? late : 1;
}

/* Interrupts. --------------------------------------------------------------------------------- */

static void quiet(blk_queue_t *q, uint32_t n_irqs)
{
    (void)n_irqs;
    vring_quiet(&vblk_of(q)->ring);
}

/* Listens, and looks again after a read of the device, which no emulator carries out early: see
 * vring_overslept. */
static bool listen(blk_queue_t *q)
{
    vblk_t *d = vblk_of(q);

    if (!vring_listen(&d->ring))
        return false;
    (void)virtio_pci_get_status(&d->v);
    if (vring_overslept(&d->ring))
        ring_bell(d);
    return !vring_pending(&d->ring);
}

static const blk_queue_ops_t vblk_ops = {.put = put,
                                         .publish = publish,
                                         .publish_early = true,
                                         .take = take,
                                         .quiet = quiet,
                                         .listen = listen,
                                         .look = look,
                                         .restart = restart,
                                         .stop = stop};

/* Setting up a device. ----------------------------------------------------- */

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
    blk_dev_t *b = &d->q.blk;
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

    if (d->v.modern && n > BLK_QUEUE_DEPTH)
        n = BLK_QUEUE_DEPTH; /* a 1.x device takes less than it offers */
    if (n == 0 || n > VRING_MAX || (!indirect && n < 4))
        return BLK_E_UNSUPPORTED;
    d->ring_size = n;
    if (!indirect && d->segs > n - 2)
        d->segs = n - 2;
    if (d->segs < 2) /* one sector may lie on two pages */
        return BLK_E_UNSUPPORTED;
    n = indirect ? n : n / 3;
    blk_queue_size(&d->q, n < BLK_QUEUE_DEPTH ? n : BLK_QUEUE_DEPTH);
    d->q.blk.max_sectors = (d->segs - 1) * (DEV_PAGE / BLK_SECTOR);
    return d->q.blk.max_sectors >= d->q.blk.block_bytes / BLK_SECTOR ? BLK_OK : BLK_E_UNSUPPORTED;
}

static int get_memory(vblk_t *d)
{
    d->area_bytes = vring_bytes(d->ring_size) + d->q.blk.depth * sizeof(vblk_shared_t);
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
    if (dev_irq_alloc(blk_queue_interrupt, &d->q, 0, &msi) == 0 &&
        virtio_pci_use_msix(&d->v, &msi) == 0)
        d->vector = 0;
    d->q.blk.has_irq = d->vector == 0;
}

static void id_done(blk_req_t *r) { *(int *)r->user = r->status; }

/* The serial number; a device may not know it. */
static void read_serial(vblk_t *d)
{
    blk_dev_t *b = &d->q.blk;
    uint32_t text[(ID_BYTES + 3) / 4] = {0};
    int status = 1;
    blk_req_t r = {.op = OP_GET_ID,
                   .buf = text,
                   .done = id_done,
                   .user = &status,
                   .deadline_ns = dev_now_ns() + ID_NS};
    uint32_t n = 0;

    if (blk_queue_start(&d->q, &r, r.deadline_ns) != 1)
        return;
    blk_begin(b, &r);
    publish(&d->q);
    while (status == 1)
        if (b->ops->poll(b, 1) == 0)
            dev_relax();
    for (; status == BLK_OK && n < ID_BYTES; n++) {
        char c = ((const char *)text)[n];

        if (c == '\0')
            break;
        b->serial[n] = c >= ' ' && c <= '~' ? c : '?';
    }
    b->serial[n] = '\0';
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
    blk_queue_init(&d->q, &vblk_ops, "virtio", n_devs);
    rc = set_up(d, pci);
    if (rc == BLK_OK) {
        read_serial(d);
        rc = blk_register(&d->q.blk) == 0 ? BLK_OK : BLK_E_UNSUPPORTED;
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

/* One sector. -------------------------------------------------------------- */

static int one(enum blk_op op, uint64_t sector, void *buf)
{
    if (n_devs == 0)
        return BLK_E_NO_DISK;
    return blk_sync(&devs[0].q.blk, op, sector, 1, buf);
}

int virtio_blk_read(uint64_t sector, void *buf) { return one(BLK_READ, sector, buf); }

/* The cast is safe: the device only reads the buffer of a write. */
int virtio_blk_write(uint64_t sector, const void *buf)
{
    return one(BLK_WRITE, sector, (void *)(uintptr_t)buf);
}

uint64_t virtio_blk_capacity(void) { return n_devs != 0 ? devs[0].q.blk.capacity : 0; }
