#!/bin/sh
# SPDX-License-Identifier: MIT
# Proves that each rule of tools/lint.py fires, and that a good tree passes.
#
# bad/RULE/CASE is a tree that breaks RULE alone; its file `expect` holds the
# findings as `path:line: rule`. good/ breaks nothing, though it comes close.
set -u
cd "$(dirname "$0")/../.." || exit 1
suite=lint
. test/lib.sh
cd test/lint || exit 1
lint=../../tools/lint.py

# check_bad RULE CASE: exit status 1, and exactly the expected findings.
check_bad() {
    output=$(python3 "$lint" --root "bad/$1/$2" 2>&1)
    status=$?
    found=$(printf '%s\n' "$output" | sed '$d' | cut -d: -f1-3)
    expected=$(cat "bad/$1/$2/expect")
    problem=
    [ "$status" -eq 1 ] || problem="exit status $status, not 1"
    [ "$found" = "$expected" ] || problem="expected:
$expected
found:
$output"
    if [ -z "$expected" ] || printf '%s\n' "$expected" | grep -qv ": $1\$"; then
        problem="the case must expect findings of $1 alone"
    fi
    verdict "$(printf '%s' "$1" | tr - _)_$2" "$problem"
}

for rule in $(python3 "$lint" --list | cut -d: -f1); do
    [ -d "bad/$rule" ] || verdict "$rule" 'no bad tree for this rule'
done
for tree in bad/*/*/; do
    tree=${tree%/}
    check_bad "$(basename "${tree%/*}")" "${tree##*/}"
done

output=$(python3 "$lint" --root good 2>&1) && output=
verdict good_tree "$output"

python3 "$lint" --root no-such-tree >/dev/null 2>&1
status=$?
[ "$status" -eq 2 ] && problem= || problem="exit status $status, not 2"
verdict missing_tree "$problem"

closing
