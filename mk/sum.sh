#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs each argument as a command, shows what it prints, and sums the closing lines
# `N passed, N failed, N skipped`. One that ends without such a line, or badly and without a
# failure, counts as one failed. usage: sum.sh COMMAND...
. "$(dirname "$0")/closing.sh"
log=$(mktemp) || exit 2
trap 'rm -f "$log"' EXIT
[ $# -gt 0 ] || exit 2
for c; do
    sh -c "$c" 2>&1 | tee "$log"
    line=$(closing_lines "$log" | tail -n 1)
    if [ -z "$line" ]; then
        echo "[FAIL] $c: no closing line"
        failed=$((failed + 1))
        continue
    fi
    parts "$line"
    add
done
closing
