/* SPDX-License-Identifier: MIT
 * Bitmap of free frames. See frames.h. Floor: port, plain logic. */
#include "frames.h"

uint64_t frames_bytes(uint64_t n)
{
    uint64_t words = (n + 63) / 64;

    return 8 * (words + (words + 63) / 64);
}

void frames_init(frames_t *f, void *mem, uint64_t n)
{
    uint64_t words = (n + 63) / 64;

    *f = (frames_t){.bits = mem, .summary = (uint64_t *)mem + words, .n = n, .hint = words};
    for (uint64_t w = 0; w < frames_bytes(n) / 8; w++)
        f->bits[w] = 0;
}

bool frames_is_set(const frames_t *f, uint64_t i)
{
    return i < f->n && (f->bits[i / 64] >> (i % 64) & 1) != 0;
}

/* The bits of word i / 64 from i on, below end. */
static uint64_t mask_of(uint64_t i, uint64_t end)
{
    uint64_t low = ~0ull << (i % 64);

    return end / 64 > i / 64 ? low : low & ~(~0ull << (end % 64));
}

void frames_set(frames_t *f, uint64_t first, uint64_t count)
{
    uint64_t end = first + count;

    for (uint64_t i = first; i < end; i = (i / 64 + 1) * 64) {
        f->bits[i / 64] |= mask_of(i, end);
        f->summary[i / 4096] |= 1ull << (i / 64 % 64);
    }
    f->n_set += count;
    if (count != 0)
        f->hint = gmk_min64(f->hint, first / 64);
}

void frames_clear(frames_t *f, uint64_t first, uint64_t count)
{
    uint64_t end = first + count;

    for (uint64_t i = first; i < end; i = (i / 64 + 1) * 64) {
        f->bits[i / 64] &= ~mask_of(i, end);
        if (f->bits[i / 64] == 0)
            f->summary[i / 4096] &= ~(1ull << (i / 64 % 64));
    }
    f->n_set -= count;
}

/* The first word at or after w that has a set bit; the number of words if none has. */
static uint64_t next_word(const frames_t *f, uint64_t w)
{
    uint64_t words = (f->n + 63) / 64;

    for (uint64_t s = w / 64; s * 64 < words; s++) {
        uint64_t rest = f->summary[s] & (s == w / 64 ? ~0ull << (w % 64) : ~0ull);

        if (rest != 0)
            return s * 64 + gmk_lowest_bit64(rest);
    }
    return words;
}

/* The first set bit at or after i; n if none is. */
static uint64_t next_set(const frames_t *f, uint64_t i)
{
    uint64_t w = i / 64;
    uint64_t rest;

    if (i >= f->n)
        return f->n;
    rest = f->bits[w] & (~0ull << (i % 64));
    if (rest == 0) {
        w = next_word(f, w + 1);
        if (w * 64 >= f->n)
            return f->n;
        rest = f->bits[w];
    }
    return w * 64 + gmk_lowest_bit64(rest);
}

/* The first clear bit at or after i, below end; end if none is. */
static uint64_t next_clear(const frames_t *f, uint64_t i, uint64_t end)
{
    for (; i < end; i = (i / 64 + 1) * 64) {
        uint64_t rest = ~f->bits[i / 64] & mask_of(i, end);

        if (rest != 0)
            return i / 64 * 64 + gmk_lowest_bit64(rest);
    }
    return end;
}

bool frames_all_clear(const frames_t *f, uint64_t first, uint64_t count)
{
    return next_set(f, first) >= first + count;
}

uint64_t frames_take(frames_t *f)
{
    uint64_t i = next_set(f, f->hint * 64);

    f->hint = i / 64;
    if (i >= f->n)
        return FRAMES_NONE;
    frames_clear(f, i, 1);
    return i;
}

uint64_t frames_take_run(frames_t *f, frames_want_t want)
{
    uint64_t limit = gmk_min64(want.below, f->n);
    uint64_t i = f->hint * 64;

    if (want.count == 0 || want.count > f->n_set)
        return FRAMES_NONE;
    while ((i = gmk_align_up(next_set(f, i), want.align)) <= limit && want.count <= limit - i) {
        uint64_t end = next_clear(f, i, i + want.count);

        if (end == i + want.count) {
            frames_clear(f, i, want.count);
            return i;
        }
        i = end + 1;
    }
    return FRAMES_NONE;
}

uint64_t frames_find(const frames_t *f, uint64_t min, uint64_t *length)
{
    uint64_t i = next_set(f, f->hint * 64);

    while (i < f->n) {
        uint64_t end = next_clear(f, i, f->n);

        if (end - i >= min) {
            *length = end - i;
            return i;
        }
        i = next_set(f, end);
    }
    *length = 0;
    return FRAMES_NONE;
}
