#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs test programs, TEST_JOBS at a time (2), and sums their closing lines in order.
# A program that dies, prints no closing line, runs nothing or takes more than TEST_LIMIT
# seconds (300) counts as one failure; so does a run of no program. What failed is said once
# more at the end, a line each: of a long log people see the end.
jobs=${TEST_JOBS:-2}
limit=${TEST_LIMIT:-300}
passed=0 failed=0 skipped=0 asserts=0 programs=0 bad=''
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
for p; do
    programs=$((programs + 1))
    log=$dir/$programs.log
    rc=$(cat "$dir/$programs.rc")
    last=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
    n=$(sed -n 's/^assertions: \([0-9]*\)$/\1/p' "$log" | tail -n 1)
    asserts=$((asserts + ${n:-0}))
    if [ -z "$last" ]; then
        failed=$((failed + 1))
        how="died with status $rc"
        [ "$rc" -ne 124 ] || how="did not end within $limit s: $how"
        blame "$p" "$how" "$log"
        continue
    fi
    p_n=${last%% *}
    rest=${last#*, }
    f_n=${rest%% *}
    rest=${rest#*, }
    s_n=${rest%% *}
    if [ $((p_n + f_n + s_n)) -eq 0 ]; then
        f_n=1
        blame "$p" "ran nothing" "$log"
        failed=$((failed + 1))
        continue
    fi
    passed=$((passed + p_n))
    failed=$((failed + f_n))
    skipped=$((skipped + s_n))
    if [ "$f_n" -ne 0 ] || [ "$rc" -ne 0 ]; then
        [ "$f_n" -ne 0 ] || failed=$((failed + 1))
        blame "$p" "status $rc" "$log"
    elif [ "$s_n" -ne 0 ]; then
        echo "== $p: $last"
        grep '^\[SKIP\]' "$log"
    else
        echo "== $p: $last"
    fi
done
if [ "$programs" -eq 0 ]; then
    failed=1
    echo '[FAIL] no test program was named'
fi
printf '%s' "$bad"
echo "$programs programs, $asserts assertions"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
