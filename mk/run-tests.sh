#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs test programs, TEST_JOBS at a time (2), and sums their closing lines in order.
# A program that dies, prints no closing line, runs nothing or takes more than TEST_LIMIT
# seconds (300) counts as one failure; so does a run of no program. What failed is said once
# more at the end, a line each: of a long log people see the end.
jobs=${TEST_JOBS:-2}
limit=${TEST_LIMIT:-300}
. "$(dirname "$0")/closing.sh"
asserts=0 programs=0 bad=''
sh "$(dirname "$0")/positive.sh" "TEST_JOBS=$jobs" "TEST_LIMIT=$limit" || exit 2
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT

# blame PROGRAM HOW LOG: it failed; which test, as far as it got, and the end of its log.
blame() {
    tests=$(sed -n 's/^\[FAIL\] \([^ ]*\).*/\1/p' "$3" | head -n 8 | tr '\n' ' ')
    [ -n "$tests" ] || tests="after $(sed -n 's/^\[[A-Z]*\] \([^ ]*\).*/\1/p' "$3" | tail -n 1)"
    bad="${bad}[FAIL] $1: $2: $tests
"
    echo "== $1: $2"
    # What a sanitizer says of one finding fills many lines, and assertions stand before.
    grep -E ': expected |^SUMMARY: |runtime error:|^\[FAIL\]' "$3" | head -n 40
    echo "-- the end of its log:"
    tail -n 60 "$3"
}

# lane PROGRAM...: runs each that no other lane has taken; a directory is made only once.
lane() {
    i=0
    for p; do
        i=$((i + 1))
        mkdir "$dir/$i" 2>/dev/null || continue
        timeout "$limit" "$p" >"$dir/$i.log" 2>&1
        echo $? >"$dir/$i.rc"
    done
}

l=0
while [ "$l" -lt "$jobs" ]; do
    lane "$@" &
    l=$((l + 1))
done
wait
for program; do
    programs=$((programs + 1))
    log=$dir/$programs.log
    rc=$(cat "$dir/$programs.rc")
    last=$(closing_lines "$log" | tail -n 1)
    n=$(sed -n 's/^assertions: \([0-9]*\)$/\1/p' "$log" | tail -n 1)
    asserts=$((asserts + ${n:-0}))
    if [ -z "$last" ]; then
        failed=$((failed + 1))
        how="died with status $rc"
        [ "$rc" -ne 124 ] || how="did not end within $limit s: $how"
        blame "$program" "$how" "$log"
        continue
    fi
    parts "$last"
    if [ $((p + f + s)) -eq 0 ]; then
        blame "$program" "ran nothing" "$log"
        failed=$((failed + 1))
        continue
    fi
    add
    if [ "$f" -ne 0 ] || [ "$rc" -ne 0 ]; then
        [ "$f" -ne 0 ] || failed=$((failed + 1))
        blame "$program" "status $rc" "$log"
    elif [ "$s" -ne 0 ]; then
        echo "== $program: $last"
        grep '^\[SKIP\]' "$log"
    else
        echo "== $program: $last"
    fi
done
if [ "$programs" -eq 0 ]; then
    failed=1
    echo '[FAIL] no test program was named'
fi
printf '%s' "$bad"
echo "$programs programs, $asserts assertions"
closing
