// SPDX-License-Identifier: MIT
// xenium: Vyukov's bounded queue.
#include "ring.hpp"
#include <xenium/vyukov_bounded_queue.hpp>

struct Vyukov {
    xenium::vyukov_bounded_queue<Item> q{BENCH_RING_CAP};
    bool push(const Item &i) { return q.try_push(i); }
    bool pop(Item &i) { return q.try_pop(i); }
    using Prod = PlainProd<Vyukov>;
    using Cons = PlainCons<Vyukov>;
};

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    mpmc_rows<Vyukov>("xenium Vyukov queue");
    return 0;
}
