# SPDX-License-Identifier: MIT
NVME_SRCS := $(wildcard drivers/nvme/*.c)
DRIVER_SRCS += $(NVME_SRCS)
