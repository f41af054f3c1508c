# SPDX-License-Identifier: MIT
HAL_sim_SRCS := $(addprefix hal/sim/,sim.c)
TESTMAIN_sim_SRCS := hal/sim/test_main.c
