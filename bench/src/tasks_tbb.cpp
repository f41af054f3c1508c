// SPDX-License-Identifier: MIT
// oneTBB: task_group::run inside a task_arena of 2 (the thread that waits is one of the 2
// workers), and task_arena::enqueue from outside.
#include "tasks.hpp"
#include <oneapi/tbb.h>

static void chain(tbb::task_group &g, uint32_t n)
{
    tick();
    if (n > 1)
        g.run([&g, n] { chain(g, n - 1); });
}

static void tree(tbb::task_group &g, int d)
{
    tick();
    if (d) {
        g.run([&g, d] { tree(g, d - 1); });
        g.run([&g, d] { tree(g, d - 1); });
    }
}

template <class F> static void in_group(tbb::task_arena &a, F f)
{
    a.execute([&] {
        tbb::task_group g;
        f(g);
        g.wait();
    });
}

int main(int argc, char **argv)
{
    const char *who = "oneTBB task_group";
    bench_args(argc, argv);
    tbb::global_control gc(tbb::global_control::max_allowed_parallelism, 3);
    tbb::task_arena two(2, 1), one(1, 1), outside(2, 0);
    two.execute([] { tbb::parallel_for(0, 1000, [](int) {}); });
    task_row(ROW_SUBMIT, who, BENCH_TASKS, [&] {
        in_group(two, [](tbb::task_group &g) {
            for (uint32_t i = 0; i < BENCH_TASKS; i++)
                g.run([] { tick(); });
        });
    });
    task_row(ROW_CHAIN, who, BENCH_TASKS, [&] {
        in_group(two, [](tbb::task_group &g) { g.run([&] { chain(g, BENCH_TASKS); }); });
    });
    task_row(ROW_TREE2, who, BENCH_TREE_TASKS, [&] {
        in_group(two, [](tbb::task_group &g) { g.run([&] { tree(g, BENCH_TREE_DEPTH); }); });
    });
    task_row(ROW_TREE1, who, BENCH_TREE_TASKS, [&] {
        in_group(one, [](tbb::task_group &g) { g.run([&] { tree(g, BENCH_TREE_DEPTH); }); });
    });
    std::atomic<uint32_t> left{BENCH_TASKS};
    task_row(ROW_SUBMIT, "oneTBB arena.enqueue", BENCH_TASKS, [&] {
        for (uint32_t i = 0; i < BENCH_TASKS; i++)
            outside.enqueue([&] {
                tick();
                left.fetch_sub(1, std::memory_order_release);
            });
        while (left.load(std::memory_order_acquire))
            sched_yield();
    });
    start_row("oneTBB arena.enqueue", [&](auto f) { outside.enqueue(f); });
    return 0;
}
