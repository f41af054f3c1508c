# SPDX-License-Identifier: MIT
DISK_SRCS := $(wildcard modules/disk/*.c)
DRIVER_SRCS += $(DISK_SRCS)
