/* SPDX-License-Identifier: MIT
 * Copies one ring element: the usual sizes in line, without a call.
 * Floor: F3. Source: SPEC R-3. */
#ifndef GMKI_ELEM_H
#define GMKI_ELEM_H

#include "ggmk/hal.h"

/* Any address, any type: the compiler may assume neither alignment nor identity. */
#define GMKI_RAW __attribute__((may_alias, packed))
typedef struct gmki_raw64 {
    uint64_t w[8];
} GMKI_RAW gmki_raw64_t;
typedef struct gmki_raw48 {
    uint64_t w[6];
} GMKI_RAW gmki_raw48_t;
typedef struct gmki_raw32 {
    uint64_t w[4];
} GMKI_RAW gmki_raw32_t;
typedef struct gmki_raw16 {
    uint64_t w[2];
} GMKI_RAW gmki_raw16_t;
typedef struct gmki_raw8 {
    uint64_t w[1];
} GMKI_RAW gmki_raw8_t;

GMK_FN void gmki_elem_copy(void *to, const void *from, uint32_t bytes)
{
    switch (bytes) {
    case 64:
        *(gmki_raw64_t *)to = *(const gmki_raw64_t *)from;
        return;
    case 48:
        *(gmki_raw48_t *)to = *(const gmki_raw48_t *)from;
        return;
    case 32:
        *(gmki_raw32_t *)to = *(const gmki_raw32_t *)from;
        return;
    case 16:
        *(gmki_raw16_t *)to = *(const gmki_raw16_t *)from;
        return;
    case 8:
        *(gmki_raw8_t *)to = *(const gmki_raw8_t *)from;
        return;
    default:
        gmk_hal_memcpy(to, from, bytes);
    }
}

#endif
