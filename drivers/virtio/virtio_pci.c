/* SPDX-License-Identifier: MIT
 * The two PCI transports of virtio.
 * Floor: drivers. Source: SPEC BM-34, BM-35; Virtual I/O Device 1.2 sections 4.1.3, 4.1.4, 4.1.5.
 */
#include "drivers/virtio/virtio.h"

/* Legacy registers; the device's configuration follows them, after two vector words while
 * MSI-X is on. */
enum {
    IO_FEATURES = 0,
    IO_GUEST_FEATURES = 4,
    IO_QUEUE_PFN = 8,
    IO_QUEUE_SIZE = 12,
    IO_QUEUE_SELECT = 14,
    IO_QUEUE_NOTIFY = 16,
    IO_STATUS = 18,
    IO_ISR = 19,
    IO_QUEUE_VECTOR = 22,
    IO_CONFIG = 20,
    IO_CONFIG_MSIX = 24
};

/* The common structure of 1.x. */
enum {
    C_FEATURE_SELECT = 0,
    C_FEATURE = 4,
    C_GUEST_SELECT = 8,
    C_GUEST_FEATURE = 12,
    C_STATUS = 20,
    C_GENERATION = 21,
    C_QUEUE_SELECT = 22,
    C_QUEUE_SIZE = 24,
    C_QUEUE_VECTOR = 26,
    C_QUEUE_ENABLE = 28,
    C_QUEUE_NOTIFY_OFF = 30,
    C_QUEUE_DESC = 32,
    C_QUEUE_AVAIL = 40,
    C_QUEUE_USED = 48,
    C_BYTES = 56
};

enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4 };
#define CAP_BYTES 16u
#define MAX_CFG_BYTES 4096u
#define RESET_NS 100000000ull
#define RESET_LOOKS 1000000u
#define MAX_REREADS 8u

/* Finding it. ------------------------------------------------------------------------- */

/* The bytes that a vendor capability names, mapped; at least `least` of them, at most most.
 * returns: null: there is none that fits. */
static volatile uint8_t *map_cap(const pci_device_t *d, uint8_t type, uint32_t least,
                                 uint32_t *bytes, uint32_t *where)
{
    uint32_t at = pci_find_cap(d, PCI_CAP_VENDOR, 0);

    /* The first usable one counts; the bound is pci_find_cap's, once more against loops. */
    for (uint32_t i = 0; at != 0 && i < 48; i++, at = pci_find_cap(d, PCI_CAP_VENDOR, at)) {
        volatile uint8_t *p;
        uint32_t n;

        if (at > 256 - CAP_BYTES - 4 || pci_cfg_read8(d, at + 3) != type)
            continue;
        n = pci_cfg_read32(d, at + 12);
        if (n < least)
            continue;
        n = n < *bytes ? n : *bytes;
        p = pci_map_bar(d, pci_cfg_read8(d, at + 4), pci_cfg_read32(d, at + 8), n);
        if (p != NULL) {
            *bytes = n;
            *where = at;
            return p;
        }
    }
    return NULL;
}

static bool find_modern(virtio_pci_t *v)
{
    uint32_t bytes = C_BYTES;
    uint32_t at;

    v->common = map_cap(v->pci, CAP_COMMON, C_BYTES, &bytes, &at);
    if (v->common == NULL)
        return false;
    v->cfg_bytes = MAX_CFG_BYTES;
    v->cfg = map_cap(v->pci, CAP_DEVICE, 8, &v->cfg_bytes, &at);
    bytes = 1;
    v->isr = map_cap(v->pci, CAP_ISR, 1, &bytes, &at);
    v->notify_bytes = 1u << 20;
    v->notify = map_cap(v->pci, CAP_NOTIFY, 2, &v->notify_bytes, &at);
    if (v->cfg == NULL || v->isr == NULL || v->notify == NULL)
        return false;
    v->notify_unit = pci_cfg_read32(v->pci, at + CAP_BYTES);
    return true;
}

static bool find_legacy(virtio_pci_t *v)
{
    const pci_device_t *d = v->pci;

    /* Revision 0 marks a device that has the legacy registers. */
    if (d->revision != 0 || d->bar_kind[0] != PCI_BAR_IO || d->bar_bytes[0] < IO_CONFIG_MSIX + 8 ||
        d->bar_base[0] == 0 || d->bar_base[0] + d->bar_bytes[0] > 0x10000)
        return false;
    v->io = (uint16_t)d->bar_base[0];
    v->io_bytes = (uint32_t)d->bar_bytes[0];
    return true;
}

void virtio_pci_enable_bus_master(const virtio_pci_t *v) { pci_enable(v->pci, PCI_CMD_MASTER); }

