/* SPDX-License-Identifier: MIT
 * PCI: configuration words, the walk over buses, BARs, capabilities.
 * Floor: drivers. A bus is walked once however many bridges lead to it, so a walk ends.
 * Source: SPEC BM-32, BM-33; PCI Local Bus 3.0 sections 3.2.2.3.2, 6.1, 6.2.5, 6.7. */
#include "drivers/pci/pci.h"

#include "ggmk/hal.h"

#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA 0xcfcu
#define CONFIG_BYTES 256u
#define STATUS_CAPS 0x0010u
#define MAX_CAPS 48u /* (256 - 64) / 4 fit a space without loops */

#define HEADER_MULTI 0x80u
#define CLASS_BRIDGE 0x06u
#define SUBCLASS_PCI 0x04u
#define SECONDARY_BUS 0x19u

static struct pci_table {
    pci_device_t dev[PCI_MAX_DEVICES];
    uint32_t n, left_out;
    uint8_t bus[256]; /* found, in order */
    uint32_t n_buses;
    uint32_t seen[8]; /* bit set of buses */
} table;

/* Configuration words. --------------------------------------------------------- */

/* An access is two of ports, and a driver resets its device while others do so with theirs. */
static gmk_hal_lock_t lock;

/* Takes the ports. */
static void address(const pci_device_t *d, uint32_t offset)
{
    gmk_hal_lock_acquire(&lock);
    dev_out32(CONFIG_ADDRESS, 0x80000000u | (uint32_t)d->bus << 16 | (uint32_t)(d->dev & 31) << 11 |
                                  (uint32_t)(d->func & 7) << 8 | (offset & 0xfc));
}

uint32_t pci_cfg_read32(const pci_device_t *d, uint32_t offset)
{
    uint32_t v;

    address(d, offset);
    v = dev_in32(CONFIG_DATA);
    gmk_hal_lock_release(&lock);
    return v;
}

uint16_t pci_cfg_read16(const pci_device_t *d, uint32_t offset)
{
    return (uint16_t)(pci_cfg_read32(d, offset) >> (offset & 2) * 8);
}

uint8_t pci_cfg_read8(const pci_device_t *d, uint32_t offset)
{
    return (uint8_t)(pci_cfg_read32(d, offset) >> (offset & 3) * 8);
}

void pci_cfg_write32(const pci_device_t *d, uint32_t offset, uint32_t v)
{
    address(d, offset);
    dev_out32(CONFIG_DATA, v);
    gmk_hal_lock_release(&lock);
}

/* By halves: the other half may hold bits that a one clears. */
void pci_cfg_write16(const pci_device_t *d, uint32_t offset, uint16_t v)
{
    address(d, offset);
    dev_out16((uint16_t)(CONFIG_DATA + (offset & 2)), v);
    gmk_hal_lock_release(&lock);
}

void pci_enable(const pci_device_t *d, uint16_t bits)
{
    pci_cfg_write16(d, PCI_COMMAND, pci_cfg_read16(d, PCI_COMMAND) | bits);
}

void pci_disable(const pci_device_t *d, uint16_t bits)
{
    pci_cfg_write16(d, PCI_COMMAND, pci_cfg_read16(d, PCI_COMMAND) & (uint16_t)~bits);
}

/* BARs. ---------------------------------------------------------------------------- */

/* What the BAR's word says when all ones are written to it. */
static uint32_t probe_word(const pci_device_t *d, uint32_t offset)
{
    uint32_t was = pci_cfg_read32(d, offset);
    uint32_t mask;

    pci_cfg_write32(d, offset, UINT32_MAX);
    mask = pci_cfg_read32(d, offset);
    pci_cfg_write32(d, offset, was);
    return mask;
}

/* The lowest bit of a mask of writable address bits is the size. */
static uint64_t size_of(uint64_t mask) { return mask & (~mask + 1); }

static void read_bar_io(pci_device_t *d, uint32_t i)
{
    uint32_t mask = probe_word(d, 0x10 + 4 * i) & 0xfffc;

    d->bar_kind[i] = PCI_BAR_IO;
    d->bar_base[i] = d->bar[i] & 0xfffc;
    d->bar_bytes[i] = size_of(mask);
}

/* returns: how many words the BAR takes. */
static uint32_t read_bar_mem(pci_device_t *d, uint32_t i, uint32_t n)
{
    uint64_t mask = probe_word(d, 0x10 + 4 * i) & 0xfffffff0u;
    bool wide = (d->bar[i] & 6) == 4 && i + 1 < n;

    d->bar_kind[i] = wide ? PCI_BAR_MEM64 : PCI_BAR_MEM32;
    d->bar_base[i] = d->bar[i] & 0xfffffff0u;
    if (wide) {
        d->bar[i + 1] = pci_cfg_read32(d, 0x10 + 4 * (i + 1));
        d->bar_base[i] |= (uint64_t)d->bar[i + 1] << 32;
        mask |= (uint64_t)probe_word(d, 0x10 + 4 * (i + 1)) << 32;
    }
    d->bar_bytes[i] = size_of(mask);
    return wide ? 2 : 1;
}

