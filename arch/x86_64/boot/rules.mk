# SPDX-License-Identifier: MIT
KMAIN_SRCS := arch/x86_64/boot/kmain.c
ARCH_SRCS += arch/x86_64/boot/entry.c arch/x86_64/boot/power.c
