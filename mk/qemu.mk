# SPDX-License-Identifier: MIT
# What runs in QEMU; tools/qemu.py is the only thing that starts one. With the kernel's own
# targets (mk/kernel.mk): run run-debug test-qemu boots bench-qemu.

RUN ?= demo
QEMU_CPUS ?= 4
QEMU_MEMORY ?= 256M
# Further options for tools/qemu.py: QEMU_ARGS='--machine q35 --cpu max'.
QEMU_ARGS ?=
QEMU_PY := python3 tools/qemu.py
SHIM := $(K)/gmk_shim.elf

# The disk: a raw image of 2048 sectors or more; the text lies at its beginning, zeros follow.
DISK ?= build/disk.img
DISK_TEXT := $(or $(FILE),README.md)
build/disk.img: $(DISK_TEXT)
	@mkdir -p $(@D)
	$(Q)cp -f $< $@ && chmod u+w $@ && truncate -s '>1M' $@ && truncate -s %512 $@

QEMU_RUN = $(QEMU_PY) --kernel $(SHIM) --initrd $(K)/gmk_kernel.elf --cpus $(QEMU_CPUS) \
           --memory $(QEMU_MEMORY) --disk $(DISK) --append 'run=$(RUN) exit=debug' $(QEMU_ARGS)

# RUN= is the job: demo, test, monitor (keys go to the serial port), bench.
run: kernel $(DISK)
	@$(QEMU_RUN) $(if $(filter monitor,$(RUN)),--interactive)

run-debug: kernel $(DISK)
	@$(QEMU_RUN) --debug --symbols $(K)/gmk_kernel.elf $(if $(filter monitor,$(RUN)),--interactive)

# Every test program of the other machines, and those of the kernel alone (test/kernel_*.c).
# Without QEMU, or Python to run it, nothing is built, and all of it is one skip.
HAVE_QEMU := $(and $(shell command -v qemu-system-x86_64),$(shell command -v python3))
KTESTS ?= $(TESTS_ALL) $(sort $(basename $(notdir $(wildcard test/kernel_*.c))))
KTEST_IMAGES = $(KTESTS:%=$(K)/bin/%.elf)
KTEST_HOSTED = $(patsubst %,$(B)/linux/test/%.o,$(filter $(TESTS_ALL),$(KTESTS)))
TEST_CPUS ?= 1,2,4
# TEST_SCALE=full: loops of the size that they have on a machine that is not emulated.
TEST_SCALE ?= small
# More words of the command line: TEST_WORDS=memory_seconds=60, of kernel_memory's storms.
TEST_WORDS ?=
FAULT ?=

# Whole boots: BOOTS= of the kernel on each number of CPUs, each of which must give a verdict.
BOOTS ?= 10

ifneq ($(HAVE_QEMU),)
test-qemu: $(KTEST_IMAGES) $(KTEST_HOSTED) $(SHIM)
	@python3 tools/qemu_tests.py --shim $(SHIM) --cpus '$(TEST_CPUS)' --scale '$(TEST_SCALE)' \
	  --words '$(TEST_WORDS)' \
	  --hosted $(B)/linux/test $(KTEST_IMAGES)

boots: $(K)/gmk_kernel.elf $(SHIM)
	@sh mk/positive.sh 'BOOTS=$(BOOTS)'
	@python3 tools/qemu_tests.py --shim $(SHIM) --cpus '$(TEST_CPUS)' --run test --no-sum \
	  --times $(BOOTS) $(K)/gmk_kernel.elf

# Every fault that can be provoked, bad kernels, odd machines and disks; FAULT= only such names.
test-faults: $(K)/gmk_kernel.elf $(SHIM)
	@python3 test/qemu_faults.py --shim $(SHIM) --kernel $(K)/gmk_kernel.elf $(FAULT)

# The mixed load of test/soak_mixed.c in the kernel, SECONDS= long; it ends with balanced books
# and the clock compared with the HPET.
mixed-qemu: $(K)/bin/soak_mixed.elf $(SHIM)
	@sh mk/positive.sh 'SECONDS=$(SECONDS)'
	@$(QEMU_PY) --kernel $(SHIM) --initrd $< --cpus 4 --memory 512M --limit $$(($(SECONDS) * 2 + 300)) \
	  --append 'seconds=$(SECONDS) exit=debug panic=exit'
# The pipeline example in the kernel against the same as a hosted program.
job-check: kernel $(B)/linux/bin/pipeline
	@python3 test/qemu_job.py $(SHIM) $(K)/gmk_kernel.elf $(B)/linux/bin/pipeline
else
test-qemu test-faults boots mixed-qemu job-check:
	@echo '[SKIP] $@: qemu-system-x86_64 and python3 are not both installed: scripts/setup.sh'
	@echo '0 passed, 0 failed, 1 skipped'
endif

.PHONY: run run-debug test-qemu test-faults boots mixed-qemu job-check
