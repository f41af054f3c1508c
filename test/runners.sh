#!/bin/sh
# SPDX-License-Identifier: MIT
# A run of nothing is no pass: what runs tests and storms refuses wrong options and numbers,
# and counts a failure where nothing ran. The trees are made under build/runners.
# usage: test/runners.sh (also make runners-check)
cd "$(dirname "$0")/.." || exit 2
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL CC SAN DEBUG STRIP_TRACE CFLAGS
unset SEEDS CHAN_SEEDS STORM CHECK_JOBS CHECK_LIMIT TEST_JOBS TEST_LIMIT
dir=$PWD/build/runners
suite=runners
. test/lib.sh
within="timeout 120"
rm -rf "$dir"
mkdir -p "$dir/tree" || exit 2

# program NAME STATUS LINE...: prints the lines and ends so.
program() {
    name=$1 status=$2
    shift 2
    {
        echo '#!/bin/sh'
        printf "echo '%s'\n" "$@"
        echo "exit $status"
    } >"$dir/$name"
    chmod +x "$dir/$name"
}

# Test programs and storms by scripts. -------------------------------------------------
program good 0 '2 passed, 0 failed, 1 skipped'
program empty 0 '0 passed, 0 failed, 0 skipped'
program silent 0 'nothing to say'
program bad 3 '2 passed, 0 failed, 0 skipped'
for kind in tests storms; do
    run=mk/run-$kind.sh
    gives "${kind}_good" 0 '2 passed, 0 failed, 1 skipped' sh "$run" "$dir/good"
    gives "${kind}_none" 1 '0 passed, 1 failed, 0 skipped' sh "$run"
    gives "${kind}_empty" 1 '0 passed, 1 failed, 0 skipped' sh "$run" "$dir/empty"
    gives "${kind}_silent" 1 '0 passed, 1 failed, 0 skipped' sh "$run" "$dir/silent"
    gives "${kind}_bad_status" 1 ' 1 failed, 0 skipped' sh "$run" "$dir/bad"
done
gives storms_good_and_empty 1 '2 passed, 1 failed, 1 skipped' \
    sh mk/run-storms.sh "$dir/good" -- "$dir/empty"
gives tests_good_and_empty 1 '2 passed, 1 failed, 1 skipped' \
    sh mk/run-tests.sh "$dir/good" "$dir/empty"
# Who did not end, and which test failed, is said at the end.
program slow 0 '[PASS] first (1 ms)'
sed -i 's/^exit 0/exec sleep 20/' "$dir/slow"
program fails 1 '[FAIL] second (1 ms)' '  x.c:1: expected a == b, got 1 and 2' '1 passed, 1 failed, 0 skipped'
gives tests_too_slow 1 '/slow: did not end within 1 s: died with status 124: after first' \
    env TEST_LIMIT=1 sh mk/run-tests.sh "$dir/slow" "$dir/good"
gives tests_which_failed 1 '/fails: status 1: second' sh mk/run-tests.sh "$dir/fails" "$dir/good"
gives tests_no_jobs 2 "TEST_JOBS must be" env TEST_JOBS=0 sh mk/run-tests.sh "$dir/good"

# Sections of the check, and the long runs, over a makefile that only prints. ----------
cp -r scripts mk "$dir/tree/" || exit 2
cat >"$dir/tree/Makefile" <<'M'
lint: ; @echo '3 passed, 0 failed, 0 skipped'; echo '4 passed, 0 failed, 0 skipped'
requirements-check:
	@echo '3 passed, 0 failed, 0 skipped'; echo '4 passed, 0 failed, 1 skipped'
docs-check: ; @echo '0 passed, 0 failed, 0 skipped'
models: ; @echo done
headers-check:
	@echo '[FAIL] early: why'; seq 500; echo '1 passed, 1 failed, 0 skipped'; exit 1
canary-check: ; @echo '5 passed, 0 failed, 0 skipped'; exit 1
install-check: ; @echo '0 passed, 2 failed, 0 skipped'; echo '1 passed, 0 failed, 0 skipped'
sim stress resident mixed fuzz boots test-qemu: ; @echo '$(SAYS) passed, 0 failed, 0 skipped'
mixed-qemu: ; @printf '$(SAYS) passed, 0 failed, 0 skipped\r\n' # as a serial port says it
M
check=$dir/tree/scripts/check.sh
gives check_last_line 0 '4 passed, 0 failed, 0 skipped' sh "$check" lint
gives check_sums_requirements 0 '7 passed, 0 failed, 1 skipped' sh "$check" requirements
gives check_other_last_line 0 '1 passed, 0 failed, 0 skipped' sh "$check" install
gives check_empty 1 '0 passed, 1 failed, 0 skipped' sh "$check" docs
gives check_no_line 1 '0 passed, 1 failed, 0 skipped' sh "$check" models
gives check_bad_status 1 '5 passed, 1 failed, 0 skipped' sh "$check" canary
gives check_names_what_failed 1 '-- headers: [FAIL] early: why' sh "$check" headers docs
gives check_no_section 1 '0 passed, 1 failed, 0 skipped' sh "$check" nothing
gives check_seeds 2 "SEEDS must be a positive number, not 'many'" env SEEDS=many sh "$check" lint
gives check_chan_seeds 2 "CHAN_SEEDS must be" env CHAN_SEEDS=0 sh "$check" lint
gives check_storm 2 "STORM must be" env STORM=-1 sh "$check" lint
gives check_boots 2 "BOOTS must be" env BOOTS=0 sh "$check" lint
soak=$dir/tree/scripts/soak.sh
gives soak_good 0 '18 passed, 0 failed, 0 skipped' env SAYS=2 sh "$soak" 1 1 1
report=tools/soak_report.py
gives soak_report 0 'make fuzz FUZZ_SECONDS=1' python3 "$report" "$dir/tree/build/soak"
gives soak_report_of_the_kernel 0 'make mixed-qemu SECONDS=1' python3 "$report" "$dir/tree/build/soak"
rm "$dir/tree/build/soak/fuzz.sum"
gives soak_report_of_a_missing_run 1 '| fuzz | not run ' python3 "$report" "$dir/tree/build/soak"
gives soak_empty 1 '0 passed, 9 failed, 0 skipped' env SAYS=0 sh "$soak" 1 1 1
gives soak_report_of_empty_runs 1 '0 passed, 0 failed, 0 skipped' python3 "$report" "$dir/tree/build/soak"
gives soak_report_of_nothing 2 'usage: ' python3 "$report" "$dir/nothing"
gives soak_seeds 2 "SEEDS must be" env SAYS=2 sh "$soak" 0 1
gives soak_seconds 2 "SECONDS must be" env SAYS=2 sh "$soak" 1 1s
gives soak_mixed 2 "MIXED must be" env SAYS=2 sh "$soak" 1 1 0
gives soak_boots 2 "BOOTS must be" env SAYS=2 sh "$soak" 1 1 1 0

