// SPDX-License-Identifier: MIT
// ConcurrencyKit ck_ring, items by value.
#include "ring.hpp"
extern "C" {
#define false 0 // ck_ring.h 0.7.1 returns `false` from a pointer function, an error in C++
#include <ck_ring.h>
#undef false
}

struct CkBase {
    ck_ring_t r;
    Item *buf;
    CkBase()
    {
        buf = (Item *)aligned_alloc(64, sizeof(Item) * BENCH_RING_CAP);
        memset((void *)buf, 0, sizeof(Item) * BENCH_RING_CAP);
        ck_ring_init(&r, BENCH_RING_CAP);
    }
    ~CkBase() { free(buf); }
};

struct CkSpsc : CkBase {
    bool push(const Item &i) { return _ck_ring_enqueue_sp(&r, buf, &i, sizeof i, nullptr); }
    bool pop(Item &i) { return _ck_ring_dequeue_sc(&r, buf, &i, sizeof i); }
    using Prod = PlainProd<CkSpsc>;
    using Cons = PlainCons<CkSpsc>;
};

struct CkMpmc : CkBase {
    bool push(const Item &i) { return _ck_ring_enqueue_mp(&r, buf, &i, sizeof i, nullptr); }
    bool pop(Item &i) { return _ck_ring_dequeue_mc(&r, buf, &i, sizeof i); }
    using Prod = PlainProd<CkMpmc>;
    using Cons = PlainCons<CkMpmc>;
};

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    spsc_rows<CkSpsc>("ConcurrencyKit ck_ring");
    mpmc_rows<CkMpmc>("ConcurrencyKit ck_ring");
    return 0;
}
