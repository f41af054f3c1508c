#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs storms one after another and sums them. usage: run-storms.sh PROGRAM ARG... [-- ...]
# Each must end with a closing line `N passed, N failed, N skipped`; one that ends badly
# or ran nothing counts as one failed, whatever it printed; so does a run of none. Prints the sum as its own closing line.
. "$(dirname "$0")/closing.sh"
out=$(mktemp) || exit 2
trap 'rm -f "$out"' EXIT
storm() {
    "$@" >"$out" 2>&1
    status=$?
    grep -vE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$out"
    line=$(closing_lines "$out" | tail -n 1)
    if [ "$status" -ne 0 ] || [ -z "$line" ]; then
        echo "[FAIL] $1: status $status"
        failed=$((failed + 1))
        return
    fi
    if [ "$line" = '0 passed, 0 failed, 0 skipped' ]; then
        echo "[FAIL] $1: ran nothing"
        line='0 passed, 1 failed, 0 skipped'
    fi
    parts "$line"
    add
}
if [ $# -eq 0 ]; then
    failed=1
    echo '[FAIL] no storm was named'
fi
while [ $# -gt 0 ]; do
    n=0
    for word; do
        [ "$word" != -- ] || break
        n=$((n + 1))
    done
    case $n in
    1) storm "$1" ;;
    3) storm "$1" "$2" "$3" ;;
    4) storm "$1" "$2" "$3" "$4" ;;
    *)
        echo "usage: run-storms.sh PROGRAM ARG... [-- ...]" >&2
        exit 2
        ;;
    esac
    shift "$n"
    [ $# -eq 0 ] || shift
done
closing
