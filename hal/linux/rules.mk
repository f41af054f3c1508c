# SPDX-License-Identifier: MIT
HAL_linux_SRCS := $(addprefix hal/linux/,thread.c lock.c park.c time.c mem.c guard.c) \
                  hal/common/guard.c
TESTMAIN_linux_SRCS := hal/linux/test_main.c