# The programs themselves. ------------------------------------------------------------
if ! make -s -j"${CHECK_JOBS:-2}" CC=gcc \
    build/gcc/linux/bin/test_prim build/gcc/sim/bin/test_prim \
    build/gcc/linux/bin/stress_storm build/gcc/sim/bin/stress_storm \
    build/gcc/linux/bin/stress_chan build/gcc/sim/bin/stress_chan build/gcc/linux/bin/soak_mixed; then
    fail build 'make failed'
    closing
    exit 1
fi
for port in linux sim; do
    test=build/gcc/$port/bin/test_prim
    gives "${port}_filter" 0 ' passed, 0 failed, 0 skipped' "$test" --seed 3 prim
    gives "${port}_filter_none" 1 'no test ran; filter: nothing_has_this' "$test" nothing_has_this
    gives "${port}_seed_without_value" 2 'usage: ' "$test" --seed
    gives "${port}_seed_no_number" 2 'usage: ' "$test" --seed 1x
    gives "${port}_unknown_option" 2 'usage: ' "$test" --help
    gives "${port}_two_filters" 2 'usage: ' "$test" prim prim
done
for kind in storm chan; do
    sim=build/gcc/sim/bin/stress_$kind threads=build/gcc/linux/bin/stress_$kind
    gives "sim_${kind}_two" 0 '2 passed, 0 failed, 0 skipped' "$sim" --sim-seeds 0 2
    gives "sim_${kind}_no_option" 2 'usage: ' "$sim"
    gives "sim_${kind}_no_count" 2 'usage: ' "$sim" --sim-seeds 1
    gives "sim_${kind}_count_zero" 2 'usage: ' "$sim" --sim-seeds 1 0
    gives "sim_${kind}_count_no_number" 2 'usage: ' "$sim" --sim-seeds 1 1k
    gives "sim_${kind}_seconds" 2 'usage: ' "$sim" --seconds 1 --seed 1
    gives "threads_${kind}_no_option" 2 'usage: ' "$threads"
    gives "threads_${kind}_zero" 2 'usage: ' "$threads" --seconds 0
    gives "threads_${kind}_negative" 2 'usage: ' "$threads" --seconds -1
    gives "threads_${kind}_too_large" 2 'usage: ' "$threads" --seconds 99999999999999999999
    gives "threads_${kind}_seed_without_value" 2 'usage: ' "$threads" --seconds 1 --seed
    gives "threads_${kind}_sim_seeds" 2 'usage: ' "$threads" --sim-seeds 1 1
done
# The mixed load of make soak, in short; test/mutants has what it must find.
mixed=build/gcc/linux/bin/soak_mixed
gives mixed_three_seconds 0 ' passed, 0 failed, 0 skipped' "$mixed" --seconds 3
gives mixed_no_option 2 'usage: ' "$mixed"
gives mixed_zero 2 'usage: ' "$mixed" --seconds 0
gives mixed_seed_without_value 2 'usage: ' "$mixed" --seconds 1 --seed
gives make_mixed_zero 2 "SECONDS must be" make -s CC=gcc mixed SECONDS=0
gives make_sim_zero 2 "SEEDS must be a positive number, not '0'" make -s CC=gcc sim SEEDS=0
gives make_sim_no_number 2 "SEEDS must be" make -s CC=gcc sim SEEDS=many
gives make_sim_chan_seeds 2 "CHAN_SEEDS must be" make -s CC=gcc sim SEEDS=1 CHAN_SEEDS=
gives make_stress_zero 2 "SECONDS must be" make -s CC=gcc stress SECONDS=0
gives make_fuzz_zero 2 "FUZZ_SECONDS must be" make -s fuzz FUZZ_SECONDS=0
gives make_fuzz_seed 2 "FUZZ_SEED must be" make -s fuzz FUZZ_SEED=x
gives make_fuzz_unknown 2 "there is no target" make -s fuzz FUZZ_TARGETS=nothing
gives make_soak_zero 2 "SOAK_SEEDS must be" make -s soak SOAK_SEEDS=0
gives make_soak_mixed_zero 2 "SOAK_MIXED must be" make -s soak SOAK_MIXED=0

closing
