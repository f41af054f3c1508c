# SPDX-License-Identifier: MIT
ARCH_SRCS += $(wildcard arch/x86_64/cpu/*.c arch/x86_64/cpu/*.S)
