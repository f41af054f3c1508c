// SPDX-License-Identifier: MIT
// The channel rows of peers that are queues between threads: a thread a stage, not pinned.
// A Link has put(const msg *, n) and get(msg *, n): how many went, at least one; where it
// does not block by itself it waits by wait_for below. LOT is how many the stages move at once.
#pragma once
#include "chan.h"
#include <memory>
#include <thread>
#include <vector>

// Until f moves something: a spin, then the processor to others (3 or 4 threads, 2 cores).
template <class F> static unsigned wait_for(F f)
{
    backoff b = {0, 1};
    unsigned k;

    while ((k = f()) == 0)
        backoff_wait(&b);
    return k;
}

template <class Link> static void put_all(Link &l, const msg *m, unsigned n)
{
    for (unsigned d = 0; d < n;)
        d += l.put(m + d, n - d);
}

template <class Link, unsigned LOT> struct Stages {
    static void ingest(std::vector<Link *> out, uint64_t n, uint32_t steps)
    {
        msg m[LOT] = {};

        for (uint64_t i = 0; i < n;) {
            unsigned k = (unsigned)(n - i < LOT ? n - i : LOT);
            for (unsigned j = 0; j < k; j++, i++) {
                chan_make(&m[j].v[0], &m[j].v[1], i);
                chan_work(i, steps);
            }
            for (Link *l : out)
                put_all(*l, m, k);
        }
    }

    static void transform(Link &in, Link &out, uint64_t n, uint32_t steps)
    {
        msg m[LOT];

        for (uint64_t i = 0; i < n;) {
            unsigned k = in.get(m, LOT);
            for (unsigned j = 0; j < k; j++) {
                chan_transform(&m[j].v[0], &m[j].v[1]);
                chan_work(m[j].v[0], steps);
            }
            put_all(out, m, k);
            i += k;
        }
    }

    static void store(Link &in, sums &s, uint64_t n, uint32_t steps)
    {
        msg m[LOT];
        sums mine = {0, 0};

        for (uint64_t i = 0; i < n;) {
            unsigned k = in.get(m, LOT);
            for (unsigned j = 0; j < k; j++) {
                chan_work(m[j].v[0], steps);
                chan_add(&mine, m[j].v[0], m[j].v[1]);
            }
            i += k;
        }
        s = mine;
    }
};

template <class Link, unsigned LOT>
static void pipeline_row(const char *row, const char *who, uint64_t n, uint32_t steps)
{
    using S = Stages<Link, LOT>;
    sums s = {0, 0};

    if (!bench_wants(row))
        return;
    auto a = std::make_unique<Link>(), b = std::make_unique<Link>();
    uint64_t t0 = now_ns();
    std::thread t1([&] { S::transform(*a, *b, n, steps); });
    std::thread t2([&] { S::store(*b, s, n, steps); });
    S::ingest({a.get()}, n, steps);
    t1.join();
    t2.join();
    uint64_t dt = now_ns() - t0;
    chan_check_pipeline(s, n);
    result(row, who, m_per_s(n, dt), "M msg/s");
}

template <class Link, unsigned LOT> static void fanout_row(const char *who)
{
    using S = Stages<Link, LOT>;
    std::unique_ptr<Link> q[FANOUT];
    std::vector<Link *> out;
    std::vector<std::thread> t;
    sums s[FANOUT] = {};

    if (!bench_wants(ROW_FANOUT))
        return;
    for (auto &x : q) {
        x = std::make_unique<Link>();
        out.push_back(x.get());
    }
    uint64_t t0 = now_ns();
    for (unsigned c = 0; c < FANOUT; c++)
        t.emplace_back([&, c] { S::store(*q[c], s[c], CHAN_MSGS, 0); });
    S::ingest(out, CHAN_MSGS, 0);
    for (auto &x : t)
        x.join();
    uint64_t dt = now_ns() - t0;
    for (auto &x : s)
        chan_check_fanout(x, CHAN_MSGS);
    result(ROW_FANOUT, who, m_per_s((uint64_t)FANOUT * CHAN_MSGS, dt), "M msg/s");
}

template <class Link, unsigned LOT> static void chan_rows(const char *who)
{
    pipeline_row<Link, LOT>(ROW_PIPELINE, who, CHAN_MSGS, 0);
    pipeline_row<Link, LOT>(ROW_PIPELINE_1US, who, CHAN_MSGS_1US, CHAN_STEPS);
    fanout_row<Link, LOT>(who);
}
