/* SPDX-License-Identifier: MIT
 * Boot allocator: objects that live as long as the kernel, from at most 8 MiB.
 * Floor: port.
 * Memory comes from the frames in pieces as it is used, so that a small machine pays for what
 * it uses. It is in the direct map, and an object is physically contiguous.
 * Threads: any, after boot_alloc_init.
 * Source: SPEC BM-23. */
#ifndef X86_BOOT_ALLOC_H
#define X86_BOOT_ALLOC_H

#include "mem.h"

#include "ggmk/base/bits.h"

#define BOOT_ALLOC_BYTES 0x800000ull

/* pre: pmm_init. */
void boot_alloc_init(void);

/* Zeroed memory at a multiple of align (a power of two up to 4096), or null: the 8 MiB or the
 * frames are used up, bytes is 0, or align is none. */
void *boot_aligned_alloc(size_t bytes, size_t align);

/* Zeroed memory for n objects at a multiple of 64, or null, also if n * bytes overflows. */
void *boot_calloc(size_t n, size_t bytes);

/* Has no effect: the counterpart that code for other allocators calls. */
void boot_free(void *p);

/* Bytes that are gone, what alignment and ends of pieces cost included; and their limit. */
size_t boot_alloc_used(void);
size_t boot_alloc_total(void);

#endif
