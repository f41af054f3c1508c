# SPDX-License-Identifier: MIT
ARCH_SRCS += $(wildcard arch/x86_64/memory/*.c arch/x86_64/memory/*.S)
