# SPDX-License-Identifier: MIT
# Test programs: test/test_<unit>.c each is one program on each port that has it.

TESTS_ALL := $(sort $(basename $(notdir $(wildcard test/test_*.c))))
TEST_HOSTED_ONLY := $(sort $(basename $(notdir $(wildcard test/hosted_*.c))))

define test_rules
$(B)/$(1)/bin/%: $(B)/$(1)/test/%.o $(B)/$(1)/libgmk_cpu.a $(B)/$(1)/libgmk_test.a
	@mkdir -p $$(@D)
	$(Q)$(CC) $$(ALL_CFLAGS) $$(filter %.o,$$^) -L$(B)/$(1) -lgmk_test -lgmk_cpu $$(LDLIBS_$(1)) -o $$@
endef
$(foreach p,$(PORTS),$(eval $(call test_rules,$(p))))

bins = $(foreach t,$(1),$(B)/linux/bin/$(t) $(B)/sim/bin/$(t))
hosted_bins = $(foreach t,$(1),$(B)/linux/bin/$(t))

GROUP_ring := test_ring_spsc test_ring_mpmc test_prim test_prim_freelist
GROUP_alloc := test_alloc_slab test_alloc_block test_alloc_bump test_alloc_payload
GROUP_sched := test_sched_rq test_sched_lq test_sched_evq test_enqueue
GROUP_chan := $(filter test_chan% test_pressure test_peers test_bad_args,$(TESTS_ALL))
GROUP_module := test_module
GROUP_worker := test_worker
GROUP_boot := test_boot
GROUPS := ring alloc sched chan module worker boot

$(foreach g,$(GROUPS),$(eval test-$(g): $$(call bins,$$(filter $$(TESTS_ALL),$$(GROUP_$(g)))) ; @sh mk/run-tests.sh $$^))

test-hosted: $(call bins,$(TESTS_ALL)) $(call hosted_bins,$(TEST_HOSTED_ONLY))
	@sh mk/run-tests.sh $^

# Without a sanitizer the same tests run in the kernel, too.
ifeq ($(SAN),)
test:
	@sh mk/sum.sh '$(MAKE) --no-print-directory test-hosted' \
	  '$(MAKE) --no-print-directory test-qemu'
else
test: test-hosted
endif

SEEDS ?= 500
SECONDS ?= 60
FIRST ?= 1

STORMS := stress_storm stress_chan

# Both storms, SEEDS= seeds each; CHAN_SEEDS= of the channel storm if they differ.
CHAN_SEEDS ?= $(SEEDS)
sim: $(STORMS:%=$(B)/sim/bin/%)
	@sh mk/positive.sh 'SEEDS=$(SEEDS)' 'CHAN_SEEDS=$(CHAN_SEEDS)'
	@sh mk/run-storms.sh $(B)/sim/bin/stress_storm --sim-seeds $(FIRST) $(SEEDS) -- \
	  $(B)/sim/bin/stress_chan --sim-seeds $(FIRST) $(CHAN_SEEDS)

stress: $(STORMS:%=$(B)/linux/bin/%)
	@sh mk/positive.sh 'SECONDS=$(SECONDS)'
	@sh mk/run-storms.sh $(B)/linux/bin/stress_storm --seconds $(SECONDS) -- \
	  $(B)/linux/bin/stress_chan --seconds $(SECONDS)

# The long runs: SOAK_SEEDS= of each storm, SOAK_SECONDS= of each under each sanitizer and of
# the resident kernel, SOAK_MIXED= of the mixed load (half of it in the kernel), SOAK_BOOTS= boots.
SOAK_SEEDS ?= 10000
SOAK_SECONDS ?= 600
SOAK_MIXED ?= 3600
SOAK_BOOTS ?= 100
resident:
	@sh test/resident.sh $(SECONDS)

mixed: $(B)/linux/bin/soak_mixed
	@sh mk/positive.sh 'SECONDS=$(SECONDS)'
	@$< --seconds $(SECONDS)

soak:
	@sh mk/positive.sh 'SOAK_SEEDS=$(SOAK_SEEDS)' 'SOAK_SECONDS=$(SOAK_SECONDS)' \
	  'SOAK_MIXED=$(SOAK_MIXED)' 'SOAK_BOOTS=$(SOAK_BOOTS)'
	@sh scripts/soak.sh $(SOAK_SEEDS) $(SOAK_SECONDS) $(SOAK_MIXED) $(SOAK_BOOTS)

mutants:
	@python3 test/mutants/run.py

models:
	@python3 test/relacy/run.py $(SCHEDULES)

protocols:
	@python3 test/spin/run.py

lint:
	@python3 tools/lint.py
	@sh test/lint/run.sh

headers-check:
	@sh test/headers.sh

requirements:
	@python3 tools/requirements.py

requirements-check:
	@sh test/bad_args.sh
	@python3 tools/bad_args.py
	@sh test/requirements.sh
	@python3 tools/requirements.py --check

runners-check:
	@sh test/runners.sh
	@python3 test/bench.py
	@sh test/qemu/run.sh
	@python3 test/qemu/bench.py

install-check:
	@sh test/install.sh

docs-check:
	@sh test/docs.sh

canary-check:
	@sh test/canary.sh

strip-check:
	@sh test/strip.sh

tunables-check:
	@sh test/tunables.sh

check:
	@sh scripts/check.sh

.PHONY: test test-hosted sim stress resident mixed soak mutants models protocols lint headers-check install-check docs-check \
  strip-check tunables-check canary-check runners-check check \
  requirements requirements-check $(addprefix test-,$(GROUPS))
