# SPDX-License-Identifier: MIT
DRIVER_SRCS += $(wildcard drivers/*.c)

# Drivers and their tests name headers from the root, hosted too; make lint keeps the floors.
INCLUDES_linux += -I.
INCLUDES_sim += -I.
HOSTED_DRIVER_SRCS := $(wildcard modules/disk/*.c drivers/*.c drivers/*/*.c)

$(B)/linux/bin/hosted_nvme: $(patsubst %.c,$(B)/linux/%.o,$(HOSTED_DRIVER_SRCS))
