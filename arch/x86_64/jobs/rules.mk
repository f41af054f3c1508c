# SPDX-License-Identifier: MIT
# What the kernel image can be told to do: run=NAME on its command line (jobs.def). The real job
# is the pipeline example, of the hosted program's sources.
KMAIN_SRCS += $(wildcard arch/x86_64/jobs/*.c) $(addprefix examples/pipeline/,pipeline.c ticks.c report.c)
