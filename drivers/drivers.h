/* SPDX-License-Identifier: MIT
 * Start of all drivers: finds the devices and offers each to every driver of drivers.def.
 * Floor: drivers. A device that fails is reported and left; start goes on (BM-37). */
#ifndef DRIVERS_DRIVERS_H
#define DRIVERS_DRIVERS_H

#include "drivers/blk.h"
#include "drivers/pci/pci.h"

enum { DRV_OK = 0, DRV_NOT_MINE = 1 };

/* Where drivers say what they found, a line each without its end; null: nowhere. */
extern void (*drv_say)(const char *driver, const pci_device_t *dev, int status);

/* Looks for devices and starts their drivers. returns: how many devices were taken.
 * threads: one, at start; interrupts may be on. */
uint32_t drivers_init(void);

#define X(ident, name, text) int drv_##ident##_probe(const pci_device_t *dev);
#include "drivers/drivers.def"
#undef X

#endif
