/* SPDX-License-Identifier: MIT
 * The simulated machine: one thread, fibers, a seeded schedule, a virtual clock.
 * Floor: HAL. A run depends on its seed and code alone, so a failing seed replays
 * exactly. When every fiber waits and no deadline is left, that is a deadlock: a lost
 * wake-up, say; it is reported with the seed and ends the process with status 3. So is
 * a run of more than max_switches switches, with status 4.
 * Source: ARCHITECTURE R14. */
#ifndef GGMK_SIM_H
#define GGMK_SIM_H

#include "ggmk/hal.h"

typedef struct gmk_sim_cfg {
    uint64_t seed;
    uint64_t max_switches; /* 0: no limit */
    uint32_t run_length;   /* mean steps between switches; 0: the seed chooses */
    uint32_t alloc_faults; /* per million allocations */
    uint32_t queue_faults; /* per million pushes */
} gmk_sim_cfg_t;

/* Runs fn(arg) as the first fiber; returns when it has. pre: no run is under way. */
void gmk_sim_run(const gmk_sim_cfg_t *cfg, void (*fn)(void *), void *arg);

/* A machine without a fault guard, while it is set. */
extern bool gmk_sim_no_guard;

/* Switches so far in this run. */
uint64_t gmk_sim_switches(void);

#endif
