#!/bin/sh
# SPDX-License-Identifier: MIT
# The long runs: SEEDS of both storms on the simulated machine, SECONDS of each on threads
# under TSan and under ASan, one kernel under one job for SECONDS, and one under every kind of
# work for MIXED, hosted and, for half of that, in the kernel on 4 CPUs; BOOTS of the kernel on 1,
# 2 and 4 CPUs; figures of each, and the sum.
# usage: scripts/soak.sh [SEEDS [SECONDS [MIXED [BOOTS]]]]. The output of each run is in build/soak/;
# tools/soak_report.py makes the table of docs/RELIABILITY.md from it.
cd "$(dirname "$0")/.." || exit 2
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL CC SAN DEBUG STRIP_TRACE CFLAGS V
seeds=${1:-10000}
seconds=${2:-600}
mixed=${3:-3600}
boots=${4:-100}
logs=build/soak
. mk/closing.sh
sh mk/positive.sh "SEEDS=$seeds" "SECONDS=$seconds" "MIXED=$mixed" \
    "BOOTS=$boots" || exit 2
mkdir -p "$logs" || exit 2

# run NAME MAKE-ARGUMENTS...
run() {
    name=$1
    shift
    begin=$(date +%s)
    make --no-print-directory "$@" >"$logs/$name.log" 2>&1
    status=$?
    sed -i 's/\r$//' "$logs/$name.log" # the kernel's serial port ends lines so
    line=$(closing_lines "$logs/$name.log" | tail -n 1)
    parts "${line:-0 passed, 1 failed, 0 skipped}"
    [ "$status" -eq 0 ] || [ "$f" -ne 0 ] || f=1
    [ $((p + f + s)) -ne 0 ] || f=1 # it ran nothing
    add
    took=$(($(date +%s) - begin))
    echo "$took s, status $status: make $*" >"$logs/$name.sum"
    echo "== $name, $took s: $p passed, $f failed, $s skipped"
    if [ "$f" -ne 0 ]; then
        tail -n 40 "$logs/$name.log"
    else
        grep -E '^(sim|storm|channel|emissions|drained|resident|mixed|clock:|\[PASS\] fuzz)' "$logs/$name.log"
    fi
}

run sim sim SEEDS="$seeds"
run tsan stress SAN=tsan SECONDS="$seconds"
run asan stress SAN=asan SECONDS="$seconds"
run fuzz fuzz FUZZ_SECONDS="$((seconds < 300 ? seconds : 300))"
run resident resident SECONDS="$seconds"
run mixed mixed SECONDS="$mixed"
run boots boots BOOTS="$boots"
run memory-qemu test-qemu KTESTS=kernel_memory TEST_CPUS=4 TEST_WORDS=memory_seconds=60
run mixed-qemu mixed-qemu SECONDS="$(((mixed + 1) / 2))"
closing
