// SPDX-License-Identifier: MIT
// A DPDK ring a link (one producer, one consumer, messages by value), in bursts of 32.
#include "chan.hpp"
#include <rte_ring.h>
#include <rte_ring_elem.h>

struct Rte {
    rte_ring *r;
    Rte()
    {
        ssize_t sz = rte_ring_get_memsize_elem(sizeof(msg), BENCH_RING_CAP);
        must(sz > 0, "rte_ring_get_memsize_elem");
        r = (rte_ring *)aligned_alloc(128, ((size_t)sz + 127) & ~(size_t)127);
        memset((void *)r, 0, (size_t)sz);
        must(rte_ring_init(r, "r", BENCH_RING_CAP, RING_F_SP_ENQ | RING_F_SC_DEQ) == 0,
             "rte_ring_init");
    }
    ~Rte() { free(r); }
    unsigned put(const msg *m, unsigned n)
    {
        return wait_for([&] { return rte_ring_enqueue_burst_elem(r, m, sizeof *m, n, nullptr); });
    }
    unsigned get(msg *m, unsigned n)
    {
        return wait_for([&] { return rte_ring_dequeue_burst_elem(r, m, sizeof *m, n, nullptr); });
    }
};

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    chan_rows<Rte, CHAN_LOT>("DPDK rte_ring SP/SC, bursts of 32");
    return 0;
}
