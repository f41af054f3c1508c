#!/bin/sh
# SPDX-License-Identifier: MIT
# A build with STRIP_TRACE=1 leaves no trace call, in the library and in modules, and its
# metrics are right: all hosted tests run in it, and those that need traces skip by name.
# usage: test/strip.sh (also make strip-check). Source: SPEC OBS-3, OBS-13, ACC-9.
cd "$(dirname "$0")/.." || exit 2
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL CC SAN DEBUG STRIP_TRACE CFLAGS
suite=strip
. test/lib.sh
stripped=build/gcc-strip full=build/gcc
writers='gmki_trace_write|gmki_trace_sampled'

build() {
    make -s -j"${CHECK_JOBS:-2}" CC=gcc "$@"
}

# callers LIB: lines for members that refer to a writer of records without being it.
callers() {
    [ -s "$1" ] || return 2
    nm -A "$1" 2>/dev/null | grep -E " U ($writers|gmk_trace)$"
}

no_callers() {
    for port in linux sim; do
        if callers "$stripped/$port/libgmk_cpu.a" || [ $? -ne 1 ]; then
            return 1
        fi
    done
}

# The same look finds them where they are.
full_has_callers() { [ "$(callers $full/linux/libgmk_cpu.a | wc -l)" -ge 5 ]; }

smaller() {
    for lib in $stripped $full; do
        size -t "$lib/linux/libgmk_cpu.a" | awk 'END { print $1 }'
    done | { read -r a && read -r b && echo "code: $a bytes stripped, $b bytes whole" && [ "$a" -lt "$b" ]; }
}

# module NAME CALL [FLAG]: the code of a handler with CALL in it.
module() {
    cat >"$tmp/module.c" <<EOF
#include <ggmk/ggmk.h>
int handler(gmk_ctx_t *ctx);
int handler(gmk_ctx_t *ctx)
{
    $2;
    return ctx->task->meta0 != 0 ? GMK_OK : GMK_RETRY;
}
EOF
    # shellcheck disable=SC2086
    gcc -std=c11 -O2 -Wall -Wextra -Werror -Iinclude -Ihal/common -Ihal/linux $3 \
        -c "$tmp/module.c" -o "$tmp/$1.o" &&
        objdump -d -r "$tmp/$1.o" | sed 1,3d >"$tmp/$1.code"
}

module_has_no_call() {
    call='gmk_trace(ctx, GMK_EV_USER + 1, (uint32_t)ctx->task->meta0, 2)'
    module bare '(void)0' '' && module called "$call" -DGMK_STRIP_TRACE=1 &&
        module traced "$call" '' && cmp "$tmp/bare.code" "$tmp/called.code" &&
        grep -q gmk_trace "$tmp/traced.code"
}

check builds build lib STRIP_TRACE=1
check sim_builds build $stripped/sim/libgmk_cpu.a STRIP_TRACE=1
check whole_builds build lib
check library_has_no_trace_call no_callers
check library_of_a_whole_build_has_some full_has_callers
check library_is_smaller smaller
check module_is_as_without_the_call module_has_no_call
build test-hosted STRIP_TRACE=1 >"$tmp/tests" 2>&1
status=$?
cat "$tmp/tests"
line=$(closing_lines "$tmp/tests" | tail -n 1)
parts "${line:-0 passed, 0 failed, 0 skipped}"
add
check every_skip_says_why test "$(grep -c '^\[SKIP\]' "$tmp/tests")" -eq \
    "$(grep -c '^\[SKIP\].*this build has no traces' "$tmp/tests")"
check tests_ran test "$status" -eq 0 -a -n "$line"

# What is built under the plain names is the plain build again.
build lib
closing
