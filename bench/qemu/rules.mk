# SPDX-License-Identifier: MIT
# make bench-qemu: our kernel beside a Debian Linux guest, in turns in QEMU. The guest's kernel
# comes with scripts/setup.sh --full; its only program is probe.c, static.
# BENCH_QEMU_ARGS is handed to bench/qemu/run, for example BENCH_QEMU_ARGS='-n 7 --machines nvme'.

QL := build/qemu-linux
BENCH_QEMU_ARGS ?=

$(QL)/probe: bench/qemu/probe.c
	@mkdir -p $(@D)
	$(Q)gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -pthread $< -o $@

# The initramfs of each job: the program, and the drivers of the virtio disk if it needs them.
$(QL)/boot.cpio $(QL)/lat.cpio $(QL)/blk.cpio: $(QL)/%.cpio: $(QL)/probe $(QL)/vmlinux
	@rm -rf $(QL)/$*.root && mkdir -p $(QL)/$*.root/m
	@cp $< $(QL)/$*.root/init
	$(if $(filter blk,$*),@cp $(QL)/modules/*.ko $(QL)/$*.root/m/)
	@cd $(QL)/$*.root && find . | cpio -o -H newc --quiet > ../$*.cpio
	@rm -rf $(QL)/$*.root

# Without the Linux kernel ours is measured alone, and the table says so.
QL_MADE := $(if $(wildcard $(QL)/vmlinux),$(QL)/boot.cpio $(QL)/lat.cpio $(QL)/blk.cpio)

bench-qemu: kernel $(B)/bench/near $(QL_MADE)
	@python3 bench/qemu/run --bin $(B)/bench --cc '$(CC)' $(BENCH_QEMU_ARGS)

.PHONY: bench-qemu
