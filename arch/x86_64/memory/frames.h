/* SPDX-License-Identifier: MIT
 * A bitmap of free frames (or pages) with a summary, and searches in it.
 * Floor: port, plain logic.
 * Invariants: bit w of summary is set iff bits[w] != 0; n_set is the number of set bits; a set
 *   bit is a free frame; bits from n on are clear.
 * Threads: one at a time.
 * Source: SPEC BM-22. */
#ifndef X86_FRAMES_H
#define X86_FRAMES_H

#include "ggmk/base/bits.h"

#define FRAMES_NONE UINT64_MAX

typedef struct frames {
    uint64_t *bits;
    uint64_t *summary;
    uint64_t n;
    uint64_t n_set;
    uint64_t hint; /* no bit is set in a word of bits before this one */
} frames_t;

typedef struct frames_want {
    uint64_t count;
    uint64_t align; /* a power of two: of the first frame's number */
    uint64_t below; /* the run ends at or before this frame */
} frames_want_t;

/* Bytes that the maps of n frames take; a multiple of 8. */
uint64_t frames_bytes(uint64_t n);

/* All clear. pre: mem has frames_bytes(n) bytes, at a multiple of 8. */
void frames_init(frames_t *f, void *mem, uint64_t n);

bool frames_is_set(const frames_t *f, uint64_t i);

/* True if none of the count frames is set. pre: they are below n. */
bool frames_all_clear(const frames_t *f, uint64_t first, uint64_t count);

/* pre of both: all of them have the other state, and are below n. */
void frames_set(frames_t *f, uint64_t first, uint64_t count);
void frames_clear(frames_t *f, uint64_t first, uint64_t count);

/* Clears the lowest set bit. returns: its number or FRAMES_NONE. cost: two words, mostly. */
uint64_t frames_take(frames_t *f);

/* Clears the lowest run that fits. returns: its first number or FRAMES_NONE. */
uint64_t frames_take_run(frames_t *f, frames_want_t want);

/* The lowest run of at least min set bits. returns: its first number, its whole length in
 * *length; FRAMES_NONE: there is none. */
uint64_t frames_find(const frames_t *f, uint64_t min, uint64_t *length);

#endif
