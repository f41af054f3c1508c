/* SPDX-License-Identifier: MIT
 * The machine as drivers see it, on bare metal.
 * Floor: arch. Source: drivers/dev.h; Intel SDM volume 3, 10.11 (message address and data). */
#include "drivers/dev.h"

#include "arch/x86_64/cpu/clock.h"
#include "arch/x86_64/cpu/tables.h"
#include "arch/x86_64/memory/memops.h"
#include "arch/x86_64/memory/paging.h"
#include "arch/x86_64/memory/pmm.h"
#include "arch/x86_64/memory/vmm.h"
#include "arch/x86_64/smp/thread.h"

#define MESSAGE_ADDRESS 0xfee00000ull
#define MESSAGE_CPU_SHIFT 12u

static uint64_t pages_of(size_t bytes) { return (bytes + DEV_PAGE - 1) / DEV_PAGE; }

void *dev_dma_alloc(size_t bytes, uint64_t *phys)
{
    uint64_t at = bytes != 0 ? pmm_alloc_pages(pages_of(bytes)) : 0;

    if (at == 0)
        return NULL;
    *phys = at;
    return memset(phys_to_virt(at), 0, pages_of(bytes) * DEV_PAGE);
}

void dev_dma_free(void *p, size_t bytes)
{
    if (p != NULL)
        (void)pmm_free_pages(virt_to_phys(p), pages_of(bytes)); /* a wrong one is counted there */
}

/* A page that has not been touched yet is brought in by writing what it holds: nothing. */
uint64_t dev_phys(const void *virt)
{
    uint64_t phys = paging_phys(virt);

    if (phys == 0 && vmm_demand_page((uintptr_t)virt) == 0)
        phys = paging_phys(virt);
    return phys != 0 ? phys : DEV_NO_PHYS;
}

volatile void *dev_map(uint64_t phys, size_t bytes) { return map_mmio(phys, bytes); }

uint8_t dev_read8(const volatile void *at) { return *(const volatile uint8_t *)at; }
uint16_t dev_read16(const volatile void *at) { return *(const volatile uint16_t *)at; }
uint32_t dev_read32(const volatile void *at) { return *(const volatile uint32_t *)at; }

/* Stores leave an x86 processor in order, those to uncached memory too; the compiler is told. */
#define ORDERED() __asm__ volatile("" : : : "memory")

void dev_write8(volatile void *at, uint8_t v)
{
    ORDERED();
    *(volatile uint8_t *)at = v;
}

void dev_write16(volatile void *at, uint16_t v)
{
    ORDERED();
    *(volatile uint16_t *)at = v;
}

void dev_write32(volatile void *at, uint32_t v)
{
    ORDERED();
    *(volatile uint32_t *)at = v;
}

uint8_t dev_in8(uint16_t port) { return x86_in8(port); }
uint16_t dev_in16(uint16_t port) { return x86_in16(port); }
uint32_t dev_in32(uint16_t port) { return x86_in32(port); }

void dev_out8(uint16_t port, uint8_t v)
{
    ORDERED();
    x86_out8(port, v);
}

void dev_out16(uint16_t port, uint16_t v)
{
    ORDERED();
    x86_out16(port, v);
}

void dev_out32(uint16_t port, uint32_t v)
{
    ORDERED();
    x86_out32(port, v);
}

uint64_t dev_now_ns(void) { return clock_now_ns(); }
void dev_relax(void) { x86_relax(); }

int dev_irq_alloc(void (*fn)(void *), void *arg, uint32_t cpu, dev_msi_t *out)
{
    int vector;

    if (cpu >= x86_n_cpus || x86_cpus[cpu].apic_id > 255) /* a message names it in 8 bits */
        return -1;
    vector = x86_irq_alloc(fn, arg);
    if (vector < 0)
        return -1;
    out->address = MESSAGE_ADDRESS | (uint64_t)x86_cpus[cpu].apic_id << MESSAGE_CPU_SHIFT;
    out->data = (uint32_t)vector;
    return 0;
}
