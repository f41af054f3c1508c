/* SPDX-License-Identifier: MIT
 * Slabs of small objects. See slab.h. Floor: port, plain logic. */
#include "slab.h"

#define MAGIC 0x51ab51abu

uint32_t slab_size(uint32_t class) { return SLAB_MIN << class; }

uint32_t slab_class(size_t bytes)
{
    return bytes <= SLAB_MIN ? 0 : gmk_log2_floor((uint32_t)(bytes - 1) / SLAB_MIN) + 1;
}

slab_t *slab_init(void *mem, uint32_t class)
{
    slab_t *s = mem;
    uint32_t n = (SLAB_BYTES - SLAB_HEADER) / slab_size(class);

    *s = (slab_t){.magic = MAGIC, .class = (uint16_t) class, .n_objs = (uint16_t)n};
    for (uint32_t i = n; i < SLAB_WORDS * 64; i++)
        s->live[i / 64] |= 1ull << (i % 64);
    return s;
}

void *slab_take(slab_t *s)
{
    for (uint32_t w = 0; w < SLAB_WORDS; w++) {
        uint32_t bit;

        if (~s->live[w] == 0)
            continue;
        bit = gmk_lowest_bit64(~s->live[w]);
        s->live[w] |= 1ull << bit;
        s->n_live++;
        return (char *)s + SLAB_HEADER + (size_t)(w * 64 + bit) * slab_size(s->class);
    }
    return NULL;
}

int slab_put(slab_t *s, uint32_t class, const void *p)
{
    uint64_t off = (uint64_t)((const char *)p - (const char *)s) - SLAB_HEADER;
    uint64_t i, bit;

    if (s->magic != MAGIC || s->class != class || off % slab_size(class) != 0)
        return -1;
    i = off / slab_size(class);
    if (i >= s->n_objs)
        return -1;
    bit = 1ull << (i % 64);
    if ((s->live[i / 64] & bit) == 0)
        return -1;
    s->live[i / 64] &= ~bit;
    s->n_live--;
    return 0;
}
