# SPDX-License-Identifier: MIT
# make demo: builds and runs the main job; FILE= is the text to read.
# pipeline-sim is the same program on the simulated machine, for tests.
PIPELINE_SRCS := $(wildcard examples/pipeline/*.c)
PIPELINE_SIM_SRCS := $(filter-out examples/pipeline/start.c,$(PIPELINE_SRCS)) test/pipeline_sim.c
PIPELINE_PART_SRCS := $(addprefix examples/pipeline/,pipeline.c ticks.c report.c)
FILE ?=

$(B)/linux/bin/pipeline: $(patsubst %.c,$(B)/linux/%.o,$(PIPELINE_SRCS)) $(B)/linux/libgmk_cpu.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $^ $(LDLIBS_linux) -o $@

$(B)/sim/bin/pipeline: $(patsubst %.c,$(B)/sim/%.o,$(PIPELINE_SIM_SRCS)) $(B)/sim/libgmk_cpu.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $^ $(LDLIBS_sim) -o $@

# The test of its modules, which has a machine of its own for them.
$(B)/linux/bin/test_pipeline_replay: $(patsubst %.c,$(B)/linux/%.o,$(PIPELINE_PART_SRCS))
$(B)/sim/bin/test_pipeline_replay: $(patsubst %.c,$(B)/sim/%.o,$(PIPELINE_PART_SRCS))
$(B)/x86_baremetal/bin/test_pipeline_replay.elf: $(patsubst %.c,$(B)/x86_baremetal/%.o,$(PIPELINE_PART_SRCS))

pipeline: $(B)/linux/bin/pipeline

pipeline-sim: $(B)/sim/bin/pipeline

demo: $(B)/linux/bin/pipeline
	@$< $(FILE)

pipeline-check: $(B)/linux/bin/pipeline $(B)/sim/bin/pipeline
	@sh test/pipeline.sh $^

.PHONY: demo pipeline pipeline-sim pipeline-check
