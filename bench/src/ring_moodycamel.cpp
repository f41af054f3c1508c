// SPDX-License-Identifier: MIT
// moodycamel ConcurrentQueue with producer and consumer tokens. It is unbounded and keeps
// the order of each producer only.
#include "ring.hpp"
#include <concurrentqueue/concurrentqueue.h>

// enqueue() allocates blocks as it needs them: with try_enqueue on preallocated blocks it
// runs dry and stalls with 4 producers.
struct CQ {
    moodycamel::ConcurrentQueue<Item> q;
    CQ() : q(BENCH_RING_CAP, 8, 0) {}
    struct Prod {
        moodycamel::ConcurrentQueue<Item> &q;
        moodycamel::ProducerToken t;
        explicit Prod(CQ &x) : q(x.q), t(x.q) {}
        bool push(const Item &i) { return q.enqueue(t, i); }
        unsigned push_n(const Item *a, unsigned n) { return q.enqueue_bulk(t, a, n) ? n : 0; }
    };
    struct Cons {
        moodycamel::ConcurrentQueue<Item> &q;
        moodycamel::ConsumerToken t;
        explicit Cons(CQ &x) : q(x.q), t(x.q) {}
        bool pop(Item &i) { return q.try_dequeue(t, i); }
        unsigned pop_n(Item *a, unsigned n) { return (unsigned)q.try_dequeue_bulk(t, a, n); }
    };
};

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    mpmc_rows<CQ>("moodycamel ConcurrentQueue (unbounded)");
    return 0;
}
