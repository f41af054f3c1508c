/* SPDX-License-Identifier: MIT
 * Ranges of a window of address space: free, in use, dying. In order of address.
 * Floor: port, plain logic.
 * Invariants: the ranges cover the window without a gap; no two free ones are neighbours.
 * Numbers are pages. Threads: one at a time.
 * Source: SPEC BM-26; freed address space is reused. */
#ifndef X86_VSPACE_H
#define X86_VSPACE_H

#include "ggmk/base/bits.h"

enum { VSPACE_FREE, VSPACE_AREA, VSPACE_MAPPING, VSPACE_DYING };

typedef struct vrange {
    struct vrange *prev;
    struct vrange *next;
    uint64_t first; /* page */
    uint64_t n;     /* pages, skip included */
    uint32_t skip;  /* pages before those of the user */
    uint32_t kind;
} vrange_t;

typedef struct vspace {
    vrange_t *head;
    vrange_t *spare; /* by next */
    uint32_t n_spare;
    uint32_t n_ranges;
} vspace_t;

typedef struct vspace_want {
    uint64_t n;     /* pages for the user */
    uint64_t align; /* of its first page's number: a power of two */
    uint32_t skip;
    uint32_t kind;
} vspace_want_t;

#define VSPACE_SPARE 2u /* spare ranges that a take may need */

/* An empty window. pre: range is the caller's and stays. */
void vspace_init(vspace_t *vs, vrange_t *range, uint64_t first, uint64_t n);

/* Gives memory for ranges; it is kept. pre: aligned to 8. */
void vspace_give(vspace_t *vs, void *mem, size_t bytes);

/* The lowest place that fits. pre: n_spare >= VSPACE_SPARE. returns: null if none does. */
vrange_t *vspace_take(vspace_t *vs, vspace_want_t want);

/* The range of that kind whose user pages begin at page, or null. cost: linear. */
vrange_t *vspace_find(const vspace_t *vs, uint64_t page, uint32_t kind);

/* Makes r free and joins it with free neighbours. */
void vspace_put(vspace_t *vs, vrange_t *r);

/* True if the invariants hold for the window first, n. */
bool vspace_check(const vspace_t *vs, uint64_t first, uint64_t n);

#endif
