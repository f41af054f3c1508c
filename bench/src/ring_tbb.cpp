// SPDX-License-Identifier: MIT
// oneTBB concurrent_bounded_queue and concurrent_queue.
#include "ring.hpp"
#include <oneapi/tbb/concurrent_queue.h>

struct Bounded {
    tbb::concurrent_bounded_queue<Item> q;
    Bounded() { q.set_capacity(BENCH_RING_CAP); }
    bool push(const Item &i) { return q.try_push(i); }
    bool pop(Item &i) { return q.try_pop(i); }
    using Prod = PlainProd<Bounded>;
    using Cons = PlainCons<Bounded>;
};

struct Unbounded {
    tbb::concurrent_queue<Item> q;
    bool push(const Item &i)
    {
        q.push(i);
        return true;
    }
    bool pop(Item &i) { return q.try_pop(i); }
    using Prod = PlainProd<Unbounded>;
    using Cons = PlainCons<Unbounded>;
};

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    mpmc_rows<Bounded>("oneTBB concurrent_bounded_queue");
    mpmc_rows<Unbounded>("oneTBB concurrent_queue (unbounded)");
    return 0;
}
