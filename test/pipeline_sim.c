/* SPDX-License-Identifier: MIT
 * The pipeline's program on the simulated machine. Files are those of the host.
 * usage: pipeline [--seed N] and the program's own arguments.
 * Floor: tests. Source: ARCHITECTURE R14. */
#include "../examples/pipeline/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "sim.h"

typedef struct start {
    int argc;
    char **argv;
    int status;
} start_t;

static void run(void *arg)
{
    start_t *s = arg;

    s->status = pl_main(s->argc, s->argv);
}

int main(int argc, char **argv)
{
    gmk_sim_cfg_t cfg = {.seed = 1, .run_length = 100};
    start_t s = {.argc = argc, .argv = argv};

    if (argc > 2 && strcmp(argv[1], "--seed") == 0) {
        cfg.seed = strtoull(argv[2], NULL, 0);
        s.argc -= 2;
        s.argv += 2;
    }
    gmk_sim_run(&cfg, run, &s);
    return s.status;
}
