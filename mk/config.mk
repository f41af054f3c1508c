# SPDX-License-Identifier: MIT
# Compiler, flags and the name of the variant.

CC ?= gcc
AR ?= ar
ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
DEBUG ?=
STRIP_TRACE ?=
V ?=
Q := $(if $(V),,@)

variant := $(notdir $(firstword $(CC)))$(if $(SAN),-$(SAN))$(if $(DEBUG),-debug)$(if $(STRIP_TRACE),-strip)
B := build/$(variant)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wundef
CFLAGS_BASE := -std=c11 $(WARN) -g -fno-strict-aliasing
OPT := -O2
ifneq ($(DEBUG),)
OPT := -O1
CFLAGS_BASE += -DGMK_DEBUG=1
endif
ifneq ($(STRIP_TRACE),)
CFLAGS_BASE += -DGMK_STRIP_TRACE=1
endif

SAN_asan := -fsanitize=address -fno-omit-frame-pointer
SAN_ubsan := -fsanitize=undefined -fno-sanitize-recover=all
SAN_tsan := -fsanitize=thread
ifneq ($(SAN),)
ifeq ($(SAN_$(SAN)),)
$(error SAN=$(SAN) is not known: use asan, ubsan or tsan)
endif
SANFLAGS := $(SAN_$(SAN))
OPT := -O1
endif

CFLAGS ?=
ALL_CFLAGS = $(CFLAGS_BASE) $(OPT) $(SANFLAGS) $(CFLAGS)
INCLUDES_linux := -Iinclude -Isrc -Ihal/common -Ihal/linux
INCLUDES_sim := -Ihal/sim -Iinclude -Isrc -Ihal/common -DGMK_SIM=1
LDLIBS_linux := -pthread
LDLIBS_sim := -pthread
