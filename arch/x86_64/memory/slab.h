/* SPDX-License-Identifier: MIT
 * A slab: 16 KiB of objects of one size, with a bit for each that is live.
 * Floor: port, plain logic.
 * The header stands in the slab, at its start; the bits know a double free, and freeing an
 * object touches no neighbour. Threads: one at a time.
 * Source: BOOT.md section 4 (16 bytes freed, the neighbour's page gone). */
#ifndef X86_SLAB_H
#define X86_SLAB_H

#include "ggmk/base/bits.h"

#define SLAB_BYTES 16384u
#define SLAB_MIN 16u /* size of class 0, */
#define SLAB_MAX 2048u
#define SLAB_CLASSES 8u /* and each doubles it */
#define SLAB_HEADER 192u
#define SLAB_WORDS (SLAB_BYTES / SLAB_MIN / 64)

typedef struct slab {
    struct slab *prev; /* of the list its owner keeps it in */
    struct slab *next;
    uint32_t magic;
    uint16_t class;
    uint16_t n_objs;
    uint16_t n_live;
    uint64_t live[SLAB_WORDS]; /* by object; those behind the last are set */
} slab_t;

GMK_STATIC_ASSERT(sizeof(slab_t) <= SLAB_HEADER, "objects begin behind the header");
GMK_STATIC_ASSERT(SLAB_MIN << (SLAB_CLASSES - 1) == SLAB_MAX, "classes reach from min to max");

/* The class for a size. pre: 1 <= bytes <= SLAB_MAX. */
uint32_t slab_class(size_t bytes);
uint32_t slab_size(uint32_t class);

/* Makes an empty slab. pre: mem has SLAB_BYTES, at a multiple of it. */
slab_t *slab_init(void *mem, uint32_t class);

/* An object at a multiple of min(64, its size), not zeroed. pre: n_live < n_objs. */
void *slab_take(slab_t *s);

/* returns: 0, or -1: s is no slab of that class, or p no live object of it; nothing changed. */
int slab_put(slab_t *s, uint32_t class, const void *p);

#endif