/* With decoding off, so that no half-written address is answered. */
static void read_bars(pci_device_t *d)
{
    uint32_t n = d->header_type == 0 ? PCI_BARS : d->header_type == 1 ? 2 : 0;
    uint16_t command = pci_cfg_read16(d, PCI_COMMAND);

    pci_cfg_write16(d, PCI_COMMAND, command & (uint16_t) ~(PCI_CMD_IO | PCI_CMD_MEMORY));
    for (uint32_t i = 0; i < n;) {
        d->bar[i] = pci_cfg_read32(d, 0x10 + 4 * i);
        if ((d->bar[i] & 1) != 0) {
            read_bar_io(d, i++);
        } else {
            i += read_bar_mem(d, i, n);
        }
    }
    pci_cfg_write16(d, PCI_COMMAND, command);
    for (uint32_t i = 0; i < n; i++)
        if (d->bar_bytes[i] == 0)
            d->bar_kind[i] = PCI_BAR_NONE;
}

volatile void *pci_map_bar(const pci_device_t *d, uint32_t bar, uint64_t offset, uint64_t bytes)
{
    if (bar >= PCI_BARS ||
        (d->bar_kind[bar] != PCI_BAR_MEM32 && d->bar_kind[bar] != PCI_BAR_MEM64) ||
        d->bar_base[bar] == 0 || bytes == 0 || bytes > d->bar_bytes[bar] ||
        offset > d->bar_bytes[bar] - bytes || d->bar_base[bar] + d->bar_bytes[bar] < offset)
        return NULL;
    return dev_map(d->bar_base[bar] + offset, (size_t)bytes);
}

/* The walk. ------------------------------------------------------------------------ */

static void add_bus(uint8_t bus)
{
    uint32_t bit = 1u << (bus & 31);

    if ((table.seen[bus >> 5] & bit) != 0)
        return;
    table.seen[bus >> 5] |= bit;
    table.bus[table.n_buses++] = bus;
}

static void read_device(pci_device_t *d, uint32_t id, uint8_t header)
{
    uint32_t class = pci_cfg_read32(d, 0x08);

    d->vendor_id = (uint16_t)id;
    d->device_id = (uint16_t)(id >> 16);
    d->revision = (uint8_t) class;
    d->prog_if = (uint8_t)(class >> 8);
    d->subclass = (uint8_t)(class >> 16);
    d->class_code = (uint8_t)(class >> 24);
    d->header_type = header & 0x7f;
    d->irq_line = pci_cfg_read8(d, 0x3c);
    if (d->header_type == 0) {
        d->subsys_vendor = pci_cfg_read16(d, 0x2c);
        d->subsys_id = pci_cfg_read16(d, 0x2e);
    }
    read_bars(d);
}

/* One function, if it is there. */
static void visit(uint8_t bus, uint8_t dev, uint8_t func)
{
    pci_device_t d = {.bus = bus, .dev = dev, .func = func};
    uint32_t id = pci_cfg_read32(&d, 0);

    if ((id & 0xffff) == 0xffff || (id & 0xffff) == 0)
        return;
    read_device(&d, id, pci_cfg_read8(&d, 0x0e));
    if (d.class_code == CLASS_BRIDGE && d.subclass == SUBCLASS_PCI && d.header_type == 1)
        add_bus(pci_cfg_read8(&d, SECONDARY_BUS)); /* 0: not numbered, and bus 0 is known */
    if (table.n < PCI_MAX_DEVICES)
        table.dev[table.n++] = d;
    else
        table.left_out++;
}

static void visit_slot(uint8_t bus, uint8_t dev)
{
    pci_device_t first = {.bus = bus, .dev = dev};
    uint16_t vendor = pci_cfg_read16(&first, 0);
    uint8_t n;

    if (vendor == 0xffff || vendor == 0)
        return;
    n = (pci_cfg_read8(&first, 0x0e) & HEADER_MULTI) != 0 ? 8 : 1;
    for (uint8_t func = 0; func < n; func++)
        visit(bus, dev, func);
}

uint32_t pci_init(void)
{
    gmk_hal_lock_init(&lock);
    table = (struct pci_table){.n = 0};
    add_bus(0);
    for (uint32_t i = 0; i < table.n_buses; i++) /* at most 256: each bus is added once */
        for (uint8_t dev = 0; dev < 32; dev++)
            visit_slot(table.bus[i], dev);
    return table.n;
}

uint32_t pci_device_count(void) { return table.n; }

uint32_t pci_devices_left_out(void) { return table.left_out; }

const pci_device_t *pci_get_device(uint32_t index)
{
    return index < table.n ? &table.dev[index] : NULL;
}

const pci_device_t *pci_find_device(uint16_t vendor, uint16_t device)
{
    for (uint32_t i = 0; i < table.n; i++)
        if (table.dev[i].vendor_id == vendor && table.dev[i].device_id == device)
            return &table.dev[i];
    return NULL;
}

uint32_t pci_find_cap(const pci_device_t *d, uint8_t kind, uint32_t after)
{
    uint32_t at = after;

    if (after == 0) {
        if ((pci_cfg_read16(d, PCI_STATUS) & STATUS_CAPS) == 0 || d->header_type > 1)
            return 0;
        at = 0x34 - 1;
    }
    for (uint32_t i = 0; i < MAX_CAPS; i++) {
        at = pci_cfg_read8(d, at + 1) & 0xfcu;
        if (at < 0x40)
            return 0;
        if (pci_cfg_read8(d, at) == kind)
            return at;
    }
    return 0;
}
