# SPDX-License-Identifier: MIT
# What the kernel image can be told to do: run=NAME on its command line (jobs.def).
KMAIN_SRCS := $(wildcard arch/x86_64/jobs/*.c)
