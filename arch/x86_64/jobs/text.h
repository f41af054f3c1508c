/* SPDX-License-Identifier: MIT
 * The text of the disk as a stream: what lies on it from sector 0 up to the first zero byte.
 * Floor: arch. A kernel of its own serves it: the disk module, and a reader that keeps
 * TEXT_SLOTS requests on disk.read under way. Source: SPEC STD-24. */
#ifndef X86_TEXT_H
#define X86_TEXT_H

#include "drivers/blk.h"
#include "ggmk/ggmk.h"
#include "modules/disk/disk.h"

#define TEXT_SLOTS 8u
#define TEXT_SECTORS 32u /* of one request */

typedef struct text_slot {
    gmk_a32_t ready; /* 1: its bytes are there, or status says why not */
    int32_t status;
    uint32_t n_sectors;
    uint8_t *bytes;
} text_slot_t;

typedef struct text {
    gmk_kernel_t kernel;
    disk_t disk;
    gmk_module_t reader;
    gmk_chan_decl_t decl[2];
    text_slot_t slot[TEXT_SLOTS];
    gmk_hal_park_t park; /* who reads waits here */
    uint32_t chan;       /* disk.read */
    uint64_t capacity;   /* sectors */
    uint64_t asked;      /* sectors that were asked for */
    uint64_t at;         /* byte that is read next */
    bool end;
    gmk_a64_t n_requests;
} text_t;

/* Starts the kernel on dev and asks for the first sectors. returns: GMK_OK, or what gmk_boot
 * refused with. ownership: *t stays until text_close. threads: one. */
GMK_NODISCARD int text_open(text_t *t, blk_dev_t *dev);

/* Up to n bytes. returns: how many, 0 at the end, or a negative blk_status. blocks: parks.
 * threads: one at a time, any but the kernel's own workers. */
long text_read(text_t *t, void *to, size_t n);

/* Halts it. returns: whether its books balance. */
bool text_close(text_t *t);

#endif
