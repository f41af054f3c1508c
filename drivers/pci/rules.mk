# SPDX-License-Identifier: MIT
DRIVER_SRCS += $(wildcard drivers/pci/*.c)
