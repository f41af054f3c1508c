// SPDX-License-Identifier: MIT
// atomic_queue: AtomicQueue2 (elements of any type), SPSC and MPMC.
#include "ring.hpp"
#include <atomic_queue/atomic_queue.h>

template <bool SPSC> struct AQ {
    atomic_queue::AtomicQueue2<Item, BENCH_RING_CAP, true, true, false, SPSC> q;
    bool push(const Item &i) { return q.try_push(i); }
    bool pop(Item &i) { return q.try_pop(i); }
    using Prod = PlainProd<AQ>;
    using Cons = PlainCons<AQ>;
};

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    spsc_rows<AQ<true>>("atomic_queue");
    mpmc_rows<AQ<false>>("atomic_queue");
    return 0;
}
