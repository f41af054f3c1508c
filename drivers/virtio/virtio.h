/* SPDX-License-Identifier: MIT
 * Virtio over PCI: the legacy transport (0.9.5) in an I/O BAR, the 1.x transport in memory
 * BARs, and one split virtqueue for both.
 * Floor: drivers. Threads: a device's owner alone; virtio_pci_isr_status interrupts too.
 * Nothing that a device can write is read but the used ring, and each word of that is
 * checked; chains and indices are kept in private copies.
 * Source: SPEC BM-34, BM-35; Virtual I/O Device 1.2 sections 2.7, 3.1, 4.1. */
#ifndef DRIVERS_VIRTIO_VIRTIO_H
#define DRIVERS_VIRTIO_VIRTIO_H

#include "drivers/pci/pci.h"

#define VIRTIO_VENDOR 0x1af4u

/* Status. */
#define VIRTIO_S_ACKNOWLEDGE 1u
#define VIRTIO_S_DRIVER 2u
#define VIRTIO_S_DRIVER_OK 4u
#define VIRTIO_S_FEATURES_OK 8u
#define VIRTIO_S_NEEDS_RESET 64u
#define VIRTIO_S_FAILED 128u

/* Features of any device, as bits. */
#define VIRTIO_F_INDIRECT ((uint64_t)1 << 28)
#define VIRTIO_F_EVENT_IDX ((uint64_t)1 << 29)
#define VIRTIO_F_VERSION_1 ((uint64_t)1 << 32)

#define VIRTIO_NO_VECTOR 0xffffu

/* The virtqueue. ----------------------------------------------------------------- */

#define VRING_MAX 1024u /* descriptors of a ring; what QEMU allows at most */

typedef struct vring_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
} vring_desc_t;

/* A part of a request; in: the device writes it. */
typedef struct vring_seg {
    uint64_t addr;
    uint32_t len;
    bool in;
} vring_seg_t;

/* An answer of the device. */
typedef struct vring_used {
    uint32_t id, len;
} vring_used_t;

typedef struct vring_avail_area {
    uint16_t flags, idx, ring[];
} vring_avail_area_t;

typedef struct vring_used_area {
    uint16_t flags, idx;
    vring_used_t ring[];
} vring_used_area_t;

typedef struct vring {
    uint16_t size; /* a power of two, at most VRING_MAX */
    bool event_idx;
    bool quiet;         /* no interrupts are wanted */
    uint16_t avail_idx; /* of what is written, published or not */
    uint16_t published;
    uint16_t rung; /* what was published when the device was last told */
    uint16_t last_used; /* taken up to here */
    uint16_t seen_used; /* what the device had published when last read */
    uint16_t free_head, n_free;
    uint16_t n_chains; /* with the device */
    uint64_t desc_phys, avail_phys, used_phys;
    vring_desc_t *desc;
    vring_avail_area_t *avail;
    vring_used_area_t *used;
    volatile uint8_t *bell;    /* 1.x: where to write the queue's number */
    uint16_t next[VRING_MAX];  /* of free and used descriptors; private */
    uint16_t chain[VRING_MAX]; /* of a head: descriptors in its chain; 0: not with the device */
} vring_t;

/* Bytes of DMA memory for a ring, in the layout of the legacy transport. */
size_t vring_bytes(uint32_t size);

/* Sets up an empty ring. pre: size is a power of two, 1..VRING_MAX; mem is zeroed. */
void vring_init(vring_t *r, uint32_t size, void *mem, uint64_t phys);

/* Adds a chain of n parts, those that the device writes last; with a table (n entries of
 * DMA memory at table_phys) it takes one descriptor. Seen by the device after
 * vring_publish. returns: the head, its identifier; -1: not enough descriptors. */
int vring_add(vring_t *r, const vring_seg_t *seg, uint32_t n, vring_desc_t *table,
              uint64_t table_phys);

