/* SPDX-License-Identifier: MIT
 * Entry of a test program on the simulated machine: [--seed N] [FILTER].
 * Floor: tests. Source: SPEC S.5; ARCHITECTURE R14. */
#include "ggmk/test.h"

#include "sim.h"
#include "test_args.h"

static const char *filter;
static int failed;

static void run(void *arg) { failed = gmk_test_run_all(filter, ((gmk_sim_cfg_t *)arg)->seed); }

int main(int argc, char **argv)
{
    gmk_sim_cfg_t cfg = {.seed = 1, .run_length = 100};

    (void)argc;
    if (!test_args(argv, &filter, &cfg.seed))
        return 2;
    gmk_sim_run(&cfg, run, &cfg);
    return failed != 0;
}
