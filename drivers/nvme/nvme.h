/* SPDX-License-Identifier: MIT
 * NVMe disks: a blk_dev_t (modules/disk/blk.h) for each controller, named nvme0 and so on: its
 * first active namespace, with one queue pair, since one thread drives a device.
 * Floor: drivers. What becomes of what a device does wrong:
 *   an error status            the request ends: nvme_status_of
 *   no answer by a deadline    a look at the queue, then a reset of the controller; see blk.h
 *   fatal status (CSTS.CFS)    a reset; requests in flight are started again once
 *   nonsense, removal          broken: bus mastering off, all requests end with BLK_E_BROKEN
 * Nonsense is a completion of no command in flight, of another queue, with a queue head out of
 * order, or with an answer still marked as none. A completion of a command that a reset has ended
 * is known by its identifier and counted as spurious.
 * Source: SPEC BM-37, STD-24; NVM Express 1.4 (section numbers are of that). */
#ifndef DRIVERS_NVME_NVME_H
#define DRIVERS_NVME_NVME_H

#include "drivers/blk.h"
#include "drivers/pci/pci.h"

#define NVME_CLASS 0x01u /* mass storage */
#define NVME_SUBCLASS 0x08u
#define NVME_PROG_IF 0x02u
#define NVME_DEVS 4u

/* Starts a controller and registers its disk. It may take as long as the controller says
 * that it needs to become ready (CAP.TO).
 * returns: BLK_OK; BLK_E_NO_DISK (null, or no NVMe controller); BLK_E_UNSUPPORTED (no namespace,
 * blocks that are not 512 to 4096 bytes or carry metadata, no 4 KiB pages, the table is full);
 * BLK_E_BROKEN (it does not start, is gone or breaks the rules); BLK_E_TIMEOUT (no answer to a
 * command); what nvme_status_of says of a command that failed; BLK_E_MEMORY.
 * threads: one, at start. */
int nvme_init(const pci_device_t *pci);

/* The end of a request with this status field (type and code, bits 0-10). */
int nvme_status_of(uint32_t field);

/* For models: forgets all controllers, which must be idle, and gives their memory back. */
void nvme_forget_all(void);

#endif
