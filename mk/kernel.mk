# SPDX-License-Identifier: MIT
# The bare-metal kernel: the third port. The same core, SDK and test sources as the others, with
# flags of a freestanding kernel: no red zone, no vector or floating-point registers (BM-39).

KPORT := x86_baremetal
K := $(B)/$(KPORT)
KCFLAGS = $(CFLAGS_BASE) $(OPT) -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone \
          -mgeneral-regs-only -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer \
          -fno-stack-protector \
          -fstack-clash-protection -fno-asynchronous-unwind-tables $(CFLAGS)
INCLUDES_$(KPORT) := -Iinclude -Isrc -I. -Ihal/common -Ihal/$(KPORT)
KLDSCRIPT := arch/x86_64/boot/linker.ld
KLDFLAGS := -nostdlib -static -no-pie -Wl,-T,$(KLDSCRIPT) -Wl,-z,max-page-size=4096 \
            -Wl,-z,noexecstack -Wl,--build-id=none
KOBJ = $(patsubst %,$(K)/%.o,$(basename $(1)))

$(K)/flags: FORCE
	@mkdir -p $(K)
	@echo '$(CC) $(KCFLAGS)' | cmp -s - $@ || echo '$(CC) $(KCFLAGS)' > $@

$(K)/%.o: %.c $(K)/flags
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC [$(KPORT)] $<')
	$(Q)$(CC) $(KCFLAGS) $(INCLUDES_$(KPORT)) -MMD -MP -c $< -o $@

$(K)/%.o: %.S $(K)/flags
	@mkdir -p $(@D)
	$(if $(V),,@echo '  AS [$(KPORT)] $<')
	$(Q)$(CC) $(KCFLAGS) $(INCLUDES_$(KPORT)) -MMD -MP -c $< -o $@

$(K)/libgmk_cpu.a: $(call KOBJ,$(CORE_SRCS) $(SDK_SRCS))
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Everything of an image but its job.
K_BASE := $(call KOBJ,$(ARCH_SRCS) $(DRIVER_SRCS) $(HAL_$(KPORT)_SRCS))

$(K)/gmk_kernel.elf: $(K_BASE) $(call KOBJ,$(KMAIN_SRCS)) $(K)/libgmk_cpu.a $(KLDSCRIPT)
	$(Q)$(CC) $(KLDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -lgcc -o $@

$(K)/bin/%.elf: $(K)/test/%.o $(call KOBJ,$(TESTMAIN_$(KPORT)_SRCS) $(TESTLIB_SRCS)) $(K_BASE) \
                $(K)/libgmk_cpu.a $(KLDSCRIPT)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KLDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -lgcc -o $@

kernel: $(K)/gmk_kernel.elf $(K)/gmk_shim.elf
	@ln -sfn $(patsubst build/%,%,$(K))/gmk_kernel.elf build/gmk_kernel.elf
	@ln -sfn $(patsubst build/%,%,$(K))/gmk_shim.elf build/gmk_shim.elf

# What came of it: the objects that both builds have, the image, the words of make run.
image-check: $(K)/gmk_kernel.elf $(K)/libgmk_cpu.a $(B)/linux/libgmk_cpu.a
	@sh test/image.sh $^ '$(notdir $(call KOBJ,$(CORE_SRCS) $(SDK_SRCS)))' \
	  '$(patsubst %.c,%.o,$(notdir $(HAL_linux_SRCS)))' '$(KCFLAGS)'

.PHONY: kernel image-check

# Hosted programs with a main of their own, in the kernel: test/kernel has the libc they need.
$(K)/test/soak_mixed.o $(K)/test/kernel/program.o: INCLUDES_$(KPORT) := -Itest/kernel/libc $(INCLUDES_$(KPORT))
$(K)/bin/soak_mixed.elf: $(K)/test/soak_mixed.o $(K)/test/kernel/program.o $(K_BASE) \
                         $(K)/libgmk_cpu.a $(KLDSCRIPT)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KLDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -lgcc -o $@
