# SPDX-License-Identifier: MIT
# make fuzz: every test/fuzz/fuzz_<name>.c under libFuzzer, FUZZ_SECONDS= each (60), with
# FUZZ_SEED= the same choices each time; FUZZ_TARGETS= some of them. make fuzz-check: the
# corpus again, a short fixed run, and planted bugs that must be found. test/fuzz/run.py
# calls this makefile again with B=build/fuzz, clang and the flags for it.
FUZZ_SECONDS ?= 60
FUZZ_SEED ?=
FUZZ_TARGETS ?=
# The machine's end and the job's reader and printer are the target's own.
FUZZ_WRAP := -Wl,--wrap=_Exit,--wrap=pl_read,--wrap=pl_print

$(B)/linux/fuzz/%: $(B)/linux/test/fuzz/%.o $(B)/linux/libgmk_cpu.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(FUZZ_LINK) $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS_linux) -o $@

$(B)/sim/fuzz/%: $(B)/sim/test/fuzz/%.o $(B)/sim/libgmk_cpu.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(FUZZ_LINK) $(FUZZ_WRAP) $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS_sim) -o $@

$(B)/sim/fuzz/fuzz_pipeline: $(patsubst %.c,$(B)/sim/%.o,$(PIPELINE_PART_SRCS))

fuzz:
	@sh mk/positive.sh 'FUZZ_SECONDS=$(FUZZ_SECONDS)' $(if $(FUZZ_SEED),'FUZZ_SEED=$(FUZZ_SEED)')
	@python3 test/fuzz/run.py --seconds $(FUZZ_SECONDS) $(if $(FUZZ_SEED),--seed $(FUZZ_SEED)) $(FUZZ_TARGETS)

fuzz-check:
	@python3 test/fuzz/run.py --check $(FUZZ_TARGETS)

.PHONY: fuzz fuzz-check
