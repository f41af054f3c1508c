/* SPDX-License-Identifier: MIT
 * At the limits, and words that only look wrong. */
#include "sched/sched.h"

struct box {
    void (*free)(void *p); /* not malloc( ) or free( ) of libc; not __atomic_load_n */
    int fall;
};

static const char *const text = "malloc(1) /* { */ __linux__ _Atomic";
static const char brace = '{';

#if defined(GMK_STRIP_TRACE) /* __linux__ */
int five(int a, int b, int c, int d, int e) {
#else
int five(int a, int b, int c, int d, int (*e)(int, int, int, int, int, int)) {
#endif
    return a + b + c + d;
}

static void fall(struct box *b, void *p)
{
    b->fall = 0;
    b->free(p);
    gmk_hal_memcpy(p, b, 4);
}

void seventy(int a)
{
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
    a++;
}
