/* SPDX-License-Identifier: MIT
 * The simulated machine: before every atomic operation the scheduler may switch to
 * another fiber, as the seed decides; faults are injected by chance.
 * Floor: HAL. Source: ARCHITECTURE R1, R14. */
#ifndef GGMK_SIM_ATOMIC_PORT_H
#define GGMK_SIM_ATOMIC_PORT_H

extern uint32_t gmk_sim_countdown;
void gmk_sim_switch(void);
void gmk_sim_pause(void);
bool gmk_sim_fault(int kind);

#define GMK_PORT_STEP() ((void)(--gmk_sim_countdown == 0 ? (gmk_sim_switch(), 0) : 0))
#define GMK_PORT_PAUSE() gmk_sim_pause()
#define GMK_FAULT(kind) gmk_sim_fault(kind)

#include "../common/atomic_port.h"

#endif
