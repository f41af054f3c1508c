/* SPDX-License-Identifier: MIT
 * ACPI as far as starting CPUs needs it: RSDP, the way to the MADT, and its entries.
 * Floor: arch, plain C. Nothing in a table is believed before its length and sum are checked.
 * Source: ACPI 6.5 sections 5.2.5 to 5.2.12. */
#ifndef X86_64_SHIM_ACPI_H
#define X86_64_SHIM_ACPI_H

#include "shim.h"

#define SHIM_CPUS_MAX 256u
#define SHIM_IOAPICS_MAX 16u
#define SHIM_RSDP_BYTES 36u

typedef struct shim_cpu {
    uint32_t acpi_id;
    uint32_t lapic_id;
} shim_cpu_t;

typedef struct shim_madt {
    uint64_t lapic; /* physical */
    uint32_t n_cpus;
    uint32_t n_ioapics;
    uint32_t n_left_out; /* CPUs for which there is no room */
    shim_cpu_t cpu[SHIM_CPUS_MAX];
    uint64_t ioapic[SHIM_IOAPICS_MAX];
} shim_madt_t;

/* Whether n bytes at p hold a sound RSDP. */
bool shim_rsdp_good(const uint8_t *p, uint64_t n);

/* Looks where a BIOS leaves it. returns: its physical address, 0 when there is none. */
uint64_t shim_rsdp_search(const shim_view_t *v);

/* Reads the MADT that the RSDP at p (SHIM_RSDP_BYTES long at most) leads to: every CPU that is
 * enabled, once; those that may be plugged in later are no CPUs yet.
 * returns: 0; SHIM_E_ACPI, with the entries before the damage. */
int shim_madt_read(const shim_view_t *v, const uint8_t *rsdp, shim_madt_t *out);

#endif
