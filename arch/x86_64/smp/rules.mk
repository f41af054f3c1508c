# SPDX-License-Identifier: MIT
ARCH_SRCS += $(wildcard arch/x86_64/smp/*.c arch/x86_64/smp/*.S)