int virtio_pci_init(virtio_pci_t *v, const pci_device_t *pci)
{
    *v = (virtio_pci_t){.pci = pci};
    if (pci == NULL || pci->vendor_id != VIRTIO_VENDOR || pci->header_type != 0)
        return -1;
    pci_enable(pci, PCI_CMD_IO | PCI_CMD_MEMORY);
    v->modern = find_modern(v);
    if (!v->modern && !find_legacy(v))
        return -1;
    if (virtio_pci_reset(v) != 0)
        return -1;
    virtio_pci_enable_bus_master(v);
    virtio_pci_set_status(v, VIRTIO_S_ACKNOWLEDGE);
    virtio_pci_set_status(v, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER);
    return 0;
}

/* Status and features. ---------------------------------------------------------------- */

uint8_t virtio_pci_get_status(const virtio_pci_t *v)
{
    return v->modern ? dev_read8(v->common + C_STATUS) : dev_in8((uint16_t)(v->io + IO_STATUS));
}

void virtio_pci_set_status(const virtio_pci_t *v, uint8_t status)
{
    if (v->modern)
        dev_write8(v->common + C_STATUS, status);
    else
        dev_out8((uint16_t)(v->io + IO_STATUS), status);
}

/* Bounded by looks too, since a clock may stand still. */
int virtio_pci_reset(virtio_pci_t *v)
{
    uint64_t end = dev_now_ns() + RESET_NS;

    virtio_pci_set_status(v, 0);
    for (uint32_t i = 0; i < RESET_LOOKS; i++) {
        if (virtio_pci_get_status(v) == 0)
            return 0;
        if (dev_now_ns() > end)
            return -1;
        dev_relax();
    }
    return -1;
}

uint64_t virtio_pci_get_features(const virtio_pci_t *v)
{
    uint64_t f;

    if (!v->modern)
        return dev_in32((uint16_t)(v->io + IO_FEATURES));
    dev_write32(v->common + C_FEATURE_SELECT, 0);
    f = dev_read32(v->common + C_FEATURE);
    dev_write32(v->common + C_FEATURE_SELECT, 1);
    return f | (uint64_t)dev_read32(v->common + C_FEATURE) << 32;
}

int virtio_pci_set_features(const virtio_pci_t *v, uint64_t features)
{
    uint8_t status = VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER;

    if (!v->modern) {
        dev_out32((uint16_t)(v->io + IO_GUEST_FEATURES), (uint32_t)features);
        return 0;
    }
    dev_write32(v->common + C_GUEST_SELECT, 0);
    dev_write32(v->common + C_GUEST_FEATURE, (uint32_t)features);
    dev_write32(v->common + C_GUEST_SELECT, 1);
    dev_write32(v->common + C_GUEST_FEATURE, (uint32_t)(features >> 32));
    virtio_pci_set_status(v, status | VIRTIO_S_FEATURES_OK);
    return (virtio_pci_get_status(v) & VIRTIO_S_FEATURES_OK) != 0 ? 0 : -1;
}

/* Queues. -------------------------------------------------------------------------------- */

static uint32_t sane_size(uint32_t n) { return n <= 32768 && (n & (n - 1)) == 0 ? n : 0; }

uint32_t virtio_pci_queue_size(const virtio_pci_t *v, uint16_t queue)
{
    if (v->modern) {
        dev_write16(v->common + C_QUEUE_SELECT, queue);
        return sane_size(dev_read16(v->common + C_QUEUE_SIZE));
    }
    dev_out16((uint16_t)(v->io + IO_QUEUE_SELECT), queue);
    return sane_size(dev_in16((uint16_t)(v->io + IO_QUEUE_SIZE)));
}

static void write64(volatile uint8_t *at, uint64_t x)
{
    dev_write32(at, (uint32_t)x);
    dev_write32(at + 4, (uint32_t)(x >> 32));
}

static int setup_modern(const virtio_pci_t *v, uint16_t queue, vring_t *r, uint16_t vector)
{
    volatile uint8_t *c = v->common;
    uint64_t bell;

    dev_write16(c + C_QUEUE_SELECT, queue);
    dev_write16(c + C_QUEUE_SIZE, r->size);
    write64(c + C_QUEUE_DESC, r->desc_phys);
    write64(c + C_QUEUE_AVAIL, r->avail_phys);
    write64(c + C_QUEUE_USED, r->used_phys);
    dev_write16(c + C_QUEUE_VECTOR, vector);
    if (dev_read16(c + C_QUEUE_SIZE) != r->size || dev_read16(c + C_QUEUE_VECTOR) != vector)
        return -1;
    bell = (uint64_t)dev_read16(c + C_QUEUE_NOTIFY_OFF) * v->notify_unit;
    if (bell + 2 > v->notify_bytes || bell % 2 != 0)
        return -1;
    r->bell = v->notify + bell;
    dev_write16(c + C_QUEUE_ENABLE, 1);
    return 0;
}

