# SPDX-License-Identifier: MIT
ARCH_SRCS += $(wildcard arch/x86_64/memory/*.c arch/x86_64/memory/*.S)

# On the host all of it is tested but what is machine, boot or library: kmem_machine.h stands in
# for machine.h, so that threads are processors.
KMEM_OBJS := $(patsubst %,$(B)/linux/arch/x86_64/memory/%.o,backing boot_alloc carve frames heap \
               pmm ptable shoot slab tlb vmm vspace)
$(KMEM_OBJS): ALL_CFLAGS += -include test/kmem_machine.h
$(B)/linux/bin/hosted_kmem $(B)/linux/bin/hosted_kmem_cpus: $(KMEM_OBJS)
$(B)/linux/bin/hosted_kmem_parts: $(patsubst %,$(B)/linux/arch/x86_64/memory/%.o,carve frames \
                                    slab vspace)
