/* SPDX-License-Identifier: MIT
 * The cost in ns of moving a cache line between core 0 and core 1, one way (a few ms): by
 * compare-and-swap of a word, or by a store here that a load there waits for. C11. */
#ifndef LINE_H
#define LINE_H
#include "bench.h"
#include <stdatomic.h>

#define LINE_TURNS 40000

struct line {
    _Alignas(128) _Atomic uint64_t v;
    _Alignas(128) int plain;
    uint64_t took_ns;
};

static inline void line_step(struct line *l, uint64_t from)
{
    if (l->plain) {
        while (atomic_load_explicit(&l->v, memory_order_acquire) != from) {
        }
        atomic_store_explicit(&l->v, from + 1, memory_order_release);
    } else {
        for (uint64_t e = from; !atomic_compare_exchange_weak(&l->v, &e, from + 1); e = from) {
        }
    }
}

static void *line_other(void *a)
{
    struct line *l = (struct line *)a;

    pin(1);
    for (uint64_t i = 0; i < LINE_TURNS; i++)
        line_step(l, 2 * i + 1);
    return NULL;
}

static void *line_this(void *a)
{
    struct line *l = (struct line *)a;
    uint64_t t0 = 0;

    pin(0);
    for (uint64_t i = 0; i < LINE_TURNS; i++) {
        line_step(l, 2 * i);
        if (i == LINE_TURNS / 8)
            t0 = now_ns();
    }
    l->took_ns = now_ns() - t0;
    return NULL;
}

/* On threads of its own: the caller is not pinned by it. */
static inline double line_ns(int plain)
{
    struct line l = {.plain = plain};
    pthread_t here, there;

    must(pthread_create(&there, NULL, line_other, &l) == 0, "thread");
    must(pthread_create(&here, NULL, line_this, &l) == 0, "thread");
    pthread_join(there, NULL);
    pthread_join(here, NULL);
    return (double)l.took_ns / (2.0 * (LINE_TURNS - LINE_TURNS / 8));
}

static inline double line_cas_ns(void) { return line_ns(0); }
static inline double line_plain_ns(void) { return line_ns(1); }
#endif
