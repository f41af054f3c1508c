# SPDX-License-Identifier: MIT
# make bench: ours beside peers; make bench-build: the programs only; make bench-check:
# the last results against earlier ones.
# BENCH_ARGS is handed to bench/run, for example BENCH_ARGS='-n 7 --rows chain,tree'.

BENCH_B := $(B)/bench
BENCH_OPT := -O3 -march=native -pthread -Ibench/src
BENCH_INC := $(INCLUDES_linux)
BENCH_DEP = -MMD -MP -MF $@.d -MT $@
CXX ?= g++
BENCH_ARGS ?=

# Programs in C over the shipped library, one word each: bench/src/WORD.c.
BENCH_C := ours_tasks ours_alloc ours_chan ours_size
BENCH_OURS := $(addprefix $(BENCH_B)/,near limits alloc_malloc ours_ring $(BENCH_C))
BENCH_PEERS := $(addprefix $(BENCH_B)/,peers_go chan_crossbeam)

$(BENCH_B)/near $(BENCH_B)/limits $(BENCH_B)/alloc_malloc: $(BENCH_B)/%: bench/src/%.c $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -Wall -Wextra $(BENCH_OPT) $(BENCH_DEP) $< -o $@

$(BENCH_C:%=$(BENCH_B)/%): $(BENCH_B)/%: bench/src/%.c $(B)/linux/libgmk_cpu.a
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -Wall -Wextra $(BENCH_OPT) $(BENCH_INC) $(SANFLAGS) $(BENCH_DEP) $< \
	    $(B)/linux/libgmk_cpu.a $(LDLIBS_linux) -o $@

$(BENCH_B)/ours_ring: bench/src/ours_ring.cpp $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=c++20 -Wall $(BENCH_OPT) $(BENCH_INC) $(SANFLAGS) $(BENCH_DEP) $< -o $@

# Peers, one line each: $(call bench_peer,program,source,name,probe,compiler,flags,libraries)
define bench_peer
BENCH_PEERS += $(BENCH_B)/$(1)
$(BENCH_B)/$(1): bench/src/$(2) bench/peer.sh bench/rules.mk
	@CXX='$$(CXX)' PROBE_FLAGS="$(6)" sh bench/peer.sh $$@ '$(3)' '$(4)' \
	    $(5) -std=c++20 -Wall $$(BENCH_OPT) $$(BENCH_DEP) $(6) $$< $(7) -o $$@
endef
bench_dpdk = $$$$(pkg-config --cflags libdpdk 2>/dev/null) -march=native -Wno-volatile
$(eval $(call bench_peer,ring_dpdk,ring_dpdk.cpp,DPDK rte_ring,header:rte_ring.h,$(CXX),$(bench_dpdk),-lrte_ring -lrte_eal))
$(eval $(call bench_peer,ring_ck,ring_ck.cpp,ConcurrencyKit,header:ck_ring.h,$(CXX),-Wno-pedantic,-lck))
$(eval $(call bench_peer,ring_moodycamel,ring_moodycamel.cpp,moodycamel ConcurrentQueue,header:concurrentqueue/concurrentqueue.h,$(CXX)))
$(eval $(call bench_peer,ring_rwq,ring_rwq.cpp,moodycamel ReaderWriterQueue,header:readerwriterqueue/readerwriterqueue.h,$(CXX)))
$(eval $(call bench_peer,ring_boost,ring_boost.cpp,Boost lockfree,header:boost/lockfree/spsc_queue.hpp,$(CXX)))
$(eval $(call bench_peer,ring_tbb,ring_tbb.cpp,oneTBB queues,header:oneapi/tbb/concurrent_queue.h,$(CXX),,-ltbb))
$(eval $(call bench_peer,ring_xenium,ring_xenium.cpp,xenium,header:xenium/vyukov_bounded_queue.hpp,$(CXX)))
$(eval $(call bench_peer,ring_atomic_queue,ring_atomic_queue.cpp,atomic_queue,header:atomic_queue/atomic_queue.h,$(CXX)))
$(eval $(call bench_peer,tasks_tbb,tasks_tbb.cpp,oneTBB tasks,header:oneapi/tbb.h,$(CXX),,-ltbb))
$(eval $(call bench_peer,tasks_asio,tasks_asio.cpp,Boost.Asio,header:boost/asio/thread_pool.hpp,$(CXX)))
$(eval $(call bench_peer,tasks_gomp,tasks_omp.cpp,GCC libgomp,tool:g++,g++,-fopenmp))
$(eval $(call bench_peer,tasks_libomp,tasks_omp.cpp,LLVM libomp,tool:clang++,clang++,-fopenmp))
$(eval $(call bench_peer,chan_moodycamel,chan_moodycamel.cpp,moodycamel queues as channels,header:readerwriterqueue/readerwritercircularbuffer.h,$(CXX)))
$(eval $(call bench_peer,chan_boost,chan_boost.cpp,Boost spsc_queue as a channel,header:boost/lockfree/spsc_queue.hpp,$(CXX)))
$(eval $(call bench_peer,chan_dpdk,chan_dpdk.cpp,DPDK rings as channels,header:rte_ring.h,$(CXX),$(bench_dpdk),-lrte_ring -lrte_eal))
$(eval $(call bench_peer,chan_tbb,chan_tbb.cpp,oneTBB pipelines,header:oneapi/tbb.h,$(CXX),,-ltbb))
$(eval $(call bench_peer,chan_zmq,chan_zmq.cpp,ZeroMQ,header:zmq.h,$(CXX),,-lzmq))

$(BENCH_B)/chan_crossbeam: bench/rust/chan_crossbeam.rs bench/rust/build.sh bench/peer.sh
	@MAKEFLAGS= sh bench/peer.sh $@ crossbeam crate:crossbeam-channel sh bench/rust/build.sh $@ $<

$(BENCH_B)/peers_go: bench/go/main.go bench/peer.sh
	@GOCACHE=$(abspath $(BENCH_B))/gocache GO111MODULE=off sh bench/peer.sh $@ Go tool:go \
	    go build -o $@ $<

# Ours with everything off that a build can turn off: traces, and times as rare as allowed.
# It has a tree of its own: build/gcc/bench/quiet.
BENCH_OFF = STRIP_TRACE=1 CFLAGS='$(CFLAGS) -DGMK_TIME_SAMPLE=1048575' B=$(BENCH_B)/quiet
bench-quiet:
	@$(MAKE) --no-print-directory $(BENCH_OFF) $(BENCH_B)/quiet/bench/ours_tasks

bench-build: $(BENCH_OURS) $(BENCH_PEERS) bench-quiet

bench: bench-build
	@python3 bench/run --bin $(BENCH_B) --cc '$(CC)' --cxx '$(CXX)' $(BENCH_ARGS)

# BENCH_CHECK_ARGS is handed to bench/check.py, for example '--baseline FILE'.
BENCH_CHECK_ARGS ?=
bench-check:
	@python3 bench/check.py $(BENCH_CHECK_ARGS)

# What the machine itself takes, into bench/results/limits.txt.
bench-limits: $(BENCH_B)/limits
	@$< | tee bench/results/limits.txt

.PHONY: bench-limits bench bench-build bench-quiet bench-check
