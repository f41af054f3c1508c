# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
# Cases of a test that is a script: counted, and said in a line each, after the name of its
# suite. The test begins in the root of the tree with: suite=NAME; . test/lib.sh
# and ends with: closing. $tmp is a folder of its own, $tmp/log what a case printed.
. mk/closing.sh
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

pass() {
    passed=$((passed + 1))
    echo "[PASS] ${suite}_$1"
}

skip() {
    skipped=$((skipped + 1))
    echo "[SKIP] ${suite}_$1: $2"
}

fail() {
    failed=$((failed + 1))
    printf '[FAIL] %s_%s: %s\n' "$suite" "$1" "$2" | sed '2,$s/^/    /'
}

# verdict NAME PROBLEM: an empty problem is a pass.
verdict() {
    if [ -z "$2" ]; then pass "$1"; else fail "$1" "$2"; fi
}

# check NAME COMMAND...: what it printed is shown when it fails.
check() {
    name=$1
    shift
    if "$@" >"$tmp/log" 2>&1; then
        pass "$name"
    else
        fail "$name" "$*"
        tail -n 60 "$tmp/log"
        return 1
    fi
}

# gives NAME STATUS TEXT COMMAND...: it ends with this status and prints a line with TEXT.
# $within is put before the command: timeout 60.
within=
gives() {
    name=$1 status=$2 text=$3
    shift 3
    $within "$@" >"$tmp/log" 2>&1
    rc=$?
    if [ "$rc" -eq "$status" ] && grep -qF -- "$text" "$tmp/log"; then
        pass "$name"
    else
        fail "$name" "status $rc, expected $status and '$text'"
        sed 's/^/    /' "$tmp/log" | tail -n 20
    fi
}
