# SPDX-License-Identifier: MIT
CORE_SRCS += $(wildcard src/det/*.c)
