/* SPDX-License-Identifier: MIT
 * String functions. See memops.h.
 * Floor: port. GMK_KEEP_ORDER in a loop keeps the compiler from seeing memcpy or memset in it,
 * which it would replace by a call of itself. */
#include "memops.h"

/* Eight bytes at any address, of any type. */
typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;

#define BLOCK 64u /* bytes a turn of the long loops */

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *p = a, *q = b;

    for (; n >= 8 && *(const word_t *)p == *(const word_t *)q; n -= 8) {
        p += 8;
        q += 8;
    }
    for (; n > 0; n--, p++, q++)
        if (*p != *q)
            return *p < *q ? -1 : 1;
    return 0;
}

/* All of a block is loaded before any of it is stored: good for overlaps in either direction. */
static void move_block(uint8_t *to, const uint8_t *from)
{
    const word_t *f = (const word_t *)from;
    word_t *t = (word_t *)to;
    uint64_t w0 = f[0], w1 = f[1], w2 = f[2], w3 = f[3];
    uint64_t w4 = f[4], w5 = f[5], w6 = f[6], w7 = f[7];

    GMK_KEEP_ORDER();
    t[0] = w0, t[1] = w1, t[2] = w2, t[3] = w3;
    t[4] = w4, t[5] = w5, t[6] = w6, t[7] = w7;
}

static void move_up(uint8_t *to, const uint8_t *from, size_t n)
{
    for (; n >= BLOCK; n -= BLOCK, to += BLOCK, from += BLOCK)
        move_block(to, from);
    for (; n >= 8; n -= 8, to += 8, from += 8) {
        *(word_t *)to = *(const word_t *)from;
        GMK_KEEP_ORDER();
    }
    for (; n > 0; n--) {
        *to++ = *from++;
        GMK_KEEP_ORDER();
    }
}

static void move_down(uint8_t *to, const uint8_t *from, size_t n)
{
    to += n;
    from += n;
    for (; n >= BLOCK; n -= BLOCK) {
        to -= BLOCK;
        from -= BLOCK;
        move_block(to, from);
    }
    for (; n >= 8; n -= 8) {
        to -= 8;
        from -= 8;
        *(word_t *)to = *(const word_t *)from;
        GMK_KEEP_ORDER();
    }
    for (; n > 0; n--) {
        *--to = *--from;
        GMK_KEEP_ORDER();
    }
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    move_up(to, from, n);
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    if ((uintptr_t)to - (uintptr_t)from >= n) /* to is below, or above the end */
        move_up(to, from, n);
    else
        move_down(to, from, n);
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    uint64_t w = (uint8_t)byte * 0x0101010101010101ull;
    uint8_t *p = to;

    for (; n >= BLOCK; n -= BLOCK, p += BLOCK) {
        word_t *t = (word_t *)p;

        t[0] = w, t[1] = w, t[2] = w, t[3] = w;
        t[4] = w, t[5] = w, t[6] = w, t[7] = w;
        GMK_KEEP_ORDER();
    }
    for (; n >= 8; n -= 8, p += 8) {
        *(word_t *)p = w;
        GMK_KEEP_ORDER();
    }
    for (; n > 0; n--) {
        *p++ = (uint8_t)byte;
        GMK_KEEP_ORDER();
    }
    return to;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n > 0; n--, a++, b++) {
        if (*a != *b)
            return (uint8_t)*a < (uint8_t)*b ? -1 : 1;
        if (*a == '\0')
            return 0;
    }
    return 0;
}

char *strncpy(char *restrict to, const char *restrict from, size_t n)
{
    size_t i = 0;

    for (; i < n && from[i] != '\0'; i++)
        to[i] = from[i];
    for (; i < n; i++) {
        to[i] = '\0';
        GMK_KEEP_ORDER();
    }
    return to;
}
