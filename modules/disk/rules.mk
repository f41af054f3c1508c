# SPDX-License-Identifier: MIT
DISK_SRCS := $(wildcard modules/disk/*.c)
DRIVER_SRCS += $(DISK_SRCS)

$(B)/linux/bin/test_disk: $(patsubst %.c,$(B)/linux/%.o,$(DISK_SRCS))
$(B)/sim/bin/test_disk: $(patsubst %.c,$(B)/sim/%.o,$(DISK_SRCS))
