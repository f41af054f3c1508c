// SPDX-License-Identifier: MIT
// DPDK rte_ring with elements by value, all synchronisation modes.
#include "ring.hpp"
#include <rte_ring.h>
#include <rte_ring_elem.h>

template <unsigned FLAGS> struct Rte {
    rte_ring *r;
    Rte()
    {
        ssize_t sz = rte_ring_get_memsize_elem(sizeof(Item), BENCH_RING_CAP);
        must(sz > 0, "rte_ring_get_memsize_elem");
        r = (rte_ring *)aligned_alloc(128, ((size_t)sz + 127) & ~(size_t)127);
        memset((void *)r, 0, (size_t)sz);
        must(rte_ring_init(r, "r", BENCH_RING_CAP, FLAGS) == 0, "rte_ring_init");
    }
    ~Rte() { free(r); }
    struct Prod {
        rte_ring *r;
        explicit Prod(Rte &q) : r(q.r) {}
        bool push(const Item &i) { return rte_ring_enqueue_elem(r, (void *)&i, sizeof i) == 0; }
        unsigned push_n(const Item *a, unsigned n)
        {
            return rte_ring_enqueue_burst_elem(r, a, sizeof *a, n, nullptr);
        }
    };
    struct Cons {
        rte_ring *r;
        explicit Cons(Rte &q) : r(q.r) {}
        bool pop(Item &i) { return rte_ring_dequeue_elem(r, &i, sizeof i) == 0; }
        unsigned pop_n(Item *a, unsigned n)
        {
            return rte_ring_dequeue_burst_elem(r, a, sizeof *a, n, nullptr);
        }
    };
};

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    spsc_rows<Rte<RING_F_SP_ENQ | RING_F_SC_DEQ>>("DPDK rte_ring SP/SC");
    mpmc_rows<Rte<0>>("DPDK rte_ring MP/MC");
    mpmc_rows<Rte<RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ>>("DPDK rte_ring HTS");
    mpmc_rows<Rte<RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ>>("DPDK rte_ring RTS");
    return 0;
}
