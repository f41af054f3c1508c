# SPDX-License-Identifier: MIT
# make demo: builds and runs the main job; FILE= is the text to read.
PIPELINE_SRCS := $(wildcard examples/pipeline/*.c)
FILE ?=

$(B)/linux/bin/pipeline: $(patsubst %.c,$(B)/linux/%.o,$(PIPELINE_SRCS)) $(B)/linux/libgmk_cpu.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $^ $(LDLIBS_linux) -o $@

pipeline: $(B)/linux/bin/pipeline

demo: $(B)/linux/bin/pipeline
	@$< $(FILE)

pipeline-check: $(B)/linux/bin/pipeline
	@sh test/pipeline.sh $<

.PHONY: demo pipeline pipeline-check
