# SPDX-License-Identifier: MIT
# The loader shim: started by PVH or Multiboot2, it speaks the Limine protocol to the kernel.
# Its plain C is also built into hosted tests and fuzz targets (SHIM_LOGIC_SRCS).

SHIM_DIR := arch/x86_64/boot/shim
SHIM_K := $(B)/x86_baremetal
SHIM_LOGIC_SRCS := $(addprefix $(SHIM_DIR)/,acpi.c clock.c elf.c info.c memmap.c requests.c tables.c)
SHIM_SRCS := $(SHIM_LOGIC_SRCS) $(addprefix $(SHIM_DIR)/,answers.c entry.S machine.c main.c smp.c)
SHIM_OBJS := $(patsubst %,$(SHIM_K)/%.o,$(basename $(SHIM_SRCS)))
# No library is linked, and loops must not become calls of memset and memcpy.
SHIM_CFLAGS = $(CFLAGS_BASE) -O2 -ffreestanding -fno-builtin -fno-pic -fno-pie -mcmodel=small \
              -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
              -fno-asynchronous-unwind-tables $(CFLAGS)
SHIM_INCLUDES := -Iinclude -Ihal/common

$(SHIM_K)/$(SHIM_DIR)/%.o: $(SHIM_DIR)/%.c $(SHIM_DIR)/rules.mk $(SHIM_K)/flags
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC [shim] $<')
	$(Q)$(CC) $(SHIM_CFLAGS) $(SHIM_INCLUDES) -MMD -MP -c $< -o $@

$(SHIM_K)/$(SHIM_DIR)/%.o: $(SHIM_DIR)/%.S $(SHIM_DIR)/rules.mk $(SHIM_K)/flags
	@mkdir -p $(@D)
	$(if $(V),,@echo '  AS [shim] $<')
	$(Q)$(CC) $(SHIM_CFLAGS) $(SHIM_INCLUDES) -MMD -MP -c $< -o $@

$(SHIM_K)/gmk_shim.elf: $(SHIM_OBJS) $(SHIM_DIR)/linker.ld
	$(Q)$(CC) -nostdlib -static -Wl,-T,$(SHIM_DIR)/linker.ld -Wl,-z,max-page-size=4096 \
	  -Wl,-z,noexecstack -Wl,--build-id=none $(SHIM_OBJS) -o $@

# The kernel of the shim's own boot test.
$(SHIM_K)/shim_kernel.elf: test/shim/kernel.c test/shim/kernel.ld arch/x86_64/limine/limine.h \
                             $(SHIM_DIR)/rules.mk $(SHIM_K)/flags
	$(Q)$(CC) $(subst -mcmodel=small,-mcmodel=kernel,$(SHIM_CFLAGS)) $(SHIM_INCLUDES) -I. \
	  -nostdlib -static -Wl,-T,test/shim/kernel.ld -Wl,-z,max-page-size=4096 \
	  -Wl,-z,noexecstack -Wl,--build-id=none $< -o $@

# build/ggmk.iso: BIOS and UEFI, by GRUB and the shim; with LIMINE_DIR= by Limine itself.
ISO ?= build/ggmk.iso
ISO_KERNEL ?= $(SHIM_K)/gmk_kernel.elf
ISO_CMDLINE ?=
LIMINE_DIR ?=

iso: $(ISO_KERNEL) $(SHIM_K)/gmk_shim.elf
	@LIMINE_DIR='$(LIMINE_DIR)' sh scripts/iso.sh '$(ISO)' '$(ISO_KERNEL)' '$(SHIM_K)/gmk_shim.elf' \
	  '$(ISO_CMDLINE)'

# The shim's own boot test: a test kernel by every way in, and every fault of input.
shim-check: $(SHIM_K)/shim_kernel.elf $(SHIM_K)/gmk_shim.elf
	@python3 test/shim/run.py $(SHIM_K)/gmk_shim.elf $(SHIM_K)/shim_kernel.elf

.PHONY: iso shim-check

$(B)/linux/libgmk_shim.a: $(patsubst %.c,$(B)/linux/%.o,$(SHIM_LOGIC_SRCS))
	$(Q)rm -f $@ && $(AR) rcs $@ $^

SHIM_TESTS := $(B)/linux/bin/hosted_shim $(B)/linux/bin/hosted_shim_info
$(SHIM_TESTS): LDLIBS_linux += $(B)/linux/libgmk_shim.a
$(SHIM_TESTS) $(B)/linux/fuzz/fuzz_shim: $(B)/linux/libgmk_shim.a
