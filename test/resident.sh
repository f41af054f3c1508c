#!/bin/sh
# SPDX-License-Identifier: MIT
# ACC-1: one kernel under load for SECONDS, with no relaunch and no drop in progress: the
# pipeline reads text without end; no second goes by without words, and all are counted.
# usage: test/resident.sh SECONDS (part of make soak)
cd "$(dirname "$0")/.." || exit 2
seconds=${1:-600}
case $seconds in
*[!0-9]* | '' | 0)
    echo "resident: SECONDS is a number above 0, not '$seconds'" >&2
    exit 2
    ;;
esac
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
make -s pipeline CC=gcc >"$tmp/log" 2>&1 || {
    cat "$tmp/log"
    echo '0 passed, 1 failed, 0 skipped'
    exit 1
}
i=0
while [ "$i" -lt 2000 ]; do
    cat LICENSE
    i=$((i + 1))
done >"$tmp/text"
words=$(tr -sc 'A-Za-z' '\n' <"$tmp/text" | grep -c .)

# Ends itself; how often it wrote the text, and how long the longest time took, in seconds.
feed() {
    end=$(($(date +%s) + seconds)) n=0 longest=0
    while now=$(date +%s) && [ "$now" -lt "$end" ]; do
        cat "$tmp/text"
        took=$(($(date +%s) - now))
        [ "$took" -le "$longest" ] || longest=$took
        n=$((n + 1))
    done
    echo "$n $longest" >"$tmp/fed"
}

feed | build/gcc/linux/bin/pipeline -w 2 -n 1 /dev/stdin >"$tmp/out"
status=$?
read -r n longest <"$tmp/fed"
counted=$(sed -n 's/^\([0-9]*\) words,.*/\1/p' "$tmp/out")
cat "$tmp/out"
echo "resident: $n times $words words in $seconds s, at most $longest s for one"
if [ "$status" -eq 0 ] && [ "$n" -gt 0 ] && [ "$counted" = $((n * words)) ] &&
    [ "$longest" -le 10 ] && grep -q 'balanced$' "$tmp/out"; then
    echo '1 passed, 0 failed, 0 skipped'
else
    echo "[FAIL] resident: status $status, $counted words counted, $((n * words)) sent"
    echo '0 passed, 1 failed, 0 skipped'
    exit 1
fi
