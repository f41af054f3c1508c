/* SPDX-License-Identifier: MIT
 * MSI-X: the table of interrupt messages of one function.
 * Floor: drivers. Source: PCI Local Bus 3.0 section 6.8.2. */
#include "drivers/pci/pci.h"

#define CONTROL 2u
#define CONTROL_ENABLE 0x8000u
#define CONTROL_MASK_ALL 0x4000u
#define TABLE 4u
#define ENTRY_BYTES 16u
#define ENTRY_CONTROL 12u
#define ENTRY_MASKED 1u

int pci_msix_open(pci_msix_t *m, const pci_device_t *d)
{
    uint32_t cap = pci_find_cap(d, PCI_CAP_MSIX, 0);
    uint32_t where, n;

    if (cap == 0 || cap > 256 - 12)
        return -1;
    n = (pci_cfg_read16(d, cap + CONTROL) & 0x7ffu) + 1;
    where = pci_cfg_read32(d, cap + TABLE);
    pci_enable(d, PCI_CMD_MEMORY);
    *m = (pci_msix_t){.dev = d, .cap = cap, .n = n};
    m->table = pci_map_bar(d, where & 7, where & ~7u, (uint64_t)n * ENTRY_BYTES);
    if (m->table == NULL)
        return -1;
    pci_msix_enable(m, false);
    for (uint32_t i = 0; i < n; i++)
        dev_write32(m->table + i * ENTRY_BYTES + ENTRY_CONTROL, ENTRY_MASKED);
    return 0;
}

int pci_msix_set(const pci_msix_t *m, uint32_t entry, const dev_msi_t *msi)
{
    volatile uint8_t *e;

    if (entry >= m->n)
        return -1;
    e = m->table + (size_t)entry * ENTRY_BYTES;
    dev_write32(e + ENTRY_CONTROL, ENTRY_MASKED);
    dev_write32(e, (uint32_t)msi->address);
    dev_write32(e + 4, (uint32_t)(msi->address >> 32));
    dev_write32(e + 8, msi->data);
    dev_write32(e + ENTRY_CONTROL, 0);
    return 0;
}

void pci_msix_mask(const pci_msix_t *m, uint32_t entry, bool masked)
{
    dev_write32(m->table + (size_t)entry * ENTRY_BYTES + ENTRY_CONTROL, masked ? ENTRY_MASKED : 0);
}

void pci_msix_enable(const pci_msix_t *m, bool on)
{
    uint16_t control = pci_cfg_read16(m->dev, m->cap + CONTROL);

    control &= (uint16_t) ~(CONTROL_ENABLE | CONTROL_MASK_ALL);
    pci_cfg_write16(m->dev, m->cap + CONTROL, control | (on ? CONTROL_ENABLE : 0));
    if (on)
        pci_enable(m->dev, PCI_CMD_NO_INTX);
}
