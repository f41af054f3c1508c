#!/bin/sh
# SPDX-License-Identifier: MIT
# All checks, one section after another, and their sum. `make check` and .ci/run call it.
# usage: scripts/check.sh [SECTION...]  (all; `scripts/check.sh --list` names them)
# A section's last line `N passed, N failed, N skipped` counts; of those in `several`, which
# run checks that close each for itself, all count. A section that ends without one, that ran
# nothing, or with a bad status and no failure, counts as one failed. Its output is in
# build/check/SECTION.log; of one that failed, what failed is printed at once, and a line of
# each failure again at the very end. CHECK_JOBS is how many compilers run at a time (2),
# CHECK_LIMIT how many seconds a section may take (1200), SEEDS how many seeds of the
# simulated machine are tried (5000; CHAN_SEEDS of the channel storm, 2000), STORM for how
# many seconds each storm runs (15), BOOTS how often the kernel boots on each number of CPUs (10).
cd "$(dirname "$0")/.." || exit 2
# What a calling make was told (SAN=, CC=) is not for these.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL CC SAN DEBUG STRIP_TRACE CFLAGS V

jobs=${CHECK_JOBS:-2}
limit=${CHECK_LIMIT:-1200}
seeds=${SEEDS:-5000}
chan_seeds=${CHAN_SEEDS:-2000}
storm=${STORM:-15}
boots=${BOOTS:-10}
logs=build/check
. mk/closing.sh
table='' bad=''
sections='lint build-gcc build-clang test-gcc test-clang test-asan test-ubsan test-tsan
test-debug strip tunables canary stress-tsan stress-asan sim fuzz mutants models protocols
requirements runners headers install docs pipeline kernel kernel-test faults boots shim job
monitor gdb'
several='requirements runners'

sh mk/positive.sh "CHECK_JOBS=$jobs" "CHECK_LIMIT=$limit" "SEEDS=$seeds" \
    "CHAN_SEEDS=$chan_seeds" "STORM=$storm" "BOOTS=$boots" || exit 2

# built: a closing line for a command that has none of its own.
built() {
    if "$@"; then
        echo "1 passed, 0 failed, 0 skipped"
    else
        echo "0 passed, 1 failed, 0 skipped"
        return 1
    fi
}

run_make() { timeout "$limit" make -j"$jobs" --no-print-directory "$@"; }

section() {
    case $1 in
    lint) run_make lint ;;
    build-gcc) built run_make lib pipeline pipeline-sim CC=gcc ;;
    build-clang) built run_make lib pipeline pipeline-sim CC=clang ;;
    test-gcc) run_make test-hosted CC=gcc ;;
    test-clang) run_make test-hosted CC=clang ;;
    test-asan) run_make test-hosted SAN=asan ;;
    test-ubsan) run_make test-hosted SAN=ubsan ;;
    test-tsan) run_make test-hosted SAN=tsan ;;
    test-debug) run_make test-hosted DEBUG=1 ;;
    strip) run_make strip-check ;;
    tunables) run_make tunables-check ;;
    canary) run_make canary-check ;;
    sim) run_make sim SEEDS="$seeds" CHAN_SEEDS="$chan_seeds" ;;
    stress-tsan) run_make stress SAN=tsan SECONDS="$storm" ;;
    stress-asan) run_make stress SAN=asan SECONDS="$storm" ;;
    fuzz) run_make fuzz-check ;;
    mutants) run_make mutants ;;
    models) run_make models ;;
    protocols) run_make protocols ;;
    requirements) run_make requirements-check ;;
    runners) run_make runners-check ;;
    headers) run_make headers-check ;;
    install) run_make install-check ;;
    docs) run_make docs-check ;;
    pipeline) run_make pipeline-check ;;
    kernel) run_make kernel iso image-check ;;
    kernel-test) run_make test-qemu ;;
    monitor) run_make test-monitor ;;
    gdb) run_make test-gdb ;;
    job) run_make job-check ;;
    faults) run_make test-faults ;;
    boots) run_make boots BOOTS="$boots" ;;
    shim) run_make shim-check ;;
    *)
        echo "check: there is no section '$1'; there are: $sections" | tr '\n' ' ' >&2
        echo >&2
        return 2
        ;;
    esac
}

# count SECTION STATUS SECONDS: reads its log.
count() {
    case " $several " in
    *" $1 "*) last=+1 ;;
    *) last=1 ;;
    esac
    p=0 f=0 s=0
    closing_lines "$logs/$1.log" | tail -n "$last" >"$logs/$1.sum"
    while read -r n _ m _ k _; do
        p=$((p + n)) f=$((f + m)) s=$((s + k))
    done <"$logs/$1.sum"
    if [ $((p + f + s)) -eq 0 ]; then
        f=1
        echo "[FAIL] $1: no closing line, or ran nothing; status $2"
    fi
    if [ "$2" -ne 0 ] && [ "$f" -eq 0 ]; then
        f=1
        echo "[FAIL] $1: status $2"
    fi
    add
    grep '^\[SKIP\]' "$logs/$1.log"
    if [ "$f" -ne 0 ]; then
        found=$(grep -E '\[FAIL\]|: expected |^SUMMARY: |^== .*(status|died)|error:|Error [0-9]' \
            "$logs/$1.log" | cut -c1-300 | awk '!seen[$0]++')
        printf '%s\n' "$found" | head -n 80
        echo "-- the end of $logs/$1.log:"
        tail -n 120 "$logs/$1.log"
        bad=$bad$(printf '%s\n' "$found" | head -n 12 | sed "s/^ */-- $1: /")'
'
    fi
    table=$table$(printf '%-12s %4d s  %s passed, %s failed, %s skipped' "$1" "$3" "$p" "$f" "$s")'
'
}

if [ "${1:-}" = --list ]; then
    echo "$sections"
    exit 0
fi
mkdir -p "$logs" || exit 2
begin=$(date +%s)
# The list is split on purpose.
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $sections
for name; do
    start=$(date +%s)
    echo "== $name"
    section "$name" >"$logs/$name.log" 2>&1
    count "$name" $? $(($(date +%s) - start))
done
echo
printf '%s' "$bad"
printf '%s' "$table"
printf '%-12s %4d s\n\n' all $(($(date +%s) - begin))
closing
