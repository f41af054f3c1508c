# SPDX-License-Identifier: MIT
# GGMK. `make help` lists the targets; variants: CC=clang SAN=asan|ubsan|tsan DEBUG=1
# STRIP_TRACE=1 V=1. Everything is built under build/<variant>/<port>/.

.DEFAULT_GOAL := lib
include mk/config.mk
include $(wildcard src/*/rules.mk hal/*/rules.mk sdk/rules.mk modules/*/rules.mk examples/*/rules.mk)
include $(wildcard arch/*/*/rules.mk arch/*/*/*/rules.mk drivers/rules.mk drivers/*/rules.mk)
include mk/build.mk
include mk/kernel.mk
include mk/qemu.mk
include mk/monitor.mk
include mk/test.mk
include $(wildcard test/fuzz/rules.mk)
include $(wildcard bench/rules.mk bench/qemu/rules.mk)
include mk/install.mk

help:
	@echo 'lib            build/libgmk_cpu.a (and libgmk_test.a)'
	@echo 'demo           build and run the main job: examples/pipeline, FILE='
	@echo 'test           all unit tests on linux and on the simulated machine'
	@echo 'test-ring test-alloc test-sched test-chan test-module test-worker test-boot'
	@echo 'sim            SEEDS=500 seeds of each random storm on the simulated machine'
	@echo 'fuzz           every fuzz target under libFuzzer, FUZZ_SECONDS=60 each; FUZZ_SEED='
	@echo 'fuzz-check     a short fixed run of each, and planted bugs that they must find'
	@echo 'mutants        planted bugs, each of which sim must find'
	@echo 'models         the lock-free structures under Relacy, and planted bugs'
	@echo 'protocols      parking, waking and channel tokens under Spin, and planted mistakes'
	@echo 'stress         both random storms on threads, SECONDS=60 each (with SAN=tsan or asan)'
	@echo 'resident       one kernel under load for SECONDS=60'
	@echo 'mixed          one kernel under all kinds of work for SECONDS=60, audited at each phase'
	@echo 'soak           all four for long: SOAK_SEEDS=10000, SOAK_SECONDS=600, SOAK_MIXED=3600'
	@echo 'bench          ours beside peers (needs setup.sh --full)'
	@echo 'bench-check    names rows of the last bench that regressed since earlier results'
	@echo 'lint           style, floors, atomics, banned calls; and a test of each rule'
	@echo 'requirements   each requirement with its tests; requirements-check fails on a gap,'
	@echo '               and on a public function that no test calls with bad arguments'
	@echo 'headers-check  every public header alone under every compiler present'
	@echo 'check          all of it: scripts/check.sh names the sections and sums them'
	@echo 'pipeline       the main job as a program, pipeline-sim on the simulated machine'
	@echo 'pipeline-check the main job against coreutils; install-check, docs-check'
	@echo 'compile_commands.json'
	@echo 'strip-check    a STRIP_TRACE=1 build: no trace call is left, metrics are right'
	@echo 'tunables-check a build with every tunable value of config.h set to another one'
	@echo 'canary-check   a debug build catches the use of a payload that was freed'
	@echo 'runners-check  a run of nothing, or by a wrong option, is no pass; and the sums of'
	@echo '               make bench and bench-check, on made-up figures'
	@echo 'run            the kernel in QEMU, 4 CPUs and a disk; RUN= its job; run-debug waits for gdb'
	@echo 'test-qemu      the unit tests inside the kernel, in QEMU on 1, 2 and 4 CPUs'
	@echo 'test-monitor   every command of the serial monitor, in QEMU; make run RUN=monitor is it'
	@echo 'test-gdb       tools/gdb/ggmk.py: what gdb shows of workers, threads and channels'
	@echo 'stats          image sizes, memory and time of a boot, lines of code; STATS=--readme'
	@echo 'test-faults    provoked faults, bad kernels, odd machines and disks, each by its result'
	@echo 'boots          BOOTS=10 boots on each of 1, 2 and 4 CPUs, each with a verdict'
	@echo 'bench-qemu     the kernel beside a Debian Linux guest in QEMU (needs setup.sh --full)'
	@echo 'install        PREFIX=/usr/local DESTDIR='
	@echo 'iso            build/ggmk.iso for BIOS and UEFI, ISO_CMDLINE=; by Limine from LIMINE_DIR='
	@echo 'shim-check     the loader shim by every way in, and each fault of what it is given'
	@echo 'image-check    the kernel image: one list of core objects in both builds, its file, make run'
	@echo 'clean'

clean:
	rm -rf build

.PHONY: help clean
