// SPDX-License-Identifier: MIT
// Harness for task runtimes of others. The task's body is tick(): one per-thread count.
//   submit: one outside thread submits BENCH_TASKS tasks, 2 workers run them
//   chain:  each task spawns the next, BENCH_TASKS long
//   tree:   each task spawns two, BENCH_TREE_TASKS in all, 2 workers or 1
//   start:  submit to start of the handler, workers parked, median
#pragma once
#include "bench.h"
#include <atomic>

struct alignas(128) Cnt {
    uint64_t n;
};
inline Cnt cnts[256];
inline std::atomic<int> cnt_next{0};

static inline void tick()
{
    thread_local Cnt *c = &cnts[cnt_next++ & 255];
    c->n++;
}

template <class F> void task_row(const char *row, const char *who, uint64_t tasks, F f)
{
    if (!bench_wants(row))
        return;
    for (auto &c : cnts)
        c.n = 0;
    uint64_t t0 = now_ns();
    f();
    uint64_t dt = now_ns() - t0, sum = 0;
    for (auto &c : cnts)
        sum += c.n;
    must(sum == tasks, "task count: tasks lost or doubled");
    result(row, who, m_per_s(tasks, dt), "M tasks/s");
}

template <class S> void start_row(const char *who, S submit)
{
    static std::atomic<uint64_t> at;
    static uint64_t lat[BENCH_STARTS];
    if (!bench_wants(ROW_START))
        return;
    for (auto &l : lat) {
        timespec idle{0, BENCH_IDLE_NS};
        nanosleep(&idle, nullptr);
        at = 0;
        uint64_t t = now_ns();
        submit([] { at = now_ns(); });
        while (!at)
            sched_yield();
        l = at - t;
    }
    result(ROW_START, who, (double)percentile(lat, BENCH_STARTS, .5), "ns");
}
