/* SPDX-License-Identifier: MIT
 * Prints the cost in ns of moving a cache line between core 0 and core 1, one way (a few
 * ms). The host of a virtual machine moves the cores about: near (one core complex) or
 * far, four times as slow. bench/run keeps only runs with near before and near after. */
#include "bench.h"
#include <stdatomic.h>

enum { N = 40000 };
static _Alignas(128) _Atomic uint64_t v;

static void step(uint64_t from)
{
    for (uint64_t e = from; !atomic_compare_exchange_weak(&v, &e, from + 1); e = from) {
    }
}

static void *other(void *a)
{
    (void)a;
    pin(1);
    for (uint64_t i = 0; i < N; i++)
        step(2 * i + 1);
    return NULL;
}

int main(void)
{
    pthread_t t;
    uint64_t t0 = 0;

    pin(0);
    must(pthread_create(&t, NULL, other, NULL) == 0, "thread");
    for (uint64_t i = 0; i < N; i++) {
        step(2 * i);
        if (i == N / 8)
            t0 = now_ns();
    }
    printf("%.1f\n", (double)(now_ns() - t0) / (2.0 * (N - N / 8)));
    pthread_join(t, NULL);
    return 0;
}
