# SPDX-License-Identifier: MIT
# What looks at a running kernel: the serial monitor, gdb, figures of size and boot.

ifneq ($(HAVE_QEMU),)
# The serial monitor, worked as a person would.
test-monitor: $(K)/gmk_kernel.elf $(SHIM)
	@python3 test/qemu_monitor.py --shim $(SHIM) --kernel $(K)/gmk_kernel.elf

# The commands that gdb gets from tools/gdb/ggmk.py, as make run-debug offers them.
test-gdb: $(K)/gmk_kernel.elf $(SHIM)
	@python3 test/qemu_gdb.py --shim $(SHIM) --kernel $(K)/gmk_kernel.elf
else
test-monitor test-gdb:
	@echo '[SKIP] $@: qemu-system-x86_64 and python3 are not both installed: scripts/setup.sh'
	@echo '0 passed, 0 failed, 1 skipped'
endif

# STATS=--readme also writes the tables into README.md.
stats: kernel
	@python3 tools/stats.py --shim $(SHIM) --kernel $(K)/gmk_kernel.elf $(STATS)

.PHONY: test-monitor test-gdb stats
