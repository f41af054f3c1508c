# SPDX-License-Identifier: MIT
# Memory, console and end are those of linux.
HAL_sim_SRCS := hal/sim/sim.c hal/linux/mem.c
TESTMAIN_sim_SRCS := hal/sim/test_main.c