/* Shows the device what was added. returns: it wants to be told (virtio_pci_notify). */
bool vring_publish(vring_t *r);

/* For a driver that polls in vain: whether the device sleeps although something is published,
 * and wants to be told after all. An emulator with one processor may leave out the barrier of
 * a locked instruction (QEMU 7.2: tcg_gen_mb), so that the look after vring_publish comes too
 * early. */
bool vring_overslept(vring_t *r);

/* Takes one answer and gives its descriptors back. returns: 1: *out is one, out->id is the
 * head of a chain that was with the device; 0: there is none; -1: the device published
 * more answers than it has chains, or one for no chain. */
int vring_take(vring_t *r, vring_used_t *out);

/* Whether vring_take would find something. */
bool vring_pending(vring_t *r);

/* No interrupts, please; a hint. */
void vring_quiet(vring_t *r);
/* Interrupt at the next answer. returns: false: there is one already. */
bool vring_listen(vring_t *r);

/* The transport. ------------------------------------------------------------------- */

typedef struct virtio_pci {
    const pci_device_t *pci;
    bool modern;
    bool msix_on;
    pci_msix_t msix;
    uint16_t io; /* legacy: base port */
    uint32_t io_bytes;
    volatile uint8_t *common, *notify, *isr, *cfg; /* 1.x */
    uint32_t notify_unit, notify_bytes, cfg_bytes;
} virtio_pci_t;

/* Finds the transport (1.x where both are there), turns decoding and bus mastering on,
 * resets the device, acknowledges and claims it. returns: 0, -1: it is no virtio device
 * that can be used. */
GMK_NODISCARD int virtio_pci_init(virtio_pci_t *v, const pci_device_t *pci);

/* Writes status 0 and waits, at most 100 ms, until the device has stopped.
 * returns: 0, -1: it does not. */
GMK_NODISCARD int virtio_pci_reset(virtio_pci_t *v);

uint8_t virtio_pci_get_status(const virtio_pci_t *v);
void virtio_pci_set_status(const virtio_pci_t *v, uint8_t status);

uint64_t virtio_pci_get_features(const virtio_pci_t *v);
/* Tells the device what will be used. returns: 0, -1: it refuses (1.x). */
GMK_NODISCARD int virtio_pci_set_features(const virtio_pci_t *v, uint64_t features);

/* Descriptors that the device offers for a queue: 0: no such queue, or nonsense. */
uint32_t virtio_pci_queue_size(const virtio_pci_t *v, uint16_t queue);

/* Gives the device a ring; interrupts go to MSI-X entry vector, or nowhere.
 * returns: 0, -1: it refuses the size, the address or the vector. */
GMK_NODISCARD int virtio_pci_setup_queue(const virtio_pci_t *v, uint16_t queue, vring_t *r,
                                         uint16_t vector);
void virtio_pci_notify(const virtio_pci_t *v, uint16_t queue, const vring_t *r);

/* Turns MSI-X on, entry 0 with that message. returns: 0, -1: it has none. */
GMK_NODISCARD int virtio_pci_use_msix(virtio_pci_t *v, const dev_msi_t *msi);

/* The device's own configuration; what lies outside reads as 0. */
uint8_t virtio_pci_cfg_read8(const virtio_pci_t *v, uint32_t offset);
uint16_t virtio_pci_cfg_read16(const virtio_pci_t *v, uint32_t offset);
uint32_t virtio_pci_cfg_read32(const virtio_pci_t *v, uint32_t offset);
/* Two halves of one moment: read again while the device changes them, a few times. */
uint64_t virtio_pci_cfg_read64(const virtio_pci_t *v, uint32_t offset);

/* Reads and clears the cause of an interrupt without MSI-X. */
uint8_t virtio_pci_isr_status(const virtio_pci_t *v);
void virtio_pci_enable_bus_master(const virtio_pci_t *v);

#endif
