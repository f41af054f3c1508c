// SPDX-License-Identifier: MIT
// A Boost spsc_queue a link, by single messages and by 32.
#include "chan.hpp"
#include <boost/lockfree/spsc_queue.hpp>

struct Spsc {
    boost::lockfree::spsc_queue<msg, boost::lockfree::capacity<BENCH_RING_CAP>> q;
    unsigned put(const msg *m, unsigned)
    {
        return wait_for([&] { return q.push(*m) ? 1u : 0u; });
    }
    unsigned get(msg *m, unsigned)
    {
        return wait_for([&] { return q.pop(*m) ? 1u : 0u; });
    }
};

struct SpscLots {
    boost::lockfree::spsc_queue<msg, boost::lockfree::capacity<BENCH_RING_CAP>> q;
    unsigned put(const msg *m, unsigned n)
    {
        return wait_for([&] { return (unsigned)q.push(m, n); });
    }
    unsigned get(msg *m, unsigned n)
    {
        return wait_for([&] { return (unsigned)q.pop(m, n); });
    }
};

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    chan_rows<Spsc, 1>("Boost spsc_queue");
    chan_rows<SpscLots, CHAN_LOT>("Boost spsc_queue, 32 at once");
    return 0;
}
