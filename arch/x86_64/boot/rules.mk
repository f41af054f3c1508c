# SPDX-License-Identifier: MIT
ARCH_SRCS += arch/x86_64/boot/entry.c arch/x86_64/boot/power.c