static int setup_legacy(const virtio_pci_t *v, uint16_t queue, const vring_t *r, uint16_t vector)
{
    uint64_t pfn = r->desc_phys / DEV_PAGE;

    dev_out16((uint16_t)(v->io + IO_QUEUE_SELECT), queue);
    if (dev_in16((uint16_t)(v->io + IO_QUEUE_SIZE)) != r->size || pfn > UINT32_MAX)
        return -1;
    dev_out32((uint16_t)(v->io + IO_QUEUE_PFN), (uint32_t)pfn);
    if (!v->msix_on)
        return vector == VIRTIO_NO_VECTOR ? 0 : -1;
    dev_out16((uint16_t)(v->io + IO_QUEUE_VECTOR), vector);
    return dev_in16((uint16_t)(v->io + IO_QUEUE_VECTOR)) == vector ? 0 : -1;
}

int virtio_pci_setup_queue(const virtio_pci_t *v, uint16_t queue, vring_t *r, uint16_t vector)
{
    return v->modern ? setup_modern(v, queue, r, vector) : setup_legacy(v, queue, r, vector);
}

void virtio_pci_notify(const virtio_pci_t *v, uint16_t queue, const vring_t *r)
{
    if (v->modern)
        dev_write16(r->bell, queue);
    else
        dev_out16((uint16_t)(v->io + IO_QUEUE_NOTIFY), queue);
}

int virtio_pci_use_msix(virtio_pci_t *v, const dev_msi_t *msi)
{
    if (pci_msix_open(&v->msix, v->pci) != 0 || pci_msix_set(&v->msix, 0, msi) != 0)
        return -1;
    pci_msix_enable(&v->msix, true);
    v->msix_on = true;
    return 0;
}

/* Configuration. -------------------------------------------------------------------------- */

/* Where a legacy device has byte `offset` of its configuration; 0: nowhere. */
static uint16_t port_of(const virtio_pci_t *v, uint32_t offset, uint32_t bytes)
{
    uint32_t at = (v->msix_on ? IO_CONFIG_MSIX : IO_CONFIG) + offset;

    return offset < MAX_CFG_BYTES && at + bytes <= v->io_bytes ? (uint16_t)(v->io + at) : 0;
}

static bool has_cfg(const virtio_pci_t *v, uint32_t offset, uint32_t bytes)
{
    return offset <= v->cfg_bytes && bytes <= v->cfg_bytes - offset;
}

uint8_t virtio_pci_cfg_read8(const virtio_pci_t *v, uint32_t offset)
{
    uint16_t port;

    if (v->modern)
        return has_cfg(v, offset, 1) ? dev_read8(v->cfg + offset) : 0;
    port = port_of(v, offset, 1);
    return port != 0 ? dev_in8(port) : 0;
}

uint16_t virtio_pci_cfg_read16(const virtio_pci_t *v, uint32_t offset)
{
    uint16_t port;

    if (v->modern)
        return has_cfg(v, offset, 2) ? dev_read16(v->cfg + offset) : 0;
    port = port_of(v, offset, 2);
    return port != 0 ? dev_in16(port) : 0;
}

uint32_t virtio_pci_cfg_read32(const virtio_pci_t *v, uint32_t offset)
{
    uint16_t port;

    if (v->modern)
        return has_cfg(v, offset, 4) ? dev_read32(v->cfg + offset) : 0;
    port = port_of(v, offset, 4);
    return port != 0 ? dev_in32(port) : 0;
}

uint64_t virtio_pci_cfg_read64(const virtio_pci_t *v, uint32_t offset)
{
    uint64_t x = 0;

    for (uint32_t i = 0; i < MAX_REREADS; i++) {
        uint8_t before = v->modern ? dev_read8(v->common + C_GENERATION) : 0;
        uint64_t high = virtio_pci_cfg_read32(v, offset + 4);

        x = high << 32 | virtio_pci_cfg_read32(v, offset);
        if (v->modern ? dev_read8(v->common + C_GENERATION) == before
                      : virtio_pci_cfg_read32(v, offset + 4) == high)
            break;
    }
    return x;
}

uint8_t virtio_pci_isr_status(const virtio_pci_t *v)
{
    return v->modern ? dev_read8(v->isr) : dev_in8((uint16_t)(v->io + IO_ISR));
}
