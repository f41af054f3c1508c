/* SPDX-License-Identifier: MIT
 * The block devices of this machine: what drivers register and users find by name. The
 * interface itself is in modules/disk/blk.h, below the drivers, so that the disk module
 * needs none of them.
 * Floor: drivers. Registration happens at start, on one processor; later all is read-only.
 * Source: SPEC BM-36, BM-37. */
#ifndef DRIVERS_BLK_H
#define DRIVERS_BLK_H

#include "modules/disk/blk.h"

#define BLK_MAX_DEVS 8u

/* Adds d; d->name must be set. returns: 0, or -1 (table full, name taken).
 * ownership: *d stays for good. threads: start only. */
GMK_NODISCARD int blk_register(blk_dev_t *d);

uint32_t blk_count(void);
blk_dev_t *blk_get(uint32_t i); /* null: no such */

/* By name; a null or empty name finds the first. returns: null: none. */
blk_dev_t *blk_find(const char *name);

/* For models: forgets all. */
void blk_forget_all(void);

#endif
