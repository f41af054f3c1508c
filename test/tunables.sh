#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the library and test/tunables.c with every tunable value set to another one, and
# runs it: each has its effect. The program itself compiles with the defaults, too.
# usage: test/tunables.sh (also make tunables-check). Source: SPEC SYS-22.
cd "$(dirname "$0")/.." || exit 2
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

flags='-std=c11 -Wall -Wextra -Werror -O0 -Iinclude -Isrc -Ihal/common -Ihal/linux'
hal=$(find hal/linux hal/common -name '*.c' ! -name test_main.c)
values='GMK_WORKER_BATCH_SIZE=4 GMK_LQ_YIELD_RESERVE=50 GMK_EVQ_SIZE=64 GMK_EVQ_DRAIN_LIMIT=5
GMK_DEFAULT_MAX_YIELDS=3 GMK_MAX_HANDLER_CYCLES=12345 GMK_CHAN_MAX_SUBS=2
GMK_CHAN_REPLAY_SLOTS=8 GMK_CHAN_PRIORITY_RESERVE=50 GMK_POISON_RATE=3 GMK_POISON_WINDOW=5
GMK_TRACE_DEFAULT_LEVEL=4 GMK_TRACE_SAMPLE_RATE=0x40000000 GMK_WATCHDOG_MISSES=1
GMK_MAX_RETRIES=2'
defines=$(printf -- '-D%s ' $values)

# The lists are split on purpose.
# shellcheck disable=SC2086
build() {
    gcc $flags $defines src/*/*.c sdk/*.c $hal hal/linux/test_main.c test/tunables.c \
        -pthread -o "$tmp/tunables"
}

if ! build >"$tmp/log" 2>&1; then
    echo '[FAIL] tunables_build'
    tail -n 40 "$tmp/log"
    echo '0 passed, 1 failed, 0 skipped'
    exit 1
fi
# Each of them is another value than the default, or the tests prove nothing.
for v in $values; do
    printf '#include <ggmk/config.h>\nint same[%s == (%s) ? -1 : 1];\n' "${v%%=*}" "${v#*=}" \
        >"$tmp/same.c"
    # shellcheck disable=SC2086
    gcc $flags -fsyntax-only "$tmp/same.c" 2>"$tmp/log" || {
        echo "[FAIL] tunables_default: $v is the default"
        echo '0 passed, 1 failed, 0 skipped'
        exit 1
    }
done
timeout 120 "$tmp/tunables"
