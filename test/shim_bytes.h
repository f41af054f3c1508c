/* SPDX-License-Identifier: MIT
 * Sizes, kinds of memory and little-endian words for the tests of the loader shim.
 * Floor: tests. */
#ifndef TEST_SHIM_BYTES_H
#define TEST_SHIM_BYTES_H

#include "ggmk/test.h"

#define KIB(n) ((n)*1024ull)
#define MIB(n) ((n)*1024ull * 1024)
#define GIB(n) ((n)*1024ull * 1024 * 1024)

enum { RAM = 1, E820_RESERVED, E820_ACPI, E820_NVS, E820_BAD };

GMK_FN void put16(uint8_t *p, uint64_t x)
{
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
}
GMK_FN void put32(uint8_t *p, uint64_t x)
{
    put16(p, x);
    put16(p + 2, x >> 16);
}
GMK_FN void put64(uint8_t *p, uint64_t x)
{
    put32(p, x);
    put32(p + 4, x >> 32);
}

#endif
