/* SPDX-License-Identifier: MIT
 * The virtio block device, legacy and 1.x: a blk_dev_t (modules/disk/blk.h) for each, named
 * virtio0 and so on, and the simple calls of one sector at a time.
 * Floor: drivers. See virtio_blk.c for what a device may do wrong and what becomes of it.
 * Source: SPEC BM-36, BM-37; Virtual I/O Device 1.2 section 5.2. */
#ifndef DRIVERS_VIRTIO_VIRTIO_BLK_H
#define DRIVERS_VIRTIO_VIRTIO_BLK_H

#include "drivers/blk.h"
#include "drivers/pci/pci.h"

#define VIRTIO_BLK_LEGACY 0x1001u /* device numbers of vendor 1af4 */
#define VIRTIO_BLK_MODERN 0x1042u
#define VIRTIO_BLK_DEVS 4u

/* Starts a device and registers it. returns: BLK_OK; BLK_E_NO_DISK (null, or no virtio block
 * device); BLK_E_UNSUPPORTED (its queue or limits cannot be used, or the table is full);
 * BLK_E_BROKEN (it does not come out of reset, or refuses what it offered); BLK_E_MEMORY.
 * threads: one, at start. */
int virtio_blk_init(const pci_device_t *pci);

/* One sector of the first device, by polling: 512 bytes.
 * returns: BLK_OK; BLK_E_NO_DISK; as blk_sync. threads: any but handlers. */
int virtio_blk_read(uint64_t sector, void *buf);
int virtio_blk_write(uint64_t sector, const void *buf);
uint64_t virtio_blk_capacity(void); /* sectors of the first device; 0: none */

/* For models: forgets all devices, which must be idle, and gives their memory back. */
void virtio_blk_forget_all(void);

#endif
