/* SPDX-License-Identifier: MIT
 * What the boot loader tells, PVH start info or Multiboot2 information, in one form. All of it is
 * copied, but for the modules' bytes.
 * Floor: arch, plain C. Invariants: n_raw <= SHIM_RAW_MAX; every module lies in view; every text
 * ends with 0 inside text[].
 * Source: Xen's PVH boot ABI (start info 0 and 1); Multiboot2 specification 2.0. */
#ifndef X86_64_SHIM_INFO_H
#define X86_64_SHIM_INFO_H

#include "acpi.h"
#include "memmap.h"

#define SHIM_MODULES_MAX 32u
#define SHIM_TEXT_MAX 8192u
#define SHIM_MB2_MAGIC 0x36d76289u

typedef struct shim_module {
    uint64_t base;
    uint64_t bytes;
    const char *cmdline;
} shim_module_t;

typedef struct shim_info {
    uint32_t n_raw;
    uint32_t n_modules; /* the kernel is the first */
    uint32_t text_used;
    bool has_rsdp; /* a copy, for a loader's own does not last */
    uint64_t rsdp; /* physical, 0: unknown */
    uint64_t base; /* where the information itself lies */
    uint64_t bytes;
    shim_range_t raw[SHIM_RAW_MAX];
    shim_module_t module[SHIM_MODULES_MAX];
    uint8_t rsdp_copy[SHIM_RSDP_BYTES];
    char text[SHIM_TEXT_MAX];
} shim_info_t;

/* pre: *out is zeroed. returns: 0, SHIM_E_INFO, SHIM_E_INFO_FULL, SHIM_E_MAP_FULL, SHIM_E_NO_MAP,
 * SHIM_E_NO_MODULE, SHIM_E_MODULE_FAR. */
int shim_pvh_read(const shim_view_t *v, uint64_t at, shim_info_t *out);
int shim_mb2_read(const shim_view_t *v, uint64_t at, shim_info_t *out);

#endif
