# SPDX-License-Identifier: MIT
# Memory, console and end are those of linux; the fault guard is shared but for its stack.
HAL_sim_SRCS := hal/sim/sim.c hal/linux/mem.c hal/common/guard.c
TESTMAIN_sim_SRCS := hal/sim/test_main.c
