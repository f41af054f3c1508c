// SPDX-License-Identifier: MIT
// moodycamel queues as links between threads. All of them block by themselves; the
// ConcurrentQueue has no bound, and moves many at a time with its tokens.
#include "chan.hpp"
#include <concurrentqueue/blockingconcurrentqueue.h>
#include <readerwriterqueue/readerwritercircularbuffer.h>
#include <readerwriterqueue/readerwriterqueue.h>

struct Circular {
    moodycamel::BlockingReaderWriterCircularBuffer<msg> q{BENCH_RING_CAP};
    unsigned put(const msg *m, unsigned)
    {
        q.wait_enqueue(*m);
        return 1;
    }
    unsigned get(msg *m, unsigned)
    {
        q.wait_dequeue(*m);
        return 1;
    }
};

// Its blocking kind waits for a message; for room one must look again.
struct ReaderWriter {
    moodycamel::BlockingReaderWriterQueue<msg> q{BENCH_RING_CAP};
    unsigned put(const msg *m, unsigned)
    {
        return wait_for([&] { return q.try_enqueue(*m) ? 1u : 0u; });
    }
    unsigned get(msg *m, unsigned)
    {
        q.wait_dequeue(*m);
        return 1;
    }
};

struct Concurrent {
    moodycamel::BlockingConcurrentQueue<msg> q{BENCH_RING_CAP};
    moodycamel::ProducerToken p{q};
    moodycamel::ConsumerToken c{q};
    unsigned put(const msg *m, unsigned n)
    {
        must(q.enqueue_bulk(p, m, n), "enqueue_bulk");
        return n;
    }
    unsigned get(msg *m, unsigned n) { return (unsigned)q.wait_dequeue_bulk(c, m, n); }
};

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    chan_rows<Circular, 1>("moodycamel BlockingReaderWriterCircularBuffer");
    chan_rows<ReaderWriter, 1>("moodycamel BlockingReaderWriterQueue");
    chan_rows<Concurrent, CHAN_LOT>("moodycamel BlockingConcurrentQueue, 32 at once");
    return 0;
}
