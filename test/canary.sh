#!/bin/sh
# SPDX-License-Identifier: MIT
# ACC-14, CH-44, CH-45: what a store retained lives on, what it did not is freed when its handler
# returns, and a debug build catches the use of it: a reader finds the fill of freed memory and
# not one byte of the value, a writer ends the process at the next allocation, which says so.
# usage: test/canary.sh (also make canary-check)
cd "$(dirname "$0")/.." || exit 2
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL CC SAN DEBUG STRIP_TRACE CFLAGS
suite=canary
. test/lib.sh

# build VARIANT FLAG...: the program against that variant's library.
build() {
    variant=$1
    shift
    make -s -j"${CHECK_JOBS:-2}" CC=gcc "build/$variant/linux/libgmk_cpu.a" "$@" &&
        gcc -std=c11 -Wall -Wextra -Werror -Iinclude -Ihal/common -Ihal/linux test/canary.c \
            "build/$variant/linux/libgmk_cpu.a" -pthread -o "$tmp/$variant"
}

# run NAME VARIANT HOW STATUS TEXT: the exit status (abort: any of a signal) and a line of output.
run() {
    { out=$(timeout 60 "$tmp/$2" "$3" 2>&1); } 2>/dev/null
    status=$?
    [ "$status" -lt 128 ] || status=abort
    problem=''
    [ "$status" = "$4" ] || problem="status $status, not $4"
    printf '%s\n' "$out" | grep -q "$5" || problem="$problem no '$5'"
    verdict "$1" "${problem:+$problem
$out}"
}

problem=''
build gcc >"$tmp/log" 2>&1 && build gcc-debug DEBUG=1 >>"$tmp/log" 2>&1 || problem=$(cat "$tmp/log")
verdict builds "$problem"
run retained_values_live_on gcc good 0 'good: 0 filled bytes of 12800, 0 payloads live'
run retained_values_live_on_in_debug gcc-debug good 0 'good: 0 filled bytes'
run read_after_free_finds_the_fill gcc-debug read 0 'read: 12800 filled bytes of 12800'
run write_after_free_is_caught gcc-debug write abort 'memory was written after it was freed'

closing
