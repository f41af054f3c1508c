# SPDX-License-Identifier: MIT
# Objects, libraries, stable links. A change of flags rebuilds.

PORTS := linux sim

$(B)/flags: FORCE
	@mkdir -p $(B)
	@echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS)' > $@
FORCE:

define port_rules
$(B)/$(1)/%.o: %.c $(B)/flags
	@mkdir -p $$(@D)
	$$(if $(V),,@echo '  CC [$(1)] $$<')
	$(Q)$(CC) $$(ALL_CFLAGS) $(INCLUDES_$(1)) -MMD -MP -c $$< -o $$@

$(B)/$(1)/libgmk_cpu.a: $$(patsubst %.c,$(B)/$(1)/%.o,$$(CORE_SRCS) $$(HAL_$(1)_SRCS) $$(SDK_SRCS))
	$(Q)rm -f $$@ && $(AR) rcs $$@ $$^

$(B)/$(1)/libgmk_test.a: $$(patsubst %.c,$(B)/$(1)/%.o,$$(TESTLIB_SRCS) $$(TESTMAIN_$(1)_SRCS))
	$(Q)rm -f $$@ && $(AR) rcs $$@ $$^
endef
$(foreach p,$(PORTS),$(eval $(call port_rules,$(p))))

lib: $(B)/linux/libgmk_cpu.a $(B)/linux/libgmk_test.a
	@ln -sfn $(patsubst build/%,%,$(B))/linux/libgmk_cpu.a build/libgmk_cpu.a
	@ln -sfn $(patsubst build/%,%,$(B))/linux/libgmk_test.a build/libgmk_test.a

# compile_commands.json: one entry a source, from the same variables as the build.
compile_commands.json: $(CORE_SRCS) $(HAL_linux_SRCS) $(SDK_SRCS) mk/config.mk
	@{ echo '['; sep=''; for f in $(CORE_SRCS) $(HAL_linux_SRCS) $(SDK_SRCS); do \
	  printf '%s{"directory":"%s","file":"%s","command":"%s"}' "$$sep" "$(CURDIR)" "$$f" \
	    "$(CC) $(ALL_CFLAGS) $(INCLUDES_linux) -c $$f"; sep=','; done; echo ']'; } > $@

-include $(shell find $(B) -name '*.d' 2>/dev/null)

.PHONY: lib FORCE
.SECONDARY:
