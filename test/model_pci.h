/* SPDX-License-Identifier: MIT
 * A machine for drivers in a host program: configuration space, BARs, DMA memory at other
 * addresses than the processor's, message interrupts and a clock. Devices hang below
 * (model_virtio.h). For one translation unit of a program.
 * Floor: tests. A page of ordinary memory has the physical address of its neighbour's number,
 * so that a driver which forgets dev_phys, or thinks that pages follow each other, is wrong. */
#ifndef TEST_MODEL_PCI_H
#define TEST_MODEL_PCI_H

#include "drivers/drivers.h"
#include "ggmk/hal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MP_POOL_BYTES (2u << 20)
#define MP_POOL_PHYS 0x10000000ull
#define MP_RAM_BIT ((uint64_t)1 << 52)
#define MP_FUNCS 48u
#define MP_IRQS 16u
#define MP_BLOCKS 64u
#define MP_MMIO 0xfe000000ull            /* BARs of memory lie here, 64 KiB each */
#define MP_MMIO_MAP ((uintptr_t)1 << 60) /* what dev_map gives: never touched as memory */

typedef struct mp_func mp_func_t;

/* Register accesses of a function's BARs. */
struct mp_func {
    uint8_t bus, dev, func;
    bool there;
    uint8_t cfg[256];
    uint32_t bar_mask[6]; /* address bits that can be written */
    uint64_t (*read)(mp_func_t *f, uint32_t bar, uint64_t at, uint32_t bytes);
    void (*write)(mp_func_t *f, uint32_t bar, uint64_t at, uint64_t v, uint32_t bytes);
    void *device;
};

/* Of DMA; dev_dma_alloc clears what it gives. */
GMK_ALIGNAS(4096) static uint8_t mp_pool[MP_POOL_BYTES];

static struct mp {
    mp_func_t func[MP_FUNCS];
    uint32_t address;
    struct {
        size_t at, bytes;
        bool used;
    } block[MP_BLOCKS];
    uint32_t n_live;  /* DMA blocks */
    bool no_dma;      /* dev_dma_alloc fails */
    const void *hole; /* a page that is not mapped */
    struct {
        void (*fn)(void *);
        void *arg;
    } irq[MP_IRQS];
    uint32_t n_irqs;
    bool no_irqs;
    gmk_a64_t clock; /* 0: the real one */
    void (*tick)(void);
    uint32_t complaints;
    const char *complaint;
    gmk_hal_lock_t lock;
} mp;

/* Something that a driver must not do. */
static inline void mp_complain(const char *what)
{
    if (mp.complaints++ == 0)
        mp.complaint = what;
}

static inline void mp_reset(void)
{
    memset(&mp, 0, sizeof(mp));
    mp.clock = 1000000;
    gmk_hal_lock_init(&mp.lock);
}

/* Memory. ---------------------------------------------------------------------------------- */

void *dev_dma_alloc(size_t bytes, uint64_t *phys)
{
    size_t at = 0;

    bytes = (bytes + 4095) & ~(size_t)4095;
    for (uint32_t i = 0; i < MP_BLOCKS && !mp.no_dma; i++) {
        if (mp.block[i].bytes == 0) {
            if (bytes > MP_POOL_BYTES - at)
                return NULL;
            mp.block[i].at = at;
            mp.block[i].bytes = bytes;
        }
        if (!mp.block[i].used && mp.block[i].bytes == bytes) {
            mp.block[i].used = true;
            mp.n_live++;
            memset(mp_pool + mp.block[i].at, 0, bytes);
            *phys = MP_POOL_PHYS + mp.block[i].at;
            return mp_pool + mp.block[i].at;
        }
        at = mp.block[i].at + mp.block[i].bytes;
    }
    return NULL;
}

void dev_dma_free(void *p, size_t bytes)
{
    for (uint32_t i = 0; p != NULL && i < MP_BLOCKS; i++)
        if (mp.block[i].used && mp_pool + mp.block[i].at == p) {
            if (mp.block[i].bytes != ((bytes + 4095) & ~(size_t)4095))
                mp_complain("DMA memory freed with another size");
            mp.block[i].used = false;
            mp.n_live--;
            return;
        }
    if (p != NULL)
        mp_complain("DMA memory freed that is not");
}

uint64_t dev_phys(const void *virt)
{
    uintptr_t v = (uintptr_t)virt;
    const uint8_t *p = virt;

    if (mp.hole != NULL && v >> 12 == (uintptr_t)mp.hole >> 12)
        return DEV_NO_PHYS;
    if (p >= mp_pool && p < mp_pool + MP_POOL_BYTES)
        return MP_POOL_PHYS + (uint64_t)(p - mp_pool);
    return ((uint64_t)v ^ 4096) | MP_RAM_BIT;
}

/* What a device finds at a physical address, up to the end of the page; null: nothing. */
static inline uint8_t *mp_host(uint64_t phys)
{
    if (phys >= MP_POOL_PHYS && phys < MP_POOL_PHYS + MP_POOL_BYTES)
        return mp_pool + (phys - MP_POOL_PHYS);
    if ((phys & MP_RAM_BIT) != 0)
        return (uint8_t *)(uintptr_t)((phys ^ MP_RAM_BIT) ^ 4096);
    return NULL;
}

/* DMA of a device, page by page. returns: false: an address of no memory. */
static inline bool mp_dma(uint64_t phys, void *own, size_t n, bool to_memory)
{
    uint8_t *mine = own;

    while (n > 0) {
        size_t page = 4096 - (size_t)(phys & 4095);
        size_t len = n < page ? n : page;
        uint8_t *p = mp_host(phys);

        if (p == NULL)
            return false;
        if (to_memory)
            memcpy(p, mine, len);
        else
            memcpy(mine, p, len);
        phys += len;
        mine += len;
        n -= len;
    }
    return true;
}

/* Configuration. --------------------------------------------------------------------------- */

static inline mp_func_t *mp_func_at(uint32_t address)
{
    for (uint32_t i = 0; i < MP_FUNCS; i++) {
        mp_func_t *f = &mp.func[i];

        if (f->there && f->bus == (address >> 16 & 0xff) && f->dev == (address >> 11 & 31) &&
            f->func == (address >> 8 & 7))
            return f;
    }
    return NULL;
}

static inline void mp_put(mp_func_t *f, uint32_t at, uint64_t v, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        f->cfg[at + i] = (uint8_t)(v >> 8 * i);
}

static inline uint32_t mp_get(const mp_func_t *f, uint32_t at, uint32_t bytes)
{
    uint32_t v = 0;

    for (uint32_t i = 0; i < bytes; i++)
        v |= (uint32_t)f->cfg[at + i] << 8 * i;
    return v;
}

static inline void mp_cfg_write(mp_func_t *f, uint32_t at, uint32_t v, uint32_t bytes)
{
    uint32_t bar = (at - 0x10) / 4;

    if (at >= 0x10 && at < 0x28) {
        uint32_t fixed = mp_get(f, at, 4) & 15 & ~f->bar_mask[bar];

        mp_put(f, at, (v & f->bar_mask[bar]) | (f->bar_mask[bar] != 0 ? fixed : 0), 4);
        if (bytes != 4)
            mp_complain("a BAR is written in parts");
    } else if (at >= 0x40 || at == 4) {
        mp_put(f, at, v, bytes);
    } else if (at == 6) {
        mp_complain("the status register is written");
    }
}

static inline mp_func_t *mp_add(uint8_t bus, uint8_t dev, uint8_t func)
{
    for (uint32_t i = 0; i < MP_FUNCS; i++) {
        mp_func_t *f = &mp.func[i];

        if (f->there)
            continue;
        *f = (mp_func_t){.bus = bus, .dev = dev, .func = func, .there = true};
        return f;
    }
    abort();
}

static inline void mp_identity(mp_func_t *f, uint16_t vendor, uint16_t device, uint32_t class)
{
    mp_put(f, 0, (uint32_t)device << 16 | vendor, 4);
    mp_put(f, 8, class, 4);
}

/* A BAR of a size; kind as in the register's low bits. */
static inline void mp_bar(mp_func_t *f, uint32_t bar, uint64_t base, uint64_t bytes, uint32_t kind)
{
    f->bar_mask[bar] = (uint32_t) ~(bytes - 1) & ((kind & 1) != 0 ? 0xfffcu : 0xfffffff0u);
    mp_put(f, 0x10 + 4 * bar, (uint32_t)base | kind, 4);
    if ((kind & 7) == 4) {
        f->bar_mask[bar + 1] = (uint32_t)(~(bytes - 1) >> 32);
        mp_put(f, 0x14 + 4 * bar, base >> 32, 4);
    }
}

/* The function and BAR that an address belongs to; decoding must be on. */
static inline mp_func_t *mp_decode(uint64_t addr, bool io, uint32_t *bar, uint64_t *at)
{
    for (uint32_t i = 0; i < MP_FUNCS; i++) {
        mp_func_t *f = &mp.func[i];

        for (uint32_t b = 0; f->there && f->read != NULL && b < 6; b++) {
            uint32_t v = mp_get(f, 0x10 + 4 * b, 4);
            uint64_t base = io ? v & 0xfffc : v & 0xfffffff0u;
            uint64_t bytes = (~(f->bar_mask[b] | (io ? 0xffff0000u : 0)) & 0xffffffffu) + 1ull;

            if (f->bar_mask[b] == 0 || ((v & 1) != 0) != io || addr < base || addr >= base + bytes)
                continue;
            if ((mp_get(f, 4, 2) & (io ? 1u : 2u)) == 0)
                mp_complain("a register is used while its decoding is off");
            *bar = b;
            *at = addr - base;
            return f;
        }
    }
    return NULL;
}

