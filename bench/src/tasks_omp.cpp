// SPDX-License-Identifier: MIT
// OpenMP tasks; built with gcc (libgomp) and with clang (libomp). The thread that submits
// is one of the 2 workers, and libgomp runs a task in place, as a call, once more than 64
// per thread wait: its rows are partly calls, not queued tasks.
#include "tasks.hpp"

static void chain(uint32_t n)
{
    tick();
    if (n > 1) {
#pragma omp task firstprivate(n)
        chain(n - 1);
    }
}

static void tree(int d)
{
    tick();
    if (!d)
        return;
#pragma omp task firstprivate(d)
    tree(d - 1);
#pragma omp task firstprivate(d)
    tree(d - 1);
}

template <class F> static void region(int threads, F f)
{
#pragma omp parallel num_threads(threads)
#pragma omp single
    f();
}

static void submit_all()
{
    for (uint32_t i = 0; i < BENCH_TASKS; i++) {
#pragma omp task
        tick();
    }
}

int main(int argc, char **argv)
{
#ifdef __clang__
    const char *who = "OpenMP tasks, LLVM libomp";
#else
    const char *who = "OpenMP tasks, GCC libgomp";
#endif
    bench_args(argc, argv);
    region(2, [] {});
    task_row(ROW_SUBMIT, who, BENCH_TASKS, [] { region(2, submit_all); });
    task_row(ROW_CHAIN, who, BENCH_TASKS, [] { region(2, [] { chain(BENCH_TASKS); }); });
    task_row(ROW_TREE2, who, BENCH_TREE_TASKS, [] { region(2, [] { tree(BENCH_TREE_DEPTH); }); });
    task_row(ROW_TREE1, who, BENCH_TREE_TASKS, [] { region(1, [] { tree(BENCH_TREE_DEPTH); }); });
    return 0;
}
