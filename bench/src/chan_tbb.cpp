// SPDX-License-Identifier: MIT
// oneTBB: parallel_pipeline and a flow graph, each on a task_arena of 2, and
// concurrent_bounded_queue between threads, which is also its fan-out.
#include "chan.hpp"
#include <oneapi/tbb.h>

struct Bounded {
    tbb::concurrent_bounded_queue<msg> q;
    Bounded() { q.set_capacity(BENCH_RING_CAP); }
    unsigned put(const msg *m, unsigned)
    {
        q.push(*m);
        return 1;
    }
    unsigned get(msg *m, unsigned)
    {
        q.pop(*m);
        return 1;
    }
};

struct Run {
    uint64_t n, next;
    uint32_t steps;
    sums s;

    msg make()
    {
        msg m = {};
        chan_make(&m.v[0], &m.v[1], next);
        chan_work(next++, steps);
        return m;
    }
    msg change(msg m) const
    {
        chan_transform(&m.v[0], &m.v[1]);
        chan_work(m.v[0], steps);
        return m;
    }
    void keep(const msg &m)
    {
        chan_work(m.v[0], steps);
        chan_add(&s, m.v[0], m.v[1]);
    }
};

static void pipeline(Run &r)
{
    using tbb::filter_mode;

    tbb::parallel_pipeline(
        BENCH_RING_CAP,
        tbb::make_filter<void, msg>(filter_mode::serial_in_order, [&](tbb::flow_control &f) {
            if (r.next < r.n)
                return r.make();
            f.stop();
            return msg{};
        }) & tbb::make_filter<msg, msg>(filter_mode::serial_in_order, [&](const msg &m) {
            return r.change(m);
        }) & tbb::make_filter<msg, void>(filter_mode::serial_in_order, [&](const msg &m) {
            r.keep(m);
        }));
}

// transform pulls from the source; what it has made waits before store, at most as many as
// the limiter lets in.
static void graph(Run &r)
{
    namespace flow = tbb::flow;
    flow::graph g;
    flow::input_node<msg> ingest(g, [&](tbb::flow_control &f) {
        if (r.next < r.n)
            return r.make();
        f.stop();
        return msg{};
    });
    flow::limiter_node<msg> limit(g, BENCH_RING_CAP);
    flow::function_node<msg, msg> transform(g, flow::serial,
                                            [&](const msg &m) { return r.change(m); });
    flow::function_node<msg, flow::continue_msg> store(g, flow::serial, [&](const msg &m) {
        r.keep(m);
        return flow::continue_msg();
    });

    flow::make_edge(ingest, limit);
    flow::make_edge(limit, transform);
    flow::make_edge(transform, store);
    flow::make_edge(store, limit.decrementer());
    ingest.activate();
    g.wait_for_all();
}

static void row(const char *name, const char *who, void (*run)(Run &), uint64_t n, uint32_t steps)
{
    tbb::task_arena two(2, 1);
    Run r = {n, 0, steps, {0, 0}};

    if (!bench_wants(name))
        return;
    two.execute([] { tbb::parallel_for(0, 1000, [](int) {}); });
    uint64_t t0 = now_ns();
    two.execute([&] { run(r); });
    uint64_t dt = now_ns() - t0;
    chan_check_pipeline(r.s, n);
    result(name, who, m_per_s(n, dt), "M msg/s");
}

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    tbb::global_control gc(tbb::global_control::max_allowed_parallelism, 3);
    row(ROW_PIPELINE, "oneTBB parallel_pipeline", pipeline, CHAN_MSGS, 0);
    row(ROW_PIPELINE, "oneTBB flow graph", graph, CHAN_MSGS, 0);
    row(ROW_PIPELINE_1US, "oneTBB parallel_pipeline", pipeline, CHAN_MSGS_1US, CHAN_STEPS);
    row(ROW_PIPELINE_1US, "oneTBB flow graph", graph, CHAN_MSGS_1US, CHAN_STEPS);
    chan_rows<Bounded, 1>("oneTBB concurrent_bounded_queue");
    return 0;
}