static inline uint64_t mp_read(uint64_t addr, bool io, uint32_t bytes)
{
    uint64_t at, v = UINT64_MAX;
    uint32_t bar;
    mp_func_t *f;

    gmk_hal_lock_acquire(&mp.lock);
    f = mp_decode(addr, io, &bar, &at);
    if (f != NULL)
        v = f->read(f, bar, at, bytes);
    gmk_hal_lock_release(&mp.lock);
    return v;
}

static inline void mp_write(uint64_t addr, bool io, uint64_t v, uint32_t bytes)
{
    uint64_t at;
    uint32_t bar;
    mp_func_t *f;

    gmk_hal_lock_acquire(&mp.lock);
    f = mp_decode(addr, io, &bar, &at);
    if (f != NULL)
        f->write(f, bar, at, v, bytes);
    gmk_hal_lock_release(&mp.lock);
}

static inline uint32_t mp_in(uint16_t port, uint32_t bytes)
{
    mp_func_t *f;

    if (port < 0xcf8 || port > 0xcff)
        return (uint32_t)mp_read(port, true, bytes);
    if (port == 0xcf8)
        return mp.address;
    f = (mp.address & 0x80000000u) != 0 ? mp_func_at(mp.address) : NULL;
    return f != NULL ? mp_get(f, (mp.address & 0xfc) + (port & 3), bytes) : UINT32_MAX;
}

static inline void mp_out(uint16_t port, uint32_t v, uint32_t bytes)
{
    mp_func_t *f;

    if (port < 0xcf8 || port > 0xcff) {
        mp_write(port, true, v, bytes);
    } else if (port == 0xcf8) {
        mp.address = v;
    } else {
        f = (mp.address & 0x80000000u) != 0 ? mp_func_at(mp.address) : NULL;
        if (f != NULL)
            mp_cfg_write(f, (mp.address & 0xfc) + (port & 3), v, bytes);
    }
}

uint8_t dev_in8(uint16_t port) { return (uint8_t)mp_in(port, 1); }
uint16_t dev_in16(uint16_t port) { return (uint16_t)mp_in(port, 2); }
uint32_t dev_in32(uint16_t port) { return mp_in(port, 4); }
void dev_out8(uint16_t port, uint8_t v) { mp_out(port, v, 1); }
void dev_out16(uint16_t port, uint16_t v) { mp_out(port, v, 2); }
void dev_out32(uint16_t port, uint32_t v) { mp_out(port, v, 4); }

volatile void *dev_map(uint64_t phys, size_t bytes)
{
    (void)bytes;
    return (volatile void *)(MP_MMIO_MAP + (uintptr_t)phys);
}

static inline uint64_t mp_at(const volatile void *at, uint32_t bytes)
{
    if ((uintptr_t)at % bytes != 0)
        mp_complain("a register is used across its border");
    return (uint64_t)((uintptr_t)at - MP_MMIO_MAP);
}

uint8_t dev_read8(const volatile void *at) { return (uint8_t)mp_read(mp_at(at, 1), false, 1); }
uint16_t dev_read16(const volatile void *at) { return (uint16_t)mp_read(mp_at(at, 2), false, 2); }
uint32_t dev_read32(const volatile void *at) { return (uint32_t)mp_read(mp_at(at, 4), false, 4); }
void dev_write8(volatile void *at, uint8_t v) { mp_write(mp_at(at, 1), false, v, 1); }
void dev_write16(volatile void *at, uint16_t v) { mp_write(mp_at(at, 2), false, v, 2); }
void dev_write32(volatile void *at, uint32_t v) { mp_write(mp_at(at, 4), false, v, 4); }

/* Time and interrupts. ---------------------------------------------------------------------- */

/* The model's clock moves with every look, 10 us a step of a wait, and by mp_later. */
uint64_t dev_now_ns(void)
{
    return mp.clock == 0 ? gmk_hal_now_ns() : gmk_add_ar(&mp.clock, 100, GMK_DEV);
}

void dev_relax(void)
{
    if (mp.clock == 0) {
        gmk_hal_relax();
        return;
    }
    gmk_add_ar(&mp.clock, 10000, GMK_DEV);
    if (mp.tick != NULL)
        mp.tick();
}

int dev_irq_alloc(void (*fn)(void *), void *arg, uint32_t cpu, dev_msi_t *out)
{
    if (mp.n_irqs == MP_IRQS || cpu != 0 || mp.no_irqs)
        return -1;
    mp.irq[mp.n_irqs].fn = fn;
    mp.irq[mp.n_irqs].arg = arg;
    *out = (dev_msi_t){.address = 0xfee00000, .data = 0x4000 + mp.n_irqs++};
    return 0;
}

/* A device writes a message. */
static inline void mp_message(uint64_t address, uint32_t data)
{
    if (address == 0xfee00000 && data - 0x4000 < mp.n_irqs)
        mp.irq[data - 0x4000].fn(mp.irq[data - 0x4000].arg);
    else
        mp_complain("an interrupt message goes nowhere");
}

#endif
