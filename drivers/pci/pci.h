/* SPDX-License-Identifier: MIT
 * PCI configuration by ports 0xCF8 and 0xCFC: the table of devices, BARs, capabilities, MSI-X.
 * Floor: drivers. All buses that the firmware has numbered are walked, through bridges.
 * Every word read from a device is taken as hostile: walks are bounded, offsets checked.
 * Threads: configuration words any, not interrupts; a word that is changed belongs to the
 * device's owner. pci_init one, at start; the table is read-only afterwards.
 * Source: SPEC BM-32, BM-33; PCI Local Bus 3.0 sections 6.1, 6.2.5, 6.7, 6.8.2. */
#ifndef DRIVERS_PCI_PCI_H
#define DRIVERS_PCI_PCI_H

#include "drivers/dev.h"

#define PCI_MAX_DEVICES 32u
#define PCI_BARS 6u

/* Configuration space. */
#define PCI_COMMAND 0x04u
#define PCI_STATUS 0x06u
#define PCI_CMD_IO 0x0001u
#define PCI_CMD_MEMORY 0x0002u
#define PCI_CMD_MASTER 0x0004u
#define PCI_CMD_NO_INTX 0x0400u
#define PCI_CAP_VENDOR 0x09u
#define PCI_CAP_MSIX 0x11u

enum pci_bar_kind { PCI_BAR_NONE = 0, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

typedef struct pci_device {
    uint8_t bus, dev, func;
    uint8_t class_code, subclass, prog_if, revision;
    uint8_t header_type; /* without the multi-function bit */
    uint8_t irq_line;
    uint16_t vendor_id, device_id;
    uint16_t subsys_vendor, subsys_id; /* of header type 0 */
    uint32_t bar[PCI_BARS];            /* as read */
    uint8_t bar_kind[PCI_BARS];        /* enum pci_bar_kind; the upper half of 64 bits: NONE */
    uint64_t bar_base[PCI_BARS];       /* I/O port or physical address, flags taken off */
    uint64_t bar_bytes[PCI_BARS];      /* 0: none */
} pci_device_t;

/* Fills the table anew. Devices beyond PCI_MAX_DEVICES are left out and counted.
 * returns: how many devices are in the table. */
uint32_t pci_init(void);
uint32_t pci_device_count(void);
uint32_t pci_devices_left_out(void);
const pci_device_t *pci_get_device(uint32_t index); /* null: no such */
/* The first device of that identity. returns: null: none. */
const pci_device_t *pci_find_device(uint16_t vendor, uint16_t device);

/* One configuration word; offset below 256, aligned to the width. */
uint32_t pci_cfg_read32(const pci_device_t *d, uint32_t offset);
uint16_t pci_cfg_read16(const pci_device_t *d, uint32_t offset);
uint8_t pci_cfg_read8(const pci_device_t *d, uint32_t offset);
void pci_cfg_write32(const pci_device_t *d, uint32_t offset, uint32_t v);
void pci_cfg_write16(const pci_device_t *d, uint32_t offset, uint16_t v);

/* Sets bits of the command register (PCI_CMD_*); pci_disable takes them away. */
void pci_enable(const pci_device_t *d, uint16_t bits);
void pci_disable(const pci_device_t *d, uint16_t bits);

/* The offset of the first capability of that kind after `after` (0: from the start).
 * returns: 0: none; a list that loops or leaves the space ends. */
uint32_t pci_find_cap(const pci_device_t *d, uint8_t kind, uint32_t after);

/* Maps bytes of a memory BAR from offset on. returns: null when the BAR is not memory or
 * shorter than that, or the machine refuses. */
volatile void *pci_map_bar(const pci_device_t *d, uint32_t bar, uint64_t offset, uint64_t bytes);

/* MSI-X. */
typedef struct pci_msix {
    const pci_device_t *dev;
    volatile uint8_t *table;
    uint32_t cap; /* offset of the capability */
    uint32_t n;   /* entries */
} pci_msix_t;

/* Finds and maps the table; every entry is masked and the function off.
 * returns: 0, or -1: the device has no usable MSI-X. */
GMK_NODISCARD int pci_msix_open(pci_msix_t *m, const pci_device_t *d);
/* Writes the message of one entry and unmasks it. returns: 0, -1: no such entry. */
GMK_NODISCARD int pci_msix_set(const pci_msix_t *m, uint32_t entry, const dev_msi_t *msi);
/* Masks or unmasks one entry; what came while it was masked is sent when it no longer is.
 * pre: entry < n. */
void pci_msix_mask(const pci_msix_t *m, uint32_t entry, bool masked);
/* Turns the function's MSI-X on (and INTx off) or off. */
void pci_msix_enable(const pci_msix_t *m, bool on);

#endif
