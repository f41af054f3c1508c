/* SPDX-License-Identifier: MIT
 * The worker: gather, dispatch, account; then search and park.
 * Floor: F7. One step is the same on every machine; the machine only decides who calls
 * the loop.
 * Source: SPEC SC-9, SC-10, SC-16, EQ-4 to EQ-8; ARCHITECTURE sections 1, 2. */
#ifndef GMKI_WORKER_H
#define GMKI_WORKER_H

#include "ggmk/worker.h"
#include "module/module.h"

/* What all workers of a kernel share. */
typedef struct gmki_core {
    gmk_sched_t sched;
    gmk_chan_reg_t chan;
    gmki_mod_reg_t mods;
    gmk_alloc_t mem;
} gmki_core_t;

enum gmki_outcome {
    GMKI_SETTLED, /* completed or failed: the delivery is over */
    GMKI_AGAIN,   /* to be placed again at once */
    GMKI_LATER    /* in the event queue */
};

/* dispatch.c: runs one delivery. c is in the hands of a. */
enum gmki_outcome gmki_dispatch(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c, uint32_t handler);
void gmki_fail(gmki_agent_t *a, gmki_core_t *k, gmk_cell_t *c, uint32_t reason_and_code);
void gmki_lose(gmki_agent_t *a, const gmk_cell_t *c, uint32_t reason);

/* turn.c: drains a group whose token the caller holds. Returns how many ran. */
uint32_t gmki_turn(gmki_agent_t *a, gmki_core_t *k, gmki_group_t *g, uint32_t budget);
void gmki_return_message(gmki_agent_t *a, const gmk_cell_t *c);
bool gmki_is_serial(const gmk_sched_t *s, uint16_t sub);

/* step.c */
uint32_t gmki_worker_step(gmki_agent_t *a, gmki_core_t *k);
void *gmki_worker_loop(void *agent);

GMK_FN gmki_core_t *gmki_core(const gmk_sched_t *s)
{
    return (gmki_core_t *)s->owner;
}

#endif
