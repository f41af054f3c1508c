# SPDX-License-Identifier: MIT
DRIVER_SRCS += $(wildcard drivers/*.c)
