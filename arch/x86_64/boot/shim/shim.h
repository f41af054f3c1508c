/* SPDX-License-Identifier: MIT
 * What all parts of the loader shim share: errors, physical memory as bytes, small helpers.
 * Floor: arch. memmap, elf, acpi, info, requests and tables are plain C that touches nothing but
 * its arguments: they are tested and fuzzed as ordinary programs.
 * Source: ARCHITECTURE R17. */
#ifndef X86_64_SHIM_H
#define X86_64_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum shim_error {
    SHIM_OK,
#define SHIM_ERROR(name, what, why, remedy) SHIM_E_##name,
#include "errors.def"
#undef SHIM_ERROR
    SHIM_N_ERRORS
};

#define SHIM_PAGE 4096ull
#define SHIM_2M 0x200000ull
#define SHIM_4G 0x100000000ull
#define SHIM_HHDM 0xffff800000000000ull

/* Physical memory [0, bytes) as it lies at base. */
typedef struct shim_view {
    const uint8_t *base;
    uint64_t bytes;
} shim_view_t;

/* returns: where [phys, phys + bytes) can be read, null where it is not all in view. */
static inline const uint8_t *shim_at(const shim_view_t *v, uint64_t phys, uint64_t bytes)
{
    return phys <= v->bytes && bytes <= v->bytes - phys ? v->base + phys : NULL;
}

static inline uint64_t shim_down(uint64_t x, uint64_t align) { return x & ~(align - 1); }
/* pre: x <= 2^64 - align */
static inline uint64_t shim_up(uint64_t x, uint64_t align)
{
    return shim_down(x + align - 1, align);
}

/* From any address, aligned or not. */
static inline uint16_t shim_get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static inline uint32_t shim_get32(const uint8_t *p)
{
    uint32_t x;

    __builtin_memcpy(&x, p, sizeof(x));
    return x;
}

static inline uint64_t shim_get64(const uint8_t *p)
{
    uint64_t x;

    __builtin_memcpy(&x, p, sizeof(x));
    return x;
}

/* Loops, and no string instructions: those crawl under emulation. */
static inline void shim_copy(uint8_t *to, const uint8_t *from, uint64_t bytes)
{
    uint64_t i = 0;

    for (; i + 8 <= bytes; i += 8) {
        uint64_t x = shim_get64(from + i);

        __builtin_memcpy(to + i, &x, sizeof(x));
    }
    for (; i < bytes; i++)
        to[i] = from[i];
}

static inline void shim_zero(uint8_t *to, uint64_t bytes)
{
    const uint64_t x = 0;
    uint64_t i = 0;

    for (; i + 8 <= bytes; i += 8)
        __builtin_memcpy(to + i, &x, sizeof(x));
    for (; i < bytes; i++)
        to[i] = 0;
}

#endif
