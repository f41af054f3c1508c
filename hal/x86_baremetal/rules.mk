# SPDX-License-Identifier: MIT
HAL_x86_baremetal_SRCS := $(filter-out %/test_main.c,$(wildcard hal/x86_baremetal/*.c))
TESTMAIN_x86_baremetal_SRCS := hal/x86_baremetal/test_main.c
