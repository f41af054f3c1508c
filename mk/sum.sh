#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs each argument as a command, shows what it prints, and sums the closing lines
# `N passed, N failed, N skipped`. One that ends without such a line, or badly and without a
# failure, counts as one failed. usage: sum.sh COMMAND...
passed=0 failed=0 skipped=0
log=$(mktemp) || exit 2
trap 'rm -f "$log"' EXIT
[ $# -gt 0 ] || exit 2
for c; do
    sh -c "$c" 2>&1 | tee "$log"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
    if [ -z "$line" ]; then
        echo "[FAIL] $c: no closing line"
        failed=$((failed + 1))
        continue
    fi
    passed=$((passed + ${line%% *}))
    rest=${line#*, }
    failed=$((failed + ${rest%% *}))
    rest=${rest#*, }
    skipped=$((skipped + ${rest%% *}))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
