# SPDX-License-Identifier: MIT
DRIVER_SRCS += $(wildcard drivers/*.c)

# Drivers and their tests name headers from the root, hosted too; make lint keeps the floors.
INCLUDES_linux += -I.
INCLUDES_sim += -I.
HOSTED_DRIVER_SRCS := $(DISK_SRCS) $(wildcard drivers/*.c drivers/*/*.c)

$(foreach t,pci disk virtio nvme,$(B)/linux/bin/hosted_$(t)): \
  $(patsubst %.c,$(B)/linux/%.o,$(HOSTED_DRIVER_SRCS))

$(B)/linux/libgmk_drivers.a: $(patsubst %.c,$(B)/linux/%.o,$(HOSTED_DRIVER_SRCS))
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# The archive is for planted bugs, whose file must come before the sound one.
$(B)/linux/fuzz/fuzz_virtio $(B)/linux/fuzz/fuzz_nvme: \
  $(patsubst %.c,$(B)/linux/%.o,$(HOSTED_DRIVER_SRCS)) | $(B)/linux/libgmk_drivers.a
