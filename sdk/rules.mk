# SPDX-License-Identifier: MIT
SDK_SRCS := $(filter-out sdk/test.c,$(wildcard sdk/*.c))
TESTLIB_SRCS := sdk/test.c
