# SPDX-License-Identifier: MIT
ARCH_SRCS += $(wildcard arch/x86_64/serial/*.c arch/x86_64/serial/*.S)
