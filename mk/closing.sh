# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
# What runs others counts, and ends with a closing line `N passed, N failed, N skipped`.
# For scripts to read in: . mk/closing.sh
passed=0 failed=0 skipped=0

# closing_lines LOG: those in it.
closing_lines() { grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$1"; }

# parts LINE: what a closing line says, in p, f and s.
parts() {
    p=${1%% *} f=${1#*, } s=${1##*, }
    f=${f%% *} s=${s%% *}
}

add() { passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s)); }

# The end of a script: its closing line, and its status.
closing() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}
