/* SPDX-License-Identifier: MIT
 * What several tests do with texts, records and numbers.
 * Floor: tests. */
#ifndef TEST_BYTES_H
#define TEST_BYTES_H

#include "ggmk/base/compiler.h"

/* Whether part stands in text; an empty one does. */
GMK_FN bool text_has(const char *text, const char *part)
{
    for (; *text != '\0'; text++) {
        size_t i = 0;

        while (part[i] != '\0' && text[i] == part[i])
            i++;
        if (part[i] == '\0')
            return true;
    }
    return *part == '\0';
}

/* Sets the check of a recording's record of n bytes, so that what was altered in it passes for
 * sound. */
GMK_FN void record_reseal(uint8_t *p, uint32_t n)
{
    uint32_t h = 0x811c9dc5u;

    for (uint32_t i = 0; i < n - 4; i++)
        h = (h ^ p[i]) * 0x01000193u;
    for (uint32_t i = 0; i < 4; i++)
        p[n - 4 + i] = (uint8_t)(h >> 8 * i);
}

/* A number that looks drawn, always the same for x. */
GMK_FN uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x7fb5d329728ea185ull;
    x ^= x >> 27;
    x *= 0x81dadef4bc2dd44dull;
    return x ^ x >> 33;
}

#endif
