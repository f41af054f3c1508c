/* SPDX-License-Identifier: MIT
 * The kernel's ELF file: checked whole before anything of it is used, then laid out in memory.
 * Floor: arch, plain C. Invariants: first <= seg[i].virt and seg[i].virt + seg[i].mem_bytes <=
 * first + span; offset + file_bytes <= size of the file; no two segments share a page.
 * Source: ELF-64 object file format; System V ABI, AMD64 supplement. */
#ifndef X86_64_SHIM_ELF_H
#define X86_64_SHIM_ELF_H

#include "shim.h"

#define SHIM_SEGMENTS_MAX 16u
#define SHIM_KERNEL_FIRST 0xffffffff80000000ull
#define SHIM_KERNEL_SPAN 0x40000000ull /* at most 1 GiB */

enum { SHIM_SEG_X = 1, SHIM_SEG_W = 2 }; /* bits of ELF's p_flags */

typedef struct shim_segment {
    uint64_t virt;
    uint64_t mem_bytes;
    uint64_t offset;
    uint64_t file_bytes;
    uint32_t flags;
} shim_segment_t;

typedef struct shim_elf {
    uint64_t entry;
    uint64_t first; /* page aligned */
    uint64_t span;  /* whole pages */
    uint32_t n_segments;
    shim_segment_t seg[SHIM_SEGMENTS_MAX];
} shim_elf_t;

/* returns: 0 or the SHIM_E_ELF_* that is wrong. */
int shim_elf_read(shim_elf_t *e, const uint8_t *file, uint64_t bytes);

/* Whether a virtual address lies in an executable segment. */
bool shim_elf_runs(const shim_elf_t *e, uint64_t virt);

/* Writes the image of e->span bytes. pre: shim_elf_read gave 0 for this file. */
void shim_elf_place(const shim_elf_t *e, const uint8_t *file, uint8_t *image);

#endif
