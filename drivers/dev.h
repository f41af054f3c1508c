/* SPDX-License-Identifier: MIT
 * The machine as drivers see it: DMA memory, addresses, registers, interrupts, time.
 * Floor: above the HAL. A machine implements all of it (the kernel in arch/x86_64, host tests
 * with device models); a driver calls nothing else of the machine, so that the same driver
 * text runs against a model under the sanitizers.
 * Devices and drivers share DMA memory in the processor's order: a driver publishes by
 * gmk_store_rel, reads what the device publishes by gmk_load_acq, and puts a gmk_xchg_sc
 * where a store must be seen before a later load.
 * Source: SPEC O.6; ARCHITECTURE section 2. */
#ifndef DRIVERS_DEV_H
#define DRIVERS_DEV_H

#include "ggmk/base/atomic.h"

#define DEV_PAGE 4096u
#define DEV_NO_PHYS UINT64_MAX

/* What a device writes, and where, to interrupt: a message (MSI, MSI-X). */
typedef struct dev_msi {
    uint64_t address;
    uint32_t data;
} dev_msi_t;

/* Memory. ---------------------------------------------------------------------- */

/* Zeroed memory of whole pages, physically contiguous, below what the device can address
 * (64 bits). *phys: its physical address. returns: null when there is none.
 * threads: any. cost: driver start and reset only. */
void *dev_dma_alloc(size_t bytes, uint64_t *phys);

/* pre: p and bytes are of one dev_dma_alloc; no device uses it. Null is harmless. */
void dev_dma_free(void *p, size_t bytes);

/* The physical address of the byte at virt, any memory of the kernel. A page that is mapped
 * at first touch is brought in, writable, and stays. The next byte of the same page is at
 * the next address; other pages may be anywhere. returns: DEV_NO_PHYS where nothing is mapped.
 * threads: any, not interrupts. cost: a walk of the page tables. */
uint64_t dev_phys(const void *virt);

/* Maps registers or tables of a device, uncached; never undone. The same range may be
 * mapped again. returns: null when refused. threads: any, at driver start. */
volatile void *dev_map(uint64_t phys, size_t bytes);

/* Mapped registers: one access of that width, in program order with all others and with
 * stores to memory before it. pre: at comes from dev_map, aligned to its width. threads: any,
 * interrupts too. */
uint8_t dev_read8(const volatile void *at);
uint16_t dev_read16(const volatile void *at);
uint32_t dev_read32(const volatile void *at);
void dev_write8(volatile void *at, uint8_t v);
void dev_write16(volatile void *at, uint16_t v);
void dev_write32(volatile void *at, uint32_t v);

/* I/O ports: the same promises. */
uint8_t dev_in8(uint16_t port);
uint16_t dev_in16(uint16_t port);
uint32_t dev_in32(uint16_t port);
void dev_out8(uint16_t port, uint8_t v);
void dev_out16(uint16_t port, uint16_t v);
void dev_out32(uint16_t port, uint32_t v);

/* Time and interrupts. ----------------------------------------------------------- */

/* The clock of gmk_hal_now_ns. threads: any, interrupts too. */
uint64_t dev_now_ns(void);

/* One step of a wait that spins. */
void dev_relax(void);

/* Gives fn(arg) an interrupt on processor cpu (an index below the number of processors), and
 * in *out the message that raises it. fn runs in interrupt context: it may set words and call
 * gmk_hal_park_wake, nothing else. It may come late, twice, or without a cause.
 * returns: 0, or -1 when the machine has no vector left or no such processor.
 * threads: any, at driver start. ownership: fn and arg stay for good. */
GMK_NODISCARD int dev_irq_alloc(void (*fn)(void *), void *arg, uint32_t cpu, dev_msi_t *out);

#endif
