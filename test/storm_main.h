/* SPDX-License-Identifier: MIT
 * The entry of a storm: its options, a seed after the other, its closing line.
 * On threads: --seconds S [--seed N]. Simulated: --sim-seeds FIRST COUNT. COUNT and S are
 * above 0; anything else gives the usage and status 2.
 * Floor: tests. Source: ARCHITECTURE R14. */
#ifndef TEST_STORM_MAIN_H
#define TEST_STORM_MAIN_H

#include "ggmk/hal.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_args.h"

#ifdef GMK_SIM
#include "sim.h"
#define IS_SIM 1
#else
#define IS_SIM 0
#endif

typedef struct storm_kind {
    const char *name;
    uint64_t (*run)(uint64_t seed); /* returns: how many promises were broken */
    bool (*sum)(uint64_t runs);     /* prints what all did, may be null; false: it is amiss */
} storm_kind_t;

/* For what the storm itself needs and did not get. */
_Noreturn static inline void storm_give_up(const char *what, uint64_t seed)
{
    printf("storm: failed: %s; seed %llu\n", what, (unsigned long long)seed);
    exit(1);
}

static inline int storm_end(const storm_kind_t *kind, uint64_t runs)
{
    if (kind->sum != NULL && !kind->sum(runs))
        return 1;
    printf("%llu passed, 0 failed, 0 skipped\n", (unsigned long long)runs);
    return 0;
}

#ifdef GMK_SIM
typedef struct storm_seed {
    const storm_kind_t *kind;
    uint64_t seed;
} storm_seed_t;

static inline void storm_run_seed(void *arg)
{
    const storm_seed_t *one = arg;

    if (one->kind->run(one->seed) != 0)
        exit(1);
}

static inline int storm_main(int argc, char **argv, const storm_kind_t *kind)
{
    uint64_t switches = 0;
    uint64_t first;
    uint64_t n;

    if (argc != 4 || strcmp(argv[1], "--sim-seeds") != 0 || !test_args_u64(argv[2], &first) ||
        !test_args_u64(argv[3], &n) || n == 0) {
        fprintf(stderr, "usage: %s --sim-seeds FIRST COUNT\n", argv[0]);
        return 2;
    }
    for (uint64_t i = 0; i < n; i++) {
        storm_seed_t one = {kind, first + i};
        gmk_sim_cfg_t cfg = {.seed = one.seed, .max_switches = 20000000};

        if (one.seed % 3 == 0)
            cfg.alloc_faults = 50000;
        if (one.seed % 4 == 0)
            cfg.queue_faults = 50000;
        gmk_sim_run(&cfg, storm_run_seed, &one);
        switches += gmk_sim_switches();
    }
    printf("%s, sim: %llu seeds from %llu, %llu switches\n", kind->name, (unsigned long long)n,
           (unsigned long long)first, (unsigned long long)switches);
    return storm_end(kind, n);
}
#else
static inline int storm_main(int argc, char **argv, const storm_kind_t *kind)
{
    uint64_t begin = gmk_hal_now_ns();
    uint64_t seed = begin;
    uint64_t runs = 0;
    uint64_t seconds;

    if ((argc != 3 && argc != 5) || strcmp(argv[1], "--seconds") != 0 ||
        !test_args_u64(argv[2], &seconds) || seconds == 0 ||
        (argc == 5 && (strcmp(argv[3], "--seed") != 0 || !test_args_u64(argv[4], &seed)))) {
        fprintf(stderr, "usage: %s --seconds S [--seed N]\n", argv[0]);
        return 2;
    }
    printf("%s: %llu s from seed %llu\n", kind->name, (unsigned long long)seconds,
           (unsigned long long)seed);
    do {
        if (kind->run(seed + runs) != 0)
            return 1;
        runs++;
    } while ((gmk_hal_now_ns() - begin) / 1000000000 < seconds);
    printf("%s: %llu storms\n", kind->name, (unsigned long long)runs);
    return storm_end(kind, runs);
}
#endif

#endif
