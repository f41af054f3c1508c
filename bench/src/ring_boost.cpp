// SPDX-License-Identifier: MIT
// Boost.Lockfree: spsc_queue and queue.
#include "ring.hpp"
#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>

struct Spsc {
    boost::lockfree::spsc_queue<Item, boost::lockfree::capacity<BENCH_RING_CAP>> q;
    struct Prod {
        Spsc &s;
        explicit Prod(Spsc &x) : s(x) {}
        bool push(const Item &i) { return s.q.push(i); }
        unsigned push_n(const Item *a, unsigned n) { return (unsigned)s.q.push(a, n); }
    };
    struct Cons {
        Spsc &s;
        explicit Cons(Spsc &x) : s(x) {}
        bool pop(Item &i) { return s.q.pop(i); }
        unsigned pop_n(Item *a, unsigned n) { return (unsigned)s.q.pop(a, n); }
    };
};

struct Mpmc {
    boost::lockfree::queue<Item, boost::lockfree::capacity<BENCH_RING_CAP>> q;
    bool push(const Item &i) { return q.bounded_push(i); }
    bool pop(Item &i) { return q.pop(i); }
    using Prod = PlainProd<Mpmc>;
    using Cons = PlainCons<Mpmc>;
};

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    spsc_rows<Spsc>("Boost spsc_queue");
    mpmc_rows<Mpmc>("Boost lockfree queue");
    return 0;
}
