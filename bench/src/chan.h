/* SPDX-License-Identifier: MIT
 * What the channel rows send, and the work of their stages; C11 and C++.
 * pipeline: ingest makes message i, transform changes it, store sums it up.
 * fanout: ingest makes message i, each of FANOUT subscribers sums it up.
 * Every link is bounded at BENCH_RING_CAP where the peer can be, nothing is lost, and the
 * sums of both words prove it. */
#ifndef BENCH_CHAN_H
#define BENCH_CHAN_H
#include "bench.h"

#define CHAN_MSGS BENCH_TASKS
#define CHAN_MSGS_1US 200000u
#define FANOUT 3u
#define CHAN_LOT 32u /* messages at a time, where a peer moves several */

/* Steps of four cycles each (a multiplication and an addition that wait for each other), the
 * same count for everybody: about 1 us at 3.7 GHz. */
#define CHAN_STEPS 920u

struct msg {
    uint64_t v[8];
};

struct sums {
    uint64_t a, b;
};

/* pre: steps is 0 or CHAN_STEPS. */
static inline void chan_work(uint64_t x, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        __asm__ volatile("" : "+r"(x)); /* step by step: compilers know how to leap */
    }
}

static inline void chan_make(uint64_t *a, uint64_t *b, uint64_t i)
{
    *a = i;
    *b = 7 * i + 3;
}

static inline void chan_transform(uint64_t *a, uint64_t *b)
{
    *a = 3 * *a + 1;
    *b += *a;
}

static inline void chan_add(struct sums *s, uint64_t a, uint64_t b)
{
    s->a += a;
    s->b += b;
}

static inline void chan_check_pipeline(struct sums s, uint64_t n)
{
    must(s.a == 3 * (n * (n - 1) / 2) + n && s.b == 10 * (n * (n - 1) / 2) + 4 * n,
         "pipeline checksum");
}

static inline void chan_check_fanout(struct sums s, uint64_t n)
{
    must(s.a == n * (n - 1) / 2 && s.b == 7 * (n * (n - 1) / 2) + 3 * n, "fan-out checksum");
}
#endif
