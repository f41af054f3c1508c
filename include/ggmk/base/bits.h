/* SPDX-License-Identifier: MIT
 * Powers of two, rounding and wrapping comparison.
 * Floor: F0. Source: SPEC T-19. */
#ifndef GGMK_BASE_BITS_H
#define GGMK_BASE_BITS_H

#include "ggmk/base/compiler.h"

/* True if x is 1, 2, 4, ...; false for 0. */
GMK_FN bool gmk_is_pow2(uint32_t x) { return x != 0 && (x & (x - 1)) == 0; }

/* Index of the highest set bit. pre: x != 0. */
GMK_FN uint32_t gmk_log2_floor(uint32_t x) { return 31u - (uint32_t)__builtin_clz(x); }

/* How many bits are set. */
GMK_FN uint32_t gmk_popcount32(uint32_t x)
{
    x -= x >> 1 & 0x55555555u;
    x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    return ((x + (x >> 4)) & 0x0f0f0f0fu) * 0x01010101u >> 24;
}

/* Index of the lowest set bit. pre: x != 0. */
GMK_FN uint32_t gmk_lowest_bit(uint32_t x) { return (uint32_t)__builtin_ctz(x); }

GMK_FN uint32_t gmk_lowest_bit64(uint64_t x) { return (uint32_t)__builtin_ctzll(x); }

/* Smallest power of two >= x; 1 for 0; 0 if it does not fit in 32 bits. */
GMK_FN uint32_t gmk_pow2_ceil(uint32_t x)
{
    if (x <= 1)
        return 1;
    if (x > 0x80000000u)
        return 0;
    return 1u << (gmk_log2_floor(x - 1) + 1);
}

/* Largest power of two <= x. pre: x != 0. */
GMK_FN uint32_t gmk_pow2_floor(uint32_t x) { return 1u << gmk_log2_floor(x); }

/* x rounded up to a multiple of a. pre: a is a power of two. */
GMK_FN uint64_t gmk_align_up(uint64_t x, uint64_t a) { return (x + a - 1) & ~(a - 1); }

GMK_FN uint32_t gmk_min32(uint32_t a, uint32_t b) { return a < b ? a : b; }
GMK_FN uint32_t gmk_max32(uint32_t a, uint32_t b) { return a > b ? a : b; }
GMK_FN uint64_t gmk_min64(uint64_t a, uint64_t b) { return a < b ? a : b; }
GMK_FN uint64_t gmk_max64(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* a * m / 2^32, without overflow on the way. pre: the result has 64 bits. */
GMK_FN uint64_t gmk_mul_shift32(uint64_t a, uint64_t m)
{
    uint64_t lo = a & 0xffffffff;

    return (a >> 32) * m + lo * (m >> 32) + ((lo * (m & 0xffffffff)) >> 32);
}

/* a is before b on the 32-bit circle. pre: they are less than 2^31 apart. */
GMK_FN bool gmk_before32(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }

/* One step of xorshift64*; the state must not be 0. */
GMK_FN uint64_t gmk_rand_next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545F4914F6CDD1Dull;
}

#endif
