/* SPDX-License-Identifier: MIT
 * What the fuzz targets share: reading choices from the input, and a check that ends the run.
 * Each fuzz_<name>.c has LLVMFuzzerTestOneInput; an input that is used up reads as zeros.
 * Floor: tests. */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include "ggmk/base/bits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bytes {
    const uint8_t *p;
    size_t n, at;
} bytes_t;

GMK_FN bool more(const bytes_t *b) { return b->at < b->n; }
GMK_FN uint8_t take8(bytes_t *b) { return b->at < b->n ? b->p[b->at++] : 0; }

GMK_FN uint16_t take16(bytes_t *b)
{
    uint16_t low = take8(b);

    return (uint16_t)(low | take8(b) << 8);
}

GMK_FN uint32_t take32(bytes_t *b)
{
    uint32_t low = take16(b);

    return low | (uint32_t)take16(b) << 16;
}

GMK_FN uint64_t take64(bytes_t *b)
{
    uint64_t low = take32(b);

    return low | (uint64_t)take32(b) << 32;
}

/* Of any size, small ones and those at the ends of the range often. */
GMK_FN uint64_t take_wide(bytes_t *b)
{
    uint8_t how = take8(b);

    switch (how >> 6) {
    case 0:
        return how & 63;
    case 1:
        return (uint64_t)0 - (how & 63);
    case 2:
        return ((uint64_t)1 << (how & 63)) + (uint64_t)(int8_t)take8(b);
    default:
        return take64(b);
    }
}

/* Puts the checks of a recording right, as far as the format can be followed, so that the
 * fuzzer need not guess them. */
GMK_FN void put_right(uint8_t *p, size_t n)
{
    size_t at = 0, size = 40;

    while (size >= 20 && size <= n - at) {
        uint32_t h = 0x811c9dc5u;

        for (size_t i = 0; i < size - 4; i++)
            h = (h ^ p[at + i]) * 0x01000193u;
        for (size_t i = 0; i < 4; i++)
            p[at + size - 4 + i] = (uint8_t)(h >> 8 * i);
        at += size;
        size = n - at >= 4 ? p[at] | (size_t)p[at + 1] << 8 | (size_t)p[at + 2] << 16 |
                                 (size_t)p[at + 3] << 24
                           : 0;
    }
}

#define FUZZ_CHECK(cond)                                                                           \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #cond);                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#endif
