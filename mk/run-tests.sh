#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs test programs one after another and sums their closing lines.
# A program that dies or prints no closing line counts as one failure.
passed=0 failed=0 skipped=0 asserts=0 programs=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for p in "$@"; do
    programs=$((programs + 1))
    "$p" >"$log" 2>&1
    rc=$?
    last=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
    n=$(sed -n 's/^assertions: \([0-9]*\)$/\1/p' "$log" | tail -n 1)
    asserts=$((asserts + ${n:-0}))
    if [ -z "$last" ]; then
        failed=$((failed + 1))
        echo "== $p: died with status $rc"
        tail -n 60 "$log"
        continue
    fi
    p_n=${last%% *}
    rest=${last#*, }
    f_n=${rest%% *}
    rest=${rest#*, }
    s_n=${rest%% *}
    passed=$((passed + p_n))
    failed=$((failed + f_n))
    skipped=$((skipped + s_n))
    if [ "$f_n" -ne 0 ] || [ "$rc" -ne 0 ]; then
        [ "$f_n" -ne 0 ] || failed=$((failed + 1))
        echo "== $p: status $rc"
        tail -n 60 "$log"
    elif [ "$s_n" -ne 0 ]; then
        echo "== $p: $last"
        grep '^\[SKIP\]' "$log"
    else
        echo "== $p: $last"
    fi
done
echo "$programs programs, $asserts assertions"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
