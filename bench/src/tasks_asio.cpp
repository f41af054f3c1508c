// SPDX-License-Identifier: MIT
// Boost.Asio thread_pool: post from outside, defer from within.
#include "tasks.hpp"
#include <boost/asio/defer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
namespace as = boost::asio;

static void chain(as::thread_pool &p, uint32_t n)
{
    tick();
    if (n > 1)
        as::defer(p, [&p, n] { chain(p, n - 1); });
}

static void tree(as::thread_pool &p, int d)
{
    tick();
    if (d) {
        as::defer(p, [&p, d] { tree(p, d - 1); });
        as::defer(p, [&p, d] { tree(p, d - 1); });
    }
}

template <class F> static void row(const char *name, size_t workers, uint64_t tasks, F f)
{
    as::thread_pool p(workers);
    task_row(name, "Boost.Asio thread_pool", tasks, [&] {
        f(p);
        p.join();
    });
}

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    row(ROW_SUBMIT, 2, BENCH_TASKS, [](as::thread_pool &p) {
        for (uint32_t i = 0; i < BENCH_TASKS; i++)
            as::post(p, [] { tick(); });
    });
    row(ROW_CHAIN, 2, BENCH_TASKS,
        [](as::thread_pool &p) { as::post(p, [&p] { chain(p, BENCH_TASKS); }); });
    row(ROW_TREE2, 2, BENCH_TREE_TASKS,
        [](as::thread_pool &p) { as::post(p, [&p] { tree(p, BENCH_TREE_DEPTH); }); });
    row(ROW_TREE1, 1, BENCH_TREE_TASKS,
        [](as::thread_pool &p) { as::post(p, [&p] { tree(p, BENCH_TREE_DEPTH); }); });
    as::thread_pool p(2);
    start_row("Boost.Asio thread_pool", [&](auto f) { as::post(p, f); });
    return 0;
}
