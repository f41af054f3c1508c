// SPDX-License-Identifier: MIT
// moodycamel ReaderWriterQueue and its circular buffer, one producer and one consumer.
#include "ring.hpp"
#include <readerwriterqueue/readerwritercircularbuffer.h>
#include <readerwriterqueue/readerwriterqueue.h>

template <class T> struct Rw {
    T q{BENCH_RING_CAP};
    bool push(const Item &i) { return q.try_enqueue(i); }
    bool pop(Item &i) { return q.try_dequeue(i); }
    using Prod = PlainProd<Rw>;
    using Cons = PlainCons<Rw>;
};

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    spsc_rows<Rw<moodycamel::ReaderWriterQueue<Item>>>("moodycamel ReaderWriterQueue");
    spsc_rows<Rw<moodycamel::BlockingReaderWriterCircularBuffer<Item>>>(
        "moodycamel circular buffer");
    return 0;
}
