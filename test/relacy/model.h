/* SPDX-License-Identifier: MIT
 * What the models share: a run by seeded random schedules, and its verdict.
 * usage of each: MODEL [ITERATIONS]. Status 0: no run broke a promise.
 * Floor: tests. Source: ARCHITECTURE R1. */
#ifndef TEST_RELACY_MODEL_H
#define TEST_RELACY_MODEL_H

#include "ggmk/base/atomic.h"

#include <cstdio>
#include <cstdlib>

/* Waits for another thread. */
static inline void model_wait() { rl::yield(1, $); }

template <class Model> static bool model_run(const char *name, unsigned long iterations)
{
    rl::test_params p;

    p.iteration_count = iterations;
    p.search_type = rl::sched_random;
    p.execution_depth_limit = 4000;
    std::printf("%s: %lu schedules\n", name, iterations);
    std::fflush(stdout);
    return rl::simulate<Model>(p);
}

static inline unsigned long model_iterations(int argc, char **argv, unsigned long n)
{
    return argc > 1 ? std::strtoul(argv[1], NULL, 0) : n;
}

#endif
