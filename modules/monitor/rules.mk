# SPDX-License-Identifier: MIT
# The monitor: part of the kernel image, and of its own test program on every machine.
MONITOR_SRCS := $(wildcard modules/monitor/*.c)
KMAIN_SRCS += $(MONITOR_SRCS)

$(B)/linux/bin/test_monitor: $(MONITOR_SRCS:%.c=$(B)/linux/%.o)
$(B)/sim/bin/test_monitor: $(MONITOR_SRCS:%.c=$(B)/sim/%.o)
$(B)/x86_baremetal/bin/test_monitor.elf: $(MONITOR_SRCS:%.c=$(B)/x86_baremetal/%.o)
